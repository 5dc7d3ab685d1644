"""What spectra do in time: rates, conversion, and a verdict on the exposure."""

from __future__ import annotations

from plkit.kinetics.biexponential import fit_kinetics

__all__ = ["fit_kinetics"]
