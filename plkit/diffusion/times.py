"""The time a profile had to spread: 1/⟨k⟩ of a kinetic fit, or a given time."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.names import FIT_STATUS
from plkit.schema import require_unit

__all__ = ["diffusion_time"]

_ACTION: Final = "fit a Fick profile"
_NO_NUMBER: Final = 3


def diffusion_time(
    leading: xr.DataArray,
    rate: xr.Dataset | xr.DataArray | float | None,
    rate_stderr: xr.DataArray | ArrayLike | None,
    time_s: xr.DataArray | ArrayLike | None,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Diffusion time of every profile and its relative σ.

    Parameters
    ----------
    leading : DataArray
        Over the dims that number the profiles, with their coordinates; its values do not matter.
    rate : Dataset, DataArray, float or None
        ``mean_rate`` of ``fit_kinetics``, or rates [1/s]; matched by coordinate values.
    rate_stderr : DataArray, array_like or None
        σ of the rates [1/s]; from the Dataset where it is None.
    time_s : DataArray, array_like or None
        Times [s], instead of rates.

    Returns
    -------
    time, relative_stderr : DataArray
        [s] and [1], over the dims of ``leading``; NaN where there is no rate.

    Raises
    ------
    DataError
        If neither or both are given, a profile has no rate, or no time is above 0.

    Warns
    -----
    PlkitWarning
        If some profiles have no positive rate or time.
    """
    if (rate is None) == (time_s is None):
        found = "neither 'rate' nor 'time_s' is" if rate is None else "both 'rate' and 'time_s' are"
        raise DataError(
            _ACTION, f"{found} given, not one of them",
            "Pass rate=plkit.fit_kinetics(…), or time_s= the time in seconds.",
        )  # fmt: skip
    if time_s is not None:
        if isinstance(time_s, xr.DataArray):
            time_s = require_unit(time_s, "diffusion_time", _ACTION)
        time = _aligned(time_s, leading, "time_s")
        spread = np.asarray(time.values) > 0
        if not spread.any():
            raise DataError(
                _ACTION, f"'time_s' is {float(np.ravel(time.values)[0]):g}, not above 0 s",
                "Give the time that the profile had to spread.",
            )  # fmt: skip
        if not spread.all():
            warnings.warn(
                f"{int((~spread).sum())} of {spread.size} profiles have no time above 0: their width is fitted, their "
                "diffusion coefficient is NaN.",
                PlkitWarning,
                stacklevel=4,
            )
        return time.where(time > 0), xr.zeros_like(time)
    k, sigma = _rates(rate, rate_stderr)
    k_at = _aligned(k, leading, "rate")
    relative = _aligned(0.0 if sigma is None else sigma, leading, "rate_stderr") / k_at
    bad = ~((k_at > 0) & np.isfinite(k_at) & np.isfinite(relative))
    if bool(bad.any()):
        warnings.warn(
            f"{int(bad.sum())} of {bad.size} profiles have no positive rate with a σ: "
            "their width is fitted, their diffusion coefficient is NaN.",
            PlkitWarning,
            stacklevel=4,
        )
    return (1.0 / k_at.where(~bad)), relative.where(~bad)


def _rates(
    rate: xr.Dataset | xr.DataArray | float | None, stderr: xr.DataArray | ArrayLike | None
) -> tuple[xr.DataArray | ArrayLike, xr.DataArray | ArrayLike | None]:
    if isinstance(rate, xr.Dataset):
        if "mean_rate" not in rate:
            found = ", ".join(map(str, rate.data_vars)) or "nothing"
            raise DataError(
                _ACTION, f"'mean_rate' is missing from 'rate', which holds {found}",
                "Give the Dataset of plkit.fit_kinetics.",
            )  # fmt: skip
        k = rate["mean_rate"]
        if FIT_STATUS in rate:
            k = k.where(rate[FIT_STATUS] < _NO_NUMBER)
        if stderr is None:
            stderr = rate.get(names.stderr_name("mean_rate"))
        rate = k.assign_attrs(rate["mean_rate"].attrs)
    if isinstance(rate, xr.DataArray):
        rate = require_unit(rate, "rate", _ACTION)
    if isinstance(stderr, xr.DataArray):
        stderr = require_unit(stderr, "rate", _ACTION)
    assert rate is not None
    return rate, stderr


def _aligned(data: xr.DataArray | ArrayLike, leading: xr.DataArray, what: str) -> xr.DataArray:
    """Values of ``data`` on the dims of ``leading``, matched by coordinate values."""
    template = xr.zeros_like(leading, dtype=float).drop_attrs()
    if not isinstance(data, xr.DataArray):
        values = np.asarray(data, dtype=float)
        if values.shape not in ((), leading.shape):
            raise DataError(
                _ACTION, f"'{what}' has shape {values.shape}, not {leading.shape}",
                "Give one value, or one for every profile.",
            )  # fmt: skip
        return template + values
    data = data.astype(float).drop_attrs()
    for dim in map(str, data.dims):
        if dim in leading.coords:
            data = data.isel({dim: _positions(data, leading[dim], dim, what)})
            data = data.drop_vars(dim, errors="ignore")
        elif dim not in leading.dims:
            if data.sizes[dim] > 1:
                raise DataError(
                    _ACTION, f"'{what}' has dim '{dim}', which the profiles do not have",
                    f"Select one value or average: rate.mean('{dim}').",
                )  # fmt: skip
            data = data.squeeze(dim, drop=True)
        elif data.sizes[dim] != leading.sizes[dim]:
            raise DataError(
                _ACTION, f"'{what}' has {data.sizes[dim]} values along {dim}, "
                f"the profiles have {leading.sizes[dim]}", "Match them.",
            )  # fmt: skip
    return template + data.reset_coords(drop=True)


def _positions(
    data: xr.DataArray, wanted: xr.DataArray, dim: str, what: str
) -> xr.DataArray | NDArray[np.intp]:
    if dim not in data.coords:
        if data.sizes[dim] != wanted.size:
            raise DataError(_ACTION, f"'{what}' has no coordinate '{dim}' to be matched by")
        return np.arange(wanted.size)
    have, want = data[dim].values, np.atleast_1d(wanted.values)
    if have.dtype.kind in "iuf" and want.dtype.kind in "iuf":
        hit = np.isclose(want[:, None].astype(float), have[None, :].astype(float), 1e-6, 0.0)
    else:
        hit = want[:, None] == have[None, :]
    missing = want[~hit.any(axis=1)]
    if missing.size:
        raise DataError(
            _ACTION, f"'{what}' has no value at {dim} = {', '.join(map(str, missing.tolist()))}",
            f"Fit the kinetics at every {dim} of the maps, or select those that both have.",
        )  # fmt: skip
    at = np.argmax(hit, axis=1)
    return np.asarray(at) if wanted.ndim else xr.DataArray(int(at[0]))
