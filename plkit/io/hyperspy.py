"""HyperSpy and LumiSpy: a dataset as their signal, and back. Both are optional, and GPL-3."""

from __future__ import annotations

import importlib
import json
from typing import Any, Final

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import DataError, MissingExtraError
from plkit.io.common import measured_variable, spectral_dim_of_unit
from plkit.io.writing_csv import plain

__all__ = ["from_hyperspy", "to_hyperspy"]

_NOTE: Final = "plkit.note"
_NOISE: Final = "Signal.Noise_properties.Variance_linear_model"
_EVEN: Final = 1e-12


def to_hyperspy(ds: xr.Dataset) -> Any:
    """Turn a dataset into a HyperSpy signal, a LumiSpy one where LumiSpy is installed.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts], or another measured quantity over a spectral axis or a
        delay.

    Returns
    -------
    hyperspy.signals.Signal1D
        The spectral axis (or delay) is its signal axis, the other dims are its navigation axes;
        ``LumiSpectrum`` or ``LumiTransient`` with LumiSpy. Scalar ``noise_gain`` and ``noise_floor``
        become its linear model of the variance. Everything else goes along in ``metadata.plkit``,
        so that :func:`from_hyperspy` gives the same dataset back. Lazy data are computed.

    Raises
    ------
    DataError
        If nothing was measured over a spectral axis or a delay.
    MissingExtraError
        If HyperSpy is not installed.

    Examples
    --------
    >>> signal = to_hyperspy(ds)                                                 # doctest: +SKIP
    >>> signal                                                                   # doctest: +SKIP
    <LumiSpectrum, title: film.sif, dimensions: (20, 15|507)>
    """
    action = "make a HyperSpy signal"
    if not isinstance(ds, xr.Dataset):
        raise DataError(
            action, f"the argument is a {type(ds).__name__}, not a Dataset",
            f'Use da.to_dataset(name="{names.INTENSITY}").',
        )  # fmt: skip
    variable = measured_variable(ds)
    if variable is None:
        raise DataError(
            action, "the dataset has no measured variable over a spectral dim or a delay"
        )
    hyperspy = _library("hyperspy.api", action)
    da = ds[variable]
    spectral = next(d for d in names.MEASURED_DIMS if d in da.dims)
    ordered = da.transpose(..., spectral)
    rest = ds.drop_vars([variable])
    note = {
        "variable": variable,
        "dims": list(map(str, da.dims)),
        "attrs": da.attrs,
        "rest": rest.to_dict(encoding=False),
        "dtypes": {str(n): rest[n].dtype.str for n in rest.variables},
    }
    unit = str(da.attrs.get("units", ""))
    metadata: dict[str, Any] = {
        "General": {"title": str(ds.attrs.get("source_file", variable))},
        "Signal": {"quantity": f"{variable} ({unit})" if unit else variable},
    }
    signal = hyperspy.signals.Signal1D(
        np.array(ordered.values),
        axes=[_axis(ordered, str(d)) for d in ordered.dims],
        metadata=metadata,
    )
    signal.metadata.set_item(_NOTE, json.dumps(note, default=plain))
    noise = (names.NOISE_GAIN, names.NOISE_FLOOR)
    if variable == names.INTENSITY and all(n in ds and ds[n].ndim == 0 for n in noise):
        model = {"gain_factor": float(ds[noise[0]]), "gain_offset": float(ds[noise[1]])}
        signal.metadata.set_item(_NOISE, {**model, "correlation_factor": 1.0})
    try:
        importlib.import_module("lumispy")
    except ImportError:
        return signal
    signal.set_signal_type("Transient" if spectral == names.DELAY else "Luminescence")
    return signal


def from_hyperspy(signal: Any) -> xr.Dataset:
    """Turn a HyperSpy signal of spectra into a dataset.

    Parameters
    ----------
    signal : hyperspy.signals.Signal1D
        With one signal axis. Without what :func:`to_hyperspy` left in its metadata, the unit of that
        axis says what it is (nm, eV, 1/cm; ns for a delay), and the navigation axes have names of
        plkit's dims (``x``, ``y``, ``time``, …).

    Returns
    -------
    xarray.Dataset
        With ``intensity`` (…, λ), in the type of the signal's data; counts if its quantity does not
        name another unit.

    Raises
    ------
    DataError
        If the signal has another number of signal axes, or an axis cannot be told.

    Examples
    --------
    >>> from_hyperspy(signal).sizes                                              # doctest: +SKIP
    Frozen({'y': 15, 'x': 20, 'wavelength': 507})
    """
    action = "take a HyperSpy signal"
    manager = getattr(signal, "axes_manager", None)
    if manager is None or not hasattr(signal, "metadata"):
        raise DataError(action, f"the argument is a {type(signal).__name__}, not a signal")
    if manager.signal_dimension != 1:
        raise DataError(
            action, f"it has {manager.signal_dimension} signal axes, not 1",
            "Call signal.as_signal1D(axis) first.",
        )  # fmt: skip
    data = np.asarray(signal.data)  # computes a lazy signal
    kept = signal.metadata.get_item(_NOTE, default=None)
    if kept is not None:
        known = _restored(signal, data, json.loads(kept))
        if known is not None:
            return known
    axes = list(manager._axes)
    spectral = manager.signal_axes[0]
    coords: dict[str, Any] = {}
    dims = []
    for axis in axes:
        dim = _dim_of(axis, axis is spectral, action)
        unit = names.normalise_unit(str(axis.units)) if _is_set(axis.units) else None
        if unit is None:
            raise DataError(
                action, f"the axis '{dim}' has no units, not '{names.unit(dim)}'",
                f"Set signal.axes_manager[{axis.name!r}].units.",
            )  # fmt: skip
        dims.append(dim)
        coords[dim] = (dim, np.array(axis.axis), {**names.attrs(dim), "units": unit})
    quantity = str(signal.metadata.get_item("Signal.quantity", default=""))
    unit = quantity.rpartition("(")[2].rstrip(") ") if quantity.endswith(")") else ""
    attrs = names.attrs(names.INTENSITY)
    if unit and unit.lower() != attrs["units"]:  # HyperSpy writes "Counts"
        attrs["units"] = names.normalise_unit(unit)
    ds = xr.Dataset({names.INTENSITY: (dims, data, attrs)}, coords)
    model = signal.metadata.get_item(_NOISE, default=None)
    if model is not None:
        for name, key in ((names.NOISE_GAIN, "gain_factor"), (names.NOISE_FLOOR, "gain_offset")):
            ds[name] = ((), float(model.get_item(key, default=0.0)), names.attrs(name))
    title = str(signal.metadata.get_item("General.title", default=""))
    if title:
        ds.attrs["title"] = title
    ds = schema.conform(ds)
    schema.validate(ds).raise_if_faulty(action)
    return schema.add_history(ds, "from_hyperspy()")


def _library(name: str, action: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise MissingExtraError(
            action, "HyperSpy is not installed", "Install it: pip install hyperspy lumispy."
        ) from exc


def _is_set(value: Any) -> bool:
    """Whether a trait of an axis was given; an undefined one is an object of its own."""
    return value is not None and str(value) not in ("", "<undefined>")


def _axis(da: xr.DataArray, dim: str) -> dict[str, Any]:
    """Axis for HyperSpy: even where it is, with all its values where it is not."""
    coordinate = da[dim]
    unit = str(coordinate.attrs.get("units", ""))
    axis: dict[str, Any] = {"name": dim, "units": unit, "navigate": dim not in names.MEASURED_DIMS}
    n = da.sizes[dim]
    if dim not in da.coords or coordinate.dtype.kind not in "iuf":
        return {**axis, "size": n, "offset": 0.0, "scale": 1.0}
    values = coordinate.values.astype(np.float64)
    scale = float(values[-1] - values[0]) / (n - 1) if n > 1 else 1.0
    even = values[0] + scale * np.arange(n)
    close = np.max(np.abs(even - values)) <= _EVEN * max(float(np.max(np.abs(values))), 1e-300)
    if close and scale != 0.0:
        return {**axis, "size": n, "offset": float(values[0]), "scale": scale}
    return {**axis, "axis": values}


def _restored(signal: Any, data: Any, note: dict[str, Any]) -> xr.Dataset | None:
    """The dataset that was turned into this signal; None if its axes were changed since."""
    rest = xr.Dataset.from_dict(note["rest"])
    for name, dtype in note["dtypes"].items():
        if rest[name].dtype.str != dtype:
            rest[name] = rest[name].astype(dtype)
    spectral = next(d for d in names.MEASURED_DIMS if d in note["dims"])
    stored = [d for d in note["dims"] if d != spectral] + [spectral]
    axes = list(signal.axes_manager._axes)
    if [a.name for a in axes] != stored:
        return None
    for axis, dim in zip(axes, stored, strict=True):
        if dim in rest.coords and rest[dim].dtype.kind in "iuf":
            own = rest[dim].values.astype(np.float64)
            if own.size != axis.size or not np.allclose(own, axis.axis, rtol=1e-9, atol=0.0):
                return None
        elif rest.sizes.get(dim, axis.size) != axis.size:
            return None
    values = xr.DataArray(data, dims=stored, attrs=note["attrs"])
    return rest.assign({note["variable"]: values.transpose(*note["dims"])})


def _dim_of(axis: Any, spectral: bool, action: str) -> str:
    """Name of plkit for an axis of HyperSpy."""
    name = str(axis.name) if _is_set(axis.name) else ""
    if not spectral:
        if name.lower() in names.CANONICAL_ORDER:
            return name.lower()
        raise DataError(
            action, f"the navigation axis is '{name}', not one of {', '.join(names.CANONICAL_ORDER)}",
            "Rename it: signal.axes_manager[0].name = \"x\".",
        )  # fmt: skip
    if name.lower() in names.MEASURED_DIMS:
        return name.lower()
    unit = names.normalise_unit(str(axis.units)) if _is_set(axis.units) else ""
    dim = spectral_dim_of_unit(unit) if unit else None
    if dim is None and unit and names.conversion_factor(unit, names.unit(names.DELAY)) is not None:
        dim = names.DELAY
    if dim is None:
        raise DataError(
            action, f"the signal axis '{name}' has the unit '{unit}', not nm, eV, 1/cm or ns",
            "Set signal.axes_manager[-1].units.",
        )  # fmt: skip
    return dim
