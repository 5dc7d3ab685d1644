"""The spectral axis: wavelength, energy and Raman shift, air and vacuum."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import DataError
from plkit.names import ENERGY, RAMAN_SHIFT, WAVELENGTH
from plkit.physics import photons
from plkit.spectra._door import attach_intensity, drop_saturation, enter, require_number

__all__ = ["raman_to_wavelength", "to_air", "to_energy", "to_vacuum", "to_wavelength"]

_DENSITY = "counted_per"
_MEDIUM = "medium"


def to_energy(ds: xr.Dataset, *, medium: photons.Medium | None = None) -> xr.Dataset:
    """Convert spectra from wavelength to photon energy, with the Jacobian.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts].
    medium : {"air", "vacuum"}, optional
        Where the wavelengths were measured; by default what ``wavelength.attrs["medium"]`` says,
        or air.

    Returns
    -------
    xarray.Dataset
        On ``energy`` [eV, vacuum], ascending; ``intensity`` [counts] per interval of energy.

    Raises
    ------
    DataError
        If the data were converted before, or wavelengths below 185 nm are said to be in air.

    See Also
    --------
    to_wavelength : the inverse.

    Notes
    -----
    I(E) = I(λ)/J, J = ``|dE/dλ|`` over its value at 2 eV, so that both are counts and agree at 2 eV.
    Gain, and every variable in counts along the axis, are divided by J, the floor by J². The
    maximum moves: of a Gaussian of 80 meV at 2 eV, the maximum per nm lies 1.2 meV (0.36 nm) to
    the blue of that per eV.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [100.0, 100.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [500.0, 619.9], {"units": "nm"})})
    >>> converted = to_energy(ds, medium="vacuum")
    >>> converted.energy.values.round(4).tolist(), converted.intensity.values.round(2).tolist()
    ([2.0001, 2.4797], [99.99, 65.05])
    """
    action = "convert to energy"
    ds, dim = enter(ds, action)
    _refuse(ds, dim, WAVELENGTH, action)
    said = ds[WAVELENGTH].attrs.get(_MEDIUM)
    chosen: photons.Medium = medium or ("vacuum" if said == "vacuum" else "air")
    wavelength = ds[WAVELENGTH].values.astype(np.float64)
    _check_range(wavelength, chosen, action)
    energy = photons.energy_from_wavelength(wavelength, chosen)
    factor = 1.0 / photons.relative_bandwidth(wavelength, chosen)
    axis = xr.DataArray(energy, dims=WAVELENGTH, attrs={**names.attrs(ENERGY), _MEDIUM: chosen})
    return _convert(ds, WAVELENGTH, ENERGY, axis, factor, f"to_energy(medium='{chosen}')")


def to_wavelength(ds: xr.Dataset, *, medium: photons.Medium | None = None) -> xr.Dataset:
    """Convert spectra from photon energy to wavelength, with the Jacobian.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, energy) [counts].
    medium : {"air", "vacuum"}, optional
        Where the wavelengths are wanted; by default where they were before ``to_energy``, or air.

    Returns
    -------
    xarray.Dataset
        On ``wavelength`` [nm], ascending; ``intensity`` [counts] per interval of wavelength.

    Raises
    ------
    DataError
        If the data are per interval of wavelength already.

    See Also
    --------
    to_energy : the inverse.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [3.0, 5.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [500.0, 620.0], {"units": "nm"})})
    >>> to_wavelength(to_energy(ds)).intensity.values.round(12).tolist()
    [3.0, 5.0]
    """
    action = "convert to wavelength"
    ds, dim = enter(ds, action)
    _refuse(ds, dim, ENERGY, action)
    said = ds[ENERGY].attrs.get(_MEDIUM)
    chosen: photons.Medium = medium or ("vacuum" if said == "vacuum" else "air")
    energy = ds[ENERGY].values.astype(np.float64)
    if not np.all(energy > 0):
        raise DataError(action, f"energies start at {energy.min():g} eV, not above 0")
    wavelength = photons.wavelength_from_energy(energy, chosen)
    _check_range(wavelength, chosen, action)
    factor = photons.relative_bandwidth(wavelength, chosen)
    axis = xr.DataArray(wavelength, dims=ENERGY, attrs={**names.attrs(WAVELENGTH), _MEDIUM: chosen})
    return _convert(ds, ENERGY, WAVELENGTH, axis, factor, f"to_wavelength(medium='{chosen}')")


def raman_to_wavelength(ds: xr.Dataset, *, laser_nm: float) -> xr.Dataset:
    """Put luminescence that a Raman microscope recorded over Raman shift on a wavelength axis.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, raman_shift) [counts].
    laser_nm : float
        Wavelength of the laser in air [nm].

    Returns
    -------
    xarray.Dataset
        On ``wavelength`` [nm, air], ascending; ``intensity`` [counts] as it was.

    Raises
    ------
    DataError
        If there is no Raman shift, the laser is no positive number, or a shift lies beyond the
        laser's own wavenumber.

    Notes
    -----
    1/λ = 1/λ_laser − Δν, both in vacuum. No Jacobian: the counts are those of the detector's
    channels before and after, and the channels only get another name.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("raman_shift", [3.0, 5.0], {"units": "counts"})},
    ...                 {"raman_shift": ("raman_shift", [520.5, 3000.0], {"units": "1/cm"})})
    >>> raman_to_wavelength(ds, laser_nm=532.0).wavelength.values.round(2).tolist()
    [547.16, 633.07]
    """
    action = "convert Raman shift to wavelength"
    ds, dim = enter(ds, action)
    if dim != RAMAN_SHIFT:
        raise DataError(action, f"the spectral dimension is '{dim}', not '{RAMAN_SHIFT}'")
    laser_nm = require_number(laser_nm, "laser_nm", action)
    if laser_nm < photons.AIR_RANGE_NM[0]:
        raise DataError(action, f"'laser_nm' is {laser_nm:g}, not a wavelength in air, in nm")
    shift = ds[RAMAN_SHIFT].values.astype(np.float64)
    end = 1e7 / float(photons.vacuum_from_air(laser_nm))
    if not np.all(shift < end):
        raise DataError(
            action,
            f"the Raman shift reaches {shift.max():g} 1/cm, beyond the {end:.0f} 1/cm of a laser of {laser_nm:g} nm",
            "State the wavelength of the laser that was used.",
        )
    found = photons.wavelength_from_raman_shift(shift, laser_nm)
    axis = xr.DataArray(found, dims=RAMAN_SHIFT, attrs={**names.attrs(WAVELENGTH), _MEDIUM: "air"})
    out = ds.assign_coords({WAVELENGTH: axis}).swap_dims({RAMAN_SHIFT: WAVELENGTH})
    out = schema.conform(out.drop_vars(RAMAN_SHIFT))
    step = f"raman_to_wavelength(laser_nm={laser_nm:g})"
    return attach_intensity(out, out[names.INTENSITY], step)


def _refuse(ds: xr.Dataset, dim: str, wanted: str, action: str) -> None:
    """Raise where the axis or the record of an earlier conversion says no."""
    target = ENERGY if wanted == WAVELENGTH else WAVELENGTH
    if dim == target or ds[names.INTENSITY].attrs.get(_DENSITY) == target:
        raise DataError(
            action,
            f"the intensity is per interval of {target} already, not of {wanted}",
            "Convert once only.",
        )
    if dim != wanted:
        hint = "Call plkit.spectra.raman_to_wavelength first." if dim == RAMAN_SHIFT else ""
        raise DataError(action, f"the spectral dimension is '{dim}', not '{wanted}'", hint)


def _check_range(wavelength: Any, medium: str, action: str) -> None:
    if not np.all(wavelength > 0):
        raise DataError(action, f"wavelengths start at {wavelength.min():g} nm, not above 0")
    if medium == "air" and wavelength.min() < photons.AIR_RANGE_NM[0]:
        raise DataError(
            action,
            f"wavelengths start at {wavelength.min():g} nm, not above 185 nm as light in air does",
            'Pass medium="vacuum".',
        )


def _convert(
    ds: xr.Dataset, old: str, new: str, axis: xr.DataArray, factor: Any, step: str
) -> xr.Dataset:
    """Exchange the axis, multiply counts by the factor and their squares by its square."""
    scale = xr.DataArray(factor, dims=old)
    ds = drop_saturation(ds, step, stacklevel=4)
    out = ds
    noise = (names.NOISE_GAIN, names.NOISE_FLOOR)
    for name, da in ds.data_vars.items():
        if name != names.INTENSITY and name not in noise and old not in da.dims:
            continue
        power = {"counts": 1, "counts^2": 2}.get(str(da.attrs.get("units")))
        if name in (names.INTENSITY, names.NOISE_GAIN):
            power = 1
        if name == names.NOISE_FLOOR:
            power = 2
        if power is not None:
            out = out.assign({name: (da * scale**power).assign_attrs(da.attrs)})
    out = out.assign_coords({new: axis}).swap_dims({old: new}).drop_vars(old)
    out = out.isel({new: slice(None, None, -1)})
    out = out.assign({names.INTENSITY: out[names.INTENSITY].assign_attrs({_DENSITY: new})})
    return attach_intensity(out, out[names.INTENSITY], step)


def to_vacuum(ds: xr.Dataset) -> xr.Dataset:
    """Give wavelengths that were measured in air as they are in vacuum.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts]; ``wavelength`` [nm] in air, as spectrometers
        give it.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``wavelength`` [nm] in vacuum, some 0.03 % longer, and said so in its attribute
        ``medium``, which ``to_energy`` and ``to_air`` heed. A ``wavelength_stderr`` is kept.

    Raises
    ------
    DataError
        If the axis says that it is in vacuum, or wavelengths lie below 185 nm.

    Notes
    -----
    λ_vacuum = n λ_air. Each channel keeps its counts and its noise: n changes by so little over an
    axis that the widths of channels change alike within 1e-5.

    References
    ----------
    P. E. Ciddor, Appl. Opt. 35, 1566 (1996), doi:10.1364/AO.35.001566

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [632.816], {"units": "nm"})})  # HeNe laser
    >>> print(to_vacuum(ds).wavelength.values.round(3))
    [632.991]
    """
    return _in_medium(ds, "vacuum", "give wavelengths in vacuum")


def to_air(ds: xr.Dataset) -> xr.Dataset:
    """Give wavelengths in vacuum as they are in air, where spectrometers measure them.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts]; ``wavelength`` [nm] with the attribute
        ``medium`` ``"vacuum"``.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``wavelength`` [nm] in air.

    Raises
    ------
    DataError
        If the axis does not say that it is in vacuum.

    See Also
    --------
    to_vacuum : the inverse.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [632.816], {"units": "nm"})})
    >>> print(to_air(to_vacuum(ds)).wavelength.values.round(6))
    [632.816]
    """
    return _in_medium(ds, "air", "give wavelengths in air")


def _in_medium(ds: xr.Dataset, medium: photons.Medium, action: str) -> xr.Dataset:
    ds, dim = enter(ds, action)
    if dim != WAVELENGTH:
        raise DataError(action, f"the spectral dimension is '{dim}', not '{WAVELENGTH}'")
    said = ds[WAVELENGTH].attrs.get(_MEDIUM, "air")
    if said == medium:
        remedy = (
            "Convert once only." if medium == "vacuum"
            else 'If they are in vacuum, say so: ds["wavelength"].attrs["medium"] = "vacuum".'
        )  # fmt: skip
        raise DataError(action, f"the axis holds wavelengths in {said} already", remedy)
    old = ds[WAVELENGTH].values.astype(np.float64)
    _check_range(old, "air", action)
    new = photons.vacuum_from_air(old) if medium == "vacuum" else photons.air_from_vacuum(old)
    axis = xr.DataArray(new, dims=WAVELENGTH, attrs={**ds[WAVELENGTH].attrs, _MEDIUM: medium})
    return schema.add_history(ds.assign_coords({WAVELENGTH: axis}), f"to_{medium}()")
