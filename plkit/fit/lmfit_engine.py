"""The reference engine: lmfit, one trace after the other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError, PlkitWarning
from plkit.fit.plan import plan_parameters
from plkit.fit.result import FitArrays
from plkit.fit.status import AT_BOUND, FAILED, NO_SIGNAL, NOT_IDENTIFIABLE, OK, has_change
from plkit.fit.traces import Traces

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["fit_with_lmfit", "has_guess", "template_of"]

Floats = NDArray[np.float64]

# MINPACK's codes 6 to 8 say that no step can lower χ² further: as good as converged.
_CONVERGED = frozenset({1, 2, 3, 4, 6, 7, 8})
# Per parameter: twice what the hardest certified fit takes; a flat valley would go on for minutes.
_EVALUATIONS: Final = 400
_RELATIVE_STEP: Final = float(np.finfo(float).eps ** (1.0 / 3.0))
# What a model may raise at unlucky parameters, or lmfit when it meets NaN.
_NUMERICAL = (ValueError, ArithmeticError, np.linalg.LinAlgError)


def fit_with_lmfit(
    traces: Traces,
    model: Model,
    params: Parameters | None,
    progress: bool,
    action: str,
    fixed: Mapping[str, Floats] | None = None,
) -> FitArrays:
    """Fit every trace by ``model.fit``.

    Parameters
    ----------
    traces : Traces
        What to fit.
    model : lmfit.Model
        Any model whose first independent variable is the coordinate.
    params : lmfit.Parameters, optional
        The same starting values, bounds and ties for all traces. None: ``model.guess`` per trace,
        and every start that ``model.starts`` offers.
    progress : bool
        Show a progress bar.
    action : str
        The words after "Cannot" in errors.
    fixed : Mapping, optional
        Values of shape (rows,) of parameters that are fixed trace by trace.

    Returns
    -------
    FitArrays
        With the covariance scaled by χ²/ν where no σ was given.
    """
    from tqdm import tqdm

    template = template_of(model, params, action)
    fixed = fixed or {}
    if fixed:
        plan_parameters(template, fixed, action)  # refuses unknown names
    order = tuple(template)
    size, rows = len(order), traces.rows
    values, covariance = np.full((rows, size), np.nan), np.full((rows, size, size), np.nan)
    chisqr, nfev = np.full(rows, np.nan), np.zeros(rows, np.int64)
    status = np.full(rows, FAILED, np.int8)
    n_free = sum(p.vary and p.expr is None and n not in fixed for n, p in template.items())
    constant = traces.chisqr_constant() if getattr(model, "contains_constant", False) else None
    complaint = ""
    for row in tqdm(range(rows), desc="fit", unit="trace", disable=not progress):
        good = np.isfinite(traces.signal[row])
        n = int(good.sum())
        if n == 0:
            status[row] = NO_SIGNAL
            continue
        if n < n_free:
            continue
        y, x = traces.signal[row, good], traces.x[good]
        weight = None if traces.sigma is None else 1.0 / traces.sigma[row, good]
        held = {name: float(value[row]) for name, value in fixed.items()}
        if not all(map(np.isfinite, held.values())):
            continue
        result, complaint = _best_fit(model, params, y, x, weight, complaint, held)
        if result is None:
            continue
        chisqr[row], nfev[row] = result.chisqr, result.nfev
        values[row] = [result.params[name].value for name in order]
        exact = weight is None and n == n_free  # no scatter left to take σ from
        covariance[row] = _full_covariance(result, order, known=not exact)
        status[row] = _status(model, result, covariance[row], x)
        if constant is not None and not has_change(
            constant[row], result.chisqr, n, n_free, weight is not None
        ):
            status[row] = NO_SIGNAL
    if complaint and np.all(status >= NO_SIGNAL):
        warnings.warn(f"no trace could be fitted: {complaint}", PlkitWarning, stacklevel=4)
    return FitArrays(order, values, covariance, chisqr, n_free, nfev, status)


def template_of(model: Model, params: Parameters | None, action: str) -> Parameters:
    """Parameters as they are before any fit: names, bounds, ties."""
    first = model.independent_vars[0]
    others = [v for v in model.independent_vars if v not in {first, *model.opts}]
    others = [v for v in others if v not in getattr(model, "independent_vars_defvals", {})]
    if others:
        raise DataError(
            action,
            f"the model needs the independent variables {', '.join(others)} beside '{first}'",
            "Give them when the model is made: Model(function, <name>=value).",
        )
    if params is None:
        template = model.make_params()
        if not has_guess(model):
            _refuse_unset(template, "the model has no 'guess', and", action)
        return template
    missing = [name for name in model.param_names if name not in params]
    if missing:
        raise DataError(
            action,
            f"'params' lacks {', '.join(missing)}",
            "Start from model.make_params().",
        )
    _refuse_unset(params, "in 'params'", action)
    return params


def _refuse_unset(params: Parameters, where: str, action: str) -> None:
    unset = [
        n for n, p in params.items() if p.expr is None and not np.isfinite(_value_or_nan(p.value))
    ]
    if unset:
        raise DataError(
            action,
            f"{where} {', '.join(unset)} has no starting value",
            f"Give one: params = model.make_params({unset[0]}=...).",
        )


def _value_or_nan(value: Any) -> float:
    return np.nan if value is None else float(value)


def has_guess(model: Model) -> bool:
    """A composite of models has no guess; nor has a Model of a plain function."""
    from lmfit import Model

    return type(model).guess is not Model.guess


def _starts(model: Model, params: Parameters | None, y: Floats, x: Floats) -> Iterator[Parameters]:
    if params is not None:
        yield params
        return
    if not has_guess(model):
        yield model.make_params()
        return
    yield model.guess(y, **{model.independent_vars[0]: x})
    offered = getattr(model, "starts", None)
    if offered is not None:
        yield from offered(y, x)


def _best_fit(
    model: Model,
    params: Parameters | None,
    y: Floats,
    x: Floats,
    weight: Floats | None,
    complaint: str,
    held: Mapping[str, float],
) -> tuple[Any, str]:
    """Lowest χ² of all starts; None where no start came to an end."""
    best = None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.filterwarnings("ignore", "Using UFloat objects", UserWarning)
        for offered in _starts(model, params, y, x):
            start = offered.copy() if held else offered
            for name, value in held.items():
                start[name].set(value=value, vary=False)
            try:
                result = model.fit(
                    y,
                    start,
                    weights=weight,
                    scale_covar=weight is None,
                    max_nfev=_EVALUATIONS * (len(start) + 1),
                    fit_kws={"ftol": 1e-13, "xtol": 1e-13, "Dfun": _Jacobian(model)},
                    **{model.independent_vars[0]: x},
                )
            except _NUMERICAL as error:
                complaint = str(error).splitlines()[0] if str(error) else type(error).__name__
                continue
            converged = result.ier in _CONVERGED and np.isfinite(result.chisqr)
            if converged and (best is None or result.chisqr < best.chisqr):
                best = result
    return best, complaint


class _Jacobian:
    """Central differences of lmfit's residual, for minimum and σ to more digits than forward ones.

    Parameters
    ----------
    model : lmfit.Model
        Whose residual (data − model)·weight is differentiated.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def __call__(
        self, params: Parameters, data: Floats, weights: Floats | None, **kwargs: Any
    ) -> Floats:
        """Return the derivatives with respect to the varied parameters, one per column."""
        columns = []
        for p in [p for p in params.values() if p.vary and p.expr is None]:
            value = p.value
            step = _RELATIVE_STEP * max(abs(value), 1e-3 * abs(_value_or_nan(p.init_value)), 1e-30)
            ends = []
            for sign in (1.0, -1.0):
                p.value = value + sign * step
                ends.append((p.value, self._model._residual(params, data, weights, **kwargs)))
            p.value = value
            # A bound may have clipped one end: divide by the way that was really gone.
            gone = ends[0][0] - ends[1][0]
            columns.append((ends[0][1] - ends[1][1]) / gone if gone else np.zeros(data.shape))
        return np.stack(columns, axis=-1)


def _full_covariance(result: Any, order: tuple[str, ...], known: bool) -> Floats:
    """Covariance of all parameters: ties by propagation, zero for fixed ones, NaN if not known."""
    size = len(order)
    if result.covar is None or not known:
        out = np.zeros((size, size))
        for i, name in enumerate(order):
            if result.params[name].vary or result.params[name].expr is not None:
                out[i, :] = out[:, i] = np.nan
        return out
    covar = np.asarray(result.covar, dtype=np.float64)
    jacobian = np.zeros((size, len(result.var_names)))
    for j, name in enumerate(result.var_names):
        if name in order:
            jacobian[order.index(name), j] = 1.0
    tied = [(i, n) for i, n in enumerate(order) if result.params[n].expr is not None]
    if tied:
        probe = result.params.copy()
        for j, name in enumerate(result.var_names):
            value, sigma = probe[name].value, float(np.sqrt(max(covar[j, j], 0.0)))
            step = 1e-4 * sigma if 0.0 < sigma < np.inf else 1e-6 * max(abs(value), 1e-12)
            ends = []
            for sign in (1.0, -1.0):
                probe[name].value = value + sign * step
                ends.append((probe[name].value, [probe[n].value for _, n in tied]))
            probe[name].value = value
            # A bound may have clipped one end: divide by the way that was really gone.
            gone = ends[0][0] - ends[1][0]
            for (i, _), up, down in zip(tied, ends[0][1], ends[1][1], strict=True):
                jacobian[i, j] = (up - down) / gone if gone else 0.0
    return np.asarray(jacobian @ covar @ jacobian.T)


def _status(model: Model, result: Any, covariance: Floats, x: Floats) -> int:
    """OK, at a bound, or not identifiable."""
    varied = [p for p in result.params.values() if p.vary and p.expr is None]
    order = [*result.params]
    sigma = [np.nan if p.stderr is None else float(p.stderr) for p in varied]
    judge = getattr(model, "is_identifiable", None)
    if judge is not None:
        values = np.array([result.params[n].value for n in order])
        if not judge(dict(zip(order, values, strict=True)), covariance, order, x):
            return NOT_IDENTIFIABLE
    known = np.all(np.isfinite(sigma)) and np.all(np.isfinite(np.diagonal(covariance)))
    if varied and not (known and _well_conditioned(np.asarray(result.covar))):
        return NOT_IDENTIFIABLE
    return AT_BOUND if any(_at_bound(p) for p in varied) else OK


def _well_conditioned(covar: Floats) -> bool:
    """Tell whether no combination of parameters is free: their correlations leave full rank."""
    sigma = np.sqrt(np.diagonal(covar))
    if not np.all(sigma > 0):
        return not np.any(sigma)  # σ = 0 throughout: a perfect fit, scaled by χ² = 0
    return bool(np.linalg.eigvalsh(covar / np.outer(sigma, sigma))[0] > 1e-13)


def _at_bound(p: Any) -> bool:
    scale = max(abs(_value_or_nan(p.init_value)), abs(p.value), 1e-300)
    if np.isfinite(p.min) and np.isfinite(p.max):
        scale = p.max - p.min
    return bool(p.value - p.min <= 1e-6 * scale or p.max - p.value <= 1e-6 * scale)
