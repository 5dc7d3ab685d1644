"""The trace of the Map tab: what is shown, along what is played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plkit.apps.view import values
from plkit.apps.view.graphs import TraceGraph
from plkit.apps.view.picture import axis_label

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MapTrace"]

_AFTER_S = 0.2


class MapTrace:
    """Trace at the cursor, at the pins, in the regions.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.state
        self.graph = TraceGraph()

    def draw(self) -> None:
        """Draw all traces."""
        layer, s = self.tab.layer, self.state
        options: dict[str, Any] = {
            "band": s.band, "slice_at": s.slice_at, "maps": self.tab.maps,
        }  # fmt: skip

        def compute() -> tuple[Any, ...]:
            dim, x, y = values.trace_of(layer, s.quantity, s.at, s.row, s.col, s.half, **options)
            kept = []
            for p in s.pins if layer.is_map else ():
                found = values.trace_of(
                    layer, s.quantity, s.at, p["row"], p["col"], p["half"], **options
                )
                kept.append((p, found[2]))
            for r in s.regions:
                mask = values.region_mask(layer, r)
                found = values.trace_of(layer, s.quantity, s.at, 0, 0, mask=mask, **options)
                kept.append((r, found[2]))
            return dim, x, y, kept

        def apply(found: tuple[Any, ...]) -> None:
            dim, x, y, kept = found
            self.graph.figure.visible = bool(dim)
            if dim:
                self.graph.show(x, y, kept)
                self.graph.figure.xaxis.axis_label = axis_label(layer, dim)
                label = values.label_of(layer, s.quantity, self.tab.maps)
                short = layer.is_map and s.quantity != "band"
                self.graph.figure.yaxis.axis_label = (
                    label if short else "Sum over the band (counts)"
                )

        # Of a stored file a trace reads every frame; the spectrum, which reads one, comes first.
        wait_s = _AFTER_S if layer.lazy else 0.0
        self.viewer.ask("trace", compute, apply, here=not layer.lazy, wait_s=wait_s)

    def draw_now(self) -> None:
        """The line that says which frame is shown."""
        layer = self.tab.layer
        if layer.is_map and layer.outer:
            played = layer.outer[0]
            i = values.index_at(layer, self.state.at)[played]
            self.graph.now.location = float(layer.axis(played)[i])
        elif layer.plane:
            rows = layer.axis(layer.plane[0])
            self.graph.now.location = float(rows[min(self.state.row, rows.size - 1)])

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        self.graph.paint(dark)
