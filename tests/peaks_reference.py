"""Peaks of many spectra at once in plain numpy: the independent engine that the kernels are held against.

Blocks of spectra go through the same steps, one step at a time for all of them. Slow, and short
enough to be read beside the equations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.constants import FWHM_PER_SIGMA
from plkit.physics.lineshapes import asymmetric_profile, gaussian_profile

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
OK, AT_BOUND, NOT_IDENTIFIABLE, NO_SIGNAL, FAILED = range(5)
_REACH: Final = {"parabola": 0.575, "centroid": 1.5, "gaussian": 2.0, "asymmetric": 2.5}
_TRUNCATED: Final = 0.99724
_ROWS_TIMES_CHANNELS: Final = 400_000

_ROUNDS: Final = 80
_CONVERGED: Final = 1e-8
# A weight is never larger than that of a channel with so many expected electrons.
_LEAST_ELECTRONS: Final = 0.3


@dataclass(frozen=True, slots=True)
class Block:
    """Spectra (row, channel) cut to their windows; ``good`` is False for NaN and padding.

    A line of density f(E) gives bandwidth · f(E) counts in a channel.
    """

    energy: Floats
    bandwidth: Floats
    counts: Floats
    good: Bools
    gain: Floats | None
    floor: Floats | None

    def take(self, rows: NDArray[np.intp]) -> Block:
        """Some of the rows."""
        return Block(
            self.energy[rows],
            self.bandwidth[rows],
            self.counts[rows],
            self.good[rows],
            None if self.gain is None else self.gain[rows],
            None if self.floor is None else self.floor[rows],
        )

    def weights(self, model: Floats) -> Floats:
        """Inverse variances of the model's counts: never of the observed ones, which bias."""
        if self.gain is None or self.floor is None:
            return self.good.astype(np.float64)
        least = _LEAST_ELECTRONS * self.gain
        var = self.gain * np.maximum(model, least) + self.floor
        return np.where(self.good, 1.0 / np.where(var > 0, var, 1.0), 0.0)

    def scatter(self, model: Floats, parameters: int) -> Floats:
        """Variance of each channel: by the noise model, or its own squared residual."""
        if self.gain is None or self.floor is None:
            n = self.good.sum(axis=1)
            inflate = n / np.maximum(n - parameters, 1)
            return np.asarray(
                np.where(self.good, (self.counts - model) ** 2, 0.0) * inflate[:, None]
            )
        return np.asarray(self.gain * np.maximum(model, 0.0) + self.floor)


# block, parameters (row, p), given background (row) → model (row, channel), derivatives (…, p)
Evaluate = Callable[[Block, Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Model:
    """A peak: parameters height, centre, width, then asymmetry and background where it has them."""

    evaluate: Evaluate
    parameters: int
    has_background: bool
    has_asymmetry: bool


def _crest(block: Block, p: Floats, background: Floats) -> tuple[Floats, Floats]:
    """A parabola in the logarithm above a given background: a Gaussian, near its maximum."""
    value, *gradient = gaussian_profile(block.energy, p[:, 1:2], p[:, 2:3])
    return _scaled(block, p[:, 0:1], value, gradient, background[:, None])


def _gaussian(block: Block, p: Floats, _background: Floats) -> tuple[Floats, Floats]:
    model, jacobian = _crest(block, p[:, :3], p[:, 3])
    return model, np.concatenate([jacobian, np.ones((*model.shape, 1))], axis=-1)


def _asymmetric(block: Block, p: Floats, _background: Floats) -> tuple[Floats, Floats]:
    value, *gradient = asymmetric_profile(block.energy, p[:, 1:2], p[:, 2:3], p[:, 3:4])
    model, jacobian = _scaled(block, p[:, 0:1], value, gradient, p[:, 4:5])
    return model, np.concatenate([jacobian, np.ones((*model.shape, 1))], axis=-1)


def _scaled(
    block: Block, height: Floats, value: Floats, gradient: list[Floats], background: Floats
) -> tuple[Floats, Floats]:
    """Counts per channel from a profile of unit height per interval of energy."""
    columns = [value, *(height * g for g in gradient)]
    jacobian = np.stack(columns, axis=-1) * block.bandwidth[..., None]
    return background + height * value * block.bandwidth, jacobian


MODELS: Final = {
    "parabola": Model(_crest, 3, has_background=False, has_asymmetry=False),
    "gaussian": Model(_gaussian, 4, has_background=True, has_asymmetry=False),
    "asymmetric": Model(_asymmetric, 5, has_background=True, has_asymmetry=True),
}


@dataclass(frozen=True, slots=True)
class Fit:
    """Parameters (row, p), covariance (row, p, p), reduced χ² and what became of each row."""

    parameters: Floats
    covariance: Floats
    redchi: Floats
    converged: Bools
    at_bound: Bools


def fit_block(
    model: Model, block: Block, start: Floats, bounds: tuple[Floats, Floats], background: Floats
) -> Fit:
    """Levenberg–Marquardt on all rows, weights renewed from the model in every round.

    Parameters
    ----------
    model : Model
        What is fitted.
    block : Block
        Spectra, energies [eV], noise.
    start : numpy.ndarray
        First parameters (row, p).
    bounds : tuple of numpy.ndarray
        Lower and upper bounds (row, p).
    background : numpy.ndarray
        Given background (row) [counts], for models that do not fit it.

    Returns
    -------
    Fit
        Converged or not; the covariance is (JᵀWJ)⁻¹ JᵀWVWJ (JᵀWJ)⁻¹ with weights W and variances
        V, which without a noise model are the squared residuals.
    """
    low, high = bounds
    n, k = start.shape
    p = np.clip(start, low, high)
    damping = np.full(n, 1e-3)
    converged = np.zeros(n, dtype=bool)
    active = np.arange(n)
    for _ in range(_ROUNDS):
        part = block.take(active)
        now = p[active]
        base = background[active]
        value, jacobian = model.evaluate(part, now, base)
        weight = part.weights(value)
        residual = np.where(part.good, part.counts - value, 0.0)
        normal, gradient = _normal(jacobian, weight, residual)
        # a parameter at its bound that wants to go beyond is held
        stuck = ((now <= low[active]) & (gradient < 0)) | ((now >= high[active]) & (gradient > 0))
        step = _solve(normal, gradient, stuck, damping[active])
        new = np.clip(now + step, low[active], high[active])
        moved = new - now
        after = model.evaluate(part, new, base)[0]
        gain_ = np.sum(
            weight * (residual**2 - np.where(part.good, part.counts - after, 0.0) ** 2), axis=1
        )
        size = np.einsum("nj,njk,nk->n", moved, normal, moved)
        scale = 1.0 if block.gain is not None else np.sum(weight * residual**2, axis=1) + 1e-300
        small = size <= _CONVERGED * scale
        better = (gain_ >= 0) | small
        p[active] = np.where(better[:, None], new, now)
        damping[active] = np.clip(
            np.where(better, damping[active] * 0.2, damping[active] * 8.0), 1e-9, 1e12
        )
        converged[active] = small
        active = active[~small & (damping[active] < 1e11)]
        if active.size == 0:
            break
    value, jacobian = model.evaluate(block, p, background)
    weight = block.weights(value)
    residual = np.where(block.good, block.counts - value, 0.0)
    normal, _ = _normal(jacobian, weight, residual)
    inverse = _invert(normal)
    meat = np.einsum(
        "nij,ni,nik->njk", jacobian, weight**2 * block.scatter(value, k), jacobian, optimize=True
    )
    covariance = inverse @ meat @ inverse
    dof = np.maximum(block.good.sum(axis=1) - k, 1)
    redchi = np.sum(weight * residual**2, axis=1) / dof
    at_bound = np.any((p <= low) | (p >= high), axis=1)
    return Fit(p, covariance, redchi, converged, np.asarray(at_bound))


def _normal(jacobian: Floats, weight: Floats, residual: Floats) -> tuple[Floats, Floats]:
    weighted = jacobian * weight[..., None]
    normal = np.swapaxes(weighted, 1, 2) @ jacobian
    return normal, np.einsum("nij,ni->nj", weighted, residual)


def _unit_diagonal(normal: Floats) -> tuple[Floats, Floats]:
    """The matrix with a diagonal of ones, and the scales that make it so."""
    diagonal = np.diagonal(normal, axis1=1, axis2=2)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return normal / (scale[:, :, None] * scale[:, None, :]), scale


def _solve(normal: Floats, gradient: Floats, stuck: Bools, damping: Floats) -> Floats:
    scaled, scale = _unit_diagonal(normal)
    k = normal.shape[1]
    free = ~stuck
    scaled = scaled * free[:, :, None] * free[:, None, :]
    scaled = scaled + np.eye(k) * (damping[:, None, None] + stuck[:, :, None])
    # the least multiple of one that keeps a singular matrix solvable
    scaled = scaled + 1e-12 * np.eye(k)
    right = np.where(stuck, 0.0, gradient / scale)
    return np.asarray(np.linalg.solve(scaled, right[..., None])[..., 0] / scale)


def _invert(normal: Floats) -> Floats:
    scaled, scale = _unit_diagonal(normal)
    fine = np.linalg.cond(scaled) < 1e12
    inverse = np.linalg.inv(np.where(fine[:, None, None], scaled, np.eye(normal.shape[1])))
    inverse = np.where(fine[:, None, None], inverse, np.nan)
    return np.asarray(inverse / (scale[:, :, None] * scale[:, None, :]))


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


@dataclass(slots=True)
class _Peaks:
    """Results per spectrum: value and σ of energy, width, height."""

    energy: Floats
    energy_stderr: Floats
    width: Floats
    width_stderr: Floats
    height: Floats
    height_stderr: Floats
    redchi: Floats
    status: NDArray[np.int8]

    @classmethod
    def empty(cls, n: int) -> _Peaks:
        a, b, c, d, e, f, g = (np.full(n, np.nan) for _ in range(7))
        return cls(a, b, c, d, e, f, g, np.full(n, NO_SIGNAL, dtype=np.int8))

    def scale_height(self, energy: Floats, bandwidth: Floats) -> None:
        """Counts per interval of the data's own axis at the peak."""
        good = np.isfinite(self.energy)
        factor = np.interp(self.energy[good], energy, bandwidth)
        self.height[good] *= factor
        self.height_stderr[good] *= factor


def _fit_rows(spectra: Spectra, rows: NDArray[np.intp], method: str, out: _Peaks) -> None:
    """Fit some rows and write their results."""
    part = spectra.take(rows)
    start = find_start(part)
    seen = np.flatnonzero(start.seen & (part.good.sum(axis=1) >= 3))
    if seen.size == 0:
        return
    some = part.take(seen)
    first = Start(*(getattr(start, f)[seen] for f in Start.__slots__))
    if method == "centroid":
        result = _centroid(some, _line(some, first, "parabola"), first)
    else:
        result = _line(some, first, method)
    where = rows[seen]
    for field in _Peaks.__slots__:
        getattr(out, field)[where] = getattr(result, field)


def _cut(spectra: Spectra, centre: Floats, reach: Floats) -> Block:
    """Every row's channels within ± reach of its centre, padded to one length."""
    energy = spectra.energy
    n = energy.size
    left = np.searchsorted(energy, centre - reach)
    right = np.searchsorted(energy, centre + reach, side="right")
    # never fewer than five channels, or all there are
    short = np.maximum(0, 5 - (right - left))
    left = np.clip(left - (short + 1) // 2, 0, n)
    right = np.clip(np.maximum(right, left + 5), 0, n)
    left = np.clip(np.minimum(left, right - 5), 0, n)
    index = left[:, None] + np.arange(int(np.max(right - left)))
    inside = index < right[:, None]
    index = np.minimum(index, n - 1)
    good = np.take_along_axis(spectra.good, index, axis=1) & inside
    return Block(
        energy[index],
        spectra.bandwidth[index],
        np.take_along_axis(spectra.counts, index, axis=1),
        good,
        None if spectra.gain is None else spectra.gain[index],
        None if spectra.floor is None else spectra.floor[index],
    )


def _line(spectra: Spectra, start: Start, method: str) -> _Peaks:
    """Least squares of one line per row."""
    model = MODELS[method]
    rows = start.centre.size
    p = np.zeros((rows, model.parameters))
    p[:, 0], p[:, 1], p[:, 2] = start.height, start.centre, start.fwhm
    if model.has_background:
        p[:, -1] = start.background
    bounds = _bounds(spectra, p, model)
    centre, fwhm = start.centre, start.fwhm
    # The parabola's range follows what it finds; the ranges of the others are wide enough.
    for _ in range(4 if method == "parabola" else 2):
        block = _cut(spectra, centre, _REACH[method] * fwhm)
        fit = fit_block(model, block, p, bounds, start.background)
        sane = fit.converged & ~fit.at_bound & (fit.parameters[:, 0] > 0)
        p = np.where(sane[:, None], fit.parameters, p)
        centre = np.where(sane, fit.parameters[:, 1], centre)
        fwhm = np.where(sane, np.clip(fit.parameters[:, 2], 0.3 * fwhm, 3.0 * fwhm), fwhm)
    q, cov = fit.parameters, fit.covariance
    if not model.has_background:
        # the given background has a σ of its own
        pull = _pull_of_background(model, block, fit.parameters, start.background)
        cov = cov + pull[:, :, None] * pull[:, None, :] * start.background_var[:, None, None]
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    status = np.full(rows, OK, dtype=np.int8)
    finite = np.isfinite(error[:, :3]).all(axis=1)
    few = block.good.sum(axis=1) <= model.parameters - 1
    status[(error[:, 1] > q[:, 2]) | ~finite] = NOT_IDENTIFIABLE
    step = np.gradient(spectra.energy)
    edge = (q[:, 1] <= spectra.energy[0] + step[0]) | (q[:, 1] >= spectra.energy[-1] - step[-1])
    status[fit.at_bound | edge] = AT_BOUND
    status[~fit.converged | (q[:, 0] <= 0) | few] = FAILED
    result = _Peaks(
        q[:, 1].copy(), error[:, 1], q[:, 2].copy(), error[:, 2], q[:, 0].copy(), error[:, 0],
        fit.redchi, status,
    )  # fmt: skip
    _blank(result)
    return result


def _blank(peaks: _Peaks) -> None:
    """NaN where there is no result."""
    for field in _Peaks.__slots__:
        if field != "status":
            getattr(peaks, field)[peaks.status >= NO_SIGNAL] = np.nan


def _pull_of_background(model: Model, block: Block, p: Floats, background: Floats) -> Floats:
    """Derivative of the parameters by the given background."""
    value, jacobian = model.evaluate(block, p, background)
    weight = block.weights(value)
    normal = np.einsum("nij,ni,nik->njk", jacobian, weight, jacobian, optimize=True)
    scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-300))
    scaled = normal / (scale[:, :, None] * scale[:, None, :]) + 1e-9 * np.eye(p.shape[1])
    right = np.einsum("nij,ni->nj", jacobian, weight) / scale
    return np.asarray(-np.linalg.solve(scaled, right[..., None])[..., 0] / scale)


def _bounds(spectra: Spectra, p: Floats, model: Model) -> tuple[Floats, Floats]:
    """Bounds far from any sensible line: the range of the axis, a third of a channel, its length."""
    energy = spectra.energy
    low, high = np.full_like(p, -np.inf), np.full_like(p, np.inf)
    span = float(energy[-1] - energy[0])
    low[:, 1], high[:, 1] = energy[0], energy[-1]
    low[:, 2], high[:, 2] = 0.3 * float(np.min(np.diff(energy))), 5.0 * span
    if model.has_asymmetry:
        low[:, 3], high[:, 3] = -2.0, 2.0
    return low, high


def _centroid(spectra: Spectra, crest: _Peaks, start: Start) -> _Peaks:
    """Centre of mass above the background within ±1.5 widths, from a first look at the crest."""
    energy = spectra.energy
    # a channel's photons have its energy: light is what it holds per interval times its length
    width_of = np.gradient(energy) / spectra.bandwidth
    step = np.gradient(energy)
    usable = (crest.status <= AT_BOUND) & np.isfinite(crest.width)
    centre = np.where(usable, crest.energy, start.centre)
    fwhm = np.where(usable, crest.width, start.fwhm)
    reach = _REACH["centroid"] * fwhm[:, None]
    light = (spectra.counts - start.background[:, None]) * width_of
    for _ in range(6):
        # a channel that is cut by the edge of the window counts by the part that lies inside
        inside = np.clip((reach - np.abs(energy - centre[:, None])) / step + 0.5, 0.0, 1.0)
        total = np.sum(inside * light, axis=1)
        lit = total > 0
        safe = np.where(lit, total, 1.0)
        new = np.sum(inside * light * energy, axis=1) / safe
        centre = np.where(lit, np.clip(new, energy[0], energy[-1]), centre)
    offset = energy - centre[:, None]
    second = np.sum(inside * light * offset**2, axis=1) / safe
    # variances of the channels of light, and what an error of the background does
    var = spectra.variance(running_mean(spectra.counts, min(5, energy.size))) * width_of**2
    by_background = inside * width_of
    mean_var = np.sum((inside * offset) ** 2 * var, axis=1)
    mean_var += np.sum(by_background * offset, axis=1) ** 2 * start.background_var
    curve = offset**2 - second[:, None]
    second_var = np.sum((inside * curve) ** 2 * var, axis=1)
    second_var += np.sum(by_background * curve, axis=1) ** 2 * start.background_var
    sigma = np.sqrt(np.maximum(second, 0.0)) / _TRUNCATED
    fwhm_out = FWHM_PER_SIGMA * sigma
    some = np.where(sigma > 0, sigma, 1.0)
    status = crest.status.copy()
    cut = (centre - reach[:, 0] < energy[0] - step[0]) | (
        centre + reach[:, 0] > energy[-1] + step[-1]
    )
    status[cut & (status == OK)] = AT_BOUND
    status[(np.sqrt(mean_var) / safe > fwhm) & (status <= AT_BOUND)] = NOT_IDENTIFIABLE
    status[~lit | (second <= 0)] = FAILED
    result = _Peaks(
        centre, np.sqrt(mean_var) / safe, fwhm_out,
        FWHM_PER_SIGMA * np.sqrt(second_var) / safe / (2.0 * some * _TRUNCATED**2),
        crest.height.copy(), crest.height_stderr.copy(), np.full(centre.size, np.nan), status,
    )  # fmt: skip
    _blank(result)
    return result


def fit_peaks_numpy(spectra: Spectra, method: str) -> _Peaks:
    """Fit all spectra; channels that are NaN everywhere must have been left out."""
    n = spectra.energy.size
    out = _Peaks.empty(len(spectra.counts))
    step = max(1, _ROWS_TIMES_CHANNELS // n)
    for first in range(0, len(spectra.counts), step):
        rows = np.arange(first, min(first + step, len(spectra.counts)))
        _fit_rows(spectra, rows, method, out)
    out.scale_height(spectra.energy, spectra.bandwidth)
    return out


def prepare(
    y: Floats,
    energy: Floats,
    bandwidth: Floats,
    gain: float | None,
    floor: float = 0.0,
) -> Spectra:
    """Spectra on an axis of any direction; a gap is bridged by a straight line."""
    order = np.argsort(energy, kind="stable")
    y = y.astype(np.float64)[:, order]
    good = np.isfinite(y)
    channel = np.arange(energy.size)
    for i in np.flatnonzero(~good.all(axis=1)):
        ok = good[i]
        y[i] = np.interp(channel, channel[ok], y[i, ok]) if ok.any() else 0.0
    every = np.ones(energy.size)
    return Spectra(
        energy[order], bandwidth[order], y, good,
        None if gain is None else gain * every, None if gain is None else floor * every,
    )  # fmt: skip
