"""Lifetimes from decay traces: what light does within nanoseconds of a pulse."""

from __future__ import annotations

from plkit.lifetimes.curve import expected_decay
from plkit.lifetimes.fitting import fit_lifetimes

__all__ = ["expected_decay", "fit_lifetimes"]
