"""Less data: crop and bin."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning
from plkit.spectra._door import enter, noise_terms, saturation_level

__all__ = ["bin_spectra", "crop"]


def crop(ds: xr.Dataset, **ranges: tuple[float | None, float | None]) -> xr.Dataset:
    """Keep a range of one or more axes.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts].
    **ranges
        ``wavelength=(500, 700)`` [nm], ``energy=(1.7, 2.5)`` [eV], ``time=(0, None)`` [s], ``x``,
        ``y`` [µm], …; both ends belong to the range, None leaves an end open.

    Returns
    -------
    xarray.Dataset
        The part of ``ds`` inside.

    Raises
    ------
    DataError
        If an axis is not there, or nothing lies inside.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0, 2.0, 3.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [500.0, 600.0, 700.0], {"units": "nm"})})
    >>> crop(ds, wavelength=(550, 700)).wavelength.values.tolist()
    [600.0, 700.0]
    """
    action = "crop"
    ds, _ = enter(ds, action)
    told = []
    for dim, limits in ranges.items():
        if dim not in ds.dims or dim not in ds.coords:
            found = ", ".join(map(str, ds.dims))
            raise DataError(action, f"the axes are {found}, not '{dim}'")
        try:
            low, high = (np.nan if v is None else float(v) for v in limits)
        except (TypeError, ValueError):
            raise DataError(
                action, f"{dim}={limits!r} is not a pair (low, high) of numbers or None"
            ) from None
        if low > high:
            low, high = high, low
        values = ds[dim].values
        if values.dtype.kind not in "iuf":
            raise DataError(action, f"axis '{dim}' holds {values.dtype}, not numbers")
        inside = ~((values < low) | (values > high))
        if not inside.any():
            raise DataError(
                action,
                f"'{dim}' runs from {values.min():g} to {values.max():g} {names.unit(dim)},"
                f" not within {limits[0]} to {limits[1]}",
            )
        ds = ds.isel({dim: np.flatnonzero(inside)})
        told.append(f"{dim}=({limits[0]}, {limits[1]})")
    return schema.add_history(ds, f"crop({', '.join(told)})")


def bin_spectra(ds: xr.Dataset, **factors: int) -> xr.Dataset:
    """Sum neighbouring values into bins.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts].
    **factors : int
        Values per bin and dimension: ``wavelength=2, time=5, y=2, x=2``.

    Returns
    -------
    xarray.Dataset
        Counts are summed, coordinates and other variables averaged, masks kept where any value was
        masked. A bin that holds a NaN is NaN: a sum over fewer values would be too small.

    Raises
    ------
    DataError
        If a dimension is not there or a factor is not a whole number from 1 to its size.

    Warns
    -----
    PlkitWarning
        If a dimension cannot be divided: the values left over at its end are dropped.

    Notes
    -----
    The variance of a sum of n values is gain · (sum of expected) + n · floor: the gain stays, the
    floor is summed. ``exposure_time`` is summed over times.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0, 2.0, 3.0, 4.0], {"units": "counts"}),
    ...                  "noise_gain": ((), 1.0, {"units": "counts"}),
    ...                  "noise_floor": ((), 9.0, {"units": "counts^2"})},
    ...                 {"wavelength": ("wavelength", [500.0, 501.0, 502.0, 503.0], {"units": "nm"})})
    >>> binned = bin_spectra(ds, wavelength=2)
    >>> binned.intensity.values.tolist(), binned.wavelength.values.tolist(), float(binned.noise_floor)
    ([3.0, 7.0], [500.5, 502.5], 18.0)
    """
    action = "bin"
    ds, spectral = enter(ds, action)
    whole: dict[str, int] = {}
    for dim, factor in factors.items():
        if dim not in ds[names.INTENSITY].dims:
            found = ", ".join(map(str, ds[names.INTENSITY].dims))
            raise DataError(action, f"the data has dims {found}, not '{dim}'")
        n = ds.sizes[dim]
        if int(factor) != factor or not 1 <= factor <= n:
            raise DataError(action, f"{dim}={factor!r} is not a whole number from 1 to {n}")
        left = n % int(factor)
        if left:
            warnings.warn(
                f"{n} values along '{dim}' cannot be divided by {factor}: the last {left} are"
                " dropped.",
                PlkitWarning,
                stacklevel=2,
            )
            ds = ds.isel({dim: slice(0, n - left)})
        whole[dim] = int(factor)
    summed = int(np.prod(list(whole.values()), dtype=np.int64))
    apart = summed // whole.get(spectral, 1)
    out = ds.drop_vars(list(ds.data_vars))
    if whole:
        # labels cannot be averaged: the first of each bin stands for it
        how = {k: "mean" if c.dtype.kind in "iufb" else _first for k, c in out.coords.items()}
        out = out.coarsen(dict(whole), coord_func=how).mean()
    new: dict[Any, xr.DataArray] = {}
    for name, da in ds.data_vars.items():
        mine = {d: f for d, f in whole.items() if d in da.dims}
        bare = da.drop_vars(list(da.coords))
        new[name] = _bin_one(str(name), bare, mine, whole).assign_attrs(da.attrs)
    out = out.assign(new)
    terms = noise_terms(ds)
    if terms is not None:
        floor = terms[1].drop_vars(list(terms[1].coords))
        if spectral in floor.dims and spectral in whole:
            floor = floor.coarsen({spectral: whole[spectral]}).sum() * apart
        else:
            floor = floor * summed
        out[names.NOISE_FLOOR] = floor.assign_attrs(names.attrs(names.NOISE_FLOOR))
    level = saturation_level(ds)
    if level is not None:
        out["saturation_level"] = xr.DataArray(
            level * summed, attrs=names.attrs("saturation_level")
        )
    told = ", ".join(f"{d}={f}" for d, f in whole.items())
    return schema.add_history(out, f"bin_spectra({told})")


def _first(values: Any, axis: int | tuple[int, ...]) -> Any:
    """First value along the axes of the bins."""
    for a in sorted(np.atleast_1d(axis), reverse=True):
        values = np.take(values, 0, axis=a)
    return values


def _bin_one(
    name: str, da: xr.DataArray, mine: dict[str, int], whole: dict[str, int]
) -> xr.DataArray:
    """One variable in bins."""
    if name == "exposure_time" and names.TIME not in da.dims and names.TIME in whole:
        return da * whole[names.TIME]
    if not mine:
        return da
    blocks = da.coarsen(dict(mine))
    if name == "spike_mask":
        return blocks.max()
    if name == names.INTENSITY:
        return blocks.reduce(np.sum)  # a NaN in a bin stays a NaN
    if name == "exposure_time" and names.TIME in mine:
        return blocks.sum()
    if da.dtype.kind not in "iufb":
        return da.isel({d: slice(None, None, f) for d, f in mine.items()})
    return blocks.mean()
