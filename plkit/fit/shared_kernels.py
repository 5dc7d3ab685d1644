"""Shared rates by the compiled kernels: one shape per group, the amplitudes of every row projected out."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.batched_engine import default_threads
from plkit.fit.job import Job, Raw, empty_raw
from plkit.fit.marquardt import CONVERGED, NOT_CONVERGED, bounded_step
from plkit.fit.plan import Plan
from plkit.fit.result import FitArrays
from plkit.fit.separable_engine import Kernel, add_deviance, kernel_for, snap_to_bounds
from plkit.fit.shared_search import rows_with_noise
from plkit.fit.traces import Prepared
from plkit.physics.separable_shared import SharedShapes

__all__ = ["kernel_that_shares", "share_with_kernels"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_STEPS: Final = 60
# Predicted fall of a group's χ², in units of σ², at which it is at its minimum.
_DONE: Final = 1e-6
# Times that the weights of counts are taken anew from the model, and how far shapes may still move.
_ROUNDS: Final = 12
_STILL: Final = 1e-4


def kernel_that_shares(job: Job) -> Kernel | None:
    """Find the kernel that can share all that is not linear in a model.

    Parameters
    ----------
    job : Job
        What is to be fitted.

    Returns
    -------
    Kernel or None
        None where there is none, or where it would have to hold what is shared.
    """
    if job.fixed or not job.kernels:
        return None
    kernel = kernel_for(job)
    if kernel is None:
        return None
    held = set(kernel.model.fixed) - {kernel.model.constant}
    return None if held else kernel


def share_with_kernels(
    kernel: Kernel, ready: Prepared, job: Job, plan: Plan, free: FitArrays, rows: Ints, group: Ints
) -> tuple[Raw, list[int]]:
    """Fit rows whose groups share the shape.

    Parameters
    ----------
    kernel : Kernel
        From :func:`kernel_that_shares`.
    ready : Prepared
        Data and σ; loaded.
    job : Job
        What is to be fitted.
    plan : Plan
        Names of the parameters.
    free : FitArrays
        The fit with free rates: where to start.
    rows, group : numpy.ndarray of int
        Which rows, and the group of each.

    Returns
    -------
    tuple
        Results of these rows, and what is shared as indices into ``plan.free``.
    """
    model = kernel.model
    y, given, unit = rows_with_noise(ready, job, plan, free, rows)
    y = y if kernel.falls else 1.0 - y
    sigma = np.sqrt(unit)[:, None] * np.ones(y.shape[1]) if given is None else given
    gain = floor = 0.0
    if job.gain is not None and job.floor is not None:
        gain, floor = float(job.gain[0]) * unit[0], float(job.floor[0]) * unit[0]
        sigma = np.sqrt(gain * np.maximum(y, gain) + floor)
    own = np.array([plan.names.index(n) for n in kernel.names], dtype=np.intp)
    shapes = SharedShapes(y, ready.x, model, group, sigma, default_threads())
    held = np.zeros(len(rows))
    if model.constant in model.fixed:
        held[:] = model.fixed[model.constant]
    theta = _start(shapes, free.values[rows][:, own], group)
    theta, code, steps = _minimise(shapes, theta)
    found = shapes.report(theta)
    for _ in range(_ROUNDS if gain else 0):
        least = gain / y.shape[1]
        expected = found["model"] + held[:, None]
        shapes.sigma[:] = np.sqrt(gain * np.maximum(expected, least) + floor)
        before = theta
        theta, code, more = _minimise(shapes, theta)
        found = shapes.report(theta)
        steps += more
        if np.max(np.abs(theta - before)) < _STILL * np.min(shapes.box[2]):
            break
    raw = empty_raw(rows.size, plan)
    raw.values[:, own] = found["params"]
    raw.covariance[:, own[:, None], own] = found["covariance"]
    snap_to_bounds(plan, raw.values)
    raw.chisqr[:] = raw.cost[:] = found["chisqr"] * unit
    raw.nfev[:] = steps
    raw.code[:] = code[group]
    raw.least[:] = np.isfinite(found["covariance"]).all(axis=(1, 2))
    if gain:
        add_deviance(job, plan, raw, y)
    shape = {n for t in range(model.n_terms) for n in model.term_names(t)[1:]}
    shared = [
        j
        for j, name in enumerate(plan.free_names)
        if model.parameter_names[kernel.names.index(name)] in shape
    ]
    return raw, shared


def _start(shapes: SharedShapes, values: Floats, group: Ints) -> Floats:
    """The median of what the rows of each group have on their own."""
    order = np.argsort(group, kind="stable")
    parts = np.split(values[order], np.flatnonzero(np.diff(group[order])) + 1)
    return shapes.internal(np.stack([np.nanmedian(part, axis=0) for part in parts]))


def _minimise(shapes: SharedShapes, theta: Floats) -> tuple[Floats, NDArray[np.int8], int]:
    """Levenberg–Marquardt for all groups at once, each with its own damping."""
    low, high, longest = shapes.box
    count = len(theta)
    chi2 = shapes.evaluate(theta)
    hess, grad = shapes.hess, shapes.grad
    damping, code = np.full(count, 1e-6), np.full(count, NOT_CONVERGED, np.int8)
    moving = np.ones(count, dtype=bool)
    steps = 1
    while moving.any() and steps < _STEPS:
        metric = np.diagonal(hess, axis1=1, axis2=2)
        new, expected = bounded_step(hess, grad, metric, damping, theta, low, high)
        size = np.max(np.abs(new - theta) / longest, axis=1)
        short = np.where(size > 1.0, 1.0 / np.maximum(size, 1.0), 1.0)[:, None]
        trial = np.where(moving[:, None], theta + short * (new - theta), theta)
        done = moving & (expected <= _DONE + 1e-13 * chi2) & (size <= 1.0)
        after = shapes.evaluate(trial)
        steps += 1
        better = moving & (after <= chi2 * (1.0 + 1e-13))
        theta = np.where(better[:, None], trial, theta)
        hess = np.where(better[:, None, None], shapes.hess, hess)
        grad = np.where(better[:, None], shapes.grad, grad)
        chi2 = np.where(better, after, chi2)
        damping = np.where(better, np.maximum(0.1 * damping, 1e-12), np.maximum(10 * damping, 1e-3))
        code[done] = CONVERGED
        moving &= ~done & (damping < 1e8)
    return theta, code, steps
