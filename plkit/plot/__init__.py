"""Figures of results: matplotlib for paper, HoloViews for pages. Nothing here fits or reads.

Every ``plot_*`` function takes result Datasets, draws on ``ax`` or on a new figure of a journal's
column width, and returns the figure; the ``hv_*`` function of the same name draws the same arrays with
the same labels and colours for the screen. Units and symbols come from :mod:`plkit.names`; σ is drawn
wherever there is one; what could not be computed is grey or hatched. :func:`save_figure` writes the
same bytes for the same figure.
"""

from __future__ import annotations

from plkit.plot.arrhenius import hv_arrhenius, hv_diffusion, plot_arrhenius, plot_diffusion
from plkit.plot.carriers import hv_carriers, hv_funnelling, plot_carriers, plot_funnelling
from plkit.plot.cut import hv_composition_cut, plot_composition_cut
from plkit.plot.cycling import hv_cycling, hv_cycling_map, plot_cycling, plot_cycling_map
from plkit.plot.decay import hv_decay, plot_decay
from plkit.plot.hopping import hv_hopping, hv_lattice, plot_hopping, plot_lattice
from plkit.plot.kinetics import hv_conversion, hv_kinetics, plot_conversion, plot_kinetics
from plkit.plot.maps import hv_composition, hv_map, plot_composition, plot_map
from plkit.plot.noise import hv_photon_transfer, plot_photon_transfer
from plkit.plot.output import save_figure
from plkit.plot.profile import hv_profile, plot_profile
from plkit.plot.spectra import hv_spectra, hv_spectral_movie, plot_spectra, plot_spectral_movie
from plkit.plot.temperature import hv_temperature, plot_temperature
from plkit.plot.track import hv_track, plot_track
from plkit.plot.unmixing import hv_unmixing, plot_unmixing

__all__ = [
    "hv_arrhenius",
    "hv_carriers",
    "hv_composition",
    "hv_composition_cut",
    "hv_conversion",
    "hv_cycling",
    "hv_cycling_map",
    "hv_decay",
    "hv_diffusion",
    "hv_funnelling",
    "hv_hopping",
    "hv_kinetics",
    "hv_lattice",
    "hv_map",
    "hv_photon_transfer",
    "hv_profile",
    "hv_spectra",
    "hv_spectral_movie",
    "hv_temperature",
    "hv_track",
    "hv_unmixing",
    "plot_arrhenius",
    "plot_carriers",
    "plot_composition",
    "plot_composition_cut",
    "plot_conversion",
    "plot_cycling",
    "plot_cycling_map",
    "plot_decay",
    "plot_diffusion",
    "plot_funnelling",
    "plot_hopping",
    "plot_kinetics",
    "plot_lattice",
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
