"""Where a spectrum has its peak: energy, width and height with their σ, and the exciton energy."""

from plkit.peaks.derivative import second_derivative_energy
from plkit.peaks.fit import fit_peaks

__all__ = ["fit_peaks", "second_derivative_energy"]
