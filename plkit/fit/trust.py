"""The careful search, for the few rows that the fast one leaves: a trust region on J itself.

Moré's algorithm as in MINPACK, on all rows at once: the damping is the one that makes the step as
long as the region, and singular values of J, not of JᵀJ, keep the digits of nearly dependent
parameters. Bounded parameters move along MINUIT's variables, as in lmfit: a width that shrinks comes
near zero but does not fall into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.evaluate import Cache, Evaluator
from plkit.fit.marquardt import CONVERGED, NO_START, NOT_CONVERGED, Minimum, gram
from plkit.fit.objective import Objective

__all__ = ["search"]

Floats = NDArray[np.float64]

_EPS: Final = float(np.finfo(float).eps)
_FACTOR: Final = 100.0
_FIRST_REGION: Final = 1e-3  # where a search begins near the end of another
_ROOTS: Final = 12
# Relative fall of χ², expected and found, and relative step, that end the search.
_ENOUGH: Final = 1e-14
# Steps after which χ² must have fallen by this part of χ²/n.
_WINDOW: Final = 50
_FLAT: Final = 1e-3


@dataclass(slots=True)
class _Point:
    """Where every row stands, and the parabola there."""

    here: Floats
    model: Floats
    cost: Floats
    slopes: Floats
    residual: Floats
    squares: Floats


def search(
    evaluator: Evaluator,
    objective: Objective,
    table: Floats,
    rounds: int,
    scale: Floats | None = None,
) -> Minimum:
    """Find the nearest minimum of every row.

    Parameters
    ----------
    evaluator : Evaluator
        The model, without shortcuts.
    objective : Objective
        The data, and what is made small.
    table : numpy.ndarray
        Shape (rows, parameters): where to begin.
    rounds : int
        Steps at most.
    scale : numpy.ndarray, optional
        Shape (rows, free): for the first differences, where it is known.

    Returns
    -------
    Minimum
        Rows that stopped before the end are not converged.
    """
    plan = evaluator.plan
    table = np.array(table)
    rows = len(table)
    out = Minimum(
        table, np.full((rows, plan.n_free, plan.n_free), np.nan), np.full(rows, np.inf),
        np.zeros(rows, np.int64), np.full(rows, NOT_CONVERGED, np.int8),
    )  # fmt: skip
    size = max(1, 65_536 // max(evaluator.points, 1))
    with np.errstate(all="ignore"):
        for i in range(0, rows, size):
            part = np.arange(i, min(i + size, rows))
            _search(evaluator, objective, out, part, rounds, None if scale is None else scale[part])
    return out


def _linearise(
    evaluator: Evaluator,
    objective: Objective,
    table: Floats,
    model: Floats,
    cache: Cache,
    cost: Floats,
    rows: NDArray[np.intp],
    scale: Floats,
    inner: Floats,
) -> _Point:
    good = None if objective.good is None else objective.good[rows]
    slopes = evaluator.slopes_where(table, cache, scale, True, good)
    residual = objective.y[rows] - model
    root = objective.root_weight(model, rows)
    values = model
    if root is not None:
        slopes, residual, values = slopes * root[:, None, :], residual * root, model * root
    return _Point(inner, model, cost, slopes, residual, np.vecdot(values, values))


def _search(
    evaluator: Evaluator,
    objective: Objective,
    out: Minimum,
    rows: NDArray[np.intp],
    rounds: int,
    scale: Floats | None,
) -> None:
    plan = evaluator.plan
    k = plan.n_free
    polish = scale is not None
    limits = _Limits(plan.low, plan.high)
    table = out.table[rows]
    inner = limits.inner(plan.free_of(table), nudge=not polish)
    table[:, plan.free] = limits.outer(inner)
    plan.ties.fill(table)
    cache: Cache = {}
    model = _masked(objective, evaluator.values(table, cache), rows)
    cost = objective.cost(model, rows)
    out.table[rows], out.cost[rows] = table, cost
    good = np.isfinite(cost)
    out.code[rows[~good]] = NO_START
    cache = {key: v[good] for key, v in cache.items()}
    rows, table, model, cost, inner = rows[good], table[good], model[good], cost[good], inner[good]
    before = cost.copy()
    metric = np.zeros((rows.size, k))
    value = np.abs(plan.free_of(table))
    step_scale = np.where(value > 0, value, 1.0) if scale is None else scale[good]
    region = np.full(rows.size, np.nan)
    damping = np.zeros(rows.size)
    while rows.size:
        point = _linearise(evaluator, objective, table, model, cache, cost, rows, step_scale, inner)
        out.nfev[rows] += 1 if evaluator.exact else 1 + 2 * k
        outer_norms = np.sqrt(np.vecdot(point.slopes, point.slopes))
        out.normal[rows] = gram(point.slopes)
        point.slopes = point.slopes * limits.slope(inner)[:, :, None]
        norms = np.sqrt(np.vecdot(point.slopes, point.slopes))
        metric = np.maximum(metric, np.where(norms > 0, norms, 0.0))
        measure = np.where(metric > 0, metric, 1.0)
        fresh = np.isnan(region)
        length = np.linalg.norm(measure * point.here, axis=1)
        first = np.where(length > 0, _FACTOR * length, _FACTOR)
        if polish:
            first = np.maximum(_FIRST_REGION * np.sqrt(point.squares), 1e-300)
        region = np.where(fresh, first, region)
        lost = ~np.isfinite(point.slopes).all(axis=(1, 2))
        ended = np.array(lost)
        # inner steps: shrink until χ² falls
        system = _decompose(point, measure)
        pending = np.array(~ended)
        moved = np.zeros(rows.size, dtype=bool)
        new_table, new_model, new_cost = table.copy(), model.copy(), cost.copy()
        new_inner = inner.copy()
        for _ in range(60):
            at = np.flatnonzero(pending)
            if at.size == 0:
                break
            step, damping[at] = _step(system, at, region[at], measure[at])
            length = np.linalg.norm(measure[at] * step, axis=1)
            region[at] = np.where(fresh[at], np.minimum(region[at], length), region[at])
            trial = table[at]
            trial_inner = point.here[at] + step
            trial[:, plan.free] = limits.outer(trial_inner)
            plan.ties.fill(trial)
            found = _masked(objective, evaluator.values(trial, {}), rows[at])
            reached = objective.cost(found, rows[at])
            fall = point.cost[at] - reached
            out.nfev[rows[at]] += 1
            linear = (step[:, None, :] @ point.slopes[at])[:, 0]
            expected = np.vecdot(linear, 2.0 * point.residual[at] - linear)
            noise = 8.0 * _EPS * np.sqrt(point.squares[at] * point.cost[at])
            noise += 8.0 * _EPS * point.cost[at]
            ratio = np.where(expected > 0, fall / expected, 0.0)
            ratio = np.where(np.isfinite(fall), ratio, -1.0)
            tiny = np.asarray(expected <= noise + 1e-26 * point.squares[at])
            better = np.asarray(ratio >= 1e-4) | (tiny & (fall >= -noise))
            easy = (ratio >= 0.75) | (damping[at] == 0.0)
            shrink = (ratio < 0.25) & ~tiny
            steep = np.where(ratio >= 0, 0.5, 0.1)
            region[at] = np.where(
                shrink,
                steep * np.minimum(region[at], 10.0 * length),
                np.where(easy, 2.0 * length, region[at]),
            )
            fresh[at[better]] = False
            small = np.linalg.norm(measure[at] * step, axis=1)
            whole = np.linalg.norm(measure[at] * point.here[at], axis=1)
            still = region[at] <= _EPS * whole
            accepted = at[better]
            new_table[accepted] = trial[better]
            new_model[accepted] = found[better]
            new_inner[accepted] = trial_inner[better]
            new_cost[accepted] = reached[better]
            moved[accepted] = True
            done = np.asarray(expected <= _ENOUGH * point.cost[at]) | tiny
            done &= (damping[at] == 0.0) | (small <= 1e-9 * whole) | tiny
            done |= better & (small <= 1e-12 * whole)
            ended[at] |= done | still
            # a region as small as rounding: no step can lower χ² further, as MINPACK has it
            out.code[rows[at[done | still]]] = CONVERGED
            pending[at[better | ended[at]]] = False
        ended |= pending  # no step lowers χ²
        out.table[rows], out.cost[rows] = new_table, new_cost
        rounds -= 1
        if rounds % _WINDOW == 0:
            # a valley so flat that χ² hardly falls: its parameters are not determined anyway
            flat = before - new_cost <= _FLAT * new_cost / evaluator.points
            out.code[rows[flat & ~lost]] = CONVERGED
            ended |= flat
            before = new_cost.copy()
        if rounds <= 0:
            break
        on = ~ended & moved
        t = np.sqrt(point.squares[:, None]) / np.where(outer_norms > 0, outer_norms, np.nan)
        value = np.abs(plan.free_of(new_table))
        step_scale = np.where(
            np.isfinite(t) & (t > 1e-8 * value), t, np.where(value > 0, value, 1.0)
        )
        rows, table, model, cost = rows[on], new_table[on], new_model[on], new_cost[on]
        metric, region, damping, inner = metric[on], region[on], damping[on], new_inner[on]
        step_scale, before = step_scale[on], before[on]
        cache = {}
        if rows.size:
            evaluator.values(table, cache)


def _masked(objective: Objective, model: Floats, rows: NDArray[np.intp]) -> Floats:
    return model if objective.good is None else np.where(objective.good[rows], model, 0.0)


@dataclass(slots=True)
class _System:
    """Singular values of J in units of the metric, without held parameters."""

    right: Floats  # Vᵀ
    singular: Floats
    target: Floats  # Uᵀ r


def _decompose(point: _Point, measure: Floats) -> _System:
    scaled = point.slopes / measure[:, :, None]
    scaled = np.where(np.isfinite(scaled), scaled, 0.0)
    # of Jᵀ (free, points): J = U s Vᵀ, here v s u
    v, s, u = np.linalg.svd(scaled, full_matrices=False)
    residual = np.where(np.isfinite(point.residual), point.residual, 0.0)
    return _System(v, s, (u @ residual[:, :, None])[:, :, 0])


def _step(
    system: _System, at: NDArray[np.intp], region: Floats, measure: Floats
) -> tuple[Floats, Floats]:
    """Step no longer than the region, and its damping."""
    v, s, target = system.right[at], system.singular[at], system.target[at]
    live = s > 4.0 * _EPS * s[:, :1]
    inverse = np.where(live, 1.0 / np.where(live, s, 1.0), 0.0)
    straight = inverse * target
    length = np.linalg.norm(straight, axis=1)
    damping = np.zeros(at.size)
    outside = length > 1.1 * region
    if outside.any():
        sv, tv, rv = s[outside], target[outside], region[outside]
        upper = np.linalg.norm(sv * tv, axis=1) / rv
        lower = np.zeros(rv.size)
        lam = np.maximum(upper * 1e-3, np.sqrt(lower * upper))
        for _ in range(_ROOTS):
            shrunk = sv * tv / (sv**2 + lam[:, None])
            now = np.linalg.norm(shrunk, axis=1)
            there = np.abs(now - rv) <= 0.1 * rv
            if there.all():
                break
            slope = -np.sum(shrunk**2 / (sv**2 + lam[:, None]), axis=1) / now
            lower = np.where(now > rv, np.maximum(lower, lam), lower)
            upper = np.where(now < rv, np.minimum(upper, lam), upper)
            newton = lam - (now - rv) / rv * now / slope
            fine = np.isfinite(newton) & (newton > lower) & (newton < upper)
            other = np.where(fine, newton, np.maximum(np.sqrt(lower * upper), 1e-3 * upper))
            lam = np.where(there, lam, other)
        damping[outside] = lam
        straight[outside] = sv * tv / (sv**2 + lam[:, None])
    return (v @ straight[:, :, None])[:, :, 0] / measure, damping


class _Limits:
    """MINUIT's variables, free of bounds.

    Parameters
    ----------
    low, high : numpy.ndarray
        Shape (free,).
    """

    def __init__(self, low: Floats, high: Floats) -> None:
        self.low, self.high = low, high
        self.both = np.isfinite(low) & np.isfinite(high)
        self.below = np.isfinite(low) & ~self.both
        self.above = np.isfinite(high) & ~self.both
        self.half = np.where(self.both, 0.5 * (high - low), 1.0)
        self.floor = np.where(np.isfinite(low), low, 0.0)
        self.ceiling = np.where(np.isfinite(high), high, 0.0)

    def inner(self, value: Floats, nudge: bool) -> Floats:
        """Free variables; a value at its bound, where they stand still, is moved off it."""
        if nudge:
            away = np.where(self.both, 1e-3 * self.half, 1e-3 * np.maximum(1.0, np.abs(value)))
            value = np.where(value - self.low < 1e-3 * away, self.floor + away, value)
            value = np.where(self.high - value < 1e-3 * away, self.ceiling - away, value)
        share = np.clip((value - self.floor) / self.half - 1.0, -1.0, 1.0)
        out = np.where(self.both, np.arcsin(np.where(self.both, share, 0.0)), value)
        up = np.sqrt(np.maximum((value - self.floor + 1.0) ** 2 - 1.0, 0.0))
        down = np.sqrt(np.maximum((self.ceiling - value + 1.0) ** 2 - 1.0, 0.0))
        return np.asarray(np.where(self.below, up, np.where(self.above, down, out)))

    def outer(self, inner: Floats) -> Floats:
        """Values inside the bounds."""
        root = np.sqrt(inner**2 + 1.0)
        out = np.where(self.both, self.floor + (np.sin(inner) + 1.0) * self.half, inner)
        out = np.where(self.below, self.floor - 1.0 + root, out)
        out = np.where(self.above, self.ceiling + 1.0 - root, out)
        return np.asarray(np.clip(out, self.low, self.high))

    def slope(self, inner: Floats) -> Floats:
        """Derivative of the values."""
        root = np.sqrt(inner**2 + 1.0)
        out = np.where(self.both, np.cos(inner) * self.half, 1.0)
        return np.asarray(
            np.where(self.below, inner / root, np.where(self.above, -inner / root, out))
        )
