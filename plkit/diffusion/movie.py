"""One diffusion coefficient from a whole movie: σ² = σ0² + 2 D t in all frames at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.diffusion.engine import best_on_grid, gaussian_and_slopes, solve
from plkit.diffusion.profile import axis_of, pixel_sigma
from plkit.diffusion.single import MIN_GAIN
from plkit.errors import DataError
from plkit.fit.status import status_attrs
from plkit.names import COVARIANCE, FIT_STATUS, PARAM_I, PARAM_J, TIME, X, Y
from plkit.physics.fick import UM2_PER_M2, sigma_from_diffusion
from plkit.schema import add_history, require_dims, require_unit

__all__ = ["fit_fick_movie"]

Array = NDArray[np.float64]

_ACTION: Final = "fit a Fick movie"
_SHARED: Final = ("centre_x", "centre_y", "diffusion_coefficient", "profile_sigma_start")


def fit_fick_movie(
    fraction: xr.DataArray,
    *,
    stderr: xr.DataArray | ArrayLike | None = None,
    initial_sigma_um: float | None = None,
) -> xr.Dataset:
    """Fit one diffusion coefficient to all frames of a movie of a spreading halo.

    Parameters
    ----------
    fraction : DataArray
        Emission fraction (time, y, x) [1], time counted from the moment of the width σ0 [s], even
        x and y [um]. NaN pixels are left out.
    stderr : DataArray or array_like, optional
        σ of each pixel [1].
    initial_sigma_um : float, optional
        Width σ0 at t = 0, where it is known; fitted otherwise [um].

    Returns
    -------
    Dataset
        ``diffusion_coefficient`` with σ [m^2/s], ``profile_sigma_start`` with σ [um], ``centre_x``,
        ``centre_y`` with σ [um], shared by all frames; ``profile_sigma`` (time) [um];
        ``profile_amplitude``, ``offset`` (time) with σ [1]; ``chisqr``, ``redchi`` [1];
        ``covariance`` of the shared parameters; ``fit_status``.

    Raises
    ------
    DataError
        If there are fewer than two times, a negative time, or the axes are not even.
    UnitsError
        If an axis has no unit or another kind of unit.

    Notes
    -----
    f = offset(t) + amplitude(t) exp(−r²/(2 σ²)), averaged over each pixel, σ² = σ0² + 2 D t; height
    and offset of each frame are free, so that emission may grow or bleach. Without ``stderr`` all
    pixels weigh equally and σ follows from the residuals.

    Examples
    --------
    >>> from plkit.physics.fick import pixel_gaussian_2d
    >>> axis, um = np.arange(-8.0, 8.5, 0.5), {"units": names.unit("x")}
    >>> times = np.array([10.0, 40.0, 90.0])
    >>> widths = sigma_from_diffusion(2e-14, times, 0.5)
    >>> movie = xr.DataArray(
    ...     [pixel_gaussian_2d(axis, axis, (0.0, 0.0), w, (0.5, 0.5)) for w in widths],
    ...     {"time": ("time", times, names.attrs("time")), "y": ("y", axis, um),
    ...      "x": ("x", axis, um)}, ("time", "y", "x"))
    >>> fit = fit_fick_movie(movie)
    >>> round(float(fit.diffusion_coefficient) * 1e14, 6), round(float(fit.profile_sigma_start), 6)
    (2.0, 0.5)
    """
    require_dims(fraction, (TIME, Y, X), _ACTION, "the fraction")
    if fraction.ndim != 3:
        raise DataError(
            _ACTION, f"the fraction has dims {', '.join(map(str, fraction.dims))}, not time, y, x"
        )
    fraction = require_unit(fraction, "fraction", _ACTION).transpose(TIME, Y, X).astype(float)
    if TIME not in fraction.coords:
        raise DataError(_ACTION, "dimension 'time' has no coordinate values", "Add them in s.")
    times = np.asarray(require_unit(fraction[TIME], TIME, _ACTION).values, dtype=float)
    if times.size < 2 or not np.all(np.isfinite(times)) or times.min() < 0 or np.ptp(times) == 0:
        raise DataError(
            _ACTION,
            f"'time' holds {times.size} values, not at least two different ones from 0 s on",
        )
    x, y = axis_of(fraction, X, _ACTION), axis_of(fraction, Y, _ACTION)
    sigma = pixel_sigma(stderr, fraction, _ACTION)
    data = np.asarray(fraction.values)
    good = np.isfinite(data) & np.isfinite(sigma) & (sigma > 0)
    weights = np.where(good, 1.0 / np.where(good, sigma, 1.0), 0.0)
    data = np.where(good, data, 0.0)

    # Starts: the frame that shows its halo best gives the centre, each frame then its width.
    n_pixels = good.reshape(times.size, -1).sum(axis=1)
    usable = n_pixels >= 8
    starts = [
        best_on_grid(d, w, x, y, None) for d, w in zip(data[usable], weights[usable], strict=True)
    ]
    gains = np.array([gain for _, gain in starts])
    n_free = int(good.sum()) - 2 * times.size - 4
    if not len(starts) or n_free < 1:
        return _result(fraction, None, None, 4, np.nan, np.nan)
    centre = starts[int(np.argmax(gains))][0][:2]
    at = times[usable]
    width2 = np.array(
        [best_on_grid(d, w, x, y, (centre[0], centre[1]))[0][2] ** 2
         for d, w in zip(data[usable], weights[usable], strict=True)]
    )  # fmt: skip
    start_d, start_v0 = _start_line(at, width2, gains, initial_sigma_um, x.pixel)
    floor = 0.02 * x.pixel  # a point source at t = 0 has no width

    def evaluate(t: Array, frame: int) -> tuple[Array, Array]:
        v0 = initial_sigma_um**2 if initial_sigma_um is not None else t[3]
        s = float(np.sqrt(max(v0 + 2.0 * t[2] * times[frame], floor**2)))
        g, slopes = gaussian_and_slopes(x, y, (t[0], t[1]), s)
        by_variance = slopes[:, 2] / (2.0 * s)
        columns = [slopes[:, 0], slopes[:, 1], 2.0 * times[frame] * by_variance]
        if initial_sigma_um is None:
            columns.append(by_variance)
        return g, np.stack(columns, axis=1)

    extent = max(x.extent, y.extent)
    fastest = 50.0 * extent**2 / float(times[times > 0].min())
    lower = np.array([x.middles.min() - extent, y.middles.min() - extent, 0.0, 0.0])
    upper = np.array([x.middles.max() + extent, y.middles.max() + extent, fastest, 4 * extent**2])
    p = 3 if initial_sigma_um is not None else 4
    start = np.array([centre[0], centre[1], start_d, start_v0])[:p]
    frames = [f.ravel() for f in data], [w.ravel() for w in weights]
    fit = solve(evaluate, *frames, start, (lower[:p], upper[:p]))
    scale = 1.0 if stderr is not None else fit.chisqr / n_free
    if not gains.sum() > scale * (MIN_GAIN + 2.0 * np.log(n_pixels.max()) + len(starts)):
        return _result(fraction, None, None, 3, np.nan, np.nan)
    linear_and_shared = np.concatenate([fit.theta, fit.linear.ravel()])
    status = 4 if not fit.converged else (1 if fit.at_bound else 0)
    if status == 4:
        return _result(fraction, None, None, 4, np.nan, np.nan)
    if initial_sigma_um is not None:  # known: no σ
        linear_and_shared = np.insert(linear_and_shared, 3, initial_sigma_um**2)
        covariance = np.insert(np.insert(fit.covariance, 3, np.nan, axis=0), 3, np.nan, axis=1)
    else:
        covariance = fit.covariance
    out = _result(
        fraction, linear_and_shared, covariance * scale, status, fit.chisqr, fit.chisqr / n_free
    )
    return add_history(out, f"fit_fick_movie: {times.size} frames")


def _start_line(
    times: Array, width2: Array, gains: Array, initial_sigma_um: float | None, pixel: float
) -> tuple[float, float]:
    """D [um²/s] and σ0² from the line σ² against t, frames weighted by how well they show a halo."""
    w = gains / gains.sum() if gains.sum() > 0 else np.full(gains.size, 1.0 / gains.size)
    if initial_sigma_um is not None:
        v0 = initial_sigma_um**2
        slope = float(np.sum(w * times * (width2 - v0)) / np.sum(w * times**2))
    else:
        t_mid, v_mid = float(np.sum(w * times)), float(np.sum(w * width2))
        spread = float(np.sum(w * (times - t_mid) ** 2))
        slope = float(np.sum(w * (times - t_mid) * (width2 - v_mid)) / spread) if spread else 0.0
        v0 = v_mid - slope * t_mid
    smallest = 1e-3 * float(width2.max()) / float(times.max())
    return max(0.5 * slope, smallest), max(v0, (0.3 * pixel) ** 2)


def _result(
    fraction: xr.DataArray,
    values: Array | None,
    covariance: Array | None,
    status: int,
    chisqr: float,
    redchi: float,
) -> xr.Dataset:
    """Dataset in the units of the table: D in m²/s, and σ0 instead of its square."""
    n = fraction.sizes[TIME]
    values = np.full(4 + 2 * n, np.nan) if values is None else values.copy()
    covariance = np.full((values.size, values.size), np.nan) if covariance is None else covariance
    sigma_0 = np.sqrt(values[3])
    to_table = np.ones(values.size)
    to_table[2] = 1.0 / UM2_PER_M2
    to_table[3] = 0.5 / sigma_0 if sigma_0 > 0 else np.nan
    values[2], values[3] = values[2] / UM2_PER_M2, sigma_0
    covariance = covariance * np.outer(to_table, to_table)
    stderr = np.sqrt(np.diag(covariance))
    out = xr.Dataset(coords={TIME: fraction[TIME]})
    for i, name in enumerate(_SHARED):
        out[name] = ((), values[i], names.attrs(name))
        out[f"{name}_stderr"] = ((), stderr[i], names.attrs(f"{name}_stderr"))
    for i, name in enumerate(("profile_amplitude", "offset")):
        out[name] = (TIME, values[4 + i :: 2], names.attrs(name))
        out[f"{name}_stderr"] = (TIME, stderr[4 + i :: 2], names.attrs(f"{name}_stderr"))
    width = sigma_from_diffusion(values[2], fraction[TIME].values.astype(float), sigma_0)
    out["profile_sigma"] = (TIME, width, names.attrs("profile_sigma"))
    out["chisqr"] = ((), chisqr, names.attrs("chisqr"))
    out["redchi"] = ((), redchi, names.attrs("redchi"))
    if status < 2 and not values[2] > stderr[2]:
        status = 2
    out[FIT_STATUS] = ((), np.int8(status), status_attrs())
    out[COVARIANCE] = ((PARAM_I, PARAM_J), covariance[:4, :4], names.attrs(COVARIANCE))
    return out.assign_coords({PARAM_I: list(_SHARED), PARAM_J: list(_SHARED)})
