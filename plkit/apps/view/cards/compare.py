"""Before and after: a second image with linked zoom, on the same colour scale, or the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bokeh.models import Checkbox, Select, Slider, Toggle

from plkit.apps.view.parts import dress, panel

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["CompareCard"]


class CompareCard:
    """The card that chooses the second image.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self._following = False
        self.on = Toggle(label="Second image", width=120, name="compare")
        self.of = Select(title="of", width=250, name="compare_layer")
        self.at = Slider(
            start=0, end=1, step=1, value=0, width=250, title="Frame", name="compare_at"
        )
        self.difference = Checkbox(label="Difference: second − first", name="difference")
        dress(self.on, self.of, self.at, self.difference)
        for widget, prop in (
            (self.on, "active"), (self.of, "value"), (self.at, "value"), (self.difference, "active"),
        ):  # fmt: skip
            widget.on_change(prop, self.viewer.changes(lambda *_: self._choose()))
        self.state.param.watch(
            lambda *_: self.set_layer(), ["compare", "compare_layer", "difference"]
        )
        self.root = panel("Before and after", self.on, self.of, self.at, self.difference, width=350)

    def _choose(self) -> None:
        if not self._following:
            self.state.param.update(
                compare=int(self.at.value) if self.on.active else None,
                compare_layer=self.of.value, difference=self.difference.active,
            )  # fmt: skip

    def set_layer(self) -> None:
        """Show what can be compared, and follow the state."""
        others = self.tab.images.others
        self._following = True
        try:
            self.root.visible = bool(others)
            if not others:
                return
            names = [a.name for a in others]
            self.of.update(options=names, visible=len(names) > 1)
            self.of.value = (
                self.state.compare_layer if self.state.compare_layer in names else names[0]
            )
            layer = next(a for a in others if a.name == self.of.value)
            n = layer.ds.sizes[layer.outer[0]] if layer.outer else 1
            self.at.update(end=max(n - 1, 1), visible=n > 1)
            if layer.outer:
                self.at.title = f"Frame ({layer.outer[0]})"
            if self.state.compare is not None:
                self.at.value = min(self.state.compare, n - 1)
            self.on.active = self.state.compare is not None
            self.difference.active = self.state.difference
        finally:
            self._following = False
