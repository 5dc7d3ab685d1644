"""Compiled kernels of linear unmixing; see :mod:`plkit.physics.nnls`.

One spectrum at a time: its row stays in the first-level cache while the weighted normal equations
G a = h, with G = Σ_c w_c F_c F_cᵀ and h = Σ_c w_c y_c F_c, are formed, solved and formed again.

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

__all__ = ["fit_rows"]

# Where the weights come from, and the status of a spectrum; as in plkit.physics.nnls.
FIXED: Final = 0
VARIANCE: Final = 1
POISSON: Final = 2
_OK: Final = 0
_AT_BOUND: Final = 1
_NOT_IDENTIFIABLE: Final = 2
_NO_SIGNAL: Final = 3
_FAILED: Final = 4

_F = TypeVar("_F", bound=Callable[..., Any])
# Callees without flags inherit those of whoever compiled first: every helper states its own. Sums
# may be reordered, hence vectorised; nothing may assume that NaN is absent.
_SUMS: Final = {"reassoc", "contract", "nsz"}
_EXACT: Final[set[str]] = set()


def _njit(fastmath: set[str]) -> Callable[[_F], _F]:
    """Compile without the GIL, cached on disk where a folder can be written."""

    def decorate(function: _F) -> _F:
        options: dict[str, Any] = {
            "fastmath": fastmath or False,
            "error_model": "numpy",
            "nogil": True,
        }
        try:
            compiled = nb.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no folder for its cache
            compiled = nb.njit(**options)(function)
        return compiled  # type: ignore[no-any-return]

    return decorate


# Small dense algebra ----------------------------------------------------------------------------
@_njit(_EXACT)
def _cholesky(gram, index, n, factor):
    """Factor the rows and columns ``index[:n]`` of ``gram``; False where they depend on each other."""
    for i in range(n):
        for j in range(i):
            s = gram[index[i], index[j]]
            for m in range(j):
                s -= factor[i, m] * factor[j, m]
            factor[i, j] = s * factor[j, j]
        whole = gram[index[i], index[i]]
        s = whole
        for m in range(i):
            s -= factor[i, m] * factor[i, m]
        if not s > 1e-13 * whole:
            return False
        factor[i, i] = 1.0 / np.sqrt(s)  # the diagonal holds reciprocals
    return True


@_njit(_EXACT)
def _substitute(factor, index, n, rhs, out):
    """Solve with a factor; entries of ``out`` off ``index[:n]`` are left alone."""
    for i in range(n):
        value = rhs[index[i]]
        for j in range(i):
            value -= factor[i, j] * out[index[j]]
        out[index[i]] = value * factor[i, i]
    for i in range(n - 1, -1, -1):
        value = out[index[i]]
        for j in range(i + 1, n):
            value -= factor[j, i] * out[index[j]]
        out[index[i]] = value * factor[i, i]


@_njit(_EXACT)
def _members(support, k, index):
    n = 0
    for i in range(k):
        if (support >> i) & 1:
            index[n] = i
            n += 1
    return n


@_njit(_EXACT)
def _solve_bounded(gram, rhs, n_bounded, index, factor, trial, out):
    """Minimise ½ aᵀGa − hᵀa with the first ``n_bounded`` terms ≥ 0; support, or −1 if singular.

    The minimum lies on one support, where it is the free minimum. Among the supports whose free
    minimum is feasible it is the one with the largest hᵀa.
    """
    k = gram.shape[0]
    full = (1 << k) - 1
    n = _members(full, k, index)
    if not _cholesky(gram, index, n, factor):
        return -1
    _substitute(factor, index, n, rhs, out)
    feasible = True
    for i in range(n_bounded):
        feasible = feasible and out[i] >= 0.0
    if feasible:
        return full
    best, gain = -1, -np.inf
    free = full & ~((1 << n_bounded) - 1)
    for bits in range((1 << n_bounded) - 1):
        support = bits | free
        n = _members(support, k, index)
        if not _cholesky(gram, index, n, factor):
            continue
        for i in range(k):
            trial[i] = 0.0
        _substitute(factor, index, n, rhs, trial)
        feasible = True
        value = 0.0
        for i in range(k):
            feasible = feasible and (i >= n_bounded or trial[i] >= 0.0)
            value += rhs[i] * trial[i]
        if feasible and value > gain:
            best, gain = support, value
            for i in range(k):
                out[i] = trial[i]
    return best


@_njit(_EXACT)
def _invert(gram, factored, index, factor, column, unit, out):
    """Inverse of ``gram``, whose whole factor may be there already; False where it is singular."""
    k = gram.shape[0]
    n = _members((1 << k) - 1, k, index)
    if not factored and not _cholesky(gram, index, n, factor):
        return False
    for i in range(k):
        for j in range(k):
            unit[j] = 0.0
        unit[i] = 1.0
        _substitute(factor, index, n, unit, column)
        for j in range(k):
            out[j, i] = column[j]
    return True


# Rows of channels -------------------------------------------------------------------------------
# A loop that stores may compare at most eight pointers before LLVM gives up vectorising it, hence
# several short loops; those over two to four terms are written out, so that sums stay in registers.
@_njit(_SUMS)
def _load(counts, y, good):
    """Copy a row; what is NaN or infinite becomes 0 and is marked so. Returns how many are good."""
    one, zero = y.dtype.type(1.0), y.dtype.type(0.0)
    n = zero
    for c in range(y.size):
        value = y.dtype.type(counts[c])
        finite = abs(value) <= 3.0e38
        y[c] = value if finite else zero
        good[c] = one if finite else zero
        n += good[c]
    return int(n)


@_njit(_SUMS)
def _use_variance(variance, good, w):
    """Weights 1/variance; a value without a variance is left out. Returns how many are left."""
    one, zero = w.dtype.type(1.0), w.dtype.type(0.0)
    n = zero
    for c in range(w.size):
        v = w.dtype.type(variance[c])
        usable = v > zero and v <= 3.0e38 and good[c] > zero
        good[c] = one if usable else zero
        w[c] = one / v if usable else zero
        n += good[c]
    return int(n)


@_njit(_SUMS)
def _multiply(a, b, out):
    for c in range(out.size):
        out[c] = a[c] * b[c]


@_njit(_SUMS)
def _use_model(m, least, gain, floor, w):
    """1/variance of the expected counts; gain and floor of one entry hold for all channels."""
    one = w.dtype.type(1.0)
    if gain.size == 1:
        g, f = gain[0], floor[0]
        for c in range(w.size):
            w[c] = one / (g * max(m[c], least[c]) + f)
    else:
        for c in range(w.size):
            w[c] = one / (gain[c] * max(m[c], least[c]) + floor[c])


@_njit(_SUMS)
def _expected(basis, amplitude, m):
    """Σ_j a_j F_j."""
    k, n = basis.shape
    real = m.dtype.type
    a0 = real(amplitude[0])
    if k == 2:
        a1 = real(amplitude[1])
        for c in range(n):
            m[c] = a0 * basis[0, c] + a1 * basis[1, c]
    elif k == 3:
        a1, a2 = real(amplitude[1]), real(amplitude[2])
        for c in range(n):
            m[c] = a0 * basis[0, c] + a1 * basis[1, c] + a2 * basis[2, c]
    else:
        for c in range(n):
            m[c] = a0 * basis[0, c]
        for j in range(1, k):
            a1 = real(amplitude[j])
            for c in range(n):
                m[c] += a1 * basis[j, c]


@_njit(_SUMS)
def _dot(w, basis, i):
    s = w.dtype.type(0.0)
    for c in range(w.size):
        s += w[c] * basis[i, c]
    return s


@_njit(_SUMS)
def _project(w, y, basis, i):
    s = w.dtype.type(0.0)
    for c in range(w.size):
        s += w[c] * y[c] * basis[i, c]
    return s


@_njit(_SUMS)
def _overlap(w, basis, i, j):
    s = w.dtype.type(0.0)
    for c in range(w.size):
        s += w[c] * basis[i, c] * basis[j, c]
    return s


@_njit(_SUMS)
def _sums2(basis, w, y, gram, rhs):
    g00 = g01 = g11 = h0 = h1 = w.dtype.type(0.0)
    for c in range(w.size):
        f0, f1 = basis[0, c], basis[1, c]
        t0, t1 = w[c] * f0, w[c] * f1
        g00 += t0 * f0
        g01 += t0 * f1
        g11 += t1 * f1
        h0 += t0 * y[c]
        h1 += t1 * y[c]
    gram[0, 0], gram[1, 0], gram[1, 1] = g00, g01, g11
    rhs[0], rhs[1] = h0, h1


@_njit(_SUMS)
def _sums3(basis, w, y, gram, rhs):
    g00 = g01 = g11 = g02 = g12 = g22 = h0 = h1 = h2 = w.dtype.type(0.0)
    for c in range(w.size):
        f0, f1, f2 = basis[0, c], basis[1, c], basis[2, c]
        t0, t1, t2 = w[c] * f0, w[c] * f1, w[c] * f2
        g00 += t0 * f0
        g01 += t0 * f1
        g02 += t0 * f2
        g11 += t1 * f1
        g12 += t1 * f2
        g22 += t2 * f2
        h0 += t0 * y[c]
        h1 += t1 * y[c]
        h2 += t2 * y[c]
    gram[0, 0], gram[1, 0], gram[1, 1] = g00, g01, g11
    gram[2, 0], gram[2, 1], gram[2, 2] = g02, g12, g22
    rhs[0], rhs[1], rhs[2] = h0, h1, h2


@_njit(_SUMS)
def _sums4(basis, w, y, gram, rhs):
    g00 = g01 = g11 = g02 = g12 = g22 = g03 = g13 = g23 = g33 = w.dtype.type(0.0)
    h0 = h1 = h2 = h3 = w.dtype.type(0.0)
    for c in range(w.size):
        f0, f1, f2, f3 = basis[0, c], basis[1, c], basis[2, c], basis[3, c]
        t0, t1, t2, t3 = w[c] * f0, w[c] * f1, w[c] * f2, w[c] * f3
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
        h0 += t0 * y[c]
        h1 += t1 * y[c]
        h2 += t2 * y[c]
        h3 += t3 * y[c]
    gram[0, 0], gram[1, 0], gram[1, 1] = g00, g01, g11
    gram[2, 0], gram[2, 1], gram[2, 2] = g02, g12, g22
    gram[3, 0], gram[3, 1], gram[3, 2], gram[3, 3] = g03, g13, g23, g33
    rhs[0], rhs[1], rhs[2], rhs[3] = h0, h1, h2, h3


@_njit(_EXACT)
def _normal_equations(basis, w, y, gram, rhs):
    """G = Σ_c w_c F_c F_cᵀ and h = Σ_c w_c y_c F_c."""
    k = basis.shape[0]
    if k == 2:
        _sums2(basis, w, y, gram, rhs)
    elif k == 3:
        _sums3(basis, w, y, gram, rhs)
    elif k == 4:
        _sums4(basis, w, y, gram, rhs)
    else:
        for i in range(k):
            rhs[i] = _project(w, y, basis, i)
            for j in range(i + 1):
                gram[i, j] = _overlap(w, basis, i, j)
    for i in range(k):
        for j in range(i):
            gram[j, i] = gram[i, j]


@_njit(_SUMS)
def _normalise(w, m, y, e):
    """Residuals in units of their σ; returns their sum of squares."""
    chisqr = e.dtype.type(0.0)
    for c in range(e.size):
        e[c] = np.sqrt(w[c]) * (y[c] - m[c])
        chisqr += e[c] * e[c]
    return chisqr


@_njit(_SUMS)
def _residual_sums(m, y, least):
    """Sums of squares of residual and data, and how many expectations lie below ``least``."""
    one, zero = m.dtype.type(1.0), m.dtype.type(0.0)
    squares = signal = low = zero
    for c in range(m.size):
        r = y[c] - m[c]
        squares += r * r
        signal += y[c] * y[c]
        low += one if m[c] < least[c] else zero
    return squares, signal, low


@_njit(_SUMS)
def _lag_one(e):
    s = e.dtype.type(0.0)
    for c in range(e.size - 1):
        s += e[c] * e[c + 1]
    return s


@_njit(_SUMS)
def _residual_rhs(basis, w, m, y, rhs):
    """Σ_c w_c (y_c − m_c) F_c."""
    k = basis.shape[0]
    zero = w.dtype.type(0.0)
    if k == 3:
        h0 = h1 = h2 = zero
        for c in range(w.size):
            t = w[c] * (y[c] - m[c])
            h0 += t * basis[0, c]
            h1 += t * basis[1, c]
            h2 += t * basis[2, c]
        rhs[0], rhs[1], rhs[2] = h0, h1, h2
        return
    for i in range(k):
        h0 = zero
        for c in range(w.size):
            h0 += w[c] * (y[c] - m[c]) * basis[i, c]
        rhs[i] = h0


@_njit(_SUMS)
def _trusted(m, gain, floor, good, w, q):
    """Share of each channel's variance that the model expects; below 1 where ``least`` stepped in."""
    zero = q.dtype.type(0.0)
    total = zero
    several = gain.size - 1 > 0
    for c in range(q.size):
        g = gain[c] if several else gain[0]
        f = floor[c] if several else floor[0]
        q[c] = min(w[c] * (g * max(m[c], zero) + f), good[c])
        total += q[c]
    return total


# One spectrum, many spectra ---------------------------------------------------------------------
@_njit(_EXACT)
def _shares(a, cov, brightness, share, stderr):
    """Shares f_i = b_i/Σb of b = a/brightness, with σ from the full covariance; Σb and its σ.

    ∂f_i/∂b_j = (δ_ij − f_i)/Σb, hence
    var f_i = [C_ii − 2 f_i Σ_j C_ij + f_i² Σ_jk C_jk]/(Σb)².
    """
    n = brightness.size
    total = 0.0
    everything = 0.0
    for i in range(n):
        total += a[i] / brightness[i]
        for j in range(n):
            everything += cov[i, j] / (brightness[i] * brightness[j])
    for i in range(n):
        if not total > 0.0:
            share[i] = stderr[i] = np.nan
            continue
        f = a[i] / brightness[i] / total
        row = 0.0
        for j in range(n):
            row += cov[i, j] / (brightness[i] * brightness[j])
        own = cov[i, i] / (brightness[i] * brightness[i])
        share[i] = f
        stderr[i] = np.sqrt(max(own - 2.0 * f * row + f * f * everything, 0.0)) / total
    return total, np.sqrt(everything)


@_njit(_EXACT)
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
def fit_rows(
    counts, variance, basis, row, gain, floor, least, gram0, step, brightness,
    n_bounded, mode, scale, rounds, moments,
    amplitude, covariance, fraction, fraction_stderr, corrected, corrected_stderr, stats, status,
):  # fmt: skip
    """Fit every row of ``counts``; arguments as :func:`plkit.physics.nnls.fit_spectra` makes them.

    ``gain`` and ``floor`` have one entry where they are the same in all channels; ``gram0`` is the Gram
    matrix under the weights ``row``; ``step`` the amplitude of one electron in each term; ``moments``
    what :func:`plkit.physics.nnls.structure_moments` gives. The last eight are filled.
    """
    k, n = basis.shape
    n_comp = brightness.size
    ones = np.ones(n_comp)
    equal = bool(np.all(brightness == 1.0))
    y = np.empty(n, basis.dtype)
    good, m, w = np.empty_like(y), np.empty_like(y), np.empty_like(y)
    e, q = np.empty_like(y), np.empty_like(y)
    gram, factor = np.empty((k, k)), np.empty((k, k))
    rhs, trial, unit, previous = np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    index = np.empty(k, np.int64)
    for p in range(counts.shape[0]):
        a = amplitude[p]
        cov = covariance[p]
        n_good = _load(counts[p], y, good)
        clean = n_good == n
        if mode == VARIANCE and n_good > 0:
            n_good = _use_variance(variance[p], good, w)
            clean = n_good == n
            if not clean:
                _multiply(y, good, y)
        support = -1
        if n_good >= k:
            if mode != VARIANCE and clean:
                _multiply(row, y, e)
                for i in range(k):
                    rhs[i] = _dot(e, basis, i)
                    for j in range(k):
                        gram[i, j] = gram0[i, j]
            else:
                if mode != VARIANCE:
                    _multiply(row, good, w)
                _normal_equations(basis, w, y, gram, rhs)
            support = _solve_bounded(gram, rhs, n_bounded, index, factor, trial, a)
        if mode == POISSON:
            for _ in range(rounds):
                if support < 0:
                    break
                for i in range(k):
                    previous[i] = a[i]
                _expected(basis, a, m)
                _use_model(m, least, gain, floor, w)
                if not clean:
                    _multiply(w, good, w)
                _normal_equations(basis, w, y, gram, rhs)
                support = _solve_bounded(gram, rhs, n_bounded, index, factor, trial, a)
                if support >= 0 and _settled(a, previous, step, gram):
                    break
        elif mode == FIXED:
            _multiply(row, good, w)
        whole = support == (1 << k) - 1
        if support < 0 or not _invert(gram, whole, index, factor, trial, unit, cov):
            for i in range(k):
                a[i] = np.nan
                for j in range(k):
                    cov[i, j] = np.nan
            for i in range(n_comp):
                fraction[p, i] = fraction_stderr[p, i] = np.nan
                corrected[p, i] = corrected_stderr[p, i] = np.nan
            stats[p, 0] = stats[p, 1] = stats[p, 2] = np.nan
            status[p] = _FAILED if n_good > 0 else _NO_SIGNAL
            continue

        n_active = 0
        for i in range(k):
            n_active += (support >> i) & 1
        _expected(basis, a, m)
        if not clean:
            _multiply(m, good, m)
        if basis.itemsize == 4:
            # Sums in single precision leave 1e-7 of the signal; one step on the residual, which is
            # small, takes it away.
            _residual_rhs(basis, w, m, y, rhs)
            if n_active < k:
                _members(support, k, index)
                _cholesky(gram, index, n_active, factor)
            for i in range(k):
                trial[i] = 0.0
            _substitute(factor, index, n_active, rhs, trial)
            for i in range(k):
                a[i] += trial[i]
                if i < n_bounded and a[i] < 0.0:
                    a[i] = 0.0
        squares, signal, low = _residual_sums(m, y, least)
        chisqr = float(_normalise(w, m, y, e))
        if mode == POISSON and low > 0.0:
            trusted = float(_trusted(m, gain, floor, good, w, q))
            pairs = float(_lag_one(q))
        else:
            trusted = float(n_good)
            pairs = float(n - 1) if clean else float(_lag_one(good))
        dof = trusted - n_active
        redchi = chisqr / dof if dof > 0.5 else np.nan
        stats[p, 0] = np.sqrt(squares / n_good)
        stats[p, 1] = redchi
        # E and Var of Σ e_c e_(c+1) for white noise, less what the fit itself removes.
        share = n_active / k
        var = pairs - moments[1] * share
        stats[p, 2] = np.nan
        if dof > 0.5 and var > 0.0:
            if squares <= (1e-12 if basis.itemsize == 4 else 1e-26) * signal or chisqr == 0.0:
                stats[p, 2] = 0.0  # nothing but rounding is left
            else:
                stats[p, 2] = (float(_lag_one(e)) / redchi + moments[0] * share) / np.sqrt(var)
        if scale:
            for i in range(k):
                for j in range(k):
                    cov[i, j] *= redchi
        total, sigma = _shares(a, cov, ones, fraction[p], fraction_stderr[p])
        corrected_total = total
        if equal:
            for i in range(n_comp):
                corrected[p, i], corrected_stderr[p, i] = fraction[p, i], fraction_stderr[p, i]
        else:
            corrected_total, _ = _shares(a, cov, brightness, corrected[p], corrected_stderr[p])
        status[p] = _OK
        for i in range(n_bounded):
            if not (support >> i) & 1:
                status[p] = _AT_BOUND
        if total <= sigma:
            status[p] = _NOT_IDENTIFIABLE
        if not (total > 0.0 and corrected_total > 0.0):
            status[p] = _NO_SIGNAL
