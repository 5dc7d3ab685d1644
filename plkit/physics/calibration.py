"""Calibrations: emission energy against iodine content, both ways, and the conventions of x.

x is always the iodine per formula unit in CsPbBr(3−x)I(x), 0 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.errors import DataError

__all__ = [
    "CALIBRATIONS",
    "Calibration",
    "bromine_count_from_iodine",
    "bromine_fraction_from_iodine",
    "get_calibration",
    "iodine_from_bromine_count",
    "iodine_from_bromine_fraction",
]

Array = NDArray[np.float64]

_FULL: Final = (0.0, 3.0)
_BISECTIONS: Final = 60
_STEP_EV: Final = 1e-4


def iodine_from_bromine_count(x_bromine: ArrayLike) -> Array:
    """Iodine per formula unit where x counts bromine: CsPbBr(x)I(3−x).

    Parameters
    ----------
    x_bromine : array_like
        Bromine per formula unit, 0 to 3 [1].

    Returns
    -------
    numpy.ndarray
        3 − x [1].

    Examples
    --------
    >>> round(float(iodine_from_bromine_count(1.2)), 12)  # CsPbBr1.2I1.8
    1.8
    """
    return np.asarray(3.0 - np.asarray(x_bromine, dtype=float))


def bromine_count_from_iodine(x_iodine: ArrayLike) -> Array:
    """Bromine per formula unit, the x of CsPbBr(x)I(3−x).

    Parameters
    ----------
    x_iodine : array_like
        Iodine per formula unit, 0 to 3 [1].

    Returns
    -------
    numpy.ndarray
        3 − x [1].

    Examples
    --------
    >>> round(float(bromine_count_from_iodine(1.8)), 12)
    1.2
    """
    return np.asarray(3.0 - np.asarray(x_iodine, dtype=float))


def iodine_from_bromine_fraction(bromine_fraction: ArrayLike) -> Array:
    """Iodine per formula unit where x is the bromine fraction: CsPb(Br(x)I(1−x))3.

    Parameters
    ----------
    bromine_fraction : array_like
        Share of the halide sites that hold bromine, 0 to 1 [1].

    Returns
    -------
    numpy.ndarray
        3 (1 − x) [1].

    Examples
    --------
    >>> round(float(iodine_from_bromine_fraction(0.7)), 12)  # CsPb(Br0.7I0.3)3
    0.9
    """
    return np.asarray(3.0 * (1.0 - np.asarray(bromine_fraction, dtype=float)))


def bromine_fraction_from_iodine(x_iodine: ArrayLike) -> Array:
    """Bromine fraction of the halide sites, the x of CsPb(Br(x)I(1−x))3.

    Parameters
    ----------
    x_iodine : array_like
        Iodine per formula unit, 0 to 3 [1].

    Returns
    -------
    numpy.ndarray
        1 − x/3 [1].

    Examples
    --------
    >>> round(float(bromine_fraction_from_iodine(0.9)), 12)
    0.7
    """
    return np.asarray(1.0 - np.asarray(x_iodine, dtype=float) / 3.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Energy against iodine content, with the ranges in which it holds.

    Either a polynomial (``coefficients``) or a monotone cubic interpolant of knots (``knots_x``,
    ``knots_energy``); make the second by :meth:`from_table`.

    Parameters
    ----------
    name : str
        By which it is called.
    source : str
        Where it comes from.
    valid : tuple of float
        Range of x for which it was made.
    monotonic : tuple of float
        Range of x in which the energy falls strictly, so that it can be inverted.
    coefficients : tuple of float
        Of 1, x, x², … [eV].
    knots_x, knots_energy : tuple of float
        Points of a table [1] and [eV].
    rms : float
        Scatter of the points about the curve, one σ at every x [eV].
    covariance : tuple of tuple of float
        Of the energies at the knots [eV²].
    """

    name: str
    source: str
    valid: tuple[float, float] = _FULL
    monotonic: tuple[float, float] = _FULL
    coefficients: tuple[float, ...] = ()
    knots_x: tuple[float, ...] = ()
    knots_energy: tuple[float, ...] = ()
    rms: float = 0.0
    covariance: tuple[tuple[float, ...], ...] = ()

    @property
    def usable(self) -> tuple[float, float]:
        """Range of x that is valid and can be inverted."""
        return max(self.valid[0], self.monotonic[0]), min(self.valid[1], self.monotonic[1])

    @property
    def energy_range(self) -> tuple[float, float]:
        """Lowest and highest energy that have a composition [eV]."""
        low, high = self.energy(np.array(self.usable)[::-1])
        return float(low), float(high)

    def energy(self, x_iodine: ArrayLike) -> Array:
        """Emission energy at a composition.

        Parameters
        ----------
        x_iodine : array_like
            Iodine per formula unit [1].

        Returns
        -------
        numpy.ndarray
            [eV]; a polynomial also beyond its range, a table NaN there.

        Examples
        --------
        >>> round(float(get_calibration("cunha2025").energy(1.5)), 4)
        2.105
        """
        x = np.asarray(x_iodine, dtype=float)
        if self.coefficients:
            return np.asarray(np.polynomial.polynomial.polyval(x, np.array(self.coefficients)))
        return self._interpolated(np.array(self.knots_energy), x)

    def x_iodine(self, energy: ArrayLike) -> Array:
        """Composition from an energy, the inverse of :meth:`energy`.

        Parameters
        ----------
        energy : array_like
            [eV].

        Returns
        -------
        numpy.ndarray
            Iodine per formula unit [1]; NaN for an energy that no composition in ``usable`` has.

        Examples
        --------
        >>> get_calibration("cunha2025").x_iodine([2.101427, 2.45]).round(3).tolist()
        [1.511, nan]
        """
        wanted = np.asarray(energy, dtype=float)
        lowest, highest = self.energy_range
        low, high = (np.full(wanted.shape, end) for end in self.usable)
        for _ in range(_BISECTIONS):  # the energy falls with x
            middle = 0.5 * (low + high)
            too_low_x = self.energy(middle) > wanted
            low, high = np.where(too_low_x, middle, low), np.where(too_low_x, high, middle)
        # half a rounding error of an energy must not make the end of the range NaN
        slack = 1e-12 * highest
        with np.errstate(invalid="ignore"):
            inside = (wanted >= lowest - slack) & (wanted <= highest + slack)
        return np.asarray(np.where(inside, 0.5 * (low + high), np.nan))

    def energy_stderr(self, x_iodine: ArrayLike) -> Array:
        """σ of the calibration's energy, the same error for all pixels of a map.

        Parameters
        ----------
        x_iodine : array_like
            Iodine per formula unit [1].

        Returns
        -------
        numpy.ndarray
            [eV]; zero where none is known.

        Examples
        --------
        >>> float(get_calibration("literature").energy_stderr(1.0))
        0.043
        """
        x = np.asarray(x_iodine, dtype=float)
        if not self.covariance:
            return np.full(x.shape, self.rms)
        at, e = np.clip(x, *self.valid), np.array(self.knots_energy)
        slopes = [
            (self._interpolated(e + d, at) - self._interpolated(e - d, at)) / (2.0 * _STEP_EV)
            for d in _STEP_EV * np.eye(e.size)
        ]
        jac = np.stack(slopes, axis=-1)
        variance = np.einsum("...i,ij,...j->...", jac, np.array(self.covariance), jac)
        return np.asarray(np.sqrt(variance + self.rms**2))

    def _interpolated(self, knots_energy: Array, x: Array) -> Array:
        from scipy.interpolate import PchipInterpolator

        curve = PchipInterpolator(np.array(self.knots_x), knots_energy, extrapolate=False)
        return np.asarray(curve(x), dtype=np.float64)

    @classmethod
    def from_table(
        cls,
        x_iodine: ArrayLike,
        energy: ArrayLike,
        stderr: ArrayLike | None = None,
        *,
        covariance: ArrayLike | None = None,
        name: str = "table",
        source: str = "a table of the user",
    ) -> Calibration:
        """Make a calibration from points: a monotone interpolant that goes through them.

        Parameters
        ----------
        x_iodine : array_like, shape (n,)
            Iodine per formula unit, each value once, n at least 2 [1].
        energy : array_like, shape (n,)
            Emission energies [eV].
        stderr : array_like, optional
            σ of each energy, independent [eV].
        covariance : array_like, shape (n, n), optional
            Covariance of the energies, instead of ``stderr`` [eV²].
        name, source : str, optional
            For the records.

        Returns
        -------
        Calibration
            Valid between the first and the last x, monotonic on the longest stretch on which the
            energies fall.

        Raises
        ------
        DataError
            If shapes differ, a value is no number, an x repeats, or the energies never fall.

        References
        ----------
        .. [1] F. N. Fritsch, J. Butland, SIAM J. Sci. Stat. Comput. 5, 300 (1984),
           doi:10.1137/0905021.

        Examples
        --------
        >>> mine = Calibration.from_table([0.0, 1.0, 3.0], [2.40, 2.27, 1.80], [0.01, 0.01, 0.02])
        >>> round(float(mine.x_iodine(2.27)), 6), round(float(mine.energy_stderr(3.0)), 6)
        (1.0, 0.02)
        """
        action = "make a calibration"
        x, e = np.atleast_1d(np.asarray(x_iodine, float)), np.atleast_1d(np.asarray(energy, float))
        if x.shape != e.shape or x.ndim != 1 or x.size < 2:
            raise DataError(
                action, f"x has shape {x.shape} and energy {e.shape}, not both (n,) with n ≥ 2"
            )
        if not (np.all(np.isfinite(x)) and np.all(np.isfinite(e))):
            raise DataError(
                action, "the table holds values that are no numbers", "Drop those rows."
            )
        order = np.argsort(x)
        x, e = x[order], e[order]
        if np.any(np.diff(x) == 0):
            raise DataError(action, "an x is there twice", "Average its energies first.")
        cov = _table_covariance(x.size, stderr, covariance, order, action)
        start, stop = _longest_fall(e)
        if stop == start:
            raise DataError(
                action, "the energies do not fall with x, the iodine per formula unit",
                "Where x counts bromine, convert it with iodine_from_bromine_count.",
            )  # fmt: skip
        return cls(
            name=name, source=source, valid=(float(x[0]), float(x[-1])),
            monotonic=(float(x[start]), float(x[stop])),
            knots_x=tuple(map(float, x)), knots_energy=tuple(map(float, e)), covariance=cov,
        )  # fmt: skip


def _table_covariance(
    n: int,
    stderr: ArrayLike | None,
    covariance: ArrayLike | None,
    order: NDArray[np.intp],
    action: str,
) -> tuple[tuple[float, ...], ...]:
    if covariance is not None:
        matrix = np.asarray(covariance, dtype=float)
        if matrix.shape != (n, n):
            raise DataError(action, f"the covariance has shape {matrix.shape}, not ({n}, {n})")
        matrix = matrix[np.ix_(order, order)]
    elif stderr is not None:
        sigma = np.broadcast_to(np.asarray(stderr, dtype=float), (n,))[order]
        matrix = np.diag(sigma**2)
    else:
        return ()
    if not np.all(np.isfinite(matrix)) or np.any(np.diag(matrix) < 0):
        raise DataError(action, "a σ of the table is negative or no number")
    return tuple(tuple(map(float, row)) for row in matrix)


def _longest_fall(energy: Array) -> tuple[int, int]:
    """First and last index of the longest stretch of falling values."""
    best = (0, 0)
    start = 0
    for i in range(1, energy.size + 1):
        if i == energy.size or energy[i] >= energy[i - 1]:
            if i - 1 - start > best[1] - best[0]:
                best = (start, i - 1)
            start = i
    return best


_CUNHA: Final = (
    "da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), doi:10.1021/acsami.4c19234"
)

CALIBRATIONS: Final[dict[str, Calibration]] = {
    c.name: c
    for c in (
        # Strictly falling on (0, 10/3) only; its slope vanishes at x = 0. No σ is published: at the
        # same paper's own peaks it is off by 0.00, 0.02, 0.00, 0.02 and 0.10 eV.
        Calibration(
            name="cunha2025",
            source=f"{_CUNHA}: cubic fitted to Nedelcu et al. (2015)",
            monotonic=(0.0, 10.0 / 3.0),
            coefficients=(2.42, 0.0, -0.2, 0.04),
        ),
        # Interpolated, since the least-squares cubic through these points is not monotone. The
        # energies are printed to 0.01 eV: σ of the rounding is 0.01/√12.
        Calibration.from_table(
            (0.0, 1.0, 1.5, 2.0, 3.0),
            (2.42, 2.28, 2.10, 1.92, 1.80),
            0.01 / np.sqrt(12.0),
            name="cunha2025_points",
            source=f"{_CUNHA}: printed emission peaks",
        ),
        # 1.756 + 0.319 b + 0.301 b² with b = 1 − x/3 the bromine fraction, by least squares from 15
        # rows CsPb(I(1−b)Br(b))3 of a table of literature band gaps (CC-BY-4.0,
        # github.com/qinyu319/llm-sr-perovskite-bandgap, from the Perovskite Database Project).
        Calibration(
            name="literature",
            source=(
                "quadratic through 15 band gaps CsPb(I,Br)3 of the Perovskite Database Project, "
                "collected in github.com/qinyu319/llm-sr-perovskite-bandgap (CC-BY-4.0); gaps, not "
                "emission energies"
            ),
            monotonic=(0.0, 1.5 * (0.319 + 2 * 0.301) / 0.301),
            coefficients=(1.756 + 0.319 + 0.301, -(0.319 + 2 * 0.301) / 3.0, 0.301 / 9.0),
            rms=0.043,
        ),
    )
}
"""Published calibrations, by name."""


def get_calibration(calibration: str | Calibration) -> Calibration:
    """Calibration of a name; a calibration comes back as it is.

    Parameters
    ----------
    calibration : str or Calibration
        ``"cunha2025"`` (the published cubic 2.42 − 0.2 x² + 0.04 x³ eV), ``"cunha2025_points"``
        (monotone interpolant of the printed peaks), ``"literature"`` (quadratic through 15
        literature band gaps, σ 0.043 eV), or your own.

    Returns
    -------
    Calibration
        With ``energy``, ``x_iodine``, ``energy_stderr`` and its ranges.

    Raises
    ------
    DataError
        If there is no calibration of that name.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> get_calibration("cunha2025").x_iodine([2.283319, 1.796872]).round(3).tolist()
    [0.915, 2.493]
    """
    if isinstance(calibration, Calibration):
        return calibration
    try:
        return CALIBRATIONS[calibration]
    except KeyError:
        raise DataError(
            "find the calibration",
            f"'{calibration}' is not one of {', '.join(CALIBRATIONS)}",
            "Make your own by Calibration.from_table(x_iodine, energy, stderr).",
        ) from None
