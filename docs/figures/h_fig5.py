"""H Fig. 5: iodine content over 200 µm, and spectra along a cut, x = 1.5 (simulated).

python docs/figures/h_fig5.py demo-results/results.nc h_fig5
"""

from __future__ import annotations

import sys

import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:
    """Draw the figure; the cut goes through the spot."""
    raw = plkit.read(plkit.samples.study() / "maps" / "x1.5_overview.nc")
    dark = plkit.read(plkit.samples.study() / "dark.nc")
    row = raw.isel({names.Y: raw.sizes[names.Y] // 2})
    cut = plkit.spectra.subtract_dark(row, dark, bias_counts=100)
    middle = float(raw[names.X].mean())
    return plot.plot_composition_cut(
        tree["x1.5"]["overview"].to_dataset(),
        cut,
        x_um=(middle - 12.0, middle + 12.0),
        clim=(0.0, 1.6),
    )


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
