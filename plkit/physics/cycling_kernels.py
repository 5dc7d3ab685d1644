"""Compiled integration of the model of :mod:`plkit.physics.cycling`.

All of it stands in one file, because numba's cache on disk notices a change only in the file of the
function that was cached. This module imports numba; import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np
from numpy.typing import NDArray

from plkit.physics.compiling import announce_compilation
from plkit.physics.constants import BOLTZMANN_EV_K

__all__ = ["march"]

announce_compilation()

Floats = NDArray[np.float64]
_F = TypeVar("_F", bound=Callable[..., Any])


def _njit(function: _F) -> _F:
    """Compile with a cache on disk, or without one where no folder is writable."""
    try:
        compiled = nb.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = nb.njit(error_model="numpy")(function)
    return cast(_F, compiled)


@_njit
def _reset(u: float, k_h: float, k_c: float, u_h: float, u_c: float) -> float:
    if u > 0.0:
        k, z = k_h, u / u_h
    else:
        k, z = k_c, -u / u_c
    z2 = z * z
    z8 = z2 * z2 * z2 * z2
    if z8 > 1e12:
        return k
    return k * z8 / (1.0 + z8)


@_njit
def march(
    edges: Floats,
    heating: Floats,
    light: Floats,
    constants: Floats,
    heater: Floats,
    ambient: float,
    start: float,
    longest: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """March through all intervals; see :func:`plkit.physics.cycling.integrate_cycling`."""
    k_h, k_c, u_h, u_c, tau_u, rest = constants[:6]
    k_seg, e_seg, k_mix, e_mix, t_ref = constants[6:]
    a1, a2, tau1, tau2 = heater
    n = heating.size
    mean_t, mean_s, mean_u = np.empty(n), np.empty(n), np.empty(n)
    top, end = np.empty(n), np.empty(n)
    x1 = x2 = u = q = 0.0
    s = start
    for i in range(n):
        length = edges[i + 1] - edges[i]
        steps = max(1, int(np.ceil(length / longest - 1e-9)))
        h = length / steps
        half = 0.5 * h
        # Decays over half a step, and what a unit of T'(0) does to u meanwhile.
        d1, d2, du = np.exp(-half / tau1), np.exp(-half / tau2), np.exp(-half / tau_u)
        gap1, gap2 = 1.0 / tau_u - 1.0 / tau1, 1.0 / tau_u - 1.0 / tau2
        c1 = half * du if abs(gap1) < 1e-9 else (d1 - du) / gap1
        c2 = half * du if abs(gap2) < 1e-9 else (d2 - du) / gap2
        p = heating[i]
        sum_t = sum_s = sum_u = 0.0
        highest = s
        for _ in range(steps):
            b1, b2 = a1 * (p - x1) / tau1, a2 * (p - x2) / tau2
            u_mid = u * du + b1 * c1 + b2 * c2
            x1, x2 = p + (x1 - p) * d1, p + (x2 - p) * d2
            temperature = ambient + a1 * x1 + a2 * x2
            b1, b2 = a1 * (p - x1) / tau1, a2 * (p - x2) / tau2
            u = u_mid * du + b1 * c1 + b2 * c2
            x1, x2 = p + (x1 - p) * d1, p + (x2 - p) * d2

            reset = _reset(u_mid, k_h, k_c, u_h, u_c)
            inverse = (1.0 / t_ref - 1.0 / temperature) / BOLTZMANN_EV_K
            fade = np.exp(-reset * half)
            grown = half if reset * half < 1e-9 else (1.0 - fade) / reset
            q_mid = q * fade + grown
            q = q_mid * fade + grown
            y = q_mid / rest
            y = y * y * y * y
            grow = light[i] * k_seg * np.exp(e_seg * inverse) * y / (1.0 + y)
            both = grow + k_mix * np.exp(e_mix * inverse) + reset
            goal = grow / both
            before = s
            s = goal + (s - goal) * np.exp(-both * h)
            highest = max(highest, s)
            sum_t += temperature
            sum_s += 0.5 * (before + s)
            sum_u += u_mid
        mean_t[i], mean_s[i], mean_u[i] = sum_t / steps, sum_s / steps, sum_u / steps
        top[i], end[i] = highest, s
    return mean_t, mean_s, mean_u, top, end
