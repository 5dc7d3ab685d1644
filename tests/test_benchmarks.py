"""The benchmarks run, write what they promise, and notice a contender that is wrong. Never how fast."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "benchmarks"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
RUN = ("unmixing", "gaussian", "files", "import")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("benchmarks") / "out.json"
    command = [
        sys.executable,
        str(FOLDER / "run.py"),
        "--quick",
        "--json",
        str(out),
        "--only",
        *RUN,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    loaded: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    for table in loaded["tables"]:
        assert table["title"] in done.stdout
    return loaded


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER.parent))


def test_report_says_where_and_with_what(report: dict[str, Any]) -> None:
    assert report["form"] == 1
    assert report["quick"] is True
    assert report["machine"]["cores"] >= 1
    assert report["versions"]["plkit"]
    assert report["versions"]["numpy"] == np.__version__
    names = [table["name"] for table in report["tables"]]
    assert names == [
        "unmixing-uniform", "unmixing-poisson", "gaussian-2000", "gaussian-200", "files", "import",
    ]  # fmt: skip


def test_every_row_has_a_number_or_a_reason(report: dict[str, Any]) -> None:
    for table in report["tables"]:
        assert any(row["ours"] for row in table["rows"]), table["name"]
        for row in table["rows"]:
            said = f"{table['name']}: {row['contender']}"
            if row["absent"]:
                # who is there must run
                assert row["absent"].endswith("is not installed"), f"{said}: {row['absent']}"
                assert not row["version"], said
                continue
            key = "wall_s" if table["name"] == "import" else "rate"
            assert math.isfinite(row[key]), said
            assert row[key] > 0, said
            assert row["version"], said
            for name in ("at_optimum", "coverage_lowest", "coverage_highest", "outside_bounds"):
                assert 0.0 <= row.get(name, 0.5) <= 1.0, said


def test_ratios_are_those_of_the_rates(report: dict[str, Any]) -> None:
    for table in report["tables"]:
        if table["name"] == "import":
            continue
        key = "wall_rate" if table["conditions"].get("by_wall") else "rate"
        first = next(r for r in table["rows"] if r["contender"] == table["conditions"]["ratio_of"])
        assert first["ours"]
        for row in table["rows"]:
            if not row["absent"]:
                assert row["ratio"] == pytest.approx(first[key] / row[key])


def test_plkit_is_right_in_every_table(report: dict[str, Any]) -> None:
    for table in report["tables"]:
        for row in table["rows"]:
            if row["ours"] and "at_optimum" in row:
                assert row["at_optimum"] >= 0.99, f"{table['name']}: {row['contender']}"
                assert row["outside_bounds"] == 0.0


def test_reference_is_the_lowest(report: dict[str, Any]) -> None:
    for table in report["tables"]:
        if "reference_rows" in table["conditions"]:
            assert table["conditions"]["reference_not_above_best_of_starts"] == 1.0


@pytest.mark.usefixtures("modules")
def test_reference_finds_the_deeper_of_two_minima() -> None:
    from benchmarks.problems import biexponential
    from benchmarks.reference import best_of_starts, lowest_chisqr

    problem = biexponential(100.0, 12, (2.0, 4.0))  # nearly one exponential, few counts
    assert np.all(lowest_chisqr(problem, 12) <= best_of_starts(problem, 12, 8) + 1e-6)


@pytest.mark.usefixtures("modules")
def test_wrong_contenders_are_noticed(rng: np.random.Generator) -> None:
    from benchmarks.harness import Estimate
    from benchmarks.problems import gaussian
    from benchmarks.score import Judge

    problem = gaussian(2000.0, 400)
    size = np.array([20.0, 5e-4, 1e-3, 0.4])
    truth = problem.truth
    judge = Judge(problem, problem.chisqr(truth) - 0.005)
    honest = judge(
        Estimate(truth + size * rng.standard_normal(truth.shape), np.tile(size, (400, 1)))
    )
    assert 0.6 < honest["coverage_lowest"] <= honest["coverage_highest"] < 0.76
    assert honest["at_optimum"] < 0.1
    assert judge(Estimate(truth))["at_optimum"] == 1.0
    proud = judge(
        Estimate(truth + size * rng.standard_normal(truth.shape), np.tile(size / 2, (400, 1)))
    )
    assert proud["coverage_highest"] < 0.5
    negative = truth * np.array([1.0, 1.0, -1.0, 1.0])  # a width below zero has the same χ²
    assert judge(Estimate(negative))["outside_bounds"] == 1.0


@pytest.mark.usefixtures("modules")
def test_jacobians_given_to_peers_are_right() -> None:
    from benchmarks.problems import asymmetric, biexponential, gaussian

    for problem in (biexponential(5000.0, 2), gaussian(2000.0, 2), asymmetric(2000.0, 2)):
        p = problem.truth[0]
        found = problem.jacobian(problem.x, *p)
        for i, value in enumerate(p):
            step = 1e-6 * max(abs(value), 1e-3)
            up, down = p.copy(), p.copy()
            up[i] += step
            down[i] -= step
            slope = (problem.function(problem.x, *up) - problem.function(problem.x, *down)) / (
                2 * step
            )
            np.testing.assert_allclose(
                found[:, i], slope, rtol=1e-5, atol=1e-6 * np.abs(slope).max()
            )


@pytest.mark.usefixtures("modules")
def test_tables_go_into_the_page(report: dict[str, Any], tmp_path: Path) -> None:
    from benchmarks.show import put_on_page

    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    put_on_page(report, page)
    written = page.read_text(encoding="utf-8")
    for table in report["tables"]:
        assert f"### {table['title']}" in written
    put_on_page(report, page)
    assert page.read_text(encoding="utf-8") == written
