"""Temperature on the lattice, as the compiled walks want it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.names import POWER, TEMPERATURE, TIME, R, Z
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.physics.hopping import escape_share, hop_rate, published_rise
from plkit.schema import require_unit
from plkit.sim.hopping.model import ACTION, IonHopping, IonLattice, LaserRise

__all__ = ["Field", "axis_distance", "field_of"]

Array = NDArray[Any]
_SPOT = 0.1  # waist of a heating dataset's laser, in units of the lattice's width


@dataclass(frozen=True, slots=True)
class Field:
    """Temperature rise at the sites and what follows from it.

    Parameters
    ----------
    rise : ndarray, shape (stages, nz or 1, ny or 1, nx or 1)
        Temperature above ambient [K]; one stage where the field is frozen.
    stages : ndarray
        Times of the stages [s].
    ramp : float
        B of 1 − exp(−B t) between two stages [1/s]; zero for straight lines.
    ambient_k : float
        Temperature far away [K].
    """

    rise: Array
    stages: Array
    ramp: float
    ambient_k: float

    @property
    def frozen(self) -> bool:
        """True where the field does not change."""
        return bool(self.rise.shape[0] == 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along z, y and x."""
        return self.rise.shape[1:]

    def at(self, time: float) -> Array:
        """Temperature rise at a time [K]."""
        if self.frozen:
            return np.asarray(self.rise[0])
        if self.ramp > 0:
            return np.asarray(-np.expm1(-self.ramp * time) * self.rise[1])
        i = int(np.clip(np.searchsorted(self.stages, time) - 1, 0, self.stages.size - 2))
        low, high = self.stages[i : i + 2]
        w = float(np.clip((time - low) / (high - low), 0.0, 1.0))
        return np.asarray((1 - w) * self.rise[i] + w * self.rise[i + 1])

    def layers(self, where: str) -> Array:
        """Rise of every stage where hops take it: (stages, 1, …) at ions, (stages, 3, …) on bonds."""
        if where == "ion" or self.rise[0].size == 1:
            return self.rise[:, None]
        # The middle of a bond lies between two sites; along an axis without variation, on it. The
        # bond over a periodic end joins the two ends.
        return np.stack(
            [0.5 * (self.rise + np.roll(self.rise, -1, 1 + a)) for a in range(3)], axis=1
        )

    def table(self, model: IonHopping) -> tuple[Array, float]:
        """Largest rates (3 species, cells) in units of the largest of all, and that [1/s]."""
        top = self.layers(model.temperature_at).max(axis=0).ravel() + self.ambient_k
        rates = np.zeros((3, top.size))
        for s, barrier in ((1, model.bromide_barrier_ev), (2, model.iodide_barrier_ev)):
            rates[s] = hop_rate(top, barrier, model.attempt_rate_per_s)
        bound = float(rates.max())
        return (rates / bound).astype(np.float32), bound

    def betas(self, model: IonHopping) -> Array:
        """1/(k_B T) of every cell at the start [1/eV]."""
        rise = self.layers(model.temperature_at)[0].ravel()
        return np.asarray(1.0 / (BOLTZMANN_EV_K * (self.ambient_k + rise)), np.float32)

    def escape_rates(self, model: IonHopping, lattice: IonLattice) -> Array:
        """Running sum of the largest escape rate of every cell [1/s]."""
        if model.escape is None or model.escape.attempts_per_s is None:
            return np.zeros(0)
        top = self.rise.max(axis=0)
        share = escape_share(top, model.escape.amplitude, model.escape.alpha_per_k)
        sites_per_cell = lattice.sites / top.size
        total = np.cumsum(share.ravel() * sites_per_cell * model.escape.attempts_per_s)
        return total if total[-1] > 0 else np.zeros(0)


def axis_distance(lattice: IonLattice) -> Array:
    """Distance of every column from the axis of the beam, in sites (y, x)."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in lattice.shape[1:])
    return np.asarray(np.hypot(y[:, None], x[None, :]))


def field_of(model: IonHopping, lattice: IonLattice) -> Field:
    """Put the model's heating onto the lattice.

    Parameters
    ----------
    model : IonHopping
        With ``laser`` and ``ambient_k``.
    lattice : IonLattice
        Geometry.

    Returns
    -------
    Field
        The temperature.

    Raises
    ------
    DataError
        If a heating dataset lacks a temperature, or has several powers.
    """
    if model.laser is None:
        return Field(np.zeros((1, 1, 1, 1)), np.zeros(1), 0.0, model.ambient_k)
    if isinstance(model.laser, LaserRise):
        laser = model.laser
        rise = published_rise(axis_distance(lattice), laser.waist * lattice.shape[2], laser.peak_k)
        rise = rise[None, None]
        if math.isinf(laser.rate_per_s):
            return Field(rise, np.zeros(1), 0.0, model.ambient_k)
        both = np.concatenate([np.zeros_like(rise), rise])
        return Field(both, np.array([0.0, 1.0]), laser.rate_per_s, model.ambient_k)
    return _from_heating(model.laser, lattice)


def _from_heating(heat: xr.Dataset, lattice: IonLattice) -> Field:
    if TEMPERATURE not in heat or "laser" not in heat.attrs or "film" not in heat.attrs:
        raise DataError(
            ACTION, "the heating dataset has no temperature of a laser in a film",
            "Make it by plkit.simulate_heating(spot, film, power_uw=…).",
        )  # fmt: skip
    kelvin = require_unit(heat[TEMPERATURE], TEMPERATURE, ACTION).squeeze(drop=True)
    if POWER in kelvin.dims:
        raise DataError(
            ACTION, f"the heating has {kelvin.sizes[POWER]} powers, not one",
            "Choose one: heat.isel(power=0).",
        )  # fmt: skip
    if TIME not in kelvin.dims:
        kelvin = kelvin.expand_dims(TIME)
    spot_um = float(json.loads(heat.attrs["laser"])["radius_um"])
    depth_um = 1e-3 * float(json.loads(heat.attrs["film"])["thickness_nm"])
    nz, _, nx = lattice.shape
    radius = axis_distance(lattice) * spot_um / (_SPOT * nx)
    ambient = float(heat["ambient_temperature"])
    values = kelvin.transpose(TIME, R, Z).values - ambient
    r, z = heat[R].values, heat[Z].values
    frames = []
    for frame in values:
        # Linear in depth, then along the radius; beyond the last radius the last value.
        at_depth = np.stack(
            [np.interp((np.arange(nz) + 0.5) / nz * depth_um, z, row) for row in frame]
        )
        frames.append([np.interp(radius, r, at_depth[:, i]) for i in range(nz)])
    rise = np.asarray(frames)
    if np.ptp(rise, axis=1).max(initial=0.0) < 1e-3:
        rise = rise.mean(axis=1, keepdims=True)  # a millikelvin over the film is no gradient
    stages = kelvin[TIME].values.astype(float) if rise.shape[0] > 1 else np.zeros(1)
    return Field(rise, stages, 0.0, ambient)
