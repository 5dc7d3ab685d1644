"""Corrections of labelled spectra: Dataset in, Dataset out, the noise model carried along.

Every function leaves its argument as it is, promotes integers to float before any arithmetic,
transforms ``noise_gain`` and ``noise_floor`` together with ``intensity``, keeps the other
variables, and adds a line to ``attrs["history"]``.
"""

from plkit.spectra.axes import raman_to_wavelength, to_air, to_energy, to_vacuum, to_wavelength
from plkit.spectra.baseline import subtract_baseline
from plkit.spectra.calibration import LAMP_LINES, calibrate_wavelength, find_lines
from plkit.spectra.cosmic import despike
from plkit.spectra.detector import divide_response, mask_saturation, subtract_dark
from plkit.spectra.drift import apply_drift, estimate_drift
from plkit.spectra.noise import set_noise, variance
from plkit.spectra.select import bin_spectra, crop
from plkit.spectra.transfer import estimate_noise, photon_transfer

__all__ = [
    "LAMP_LINES",
    "apply_drift",
    "bin_spectra",
    "calibrate_wavelength",
    "crop",
    "despike",
    "divide_response",
    "estimate_drift",
    "estimate_noise",
    "find_lines",
    "mask_saturation",
    "photon_transfer",
    "raman_to_wavelength",
    "set_noise",
    "subtract_baseline",
    "subtract_dark",
    "to_air",
    "to_energy",
    "to_vacuum",
    "to_wavelength",
    "variance",
]
