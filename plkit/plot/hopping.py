"""Figures of ions that hop: gap and composition of the irradiated column, and views of the lattice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.names import REPLICA, TIME, R, X, Y, Z
from plkit.plot.kinetics import by_name
from plkit.plot.panel import (
    Axis,
    Band,
    Classes,
    Layer,
    Line,
    Panel,
    colour_number,
    named_axis,
    picture,
    scale_of,
)
from plkit.plot.paper import draw_grid, draw_row, on_axes
from plkit.plot.screen import beside
from plkit.plot.style import CATEGORICAL, pretty_unit, reduce_to, require_result, styled, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_hopping", "hv_lattice", "plot_hopping", "plot_lattice"]

_MAKER = "plkit.simulate_ion_hopping(lattice, model, times_s)"
_NM_PER_UM = 1e3
_SPECIES = {"vacancy": "#FFFFFF", "bromide": CATEGORICAL[2], "iodide": CATEGORICAL[1]}
_IODIDE = 2


@styled
def plot_hopping(runs: xr.Dataset | Mapping[str, xr.Dataset], *, ax: Axes | None = None) -> Figure:
    """Draw the gap of the irradiated column against time, and the composition around the beam.

    Parameters
    ----------
    runs : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.simulate_ion_hopping`, by name of the model.
    ax : matplotlib.axes.Axes, optional
        Axes for the gap, which is then drawn alone; a figure of two columns' width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes. Lines are means of the replicas, bands their standard deviation; the
        composition is drawn for one run, first and last moment.

    Raises
    ------
    DataError
        If a dataset is no such run.

    Examples
    --------
    >>> import plkit
    >>> run = plkit.simulate_ion_hopping(plkit.IonLattice((6, 6, 6)), times_s=[0.0, 1e-9], seed=1)
    >>> [ax.get_xlabel() for ax in plot_hopping(run).axes]
    ['Time $t$ (s)', 'Radius $r$ (nm)']
    """
    panels = hopping_panels(runs)
    return on_axes(panels[0], ax) if ax is not None else draw_row(panels, None, 0.38)


def hv_hopping(runs: xr.Dataset | Mapping[str, xr.Dataset]) -> Any:
    """Draw for the screen what :func:`plot_hopping` draws for paper.

    Parameters
    ----------
    runs : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.simulate_ion_hopping`, by name of the model.

    Returns
    -------
    holoviews.Layout or holoviews.Overlay
        Gap against time; of one run also the composition around the beam.

    Raises
    ------
    DataError
        If a dataset is no such run.

    Examples
    --------
    >>> import plkit
    >>> run = plkit.simulate_ion_hopping(plkit.IonLattice((6, 6, 6)), times_s=[0.0, 1e-9], seed=1)
    >>> len(hv_hopping(run))
    2
    """
    return beside(hopping_panels(runs), columns=2)


def hopping_panels(runs: xr.Dataset | Mapping[str, xr.Dataset]) -> tuple[Panel, ...]:
    """Gap over time of every run; of a single one also the rings, at its start and its end."""
    action = "plot hopping ions"
    sets = by_name(runs)
    layers: list[Layer] = []
    x_axis = named_axis(TIME)
    for n, (name, given) in enumerate(sets.items()):
        run = require_result(given, ("local_gap", "radial_iodide"), action, _MAKER)
        t, gap, spread = _over_replicas(run["local_gap"], TIME, action)
        x_axis = _time_axis(run)
        if spread is not None:
            layers.append(Band(t, gap - spread, gap + spread, colour_number(n)))
        layers.append(Line(t, gap, colour_number(n), name, y_sigma=spread))
    first = Panel(
        x_axis,
        named_axis("local_gap"),
        tuple(layers),
        legend="best" if any(sets) else "",
        aspect=0.8,
    )
    return (first,) if len(sets) != 1 else (first, _rings(next(iter(sets.values())), action))


def _rings(run: xr.Dataset, action: str) -> Panel:
    layers: list[Layer] = []
    for name, style in (("radial_bromide", 2), ("radial_iodide", 1), ("radial_vacancy", 0)):
        for at, dashes, when in ((0, ":", "first"), (-1, "-", "last")):
            r, share, spread = _over_replicas(run[name].isel({TIME: at}), R, action)
            colour = ("#000000", CATEGORICAL[1], CATEGORICAL[2])[style]
            if spread is not None:
                layers.append(Band(r * _NM_PER_UM, share - spread, share + spread, colour, 0.2))
            text = named_axis(name).long_name if when == "last" else ""
            layers.append(Line(r * _NM_PER_UM, share, colour, text, style=dashes, y_sigma=spread))
    t = run[TIME].values.astype(float)
    return Panel(
        Axis(R, "Radius", "r", "nm"), Axis("share", "Share of the sites"), tuple(layers), legend="upper right",
        headroom=0.3, aspect=0.8, title=f"dotted {_moment(run, t[0])}, full {_moment(run, t[-1])}",
    )  # fmt: skip


def _over_replicas(da: xr.DataArray, dim: str, action: str) -> tuple[Any, Any, Any]:
    """Coordinate, mean over replicas, standard deviation (None of a single one)."""
    n = da.sizes.get(REPLICA, 1)
    da = reduce_to(da, {REPLICA, dim} if n > 1 else {dim}, action)
    x = da[dim].values.astype(float)
    if n == 1:
        return x, da.values.astype(float), None
    values = da.transpose(REPLICA, dim).values.astype(float)
    return x, values.mean(axis=0), values.std(axis=0, ddof=1)


def _in_steps(run: xr.Dataset) -> bool:
    """Whether the run follows the published rule, whose steps have no duration."""
    return str(json.loads(str(run.attrs.get("model", "{}"))).get("rule", "")) == "published"


def _time_axis(run: xr.Dataset) -> Axis:
    return Axis(TIME, "Step") if _in_steps(run) else named_axis(TIME)


def _moment(run: xr.Dataset, t: float) -> str:
    return f"step {t:g}" if _in_steps(run) else f"{value_text(t)} s"


@styled
def plot_lattice(
    run: xr.Dataset, *, times_s: Sequence[float] | None = None, layer: int = -1
) -> Figure:
    """Draw one layer of a lattice of ions, and the iodide share of all layers, at several moments.

    Parameters
    ----------
    run : xarray.Dataset
        One replica of :func:`plkit.simulate_ion_hopping`: ``species`` (time, z, y, x).
    times_s : sequence of float, optional
        Moments among those of the run [s], or steps; the first, the middle and the last by default.
    layer : int, optional
        Which layer along z.

    Returns
    -------
    matplotlib.figure.Figure
        Two rows of maps: the layer above, the share of iodide among the halides of each column of
        sites below; the title gives the gap of the irradiated column.

    Raises
    ------
    DataError
        If there are several replicas, or a moment is not in the run.

    Examples
    --------
    >>> import plkit
    >>> run = plkit.simulate_ion_hopping(plkit.IonLattice((6, 6, 6)), times_s=[0.0, 1e-9], seed=1)
    >>> len([ax for ax in plot_lattice(run).axes if ax.get_title(loc="left")])
    4
    """
    panels = lattice_panels(run, times_s, layer)
    n = len(panels) // 2
    return draw_grid(panels, n, 0.72 if n > 1 else 1.6)


def hv_lattice(run: xr.Dataset, *, times_s: Sequence[float] | None = None, layer: int = -1) -> Any:
    """Draw for the screen what :func:`plot_lattice` draws for paper.

    Parameters
    ----------
    run : xarray.Dataset
        One replica of :func:`plkit.simulate_ion_hopping`.
    times_s : sequence of float, optional
        Moments among those of the run [s], or steps.
    layer : int, optional
        Which layer along z.

    Returns
    -------
    holoviews.Layout
        Two rows of maps.

    Raises
    ------
    DataError
        If there are several replicas, or a moment is not in the run.

    Examples
    --------
    >>> import plkit
    >>> run = plkit.simulate_ion_hopping(plkit.IonLattice((6, 6, 6)), times_s=[0.0, 1e-9], seed=1)
    >>> len(hv_lattice(run))
    4
    """
    panels = lattice_panels(run, times_s, layer)
    return beside(panels, columns=len(panels) // 2)


def lattice_panels(
    run: xr.Dataset, times_s: Sequence[float] | None, layer: int
) -> tuple[Panel, ...]:
    """One layer at each moment, then the share of iodide at each moment."""
    action = "plot a lattice of ions"
    require_result(run, ("species", "local_gap"), action, _MAKER)
    species = reduce_to(run["species"], {TIME, Z, Y, X}, action).transpose(TIME, Z, Y, X)
    gap = reduce_to(run["local_gap"], {TIME}, action)
    if not -species.sizes[Z] <= layer < species.sizes[Z]:
        raise DataError(action, f"'layer' is {layer}, not one of {species.sizes[Z]} layers")
    known = species[TIME].values.astype(float)
    chosen = _moments(known, times_s, action)
    nm = {d: species[d] * _NM_PER_UM for d in (Y, X)}
    x_axis, y_axis = Axis(X, "x", "", "nm"), Axis(Y, "y", "", "nm")
    layers, shares = [], []
    axis = named_axis("iodine_fraction")
    for n, i in enumerate(chosen):
        now = species.isel({TIME: i}).assign_coords(nm)
        codes: NDArray[np.int64] = np.asarray(now.isel({Z: layer}).values, np.int64)
        classes = Classes(
            nm[X].values, nm[Y].values, codes, tuple(_SPECIES), tuple(_SPECIES.values()), "Ion"
        )
        layers.append(
            Panel(x_axis, y_axis, (classes,), title=f"{_moment(run, known[i])}: one layer",
                  is_map=True, legend="below" if n == 0 else "")
        )  # fmt: skip
        halides = (now > 0).sum(Z)
        share = (now == _IODIDE).sum(Z) / halides.where(halides > 0)
        scale = scale_of([0.0, 1.0], axis, "viridis")
        value = f"{float(gap[i]):.2f} {pretty_unit(named_axis('local_gap').unit)}"
        # One colour bar for all of them.
        view = replace(picture(share, X, Y, scale), bar=i == chosen[-1])
        title = f"all layers; gap {value}"
        shares.append(Panel(x_axis, y_axis, (view,), title=title, is_map=True))
    return (*layers, *shares)


def _moments(known: Any, wanted: Sequence[float] | None, action: str) -> list[int]:
    if wanted is None:
        return sorted({0, len(known) // 2, len(known) - 1})
    found = []
    for t in wanted:
        i = int(np.argmin(np.abs(known - t)))
        if not np.isclose(known[i], t):
            held = ", ".join(f"{v:g}" for v in known)
            raise DataError(
                action, f"'times_s' has {t:g}, not one of {held}", "Choose among these."
            )
        found.append(i)
    return found
