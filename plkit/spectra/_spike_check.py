"""A second look at suspected cosmic rays, with a quieter expectation than the first search affords.

The first search compares every value with the median of its neighbours, whose own noise, where few
photons were counted, makes some thousand times more false alarms than rays. For the few values that
it suspects, the expectation is fitted here over the channels around.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["significance"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Channels on either side that may belong to the ray itself and stay out of the fit.
_OWN: Final = 3
_OUTLIER: Final = 4.0
_PER_MAD: Final = 1.4826
# By how much a line narrower than the window may change between neighbours.
_CHANGE: Final = 0.2


def significance(
    target: Floats,
    others: Floats,
    at: NDArray[np.intp],
    variance: Callable[[Floats], Floats],
    median_variance: float,
) -> Floats:
    """How many σ a value stands above what neighbours and the channels around let expect.

    Parameters
    ----------
    target : ndarray, shape (n, channels)
        Suspected values with the channels around them [counts].
    others : ndarray, shape (k, n, channels)
        The same channels of the k neighbours; k = 0 for a lone spectrum.
    at : ndarray, shape (n,)
        Place of the suspected value within its window.
    variance : callable
        Variance [counts²] of one value of a given expectation [counts].
    median_variance : float
        Variance of the median of k values in units of that of one.

    Returns
    -------
    ndarray, shape (n,)
        In units of one σ; +inf where nothing can be compared.

    Notes
    -----
    In the window y = a m + b is fitted with the median m of the neighbours, without the suspected
    value, three channels to either side and outliers; where m holds no structure, a comes out small
    and the expectation is the mean over the channels. Of a variance v that is linear in the
    expectation, 2 (√v(y) − √v(μ))/v′ = 2 (y − μ)/(√v(y) + √v(μ)) is close to normal down to a few
    photons, where (y − μ)/√v(μ) has a long tail upwards.

    References
    ----------
    F. J. Anscombe, Biometrika 35, 246 (1948), doi:10.1093/biomet/35.3-4.246

    Examples
    --------
    >>> y = np.full((1, 21), 100.0)
    >>> y[0, 10] = 225.0
    >>> z = significance(y, np.full((4, 1, 21), 100.0), np.array([10]), lambda e: e, 0.298)
    >>> print(z.round(1))  # 2 (15 - 10), and the noise of the expectation
    [9.7]
    """
    rows = np.arange(at.size)
    channel = np.arange(target.shape[1])
    free = np.abs(channel - at[:, None]) > _OWN
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(others, axis=0)
    free &= np.isfinite(middle) & np.isfinite(target)
    known = np.isfinite(middle[rows, at]) & (free.sum(axis=1) >= 4)
    m = np.where(np.isfinite(middle), middle, 0.0)
    y = np.where(np.isfinite(target), target, 0.0)
    slope, level = _line(m, y, free)
    rest = np.where(free, np.abs(y - slope * m - level), np.nan)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        scatter = _PER_MAD * np.nanmedian(rest, axis=1, keepdims=True)
    clean = free & (rest <= _OUTLIER * scatter)
    slope, level = _line(m, y, clean)
    count = np.maximum(clean.sum(axis=1), 1)
    expected = slope[:, 0] * m[rows, at] + level[:, 0]
    spread = np.sum(np.where(clean, (m - _mean(m, clean)) ** 2, 0.0), axis=1)
    lever = (m[rows, at] - _mean(m, clean)[:, 0]) ** 2 / np.where(spread > 0, spread, 1.0)
    here = target[rows, at]
    # a crest that stands beyond all that was fitted may have changed by a part of its height
    crest = m[rows, at] - _mean(m, clean)[:, 0]
    change = (_CHANGE * crest) ** 2 / np.maximum(variance(expected), 1e-300)
    factor = 1.0 + slope[:, 0] ** 2 * median_variance + 1.0 / count + np.minimum(lever, change)
    both = np.sqrt(variance(here)) + np.sqrt(variance(expected))
    z = 2.0 * (here - expected) / np.maximum(both, 1e-300) / np.sqrt(factor)
    return np.asarray(np.where(known, z, np.inf))


def _mean(values: Floats, use: Bools) -> Floats:
    total = np.where(use, values, 0.0).sum(axis=1, keepdims=True)
    return np.asarray(total / np.maximum(use.sum(axis=1, keepdims=True), 1))


def _line(m: Floats, y: Floats, use: Bools) -> tuple[Floats, Floats]:
    """Least-squares slope and level of y over m in each row, columns (n, 1)."""
    dm, dy = m - _mean(m, use), y - _mean(y, use)
    power = np.sum(np.where(use, dm**2, 0.0), axis=1, keepdims=True)
    slope = np.sum(np.where(use, dm * dy, 0.0), axis=1, keepdims=True)
    slope = slope / np.where(power > 0, power, 1.0)
    return np.asarray(slope), np.asarray(_mean(y, use) - slope * _mean(m, use))
