"""Ions that hop into vacancies of a cubic lattice: rates, gaps, closed forms, energy of carriers.

Species are 0 vacancy, 1 bromide, 2 iodide, as in :mod:`plkit.physics.hopping_kernels`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.constants import BOLTZMANN_EV_K

__all__ = [
    "MIXED_HALIDE_GAP",
    "TRACER_CORRELATION",
    "carrier_free_energy",
    "carrier_potential",
    "escape_share",
    "halide_spacing_nm",
    "hop_rate",
    "mixed_halide_gap",
    "published_rise",
    "tracer_diffusion",
    "vacancy_diffusion",
]

Array = NDArray[np.float64]

MIXED_HALIDE_GAP: Final = (2.46, 0.0, -1.78, 1.16)
"""Coefficients of 1, x, x², x³ of the gap [eV], x the iodide fraction 0 to 1 (not 0 to 3)."""

TRACER_CORRELATION: Final = 0.6531
"""Correlation factor of a tracer that one vacancy moves on the simple cubic lattice."""


def hop_rate(temperature_k: ArrayLike, barrier_ev: ArrayLike, attempt_per_s: float) -> Array:
    """Rate of a thermally activated hop.

    Parameters
    ----------
    temperature_k : array_like
        Temperature T [K].
    barrier_ev : array_like
        Barrier E [eV].
    attempt_per_s : float
        Attempt rate k0 [1/s].

    Returns
    -------
    numpy.ndarray
        k0 exp(−E/(k_B T)) [1/s].

    Examples
    --------
    >>> print(f"{hop_rate(293.15, 0.10, 1e12):.3e} {hop_rate(293.15, 0.21, 1e12):.3e}")
    1.909e+10 2.453e+08
    """
    t, e = np.asarray(temperature_k, float), np.asarray(barrier_ev, float)
    return np.asarray(attempt_per_s * np.exp(-e / (BOLTZMANN_EV_K * t)))


def published_rise(radius: ArrayLike, waist: float, peak_k: float) -> Array:
    """Temperature rise in the published form, long after the laser was switched on.

    Parameters
    ----------
    radius : array_like
        Distance r from the axis of the beam [any unit].
    waist : float
        1/e² radius w0 of the beam [same unit].
    peak_k : float
        Rise A0 on the axis [K].

    Returns
    -------
    numpy.ndarray
        A0 exp(−2 r²/w0²) [K].

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> print(f"{published_rise(2.0, 2.0, 6.0):.3f}")
    0.812
    """
    r = np.asarray(radius, dtype=float)
    return np.asarray(peak_k * np.exp(-2.0 * (r / waist) ** 2))


def escape_share(rise_k: ArrayLike, amplitude: float, alpha_per_k: float) -> Array:
    """Escape of iodide from a warm place, in units of what it is tried with.

    Parameters
    ----------
    rise_k : array_like
        Temperature above ambient, T − T0 [K].
    amplitude : float
        A [1].
    alpha_per_k : float
        α [1/K].

    Returns
    -------
    numpy.ndarray
        A (1 − exp(−α (T − T0))); zero where it is colder than T0.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> print(f"{escape_share(6.0, 0.027, 0.02):.5f}")
    0.00305
    """
    rise = np.maximum(np.asarray(rise_k, dtype=float), 0.0)
    return np.asarray(-amplitude * np.expm1(-alpha_per_k * rise))


def mixed_halide_gap(iodide_fraction: ArrayLike) -> Array:
    """Gap of a mixed-halide perovskite from its iodide fraction.

    Parameters
    ----------
    iodide_fraction : array_like
        Iodide per halide site, 0 to 1 [1]: a third of the iodine count per formula unit.

    Returns
    -------
    numpy.ndarray
        2.46 − 1.78 x² + 1.16 x³ [eV], on the scale of the first exciton in absorption.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> mixed_halide_gap([0.0, 0.36, 1.0]).round(3).tolist()
    [2.46, 2.283, 1.84]
    """
    x = np.asarray(iodide_fraction, dtype=float)
    return np.asarray(np.polynomial.polynomial.polyval(x, np.array(MIXED_HALIDE_GAP)))


def halide_spacing_nm(lattice_parameter_nm: float) -> float:
    """Spacing of a simple cubic lattice with as many sites per volume as a perovskite has halides.

    Parameters
    ----------
    lattice_parameter_nm : float
        Cubic lattice parameter a [nm].

    Returns
    -------
    float
        a/∛3 [nm].

    Examples
    --------
    >>> round(halide_spacing_nm(0.587), 4)
    0.407
    """
    return float(lattice_parameter_nm / 3.0 ** (1.0 / 3.0))


def vacancy_diffusion(rate_per_s: ArrayLike, spacing: float) -> Array:
    """Diffusion coefficient of a lone vacancy among ions of one kind.

    Parameters
    ----------
    rate_per_s : array_like
        Rate k at which each of the six neighbours hops into it [1/s].
    spacing : float
        Lattice spacing a [m, or any unit of length].

    Returns
    -------
    numpy.ndarray
        k a² [that unit squared per second]: ⟨r²⟩ = 6 k a² t.

    Examples
    --------
    >>> float(vacancy_diffusion(2.0, 0.5))
    0.5
    """
    return np.asarray(np.asarray(rate_per_s, dtype=float) * spacing**2)


def tracer_diffusion(rate_per_s: ArrayLike, spacing: float, vacancy_fraction: float) -> Array:
    """Diffusion coefficient of ions of one kind, moved by few vacancies.

    Parameters
    ----------
    rate_per_s : array_like
        Rate k at which an ion hops into a vacancy beside it [1/s].
    spacing : float
        Lattice spacing a [any unit of length].
    vacancy_fraction : float
        Share c of the sites that are empty, c ≪ 1 [1].

    Returns
    -------
    numpy.ndarray
        f c k a², f = 0.6531 [that unit squared per second].

    References
    ----------
    .. [1] J. R. Manning, Diffusion Kinetics for Atoms in Crystals, Van Nostrand (1968), ch. 3.

    Examples
    --------
    >>> print(f"{tracer_diffusion(1.0, 1.0, 0.01):.6f}")
    0.006531
    """
    return np.asarray(
        TRACER_CORRELATION * vacancy_fraction * vacancy_diffusion(rate_per_s, spacing)
    )


def carrier_potential(gaps_ev: ArrayLike, carriers: float, kt_ev: float) -> float:
    """Chemical potential of thermalised carriers, one level per site.

    Parameters
    ----------
    gaps_ev : array_like
        Level E_i of every site [eV].
    carriers : float
        Number N of carriers; below the number of sites.
    kt_ev : float
        k_B T of the carriers [eV].

    Returns
    -------
    float
        µ with Σ 1/(1 + exp((E_i − µ)/k_B T)) = N [eV].

    Examples
    --------
    >>> round(carrier_potential([2.0, 2.0], 1.0, 0.025), 6)  # half filled
    2.0
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logsumexp

    e = np.ravel(np.asarray(gaps_ev, dtype=float))
    # The Boltzmann limit is below; with every site at the lowest level it would be above.
    low = -kt_ev * (float(logsumexp(-e / kt_ev)) - np.log(carriers)) - kt_ev
    high = float(e.max()) + kt_ev * (50.0 + abs(np.log(carriers)))
    return float(
        brentq(lambda mu: np.log(expit((mu - e) / kt_ev).sum() / carriers), low, high, xtol=1e-14)
    )


def carrier_free_energy(gaps_ev: ArrayLike, carriers: float, kt_ev: float) -> float:
    """Free energy of a fixed number of thermalised carriers, one level per site.

    Parameters
    ----------
    gaps_ev : array_like
        Level E_i of every site [eV].
    carriers : float
        Number N of carriers.
    kt_ev : float
        k_B T of the carriers [eV].

    Returns
    -------
    float
        F = Ω(µ) + µ N, Ω = −k_B T Σ ln(1 + exp((µ − E_i)/k_B T)) [eV].

    Notes
    -----
    At a frozen µ a change of levels costs ΔF = ΔΩ + [(D + δN)² − D²]/(2 ∂N/∂µ), D the carriers at
    this µ beyond N before it, δN what it adds, ∂N/∂µ = Σ n (1 − n)/k_B T. This is what the compiled
    walk uses between two solutions for µ.

    Examples
    --------
    >>> print(f"{carrier_free_energy([2.0, 2.0], 1.0, 0.025):.5f}")  # 2 − 2 kT ln 2
    1.96534
    """
    mu = carrier_potential(gaps_ev, carriers, kt_ev)
    e = np.ravel(np.asarray(gaps_ev, dtype=float))
    omega = -kt_ev * np.logaddexp(0.0, (mu - e) / kt_ev).sum()
    return float(omega + mu * carriers)
