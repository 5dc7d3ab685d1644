"""H Fig. 9: recovery of x = 2 in the dark over 9000 s (simulated).

python docs/figures/h_fig9.py demo-results/results.nc h_fig9
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot


def _movie(raw: xr.Dataset) -> xr.DataArray:
    """Averaged frames, their time named as plots expect it."""
    return raw["movie"].rename({"movie_time": names.TIME}).rename(names.INTENSITY)


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure."""
    film = tree["x2.0"]
    movie = _movie(film["recovery_raw"].to_dataset())
    unmixed, kinetics = (film[f"recovery_{n}"].to_dataset() for n in ("unmixed", "kinetics"))
    figure = Figure(figsize=(7.0, 4.8), layout="constrained")
    (spectra, contributions), (colours, track) = figure.subplots(2, 2)
    plot.plot_spectra(movie, ax=spectra)
    plot.plot_kinetics(unmixed, kinetics, ax=contributions)
    plot.plot_spectral_movie(movie, ax=colours)
    noise = film["recovery_raw"].to_dataset()[[names.NOISE_GAIN, names.NOISE_FLOOR]]
    plot.plot_track(
        plkit.fit_peaks(noise.assign({names.INTENSITY: movie})), "peak_wavelength", ax=track
    )
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
