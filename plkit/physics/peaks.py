"""The highest peak of a spectrum: energy, width and height with their σ.

A line of density f(E) gives bandwidth · f(E) counts in a channel, above a background that is constant
from channel to channel. Weights come from the model, w = 1/(gain·model + floor), never from the counts.

The kernels are in :mod:`plkit.physics.peak_kernels`; numba is imported with the first fit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.nnls import cores

__all__ = ["COLUMNS", "METHODS", "STATUS", "Problem", "fit_spectra"]

Floats = NDArray[np.float64]

METHODS: Final = ("parabola", "centroid", "gaussian", "asymmetric")
STATUS: Final = ("ok", "at_bound", "not_identifiable", "no_signal", "failed")
COLUMNS: Final = (
    "peak_energy", "peak_energy_stderr", "peak_width", "peak_width_stderr",
    "peak_intensity", "peak_intensity_stderr", "redchi",
)  # fmt: skip
"""What is found of every spectrum."""

_PART: Final = 2**18
"""Values that one thread takes at a time."""
_LEAST_ROWS: Final = 128
"""Spectra that are worth a thread."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What all spectra share.

    Parameters
    ----------
    energy : ndarray, shape (channels,)
        Photon energies, ascending [eV].
    bandwidth : ndarray, shape (channels,)
        Length of a channel in energy, in any unit [1]: ones on an axis of energy.
    order : ndarray of int, shape (channels,)
        Where these channels stand in the spectra.
    method : str
        One of ``METHODS``.
    gain, floor : ndarray, shape (channels,), optional
        Variance = gain · expected + floor > 0. [counts], [counts²]. By default weights are equal, and
        σ comes from the residuals.

    Examples
    --------
    >>> energy = np.linspace(1.8, 2.2, 201)
    >>> y = 5.0 + 100.0 * np.exp(-4.0 * np.log(2.0) * ((energy - 2.0) / 0.08) ** 2)
    >>> problem = Problem(energy, np.ones(201), np.arange(201), "gaussian", np.ones(201), np.zeros(201))
    >>> values, status = fit_spectra(y[None], problem)
    >>> print(f"{values[0, 0]:.6f} ± {values[0, 1]:.6f}, {values[0, 2]:.6f}, {status[0]}")
    2.000000 ± 0.000591, 0.080000, 0
    """

    energy: Floats
    bandwidth: Floats
    order: NDArray[np.intp]
    method: str
    gain: Floats | None = None
    floor: Floats | None = None


def fit_spectra(
    counts: NDArray[Any],
    problem: Problem,
    *,
    threads: int | None = None,
    done: Callable[[int], object] | None = None,
) -> tuple[Floats, NDArray[np.int8]]:
    """Find and fit the highest peak of every spectrum of ``counts``.

    Parameters
    ----------
    counts : ndarray, shape (…, all channels)
        Of any real type and memory order; converted a part at a time. NaN and infinite values are left
        out of their spectrum.
    problem : Problem
        Axis, noise model and method.
    threads : int, optional
        Default: all cores of this process; 1 inside another parallel loop.
    done : callable, optional
        Called with the number of spectra whenever a part is done, by the thread that called.

    Returns
    -------
    values : ndarray, shape (…, 7)
        ``COLUMNS``: energy and width [eV], height [counts in a channel of the data's own axis], each
        followed by its σ; reduced χ² [1], NaN for the centroid.
    status : ndarray of int8, shape (…)
        As in ``STATUS``; values of 3 and 4 are NaN.

    Notes
    -----
    Threads are Python's, on a kernel that releases the GIL: numba's own thread pool stops the process
    when two threads (dask's, say) call it at once. The result of a spectrum depends on that spectrum
    alone, to the last bit.
    """
    lead = counts.shape[:-1]
    n, channels = int(np.prod(lead)), problem.energy.size
    values = np.full((n, len(COLUMNS)), np.nan)
    status = np.full(n, STATUS.index("no_signal"), dtype=np.int8)
    if n and channels >= 3:
        whole = counts.flags.c_contiguous or counts.ndim < 3  # a view, with the leading dims in one
        flat = counts.reshape(n, counts.shape[-1]) if whole else counts
        run = _runner(flat, lead, problem, values, status)
        step = max(32, _PART // channels)
        edges = np.append(np.arange(0, n, step), n).tolist()
        parts = list(itertools.pairwise(edges))
        workers = max(1, min(cores() if threads is None else threads, n // _LEAST_ROWS))
        if workers == 1:
            _each(map(run, parts), done)
        else:
            with ThreadPoolExecutor(workers) as pool:
                _each(pool.map(run, parts), done)
    return values.reshape(*lead, len(COLUMNS)), status.reshape(lead)


def _each(sizes: Any, done: Callable[[int], object] | None) -> None:
    for size in sizes:
        if done is not None:
            done(size)


def _runner(
    counts: NDArray[Any],
    lead: tuple[int, ...],
    problem: Problem,
    values: Floats,
    status: NDArray[np.int8],
) -> Callable[[tuple[int, int]], int]:
    """The compiled kernel on a part of the spectra; ``counts`` is flat, or has the leading dims."""
    from plkit.physics import peak_kernels as kernels

    n = problem.energy.size
    given = np.stack([
        problem.energy, problem.bandwidth,
        np.zeros(n) if problem.gain is None else problem.gain,
        np.ones(n) if problem.floor is None else problem.floor,
    ])  # fmt: skip
    noisy, method = problem.gain is not None, METHODS.index(problem.method)
    order = _as_slice(problem.order)
    width = n + 2 * kernels.margin(n) + kernels.STRETCH
    width += 8 * (width % 512 == 0)  # rows at one address modulo 4096 push each other out

    def run(part: tuple[int, int]) -> int:
        first, last = part
        rows: Any = slice(first, last)
        if counts.ndim != 2:
            rows = np.unravel_index(np.arange(first, last), lead)
        some = np.ascontiguousarray(counts[rows][..., order], dtype=np.float64)
        rooms = [
            np.zeros((kernels.ROOM[name], width)) for name in ("axis", "axis", "room", "window")
        ]
        tables = [np.zeros(shape) for shape in kernels.TABLES.values()]
        kernels.fit_rows(  # type: ignore[call-arg, no-untyped-call]
            some.reshape(last - first, n), given, noisy, method, *rooms, *tables,
            values[first:last], status[first:last],
        )  # fmt: skip
        return last - first

    return run


def _as_slice(order: NDArray[np.intp]) -> Any:
    """Neighbours one after the other, in either direction, as a slice: read three times as quickly."""
    if order.size > 1:
        step = int(order[1] - order[0])
        if abs(step) == 1 and np.all(np.diff(order) == step):
            stop = int(order[-1]) + step
            return slice(int(order[0]), None if stop < 0 else stop, step)
    return order
