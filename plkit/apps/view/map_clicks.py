"""What a click, a drag or a key on the Map tab does to the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import SelectionGeometry

from plkit.apps.view.parts import on_click

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MapClicks", "corners_of"]

_STEPS = {"ArrowLeft": (0, -1), "ArrowRight": (0, 1), "ArrowUp": (1, 0), "ArrowDown": (-1, 0)}
_CORNERS = 40


class MapClicks:
    """Listens to the figures of a map tab.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.state = tab, tab.state
        self.graph = tab.spectra.graph
        events, changes = tab.viewer.events, tab.viewer.changes
        for picture in tab.images.pictures:
            on_click(picture.figure, events(self._on_tap))
            picture.figure.on_event(SelectionGeometry, events(self._on_region))
        on_click(self.graph.figure, events(self._on_slice))
        self.graph.figure.on_event(SelectionGeometry, events(self._on_band))
        for side in ("left", "right"):
            self.graph.band.on_change(side, changes(lambda *_: self._on_band_moved()))
        self.graph.slice.on_change("location", changes(lambda *_: self._on_slice_moved()))
        tab.viewer.key_actions.append(self._on_key)

    # The image ----------------------------------------------------------------------------------
    def _on_tap(self, event: Any) -> None:
        if event.x is None or not self.tab.layer.plane:
            return
        row, col = self.tab.images.first.index_of(event.x, event.y)
        self.state.param.update(row=row, col=col)

    def _on_region(self, event: Any) -> None:
        if not event.final or not self.tab.layer.is_map or event.geometry["type"] == "point":
            return
        x, y = corners_of(event.geometry)
        entry = self.state.add_region(x, y)
        self.tab.viewer.step(f"region {entry['name']}")

    # The spectrum -------------------------------------------------------------------------------
    def _set_band(self, a: float, b: float) -> None:
        low, high = sorted((self.tab.native(a), self.tab.native(b)))
        known = self.state.band
        if low != high and (known is None or not np.allclose((low, high), known)):
            shown = "band" if self.tab.layer.is_map else self.state.quantity
            self.state.param.update(band=(low, high), quantity=shown)

    def _on_band(self, event: Any) -> None:
        if event.final and event.geometry["type"] == "rect":
            self._set_band(event.geometry["x0"], event.geometry["x1"])

    def _on_band_moved(self) -> None:
        """An edge of the band, or all of it, was dragged on the spectrum."""
        box = self.graph.band
        if box.visible and box.left is not None and box.right is not None:
            self._set_band(box.left, box.right)

    def _on_slice(self, event: Any) -> None:
        if event.x is not None and self.tab.layer.is_map and self.tab.layer.has_spectra:
            self.state.param.update(slice_at=self.tab.native(event.x), quantity="slice")

    def _on_slice_moved(self) -> None:
        line = self.graph.slice
        if line.visible and line.location is not None:
            at = self.tab.native(line.location)
            if self.state.slice_at is None or not np.isclose(at, self.state.slice_at):
                self.state.param.update(slice_at=at, quantity="slice")

    # Keys ---------------------------------------------------------------------------------------
    def _on_key(self, key: str) -> None:
        state, layer = self.state, self.tab.layer
        if key in _STEPS and layer.plane and state.tab == 0:
            rows, cols = (layer.ds.sizes[d] for d in layer.plane)
            dr, dc = _STEPS[key]
            if not layer.is_map:
                dc = 0
            state.param.update(
                row=min(max(state.row + dr, 0), rows - 1), col=min(max(state.col + dc, 0), cols - 1)
            )
        elif key in (",", "."):
            self.tab.controls.step_frame(1 if key == "." else -1)
        elif key == " ":
            self.tab.controls.toggle_play()
        elif key == "p":
            self.tab.cards.entries.pin()
        elif key == "Delete" and (state.pins or state.regions):
            state.remove((state.regions or state.pins)[-1]["name"])


def corners_of(geometry: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Corners of what was drawn; a lasso keeps at most forty."""
    if geometry["type"] == "rect":
        x0, x1, y0, y1 = (geometry[k] for k in ("x0", "x1", "y0", "y1"))
        return [x0, x1, x1, x0], [y0, y0, y1, y1]
    x, y = (list(map(float, geometry[k])) for k in ("x", "y"))
    step = -(-len(x) // _CORNERS)
    return x[::step], y[::step]
