"""Compiled steps of separable fits; see :mod:`plkit.physics.separable`.

Everything is whitened: columns and data are multiplied by 1/σ, so that sums of products need no
weights. One array ``rows`` holds, one below the other, the columns of the linear parameters (terms,
then background), the data, the residuals and the derivatives by the non-linear parameters. A step
forms the products of these rows, eight at a time, and works on small matrices from there on.

The integers of a problem travel as the tuple ``spec``::

    family, terms, columns of terms, columns, non-linear parameters per term, non-linear parameters,
    bits of the columns that are not negative, background columns, sign of the terms

All kernels stand in one file, long as it is: numba's cache on disk notices a change only in the
file of the function that was cached, never in those that it calls. This module imports numba;
import it inside the function that needs it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba as nb
import numpy as np
from numba.core import types
from numba.extending import intrinsic

__all__ = ["evaluate_group", "fit_rows"]

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
MAX_CANDIDATES: Final = 6
DEPENDENT: Final = 1e-11
"""Share of a column that others leave over, below which it counts as their combination."""
TOLERANCE: Final = 1e-6
"""Predicted fall of χ², relative to χ², at which the last step is taken without looking back."""
EDGE: Final = 1e-9

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


def _njit(fastmath: set[str]) -> Callable[[_F], _F]:
    """Compile without the GIL, cached on disk where a folder can be written."""

    def decorate(function: _F) -> _F:
        options: dict[str, Any] = {"fastmath": fastmath, "error_model": "numpy", "nogil": True}
        try:
            compiled = nb.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder for its cache
            compiled = nb.njit(**options)(function)
        return compiled  # type: ignore[no-any-return]

    return decorate


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
def _products(rows, r0, r1, c0, c1, m, out):
    """out[i, j] = rows[i]·rows[j] for r0 ≤ i < r1, c0 ≤ j < c1; of a square the upper triangle."""
    for i in range(r0, r1, 2):
        i1 = min(i + 1, r1 - 1)
        for j in range(c0, c1, 4):
            j1, j2, j3 = min(j + 1, c1 - 1), min(j + 2, c1 - 1), min(j + 3, c1 - 1)
            if c0 == r0 and j3 < i:
                continue
            a0, a1, a2, a3, b0, b1, b2, b3 = _eight(rows, i, i1, j, j1, j2, j3, m)
            out[i, j], out[i, j1], out[i, j2], out[i, j3] = a0, a1, a2, a3
            out[i1, j], out[i1, j1], out[i1, j2], out[i1, j3] = b0, b1, b2, b3


@_njit(_SUMS)
def _dot(a, i, b, j, m):
    s = 0.0
    for k in range(m):
        s += a[i, k] * b[j, k]
    return s


@_njit(_SUMS)
def _residuals(rows, p, a, m):
    """Row p + 1 becomes row p (the data) minus the model; returns the sum of its squares."""
    y, r = p, p + 1
    s = 0.0
    if p == 2:
        a0, a1 = a[0], a[1]
        for k in range(m):
            v = rows[y, k] - a0 * rows[0, k] - a1 * rows[1, k]
            rows[r, k] = v
            s += v * v
        return s
    if p == 3:
        a0, a1, a2 = a[0], a[1], a[2]
        for k in range(m):
            v = rows[y, k] - a0 * rows[0, k] - a1 * rows[1, k] - a2 * rows[2, k]
            rows[r, k] = v
            s += v * v
        return s
    for k in range(m):
        rows[r, k] = rows[y, k]
    for i in range(p):
        ai = a[i]
        for k in range(m):
            rows[r, k] -= ai * rows[i, k]
    for k in range(m):
        s += rows[r, k] * rows[r, k]
    return s


# Columns and their derivatives --------------------------------------------------------------------


@_njit(_EXACT)
def _columns(spec, pixel, axis, white, theta, rows, m):
    """Whitened columns of all terms; ``axis`` holds x and ln x, ``white`` signed 1/σ."""
    family, terms, qt = spec[0], spec[1], spec[4]
    for j in range(terms):
        p0 = theta[qt * j]
        if family == EXPONENTIAL:
            k0 = -math.exp(p0)
            for i in range(m):
                rows[j, i] = white[i] * _exp(k0 * axis[0, i])
            continue
        p1 = theta[qt * j + 1]
        if family == STRETCHED:
            for i in range(m):
                rows[j, i] = white[i] * _exp(-_exp(p1 * (p0 + axis[1, i])))
        elif family == GAUSSIAN:
            g = -4.0 * _LN2 * math.exp(-2.0 * p1)
            for i in range(m):
                d = axis[0, i] - p0
                rows[j, i] = white[i] * _exp(g * d * d)
        elif family == LORENTZIAN:
            g = 4.0 * math.exp(-2.0 * p1)
            for i in range(m):
                d = axis[0, i] - p0
                rows[j, i] = white[i] / (1.0 + g * d * d)
        elif family == PSEUDO_VOIGT:
            g = 4.0 * math.exp(-2.0 * p1)
            for i in range(m):
                d = axis[0, i] - p0
                u = g * d * d
                rows[2 * j, i] = white[i] * _exp(-_LN2 * u)
                rows[2 * j + 1, i] = white[i] / (1.0 + u)
        elif family == PSEUDO_VOIGT_MIX:
            g = 4.0 * math.exp(-2.0 * p1)
            share = _height_share(theta[qt * j + 2])
            for i in range(m):
                d = axis[0, i] - p0
                u = g * d * d
                rows[j, i] = white[i] * ((1.0 - share) * _exp(-_LN2 * u) + share / (1.0 + u))
        elif family == ASYMMETRIC:
            b = _not_zero(theta[qt * j + 2])
            g = 2.0 * math.sinh(b) * math.exp(-p1)
            for i in range(m):
                u = g * (axis[0, i] - p0)
                inside = u > -1.0 + 1e-12
                z = _log1p(u if inside else 0.0) / b
                rows[j, i] = white[i] * _exp(-_LN2 * z * z) if inside else 0.0
        else:
            s = math.exp(p1)
            f = 1.0 / (math.sqrt(2.0) * s)
            c = math.sqrt(0.5 * math.pi) * s / pixel
            for i in range(m):
                d = axis[0, i] - p0
                rows[j, i] = white[i] * c * _erf_between(
                    f * (d - 0.5 * pixel), f * (d + 0.5 * pixel)
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
def _derivatives(spec, pixel, axis, white, theta, a, rows, m):
    """Rows p + 2 …: derivatives of the whitened model by the non-linear parameters."""
    family, terms, qt = spec[0], spec[1], spec[4]
    first = spec[3] + 2
    for j in range(terms):
        t = first + qt * j
        p0 = theta[qt * j]
        if family == EXPONENTIAL:
            k0 = -a[j] * math.exp(p0)
            for i in range(m):
                rows[t, i] = k0 * axis[0, i] * rows[j, i]
            continue
        p1 = theta[qt * j + 1]
        if family == STRETCHED:
            aj = a[j]
            for i in range(m):
                v = p0 + axis[1, i]
                d = -aj * _exp(p1 * v) * rows[j, i]
                rows[t, i] = p1 * d
                rows[t + 1, i] = v * d
        elif family == GAUSSIAN:
            g = 8.0 * _LN2 * math.exp(-2.0 * p1)
            ag = a[j] * g
            for i in range(m):
                d = axis[0, i] - p0
                v = ag * d * rows[j, i]
                rows[t, i] = v
                rows[t + 1, i] = d * v
        elif family == LORENTZIAN:
            g = 4.0 * math.exp(-2.0 * p1)
            ag = 2.0 * g * a[j]
            for i in range(m):
                d = axis[0, i] - p0
                v = ag * d * rows[j, i] / (1.0 + g * d * d)
                rows[t, i] = v
                rows[t + 1, i] = d * v
        elif family == PSEUDO_VOIGT:
            g = 4.0 * math.exp(-2.0 * p1)
            ag, al = 2.0 * g * _LN2 * a[2 * j], 2.0 * g * a[2 * j + 1]
            for i in range(m):
                d = axis[0, i] - p0
                v = d * (ag * rows[2 * j, i] + al * rows[2 * j + 1, i] / (1.0 + g * d * d))
                rows[t, i] = v
                rows[t + 1, i] = d * v
        elif family == PSEUDO_VOIGT_MIX:
            g = 4.0 * math.exp(-2.0 * p1)
            eta = theta[qt * j + 2]
            share = _height_share(eta)
            step = 1e-6
            slope = (_height_share(eta + step) - _height_share(eta - step)) / (2.0 * step)
            aj = a[j]
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
            b = _not_zero(theta[qt * j + 2])
            width = math.exp(-p1)
            g, h = 2.0 * math.sinh(b), 2.0 * math.cosh(b)
            aj = -2.0 * _LN2 * a[j]
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
            s = math.exp(p1)
            for i in range(m):
                d = axis[0, i] - p0
                lower, upper = (d - 0.5 * pixel) / s, (d + 0.5 * pixel) / s
                el, eu = _exp(-0.5 * lower * lower), _exp(-0.5 * upper * upper)
                scale = a[j] * white[i] / pixel
                rows[t, i] = scale * (el - eu)
                rows[t + 1, i] = a[j] * rows[j, i] + scale * s * (lower * el - upper * eu)


# Small dense algebra ------------------------------------------------------------------------------


@_njit(_EXACT)
def _cholesky(gram, index, n, factor):
    """Factor rows and columns ``index[:n]``; the diagonal holds reciprocals. False if singular."""
    for i in range(n):
        ii = index[i]
        for j in range(i):
            s = gram[index[j], ii]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            factor[i, j] = s * factor[j, j]
        whole = gram[ii, ii]
        s = whole
        for k in range(i):
            s -= factor[i, k] * factor[i, k]
        if not s > DEPENDENT * whole:
            return False
        factor[i, i] = 1.0 / math.sqrt(s)
    return True


@_njit(_EXACT)
def _amplitudes(gram, p, bits, index, factor, a):
    """Minimise ½ aᵀGa − hᵀa, h in column p, with the columns of ``bits`` ≥ 0.

    Returns the number of live columns, which are in ``index``; their factor is in ``factor``.
    The minimum lies on one support, where it is the free minimum. Among the supports whose free
    minimum is feasible it is the one with the largest hᵀa.
    """
    full = (1 << p) - 1
    n = _on_support(gram, p, full, index, factor, a)
    support = full
    if n > 0:
        for i in range(p):
            if (bits >> i) & 1 and a[i] < 0.0:
                support &= ~(1 << i)
        if support == full:
            return n
        # Without those below zero: the solution if no slope at zero points inwards.
        n = _on_support(gram, p, support, index, factor, a)
        if n >= 0 and _feasible(a, p, bits):
            good = True
            for i in range(p):
                if not (support >> i) & 1:
                    slope = gram[i, p]
                    for j in range(p):
                        slope -= gram[min(i, j), max(i, j)] * a[j]
                    good = good and slope <= 0.0
            if good:
                return n
    best, gain = -1, -1.0
    free = full & ~bits
    for trial in range(full, -1, -1):
        if (trial & free) != free:
            continue
        n = _on_support(gram, p, trial, index, factor, a)
        if n < 0 or not _feasible(a, p, bits):
            continue
        value = 0.0
        for i in range(p):
            value += a[i] * gram[i, p]
        if value > gain:
            best, gain = trial, value
    if best < 0:  # free columns that depend on each other
        for i in range(p):
            a[i] = 0.0
        return 0
    return _on_support(gram, p, best, index, factor, a)


@_njit(_EXACT)
def _feasible(a, p, bits):
    good = True
    for i in range(p):
        if (bits >> i) & 1 and a[i] < 0.0:
            good = False
    return good


@_njit(_EXACT)
def _on_support(gram, p, support, index, factor, a):
    n = 0
    for i in range(p):
        a[i] = 0.0
        if (support >> i) & 1:
            index[n] = i
            n += 1
    if not _cholesky(gram, index, n, factor):
        return -1
    for i in range(n):
        v = gram[index[i], p]
        for k in range(i):
            v -= factor[i, k] * a[index[k]]
        a[index[i]] = v * factor[i, i]
    for i in range(n - 1, -1, -1):
        v = a[index[i]]
        for k in range(i + 1, n):
            v -= factor[k, i] * a[index[k]]
        a[index[i]] = v * factor[i, i]
    return n


# One evaluation, one derivative, one search -------------------------------------------------------


@_njit(_EXACT)
def _evaluate(spec, pixel, axis, white, theta, rows, m, gram, index, factor, a):
    """χ² with the best amplitudes; returns it and the number of live columns."""
    columns, p = spec[2], spec[3]
    _columns(spec, pixel, axis, white, theta, rows, m)
    _products(rows, 0, columns, 0, p + 1, m, gram)
    n = _amplitudes(gram, p, spec[6], index, factor, a)
    return _residuals(rows, p, a, m), n


@_njit(_EXACT)
def _project(spec, pixel, axis, white, theta, rows, m, a, n, index, factor, slopes, hess, grad, lift):
    """Kaufman's normal equations: ``hess`` and the downhill vector ``grad``.

    ``slopes`` gets the products of the derivatives with all rows, ``lift`` what of the derivatives
    the live columns can take over, in the basis of ``factor``.
    """
    p, q = spec[3], spec[5]
    d0 = p + 2
    _derivatives(spec, pixel, axis, white, theta, a, rows, m)
    _products(rows, d0, d0 + q, 0, d0 + q, m, slopes)
    for j in range(q):
        for i in range(n):
            v = slopes[d0 + j, index[i]]
            for k in range(i):
                v -= factor[i, k] * lift[j, k]
            lift[j, i] = v * factor[i, i]
        grad[j] = slopes[d0 + j, p + 1]
    for j in range(q):
        for k in range(j, q):
            v = slopes[d0 + j, d0 + k]
            for i in range(n):
                v -= lift[j, i] * lift[k, i]
            hess[j, k] = hess[k, j] = v
        # What rounding leaves of a derivative that the columns take over is no information.
        if not hess[j, j] > DEPENDENT * slopes[d0 + j, d0 + j]:
            hess[j, j] = 0.0


@_njit(_EXACT)
def _direction(hess, grad, theta, box, held, q, damping, step, order, factor):
    """Damped step that respects the box; True where anything is free to move.

    ``box`` holds lower and upper limits, and the longest step. The step is shortened as a whole:
    a bent one can point uphill. Returns the factor by which it was shortened, 0 if nothing moves,
    −1 if the equations are singular.
    """
    pinned = 0
    for j in range(q):
        out = (theta[j] <= box[0, j] + EDGE * box[2, j] and grad[j] <= 0.0) or (
            theta[j] >= box[1, j] - EDGE * box[2, j] and grad[j] >= 0.0
        )
        if held[j] or out or not hess[j, j] > 0.0:
            pinned |= 1 << j
    for _ in range(q + 1):
        n = 0
        for j in range(q):
            step[j] = 0.0
            if not (pinned >> j) & 1:
                order[n] = j
                n += 1
        if n == 0:
            return 0.0
        for i in range(n):
            ii = order[i]
            for j in range(i):
                s = hess[ii, order[j]]
                for k in range(j):
                    s -= factor[i, k] * factor[j, k]
                factor[i, j] = s * factor[j, j]
            s = hess[ii, ii] * (1.0 + damping)
            for k in range(i):
                s -= factor[i, k] * factor[i, k]
            if not s > 1e-14 * hess[ii, ii]:
                return -1.0
            factor[i, i] = 1.0 / math.sqrt(s)
        for i in range(n):
            v = grad[order[i]]
            for k in range(i):
                v -= factor[i, k] * step[order[k]]
            step[order[i]] = v * factor[i, i]
        for i in range(n - 1, -1, -1):
            v = step[order[i]]
            for k in range(i + 1, n):
                v -= factor[k, i] * step[order[k]]
            step[order[i]] = v * factor[i, i]
        # Coupling can push a parameter out of the box although its own slope points inwards.
        more = False
        for j in range(q):
            if not (pinned >> j) & 1 and (
                (theta[j] <= box[0, j] + EDGE * box[2, j] and step[j] < 0.0)
                or (theta[j] >= box[1, j] - EDGE * box[2, j] and step[j] > 0.0)
            ):
                pinned |= 1 << j
                more = True
        if not more:
            break
    scale = 1.0
    for j in range(q):
        size = abs(step[j])
        if size > 0.0:
            room = box[1, j] - theta[j] if step[j] > 0.0 else theta[j] - box[0, j]
            scale = min(scale, min(box[2, j], room) / size)
    for j in range(q):
        step[j] *= scale
    return scale


@_njit(_EXACT)
def _search(
    spec, pixel, axis, white, theta, box, held, rows, m, limit, rival, small, a, gram,
    slopes, index,
):  # fmt: skip
    """Levenberg–Marquardt from ``theta``, which is moved; amplitudes in ``a``.

    ``limit`` is the χ² above which the tolerance no longer grows with it; a search that will not
    end below ``rival`` is given up. ``small`` is scratch.
    Returns χ², evaluations, whether it converged, and the number of live columns, and leaves the
    products of columns and of derivatives in ``gram`` and ``slopes``.
    """
    p, q = spec[3], spec[5]
    factor, hess, lift, factor_q = small[0], small[1], small[2], small[3]
    grad, step, trial, a_new = small[4, 0], small[4, 1], small[4, 2], small[4, 3]
    order = index[1]
    live = index[0]
    chi2, n = _evaluate(spec, pixel, axis, white, theta, rows, m, gram, live, factor, a)
    nfev = 1
    _project(
        spec, pixel, axis, white, theta, rows, m, a, n, live, factor, slopes, hess, grad, lift
    )
    damping, converged, stale = 1e-4, False, False
    floor = 1e-27 * gram[p, p]
    for _ in range(MAX_STEPS):
        scale = _direction(hess, grad, theta, box, held, q, damping, step, order, factor_q)
        if scale == 0.0:
            converged = True
            break
        if scale < 0.0:
            damping = max(damping * 10.0, 1e-3)
            if damping > 1e12:
                break
            continue
        predicted = 0.0
        for j in range(q):
            v = 2.0 * grad[j]
            for k in range(q):
                v -= hess[j, k] * step[k]
            predicted += v * step[j]
        tolerance = TOLERANCE * min(chi2, limit) + floor
        if predicted <= tolerance and damping <= 1e-2 and scale == 1.0:
            # The last step is so short that the linear model stands for the evaluation.
            if not stale:
                for i in range(n - 1, -1, -1):
                    v = 0.0
                    for j in range(q):
                        v += lift[j, i] * step[j]
                    for k in range(i + 1, n):
                        v -= factor[k, i] * a_new[k]
                    a_new[i] = v * factor[i, i]
                good = True
                for i in range(n):
                    c = live[i]
                    good = good and (not (spec[6] >> c) & 1 or a[c] >= a_new[i])
                if good:
                    for i in range(n):
                        a[live[i]] -= a_new[i]
                    for j in range(q):
                        theta[j] += step[j]
                    chi2 = max(chi2 - predicted, 0.0)
            converged = True
            break
        if chi2 - 2.0 * predicted > rival and damping <= 1e-2 and scale == 1.0:
            break
        for j in range(q):
            trial[j] = min(max(theta[j] + step[j], box[0, j]), box[1, j])
        chi2_new, n_new = _evaluate(
            spec, pixel, axis, white, trial, rows, m, gram, live, factor, a_new
        )
        nfev += 1
        if chi2_new < chi2:
            gain = (chi2 - chi2_new) / max(predicted, 1e-300)
            chi2, n, stale = chi2_new, n_new, False
            for j in range(q):
                theta[j] = trial[j]
            for i in range(p):
                a[i] = a_new[i]
            _project(
                spec, pixel, axis, white, theta, rows, m, a, n, live, factor, slopes, hess, grad,
                lift,
            )  # fmt: skip
            damping = max(damping * 0.1, 1e-12) if gain > 0.25 else min(damping * 4.0, 1e8)
        else:
            stale = True
            if predicted <= 4.0 * tolerance + 1e-25 * gram[p, p]:
                converged = True
                break
            damping = max(damping * 10.0, 1e-3)
            if damping > 1e12:
                break
    if stale:
        chi2, n = _evaluate(spec, pixel, axis, white, theta, rows, m, gram, live, factor, a)
        _project(
            spec, pixel, axis, white, theta, rows, m, a, n, live, factor, slopes, hess, grad, lift
        )
        nfev += 1
    return chi2, nfev, converged, n


# From internal to reported parameters -------------------------------------------------------------


@_njit(_EXACT)
def _invert(full, live, n, factor, out):
    """Inverse over the live rows and columns after scaling to a unit diagonal; False if singular."""
    c = 0
    for i in range(n):
        if live[i] == 1:
            live[n + c] = i
            c += 1
    for i in range(c):
        ii = live[n + i]
        if not full[ii, ii] > 0.0:
            return False
        out[n, i] = 1.0 / math.sqrt(full[ii, ii])
    for i in range(c):
        ii = live[n + i]
        for j in range(i + 1):
            v = full[live[n + j], ii] * out[n, i] * out[n, j]
            for k in range(j):
                v -= factor[i, k] * factor[j, k]
            if i == j:
                if not v > 1e-13:
                    return False
                factor[i, i] = 1.0 / math.sqrt(v)
            else:
                factor[i, j] = v * factor[j, j]
    # Inverse of the factor, in its upper triangle (transposed).
    for i in range(c):
        for j in range(i):
            v = factor[i, j] * factor[j, j]
            for k in range(j + 1, i):
                v += factor[i, k] * factor[j, k]
            factor[j, i] = -v * factor[i, i]
    for i in range(c):
        ii = live[n + i]
        for j in range(i, c):
            v = (factor[i, j] if j > i else factor[j, j]) * factor[j, j]
            for k in range(j + 1, c):
                v += factor[i, k] * factor[j, k]
            jj = live[n + j]
            out[ii, jj] = out[jj, ii] = v * out[n, i] * out[n, j]
    return True


@_njit(_EXACT)
def _information(spec, a, held, gram, slopes, full, live):
    """Normal matrix in amplitudes, then non-linear parameters; marks what can have a σ."""
    p, q, per_term = spec[3], spec[5], spec[2] // spec[1]
    d0 = p + 2
    for i in range(p):
        live[i] = 1
        for j in range(i, p):
            full[i, j] = gram[i, j]
        for j in range(q):
            full[i, p + j] = slopes[d0 + j, i]
    for j in range(q):
        for k in range(j, q):
            full[p + j, p + k] = slopes[d0 + j, d0 + k]
        term = j // spec[4]
        alive = False
        for c in range(per_term * term, per_term * (term + 1)):
            alive = alive or a[c] != 0.0
        live[p + j] = 1 if alive and not held[j] else 0


@_njit(_EXACT)
def _report(spec, origin, slot, theta, a, held, gram, slopes, full, live, factor, inv, values, cov):
    """Values and covariance in reported parameters; True where the covariance exists.

    ``origin`` holds the middle of the axis, half its width, and the unit of peak widths; ``slot`` the place of each term.
    """
    family, terms, columns, p, qt, q = spec[0], spec[1], spec[2], spec[3], spec[4], spec[5]
    n, sign = p + q, float(spec[8])
    _information(spec, a, held, gram, slopes, full, live)
    good = _invert(full, live, n, factor, inv)
    if not good:  # without the columns that are at zero
        dead = False
        for i in range(p):
            if a[i] == 0.0:
                live[i] = 0
                dead = True
        good = dead and _invert(full, live, n, factor, inv)
    per = qt + 1 + (1 if family == PSEUDO_VOIGT else 0)  # reported parameters per term
    last = per * terms
    size = last + p - columns
    # Every internal parameter moves one or two reported ones: places and derivatives.
    to0, to1 = live[2 * n : 3 * n], live[3 * n : 4 * n]
    by0, by1 = factor[SIZE], factor[SIZE + 1]
    for i in range(n):
        by1[i], to1[i] = 0.0, 0
    for t in range(terms):
        base = per * slot[t]
        if family == PSEUDO_VOIGT:
            hg, hl = a[2 * t], a[2 * t + 1]
            cg, cl = 0.5 * math.sqrt(math.pi / _LN2), 0.5 * math.pi
            area = cg * hg + cl * hl
            values[base] = sign * (hg + hl)
            values[base + 3] = cl * hl / area if area > 0.0 else 0.5
            square = cg * cl / (area * area) if area > 0.0 else np.nan
            for c, slope in ((2 * t, -hl * square), (2 * t + 1, hg * square)):
                to0[c], by0[c], to1[c], by1[c] = base, sign, base + 3, slope
        else:
            values[base] = sign * a[t]
            to0[t], by0[t] = base, sign
        for j in range(qt):
            c = p + qt * t + j
            v = theta[qt * t + j]
            to0[c] = base + 1 + j
            if (j == 0 and family <= STRETCHED) or (j == 1 and family >= GAUSSIAN):
                # rates and widths are searched as logarithms
                values[to0[c]] = math.exp(v) * (origin[2] if family >= GAUSSIAN else 1.0)
                by0[c] = values[to0[c]]
            else:
                values[to0[c]] = v
                by0[c] = 1.0
    if p > columns:
        c = columns
        values[last] = a[c]
        to0[c], by0[c] = last, 1.0
        if p > columns + 1:
            c += 1
            values[last + 1] = a[c] / origin[1]
            values[last] -= a[c] * origin[0] / origin[1]
            to0[c], by0[c] = last + 1, 1.0 / origin[1]
            to1[c], by1[c] = last, -origin[0] / origin[1]
    for i in range(size):
        for j in range(size):
            cov[i, j] = 0.0 if good else np.nan
    if not good:
        for j in range(q):
            if held[j]:
                for i in range(size):
                    cov[to0[p + j], i] = cov[i, to0[p + j]] = 0.0
        return False
    for i in range(n):
        if live[i] == 0:
            if i < p or not held[i - p]:
                for k in range(size):
                    cov[to0[i], k] = cov[k, to0[i]] = np.nan
            continue
        for j in range(n):
            if live[j] == 0:
                continue
            v = inv[i, j]
            cov[to0[i], to0[j]] += by0[i] * by0[j] * v
            if by1[i] != 0.0:
                cov[to1[i], to0[j]] += by1[i] * by0[j] * v
            if by1[j] != 0.0:
                cov[to0[i], to1[j]] += by0[i] * by1[j] * v
                if by1[i] != 0.0:
                    cov[to1[i], to1[j]] += by1[i] * by1[j] * v
    return True


# Starts -------------------------------------------------------------------------------------------


@_njit(_EXACT)
def _lay_out(spec, axis, sw, y, white, rows, m, gram):
    """Write what does not depend on the non-linear parameters: background, data, their products."""
    columns, p = spec[2], spec[3]
    sign = float(spec[8])
    for i in range(m):
        white[i] = sign * sw[i]
        rows[p, i] = sw[i] * y[i]
    if p > columns:
        for i in range(m):
            rows[columns, i] = sw[i]
    if p > columns + 1:
        for i in range(m):
            rows[columns + 1, i] = sw[i] * axis[2, i]
    _products(rows, columns, p + 1, columns, p + 1, m, gram)


@_njit(_EXACT)
def _background(spec, rows, m, gram, index, factor, a):
    """χ² of the background alone; residuals of it in row p + 1."""
    columns, p = spec[2], spec[3]
    for i in range(columns):
        for j in range(p + 1):
            gram[i, j] = 0.0
        for k in range(m):
            rows[i, k] = 0.0
    # Columns of zeros are singular: work on the rest, moved to the front.
    nb_ = p - columns
    for i in range(nb_):
        for j in range(i, nb_ + 1):
            factor[20 + i, j] = gram[columns + i, columns + j]
    if nb_ > 0:
        small = factor[20:]
        _amplitudes(small, nb_, spec[6] >> columns, index, factor, a)
        for i in range(nb_ - 1, -1, -1):
            a[columns + i] = a[i]
    for i in range(columns):
        a[i] = 0.0
    return _residuals(rows, p, a, m)


@_njit(_SUMS)
def _whiten_grid(grid, count, w, rows, m):
    for g in range(count):
        for k in range(m):
            rows[SIZE + g, k] = grid[g, k] * w[k]


@_njit(_SUMS)
def _against(rows, i, c0, c1, m, out):
    """out[j] = rows[i]·rows[j], eight at a time."""
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
        out[j], out[j1], out[j2], out[j3] = s0, s1, s2, s3
        out[j4], out[j5], out[j6], out[j7] = s4, s5, s6, s7


@_njit(_SUMS)
def _prepare_chart(gram, n, nb_, tables):
    """Products of grid columns left when the background is projected out, and 1/determinants.

    tables[0]: those products; tables[1], [2]: reciprocal determinants of pairs with and without
    the background, zero where singular.
    """
    for i in range(n):
        for j in range(n):
            tables[0, i, j] = gram[min(i, j), max(i, j)]
    if nb_ == 1:
        oo = 1.0 / gram[n, n]
        for i in range(n):
            f = gram[i, n] * oo
            for j in range(n):
                tables[0, i, j] -= f * gram[j, n]
    elif nb_ == 2:
        a, b, c = gram[n, n], gram[n, n + 1], gram[n + 1, n + 1]
        det = 1.0 / (a * c - b * b)
        for i in range(n):
            u, v = gram[i, n], gram[i, n + 1]
            f, g = (c * u - b * v) * det, (a * v - b * u) * det
            for j in range(n):
                tables[0, i, j] -= f * gram[j, n] + g * gram[j, n + 1]
    for i in range(n):
        for j in range(n):
            square = tables[0, i, i] * tables[0, j, j]
            det = square - tables[0, i, j] * tables[0, i, j]
            tables[1, i, j] = 1.0 / det if det > 1e-11 * square else 0.0
            g = gram[min(i, j), max(i, j)]
            square = gram[i, i] * gram[j, j]
            det = square - g * g
            tables[2, i, j] = 1.0 / det if det > 1e-11 * square else 0.0
    for i in range(n):  # of single columns, on the diagonal
        tables[1, i, i] = (
            1.0 / tables[0, i, i] if tables[0, i, i] > 1e-11 * gram[i, i] else 0.0
        )
        tables[2, i, i] = 1.0 / gram[i, i]


@_njit(_SUMS)
def _scan(spec, gram, tables, n, proj, left, single, chart, pairs):
    """Explained χ² of single grid columns and of pairs, with the background.

    The best feasible support, without branches so that it vectorises. ``proj`` are the products
    with the data (grid, then background), ``left`` what projecting out the background leaves.
    """
    nb_ = spec[3] - spec[2]
    signed = spec[6] & 1 == 1
    held_up = nb_ == 1 and (spec[6] >> spec[2]) & 1 == 1  # the constant is not negative
    base = 0.0
    for i in range(n):
        left[i] = proj[i]
    if nb_ == 1:
        base = proj[n] * proj[n] / gram[n, n]
        f = proj[n] / gram[n, n]
        for i in range(n):
            left[i] -= f * gram[i, n]
    elif nb_ == 2:
        a, b, c = gram[n, n], gram[n, n + 1], gram[n + 1, n + 1]
        u, v = proj[n], proj[n + 1]
        det = 1.0 / (a * c - b * b)
        f, g = (c * u - b * v) * det, (a * v - b * u) * det
        base = f * u + g * v
        for i in range(n):
            left[i] -= f * gram[i, n] + g * gram[i, n + 1]
    alone = base if not held_up or proj[n] > 0.0 else 0.0
    lowest = 0.0 if signed else -np.inf
    for i in range(n):
        x = left[i] * tables[1, i, i]
        good = x >= lowest
        if held_up:
            good = good and proj[n] - gram[i, n] * x >= 0.0
        value = base + x * left[i] if good else 0.0
        if held_up:
            x = proj[i] * tables[2, i, i]
            value = max(value, x * proj[i] if x >= lowest else 0.0)
        single[i] = max(value, alone)
    if not pairs:
        return
    for i in range(n):
        si, ti, pi = single[i], left[i], proj[i]
        sii, gii = tables[0, i, i], gram[i, i]
        if held_up:
            oo = proj[n]
            gin = gram[i, n]
            for j in range(n):
                inv = tables[1, i, j]
                sij, tj = tables[0, i, j], left[j]
                xa = (tables[0, j, j] * ti - sij * tj) * inv
                xb = (sii * tj - sij * ti) * inv
                rest = oo - gin * xa - gram[j, n] * xb
                full = base + xa * ti + xb * tj if min(min(xa, xb), rest) >= 0.0 else 0.0
                inv = tables[2, i, j]
                gij, pj = gram[i, j], proj[j]
                xa = (gram[j, j] * pi - gij * pj) * inv
                xb = (gii * pj - gij * pi) * inv
                pair = xa * pi + xb * pj if min(xa, xb) >= 0.0 else 0.0
                chart[i, j] = max(max(full, pair), max(si, single[j]))
        else:
            for j in range(n):
                inv = tables[1, i, j]
                sij, tj = tables[0, i, j], left[j]
                xa = (tables[0, j, j] * ti - sij * tj) * inv
                xb = (sii * tj - sij * ti) * inv
                full = base + xa * ti + xb * tj if min(xa, xb) >= lowest else 0.0
                chart[i, j] = max(full, max(si, single[j]))


@_njit(_EXACT)
def _best_pair(chart, n):
    best, bi, bj = -1.0, 0, 1
    for i in range(n - 1):
        for j in range(i + 1, n):
            if chart[i, j] > best:
                best, bi, bj = chart[i, j], i, j
    return bi, bj


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
def _peaks_of_chart(chart, n, picks, most):
    """Pairs that explain no less than their neighbours, best first."""
    found = 0
    for i in range(n):
        for j in range(i + 1, n):
            v = chart[i, j]
            if found == most and v <= picks[found - 1, 0]:
                continue
            top = True
            for a in range(max(i - 1, 0), min(i + 2, n)):
                for b in range(max(j - 1, a + 1), min(j + 2, n)):
                    # A tie counts once: for the pair that comes first.
                    if chart[a, b] > v or (chart[a, b] == v and (a < i or (a == i and b < j))):
                        top = False
            if top:
                found = _insert(v, float(i), float(j), picks, found, most)
    return found


@_njit(_EXACT)
def _peaks_of_line(line, n, picks, most):
    found = 0
    for j in range(n):
        before = line[j - 1] if j > 0 else -1.0
        after = line[j + 1] if j < n - 1 else -1.0
        if line[j] > before and line[j] >= after:
            found = _insert(line[j], float(j), 0.0, picks, found, most)
    return found


@_njit(_EXACT)
def _stage(spec, k):
    """The same problem with its first k terms only."""
    family, terms, columns, qt, nb_ = spec[0], spec[1], spec[2], spec[4], spec[7]
    per = columns // terms
    bits = ((1 << (per * k)) - 1) if spec[6] & 1 else 0
    bits |= (spec[6] >> columns) << (per * k)
    return family, k, per * k, per * k + nb_, qt, qt * k, bits, nb_, spec[8]


@_njit(_EXACT)
def _companions(spec, count, rows, m, gram, small, index, line):
    """Explained χ² when a whitened grid column (rows SIZE …) joins the columns at hand."""
    p = spec[3]
    joint, factor = small[5], small[6]
    sums = small[4, 8]
    trial = small[4, 9]
    for g in range(count):
        _against(rows, SIZE + g, 0, p + 1, m, sums)
        for i in range(p):
            for j in range(i, p):
                joint[i, j] = gram[i, j]
            joint[i, p], joint[i, p + 1] = sums[i], gram[i, p]
        joint[p, p] = _dot(rows, SIZE + g, rows, SIZE + g, m)
        joint[p, p + 1] = sums[p]
        bits = spec[6] | ((spec[6] & 1) << p)
        _amplitudes(joint, p + 1, bits, index[2], factor, trial)
        v = 0.0
        for i in range(p + 1):
            v += trial[i] * joint[i, p + 1]
        line[g] = v


@_njit(_SUMS)
def _bin(rows, r, sw, white, m, width, bins):
    """Sums over ``width`` points of weights and of weighted residuals (row r), cumulated."""
    bins[0, 0] = bins[1, 0] = 0.0
    n = (m + width - 1) // width
    for b in range(n):
        u = v = 0.0
        for k in range(b * width, min((b + 1) * width, m)):
            u += sw[k] * sw[k]
            v += white[k] * rows[r, k]
        bins[0, b + 1] = bins[0, b] + u
        bins[1, b + 1] = bins[1, b] + v
    return n


@_njit(_EXACT)
def _boxes(rows, r, axis, sw, white, m, floating, signed, picks, most, bins):
    """Stretches of the axis that stand out of the residuals of row r: (gain, middle, length).

    The best box on a constant (``floating``) or on nothing, by cumulated sums; boxes that overlap a
    better one are left out.
    """
    width = max(1, (m + 63) // 64)
    n = _bin(rows, r, sw, white, m, width, bins)
    whole, total = bins[0, n], bins[1, n]
    found = 0
    length = 1
    while length <= max(1, (2 * n) // 3):
        step = max(1, length // 3)
        best, at = 0.0, -1
        scores = bins[2]
        count = (n - length) // step + 1
        for i in range(count):
            s = i * step
            w = bins[0, s + length] - bins[0, s]
            v = bins[1, s + length] - bins[1, s]
            if floating:
                v -= w / whole * total
                w -= w * w / whole
            g = v * v / w if w > 1e-12 * whole else 0.0
            scores[i] = g if v > 0.0 or not signed else 0.0
        for i in range(count):
            if scores[i] > best:
                best, at = scores[i], i * step
        if at >= 0:
            found = _insert_box(best, at, length, picks, found, most)
            if most > 1:  # the best one elsewhere
                other, there = 0.0, -1
                for i in range(count):
                    if scores[i] > other and abs(i * step - at) >= length + max(1, length // 2):
                        other, there = scores[i], i * step
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


# One row ------------------------------------------------------------------------------------------


@_njit(_EXACT)
def _try(
    spec, pixel, axis, white, box, held, rows, m, limit, small, index, gram, slopes, start, theta, a,
    state,
):  # fmt: skip
    """Search from ``start``; ``theta``, ``a`` and ``state`` change where the optimum is lower.

    ``state``: lowest χ², whether it converged, evaluations so far, whether the products at hand are
    those of the lowest χ².
    """
    p, q = spec[3], spec[5]
    a_try = small[4, 4]
    for j in range(q):
        start[j] = min(max(start[j], box[0, j]), box[1, j])
    chi2, nfev, good, _ = _search(
        spec, pixel, axis, white, start, box, held, rows, m, limit, state[0], small, a_try, gram,
        slopes, index,
    )  # fmt: skip
    state[2] += nfev
    if chi2 < state[0]:
        state[0], state[1], state[3] = chi2, 1.0 if good else 0.0, 1.0
        for j in range(q):
            theta[j] = start[j]
        for i in range(p):
            a[i] = a_try[i]
    else:
        state[3] = 0.0


@_njit(_EXACT)
def _settle(
    spec, pixel, axis, white, rows, m, small, index, gram, slopes, theta, a, state
):  # fmt: skip
    """Bring the products to those of the lowest χ²."""
    if state[3] > 0.0:
        return
    _, n = _evaluate(
        spec, pixel, axis, white, theta, rows, m, gram, index[0], small[0], small[4, 4]
    )
    _project(
        spec, pixel, axis, white, theta, rows, m, a, n, index[0], small[0], slopes, small[1],
        small[4, 0], small[2],
    )  # fmt: skip
    state[2] += 1.0
    state[3] = 1.0


@_njit(_EXACT)
def _doubtful(spec, theta, a, box, held, small, index, slopes, state):
    """Tell where another basin may be lower: a bound is active or a shape is ill determined.

    Leaves the covariance of the non-linear parameters in the seventh layer of ``small``.
    """
    family, columns, p, q, qt = spec[0], spec[2], spec[3], spec[5], spec[4]
    hess, factor, inv, live = small[1], small[6], small[7], index[3]
    doubt = state[1] == 0.0
    if family != PSEUDO_VOIGT:
        for i in range(p):
            if (spec[6] >> i) & 1 and a[i] <= 0.0:
                doubt = True
    for j in range(q):
        live[j] = 0 if held[j] else 1
        if not held[j] and (
            theta[j] <= box[0, j] + 1e-6 * box[2, j] or theta[j] >= box[1, j] - 1e-6 * box[2, j]
        ):
            doubt = True
    # A term of amplitude zero has no slope: leave it out, so that the other has a covariance.
    for j in range(q):
        if not hess[j, j] > 0.0:
            live[j] = 0
            doubt = True
    for j in range(q):
        inv[j, j] = np.inf
    if not _invert(hess, live, q, factor, inv):
        return True
    for j in range(q):
        if live[j] != 1:
            inv[j, j] = np.inf
            continue
        largest = 0.09
        if family >= GAUSSIAN and j % qt == 0:
            largest *= math.exp(2.0 * theta[j + 1])
        if not inv[j, j] <= largest:
            doubt = True
    return doubt


@_njit(_EXACT)
def _anchor(theta, a, variance):
    """ln k that the data determine best: of the live exponential, or of two that have merged."""
    if a[0] <= 0.0 or a[1] <= 0.0:
        return float(theta[0] if a[0] > 0.0 else theta[1])
    if abs(theta[0] - theta[1]) < 0.7:
        return float((a[0] * theta[0] + a[1] * theta[1]) / (a[0] + a[1]))
    return float(theta[0] if variance[0, 0] <= variance[1, 1] else theta[1])


@_njit(_EXACT)
def _own_grid(spec, grid, count, sw, y, rows, m, own, proj):
    """Whiten the grid with the weights of the row and form all products."""
    nb_ = spec[7]
    _whiten_grid(grid, count, sw, rows, m)
    p = spec[3]
    for b in range(nb_):
        for k in range(m):
            rows[SIZE + count + b, k] = rows[spec[2] + b, k]
    for i in range(count + nb_):
        _against(rows, SIZE + i, SIZE + i, SIZE + count + nb_, m, proj)
        for j in range(i, count + nb_):
            own[i, j] = proj[SIZE + j]
    _against(rows, p, SIZE, SIZE + count + nb_, m, proj)
    for j in range(count + nb_):
        proj[j] = proj[SIZE + j]


@_njit(_EXACT)
def _fit_decay(
    spec, first, axis, sw, y, white, box, held, n_held, rows, m, limit, grid, grid_theta, shared,
    shared_gram, shared_tables, own, own_tables, chart, lines, picks, small, index, gram, slopes,
    start, theta, a, state,
):  # fmt: skip
    """Exponentials, and the stretched one: the first starts from a grid, then one more term each.

    ``first`` is true in the first of several rounds of weights; later ones start from ``theta``.
    """
    family, terms, qt = spec[0], spec[1], spec[4]
    count = grid_theta.shape[0]
    proj, left, single = lines[0], lines[1], lines[2]
    state[0], state[1], state[2], state[3] = np.inf, 0.0, state[2], 0.0
    if not first:
        _lay_out(spec, axis, sw, y, white, rows, m, gram)
        for j in range(spec[5]):
            start[j] = theta[j]
        _try(
            spec, 1.0, axis, white, box, held, rows, m, limit, small, index, gram, slopes, start,
            theta, a, state,
        )  # fmt: skip
        return
    if n_held == terms:
        _lay_out(spec, axis, sw, y, white, rows, m, gram)
        for j in range(spec[5]):
            start[j] = theta[j]
        _try(
            spec, 1.0, axis, white, box, held, rows, m, limit, small, index, gram, slopes, start,
            theta, a, state,
        )  # fmt: skip
        return
    k = n_held
    if k == 0:
        k = min(terms, 2)
        part = _stage(spec, k)
        nb_ = part[7]
        _lay_out(part, axis, sw, y, white, rows, m, gram)
        # The chart with the weights that rows share; gaps need one of their own.
        gaps = False
        for i in range(m):
            gaps = gaps or (sw[i] == 0.0 and shared[count + nb_, i] != 0.0)
        if gaps:
            _own_grid(part, grid, count, sw, y, rows, m, own, proj)
            _prepare_chart(own, count, nb_, own_tables)
            _scan(part, own, own_tables, count, proj, left, single, chart, k == 2)
        else:
            for i in range(m):
                shared[count + nb_ + 1, i] = shared[count + nb_, i] * y[i]
            _against(shared, count + nb_ + 1, 0, count + nb_, m, proj)
            _scan(part, shared_gram, shared_tables, count, proj, left, single, chart, k == 2)
        bi = bj = 0
        if k == 2:
            bi, bj = _best_pair(chart, count)
            start[0], start[1] = grid_theta[bi, 0], grid_theta[bj, 0]
        else:
            for i in range(count):
                if single[i] > single[bi]:
                    bi = i
            for j in range(qt):
                start[j] = theta[j] if held[j] else grid_theta[bi, j]
        _try(
            part, 1.0, axis, white, box, held, rows, m, limit, small, index, gram, slopes, start,
            theta, a, state,
        )  # fmt: skip
        if _doubtful(part, theta, a, box, held, small, index, slopes, state):
            if not gaps:
                _own_grid(part, grid, count, sw, y, rows, m, own, proj)
                _prepare_chart(own, count, nb_, own_tables)
                _scan(part, own, own_tables, count, proj, left, single, chart, k == 2)
            if k == 2:
                anchor = _anchor(theta, a, small[7])
                found = _peaks_of_chart(chart, count, picks, 5)
                for c in range(found):
                    i, j = int(picks[c, 1]), int(picks[c, 2])
                    if i == bi and j == bj:
                        continue
                    start[0], start[1] = grid_theta[i, 0], grid_theta[j, 0]
                    _try(
                        part, 1.0, axis, white, box, held, rows, m, limit, small, index, gram,
                        slopes, start, theta, a, state,
                    )  # fmt: skip
                # The chart alone is not enough: where photons abound, a pair of neighbours mimics
                # one rate between them so much better than the nearest grid rate with its true
                # companion does, that the latter is no maximum of the chart.
                one = _stage(spec, 1)
                _lay_out(one, axis, sw, y, white, rows, m, gram)
                start[0] = anchor
                _evaluate(
                    one, 1.0, axis, white, start, rows, m, gram, index[0], small[0], small[4, 4]
                )
                _companions(one, count, rows, m, gram, small, index, single)
                found = _peaks_of_line(single, count, picks, 3)
                _lay_out(part, axis, sw, y, white, rows, m, gram)
                for c in range(found):
                    start[0], start[1] = anchor, grid_theta[int(picks[c, 1]), 0]
                    _try(
                        part, 1.0, axis, white, box, held, rows, m, limit, small, index, gram,
                        slopes, start, theta, a, state,
                    )  # fmt: skip
            else:
                found = 0
                for i in range(count):
                    better = single[i] > 0.0 and i != bi
                    if family == EXPONENTIAL:
                        better = better and (i == 0 or single[i] > single[i - 1])
                        better = better and (i == count - 1 or single[i] >= single[i + 1])
                    if better:
                        found = _insert(single[i], float(i), 0.0, picks, found, 4)
                for c in range(found):
                    for j in range(qt):
                        start[j] = theta[j] if held[j] else grid_theta[int(picks[c, 1]), j]
                    _try(
                        part, 1.0, axis, white, box, held, rows, m, limit, small, index, gram,
                        slopes, start, theta, a, state,
                    )  # fmt: skip
        if k == terms:
            _settle(
                part, 1.0, axis, white, rows, m, small, index, gram, slopes, theta, a, state
            )
            return
    # One more exponential at a time, beside those at hand.
    while k < terms:
        fewer, part = _stage(spec, max(k, 1)), _stage(spec, k + 1)
        _lay_out(fewer, axis, sw, y, white, rows, m, gram)
        for j in range(k):
            start[j] = theta[j]
        base = small[4, 5]
        for j in range(k):
            base[j] = theta[j]
        _evaluate(
            fewer, 1.0, axis, white, start, rows, m, gram, index[0], small[0], small[4, 4]
        )
        _whiten_grid(grid, count, sw, rows, m)
        _companions(fewer, count, rows, m, gram, small, index, single)
        found = _peaks_of_line(single, count, picks, 4)
        _lay_out(part, axis, sw, y, white, rows, m, gram)
        state[0], state[3] = np.inf, 0.0
        for c in range(found + k - n_held):
            for j in range(k):
                start[j] = base[j]
            if c < found:
                start[k] = grid_theta[int(picks[c, 1]), 0]
            else:  # split one that is there
                start[n_held + c - found] = base[n_held + c - found] + 0.6
                start[k] = base[n_held + c - found] - 0.6
            _try(
                part, 1.0, axis, white, box, held, rows, m, limit, small, index, gram, slopes,
                start, theta, a, state,
            )  # fmt: skip
        k += 1
    _settle(spec, 1.0, axis, white, rows, m, small, index, gram, slopes, theta, a, state)


@_njit(_EXACT)
def _fit_peaks(
    spec, first, pixel, axis, sw, y, white, box, held, n_held, rows, m, limit, thorough, bins,
    picks, small, index, gram, slopes, start, theta, a, state,
):  # fmt: skip
    """Peaks: the stretch that stands out most, then what stands out of the residuals."""
    family, terms, qt = spec[0], spec[1], spec[4]
    state[0], state[1], state[3] = np.inf, 0.0, 0.0
    if not first or n_held == terms:
        _lay_out(spec, axis, sw, y, white, rows, m, gram)
        for j in range(spec[5]):
            start[j] = theta[j]
        _try(
            spec, pixel, axis, white, box, held, rows, m, limit, small, index, gram, slopes, start,
            theta, a, state,
        )  # fmt: skip
        return
    signed = spec[6] & 1 == 1
    floating = spec[7] > 0
    base = small[4, 5]
    scale = 1.0 / 2.3548200450309493 if family == FICK else 1.0
    for k in range(n_held, terms):
        part = _stage(spec, k + 1)
        if k == 0:
            _lay_out(part, axis, sw, y, white, rows, m, gram)
            before = _background(part, rows, m, gram, index[2], small[6], small[4, 4])
            r = part[3] + 1
        else:
            fewer = _stage(spec, k)
            _lay_out(fewer, axis, sw, y, white, rows, m, gram)
            for j in range(fewer[5]):
                base[j] = theta[j]
            before, _ = _evaluate(
                fewer, pixel, axis, white, base, rows, m, gram, index[0], small[0], small[4, 4]
            )
            r = fewer[3] + 1
        # white carries the sign of the terms: look for what points their way
        found = _boxes(
            rows, r, axis, sw, white, m, floating, signed, picks, 4 if terms > 1 or thorough else 2,
            bins,
        )  # fmt: skip
        if k > 0:
            _lay_out(part, axis, sw, y, white, rows, m, gram)
        state[0], state[3] = np.inf, 0.0
        splits = (k - n_held) * (2 if terms > 1 else 0)
        tried = 0
        for c in range(found + splits):
            if terms == 1 and c > 0:
                # Runners-up only where the first one is not plainly the peak.
                if c == 1:
                    doubt = _doubtful(part, theta, a, box, held, small, index, slopes, state)
                    if not doubt and picks[1, 0] < 0.5 * (before - state[0]):
                        break
            for j in range(part[5]):
                start[j] = base[j] if j < qt * k else 0.0
            if c < found:
                centre, width = picks[c, 1], math.log(0.84 * scale * max(picks[c, 2], 1e-300))
            else:
                s = n_held + (c - found) // 2
                width = base[qt * s + 1]
                apart = (0.35 if (c - found) % 2 == 0 else 0.8) * math.exp(width) / scale
                centre = base[qt * s] + apart
                start[qt * s] = base[qt * s] - apart
                width -= 0.3
                start[qt * s + 1] = width
            start[qt * k], start[qt * k + 1] = centre, width
            if qt == 3:
                start[qt * k + 2] = 0.0 if family == ASYMMETRIC else 0.5
            for j in range(part[5]):
                if held[j]:
                    start[j] = theta[j] if j >= qt * k else base[j]
            tried += 1
            _try(
                part, pixel, axis, white, box, held, rows, m, limit, small, index, gram, slopes,
                start, theta, a, state,
            )  # fmt: skip
        if tried == 0:
            for j in range(part[5]):
                start[j] = base[j] if j < qt * k else 0.5 * (box[0, j] + box[1, j])
                if held[j]:
                    start[j] = theta[j]
            _try(
                part, pixel, axis, white, box, held, rows, m, limit, small, index, gram, slopes,
                start, theta, a, state,
            )  # fmt: skip
    _settle(spec, pixel, axis, white, rows, m, small, index, gram, slopes, theta, a, state)


@_njit(_EXACT)
def _load(ys, sigmas, row, m, mode, gain, least, floor, y, sw):
    """Data of a row with zeros in the gaps, and 1/σ; returns the number of points."""
    points = 0
    at = row if sigmas.shape[0] > 1 else 0
    for i in range(m):
        v = ys[row, i]
        good = v - v == 0.0
        s = 1.0
        if mode == 1:
            s = sigmas[at, i]
            good = good and s > 0.0 and s - s == 0.0
        y[i] = v if good else 0.0
        sw[i] = 1.0 / s if good else 0.0
        points += 1 if good else 0
    if mode == 2:
        for i in range(m):
            v = gain * max(y[i], gain) + floor
            sw[i] = sw[i] / math.sqrt(v)
    return points


@_njit(_EXACT)
def _reweight(spec, rows, a, y, sw, m, gain, least, floor):
    """1/σ of a row from its model: variance = gain · expected + floor."""
    p = spec[3]
    for k in range(m):
        rows[p + 1, k] = 0.0
    for i in range(p):
        ai = a[i]
        for k in range(m):
            rows[p + 1, k] += ai * rows[i, k]
    for k in range(m):
        s = sw[k]
        f = rows[p + 1, k] / s if s > 0.0 else 0.0
        v = gain * max(f, least) + floor
        sw[k] = 1.0 / math.sqrt(v) if s > 0.0 else 0.0


@_njit(_EXACT)
def _order(spec, theta, sort, slot):
    """Place of every term in the report: falling rates, rising centres."""
    terms, qt = spec[1], spec[4]
    if not sort:
        return
    for t in range(terms):
        rank = 0
        for u in range(terms):
            x, v = theta[qt * u], theta[qt * t]
            if spec[0] == EXPONENTIAL:
                x, v = -x, -v
            if x < v or (x == v and u < t):
                rank += 1
        slot[t] = rank


@_njit(_EXACT)
def fit_rows(
    axis, m, ys, sigmas, noise, spec, pixel, box, held, held_values, n_held, sort, grid,
    grid_theta, shared_weight, places, values, covariance, chi2s, constants, nfevs, points, codes,
):  # fmt: skip
    """Fit every row of ``ys``; fills the last seven arrays.

    Parameters
    ----------
    axis : array, shape (3, padded points)
        x, ln x, and x scaled to (−1, 1); points from ``m`` on have no weight.
    sigmas : array, shape (rows or 1, points) or (0, 0)
        One σ of every point.
    noise : tuple
        Mode (0 unit weights, 1 σ, 2 Poisson), gain, least expected signal, floor, rounds.
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
    mode, gain, least, floor, rounds = noise
    mp = axis.shape[1]
    p, q = spec[3], spec[5]
    nb_, family = spec[7], spec[0]
    count = grid_theta.shape[0]
    decay = family <= STRETCHED
    rows = np.zeros((SIZE + (count + nb_ + 1 if decay else 0), mp))
    small, index = np.zeros((8, 24, 20)), np.zeros((5, 80), np.int64)
    gram, slopes = np.zeros((20, 20)), np.zeros((20, 20))
    y, sw, white = np.zeros(mp), np.zeros(mp), np.zeros(mp)
    theta, start, a, state = np.zeros(q + 1), np.zeros(q + 1), np.zeros(20), np.zeros(4)
    picks, bins = np.zeros((MAX_CANDIDATES, 3)), np.zeros((3, 72))
    slot = places.copy()
    size = count + nb_ if decay else 0
    own, shared_gram = np.zeros((size, size)), np.zeros((size, size))
    pairs = count if decay and spec[1] > 1 else 0
    own_tables, shared_tables = np.zeros((3, size, size)), np.zeros((3, size, size))
    chart, lines = np.zeros((pairs, pairs)), np.zeros((3, SIZE + size + 8))
    shared = np.zeros((size + 2, mp))
    if decay:
        for g in range(count):
            for k in range(m):
                shared[g, k] = grid[g, k] * shared_weight[k]
        for k in range(m):
            if nb_ > 0:
                shared[count, k] = shared_weight[k]
            if nb_ > 1:
                shared[count + 1, k] = shared_weight[k] * axis[2, k]
            shared[size, k] = shared_weight[k]
        _products(shared, 0, size, 0, size, m, shared_gram)
        _prepare_chart(shared_gram, count, nb_, shared_tables)
    free = p
    for j in range(q):
        free += 0 if held[j] else 1
    for row in range(ys.shape[0]):
        n = _load(ys, sigmas, row, m, mode, gain, least, floor, y, sw)
        points[row] = n
        if n < free:
            codes[row] = TOO_FEW if n > 0 else NO_POINTS
            continue
        at = row if held_values.shape[0] > 1 else 0
        for j in range(q):
            if held[j]:
                theta[j] = held_values[at, j]
        limit = float(n) if mode > 0 else np.inf
        state[2] = 0.0
        for r in range(rounds):
            if r > 0:
                _reweight(spec, rows, a, y, sw, m, gain, least, floor)
            before = state[2]
            if decay:
                _fit_decay(
                    spec, r == 0, axis, sw, y, white, box, held, n_held, rows, mp, limit, grid,
                    grid_theta, shared, shared_gram, shared_tables, own, own_tables, chart, lines,
                    picks, small, index, gram, slopes, start, theta, a, state,
                )  # fmt: skip
            else:
                _fit_peaks(
                    spec, r == 0, pixel, axis, sw, y, white, box, held, n_held, rows, mp, limit,
                    False, bins, picks, small, index, gram, slopes, start, theta, a, state,
                )  # fmt: skip
            if r > 0 and state[2] - before <= 1.0:
                break
        _order(spec, theta, sort, slot)
        _report(
            spec, axis[3], slot, theta, a, held, gram, slopes, small[5], index[4], small[6],
            small[7], values[row], covariance[row],
        )  # fmt: skip
        chi2s[row], nfevs[row] = state[0], int(state[2])
        constants[row] = _constant(sw, y, mp)
        codes[row] = CONVERGED if state[1] > 0.0 else NOT_CONVERGED


@_njit(_SUMS)
def _constant(sw, y, m):
    """χ² of the best constant."""
    s = u = v = 0.0
    for k in range(m):
        w = sw[k] * sw[k]
        s += w
        u += w * y[k]
        v += w * y[k] * y[k]
    # Once more from residuals: the difference of two sums would lose digits.
    mean = u / s
    v = 0.0
    for k in range(m):
        d = sw[k] * (y[k] - mean)
        v += d * d
    return v
