"""Iodine content over a map: where it is a number, where it is a limit, how it is distributed."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import Column, ColumnDataSource, Select, Slider, Span

from plkit import names
from plkit.apps.view.layers import Layer
from plkit.apps.view.parts import div, dress, new_figure, on_click, panel, table, wrapped
from plkit.apps.view.picture import Picture
from plkit.apps.view.theme import CURSOR, paint
from plkit.apps.view.values import levels_of
from plkit.apps.view.viewer import Viewer
from plkit.errors import DataError
from plkit.plot.style import value_text

__all__ = ["composition_tab"]

_NAMES = ("x_iodine", "peak_energy", "peak_width", "peak_intensity")


def composition_tab(viewer: Viewer) -> Any:
    """Build the tab from the maps of a study, or from a whole-map fit of this session."""
    found = sources(viewer)
    if not found:
        raise DataError(
            "show a composition", f"'{viewer.work.title}' holds none yet",
            "On the Map tab choose Fit: Composition, then Fit all pixels, and open the page anew.",
        )  # fmt: skip
    return _Composition(viewer, found).root


def sources(viewer: Viewer) -> dict[str, tuple[Layer, xr.Dataset]]:
    """Layers with a composition: their own, or one that was fitted."""
    found = {}
    for layer in viewer.work.layers:
        if "x_iodine" in layer.ds:
            found[layer.name] = (layer, layer.ds)
        for key, ds in viewer.work.maps(layer).items():
            if "x_iodine" in ds:
                found[f"{layer.name}: {key}"] = (layer, ds)
    return found


class _Composition:
    def __init__(self, viewer: Viewer, found: dict[str, tuple[Layer, xr.Dataset]]) -> None:
        self.viewer, self.found = viewer, found
        self.source = Select(
            title="Map", options=list(found), value=next(iter(found)), width=200, name="comp_map"
        )
        self.frame_text = div("", width=200, margin=(4, 5, 0, 5))
        self.frame = Slider(
            start=0, end=1, step=1, value=0, width=200, show_value=False, name="comp_frame"
        )
        dress(self.source, self.frame)
        self.picture = Picture(width=500, height=440, name="composition")
        self.histogram = new_figure("", names.label("x_iodine"), "Pixels", width=430, height=260)
        self.bars = ColumnDataSource({"left": [], "right": [], "top": []})
        self.histogram.quad(
            left="left", right="right", bottom=0, top="top", source=self.bars, color=CURSOR,
            line_color="white",
        )  # fmt: skip
        self.here = Span(dimension="height", line_color="#D55E00", line_width=2, visible=False)
        self.histogram.add_layout(self.here)
        self.text, self.counts = div("", width=420), div("", width=420)
        on_click(self.picture.figure, viewer.events(self._on_tap))
        self.source.on_change("value", viewer.changes(lambda *_: self._new_source()))
        self.frame.on_change("value", viewer.changes(lambda *_: self.draw()))
        self.root = wrapped(
            panel("", self.source, self.frame_text, self.frame, width=244), self.picture.figure,
            Column(self.histogram, panel("Under the cursor", self.text, width=440),
                   panel("Whole map", self.counts, width=440)),
        )  # fmt: skip
        self.at = (0, 0)
        viewer.state.param.watch(lambda *_: self._paint(), "dark")
        self._paint()
        self._new_source()

    def _paint(self) -> None:
        self.picture.paint(self.viewer.state.dark)
        paint(self.histogram, self.viewer.state.dark)

    def _new_source(self) -> None:
        layer, ds = self.found[self.source.value]
        self.picture.set_layer(layer)
        outer = [d for d in layer.outer if d in ds["x_iodine"].dims]
        n = ds.sizes[outer[0]] if outer else 1
        self.frame.update(end=max(n - 1, 1), value=n - 1, visible=n > 1)
        rows, cols = (ds.sizes[d] for d in layer.plane)
        self.at = (rows // 2, cols // 2)
        self.draw()

    def _frame(self) -> tuple[Layer, xr.Dataset]:
        layer, ds = self.found[self.source.value]
        outer = [d for d in layer.outer if d in ds["x_iodine"].dims]
        for n, d in enumerate(outer):
            ds = ds.isel({d: int(self.frame.value) if n == 0 else 0})
            if n == 0:
                value = f"{float(ds[d]):g}" if d in ds.coords else str(self.frame.value)
                self.frame_text.text = f"{names.label(d) if d in names.TABLE else d}: {value}"
        return layer, ds

    def draw(self) -> None:
        layer, ds = self._frame()
        image = np.asarray(ds["x_iodine"].transpose(*layer.plane).values, float)
        self.picture.show(
            image, levels_of(image, 0.5, False), log=False, palette="viridis", title="",
            label=names.label("x_iodine"),
        )  # fmt: skip
        good = image[np.isfinite(image)]
        if good.size:
            top, edges = np.histogram(good, bins=60)
            self.bars.data = {"left": edges[:-1], "right": edges[1:], "top": top}
        self.counts.text = table(self._summary(ds, image))
        self._show_pixel()

    def _summary(self, ds: xr.Dataset, image: Any) -> list[tuple[str, str]]:
        good = image[np.isfinite(image)]
        rows = [("pixels with a number", f"{good.size} of {image.size}")]
        if good.size:
            sigma = float(good.std())
            rows.append(("mean ± scatter of the pixels", value_text(float(good.mean()), sigma)))
        if "composition_flag" in ds:
            flags = ds["composition_flag"]
            words = str(flags.attrs.get("flag_meanings", "")).split()
            masks = np.atleast_1d(flags.attrs.get("flag_masks", 2 ** np.arange(len(words))))
            for word, mask in zip(words, masks, strict=False):
                n = int(((flags.values.astype(int) & int(mask)) != 0).sum())
                if n:
                    rows.append((word.replace("_", " "), str(n)))
        return rows

    def _on_tap(self, event: Any) -> None:
        if event.x is not None:
            self.at = self.picture.index_of(event.x, event.y)
            self._show_pixel()

    def _show_pixel(self) -> None:
        layer, ds = self._frame()
        row, col = self.at
        self.picture.draw_cursor(row, col, 0)
        pixel = ds.isel({layer.plane[0]: row, layer.plane[1]: col})
        rows = []
        for name in _NAMES:
            if name in pixel:
                sigma = pixel.get(f"{name}_stderr")
                text = value_text(
                    float(pixel[name]), None if sigma is None else float(sigma), names.unit(name)
                )
                rows.append((names.symbol(name), names.TABLE[name].long_name, text))
        if "x_iodine_lower" in pixel:
            rows.append(
                (
                    "",
                    "68 % interval",
                    f"{float(pixel['x_iodine_lower']):.3f} to {float(pixel['x_iodine_upper']):.3f}",
                )
            )
        self.text.text = table(rows)
        value = float(pixel["x_iodine"])
        self.here.visible = bool(np.isfinite(value))
        if self.here.visible:
            self.here.location = value
