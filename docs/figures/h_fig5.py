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
    overview = tree["x1.5"]["overview"].to_dataset()
    figure = Figure(figsize=(7.0, 2.9), layout="constrained")
    iodine, spectra = figure.subplots(1, 2)
    plot.plot_composition(overview, clim=(0.0, 1.6), ax=iodine)
    row = int(overview[names.Y].size // 2)
    y = float(overview[names.Y][row])
    iodine.axhline(y, color="white", lw=0.8, ls="--")
    raw = plkit.read(plkit.samples.study() / "maps" / "x1.5_overview.nc")
    dark = plkit.read(plkit.samples.study() / "dark.nc")
    cut = plkit.spectra.subtract_dark(raw.isel({names.Y: row}), dark, bias_counts=100)
    middle = float(raw[names.X].mean())
    near = cut.sel({names.X: slice(middle - 12.0, middle + 12.0)})
    plot.plot_spectra(near.transpose(names.X, names.WAVELENGTH, ...), ax=spectra)
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
