"""Sizes, axes and attributes of what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.models import Toggle

from plkit.apps.view.parts import div, dress, panel, table
from plkit.apps.view.picture import axis_label

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MetadataCard"]


class MetadataCard:
    """The card of the metadata.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.root = self._build()

    def _build(self) -> Any:
        self.about = div("", width=430)
        self.about_on = Toggle(label="Show", width=70, name="metadata")
        dress(self.about_on)
        self.about_on.on_change("active", self.viewer.changes(lambda *_: self.update()))
        return panel("Metadata", self.about_on, self.about, width=470)

    def update(self) -> None:
        """Fill the card, where it is open."""
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
