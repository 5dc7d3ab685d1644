"""The page as one text: figures of Bokeh, BokehJS itself, the blocks, and the script that joins them."""

from __future__ import annotations

import functools
import html
import importlib.resources
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Glyph, MetricLength, ScaleBar
from bokeh.resources import Resources

from plkit.apps.mailable.packing import Blocks
from plkit.apps.view.graphs import SpectrumGraph, TraceGraph
from plkit.apps.view.picture import Picture, palette_of
from plkit.apps.view.state import COLOURS, PALETTES
from plkit.apps.view.theme import HEAD, paint

__all__ = ["Frame", "new_frame", "page_text", "table"]

# Nothing may be fetched: no address, not even that of the file itself.
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; form-action 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class Frame:
    """What every page carries.

    Parameters
    ----------
    figures : dict
        JSON of the figures.
    runtime : Blocks
        BokehJS without its widgets and tables, which no figure needs.
    """

    figures: dict[str, Any]
    runtime: Blocks


@functools.cache
def new_frame() -> Frame:
    """Figures without numbers, and what draws them; made once."""
    runtime = Blocks()
    resources = Resources(mode="inline", components=["bokeh"], log_level="error")
    runtime.add_bytes("bokeh", "\n".join(resources.js_raw).encode())
    return Frame(_figures(), runtime)


def page_text(
    title: str, about: str, layers: list[dict[str, Any]], blocks: Blocks, frame: Frame
) -> str:
    """Return the page.

    Parameters
    ----------
    title : str
        Heading.
    about : str
        HTML below the figures.
    layers : list of dict
        Headers of the layers.
    blocks : Blocks
        Their arrays.
    frame : Frame
        From :func:`new_frame`.

    Returns
    -------
    str
        HTML; the same for the same input.
    """
    head = Blocks()
    data = {**frame.figures, "layers": layers, "colours": COLOURS}
    data["palettes"] = {name: palette_of(name) for name in PALETTES}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    head.add_bytes("page", _renumbered(text).encode())
    texts = {**frame.runtime.texts, **head.texts, **blocks.texts}
    carried = "\n".join(
        f'<script type="text/plain" id="block-{name}">{text}</script>'
        for name, text in texts.items()
    )
    folder = importlib.resources.files("plkit.apps.mailable")
    css, script, body = ((folder / f"page.{s}").read_text("utf-8") for s in ("css", "js", "html"))
    body = body.format(title=html.escape(title), about=about)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n{HEAD}\n<style>\n{css}</style>\n</head>\n<body>"
        f"{body}{carried}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _figures() -> dict[str, Any]:
    """The figures of the page of plkit view, with the names by which the script finds their parts."""
    picture, spectrum, trace = Picture(), SpectrumGraph(), TraceGraph()
    parts = {
        "map_failed": picture.failed, "map_pins": picture.pins, "map_regions": picture.regions,
        "map_labels": picture.labels, "map_cursor": picture.cursor, "map_glyph": picture.glyph,
        "map_linear": picture.linear, "map_log": picture.log, "map_bar": picture.bar,
        "box_tool": picture.box_tool, "polygon_tool": picture.lasso_tool,
        "spectrum_sigma": spectrum.sigma, "spectrum_parts": spectrum.parts,
        "spectrum_total": spectrum.total, "spectrum_band": spectrum.band,
        "residual": spectrum.residual, "trace_here": trace.here, "trace_kept": trace.kept,
        "trace_now": trace.now, "trace_line": _line_of(trace.figure, trace.here),
    }  # fmt: skip
    bar = ScaleBar(
        range=picture.figure.x_range, unit="µm", dimensional=MetricLength(), location="bottom_right",
        length_sizing="adaptive", background_fill_alpha=0.75, label_text_font_size="9pt", margin=8,
        border_line_color=None, visible=False,
    )  # fmt: skip
    picture.figure.add_layout(bar)
    parts["scale_bar"] = bar
    parts |= _trace_of_results(trace.figure)
    for name, model in parts.items():
        model.name = name
    roots = {
        "figure_map": picture.figure, "figure_spectrum": spectrum.figure,
        "figure_residual": spectrum.residual, "figure_trace": trace.figure,
    }  # fmt: skip
    picture.figure.tags = [picture.log]  # drawn by nothing yet, and carried all the same
    # The script makes its images with the constructor of this one.
    picture.image.data = {
        "image": [np.zeros((1, 1), np.float32)], "x": [0.0], "y": [0.0], "dw": [1.0], "dh": [1.0],
    }  # fmt: skip
    spectrum.residual.visible = True  # its place on the page is hidden instead
    document = Document()
    for name, figure in roots.items():
        figure.sizing_mode = "stretch_width"
        for axis, model in (("x", figure.xaxis[0]), ("y", figure.yaxis[0])):
            model.name = f"{name}_{axis}"
        document.add_root(figure)
    themes = _themes(list(roots.values()))
    return {
        "document": json.loads(serialize_json(document.to_json(deferred=False))),
        "roots": {figure.id: name for name, figure in roots.items()}, "themes": themes,
    }  # fmt: skip


def _line_of(figure: Any, source: Any) -> Any:
    """Renderer of the line through the points of a source."""
    return next(
        r for r in figure.renderers if r.data_source is source and type(r.glyph).__name__ == "Line"
    )


def _trace_of_results(figure: Any) -> dict[str, Any]:
    """Points with σ, curves of fits and their bands."""
    empty: dict[str, list[Any]] = {"x": [], "y": [], "colour": []}
    bands, points, curves = (ColumnDataSource(dict(empty)) for _ in range(3))
    errors = ColumnDataSource({"x": [], "low": [], "high": [], "colour": []})
    figure.patches("x", "y", source=bands, fill_color="colour", fill_alpha=0.25, line_color=None)
    figure.segment("x", "low", "x", "high", source=errors, line_color="colour", line_alpha=0.6)
    figure.scatter("x", "y", source=points, color="colour", size=3, alpha=0.5)
    figure.multi_line("x", "y", source=curves, line_color="colour", line_width=2)
    return {
        "trace_bands": bands, "trace_errors": errors, "trace_points": points, "trace_curves": curves,
    }  # fmt: skip


def _themes(figures: list[Any]) -> dict[str, dict[str, list[Any]]]:
    """What painting dark changes: model → property → [light, dark]."""
    found = {m for figure in figures for m in figure.references()}
    models = sorted(found, key=lambda m: int(m.id[1:]))  # in the order in which they were made
    states = []
    for dark in (True, False):
        for figure in figures:
            paint(figure, dark)
        # What was painted was set: there is no need to look at all that was not.
        states.append({m: m.properties_with_values(include_defaults=False) for m in models})
    dark_state, light_state = states
    out: dict[str, dict[str, list[Any]]] = {}
    for model, light in light_state.items():
        for name, value in light.items():
            other = dark_state[model].get(name)
            if isinstance(value, str) and value != other:
                ends = [value, other]
                if isinstance(model, Glyph):  # there, a bare word would be a column
                    ends = [{"value": v} for v in ends]
                out.setdefault(model.id, {})[name] = ends
    return out


def _renumbered(text: str) -> str:
    """Names of models in order, whatever was made before: the same input gives the same file."""
    order = dict.fromkeys(re.findall(r'"(p\d{4,})"', text))
    new = {old: f"m{n}" for n, old in enumerate(order)}
    return re.sub(r'"(p\d{4,})"', lambda found: f'"{new[found[1]]}"', text)


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Small table as HTML; cells are escaped."""
    cells = "".join(f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows)
    return f"<table class='plain'>{cells}</table>"
