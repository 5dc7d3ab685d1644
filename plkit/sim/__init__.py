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
from plkit.sim.heating import simulate_heating
from plkit.sim.laser_film import GLASS, Film, LaserSpot, Layer, absorptance_from_nk
from plkit.sim.measurement import Detector, simulate_measurement
from plkit.sim.study import simulate_study

__all__ = [
    "GLASS",
    "CyclingEmission",
    "CyclingModel",
    "Detector",
    "Film",
    "Heater",
    "HeaterProtocol",
    "LaserSpot",
    "Layer",
    "Recombination",
    "SeverityThresholds",
    "absorptance_from_nk",
    "map_thermal_cycling",
    "severity_of",
    "simulate_carriers",
    "simulate_heating",
    "simulate_measurement",
    "simulate_study",
    "thermal_cycling",
]
