"""Correctness of a contender: is it at the global optimum, and do its intervals hold what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import Estimate, Row
from benchmarks.problems import Problem

TOLERANCE = 0.01
"""In χ², above the reference; a deviation of a tenth of a σ."""


@dataclass
class Judge:
    """Compare what was found with truth and reference.

    Parameters
    ----------
    problem : Problem
        The traces.
    lowest : ndarray
        χ² of the global optimum of the first rows.
    """

    problem: Problem
    lowest: np.ndarray

    def __call__(self, found: Any, by_optimum: bool = True) -> Row:
        """Columns of a row.

        Parameters
        ----------
        found : Estimate
            Of the first rows.
        by_optimum : bool, optional
            False for who minimises something else.
        """
        assert isinstance(found, Estimate)
        p, values = self.problem, ordered(self.problem, found)
        out: Row = {}
        n = min(len(values.values), len(self.lowest))
        inside = np.all(
            (values.values >= p.low - 1e-9 * np.abs(p.high))
            & (values.values <= p.high * (1 + 1e-9)),
            axis=1,
        )
        if by_optimum and n:
            chi2 = p.chisqr(values.values[:n])
            out["at_optimum"] = float(np.mean(chi2 <= self.lowest[:n] + TOLERANCE))
            out["at_optimum_rows"] = n
            out["outside_bounds"] = float(np.mean(~inside[:n]))
            below = self.lowest[:n][inside[:n]] - chi2[inside[:n]]
            out["below_reference"] = float(np.max(below, initial=0.0))
        return out | coverage(values, p.truth, p.parameters)


def ordered(problem: Problem, found: Estimate) -> Estimate:
    """Faster rate first, whoever gave them the other way round."""
    if not problem.ordered:
        return found
    values = np.array(found.values)
    stderr = None if found.stderr is None else np.array(found.stderr)
    swap = values[:, 1] < values[:, 3]
    order = [2, 3, 0, 1, 4]
    values[swap] = values[swap][:, order]
    if stderr is not None:
        stderr[swap] = stderr[swap][:, order]
    return Estimate(values, stderr, found.good)


def coverage(found: Estimate, truth: np.ndarray, parameters: tuple[str, ...]) -> Row:
    """Share of the rows in which the truth lies within one σ, for every parameter."""
    if found.stderr is None:
        return {}
    good = np.isfinite(found.stderr).all(axis=1) & (found.stderr > 0).all(axis=1)
    if found.good is not None:
        good &= found.good
    n = int(good.sum())
    if n < 20:
        return {"coverage_rows": n}
    pull = np.abs(found.values - truth[: len(found.values)])[good] / found.stderr[good]
    share = np.mean(pull <= 1.0, axis=0)
    return {
        "coverage": {name: float(v) for name, v in zip(parameters, share, strict=True)},
        "coverage_lowest": float(share.min()),
        "coverage_highest": float(share.max()),
        "coverage_rows": n,
        "coverage_of": float(np.mean(good)),
    }
