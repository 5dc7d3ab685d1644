"""One quantity against another, with the pixels of chosen points marked on the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import SelectionGeometry
from bokeh.models import ColumnDataSource, LassoSelectTool, Row, Select, Toggle

from plkit.apps.view import values
from plkit.apps.view.map_clicks import corners_of
from plkit.apps.view.map_controls import title_of
from plkit.apps.view.parts import div, dress, new_figure, panel
from plkit.apps.view.theme import paint

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["ScatterCard"]


class ScatterCard:
    """The card of the scatter.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.root = self._build()

    def _build(self) -> Any:
        self.across = Select(title="Across", width=200, name="scatter_x")
        self.up = Select(title="Up", width=200, name="scatter_y")
        self.cloud_on = Toggle(label="Show", width=70, name="scatter")
        dress(self.across, self.up, self.cloud_on)
        self.cloud = new_figure("", "", "", width=430, height=330, name="scatter_figure")
        self.cloud_data = ColumnDataSource({"x": [], "y": []})
        self.cloud.scatter("x", "y", source=self.cloud_data, size=3, color="#0072B2", alpha=0.4)
        lasso = LassoSelectTool(description="Draw around points", continuous=False)
        self.cloud.add_tools(lasso)
        self.cloud.toolbar.active_drag = lasso
        self.cloud.on_event(SelectionGeometry, self.viewer.events(self._on_lasso))
        self.cloud.visible = False
        self.cloud_text = div("", width=430)

        def change(*_: Any) -> None:
            on = self.cloud_on.active
            self.state.param.update(
                scatter=[self.across.value, self.up.value] if on else [], lasso=[]
            )
            self.draw()

        for widget, prop in ((self.across, "value"), (self.up, "value"), (self.cloud_on, "active")):
            widget.on_change(prop, self.viewer.changes(change))
        clear = self.viewer.button(
            "Clear selection", self._clear_lasso, width=120, name="clear_lasso"
        )
        self.cloud_card = panel(
            "One quantity against another", Row(self.across, self.up), Row(self.cloud_on, clear),
            self.cloud, self.cloud_text, width=470,
        )  # fmt: skip
        return self.cloud_card

    def update(self) -> None:
        """Offer what can be drawn."""
        found = [q for q in self.viewer.work.quantities(self.tab.layer) if q != "spectra"]
        options = [(q, title_of(q)) for q in found]
        chosen = list(self.state.scatter)
        self.across.options = self.up.options = options
        if len(chosen) == 2 and set(chosen) <= set(found):
            self.across.value, self.up.value = chosen
        elif self.across.value not in found or self.up.value not in found:
            self.across.value = found[0] if found else ""
            self.up.value = found[-1] if found else ""
        self.cloud_card.visible = self.tab.layer.is_map and len(found) > 1

    def draw(self) -> None:
        """Draw all pixels, one quantity against the other; mark those of the lasso on the map."""
        chosen, layer = list(self.state.scatter), self.tab.layer
        self.cloud.visible = len(chosen) == 2
        if len(chosen) != 2 or not layer.is_map:
            self.tab.images.first.choose(None)
            self.cloud_text.text = ""
            return
        work = self.viewer.work

        def compute() -> Any:
            return [work.plane(layer, self.state, quantity=q) for q in chosen]

        def apply(found: Any) -> None:
            x, y = found
            good = np.isfinite(x) & np.isfinite(y)
            # A screen shows no more points than these; the lasso takes all pixels.
            step = max(1, int(good.sum()) // 20_000)
            self.cloud_data.data = {
                "x": x[good][::step].astype(np.float32), "y": y[good][::step].astype(np.float32),
            }  # fmt: skip
            self.cloud.xaxis.axis_label, self.cloud.yaxis.axis_label = (
                values.label_of(layer, q, self.tab.maps) for q in chosen
            )
            if len(self.state.lasso) == 2:
                mask = values.inside(x, y, *self.state.lasso) & good
                self.tab.images.first.choose(mask)
                n = int(mask.sum())
                self.cloud_text.text = f"{n} of {int(good.sum())} pixels chosen" + (
                    f", means {x[mask].mean():.4g} and {y[mask].mean():.4g}" if n else ""
                )
            else:
                self.tab.images.first.choose(None)
                self.cloud_text.text = "Draw around points: their pixels are marked on the map."

        self.viewer.ask("scatter", compute, apply, here=not layer.lazy)

    def _on_lasso(self, event: Any) -> None:
        if event.final:
            x, y = corners_of(event.geometry)
            self.state.lasso = [[float(f"{v:.5g}") for v in x], [float(f"{v:.5g}") for v in y]]
            self.draw()

    def _clear_lasso(self) -> None:
        self.state.lasso = []
        self.draw()

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        paint(self.cloud, dark)

    def set_layer(self) -> None:
        """Another layer: other quantities."""
        self.update()
        self.cloud_on.active = len(self.state.scatter) == 2
        self.draw()
