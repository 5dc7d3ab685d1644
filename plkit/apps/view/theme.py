"""How the page looks: colours by CSS variables, light and dark, no font and no file from elsewhere."""

from __future__ import annotations

from typing import Any, Final

from bokeh.models import InlineStyleSheet

__all__ = ["CURSOR", "HEAD", "card", "new_sheet", "paint", "sheet", "use"]

CURSOR: Final = "#0072B2"
_LIGHT: Final = {"ink": "#1f2933", "paper": "#ffffff", "grid": "#e4e7eb", "faint": "#616e7c"}
_DARK: Final = {"ink": "#e4e7eb", "paper": "#1b2129", "grid": "#323f4b", "faint": "#9aa5b1"}

HEAD: Final = """
<style>
  :root { --ink:#1f2933; --paper:#ffffff; --ground:#f2f4f7; --line:#cbd2d9; --faint:#616e7c; --accent:#0072B2;
          --field:#ffffff; --warn:#b4430f; color-scheme: light; }
  :root.dark { --ink:#e4e7eb; --paper:#1b2129; --ground:#12161b; --line:#3e4c59; --faint:#9aa5b1; --accent:#56B4E9;
          --field:#222a33; --warn:#ff9a5c; color-scheme: dark; }
  html, body { margin:0; background:var(--ground); color:var(--ink);
          font:14px/1.4 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
  body { padding:8px 12px; box-sizing:border-box; }
</style>
"""

_WIDGETS: Final = """
:host { color: var(--ink); font: 13px system-ui, "Segoe UI", Arial, sans-serif; }
label, .bk-input-group, .bk-slider-title { color: var(--ink); }
.bk-input, select.bk-input, textarea.bk-input { background-color: var(--field); color: var(--ink);
   border-color: var(--line); }
.bk-input[disabled], .bk-input[readonly] { background-color: var(--ground); color: var(--faint); }
input[type=file]::file-selector-button { background-color: var(--field); color: var(--ink);
   border: 1px solid var(--line); border-radius: 4px; }
.bk-input:focus-visible, .bk-btn:focus-visible { outline: 2px solid var(--accent); }
.bk-btn-default { background-color: var(--field); color: var(--ink); border-color: var(--line); }
.bk-btn[disabled], .bk-btn[disabled]:hover { background-color: var(--ground); color: var(--faint);
   border-color: var(--line); }
.bk-btn-default:hover { background-color: var(--ground); }
.bk-btn.bk-active, .bk-btn-default.bk-active { background-color: var(--accent); color: var(--paper);
   border-color: var(--accent); }
.bk-btn-primary { background-color: var(--accent); color: var(--paper); border-color: var(--accent); }
.bk-tab { color: var(--ink); } .bk-tab.bk-active { background-color: var(--paper); color: var(--accent); }
.bk-header { border-bottom-color: var(--line); flex-wrap: wrap; }
.noUi-target { background: var(--line); border-color: var(--line); }
.noUi-handle { background: var(--field); border-color: var(--faint); }
.slick-header-column, .slick-row, .slick-cell { background: var(--paper) !important; color: var(--ink) !important;
   border-color: var(--line) !important; }
pre, code { font-size: 12px; } a { color: var(--accent); } .faint { color: var(--faint); } .warn { color: var(--warn); }
table.plain { border-collapse: collapse; } table.plain td, table.plain th { padding: 2px 10px 2px 0; text-align: left;
   vertical-align: top; border-bottom: 1px solid var(--line); }
pre { overflow-x: auto; max-width: 100%; }
"""

_page: list[Any] = []


def new_sheet() -> Any:
    """Style sheet of the widgets of one page: a model may stand in one document only."""
    return InlineStyleSheet(css=_WIDGETS)


def use(style: Any) -> None:
    """Make widgets for the page that has this style sheet, from here on.

    Pages are made and changed one after the other, by the one thread of the server.
    """
    _page[:] = [style]


def sheet() -> Any:
    """Style sheet of the page that is being made."""
    if not _page:
        use(new_sheet())
    return _page[0]


def card() -> dict[str, str]:
    """Styles of a group of widgets that stand on paper."""
    return {
        "background": "var(--paper)", "border": "1px solid var(--line)", "border-radius": "6px",
        "padding": "8px 10px", "box-sizing": "border-box",
    }  # fmt: skip


def paint(figure: Any, dark: bool) -> None:
    """Colour a figure for a light or a dark page."""
    c = _DARK if dark else _LIGHT
    figure.background_fill_color = c["paper"]
    figure.border_fill_color = c["paper"]
    figure.outline_line_color = c["grid"]
    figure.title.text_color = c["ink"]
    for axis in figure.axis:
        axis.update(
            axis_label_text_color=c["ink"], major_label_text_color=c["ink"],
            axis_line_color=c["faint"], major_tick_line_color=c["faint"],
            minor_tick_line_color=None, axis_label_text_font_style="normal",
        )  # fmt: skip
    for grid in figure.grid:
        grid.grid_line_color = c["grid"]
    for legend in figure.legend:
        legend.update(
            background_fill_color=c["paper"], background_fill_alpha=0.7,
            label_text_color=c["ink"], border_line_color=None,
        )  # fmt: skip
    for place in ("left", "right", "above", "below"):
        for item in getattr(figure, place):
            if type(item).__name__ == "ColorBar":
                item.update(
                    background_fill_color=c["paper"], major_label_text_color=c["ink"],
                    title_text_color=c["ink"],
                )  # fmt: skip
    for item in figure.renderers:
        if "ink" in (item.tags or []):
            for name in ("line_color", "text_color"):
                if hasattr(item.glyph, name):
                    setattr(item.glyph, name, c["ink"])
