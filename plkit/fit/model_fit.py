"""One function that fits any lmfit Model to every trace of an array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import xarray as xr
from numpy.typing import ArrayLike

from plkit.errors import DataError
from plkit.fit.lmfit_engine import fit_with_lmfit
from plkit.fit.result import FitArrays, assemble
from plkit.fit.traces import Traces, stack_traces
from plkit.schema import add_history

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["ENGINES", "Engine", "fit_model"]

Engine = Callable[[Traces, "Model", "Parameters | None", bool, str], FitArrays]

ENGINES: Final[dict[str, Engine]] = {"lmfit": fit_with_lmfit}
"""Engines by name. A new one takes traces, model, params, progress, action and gives FitArrays."""


def fit_model(
    data: xr.DataArray,
    model: Model,
    dim: str,
    params: Parameters | None = None,
    *,
    stderr: xr.DataArray | ArrayLike | None = None,
    units: Mapping[str, str] | None = None,
    engine: str = "lmfit",
    progress: bool = False,
) -> xr.Dataset:
    """Fit a model along one dimension, for every position along the others.

    Parameters
    ----------
    data : xarray.DataArray
        Dims (…, dim), in any order; NaN is a gap.
    model : lmfit.Model
        Any Model, composites too; its first independent variable is the coordinate ``dim``.
    dim : str
        Dimension along which to fit.
    params : lmfit.Parameters, optional
        Starting values, bounds, fixed and tied parameters, the same for every trace. By default
        ``model.guess`` gives the starting values of each trace, and a model that has ``starts``,
        as those of plkit, is tried from several.
    stderr : xarray.DataArray or array_like, optional
        One σ of every point, in the unit of the data. With it, σ of the parameters follows from it
        alone (lmfit's ``scale_covar=False``); without it, σ is scaled by √(χ²/ν).
    units : Mapping of str to str, optional
        Units of parameters. The models of :mod:`plkit.models` state them themselves.
    engine : {"lmfit"}, optional
        What does the fitting. ``"lmfit"`` is the reference.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        For every parameter p the variables ``p`` and ``p_stderr`` [unit of p], with the dims of the
        data without ``dim``; ``covariance`` (…, param_i, param_j) [each in its own unit];
        ``chisqr``, ``redchi``, ``aic``, ``bic``, ``nfev`` [1]; ``fit_status``: 0 ok, 1 at_bound,
        2 not_identifiable, 3 no_signal, 4 failed. Values are kept for 0 to 2, NaN for 3 and 4.

    Raises
    ------
    DataError
        If the dimension, the parameters or the engine do not fit the data. A single trace never
        raises: it has a status.
    UnitsError
        If ``stderr`` has another unit than the data.

    See Also
    --------
    plkit.fit_kinetics : The biexponential, some hundred times faster.

    Notes
    -----
    χ² = Σ [(data − model)/σ]², σ = 1 where none is given; AIC = n ln(χ²/n) + 2 p and
    BIC = n ln(χ²/n) + p ln n, as in lmfit. A fixed parameter has σ = 0, a tied one the propagated σ.

    Examples
    --------
    >>> import numpy as np
    >>> from lmfit.models import LinearModel
    >>> x = np.arange(5.0)
    >>> y = xr.DataArray([2 * x + 1, 3 * x - 1], dims=("y", "time"), coords={"time": x})
    >>> fit_model(y, LinearModel(), "time", stderr=0.1).slope.round(6).values.tolist()
    [2.0, 3.0]
    """
    action = "fit the model"
    if engine not in ENGINES:
        raise DataError(
            action,
            f"'engine' is '{engine}', not one of {', '.join(ENGINES)}",
            'Use engine="lmfit".',
        )
    traces = stack_traces(data, dim, stderr, action)
    arrays = ENGINES[engine](traces, model, params, progress, action)
    known = _model_units(model, traces)
    known.update(units or {})
    out = assemble(arrays, traces, known, action)
    return add_history(out, f"fit_model({model.name}, dim='{dim}', engine='{engine}')")


def _model_units(model: Model, traces: Traces) -> dict[str, str]:
    """Units that the parts of a model state for data and axis of given units."""
    out: dict[str, str] = {}
    for part in model.components:
        state = getattr(part, "parameter_units", None)
        if state is not None:
            out.update(
                {f"{part.prefix}{n}": u for n, u in state(traces.unit, traces.x_unit).items()}
            )
    return {name: unit for name, unit in out.items() if unit}
