"""Levenberg–Marquardt for many rows at once, each with its own damping, bounds and end.

Rows that have come to an end leave the block and others take their place, so that every call of the
model works on as many numbers as the cache holds. What a row becomes does not depend on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.evaluate import Cache, Evaluator
from plkit.fit.objective import Objective

__all__ = [
    "CONVERGED",
    "NOT_CONVERGED",
    "NO_START",
    "Minimum",
    "bounded_step",
    "gram",
    "minimise",
    "unit_inverse",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

CONVERGED: Final = 0
NOT_CONVERGED: Final = 1
NO_START: Final = 2

# Numbers (rows times points) in one call of the model: a few arrays of them fit into the L2 cache.
_NUMBERS: Final = 131_072
_MOST_ROWS: Final = 2_048
_ITERATIONS: Final = 60
# Expected fall of χ², in units of χ²/ν, below which derivatives are taken to both sides, and below
# which the step is the last one: it then moves no parameter by 1e-4 σ, and what it leaves undone is
# smaller by the factor with which the steps shrink.
_NEARLY: Final = 1e-5
_DONE: Final = 1e-8
# The last step also changes no parameter by more than this part of it.
_DIGITS: Final = 3e-7
# The same in units of Σ w model², for data without noise.
_EXACT: Final = 1e-24
_ROUNDING: Final = 4.0 * float(np.finfo(float).eps)
_DAMPING: Final = (0.1, 1e-12, 1e14)  # first, least, largest
_RIDGE: Final = 1e-14
_CLOSE: Final = 1e5  # trace of an inverse from which on eigenvalues are taken


@dataclass(frozen=True, slots=True)
class Minimum:
    """End of the search, one row per trace.

    Parameters
    ----------
    table : numpy.ndarray
        Shape (rows, parameters).
    normal : numpy.ndarray
        Shape (rows, free, free): Jᵀ w J at the end.
    cost : numpy.ndarray
        Shape (rows,).
    nfev : numpy.ndarray of int
        Calls of the model for the row.
    code : numpy.ndarray of int8
        CONVERGED, NOT_CONVERGED or NO_START (the model has no finite value at the start).
    """

    table: Floats
    normal: Floats
    cost: Floats
    nfev: NDArray[np.int64]
    code: NDArray[np.int8]


class _State:
    """Arrays over all rows of the block."""

    def __init__(self, table: Floats, n_free: int, first_damping: float) -> None:
        rows = len(table)
        self.table = table
        self.normal = np.full((rows, n_free, n_free), np.nan)
        self.gradient = np.zeros((rows, n_free))
        self.metric = np.zeros((rows, n_free))  # the largest diagonal of the normal matrix so far
        self.cost = np.full(rows, np.inf)
        self.squares = np.zeros(rows)  # Σ w model²: the size of what rounding can do
        self.damping = np.full(rows, first_damping)
        self.growth = np.full(rows, 4.0)
        self.central = np.zeros(rows, dtype=bool)
        self.nfev = np.zeros(rows, np.int64)
        self.rounds = np.zeros(rows, np.int64)
        self.code = np.full(rows, NOT_CONVERGED, np.int8)


def minimise(
    evaluator: Evaluator,
    objective: Objective,
    table: Floats,
    n_points: NDArray[np.int64],
    first_damping: float = _DAMPING[0],
) -> Minimum:
    """Find the nearest minimum of every row.

    Parameters
    ----------
    evaluator : Evaluator
        The model.
    objective : Objective
        The data, and what is made small.
    table : numpy.ndarray
        Shape (rows, parameters): starting values inside the bounds, fixed and tied ones.
    n_points : numpy.ndarray of int
        Points of each row that count.
    first_damping : float, optional
        Relative to the diagonal of the normal matrix.

    Returns
    -------
    Minimum
        With bounds kept to the last bit.

    Notes
    -----
    A parameter at a bound whose gradient points outwards is held; a step that would leave the
    bounds ends at them, and is solved again for the other parameters. Damping is scaled by the
    largest column norms met so far (Moré), and follows the ratio of gained to expected fall.
    Derivatives by differences are taken to one side on the way and to both sides near the end.
    """
    plan = evaluator.plan
    state = _State(np.array(table), plan.n_free, first_damping)
    state.central[:] = evaluator.exact
    left = np.maximum(n_points - plan.n_free, 1).astype(np.float64)
    rows = len(table)
    block = int(np.clip(_NUMBERS // max(evaluator.points, 1), 1, _MOST_ROWS))
    active = np.empty(0, dtype=np.intp)
    waiting = 0
    with np.errstate(all="ignore"):
        while True:
            if active.size <= block // 2 and waiting < rows:
                fresh = np.arange(waiting, min(rows, waiting + block - active.size))
                waiting += fresh.size
                active = np.concatenate([active, _begin(evaluator, objective, state, fresh)])
            if active.size == 0:
                if waiting >= rows:
                    break
                continue
            active = _round(evaluator, objective, state, active, left)
    return Minimum(state.table, state.normal, state.cost, state.nfev, state.code)


def _begin(evaluator: Evaluator, objective: Objective, state: _State, rows: Rows) -> Rows:
    """Evaluate rows at their start; those without a finite value end here."""
    cache: Cache = {}
    table = state.table[rows]
    model = _in_gaps_zero(objective, evaluator.values(table, cache), rows)
    state.cost[rows] = objective.cost(model, rows)
    state.nfev[rows] += 1
    good = np.isfinite(state.cost[rows])
    state.code[rows[~good]] = NO_START
    if evaluator.plan.n_free == 0:
        state.code[rows[good]] = CONVERGED
        return rows[:0]
    if not good.all():
        cache = {k: v[good] for k, v in cache.items()}
        rows, table, model = rows[good], table[good], model[good]
    return rows[_linearise(evaluator, objective, state, rows, table, model, cache)]


def _in_gaps_zero(objective: Objective, model: Floats, rows: Rows) -> Floats:
    return model if objective.good is None else np.where(objective.good[rows], model, 0.0)


def _linearise(
    evaluator: Evaluator,
    objective: Objective,
    state: _State,
    rows: Rows,
    table: Floats,
    model: Floats,
    cache: Cache,
) -> Bools:
    """Normal equations at ``table``; True for rows where they are finite."""
    finite = np.ones(rows.size, dtype=bool)
    for central in (False, True):
        mine = state.central[rows] == central
        if not mine.any():
            continue
        at = rows[mine]
        own = cache if mine.all() else {k: v[mine] for k, v in cache.items()}
        good = None if objective.good is None else objective.good[at]
        scale = _scale(evaluator, state, at)
        here = table if mine.all() else table[mine]
        values = model if mine.all() else model[mine]
        root = objective.root_weight(values, at)
        residual = objective.y[at] - values
        slopes = evaluator.slopes(here, own, scale, central)
        if good is not None:
            slopes = np.where(good[:, None, :], slopes, 0.0)
        if root is not None:
            slopes *= root[:, None, :]
            residual *= root
            values = values * root
        normal = gram(slopes)
        lost = np.flatnonzero(~np.isfinite(normal).all(axis=(1, 2)))
        if lost.size:  # a step of the differences led out of the model
            part = {k: v[lost] for k, v in own.items()}
            less = None if good is None else good[lost]
            again = evaluator.nearby_slopes(here[lost], part, scale[lost], central, less)
            slopes[lost] = again if root is None else again * root[lost, None, :]
            normal[lost] = gram(slopes[lost])
        state.normal[at] = normal
        state.gradient[at] = np.vecdot(slopes, residual[:, None, :])
        state.squares[at] = np.vecdot(values, values)
        diagonal = np.diagonal(normal, axis1=1, axis2=2)
        state.metric[at] = np.maximum(state.metric[at], diagonal)
        state.nfev[at] += 0 if evaluator.exact else evaluator.plan.n_free * (1 + central)
        finite[mine] = np.isfinite(normal).all(axis=(1, 2))
    state.code[rows[~finite]] = NO_START
    return finite


def gram(slopes: Floats) -> Floats:
    """J Jᵀ of every row, by dot products: several times faster than products of small matrices.

    Parameters
    ----------
    slopes : numpy.ndarray
        Shape (rows, free, points).

    Returns
    -------
    numpy.ndarray
        Shape (rows, free, free).
    """
    size = slopes.shape[1]
    out = np.empty((len(slopes), size, size))
    for i in range(size):
        out[:, i, i:] = np.vecdot(slopes[:, i:], slopes[:, i : i + 1])
        out[:, i:, i] = out[:, i, i:]
    return out


def _scale(evaluator: Evaluator, state: _State, rows: Rows) -> Floats:
    """Change of every parameter that changes the model as a whole; what steps are measured by."""
    value = np.abs(evaluator.plan.free_of(state.table[rows]))
    fallback = np.where(value > 0.0, value, 1.0)
    scale = np.sqrt(state.squares[rows, None] / state.metric[rows])
    known = np.isfinite(scale) & (scale > 1e-8 * value)
    return np.where(known, scale, fallback)


def _round(
    evaluator: Evaluator, objective: Objective, state: _State, active: Rows, left: Floats
) -> Rows:
    """One step of all active rows; returns those that go on."""
    plan = evaluator.plan
    here = plan.free_of(state.table[active])
    new, expected = bounded_step(
        state.normal[active], state.gradient[active], state.metric[active], state.damping[active],
        here, plan.low, plan.high,
    )  # fmt: skip
    unit = state.cost[active] / left[active]
    tiny = _EXACT * state.squares[active]
    nearly = expected <= _NEARLY * unit + tiny
    size = np.abs(here) + 0.01 * _scale(evaluator, state, active)
    digits = (np.abs(new - here) <= _DIGITS * size).all(axis=1)
    last = state.central[active] & (((expected <= _DONE * unit) & digits) | (expected <= tiny))
    last &= state.damping[active] <= 1e-2
    trial = state.table[active]
    trial[:, plan.free] = new
    plan.ties.fill(trial)
    cache: Cache = {}
    model = _in_gaps_zero(objective, evaluator.values(trial, cache), active)
    cost = objective.cost(model, active)
    state.nfev[active] += 1
    state.rounds[active] += 1
    gained = state.cost[active] - cost
    # what rounding of the model makes of χ²
    noise = _ROUNDING * (np.sqrt(state.squares[active] * state.cost[active]) + state.cost[active])
    better = (gained >= 1e-4 * expected) | (gained >= -noise) & (expected <= 10.0 * noise + tiny)
    better &= np.isfinite(cost)
    ratio = np.where(expected > 0, gained / np.where(expected > 0, expected, 1.0), 1.0)
    _damp(state, active, better, np.where(nearly, 1.0, ratio))
    taken = active[better]
    state.table[taken], state.cost[taken] = trial[better], cost[better]
    ended = np.flatnonzero(last & better)
    if ended.size:
        sure = evaluator.confirm(trial[ended], {k: v[ended] for k, v in cache.items()})
        state.code[active[ended[sure]]] = CONVERGED
    # a step that would have been the last and finds nothing lower: rounding is all that is left
    over = state.rounds[active] >= _ITERATIONS
    stuck = ~better & ((last & (expected <= 1e3 * noise + tiny)) | over)
    stuck |= ~better & (state.damping[active] >= _DAMPING[2])
    flat = stuck & (expected <= 1e-6 * unit + 1e6 * tiny)
    state.code[active[flat]] = CONVERGED
    going = ~(last & better) & ~stuck & ~over
    further = going & better
    state.central[active[further & nearly]] = True
    if further.any():
        if not further.all():
            cache = {k: v[further] for k, v in cache.items()}
            trial, model = trial[further], model[further]
        finite = _linearise(evaluator, objective, state, active[further], trial, model, cache)
        going[np.flatnonzero(further)[~finite]] = False
    return np.asarray(active[going])


def _damp(state: _State, rows: Rows, better: Bools, ratio: Floats) -> None:
    damping, growth = state.damping[rows], state.growth[rows]
    easier = np.where(ratio > 0.75, 0.1, np.where(ratio > 0.25, 0.5, 2.0))
    down = np.maximum(damping * easier, _DAMPING[1])
    up = np.maximum(damping, 1e-4) * growth
    state.damping[rows] = np.where(better, down, up)
    state.growth[rows] = np.where(better, 4.0, np.minimum(growth * 2.0, 1e4))


def bounded_step(
    normal: Floats,
    gradient: Floats,
    metric: Floats,
    damping: Floats,
    here: Floats,
    low: Floats,
    high: Floats,
) -> tuple[Floats, Floats]:
    """New values of the free parameters and the fall of χ² that the parabola promises.

    Parameters
    ----------
    normal, gradient : numpy.ndarray
        Shape (rows, free, free) and (rows, free): Jᵀ w J and Jᵀ w (y − model).
    metric : numpy.ndarray
        Shape (rows, free): what the damping multiplies.
    damping : numpy.ndarray
        Shape (rows,).
    here : numpy.ndarray
        Shape (rows, free): where the rows stand.
    low, high : numpy.ndarray
        Shape (free,): bounds.

    Returns
    -------
    tuple of numpy.ndarray
        Shape (rows, free) and (rows,).
    """
    bounded = bool(np.isfinite(low).any() or np.isfinite(high).any())
    step = np.zeros_like(here)
    held = np.zeros(here.shape, dtype=bool)
    if bounded:
        held = ((here <= low) & (gradient <= 0.0)) | ((here >= high) & (gradient >= 0.0))
    new = here.copy()
    todo = np.arange(len(here))
    for _ in range(here.shape[1] + 1):
        step[todo] = _solve(
            normal[todo], gradient[todo], metric[todo], damping[todo], held[todo], step[todo]
        )
        if not bounded:
            new = here + step
            break
        wanted = here[todo] + step[todo]
        free = ~held[todo]
        below, above = free & (wanted < low), free & (wanted > high)
        new[todo] = np.clip(wanted, low, high)
        out = below | above
        step[todo] = np.where(out, new[todo] - here[todo], step[todo])
        held[todo] |= out
        todo = todo[out.any(axis=1)]
        if todo.size == 0:
            break
    expected = _promise(normal, gradient, step)
    if bounded:
        # the parabola may rise towards a corner: then the way is cut where it meets the first bound
        bad = np.flatnonzero(~(expected > 0.0))
        if bad.size:
            held = ((here[bad] <= low) & (gradient[bad] <= 0.0)) | (
                (here[bad] >= high) & (gradient[bad] >= 0.0)
            )
            full = _solve(
                normal[bad], gradient[bad], metric[bad], damping[bad], held, np.zeros(held.shape)
            )
            room = np.where(full > 0.0, high - here[bad], low - here[bad])
            over = np.abs(full) > np.abs(room)
            part = np.where(over, room / np.where(full != 0.0, full, 1.0), 1.0).min(axis=1)
            step[bad] = full * part[:, None]
            new[bad] = np.clip(here[bad] + step[bad], low, high)
            expected[bad] = _promise(normal[bad], gradient[bad], step[bad])
    return new, expected


def _promise(normal: Floats, gradient: Floats, step: Floats) -> Floats:
    curved = (normal @ step[:, :, None])[:, :, 0]
    return np.asarray(np.vecdot(2.0 * gradient - curved, step))


def _solve(
    normal: Floats, gradient: Floats, metric: Floats, damping: Floats, held: Bools, step: Floats
) -> Floats:
    """Damped step of the parameters that are not held; what is held keeps its step."""
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    scale = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    right = gradient
    matrix = normal / (scale[:, :, None] * scale[:, None, :])
    extra = damping[:, None] * metric / scale**2 + _RIDGE + (diagonal <= 0.0)
    if held.any():
        right = gradient - (normal @ np.where(held, step, 0.0)[:, :, None])[:, :, 0]
        free = ~held
        matrix = np.where(free[:, :, None] & free[:, None, :], matrix, 0.0)
        extra = np.where(held, 1.0, extra)
    k = np.arange(normal.shape[1])
    matrix[:, k, k] += extra
    right = np.where(held, 0.0, right / scale)
    finite = np.isfinite(matrix).all(axis=(1, 2)) & np.isfinite(right).all(axis=1)
    if not finite.all():
        matrix = np.where(finite[:, None, None], matrix, np.eye(k.size))
        right = np.where(finite[:, None], right, 0.0)
    found = np.linalg.solve(matrix, right[:, :, None])[:, :, 0] / scale
    return np.where(held, step, found)


def unit_inverse(normal: Floats) -> tuple[Floats, Floats]:
    """Inverse of normal matrices, and the least eigenvalue of each with a diagonal of ones.

    Parameters
    ----------
    normal : numpy.ndarray
        Shape (rows, free, free).

    Returns
    -------
    inverse : numpy.ndarray
        NaN for a parameter without any effect, and throughout for a singular matrix.
    least : numpy.ndarray
        Shape (rows,): a lower limit of it where it is large, near zero where two parameters do the
        same; NaN where the matrix is not finite.
    """
    size = normal.shape[-1]
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    finite = np.asarray(np.isfinite(normal).all(axis=(1, 2)))
    live = (diagonal > 0.0) & finite[:, None]
    scale = np.sqrt(np.where(live, diagonal, 1.0))
    both = live[:, :, None] & live[:, None, :]
    measure = scale[:, :, None] * scale[:, None, :]
    matrix = np.where(both, normal, np.eye(size)) / measure
    inverse = np.linalg.inv(matrix + _RIDGE * np.eye(size))
    own = np.diagonal(inverse, axis1=1, axis2=2)
    spread = own.sum(axis=1)
    least = 1.0 / np.maximum(spread, 1.0)  # never more than the least eigenvalue
    # of a positive matrix with a diagonal of ones the inverse has none below one
    close = np.flatnonzero(~((spread < _CLOSE) & (own > 0.9).all(axis=1)))
    if close.size:
        values, vectors = np.linalg.eigh(matrix[close])
        safe = np.where(values > 0.0, values, np.nan)
        inverse[close] = (vectors / safe[:, None, :]) @ vectors.swapaxes(1, 2)
        least[close] = values[:, 0]
    return np.where(both, inverse / measure, np.nan), np.where(finite, least, np.nan)
