"""Is there a peak, where about, how wide: the start of every method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spectra", "Start", "find_start"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# A maximum counts as a peak from here on, in σ of the running mean it was found in. Of all running
# means the narrowest is taken in which the maximum is clear.
_SEEN: Final = 5.0
_CLEAR: Final = 8.0
_SMOOTH: Final = 7


@dataclass(frozen=True, slots=True)
class Spectra:
    """Spectra (row, channel) in counts per channel, on ascending energies [eV].

    ``counts`` is bridged where ``good`` is False. Counts per interval of energy are
    counts/bandwidth; background, gain and floor (channel) belong to ``counts``.
    """

    energy: Floats
    bandwidth: Floats
    counts: Floats
    good: Bools
    gain: Floats | None
    floor: Floats | None

    def take(self, rows: NDArray[np.intp]) -> Spectra:
        """Some of the rows."""
        return replace(self, counts=self.counts[rows], good=self.good[rows])

    def variance(self, expected: Floats) -> Floats:
        """Variance of each value, by the noise model or the scatter of neighbouring channels."""
        if self.gain is not None and self.floor is not None:
            return np.asarray(self.gain * np.maximum(expected, 0.0) + self.floor)
        return _local_scatter(self.counts)


@dataclass(frozen=True, slots=True)
class Start:
    """First guesses per row; ``seen`` is False where nothing rises above the noise."""

    centre: Floats
    fwhm: Floats
    height: Floats
    background: Floats
    background_var: Floats
    seen: Bools


def running_mean(y: Floats, size: int) -> Floats:
    """Mean over ``size`` channels, mirrored at the ends."""
    if size <= 1 or y.shape[-1] < 2:
        return y
    from scipy.ndimage import uniform_filter1d

    return np.asarray(uniform_filter1d(y, size, axis=-1, mode="mirror"))


def _local_scatter(y: Floats) -> Floats:
    """Variance from second differences, averaged over some channels around."""
    if y.shape[-1] < 3:
        return np.zeros_like(y)
    square = (y[:, :-2] - 2.0 * y[:, 1:-1] + y[:, 2:]) ** 2 / 6.0
    padded = np.pad(square, ((0, 0), (1, 1)), mode="edge")
    return running_mean(padded, min(15, y.shape[-1]))


def _edges(spectra: Spectra, expected: Floats) -> tuple[Floats, Floats]:
    """Background from both ends: their mean where they agree, else the lower one."""
    n = spectra.energy.size
    size = max(1, n // 16)
    var = spectra.variance(expected)
    ends = []
    for part in (slice(0, size), slice(n - size, n)):
        ends.append((spectra.counts[:, part].mean(axis=1), var[:, part].sum(axis=1) / size**2))
    (a, va), (b, vb) = ends
    agree = np.abs(a - b) <= 3.0 * np.sqrt(np.maximum(va + vb, 0.0))
    level = np.where(agree, 0.5 * (a + b), np.minimum(a, b))
    level_var = np.where(agree, 0.25 * (va + vb), np.where(a < b, va, vb))
    return level, level_var


def find_start(spectra: Spectra) -> Start:
    """Find the highest peak of every row.

    Parameters
    ----------
    spectra : Spectra
        Of at least three channels.

    Returns
    -------
    Start
        Centre, full width [eV], height and background [counts] of every row.
    """
    energy, y = spectra.energy, spectra.counts
    rows, n = y.shape
    background, background_var = _edges(spectra, running_mean(y, min(_SMOOTH, n)))
    best = np.full(rows, -np.inf)
    chosen = y.copy()
    settled = np.zeros(rows, dtype=bool)
    size = 1
    while size <= max(1, n // 4):
        smooth = running_mean(y, size)
        rise = smooth - background[:, None]
        expected = np.maximum(smooth, background[:, None])
        var = spectra.variance(expected)
        if spectra.gain is None:
            # not less than the average: where few photons fall, few channels show no scatter
            var = np.maximum(var, var.mean(axis=1, keepdims=True))
        sigma = np.sqrt(var / size + background_var[:, None])
        z = np.where(sigma > 0, rise / np.where(sigma > 0, sigma, 1.0), np.where(rise > 0, 1e9, 0))
        top = np.take_along_axis(z, np.argmax(rise, axis=1)[:, None], axis=1)[:, 0]
        take = ~settled & (top > best)
        best = np.where(take, top, best)
        chosen[take] = smooth[take]
        settled |= best >= _CLEAR
        if settled.all():
            break
        size *= 2
    rise = (chosen - background[:, None]) / spectra.bandwidth
    peak = np.argmax(rise, axis=1)
    height = rise[np.arange(rows), peak]
    channel = np.arange(n)
    below = rise < 0.5 * height[:, None]
    left = np.where(below & (channel < peak[:, None]), channel, -1).max(axis=1)
    right = np.where(below & (channel > peak[:, None]), channel, n).min(axis=1)
    centre = energy[peak]
    to_left = np.where(left >= 0, centre - energy[np.maximum(left, 0)], np.nan)
    to_right = np.where(right < n, energy[np.minimum(right, n - 1)] - centre, np.nan)
    both = to_left + to_right
    one = 2.0 * np.where(np.isnan(to_left), to_right, to_left)
    span = float(energy[-1] - energy[0])
    fwhm = np.where(np.isnan(both), np.where(np.isnan(one), span, one), both)
    seen = (best >= _SEEN) & (height > 0)
    return Start(centre, fwhm, height, background, background_var, seen)
