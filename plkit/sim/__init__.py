"""Simulators; what they return has the schema of measured files."""

from plkit.sim.heating import simulate_heating
from plkit.sim.laser_film import GLASS, Film, LaserSpot, Layer, absorptance_from_nk

__all__ = ["GLASS", "Film", "LaserSpot", "Layer", "absorptance_from_nk", "simulate_heating"]
