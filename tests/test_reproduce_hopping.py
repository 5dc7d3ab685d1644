"""Rows of the reproduction about hopping ions: each has a value, a verdict and, where it differs, a reason."""

from __future__ import annotations

import math

import pytest

from plkit.study.reproduction import Row
from plkit.study.reproduction_hopping import hopping_rows


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(hopping_rows())


def test_every_id_has_a_verdict(rows) -> None:
    assert {r.id for r in rows} == {"H30", "H31", "H32", "H33", "H34", "H35", "C3"}
    for row in rows:
        assert row.value is not None
        assert math.isfinite(row.value)
        assert len(row.reason) > 20


def test_verdicts_are_those_that_the_page_explains(rows) -> None:
    verdicts = {(r.id, r.quantity): r.verdict for r in rows}
    by_id = {i: [v for (j, _), v in verdicts.items() if j == i] for i, _ in verdicts}
    assert by_id["H30"] == ["agrees", "differs"]
    assert by_id["H31"] == ["recovered", "recovered"]
    assert by_id["H33"] == ["recovered"]
    assert by_id["H34"] == ["differs", "recovered", "differs"]
    assert by_id["H35"] == ["agrees", "differs"]
    assert by_id["C3"] == ["agrees", "recovered"]


def test_light_of_the_separated_film_hides_its_mean(rows) -> None:
    mean, seen = (r.value for r in rows if r.id == "C3")
    assert seen - mean > 40.0
