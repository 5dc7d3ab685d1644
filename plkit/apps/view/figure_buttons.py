"""Buttons that save a figure of :mod:`plkit.plot` as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bokeh.models import Row

from plkit.apps.view.export import MIME, figure_bytes
from plkit.apps.view.parts import div
from plkit.apps.view.viewer import Viewer

__all__ = ["figure_buttons"]


def figure_buttons(
    viewer: Viewer, title: str, name: str, stem: Callable[[], str], make: Callable[[], Any]
) -> Row:
    """Three buttons.

    Parameters
    ----------
    viewer : Viewer
        Of the page.
    title : str
        Before the buttons; empty for none.
    name : str
        Start of the names of the buttons: ``name_png``, ``name_svg``, ``name_pdf``.
    stem : callable
        Gives the name of the file without its suffix.
    make : callable
        Gives the figure as it is now.

    Returns
    -------
    bokeh.models.Row
        Title and buttons.
    """

    def save(suffix: str) -> None:
        viewer.download(f"{stem()}.{suffix}", figure_bytes(make(), suffix), MIME[suffix])

    head = [div(title, width=66, margin=(10, 5, 0, 5))] if title else []
    return Row(
        *head,
        *(
            viewer.button(kind.upper(), partial(save, kind), width=56, name=f"{name}_{kind}")
            for kind in MIME
        ),
    )
