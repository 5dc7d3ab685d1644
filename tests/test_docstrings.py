"""Docstrings: every public name says its parameters, what it returns and an example that runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpydoc.validate
import pytest

import plkit

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
CHECKS = set(
    tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["numpydoc_validation"]["checks"]
)
ROOMS = [plkit, plkit.spectra, plkit.plot, plkit.models, plkit.sim, plkit.cycling]


def is_method(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)


def public(rooms: list[ModuleType]) -> Iterator[str]:
    """Full names of functions and classes, each followed by its own public methods."""
    for room in rooms:
        for name in room.__all__:
            found = getattr(room, name)
            if inspect.isfunction(found) or inspect.isclass(found):
                yield f"{found.__module__}.{found.__qualname__}"
            if inspect.isclass(found):
                for method, member in vars(found).items():
                    if not method.startswith("_") and is_method(member):
                        yield f"{found.__module__}.{found.__qualname__}.{method}"


NAMES = sorted(set(public(ROOMS)))
OUTERMOST = [n for n in NAMES if n.rpartition(".")[0] not in NAMES]
MODULES = [m.name for m in pkgutil.walk_packages(plkit.__path__, "plkit.")]


def faults(name: str) -> dict[str, str]:
    return dict(numpydoc.validate.validate(name)["errors"])


def test_the_list_of_public_names_is_the_one_that_users_see():
    assert len(OUTERMOST) > 60
    for known in (
        "plkit.io.reading.read",
        "plkit.spectra.cosmic.despike",
        "plkit.sim.laser_film.Film",
    ):
        assert known in OUTERMOST
    assert any(n.endswith("BiexponentialDecayModel") for n in OUTERMOST)
    assert any(n.endswith("plot_kinetics") for n in OUTERMOST)


@pytest.mark.parametrize("name", NAMES)
def test_public_docstring_is_complete(name: str):
    found = {code: text for code, text in faults(name).items() if code in CHECKS}
    assert not found, f"{name}: {found}"


@pytest.mark.parametrize("name", OUTERMOST)
def test_public_name_has_an_example(name: str):
    assert "EX01" not in faults(name), f"{name} has no section Examples"


def test_the_check_finds_a_bad_docstring(monkeypatch):
    def bare(first, second):
        """Does something."""

    bare.__module__ = "plkit.spectra"
    monkeypatch.setattr(plkit.spectra, "bare", bare, raising=False)
    assert {"PR01", "SS05", "EX01"} <= set(faults("plkit.spectra.bare"))


def test_modules_of_the_package_are_found():
    assert {"plkit.io.reading", "plkit.physics.rates", "plkit.study.recipe"} <= set(MODULES)
    assert len(MODULES) > 80


@pytest.mark.parametrize("name", ["plkit", *(m for m in MODULES if m != "plkit.__main__")])
def test_examples_run(name: str, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, verbose=False)
    assert failed == 0, capsys.readouterr().out


def test_most_examples_print_something_that_is_checked():
    finder = doctest.DocTestFinder()
    examples = [
        example
        for name in MODULES
        if name != "plkit.__main__"
        for test in finder.find(importlib.import_module(name))
        for example in test.examples
    ]
    run = [e for e in examples if not e.options.get(doctest.SKIP)]
    assert len(run) > 300
    assert len(run) > 0.85 * len(examples)
    assert sum(bool(e.want) for e in run) > 150
