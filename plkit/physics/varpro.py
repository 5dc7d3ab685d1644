"""Biexponential fits by variable projection, compiled.

The model k01 exp(−k1 t) + k02 exp(−k2 t) + plateau is linear in three of its five parameters. For
given rates the amplitudes follow from non-negative least squares (all supports are tried, so the
answer is exact), and only ln k1, ln k2 are searched: on a coarse grid of pairs first, which needs
no starting values and finds the basin of the global minimum, then by Levenberg–Marquardt with the
projected Jacobian. A last Gauss–Newton step in all parameters, from explicit residuals, removes
what the normal equations lost to rounding.

The kernels are in :mod:`plkit.physics.varpro_kernels`; numba is imported with the first fit.

References
----------
Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), doi:10.1137/0710036; the projected Jacobian
in the form of Kaufman, BIT 15, 49 (1975), doi:10.1007/BF01932995.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_biexponential", "rate_bounds"]

Floats = NDArray[np.float64]

N_GRID: Final = 24
"""Rates of the starting grid; 276 pairs."""


def rate_bounds(time: Floats) -> tuple[float, float]:
    """Range in which rates are searched.

    Parameters
    ----------
    time : numpy.ndarray
        Ascending times of a trace, at least two different ones [s].

    Returns
    -------
    tuple of float
        From a twentieth of 1/record to two per shortest step [1/s].

    Examples
    --------
    >>> tuple(round(k, 6) for k in rate_bounds(np.arange(0.0, 501.0)))
    (0.0001, 2.0)
    """
    steps = np.diff(time)
    return 0.05 / float(time[-1] - time[0]), 2.0 / float(np.min(steps[steps > 0]))


def fit_biexponential(
    time: Floats, signal: Floats, weight: Floats, *, plateau: bool = True, threads: int = 1
) -> tuple[Floats, Floats, Floats, NDArray[np.int64], NDArray[np.int8]]:
    """Fit k01 exp(−k1 t) + k02 exp(−k2 t) + plateau to every row, without starting values.

    Parameters
    ----------
    time : numpy.ndarray
        Shape (n,), ascending, at least two different values [s].
    signal : numpy.ndarray
        Shape (rows, n); what stands where the weight is zero is not used.
    weight : numpy.ndarray
        Shape (rows, n): 1/σ², zero for a gap.
    plateau : bool, optional
        False fixes the plateau at zero.
    threads : int, optional
        Number of threads that share the rows.

    Returns
    -------
    values : numpy.ndarray
        Shape (rows, 5): k01, k1, k02, k2, plateau with k1 ≥ k2 and amplitudes ≥ 0; NaN where a
        row has fewer points than parameters.
    covariance : numpy.ndarray
        Shape (rows, 5, 5), for the weights as they are, not scaled by χ². NaN for the rate of an
        amplitude of zero and for a singular matrix; zero for a plateau that is fixed.
    chisqr, nfev, code : numpy.ndarray
        Shape (rows,); code is 0 converged, 1 not converged, 2 too few points.

    Examples
    --------
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> y = 0.4 * np.exp(-0.04 * t) + 0.3 * np.exp(-0.005 * t) + 0.3
    >>> fit_biexponential(t, y[None], np.ones((1, t.size)))[0].round(8).tolist()
    [[0.4, 0.04, 0.3, 0.005, 0.3]]
    """
    from plkit.physics.varpro_kernels import fit_rows

    t = np.ascontiguousarray(time, dtype=np.float64)
    w = np.ascontiguousarray(weight, dtype=np.float64)
    y = np.ascontiguousarray(np.where(w > 0.0, signal, 0.0), dtype=np.float64)
    rows = y.shape[0]
    values, covariance = np.full((rows, 5), np.nan), np.full((rows, 5, 5), np.nan)
    chi2, nfev, code = np.full(rows, np.nan), np.zeros(rows, np.int64), np.zeros(rows, np.int8)
    slow, fast = rate_bounds(t)
    grid = np.linspace(math.log(3.0 * slow), math.log(fast), N_GRID)
    columns = np.vstack([np.exp(-np.exp(grid)[:, None] * t), np.ones_like(t)])
    shared = w.mean(axis=0) if rows else np.ones_like(t)
    bounds = (math.log(slow), math.log(fast))

    def fit(part: slice) -> None:
        fit_rows(
            t, y[part], w[part], bounds, plateau, grid, columns, shared,
            values[part], covariance[part], chi2[part], nfev[part], code[part],
        )  # fmt: skip

    if threads > 1 and rows >= 64 * threads:
        from concurrent.futures import ThreadPoolExecutor

        edges = np.linspace(0, rows, 4 * threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fit, map(slice, edges[:-1], edges[1:])))
    else:
        fit(slice(0, rows))
    return values, covariance, chi2, nfev, code
