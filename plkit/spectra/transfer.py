"""Gain and floor of the detector from the scatter of a time series (photon transfer)."""

from __future__ import annotations

import warnings
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning
from plkit.spectra._door import enter

__all__ = ["estimate_noise", "photon_transfer"]

Floats = NDArray[np.float64]

# Second differences (1, -2, 1)/√6 have correlations -2/3 and 1/6 at lags one and two, so that the
# mean of their squares over n has the variance 2 σ⁴/n · (1 + 2·(4/9 + 1/36)).
_MEAN_SQUARE_VARIANCE: Final = 2.0 * (1.0 + 2.0 * (4.0 / 9.0 + 1.0 / 36.0))
_OUTLIER: Final = 5.0


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
        ``_stderr``. Estimates from before are replaced.

    Raises
    ------
    DataError
        If there are fewer than 5 times, or the intensities are too alike to tell gain from floor.

    Warns
    -----
    PlkitWarning
        If the floor comes out negative, as it does where an electronic offset was left in the
        data; it is then set to 0.

    See Also
    --------
    photon_transfer : the values to which the line is fitted, for a plot.
    set_noise : where the data sheet of the detector is at hand.

    Notes
    -----
    Second differences along time, d = (y(t−1) − 2 y(t) + y(t+1))/√6, have the variance of one
    value and do not see a steady change. The part of d that is proportional to the mean spectrum,
    the flicker of the laser, is taken out. The mean of d² of each channel is then fitted by
    gain · (mean of y) + floor with weights from the fit itself; channels that scatter more than
    5σ beyond it (moving lines, spikes) are left out.

    References
    ----------
    J. R. Janesick, Photon Transfer, SPIE Press (2007), doi:10.1117/3.725073

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
    transfer = photon_transfer(ds)
    ds, _ = enter(ds, "estimate the noise")
    noise = (names.NOISE_GAIN, names.NOISE_FLOOR)
    both = [*noise, *map(names.stderr_name, noise)]
    out = ds.assign({name: transfer[name] for name in both})
    gain, floor = (float(transfer[name]) for name in noise)
    if floor < 0:
        if floor < -3.0 * float(transfer[names.stderr_name(names.NOISE_FLOOR)]):
            warnings.warn(
                f"the noise floor comes out at {floor:.3g} counts²: an offset was left in the data."
                " Subtract the dark first; the floor is set to 0.",
                PlkitWarning,
                stacklevel=2,
            )
        floor = 0.0
        out = out.assign({noise[1]: xr.DataArray(0.0, attrs=names.attrs(noise[1]))})
    return schema.add_history(out, f"estimate_noise(): gain {gain:.4g}, floor {floor:.4g}")


def photon_transfer(ds: xr.Dataset) -> xr.Dataset:
    """Variance of every channel against its mean intensity, and the line through them.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, time, λ) [counts], dark subtracted, despiked, at least 5 times.

    Returns
    -------
    xarray.Dataset
        Over the dims of ``ds`` without ``time``: ``mean_intensity`` [counts], ``variance``
        [counts²] with ``variance_stderr``, NaN where fewer than 3 differences are known, and
        ``used_in_fit`` (int8), 0 for channels that the fit left out. The line itself:
        ``noise_gain`` [counts] and ``noise_floor`` [counts²] with ``_stderr``; the floor may be
        negative here. ``plkit.plot.plot_photon_transfer`` draws it.

    Raises
    ------
    DataError
        As :func:`estimate_noise`.

    See Also
    --------
    estimate_noise : writes gain and floor into the dataset, and says how they are found.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y = 2.0 * rng.poisson(np.linspace(10.0, 500.0, 200), (100, 200))
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), y, {"units": "counts"})},
    ...                 {"time": ("time", np.arange(100.0), {"units": "s"}),
    ...                  "wavelength": ("wavelength", np.linspace(500, 600, 200), {"units": "nm"})})
    >>> found = photon_transfer(ds)
    >>> dict(found.sizes), int(found.used_in_fit.sum())
    ({'wavelength': 200}, 200)
    >>> print(f"{float((found.variance / found.mean_intensity).mean()):.1f}")
    2.0
    """
    action = "estimate the noise"
    ds, dim = enter(ds, action)
    da = ds[names.INTENSITY]
    schema.require_dims(da, [names.TIME], action)
    if da.sizes[names.TIME] < 5:
        raise DataError(action, f"there are {da.sizes[names.TIME]} times, not at least 5")
    da = da.transpose(..., names.TIME, dim)
    y = da.values.astype(np.float64)
    mean, scatter, n = _scatter(y.reshape(-1, *y.shape[-2:]))
    use = n >= 3
    gain, floor, cov, keep = _fit_transfer(mean[use], scatter[use], n[use], action)
    used = np.zeros(n.shape, dtype=np.int8)
    used[use] = keep
    scatter = np.where(use, scatter, np.nan)
    line = np.maximum(gain * np.maximum(mean, 0.0) + floor, 0.0)
    error = np.sqrt(_MEAN_SQUARE_VARIANCE / np.maximum(n, 1.0)) * line
    here = da.isel({names.TIME: 0}, drop=True)
    coords = {k: c for k, c in ds.coords.items() if set(c.dims) <= set(here.dims)}
    out = xr.Dataset(coords=coords, attrs=dict(ds.attrs))
    columns = {
        "mean_intensity": np.where(use, mean, np.nan),
        "variance": scatter,
        names.stderr_name("variance"): np.where(use, error, np.nan),
        "used_in_fit": used,
    }
    for name, values in columns.items():
        out[name] = (here.dims, values.reshape(here.shape), names.attrs(name))
    for name, value, var in (
        (names.NOISE_GAIN, gain, cov[0, 0]),
        (names.NOISE_FLOOR, floor, cov[1, 1]),
    ):
        known = names.stderr_name(name)
        out[name] = xr.DataArray(value, attrs=names.attrs(name))
        out[known] = xr.DataArray(float(np.sqrt(var)), attrs=names.attrs(known))
    return schema.add_history(out, f"photon_transfer(): {int(used.sum())} of {used.size} channels")


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
    return mean, scatter, n


def _fit_transfer(
    mean: Floats, scatter: Floats, n: Floats, action: str
) -> tuple[float, float, Floats, NDArray[np.bool_]]:
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
    return gain, floor, np.asarray(cov * max(1.0, float(redchi))), keep
