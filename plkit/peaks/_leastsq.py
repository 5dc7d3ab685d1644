"""Weighted least squares for many short spectra at once, in plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.lineshapes import asymmetric_profile, gaussian_profile

__all__ = ["MODELS", "Block", "Fit", "Model", "fit_block"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

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
