"""Any lmfit Model over any dims: starting values, statistics, status, covariance."""

from __future__ import annotations

from plkit.fit.model_fit import fit_model

__all__ = ["fit_model"]
