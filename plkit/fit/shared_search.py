"""The search for parameters that traces share: amplitudes of each trace, one step for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.fit.evaluate import Evaluator
from plkit.fit.job import Job
from plkit.fit.marquardt import (
    CONVERGED,
    NOT_CONVERGED,
    bounded_step,
    gram,
    minimise,
    unit_inverse,
)
from plkit.fit.objective import LeastSquares, Objective, Poisson
from plkit.fit.plan import Plan
from plkit.fit.result import FitArrays
from plkit.fit.traces import Prepared, rows_of

__all__ = ["Problem", "load", "nonlinear", "parts", "reduce_to_shared", "rows_with_noise", "search"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_ACTION: Final = "share rates"
_ROUNDS: Final = 60
_DONE: Final = 1e-8
_LINEAR: Final = 1e-9


@dataclass
class Problem:
    """Rows that take part, their data, and where the search stands."""

    job: Job
    plan: Plan
    evaluator: Evaluator
    objective: Objective
    unit: Floats  # χ²/ν of each row, where σ is not known
    table: Floats
    held: Floats
    group: Ints
    n_points: NDArray[np.int64]
    normal: Floats
    gradient: Floats
    cost: Floats
    nfev: NDArray[np.int64]
    inner_plan: Plan | None = None
    inner: Evaluator | None = None
    code: NDArray[np.int8] | None = None


def rows_with_noise(
    ready: Prepared, job: Job, plan: Plan, arrays: FitArrays, rows: Ints
) -> tuple[Floats, Floats | None, Floats]:
    """Take the rows that share parameters out of the data.

    Parameters
    ----------
    ready : Prepared
        Data and σ; loaded.
    job : Job
        What is to be fitted.
    plan : Plan
        What is searched.
    arrays : FitArrays
        The fit with free rates: the scatter where no σ is known.
    rows : numpy.ndarray of int
        Which rows.

    Returns
    -------
    tuple
        Data and σ (rows, points), NaN in gaps, σ None where it is not given; and per row the
        variance of a point in units of σ², 1 where σ is known.
    """
    points = ready.x.size
    signal = ready.data.values.reshape(-1, points)[rows]
    sigma = None
    if ready.sigma is not None:
        sigma = ready.sigma.broadcast_like(ready.data).transpose(*ready.data.dims).values
        sigma = sigma.reshape(-1, points)[rows]
    y, s = rows_of(signal, sigma, job.action)
    unit = np.ones(rows.size)
    if job.scaled:
        left = np.maximum(np.isfinite(y).sum(axis=1) - plan.n_free, 1)
        unit = arrays.chisqr[rows] / left
        unit = np.where(unit > 0, unit, np.min(unit[unit > 0], initial=1.0))
        if job.gain is not None:
            unit[:] = float(np.median(unit))
    return y, s, unit


def load(
    ready: Prepared, job: Job, plan: Plan, arrays: FitArrays, rows: Ints, group: Ints, held: Floats
) -> Problem:
    """Take the rows that share parameters out of the data.

    Parameters
    ----------
    ready : Prepared
        Data and σ; loaded.
    job : Job
        What is to be fitted.
    plan : Plan
        What is searched.
    arrays : FitArrays
        The fit with free rates: starting values, and the scatter where no σ is known.
    rows, group : numpy.ndarray of int
        Which rows, and the group of each.
    held : numpy.ndarray
        Shape (rows, len(job.fixed)).

    Returns
    -------
    Problem
        At the end of the free fit.
    """
    y, s, unit = rows_with_noise(ready, job, plan, arrays, rows)
    points = ready.x.size
    finite = np.isfinite(y)
    n_points = finite.sum(axis=1)
    filled, good = np.where(finite, y, 0.0), None if finite.all() else finite
    objective: Objective
    if job.gain is not None and job.floor is not None:
        scale = float(np.median(unit))
        objective = Poisson(filled, good, job.gain * scale, job.floor * scale)
    else:
        root = np.sqrt(1.0 / unit)[:, None] * np.ones(points) if s is None else 1.0 / s
        objective = LeastSquares(filled, np.where(finite, root, 0.0), good)
    table = arrays.values[rows].copy()
    evaluator = Evaluator(job.model, job.x, plan, table[0], job.action)
    k = plan.n_free
    return Problem(
        job, plan, evaluator, objective, unit, table, held, group, n_points,
        np.zeros((rows.size, k, k)), np.zeros((rows.size, k)), np.zeros(rows.size),
        np.zeros(rows.size, np.int64),
    )  # fmt: skip


def nonlinear(problem: Problem) -> list[int]:
    """Free parameters in which the model is not linear, as indices into ``plan.free``."""
    plan, evaluator = problem.plan, problem.evaluator
    picks = np.unique(np.linspace(0, len(problem.table) - 1, 3).astype(int))
    table = problem.table[picks]
    with np.errstate(all="ignore"):
        here = evaluator.values(table)
        linear: list[int] = []
        moved = table.copy()
        told = here.copy()
        for j, column in enumerate(plan.free):
            ends = []
            step = 0.5 * np.abs(table[:, column]) + 1e-3
            for sign in (1.0, -1.0):
                end = table.copy()
                end[:, column] += sign * step
                plan.ties.fill(end)
                ends.append(evaluator.values(end))
            size = np.abs(here).max() + np.abs(ends[0]).max()
            if not np.all(np.abs(ends[0] + ends[1] - 2.0 * here) <= _LINEAR * size):
                continue
            trial = moved.copy()
            trial[:, column] += step
            plan.ties.fill(trial)
            expected = told + ends[0] - here
            # in a product of two amplitudes only the first counts as linear
            if np.all(np.abs(evaluator.values(trial) - expected) <= _LINEAR * size):
                linear.append(j)
                moved, told = trial, expected
    out = [j for j in range(plan.n_free) if j not in linear]
    if not out:
        raise DataError(
            _ACTION,
            "the model is linear in all parameters that are free, and has no rate to share",
            "Leave 'rates' out.",
        )
    return out


# Search -------------------------------------------------------------------------------------------


def search(problem: Problem, shared: list[int]) -> None:
    """Move the shared parameters of all groups to the minimum."""
    plan = problem.plan
    groups = int(problem.group.max()) + 1
    k = len(shared)
    columns = plan.free[shared]
    low, high = plan.low[shared], plan.high[shared]
    local = [j for j in range(plan.n_free) if j not in shared]
    problem.inner_plan = replace(
        plan,
        free=plan.free[local],
        low=plan.low[local],
        high=plan.high[local],
        by_row=(*plan.by_row, *map(int, columns)),  # they differ from group to group
    )
    problem.inner = Evaluator(
        problem.job.model, problem.job.x, problem.inner_plan, problem.table[0], problem.job.action
    )
    theta = np.empty((groups, k))
    for g in range(groups):
        own = problem.table[problem.group == g][:, columns]
        theta[g] = np.clip(np.median(own, axis=0), low, high)
    damping, growth = np.full(groups, 1e-3), np.full(groups, 4.0)
    count = np.bincount(problem.group, minlength=groups)
    left = np.bincount(problem.group, problem.n_points, minlength=groups)
    left = np.maximum(left - k - count * len(local), 1.0)
    active = np.arange(groups)
    cost = np.full(groups, np.inf)
    _settle(problem, theta, columns, np.arange(len(problem.table)))
    cost = np.bincount(problem.group, problem.cost, minlength=groups)
    _linearise(problem)
    normal, gradient = reduce_to_shared(problem, shared, local, groups)
    metric = np.diagonal(normal, axis1=1, axis2=2).copy()
    problem.code = np.full(groups, NOT_CONVERGED, np.int8)
    for _ in range(_ROUNDS):
        if active.size == 0:
            break
        new, expected = bounded_step(
            normal[active], gradient[active], metric[active], damping[active], theta[active],
            low, high,
        )  # fmt: skip
        rows = np.flatnonzero(np.isin(problem.group, active))
        before = (problem.table[rows].copy(), problem.cost[rows].copy())
        trial = theta.copy()
        trial[active] = new
        _settle(problem, trial, columns, rows)
        after = np.bincount(problem.group, problem.cost, minlength=groups)[active]
        gained = cost[active] - after
        noise = 1e-13 * cost[active]
        better = np.isfinite(after) & ((gained >= 1e-4 * expected) | (gained >= -noise))
        last = (expected <= _DONE * cost[active] / left[active]) | (expected <= noise)
        problem.code[active[last & (better | (expected <= 1e3 * noise))]] = CONVERGED
        ratio = np.where(expected > 0, gained / np.where(expected > 0, expected, 1.0), 1.0)
        damping[active] = np.where(
            better, np.maximum(damping[active] * np.where(ratio > 0.5, 0.1, 1.0), 1e-12),
            np.maximum(damping[active], 1e-6) * growth[active],
        )  # fmt: skip
        growth[active] = np.where(better, 4.0, growth[active] * 2.0)
        theta[active[better]], cost[active[better]] = new[better], after[better]
        undo = np.isin(problem.group[rows], active[~better])
        problem.table[rows[undo]], problem.cost[rows[undo]] = before[0][undo], before[1][undo]
        _linearise(problem, rows[~undo])
        normal, gradient = reduce_to_shared(problem, shared, local, groups)
        metric = np.maximum(metric, np.diagonal(normal, axis1=1, axis2=2))
        active = active[~last & (damping[active] < 1e12)]


def _settle(problem: Problem, theta: Floats, columns: Ints, rows: Ints) -> None:
    """Find the other parameters of every row for given shared ones."""
    from plkit.fit.batched_engine import RowsOf

    assert problem.inner is not None
    assert problem.inner_plan is not None
    table = problem.table[rows]
    table[:, columns] = theta[problem.group[rows]]
    problem.inner_plan.ties.fill(table)
    if not problem.inner_plan.n_free:
        part = RowsOf(problem.objective, rows)
        with np.errstate(all="ignore"):
            found_cost = part.cost(problem.inner.values(table), np.arange(rows.size))
        problem.table[rows], problem.cost[rows] = table, found_cost
        return
    found = minimise(problem.inner, RowsOf(problem.objective, rows), table, problem.n_points[rows])
    problem.table[rows], problem.cost[rows] = found.table, found.cost
    problem.nfev[rows] += found.nfev


def _linearise(problem: Problem, rows: Ints | None = None) -> None:
    """Normal equations of all parameters of every row."""
    evaluator, objective = problem.evaluator, problem.objective
    rows = np.arange(len(problem.table)) if rows is None else rows
    size = max(1, 49_152 // max(evaluator.points, 1))
    for i in range(0, rows.size, size):
        part = rows[i : i + size]
        with np.errstate(all="ignore"):
            cache: dict[int, Floats] = {}
            table = problem.table[part]
            model = evaluator.values(table, cache)
            if objective.good is not None:
                model = np.where(objective.good[part], model, 0.0)
            value = np.abs(table[:, problem.plan.free])
            old = np.diagonal(problem.normal[part], axis1=1, axis2=2)
            total = np.vecdot(objective.y[part], objective.y[part])[:, None]
            scale = np.sqrt(total / old) / np.sqrt(problem.unit[part])[:, None]
            scale = np.where(
                np.isfinite(scale) & (scale > 1e-8 * value), np.minimum(scale, value + 1e-300),
                np.where(value > 0, value, 1.0),
            )  # fmt: skip
            good = None if objective.good is None else objective.good[part]
            slopes = evaluator.slopes_where(table, cache, scale, True, good)
            residual = objective.y[part] - model
            root = objective.root_weight(model, part)
            if root is not None:
                slopes, residual = slopes * root[:, None, :], residual * root
        problem.normal[part] = gram(slopes)
        problem.gradient[part] = np.vecdot(slopes, residual[:, None, :])
        problem.nfev[part] += 1 + 2 * problem.plan.n_free


def parts(
    problem: Problem, shared: list[int], local: list[int]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Blocks of the normal matrices: shared, mixed, inverse of the local ones, and their product."""
    h = problem.normal
    plan = problem.plan
    here = problem.table[:, plan.free[local]]
    stuck = (here <= plan.low[local]) | (here >= plan.high[local])
    mixed = np.where(stuck[:, None, :], 0.0, h[:, shared][:, :, local])
    own = h[:, local][:, :, local]
    own = np.where(stuck[:, :, None] | stuck[:, None, :], 0.0, own)
    own[:, np.arange(len(local)), np.arange(len(local))] += stuck
    inverse = np.nan_to_num(unit_inverse(own)[0]) if local else np.zeros_like(own)
    return h[:, shared][:, :, shared], mixed, inverse, mixed @ inverse


def reduce_to_shared(
    problem: Problem, shared: list[int], local: list[int], groups: int
) -> tuple[Floats, Floats]:
    """Schur complement and gradient, summed over each group."""
    own, mixed, _, product = parts(problem, shared, local)
    reduced = own - product @ mixed.swapaxes(1, 2)
    local_gradient = problem.gradient[:, local]
    slope = problem.gradient[:, shared] - (product @ local_gradient[:, :, None])[:, :, 0]
    k = len(shared)
    normal, gradient = np.zeros((groups, k, k)), np.zeros((groups, k))
    np.add.at(normal, problem.group, reduced)
    np.add.at(gradient, problem.group, slope)
    return normal, gradient
