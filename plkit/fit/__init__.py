"""Any lmfit Model over any dims: starting values, statistics, status, covariance."""

from __future__ import annotations

from plkit.fit.model_fit import fit_model
from plkit.fit.objective import CountNoise
from plkit.fit.profile import profile_interval

__all__ = ["CountNoise", "fit_model", "profile_interval"]
