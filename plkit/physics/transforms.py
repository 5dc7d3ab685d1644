"""Quadrature for the ways back from Hankel and Laplace space."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["hankel_nodes", "talbot_contour"]

_N_GAUSS: Final = 16
_N_CONTOUR: Final = 26
"""Points of the contour: here truncation and rounding are both near 1e-10."""


@lru_cache(maxsize=32)
def hankel_nodes(
    spot_radius_um: float, r_max_um: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights for integrals over the radial wave number λ from 0 to infinity.

    Parameters
    ----------
    spot_radius_um : float
        1/e² radius w0 [µm]; the integrand falls at least as exp(−λ² w0²/8).
    r_max_um : float, optional
        Largest radius r in J0(λ r) [µm].

    Returns
    -------
    lam, weight : ndarray
        Wave numbers [1/µm] and weights [1/µm] of a composite Gauss–Legendre rule. Panels double in
        width from 1e-9 of the cut-off, so that layers and diffusion lengths of any size are
        resolved; wide panels are split where J0 turns within them.

    Examples
    --------
    >>> lam, weight = hankel_nodes(1.0)
    >>> float(np.round(weight @ np.exp(-lam**2 / 8) / np.sqrt(2 * np.pi), 12))
    1.0
    """
    cut = 17.5 / spot_radius_um  # exp(−17.5²/8) = 2e-17
    edges = [0.0, *(cut * 2.0 ** np.arange(-30.0, -1.0)), *(cut * np.array([0.5, 0.75, 1.0]))]
    fine = []
    for low, high in pairwise(edges):
        pieces = max(1, int(np.ceil((high - low) * r_max_um / 8.0)))
        fine.append(np.linspace(low, high, pieces + 1)[:-1])
    bounds = np.concatenate([*fine, np.array([cut])])
    x, w = np.polynomial.legendre.leggauss(_N_GAUSS)
    half = np.diff(bounds)[:, None] / 2
    lam = np.ravel(bounds[:-1, None] + half * (1 + x))
    weight = np.ravel(half * w)
    for array in (lam, weight):  # shared by all callers through the cache
        array.flags.writeable = False
    return lam, weight


def talbot_contour(time: float) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """Points and weights that invert a Laplace transform at one time.

    Parameters
    ----------
    time : float
        Time [s], above 0.

    Returns
    -------
    s, weight : ndarray
        Laplace variable [1/s] and weights [1/s]: f(t) = Im Σ weight · F(s) for a real f whose
        transform is analytic off the negative real axis, as that of every diffusion is.

    References
    ----------
    L. N. Trefethen, J. A. C. Weideman, T. Schmelzer, BIT 46, 653 (2006),
    doi:10.1007/s10543-006-0077-9.

    Examples
    --------
    >>> s, weight = talbot_contour(2.0)  # 1/(s + 1) is the transform of exp(−t)
    >>> round(float(np.imag(weight / (s + 1)).sum() / np.exp(-2.0)), 8)
    1.0
    """
    theta = (2 * np.arange(_N_CONTOUR // 2) + 1) * np.pi / _N_CONTOUR
    scale = _N_CONTOUR / time
    cot = 1 / np.tan(0.6407 * theta)
    s = scale * (-0.4814 + 0.6122 * theta * cot + 0.2645j * theta)
    slope = scale * (0.6122 * (cot - 0.6407 * theta * (1 + cot**2)) + 0.2645j)
    weight = np.exp(s * time) * slope * (2 / _N_CONTOUR)
    return np.asarray(s, dtype=complex), np.asarray(weight, dtype=complex)
