"""Simulations: a list of small modules, each with a form and figures of its own."""

from __future__ import annotations

from typing import Any

from bokeh.models import Column, Select

from plkit.apps.view.parts import dress
from plkit.apps.view.simulations import SIMULATIONS
from plkit.apps.view.viewer import Viewer

__all__ = ["simulate_tab"]


def simulate_tab(viewer: Viewer) -> Any:
    """Build the tab; a simulation is built when it is first chosen."""
    built: dict[str, Any] = {}
    holder = Column(sizing_mode="stretch_width")
    kept = viewer.state.simulation
    start = kept if kept in SIMULATIONS else next(iter(SIMULATIONS))
    choice = Select(
        title="Simulation", options=list(SIMULATIONS), value=start, width=280,
        name="simulation", visible=len(SIMULATIONS) > 1,
    )  # fmt: skip
    dress(choice)

    def show(title: str) -> None:
        if title not in built:
            built[title] = SIMULATIONS[title](viewer)
        holder.children = [built[title]]
        viewer.state.simulation = title

    choice.on_change("value", viewer.changes(lambda _a, _o, new: show(new)))
    show(choice.value)
    return Column(choice, holder, sizing_mode="stretch_width")
