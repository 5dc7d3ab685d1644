"""The figures of docs/validation.md: their studies run, and give the numbers that are shown."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
SCRIPTS = {p.stem: p for p in sorted((DOCS / "figures" / "validation").glob("*.py"))}
panels_path = SCRIPTS.pop("panels")
SHOWN = DOCS / "images" / "validation"


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the studies share; its figure needs no display."""
    monkeypatch.setitem(sys.modules, "panels", load("panels", panels_path))
    return sys.modules["panels"]


def shown(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHOWN / f"{name}.json").read_text("utf-8"))
    return found


def text_of(png: Path, key: str) -> str:
    """Text that a PNG holds under a key."""
    data, at = png.read_bytes(), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"tEXt" and body.split(b"\0")[0] == key.encode():
            return body.split(b"\0")[1].decode()
        at += 12 + length
    return ""


@pytest.mark.filterwarnings("ignore::plkit.errors.PlkitWarning")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_short_run_of_a_study_agrees_with_its_figure(name: str, panels: ModuleType) -> None:
    script = load(f"validation_{name}", SCRIPTS[name])
    short = panels.numbers(script.study(True))
    full = shown(name)["panels"]
    assert list(short) == list(full)
    for key, panel in full.items():
        assert short[key]["x"] == panel["x"]
        assert list(short[key]["series"]) == list(panel["series"])
        for series, s in panel["series"].items():
            there, here = np.array(s["y"]), np.array(short[key]["series"][series]["y"])
            sigma = np.hypot(s["stderr"], short[key]["series"][series]["stderr"])
            # what is not drawn at random agrees; numbers near the last digit may differ
            allowed = 4.5 * sigma + 1e-3 * np.abs(there) + 1e-8
            assert np.all(np.abs(here - there) <= allowed), (key, series, here, there, sigma)
    assert panels.draw(short).axes


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_figure_shows_the_numbers_beside_it(name: str, panels: ModuleType) -> None:
    record, png = shown(name), SHOWN / f"{name}.png"
    assert record["id"] == panels.identifier(record["panels"])
    assert text_of(png, "Identifier") == record["id"]
    assert png.stat().st_size <= 60_000
    assert f"images/validation/{name}.png" in (DOCS / "validation.md").read_text("utf-8")


def test_a_figure_is_the_same_bytes_twice(panels: ModuleType, tmp_path: Path) -> None:
    for run in ("a", "b"):
        panels.write(tmp_path / run, "unmixing", shown("unmixing")["panels"])
    for suffix in ("json", "png"):
        first, second = ((tmp_path / run / f"unmixing.{suffix}").read_bytes() for run in ("a", "b"))
        assert first == second
    assert (tmp_path / "a" / "unmixing.json").read_bytes() == (SHOWN / "unmixing.json").read_bytes()


def test_studies_are_short_and_every_figure_has_one() -> None:
    for name, path in SCRIPTS.items():
        assert len(path.read_text("utf-8").splitlines()) <= 80, name
    assert sorted(p.stem for p in SHOWN.glob("*.json")) == sorted(SCRIPTS)
    assert sorted(p.stem for p in SHOWN.glob("*.png")) == sorted(SCRIPTS)
