"""By how much emission overstates an iodide-rich phase, and what it does to a spectrum.

python docs/figures/funnelling.py docs/images/funnelling
"""

from __future__ import annotations

import sys

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import plot
from plkit.physics.funnelling import two_phase_gaps

LENGTHS = (0.0, 10.0, 50.0, 200.0)
COLOURS = plot.style.CATEGORICAL[: len(LENGTHS)]  # as plot_funnelling has them


@plot.style.styled
def draw() -> Figure:
    """Draw the figure."""
    figure = Figure(figsize=(7.0, 2.8), layout="constrained")
    bias, spectra = figure.subplots(1, 2)
    found = plkit.funnelling_bias((0.01, 0.02, 0.05, 0.1, 0.2, 0.4), LENGTHS)
    print(found.emission_fraction.to_pandas().round(3))
    plot.plot_funnelling(found, ax=bias)
    # A film of CsPbBr2.1I0.9 that has separated: pockets of 20 nm emit at 651 nm, mean I/Cs 1.19.
    x = two_phase_gaps((1.19 - 0.88) / (1.95 - 0.88), 4.0, 24, (1.95, 0.88), 3)
    um = np.arange(24) * 0.005
    film = xr.DataArray(x, {"z": um, "y": um, "x": um}, ("z", "y", "x"))
    for length, colour in zip(LENGTHS, COLOURS, strict=True):
        emission = plkit.Emission(length, coarse_graining_nm=0.0, calibration="literature")
        ds = plkit.simulate_emission(film, emission, photons=2e5)
        peak = float(plkit.fit_peaks(ds).peak_wavelength)
        print(length, "nm: peak at", round(peak, 1), "nm")
        spectra.plot(ds.wavelength, ds.intensity, color=colour, lw=0.8)
    spectra.axvline(605, color="k", lw=0.8, ls=":")
    spectra.set_xlim(520, 740)
    spectra.set_xlabel(plot.style.label("wavelength"))
    spectra.set_ylabel(plot.style.label("intensity"))
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(), sys.argv[1], dpi=160)
