"""Work that takes long enough to be watched: it tells how far it is, and stops when it is told to."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from plkit.errors import PlkitWarning

__all__ = ["Cancelled", "Task"]


class Cancelled(Exception):  # noqa: N818  not a fault
    """The task was told to stop."""


@dataclass
class Task:
    """Work in a thread of its own.

    Parameters
    ----------
    compute : callable
        ``compute(task)`` gives the result; it calls :meth:`step` now and then, which is where it can
        be stopped.
    on_change : callable
        Called from the thread after every step and at the end.

    Examples
    --------
    >>> def count(task):
    ...     for i in range(3):
    ...         task.step(i + 1, 3)
    ...     return i
    >>> task = Task(count)
    >>> task.run()
    >>> task.result, task.share
    (2, 1.0)
    """

    compute: Callable[[Task], Any]
    on_change: Callable[[Any], None] = lambda _: None
    done: float = 0
    total: float = 1
    result: Any = None
    error: str = ""
    finished: bool = False
    notes: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def cancelled(self) -> bool:
        """True once the task was told to stop."""
        return self._stop.is_set()

    @property
    def running(self) -> bool:
        """True while the thread is at work."""
        return self._thread is not None and self._thread.is_alive() and not self.finished

    @property
    def share(self) -> float:
        """How far it is, from 0 to 1."""
        return self.done / self.total

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Stop at the next step; nothing of the work is kept."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def step(self, done: float, total: float) -> None:
        """Say how far the work is.

        Raises
        ------
        Cancelled
            If it was told to stop.
        """
        self.done, self.total = done, total
        self.on_change(self)
        if self.cancelled:
            raise Cancelled

    def run(self) -> None:
        """Do the work; errors are kept as text."""
        try:
            if not self.cancelled:
                self.result = self.compute(self)
        except Cancelled:
            pass
        except Exception as error:
            self.error = str(error) or type(error).__name__
        self.finished = True
        self.on_change(self)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Keep what plkit warns of as notes, each once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PlkitWarning)
            yield
        for w in caught:
            text = str(w.message)
            if issubclass(w.category, PlkitWarning) and text not in self.notes:
                self.notes.append(text)
