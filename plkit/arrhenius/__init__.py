"""Activation energies from rates and temperatures, with their uncertainty by cause."""

from plkit.arrhenius.fitting import fit_arrhenius
from plkit.arrhenius.prediction import predict_arrhenius
from plkit.physics.arrhenius import TwoPointEnergy, two_point_energy

__all__ = ["TwoPointEnergy", "fit_arrhenius", "predict_arrhenius", "two_point_energy"]
