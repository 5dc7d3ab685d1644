"""Is there a second line in a spectrum? Gaussians of a common width on a linear background.

One line, and where its residual calls for it two, are fitted to blocks of spectra at once by
Levenberg–Marquardt on numpy arrays; heights and background are eliminated at every step.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.constants import FWHM_PER_SIGMA

__all__ = ["Axis", "SecondLine", "centroid_above_background", "find_second_line"]

Array = NDArray[np.float64]

_BLOCK: Final = 1024
_ITERATIONS: Final = 30
_GAIN: Final = 8.0
"""Decrease of χ² by a line added to the residual, from which on two lines are fitted."""

BIC_MARGIN: Final = 10.0
"""Difference of the criteria that counts as very strong evidence."""

MIN_SEPARATION: Final = 1.25
"""Distance of two lines in their full width, below which they may be one asymmetric line."""

MIN_HEIGHT: Final = 0.05
"""Height of the weaker line, relative to the stronger, below which a wing may pass for a line."""


@dataclass(frozen=True, slots=True)
class SecondLine:
    """Evidence for a second line, per spectrum.

    Parameters
    ----------
    bic : numpy.ndarray, shape (n,)
        BIC of one line minus BIC of two; NaN where nothing was fitted, 0 where the residual of one
        line left no reason to fit two.
    separation : numpy.ndarray, shape (n,)
        Distance of the two lines over their full width at half maximum; NaN where not fitted.
    height : numpy.ndarray, shape (n,)
        Height of the weaker line over that of the stronger.
    width : numpy.ndarray, shape (n,)
        Full width at half maximum of the one line [unit of the axis].
    """

    bic: Array
    separation: Array
    height: Array
    width: Array

    @property
    def found(self) -> NDArray[np.bool_]:
        """True where two resolved lines explain the spectrum far better than one.

        Two lines nearer than 1.25 of their width may be one asymmetric line, a weak one a wing.
        """
        with np.errstate(invalid="ignore"):
            evidence = self.bic > BIC_MARGIN
            return evidence & (self.separation >= MIN_SEPARATION) & (self.height >= MIN_HEIGHT)


@dataclass(slots=True)
class _Lines:
    """State of a batch: centres (p, k), σ (p), linear (p, k + 2), χ² (p)."""

    centres: Array
    sigma: Array
    linear: Array
    chisqr: Array
    residual: Array


@dataclass(frozen=True, slots=True)
class Axis:
    """Channels of a spectrum, in the order of ascending energy.

    Parameters
    ----------
    energy : numpy.ndarray, shape (m,)
        Photon energy of every channel, ascending [eV].
    bandwidth : numpy.ndarray, shape (m,)
        Energy per interval of the axis that the counts belong to, relative: a line I(E) gives
        I(E) · bandwidth counts, while a background is smooth along that axis.
    position : numpy.ndarray, shape (m,)
        Value on that axis.
    """

    energy: Array
    bandwidth: Array
    position: Array


def find_second_line(axis: Axis, spectra: Array, variance: Array | None) -> SecondLine:
    """Compare two lines with one, for every spectrum.

    Parameters
    ----------
    axis : Axis
        Of the m channels.
    spectra : numpy.ndarray, shape (n, m)
        Counts per channel of the measured axis; NaN is left out.
    variance : numpy.ndarray, shape (n, m), or None
        Of every value; None where it is not known, then it follows from the residual of two lines.

    Returns
    -------
    SecondLine
        Over the spectra.

    Notes
    -----
    BIC = χ² + k ln m with k = 5 (centre, width, height, two of the background) and 7 parameters;
    with unknown variance χ² is in units of the residual variance of the two lines.
    """
    n = spectra.shape[0]
    out = SecondLine(*(np.full(n, np.nan) for _ in range(4)))
    places = [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]

    def compare(at: slice) -> SecondLine:
        return _block(axis, spectra[at], None if variance is None else variance[at])

    # numpy lets go of the interpreter in what costs time here, so threads share the blocks.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(compare, places))
    for at, block in zip(places, blocks, strict=True):
        for whole, part in zip(
            (out.bic, out.separation, out.height, out.width),
            (block.bic, block.separation, block.height, block.width),
            strict=True,
        ):
            whole[at] = part
    return out


def _block(axis: Axis, spectra: Array, variance: Array | None) -> SecondLine:
    n = spectra.shape[0]
    known = variance is not None
    var = np.ones_like(spectra) if variance is None else variance
    good = np.isfinite(spectra) & np.isfinite(var) & (var > 0)
    weights = np.where(good, 1.0 / np.sqrt(np.where(good, var, 1.0)), 0.0)
    data = np.where(good, spectra, 0.0)
    enough = good.sum(axis=1) >= 12
    result = SecondLine(*(np.full(n, np.nan) for _ in range(4)))
    first, sigma = _start(axis.energy, data, good)
    usable = np.flatnonzero(enough & np.isfinite(sigma))
    if not usable.size:
        return result
    w, y, first, sigma = weights[usable], data[usable], first[usable], sigma[usable]
    one = _fit(axis, y, w, first[:, None], sigma)
    result.width[usable] = FWHM_PER_SIGMA * one.sigma
    result.bic[usable] = 0.0
    gain, second = _residual_line(axis, w, one, first, sigma)
    n_good = good[usable].sum(axis=1)
    scale = np.ones(usable.size) if known else np.maximum(one.chisqr, 1e-300) / (n_good - 5)
    again = np.flatnonzero(gain > _GAIN * scale)
    if not again.size:
        return result
    centres = np.stack([first, second], axis=1)[again]
    two = _fit(axis, y[again], w[again], centres, sigma[again])
    n_again = n_good[again]
    unit = np.ones(again.size) if known else np.maximum(two.chisqr, 1e-300) / (n_again - 7)
    at = usable[again]
    result.bic[at] = (one.chisqr[again] - two.chisqr) / unit - 2.0 * np.log(n_again)
    apart = np.abs(np.diff(two.centres, axis=1)[:, 0])
    result.separation[at] = apart / (FWHM_PER_SIGMA * two.sigma)
    heights = two.linear[:, :2]
    strong = heights.max(axis=1)
    result.height[at] = np.where(
        strong > 0, heights.min(axis=1) / np.where(strong > 0, strong, 1.0), 0.0
    )
    return result


def _start(energy: Array, data: Array, good: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Place of the highest value after smoothing, and σ from the width at half height."""
    from scipy.ndimage import uniform_filter1d

    smooth = uniform_filter1d(data, 5, axis=1, mode="nearest")
    smooth = np.where(good, smooth, -np.inf)
    base = np.where(good, data, np.nan)
    with np.errstate(invalid="ignore"):
        has = good.any(axis=1)
        level = np.full(data.shape[0], np.nan)
        level[has] = np.nanmedian(base[has], axis=1)
    top = np.argmax(smooth, axis=1)
    height = smooth[np.arange(data.shape[0]), top]
    half = 0.5 * (height + np.minimum(level, height))
    below = (smooth < half[:, None]) | ~good
    index = np.arange(energy.size)
    left = np.where(below & (index < top[:, None]), index, -1).max(axis=1)
    right = np.where(below & (index > top[:, None]), index, energy.size).min(axis=1)
    left, right = np.clip(left, 0, None), np.clip(right, None, energy.size - 1)
    step = float(np.median(np.diff(energy)))
    width = np.maximum(energy[right] - energy[left] - step, 2.0 * step)
    usable = np.isfinite(height) & (height > level)
    return energy[top], np.where(usable, width / FWHM_PER_SIGMA, np.nan)


def _gaussians(energy: Array, centres: Array, sigma: Array) -> tuple[Array, Array]:
    """Unit Gaussians and reduced distances, (p, m, k)."""
    u = (energy[None, :, None] - centres[:, None, :]) / sigma[:, None, None]
    return np.exp(-0.5 * u**2), u


def _evaluate(
    axis: Axis, y: Array, w: Array, centres: Array, sigma: Array
) -> tuple[_Lines, Array, Array]:
    """Best heights and background, χ², and the normal equations of centres and ln σ."""
    k = centres.shape[1]
    g, u = _gaussians(axis.energy, centres, sigma)
    g = g * (w * axis.bandwidth)[:, :, None]
    along = (axis.position - axis.position.mean()) / np.ptp(axis.position)
    basis = np.concatenate([g, w[:, :, None], (w * along)[:, :, None]], axis=2)
    transposed = basis.transpose(0, 2, 1)
    gram = transposed @ basis
    # tiny ridge: two lines may come to lie on one another
    size = np.einsum("pii->pi", gram)
    gram = gram + (1e-10 * size + 1e-300)[:, :, None] * np.eye(k + 2)
    weighted = (w * y)[:, :, None]
    linear = np.linalg.solve(gram, transposed @ weighted)
    residual = weighted - basis @ linear
    slope = linear[:, None, :k, 0] * g * u / sigma[:, None, None]
    by_width = (slope * u).sum(axis=2, keepdims=True) * sigma[:, None, None]
    jac = np.concatenate([slope, by_width], axis=2)
    jac = jac - basis @ np.linalg.solve(gram, transposed @ jac)
    normal = jac.transpose(0, 2, 1) @ jac
    gradient = (jac.transpose(0, 2, 1) @ residual)[:, :, 0]
    chisqr = (residual**2).sum(axis=(1, 2))
    return _Lines(centres, sigma, linear[:, :, 0], chisqr, residual[:, :, 0]), normal, gradient


def _fit(axis: Axis, y: Array, w: Array, centres: Array, sigma: Array) -> _Lines:
    """Levenberg–Marquardt of a batch, each spectrum with its own damping."""
    step_limit, energy = 0.5, axis.energy
    narrowest = float(np.median(np.diff(energy))) / 2.0
    widest = float(np.ptp(energy)) / 2.0
    state, normal, gradient = _evaluate(axis, y, w, centres, np.clip(sigma, narrowest, widest))
    damping = np.full(y.shape[0], 1e-2)
    active = np.ones(y.shape[0], dtype=bool)
    for _ in range(_ITERATIONS):
        at = np.flatnonzero(active)
        if not at.size:
            break
        diagonal = np.maximum(np.einsum("pii->pi", normal[at]), 1e-300)
        damped = normal[at] + (damping[at, None] * diagonal)[:, :, None] * np.eye(normal.shape[1])
        step = np.linalg.solve(damped, gradient[at][:, :, None])[:, :, 0]
        # the whole step is shortened where a centre would move by more than half a σ
        reach = np.abs(step) / np.concatenate(
            [np.repeat(state.sigma[at, None], step.shape[1] - 1, axis=1), np.ones((at.size, 1))], 1
        )
        step = step / np.maximum(1.0, reach.max(axis=1, keepdims=True) / step_limit)
        new_sigma = np.clip(state.sigma[at] * np.exp(step[:, -1]), narrowest, widest)
        new_centres = np.clip(state.centres[at] + step[:, :-1], energy[0], energy[-1])
        new, new_normal, new_gradient = _evaluate(axis, y[at], w[at], new_centres, new_sigma)
        good = new.chisqr <= state.chisqr[at]
        small = state.chisqr[at] - new.chisqr <= 1e-4 * state.chisqr[at]
        active[at[(good & small) | (damping[at] > 1e8)]] = False
        damping[at] = np.where(good, np.maximum(damping[at] / 10.0, 1e-9), damping[at] * 10.0)
        to = at[good]
        for name in ("centres", "sigma", "linear", "chisqr", "residual"):
            getattr(state, name)[to] = getattr(new, name)[good]
        normal[to], gradient[to] = new_normal[good], new_gradient[good]
    return state


def _residual_line(
    axis: Axis, w: Array, one: _Lines, first: Array, sigma: Array
) -> tuple[Array, Array]:
    """Largest decrease of χ² by a line of known width in the residual, and where it lies.

    Places within three quarters of the width of the highest place are left out: a wing of the line
    starts no second one.
    """
    energy = axis.energy
    step = max(float(np.median(sigma)) / 2.0, float(np.median(np.diff(energy))))
    width = np.minimum(sigma, one.sigma)
    best = np.full(sigma.size, -1.0)
    place = first.copy()
    for centre in np.arange(energy[0], energy[-1] + step, step):
        g = np.exp(-0.5 * ((energy[None, :] - centre) / width[:, None]) ** 2) * w * axis.bandwidth
        along, norm = (g * one.residual).sum(axis=1), (g * g).sum(axis=1)
        gain = np.where((along > 0) & (norm > 0), along**2 / np.where(norm > 0, norm, 1.0), 0.0)
        gain = np.where(np.abs(centre - first) < 0.75 * FWHM_PER_SIGMA * width, 0.0, gain)
        better = gain > best
        best, place = np.where(better, gain, best), np.where(better, centre, place)
    return best, place


def centroid_above_background(
    axis: Axis, spectra: Array, variance: Array | None
) -> tuple[Array, Array]:
    """Mean photon energy of every whole spectrum above its background, with σ.

    Parameters
    ----------
    axis : Axis
        Of the m channels.
    spectra : numpy.ndarray, shape (n, m)
        Counts per channel of the measured axis; NaN is left out.
    variance : numpy.ndarray, shape (n, m), or None
        Of every value; the scatter of the outer channels where it is None.

    Returns
    -------
    centroid, centroid_stderr : numpy.ndarray, shape (n,)
        [eV]; NaN where nothing stands above the background.

    Notes
    -----
    The background is constant along the measured axis, the mean of the outer sixteenths, and its σ
    enters. Unlike the centroid of ``fit_peaks``, which looks at the highest peak alone, this one
    sees every line of the spectrum, and so moves away from the maximum where there are two.
    """
    m = axis.energy.size
    edge = np.zeros(m, dtype=bool)
    edge[: max(m // 16, 1)] = edge[-max(m // 16, 1) :] = True
    good = np.isfinite(spectra)
    y = np.where(good, spectra, 0.0)
    outer = good & edge
    n_outer = np.maximum(outer.sum(axis=1), 1)
    background = (y * outer).sum(axis=1) / n_outer
    if variance is None:
        scatter = (outer * (y - background[:, None]) ** 2).sum(axis=1) / np.maximum(n_outer - 1, 1)
        variance = np.broadcast_to(scatter[:, None], y.shape)
    v = np.where(good & np.isfinite(variance), variance, 0.0)
    above = np.where(good, y - background[:, None], 0.0)
    width = np.abs(np.gradient(axis.position))  # channels of unequal width: an integral
    total = above @ width
    background_var = (v * outer).sum(axis=1) / n_outer**2
    total_var = v @ width**2 + background_var * (good @ width) ** 2
    seen = total > 3.0 * np.sqrt(total_var)
    safe = np.where(seen, total, 1.0)
    centroid = np.where(seen, above @ (width * axis.energy) / safe, np.nan)
    lever = width * (axis.energy[None, :] - centroid[:, None]) / safe[:, None]
    var = (lever**2 * v).sum(axis=1) + (lever * good).sum(axis=1) ** 2 * background_var
    return centroid, np.sqrt(var)
