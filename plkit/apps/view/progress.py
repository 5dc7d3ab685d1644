"""A button that starts work, one that cancels it, and how far it is."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from bokeh.models import Column, Row

from plkit.apps.view.parts import div
from plkit.apps.view.tasks import Task
from plkit.apps.view.viewer import Viewer

__all__ = ["Progress"]


class Progress:
    """Start, cancel, how far.

    Parameters
    ----------
    viewer : Viewer
        Of the page.
    label : str
        Of the button that starts.
    start : callable
        Called by that button; it hands a task to :meth:`run`.
    finish : callable
        ``finish(task)`` is called when a task came to its end with a result.
    names : tuple of str, optional
        Of the two buttons and of the text, in the document.
    width : int, optional
        Of the text, in pixels.
    """

    def __init__(
        self,
        viewer: Viewer,
        label: str,
        start: Callable[[], None],
        finish: Callable[[Any], None],
        *,
        names: tuple[str, str, str] = ("run", "cancel", "progress"),
        width: int = 330,
    ) -> None:
        self.viewer, self.finish = viewer, finish
        self.task: Task | None = None
        self.title, self.missing = "", ""
        self.go = viewer.button(
            label, start, width=max(60, 8 * len(label) + 16), button_type="primary", name=names[0]
        )
        self.cancel = viewer.button("Cancel", self._cancel, width=80, disabled=True, name=names[1])
        self.text = div("", width=width, name=names[2])
        self.root = Column(Row(self.go, self.cancel), self.text)
        viewer.on_close.append(lambda: self.task.cancel() if self.task else None)

    @property
    def running(self) -> bool:
        """True while a task is at work."""
        return self.task is not None and self.task.running

    def lack(self, missing: str) -> None:
        """Say what is missing; the button is dead where something is."""
        if self.running:
            return
        if missing != self.missing or missing:
            self.text.text = f"<small class='faint'>{html.escape(missing)}</small>"
        self.missing = missing
        self.go.disabled = bool(missing)

    def run(self, task: Task, title: str) -> None:
        """Start a task; one that is at work is cancelled."""
        if self.task is not None:
            self.task.cancel()
        self.task, self.title = task, title
        task.on_change = lambda t: self.viewer.later(lambda: self._follow(t))
        self.go.disabled, self.cancel.disabled = True, False
        self.text.text = _bar(0.0, f"{title}: starting")
        task.start()

    def _cancel(self) -> None:
        if self.task is not None and self.running:
            self.task.cancel()
            self.cancel.disabled = True
            self.text.text = "stopping …"

    def _follow(self, task: Task) -> None:
        if task is not self.task:
            return
        if not task.finished:
            # A step in progress comes to its end first.
            if not task.cancelled:
                self.text.text = _bar(task.share, f"{self.title}: {100 * task.share:.0f} %")
            return
        self.cancel.disabled, self.go.disabled = True, bool(self.missing)
        if task.error:
            self.text.text = f"<span class='warn'>{html.escape(task.error)}</span>"
        elif task.result is None:
            self.text.text = f"cancelled after {100 * task.share:.0f} %"
        else:
            notes = f" · {'; '.join(task.notes)}" if task.notes else ""
            self.text.text = f"{html.escape(self.title)}: done{html.escape(notes)}"
            self.finish(task)


def _bar(share: float, text: str) -> str:
    return (
        f"<progress max='1' value='{share:.3f}' style='width:300px'></progress><br>"
        f"<small>{html.escape(text)}</small>"
    )
