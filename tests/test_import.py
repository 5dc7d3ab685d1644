"""`import plkit` is light, and every public name is really there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import plkit

HEAVY = ("holoviews", "panel", "bokeh", "matplotlib", "dask", "lmfit", "numba")


def test_import_pulls_in_nothing_heavy() -> None:
    code = f"import sys, plkit; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(plkit._PUBLIC))
def test_public_name_exists(name: str) -> None:
    value = getattr(plkit, name)
    module = importlib.import_module(plkit._PUBLIC[name])
    assert value is module or value is getattr(module, name)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unmixx'"):
        plkit.unmixx  # noqa: B018


def test_the_two_lists_of_public_names_agree() -> None:
    assert sorted(plkit.__all__) == sorted({"__version__", *plkit._PUBLIC})
