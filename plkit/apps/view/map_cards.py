"""The cards below the figures, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bokeh.models import Column

from plkit.apps.view.cards.compare import CompareCard
from plkit.apps.view.cards.entries import EntriesCard
from plkit.apps.view.cards.fits import FitsCard
from plkit.apps.view.cards.metadata import MetadataCard
from plkit.apps.view.cards.scatter import ScatterCard
from plkit.apps.view.cards.session import SessionCard
from plkit.apps.view.cards.take_away import TakeAwayCard
from plkit.apps.view.parts import wrapped

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
        self.tab = tab
        self.entries = EntriesCard(tab)
        self.fits = FitsCard(tab)
        self.compare = CompareCard(tab)
        self.scatter = ScatterCard(tab)
        self.take_away = TakeAwayCard(tab)
        self.session = SessionCard(tab)
        self.metadata = MetadataCard(tab)
        self.root = wrapped(
            self.entries.root, Column(self.fits.root, self.compare.root), self.take_away.root,
            self.scatter.root, Column(self.session.root, self.metadata.root),
        )  # fmt: skip

    def set_layer(self) -> None:
        """Another layer: which cards make sense."""
        self.compare.set_layer()
        self.entries.set_layer()
        self.scatter.set_layer()
        self.metadata.update()
        self.entries.update()

    def after_image(self) -> None:
        """The image was drawn: means of regions follow."""
        if self.tab.state.pins or self.tab.state.regions:
            self.entries.update()

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        self.scatter.paint(dark)
