"""Cards below the figures: pins and regions, whole-map fits, comparison, scatter, what to take away."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import SelectionGeometry
from bokeh.models import (
    ColumnDataSource,
    DataTable,
    LassoSelectTool,
    MultiChoice,
    NumberFormatter,
    Row,
    Select,
    Slider,
    StringEditor,
    StringFormatter,
    TableColumn,
    TextAreaInput,
    Toggle,
)  # fmt: skip

from plkit import plot
from plkit.apps.view import values
from plkit.apps.view.code import python_of, recipe_of
from plkit.apps.view.export import figure_bytes, map_csv, spectra_csv, table_csv
from plkit.apps.view.operations import OPERATIONS, Job, key_of, settings_of
from plkit.apps.view.parts import div, dress, new_figure, panel, table, wrapped
from plkit.apps.view.picture import axis_label
from plkit.apps.view.theme import paint
from plkit.errors import DataError
from plkit.names import X, Y, attrs
from plkit.physics.calibration import CALIBRATIONS

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MapCards"]


class MapCards:
    """The cards of a map tab.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.job: Job | None = None
        cards = [
            self._entries(),
            self._fits(),
            self._compare(),
            self._scatter(),
            self._take(),
            self._about(),
        ]
        self.root = wrapped(*cards)

    # Pins and regions ---------------------------------------------------------------------------
    def _entries(self) -> Any:
        empty: dict[str, list[Any]] = {
            k: [] for k in ("name", "kind", "n", "mean", "stderr", "scatter", "colour")
        }
        self.rows = ColumnDataSource(empty, name="entry_rows")
        number = NumberFormatter(format="0.0000a")
        plain = {"formatter": number, "width": 85}
        columns = [
            TableColumn(field="name", title="Name", editor=StringEditor(), width=90,
                        formatter=StringFormatter(font_style="bold")),
            TableColumn(field="kind", title="Kind", width=60),
            TableColumn(field="n", title="Pixels", width=60),
            TableColumn(field="mean", title="Mean", **plain),
            TableColumn(field="stderr", title="± σ of mean", **plain),
            TableColumn(field="scatter", title="Scatter", **plain),
        ]  # fmt: skip
        self.table = DataTable(
            source=self.rows, columns=columns, editable=True, index_position=None, width=470,
            height=150, name="entries",
        )  # fmt: skip
        dress(self.table)
        self._renaming = False
        self.rows.on_change("data", self.viewer.changes(self._on_rename))
        button = self.viewer.button
        self.references = MultiChoice(
            title="Reference spectra (the first one falls)",
            options=[],
            width=300,
            name="references",
        )
        dress(self.references)
        self.references.on_change(
            "value",
            self.viewer.changes(lambda _a, _o, new: self.state.param.update(references=new)),
        )
        self.box_button = button("Draw box", self._draw_box, width=90, name="draw_box")
        self.lasso_button = button("Draw polygon", self._draw_lasso, width=110, name="draw_polygon")
        return panel(
            "Pins and regions",
            Row(
                button("Pin", self.pin, width=60, name="pin"), self.box_button, self.lasso_button,
                button("Remove", self._remove, width=80, name="remove"),
            ),
            self.table, self.references, width=510,
        )  # fmt: skip

    def pin(self) -> None:
        """Keep the spectrum under the cursor."""
        if not self.tab.layer.has_spectra and not self.tab.layer.plane:
            raise DataError("pin a spectrum", "this layer has none")
        entry = self.state.pin()
        self.viewer.step(f"pin {entry['name']}")

    def _draw_box(self) -> None:
        self.tab.picture.figure.toolbar.active_drag = self.tab.picture.box_tool
        self.viewer.say("Drag a box on the map")

    def _draw_lasso(self) -> None:
        self.tab.picture.figure.toolbar.active_drag = self.tab.picture.lasso_tool
        self.viewer.say("Draw around a region on the map")

    def _remove(self) -> None:
        chosen = [self.rows.data["name"][i] for i in self.rows.selected.indices]
        if not chosen:
            raise DataError("remove", "nothing is selected in the table", "Click a row first.")
        for name in chosen:
            self.state.remove(name)
        self.rows.selected.indices = []

    def _on_rename(self, _attr: str, old: Any, new: Any) -> None:
        if self._renaming or len(old["name"]) != len(new["name"]):
            return
        for before, after in zip(old["name"], new["name"], strict=True):
            if before != after:
                try:
                    self.state.rename(before, after)
                finally:
                    self.after_entries()

    def after_entries(self) -> None:
        """Fill the table: counts and means of what the image shows."""
        layer, s = self.tab.layer, self.state
        entries: dict[str, list[Any]] = {
            k: [] for k in ("name", "kind", "n", "mean", "stderr", "scatter", "colour")
        }
        image = self.tab.image
        if layer.plane and image.size:
            for p in s.pins:
                box = tuple(values.box_of(layer, p["row"], p["col"], p["half"]).values())
                part = image[box]
                good = part[np.isfinite(part)]
                scatter = float(good.std(ddof=1)) if good.size > 1 else float("nan")
                found = {
                    "name": p["name"], "kind": "pin", "n": int(part.size), "colour": p["colour"],
                    "mean": float(good.mean()) if good.size else float("nan"),
                    "stderr": scatter / np.sqrt(max(good.size, 1)), "scatter": scatter,
                }  # fmt: skip
                for k, v in found.items():
                    entries[k].append(v)
            regions = s.regions if layer.is_map else []
            for row in values.region_table(layer, image, regions):
                for k in entries:
                    entries[k].append("region" if k == "kind" else row[k])
        self._renaming = True
        try:
            self.rows.data = entries
        finally:
            self._renaming = False
        self.references.options = [e["name"] for e in (*s.pins, *s.regions)]
        self.references.value = [r for r in s.references if r in self.references.options]
        self._update_fits()

    # Whole-map fits -----------------------------------------------------------------------------
    def _fits(self) -> Any:
        self.kind = Select(
            title="Fit", options=[(k, o.title) for k, o in OPERATIONS.items()], value="peaks",
            width=130, name="fit_kind",
        )  # fmt: skip
        self.method = Select(
            title="Method", options=["parabola", "centroid", "gaussian", "asymmetric"],
            value=self.viewer.chosen["method"], width=130, name="fit_method",
        )  # fmt: skip
        self.calibration = Select(
            title="Calibration", options=sorted(CALIBRATIONS), width=150,
            value=self.viewer.chosen["calibration"],
        )  # fmt: skip
        self.background = Select(
            title="Background", options=["none", "constant", "linear"], width=130,
            value=self.viewer.chosen["background"],
        )  # fmt: skip
        dress(self.kind, self.method, self.calibration, self.background)
        for name in ("method", "calibration", "background"):
            getattr(self, name).on_change(
                "value", lambda _a, _o, new, name=name: self.viewer.chosen.update({name: new})
            )
        self.kind.on_change("value", self.viewer.changes(lambda *_: self._update_fits()))
        self.go = self.viewer.button(
            "Fit all pixels", self._start, width=120, button_type="primary", name="fit_all"
        )
        self.cancel = self.viewer.button(
            "Cancel", self._cancel, width=80, disabled=True, name="cancel"
        )
        self.progress = div("", width=330, name="progress")
        return panel(
            "All pixels", Row(self.kind, self.method), Row(self.calibration, self.background),
            Row(self.go, self.cancel), self.progress, width=350,
        )  # fmt: skip

    def _update_fits(self) -> None:
        kind = self.kind.value
        self.method.visible = kind in ("peaks", "composition")
        self.calibration.visible = kind == "composition"
        self.background.visible = kind in ("unmix", "kinetics")
        missing = OPERATIONS[kind].missing(self.tab.layer, self.state)
        running = self.job is not None and self.job.running
        self.go.disabled = bool(missing) or running
        if not running:
            self.progress.text = f"<small class='faint'>{html.escape(missing)}</small>"

    def _start(self) -> None:
        layer = self.tab.layer
        settings = settings_of(self.kind.value, layer, self.state, self.viewer.chosen)
        key = key_of(settings)
        self.job = Job(
            layer, settings, lambda job: self.viewer.later(lambda: self._on_job(job, key))
        )
        self.go.disabled, self.cancel.disabled = True, False
        self.progress.text = self._bar(0.0, f"{key}: starting")
        self.job.start()

    def _cancel(self) -> None:
        if self.job is not None:
            self.job.cancel()
            self.cancel.disabled = True
            self.progress.text = "stopping …"

    def _bar(self, share: float, text: str) -> str:
        return (
            f"<progress max='1' value='{share:.3f}' style='width:300px'></progress><br>"
            f"<small>{html.escape(text)}</small>"
        )

    def _on_job(self, job: Job, key: str) -> None:
        if job is not self.job:
            return
        if job.result is None and not job.error and not job.cancelled:
            share = job.done / job.total
            self.progress.text = self._bar(share, f"{key}: {100 * share:.0f} %")
            return
        if (
            job.result is None
            and job.cancelled
            and not job.error
            and job.running
            and job.done < job.total
        ):
            # The block in progress comes to its end first.
            job.join(0)
        self.cancel.disabled, self.go.disabled = True, False
        if job.error:
            self.progress.text = f"<span class='warn'>{html.escape(job.error)}</span>"
        elif job.cancelled:
            self.progress.text = f"cancelled after {100 * job.done / job.total:.0f} %"
        elif job.result is not None:
            self._finish(job, key)

    def _finish(self, job: Job, key: str) -> None:
        from plkit.apps.view.operations import reference_spectra

        layer, kind = job.layer, str(job.settings["kind"])
        code = []
        if "references" in job.settings:
            code.append(reference_code(layer, self.state, reference_spectra(layer, self.state)))
        code.append(f"result = {OPERATIONS[kind].code(job.settings)}")
        assert job.result is not None
        self.viewer.work.keep(layer, key, job.result, code)
        if layer.name == self.tab.layer.name:
            first = [q for q in self.viewer.work.quantities(layer) if q.startswith(f"{key}/")]
            wanted = {
                "peaks": "peak_energy",
                "composition": "x_iodine",
                "unmix": "fraction",
                "kinetics": "mean_rate",
            }
            shown = next(
                (q for q in first if q.partition("/")[2].startswith(wanted[kind])), first[0]
            )
            self.state.param.update(
                done=[*[d for d in self.state.done if d != key], key], quantity=shown
            )
        self.viewer.step("\n".join(code))
        notes = f" · {'; '.join(job.notes)}" if job.notes else ""
        self.progress.text = f"{html.escape(key)}: done{html.escape(notes)}"
        self._update_scatter()

    # Comparison ---------------------------------------------------------------------------------
    def _compare(self) -> Any:
        self.compare_on = Toggle(label="Second frame", width=120, name="compare")
        self.compare_at = Slider(
            start=0, end=1, step=1, value=0, width=250, show_value=False, name="compare_at"
        )
        dress(self.compare_on, self.compare_at)

        def change(*_: Any) -> None:
            self.state.compare = int(self.compare_at.value) if self.compare_on.active else None

        self.compare_on.on_change("active", self.viewer.changes(change))
        self.compare_at.on_change("value", self.viewer.changes(change))
        self.compare_card = panel("Before and after", self.compare_on, self.compare_at, width=290)
        return self.compare_card

    # Scatter ------------------------------------------------------------------------------------
    def _scatter(self) -> Any:
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
            self.draw_scatter()

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

    def _update_scatter(self) -> None:
        from plkit.apps.view.map_controls import title_of

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

    def draw_scatter(self) -> None:
        """Draw all pixels, one quantity against the other; mark those of the lasso on the map."""
        chosen, layer = list(self.state.scatter), self.tab.layer
        self.cloud.visible = len(chosen) == 2
        if len(chosen) != 2 or not layer.is_map:
            self.tab.picture.choose(None)
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
                self.tab.picture.choose(mask)
                n = int(mask.sum())
                self.cloud_text.text = f"{n} of {int(good.sum())} pixels chosen" + (
                    f", means {x[mask].mean():.4g} and {y[mask].mean():.4g}" if n else ""
                )
            else:
                self.tab.picture.choose(None)
                self.cloud_text.text = "Draw around points: their pixels are marked on the map."

        self.viewer.ask("scatter", compute, apply, here=not layer.lazy)

    def _on_lasso(self, event: Any) -> None:
        from plkit.apps.view.map_tab import _corners

        if event.final:
            x, y = _corners(event.geometry)
            self.state.lasso = [[float(f"{v:.5g}") for v in x], [float(f"{v:.5g}") for v in y]]
            self.draw_scatter()

    def _clear_lasso(self) -> None:
        self.state.lasso = []
        self.draw_scatter()

    # Take away ----------------------------------------------------------------------------------
    def _take(self) -> Any:
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
            Row(
                button("Map PNG", lambda: self._save_figure("png"), width=90, name="png"),
                button("Map SVG", lambda: self._save_figure("svg"), width=90, name="svg"),
                button(
                    "Spectra SVG", lambda: self._save_spectrum("svg"), width=105, name="svg_spectra"
                ),
            ),
        ]
        return panel("Take away", *rows, self.code, width=470)

    def _copy_python(self) -> None:
        text = python_of(self.viewer.work, self.tab.layer, self.state)
        self.code.value = text
        self.viewer.copy(text)
        self.viewer.say("Python copied")

    def _copy_recipe(self) -> None:
        text = recipe_of(self.viewer.work, self.tab.layer, self.state, self.viewer.chosen)
        self.code.value = text
        self.viewer.copy(text)
        self.viewer.say("Recipe copied: save it as STUDY.toml, then plkit run STUDY.toml")

    @property
    def _stem(self) -> str:
        return f"{self.viewer.work.title.split('.nc')[0]}_{self.tab.layer.name}".replace(" ", "_")

    def _save_spectra(self) -> None:
        layer = self.tab.layer
        if not layer.has_spectra:
            raise DataError("save the spectra", "this layer holds maps of results, no spectra")
        spectra = {"cursor": self.tab.spectrum_here()}
        spectra.update({e["name"]: ds for e, ds in self.tab.kept_spectra()})
        self.viewer.download(f"{self._stem}_spectra.csv", spectra_csv(layer, spectra), "text/csv")

    def _save_map(self) -> None:
        layer = self.tab.layer
        label = values.label_of(layer, self.state.quantity, self.tab.maps)
        content = map_csv(layer, self.tab.image, label)
        self.viewer.download(f"{self._stem}_map.csv", content, "text/csv")

    def _save_regions(self) -> None:
        rows = values.region_table(self.tab.layer, self.tab.image, self.state.regions)
        label = values.label_of(self.tab.layer, self.state.quantity, self.tab.maps)
        head = ["region", "pixels", f"mean of {label}", "σ of the mean", "scatter of the pixels"]
        content = table_csv(
            head, [[r["name"], r["n"], r["mean"], r["stderr"], r["scatter"]] for r in rows]
        )
        self.viewer.download(f"{self._stem}_regions.csv", content, "text/csv")

    def map_figure(self) -> Any:
        """The map as a figure for paper."""
        import xarray as xr

        layer = self.tab.layer
        if not layer.is_map:
            raise DataError("draw the map", "this layer is a series of spectra, not a map")
        coords = {d: (d, layer.axis(d), attrs(d) if d in (X, Y) else {}) for d in layer.plane}
        label = values.label_of(layer, self.state.quantity, self.tab.maps)
        da = xr.DataArray(self.tab.image, coords, layer.plane, attrs={"long_name": label})
        return plot.plot_map(da, clim=self.tab.levels, cmap=self.state.palette.lower())

    def _save_figure(self, suffix: str) -> None:
        content = figure_bytes(self.map_figure(), suffix)
        mime = "image/png" if suffix == "png" else "image/svg+xml"
        self.viewer.download(f"{self._stem}_map.{suffix}", content, mime)

    def _save_spectrum(self, suffix: str) -> None:
        layer = self.tab.layer
        if not layer.has_spectra:
            raise DataError("save the spectra", "this layer holds maps of results, no spectra")
        figure = plot.plot_spectra(self.tab.spectrum_here(), variable=layer.variable)
        self.viewer.download(
            f"{self._stem}_spectrum.{suffix}", figure_bytes(figure, suffix), "image/svg+xml"
        )

    # What it is ---------------------------------------------------------------------------------
    def _about(self) -> Any:
        self.about = div("", width=430)
        self.about_on = Toggle(label="Show", width=70, name="metadata")
        dress(self.about_on)
        self.about_on.on_change("active", self.viewer.changes(lambda *_: self._update_about()))
        return panel("Metadata", self.about_on, self.about, width=470)

    def _update_about(self) -> None:
        if not self.about_on.active:
            self.about.text = ""
            return
        ds = self.tab.layer.ds
        rows = [("sizes", ", ".join(f"{d} {n}" for d, n in ds.sizes.items()))]
        for d in ds.sizes:
            if d in ds.coords and ds[d].dtype.kind in "iuf":
                axis = ds[d].values
                rows.append(
                    (axis_label(self.tab.layer, str(d)), f"{axis[0]:.6g} to {axis[-1]:.6g}")
                )
        rows += [
            (str(n), f"{float(v):.6g} {v.attrs.get('units', '')}")
            for n, v in ds.variables.items() if v.ndim == 0 and v.dtype.kind in "iuf"
        ]  # fmt: skip
        rows += [(str(k), str(v)[:400]) for k, v in ds.attrs.items()]
        self.about.text = table(rows)

    # Together -----------------------------------------------------------------------------------
    def set_layer(self) -> None:
        """Another layer: which cards make sense."""
        layer = self.tab.layer
        self.compare_card.visible = bool(layer.outer) and layer.is_map
        if layer.outer:
            n = layer.ds.sizes[layer.outer[0]]
            self.compare_at.update(
                end=max(n - 1, 1), title=f"Frame of the second map ({layer.outer[0]})"
            )
            if self.state.compare is not None:
                at = self.state.compare
                self.compare_at.value = min(at, n - 1)
                self.compare_on.active = True
        for drawn in (self.box_button, self.lasso_button):
            drawn.visible = layer.is_map
        self._update_scatter()
        self.cloud_on.active = len(self.state.scatter) == 2
        self.draw_scatter()
        self._update_about()
        self.after_entries()

    def after_image(self) -> None:
        """The image was drawn: means of regions follow."""
        if self.state.pins or self.state.regions:
            self.after_entries()

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        paint(self.cloud, dark)


def reference_code(layer: Any, state: Any, spectra: Any) -> str:
    """Python that makes the same reference spectra."""
    from plkit.apps.view.code import references_code

    return references_code(layer, state, list(spectra))
