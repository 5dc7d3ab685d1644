"""H Fig. 3: conversion after 500 s against power, and Arrhenius plot, x = 1 and x = 1.5 (simulated).

python docs/figures/h_fig3.py demo-results/results.nc h_fig3
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import plot

FILMS = ("x1.0", "x1.5")


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure."""
    figure = Figure(figsize=(6.8, 2.7), layout="constrained")
    conversion, arrhenius = figure.subplots(1, 2)
    plot.plot_conversion({n: tree[n]["kinetics"].to_dataset() for n in FILMS}, ax=conversion)
    plot.plot_arrhenius({n: tree[n]["arrhenius"].to_dataset() for n in FILMS}, ax=arrhenius)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
