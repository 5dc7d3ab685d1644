"""Carriers in a film under continuous light: how many there are, and how far they go."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.names import CARRIER_DISTANCE, DELAY, POWER
from plkit.physics import carriers as physics
from plkit.physics.carriers import Recombination
from plkit.schema import add_history, require_unit
from plkit.sim.laser_film import Film, LaserSpot

__all__ = ["Recombination", "simulate_carriers"]

Array = NDArray[np.float64]
_ACTION: Final = "simulate the carriers"
_CELLS: Final = 400
_REACHED: Final = 0.95


def simulate_carriers(
    spot: LaserSpot,
    film: Film,
    recombination: Recombination,
    *,
    power_uw: Sequence[float] | float | xr.DataArray,
    mobility_cm2_vs: float = 3.0,
    temperature_k: float = 293.15,
    times_ns: Sequence[float] | Array | None = None,
    profile: Literal["radial", "depth"] | None = None,
) -> xr.Dataset:
    """Density, recombination and diffusion length of carriers under continuous light.

    Parameters
    ----------
    spot : LaserSpot
        Beam, with σ of its radius.
    film : Film
        Thickness and absorptance, with its σ; for ``profile="depth"`` also ``absorption_per_um``.
    recombination : Recombination
        Coefficients k1, k2, k3.
    power_uw : array_like or xarray.DataArray
        Incident powers (power) [µW].
    mobility_cm2_vs : float, optional
        Mobility of the carriers [cm²/(V s)].
    temperature_k : float, optional
        Temperature [K].
    times_ns : array_like, optional
        Times since the light was switched on, ascending from 0 [ns]: adds the transient.
    profile : {"radial", "depth"}, optional
        Also solve diffusion along the distance from the beam's axis, or from the surface into the
        film.

    Returns
    -------
    xarray.Dataset
        Over ``power``: ``generation_rate`` [1/(cm³ s)], ``carrier_density`` [1/cm³],
        ``recombination_rate`` of one carrier [1/s], ``diffusion_length`` [nm], each with
        ``_stderr`` from the σ of absorptance and spot radius; ``radiative_share`` [1];
        ``rise_time`` [ns], to 95 % of the steady density; ``ambipolar_diffusion`` [cm²/s]. All at
        the centre of the spot, without diffusion. With times ``carrier_transient`` (power, delay)
        [1/cm³]. With a profile ``carrier_profile`` (power, carrier_distance), or (power, delay,
        carrier_distance) with times [1/cm³].

    Raises
    ------
    DataError
        If a number is negative, not finite or out of order.

    See Also
    --------
    plkit.physics.carriers : the equations.
    plkit.physics.carriers.rate_for_length : the rate that a stated diffusion length needs.

    Notes
    -----
    dn/dt = G − k1 n − k2 n² − k3 n³ [+ D ∇²n], G = 2 P A/(π w0² E_photon l), L_D = √(D/r),
    D = µ k_B T/e, r = k1 + k2 n + k3 n². A is the absorptance 1 − R − T of the film; 1 − T, which
    counts reflected light as absorbed, is 2.2 times as much for 40 nm of CsPbBr3 on glass.

    References
    ----------
    da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> film = Film(40.0, 0.4, absorptance=0.203, absorptance_stderr=0.01)
    >>> found = simulate_carriers(LaserSpot(1.0), film, Recombination.from_lifetime(20.0), power_uw=50.0)
    >>> print(f"{found.carrier_density.item():.2e} per cm³, L_D {found.diffusion_length.item():.0f} nm")
    1.76e+18 per cm³, L_D 201 nm
    """
    power = _powers(power_uw)
    _check(recombination, mobility_cm2_vs, temperature_k, profile)
    g = physics.generation_rate(
        power, spot.radius_um, film.thickness_nm, film.absorptance, spot.wavelength_nm
    )
    n = physics.steady_density(g, recombination)
    r = physics.rate_per_carrier(n, recombination)
    length = physics.diffusion_length(mobility_cm2_vs, temperature_k, r)
    d = float(physics.diffusion_coefficient(mobility_cm2_vs, temperature_k))
    relative = math.hypot(
        film.absorptance_stderr / film.absorptance, 2 * spot.radius_stderr_um / spot.radius_um
    )
    k = recombination
    # σ follows G → n → r → L_D.
    sigma_n = relative * g / (k.k1_per_s + n * (2 * k.k2_cm3_s + 3 * n * k.k3_cm6_s))
    sigma_r = (k.k2_cm3_s + 2 * n * k.k3_cm6_s) * sigma_n
    one = (POWER,)
    values: dict[str, tuple[Any, Any]] = {
        "generation_rate": (one, g),
        "generation_rate_stderr": (one, relative * g),
        "carrier_density": (one, n),
        "carrier_density_stderr": (one, sigma_n),
        "recombination_rate": (one, r),
        "recombination_rate_stderr": (one, sigma_r),
        "radiative_share": (one, k.k2_cm3_s * n / r),
        "diffusion_length": (one, length),
        "diffusion_length_stderr": (one, 0.5 * length * sigma_r / r),
        "rise_time": (one, [_rise_time_ns(float(v), k) for v in g]),
        "ambipolar_diffusion": ((), d),
    }
    coords: dict[str, Any] = {POWER: (POWER, power, names.attrs(POWER))}
    times = None if times_ns is None else _times(times_ns)
    if times is not None:
        coords[DELAY] = (DELAY, times, names.attrs(DELAY))
        values["carrier_transient"] = ((POWER, DELAY), [_transient(float(v), times, k) for v in g])
    if profile is not None:
        edges, shape = _grid(profile, spot, film, float(length.max()))
        centre = 0.5 * (edges[1:] + edges[:-1])
        coords[CARRIER_DISTANCE] = (CARRIER_DISTANCE, centre, names.attrs(CARRIER_DISTANCE))
        found = [_profile(v * shape, edges, times, d, k, profile) for v in g]
        dims = (POWER, CARRIER_DISTANCE) if times is None else (POWER, DELAY, CARRIER_DISTANCE)
        values["carrier_profile"] = (dims, np.stack(found))
    ds = xr.Dataset(
        {name: (dims, v, names.attrs(name)) for name, (dims, v) in values.items()},
        coords,
        {
            "laser": json.dumps(asdict(spot)),
            "film": json.dumps(asdict(film)).replace("Infinity", '"inf"'),
            "recombination": json.dumps(asdict(k)),
            "mobility_cm2_vs": float(mobility_cm2_vs),
            "temperature_k": float(temperature_k),
            **({} if profile is None else {"profile": profile}),
        },
    )
    return add_history(ds, "simulate_carriers()")


def _powers(power_uw: Any) -> Array:
    if isinstance(power_uw, xr.DataArray):
        power_uw = require_unit(power_uw, POWER, _ACTION).values
    power = np.atleast_1d(np.asarray(power_uw, dtype=float))
    if power.ndim != 1 or power.size == 0 or not np.all(np.isfinite(power) & (power > 0)):
        raise DataError(_ACTION, f"'power_uw' is {power_uw}, not a list of positive powers in µW")
    return power


def _check(r: Recombination, mobility: float, temperature: float, profile: str | None) -> None:
    for name, value in asdict(r).items():
        if not (math.isfinite(value) and value >= 0):
            raise DataError(_ACTION, f"'{name}' is {value}, not 0 or a positive number")
    if not any(asdict(r).values()):
        raise DataError(
            _ACTION, "all coefficients of the recombination are 0, not one positive at least"
        )
    for name, value in (("mobility_cm2_vs", mobility), ("temperature_k", temperature)):
        if not (math.isfinite(value) and value > 0):
            raise DataError(_ACTION, f"'{name}' is {value}, not a positive number")
    if profile not in (None, "radial", "depth"):
        raise DataError(_ACTION, f"'profile' is {profile!r}, not 'radial' or 'depth'")


def _times(times_ns: Any) -> Array:
    times = np.atleast_1d(np.asarray(times_ns, dtype=float))
    good = times.ndim == 1 and times.size > 0 and np.all(np.isfinite(times)) and times[0] >= 0
    if not good or np.any(np.diff(times) <= 0) or times[-1] <= 0:
        raise DataError(_ACTION, "'times_ns' is not ascending from 0 upwards, or not finite")
    return times


def _transient(g: float, times_ns: Array, r: Recombination) -> Array:
    from plkit.physics.carrier_volumes import diffuse_transient

    # One cell: nothing diffuses.
    found = diffuse_transient([g], [0.0, 1.0], times_ns * 1e-9, 0.0, r, "depth")
    return np.asarray(found[:, 0])


def _rise_time_ns(g: float, r: Recombination) -> float:
    """Time to 95 % of the steady density: ∫ dn/(G − loss)."""
    from scipy.integrate import quad

    n = float(physics.steady_density(g, r))
    # With n = N(1 − e^(−v)) the integrand stays flat up to the steady state.
    top = -math.log1p(-_REACHED)

    def integrand(v: float) -> float:
        left = math.exp(-v)
        return n * left / (g - float(physics.loss(n * (1.0 - left), r)))

    return float(quad(integrand, 0.0, top)[0] * 1e9)


def _grid(profile: str, spot: LaserSpot, film: Film, length_nm: float) -> tuple[Array, Array]:
    """Edges of the cells [nm], and the generation in each relative to G."""
    if profile == "radial":
        edges = np.linspace(0.0, 2.5e3 * spot.radius_um + 12.0 * length_nm, _CELLS + 1)
        middle = 0.5 * (edges[1:] + edges[:-1])
        return edges, np.exp(-2.0 * (middle / (1e3 * spot.radius_um)) ** 2)
    edges = np.linspace(0.0, film.thickness_nm, _CELLS + 1)
    if film.absorption_per_um == 0:
        return edges, np.ones(_CELLS)
    if math.isinf(film.absorption_per_um):
        shape = np.zeros(_CELLS)
        shape[0] = _CELLS
        return edges, shape
    # Means over the cells, so that the mean over the film is one.
    left = np.exp(-film.absorption_per_um * 1e-3 * edges)
    return edges, np.asarray(-np.diff(left) / (1.0 - left[-1]) * _CELLS)


def _profile(
    generation: Array,
    edges_nm: Array,
    times_ns: Array | None,
    d: float,
    r: Recombination,
    geometry: Literal["radial", "depth"],
) -> Array:
    from plkit.physics.carrier_volumes import diffuse_steady, diffuse_transient

    edges = edges_nm * 1e-7
    if times_ns is None:
        return diffuse_steady(generation, edges, d, r, geometry)
    return diffuse_transient(generation, edges, times_ns * 1e-9, d, r, geometry)
