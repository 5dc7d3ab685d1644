"""Diffusion coefficients from halos, and their temperature dependence."""

from plkit.diffusion.movie import fit_fick_movie
from plkit.diffusion.profile import fit_fick_profile
from plkit.diffusion.series import fit_diffusion_temperature

__all__ = ["fit_diffusion_temperature", "fit_fick_movie", "fit_fick_profile"]
