"""H Fig. 9: recovery of x = 2 in the dark over 9000 s (simulated).

python docs/figures/h_fig9.py demo-results/results.nc h_fig9
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import plot


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure."""
    film = tree["x2.0"]
    raw, unmixed, kinetics = (
        film[f"recovery_{n}"].to_dataset() for n in ("raw", "unmixed", "kinetics")
    )
    figure = Figure(figsize=(7.0, 4.8), layout="constrained")
    (spectra, contributions), (colours, track) = figure.subplots(2, 2)
    plot.plot_spectra(raw, ax=spectra)
    plot.plot_kinetics(unmixed, kinetics, ax=contributions)
    plot.plot_spectral_movie(raw, ax=colours)
    plot.plot_track(plkit.fit_peaks(raw, variable="movie"), "peak_wavelength", ax=track)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
