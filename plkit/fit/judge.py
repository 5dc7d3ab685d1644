"""From the end of a search to a status per trace, and one line of words for all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.job import Job, Raw
from plkit.fit.marquardt import CONVERGED
from plkit.fit.plan import Plan
from plkit.fit.status import AT_BOUND, FAILED, NO_SIGNAL, NOT_IDENTIFIABLE, OK, has_change
from plkit.physics import rates

__all__ = ["Verdict", "biexponential_reasons", "judge", "order_rates", "summarise"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# Least eigenvalue of the normal matrix, with a diagonal of ones, that still tells the parameters
# apart, and distance from a bound, in units of the parameter, that counts as none.
_LEAST: Final[float] = 1e-13
_NO_ROOM: Final[float] = 1e-6


@dataclass(frozen=True, slots=True)
class Verdict:
    """Status per trace, and why traces are not identifiable.

    Parameters
    ----------
    status : numpy.ndarray of int8
        See :mod:`plkit.fit.status`.
    reasons : Counter of str
        Number of traces by reason.
    """

    status: NDArray[np.int8]
    reasons: Counter[str]


def order_rates(model: Any, plan: Plan, raw: Raw) -> None:
    """Let k1 be the faster rate where the two exponentials may exchange their names.

    Parameters
    ----------
    model : lmfit.Model
        Nothing happens unless it is plkit's biexponential.
    plan : Plan
        What was searched.
    raw : Raw
        Changed in place.

    Notes
    -----
    As ``post_fit`` of the model does after a fit by lmfit: not where one pair is fixed, tied or
    bounded differently.
    """
    for part in model.components:
        own = _biexponential_columns(part, plan)
        if own is None:
            continue
        k01, k1, k02, k2, _ = own
        free = list(plan.free)
        if not all(c in free for c in (k01, k1, k02, k2)):
            continue
        limits = [(plan.low[free.index(c)], plan.high[free.index(c)]) for c in (k01, k02, k1, k2)]
        if limits[0] != limits[1] or limits[2] != limits[3]:
            continue
        swap = np.flatnonzero(raw.values[:, k1] < raw.values[:, k2])
        order = np.arange(len(plan.names))
        order[[k01, k02, k1, k2]] = [k02, k01, k2, k1]
        raw.values[swap] = raw.values[swap][:, order]
        raw.covariance[swap] = raw.covariance[swap][:, order][:, :, order]


def _biexponential_columns(part: Any, plan: Plan) -> list[int] | None:
    from plkit.models import BiexponentialDecayModel, BiexponentialRiseModel

    if not isinstance(part, BiexponentialDecayModel | BiexponentialRiseModel):
        return None
    return [plan.names.index(f"{part.prefix}{n}") for n in rates.BIEXPONENTIAL_PARAMETERS]


def judge(job: Job, plan: Plan, raw: Raw) -> Verdict:
    """Status of every trace.

    Parameters
    ----------
    job : Job
        What was fitted.
    plan : Plan
        What was searched.
    raw : Raw
        Of all traces.

    Returns
    -------
    Verdict
        By the rules of the reference engine. Where a kernel has judged, its word stands, unless
        noise alone would give the change that was found.
    """
    reasons: Counter[str] = Counter()
    status = np.full(len(raw.values), OK, np.int8)
    alive = (raw.code == CONVERGED) & np.isfinite(raw.chisqr)
    judged = raw.verdict >= 0
    status[judged] = raw.verdict[judged].astype(np.int8)
    own = np.flatnonzero(alive & ~judged)
    if own.size and plan.n_free:
        status[own] = _judge_rows(job, plan, raw, own)
        reasons += _reasons(job, plan, raw, own[status[own] == NOT_IDENTIFIABLE])
    kernels = np.flatnonzero(alive & judged & (status == NOT_IDENTIFIABLE))
    reasons += _reasons(job, plan, raw, kernels)
    if getattr(job.model, "contains_constant", False) and plan.n_free:
        cost = raw.cost if job.gain is not None and job.gain_known else raw.chisqr
        changed = has_change(
            raw.constant, np.where(alive, cost, np.inf), raw.n_points, plan.n_free, job.sigma_known
        )
        status[alive & ~changed] = NO_SIGNAL
    status[~alive] = FAILED
    status[judged & (raw.verdict == NO_SIGNAL)] = NO_SIGNAL
    status[raw.n_points == 0] = NO_SIGNAL
    return Verdict(status, reasons)


def _judge_rows(job: Job, plan: Plan, raw: Raw, rows: NDArray[np.intp]) -> NDArray[np.int8]:
    values, covariance = raw.values[rows], raw.covariance[rows]
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    unknown = ~(np.isfinite(variance).all(axis=1) & (raw.least[rows] > _LEAST))
    for part in job.model.components:
        unknown |= ~_identifiable(part, plan, raw, rows)
    bound = _at_bound(plan, values)
    status = np.where(bound.any(axis=1), AT_BOUND, OK)
    status = np.where(unknown, NOT_IDENTIFIABLE, status)
    return status.astype(np.int8)


def _at_bound(plan: Plan, values: Floats) -> Bools:
    own = values[:, plan.free]
    start = np.abs(plan.value[plan.free])
    start = np.where(np.isfinite(start), start, 0.0)  # where every row has a guess of its own
    scale = np.maximum(np.maximum(np.abs(own), start), 1e-300)
    width = plan.high - plan.low
    scale = np.where(np.isfinite(width), width, scale)
    with np.errstate(invalid="ignore"):
        room = np.minimum(own - plan.low, plan.high - own)
    return np.asarray(room <= _NO_ROOM * scale)


def _correlation(covariance: Floats) -> tuple[Floats, Bools]:
    """Correlations, and True where every parameter has a finite σ above zero."""
    sigma = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    fine = np.asarray(np.isfinite(covariance).all(axis=(1, 2)) & (sigma > 0).all(axis=1))
    safe = np.where(fine[:, None], sigma, 1.0)
    matrix = np.where(fine[:, None, None], covariance, np.eye(sigma.shape[1]))
    return matrix / (safe[:, :, None] * safe[:, None, :]), fine


def _identifiable(part: Any, plan: Plan, raw: Raw, rows: NDArray[np.intp]) -> Bools:
    """What the model itself says, where it says anything."""
    own = _biexponential_columns(part, plan)
    if own is not None:
        return rates.biexponential_is_identifiable(
            raw.values[rows][:, own],
            raw.covariance[rows][:, own][:, :, own],
            (raw.last - raw.first)[rows],
        )
    ask = getattr(part, "is_identifiable", None)
    if ask is None:
        return np.ones(rows.size, dtype=bool)
    out = np.empty(rows.size, dtype=bool)
    order = list(plan.names)
    for i, row in enumerate(rows):
        values = dict(zip(order, raw.values[row].tolist(), strict=True))
        record = np.array([raw.first[row], raw.last[row]])
        out[i] = ask(values, raw.covariance[row], order, record)
    return out


def _reasons(job: Job, plan: Plan, raw: Raw, rows: NDArray[np.intp]) -> Counter[str]:
    """Why traces do not determine their parameters: the first reason that holds, counted."""
    out: Counter[str] = Counter()
    left = rows
    if left.size == 0:
        return out
    for part in job.model.components:
        own = _biexponential_columns(part, plan)
        if own is None:
            continue
        reasons, rest = biexponential_reasons(
            tuple(plan.names[i] for i in own),
            raw.values[left][:, own],
            raw.covariance[left][:, own][:, :, own],
            (raw.last - raw.first)[left],
        )
        out += reasons
        left = left[rest]
    if left.size == 0:
        return +out
    free = raw.covariance[left][:, plan.free][:, :, plan.free]
    names = plan.free_names
    lost = np.isnan(np.diagonal(free, axis1=1, axis2=2))
    some = lost.any(axis=1) & ~lost.all(axis=1)
    for row in lost[some]:
        out[f"no effect of {', '.join(n for n, gone in zip(names, row, strict=True) if gone)}"] += 1
    matrix, fine = _correlation(free)
    pair = fine & (len(names) > 1)
    off = np.abs(matrix - np.eye(len(names)))
    where = off.reshape(len(off), -1).argmax(axis=1)[pair]
    for i, n in zip(*np.unique(where, return_counts=True), strict=True):
        first, second = sorted(divmod(int(i), len(names)))
        out[f"{names[first]} ≈ {names[second]}"] += int(n)
    out["no σ"] += int((~some & ~pair).sum())
    return +out


def biexponential_reasons(
    names: tuple[str, ...], values: Floats, covariance: Floats, record_s: Floats
) -> tuple[Counter[str], Bools]:
    """Why traces do not determine two exponentials, in the words of their parameters.

    Parameters
    ----------
    names : tuple of str
        Of k01, k1, k02, k2, plateau.
    values, covariance : numpy.ndarray
        Shape (rows, 5) and (rows, 5, 5).
    record_s : numpy.ndarray
        Shape (rows,): from the first to the last point [s].

    Returns
    -------
    tuple
        Number of traces by the first reason that holds; True for traces for which none does.
    """
    out: Counter[str] = Counter()
    k01, k1, k02, k2 = values[:, :4].T
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        spread = (sigma[:, 1] / k1) ** 2 + (sigma[:, 3] / k2) ** 2
        spread -= 2.0 * covariance[:, 1, 3] / (k1 * k2)
        apart = np.log(k1 / k2) > np.sqrt(np.maximum(spread, 0.0))
        found = (
            (~(k01 > sigma[:, 0]), f"{names[0]} within its σ of zero"),
            (~(k02 > sigma[:, 2]), f"{names[2]} within its σ of zero"),
            (~apart, f"{names[1]} ≈ {names[3]}"),
            (k2 * record_s < 1.0, f"1/{names[3]} longer than the record"),
        )
    rest = np.ones(len(values), dtype=bool)
    for holds, text in found:
        out[text] += int((holds & rest).sum())
        rest &= ~holds
    return +out, rest


def summarise(status: NDArray[np.int8], reasons: Counter[str], noun: str = "traces") -> str:
    """Say in one line what the fits are worth.

    Parameters
    ----------
    status : numpy.ndarray of int8
        Of every trace.
    reasons : Counter of str
        Why traces are not identifiable, the commonest first.
    noun : str, optional
        What the traces are called.

    Returns
    -------
    str
        Such as "412 of 40000 pixels not identifiable: k1 ≈ k2".

    Examples
    --------
    >>> summarise(np.array([0, 0, 2, 3], np.int8), Counter({"k1 ≈ k2": 1}), "pixels")
    '1 of 4 pixels not identifiable: k1 ≈ k2; 1 without signal'
    """
    total = status.size
    counts = np.bincount(status, minlength=5)
    parts = []
    if counts[NOT_IDENTIFIABLE]:
        common = reasons.most_common(2)
        if len(reasons) == 1:
            why = common[0][0]
        else:
            why = ", ".join(f"{text} ({n})" for text, n in common)
            rest = sum(reasons.values()) - sum(n for _, n in common)
            why += f", other ({rest})" if rest else ""
        parts.append((counts[NOT_IDENTIFIABLE], "not identifiable" + (f": {why}" if why else "")))
    for value, words in (
        (AT_BOUND, "at a bound"),
        (NO_SIGNAL, "without signal"),
        (FAILED, "failed"),
    ):
        if counts[value]:
            parts.append((counts[value], words))
    if not parts:
        return f"all {total} {noun} ok" if total > 1 else "ok"
    texts = [f"{n} {words}" for n, words in parts]
    texts[0] = f"{parts[0][0]} of {total} {noun} {parts[0][1]}"
    return "; ".join(texts)
