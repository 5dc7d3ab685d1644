"""One HTML file that can be mailed: the map with everything that a click shows, and nothing else."""

from __future__ import annotations

from plkit.apps.mailable.export import export_html

__all__ = ["export_html"]
