"""Heat flow through a stack of planar layers under a Gaussian beam, exact by Hankel transform.

Each radial wave number λ obeys k T″ = k m² T − f(z) with m² = λ² + s/α in depth; the layers below
enter as one number, the admittance (heat flux over temperature) at the interface. The way back to
radius is one integral, the way back to time a contour integral per λ. Lengths in µm, powers in µW,
times in s, conductivities in W/(m K): the rise per absorbed power is in K/µW.

References
----------
D. G. Cahill, Rev. Sci. Instrum. 75, 5119 (2004), doi:10.1063/1.1819431 (transfer through layers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.transforms import hankel_nodes, talbot_contour

__all__ = [
    "Beam",
    "PlanarStack",
    "layered_detection_rise",
    "layered_rise",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlanarStack:
    """Layers from the surface downwards.

    Parameters
    ----------
    thickness_um : tuple of float
        Thicknesses [µm]; only the last may be infinite.
    conductivity_w_mk : tuple of float
        Thermal conductivities [W/(m K)].
    heat_capacity_j_m3k : tuple of float
        Heat capacities per volume [J/(m³ K)]; they matter to step responses only.
    back : {"isothermal", "insulated"}, optional
        Far side of a last layer of finite thickness. With an insulated back the heat spreads in a
        plane and no steady state exists.

    Raises
    ------
    ValueError
        If the tuples differ in length, or hold what no layer can be.

    Examples
    --------
    >>> stack = PlanarStack((0.04, float("inf")), (0.4, 1.05), (1.0e6, 2.1e6))
    >>> stack.film_thickness_um
    0.04
    """

    thickness_um: tuple[float, ...]
    conductivity_w_mk: tuple[float, ...]
    heat_capacity_j_m3k: tuple[float, ...]
    back: Literal["isothermal", "insulated"] = "isothermal"

    def __post_init__(self) -> None:
        """Refuse what no stack can be."""
        columns = (self.thickness_um, self.conductivity_w_mk, self.heat_capacity_j_m3k)
        if len({len(c) for c in columns}) != 1 or not self.thickness_um:
            raise ValueError("a stack needs as many thicknesses as conductivities and capacities")
        if not np.all(np.isfinite((*self.thickness_um[:-1], *columns[1], *columns[2]))):
            raise ValueError("only the last thickness of a stack may be infinite, nothing NaN")
        if not min(min(c) for c in columns) > 0:
            raise ValueError("thicknesses, conductivities and capacities are positive")
        if self.back not in ("isothermal", "insulated"):
            raise ValueError(f"back is 'isothermal' or 'insulated', not {self.back!r}")

    @property
    def film_thickness_um(self) -> float:
        """Thickness of the first layer [µm]."""
        return self.thickness_um[0]

    @property
    def diffusivity_um2_s(self) -> tuple[float, ...]:
        """Thermal diffusivity of each layer [µm²/s]."""
        pairs = zip(self.conductivity_w_mk, self.heat_capacity_j_m3k, strict=True)
        return tuple(k / c * 1e12 for k, c in pairs)


@dataclass(frozen=True, slots=True)
class Beam:
    """Gaussian beam that heats the first layer.

    Parameters
    ----------
    spot_radius_um : float
        1/e² radius of the intensity, w0 [µm].
    absorption_per_um : float, optional
        Absorption coefficient β of the first layer [1/µm]: the heat falls as exp(−β z) through it.
        0 heats its whole thickness evenly, infinity its surface alone.

    Raises
    ------
    ValueError
        If the radius is not positive and finite, or the coefficient is negative or NaN.

    Examples
    --------
    >>> Beam(1.0).absorption_per_um
    0.0
    """

    spot_radius_um: float
    absorption_per_um: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no beam can be."""
        if not 0 < self.spot_radius_um < np.inf:
            raise ValueError(f"the spot radius is positive, not {self.spot_radius_um}")
        if not self.absorption_per_um >= 0:
            raise ValueError(f"the absorption is not negative, not {self.absorption_per_um}")


# Hyperbolic functions times exp(−x): they neither overflow, nor cancel at small x.
def _cosh(x: Any) -> Any:
    return 0.5 * (1 + np.exp(-2 * x))


def _sinh(x: Any) -> Any:
    return -0.5 * np.expm1(-2 * x)


def _phi(x: Any) -> Any:
    """Return (1 − exp(−x))/x."""
    safe = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, -np.expm1(-safe) / safe)


def _psi(a: Any, b: Any) -> Any:
    """Return (exp(−a) − exp(−b))/(b − a), which is symmetric, without overflow."""
    swap = np.real(a) > np.real(b)
    low, high = np.where(swap, b, a), np.where(swap, a, b)
    return np.exp(-low) * _phi(high - low)


class _Modes:
    """Rise in depth for unit absorbed power, per radial wave number (and Laplace variable).

    In layer j the solution that meets the condition at its bottom is
    v(z) = p cosh m(d − z) + q sinh m(d − z) with p + q = 1. A semi-infinite layer is one of any
    finite thickness with p = q, from whose bottom nothing comes back.
    """

    def __init__(
        self, stack: PlanarStack, beam: Beam, lam: Array, laplace: Any, z_max_um: float
    ) -> None:
        self.k = stack.conductivity_w_mk
        self.beta = beam.absorption_per_um
        self.d = list(stack.thickness_um)
        endless = bool(np.isinf(self.d[-1]))
        if endless:
            depths = [1.0, z_max_um]
            if len(self.d) == 1 and np.isfinite(self.beta):
                if self.beta == 0:
                    raise ValueError("a half space cannot be heated evenly through its depth")
                depths.append(50.0 / self.beta)
            self.d[-1] = max(depths)
        if laplace is None:
            self.m = [lam for _ in self.d]
        else:
            self.m = [np.sqrt(lam**2 + laplace / a) for a in stack.diffusivity_um2_s]
        p, q = (1.0, 0.0) if stack.back == "insulated" else (0.0, 1.0)
        if endless:
            p, q = 0.5, 0.5
        self.pq: list[tuple[Any, Any]] = [(p, q)]
        for j in range(len(self.d) - 1, 0, -1):
            x = self.m[j] * self.d[j]
            flux = self.k[j] * self.m[j] * (p * _sinh(x) + q * _cosh(x))
            y = flux / ((p * _cosh(x) + q * _sinh(x)) * self.k[j - 1] * self.m[j - 1])
            p, q = 1 / (1 + y), y / (1 + y)
            self.pq.insert(0, (p, q))

    def _source_above(self, z: float) -> Any:
        """exp(−m z) ∫ cosh(m z′) f(z′) dz′ from 0 to z, without the norm of f."""
        m, b = self.m[0], self.beta
        return 0.5 * z * (_psi(m * z, b * z) + np.exp(-m * z) * _phi((m + b) * z))

    @property
    def _norm(self) -> float:
        return 1.0 / (self.d[0] * float(_phi(np.float64(self.beta * self.d[0]))))

    def _in_film(self, z: float) -> Any:
        (p, q), m, d = self.pq[0], self.m[0], self.d[0]
        h = d - z
        wronskian = self.k[0] * m * (p * _sinh(m * d) + q * _cosh(m * d))
        down = p * _cosh(m * h) + q * _sinh(m * h)
        if np.isinf(self.beta):
            return np.exp(-m * z) * down / wronskian
        b = self.beta
        below = _phi((m + b) * h) + (p - q) * np.exp(-m * h) * _psi(m * h, b * h)
        below = 0.5 * h * np.exp(-b * z) * below
        return self._norm * (down * self._source_above(z) + _cosh(m * z) * below) / wronskian

    def at(self, z: float) -> Any:
        """Rise at depth ``z``."""
        top = 0.0
        for j, d in enumerate(self.d):
            if j == 0:
                if z <= d:
                    return self._in_film(z)
                value = self._in_film(d)
            else:
                (p, q), m = self.pq[j], self.m[j]
                local = min(z - top, d)
                down = p * _cosh(m * (d - local)) + q * _sinh(m * (d - local))
                down = np.exp(-m * local) * down
                value = value * down / (p * _cosh(m * d) + q * _sinh(m * d))
                if z - top <= d:
                    return value
            top += d
        raise ValueError(f"the stack ends above a depth of {z} um")

    def film_mean(self) -> Any:
        """Mean rise over the first layer, from what enters it and what leaves at its bottom."""
        (p, q), m, d = self.pq[0], self.m[0], self.d[0]
        reach = np.exp(-m * d) if np.isinf(self.beta) else self._norm * self._source_above(d)
        leaves = q * reach / (p * _sinh(m * d) + q * _cosh(m * d))
        return (1 - leaves) / (self.k[0] * m**2 * d)


def _depth_kernel(
    stack: PlanarStack, beam: Beam, lam: Array, z_um: Array | None, time: float | None
) -> Array:
    """Rise per λ and depth, shape (λ, z), or (λ, 1) for the mean over the film."""
    z_max = 0.0 if z_um is None else float(np.max(z_um, initial=0.0))
    s: Any = None
    if time is not None:
        s, weight = (a[:, None] for a in talbot_contour(time))
    modes = _Modes(stack, beam, lam, s, z_max)
    columns = [modes.film_mean()] if z_um is None else [modes.at(float(z)) for z in z_um]
    if time is not None:  # 1/s turns the answer to a pulse into that to a step
        columns = [np.imag(weight / s * c).sum(axis=0) for c in columns]
    return np.stack(columns, axis=-1)


def _check(stack: PlanarStack, z_um: Array | None, times_s: Array | None) -> None:
    if times_s is None and stack.back == "insulated" and np.isfinite(stack.thickness_um[-1]):
        raise ValueError("a plate with an insulated back has no steady state")
    if times_s is not None and not np.all(np.isfinite(times_s) & (times_s >= 0)):
        raise ValueError("times are finite and not negative")
    if z_um is None and np.isinf(stack.thickness_um[0]):
        raise ValueError("a half space has no mean over its depth")
    if z_um is not None:
        bottom = sum(stack.thickness_um) * (1 + 1e-12)
        if not np.all((z_um >= 0) & (z_um <= bottom)):
            raise ValueError("a depth lies outside the stack")


def layered_rise(
    stack: PlanarStack,
    beam: Beam,
    r_um: ArrayLike,
    z_um: ArrayLike | None = None,
    times_s: ArrayLike | None = None,
) -> Array:
    """Temperature rise per absorbed power, in space and after switching on.

    Parameters
    ----------
    stack : PlanarStack
        Film and what lies below it.
    beam : Beam
        Spot and absorption depth.
    r_um : array_like
        Distances from the axis, shape (r,) [µm].
    z_um : array_like, optional
        Depths below the surface, shape (z,) [µm]; the mean over the first layer where omitted.
    times_s : array_like, optional
        Times since the laser was switched on, shape (time,) [s]; the steady state where omitted.

    Returns
    -------
    ndarray
        ΔT/P [K/µW], shape ([time,] r[, z]).

    Raises
    ------
    ValueError
        For a depth outside the stack, a negative time, or a steady state that does not exist.

    Notes
    -----
    ΔT(r, z)/P = (1/2π) ∫ exp(−λ² w0²/8) J0(λ r) G(λ, z) λ dλ, G the rise in depth per λ.

    Examples
    --------
    Film of 40 nm on glass, heated evenly through its thickness, mean over its thickness:

    >>> stack = PlanarStack((0.04, float("inf")), (0.4, 1.05), (1.0e6, 2.1e6))
    >>> print(layered_rise(stack, Beam(1.0), [0.0, 2.0]).round(4))
    [0.3907 0.0787]
    """
    from scipy.special import j0

    radius = np.asarray(r_um, dtype=float).reshape(-1)
    depth = None if z_um is None else np.asarray(z_um, dtype=float).reshape(-1)
    times = None if times_s is None else np.asarray(times_s, dtype=float).reshape(-1)
    _check(stack, depth, times)
    lam, weight = hankel_nodes(beam.spot_radius_um, float(np.max(radius, initial=0.0)))
    beam_weight = weight * lam * np.exp(-((lam * beam.spot_radius_um) ** 2) / 8) / (2 * np.pi)
    steps: list[float | None] = [None] if times is None else [float(t) for t in times]
    n_z = 1 if depth is None else depth.size
    kernel = np.zeros((len(steps), n_z, lam.size))
    for i, time in enumerate(steps):
        if time != 0:
            kernel[i] = _depth_kernel(stack, beam, lam, depth, time).T * beam_weight
    out = np.empty((len(steps), radius.size, n_z))
    block = max(1, int(4e6 // lam.size))  # keeps J0 below 32 MB
    for start in range(0, radius.size, block):
        bessel = j0(radius[start : start + block, None] * lam)
        out[:, start : start + block] = np.einsum("tzl,rl->trz", kernel, bessel, optimize=True)
    if depth is None:
        out = out[..., 0]
    return out[0] if times is None else out


def layered_detection_rise(
    stack: PlanarStack,
    beam: Beam,
    z_um: float | None = None,
    times_s: ArrayLike | None = None,
) -> Array:
    """Rise per absorbed power as the detected light sees it: weighted with the intensity.

    Parameters
    ----------
    stack : PlanarStack
        Film and what lies below it.
    beam : Beam
        Spot and absorption depth.
    z_um : float, optional
        Depth below the surface [µm]; the mean over the first layer where omitted.
    times_s : array_like, optional
        Times since the laser was switched on, shape (time,) [s]; the steady state where omitted.

    Returns
    -------
    ndarray
        ⟨ΔT⟩/P [K/µW], shape () or (time,).

    Raises
    ------
    ValueError
        As :func:`layered_rise`.

    Notes
    -----
    ⟨ΔT⟩ = ∫ ΔT(r) I(r) r dr / ∫ I(r) r dr for emission in proportion to the intensity I, which
    puts the factor exp(−λ² w0²/8) into the integral once more.

    Examples
    --------
    >>> stack = PlanarStack((0.04, float("inf")), (0.4, 1.05), (1.0e6, 2.1e6))
    >>> print(round(float(layered_detection_rise(stack, Beam(1.0))), 4))
    0.2742
    """
    depth = None if z_um is None else np.array([z_um], dtype=float)
    times = None if times_s is None else np.asarray(times_s, dtype=float).reshape(-1)
    _check(stack, depth, times)
    lam, weight = hankel_nodes(beam.spot_radius_um)
    twice = weight * lam * np.exp(-((lam * beam.spot_radius_um) ** 2) / 4) / (2 * np.pi)
    steps: list[float | None] = [None] if times is None else [float(t) for t in times]
    out = np.zeros(len(steps))
    for i, time in enumerate(steps):
        if time != 0:
            out[i] = twice @ _depth_kernel(stack, beam, lam, depth, time)[:, 0]
    return out[0] if times is None else out
