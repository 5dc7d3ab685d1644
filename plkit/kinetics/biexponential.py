"""Biexponential kinetics of the component that falls, with everything that follows from them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.fit.judge import biexponential_reasons, summarise
from plkit.fit.result import FitArrays, assemble, keep_credible
from plkit.fit.status import AT_BOUND, FAILED, NO_SIGNAL, NOT_IDENTIFIABLE, OK, has_change
from plkit.fit.traces import Traces, prepare, stack_traces
from plkit.kinetics.falling import choose_component, end_levels, select_trace
from plkit.names import AT_S, COMPONENT, TIME, X, Y
from plkit.physics import rates
from plkit.schema import add_history, require_dims, require_unit

if TYPE_CHECKING:
    from lmfit import Model

    from plkit.fit.shared import Shared

__all__ = ["fit_kinetics"]

Floats = NDArray[np.float64]

_ACTION: Final = "fit the kinetics"
_ENGINES: Final = ("batched", "lmfit")
# A thread costs more than it brings below this number of traces.
_ROWS_FOR_THREADS: Final = 4000


def fit_kinetics(
    data: xr.Dataset | xr.DataArray,
    component: str | None = None,
    *,
    plateau: bool = True,
    at_s: float | Sequence[float] | None = None,
    stderr: xr.DataArray | ArrayLike | None = None,
    rates: Literal["free", "shared"] | xr.DataArray = "free",
    engine: str = "batched",
) -> xr.Dataset:
    """Fit two rates and a plateau to the component that falls.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Result of :func:`plkit.unmix` with ``fraction`` (component, …, time) [1] and
        ``fraction_stderr``; or a falling trace (…, time) in any unit. ``time`` [s] counts from
        laser on. Other dims (power, y, x) are fitted one by one; NaN is a gap.
    component : str, optional
        The component that falls. By default the one whose fraction falls most between the first
        and the last quarter of the record, in units of σ.
    plateau : bool, optional
        False leaves the plateau out, as the equation is printed in the paper. A conversion that
        stops is then read as a slow rate, and ⟨k⟩ follows the ceiling of the conversion instead of
        the temperature: with a ceiling of 70 % for all powers a true activation energy of 248 meV
        comes out as 159 meV, with one that rises with power far above. For comparison only.
    at_s : float or sequence of float, optional
        Times at which the conversion is evaluated [s]; by default the last time of the record.
    stderr : xarray.DataArray or array_like, optional
        One σ of every point, instead of ``fraction_stderr``. Without any, σ of the results is
        scaled by √(χ²/ν).
    rates : {"free", "shared"} or xarray.DataArray, optional
        ``"shared"``: k1 and k2 are the same for all traces; labels over some of the dims: the same
        for all traces of one label. k01, k02 and the plateau stay free.
    engine : {"batched", "lmfit"}, optional
        ``"batched"``: variable projection, compiled, global optimum without starting values.
        ``"lmfit"``: the reference, from several starts, some thousand times slower.

    Returns
    -------
    xarray.Dataset
        With the dims of the data without component and time:
        ``k1``, ``k2`` [1/s], k1 > k2; ``k01``, ``k02``, ``plateau`` [unit of the data];
        ``mean_rate`` [1/s]; ``conversion`` (at_s, …) [1] of the growing component;
        ``conversion_limit`` [1]; each with ``<name>_stderr``;
        ``covariance`` (…, param_i, param_j) of the five parameters; ``chisqr``, ``redchi``, ``aic``,
        ``bic``, ``nfev`` [1]; ``fit_status``: 0 ok, 1 at_bound, 2 not_identifiable, 3 no_signal,
        4 failed. Values are kept for 0 to 2, NaN for 3 and 4. ``attrs["component"]`` names the
        component that was fitted, ``attrs["summary"]`` says in one line what the fits are worth.
        With shared rates also ``free_rates_delta_bic`` and ``free_rates_p`` [1], which tell where
        free rates are justified.

    Raises
    ------
    DataError
        If there is no time, no such component, or ``at_s`` lies beyond the record.
    UnitsError
        If time has no unit that is a time.

    Warns
    -----
    PlkitWarning
        If a component was named that rises.

    Notes
    -----
    f(t) = k01 exp(−k1 t) + k02 exp(−k2 t) + plateau, all five ≥ 0; the growing component is 1 − f.
    ⟨k⟩ = (k01 k1 + k02 k2)/(k01 + k02), over what decays. With g = 1 − f,
    φ(t) = [g(t) − g(0)]/[1 − g(0)] = [f(0) − f(t)]/f(0) from the fitted curve, and
    φ∞ = (k01 + k02)/f(0). σ of each follows from the full covariance of the five parameters; to
    first order, so that at low counts, where the rates have skewed distributions, ⟨k⟩ is biased
    upwards by a part of its σ.

    Rates are sought between 1/20 of 1/record and 2 per shortest step. not_identifiable: ln(k1/k2) or
    a weight is within its σ of zero, 1/k2 is longer than the record, or the search ended in a flat
    valley; ⟨k⟩ and φ may still be good, as their σ says. no_signal: a constant does as well.

    Dark recovery has the same form: the fraction that the light had made falls.

    References
    ----------
    da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> t = xr.DataArray(np.arange(0.0, 500.0), dims="time", attrs={"units": "s"})
    >>> f = 0.4 * np.exp(-0.04 * t) + 0.3 * np.exp(-0.005 * t) + 0.3
    >>> kin = fit_kinetics(f.assign_coords(time=t), stderr=0.01)
    >>> round(float(kin.mean_rate), 6), round(float(kin.conversion_limit), 6)
    (0.025, 0.7)
    """
    if engine not in _ENGINES:
        raise DataError(
            _ACTION,
            f"'engine' is '{engine}', not one of {', '.join(_ENGINES)}",
            'Use engine="batched".',
        )
    if isinstance(rates, str) and rates not in ("free", "shared"):
        raise DataError(
            _ACTION, f"'rates' is '{rates}', not 'free', 'shared' or a DataArray of labels"
        )
    trace, sigma, name = _falling_trace(data, component, stderr)
    traces = stack_traces(trace, TIME, sigma, _ACTION)
    times = _conversion_times(at_s, traces.x)
    arrays = _fit_lmfit(traces, plateau) if engine == "lmfit" else _fit_kernels(traces, plateau)
    arrays = _judged(arrays, traces)
    if component is not None:
        _warn_if_rising(traces, arrays, name)
    summary = _summary(arrays, traces)
    test: dict[str, xr.DataArray] = {}
    if not (isinstance(rates, str) and rates == "free"):
        shared = _share(trace, sigma, rates, plateau, arrays)
        arrays, summary, test = shared.arrays, shared.summary, shared.test()
    out = assemble(arrays, traces, _units(trace), _ACTION)
    out = out.assign(_derived(arrays, traces, times)).assign(test)
    out.attrs = {**data.attrs} if isinstance(data, xr.Dataset) else {}
    out.attrs["summary"] = summary
    if name:
        out.attrs[COMPONENT] = name
    out.attrs["plateau"] = "free" if plateau else "none"
    return add_history(
        out, f"fit_kinetics(component='{name}', plateau={plateau}, engine='{engine}')"
    )


def _falling_trace(
    data: xr.Dataset | xr.DataArray,
    component: str | None,
    stderr: xr.DataArray | ArrayLike | None,
) -> tuple[xr.DataArray, xr.DataArray | ArrayLike | None, str]:
    """Trace, its σ and the name of the component (empty where there is none)."""
    trace, sigma = select_trace(data, stderr, _ACTION)
    require_dims(trace, [TIME], _ACTION)
    if TIME not in trace.coords:
        raise DataError(
            _ACTION,
            f"dimension '{TIME}' has no coordinate values",
            f'Add them: data.assign_coords({TIME}=("{TIME}", seconds, {{"units": "s"}})).',
        )
    trace = trace.assign_coords({TIME: require_unit(trace[TIME], TIME, _ACTION)})
    if isinstance(sigma, xr.DataArray) and TIME in sigma.coords:
        sigma = sigma.assign_coords({TIME: require_unit(sigma[TIME], TIME, _ACTION)})
    if COMPONENT not in trace.dims:
        stated = str(trace[COMPONENT].values) if COMPONENT in trace.coords else ""
        if component is not None and component != stated:
            raise DataError(
                _ACTION,
                f"the data has no dimension '{COMPONENT}' to pick '{component}' from",
                "Leave the argument out, or pass the result of plkit.unmix.",
            )
        return trace, sigma, stated
    found = [str(c) for c in trace[COMPONENT].values]
    name = component if component is not None else choose_component(trace, sigma, _ACTION)
    if name not in found:
        raise DataError(
            _ACTION,
            f"'{COMPONENT}' is '{name}', not one of {', '.join(found)}",
            "Name a component of the references.",
        )
    at = {COMPONENT: found.index(name)}
    if isinstance(sigma, xr.DataArray) and COMPONENT in sigma.dims:
        sigma = sigma.isel(at, drop=True)
    elif sigma is not None and not isinstance(sigma, xr.DataArray) and np.ndim(sigma) > 0:
        full = trace.copy(data=np.broadcast_to(np.asarray(sigma, float), trace.shape))
        sigma = full.isel(at, drop=True)
    return trace.isel(at, drop=True), sigma, name


def _conversion_times(at_s: float | Sequence[float] | None, time: Floats) -> Floats:
    """Times of the conversion, inside the record."""
    if at_s is None:
        return time[-1:]
    times = np.atleast_1d(np.asarray(at_s, dtype=np.float64))
    # The last exposure lasts half a step beyond its middle.
    end = float(time[-1]) + (0.5 * float(time[-1] - time[-2]) if time.size > 1 else 0.0)
    if times.ndim > 1 or times.size == 0 or not np.all((times >= 0.0) & (times <= end)):
        shown = ", ".join(f"{v:g}" for v in times.ravel()[:4]) or "empty"
        raise DataError(
            _ACTION,
            f"'at_s' is {shown} s, not within the record of 0 to {end:g} s",
            "A conversion is not extrapolated; see conversion_limit for infinite time.",
        )
    return times


# Engines ------------------------------------------------------------------------------------------


def _fit_kernels(traces: Traces, plateau: bool) -> FitArrays:
    rows = traces.rows
    order = rates.BIEXPONENTIAL_PARAMETERS
    n_free = 5 if plateau else 4
    values, covariance = np.full((rows, 5), np.nan), np.full((rows, 5, 5), np.nan)
    if np.unique(traces.x).size < 2:
        return FitArrays(
            order, values, covariance, values[:, 0], n_free, np.zeros(rows, np.int64),
            np.full(rows, FAILED, np.int8),
        )  # fmt: skip
    from plkit.physics.separable import SeparableModel, fit_separable

    background = ("constant", 1, 1) if plateau else ("none", 1, 0)
    model = SeparableModel("exponential", 2, *background)
    threads = (os.cpu_count() or 1) if rows >= _ROWS_FOR_THREADS else 1
    found = fit_separable(traces.signal, traces.x, model, sigma=traces.sigma, threads=threads)
    values[:, :n_free], covariance[:, :n_free, :n_free] = found["params"], found["covariance"]
    if not plateau:
        fitted = np.isfinite(values[:, 0])
        values[fitted, 4] = 0.0
        covariance[fitted, 4, :] = covariance[fitted, :, 4] = 0.0
    status = np.where(found["converged"], OK, NOT_IDENTIFIABLE)
    # of what the kernels judge the rest is judged below, as it is after the reference engine
    status = np.where(np.isfinite(found["chisqr"]), status, FAILED).astype(np.int8)
    return FitArrays(order, values, covariance, found["chisqr"], n_free, found["nfev"], status)


def _fit_lmfit(traces: Traces, plateau: bool) -> FitArrays:
    from plkit.fit.lmfit_engine import fit_with_lmfit

    return fit_with_lmfit(traces, _model(traces.x, plateau), None, False, _ACTION)


def _model(time: Floats, plateau: bool) -> Model:
    """The lmfit Model with the range of rates that the kernels search."""
    from plkit.models import BiexponentialDecayModel
    from plkit.physics.separable_problem import rate_bounds

    model = BiexponentialDecayModel()
    if np.unique(time).size >= 2:
        slow, fast = rate_bounds(time)
        for name in ("k1", "k2"):
            model.set_param_hint(name, min=slow, max=fast)
    if not plateau:
        model.set_param_hint("plateau", value=0.0, vary=False)
    return model


def _share(
    trace: xr.DataArray,
    sigma: xr.DataArray | ArrayLike | None,
    labels: str | xr.DataArray,
    plateau: bool,
    free: FitArrays,
) -> Shared:
    """One k1 and one k2 for all traces, or for all with the same label."""
    from plkit.fit.model_fit import make_job
    from plkit.fit.shared import share_rates

    ready = prepare(trace, TIME, sigma, _ACTION)
    job = make_job(ready, _model(ready.x, plateau), None, {}, None, "linear")
    return share_rates(ready, job, {}, labels, free, free.chisqr)


def _summary(arrays: FitArrays, traces: Traces) -> str:
    rows = np.flatnonzero(arrays.status == NOT_IDENTIFIABLE)
    finite = np.isfinite(traces.signal[rows])
    first = traces.x[np.argmax(finite, axis=1)]
    last = traces.x[finite.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)]
    reasons, _ = biexponential_reasons(
        arrays.names, arrays.values[rows], arrays.covariance[rows], last - first
    )
    noun = "pixels" if {X, Y} <= set(map(str, traces.outer.dims)) else "traces"
    return summarise(arrays.status, reasons, noun)


def _judged(arrays: FitArrays, traces: Traces) -> FitArrays:
    """Status of every trace, by the same rules whatever the engine."""
    status = arrays.status.copy()
    v = arrays.values
    alive = status != FAILED
    finite = np.isfinite(traces.signal)
    first = traces.x[np.argmax(finite, axis=1)]
    last = traces.x[finite.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)]
    fastest = 2.0 / float(np.min(np.diff(np.unique(traces.x)), initial=np.inf))
    with np.errstate(invalid="ignore"):
        at_bound = v[:, 1] >= (1.0 - 1e-6) * fastest
        if arrays.n_free == 5:
            at_bound |= v[:, 4] <= 1e-9 * np.nansum(np.abs(v[:, [0, 2, 4]]), axis=1)
    known = rates.biexponential_is_identifiable(v, arrays.covariance, last - first)
    changed = has_change(
        traces.chisqr_constant(), np.where(alive, arrays.chisqr, np.inf), traces.n_points,
        int(np.max(arrays.n_free)), traces.sigma is not None,
    )  # fmt: skip
    status = np.where(alive & at_bound & (status == OK), AT_BOUND, status)
    status = np.where(alive & ~known, NOT_IDENTIFIABLE, status)
    status = np.where(alive & ~changed, NO_SIGNAL, status)
    status = np.where(traces.n_points == 0, NO_SIGNAL, status).astype(np.int8)
    return FitArrays(
        arrays.names, v, arrays.covariance, arrays.chisqr, arrays.n_free, arrays.nfev, status
    )


def _warn_if_rising(traces: Traces, arrays: FitArrays, name: str) -> None:
    if not np.all(arrays.status >= NO_SIGNAL):
        return
    start, end, sigma = end_levels(traces)
    with np.errstate(invalid="ignore", divide="ignore"):
        rises = (end - start) > 5.0 * sigma
    if np.any(rises):
        warnings.warn(
            f"component '{name}' rises: fit_kinetics fits the component that falls, and gives the "
            "conversion of the other",
            PlkitWarning,
            stacklevel=3,
        )


# Results ------------------------------------------------------------------------------------------


def _units(trace: xr.DataArray) -> dict[str, str]:
    """Units of the parameters: weights and plateau have that of the trace."""
    own = names.normalise_unit(str(trace.attrs.get("units", names.unit("fraction"))))
    out = {name: names.unit(name) for name in ("k1", "k2")}
    return {**out, **dict.fromkeys(("k01", "k02", "plateau"), own)}


def _sigma_of(gradient: Floats, covariance: Floats) -> Floats:
    """σ of a quantity by its gradient; a parameter that it does not depend on needs no σ."""
    product = gradient[..., :, None] * gradient[..., None, :]
    terms = np.where(product == 0.0, 0.0, product * covariance)
    variance = terms.sum(axis=(-2, -1))
    return np.asarray(np.sqrt(np.where(variance >= 0.0, variance, np.nan)))


def _derived(arrays: FitArrays, traces: Traces, times: Floats) -> dict[str, Any]:
    """Mean rate, conversion and its limit, with σ."""
    values = keep_credible(arrays.status, arrays.values)
    cov = arrays.covariance
    k01, k1, k02, k2, floor = values.T
    out: dict[str, Any] = {}
    with np.errstate(invalid="ignore"):
        pairs = {
            "mean_rate": (
                rates.mean_rate(k01, k1, k02, k2),
                rates.mean_rate_gradient(k01, k1, k02, k2),
            ),
            "conversion_limit": (
                rates.conversion_limit(k01, k02, floor),
                rates.conversion_limit_gradient(k01, k02, floor),
            ),
        }
        for name, (value, gradient) in pairs.items():
            out[name] = traces.label(value, **names.attrs(name))
            error = names.stderr_name(name)
            out[error] = traces.label(_sigma_of(gradient, cov), **names.attrs(error))
        t = times[:, None]
        phi = rates.conversion(t, k01, k1, k02, k2, floor)
        gradient = rates.conversion_gradient(t, k01, k1, k02, k2, floor)
        sigma = _sigma_of(gradient, cov)
    finite = np.isfinite(traces.signal)
    last = traces.x[finite.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)]
    step = float(traces.x[-1] - traces.x[-2]) if traces.x.size > 1 else 0.0
    inside = t <= last + 0.5 * step  # a trace may end before the others
    coords = {AT_S: (AT_S, times, names.attrs(AT_S)), **traces.outer.coords}
    for name, array in (("conversion", phi), (names.stderr_name("conversion"), sigma)):
        out[name] = xr.DataArray(
            np.where(inside, array, np.nan).reshape(times.size, *traces.outer.shape),
            dims=(AT_S, *traces.outer.dims),
            coords=coords,
            attrs=names.attrs(name),
        )
    return out
