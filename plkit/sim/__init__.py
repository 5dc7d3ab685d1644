"""Simulators; what they return has the schema of measured files."""

from plkit.sim.carriers import Recombination, simulate_carriers
from plkit.sim.cycling import (
    CyclingEmission,
    CyclingModel,
    Heater,
    HeaterProtocol,
    thermal_cycling,
)
from plkit.sim.cycling_map import SeverityThresholds, map_thermal_cycling, severity_of
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
    "CyclingEmission",
    "CyclingModel",
    "Detector",
    "Emission",
    "Film",
    "Heater",
    "HeaterProtocol",
    "IodideEscape",
    "IonHopping",
    "IonLattice",
    "LaserRise",
    "LaserSpot",
    "Layer",
    "Recombination",
    "SeverityThresholds",
    "TwoPhases",
    "absorptance_from_nk",
    "funnelling_bias",
    "map_thermal_cycling",
    "severity_of",
    "simulate_carriers",
    "simulate_emission",
    "simulate_heating",
    "simulate_ion_hopping",
    "simulate_measurement",
    "simulate_study",
    "thermal_cycling",
]
