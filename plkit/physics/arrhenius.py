"""Arrhenius' law: rates, and the straight line ln k against 1/T with errors in both.

Temperatures are in kelvin, energies in eV per particle. Nothing here knows labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.constants import BOLTZMANN_EV_K, KJ_MOL_PER_EV

__all__ = [
    "StraightLine",
    "TwoPointEnergy",
    "arrhenius_rate",
    "energy_for",
    "ev_from_kj_mol",
    "fit_rate_directly",
    "fit_straight_line",
    "kj_mol_from_ev",
    "power_law_exponent",
    "prefactor_for",
    "two_point_energy",
]

Array = NDArray[np.float64]

_MAX_ITERATIONS: Final = 100


def arrhenius_rate(temperature: ArrayLike, k0: ArrayLike, activation_energy: ArrayLike) -> Array:
    """Rate by Arrhenius' law.

    Parameters
    ----------
    temperature : array_like
        Absolute temperature T [K].
    k0 : array_like
        Prefactor [unit of the result].
    activation_energy : array_like
        E_a [eV].

    Returns
    -------
    numpy.ndarray
        k0 exp(−E_a/(k_B T)), of broadcast shape; with D0 for k0 a diffusion coefficient.

    Examples
    --------
    >>> f"{float(arrhenius_rate(293.0, 5.3e-11, 0.182)):.1e}"  # D0 [m²/s] and E_a as printed
    '3.9e-14'
    """
    t, e = np.asarray(temperature, dtype=float), np.asarray(activation_energy, dtype=float)
    return np.asarray(np.asarray(k0, dtype=float) * np.exp(-e / (BOLTZMANN_EV_K * t)))


def prefactor_for(rate: ArrayLike, temperature: ArrayLike, activation_energy: ArrayLike) -> Array:
    """Prefactor that gives a known rate at a temperature.

    Parameters
    ----------
    rate : array_like
        Rate or diffusion coefficient [any unit].
    temperature : array_like
        Absolute temperature [K].
    activation_energy : array_like
        E_a [eV].

    Returns
    -------
    numpy.ndarray
        k0 [unit of the rate].

    Examples
    --------
    >>> k0 = prefactor_for(0.04, 300.0, 0.248)
    >>> round(float(arrhenius_rate(300.0, k0, 0.248)), 12)
    0.04
    """
    t, e = np.asarray(temperature, dtype=float), np.asarray(activation_energy, dtype=float)
    return np.asarray(np.asarray(rate, dtype=float) * np.exp(e / (BOLTZMANN_EV_K * t)))


def energy_for(rate: ArrayLike, temperature: ArrayLike, k0: ArrayLike) -> Array:
    """Activation energy with which a prefactor gives a known rate at a temperature.

    Parameters
    ----------
    rate : array_like
        Rate or diffusion coefficient [any unit].
    temperature : array_like
        Absolute temperature [K].
    k0 : array_like
        Prefactor [unit of the rate].

    Returns
    -------
    numpy.ndarray
        k_B T ln(k0/k) [eV].

    Examples
    --------
    >>> round(float(energy_for(6.3e-14, 293.0, 5.3e-11)), 3)  # D(293 K) and D0 as printed
    0.17
    """
    t = np.asarray(temperature, dtype=float)
    ratio = np.asarray(k0, dtype=float) / np.asarray(rate, dtype=float)
    return np.asarray(BOLTZMANN_EV_K * t * np.log(ratio))


def kj_mol_from_ev(energy_ev: ArrayLike) -> Array:
    """Energy per mole from energy per particle.

    Parameters
    ----------
    energy_ev : array_like
        [eV].

    Returns
    -------
    numpy.ndarray
        [kJ/mol].

    Examples
    --------
    >>> round(float(kj_mol_from_ev(0.248)), 1)
    23.9
    """
    return np.asarray(np.asarray(energy_ev, dtype=float) * KJ_MOL_PER_EV)


def ev_from_kj_mol(energy_kj_mol: ArrayLike) -> Array:
    """Energy per particle from energy per mole.

    Parameters
    ----------
    energy_kj_mol : array_like
        [kJ/mol].

    Returns
    -------
    numpy.ndarray
        [eV].

    Examples
    --------
    >>> round(float(ev_from_kj_mol(24.0)), 4)
    0.2487
    """
    return np.asarray(np.asarray(energy_kj_mol, dtype=float) / KJ_MOL_PER_EV)


@dataclass(frozen=True, slots=True)
class TwoPointEnergy:
    """Activation energy from two times, with its bounds.

    Parameters
    ----------
    energy : float
        E_a [eV].
    lower, upper : float
        Bounds of the 68 % interval [eV]; the upper one is infinite where the temperatures overlap.
    """

    energy: float
    lower: float
    upper: float


def two_point_energy(
    time_1: float,
    temperature_1: float,
    time_2: float,
    temperature_2: float,
    *,
    temperature_stderr: tuple[float, float] = (0.0, 0.0),
    ln_time_stderr: float = 0.0,
) -> TwoPointEnergy:
    """Activation energy from the times a process takes at two temperatures.

    Parameters
    ----------
    time_1, time_2 : float
        Times, any common unit.
    temperature_1, temperature_2 : float
        Absolute temperatures [K].
    temperature_stderr : tuple of float, optional
        σ of either temperature, independent [K].
    ln_time_stderr : float, optional
        σ of ln(t1/t2), that is the relative σ of both times in quadrature [1].

    Returns
    -------
    TwoPointEnergy
        ``energy``, ``lower``, ``upper`` [eV].

    Notes
    -----
    E_a = k_B ln(t1/t2)/u with u = 1/T1 − 1/T2. The error of u is Gaussian, that of 1/u is not: the
    bounds are k_B ln(t1/t2)/(u ± σ_u), with the part of the times added in quadrature on each side.

    References
    ----------
    .. [1] Feng et al., Adv. Mater. (2023), doi:10.1002/adma.202308032: the times.

    Examples
    --------
    >>> e = two_point_energy(600.0, 296.65, 90.0, 308.15, temperature_stderr=(1.0, 1.0))
    >>> round(e.energy, 2), round(e.lower, 3), round(e.upper, 3)
    (1.3, 1.157, 1.482)
    """
    u = 1.0 / temperature_1 - 1.0 / temperature_2
    if u == 0.0:
        raise ValueError("the two temperatures are equal: no activation energy follows")
    numerator = BOLTZMANN_EV_K * np.log(time_1 / time_2)
    sigma_u = float(
        np.hypot(temperature_stderr[0] / temperature_1**2, temperature_stderr[1] / temperature_2**2)
    )
    energy = float(numerator / u)
    from_times = BOLTZMANN_EV_K * ln_time_stderr / abs(u)
    near = abs(energy) * abs(u) / (abs(u) + sigma_u)
    far = abs(energy) * abs(u) / (abs(u) - sigma_u) if abs(u) > sigma_u else np.inf
    inward = float(np.hypot(abs(energy) - near, from_times))
    outward = float(np.hypot(far - abs(energy), from_times))
    if energy < 0:
        return TwoPointEnergy(energy, energy - outward, energy + inward)
    return TwoPointEnergy(energy, energy - inward, energy + outward)


@dataclass(frozen=True, slots=True)
class StraightLine:
    """Straight line y = intercept + slope (x − x_mid) with errors in both axes.

    Parameters
    ----------
    slope, intercept : float
        The line; ``intercept`` is its value at ``x_mid``.
    x_mid : float
        Weighted middle of the adjusted x: slope and intercept are uncorrelated there.
    slope_weights, intercept_weights : numpy.ndarray, shape (n,)
        First-order response of slope and intercept to an error of each y.
    chisqr : float
        Sum of squared residuals over effective variances.
    """

    slope: float
    intercept: float
    x_mid: float
    slope_weights: Array
    intercept_weights: Array
    chisqr: float


def fit_straight_line(x: Array, y: Array, x_var: Array, y_var: Array) -> StraightLine:
    """Most likely straight line through points with independent errors in both axes.

    Parameters
    ----------
    x, y : numpy.ndarray, shape (n,)
        Points.
    x_var, y_var : numpy.ndarray, shape (n,)
        Variances along either axis; at least one of them positive for every point.

    Returns
    -------
    StraightLine
        The line and its response to errors.

    Notes
    -----
    The effective variance of a point is y_var + slope² x_var; its dependence on the slope belongs
    to the likelihood, which York's iteration maximises.

    References
    ----------
    .. [1] D. York et al., Am. J. Phys. 72, 367 (2004), doi:10.1119/1.1632486.

    Examples
    --------
    >>> x = np.array([0.0, 1.0, 2.0])
    >>> line = fit_straight_line(x, 1.0 + 3.0 * x, np.zeros(3), np.ones(3))
    >>> round(line.slope, 9), round(line.intercept, 9), line.x_mid
    (3.0, 4.0, 1.0)
    """
    # Work from a middle x: 1/T varies by a few per cent only, and digits would be lost.
    origin = float(np.mean(x))
    xs = x - origin
    slope = float(np.sum(xs * (y - np.mean(y))) / np.sum(xs**2))
    for _ in range(_MAX_ITERATIONS):
        w = 1.0 / (y_var + slope**2 * x_var)
        x_bar, y_bar = float(np.sum(w * xs) / np.sum(w)), float(np.sum(w * y) / np.sum(w))
        u, v = xs - x_bar, y - y_bar
        adjusted = w * (u * y_var + slope * v * x_var)
        new = float(np.sum(w * adjusted * v) / np.sum(w * adjusted * u))
        change, slope = abs(new - slope), new
        if change <= 1e-14 * abs(slope):
            break
    w = 1.0 / (y_var + slope**2 * x_var)
    x_bar, y_bar = float(np.sum(w * xs) / np.sum(w)), float(np.sum(w * y) / np.sum(w))
    u, v = xs - x_bar, y - y_bar
    adjusted = w * (u * y_var + slope * v * x_var)
    mid = float(np.sum(w * adjusted) / np.sum(w))
    spread = adjusted - mid
    weights = w * spread / np.sum(w * spread**2)
    return StraightLine(
        slope=slope,
        intercept=y_bar + slope * mid,
        x_mid=origin + x_bar + mid,
        slope_weights=weights,
        intercept_weights=w / np.sum(w),
        chisqr=float(np.sum(w * (v - slope * u) ** 2)),
    )


def fit_rate_directly(
    rate: Array, temperature: Array, ln_rate_var: Array, temperature_var: Array, energy: float
) -> tuple[float, float]:
    """Fit k = k_mid exp(−E/k_B (1/T − 1/T_mid)) to the rates themselves.

    Parameters
    ----------
    rate : numpy.ndarray, shape (n,)
        Rates, any unit.
    temperature : numpy.ndarray, shape (n,)
        [K].
    ln_rate_var : numpy.ndarray, shape (n,)
        Variance of ln k; the variance of k follows with the rate of the model.
    temperature_var : numpy.ndarray, shape (n,)
        Variance of the temperature, independent between points [K²].
    energy : float
        E_a to start from [eV].

    Returns
    -------
    energy, energy_stderr : float
        [eV].

    Notes
    -----
    Gauss–Newton on (E, ln k_mid), weights from the model.

    Examples
    --------
    >>> t = np.array([295.0, 300.0, 305.0])
    >>> k = arrhenius_rate(t, prefactor_for(0.04, 300.0, 0.25), 0.25)
    >>> e, _ = fit_rate_directly(k, t, np.full(3, 1e-4), np.zeros(3), 0.2)
    >>> round(e, 9)
    0.25
    """
    beta = 1.0 / (BOLTZMANN_EV_K * temperature)
    beta_c = beta - beta.mean()
    ln_mid = float(np.mean(np.log(rate) + energy * beta_c))
    normal = np.eye(2)
    for _ in range(_MAX_ITERATIONS):
        model = np.exp(ln_mid - energy * beta_c)
        relative_var = ln_rate_var + (energy * beta / temperature) ** 2 * temperature_var
        jac = np.stack([-beta_c, np.ones_like(beta_c)], axis=1)
        w = 1.0 / relative_var
        normal = jac.T @ (w[:, None] * jac)
        step = np.linalg.solve(normal, jac.T @ (w * (rate / model - 1.0)))
        step /= max(1.0, float(np.max(np.abs(jac @ step))))
        energy, ln_mid = energy + float(step[0]), ln_mid + float(step[1])
        if abs(step[0]) <= 1e-12 * abs(energy) + 1e-15:
            break
    return energy, float(np.sqrt(np.linalg.inv(normal)[0, 0]))


def power_law_exponent(rate: Array, power: Array, ln_rate_var: Array) -> tuple[float, float, float]:
    """Exponent of k ∝ P^m with its σ and χ².

    Parameters
    ----------
    rate, power : numpy.ndarray, shape (n,)
        Rates and laser powers, any units.
    ln_rate_var : numpy.ndarray, shape (n,)
        Variance of ln k.

    Returns
    -------
    exponent, exponent_stderr, chisqr : float
        Of the weighted straight line ln k against ln P.

    Examples
    --------
    >>> p = np.array([10.0, 20.0, 40.0])
    >>> m, _, _ = power_law_exponent(2.0 * p**0.07, p, np.ones(3))
    >>> round(m, 9)
    0.07
    """
    line = fit_straight_line(np.log(power), np.log(rate), np.zeros_like(power), ln_rate_var)
    return line.slope, float(np.sqrt(np.sum(line.slope_weights**2 * ln_rate_var))), line.chisqr
