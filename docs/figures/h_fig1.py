"""H Fig. 1: emission of five compositions; peak energy against x; sizes (simulated).

python docs/figures/h_fig1.py demo-results/results.nc h_fig1
"""

from __future__ import annotations

import sys

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import names, plot
from plkit.physics.calibration import get_calibration

X = (0.0, 1.0, 1.5, 2.0, 3.0)
COLOURS = ("#0072B2", "#009E73", "#E69F00", "#D55E00", "#7F2A2A")


@plot.style.styled
def draw(tree: xr.DataTree) -> Figure:  # noqa: ARG001
    """Draw the figure: of the references, not of the results. Absorption is not simulated."""
    study = plkit.samples.study()
    figure = Figure(figsize=(7.0, 2.5), layout="constrained")
    spectra, energies, sizes = figure.subplots(1, 3)
    found = []
    for x, colour in zip(X, COLOURS, strict=True):
        ds = plkit.read(study / "references" / f"x{x:.1f}.nc")
        frames = [d for d in ds.intensity.dims if d != names.WAVELENGTH]
        mean = ds.assign(intensity=ds.intensity.astype(float).mean(frames, keep_attrs=True))
        peak = plkit.fit_peaks(mean)
        found.append((float(peak.peak_energy), float(peak.peak_energy_stderr)))
        level = float(mean.intensity.quantile(0.05))
        curve = (mean.intensity - level) / (float(mean.intensity.max()) - level)
        spectra.plot(mean[names.WAVELENGTH], curve, color=colour, lw=1.0, label=f"x = {x:g}")
    spectra.set_xlabel(plot.style.label(names.WAVELENGTH))
    spectra.set_ylabel("Emission / maximum")
    spectra.legend()
    grid = np.linspace(0.0, 3.0, 121)
    energies.plot(grid, get_calibration("cunha2025").energy(grid), color="0.4", lw=0.9)
    value, error = np.array(found).T
    energies.errorbar(X, value, error, fmt="o", color=COLOURS[0], ms=4)
    energies.set_xlabel(plot.style.label("x_iodine"))
    energies.set_ylabel(plot.style.label("peak_energy"))
    rng = np.random.default_rng(20250101)
    mean_nm, sd_nm = 12.4, 5.8  # published for x = 2
    width = np.sqrt(np.log1p((sd_nm / mean_nm) ** 2))
    edges = np.arange(0.0, 41.0, 2.0)
    drawn = rng.lognormal(np.log(mean_nm) - width**2 / 2, width, 400)
    sizes.hist(drawn, edges, color="0.75", edgecolor="0.4", lw=0.5)
    nm = np.linspace(0.5, 40.0, 200)
    density = np.exp(-((np.log(nm / mean_nm) + width**2 / 2) ** 2) / (2 * width**2))
    sizes.plot(
        nm, 400 * 2.0 * density / (nm * width * np.sqrt(2 * np.pi)), color=COLOURS[3], lw=1.0
    )
    sizes.set_xlabel("Nanocrystal edge (nm)")
    sizes.set_ylabel("Number of nanocrystals")
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(plkit.open_results(sys.argv[1])), sys.argv[2])
