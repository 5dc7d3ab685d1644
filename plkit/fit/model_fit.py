"""One function that fits any lmfit Model to every trace of an array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from plkit.errors import DataError, PlkitWarning
from plkit.fit.door import Noise, fixed_values, select_data
from plkit.fit.job import Job
from plkit.fit.judge import judge, order_rates, summarise
from plkit.fit.objective import LOSSES, CountNoise
from plkit.fit.result import FitArrays, assemble
from plkit.fit.status import FAILED, NO_SIGNAL
from plkit.fit.traces import Labels, Prepared, prepare, stack_traces
from plkit.names import X, Y
from plkit.schema import add_history

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["ENGINES", "fit_model", "fit_prepared"]

ENGINES: Final = ("batched", "lmfit")
_ACTION: Final = "fit the model"

Loss = Literal["linear", "soft_l1", "huber", "cauchy"]


def fit_model(
    data: xr.DataArray | xr.Dataset,
    model: Model | Sequence[Model],
    dim: str,
    params: Parameters | Sequence[Parameters | None] | None = None,
    *,
    stderr: xr.DataArray | ArrayLike | None = None,
    fixed: Mapping[str, xr.DataArray | float] | None = None,
    noise: Literal["poisson"] | CountNoise | None = None,
    loss: Loss = "linear",
    rates: Literal["free", "shared"] | xr.DataArray = "free",
    units: Mapping[str, str] | None = None,
    engine: Literal["batched", "lmfit"] = "batched",
    progress: bool = False,
) -> xr.Dataset:
    """Fit a model along one dimension, for every position along the others.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        Dims (…, dim), in any order; NaN is a gap. Of a dataset its ``intensity``, with
        ``noise_gain`` and ``noise_floor``. Dask arrays are read chunk by chunk; the result, much
        smaller, is in memory.
    model : lmfit.Model or sequence of them
        Any Model, composites too; its first independent variable is the coordinate ``dim``. Of
        several, each trace takes the one with the lowest BIC.
    dim : str
        Dimension along which to fit.
    params : lmfit.Parameters, optional
        Starting values, bounds, fixed and tied parameters, the same for every trace. By default
        ``model.guess`` gives the starting values of each trace, and a model that has ``starts``,
        as those of plkit, is tried from several. One per model where there are several models.
    stderr : xarray.DataArray or array_like, optional
        One σ of every point, in the unit of the data. With it, σ of the parameters follows from it
        alone (lmfit's ``scale_covar=False``); without it, σ is scaled by √(χ²/ν).
    fixed : Mapping, optional
        Values at which parameters are held: numbers, or arrays over the dims of the data without
        ``dim``, for values that differ from trace to trace.
    noise : {"poisson"} or CountNoise, optional
        Maximum likelihood for counts: weights from the model, variance = gain · model + floor.
        ``"poisson"`` takes gain and floor from the dataset, or warns and takes 1 and 0 with σ
        scaled by √(χ²/ν). Not together with ``stderr``.
    loss : {"linear", "soft_l1", "huber", "cauchy"}, optional
        How far points count: squared, or less beyond 1.3 σ (2.4 σ for ``"cauchy"``). Without σ
        the median residual stands for it.
    rates : {"free", "shared"} or xarray.DataArray, optional
        ``"shared"``: one value of every non-linear parameter for all traces; labels over some of
        the outer dims: one value per label. Linear parameters, such as amplitudes and offsets,
        stay free.
    units : Mapping of str to str, optional
        Units of parameters. The models of :mod:`plkit.models` state them themselves.
    engine : {"batched", "lmfit"}, optional
        ``"batched"``: blocks of traces at once; compiled kernels without starting values for the
        models of plkit, Levenberg–Marquardt on arrays for any other. ``"lmfit"``: the reference,
        one trace after the other.
    progress : bool, optional
        Show a progress bar, and the summary at its end.

    Returns
    -------
    xarray.Dataset
        For every parameter p the variables ``p`` and ``p_stderr`` [unit of p], with the dims of the
        data without ``dim``; ``covariance`` (…, param_i, param_j) [each in its own unit];
        ``chisqr``, ``redchi``, ``aic``, ``bic``, ``nfev`` [1]; ``fit_status``: 0 ok, 1 at_bound,
        2 not_identifiable, 3 no_signal, 4 failed. Values are kept for 0 to 2, NaN for 3 and 4.
        ``attrs["summary"]`` says in one line how many traces are not ok, and why. With several
        models also ``model_index`` (named in its ``flag_meanings``) and ``bic_margin`` to the
        second best; parameters that the chosen model lacks are NaN. With shared rates also
        ``free_rates_delta_bic`` and ``free_rates_p``, which tell where free rates are justified.

    Raises
    ------
    DataError
        If the dimension, the parameters or the options do not fit the data. A single trace never
        raises: it has a status.
    UnitsError
        If ``stderr`` has another unit than the data.

    Warns
    -----
    PlkitWarning
        If no trace could be fitted at all, or the gain of counts is not known.

    See Also
    --------
    plkit.fit_kinetics : The biexponential, with everything that follows from it.
    plkit.profile_interval : Intervals where σ is no good measure.

    Notes
    -----
    χ² = Σ [(data − model)/σ]², σ = 1 where none is given; AIC = n ln(χ²/n) + 2 p and
    BIC = n ln(χ²/n) + p ln n, as in lmfit. Counts: the deviance is made small, and χ² is Pearson's.
    A robust loss is the sum Σ c² ρ([(data − model)/(c σ)]²), reported as χ²; σ of the parameters
    follows from the spread of the residuals after the loss (Huber). A fixed parameter has σ = 0, a tied one the
    propagated σ.

    A model function that takes parameters of shape (rows, 1) beside x of shape (points,) is called
    for many traces at once; most functions written with numpy do, and so do those of lmfit. Any
    other is called trace by trace, some ten times slower. Functions must not depend on the trace
    in another way than by their parameters. Derivatives are taken by differences; a model may
    offer its own as ``jacobian(x, **parameters)``, a dict of arrays by parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from lmfit.models import LinearModel
    >>> x = np.arange(5.0)
    >>> y = xr.DataArray([2 * x + 1, 3 * x - 1], dims=("y", "time"), coords={"time": x})
    >>> fit_model(y, LinearModel(), "time", stderr=0.1).slope.round(6).values.tolist()
    [2.0, 3.0]
    """
    _check_options(engine, loss, noise, rates, stderr)
    array, counts = select_data(data, noise, dim, _ACTION)
    ready = prepare(array, dim, stderr, _ACTION)
    if isinstance(model, Sequence):
        from plkit.fit.selection import fit_best

        _refuse_shared(rates, "several models")
        out = fit_best(ready, model, params, counts, fixed or {}, loss, engine, progress)
    elif isinstance(rates, str) and rates == "free":
        own = _one(params)
        out = fit_prepared(ready, model, own, counts, fixed or {}, loss, engine, progress).dataset
    else:
        from plkit.fit.shared import fit_shared

        out = fit_shared(ready, model, _one(params), counts, fixed or {}, loss, rates, progress)
    for name, unit in (units or {}).items():
        for known in (name, f"{name}_stderr"):
            if known in out:
                out[known].attrs["units"] = unit
    if progress:
        print(out.attrs["summary"])
    shown = getattr(model, "name", None) or ", ".join(m.name for m in model)
    return add_history(out, f"fit_model({shown}, dim='{dim}', engine='{engine}')")


class Fitted:
    """Result of one model.

    Parameters
    ----------
    dataset : xarray.Dataset
        As :func:`fit_model` returns it.
    arrays : FitArrays
        The same as arrays.
    cost : numpy.ndarray
        What was made small, per trace.
    labels : Labels
        Where the rows belong.
    sigma_known : bool
        Whether the cost is in units of σ².
    """

    def __init__(
        self,
        dataset: xr.Dataset,
        arrays: FitArrays,
        cost: Any,
        labels: Labels,
        sigma_known: bool,
    ) -> None:
        self.dataset, self.arrays, self.cost = dataset, arrays, cost
        self.labels, self.sigma_known = labels, sigma_known


def fit_prepared(
    ready: Prepared,
    model: Model,
    params: Parameters | None,
    counts: Noise | None,
    fixed: Mapping[str, xr.DataArray | float],
    loss: str,
    engine: str,
    progress: bool,
) -> Fitted:
    """Fit one model to checked data.

    Parameters
    ----------
    ready : Prepared
        Data and σ.
    model, params, fixed, loss, engine, progress
        As for :func:`fit_model`.
    counts : Noise or None
        Of counts.

    Returns
    -------
    Fitted
        The dataset and what it was made of.
    """
    given, params = fixed_values(fixed, params, model, ready, _ACTION)
    if engine == "lmfit":
        return _by_lmfit(ready, model, params, given, progress)
    from plkit.fit.plan import plan_parameters
    from plkit.fit.run import run

    job = make_job(ready, model, params, given, counts, loss)
    plan = plan_parameters(job.template, job.fixed, _ACTION)
    raw = run(job, ready, given, progress)
    order_rates(model, plan, raw)
    verdict = judge(job, plan, raw)
    arrays = FitArrays(
        plan.names, raw.values, raw.covariance, raw.chisqr, plan.n_free,
        raw.nfev.astype(np.int64), verdict.status,
    )  # fmt: skip
    labels = Labels(ready.outer, raw.n_points.astype(np.int64))
    out = assemble(arrays, labels, model_units(model, ready), _ACTION)
    out.attrs["summary"] = summarise(verdict.status, verdict.reasons, noun(ready))
    if np.all(verdict.status >= NO_SIGNAL) and np.any(verdict.status == FAILED):
        _complain(job, ready)
    return Fitted(out, arrays, raw.cost, labels, job.sigma_known)


def make_job(
    ready: Prepared,
    model: Model,
    params: Parameters | None,
    given: Mapping[str, xr.DataArray],
    counts: Noise | None,
    loss: str,
) -> Job:
    """Put together what workers need.

    Parameters
    ----------
    ready : Prepared
        Data and σ.
    model, params, loss
        As for :func:`fit_model`.
    given : Mapping
        Arrays of row-wise fixed parameters.
    counts : Noise or None
        Of counts.

    Returns
    -------
    Job
        Without any data.
    """
    from plkit.fit.lmfit_engine import template_of

    template = template_of(model, params, _ACTION)
    return Job(
        model, params, template, ready.x, tuple(given), ready.sigma is not None,
        None if counts is None else counts.gain, None if counts is None else counts.floor,
        counts is None or counts.known, loss,
    )  # fmt: skip


def _by_lmfit(
    ready: Prepared,
    model: Model,
    params: Parameters | None,
    given: Mapping[str, xr.DataArray],
    progress: bool,
) -> Fitted:
    from collections import Counter

    from plkit.fit.lmfit_engine import fit_with_lmfit

    traces = stack_traces(ready.data, ready.dim, ready.sigma, _ACTION)
    outer = ready.outer
    rows = {
        n: g.broadcast_like(outer).transpose(*outer.dims).values.ravel() for n, g in given.items()
    }
    arrays = fit_with_lmfit(traces, model, params, progress, _ACTION, rows)
    out = assemble(arrays, traces, model_units(model, ready), _ACTION)
    out.attrs["summary"] = summarise(arrays.status, Counter(), noun(ready))
    known = traces.sigma is not None
    return Fitted(out, arrays, arrays.chisqr, traces.labels, known)


def noun(ready: Prepared) -> str:
    """What the traces are called: pixels on a map.

    Parameters
    ----------
    ready : Prepared
        Data.

    Returns
    -------
    str
        A plural.
    """
    return "pixels" if {X, Y} <= set(map(str, ready.outer.dims)) else "traces"


def model_units(model: Model, ready: Prepared) -> dict[str, str]:
    """Units that the parts of a model state for data and axis of given units.

    Parameters
    ----------
    model : lmfit.Model
        Any.
    ready : Prepared
        Whose units count.

    Returns
    -------
    dict of str to str
        Unit by parameter, where it is known.
    """
    out: dict[str, str] = {}
    for part in model.components:
        state = getattr(part, "parameter_units", None)
        if state is not None:
            out.update({f"{part.prefix}{n}": u for n, u in state(ready.unit, ready.x_unit).items()})
    return {name: unit for name, unit in out.items() if unit}


def _one(params: Any) -> Any:
    if isinstance(params, Sequence):
        raise DataError(
            _ACTION, "'params' is a list but 'model' is not", "Give one set of parameters."
        )
    return params


def _check_options(engine: str, loss: str, noise: Any, rates: Any, stderr: Any) -> None:
    for name, found, allowed in (("engine", engine, ENGINES), ("loss", loss, LOSSES)):
        if found not in allowed:
            raise DataError(
                _ACTION,
                f"'{name}' is '{found}', not one of {', '.join(allowed)}",
                f'Use {name}="{allowed[0]}".',
            )
    if isinstance(rates, str) and rates not in ("free", "shared"):
        raise DataError(
            _ACTION, f"'rates' is '{rates}', not 'free', 'shared' or a DataArray of labels"
        )
    if noise is not None and stderr is not None:
        raise DataError(
            _ACTION,
            "both 'noise' and 'stderr' are given, not one of them",
            "Counts have their σ from the model: leave 'stderr' out.",
        )
    if noise is not None and loss != "linear":
        raise DataError(
            _ACTION,
            f"'loss' is '{loss}' beside 'noise', not 'linear'",
            "Give 'stderr' for a robust loss.",
        )
    if engine == "lmfit":
        for name, usual in (
            ("noise", noise is None), ("loss", loss == "linear"),
            ("rates", isinstance(rates, str) and rates == "free"),
        ):  # fmt: skip
            if not usual:
                raise DataError(
                    _ACTION, f"engine 'lmfit' has no option '{name}'", 'Use engine="batched".'
                )


def _refuse_shared(rates: Any, what: str) -> None:
    if not (isinstance(rates, str) and rates == "free"):
        raise DataError(
            _ACTION, f"'rates' is not 'free' for {what}", "Choose a model first, then share rates."
        )


def _complain(job: Job, ready: Prepared) -> None:
    """Say why no trace could be fitted, as far as one try can tell."""
    from plkit.fit.leaves import NUMERICAL

    text = ""
    params = job.params if job.params is not None else job.template
    if not all(np.isfinite(p.value) for p in params.values()):
        return  # every trace had a guess of its own
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = {job.model.independent_vars[0]: ready.x}
            found = np.asarray(job.model.eval(params.copy(), **start), dtype=np.float64)
        if not np.isfinite(found).all():
            text = "The model function gives values that are not finite at the starting values"
    except NUMERICAL as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if text:
        warnings.warn(f"no trace could be fitted: {text}", PlkitWarning, stacklevel=4)
