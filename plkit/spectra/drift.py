"""Spectral drift: measured on a reference line, applied apart."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.names import ENERGY, WAVELENGTH
from plkit.spectra._door import attach_intensity, enter, labelled
from plkit.spectra.noise import variance

__all__ = ["apply_drift", "estimate_drift"]

Floats = NDArray[np.float64]

_SHIFT: Final = {WAVELENGTH: "wavelength_shift", ENERGY: "energy_shift"}
_ROUNDS: Final = 15


def estimate_drift(ds: xr.Dataset, window: tuple[float, float]) -> xr.Dataset:
    """Shift of every spectrum against the mean one, from a reference line.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts]. The reference does not move with the sample: laser,
        Raman or lamp line.
    window : (low, high)
        Range of the spectral axis that holds the line and little else [nm or eV].

    Returns
    -------
    xarray.Dataset
        ``wavelength_shift`` (…) [nm] with ``wavelength_shift_stderr``, or ``energy_shift`` [eV];
        positive where the line lies at larger values than in the mean spectrum. NaN where the
        line cannot be seen.

    Raises
    ------
    DataError
        If the window holds fewer than 5 channels.

    See Also
    --------
    apply_drift : takes the shift out.

    Notes
    -----
    y(λ) = a m(λ − s) + b with the mean spectrum m as a cubic spline, by weighted least squares in
    a, b and s. Weights and σ from the noise model; without gain equal weights, and σ scaled by
    √(reduced χ²).

    Examples
    --------
    >>> wavelength = np.linspace(480.0, 500.0, 81)
    >>> centre = np.array([490.0, 490.2])
    >>> y = 1e4 * np.exp(-((wavelength - centre[:, None]) / 1.5) ** 2)
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), y, {"units": "counts"})},
    ...                 {"time": ("time", [0.0, 1.0], {"units": "s"}),
    ...                  "wavelength": ("wavelength", wavelength, {"units": "nm"})})
    >>> shift = estimate_drift(ds, (484, 496)).wavelength_shift
    >>> print(f"{float(shift[1] - shift[0]):.3f}")
    0.200
    """
    action = "estimate the drift"
    ds, dim = enter(ds, action)
    name = _shift_name(dim, action)
    low, high = min(window), max(window)
    inside = np.flatnonzero((ds[dim].values >= low) & (ds[dim].values <= high))
    if inside.size < 5:
        raise DataError(
            action, f"window ({low:g}, {high:g}) holds {inside.size} channels, not at least 5"
        )
    part = ds.isel({dim: inside})
    da = part[names.INTENSITY].transpose(..., dim)
    y = da.values.astype(np.float64).reshape(-1, inside.size)
    var = None
    if names.NOISE_GAIN in ds:
        var = variance(part).transpose(*da.dims).values.reshape(y.shape)
    shift, error = _fit_shift(part[dim].values.astype(np.float64), y, var)
    lead = da.dims[:-1]
    coords = {k: v for k, v in da.coords.items() if dim not in v.dims}
    out = xr.Dataset(coords=coords)
    for key, value in ((name, shift), (names.stderr_name(name), error)):
        out[key] = xr.DataArray(value.reshape(da.shape[:-1]), dims=lead, attrs=names.attrs(key))
    out.attrs = dict(ds.attrs)
    return schema.add_history(out, f"estimate_drift(window=({low:g}, {high:g}))")


def _shift_name(dim: str, action: str) -> str:
    if dim not in _SHIFT:
        raise DataError(action, f"the spectral dimension is '{dim}', not {' or '.join(_SHIFT)}")
    return _SHIFT[dim]


def _fit_shift(x: Floats, y: Floats, var: Floats | None) -> tuple[Floats, Floats]:
    """Shift and σ of each row of y against their mean."""
    from scipy.interpolate import CubicSpline

    good = np.isfinite(y)
    count = good.sum(axis=0)
    mean = np.where(good, y, 0.0).sum(axis=0) / np.maximum(count, 1)
    spline = CubicSpline(x[count > 0], mean[count > 0])
    slope = spline.derivative()
    data = np.where(good, y, 0.0)
    weight = good.astype(np.float64)
    if var is not None:
        some = np.where(good, var, 1.0)
        weight = good / np.maximum(some, 1e-12 * float(some.max()) + 1e-300)
    shift = np.zeros(len(y))
    step_limit = 0.1 * float(np.ptp(x))
    cov = np.full((len(y), 3, 3), np.nan)
    solution = np.zeros((len(y), 3))
    usable = good.sum(axis=1) >= 4
    design = np.zeros((*y.shape, 3))
    # a unit per column, so that the normal matrix is well scaled
    height = max(float(np.ptp(mean)), 1e-300)
    for _ in range(_ROUNDS):
        at = x - shift[:, None]
        design[..., 0] = spline(at) / height
        design[..., 1] = 1.0
        design[..., 2] = -slope(at) / height * step_limit
        normal = np.einsum("nij,ni,nik->njk", design, weight, design)
        right = np.einsum("nij,ni->nj", design, weight * data)
        scale = np.trace(normal, axis1=1, axis2=2)
        usable &= (scale > 0) & (np.linalg.cond(normal) < 1e14)
        safe = np.where(usable[:, None, None], normal, np.eye(3))
        cov = np.linalg.inv(safe)
        solution = np.einsum("njk,nk->nj", cov, right)
        seen = usable & (solution[:, 0] > 0)
        change = np.where(seen, solution[:, 2] / np.where(seen, solution[:, 0], 1.0), 0.0)
        change = np.clip(change * step_limit, -step_limit, step_limit)
        shift = np.clip(shift + change, -0.5 * np.ptp(x), 0.5 * np.ptp(x))
        if np.max(np.abs(change), initial=0.0) < 1e-10 * step_limit:
            break
    amplitude = solution[:, 0]
    seen = usable & (amplitude > 0)
    error = np.sqrt(cov[:, 2, 2]) / np.where(seen, amplitude, 1.0) * step_limit
    if var is None:
        residual = data - np.einsum("nij,nj->ni", design, solution)
        dof = np.maximum(good.sum(axis=1) - 3, 1)
        error = error * np.sqrt(np.sum(weight * residual**2, axis=1) / dof)
    # a line that is lost in the noise has a σ as large as the window
    seen &= error < 0.25 * np.ptp(x)
    return np.where(seen, shift, np.nan), np.where(seen, error, np.nan)


def apply_drift(ds: xr.Dataset, drift: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Shift every spectrum back by a measured drift.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts].
    drift : xarray.Dataset or xarray.DataArray
        From :func:`estimate_drift`, of this dataset or of a reference taken with it: its dims are
        among those of ``ds``.

    Returns
    -------
    xarray.Dataset
        ``intensity`` [counts] on the same axis, cubically interpolated; NaN where a spectrum does
        not reach, where a value used is NaN, or where the drift is NaN.

    Raises
    ------
    DataError
        If the drift has another kind of shift, or dims and coordinates that the data lack.

    Notes
    -----
    I(λ) = y(λ + s). The noise model is kept: interpolated values vary less than single ones (down
    to 0.64 of the variance, half way between channels) and neighbours become correlated.

    Examples
    --------
    >>> wavelength = np.linspace(480.0, 500.0, 81)
    >>> y = np.stack([wavelength, wavelength - 0.1])
    >>> axes = {"time": ("time", [0.0, 1.0], {"units": "s"}),
    ...         "wavelength": ("wavelength", wavelength, {"units": "nm"})}
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), y, {"units": "counts"})}, axes)
    >>> shift = xr.Dataset({"wavelength_shift": ("time", [0.0, 0.1], {"units": "nm"})})
    >>> still = apply_drift(ds, shift).intensity
    >>> print(f"{float(still[1, 40] - still[0, 40]):.6f}")
    0.000000
    """
    action = "apply the drift"
    ds, dim = enter(ds, action)
    name = _shift_name(dim, action)
    drift = labelled(drift, "drift", action)
    if isinstance(drift, xr.DataArray):
        drift = drift.to_dataset(name=str(drift.name))
    if name not in drift:
        found = ", ".join(map(str, drift.data_vars)) or "nothing"
        raise DataError(action, f"the drift holds {found}, not '{name}'")
    shift = schema.require_unit(drift[name], name, action)
    da = ds[names.INTENSITY].transpose(..., dim)
    missing = [d for d in shift.dims if d not in da.dims[:-1]]
    if missing:
        raise DataError(
            action, f"the drift runs over {', '.join(map(str, missing))}, which the data do not"
        )
    for d in shift.dims:
        same = shift.sizes[d] == da.sizes[d] and (
            d not in shift.coords or bool(np.all(shift[d].values == da[d].values))
        )
        if not same:
            raise DataError(
                action, f"the drift's '{d}' is not that of the data",
                "Estimate it on the same spectra.",
            )  # fmt: skip
    lead = [d for d in da.dims if d != dim]
    expanded = shift.reset_coords(drop=True).drop_vars(list(shift.coords), errors="ignore")
    full = expanded.broadcast_like(da.isel({dim: 0}, drop=True).drop_vars(lead, errors="ignore"))
    s = full.transpose(*lead).values.astype(np.float64).reshape(-1)
    y = da.values.astype(np.float64).reshape(-1, da.sizes[dim])
    new = _interpolate(da[dim].values.astype(np.float64), y, s).reshape(da.shape)
    return attach_intensity(ds, da.copy(data=new), "apply_drift()")


def _interpolate(x: Floats, y: Floats, shift: Floats) -> Floats:
    """Rows of y at x + shift, by cubics through four channels; NaN outside."""
    n = x.size
    if n < 4:
        return np.where(shift[:, None] == 0.0, y, np.nan)
    wanted = x + shift[:, None]
    position = np.interp(wanted, x, np.arange(n))
    slack = 1e-9 * float(np.ptp(x))
    outside = ~((wanted >= x[0] - slack) & (wanted <= x[-1] + slack))
    first = np.clip(np.floor(np.where(outside, 0.0, position)).astype(np.intp) - 1, 0, n - 4)
    t = position - first  # 1 to 2 inside, 0 to 3 at the ends
    weights = (
        -(t - 1) * (t - 2) * (t - 3) / 6,
        t * (t - 2) * (t - 3) / 2,
        -t * (t - 1) * (t - 3) / 2,
        t * (t - 1) * (t - 2) / 6,
    )
    out = np.zeros_like(y)
    for k, w in enumerate(weights):
        value = np.take_along_axis(y, first + k, axis=1)
        # a channel of no weight does not spread its NaN
        out += np.where(np.abs(w) < 1e-9, 0.0, w * value)
    return np.where(outside, np.nan, out)
