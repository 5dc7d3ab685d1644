"""Simulations of the page. A new one is one small module with ``TITLE`` and ``build(viewer)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from plkit.apps.view.simulations import carriers, cycling, heating, hopping

__all__ = ["SIMULATIONS"]

SIMULATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    module.TITLE: module.build for module in (heating, carriers, cycling, hopping)
}
"""Title → builder of its layout; the first one is open."""
