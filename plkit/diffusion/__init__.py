"""Diffusion coefficients from halos, and their temperature dependence."""

from plkit.diffusion.profile import fit_fick_profile

__all__ = ["fit_fick_profile"]
