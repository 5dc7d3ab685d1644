"""Spectra as whole numbers: finer than their noise, coarse enough to be mailed.

A reading becomes a code of 16 bits, code 0 where there is no number. Where the noise is known the
steps grow with it, so that a weak and a strong reading lose equally little; else they are even.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["STEP_SIGMA", "Scale", "decoded", "encoded", "even_scale", "noise_scale", "scatter_of"]

STEP_SIGMA: Final = 0.5
"""Step between codes in σ of one reading: rounding then adds 2 % to the variance, 1 % to σ."""

_LARGEST: Final = 65535


@dataclass(frozen=True)
class Scale:
    """How codes stand for readings.

    Parameters
    ----------
    start : float
        Of code 1: a reading where ``knee`` is 0, else its root (see below).
    step : float
        From one code to the next, as ``start``.
    knee : float
        Reading [counts] at which photon noise overtakes that of the dark; 0 for even steps.

    Notes
    -----
    With u = start + step · (code − 1) the reading is u for even steps, else
    sign(u) · knee · ((\\|u\\| + 1)² − 1): its steps grow as √(\\|reading\\|/knee + 1), as the noise does.
    """

    start: float
    step: float
    knee: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return what the page needs to read codes."""
        return {"start": self.start, "step": self.step, "knee": self.knee}


def _root(values: NDArray[Any], knee: float) -> NDArray[np.float64]:
    v = np.asarray(values, dtype=np.float64)
    if knee <= 0:
        return v
    return np.asarray(np.sign(v) * (np.sqrt(np.abs(v) / knee + 1.0) - 1.0))


def noise_scale(low: float, high: float, gain: float, floor: float) -> Scale:
    """Steps of half a σ for readings whose variance is gain · |reading| + floor.

    Parameters
    ----------
    low, high : float
        Least and largest reading [counts].
    gain : float
        Counts per detected electron.
    floor : float
        Variance in the dark [counts²]; at least that of one electron is taken.

    Returns
    -------
    Scale
        Coarser than asked for where 65535 codes would not do.

    Examples
    --------
    >>> scale = noise_scale(0.0, 1e4, gain=1.0, floor=25.0)
    >>> values = np.array([0.0, 100.0, 1e4])
    >>> off = np.abs(decoded(encoded(values, scale), scale) - values) / np.sqrt(values + 25.0)
    >>> bool((off < 0.26).all())
    True
    """
    dark = max(floor, gain**2)
    knee = dark / gain
    ends = _root(np.array([low, high]), knee)
    # A step in the root is half the step of the reading over knee · (|u| + 1), and σ = √dark (|u| + 1).
    step = STEP_SIGMA * gain / (2.0 * np.sqrt(dark))
    return _fitted(float(ends[0]), float(ends[1]), float(step), float(knee))


def even_scale(low: float, high: float, scatter: float, *, whole: bool = False) -> Scale:
    """Even steps of half the scatter; whole counts where these are no coarser.

    Parameters
    ----------
    low, high : float
        Least and largest reading.
    scatter : float
        Noise as it is seen from channel to channel; 0 where there is none.
    whole : bool, optional
        Whether readings are whole numbers.

    Returns
    -------
    Scale
        With at most 65535 codes.

    Examples
    --------
    >>> even_scale(0.0, 4095.0, 1.2, whole=True).step
    1.0
    """
    step = STEP_SIGMA * scatter
    if whole:
        step = max(1.0, float(np.floor(step)))
    return _fitted(low, high, step, 0.0)


def _fitted(start: float, end: float, step: float, knee: float) -> Scale:
    finest = (end - start) / (_LARGEST - 2)
    return Scale(start, max(step, finest) or 1.0, knee)


def encoded(values: NDArray[Any], scale: Scale) -> NDArray[np.uint16]:
    """Codes of readings; 0 where there is no number.

    Parameters
    ----------
    values : numpy.ndarray
        Readings within the ends of the scale.
    scale : Scale
        From :func:`noise_scale` or :func:`even_scale`.

    Returns
    -------
    numpy.ndarray of uint16
        Of the same shape.
    """
    u = _root(values, scale.knee)
    good = np.isfinite(u)
    codes = np.rint((np.where(good, u, scale.start) - scale.start) / scale.step) + 1.0
    return np.where(good, np.clip(codes, 1, _LARGEST), 0).astype(np.uint16)


def decoded(codes: NDArray[np.uint16], scale: Scale) -> NDArray[np.float64]:
    """Readings that the page shows for codes.

    Parameters
    ----------
    codes : numpy.ndarray of uint16
        From :func:`encoded`.
    scale : Scale
        The same.

    Returns
    -------
    numpy.ndarray
        NaN for code 0.
    """
    u = scale.start + scale.step * (codes.astype(np.float64) - 1.0)
    if scale.knee > 0:
        u = np.sign(u) * scale.knee * ((np.abs(u) + 1.0) ** 2 - 1.0)
    return np.where(codes == 0, np.nan, u)


def scatter_of(spectra: NDArray[Any]) -> float:
    """Noise of the quieter spectra, from how each channel differs from its two neighbours.

    Parameters
    ----------
    spectra : numpy.ndarray
        (…, channels).

    Returns
    -------
    float
        One σ; 0 where there are fewer than five channels, or no noise.

    Notes
    -----
    The median of \\|I(i−1) − 2 I(i) + I(i+1)\\| of normal noise is 0.6745 √6 σ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> abs(scatter_of(rng.normal(50.0, 2.0, (40, 500))) - 2.0) < 0.25
    True
    """
    rows = np.asarray(spectra, dtype=np.float64).reshape(-1, spectra.shape[-1])
    if rows.shape[1] < 5:
        return 0.0
    bends = np.abs(rows[:, :-2] - 2.0 * rows[:, 1:-1] + rows[:, 2:])
    rows_known = np.isfinite(bends).any(axis=1)
    if not rows_known.any():
        return 0.0
    each = np.nanmedian(bends[rows_known], axis=1) / (0.6745 * np.sqrt(6.0))
    each = each[each > 0]
    return float(np.percentile(each, 10.0)) if each.size else 0.0
