"""What a valid dataset is, and one check that reports every fault at once.

A measured dataset is an ``xarray.Dataset`` with the variable ``intensity`` (counts), one spectral
dimension that comes last and ascends, the other dims in canonical order, and a unit on every axis.
A decay trace has no spectral dimension but ``delay``.
``noise_gain`` (counts) and ``noise_floor`` (counts²) carry the noise model
variance = gain · expected + floor; each is a scalar or runs over the spectral dimension.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError, UnitsError

__all__ = [
    "Fault",
    "ValidationReport",
    "add_history",
    "conform",
    "require_dims",
    "require_unit",
    "spectral_dim",
    "validate",
]

# Axes on which order carries meaning: they must ascend and may not repeat.
_ORDERED_AXES: Final = (
    *names.SPECTRAL_DIMS, names.TIME, names.DELAY, names.Y, names.X, names.R, names.Z,
)  # fmt: skip
# Axes that are labels or may be measured twice.
_NO_UNIT_NEEDED: Final = (
    names.COMPONENT, names.SAMPLE, names.EVENT, names.POINT, names.PARAM_I, names.PARAM_J,
)  # fmt: skip

FaultCode = Literal[
    "missing_variable", "missing_dim", "unknown_dim", "dim_order", "missing_coordinate",
    "missing_unit", "convertible_unit", "wrong_unit", "not_finite_axis", "descending_axis",
    "duplicate_axis", "unsorted_axis", "nan_channel", "nan_spectrum", "saturated", "not_numeric",
    "empty", "noise_model",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a dataset.

    Parameters
    ----------
    code : str
        Kind of fault, for programs.
    variable : str
        Name of the variable or coordinate.
    message : str
        What is wrong, for people.
    remedy : str
        What to do about it.
    severity : {"error", "warning"}
        A warning leaves the dataset usable.
    """

    code: FaultCode
    variable: str
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.severity}: {self.message} {self.remedy}".rstrip()


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """All faults of a dataset.

    Parameters
    ----------
    faults : tuple of Fault
        In the order in which they were found; empty for a valid dataset.
    """

    faults: tuple[Fault, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """True where no fault is an error; warnings may remain."""
        return not any(f.severity == "error" for f in self.faults)

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all faults."""
        return tuple(f.code for f in self.faults)

    def __str__(self) -> str:
        """Return one line per fault."""
        return "\n".join(map(str, self.faults)) if self.faults else "valid"

    def raise_if_faulty(self, action: str = "use this dataset") -> None:
        """Raise one DataError that names every error.

        Parameters
        ----------
        action : str, optional
            The words after "Cannot" in the message.

        Raises
        ------
        DataError
            If any fault is an error.
        """
        errors = [f for f in self.faults if f.severity == "error"]
        if errors:
            raise DataError(
                action,
                "; ".join(f.message.rstrip(".") for f in errors),
                " ".join(dict.fromkeys(f.remedy for f in errors if f.remedy)),
            )


def spectral_dim(data: xr.Dataset | xr.DataArray, action: str = "use this dataset") -> str:
    """Name of the spectral dimension.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        With exactly one of the dims in ``names.SPECTRAL_DIMS``.
    action : str, optional
        The words after "Cannot" in the error.

    Returns
    -------
    str
        The one dimension along which light is dispersed.

    Raises
    ------
    DataError
        If there is none, or more than one.

    Examples
    --------
    >>> spectral_dim(xr.DataArray(np.zeros(3), dims="wavelength"))
    'wavelength'
    """
    if not isinstance(data, xr.Dataset | xr.DataArray):
        raise DataError(
            action,
            f"the data is a {type(data).__name__}, not an xarray Dataset with labelled axes",
            "Make one with plkit.read(path), or name the axes: xr.DataArray(values, dims=…, coords=…).",
        )
    found = [d for d in names.SPECTRAL_DIMS if d in data.dims]
    if len(found) != 1:
        what = "no spectral dimension" if not found else f"the spectral dimensions {found}"
        raise DataError(
            action,
            f"the data has {what}, not exactly one of {', '.join(names.SPECTRAL_DIMS)} "
            f"(its dims are {', '.join(map(str, data.dims)) or 'none'})",
            f'Rename the axis, for instance ds.rename(wl="{names.WAVELENGTH}").',
        )
    return found[0]


def require_dims(
    data: xr.Dataset | xr.DataArray, dims: Sequence[str], action: str, what: str = "the data"
) -> None:
    """Raise DataError where one of ``dims`` is missing.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        The argument at the door of a function.
    dims : sequence of str
        Dims that must be there.
    action : str
        The words after "Cannot".
    what : str, optional
        Name of the argument in the message.

    Raises
    ------
    DataError
        If a dimension is missing.
    """
    missing = [d for d in dims if d not in data.dims]
    if missing:
        found = ", ".join(map(str, data.dims)) or "none"
        raise DataError(
            action,
            f"{what} has dims {found}, not the required {', '.join(missing)}",
            "Rename or add the dimension.",
        )


def require_unit(data: xr.DataArray, name: str, action: str) -> xr.DataArray:
    """Return ``data`` in the unit of ``name``, converting where that is possible.

    Parameters
    ----------
    data : xarray.DataArray
        With ``attrs["units"]``.
    name : str
        Quantity in ``names.TABLE`` whose unit is required.
    action : str
        The words after "Cannot".

    Returns
    -------
    xarray.DataArray
        In the required unit.

    Raises
    ------
    UnitsError
        If there is no unit, or one of another kind.

    Examples
    --------
    >>> t = xr.DataArray([0.0, 60.0], attrs={"units": "min"})
    >>> require_unit(t, "time", "fit").values.tolist()
    [0.0, 3600.0]
    """
    wanted = names.unit(name)
    shown = data.name if data.name is not None else name
    if "units" not in data.attrs:
        if wanted == "1":
            return data
        raise UnitsError(
            action,
            f"'{shown}' has units 'none', not '{wanted}'",
            f'Set ds["{shown}"].attrs["units"] = "{wanted}".',
        )
    found = str(data.attrs["units"])
    factor = names.conversion_factor(found, wanted)
    if factor is None:
        raise UnitsError(
            action,
            f"'{shown}' has units '{found}', not '{wanted}'",
            f"Convert it first; '{found}' cannot be scaled to '{wanted}'.",
        )
    if factor == 1.0:
        return data
    return (data * factor).assign_attrs({**data.attrs, "units": wanted})


def validate(ds: xr.Dataset, variable: str = names.INTENSITY) -> ValidationReport:
    """Find every fault of a dataset at once.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts] or another spectral dimension, or (…, delay) for a
        decay trace.
    variable : str, optional
        The measured variable, where it is not ``intensity``.

    Returns
    -------
    ValidationReport
        ``report.ok``, ``report.faults``, ``str(report)``, ``report.raise_if_faulty()``.

    See Also
    --------
    conform : mends what can be mended without guessing.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0, 2.0])}, {"wavelength": [510.0, 500.0]})
    >>> validate(ds).codes
    ('missing_unit', 'missing_unit', 'descending_axis', 'noise_model')
    """
    return ValidationReport(tuple(_faults(ds, variable)))


def _faults(ds: xr.Dataset, variable: str) -> Iterator[Fault]:
    if not isinstance(ds, xr.Dataset):
        raise DataError(
            "validate",
            f"the argument is a {type(ds).__name__}, not a Dataset",
            f'Use da.to_dataset(name="{variable}").',
        )
    if variable not in ds.data_vars:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        yield Fault(
            "missing_variable", variable, f"'{variable}' is missing, the dataset holds {found}.",
            f'Rename the measured variable, for instance ds.rename(counts="{variable}").',
        )  # fmt: skip
        return
    da = ds[variable]
    yield from _dim_faults(da)
    yield from _unit_faults(da, variable)
    for dim in da.dims:
        if dim in da.coords and str(dim) not in _NO_UNIT_NEEDED and str(dim) in names.TABLE:
            yield from _unit_faults(da[dim], str(dim))
    for dim in da.dims:
        if dim in da.coords and str(dim) in _ORDERED_AXES:
            yield from _axis_faults(da[dim], str(dim))
    if da.size == 0:
        yield Fault("empty", variable, f"'{variable}' has shape {da.shape}: no values.", "")
        return
    if da.dtype.kind not in "iuf":
        yield Fault(
            "not_numeric", variable, f"'{variable}' has dtype {da.dtype}, not a number.", ""
        )
        return
    yield from _value_faults(da, ds, variable)
    yield from _noise_faults(ds, da)


def _dim_faults(da: xr.DataArray) -> Iterator[Fault]:
    dims = [str(d) for d in da.dims]
    spectral = [d for d in dims if d in names.SPECTRAL_DIMS]
    if len(spectral) != 1 and (spectral or names.DELAY not in dims):
        yield Fault(
            "missing_dim", str(da.name),
            f"'{da.name}' has dims {', '.join(dims) or 'none'}: {len(spectral)} spectral dims, not one.",
            f"Use exactly one of {', '.join(names.SPECTRAL_DIMS)}, or '{names.DELAY}' for a decay trace.",
        )  # fmt: skip
    for d in dims:
        if d not in names.CANONICAL_ORDER:
            yield Fault(
                "unknown_dim", d, f"dimension '{d}' is not in plkit's nomenclature.",
                f"Rename it to one of {', '.join(names.CANONICAL_ORDER)}.", "warning",
            )  # fmt: skip
        if d not in da.coords and d not in (names.POINT,):
            yield Fault(
                "missing_coordinate", d, f"dimension '{d}' has no coordinate values.",
                f'Add them: ds = ds.assign_coords({d}=("{d}", values)).',
            )  # fmt: skip
    known = [d for d in dims if d in names.CANONICAL_ORDER]
    if known != sorted(known, key=names.CANONICAL_ORDER.index):
        yield Fault(
            "dim_order", str(da.name), f"dims are ({', '.join(dims)}), not in canonical order.",
            "Call plkit.schema.conform(ds).", "warning",
        )  # fmt: skip


def _unit_faults(da: xr.DataArray, name: str) -> Iterator[Fault]:
    wanted = names.unit(name) if name in names.TABLE else None
    if wanted is None or wanted == "1":
        return
    if "units" not in da.attrs:
        yield Fault(
            "missing_unit", name, f"'{name}' has no units, not '{wanted}'.",
            f'Set ds["{name}"].attrs["units"] = "{wanted}".',
        )  # fmt: skip
        return
    found = str(da.attrs["units"])
    if found == wanted:
        return
    if names.conversion_factor(found, wanted) is not None:
        yield Fault(
            "convertible_unit", name, f"'{name}' has units '{found}', not '{wanted}'.",
            "Call plkit.schema.conform(ds) to convert.",
        )  # fmt: skip
    else:
        yield Fault(
            "wrong_unit", name, f"'{name}' has units '{found}', which is no '{wanted}'.",
            "Find out what was measured; this cannot be converted by a factor.",
        )  # fmt: skip


def _axis_faults(coord: xr.DataArray, name: str) -> Iterator[Fault]:
    values = np.asarray(coord.values)
    if values.dtype.kind not in "iuf":
        yield Fault("not_numeric", name, f"axis '{name}' has dtype {values.dtype}.", "Use numbers.")
        return
    if not np.all(np.isfinite(values)):
        n = int(np.sum(~np.isfinite(values)))
        yield Fault(
            "not_finite_axis", name, f"axis '{name}' has {n} NaN or infinite values.", "Drop them."
        )
        return
    steps = np.diff(values)
    if steps.size == 0:
        return
    if np.any(np.sort(values)[1:] == np.sort(values)[:-1]):
        n = int(np.sum(np.diff(np.sort(values)) == 0))
        yield Fault(
            "duplicate_axis", name, f"axis '{name}' repeats {n} of its {values.size} values.",
            f'Average or drop them: ds.groupby("{name}").mean() or ds.drop_duplicates("{name}").',
        )  # fmt: skip
    if np.all(steps <= 0) and np.any(steps < 0):
        yield Fault(
            "descending_axis",
            name,
            f"axis '{name}' descends.",
            "Call plkit.schema.conform(ds) to sort.",
        )
    elif np.any(steps < 0):
        yield Fault(
            "unsorted_axis",
            name,
            f"axis '{name}' is not sorted.",
            "Call plkit.schema.conform(ds) to sort.",
        )


def _value_faults(da: xr.DataArray, ds: xr.Dataset, variable: str) -> Iterator[Fault]:
    spectral = [d for d in da.dims if d in names.SPECTRAL_DIMS]
    if da.dtype.kind == "f" and spectral:
        bad = ~(abs(da) < np.inf)  # NaN and infinite alike
        others = [d for d in da.dims if d not in spectral]
        n_channels = int(bad.all(others).sum()) if others else 0
        n_spectra = int(bad.all(spectral).sum())
        if n_channels:
            yield Fault(
                "nan_channel", variable,
                f"{n_channels} of {da.sizes[spectral[0]]} channels hold no number in any spectrum.",
                "They are left out of every fit.", "warning",
            )  # fmt: skip
        if n_spectra:
            total = da.size // da.sizes[spectral[0]]
            yield Fault(
                "nan_spectrum", variable, f"{n_spectra} of {total} spectra hold no number.",
                "Their results are NaN.", "warning",
            )  # fmt: skip
    level = _saturation_level(ds, da)
    if level is not None:
        n = int((da >= level).sum())
        if n:
            yield Fault(
                "saturated", variable, f"{n} values reach the saturation level of {level:g} counts.",
                "Mask them: plkit.spectra.mask_saturation(ds).", "warning",
            )  # fmt: skip


def _saturation_level(ds: xr.Dataset, da: xr.DataArray) -> float | None:
    """Stated level, or the top of an unsigned integer type, which no honest count reaches."""
    if "saturation_level" in ds:
        return float(ds["saturation_level"])
    if "saturation_level" in da.attrs:
        return float(da.attrs["saturation_level"])
    if da.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(da.dtype).max)
    return None


def _noise_faults(ds: xr.Dataset, da: xr.DataArray) -> Iterator[Fault]:
    for name in (names.NOISE_GAIN, names.NOISE_FLOOR):
        if name not in ds:
            continue
        noise = ds[name]
        extra = [str(d) for d in noise.dims if d not in names.SPECTRAL_DIMS]
        if extra:
            yield Fault(
                "noise_model", name, f"'{name}' runs over {', '.join(extra)}.",
                "It may be a scalar or run over the spectral dimension.",
            )  # fmt: skip
        if not bool((noise >= 0).all()):
            yield Fault("noise_model", name, f"'{name}' is negative or NaN.", "Variances are not.")
        yield from _unit_faults(noise, name)
    if names.NOISE_GAIN not in ds and da.name == names.INTENSITY:
        yield Fault(
            "noise_model", names.NOISE_GAIN, "the detector's gain is not known.",
            "σ will be scaled by the reduced χ². Set ds['noise_gain'] (counts per electron).",
            "warning",
        )  # fmt: skip


def conform(ds: xr.Dataset, variable: str = names.INTENSITY) -> xr.Dataset:
    """Mend what can be mended without guessing: units by a factor, order of axes and of dims.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``variable``.
    variable : str, optional
        The measured variable.

    Returns
    -------
    xarray.Dataset
        With convertible units converted, ordered axes ascending, dims in canonical order.
        Missing units, duplicates and NaN are left as they are, for :func:`validate` to report.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0, 2.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [0.51, 0.5], {"units": "um"})})
    >>> conform(ds).wavelength.values.tolist()
    [500.0, 510.0]
    """
    out = ds
    for name in [str(n) for n in (*ds.coords, variable) if n in ds.variables]:
        if name not in names.TABLE or "units" not in out[name].attrs:
            continue
        factor = names.conversion_factor(str(out[name].attrs["units"]), names.unit(name))
        if factor is None:
            continue
        units = {"units": names.unit(name)}
        new = out[name] if factor == 1.0 else out[name] * factor
        out = out.assign({name: new.assign_attrs({**out[name].attrs, **units})})
    for dim in _ORDERED_AXES:
        if dim in out.dims and dim in out.coords and out[dim].dtype.kind in "iuf":
            values = out[dim].values
            if np.all(np.isfinite(values)) and np.any(np.diff(values) < 0):
                out = out.isel({dim: np.argsort(values, kind="stable")})
    order = [d for d in names.CANONICAL_ORDER if d in out.dims]
    return out.transpose(*[d for d in out.dims if d not in order], *order)


def add_history(ds: xr.Dataset, step: str) -> xr.Dataset:
    """Return ``ds`` with one line added to ``attrs["history"]``.

    Parameters
    ----------
    ds : xarray.Dataset
        Any dataset.
    step : str
        What was done, for instance ``"despike(threshold=8): 81 pixels masked"``.

    Returns
    -------
    xarray.Dataset
        A shallow copy.
    """
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines: list[Any] = [line for line in (ds.attrs.get("history"), f"{stamp} plkit.{step}") if line]
    return ds.assign_attrs(history="\n".join(lines))
