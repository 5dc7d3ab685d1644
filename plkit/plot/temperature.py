"""Figure of the heating: the field under the spot, and the temperature against power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import POWER, TIME, R, Z
from plkit.plot.style import (
    CATEGORICAL,
    add_colour_bar,
    colour_map,
    label,
    new_axes,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_temperature"]

_ACTION = "plot the temperature"


@styled
def plot_temperature(heat: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw the steady temperature rise under the spot, and the temperatures against laser power.

    Parameters
    ----------
    heat : xarray.Dataset
        Result of :func:`plkit.simulate_heating`; with powers both panels are drawn, without only
        the field.
    ax : matplotlib.axes.Axes, optional
        Axes for the temperatures against power, which are then drawn alone; a figure of two
        columns' width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes. The bands are one σ, shared by all powers.

    Raises
    ------
    DataError
        If the dataset holds no temperatures.

    Examples
    --------
    >>> heat = xr.Dataset({"detection_temperature": ("power", [296.0, 299.0]),
    ...                    "ambient_temperature": 293.0}, {"power": [40.0, 80.0]})
    >>> plot_temperature(heat).axes[0].lines[0].get_ydata().tolist()
    [293.0, 296.0, 299.0]
    """
    has_powers = "detection_temperature" in heat
    if not has_powers and (ax is not None or "rise_per_power" not in heat):
        found = ", ".join(map(str, heat.data_vars)) or "none"
        raise DataError(
            _ACTION, f"the dataset has the variables {found}, not temperatures",
            "Give the result of simulate_heating(…, power_uw=…).",
        )  # fmt: skip
    if ax is not None:
        figure, ax = new_axes(ax)
        _draw_powers(ax, heat)
        return figure  # type: ignore[return-value]
    if not has_powers or "rise_per_power" not in heat:
        one, ax = new_axes(None, aspect=0.8)
        if has_powers:
            _draw_powers(ax, heat)
        else:
            _draw_field(one, ax, heat)
        return one  # type: ignore[return-value]
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = new_figure("double", 0.38)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    figure.set_layout_engine(ConstrainedLayoutEngine(wspace=0.05))
    new_axes(left)
    new_axes(right)
    _draw_field(figure, left, heat)
    _draw_powers(right, heat)
    return figure


def _draw_field(figure: Any, ax: Any, heat: xr.Dataset) -> None:
    """Contours of the rise per power over radius (mirrored) and depth."""
    from scipy.interpolate import pchip_interpolate

    rise = heat["rise_per_power"]
    rise = rise.isel({TIME: -1}) if TIME in rise.dims else rise
    rise = rise.transpose(Z, R)
    r, z = rise[R].values.astype(float), rise[Z].values.astype(float)
    if r.size < 2 or z.size < 2:
        raise DataError(_ACTION, "the field has one radius or one depth, not at least two of each")
    mirrored = np.concatenate([-r[:0:-1], r])
    values = np.concatenate([rise.values[:, :0:-1], rise.values], axis=1)
    # For the eye: monotone between the computed depths, dense at the film and sparse below.
    depth = np.linspace(z.min(), z.max(), 300)
    fine = pchip_interpolate(z, values, depth, axis=0)
    image = ax.pcolormesh(
        mirrored, depth, fine, cmap=colour_map(), shading="nearest", rasterized=True,
        vmin=0.0,
    )  # fmt: skip
    peak = float(fine.max())
    lines = ax.contour(
        mirrored, depth, fine, levels=[0.1 * peak, 0.25 * peak, 0.5 * peak],
        colors="white", linewidths=0.6,
    )  # fmt: skip
    ax.clabel(lines, fmt=lambda v: f"{100 * v / peak:.0f} %", fontsize=6.5)
    # Beyond the 10 % contour there is little to see.
    warm = fine >= 0.1 * peak
    reach_r = min(r.max(), 1.6 * float(mirrored[warm.any(axis=0)].max()))
    reach_z = min(z.max(), 1.3 * float(depth[warm.any(axis=1)].max()))
    if reach_r > 0 and reach_z > 0:
        ax.set_xlim(-reach_r, reach_r)
        ax.set_ylim(reach_z, 0.0)
    ax.set_xlabel(label(R))
    ax.set_ylabel(label(Z))
    add_colour_bar(figure, image, ax, label("rise_per_power"))


def _draw_powers(ax: Any, heat: xr.Dataset) -> None:
    heat = heat.expand_dims(POWER) if POWER not in heat["detection_temperature"].dims else heat
    power = heat[POWER].values.astype(float)
    ambient = float(heat["ambient_temperature"])
    for n, name in enumerate(("detection_temperature", "peak_temperature")):
        if name not in heat:
            continue
        t_k, sigma = heat[name].values.astype(float), heat.get(f"{name}_stderr")
        colour = CATEGORICAL[n]
        # The rise is proportional to power, hence the line goes on to the room's temperature.
        p, t = np.concatenate([[0.0], power]), np.concatenate([[ambient], t_k])
        ax.plot(p, t, color=colour, linewidth=0.9)
        ax.plot(power, t_k, "os"[n], color=colour, ms=3.0, label=label(name).rsplit(" (", 1)[0])
        if sigma is not None:
            s = np.concatenate([[0.0], sigma.values])
            ax.fill_between(p, t - s, t + s, color=colour, alpha=0.2, linewidth=0)
    ax.set_xlim(left=0.0)
    ax.set_xlabel(label(POWER))
    ax.set_ylabel(label("temperature"))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.legend(loc="upper left")
