"""The noise model: variance of every value, from gain and read noise."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.spectra._door import enter, noise_terms, require_number

__all__ = ["set_noise", "variance"]

Floats = NDArray[np.float64]


def variance(
    ds: xr.Dataset, *, expected: xr.DataArray | None = None, smooth: int = 5
) -> xr.DataArray:
    """Variance of every intensity by the noise model.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts], ``noise_gain`` [counts], and ``noise_floor`` [counts²]
        where there is one.
    expected : xarray.DataArray, optional
        Expected intensity [counts], for instance a fitted model. By default the intensity itself,
        averaged over ``smooth`` channels: weights from single observed counts would favour the
        channels that happen to be low, and bias every fit.
    smooth : int, optional
        Channels of the running mean, which leaves NaN out; 1 takes the data as they are.

    Returns
    -------
    xarray.DataArray
        ``variance`` (…, λ) [counts²].

    Raises
    ------
    DataError
        If the gain is not known.

    Notes
    -----
    variance = gain · max(expected, 0) + floor.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [100.0, 100.0, 100.0], {"units": "counts"}),
    ...                  "noise_gain": ((), 2.0, {"units": "counts"}),
    ...                  "noise_floor": ((), 25.0, {"units": "counts^2"})},
    ...                 {"wavelength": ("wavelength", [500.0, 501.0, 502.0], {"units": "nm"})})
    >>> variance(ds).values.tolist()
    [225.0, 225.0, 225.0]
    """
    action = "give the variance"
    ds, dim = enter(ds, action)
    terms = noise_terms(ds)
    if terms is None:
        raise DataError(
            action,
            f"'{names.NOISE_GAIN}' is missing, not known in counts per electron",
            "Set ds['noise_gain'] from the detector's data sheet, or use"
            " plkit.spectra.estimate_noise(ds).",
        )
    if expected is None:
        measured = ds[names.INTENSITY].astype(np.float64)
        if measured.chunks is not None:
            measured = measured.chunk({dim: -1})  # a spectrum is averaged along itself
        expected = xr.apply_ufunc(
            running_mean,
            measured,
            kwargs={"size": int(smooth)},
            input_core_dims=[[dim]],
            output_core_dims=[[dim]],
            dask="parallelized",
            output_dtypes=[np.float64],
        )
    gain, floor = terms
    out = gain * expected.clip(min=0.0) + floor
    out = out.transpose(*[d for d in ds[names.INTENSITY].dims if d in out.dims]).rename("variance")
    out.attrs = dict(names.attrs("variance"))
    return out


def running_mean(y: Floats, size: int) -> Floats:
    """Mean over ``size`` channels of the last axis, NaN left out, mirrored at the ends."""
    if size <= 1 or y.shape[-1] < 2:
        return y
    from scipy.ndimage import uniform_filter1d

    good = np.isfinite(y)
    total = uniform_filter1d(np.where(good, y, 0.0), size, axis=-1, mode="mirror")
    if good.all():
        return np.asarray(total)
    weight = uniform_filter1d(good.astype(np.float64), size, axis=-1, mode="mirror")
    enough = weight > 0.5 / size
    return np.asarray(np.where(enough, total / np.where(enough, weight, 1.0), np.nan))


def set_noise(
    ds: xr.Dataset,
    *,
    electrons_per_count: float,
    read_noise_electrons: float = 0.0,
    excess: float = 1.0,
) -> xr.Dataset:
    """State the noise of the detector by what its data sheet says.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts].
    electrons_per_count : float
        Sensitivity of the analogue-to-digital converter at the gain setting used; with electron
        multiplication, photoelectrons per count.
    read_noise_electrons : float, optional
        σ of one reading in the dark [electrons].
    excess : float, optional
        Excess noise of electron multiplication, by which the variance of the light grows: 2 for an
        EMCCD, 1 without.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``noise_gain`` [counts] and ``noise_floor`` [counts²], scalars.

    Raises
    ------
    DataError
        If a number is not finite, the sensitivity not positive, the read noise negative or the
        excess below 1.

    See Also
    --------
    estimate_noise : where the data sheet is not at hand.

    Notes
    -----
    gain = excess / (electrons per count), floor = (read noise / electrons per count)². Of spectra
    that were summed over rows or exposures before, give the read noise of the sum, √n times that
    of one.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [100.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [500.0], {"units": "nm"})})
    >>> stated = set_noise(ds, electrons_per_count=2.0, read_noise_electrons=8.0)
    >>> float(stated.noise_gain), float(stated.noise_floor), variance(stated).values.tolist()
    (0.5, 16.0, [66.0])
    """
    action = "state the noise"
    ds, _ = enter(ds, action)
    per_count = require_number(electrons_per_count, "electrons_per_count", action)
    read = require_number(read_noise_electrons, "read_noise_electrons", action)
    excess = require_number(excess, "excess", action)
    if per_count <= 0 or read < 0 or excess < 1:
        raise DataError(
            action,
            f"electrons_per_count={per_count:g}, read_noise_electrons={read:g} and excess={excess:g}"
            " are not above 0, from 0 and from 1",
        )
    values = {names.NOISE_GAIN: excess / per_count, names.NOISE_FLOOR: (read / per_count) ** 2}
    out = ds.assign({n: xr.DataArray(v, attrs=names.attrs(n)) for n, v in values.items()})
    out = out.drop_vars([names.stderr_name(n) for n in values], errors="ignore")
    step = f"set_noise(electrons_per_count={per_count:g}, read_noise_electrons={read:g}, excess={excess:g})"
    return schema.add_history(out, step)
