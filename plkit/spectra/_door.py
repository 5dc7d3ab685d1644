"""What every correction does on the way in and on the way out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning

__all__ = [
    "attach_intensity",
    "drop_saturation",
    "enter",
    "labelled",
    "noise_terms",
    "require_number",
    "saturation_level",
]

_INTENSITY = names.INTENSITY


def enter(ds: xr.Dataset, action: str) -> tuple[xr.Dataset, str]:
    """Return the dataset in canonical form, its intensity a float, and its spectral dimension.

    Units that differ by a factor are converted, axes sorted, integers promoted to float before
    any arithmetic (uint16 would wrap around), anything that cannot be mended is refused.
    """
    if not isinstance(ds, xr.Dataset):
        raise _no_dataset(labelled(ds, "argument", action), action)
    if _INTENSITY not in ds.data_vars:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        raise DataError(
            action,
            f"the dataset holds {found}, not '{_INTENSITY}'",
            f'Rename the measured variable, for instance ds.rename(counts="{_INTENSITY}").',
        )
    dim = schema.spectral_dim(ds[_INTENSITY], action)
    ds = schema.conform(ds)
    da = ds[_INTENSITY]
    if da.size == 0:
        raise DataError(action, f"'{_INTENSITY}' has shape {da.shape}, not at least one value")
    if da.dtype.kind not in "iufb":
        raise DataError(action, f"'{_INTENSITY}' has dtype {da.dtype}, not a real number")
    if dim not in ds.coords:
        raise DataError(
            action,
            f"dimension '{dim}' has no coordinate, not values in {names.unit(dim)}",
            f'Add them: ds.assign_coords({dim}=("{dim}", values)).',
        )
    axis = schema.require_unit(ds[dim], dim, action)
    if not np.all(np.isfinite(axis.values)):
        raise DataError(action, f"axis '{dim}' holds NaN, not numbers", f'Use ds.dropna("{dim}").')
    if da.dtype.kind in "iub":
        # The ceiling of an unsigned integer is known from its type only: write it down first.
        level = saturation_level(ds)
        ds = ds.assign({_INTENSITY: da.astype(np.float64).assign_attrs(da.attrs)})
        if level is not None and "saturation_level" not in ds:
            ds = ds.assign(
                saturation_level=xr.DataArray(level, attrs=names.attrs("saturation_level"))
            )
    return ds, dim


def _no_dataset(value: object, action: str) -> DataError:
    return DataError(
        action,
        f"the argument is a {type(value).__name__}, not a Dataset with '{_INTENSITY}'",
        f'Use da.to_dataset(name="{_INTENSITY}").',
    )


def labelled(value: object, what: str, action: str) -> xr.Dataset | xr.DataArray:
    """Return labelled data; anything else, most often the path of a file, is refused."""
    if isinstance(value, xr.Dataset | xr.DataArray):
        return value
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        raise DataError(
            action, f"the {what} is the text {path!r}, not a dataset",
            f"Read the file first: plkit.read({path!r}).",
        )  # fmt: skip
    raise DataError(
        action,
        f"the {what} is of type {type(value).__name__}, not a Dataset or DataArray",
        "Give its values names and axes, so that channels can be compared.",
    )


def require_number(value: float, name: str, action: str) -> float:
    """Return the value as float, if it is a finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(action, f"'{name}' is {value!r}, not a finite number")
    return number


def saturation_level(ds: xr.Dataset) -> float | None:
    """Counts at which the detector saturates, if the dataset says so [counts]."""
    da = ds[_INTENSITY]
    if "saturation_level" in ds:
        return float(ds["saturation_level"])
    if "saturation_level" in da.attrs:
        return float(da.attrs["saturation_level"])
    if da.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(da.dtype).max)
    return None


def drop_saturation(ds: xr.Dataset, action: str, stacklevel: int = 3) -> xr.Dataset:
    """Leave the saturation level behind, where a step makes it differ from channel to channel."""
    import warnings

    level = saturation_level(ds)
    if level is None:
        return ds
    hit = int((ds[_INTENSITY] >= level).sum())
    if hit:
        warnings.warn(
            f"{hit} values reach the saturation level of {level:g} counts and cannot be recognised"
            f" after this step ({action}): call plkit.spectra.mask_saturation(ds) before it.",
            PlkitWarning,
            stacklevel=stacklevel + 1,
        )
    out = ds.drop_vars("saturation_level", errors="ignore")
    attrs = {k: v for k, v in ds[_INTENSITY].attrs.items() if k != "saturation_level"}
    da = out[_INTENSITY].copy(deep=False)
    da.attrs = attrs
    return out.assign({_INTENSITY: da})


def noise_terms(ds: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Gain [counts] and floor [counts²] as float64, or None where the gain is not known."""
    if names.NOISE_GAIN not in ds:
        return None
    gain = ds[names.NOISE_GAIN].astype(np.float64)
    floor = ds[names.NOISE_FLOOR] if names.NOISE_FLOOR in ds else xr.DataArray(0.0)
    return gain, floor.astype(np.float64)


def attach_intensity(
    ds: xr.Dataset,
    intensity: xr.DataArray,
    step: str,
    *,
    gain: xr.DataArray | None = None,
    floor: xr.DataArray | None = None,
) -> xr.Dataset:
    """Return ``ds`` with new intensity and noise terms, units set, canonical order, one history line."""
    old = dict(ds[_INTENSITY].attrs)
    new: dict[str, xr.DataArray] = {
        _INTENSITY: _with_attrs(intensity, {**names.attrs(_INTENSITY), **old})
    }
    if gain is not None:
        new[names.NOISE_GAIN] = _with_attrs(gain, names.attrs(names.NOISE_GAIN))
    if floor is not None:
        new[names.NOISE_FLOOR] = _with_attrs(floor, names.attrs(names.NOISE_FLOOR))
    out = ds.assign(new)
    order = [d for d in names.CANONICAL_ORDER if d in out.dims]
    return schema.add_history(out.transpose(*[d for d in out.dims if d not in order], *order), step)


def _with_attrs(da: xr.DataArray, attrs: Mapping[str, object]) -> xr.DataArray:
    out = da.copy(deep=False)
    out.attrs = dict(attrs)
    return out
