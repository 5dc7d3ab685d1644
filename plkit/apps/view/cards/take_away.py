"""What leaves the page: code, tables, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr
from bokeh.models import Row, TextAreaInput

from plkit import plot
from plkit.apps.view import values
from plkit.apps.view.code import python_of, recipe_of
from plkit.apps.view.export import map_csv, spectra_csv, table_csv
from plkit.apps.view.figure_buttons import figure_buttons
from plkit.apps.view.graphs import axis_values
from plkit.apps.view.layers import Layer
from plkit.apps.view.parts import dress, panel
from plkit.errors import DataError
from plkit.names import X, Y, attrs

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["TakeAwayCard"]


class TakeAwayCard:
    """The card of what can be taken away.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.root = self._build()

    def _build(self) -> Any:
        button = self.viewer.button
        self.code = TextAreaInput(rows=7, width=430, name="code", max_length=200_000)
        dress(self.code)
        rows = [
            Row(
                button("Copy as Python", self._copy_python, width=130, name="copy_python"),
                button("Copy recipe", self._copy_recipe, width=110, name="copy_recipe"),
            ),
            Row(
                button("Spectra CSV", self._save_spectra, width=100, name="csv_spectra"),
                button("Map CSV", self._save_map, width=90, name="csv_map"),
                button("Regions CSV", self._save_regions, width=105, name="csv_regions"),
            ),
            figure_buttons(self.viewer, "Map", "map", lambda: f"{self.stem}_map", self.map_figure),
            figure_buttons(
                self.viewer, "Second", "second", lambda: f"{self.stem}_second", self.second_figure
            ),
            figure_buttons(
                self.viewer,
                "Spectra",
                "spectra",
                lambda: f"{self.stem}_spectra",
                self.spectra_figure,
            ),
        ]
        return panel("Take away", *rows, self.code, width=470)

    def _copy_python(self) -> None:
        text = python_of(self.viewer.work, self.tab.layer, self.state)
        self.code.value = text
        self.viewer.copy(text)
        self.viewer.say("Python copied")

    def _copy_recipe(self) -> None:
        text = recipe_of(self.tab.layer, self.state, self.viewer.chosen)
        self.code.value = text
        self.viewer.copy(text)
        self.viewer.say("Recipe copied: save it as STUDY.toml, then plkit run STUDY.toml")

    @property
    def stem(self) -> str:
        """Start of the names of files."""
        return f"{self.viewer.work.title.split('.nc')[0]}_{self.tab.layer.name}".replace(" ", "_")

    def _save_spectra(self) -> None:
        layer = self.tab.layer
        if not layer.has_spectra:
            raise DataError("save the spectra", "this layer holds maps of results, no spectra")
        spectra = {"cursor": self.tab.spectra.here()}
        spectra.update({e["name"]: ds for e, ds in self.tab.spectra.kept()})
        self.viewer.download(f"{self.stem}_spectra.csv", spectra_csv(layer, spectra), "text/csv")

    def _save_map(self) -> None:
        layer = self.tab.layer
        label = values.label_of(layer, self.state.quantity, self.tab.maps)
        content = map_csv(layer, self.tab.images.image, label)
        self.viewer.download(f"{self.stem}_map.csv", content, "text/csv")

    def _save_regions(self) -> None:
        rows = values.region_table(self.tab.layer, self.tab.images.image, self.state.regions)
        label = values.label_of(self.tab.layer, self.state.quantity, self.tab.maps)
        head = ["region", "pixels", f"mean of {label}", "σ of the mean", "scatter of the pixels"]
        content = table_csv(
            head, [[r["name"], r["n"], r["mean"], r["stderr"], r["scatter"]] for r in rows]
        )
        self.viewer.download(f"{self.stem}_regions.csv", content, "text/csv")

    def map_figure(self) -> Any:
        """The map as a figure for paper."""
        images, state = self.tab.images, self.state
        label = values.label_of(self.tab.layer, state.quantity, self.tab.maps)
        da = self._array(self.tab.layer, images.image, label)
        return plot.plot_map(da, clim=images.levels, cmap=state.palette.lower())

    def second_figure(self) -> Any:
        """The second image, or the difference, as a figure for paper."""
        images, state = self.tab.images, self.state
        found, image = images.compared, images.second_image()
        if found is None or image is None:
            raise DataError(
                "draw the second image", "there is none", "Choose one under Before and after."
            )
        label = values.label_of(self.tab.layer, state.quantity, self.tab.maps)
        if state.difference:
            image = images.difference(image)
            most = max(map(abs, values.levels_of(image, state.percentile, False)))
            da = self._array(found[0], image, f"Difference of: {label}")
            return plot.plot_map(da, clim=(-most, most), cmap="RdBu_r")
        da = self._array(found[0], image, label)
        return plot.plot_map(da, clim=images.levels, cmap=state.palette.lower())

    def _array(self, layer: Layer, image: Any, label: str) -> xr.DataArray:
        if not layer.is_map:
            raise DataError("draw the map", "this layer is a series of spectra, not a map")
        coords = {d: (d, layer.axis(d), attrs(d) if d in (X, Y) else {}) for d in layer.plane}
        return xr.DataArray(image, coords, layer.plane, attrs={"long_name": label})

    def spectra_figure(self) -> Any:
        """Spectra under the cursor, of pins and regions as a figure for paper."""
        layer = self.tab.layer
        if not layer.has_spectra:
            raise DataError("draw the spectra", "this layer holds maps of results, no spectra")
        figure = plot.plot_spectra(self.tab.spectra.here(), variable=layer.variable)
        kept = self.tab.spectra.kept()
        if kept:
            ax = figure.axes[0]
            for entry, ds in kept:
                da = ds[layer.variable]
                ax.plot(
                    axis_values(ds, str(da.dims[0])), da.values, color=entry["colour"], lw=0.8,
                    label=entry["name"],
                )  # fmt: skip
            ax.legend(frameon=False)
        return figure
