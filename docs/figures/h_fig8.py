"""H Fig. 8: conversion and shift of the maximum against power, and Arrhenius plot, x = 2 (simulated).

python docs/figures/h_fig8.py demo-results/results.nc h_fig8
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure; the shift is between means over the first and the last twentieth of the record."""
    film = tree["x2.0"]
    kinetics, arrhenius, peaks = (film[n].to_dataset() for n in ("kinetics", "arrhenius", "peaks"))
    figure = Figure(figsize=(8.4, 2.7), layout="constrained")
    conversion, shift, line = figure.subplots(1, 3)
    plot.plot_conversion({"x2.0": kinetics}, ax=conversion)
    n = max(peaks[names.TIME].size // 20, 1)
    track, error = peaks["peak_wavelength"], peaks["peak_wavelength_stderr"]
    ends = [track.isel({names.TIME: s}) for s in (slice(0, n), slice(-n, None))]
    moved = ends[1].mean(names.TIME) - ends[0].mean(names.TIME)
    sigma = (error.isel({names.TIME: 0}) ** 2 + error.isel({names.TIME: -1}) ** 2) ** 0.5 / n**0.5
    shifts = xr.Dataset({"wavelength_shift": moved, "wavelength_shift_stderr": sigma})
    for name, found in shifts.items():
        found.attrs = names.attrs(str(name))
    plot.plot_track(shifts, "wavelength_shift", over=names.POWER, ax=shift)
    plot.plot_arrhenius({"x2.0": arrhenius}, ax=line)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
