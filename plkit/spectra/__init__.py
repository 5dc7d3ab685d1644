"""Corrections of labelled spectra: Dataset in, Dataset out, the noise model carried along.

Every function leaves its argument as it is, promotes integers to float before any arithmetic,
transforms ``noise_gain`` and ``noise_floor`` together with ``intensity``, keeps the other
variables, and adds a line to ``attrs["history"]``.
"""

from plkit.spectra.cosmic import despike
from plkit.spectra.noise import estimate_noise, variance

__all__ = ["despike", "estimate_noise", "variance"]
