"""The tab that opens first: image, spectrum, trace; everything that is drawn on them."""

from __future__ import annotations

from typing import Any

import xarray as xr
from bokeh.models import Column

from plkit import names
from plkit.apps.view.layers import Layer
from plkit.apps.view.map_cards import MapCards
from plkit.apps.view.map_clicks import MapClicks
from plkit.apps.view.map_controls import MapControls
from plkit.apps.view.map_images import MapImages
from plkit.apps.view.map_spectra import MapSpectra
from plkit.apps.view.map_trace import MapTrace
from plkit.apps.view.parts import wrapped
from plkit.apps.view.viewer import Viewer, preferred
from plkit.names import ENERGY, WAVELENGTH

__all__ = ["MapTab", "map_tab"]

_SPATIAL = ("row", "col", "half")
_SECOND = ("compare", "compare_layer", "difference")


def map_tab(viewer: Viewer) -> Any:
    """Build the tab."""
    return MapTab(viewer).root


class MapTab:
    """Draws the state of a viewer; clicks change the state, changes of the state draw.

    Parameters
    ----------
    viewer : Viewer
        Of the page.
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer, self.state, self.work = viewer, viewer.state, viewer.work
        self.images, self.spectra, self.trace = MapImages(self), MapSpectra(self), MapTrace(self)
        self.controls = MapControls(self)
        self.cards = MapCards(self)
        first, second = (picture.figure for picture in self.images.pictures)
        graph = self.spectra.graph
        graphs = Column(
            graph.figure, graph.residual, self.spectra.fit_text, self.trace.graph.figure
        )
        self.root = Column(
            wrapped(self.controls.root, first, second, graphs),
            self.cards.root,
            sizing_mode="stretch_width",
        )
        self.clicks = MapClicks(self)
        self._follow_state()
        self.draw_all()

    @property
    def layer(self) -> Layer:
        """The layer that is shown."""
        return self.viewer.layer

    @property
    def maps(self) -> dict[str, xr.Dataset]:
        """Whole-map fits of the layer."""
        return self.work.maps(self.layer)

    def _follow_state(self) -> None:
        guarded, state = self.viewer.guarded, self.state

        def watch(function: Any, *parameters: str) -> None:
            state.param.watch(lambda *_: guarded(function)(), list(parameters))

        watch(self.change_layer, "layer")
        watch(self.spectra.draw, *_SPATIAL)
        watch(self.images.draw_cursor, *_SPATIAL)
        watch(self.trace.draw, *_SPATIAL, "quantity", "band", "slice_at")
        watch(self.images.draw, "quantity", "at", "band", "slice_at", "percentile", "log", "palette",
              "clim", "fixed", *_SECOND)  # fmt: skip
        watch(self.spectra.draw, "at", names.ENERGY, "fit", "references", "frames", *_SECOND)
        watch(self.trace.draw_now, "at", "layer")
        watch(self.draw_entries, "pins", "regions")
        watch(self.spectra.draw_band, "band", "slice_at", "quantity", names.ENERGY)
        watch(self.paint, "dark")

    # Units --------------------------------------------------------------------------------------
    @property
    def in_energy(self) -> bool:
        """Whether spectra are drawn over energy though they were measured over wavelength."""
        layer = self.layer
        return bool(
            self.state.energy and layer.spectral == WAVELENGTH and layer.variable == names.INTENSITY
        )

    @property
    def shown_dim(self) -> str:
        """Axis of the drawn spectra."""
        return ENERGY if self.in_energy else self.layer.spectral

    def native(self, x: float) -> float:
        """Position on the drawn axis, on the layer's own."""
        if not self.in_energy:
            return float(x)
        from plkit.physics.photons import wavelength_from_energy

        return float(wavelength_from_energy(float(x), "air"))

    def drawn(self, x: float) -> float:
        """Position on the layer's axis, on the drawn one."""
        if not self.in_energy:
            return float(x)
        from plkit.physics.photons import energy_from_wavelength

        return float(energy_from_wavelength(float(x), "air"))

    # Drawing ------------------------------------------------------------------------------------
    def change_layer(self) -> None:
        """Another layer: what belongs to the old one goes."""
        layer = self.layer
        self.controls.stop()
        rows, cols = (layer.ds.sizes[d] for d in layer.plane) if layer.plane else (1, 1)
        self.state.param.update(
            quantity=preferred(self.work.quantities(layer)), at={}, row=rows // 2, col=cols // 2,
            band=None, slice_at=None, clim=None, pins=[], regions=[], references=[], scatter=[],
            lasso=[], compare=None, compare_layer="",
        )  # fmt: skip
        self.draw_all()

    def draw_all(self) -> None:
        """Draw everything anew."""
        layer = self.layer
        self.images.first.figure.visible = bool(layer.plane)
        self.spectra.graph.figure.visible = layer.has_spectra
        self.images.set_layer()
        self.controls.set_layer()
        self.cards.set_layer()
        self.paint()
        self.images.draw()
        self.images.draw_cursor()
        self.spectra.draw_band()
        self.spectra.draw()
        self.draw_entries()
        self.trace.draw()
        self.trace.draw_now()

    def draw_entries(self) -> None:
        """Pins and regions, on the image, the spectrum and the trace."""
        self.images.draw_entries()
        self.spectra.draw_kept()
        self.trace.draw()
        self.cards.entries.update()

    def paint(self) -> None:
        """Light or dark."""
        for drawn in (self.images, self.spectra, self.trace, self.cards):
            drawn.paint(self.state.dark)
