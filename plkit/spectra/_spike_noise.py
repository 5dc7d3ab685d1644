"""How much the values of a dataset scatter: by their noise model, and as seen in them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEDIAN_VARIANCE", "PER_MAD", "Scatter", "model", "sigma_of"]

Floats = NDArray[np.float64]

PER_MAD: Final = 1.4826
"""σ of a normal distribution over its median absolute deviation."""

MEDIAN_VARIANCE: Final = {0: 0.0, 1: 1.0, 2: 0.5, 3: 0.449, 4: 0.298}
"""Variance of the median of k values, in units of that of one."""

_SAMPLE: Final = 200_000


class Scatter:
    """Robust noise of the data themselves, as a smooth function of the expected intensity.

    A value is compared with the mean of the channels beside it, whose slope cancels; the
    difference from a running median will not do, it is exactly zero for every value that is the
    median, and on a slope that is most of them.
    """

    def __init__(self, size: int, channels: int) -> None:
        step = max(1, size // _SAMPLE)
        while step > 1 and math.gcd(step, channels) > 1:
            step += 1  # a stride that shares no factor with the axis visits every channel
        self._step = step
        self._seen: list[tuple[Floats, Floats]] = []

    def look(self, expected: Floats, d: Floats) -> None:
        """Take a sample of one block."""
        if d.shape[-1] < 3:
            return
        wiggle = np.abs(d[..., 1:-1] - 0.5 * (d[..., :-2] + d[..., 2:]))
        e, w = expected[..., 1:-1].ravel()[:: self._step], wiggle.ravel()[:: self._step]
        good = np.isfinite(w)
        self._seen.append((e[good], w[good]))

    def at(self, expected: Floats) -> Floats:
        """σ [counts] at expected intensities; infinite where nothing was seen."""
        if sum(e.size for e, _ in self._seen) == 0:
            return np.full(expected.shape, np.inf)
        e, w = (np.concatenate(part) for part in zip(*self._seen, strict=True))
        order = np.argsort(e, kind="stable")
        groups = np.array_split(order, min(max(1, e.size // 100), 20))
        centre = np.array([np.median(e[g]) for g in groups])
        sigma = PER_MAD / np.sqrt(1.5) * np.array([np.median(w[g]) for g in groups])
        tiny = 1e-9 * float(np.max(np.abs(e))) + 1e-300
        return np.asarray(np.interp(expected, centre, np.maximum(sigma, tiny)))


def sigma_of(
    expected: Floats, scatter: Scatter, neighbours: int, noise: tuple[Floats, ...] | None
) -> Floats:
    """σ of the excess: by the noise model, and not less than the scatter at like intensities."""
    seen = scatter.at(expected)
    if noise is None:
        return seen
    own = model(expected, *noise)
    return np.asarray(np.maximum(np.sqrt(own * (1.0 + MEDIAN_VARIANCE[neighbours])), seen))


def model(expected: Floats, gain: Floats, floor: Floats) -> Floats:
    """Variance by the noise model; half an electron at least keeps single photons from being spikes."""
    return np.asarray(gain * np.maximum(expected, 0.0) + np.maximum(floor, 0.5 * gain**2))
