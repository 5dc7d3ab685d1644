"""The spectrum of the Map tab: under the cursor, at pins and in regions, with a fit laid over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.apps.view import values
from plkit.apps.view.graphs import SpectrumGraph
from plkit.apps.view.operations import references_of
from plkit.apps.view.overlay import overlay_of
from plkit.apps.view.parts import div
from plkit.apps.view.picture import axis_label
from plkit.names import ENERGY

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MapSpectra"]

_MOST_FRAMES = 60
_SECOND = "#666666"


class MapSpectra:
    """Spectra of the state.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.state
        self.graph = SpectrumGraph()
        self.fit_text = div("", width=560)

    def here(self, *, sigma: bool = True) -> xr.Dataset:
        """Spectrum under the cursor, on the drawn axis."""
        s = self.state
        return values.spectrum_of(
            self.tab.layer, s.at, s.row, s.col, s.half, energy=self.tab.in_energy, sigma=sigma
        )

    def kept(self) -> list[tuple[dict[str, Any], xr.Dataset]]:
        """Spectra of pins and regions, on the drawn axis; of the second image the one at the cursor."""
        layer, s, energy = self.tab.layer, self.state, self.tab.in_energy
        found: list[tuple[dict[str, Any], xr.Dataset]] = []
        for p in s.pins:
            ds = values.spectrum_of(layer, s.at, p["row"], p["col"], p["half"], energy=energy)
            found.append((p, ds))
        for region in s.regions:
            mask = values.region_mask(layer, region)
            if mask.any():
                found.append(
                    (region, values.spectrum_of(layer, s.at, 0, 0, mask=mask, energy=energy))
                )
        second = self.tab.images.compared
        if second is not None:
            other, at = second
            if other.variable == layer.variable and other.spectral == layer.spectral:
                row, col = self.tab.images.place_in(other)
                ds = values.spectrum_of(other, at, row, col, s.half, energy=energy)
                found.append(({"name": "second image", "colour": _SECOND}, ds))
        return found

    def draw(self) -> None:
        """Spectrum under the cursor; the fit follows when the spectrum is painted."""
        layer = self.tab.layer
        if not layer.has_spectra:
            self.graph.show_fit(None)
            return

        def apply(spectrum: xr.Dataset) -> None:
            # The line goes to the browser before σ is computed, which takes longer.
            self.graph.show(spectrum, layer.variable, self.tab.shown_dim, self._place())
            spectrum = values.with_sigma(spectrum, layer.variable)
            self.graph.show_sigma(spectrum, layer.variable, self.tab.shown_dim)
            self._ask_fit(spectrum)

        self.viewer.ask("spectrum", lambda: self.here(sigma=False), apply, here=not layer.lazy)
        self.draw_kept()
        self._draw_frames()

    def draw_kept(self) -> None:
        """Spectra of pins and regions."""
        layer = self.tab.layer
        if layer.has_spectra:
            self.viewer.ask(
                "kept", self.kept,
                lambda found: self.graph.keep(found, layer.variable, self.tab.shown_dim),
                here=not self.tab.images.lazy,
            )  # fmt: skip

    def _place(self) -> str:
        """Where the spectrum is."""
        grey = " · grey: second image" if self.tab.images.compared is not None else ""
        return self._where() + grey

    def _where(self) -> str:
        layer, s = self.tab.layer, self.state
        if not layer.plane:
            return layer.name
        row, col = layer.plane
        if not layer.is_map:
            return f"{row} = {layer.axis(row)[min(s.row, layer.ds.sizes[row] - 1)]:.4g}"
        n = (2 * s.half + 1) ** 2
        where = f"x = {layer.axis(col)[s.col]:.4g}, y = {layer.axis(row)[s.row]:.4g}"
        return where if n == 1 else f"{where}, mean of {n} pixels"

    def _ask_fit(self, spectrum: xr.Dataset) -> None:
        fit = self.state.fit
        if fit == "none":
            self.graph.show_fit(None)
            self.fit_text.text = ""
            return
        layer, state = self.tab.layer, self.state

        def compute() -> Any:
            if fit == "components":
                refs = references_of(layer, state)
                plain = values.spectrum_of(layer, state.at, state.row, state.col, state.half)
                return overlay_of(plain, fit, refs)
            return overlay_of(spectrum, fit)

        def apply(found: Any) -> None:
            self.graph.show_fit(found)
            text = "no fit: no light here" if found is None else " · ".join(found.lines)
            self.fit_text.text = f"<small>{text}</small>"

        self.viewer.ask("fit", compute, apply, here=False)

    def _draw_frames(self) -> None:
        layer, s = self.tab.layer, self.state
        if not s.frames or not layer.outer or self.tab.in_energy:
            if len(self.graph.frames.data["x"]):
                self.graph.frames.data = {"x": [], "y": [], "colour": [], "name": []}
            return
        played = layer.outer[0]
        chosen = np.unique(np.linspace(0, layer.ds.sizes[played] - 1, _MOST_FRAMES).astype(int))

        def compute() -> NDArray[np.float64]:
            index = values.index_at(layer, s.at)
            index.pop(played)
            box = values.box_of(layer, s.row, s.col, s.half)
            da = layer.ds[layer.variable].isel({**index, played: chosen}).isel(box)
            return np.asarray(da.mean(list(box)).transpose(played, layer.spectral).values, float)

        axis = layer.axis(layer.spectral)
        self.viewer.ask(
            "frames", compute, lambda found: self.graph.show_frames(axis, found),
            here=not layer.lazy,
        )  # fmt: skip

    def draw_band(self) -> None:
        """Band and slice on the spectrum, labels of its axis."""
        layer, s = self.tab.layer, self.state
        if not layer.has_spectra:
            return
        box, line = self.graph.band, self.graph.slice
        if s.band is not None:
            low, high = sorted(self.tab.drawn(v) for v in s.band)
            box.update(left=low, right=high)
        box.visible = s.band is not None and s.quantity != "slice"
        if s.slice_at is not None:
            line.location = self.tab.drawn(s.slice_at)
        line.visible = s.slice_at is not None and s.quantity == "slice"
        value = names.label(layer.variable) if layer.variable in names.TABLE else layer.variable
        if self.tab.in_energy:
            value = "Intensity (counts per energy, as at 2 eV)"
        label = names.label(ENERGY) if self.tab.in_energy else axis_label(layer, layer.spectral)
        self.graph.set_axis(label, value)

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        self.graph.paint(dark)
