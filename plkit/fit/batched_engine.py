"""The batched engine: blocks of rows, through compiled kernels or Levenberg–Marquardt on arrays."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.describe import describe
from plkit.fit.evaluate import Evaluator
from plkit.fit.job import Job, Packed, Raw, empty_raw
from plkit.fit.lmfit_engine import has_guess
from plkit.fit.marquardt import (
    CONVERGED,
    NO_START,
    NOT_CONVERGED,
    Minimum,
    gram,
    minimise,
    unit_inverse,
)
from plkit.fit.objective import LeastSquares, Objective, Poisson, Robust
from plkit.fit.plan import Plan, plan_parameters
from plkit.fit.traces import rows_of
from plkit.fit.trust import search

if TYPE_CHECKING:
    from lmfit import Parameters

__all__ = ["RowsOf", "fit_block", "fit_rows"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FIELDS: Final = ("table", "normal", "cost", "nfev", "code")
# Steps of the careful search: as many as MINPACK needs for the hardest certified problems, and for
# the last digits of rows whose normal matrix, with a diagonal of ones, has an eigenvalue this small.
_ROUNDS: Final = 500
_FEW: Final = 100
_POLISH: Final = 12
_NEARLY_SINGULAR: Final = 1e-9
# An end where parameters do the same, or stand at a bound, may be that of a wrong way.
_DOUBTFUL: Final = 1e-7
_BETTER: Final = 1e-9
# Times that the median residual is taken anew, of a fit that outliers spoil less and less.
_SCALES: Final = 3
# Numbers (rows times points) that are worked on at a time.
_NUMBERS_PER_PART: Final = 400_000


def fit_block(signal: NDArray[Any], *others: NDArray[Any], job: Job, threads: int = 1) -> Floats:
    """Fit every trace of an array: what dask calls for every chunk.

    Parameters
    ----------
    signal : numpy.ndarray
        Shape (…, points).
    *others : numpy.ndarray
        σ, broadcast to the signal, where ``job.has_sigma``; then one array per row-wise fixed
        parameter, which broadcasts to the signal's other axes.
    job : Job
        What is to be fitted.
    threads : int, optional
        Number of threads that share the rows.

    Returns
    -------
    numpy.ndarray
        Shape (…, width): see :class:`plkit.fit.job.Packed`.
    """
    outer = signal.shape[:-1]
    packed = Packed(len(job.template))
    if signal.size == 0:
        return np.zeros((*outer, packed.width))
    points = signal.shape[-1]
    rest = list(others)
    sigma = None
    if job.has_sigma:
        sigma = np.broadcast_to(rest.pop(0), signal.shape).reshape(-1, points)
    y, s = rows_of(signal.reshape(-1, points), sigma, job.action)
    given = np.stack(
        [np.broadcast_to(g, outer).ravel() for g in rest], axis=1, dtype=np.float64
    ) if rest else np.zeros((len(y), 0))  # fmt: skip
    return packed.pack(fit_rows(job, y, s, given, threads)).reshape(*outer, packed.width)


def fit_rows(job: Job, y: Floats, sigma: Floats | None, given: Floats, threads: int = 1) -> Raw:
    """Fit rows.

    Parameters
    ----------
    job : Job
        What is to be fitted.
    y, sigma : numpy.ndarray
        Shape (rows, points); NaN in gaps.
    given : numpy.ndarray
        Shape (rows, len(job.fixed)).
    threads : int, optional
        Number of threads.

    Returns
    -------
    Raw
        Not judged yet, apart from what a kernel says.
    """
    from plkit.fit.separable_engine import fit_with_kernels, kernel_for

    if job.kernels:
        kernel = kernel_for(job)
        if kernel is not None:
            return fit_with_kernels(kernel, job, y, sigma, given, threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of models at unlucky parameters
        return _fit_generic(job, y, sigma, given, threads)


def _fit_generic(job: Job, y: Floats, sigma: Floats | None, given: Floats, threads: int) -> Raw:
    finite = np.isfinite(y)
    n_points = finite.sum(axis=1)
    starts, plan = _starts(job, y, n_points)
    raw = empty_raw(len(y), plan)
    describe(job, raw, y, sigma)
    usable = (n_points >= max(plan.n_free, 1)) & np.isfinite(given).all(axis=1)
    usable &= np.isfinite(starts).all(axis=2).any(axis=0)
    rows = np.flatnonzero(usable)
    if rows.size == 0:
        return raw
    evaluator = Evaluator(
        job.model, job.x, plan, _first_table(plan, starts, given, rows[0]), job.action
    )
    count = max(1, rows.size * y.shape[1] // _NUMBERS_PER_PART)
    if not (threads > 1 and evaluator.thread_safe):
        threads = 1
    parts = np.array_split(rows, max(count, min(threads, rows.size)))

    def work(part: NDArray[np.intp]) -> None:
        first, end = int(part[0]), int(part[-1]) + 1
        # a view where no row is left out
        at = slice(first, end) if end - first == part.size else part
        own_sigma = None if sigma is None else sigma[at]
        _fit_part(job, evaluator, raw, part, y[at], own_sigma, finite[at], starts[:, at], given[at])

    if threads > 1 and len(parts) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))
    else:
        for part in parts:
            work(part)
    return raw


def default_threads() -> int:
    """Threads where nothing else runs in parallel."""
    return os.cpu_count() or 1


# Starting values ----------------------------------------------------------------------------------


def _starts(job: Job, y: Floats, n_points: NDArray[np.int64]) -> tuple[Floats, Plan]:
    """Starting values (starts, rows, parameters), NaN where a row has fewer, and the plan."""
    if job.params is not None or not has_guess(job.model):
        plan = plan_parameters(job.template, job.fixed, job.action)
        return np.broadcast_to(plan.value, (1, len(y), len(plan.names))), plan
    found: list[list[Floats]] = []
    first: Parameters | None = None
    with np.errstate(all="ignore"):
        for row, n in zip(y, n_points, strict=True):
            own: list[Floats] = []
            found.append(own)
            if n == 0:
                continue
            for params in _guesses(job, row):
                first = params if first is None else first
                own.append(np.array([float(p.value) for p in params.values()]))
    plan = plan_parameters(first if first is not None else job.template, job.fixed, job.action)
    most = max(1, max(map(len, found), default=1))
    out = np.full((most, len(y), len(plan.names)), np.nan)
    for i, own in enumerate(found):
        for k, values in enumerate(own):
            out[k, i] = values
    return out, plan


def _guesses(job: Job, row: Floats) -> Iterator[Parameters]:
    good = np.isfinite(row)
    y, x = row[good], job.x[good]
    try:
        yield job.model.guess(y, **{job.model.independent_vars[0]: x})
        offered = getattr(job.model, "starts", None)
        if offered is not None:
            yield from offered(y, x)
    except (ValueError, ArithmeticError, IndexError):  # too few points for a guess
        return


def _first_table(plan: Plan, starts: Floats, given: Floats, row: int) -> Floats:
    at = int(np.flatnonzero(np.isfinite(starts[:, row]).all(axis=1))[0])
    return np.asarray(plan.table(starts[at, row], given[row : row + 1])[0])


# One part of the rows -----------------------------------------------------------------------------


def _fit_part(
    job: Job,
    evaluator: Evaluator,
    raw: Raw,
    rows: NDArray[np.intp],
    y: Floats,
    sigma: Floats | None,
    finite: Bools,
    starts: Floats,
    given: Floats,
) -> None:
    """Fit some rows and write the result to their places."""
    plan = evaluator.plan
    n_points = finite.sum(axis=1)
    whole = bool(finite.all())
    filled = y if whole else np.where(finite, y, 0.0)
    good = None if whole else finite
    root: Floats | None = None
    if sigma is not None:
        root = 1.0 / (sigma if whole else np.where(finite, sigma, np.inf))
    elif good is not None:
        root = finite.astype(np.float64)
    squares = LeastSquares(filled, root, good)
    objective: Objective = squares
    if job.gain is not None and job.floor is not None:
        objective = Poisson(filled, good, job.gain, job.floor)
        # where the data say too little of the variance, a first fit with equal weights does
    best: Minimum | None = None
    for start in starts:
        table = plan.table(start, given)
        found = _search(evaluator, objective, table, n_points, job, squares, sigma is None)
        best = found[0] if best is None else _better(best, found[0])
        objective_used = found[1]
    assert best is not None
    _report(job, evaluator, objective_used, raw, rows, best, n_points)


def _search(
    evaluator: Evaluator,
    objective: Objective,
    table: Floats,
    n_points: NDArray[np.int64],
    job: Job,
    squares: LeastSquares,
    scale_unknown: bool,
) -> tuple[Minimum, Objective]:
    if job.loss != "linear":
        found = _persistent(evaluator, squares, table, n_points)
        for _ in range(_SCALES if scale_unknown else 1):
            objective = _robust(evaluator, job.loss, squares, found, scale_unknown, n_points)
            table = np.where(np.isfinite(found.table), found.table, table)
            found = _persistent(evaluator, objective, table, n_points)
        return found, objective
    return _persistent(evaluator, objective, table, n_points), objective


def _persistent(
    evaluator: Evaluator, objective: Objective, table: Floats, n_points: NDArray[np.int64]
) -> Minimum:
    """The fast search; then the careful one for rows without an end, and for the last digits."""
    best = minimise(evaluator, objective, table, n_points)
    if evaluator.plan.n_free == 0:
        return best
    careful = copy.copy(evaluator)
    careful.shortcuts = False
    least = unit_inverse(best.normal)[1]
    plan = evaluator.plan
    here = plan.free_of(best.table)
    doubtful = ~(least > _DOUBTFUL) | ((here <= plan.low) | (here >= plan.high)).any(axis=1)
    lost = best.code != CONVERGED
    for rows, rounds in ((np.flatnonzero(lost), _ROUNDS), (np.flatnonzero(~lost & doubtful), _FEW)):
        if rows.size:
            part = RowsOf(objective, rows)
            found = search(careful, part, table[rows], rounds)
            found = _better(_take(best, rows), found)
            # along MINUIT's variables a bound is never quite reached
            closer = minimise(careful, part, found.table, n_points[rows])
            closer.code[closer.cost > found.cost * (1 + _BETTER)] = NOT_CONVERGED
            _put(best, rows, _nearer(found, closer))
    least = unit_inverse(best.normal)[1]
    near = np.flatnonzero((best.code == CONVERGED) & (least < _NEARLY_SINGULAR))
    if near.size:
        ended = _take(best, near)
        scale = 1.0 / np.sqrt(np.diagonal(ended.normal, axis1=1, axis2=2))
        size = np.linalg.norm(objective.y[near], axis=1)[:, None]
        value = np.abs(evaluator.plan.free_of(ended.table))
        scale = np.where(np.isfinite(scale), scale * size, np.where(value > 0, value, 1.0))
        found = search(careful, RowsOf(objective, near), ended.table, _POLISH, scale)
        lower = (found.code == CONVERGED) & (found.cost <= ended.cost * (1 + 1e-12))
        found.nfev[:] += ended.nfev
        _put(best, near[lower], _take(found, np.flatnonzero(lower)))
    return best


def _nearer(found: Minimum, closer: Minimum) -> Minimum:
    """The end of a last short search where it came to one."""
    take = closer.code == CONVERGED
    return Minimum(
        np.where(take[:, None], closer.table, found.table),
        np.where(take[:, None, None], closer.normal, found.normal),
        np.where(take, closer.cost, found.cost),
        found.nfev + closer.nfev,
        np.where(take, closer.code, found.code).astype(np.int8),
    )


def _take(best: Minimum, rows: NDArray[np.intp]) -> Minimum:
    return Minimum(*(getattr(best, name)[rows] for name in _FIELDS))


def _put(best: Minimum, rows: NDArray[np.intp], part: Minimum) -> None:
    for name in _FIELDS:
        getattr(best, name)[rows] = getattr(part, name)


class RowsOf:
    """Some rows of an objective, counted from zero."""

    def __init__(self, whole: Objective, rows: NDArray[np.intp]) -> None:
        self._whole, self._rows = whole, rows
        self.y = whole.y[rows]
        self.good = None if whole.good is None else whole.good[rows]

    def root_weight(self, model: Floats, rows: NDArray[np.intp]) -> Floats | None:
        """See Objective."""
        return self._whole.root_weight(model, self._rows[rows])

    def cost(self, model: Floats, rows: NDArray[np.intp]) -> Floats:
        """See Objective."""
        return self._whole.cost(model, self._rows[rows])


def _better(old: Minimum, new: Minimum) -> Minimum:
    """Row by row the lower end; a search that came to its end goes before one that did not."""
    worse = (old.code != CONVERGED) & (new.code == CONVERGED)
    same = (old.code != CONVERGED) == (new.code != CONVERGED)
    # rounding is no reason to prefer one of two equal ends
    take = worse | (same & (old.cost - new.cost > _BETTER * old.cost))
    return Minimum(
        np.where(take[:, None], new.table, old.table),
        np.where(take[:, None, None], new.normal, old.normal),
        np.where(take, new.cost, old.cost),
        old.nfev + new.nfev,
        np.where(take, new.code, old.code).astype(np.int8),
    )


def _robust(
    evaluator: Evaluator,
    loss: str,
    squares: LeastSquares,
    first: Minimum,
    scale_unknown: bool,
    n_points: NDArray[np.int64],
) -> Robust:
    """Loss in units of σ; without σ, of the median residual of the first fit."""
    root = squares.root
    if root is None:
        root = np.ones_like(squares.y)
    if scale_unknown:
        with np.errstate(all="ignore"):
            size = np.abs(squares.y - _values(evaluator, first.table))
        size = np.where(root > 0.0, size, np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            middle = np.nanmedian(size, axis=1)
        left = np.maximum(n_points - evaluator.plan.n_free, 1)
        scale = 1.4826 * middle * np.sqrt(n_points / left)
        scale = np.where(np.isfinite(scale) & (scale > 0.0), scale, 1.0)
        root = root / scale[:, None]
    return Robust(squares.y, root, squares.good, loss)


def _values(evaluator: Evaluator, table: Floats, size: int = 256) -> Floats:
    """Model at many rows, in blocks."""
    out = np.empty((len(table), evaluator.points))
    for i in range(0, len(table), size):
        out[i : i + size] = evaluator.values(table[i : i + size])
    return out


# Results ------------------------------------------------------------------------------------------


def _report(
    job: Job,
    evaluator: Evaluator,
    objective: Objective,
    raw: Raw,
    rows: NDArray[np.intp],
    best: Minimum,
    n_points: NDArray[np.int64],
) -> None:
    plan = evaluator.plan
    with np.errstate(all="ignore"):
        inverse, least = unit_inverse(best.normal)
        chisqr = best.cost
        if isinstance(objective, Poisson | Robust):
            chisqr, inverse = _of_objective(evaluator, objective, best, inverse)
        if job.scaled:
            left = (n_points - plan.n_free).astype(np.float64)
            unit = np.where(left > 0, chisqr / np.where(left > 0, left, 1.0), np.nan)
            inverse = inverse * unit[:, None, None]
        slopes = plan.ties.slopes(best.table, plan.free)
        covariance = _spread(inverse, slopes, plan)
    raw.values[rows], raw.covariance[rows] = best.table, covariance
    raw.chisqr[rows], raw.cost[rows] = chisqr, best.cost
    raw.least[rows] = least
    raw.nfev[rows], raw.code[rows] = best.nfev, best.code
    raw.code[rows[~np.isfinite(best.table).all(axis=1)]] = NO_START


def _spread(inverse: Floats, slopes: Floats, plan: Plan) -> Floats:
    """Covariance of all parameters: ties by propagation; NaN only where an unknown σ enters."""
    unknown = np.isnan(np.diagonal(inverse, axis1=1, axis2=2))
    known = np.where(np.isnan(inverse), 0.0, inverse)
    out = slopes @ known @ slopes.swapaxes(1, 2)
    if unknown.any():
        touched = ((slopes != 0.0) & unknown[:, None, :]).any(axis=2)
        live = np.zeros(len(plan.names), dtype=bool)
        live[plan.free] = True
        live[[i for i, _, _ in plan.ties.order]] = True
        out = np.where(
            (touched[:, :, None] | touched[:, None, :]) & live & live[:, None], np.nan, out
        )
    return np.asarray(out)


def _of_objective(
    evaluator: Evaluator, objective: Poisson | Robust, best: Minimum, inverse: Floats
) -> tuple[Floats, Floats]:
    """Pearson's χ² of counts; of a robust loss its own cost, and the covariance of its estimate."""
    every = np.arange(len(best.table))
    chisqr = best.cost.copy()
    size = max(1, 49_152 // max(evaluator.points, 1))
    free = evaluator.plan.n_free
    for i in range(0, every.size, size):
        rows = every[i : i + size]
        cache: dict[int, Floats] = {}
        model = evaluator.values(best.table[rows], cache)
        good = objective.good
        if good is not None:
            model = np.where(good[rows], model, 0.0)
        if isinstance(objective, Poisson):
            root = objective.root_weight(model, rows)
            chisqr[rows] = np.sum(((objective.y[rows] - model) * root) ** 2, axis=1)
            continue
        scale = np.sqrt(np.abs(np.diagonal(inverse[rows], axis1=1, axis2=2)))
        value = np.abs(evaluator.plan.free_of(best.table[rows]))
        scale = np.where(np.isfinite(scale) & (scale > 0), scale, np.where(value > 0, value, 1.0))
        part = None if good is None else good[rows]
        slopes = evaluator.slopes_where(best.table[rows], cache, scale, True, part)
        root, factor = objective.efficiency(model, rows, free)
        slopes = slopes * root[:, None, :]
        outside, _ = unit_inverse(gram(slopes))
        inverse[rows] = outside * factor[:, None, None]
    return chisqr, inverse
