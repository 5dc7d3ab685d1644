"""Calibration of the wavelength axis by lines of lamps and lasers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning
from plkit.names import LINE, WAVELENGTH
from plkit.physics import photons
from plkit.spectra._door import enter
from plkit.spectra.noise import variance

__all__ = ["LAMP_LINES", "calibrate_wavelength", "find_lines"]

Floats = NDArray[np.float64]

LAMP_LINES: Final[dict[str, tuple[float, ...]]] = {
    "Hg": (
        253.652, 296.728, 302.150, 313.155, 334.148, 365.015, 404.657, 435.834, 546.075, 576.961,
        579.067,
    ),
    "Ne": (
        540.056, 585.249, 588.190, 594.483, 603.000, 607.434, 609.616, 614.306, 616.359,
        626.650, 630.479, 633.443, 638.299, 640.225, 650.653, 653.288, 659.895, 667.828,
        671.704, 692.947, 703.241, 717.394, 724.517, 743.890,
    ),
    "Ar": (
        696.543, 706.722, 714.704, 727.294, 738.398, 750.387, 763.511, 794.818, 800.616,
        811.531, 826.452, 842.465, 852.144, 866.794, 912.297, 922.450,
    ),
    "HeNe": (632.816,),
}  # fmt: skip
"""Strong lines without close neighbours of lamps and of the helium–neon laser, in air [nm], NIST."""

_FIT_SIGMA: Final = 5.0
_PER_FWHM: Final = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))


def find_lines(
    ds: xr.Dataset, lines_nm: str | Sequence[float], *, window_nm: float = 2.0
) -> xr.Dataset:
    """Find where known lines appear in the spectrum of a lamp or laser.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts]; other dims are averaged over, NaN is left out.
    lines_nm : str or sequence of float
        Wavelengths in the medium of the axis [nm], or a name in ``LAMP_LINES``: ``"Hg"``, ``"Ne"``,
        ``"Ar"``, ``"HeNe"``, several joined by ``+`` (``"Hg+Ar"``).
    window_nm : float, optional
        How far a line may be from where it belongs [nm].

    Returns
    -------
    xarray.Dataset
        ``line_wavelength`` (line) [nm] and ``line_wavelength_stderr`` over ``line``, the tabulated
        wavelength [nm] in the medium of the axis. NaN where a line is lost in the noise, lies at
        the edge of the window or within a window's width of another one of the list.

    Raises
    ------
    DataError
        If no line lies on the axis, or none is found.

    See Also
    --------
    calibrate_wavelength : corrects the axis with what is found.

    Notes
    -----
    A Gaussian over a constant is fitted in λ ± ``window_nm``, weighted by the noise model, with σ scaled
    by √(reduced χ²) where that exceeds 1. Without gain all channels count alike, and σ comes from the
    residuals themselves, which are larger on the line than beside it.

    References
    ----------
    C. J. Sansonetti et al., Appl. Opt. 35, 74 (1996), doi:10.1364/AO.35.000074 (mercury)
    J. G. MacKinnon, H. White, J. Econom. 29, 305 (1985), doi:10.1016/0304-4076(85)90158-7 (σ)
    A. Kramida et al., NIST Atomic Spectra Database, doi:10.18434/T4W30F (the others)

    Examples
    --------
    >>> wavelength = np.linspace(530.0, 590.0, 601)
    >>> y = sum(1e4 * np.exp(-(((wavelength - at - 0.21) / 0.3) ** 2)) for at in LAMP_LINES["Hg"])
    >>> lamp = xr.Dataset({"intensity": ("wavelength", 10.0 + y, {"units": "counts"})},
    ...                   {"wavelength": ("wavelength", wavelength, {"units": "nm"})})
    >>> found = find_lines(lamp, "Hg", window_nm=1.0)
    >>> print((found.line_wavelength - found.line).values.round(3))
    [0.21 0.21 0.21]
    """
    action = "find lines"
    ds, dim = enter(ds, action)
    if dim != WAVELENGTH:
        raise DataError(action, f"the spectral dimension is '{dim}', not '{WAVELENGTH}'")
    if not window_nm > 0:
        raise DataError(action, f"'window_nm' is {window_nm!r}, not a positive width in nm")
    x = ds[WAVELENGTH].values.astype(np.float64)
    known = _known_lines(ds, lines_nm, action)
    known = known[(known >= x[0]) & (known <= x[-1])]
    if known.size == 0:
        raise DataError(
            action, f"no line lies on the axis, which runs from {x[0]:g} to {x[-1]:g} nm",
            "Pass the wavelengths of lines that do.",
        )  # fmt: skip
    others = [d for d in ds[names.INTENSITY].dims if d != dim]
    y = ds[names.INTENSITY].mean(others).values.astype(np.float64)
    var = None
    if names.NOISE_GAIN in ds:
        each = variance(ds).where(ds[names.INTENSITY].notnull())
        n = each.notnull().sum(others).values
        total = each.sum(others).values.astype(np.float64)
        var = np.where(n > 0, total / np.maximum(n, 1) ** 2, np.nan)
    found = np.full((known.size, 2), np.nan)
    for i, at in enumerate(known):
        inside = (np.abs(x - at) <= window_nm) & np.isfinite(y)
        alone = np.sum(np.abs(known - at) <= window_nm) == 1
        if inside.sum() >= 6 and alone:
            found[i] = _fit_line(x[inside], y[inside], None if var is None else var[inside])
            if not abs(found[i, 0] - at) < window_nm:
                found[i] = np.nan
    if not np.any(np.isfinite(found[:, 0])):
        raise DataError(
            action, f"none of {known.size} lines is seen within {window_nm:g} nm of its place",
            "Widen window_nm, pass fewer lines, or check the axis.",
        )  # fmt: skip
    name = "line_wavelength"
    error = names.stderr_name(name)
    out = xr.Dataset(
        {name: (LINE, found[:, 0], names.attrs(name)), error: (LINE, found[:, 1], names.attrs(error))},
        {LINE: (LINE, known, names.attrs(LINE))},
        dict(ds.attrs),
    )  # fmt: skip
    count = int(np.isfinite(found[:, 0]).sum())
    return schema.add_history(out, f"find_lines(): {count} of {known.size} lines")


def _known_lines(ds: xr.Dataset, lines_nm: str | Sequence[float], action: str) -> Floats:
    """Sorted wavelengths in the medium of the axis."""
    if not isinstance(lines_nm, str):
        values = np.unique(np.asarray(lines_nm, dtype=np.float64))
        if values.size == 0 or not np.all(np.isfinite(values)):
            raise DataError(action, "the wavelengths of the lines are none or NaN, not numbers")
        return values
    lamps = [part.strip() for part in lines_nm.split("+")]
    for lamp in lamps:
        if lamp not in LAMP_LINES:
            raise DataError(
                action, f"the lamp is '{lamp}', not one of {', '.join(LAMP_LINES)}",
                "Pass the wavelengths in nm instead.",
            )  # fmt: skip
    air = np.unique([line for lamp in lamps for line in LAMP_LINES[lamp]])
    vacuum = ds[WAVELENGTH].attrs.get("medium") == "vacuum"
    return photons.vacuum_from_air(air) if vacuum else air


def _fit_line(x: Floats, y: Floats, var: Floats | None) -> tuple[float, float]:
    """Centre and σ of a Gaussian over a constant; NaN where there is none."""
    from scipy.optimize import least_squares

    top = int(np.argmax(y))
    level, height = float(np.median(y)), float(y[top] - np.median(y))
    step = float(np.median(np.diff(x)))
    if not height > 0:
        return np.nan, np.nan
    weight = np.ones_like(y) if var is None else 1.0 / np.sqrt(np.maximum(var, 1e-12 * var.max()))
    above = max(int(np.sum(y - level > 0.5 * height)), 1)
    unit = np.array([height, step, step, height])  # of height, centre, width and level

    def residual(p: Floats) -> Floats:
        a, c, s, b = p * unit
        return np.asarray(weight * (a * np.exp(-0.5 * ((x - c) / s) ** 2) + b - y))

    start = np.array([height, x[top], above * step / _PER_FWHM + 0.2 * step, level]) / unit
    fit = least_squares(residual, start, method="lm", x_scale="jac", max_nfev=400)
    slopes = np.asarray(fit.jac)
    normal = slopes.T @ slopes
    if not np.all(np.isfinite(normal)) or np.linalg.cond(normal) > 1e14:
        return np.nan, np.nan
    cov = np.linalg.inv(normal)
    if var is not None:
        cov = cov * max(2.0 * float(fit.cost) / max(x.size - 4, 1), 1.0)
    else:
        lever = np.einsum("ij,jk,ik->i", slopes, cov, slopes)
        part = slopes * (fit.fun / np.maximum(1.0 - lever, 0.1))[:, None]
        cov = cov @ (part.T @ part) @ cov
    a, c, s, _ = fit.x * unit
    a_error, c_error = np.sqrt(cov[0, 0]) * unit[0], np.sqrt(cov[1, 1]) * unit[1]
    wide = abs(s) > 0.5 * float(np.ptp(x))
    if not fit.success or a < _FIT_SIGMA * a_error or wide:
        return np.nan, np.nan
    return float(c), float(c_error)


def calibrate_wavelength(
    ds: xr.Dataset,
    measured_nm: ArrayLike,
    true_nm: ArrayLike,
    *,
    stderr_nm: ArrayLike | None = None,
    degree: int = 1,
) -> xr.Dataset:
    """Correct the wavelength axis from lines of a lamp or laser.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, wavelength) [counts].
    measured_nm : array_like
        Where the lines appear on the axis (line) [nm], for instance from :func:`find_lines`; lines
        that were not found (NaN) are left out.
    true_nm : array_like
        Where they belong (line) [nm], in the medium of the axis.
    stderr_nm : array_like, optional
        σ of where they appear (line) [nm], as weights. By default all count alike.
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
    √(p(λ)ᵀ C p(λ)) with the covariance C of the coefficients, scaled by the scatter of the lines
    (and with ``stderr_nm`` not below what follows from these); it grows where the axis leaves the
    lines. It is common to all spectra. Intensities are left as
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
    sigma = np.ones_like(found)
    if stderr_nm is not None:
        sigma = np.atleast_1d(np.asarray(stderr_nm, dtype=np.float64))
        if sigma.shape != found.shape:
            raise DataError(action, f"there are {sigma.size} σ of lines, not {found.size}")
    seen = np.isfinite(found)
    found, true, sigma = found[seen], true[seen], sigma[seen]
    if not (np.all(np.isfinite(true)) and np.all(np.isfinite(sigma)) and np.all(sigma > 0)):
        raise DataError(
            action, "a true wavelength is NaN, or a σ is not positive, not numbers in nm"
        )
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
    weighted = design / sigma[:, None]
    coefficients, *_ = np.linalg.lstsq(weighted, (true - found) / sigma, rcond=None)
    residual = true - found - design @ coefficients
    dof = found.size - degree - 1
    if dof == 0 and stderr_nm is None:
        warnings.warn(
            f"{found.size} lines just fix a correction of degree {degree}: its error is not known.",
            PlkitWarning,
            stacklevel=2,
        )
    scatter2 = float(np.sum((residual / sigma) ** 2)) / dof if dof else np.nan
    if stderr_nm is not None:
        scatter2 = float(np.fmax(scatter2, 1.0))
    cov = np.linalg.inv(weighted.T @ weighted) * scatter2
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
