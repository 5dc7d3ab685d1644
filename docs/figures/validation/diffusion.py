"""Diffusion: recovery of D against pixel size, and coverage against noise.

python docs/figures/validation/diffusion.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share
from scipy.optimize import curve_fit

import plkit
from plkit.physics.fick import pixel_gaussian_2d

PIXELS = [0.25, 0.5, 1.0, 1.5, 2.0, 2.5]
NOISE = [0.003, 0.01, 0.03, 0.1]
SIGMA, CENTRE = 1.75, (0.31, -0.17)
UM = {"units": "um"}


def halo(pixel: float) -> xr.DataArray:
    """Return a halo as pixels see it."""
    at = np.arange(-int(9 / pixel), int(9 / pixel) + 1) * pixel
    y = 0.1 + 0.6 * pixel_gaussian_2d(at, at, CENTRE, SIGMA, (pixel, pixel))
    return xr.DataArray(y, {"y": ("y", at, UM), "x": ("x", at, UM)}, ("y", "x"))


def naive(data: xr.DataArray) -> float:
    """Width of a Gaussian through the middles of the pixels."""
    r2 = ((data.y - CENTRE[1]) ** 2 + (data.x - CENTRE[0]) ** 2).transpose("y", "x").values.ravel()
    fit = curve_fit(
        lambda r2, a, s, b: a * np.exp(-r2 / (2 * s**2)) + b,
        r2,
        data.values.ravel(),
        (0.6, 1.7, 0.1),
    )
    return float(abs(fit[0][1]))


def study(small: bool) -> dict[str, Panel]:
    """A halo of σ = 1.75 µm."""
    n = 20 if small else 600
    rng = np.random.default_rng(5)
    size = Panel(PIXELS, "pixel (µm)", "D found / true", "linear", truth=[1.0])
    true_d = SIGMA**2 * 1e-12 / 2
    size.add(
        "averaged over the pixel",
        [
            float(plkit.fit_fick_profile(halo(p), time_s=1.0).diffusion_coefficient) / true_d
            for p in PIXELS
        ],
    )
    size.add("at the pixel's middle", [(naive(halo(p)) / SIGMA) ** 2 for p in PIXELS])
    inside = coverage(NOISE, "noise of a pixel (fraction)")
    clean = halo(0.75)
    for geometry in ("map", "cut", "radial"):
        pairs = []
        for s in NOISE:
            noise = xr.DataArray(s * rng.normal(size=(n, *clean.shape)), dims=("sample", "y", "x"))
            fit = plkit.fit_fick_profile(clean + noise, stderr=s, time_s=1.0, geometry=geometry)
            d, sigma = fit.diffusion_coefficient, fit.diffusion_coefficient_stderr
            pairs.append(share((np.abs(d - true_d) < sigma).values))
        inside.add(geometry, *np.array(pairs).T)
    return {"pixel": size, "coverage": inside}


if __name__ == "__main__":
    main("diffusion", study)
