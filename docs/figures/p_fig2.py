"""P Fig. 2: spectral image before and after heater on and off, spectra, temperature (simulated).

python docs/figures/p_fig2.py demo-results/results.nc p_fig2
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot
from plkit.sim import CyclingEmission, HeaterProtocol


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:  # noqa: ARG001
    """Draw the figure: a segregated film, the heater on after 600 s and off 600 s later."""
    protocol = HeaterProtocol(600.0, 1200.0, 1800.0, start_s=600.0)
    movie = plkit.thermal_cycling(protocol, emission=CyclingEmission())
    counts = movie["intensity"].astype(float)
    counts.attrs = movie["intensity"].attrs
    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    for row, event, title in zip(
        figure.subplots(2, 3), (600.0, 1200.0), ("heater on", "heater off"), strict=True
    ):
        near = {names.TIME: slice(event - 10.0, event + 20.0)}
        plot.plot_spectral_movie(counts.sel(near), ax=row[0])
        row[0].set_title(f"{title} at {event:g} s", loc="left", fontsize=8)
        plot.plot_spectra(counts.sel({names.TIME: slice(event - 1.0, event + 8.0)}), ax=row[1])
        plot.plot_track(movie.sel(near), "temperature", ax=row[2])
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
