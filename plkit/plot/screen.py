"""Panels on the screen: as HoloViews overlays for Bokeh, with value ± σ and units under the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from plkit.errors import MissingExtraError
from plkit.plot.panel import (
    Axis,
    Band,
    Classes,
    Line,
    Mask,
    Note,
    Panel,
    Picture,
    Points,
    Rug,
    Rule,
    Scale,
    edges,
)
from plkit.plot.style import FAILED, pretty_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["beside", "dress"]

_WIDTH: Final = 420
_SIGMA: Final = "σ"
_MARKERS: Final = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "inverted_triangle"}  # fmt: skip
_DASHES: Final = {"-": "solid", "--": "dashed", ":": "dotted"}
_HATCHES: Final = {
    "/": "right_diagonal_line", "\\": "left_diagonal_line", "|": "vertical_line",
    "x": "diagonal_cross", "+": "cross",
}  # fmt: skip


def _holoviews() -> Any:
    try:
        import holoviews as hv
        import holoviews.plotting.bokeh  # registers the backend
    except ImportError as error:
        raise MissingExtraError(
            "draw an interactive figure", "HoloViews is not installed, not importable",
            "Install it: pip install holoviews bokeh.",
        ) from error  # fmt: skip
    return hv


def dress(panel: Panel, *, height: int | None = None) -> Any:
    """Turn a panel into a ``holoviews.Overlay`` whose look is set for Bokeh."""
    hv = _holoviews()
    elements = []
    for layer in panel.layers:
        if isinstance(layer, Points | Line) and not np.isfinite(layer.y).any():
            continue  # HoloViews warns of ranges without a number
        elements += _MAKE[type(layer)](hv, panel, layer)
    if not elements:
        elements.append(hv.Scatter([], [_dimension(hv, panel.x)], [_dimension(hv, panel.y)]))
    if panel.scale is not None:
        elements += _scale_of_lines(hv, panel, panel.scale)
    options: dict[str, Any] = {
        "xlabel": panel.x.text, "ylabel": panel.y.text.replace("\n", " "), "title": panel.title, "logx": panel.x.log,
        "logy": panel.y.log, "frame_width": _WIDTH, "show_legend": bool(panel.legend),
        "legend_position": "bottom" if panel.legend == "below" else "top", "legend_cols": 1 if _is_wordy(panel) else 2,
    }  # fmt: skip
    if panel.is_map:
        options["data_aspect"] = 1
    else:
        options["frame_height"] = height or round(_WIDTH * panel.aspect * 0.9)
    for name, limits in (("xlim", panel.x_limits), ("ylim", panel.y_limits)):
        if limits != (None, None):
            options[name] = limits
    return hv.Overlay(elements).opts(backend="bokeh", **options)


def beside(panels: Sequence[Panel], *, columns: int, heights: Sequence[int] = ()) -> Any:
    """Turn panels into a ``holoviews.Layout``; one panel stays an Overlay."""
    hv = _holoviews()
    heights = heights or [0] * len(panels)
    dressed = [dress(p, height=h or None) for p, h in zip(panels, heights, strict=True)]
    if len(dressed) == 1:
        return dressed[0]
    # Panels that share a quantity of the same name on x are zoomed together; nothing else is.
    same = len({p.x.name for p in panels}) == 1 and columns == 1
    return hv.Layout(dressed).cols(columns).opts(backend="bokeh", shared_axes=same)


# Elements -------------------------------------------------------------------------------------
def _dimension(hv: Any, axis: Axis) -> Any:
    label = (
        axis.long_name if axis.symbol in ("", axis.long_name) else f"{axis.long_name} {axis.symbol}"
    )
    return hv.Dimension(axis.name, label=label, unit=pretty_unit(axis.unit) or None)


def _is_wordy(panel: Panel) -> bool:
    """Whether legend entries are too long to stand side by side."""
    return any(len(getattr(layer, "label", "")) > 30 for layer in panel.layers)


def _one_line(text: str) -> str:
    """Bokeh's legends have one line for each label."""
    return text.replace("\n", ", ")


def _look(element: Any, **options: Any) -> Any:
    return element.opts(backend="bokeh", **options)


def _tip(axis: Axis, shown: str) -> tuple[str, str]:
    """Name and value under the mouse. HoloViews adds the unit to a name that is the label itself."""
    unit = pretty_unit(axis.unit)
    return f"{axis.long_name}\u200b", f"{shown} {unit}" if unit else shown


def _columns(panel: Panel, layer: Points | Line) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Columns beside x and y, their names, and what is said under the mouse."""
    values: list[Any] = []
    columns: list[str] = []
    tips = [("", _one_line(layer.label))] if layer.label else []
    shown_y = f"@{{{panel.y.name}}}{{%.4g}}"
    shown_x = f"@{{{panel.x.name}}}{{%.5g}}"
    formats = [panel.x.name, panel.y.name]

    def add(name: str, column: Any) -> str:
        values.append(np.broadcast_to(column, layer.x.shape))
        columns.append(name)
        formats.append(name)
        return f"@{{{name}}}{{%.2g}}"

    if layer.y_sigma is not None:
        if layer.y_sigma.ndim == 2:
            below, above = add("σ below", layer.y_sigma[0]), add("σ above", layer.y_sigma[1])
            shown_y += f" −{below} +{above}"
        else:
            shown_y += f" ± {add(_SIGMA, layer.y_sigma)}"
    if isinstance(layer, Points) and layer.x_sigma is not None:
        shown_x += f" ± {add(f'σ of {panel.x.name}', layer.x_sigma)}"
    tips += [_tip(panel.x, shown_x), _tip(panel.y, shown_y)]
    for axis, column in layer.extra:
        name = axis.name if axis.name not in (panel.x.name, panel.y.name) else f"{axis.name} "
        add(name, np.asarray(column, float))
        tips.append(_tip(axis, f"@{{{name}}}{{%.4g}}"))
    hover = {
        "tools": ["hover"], "hover_tooltips": tips,
        "hover_formatters": {f"@{{{n}}}": "printf" for n in formats},
    }  # fmt: skip
    return values, columns, hover


def _points(hv: Any, panel: Panel, p: Points) -> list[Any]:
    values, columns, hover = _columns(panel, p)
    keys, vdims = [_dimension(hv, panel.x)], [_dimension(hv, panel.y)]
    many = p.x.size > 60
    bars = []
    whisker = {
        "line_color": p.colour, "upper_head": None, "lower_head": None,
        "line_alpha": 0.3 if many else 0.9,
    }  # fmt: skip
    if p.y_sigma is not None and p.bars:
        sigma = np.nan_to_num(np.atleast_2d(p.y_sigma))
        ends = [f"bar{i}" for i in range(len(sigma))]
        up = hv.ErrorBars((p.x, p.y, *sigma), keys, [*vdims, *ends])
        bars.append(_look(up, **whisker))
    if p.x_sigma is not None and p.bars:
        lengths = np.nan_to_num(p.x_sigma)
        across = hv.ErrorBars((p.x, p.y, lengths), keys, [*vdims, "bar across"], horizontal=True)
        bars.append(_look(across, **whisker))
    points = hv.Scatter((p.x, p.y, *values), keys, [*vdims, *columns], label=_one_line(p.label))
    look = {
        "size": 3 if many else 6, "marker": _MARKERS[p.marker], "line_color": p.edge or p.colour,
        "fill_color": "white" if p.hollow else p.colour, "alpha": 0.6 if many else 0.95,
    }  # fmt: skip
    return [*bars, _look(points, **look, **hover)]


def _line(hv: Any, panel: Panel, p: Line) -> list[Any]:
    values, columns, hover = _columns(panel, p)
    curve = hv.Curve(
        (p.x, p.y, *values), [_dimension(hv, panel.x)], [_dimension(hv, panel.y), *columns],
        label=_one_line(p.label),
    )  # fmt: skip
    width = max(1.0, 1.5 * p.width)
    return [_look(curve, color=p.colour, line_width=width, line_dash=_DASHES[p.style], **hover)]


def _band(hv: Any, panel: Panel, p: Band) -> list[Any]:
    known = np.isfinite(p.low) & np.isfinite(p.high)
    if panel.y.log:
        known &= (p.low > 0) & (p.high > 0)
    if not known.any():
        return []
    area = hv.Area(
        (p.x[known], p.low[known], p.high[known]), [_dimension(hv, panel.x)],
        [_dimension(hv, panel.y), "upper"],
    )  # fmt: skip
    return [_look(area, color=p.colour, alpha=p.alpha, line_width=0)]


def _picture(hv: Any, panel: Panel, p: Picture) -> list[Any]:
    axis = p.scale.axis
    keys = [_dimension(hv, panel.x), _dimension(hv, panel.y)]
    if not np.isfinite(p.values).any():  # nothing to scale colours by: all of it is grey
        left, right, low, high = (float(v) for c in (p.x, p.y) for v in edges(c)[[0, -1]])
        grey = hv.Rectangles(
            [(left, low, right, high)], [panel.x.name, panel.y.name, "right", "upper"]
        )
        return [_look(grey, color=FAILED, line_alpha=0.0)]
    value = _dimension(hv, axis).clone(range=(p.scale.low, p.scale.high))
    even = all(_is_even(c) for c in (p.x, p.y)) and not (panel.x.log or panel.y.log)
    name = "image" if even else axis.name
    shown, vdims, columns = f"@{{{name}}}{{%.4g}}", [value], [p.values]
    formats = {f"@{{{name}}}": "printf"}
    if p.sigma is not None and np.isfinite(p.sigma).any():
        vdims, columns = [value, _SIGMA], [p.values, p.sigma]
        shown += f" ± @{{{_SIGMA}}}{{%.2g}}"
        formats[f"@{{{_SIGMA}}}"] = "printf"
    tips = [_tip(panel.x, "$x{0.00}"), _tip(panel.y, "$y{0.00}"), _tip(axis, shown)]
    if even:
        bounds = tuple(float(v) for c in (p.x, p.y) for v in (edges(c)[0], edges(c)[-1]))
        data = np.dstack([c[::-1] for c in columns]) if len(columns) > 1 else columns[0][::-1]
        element = hv.Image(data, keys, vdims, bounds=(bounds[0], bounds[2], bounds[1], bounds[3]))
    else:
        element = hv.QuadMesh((edges(p.x), edges(p.y), *columns), keys, vdims)
    look = _look(
        element, cmap=p.scale.cmap, clim=(p.scale.low, p.scale.high), colorbar=p.bar,
        clabel=axis.text, clipping_colors={"NaN": FAILED}, tools=["hover"], hover_tooltips=tips,
        hover_formatters=formats,
    )  # fmt: skip
    return [look]


def _is_even(centres: Any) -> bool:
    steps = np.diff(centres)
    return bool(steps.size == 0 or np.allclose(steps, steps[0], rtol=1e-3))


def _classes(hv: Any, panel: Panel, p: Classes) -> list[Any]:
    from bokeh.models import FixedTicker

    keys = [_dimension(hv, panel.x), _dimension(hv, panel.y)]
    codes = np.where(p.codes < 0, np.nan, p.codes.astype(float))
    element = hv.QuadMesh(
        (edges(p.x, log=p.log), edges(p.y, log=p.log), codes), keys, [hv.Dimension(p.title)]
    )
    said = dict(enumerate(p.names))
    bar = {"ticker": FixedTicker(ticks=list(said)), "major_label_overrides": said, "title": p.title}
    tips = [_tip(panel.x, f"@{{{panel.x.name}}}"), _tip(panel.y, f"@{{{panel.y.name}}}")]
    tips.append(("", ", ".join(f"{i}: {n}" for i, n in said.items())))
    tips.append((p.title, f"@{{{p.title}}}"))
    n = len(p.names)
    return [
        _look(
            element, cmap=list(p.colours), clim=(-0.5, n - 0.5), color_levels=n, colorbar=True,
            colorbar_opts=bar, clipping_colors={"NaN": FAILED}, tools=["hover"], hover_tooltips=tips,
            line_width=0, line_alpha=0,
        )
    ]  # fmt: skip


def _mask(hv: Any, panel: Panel, p: Mask) -> list[Any]:
    if not p.bars:
        return []

    def hatch(plot: Any, element: Any) -> None:  # noqa: ARG001
        for name in ("glyph", "nonselection_glyph", "muted_glyph"):
            if name in plot.handles:
                glyph = plot.handles[name]
                glyph.hatch_pattern = _HATCHES[p.hatch[0]]
                glyph.hatch_color, glyph.hatch_scale = p.colour, 6.0

    keys = [panel.x.name, panel.y.name, "right", "upper"]
    shapes = hv.Rectangles(list(p.bars), keys, label=_one_line(p.label))
    return [_look(shapes, fill_alpha=0.0, line_alpha=0.0, hooks=[hatch], color=p.colour)]


def _rule(hv: Any, panel: Panel, p: Rule) -> list[Any]:
    del panel
    if p.until is not None:
        span = (hv.VSpan if p.vertical else hv.HSpan)(p.at, p.until)
        return [_look(span, color=p.colour, alpha=0.2)]
    line = (hv.VLine if p.vertical else hv.HLine)(p.at)
    return [_look(line, color=p.colour, line_dash=_DASHES[p.style], line_width=1.0)]


def _rug(hv: Any, panel: Panel, p: Rug) -> list[Any]:
    marks = hv.VLines(p.x, label=_one_line(p.label))
    del panel
    return [_look(marks, color=FAILED, line_dash="dotted", line_width=1.0)]


def _note(hv: Any, panel: Panel, p: Note) -> list[Any]:
    keys = [_dimension(hv, panel.x), _dimension(hv, panel.y)]
    words = hv.Labels([(p.x, p.y, p.text)], keys, "words")
    return [_look(words, text_color=p.colour, text_font_size="8pt", text_align=p.align)]


def _scale_of_lines(hv: Any, panel: Panel, scale: Scale) -> list[Any]:
    """Carry the colour bar of coloured lines: a point that is nowhere."""
    keys = [_dimension(hv, panel.x)]
    values = [_dimension(hv, panel.y), scale.axis.name]
    nowhere = hv.Scatter(([np.nan], [np.nan], [scale.low]), keys, values)
    return [
        _look(
            nowhere, color=scale.axis.name, cmap=scale.colours(), clim=(scale.low, scale.high),
            colorbar=True, clabel=scale.axis.text,
        )
    ]  # fmt: skip


_MAKE: Final[dict[type, Any]] = {
    Points: _points, Line: _line, Band: _band, Picture: _picture, Classes: _classes, Mask: _mask,
    Rule: _rule, Rug: _rug, Note: _note,
}  # fmt: skip
