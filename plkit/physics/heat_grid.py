"""Graded axisymmetric grid for the finite-volume heat solver, and how to read values off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.heat_layers import Beam, PlanarStack

__all__ = ["Grid", "VolumeRise", "deposited", "graded_grid", "ring_share"]

Array = NDArray[np.float64]

_FAR: Final = 3000.0
"""Distance of the outer walls in spot radii, where the medium is unbounded."""
_GROWTH: Final = 1.05
_NEAR_GROWTH: Final = 1.08
_PER_SPOT: Final = 32
_PER_FILM: Final = 16


@dataclass(frozen=True, slots=True)
class Grid:
    """Rings of rectangular section around the axis of the beam.

    Parameters
    ----------
    r_faces_um, z_faces_um : ndarray
        Faces of the cells from the axis outwards and from the surface downwards [µm].
    layer : ndarray of int
        Index of the layer of every row of cells.
    rim, back : {"isothermal", "insulated", "far_field"}
        Condition at the outer radius and at the bottom. ``"far_field"`` lets the heat leave as it
        would around a point source, ΔT ∝ 1/distance.
    """

    r_faces_um: Array
    z_faces_um: Array
    layer: NDArray[np.int64]
    rim: str
    back: str

    @property
    def r_um(self) -> Array:
        """Radius at which the value equals the ring's mean, to second order [µm]."""
        return np.asarray(np.sqrt((self.r_faces_um[:-1] ** 2 + self.r_faces_um[1:] ** 2) / 2))

    @property
    def z_um(self) -> Array:
        """Middle of every row [µm]."""
        return np.asarray((self.z_faces_um[:-1] + self.z_faces_um[1:]) / 2)

    @property
    def volume_um3(self) -> Array:
        """Volumes of the cells, shape (z, r) [µm³]."""
        ring = np.pi * np.diff(self.r_faces_um**2)
        return np.asarray(np.diff(self.z_faces_um)[:, None] * ring)


def _faces(first: float, fine: float, near: float, length: float, refine: float) -> Array:
    """Faces from 0 to ``length``: steps widen to ``fine``, stay so within ``near``, then grow."""
    growth, widen = 1 + (_GROWTH - 1) / refine, 1 + (_NEAR_GROWTH - 1) / refine
    faces, step = [0.0], min(first, fine)
    while faces[-1] < length:
        faces.append(faces[-1] + step)
        step = step * growth if faces[-1] > near else min(step * widen, fine)
    out = np.asarray(faces)
    return np.asarray(out * (length / out[-1]))


def graded_grid(
    stack: PlanarStack, beam: Beam, *, radius_um: float | None = None, refine: float = 1.0
) -> Grid:
    """Grid that is fine in the film and under the spot and coarse far away.

    Parameters
    ----------
    stack : PlanarStack
        Layers.
    beam : Beam
        Spot, and depth of absorption.
    radius_um : float, optional
        Radius of a plate with an isothermal rim [µm]; unbounded where omitted.
    refine : float, optional
        Cells per length relative to the standard of 32 rings per spot radius and 16 rows
        through a thin layer.

    Returns
    -------
    Grid
        About 250 × 210 cells for a film on a substrate.

    Examples
    --------
    >>> stack = PlanarStack((0.04, float("inf")), (0.4, 1.05), (1.0e6, 2.1e6))
    >>> grid = graded_grid(stack, Beam(1.0))
    >>> int((grid.layer == 0).sum())
    16
    """
    w0 = beam.spot_radius_um
    fine, near = w0 / (_PER_SPOT * refine), 1.5 * w0
    rows = int(np.ceil(_PER_FILM * refine))
    endless = bool(np.isinf(stack.thickness_um[-1]))
    solid = sum(d for d in stack.thickness_um if np.isfinite(d))
    far = max(_FAR * w0, (30.0 if endless else 6.0) * solid)
    r_faces = _faces(fine, fine, near, far if radius_um is None else radius_um, refine)
    # a quarter of the absorption depth, where that is shallow but resolved
    step = fine
    if 0 < beam.absorption_per_um < np.inf:
        step = min(fine, 0.25 / (beam.absorption_per_um * refine))
    z_faces, layer = [0.0], []
    for j, thickness in enumerate(stack.thickness_um):
        d = far if np.isinf(thickness) else thickness
        if d <= rows * min(fine, step):
            faces = np.linspace(0.0, d, rows + 1)
        else:
            faces = _faces(step, fine, near - z_faces[-1], d, refine)
        step = float(faces[-1] - faces[-2]) * (1 + (_NEAR_GROWTH - 1) / refine)
        layer += [j] * (faces.size - 1)
        z_faces += list(z_faces[-1] + faces[1:])
        fine = max(fine, step) if z_faces[-1] > near else fine
    back = "far_field" if endless and radius_um is None else stack.back
    rim = "far_field" if radius_um is None else "isothermal"
    return Grid(r_faces, np.asarray(z_faces), np.asarray(layer), rim, back)


def ring_share(grid: Grid, spot_radius_um: float) -> Array:
    """Share of a Gaussian beam that falls on every ring.

    Parameters
    ----------
    grid : Grid
        Rings.
    spot_radius_um : float
        1/e² radius of the intensity [µm].

    Returns
    -------
    ndarray
        Shape (r,) [1].

    Examples
    --------
    >>> grid = Grid(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0]), np.array([0]), "", "")
    >>> print(ring_share(grid, 1.0).round(3))
    [0.865 0.135]
    """
    outside = np.exp(-2 * (grid.r_faces_um / spot_radius_um) ** 2)
    return np.asarray(outside[:-1] - outside[1:])


def deposited(grid: Grid, beam: Beam) -> Array:
    """Heat that 1 µW of absorbed power puts into every cell.

    Parameters
    ----------
    grid : Grid
        Cells; the first layer absorbs.
    beam : Beam
        Spot and absorption depth.

    Returns
    -------
    ndarray
        Shape (z, r) [µW]; the sum is 1 less what falls outside the grid.

    Examples
    --------
    >>> stack = PlanarStack((0.04, float("inf")), (0.4, 1.05), (1.0e6, 2.1e6))
    >>> heat = deposited(graded_grid(stack, Beam(1.0)), Beam(1.0))
    >>> round(float(heat.sum()), 12)
    1.0
    """
    top, beta = grid.z_faces_um[:-1], beam.absorption_per_um
    height = np.diff(grid.z_faces_um)
    inside = grid.layer == 0
    if np.isinf(beta):
        depth = (np.arange(top.size) == 0).astype(float)
    elif beta == 0:
        depth = np.where(inside, height, 0.0)
    else:
        depth = np.where(inside, -np.expm1(-beta * height) * np.exp(-beta * top), 0.0)
    return np.asarray((depth / depth.sum())[:, None] * ring_share(grid, beam.spot_radius_um))


@dataclass(frozen=True, slots=True)
class VolumeRise:
    """Temperature rise in the cells of a grid.

    Parameters
    ----------
    grid : Grid
        Cells.
    rise_k : ndarray
        Rise above ambient, shape ([time,] z, r) [K].
    surface_slope : ndarray
        Temperature gradient that drives the heat absorbed at the surface, shape (r,) [K/µm].
    interface : ndarray
        Rise at the bottom of every row, shape ([time,] z, r) [K].
    outflow_uw : ndarray
        Power that leaves through the walls, shape ([time]) [µW].
    """

    grid: Grid
    rise_k: Array
    surface_slope: Array
    interface: Array
    outflow_uw: Array

    def film_mean(self) -> Array:
        """Mean over the depth of the first layer, shape ([time,] r) [K]."""
        weight = np.where(self.grid.layer == 0, np.diff(self.grid.z_faces_um), 0.0)
        return np.asarray(np.einsum("z,...zr->...r", weight / weight.sum(), self.rise_k))

    def at(self, r_um: ArrayLike, z_um: ArrayLike | None = None) -> Array:
        """Rise at given places.

        Parameters
        ----------
        r_um : array_like
            Distances from the axis, shape (r,) [µm].
        z_um : array_like, optional
            Depths, shape (z,) [µm]; the mean over the first layer where omitted.

        Returns
        -------
        ndarray
            Shape ([time,] r[, z]) [K].
        """
        from scipy.interpolate import CubicSpline

        radius = np.asarray(r_um, dtype=float).reshape(-1)
        if z_um is None:
            rows = self.film_mean()[..., None, :]
        else:
            rows = self._at_depth(np.asarray(z_um, dtype=float).reshape(-1))
        # the field is even in r: mirrored rings leave no freedom on the axis
        r = self.grid.r_um
        even = CubicSpline(
            np.concatenate([-r[::-1], r]), np.concatenate([rows[..., ::-1], rows], axis=-1), axis=-1
        )
        out = np.moveaxis(even(radius), -1, -2)
        return np.asarray(out[..., 0] if z_um is None else out)

    def _at_depth(self, depth: Array) -> Array:
        from scipy.interpolate import CubicSpline

        z, t = self.grid.z_um, self.rise_k
        # T = a − s z + b z² through the two uppermost rows, s the known slope at the surface
        s = self.surface_slope
        b = (t[..., 1, :] - t[..., 0, :] + s * (z[1] - z[0])) / (z[1] ** 2 - z[0] ** 2)
        top = t[..., 0, :] + s * z[0] - b * z[0] ** 2
        out = np.empty((*t.shape[:-2], depth.size, t.shape[-1]))
        for j in range(int(self.grid.layer[-1]) + 1):
            (rows,) = np.nonzero(self.grid.layer == j)
            above = top if j == 0 else self.interface[..., rows[0] - 1, :]
            ends = self.grid.z_faces_um[[rows[0], rows[-1] + 1]]
            nodes = np.concatenate([ends[:1], z[rows], ends[1:]])
            values = np.concatenate(
                [above[..., None, :], t[..., rows, :], self.interface[..., rows[-1:], :]], axis=-2
            )
            inside = (depth >= ends[0]) & (depth <= ends[1] * (1 + 1e-12))
            out[..., inside, :] = CubicSpline(nodes, values, axis=-2)(depth[inside])
        return out

    def detection(self, spot_radius_um: float) -> Array:
        """Film-mean rise weighted with the intensity of a Gaussian beam.

        Parameters
        ----------
        spot_radius_um : float
            1/e² radius of the intensity [µm].

        Returns
        -------
        ndarray
            Shape ([time]) [K].
        """
        share = ring_share(self.grid, spot_radius_um)
        return np.asarray(self.film_mean() @ (share / share.sum()))
