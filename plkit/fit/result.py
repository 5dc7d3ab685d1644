"""From the numbers of an engine to a labelled dataset; every engine ends here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.fit.status import NO_SIGNAL, status_attrs
from plkit.fit.traces import Labels, Traces

__all__ = ["FitArrays", "assemble", "keep_credible"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitArrays:
    """What an engine hands over: one row per trace.

    Parameters
    ----------
    names : tuple of str
        Parameters, in the order of every array.
    values : numpy.ndarray
        Shape (rows, parameters).
    covariance : numpy.ndarray
        Shape (rows, parameters, parameters), already scaled as it is to be reported; zero for a
        fixed parameter, NaN where there is no σ.
    chisqr : numpy.ndarray
        Shape (rows,): Σ [(data − model)/σ]², with σ = 1 where none was given.
    n_free : int or numpy.ndarray
        Number of parameters that were varied; with shape (rows,) where it differs.
    nfev : numpy.ndarray of int
        Shape (rows,).
    status : numpy.ndarray of int8
        Shape (rows,), see :mod:`plkit.fit.status`.
    """

    names: tuple[str, ...]
    values: Floats
    covariance: Floats
    chisqr: Floats
    n_free: int | Floats
    nfev: NDArray[np.int64]
    status: NDArray[np.int8]

    @property
    def stderr(self) -> Floats:
        """One σ of every parameter; NaN where the covariance has none."""
        variance = np.diagonal(self.covariance, axis1=1, axis2=2)
        return np.asarray(np.sqrt(np.where(variance >= 0, variance, np.nan)))


def keep_credible(status: NDArray[np.int8], values: Floats) -> Floats:
    """Replace rows without signal, and failed rows, by NaN.

    Parameters
    ----------
    status : numpy.ndarray of int8
        Shape (rows,).
    values : numpy.ndarray
        Shape (rows, …).
    """
    lost = (status >= NO_SIGNAL).reshape(-1, *[1] * (values.ndim - 1))
    return np.where(lost, np.nan, values)


def assemble(
    arrays: FitArrays, traces: Traces | Labels, units: Mapping[str, str], action: str
) -> xr.Dataset:
    """Label the result of an engine.

    Parameters
    ----------
    arrays : FitArrays
        From an engine.
    traces : Traces or Labels
        What was fitted.
    units : Mapping
        Unit of every parameter for which it is known.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    xarray.Dataset
        Per parameter ``<p>`` and ``<p>_stderr``, each in its unit; ``covariance`` (…, param_i,
        param_j); ``chisqr``, ``redchi``, ``aic``, ``bic``, ``nfev`` and ``fit_status``.

    Notes
    -----
    AIC = n ln(χ²/n) + 2 p and BIC = n ln(χ²/n) + p ln n, as lmfit has them.
    """
    taken = {*map(str, traces.outer.coords), *map(str, traces.outer.dims)}
    taken |= {names.COVARIANCE, names.FIT_STATUS}
    taken |= {"chisqr", "redchi", "aic", "bic", "nfev"}
    clash = sorted(taken.intersection(arrays.names))
    if clash:
        raise DataError(
            action,
            f"the parameter '{clash[0]}' has the name of a coordinate or of a statistic",
            'Give the model a prefix, for instance prefix="p_".',
        )
    out: dict[str, xr.DataArray] = {}
    values, stderr = (keep_credible(arrays.status, a) for a in (arrays.values, arrays.stderr))
    for i, name in enumerate(arrays.names):
        out[name] = traces.label(values[:, i], **_attrs(name, units))
        error = names.stderr_name(name)
        out[error] = traces.label(stderr[:, i], **_attrs(name, units, "σ of "))
    covariance = keep_credible(arrays.status, arrays.covariance)
    size = len(arrays.names)
    out[names.COVARIANCE] = xr.DataArray(
        covariance.reshape(*traces.outer.shape, size, size),
        dims=(*traces.outer.dims, names.PARAM_I, names.PARAM_J),
        coords={
            **traces.outer.coords,
            names.PARAM_I: list(arrays.names),
            names.PARAM_J: list(arrays.names),
        },
        attrs=names.attrs(names.COVARIANCE),
    )
    for name, array in _statistics(arrays, traces).items():
        out[name] = traces.label(array, **names.attrs(name))
    out["nfev"] = traces.label(arrays.nfev, **names.attrs("nfev"))
    out[names.FIT_STATUS] = traces.label(arrays.status.astype(np.int8), **status_attrs())
    return xr.Dataset(out)


def _statistics(arrays: FitArrays, traces: Traces | Labels) -> dict[str, Floats]:
    n, p = traces.n_points.astype(float), np.asarray(arrays.n_free, dtype=np.float64)
    chi2 = keep_credible(arrays.status, arrays.chisqr)
    left = np.where(n > p, n - p, np.nan)
    # A perfect fit has no logarithm: the smallest number stands for it, as in lmfit.
    safe = np.where(n > 0, n, np.nan)
    likelihood = safe * np.log(np.maximum(chi2, np.finfo(float).tiny) / safe)
    return {
        "chisqr": chi2,
        "redchi": chi2 / left,
        "aic": likelihood + 2.0 * p,
        "bic": likelihood + p * np.log(safe),
    }


def _attrs(name: str, units: Mapping[str, str], before: str = "") -> dict[str, str]:
    known = names.attrs(name) if name in names.TABLE else {"long_name": name}
    known.pop("units", None)
    if name in units:
        known["units"] = units[name]
    if before:
        known["long_name"] = (
            f"{before}{known['long_name'].lower() if name in names.TABLE else name}"
        )
    return known
