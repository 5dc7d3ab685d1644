"""One line for whoever waits while numba compiles the loops, which happens once on a machine."""

from __future__ import annotations

import sys
from functools import cache

from numba.core import event

__all__ = ["announce_compilation"]

_TEXT = "plkit compiles its loops, once on this machine: it may take a minute …"


class _Announcer(event.Listener):
    """Say it before the first compilation, to somebody who looks: never into a file."""

    said = False

    def on_start(self, event: event.Event) -> None:
        function = event.data["dispatcher"].py_func
        if self.said or not str(function.__module__).startswith("plkit."):
            return
        self.said = True
        if sys.stderr.isatty() or "ipykernel" in sys.modules:
            print(_TEXT, file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        pass


@cache
def announce_compilation() -> None:
    """Say once in this process when a loop of plkit is compiled; called where loops are defined.

    Examples
    --------
    >>> announce_compilation()
    """
    event.register("numba:compile", _Announcer())  # type: ignore[no-untyped-call]
