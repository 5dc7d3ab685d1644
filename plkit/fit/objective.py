"""What is made small: squares, a robust loss, or the Poisson deviance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOSSES", "CountNoise", "LeastSquares", "Objective", "Poisson", "Robust"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]

LOSSES: Final = ("linear", "soft_l1", "huber", "cauchy")

# Residual in units of σ where a loss leaves the parabola: 95 % efficiency for normal noise.
_KNEE: Final = {"soft_l1": 1.345, "huber": 1.345, "cauchy": 2.385}
# The variance never falls below that of so many detected electrons.
_LEAST_ELECTRONS: Final = 0.3


@dataclass(frozen=True)
class CountNoise:
    """Noise of counted light: variance = gain · expected + floor.

    Parameters
    ----------
    gain : float, optional
        Counts per detected electron; 1 for photon counts.
    floor : float, optional
        Variance of what is read without light [counts²].

    Examples
    --------
    >>> CountNoise(gain=2.5, floor=16.0)
    CountNoise(gain=2.5, floor=16.0)
    """

    gain: float = 1.0
    floor: float = 0.0


class Objective(Protocol):
    """What the search asks of rows of data; ``rows`` are indices into them."""

    y: Floats
    good: Bools | None

    def root_weight(self, model: Floats, rows: Rows) -> Floats | None:
        """√w of every point, for normal equations Jᵀ w J and Jᵀ w (y − model); None for ones."""

    def cost(self, model: Floats, rows: Rows) -> Floats:
        """Return the number that is made small; it has the scale of χ²."""


class LeastSquares:
    """Σ w (y − model)².

    Parameters
    ----------
    y : numpy.ndarray
        Shape (rows, points); zero in gaps.
    root : numpy.ndarray or None
        1/σ, zero in gaps; None for ones.
    good : numpy.ndarray of bool or None
        False in gaps; None where there are none.
    """

    def __init__(self, y: Floats, root: Floats | None, good: Bools | None) -> None:
        self.y, self.root, self.good = y, root, good

    def root_weight(self, model: Floats, rows: Rows) -> Floats | None:  # noqa: ARG002
        """See Objective."""
        return None if self.root is None else self.root[rows]

    def cost(self, model: Floats, rows: Rows) -> Floats:
        """See Objective."""
        r = self.y[rows] - model
        if self.root is not None:
            r *= self.root[rows]
        return np.asarray(np.vecdot(r, r))


class Robust:
    """Σ c² ρ(z), z = [(y − model)/(c σ)]²: points far off count less than squared.

    Parameters
    ----------
    y, root, good
        As for :class:`LeastSquares`.
    loss : {"soft_l1", "huber", "cauchy"}
        ρ = 2 (√(1 + z) − 1); z up to one and 2 √z − 1 beyond; ln(1 + z).
    """

    def __init__(self, y: Floats, root: Floats, good: Bools | None, loss: str) -> None:
        self.y, self.root, self.good, self.loss = y, root, good, loss
        self.knee = _KNEE[loss]

    def _z(self, model: Floats, rows: Rows) -> Floats:
        return np.asarray(((self.y[rows] - model) * self.root[rows] / self.knee) ** 2)

    def cost(self, model: Floats, rows: Rows) -> Floats:
        """See Objective."""
        z = self._z(model, rows)
        if self.loss == "soft_l1":
            rho = 2.0 * z / (np.sqrt(1.0 + z) + 1.0)
        elif self.loss == "huber":
            rho = np.where(z <= 1.0, z, 2.0 * np.sqrt(z) - 1.0)
        else:
            rho = np.log1p(z)
        return np.asarray(self.knee**2 * rho.sum(axis=1))

    def _slopes(self, z: Floats) -> tuple[Floats, Floats]:
        """First and second derivative of ρ."""
        if self.loss == "soft_l1":
            first = 1.0 / np.sqrt(1.0 + z)
            return first, -0.5 * first**3
        if self.loss == "huber":
            far = z > 1.0
            safe = np.where(far, z, 1.0)
            return 1.0 / np.sqrt(safe), np.where(far, -0.5 * safe**-1.5, 0.0)
        first = 1.0 / (1.0 + z)
        return first, -(first**2)

    def root_weight(self, model: Floats, rows: Rows) -> Floats:
        """See Objective."""
        return np.asarray(self.root[rows] * np.sqrt(self._slopes(self._z(model, rows))[0]))

    def efficiency(self, model: Floats, rows: Rows, n_free: int) -> tuple[Floats, Floats]:
        """What makes the covariance of the estimate from that of squares (Huber).

        Parameters
        ----------
        model : numpy.ndarray
            At the minimum.
        rows : numpy.ndarray of int
            Which rows.
        n_free : int
            Parameters that are searched.

        Returns
        -------
        tuple of numpy.ndarray
            1/σ of every point, and the factor K² E[ψ²]/E[ψ′]² of (Jᵀ J/σ²)⁻¹ with ψ the slope of
            the loss in units of σ.

        References
        ----------
        Huber, Ann. Statist. 1, 799 (1973), doi:10.1214/aos/1176342503.
        """
        root = self.root[rows]
        z = self._z(model, rows)
        first, second = self._slopes(z)
        counted = root > 0.0
        n = np.maximum(counted.sum(axis=1), 1)
        squared = np.where(counted, first**2 * z * self.knee**2, 0.0).sum(axis=1)
        bend = np.where(counted, first + 2.0 * z * second, 0.0)
        mean = bend.sum(axis=1) / n
        spread = np.where(counted, (bend - mean[:, None]) ** 2, 0.0).sum(axis=1) / n
        safe = np.where(mean > 0.0, mean, np.nan)
        k = 1.0 + n_free / n * spread / safe**2
        return root, k**2 * squared / np.maximum(n - n_free, 1) / safe**2


class Poisson:
    """Deviance of counts with variance gain · model + floor: maximum likelihood.

    Parameters
    ----------
    y, good
        As for :class:`LeastSquares`.
    gain, floor : numpy.ndarray
        Shape (points,) [counts], [counts²].

    Notes
    -----
    Twice ∫ (u − y)/(gain u + floor) du from y to the model; for gain 1 and floor 0 the deviance of
    the Poisson distribution. Below 0.3 electrons the variance is held, and it is a parabola.
    """

    def __init__(self, y: Floats, good: Bools | None, gain: Floats, floor: Floats) -> None:
        self.y, self.good = y, good
        self.gain, self.floor = gain, floor
        self.least = _LEAST_ELECTRONS * gain
        self._poisson = gain > 0.0
        self._safe = np.where(self._poisson, gain, 1.0)
        self._shift = np.where(self._poisson, floor / self._safe, 0.0)

    def variance(self, model: Floats) -> Floats:
        """Of every point.

        Parameters
        ----------
        model : numpy.ndarray
            Expected counts.
        """
        return np.asarray(self.gain * np.maximum(model, self.least) + self.floor)

    def root_weight(self, model: Floats, rows: Rows) -> Floats:
        """See Objective."""
        root = 1.0 / np.sqrt(self.variance(model))
        return root if self.good is None else np.where(self.good[rows], root, 0.0)

    def cost(self, model: Floats, rows: Rows) -> Floats:
        """See Objective."""
        y = self.y[rows]
        # from max(y, least) to max(model, least) by the logarithm, the rest by parabolas
        low, high = np.maximum(y, self.least), np.maximum(model, self.least)
        a, b = low + self._shift, high + self._shift
        with np.errstate(divide="ignore", invalid="ignore"):
            curved = 2.0 / self._safe * ((b - a) - (y + self._shift) * np.log(b / a))
        at_least = self.gain * self.least + self.floor
        straight = ((model - y) ** 2 - (high - y) ** 2 + (low - y) ** 2) / at_least
        out = np.where(self._poisson, curved + straight, (model - y) ** 2 / at_least)
        if self.good is not None:
            out = np.where(self.good[rows], out, 0.0)
        return np.asarray(out.sum(axis=1))
