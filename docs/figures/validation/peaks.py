"""Peaks: coverage of the peak energy against counts, and bias on a line with a tail.

python docs/figures/validation/peaks.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit
from plkit.physics.lineshapes import asymmetric, gaussian, spectrum_on_wavelength

METHODS = ("parabola", "centroid", "gaussian", "asymmetric")
HEIGHTS = [30.0, 100.0, 1e3, 1e4]
TAILS = [0.0, 0.05, 0.1, 0.2, 0.3]
NM = np.linspace(560.0, 690.0, 220)
CENTRE, WIDTH = 2.0, 0.08


def dataset(y: np.ndarray, gain: float = 1.0) -> xr.Dataset:
    """Label spectra (point, wavelength)."""
    return xr.Dataset(
        {
            "intensity": (("point", "wavelength"), y, {"units": "counts"}),
            "noise_gain": ((), gain, {"units": "counts"}),
        },
        {"wavelength": ("wavelength", NM, {"units": "nm"})},
    )


def study(small: bool) -> dict[str, Panel]:
    """A line of 80 meV at 2 eV on 2 counts."""
    n = 400 if small else 4000
    rng = np.random.default_rng(7)
    shape = spectrum_on_wavelength(NM, gaussian, CENTRE, WIDTH)
    inside = coverage(HEIGHTS, "counts in the highest channel", low=0.55)
    spectra = [rng.poisson(h * shape / shape.max() + 2.0, (n, NM.size)) for h in HEIGHTS]
    bias = Panel(
        TAILS, "asymmetry −b of the line", "bias of the energy (meV)", "linear", truth=[0.0]
    )
    tails = np.array([spectrum_on_wavelength(NM, asymmetric, CENTRE, WIDTH, -b) for b in TAILS])
    clean = dataset(1e4 * tails / tails.max(axis=1, keepdims=True) + 2.0, 1e-3)
    for method in METHODS:
        pairs = []
        for y in spectra:
            fit = plkit.fit_peaks(dataset(y.astype(float)), method=method)
            z = (fit.peak_energy - CENTRE) / fit.peak_energy_stderr
            pairs.append(share(np.abs(z.values[fit.fit_status.values == 0]) < 1))
        inside.add(method, *np.array(pairs).T)
        bias.add(method, 1e3 * (plkit.fit_peaks(clean, method=method).peak_energy.values - CENTRE))
    return {"coverage": inside, "bias": bias}


if __name__ == "__main__":
    main("peaks", study)
