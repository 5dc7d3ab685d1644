"""Compiled kernels of linear unmixing; see :mod:`plkit.physics.nnls`.

One spectrum at a time. With equal weights the Gram matrix is that of all spectra: one pass over the
spectrum projects it on the terms, a second one, over the row that now lies in the first-level cache,
measures the residual. With other weights the row is copied once into a buffer and stays there while
G = Σ_c w_c F_c F_cᵀ and h = Σ_c w_c r_c F_c are formed of the residual r = y − m and solved for a step:
sums over a small residual keep their digits in single precision.

All kernels stand in one file, long as it is: numba's cache on disk notices a change only in the
file of the function that was cached, never in those that it calls. This module imports numba;
import it inside the function that needs it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba as nb
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from plkit.physics.compiling import announce_compilation

__all__ = ["fit_rows"]

announce_compilation()

# Where the weights come from, and the status of a spectrum; as in plkit.physics.nnls.
UNIFORM: Final = 0
VARIANCE: Final = 1
POISSON: Final = 2
_OK: Final = 0
_AT_BOUND: Final = 1
_NOT_IDENTIFIABLE: Final = 2
_NO_SIGNAL: Final = 3
_FAILED: Final = 4

_F = TypeVar("_F", bound=Callable[..., Any])
# Callees without flags inherit those of whoever compiled first: every helper states its own. Sums
# may be reordered, hence vectorised; nothing may assume that NaN and infinity are absent.
_SUMS: Final = {"reassoc", "contract", "nsz"}
# 1/√v by the processor's estimate and one Newton step: full single precision at a third of the time.
_ROOTS: Final = _SUMS | {"arcp", "afn"}
_EXACT: Final[set[str]] = set()
_HUGE: Final = 3.0e38
_KEEP: Final = 2  # in the second-level cache: the first one is full


def _njit(fastmath: set[str], *, inline: bool = False) -> Callable[[_F], _F]:
    """Compile without the GIL, cached on disk where a folder can be written.

    Nothing here allocates: without the counting of references, which every call of a helper would
    do for each of its arrays, a spectrum takes a tenth less time.
    """

    def decorate(function: _F) -> _F:
        options: dict[str, Any] = {
            "fastmath": fastmath or False,
            "error_model": "numpy",
            "nogil": True,
            "forceinline": inline,
            "_nrt": False,
        }
        try:
            compiled = nb.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder for its cache
            compiled = nb.njit(**options)(function)
        return compiled  # type: ignore[no-any-return]

    return decorate


def _at(values: Any, c: int) -> Any:
    """Entry of an array, or the number that holds for all channels."""
    raise NotImplementedError  # compiled code only


@overload(_at, inline="always")
def _compiled_at(values, c):  # noqa: ARG001
    if isinstance(values, types.Array):
        return lambda values, c: values[c]
    return lambda values, c: values  # noqa: ARG005


@intrinsic
def _hint(typing, array, p, c):  # noqa: ARG001
    """Ask the memory for the cache line of ``array[p, c]``, without waiting."""
    signature = types.void(array, types.intp, types.intp)

    def generate(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        shape = cgutils.unpack_tuple(builder, view.shape)
        item = builder.add(builder.mul(args[1], shape[1]), args[2])
        address = builder.bitcast(builder.gep(view.data, [item]), cgutils.voidptr_t)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(
            prefetch, [address, number(0), number(_KEEP), number(1)]
        )  # to read, keep, data
        return context.get_dummy_value()

    return signature, generate


@_njit(_EXACT)
def _prefetch(counts, p):
    """Start loading a spectrum; the processor's own prefetching stops at every 4 KiB."""
    line = 64 // counts.itemsize
    for c in range(0, counts.shape[1], line):
        _hint(counts, p, c)  # type: ignore[call-arg]


# Small dense algebra ----------------------------------------------------------------------------
@_njit(_EXACT)
def _invert(gram, inverse):
    """Inverse of a positive definite matrix (Gauss and Jordan); False where it is singular."""
    k = gram.shape[0]
    for i in range(k):
        for j in range(k):
            inverse[i, j] = gram[i, j]
    for j in range(k):
        pivot = inverse[j, j]
        if not pivot > 1e-13 * gram[j, j]:
            return False
        inverse[j, j] = 1.0
        scale = 1.0 / pivot
        for m in range(k):
            inverse[j, m] *= scale
        for i in range(k):
            if i != j:
                factor = inverse[i, j]
                inverse[i, j] = 0.0
                for m in range(k):
                    inverse[i, m] -= factor * inverse[j, m]
    return True


@_njit(_EXACT)
def _fix_at_zero(j, a, cov):
    """Minimum and covariance where term ``j`` is held at zero: one step of elimination."""
    k = a.size
    scale = 1.0 / cov[j, j]
    step = a[j] * scale
    for i in range(k):
        if i != j:
            a[i] -= cov[i, j] * step
            factor = cov[i, j] * scale
            for m in range(k):
                if m != j:
                    cov[i, m] -= factor * cov[j, m]
    a[j] = 0.0
    for i in range(k):
        cov[i, j] = cov[j, i] = 0.0


@_njit(_EXACT)
def _least_on(support, a, cov, n_bounded, found, work):
    """Minimum with the terms outside ``support`` at zero; what it adds to χ², infinite if infeasible.

    Starts from the free minimum ``a`` and its covariance.
    """
    k = a.size
    for i in range(k):
        found[i] = a[i]
        for j in range(k):
            work[i, j] = cov[i, j]
    loss = 0.0
    for j in range(n_bounded):
        if not (support >> j) & 1:
            loss += found[j] * found[j] / work[j, j]
            _fix_at_zero(j, found, work)
    for j in range(n_bounded):
        if found[j] < 0.0:
            return np.inf
    return loss


@_njit(_EXACT)
def _drop_negative(gram, a, cov, n_bounded, found, work):
    """Hold the most negative term at zero until none is; support, or −1 if that is not the minimum.

    It is the minimum if χ² would rise along every term held (Karush, Kuhn, Tucker).
    """
    k = a.size
    for i in range(k):
        found[i] = a[i]
        for j in range(k):
            work[i, j] = cov[i, j]
    support = (1 << k) - 1
    while True:
        worst, depth = -1, 0.0
        for j in range(n_bounded):
            if found[j] < 0.0:
                d = found[j] * found[j] / work[j, j]
                if d >= depth:
                    worst, depth = j, d
        if worst < 0:
            break
        _fix_at_zero(worst, found, work)
        support &= ~(1 << worst)
    for j in range(n_bounded):
        if not (support >> j) & 1:
            slope = 0.0
            for i in range(k):
                slope += gram[j, i] * (found[i] - a[i])
            if not slope >= 0.0:
                return -1
    return support


@_njit(_EXACT, inline=True)
def _feasible(a, n_bounded):
    feasible = True
    for j in range(n_bounded):
        feasible = feasible and a[j] >= 0.0
    return feasible


@_njit(_EXACT)
def _bound(gram, a, cov, n_bounded, found, best, work):
    """Move the free minimum ``a`` to the one whose first ``n_bounded`` terms are ≥ 0; its support.

    That lies on one support (the terms that are not zero), where it is the free minimum: of all
    supports the feasible one of least χ².
    """
    k = a.size
    full = (1 << k) - 1
    if _feasible(a, n_bounded):
        return full
    chosen = _drop_negative(gram, a, cov, n_bounded, best, work)
    if chosen < 0:
        least = np.inf
        free = full & ~((1 << n_bounded) - 1)
        for bits in range((1 << n_bounded) - 1):
            loss = _least_on(bits | free, a, cov, n_bounded, found, work)
            if loss < least:
                chosen, least = bits | free, loss
                for i in range(k):
                    best[i] = found[i]
    for i in range(k):
        a[i] = best[i]
    return chosen


# Rows of channels -------------------------------------------------------------------------------
# Loops over two to four terms are written out, so that their sums stay in registers. They store
# nothing but one row: with more than eight pairs of pointers to compare LLVM does not vectorise.
@_njit(_SUMS)
def _mask(y, limit):
    """Set what is no number, or has no finite limit, to zero and its limit to infinity."""
    big, zero, inf = y.dtype.type(_HUGE), y.dtype.type(0.0), y.dtype.type(np.inf)
    for c in range(y.size):
        good = abs(y[c]) <= big and limit[c] <= big
        y[c] = y[c] if good else zero
        limit[c] = limit[c] if good else inf


@_njit(_SUMS)
def _blank(m, limit):
    """Set the expectation to zero where the channel is masked."""
    big, zero = m.dtype.type(_HUGE), m.dtype.type(0.0)
    for c in range(m.size):
        m[c] = m[c] if limit[c] <= big else zero


@_njit(_SUMS)
def _count(limit):
    """How many channels are not masked, and how many pairs of neighbours."""
    big, one, zero = limit.dtype.type(_HUGE), limit.dtype.type(1.0), limit.dtype.type(0.0)
    n = pairs = before = zero
    for c in range(limit.size):
        good = one if limit[c] <= big else zero
        n += good
        pairs += good * before
        before = good
    return int(n), float(pairs)


@_njit(_SUMS)
def _given(variance, p, limit):
    """Copy a row of variances; those that are not positive become infinite. Returns whether all are."""
    one, zero, inf = limit.dtype.type(1.0), limit.dtype.type(0.0), limit.dtype.type(np.inf)
    bad = zero
    for c in range(limit.size):
        v = limit.dtype.type(variance[p, c])
        usable = v > zero and v < inf
        limit[c] = v if usable else inf
        bad += zero if usable else one
    return bad == zero


@_njit(_SUMS)
def _copy(row, out):
    for c in range(out.size):
        out[c] = row[c]


@_njit(_SUMS)
def _copy_spectrum(counts, p, y):
    for c in range(y.size):
        y[c] = y.dtype.type(counts[p, c])


# The first pass waits for the memory: a store in its loop would cost it a third of its speed.
@_njit(_SUMS)
def _project(basis, counts, p, n, h):
    """h_j = Σ_c y_c F_jc for every term; not finite where a single y_c is not."""
    k = basis.shape[0]
    real = basis.dtype.type
    h0 = h1 = h2 = h3 = real(0.0)
    if k == 2:
        for c in range(n):
            y = real(counts[p, c])
            h0 += y * basis[0, c]
            h1 += y * basis[1, c]
        h[0], h[1] = h0, h1
    elif k == 3:
        for c in range(n):
            y = real(counts[p, c])
            h0 += y * basis[0, c]
            h1 += y * basis[1, c]
            h2 += y * basis[2, c]
        h[0], h[1], h[2] = h0, h1, h2
    elif k == 4:
        for c in range(n):
            y = real(counts[p, c])
            h0 += y * basis[0, c]
            h1 += y * basis[1, c]
            h2 += y * basis[2, c]
            h3 += y * basis[3, c]
        h[0], h[1], h[2], h[3] = h0, h1, h2, h3
    else:
        for j in range(k):
            h0 = real(0.0)
            for c in range(n):
                h0 += real(counts[p, c]) * basis[j, c]
            h[j] = h0


@_njit(_SUMS)
def _residual(basis, counts, p, n, a, m):
    """Σ_c r_c² and Σ_c r_c r_(c−1) of the residual; ``m`` is used above four terms only."""
    k = basis.shape[0]
    real = basis.dtype.type
    squares = lag = before = real(0.0)
    a0, a1 = real(a[0]), real(a[1])
    if k == 2:
        for c in range(n):
            r = real(counts[p, c]) - (a0 * basis[0, c] + a1 * basis[1, c])
            squares += r * r
            lag += r * before
            before = r
    elif k == 3:
        a2 = real(a[2])
        for c in range(n):
            m2 = a0 * basis[0, c] + a1 * basis[1, c] + a2 * basis[2, c]
            r = real(counts[p, c]) - m2
            squares += r * r
            lag += r * before
            before = r
    elif k == 4:
        a2, a3 = real(a[2]), real(a[3])
        for c in range(n):
            m3 = a0 * basis[0, c] + a1 * basis[1, c] + a2 * basis[2, c] + a3 * basis[3, c]
            r = real(counts[p, c]) - m3
            squares += r * r
            lag += r * before
            before = r
    else:
        _expected(basis, a, m)
        for c in range(n):
            r = real(counts[p, c]) - m[c]
            squares += r * r
            lag += r * before
            before = r
    return squares, lag


@_njit(_SUMS)
def _expected(basis, a, m):
    """m_c = Σ_j a_j F_jc."""
    k = basis.shape[0]
    real = m.dtype.type
    a0, a1 = real(a[0]), real(a[1])
    if k == 2:
        for c in range(m.size):
            m[c] = a0 * basis[0, c] + a1 * basis[1, c]
    elif k == 3:
        a2 = real(a[2])
        for c in range(m.size):
            m[c] = a0 * basis[0, c] + a1 * basis[1, c] + a2 * basis[2, c]
    else:
        a2, a3 = real(a[2]), real(a[3])
        for c in range(m.size):
            m[c] = a0 * basis[0, c] + a1 * basis[1, c] + a2 * basis[2, c] + a3 * basis[3, c]
        for j in range(4, k):
            a0 = real(a[j])
            for c in range(m.size):
                m[c] += a0 * basis[j, c]


# Variance of a channel: what the model expects, but at least its limit; infinite where masked.
@_njit(_SUMS)
def _sums2(basis, y, a, limit, gain, floor, gram, h):
    real = y.dtype.type
    one = real(1.0)
    a0, a1 = real(a[0]), real(a[1])
    g00 = g01 = g11 = h0 = h1 = real(0.0)
    for c in range(y.size):
        f0, f1 = basis[0, c], basis[1, c]
        m = a0 * f0 + a1 * f1
        w = one / max(_at(gain, c) * m + _at(floor, c), limit[c])
        t0, t1 = w * f0, w * f1
        r = y[c] - m
        g00 += t0 * f0
        g01 += t0 * f1
        g11 += t1 * f1
        h0 += t0 * r
        h1 += t1 * r
    gram[0, 0], gram[1, 0], gram[1, 1] = g00, g01, g11
    h[0], h[1] = h0, h1


@_njit(_SUMS)
def _sums3(basis, y, a, limit, gain, floor, gram, h):
    real = y.dtype.type
    one = real(1.0)
    a0, a1, a2 = real(a[0]), real(a[1]), real(a[2])
    g00 = g01 = g11 = g02 = g12 = g22 = h0 = h1 = h2 = real(0.0)
    for c in range(y.size):
        f0, f1, f2 = basis[0, c], basis[1, c], basis[2, c]
        m = a0 * f0 + a1 * f1 + a2 * f2
        w = one / max(_at(gain, c) * m + _at(floor, c), limit[c])
        t0, t1, t2 = w * f0, w * f1, w * f2
        r = y[c] - m
        g00 += t0 * f0
        g01 += t0 * f1
        g11 += t1 * f1
        g02 += t0 * f2
        g12 += t1 * f2
        g22 += t2 * f2
        h0 += t0 * r
        h1 += t1 * r
        h2 += t2 * r
    gram[0, 0], gram[1, 0], gram[1, 1] = g00, g01, g11
    gram[2, 0], gram[2, 1], gram[2, 2] = g02, g12, g22
    h[0], h[1], h[2] = h0, h1, h2


@_njit(_SUMS)
def _sums4(basis, y, a, limit, gain, floor, gram, h):
    real = y.dtype.type
    one = real(1.0)
    a0, a1, a2, a3 = real(a[0]), real(a[1]), real(a[2]), real(a[3])
    g00 = g01 = g11 = g02 = g12 = g22 = g03 = g13 = g23 = g33 = real(0.0)
    h0 = h1 = h2 = h3 = real(0.0)
    for c in range(y.size):
        f0, f1, f2, f3 = basis[0, c], basis[1, c], basis[2, c], basis[3, c]
        m = a0 * f0 + a1 * f1 + a2 * f2 + a3 * f3
        w = one / max(_at(gain, c) * m + _at(floor, c), limit[c])
        t0, t1, t2, t3 = w * f0, w * f1, w * f2, w * f3
        r = y[c] - m
        g00 += t0 * f0
        g01 += t0 * f1
        g02 += t0 * f2
        g03 += t0 * f3
        g11 += t1 * f1
        g12 += t1 * f2
        g13 += t1 * f3
        g22 += t2 * f2
        g23 += t2 * f3
        g33 += t3 * f3
        h0 += t0 * r
        h1 += t1 * r
        h2 += t2 * r
        h3 += t3 * r
    gram[0, 0], gram[1, 0], gram[1, 1] = g00, g01, g11
    gram[2, 0], gram[2, 1], gram[2, 2] = g02, g12, g22
    gram[3, 0], gram[3, 1], gram[3, 2], gram[3, 3] = g03, g13, g23, g33
    h[0], h[1], h[2], h[3] = h0, h1, h2, h3


@_njit(_SUMS)
def _weigh(m, limit, gain, floor, w):
    one = w.dtype.type(1.0)
    for c in range(w.size):
        w[c] = one / max(_at(gain, c) * m[c] + _at(floor, c), limit[c])


@_njit(_SUMS)
def _overlap(basis, w, i, j):
    s = w.dtype.type(0.0)
    for c in range(w.size):
        s += w[c] * basis[i, c] * basis[j, c]
    return s


@_njit(_SUMS)
def _slope(basis, y, m, w, i):
    s = w.dtype.type(0.0)
    for c in range(w.size):
        s += w[c] * (y[c] - m[c]) * basis[i, c]
    return s


@_njit(_SUMS)
def _ones_and_zeros(limit, w):
    one, zero, big = w.dtype.type(1.0), w.dtype.type(0.0), w.dtype.type(_HUGE)
    for c in range(w.size):
        w[c] = one if limit[c] <= big else zero


@_njit(_EXACT)
def _gram_of_rest(basis, limit, gram, w):
    """Gram matrix under equal weights of the channels that are not masked."""
    _ones_and_zeros(limit, w)
    for i in range(basis.shape[0]):
        for j in range(i + 1):
            gram[i, j] = gram[j, i] = _overlap(basis, w, i, j)


@_njit(_EXACT)
def _normal_equations(basis, y, a, limit, gain, floor, gram, h, m, w):
    """G = Σ_c w_c F_c F_cᵀ and h = Σ_c w_c (y_c − m_c) F_c, weights from the expectation m of ``a``."""
    k = basis.shape[0]
    if k == 2:
        _sums2(basis, y, a, limit, gain, floor, gram, h)
    elif k == 3:
        _sums3(basis, y, a, limit, gain, floor, gram, h)
    elif k == 4:
        _sums4(basis, y, a, limit, gain, floor, gram, h)
    else:
        _expected(basis, a, m)
        _weigh(m, limit, gain, floor, w)
        for i in range(k):
            h[i] = _slope(basis, y, m, w, i)
            for j in range(i + 1):
                gram[i, j] = _overlap(basis, w, i, j)
    for i in range(k):
        for j in range(i):
            gram[j, i] = gram[i, j]


@_njit(_ROOTS)
def _diagnose(y, m, limit, gain, floor):
    """What the residual says: Σ r², Σ e², Σ e_c e_(c−1) with e = r/σ, and Σ q_c, Σ q_c q_(c−1).

    q is the share of a channel's variance that the model expects: below 1 where the limit stepped in,
    0 where the channel is masked.
    """
    one, big = y.dtype.type(1.0), y.dtype.type(_HUGE)
    squares = chisqr = lag = trusted = pairs = e_before = q_before = y.dtype.type(0.0)
    for c in range(y.size):
        f = _at(floor, c)
        v = _at(gain, c) * m[c] + f
        # The step after the estimate makes NaN of 1/√∞; of the largest finite number it makes zero.
        root = one / np.sqrt(max(v, min(limit[c], big)))
        r = y[c] - m[c]
        e = root * r
        q = max(v, f) * root * root
        squares += r * r
        chisqr += e * e
        lag += e * e_before
        trusted += q
        pairs += q * q_before
        e_before, q_before = e, q
    return squares, chisqr, lag, trusted, pairs


# One spectrum, many spectra ---------------------------------------------------------------------
@_njit(_SUMS, inline=True)
def _shares(p, amplitude, cov, per_light, share, stderr):
    """Shares f_i = b_i/Σb of b = a/brightness, with σ from the full covariance; Σb and its σ.

    ∂f_i/∂b_j = (δ_ij − f_i)/Σb, hence
    var f_i = [C_ii − 2 f_i Σ_j C_ij + f_i² Σ_jk C_jk]/(Σb)².
    """
    n = per_light.size
    total = everything = 0.0
    for i in range(n):
        row = 0.0
        for j in range(n):
            row += cov[p, i, j] * per_light[j]
        stderr[p, i] = row * per_light[i]
        everything += stderr[p, i]
        total += amplitude[p, i] * per_light[i]
    scale = 1.0 / total if total > 0.0 else np.nan
    for i in range(n):
        f = amplitude[p, i] * per_light[i] * scale
        own = cov[p, i, i] * per_light[i] * per_light[i]
        variance = own - 2.0 * f * stderr[p, i] + f * f * everything
        share[p, i] = f
        stderr[p, i] = np.sqrt(max(variance, 0.0)) * scale
    return total, np.sqrt(everything)


@_njit(_EXACT, inline=True)
def _settled(a, previous, step, gram):
    """Whether another round would change nothing that matters.

    Either no amplitude moved by more than 2 %, so that no weight will; or the step is shorter than
    0.02 σ, measured by ΔᵀGΔ.
    """
    k = a.size
    small = True
    length = 0.0
    for i in range(k):
        d = a[i] - previous[i]
        small = small and abs(d) <= 0.02 * max(abs(a[i]), step[i])
        for j in range(k):
            length += d * gram[i, j] * (a[j] - previous[j])
    return small or length <= 4e-4


@_njit(_EXACT)
def _fill_nan(p, amplitude, covariance, stderr, fraction, fraction_stderr, stats):
    for i in range(amplitude.shape[1]):
        amplitude[p, i] = stderr[p, i] = np.nan
        for j in range(amplitude.shape[1]):
            covariance[p, i, j] = np.nan
    for i in range(fraction.shape[1]):
        fraction[p, i] = fraction_stderr[p, i] = np.nan
    for i in range(stats.shape[1]):
        stats[p, i] = np.nan


@_njit(_EXACT, inline=True)
def _free_minimum(inverse, start, h, a):
    """a = start + G⁻¹ h."""
    k = a.size
    for i in range(k):
        value = start[i]
        for j in range(k):
            value += inverse[i, j] * h[j]
        a[i] = value


@_njit(_EXACT, inline=True)
def _energy(a, gram):
    """Σ_j a_j² G_jj, the size of Σ_c m_c²."""
    total = 0.0
    for j in range(a.size):
        total += a[j] * a[j] * gram[j, j]
    return total


@_njit(_EXACT, inline=True)
def _put(p, a, inverse, scale, amplitude, covariance, stderr):
    """Amplitudes with covariance ``scale`` · G⁻¹ and its σ."""
    for i in range(a.size):
        amplitude[p, i] = a[i]
        for j in range(a.size):
            covariance[p, i, j] = scale * inverse[i, j]
        stderr[p, i] = np.sqrt(scale * inverse[i, i])


@_njit(_EXACT, inline=True)
def _structure(lag, redchi, pairs, share, moments):
    """Lag-one sum of the normalised residual in units of its σ, for white noise of mean 0 and σ 1.

    ``moments`` are what the fit itself takes from expectation and variance, with all its terms;
    ``share`` of them are in use.
    """
    variance = pairs - moments[1] * share
    if not variance > 0.0:
        return np.nan
    return (lag / redchi + moments[0] * share) / np.sqrt(variance)


@_njit(_EXACT)
def _weighted_fit(
    basis, y, limit, gain, floor, gram, inverse, h, a, previous, m, w, found, best, work,
    n_bounded, rounds, step,
):  # fmt: skip
    """Rounds of weights from the model; support of the minimum in ``a``, −1 where there is none."""
    support = -1
    for _ in range(rounds):
        for i in range(a.size):
            previous[i] = a[i]
        _normal_equations(basis, y, previous, limit, gain, floor, gram, h, m, w)
        if not _invert(gram, inverse):
            return -1
        _free_minimum(inverse, previous, h, a)
        support = _bound(gram, a, inverse, n_bounded, found, best, work)
        if support < 0 or _settled(a, previous, step, gram):
            break
    return support


@_njit(_EXACT)
def fit_rows(
    counts, variance, each, basis, limits, gain, floor, gram0, inverse0, step, brightness,
    n_bounded, mode, scale, rounds, moments, buffers, vectors, matrices,
    amplitude, covariance, stderr, fraction, fraction_stderr, corrected, corrected_stderr, stats, status,
):  # fmt: skip
    """Fit every row of ``counts``; arguments as :func:`plkit.physics.nnls.fit_spectra` makes them.

    ``each`` says that every spectrum has a row of ``variance``; rows of ``basis`` and of the four
    ``buffers`` are aligned and padded; ``limits`` are the least variances; ``gain`` and ``floor`` are
    numbers where they are the same in all channels; ``gram0`` and ``inverse0`` the Gram matrix under
    equal weights and its inverse; ``step`` the amplitude of one electron in each term; ``moments`` what
    :func:`plkit.physics.nnls.structure_moments` gives; ``vectors`` and ``matrices`` are room to work.
    The last nine are filled, ``corrected`` where the brightnesses differ.
    """
    channels = counts.shape[1]
    k = basis.shape[0]
    y, m = buffers[0, :channels], buffers[1, :channels]
    w, own = buffers[2, :channels], buffers[3, :channels]
    h, a, previous, zero = vectors[0], vectors[1], vectors[2], vectors[3]
    found, best = vectors[4], vectors[5]
    gram, inverse, work = matrices[0], matrices[1], matrices[2]
    n_comp = brightness.size
    full = (1 << k) - 1
    ones, per_light = vectors[6, :n_comp], vectors[7, :n_comp]
    equal = True
    for i in range(n_comp):
        ones[i], per_light[i] = 1.0, 1.0 / brightness[i]
        equal = equal and brightness[i] == 1.0
    for i in range(k):
        zero[i] = 0.0
    rounding = 1e-12 if basis.itemsize == 4 else 1e-26
    for p in range(counts.shape[0]):
        # Equal weights first: they are all that is wanted, or where the rounds start from.
        _project(basis, counts, p, channels, h)
        clean = np.isfinite(h[0])
        support = -1
        n_good, pairs = channels, channels - 1.0
        squares = chisqr = lag = trusted = 0.0
        result = inverse
        if mode == UNIFORM and clean:
            result = inverse0
            _free_minimum(inverse0, zero, h, a)
            support = full
            if not _feasible(a, n_bounded):
                support = _bound(gram0, a, inverse0, n_bounded, found, best, work)
            squares, lag = _residual(basis, counts, p, channels, a, m)
            chisqr, trusted = squares, float(channels)
        else:
            limit, solvable = limits, True
            _copy_spectrum(counts, p, y)
            if p + 2 < counts.shape[0]:
                _prefetch(counts, p + 2)
            if each or not clean:
                limit = own
                if each:
                    clean = _given(variance, p, own) and clean
                else:
                    _copy(limits, own)
            if not clean:
                _mask(y, limit)
                n_good, pairs = _count(limit)
                _project(basis, buffers, 0, channels, h)
                _gram_of_rest(basis, limit, gram, w)
                solvable = n_good >= k and _invert(gram, inverse)
            _free_minimum(inverse0 if clean else inverse, zero, h, a)
            for i in range(n_bounded):
                a[i] = max(a[i], 0.0)
            if solvable:
                support = _weighted_fit(
                    basis, y, limit, gain, floor, gram, inverse, h, a, previous, m, w, found, best,
                    work, n_bounded, rounds, step,
                )  # fmt: skip
            _expected(basis, a, m)
            if not clean:
                _blank(m, limit)
            squares, chisqr, lag, trusted, q_pairs = _diagnose(y, m, limit, gain, floor)
            if mode == POISSON:
                pairs = q_pairs
            else:
                trusted = float(n_good)
        if support < 0:
            _fill_nan(p, amplitude, covariance, stderr, fraction, fraction_stderr, stats)
            for i in range(n_comp):
                corrected[p, i] = corrected_stderr[p, i] = np.nan
            status[p] = _FAILED if n_good > 0 else _NO_SIGNAL
            continue

        n_active = 0
        for i in range(k):
            n_active += (support >> i) & 1
        dof = trusted - n_active
        redchi = chisqr / dof if dof > 0.5 else np.nan
        stats[p, 0] = np.sqrt(squares / n_good)
        stats[p, 1] = redchi
        if chisqr == 0.0 or squares <= rounding * _energy(a, gram0):
            stats[p, 2] = 0.0  # nothing but rounding is left
        else:
            stats[p, 2] = _structure(lag, redchi, pairs, n_active / k, moments)
        _put(p, a, result, redchi if scale else 1.0, amplitude, covariance, stderr)
        total, sigma = _shares(p, amplitude, covariance, ones, fraction, fraction_stderr)
        corrected_total = total
        if not equal:
            corrected_total, _ = _shares(
                p, amplitude, covariance, per_light, corrected, corrected_stderr
            )
        status[p] = _OK
        for i in range(n_bounded):
            if not (support >> i) & 1:
                status[p] = _AT_BOUND
        if total <= sigma:
            status[p] = _NOT_IDENTIFIABLE
        if not (total > 0.0 and corrected_total > 0.0):
            status[p] = _NO_SIGNAL
