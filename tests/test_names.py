"""The nomenclature is one table, and nobody spells a unit or a dimension a second time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import plkit
from plkit import names

PACKAGE = Path(plkit.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "names.py")
# Dims whose name is a word that code would not use for anything else.
GUARDED_DIMS = {"wavelength", "energy", "time", "delay", "component", "raman_shift", "energy_loss"}


def _docstrings(tree: ast.AST) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            found |= {
                id(s.value)
                for s in body
                if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)
            }
    return found


def _violations(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    skip = _docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in GUARDED_DIMS and id(node) not in skip:
            yield f"line {node.lineno}: dimension {node.value!r} spelled out"
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if (
                    isinstance(key, ast.Constant)
                    and key.value == "units"
                    and isinstance(value, ast.Constant)
                ):
                    yield f"line {node.lineno}: unit {value.value!r} spelled out"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_spells_a_dimension_or_a_unit(path: Path) -> None:
    assert list(_violations(path.read_text("utf-8"))) == []


def test_the_scan_for_spelled_units_finds_one() -> None:
    assert list(_violations('da.attrs = {"units": "nm"}')) == ["line 1: unit 'nm' spelled out"]
    assert list(_violations('ds["time"]')) == ["line 1: dimension 'time' spelled out"]
    assert list(_violations('"""time"""')) == []


@pytest.mark.parametrize("name", sorted(names.TABLE))
def test_every_name_is_complete(name: str) -> None:
    q = names.TABLE[name]
    assert q.name == name
    assert q.unit
    assert q.long_name
    assert names.attrs(f"{name}_stderr")["units"] == q.unit


def test_units_of_one_kind_convert_and_others_do_not() -> None:
    assert names.conversion_factor("us", "s") == 1e-6
    assert names.conversion_factor("µm", "nm") == 1e3
    assert names.conversion_factor("mW", "uW") == 1e3
    assert names.conversion_factor("min", "s") == 60
    assert names.conversion_factor("eV", "nm") is None
    assert names.conversion_factor("furlong", "nm") is None


def test_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="'lambda' is not in"):
        names.unit("lambda")
