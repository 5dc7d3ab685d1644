"""The table of published numbers: every row that this version promises has a value and a verdict."""

from __future__ import annotations

import json
import math

import pytest

import plkit
from plkit.cli import main
from plkit.errors import DataError

PROMISED = [
    *(f"H{i}" for i in (1, 2, 3, 4, 5, 6, 7, 8, *range(10, 24))), "H3a", "H40", "H41", "H42", "H43", *(f"P{i}" for i in range(1, 11)),
]  # fmt: skip
KEYS = {"id", "quantity", "published", "value", "stderr", "unit", "verdict", "reason"}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["reproduce", "--json"]) == 0
    return json.loads(out.getvalue())["rows"]


def test_rows_have_the_promised_form(rows) -> None:
    assert rows
    for row in rows:
        assert set(row) == KEYS
        assert row["verdict"] in ("agrees", "differs", "recovered", "not covered")


@pytest.mark.parametrize("row_id", PROMISED)
def test_every_promised_row_has_a_value_and_a_verdict(rows, row_id: str) -> None:
    mine = [r for r in rows if r["id"] == row_id]
    assert mine
    for row in mine:
        assert row["value"] is not None
        assert math.isfinite(row["value"])
        assert row["verdict"] != "not covered"


def test_what_differs_says_why(rows) -> None:
    for row in rows:
        if row["verdict"] == "differs":
            assert len(row["reason"]) > 20, row
            assert "no reason" not in row["reason"]


def test_what_is_known_to_differ_differs(rows) -> None:
    different = {r["id"] for r in rows if r["verdict"] == "differs"}
    assert {"H2", "H3", "H3a", "H11", "H22", "H40", "H42", "P5", "P6"} <= different
    assert not different & {
        "H1",
        "H5",
        "H10",
        "H12",
        "H14",
        "H15",
        "H16",
        "H41",
        "H43",
        "P1",
        "P2",
        "P3",
        "P4",
        "P7",
        "P8",
        "P9",
        "P10",
    }


def test_what_is_recovered_is_within_three_sigma_of_its_truth(rows) -> None:
    energies = {r["id"]: r for r in rows if r["id"] in ("H14", "H15", "H16") and r["stderr"]}
    for row_id, truth in (("H14", 248), ("H15", 217), ("H16", 93)):
        assert energies[row_id]["verdict"] == "recovered"
        assert abs(energies[row_id]["value"] - truth) < 3 * energies[row_id]["stderr"]


def test_a_study_without_truth_is_refused(tmp_path) -> None:
    recipe = plkit.simulate_study(tmp_path / "study", small=True)
    (tmp_path / "study" / "truth.json").unlink()
    with pytest.raises(DataError, match=r"truth.json' is missing"):
        plkit.reproduce(recipe)
