"""Ions that hop through a lattice under light: kinetic Monte Carlo."""

from plkit.sim.hopping.model import (
    CarrierEnergy,
    IodideEscape,
    IonHopping,
    IonLattice,
    LaserRise,
)
from plkit.sim.hopping.run import simulate_ion_hopping

__all__ = [
    "CarrierEnergy",
    "IodideEscape",
    "IonHopping",
    "IonLattice",
    "LaserRise",
    "simulate_ion_hopping",
]
