"""Fit Gaussians of a common centre and width law to one or more frames by variable projection.

Height and offset of each frame are linear and solved exactly at every step; centre and width, or
the diffusion coefficient of a whole movie, are found by Levenberg–Marquardt from the best point of
a global grid, so that no starting values are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.fick import gaussian_sigma_derivative, gaussian_slope, pixel_gaussian

__all__ = ["Axis", "Solution", "best_on_grid", "gaussian_and_slopes", "solve"]

Array = NDArray[np.float64]

_MAX_ITERATIONS: Final = 60
_CONVERGED: Final = 1e-9
"""Expected decrease of χ², relative, below which the fit has converged."""

_N_WIDTHS: Final = 14
"""Widths on the starting grid, from a third of a pixel to half of the map."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Middles of the pixels along one axis, and their width.

    Parameters
    ----------
    middles : numpy.ndarray, shape (n,)
        [um].
    pixel : float
        [um].
    """

    middles: Array
    pixel: float

    @property
    def extent(self) -> float:
        """Length covered [um]."""
        return float(np.ptp(self.middles)) + self.pixel


@dataclass(frozen=True, slots=True)
class Solution:
    """Result of :func:`solve`.

    Parameters
    ----------
    theta : numpy.ndarray, shape (p,)
        Non-linear parameters.
    linear : numpy.ndarray, shape (n_frames, 2)
        Height and offset of each frame.
    covariance : numpy.ndarray, shape (p + 2 n_frames,) twice
        Of the non-linear parameters, then height and offset of each frame, for weights 1/σ.
    chisqr, sum_of_squares : float
        Sum of squared weighted residuals, and of the weighted data themselves.
    residuals : list of numpy.ndarray
        Weighted, per frame.
    converged : bool
        False after too many steps.
    at_bound : bool
        True where a parameter stopped at a bound.
    """

    theta: Array
    linear: Array
    covariance: Array
    chisqr: float
    sum_of_squares: float
    residuals: list[Array]
    converged: bool
    at_bound: bool


Evaluate = Callable[[Array, int], tuple[Array, Array]]
"""Parameters and index of a frame → Gaussian of unit height (n,), its derivatives (n, p)."""


def gaussian_and_slopes(
    x: Axis, y: Axis | None, centre: tuple[float, float], sigma: float
) -> tuple[Array, Array]:
    """Gaussian of unit height on a map or a line, and its derivatives.

    Parameters
    ----------
    x, y : Axis
        ``y`` is None on a line.
    centre : tuple of float
        (x0, y0) [um]; y0 is not used on a line.
    sigma : float
        Standard deviation [um].

    Returns
    -------
    value : numpy.ndarray, shape (ny·nx,) or (nx,)
        Row after row.
    slopes : numpy.ndarray, shape (n, 3) or (n, 2)
        With respect to x0, (y0,) and σ [1/um].
    """
    gx = pixel_gaussian(x.middles, centre[0], sigma, x.pixel)
    gx_c = gaussian_slope(x.middles, centre[0], sigma, x.pixel)
    gx_s = gaussian_sigma_derivative(x.middles, centre[0], sigma, x.pixel)
    if y is None:
        return gx, np.stack([gx_c, gx_s], axis=1)
    gy = pixel_gaussian(y.middles, centre[1], sigma, y.pixel)
    gy_c = gaussian_slope(y.middles, centre[1], sigma, y.pixel)
    gy_s = gaussian_sigma_derivative(y.middles, centre[1], sigma, y.pixel)
    outer = np.multiply.outer
    slopes = (outer(gy, gx_c), outer(gy_c, gx), outer(gy_s, gx) + outer(gy, gx_s))
    return outer(gy, gx).ravel(), np.stack([s.ravel() for s in slopes], axis=1)


def best_on_grid(
    values: Array, weights: Array, x: Axis, y: Axis | None, centre: tuple[float, float] | None
) -> tuple[Array, float]:
    """Best centre and width on a grid: every pixel as the centre, widths in equal ratios.

    Parameters
    ----------
    values, weights : numpy.ndarray, shape (ny, nx)
        Data (finite) and 1/σ, zero where there is none; ny = 1 on a line.
    x, y : Axis
        ``y`` is None on a line.
    centre : tuple of float or None
        Where it is known [um].

    Returns
    -------
    theta : numpy.ndarray
        x0, (y0,) σ [um].
    gain : float
        χ² of a constant minus χ² at that point.

    Notes
    -----
    A round Gaussian separates, so that the sums of the normal equations of height and offset, for
    all centres at once, are three products of matrices per width.
    """
    w2 = weights**2
    sw, swy = float(w2.sum()), float((w2 * values).sum())
    x_at = x.middles if centre is None else np.array([centre[0]])
    y_at = np.zeros(1) if y is None else (y.middles if centre is None else np.array([centre[1]]))
    extent = x.extent if y is None else min(x.extent, y.extent)
    best, theta = -1.0, np.zeros(3)
    for sigma in np.geomspace(x.pixel / 3.0, max(extent / 2.0, x.pixel), _N_WIDTHS):
        gx = pixel_gaussian(x.middles[None, :], x_at[:, None], sigma, x.pixel)
        gy = (
            np.ones((1, 1))
            if y is None
            else pixel_gaussian(y.middles[None, :], y_at[:, None], sigma, y.pixel)
        )
        s_g, s_gy = gy @ w2 @ gx.T, gy @ (w2 * values) @ gx.T
        s_gg = gy**2 @ w2 @ (gx**2).T
        spread = s_gg - s_g**2 / sw  # what is left of the Gaussian beside an offset
        gain = np.where(
            spread > 1e-9 * s_gg, (s_gy - s_g * swy / sw) ** 2 / np.maximum(spread, 1e-300), 0.0
        )
        j, i = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[j, i] > best:
            best, theta = float(gain[j, i]), np.array([x_at[i], y_at[j], sigma])
    return (theta[[0, 2]] if y is None else theta), best


def solve(
    evaluate: Evaluate,
    values: Sequence[Array],
    weights: Sequence[Array],
    start: Array,
    bounds: tuple[Array, Array],
) -> Solution:
    """Least squares over the non-linear parameters, height and offset of each frame eliminated.

    Parameters
    ----------
    evaluate : callable
        See ``Evaluate``.
    values, weights : sequence of numpy.ndarray
        Data and 1/σ of each frame; weight 0 where there is no number.
    start : numpy.ndarray, shape (p,)
        Start of the non-linear parameters.
    bounds : tuple of numpy.ndarray
        Lower and upper bound of each.

    Returns
    -------
    Solution
        The nearest minimum.

    Notes
    -----
    Kaufman's form of variable projection; a step that would leave the bounds is shortened as a
    whole, since clamping one component would make the predicted decrease negative.
    """
    theta, damping = np.clip(start, *bounds), 1e-3
    state = _state(evaluate, values, weights, theta)
    squares = sum(float((w * v) @ (w * v)) for v, w in zip(values, weights, strict=True))
    converged = False
    for _ in range(_MAX_ITERATIONS):
        full = _step(theta, state, damping, bounds)
        step = _shortened(theta, full, bounds)
        expected = float(full @ state.gradient)
        trial = np.clip(theta + step, *bounds)
        new = _state(evaluate, values, weights, trial)
        if new.chisqr <= state.chisqr:
            theta, state, damping = trial, new, max(damping / 10.0, 1e-12)
        else:
            damping *= 10.0
        # a small expected decrease proves nothing while the damping is what makes it small
        converged = expected <= _CONVERGED * state.chisqr + 1e-26 * squares and damping <= 1.0
        if converged or damping > 1e12:
            break
    width = bounds[1] - bounds[0]
    near = np.minimum(theta - bounds[0], bounds[1] - theta) <= 1e-9 * width
    return Solution(
        theta=theta, linear=state.linear, covariance=_covariance(evaluate, weights, theta, state),
        chisqr=state.chisqr, sum_of_squares=squares, residuals=state.residuals, converged=converged,
        at_bound=bool(near.any()),
    )  # fmt: skip


def _step(theta: Array, state: _State, damping: float, bounds: tuple[Array, Array]) -> Array:
    """Damped Gauss–Newton step of the parameters that are not held by a bound."""
    held = np.zeros(theta.size, dtype=bool)
    while True:
        free = np.flatnonzero(~held)
        normal = state.normal[np.ix_(free, free)]
        normal = normal + damping * np.diag(np.maximum(np.diag(normal), 1e-300))
        step = np.zeros(theta.size)
        if free.size:
            step[free] = np.linalg.solve(normal, state.gradient[free])
        outward = ((theta <= bounds[0]) & (step < 0)) | ((theta >= bounds[1]) & (step > 0))
        if not outward.any():
            return step
        held |= outward


def _shortened(theta: Array, step: Array, bounds: tuple[Array, Array]) -> Array:
    """Return the step, as a whole, so short that the first parameter to meet a bound stops at it."""
    room = np.where(step > 0, bounds[1] - theta, bounds[0] - theta)
    moves = np.abs(step) > np.abs(room)
    if not moves.any():
        return step
    part = float(np.min(room[moves] / step[moves]))
    short = step * part
    nearest = moves & (np.abs(room - short) <= 1e-12 * np.abs(room))  # on its bound, exactly
    return np.where(nearest, room, short)


@dataclass(frozen=True, slots=True)
class _State:
    chisqr: float
    linear: Array
    residuals: list[Array]
    normal: Array
    gradient: Array


def _state(
    evaluate: Evaluate, values: Sequence[Array], weights: Sequence[Array], theta: Array
) -> _State:
    p = theta.size
    normal, gradient, chisqr = np.zeros((p, p)), np.zeros(p), 0.0
    linear, residuals = np.zeros((len(values), 2)), []
    for i, (data, w) in enumerate(zip(values, weights, strict=True)):
        g, slopes = evaluate(theta, i)
        basis = np.stack([w * g, w], axis=1)
        gram = basis.T @ basis
        gram[np.diag_indices(2)] += 1e-14 * np.trace(gram) + 1e-300
        linear[i] = np.linalg.solve(gram, basis.T @ (w * data))
        r = w * data - basis @ linear[i]
        jac = linear[i, 0] * w[:, None] * slopes
        jac -= basis @ np.linalg.solve(gram, basis.T @ jac)
        normal += jac.T @ jac
        gradient += jac.T @ r
        chisqr += float(r @ r)
        residuals.append(r)
    return _State(chisqr, linear, residuals, normal, gradient)


def _covariance(evaluate: Evaluate, weights: Sequence[Array], theta: Array, state: _State) -> Array:
    """Inverse of the full normal matrix, linear parameters included."""
    p, n = theta.size, len(weights)
    full = np.zeros((p + 2 * n, p + 2 * n))
    for i, w in enumerate(weights):
        g, slopes = evaluate(theta, i)
        jac = np.concatenate(
            [state.linear[i, 0] * w[:, None] * slopes, (w * g)[:, None], w[:, None]], axis=1
        )
        at = np.r_[np.arange(p), p + 2 * i, p + 2 * i + 1]
        full[np.ix_(at, at)] += jac.T @ jac
    scale = np.sqrt(np.diag(full))
    if not np.all(scale > 0):
        return np.full_like(full, np.nan)
    try:
        return np.asarray(np.linalg.inv(full / np.outer(scale, scale)) / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return np.full_like(full, np.nan)
