"""What the search for peaks asks of its arguments: every check, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.names import ENERGY, INTENSITY, WAVELENGTH
from plkit.physics import photons
from plkit.physics.peaks import METHODS, Problem

__all__ = ["ACTION", "Prepared", "check_method", "measured", "prepare"]

Floats = NDArray[np.float64]
ACTION: Final = "fit peaks"
Window = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Spectra as they lie, their axis last; what the kernels need; where wavelengths were measured."""

    data: xr.DataArray
    problem: Problem
    medium: photons.Medium


def check_method(method: str) -> None:
    """Refuse a method that is not known."""
    if method not in METHODS:
        raise DataError(
            ACTION, f"method is {method!r}, not one of {', '.join(METHODS)}", "Choose one of them."
        )


def measured(ds: Any, variable: str) -> xr.DataArray:
    """Return the variable with its spectral axis last; its values are not touched."""
    if not isinstance(ds, xr.Dataset):
        raise DataError(
            ACTION,
            f"the argument is a {type(ds).__name__}, not a Dataset with '{variable}'",
            f'Use da.to_dataset(name="{variable}").',
        )
    if variable not in ds.data_vars:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        remedy = (
            f'Name what holds the spectra: fit_peaks(ds, variable="…"), or rename it "{INTENSITY}".'
        )
        raise DataError(ACTION, f"the dataset holds {found}, not '{variable}'", remedy)
    da = ds[variable]
    dim = schema.spectral_dim(da, ACTION)
    if dim not in (WAVELENGTH, ENERGY):
        hint = "Convert it: plkit.spectra.raman_to_wavelength(ds, laser_nm=…)."
        raise DataError(
            ACTION,
            f"the spectral dimension is '{dim}', not '{WAVELENGTH}' or '{ENERGY}'",
            hint if dim == names.RAMAN_SHIFT else "",
        )
    if da.size == 0:
        raise DataError(ACTION, f"'{variable}' has shape {da.shape}, not at least one value")
    if da.dtype.kind not in "iufb":
        raise DataError(ACTION, f"'{variable}' has dtype {da.dtype}, not a real number")
    if dim not in da.coords:
        raise DataError(
            ACTION,
            f"dimension '{dim}' has no coordinate, not values in {names.unit(dim)}",
            f'Add them: ds.assign_coords({dim}=("{dim}", values)).',
        )
    return da.transpose(..., dim)


def prepare(ds: xr.Dataset, data: xr.DataArray, method: str, window: Window | None) -> Prepared:
    """Axis, channels to use and noise of spectra whose values may still lie in their file."""
    dim = str(data.dims[-1])
    axis = schema.require_unit(data[dim], dim, ACTION).values.astype(np.float64)
    if not np.all(np.isfinite(axis)):
        raise DataError(ACTION, f"axis '{dim}' holds NaN, not numbers", f'Use ds.dropna("{dim}").')
    medium: photons.Medium = "vacuum" if data[dim].attrs.get("medium") == "vacuum" else "air"
    energy, bandwidth = axis, np.ones_like(axis)
    if dim == WAVELENGTH:
        if axis.min() <= 0.0:
            raise DataError(ACTION, f"wavelengths start at {axis.min():g} nm, not above 0")
        energy = photons.energy_from_wavelength(axis, medium)
        bandwidth = photons.relative_bandwidth(axis, medium)
    use = _inside(axis, window, dim)
    gain = floor = None
    terms = _noise(ds, data, dim)
    if terms is not None:
        use &= np.isfinite(terms).all(axis=0)  # the noise of a channel may not be known
        gain, floor = terms
        if (
            np.any(gain[use] < 0.0)
            or np.any(floor[use] < 0.0)
            or np.any((gain + floor)[use] <= 0.0)
        ):
            raise DataError(
                ACTION,
                f"'{names.NOISE_GAIN}' and '{names.NOISE_FLOOR}' give a variance that is zero or"
                " negative, not a positive one",
                "See plkit.validate(ds).",
            )
    order = np.argsort(energy, kind="stable")
    order = order[use[order]]
    problem = Problem(
        energy=energy[order],
        bandwidth=bandwidth[order],
        order=order,
        method=method,
        gain=None if gain is None else gain[order],
        floor=None if floor is None else floor[order],
    )
    return Prepared(data, problem, medium)


def _inside(axis: Floats, window: Window | None, dim: str) -> NDArray[np.bool_]:
    """Which channels lie in the window, its ends included."""
    if window is None:
        return np.ones(axis.size, dtype=bool)
    try:
        low, high = (np.nan if v is None else float(v) for v in window)
    except (TypeError, ValueError):
        raise DataError(
            ACTION, f"window={window!r} is not a pair (low, high) of numbers or None"
        ) from None
    if low > high:
        low, high = high, low
    inside = ~((axis < low) | (axis > high))
    if not inside.any():
        raise DataError(
            ACTION,
            f"'{dim}' runs from {axis.min():g} to {axis.max():g} {names.unit(dim)},"
            f" not within {window[0]} to {window[1]}",
        )
    return np.asarray(inside)


def _noise(ds: xr.Dataset, data: xr.DataArray, dim: str) -> Floats | None:
    """Gain and floor of every channel, (2, channel); None where they are not those of the data.

    They are counts, and say nothing about a variable in another unit.
    """
    unit = names.normalise_unit(str(data.attrs.get("units", "")))
    counts = data.name == INTENSITY or unit == names.unit(INTENSITY)
    if names.NOISE_GAIN not in ds or not counts:
        return None
    rows = []
    for name in (names.NOISE_GAIN, names.NOISE_FLOOR):
        term = ds[name] if name in ds else xr.DataArray(0.0)
        extra = [str(d) for d in term.dims if d != dim]
        if extra:
            raise DataError(
                ACTION, f"'{name}' runs over {', '.join(extra)}, not over {dim} alone or nothing",
                f'Average it: ds["{name}"].mean({extra}).',
            )  # fmt: skip
        if "units" in term.attrs:
            term = schema.require_unit(term, name, ACTION)
        rows.append(np.broadcast_to(term.values.astype(np.float64), data.sizes[dim]))
    return np.stack(rows)
