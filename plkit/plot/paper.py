"""Panels on paper: drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from plkit.plot.panel import (
    Array,
    Band,
    Classes,
    Line,
    Mask,
    Note,
    OtherAxis,
    Panel,
    Picture,
    Points,
    Rug,
    Rule,
    edges,
)
from plkit.plot.style import (
    FAILED,
    add_colour_bar,
    colour_map,
    new_axes,
    new_figure,
    pretty_unit,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "draw_grid", "draw_row", "draw_stack", "on_axes"]

_MANY: Final = 60
"""More points than these are drawn small and pale, lest their bars hide them."""

_OUTSIDE: Final[dict[str, dict[str, Any]]] = {
    "above": {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": 2},
    "below": {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0), "fontsize": 6.5,
              "handlelength": 1.8, "handleheight": 1.0, "borderaxespad": 0.4},
}  # fmt: skip


def on_axes(panel: Panel, ax: Axes | None) -> Figure:
    """Draw a panel on the given axes, or on a new figure of one column's width."""
    own = ax is None
    figure, ax = new_axes(ax, aspect=panel.aspect)
    draw(panel, ax)
    legend = ax.get_legend()
    lines = len(legend.get_texts()) if panel.legend == "below" and legend is not None else 0
    if own and lines:
        width, height = figure.get_size_inches()  # type: ignore[union-attr]
        figure.set_size_inches(width, height + 0.15 * lines)  # type: ignore[union-attr]
    return figure  # type: ignore[return-value]


def draw_row(
    panels: Sequence[Panel], axes: Sequence[Axes] | None, aspect: float, **grid: Any
) -> Figure:
    """Draw panels side by side: on given axes, or on a figure of two columns' width."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if axes is None and len(panels) == 1:
        return on_axes(panels[0], None)
    if axes is None:
        figure = new_figure("double", aspect)
        axes = list(np.atleast_1d(figure.subplots(1, len(panels), **grid)))
        figure.set_layout_engine(ConstrainedLayoutEngine(wspace=0.05))
    for panel, ax in zip(panels, axes, strict=True):
        on_axes(panel, ax)
    return axes[0].figure  # type: ignore[return-value]


def draw_grid(panels: Sequence[Panel], columns: int, aspect: float) -> Figure:
    """Draw panels in rows on a figure of two columns' width, or one for a single column of them."""
    figure = new_figure("double" if columns > 1 else "single", aspect)
    rows = -(-len(panels) // columns)
    for panel, ax in zip(
        panels, figure.subplots(rows, columns, squeeze=False).ravel(), strict=True
    ):
        on_axes(panel, ax)
    return figure


def draw_stack(
    panels: Sequence[Panel], axes: Sequence[Axes] | None, aspect: float, ratios: Sequence[float]
) -> Figure:
    """Draw panels one above the other over the same x axis; labels of x stand at the lowest only."""
    if axes is None:
        figure = new_figure("single", aspect)
        axes = list(figure.subplots(len(panels), 1, sharex=True, height_ratios=ratios))
        for panel, ax in zip(panels, axes, strict=True):
            on_axes(panel, ax)
            ax.set_xlabel("")
        axes[-1].set_xlabel(panels[-1].x.math)
        figure.align_ylabels(axes)
        return figure
    for panel, ax in zip(panels, axes, strict=True):
        on_axes(panel, ax)
    return axes[0].figure  # type: ignore[return-value]


def draw(panel: Panel, ax: Axes) -> None:
    """Draw a panel on axes; style and size are the caller's."""
    for layer in panel.layers:
        _DRAW[type(layer)](layer, ax)
    if panel.scale is not None:
        _scale_of_lines(panel, ax)
    if panel.is_map:
        _as_map(panel, ax)
    else:
        _label(panel, ax)
    if panel.title:
        ax.set_title(panel.title, loc="left")
    if panel.legend and ax.get_legend_handles_labels()[1]:
        options = _OUTSIDE.get(panel.legend, {"loc": panel.legend})
        ax.legend(**{"handletextpad": 0.4, "columnspacing": 1.0, **options})
    for other, place in ((panel.top, "x"), (panel.right, "y")):
        if other is not None:
            _other_axis(ax, other, place)


def _label(panel: Panel, ax: Any) -> None:
    ax.set_xlabel(panel.x.math)
    ax.set_ylabel(panel.y.math)
    if panel.x.log:
        ax.set_xscale("log")
    if panel.y.log:
        ax.set_yscale("log")
    if panel.tight:
        ax.margins(x=0.0)
    if panel.x_limits != (None, None):
        ax.set_xlim(*panel.x_limits)
    if panel.y_limits != (None, None):
        ax.set_ylim(*panel.y_limits)
    if panel.headroom:
        low, high = ax.get_ylim()
        grown = high * (high / low) ** panel.headroom if panel.y.log else high
        ax.set_ylim(low, grown if panel.y.log else high + panel.headroom * (high - low))
    if panel.x.log:
        few_log_ticks(ax.xaxis, *ax.get_xlim())
    if panel.y.log:
        few_log_ticks(ax.yaxis, *ax.get_ylim())


def few_log_ticks(axis: Any, low: float, high: float) -> None:
    """Label 1, 2, 5 of each decade where there are few decades; plain numbers where they are short."""
    from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, NullFormatter

    few = np.log10(high / low) < 2
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    if few and low >= 1e-3 and high <= 2e4:
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    else:
        axis.set_major_formatter(
            LogFormatterSciNotation(labelOnlyBase=not few, minor_thresholds=(np.inf, np.inf))
        )
    axis.set_minor_formatter(NullFormatter())


def _points(p: Points, ax: Any) -> None:
    many = p.x.size > _MANY
    look = {
        "color": p.colour, "label": p.label or None, "markersize": min(p.size, 2.2) if many else p.size,
        "markeredgewidth": 0.8 if p.hollow else 0.0, "linestyle": "none", "marker": p.marker,
    }  # fmt: skip
    if p.hollow:
        look["markerfacecolor"] = "white"
    if p.edge:
        look.update(markeredgecolor=p.edge, markeredgewidth=0.6, zorder=4)
    if not p.bars or (p.y_sigma is None and p.x_sigma is None):
        ax.plot(p.x, p.y, alpha=0.55 if many else 0.9, rasterized=many, **look)
        return
    sigmas = [None if s is None else np.nan_to_num(s) for s in (p.y_sigma, p.x_sigma)]
    bars = ax.errorbar(
        p.x, p.y, *sigmas, elinewidth=0.4 if many else 0.7, alpha=0.45 if many else 0.9,
        capsize=0, rasterized=many, **look,
    )  # fmt: skip
    for bar in bars[2] if many else ():
        bar.set_alpha(0.2)


def _line(p: Line, ax: Any) -> None:
    ax.plot(
        p.x, p.y, color=p.colour, label=p.label or None, linewidth=p.width, linestyle=p.style,
        marker="." if p.x.size == 1 else None,
    )  # fmt: skip


def _band(p: Band, ax: Any) -> None:
    ax.fill_between(p.x, p.low, p.high, color=p.colour, alpha=p.alpha, linewidth=0)


def _picture(p: Picture, ax: Any) -> None:
    image = ax.pcolormesh(
        edges(p.x), edges(p.y), p.values, cmap=colour_map(p.scale.cmap), vmin=p.scale.low,
        vmax=p.scale.high, rasterized=True,
    )  # fmt: skip
    if not p.bar:
        return
    known = p.values[np.isfinite(p.values)]
    below = bool(known.size and known.min() < p.scale.low)
    above = bool(known.size and known.max() > p.scale.high)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = add_colour_bar(
        ax.figure, image, ax, p.scale.axis.math, extend.get((below, above), "neither")
    )
    if p.sigma is not None:
        _sigma_on_bar(bar, p.sigma, p.scale.low, p.scale.high)


def _sigma_on_bar(bar: Any, sigma: Array, low: float, high: float) -> None:
    """Show the median σ of a map as a bar of this height on the colour bar, and say it."""
    known = sigma[np.isfinite(sigma) & (sigma > 0)]
    if not known.size:
        return
    from matplotlib.patheffects import withStroke

    median = float(np.median(known))
    middle = 0.5 * (low + high)
    shown = min(median, 0.5 * (high - low))
    rim = [withStroke(linewidth=2.4, foreground="white")]
    bar.ax.errorbar(
        [0.5], [middle], [shown], color="black", elinewidth=1.0, capsize=1.8, capthick=1.0,
        transform=bar.ax.get_yaxis_transform(), path_effects=rim, label="median σ",
    )  # fmt: skip
    bar.ax.set_title(f"σ {value_text(median)}", fontsize=6.5, pad=3.0)


def _classes(p: Classes, ax: Any) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    n = len(p.names)
    ax.pcolormesh(
        edges(p.x, log=p.log), edges(p.y, log=p.log),
        np.where(p.codes < 0, np.nan, p.codes.astype(float)), rasterized=True,
        cmap=ListedColormap(p.colours).with_extremes(bad=FAILED),
        norm=BoundaryNorm(np.arange(n + 1) - 0.5, n),
    )  # fmt: skip
    for name, colour in zip(p.names, p.colours, strict=True):
        ax.plot([], [], "s", color=colour, markeredgecolor="#7F7F7F", ms=5, label=name)


def _mask(p: Mask, ax: Any) -> None:
    from matplotlib.collections import PolyCollection

    shapes = [[(a, b), (c, b), (c, d), (a, d)] for a, b, c, d in p.bars]
    if shapes:
        ax.add_collection(
            PolyCollection(
                shapes, facecolor="none", edgecolor=p.colour, hatch=p.hatch, linewidth=0, zorder=3,
                rasterized=True, label=p.label,
            ),
            autolim=False,
        )  # fmt: skip


def _rule(p: Rule, ax: Any) -> None:
    look = {"color": p.colour, "label": p.label or None}
    if p.until is not None:
        draw_span = ax.axvspan if p.vertical else ax.axhspan
        draw_span(p.at, p.until, alpha=0.2, linewidth=0, **look)
        return
    (ax.axvline if p.vertical else ax.axhline)(p.at, linewidth=p.width, linestyle=p.style, **look)


def _rug(p: Rug, ax: Any) -> None:
    ax.plot(
        p.x, np.full(p.x.size, 0.025), "x", color="#8A8A8A", ms=3.2, markeredgewidth=0.7,
        transform=ax.get_xaxis_transform(), label=p.label,
    )  # fmt: skip


def _note(p: Note, ax: Any) -> None:
    from matplotlib.patheffects import withStroke

    light = p.colour.lower() in ("white", "#ffffff")
    ax.text(
        p.x, p.y, p.text, color=p.colour, ha=p.align, va="center", fontsize=6.5, zorder=5,
        path_effects=[withStroke(linewidth=1.2, foreground="black" if light else "white")],
    )  # fmt: skip


def _scale_of_lines(panel: Panel, ax: Any) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    scale = panel.scale
    assert scale is not None
    shown = ScalarMappable(Normalize(scale.low, scale.high), ListedColormap(scale.colours()))
    add_colour_bar(ax.figure, shown, ax, scale.axis.math)


def _as_map(panel: Panel, ax: Any) -> None:
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_linewidth(0.4)
    first = (panel.of(Picture) or panel.of(Classes))[0]
    _add_scale_bar(ax, edges(first.x), edges(first.y), panel.x.unit)


def round_length(width: float) -> float:
    """Length of 1, 2 or 5 times a power of ten, at most a quarter of the width."""
    target = width / 4
    decade = 10.0 ** np.floor(np.log10(target))
    return float(decade * max(m for m in (1, 2, 5) if m * decade <= target * 1.0001))


def _add_scale_bar(ax: Any, x: Array, y: Array, unit: str) -> None:
    """White bar with a dark rim, about a quarter of the map wide, in a round length; read on any colour."""
    from matplotlib.patches import Rectangle

    width, height = float(np.ptp(x)), float(np.ptp(y))
    length = round_length(width)
    left, bottom = float(x.min()) + 0.05 * width, float(y.min()) + 0.05 * height
    ax.add_patch(
        Rectangle(
            (left, bottom), length, 0.018 * height, facecolor="white", edgecolor="black",
            linewidth=0.4, zorder=4,
        )
    )  # fmt: skip
    ax.text(
        left + length / 2, bottom + 0.035 * height, f"{length:g} {pretty_unit(unit)}",
        color="white", ha="center", va="bottom", fontsize=7.0, zorder=5,
        bbox={"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 1.2},
    )  # fmt: skip


def _other_axis(ax: Any, other: OtherAxis, place: str) -> None:
    from matplotlib.ticker import MaxNLocator

    functions = (other.forth, other.back)
    if place == "x":
        added = ax.secondary_xaxis("top", functions=functions)
        added.set_xlabel(other.axis.math)
        added.xaxis.set_major_locator(MaxNLocator(5))
    else:
        added = ax.secondary_yaxis("right", functions=functions)
        added.set_ylabel(other.axis.math)
        added.yaxis.set_major_locator(MaxNLocator(5))
    added.tick_params(labelsize=7.0, width=0.6, length=3.0)


_DRAW: Final[dict[type, Any]] = {
    Points: _points, Line: _line, Band: _band, Picture: _picture, Classes: _classes, Mask: _mask,
    Rule: _rule, Rug: _rug, Note: _note,
}  # fmt: skip
