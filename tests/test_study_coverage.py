"""Small version of tests/studies/activation_energy.py: 40 studies, wide bounds."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from plkit.errors import PlkitWarning

sys.path.insert(0, str(Path(__file__).parent / "studies"))
import activation_energy as study

PUBLISHED_STDERR_EV = {"x1.0": 0.030, "x1.5": 0.042, "x2.0": 0.010}


@pytest.fixture(scope="module")
def outcomes() -> dict[str, list[study.Outcome]]:
    # 40 studies, each of one film in turn: 14, 13 and 13 of them.
    found: dict[str, list[study.Outcome]] = {n: [] for n in PUBLISHED_STDERR_EV}
    with warnings.catch_warnings():
        # By chance the points of one study in a thousand scatter more than their σ allow.
        warnings.simplefilter("ignore", PlkitWarning)
        for seed in range(40):
            name = list(found)[seed % 3]
            found[name].append(study.one_study(seed, name))
    return found


def test_the_68_percent_interval_covers_the_truth(outcomes) -> None:
    every = [o for group in outcomes.values() for o in group]
    assert len(every) == 40
    # 27 of 40 expected; the binomial 99.9 % interval is 17 to 36.
    assert 17 <= sum(o.covered for o in every) <= 36
    assert all(abs(o.value - o.truth) < 5 * o.stderr for o in every)


def test_sigma_is_the_scatter_and_no_larger_than_the_papers(outcomes) -> None:
    pulls = [(o.value - o.truth) / o.stderr for group in outcomes.values() for o in group]
    # σ of the standard deviation of 40 pulls is 0.11.
    assert 0.6 < np.std(pulls) < 1.45
    for name, group in outcomes.items():
        assert np.median([o.stderr for o in group]) <= PUBLISHED_STDERR_EV[name]


def test_the_parts_of_sigma_add_up(outcomes) -> None:
    for group in outcomes.values():
        for o in group:
            assert np.hypot(np.hypot(o.photon, o.scatter), o.shared) == pytest.approx(
                o.stderr, rel=1e-6
            )
