"""The spectral axis: wavelength and energy, calibration."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning
from plkit.names import ENERGY, WAVELENGTH
from plkit.physics import photons
from plkit.spectra._door import attach_intensity, drop_saturation, enter

__all__ = ["calibrate_wavelength", "to_energy", "to_wavelength"]

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
        raise DataError(action, f"the spectral dimension is '{dim}', not '{wanted}'")


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


def calibrate_wavelength(
    ds: xr.Dataset, measured_nm: ArrayLike, true_nm: ArrayLike, *, degree: int = 1
) -> xr.Dataset:
    """Correct the wavelength axis from lines of a lamp or laser.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts].
    measured_nm : array_like
        Where the lines appear on the axis (line) [nm].
    true_nm : array_like
        Where they belong (line) [nm], in the medium of the axis.
    degree : int, optional
        Degree of the correction: 0 shifts, 1 also stretches.

    Returns
    -------
    xarray.Dataset
        ``ds`` on the corrected axis, with ``wavelength_stderr`` (wavelength) [nm].

    Raises
    ------
    DataError
        If there are not more lines than ``degree``, or the corrected axis would not ascend.

    Warns
    -----
    PlkitWarning
        If there are just enough lines, so that nothing is known about the error.

    Notes
    -----
    true − measured is fitted by a polynomial in the measured wavelength. σ of the axis is
    √(p(λ)ᵀ C p(λ)) with the covariance C of the coefficients, scaled by the scatter of the lines;
    it grows where the axis leaves the lines. It is common to all spectra. Intensities are left as
    they are: a stretch of 1e-4 changes them by as much.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", [1.0, 2.0], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [500.0, 600.0], {"units": "nm"})})
    >>> calibrate_wavelength(ds, [500, 550, 600], [500.2, 550.3, 600.4]).wavelength.values.tolist()
    [500.2, 600.4]
    """
    action = "calibrate the wavelength"
    ds, dim = enter(ds, action)
    if dim != WAVELENGTH:
        raise DataError(action, f"the spectral dimension is '{dim}', not '{WAVELENGTH}'")
    found = np.atleast_1d(np.asarray(measured_nm, dtype=np.float64))
    true = np.atleast_1d(np.asarray(true_nm, dtype=np.float64))
    if found.shape != true.shape or found.ndim != 1:
        raise DataError(action, f"there are {found.size} measured lines, not {true.size}")
    if not (np.all(np.isfinite(found)) and np.all(np.isfinite(true))):
        raise DataError(action, "a line is NaN, not a number in nm")
    if degree < 0 or np.unique(found).size <= degree:
        raise DataError(
            action,
            f"{np.unique(found).size} lines do not fix a correction of degree {degree},"
            f" not at least {degree + 1}",
            "Add lines, or lower the degree.",
        )
    # centred and scaled, so that the powers stay of one size
    centre, span = found.mean(), max(float(np.ptp(found)), 1.0)
    axis = ds[WAVELENGTH].values.astype(np.float64)
    design = np.vander((found - centre) / span, degree + 1)
    on_axis = np.vander((axis - centre) / span, degree + 1)
    coefficients, *_ = np.linalg.lstsq(design, true - found, rcond=None)
    residual = true - found - design @ coefficients
    dof = found.size - degree - 1
    if dof == 0:
        warnings.warn(
            f"{found.size} lines just fix a correction of degree {degree}: its error is not known.",
            PlkitWarning,
            stacklevel=2,
        )
    scatter2 = float(residual @ residual) / dof if dof else np.nan
    cov = np.linalg.inv(design.T @ design) * scatter2
    error = np.sqrt(np.einsum("ij,jk,ik->i", on_axis, cov, on_axis))
    corrected = axis + on_axis @ coefficients
    if np.any(np.diff(corrected) <= 0):
        raise DataError(
            action, "the corrected axis does not ascend, not one order of channels",
            "Check the pairs of lines, or lower the degree.",
        )  # fmt: skip
    coordinate = xr.DataArray(corrected, dims=dim, attrs=ds[WAVELENGTH].attrs)
    name = names.stderr_name(WAVELENGTH)
    out = ds.assign_coords({WAVELENGTH: coordinate}).assign(
        {name: xr.DataArray(error, dims=dim, attrs=names.attrs(name))}
    )
    rms = float(np.sqrt(np.mean(residual**2)))
    shift = float(np.mean(true - found))
    step = f"calibrate_wavelength(degree={degree}): {found.size} lines, mean {shift:+.4g} nm, rms {rms:.2g} nm"
    return schema.add_history(out, step)
