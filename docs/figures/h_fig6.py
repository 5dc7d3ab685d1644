"""H Fig. 6: hopping of ions: the lattice, and top views while the irradiated column reconstructs (simulated).

python docs/figures/h_fig6.py demo-results/results.nc h_fig6
"""

from __future__ import annotations

import sys

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import plkit
from plkit import plot

STEPS = (0, 50, 100, 200, 500)


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:  # noqa: ARG001
    """Draw the figure: a simulation of its own, nothing of the results."""
    model = plkit.IonHopping(
        laser=plkit.LaserRise(6.0), escape=plkit.IodideEscape(), rule="published"
    )
    run = plkit.simulate_ion_hopping(plkit.IonLattice(), model, STEPS, seed=1)
    nm = 1e3 * np.array([run.x[0], run.x[-1]])
    extent = (*nm, *nm)
    figure = Figure(figsize=(7.0, 2.0), layout="constrained")
    lattice, *views = figure.subplots(1, 1 + len(STEPS), sharey=True)
    species = ListedColormap(["white", "#009E73", "#D55E00"])
    lattice.imshow(run.species[0, 0], species, vmin=0, vmax=2, origin="lower", extent=extent)
    lattice.set_title("top layer")
    lattice.set_ylabel("y (nm)")
    for axes, step, cube in zip(views, STEPS, run.species.values, strict=True):
        share = (cube == 1).mean(axis=0)
        image = axes.imshow(share, "viridis", vmin=0.3, vmax=1, origin="lower", extent=extent)
        axes.set_title(f"{step} steps")
    for axes in (lattice, *views):
        axes.set_xlabel("x (nm)")
        axes.set_xticks([-3, 0, 3])
        axes.set_yticks([-3, 0, 3])
    figure.colorbar(image, ax=views, label="Bromide, mean over depth", shrink=0.9)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
