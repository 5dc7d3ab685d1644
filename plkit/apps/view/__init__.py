"""The viewer: layers of a file → a state that knows no browser → figures that are patched in place."""

from __future__ import annotations

from plkit.apps.view.layers import Layer, open_layers
from plkit.apps.view.state import ViewState

__all__ = ["Layer", "ViewState", "open_layers"]
