"""What unmixing asks of its arguments: every check, and what is made of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.names import COMPONENT, INTENSITY, PARAM_I, PARAM_J
from plkit.unmixing.reference import area_weights

__all__ = [
    "NoiseModel",
    "Terms",
    "background_terms",
    "brightness_of",
    "check_options",
    "measured",
    "noise_model",
    "reference_table",
    "scaled",
]

Floats = NDArray[np.float64]
_ACTION: Final = "unmix"


def measured(ds: xr.Dataset | xr.DataArray) -> tuple[xr.DataArray, str]:
    if isinstance(ds, xr.Dataset):
        if INTENSITY not in ds:
            found = ", ".join(map(str, ds.data_vars)) or "nothing"
            raise DataError(
                _ACTION, f"the dataset holds {found}, not '{INTENSITY}'",
                f'Rename the measured variable, for instance ds.rename(counts="{INTENSITY}").',
            )  # fmt: skip
        data = ds[INTENSITY]
    else:
        data = ds
    dim = schema.spectral_dim(data, _ACTION)
    if data.size == 0:
        raise DataError(
            _ACTION, f"the data has shape {data.shape}: no values, not at least one spectrum"
        )
    if data.dtype.kind not in "iuf":
        raise DataError(_ACTION, f"the data has dtype {data.dtype}, not real numbers")
    taken = [d for d in (COMPONENT, PARAM_I, PARAM_J) if d in data.dims]
    if taken:
        raise DataError(
            _ACTION, f"the data has the dimension '{taken[0]}', not one of a measurement",
            "Select one entry, or rename the dimension.",
        )  # fmt: skip
    if dim not in data.coords:
        raise DataError(
            _ACTION, f"the data has no coordinate '{dim}', not values in {names.unit(dim)}",
            f'Add them: ds.assign_coords({dim}=("{dim}", values)).',
        )  # fmt: skip
    return data, dim


def reference_table(
    refs: xr.DataArray, data: xr.DataArray, dim: str
) -> tuple[Floats, list[str], Floats]:
    """Table (component, channel) in the order of the data's channels, labels, axis."""
    if not isinstance(refs, xr.DataArray):
        raise DataError(
            _ACTION, f"'refs' is a {type(refs).__name__}, not a DataArray ({COMPONENT}, {dim})",
            "Make it with plkit.references(like=ds, …).",
        )  # fmt: skip
    schema.require_dims(refs, (COMPONENT, dim), _ACTION, "'refs'")
    extra = [str(d) for d in refs.dims if d not in (COMPONENT, dim)]
    if extra:
        raise DataError(
            _ACTION, f"'refs' has the dimension {', '.join(extra)} beside {COMPONENT} and {dim}, not two dims",
            "Average over it, or select one entry.",
        )  # fmt: skip
    n = refs.sizes[COMPONENT]
    if n < 2:
        raise DataError(
            _ACTION,
            f"'refs' has {n} component{'' if n == 1 else 's'}, not at least 2",
            "Add a reference.",
        )
    labels = [str(v) for v in refs[COMPONENT].values]
    if len(set(labels)) < n:
        raise DataError(
            _ACTION, f"'refs' names its components {', '.join(labels)}, not each differently",
            "Rename them.",
        )  # fmt: skip
    axis = schema.require_unit(data[dim], dim, _ACTION).values.astype(np.float64)
    table = refs.transpose(COMPONENT, dim).values.astype(np.float64)
    if dim not in refs.coords:
        raise DataError(
            _ACTION, f"'refs' has no coordinate '{dim}'", "Make it with plkit.references."
        )
    own = schema.require_unit(refs[dim], dim, _ACTION).values.astype(np.float64)
    there, here = np.argsort(own, kind="stable"), np.argsort(axis, kind="stable")
    step = np.median(np.abs(np.diff(axis[here]))) if axis.size > 1 else 1.0
    same = own.size == axis.size and bool(np.all(np.abs(own[there] - axis[here]) <= 1e-3 * step))
    if not same:
        unit = names.unit(dim)
        raise DataError(
            _ACTION,
            f"the references lie on {own.size} channels from {own.min():g} to {own.max():g} {unit}, "
            f"not on the data's {axis.size} from {axis.min():g} to {axis.max():g} {unit}",
            "Put them on its axis: plkit.references(like=ds, …).",
        )
    ordered = np.empty_like(table)
    ordered[:, here] = table[:, there]
    return ordered, labels, axis


def check_options(normalise: str, background: Any) -> None:
    if normalise not in ("area", "peak"):
        raise DataError(_ACTION, f"normalise is '{normalise}', not 'area' or 'peak'")
    if not isinstance(background, xr.DataArray) and background not in (
        "none",
        "constant",
        "linear",
    ):
        raise DataError(
            _ACTION,
            f"background is '{background}', not 'none', 'constant', 'linear' or a DataArray",
        )


def scaled(table: Floats, labels: list[str], axis: Floats, dim: str, normalise: str) -> Floats:
    weights = area_weights(axis, dim) if normalise == "area" else np.ones(axis.size)
    finite = np.nan_to_num(table)
    size = finite @ weights if normalise == "area" else finite.max(axis=1)
    for label, value in zip(labels, size, strict=True):
        if not value > 0.0:
            raise DataError(
                _ACTION,
                f"the reference '{label}' has the {normalise} {value:g}, not a positive one",
                "Check that the component emits in this range.",
            )
    return table / size[:, None]


# Noise ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NoiseModel:
    kind: Literal["poisson", "uniform", "variance"]
    usable: NDArray[np.bool_]
    gain: Floats | None = None
    floor: Floats | None = None
    row_weights: Floats | None = None
    variance: xr.DataArray | None = None
    scale: bool = False


def noise_model(
    ds: xr.Dataset | xr.DataArray, data: xr.DataArray, dim: str, noise: Any
) -> NoiseModel:
    every = np.ones(data.sizes[dim], dtype=bool)
    if isinstance(noise, xr.DataArray):
        return _given_variance(noise, data, dim)
    known = isinstance(ds, xr.Dataset) and names.NOISE_GAIN in ds
    if noise is None:
        unit = names.normalise_unit(str(data.attrs.get("units", "")))
        counts = unit == names.unit(INTENSITY) and isinstance(ds, xr.Dataset)
        noise = "poisson" if known or counts else "uniform"
    if noise == "uniform":
        return NoiseModel("uniform", every)
    if noise != "poisson":
        raise DataError(
            _ACTION, f"noise is '{noise}', not 'poisson', 'uniform' or a DataArray of variances"
        )
    if not known:
        warnings.warn(
            f"'{names.NOISE_GAIN}' is not known: Poisson weights are used and σ is scaled by the "
            f"reduced χ² of each spectrum. Set ds['{names.NOISE_GAIN}'] (counts per electron).",
            PlkitWarning,
            stacklevel=3,
        )
    gain = _noise_term(ds, names.NOISE_GAIN, 1.0, data, dim)
    floor = _noise_term(ds, names.NOISE_FLOOR, 0.0, data, dim)
    usable = np.isfinite(gain) & np.isfinite(floor)
    if (
        np.any(gain[usable] < 0.0)
        or np.any(floor[usable] < 0.0)
        or np.any((gain + floor)[usable] == 0.0)
    ):
        raise DataError(
            _ACTION,
            f"'{names.NOISE_GAIN}' and '{names.NOISE_FLOOR}' give a variance that is zero or negative, "
            "not a positive one",
            "See plkit.validate(ds).",
        )
    return NoiseModel("poisson", usable, gain=gain, floor=floor, scale=not known)


def _noise_term(
    ds: xr.Dataset | xr.DataArray, name: str, default: float, data: xr.DataArray, dim: str
) -> Floats:
    if not isinstance(ds, xr.Dataset) or name not in ds:
        return np.full(data.sizes[dim], default)
    term = ds[name]
    extra = [str(d) for d in term.dims if d != dim]
    if extra:
        raise DataError(
            _ACTION, f"'{name}' runs over {', '.join(extra)}, not over {dim} alone or nothing",
            f'Average it: ds["{name}"].mean({extra}).',
        )  # fmt: skip
    if names.normalise_unit(str(data.attrs.get("units", ""))) == names.unit(INTENSITY):
        term = schema.require_unit(term, name, _ACTION)
    return np.broadcast_to(term.values.astype(np.float64), data.sizes[dim]).copy()


def _given_variance(noise: xr.DataArray, data: xr.DataArray, dim: str) -> NoiseModel:
    extra = [str(d) for d in noise.dims if d not in data.dims]
    if extra:
        raise DataError(
            _ACTION, f"the variance has the dimension {', '.join(extra)} that the data has not",
            "Give it over the data's dims, or over the spectral one alone.",
        )  # fmt: skip
    wrong = [str(d) for d in noise.dims if noise.sizes[d] != data.sizes[d]]
    if wrong:
        raise DataError(
            _ACTION,
            f"the variance has {noise.sizes[wrong[0]]} values along {wrong[0]}, not {data.sizes[wrong[0]]}",
            "Take it from the same dataset.",
        )
    if "units" in noise.attrs and "units" in data.attrs:
        found = names.normalise_unit(str(noise.attrs["units"]))
        wanted = f"{names.normalise_unit(str(data.attrs['units']))}^2"
        if names.conversion_factor(found, wanted) != 1.0:
            raise UnitsError(
                _ACTION, f"the variance has units '{found}', not '{wanted}'", "Give σ², not σ."
            )
    every = np.ones(data.sizes[dim], dtype=bool)
    if all(d == dim for d in noise.dims):
        row = np.broadcast_to(noise.values.astype(np.float64), data.sizes[dim])
        usable = np.isfinite(row) & (row > 0.0)
        return NoiseModel("variance", usable, row_weights=1.0 / np.where(usable, row, 1.0))
    return NoiseModel("variance", every, variance=noise.astype(np.float64))


# Terms ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Terms:
    rows: Floats
    labels: tuple[str, ...]


def background_terms(background: str | xr.DataArray, axis: Floats, dim: str) -> Terms:
    n = axis.size
    if isinstance(background, xr.DataArray):
        if background.dims != (dim,) or background.sizes[dim] != n:
            raise DataError(
                _ACTION,
                f"the background has dims {dict(background.sizes)}, not {{'{dim}': {n}}}",
                "Average it over its frames and put it on the data's axis.",
            )
        row = background.values.astype(np.float64)
        if not np.any(np.nan_to_num(row) != 0.0):
            raise DataError(_ACTION, "the background is zero everywhere", 'Use background="none".')
        return Terms(row[None, :], ("background_scale",))
    if background == "none":
        return Terms(np.empty((0, n)), ())
    if background == "constant":
        return Terms(np.ones((1, n)), ("background_level",))
    middle, half = (axis.max() + axis.min()) / 2.0, (axis.max() - axis.min()) / 2.0
    return Terms(
        np.array([np.ones(n), (axis - middle) / (half or 1.0)]),
        ("background_level", "background_tilt"),
    )


def brightness_of(given: Any, labels: list[str]) -> Floats | None:
    if given is None:
        return None
    if isinstance(given, xr.DataArray):
        schema.require_dims(given, (COMPONENT,), _ACTION, "'relative_brightness'")
        given = {
            str(c): float(v) for c, v in zip(given[COMPONENT].values, given.values, strict=True)
        }
    if not isinstance(given, Mapping) or sorted(map(str, given)) != sorted(labels):
        found = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise DataError(
            _ACTION, f"relative_brightness names {found}, not exactly {', '.join(labels)}",
            "Give one number per component.",
        )  # fmt: skip
    values = np.array([float(given[label]) for label in labels])
    if not np.all(np.isfinite(values) & (values > 0.0)):
        raise DataError(
            _ACTION, f"relative_brightness is {values.tolist()}, not positive throughout"
        )
    return values
