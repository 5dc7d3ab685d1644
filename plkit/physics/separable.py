"""Fits of separable models by variable projection, compiled.

A separable model is a sum of terms, each an amplitude times a shape, on a background::

    y(x) = Σ_i a_i φ(x; θ_i) [+ offset [+ slope · x]]

For given θ the amplitudes follow from linear least squares with exact bounds, so only θ is
searched: on a coarse global grid first, which needs no starting values, then by
Levenberg–Marquardt on the projected problem.

Interface
---------
``SeparableModel(family, n_terms, background, …)`` says what is fitted;
``fit_separable(y, x, model, sigma=…, poisson=…, shared=…, labels=…, threads=…)`` fits every row of
``y`` (rows, points) over the common axis ``x`` (points,) and returns a dict of arrays:

==================  ==================  ==========================================================
``params``          (rows, p)           in the order of ``model.parameter_names``
``covariance``      (rows, p, p)        zero for fixed parameters, NaN where there is no σ; scaled
                                        by χ²/ν only where neither σ nor ``poisson`` is given
``chisqr``          (rows,)             Σ [(y − model)/σ]² with the weights of the last round
``chisqr_constant`` (rows,)             the same of the best constant, for ``fit.status.has_change``
``nfev``            (rows,) int64       evaluations of the model
``n_points``        (rows,) int64       points that counted
``status``          (rows,) int8        0 ok, 1 at_bound, 2 not_identifiable, 3 no_signal (no
                                        points, or no amplitude), 4 failed; as in plkit.fit.status.
                                        The test by chance (``has_change``) is left to the caller.
==================  ==================  ==========================================================

Parameter names (those of plkit.models, term by term, then the background):

* exponential: ``amplitude, rate, plateau`` for one term; ``k01, k1, k02, k2[, k03, k3], plateau``
  for more. Falling order of the rates.
* stretched: ``amplitude, rate, exponent, plateau``.
* gaussian, lorentzian: ``height, centre, fwhm, offset[, slope]`` for one term; for more
  ``height_1, centre_1, fwhm_1, height_2, …, offset[, slope]``. Rising order of the centres.
* pseudo_voigt: the same with ``lorentz_fraction`` (share of the area, 0 to 1) after ``fwhm``.
* asymmetric: the same with ``asymmetry`` after ``fwhm``.
* fick: ``amplitude, centre, sigma, offset[, slope]``; ``pixel`` is the width of a pixel.

NaN in ``y`` or σ that is not positive is a gap. A rise 1 − (…) is fitted as 1 − y.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAMILIES", "Poisson", "SeparableModel", "fit_separable"]

Floats = NDArray[np.float64]

FAMILIES: Final = (
    "exponential",
    "stretched",
    "gaussian",
    "lorentzian",
    "pseudo_voigt",
    "asymmetric",
    "fick",
)


@dataclass(frozen=True)
class SeparableModel:
    """What is fitted: terms of one family on a background.

    Parameters
    ----------
    family : str
        One of :data:`FAMILIES`.
    n_terms : int, optional
        1 to 3; one for stretched and fick.
    background : {"none", "constant", "linear"}, optional
        The slope multiplies x itself, the offset is the value at x = 0.
    amplitude_sign : {1, 0, -1}, optional
        1: amplitudes ≥ 0; −1: ≤ 0; 0: free (for pseudo_voigt 1 or −1).
    background_sign : {0, 1}, optional
        1: the constant is ≥ 0; needs ``background="constant"``.
    bounds : Mapping, optional
        (lower, upper) of non-linear parameters by name; ±inf leaves the default, which is wide
        but finite (rates: 1/20 of 1/record to two per step).
    fixed : Mapping, optional
        Non-linear parameters, plateau, offset or slope that are held, by name: a number, or an
        array with one value per row.
    pixel : float, optional
        Width of a pixel, for fick.
    """

    family: str
    n_terms: int = 1
    background: str = "constant"
    amplitude_sign: int = 1
    background_sign: int = 0
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fixed: Mapping[str, float | Floats] = field(default_factory=dict)
    pixel: float = 0.0

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Parameters in the order of every array, as plkit.models has them."""
        n = self.n_terms
        names: list[str] = []
        if self.family == "exponential":
            names = ["amplitude", "rate"] if n == 1 else []
            for i in range(1, n + 1 if n > 1 else 1):
                names += [f"k0{i}", f"k{i}"]
        elif self.family == "stretched":
            names = ["amplitude", "rate", "exponent"]
        elif self.family == "fick":
            names = ["amplitude", "centre", "sigma"]
        else:
            extra = {"pseudo_voigt": ["lorentz_fraction"], "asymmetric": ["asymmetry"]}
            one = ["height", "centre", "fwhm", *extra.get(self.family, [])]
            names = one if n == 1 else [f"{p}_{i}" for i in range(1, n + 1) for p in one]
        constant = "plateau" if self.family in ("exponential", "stretched") else "offset"
        own = {"none": [], "constant": [constant], "linear": [constant, "slope"]}
        return (*names, *own[self.background])


@dataclass(frozen=True)
class Poisson:
    """Noise that follows from the model: variance = gain · expected + floor.

    Parameters
    ----------
    gain, floor : float, optional
        In the unit of the data, and in its square.
    rounds : int, optional
        Fits, the first with weights from the data, the others with weights from the model before.
    """

    gain: float = 1.0
    floor: float = 0.0
    rounds: int = 4


_OK, _AT_BOUND, _NOT_IDENTIFIABLE, _NO_SIGNAL, _FAILED = range(5)
_LANES: Final = 16
_N_RATES: Final = 24
_EXPONENTS: Final = (1.0, 0.7, 0.5, 0.35)
_FWHM_PER_SIGMA: Final = 2.0 * math.sqrt(2.0 * math.log(2.0))
_NAMES_OF_TERM: Final = {
    "exponential": ("rate",),
    "stretched": ("rate", "exponent"),
    "gaussian": ("centre", "fwhm"),
    "lorentzian": ("centre", "fwhm"),
    "pseudo_voigt": ("centre", "fwhm", "lorentz_fraction"),
    "asymmetric": ("centre", "fwhm", "asymmetry"),
    "fick": ("centre", "sigma"),
}


@dataclass(frozen=True)
class _Problem:
    """What the kernels need, apart from the data."""

    spec: tuple[int, ...]
    pixel: float
    axis: Floats
    points: int
    box: Floats
    held: NDArray[np.bool_]
    held_values: Floats
    n_held: int
    sort: bool
    grid: Floats
    grid_theta: Floats
    places: NDArray[np.int64]


def fit_separable(
    y: Floats,
    x: Floats,
    model: SeparableModel,
    *,
    sigma: Floats | None = None,
    poisson: Poisson | None = None,
    threads: int = 1,
) -> dict[str, NDArray[Any]]:
    """Fit every row, without starting values."""
    from plkit.physics.separable_kernels import fit_rows

    data, axis, deviation = _sorted(y, x, sigma)
    rows, points = data.shape
    problem = _problem(model, axis)
    size = len(model.parameter_names)
    out: dict[str, NDArray[Any]] = {
        "params": np.full((rows, size), np.nan),
        "covariance": np.full((rows, size, size), np.nan),
        "chisqr": np.full(rows, np.nan),
        "chisqr_constant": np.full(rows, np.nan),
        "nfev": np.zeros(rows, np.int64),
        "n_points": np.zeros(rows, np.int64),
        "code": np.zeros(rows, np.int8),
    }
    noise = (0, 1.0, 0.0, 0.0, 1)
    sigmas = np.zeros((0, 0)) if deviation is None else deviation
    if poisson is not None:
        noise = (
            2,
            float(poisson.gain),
            float(poisson.gain) / points,
            float(poisson.floor),
            poisson.rounds,
        )
    elif deviation is not None:
        noise = (1, 1.0, 0.0, 0.0, 1)
    shared = _typical_weight(data, sigmas, poisson, problem.axis.shape[1])

    def fit(part: slice) -> None:
        own = sigmas if sigmas.shape[0] < 2 else sigmas[part]
        held = problem.held_values
        fit_rows(  # type: ignore[no-untyped-call]
            problem.axis, points, data[part], own, noise, problem.spec, problem.pixel, problem.box,
            problem.held, held if held.shape[0] < 2 else held[part], problem.n_held, problem.sort,
            problem.grid, problem.grid_theta, shared, problem.places, *(a[part] for a in out.values()),
        )  # fmt: skip

    _share(fit, rows, threads)
    return out


def _share(fit: Any, rows: int, threads: int) -> None:
    """Run over slices of the rows, in threads where there is enough for them."""
    if threads < 2 or rows < 64 * threads:
        fit(slice(0, rows))
        return
    from concurrent.futures import ThreadPoolExecutor

    edges = np.linspace(0, rows, 4 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fit, map(slice, edges[:-1], edges[1:])))


def _sorted(y: Floats, x: Floats, sigma: Floats | None) -> tuple[Floats, Floats, Floats | None]:
    axis = np.asarray(x, dtype=np.float64)
    data = np.ascontiguousarray(np.atleast_2d(y), dtype=np.float64)
    deviation = None
    if sigma is not None:
        deviation = np.asarray(sigma, dtype=np.float64)
        if deviation.ndim < 2:
            deviation = np.broadcast_to(deviation, (1, axis.size))
        deviation = np.ascontiguousarray(deviation)
    if np.any(np.diff(axis) < 0):
        order = np.argsort(axis, kind="stable")
        axis, data = axis[order], np.ascontiguousarray(data[:, order])
        deviation = None if deviation is None else np.ascontiguousarray(deviation[:, order])
    return data, axis, deviation


def _typical_weight(data: Floats, sigmas: Floats, poisson: Poisson | None, padded: int) -> Floats:
    """1/σ along the axis as some of the rows have it on average, for the starting grid."""
    out = np.zeros(padded)
    n = data.shape[1]
    out[:n] = 1.0
    if not data.size:
        return out
    pick = np.linspace(0, data.shape[0] - 1, min(data.shape[0], 64)).astype(int)
    if poisson is not None:
        some = data[pick]
        good = np.isfinite(some)
        mean = np.where(good, some, 0.0).sum(axis=0) / np.maximum(good.sum(axis=0), 1)
        variance = poisson.gain * np.maximum(mean, poisson.gain) + poisson.floor
        out[:n] = 1.0 / np.sqrt(variance)
    elif sigmas.size:
        s = sigmas[pick if sigmas.shape[0] > 1 else [0]]
        with np.errstate(divide="ignore", invalid="ignore"):
            w = np.where((s > 0) & np.isfinite(s), 1.0 / (s * s), 0.0)
        total = w.sum(axis=1, keepdims=True)
        w = w / np.where(total > 0, total, 1.0)
        out[:n] = np.sqrt(w.sum(axis=0))
        if not np.all(out[:n] > 0):
            out[:n] = np.where(out[:n] > 0, out[:n], np.mean(out[:n]) or 1.0)
    return out


def _problem(model: SeparableModel, x: Floats) -> _Problem:
    from plkit.physics import separable_kernels as k

    codes = {
        "exponential": k.EXPONENTIAL, "stretched": k.STRETCHED, "gaussian": k.GAUSSIAN,
        "lorentzian": k.LORENTZIAN, "pseudo_voigt": k.PSEUDO_VOIGT, "asymmetric": k.ASYMMETRIC,
        "fick": k.FICK if model.pixel > 0 else k.GAUSSIAN,
    }  # fmt: skip
    family, n = codes[model.family], model.n_terms
    backgrounds = {"none": 0, "constant": 1, "linear": 2}[model.background]
    qt = len(_NAMES_OF_TERM[model.family])
    per = 1
    if family == k.PSEUDO_VOIGT:
        qt, per = 2, 2
    columns, q = per * n, qt * n
    bits = (1 << columns) - 1 if model.amplitude_sign else 0
    bits |= model.background_sign << columns
    shape = (
        family,
        n,
        columns,
        columns + backgrounds,
        qt,
        q,
        bits,
        backgrounds,
        model.amplitude_sign or 1,
    )
    points = x.size
    step = (x[-1] - x[0]) / max(points - 1, 1)
    uniform = int(np.all(np.abs(x - (x[0] + step * np.arange(points))) <= 1e-13 * np.ptp(x)))
    spec = (*shape, uniform)
    padded = max(_LANES, -(-points // _LANES) * _LANES)
    axis = np.zeros((4, padded))
    axis[0] = x[-1] if points else 0.0
    axis[0, :points] = x
    with np.errstate(divide="ignore"):
        axis[1] = np.where(axis[0] > 0, np.log(np.where(axis[0] > 0, axis[0], 1.0)), -1e3)
    middle, half = 0.5 * (x[0] + x[-1]), 0.5 * (x[-1] - x[0]) or 1.0
    axis[2] = (axis[0] - middle) / half
    axis[3, :5] = middle, half, 1.0, x[0], step
    if model.family == "fick" and family == k.GAUSSIAN:
        axis[3, 2] = 1.0 / _FWHM_PER_SIGMA
    box = np.zeros((3, q))
    steps = np.diff(x)
    step = float(np.min(steps[steps > 0]))
    span = float(x[-1] - x[0])
    for t in range(n):
        if family <= k.STRETCHED:
            slow, fast = 0.05 / span, 2.0 / step
            box[:, qt * t] = math.log(slow), math.log(fast), 2.0
            if family == k.STRETCHED:
                box[:, qt * t + 1] = 0.05, 1.0, 0.3
        else:
            box[:, qt * t] = x[0] - 0.25 * span, x[-1] + 0.25 * span, 0.2 * span
            box[:, qt * t + 1] = math.log(0.2 * step), math.log(4.0 * span), 1.0
            if qt == 3:
                box[:, qt * t + 2] = (-3.0, 3.0, 0.5) if family == k.ASYMMETRIC else (0.0, 1.0, 0.5)
    grid, theta = np.zeros((0, padded)), np.zeros((0, qt))
    if family <= k.STRETCHED:
        rates = np.linspace(math.log(3.0 * slow), math.log(fast), _N_RATES)
        if family == k.EXPONENTIAL:
            theta = rates[:, None]
            grid = np.exp(-np.exp(rates)[:, None] * axis[0])
        else:
            theta = np.array([(r, b) for b in _EXPONENTS for r in rates])
            grid = np.exp(-np.exp(theta[:, 1:] * (theta[:, :1] + axis[1])))
    return _Problem(
        spec, model.pixel, axis, points, box, np.zeros(q, bool), np.zeros((1, q)), 0, n > 1,
        np.ascontiguousarray(grid), np.ascontiguousarray(theta), np.arange(n),
    )  # fmt: skip
