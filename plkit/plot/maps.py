"""Figures of maps: any quantity over y and x, composition, and a cut with its fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import COMPONENT, FIT_STATUS, POWER, X, Y
from plkit.plot.style import (
    add_colour_bar,
    colour_map,
    label_of,
    new_axes,
    pretty_unit,
    reduce_to,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["failed_pixels", "plot_composition", "plot_map"]

_FIRST_FAILURE = 3
"""Status from which a fit has no values: no_signal, failed."""


_CROSSES = "++++"


def _hatch_colour(hatch: str) -> str:
    """Grey on the grey of missing values; vermilion crosses where they stand on colours."""
    return "#D55E00" if hatch == _CROSSES else "#6E6E6E"


# Flags of a composition, in words: those without a value, then one whose value is no mean.
_FLAGGED = (
    ("bromide end: limit only", ("above_bromide_end", "bromide_limit"), "\\\\\\\\\\"),
    ("beyond iodide end", ("beyond_iodide_end",), "|||||"),
    ("no peak", ("no_peak",), "xxxxx"),
    ("several phases", ("multiple_phases",), _CROSSES),
)


def failed_pixels(data: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Pixels without a result: not a number, or a fit status of no_signal or failed.

    Parameters
    ----------
    data : xarray.Dataset
        May hold ``fit_status`` (y, x).
    values : xarray.DataArray
        (y, x).

    Returns
    -------
    xarray.DataArray
        True where there is no result.

    Examples
    --------
    >>> da = xr.DataArray([[1.0, np.nan]], dims=("y", "x"))
    >>> failed_pixels(xr.Dataset({"a": da}), da).values.tolist()
    [[False, True]]
    """
    failed = values.isnull() | (abs(values) == np.inf)
    status = data.get(FIT_STATUS)
    if status is not None and set(status.dims) == {Y, X}:
        failed = failed | (status >= _FIRST_FAILURE)
    return failed


def map_of(
    data: xr.Dataset | xr.DataArray, variable: str | None, action: str
) -> tuple[xr.Dataset, xr.DataArray]:
    """Return the one map of ``data`` and the Dataset that may hold its status."""
    if isinstance(data, xr.DataArray):
        values = data
        data = data.to_dataset(name=data.name if data.name is not None else "values")
    else:
        candidates = [str(n) for n, v in data.data_vars.items() if {Y, X} <= set(v.dims)]
        if variable is None or variable not in data:
            asked = "no variable is named" if variable is None else f"'{variable}' is not in it"
            raise DataError(
                action, f"{asked}; it has the maps {', '.join(candidates) or 'none'}",
                "Pass variable=…, one of these.",
            )  # fmt: skip
        values = data[variable]
    return data, reduce_to(values, {Y, X}, action).transpose(Y, X)


@styled
def plot_map(
    data: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    clim: tuple[float, float] | None = None,
    cmap: str = "viridis",
    ax: Axes | None = None,
) -> Figure:
    """Draw a map with scale bar and colour bar; pixels without a result are grey and hatched.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        (y, x) [um], dims of length one besides; a Dataset may hold ``fit_status``.
    variable : str, optional
        Variable of a Dataset.
    clim : tuple of float, optional
        Ends of the colour scale, in the unit of the map; its 0.5 and 99.5 percentiles by default.
    cmap : str, optional
        Colour map; viridis and cividis are safe for colour-blind readers.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the title names component and power, where the map has them.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> len(plot_map(da.rename("fraction")).axes)
    2
    """
    dataset, values = map_of(data, variable, "plot a map")
    own = ax is None
    figure, ax = new_axes(ax, aspect=0.8)
    failed = failed_pixels(dataset, values).transpose(Y, X)
    x, y = _draw_map(figure, ax, values.where(~failed), clim, cmap, label_of(values))
    _hatch(ax, x, y, failed.values, "//////")
    _say_hatched(ax, [("no result", "//////", int(failed.sum()))], own_figure=own)
    ax.set_title(_title(values), loc="left")
    return figure  # type: ignore[return-value]


def _title(values: xr.DataArray) -> str:
    parts = []
    if COMPONENT in values.coords and values[COMPONENT].ndim == 0:
        parts.append(str(values[COMPONENT].values))
    if POWER in values.coords and values[POWER].ndim == 0:
        parts.append(f"{float(values[POWER]):g} {pretty_unit(names.unit(POWER))}")
    return ", ".join(parts)


def _draw_map(
    figure: Any,
    ax: Any,
    values: xr.DataArray,
    clim: tuple[float, float] | None,
    cmap: str,
    text: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw map, scale bar and colour bar; return the edges of the pixels."""
    x, y = (_edges(values[d].values.astype(float)) for d in (X, Y))
    known = values.values[np.isfinite(values.values)]
    if clim is None and known.size:
        clim = (float(np.percentile(known, 0.5)), float(np.percentile(known, 99.5)))
    low, high = clim if clim is not None else (0.0, 1.0)
    image = ax.pcolormesh(
        x, y, values.values, cmap=colour_map(cmap), vmin=low, vmax=high if high > low else low + 1,
        rasterized=True,
    )  # fmt: skip
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
    _add_scale_bar(ax, float(np.ptp(x)), x, y)
    below, above = bool(known.size and known.min() < low), bool(known.size and known.max() > high)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    add_colour_bar(figure, image, ax, text, extend.get((below, above), "neither"))
    return x, y


def _edges(centres: np.ndarray) -> np.ndarray:
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = 0.5 * (centres[1:] + centres[:-1])
    first, last = 1.5 * centres[0] - 0.5 * centres[1], 1.5 * centres[-1] - 0.5 * centres[-2]
    return np.concatenate([[first], middle, [last]])


def _hatch(ax: Any, x: np.ndarray, y: np.ndarray, mask: np.ndarray, hatch: str) -> None:
    """Hatch pixels, joined to bars along x so that a thousand of them stay light."""
    from matplotlib.collections import PolyCollection

    bars = []
    for row in np.flatnonzero(mask.any(axis=1)):
        ends = np.diff(np.concatenate([[False], mask[row], [False]]).astype(int))
        for start, stop in zip(np.flatnonzero(ends == 1), np.flatnonzero(ends == -1), strict=True):
            left, right, low, high = x[start], x[stop], y[row], y[row + 1]
            bars.append([(left, low), (right, low), (right, high), (left, high)])
    if bars:
        ax.add_collection(
            PolyCollection(
                bars,
                facecolor="none",
                edgecolor=_hatch_colour(hatch),
                hatch=hatch,
                linewidth=0,
                zorder=3,
                rasterized=True,
            ),
            autolim=False,
        )


def _say_hatched(ax: Any, marked: list[tuple[str, str, int]], *, own_figure: bool) -> None:
    """Say below the map what each hatching means, and of how many pixels."""
    from matplotlib.patches import Patch

    handles = [
        Patch(
            facecolor="none", edgecolor=_hatch_colour(hatch), hatch=hatch, linewidth=0.4,
            label=f"{text} ({n})",
        )
        for text, hatch, n in marked
        if n
    ]  # fmt: skip
    if handles:
        if own_figure:
            width, height = ax.figure.get_size_inches()
            ax.figure.set_size_inches(width, height + 0.15 * len(handles))
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.0, 0.0), fontsize=6.5,
            handlelength=1.8, handleheight=1.0, borderaxespad=0.4,
        )  # fmt: skip


def _add_scale_bar(ax: Any, width: float, x: np.ndarray, y: np.ndarray) -> None:
    """White bar with a dark rim, about a quarter of the map wide, in round micrometres."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    target = width / 4
    decade = 10.0 ** np.floor(np.log10(target))
    length = float(decade * max(m for m in (1, 2, 5) if m * decade <= target * 1.0001))
    left = float(x.min()) + 0.05 * width
    height = float(np.ptp(y))
    bottom = float(y.min()) + 0.05 * height
    ax.add_patch(
        Rectangle(
            (left, bottom),
            length,
            0.018 * height,
            facecolor="white",
            edgecolor="black",
            linewidth=0.4,
            zorder=4,
        )
    )
    ax.text(
        left + length / 2, bottom + 0.035 * height, f"{length:g} {pretty_unit(names.unit(X))}",
        color="white", ha="center", va="bottom", fontsize=7.0, zorder=5,
        path_effects=[withStroke(linewidth=1.2, foreground="black")],
    )  # fmt: skip


@styled
def plot_composition(
    data: xr.Dataset, *, clim: tuple[float, float] | None = None, ax: Axes | None = None
) -> Figure:
    """Draw a map of the iodine content; what is no composition, or none of a single phase, is hatched.

    Parameters
    ----------
    data : xarray.Dataset
        Result of :func:`plkit.composition_map`: ``x_iodine`` (y, x), ``composition_flag``.
    clim : tuple of float, optional
        Ends of the colour scale [iodine per formula unit]; from 0 by default, so that maps compare.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the legend says what each hatching means and of how many pixels.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> figure = plot_composition(da.to_dataset(name="x_iodine"), clim=(0.0, 1.5))
    >>> figure.axes[0].collections[0].get_clim()
    (0.0, 1.5)
    """
    dataset, values = map_of(data, "x_iodine", "plot the composition")
    own = ax is None
    figure, ax = new_axes(ax, aspect=0.8)
    unknown = failed_pixels(dataset, values).transpose(Y, X).values
    known = values.values[np.isfinite(values.values)]
    if clim is None and known.size:
        clim = (min(0.0, float(known.min())), float(np.percentile(known, 99.5)))
    text = f"{label_of(values)} in CsPbBr$_{{3-x}}$I$_x$"
    x, y = _draw_map(figure, ax, values, clim, "cividis", text)
    marked = []
    for what, flags, hatch in _FLAGGED:
        mask = _has_flag(dataset, flags)
        _hatch(ax, x, y, mask, hatch)
        marked.append((what, hatch, int(mask.sum())))
        unknown = unknown & ~mask
    _hatch(ax, x, y, unknown, "//////")
    _say_hatched(ax, [*marked, ("no result", "//////", int(unknown.sum()))], own_figure=own)
    ax.set_title(_title(values), loc="left")
    return figure  # type: ignore[return-value]


def _has_flag(data: xr.Dataset, wanted: tuple[str, ...]) -> np.ndarray:
    """Pixels with one of the named flags; none where the data carries no flags."""
    shape = tuple(data.sizes[d] for d in (Y, X))
    flag = data.get("composition_flag")
    if flag is None or "flag_masks" not in flag.attrs:
        return np.zeros(shape, bool)
    masks = np.atleast_1d(flag.attrs["flag_masks"])
    meanings = str(flag.attrs.get("flag_meanings", "")).split()
    bits = sum(int(m) for m, name in zip(masks, meanings, strict=False) if name in wanted)
    return np.asarray((reduce_to(flag, {Y, X}, "plot flags").transpose(Y, X).values & bits) != 0)
