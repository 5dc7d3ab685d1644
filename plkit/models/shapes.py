"""Lines of height one, named and at module level: models with them can be sent to workers."""

from __future__ import annotations

import numpy as np

from plkit.models.base import Floats
from plkit.physics import lineshapes

__all__ = ["asymmetric_shape", "gaussian_shape", "lorentzian_shape", "pseudo_voigt_shape"]


def gaussian_shape(x: Floats, centre: float, fwhm: float) -> Floats:
    """Return a Gaussian of height one."""
    return lineshapes.gaussian_profile(x, centre, fwhm)[0]


def lorentzian_shape(x: Floats, centre: float, fwhm: float) -> Floats:
    """Return a Lorentzian of height one."""
    return np.asarray(0.5 * np.pi * fwhm * lineshapes.lorentzian(x, centre, fwhm))


def pseudo_voigt_shape(x: Floats, centre: float, fwhm: float, lorentz_fraction: float) -> Floats:
    """Return a pseudo-Voigt of height one."""
    shape = lineshapes.pseudo_voigt(x, centre, fwhm, lorentz_fraction)
    return np.asarray(shape / lineshapes.pseudo_voigt(centre, centre, fwhm, lorentz_fraction))


def asymmetric_shape(x: Floats, centre: float, fwhm: float, asymmetry: float) -> Floats:
    """Return a log-normal line of height one."""
    return lineshapes.asymmetric_profile(x, centre, fwhm, asymmetry)[0]
