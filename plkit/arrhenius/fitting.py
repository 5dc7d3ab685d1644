"""Fit Arrhenius' law to rates, with σ of the activation energy split by its causes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.arrhenius.inputs import Points, TemperatureErrors, gather
from plkit.errors import PlkitWarning
from plkit.fit.status import NOT_IDENTIFIABLE, OK, status_attrs
from plkit.names import COVARIANCE, FIT_STATUS, PARAM_I, PARAM_J, TEMPERATURE
from plkit.physics import arrhenius as law
from plkit.physics.constants import BOLTZMANN_EV_K, KJ_MOL_PER_EV
from plkit.schema import add_history

__all__ = ["fit_arrhenius", "fit_points"]

Array = NDArray[np.float64]

PARAMETERS: Final = ("activation_energy", "ln_k_mid")
"""Rows and columns of the covariance."""

_STEP: Final = 1e-3
"""Part of the shared σ by which temperatures are shifted to see its effect."""

_SURPRISING: Final = 1e-3
"""Probability of χ² below which the stated σ are doubted aloud."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """Numbers of one fit; energies in eV, the variance of a pair in the order of PARAMETERS."""

    energy: float
    ln_mid: float
    t_mid: float
    parts: dict[str, float]
    covariance: Array
    chisqr: float
    redchi: float


def _line(points: Points, temperature: Array) -> law.StraightLine:
    ln_var, t_var = _variances(points)
    return law.fit_straight_line(
        1.0 / temperature, np.log(points.value), t_var / temperature**4, ln_var
    )


def _variances(points: Points) -> tuple[Array, Array]:
    """Variances of ln k and of T for the weights; equal weights where nothing was stated."""
    if not points.has_sigma:
        return np.ones_like(points.value), np.zeros_like(points.value)
    return points.ln_var_photon + points.ln_var_scatter, points.temperature_var


def _value_at(line: law.StraightLine, x: float) -> float:
    return line.intercept + line.slope * (x - line.x_mid)


def _fit(points: Points) -> _Fit:
    line = _line(points, points.temperature)
    t, dof = points.temperature, points.value.size - 2
    redchi = line.chisqr / dof if dof > 0 else np.nan
    response = -BOLTZMANN_EV_K * line.slope_weights  # of the energy to each ln k
    x_var = points.temperature_var / t**4
    if points.has_sigma:
        causes = {
            "photon": points.ln_var_photon,
            "scatter": points.ln_var_scatter,
            "temperature": line.slope**2 * x_var,
        }
        parts = {k: float(np.sqrt(np.sum(response**2 * v))) for k, v in causes.items()}
        point_var = sum(causes.values(), np.zeros_like(t))
    else:  # the residuals hold every independent cause; it cannot be told which
        point_var = np.full(t.size, redchi)
        from_residuals = float(np.sqrt(np.sum(response**2 * point_var)))
        parts = {"photon": np.nan, "scatter": from_residuals, "temperature": np.nan}
    # What the shared error does to both parameters, seen by moving all temperatures together.
    shifted = [_line(points, t + sign * _STEP * points.shared) for sign in (1.0, -1.0)]
    shared = np.array([
        -BOLTZMANN_EV_K * (shifted[0].slope - shifted[1].slope) / (2.0 * _STEP),
        (_value_at(shifted[0], line.x_mid) - _value_at(shifted[1], line.x_mid)) / (2.0 * _STEP),
    ])  # fmt: skip
    parts["shared"] = float(abs(shared[0]))
    both = np.stack([response, line.intercept_weights])
    covariance = (both * point_var) @ both.T + np.outer(shared, shared)
    return _Fit(
        energy=-BOLTZMANN_EV_K * line.slope, ln_mid=line.intercept, t_mid=1.0 / line.x_mid,
        parts=parts, covariance=covariance, chisqr=line.chisqr, redchi=redchi,
    )  # fmt: skip


def _scatter_needed(points: Points, energy: float) -> float:
    """Relative scatter, added to the stated σ, at which the reduced χ² is one."""
    if points.value.size < 3:
        return np.nan
    t = points.temperature
    stated = points.ln_var_photon + (energy / (BOLTZMANN_EV_K * t**2)) ** 2 * points.temperature_var
    dof = points.value.size - 2
    zero = np.zeros_like(t)

    def excess(var: float) -> float:
        ln_var = np.maximum(stated + var, 1e-300)
        return law.fit_straight_line(1.0 / t, np.log(points.value), zero, ln_var).chisqr / dof - 1.0

    upper = law.fit_straight_line(1.0 / t, np.log(points.value), zero, zero + 1.0).chisqr / dof
    if upper == 0.0 or (np.all(stated > 0) and excess(0.0) <= 0.0):
        return 0.0
    from scipy.optimize import brentq

    while excess(upper) > 0.0:
        upper *= 2.0
    return float(np.sqrt(brentq(excess, 0.0, upper, xtol=1e-6 * upper)))


def _without(points: Points) -> Array:
    """Energy with each point left out in turn; NaN where one temperature would be left."""
    from dataclasses import replace

    n = points.value.size
    out = np.full(n, np.nan)
    columns = (
        "value", "ln_var_photon", "ln_var_scatter", "temperature", "temperature_var", "shared",
    )  # fmt: skip
    for i in range(n):
        rest = np.arange(n) != i
        t = points.temperature[rest]
        if np.ptp(t) > 1e-9 * t.mean():
            fewer = replace(points, **{c: getattr(points, c)[rest] for c in columns})
            out[i] = -BOLTZMANN_EV_K * _line(fewer, t).slope
    return out


def fit_arrhenius(
    rate: xr.DataArray | xr.Dataset,
    temperature: xr.DataArray | xr.Dataset,
    *,
    rate_stderr: xr.DataArray | ArrayLike | None = None,
    temperature_stderr: xr.DataArray | ArrayLike | None = None,
    shared_temperature_stderr: xr.DataArray | ArrayLike | None = None,
    rate_scatter: float = 0.0,
    power: xr.DataArray | ArrayLike | None = None,
) -> xr.Dataset:
    """Fit Arrhenius' law to rates, and say where its uncertainty comes from.

    Parameters
    ----------
    rate : DataArray or Dataset
        Rates (power) or (point) [1/s], or the Dataset of ``fit_kinetics``, of which ``mean_rate``,
        ``mean_rate_stderr`` and ``fit_status`` are used.
    temperature : DataArray or Dataset
        Temperature over the same dim [K], or the Dataset of ``simulate_heating``: its
        ``detection_temperature`` is taken at the powers of the rates (the rise is proportional to
        power), its ``detection_temperature_stderr`` as shared by all points.
    rate_stderr : DataArray or array_like, optional
        σ of each rate, independent [1/s].
    temperature_stderr : DataArray or array_like, optional
        σ of each temperature, independent [K].
    shared_temperature_stderr : DataArray or array_like, optional
        σ of each temperature from a cause that moves all of them together, such as the absorptance
        or the spot size: for a scale error σ_g it is σ_g (T − T0) [K]. Overrides that of a Dataset.
    rate_scatter : float, optional
        Relative spot-to-spot scatter of the rate, independent [1].
    power : DataArray or array_like, optional
        Laser power [uW], where the rates do not carry it as a coordinate.

    Returns
    -------
    Dataset
        ``activation_energy`` [eV] with ``activation_energy_stderr`` and its parts, which add in
        quadrature: ``…_stderr_photon``, ``…_stderr_scatter``, ``…_stderr_temperature``
        (independent), ``…_stderr_shared`` [eV]; ``activation_energy_kj_mol`` [kJ/mol]; ``ln_k0``
        with σ [1]; ``ln_k_mid`` with σ [1] at ``temperature_mid`` [K]; ``covariance`` of
        activation_energy and ln_k_mid, all causes together; ``chisqr``, ``redchi`` [1];
        ``rate_scatter_needed`` [1]; ``photo_exponent`` m of k ∝ P^m with σ and
        ``photo_exponent_chisqr`` [1] where powers are known; ``activation_energy_nonlinear`` with σ
        [eV]; ``activation_energy_without`` (power) [eV], the energy with one point left out;
        ``n_points``; ``fit_status``; and the points: ``rate``, ``rate_stderr`` [1/s],
        ``temperature``, ``temperature_stderr`` [K] (both causes in quadrature).

    Raises
    ------
    DataError
        If fewer than two usable points are left, all are at one temperature, or labels do not
        match.
    UnitsError
        If a unit is missing or of another kind.

    Warns
    -----
    PlkitWarning
        For points that are left out (failed fits, rates of zero or less), and where the points
        scatter more than their σ allow (probability of χ² below 0.001). σ is not scaled then:
        ``rate_scatter_needed`` says which scatter would explain it.

    Notes
    -----
    ln k = ln k_mid − (E_a/k_B)(1/T − 1/T_mid), the most likely straight line with errors in both
    axes; at T_mid the two parameters are uncorrelated but for the shared error. A scale error g of
    the temperature rise ΔT gives E_a/g (to first order in ΔT/T0: for g = 1.1 the law holds to 0.2 %
    where ΔT ends at 5 K, to 0.9 % where it ends at 27 K), and hence σ_E = E_a σ_g, whatever the
    number of points and photons. Where neither ``rate_stderr`` nor ``rate_scatter`` is given,
    points weigh equally and σ follows from the
    residuals (n − 2 degrees of freedom; NaN for two points); it stands under ``…_stderr_scatter``,
    includes every independent cause, and ``chisqr`` and ``redchi`` are those of ln k in units of
    one. The prefactor has no symmetric σ: use ``ln_k0``.

    References
    ----------
    .. [1] D. York et al., Am. J. Phys. 72, 367 (2004), doi:10.1119/1.1632486.
    .. [2] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> from plkit import names
    >>> from plkit.physics.arrhenius import arrhenius_rate
    >>> t = xr.DataArray([294.0, 297.0, 300.0], dims="point", attrs=names.attrs("temperature"))
    >>> k = xr.DataArray(arrhenius_rate(t, 650.0, 0.248), dims="point", attrs=names.attrs("rate"))
    >>> fit = fit_arrhenius(k, t, rate_scatter=0.005, shared_temperature_stderr=0.08 * (t - 293.0))
    >>> round(float(fit.activation_energy), 6), round(float(fit.activation_energy_kj_mol), 2)
    (0.248, 23.93)
    """
    points = gather(
        rate,
        temperature,
        quantity="rate",
        variable="mean_rate" if isinstance(rate, xr.Dataset) and "mean_rate" in rate else "rate",
        stderr=rate_stderr,
        temperature_errors=TemperatureErrors(temperature_stderr, shared_temperature_stderr),
        scatter=rate_scatter,
        power=power,
        action="fit Arrhenius' law",
    )
    return add_history(
        fit_points(points),
        f"fit_arrhenius(rate_scatter={rate_scatter:g}): {points.value.size} points",
    )


def fit_points(points: Points) -> xr.Dataset:
    """Fit Arrhenius' law to matched points; see :func:`fit_arrhenius`.

    Parameters
    ----------
    points : Points
        From :func:`plkit.arrhenius.inputs.gather`.

    Returns
    -------
    Dataset
        As :func:`fit_arrhenius` describes.
    """
    fit = _fit(points)
    energy_stderr = float(np.sqrt(fit.covariance[0, 0]))
    beta = 1.0 / (BOLTZMANN_EV_K * fit.t_mid)
    to_ln_k0 = np.array([beta, 1.0])
    results = {
        "activation_energy": fit.energy,
        "activation_energy_stderr": energy_stderr,
        **{f"activation_energy_stderr_{cause}": v for cause, v in fit.parts.items()},
        "activation_energy_kj_mol": fit.energy * KJ_MOL_PER_EV,
        "activation_energy_kj_mol_stderr": energy_stderr * KJ_MOL_PER_EV,
        "ln_k0": fit.ln_mid + beta * fit.energy,
        "ln_k0_stderr": float(np.sqrt(to_ln_k0 @ fit.covariance @ to_ln_k0)),
        "ln_k_mid": fit.ln_mid,
        "ln_k_mid_stderr": float(np.sqrt(fit.covariance[1, 1])),
        "temperature_mid": fit.t_mid,
        "chisqr": fit.chisqr,
        "redchi": fit.redchi,
        "rate_scatter_needed": _scatter_needed(points, fit.energy),
    }
    ln_var, t_var = _variances(points)
    unscaled = 1.0 if points.has_sigma else float(np.sqrt(fit.redchi))
    nonlinear, nonlinear_stderr = law.fit_rate_directly(
        points.value, points.temperature, ln_var, t_var, fit.energy
    )
    results["activation_energy_nonlinear"] = nonlinear
    shared_part = fit.parts["shared"]
    results["activation_energy_nonlinear_stderr"] = float(
        np.hypot(nonlinear_stderr * unscaled, shared_part)
    )
    if points.power is not None and np.all(points.power > 0) and np.ptp(points.power) > 0:
        m, m_stderr, m_chisqr = law.power_law_exponent(points.value, points.power, ln_var)
        n_free = points.value.size - 2
        if not points.has_sigma:
            m_stderr *= np.sqrt(m_chisqr / n_free) if n_free > 0 else np.nan
        results |= {
            "photo_exponent": m,
            "photo_exponent_stderr": m_stderr,
            "photo_exponent_chisqr": m_chisqr,
        }
    out = xr.Dataset({k: ((), v, names.attrs(k)) for k, v in results.items()})
    out["n_points"] = ((), points.value.size, names.attrs("n_points"))
    status = OK if energy_stderr < abs(fit.energy) else NOT_IDENTIFIABLE
    out[FIT_STATUS] = ((), np.int8(status), status_attrs())
    out[COVARIANCE] = ((PARAM_I, PARAM_J), fit.covariance, names.attrs(COVARIANCE))
    out = out.assign_coords({PARAM_I: list(PARAMETERS), PARAM_J: list(PARAMETERS)})
    out = _with_points(out, points)
    _say_if_surprising(points, fit, results["rate_scatter_needed"])
    return out.assign_attrs(
        quantity=points.quantity,
        quantity_units=names.unit(points.quantity),
        uncertainty=(
            "σ from the stated errors"
            if points.has_sigma
            else "no σ was given: σ from the residuals, equal weights"
        ),
    )


def _with_points(out: xr.Dataset, points: Points) -> xr.Dataset:
    """Add the points of the plot, NaN where one was left out."""
    dim = str(points.labels.dims[0])

    def spread(values: Array, name: str) -> xr.DataArray:
        full = np.full(points.labels.size, np.nan)
        full[points.kept] = values
        return xr.DataArray(full, coords=points.labels.coords, dims=dim, attrs=names.attrs(name))

    q = points.quantity
    out["activation_energy_without"] = spread(_without(points), "activation_energy_without")
    out[q] = spread(points.value, q)
    sigma = points.value * np.sqrt(points.ln_var_photon + points.ln_var_scatter)
    out[f"{q}_stderr"] = spread(sigma, f"{q}_stderr")
    if dim != TEMPERATURE:
        out[TEMPERATURE] = spread(points.temperature, TEMPERATURE)
    sigma = np.sqrt(points.temperature_var + points.shared**2)
    out[f"{TEMPERATURE}_stderr"] = spread(sigma, f"{TEMPERATURE}_stderr")
    return out


def _say_if_surprising(points: Points, fit: _Fit, needed: float) -> None:
    dof = points.value.size - 2
    if not points.has_sigma or dof < 1:
        return
    from scipy.special import gammaincc

    if float(gammaincc(0.5 * dof, 0.5 * fit.chisqr)) < _SURPRISING:
        warnings.warn(
            f"The points scatter about Arrhenius' line more than their σ allow: reduced χ² "
            f"{fit.redchi:.3g}. A spot-to-spot scatter of {100 * needed:.2g} % would explain it: "
            f"pass rate_scatter={needed:.2g}. σ of the activation energy was not scaled.",
            PlkitWarning,
            stacklevel=4,
        )
