"""Unmixing: bias and coverage of the amplitudes against the number of counts.

python docs/figures/validation/unmixing.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit

COUNTS = [10.0, 30.0, 100.0, 1e3, 1e4, 1e5, 1e6]
TRUTH = 0.3
BACKGROUND = 2.0  # counts in each channel


def study(small: bool) -> dict[str, Panel]:
    """Two overlapping lines on a level, many spectra per number of counts."""
    n = 400 if small else 6000
    rng = np.random.default_rng(1)
    nm = ("wavelength", np.linspace(500.0, 700.0, 200), {"units": "nm"})
    axis = xr.DataArray(np.zeros(200), dims="wavelength", coords={"wavelength": nm})
    line = {"kind": "gaussian", "fwhm_ev": 0.1}
    refs = plkit.references(
        like=axis, one={**line, "centre_ev": 2.0}, two={**line, "centre_ev": 2.12}
    )
    shapes = refs.values / refs.values.sum(axis=1, keepdims=True)
    bias = Panel(COUNTS, "counts of both lines", "bias of the amplitude (σ)", truth=[0.0])
    inside = coverage(COUNTS, "counts of both lines", low=0.0)
    found: dict[str, list[list[float]]] = {"weights of the model": [], "weights 1/max(y, 1)": []}
    for total in COUNTS:
        expected = total * (TRUTH * shapes[0] + (1 - TRUTH) * shapes[1]) + BACKGROUND
        y = xr.DataArray(
            rng.poisson(expected, (n, 200)).astype(float),
            dims=("point", "wavelength"),
            coords={"wavelength": nm},
            attrs={"units": "counts"},
        )
        ds = xr.Dataset({"intensity": y, "noise_gain": ((), 1.0, {"units": "counts"})})
        for name, noise in (
            ("weights of the model", "poisson"),
            ("weights 1/max(y, 1)", y.clip(min=1.0).assign_attrs(units="counts^2")),
        ):
            fit = plkit.unmix(ds, refs, noise=noise, background="constant", nonnegative=False)
            # amplitudes, of every spectrum: a fraction of 10 counts has no mean
            off = (fit.amplitude[0] - TRUTH * total).values
            z = off / fit.amplitude_stderr[0].values
            p, p_stderr = share(np.abs(z) < 1)
            sigma = fit.amplitude_stderr[0].values.mean()
            found[name].append(
                [
                    off.mean() / sigma,
                    off.std() / sigma / np.sqrt(off.size),
                    float(p),
                    float(p_stderr),
                ]
            )
    for name, rows in found.items():
        columns = np.array(rows).T
        bias.add(name, columns[0], columns[1])
        inside.add(name, columns[2], columns[3])
    return {"bias": bias, "coverage": inside}


if __name__ == "__main__":
    main("unmixing", study)
