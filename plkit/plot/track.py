"""One quantity against time or power: a peak that moves, an intensity that drifts, a time that shortens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import FIT_STATUS, TEMPERATURE, TIME, stderr_name
from plkit.plot.panel import (
    Extra,
    Layer,
    Panel,
    Points,
    Rug,
    axis_of,
    celsius,
    colour_number,
    scale_of,
)
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import ascending, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_track", "plot_track"]

_MOVIE_TIME = "movie_time"
_FIRST_FAILURE = 3


@styled
def plot_track(
    result: xr.Dataset,
    variable: str = "peak_wavelength",
    *,
    over: str = TIME,
    ax: Axes | None = None,
) -> Figure:
    """Draw one quantity against time or another axis, with σ; a second dim is shown by colours.

    Parameters
    ----------
    result : xarray.Dataset
        For instance of :func:`plkit.fit_peaks`: ``variable`` ([one more dim,] time) in its own unit,
        with ``<variable>_stderr``; ``fit_status`` marks what was not found.
    variable : str, optional
        Name of the quantity.
    over : str, optional
        Dim along which it is drawn: time, power, temperature, an event.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes. Points, not a line: where a maximum goes from one band to another, a
        line would draw what is not there. Grey crosses stand where there is no result.

    Raises
    ------
    DataError
        If there is no such variable, or it runs over more than two dims.

    Examples
    --------
    >>> t = xr.DataArray([0.0, 1.0], dims="time", attrs={"units": "s"})
    >>> peaks = xr.Dataset({"peak_energy": ("time", [1.93, 1.92])}, {"time": t})
    >>> plot_track(peaks, "peak_energy").axes[0].get_xlabel().startswith("Time")
    True
    """
    return on_axes(track_panel(result, variable, over), ax)


def hv_track(result: xr.Dataset, variable: str = "peak_wavelength", *, over: str = TIME) -> Any:
    """Draw for the screen what :func:`plot_track` draws for paper.

    Parameters
    ----------
    result : xarray.Dataset
        For instance of :func:`plkit.fit_peaks`.
    variable : str, optional
        Name of the quantity.
    over : str, optional
        Dim along which it is drawn.

    Returns
    -------
    holoviews.Overlay
        Points with σ.

    Raises
    ------
    DataError
        If there is no such variable, or it runs over more than two dims.

    Examples
    --------
    >>> t = xr.DataArray([0.0, 1.0], dims="time", attrs={"units": "s"})
    >>> peaks = xr.Dataset({"peak_energy": ("time", [1.93, 1.92])}, {"time": t})
    >>> [type(e).__name__ for e in hv_track(peaks, "peak_energy")]
    ['Scatter']
    """
    return dress(track_panel(result, variable, over))


def track_panel(result: xr.Dataset, variable: str, over: str) -> Panel:
    """Points with σ over one dim, coloured by a second one where there is one."""
    action = f"plot {variable} against {over.replace('_', ' ')}"
    if not isinstance(result, xr.Dataset):
        raise DataError(action, f"a {type(result).__name__} was given, not a Dataset")
    if variable not in result:
        found = ", ".join(map(str, result.data_vars)) or "nothing"
        raise DataError(
            action, f"the result holds {found}, not '{variable}'",
            "Peaks are found by plkit.fit_peaks(ds).",
        )  # fmt: skip
    # The averaged frames of a study have a time of their own.
    if over == TIME and TIME not in result[variable].dims and _MOVIE_TIME in result[variable].dims:
        result = result.drop_vars(TIME, errors="ignore").rename({_MOVIE_TIME: TIME})
    values = _kept(result[variable], over)
    others = [str(d) for d in values.dims if d != over]
    if over not in values.dims or len(others) > 1:
        found = ", ".join(map(str, values.dims)) or "none"
        raise DataError(
            action, f"'{variable}' has dims {found}, not {over} and at most one more",
            "Select one place, or use plot_map for a map.",
        )  # fmt: skip
    stderr, status = result.get(stderr_name(variable)), result.get(FIT_STATUS)
    values = ascending(values.transpose(*others, over), over)
    x_axis = axis_of(values[over])
    x = values[over].values.astype(float)
    rows = values.values.astype(float).reshape(-1, x.size)
    rows = np.where(_failed(status, values), np.nan, rows)
    sigma = None if stderr is None else _like(stderr, values).reshape(rows.shape)
    scale = None
    if others:
        second = values[others[0]]
        numbers = second.values if second.dtype.kind in "iuf" else np.arange(second.size)
        scale = scale_of(numbers, axis_of(second), "cividis")
    layers: list[Layer] = []
    for n, row in enumerate(rows):
        colour = colour_number(0)
        extra: Extra = ()
        if scale is not None:
            colour, extra = scale.colour(float(numbers[n])), ((scale.axis, float(numbers[n])),)
        s = None if sigma is None else sigma[n]
        layers.append(Points(x, row, s, colour=colour, size=2.8, extra=extra))
    missing = x[~np.isfinite(rows).any(axis=0)]
    if missing.size:
        layers.append(Rug(missing))
    return Panel(
        x_axis, axis_of(values), tuple(layers), scale=scale, tight=x.size > 60,
        legend="best" if missing.size else "",
        right=celsius() if variable == TEMPERATURE else None,
    )  # fmt: skip


def _kept(da: xr.DataArray, over: str) -> xr.DataArray:
    """Drop dims of length one, but never the one along which is drawn."""
    return da.isel({d: 0 for d in da.dims if d != over and da.sizes[d] == 1}, drop=True)


def _like(da: xr.DataArray, values: xr.DataArray) -> np.ndarray:
    da = da.isel({d: 0 for d in da.dims if d not in values.dims}, drop=True)
    over = str(values.dims[-1])
    wide = ascending(da, over).broadcast_like(values).transpose(*values.dims)
    return np.asarray(wide.values, float)


def _failed(status: xr.DataArray | None, values: xr.DataArray) -> np.ndarray:
    """Where a fit has no values, in the shape of the rows."""
    n = values.sizes[values.dims[-1]]
    if status is None or not set(status.squeeze().dims) <= set(values.dims):
        return np.zeros((max(values.size // max(n, 1), 1), n), bool)
    found = _like(status.astype(float), values) >= _FIRST_FAILURE
    return found.reshape(-1, n)
