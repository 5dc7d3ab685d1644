"""Which trace to fit: the variable, its σ, and the component that falls."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit.errors import DataError
from plkit.fit.traces import Traces, stack_traces
from plkit.names import COMPONENT, TIME, stderr_name
from plkit.schema import require_unit

__all__ = ["choose_component", "end_levels", "select_trace"]

Floats = NDArray[np.float64]

_FRACTION = "fraction"


def select_trace(
    data: xr.Dataset | xr.DataArray, stderr: xr.DataArray | ArrayLike | None, action: str
) -> tuple[xr.DataArray, xr.DataArray | ArrayLike | None]:
    """Fraction and σ of a dataset, or the array itself.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        With ``fraction`` and, if possible, ``fraction_stderr``; or one array.
    stderr : xarray.DataArray, array_like or None
        Goes before ``fraction_stderr``.
    action : str
        The words after "Cannot" in errors.
    """
    if isinstance(data, xr.DataArray):
        return data, stderr
    if not isinstance(data, xr.Dataset):
        raise DataError(action, f"the data is a {type(data).__name__}, not an xarray object")
    if _FRACTION not in data:
        found = ", ".join(map(str, data.data_vars)) or "nothing"
        raise DataError(
            action,
            f"the dataset holds {found}, not the required {_FRACTION}",
            "Pass the result of plkit.unmix, or one array.",
        )
    sigma = data.get(stderr_name(_FRACTION)) if stderr is None else stderr
    if isinstance(sigma, xr.DataArray):
        sigma = require_unit(sigma, stderr_name(_FRACTION), action) if stderr is None else sigma
    return require_unit(data[_FRACTION], _FRACTION, action), sigma


def end_levels(traces: Traces) -> tuple[Floats, Floats, Floats]:
    """Weighted means over the first and the last quarter of the points, and σ of their difference.

    Parameters
    ----------
    traces : Traces
        Any.

    Returns
    -------
    tuple of numpy.ndarray
        Start, end, σ, each of shape (rows,); NaN where a trace has fewer than two points. Without
        σ of the points, the scatter about the two means stands for it.
    """
    w = traces.weight
    y = np.where(w > 0, traces.signal, 0.0)
    rank = np.cumsum(w > 0, axis=1)
    n = traces.n_points[:, None]
    quarter = np.maximum(n // 4, 1)
    early = np.where((rank <= quarter) & (n > 1), w, 0.0)
    late = np.where((rank > n - quarter) & (n > 1), w, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        start = (early * y).sum(axis=1) / early.sum(axis=1)
        end = (late * y).sum(axis=1) / late.sum(axis=1)
        variance = 1.0 / early.sum(axis=1) + 1.0 / late.sum(axis=1)
        if traces.sigma is None:
            scatter = early * (y - start[:, None]) ** 2 + late * (y - end[:, None]) ** 2
            left = np.maximum(2 * quarter[:, 0] - 2, 1)
            variance = variance * scatter.sum(axis=1) / left
    return start, end, np.sqrt(variance)


def choose_component(
    trace: xr.DataArray, stderr: xr.DataArray | ArrayLike | None, action: str
) -> str:
    """Name of the component that falls most between the ends of the record.

    Parameters
    ----------
    trace : xarray.DataArray
        Dims component, time and any others, over which the falls are added up.
    stderr : xarray.DataArray, array_like or None
        One σ; each fall then counts with 1/σ².
    action : str
        The words after "Cannot" in errors.
    """
    traces = stack_traces(trace, TIME, stderr, action)
    start, end, sigma = end_levels(traces)
    weight = np.ones_like(sigma) if traces.sigma is None else 1.0 / sigma**2
    good = np.isfinite(start - end) & np.isfinite(weight)
    fall = np.where(good, (start - end) * np.where(good, weight, 0.0), 0.0)
    axis = traces.outer.dims.index(COMPONENT)
    by_component = np.moveaxis(fall.reshape(traces.outer.shape), axis, 0)
    sums = by_component.reshape(by_component.shape[0], -1).sum(axis=1)
    return str(trace[COMPONENT].values[int(np.argmax(sums))])
