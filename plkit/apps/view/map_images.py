"""The image of the Map tab, and a second one beside it: another frame, another file, or the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plkit import names
from plkit.apps.view import values
from plkit.apps.view.layers import Layer
from plkit.apps.view.picture import Picture
from plkit.errors import DataError
from plkit.plot.style import pretty_unit

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["MapImages"]

_DIFFERENCE = "difference"


class MapImages:
    """Two pictures on one colour scale, with linked zoom.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state, self.work = tab, tab.viewer, tab.state, tab.viewer.work
        self.first = Picture()
        self.second = Picture(linked=self.first, name="second")
        self.second.figure.visible = False
        self.pictures = (self.first, self.second)
        self.image: NDArray[np.float64] = np.zeros((0, 0))
        self.levels = (0.0, 1.0)
        self._levels_of: Any = None

    # What is compared ---------------------------------------------------------------------------
    @property
    def others(self) -> list[Layer]:
        """Layers whose frames can stand beside the image."""
        return self.work.beside(self.tab.layer)

    @property
    def compared(self) -> tuple[Layer, dict[str, int]] | None:
        """Layer and frame of the second image; None where there is none."""
        return self.work.compared(self.tab.layer, self.state)

    @property
    def lazy(self) -> bool:
        """Whether what is shown has to be read first."""
        return self.tab.layer.lazy or (self.compared is not None and self.compared[0].lazy)

    def second_image(self) -> NDArray[np.float64] | None:
        """Values of the second image."""
        if self.compared is None:
            return None
        layer, at = self.compared
        quantity = self.state.quantity
        if quantity not in self.work.quantities(layer):
            raise DataError(
                "show the second image", f"'{layer.name}' has no '{quantity.rpartition('/')[0] or quantity}'",
                "Choose that layer and fit all pixels there, too.",
            )  # fmt: skip
        return self.work.plane(layer, self.state, at=at)

    # Drawing ------------------------------------------------------------------------------------
    def set_layer(self) -> None:
        """Take over another layer."""
        if self.tab.layer.plane:
            self.first.set_layer(self.tab.layer)
            self.second.set_layer(self.tab.layer)

    def draw(self) -> None:
        """Draw the image, and the second one where two are compared."""
        layer, state = self.tab.layer, self.state
        if not layer.plane:
            return
        other = self.compared
        if self.lazy:
            self.viewer.say("reading …")

        def compute() -> tuple[Any, ...]:
            image = self.work.plane(layer, state)
            return image, self.second_image(), self._scale(image)

        def apply(found: tuple[Any, ...]) -> None:
            self.image, second, self.levels = found
            label = values.label_of(layer, state.quantity, self.tab.maps)
            self.first.show(
                self.image, self.levels, log=state.log, palette=state.palette, label=label,
                title=self._title(layer, state.at, other),
            )  # fmt: skip
            self._show_second(second, other, label)
            self.tab.cards.after_image()
            failed = int((~np.isfinite(self.image)).sum())
            text = f"{failed} of {self.image.size} pixels have no result" if failed else ""
            self.viewer.say(text)

        self.viewer.ask("image", compute, apply, here=not self.lazy)

    def _show_second(
        self,
        image: NDArray[np.float64] | None,
        other: tuple[Layer, dict[str, int]] | None,
        label: str,
    ) -> None:
        if image is None or other is None:
            self.second.figure.visible = False
            return
        layer, at = other
        title, state = self._title(layer, at, other), self.state
        self.second.set_layer(layer)
        if state.difference:
            difference = self.difference(image)
            largest = max(map(abs, values.levels_of(difference, state.percentile, False)))
            self.second.show(
                difference, (-largest, largest), log=False, palette=_DIFFERENCE,
                label=f"Difference of: {label}", title=f"{title} − first",
            )  # fmt: skip
        else:
            self.second.show(
                image, self.levels, log=state.log, palette=state.palette, label=label, title=title
            )
        self.second.figure.visible = True
        self.draw_marks()

    def difference(self, second: NDArray[np.float64]) -> NDArray[np.float64]:
        """Second image minus first.

        Raises
        ------
        DataError
            If they do not have the same pixels.
        """
        if second.shape != self.image.shape:
            found, wanted = ("×".join(map(str, i.shape)) for i in (second, self.image))
            raise DataError(
                "show the difference", f"the second map has {found} pixels, not {wanted}"
            )
        return second - self.image

    def _scale(self, image: NDArray[np.float64]) -> tuple[float, float]:
        """Ends of the colour scale: stated ones, of the first and last frame, or of this one."""
        state, layer = self.state, self.tab.layer
        if state.clim is not None:
            return values.levels_of(image, 0.0, state.log, state.clim)
        if state.fixed and layer.outer:
            played = layer.outer[0]
            others = tuple((d, i) for d, i in state.at.items() if d != played)
            key = (
                layer.name, state.quantity, state.band, state.slice_at, state.percentile, state.log,
                others, len(self.tab.maps),
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

    def _title(
        self, layer: Layer, at: dict[str, int], other: tuple[Layer, dict[str, int]] | None
    ) -> str:
        """Which frame it is; of which file, where two are compared."""
        title = self._frame_title(layer, at)
        if other is None or other[0].name == self.tab.layer.name:
            return title
        return f"{layer.name}: {title}" if title else layer.name

    def _frame_title(self, layer: Layer, at: dict[str, int]) -> str:
        """Which frame it is, in units."""
        parts = []
        for dim, i in values.index_at(layer, at).items():
            symbol = (names.symbol(dim) or dim) if dim in names.TABLE else dim
            unit = str(layer.ds[dim].attrs.get("units", "1")) if dim in layer.ds.coords else "1"
            parts.append(f"{symbol} = {layer.axis(dim)[i]:.4g} {pretty_unit(unit)}".strip())
        return ", ".join(parts)

    def draw_cursor(self) -> None:
        """The averaging box, at the same place in both."""
        if self.tab.layer.plane:
            self.first.draw_cursor(self.state.row, self.state.col, self.state.half)
            other = self.second.layer
            if self.second.figure.visible and other is not None:
                self.second.draw_cursor(*self.place_in(other), self.state.half)

    def place_in(self, other: Layer) -> tuple[int, int]:
        """Row and column of another layer at the place of the cursor."""
        row, col = (
            int(np.abs(other.axis(d) - self.tab.layer.axis(d)[min(i, n - 1)]).argmin())
            for d, i, n in zip(
                self.tab.layer.plane, (self.state.row, self.state.col),
                (self.tab.layer.ds.sizes[d] for d in self.tab.layer.plane), strict=True,
            )
        )  # fmt: skip
        return row, col

    def draw_entries(self) -> None:
        """Outline and name pins and regions."""
        if self.tab.layer.plane:
            self.first.draw_entries(self.state.pins, self.state.regions)
            if self.second.figure.visible and self.second.rows.size == self.first.rows.size:
                self.second.draw_entries(self.state.pins, self.state.regions)

    def draw_marks(self) -> None:
        """Cursor, pins and regions."""
        self.draw_cursor()
        self.draw_entries()

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        for picture in self.pictures:
            picture.paint(dark)
