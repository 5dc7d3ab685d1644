"""The picture of the README: kinetics, activation energies and a map of the bundled study.

python docs/figures/readme.py demo-results/results.nc docs/images/readme
"""

from __future__ import annotations

import sys

from matplotlib.figure import Figure

import plkit
from plkit import plot


def main(results: str, stem: str) -> None:
    tree = plkit.open_results(results)
    samples = list(tree.children)
    mapped = tree["x1.5"]
    figure = Figure(figsize=(10.2, 3.0), layout="constrained")
    kinetics, arrhenius, halo = figure.subplots(1, 3, width_ratios=(1, 1, 0.95))
    last = {"power": -1}
    plot.plot_kinetics(
        mapped["unmixed"].to_dataset().isel(last),
        mapped["kinetics"].to_dataset().isel(last),
        ax=kinetics,
    )
    plot.plot_arrhenius({n: tree[n]["arrhenius"].to_dataset() for n in samples}, ax=arrhenius)
    one = mapped["maps"].to_dataset().isel(last).sel(component="bromide")
    plot.plot_map(one, "fraction", clim=(0, float(one["fraction"].max())), ax=halo)
    plot.save_figure(figure, stem, dpi=160)


if __name__ == "__main__":
    main(*sys.argv[1:])
