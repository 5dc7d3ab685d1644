"""Photons: wavelength and energy, air and vacuum, the Jacobian between them, laser irradiance.

Axes of spectrometers are calibrated with wavelengths in air, energies belong to the vacuum, hence
``medium="air"`` is the default everywhere. At 620 nm the difference is 0.17 nm, or 0.55 meV.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.constants import ELEMENTARY_CHARGE_C, HC_EV_NM

__all__ = [
    "AIR_RANGE_NM",
    "Medium",
    "air_from_vacuum",
    "energy_from_wavelength",
    "jacobian_ev_per_nm",
    "peak_irradiance",
    "photon_energy_j",
    "refractive_index_air",
    "relative_bandwidth",
    "vacuum_from_air",
    "wavelength_from_energy",
    "wavelength_from_raman_shift",
]

Medium = Literal["air", "vacuum"]
"""Where a wavelength was measured."""

AIR_RANGE_NM: Final = (185.0, 30_000.0)
"""Wavelengths for which the air index is meaningful: below, the formula runs into its pole."""

Floats = NDArray[np.float64]

_REFERENCE_EV: Final = 2.0

# Ciddor (1996), eq. 1: n - 1 = b1/(c1 - s^2) + b2/(c2 - s^2), s in 1/um.
_B1, _C1 = 0.05792105, 238.0185
_B2, _C2 = 0.00167917, 57.362


def _wavenumber2(wavelength_nm: ArrayLike) -> Floats:
    """Square of the vacuum wavenumber [1/um²]."""
    return (1e3 / np.asarray(wavelength_nm, dtype=np.float64)) ** 2


def refractive_index_air(wavelength_nm: ArrayLike) -> Floats:
    """Refractive index of standard air.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength in vacuum [nm], any shape.

    Returns
    -------
    numpy.ndarray
        n [1] of dry air at 15 °C, 101325 Pa, 450 ppm CO2.

    Notes
    -----
    n − 1 = 0.05792105/(238.0185 − s²) + 0.00167917/(57.362 − s²), s = 1/λ in 1/µm. Stated for
    230 nm to 1690 nm; smooth down to 185 nm and in the infrared. A laboratory at 22 °C has n − 1
    smaller by 2.5 %, which moves 620 nm by 0.004 nm.

    References
    ----------
    P. E. Ciddor, Appl. Opt. 35, 1566 (1996), doi:10.1364/AO.35.001566

    Examples
    --------
    >>> print(f"{refractive_index_air(589.3):.7f}")
    1.0002771
    """
    s2 = _wavenumber2(wavelength_nm)
    return np.asarray(1.0 + _B1 / (_C1 - s2) + _B2 / (_C2 - s2))


def _group_index_air(wavelength_nm: ArrayLike) -> Floats:
    """Group index n − λ dn/dλ of standard air at a vacuum wavelength [nm]."""
    s2 = _wavenumber2(wavelength_nm)
    # -lambda dn/dlambda = s dn/ds = 2 s^2 [b1/(c1-s^2)^2 + b2/(c2-s^2)^2]
    slope = 2.0 * s2 * (_B1 / (_C1 - s2) ** 2 + _B2 / (_C2 - s2) ** 2)
    return np.asarray(refractive_index_air(wavelength_nm) + slope)


def air_from_vacuum(wavelength_nm: ArrayLike) -> Floats:
    """Wavelength in air of light with a given wavelength in vacuum.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength in vacuum [nm].

    Returns
    -------
    numpy.ndarray
        λ/n [nm].

    See Also
    --------
    vacuum_from_air : the inverse.

    Examples
    --------
    >>> print(f"{air_from_vacuum(620.0):.3f}")
    619.828
    """
    vacuum = np.asarray(wavelength_nm, dtype=np.float64)
    return np.asarray(vacuum / refractive_index_air(vacuum))


def vacuum_from_air(wavelength_nm: ArrayLike) -> Floats:
    """Wavelength in vacuum of light with a given wavelength in air.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength in air [nm].

    Returns
    -------
    numpy.ndarray
        λ·n [nm], to the last digits.

    See Also
    --------
    air_from_vacuum : the inverse.

    Notes
    -----
    n is known as a function of the vacuum wavelength: fixed-point iteration, which gains three to
    four digits a round.

    Examples
    --------
    >>> print(f"{vacuum_from_air(632.816):.3f}")
    632.991
    """
    air = np.asarray(wavelength_nm, dtype=np.float64)
    vacuum = air
    for _ in range(6):
        vacuum = air * refractive_index_air(vacuum)
    return np.asarray(vacuum)


def energy_from_wavelength(wavelength_nm: ArrayLike, medium: Medium = "air") -> Floats:
    """Photon energy from wavelength.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength [nm], any shape.
    medium : {"air", "vacuum"}, optional
        Where the wavelength was measured.

    Returns
    -------
    numpy.ndarray
        E = hc/(n λ) [eV].

    See Also
    --------
    wavelength_from_energy : the inverse.

    Examples
    --------
    >>> print(f"{energy_from_wavelength(513.0, 'vacuum'):.3f} {energy_from_wavelength(513.0):.4f}")
    2.417 2.4162
    """
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    vacuum = vacuum_from_air(wavelength) if medium == "air" else wavelength
    return np.asarray(HC_EV_NM / vacuum)


def wavelength_from_energy(energy_ev: ArrayLike, medium: Medium = "air") -> Floats:
    """Wavelength from photon energy.

    Parameters
    ----------
    energy_ev : array_like
        Photon energy [eV], any shape.
    medium : {"air", "vacuum"}, optional
        Where the wavelength is wanted.

    Returns
    -------
    numpy.ndarray
        λ = hc/(n E) [nm].

    See Also
    --------
    energy_from_wavelength : the inverse.

    Examples
    --------
    >>> print(f"{wavelength_from_energy(2.0, 'vacuum'):.3f} {wavelength_from_energy(2.0):.3f}")
    619.921 619.750
    """
    vacuum = HC_EV_NM / np.asarray(energy_ev, dtype=np.float64)
    return air_from_vacuum(vacuum) if medium == "air" else np.asarray(vacuum)


def wavelength_from_raman_shift(
    shift_per_cm: ArrayLike, laser_nm: ArrayLike, medium: Medium = "air"
) -> Floats:
    """Wavelength of scattered light or luminescence from its distance to the laser line.

    Parameters
    ----------
    shift_per_cm : array_like
        Raman shift Δν, positive to the red of the laser [1/cm].
    laser_nm : array_like
        Wavelength of the laser [nm].
    medium : {"air", "vacuum"}, optional
        Where both wavelengths are.

    Returns
    -------
    numpy.ndarray
        λ = 1/(n (ν_laser − Δν)) [nm], ν_laser the wavenumber of the laser in vacuum; negative or
        infinite where Δν reaches ν_laser.

    Examples
    --------
    >>> print(wavelength_from_raman_shift([0.0, 520.5, 3000.0], 532.0).round(2).tolist())
    [532.0, 547.16, 633.07]
    """
    laser = np.asarray(laser_nm, dtype=np.float64)
    if medium == "air":
        laser = vacuum_from_air(laser)
    with np.errstate(divide="ignore"):
        vacuum = 1e7 / (1e7 / laser - np.asarray(shift_per_cm, dtype=np.float64))
    return air_from_vacuum(vacuum) if medium == "air" else np.asarray(vacuum)


def jacobian_ev_per_nm(wavelength_nm: ArrayLike, medium: Medium = "air") -> Floats:
    """Width in energy of an interval of 1 nm.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength [nm].
    medium : {"air", "vacuum"}, optional
        Where the wavelength was measured.

    Returns
    -------
    numpy.ndarray
        ∣dE/dλ∣ [eV/nm], positive.

    Notes
    -----
    A density per nm is a density per eV times ∣dE/dλ∣: f_λ(λ) = f_E(E(λ)) ∣dE/dλ∣. In vacuum
    ∣dE/dλ∣ = hc/λ² = E²/hc; in air λ_air = λ/n gives dλ_air/dλ = n_g/n² with the group index
    n_g = n − λ dn/dλ, hence ∣dE/dλ_air∣ = (hc/λ²)·n²/n_g. The maximum of a spectrum per eV lies
    at lower energy than that per nm, by about 2σ²/E for a Gaussian of standard deviation σ.

    Examples
    --------
    >>> print(f"{1e3 * jacobian_ev_per_nm(620.0):.3f} meV/nm")
    3.224 meV/nm
    """
    wavelength = np.asarray(wavelength_nm, dtype=np.float64)
    if medium == "vacuum":
        return np.asarray(HC_EV_NM / wavelength**2)
    vacuum = vacuum_from_air(wavelength)
    n = refractive_index_air(vacuum)
    return np.asarray(HC_EV_NM / vacuum**2 * n**2 / _group_index_air(vacuum))


def photon_energy_j(wavelength_nm: ArrayLike, medium: Medium = "air") -> Floats:
    """Photon energy in joule.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength [nm].
    medium : {"air", "vacuum"}, optional
        Where the wavelength was measured.

    Returns
    -------
    numpy.ndarray
        Energy of one photon [J].

    Examples
    --------
    >>> print(f"{photon_energy_j(405.0):.3e}")
    4.903e-19
    """
    return np.asarray(energy_from_wavelength(wavelength_nm, medium) * ELEMENTARY_CHARGE_C)


def peak_irradiance(power_uw: ArrayLike, radius_um: ArrayLike) -> Floats:
    """Irradiance at the centre of a Gaussian laser spot.

    Parameters
    ----------
    power_uw : array_like
        Power at the sample [µW].
    radius_um : array_like
        Radius w0 at which the irradiance has fallen to 1/e² [µm].

    Returns
    -------
    numpy.ndarray
        2P/(π w0²) [W/cm²].

    Examples
    --------
    >>> print(f"{peak_irradiance(10.0, 1.0):.1f} {peak_irradiance(160.0, 1.0):.0f}")
    636.6 10186
    """
    power_w = 1e-6 * np.asarray(power_uw, dtype=np.float64)
    radius_cm = 1e-4 * np.asarray(radius_um, dtype=np.float64)
    return np.asarray(2.0 * power_w / (np.pi * radius_cm**2))


def relative_bandwidth(wavelength_nm: ArrayLike, medium: Medium = "air") -> Floats:
    """Width in energy of an interval of wavelength, relative to that at 2 eV.

    Parameters
    ----------
    wavelength_nm : array_like
        Wavelength [nm].
    medium : {"air", "vacuum"}, optional
        Where the wavelength was measured.

    Returns
    -------
    numpy.ndarray
        J = ∣dE/dλ∣(λ) / ∣dE/dλ∣(2 eV) [1].

    Notes
    -----
    Counts per interval of wavelength divided by J are counts per interval of energy; both are
    counts, and equal at 2 eV. The reference is a constant so that datasets stay comparable
    whatever their axis was cropped to.

    Examples
    --------
    >>> print(f"{relative_bandwidth(500.0, 'vacuum'):.4f}")
    1.5372
    """
    reference = jacobian_ev_per_nm(wavelength_from_energy(_REFERENCE_EV, medium), medium)
    return np.asarray(jacobian_ev_per_nm(wavelength_nm, medium) / reference)
