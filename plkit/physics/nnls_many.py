"""Non-negative unmixing with many components: scipy's active set, one spectrum at a time.

The same model, weights and results as :mod:`plkit.physics.nnls`, which tries all 2ⁿ supports and is
a thousand times quicker while n is small.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.nnls import POISSON, VARIANCE, Fit, Problem, structure_moments

__all__ = ["fit_spectra_many"]

Floats = NDArray[np.float64]
_ROUNDS: Final = 8
_OK, _AT_BOUND, _NOT_IDENTIFIABLE, _NO_SIGNAL, _FAILED = range(5)


def fit_spectra_many(
    counts: NDArray[Any], problem: Problem, variance: NDArray[Any] | None = None
) -> Fit:
    """Fit every row of ``counts``.

    Parameters
    ----------
    counts : ndarray, shape (spectra, channels)
        NaN and infinite values are left out.
    problem : Problem
        Basis, noise model and constraints.
    variance : ndarray, shape (spectra, channels), optional
        For mode ``VARIANCE``; values that are not positive and finite are left out.

    Returns
    -------
    Fit
        One entry per spectrum.
    """
    n, k, n_comp = counts.shape[0], problem.basis.shape[0], problem.n_components
    nan = np.full
    fit = Fit(
        nan((n, k), np.nan), nan((n, k, k), np.nan), nan((n, k), np.nan), nan((n, n_comp), np.nan),
        nan((n, n_comp), np.nan), nan((n, n_comp), np.nan), nan((n, n_comp), np.nan),
        nan(n, np.nan), nan(n, np.nan), nan(n, np.nan), nan(n, _FAILED, np.int8),
    )  # fmt: skip
    moments = structure_moments(problem.basis, problem.weights)
    for p in range(n):
        own = None if variance is None else np.asarray(variance[p], dtype=np.float64)
        _fit_one(p, np.asarray(counts[p], dtype=np.float64), own, problem, moments, fit)
    return fit


def _solve(problem: Problem, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Amplitudes (components ≥ 0, background free) and the Gram matrix."""
    from scipy.optimize import nnls

    root = np.sqrt(w)
    free = problem.basis[problem.n_components :]
    scaled = np.concatenate([problem.basis, -free]) * root
    size = np.linalg.norm(scaled, axis=1)
    a = nnls((scaled / size[:, None]).T, root * y)[0] / size
    k = problem.basis.shape[0]
    out = a[:k].copy()
    out[problem.n_components :] -= a[k:]
    return out, (problem.basis * w) @ problem.basis.T


def _fit_one(
    p: int, y: Floats, own: Floats | None, problem: Problem, moments: tuple[float, float], fit: Fit
) -> None:
    basis, n_comp = problem.basis, problem.n_components
    k = basis.shape[0]
    good = np.isfinite(y)
    w = problem.weights.copy()
    if problem.mode == VARIANCE and own is not None:
        good &= np.isfinite(own) & (own > 0.0)
        w = np.divide(1.0, own, out=np.zeros_like(own), where=good)
    y = np.where(good, y, 0.0)
    if good.sum() < k:
        fit.status[p] = _FAILED if np.any(good) else _NO_SIGNAL
        return
    w = w * good
    a, gram = _solve(problem, y, w)
    if problem.mode == POISSON:
        for _ in range(_ROUNDS):
            expected = np.maximum(a @ basis, problem.least)
            w = good / (problem.gain * expected + problem.floor)
            previous = a
            a, gram = _solve(problem, y, w)
            if (a - previous) @ gram @ (a - previous) <= 4e-4:
                break
    size = np.sqrt(np.diagonal(gram))
    if not np.all(size > 0.0) or np.linalg.cond(gram / np.outer(size, size)) > 1e13:
        return
    model = a @ basis
    active = k - int(np.sum(a[:n_comp] == 0.0))
    trusted = good.astype(np.float64)
    if problem.mode == POISSON:
        trusted = np.minimum(w * (problem.gain * np.maximum(model, 0.0) + problem.floor), trusted)
    e = np.sqrt(w) * (y - model)
    dof = float(trusted.sum()) - active
    redchi = float(e @ e) / dof if dof > 0.5 else np.nan
    cov = np.linalg.inv(gram / np.outer(size, size)) / np.outer(size, size)
    if problem.scale_by_redchi:
        cov = cov * redchi
    fit.amplitude[p], fit.covariance[p], fit.stderr[p] = a, cov, np.sqrt(np.diagonal(cov))
    fit.rms[p], fit.redchi[p] = np.sqrt(np.mean((y - model)[good] ** 2)), redchi
    var = float(trusted[:-1] @ trusted[1:]) - moments[1] * active / k
    if var > 0.0 and redchi > 0.0:
        fit.structure[p] = (e[:-1] @ e[1:] / redchi + moments[0] * active / k) / np.sqrt(var)
    total, sigma = _shares(a, cov, np.ones(n_comp), fit.fraction[p], fit.fraction_stderr[p])
    _shares(a, cov, problem.brightness, fit.corrected[p], fit.corrected_stderr[p])
    fit.status[p] = _AT_BOUND if active < k else _OK
    if total <= sigma:
        fit.status[p] = _NOT_IDENTIFIABLE
    if not total > 0.0:
        fit.status[p] = _NO_SIGNAL


def _shares(
    a: Floats, cov: Floats, brightness: Floats, share: Floats, stderr: Floats
) -> tuple[float, float]:
    n = brightness.size
    b = a[:n] / brightness
    c = cov[:n, :n] / np.outer(brightness, brightness)
    total = float(b.sum())
    if total > 0.0:
        share[:] = b / total
        jacobian = (np.eye(n) - share[:, None]) / total
        stderr[:] = np.sqrt(np.einsum("ij,jk,ik->i", jacobian, c, jacobian))
    return total, float(np.sqrt(c.sum()))
