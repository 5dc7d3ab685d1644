"""Figures of carriers: density and diffusion length against power, funnelling against composition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import (
    CARRIER_DISTANCE,
    DELAY,
    DIFFUSION_LENGTH,
    POWER,
    TRUE_FRACTION,
    stderr_name,
)
from plkit.plot.kinetics import by_name
from plkit.plot.panel import (
    Axis,
    Band,
    Layer,
    Line,
    Panel,
    Points,
    colour_number,
    marker_number,
    named_axis,
)
from plkit.plot.paper import draw_grid, draw_row, on_axes
from plkit.plot.screen import beside, dress
from plkit.plot.style import ascending, pretty_unit, reduce_to, require_result, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_carriers", "hv_funnelling", "plot_carriers", "plot_funnelling"]

_ACTION = "plot carriers"
_FEW = 12
"""Powers below which each is also a point."""


@styled
def plot_carriers(
    carriers: xr.Dataset | Mapping[str, xr.Dataset], *, axes: Sequence[Axes] | None = None
) -> Figure:
    """Draw carrier density and diffusion length against power, and profile and transient if there.

    Parameters
    ----------
    carriers : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.simulate_carriers`, by name.
    axes : sequence of matplotlib.axes.Axes, optional
        One for each of the first panels: density, length, then profile (along the distance, at the highest power
        and the last delay) and transient, where all results hold them.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; bands are one σ, of absorptance and spot radius.

    Raises
    ------
    DataError
        If a dataset holds no carrier density.

    Examples
    --------
    >>> from plkit.sim import Film, LaserSpot, Recombination, simulate_carriers
    >>> film = Film(40.0, 0.4, absorptance=0.2, absorptance_stderr=0.01)
    >>> ds = simulate_carriers(LaserSpot(1.0), film, Recombination.from_lifetime(20.0),
    ...                        power_uw=[10.0, 50.0])
    >>> [ax.get_yscale() for ax in plot_carriers(ds).axes]
    ['log', 'log']
    """
    panels = carrier_panels(carriers)
    if axes is None and len(panels) > 2:
        return draw_grid(panels, 2, 0.75) if len(panels) == 4 else draw_row(panels, None, 0.32)
    if axes is not None and len(axes) > len(panels):
        raise DataError(
            _ACTION, f"there are {len(panels)} panels, not {len(axes)}",
            "Ask simulate_carriers for profile=… and times_ns=….",
        )  # fmt: skip
    return draw_row(panels if axes is None else panels[: len(axes)], axes, 0.4)


def hv_carriers(carriers: xr.Dataset | Mapping[str, xr.Dataset]) -> Any:
    """Draw for the screen what :func:`plot_carriers` draws for paper.

    Parameters
    ----------
    carriers : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.simulate_carriers`, by name.

    Returns
    -------
    holoviews.Layout
        Density, diffusion length, then profile and transient where there are.

    Raises
    ------
    DataError
        If a dataset holds no carrier density.

    Examples
    --------
    >>> from plkit.sim import Film, LaserSpot, Recombination, simulate_carriers
    >>> film = Film(40.0, 0.4, absorptance=0.2, absorptance_stderr=0.01)
    >>> ds = simulate_carriers(LaserSpot(1.0), film, Recombination.from_lifetime(20.0),
    ...                        power_uw=[10.0, 50.0])
    >>> len(hv_carriers(ds))
    2
    """
    return beside(carrier_panels(carriers), columns=2)


def carrier_panels(carriers: xr.Dataset | Mapping[str, xr.Dataset]) -> tuple[Panel, ...]:
    """Density and length over power; profile over distance and transient over delay where held."""
    sets = by_name(carriers)
    maker = "plkit.simulate_carriers(spot, film, recombination, power_uw=…)"
    for ds in sets.values():
        require_result(ds, ("carrier_density", DIFFUSION_LENGTH), _ACTION, maker)
    panels = [_over_power(sets, name) for name in ("carrier_density", DIFFUSION_LENGTH)]
    for name, dim in (("carrier_profile", CARRIER_DISTANCE), ("carrier_transient", DELAY)):
        if all(name in ds for ds in sets.values()):
            panels.append(_at_highest_power(sets, name, dim))
    return tuple(panels)


def _over_power(sets: dict[str, xr.Dataset], name: str) -> Panel:
    layers: list[Layer] = []
    several = False
    for n, (label, ds) in enumerate(sets.items()):
        ds = ds.expand_dims(POWER) if POWER not in ds[name].dims else ds
        ds = ascending(ds, POWER)
        p, y = ds[POWER].values.astype(float), reduce_to(ds[name], {POWER}, _ACTION).values
        several = several or bool(p.size > 1 and p.min() > 0)
        sigma = ds.get(stderr_name(name))
        s = None if sigma is None else sigma.values
        colour = colour_number(n)
        text = label if name == "carrier_density" else ""
        if p.size < _FEW:
            layers.append(Points(p, y, s, colour=colour, marker=marker_number(n), bars=p.size == 1))
        if s is not None:
            layers.append(Band(p, np.where(y > s, y - s, np.nan), y + s, colour))
        layers.append(Line(p, y, colour, text, y_sigma=s))
    legend = "best" if name == "carrier_density" and any(sets) else ""
    return Panel(
        named_axis(POWER, log=several), named_axis(name, log=several), tuple(layers), legend=legend,
        aspect=0.8,
    )  # fmt: skip


def _at_highest_power(sets: dict[str, xr.Dataset], name: str, dim: str) -> Panel:
    layers: list[Layer] = []
    at = ""
    for n, ds in enumerate(sets.values()):
        da = ds[name]
        if POWER in da.dims:
            da = da.isel({POWER: int(np.argmax(ds[POWER].values))})
            at = f"{float(da[POWER]):g} {pretty_unit(named_axis(POWER).unit)}"
        if DELAY in da.dims and dim != DELAY:
            da = da.isel({DELAY: -1})
        da = ascending(reduce_to(da, {dim}, _ACTION), dim)
        x, y = da[dim].values.astype(float), da.values.astype(float)
        layers.append(Line(x, y, colour_number(n)))
    density = named_axis("carrier_density")
    y_axis = Axis(name, density.long_name, density.symbol, density.unit)
    return Panel(
        named_axis(dim),
        y_axis,
        tuple(layers),
        title=at,
        aspect=0.8,
    )


@styled
def plot_funnelling(bias: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw the emission fraction against the true volume fraction, by diffusion length.

    Parameters
    ----------
    bias : xarray.Dataset
        Of :func:`plkit.funnelling_bias`: ``emission_fraction`` (diffusion_length, true_fraction).
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; bars are one σ, the dashed line is where light would tell the truth.

    Raises
    ------
    DataError
        If the dataset is no such result.

    Examples
    --------
    >>> import plkit
    >>> phases = plkit.TwoPhases(domains=4, seeds=(0, 1))
    >>> bias = plkit.funnelling_bias([0.05, 0.2], [0.0, 10.0], phases)
    >>> plot_funnelling(bias).axes[0].get_legend_handles_labels()[1]
    ['truth', 'diffusion length 0 nm', 'diffusion length 10 nm']
    """
    return on_axes(funnelling_panel(bias), ax)


def hv_funnelling(bias: xr.Dataset) -> Any:
    """Draw for the screen what :func:`plot_funnelling` draws for paper.

    Parameters
    ----------
    bias : xarray.Dataset
        Of :func:`plkit.funnelling_bias`.

    Returns
    -------
    holoviews.Overlay
        Points with σ and lines, by diffusion length.

    Raises
    ------
    DataError
        If the dataset is no such result.

    Examples
    --------
    >>> import plkit
    >>> phases = plkit.TwoPhases(domains=4, seeds=(0, 1))
    >>> bias = plkit.funnelling_bias([0.05, 0.2], [0.0, 10.0], phases)
    >>> [e.label for e in hv_funnelling(bias) if e.label]
    ['truth', 'diffusion length 0 nm', 'diffusion length 10 nm']
    """
    return dress(funnelling_panel(bias))


def funnelling_panel(bias: xr.Dataset) -> Panel:
    """Emission fraction over true fraction, one series for each diffusion length."""
    action = "plot funnelling"
    name = "emission_fraction"
    maker = "plkit.funnelling_bias(true_fractions, diffusion_lengths_nm)"
    require_result(bias, (name, DIFFUSION_LENGTH, TRUE_FRACTION), action, maker)
    value = bias[name]
    value = value.expand_dims([d for d in (DIFFUSION_LENGTH, TRUE_FRACTION) if d not in value.dims])
    value = ascending(value.transpose(DIFFUSION_LENGTH, TRUE_FRACTION), TRUE_FRACTION)
    x = value[TRUE_FRACTION].values.astype(float)
    sigma = bias.get(stderr_name(name))
    truth = np.geomspace(x.min(), x.max(), 50) if x.min() > 0 else x
    layers: list[Layer] = [Line(truth, truth, "#7F7F7F", "truth", 0.7, "--")]
    unit = pretty_unit(named_axis(DIFFUSION_LENGTH).unit)
    for n, length in enumerate(value[DIFFUSION_LENGTH].values.astype(float)):
        y = value.values[n].astype(float)
        s = None
        if sigma is not None:
            s = sigma.broadcast_like(value).transpose(*value.dims).values[n].astype(float)
        colour = colour_number(n)
        layers.append(Line(x, y, colour, width=0.8, y_sigma=s))
        layers.append(
            Points(
                x,
                y,
                s,
                colour=colour,
                label=f"diffusion length {length:g} {unit}",
                marker=marker_number(n),
            )
        )
    return Panel(
        Axis(TRUE_FRACTION, "Volume fraction, iodide-rich", "f_V", log=bool(x.min() > 0)),
        named_axis(name), tuple(layers), legend="above", y_limits=(0.0, 1.03),
    )  # fmt: skip
