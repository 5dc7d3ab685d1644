"""Widgets beside the image: what is shown, which frame, which colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.models import (
    Checkbox,
    Column,
    NumericInput,
    RadioButtonGroup,
    Row,
    Select,
    Slider,
    Spinner,
    Toggle,
)  # fmt: skip

from plkit.apps.view.parts import div, dress, panel
from plkit.apps.view.picture import axis_label
from plkit.apps.view.state import FITS, PALETTES
from plkit.apps.view.values import index_at
from plkit.names import ENERGY, INTENSITY, WAVELENGTH

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MapControls"]

_WIDTH = 210
_FRAME_MS = 150


class MapControls:
    """Widgets that set the state, and follow it.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self._playing: Any = None
        self._following = False
        work = self.viewer.work
        self.layer = Select(
            title="Layer", options=[a.name for a in work.layers], value=self.state.layer,
            width=_WIDTH, name="layer", visible=len(work.layers) > 1,
        )  # fmt: skip
        self.quantity = Select(title="Shown", width=_WIDTH, name="quantity")
        self.frames = Column()
        self.play = Toggle(label="▶ Play", width=80, name="play")
        self.half = Slider(
            title="Averaging box, ± pixels", start=0, end=10, step=1,
            value=self.state.half, width=_WIDTH, name="half",
        )  # fmt: skip
        self.fixed = Checkbox(
            label="Same scale for all frames", active=self.state.fixed, name="fixed"
        )
        self.low = NumericInput(mode="float", title="Scale from", width=98, name="low")
        self.high = NumericInput(mode="float", title="to", width=98, name="high")
        self.percentile = Spinner(
            title="Clip at either end (%)", low=0, high=20, step=0.5, value=self.state.percentile,
            width=_WIDTH, name="percentile",
        )  # fmt: skip
        self.log = RadioButtonGroup(
            labels=["Linear", "Logarithmic"], active=int(self.state.log), width=_WIDTH, name="log"
        )
        self.palette = Select(
            title="Colours", options=list(PALETTES), value=self.state.palette, width=_WIDTH,
            name="palette",
        )  # fmt: skip
        self.unit = RadioButtonGroup(
            labels=["nm", "eV"], active=int(self.state.energy), width=_WIDTH, name="unit"
        )
        self.all_frames = Checkbox(
            label="Spectra of all frames", active=self.state.frames, name="all_frames"
        )
        self.fit = Select(
            title="Fit over the spectrum", options=list(FITS), value=self.state.fit, width=_WIDTH,
            name="fit",
        )  # fmt: skip
        dress(
            self.layer, self.quantity, self.play, self.half, self.fixed, self.low, self.high,
            self.percentile, self.log, self.palette, self.unit, self.all_frames, self.fit,
        )  # fmt: skip
        self.map_only = Column(
            self.half, self.fixed, Row(self.low, self.high), self.percentile, self.log, self.palette
        )
        self.spectra_only = Column(self.unit, self.all_frames, self.fit)
        keys = "<small class='faint'>Keys: arrows move, , and . step, space plays, p pins</small>"
        self.root = panel(
            "", self.layer, self.quantity, self.frames, self.play, self.map_only,
            self.spectra_only, div(keys, width=_WIDTH), width=_WIDTH + 34,
        )  # fmt: skip
        self._connect()

    def _connect(self) -> None:
        state = self.state

        def to_state(widget: Any, prop: str, name: str, turn: Any = lambda v: v) -> None:
            def change(_a: str, _o: Any, new: Any) -> None:
                if not self._following:
                    state.param.update(**{name: turn(new)})

            widget.on_change(prop, self.viewer.changes(change))

        to_state(self.layer, "value", "layer")
        to_state(self.quantity, "value", "quantity")
        to_state(self.half, "value", "half")
        to_state(self.fixed, "active", "fixed")
        to_state(self.percentile, "value", "percentile", lambda v: 0.0 if v is None else v)
        to_state(self.log, "active", "log", bool)
        to_state(self.palette, "value", "palette")
        to_state(self.unit, "active", ENERGY, bool)
        to_state(self.all_frames, "active", "frames")
        to_state(self.fit, "value", "fit")

        def limits(_a: str, _o: Any, _n: Any) -> None:
            if self._following:
                return
            low, high = self.low.value, self.high.value
            state.clim = (
                (low, high) if low is not None and high is not None and low < high else None
            )

        for widget in (self.low, self.high):
            widget.on_change("value", self.viewer.changes(limits))
        self.play.on_change("active", self.viewer.changes(lambda _a, _o, new: self._play(new)))
        names = ["quantity", "half", "fixed", "percentile", "log", "palette", ENERGY, "frames",
                 "fit", "clim", "at", "layer"]  # fmt: skip
        state.param.watch(lambda *_: self.follow(), names)

    def set_layer(self) -> None:
        """Show what this layer can show, and a slider for every dim that is stepped through."""
        layer = self.tab.layer
        sliders = []
        for dim in layer.outer:
            n = layer.ds.sizes[dim]
            slider = Slider(
                start=0, end=max(n - 1, 1), step=1, value=0, width=_WIDTH, show_value=False,
                name=f"frame_{dim}", disabled=n < 2, tags=[dim],
            )  # fmt: skip
            slider.on_change("value", self.viewer.changes(self._slide(dim)))
            dress(slider)
            sliders += [div("", width=_WIDTH, margin=(4, 5, 0, 5), tags=[dim]), slider]
        self.frames.children = sliders
        self.play.visible = bool(layer.outer)
        self.half.visible = layer.is_map
        self.map_only.visible = bool(layer.plane)
        self.unit.visible = layer.spectral == WAVELENGTH and layer.variable == INTENSITY
        self.all_frames.visible = bool(layer.outer) and layer.has_spectra
        self.fit.visible = layer.variable == INTENSITY and layer.has_spectra
        self.follow()

    def _slide(self, dim: str) -> Any:
        def change(_a: str, _o: int, new: int) -> None:
            if not self._following:
                self.state.at = {**self.state.at, dim: int(new)}

        return change

    def follow(self) -> None:
        """Set every widget to the state, without an echo."""
        state, layer = self.state, self.tab.layer
        self._following = True
        try:
            options = self.viewer.work.quantities(layer)
            self.quantity.options = [(q, title_of(q)) for q in options]
            self.quantity.visible = len(options) > 1
            self.layer.value = layer.name
            self.quantity.value = state.quantity
            self.half.value, self.fixed.active = state.half, state.fixed
            self.percentile.value, self.log.active = state.percentile, int(state.log)
            self.palette.value, self.unit.active = state.palette, int(state.energy)
            self.all_frames.active, self.fit.value = state.frames, state.fit
            if state.clim is not None:
                self.low.value, self.high.value = state.clim
            index = index_at(layer, state.at)
            for text, slider in zip(
                self.frames.children[::2], self.frames.children[1::2], strict=True
            ):
                dim = slider.tags[0]
                slider.value = index.get(dim, 0)
                value = layer.axis(dim)[index.get(dim, 0)]
                text.text = f"{axis_label(layer, dim)}: <b>{value:.5g}</b>"
        finally:
            self._following = False

    # Time ---------------------------------------------------------------------------------------
    def step_frame(self, by: int) -> None:
        """Go to the next frame, from the last one to the first."""
        layer = self.tab.layer
        if layer.is_map and layer.outer:
            dim = layer.outer[0]
            now = index_at(layer, self.state.at)[dim]
            self.state.at = {**self.state.at, dim: (now + by) % layer.ds.sizes[dim]}
        elif layer.plane and not layer.is_map:
            self.state.row = (self.state.row + by) % layer.ds.sizes[layer.plane[0]]

    def toggle_play(self) -> None:
        """Play or stop."""
        if self.play.visible:
            self.play.active = not self.play.active

    def _play(self, on: bool) -> None:
        self.play.label = "⏸ Stop" if on else "▶ Play"
        if on and self._playing is None:
            self._playing = self.viewer.document.add_periodic_callback(
                self.viewer.guarded(lambda: self.step_frame(1)), _FRAME_MS
            )
        elif not on and self._playing is not None:
            self.viewer.document.remove_periodic_callback(self._playing)
            self._playing = None

    def stop(self) -> None:
        """Stop playing."""
        self.play.active = False


def title_of(quantity: str) -> str:
    """What a quantity is called in the list."""
    from plkit import names

    fixed = {"band": "Intensity of the band", "slice": "Intensity at one wavelength",
             "spectra": "Spectra over time"}  # fmt: skip
    if quantity in fixed:
        return fixed[quantity]
    key, _, name = quantity.rpartition("/")
    base, _, component = name.partition(":")
    text = names.TABLE[base].long_name if base in names.TABLE else base
    text += f", {component}" if component else ""
    return f"{text} [{key}]" if key else text
