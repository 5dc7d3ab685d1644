"""Pieces of pages: figures with the same manners, cards, plain tables as HTML."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bokeh.events import DoubleTap, Tap
from bokeh.models import Column, Div, HoverTool, Row
from bokeh.plotting import figure

from plkit.apps.view.theme import card, sheet

__all__ = [
    "div",
    "dress",
    "fill",
    "legend_above",
    "new_figure",
    "on_click",
    "panel",
    "table",
    "wrapped",
]


def on_click(figure: Any, callback: Callable[[Any], None]) -> None:
    """Call for every click: two quick ones are a double one, also where they are on two pixels."""
    for kind in (Tap, DoubleTap):
        figure.on_event(kind, callback)


def new_figure(
    title: str, x: str, y: str, *, width: int, height: int, tools: str = "", **options: Any
) -> Any:
    """Figure with pan, zoom, save and reset; wheel zoom is on, so that scrolling over it zooms."""
    made = figure(
        title=title, width=width, height=height, x_axis_label=x, y_axis_label=y,
        tools=f"pan,wheel_zoom,box_zoom,reset{',' + tools if tools else ''}", active_drag="pan",
        output_backend="canvas", **options,
    )  # fmt: skip
    made.toolbar.logo = None
    made.toolbar.active_scroll = None
    made.title.text_font_size = "10pt"
    made.axis.axis_label_text_font_size = "9.5pt"
    made.min_border_left = 64  # so that figures below each other share their left edge
    return made


def legend_above(made: Any) -> None:
    """Move the legend of a figure above it, where it hides nothing."""
    legend = made.legend[0]
    made.center.remove(legend)
    legend.update(
        orientation="horizontal", label_text_font_size="8.5pt", border_line_color=None, padding=0,
        margin=2, spacing=8,
    )  # fmt: skip
    made.add_layout(legend, "above")


def hover(renderers: Sequence[Any], *lines: tuple[str, str]) -> HoverTool:
    """Tool that shows values under the pointer, one line each."""
    return HoverTool(renderers=list(renderers), tooltips=list(lines), point_policy="follow_mouse")


def div(text: str = "", **options: Any) -> Div:
    """Text in the colours of the page."""
    return Div(text=text, stylesheets=[sheet()], **options)


def fill(source: Any, data: dict[str, Any]) -> None:
    """Set the columns of a source; nothing that stays empty is sent to the browser."""
    if any(len(column) for column in (*data.values(), *source.data.values())):
        source.data = data


def dress(*models: Any) -> None:
    """Give widgets the colours of the page."""
    for model in models:
        model.stylesheets = [*model.stylesheets, sheet()]


def panel(title: str, *children: Any, width: int | None = None) -> Column:
    """Group of widgets with a heading, on paper."""
    head = [div(f"<b>{html.escape(title)}</b>", margin=(0, 5, 2, 5))] if title else []
    sizes = {"width": width} if width else {"sizing_mode": "stretch_width"}
    return Column(*head, *children, styles=card(), margin=(4, 4, 4, 4), **sizes)


def wrapped(*children: Any, **options: Any) -> Row:
    """Things beside each other, wrapping where the page is narrow."""
    styles = {"flex-wrap": "wrap", **options.pop("styles", {})}
    return Row(*children, styles=styles, sizing_mode="stretch_width", **options)


def table(rows: Iterable[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Small table as HTML; cells are escaped."""
    cells = ["".join(f"<td>{html.escape(str(c))}</td>" for c in row) for row in rows]
    top = f"<tr>{''.join(f'<th>{html.escape(h)}</th>' for h in head)}</tr>" if head else ""
    return f"<table class='plain'>{top}{''.join(f'<tr>{c}</tr>' for c in cells)}</table>"
