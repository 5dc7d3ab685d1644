"""Line shapes of emission, as densities per eV of unit area.

Every shape is ``shape(energy_ev, centre_ev, fwhm_ev, …)`` with ``centre_ev`` the maximum and
``fwhm_ev`` the full width at half maximum. Arguments broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.constants import FWHM_PER_SIGMA
from plkit.physics.photons import Medium, energy_from_wavelength, jacobian_ev_per_nm

__all__ = [
    "SHAPES",
    "asymmetric",
    "asymmetric_profile",
    "gaussian",
    "gaussian_profile",
    "lorentzian",
    "pseudo_voigt",
    "spectrum_on_wavelength",
    "voigt",
]

Floats = NDArray[np.float64]

_LN2: Final = float(np.log(2.0))
# Below this asymmetry the line is Gaussian to the last digit.
_SYMMETRIC: Final = 1e-7


def _floats(*values: ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.asarray(v, dtype=np.float64) for v in values)


def gaussian(energy_ev: ArrayLike, centre_ev: ArrayLike, fwhm_ev: ArrayLike) -> Floats:
    """Gaussian line.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy E [eV].
    centre_ev : array_like
        Maximum E0 [eV].
    fwhm_ev : array_like
        Full width at half maximum Γ [eV].

    Returns
    -------
    numpy.ndarray
        Density [1/eV], its integral over E is 1.

    Notes
    -----
    g(E) = 2 √(ln 2/π)/Γ · exp(−4 ln 2 (E − E0)²/Γ²).

    Examples
    --------
    >>> print(f"{gaussian(2.0, 2.0, 0.1):.4f} {gaussian(2.05, 2.0, 0.1):.4f}")
    9.3944 4.6972
    """
    e, e0, w = _floats(energy_ev, centre_ev, fwhm_ev)
    height = 2.0 * np.sqrt(_LN2 / np.pi) / w
    return np.asarray(height * np.exp(-4.0 * _LN2 * ((e - e0) / w) ** 2))


def lorentzian(energy_ev: ArrayLike, centre_ev: ArrayLike, fwhm_ev: ArrayLike) -> Floats:
    """Lorentzian line.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy E [eV].
    centre_ev : array_like
        Maximum E0 [eV].
    fwhm_ev : array_like
        Full width at half maximum Γ [eV].

    Returns
    -------
    numpy.ndarray
        Density [1/eV], its integral over all E is 1.

    Notes
    -----
    l(E) = (Γ/2π)/[(E − E0)² + (Γ/2)²].

    Examples
    --------
    >>> print(f"{lorentzian(2.0, 2.0, 0.1):.4f} {lorentzian(2.05, 2.0, 0.1):.4f}")
    6.3662 3.1831
    """
    e, e0, w = _floats(energy_ev, centre_ev, fwhm_ev)
    return np.asarray(w / (2.0 * np.pi) / ((e - e0) ** 2 + (w / 2.0) ** 2))


def pseudo_voigt(
    energy_ev: ArrayLike,
    centre_ev: ArrayLike,
    fwhm_ev: ArrayLike,
    lorentz_fraction: ArrayLike = 0.5,
) -> Floats:
    """Sum of a Gaussian and a Lorentzian of one width.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy [eV].
    centre_ev : array_like
        Maximum [eV].
    fwhm_ev : array_like
        Full width at half maximum of both parts [eV].
    lorentz_fraction : array_like, optional
        Share η of the area in the Lorentzian [1], 0 to 1.

    Returns
    -------
    numpy.ndarray
        η·lorentzian + (1 − η)·gaussian [1/eV].

    Examples
    --------
    >>> print(f"{pseudo_voigt(2.05, 2.0, 0.1, 0.5) / pseudo_voigt(2.0, 2.0, 0.1, 0.5):.3f}")
    0.500
    """
    eta = np.asarray(lorentz_fraction, dtype=np.float64)
    lorentz = lorentzian(energy_ev, centre_ev, fwhm_ev)
    return np.asarray(eta * lorentz + (1.0 - eta) * gaussian(energy_ev, centre_ev, fwhm_ev))


def voigt(
    energy_ev: ArrayLike,
    centre_ev: ArrayLike,
    fwhm_ev: ArrayLike,
    lorentz_fraction: ArrayLike = 0.5,
) -> Floats:
    """Voigt line: a Gaussian convolved with a Lorentzian.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy [eV].
    centre_ev : array_like
        Maximum [eV].
    fwhm_ev : array_like
        Full width at half maximum Γ of the whole line [eV].
    lorentz_fraction : array_like, optional
        Γ_L/Γ [1]: 0 is a Gaussian, 1 a Lorentzian.

    Returns
    -------
    numpy.ndarray
        Density [1/eV] of unit area.

    Notes
    -----
    Γ = 0.5346 Γ_L + √(0.2166 Γ_L² + Γ_G²), good to 0.02 % of Γ, gives the Gaussian's share Γ_G.

    References
    ----------
    J. J. Olivero, R. L. Longbothum, J. Quant. Spectrosc. Radiat. Transf. 17, 233 (1977),
    doi:10.1016/0022-4073(77)90161-3

    Examples
    --------
    >>> print(f"{voigt(2.05, 2.0, 0.1, 0.5) / voigt(2.0, 2.0, 0.1, 0.5):.3f}")
    0.500
    """
    from scipy.special import voigt_profile

    e, e0, w, share = _floats(energy_ev, centre_ev, fwhm_ev, lorentz_fraction)
    lorentz = share * w
    gauss2 = (w - 0.5346 * lorentz) ** 2 - 0.2166 * lorentz**2
    sigma = np.sqrt(np.maximum(gauss2, 0.0)) / FWHM_PER_SIGMA
    return np.asarray(voigt_profile(e - e0, sigma, lorentz / 2.0))


def asymmetric(
    energy_ev: ArrayLike,
    centre_ev: ArrayLike,
    fwhm_ev: ArrayLike,
    asymmetry: ArrayLike = 0.0,
) -> Floats:
    """Log-normal line, the asymmetric relative of a Gaussian.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy E [eV].
    centre_ev : array_like
        Maximum E0 [eV].
    fwhm_ev : array_like
        Full width at half maximum Γ [eV].
    asymmetry : array_like, optional
        b = ln(h₊/h₋) [1], h₊ and h₋ the half widths above and below the maximum. Negative for a
        low-energy tail, as most emission has; 0 is the Gaussian.

    Returns
    -------
    numpy.ndarray
        Density [1/eV] of unit area; 0 where 1 + 2 sinh(b)(E − E0)/Γ ≤ 0.

    Notes
    -----
    With u = 2 sinh(b) (E − E0)/Γ the line is exp{−ln 2 [ln(1 + u)/b]²} times its height
    2 sinh(b)/(b Γ) · √(ln 2/π) · exp(−b²/(4 ln 2)). Maximum, width and ratio of the half widths
    are exactly E0, Γ and e^b.

    References
    ----------
    D. B. Siano, D. E. Metzler, J. Chem. Phys. 51, 1856 (1969), doi:10.1063/1.1672270

    Examples
    --------
    >>> low, high = 2.0 - 0.1 / (1 + np.exp(-0.5)), 2.0 + 0.1 / (1 + np.exp(0.5))
    >>> ratio = asymmetric([low, high], 2.0, 0.1, -0.5) / asymmetric(2.0, 2.0, 0.1, -0.5)
    >>> print(np.round(ratio, 6))
    [0.5 0.5]
    """
    w, b = _floats(fwhm_ev, asymmetry)
    safe = np.where(np.abs(b) < _SYMMETRIC, 1.0, b)
    stretch = np.where(np.abs(b) < _SYMMETRIC, 1.0, np.sinh(safe) / safe)
    height = 2.0 * stretch / w * np.sqrt(_LN2 / np.pi) * np.exp(-(b**2) / (4.0 * _LN2))
    return np.asarray(height * asymmetric_profile(energy_ev, centre_ev, fwhm_ev, asymmetry)[0])


def gaussian_profile(
    energy_ev: ArrayLike, centre_ev: ArrayLike, fwhm_ev: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Gaussian of unit height with its derivatives, for fitting.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy [eV].
    centre_ev : array_like
        Maximum [eV].
    fwhm_ev : array_like
        Full width at half maximum [eV].

    Returns
    -------
    value : numpy.ndarray
        Profile [1], 1 at the maximum.
    by_centre : numpy.ndarray
        Its derivative by ``centre_ev`` [1/eV].
    by_fwhm : numpy.ndarray
        Its derivative by ``fwhm_ev`` [1/eV].

    Examples
    --------
    >>> value, by_centre, by_fwhm = gaussian_profile(2.05, 2.0, 0.1)
    >>> print(f"{value:.3f} {by_centre:.3f} {by_fwhm:.3f}")
    0.500 13.863 6.931
    """
    e, e0, w = _floats(energy_ev, centre_ev, fwhm_ev)
    z = (e - e0) / w
    value = np.exp(-4.0 * _LN2 * z**2)
    by_centre = 8.0 * _LN2 * z / w * value
    return np.asarray(value), np.asarray(by_centre), np.asarray(by_centre * z)


def asymmetric_profile(
    energy_ev: ArrayLike, centre_ev: ArrayLike, fwhm_ev: ArrayLike, asymmetry: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log-normal line of unit height with its derivatives, for fitting.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy [eV].
    centre_ev : array_like
        Maximum [eV].
    fwhm_ev : array_like
        Full width at half maximum [eV].
    asymmetry : array_like
        b [1] as in :func:`asymmetric`.

    Returns
    -------
    value : numpy.ndarray
        Profile [1], 1 at the maximum.
    by_centre : numpy.ndarray
        Its derivative by ``centre_ev`` [1/eV].
    by_fwhm : numpy.ndarray
        Its derivative by ``fwhm_ev`` [1/eV].
    by_asymmetry : numpy.ndarray
        Its derivative by ``asymmetry`` [1].

    Examples
    --------
    >>> print(f"{asymmetric_profile(2.0, 2.0, 0.1, -0.4)[0]:.1f}")
    1.0
    """
    e, e0, w, b = np.broadcast_arrays(*_floats(energy_ev, centre_ev, fwhm_ev, asymmetry))
    # The limit b -> 0 is taken at a b so small that the rounding of ln(1 + u)/b stays below 1e-8.
    b = np.where(np.abs(b) < _SYMMETRIC, _SYMMETRIC, b)
    x = (e - e0) / w
    u = 2.0 * np.sinh(b) * x
    inside = u > -1.0 + 1e-12
    u = np.where(inside, u, 0.0)
    z = np.log1p(u) / b
    value = np.where(inside, np.exp(-_LN2 * z**2), 0.0)
    outer = -2.0 * _LN2 * z * value  # d value / d z
    by_x = outer * 2.0 * np.sinh(b) / (b * (1.0 + u))
    by_b = outer * (2.0 * np.cosh(b) * x / (1.0 + u) - z) / b
    # Near symmetry the two terms of by_b cancel: their series is -x^2 + O(b), with z = 2x.
    by_b = np.where(np.abs(b) < 1e-4, outer * (-2.0 * x**2), by_b)
    return value, -by_x / w, -by_x * x / w, by_b


def spectrum_on_wavelength(
    wavelength_nm: ArrayLike,
    shape: Callable[..., Floats],
    *parameters: ArrayLike,
    medium: Medium = "air",
    **options: Any,
) -> Floats:
    """Evaluate a line shape on a wavelength axis, with the Jacobian.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelengths [nm].
    shape : callable
        ``shape(energy_ev, *parameters, **options)``, a density per eV.
    *parameters : array_like
        Centre [eV], full width [eV] and whatever else the shape takes.
    medium : {"air", "vacuum"}, optional
        Where the wavelengths were measured.
    **options
        Keywords of the shape.

    Returns
    -------
    numpy.ndarray
        Density [1/nm], its integral over wavelength is that of the shape over energy.

    Examples
    --------
    >>> wavelength = np.linspace(500.0, 800.0, 3001)
    >>> density = spectrum_on_wavelength(wavelength, gaussian, 2.0, 0.08)
    >>> print(f"{density.sum() * 0.1:.6f}")
    1.000000
    """
    energy = energy_from_wavelength(wavelength_nm, medium)
    return np.asarray(
        shape(energy, *parameters, **options) * jacobian_ev_per_nm(wavelength_nm, medium)
    )


SHAPES: Final[dict[str, Callable[..., Floats]]] = {
    "gaussian": gaussian,
    "lorentzian": lorentzian,
    "voigt": voigt,
    "pseudo_voigt": pseudo_voigt,
    "asymmetric": asymmetric,
}
"""Line shapes by name."""
