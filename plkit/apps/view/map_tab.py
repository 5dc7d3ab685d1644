"""The tab that opens first: image, spectrum, trace; everything that is drawn on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from bokeh.events import SelectionGeometry, Tap
from bokeh.models import Column
from numpy.typing import NDArray

from plkit import names
from plkit.apps.view import values
from plkit.apps.view.graphs import SpectrumGraph, TraceGraph
from plkit.apps.view.layers import Layer
from plkit.apps.view.map_cards import MapCards
from plkit.apps.view.map_controls import MapControls
from plkit.apps.view.operations import references_of
from plkit.apps.view.overlay import overlay_of
from plkit.apps.view.parts import div, wrapped
from plkit.apps.view.picture import Picture, axis_label
from plkit.apps.view.viewer import Viewer
from plkit.names import ENERGY, WAVELENGTH
from plkit.plot.style import pretty_unit

__all__ = ["MapTab", "map_tab"]

_MOST_FRAMES = 60
_SPATIAL = ("row", "col", "half")


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
        self.picture = Picture()
        self.second = Picture(linked=self.picture, name="second")
        self.second.figure.visible = False
        self.spectrum = SpectrumGraph()
        self.trace = TraceGraph()
        self.fit_text = div("", width=560)
        self.image: NDArray[np.float64] = np.zeros((0, 0))
        self.levels = (0.0, 1.0)
        self._levels_of: Any = None
        self.controls = MapControls(self)
        self.cards = MapCards(self)
        graphs = Column(
            self.spectrum.figure, self.spectrum.residual, self.fit_text, self.trace.figure
        )
        self.root = Column(
            wrapped(self.controls.root, Column(self.picture.figure, self.second.figure), graphs),
            self.cards.root,
            sizing_mode="stretch_width",
        )
        self._listen()
        self.draw_all()

    @property
    def layer(self) -> Layer:
        """The layer that is shown."""
        return self.viewer.layer

    @property
    def maps(self) -> dict[str, xr.Dataset]:
        """Whole-map fits of the layer."""
        return self.work.maps(self.layer)

    # Clicks -------------------------------------------------------------------------------------
    def _listen(self) -> None:
        guarded, state = self.viewer.guarded, self.state
        for picture in (self.picture, self.second):
            picture.figure.on_event(Tap, self.viewer.events(self._on_tap))
            picture.figure.on_event(SelectionGeometry, self.viewer.events(self._on_region))
        self.spectrum.figure.on_event(Tap, self.viewer.events(self._on_slice))
        self.spectrum.figure.on_event(SelectionGeometry, self.viewer.events(self._on_band))
        for side in ("left", "right"):
            self.spectrum.band.on_change(
                side, self.viewer.changes(lambda *_: self._on_band_moved())
            )
        self.spectrum.slice.on_change(
            "location", self.viewer.changes(lambda *_: self._on_slice_moved())
        )

        def watch(function: Any, *parameters: str) -> None:
            state.param.watch(lambda *_: guarded(function)(), list(parameters))

        watch(self.change_layer, "layer")
        watch(self.draw_spectrum, *_SPATIAL)
        watch(self.draw_cursor, *_SPATIAL)
        watch(self.draw_trace, *_SPATIAL, "quantity", "band", "slice_at")
        watch(self.draw_image, "quantity", "at", "band", "slice_at", "percentile", "log", "palette",
              "clim", "fixed", "compare")  # fmt: skip
        watch(self.draw_spectrum, "at", names.ENERGY, "fit", "references", "frames")
        watch(self.draw_now, "at", "layer")
        watch(self.draw_entries, "pins", "regions")
        watch(self.draw_band, "band", "slice_at", "quantity", names.ENERGY)
        watch(self.paint, "dark")
        self.viewer.key_actions.append(self._on_key)

    def _on_tap(self, event: Any) -> None:
        if event.x is None or not self.layer.plane:
            return
        row, col = self.picture.index_of(event.x, event.y)
        self.state.param.update(row=row, col=col)

    def _on_region(self, event: Any) -> None:
        if not event.final or not self.layer.is_map or event.geometry["type"] == "point":
            return
        x, y = _corners(event.geometry)
        entry = self.state.add_region(x, y)
        self.viewer.step(f"region {entry['name']}")

    def _on_band(self, event: Any) -> None:
        g = event.geometry
        if not event.final or g["type"] != "rect":
            return
        low, high = self._native(g["x0"]), self._native(g["x1"])
        if low != high:
            self.state.param.update(
                band=(min(low, high), max(low, high)),
                quantity="band" if self.layer.is_map else self.state.quantity,
            )

    def _on_band_moved(self) -> None:
        """An edge of the band, or all of it, was dragged on the spectrum."""
        box = self.spectrum.band
        if not box.visible or box.left is None or box.right is None:
            return
        ends = sorted((self._native(box.left), self._native(box.right)))
        if self.state.band is None or not np.allclose(ends, self.state.band):
            self.state.param.update(
                band=(ends[0], ends[1]),
                quantity="band" if self.layer.is_map else self.state.quantity,
            )

    def _on_slice(self, event: Any) -> None:
        if event.x is not None and self.layer.is_map and self.layer.has_spectra:
            self.state.param.update(slice_at=self._native(event.x), quantity="slice")

    def _on_slice_moved(self) -> None:
        line = self.spectrum.slice
        if line.visible and line.location is not None:
            at = self._native(line.location)
            if self.state.slice_at is None or not np.isclose(at, self.state.slice_at):
                self.state.param.update(slice_at=at, quantity="slice")

    def _on_key(self, key: str) -> None:
        state, layer = self.state, self.layer
        steps = {
            "ArrowLeft": (0, -1), "ArrowRight": (0, 1), "ArrowUp": (1, 0), "ArrowDown": (-1, 0),
        }  # fmt: skip
        if key in steps and layer.plane and state.tab == 0:
            rows, cols = (layer.ds.sizes[d] for d in layer.plane)
            dr, dc = steps[key]
            if not layer.is_map:
                dc = 0
            state.param.update(
                row=min(max(state.row + dr, 0), rows - 1), col=min(max(state.col + dc, 0), cols - 1)
            )
        elif key in (",", "."):
            self.controls.step_frame(1 if key == "." else -1)
        elif key == " ":
            self.controls.toggle_play()
        elif key == "p":
            self.cards.pin()
        elif key == "Delete" and (state.pins or state.regions):
            last = (state.regions or state.pins)[-1]["name"]
            state.remove(last)

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

    def _native(self, x: float) -> float:
        """Position on the drawn axis, on the layer's own."""
        if not self.in_energy:
            return float(x)
        from plkit.physics.photons import wavelength_from_energy

        return float(wavelength_from_energy(float(x), "air"))

    def _drawn(self, x: float) -> float:
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
        from plkit.apps.view.viewer import preferred

        self.state.param.update(
            quantity=preferred(self.work.quantities(layer)), at={}, row=rows // 2, col=cols // 2,
            band=None, slice_at=None, clim=None, pins=[], regions=[], references=[], scatter=[],
            lasso=[], compare=None,
        )  # fmt: skip
        self.draw_all()

    def draw_all(self) -> None:
        """Draw everything anew."""
        layer = self.layer
        has_plane, has_spectra = bool(layer.plane), layer.has_spectra
        self.picture.figure.visible = has_plane
        self.spectrum.figure.visible = has_spectra
        if has_plane:
            self.picture.set_layer(layer)
            self.second.set_layer(layer)
        self.controls.set_layer()
        self.cards.set_layer()
        self.paint()
        self.draw_image()
        self.draw_cursor()
        self.draw_band()
        self.draw_spectrum()
        self.draw_entries()
        self.draw_trace()
        self.draw_now()

    def paint(self) -> None:
        """Light or dark."""
        for drawn in (self.picture, self.second, self.spectrum, self.trace):
            drawn.paint(self.state.dark)
        self.cards.paint(self.state.dark)

    def draw_image(self) -> None:
        """The image, and the second one where two frames are compared."""
        layer, state = self.layer, self.state
        if not layer.plane:
            return
        if layer.lazy:
            self.viewer.say("reading …")
        other = self._compared()

        def compute() -> tuple[Any, ...]:
            image = self.work.plane(layer, state)
            second = None if other is None else self.work.plane(layer, state, at=other)
            return image, second, self._scale(image)

        def apply(found: tuple[Any, ...]) -> None:
            self.image, second, self.levels = found
            label = values.label_of(layer, state.quantity, self.maps)
            look = {"log": state.log, "palette": state.palette, "label": label}
            self.picture.show(self.image, self.levels, title=self._frame_title(state.at), **look)
            if second is not None and other is not None:
                self.second.show(second, self.levels, title=self._frame_title(other), **look)
            self.second.figure.visible = second is not None
            self.cards.after_image()
            failed = int((~np.isfinite(self.image)).sum())
            text = f"{failed} of {self.image.size} pixels have no result" if failed else ""
            self.viewer.say(text)

        self.viewer.ask("image", compute, apply, here=not layer.lazy)

    def _compared(self) -> dict[str, int] | None:
        """Frame of the second image."""
        if self.state.compare is None or not self.layer.outer:
            return None
        return {**self.state.at, self.layer.outer[0]: self.state.compare}

    def _scale(self, image: NDArray[np.float64]) -> tuple[float, float]:
        """Ends of the colour scale: stated ones, of the first and last frame, or of this one."""
        state, layer = self.state, self.layer
        if state.clim is not None:
            return values.levels_of(image, 0.0, state.log, state.clim)
        if state.fixed and layer.outer:
            played = layer.outer[0]
            others = tuple((d, i) for d, i in state.at.items() if d != played)
            key = (
                layer.name, state.quantity, state.band, state.slice_at, state.percentile, state.log,
                others, len(self.maps),
            )  # fmt: skip
            if key != self._levels_of:
                ends = {0, layer.ds.sizes[played] - 1}
                frames = [
                    self.work.plane(layer, state, at={**state.at, played: i}).ravel() for i in ends
                ]
                self._fixed = values.levels_of(np.concatenate(frames), state.percentile, state.log)
                self._levels_of = key
            return self._fixed
        return values.levels_of(image, state.percentile, state.log)

    def _frame_title(self, at: dict[str, int]) -> str:
        layer, parts = self.layer, []
        for dim, i in values.index_at(layer, at).items():
            symbol = (names.symbol(dim) or dim) if dim in names.TABLE else dim
            unit = str(layer.ds[dim].attrs.get("units", "1")) if dim in layer.ds.coords else "1"
            parts.append(f"{symbol} = {layer.axis(dim)[i]:.4g} {pretty_unit(unit)}".strip())
        return ", ".join(parts)

    def draw_cursor(self) -> None:
        """The averaging box."""
        if self.layer.plane:
            self.picture.draw_cursor(self.state.row, self.state.col, self.state.half)
            self.second.draw_cursor(self.state.row, self.state.col, self.state.half)

    def spectrum_here(self) -> xr.Dataset:
        """Spectrum under the cursor, on the drawn axis."""
        s = self.state
        return values.spectrum_of(self.layer, s.at, s.row, s.col, s.half, energy=self.in_energy)

    def kept_spectra(self) -> list[tuple[dict[str, Any], xr.Dataset]]:
        """Spectra of pins and regions, on the drawn axis."""
        layer, s = self.layer, self.state
        found = [
            (
                p,
                values.spectrum_of(
                    layer, s.at, p["row"], p["col"], p["half"], energy=self.in_energy
                ),
            )
            for p in s.pins
        ]
        for region in s.regions:
            mask = values.region_mask(layer, region)
            if mask.any():
                found.append(
                    (
                        region,
                        values.spectrum_of(layer, s.at, 0, 0, mask=mask, energy=self.in_energy),
                    )
                )
        return found

    def draw_spectrum(self) -> None:
        """Spectrum under the cursor; the fit follows when the spectrum is painted."""
        layer = self.layer
        if not layer.has_spectra:
            self.spectrum.show_fit(None)
            return

        def apply(spectrum: xr.Dataset) -> None:
            self.spectrum.show(spectrum, layer.variable, self.shown_dim, self._place())
            self._ask_fit(spectrum)

        self.viewer.ask("spectrum", self.spectrum_here, apply, here=not layer.lazy)
        self.draw_kept()
        self._draw_frames()

    def draw_kept(self) -> None:
        """Spectra of pins and regions."""
        layer = self.layer
        if layer.has_spectra:
            self.viewer.ask(
                "kept", self.kept_spectra,
                lambda found: self.spectrum.keep(found, layer.variable, self.shown_dim),
                here=not layer.lazy,
            )  # fmt: skip

    def _place(self) -> str:
        layer, s = self.layer, self.state
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
            self.spectrum.show_fit(None)
            self.fit_text.text = ""
            return
        layer, state = self.layer, self.state

        def compute() -> Any:
            refs = None
            if fit == "components":
                refs = references_of(layer, state)
                plain = values.spectrum_of(layer, state.at, state.row, state.col, state.half)
                return overlay_of(plain, fit, refs)
            return overlay_of(spectrum, fit)

        def apply(found: Any) -> None:
            self.spectrum.show_fit(found)
            text = "no fit: no light here" if found is None else " · ".join(found.lines)
            self.fit_text.text = f"<small>{text}</small>"

        self.viewer.ask("fit", compute, apply, here=False)

    def _draw_frames(self) -> None:
        layer, s = self.layer, self.state
        if not s.frames or not layer.outer or self.in_energy:
            if len(self.spectrum.frames.data["x"]):
                self.spectrum.frames.data = {"x": [], "y": [], "colour": [], "name": []}
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
            "frames",
            compute,
            lambda found: self.spectrum.show_frames(axis, found),
            here=not layer.lazy,
        )

    def draw_trace(self) -> None:
        """What is shown, along what is played: at the cursor, the pins, the regions."""
        layer, s = self.layer, self.state
        options: dict[str, Any] = {
            "band": s.band, "slice_at": s.slice_at, "maps": self.maps,
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
            self.trace.figure.visible = bool(dim)
            if dim:
                self.trace.show(x, y, kept)
                self.trace.figure.xaxis.axis_label = axis_label(layer, dim)
                label = values.label_of(layer, s.quantity, self.maps)
                short = layer.is_map and s.quantity != "band"
                self.trace.figure.yaxis.axis_label = (
                    label if short else "Sum over the band (counts)"
                )

        self.viewer.ask("trace", compute, apply, here=not layer.lazy)

    def draw_now(self) -> None:
        """The line in the trace that says which frame is shown."""
        layer = self.layer
        if layer.is_map and layer.outer:
            played = layer.outer[0]
            i = values.index_at(layer, self.state.at)[played]
            self.trace.now.location = float(layer.axis(played)[i])
        elif layer.plane:
            rows = layer.axis(layer.plane[0])
            self.trace.now.location = float(rows[min(self.state.row, rows.size - 1)])

    def draw_entries(self) -> None:
        """Pins and regions, on the image, the spectrum and the trace."""
        s = self.state
        if self.layer.plane:
            for picture in (self.picture, self.second):
                picture.draw_entries(s.pins, s.regions)
        self.draw_kept()
        self.draw_trace()
        self.cards.after_entries()

    def draw_band(self) -> None:
        """Band and slice on the spectrum, labels of its axis."""
        layer, s = self.layer, self.state
        if not layer.has_spectra:
            return
        box, line = self.spectrum.band, self.spectrum.slice
        if s.band is not None:
            low, high = sorted(self._drawn(v) for v in s.band)
            box.update(left=low, right=high)
        box.visible = s.band is not None and s.quantity != "slice"
        if s.slice_at is not None:
            line.location = self._drawn(s.slice_at)
        line.visible = s.slice_at is not None and s.quantity == "slice"
        value = names.label(layer.variable) if layer.variable in names.TABLE else layer.variable
        if self.in_energy:
            value = "Intensity (counts per energy, as at 2 eV)"
        label = names.label(ENERGY) if self.in_energy else axis_label(layer, layer.spectral)
        self.spectrum.set_axis(label, value)


def _corners(geometry: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Corners of what was drawn; a lasso keeps at most forty."""
    if geometry["type"] == "rect":
        x0, x1, y0, y1 = (geometry[k] for k in ("x0", "x1", "y0", "y1"))
        return [x0, x1, x1, x0], [y0, y0, y1, y1]
    x, y = (list(map(float, geometry[k])) for k in ("x", "y"))
    step = -(-len(x) // 40)
    return x[::step], y[::step]
