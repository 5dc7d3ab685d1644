"""From numbers in bins to a labelled dataset in nanoseconds and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.fit.result import keep_credible
from plkit.fit.status import status_attrs
from plkit.lifetimes.inputs import ACTION, Photons
from plkit.physics import decay
from plkit.physics.decay import DecayFit, Response

__all__ = ["FitInBins", "labelled", "parameter_names"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitInBins:
    """A fit and what it was made from.

    Parameters
    ----------
    fit : DecayFit
        In bins.
    m : int
        Number of exponentials; 0 for a stretched one.
    response : Response
        Of the instrument.
    photons : Photons
        What was fitted.
    scaled : bool
        True where σ is to be scaled by √(reduced χ²).
    status : numpy.ndarray of int8
        Of every trace.
    """

    fit: DecayFit
    m: int
    response: Response
    photons: Photons
    scaled: bool
    status: NDArray[np.int8]


def parameter_names(m: int) -> list[str]:
    """Parameters in the order of the kernels.

    Parameters
    ----------
    m : int
        Number of exponentials; 0 for a stretched one.

    Examples
    --------
    >>> parameter_names(0)
    ['amplitude_1', 'lifetime_1', 'beta', 'background', 'irf_shift', 'irf_fwhm']
    """
    if m == 0:
        shape = ["amplitude_1", "lifetime_1", "beta"]
    else:
        shape = [f"{what}_{k + 1}" for what in ("amplitude", "lifetime") for k in range(m)]
    return [*shape, "background", "irf_shift", "irf_fwhm"]


def labelled(result: FitInBins) -> xr.Dataset:
    """Label a fit.

    Parameters
    ----------
    result : FitInBins
        In bins and photons.

    Returns
    -------
    xarray.Dataset
        In nanoseconds and counts.
    """
    fit, photons, traces = result.fit, result.photons, result.photons.traces
    order = parameter_names(result.m)
    unit = np.array(
        [
            photons.width
            if names.unit(name) == names.unit(names.DELAY)
            else photons.gain
            if names.unit(name) == names.unit(names.INTENSITY)
            else 1.0
            for name in order
        ]
    )
    left = fit.n_bins - fit.n_free
    with np.errstate(invalid="ignore", divide="ignore"):
        redchi = np.where(left > 0, fit.pearson / left, np.nan)
    covariance = fit.covariance * unit[:, None] * unit
    if result.scaled:
        covariance = covariance * redchi[:, None, None]
    values = fit.values * unit
    if result.response.kind != "histogram":  # a pulse has its time on the axis of the data
        values[:, order.index("irf_shift")] += photons.start
    if result.response.kind != "gaussian":
        order = order[:-1]
        values, covariance = values[:, :-1], covariance[:, :-1, :-1]
    _refuse_clash(order, traces.outer)
    out: dict[str, xr.DataArray] = {}
    stderr = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))

    def add(name: str, value: Any, error: Any = None) -> None:
        out[name] = traces.label(keep_credible(result.status, value), **names.attrs(name))
        if error is not None:
            sigma = names.stderr_name(name)
            out[sigma] = traces.label(keep_credible(result.status, error), **names.attrs(sigma))

    for i, name in enumerate(order):
        add(name, values[:, i], stderr[:, i])
    for name, (value, error) in _means(values, covariance, result.m).items():
        add(name, value, error)
    out[names.COVARIANCE] = xr.DataArray(
        keep_credible(result.status, covariance).reshape(
            *traces.outer.shape, len(order), len(order)
        ),
        dims=(*traces.outer.dims, names.PARAM_I, names.PARAM_J),
        coords={**traces.outer.coords, names.PARAM_I: order, names.PARAM_J: order},
        attrs=names.attrs(names.COVARIANCE),
    )
    add("deviance", fit.deviance)
    add("redchi", redchi)
    add("aic", fit.deviance + 2.0 * fit.n_free)
    add("bic", fit.deviance + fit.n_free * np.log(np.maximum(fit.n_bins, 1.0)))
    add("residual_runs", fit.runs_z)
    out["nfev"] = traces.label(fit.nfev, **names.attrs("nfev"))
    out[names.FIT_STATUS] = traces.label(result.status, **status_attrs())
    return xr.Dataset(out)


def _means(values: Floats, covariance: Floats, m: int) -> dict[str, tuple[Floats, Floats]]:
    """Both mean lifetimes and σ; what is held at a bound counts as known."""
    if m == 0:
        columns = [1, 2]
        means = decay.stretched_mean_lifetimes(values[:, 1], values[:, 2])
        gradients = decay.stretched_mean_lifetimes_gradient(values[:, 1], values[:, 2])
    else:
        columns = list(range(2 * m))
        a, tau = values[:, :m], values[:, m : 2 * m]
        means = decay.mean_lifetimes(a, tau)
        gradients = decay.mean_lifetimes_gradient(a, tau)
    part = np.nan_to_num(covariance[:, columns][:, :, columns], nan=0.0)
    out = {}
    for name, value, gradient in zip(
        ("mean_lifetime_amplitude", "mean_lifetime_intensity"), means, gradients, strict=True
    ):
        variance = np.einsum("ri,rij,rj->r", gradient, part, gradient)
        with np.errstate(invalid="ignore"):
            out[name] = (value, np.sqrt(np.where(variance > 0.0, variance, np.nan)))
    return out


def _refuse_clash(order: list[str], outer: xr.DataArray) -> None:
    clash = sorted({*order}.intersection({*map(str, outer.coords), *map(str, outer.dims)}))
    if clash:
        raise DataError(
            ACTION,
            f"the data has a coordinate '{clash[0]}', the name of a result",
            f'Rename it: decay.rename({clash[0]}="{clash[0]}_given").',
        )
