"""Figure of a composition map with the spectra along a cut through it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import INTENSITY, X, Y
from plkit.plot.maps import composition_panel
from plkit.plot.panel import Panel, Picture, Points
from plkit.plot.paper import draw_row
from plkit.plot.screen import beside
from plkit.plot.spectra import array_of, spectra_panel
from plkit.plot.style import ascending, pretty_unit, reduce_to, styled
from plkit.schema import spectral_dim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_composition_cut", "plot_composition_cut"]

_ACTION = "plot a cut through a composition map"


@styled
def plot_composition_cut(
    composition: xr.Dataset,
    spectra: xr.Dataset | xr.DataArray,
    *,
    y_um: float | None = None,
    x_um: tuple[float, float] | None = None,
    clim: tuple[float, float] | None = None,
    max_lines: int = 15,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Draw a composition map, and spectra along a cut through it in the colours of their places.

    Parameters
    ----------
    composition : xarray.Dataset
        Result of :func:`plkit.composition_map`: ``x_iodine`` (y, x), ``composition_flag``.
    spectra : xarray.Dataset or xarray.DataArray
        The map it was made from: ``intensity`` (y, x, λ) [counts], or one row (x, λ).
    y_um : float, optional
        Row of the cut [um]; the middle one by default. Of one row it is where the marks stand.
    x_um : tuple of float, optional
        Ends of the cut [um]; the whole row by default.
    clim : tuple of float, optional
        Ends of the colour scale of the composition.
    max_lines : int, optional
        At most so many spectra are drawn, evenly along the cut.
    axes : sequence of matplotlib.axes.Axes, optional
        Two axes to draw on; a figure of two columns' width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes. Each mark above the row has the colour of the spectrum below it.

    Raises
    ------
    DataError
        If there is no composition, or the cut lies outside.

    Examples
    --------
    >>> c, w = np.arange(4.0), np.linspace(500.0, 700.0, 30)
    >>> iodine = xr.DataArray(np.eye(4), {"y": c, "x": c}, ("y", "x")).to_dataset(name="x_iodine")
    >>> cube = xr.DataArray(np.ones((4, 4, 30)), {"y": c, "x": c, "wavelength": w},
    ...                     ("y", "x", "wavelength"), "intensity", {"units": "counts"})
    >>> len(plot_composition_cut(iodine, cube, y_um=1.0).axes[1].lines)
    4
    """
    panels = cut_panels(composition, spectra, y_um, x_um, clim, max_lines)
    return draw_row(panels, axes, 0.4)


def hv_composition_cut(
    composition: xr.Dataset,
    spectra: xr.Dataset | xr.DataArray,
    *,
    y_um: float | None = None,
    x_um: tuple[float, float] | None = None,
    clim: tuple[float, float] | None = None,
    max_lines: int = 15,
) -> Any:
    """Draw for the screen what :func:`plot_composition_cut` draws for paper.

    Parameters
    ----------
    composition : xarray.Dataset
        Result of :func:`plkit.composition_map`.
    spectra : xarray.Dataset or xarray.DataArray
        The map it was made from: ``intensity`` (y, x, λ) [counts], or one row (x, λ).
    y_um : float, optional
        Row of the cut [um]; the middle one by default.
    x_um : tuple of float, optional
        Ends of the cut [um]; the whole row by default.
    clim : tuple of float, optional
        Ends of the colour scale of the composition.
    max_lines : int, optional
        At most so many spectra are drawn.

    Returns
    -------
    holoviews.Layout
        The map with the places, and the spectra.

    Raises
    ------
    DataError
        If there is no composition, or the cut lies outside.

    Examples
    --------
    >>> c, w = np.arange(4.0), np.linspace(500.0, 700.0, 30)
    >>> iodine = xr.DataArray(np.eye(4), {"y": c, "x": c}, ("y", "x")).to_dataset(name="x_iodine")
    >>> cube = xr.DataArray(np.ones((4, 4, 30)), {"y": c, "x": c, "wavelength": w},
    ...                     ("y", "x", "wavelength"), "intensity", {"units": "counts"})
    >>> len(hv_composition_cut(iodine, cube))
    2
    """
    return beside(cut_panels(composition, spectra, y_um, x_um, clim, max_lines), columns=2)


def cut_panels(
    composition: xr.Dataset,
    spectra: xr.Dataset | xr.DataArray,
    y_um: float | None,
    x_um: tuple[float, float] | None,
    clim: tuple[float, float] | None,
    max_lines: int,
) -> tuple[Panel, Panel]:
    """Map with coloured places along the cut; spectra in these colours."""
    above = composition_panel(composition, clim)
    cube = array_of(spectra, INTENSITY, _ACTION)
    spectral = spectral_dim(cube, _ACTION)
    dims = {Y, X, spectral} if cube.sizes.get(Y, 1) > 1 else {X, spectral}
    if Y in dims:
        rows = ascending(reduce_to(cube, dims, _ACTION), Y)
        rows, y = _row(rows, y_um)
    else:
        rows = cube
        if Y not in cube.coords and y_um is None:
            raise DataError(_ACTION, "the row has no 'y', not even a scalar one", "Pass y_um=….")
        y = float(cube[Y].squeeze()) if Y in cube.coords else float(y_um or 0.0)
    row = ascending(reduce_to(rows, {X, spectral}, _ACTION), X).transpose(X, spectral)
    if x_um is not None:
        row = row.sel({X: slice(min(x_um), max(x_um))})
    n = row.sizes[X]
    if n == 0:
        raise DataError(_ACTION, f"'x_um' is {x_um}, not a part of the map", "Give it in µm.")
    # Evenly along the cut: every place counts alike.
    chosen = np.unique(np.linspace(0, n - 1, min(n, max(2, max_lines))).round().astype(int))
    row = row.isel({X: chosen})
    below = spectra_panel(row, INTENSITY, n, normalise=False)
    x = row[X].values.astype(float)
    colours = [line.colour for line in below.of(type(below.layers[-1]))]
    # Beside the row, lest the marks hide what it shows.
    height = float(np.ptp(above.layers[0].y)) if isinstance(above.layers[0], Picture) else 0.0
    marks = [
        Points(np.array([at]), np.array([y + 0.035 * height]), colour=colour, marker="v", size=3.6,
               edge="#FFFFFF")
        for at, colour in zip(x, colours, strict=True)
    ]  # fmt: skip
    where = f"cut at y = {y:.4g} {pretty_unit(names.unit(Y))}"
    return replace(above, layers=(*above.layers, *marks)), replace(below, title=where)


def _row(rows: xr.DataArray, y_um: float | None) -> tuple[xr.DataArray, float]:
    """Row nearest to the asked place; the middle one where none is asked."""
    y = rows[Y].values.astype(float)
    i = y.size // 2 if y_um is None else int(np.argmin(np.abs(y - y_um)))
    step = float(np.ptp(y)) / max(y.size - 1, 1)
    if y_um is not None and abs(y[i] - y_um) > step:
        raise DataError(_ACTION, f"'y_um' is {y_um:g}, not between {y.min():g} and {y.max():g} µm")
    return rows.isel({Y: i}), float(y[i])
