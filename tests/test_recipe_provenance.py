"""The record of a study: same inputs, same record; another byte, another id."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from plkit.study.provenance import file_sha256, provenance, provenance_id, provenance_json
from plkit.study.recipe import load_recipe, write_template


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    path = write_template(tmp_path / "study")
    (path.parent / "references").mkdir()
    for name in ("x1.0.nc", "references/x1.0.nc", "references/x0.0.nc"):
        (path.parent / name).write_bytes(name.encode())
    return path


def test_the_record_names_every_input_with_its_hash_and_the_recipe(recipe_path):
    record = provenance(load_recipe(recipe_path))
    assert [i["name"] for i in record["inputs"]] == [
        "x1.0.nc", "references/x1.0.nc", "references/x0.0.nc",
    ]  # fmt: skip
    assert record["inputs"][0]["sha256"] == hashlib.sha256(b"x1.0.nc").hexdigest()
    assert record["inputs"][0]["bytes"] == 7
    assert record["inputs"][0]["role"] == "samples.x1.0.exposure"
    assert record["recipe_text"] == recipe_path.read_text("utf-8")
    assert record["seed"] == 20250101
    assert record["libraries"]["numpy"][0].isdigit()
    assert json.loads(provenance_json(record)) == record


def test_no_path_of_this_machine_is_in_the_record(recipe_path):
    assert str(recipe_path.parent) not in provenance_json(provenance(load_recipe(recipe_path)))


def test_one_other_byte_gives_another_id(recipe_path):
    before = provenance_id(provenance(load_recipe(recipe_path)))
    assert provenance_id(provenance(load_recipe(recipe_path))) == before
    (recipe_path.parent / "x1.0.nc").write_bytes(b"x1.0.nd")
    assert provenance_id(provenance(load_recipe(recipe_path))) != before


def test_another_seed_gives_another_id(recipe_path):
    recipe = load_recipe(recipe_path)
    assert provenance_id(provenance(recipe)) != provenance_id(provenance(recipe, seed=1))


def test_a_folder_is_hashed_by_names_and_contents(tmp_path):
    a, b = tmp_path / "a.zarr", tmp_path / "b.zarr"
    for folder in (a, b):
        (folder / "c").mkdir(parents=True)
        (folder / "c" / "0").write_bytes(b"1")
    assert file_sha256(a) == file_sha256(b)
    (b / "c" / "0").rename(b / "c" / "1")
    assert file_sha256(a) != file_sha256(b)
