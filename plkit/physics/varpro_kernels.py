"""Compiled steps of the biexponential fit by variable projection; see :mod:`plkit.physics.varpro`.

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

__all__ = ["CONVERGED", "NOT_CONVERGED", "NO_DATA", "fit_rows"]

Floats = NDArray[np.float64]
_F = TypeVar("_F", bound=Callable[..., Any])

MAX_STARTS: Final = 5
MAX_COMPANIONS: Final = 3
MAX_STEPS: Final = 60
EDGE: Final = 1e-9
"""Distance in ln k at which a rate counts as being at the edge of its range."""
RATE_TOLERANCE: Final = 1e-7
"""Convergence: the predicted fall of χ², relative to χ²."""
CONVERGED, NOT_CONVERGED, NO_DATA = 0, 1, 2

# numba callees inherit the caller's fastmath flags when they set none: every helper sets its own.
_EXACT: Final = {"contract"}
_SUMS: Final = {"contract", "reassoc", "nsz"}


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


@_njit(_EXACT)
def _exp(x: float) -> float:
    """exp(x) for −700 ≤ x ≤ 0, without branches so that loops over it vectorise."""
    x = max(x, -700.0)
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
    return float(p * _float_from_bits(bits))  # type: ignore[call-arg]


@_njit(_EXACT)
def _exponentials(t: Floats, ka: float, kb: float, ea: Floats, eb: Floats) -> None:
    for i in range(t.size):
        ea[i] = _exp(-ka * t[i])
    for i in range(t.size):
        eb[i] = _exp(-kb * t[i])


@_njit(_SUMS)
def _sums(
    t: Floats, y: Floats, w: Floats, ea: Floats, eb: Floats, ka: float, kb: float, s: Floats
) -> None:
    """Weighted products of the columns ea, eb, 1, ∂ea/∂ln ka, ∂eb/∂ln kb, and of each with y."""
    aa = ab = a1 = ada = adb = 0.0
    bb = b1 = bda = bdb = 0.0
    oo = oda = odb = 0.0
    dada = dadb = dbdb = 0.0
    ya = yb = yo = yda = ydb = yy = 0.0
    for i in range(t.size):
        wi, a, b, yi = w[i], ea[i], eb[i], y[i]
        da = -ka * t[i] * a
        db = -kb * t[i] * b
        wa, wb, wda, wdb, wy = wi * a, wi * b, wi * da, wi * db, wi * yi
        aa += wa * a
        ab += wa * b
        a1 += wa
        ada += wa * da
        adb += wa * db
        bb += wb * b
        b1 += wb
        bda += wb * da
        bdb += wb * db
        oo += wi
        oda += wda
        odb += wdb
        dada += wda * da
        dadb += wda * db
        dbdb += wdb * db
        ya += wy * a
        yb += wy * b
        yo += wy
        yda += wy * da
        ydb += wy * db
        yy += wy * yi
    s[0], s[1], s[2], s[3], s[4] = aa, ab, a1, ada, adb
    s[5], s[6], s[7], s[8] = bb, b1, bda, bdb
    s[9], s[10], s[11] = oo, oda, odb
    s[12], s[13], s[14] = dada, dadb, dbdb
    s[15], s[16], s[17], s[18], s[19], s[20] = ya, yb, yo, yda, ydb, yy


@_njit(_EXACT)
def _nnls3(
    aa: float, ab: float, a1: float, bb: float, b1: float, oo: float,
    ya: float, yb: float, yo: float, plateau: bool, c: Floats,
) -> float:  # fmt: skip
    """Non-negative amplitudes of two exponentials and a constant; returns the explained χ².

    The supports are tried from the fullest down. The problem is convex, so the best support whose
    unconstrained solution is not negative is the solution.
    """
    tiny = 1e-11
    best = 0.0
    c[0] = c[1] = c[2] = 0.0
    if plateau and oo > 0.0:
        # all three, then two with the constant
        paa, pab, pbb = aa - a1 * a1 / oo, ab - a1 * b1 / oo, bb - b1 * b1 / oo
        pya, pyb = ya - a1 * yo / oo, yb - b1 * yo / oo
        det = paa * pbb - pab * pab
        if paa > tiny * aa and pbb > tiny * bb and det > tiny * paa * pbb:
            xa, xb = (pbb * pya - pab * pyb) / det, (paa * pyb - pab * pya) / det
            xo = (yo - a1 * xa - b1 * xb) / oo
            if xa >= 0.0 and xb >= 0.0 and xo >= 0.0:
                c[0], c[1], c[2] = xa, xb, xo
                return xa * ya + xb * yb + xo * yo
        if paa > tiny * aa:
            xa = pya / paa
            xo = (yo - a1 * xa) / oo
            gain = xa * ya + xo * yo
            if xa >= 0.0 and xo >= 0.0 and gain > best:
                best = gain
                c[0], c[1], c[2] = xa, 0.0, xo
        if pbb > tiny * bb:
            xb = pyb / pbb
            xo = (yo - b1 * xb) / oo
            gain = xb * yb + xo * yo
            if xb >= 0.0 and xo >= 0.0 and gain > best:
                best = gain
                c[0], c[1], c[2] = 0.0, xb, xo
        if yo > 0.0 and yo * yo / oo > best:
            best = yo * yo / oo
            c[0], c[1], c[2] = 0.0, 0.0, yo / oo
    det = aa * bb - ab * ab
    if det > tiny * aa * bb:
        xa, xb = (bb * ya - ab * yb) / det, (aa * yb - ab * ya) / det
        gain = xa * ya + xb * yb
        if xa >= 0.0 and xb >= 0.0 and gain > best:
            best = gain
            c[0], c[1], c[2] = xa, xb, 0.0
    if aa > 0.0 and ya > 0.0 and ya * ya / aa > best:
        best = ya * ya / aa
        c[0], c[1], c[2] = ya / aa, 0.0, 0.0
    if bb > 0.0 and yb > 0.0 and yb * yb / bb > best:
        best = yb * yb / bb
        c[0], c[1], c[2] = 0.0, yb / bb, 0.0
    return best


@_njit(_EXACT)
def _evaluate(
    t: Floats, y: Floats, w: Floats, la: float, lb: float, plateau: bool,
    ea: Floats, eb: Floats, s: Floats, c: Floats,
) -> float:  # fmt: skip
    """χ² at the rates exp(la), exp(lb) with the best amplitudes, which are left in ``c``."""
    ka, kb = math.exp(la), math.exp(lb)
    _exponentials(t, ka, kb, ea, eb)
    _sums(t, y, w, ea, eb, ka, kb, s)
    gain = _nnls3(s[0], s[1], s[2], s[5], s[6], s[9], s[15], s[16], s[17], plateau, c)
    return float(max(s[20] - gain, 0.0))


@_njit(_EXACT)
def _projected(s: Floats, c: Floats, plateau: bool, h: Floats, g: Floats) -> None:
    """Kaufman's normal equations in (ln ka, ln kb): h = [aa, ab, bb] and the downhill vector g."""
    # columns of the amplitudes that are not at zero, as indices into the 3 × 3 Gram matrix
    gram = ((s[0], s[1], s[2]), (s[1], s[5], s[6]), (s[2], s[6], s[9]))
    da, db = (s[3], s[7], s[10]), (s[4], s[8], s[11])
    raa, rab, rbb = s[12], s[13], s[14]
    ga, gb = s[18], s[19]
    for i in range(3):
        ga -= c[i] * da[i]
        gb -= c[i] * db[i]
    # Gram–Schmidt in coefficient space: subtract the part of the derivative columns that the
    # live amplitudes can take over.
    q = np.zeros((3, 3))
    n = 0
    live = (c[0] > 0.0, c[1] > 0.0, plateau and c[2] > 0.0)
    order = (2, 0, 1)
    for k in range(3):
        j = order[k]
        if not live[j]:
            continue
        v0, v1, v2 = 0.0, 0.0, 0.0
        if j == 0:
            v0 = 1.0
        elif j == 1:
            v1 = 1.0
        else:
            v2 = 1.0
        norm0 = gram[j][j]
        for m in range(n):
            dot = 0.0
            for i in range(3):
                dot += q[m, i] * gram[j][i]
            v0 -= dot * q[m, 0]
            v1 -= dot * q[m, 1]
            v2 -= dot * q[m, 2]
        norm = 0.0
        v = (v0, v1, v2)
        for i in range(3):
            for k2 in range(3):
                norm += v[i] * gram[i][k2] * v[k2]
        if norm <= 1e-12 * norm0:
            continue
        scale = 1.0 / math.sqrt(norm)
        pa = pb = 0.0
        for i in range(3):
            q[n, i] = v[i] * scale
            pa += q[n, i] * da[i]
            pb += q[n, i] * db[i]
        raa -= pa * pa
        rab -= pa * pb
        rbb -= pb * pb
        n += 1
    h[0], h[1], h[2] = c[0] * c[0] * max(raa, 0.0), c[0] * c[1] * rab, c[1] * c[1] * max(rbb, 0.0)
    g[0], g[1] = c[0] * ga, c[1] * gb


@_njit(_EXACT)
def _held(x: float, downhill: float, lo: float, hi: float) -> bool:
    return (x <= lo + EDGE and downhill < 0.0) or (x >= hi - EDGE and downhill > 0.0)


@_njit(_EXACT)
def _search(
    t: Floats, y: Floats, w: Floats, start: Floats, lo: float, hi: float, plateau: bool,
    work: Floats, c: Floats,
) -> tuple[float, int, bool]:  # fmt: skip
    """Levenberg–Marquardt in (ln ka, ln kb) inside the box [lo, hi]²; ``start`` is moved."""
    n = t.size
    ea, eb = work[0, :n], work[1, :n]
    s, s_new = work[2, :21], work[3, :21]
    h, g, c_new = work[4, :3], work[4, 3:5], work[4, 5:8]
    chi2 = _evaluate(t, y, w, start[0], start[1], plateau, ea, eb, s, c)
    nfev, damping = 1, 1e-3
    floor = 1e-15 * s[20]  # rounding of χ² as a difference of sums
    _projected(s, c, plateau, h, g)
    for _ in range(MAX_STEPS):
        # A rate at the edge of the box with the step pointing outward stays there.
        free_a = h[0] > 0.0 and not _held(start[0], g[0], lo, hi)
        free_b = h[2] > 0.0 and not _held(start[1], g[1], lo, hi)
        if not (free_a or free_b):
            return chi2, nfev, True
        haa, hbb = h[0] * (1.0 + damping), h[2] * (1.0 + damping)
        da = db = 0.0
        if free_a and free_b:
            det = haa * hbb - h[1] * h[1]
            if det <= 0.0:
                damping = max(damping * 10.0, 1e-3)
                if damping > 1e12:
                    return chi2, nfev, False
                continue
            da, db = (hbb * g[0] - h[1] * g[1]) / det, (haa * g[1] - h[1] * g[0]) / det
            # Coupling can push a rate out of the box although its own slope points inward.
            if _held(start[0], da, lo, hi):
                da, db = 0.0, g[1] / hbb
            elif _held(start[1], db, lo, hi):
                da, db = g[0] / haa, 0.0
        elif free_a:
            da = g[0] / haa
        else:
            db = g[1] / hbb
        # Shorten the whole step, never one component alone: a bent step can point uphill.
        scale = min(1.0, 2.0 / max(abs(da), abs(db), 1e-300))
        if free_a and da != 0.0:
            edge = hi - start[0] if da > 0.0 else start[0] - lo
            scale = min(scale, edge / abs(da))
        if free_b and db != 0.0:
            edge = hi - start[1] if db > 0.0 else start[1] - lo
            scale = min(scale, edge / abs(db))
        da, db = scale * da, scale * db
        predicted = 2.0 * (g[0] * da + g[1] * db) - (
            h[0] * da * da + 2.0 * h[1] * da * db + h[2] * db * db
        )
        if predicted <= RATE_TOLERANCE * chi2 + floor and scale == 1.0 and damping <= 1.0:
            return chi2, nfev, True
        new_a, new_b = min(max(start[0] + da, lo), hi), min(max(start[1] + db, lo), hi)
        chi2_new = _evaluate(t, y, w, new_a, new_b, plateau, ea, eb, s_new, c_new)
        nfev += 1
        if chi2_new <= chi2:
            gain = (chi2 - chi2_new) / max(predicted, 1e-300)
            moved = chi2 - chi2_new
            start[0], start[1] = new_a, new_b
            chi2 = chi2_new
            for i in range(21):
                s[i] = s_new[i]
            for i in range(3):
                c[i] = c_new[i]
            damping = max(damping * 0.1, 1e-12) if gain > 0.25 else min(damping * 2.0, 1e8)
            _projected(s, c, plateau, h, g)
            if (
                scale == 1.0
                and moved <= RATE_TOLERANCE * chi2 + floor
                and predicted <= RATE_TOLERANCE * chi2 + floor
            ):
                return chi2, nfev, True
        else:
            if chi2_new - chi2 <= 4.0 * floor and predicted <= 1e-6 * chi2 + 4.0 * floor:
                return chi2, nfev, True
            damping = max(damping * 8.0, 1e-4)
            if damping > 1e12:
                return chi2, nfev, False
    return chi2, nfev, False


@_njit(_SUMS)
def _normal(
    t: Floats, y: Floats, w: Floats, p: Floats, ea: Floats, eb: Floats, h: Floats, g: Floats
) -> float:
    """Normal equations in (k01, ln ka, k02, ln kb, plateau) from explicit residuals; returns χ²."""
    ka, kb = math.exp(p[1]), math.exp(p[3])
    ca, cb, c0 = p[0], p[2], p[4]
    h00 = h01 = h02 = h03 = h04 = 0.0
    h11 = h12 = h13 = h14 = h22 = h23 = h24 = h33 = h34 = h44 = 0.0
    g0 = g1 = g2 = g3 = g4 = chi2 = 0.0
    for i in range(t.size):
        wi, a, b = w[i], ea[i], eb[i]
        r = y[i] - (ca * a + cb * b + c0)
        da, db = -ca * ka * t[i] * a, -cb * kb * t[i] * b
        wa, wb, wda, wdb, wr = wi * a, wi * b, wi * da, wi * db, wi * r
        h00 += wa * a
        h01 += wa * da
        h02 += wa * b
        h03 += wa * db
        h04 += wa
        h11 += wda * da
        h12 += wda * b
        h13 += wda * db
        h14 += wda
        h22 += wb * b
        h23 += wb * db
        h24 += wb
        h33 += wdb * db
        h34 += wdb
        h44 += wi
        g0 += wr * a
        g1 += wr * da
        g2 += wr * b
        g3 += wr * db
        g4 += wr
        chi2 += wr * r
    h[0, 0], h[0, 1], h[0, 2], h[0, 3], h[0, 4] = h00, h01, h02, h03, h04
    h[1, 1], h[1, 2], h[1, 3], h[1, 4] = h11, h12, h13, h14
    h[2, 2], h[2, 3], h[2, 4], h[3, 3], h[3, 4], h[4, 4] = h22, h23, h24, h33, h34, h44
    for i in range(5):
        for j in range(i):
            h[i, j] = h[j, i]
    g[0], g[1], g[2], g[3], g[4] = g0, g1, g2, g3, g4
    return chi2


@_njit(_EXACT)
def _inverse(h: Floats, live: NDArray[np.bool_], out: Floats) -> bool:
    """Inverse of the live rows and columns of ``h`` after scaling to a unit diagonal."""
    index = np.empty(5, np.int64)
    n = 0
    for i in range(5):
        if live[i]:
            index[n] = i
            n += 1
    low = np.zeros((5, 5))
    d = np.empty(5)
    for i in range(n):
        if not h[index[i], index[i]] > 0.0:
            return False
        d[i] = 1.0 / math.sqrt(h[index[i], index[i]])
    for i in range(n):
        for j in range(i + 1):
            v = h[index[i], index[j]] * d[i] * d[j]
            for k in range(j):
                v -= low[i, k] * low[j, k]
            if i == j:
                if not v > 1e-13:
                    return False
                low[i, i] = math.sqrt(v)
            else:
                low[i, j] = v / low[j, j]
    inv = np.zeros((5, 5))
    for i in range(n):
        inv[i, i] = 1.0 / low[i, i]
        for j in range(i):
            v = 0.0
            for k in range(j, i):
                v -= low[i, k] * inv[k, j]
            inv[i, j] = v / low[i, i]
    for i in range(n):
        for j in range(n):
            v = 0.0
            for k in range(max(i, j), n):
                v += inv[k, i] * inv[k, j]
            out[index[i], index[j]] = v * d[i] * d[j]
    return True


@_njit(_EXACT)
def _polish(
    t: Floats, y: Floats, w: Floats, p: Floats, lo: float, hi: float, plateau: bool,
    work: Floats, h: Floats,
) -> tuple[float, int]:  # fmt: skip
    """Gauss–Newton in all live parameters while it lowers χ² inside the bounds; fills ``h``."""
    n = t.size
    ea, eb = work[0, :n], work[1, :n]
    g, inv = np.zeros(5), np.zeros((5, 5))
    h_new, g_new = np.zeros((5, 5)), np.zeros(5)
    trial = np.empty(5)
    _exponentials(t, math.exp(p[1]), math.exp(p[3]), ea, eb)
    chi2 = _normal(t, y, w, p, ea, eb, h, g)
    nfev = 1
    live = np.zeros(5, np.bool_)
    for _ in range(4):
        for i in (0, 2):
            live[i] = p[i] > 0.0
            live[i + 1] = live[i] and not _held(p[i + 1], g[i + 1], lo, hi)
        live[4] = plateau and p[4] > 0.0
        if not _inverse(h, live, inv):
            break
        predicted = largest = 0.0
        for i in range(5):
            trial[i] = p[i]
            if live[i]:
                step = 0.0
                for j in range(5):
                    if live[j]:
                        step += inv[i, j] * g[j]
                trial[i] += step
                predicted += step * g[i]
                unit = 1.0 if i in (1, 3) else abs(p[i])
                largest = max(largest, abs(step) / unit)
        if largest < 1e-13 or not predicted > 1e-10 * chi2:
            break
        if trial[0] < 0.0 or trial[2] < 0.0 or trial[4] < 0.0:
            break
        if min(trial[1], trial[3]) < lo or max(trial[1], trial[3]) > hi or largest > 1.0:
            break
        _exponentials(t, math.exp(trial[1]), math.exp(trial[3]), ea, eb)
        chi2_new = _normal(t, y, w, trial, ea, eb, h_new, g_new)
        nfev += 1
        if not chi2_new < chi2:
            break
        chi2 = chi2_new
        p[:] = trial
        h[:] = h_new
        g[:] = g_new
    return chi2, nfev


@_njit(_EXACT)
def _covariance(p: Floats, h: Floats, plateau: bool, cov: Floats) -> bool:
    """Covariance in (k01, ka, k02, kb, plateau); NaN for the rate of an amplitude of zero."""
    inv = np.zeros((5, 5))
    live = np.array([True, p[0] > 0.0, True, p[2] > 0.0, plateau])
    good = _inverse(h, live, inv)
    jac = (1.0, math.exp(p[1]), 1.0, math.exp(p[3]), 1.0)
    for i in range(5):
        for j in range(5):
            known = (live[i] or (i == 4)) and (live[j] or (j == 4))
            cov[i, j] = inv[i, j] * jac[i] * jac[j] if good and known else np.nan
    return good


@_njit(_SUMS)
def _prepare_grid(gram: Floats, tables: Floats) -> None:
    """What the scan needs of a Gram matrix: products left when the constant is projected out, and
    reciprocal determinants of pairs with and without the constant (zero where singular).
    """
    n = gram.shape[0] - 1
    oo = gram[n, n]
    for i in range(n):
        for j in range(n):
            tables[0, i, j] = gram[i, j] - gram[i, n] * gram[j, n] / oo
    for i in range(n):
        for j in range(n):
            square = tables[0, i, i] * tables[0, j, j]
            det = square - tables[0, i, j] ** 2
            tables[1, i, j] = 1.0 / det if det > 1e-11 * square else 0.0
            square = gram[i, i] * gram[j, j]
            det = square - gram[i, j] ** 2
            tables[2, i, j] = 1.0 / det if det > 1e-11 * square else 0.0


@_njit(_SUMS)
def _scan(
    gram: Floats, tables: Floats, proj: Floats, plateau: bool, single: Floats, chart: Floats
) -> tuple[int, int]:
    """Explained χ² of every pair of grid rates, and the best pair.

    The best feasible support, as in :func:`_nnls3`, without branches so that it vectorises.
    """
    n = chart.shape[0]
    yo = proj[n]
    oo = gram[n, n]
    schur, inv_full, inv_pair = tables[0], tables[1], tables[2]
    alone = yo * yo / oo if plateau and yo > 0.0 else 0.0
    base = yo * yo / oo
    for i in range(n):
        x = max(proj[i], 0.0)
        single[0, i] = max(x * x / gram[i, i], alone)
        single[1, i] = proj[i] - gram[i, n] * yo / oo
        x = max(single[1, i], 0.0) / schur[i, i] if schur[i, i] > 1e-11 * gram[i, i] else 0.0
        feasible = plateau and yo - gram[i, n] * x >= 0.0
        single[0, i] = max(single[0, i], x * single[1, i] + base if feasible else 0.0)
    best, bi, bj = -1.0, 0, 1
    for i in range(n - 1):
        si, ti, gin = single[0, i], single[1, i], gram[i, n]
        for j in range(i + 1, n):
            tj = single[1, j]
            inv = inv_full[i, j]
            xa = (schur[j, j] * ti - schur[i, j] * tj) * inv
            xb = (schur[i, i] * tj - schur[i, j] * ti) * inv
            rest = yo - gin * xa - gram[j, n] * xb
            full = base + xa * ti + xb * tj if min(min(xa, xb), rest) >= 0.0 and plateau else 0.0
            inv = inv_pair[i, j]
            xa = (gram[j, j] * proj[i] - gram[i, j] * proj[j]) * inv
            xb = (gram[i, i] * proj[j] - gram[i, j] * proj[i]) * inv
            pair = xa * proj[i] + xb * proj[j] if min(xa, xb) >= 0.0 else 0.0
            chart[i, j] = max(max(full, pair), max(si, single[0, j]))
        for j in range(i + 1, n):
            if chart[i, j] > best:
                best, bi, bj = chart[i, j], i, j
    return bi, bj


@_njit(_EXACT)
def _local_maxima(table: Floats, picks: NDArray[np.int64]) -> int:
    """Pairs that explain no less than their neighbours, best first; returns their number."""
    n = table.shape[0]
    values = np.empty(picks.shape[0])
    found = 0
    for i in range(n):
        for j in range(i + 1, n):
            v = table[i, j]
            if found == picks.shape[0] and v <= values[found - 1]:
                continue
            top = True
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    a, b = i + di, j + dj
                    if a < 0 or b >= n or b <= a or (di == 0 and dj == 0):
                        continue
                    # A tie counts once: for the pair that comes first.
                    if table[a, b] > v or (table[a, b] == v and (a < i or (a == i and b < j))):
                        top = False
            if not top:
                continue
            k = min(found, picks.shape[0] - 1)
            while k > 0 and values[k - 1] < v:
                values[k] = values[k - 1]
                picks[k, 0], picks[k, 1] = picks[k - 1, 0], picks[k - 1, 1]
                k -= 1
            values[k] = v
            picks[k, 0], picks[k, 1] = i, j
            found = min(found + 1, picks.shape[0])
    return found


@_njit(_SUMS)
def _dot3(w: Floats, a: Floats, b: Floats) -> float:
    v = 0.0
    for i in range(w.size):
        v += w[i] * a[i] * b[i]
    return v


@_njit(_EXACT)
def _weighted_gram(w: Floats, columns: Floats, gram: Floats) -> None:
    n = columns.shape[0]
    for i in range(n):
        for j in range(i, n):
            gram[i, j] = gram[j, i] = _dot3(w, columns[i], columns[j])


@_njit(_EXACT)
def _anchor(p: Floats, cov: Floats) -> float:
    """ln k that the data determine best: of the live exponential, or of two that have merged."""
    if p[0] <= 0.0 or p[2] <= 0.0:
        return float(p[1] if p[0] > 0.0 else p[3])
    if abs(p[1] - p[3]) < 0.7:
        return float((p[0] * p[1] + p[2] * p[3]) / (p[0] + p[2]))
    first = cov[1, 1] * math.exp(-2.0 * p[1])
    return float(p[1] if first <= cov[3, 3] * math.exp(-2.0 * p[3]) else p[3])


@_njit(_EXACT)
def _companions(
    t: Floats, y: Floats, w: Floats, anchor: float, plateau: bool, columns: Floats, gram: Floats,
    work: Floats, picks: NDArray[np.int64],
) -> int:  # fmt: skip
    """Grid rates that go best with the anchor: maxima along the grid, best first."""
    n = columns.shape[0] - 1
    e, c = work[0, : t.size], np.empty(3)
    k = math.exp(anchor)
    for i in range(t.size):
        e[i] = _exp(-k * t[i])
    one = columns[n]
    ee, e1, ye, yo = _dot3(w, e, e), _dot3(w, e, one), _dot3(w, e, y), _dot3(w, y, one)
    line = np.empty(n)
    for j in range(n):
        line[j] = _nnls3(
            ee, _dot3(w, e, columns[j]), e1, gram[j, j], gram[j, n], gram[n, n],
            ye, _dot3(w, y, columns[j]), yo, plateau, c,
        )  # fmt: skip
    found = 0
    for j in range(n):
        left = line[j - 1] if j > 0 else -1.0
        right = line[j + 1] if j < n - 1 else -1.0
        if line[j] <= left or line[j] < right:
            continue
        m = min(found, picks.size - 1)
        if found == picks.size and line[j] <= line[picks[m]]:
            continue
        while m > 0 and line[picks[m - 1]] < line[j]:
            picks[m] = picks[m - 1]
            m -= 1
        picks[m] = j
        found = min(found + 1, picks.size)
    return found


@_njit(_EXACT)
def _try_start(
    t: Floats, y: Floats, w: Floats, la: float, lb: float, lo: float, hi: float, plateau: bool,
    work: Floats, best: Floats, chi2_best: float,
) -> tuple[float, int, bool]:  # fmt: skip
    """Search from one start; ``best`` is replaced where the new optimum is lower."""
    start = np.array([la, lb])
    c = np.zeros(3)
    chi2, nfev, good = _search(t, y, w, start, lo, hi, plateau, work, c)
    if chi2 < chi2_best:
        best[0], best[1], best[2], best[3], best[4] = c[0], start[0], c[1], start[1], c[2]
        return chi2, nfev, good
    return chi2_best, nfev, good


@_njit(_EXACT)
def _doubtful(p: Floats, cov: Floats, good: bool, lo: float, hi: float, plateau: bool) -> bool:
    """Tell where another basin may be lower: a bound is active or a rate is ill determined."""
    if not good or p[0] <= 0.0 or p[2] <= 0.0 or (plateau and p[4] <= 0.0):
        return True
    if min(p[1], p[3]) <= lo + EDGE or max(p[1], p[3]) >= hi - EDGE:
        return True
    ka, kb = math.exp(p[1]), math.exp(p[3])
    return bool(cov[1, 1] > 0.09 * ka * ka or cov[3, 3] > 0.09 * kb * kb)


@_njit(_EXACT)
def _chart(
    y: Floats, w: Floats, columns: Floats, gram: Floats, tables: Floats, plateau: bool,
    chart: Floats,
) -> tuple[int, int]:  # fmt: skip
    """Scan the grid with the weights of ``gram``, which have to be ``w``."""
    n = columns.shape[0]
    proj, single = np.empty(n), np.empty((2, n - 1))
    for k in range(n):
        proj[k] = _dot3(w, y, columns[k])
    return _scan(gram, tables, proj, plateau, single, chart)


@_njit(_EXACT)
def _escalate(
    t: Floats, y: Floats, w: Floats, bounds: tuple[float, float], plateau: bool, grid: Floats,
    columns: Floats, gram: Floats, chart: Floats, work: Floats, p: Floats, cov: Floats, chi2: float,
    converged: bool,
) -> tuple[float, int, bool]:  # fmt: skip
    """Search from the other basins of the chart, and from new companions of the surer rate.

    The chart alone is not enough: where photons abound, a pair of neighbours on the grid mimics one
    rate between them so much better than the nearest grid rate with its true companion does, that
    the latter is no maximum of the chart.
    """
    lo, hi = bounds
    nfev = 0
    picks = np.zeros((MAX_STARTS, 2), np.int64)
    for k in range(_local_maxima(chart, picks)):
        new, more, good = _try_start(
            t, y, w, grid[picks[k, 0]], grid[picks[k, 1]], lo, hi, plateau, work, p, chi2
        )
        nfev += more
        if new < chi2:
            chi2, converged = new, good
    others = np.zeros(MAX_COMPANIONS, np.int64)
    anchor = _anchor(p, cov)
    for k in range(_companions(t, y, w, anchor, plateau, columns, gram, work, others)):
        new, more, good = _try_start(
            t, y, w, anchor, grid[others[k]], lo, hi, plateau, work, p, chi2
        )  # fmt: skip
        nfev += more
        if new < chi2:
            chi2, converged = new, good
    return chi2, nfev, converged


@_njit(_EXACT)
def _merge(
    t: Floats, y: Floats, w: Floats, bounds: tuple[float, float], plateau: bool, work: Floats,
    p: Floats, chi2: float, h: Floats,
) -> tuple[float, int]:  # fmt: skip
    """Write two exponentials of one rate as one, so that what they share has a σ."""
    lo, hi = bounds
    one = p.copy()
    one[0] = p[0] + p[2]
    one[1] = (p[0] * p[1] + p[2] * p[3]) / one[0]
    one[2], one[3] = 0.0, one[1]
    chi2_one, nfev = _polish(t, y, w, one, lo, hi, plateau, work, h)
    if chi2_one <= chi2 * (1.0 + RATE_TOLERANCE):
        p[:] = one
        return chi2_one, nfev
    return chi2, nfev


@_njit(_EXACT)
def _order(p: Floats, values: Floats, cov: Floats) -> None:
    """Write k01, k1, k02, k2, plateau with the faster rate first, in values and covariance."""
    values[0], values[1], values[2] = p[0], math.exp(p[1]), p[2]
    values[3], values[4] = math.exp(p[3]), p[4]
    if p[3] <= p[1]:
        return
    for i in range(2):
        values[i], values[i + 2] = values[i + 2], values[i]
        for j in range(5):
            cov[i, j], cov[i + 2, j] = cov[i + 2, j], cov[i, j]
    for i in range(2):
        for j in range(5):
            cov[j, i], cov[j, i + 2] = cov[j, i + 2], cov[j, i]


@_njit(_EXACT)
def fit_rows(
    t: Floats, ys: Floats, ws: Floats, bounds: tuple[float, float], plateau: bool, grid: Floats,
    columns: Floats, shared: Floats, values: Floats, covariance: Floats, chi2s: Floats,
    nfevs: NDArray[np.int64], codes: NDArray[np.int8],
) -> None:  # fmt: skip
    """Fit every row; fills ``values``, ``covariance``, ``chi2s``, ``nfevs`` and ``codes``."""
    lo, hi = bounds
    n, ng = t.size, grid.size
    work = np.zeros((5, max(n, 32)))
    gram, own_gram = np.zeros((ng + 1, ng + 1)), np.zeros((ng + 1, ng + 1))
    tables, own_tables = np.zeros((3, ng, ng)), np.zeros((3, ng, ng))
    chart, p, h = np.zeros((ng, ng)), np.zeros(5), np.zeros((5, 5))
    _weighted_gram(shared, columns, gram)
    _prepare_grid(gram, tables)
    for row in range(ys.shape[0]):
        y, w, cov = ys[row], ws[row], covariance[row]
        points = 0
        for i in range(n):
            if w[i] > 0.0:
                points += 1
        if points < (5 if plateau else 4):
            codes[row] = NO_DATA
            continue
        # The first start comes from a chart whose weights all rows share, unless there are gaps.
        own = points < n
        if own:
            _weighted_gram(w, columns, own_gram)
            _prepare_grid(own_gram, own_tables)
            first = _chart(y, w, columns, own_gram, own_tables, plateau, chart)
        else:
            first = _chart(y, shared, columns, gram, tables, plateau, chart)
        chi2, nfev, converged = _try_start(
            t, y, w, grid[first[0]], grid[first[1]], lo, hi, plateau, work, p, np.inf
        )
        chi2, more = _polish(t, y, w, p, lo, hi, plateau, work, h)
        nfev += more
        good = _covariance(p, h, plateau, cov)
        if _doubtful(p, cov, good, lo, hi, plateau):
            if not own:
                _weighted_gram(w, columns, own_gram)
                _prepare_grid(own_gram, own_tables)
                _chart(y, w, columns, own_gram, own_tables, plateau, chart)
            before = chi2
            chi2, more, converged = _escalate(
                t, y, w, bounds, plateau, grid, columns, own_gram, chart, work, p, cov, chi2,
                converged,
            )  # fmt: skip
            nfev += more
            if chi2 < before:
                chi2, more = _polish(t, y, w, p, lo, hi, plateau, work, h)
                nfev += more
                good = _covariance(p, h, plateau, cov)
            if not good and p[0] > 0.0 and p[2] > 0.0 and abs(p[1] - p[3]) < 0.1:
                chi2, more = _merge(t, y, w, bounds, plateau, work, p, chi2, h)
                nfev += more
                _covariance(p, h, plateau, cov)
        chi2s[row], nfevs[row] = chi2, nfev
        _order(p, values[row], cov)
        codes[row] = CONVERGED if converged else NOT_CONVERGED
