"""Intervals from the shape of χ² itself, where a parabola and its σ are no good picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.errors import DataError
from plkit.fit.batched_engine import fit_rows
from plkit.fit.door import Noise, fixed_values, select_data
from plkit.fit.marquardt import CONVERGED
from plkit.fit.model_fit import Fitted, fit_prepared, make_job, model_units
from plkit.fit.objective import CountNoise
from plkit.fit.status import NO_SIGNAL
from plkit.fit.traces import Prepared, prepare, rows_of
from plkit.names import POINT, stderr_name
from plkit.schema import add_history

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["profile_interval"]

Floats = NDArray[np.float64]
Cost = Callable[[Floats], tuple[Floats, Floats]]

_ACTION: Final = "find the interval"
_POINTS: Final = 25
_DOUBLINGS: Final = 30
_HALVINGS: Final = 60
_EXACT: Final = 1e-6  # of the threshold


def profile_interval(
    data: xr.DataArray | xr.Dataset,
    model: Model,
    parameter: str,
    params: Parameters | None = None,
    *,
    stderr: xr.DataArray | ArrayLike | None = None,
    fixed: Mapping[str, float] | None = None,
    noise: Literal["poisson"] | CountNoise | None = None,
    level: float = 0.6827,
) -> xr.Dataset:
    """Interval of one parameter of one trace by its profile likelihood.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        One trace: a single dimension; NaN is a gap. Of a dataset its ``intensity``.
    model : lmfit.Model
        Any.
    parameter : str
        Which parameter.
    params, stderr, noise
        As for :func:`plkit.fit_model`.
    fixed : Mapping of str to float, optional
        Parameters that are held.
    level : float, optional
        Probability that the interval holds the truth.

    Returns
    -------
    xarray.Dataset
        The parameter and its ``_stderr``, ``<parameter>_lower`` and ``<parameter>_upper`` [unit of
        the parameter], and the curve ``delta_chisqr`` (point) [1] over the coordinate
        ``<parameter>_trial``. An end that the data leave open lies at the bound of the parameter,
        or at infinity, as ``attrs["summary"]`` says.

    Raises
    ------
    DataError
        If there is more than one trace, no such parameter, or no fit.

    See Also
    --------
    plkit.fit_model : The fit, with σ from the parabola at the minimum.

    Notes
    -----
    The ends are where min χ²(parameter held there) = χ²min + Δ, the other parameters fitted anew. Δ
    is the quantile of χ² with one degree of freedom, 1 for 68 %; where no σ is known, χ²min/ν times
    the quantile of F(1, ν). For counts the deviance stands for χ².

    References
    ----------
    Venzon and Moolgavkar, Appl. Statist. 37, 87 (1988), doi:10.2307/2347496.

    Examples
    --------
    >>> from plkit.models import MonoexponentialDecayModel
    >>> t = xr.DataArray(np.arange(0.0, 60.0), dims="time", attrs={"units": "s"})
    >>> y = (0.7 * np.exp(-0.1 * t) + 0.3).assign_coords(time=t)
    >>> found = profile_interval(y, MonoexponentialDecayModel(), "rate", stderr=0.05)
    >>> f"{float(found.rate_lower):.3f} to {float(found.rate_upper):.3f}"
    '0.092 to 0.109'
    """
    if not 0.0 < level < 1.0:
        raise DataError(_ACTION, f"'level' is {level:g}, not between 0 and 1")
    array = (
        data[names.INTENSITY] if isinstance(data, xr.Dataset) and names.INTENSITY in data else data
    )
    dims: tuple[Any, ...] = tuple(getattr(array, "dims", ()))
    if len(dims) != 1:
        raise DataError(
            _ACTION,
            f"the data has dims {', '.join(map(str, dims)) or 'none'}, not a single one",
            "Select one trace: data.isel(...).",
        )
    dim = str(dims[0])
    chosen, counts = select_data(data, noise, dim, _ACTION)
    ready = prepare(chosen, dim, stderr, _ACTION)
    fit = fit_prepared(ready, model, params, counts, fixed or {}, "linear", "batched", False)
    _check(fit, parameter, params, model, fixed or {})
    cost, low, high = _profile(ready, model, params, counts, fixed or {}, parameter, fit)
    index = fit.arrays.names.index(parameter)
    best, sigma = float(fit.arrays.values[0, index]), float(fit.arrays.stderr[0, index])
    threshold, unit = _threshold(fit, level)
    least = float(fit.cost[0])
    for _ in range(3):  # a lower minimum may turn up on the way
        ends, curve, lowest = _search(cost, best, sigma, least, threshold, low, high)
        if lowest is None:
            break
        best, least = lowest
    units = model_units(model, ready)
    attrs = {"units": units[parameter]} if parameter in units else {}
    out = xr.Dataset(
        {
            parameter: ((), best, {**attrs, "long_name": parameter}),
            stderr_name(parameter): ((), sigma, {**attrs, "long_name": f"σ of {parameter}"}),
            f"{parameter}_lower": ((), ends[0], {**attrs, "long_name": f"{parameter}, lower end"}),
            f"{parameter}_upper": ((), ends[1], {**attrs, "long_name": f"{parameter}, upper end"}),
            "delta_chisqr": (POINT, curve[1] / unit, names.attrs("delta_chisqr")),
        },
        {f"{parameter}_trial": (POINT, curve[0], {**attrs, "long_name": parameter})},
        {"level": level},
    )
    out.attrs["summary"] = _words(parameter, best, ends, level, low, high)
    return add_history(out, f"profile_interval({model.name}, '{parameter}', level={level:g})")


def _check(
    fit: Fitted, parameter: str, params: Any, model: Model, fixed: Mapping[str, float]
) -> None:
    if parameter not in fit.arrays.names:
        raise DataError(
            _ACTION,
            f"'parameter' is '{parameter}', not one of {', '.join(fit.arrays.names)}",
        )
    known = (model.make_params() if params is None else params)[parameter]
    if known.expr is not None or not known.vary or parameter in fixed:
        raise DataError(
            _ACTION, f"'{parameter}' is fixed or tied, not free", "Name a parameter that is fitted."
        )
    if fit.arrays.status[0] >= NO_SIGNAL and not np.isfinite(fit.cost[0]):
        raise DataError(_ACTION, "the trace could not be fitted", "Look at fit_model first.")


def _threshold(fit: Fitted, level: float) -> tuple[float, float]:
    """Rise of the cost at the ends, and the cost that counts as one unit of χ²."""
    from scipy.stats import chi2, f

    if fit.sigma_known:
        return float(chi2.ppf(level, 1)), 1.0
    left = float(fit.labels.n_points[0]) - float(np.asarray(fit.arrays.n_free))
    if left < 1:
        raise DataError(_ACTION, "there are as many parameters as points", "Give 'stderr'.")
    unit = float(fit.arrays.chisqr[0]) / left
    return float(f.ppf(level, 1, left)) * unit, unit


def _profile(
    ready: Prepared,
    model: Model,
    params: Parameters | None,
    counts: Noise | None,
    fixed: Mapping[str, float],
    parameter: str,
    fit: Fitted,
) -> tuple[Cost, float, float]:
    """Function from trial values to the least cost with the parameter held there; its bounds."""
    given, params = fixed_values(fixed, params, model, ready, _ACTION)
    job = make_job(ready, model, params, given, counts, "linear")
    start = job.template.copy()
    for name, value in zip(fit.arrays.names, fit.arrays.values[0], strict=True):
        if start[name].expr is None and np.isfinite(value):
            start[name].set(value=float(value))
    low, high = float(start[parameter].min), float(start[parameter].max)
    job = replace(
        job, params=start, template=start, fixed=(*job.fixed, parameter),
    )  # fmt: skip
    n = ready.x.size
    sigma = None
    if ready.sigma is not None:
        sigma = ready.sigma.broadcast_like(ready.data).values.reshape(1, n)
    y, s = rows_of(ready.data.values.reshape(1, n), sigma, _ACTION)
    held = [float(g.values) for g in given.values()]

    def cost(trial: Floats) -> tuple[Floats, Floats]:
        rows = trial.size
        table = np.column_stack([np.tile(held, (rows, 1)), trial])
        raw = fit_rows(
            job,
            np.repeat(y, rows, axis=0),
            None if s is None else np.repeat(s, rows, axis=0),
            table,
        )
        good = (raw.code == CONVERGED) & np.isfinite(raw.cost)
        return np.where(good, raw.cost, np.inf), raw.values

    return cost, low, high


def _search(
    cost: Cost,
    best: float,
    sigma: float,
    least: float,
    threshold: float,
    low: float,
    high: float,
) -> tuple[tuple[float, float], tuple[Floats, Floats], tuple[float, float] | None]:
    """Both ends, the curve between them, and a lower minimum if there is one."""
    width = high - low
    step = sigma if np.isfinite(sigma) and sigma > 0 else 0.1 * abs(best) or 1.0
    if np.isfinite(width):
        step = min(step, 0.25 * width)
    ends: list[float] = []
    for sign, limit in ((-1.0, low), (1.0, high)):
        inside, outside = best, np.nan
        for k in range(_DOUBLINGS):
            trial = best + sign * step * 2.0**k
            at_limit = sign * (trial - limit) >= 0
            trial = limit if at_limit else trial
            rise = float(cost(np.array([trial]))[0][0]) - least
            if rise < -1e-4 * threshold:
                return (np.nan, np.nan), (np.zeros(0), np.zeros(0)), (trial, rise + least)
            if rise >= threshold:
                outside = trial
                break
            inside = trial
            if at_limit:
                break
        if not np.isfinite(outside):
            ends.append(limit)
            continue
        ends.append(_root(cost, inside, outside, least, threshold))
    span = [
        e if np.isfinite(e) else best + s * 10 * step for e, s in zip(ends, (-1, 1), strict=True)
    ]
    half = _POINTS // 2
    left = best + (span[0] - best) * 1.5 * np.linspace(1.0, 0.0, half + 1)[:-1]
    right = best + (span[1] - best) * 1.5 * np.linspace(0.0, 1.0, half + 1)[1:]
    points = np.unique(np.clip(np.concatenate([left, [best], right]), low, high))
    curve = cost(points)[0] - least
    return (ends[0], ends[1]), (points, np.where(np.isfinite(curve), curve, np.nan)), None


def _root(cost: Cost, inside: float, outside: float, least: float, threshold: float) -> float:
    """Where the rise passes the threshold: eight points between the ends at a time."""
    for _ in range(_HALVINGS):
        trial = np.linspace(inside, outside, 10)[1:-1]
        rise = cost(trial)[0] - least
        above = np.flatnonzero(rise >= threshold)
        first = int(above[0]) if above.size else trial.size
        before = inside if first == 0 else float(trial[first - 1])
        outside = outside if first == trial.size else float(trial[first])
        inside = before
        if abs(outside - inside) <= _EXACT * max(abs(outside), abs(inside)):
            break
    return 0.5 * (inside + outside)


def _words(
    name: str, best: float, ends: tuple[float, float], level: float, low: float, high: float
) -> str:
    text = f"{name} = {best:.6g}, {100 * level:.0f} % between {ends[0]:.6g} and {ends[1]:.6g}"
    for end, limit, word in ((ends[0], low, "lower"), (ends[1], high, "upper")):
        if end == limit:
            text += f"; the {word} end is open" + ("" if np.isinf(end) else ", at the bound")
    return text
