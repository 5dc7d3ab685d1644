"""Rate laws: how a signal falls or rises in time.

Every function takes plain numbers or arrays and broadcasts. A gradient has the parameters along
its last axis, in the order of :data:`BIEXPONENTIAL_PARAMETERS`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "BIEXPONENTIAL_PARAMETERS",
    "biexponential_decay",
    "biexponential_gradient",
    "biexponential_is_identifiable",
    "biexponential_rise",
    "conversion",
    "conversion_gradient",
    "conversion_limit",
    "conversion_limit_gradient",
    "exponential_decay",
    "mean_rate",
    "mean_rate_gradient",
    "stretched_decay",
]

Floats = NDArray[np.float64]

BIEXPONENTIAL_PARAMETERS: Final = ("k01", "k1", "k02", "k2", "plateau")
"""Order of the parameters in every array and covariance of a biexponential fit."""


def exponential_decay(
    t: ArrayLike, amplitude: ArrayLike, rate: ArrayLike, plateau: ArrayLike = 0.0
) -> Floats:
    """Fall of one exponential to a plateau.

    Parameters
    ----------
    t : array_like
        Time [s].
    amplitude, plateau : array_like
        In the unit of the signal.
    rate : array_like
        [1/s].

    Returns
    -------
    numpy.ndarray
        amplitude · exp(−rate t) + plateau.

    Examples
    --------
    >>> round(float(exponential_decay(10.0, 0.7, 0.1, 0.3)), 6)
    0.557516
    """
    return np.asarray(
        np.asarray(amplitude) * np.exp(-np.asarray(rate) * np.asarray(t)) + np.asarray(plateau)
    )


def biexponential_decay(
    t: ArrayLike,
    k01: ArrayLike,
    k1: ArrayLike,
    k02: ArrayLike,
    k2: ArrayLike,
    plateau: ArrayLike = 0.0,
) -> Floats:
    """Fall of two exponentials to a plateau: the share of the phase that disappears.

    Parameters
    ----------
    t : array_like
        Time [s].
    k01, k02 : array_like
        Weights of the two rates, in the unit of the signal.
    k1, k2 : array_like
        Rates [1/s].
    plateau : array_like, optional
        Value at infinite time, in the unit of the signal.

    Returns
    -------
    numpy.ndarray
        k01 exp(−k1 t) + k02 exp(−k2 t) + plateau.

    References
    ----------
    da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), doi:10.1021/acsami.4c19234,
    without the plateau.

    Examples
    --------
    >>> round(float(biexponential_decay(0.0, 0.4, 0.04, 0.3, 0.005, 0.3)), 12)
    1.0
    """
    return np.asarray(exponential_decay(t, k01, k1) + exponential_decay(t, k02, k2, plateau))


def biexponential_rise(
    t: ArrayLike,
    k01: ArrayLike,
    k1: ArrayLike,
    k02: ArrayLike,
    k2: ArrayLike,
    plateau: ArrayLike = 0.0,
) -> Floats:
    """Rise that mirrors :func:`biexponential_decay`: the share of the phase that appears.

    Parameters
    ----------
    t : array_like
        Time [s].
    k01, k02 : array_like
        Weights of the two rates [1].
    k1, k2 : array_like
        Rates [1/s].
    plateau : array_like, optional
        What remains of the other phase at infinite time [1].

    Returns
    -------
    numpy.ndarray
        1 − [k01 exp(−k1 t) + k02 exp(−k2 t) + plateau].

    Examples
    --------
    >>> round(float(biexponential_rise(0.0, 0.4, 0.04, 0.3, 0.005, 0.3)), 12)
    0.0
    """
    return np.asarray(1.0 - biexponential_decay(t, k01, k1, k02, k2, plateau))


def biexponential_gradient(
    t: ArrayLike, k01: ArrayLike, k1: ArrayLike, k02: ArrayLike, k2: ArrayLike
) -> Floats:
    """Derivatives of :func:`biexponential_decay` with respect to its five parameters.

    Parameters
    ----------
    t : array_like
        Time [s].
    k01, k02 : array_like
        Weights.
    k1, k2 : array_like
        Rates [1/s].

    Returns
    -------
    numpy.ndarray
        Shape (…, 5) in the order k01, k1, k02, k2, plateau.

    Examples
    --------
    >>> biexponential_gradient(0.0, 0.4, 0.04, 0.3, 0.005).tolist()
    [1.0, -0.0, 1.0, -0.0, 1.0]
    """
    time = np.asarray(t, dtype=float)
    e1, e2 = exponential_decay(time, 1.0, k1), exponential_decay(time, 1.0, k2)
    columns = (e1, -np.asarray(k01) * time * e1, e2, -np.asarray(k02) * time * e2, np.ones_like(e1))
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def stretched_decay(
    t: ArrayLike,
    amplitude: ArrayLike,
    rate: ArrayLike,
    exponent: ArrayLike,
    plateau: ArrayLike = 0.0,
) -> Floats:
    """Fall of a stretched exponential: a distribution of rates in one parameter.

    Parameters
    ----------
    t : array_like
        Time, not negative [s].
    amplitude, plateau : array_like
        In the unit of the signal.
    rate : array_like
        [1/s].
    exponent : array_like
        Stretching exponent, 0 < exponent ≤ 1; 1 is a plain exponential.

    Returns
    -------
    numpy.ndarray
        amplitude · exp(−(rate t)^exponent) + plateau.

    Examples
    --------
    >>> round(float(stretched_decay(10.0, 1.0, 0.1, 0.5)), 6)
    0.367879
    """
    phase = np.asarray(rate, dtype=float) * np.maximum(np.asarray(t, dtype=float), 0.0)
    return np.asarray(
        np.asarray(amplitude) * np.exp(-(phase ** np.asarray(exponent))) + np.asarray(plateau)
    )


def mean_rate(k01: ArrayLike, k1: ArrayLike, k02: ArrayLike, k2: ArrayLike) -> Floats:
    """Mean of two rates, weighted by the amplitudes that decay.

    Parameters
    ----------
    k01, k02 : array_like
        Weights.
    k1, k2 : array_like
        Rates [1/s].

    Returns
    -------
    numpy.ndarray
        ⟨k⟩ = (k01 k1 + k02 k2)/(k01 + k02) [1/s]; NaN where both weights are zero.

    References
    ----------
    da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> round(float(mean_rate(0.6, 0.04, 0.4, 0.005)), 12)
    0.026
    """
    weight = np.asarray(k01, dtype=float) + np.asarray(k02, dtype=float)
    total = np.asarray(k01) * np.asarray(k1) + np.asarray(k02) * np.asarray(k2)
    return np.asarray(np.divide(total, weight, out=np.full_like(total, np.nan), where=weight != 0))


def mean_rate_gradient(k01: ArrayLike, k1: ArrayLike, k02: ArrayLike, k2: ArrayLike) -> Floats:
    """Derivatives of :func:`mean_rate` with respect to the five parameters of the biexponential.

    Parameters
    ----------
    k01, k02 : array_like
        Weights.
    k1, k2 : array_like
        Rates [1/s].

    Returns
    -------
    numpy.ndarray
        Shape (…, 5) in the order k01, k1, k02, k2, plateau; the last is zero.

    Examples
    --------
    >>> mean_rate_gradient(0.5, 0.04, 0.5, 0.02).round(6).tolist()
    [0.01, 0.5, -0.01, 0.5, 0.0]
    """
    mean = mean_rate(k01, k1, k02, k2)
    weight = np.asarray(k01, dtype=float) + np.asarray(k02, dtype=float)
    weight = np.where(weight == 0, np.nan, weight)
    columns = (
        (np.asarray(k1) - mean) / weight,
        np.asarray(k01) / weight,
        (np.asarray(k2) - mean) / weight,
        np.asarray(k02) / weight,
        np.zeros_like(mean),
    )
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def conversion(
    t: ArrayLike,
    k01: ArrayLike,
    k1: ArrayLike,
    k02: ArrayLike,
    k2: ArrayLike,
    plateau: ArrayLike = 0.0,
) -> Floats:
    """Share of the original phase that has gone by the time ``t``.

    With g = 1 − f the growing component, φ(t) = [g(t) − g(0)]/[1 − g(0)] = [f(0) − f(t)]/f(0).

    Parameters
    ----------
    t : array_like
        Time [s].
    k01, k02, plateau : array_like
        Weights and plateau of the falling component f.
    k1, k2 : array_like
        Rates [1/s].

    Returns
    -------
    numpy.ndarray
        φ(t) [1]; NaN where f(0) is zero.

    Examples
    --------
    >>> round(float(conversion(1e9, 0.4, 0.04, 0.3, 0.005, 0.3)), 12)
    0.7
    """
    start = biexponential_decay(0.0, k01, k1, k02, k2, plateau)
    fallen = start - biexponential_decay(t, k01, k1, k02, k2, plateau)
    start = np.broadcast_to(start, fallen.shape)
    return np.asarray(np.divide(fallen, start, out=np.full_like(fallen, np.nan), where=start != 0))


def conversion_gradient(
    t: ArrayLike,
    k01: ArrayLike,
    k1: ArrayLike,
    k02: ArrayLike,
    k2: ArrayLike,
    plateau: ArrayLike = 0.0,
) -> Floats:
    """Derivatives of :func:`conversion` with respect to its five parameters.

    Parameters
    ----------
    t : array_like
        Time [s].
    k01, k02, plateau : array_like
        Weights and plateau of the falling component.
    k1, k2 : array_like
        Rates [1/s].

    Returns
    -------
    numpy.ndarray
        Shape (…, 5) in the order k01, k1, k02, k2, plateau.

    Notes
    -----
    φ = 1 − f(t)/f(0), hence ∂φ/∂p = −[∂f(t)/∂p − (f(t)/f(0)) ∂f(0)/∂p]/f(0).

    Examples
    --------
    >>> conversion_gradient(1e9, 0.4, 0.04, 0.3, 0.005, 0.3).round(6).tolist()
    [0.3, 0.0, 0.3, 0.0, -0.7]
    """
    start = biexponential_decay(0.0, k01, k1, k02, k2, plateau)
    start = np.where(start == 0, np.nan, start)[..., None]
    ratio = biexponential_decay(t, k01, k1, k02, k2, plateau)[..., None] / start
    at_t = biexponential_gradient(t, k01, k1, k02, k2)
    at_0 = biexponential_gradient(np.zeros_like(np.asarray(t, float)), k01, k1, k02, k2)
    # "+ 0.0" turns −0.0 into 0.0.
    return np.asarray(-(at_t - ratio * at_0) / start + 0.0)


def conversion_limit(k01: ArrayLike, k02: ArrayLike, plateau: ArrayLike) -> Floats:
    """Conversion at infinite time.

    Parameters
    ----------
    k01, k02, plateau : array_like
        Weights and plateau of the falling component.

    Returns
    -------
    numpy.ndarray
        φ∞ = (k01 + k02)/(k01 + k02 + plateau) [1]; NaN where the sum is zero.

    Examples
    --------
    >>> round(float(conversion_limit(0.4, 0.3, 0.3)), 12)
    0.7
    """
    fallen = np.asarray(k01, dtype=float) + np.asarray(k02, dtype=float)
    start = fallen + np.asarray(plateau, dtype=float)
    return np.asarray(np.divide(fallen, start, out=np.full_like(start, np.nan), where=start != 0))


def conversion_limit_gradient(k01: ArrayLike, k02: ArrayLike, plateau: ArrayLike) -> Floats:
    """Derivatives of :func:`conversion_limit` with respect to the five parameters.

    Parameters
    ----------
    k01, k02, plateau : array_like
        Weights and plateau of the falling component.

    Returns
    -------
    numpy.ndarray
        Shape (…, 5) in the order k01, k1, k02, k2, plateau; those of the rates are zero.

    Examples
    --------
    >>> conversion_limit_gradient(0.4, 0.3, 0.3).round(6).tolist()
    [0.3, 0.0, 0.3, 0.0, -0.7]
    """
    fallen = np.asarray(k01, dtype=float) + np.asarray(k02, dtype=float)
    start = fallen + np.asarray(plateau, dtype=float)
    square = np.where(start == 0, np.nan, start) ** 2
    by_weight, by_plateau = np.asarray(plateau) / square, -fallen / square
    zero = np.zeros_like(by_plateau)
    columns = (by_weight, zero, by_weight, zero, by_plateau)
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def biexponential_is_identifiable(
    values: Floats, covariance: Floats, record_s: ArrayLike
) -> NDArray[np.bool_]:
    """Tell where the data determine both exponentials.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (…, 5): k01, k1, k02, k2, plateau with k1 ≥ k2.
    covariance : numpy.ndarray
        Shape (…, 5, 5); NaN where a parameter has no σ.
    record_s : array_like
        Time from the first to the last point of the trace [s].

    Returns
    -------
    numpy.ndarray of bool
        False where a rate has no σ, where ln(k1/k2) is within its σ of zero, where 1/k2 is longer
        than the record, or where k01 or k02 is within its σ of zero.

    Examples
    --------
    >>> v, c = np.array([0.4, 0.04, 0.3, 0.01, 0.3]), np.diag([1e-4, 1e-6, 1e-4, 1e-7, 1e-4])
    >>> biexponential_is_identifiable(v, c, np.array([500.0, 50.0])).tolist()
    [True, False]
    """
    k01, k1, k02, k2 = (values[..., i] for i in range(4))
    s01, s1, s02, s2 = (np.sqrt(np.maximum(covariance[..., i, i], 0.0)) for i in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log(k1 / k2)
        variance = (s1 / k1) ** 2 + (s2 / k2) ** 2 - 2.0 * covariance[..., 1, 3] / (k1 * k2)
        # A comparison with NaN is False: what has no σ is not identifiable.
        return np.asarray(
            (apart > np.sqrt(np.maximum(variance, 0.0)))
            & (k2 * np.asarray(record_s) >= 1.0)
            & (k01 > s01)
            & (k02 > s02)
        )
