"""Decay of luminescence behind a pulse, counted photon by photon in bins.

The expected count of a bin is the integral, over that bin, of the decay convolved with the response
of the instrument: of one to three exponentials, or of a stretched one, behind one pulse or a train
of them. The response is a pulse of no width, a Gaussian, or a measured histogram that counts as
uniform within each of its bins. For exponentials every one of these integrals is closed, and one
recursion along the trace sums them; for the stretched one they are a series at the cusp and a
quadrature behind it.

A fit maximises the likelihood of Poisson counts by Fisher scoring within bounds, in all parameters
at once. It starts from a grid of lifetimes whose amplitudes follow linearly, so that no starting
values are needed.

The kernels are in :mod:`plkit.physics.decay_kernels`; numba is imported with the first fit.

References
----------
M. Maus et al., Anal. Chem. 73, 2078 (2001), doi:10.1021/ac000877g (maximum likelihood against least
squares); Ž. Bajzer, T. M. Therneau, J. C. Sharp, F. G. Prendergast, Eur. Biophys. J. 20, 247
(1991), doi:10.1007/BF00450560; D. C. Johnston, Phys. Rev. B 74, 184430 (2006),
doi:10.1103/PhysRevB.74.184430 (the stretched exponential).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FWHM_PER_SIGMA",
    "DecayFit",
    "Response",
    "expected_counts",
    "fit_decays",
    "mean_lifetimes",
    "mean_lifetimes_gradient",
    "poisson_deviance",
    "stretched_mean_lifetimes",
    "stretched_mean_lifetimes_gradient",
]

Floats = NDArray[np.float64]

FWHM_PER_SIGMA: Final = 2.0 * math.sqrt(2.0 * math.log(2.0))
_BETAS: Final = (0.35, 0.5, 0.65, 0.8, 0.95)
_LEAST_SIGMA: Final = 0.1
"""In bins: a narrower Gaussian is a pulse."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the instrument makes of a pulse; times in bins.

    Parameters
    ----------
    kind : {"pulse", "gaussian", "histogram"}
        A pulse of no width, a Gaussian, or a measured response.
    histogram : numpy.ndarray
        Of a measured response, of sum 1.
    start : float
        Left edge of the first bin of ``histogram``, counted from that of the first bin of the data.
    sigma : float or None
        Of a Gaussian; None lets it be fitted.
    """

    kind: str = "pulse"
    histogram: Floats = field(default_factory=lambda: np.ones(1))
    start: float = 0.0
    sigma: float | None = None

    @property
    def code(self) -> int:
        """Number of the kind in the kernels."""
        return ("pulse", "gaussian", "histogram").index(self.kind)

    @property
    def spread(self) -> Floats:
        """Mean position behind ``start`` and variance, a histogram's bins being uniform."""
        h = self.histogram
        middle = np.arange(h.size) + 0.5
        mean = float(np.sum(h * middle))
        return np.array([mean, max(float(np.sum(h * (middle - mean) ** 2)), 0.0) + 1.0 / 12.0])


@dataclass(frozen=True, slots=True)
class DecayFit:
    """Result for every row; times in bins.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, p): amplitudes [counts per bin at the pulse], then lifetimes, shortest first, or
        lifetime and β, then background [counts per bin], shift, FWHM of a Gaussian response. NaN
        where there was nothing to fit.
    covariance : numpy.ndarray
        Shape (rows, p, p): inverse of Fisher's information. Zero for what is fixed, NaN for what is
        held at a bound.
    held : numpy.ndarray of bool
        Shape (rows, p): at a bound.
    deviance, deviance_constant : numpy.ndarray
        Shape (rows,): of the model and of the best constant.
    pearson : numpy.ndarray
        Shape (rows,): Σ (y − μ)²/μ.
    n_bins, counts : numpy.ndarray
        Shape (rows,): bins that are no gaps, and the photons in them.
    runs_z : numpy.ndarray
        Shape (rows,): runs of the residual's sign, in σ of their number; negative for too few.
    nfev, code : numpy.ndarray of int
        Shape (rows,); code is 0 converged, 1 not converged, 2 too few bins or no counts.
    n_free : int
        Number of parameters that were varied.
    """

    values: Floats
    covariance: Floats
    held: NDArray[np.bool_]
    deviance: Floats
    deviance_constant: Floats
    pearson: Floats
    n_bins: Floats
    counts: Floats
    runs_z: Floats
    nfev: NDArray[np.int64]
    code: NDArray[np.int8]
    n_free: int


# Means --------------------------------------------------------------------------------------------


def mean_lifetimes(amplitudes: ArrayLike, lifetimes: ArrayLike) -> tuple[Floats, Floats]:
    """Amplitude-weighted and intensity-weighted mean of several lifetimes.

    Parameters
    ----------
    amplitudes, lifetimes : array_like
        Shape (…, m); lifetimes in any unit of time.

    Returns
    -------
    tuple of numpy.ndarray
        Σ a τ/Σ a and Σ a τ²/Σ a τ, in the unit of the lifetimes; NaN where the sums are zero.

    Notes
    -----
    The first is ∫ I dt/I(0), the lifetime of one exponential that emits as much light from the same
    start; quenching and quantum yields go with it. The second is ∫ t I dt/∫ I dt, the mean delay of
    a photon; it is never smaller.

    Examples
    --------
    >>> [float(m) for m in mean_lifetimes([3.0, 1.0], [1.0, 5.0])]
    [2.0, 3.5]
    """
    a, tau = np.asarray(amplitudes, dtype=float), np.asarray(lifetimes, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        light = np.sum(a * tau, axis=-1)
        return light / np.sum(a, axis=-1), np.sum(a * tau**2, axis=-1) / light


def mean_lifetimes_gradient(amplitudes: ArrayLike, lifetimes: ArrayLike) -> tuple[Floats, Floats]:
    """Derivatives of :func:`mean_lifetimes` by all amplitudes, then by all lifetimes.

    Parameters
    ----------
    amplitudes, lifetimes : array_like
        Shape (…, m).

    Returns
    -------
    tuple of numpy.ndarray
        Two arrays of shape (…, 2 m).

    Examples
    --------
    >>> [g.round(4).tolist() for g in mean_lifetimes_gradient([3.0, 1.0], [1.0, 5.0])]
    [[-0.25, 0.75, 0.75, 0.25], [-0.3125, 0.9375, -0.5625, 0.8125]]
    """
    a, tau = np.asarray(amplitudes, dtype=float), np.asarray(lifetimes, dtype=float)
    first, second = (m[..., None] for m in mean_lifetimes(a, tau))
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.sum(a, axis=-1, keepdims=True)
        light = np.sum(a * tau, axis=-1, keepdims=True)
        by_amplitude = np.concatenate([(tau - first) / total, a / total], axis=-1)
        by_intensity = np.concatenate(
            [tau * (tau - second) / light, a * (2.0 * tau - second) / light], axis=-1
        )
    return by_amplitude, by_intensity


def stretched_mean_lifetimes(lifetime: ArrayLike, beta: ArrayLike) -> tuple[Floats, Floats]:
    """Both mean lifetimes of exp(−(t/τ)^β).

    Parameters
    ----------
    lifetime : array_like
        τ, in any unit of time.
    beta : array_like
        Stretching exponent.

    Returns
    -------
    tuple of numpy.ndarray
        ∫ I dt/I(0) = τ Γ(1/β)/β, weighted by amplitude, and ∫ t I dt/∫ I dt = τ Γ(2/β)/Γ(1/β),
        weighted by intensity.

    Examples
    --------
    >>> [round(float(m), 6) for m in stretched_mean_lifetimes(10.0, 0.5)]
    [20.0, 60.0]
    """
    from scipy.special import gammaln

    tau, b = np.asarray(lifetime, dtype=float), np.asarray(beta, dtype=float)
    first = tau / b * np.exp(gammaln(1.0 / b))
    return np.asarray(first), np.asarray(tau * np.exp(gammaln(2.0 / b) - gammaln(1.0 / b)))


def stretched_mean_lifetimes_gradient(
    lifetime: ArrayLike, beta: ArrayLike
) -> tuple[Floats, Floats]:
    """Derivatives of :func:`stretched_mean_lifetimes` by τ and β.

    Parameters
    ----------
    lifetime, beta : array_like
        Shape (…).

    Returns
    -------
    tuple of numpy.ndarray
        Two arrays of shape (…, 2).

    Examples
    --------
    >>> [g.round(3).tolist() for g in stretched_mean_lifetimes_gradient(10.0, 0.5)]
    [[2.0, -73.823], [6.0, -501.468]]
    """
    from scipy.special import digamma

    tau, b = np.asarray(lifetime, dtype=float), np.asarray(beta, dtype=float)
    first, second = stretched_mean_lifetimes(tau, b)
    one, two = digamma(1.0 / b), digamma(2.0 / b)
    return (
        np.stack(np.broadcast_arrays(first / tau, -first * (b + one) / b**2), axis=-1),
        np.stack(np.broadcast_arrays(second / tau, second * (one - 2.0 * two) / b**2), axis=-1),
    )


def poisson_deviance(counts: ArrayLike, expected: ArrayLike) -> float:
    """Twice the logarithm of the likelihood ratio of a perfect model and of this one.

    Parameters
    ----------
    counts, expected : array_like
        Photons per bin; expected ones are positive. NaN counts are gaps.

    Returns
    -------
    float
        2 Σ [μ − y + y ln(y/μ)].

    Examples
    --------
    >>> round(poisson_deviance([4, 0, 9], [4.0, 0.5, 9.0]), 12)
    1.0
    """
    from scipy.special import xlogy

    y, mu = np.asarray(counts, dtype=float), np.asarray(expected, dtype=float)
    known = np.isfinite(y)
    y, mu = y[known], np.broadcast_to(mu, known.shape)[known]
    return float(2.0 * np.sum(mu - y + xlogy(y, y / mu)))


# Expected counts ----------------------------------------------------------------------------------


def expected_counts(
    n_bins: int,
    amplitudes: ArrayLike,
    lifetimes: ArrayLike,
    *,
    beta: float | None = None,
    background: float = 0.0,
    shift: float = 0.0,
    response: Response | None = None,
    period: float = 0.0,
) -> Floats:
    """Expected count of every bin.

    Parameters
    ----------
    n_bins : int
        Bins 0 … n − 1, each of width 1.
    amplitudes : array_like
        One per exponential: counts per bin at the pulse.
    lifetimes : array_like
        [bins].
    beta : float, optional
        Stretching exponent; then there is one amplitude and one lifetime.
    background : float, optional
        Counts per bin.
    shift : float, optional
        By how much the response comes later; the time of a pulse, or the centre of a Gaussian [bins].
    response : Response, optional
        By default a pulse of no width.
    period : float, optional
        Time between two pulses [bins]; 0 for a single one.

    Returns
    -------
    numpy.ndarray
        Shape (n_bins,).

    Examples
    --------
    Half of what one lifetime emits comes in its first ln 2 lifetimes:

    >>> mu = expected_counts(5000, [1.0], [100.0 / np.log(2.0)])
    >>> round(float(mu[:100].sum() / mu.sum()), 9)
    0.5
    """
    from plkit.physics import decay_kernels as kernels

    r = Response() if response is None else response
    sigma = r.sigma if r.sigma is not None else 1.0
    tau = np.atleast_1d(np.asarray(lifetimes, dtype=float))
    shape = np.log(tau) if beta is None else np.array([math.log(tau[0]), beta])
    q = np.concatenate(
        [np.atleast_1d(np.asarray(amplitudes, float)), shape, [background, shift, math.log(sigma)]]
    )
    m = tau.size if beta is None else kernels.STRETCHED
    h = np.ascontiguousarray(r.histogram, dtype=np.float64)
    return np.asarray(
        kernels.expected_counts(m, r.code, n_bins, q, h, float(r.start), r.spread, float(period))
    )


# Fit ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Task:
    """One call of the kernels: the model, its grid and its bounds."""

    m: int
    response: Response
    period: float
    n: int
    free: NDArray[np.bool_]
    shapes: Floats
    fixed_shift: float | None

    @property
    def size(self) -> int:
        return 3 if self.m == 0 else 2 * self.m

    def columns(self, shift: float, log_width: float, edges: NDArray[np.int64]) -> Floats:
        from plkit.physics.decay_kernels import coarse_columns

        out = np.empty((self.shapes.shape[0] + 1, edges.size - 1))
        r = self.response
        coarse_columns(
            self.m, r.code, self.n, self.shapes, shift, log_width,
            np.ascontiguousarray(r.histogram), float(r.start), r.spread, self.period, edges, out,
        )  # fmt: skip
        return out

    def bounds(self, start: Floats) -> tuple[Floats, Floats]:
        """Range of every parameter; a shift stays near where it was found."""
        low, high = np.zeros(self.size + 3), np.full(self.size + 3, np.inf)
        shapes = slice(max(self.m, 1), self.size)
        low[shapes], high[shapes] = math.log(0.2), math.log(20.0 * self.n)
        if self.m == 0:
            low[1], low[2], high[2] = 0.0, 0.15, 1.0
        reach = max(20.0, 0.2 * self.n)
        low[-2], high[-2] = start[0] - reach, start[0] + reach
        low[-1], high[-1] = math.log(_LEAST_SIGMA), math.log(0.25 * self.n)
        return low, high


def _grid(m: int, n: int) -> Floats:
    """Lifetimes, or pairs of lifetime and β, of the starting grid."""
    count = 16 if m == 3 else 24
    lifetimes = np.linspace(math.log(0.7), math.log(3.0 * n), count)
    if m > 0:
        return lifetimes[:, None].copy()
    taus = np.linspace(math.log(1.5), math.log(3.0 * n), 18)
    return np.array([[t, b] for b in _BETAS for t in taus])


def _edge(trace: Floats) -> tuple[float, float]:
    """Where a trace rises to half its maximum, and how long the rise takes [bins]."""
    y = np.where(trace >= 0, trace, 0.0)
    smooth = np.convolve(y, np.ones(3) / 3.0, mode="same") if y.size > 8 else y
    top = int(np.argmax(smooth))
    before = y[: max(top - 2, 0)]
    floor = float(np.median(before)) if before.size else 0.0
    height = smooth[top] - floor
    half = tenth = top
    while half > 0 and smooth[half - 1] > floor + 0.5 * height:
        half -= 1
    tenth = half
    while tenth > 0 and smooth[tenth - 1] > floor + 0.1 * height:
        tenth -= 1
    return float(half), float(max(top - tenth, 1))


def _coarse_edges(n: int, position: float, rise: float) -> NDArray[np.int64]:
    """Groups of bins: wide ones before the pulse, single ones around it, then wider and wider."""
    first = int(np.clip(position - 1.5 * rise - 12, 0, n))
    last = int(np.clip(position + 2.0 * rise + 24, first, n))
    step = max(1, math.ceil(first / 16))
    edges = [*range(0, first, step), *range(first, last, max(1, (last - first) // 200))]
    width = 1.0
    at = float(last)
    while at < n:
        edges.append(int(at))
        width = max(1.0, 1.06 * width)
        at += math.floor(width)
    return np.unique(np.array([*edges, n], dtype=np.int64))


def _start(
    task: _Task, trace: Floats, floor: float, fixed: bool
) -> tuple[Floats, NDArray[np.int64]]:
    """Shift and ln σ that fit one trace best on a coarse grid, and the groups of bins for it."""
    from plkit.physics.decay_kernels import scan_cost

    r = task.response
    half, rise = _edge(trace)
    log_width = math.log(max(r.sigma, _LEAST_SIGMA)) if r.sigma is not None else 0.0
    if r.kind == "pulse":
        shift = task.fixed_shift or 0.0
        return np.array([shift, 0.0]), _coarse_edges(task.n, max(shift, 0.0), 1.0)
    if r.kind == "histogram":
        own_half, own_rise = _edge(r.histogram)
        middle = half - (own_half + r.start)
        reach = max(own_rise, rise, 2.0)
        pairs = [(middle + d * reach, log_width) for d in np.linspace(-1.0, 1.0, 17)]
        rise = max(rise, own_rise)
    else:
        widths = (
            [log_width]
            if r.sigma is not None
            else list(np.log(np.geomspace(0.3, max(1.5 * rise, 1.0), 6)))
        )
        pairs = [
            (half + d, w)
            for w in widths
            for d in np.linspace(-1.0, 1.0, 9) * (2.0 * math.exp(w) + 1.0) + 0.5
        ]
    edges = _coarse_edges(task.n, half, rise)
    if task.fixed_shift is not None:
        pairs = list(dict.fromkeys((task.fixed_shift, w) for _, w in pairs))
    if len(pairs) == 1:
        return np.array(pairs[0]), edges
    # Exponentials, whatever the model: they are quick, and the edge is the same.
    m = 1 if task.m == 1 else 2
    quick = replace(task, m=m, shapes=_grid(m, task.n))
    costs = [scan_cost(trace, m, floor, fixed, edges, quick.columns(s, w, edges)) for s, w in pairs]
    return np.array(pairs[int(np.argmin(costs))]), edges


def fit_decays(
    counts: Floats,
    n_exponentials: int,
    *,
    response: Response | None = None,
    shift: float | None = None,
    background: Floats | None = None,
    period: float = 0.0,
    threads: int = 1,
) -> DecayFit:
    """Fit decays to rows of photon counts by maximum likelihood, without starting values.

    Parameters
    ----------
    counts : numpy.ndarray
        Shape (rows, n): photons per bin, not negative; NaN is a gap.
    n_exponentials : int
        1, 2 or 3; 0 for one stretched exponential.
    response : Response, optional
        By default a pulse of no width.
    shift : float, optional
        By how much the response comes later [bins]; None lets it be fitted, which a pulse does not
        allow: there it is 0.
    background : numpy.ndarray, optional
        Shape (rows,): counts per bin that are known; None lets one constant be fitted.
    period : float, optional
        Time between two pulses [bins], not shorter than the trace; 0 for a single pulse.
    threads : int, optional
        Number of threads that share the rows.

    Returns
    -------
    DecayFit
        In bins.

    Examples
    --------
    >>> mu = expected_counts(400, [900.0, 100.0], [5.0, 60.0], background=2.0)
    >>> fit_decays(mu[None], 2).values[0].round(4).tolist()
    [900.0, 100.0, 5.0, 60.0, 2.0, 0.0, 0.0]
    """
    r = Response() if response is None else response
    y = np.ascontiguousarray(np.where(np.isfinite(counts), counts, -1.0), dtype=np.float64)
    rows, n = y.shape
    m = n_exponentials
    size = 3 if m == 0 else 2 * m
    free = np.ones(size + 3, dtype=bool)
    free[size] = background is None
    free[size + 1] = shift is None and r.kind != "pulse"
    free[size + 2] = r.kind == "gaussian" and r.sigma is None
    fixed_shift = None if free[size + 1] else float(shift or 0.0)
    task = _Task(m, r, float(period), n, free, _grid(m, n), fixed_shift)
    floor = np.zeros(rows) if background is None else np.asarray(background, dtype=np.float64)
    out = _empty(rows, size + 3)
    if rows > 16 or fixed_shift is not None:
        summed = np.where(y >= 0.0, y, 0.0).sum(axis=0)
        start, edges = _start(task, summed, float(floor.sum()), background is not None)
        _fit_block(task, y, floor, start, edges, out, threads)
    else:  # each trace finds its own pulse
        for row in range(rows):
            one = slice(row, row + 1)
            start, edges = _start(task, y[row], float(floor[row]), background is not None)
            _fit_block(
                task, y[one], floor[one], start, edges, {k: v[one] for k, v in out.items()}, 1
            )
    values, covariance = _natural(out["values"], out["covariance"], m, r.kind == "gaussian")
    return DecayFit(
        values, covariance, out["held"], 2.0 * out["half"], 2.0 * out["constant"],
        out["stats"][:, 0], out["stats"][:, 1], out["stats"][:, 2], out["stats"][:, 3],
        out["nfev"], out["code"], int(free.sum()),
    )  # fmt: skip


def _empty(rows: int, total: int) -> dict[str, Any]:
    return {
        "values": np.full((rows, total), np.nan),
        "covariance": np.full((rows, total, total), np.nan),
        "half": np.full(rows, np.nan),
        "constant": np.full(rows, np.nan),
        "stats": np.full((rows, 4), np.nan),
        "nfev": np.zeros(rows, np.int64),
        "code": np.zeros(rows, np.int8),
        "held": np.zeros((rows, total), np.bool_),
    }


def _fit_block(
    task: _Task, y: Floats, floor: Floats, start: Floats, edges: NDArray[np.int64],
    out: dict[str, Any], threads: int,
) -> None:  # fmt: skip
    from plkit.physics.decay_kernels import fit_rows

    r = task.response
    low, high = task.bounds(start)
    columns = task.columns(float(start[0]), float(start[1]), edges)
    h = np.ascontiguousarray(r.histogram, dtype=np.float64)

    def fit(part: slice) -> None:
        fit_rows(
            y[part], task.m, r.code, start, floor[part], low, high, task.free, h, float(r.start),
            r.spread, task.period, task.shapes, edges, columns,
            *(out[k][part] for k in ("values", "covariance", "half", "constant", "stats")),
            *(out[k][part] for k in ("nfev", "code", "held")),
        )  # fmt: skip

    rows = y.shape[0]
    if threads > 1 and rows >= 8 * threads:
        from concurrent.futures import ThreadPoolExecutor

        cuts = np.linspace(0, rows, 4 * threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fit, map(slice, cuts[:-1], cuts[1:])))
    else:
        fit(slice(0, rows))


def _natural(values: Floats, covariance: Floats, m: int, gaussian: bool) -> tuple[Floats, Floats]:
    """From ln τ and ln σ to τ and the full width at half maximum."""
    values = values.copy()
    scale = np.ones_like(values)
    logs = [1] if m == 0 else list(range(m, 2 * m))
    values[:, logs] = np.exp(values[:, logs])
    scale[:, logs] = values[:, logs]
    known = np.isfinite(values[:, -1])
    values[:, -1] = np.where(
        known, np.exp(values[:, -1]) * FWHM_PER_SIGMA if gaussian else 0.0, np.nan
    )
    scale[:, -1] = values[:, -1]
    return values, covariance * scale[:, :, None] * scale[:, None, :]
