"""Pins and regions: the table with counts and means, and which of them are reference spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    DataTable,
    MultiChoice,
    NumberFormatter,
    Row,
    StringFormatter,
    TableColumn,
    TextInput,
)  # fmt: skip

from plkit.apps.view import values
from plkit.apps.view.operations import reference_names
from plkit.apps.view.parts import dress, panel
from plkit.errors import DataError

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["EntriesCard"]


class EntriesCard:
    """The card of pins and regions.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.root = self._build()

    def _build(self) -> Any:
        empty: dict[str, list[Any]] = {
            k: [] for k in ("name", "kind", "n", "mean", "stderr", "scatter", "colour")
        }
        self.rows = ColumnDataSource(empty, name="entry_rows")
        number = NumberFormatter(format="0.0000a")
        plain = {"formatter": number, "width": 85}
        columns = [
            TableColumn(field="name", title="Name", width=90,
                        formatter=StringFormatter(font_style="bold")),
            TableColumn(field="kind", title="Kind", width=60),
            TableColumn(field="n", title="Pixels", width=60),
            TableColumn(field="mean", title="Mean", **plain),
            TableColumn(field="stderr", title="± σ of mean", **plain),
            TableColumn(field="scatter", title="Scatter", **plain),
        ]  # fmt: skip
        self.table = DataTable(
            source=self.rows, columns=columns, index_position=None, width=470,
            height=150, name="entries",
        )  # fmt: skip
        dress(self.table)
        # The table of Bokeh does not look at new values of as many rows as before.
        again = CustomJS(args={"table": self.table}, code="table.view.change.emit()")
        self.rows.js_on_change("data", again)
        self._following = False
        # Beside the table: an editor in its cells does not get the focus of the keyboard.
        self.name = TextInput(
            placeholder="select a row to rename", width=160, disabled=True, name="rename"
        )
        dress(self.name)
        self.name.on_change("value", self.viewer.changes(lambda *_: self._on_rename()))
        self.rows.selected.on_change("indices", self.viewer.changes(lambda *_: self._on_select()))
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
            ),
            self.table,
            Row(self.name, button("Remove", self._remove, width=80, name="remove")), self.references, width=510,
        )  # fmt: skip

    def pin(self) -> None:
        """Keep the spectrum under the cursor."""
        if not self.tab.layer.has_spectra and not self.tab.layer.plane:
            raise DataError("pin a spectrum", "this layer has none")
        entry = self.state.pin()
        self.viewer.step(f"pin {entry['name']}")

    def _draw_box(self) -> None:
        self.tab.images.first.figure.toolbar.active_drag = self.tab.images.first.box_tool
        self.viewer.say("Drag a box on the map")

    def _draw_lasso(self) -> None:
        self.tab.images.first.figure.toolbar.active_drag = self.tab.images.first.lasso_tool
        self.viewer.say("Draw around a region on the map")

    def _remove(self) -> None:
        chosen = self._selected
        if not chosen:
            raise DataError("remove", "nothing is selected in the table", "Click a row first.")
        for name in chosen:
            self.state.remove(name)
        self.rows.selected.indices = []

    @property
    def _selected(self) -> list[str]:
        """Names of the rows that are chosen."""
        known = self.rows.data["name"]
        return [known[i] for i in self.rows.selected.indices if i < len(known)]

    def _on_select(self) -> None:
        """Offer the name of the chosen row."""
        chosen = self._selected
        self._following = True
        try:
            self.name.update(disabled=len(chosen) != 1, value=chosen[0] if len(chosen) == 1 else "")
        finally:
            self._following = False

    def _on_rename(self) -> None:
        chosen = self._selected
        if self._following or len(chosen) != 1:
            return
        try:
            self.state.rename(chosen[0], self.name.value)
        finally:
            self._on_select()

    def update(self) -> None:
        """Fill the table: counts and means of what the image shows."""
        layer, s = self.tab.layer, self.state
        entries: dict[str, list[Any]] = {
            k: [] for k in ("name", "kind", "n", "mean", "stderr", "scatter", "colour")
        }
        image = self.tab.images.image
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
        self.rows.data = entries
        self._on_select()
        self.references.options = reference_names(layer, s)
        self.references.value = [r for r in s.references if r in self.references.options]
        self.tab.cards.fits.update()

    def set_layer(self) -> None:
        """Regions are drawn on maps alone."""
        for drawn in (self.box_button, self.lasso_button):
            drawn.visible = self.tab.layer.is_map
