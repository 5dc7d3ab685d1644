"""The noise model: variance of every value, and its gain and floor from a time series."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning
from plkit.spectra._door import enter, noise_terms

__all__ = ["estimate_noise", "variance"]

Floats = NDArray[np.float64]

# Second differences (1, -2, 1)/√6 have correlations -2/3 and 1/6 at lags one and two, so that the
# mean of their squares over n has the variance 2 σ⁴/n · (1 + 2·(4/9 + 1/36)).
_MEAN_SQUARE_VARIANCE: Final = 2.0 * (1.0 + 2.0 * (4.0 / 9.0 + 1.0 / 36.0))
_OUTLIER: Final = 5.0


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
        expected = xr.apply_ufunc(
            running_mean,
            ds[names.INTENSITY].astype(np.float64),
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


def estimate_noise(ds: xr.Dataset) -> xr.Dataset:
    """Gain and floor of the detector from the scatter of a time series (photon transfer).

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, time, λ) [counts], dark subtracted, despiked, at least 5 times.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``noise_gain`` [counts] and ``noise_floor`` [counts²], scalars, each with
        ``_stderr``.

    Raises
    ------
    DataError
        If there are fewer than 5 times, or the intensities are too alike to tell gain from floor.

    Warns
    -----
    PlkitWarning
        If the floor comes out negative, as it does where an electronic offset was left in the
        data; it is then set to 0.

    Notes
    -----
    Second differences along time, d = (y(t−1) − 2 y(t) + y(t+1))/√6, have the variance of one
    value and do not see a steady change. The part of d that is proportional to the mean spectrum,
    the flicker of the laser, is taken out. The mean of d² of each channel is then fitted by
    gain · (mean of y) + floor with weights from the fit itself; channels that scatter more than
    5σ beyond it (moving lines, spikes) are left out.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y = 2.0 * rng.poisson(np.linspace(10.0, 500.0, 200), (100, 200)) + rng.normal(0, 4, (100, 200))
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), y, {"units": "counts"})},
    ...                 {"time": ("time", np.arange(100.0), {"units": "s"}),
    ...                  "wavelength": ("wavelength", np.linspace(500, 600, 200), {"units": "nm"})})
    >>> found = estimate_noise(ds)
    >>> print(f"{float(found.noise_gain):.2f} ± {float(found.noise_gain_stderr):.2f}")
    1.99 ± 0.03
    """
    action = "estimate the noise"
    ds, dim = enter(ds, action)
    da = ds[names.INTENSITY]
    schema.require_dims(da, [names.TIME], action)
    if da.sizes[names.TIME] < 5:
        raise DataError(action, f"there are {da.sizes[names.TIME]} times, not at least 5")
    y = da.transpose(..., names.TIME, dim).values.astype(np.float64)
    mean, scatter, n = _scatter(y.reshape(-1, *y.shape[-2:]))
    gain, floor, cov = _fit_transfer(mean, scatter, n, action)
    if floor < 0:
        if floor < -3.0 * np.sqrt(cov[1, 1]):
            warnings.warn(
                f"the noise floor comes out at {floor:.3g} counts²: an offset was left in the data."
                " Subtract the dark first; the floor is set to 0.",
                PlkitWarning,
                stacklevel=2,
            )
        floor = 0.0
    values = {names.NOISE_GAIN: gain, names.NOISE_FLOOR: floor}
    out = ds
    for (name, value), var in zip(values.items(), np.diag(cov), strict=True):
        error = names.stderr_name(name)
        out = out.assign(
            {
                name: xr.DataArray(value, attrs=names.attrs(name)),
                error: xr.DataArray(float(np.sqrt(var)), attrs=names.attrs(error)),
            }
        )
    return schema.add_history(out, f"estimate_noise(): gain {gain:.4g}, floor {floor:.4g}")


def _scatter(y: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, mean squared second difference and number of differences per channel; y (a, time, λ)."""
    filled = np.isfinite(y)
    count = filled.sum(axis=1)
    mean = np.where(filled, y, 0.0).sum(axis=1) / np.maximum(count, 1)
    d = (y[:, :-2] - 2.0 * y[:, 1:-1] + y[:, 2:]) / np.sqrt(6.0)
    good = np.isfinite(d)
    d = np.where(good, d, 0.0)
    n = good.sum(axis=1).astype(np.float64)
    scatter = np.sum(d**2, axis=1) / np.maximum(n, 1.0)
    if y.shape[-1] >= 10:
        # flicker: least-squares multiple of the mean spectrum in each difference, weights 1/mean
        weight = good / np.maximum(np.abs(mean), np.abs(mean).mean() * 1e-3 + 1e-300)[:, None]
        part = weight * mean[:, None] ** 2
        power = np.sum(part, axis=-1, keepdims=True)
        power = np.where(power > 0, power, 1.0)
        share = np.sum(weight * mean[:, None] * d, axis=-1, keepdims=True) / power
        d = np.where(good, d - share * mean[:, None], 0.0)
        # what the projection took from the noise itself
        taken = np.sum(part / power, axis=1) / np.maximum(n, 1.0)
        scatter = np.sum(d**2, axis=1) / np.maximum(n, 1.0) / np.maximum(1.0 - taken, 0.1)
    use = n >= 3
    return mean[use], scatter[use], n[use]


def _fit_transfer(
    mean: Floats, scatter: Floats, n: Floats, action: str
) -> tuple[float, float, Floats]:
    """Weighted line scatter = gain · mean + floor, weights from the line itself."""
    too_alike = DataError(
        action,
        "the intensities are too alike, not spread widely enough to tell gain from floor",
        "Use a series with bright and dark channels, or set ds['noise_gain'] by hand.",
    )
    if mean.size < 3 or np.ptp(mean) <= 0 or not np.any(scatter > 0):
        raise too_alike
    design = np.stack([np.maximum(mean, 0.0), np.ones_like(mean)], axis=1)
    model = np.full_like(scatter, np.median(scatter) + 1e-12 * scatter.max())
    keep = np.ones(mean.size, dtype=bool)
    solution, cov = np.zeros(2), np.eye(2)
    for round_ in range(12):
        error2 = _MEAN_SQUARE_VARIANCE * model**2 / n
        w = keep / error2
        normal = design.T @ (w[:, None] * design)
        if not np.all(np.isfinite(normal)) or np.linalg.cond(normal) > 1e15:
            raise too_alike
        cov = np.linalg.inv(normal)
        solution = cov @ (design.T @ (w * scatter))
        fit = design @ solution
        model = np.maximum(fit, 1e-3 * np.abs(np.median(scatter)) + 1e-300)
        if round_ >= 3:
            keep = np.abs(scatter - fit) <= _OUTLIER * np.sqrt(_MEAN_SQUARE_VARIANCE / n) * model
        if keep.sum() < 3:
            raise too_alike
    gain, floor = float(solution[0]), float(solution[1])
    if gain <= 0:
        raise too_alike
    redchi = np.sum(keep * (scatter - design @ solution) ** 2 / error2) / (keep.sum() - 2)
    return gain, floor, np.asarray(cov * max(1.0, float(redchi)))
