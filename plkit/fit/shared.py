"""Non-linear parameters that all traces of a group share: amplitudes free, rates one value each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.fit.door import Noise, fixed_values
from plkit.fit.job import Job, Raw, empty_raw
from plkit.fit.judge import judge, order_rates, summarise
from plkit.fit.marquardt import NOT_CONVERGED, unit_inverse
from plkit.fit.model_fit import fit_prepared, make_job, model_units, noun
from plkit.fit.objective import Poisson
from plkit.fit.plan import Plan, plan_parameters
from plkit.fit.result import FitArrays, assemble
from plkit.fit.shared_kernels import kernel_that_shares, share_with_kernels
from plkit.fit.shared_search import Problem, load, nonlinear, parts, reduce_to_shared, search
from plkit.fit.status import FAILED, NO_SIGNAL
from plkit.fit.traces import Labels, Prepared, aligned

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["Shared", "fit_shared", "share_rates"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_ACTION: Final = "share rates"


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
    found = share_rates(ready, job, given, rates, free.arrays, free.cost)
    out = assemble(found.arrays, found.labels, model_units(model, ready), _ACTION)
    out = out.assign(found.test())
    out.attrs["shared"] = ", ".join(found.names)
    out.attrs["summary"] = found.summary
    return out


@dataclass(frozen=True)
class Shared:
    """Result of a fit with shared parameters.

    Parameters
    ----------
    arrays : FitArrays
        Of all traces.
    labels : Labels
        Where the rows belong.
    names : tuple of str
        What is shared.
    delta_bic, p : numpy.ndarray
        Shape (rows,): for free rates, and the probability that chance gives as much.
    summary : str
        One line.
    """

    arrays: FitArrays
    labels: Labels
    names: tuple[str, ...]
    delta_bic: Floats
    p: Floats
    summary: str

    def test(self) -> dict[str, xr.DataArray]:
        """Maps that tell where free rates are justified."""
        return {
            name: self.labels.label(values, **names.attrs(name))
            for name, values in (("free_rates_delta_bic", self.delta_bic), ("free_rates_p", self.p))
        }


def share_rates(
    ready: Prepared,
    job: Job,
    given: Mapping[str, xr.DataArray],
    rates: str | xr.DataArray,
    free: FitArrays,
    free_cost: Floats,
) -> Shared:
    """Fit with shared rates after a fit with free ones.

    Parameters
    ----------
    ready : Prepared
        Data and σ; loaded.
    job : Job
        What is to be fitted.
    given : Mapping
        Arrays of row-wise fixed parameters.
    rates : "shared" or xarray.DataArray
        Labels of the groups.
    free : FitArrays
        The fit with free rates.
    free_cost : numpy.ndarray
        What it made small, per trace.

    Returns
    -------
    Shared
        Traces without signal, and those without a label, take no part.
    """
    plan = plan_parameters(job.template, job.fixed, _ACTION)
    group = _groups(rates, ready)
    rows = np.flatnonzero((free.status < NO_SIGNAL) & (group >= 0))
    if rows.size == 0:
        raise DataError(
            _ACTION,
            "no trace could be fitted with free rates, not at least one",
            "Look at the fit with rates='free' first.",
        )
    group[rows] = np.unique(group[rows], return_inverse=True)[1]  # without empty groups
    outer = ready.outer
    n_points = np.isfinite(ready.data.values.reshape(group.size, -1)).sum(axis=1)
    kernel = kernel_that_shares(job)
    if kernel is not None:
        some, shared = share_with_kernels(kernel, ready, job, plan, free, rows, group[rows])
        raw, local = empty_raw(group.size, plan), plan.n_free - len(shared)
        for name in ("values", "covariance", "cost", "chisqr", "nfev", "code", "least"):
            getattr(raw, name)[rows] = getattr(some, name)
    else:
        held = np.zeros((rows.size, len(job.fixed)))
        for i, name in enumerate(job.fixed):
            whole = given[name].broadcast_like(outer).transpose(*outer.dims).values.ravel()
            held[:, i] = whole[rows]
        problem = load(ready, job, plan, free, rows, group[rows], held)
        shared = nonlinear(problem)
        search(problem, shared)
        raw, local = _results(problem, shared, n_points.size, rows), plan.n_free - len(shared)
    _add_the_rest(raw, free, n_points, rows, ready)
    n_free = np.full(group.size, float(plan.n_free))
    n_free[rows] = local + len(shared) / np.bincount(group[rows])[group[rows]]
    order_rates(job.model, plan, raw)
    verdict = judge(job, plan, raw)
    arrays = FitArrays(
        plan.names, raw.values, raw.covariance, raw.chisqr, n_free, raw.nfev.astype(np.int64),
        verdict.status,
    )  # fmt: skip
    delta, p = _test(job, plan, len(shared), free_cost, raw, rows)
    told = tuple(plan.names[plan.free[j]] for j in shared)
    summary = (
        f"{summarise(verdict.status, verdict.reasons, noun(ready))}; free {', '.join(told)} "
        f"justified in {int(np.sum(delta > 0))} of {rows.size} {noun(ready)}"
    )
    return Shared(arrays, Labels(outer, n_points), told, delta, p, summary)


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


# Results ------------------------------------------------------------------------------------------


def _results(problem: Problem, shared: list[int], total: int, rows: Ints) -> Raw:
    """Values and covariance of the rows that take part."""
    plan = problem.plan
    local = [j for j in range(plan.n_free) if j not in shared]
    groups = int(problem.group.max()) + 1
    normal, _ = reduce_to_shared(problem, shared, local, groups)
    outside = unit_inverse(normal)[0][problem.group]
    _, _, inverse, product = parts(problem, shared, local)
    k = plan.n_free
    covariance = np.zeros((rows.size, k, k))
    cross = -outside @ product
    s, o = np.array(shared, dtype=np.intp), np.array(local, dtype=np.intp)
    covariance[:, s[:, None], s] = outside
    covariance[:, s[:, None], o] = cross
    covariance[:, o[:, None], s] = cross.swapaxes(1, 2)
    covariance[:, o[:, None], o] = inverse + product.swapaxes(1, 2) @ outside @ product
    slopes = plan.ties.slopes(problem.table, plan.free)
    raw = empty_raw(total, plan)
    assert problem.code is not None
    raw.values[rows] = problem.table
    raw.covariance[rows] = slopes @ covariance @ slopes.swapaxes(1, 2)
    raw.cost[rows] = problem.cost * problem.unit
    raw.chisqr[rows] = _chisqr(problem)
    raw.nfev[rows] = problem.nfev
    raw.code[rows] = problem.code[problem.group]
    raw.least[rows] = unit_inverse(problem.normal)[1]
    return raw


def _add_the_rest(
    raw: Raw, free: FitArrays, n_points: NDArray[np.int64], rows: Ints, ready: Prepared
) -> None:
    """What follows from the data, and from the fit with free rates for rows that take no part."""
    raw.n_points[:] = n_points
    raw.first[:], raw.last[:] = ready.x[0], ready.x[-1]
    # the free fit has told already where nothing changes
    raw.constant[rows] = np.inf
    quiet = np.flatnonzero(free.status >= NO_SIGNAL)
    raw.verdict[quiet] = free.status[quiet]
    raw.code[quiet[free.status[quiet] == FAILED]] = NOT_CONVERGED


def _chisqr(problem: Problem) -> Floats:
    if not isinstance(problem.objective, Poisson):
        return problem.cost * problem.unit
    every = np.arange(len(problem.table))
    model = problem.evaluator.values(problem.table)
    if problem.objective.good is not None:
        model = np.where(problem.objective.good, model, 0.0)
    root = problem.objective.root_weight(model, every)
    return np.asarray((((problem.objective.y - model) * root) ** 2).sum(axis=1) * problem.unit)


def _test(
    job: Job, plan: Plan, k: int, free_cost: Floats, raw: Raw, rows: Ints
) -> tuple[Floats, Floats]:
    """BIC of shared minus BIC of free rates, and the probability of so large a gain by chance."""
    from scipy.special import chdtrc, fdtrc

    n = raw.n_points[rows].astype(np.float64)
    total = free_cost.size
    delta, p = np.full(total, np.nan), np.full(total, np.nan)
    gain = np.maximum(raw.cost[rows] - free_cost[rows], 0.0)
    if job.sigma_known:
        delta[rows] = gain - k * np.log(n)
        p[rows] = chdtrc(k, gain)
        return delta, p
    own = np.maximum(free_cost[rows], np.finfo(float).tiny)
    left = np.maximum(n - plan.n_free, 1.0)
    delta[rows] = n * np.log1p(gain / own) - k * np.log(n)
    p[rows] = fdtrc(k, left, gain / k / (own / left))
    return delta, p
