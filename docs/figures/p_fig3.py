"""P Fig. 3: six heating patterns; spectra after 180 s of each; 0.5/5 s as an image, and over an hour (simulated).

python docs/figures/p_fig3.py demo-results/results.nc p_fig3
"""

from __future__ import annotations

import sys

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot
from plkit.sim import CyclingEmission, HeaterProtocol

PULSES = ((0.1, 1.0), (1.0, 10.0), (2.0, 10.0), (5.0, 10.0), (0.5, 5.0))
COLOURS = ("#7F7F7F", "#D55E00", "#E69F00", "#009E73", "#56B4E9", "#0072B2")


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:  # noqa: ARG001
    """Draw the figure. The model is tuned to these six outcomes: it shows them, it does not prove them."""
    figure = Figure(figsize=(7.6, 5.0), layout="constrained")
    (pattern, spectra), (image, hour) = figure.subplots(2, 2)
    six = [HeaterProtocol.continuous(180.0), *(HeaterProtocol(*p, 180.0) for p in PULSES)]
    for i, (protocol, colour) in enumerate(zip(six, COLOURS, strict=True)):
        movie = plkit.thermal_cycling(protocol, emission=CyclingEmission())
        on = movie["heater_current"].sel({names.TIME: slice(0, 30)}) > 0
        pattern.fill_between(on[names.TIME], i, i + 0.8 * on, step="mid", color=colour, lw=0)
        last = movie["intensity"].astype(float).isel({names.TIME: slice(-10, None)})
        mean = last.mean(names.TIME) - 100.0
        spectra.plot(mean[names.WAVELENGTH], mean + 900 * i, color=colour, lw=0.8)
    pattern.set_yticks(np.arange(6) + 0.4, [p.name for p in six])
    pattern.set_xlabel(plot.style.label(names.TIME))
    spectra.set_xlabel(plot.style.label(names.WAVELENGTH))
    spectra.set_ylabel("Intensity after 180 s (counts, shifted)")
    counts = plkit.spectra.despike(movie)["intensity"]
    plot.plot_spectral_movie(counts, ax=image)
    image.set_title("0.5/5 s", loc="left", fontsize=8)
    long = plkit.thermal_cycling(HeaterProtocol(0.5, 5.0, 3600.0), emission=CyclingEmission())
    total = long["intensity"].astype(float).sum(names.WAVELENGTH)
    hour.plot(total[names.TIME], total / float(total.mean()), color=COLOURS[-1], lw=0.3)
    hour.set_ylim(0, 1.3)
    hour.set_xlabel(plot.style.label(names.TIME))
    hour.set_ylabel("All counts / mean, 0.5/5 s")
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
