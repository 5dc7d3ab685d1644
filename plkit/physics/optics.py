"""Reflectance, transmittance and absorptance of thin films at normal incidence.

Refractive indices are n + i k with k ≥ 0 in an absorber, for waves exp(−iωt).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ThinFilmOptics", "absorption_coefficient", "slab_optics", "stack_optics"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ThinFilmOptics:
    """Where the light goes.

    Parameters
    ----------
    reflectance, transmittance, absorptance : ndarray
        Shares of the incident power [1]; transmittance is what enters the substrate (or, for a
        slab, what leaves at its back), absorptance what the films take.
    """

    reflectance: Array
    transmittance: Array
    absorptance: Array


def absorption_coefficient(extinction: ArrayLike, wavelength_nm: ArrayLike) -> Array:
    """Absorption coefficient of the intensity.

    Parameters
    ----------
    extinction : array_like
        Imaginary part k of the refractive index [1].
    wavelength_nm : array_like
        Wavelength [nm].

    Returns
    -------
    ndarray
        4π k/λ [1/µm].

    Examples
    --------
    >>> print(round(float(absorption_coefficient(0.24442, 405.0)), 2))
    7.58
    """
    k = np.asarray(extinction, dtype=float)
    return np.asarray(4e3 * np.pi * k / np.asarray(wavelength_nm, dtype=float))


def stack_optics(
    index: Sequence[ArrayLike],
    thickness_nm: Sequence[float],
    wavelength_nm: ArrayLike,
    *,
    substrate_index: ArrayLike,
    incident_index: float = 1.0,
) -> ThinFilmOptics:
    """Coherent films on a semi-infinite substrate, light from the side of the films.

    Parameters
    ----------
    index : sequence of array_like
        Complex refractive index n + i k of every film, from the light downwards; scalars or the
        shape of ``wavelength_nm`` [1].
    thickness_nm : sequence of float
        Thickness of every film [nm].
    wavelength_nm : array_like
        Vacuum wavelength [nm].
    substrate_index : array_like
        Refractive index of the substrate [1].
    incident_index : float, optional
        Refractive index on the side of the light, real [1].

    Returns
    -------
    ThinFilmOptics
        Of the shape of ``wavelength_nm``.

    Raises
    ------
    ValueError
        If there are not as many films as thicknesses, or an extinction is negative.

    Notes
    -----
    With the phase δ = 2π n d/λ, the tangential fields pass a film by

    (E, H) = [[cos δ, −i sin δ/n], [−i n sin δ, cos δ]] (E′, H′),

    r = (n0 E − H)/(n0 E + H), t = 2 n0/(n0 E + H) from (E′, H′) = (1, n_s) in the substrate,
    R = ∣r∣², T = Re(n_s)/n0 · ∣t∣², A = 1 − R − T.

    References
    ----------
    H. A. Macleod, Thin-Film Optical Filters, 5th ed., CRC Press (2018), ISBN 978-1-138-19824-1.

    Examples
    --------
    >>> out = stack_optics([2.2045 + 0.2444j], [40.0], 405.0, substrate_index=1.53)
    >>> print(f"{out.reflectance:.3f} {out.transmittance:.3f} {out.absorptance:.3f}")
    0.244 0.553 0.203
    """
    if len(index) != len(thickness_nm):
        raise ValueError(f"{len(index)} indices for {len(thickness_nm)} thicknesses")
    if not all(d >= 0 for d in thickness_nm):
        raise ValueError("thicknesses are not negative")
    wavelength = np.asarray(wavelength_nm, dtype=float)
    substrate = np.asarray(substrate_index, dtype=complex)
    films = [np.asarray(n, dtype=complex) for n in index]
    if any(np.any(n.imag < 0) for n in (*films, substrate)):
        raise ValueError("an extinction is negative: indices are n + i k with k not below 0")
    # films that no light passes would overflow: the fields are scaled by exp(−Im δ) as they build
    e, h = np.ones(wavelength.shape, dtype=complex), np.broadcast_to(substrate, wavelength.shape)
    log_scale = np.zeros(wavelength.shape)
    for n, d in zip(films[::-1], tuple(thickness_nm)[::-1], strict=True):
        delta = 2 * np.pi * n * d / wavelength
        small = np.exp(2j * delta)  # cos δ and sin δ times exp(iδ)
        cos, sin = (1 + small) / 2, (small - 1) / 2j
        e, h = cos * e - 1j * sin / n * h, cos * h - 1j * n * sin * e
        log_scale = log_scale + delta.imag
    down = incident_index * e + h
    reflectance = np.abs((incident_index * e - h) / down) ** 2
    through = np.abs(2 * incident_index / down) ** 2 * np.exp(-2 * log_scale)
    transmittance = substrate.real / incident_index * through
    return ThinFilmOptics(
        np.asarray(reflectance),
        np.asarray(transmittance),
        np.asarray(1.0 - reflectance - transmittance),
    )


def slab_optics(
    index: Sequence[ArrayLike],
    thickness_nm: Sequence[float],
    wavelength_nm: ArrayLike,
    *,
    substrate_index: float,
    incident_index: float = 1.0,
) -> ThinFilmOptics:
    """Coherent films on a thick transparent plate in air, with the light that its back returns.

    Parameters
    ----------
    index : sequence of array_like
        Complex refractive index n + i k of every film, from the light downwards [1].
    thickness_nm : sequence of float
        Thickness of every film [nm].
    wavelength_nm : array_like
        Vacuum wavelength [nm].
    substrate_index : float
        Refractive index of the plate, real [1]; its thickness plays no part, because light that
        has crossed it adds by intensity.
    incident_index : float, optional
        Refractive index on both sides, real [1].

    Returns
    -------
    ThinFilmOptics
        What a spectrophotometer reads, of the shape of ``wavelength_nm``. Under a focused laser
        the returned light is spread wide: use :func:`stack_optics` for the heat in the spot.

    Raises
    ------
    ValueError
        As :func:`stack_optics`.

    Notes
    -----
    R = R1 + T1 T1′ R2/(1 − R1′ R2), T = T1 (1 − R2)/(1 − R1′ R2): 1 the films seen from the light,
    1′ seen from the plate, 2 the bare back.

    Examples
    --------
    A bare plate of glass:

    >>> out = slab_optics([], [], 550.0, substrate_index=1.5)
    >>> print(f"{out.reflectance:.4f} {out.transmittance:.4f} {abs(out.absorptance):.0f}")
    0.0769 0.9231 0
    """
    front = stack_optics(
        index,
        thickness_nm,
        wavelength_nm,
        substrate_index=substrate_index,
        incident_index=incident_index,
    )
    inside = stack_optics(
        tuple(index)[::-1],
        tuple(thickness_nm)[::-1],
        wavelength_nm,
        substrate_index=incident_index,
        incident_index=substrate_index,
    )
    back = ((substrate_index - incident_index) / (substrate_index + incident_index)) ** 2
    reached = front.transmittance / (1 - inside.reflectance * back)
    reflectance = front.reflectance + reached * back * inside.transmittance
    transmittance = reached * (1 - back)
    return ThinFilmOptics(
        np.asarray(reflectance),
        np.asarray(transmittance),
        np.asarray(1.0 - reflectance - transmittance),
    )
