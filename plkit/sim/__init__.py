"""Simulators; what they return has the schema of measured files."""

from plkit.sim.emission import Emission, simulate_emission
from plkit.sim.funnelling import TwoPhases, funnelling_bias
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
    "Emission",
    "Film",
    "IodideEscape",
    "IonHopping",
    "IonLattice",
    "LaserRise",
    "LaserSpot",
    "Layer",
    "TwoPhases",
    "absorptance_from_nk",
    "funnelling_bias",
    "simulate_emission",
    "simulate_heating",
    "simulate_ion_hopping",
    "simulate_measurement",
    "simulate_study",
]
