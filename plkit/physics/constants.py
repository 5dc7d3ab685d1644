"""Physical constants (CODATA 2018, exact where the SI defines them)."""

from __future__ import annotations

from typing import Final

BOLTZMANN_EV_K: Final = 8.617333262e-5
"""Boltzmann constant [eV/K]."""

HC_EV_NM: Final = 1239.841984
"""Photon energy times vacuum wavelength [eV nm]."""

ELEMENTARY_CHARGE_C: Final = 1.602176634e-19
"""Elementary charge [C]."""

KJ_MOL_PER_EV: Final = 96.48533212
"""One eV per particle [kJ/mol]."""

FWHM_PER_SIGMA: Final = 2.3548200450309493
"""Full width at half maximum of a Gaussian of unit standard deviation, 2 √(2 ln 2)."""
