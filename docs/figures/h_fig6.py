"""H Fig. 6: lattice before and after, and top views of the iodine content at several steps (simulated).

python docs/figures/h_fig6.py demo-results/results.nc h_fig6
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import plot
from plkit.sim import IodideEscape, IonHopping, IonLattice, LaserRise

STEPS = (0, 50, 500)


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:  # noqa: ARG001
    """Draw the figure: the published rule, with the parameters of docs/ion-hopping."""
    model = IonHopping(rule="published", laser=LaserRise(6.0), escape=IodideEscape())
    run = plkit.simulate_ion_hopping(IonLattice(), model, STEPS, seed=1)
    return plot.plot_lattice(run, times_s=STEPS)


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
