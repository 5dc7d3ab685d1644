"""Exciton energy from absorbance."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.names import ENERGY, WAVELENGTH
from plkit.physics import photons

__all__ = ["second_derivative_energy"]

Floats = NDArray[np.float64]

_ABSORBANCE: Final = "absorbance"
# A minimum belongs to the first exciton if it is at least so deep as this part of the deepest.
_DEEP: Final = 0.5
_ORDER: Final = 3


def second_derivative_energy(
    ds: xr.Dataset, *, window: tuple[float, float] | None = None, smooth_ev: float = 0.06
) -> xr.Dataset:
    """First exciton from the minimum of the second derivative of the absorbance.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``absorbance`` (…, wavelength) or (…, energy) [1]. No Jacobian: it is no density.
    window : (low, high), optional
        Range of the data's own axis [nm or eV] in which to look.
    smooth_ev : float, optional
        Length of the Savitzky–Golay filter [eV]: about the width of the exciton's line.

    Returns
    -------
    xarray.Dataset
        ``exciton_energy`` (…) [eV] and ``exciton_energy_stderr``; NaN where no minimum is found or
        a value is NaN.

    Raises
    ------
    DataError
        If there is no ``absorbance``, or the filter holds fewer than 5 channels.

    Notes
    -----
    The absorbance is laid on equidistant energies; a cubic is fitted in a running window
    (Savitzky–Golay), and the minimum of its second derivative taken as the vertex of a parabola
    through a quarter of that window. Where several minima are at least half as deep as the
    deepest, the one at the lowest energy is the first exciton. σ is propagated through these
    linear steps from the noise of the absorbance around the minimum, as its third differences
    show it. The minimum of the second derivative is the centre of a symmetric line; a slope of
    the absorption edge does not move it, a step does, to higher energy.

    References
    ----------
    A. Savitzky, M. J. E. Golay, Anal. Chem. 36, 1627 (1964), doi:10.1021/ac60214a047

    Examples
    --------
    >>> energy = np.linspace(2.0, 2.8, 401)
    >>> a = np.exp(-4 * np.log(2) * ((energy - 2.3) / 0.08) ** 2) + 2.0 * (energy - 2.0)
    >>> ds = xr.Dataset({"absorbance": ("energy", a)}, {"energy": ("energy", energy, {"units": "eV"})})
    >>> print(f"{float(second_derivative_energy(ds).exciton_energy):.4f}")
    2.3000
    """
    action = "find the exciton"
    if _ABSORBANCE not in ds:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        raise DataError(action, f"the dataset holds {found}, not '{_ABSORBANCE}'")
    dim = schema.spectral_dim(ds[_ABSORBANCE], action)
    if dim not in (WAVELENGTH, ENERGY) or dim not in ds.coords:
        raise DataError(
            action, f"the spectral dimension is '{dim}', not '{WAVELENGTH}' or '{ENERGY}' in eV"
        )
    ds = schema.conform(ds, _ABSORBANCE)
    axis = schema.require_unit(ds[dim], dim, action)
    da = ds[_ABSORBANCE].transpose(..., dim)
    if window is not None:
        low, high = min(window), max(window)
        inside = np.flatnonzero((axis.values >= low) & (axis.values <= high))
        axis, da = axis.isel({dim: inside}), da.isel({dim: inside})
    medium: photons.Medium = "vacuum" if axis.attrs.get("medium") == "vacuum" else "air"
    x = axis.values.astype(np.float64)
    energy = photons.energy_from_wavelength(x, medium) if dim == WAVELENGTH else x
    order = np.argsort(energy)
    energy = energy[order]
    y = da.values.astype(np.float64).reshape(-1, x.size)[:, order]
    step = float(np.median(np.diff(energy))) if energy.size > 1 else np.inf
    half = round(0.5 * smooth_ev / step) if np.isfinite(step) else 0
    if half < 2 or 2 * half + 1 > energy.size:
        raise DataError(
            action,
            f"smooth_ev={smooth_ev:g} spans {2 * half + 1} of {energy.size} channels of"
            f" {1e3 * step:.3g} meV, not at least 5 and at most all",
        )
    grid = np.arange(energy[0], energy[-1] + 1e-9 * step, step)
    pairs = np.array([_minimum(grid, np.interp(grid, energy, row), half) for row in y])
    value, error = (pairs[:, i].reshape(da.shape[:-1]) for i in (0, 1))
    out = xr.Dataset(coords={k: v for k, v in da.coords.items() if dim not in v.dims})
    name = "exciton_energy"
    for key, part in ((name, value), (names.stderr_name(name), error)):
        out[key] = xr.DataArray(part, dims=da.dims[:-1], attrs=names.attrs(key))
    out.attrs = dict(ds.attrs)
    return schema.add_history(out, f"second_derivative_energy(smooth_ev={smooth_ev:g})")


def _minimum(grid: Floats, a: Floats, half: int) -> tuple[float, float]:
    """Energy of the first deep minimum of the second derivative, and its σ [eV]."""
    from scipy.signal import savgol_coeffs

    if not np.all(np.isfinite(a)):
        return np.nan, np.nan
    step = grid[1] - grid[0]
    kernel = savgol_coeffs(2 * half + 1, _ORDER, deriv=2, delta=step, use="dot")
    curved = np.convolve(a, kernel[::-1], mode="valid")
    n = curved.size
    reach = max(2, half // 4)
    if n < 2 * reach + 1:
        return np.nan, np.nan
    lowest = np.array([curved[max(0, i - reach) : i + reach + 1].min() for i in range(n)])
    is_minimum = (curved == lowest) & (curved < 0) & (curved <= _DEEP * curved.min())
    is_minimum[:reach] = is_minimum[n - reach :] = False
    where = np.flatnonzero(is_minimum)
    if where.size == 0:
        return np.nan, np.nan
    centre = int(where[0])
    t = np.arange(-reach, reach + 1)
    hat = np.linalg.pinv(np.vander(t, 3))
    quadratic, linear, _ = hat @ curved[centre - reach : centre + reach + 1]
    if not quadratic > 0 or abs(linear / (2 * quadratic)) > reach + 1:
        return np.nan, np.nan
    vertex = -linear / (2.0 * quadratic)
    # vertex = -l/(2q): derivative by the second derivatives, then by the absorbances
    by_curved = -hat[1] / (2.0 * quadratic) + linear * hat[0] / (2.0 * quadratic**2)
    by_a = np.convolve(by_curved, kernel, mode="full")
    near = a[max(0, centre - half) : centre + 3 * half + 1]
    noise2 = float(np.mean(np.diff(near, 3) ** 2)) / 20.0
    energy = grid[centre + half] + vertex * step
    return float(energy), float(step * np.sqrt(noise2 * np.sum(by_a**2)))
