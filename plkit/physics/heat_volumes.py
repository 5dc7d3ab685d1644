"""Heat flow through planar layers by finite volumes: Fourier's law between neighbouring rings.

Independent of :mod:`plkit.physics.heat_layers`, which it checks, and able to do what that cannot:
conductivities that depend on temperature, and plates of finite radius. A steady state is one
sparse solve; a step response an L-stable Runge–Kutta scheme (two stages, second order) under error
control by step doubling. Lengths in µm, powers in µW, times in s.

References
----------
R. Alexander, SIAM J. Numer. Anal. 14, 1006 (1977), doi:10.1137/0714068 (time stepping).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.heat_grid import Grid, VolumeRise, deposited
from plkit.physics.heat_layers import Beam, PlanarStack

__all__ = ["steady_volumes", "step_volumes"]

Array = NDArray[np.float64]
Conductivity = Callable[[Array], Array]

_GAMMA: Final = 1.0 - 1.0 / np.sqrt(2.0)


@dataclass(frozen=True, slots=True)
class _Network:
    """Conductances between cells [µW/K]: the discrete Fourier law."""

    matrix: Any  # sparse (cells, cells)
    to_walls: Array  # (z, r)
    upper: Array  # share of the lower cell in the temperature of each row's bottom face, (z, r)


def _wall(k: Array, area: Array, half: Array, condition: str, factor: Array) -> Array:
    """Conductance from the middle of the outermost cells to ambient."""
    if condition == "insulated":
        return np.zeros(np.broadcast(k, area).shape)
    own = k * area / half
    if condition == "isothermal":
        return own
    # far field: the flux through the wall is k ΔT n·ρ/ρ² as around a point source
    beyond = k * area * factor
    return own * beyond / (own + beyond)


def _network(grid: Grid, k: Array) -> _Network:
    from scipy.sparse import coo_array

    rf, zf = grid.r_faces_um, grid.z_faces_um
    dr, dz = np.diff(rf), np.diff(zf)
    n_z, n_r = k.shape
    side, ring = 2 * np.pi * rf[1:] * dz[:, None], np.broadcast_to(np.pi * np.diff(rf**2), k.shape)
    g_r = side[:, :-1] / (0.5 * dr[:-1] / k[:, :-1] + 0.5 * dr[1:] / k[:, 1:])
    resist = 0.5 * dz[:, None] / k
    g_z = ring[:-1] / (resist[:-1] + resist[1:])

    walls = np.zeros(k.shape)
    mid_z, mid_r, depth, radius = grid.z_um, grid.r_um, zf[-1], rf[-1]
    walls[:, -1] += _wall(
        k[:, -1], side[:, -1], 0.5 * dr[-1], grid.rim, radius / (radius**2 + mid_z**2)
    )
    bottom = _wall(k[-1], ring[-1], 0.5 * dz[-1], grid.back, depth / (depth**2 + mid_r**2))
    walls[-1] += bottom

    index = np.arange(n_z * n_r).reshape(n_z, n_r)
    a = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    b = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    g = np.concatenate([g_r.ravel(), g_z.ravel()])
    diagonal = walls.ravel().copy()
    np.add.at(diagonal, a, g)
    np.add.at(diagonal, b, g)
    row = np.concatenate([a, b, index.ravel()])
    col = np.concatenate([b, a, index.ravel()])
    matrix = coo_array((np.concatenate([-g, -g, diagonal]), (row, col))).tocsc()
    lower = np.empty(k.shape)
    lower[:-1] = resist[:-1] / (resist[:-1] + resist[1:])
    lower[-1] = bottom * resist[-1] / ring[-1]  # the wall is at ambient or beyond
    return _Network(matrix, walls, lower)


def _factorise(matrix: Any) -> Any:
    from scipy.sparse.linalg import splu

    return splu(
        matrix.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def _result(grid: Grid, network: _Network, slope: Array, rise: Array) -> VolumeRise:
    """Add what the walls take and the temperatures between rows; ``rise`` is ([time,] z, r)."""
    below = np.zeros_like(rise)
    below[..., :-1, :] = rise[..., 1:, :]
    face = rise * (1 - network.upper) + below * network.upper
    return VolumeRise(grid, rise, slope, face, np.asarray((rise * network.to_walls).sum((-2, -1))))


def _surface_slope(grid: Grid, beam: Beam, heat: Array, k: Array) -> Array:
    """Gradient under the surface [K/µm] where the heat is put in at the surface, else 0."""
    if np.isfinite(beam.absorption_per_um):
        return np.zeros(heat.shape[1])
    return np.asarray(heat[0] / (np.pi * np.diff(grid.r_faces_um**2)) / k[0])


def steady_volumes(
    stack: PlanarStack,
    beam: Beam,
    grid: Grid,
    *,
    power_uw: float = 1.0,
    conductivity: Sequence[Conductivity | None] | None = None,
) -> VolumeRise:
    """Steady temperature rise on a grid.

    Parameters
    ----------
    stack : PlanarStack
        Layers.
    beam : Beam
        Spot and absorption depth.
    grid : Grid
        Cells, from :func:`plkit.physics.heat_grid.graded_grid`.
    power_uw : float, optional
        Absorbed power [µW].
    conductivity : sequence of callable, optional
        For each layer None, or its conductivity [W/(m K)] as a function of the rise [K]; solved by
        Picard iteration.

    Returns
    -------
    VolumeRise
        Rise [K], shape (z, r).

    Raises
    ------
    ValueError
        If no heat can leave, or the iteration does not settle.

    Examples
    --------
    >>> from plkit.physics.heat_grid import graded_grid
    >>> stack = PlanarStack((0.04, float("inf")), (0.4, 1.05), (1.0e6, 2.1e6))
    >>> solution = steady_volumes(stack, Beam(1.0), graded_grid(stack, Beam(1.0)))
    >>> print(f"{solution.at([0.0])[0]:.3f} {solution.outflow_uw:.9f}")
    0.391 1.000000000
    """
    k_layer = np.asarray(stack.conductivity_w_mk)[grid.layer]
    heat = power_uw * deposited(grid, beam)
    k = np.repeat(k_layer[:, None], heat.shape[1], axis=1)
    rise = np.zeros_like(heat)
    for _ in range(200):
        network = _network(grid, k)
        if not network.to_walls.any():
            raise ValueError("no wall lets the heat out: there is no steady state")
        before, rise = rise, _factorise(network.matrix).solve(heat.ravel()).reshape(heat.shape)
        if conductivity is None or np.max(np.abs(rise - before)) <= 1e-10 * np.max(rise):
            return _result(grid, network, _surface_slope(grid, beam, heat, k), rise)
        for j, law in enumerate(conductivity):
            if law is not None:
                k[grid.layer == j] = law(rise[grid.layer == j])
        if not np.all(np.isfinite(k) & (k > 0)):
            break
    raise ValueError("the conductivity and the temperature do not settle: the rise runs away")


def step_volumes(
    stack: PlanarStack,
    beam: Beam,
    grid: Grid,
    times_s: ArrayLike,
    *,
    tolerance: float = 1e-4,
) -> VolumeRise:
    """Rise after the laser is switched on, for 1 µW of absorbed power.

    Parameters
    ----------
    stack : PlanarStack
        Layers.
    beam : Beam
        Spot and absorption depth.
    grid : Grid
        Cells, from :func:`plkit.physics.heat_grid.graded_grid`.
    times_s : array_like
        Ascending times since the laser was switched on, shape (time,) [s].
    tolerance : float, optional
        Largest error of a step relative to the largest rise.

    Returns
    -------
    VolumeRise
        Rise [K], shape (time, z, r).

    Raises
    ------
    ValueError
        If the times do not ascend from 0 or above.

    Notes
    -----
    C dT/dt = q − K T, by (C + γ h K) k1 = q − K T, (C + γ h K) k2 = q − K (T + (1 − γ) h k1),
    T ← T + h [(1 − γ) k1 + γ k2], γ = 1 − 1/√2. Two steps of h against one of 2 h give the error;
    h goes in powers of two, so that few factorisations serve all steps.

    Examples
    --------
    >>> from plkit.physics.heat_grid import graded_grid
    >>> stack = PlanarStack((float("inf"),), (1.0,), (2.0e6,))
    >>> beam = Beam(1.0, absorption_per_um=float("inf"))
    >>> grid = graded_grid(stack, beam, refine=0.5)
    >>> half = 1.0 / (8 * 1.0 / 2.0e6 * 1e12)  # w0²/(8 α): half of the steady rise on the axis
    >>> rise = step_volumes(stack, beam, grid, [half, 1e6 * half]).at([0.0], [0.0])[:, 0, 0]
    >>> print(f"{rise[0] / rise[1]:.2f}")
    0.50
    """
    times = np.asarray(times_s, dtype=float).reshape(-1)
    if times.size == 0 or not (np.all(np.diff(times) >= 0) and 0 <= times[0] <= times[-1] < np.inf):
        raise ValueError("times ascend from 0 or above and are finite")
    heat = deposited(grid, beam)
    k = np.repeat(np.asarray(stack.conductivity_w_mk)[grid.layer, None], heat.shape[1], axis=1)
    network = _network(grid, k)
    capacity = np.asarray(stack.heat_capacity_j_m3k)[grid.layer, None] * grid.volume_um3 * 1e-12
    out = _integrate(network.matrix, capacity.ravel(), heat.ravel(), times, tolerance)
    slope = _surface_slope(grid, beam, heat, k)
    return _result(grid, network, slope, out.reshape(times.size, *heat.shape))


def _integrate(matrix: Any, capacity: Array, heat: Array, times: Array, tolerance: float) -> Array:
    from scipy.sparse import dia_array

    n = heat.size
    mass: Any = dia_array((np.atleast_2d(capacity), np.array([0])), shape=(n, n))
    factors: dict[int, Any] = {}
    positive = times[times > 0]
    out = np.zeros((times.size, n))
    if positive.size == 0:
        return out
    unit = float(positive[0]) / 8

    def step(state: Array, power: int) -> tuple[Array, Array]:
        h = unit * 2.0**power
        if power not in factors:
            factors[power] = _factorise(mass + _GAMMA * h * matrix)
        k1 = factors[power].solve(heat - matrix @ state)
        k2 = factors[power].solve(heat - matrix @ (state + (1 - _GAMMA) * h * k1))
        return state + h * ((1 - _GAMMA) * k1 + _GAMMA * k2), k2

    now, state, slope = 0.0, np.zeros(n), heat / capacity
    power = 0
    while now < times[-1]:
        h = unit * 2.0**power
        half, half_slope = step(state, power)
        two, two_slope = step(half, power)
        one, _ = step(state, power + 1)
        error = float(np.max(np.abs(two - one)) / np.max(two)) / 3
        if error > tolerance:
            power -= 1
            continue
        for start, a, sa, b, sb in (
            (now, state, slope, half, half_slope),
            (now + h, half, half_slope, two, two_slope),
        ):
            for i in np.nonzero((times > start) & (times <= start + h))[0]:
                out[i] = _hermite((times[i] - start) / h, h, a, sa, b, sb)
        now, state, slope = now + 2 * h, two, two_slope
        if error < tolerance / 6:
            factors.pop(power, None)  # tens of megabytes each
            power += 1
    return out


def _hermite(x: float, h: float, a: Array, sa: Array, b: Array, sb: Array) -> Array:
    """Cubic through values ``a``, ``b`` and slopes ``sa``, ``sb`` at both ends of a step."""
    u = 1 - x
    return np.asarray(
        u * u * (1 + 2 * x) * a + x * x * (1 + 2 * u) * b + h * x * u * (u * sa - x * sb)
    )
