"""Fit one profile: a map, a cut, or an azimuthal mean, with the tests of its shape."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from plkit.diffusion.engine import Axis, Solution, best_on_grid, gaussian_and_slopes, solve
from plkit.physics.runs import runs_test

__all__ = ["PARAMETERS", "Geometry", "Profile", "Request", "fit_one"]

Array = NDArray[np.float64]
Geometry = Literal["map", "cut", "radial"]

PARAMETERS: Final = ("centre_x", "centre_y", "profile_sigma", "profile_amplitude", "offset")
"""Rows and columns of the covariance."""

MIN_GAIN: Final = 25.0
"""Decrease of χ² that a halo at a known place must bring: five σ."""

_MIN_POINTS: Final = 8

_ROUNDING: Final = 1e-18
"""χ² relative to the data below which residuals are rounding errors and say nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for, and the grid that all profiles share."""

    geometry: Geometry
    x: Axis
    y: Axis | None
    centre: tuple[float, float] | None
    has_sigma: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """Numbers of one fitted profile."""

    status: int
    values: Array
    covariance: Array
    chisqr: float = np.nan
    redchi: float = np.nan
    runs_p: float = np.nan
    radial_p: float = np.nan


def no_number(status: int) -> Profile:
    return Profile(status, np.full(5, np.nan), np.full((5, 5), np.nan))


def fit_one(values: Array, sigma: Array, request: Request) -> Profile:
    """Fit one profile: a map, or a line as a map of one row."""
    good = np.isfinite(values) & np.isfinite(sigma) & (sigma > 0)
    if good.sum() < _MIN_POINTS:
        return no_number(4)
    weights = np.where(good, 1.0 / np.where(good, sigma, 1.0), 0.0)
    values = np.where(good, values, 0.0)
    x, y = request.x, request.y
    theta, gain = best_on_grid(values, weights, x, y, request.centre)
    if y is not None and request.geometry == "cut":
        rows = np.abs(y.middles - theta[1]) <= max(theta[-1], 0.5 * y.pixel)
        mean, mean_sigma = _strip(values[rows], weights[rows])
        cut = fit_one(mean[None, :], mean_sigma[None, :], replace(request, y=None))
        if cut.status < 3:
            cut.values[1] = theta[1]  # the row of the grid; a cut cannot tell it better
        return cut
    solution = _solve_map(values, weights, request, theta)
    scale = 1.0 if request.has_sigma else solution.chisqr / max(int(good.sum()) - 5, 1)
    needed = MIN_GAIN + (0.0 if request.centre else 2.0 * np.log(good.sum()))
    if not gain > needed * scale:
        return no_number(3)
    if request.geometry == "radial":
        return _radial(values, weights, request, solution, good)
    tested = _in_order(request, solution, weights.ravel())
    return _finish(solution, request, good, tested, scale)


def _strip(values: Array, weights: Array) -> tuple[Array, Array]:
    """Plain mean of the rows and its σ: with weights that change along x it would not be Gaussian.

    For the same reason a column in which a pixel is missing is left out, after rows that are mostly
    missing.
    """
    rows = (weights > 0).mean(axis=1) > 0.5
    values, weights = values[rows], weights[rows]
    whole = np.all(weights > 0, axis=0) & bool(rows.any())
    var = np.sum(1.0 / np.where(weights > 0, weights, 1.0) ** 2, axis=0)
    n = max(values.shape[0], 1)
    return np.where(whole, values.sum(axis=0) / n, np.nan), np.sqrt(var) / n


def _bounds(request: Request, n_centre: int) -> tuple[Array, Array]:
    axes = [request.x] if request.y is None else [request.x, request.y]
    extent = max(a.extent for a in axes)
    lower = [float(a.middles.min()) - a.extent for a in axes][:n_centre]
    upper = [float(a.middles.max()) + a.extent for a in axes][:n_centre]
    return (
        np.array([*lower, 0.02 * request.x.pixel]),
        np.array([*upper, 10.0 * extent]),
    )


def _solve_map(values: Array, weights: Array, request: Request, theta: Array) -> Solution:
    """Fit centre and width, or the width alone where the centre is given."""
    x, y, centre = request.x, request.y, request.centre

    def free(t: Array, _: int) -> tuple[Array, Array]:
        return gaussian_and_slopes(x, y, (t[0], t[1] if y is not None else 0.0), t[-1])

    def held(t: Array, _: int) -> tuple[Array, Array]:
        assert centre is not None
        g, slopes = gaussian_and_slopes(x, y, centre, t[0])
        return g, slopes[:, -1:]

    if centre is not None:
        return solve(held, [values.ravel()], [weights.ravel()], theta[-1:], _bounds(request, 0))
    n_centre = 1 if y is None else 2
    return solve(free, [values.ravel()], [weights.ravel()], theta, _bounds(request, n_centre))


def _centre(solution: Solution, request: Request) -> tuple[float, float]:
    if request.centre is not None:
        return request.centre
    return float(solution.theta[0]), float(solution.theta[1]) if request.y is not None else np.nan


def _rings(request: Request, centre: tuple[float, float]) -> NDArray[np.intp]:
    assert request.y is not None
    r = np.hypot(
        request.x.middles[None, :] - centre[0], request.y.middles[:, None] - centre[1]
    ).ravel()
    return np.asarray(r / max(request.x.pixel, request.y.pixel), dtype=np.intp)


def _in_order(request: Request, solution: Solution, weights: Array) -> tuple[Array, int]:
    """Residuals in units of their σ: along a line, or summed over rings and ordered by radius.

    The second number is how many parameters their sum of squares has lost.
    """
    r = solution.residuals[0]
    if request.y is None:
        seen = weights > 0
        order = np.argsort(request.x.middles[seen])
        return r[seen][order], solution.theta.size + 2
    ring = _rings(request, _centre(solution, request))
    total = np.bincount(ring, weights=weights**2)
    filled = total > 0
    # height, offset and width act on rings; the centre does not
    return np.bincount(ring, weights=weights * r)[filled] / np.sqrt(total[filled]), 3


def _radial(
    values: Array, weights: Array, request: Request, solution: Solution, good: NDArray[np.bool_]
) -> Profile:
    """Fit the azimuthal mean; the model is averaged over the same pixels."""
    centre = _centre(solution, request)
    ring = _rings(request, centre)
    w2 = weights.ravel() ** 2
    total = np.bincount(ring, weights=w2)
    filled = total > 0
    total = total[filled]
    mean = np.bincount(ring, weights=w2 * values.ravel())[filled] / total
    x, y = request.x, request.y

    def rings(t: Array, _: int) -> tuple[Array, Array]:
        g, slopes = gaussian_and_slopes(x, y, centre, t[0])
        means = [np.bincount(ring, weights=w2 * v)[filled] / total for v in (g, slopes[:, -1])]
        return means[0], means[1][:, None]

    fit = solve(rings, [mean], [np.sqrt(total)], solution.theta[-1:], _bounds(request, 0))
    dof = max(mean.size - 3, 1)
    scale = 1.0 if request.has_sigma else fit.chisqr / dof
    known = replace(request, centre=centre)
    done = _finish(fit, known, np.ones(mean.size, bool), (fit.residuals[0], 3), scale)
    if request.centre is None:  # the centre and its σ are those of the map
        map_scale = 1.0 if request.has_sigma else solution.chisqr / max(int(good.sum()) - 5, 1)
        done.covariance[:2, :2] = solution.covariance[:2, :2] * map_scale
    return done


def _finish(
    solution: Solution,
    request: Request,
    good: NDArray[np.bool_],
    tested: tuple[Array, int],
    scale: float,
) -> Profile:
    """Values and covariance in the order of PARAMETERS, tests and status."""
    from scipy.special import gammaincc

    sigma = float(solution.theta[-1])
    height, offset = solution.linear[0]
    values = np.array([*_centre(solution, request), sigma, height, offset])
    if request.centre is not None:
        at = np.array([2, 3, 4])
    elif request.y is None:
        at = np.array([0, 2, 3, 4])
    else:
        at = np.arange(5)
    covariance = np.full((5, 5), np.nan)
    covariance[np.ix_(at, at)] = solution.covariance * scale
    dof = max(int(good.sum()) - solution.theta.size - 2, 1)
    z, n_fitted = tested
    exact = solution.chisqr <= _ROUNDING * solution.sum_of_squares
    z = np.zeros_like(z) if exact else z / np.sqrt(scale)
    radial_p = float(gammaincc(0.5 * max(z.size - n_fitted, 1), 0.5 * float(z @ z)))
    status = 0
    if not solution.converged:
        return no_number(4)
    if not 0.0 < covariance[2, 2] <= (0.5 * sigma) ** 2:
        status = 2
    elif solution.at_bound:
        status = 1
    return Profile(
        status, values, covariance, solution.chisqr, solution.chisqr / dof, runs_test(z), radial_p
    )
