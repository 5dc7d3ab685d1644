"""plkit's own models, where the compiled kernels can fit them as the user wants them fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.describe import describe
from plkit.fit.evaluate import Evaluator
from plkit.fit.job import Job, Raw, empty_raw
from plkit.fit.marquardt import CONVERGED, NO_START
from plkit.fit.objective import Poisson
from plkit.fit.plan import Plan, plan_parameters
from plkit.fit.status import FAILED
from plkit.physics import separable
from plkit.physics.separable import SeparableModel

__all__ = ["Kernel", "add_deviance", "fit_with_kernels", "kernel_for", "snap_to_bounds"]

Floats = NDArray[np.float64]

_AMPLITUDES: Final = frozenset({"amplitude", "height", "k01", "k02", "k03"})
_BACKGROUND: Final = frozenset({"plateau", "offset"})
# Lower bounds that a logarithmic search has anyway.
_POSITIVE: Final = ("rate", "k1", "k2", "k3", "fwhm", "sigma")


@dataclass(frozen=True)
class Kernel:
    """A separable model as the user wants it fitted.

    Parameters
    ----------
    model : SeparableModel
        Without the values that differ from row to row.
    names : tuple of str
        The user's names of its parameters, in its order.
    falls : bool
        False for a rise: 1 − data is fitted.
    """

    model: SeparableModel
    names: tuple[str, ...]
    falls: bool


def _plain(model: Any) -> tuple[SeparableModel, bool] | None:
    """What the kernels call one of plkit's models, and whether it falls.

    By the exact class: one of the user may mean something else by what it inherits.
    """
    from plkit import models as known

    kind = type(model)
    if kind is known.FickProfileModel:
        return SeparableModel("fick", pixel=float(model.opts.get("pixel_um") or 0.0)), True
    if kind is known.PeaksModel:
        shape = model.func
        return SeparableModel(shape.shape, shape.n_peaks, shape.background), True
    simple: dict[type, tuple[SeparableModel, bool]] = {
        known.MonoexponentialDecayModel: (SeparableModel("exponential", 1), True),
        known.BiexponentialDecayModel: (SeparableModel("exponential", 2), True),
        known.TriexponentialDecayModel: (SeparableModel("exponential", 3), True),
        known.BiexponentialRiseModel: (SeparableModel("exponential", 2), False),
        known.StretchedDecayModel: (SeparableModel("stretched"), True),
        known.GaussianPeakModel: (SeparableModel("gaussian"), True),
        known.LorentzianPeakModel: (SeparableModel("lorentzian"), True),
        known.PseudoVoigtPeakModel: (SeparableModel("pseudo_voigt"), True),
        known.AsymmetricPeakModel: (SeparableModel("asymmetric"), True),
    }
    return simple.get(kind)


def kernel_for(job: Job) -> Kernel | None:
    """Find the kernel of a model.

    Parameters
    ----------
    job : Job
        What is to be fitted.

    Returns
    -------
    Kernel or None
        None where there is no kernel, or where it could not honour ties, bounds, fixed values or
        the noise that the user asks for.
    """
    found = _plain(job.model)
    if found is None or job.loss != "linear":
        return None
    plain, falls = found
    own = tuple(f"{job.model.prefix}{n}" for n in plain.parameter_names)
    if set(own) != set(job.template) or np.unique(job.x).size < 2:
        return None
    counted = job.gain is not None and job.floor is not None
    if counted and not (falls and _uniform(job)):
        return None
    model = _bounded(plain, own, job)
    return None if model is None else Kernel(model, own, falls)


def _uniform(job: Job) -> bool:
    """One gain and one floor for all points."""
    gain, floor = job.gain, job.floor
    return (
        gain is not None
        and floor is not None
        and bool(np.ptp(gain) == 0 and np.ptp(floor) == 0 and gain[0] > 0)
    )


def _bounded(plain: SeparableModel, own: tuple[str, ...], job: Job) -> SeparableModel | None:
    """Put bounds and fixed values into the model; None where it cannot take them."""
    signs: set[int] = set()
    background = 0
    bounds: dict[str, tuple[float, float]] = {}
    fixed: dict[str, float | Floats] = {}
    for name, full in zip(plain.parameter_names, own, strict=True):
        p = job.template[full]
        base = name.split("_")[0] if name.rpartition("_")[2].isdigit() else name
        if p.expr is not None:
            return None
        held = not p.vary or full in job.fixed
        if base in _AMPLITUDES:
            sign = _SIGNS.get((float(p.min), float(p.max)))
            if held or sign is None:
                return None
            signs.add(sign)
        elif held:
            # a value of each row is put in later
            fixed[name] = np.nan if full in job.fixed else float(p.value)
        elif base in _BACKGROUND:
            sign = _SIGNS.get((float(p.min), float(p.max)))
            if sign not in (0, 1):
                return None
            background = sign
        elif base == "slope":
            if np.isfinite(p.min) or np.isfinite(p.max):
                return None
        else:
            low = -np.inf if base in _POSITIVE and p.min <= 0.0 else float(p.min)
            bounds[name] = (low, float(p.max))
    if len(signs) != 1 or (background and plain.background != "constant"):
        return None
    if plain.family == "pseudo_voigt" and signs == {0}:
        return None
    limits = {n: b for n, b in bounds.items() if np.isfinite(b).any()}
    return replace(
        plain, amplitude_sign=signs.pop(), background_sign=background, bounds=limits, fixed=fixed
    )


# Fits with weights from the model before: enough to end at the maximum of the likelihood.
_ROUNDS: Final = 12
_SIGNS: Final = {(0.0, np.inf): 1, (-np.inf, np.inf): 0, (-np.inf, 0.0): -1}


def fit_with_kernels(
    kernel: Kernel, job: Job, y: Floats, sigma: Floats | None, given: Floats, threads: int
) -> Raw:
    """Fit rows.

    Parameters
    ----------
    kernel : Kernel
        From :func:`kernel_for`.
    job : Job
        What is to be fitted.
    y, sigma : numpy.ndarray
        Shape (rows, points); NaN in gaps.
    given : numpy.ndarray
        Shape (rows, len(job.fixed)).
    threads : int
        Number of threads.

    Returns
    -------
    Raw
        Judged by the kernel.
    """
    plan = plan_parameters(job.template, job.fixed, job.action)
    raw = empty_raw(len(y), plan)
    fixed = dict(kernel.model.fixed)
    for name, full in zip(kernel.model.parameter_names, kernel.names, strict=True):
        if full in job.fixed:
            fixed[name] = np.ascontiguousarray(given[:, job.fixed.index(full)])
    model = replace(kernel.model, fixed=fixed)
    poisson = None
    if job.gain is not None and job.floor is not None:
        poisson = separable.Poisson(float(job.gain[0]), float(job.floor[0]), rounds=_ROUNDS)
    found = separable.fit_separable(
        y if kernel.falls else 1.0 - y, job.x, model, sigma=sigma, poisson=poisson, threads=threads
    )
    at = np.array([plan.names.index(n) for n in kernel.names], dtype=np.intp)
    raw.values[:, at] = found["params"]
    raw.covariance[:, at[:, None], at] = found["covariance"]
    for name, full in zip(kernel.model.parameter_names, kernel.names, strict=True):
        if name in fixed:  # to the last bit
            column = raw.values[:, plan.names.index(full)]
            column[:] = np.where(np.isfinite(column), fixed[name], np.nan)
    snap_to_bounds(plan, raw.values)
    raw.chisqr[:] = raw.cost[:] = found["chisqr"]
    raw.nfev[:] = found["nfev"]
    counted = poisson is not None and job.deviance
    describe(job, raw, y, sigma, constant=counted)
    if not counted:
        raw.constant[:] = found["chisqr_constant"]
    verdict = found["status"]
    raw.verdict[:] = verdict
    lost = verdict == FAILED
    raw.code[:] = np.where(lost | ~np.isfinite(raw.chisqr), NO_START, CONVERGED)
    if counted:
        add_deviance(job, plan, raw, y)
    if poisson is not None and job.scaled:
        left = np.maximum(raw.n_points - plan.n_free, 1.0)
        raw.covariance *= (raw.chisqr / left)[:, None, None]
    return raw


def snap_to_bounds(plan: Plan, values: Floats) -> None:
    """Take values at a bound as the bound itself: its logarithm, which was searched, is rounded.

    Parameters
    ----------
    plan : Plan
        For the bounds.
    values : numpy.ndarray
        Shape (rows, parameters); changed in place.
    """
    for limits in (plan.low, plan.high):
        for column, limit in zip(plan.free, limits, strict=True):
            if np.isfinite(limit) and limit != 0.0:
                own = values[:, column]
                near = np.abs(own - limit) <= 1e-12 * np.abs(limit)
                own[near] = limit


def add_deviance(job: Job, plan: Plan, raw: Raw, y: Floats) -> None:
    """Likelihood of counts, for the choice of models and the test of a change.

    Parameters
    ----------
    job : Job
        With the noise of counts.
    plan : Plan
        Of the values.
    raw : Raw
        Receives it as ``cost``.
    y : numpy.ndarray
        Shape (rows, points); NaN in gaps.
    """
    assert job.gain is not None
    assert job.floor is not None
    rows = np.flatnonzero((raw.code == CONVERGED) & np.isfinite(raw.values).all(axis=1))
    if rows.size == 0:
        return
    finite = np.isfinite(y)
    objective = Poisson(np.where(finite, y, 0.0), finite, job.gain, job.floor)
    evaluator = Evaluator(job.model, job.x, plan, raw.values[rows[0]], job.action)
    size = max(1, 49_152 // max(job.x.size, 1))
    with np.errstate(all="ignore"):
        for i in range(0, rows.size, size):
            part = rows[i : i + size]
            raw.cost[part] = objective.cost(evaluator.values(raw.values[part]), part)
