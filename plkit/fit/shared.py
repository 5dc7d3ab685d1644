"""Non-linear parameters that all traces of a group share: amplitudes free, rates one value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.fit.door import Noise, fixed_values
from plkit.fit.evaluate import Evaluator
from plkit.fit.job import Job, Raw, empty_raw
from plkit.fit.judge import judge, order_rates, summarise
from plkit.fit.marquardt import CONVERGED, NOT_CONVERGED, bounded_step, gram, minimise, unit_inverse
from plkit.fit.model_fit import fit_prepared, make_job, model_units, noun
from plkit.fit.objective import LeastSquares, Objective, Poisson
from plkit.fit.plan import Plan, plan_parameters
from plkit.fit.result import FitArrays, assemble
from plkit.fit.status import FAILED, NO_SIGNAL
from plkit.fit.traces import Labels, Prepared, aligned, rows_of

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["fit_shared"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_ACTION: Final = "share rates"
_ROUNDS: Final = 60
_DONE: Final = 1e-8
_LINEAR: Final = 1e-9


def fit_shared(
    ready: Prepared,
    model: Model,
    params: Parameters | None,
    counts: Noise | None,
    fixed: Mapping[str, xr.DataArray | float],
    loss: str,
    rates: str | xr.DataArray,
    progress: bool,
) -> xr.Dataset:
    """Fit with one value per group for every non-linear parameter.

    Parameters
    ----------
    ready : Prepared
        Data and σ; loaded.
    model, params, fixed, loss, progress
        As for :func:`plkit.fit_model`.
    counts : Noise or None
        Of counts.
    rates : "shared" or xarray.DataArray
        Labels of the groups.

    Returns
    -------
    xarray.Dataset
        As :func:`plkit.fit_model` returns it, with the test of free rates.

    Notes
    -----
    A fit with everything free comes first: it gives starting values, the scatter of each trace
    where no σ is known, and the χ² to compare with. Then for given rates the other parameters of
    every trace are found, and the rates move by Gauss–Newton steps on what is left (the Schur
    complement of the normal equations).
    """
    if loss != "linear":
        raise DataError(_ACTION, f"'loss' is '{loss}', not 'linear'", "Leave one of them out.")
    free = fit_prepared(ready, model, params, counts, fixed, loss, "batched", progress)
    given, params = fixed_values(fixed, params, model, ready, _ACTION)
    job = make_job(ready, model, params, given, counts, loss)
    plan = plan_parameters(job.template, job.fixed, _ACTION)
    group = _groups(rates, ready)
    rows = np.flatnonzero((free.arrays.status < NO_SIGNAL) & (group >= 0))
    if rows.size == 0:
        raise DataError(
            _ACTION,
            "no trace could be fitted with free rates, not at least one",
            "Look at fit_model(..., rates='free') first.",
        )
    outer = ready.outer
    held = np.stack(
        [given[n].broadcast_like(outer).transpose(*outer.dims).values.ravel() for n in job.fixed]
        or [np.zeros(0)],
        axis=1,
    ) if job.fixed else np.zeros((free.labels.n_points.size, 0))  # fmt: skip
    problem = _load(ready, job, plan, free.arrays, rows, group[rows], held[rows])
    shared = _nonlinear(problem)
    _search(problem, shared)
    raw, n_free = _results(problem, shared, free, rows)
    order_rates(model, plan, raw)
    verdict = judge(job, plan, raw)
    arrays = FitArrays(
        plan.names, raw.values, raw.covariance, raw.chisqr, n_free, raw.nfev.astype(np.int64),
        verdict.status,
    )  # fmt: skip
    labels = Labels(outer, free.labels.n_points)
    out = assemble(arrays, labels, model_units(model, ready), _ACTION)
    delta, p = _test(problem, shared, free, raw, rows)
    out["free_rates_delta_bic"] = labels.label(delta, **names.attrs("free_rates_delta_bic"))
    out["free_rates_p"] = labels.label(p, **names.attrs("free_rates_p"))
    told = [plan.names[plan.free[j]] for j in shared]
    better = int(np.sum(delta > 0))
    out.attrs["shared"] = ", ".join(told)
    out.attrs["summary"] = (
        f"{summarise(verdict.status, verdict.reasons, noun(ready))}; free {', '.join(told)} "
        f"justified in {better} of {rows.size} {noun(ready)}"
    )
    return out


def _groups(rates: str | xr.DataArray, ready: Prepared) -> Ints:
    """Group of every row from zero on; −1 where the label is missing."""
    outer = ready.outer
    if isinstance(rates, str):
        return np.zeros(outer.size, dtype=np.intp)
    labels = aligned(rates, outer, "rates", _ACTION)
    flat = labels.broadcast_like(outer).transpose(*outer.dims).values.ravel()
    known = np.isfinite(flat) if flat.dtype.kind == "f" else np.ones(flat.size, dtype=bool)
    out = np.full(flat.size, -1, dtype=np.intp)
    out[known] = np.unique(flat[known], return_inverse=True)[1].ravel()
    return out


@dataclass
class _Problem:
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


def _load(
    ready: Prepared, job: Job, plan: Plan, arrays: FitArrays, rows: Ints, group: Ints, held: Floats
) -> _Problem:
    points = ready.x.size
    signal = ready.data.values.reshape(-1, points)[rows]
    sigma = None
    if ready.sigma is not None:
        sigma = ready.sigma.broadcast_like(ready.data).transpose(*ready.data.dims).values
        sigma = sigma.reshape(-1, points)[rows]
    y, s = rows_of(signal, sigma, job.action)
    finite = np.isfinite(y)
    n_points = finite.sum(axis=1)
    filled, good = np.where(finite, y, 0.0), None if finite.all() else finite
    unit = np.ones(rows.size)
    if job.scaled:
        left = np.maximum(n_points - plan.n_free, 1)
        unit = arrays.chisqr[rows] / left
        unit = np.where(unit > 0, unit, np.min(unit[unit > 0], initial=1.0))
    objective: Objective
    if job.gain is not None and job.floor is not None:
        scale = float(np.median(unit))
        unit = np.full(rows.size, scale)
        objective = Poisson(filled, good, job.gain * scale, job.floor * scale)
    else:
        root = np.sqrt(1.0 / unit)[:, None] * np.ones(points) if s is None else 1.0 / s
        objective = LeastSquares(filled, np.where(finite, root, 0.0), good)
    table = arrays.values[rows].copy()
    evaluator = Evaluator(job.model, job.x, plan, table[0], job.action)
    k = plan.n_free
    return _Problem(
        job, plan, evaluator, objective, unit, table, held, group, n_points,
        np.zeros((rows.size, k, k)), np.zeros((rows.size, k)), np.zeros(rows.size),
        np.zeros(rows.size, np.int64),
    )  # fmt: skip


def _nonlinear(problem: _Problem) -> list[int]:
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


def _search(problem: _Problem, shared: list[int]) -> None:
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
    normal, gradient = _reduce(problem, shared, local, groups)
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
        normal, gradient = _reduce(problem, shared, local, groups)
        metric = np.maximum(metric, np.diagonal(normal, axis1=1, axis2=2))
        active = active[~last & (damping[active] < 1e12)]


def _settle(problem: _Problem, theta: Floats, columns: Ints, rows: Ints) -> None:
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


def _linearise(problem: _Problem, rows: Ints | None = None) -> None:
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


def _parts(
    problem: _Problem, shared: list[int], local: list[int]
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


def _reduce(
    problem: _Problem, shared: list[int], local: list[int], groups: int
) -> tuple[Floats, Floats]:
    """Schur complement and gradient, summed over each group."""
    own, mixed, _, product = _parts(problem, shared, local)
    reduced = own - product @ mixed.swapaxes(1, 2)
    local_gradient = problem.gradient[:, local]
    slope = problem.gradient[:, shared] - (product @ local_gradient[:, :, None])[:, :, 0]
    k = len(shared)
    normal, gradient = np.zeros((groups, k, k)), np.zeros((groups, k))
    np.add.at(normal, problem.group, reduced)
    np.add.at(gradient, problem.group, slope)
    return normal, gradient


# Results ------------------------------------------------------------------------------------------


def _results(problem: _Problem, shared: list[int], free: Any, rows: Ints) -> tuple[Raw, Floats]:
    plan = problem.plan
    local = [j for j in range(plan.n_free) if j not in shared]
    groups = int(problem.group.max()) + 1
    normal, _ = _reduce(problem, shared, local, groups)
    outside = unit_inverse(normal)[0][problem.group]
    _, _, inverse, product = _parts(problem, shared, local)
    k = plan.n_free
    covariance = np.zeros((rows.size, k, k))
    cross = -outside @ product
    s, o = np.array(shared, dtype=np.intp), np.array(local, dtype=np.intp)
    covariance[:, s[:, None], s] = outside
    covariance[:, s[:, None], o] = cross
    covariance[:, o[:, None], s] = cross.swapaxes(1, 2)
    covariance[:, o[:, None], o] = inverse + product.swapaxes(1, 2) @ outside @ product
    slopes = plan.ties.slopes(problem.table, plan.free)
    total = free.labels.n_points.size
    raw = empty_raw(total, plan)
    raw.n_points[:] = free.labels.n_points
    assert problem.code is not None
    raw.values[rows] = problem.table
    raw.covariance[rows] = slopes @ covariance @ slopes.swapaxes(1, 2)
    raw.cost[rows] = problem.cost * problem.unit
    raw.chisqr[rows] = _chisqr(problem)
    raw.nfev[rows] = problem.nfev
    raw.code[rows] = problem.code[problem.group]
    raw.least[rows] = unit_inverse(problem.normal)[1]
    raw.first[:], raw.last[:] = problem.job.x[0], problem.job.x[-1]
    # the free fit has told already where nothing changes
    raw.constant[rows] = np.inf
    quiet = np.flatnonzero(free.arrays.status >= NO_SIGNAL)
    raw.verdict[quiet] = free.arrays.status[quiet]
    raw.code[quiet[free.arrays.status[quiet] == FAILED]] = NOT_CONVERGED
    count = np.bincount(problem.group)[problem.group]
    n_free = np.full(total, float(k))
    n_free[rows] = len(local) + len(shared) / count
    return raw, n_free


def _chisqr(problem: _Problem) -> Floats:
    if not isinstance(problem.objective, Poisson):
        return problem.cost * problem.unit
    every = np.arange(len(problem.table))
    model = problem.evaluator.values(problem.table)
    if problem.objective.good is not None:
        model = np.where(problem.objective.good, model, 0.0)
    root = problem.objective.root_weight(model, every)
    return np.asarray((((problem.objective.y - model) * root) ** 2).sum(axis=1) * problem.unit)


def _test(
    problem: _Problem, shared: list[int], free: Any, raw: Raw, rows: Ints
) -> tuple[Floats, Floats]:
    """BIC of shared minus BIC of free rates, and the probability of so large a gain by chance."""
    from scipy.stats import chi2, f

    k = len(shared)
    n = problem.n_points.astype(np.float64)
    total = free.labels.n_points.size
    delta, p = np.full(total, np.nan), np.full(total, np.nan)
    gain = np.maximum(raw.cost[rows] - free.cost[rows], 0.0)
    if problem.job.sigma_known:
        delta[rows] = gain - k * np.log(n)
        p[rows] = chi2.sf(gain, k)
        return delta, p
    own = np.maximum(free.cost[rows], np.finfo(float).tiny)
    left = np.maximum(n - problem.plan.n_free, 1.0)
    delta[rows] = n * np.log1p(gain / own) - k * np.log(n)
    p[rows] = f.sf(gain / k / (own / left), k, left)
    return delta, p
