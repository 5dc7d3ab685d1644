"""P Fig. 1: heater temperature against time; spectra while light segregates and while the dark remixes (simulated).

python docs/figures/p_fig1.py demo-results/results.nc p_fig1
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
    """Draw the figure: ten minutes of heating; an hour of light at 23.5 °C."""
    heated = plkit.thermal_cycling(HeaterProtocol.continuous(900.0, start_s=0.0), exposure_s=1.0)
    off = HeaterProtocol.continuous(3600.0, start_s=3600.0)
    movie = plkit.thermal_cycling(off, emission=CyclingEmission(), exposure_s=5.0, ambient_k=296.65)
    figure = Figure(figsize=(7.0, 2.6), layout="constrained")
    temperature, spectra = figure.subplots(1, 2)
    plot.plot_track(heated, "temperature", ax=temperature)
    counts = movie["intensity"].astype(float)
    counts.attrs = movie["intensity"].attrs
    plot.plot_spectra(counts.sel({names.TIME: slice(0, 120)}), ax=spectra)
    spectra.set_title("segregation under light, 23.5 °C", loc="left", fontsize=8)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
