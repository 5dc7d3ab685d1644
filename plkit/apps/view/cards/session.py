"""The session: save what is on the screen, open it again."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from bokeh.models import FileInput, Row

from plkit.apps.view.parts import div, dress, panel
from plkit.apps.view.session import read_session, session_text
from plkit.apps.view.state import ViewState

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["SessionCard"]


class SessionCard:
    """The card of the session.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.file = FileInput(accept=".json", title="Open a session", width=300, name="session")
        dress(self.file)
        self.file.on_change("value", self.viewer.changes(self._open))
        save = self.viewer.button("Save session", self._save, width=120, name="save_session")
        note = (
            "<small class='faint'>Everything on the screen as a small file; plkit view --session "
            "opens it, too.</small>"
        )
        self.root = panel("Session", Row(save), self.file, div(note, width=400), width=470)

    def _save(self) -> None:
        text = session_text(self.viewer.work, self.state)
        name = f"{self.tab.cards.take_away.stem}.plkit-view.json"
        self.viewer.download(name, text.encode(), "application/json")

    def _open(self, _attr: str, _old: Any, new: str) -> None:
        if not new:
            return
        found = read_session(base64.b64decode(new).decode("utf-8", "replace"))
        state = ViewState()
        state.update_from(found)
        # The page is made anew from the address: every tab then shows what the session holds.
        self.viewer.go_to(state)
