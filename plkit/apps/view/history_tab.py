"""History: what was done to the file, what was done on the page, and where results came from."""

from __future__ import annotations

import html
from typing import Any

from plkit.apps.view.parts import div, panel, table, wrapped
from plkit.apps.view.results import results_of
from plkit.apps.view.viewer import Viewer
from plkit.errors import DataError

__all__ = ["history_tab"]


def history_tab(viewer: Viewer) -> Any:
    """Build the tab."""
    page = div("", width=640)
    session = div("", width=640, name="session_history")

    def file() -> None:
        page.text = _lines(str(viewer.layer.ds.attrs.get("history", "")))

    def steps() -> None:
        done = "".join(
            f"<li><pre style='white-space:pre-wrap'>{html.escape(s)}</pre></li>"
            for s in viewer.steps
        )
        session.text = f"<ol>{done}</ol>" if done else "<p>Nothing yet.</p>"

    viewer.on_step.append(steps)
    viewer.state.param.watch(lambda *_: file(), "layer")
    file()
    steps()
    cards = [panel("The file", page, width=670), panel("This session", session, width=670)]
    if viewer.work.notes:
        items = "".join(f"<li>{html.escape(n)}</li>" for n in viewer.work.notes)
        cards.append(panel("Noted on opening", div(f"<ul>{items}</ul>", width=640), width=670))
    try:
        results = results_of(viewer.work, "the provenance")
    except DataError:
        pass
    else:
        record = results.record
        rows = [
            (i["role"], i["name"], f"{i['bytes'] / 1024:.0f} kB", i["sha256"][:12])
            for i in record["inputs"]
        ]
        parts = {"plkit": record["plkit"], "Python": record["python"], **record["libraries"]}
        versions = ", ".join(f"{k} {v}" for k, v in parts.items())
        cards.append(
            panel(
                "Provenance of the results",
                div(f"<p>{html.escape(versions)}</p>", width=640),
                div(table(rows, ("role", "file", "size", "sha256")), width=640),
                width=670,
            )
        )
        recipe = html.escape(record["recipe_text"])
        text = f"<pre style='white-space:pre-wrap'>{recipe}</pre>"
        cards.append(panel("Recipe", div(text, width=640), width=670))
        warnings = results.summary.get("warnings") or []
        if warnings:
            items = "".join(f"<li>{html.escape(w)}</li>" for w in warnings)
            cards.append(
                panel("Warnings of the run", div(f"<ul>{items}</ul>", width=640), width=670)
            )
    return wrapped(*cards)


def _lines(history: str) -> str:
    if not history:
        return "<p>The file says nothing about its history.</p>"
    items = "".join(
        f"<li><code style='overflow-wrap:anywhere'>{html.escape(line)}</code></li>"
        for line in history.splitlines()
    )
    return f"<ol>{items}</ol>"
