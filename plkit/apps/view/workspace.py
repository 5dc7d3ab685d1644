"""What all views of one server share: the layers, whole-map fits, and planes that were drawn before."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.apps.view.layers import Layer
from plkit.apps.view.state import ViewState
from plkit.apps.view.values import band_of, index_at, plane_of

__all__ = ["Workspace"]

_PLANES_BYTES: Final = 2**28


@dataclass
class Workspace:
    """Layers with what was computed from them.

    Parameters
    ----------
    layers : tuple of Layer
        From :func:`plkit.apps.view.open_layers`.
    path : str
        The file, for the title and for the code that is copied.
    others : tuple of str, optional
        Files that were opened beside it.
    start : dict, optional
        State with which a page opens whose address states none: that of a session file.
    notes : list of str, optional
        What was to be noted when the files were opened.
    """

    layers: tuple[Layer, ...]
    path: str
    others: tuple[str, ...] = ()
    start: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fits: dict[str, dict[str, xr.Dataset]] = field(default_factory=dict)
    fit_code: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _planes: OrderedDict[Any, NDArray[np.float64]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def title(self) -> str:
        """Names of the files."""
        return ", ".join(Path(p).name for p in (self.path, *self.others))

    def layer(self, name: str) -> Layer:
        """Layer of a name; the first one where there is none of it."""
        return next((a for a in self.layers if a.name == name), self.layers[0])

    def maps(self, layer: Layer) -> dict[str, xr.Dataset]:
        """Whole-map fits of a layer, by key."""
        return self.fits.setdefault(layer.name, {})

    def keep(self, layer: Layer, key: str, result: xr.Dataset, code: list[str]) -> None:
        """Add a whole-map fit."""
        self.maps(layer)[key] = result
        self.fit_code[layer.name, key] = code
        with self._lock:
            self._planes.clear()

    def quantities(self, layer: Layer) -> list[str]:
        """Everything that can be drawn over the plane of a layer."""
        from plkit.apps.view.layers import maps_of

        found = list(layer.quantities)
        for key, ds in self.maps(layer).items():
            found += [f"{key}/{q}" for q in maps_of(ds, layer.plane, layer.outer)]
        return found

    def beside(self, layer: Layer) -> list[Layer]:
        """Layers whose frames can stand beside a map: its own, where it has several, first."""
        if not layer.is_map:
            return []
        rest = [a for a in self.layers if a.name != layer.name and a.is_map]
        return [*([layer] if layer.outer else []), *rest]

    def compared(self, layer: Layer, state: ViewState) -> tuple[Layer, dict[str, int]] | None:
        """Layer and frame of the second image; None where there is none."""
        others = self.beside(layer)
        if state.compare is None or not others:
            return None
        other = next((a for a in others if a.name == state.compare_layer), others[0])
        at = {d: i for d, i in state.at.items() if d in other.outer}
        if other.outer:
            at[other.outer[0]] = state.compare
        return other, index_at(other, at)

    def plane(
        self,
        layer: Layer,
        state: ViewState,
        *,
        at: Mapping[str, int] | None = None,
        quantity: str = "",
    ) -> NDArray[np.float64]:
        """Image of the state's quantity, from memory where it was drawn before."""
        quantity = quantity or state.quantity
        index = index_at(layer, state.at if at is None else at)
        where: Any = ()
        if quantity == "band":
            band = band_of(layer, state.band)
            where = (band.start, band.stop)
        elif quantity == "slice":
            where = state.slice_at
        key = (layer.name, quantity, tuple(index.items()), where)

        def read() -> NDArray[np.float64]:
            return plane_of(
                layer, quantity, index, band=state.band, slice_at=state.slice_at,
                maps=self.maps(layer),
            )  # fmt: skip

        return self._remembered(key, read)

    def _remembered(self, key: Any, read: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        with self._lock:
            if key in self._planes:
                self._planes.move_to_end(key)
                return self._planes[key]
        image = read()
        with self._lock:
            self._planes[key] = image
            while (
                len(self._planes) > 1
                and sum(p.nbytes for p in self._planes.values()) > _PLANES_BYTES
            ):
                self._planes.popitem(last=False)
        return image
