"""H Fig. 7: x = 2 under the strongest laser: spectra, contributions, colour map, peak (simulated).

python docs/figures/h_fig7.py demo-results/results.nc h_fig7
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import plot


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure at the strongest power."""
    film = tree["x2.0"]
    raw, unmixed, kinetics, peaks = (
        film[n].to_dataset().isel(power=-1) for n in ("raw", "unmixed", "kinetics", "peaks")
    )
    figure = Figure(figsize=(7.0, 4.8), layout="constrained")
    (spectra, contributions), (movie, track) = figure.subplots(2, 2)
    plot.plot_spectra(raw, ax=spectra)
    plot.plot_kinetics(unmixed, kinetics, ax=contributions)
    plot.plot_spectral_movie(raw, ax=movie)
    plot.plot_track(peaks, "peak_wavelength", ax=track)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
