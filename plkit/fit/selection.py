"""Several models, each trace with the one that its data ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.fit.door import Noise
from plkit.fit.model_fit import Fitted, fit_prepared, model_units, noun
from plkit.fit.result import FitArrays, assemble
from plkit.fit.status import FAILED, NO_SIGNAL
from plkit.fit.traces import Prepared

if TYPE_CHECKING:
    from lmfit import Model

__all__ = ["fit_best"]

Floats = NDArray[np.float64]

_ACTION: Final = "choose a model"


def fit_best(
    ready: Prepared,
    models: Sequence[Model],
    params: Any,
    counts: Noise | None,
    fixed: Mapping[str, xr.DataArray | float],
    loss: str,
    engine: str,
    progress: bool,
) -> xr.Dataset:
    """Fit every model and keep, trace by trace, the one with the lowest BIC.

    Parameters
    ----------
    ready : Prepared
        Data and σ.
    models : sequence of lmfit.Model
        At least one.
    params : sequence or None
        Parameters per model.
    counts : Noise or None
        Of counts.
    fixed, loss, engine, progress
        As for :func:`plkit.fit_model`; values are held in the models that have the parameter.

    Returns
    -------
    xarray.Dataset
        Parameters of all models, NaN where a trace has another; ``model_index`` and
        ``bic_margin``.

    Notes
    -----
    BIC = χ² + p ln n where σ is known (for counts with the deviance), n ln(χ²/n) + p ln n
    elsewhere.
    """
    if not models:
        raise DataError(_ACTION, "'model' is an empty list", "Give at least one model.")
    if params is None:
        params = [None] * len(models)
    if not isinstance(params, Sequence) or len(params) != len(models):
        raise DataError(
            _ACTION,
            f"'params' does not have one entry for each of {len(models)} models",
            "Give a list of the same length, None for a model that guesses.",
        )
    unknown = [n for n in fixed if not any(n in m.make_params() for m in models)]
    if unknown:
        raise DataError(_ACTION, f"'fixed' names '{unknown[0]}', which no model has")
    fits = []
    for model, own in zip(models, params, strict=True):
        known = model.make_params() if own is None else own
        held = {n: v for n, v in fixed.items() if n in known}
        fits.append(fit_prepared(ready, model, own, counts, held, loss, engine, progress))
    return _assemble(ready, models, fits)


def _bic(fit: Fitted) -> Floats:
    n = fit.labels.n_points.astype(np.float64)
    p = np.asarray(fit.arrays.n_free, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if fit.sigma_known:
            out = fit.cost + p * np.log(n)
        else:
            safe = np.maximum(fit.cost, np.finfo(float).tiny)
            out = n * np.log(safe / n) + p * np.log(n)
    return np.where((fit.arrays.status == FAILED) | ~np.isfinite(out), np.inf, out)


def _assemble(ready: Prepared, models: Sequence[Model], fits: list[Fitted]) -> xr.Dataset:
    bic = np.stack([_bic(f) for f in fits])
    order = np.sort(bic, axis=0)
    best = bic.argmin(axis=0)
    found = np.isfinite(order[0])
    every = list(dict.fromkeys(n for f in fits for n in f.arrays.names))
    rows, k = best.size, len(every)
    values, covariance = np.full((rows, k), np.nan), np.full((rows, k, k), np.nan)
    chisqr, n_free = np.full(rows, np.nan), np.zeros(rows)
    status = np.full(rows, FAILED, np.int8)
    for i, fit in enumerate(fits):
        at = np.array([every.index(n) for n in fit.arrays.names], dtype=np.intp)
        mine = np.flatnonzero(best == i)
        values[mine[:, None], at] = fit.arrays.values[mine]
        covariance[mine[:, None, None], at[:, None], at] = fit.arrays.covariance[mine]
        chisqr[mine] = fit.arrays.chisqr[mine]
        n_free[mine] = np.broadcast_to(fit.arrays.n_free, (rows,))[mine]
        status[mine] = fit.arrays.status[mine]
    nfev = np.sum([f.arrays.nfev for f in fits], axis=0)
    arrays = FitArrays(tuple(every), values, covariance, chisqr, n_free, nfev, status)
    labels = fits[0].labels
    out = assemble(arrays, labels, _units(models, ready), _ACTION)
    told = _names(models)
    credible = found & (status < NO_SIGNAL)
    index = np.where(credible, best, -1).astype(np.int8)
    out["model_index"] = labels.label(
        index,
        **names.attrs("model_index"),
        flag_values=np.arange(-1, len(models), dtype=np.int8),
        flag_meanings=" ".join(["none", *told]),
    )
    with np.errstate(invalid="ignore"):
        margin = order[1] - order[0] if len(fits) > 1 else np.full(rows, np.nan)
    margin = np.where(credible & np.isfinite(margin), margin, np.nan)
    out["bic_margin"] = labels.label(margin, **names.attrs("bic_margin"))
    counts = Counter(told[i] for i in index[index >= 0])
    parts = [f"{n} {name}" for name, n in counts.most_common()]
    lost = int(np.sum(index < 0))
    if lost:
        parts.append(f"{lost} none")
    out.attrs["summary"] = f"{rows} {noun(ready)}: {', '.join(parts)}"
    return out


def _units(models: Sequence[Model], ready: Prepared) -> dict[str, str]:
    out: dict[str, str] = {}
    for model in models:
        for name, unit in model_units(model, ready).items():
            if out.setdefault(name, unit) != unit:
                raise DataError(
                    _ACTION,
                    f"the parameter '{name}' has the unit {out[name]} in one model and {unit} in "
                    "another",
                    'Give one of them a prefix, for instance prefix="p_".',
                )
    return out


def _names(models: Sequence[Model]) -> list[str]:
    """A word for every model, all different."""
    words = []
    for model in models:
        parts = []
        for part in model.components:
            own = type(part).__name__
            if own in ("Model", "ExpressionModel"):
                own = getattr(part.func, "__name__", own).strip("<>_")
            parts.append(f"{part.prefix}{own.removesuffix('Model')}")
        words.append("+".join(parts))
    return [
        w if words.count(w) == 1 else f"{w}_{words[: i + 1].count(w)}" for i, w in enumerate(words)
    ]
