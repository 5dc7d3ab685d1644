"""Who waits for a compilation is told so, once, and only where somebody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba as nb
import pytest
from numba.core import event

from plkit.physics.compiling import _Announcer


def _function(module: str) -> Any:
    def add_one(x: float) -> float:
        return x + 1.0

    add_one.__module__ = module
    return nb.njit(add_one)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    _function("plkit.physics.first")(1.0)  # what this process had to say is said

    def run(seen: bool, *modules: str) -> None:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: seen, raising=False)
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
        with event.install_listener("numba:compile", _Announcer()):
            for module in modules:
                assert _function(module)(1.0) == 2.0

    return run


def test_said_once_at_a_terminal(compiled: Any, capsys: pytest.CaptureFixture[str]) -> None:
    compiled(True, "plkit.physics.a", "plkit.physics.b")
    assert capsys.readouterr().err.count("plkit compiles its loops") == 1


def test_not_said_into_a_file_nor_for_loops_of_others(
    compiled: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled(False, "plkit.physics.a")
    compiled(True, "hyperspy.a")
    assert capsys.readouterr().err == ""
