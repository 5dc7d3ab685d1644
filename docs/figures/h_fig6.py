"""H Fig. 6: lattice before and after, and top views of the iodine content at several steps (simulated).

python docs/figures/h_fig6.py demo-results/results.nc h_fig6
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

import plkit
from plkit import names, plot
from plkit.sim import IodideEscape, IonHopping, IonLattice, LaserRise

STEPS = (0, 50, 500)


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:  # noqa: ARG001
    """Draw the figure: the published rule, with the parameters of docs/ion-hopping."""
    model = IonHopping(rule="published", laser=LaserRise(6.0), escape=IodideEscape())
    run = plkit.simulate_ion_hopping(IonLattice(), model, STEPS, seed=1)
    species = run["species"]
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    rows = figure.subplots(2, len(STEPS))
    nm = {d: run[d] * 1e3 for d in (names.X, names.Y)}
    three = ListedColormap(["white", "#44AA66", "#CC3344"])  # vacancy, bromide, iodide
    for (top, view), step in zip(rows.T, STEPS, strict=True):
        now = species.sel({names.TIME: step})
        drawn = {"shading": "nearest", "rasterized": True}
        top.pcolormesh(
            nm[names.X], nm[names.Y], now.isel({names.Z: -1}), cmap=three, vmin=0, vmax=2, **drawn
        )
        top.set_title(f"step {step}: one layer", fontsize=8)
        halide = now > 0
        share = (now == 2).sum(names.Z) / halide.sum(names.Z)
        mesh = view.pcolormesh(
            nm[names.X], nm[names.Y], share, cmap="viridis", vmin=0, vmax=0.7, **drawn
        )
        gap = float(run["local_gap"].sel({names.TIME: step}))
        view.set_title(f"all layers; gap of the column {gap:.2f} eV", fontsize=8)
        for ax in (top, view):
            ax.set_aspect("equal")
            ax.set_xlabel("x (nm)")
            ax.set_ylabel("y (nm)")
    figure.colorbar(mesh, ax=rows[1], label="Iodide fraction")
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
