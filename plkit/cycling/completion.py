"""How long a change takes after an event, and the energy behind it."""

from __future__ import annotations

import math
import warnings
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.fit.status import NO_SIGNAL, NOT_IDENTIFIABLE, OK, status_attrs
from plkit.names import COMPONENT, COVARIANCE, FIT_STATUS, PARAM_I, PARAM_J, TEMPERATURE, TIME
from plkit.physics.arrhenius import two_point_energy
from plkit.schema import add_history, require_dims, require_unit

__all__ = ["completion_energy", "completion_time"]

_ACTION: Final = "find the completion time"
# A stretched exponential with a plateau has four parameters.
_FEWEST: Final = 6
_MISFIT: Final = 2.0
_EXPONENTS: Final = (0.2, 8.0)


def completion_time(
    data: xr.Dataset | xr.DataArray,
    component: str | None = None,
    *,
    start_s: float = 0.0,
    level: float = 0.9,
    stderr: xr.DataArray | ArrayLike | None = None,
) -> xr.Dataset:
    """Time after an event at which a trace has gone a level of its way.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        A trace (…, time), rising or falling, or the result of :func:`plkit.unmix`.
    component : str, optional
        Of a result of ``unmix``: whose fraction.
    start_s : float, optional
        Time of the event [s]; earlier points are not used.
    level : float, optional
        Share of the way from the value at the event to the final one [1].
    stderr : xarray.DataArray or array_like, optional
        σ of the points; that of ``unmix`` by default. Without any, σ follows from the residuals.

    Returns
    -------
    xarray.Dataset
        Over the other dims: ``completion_time`` [s] after ``start_s`` with ``_stderr``;
        ``initial_value`` and ``final_value`` [of the data] with ``_stderr``; ``stretching_exponent``
        [1] with ``_stderr``; ``completion_level`` [1]; ``redchi`` [1]; ``fit_status``:
        not_identifiable also where the completion lies beyond the record.

    Raises
    ------
    DataError
        If there are fewer than six points after the event, or the arguments do not fit.

    Warns
    -----
    PlkitWarning
        If a reduced χ² above 2 says that the trace has another shape than the fit.

    Notes
    -----
    y = f∞ + (f₀ − f∞) exp(−(t/τ)^β) is fitted, t_level = τ [ln(1/(1 − level))]^(1/β). β > 1 stands
    for a change that begins after an induction time, β < 1 for a spread of rates. σ of t_level by
    the covariance of τ and β.

    Examples
    --------
    >>> t = np.arange(0.25, 60, 0.5)
    >>> rng = np.random.default_rng(1)
    >>> y = 0.8 * np.exp(-t / 6) + rng.normal(0, 0.01, t.size)
    >>> y = xr.DataArray(y, {"time": ("time", t, {"units": "s"})}, "time")
    >>> found = completion_time(y, stderr=0.01)
    >>> print(f"{float(found.completion_time):.1f} ± {float(found.completion_time_stderr):.1f} s")
    13.7 ± 0.2 s
    """
    from plkit.fit import fit_model
    from plkit.models import StretchedDecayModel

    trace, sigma = _trace(data, component, stderr)
    if not 0 < level < 1:
        raise DataError(_ACTION, f"'level' is {level}, not between 0 and 1", "90 % is 0.9.")
    t = require_unit(trace[TIME], TIME, _ACTION)
    trace = trace.assign_coords({TIME: t - start_s}).sortby(TIME)
    if isinstance(sigma, xr.DataArray) and TIME in sigma.dims:
        sigma = sigma.assign_coords({TIME: t - start_s}).sortby(TIME)
        sigma = sigma.isel({TIME: trace[TIME].values >= 0})
    trace = trace.isel({TIME: trace[TIME].values >= 0})
    trace[TIME].attrs = names.attrs(TIME)
    n = trace.sizes[TIME]
    if n < _FEWEST:
        raise DataError(
            _ACTION, f"the trace has {n} points after {start_s:g} s, not at least {_FEWEST}"
        )
    # Every trace is fitted as one that falls.
    edge = max(2, n // 8)
    rises = trace.isel({TIME: slice(-edge, None)}).mean(TIME) > trace.isel(
        {TIME: slice(0, 2)}
    ).mean(TIME)
    sign = 1.0 - 2.0 * rises.astype(float)
    model = StretchedDecayModel()
    model.set_param_hint("exponent", value=1.0, min=_EXPONENTS[0], max=_EXPONENTS[1])
    fit = fit_model((trace * sign).assign_attrs(trace.attrs), model, TIME, stderr=sigma)
    if sigma is not None:
        _warn_of_misfit(fit)
    return _result(fit, sign, level, float(trace[TIME].max()), trace.attrs)


def _warn_of_misfit(fit: xr.Dataset) -> None:
    """Say where the trace has another shape than the fit: its σ holds the stated noise alone."""
    redchi = fit["redchi"].values[fit[FIT_STATUS].values < NO_SIGNAL]
    bad = redchi[redchi > _MISFIT]
    if bad.size:
        warnings.warn(
            f"{bad.size} of {redchi.size} traces have another shape than a stretched exponential (reduced "
            f"chi-square up to {bad.max():.3g}): their completion times are off by more than their σ say",
            PlkitWarning,
            stacklevel=3,
        )


def _trace(
    data: xr.Dataset | xr.DataArray, component: str | None, stderr: Any
) -> tuple[xr.DataArray, Any]:
    if isinstance(data, xr.Dataset):
        if "fraction" not in data or COMPONENT not in data["fraction"].dims:
            held = ", ".join(map(str, data.data_vars)) or "nothing"
            raise DataError(
                _ACTION,
                f"the dataset holds {held}, not the fractions of plkit.unmix",
                "Pass one variable: ds.fraction.",
            )
        known = [str(c) for c in data[COMPONENT].values]
        if component not in known:
            raise DataError(_ACTION, f"'component' is {component!r}, not one of {', '.join(known)}")
        trace = data["fraction"].sel({COMPONENT: component}, drop=True)
        if stderr is None and "fraction_stderr" in data:
            stderr = data["fraction_stderr"].sel({COMPONENT: component}, drop=True)
    else:
        trace = data
    require_dims(trace, [TIME], _ACTION, "the trace")
    if TIME not in trace.coords:
        raise DataError(_ACTION, "the trace has no times", "Assign the coordinate.")
    if stderr is not None and not isinstance(stderr, xr.DataArray):
        stderr = xr.DataArray(
            np.broadcast_to(np.asarray(stderr, float), trace.shape),
            trace.coords,
            trace.dims,
            attrs=trace.attrs,
        )
    return trace, stderr


def _result(
    fit: xr.Dataset, sign: xr.DataArray, level: float, record_s: float, unit: dict[str, Any]
) -> xr.Dataset:
    way = math.log(1.0 / (1.0 - level))
    tau, beta = 1.0 / fit["rate"], fit["exponent"]
    t_level = tau * way ** (1.0 / beta)
    # ln t = −ln k + ln(way)/β: slopes of ln t to k and β.
    slopes = {"rate": -1.0 / fit["rate"], "exponent": -math.log(way) / beta**2}
    cov = fit[COVARIANCE]
    variance = xr.zeros_like(t_level)
    for a, slope_a in slopes.items():
        for b, slope_b in slopes.items():
            variance += slope_a * slope_b * cov.sel({PARAM_I: a, PARAM_J: b}, drop=True)
    status = fit[FIT_STATUS]
    beyond = (t_level > record_s) & (status < NO_SIGNAL)
    status = status.where(~(beyond & (status == OK)), NOT_IDENTIFIABLE).astype(np.int8)
    final = sign * fit["plateau"]
    initial = sign * (fit["plateau"] + fit["amplitude"])
    both = cov.sel({PARAM_I: ["plateau", "amplitude"], PARAM_J: ["plateau", "amplitude"]})
    own = {k: v for k, v in unit.items() if k in ("units", "long_name")}

    def like_data(name: str) -> dict[str, Any]:
        return {**names.attrs(name), "units": str(own.get("units", names.unit(name)))}

    # A perfect fit has a variance of zero, to the last digit or a little below.
    spread = {
        "completion_time": t_level * np.sqrt(variance.clip(min=0.0)),
        "initial_value": both.sum([PARAM_I, PARAM_J], skipna=False).clip(min=0.0) ** 0.5,
        "final_value": fit["plateau_stderr"],
        "stretching_exponent": fit["exponent_stderr"],
    }
    values = {
        "completion_time": t_level,
        "initial_value": initial,
        "final_value": final,
        "stretching_exponent": beta,
    }
    data: dict[str, Any] = {}
    for name, value in values.items():
        found = like_data if name.endswith("_value") else names.attrs
        data[name] = value.assign_attrs(found(name))
        data[names.stderr_name(name)] = spread[name].assign_attrs(found(names.stderr_name(name)))
    data["completion_level"] = ((), float(level), names.attrs("completion_level"))
    data["redchi"] = fit["redchi"].assign_attrs(names.attrs("redchi"))
    data[FIT_STATUS] = status.assign_attrs(status_attrs())
    ds = xr.Dataset(data)
    ds = ds.drop_vars([PARAM_I, PARAM_J], errors="ignore")
    return add_history(ds, f"completion_time(level={level:g})")


def completion_energy(
    completion: xr.Dataset,
    temperature: xr.DataArray | ArrayLike,
    *,
    temperature_stderr: xr.DataArray | ArrayLike | None = None,
    rate_scatter: float = 0.0,
) -> xr.Dataset:
    """Activation energy from completion times at several temperatures.

    Parameters
    ----------
    completion : xarray.Dataset
        Result of :func:`completion_time` over one dim, two entries at least.
    temperature : xarray.DataArray or array_like
        Temperature of each [K].
    temperature_stderr : xarray.DataArray or array_like, optional
        σ of each temperature, independent [K].
    rate_scatter : float, optional
        Relative scatter between repeated experiments, independent [1].

    Returns
    -------
    xarray.Dataset
        As :func:`plkit.fit_arrhenius` of the rates 1/t_level. With exactly two temperatures also
        ``activation_energy_lower`` and ``activation_energy_upper`` [eV], the 68 % interval, which is
        not symmetric where the error of the temperatures counts.

    Raises
    ------
    DataError
        If fewer than two times are usable, or temperatures do not match.

    See Also
    --------
    plkit.physics.arrhenius.two_point_energy : the equation of the interval.

    Examples
    --------
    >>> t90 = xr.Dataset({"completion_time": ("event", [600.0, 90.0], {"units": "s"}),
    ...                   "completion_time_stderr": ("event", [12.0, 2.0], {"units": "s"})})
    >>> found = completion_energy(t90, [296.65, 308.15], temperature_stderr=[1.0, 1.0])
    >>> [round(float(found[f"activation_energy{end}"]), 2) for end in ("", "_lower", "_upper")]
    [1.3, 1.16, 1.48]
    """
    action = "find the energy of the completion times"
    if "completion_time" not in completion:
        raise DataError(
            action, "the dataset holds no completion_time", "Pass the result of completion_time."
        )
    times = require_unit(completion["completion_time"], "completion_time", action)
    if times.ndim != 1:
        raise DataError(
            action, f"completion_time has the dims {times.dims}, not one", "Select or stack."
        )
    dim = times.dims[0]

    def along(values: Any, name: str) -> xr.DataArray:
        if isinstance(values, xr.DataArray):
            return require_unit(values, TEMPERATURE, action)
        array = np.asarray(values, dtype=float)
        array = np.full(times.shape, float(array)) if array.ndim == 0 else array
        if array.shape != times.shape:
            raise DataError(action, f"'{name}' has the shape {array.shape}, not {times.shape}")
        return xr.DataArray(array, times.coords, (dim,), attrs=names.attrs(TEMPERATURE))

    kelvin = along(temperature, "temperature")
    kelvin_stderr = (
        None if temperature_stderr is None else along(temperature_stderr, "temperature_stderr")
    )
    rate = (1.0 / times).assign_attrs(names.attrs("rate"))
    sigma = None
    if "completion_time_stderr" in completion:
        sigma = (completion["completion_time_stderr"] / times**2).assign_attrs(names.attrs("rate"))
    from plkit.arrhenius import fit_arrhenius

    out = fit_arrhenius(
        rate, kelvin, rate_stderr=sigma, temperature_stderr=kelvin_stderr, rate_scatter=rate_scatter
    )
    if int(out["n_points"]) != 2 or times.size != 2:
        return out
    relative = 0.0 if sigma is None else float(np.hypot(*(sigma / rate).values))
    t_sigma = (0.0, 0.0) if kelvin_stderr is None else tuple(map(float, kelvin_stderr.values))
    two = two_point_energy(
        float(times[0]), float(kelvin[0]), float(times[1]), float(kelvin[1]),
        temperature_stderr=(t_sigma[0], t_sigma[1]),
        ln_time_stderr=float(np.hypot(relative, math.sqrt(2) * rate_scatter)),
    )  # fmt: skip
    for end, value in (("lower", two.lower), ("upper", two.upper)):
        name = f"activation_energy_{end}"
        out[name] = ((), value, names.attrs(name))
    return out
