"""Carriers under continuous light: generation, recombination, diffusion length, band alignment.

Densities in 1/cm³, rates in 1/s, as the papers give them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.physics.photons import peak_irradiance, photon_energy_j

__all__ = [
    "Alignment",
    "Recombination",
    "band_alignment",
    "diffusion_coefficient",
    "diffusion_length",
    "generation_rate",
    "loss",
    "rate_for_length",
    "rate_per_carrier",
    "steady_density",
]

Array = NDArray[np.float64]

_CM_PER_NM: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Recombination:
    """Coefficients of dn/dt = G − k1 n − k2 n² − k3 n³.

    Parameters
    ----------
    k1_per_s : float
        Trapping, 1/τ [1/s].
    k2_cm3_s : float
        Radiative recombination [cm³/s].
    k3_cm6_s : float
        Auger recombination [cm⁶/s].

    Examples
    --------
    >>> Recombination.from_lifetime(20.0).k1_per_s
    50000000.0
    """

    k1_per_s: float
    k2_cm3_s: float = 5.0e-11
    k3_cm6_s: float = 0.16e-28

    @classmethod
    def from_lifetime(
        cls, lifetime_ns: float, k2_cm3_s: float = 5.0e-11, k3_cm6_s: float = 0.16e-28
    ) -> Recombination:
        """Coefficients with k1 = 1/τ.

        Parameters
        ----------
        lifetime_ns : float
            Lifetime τ at low density [ns].
        k2_cm3_s, k3_cm6_s : float, optional
            As for the class.

        Returns
        -------
        Recombination
            With k1 = 1e9/τ.
        """
        return cls(1e9 / lifetime_ns, k2_cm3_s, k3_cm6_s)


def generation_rate(
    power_uw: ArrayLike,
    radius_um: ArrayLike,
    thickness_nm: ArrayLike,
    absorptance: ArrayLike,
    wavelength_nm: float = 405.0,
) -> Array:
    """Generation of carrier pairs at the centre of a Gaussian spot, mean over the thickness.

    Parameters
    ----------
    power_uw : array_like
        Power at the sample [µW].
    radius_um : array_like
        1/e² radius of the intensity, w0 [µm].
    thickness_nm : array_like
        Thickness l of the film [nm].
    absorptance : array_like
        Share A of the power that is absorbed [1]: 1 − R − T, not 1 − T.
    wavelength_nm : float, optional
        Wavelength of the laser [nm].

    Returns
    -------
    numpy.ndarray
        G = 2 P A/(π w0² E_photon l) [1/(cm³ s)].

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), doi:10.1021/acsami.4c19234,
       with 1 − T in the place of A.

    Examples
    --------
    >>> print(f"{generation_rate(50.0, 1.0, 40.0, 1.0):.3g}")
    1.62e+27
    """
    flux = peak_irradiance(power_uw, radius_um) / photon_energy_j(wavelength_nm)
    thick = np.asarray(thickness_nm, dtype=float) * _CM_PER_NM
    return np.asarray(flux * np.asarray(absorptance, dtype=float) / thick)


def loss(density: ArrayLike, r: Recombination) -> Array:
    """Recombination of all carriers.

    Parameters
    ----------
    density : array_like
        Density n of pairs [1/cm³].
    r : Recombination
        Coefficients.

    Returns
    -------
    numpy.ndarray
        k1 n + k2 n² + k3 n³ [1/(cm³ s)].

    Examples
    --------
    >>> print(f"{loss(1.7e18, Recombination.from_lifetime(20.0)):.3g}")
    3.08e+26
    """
    n = np.asarray(density, dtype=float)
    return np.asarray(n * rate_per_carrier(n, r))


def rate_per_carrier(density: ArrayLike, r: Recombination) -> Array:
    """Recombination of one carrier.

    Parameters
    ----------
    density : array_like
        Density n of pairs [1/cm³].
    r : Recombination
        Coefficients.

    Returns
    -------
    numpy.ndarray
        k1 + k2 n + k3 n² [1/s].

    Examples
    --------
    >>> print(f"{rate_per_carrier(1.7e18, Recombination.from_lifetime(5.0)):.3g}")
    3.31e+08
    """
    n = np.asarray(density, dtype=float)
    return np.asarray(r.k1_per_s + n * (r.k2_cm3_s + n * r.k3_cm6_s))


def steady_density(generation: ArrayLike, r: Recombination) -> Array:
    """Density at which as many carriers recombine as are generated.

    Parameters
    ----------
    generation : array_like
        Generation rate G [1/(cm³ s)], zero or more.
    r : Recombination
        Coefficients, none negative, one positive at least.

    Returns
    -------
    numpy.ndarray
        The root n ≥ 0 of k1 n + k2 n² + k3 n³ = G [1/cm³].

    Notes
    -----
    The left side grows and is convex: Newton's iteration from any of the one-term solutions, the
    smallest of which lies above the root, falls to it without a jump.

    Examples
    --------
    >>> r = Recombination.from_lifetime(20.0)
    >>> n = steady_density(3.3e26, r)
    >>> print(f"{n:.3g} {loss(n, r):.4g}")
    1.76e+18 3.3e+26
    """
    g = np.asarray(generation, dtype=float)
    above = np.full(g.shape, np.inf)
    for k, power in ((r.k1_per_s, 1.0), (r.k2_cm3_s, 2.0), (r.k3_cm6_s, 3.0)):
        if k > 0:
            above = np.minimum(above, (g / k) ** (1.0 / power))
    n = above
    for _ in range(60):
        slope = r.k1_per_s + n * (2.0 * r.k2_cm3_s + 3.0 * n * r.k3_cm6_s)
        step = np.where(n > 0, (loss(n, r) - g) / np.where(slope > 0, slope, 1.0), 0.0)
        n = np.maximum(n - step, 0.0)
        if np.all(np.abs(step) <= 1e-14 * n):
            break
    return np.asarray(n)


def diffusion_coefficient(mobility_cm2_vs: ArrayLike, temperature_k: ArrayLike) -> Array:
    """Diffusion coefficient of carriers by Einstein's relation.

    Parameters
    ----------
    mobility_cm2_vs : array_like
        Mobility µ [cm²/(V s)].
    temperature_k : array_like
        Temperature [K].

    Returns
    -------
    numpy.ndarray
        D = µ k_B T/e [cm²/s].

    Examples
    --------
    >>> print(f"{diffusion_coefficient(3.0, 293.15):.4f}")
    0.0758
    """
    return np.asarray(
        np.asarray(mobility_cm2_vs, dtype=float)
        * BOLTZMANN_EV_K
        * np.asarray(temperature_k, dtype=float)
    )


def diffusion_length(
    mobility_cm2_vs: ArrayLike, temperature_k: ArrayLike, rate_per_s: ArrayLike
) -> Array:
    """How far carriers diffuse before they recombine.

    Parameters
    ----------
    mobility_cm2_vs : array_like
        Mobility µ [cm²/(V s)].
    temperature_k : array_like
        Temperature [K].
    rate_per_s : array_like
        Recombination rate r of one carrier [1/s].

    Returns
    -------
    numpy.ndarray
        L_D = √(µ k_B T/(r e)) [nm].

    Examples
    --------
    >>> print(f"{diffusion_length(3.0, 293.15, 3.31e8):.0f} {diffusion_length(3.0, 293.15, 7.3e10):.1f}")
    151 10.2
    """
    d = diffusion_coefficient(mobility_cm2_vs, temperature_k)
    return np.asarray(np.sqrt(d / np.asarray(rate_per_s, dtype=float)) / _CM_PER_NM)


def rate_for_length(
    mobility_cm2_vs: ArrayLike, temperature_k: ArrayLike, length_nm: ArrayLike
) -> Array:
    """Recombination rate that a stated diffusion length needs.

    Parameters
    ----------
    mobility_cm2_vs : array_like
        Mobility µ [cm²/(V s)].
    temperature_k : array_like
        Temperature [K].
    length_nm : array_like
        Diffusion length L_D [nm].

    Returns
    -------
    numpy.ndarray
        r = µ k_B T/(e L_D²) [1/s].

    Examples
    --------
    >>> print(f"{rate_for_length(3.0, 293.15, 10.2):.2g}")
    7.3e+10
    """
    d = diffusion_coefficient(mobility_cm2_vs, temperature_k)
    return np.asarray(d / (np.asarray(length_nm, dtype=float) * _CM_PER_NM) ** 2)


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the bands of two phases meet.

    Parameters
    ----------
    kind : {"straddling", "staggered", "broken"}
        Type I, II or III.
    valence_offset_ev, conduction_offset_ev : float
        Edge of the second phase minus that of the first [eV].
    gap_ev : tuple of float
        Gap of either phase [eV].
    interface_gap_ev : float
        From the higher valence to the lower conduction edge [eV].
    """

    kind: Literal["straddling", "staggered", "broken"]
    valence_offset_ev: float
    conduction_offset_ev: float
    gap_ev: tuple[float, float]
    interface_gap_ev: float


def band_alignment(first_ev: tuple[float, float], second_ev: tuple[float, float]) -> Alignment:
    """Compare the band edges of two phases.

    Parameters
    ----------
    first_ev, second_ev : tuple of float
        Valence and conduction edge of either phase, from the same zero [eV].

    Returns
    -------
    Alignment
        Straddling: electrons and holes go to the same phase. Staggered: they are parted. Broken:
        the conduction band of one reaches the valence band of the other.

    Examples
    --------
    >>> found = band_alignment((-5.44, -3.45), (-6.00, -3.60))   # iodide-rich, bromide-rich
    >>> found.kind, round(found.gap_ev[0], 2), round(found.gap_ev[1], 2), round(found.interface_gap_ev, 2)
    ('staggered', 1.99, 2.4, 1.84)
    """
    (v1, c1), (v2, c2) = first_ev, second_ev
    if not (v1 < c1 and v2 < c2):
        raise ValueError("the valence edge has to lie below the conduction edge in both phases")
    top, bottom = max(v1, v2), min(c1, c2)
    inside = (v1 <= v2 and c2 <= c1) or (v2 <= v1 and c1 <= c2)
    kind: Literal["straddling", "staggered", "broken"] = (
        "broken" if top >= bottom else "straddling" if inside else "staggered"
    )
    return Alignment(kind, v2 - v1, c2 - c1, (c1 - v1, c2 - v2), bottom - top)
