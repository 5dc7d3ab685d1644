"""Figure of the heating: the field under the spot, and the temperature against power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import POWER, TIME, R, Z, stderr_name
from plkit.plot.panel import (
    Band,
    Layer,
    Line,
    Note,
    Panel,
    Picture,
    Points,
    Scale,
    axis_of,
    celsius,
    colour_number,
    marker_number,
    named_axis,
)
from plkit.plot.paper import draw_row, on_axes
from plkit.plot.screen import beside
from plkit.plot.style import ascending, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_temperature", "plot_temperature"]

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
    panels = temperature_panels(heat, powers_alone=ax is not None)
    if ax is not None:
        return on_axes(panels[-1], ax)
    return draw_row(panels, None, 0.38, width_ratios=(1.15, 1.0)[: len(panels)])


def hv_temperature(heat: xr.Dataset) -> Any:
    """Draw for the screen what :func:`plot_temperature` draws for paper.

    Parameters
    ----------
    heat : xarray.Dataset
        Result of :func:`plkit.simulate_heating`.

    Returns
    -------
    holoviews.Layout or holoviews.Overlay
        The field, and the temperatures against power with their bands.

    Raises
    ------
    DataError
        If the dataset holds no temperatures.

    Examples
    --------
    >>> heat = xr.Dataset({"detection_temperature": ("power", [296.0, 299.0]),
    ...                    "ambient_temperature": 293.0}, {"power": [40.0, 80.0]})
    >>> [type(e).__name__ for e in hv_temperature(heat)]
    ['Curve', 'Scatter']
    """
    return beside(temperature_panels(heat, powers_alone=False), columns=2)


def temperature_panels(heat: xr.Dataset, *, powers_alone: bool) -> tuple[Panel, ...]:
    """Field under the spot, temperatures against power: what the dataset holds of the two."""
    if not isinstance(heat, xr.Dataset):
        raise DataError(
            _ACTION, f"a {type(heat).__name__} was given, not a Dataset",
            "Give the result of simulate_heating(…, power_uw=…).",
        )  # fmt: skip
    has_powers = "detection_temperature" in heat
    has_field = "rise_per_power" in heat and not powers_alone
    if not has_powers and not has_field:
        found = ", ".join(map(str, heat.data_vars)) or "none"
        raise DataError(
            _ACTION, f"the dataset has the variables {found}, not temperatures",
            "Give the result of simulate_heating(…, power_uw=…).",
        )  # fmt: skip
    field = (_field_panel(heat),) if has_field else ()
    return (*field, _powers_panel(heat)) if has_powers else field


def _field_panel(heat: xr.Dataset) -> Panel:
    """Rise per power over radius (mirrored) and depth, with lines at 10, 25 and 50 % of the peak."""
    from contourpy import contour_generator
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
    axis = named_axis("rise_per_power")
    peak = float(np.nanmax(fine)) if np.isfinite(fine).any() else 0.0
    scale = Scale(axis, 0.0, peak or 1.0)
    layers: list[Layer] = [Picture(mirrored, depth, fine, scale)]
    lines = contour_generator(mirrored, depth, np.nan_to_num(fine))
    for part in (0.1, 0.25, 0.5) if peak > 0 else ():
        for line in lines.lines(part * peak):
            xs, ys = np.asarray(line)[:, 0], np.asarray(line)[:, 1]
            layers.append(Line(xs, ys, "#FFFFFF", width=0.6, extra=((axis, part * peak),)))
            deepest = int(np.argmax(ys))
            layers.append(
                Note(xs[deepest], ys[deepest], f"{100 * part:.0f} %", "#FFFFFF", "center")
            )
    # Beyond the 10 % contour there is little to see.
    warm = fine >= 0.1 * peak
    limits: dict[str, Any] = {}
    if peak > 0:
        reach_r = min(r.max(), 1.6 * float(mirrored[warm.any(axis=0)].max()))
        reach_z = min(z.max(), 1.3 * float(depth[warm.any(axis=1)].max()))
        if reach_r > 0 and reach_z > 0:
            limits = {"x_limits": (-reach_r, reach_r), "y_limits": (reach_z, 0.0)}
    return Panel(axis_of(rise[R]), axis_of(rise[Z]), tuple(layers), aspect=0.8, **limits)


def _powers_panel(heat: xr.Dataset) -> Panel:
    """Temperatures over power; bands hold σ of film and spot, shared by all powers."""
    heat = heat.expand_dims(POWER) if POWER not in heat["detection_temperature"].dims else heat
    heat = ascending(heat, POWER)
    power = heat[POWER].values.astype(float)
    ambient = float(heat["ambient_temperature"])
    layers: list[Layer] = []
    for n, name in enumerate(("detection_temperature", "peak_temperature")):
        if name not in heat:
            continue
        t_k, sigma = heat[name].values.astype(float), heat.get(stderr_name(name))
        colour = colour_number(n)
        # The rise is proportional to power, hence the line goes on to the room's temperature.
        p, t = np.concatenate([[0.0], power]), np.concatenate([[ambient], t_k])
        s = None if sigma is None else np.concatenate([[0.0], sigma.values])
        layers.append(Line(p, t, colour, width=0.9, y_sigma=s))
        bars = None if sigma is None else sigma.values
        text = named_axis(name).long_name
        layers.append(
            Points(power, t_k, bars, None, colour, text, marker_number(n), 3.0, bars=False)
        )
        if s is not None:
            layers.append(Band(p, t - s, t + s, colour, 0.2))
    return Panel(
        named_axis(POWER), named_axis("temperature"), tuple(layers), x_limits=(0.0, None),
        legend="upper left", aspect=0.8, right=celsius(),
    )  # fmt: skip
