"""A session as a small file: everything that is on the screen, to go on later or elsewhere."""

from __future__ import annotations

import json
from typing import Any, Final

import plkit
from plkit.apps.view.state import ViewState
from plkit.apps.view.workspace import Workspace
from plkit.errors import DataError

__all__ = ["read_session", "session_text"]

_MARK: Final = "plkit_view"
_VERSION: Final = 1
_LARGEST: Final = 2**24


def session_text(work: Workspace, state: ViewState) -> str:
    """Session as JSON.

    Parameters
    ----------
    work : Workspace
        Of the view.
    state : ViewState
        What is on the screen.

    Returns
    -------
    str
        The files, the state, and the Python of the whole-map fits.

    Examples
    --------
    >>> text = session_text(Workspace((), "map.nc"), ViewState(row=3))
    >>> read_session(text)
    {'row': 3}
    """
    fits = {key: code for (layer, key), code in work.fit_code.items() if layer == state.layer}
    content = {
        _MARK: _VERSION,
        "plkit": plkit.__version__,
        "files": [work.path, *work.others],
        "state": state.as_dict(),
        "fits": fits,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_session(text: str) -> dict[str, Any]:
    """State that a session holds.

    Parameters
    ----------
    text : str
        From :func:`session_text`.

    Returns
    -------
    dict
        For :meth:`plkit.apps.view.state.ViewState.update_from`.

    Raises
    ------
    DataError
        If the text is no session of this page.
    """
    found: Any = None
    if len(text) <= _LARGEST:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
    if not isinstance(found, dict) or found.get(_MARK) != _VERSION:
        raise DataError(
            "open the session", "the file holds no session of plkit view",
            "Take one that was saved on the page.",
        )  # fmt: skip
    state = found.get("state")
    if not isinstance(state, dict):
        raise DataError("open the session", "it holds no state")
    try:
        ViewState().update_from(state)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            "open the session", f"its state is not one of this page ({error})"
        ) from error
    return state
