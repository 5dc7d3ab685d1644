"""Figures of results: matplotlib for paper, HoloViews for pages. Nothing here fits or reads.

Every ``plot_*`` function takes result Datasets, draws on ``ax`` or on a new figure of a journal's
column width, and returns the figure. Units and symbols come from :mod:`plkit.names`; σ is drawn
wherever there is one; what could not be computed is grey or hatched. :func:`save_figure` writes the
same bytes for the same figure.
"""

from __future__ import annotations

from plkit.plot.arrhenius import plot_arrhenius, plot_diffusion
from plkit.plot.interactive import hv_arrhenius, hv_kinetics, hv_map, hv_spectra
from plkit.plot.kinetics import plot_conversion, plot_kinetics
from plkit.plot.maps import plot_composition, plot_map
from plkit.plot.noise import plot_photon_transfer
from plkit.plot.output import save_figure
from plkit.plot.profile import plot_profile
from plkit.plot.spectra import plot_spectra, plot_spectral_movie
from plkit.plot.temperature import plot_temperature
from plkit.plot.track import plot_track
from plkit.plot.unmixing import plot_unmixing

__all__ = [
    "hv_arrhenius",
    "hv_kinetics",
    "hv_map",
    "hv_spectra",
    "plot_arrhenius",
    "plot_composition",
    "plot_conversion",
    "plot_diffusion",
    "plot_kinetics",
    "plot_map",
    "plot_photon_transfer",
    "plot_profile",
    "plot_spectra",
    "plot_spectral_movie",
    "plot_temperature",
    "plot_track",
    "plot_unmixing",
    "save_figure",
]
