"""Lattice parameters: strain between two of them, and the angle at which X-rays see one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bragg_two_theta", "lattice_strain"]


def lattice_strain(parameter: ArrayLike, reference: ArrayLike) -> NDArray[np.float64]:
    """Relative change of a lattice parameter.

    Parameters
    ----------
    parameter : array_like
        Lattice parameter a [any unit].
    reference : array_like
        The parameter a_ref that it is compared with [same unit].

    Returns
    -------
    numpy.ndarray
        (a − a_ref)/a_ref; negative where the lattice shrank.

    References
    ----------
    .. [1] Feng et al., Adv. Mater. (2023), doi:10.1002/adma.202308032: CsPbBr3 and CsPbI3 cooled
       from 310 to 300 K.

    Examples
    --------
    >>> (100 * lattice_strain([5.802, 6.075], [5.807, 6.080])).round(4).tolist()  # per cent
    [-0.0861, -0.0822]
    """
    reference = np.asarray(reference, dtype=float)
    return np.asarray((np.asarray(parameter, dtype=float) - reference) / reference)


def bragg_two_theta(spacing: ArrayLike, wavelength: ArrayLike) -> NDArray[np.float64]:
    """Diffraction angle 2θ of a set of lattice planes, first order.

    Parameters
    ----------
    spacing : array_like
        Distance d of the planes [any unit].
    wavelength : array_like
        Wavelength λ of the X-rays [same unit]; λ ≤ 2 d.

    Returns
    -------
    numpy.ndarray
        2θ = 2 arcsin(λ/(2 d)) [degree].

    Examples
    --------
    >>> round(float(bragg_two_theta(5.87, 1.5418)), 2)  # (100) of a cubic perovskite, Cu Kα
    15.09
    """
    d = np.asarray(spacing, dtype=float)
    return np.asarray(2.0 * np.degrees(np.arcsin(np.asarray(wavelength, dtype=float) / (2.0 * d))))
