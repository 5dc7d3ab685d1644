"""One quantity against time: a peak that moves, an intensity that drifts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import POWER, TIME, stderr_name
from plkit.plot.style import CATEGORICAL, add_colour_bar, colour_map, label, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_track"]


@styled
def plot_track(
    result: xr.Dataset, variable: str = "peak_wavelength", *, ax: Axes | None = None
) -> Figure:
    """Draw one quantity against time, with its σ as a band; several powers are coloured by power.

    Parameters
    ----------
    result : xarray.Dataset
        For instance of :func:`plkit.fit_peaks`: ``variable`` ([power,] time) in its own unit, with
        ``<variable>_stderr``.
    variable : str, optional
        Name of the quantity.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes.

    Raises
    ------
    DataError
        If there is no such variable, or it does not run over time (and power) alone.

    Examples
    --------
    >>> t = xr.DataArray([0.0, 1.0], dims="time", attrs={"units": "s"})
    >>> peaks = xr.Dataset({"peak_energy": ("time", [1.93, 1.92])}, {"time": t})
    >>> plot_track(peaks, "peak_energy").axes[0].get_xlabel().startswith("Time")
    True
    """
    action = f"plot {variable} against time"
    if variable not in result:
        found = ", ".join(map(str, result.data_vars)) or "nothing"
        raise DataError(action, f"the result holds {found}, not '{variable}'")
    values = result[variable].squeeze(drop=True)
    if set(values.dims) not in ({TIME}, {TIME, POWER}):
        found = ", ".join(map(str, values.dims)) or "none"
        raise DataError(
            action,
            f"'{variable}' has dims {found}, not time alone",
            "Select one place, as in a map.",
        )
    stderr = result.get(stderr_name(variable))
    stderr = None if stderr is None else stderr.squeeze(drop=True)
    figure, ax = new_axes(ax)
    time = values[TIME].values.astype(float)
    if POWER in values.dims:
        _draw_powers(figure, ax, time, values)
    else:
        # Points: where the maximum goes from one band to another, a line would draw what is not there.
        error = None if stderr is None else stderr.values
        ax.errorbar(
            time,
            values.values,
            error,
            fmt=".",
            color=CATEGORICAL[0],
            ms=2.5,
            elinewidth=0.5,
            capsize=0,
        )
    ax.margins(x=0.0)
    ax.set_xlabel(label(TIME))
    ax.set_ylabel(label(variable))
    return figure  # type: ignore[return-value]


def _draw_powers(figure: Any, ax: Any, time: np.ndarray, values: xr.DataArray) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    power = values[POWER].values.astype(float)
    mappable = ScalarMappable(Normalize(power.min(), power.max()), colour_map("cividis"))
    for i, p in enumerate(power):
        ax.plot(time, values.isel({POWER: i}).values, ".", color=mappable.to_rgba(p), ms=1.8)
    add_colour_bar(figure, mappable, ax, label(POWER))
