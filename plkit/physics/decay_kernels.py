"""Compiled steps of the fit of decay traces; see :mod:`plkit.physics.decay`.

Times are in bins, counted from the left edge of the first bin; the width of a response is its σ.
All kernels stand in one file, long as it is: numba's cache on disk notices a change only in the
file of the function that was cached, never in those that it calls.

This module imports numba; import it inside the function that needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba as nb
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from plkit.physics.compiling import announce_compilation

__all__ = [
    "CONVERGED",
    "GAUSSIAN",
    "HISTOGRAM",
    "NOT_CONVERGED",
    "NO_DATA",
    "PULSE",
    "STRETCHED",
    "coarse_columns",
    "expected_counts",
    "fit_rows",
    "scan_cost",
]

announce_compilation()

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_F = TypeVar("_F", bound=Callable[..., Any])

PULSE, GAUSSIAN, HISTOGRAM = 0, 1, 2
STRETCHED: Final = 0
"""In place of a number of exponentials."""
CONVERGED, NOT_CONVERGED, NO_DATA = 0, 1, 2
MAX_STEPS: Final = 200
MAX_STARTS: Final = 3
NEAR: Final = 9.0
"""In σ of a Gaussian: beyond it nothing is left of 10⁶ counts."""
FAR: Final = 20.0
"""In σ: beyond it a stretched exponential is smooth enough for its second moment."""
TINY: Final = 1e-12
"""Least expected count: below it a photon is impossible."""
_LN_SQRT_2PI: Final = 0.9189385332046727

# numba callees inherit the caller's fastmath flags when they set none: every helper sets its own.
_EXACT: Final = {"contract"}
_SUMS: Final = {"contract", "reassoc", "nsz"}

_NODES: Final = tuple(float(x) for x in 0.5 * (np.polynomial.legendre.leggauss(4)[0] + 1.0))
_WEIGHTS: Final = tuple(float(x) for x in 0.5 * np.polynomial.legendre.leggauss(4)[1])
_PANEL_NODES: Final = tuple(float(x) for x in 0.5 * (np.polynomial.legendre.leggauss(8)[0] + 1.0))
_PANEL_WEIGHTS: Final = tuple(float(x) for x in 0.5 * np.polynomial.legendre.leggauss(8)[1])
_LAGUERRE: Final = tuple(float(x) for x in np.polynomial.laguerre.laggauss(24)[0])
_LAGUERRE_WEIGHTS: Final = tuple(float(x) for x in np.polynomial.laguerre.laggauss(24)[1])
_N_CHEBYSHEV: Final = 14


def _njit(fastmath: set[str]) -> Callable[[_F], _F]:
    """Compile, with a cache on disk where a folder for it can be written."""

    def decorate(function: _F) -> _F:
        options: dict[str, Any] = {"error_model": "numpy", "fastmath": fastmath, "nogil": True}
        try:
            compiled = nb.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache
            compiled = nb.njit(**options)(function)
        return cast(_F, compiled)

    return decorate


@intrinsic
def _float_from_bits(typingctx: Any, bits: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@intrinsic
def _bits_from_float(typingctx: Any, value: Any) -> Any:  # noqa: ARG001
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), codegen


# An intrinsic takes the compiler's context first, which a call does not give: no type fits it.
_as_bits, _as_float = cast(Any, _bits_from_float), cast(Any, _float_from_bits)


@_njit(_EXACT)
def _exp(x: float) -> float:
    """exp(x) for |x| ≤ 700, without branches so that loops over it vectorise."""
    x = min(max(x, -700.0), 700.0)
    n = math.floor(x * 1.4426950408889634 + 0.5)
    r = x - n * 6.93147180369123816490e-01  # ln 2 in two parts
    r = r - n * 1.90821492927058770002e-10
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    bits = (np.int64(n) + np.int64(1023)) << np.int64(52)
    return float(p * _as_float(bits))


@_njit(_EXACT)
def _log(x: float) -> float:
    """ln x of a normal positive number, without branches; exact to rounding also near 1."""
    bits = _as_bits(x)
    # shifts the mantissa to [√½, √2)
    shifted = bits - np.int64(0x3FE6A09E667F3BCD)
    k = shifted >> np.int64(52)
    m = _as_float(bits - (k << np.int64(52)))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 1.0 / 23.0
    p = p * z + 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return float(2.0 * (s + s * z * p) + k * 0.6931471805599453)


# One exponential, seen through each kind of response -------------------------------------------------


@_njit(_EXACT)
def _ramp(x: float, tau: float) -> float:
    """∫∫ exp(−t/τ): τ² (z − 1 + exp(−z)) with z = x/τ."""
    z = x / tau
    if z > 0.1:
        return tau * tau * (z + math.expm1(-z))
    p = 1.0 / 3628800.0
    p = 1.0 / 362880.0 - z * p
    p = 1.0 / 40320.0 - z * p
    p = 1.0 / 5040.0 - z * p
    p = 1.0 / 720.0 - z * p
    p = 1.0 / 120.0 - z * p
    p = 1.0 / 24.0 - z * p
    p = 1.0 / 6.0 - z * p
    p = 0.5 - z * p
    return x * x * p


@_njit(_EXACT)
def _wrapped(
    n: int, first: float, slope0: float, tau: float, q: float, col: Floats, dt: Floats
) -> None:
    """Add first · qⁱ, the tail of all earlier pulses; slope0 is ∂ ln first/∂ ln τ."""
    value = first
    for i in range(n):
        col[i] += value
        dt[i] += value * (slope0 + i / tau)
        value *= q


@_njit(_EXACT)
def _pulse_exponential(
    n: int, tau: float, start: float, period: float, col: Floats, dt: Floats
) -> None:
    """Bins of exp(−t/τ) from a pulse of no width at ``start``."""
    q = math.exp(-1.0 / tau)
    left = -math.expm1(-1.0 / tau)
    k = math.floor(start)
    for i in range(min(max(k, 0), n)):
        col[i] = 0.0
        dt[i] = 0.0
    log_slope = 1.0 - q / left / tau
    if 0 <= k < n:  # the pulse comes within a bin
        z = (k + 1.0 - start) / tau
        col[k] = -tau * math.expm1(-z)
        dt[k] = col[k] - tau * z * math.exp(-z)
    first = max(k + 1, 0) if k >= 0 else 0
    value = tau * left * math.exp(-(first - start) / tau)
    for i in range(first, n):
        col[i] = value
        dt[i] = value * (log_slope + (i - start) / tau)
        value *= q
    if period > 0.0:
        once = math.exp(-period / tau)
        more = -math.expm1(-period / tau)
        slope = log_slope + (period - start) / tau + once / more * period / tau
        _wrapped(n, tau * left * math.exp((start - period) / tau) / more, slope, tau, q, col, dt)


@_njit(_EXACT)
def _tail_of_gaussian(x: float, sigma: float, tau: float, density: float) -> float:
    """exp(−x/τ) seen through a Gaussian: exp(−x/τ + s²/2) Φ(x/σ − s), s = σ/τ."""
    z = x / sigma
    s = sigma / tau
    if s - z > 5.0:  # Mills' ratio by its continued fraction; the product would overflow
        y = s - z
        ratio = y
        for k in range(30, 0, -1):
            ratio = y + k / ratio
        return density / ratio
    return math.exp(s * (0.5 * s - z)) * 0.5 * math.erfc((s - z) * 0.7071067811865476)


@_njit(_EXACT)
def _add_gaussian_exponential(
    n: int, tau: float, centre: float, sigma: float,
    col: Floats, dt: Floats, ds: Floats, dw: Floats,
) -> None:  # fmt: skip
    """Add the bins of one exponential behind one Gaussian pulse; ds by the centre, dw by ln σ."""
    s = sigma / tau
    low = max(0, math.floor(centre - NEAR * sigma))
    high = min(n, math.ceil(centre + (NEAR + s) * sigma) + 1)
    if low >= n:
        return
    high = max(high, 0)
    phi = tail = dtail = slope = 0.0
    for i in range(low, high + 1):
        x = i - centre
        z = x / sigma
        density1 = math.exp(-0.5 * z * z - _LN_SQRT_2PI) if abs(z) < 38.0 else 0.0
        phi1 = 0.5 * math.erfc(-z * 0.7071067811865476)
        tail1 = _tail_of_gaussian(x, sigma, tau, density1)
        dtail1 = tail1 * (x / tau - s * s) + s * density1
        slope1 = density1 / sigma - tail1 / tau
        if i > low:
            value = tau * (phi1 - phi - tail1 + tail)
            col[i - 1] += value
            dt[i - 1] += value - tau * (dtail1 - dtail)
            ds[i - 1] += tail - tail1
            dw[i - 1] += sigma * sigma * (slope1 - slope)
        phi, tail, dtail, slope, _density = phi1, tail1, dtail1, slope1, density1
    q = math.exp(-1.0 / tau)
    left = -math.expm1(-1.0 / tau)
    log_slope = 1.0 - q / left / tau - s * s
    value = tau * left * math.exp(-(high - centre) / tau + 0.5 * s * s)
    for i in range(high, n):
        col[i] += value
        dt[i] += value * (log_slope + (i - centre) / tau)
        ds[i] += value / tau
        dw[i] += value * s * s
        value *= q


@_njit(_EXACT)
def _gaussian_exponential(
    n: int, tau: float, centre: float, sigma: float, period: float,
    col: Floats, dt: Floats, ds: Floats, dw: Floats,
) -> None:  # fmt: skip
    """Bins of one exponential through a Gaussian response, one pulse or a train of them."""
    for i in range(n):
        col[i] = dt[i] = ds[i] = dw[i] = 0.0
    _add_gaussian_exponential(n, tau, centre, sigma, col, dt, ds, dw)
    if period <= 0.0:
        return
    s = sigma / tau
    if centre + period - NEAR * sigma < n:
        _add_gaussian_exponential(n, tau, centre + period, sigma, col, dt, ds, dw)
    last = centre - period
    if last + (NEAR + s) * sigma > 0.0:  # the pulse before has not yet become a plain tail
        _add_gaussian_exponential(n, tau, last, sigma, col, dt, ds, dw)
        last -= period
    q = math.exp(-1.0 / tau)
    left = -math.expm1(-1.0 / tau)
    once = math.exp(-period / tau)
    more = -math.expm1(-period / tau)
    value = tau * left * math.exp(last / tau + 0.5 * s * s) / more
    slope = 1.0 - q / left / tau - s * s - last / tau + once / more * period / tau
    for i in range(n):
        col[i] += value
        dt[i] += value * (slope + i / tau)
        ds[i] += value / tau
        dw[i] += value * s * s
        value *= q


@_njit(_EXACT)
def _on_data_bins(n: int, h: Floats, m: int, moved: Floats) -> None:
    """moved[i] = h[i − m − 1] for the bins −1 … n of the data."""
    for i in range(n + 2):
        j = i - m - 1
        moved[i] = h[j] if 0 <= j < h.size else 0.0


@_njit(_EXACT)
def _histogram_exponential(
    n: int, tau: float, start: float, h: Floats, moved: Floats, period: float,
    col: Floats, dt: Floats, ds: Floats,
) -> None:  # fmt: skip
    """Bins of one exponential through a measured response, uniform within each of its bins.

    The weight of a response bin at a distance of n bins and a fraction f is a second difference of
    :func:`_ramp` for n < 1 and C qⁿ⁻¹ for all others: one recursion sums these.
    """
    m = math.ceil(start)
    f = m - start
    q = math.exp(-1.0 / tau)
    left = -math.expm1(-1.0 / tau)
    qf = math.exp(-f / tau)
    r0, r1 = _ramp(f, tau), _ramp(1.0 + f, tau)
    e0, e1 = -math.expm1(-f / tau), -math.expm1(-(1.0 + f) / tau)
    before, at = r0, r1 - 2.0 * r0
    dr0, dr1 = 2.0 * r0 - tau * f * e0, 2.0 * r1 - tau * (1.0 + f) * e1
    dbefore, dat = dr0, dr1 - 2.0 * dr0
    sbefore, sat = -tau * e0, -tau * (e1 - 2.0 * e0)
    rest = (tau * left) ** 2 * qf
    drest = rest * (2.0 - 2.0 * q / left / tau + f / tau)
    u = du = 0.0
    for j in range(min(-m - 1, h.size)):  # response bins before the first bin of the data
        du = q * (du + u / tau)
        u = q * u + h[j]
    for _ in range(min(max(-m - 1 - h.size, 0), 100000)):
        du = q * (du + u / tau)
        u = q * u
    for i in range(n):
        du = q * (du + u / tau)
        u = q * u + moved[i]
        col[i] = u
        dt[i] = du
    srest = rest / tau
    for i in range(n):
        a, b = moved[i + 2], moved[i + 1]
        u, du = col[i], dt[i]
        col[i] = before * a + at * b + rest * u
        dt[i] = dbefore * a + dat * b + drest * u + rest * du
        ds[i] = sbefore * a + sat * b + srest * u
    if period > 0.0:
        total = moment = 0.0
        for j in range(h.size):
            z = max((period - j - start - 1.0) / tau, 0.0)
            part = h[j] * math.exp(-z)
            total += part
            moment += part * z
        once = math.exp(-period / tau)
        more = -math.expm1(-period / tau)
        scale = (tau * left) ** 2 / more
        slope = 2.0 - 2.0 * q / left / tau + once / more * period / tau
        value, dvalue = scale * total, scale * (total * slope + moment)
        for i in range(n):
            col[i] += value
            dt[i] += dvalue + value * i / tau
            ds[i] += value / tau
            value *= q
            dvalue *= q


# One stretched exponential ---------------------------------------------------------------------------


@_njit(_EXACT)
def _early(x: float, tau: float, beta: float, out: Floats) -> None:
    """∫₀ˣ D and ∫₀ˣ t D of D = exp(−(t/τ)^β), and their derivatives by ln τ and β, as a series."""
    out[:] = 0.0
    if x <= 0.0:
        return
    log = math.log(x / tau)
    z = math.exp(beta * log)
    term = 1.0
    for k in range(200):
        d1, d2 = 1.0 / (k * beta + 1.0), 1.0 / (k * beta + 2.0)
        out[0] += term * d1
        out[1] += term * d2
        out[2] -= term * k * beta * d1
        out[3] -= term * k * beta * d2
        out[4] += term * k * (log * d1 - d1 * d1)
        out[5] += term * k * (log * d2 - d2 * d2)
        term *= -z / (k + 1.0)
        if abs(term) * (k + 2.0) < 1e-18 and k > z:
            break
    for k in range(3):
        out[2 * k] *= x
        out[2 * k + 1] *= x * x


@_njit(_EXACT)
def _cells(
    n: int, f: float, tau: float, beta: float,
    p: Floats, dp: Floats, bp: Floats, r: Floats, dr: Floats, br: Floats,
) -> None:  # fmt: skip
    """∫ (1 − ξ) D and ∫ ξ D over the cells from c + f − 1, ξ from 0 to 1; d by ln τ, b by β."""
    near, far = np.empty(6), np.empty(6)
    edge = 5  # behind which four nodes are enough
    far[:] = 0.0
    for c in range(min(edge, n)):
        x = c - 1.0 + f
        near[:] = far
        _early(x + 1.0, tau, beta, far)
        p[c] = (x + 1.0) * (far[0] - near[0]) - (far[1] - near[1])
        dp[c] = (x + 1.0) * (far[2] - near[2]) - (far[3] - near[3])
        bp[c] = (x + 1.0) * (far[4] - near[4]) - (far[5] - near[5])
        r[c] = far[1] - near[1] - x * (far[0] - near[0])
        dr[c] = far[3] - near[3] - x * (far[2] - near[2])
        br[c] = far[5] - near[5] - x * (far[4] - near[4])
    log_tau = math.log(tau)
    for c in range(edge, n):
        x = c - 1.0 + f
        sp = sdp = sbp = sr = sdr = sbr = 0.0
        for k in range(4):
            node = _NODES[k]
            log = math.log(x + node) - log_tau
            z = _exp(beta * log)
            value = _WEIGHTS[k] * _exp(-z)
            d, b = beta * z * value, -z * log * value
            sp += (1.0 - node) * value
            sdp += (1.0 - node) * d
            sbp += (1.0 - node) * b
            sr += node * value
            sdr += node * d
            sbr += node * b
        p[c], dp[c], bp[c], r[c], dr[c], br[c] = sp, sdp, sbp, sr, sdr, sbr


@_njit(_EXACT)
def _add_far_stretched(
    n: int, first: int, centre: float, variance: float, tau: float, beta: float, weight: float,
    col: Floats, dt: Floats, db: Floats, ds: Floats, dw: Floats,
) -> None:  # fmt: skip
    """Add weight × the bins of D far from its pulse, blurred by a narrow response.

    Blurring adds variance/2 · ∂²/∂x²; of a bin that is the difference of D′ at its edges.
    """
    log_tau = math.log(tau)
    e0 = s0 = d0 = b0 = 0.0
    for i in range(first, n + 1):
        x = i - centre
        log = math.log(x) - log_tau
        z = _exp(beta * log)
        value = _exp(-z)
        slope = -beta * z / x * value
        dslope = beta * beta * z / x * value * (1.0 - z)
        bslope = -(z / x) * value * (1.0 + beta * log * (1.0 - z))
        if i > first:
            total = dtotal = btotal = 0.0
            for k in range(4):
                log = math.log(x - 1.0 + _NODES[k]) - log_tau
                y = _exp(beta * log)
                part = _WEIGHTS[k] * _exp(-y)
                total += part
                dtotal += beta * y * part
                btotal -= y * log * part
            half = 0.5 * variance
            col[i - 1] += weight * (total + half * (slope - s0))
            dt[i - 1] += weight * (dtotal + half * (dslope - d0))
            db[i - 1] += weight * (btotal + half * (bslope - b0))
            ds[i - 1] += weight * (e0 - value)
            dw[i - 1] += weight * variance * (slope - s0)
        e0, s0, d0, b0 = value, slope, dslope, bslope


@_njit(_EXACT)
def _earlier_pulses(x: float, period: float, tau: float, beta: float, out: Floats) -> None:
    """Σ D(x + k period) for k ≥ 2, and its derivatives by ln τ, β and x.

    Sixteen terms, then the formula of Euler and Maclaurin with the incomplete gamma function by
    Gauss and Laguerre's rule.
    """
    out[:] = 0.0
    terms = 16
    for k in range(2, 2 + terms):
        t = x + k * period
        log = math.log(t / tau)
        z = math.exp(beta * log)
        value = math.exp(-z)
        # the last one counts half: it is the first of the remainder
        out[0] += value
        out[1] += beta * z * value
        out[2] -= z * log * value
        out[3] -= beta * z / t * value
    t = x + (2 + terms) * period
    log = math.log(t / tau)
    z = math.exp(beta * log)
    if z > 40.0:
        return
    value = math.exp(-z)
    slope = beta * z / t * value
    out[0] += 0.5 * value + period * slope / 12.0
    out[1] += 0.5 * beta * z * value + period / 12.0 * slope * beta * (z - 1.0)
    out[2] += -0.5 * z * log * value + period / 12.0 * (slope / beta + slope * log * (1.0 - z))
    out[3] -= 0.5 * slope
    out[3] -= value / period
    power = 1.0 / beta - 1.0
    total = dtotal = btotal = 0.0
    for k in range(24):
        y = z + _LAGUERRE[k]
        log_y = math.log(y)
        part = _LAGUERRE_WEIGHTS[k] * math.exp(power * log_y)
        total += part
        dtotal += beta * y * part
        btotal -= y * log_y / beta * part
    scale = tau / beta * value / period
    out[0] += scale * total
    out[1] += scale * dtotal
    out[2] += scale * btotal


@_njit(_EXACT)
def _add_earlier_stretched(
    n: int, centre: float, variance: float, period: float, tau: float, beta: float,
    col: Floats, dt: Floats, db: Floats, ds: Floats, dw: Floats,
) -> None:  # fmt: skip
    """Add what earlier pulses left: the last one bin by bin, all others interpolated."""
    if centre - period < -4.0:
        _add_far_stretched(n, 0, centre - period, variance, tau, beta, 1.0, col, dt, db, ds, dw)
    spread = math.sqrt(variance)
    size = _N_CHEBYSHEV
    table = np.zeros((size, 4))
    a, b = np.empty(4), np.empty(4)
    for k in range(size):
        node = 0.5 * n * (1.0 + math.cos(math.pi * (k + 0.5) / size))
        _earlier_pulses(max(node - centre - spread, -1.5 * period), period, tau, beta, a)
        _earlier_pulses(max(node - centre + spread, -1.5 * period), period, tau, beta, b)
        for c in range(4):
            table[k, c] = 0.5 * (a[c] + b[c])
    series = np.zeros((size, 4))
    for j in range(size):
        for k in range(size):
            wave = math.cos(math.pi * j * (k + 0.5) / size) * (1.0 if j == 0 else 2.0) / size
            for c in range(4):
                series[j, c] += wave * table[k, c]
    b1, b2 = a, b
    for i in range(n):
        u = 2.0 * (i + 0.5) / n - 1.0
        b1[:] = 0.0
        b2[:] = 0.0
        for j in range(size - 1, 0, -1):
            for c in range(4):
                value = 2.0 * u * b1[c] - b2[c] + series[j, c]
                b2[c] = b1[c]
                b1[c] = value
        col[i] += series[0, 0] + u * b1[0] - b2[0]
        dt[i] += series[0, 1] + u * b1[1] - b2[1]
        db[i] += series[0, 2] + u * b1[2] - b2[2]
        ds[i] -= series[0, 3] + u * b1[3] - b2[3]


@_njit(_EXACT)
def _pulse_stretched(
    n: int, tau: float, beta: float, start: float, col: Floats, dt: Floats, db: Floats
) -> None:
    """Bins of D from a pulse of no width at ``start``."""
    k = math.floor(start)
    max(-k, 0)  # cells before the first bin
    size = n - k + 1 if k < n else 1
    work = np.empty((6, max(size, 2)))
    f = k + 1.0 - start
    _cells(max(size, 2), f, tau, beta, work[0], work[1], work[2], work[3], work[4], work[5])
    for i in range(n):
        c = i - k
        if c < 0:
            col[i] = dt[i] = db[i] = 0.0
        else:
            col[i] = work[0, c] + work[3, c]
            dt[i] = work[1, c] + work[4, c]
            db[i] = work[2, c] + work[5, c]


@_njit(_SUMS)
def _convolve(n: int, m: int, h: Floats, kernel: Floats, out: Floats) -> None:
    """out[i] = Σ h[j] kernel[i − j − m + 1]."""
    for i in range(n):
        out[i] = 0.0
    for j in range(h.size):
        weight = h[j]
        if weight == 0.0:
            continue
        first = max(0, j + m - 1)
        lag = 1 - j - m
        for i in range(first, n):
            out[i] += weight * kernel[i + lag]


@_njit(_EXACT)
def _histogram_stretched(
    n: int, tau: float, beta: float, start: float, h: Floats,
    col: Floats, dt: Floats, db: Floats, ds: Floats,
) -> None:  # fmt: skip
    """Bins of D through a measured response, uniform within each of its bins."""
    m = math.ceil(start)
    size = max(n - m + 1, 2)
    work = np.empty((6, size))
    _cells(size, m - start, tau, beta, work[0], work[1], work[2], work[3], work[4], work[5])
    kernel = np.empty((4, size))
    for c in range(size):
        for k in range(3):
            kernel[k, c] = work[k, c] + (work[3 + k, c - 1] if c > 0 else 0.0)
        here = work[0, c] + work[3, c]
        kernel[3, c] = (work[0, c - 1] + work[3, c - 1] if c > 0 else 0.0) - here
    _convolve(n, m, h, kernel[0], col)
    _convolve(n, m, h, kernel[1], dt)
    _convolve(n, m, h, kernel[2], db)
    _convolve(n, m, h, kernel[3], ds)


@_njit(_EXACT)
def _gaussian_stretched(
    n: int, tau: float, beta: float, centre: float, sigma: float,
    col: Floats, dt: Floats, db: Floats, ds: Floats, dw: Floats,
) -> None:  # fmt: skip
    """Bins of D through a Gaussian: ∫ D(x) [Φ at the right edge − Φ at the left edge] dx."""
    for i in range(n):
        col[i] = dt[i] = db[i] = ds[i] = dw[i] = 0.0
    far = min(max(math.ceil(centre + max(FAR * sigma, 4.0)), 0), n)
    if far < n:
        _add_far_stretched(n, far, centre, sigma * sigma, tau, beta, 1.0, col, dt, db, ds, dw)
    low = max(0, math.floor(centre - NEAR * sigma))
    # Panels: narrow ones at the cusp of D, then one σ wide.
    width = min(sigma, tau)
    x0, x1 = 0.0, width * 2.0**-18
    end = far - centre + NEAR * sigma
    while x0 < end and low < far:
        step = x1 - x0
        for k in range(8):
            x = x0 + step * _PANEL_NODES[k]
            log = math.log(x / tau)
            z = math.exp(beta * log)
            value = math.exp(-z) * step * _PANEL_WEIGHTS[k]
            d, b = beta * z * value, -z * log * value
            first = max(low, math.floor(centre + x - NEAR * sigma) - 1)
            last = min(far, math.ceil(centre + x + NEAR * sigma) + 1)
            v0 = (first - centre - x) / sigma
            phi0 = 0.5 * math.erfc(-v0 * 0.7071067811865476)
            density0 = math.exp(-0.5 * v0 * v0 - _LN_SQRT_2PI) if abs(v0) < 38.0 else 0.0
            for i in range(first, last):
                v1 = (i + 1.0 - centre - x) / sigma
                phi1 = 0.5 * math.erfc(-v1 * 0.7071067811865476)
                density1 = math.exp(-0.5 * v1 * v1 - _LN_SQRT_2PI) if abs(v1) < 38.0 else 0.0
                weight = phi1 - phi0
                col[i] += weight * value
                dt[i] += weight * d
                db[i] += weight * b
                ds[i] -= (density1 - density0) / sigma * value
                dw[i] -= (v1 * density1 - v0 * density0) * value
                v0, phi0, density0 = v1, phi1, density1
        x0 = x1
        x1 = x1 * 2.0 if x1 < width else x1 + width


# All columns of a model ------------------------------------------------------------------------------


@_njit(_EXACT)
def _columns(
    m: int, kind: int, n: int, shape: Floats, shift: float, log_width: float,
    h: Floats, h_start: float, spread: Floats, period: float, moved: Floats, c: Floats,
) -> None:  # fmt: skip
    """Fill the columns and their derivatives.

    Exponentials: c[k] is column k, c[m + k] by ln τ, c[2 m + k] by the shift, c[3 m + k] by ln σ.
    Stretched: c[0], then by ln τ, β, shift, ln σ. ``shape`` is (ln τ …) or (ln τ, β); ``spread``
    is the mean position and the variance of a measured response.
    """
    sigma = math.exp(log_width)
    if m == STRETCHED:
        tau, beta = math.exp(shape[0]), shape[1]
        c[3, :n] = 0.0
        c[4, :n] = 0.0
        centre, variance = shift, 0.0
        if kind == PULSE:
            _pulse_stretched(n, tau, beta, shift, c[0], c[1], c[2])
        elif kind == GAUSSIAN:
            _gaussian_stretched(n, tau, beta, shift, sigma, c[0], c[1], c[2], c[3], c[4])
            variance = sigma * sigma
        else:
            _histogram_stretched(n, tau, beta, h_start + shift, h, c[0], c[1], c[2], c[3])
            centre, variance = h_start + shift + spread[0], spread[1]
        if period > 0.0:
            _add_earlier_stretched(
                n, centre, variance, period, tau, beta, c[0], c[1], c[2], c[3], c[4]
            )
        return
    if kind == HISTOGRAM:
        _on_data_bins(n, h, math.ceil(h_start + shift), moved)
    for k in range(m):
        tau = math.exp(shape[k])
        if kind == PULSE:
            _pulse_exponential(n, tau, shift, period, c[k], c[m + k])
        elif kind == GAUSSIAN:
            _gaussian_exponential(
                n, tau, shift, sigma, period, c[k], c[m + k], c[2 * m + k], c[3 * m + k]
            )
        else:
            _histogram_exponential(
                n, tau, h_start + shift, h, moved, period, c[k], c[m + k], c[2 * m + k]
            )


@_njit(_EXACT)
def expected_counts(
    m: int, kind: int, n: int, q: Floats, h: Floats, h_start: float, spread: Floats, period: float
) -> Floats:
    """Expected counts of every bin; q as in :func:`fit_rows`."""
    size = 3 if m == STRETCHED else 2 * m
    amplitudes = max(m, 1)
    c = np.zeros((5 if m == STRETCHED else 4 * m, n))
    _columns(
        m, kind, n, q[amplitudes:size], q[size + 1], q[size + 2], h, h_start, spread, period,
        np.empty(n + 2), c,
    )  # fmt: skip
    mu = np.full(n, q[size])
    for k in range(amplitudes):
        for i in range(n):
            mu[i] += q[k] * c[k, i]
    return mu


@_njit(_EXACT)
def coarse_columns(
    m: int, kind: int, n: int, shapes: Floats, shift: float, log_width: float,
    h: Floats, h_start: float, spread: Floats, period: float, edges: Ints, out: Floats,
) -> None:  # fmt: skip
    """Columns for every row of ``shapes``, summed between ``edges``; the last one is the constant."""
    one = 1 if m > STRETCHED else STRETCHED
    c = np.zeros((5 if m == STRETCHED else 4, n))
    moved = np.empty(n + 2)
    for g in range(shapes.shape[0]):
        _columns(one, kind, n, shapes[g], shift, log_width, h, h_start, spread, period, moved, c)
        for e in range(edges.size - 1):
            total = 0.0
            for i in range(edges[e], edges[e + 1]):
                total += c[0, i]
            out[g, e] = total
    for e in range(edges.size - 1):
        out[shapes.shape[0], e] = edges[e + 1] - edges[e]


# Start: a global search over lifetimes, linear in the amplitudes ---------------------------------------


@_njit(_SUMS)
def _gram(
    y: Floats, edges: Ints, columns: Floats, yc: Floats, w: Floats, scaled: Floats, gram: Floats, rhs: Floats,
) -> float:  # fmt: skip
    """Weighted products of all columns; y < 0 marks a gap, whose group is left out."""
    size = edges.size - 1
    for e in range(size):
        total = 0.0
        whole = True
        for i in range(edges[e], edges[e + 1]):
            if y[i] < 0.0:
                whole = False
            total += y[i]
        yc[e] = total if whole else -1.0
    for e in range(size):  # variance from the neighbourhood, not from the one count
        total, number, bins = 0.0, 0.0, 0.0
        for k in range(max(e - 2, 0), min(e + 3, size)):
            if yc[k] >= 0.0:
                total += yc[k]
                bins += edges[k + 1] - edges[k]
                number += 1.0
        here = edges[e + 1] - edges[e]
        w[e] = 1.0 / (max(total, 1.0) / max(bins, 1.0) * here) if yc[e] >= 0.0 else 0.0
        # where the trace jumps, the count itself knows better
        if yc[e] > 0.0:
            w[e] = min(w[e], 4.0 / max(yc[e], 1.0))
            w[e] = max(w[e], 0.25 / (yc[e] + 1.0))
    yy = 0.0
    for e in range(size):
        if w[e] > 0.0:
            yy += w[e] * yc[e] * yc[e]
    for a in range(columns.shape[0]):
        total = 0.0
        for e in range(size):
            scaled[e] = w[e] * columns[a, e]
            total += scaled[e] * yc[e]
        rhs[a] = total
        for b in range(a + 1):
            total = 0.0
            for e in range(size):
                total += scaled[e] * columns[b, e]
            gram[a, b] = total
            gram[b, a] = total
    return yy


@_njit(_EXACT)
def _solve(a: Floats, b: Floats, size: int, x: Floats) -> bool:
    """Solve a symmetric system by Cholesky, scaled by its diagonal; a is overwritten.

    The row behind the matrix holds the scale.
    """
    scale = a[size]
    for i in range(size):
        if not a[i, i] > 0.0:
            return False
        scale[i] = 1.0 / math.sqrt(a[i, i])
    for i in range(size):
        x[i] = b[i] * scale[i]
        for j in range(i + 1):
            a[i, j] *= scale[i] * scale[j]
    for i in range(size):
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            if i == j:
                if not total > 1e-14:
                    return False
                a[i, i] = math.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
    for i in range(size):
        total = x[i]
        for k in range(i):
            total -= a[i, k] * x[k]
        x[i] = total / a[i, i]
    for i in range(size - 1, -1, -1):
        total = x[i]
        for k in range(i + 1, size):
            total -= a[k, i] * x[k]
        x[i] = total / a[i, i]
    for i in range(size):
        x[i] *= scale[i]
    return True


@_njit(_EXACT)
def _fall(k: int, i: int, j: int, h: int, gram: Floats, rhs: Floats, x: Floats) -> float:
    """Fall of χ² by the columns i, j, h (the first k of them); −1 where one is not positive."""
    a, ra = gram[i, i], rhs[i]
    if k == 1:
        x[0] = ra / a
        return x[0] * ra if x[0] > 0.0 else -1.0
    b, ab, rb = gram[j, j], gram[i, j], rhs[j]
    det = a * b - ab * ab
    if not det > 1e-10 * a * b:
        return -1.0
    if k == 2:
        x[0] = (ra * b - rb * ab) / det
        x[1] = (rb * a - ra * ab) / det
        return x[0] * ra + x[1] * rb if x[0] > 0.0 and x[1] > 0.0 else -1.0
    c, ac, bc, rc = gram[h, h], gram[i, h], gram[j, h], rhs[h]
    # the third column, freed of the first two
    u = (ac * b - bc * ab) / det
    v = (bc * a - ac * ab) / det
    left = c - u * ac - v * bc
    if not left > 1e-10 * c:
        return -1.0
    x[2] = (rc - u * ra - v * rb) / left
    x[0] = (ra * b - rb * ab) / det - x[2] * u
    x[1] = (rb * a - ra * ab) / det - x[2] * v
    if x[0] > 0.0 and x[1] > 0.0 and x[2] > 0.0:
        return float(x[0] * ra + x[1] * rb + x[2] * rc)
    return -1.0


@_njit(_EXACT)
def _project(
    floor: float, fixed: bool, gram: Floats, rhs: Floats, yy: float,
    bare: Floats, bare_rhs: Floats, free: Floats, free_rhs: Floats, base: Floats,
) -> None:  # fmt: skip
    """Two problems without the constant: it is ``floor``, or what fits best; ``base`` is their χ²."""
    last = gram.shape[0] - 1
    constant = gram[last, last]
    base[0] = yy - floor * (2.0 * rhs[last] - floor * constant)
    base[1] = base[0] if fixed else yy - rhs[last] ** 2 / max(constant, 1e-300)
    for i in range(last):
        bare_rhs[i] = rhs[i] - floor * gram[i, last]
        free_rhs[i] = bare_rhs[i] if fixed else rhs[i] - gram[i, last] * rhs[last] / constant
        for j in range(last):
            bare[i, j] = gram[i, j]
            free[i, j] = gram[i, j]
            if not fixed:
                free[i, j] -= gram[i, last] * gram[last, j] / constant


@_njit(_EXACT)
def _group_cost(
    k: int, members: Ints, floor: float, fixed: bool, gram: Floats, rhs: Floats,
    bare: Floats, bare_rhs: Floats, free: Floats, free_rhs: Floats, base: Floats, x: Floats,
) -> float:  # fmt: skip
    """Weighted χ² of k columns and the constant; infinite where an amplitude is not positive."""
    i, j, h = members[0], members[1], members[2]
    last = gram.shape[0] - 1
    if not fixed:
        fall = _fall(k, i, j, h, free, free_rhs, x)
        if fall >= 0.0:
            level = rhs[last]
            for p in range(k):
                level -= x[p] * gram[members[p], last]
            if level >= 0.0:
                x[k] = level / gram[last, last]
                return float(base[1] - fall)
    fall = _fall(k, i, j, h, bare, bare_rhs, x)
    x[k] = floor
    return float(base[0] - fall) if fall >= 0.0 else math.inf


@_njit(_EXACT)
def _search(
    m: int, size: int, floor: float, fixed: bool, gram: Floats, rhs: Floats,
    bare: Floats, bare_rhs: Floats, free: Floats, free_rhs: Floats, base: Floats,
    chosen: Ints, costs: Floats,
) -> int:  # fmt: skip
    """Best groups of m columns; returns how many were found, far enough from one another."""
    k = max(m, 1)
    x = np.empty(k + 1)
    members = np.zeros(3, np.int64)
    found = 0
    worst = math.inf
    for i in range(size):
        for j in range(i + 1 if k > 1 else i, size if k > 1 else i + 1):
            for h in range(j + 1 if k > 2 else j, size if k > 2 else j + 1):
                members[0], members[1], members[2] = i, j, h
                cost = _group_cost(
                    k, members, floor, fixed, gram, rhs, bare, bare_rhs, free, free_rhs, base, x
                )
                if not cost < worst:
                    continue
                near = -1  # a group already kept that this one is a neighbour of
                for s in range(found):
                    distance = 0
                    for d in range(k):
                        distance += abs(chosen[s, d] - members[d])
                    if distance < 4 and (near < 0 or costs[s] < costs[near]):
                        near = s
                if near >= 0:
                    if cost < costs[near]:
                        costs[near] = cost
                        chosen[near] = members
                elif found < chosen.shape[0]:
                    costs[found] = cost
                    chosen[found] = members
                    found += 1
                else:
                    place = int(np.argmax(costs[:found]))
                    costs[place] = cost
                    chosen[place] = members
                if found == chosen.shape[0]:
                    worst = costs[:found].max()
    return found


@_njit(_EXACT)
def scan_cost(y: Floats, m: int, floor: float, fixed: bool, edges: Ints, columns: Floats) -> float:
    """χ² of the best group of columns for one trace."""
    size = columns.shape[0]
    gram, rhs = np.empty((size, size)), np.empty(size)
    bare, free = np.empty((size - 1, size - 1)), np.empty((size - 1, size - 1))
    bare_rhs, free_rhs, base = np.empty(size - 1), np.empty(size - 1), np.empty(2)
    cells = edges.size - 1
    yy = _gram(y, edges, columns, np.empty(cells), np.empty(cells), np.empty(cells), gram, rhs)
    _project(floor, fixed, gram, rhs, yy, bare, bare_rhs, free, free_rhs, base)
    chosen, costs = np.zeros((1, 3), np.int64), np.full(1, np.inf)
    found = _search(
        m, size - 1, floor, fixed, gram, rhs, bare, bare_rhs, free, free_rhs, base, chosen, costs
    )
    return float(costs[0]) if found > 0 else math.inf


# Descent: Fisher scoring with bounds -------------------------------------------------------------------


@_njit(_SUMS)
def _weighted_dot(a: Floats, b: Floats, n: int) -> float:
    total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


@_njit(_SUMS)
def _mix(m: int, n: int, y: Floats, q: Floats, c: Floats, mu: Floats) -> float:
    """Expected counts from the columns, and half the deviance."""
    size = 3 if m == STRETCHED else 2 * m
    for i in range(n):
        mu[i] = q[size]
    for k in range(max(m, 1)):
        for i in range(n):
            mu[i] += q[k] * c[k, i]
    total = 0.0
    for i in range(n):
        model = max(mu[i], TINY)
        mu[i] = model
        counts = y[i]
        # a gap is negative; a count of 0 costs what is expected
        term = model - counts + counts * _log(max(counts, TINY) / model)
        total += term if counts >= 0.0 else 0.0
    return total


@_njit(_EXACT)
def _evaluate(
    m: int, kind: int, n: int, y: Floats, q: Floats, h: Floats, h_start: float, spread: Floats,
    period: float, moved: Floats, c: Floats, mu: Floats,
) -> float:  # fmt: skip
    """Half the deviance; fills the columns and the expected counts."""
    size = 3 if m == STRETCHED else 2 * m
    _columns(
        m, kind, n, q[max(m, 1) : size], q[size + 1], q[size + 2], h, h_start, spread, period,
        moved, c,
    )  # fmt: skip
    return _mix(m, n, y, q, c, mu)


@_njit(_SUMS)
def _normal(
    m: int, n: int, y: Floats, q: Floats, use: NDArray[np.bool_], c: Floats, mu: Floats,
    root: Floats, jac: Floats, g: Floats, hess: Floats,
) -> None:  # fmt: skip
    """Gradient of half the deviance and Fisher's information of all parameters."""
    size = 3 if m == STRETCHED else 2 * m
    amplitudes = max(m, 1)
    total = size + 3
    for i in range(n):
        root[i] = 1.0 / math.sqrt(mu[i]) if y[i] >= 0.0 else 0.0
    for p in range(total):
        if not use[p]:
            continue
        row = jac[p]
        if p < amplitudes:
            for i in range(n):
                row[i] = c[p, i] * root[i]
        elif p < size:
            factor = q[0] if m == STRETCHED else q[p - m]
            for i in range(n):
                row[i] = factor * c[p, i] * root[i]
        elif p == size:
            for i in range(n):
                row[i] = root[i]
        else:
            base = (size if m == STRETCHED else 2 * m) + (p - size - 1) * amplitudes
            for i in range(n):
                row[i] = q[0] * c[base, i] * root[i]
            for k in range(1, amplitudes):
                for i in range(n):
                    row[i] += q[k] * c[base + k, i] * root[i]
    for i in range(n):
        root[i] = (mu[i] - y[i]) * root[i] if y[i] >= 0.0 else 0.0
    for p in range(total):
        if not use[p]:
            continue
        g[p] = _weighted_dot(jac[p], root, n)
        for r in range(p + 1):
            if use[r]:
                hess[p, r] = _weighted_dot(jac[p], jac[r], n)
                hess[r, p] = hess[p, r]


@_njit(_EXACT)
def _step(
    size: int, q: Floats, low: Floats, high: Floats, live: NDArray[np.bool_], damping: float,
    g: Floats, hess: Floats, d: Floats, a: Floats, b: Floats, x: Floats, index: Ints,
) -> float:  # fmt: skip
    """Damped step within the bounds; returns the fall of half the deviance that it promises.

    What would cross its bound is put on it, and the others are solved for again.
    """
    open_ = live.copy()
    for p in range(size):
        d[p] = 0.0
    for _ in range(size + 1):
        count = 0
        for p in range(size):
            if open_[p]:
                index[count] = p
                count += 1
        if count == 0:
            break
        for i in range(count):
            p = index[i]
            b[i] = -g[p]
            for r in range(size):
                if live[r] and not open_[r]:
                    b[i] -= hess[p, r] * d[r]
            for j in range(i + 1):
                a[i, j] = hess[p, index[j]]
            a[i, i] *= 1.0 + damping
        if not _solve(a, b, count, x):
            return -1.0
        crossed = False
        for i in range(count):
            p = index[i]
            if q[p] + x[i] < low[p]:
                d[p] = low[p] - q[p]
                open_[p] = False
                crossed = True
            elif q[p] + x[i] > high[p]:
                d[p] = high[p] - q[p]
                open_[p] = False
                crossed = True
            else:
                d[p] = x[i]
        if not crossed:
            break
    fall = 0.0
    for p in range(size):
        if live[p]:
            fall -= g[p] * d[p]
            for r in range(size):
                if live[r]:
                    fall -= 0.5 * d[p] * hess[p, r] * d[r]
    return fall


@_njit(_EXACT)
def _mark_live(
    m: int, size: int, q: Floats, low: Floats, high: Floats, free: NDArray[np.bool_], g: Floats,
    live: NDArray[np.bool_],
) -> None:  # fmt: skip
    """What may move: not fixed, and not held at a bound by the gradient."""
    for p in range(size):
        live[p] = free[p] and not (
            (q[p] <= low[p] and g[p] > 0.0) or (q[p] >= high[p] and g[p] < 0.0)
        )
    for k in range(max(m, 1)):  # without its amplitude a lifetime has no effect
        if q[k] <= low[k]:
            if m == STRETCHED:
                live[1] = live[2] = False
            else:
                live[m + k] = False


@_njit(_EXACT)
def _relax(
    m: int, n: int, y: Floats, q: Floats, low: Floats, high: Floats, linear: NDArray[np.bool_],
    c: Floats, mu: Floats, root: Floats, jac: Floats, value: float, work: Floats, index: Ints,
    live: NDArray[np.bool_],
) -> float:  # fmt: skip
    """Let amplitudes and background follow the lifetimes: a convex problem with known columns."""
    size = q.size
    g, hess = work[size], work[:size]
    d, b, x, old = work[size + 1], work[size + 2], work[size + 3], work[size + 4]
    a = work[size + 5 :]
    for _ in range(4):
        _normal(m, n, y, q, linear, c, mu, root, jac, g, hess)
        for p in range(size):
            live[p] = linear[p] and not (q[p] <= low[p] and g[p] > 0.0)
        fall = _step(size, q, low, high, live, 1e-10, g, hess, d, a, b, x, index)
        if not fall > 1e-10:
            break
        for p in range(size):
            old[p] = q[p]
            if live[p]:
                q[p] = max(q[p] + d[p], low[p])
        new = _mix(m, n, y, q, c, mu)
        if not new < value:
            for p in range(size):
                q[p] = old[p]
            _mix(m, n, y, q, c, mu)
            break
        value = new
        if fall < 1e-2:
            break
    return value


@_njit(_EXACT)
def _descend(
    m: int, kind: int, n: int, y: Floats, q: Floats, low: Floats, high: Floats,
    free: NDArray[np.bool_], h: Floats, h_start: float, spread: Floats, period: float,
    moved: Floats, c: Floats, mu: Floats, root: Floats, jac: Floats, g: Floats, hess: Floats,
    kept: Floats, evals: Ints,
) -> tuple[float, bool]:  # fmt: skip
    """Minimise the deviance from q on; returns half of it and whether the search came to rest.

    ``kept`` takes the expected counts of the result.
    """
    size = q.size
    a, b, x = np.empty((size + 1, size)), np.empty(size), np.empty(size)
    d, trial, index = np.empty(size), np.empty(size), np.zeros(size, np.int64)
    live, linear = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    movable = np.zeros(size, np.bool_)
    work = np.empty((2 * size + 6, size))
    for k in range(max(m, 1)):
        linear[k] = True
    linear[3 if m == STRETCHED else 2 * m] = free[3 if m == STRETCHED else 2 * m]
    first = 1 if m == STRETCHED else m
    last = 2 if m == STRETCHED else 2 * m
    value, fall, shrink, damping = math.inf, math.inf, 0.0, 1e-3
    trial[:] = q
    for _ in range(MAX_STEPS):
        new = _evaluate(m, kind, n, y, trial, h, h_start, spread, period, moved, c, mu)
        if fall > 0.1:
            new = _relax(
                m, n, y, trial, low, high, linear, c, mu, root, jac, new, work, index, movable
            )
        evals[0] += 1
        if new <= value + (1e-13 * (value + 1.0) if fall < 1e-6 else 0.0):
            q[:] = trial
            value = new
            kept[:] = mu
            if fall < 1e-7 and damping <= 1e-4 and shrink == 1.0:
                return value, True
            if fall < math.inf:
                damping = max(0.05 * damping, 1e-10)
            _normal(m, n, y, q, free, c, mu, root, jac, g, hess)
            _mark_live(m, size, q, low, high, free, g, live)
        else:
            if fall == math.inf:  # not even the start can be evaluated
                return value, False
            damping = max(5.0 * damping, 1e-6)
            if fall < 1e-7 or damping > 1e10:
                return value, fall < 1e-4
        fall = -1.0
        while fall < 0.0:
            fall = _step(size, q, low, high, live, damping, g, hess, d, a, b, x, index)
            if fall < 0.0:  # not positive definite to rounding
                damping = max(10.0 * damping, 1e-6)
                if damping > 1e12:
                    return value, False
        longest = 0.0
        for p in range(first, last):
            longest = max(longest, abs(d[p]))
        shrink = min(1.0, 1.5 / longest) if longest > 0.0 else 1.0
        for p in range(size):
            trial[p] = min(max(q[p] + shrink * d[p], low[p]), high[p]) if live[p] else q[p]
    return value, False


@_njit(_EXACT)
def _covariance(
    size: int, live: NDArray[np.bool_], free: NDArray[np.bool_], hess: Floats, out: Floats
) -> None:
    """Inverse of Fisher's information; zero where fixed, NaN where held at a bound."""
    for p in range(size):
        for r in range(size):
            out[p, r] = 0.0 if not (free[p] and free[r]) else np.nan
    index = np.zeros(size, np.int64)
    count = 0
    for p in range(size):
        if live[p]:
            index[count] = p
            count += 1
    a, b, x = np.empty((count + 1, count)), np.empty(count), np.empty(count)
    for column in range(count):
        for i in range(count):
            b[i] = 1.0 if i == column else 0.0
            for j in range(count):
                a[i, j] = hess[index[i], index[j]]
        if not _solve(a, b, count, x):
            return
        for i in range(count):
            out[index[i], index[column]] = x[i]


@_njit(_EXACT)
def _sort(m: int, q: Floats) -> None:
    """Shortest lifetime first."""
    for i in range(m):
        for j in range(m - 1 - i):
            if q[m + j] > q[m + j + 1]:
                q[m + j], q[m + j + 1] = q[m + j + 1], q[m + j]
                q[j], q[j + 1] = q[j + 1], q[j]


@_njit(_EXACT)
def _statistics(n: int, y: Floats, mu: Floats, out: Floats) -> None:
    """Pearson's χ², number of bins, counts, and the runs of the residual's sign.

    Bins are joined until they hold ten expected counts and no more than 400 groups are left: the
    sign of a residual says little where a bin expects a tenth of a photon.
    """
    pearson, bins, counts, expected = 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        if y[i] >= 0.0:
            pearson += (y[i] - mu[i]) ** 2 / mu[i]
            bins += 1.0
            counts += y[i]
            expected += mu[i]
    joined = max(10.0, expected / 400.0)
    up, down, runs = 0.0, 0.0, 0.0
    before = 0
    seen, model = 0.0, 0.0
    for i in range(n):
        if y[i] >= 0.0:
            seen += y[i]
            model += mu[i]
        if model >= joined:
            sign = 1 if seen > model else -1
            if sign != before:
                runs += 1.0
            if sign > 0:
                up += 1.0
            else:
                down += 1.0
            before = sign
            seen, model = 0.0, 0.0
    groups = up + down
    z = 0.0
    if up > 0.0 and down > 0.0 and groups > 2.0:
        mean = 1.0 + 2.0 * up * down / groups
        variance = (mean - 1.0) * (mean - 2.0) / (groups - 1.0)
        if variance > 0.0:
            z = (runs - mean) / math.sqrt(variance)
    elif groups > 8.0:
        z = -math.sqrt(groups)  # one sign throughout
    out[0], out[1], out[2], out[3] = pearson, bins, counts, z


@_njit(_EXACT)
def _constant(n: int, y: Floats) -> float:
    """Half the deviance of the best constant."""
    total, bins = 0.0, 0.0
    for i in range(n):
        if y[i] >= 0.0:
            total += y[i]
            bins += 1.0
    if total <= 0.0:
        return 0.0
    mean = total / bins
    out = 0.0
    for i in range(n):
        if y[i] > 0.0:
            out += y[i] * math.log(y[i] / mean)
    return out


@_njit(_EXACT)
def _lost_component(m: int, q: Floats, low: Floats) -> int:
    """A component at amplitude zero, or one of two that became one, or −1; q joins these two."""
    for k in range(m):
        if q[k] <= low[k]:
            return k
    for k in range(m - 1):
        for j in range(k + 1, m):
            if abs(q[m + k] - q[m + j]) < 0.02:
                q[j] += q[k]
                return k
    return -1


@_njit(_EXACT)
def _missing_lifetime(edges: Ints, columns: Floats, yc: Floats, mu: Floats) -> int:
    """Lifetime of the grid that the residual asks for, or −1.

    The likelihood of a mixture rises where its gradient by the amplitude of any lifetime is
    positive.
    """
    where, gain = -1, 1e-3
    for grid in range(columns.shape[0] - 1):
        slope, power = 0.0, 0.0
        for e in range(edges.size - 1):
            if yc[e] < 0.0:
                continue
            model = 0.0
            for i in range(edges[e], edges[e + 1]):
                model += mu[i]
            slope += columns[grid, e] * (yc[e] / model - 1.0)
            power += columns[grid, e] ** 2 / model
        if slope > 0.0 and slope * slope / power > gain:
            where, gain = grid, slope * slope / power
    return where


@_njit(_EXACT)
def fit_rows(
    y: Floats, m: int, kind: int, start: Floats, floor: Floats, low: Floats, high: Floats,
    free: NDArray[np.bool_], h: Floats, h_start: float, spread: Floats, period: float,
    shapes: Floats, edges: Ints, columns: Floats,
    values: Floats, covariance: Floats, half_deviance: Floats, constant: Floats, stats: Floats,
    nfev: Ints, code: NDArray[np.int8], held: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Fit every row of counts; y < 0 is a gap.

    The parameters of a row are the amplitudes, ln τ (and β), background, shift, ln σ of the
    response. ``start`` holds shift and ln σ; ``floor`` the background of each row where it is
    fixed; ``columns`` those of :func:`coarse_columns` at the start.
    """
    n = y.shape[1]
    size = 3 if m == STRETCHED else 2 * m
    total = size + 3
    amplitudes = max(m, 1)
    n_grid = shapes.shape[0]
    c = np.zeros((5 if m == STRETCHED else 4 * m, n))
    moved, mu, root, jac = np.empty(n + 2), np.empty(n), np.empty(n), np.zeros((total, n))
    g, hess = np.zeros(total), np.zeros((total, total))
    cells = edges.size - 1
    yc, w, scaled = np.empty(cells), np.empty(cells), np.empty(cells)
    gram, rhs = np.empty((n_grid + 1, n_grid + 1)), np.empty(n_grid + 1)
    chosen, costs = np.zeros((MAX_STARTS, 3), np.int64), np.empty(MAX_STARTS)
    x = np.empty(amplitudes + 1)
    bare, free_gram = np.empty((n_grid, n_grid)), np.empty((n_grid, n_grid))
    bare_rhs, free_rhs, base = np.empty(n_grid), np.empty(n_grid), np.empty(2)
    q, best, own_low, own_high = np.empty(total), np.empty(total), np.empty(total), np.empty(total)
    live = np.zeros(total, np.bool_)
    kept, best_mu, members = np.empty(n), np.empty(n), np.zeros(3, np.int64)
    evals = np.zeros(1, np.int64)
    n_free = 0
    for p in range(total):
        n_free += int(free[p])
    for row in range(y.shape[0]):
        yr = y[row]
        known, counts = 0, 0.0
        for i in range(n):
            if yr[i] >= 0.0:
                known += 1
                counts += yr[i]
        constant[row] = _constant(n, yr)
        stats[row, 1], stats[row, 2] = known, counts
        if known <= n_free or counts <= 0.0:
            code[row] = NO_DATA
            continue
        fixed = not free[size]
        level = floor[row]
        yy = _gram(yr, edges, columns, yc, w, scaled, gram, rhs)
        costs[:] = np.inf
        _project(level, fixed, gram, rhs, yy, bare, bare_rhs, free_gram, free_rhs, base)
        found = _search(
            m, n_grid, level, fixed, gram, rhs, bare, bare_rhs, free_gram, free_rhs, base,
            chosen, costs,
        )  # fmt: skip
        evals[0] = 0
        best_value, rest = np.inf, False
        order = np.argsort(costs[:found])
        starts = 1
        while starts < found and costs[order[starts]] <= 1.02 * costs[order[0]] + 10.0:
            starts += 1
        own_low[:] = low
        own_high[:] = high
        own_low[size] = level if fixed else 0.0
        better = True
        for attempt in range(starts + 2):
            if attempt < starts:
                if found == 0:  # nothing fits with positive amplitudes: spread the lifetimes out
                    for k in range(amplitudes):
                        members[k] = (k + 1) * n_grid // (amplitudes + 1)
                        x[k] = counts / known / (amplitudes + 1)
                    x[amplitudes] = level if fixed else counts / known / (amplitudes + 1)
                else:
                    members[:] = chosen[order[attempt]]
                    _group_cost(
                        amplitudes, members, level, fixed, gram, rhs,
                        bare, bare_rhs, free_gram, free_rhs, base, x,
                    )  # fmt: skip
                for k in range(amplitudes):
                    q[k] = max(x[k], 1e-6 * counts / known)
                for k in range(size - amplitudes):
                    q[amplitudes + k] = (
                        shapes[members[0], k] if m == STRETCHED else shapes[members[k], 0]
                    )
                q[size] = level if fixed else max(x[amplitudes], 0.5 / known)
                q[size + 1], q[size + 2] = start[0], start[1]
                for p in range(total):
                    if free[p]:
                        q[p] = min(max(q[p], own_low[p]), own_high[p])
            else:
                q[:] = best
                if m < 2 or not better:
                    break
                lost = _lost_component(m, q, own_low)
                if lost < 0:
                    break
                where = _missing_lifetime(edges, columns, yc, best_mu)
                if where < 0:
                    break
                q[m + lost] = shapes[where, 0]
                q[lost] = 1e-3 * counts / known
            value, came = _descend(
                m, kind, n, yr, q, own_low, own_high, free, h, h_start, spread, period,
                moved, c, mu, root, jac, g, hess, kept, evals,
            )  # fmt: skip
            better = value < best_value
            if better:
                best_value, rest = value, came
                best[:] = q
                best_mu[:] = kept
        if m > 1:
            _sort(m, best)
        half_deviance[row] = _evaluate(
            m, kind, n, yr, best, h, h_start, spread, period, moved, c, mu
        )
        _normal(m, n, yr, best, free, c, mu, root, jac, g, hess)
        for p in range(total):
            live[p] = free[p] and best[p] > own_low[p] and best[p] < own_high[p]
            held[row, p] = free[p] and not live[p]
        for k in range(amplitudes):
            if held[row, k]:
                if m == STRETCHED:
                    live[1] = live[2] = False
                else:
                    live[m + k] = False
        _covariance(total, live, free, hess, covariance[row])
        _statistics(n, yr, mu, stats[row])
        values[row] = best
        nfev[row] = evals[0]
        code[row] = CONVERGED if rest else NOT_CONVERGED
