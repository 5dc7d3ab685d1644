"""H Fig. 2: spectra, contributions and colour map of x = 1 and x = 1.5 under the laser (simulated).

python docs/figures/h_fig2.py demo-results/results.nc h_fig2
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
    figure = Figure(figsize=(8.0, 4.6), layout="constrained")
    for row, name in zip(figure.subplots(2, 3), ("x1.0", "x1.5"), strict=True):
        raw, unmixed, kinetics = (
            tree[name][n].to_dataset().isel(power=-1) for n in ("raw", "unmixed", "kinetics")
        )
        plot.plot_spectra(raw, ax=row[0])
        plot.plot_kinetics(unmixed, kinetics, ax=row[1])
        plot.plot_spectral_movie(raw, ax=row[2])
        row[0].set_title(f"x = {name[1:]}, {float(raw.power):g} µW", loc="left", fontsize=8)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
