"""Simulators; what they return has the schema of measured files."""

from plkit.sim.heating import simulate_heating
from plkit.sim.hopping import (
    CarrierEnergy,
    IodideEscape,
    IonHopping,
    IonLattice,
    LaserRise,
    simulate_ion_hopping,
)
from plkit.sim.laser_film import GLASS, Film, LaserSpot, Layer, absorptance_from_nk
from plkit.sim.measurement import Detector, simulate_measurement
from plkit.sim.study import simulate_study

__all__ = [
    "GLASS",
    "CarrierEnergy",
    "Detector",
    "Film",
    "IodideEscape",
    "IonHopping",
    "IonLattice",
    "LaserRise",
    "LaserSpot",
    "Layer",
    "absorptance_from_nk",
    "simulate_heating",
    "simulate_ion_hopping",
    "simulate_measurement",
    "simulate_study",
]
