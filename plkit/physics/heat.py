"""Temperature rise under a focused laser: closed forms on a half space and under one film.

``spot_radius_um`` is always w0, the 1/e² radius of the intensity
I(r) = 2 P/(π w0²) · exp(−2 r²/w0²). With lengths in µm and powers in µW the rise comes out in K,
because µW/(W m⁻¹ K⁻¹ · µm) = K. ``power_uw`` is the power that is absorbed and turned into heat.

Any number of layers, buried absorption and step responses: :mod:`plkit.physics.heat_layers`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "film_on_half_space_rise",
    "half_space_depth_rise",
    "half_space_detection_rise",
    "half_space_peak_rise",
    "half_space_radial_rise",
    "half_space_step_rise",
    "heat_fraction",
    "thermal_diffusivity",
]

Array = NDArray[np.float64]


def heat_fraction(plqy: float, emission_nm: float, excitation_nm: float) -> float:
    """Share of the absorbed power that stays as heat.

    Parameters
    ----------
    plqy : float
        Quantum yield of photoluminescence [1].
    emission_nm, excitation_nm : float
        Wavelengths of the emission and of the laser [nm].

    Returns
    -------
    float
        1 − PLQY · E_PL/E_exc [1].

    Examples
    --------
    >>> heat_fraction(0.5, 810.0, 405.0)
    0.75
    """
    return 1.0 - plqy * excitation_nm / emission_nm


def thermal_diffusivity(conductivity_w_mk: float, heat_capacity_j_m3k: float) -> float:
    """Thermal diffusivity α = k/(ρc).

    Parameters
    ----------
    conductivity_w_mk : float
        Thermal conductivity k [W/(m K)].
    heat_capacity_j_m3k : float
        Heat capacity per volume ρc [J/(m³ K)].

    Returns
    -------
    float
        α [µm²/s].

    Examples
    --------
    >>> print(round(thermal_diffusivity(1.05, 2.1e6)))
    500000
    """
    return conductivity_w_mk / heat_capacity_j_m3k * 1e12


def half_space_peak_rise(
    power_uw: ArrayLike, conductivity_w_mk: float, spot_radius_um: float
) -> Array:
    """Rise on the axis at the surface of a half space heated at its surface.

    Parameters
    ----------
    power_uw : array_like
        Absorbed power [µW].
    conductivity_w_mk : float
        Thermal conductivity k [W/(m K)].
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].

    Returns
    -------
    ndarray
        ΔT(0) [K], shape of ``power_uw``.

    Notes
    -----
    ΔT(0) = P/(√(2π) k w0).

    References
    ----------
    M. Lax, J. Appl. Phys. 48, 3919 (1977), doi:10.1063/1.324265.

    Examples
    --------
    >>> print(round(float(half_space_peak_rise(30.0, 1.0, 1.0)), 1))
    12.0
    """
    power = np.asarray(power_uw, dtype=float)
    return np.asarray(power / (np.sqrt(2 * np.pi) * conductivity_w_mk * spot_radius_um))


def half_space_detection_rise(
    power_uw: ArrayLike, conductivity_w_mk: float, spot_radius_um: float
) -> Array:
    """Rise at the surface of a half space, averaged with the intensity of the beam.

    Parameters
    ----------
    power_uw : array_like
        Absorbed power [µW].
    conductivity_w_mk : float
        Thermal conductivity k [W/(m K)].
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].

    Returns
    -------
    ndarray
        ⟨ΔT⟩ = ∫ ΔT I r dr / ∫ I r dr = ΔT(0)/√2 [K].

    Examples
    --------
    >>> print(round(float(half_space_detection_rise(30.0, 1.0, 1.0)), 2))
    8.46
    """
    peak = half_space_peak_rise(power_uw, conductivity_w_mk, spot_radius_um)
    return np.asarray(peak / np.sqrt(2.0))


def half_space_radial_rise(
    r_um: ArrayLike, power_uw: float, conductivity_w_mk: float, spot_radius_um: float
) -> Array:
    """Rise at the surface of a half space heated at its surface, against radius.

    Parameters
    ----------
    r_um : array_like
        Distance from the axis [µm].
    power_uw : float
        Absorbed power [µW].
    conductivity_w_mk : float
        Thermal conductivity k [W/(m K)].
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].

    Returns
    -------
    ndarray
        ΔT(r) [K], shape of ``r_um``.

    Notes
    -----
    ΔT(r) = ΔT(0) exp(−x) I0(x) with x = r²/w0²; far away it falls as 1/r, not as the beam.

    Examples
    --------
    >>> rise = half_space_radial_rise([0.0, 2.0, 10.0], 1.0, 1.0, 1.0)
    >>> print((rise / rise[0]).round(3))
    [1.    0.207 0.04 ]
    """
    from scipy.special import i0e

    peak = half_space_peak_rise(power_uw, conductivity_w_mk, spot_radius_um)
    return np.asarray(peak * i0e((np.asarray(r_um, dtype=float) / spot_radius_um) ** 2))


def half_space_depth_rise(
    z_um: ArrayLike, power_uw: float, conductivity_w_mk: float, spot_radius_um: float
) -> Array:
    """Rise on the axis of a half space heated at its surface, against depth.

    Parameters
    ----------
    z_um : array_like
        Depth below the surface [µm].
    power_uw : float
        Absorbed power [µW].
    conductivity_w_mk : float
        Thermal conductivity k [W/(m K)].
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].

    Returns
    -------
    ndarray
        ΔT(z) [K], shape of ``z_um``.

    Notes
    -----
    ΔT(z) = ΔT(0) exp(x²) erfc(x) with x = √2 z/w0.

    Examples
    --------
    >>> rise = half_space_depth_rise([0.0, 1.0], 1.0, 1.0, 1.0)
    >>> print((rise / rise[0]).round(4))
    [1.     0.3362]
    """
    from scipy.special import erfcx

    peak = half_space_peak_rise(power_uw, conductivity_w_mk, spot_radius_um)
    depth = np.asarray(z_um, dtype=float)
    return np.asarray(peak * erfcx(np.sqrt(2.0) * depth / spot_radius_um))


def half_space_step_rise(
    times_s: ArrayLike,
    power_uw: float,
    conductivity_w_mk: float,
    heat_capacity_j_m3k: float,
    spot_radius_um: float,
) -> Array:
    """Rise on the axis at the surface of a half space after the laser is switched on.

    Parameters
    ----------
    times_s : array_like
        Time since the laser was switched on [s].
    power_uw : float
        Absorbed power [µW].
    conductivity_w_mk : float
        Thermal conductivity k [W/(m K)].
    heat_capacity_j_m3k : float
        Heat capacity per volume ρc [J/(m³ K)].
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].

    Returns
    -------
    ndarray
        ΔT(0, t) [K], shape of ``times_s``.

    Notes
    -----
    ΔT(0, t) = ΔT(0) · (2/π) arctan(√(8 α t)/w0), α = k/(ρc). The approach to the steady value
    goes as 1/√t, far slower than an exponential.

    References
    ----------
    J. H. Bechtel, J. Appl. Phys. 46, 1585 (1975), doi:10.1063/1.321760.

    Examples
    --------
    >>> half = 1.0 / (8 * thermal_diffusivity(1.0, 2e6))  # w0² / (8 α)
    >>> rise = half_space_step_rise([half, 1.0], 1.0, 1.0, 2e6, 1.0)
    >>> print((rise / half_space_peak_rise(1.0, 1.0, 1.0)).round(3))
    [0.5 1. ]
    """
    peak = half_space_peak_rise(power_uw, conductivity_w_mk, spot_radius_um)
    alpha = thermal_diffusivity(conductivity_w_mk, heat_capacity_j_m3k)
    spread = np.sqrt(8 * alpha * np.asarray(times_s, dtype=float)) / spot_radius_um
    return np.asarray(peak * (2 / np.pi) * np.arctan(spread))


def film_on_half_space_rise(
    r_um: ArrayLike,
    power_uw: float,
    spot_radius_um: float,
    *,
    film_thickness_um: float,
    film_conductivity_w_mk: float,
    substrate_conductivity_w_mk: float,
) -> Array:
    """Rise at the surface of a film on a half space, heated at the surface.

    Parameters
    ----------
    r_um : array_like
        Distance from the axis [µm].
    power_uw : float
        Absorbed power [µW].
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].
    film_thickness_um : float
        Thickness d of the film [µm].
    film_conductivity_w_mk, substrate_conductivity_w_mk : float
        Thermal conductivities k_f and k_s [W/(m K)].

    Returns
    -------
    ndarray
        ΔT(r) [K], shape of ``r_um``.

    Notes
    -----
    ΔT(r) = P/(2π k_f) ∫ exp(−λ² w0²/8) J0(λ r) (1 + ρ e^(−2λd))/(1 − ρ e^(−2λd)) dλ with
    ρ = (k_f − k_s)/(k_f + k_s).

    Examples
    --------
    >>> film = {"film_thickness_um": 0.04, "film_conductivity_w_mk": 0.5}
    >>> rise = film_on_half_space_rise(0.0, 100.0, 2**0.5, **film, substrate_conductivity_w_mk=1.05)
    >>> print(round(float(rise), 3))
    28.768
    """
    from scipy.special import j0

    from plkit.physics.transforms import hankel_nodes

    radius = np.asarray(r_um, dtype=float)
    lam, weight = hankel_nodes(spot_radius_um, float(np.max(radius, initial=0.0)))
    k_f, k_s = film_conductivity_w_mk, substrate_conductivity_w_mk
    rho = (k_f - k_s) / (k_f + k_s)
    echo = rho * np.exp(-2 * lam * film_thickness_um)
    integrand = weight * np.exp(-((lam * spot_radius_um) ** 2) / 8) * (1 + echo) / (1 - echo)
    return np.asarray(power_uw / (2 * np.pi * k_f) * (j0(radius[..., None] * lam) @ integrand))
