"""Make the page of a session: its state from the address, its tabs, and a sentence where that fails."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from typing import Any, Final

from plkit.apps.view.composition_tab import composition_tab
from plkit.apps.view.history_tab import history_tab
from plkit.apps.view.kinetics_tab import kinetics_tab
from plkit.apps.view.law_tabs import arrhenius_tab, diffusion_tab
from plkit.apps.view.map_tab import map_tab
from plkit.apps.view.parts import div
from plkit.apps.view.simulate_tab import simulate_tab
from plkit.apps.view.state import ViewState
from plkit.apps.view.theme import HEAD, new_sheet, use
from plkit.apps.view.viewer import Viewer
from plkit.apps.view.workspace import Workspace
from plkit.errors import PlkitError

__all__ = ["TABS", "make_page"]

_LOG = logging.getLogger(__name__)

_NOT_NEEDED: Final = ("bokeh-mathjax", "bokeh-gl")
"""Parts of BokehJS that no page uses: half of what a browser would have to read."""

_TEMPLATE: Final = (
    "{% block preamble %}" + HEAD + "{% endblock %}"
    "{% block js_resources %}{% for line in bokeh_js.splitlines() "
    f"if not ({' or '.join(f'{name!r} in line' for name in _NOT_NEEDED)}) %}}"
    "{{ line }}\n{% endfor %}{% endblock %}"
)

TABS: Final[list[tuple[str, Callable[[Viewer], Any]]]] = [
    ("Map", map_tab),
    ("Kinetics", kinetics_tab),
    ("Arrhenius", arrhenius_tab),
    ("Diffusion", diffusion_tab),
    ("Composition", composition_tab),
    ("Simulate", simulate_tab),
    ("History", history_tab),
]
"""Title and builder of every tab; a builder is called when the tab is first opened."""


def make_page(document: Any, work: Workspace) -> None:
    """Fill a document: the page, or why there is none.

    Parameters
    ----------
    document : bokeh.document.Document
        Of a session.
    work : Workspace
        Layers and what was computed from them.
    """
    document.template = _TEMPLATE
    use(new_sheet())
    try:
        state, notice = _state_of(document, work)
        viewer = Viewer(document, work, state)
        viewer.build(TABS)
        said = " · ".join(filter(None, (notice, viewer.notice, *work.notes)))
        if said:
            viewer.say(said, warn=True)
    except Exception as error:
        _LOG.exception("page")
        document.clear()
        use(new_sheet())
        text = str(error) if isinstance(error, PlkitError) else repr(error)
        document.add_root(div(f"<h3>The page could not be made</h3><p>{html.escape(text)}</p>"))


def _state_of(document: Any, work: Workspace) -> tuple[ViewState, str]:
    """State from the address, else of the session file; a fresh one, with a notice, where it is not ours."""
    context = document.session_context
    found = (context.request.arguments if context and context.request else {}).get("s", [])
    if not found:
        state = ViewState()
        state.update_from(work.start)
        return state, ""
    try:
        return ViewState.decoded(found[0].decode()), ""
    except PlkitError as error:
        return ViewState(), str(error)
