"""Linear unmixing with non-negative amplitudes and their σ: y_c = Σ_j a_j F_jc + noise.

The non-negative solution is the best feasible one of all supports (sets of components that are not
zero), hence exact. Weights of Poisson data come from the model, never from the data:
w = 1/(g·max(m, u) + s²) with the expected counts m of the previous round, gain g, floor s², and u
the spectrum of one detected electron in every term, below which an expectation is not believed (no
photon seen does not mean no uncertainty). Rounds end when a step is shorter than 0.02 σ.

The kernels are in :mod:`plkit.physics.nnls_kernels`; numba is imported with the first fit.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIXED", "POISSON", "VARIANCE", "Fit", "Problem", "fit_spectra", "structure_moments"]

FIXED: Final = 0
VARIANCE: Final = 1
POISSON: Final = 2
"""Where the weights come from: one row for all spectra, a variance per value, the model."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What all spectra share.

    Parameters
    ----------
    basis : ndarray, shape (terms, channels)
        Spectra of the components, then of the background terms. [counts per unit amplitude]
    n_components : int
        How many of the first rows are components, whose shares are wanted.
    nonnegative : bool
        Whether components may not be negative; background terms always may.
    weights : ndarray, shape (channels,)
        Weights of the first round; the only ones in mode ``FIXED``.
    gain, floor : ndarray, shape (channels,)
        Variance = gain · expected + floor. [counts], [counts²]
    least : ndarray, shape (channels,)
        Smallest expected counts that weights believe in.
    brightness : ndarray, shape (n_components,)
        Relative brightness; ones where none is known.
    mode : int
        ``FIXED``, ``VARIANCE`` or ``POISSON``.
    scale_by_redchi : bool
        Whether σ is scaled by the reduced χ² of its spectrum.
    """

    basis: NDArray[np.float64]
    n_components: int
    nonnegative: bool
    weights: NDArray[np.float64]
    gain: NDArray[np.float64]
    floor: NDArray[np.float64]
    least: NDArray[np.float64]
    brightness: NDArray[np.float64]
    mode: int
    scale_by_redchi: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """Estimates for many spectra; the first axis runs over spectra.

    Parameters
    ----------
    amplitude, covariance : ndarray
        Of all terms, shapes (n, terms) and (n, terms, terms).
    fraction, fraction_stderr, corrected, corrected_stderr : ndarray
        Shares of the components, and after division by their brightness; (n, components).
    rms, redchi, structure : ndarray, shape (n,)
        Of the residual.
    status : ndarray of int8, shape (n,)
        0 ok, 1 at a bound, 2 total within its σ of zero, 3 no signal, 4 failed.
    """

    amplitude: NDArray[np.float64]
    covariance: NDArray[np.float64]
    fraction: NDArray[np.float64]
    fraction_stderr: NDArray[np.float64]
    corrected: NDArray[np.float64]
    corrected_stderr: NDArray[np.float64]
    rms: NDArray[np.float64]
    redchi: NDArray[np.float64]
    structure: NDArray[np.float64]
    status: NDArray[np.int8]


def structure_moments(
    basis: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """What a fit takes from the lag-one sum of its own residuals.

    Parameters
    ----------
    basis : ndarray, shape (terms, channels)
        Terms of the fit.
    weights : ndarray, shape (channels,)
        Weights of the fit.

    Returns
    -------
    shift, loss : float
        For residuals e = (1 − H)ε of white noise ε and the lag matrix A (½ beside the diagonal):
        E[eᵀAe] = −tr(AH) = −shift, and Var[eᵀAe] = 2 tr[((1 − H)A)²] = (channels − 1) − loss.
    """
    q, _ = np.linalg.qr((basis * np.sqrt(weights)).T)

    def lag(x: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.zeros_like(x)
        out[1:] += 0.5 * x[:-1]
        out[:-1] += 0.5 * x[1:]
        return out

    aq = lag(q)
    qaq = q.T @ aq
    shift = float(np.trace(qaq))
    loss = 2.0 * (2.0 * float(np.sum(aq * aq)) - float(np.sum(qaq * qaq.T)))
    # The ratio to the residual's own variance removes a little more (Durbin and Watson).
    return shift, loss + 2.0 * shift**2 / max(basis.shape[1] - basis.shape[0], 1)


_ROUNDS: Final = 8
_PART: Final = 2048  # spectra that one thread takes at a time
_WELL_CONDITIONED: Final = 30.0
"""Up to this condition number of the basis single precision costs less than 1e-3 of a σ."""


def _threads(n_spectra: int, wanted: int | None) -> int:
    if wanted is None:
        try:
            wanted = len(os.sched_getaffinity(0))
        except AttributeError:  # not on every system
            wanted = os.cpu_count() or 1
    return max(1, min(wanted, n_spectra // _PART))


def fit_spectra(
    counts: NDArray[Any],
    problem: Problem,
    variance: NDArray[Any] | None = None,
    *,
    threads: int | None = None,
) -> Fit:
    """Fit every row of ``counts``.

    Parameters
    ----------
    counts : ndarray, shape (spectra, channels)
        ``uint16``, ``float32`` and ``float64`` are read where they lie; others are converted. NaN
        and infinite values are left out.
    problem : Problem
        Basis, noise model and constraints.
    variance : ndarray, shape (spectra, channels), optional
        For mode ``VARIANCE``; values that are not positive and finite are left out.
    threads : int, optional
        Default: all cores of this process; 1 inside another parallel loop.

    Returns
    -------
    Fit
        One entry per spectrum.

    Notes
    -----
    Threads are Python's, on kernels that release the GIL: numba's own thread pool stops the
    process when two threads (dask's, say) call it at once.
    """
    from plkit.physics.nnls_kernels import fit_rows

    if counts.dtype not in (np.uint16, np.float32, np.float64):
        counts = counts.astype(np.float64)
    k, _ = problem.basis.shape
    scale = 1.0 / np.linalg.norm(problem.basis, axis=1)
    singles = counts.dtype != np.float64 and (
        np.linalg.cond(problem.basis * scale[:, None]) < _WELL_CONDITIONED
    )
    work = np.float32 if singles else np.float64
    given = np.empty((1, 1)) if variance is None else np.ascontiguousarray(variance, np.float64)

    def row(values: NDArray[np.float64]) -> NDArray[Any]:
        return np.ascontiguousarray(values, dtype=work)

    weighted = problem.basis * problem.weights
    flat = np.all(problem.gain == problem.gain[0]) and np.all(problem.floor == problem.floor[0])
    gain, floor = (x[:1] if flat else x for x in (problem.gain, problem.floor))
    mean_gain = float(np.mean(problem.gain))
    step = mean_gain / np.maximum(np.abs(problem.basis).sum(axis=1), 1e-300)
    n = counts.shape[0]
    n_comp = problem.n_components
    fit = Fit(
        np.empty((n, k)), np.empty((n, k, k)),
        np.empty((n, n_comp)), np.empty((n, n_comp)), np.empty((n, n_comp)), np.empty((n, n_comp)),
        np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int8),
    )  # fmt: skip
    stats = np.empty((n, 3))
    shared = (
        row(problem.basis), row(problem.weights), row(gain), row(floor),
        row(problem.least), np.ascontiguousarray(weighted @ problem.basis.T), step,
        np.ascontiguousarray(problem.brightness, dtype=np.float64),
        n_comp if problem.nonnegative else 0, problem.mode, problem.scale_by_redchi, _ROUNDS,
        np.array(structure_moments(problem.basis, problem.weights)),
    )  # fmt: skip

    def run(start: int, stop: int) -> None:
        part = slice(start, stop)
        own = given[part] if problem.mode == VARIANCE else given
        rows = counts[part] if singles else counts[part].astype(np.float64, copy=False)
        fit_rows(  # type: ignore[no-untyped-call]
            rows, own, *shared,
            fit.amplitude[part], fit.covariance[part], fit.fraction[part], fit.fraction_stderr[part],
            fit.corrected[part], fit.corrected_stderr[part], stats[part], fit.status[part],
        )  # fmt: skip

    workers = _threads(n, threads)
    edges = np.append(np.arange(0, n, _PART), n)
    if workers == 1:
        for start, stop in itertools.pairwise(edges):
            run(start, stop)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, edges[:-1], edges[1:]))
    for i, values in enumerate((fit.rms, fit.redchi, fit.structure)):
        values[:] = stats[:, i]
    return fit
