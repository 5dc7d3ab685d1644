"""Fits of separable models by variable projection, compiled.

A separable model is a sum of terms, each an amplitude times a shape, on a background::

    y(x) = Σ_i a_i φ(x; θ_i) [+ offset [+ slope · x]]

For given θ the amplitudes follow from linear least squares with exact bounds, so only θ is
searched: on a coarse global grid first, which needs no starting values, then by
Levenberg–Marquardt on the projected problem. Where an amplitude or a shape is at a bound or ill
determined, other basins of the grid are searched too.

Parameter names are those of :mod:`plkit.models`, term by term, then the background:

* exponential: ``amplitude, rate, plateau`` for one term; ``k01, k1, k02, k2[, k03, k3], plateau``
  for more, with falling rates;
* stretched: ``amplitude, rate, exponent, plateau``;
* gaussian, lorentzian: ``height, centre, fwhm, offset[, slope]`` for one term; for more
  ``height_1, centre_1, fwhm_1, height_2, …, offset[, slope]``, with rising centres;
* pseudo_voigt: the same with ``lorentz_fraction`` (share of the area, 0 to 1) after ``fwhm``;
* asymmetric: the same with ``asymmetry`` after ``fwhm``;
* fick: ``amplitude, centre, sigma, offset[, slope]``.

The kernels are in :mod:`plkit.physics.separable_kernels`; numba is imported with the first fit.

References
----------
Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973), doi:10.1137/0710036; the projected Jacobian
in the form of Kaufman, BIT 15, 49 (1975), doi:10.1007/BF01932995.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.errors import DataError
from plkit.physics.separable_problem import (
    FAMILIES,
    Problem,
    SeparableModel,
    set_up,
    without_fixed_background,
)

__all__ = ["FAMILIES", "Poisson", "SeparableModel", "fit_separable"]

Floats = NDArray[np.float64]

_OK, _AT_BOUND, _NOT_IDENTIFIABLE, _NO_SIGNAL, _FAILED = range(5)
_ACTION: Final = "fit the model"
# Predicted fall of χ², relative to χ², at which the last step is taken without looking back: a
# thousandth of σ is left. Without σ the data may have next to no noise: then digits count.
_CLOSE: Final = 1e-6
_CLOSE_WITHOUT_SIGMA: Final = 1e-8
# Full widths, in units of the axis, of a peak that may stand for background and of those that are
# tried instead; and standard deviations by which χ² is too large for a good fit.
_WIDE: Final = 0.5
_NARROW: Final = 0.25
_POOR: Final = 10.0


@dataclass(frozen=True)
class Poisson:
    """Noise that follows from the model: variance = gain · expected + floor.

    Parameters
    ----------
    gain, floor : float, optional
        In the unit of the data, and in its square.
    rounds : int, optional
        Most fits, the first with weights from the data, the others with weights from the model
        before; it ends as soon as nothing moves.
    """

    gain: float = 1.0
    floor: float = 0.0
    rounds: int = 4


@dataclass(frozen=True)
class _Data:
    """Rows sorted along the axis, without a held background."""

    y: Floats
    x: Floats
    sigma: Floats
    constant: Floats | None
    slope: Floats | None


def fit_separable(
    y: ArrayLike,
    x: ArrayLike,
    model: SeparableModel,
    *,
    sigma: ArrayLike | None = None,
    poisson: Poisson | None = None,
    threads: int = 1,
) -> dict[str, NDArray[Any]]:
    """Fit every row, without starting values.

    Parameters
    ----------
    y : array_like
        Shape (rows, points); NaN is a gap.
    x : array_like
        Shape (points,), finite, in any order.
    model : SeparableModel
        What is fitted, with bounds and held values.
    sigma : array_like, optional
        One σ of every point, shape (rows, points), (points,) or (); a point whose σ is not a
        positive number is a gap.
    poisson : Poisson, optional
        Noise that follows from the model; goes without ``sigma``.
    threads : int, optional
        Number of threads that share the rows.

    Returns
    -------
    dict of numpy.ndarray
        ``params`` (rows, p) and ``covariance`` (rows, p, p) [in the units of y and x] in the order
        of ``model.parameter_names``: zero for what is held, NaN where there is no σ, scaled by
        χ²/ν only where neither σ nor ``poisson`` is given. ``chisqr`` and ``chisqr_constant``
        (rows,) [1]: Σ [(y − model)/σ]², and that of the best constant with the same weights.
        ``nfev``, ``n_points`` and ``converged`` (rows,) [1]. ``status`` (rows,): 0 ok, 1 at a bound, 2 not
        identifiable, 3 no signal (no points, or no amplitude), 4 failed. Whether noise alone would
        give as much is left to the caller.

    Raises
    ------
    DataError
        If model, shapes or noise do not fit together.

    Examples
    --------
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> y = 0.4 * np.exp(-0.04 * t) + 0.3 * np.exp(-0.005 * t) + 0.3
    >>> fit_separable(y, t, SeparableModel("exponential", 2))["params"].round(8).tolist()
    [[0.4, 0.04, 0.3, 0.005, 0.3]]
    """
    data, reduced = _prepare(y, x, model, sigma, poisson)
    rows, points = data.y.shape
    out = _empty(rows, len(reduced.parameter_names))
    if points > 0 and data.x[-1] > data.x[0] and rows > 0:
        problem = set_up(reduced, data.x, rows)
        _run(problem, data, poisson, threads, out)
        _try_narrow_peaks(problem, data, poisson, threads, out)
        known = sigma is not None or poisson is not None
        if not known:
            left = (out["n_points"] - problem.n_free).astype(float)
            unit = np.divide(out["chisqr"], left, out=np.full(rows, np.nan), where=left > 0)
            out["covariance"] *= unit[:, None, None]
        out["status"] = _status(reduced, problem, data, out)
    else:
        out["n_points"] = np.isfinite(data.y).sum(axis=1)
        out["status"] = np.where(out["n_points"] > 0, _FAILED, _NO_SIGNAL).astype(np.int8)
    out["converged"] = out.pop("code") == 0
    return out if reduced is model else _with_fixed_background(model, reduced, data, out)


def _prepare(
    y: ArrayLike, x: ArrayLike, model: SeparableModel, sigma: ArrayLike | None,
    poisson: Poisson | None,
) -> tuple[_Data, SeparableModel]:  # fmt: skip
    axis = np.asarray(x, dtype=np.float64)
    data = np.ascontiguousarray(np.atleast_2d(np.asarray(y)), dtype=np.float64)
    if axis.ndim != 1 or data.ndim != 2 or data.shape[1] != axis.size:
        raise DataError(_ACTION, f"y has shape {data.shape}, x {axis.shape}: they do not match")
    if not np.all(np.isfinite(axis)):
        raise DataError(_ACTION, "x has values that are not finite")
    if sigma is not None and poisson is not None:
        raise DataError(_ACTION, "both 'sigma' and 'poisson' are given, not one of them")
    reduced, constant, slope = without_fixed_background(model, data.shape[0])
    if slope is not None and poisson is not None:
        raise DataError(_ACTION, "a held slope does not go with 'poisson'")
    deviation = np.zeros((0, 0))
    if sigma is not None:
        deviation = np.asarray(sigma, dtype=np.float64)
        if deviation.ndim < 2:
            deviation = np.broadcast_to(deviation, (1, axis.size))
        if deviation.shape not in ((1, axis.size), data.shape):
            raise DataError(_ACTION, f"'sigma' has shape {deviation.shape}, not {data.shape}")
    if np.any(np.diff(axis) < 0):
        order = np.argsort(axis, kind="stable")
        axis, data = axis[order], data[:, order]
        deviation = deviation[:, order] if deviation.size else deviation
    if constant is not None:
        data = data - constant[:, None]
    if slope is not None:
        data = data - slope[:, None] * axis
    # numba compiles once more for arrays that cannot be written, for half a minute
    data, deviation = (np.require(a, requirements=["C", "W"]) for a in (data, deviation))
    if constant is None and slope is None:
        reduced = model if model.parameter_names == reduced.parameter_names else reduced
    return _Data(data, axis, deviation, constant, slope), reduced


def _empty(rows: int, size: int) -> dict[str, NDArray[Any]]:
    return {
        "params": np.full((rows, size), np.nan),
        "covariance": np.full((rows, size, size), np.nan),
        "chisqr": np.full(rows, np.nan),
        "chisqr_constant": np.full(rows, np.nan),
        "nfev": np.zeros(rows, np.int64),
        "n_points": np.zeros(rows, np.int64),
        "code": np.zeros(rows, np.int8),
    }


def _run(
    problem: Problem, data: _Data, poisson: Poisson | None, threads: int,
    out: dict[str, NDArray[Any]],
) -> None:  # fmt: skip
    from plkit.physics.separable_kernels import fit_rows

    noise = (1, 1.0, 0.0, 1, _CLOSE) if data.sigma.size else (0, 1.0, 0.0, 1, _CLOSE_WITHOUT_SIGMA)
    floors = np.zeros(1)
    if poisson is not None:
        least = float(poisson.gain) / data.x.size
        noise = (2, float(poisson.gain), least, int(poisson.rounds), _CLOSE)
        floors = np.array([float(poisson.floor)])
        if data.constant is not None:  # its noise stays when it is taken off
            floors = np.ascontiguousarray(floors + float(poisson.gain) * data.constant)
    shared = _typical_weight(data, poisson, problem.axis.shape[1])

    def fit(part: slice) -> None:
        # what has one row stands for all
        sigma, floor, held = (
            a if a.shape[0] < 2 else a[part] for a in (data.sigma, floors, problem.held_values)
        )
        fit_rows(  # type: ignore[no-untyped-call]
            problem.axis, problem.points, data.y[part], sigma, noise, floor, problem.spec,
            problem.pixel, problem.box, problem.held, held, problem.n_held, problem.sort,
            problem.grid, problem.grid_theta, shared, problem.places,
            *(a[part] for a in out.values()),
        )  # fmt: skip

    _share(fit, data.y.shape[0], threads)


def _try_narrow_peaks(
    problem: Problem, data: _Data, poisson: Poisson | None, threads: int,
    out: dict[str, NDArray[Any]],
) -> None:  # fmt: skip
    """Fit again with narrower peaks where one of several may have taken the place of the background.

    A peak as wide as the axis and a steep background mimic what a peak that was not found adds.
    Where the second end is lower it is taken: it lies in the whole box as well.
    """
    from plkit.physics import separable_kernels as k

    family, terms, qt = problem.spec[0], problem.spec[1], problem.spec[4]
    widths = np.arange(terms) * qt + 1
    free = ~problem.held[widths] if family >= k.GAUSSIAN else np.zeros(terms, dtype=bool)
    if terms < 2 or not free.any():
        return
    span, unit = 2.0 * float(problem.axis[3, 1]), float(problem.axis[3, 2])
    narrow = problem.box.copy()
    narrow[1, widths[free]] = np.minimum(narrow[1, widths[free]], np.log(_NARROW * span / unit))
    if np.any(narrow[1] <= narrow[0]) or np.all(narrow[1] == problem.box[1]):
        return
    per = qt + (2 if family == k.PSEUDO_VOIGT else 1)
    with np.errstate(invalid="ignore"):
        again = (out["params"][:, 2 : per * terms : per] > _WIDE * span).any(axis=1)
        if data.sigma.size or poisson is not None:
            n = out["n_points"]
            again |= out["chisqr"] > n + _POOR * np.sqrt(2.0 * n)
    rows = np.flatnonzero(again & np.isfinite(out["chisqr"]))
    if rows.size == 0:
        return
    some = [a if a.shape[0] < 2 else a[rows] for a in (data.sigma, problem.held_values)]
    constant = None if data.constant is None else data.constant[rows]
    other = _empty(rows.size, out["params"].shape[1])
    _run(
        replace(problem, box=narrow, held_values=some[1]),
        _Data(data.y[rows], data.x, some[0], constant, None), poisson, threads, other,
    )  # fmt: skip
    # at the narrower limit it would be no minimum
    limit = (1.0 - 1e-6) * _NARROW * span
    other["code"][(other["params"][:, 2 : per * terms : per] >= limit).any(axis=1)] = (
        k.NOT_CONVERGED
    )
    better = other["chisqr"] < out["chisqr"][rows]
    for name in out:
        if name != "nfev":
            out[name][rows[better]] = other[name][better]
    out["nfev"][rows] += other["nfev"]


def _share(fit: Callable[[slice], None], rows: int, threads: int) -> None:
    """Run over slices of the rows, in threads where there is enough for them."""
    if threads < 2 or rows < 64 * threads:
        fit(slice(0, rows))
        return
    from concurrent.futures import ThreadPoolExecutor

    edges = np.linspace(0, rows, 4 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fit, map(slice, edges[:-1], edges[1:])))


def _typical_weight(data: _Data, poisson: Poisson | None, padded: int) -> Floats:
    """1/σ along the axis as some of the rows have it on average, for the starting grid."""
    out = np.zeros(padded)
    n = data.x.size
    rows = data.y.shape[0]
    pick = np.linspace(0, rows - 1, min(rows, 64)).astype(int)
    if poisson is not None:
        some = data.y[pick]
        good = np.isfinite(some)
        mean = np.where(good, some, 0.0).sum(axis=0) / np.maximum(good.sum(axis=0), 1)
        out[:n] = 1.0 / np.sqrt(poisson.gain * np.maximum(mean, poisson.gain) + poisson.floor)
    elif data.sigma.size:
        s = data.sigma[pick if data.sigma.shape[0] > 1 else [0]]
        good = (s > 0) & np.isfinite(s)
        weight = np.where(good, 1.0 / np.where(good, s, 1.0) ** 2, 0.0)
        total = weight.sum(axis=1, keepdims=True)
        weight = np.sqrt((weight / np.where(total > 0, total, 1.0)).sum(axis=0))
        least = float(np.min(weight[weight > 0], initial=np.inf))
        out[:n] = np.where(weight > 0, weight, least if np.isfinite(least) else 1.0)
    else:
        out[:n] = 1.0
    return out


# What the fits are worth --------------------------------------------------------------------------


def _status(
    model: SeparableModel, problem: Problem, data: _Data, out: dict[str, NDArray[Any]]
) -> NDArray[np.int8]:
    from plkit.physics import separable_kernels as k

    code, values = out["code"], out["params"]
    names = model.parameter_names
    variance = np.diagonal(out["covariance"], axis1=1, axis2=2)
    n, per = model.n_terms, len(model.term_names(0))
    free = np.array([name not in model.fixed for name in names])
    amplitude = np.abs(values[:, : n * per : per])
    # NaN stands for a row that was not fitted: its comparisons are false, its code decides below.
    known = np.isfinite(variance[:, free]).all(axis=1)
    with np.errstate(invalid="ignore"):
        known &= (amplitude**2 > variance[:, : n * per : per]).all(axis=1)
        known &= code == k.CONVERGED
        if model.family == "exponential":
            known &= _rates_are_known(values, out["covariance"], n, _records(data, out))
        status = np.where(known, _OK, _NOT_IDENTIFIABLE)
        status[known & _at_bound(model, problem, values)] = _AT_BOUND
        status[(amplitude == 0.0).all(axis=1)] = _NO_SIGNAL
    status[code == k.NO_POINTS] = _NO_SIGNAL
    status[code == k.TOO_FEW] = _FAILED
    return status.astype(np.int8)


def _at_bound(model: SeparableModel, problem: Problem, values: Floats) -> NDArray[np.bool_]:
    """An amplitude, a constant or a share at its limit, or a shape at the edge of its box."""
    names = model.parameter_names
    n, per = model.n_terms, len(model.term_names(0))
    out = np.zeros(len(values), dtype=bool)
    if model.amplitude_sign:
        out |= (values[:, : n * per : per] == 0.0).any(axis=1)
    if model.background_sign:
        out |= values[:, -1] == 0.0
    if "lorentz_fraction" in names[3] if per > 3 else False:
        share = values[:, 3 : n * per : per]
        free = [f not in model.fixed for f in names[3 : n * per : per]]
        out |= ((share <= 1e-9) | (share >= 1.0 - 1e-9))[:, free].any(axis=1)
    qt, unit = problem.spec[4], float(problem.axis[3, 2])
    for i, t in enumerate(problem.places):
        for j in range(qt):
            c = qt * i + j
            if problem.held[c]:
                continue
            v = values[:, t * per + 1 + j]
            if (j == 0) == (problem.spec[0] < 2) and j < 2:  # rates and widths are logarithms
                v = np.log(v / (unit if problem.spec[0] > 1 else 1.0))
            room = 1e-6 * problem.box[2, c]
            out |= (v <= problem.box[0, c] + room) | (v >= problem.box[1, c] - room)
    return out


def _records(data: _Data, out: dict[str, NDArray[Any]]) -> Floats | float:
    """From the first to the last point of every row."""
    if np.all(out["n_points"] == data.x.size):
        return float(data.x[-1] - data.x[0])
    good = np.isfinite(data.y)
    if data.sigma.size:
        good &= (data.sigma > 0) & np.isfinite(data.sigma)
    first, last = np.argmax(good, axis=1), good.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
    return np.asarray(data.x[last] - data.x[first])


def _rates_are_known(
    values: Floats, covariance: Floats, n: int, record: Floats | float
) -> NDArray[np.bool_]:
    """Neighbouring rates differ by more than σ, and the slowest one decays within the record."""
    slow = values[:, 2 * n - 1] * record >= 1.0
    for i in range(n - 1):
        a, b = 2 * i + 1, 2 * i + 3
        ka, kb = values[:, a], values[:, b]
        with np.errstate(divide="ignore"):
            variance = covariance[:, a, a] / ka**2 + covariance[:, b, b] / kb**2
            variance = variance - 2.0 * covariance[:, a, b] / (ka * kb)
            slow &= np.abs(np.log(ka / kb)) > np.sqrt(np.maximum(variance, 0.0))
    return np.asarray(slow)


def _with_fixed_background(
    model: SeparableModel, reduced: SeparableModel, data: _Data, out: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Put what was held back among the parameters, with a covariance of zero."""
    names = model.parameter_names
    rows = len(out["params"])
    at = np.array([names.index(n) for n in reduced.parameter_names], dtype=np.intp)
    params = np.full((rows, len(names)), np.nan)
    covariance = np.zeros((rows, len(names), len(names)))
    params[:, at] = out["params"]
    covariance[:, at[:, None], at] = out["covariance"]
    fitted = np.isfinite(out["chisqr"])
    for name, value in ((model.constant, data.constant), ("slope", data.slope)):
        if value is not None and name in names:
            params[:, names.index(name)] = np.where(fitted, value, np.nan)
    covariance[~fitted] = np.nan
    return {**out, "params": params, "covariance": covariance}
