"""Traces with known truth: what all fitters get, with model, bounds, σ and starting values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plkit.names import ENERGY, TIME

_LN2_4 = 4.0 * math.log(2.0)


@dataclass
class Problem:
    """Traces and everything a fitter needs.

    Parameters
    ----------
    name : str
        Short name.
    dim, unit : str
        Axis and its unit.
    parameters : tuple of str
        Order of the columns of everything.
    function, jacobian : callable
        ``function(x, *p)`` and its derivatives (points, parameters).
    expression : str
        The same for HyperSpy.
    low, high, start : ndarray
        Bounds, and starting values of those who need some: the middle of the simulated truth.
    x, y, sigma, truth : ndarray
        Axis; counts, σ = √max(counts, 1) (rows, points); parameters (rows, parameters).
    theta_grid, bounded, ordered
        For the reference: grid of the non-linear parameters (centre or rate, logarithms of rates and
        widths), which amplitudes are ≥ 0, whether the first non-linear parameter is above the second.
    spread : ndarray
        Range of random starts, as a factor (> 0) or a difference (< 0, in units of it).
    """

    name: str
    dim: str
    unit: str
    parameters: tuple[str, ...]
    function: Callable[..., np.ndarray]
    jacobian: Callable[..., np.ndarray]
    expression: str
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    truth: np.ndarray
    theta_grid: list[tuple[float, float, int]]
    bounded: tuple[bool, ...]
    ordered: bool
    spread: np.ndarray

    def chisqr(self, values: np.ndarray) -> np.ndarray:
        """χ² of the first rows at given parameters."""
        n = len(values)
        model = self.function(self.x[None, :], *(v[:, None] for v in values.T))
        return np.sum(((self.y[:n] - model) / self.sigma[:n]) ** 2, axis=1)

    def random_starts(self, rng: np.random.Generator, row: int, n: int) -> np.ndarray:
        """Spread starting values around the middle of the truth, the first at it."""
        u = rng.uniform(-1.0, 1.0, (n, self.start.size))
        u[0] = 0.0
        ratio = np.where(self.spread > 0, self.spread, 1.0)
        shift = np.where(self.spread < 0, -self.spread, 0.0)
        return self.start * ratio**u + shift * u


def _counts(
    function: Callable[..., np.ndarray], x: np.ndarray, truth: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    y = np.empty((len(truth), x.size))
    for i in range(0, len(truth), 4096):
        part = truth[i : i + 4096]
        y[i : i + 4096] = rng.poisson(function(x[None, :], *(p[:, None] for p in part.T)))
    return y, np.sqrt(np.maximum(y, 1.0))


# Two exponentials -------------------------------------------------------------------------------


def biexponential_function(x, k01, k1, k02, k2, plateau):
    return k01 * np.exp(-k1 * x) + k02 * np.exp(-k2 * x) + plateau


def _biexponential_jacobian(x, k01, k1, k02, k2, plateau):
    e1, e2 = np.exp(-k1 * x), np.exp(-k2 * x)
    return np.stack([e1, -k01 * x * e1, e2, -k02 * x * e2, np.ones_like(x)], axis=1)


def biexponential(peak: float, rows: int, ratio: tuple[float, float] = (4.0, 15.0)) -> Problem:
    """Two exponentials and a plateau: 100 points in 600 s, rates k1 ~ 0.05/s ± 40 %, k2 = k1/ratio."""
    rng = np.random.default_rng(1)
    x = np.arange(100) * 6.0
    k1 = 0.05 * np.exp(0.4 * rng.standard_normal(rows))
    k2 = k1 / rng.uniform(*ratio, rows)
    share = np.stack([rng.uniform(0.3, 0.6, rows), rng.uniform(0.2, 0.4, rows)])
    rest = rng.uniform(0.1, 0.3, rows)
    k01, k02, plateau = peak * np.array([*share, rest]) / (share.sum(axis=0) + rest)
    truth = np.stack([k01, k1, k02, k2, plateau], axis=1)
    y, sigma = _counts(biexponential_function, x, truth, rng)
    slow, fast = 0.05 / (x[-1] - x[0]), 2.0 / 6.0
    top = 100.0 * peak
    return Problem(
        "biexponential", TIME, "s", ("k01", "k1", "k02", "k2", "plateau"),
        biexponential_function, _biexponential_jacobian,
        "k01*exp(-k1*x)+k02*exp(-k2*x)+plateau",
        np.array([0, slow, 0, slow, 0.0]), np.array([top, fast, top, fast, top]),
        np.median(truth, axis=0), x, y, sigma, truth,
        [(np.log(slow), np.log(fast), 60)] * 2, (True, True, True), True,
        np.array([3.0, 8.0, 3.0, 8.0, 3.0]),
    )  # fmt: skip


# Gaussian on a constant ---------------------------------------------------------------------------


def gaussian_function(x, height, centre, fwhm, offset):
    return height * np.exp(-_LN2_4 * ((x - centre) / fwhm) ** 2) + offset


def _gaussian_jacobian(x, height, centre, fwhm, offset):
    u = (x - centre) / fwhm
    g = np.exp(-_LN2_4 * u**2)
    slope = height * g * 2.0 * _LN2_4 * u / fwhm
    return np.stack([g, slope, slope * u, np.ones_like(x)], axis=1)


def gaussian(peak: float, rows: int) -> Problem:
    """Gaussian on a constant of 20 counts: 256 points from 1.7 to 2.2 eV."""
    rng = np.random.default_rng(2)
    x = np.linspace(1.7, 2.2, 256)
    truth = np.stack(
        [
            peak * rng.uniform(0.8, 1.2, rows), rng.uniform(1.88, 2.02, rows),
            rng.uniform(0.06, 0.11, rows), np.full(rows, 20.0),
        ], axis=1,
    )  # fmt: skip
    y, sigma = _counts(gaussian_function, x, truth, rng)
    top = 100.0 * peak
    return Problem(
        "gaussian", ENERGY, "eV", ("height", "centre", "fwhm", "offset"),
        gaussian_function, _gaussian_jacobian,
        f"height*exp(-{_LN2_4!r}*((x-centre)/fwhm)**2)+offset",
        np.array([0.0, 1.6, 0.004, -top]), np.array([top, 2.3, 1.0, top]),
        np.median(truth, axis=0), x, y, sigma, truth,
        [(1.7, 2.2, 51), (np.log(0.01), np.log(1.0), 24)], (True, False), False,
        np.array([3.0, -0.15, 3.0, 3.0]),
    )  # fmt: skip


# Asymmetric peak on a constant --------------------------------------------------------------------


def asymmetric_function(x, height, centre, fwhm, skew, offset):
    """Peak whose width varies as a sigmoid (Stancik and Brauns, doi:10.1016/j.vibspec.2008.02.009)."""
    width = 2.0 * fwhm / (1.0 + np.exp(skew * (x - centre)))
    return height * np.exp(-_LN2_4 * ((x - centre) / width) ** 2) + offset


def _asymmetric_jacobian(x, height, centre, fwhm, skew, offset):
    e = np.exp(skew * (x - centre))
    width = 2.0 * fwhm / (1.0 + e)
    u = (x - centre) / width
    g = np.exp(-_LN2_4 * u**2)
    slope = -2.0 * _LN2_4 * u * height * g  # d/du
    by_skew = slope * (x - centre) * e * (x - centre) / (2.0 * fwhm)
    by_centre = slope * (-1.0 / width - (x - centre) * e * skew / (2.0 * fwhm))
    return np.stack([g, by_centre, -slope * u / fwhm, by_skew, np.ones_like(x)], axis=1)


def asymmetric(peak: float, rows: int) -> Problem:
    """Asymmetric peak on a constant of 20 counts, 256 points; plkit has no kernel for it."""
    rng = np.random.default_rng(3)
    x = np.linspace(1.7, 2.2, 256)
    truth = np.stack(
        [
            peak * rng.uniform(0.8, 1.2, rows), rng.uniform(1.90, 2.02, rows),
            rng.uniform(0.06, 0.11, rows), rng.uniform(2.0, 8.0, rows), np.full(rows, 20.0),
        ], axis=1,
    )  # fmt: skip
    y, sigma = _counts(asymmetric_function, x, truth, rng)
    top = 100.0 * peak
    return Problem(
        "asymmetric", ENERGY, "eV", ("height", "centre", "fwhm", "skew", "offset"),
        asymmetric_function, _asymmetric_jacobian,
        f"height*exp(-{_LN2_4!r}*((x-centre)*(1+exp(skew*(x-centre)))/(2*fwhm))**2)+offset",
        np.array([0.0, 1.6, 0.01, -30.0, -top]), np.array([top, 2.3, 0.6, 30.0, top]),
        np.median(truth, axis=0), x, y, sigma, truth,
        [(1.7, 2.2, 41), (np.log(0.01), np.log(0.6), 16), (-30.0, 30.0, 9)], (True, False), False,
        np.array([2.0, -0.1, 2.0, -8.0, 2.0]),
    )  # fmt: skip
