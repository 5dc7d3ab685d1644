"""Compiled search and fit of the highest peak of a spectrum; see :mod:`plkit.physics.peaks`.

One spectrum at a time, in buffers that its thread owns. The start is found from running means; a line
is then fitted by Levenberg and Marquardt's method in a window around it, that is copied once to the
first places of the buffer ``window`` and padded with channels of weight zero to a multiple of
``STRETCH``: loops over it need no remainder. A step forms the sums of weighted products of the line's
derivatives, up to constant factors, and works on small matrices from there on.

All kernels stand in one file, long as it is: numba's cache on disk notices a change only in the
file of the function that was cached, never in those that it calls. This module imports numba;
import it inside the function that needs it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="call-arg,var-annotated,unreachable"
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba as nb
import numpy as np
from numba.core import types
from numba.extending import intrinsic as _intrinsic

from plkit.physics.compiling import announce_compilation

__all__ = ["ROOM", "STRETCH", "TABLES", "fit_rows", "margin"]

announce_compilation()

# Methods and status; as in plkit.physics.peaks.
PARABOLA, CENTROID, GAUSSIAN, ASYMMETRIC = range(4)
OK, AT_BOUND, NOT_IDENTIFIABLE, NO_SIGNAL, FAILED = range(5)

STRETCH: Final = 16
"""Channels that loops take at a time; windows are padded to a multiple of it."""

# Rows of ``axis`` and ``own``: ascending energies [eV], bandwidth, gain and floor of the noise,
# then what follows from them: 1/bandwidth, steps of the axis, light per count.
ENERGY, BANDWIDTH, GAIN, FLOOR, INVERSE, STEP, LIGHT = (np.int64(i) for i in range(7))
# Rows of ``room``: counts, mirrored counts and two running means of them (each with a margin on both
# ends), the one chosen, the scatter of neighbours.
COUNTS, MIRRORED, MEAN, OTHER, CHOSEN, SCATTER = (np.int64(i) for i in range(6))
# Rows of ``window``: energy, bandwidth, gain, floor, counts, 1 for a channel and 0 for padding; the
# line of unit height per channel, its logarithm's root (asymmetric line), two rows of weights.
W_ENERGY, W_BANDWIDTH, W_GAIN, W_FLOOR, W_COUNTS, W_THERE, LINE, ROOT, WEIGHT, SPREAD = (
    np.int64(i) for i in range(10)
)
ROOM: Final = {"axis": 7, "room": 6, "window": 10}
"""How many rows each buffer has."""

SIZE: Final = 5
# Layers of ``table`` (…, 5, 5): sums of products, the same with the channels' variances, factor.
SUMS, MEAT, FACTOR = (np.int64(i) for i in range(3))
# Rows of ``vector`` (…, 5): parameters, trial, gradient, bounds, scales, solution, σ.
NOW, TRIAL, GRADIENT, LOW, HIGH, SCALE, SOLUTION, SIGMA, FIRST, HELD = (
    np.int64(i) for i in range(10)
)
TABLES: Final = {"table": (3, SIZE, SIZE), "vector": (10, SIZE)}
"""Shapes of the small buffers."""

# A maximum counts as a peak from here on, in σ of the running mean it was found in. Of all running
# means the narrowest is taken in which the maximum is clear.
SEEN: Final = 5.0
CLEAR: Final = 8.0
SMOOTH: Final = 7
# A weight is never larger than that of a channel with so many expected electrons.
LEAST_ELECTRONS: Final = 0.3
ROUNDS: Final = 80
CONVERGED: Final = 1e-8
SINGULAR: Final = 4e11
# Channels that a method looks at, on either side of the maximum, in units of the full width.
# parabola: where a Gaussian stands above 40 % of its maximum.
REACH: Final = (0.575, 1.5, 2.0, 2.5)
# Standard deviation of a Gaussian that is cut at ±1.5 full widths, in units of the whole one's.
TRUNCATED: Final = 0.99724
FWHM_PER_SIGMA: Final = 2.0 * math.sqrt(2.0 * math.log(2.0))
# Below this asymmetry the line is Gaussian to the last digit.
SYMMETRIC: Final = 1e-7
LARGEST_ASYMMETRY: Final = 2.0

_F = TypeVar("_F", bound=Callable[..., Any])
# Callees without flags inherit those of whoever compiled first: every helper states its own. Sums
# may be reordered, hence vectorised; nothing may assume that NaN is absent.
_SUMS: Final = {"reassoc", "contract", "nsz"}
_EXACT: Final = {"contract"}
# Where all numbers are known to be finite: a largest one is found eight at a time.
_FINITE: Final = _SUMS | {"nnan"}
_LN2: Final = math.log(2.0)


def _njit(fastmath: set[str]) -> Callable[[_F], _F]:
    """Compile a helper that allocates nothing, without what only calls from Python need."""
    options: dict[str, Any] = {"fastmath": fastmath, "error_model": "numpy", "nogil": True}
    # Without its runtime numba counts no references, which costs as much as the arithmetic here.
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
    return lambda function: nb.njit(**options)(function)


def _entry(function: _F) -> _F:
    """Compile what Python calls, without the GIL, cached on disk where a folder can be written."""
    options: dict[str, Any] = {"fastmath": _EXACT, "error_model": "numpy", "nogil": True}
    try:
        compiled = nb.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = nb.njit(**options)(function)
    return compiled  # type: ignore[no-any-return]


intrinsic: Any = _intrinsic  # numba gives it another signature than the function has


# Elementary functions without branches, so that loops over them vectorise -------------------------


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


@_njit(_EXACT)
def _exp(x):
    """exp(x) for |x| ≤ 700, beyond it the value at the end; relative error below 3e-16."""
    x = min(max(x, -700.0), 700.0)
    # Adding 1.5·2⁵² rounds to an integer and leaves it, with the bias, in the lowest bits.
    shifted = x * 1.4426950408889634 + 6755399441056767.0
    n = shifted - 6755399441056767.0
    r = x - n * 6.93147180369123816490e-01  # ln 2 in two parts
    r = r - n * 1.90821492927058770002e-10
    p = 2.510038549551032e-08
    p = p * r + 2.7620088445409746e-07
    p = p * r + 2.7557268459997064e-06
    p = p * r + 2.4801521295954376e-05
    p = p * r + 1.9841269863053618e-04
    p = p * r + 1.3888888917213717e-03
    p = p * r + 8.333333333330062e-03
    p = p * r + 4.166666666662413e-02
    p = p * r + 1.6666666666666669e-01
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * _float_from_bits(_bits_from_float(shifted) << np.int64(52))


@_njit(_EXACT)
def _log1p(u):
    """ln(1 + u) for −1 < u < 1e300, to the last digits also for small u."""
    v = 1.0 + u
    bits = _bits_from_float(v)
    # Exponent such that the rest lies in [√½, √2).
    n = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    f = _float_from_bits(bits - (n << np.int64(52)))
    whole = n == 0
    s = (u if whole else f - 1.0) / (2.0 + u if whole else f + 1.0)
    z = s * s
    p = 0.14617807153417325
    p = p * z + 0.15331611722055008
    p = p * z + 0.1818289243253687
    p = p * z + 0.22222211089379496
    p = p * z + 0.28571428626253836
    p = p * z + 0.3999999999989889
    p = p * z + 0.666666666666667
    return float(n) * _LN2 + s * (2.0 + z * p)


# The axis of a spectrum, and what it says about its peak ------------------------------------------


def margin(channels: int) -> int:
    """Channels by which running means need a spectrum to be continued at either end."""
    return int(channels // 8 + 8)


@_njit(_SUMS)
def _all_finite(counts, p, n):
    s = 0.0
    for c in range(n):
        s += counts[p, c] * 0.0
    return s == 0.0


@_njit(_EXACT)
def _compress(given, counts, p, n, axis, room):
    """Put the finite channels of a spectrum side by side; how many there are."""
    m = 0
    for c in range(n):
        y = counts[p, c]
        if abs(y) < math.inf:
            room[COUNTS, m] = y
            for row in range(FLOOR + 1):
                axis[row, m] = given[row, c]
            m += 1
    return m


@_njit(_EXACT)
def _copy(given, n, axis):
    for row in range(FLOOR + 1):
        for c in range(n):
            axis[row, c] = given[row, c]


@_njit(_EXACT)
def _complete(axis, n):
    """Steps of an axis, and the light in a channel per count: a channel's photons have its energy."""
    for c in range(n):
        axis[INVERSE, c] = 1.0 / axis[BANDWIDTH, c]
    for c in range(n):
        a, b = max(c - 1, 0), min(c + 1, n - 1)
        step = (axis[ENERGY, b] - axis[ENERGY, a]) / max(b - a, 1)
        axis[STEP, c] = step
        axis[LIGHT, c] = step * axis[INVERSE, c]


@_njit(_EXACT)
def _mirror(room, source, target, n, pad):
    """Continue a row by its mirror image at both ends: d c b | a b c d | c b a."""
    for c in range(n):
        room[target, np.uint64(pad) + np.uint64(c)] = room[source, c]
    for k in range(1, pad + 1):
        # an image longer than the row is never looked at
        room[target, pad - k] = room[source, min(k, n - 1)]
        room[target, pad + n - 1 + k] = room[source, max(n - 1 - k, 0)]


@_njit(_SUMS)
def _mean_at(room, mirrored, pad, c, size):
    """Mean over ``size`` channels around ``c``."""
    first = np.uint64(pad + c - size // 2)
    s = 0.0
    for k in range(size):
        s += room[mirrored, first + np.uint64(k)]
    return s / size


@_njit(_SUMS)
def _double(room, source, target, first, last, left, right):
    """Sums over twice as many channels, from neighbouring sums."""
    a, b, o = np.uint64(first - left), np.uint64(first + right), np.uint64(first)
    for k in range(last - first):
        i = np.uint64(k)
        room[target, o + i] = room[source, a + i] + room[source, b + i]


@_njit(_SUMS)
def _scatter(room, n, pad):
    """Variance of every channel from second differences, averaged over some channels around.

    Returns its mean. Uses the rows of the running means.
    """
    for c in range(1, n - 1):
        d = room[COUNTS, c - 1] - 2.0 * room[COUNTS, c] + room[COUNTS, c + 1]
        room[CHOSEN, c] = d * d / 6.0
    room[CHOSEN, 0], room[CHOSEN, n - 1] = room[CHOSEN, 1], room[CHOSEN, n - 2]
    _mirror(room, CHOSEN, OTHER, n, pad)
    size = min(15, n)
    total = 0.0
    for c in range(n):
        room[SCATTER, c] = _mean_at(room, OTHER, pad, c, size)
        total += room[SCATTER, c]
    return total / n


@_njit(_EXACT)
def _variance(axis, room, c, expected, noisy):
    """Variance of a channel, by the noise model or the scatter of its neighbours."""
    if noisy:
        return axis[GAIN, c] * max(expected, 0.0) + axis[FLOOR, c]
    return room[SCATTER, c]


@_njit(_EXACT)
def _background(axis, room, n, pad, noisy):
    """Background from both ends: their mean where they agree, else the lower one; and its variance."""
    size = max(1, n // 16)
    width = min(SMOOTH, n)
    a = va = b = vb = 0.0
    for k in range(size):
        end = n - size + k
        a += room[COUNTS, k]
        b += room[COUNTS, end]
        va += _variance(axis, room, k, _mean_at(room, MIRRORED, pad, k, width), noisy)
        vb += _variance(axis, room, end, _mean_at(room, MIRRORED, pad, end, width), noisy)
    a, b, va, vb = a / size, b / size, va / size**2, vb / size**2
    if abs(a - b) <= 3.0 * math.sqrt(max(va + vb, 0.0)):
        return 0.5 * (a + b), 0.25 * (va + vb)
    if a < b:
        return a, va
    return b, vb


@_njit(_FINITE)
def _argmax(room, row, first, n):
    """Place of the first largest value, counted from ``first``."""
    o = np.uint64(first)
    best = room[row, o]
    for c in range(n):
        v = room[row, o + np.uint64(c)]
        best = v if v > best else best
    for c in range(n):
        if room[row, o + np.uint64(c)] >= best:
            return c
    return 0


@_njit(_SUMS)
def _rise(axis, room, source, first, n, factor, background):
    """Row CHOSEN becomes a running mean above the background, per interval of energy."""
    o = np.uint64(first)
    for c in range(n):
        v = room[source, o + np.uint64(c)] * factor - background
        room[CHOSEN, c] = v * axis[INVERSE, c]


@_njit(_EXACT)
def _find_start(axis, room, n, noisy):
    """Centre, full width, height, background, its variance; and whether anything rises above the noise."""
    pad = n // 8 + 8
    average = 0.0 if noisy else _scatter(room, n, pad)
    _mirror(room, COUNTS, MIRRORED, n, pad)
    background, background_var = _background(axis, room, n, pad, noisy)
    best, size, now = -math.inf, 1, MIRRORED
    while True:
        c = _argmax(room, now, pad, n)
        mean = room[now, pad + c] / size
        rise = mean - background
        var = _variance(axis, room, c, max(mean, background), noisy)
        # not less than the average: where few photons fall, few channels show no scatter
        var = max(var, average)
        sigma = math.sqrt(var / size + background_var)
        z = 0.0
        if sigma > 0.0:
            z = rise / sigma
        elif rise > 0.0:
            z = 1e9
        if z > best:
            best = z
            _rise(axis, room, now, pad, n, 1.0 / size, background)
        if best >= CLEAR or 2 * size > max(1, n // 4):
            break
        left, right = (1, 0) if size == 1 else (size // 2, size // 2)
        other = OTHER if now != OTHER else MEAN
        # as much beyond the ends as the next sums need
        beyond = pad - size
        _double(room, now, other, pad - beyond, pad + n + beyond, left, right)
        now, size = other, 2 * size
    peak = _argmax(room, CHOSEN, 0, n)
    height = room[CHOSEN, peak]
    left = peak - 1
    while left >= 0 and not room[CHOSEN, left] < 0.5 * height:
        left -= 1
    right = peak + 1
    while right < n and not room[CHOSEN, right] < 0.5 * height:
        right += 1
    centre = axis[ENERGY, peak]
    fwhm = axis[ENERGY, n - 1] - axis[ENERGY, 0]
    if left >= 0 and right < n:
        fwhm = axis[ENERGY, right] - axis[ENERGY, left]
    elif left >= 0:
        fwhm = 2.0 * (centre - axis[ENERGY, left])
    elif right < n:
        fwhm = 2.0 * (axis[ENERGY, right] - centre)
    seen = best >= SEEN and height > 0.0
    return centre, fwhm, height, background, background_var, seen


# The window ---------------------------------------------------------------------------------------


@_njit(_EXACT)
def _search(axis, n, energy, after):
    """First channel at or above an energy, with ``after`` the first one above it."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        e = axis[ENERGY, middle]
        if e < energy or (after and e == energy):
            low = middle + 1
        else:
            high = middle
    return low


@_njit(_EXACT)
def _bounds(axis, n, centre, reach):
    """Channels within ± reach of the centre; never fewer than five, or all there are."""
    left = _search(axis, n, centre - reach, False)
    right = _search(axis, n, centre + reach, True)
    short = max(0, 5 - (right - left))
    left = min(max(left - (short + 1) // 2, 0), n)
    right = min(max(right, left + 5), n)
    return max(min(left, right - 5), 0), right


@_njit(_EXACT)
def _cut(axis, room, left, right, window):
    """Copy the channels of a window and pad them; the padded length."""
    n = right - left
    m = (n + STRETCH - 1) // STRETCH * STRETCH
    o = np.uint64(left)
    for row in range(FLOOR + 1):
        for k in range(n):
            window[row, k] = axis[row, o + np.uint64(k)]
        for k in range(n, m):
            window[row, k] = window[row, n - 1]
    for k in range(n):
        window[W_COUNTS, k] = room[COUNTS, o + np.uint64(k)]
        window[W_THERE, k] = 1.0
    for k in range(n, m):
        window[W_COUNTS, k] = window[W_THERE, k] = 0.0
    return m


@_njit(_FINITE)
def _least_step(axis, n):
    """The shortest distance of two energies that differ."""
    least = 1e300
    for c in range(n - 1):
        step = axis[ENERGY, c + 1] - axis[ENERGY, c]
        step = step if step > 0.0 else 1e300
        least = step if step < least else least
    return least


@_njit(_FINITE)
def _widest(axis, n):
    """The longest step of an axis."""
    widest = 0.0
    for c in range(n):
        step = axis[STEP, c]
        widest = step if step > widest else widest
    return widest


# The line and its sums ----------------------------------------------------------------------------


@_njit(_EXACT)
def _not_zero(b):
    """The limit b → 0 is taken at a b so small that the rounding of ln(1 + u)/b stays below 1e-8."""
    return b if abs(b) >= SYMMETRIC else SYMMETRIC


@_njit(_EXACT)
def _gaussian_line(window, m, centre, width):
    per = 1.0 / width
    for k in range(m):
        z = (window[W_ENERGY, k] - centre) * per
        window[LINE, k] = window[W_BANDWIDTH, k] * _exp(-4.0 * _LN2 * z * z)


@_njit(_EXACT)
def _asymmetric_line(window, m, centre, width, b):
    b = _not_zero(b)
    per, inverse = 2.0 * math.sinh(b) / width, 1.0 / b
    for k in range(m):
        u = per * (window[W_ENERGY, k] - centre)
        inside = u > -1.0 + 1e-12
        z = _log1p(u if inside else 0.0) * inverse
        window[ROOT, k] = z
        window[LINE, k] = window[W_BANDWIDTH, k] * (_exp(-_LN2 * z * z) if inside else 0.0)


@_njit(_EXACT)
def _line(kind, window, m, vector, at):
    """The line of unit height for the parameters in row ``at``."""
    if kind == ASYMMETRIC:
        _asymmetric_line(window, m, vector[at, 1], vector[at, 2], vector[at, 3])
    else:
        _gaussian_line(window, m, vector[at, 1], vector[at, 2])


@_njit(_SUMS)
def _weighted_squares(window, m, height, background):
    """χ² of a model with the weights at hand."""
    s = 0.0
    for k in range(m):
        r = window[W_COUNTS, k] - background - height * window[LINE, k]
        s += window[WEIGHT, k] * r * r
    return s


@_njit(_EXACT)
def _weigh(window, m, height, background):
    """Inverse variances of the model's counts: never of the observed ones, which bias."""
    for k in range(m):
        model = background + height * window[LINE, k]
        gain = window[W_GAIN, k]
        var = gain * max(model, LEAST_ELECTRONS * gain) + window[W_FLOOR, k]
        window[WEIGHT, k] = window[W_THERE, k] / var


@_njit(_EXACT)
def _spread(window, m, height, background, noisy, inflate):
    """Squared weights times variances, by the noise model or the channel's own squared residual."""
    for k in range(m):
        model = background + height * window[LINE, k]
        w = window[WEIGHT, k]
        if noisy:
            var = window[W_GAIN, k] * max(model, 0.0) + window[W_FLOOR, k]
        else:
            r = window[W_COUNTS, k] - model
            var = r * r * inflate
        window[SPREAD, k] = w * w * var


@_njit(_SUMS)
def _gaussian_sums(window, m, weights, centre, width, height, background, table, layer, vector):
    """Sums of products of 1, z, z² times the line, and 1; returns χ²."""
    per = 1.0 / width
    a00 = a01 = a02 = a12 = a22 = b0 = b1 = b2 = total = 0.0
    g0 = g1 = g2 = g3 = chi2 = 0.0
    for k in range(m):
        w, line = window[weights, k], window[LINE, k]
        r = window[W_COUNTS, k] - background - height * line
        z = (window[W_ENERGY, k] - centre) * per
        v1 = line * z
        v2 = v1 * z
        w0, w1, w2, wr = w * line, w * v1, w * v2, w * r
        a00 += w0 * line
        a01 += w0 * v1
        a02 += w0 * v2
        a12 += w1 * v2
        a22 += w2 * v2
        b0 += w0
        b1 += w1
        b2 += w2
        total += w
        g0 += wr * line
        g1 += wr * v1
        g2 += wr * v2
        g3 += wr
        chi2 += wr * r
    table[layer, 0, 0], table[layer, 0, 1], table[layer, 0, 2] = a00, a01, a02
    table[layer, 1, 1], table[layer, 1, 2], table[layer, 2, 2] = a02, a12, a22
    table[layer, 0, 3], table[layer, 1, 3], table[layer, 2, 3] = b0, b1, b2
    table[layer, 3, 3] = total
    if layer == SUMS:
        vector[GRADIENT, 0], vector[GRADIENT, 1] = g0, g1
        vector[GRADIENT, 2], vector[GRADIENT, 3] = g2, g3
    return chi2


@_njit(_SUMS)
def _asymmetric_sums(
    window, m, weights, centre, width, b, height, background, table, layer, vector
):
    """The same of the log-normal line, whose derivatives are v, v z q, v z q x, v z d; and 1."""
    b = _not_zero(b)
    per, per_b = 2.0 * math.sinh(b), 1.0 / b
    slope = 2.0 * math.cosh(b) * per_b
    # Near symmetry the two terms of d cancel: their series is −2x² + O(b).
    near = -2.0 if abs(b) < 1e-4 else 0.0
    if near != 0.0:
        slope = per_b = 0.0
    scale = 1.0 / width
    a00 = a01 = a02 = a03 = a11 = a12 = a13 = a22 = a23 = a33 = 0.0
    b0 = b1 = b2 = b3 = total = g0 = g1 = g2 = g3 = g4 = chi2 = 0.0
    for k in range(m):
        w, line, z = window[weights, k], window[LINE, k], window[ROOT, k]
        r = window[W_COUNTS, k] - background - height * line
        x = (window[W_ENERGY, k] - centre) * scale
        u = per * x
        q = 1.0 / (1.0 + (u if u > -1.0 + 1e-12 else 0.0))
        v = line * z
        v1 = v * q
        v2 = v1 * x
        v3 = v2 * slope - v * z * per_b + near * v * x * x
        w0, w1, w2, w3, wr = w * line, w * v1, w * v2, w * v3, w * r
        a00 += w0 * line
        a01 += w0 * v1
        a02 += w0 * v2
        a03 += w0 * v3
        a11 += w1 * v1
        a12 += w1 * v2
        a13 += w1 * v3
        a22 += w2 * v2
        a23 += w2 * v3
        a33 += w3 * v3
        b0 += w0
        b1 += w1
        b2 += w2
        b3 += w3
        total += w
        g0 += wr * line
        g1 += wr * v1
        g2 += wr * v2
        g3 += wr * v3
        g4 += wr
        chi2 += wr * r
    table[layer, 0, 0], table[layer, 0, 1], table[layer, 0, 2] = a00, a01, a02
    table[layer, 0, 3], table[layer, 0, 4] = a03, b0
    table[layer, 1, 1], table[layer, 1, 2], table[layer, 1, 3] = a11, a12, a13
    table[layer, 1, 4], table[layer, 2, 2], table[layer, 2, 3] = b1, a22, a23
    table[layer, 2, 4], table[layer, 3, 3], table[layer, 3, 4] = b2, a33, b3
    table[layer, 4, 4] = total
    if layer == SUMS:
        vector[GRADIENT, 0], vector[GRADIENT, 1], vector[GRADIENT, 2] = g0, g1, g2
        vector[GRADIENT, 3], vector[GRADIENT, 4] = g3, g4
    return chi2


@_njit(_EXACT)
def _sums(kind, window, m, weights, background, vector, at, table, layer):
    """Normal matrix (upper triangle) and gradient for the parameters in row ``at``; returns χ²."""
    height, centre, width = vector[at, 0], vector[at, 1], vector[at, 2]
    vector[FIRST, 0] = vector[FIRST, 3] = vector[FIRST, 4] = 1.0
    size = 4
    if kind == ASYMMETRIC:
        b = vector[at, 3]
        chi2 = _asymmetric_sums(
            window, m, weights, centre, width, b, height, background, table, layer, vector
        )
        b, size = _not_zero(b), 5
        factor = 2.0 * _LN2 * height
        vector[FIRST, 1] = vector[FIRST, 2] = factor * 2.0 * math.sinh(b) / b / width
        vector[FIRST, 3] = -factor
    else:
        chi2 = _gaussian_sums(
            window, m, weights, centre, width, height, background, table, layer, vector
        )
        vector[FIRST, 1] = vector[FIRST, 2] = 8.0 * _LN2 * height / width
    for i in range(size):
        if layer == SUMS:
            vector[GRADIENT, i] *= vector[FIRST, i]
        for j in range(i, size):
            table[layer, i, j] *= vector[FIRST, i] * vector[FIRST, j]
            table[layer, j, i] = table[layer, i, j]
    return chi2


# Small matrices -----------------------------------------------------------------------------------


@_njit(_EXACT)
def _factorise(k, ridge, vector, table):
    """Cholesky factor of the normal matrix with a diagonal of ones, plus ``ridge``; False if singular.

    Parameters whose entry in the row HELD is not zero are kept out.
    """
    for i in range(k):
        d = table[SUMS, i, i]
        vector[SCALE, i] = math.sqrt(d) if d > 0.0 else 1.0
    for i in range(k):
        for j in range(i + 1):
            s = table[SUMS, i, j] / (vector[SCALE, i] * vector[SCALE, j])
            if vector[HELD, i] != 0.0 or vector[HELD, j] != 0.0:
                s = 1.0 if i == j else 0.0
            if i == j:
                s += ridge
            for t in range(j):
                s -= table[FACTOR, i, t] * table[FACTOR, j, t]
            if i > j:
                table[FACTOR, i, j] = s / table[FACTOR, j, j]
            elif s > 1e-13:
                table[FACTOR, i, i] = math.sqrt(s)
            else:
                return False
    return True


@_njit(_EXACT)
def _solve(k, vector, table):
    """Row SOLUTION, a right-hand side in the scales of the factor, becomes the solution."""
    for i in range(k):
        s = vector[SOLUTION, i]
        for j in range(i):
            s -= table[FACTOR, i, j] * vector[SOLUTION, j]
        vector[SOLUTION, i] = s / table[FACTOR, i, i]
    for i in range(k - 1, -1, -1):
        s = vector[SOLUTION, i]
        for j in range(i + 1, k):
            s -= table[FACTOR, j, i] * vector[SOLUTION, j]
        vector[SOLUTION, i] = s / table[FACTOR, i, i]


# The fit ------------------------------------------------------------------------------------------


@_njit(_EXACT)
def _minimise(kind, k, window, m, background, noisy, vector, table):
    """Levenberg–Marquardt from row NOW, weights renewed from the model in every round.

    Leaves weights and sums of the last parameters. Returns χ², and whether it converged.
    """
    last = k - 1
    floats = kind != PARABOLA  # the background is fitted
    for i in range(k):
        vector[NOW, i] = min(max(vector[NOW, i], vector[LOW, i]), vector[HIGH, i])
    size = 0.0
    for c in range(m):
        size += window[W_COUNTS, c] ** 2
    base = vector[NOW, last] if floats else background
    _line(kind, window, m, vector, NOW)
    _weigh(window, m, vector[NOW, 0], base)
    chi2 = _sums(kind, window, m, WEIGHT, base, vector, NOW, table, SUMS)
    damping = 1e-3
    for _ in range(ROUNDS):
        for i in range(k):
            now, pull = vector[NOW, i], vector[GRADIENT, i]
            # a parameter at its bound that wants to go beyond is held
            stuck = (now <= vector[LOW, i] and pull < 0.0) or (
                now >= vector[HIGH, i] and pull > 0.0
            )
            vector[HELD, i] = 1.0 if stuck else 0.0
        better = small = False
        # the least multiple of one keeps a singular matrix solvable
        if _factorise(k, damping + 1e-12, vector, table):
            for i in range(k):
                pull = vector[GRADIENT, i] / vector[SCALE, i]
                vector[SOLUTION, i] = pull if vector[HELD, i] == 0.0 else 0.0
            _solve(k, vector, table)
            for i in range(k):
                new = vector[NOW, i] + vector[SOLUTION, i] / vector[SCALE, i]
                vector[TRIAL, i] = min(max(new, vector[LOW, i]), vector[HIGH, i])
            step = 0.0
            for i in range(k):
                moved = vector[TRIAL, i] - vector[NOW, i]
                for j in range(k):
                    step += moved * table[SUMS, i, j] * (vector[TRIAL, j] - vector[NOW, j])
            base = vector[TRIAL, last] if floats else background
            _line(kind, window, m, vector, TRIAL)
            after = _weighted_squares(window, m, vector[TRIAL, 0], base)
            # without a noise model χ² says what is small, down to the rounding of the counts
            scale = 1.0 if noisy else chi2 + 1e-16 * size
            small = step <= CONVERGED * scale
            better = after <= chi2 or small
        if better:
            for i in range(k):
                vector[NOW, i] = vector[TRIAL, i]
            _weigh(window, m, vector[NOW, 0], base)
            chi2 = _sums(kind, window, m, WEIGHT, base, vector, NOW, table, SUMS)
            if small:
                return chi2, True
            damping = max(0.2 * damping, 1e-9)
        else:
            damping *= 8.0
            if damping > 1e11:
                break
    return chi2, False


@_njit(_EXACT)
def _errors(kind, k, window, m, n, background, background_var, noisy, vector, table):
    """σ of the parameters from (JᵀWJ)⁻¹ JᵀWVWJ (JᵀWJ)⁻¹; NaN where a combination is not determined."""
    floats = kind != PARABOLA
    base = vector[NOW, k - 1] if floats else background
    _spread(window, m, vector[NOW, 0], base, noisy, n / max(n - k, 1))
    _sums(kind, window, m, SPREAD, base, vector, NOW, table, MEAT)
    for i in range(k):
        vector[HELD, i] = 0.0
    known = _factorise(k, 0.0, vector, table)
    trace = 0.0
    for i in range(k):
        if not known:
            break
        for j in range(k):
            vector[SOLUTION, j] = 1.0 / vector[SCALE, i] if i == j else 0.0
        _solve(k, vector, table)
        trace += vector[SOLUTION, i] * vector[SCALE, i]
        s = 0.0
        for a in range(k):
            for b in range(k):
                product = vector[SOLUTION, a] * vector[SOLUTION, b]
                s += product * table[MEAT, a, b] / (vector[SCALE, a] * vector[SCALE, b])
        if not floats:
            # the given background has a σ of its own
            pull = 0.0
            for a in range(k):
                pull += vector[SOLUTION, a] * table[SUMS, a, k] / vector[SCALE, a]
            s += pull * pull * background_var
        vector[SIGMA, i] = math.sqrt(s) if s >= 0.0 else math.nan
    # With ones on its diagonal a matrix has its largest eigenvalue between 1 and k; the trace of its
    # inverse is then a half to a third of its condition number, for which 1e12 is too much.
    if not known or trace > SINGULAR:
        for i in range(k):
            vector[SIGMA, i] = math.nan


@_njit(_EXACT)
def _interpolated(axis, n, row, energy):
    """Value of a row of the axis at an energy within it."""
    i = min(max(_search(axis, n, energy, True), 1), n - 1)
    e0, e1 = axis[ENERGY, i - 1], axis[ENERGY, i]
    share = (energy - e0) / (e1 - e0) if e1 > e0 else 0.0
    return axis[row, i - 1] + share * (axis[row, i] - axis[row, i - 1])


@_njit(_EXACT)
def _fit_line(kind, axis, room, n, noisy, start, window, vector, table, values, p):
    """Least squares of one line, its window renewed from what it finds; the status."""
    centre, fwhm, height, background, background_var, _ = start
    k = 3 if kind == PARABOLA else (4 if kind == GAUSSIAN else 5)
    for i in range(k):
        vector[LOW, i], vector[HIGH, i] = -math.inf, math.inf
    # far from any sensible line: the range of the axis, a third of a channel, its length
    vector[LOW, 1], vector[HIGH, 1] = axis[ENERGY, 0], axis[ENERGY, n - 1]
    vector[LOW, 2] = 0.3 * _least_step(axis, n)
    vector[HIGH, 2] = 5.0 * (axis[ENERGY, n - 1] - axis[ENERGY, 0])
    if kind == ASYMMETRIC:
        vector[LOW, 3], vector[HIGH, 3] = -LARGEST_ASYMMETRY, LARGEST_ASYMMETRY
    p0, p1, p2, p3, p4 = height, centre, fwhm, 0.0, background
    if kind == GAUSSIAN:
        p3 = background
    left = right = m = n  # no window yet
    chi2, converged, at_bound, sane = 0.0, False, False, False
    # The parabola's range follows what it finds; the ranges of the others are wide enough.
    for _ in range(4 if kind == PARABOLA else 2):
        a, b = _bounds(axis, n, centre, REACH[kind] * fwhm)
        if a == left and b == right:
            break  # the same channels would give the same line
        left, right = a, b
        m = _cut(axis, room, left, right, window)
        vector[NOW, 0], vector[NOW, 1], vector[NOW, 2] = p0, p1, p2
        vector[NOW, 3], vector[NOW, 4] = p3, p4
        chi2, converged = _minimise(kind, k, window, m, background, noisy, vector, table)
        at_bound = False
        for i in range(k):
            v = vector[NOW, i]
            at_bound = at_bound or v <= vector[LOW, i] or v >= vector[HIGH, i]
        sane = converged and not at_bound and vector[NOW, 0] > 0.0
        if sane:
            p0, p1, p2 = vector[NOW, 0], vector[NOW, 1], vector[NOW, 2]
            p3, p4 = vector[NOW, 3], vector[NOW, 4]
            centre = p1
            fwhm = min(max(p2, 0.3 * fwhm), 3.0 * fwhm)
    channels = right - left
    if not converged or not vector[NOW, 0] > 0.0 or channels < k:
        return FAILED
    _errors(kind, k, window, m, channels, background, background_var, noisy, vector, table)
    height, centre, width = vector[NOW, 0], vector[NOW, 1], vector[NOW, 2]
    per_axis = _interpolated(axis, n, BANDWIDTH, centre)
    values[p, 0], values[p, 1] = centre, vector[SIGMA, 1]
    values[p, 2], values[p, 3] = width, vector[SIGMA, 2]
    values[p, 4], values[p, 5] = height * per_axis, vector[SIGMA, 0] * per_axis
    values[p, 6] = chi2 / max(channels - k, 1)
    if (
        at_bound
        or centre <= axis[ENERGY, 0] + axis[STEP, 0]
        or centre >= axis[ENERGY, n - 1] - axis[STEP, n - 1]
    ):
        return AT_BOUND
    finite = abs(vector[SIGMA, 0] + vector[SIGMA, 1] + vector[SIGMA, 2]) < math.inf
    if not finite or vector[SIGMA, 1] > width:
        return NOT_IDENTIFIABLE
    return OK


# The centroid -------------------------------------------------------------------------------------


@_njit(_EXACT)
def _inside(axis, c, centre, reach):
    """A channel that is cut by the edge of the window counts by the part that lies inside."""
    step = max(axis[STEP, c], 1e-300)
    return min(max((reach - abs(axis[ENERGY, c] - centre)) / step + 0.5, 0.0), 1.0)


@_njit(_SUMS)
def _moments(axis, room, first, last, centre, reach, background, origin):
    """Light, and its first and second moment about ``origin``."""
    s0 = s1 = s2 = 0.0
    o = np.uint64(first)
    for k in range(last - first):
        c = o + np.uint64(k)
        x = axis[ENERGY, c] - origin
        v = _inside(axis, c, centre, reach) * (room[COUNTS, c] - background) * axis[LIGHT, c]
        s0 += v
        s1 += v * x
        s2 += v * x * x
    return s0, s1, s2


@_njit(_SUMS)
def _moment_errors(axis, room, first, last, n, pad, around, reach, centre, second, noisy):
    """Variances of both moments, and their derivatives by the background."""
    mean_var = second_var = by_mean = by_second = 0.0
    size = min(5, n)
    for c in range(first, last):
        x = axis[ENERGY, c] - centre
        share = _inside(axis, c, around, reach)
        light = axis[LIGHT, c]
        expected = _mean_at(room, MIRRORED, pad, c, size)
        var = _variance(axis, room, c, expected, noisy) * light * light
        curve = x * x - second
        mean_var += (share * x) ** 2 * var
        second_var += (share * curve) ** 2 * var
        by_mean += share * light * x
        by_second += share * light * curve
    return mean_var, second_var, by_mean, by_second


@_njit(_EXACT)
def _fit_centroid(axis, room, n, noisy, start, status, values, p):
    """Centre of mass above the background within ±1.5 widths, from a first look at the crest."""
    centre, fwhm, _, background, background_var, _ = start
    if status <= AT_BOUND:
        centre, fwhm = values[p, 0], values[p, 2]
    reach = REACH[CENTROID] * fwhm
    wing = reach + _widest(axis, n)  # no channel farther away reaches into the window
    first = last = n
    total = s1 = s2 = 0.0
    around = centre
    for _ in range(6):
        around = centre
        first = _search(axis, n, around - wing, False)
        last = _search(axis, n, around + wing, True)
        total, s1, s2 = _moments(axis, room, first, last, around, reach, background, around)
        if total > 0.0:
            centre = min(max(around + s1 / total, axis[ENERGY, 0]), axis[ENERGY, n - 1])
    if not total > 0.0:
        return FAILED
    # about the new centre
    moved = centre - around
    second = (s2 - 2.0 * moved * s1) / total + moved * moved
    if not second > 0.0 or status > NOT_IDENTIFIABLE:
        return FAILED
    pad = n // 8 + 8
    mean_var, second_var, by_mean, by_second = _moment_errors(
        axis, room, first, last, n, pad, around, reach, centre, second, noisy
    )
    mean_var += by_mean**2 * background_var
    second_var += by_second**2 * background_var
    sigma = math.sqrt(second) / TRUNCATED
    error = math.sqrt(mean_var) / total
    # the height is the crest's, per interval of the data's own axis at the centroid
    per_axis = _interpolated(axis, n, BANDWIDTH, centre)
    per_axis /= _interpolated(axis, n, BANDWIDTH, values[p, 0])
    values[p, 4] *= per_axis
    values[p, 5] *= per_axis
    values[p, 0], values[p, 1] = centre, error
    values[p, 2] = FWHM_PER_SIGMA * sigma
    values[p, 3] = FWHM_PER_SIGMA * math.sqrt(second_var) / total / (2.0 * sigma * TRUNCATED**2)
    values[p, 6] = math.nan
    if status <= AT_BOUND and error > fwhm:
        return NOT_IDENTIFIABLE
    if status == OK and (
        centre - reach < axis[ENERGY, 0] - axis[STEP, 0]
        or centre + reach > axis[ENERGY, n - 1] + axis[STEP, n - 1]
    ):
        return AT_BOUND
    return status


# Many spectra -------------------------------------------------------------------------------------


@_entry
def fit_rows(counts, given, noisy, method, axis, own, room, window, table, vector, values, status):
    """Fit every row of ``counts``.

    ``given`` holds energy, bandwidth, gain and floor of the channels. ``values`` gets energy, width
    and height, each with σ, and the reduced χ²; NaN where ``status`` says that there is no result.
    """
    everything = given.shape[1]
    _copy(given, everything, axis)
    _complete(axis, everything)
    for p in range(counts.shape[0]):
        for i in range(7):
            values[p, i] = math.nan
        status[p] = NO_SIGNAL
        n, mine = everything, axis
        if _all_finite(counts, p, everything):
            for c in range(everything):
                room[COUNTS, c] = counts[p, c]
        else:
            n, mine = _compress(given, counts, p, everything, own, room), own
            if n >= 3:
                _complete(own, n)
        if n < 3:
            continue
        start = _find_start(mine, room, n, noisy)
        if not start[5]:
            continue
        kind = PARABOLA if method == CENTROID else method
        found = _fit_line(kind, mine, room, n, noisy, start, window, vector, table, values, p)
        if method == CENTROID:
            found = _fit_centroid(mine, room, n, noisy, start, found, values, p)
        status[p] = found
        if found >= NO_SIGNAL:
            for i in range(7):
                values[p, i] = math.nan
