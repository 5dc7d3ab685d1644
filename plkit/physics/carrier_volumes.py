"""Diffusing and recombining carriers along one coordinate: finite volumes and a stiff solver."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.carriers import Recombination, loss

__all__ = ["diffuse_steady", "diffuse_transient", "volumes"]

Array = NDArray[np.float64]
Geometry = Literal["radial", "depth"]


def volumes(edges_cm: ArrayLike, geometry: Geometry) -> tuple[Array, Array]:
    """Volumes of the cells and how well neighbours exchange.

    Parameters
    ----------
    edges_cm : array_like, shape (n + 1,)
        Edges of the cells, ascending [cm].
    geometry : {"radial", "depth"}
        Rings about an axis, per unit of thickness and angle 2π; or slabs, per unit of area.

    Returns
    -------
    volume : numpy.ndarray, shape (n,)
        Sizes of the cells [cm²/(2π) or cm].
    exchange : numpy.ndarray, shape (n − 1,)
        Area of each inner edge over the distance of the centres beside it [1 or 1/cm].

    Examples
    --------
    >>> v, c = volumes([0.0, 1.0, 2.0], "radial")
    >>> v.tolist(), c.tolist()
    ([0.5, 1.5], [1.0])
    """
    e = np.asarray(edges_cm, dtype=float)
    centre = 0.5 * (e[1:] + e[:-1])
    if geometry == "radial":
        return np.diff(e**2) / 2.0, np.asarray(e[1:-1] / np.diff(centre))
    return np.diff(e), np.asarray(1.0 / np.diff(centre))


def _flow(n: Array, volume: Array, exchange: Array, d: float) -> Array:
    """Change of n by diffusion; nothing passes the ends."""
    flux = d * exchange * np.diff(n)
    out = np.zeros_like(n)
    out[:-1] += flux
    out[1:] -= flux
    return out / volume


def _banded_jacobian(n: Array, volume: Array, exchange: Array, d: float, r: Recombination) -> Array:
    """Upper, main and lower diagonal of the slopes of dn/dt."""
    out = np.zeros((3, n.size))
    up = d * exchange
    out[0, 1:] = up / volume[:-1]
    out[2, :-1] = up / volume[1:]
    out[1, :-1] -= up / volume[:-1]
    out[1, 1:] -= up / volume[1:]
    out[1] -= r.k1_per_s + n * (2.0 * r.k2_cm3_s + 3.0 * n * r.k3_cm6_s)
    return out


def diffuse_steady(
    generation: ArrayLike,
    edges_cm: ArrayLike,
    diffusion_cm2_s: float,
    r: Recombination,
    geometry: Geometry,
) -> Array:
    """Steady density under continuous light.

    Parameters
    ----------
    generation : array_like, shape (n,)
        Generation rate in each cell [1/(cm³ s)].
    edges_cm : array_like, shape (n + 1,)
        Edges of the cells [cm].
    diffusion_cm2_s : float
        Diffusion coefficient D [cm²/s].
    r : Recombination
        Coefficients.
    geometry : {"radial", "depth"}
        See :func:`volumes`.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Density [1/cm³] with D ∇²n + G − k1 n − k2 n² − k3 n³ = 0 and no flow through the ends.

    Examples
    --------
    >>> r = Recombination(1e8, 0.0, 0.0)
    >>> edges = np.linspace(0.0, 4e-4, 401)
    >>> n = diffuse_steady(np.where(edges[:-1] < 1.999e-4, 1e26, 0.0), edges, 0.0758, r, "depth")
    >>> print(f"{n[0]:.3g} {n[199]:.3g}")  # deep in the light, at its edge
    9.99e+17 5.09e+17
    """
    from scipy.linalg import solve_banded

    from plkit.physics.carriers import steady_density

    g = np.asarray(generation, dtype=float)
    volume, exchange = volumes(edges_cm, geometry)
    n = np.full_like(g, float(steady_density(np.average(g, weights=volume), r)))
    for _ in range(200):
        rate = _flow(n, volume, exchange, diffusion_cm2_s) + g - loss(n, r)
        step = solve_banded((1, 1), _banded_jacobian(n, volume, exchange, diffusion_cm2_s, r), rate)
        # Newton on a monotone, convex problem; a step that would go below zero is cut.
        new = np.maximum(n - step, 0.05 * n)
        if np.max(np.abs(new - n)) <= 1e-12 * np.max(new):
            return np.asarray(new)
        n = new
    return n


def diffuse_transient(
    generation: ArrayLike,
    edges_cm: ArrayLike,
    times_s: ArrayLike,
    diffusion_cm2_s: float,
    r: Recombination,
    geometry: Geometry,
) -> Array:
    """Density after the light was switched on.

    Parameters
    ----------
    generation, edges_cm, diffusion_cm2_s, r, geometry
        See :func:`diffuse_steady`.
    times_s : array_like, shape (m,)
        Times since then, ascending from 0 upwards [s].

    Returns
    -------
    numpy.ndarray, shape (m, n)
        Density [1/cm³].

    Notes
    -----
    ∂n/∂t = D ∇²n + G − k1 n − k2 n² − k3 n³ by LSODA, which changes to BDF where the problem is
    stiff, with the banded Jacobian in closed form.

    Examples
    --------
    >>> r = Recombination(1e8, 0.0, 0.0)
    >>> n = diffuse_transient([1e26], [0.0, 4e-6], [0.0, 1e-8], 0.0758, r, "depth")
    >>> print(f"{n[1, 0]:.4g}")  # 1e18 (1 − 1/e)
    6.321e+17
    """
    from scipy.integrate import solve_ivp

    g = np.asarray(generation, dtype=float)
    volume, exchange = volumes(edges_cm, geometry)
    times = np.asarray(times_s, dtype=float)
    # In units of the highest density, and of the last time.
    scale = max(float(np.max(g)) * float(times[-1]), 1e-300)
    end = float(times[-1])

    def slope(_: float, y: Array) -> Array:
        n = scale * y
        rate = _flow(n, volume, exchange, diffusion_cm2_s) + g - loss(n, r)
        return np.asarray(rate * (end / scale))

    def jacobian(_: float, y: Array) -> Array:
        return np.asarray(end * _banded_jacobian(scale * y, volume, exchange, diffusion_cm2_s, r))

    banded: dict[str, Any] = {"jac": jacobian, "lband": 1, "uband": 1} if g.size > 1 else {}
    found = solve_ivp(
        slope, (0.0, 1.0), np.zeros_like(g), method="LSODA", t_eval=times / end, rtol=1e-8,
        atol=1e-12, **banded,
    )  # fmt: skip
    return np.asarray(scale * found.y.T)
