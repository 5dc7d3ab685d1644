"""Diffusion coefficients from the widths of halos: Fick's profile on a map, a cut, a radial mean."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.diffusion.engine import Axis
from plkit.diffusion.single import PARAMETERS, Geometry, Profile, Request, fit_one
from plkit.diffusion.times import diffusion_time
from plkit.errors import DataError
from plkit.fit.status import status_attrs
from plkit.names import COVARIANCE, FIT_STATUS, PARAM_I, PARAM_J, X, Y
from plkit.physics.fick import UM2_PER_M2, diffusion_from_sigma
from plkit.schema import add_history, require_dims, require_unit

__all__ = ["Geometry", "axis_of", "fit_fick_profile", "pixel_sigma"]

Array = NDArray[np.float64]

_ACTION: Final = "fit a Fick profile"
_SURPRISING: Final = 0.003
"""Probability below which a test speaks against a Gaussian: three σ."""


def fit_fick_profile(
    fraction: xr.DataArray | xr.Dataset,
    *,
    stderr: xr.DataArray | ArrayLike | None = None,
    rate: xr.Dataset | xr.DataArray | float | None = None,
    rate_stderr: xr.DataArray | ArrayLike | None = None,
    time_s: xr.DataArray | ArrayLike | None = None,
    geometry: Geometry = "map",
    initial_sigma_um: float = 0.0,
    centre_um: tuple[float, float] | None = None,
) -> xr.Dataset:
    """Fit Fick's profile to maps or cuts and turn its width into a diffusion coefficient.

    Parameters
    ----------
    fraction : DataArray or Dataset
        Emission fraction (…, y, x), or (…, x) for a cut [1], on evenly spaced x and y [um]; any
        other dims number the profiles. A Dataset of ``unmix`` with one component selected brings
        its ``fraction_stderr`` along. NaN pixels are left out.
    stderr : DataArray or array_like, optional
        σ of each pixel, of the shape of ``fraction`` or a scalar [1].
    rate : Dataset, DataArray or float, optional
        Dataset of ``fit_kinetics`` (its ``mean_rate`` and σ), or the mean rate ⟨k⟩ [1/s], matched
        to the profiles by coordinate values (``power``); the diffusion time is 1/⟨k⟩.
    rate_stderr : DataArray or array_like, optional
        σ of the rate [1/s], where ``rate`` is no Dataset.
    time_s : DataArray or array_like, optional
        Diffusion time [s], such as a lifetime, instead of ``rate``.
    geometry : {"map", "cut", "radial"}, optional
        Fit every pixel of the map; or the mean over the rows within one σ of the centre, against x
        (its amplitude is that of the mean); or the azimuthal mean about the fitted centre, in rings
        of one pixel.
    initial_sigma_um : float, optional
        Standard deviation σ0 of the profile at t = 0; half the 1/e² radius w0 of a laser spot [um].
    centre_um : tuple of float, optional
        Centre (x0, y0), where it is known; fitted otherwise [um].

    Returns
    -------
    Dataset
        Over the other dims: ``diffusion_coefficient`` with σ and its parts ``…_stderr_profile`` and
        ``…_stderr_time`` [m^2/s]; ``profile_sigma`` with σ [um]; ``profile_amplitude``, ``offset``
        with σ [1]; ``centre_x``, ``centre_y`` with σ [um] (NaN σ where it was given);
        ``diffusion_time`` with σ [s]; ``profile_sigma_start`` [um]; ``covariance`` of the five
        profile parameters; ``chisqr``, ``redchi``; ``runs_test_p`` and ``radial_p``, the
        probabilities of such residuals against radius (along x for a cut), were the profile
        Gaussian; ``gaussian`` (int8), 1 where neither is below 0.003; ``fit_status``. The attribute
        ``profile`` says in words whether the profiles are Gaussian.

    Raises
    ------
    DataError
        If axes are not even, no time is given, a rate is missing at some power, or shapes differ.
    UnitsError
        If an axis or a rate has no unit or another kind of unit.

    Warns
    -----
    PlkitWarning
        Where a profile has no usable rate: its width is given, its diffusion coefficient is NaN.

    Notes
    -----
    f(x, y) = offset + amplitude · exp(−r²/(2 σ²)), averaged over each pixel, with
    σ² = σ0² + 2 D t; along one axis that is the printed profile (its 1/e half width squared is
    4 D t). Height and offset are eliminated (variable projection); start values come from a global
    grid over all pixels and widths. A halo that lowers χ² by less than 25 + 2 ln(number of pixels)
    is no signal (25 where the centre is given). Without ``stderr`` all pixels weigh equally and σ
    follows from the residuals. Status 2 where σ(σ) exceeds σ/2, D is not above its σ, or no time
    is known. A diffusion coefficient from t = 1/⟨k⟩ inherits the temperature dependence of ⟨k⟩: see
    ``fit_diffusion_temperature``.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), eq. 1,
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> from plkit.physics.fick import pixel_gaussian_2d
    >>> axis = np.arange(-10.0, 10.5, 0.5)
    >>> um = {"units": names.unit("x")}
    >>> halo = xr.DataArray(0.1 + 0.6 * pixel_gaussian_2d(axis, axis, (0.3, -0.2), 2.0, (0.5, 0.5)),
    ...                     {"y": ("y", axis, um), "x": ("x", axis, um)}, ("y", "x"))
    >>> fit = fit_fick_profile(halo, time_s=100.0)
    >>> round(float(fit.profile_sigma), 6), round(float(fit.diffusion_coefficient) * 1e14, 6)
    (2.0, 2.0)
    """
    if isinstance(fraction, xr.Dataset):
        fraction, stderr = _from_dataset(fraction, stderr)
    if geometry not in ("map", "cut", "radial"):
        raise DataError(_ACTION, f"geometry is '{geometry}', not 'map', 'cut' or 'radial'")
    dims = (X,) if geometry == "cut" and Y not in fraction.dims else (Y, X)
    require_dims(fraction, dims, _ACTION, "the fraction")
    fraction = require_unit(fraction, "fraction", _ACTION)
    if fraction.size == 0:
        raise DataError(_ACTION, f"the fraction has shape {fraction.shape}: no values")
    fraction = fraction.transpose(..., *dims).astype(float)
    sigma = pixel_sigma(stderr, fraction, _ACTION)
    if not (np.isfinite(initial_sigma_um) and initial_sigma_um >= 0):
        raise DataError(_ACTION, f"'initial_sigma_um' is {initial_sigma_um}, not zero or positive")
    y = axis_of(fraction, Y, _ACTION) if Y in dims else None
    request = Request(geometry, axis_of(fraction, X, _ACTION), y, centre_um, stderr is not None)
    leading = fraction.isel(dict.fromkeys(dims, 0), drop=True)
    time, time_relative = diffusion_time(leading, rate, rate_stderr, time_s)
    shape = (-1, *(fraction.sizes[d] for d in dims))
    maps = np.asarray(fraction.values).reshape(shape)
    sigmas = np.asarray(sigma).reshape(shape)
    profiles = [
        fit_one(np.atleast_2d(m), np.atleast_2d(s), request)
        for m, s in zip(maps, sigmas, strict=True)
    ]
    out = _assemble(profiles, leading, time, time_relative, initial_sigma_um)
    step = f"fit_fick_profile(geometry={geometry}, initial_sigma_um={initial_sigma_um:g})"
    return add_history(out, step)


def _from_dataset(
    ds: xr.Dataset, stderr: xr.DataArray | ArrayLike | None
) -> tuple[xr.DataArray, xr.DataArray | ArrayLike | None]:
    if "fraction" not in ds:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        raise DataError(
            _ACTION, f"'fraction' is missing, the dataset holds {found}",
            "Give the Dataset of plkit.unmix with one component selected.",
        )  # fmt: skip
    if names.COMPONENT in ds["fraction"].dims:
        raise DataError(
            _ACTION, f"the fraction still has the dim '{names.COMPONENT}'",
            f'Select one: ds.sel({names.COMPONENT}="…").',
        )  # fmt: skip
    return ds["fraction"], ds.get("fraction_stderr") if stderr is None else stderr


def pixel_sigma(
    stderr: xr.DataArray | ArrayLike | None, fraction: xr.DataArray, action: str
) -> Array:
    """σ of every pixel, one where none is given.

    Parameters
    ----------
    stderr : DataArray, array_like or None
        As a user gave it [1].
    fraction : DataArray
        The data.
    action : str
        The words after "Cannot" for errors.

    Returns
    -------
    numpy.ndarray
        Of the shape of ``fraction``.
    """
    if stderr is None:
        return np.ones(fraction.shape)
    if isinstance(stderr, xr.DataArray):
        stderr = require_unit(stderr, "fraction", action)
        extra = [str(d) for d in stderr.dims if d not in fraction.dims]
        if extra:
            raise DataError(action, f"'stderr' has dims {', '.join(extra)} beyond the fraction's")
        stderr = stderr.broadcast_like(fraction).transpose(*fraction.dims).values
    sigma = np.asarray(stderr, dtype=float)
    if sigma.shape not in ((), fraction.shape):
        raise DataError(action, f"'stderr' has shape {sigma.shape}, not {fraction.shape}")
    return np.array(np.broadcast_to(sigma, fraction.shape))


def axis_of(data: xr.DataArray, dim: str, action: str) -> Axis:
    """Middles and width of the pixels along a dimension.

    Parameters
    ----------
    data : DataArray
        With an evenly spaced coordinate ``dim`` [um].
    dim, action : str
        The dimension, and the words after "Cannot" for errors.

    Returns
    -------
    Axis
        In the order of the data, ascending or not.
    """
    if dim not in data.coords:
        raise DataError(
            action, f"dimension '{dim}' has no coordinate values",
            f'Add them: ds.assign_coords({dim}=("{dim}", values, {{"units": "um"}})).',
        )  # fmt: skip
    at = np.asarray(require_unit(data[dim], dim, action).values, dtype=float)
    steps = np.diff(at)
    if at.size < 4 or not np.all(np.isfinite(at)):
        raise DataError(action, f"axis '{dim}' has {at.size} pixels, not at least 4 finite ones")
    if np.ptp(steps) > 1e-3 * abs(steps.mean()) or steps.mean() == 0:
        raise DataError(
            action, f"axis '{dim}' is not evenly spaced (steps {steps.min():g} to {steps.max():g})",
            f"Interpolate to even steps: ds.interp({dim}=…).",
        )  # fmt: skip
    return Axis(at, float(abs(steps.mean())))


def _assemble(
    profiles: list[Profile],
    leading: xr.DataArray,
    time: xr.DataArray,
    time_relative: xr.DataArray,
    initial_sigma_um: float,
) -> xr.Dataset:
    """One Dataset over the dims that number the profiles."""
    dims, shape = leading.dims, leading.shape
    values = np.array([p.values for p in profiles])
    covariance = np.array([p.covariance for p in profiles])
    with np.errstate(invalid="ignore"):
        stderr = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    t, t_relative = time.values.ravel(), time_relative.values.ravel()
    sigma, sigma_stderr = values[:, 2], stderr[:, 2]
    d = diffusion_from_sigma(sigma, t, initial_sigma_um)
    d_profile = sigma * sigma_stderr / t / UM2_PER_M2
    d_time = np.abs(d) * t_relative
    d_stderr = np.hypot(d_profile, d_time)
    status = np.array([p.status for p in profiles], dtype=np.int8)
    with np.errstate(invalid="ignore"):
        status = np.where((status < 2) & ~(d > d_stderr), 2, status).astype(np.int8)
    columns: dict[str, Array] = {
        "diffusion_coefficient": d,
        "diffusion_coefficient_stderr": d_stderr,
        "diffusion_coefficient_stderr_profile": d_profile,
        "diffusion_coefficient_stderr_time": d_time,
        "diffusion_time": t,
        "diffusion_time_stderr": t * t_relative,
        "profile_sigma_start": np.full(t.size, initial_sigma_um),
    }
    for i, name in enumerate(PARAMETERS):
        columns |= {name: values[:, i], f"{name}_stderr": stderr[:, i]}
    for name, field in (
        ("chisqr", "chisqr"), ("redchi", "redchi"), ("runs_test_p", "runs_p"),
        ("radial_p", "radial_p"),
    ):  # fmt: skip
        columns[name] = np.array([getattr(p, field) for p in profiles])
    out = xr.Dataset(
        {k: (dims, v.reshape(shape), names.attrs(k)) for k, v in columns.items()},
        coords=leading.coords,
    )
    fitted = np.isfinite(values[:, 2])
    gaussian = fitted & (np.minimum(columns["runs_test_p"], columns["radial_p"]) >= _SURPRISING)
    out["gaussian"] = (dims, gaussian.astype(np.int8).reshape(shape), names.attrs("gaussian"))
    out[FIT_STATUS] = (dims, status.reshape(shape), status_attrs())
    out[COVARIANCE] = ((*dims, PARAM_I, PARAM_J), covariance.reshape(*shape, 5, 5))
    out[COVARIANCE].attrs = names.attrs(COVARIANCE)
    out = out.assign_coords({PARAM_I: list(PARAMETERS), PARAM_J: list(PARAMETERS)})
    return out.assign_attrs(profile=_in_words(profiles, fitted, gaussian))


def _in_words(
    profiles: list[Profile], fitted: NDArray[np.bool_], gaussian: NDArray[np.bool_]
) -> str:
    n, n_bad = int(fitted.sum()), int((fitted & ~gaussian).sum())
    if n == 0:
        return "No profile was found."
    if n_bad == 0:
        return f"Nothing speaks against a Gaussian in {n} of {n} profiles (runs test, χ² of rings)."
    worst = min(
        (p for p, bad in zip(profiles, fitted & ~gaussian, strict=True) if bad),
        key=lambda p: min(p.runs_p, p.radial_p),
    )
    return (
        f"{n_bad} of {n} profiles are not Gaussian (worst: reduced χ² {worst.redchi:.3g}, runs test "
        f"p = {worst.runs_p:.2g}, radial χ² p = {worst.radial_p:.2g}): the width is that of the best "
        "Gaussian, and the diffusion coefficient that of a process which is not simple diffusion "
        "from a point."
    )
