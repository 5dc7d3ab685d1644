"""The image of a plane, with cursor, pins, regions and failed pixels; patched in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from bokeh.models import (
    BoxSelectTool,
    ColorBar,
    ColumnDataSource,
    LassoSelectTool,
    LinearColorMapper,
    LogColorMapper,
)  # fmt: skip
from numpy.typing import NDArray

from plkit import names
from plkit.apps.view.layers import Layer
from plkit.apps.view.parts import fill, hover, new_figure
from plkit.apps.view.theme import CURSOR, paint
from plkit.plot.style import FAILED, pretty_unit

__all__ = ["Picture", "axis_label", "even_index", "palette_of", "span_of"]

_LARGEST: Final = 1000
"""Pixels along a side beyond which an image is averaged before it travels."""
_MARKS: Final = 4000


def palette_of(name: str) -> tuple[str, ...]:
    """256 colours of a palette; ``"difference"`` goes from blue over white to red."""
    from bokeh import palettes

    if name == "difference":
        return tuple(palettes.interp_palette(palettes.RdBu11, 256))
    found: tuple[str, ...] = getattr(palettes, f"{name.capitalize()}256")
    return found


def axis_label(layer: Layer, dim: str) -> str:
    """Label of a dim with its unit, as the layer's coordinate has it."""
    if dim in names.TABLE:
        return names.label(dim)
    unit = str(layer.ds[dim].attrs.get("units", "1")) if dim in layer.ds.coords else "1"
    return f"{dim} ({pretty_unit(unit)})" if pretty_unit(unit) else dim


class Picture:
    """An image with its marks.

    Parameters
    ----------
    width, height : int
        In pixels.
    linked : Picture, optional
        Another one that shares zoom and pan.
    name : str, optional
        Of the figure in the document.
    """

    def __init__(
        self, width: int = 470, height: int = 430, linked: Picture | None = None, name: str = "map"
    ) -> None:
        self.figure: Any
        ranges = {} if linked is None else {
            "x_range": linked.figure.x_range, "y_range": linked.figure.y_range,
        }  # fmt: skip
        self.figure = new_figure("", "", "", width=width, height=height, name=name, **ranges)
        if linked is None:
            self.figure.x_range.range_padding = self.figure.y_range.range_padding = 0
        self.image = ColumnDataSource(
            {"image": [], "x": [], "y": [], "dw": [], "dh": []}, name=f"{name}_image"
        )
        self.linear = LinearColorMapper(palette="Viridis256", low=0, high=1, nan_color=FAILED)
        self.log = LogColorMapper(palette="Viridis256", low=1, high=10, nan_color=FAILED)
        self.glyph = self.figure.image(
            "image", "x", "y", "dw", "dh", source=self.image, color_mapper=self.linear
        )
        self.bar = ColorBar(color_mapper=self.linear, width=12, padding=4, title_text_font_size="9pt",
                            title_text_font_style="normal")  # fmt: skip
        self.figure.add_layout(self.bar, "right")
        self.failed = ColumnDataSource({"x": [], "y": []})
        self.figure.scatter("x", "y", source=self.failed, marker="x", size=5, line_color="#D55E00")
        self.chosen = ColumnDataSource({"x": [], "y": []})
        self.figure.scatter(
            "x",
            "y",
            source=self.chosen,
            marker="square",
            size=4,
            fill_color="#D55E00",
            line_color=None,
        )
        self.regions = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.figure.patches(
            "x", "y", source=self.regions, line_color="colour", fill_alpha=0.0, line_width=2
        )
        self.labels = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.figure.text(
            "x", "y", "name", source=self.labels, text_color="colour", text_font_size="10pt",
            text_font_style="bold", x_offset=6, y_offset=-4, text_outline_color="white",
        )  # fmt: skip
        self.pins = ColumnDataSource({"x": [], "y": [], "w": [], "h": [], "colour": []})
        self.figure.rect(
            "x", "y", "w", "h", source=self.pins, line_color="colour", fill_alpha=0.0, line_width=2
        )
        self.cursor = ColumnDataSource({"x": [], "y": [], "w": [], "h": []})
        for colour, width_px in (("white", 4), (CURSOR, 2)):
            self.figure.rect(
                "x", "y", "w", "h", source=self.cursor, line_color=colour, fill_alpha=0.0,
                line_width=width_px,
            )  # fmt: skip
        self.box_tool = BoxSelectTool(description="Draw a box region")
        self.lasso_tool = LassoSelectTool(description="Draw a polygon region", continuous=False)
        self.figure.add_tools(
            self.box_tool, self.lasso_tool,
            hover([self.glyph], ("x", "$x{0.0}"), ("y", "$y{0.0}"), ("value", "@image")),
        )  # fmt: skip
        self._palette: dict[str, str] = {}
        self.layer: Layer | None = None
        self.rows: NDArray[np.float64] = np.empty(0)
        self.cols: NDArray[np.float64] = np.empty(0)

    # Geometry -----------------------------------------------------------------------------------
    def set_layer(self, layer: Layer) -> None:
        """Take over axes and labels of a layer; the marks are drawn anew afterwards."""
        self.layer = layer
        row, col = layer.plane
        self.rows, self.cols = layer.axis(row), layer.axis(col)
        self.figure.xaxis.axis_label = axis_label(layer, col)
        self.figure.yaxis.axis_label = axis_label(layer, row)
        self.figure.match_aspect = layer.is_map

    def index_of(self, x: float, y: float) -> tuple[int, int]:
        """Row and column next to a position."""
        return int(np.abs(self.rows - y).argmin()), int(np.abs(self.cols - x).argmin())

    # Drawing ------------------------------------------------------------------------------------
    def show(
        self, image: NDArray[np.float64], levels: tuple[float, float], *, log: bool, palette: str,
        title: str, label: str,
    ) -> None:  # fmt: skip
        """Draw an image, as float32."""
        mapper = self.log if log else self.linear
        mapper.update(low=levels[0], high=levels[1])
        if self._palette.get(mapper.id) != palette:  # 256 colours take longer to check than to draw
            self._palette[mapper.id] = palette
            mapper.palette = palette_of(palette)
        if self.glyph.glyph.color_mapper is not mapper:
            self.glyph.glyph.color_mapper = mapper
            self.bar.color_mapper = mapper
        (x, dw), (y, dh) = span_of(self.cols), span_of(self.rows)
        drawn = _uniform(image, self.rows, self.cols)
        if log:
            drawn = np.where(drawn > 0, drawn, np.nan)
        self.image.data = {
            "image": [np.ascontiguousarray(drawn, dtype=np.float32)],
            "x": [x], "y": [y], "dw": [dw], "dh": [dh],
        }  # fmt: skip
        self.bar.title = label if len(label) < 60 else ""
        self.figure.title.text = title
        self._mark(self.failed, ~np.isfinite(image))

    def choose(self, mask: NDArray[np.bool_] | None) -> None:
        """Mark pixels, those of a lasso elsewhere."""
        self._mark(self.chosen, np.zeros((0, 0), bool) if mask is None else mask, limit=20 * _MARKS)

    def _mark(self, source: Any, mask: NDArray[np.bool_], limit: int = _MARKS) -> None:
        rows, cols = np.nonzero(mask)
        if rows.size > limit:  # grey says it already
            rows = cols = rows[:0]
        if rows.size or len(source.data["x"]):
            source.data = {"x": self.cols[cols], "y": self.rows[rows]}

    def draw_cursor(self, row: int, col: int, half: int) -> None:
        """Outline the averaging box."""
        self.cursor.data = {k: [v] for k, v in self._rectangle(row, col, half).items()}

    def draw_entries(
        self, pins: Sequence[Mapping[str, Any]], regions: Sequence[Mapping[str, Any]]
    ) -> None:
        """Outline pins and regions and name them."""
        boxes = [self._rectangle(p["row"], p["col"], p["half"]) for p in pins]
        colours = [p["colour"] for p in pins]
        pinned = {
            **{k: [b[k] for b in boxes] for k in ("x", "y", "w", "h")}, "colour": colours,
        }  # fmt: skip
        fill(self.pins, pinned)
        drawn = {
            "x": [r["x"] for r in regions], "y": [r["y"] for r in regions],
            "colour": [r["colour"] for r in regions], "name": [r["name"] for r in regions],
        }  # fmt: skip
        fill(self.regions, drawn)
        labels = {
            "x": [b["x"] for b in boxes] + [max(r["x"]) for r in regions],
            "y": [b["y"] for b in boxes] + [max(r["y"]) for r in regions],
            "colour": colours + [r["colour"] for r in regions],
            "name": [e["name"] for e in (*pins, *regions)],
        }  # fmt: skip
        fill(self.labels, labels)

    def _rectangle(self, row: int, col: int, half: int) -> dict[str, float]:
        assert self.layer is not None
        row, col = min(row, self.rows.size - 1), min(col, self.cols.size - 1)
        dx, dy = (span_of(a)[1] / a.size for a in (self.cols, self.rows))
        if self.layer.is_map:
            return {
                "x": float(self.cols[col]), "y": float(self.rows[row]),
                "w": dx * (2 * half + 1), "h": dy * (2 * half + 1),
            }  # fmt: skip
        x, width = span_of(self.cols)
        return {
            "x": x + width / 2, "y": float(self.rows[row]), "w": width, "h": dy * (2 * half + 1),
        }  # fmt: skip

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        paint(self.figure, dark)


def span_of(axis: NDArray[np.float64]) -> tuple[float, float]:
    """Start and length of an image along an axis whose values are the middles of pixels."""
    if axis.size < 2:
        return float(axis[0]) - 0.5, 1.0
    step = (axis[-1] - axis[0]) / (axis.size - 1)
    return float(axis[0] - step / 2), float(step * axis.size)


def even_index(axis: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Points next to even steps along an axis; None where its own steps are even."""
    if axis.size < 3 or np.allclose(np.diff(axis), np.diff(axis)[0], rtol=0.02):
        return None
    even = np.linspace(axis[0], axis[-1], min(2 * axis.size, 2 * _LARGEST))
    return np.asarray(np.abs(axis[None, :] - even[:, None]).argmin(1))


def _uniform(
    image: NDArray[np.float64], rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Image on even steps (the nearest pixel stands for each), not larger than a screen."""
    for n, axis in enumerate((rows, cols)):
        nearest = even_index(axis)
        if nearest is not None:
            image = np.take(image, nearest, axis=n)
    for n in (0, 1):
        factor = -(-image.shape[n] // _LARGEST)
        if factor > 1:
            whole = image.shape[n] // factor * factor
            image = np.take(image, np.arange(whole), axis=n)
            shape = [*image.shape[:n], whole // factor, factor, *image.shape[n + 1 :]]
            image = image.reshape(shape).mean(axis=n + 1)
    return image
