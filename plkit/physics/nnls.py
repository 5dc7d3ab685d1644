"""Linear unmixing with non-negative amplitudes and their σ: y_c = Σ_j a_j F_jc + noise.

The non-negative solution is the best feasible one of all supports (sets of components that are not
zero), hence exact. Weights of Poisson data come from the model, never from the data:
w = 1/(g·max(m, u) + s²) with the expected counts m of the previous round, gain g, floor s², and u
the spectrum of one detected electron in every term, below which an expectation is not believed (no
photon seen does not mean no uncertainty). Rounds end when a step is shorter than 0.02 σ.

The kernels are in :mod:`plkit.physics.nnls_kernels`; numba is imported with the first fit.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FIXED", "POISSON", "VARIANCE", "Fit", "Problem", "cores", "fit_spectra", "structure_moments",
]  # fmt: skip

FIXED: Final = 0
VARIANCE: Final = 1
POISSON: Final = 2
"""Where the weights come from: one row for all spectra, a variance per value, the model."""


@dataclass(frozen=True, slots=True, eq=False)
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
    amplitude, covariance, stderr : ndarray
        Of all terms, shapes (n, terms), (n, terms, terms) and (n, terms).
    fraction, fraction_stderr, corrected, corrected_stderr : ndarray
        Shares of the components, and after division by their brightness; (n, components).
    rms, redchi, structure : ndarray, shape (n,)
        Of the residual.
    status : ndarray of int8, shape (n,)
        0 ok, 1 at a bound, 2 total within its σ of zero, 3 no signal, 4 failed.
    """

    amplitude: NDArray[np.float64]
    covariance: NDArray[np.float64]
    stderr: NDArray[np.float64]
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
_PART: Final = 2**23
"""Bytes of the spectra that one thread takes at a time."""
_WELL_CONDITIONED: Final = 30.0
"""Up to this condition number of the basis single precision costs less than 1e-3 of a σ."""
_NATIVE: Final = (np.uint16, np.float32, np.float64)
"""What the kernels read in place."""
_SINGULAR: Final = 3e6
"""Above this condition number the terms depend on each other."""
_SMALL: Final = (np.int8, np.uint8, np.int16, np.float16)
"""What single precision holds exactly."""


def cores() -> int:
    """How many cores this process may use.

    Returns
    -------
    int
        At least 1.
    """
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _threads(n_spectra: int, wanted: int | None) -> int:
    return max(1, min(cores() if wanted is None else wanted, n_spectra // 512))


def _room(height: int, width: int, dtype: Any) -> NDArray[Any]:
    """C array whose rows start on a cache line each, and not all at the same address modulo 4096.

    Those would push each other out of the first-level cache.
    """
    stride = (width + 15) // 16 * 16 + 80
    size = height * stride
    buffer = np.zeros(size + 64, dtype=dtype)
    skip = -(buffer.ctypes.data // buffer.itemsize) % (64 // buffer.itemsize)
    return buffer[skip : skip + size].reshape(height, stride)


def _aligned(rows: NDArray[Any], dtype: Any) -> NDArray[Any]:
    out = _room(rows.shape[0], rows.shape[1], dtype)
    out[:, : rows.shape[1]] = rows
    return out


def fit_spectra(
    counts: NDArray[Any],
    problem: Problem,
    variance: NDArray[Any] | None = None,
    *,
    threads: int | None = None,
    channels: NDArray[np.bool_] | None = None,
) -> Fit:
    """Fit every spectrum of ``counts``.

    Parameters
    ----------
    counts : ndarray, shape (…, channels)
        ``uint16``, ``float32`` and ``float64`` in C order are read where they lie; others are
        converted a part at a time. NaN and infinite values are left out.
    problem : Problem
        Basis, noise model and constraints.
    variance : ndarray, shape (…, channels), optional
        For mode ``VARIANCE``; values that are not positive and finite are left out.
    threads : int, optional
        Default: all cores of this process; 1 inside another parallel loop.
    channels : ndarray of bool, optional
        Which channels of ``counts`` and ``variance`` the problem is about; default all.

    Returns
    -------
    Fit
        One entry per spectrum.

    Notes
    -----
    Threads are Python's, on kernels that release the GIL: numba's own thread pool stops the
    process when two threads (dask's, say) call it at once. The result of a spectrum depends on
    that spectrum alone, to the last bit.
    """
    rows = _Rows(counts, channels)
    own = None if variance is None else _Rows(variance, channels)
    k, n_channels = problem.basis.shape
    n, n_comp = len(rows), problem.n_components
    share, share_sigma = np.empty((n, n_comp)), np.empty((n, n_comp))
    equal = bool(np.all(problem.brightness == 1.0))
    stats = np.empty((n, 3))
    fit = Fit(
        np.empty((n, k)), np.empty((n, k, k)), np.empty((n, k)), share, share_sigma,
        share if equal else np.empty_like(share), share_sigma if equal else np.empty_like(share),
        stats[:, 0], stats[:, 1], stats[:, 2], np.empty(n, np.int8),
    )  # fmt: skip
    kernel = _kernel(problem, rows.dtype != np.float64)

    def run(start: int, stop: int) -> None:
        part = slice(start, stop)
        kernel(
            rows.part(start, stop), None if own is None else own.part(start, stop),
            fit.amplitude[part], fit.covariance[part], fit.stderr[part], fit.fraction[part], fit.fraction_stderr[part],
            fit.corrected[part], fit.corrected_stderr[part], stats[part], fit.status[part],
        )  # fmt: skip

    workers = _threads(n, threads)
    step = max(64, _PART // max(n_channels * rows.dtype.itemsize, 1))
    edges = np.append(np.arange(0, n, step), n)
    if workers == 1:
        for start, stop in itertools.pairwise(edges):
            run(start, stop)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, edges[:-1], edges[1:]))
    return fit


class _Rows:
    """Spectra as C-ordered parts in a type that the kernels read; the whole is never converted."""

    def __init__(self, values: NDArray[Any], channels: NDArray[np.bool_] | None) -> None:
        self._lead = values.shape[:-1]
        self._count = int(np.prod(self._lead))
        self._values = (
            values.reshape(self._count, values.shape[-1]) if values.flags.c_contiguous else values
        )
        self._channels = None if channels is None or channels.all() else channels
        native = values.dtype.newbyteorder("=")
        small = native in _SMALL
        self.dtype = native if native in _NATIVE else np.dtype(np.float32 if small else np.float64)

    def __len__(self) -> int:
        return self._count

    def part(self, start: int, stop: int) -> NDArray[Any]:
        if self._values.ndim == 2:
            rows = self._values[start:stop]
        else:
            rows = self._values[np.unravel_index(np.arange(start, stop), self._lead)]
        if self._channels is not None:
            rows = rows[:, self._channels]
        return np.ascontiguousarray(rows, dtype=self.dtype)


@functools.lru_cache(maxsize=8)  # blocks of a stream share one problem
def _kernel(problem: Problem, short: bool) -> Callable[..., None]:
    """The compiled kernel with everything that the spectra share; ``short`` for data of at most 32 bit."""
    from plkit.physics.nnls_kernels import UNIFORM, fit_rows

    basis = problem.basis
    n_channels = basis.shape[1]
    size = np.linalg.norm(basis, axis=1)
    scaled = basis / size[:, None]
    condition = np.linalg.cond(scaled)
    work = np.float32 if short and condition < _WELL_CONDITIONED else np.float64
    gram = np.ascontiguousarray(basis @ basis.T)
    inverse = np.zeros_like(gram)
    if condition < _SINGULAR:
        inverse = np.linalg.inv(scaled @ scaled.T) / np.outer(size, size)
    mode = problem.mode
    if mode == FIXED:
        mode = UNIFORM if np.all(problem.weights == 1.0) else VARIANCE
    gain: Any = work(0.0)
    floor: Any = work(0.0)
    limits = 1.0 / problem.weights
    if mode == POISSON:
        limits = problem.gain * problem.least + problem.floor
        gain, floor = problem.gain, problem.floor
        if np.ptp(gain) == 0.0 and np.ptp(floor) == 0.0:
            gain, floor = work(gain[0]), work(floor[0])
        else:
            gain, floor = (_aligned(x[None], work)[0, :n_channels] for x in (gain, floor))
    step = float(np.mean(problem.gain)) / np.maximum(np.abs(basis).sum(axis=1), 1e-300)
    shared = (
        _aligned(basis, work), _aligned(limits[None], work)[0, :n_channels], gain, floor,
        gram, np.ascontiguousarray(inverse), step,
        np.ascontiguousarray(problem.brightness, dtype=np.float64),
        problem.n_components if problem.nonnegative else 0, mode, problem.scale_by_redchi,
        _ROUNDS if mode == POISSON else 1,
        np.array(structure_moments(basis, problem.weights)),
    )  # fmt: skip
    each = problem.mode == VARIANCE
    nothing = np.empty((1, 1))
    k = basis.shape[0]

    def kernel(counts: NDArray[Any], variance: NDArray[Any] | None, *out: NDArray[Any]) -> None:
        room = _room(4, n_channels, work), np.empty((8, k)), np.empty((3, k, k))
        own = nothing if variance is None else variance
        fit_rows(counts, own, each, *shared, *room, *out)  # type: ignore[no-untyped-call]

    return kernel
