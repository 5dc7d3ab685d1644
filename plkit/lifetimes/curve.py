"""The fitted curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.fit.traces import Traces
from plkit.lifetimes.inputs import Photons, response_from
from plkit.names import DELAY, INTENSITY
from plkit.physics.decay import FWHM_PER_SIGMA, Response, expected_counts
from plkit.schema import require_unit

__all__ = ["expected_decay"]


def expected_decay(
    fit: xr.Dataset,
    decay: xr.Dataset | xr.DataArray,
    *,
    irf: xr.Dataset | xr.DataArray | None = None,
) -> xr.DataArray:
    """Compute the counts that a fit of lifetimes expects in every bin of its window.

    Parameters
    ----------
    fit : xarray.Dataset
        Result of :func:`plkit.fit_lifetimes`, or a part of it.
    decay : xarray.Dataset or xarray.DataArray
        What was fitted: the curve gets its delays.
    irf : xarray.Dataset or xarray.DataArray, optional
        The response, where a measured one was fitted with.

    Returns
    -------
    xarray.DataArray
        (…, delay) [counts]; NaN where a fit has no values.

    Raises
    ------
    DataError
        If ``fit`` is no such result, or the measured response is missing.

    Examples
    --------
    >>> t = xr.DataArray(np.arange(300.0), dims="delay", attrs={"units": "ns"})
    >>> counts = np.random.default_rng(0).poisson(800.0 * np.exp(-t / 40.0) + 3.0)
    >>> decay = xr.DataArray(counts, dims="delay", coords={"delay": t})
    >>> from plkit import fit_lifetimes
    >>> curve = expected_decay(fit_lifetimes(decay), decay)
    >>> bool(np.isclose(curve.sum(), counts.sum()))  # as every fit of Poisson counts with a constant
    True
    """
    action = "compute the decay"
    needed = ("bin_width_ns", "window_start_ns", "window_stop_ns", "pulse_period_ns", "irf")
    if not isinstance(fit, xr.Dataset) or any(k not in fit.attrs for k in needed):
        raise DataError(
            action, "the argument is no result of fit_lifetimes", "Pass the whole dataset."
        )
    width, start = float(fit.attrs["bin_width_ns"]), float(fit.attrs["window_start_ns"])
    n = round((float(fit.attrs["window_stop_ns"]) - start) / width)
    delay = require_unit(decay[DELAY], DELAY, action)
    x = np.sort(delay.values.astype(np.float64))
    x = x[(x > start - 0.5 * width) & (x < start + (n - 0.5) * width)]
    if x.size != n:
        raise DataError(
            action,
            f"'decay' has {x.size} of the {n} bins of the fit",
            "Pass the trace that was fitted.",
        )
    outer = fit["background"]
    kind = str(fit.attrs["irf"])
    gain = 1.0
    response = Response()
    if kind == "histogram":
        if irf is None:
            raise DataError(
                action, "the fit has a measured response and none is given", "Pass irf=…"
            )
        bins = Traces(x, np.ones((1, n)), None, outer, DELAY, "", "")
        response = response_from(irf, Photons(bins, width, gain, True))
    amplitudes = sorted(str(v) for v in fit.data_vars if str(v) in _names("amplitude"))
    lifetimes = sorted(str(v) for v in fit.data_vars if str(v) in _names("lifetime"))

    def flat(name: str) -> Any:
        return np.asarray(fit[name].transpose(*outer.dims).values, float).reshape(-1)

    a = np.stack([flat(v) for v in amplitudes], axis=1)
    tau = np.stack([flat(v) for v in lifetimes], axis=1) / width
    beta = flat("beta") if "beta" in fit else None
    origin = 0.0 if kind == "histogram" else start
    shift = (flat("irf_shift") - origin) / width
    level = flat("background")
    rows = np.full((level.size, n), np.nan)
    for row in range(level.size):
        if not np.all(np.isfinite([*a[row], *tau[row], shift[row], level[row]])):
            continue
        if kind == "gaussian":
            response = Response(kind, sigma=flat("irf_fwhm")[row] / FWHM_PER_SIGMA / width)
        rows[row] = expected_counts(
            n, a[row], tau[row], beta=None if beta is None else float(beta[row]),
            background=float(level[row]), shift=float(shift[row]), response=response,
            period=float(fit.attrs["pulse_period_ns"]) / width,
        )  # fmt: skip
    return xr.DataArray(
        rows.reshape(*outer.shape, n),
        dims=(*outer.dims, DELAY),
        coords={**outer.coords, DELAY: (DELAY, x, names.attrs(DELAY))},
        attrs=names.attrs(INTENSITY),
        name=INTENSITY,
    )


def _names(what: str) -> tuple[str, ...]:
    return tuple(f"{what}_{k}" for k in (1, 2, 3))
