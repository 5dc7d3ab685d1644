"""Predict a rate or a diffusion coefficient at any temperature, with its band."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from plkit import names
from plkit.errors import DataError
from plkit.names import COVARIANCE, TEMPERATURE
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.schema import add_history, require_unit

__all__ = ["predict_arrhenius"]

_ACTION = "predict by Arrhenius' law"
_PARAMETERS = ("activation_energy", "ln_k_mid")


def predict_arrhenius(
    result: xr.Dataset, temperature_k: float | ArrayLike | xr.DataArray
) -> xr.Dataset:
    """Predict the rate at any temperature, with a 68 % band.

    Parameters
    ----------
    result : Dataset
        Of ``fit_arrhenius`` or ``fit_diffusion_temperature``.
    temperature_k : float, array_like or DataArray
        Absolute temperature, a scalar or one-dimensional [K].

    Returns
    -------
    Dataset
        ``rate``, ``lower``, ``upper`` (temperature) [1/s] and ``ln_rate``, ``ln_rate_stderr`` [1];
        for diffusion ``diffusion_coefficient`` [m^2/s] and ``ln_diffusion_coefficient`` in their
        place. The band is ln k ± σ, hence not symmetric, and includes the shared error.

    Raises
    ------
    DataError
        If ``result`` is no such Dataset, or a temperature is not above 0 K.

    Notes
    -----
    ln k(T) = ln k_mid − E_a u with u = (1/T − 1/T_mid)/k_B, and
    var ln k = var(ln k_mid) − 2 u cov(E_a, ln k_mid) + u² var(E_a).

    Examples
    --------
    >>> from plkit import names
    >>> from plkit.arrhenius import fit_arrhenius
    >>> t = xr.DataArray([290.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> k = xr.DataArray([0.03, 0.04, 0.055], dims="point", attrs=names.attrs("rate"))
    >>> p = predict_arrhenius(fit_arrhenius(k, t, rate_scatter=0.02), 320.0)
    >>> round(float(p.rate), 4), round(float(p.lower), 4), round(float(p.upper), 4)
    (0.0717, 0.0697, 0.0739)
    """
    needed = {"activation_energy", "ln_k_mid", "temperature_mid", COVARIANCE}
    missing = needed - set(result.variables)
    if missing:
        raise DataError(
            _ACTION,
            f"'{sorted(missing)[0]}' is missing from the result",
            "Give the Dataset of fit_arrhenius or fit_diffusion_temperature.",
        )
    if isinstance(temperature_k, xr.DataArray) and "units" in temperature_k.attrs:
        temperature_k = require_unit(temperature_k, TEMPERATURE, _ACTION)
    t = np.asarray(temperature_k, dtype=float)
    if t.ndim > 1 or not np.all(np.isfinite(t) & (t > 0)):
        raise DataError(_ACTION, "a temperature is not a number above 0 K", "Give kelvin, 1-D.")
    t_mid = float(result["temperature_mid"])
    u = (1.0 / t - 1.0 / t_mid) / BOLTZMANN_EV_K
    ln_rate = float(result["ln_k_mid"]) - float(result["activation_energy"]) * u
    cov = result[COVARIANCE].sel(param_i=list(_PARAMETERS), param_j=list(_PARAMETERS)).values
    sigma = np.sqrt(cov[1, 1] - 2.0 * u * cov[0, 1] + u**2 * cov[0, 0])
    quantity = str(result.attrs.get("quantity", "rate"))
    dims = () if t.ndim == 0 else (TEMPERATURE,)
    bounds = names.attrs(quantity)
    out = xr.Dataset(
        {
            quantity: (dims, np.exp(ln_rate), names.attrs(quantity)),
            "lower": (dims, np.exp(ln_rate - sigma), bounds | {"long_name": "Lower bound, 68 %"}),
            "upper": (dims, np.exp(ln_rate + sigma), bounds | {"long_name": "Upper bound, 68 %"}),
            f"ln_{quantity}": (dims, ln_rate, names.attrs(f"ln_{quantity}")),
            f"ln_{quantity}_stderr": (dims, sigma, names.attrs(f"ln_{quantity}_stderr")),
        },
        coords={TEMPERATURE: (dims, t, names.attrs(TEMPERATURE))},
    )
    return add_history(out, "predict_arrhenius")
