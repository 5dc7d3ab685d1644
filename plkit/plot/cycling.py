"""Figures of thermal cycling: temperature and segregation against time, and over protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import ON_TIME, PERIOD, TEMPERATURE, TIME, stderr_name
from plkit.plot.kinetics import by_name
from plkit.plot.panel import (
    Band,
    Classes,
    Layer,
    Line,
    Mask,
    Note,
    Panel,
    Points,
    Rule,
    axis_of,
    bars_of,
    celsius,
    colour_number,
    edges,
    named_axis,
)
from plkit.plot.paper import draw_stack, on_axes
from plkit.plot.screen import beside, dress
from plkit.plot.style import ascending, reduce_to, require_result, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from plkit.sim import HeaterProtocol

__all__ = ["hv_cycling", "hv_cycling_map", "plot_cycling", "plot_cycling_map"]

_MOST_PULSES = 60
_SEVERITY = {"none": "#4477AA", "mild": "#DDCC77", "severe": "#AA3377"}
"""Three of Tol's colours, told apart by colour-blind readers and in grey."""


@styled
def plot_cycling(
    series: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    variable: str = "segregated_fraction",
    log: bool = False,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw temperature and segregated fraction against time under a switched heater.

    Parameters
    ----------
    series : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.thermal_cycling`, or a measured series with its temperature: ``temperature``
        (time) [K] and ``variable`` (time); by name of the protocol.
    variable : str, optional
        What is drawn below: ``segregated_fraction``, ``fraction``, … with ``_stderr`` as a band.
    log : bool, optional
        Draw it logarithmically.
    axes : sequence of matplotlib.axes.Axes, optional
        Two axes, for the temperature and for the fraction; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes. Of a single series the grey stripes say when the heater is on.

    Raises
    ------
    DataError
        If a series has no temperature or no such variable over time.

    Examples
    --------
    >>> from plkit.sim import HeaterProtocol, thermal_cycling
    >>> ds = thermal_cycling(HeaterProtocol(0.5, 5.0, 20.0))
    >>> [ax.get_ylabel() for ax in plot_cycling(ds).axes]
    ['Temperature $T$ (K)', 'Segregated fraction $s$']
    """
    return draw_stack(cycling_panels(series, variable, log=log), axes, 1.0, (1.0, 1.0))


def hv_cycling(
    series: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    variable: str = "segregated_fraction",
    log: bool = False,
) -> Any:
    """Draw for the screen what :func:`plot_cycling` draws for paper.

    Parameters
    ----------
    series : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.thermal_cycling`, or a measured series with its temperature.
    variable : str, optional
        What is drawn below.
    log : bool, optional
        Draw it logarithmically.

    Returns
    -------
    holoviews.Layout
        Temperature above, fraction below, zoomed together.

    Raises
    ------
    DataError
        If a series has no temperature or no such variable over time.

    Examples
    --------
    >>> from plkit.sim import HeaterProtocol, thermal_cycling
    >>> len(hv_cycling(thermal_cycling(HeaterProtocol(0.5, 5.0, 20.0))))
    2
    """
    return beside(cycling_panels(series, variable, log=log), columns=1, heights=(180, 180))


def cycling_panels(
    series: xr.Dataset | Mapping[str, xr.Dataset], variable: str, *, log: bool
) -> tuple[Panel, Panel]:
    """Temperature over time; fraction over time."""
    action = "plot thermal cycling"
    above: list[Layer] = []
    below: list[Layer] = []
    y_axis = None
    sets = by_name(series)
    for n, (name, given) in enumerate(sets.items()):
        ds = require_result(
            given, (TEMPERATURE, variable), action, "plkit.thermal_cycling(protocol)"
        )
        colour = colour_number(n)
        if len(sets) == 1:
            above += _heater_stripes(ds)
        for layers, what, label in ((above, TEMPERATURE, name), (below, variable, "")):
            da = ascending(reduce_to(ds[what], {TIME}, action), TIME)
            t, y = da[TIME].values.astype(float), da.values.astype(float)
            sigma = ds.get(stderr_name(what))
            s = None if sigma is None else ascending(reduce_to(sigma, {TIME}, action), TIME).values
            if what == variable:
                y_axis = axis_of(da, log=log)
                y = np.where(y > 0, y, np.nan) if log else y
            if s is not None:
                layers.append(Band(t, y - s, y + s, colour))
            layers.append(Line(t, y, colour, label, 0.9, y_sigma=s))
    if y_axis is None:
        raise DataError(action, "no series was given, not at least one")
    legend = "best" if any(sets) else ""
    first = Panel(
        named_axis(TIME), named_axis(TEMPERATURE), tuple(above), legend=legend, tight=True,
        right=celsius(),
    )  # fmt: skip
    return first, Panel(named_axis(TIME), y_axis, tuple(below), tight=True)


def _heater_stripes(ds: xr.Dataset) -> list[Layer]:
    """When the heater is on; nothing where it is not known or switched too often to be seen."""
    current = ds.get("heater_current")
    if current is None or current.dims != (TIME,):
        return []
    border = edges(ds[TIME].values.astype(float))
    ends = np.diff(np.concatenate([[0], (current.values > 0).astype(int), [0]]))
    starts, stops = np.flatnonzero(ends == 1), np.flatnonzero(ends == -1)
    if starts.size > _MOST_PULSES:
        return []
    return [
        Rule(float(border[a]), float(border[b]), vertical=True)
        for a, b in zip(starts, stops, strict=True)
    ]


@styled
def plot_cycling_map(
    found: xr.Dataset, *, protocols: Iterable[HeaterProtocol] = (), ax: Axes | None = None
) -> Figure:
    """Draw over on-time and period which heater protocols keep a film mixed.

    Parameters
    ----------
    found : xarray.Dataset
        Of :func:`plkit.map_thermal_cycling`: ``severity`` (on_time, period).
    protocols : iterable of plkit.sim.HeaterProtocol, optional
        Protocols to mark, with their names.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; grey is where no such pulse exists.

    Raises
    ------
    DataError
        If the dataset is no such map.

    Examples
    --------
    >>> from plkit import map_thermal_cycling
    >>> found = map_thermal_cycling([0.1, 0.5, 1.0], [1.0, 5.0], duration_s=30.0)
    >>> plot_cycling_map(found).axes[0].get_xscale()
    'log'
    """
    return on_axes(cycling_map_panel(found, protocols), ax)


def hv_cycling_map(found: xr.Dataset, *, protocols: Iterable[HeaterProtocol] = ()) -> Any:
    """Draw for the screen what :func:`plot_cycling_map` draws for paper.

    Parameters
    ----------
    found : xarray.Dataset
        Of :func:`plkit.map_thermal_cycling`.
    protocols : iterable of plkit.sim.HeaterProtocol, optional
        Protocols to mark, with their names.

    Returns
    -------
    holoviews.Overlay
        Classes by colour, protocols as points.

    Raises
    ------
    DataError
        If the dataset is no such map.

    Examples
    --------
    >>> from plkit import map_thermal_cycling
    >>> found = map_thermal_cycling([0.1, 0.5, 1.0], [1.0, 5.0], duration_s=30.0)
    >>> [type(e).__name__ for e in hv_cycling_map(found)]
    ['QuadMesh']
    """
    return dress(cycling_map_panel(found, protocols))


def cycling_map_panel(found: xr.Dataset, protocols: Iterable[HeaterProtocol]) -> Panel:
    """Classes over on-time and period, and protocols as points with names."""
    action = "plot a map of thermal cycling"
    require_result(found, ("severity",), action, "plkit.map_thermal_cycling(on_s, period_s)")
    severity = reduce_to(found["severity"], {ON_TIME, PERIOD}, action).transpose(ON_TIME, PERIOD)
    severity = ascending(severity, ON_TIME, PERIOD)
    on, period = (severity[d].values.astype(float) for d in (ON_TIME, PERIOD))
    classes = Classes(
        period, on, np.asarray(severity.values, np.int64), tuple(_SEVERITY), tuple(_SEVERITY.values()),
        "Segregation",
        log=True,
    )  # fmt: skip
    layers: list[Layer] = [classes]
    for protocol in protocols:
        x, y = float(protocol.period_s), float(protocol.on_s)
        if not np.isfinite([x, y]).all() or y <= 0:
            continue  # a heater that stays on has no period
        point = Points(
            np.array([x]), np.array([y]), colour="#000000", hollow=True, size=3.5
        )  # fmt: skip
        layers += [point, Note(x * 1.07, y * 1.12, protocol.name)]
    if (severity.values < 0).any():
        layers.append(_impossible(period, on, severity.values < 0))
    return Panel(
        named_axis(PERIOD, log=True), named_axis(ON_TIME, log=True), tuple(layers), legend="above",
        aspect=0.85,
    )  # fmt: skip


def _impossible(x: Any, y: Any, where: Any) -> Layer:
    return Mask(
        bars_of(x, y, where, log=True), int(where.sum()), "no such pulse", "////", "#6E6E6E"
    )
