"""What spectra do in time: rates, conversion, and a verdict on the exposure."""

from __future__ import annotations

from plkit.kinetics.biexponential import fit_kinetics
from plkit.kinetics.judgement import Verdict, VerdictThresholds, verdict

__all__ = ["Verdict", "VerdictThresholds", "fit_kinetics", "verdict"]
