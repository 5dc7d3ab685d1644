"""Compiled steps of separable fits; see :mod:`plkit.physics.separable`.

Everything is whitened: columns and data are multiplied by 1/σ, so that sums of products need no
weights. One array ``rows`` holds, one below the other, the columns of the linear parameters (terms,
then background), the data, the residuals and the derivatives by the non-linear parameters. A step
forms the products of these rows, eight at a time, and works on small matrices from there on.

The integers of a problem travel as the tuple ``spec``::

    family, terms, columns of terms, columns, non-linear parameters per term, non-linear parameters,
    bits of the columns that are not negative, background columns, sign of the terms, 1 if the axis is uniform

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

__all__ = ["fit_rows", "shared_rows"]

announce_compilation()

EXPONENTIAL: Final = 0
STRETCHED: Final = 1
GAUSSIAN: Final = 2
LORENTZIAN: Final = 3
PSEUDO_VOIGT: Final = 4  # Gaussian and Lorentzian as two columns
PSEUDO_VOIGT_MIX: Final = 5  # one column, the share of the Lorentzian is non-linear or held
ASYMMETRIC: Final = 6
FICK: Final = 7

MAX_LINEAR: Final = 8
MAX_NONLINEAR: Final = 9
SIZE: Final = MAX_LINEAR + 2 + MAX_NONLINEAR
MAX_STEPS: Final = 60
STRETCH: Final = 16
"""Points of an axis that belong together; rows are padded to a multiple of it."""
MAX_CANDIDATES: Final = 6
SAME: Final = 1e-7
"""Share of χ² that one exponential in place of two of the same rate may cost."""
DEPENDENT: Final = 1e-11
"""Share of a column that others leave over, below which it counts as their combination."""
REST: Final = 1e-3
"""Share of the tolerance that the steps after the last one may bring: predicted²/predicted before."""
HOPE: Final = 4.0
PATIENCE: Final = 3
"""A search that this many steps and falls of χ² as predicted will not bring below a rival is left."""
EDGE: Final = 1e-9
FIRST_DAMPING: Final = 1e-4

# Layers of the work array ``w`` (…, 24, 20): slices of it would cost a count of references each.
GRAM: Final = 0  # products of the columns, the data last
SLOPES: Final = 1  # products of the derivatives with all rows
FACTOR: Final = 2  # Cholesky factor of the live columns
HESS: Final = 3
LIFT: Final = 4  # what of the derivatives the live columns can take over
DAMPED: Final = 5  # factor of the damped equations
FULL: Final = 6  # normal matrix of all parameters, or of one column more
SCRATCH: Final = 7
INVERSE: Final = 8
VECTOR: Final = 9
START: Final = 10
LAYERS: Final = 11
# Rows of the layer VECTOR, and of the array ``index``.
GRAD, STEP, TRIAL, A_NEW, A_TRY, BASE, SUMS, A_JOINT, THETA, A, BY0, BY1, MOVING = range(13)
LIVE, ORDER, OTHER, MARKS, ALIVE, TO0, TO1, PLACE = range(8)

CONVERGED: Final = 0
NOT_CONVERGED: Final = 1
TOO_FEW: Final = 2
NO_POINTS: Final = 3

_F = TypeVar("_F", bound=Callable[..., Any])
# Callees without flags inherit those of whoever compiled first: every helper states its own. Sums
# may be reordered, hence vectorised; nothing may assume that NaN is absent.
_SUMS: Final = {"reassoc", "contract", "nsz"}
_EXACT: Final = {"contract"}

_LN2: Final = math.log(2.0)
_U1, _U2, _U3, _U4, _U5, _U6, _U7 = (np.uint64(i) for i in range(1, 8))


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


# Sums of products ---------------------------------------------------------------------------------


@_njit(_SUMS)
def _eight(rows, i0, i1, j0, j1, j2, j3, m):
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
    for k in range(m):
        u, v = rows[i0, k], rows[i1, k]
        c, d, e, f = rows[j0, k], rows[j1, k], rows[j2, k], rows[j3, k]
        a0 += u * c
        a1 += u * d
        a2 += u * e
        a3 += u * f
        b0 += v * c
        b1 += v * d
        b2 += v * e
        b3 += v * f
    return a0, a1, a2, a3, b0, b1, b2, b3


@_njit(_EXACT)
def _products(rows, r0, r1, c0, c1, m, w, out, shift):
    """w[out, i, j] = rows[i]·rows[j] for r0 ≤ i < r1, c0 ≤ j < c1; of a square the upper triangle.

    ``shift`` is taken off both indices of the result.
    """
    for i in range(r0, r1, 2):
        i1 = min(i + 1, r1 - 1)
        for j in range(c0, c1, 4):
            j1, j2, j3 = min(j + 1, c1 - 1), min(j + 2, c1 - 1), min(j + 3, c1 - 1)
            if c0 == r0 and j3 < i:
                continue
            a0, a1, a2, a3, b0, b1, b2, b3 = _eight(rows, i, i1, j, j1, j2, j3, m)
            x, x1, y, y1, y2, y3 = (
                i - shift,
                i1 - shift,
                j - shift,
                j1 - shift,
                j2 - shift,
                j3 - shift,
            )
            w[out, x, y], w[out, x, y1], w[out, x, y2], w[out, x, y3] = a0, a1, a2, a3
            w[out, x1, y], w[out, x1, y1], w[out, x1, y2], w[out, x1, y3] = b0, b1, b2, b3


@_njit(_SUMS)
def _dot(a, i, b, j, m):
    s = 0.0
    for k in range(m):
        s += a[i, k] * b[j, k]
    return s


@_njit(_SUMS)
def _residuals(rows, p, w, a, m):
    """Row p + 1 becomes row p (the data) minus the model; returns the sum of its squares."""
    y, r = p, p + 1
    s = 0.0
    if p == 2:
        a0, a1 = w[VECTOR, a, 0], w[VECTOR, a, 1]
        for k in range(m):
            v = rows[y, k] - a0 * rows[0, k] - a1 * rows[1, k]
            rows[r, k] = v
            s += v * v
        return s
    if p == 3:
        a0, a1, a2 = w[VECTOR, a, 0], w[VECTOR, a, 1], w[VECTOR, a, 2]
        for k in range(m):
            v = rows[y, k] - a0 * rows[0, k] - a1 * rows[1, k] - a2 * rows[2, k]
            rows[r, k] = v
            s += v * v
        return s
    for k in range(m):
        rows[r, k] = rows[y, k]
    for i in range(p):
        ai = w[VECTOR, a, i]
        for k in range(m):
            rows[r, k] -= ai * rows[i, k]
    for k in range(m):
        s += rows[r, k] * rows[r, k]
    return s


# Columns and their derivatives --------------------------------------------------------------------


@_njit(_EXACT)
def _geometric(first, step, white, rows, j, m):
    """exp(first + step · i) by products, with a fresh start every 64 points."""
    f1 = _exp(step)
    f2 = f1 * f1
    f3, f4 = f2 * f1, f2 * f2
    f5, f6, f7, f8 = f4 * f1, f4 * f2, f4 * f3, f4 * f4
    s, r = 0.0, np.uint64(j)
    for c in range(m // 8):
        if c % 8 == 0:
            s = _exp(first + step * (8 * c))
        b = np.uint64(8 * c)  # unsigned: no negative index to provide for, so that this vectorises
        b1, b2, b3, b4 = b + _U1, b + _U2, b + _U3, b + _U4
        b5, b6, b7 = b + _U5, b + _U6, b + _U7
        v0, v1, v2, v3 = white[b], white[b1], white[b2], white[b3]
        v4, v5, v6, v7 = white[b4], white[b5], white[b6], white[b7]
        v0, v1, v2, v3 = v0 * s, v1 * (s * f1), v2 * (s * f2), v3 * (s * f3)
        v4, v5, v6, v7 = v4 * (s * f4), v5 * (s * f5), v6 * (s * f6), v7 * (s * f7)
        rows[r, b], rows[r, b1], rows[r, b2], rows[r, b3] = v0, v1, v2, v3
        rows[r, b4], rows[r, b5], rows[r, b6], rows[r, b7] = v4, v5, v6, v7
        s *= f8


@_njit(_EXACT)
def _columns(spec, pixel, axis, white, v, rows, m, w):
    """Whitened columns of all terms; ``axis`` holds x and ln x, ``white`` signed 1/σ.

    The non-linear parameters are row ``v`` of the vectors.
    """
    family, terms, qt = spec[0], spec[1], spec[4]
    for j in range(terms):
        p0 = w[VECTOR, v, qt * j]
        if family == EXPONENTIAL:
            k0 = -_exp(p0)
            if spec[9] == 0:
                for i in range(m):
                    rows[j, i] = white[i] * _exp(k0 * axis[0, i])
                continue
            _geometric(k0 * axis[3, 3], k0 * axis[3, 4], white, rows, j, m)
            continue
        p1 = w[VECTOR, v, qt * j + 1]
        if family == STRETCHED:
            for i in range(m):
                rows[j, i] = white[i] * _exp(-_exp(p1 * (p0 + axis[1, i])))
        elif family == GAUSSIAN:
            g = -4.0 * _LN2 * _exp(-2.0 * p1)
            for i in range(m):
                d = axis[0, i] - p0
                rows[j, i] = white[i] * _exp(g * d * d)
        elif family == LORENTZIAN:
            g = 4.0 * _exp(-2.0 * p1)
            for i in range(m):
                d = axis[0, i] - p0
                rows[j, i] = white[i] / (1.0 + g * d * d)
        elif family == PSEUDO_VOIGT:
            g = 4.0 * _exp(-2.0 * p1)
            for i in range(m):
                d = axis[0, i] - p0
                u = g * d * d
                rows[2 * j, i] = white[i] * _exp(-_LN2 * u)
                rows[2 * j + 1, i] = white[i] / (1.0 + u)
        elif family == PSEUDO_VOIGT_MIX:
            g = 4.0 * _exp(-2.0 * p1)
            share = _height_share(w[VECTOR, v, qt * j + 2])
            for i in range(m):
                d = axis[0, i] - p0
                u = g * d * d
                rows[j, i] = white[i] * ((1.0 - share) * _exp(-_LN2 * u) + share / (1.0 + u))
        elif family == ASYMMETRIC:
            b = _not_zero(w[VECTOR, v, qt * j + 2])
            g = 2.0 * math.sinh(b) * _exp(-p1)
            for i in range(m):
                u = g * (axis[0, i] - p0)
                inside = u > -1.0 + 1e-12
                z = _log1p(u if inside else 0.0) / b
                rows[j, i] = white[i] * _exp(-_LN2 * z * z) if inside else 0.0
        else:
            s = _exp(p1)
            f = 1.0 / (math.sqrt(2.0) * s)
            c = math.sqrt(0.5 * math.pi) * s / pixel
            for i in range(m):
                d = axis[0, i] - p0
                rows[j, i] = (
                    white[i] * c * _erf_between(f * (d - 0.5 * pixel), f * (d + 0.5 * pixel))
                )


@_njit(_EXACT)
def _height_share(eta):
    """Share of the Lorentzian in the height, from its share of the area."""
    lorentz = eta * 2.0 / math.pi
    return lorentz / (lorentz + (1.0 - eta) * 2.0 * math.sqrt(_LN2 / math.pi))


@_njit(_EXACT)
def _not_zero(b):
    return b if abs(b) >= 1e-7 else 1e-7


@_njit(_EXACT)
def _erf_between(a, b):
    """erf(b) − erf(a), a < b, without cancellation in the tails."""
    if a > 0.5:
        return math.erfc(a) - math.erfc(b)
    if b < -0.5:
        return math.erfc(-b) - math.erfc(-a)
    return math.erf(b) - math.erf(a)


@_njit(_EXACT)
def _derivatives(spec, pixel, axis, white, at, amp, rows, m, w):
    """Rows p + 2 …: derivatives of the whitened model by the non-linear parameters.

    Parameters and amplitudes are the rows ``at`` and ``amp`` of the vectors.
    """
    family, terms, qt = spec[0], spec[1], spec[4]
    first = spec[3] + 2
    for j in range(terms):
        t = first + qt * j
        p0 = w[VECTOR, at, qt * j]
        if family == EXPONENTIAL:
            k0 = -w[VECTOR, amp, j] * _exp(p0)
            for i in range(m):
                rows[t, i] = k0 * axis[0, i] * rows[j, i]
            continue
        p1 = w[VECTOR, at, qt * j + 1]
        if family == STRETCHED:
            aj = w[VECTOR, amp, j]
            for i in range(m):
                v = p0 + axis[1, i]
                d = -aj * _exp(p1 * v) * rows[j, i]
                rows[t, i] = p1 * d
                rows[t + 1, i] = v * d
        elif family == GAUSSIAN:
            g = 8.0 * _LN2 * _exp(-2.0 * p1)
            ag = w[VECTOR, amp, j] * g
            for i in range(m):
                d = axis[0, i] - p0
                v = ag * d * rows[j, i]
                rows[t, i] = v
                rows[t + 1, i] = d * v
        elif family == LORENTZIAN:
            g = 4.0 * _exp(-2.0 * p1)
            ag = 2.0 * g * w[VECTOR, amp, j]
            for i in range(m):
                d = axis[0, i] - p0
                v = ag * d * rows[j, i] / (1.0 + g * d * d)
                rows[t, i] = v
                rows[t + 1, i] = d * v
        elif family == PSEUDO_VOIGT:
            g = 4.0 * _exp(-2.0 * p1)
            ag, al = 2.0 * g * _LN2 * w[VECTOR, amp, 2 * j], 2.0 * g * w[VECTOR, amp, 2 * j + 1]
            for i in range(m):
                d = axis[0, i] - p0
                v = d * (ag * rows[2 * j, i] + al * rows[2 * j + 1, i] / (1.0 + g * d * d))
                rows[t, i] = v
                rows[t + 1, i] = d * v
        elif family == PSEUDO_VOIGT_MIX:
            g = 4.0 * _exp(-2.0 * p1)
            eta = w[VECTOR, at, qt * j + 2]
            share = _height_share(eta)
            step = 1e-6
            slope = (_height_share(eta + step) - _height_share(eta - step)) / (2.0 * step)
            aj = w[VECTOR, amp, j]
            for i in range(m):
                d = axis[0, i] - p0
                u = g * d * d
                lorentz, gauss = 1.0 / (1.0 + u), _exp(-_LN2 * u)
                v = aj * white[i] * 2.0 * g * d
                v *= (1.0 - share) * _LN2 * gauss + share * lorentz * lorentz
                rows[t, i] = v
                rows[t + 1, i] = d * v
                rows[t + 2, i] = aj * white[i] * slope * (lorentz - gauss)
        elif family == ASYMMETRIC:
            b = _not_zero(w[VECTOR, at, qt * j + 2])
            width = _exp(-p1)
            g, h = 2.0 * math.sinh(b), 2.0 * math.cosh(b)
            aj = -2.0 * _LN2 * w[VECTOR, amp, j]
            near = abs(b) < 1e-4
            for i in range(m):
                x = (axis[0, i] - p0) * width
                inside = g * x > -1.0 + 1e-12
                u = g * x if inside else 0.0
                z = _log1p(u) / b
                outer = aj * z * rows[j, i]  # by z; zero outside, as the column is
                by_x = outer * g / (b * (1.0 + u))
                rows[t, i] = -by_x * width
                rows[t + 1, i] = -by_x * x
                # Near symmetry the two terms cancel: their series is −x² + O(b).
                rows[t + 2, i] = outer * (-2.0 * x * x if near else (h * x / (1.0 + u) - z) / b)
        else:
            s = _exp(p1)
            for i in range(m):
                d = axis[0, i] - p0
                lower, upper = (d - 0.5 * pixel) / s, (d + 0.5 * pixel) / s
                el, eu = _exp(-0.5 * lower * lower), _exp(-0.5 * upper * upper)
                scale = w[VECTOR, amp, j] * white[i] / pixel
                rows[t, i] = scale * (el - eu)
                rows[t + 1, i] = w[VECTOR, amp, j] * rows[j, i] + scale * s * (
                    lower * el - upper * eu
                )


# Small dense algebra ------------------------------------------------------------------------------


@_njit(_EXACT)
def _on_support(w, source, p, support, index, r, factor, a):
    """Free minimum on a support: amplitudes in row ``a`` of the vectors, columns in ``index[r]``.

    Layer ``source`` has the products, those with the data in column p. The factor's diagonal holds
    reciprocals. Returns the number of columns, −1 if they depend on each other.
    """
    n = 0
    for i in range(p):
        w[VECTOR, a, i] = 0.0
        if (support >> i) & 1:
            index[r, n] = i
            n += 1
    for i in range(n):
        ii = index[r, i]
        rhs = w[source, ii, p]
        for j in range(i):
            s = w[source, index[r, j], ii]
            for k in range(j):
                s -= w[factor, i, k] * w[factor, j, k]
            s *= w[factor, j, j]
            w[factor, i, j] = s
            rhs -= s * w[VECTOR, a, index[r, j]]
        whole = w[source, ii, ii]
        s = whole
        for k in range(i):
            s -= w[factor, i, k] * w[factor, i, k]
        if not s > DEPENDENT * whole:
            return -1
        s = 1.0 / math.sqrt(s)
        w[factor, i, i] = s
        w[VECTOR, a, ii] = rhs * s
    for i in range(n - 1, -1, -1):
        v = w[VECTOR, a, index[r, i]]
        for k in range(i + 1, n):
            v -= w[factor, k, i] * w[VECTOR, a, index[r, k]]
        w[VECTOR, a, index[r, i]] = v * w[factor, i, i]
    return n


@_njit(_EXACT)
def _amplitudes(w, source, p, bits, banned, index, r, factor, a):
    """Minimise ½ aᵀGa − hᵀa with the columns of ``bits`` ≥ 0, those of ``banned`` = 0.

    The other arguments are those of :func:`_on_support`.

    Returns the number of live columns. The minimum lies on one support, where it is the free
    minimum. Among the supports whose free minimum is feasible it is the one with the largest hᵀa.
    """
    full = ((1 << p) - 1) & ~banned
    n = _on_support(w, source, p, full, index, r, factor, a)
    support = full
    if n > 0:
        for i in range(p):
            if (bits >> i) & 1 and w[VECTOR, a, i] < 0.0:
                support &= ~(1 << i)
        if support == full:
            return n
    return _bounded(w, source, p, bits, full, support, index, r, factor, a)


@_njit(_EXACT)
def _bounded(w, source, p, bits, full, support, index, r, factor, a):
    if support != full:
        # Without those below zero: the solution if no slope at zero points inwards.
        n = _on_support(w, source, p, support, index, r, factor, a)
        if n >= 0 and _feasible(w, a, p, bits):
            good = True
            for i in range(p):
                if (full & ~support) >> i & 1:
                    slope = w[source, i, p]
                    for j in range(p):
                        slope -= w[source, min(i, j), max(i, j)] * w[VECTOR, a, j]
                    good = good and slope <= 0.0
            if good:
                return n
    best, gain = -1, -1.0
    free = full & ~bits
    for trial in range(full, -1, -1):
        if (trial & full) != trial or (trial & free) != free:
            continue
        n = _on_support(w, source, p, trial, index, r, factor, a)
        if n < 0 or not _feasible(w, a, p, bits):
            continue
        value = 0.0
        for i in range(p):
            value += w[VECTOR, a, i] * w[source, i, p]
        if value > gain:
            best, gain = trial, value
    if best < 0:  # free columns that depend on each other
        for i in range(p):
            w[VECTOR, a, i] = 0.0
        return 0
    return _on_support(w, source, p, best, index, r, factor, a)


@_njit(_EXACT)
def _feasible(w, a, p, bits):
    good = True
    for i in range(p):
        if (bits >> i) & 1 and w[VECTOR, a, i] < 0.0:
            good = False
    return good


# One evaluation, one derivative, one search -------------------------------------------------------


@_njit(_EXACT)
def _evaluate(spec, pixel, axis, white, rows, m, banned, w, index):
    """χ² at TRIAL with the best amplitudes, in A_NEW; returns it and the number of live columns.

    Columns of the bits ``banned`` stay at zero.
    """
    columns, p = spec[2], spec[3]
    _columns(spec, pixel, axis, white, np.int64(TRIAL), rows, m, w)
    _products(rows, np.int64(0), columns, np.int64(0), p + 1, m, w, np.int64(GRAM), np.int64(0))
    n = _amplitudes(
        w,
        np.int64(GRAM),
        p,
        spec[6],
        banned,
        index,
        np.int64(LIVE),
        np.int64(FACTOR),
        np.int64(A_NEW),
    )
    return _residuals(rows, p, w, np.int64(A_NEW), m), n


@_njit(_EXACT)
def _project(spec, pixel, axis, white, rows, m, n, w, index):
    """Kaufman's normal equations at MOVING and A_TRY: HESS and the downhill vector GRAD."""
    p, q = spec[3], spec[5]
    d0 = p + 2
    _derivatives(spec, pixel, axis, white, np.int64(MOVING), np.int64(A_TRY), rows, m, w)
    _products(rows, d0, d0 + q, np.int64(0), d0 + q, m, w, np.int64(SLOPES), np.int64(0))
    for j in range(q):
        for i in range(n):
            v = w[SLOPES, d0 + j, index[LIVE, i]]
            for k in range(i):
                v -= w[FACTOR, i, k] * w[LIFT, j, k]
            w[LIFT, j, i] = v * w[FACTOR, i, i]
        w[VECTOR, GRAD, j] = w[SLOPES, d0 + j, p + 1]
        for k in range(j + 1):
            v = w[SLOPES, d0 + k, d0 + j]
            for i in range(n):
                v -= w[LIFT, j, i] * w[LIFT, k, i]
            w[HESS, j, k] = w[HESS, k, j] = v
        # What rounding leaves of a derivative that the columns take over is no information.
        if not w[HESS, j, j] > DEPENDENT * w[SLOPES, d0 + j, d0 + j]:
            w[HESS, j, j] = 0.0


@_njit(_EXACT)
def _direction(box, held, q, damping, w, index):
    """Damped step that respects the box.

    ``box`` holds lower and upper limits, and the longest step. The step is shortened as a whole:
    a bent one can point uphill. Returns the factor by which it was shortened, 0 if nothing moves,
    −1 if the equations are singular.
    """
    pinned = 0
    for j in range(q):
        x, g = w[VECTOR, MOVING, j], w[VECTOR, GRAD, j]
        edge = EDGE * box[2, j]
        out = (x <= box[0, j] + edge and g <= 0.0) or (x >= box[1, j] - edge and g >= 0.0)
        if held[j] or out or not w[HESS, j, j] > 0.0:
            pinned |= 1 << j
    for _ in range(q + 1):
        n = 0
        if q == 2 and pinned == 0:
            a, b = w[HESS, 0, 0] * (1.0 + damping), w[HESS, 1, 1] * (1.0 + damping)
            c, g, h = w[HESS, 0, 1], w[VECTOR, GRAD, 0], w[VECTOR, GRAD, 1]
            det = a * b - c * c
            if not det > 1e-14 * a * b:
                return -1.0
            det = 1.0 / det
            w[VECTOR, STEP, 0], w[VECTOR, STEP, 1] = (b * g - c * h) * det, (a * h - c * g) * det
            n = -1
        for j in range(q):
            if n < 0:
                break
            w[VECTOR, STEP, j] = 0.0
            if not (pinned >> j) & 1:
                index[ORDER, n] = j
                n += 1
        if n == 0:
            return 0.0
        for i in range(n):
            ii = index[ORDER, i]
            rhs = w[VECTOR, GRAD, ii]
            for j in range(i):
                s = w[HESS, ii, index[ORDER, j]]
                for k in range(j):
                    s -= w[DAMPED, i, k] * w[DAMPED, j, k]
                s *= w[DAMPED, j, j]
                w[DAMPED, i, j] = s
                rhs -= s * w[VECTOR, STEP, index[ORDER, j]]
            s = w[HESS, ii, ii] * (1.0 + damping)
            for k in range(i):
                s -= w[DAMPED, i, k] * w[DAMPED, i, k]
            if not s > 1e-14 * w[HESS, ii, ii]:
                return -1.0
            s = 1.0 / math.sqrt(s)
            w[DAMPED, i, i] = s
            w[VECTOR, STEP, ii] = rhs * s
        for i in range(n - 1, -1, -1):
            v = w[VECTOR, STEP, index[ORDER, i]]
            for k in range(i + 1, n):
                v -= w[DAMPED, k, i] * w[VECTOR, STEP, index[ORDER, k]]
            w[VECTOR, STEP, index[ORDER, i]] = v * w[DAMPED, i, i]
        # Coupling can push a parameter out of the box although its own slope points inwards.
        more = False
        for j in range(q):
            x, d = w[VECTOR, MOVING, j], w[VECTOR, STEP, j]
            edge = EDGE * box[2, j]
            if (x <= box[0, j] + edge and d < 0.0) or (x >= box[1, j] - edge and d > 0.0):
                pinned |= 1 << j
                more = True
        if not more:
            break
    scale = 1.0
    for j in range(q):
        d = w[VECTOR, STEP, j]
        room = box[1, j] - w[VECTOR, MOVING, j] if d > 0.0 else w[VECTOR, MOVING, j] - box[0, j]
        room = min(box[2, j], room)
        if abs(d) * scale > room:
            scale = room / abs(d)
    if scale < 1.0:
        for j in range(q):
            w[VECTOR, STEP, j] *= scale
    return scale


@_njit(_EXACT)
def _vanishing(spec, n, w, index):
    """Bits of the live columns that are not negative and that the step would make so."""
    q, bits = spec[5], 0
    for i in range(n - 1, -1, -1):
        v = 0.0
        for j in range(q):
            v += w[LIFT, j, i] * w[VECTOR, STEP, j]
        for k in range(i + 1, n):
            v -= w[FACTOR, k, i] * w[VECTOR, A_NEW, k]
        v *= w[FACTOR, i, i]
        w[VECTOR, A_NEW, i] = v
        c = index[LIVE, i]
        if (spec[6] >> c) & 1 and w[VECTOR, A_TRY, c] < v:
            bits |= 1 << c
    return bits


@_njit(_EXACT)
def _search(spec, pixel, axis, white, box, held, rows, m, close, limit, rival, steps, w, index):
    """Levenberg–Marquardt from MOVING, which is moved; amplitudes in A_TRY.

    Where the predicted fall is ``close`` times χ² or less the last step is taken without looking
    back; ``limit`` is the χ² above which that no longer grows with it. A search that will not
    end below ``rival`` is given up. Returns χ², evaluations, and 0 if it converged, 1 if not, 2 if
    it converged but the products at hand are those of a step that was refused, 3 if given up.

    χ² has a kink where an amplitude reaches zero: beyond it the slope is another. A step that
    would make an amplitude negative and is refused is found again with that amplitude at zero.
    """
    p, q = spec[3], spec[5]
    floor = 1e-27 * w[GRAM, p, p]
    chi2, above, predicted, damping, tolerance = 0.0, 0.0, 0.0, FIRST_DAMPING, 0.0
    n, nfev, verdict, stale = 0, 0, 1, False
    banned, vanishing, step_taken, again = 0, 0, False, True
    size, longest, refused, relax = 0.0, np.inf, False, 1.0
    scale, linear, quadratic, before = 1.0, 0.0, 0.0, np.inf
    for turn in range(steps + 1):
        if not step_taken:  # evaluate where we are: at first, and with columns banned or back
            for j in range(q):
                w[VECTOR, TRIAL, j] = w[VECTOR, MOVING, j]
        chi2_new, n_new = _evaluate(spec, pixel, axis, white, rows, m, banned, w, index)
        nfev += 1
        if not step_taken or chi2_new < chi2:
            fall = chi2 - chi2_new
            good = fall > 0.25 * predicted
            n, stale, above = n_new, False, 0.0
            if banned != 0:
                above = chi2_new - chi2
            else:
                chi2 = chi2_new
            for j in range(q):
                w[VECTOR, MOVING, j] = w[VECTOR, TRIAL, j]
            for i in range(p):
                w[VECTOR, A_TRY, i] = w[VECTOR, A_NEW, i]
            _project(spec, pixel, axis, white, rows, m, n, w, index)
            if step_taken:
                before = predicted
                damping = max(damping * (0.1 if good else 1.0), 1e-12)
                narrow = refused or not good or size > 0.5 * longest
                longest = (3.0 if good else 1.0) * size if narrow else np.inf
                # Where residuals are large χ² bends more than the equations say, always alike.
                bend = (2.0 * linear - fall) / quadratic if quadratic > 0.0 else 1.0
                relax = 1.0 / min(bend, 2.5) if bend > 1.05 and scale == 1.0 else 1.0
                again, refused = True, False
        elif above > 0.0 or (again and vanishing != 0 and chi2 < rival):
            # Once with the vanishing columns at zero; from there back to where we were.
            if above > 0.0:
                banned, longest = 0, 0.3 * size
            else:
                banned = vanishing
            above, again, step_taken = 0.0, False, False
            continue
        else:
            stale = True
            if predicted <= 4.0 * tolerance + 1e-25 * w[GRAM, p, p]:
                verdict = 0
                break
            longest, refused, relax = 0.3 * size, True, 1.0
        banned = 0
        scale, size = -1.0, 2.0
        while damping < 1e12:
            scale = _direction(box, held, q, damping, w, index)
            size = 0.0
            for j in range(q):
                size = max(size, abs(w[VECTOR, STEP, j]) / box[2, j])
            if scale >= 0.0 and size <= longest:
                break
            damping = max(damping * 5.0, 1e-3)
        if scale <= 0.0 or damping >= 1e12:
            verdict = 0 if scale == 0.0 else 1
            break
        linear = quadratic = 0.0
        for j in range(q):
            w[VECTOR, STEP, j] *= relax
            v = 0.0
            for k in range(j):
                v += 2.0 * w[HESS, j, k] * w[VECTOR, STEP, k]
            v += w[HESS, j, j] * w[VECTOR, STEP, j]
            quadratic += v * w[VECTOR, STEP, j]
            linear += w[VECTOR, GRAD, j] * w[VECTOR, STEP, j]
        predicted = 2.0 * linear - quadratic - above
        tolerance = close * min(chi2, limit) + floor
        calm = damping <= 0.1 and scale == 1.0
        step_taken = True
        if above > 0.0:
            if predicted <= tolerance:  # nothing to gain at zero: back
                above, step_taken = 0.0, False
                continue
        elif predicted <= tolerance and calm and predicted * predicted <= tolerance * before * REST:
            verdict = 0
            if not stale:
                chi2 -= _last_step(spec, n, predicted, w, index)
            break
        if calm and turn > PATIENCE and chi2 - HOPE * predicted > rival - 4.0 * tolerance:
            verdict = 3
            break
        if not stale and above == 0.0:
            vanishing = _vanishing(spec, n, w, index) if spec[6] != 0 else 0
        for j in range(q):
            x = w[VECTOR, MOVING, j] + w[VECTOR, STEP, j]
            w[VECTOR, TRIAL, j] = min(max(x, box[0, j]), box[1, j])
    return chi2, nfev, 2 if stale and verdict == 0 else verdict


@_njit(_EXACT)
def _last_step(spec, n, predicted, w, index):
    """Take a step so short that the linear model stands for the evaluation; returns the fall."""
    if _vanishing(spec, n, w, index) != 0:
        return 0.0
    for i in range(n):
        w[VECTOR, A_TRY, index[LIVE, i]] -= w[VECTOR, A_NEW, i]
    for j in range(spec[5]):
        w[VECTOR, MOVING, j] += w[VECTOR, STEP, j]
    return predicted


# From internal to reported parameters -------------------------------------------------------------


@_njit(_EXACT)
def _invert(w, source, n, index):
    """INVERSE of the ALIVE rows and columns of a layer, after scaling; False if singular."""
    c = 0
    for i in range(n):
        if index[ALIVE, i] == 1:
            if not w[source, i, i] > 0.0:
                return False
            index[OTHER, c] = i
            w[VECTOR, SUMS, c] = 1.0 / math.sqrt(w[source, i, i])
            c += 1
    for i in range(c):
        ii = index[OTHER, i]
        for j in range(i + 1):
            v = w[source, index[OTHER, j], ii] * w[VECTOR, SUMS, i] * w[VECTOR, SUMS, j]
            for k in range(j):
                v -= w[SCRATCH, i, k] * w[SCRATCH, j, k]
            if i == j:
                if not v > 1e-13:
                    return False
                w[SCRATCH, i, i] = 1.0 / math.sqrt(v)
            else:
                w[SCRATCH, i, j] = v * w[SCRATCH, j, j]
    # Inverse of the factor, transposed into its upper triangle.
    for i in range(c):
        for j in range(i):
            v = w[SCRATCH, i, j] * w[SCRATCH, j, j]
            for k in range(j + 1, i):
                v += w[SCRATCH, i, k] * w[SCRATCH, j, k]
            w[SCRATCH, j, i] = -v * w[SCRATCH, i, i]
    for i in range(c):
        ii = index[OTHER, i]
        for j in range(i, c):
            v = w[SCRATCH, i, j] * w[SCRATCH, j, j]
            for k in range(j + 1, c):
                v += w[SCRATCH, i, k] * w[SCRATCH, j, k]
            v *= w[VECTOR, SUMS, i] * w[VECTOR, SUMS, j]
            jj = index[OTHER, j]
            w[INVERSE, ii, jj] = w[INVERSE, jj, ii] = v
    return True


@_njit(_EXACT)
def _information(spec, held, w, index):
    """FULL: normal matrix in amplitudes, then non-linear parameters; ALIVE: what can have a σ."""
    p, q, qt, per_term = spec[3], spec[5], spec[4], spec[2] // spec[1]
    d0 = p + 2
    for i in range(p):
        index[ALIVE, i] = 1
        for j in range(i, p):
            w[FULL, i, j] = w[GRAM, i, j]
        for j in range(q):
            w[FULL, i, p + j] = w[SLOPES, d0 + j, i]
    for j in range(q):
        for k in range(j, q):
            w[FULL, p + j, p + k] = w[SLOPES, d0 + j, d0 + k]
        first = per_term * (j // qt)
        alive = w[VECTOR, A, first] != 0.0
        if per_term == 2:
            alive = alive or w[VECTOR, A, first + 1] != 0.0
        index[ALIVE, p + j] = 1 if alive and not held[j] else 0


@_njit(_EXACT)
def _report(spec, axis, held, w, index, row, values, cov):
    """Write values and covariance of a row from the products at hand."""
    _information(spec, held, w, index)
    good = _invert(w, np.int64(FULL), spec[3] + spec[5], index)
    if not good and _leave_out_zeros(spec, w, index):
        good = _invert(w, np.int64(FULL), spec[3] + spec[5], index)
    _write(spec, axis, held, good, w, index, row, values, cov)


@_njit(_EXACT)
def _leave_out_zeros(spec, w, index):
    """Take the columns that are at zero out of ALIVE; False if there are none."""
    dead = False
    for i in range(spec[3]):
        if w[VECTOR, A, i] == 0.0 and index[ALIVE, i] == 1:
            index[ALIVE, i] = 0
            dead = True
    return dead


@_njit(_EXACT)
def _report_shared(spec, axis, total, w, index, row, values, cov):
    """The same where a group has the shape parameters in common.

    ``total`` is what all rows of the group say of them, amplitudes projected out. It takes the
    place of what this row alone says.
    """
    p, q = spec[3], spec[5]
    for j in range(q):
        index[MARKS, j] = 0
    _information(spec, index[MARKS], w, index)
    for j in range(q):
        index[ALIVE, p + j] = 0
    known = _invert(w, np.int64(FULL), p, index)
    if not known and _leave_out_zeros(spec, w, index):
        known = _invert(w, np.int64(FULL), p, index)
    for j in range(q):
        index[ALIVE, p + j] = 1
        for k in range(j, q):
            v = total[j, k]
            for a in range(p):
                for b in range(p):
                    if known and index[ALIVE, a] == 1 and index[ALIVE, b] == 1:
                        v += w[FULL, a, p + j] * w[INVERSE, a, b] * w[FULL, b, p + k]
            w[FULL, p + j, p + k] = v
    good = known and _invert(w, np.int64(FULL), p + q, index)
    _write(spec, axis, index[MARKS], good, w, index, row, values, cov)


@_njit(_EXACT)
def _write(spec, axis, held, good, w, index, row, values, cov):
    """Turn THETA, A and INVERSE into reported parameters and their covariance."""
    family, terms, columns, p, qt, q = spec[0], spec[1], spec[2], spec[3], spec[4], spec[5]
    n, sign = p + q, float(spec[8])
    middle, half, unit = axis[3, 0], axis[3, 1], axis[3, 2]
    per = qt + 1 + (1 if family == PSEUDO_VOIGT else 0)  # reported parameters per term
    last = per * terms
    size = last + p - columns
    # Every internal parameter moves one or two reported ones: places and derivatives.
    plain = True
    for t in range(terms):
        base = per * index[PLACE, t]
        if family == PSEUDO_VOIGT:
            plain = False
            hg, hl = w[VECTOR, A, 2 * t], w[VECTOR, A, 2 * t + 1]
            cg, cl = 0.5 * math.sqrt(math.pi / _LN2), 0.5 * math.pi
            area = cg * hg + cl * hl
            values[row, base] = sign * (hg + hl)
            values[row, base + 3] = cl * hl / area if area > 0.0 else 0.5
            square = cg * cl / (area * area) if area > 0.0 else np.nan
            for c in range(2 * t, 2 * t + 2):
                index[TO0, c], w[VECTOR, BY0, c] = base, sign
                index[TO1, c] = base + 3
                w[VECTOR, BY1, c] = -hl * square if c == 2 * t else hg * square
        else:
            values[row, base] = sign * w[VECTOR, A, t]
            index[TO0, t], w[VECTOR, BY0, t] = base, sign
            w[VECTOR, BY1, t] = 0.0
        for j in range(qt):
            c = p + qt * t + j
            v = w[VECTOR, THETA, qt * t + j]
            by = 1.0
            # rates and widths are searched as logarithms
            if (j == 0 and family <= STRETCHED) or (j == 1 and family >= GAUSSIAN):
                by = v = _exp(v) * (unit if family >= GAUSSIAN else 1.0)
            index[TO0, c] = base + 1 + j
            values[row, base + 1 + j] = v
            w[VECTOR, BY0, c], w[VECTOR, BY1, c] = by, 0.0
    for c in range(columns, p):
        i = last + c - columns
        values[row, i] = w[VECTOR, A, c]
        index[TO0, c] = i
        w[VECTOR, BY0, c], w[VECTOR, BY1, c] = 1.0, 0.0
    if p > columns + 1:
        plain = False
        c = columns + 1
        values[row, last + 1] /= half
        values[row, last] -= w[VECTOR, A, c] * middle / half
        index[TO1, c] = last
        w[VECTOR, BY0, c], w[VECTOR, BY1, c] = 1.0 / half, -middle / half
    if not good:
        for i in range(size):
            for j in range(size):
                cov[row, i, j] = np.nan
    else:
        if not plain:
            for i in range(size):
                for j in range(size):
                    cov[row, i, j] = 0.0
        for i in range(n):
            ti, bi = index[TO0, i], w[VECTOR, BY0, i]
            for j in range(n):
                tj = index[TO0, j]
                v = w[INVERSE, i, j] * bi * w[VECTOR, BY0, j]
                v = v if index[ALIVE, i] == 1 and index[ALIVE, j] == 1 else np.nan
                if plain:
                    cov[row, ti, tj] = v
                elif v == v:
                    cov[row, ti, tj] += v
        if not plain:
            _second_order(n, row, w, index, cov)
            for i in range(n):
                if index[ALIVE, i] == 0:
                    for k in range(size):
                        cov[row, index[TO0, i], k] = cov[row, k, index[TO0, i]] = np.nan
    for j in range(q):
        if held[j]:
            for i in range(size):
                cov[row, index[TO0, p + j], i] = cov[row, i, index[TO0, p + j]] = 0.0


@_njit(_EXACT)
def _second_order(n, row, w, index, cov):
    """Add what comes through the second reported parameter that an internal one moves."""
    for i in range(n):
        for j in range(n):
            bi, bj = w[VECTOR, BY1, i], w[VECTOR, BY1, j]
            if index[ALIVE, i] == 0 or index[ALIVE, j] == 0:
                continue
            v = w[INVERSE, i, j]
            if bi != 0.0:
                cov[row, index[TO1, i], index[TO0, j]] += bi * w[VECTOR, BY0, j] * v
            if bj != 0.0:
                cov[row, index[TO0, i], index[TO1, j]] += bj * w[VECTOR, BY0, i] * v
            if bi != 0.0 and bj != 0.0:
                cov[row, index[TO1, i], index[TO1, j]] += bi * bj * v


# Starts -------------------------------------------------------------------------------------------


@_njit(_EXACT)
def _lay_out(spec, axis, sw, y, white, rows, m, w):
    """Write what does not depend on the non-linear parameters: background, data, their products."""
    columns, p = spec[2], spec[3]
    sign = float(spec[8])
    for i in range(m):
        white[i] = sign * sw[i]
    for i in range(m):
        rows[p, i] = sw[i] * y[i]
    if p > columns:
        for i in range(m):
            rows[columns, i] = sw[i]
    if p > columns + 1:
        for i in range(m):
            rows[columns + 1, i] = sw[i] * axis[2, i]
    _products(rows, columns, p + 1, columns, p + 1, m, w, np.int64(GRAM), np.int64(0))


@_njit(_EXACT)
def _background(spec, rows, m, w, index):
    """χ² of the background alone; its residuals in row p + 1."""
    columns, p = spec[2], spec[3]
    n = p - columns
    for i in range(n):
        for j in range(i, n + 1):
            w[FULL, i, j] = w[GRAM, columns + i, columns + j]
    if n > 0:
        _amplitudes(
            w, np.int64(FULL), n, spec[6] >> columns, 0, index, np.int64(OTHER), np.int64(SCRATCH),
            np.int64(A_NEW),
        )  # fmt: skip
    return _subtract(spec, rows, m, w)


@_njit(_SUMS)
def _subtract(spec, rows, m, w):
    columns, p = spec[2], spec[3]
    s = 0.0
    for k in range(m):
        rows[p + 1, k] = rows[p, k]
    for c in range(columns, p):
        a = w[VECTOR, A_NEW, c - columns]
        for k in range(m):
            rows[p + 1, k] -= a * rows[c, k]
    for k in range(m):
        s += rows[p + 1, k] * rows[p + 1, k]
    return s


@_njit(_SUMS)
def _whiten_grid(grid, count, sw, rows, m):
    for g in range(count):
        for k in range(m):
            rows[SIZE + g, k] = grid[g, k] * sw[k]


@_njit(_SUMS)
def _against(rows, i, c0, c1, m, w, layer, row):
    """w[layer, row, j − c0] = rows[i]·rows[j] for c0 ≤ j < c1, eight at a time."""
    for j in range(c0, c1, 8):
        j1, j2, j3 = min(j + 1, c1 - 1), min(j + 2, c1 - 1), min(j + 3, c1 - 1)
        j4, j5 = min(j + 4, c1 - 1), min(j + 5, c1 - 1)
        j6, j7 = min(j + 6, c1 - 1), min(j + 7, c1 - 1)
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        for k in range(m):
            v = rows[i, k]
            s0 += v * rows[j, k]
            s1 += v * rows[j1, k]
            s2 += v * rows[j2, k]
            s3 += v * rows[j3, k]
            s4 += v * rows[j4, k]
            s5 += v * rows[j5, k]
            s6 += v * rows[j6, k]
            s7 += v * rows[j7, k]
        w[layer, row, j - c0], w[layer, row, j1 - c0] = s0, s1
        w[layer, row, j2 - c0], w[layer, row, j3 - c0] = s2, s3
        w[layer, row, j4 - c0], w[layer, row, j5 - c0] = s4, s5
        w[layer, row, j6 - c0], w[layer, row, j7 - c0] = s6, s7


# Layers of a chart, the array ``ch`` that holds all about a grid of exponentials, and the rows of
# its layer C_LINE.
C_GRAM: Final = 0  # products of the grid columns, then the background
C_LEFT: Final = 1  # what projecting out the background leaves of them
C_WITH: Final = 2  # reciprocal determinants of pairs beside the background; 0 where singular
C_BARE: Final = 3  # the same of pairs alone
C_COSINE: Final = 4  # C_LEFT for columns of length one
C_SINE: Final = 5  # 1/(1 − cosine²)
C_CHART: Final = 6  # explained χ² of pairs
C_LINE: Final = 7
L_LENGTH, L_BEST, L_DATA, L_REST, L_SINGLE, L_MORE, L_WITH = range(7)


@_njit(_SUMS)
def _prepare_chart(ch, n, nb_, quick, pairs):
    """Fill C_LEFT … C_SINE from C_GRAM: what :func:`_quick_scan` or what :func:`_scan` needs."""
    for i in range(n):
        for j in range(i):
            ch[C_GRAM, i, j] = ch[C_GRAM, j, i]
    f0 = g0 = 0.0
    det = 1.0
    if nb_ == 2:
        det = ch[C_GRAM, n, n] * ch[C_GRAM, n + 1, n + 1] - ch[C_GRAM, n, n + 1] ** 2
    for i in range(n):
        if nb_ == 1:
            f0 = ch[C_GRAM, i, n] / ch[C_GRAM, n, n]
        elif nb_ == 2:
            u, v, b = ch[C_GRAM, i, n], ch[C_GRAM, i, n + 1], ch[C_GRAM, n, n + 1]
            f0 = (ch[C_GRAM, n + 1, n + 1] * u - b * v) / det
            g0 = (ch[C_GRAM, n, n] * v - b * u) / det
        for j in range(n):
            v = ch[C_GRAM, i, j]
            if nb_ > 0:
                v -= f0 * ch[C_GRAM, j, n]
            if nb_ > 1:
                v -= g0 * ch[C_GRAM, j, n + 1]
            ch[C_LEFT, i, j] = v
    for i in range(n):
        ch[C_LINE, L_LENGTH, i] = ch[C_LEFT, i, i]
        ch[C_LINE, L_BEST, i] = ch[C_GRAM, i, i]
    if pairs and not quick:
        for i in range(n):
            a, g = ch[C_LINE, L_LENGTH, i], ch[C_LINE, L_BEST, i]
            for j in range(n):
                square = a * ch[C_LINE, L_LENGTH, j]
                det = square - ch[C_LEFT, i, j] * ch[C_LEFT, i, j]
                ch[C_WITH, i, j] = 1.0 / det if det > 1e-11 * square else 0.0
            for j in range(n):
                square = g * ch[C_LINE, L_BEST, j]
                det = square - ch[C_GRAM, i, j] * ch[C_GRAM, i, j]
                ch[C_BARE, i, j] = 1.0 / det if det > 1e-11 * square else 0.0
    for i in range(n):  # of single columns, on the diagonal
        a, g = ch[C_LINE, L_LENGTH, i], ch[C_LINE, L_BEST, i]
        ch[C_WITH, i, i] = 1.0 / a if a > 1e-11 * g else 0.0
        ch[C_BARE, i, i] = 1.0 / g
        ch[C_LINE, L_LENGTH, i] = math.sqrt(ch[C_WITH, i, i])
    if pairs and quick:
        for i in range(n):
            for j in range(n):
                c = ch[C_LEFT, i, j] * ch[C_LINE, L_LENGTH, i] * ch[C_LINE, L_LENGTH, j]
                good = i != j and c * c < 1.0 - 1e-11
                ch[C_COSINE, i, j] = c if good else 1.0
                ch[C_SINE, i, j] = 1.0 / (1.0 - c * c) if good else 0.0


@_njit(_SUMS)
def _project_out(ch, n, nb_):
    """L_REST: what projecting out the background leaves of L_DATA; returns what that explains."""
    for i in range(n):
        ch[C_LINE, L_REST, i] = ch[C_LINE, L_DATA, i]
    if nb_ == 0:
        return 0.0
    u = ch[C_LINE, L_DATA, n]
    if nb_ == 1:
        f = u / ch[C_GRAM, n, n]
        for i in range(n):
            ch[C_LINE, L_REST, i] -= f * ch[C_GRAM, i, n]
        return f * u
    a, b, c = ch[C_GRAM, n, n], ch[C_GRAM, n, n + 1], ch[C_GRAM, n + 1, n + 1]
    v = ch[C_LINE, L_DATA, n + 1]
    det = 1.0 / (a * c - b * b)
    f, g = (c * u - b * v) * det, (a * v - b * u) * det
    for i in range(n):
        ch[C_LINE, L_REST, i] -= f * ch[C_GRAM, i, n] + g * ch[C_GRAM, i, n + 1]
    return f * u + g * v


@_njit(_EXACT)
def _pairs_with(ch, n, i, lowest, line):
    """Raise ``line`` to what a pair of each column with column i, … or i + 3 explains."""
    i1, i2, i3 = min(i + 1, n - 1), min(i + 2, n - 1), min(i + 3, n - 1)
    s0, s1 = ch[C_LINE, L_REST, i], ch[C_LINE, L_REST, i1]
    s2, s3 = ch[C_LINE, L_REST, i2], ch[C_LINE, L_REST, i3]
    for j in range(n):
        sj = ch[C_LINE, L_REST, j]
        v0 = _pair(s0, sj, ch[C_COSINE, i, j], ch[C_SINE, i, j], lowest)
        v1 = _pair(s1, sj, ch[C_COSINE, i1, j], ch[C_SINE, i1, j], lowest)
        v2 = _pair(s2, sj, ch[C_COSINE, i2, j], ch[C_SINE, i2, j], lowest)
        v3 = _pair(s3, sj, ch[C_COSINE, i3, j], ch[C_SINE, i3, j], lowest)
        line[j] = max(max(max(v0, v1), max(v2, v3)), line[j])


@_njit(_EXACT)
def _pair(a, b, cosine, sine, lowest):
    """What two columns of length one explain, 0 where an amplitude has the wrong sign."""
    ra, rb = a - cosine * b, b - cosine * a
    value = (ra * a + rb * b) * sine
    value = value if ra >= lowest else 0.0
    return value if rb >= lowest else 0.0


@_njit(_EXACT)
def _quick_scan(spec, ch, n, line):
    """Best pair of grid columns with a free background, and L_SINGLE of single ones."""
    _project_out(ch, n, spec[7])
    signed = spec[6] & 1 == 1
    for i in range(n):
        x = ch[C_LINE, L_REST, i] * ch[C_LINE, L_LENGTH, i]
        ch[C_LINE, L_REST, i] = x
        ch[C_LINE, L_SINGLE, i] = x * x if x > 0.0 or not signed else 0.0
        line[i] = 0.0
    if spec[1] < 2:
        return 0, 0
    lowest = 0.0 if signed else -np.inf
    for i in range(0, n, 4):
        _pairs_with(ch, n, i, lowest, line)
    best, bi, bj = 0.0, -1, -1
    for j in range(n):
        if line[j] > best:
            best, bj = line[j], j
    if bj < 0:  # no pair goes together: the best single one, and its neighbour
        bi = 0
        for i in range(n):
            if ch[C_LINE, L_SINGLE, i] > ch[C_LINE, L_SINGLE, bi]:
                bi = i
        return (bi, bi + 1) if bi < n - 1 else (bi - 1, bi)
    sj, best = ch[C_LINE, L_REST, bj], -1.0
    for i in range(n):
        si, c = ch[C_LINE, L_REST, i], ch[C_COSINE, i, bj]
        ra, rb = si - c * sj, sj - c * si
        value = (ra * si + rb * sj) * ch[C_SINE, i, bj]
        if min(ra, rb) >= lowest and value > best and i != bj:
            best, bi = value, i
    return min(bi, bj), max(bi, bj)


@_njit(_SUMS)
def _scan(spec, ch, n):
    """Explained χ² of single grid columns (L_SINGLE) and of pairs (C_CHART), with the background.

    The best feasible support, without branches so that it vectorises.
    """
    nb_ = spec[7]
    signed = spec[6] & 1 == 1
    held_up = nb_ == 1 and (spec[6] >> spec[2]) & 1 == 1  # the constant is not negative
    base = _project_out(ch, n, nb_)
    whole = ch[C_LINE, L_DATA, n] if nb_ > 0 else 0.0
    alone = base if not held_up or whole > 0.0 else 0.0
    lowest = 0.0 if signed else -np.inf
    for i in range(n):
        ti, pi = ch[C_LINE, L_REST, i], ch[C_LINE, L_DATA, i]
        x = ti * ch[C_WITH, i, i]
        good = x >= lowest
        if held_up:
            good = good and whole - ch[C_GRAM, i, n] * x >= 0.0
        value = base + x * ti if good else 0.0
        if held_up:
            x = pi * ch[C_BARE, i, i]
            value = max(value, x * pi if x >= lowest else 0.0)
        ch[C_LINE, L_SINGLE, i] = max(value, alone)
    if spec[1] < 2:
        return
    for i in range(n):
        single, ti, pi = ch[C_LINE, L_SINGLE, i], ch[C_LINE, L_REST, i], ch[C_LINE, L_DATA, i]
        sii, gii = ch[C_LEFT, i, i], ch[C_GRAM, i, i]
        gin = ch[C_GRAM, i, n] if held_up else 0.0
        for j in range(i + 1, n):
            inv = ch[C_WITH, i, j]
            sij, tj = ch[C_LEFT, i, j], ch[C_LINE, L_REST, j]
            xa = (ch[C_LEFT, j, j] * ti - sij * tj) * inv
            xb = (sii * tj - sij * ti) * inv
            least = min(xa, xb) - lowest
            if held_up:
                least = min(least, whole - gin * xa - ch[C_GRAM, j, n] * xb)
            full = base + xa * ti + xb * tj if least >= 0.0 else 0.0
            if held_up:
                inv = ch[C_BARE, i, j]
                gij, pj = ch[C_GRAM, i, j], ch[C_LINE, L_DATA, j]
                xa = (ch[C_GRAM, j, j] * pi - gij * pj) * inv
                xb = (gii * pj - gij * pi) * inv
                full = max(full, xa * pi + xb * pj if min(xa, xb) >= lowest else 0.0)
            ch[C_CHART, i, j] = max(full, max(single, ch[C_LINE, L_SINGLE, j]))


@_njit(_EXACT)
def _insert(value, x, y, picks, found, most):
    """Keep the ``most`` best (value, x, y) in falling order; returns how many there are."""
    k = found
    if found == most:
        if value <= picks[found - 1, 0]:
            return found
        k = found - 1
    while k > 0 and picks[k - 1, 0] < value:
        for c in range(3):
            picks[k, c] = picks[k - 1, c]
        k -= 1
    picks[k, 0], picks[k, 1], picks[k, 2] = value, x, y
    return min(found + 1, most)


@_njit(_EXACT)
def _peaks_of_chart(ch, n, picks, most):
    """Pairs that explain no less than their neighbours, best first; of equal ones the first."""
    found = 0
    for i in range(n):
        for j in range(i + 1, n):
            v = ch[C_CHART, i, j]
            if found == most and v <= picks[found - 1, 0]:
                continue
            # Left and upper neighbours must be lower, right and lower ones not higher.
            if j > i + 1 and ch[C_CHART, i, j - 1] >= v:
                continue
            if j + 1 < n and ch[C_CHART, i, j + 1] > v:
                continue
            top = True
            if i > 0:
                for b in range(j - 1, min(j + 2, n)):
                    top = top and not ch[C_CHART, i - 1, b] >= v
            if top and i + 1 < n:
                for b in range(max(j - 1, i + 2), min(j + 2, n)):
                    top = top and not ch[C_CHART, i + 1, b] > v
            if top:
                found = _insert(v, float(i), float(j), picks, found, most)
    return found


@_njit(_EXACT)
def _peaks_of_line(ch, line, n, picks, most):
    found = 0
    for j in range(n):
        before = ch[C_LINE, line, j - 1] if j > 0 else -1.0
        after = ch[C_LINE, line, j + 1] if j < n - 1 else -1.0
        v = ch[C_LINE, line, j]
        if v > before and v >= after:
            found = _insert(v, float(j), 0.0, picks, found, most)
    return found


@_njit(_EXACT)
def _stage(spec, k):
    """The same problem with its first k terms only."""
    family, terms, columns, qt, nb_ = spec[0], spec[1], spec[2], spec[4], spec[7]
    per = columns // terms
    bits = ((1 << (per * k)) - 1) if spec[6] & 1 else 0
    bits |= (spec[6] >> columns) << (per * k)
    return family, k, per * k, per * k + nb_, qt, qt * k, bits, nb_, spec[8], spec[9]


@_njit(_EXACT)
def _companions(spec, count, rows, m, w, index, ch):
    """L_MORE: explained χ² when a whitened grid column (rows SIZE …) joins the columns at hand."""
    p = spec[3]
    bits = spec[6] | ((spec[6] & 1) << p)
    for i in range(p + 1):
        _against(
            rows, i, np.int64(SIZE), SIZE + count, m, ch, np.int64(C_LINE), np.int64(L_WITH) + i
        )
    for g in range(count):
        for i in range(p):
            for j in range(i, p):
                w[FULL, i, j] = w[GRAM, i, j]
            w[FULL, i, p], w[FULL, i, p + 1] = ch[C_LINE, L_WITH + i, g], w[GRAM, i, p]
        w[FULL, p, p] = _dot(rows, SIZE + g, rows, SIZE + g, m)
        w[FULL, p, p + 1] = ch[C_LINE, L_WITH + p, g]
        _amplitudes(
            w, np.int64(FULL), p + 1, bits, 0, index, np.int64(OTHER), np.int64(SCRATCH),
            np.int64(A_JOINT),
        )  # fmt: skip
        v = 0.0
        for i in range(p + 1):
            v += w[VECTOR, A_JOINT, i] * w[FULL, i, p + 1]
        ch[C_LINE, L_MORE, g] = v


@_njit(_SUMS)
def _bin(rows, r, sw, white, m, width, weight, signal):
    """Sums over ``width`` points of weights and of weighted residuals (row r), cumulated."""
    weight[0] = signal[0] = 0.0
    n = (m + width - 1) // width
    for b in range(n):
        u = v = 0.0
        for k in range(b * width, min((b + 1) * width, m)):
            u += sw[k] * sw[k]
            v += white[k] * rows[r, k]
        weight[b + 1] = weight[b] + u
        signal[b + 1] = signal[b] + v
    return n


@_njit(_EXACT)
def _score(weight, signal, count, length, slope, share, tiny, lowest, score):
    """χ² that a box of that length at every place would take off."""
    shift = np.uint64(length)  # unsigned: no negative index to provide for, so that this vectorises
    for i in range(np.uint64(count)):
        w = weight[i + shift] - weight[i]
        v = signal[i + shift] - signal[i] - w * slope
        w -= w * w * share
        v = v if v > lowest else 0.0
        score[i] = v * v / w if w > tiny else 0.0


@_njit(_EXACT)
def _boxes(rows, r, axis, sw, white, m, floating, signed, picks, most, weight, signal, score):
    """Stretches of the axis that stand out of the residuals of row r: (gain, middle, length).

    The best box on a constant (``floating``) or on nothing, by cumulated sums; boxes that overlap a
    better one are left out.
    """
    width = max(1, (m + 63) // 64)
    n = _bin(rows, r, sw, white, m, width, weight, signal)
    whole, total = weight[n], signal[n]
    slope = total / whole if floating else 0.0
    share = 1.0 / whole if floating else 0.0
    found = 0
    length = 1
    while length <= max(1, (2 * n) // 3):
        count = n - length + 1
        _score(
            weight, signal, count, length, slope, share, 1e-12 * whole,
            0.0 if signed else -np.inf, score,
        )  # fmt: skip
        best, at = 0.0, -1
        for i in range(count):
            if score[i] > best:
                best, at = score[i], i
        if at >= 0:
            found = _insert_box(best, at, length, picks, found, most)
            if most > 1:  # the best one elsewhere
                other, there = 0.0, -1
                away = length + max(1, length // 2)
                for i in range(at - away + 1):
                    if score[i] > other:
                        other, there = score[i], i
                for i in range(at + away, count):
                    if score[i] > other:
                        other, there = score[i], i
                if there >= 0:
                    found = _insert_box(other, there, length, picks, found, most)
        length = length + max(1, length // 2)
    for i in range(found):
        first = min(int(picks[i, 1]) * width, m - 1)
        last = min((int(picks[i, 1]) + int(picks[i, 2])) * width, m) - 1
        space = axis[0, min(last + 1, m - 1)] - axis[0, max(first - 1, 0)]
        space /= max(min(last + 1, m - 1) - max(first - 1, 0), 1)
        picks[i, 1] = 0.5 * (axis[0, first] + axis[0, last])
        picks[i, 2] = space * (last - first + 1)
    return found


@_njit(_EXACT)
def _insert_box(gain, at, length, picks, found, most):
    for i in range(found):
        if at < picks[i, 1] + picks[i, 2] and picks[i, 1] < at + length and picks[i, 0] >= gain:
            return found
    kept = 0
    for i in range(found):
        if at < picks[i, 1] + picks[i, 2] and picks[i, 1] < at + length:
            continue
        for c in range(3):
            picks[kept, c] = picks[i, c]
        kept += 1
    return _insert(gain, float(at), float(length), picks, kept, most)


# Starts of one row --------------------------------------------------------------------------------


@_njit(_EXACT)
def _doubtful(spec, box, held, converged, w, index):
    """Tell where another basin may be lower: a bound is active or a shape is ill determined.

    Leaves the covariance of the non-linear parameters in INVERSE.
    """
    family, p, q, qt = spec[0], spec[3], spec[5], spec[4]
    doubt = not converged
    if family != PSEUDO_VOIGT:
        for i in range(p):
            if (spec[6] >> i) & 1 and w[VECTOR, A, i] <= 0.0:
                doubt = True
    for j in range(q):
        w[INVERSE, j, j] = np.inf
        index[ALIVE, j] = 0 if held[j] else 1
        if held[j]:
            continue
        x, edge = w[VECTOR, THETA, j], 1e-6 * box[2, j]
        if x <= box[0, j] + edge or x >= box[1, j] - edge:
            doubt = True
        if not w[HESS, j, j] > 0.0:  # of a term of amplitude zero
            index[ALIVE, j] = 0
            doubt = True
    if q == 2 and index[ALIVE, 0] + index[ALIVE, 1] == 2:
        a, b, c = w[HESS, 0, 0], w[HESS, 1, 1], w[HESS, 0, 1]
        det = a * b - c * c
        if not det > 1e-13 * a * b:
            return True
        w[INVERSE, 0, 0], w[INVERSE, 1, 1] = b / det, a / det
    elif not _invert(w, np.int64(HESS), q, index):
        return True
    for j in range(q):
        if index[ALIVE, j] == 1:
            largest = 0.09
            if family >= GAUSSIAN and j % qt == 0:
                largest *= _exp(2.0 * w[VECTOR, THETA, j + 1])
            if not w[INVERSE, j, j] <= largest:
                doubt = True
    return doubt


@_njit(_EXACT)
def _anchor(w):
    """ln k that the data determine best: of the live exponential, or of two that have merged."""
    a0, a1 = w[VECTOR, A, 0], w[VECTOR, A, 1]
    x0, x1 = w[VECTOR, THETA, 0], w[VECTOR, THETA, 1]
    if a0 * a1 == 0.0:
        return float(x0 if a0 != 0.0 else x1)
    if abs(x0 - x1) < 0.7:
        a0, a1 = abs(a0), abs(a1)
        return float((a0 * x0 + a1 * x1) / (a0 + a1))
    return float(x0 if w[INVERSE, 0, 0] <= w[INVERSE, 1, 1] else x1)


@_njit(_EXACT)
def _own_chart(spec, grid, count, sw, rows, m, ch):
    """Whiten the grid with the weights of the row, form all products and scan them."""
    nb_, p = spec[7], spec[3]
    size = SIZE + count + nb_
    _whiten_grid(grid, count, sw, rows, m)
    for b in range(nb_):
        for k in range(m):
            rows[SIZE + count + b, k] = rows[spec[2] + b, k]
    start = np.int64(SIZE)
    _products(rows, start, size, start, size, m, ch, np.int64(C_GRAM), start)
    _against(rows, p, np.int64(SIZE), size, m, ch, np.int64(C_LINE), np.int64(L_DATA))
    _prepare_chart(ch, count, nb_, False, spec[1] > 1)
    _scan(spec, ch, count)


@_njit(_EXACT)
def _first_decay(part, held, sw, y, rows, m, grid, grid_theta, shared, shared_ch, own_ch, line, w):
    """One start for the first one or two exponentials.

    The chart has the weights that rows share; gaps need one of their own. Returns the number of
    the start in the chart, and whether the chart is the row's own.
    """
    count, nb_, k = grid_theta.shape[0], part[7], part[1]
    size = count + nb_
    gaps = False
    for i in range(m):
        gaps = gaps or (sw[i] == 0.0 and shared[size, i] != 0.0)
    bi, bj, most = 0, 1, -1.0
    if gaps:
        _own_chart(part, grid, count, sw, rows, m, own_ch)
        if k == 2:
            for i in range(count - 1):
                for j in range(i + 1, count):
                    if own_ch[C_CHART, i, j] > most:
                        most, bi, bj = own_ch[C_CHART, i, j], i, j
        for i in range(count):
            line[i] = own_ch[C_LINE, L_SINGLE, i]
    else:
        for i in range(m):
            shared[size + 1, i] = shared[size, i] * y[i]
        _against(
            shared, size + 1, np.int64(0), size, m, shared_ch, np.int64(C_LINE), np.int64(L_DATA)
        )
        bi, bj = _quick_scan(part, shared_ch, count, line)
        for i in range(count):
            line[i] = shared_ch[C_LINE, L_SINGLE, i]
    if k == 2:
        w[START, 0, 0], w[START, 0, 1] = grid_theta[bi, 0], grid_theta[bj, 0]
        return count * bi + bj, gaps
    for i in range(count):
        if line[i] > most:
            most, bi = line[i], i
    for j in range(part[4]):
        w[START, 0, j] = w[VECTOR, THETA, j] if held[j] else grid_theta[bi, j]
    return bi, gaps


@_njit(_EXACT)
def _more_decay(part, held, grid_theta, ch, picks, first, w):
    """Starts from the other basins of the row's own chart."""
    count, qt = grid_theta.shape[0], part[4]
    if part[1] == 2:
        found = _peaks_of_chart(ch, count, picks, np.int64(5))
        kept = 0
        for c in range(found):
            i, j = int(picks[c, 1]), int(picks[c, 2])
            if count * i + j != first:
                w[START, kept, 0], w[START, kept, 1] = grid_theta[i, 0], grid_theta[j, 0]
                kept += 1
        return kept
    found = 0
    for i in range(count):
        v = ch[C_LINE, L_SINGLE, i]
        better = v > 0.0 and i != first
        if part[0] == EXPONENTIAL:
            better = better and (i == 0 or v > ch[C_LINE, L_SINGLE, i - 1])
            better = better and (i == count - 1 or v >= ch[C_LINE, L_SINGLE, i + 1])
        if better:
            found = _insert(v, float(i), 0.0, picks, found, np.int64(4))
    for c in range(found):
        for j in range(qt):
            w[START, c, j] = w[VECTOR, THETA, j] if held[j] else grid_theta[int(picks[c, 1]), j]
    return found


@_njit(_EXACT)
def _one_more_rate(fewer, n_held, grid, grid_theta, sw, rows, m, w, index, ch, picks):
    """Starts with one exponential more than BASE: its best companions, and rates split in two."""
    k, count = fewer[1], grid_theta.shape[0]
    _whiten_grid(grid, count, sw, rows, m)
    _companions(fewer, count, rows, m, w, index, ch)
    found = _peaks_of_line(ch, np.int64(L_MORE), count, picks, np.int64(4))
    for c in range(found + k - n_held):
        for j in range(k):
            w[START, c, j] = w[VECTOR, BASE, j]
        if c < found:
            w[START, c, k] = grid_theta[int(picks[c, 1]), 0]
        else:
            s = n_held + c - found
            w[START, c, s] = w[VECTOR, BASE, s] + 0.6
            w[START, c, k] = w[VECTOR, BASE, s] - 0.6
    return found + k - n_held


@_njit(_EXACT)
def _one_more_peak(
    part, k, box, held, n_held, residual, axis, sw, white, rows, m, most, picks, weight,
    signal, score, w,
):  # fmt: skip
    """Starts with one peak more: what stands out of the residuals, and peaks split in two."""
    family, qt, q = part[0], part[4], part[5]
    # white carries the sign of the terms: look for what points their way
    found = _boxes(
        rows, residual, axis, sw, white, m, part[7] > 0, part[6] & 1 == 1, picks, most, weight,
        signal, score,
    )  # fmt: skip
    splits = 2 * (k - n_held)
    unit = 1.0 / 2.3548200450309493 if family == FICK else 1.0
    count = max(found + splits, 1)
    for c in range(count):
        for j in range(q):
            w[START, c, j] = w[VECTOR, BASE, j] if j < qt * k else 0.5 * (box[0, j] + box[1, j])
        if c < found:
            w[START, c, qt * k] = picks[c, 1]
            w[START, c, qt * k + 1] = math.log(0.84 * unit * max(picks[c, 2], 1e-300))
        elif splits > 0:
            s = qt * (n_held + (c - found) // 2)
            centre, width = w[VECTOR, BASE, s], w[VECTOR, BASE, s + 1]
            apart = (0.35 if (c - found) % 2 == 0 else 0.8) * _exp(width) / unit
            w[START, c, s], w[START, c, qt * k] = centre - apart, centre + apart
            w[START, c, s + 1] = w[START, c, qt * k + 1] = width - 0.3
        if qt == 3:
            w[START, c, qt * k + 2] = 0.0 if family == ASYMMETRIC else 0.5
        for j in range(q):
            if held[j]:
                w[START, c, j] = w[VECTOR, THETA, j]
    return count


# One row ------------------------------------------------------------------------------------------

_FIRST: Final = 0  # starts from the grid
_BESIDE: Final = 1  # evaluate the surest rate alone
_MORE: Final = 2  # starts from the other basins
_FEWER: Final = 3  # evaluate the terms found so far
_GROW: Final = 4  # starts with one term more
_SETTLE: Final = 5  # evaluate the best once more
_ONE_LESS: Final = 6  # two exponentials of one rate: search with one exponential less
_TWINS: Final = 7  # evaluate what was found so, with an exponential of amplitude zero beside it


@_njit(_EXACT)
def _vector(w, source, target, n):
    for i in range(n):
        w[VECTOR, target, i] = w[VECTOR, source, i]


@_njit(_EXACT)
def _twins(spec, box, held, n_held, w, index):
    """Two live exponentials that nothing tells apart: their numbers as 16 i + j, −1 if none.

    BASE then has the rates with one in place of the two, at place i.
    """
    terms = spec[1]
    if spec[0] != EXPONENTIAL or terms < 2 or n_held > 0:
        return -1
    first, second, closest = -1, -1, 0.1
    for i in range(terms):
        for j in range(i + 1, terms):
            if held[i] or held[j] or box[0, i] != box[0, j] or box[1, i] != box[1, j]:
                continue
            apart = abs(w[VECTOR, THETA, i] - w[VECTOR, THETA, j])
            if apart < closest and w[VECTOR, A, i] * w[VECTOR, A, j] > 0.0:
                first, second, closest = i, j, apart
    if first < 0:
        return -1
    _information(spec, held, w, index)
    if _invert(w, np.int64(FULL), spec[3] + spec[5], index):
        return -1
    a, b = w[VECTOR, A, first], w[VECTOR, A, second]
    c = 0
    for i in range(terms):
        if i != second:
            w[VECTOR, BASE, c] = w[VECTOR, THETA, i]
            if i == first:
                x, y = w[VECTOR, THETA, first], w[VECTOR, THETA, second]
                w[VECTOR, BASE, c] = (a * x + b * y) / (a + b)
            c += 1
    return 16 * first + second


@_njit(_EXACT)
def _fit_row(
    spec, first, pixel, axis, sw, y, white, box, held, n_held, rows, m, close, limit, grid,
    grid_theta, shared, shared_ch, own_ch, line, weight, signal, score, picks, w, index,
):  # fmt: skip
    """Fit one row with given weights; returns χ², evaluations and convergence; THETA and A.

    ``first`` is true in the first of several rounds of weights; later ones start from THETA.
    All searches run through one call: a list of starts is made, run, and judged, stage by stage.
    """
    terms, qt = spec[1], spec[4]
    decay = spec[0] <= STRETCHED
    best, converged, at_hand, own_is_ready = np.inf, False, False, False
    before, evaluations = 0.0, 0
    k, count, steps, keep = terms, 1, MAX_STEPS, True
    stage, residual, tried, twin, alone = _GROW, 0, -1, -2, np.inf
    for j in range(spec[5]):
        w[START, 0, j] = w[VECTOR, THETA, j]
    fresh = first and n_held < terms
    if fresh:
        k = n_held
        if k > 0:
            stage, steps, keep = _FEWER, 0, False
        elif decay:
            k, stage = min(terms, 2), _FIRST
        else:
            k = 1
    part = _stage(spec, k)
    _lay_out(part, axis, sw, y, white, rows, m, w)
    if fresh and n_held == 0:
        if decay:
            tried, own_is_ready = _first_decay(
                part, held, sw, y, rows, m, grid, grid_theta, shared, shared_ch, own_ch, line, w
            )
        else:
            before = _background(part, rows, m, w, index)
            residual, stage = part[3] + 1, _FEWER
    while True:
        if not (stage == _FEWER and residual > 0):
            for c in range(count):
                if not decay and terms == 1 and c == 1 and stage == _GROW:
                    # Runners-up only where the first one is not plainly the peak.
                    doubt = _doubtful(part, box, held, converged, w, index)
                    if not doubt and picks[1, 0] < 0.5 * (before - best):
                        break
                q = part[5]
                for j in range(q):
                    w[VECTOR, MOVING, j] = min(max(w[START, c, j], box[0, j]), box[1, j])
                chi2, nfev, verdict = _search(
                    part, pixel, axis, white, box, held, rows, m, close, limit,
                    best if keep else np.inf, steps, w, index,
                )  # fmt: skip
                evaluations += nfev
                if not keep:
                    at_hand = stage == _SETTLE
                    before = chi2
                elif verdict < 3 and chi2 < best:
                    best, converged, at_hand = chi2, verdict != 1, verdict != 2
                    _vector(w, np.int64(MOVING), np.int64(THETA), q)
                    _vector(w, np.int64(A_TRY), np.int64(A), part[3])
                else:
                    at_hand = False
        if stage == _ONE_LESS:
            if alone <= best * (1.0 + SAME) + 1e-15 * w[GRAM, part[3], part[3]]:
                for j in range(terms):
                    c = j if j < twin % 16 else (twin // 16 if j == twin % 16 else j - 1)
                    w[START, 0, j] = w[VECTOR, MOVING, c]
                stage = _TWINS
            else:
                for j in range(terms):
                    w[START, 0, j] = w[VECTOR, THETA, j]
                stage = _SETTLE
            part, steps, keep = _stage(spec, k), 0, False
            _lay_out(part, axis, sw, y, white, rows, m, w)
            continue
        if stage == _TWINS:
            best = before
            _vector(w, np.int64(MOVING), np.int64(THETA), terms)
            _vector(w, np.int64(A_TRY), np.int64(A), part[3])
            for j in range(terms):  # the last step may have moved the one that is live
                w[VECTOR, THETA, j] = w[START, 0, j]
            break
        if stage == _BESIDE:
            _companions(part, grid_theta.shape[0], rows, m, w, index, own_ch)
            part = _stage(spec, k)
            _lay_out(part, axis, sw, y, white, rows, m, w)
            count = _more_decay(part, held, grid_theta, own_ch, picks, tried, w)
            found = _peaks_of_line(
                own_ch, np.int64(L_MORE), grid_theta.shape[0], picks, np.int64(3)
            )
            for c in range(found):
                w[START, count + c, 0] = w[VECTOR, BASE, 0]
                w[START, count + c, 1] = grid_theta[int(picks[c, 1]), 0]
            count += found
            stage, steps, keep = _MORE, MAX_STEPS, True
            continue
        if stage == _FEWER:
            best, at_hand = np.inf, False
            if decay:
                _vector(w, np.int64(THETA), np.int64(BASE), qt * k)
                count = _one_more_rate(
                    part, n_held, grid, grid_theta, sw, rows, m, w, index, own_ch, picks
                )
                k += 1
                part = _stage(spec, k)
            else:
                if residual == 0:  # of the terms at hand, just evaluated
                    residual = part[3] + 1
                    _vector(w, np.int64(THETA), np.int64(BASE), qt * k)
                    k += 1
                part = _stage(spec, k)
                count = _one_more_peak(
                    part, k - 1, box, held, n_held, residual, axis, sw, white, rows, m,
                    4 if terms > 1 else 2, picks, weight, signal, score, w,
                )  # fmt: skip
                residual = 0
            if k > 1:
                _lay_out(part, axis, sw, y, white, rows, m, w)
            stage, steps, keep = _GROW, MAX_STEPS, True
            continue
        if stage == _FIRST and _doubtful(part, box, held, converged, w, index):
            if not own_is_ready:
                _own_chart(part, grid, grid_theta.shape[0], sw, rows, m, own_ch)
            if k == 2:
                # The chart alone is not enough: where photons abound, a pair of neighbours mimics
                # one rate between them so much better than the nearest grid rate with its true
                # companion does, that the latter is no maximum of the chart.
                w[VECTOR, BASE, 0] = w[START, 0, 0] = _anchor(w)
                part = _stage(spec, np.int64(1))
                _lay_out(part, axis, sw, y, white, rows, m, w)
                count, stage, steps, keep = 1, _BESIDE, 0, False
            else:
                count = _more_decay(part, held, grid_theta, own_ch, picks, tried, w)
                stage = _MORE
            continue
        if k == terms and at_hand:
            twin = _twins(part, box, held, n_held, w, index) if twin == -2 else -1
            if twin < 0:
                break
            part = _stage(spec, k - 1)
            _lay_out(part, axis, sw, y, white, rows, m, w)
            for j in range(k - 1):
                w[START, 0, j] = w[VECTOR, BASE, j]
            count, stage, steps, keep = 1, _ONE_LESS, MAX_STEPS, False
            continue
        count, steps, keep = 1, 0, False
        for j in range(qt * k):
            w[START, 0, j] = w[VECTOR, THETA, j]
        stage = _SETTLE if k == terms else _FEWER
        if k < terms:
            part = _stage(spec, k)
            _lay_out(part, axis, sw, y, white, rows, m, w)
    return best, evaluations, converged


@_njit(_EXACT)
def _load(ys, sigmas, row, m, mode, gain, floor, y, sw):
    """Data of a row with zeros in the gaps, and 1/σ; returns the number of points."""
    points = 0
    at = row if sigmas.shape[0] > 1 else 0
    if mode == 1:
        for i in range(m):
            v, s = ys[row, i], sigmas[at, i]
            good = (v - v == 0.0) and s > 0.0 and (s - s == 0.0)
            y[i] = v if good else 0.0
            sw[i] = 1.0 / s if good else 0.0
            points += 1 if good else 0
        return points
    for i in range(m):
        v = ys[row, i]
        good = v - v == 0.0
        y[i] = v if good else 0.0
        sw[i] = 1.0 if good else 0.0
        points += 1 if good else 0
    if mode == 2:
        for i in range(m):
            sw[i] = sw[i] / math.sqrt(gain * max(y[i], gain) + floor)
    return points


@_njit(_EXACT)
def _reweight(spec, rows, sw, m, gain, least, floor, w):
    """1/σ of a row from its model: variance = gain · expected + floor."""
    p = spec[3]
    for k in range(m):
        rows[p + 1, k] = 0.0
    for i in range(p):
        a = w[VECTOR, A, i]
        for k in range(m):
            rows[p + 1, k] += a * rows[i, k]
    for k in range(m):
        s = sw[k]
        f = rows[p + 1, k] / s if s > 0.0 else 0.0
        v = gain * max(f, least) + floor
        sw[k] = 1.0 / math.sqrt(v) if s > 0.0 else 0.0


@_njit(_EXACT)
def _order(spec, w, index):
    """PLACE of every term in the report: falling rates, rising centres."""
    terms, qt = spec[1], spec[4]
    for t in range(terms):
        rank = 0
        for u in range(terms):
            x, v = w[VECTOR, THETA, qt * u], w[VECTOR, THETA, qt * t]
            if spec[0] == EXPONENTIAL:
                x, v = -x, -v
            first = u < t
            if spec[0] == EXPONENTIAL and (w[VECTOR, A, u] == 0.0) != (w[VECTOR, A, t] == 0.0):
                first = w[VECTOR, A, u] != 0.0  # of equal rates that of amplitude zero comes last
            if x < v or (x == v and first):
                rank += 1
        index[PLACE, t] = rank


@_entry
def fit_rows(
    axis, m, ys, sigmas, noise, floors, spec, pixel, box, held, held_values, n_held, sort, grid,
    grid_theta, shared_weight, places, values, covariance, chi2s, constants, nfevs, points, codes,
):  # fmt: skip
    """Fit every row of ``ys``; fills the last seven arrays.

    Parameters
    ----------
    axis : array, shape (4, padded points)
        x, ln x, x scaled to (−1, 1); then middle and half the width of the axis, the unit of peak
        widths, first point and step. Points from ``m`` on have no weight.
    sigmas : array, shape (rows or 1, points) or (0, 0)
        One σ of every point.
    noise : tuple
        Mode (0 unit weights, 1 σ, 2 Poisson), gain, least expected signal, rounds, and the
        predicted fall of χ², relative to χ², at which a search ends.
    floors : array, shape (rows or 1,)
        Variance that does not follow from the model.
    spec : tuple of int
        See the top of this module.
    box : array, shape (3, non-linear parameters)
        Lower and upper limits, and the longest step.
    held, held_values : arrays
        What is held, and its values: shape (rows or 1, non-linear parameters).
    n_held : int
        Terms at the front whose parameters are all held.
    grid, grid_theta : arrays
        Columns on the starting grid and their parameters; empty for peaks.
    shared_weight : array
        1/σ along the axis as rows have it on average.
    places : array of int
        Place of each term in the report.
    """
    mode, gain, least, rounds, close = noise
    mp = axis.shape[1]
    p, q, nb_ = spec[3], spec[5], spec[7]
    count = grid_theta.shape[0]
    size = count + nb_ if count > 0 else 0
    wide = mp + 16  # so that rows do not fall on the same lines of the cache
    rows = np.zeros((SIZE + size, wide))
    w, index = np.zeros((LAYERS, 24, 20)), np.zeros((8, 24), np.int64)
    y, sw, white = np.zeros(mp), np.zeros(mp), np.zeros(mp)
    picks, line = np.zeros((MAX_CANDIDATES, 3)), np.zeros(size + 8)
    weight, signal, score = np.zeros(80), np.zeros(80), np.zeros(80)
    own_ch, shared_ch = np.zeros((8, size + 8, size + 8)), np.zeros((8, size + 8, size + 8))
    shared = np.zeros((size + 2, wide))
    if count > 0:
        for g in range(count):
            for k in range(m):
                shared[g, k] = grid[g, k] * shared_weight[k]
        for k in range(m):
            if nb_ > 0:
                shared[count, k] = shared_weight[k]
            if nb_ > 1:
                shared[count + 1, k] = shared_weight[k] * axis[2, k]
            shared[size, k] = shared_weight[k]
        _products(
            shared,
            np.int64(0),
            size,
            np.int64(0),
            size,
            mp,
            shared_ch,
            np.int64(C_GRAM),
            np.int64(0),
        )
        _prepare_chart(shared_ch, count, nb_, True, spec[1] > 1)
    free = p
    for j in range(q):
        free += 0 if held[j] else 1
    for t in range(spec[1]):
        index[PLACE, t] = places[t]
    for row in range(ys.shape[0]):
        floor = floors[row if floors.size > 1 else 0]
        n = _load(ys, sigmas, row, m, mode, gain, floor, y, sw)
        points[row] = n
        if n < free:
            codes[row] = TOO_FEW if n > 0 else NO_POINTS
            continue
        at = row if held_values.shape[0] > 1 else 0
        for j in range(q):
            if held[j]:
                w[VECTOR, THETA, j] = held_values[at, j]
        limit = float(n) if mode > 0 else np.inf
        chi2, total, converged = 0.0, 0, False
        for r in range(rounds):
            if r > 0:
                _reweight(spec, rows, sw, m, gain, least, floor, w)
            chi2, nfev, converged = _fit_row(
                spec, r == 0, pixel, axis, sw, y, white, box, held, n_held, rows, mp, close, limit,
                grid, grid_theta, shared, shared_ch, own_ch, line, weight, signal, score, picks, w, index,
            )  # fmt: skip
            total += nfev
            if r > 0 and nfev <= 1:
                break
        if sort:
            _order(spec, w, index)
        _report(spec, axis, held, w, index, row, values, covariance)
        chi2s[row], nfevs[row] = chi2, total
        constants[row] = _constant(sw, y, mp)
        codes[row] = CONVERGED if converged else NOT_CONVERGED


@_entry
def shared_rows(
    axis, m, ys, sigmas, spec, pixel, sort, places, group, theta, total, last, hess, grad, chi2s,
    models, values, covariance, constants, points, codes,
):  # fmt: skip
    """χ² of every row at the shape parameters of its group, and what it says of their next step.

    Parameters
    ----------
    axis, m, ys, sigmas, spec, pixel, sort, places
        As for :func:`fit_rows`; without any σ all points count alike.
    group : array of int
        Group of every row.
    theta : array, shape (groups, non-linear parameters)
        Where to evaluate.
    total : array, shape (groups, non-linear parameters, the same)
        Sum of ``hess`` over all rows of each group; needed with ``last``.
    last : bool
        True fills ``models`` … ``covariance`` too.
    hess, grad : arrays
        Receive the sums over these rows: normal equations, amplitudes projected out.
    chi2s, models, values, covariance, constants, points, codes
        Receive what there is of every row.
    """
    mp = axis.shape[1]
    p, q = spec[3], spec[5]
    rows = np.zeros((SIZE, mp + 16))
    w, index = np.zeros((LAYERS, 24, 20)), np.zeros((8, 24), np.int64)
    y, sw, white = np.zeros(mp), np.zeros(mp), np.zeros(mp)
    for t in range(spec[1]):
        index[PLACE, t] = places[t]
    mode = np.int64(1 if sigmas.shape[0] > 0 else 0)
    for row in range(ys.shape[0]):
        g = group[row]
        n = _load(ys, sigmas, row, m, mode, 1.0, 0.0, y, sw)
        points[row] = n
        if n < p:
            codes[row] = TOO_FEW if n > 0 else NO_POINTS
            continue
        for j in range(q):
            w[VECTOR, TRIAL, j] = w[VECTOR, MOVING, j] = w[VECTOR, THETA, j] = theta[g, j]
        _lay_out(spec, axis, sw, y, white, rows, mp, w)
        chi2s[row], live = _evaluate(
            spec, pixel, axis, white, rows, mp, np.int64(0), w, index
        )  # fmt: skip
        _vector(w, np.int64(A_NEW), np.int64(A_TRY), p)
        _project(spec, pixel, axis, white, rows, mp, live, w, index)
        for j in range(q):
            grad[g, j] += w[VECTOR, GRAD, j]
            for k in range(q):
                hess[g, j, k] += w[HESS, j, k]
        if last:
            for i in range(m):
                models[row, i] = (rows[p, i] - rows[p + 1, i]) / sw[i] if sw[i] > 0.0 else np.nan
            _vector(w, np.int64(A_NEW), np.int64(A), p)
            if sort:
                _order(spec, w, index)
            _report_shared(spec, axis, total[g], w, index, row, values, covariance)
            constants[row] = _constant(sw, y, mp)


@_njit(_SUMS)
def _constant(sw, y, m):
    """χ² of the best constant."""
    s = u = v = 0.0
    for k in range(m):
        f = sw[k] * sw[k]
        s += f
        u += f * y[k]
    # From residuals: the difference of two sums would lose digits.
    mean = u / s
    for k in range(m):
        d = sw[k] * (y[k] - mean)
        v += d * d
    return v
