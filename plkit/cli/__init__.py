"""The command ``plkit``: every step of the library without writing Python."""

from __future__ import annotations

from plkit.cli.main import main

__all__ = ["main"]
