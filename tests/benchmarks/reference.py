"""Lowest χ² of a trace by brute force, so that every contender can be measured against it.

All models here are separable: amplitudes enter linearly. For given shapes the amplitudes are exact
(all sets of amplitudes at their bound are tried); the shapes are searched on a dense grid, and from
the deepest few points of it, which must lie apart, by Levenberg–Marquardt with differences. Nothing
here is shared with plkit. On part of the rows the answer is checked against fifty random starts of
scipy's bounded least squares.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba as nb
import numpy as np

from benchmarks.problems import Problem

_BASINS = 6


KINDS = ("biexponential", "gaussian", "asymmetric")
_LN2_4 = 4.0 * math.log(2.0)


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _columns(kind, theta, x, c):
    """Shapes of a model, the constant last."""
    c[-1, :] = 1.0
    if kind == 0:
        for i in range(2):
            k = np.exp(theta[i])
            for j in range(x.size):
                c[i, j] = np.exp(-k * x[j])
        return
    for j in range(x.size):
        d = x[j] - theta[0]
        u = d / np.exp(theta[1])
        if kind == 2:
            u *= 0.5 * (1.0 + np.exp(theta[2] * d))
        c[0, j] = np.exp(-_LN2_4 * u * u)


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _project(c, w, y, bounded, a):
    """Amplitudes of columns c (m, n), those flagged not below zero; returns χ²."""
    m, n = c.shape
    gram, rhs = np.zeros((m, m)), np.zeros(m)
    for i in range(m):
        for k in range(n):
            rhs[i] += w[k] * c[i, k] * y[k]
        for j in range(i + 1):
            s = 0.0
            for k in range(n):
                s += w[k] * c[i, k] * c[j, k]
            gram[i, j] = gram[j, i] = s
    best, trial = 0.0, np.zeros(m)
    a[:] = 0.0
    for support in range(1, 1 << m):
        index = np.array([i for i in range(m) if support >> i & 1])
        size = index.size
        g, h = np.empty((size, size)), np.empty(size)
        for i in range(size):
            h[i] = rhs[index[i]]
            for j in range(size):
                g[i, j] = gram[index[i], index[j]]
        ok = True
        for p in range(size):  # Gauss without pivots: a Gram matrix is positive
            if not g[p, p] > 1e-12 * gram[index[p], index[p]]:
                ok = False
                break
            for i in range(p + 1, size):
                f = g[i, p] / g[p, p]
                for j in range(p, size):
                    g[i, j] -= f * g[p, j]
                h[i] -= f * h[p]
        if not ok:
            continue
        for i in range(size - 1, -1, -1):
            for j in range(i + 1, size):
                h[i] -= g[i, j] * h[j]
            h[i] /= g[i, i]
        gain = 0.0
        for i in range(size):
            gain += h[i] * rhs[index[i]]
            if bounded[index[i]] and h[i] < 0.0:
                ok = False
        if ok and gain > best:
            best = gain
            trial[:] = 0.0
            for i in range(size):
                trial[index[i]] = h[i]
            a[:] = trial
    chi2 = 0.0
    for k in range(n):
        r = y[k]
        for i in range(m):
            r -= a[i] * c[i, k]
        chi2 += w[k] * r * r
    return chi2


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _residual(kind, theta, x, w, y, bounded, c, a, r):
    _columns(kind, theta, x, c)
    chi2 = _project(c, w, y, bounded, a)
    for k in range(y.size):
        s = y[k]
        for i in range(a.size):
            s -= a[i] * c[i, k]
        r[k] = np.sqrt(w[k]) * s
    return chi2


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _polish(kind, theta, low, high, x, w, y, bounded, c, a):
    q, n = theta.size, y.size
    r, r1, jac = np.empty(n), np.empty(n), np.empty((q, n))
    best = _residual(kind, theta, x, w, y, bounded, c, a, r)
    damping, trial, pinned = 1e-3, np.empty(q), np.zeros(q, np.bool_)
    for _ in range(200):
        for j in range(q):
            step = 1e-6 * (high[j] - low[j])
            if theta[j] + step > high[j]:
                step = -step
            trial[:] = theta
            trial[j] += step
            _residual(kind, trial, x, w, y, bounded, c, a, r1)
            for k in range(n):
                jac[j, k] = (r1[k] - r[k]) / step
        gram, slope = jac @ jac.T, jac @ r
        for j in range(q):  # at a bound, and wanting to go further
            pinned[j] = (theta[j] <= low[j] and slope[j] > 0) or (
                theta[j] >= high[j] and slope[j] < 0
            )
            if pinned[j]:
                slope[j] = 0.0
        moved = False
        while damping < 1e12:
            m = gram.copy()
            for j in range(q):
                m[j, j] += damping * gram[j, j] + 1e-300
                if pinned[j]:
                    m[j, :] = 0.0
                    m[:, j] = 0.0
                    m[j, j] = 1.0
            d = np.linalg.solve(m, slope)
            for j in range(q):
                trial[j] = min(max(theta[j] - d[j], low[j]), high[j])
            found = _residual(kind, trial, x, w, y, bounded, c, a, r1)
            if found < best:
                moved = best - found > 1e-9
                best = found
                theta[:] = trial
                r[:] = r1
                damping = max(0.2 * damping, 1e-12)
                break
            damping *= 5.0
        if not moved:
            break
    return best


@nb.njit(nogil=True, error_model="numpy", cache=True)
def _search(kind, grid, place, low, high, x, w, y, bounded, basins, out):
    n_grid, q = grid.shape
    m = bounded.size
    c, a, cost = np.empty((m, x.size)), np.empty(m), np.empty(n_grid)
    taken = np.empty(basins, np.int64)
    for row in range(y.shape[0]):
        for g in range(n_grid):
            _columns(kind, grid[g], x, c)
            cost[g] = _project(c, w[row], y[row], bounded, a)
        order = np.argsort(cost)
        n_taken, best = 0, np.inf
        for g in order:
            apart = True
            for t in range(n_taken):
                distance = 0
                for j in range(q):
                    distance = max(distance, abs(place[g, j] - place[taken[t], j]))
                if distance < 3:
                    apart = False
            if not apart:
                continue
            taken[n_taken] = g
            n_taken += 1
            theta = grid[g].copy()
            best = min(best, _polish(kind, theta, low, high, x, w[row], y[row], bounded, c, a))
            if n_taken == basins:
                break
        out[row] = best


def lowest_chisqr(problem: Problem, rows: int) -> np.ndarray:
    """χ² of the global minimum of the first rows, within the bounds of the problem."""
    y = np.ascontiguousarray(problem.y[:rows])
    w = 1.0 / np.ascontiguousarray(problem.sigma[:rows]) ** 2
    axes = [np.linspace(lo, hi, n) for lo, hi, n in problem.theta_grid]
    mesh = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    place = np.stack([g.ravel() for g in np.indices([a.size for a in axes])], axis=1)
    if problem.ordered:
        keep = mesh[:, 0] > mesh[:, 1]
        mesh, place = mesh[keep], place[keep]
    low = np.array([lo for lo, _, _ in problem.theta_grid])
    high = np.array([hi for _, hi, _ in problem.theta_grid])
    out = np.empty(len(y))

    def part(s: slice) -> None:
        _search(
            KINDS.index(problem.name), mesh, place, low, high, problem.x, w[s], y[s],
            np.array(problem.bounded), _BASINS, out[s],
        )  # fmt: skip

    edges = np.linspace(0, len(y), 17).astype(int)
    part(slice(0, 1))  # compile once, before the threads
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(part, map(slice, edges[:-1], edges[1:])))
    return out


def best_of_starts(problem: Problem, rows: int, starts: int = 50) -> np.ndarray:
    """χ² of the best of so many random starts of scipy's bounded least squares."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(99)
    low, high = problem.low, problem.high
    out = np.full(rows, np.inf)
    for row in range(rows):
        y, s = problem.y[row], problem.sigma[row]

        def residual(p: np.ndarray, y: Any = y, s: Any = s) -> np.ndarray:
            return (problem.function(problem.x, *p) - y) / s

        def jacobian(p: np.ndarray, s: Any = s) -> np.ndarray:
            return problem.jacobian(problem.x, *p) / s[:, None]

        for start in problem.random_starts(rng, row, starts):
            start = np.clip(start, low + 1e-9, high - 1e-9)
            found = least_squares(
                residual, start, jacobian, bounds=(low, high), x_scale="jac", max_nfev=200
            )
            out[row] = min(out[row], 2.0 * found.cost)
    return out
