"""H Fig. 4: maps of both contributions, profile with equation 1, D against T, x = 1.5 (simulated).

python docs/figures/h_fig4.py demo-results/results.nc h_fig4
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure: maps of 200 µm, profile of the strongest power."""
    film = tree["x1.5"]
    overview, diffusion = film["overview"].to_dataset(), film["diffusion"].to_dataset()
    maps, profiles = (film[n].to_dataset().isel(power=-1) for n in ("maps", "profiles"))
    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    (bromide, pristine), (profile, arrhenius) = figure.subplots(2, 2)
    for ax, component in ((bromide, "bromide"), (pristine, "pristine")):
        one = overview.sel({names.COMPONENT: component})
        plot.plot_map(one, "fraction", clim=(0.0, float(one["fraction"].max())), ax=ax)
        ax.set_title(component, loc="left", fontsize=8)
    grown = maps.sel({names.COMPONENT: "bromide"})
    plot.plot_profile(grown["fraction"], profiles, stderr=grown["fraction_stderr"], ax=profile)
    plot.plot_diffusion(diffusion, ax=arrhenius)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
