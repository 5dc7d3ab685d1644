"""Composition: the inverted calibration with its bounds, and their coverage.

python docs/figures/validation/composition.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit
from plkit.physics.calibration import get_calibration

X = [0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 2.9]
SIGMAS = (0.002, 0.005, 0.01)


def study(small: bool) -> dict[str, Panel]:
    """Peak energies of the cubic, measured with σ."""
    n = 2000 if small else 40000
    rng = np.random.default_rng(6)
    curve = get_calibration("cunha2025")
    width = Panel(
        X,
        "x (iodine per formula unit)",
        "half the 68 % interval",
        "linear",
        "log",
        y_range=(3e-3, 0.3),
    )
    inside = coverage(X, "x (iodine per formula unit)")
    inside.x_scale = "linear"
    for sigma in SIGMAS:
        pairs, half = [], []
        for x in X:
            e = float(curve.energy(x))
            peaks = xr.Dataset(
                {
                    "peak_energy": ("point", e + sigma * rng.normal(size=n), {"units": "eV"}),
                    "peak_energy_stderr": ("point", np.full(n, sigma)),
                }
            )
            found = plkit.composition_map(peaks)
            # a limit is an interval, too: from the end of the calibration to the bound
            low = found.x_iodine_lower.fillna(-1.0)
            high = found.x_iodine_upper.fillna(-1.0)
            pairs.append(share(((low <= x) & (x <= high)).values))
            exact = xr.Dataset(
                {
                    "peak_energy": ("point", [e], {"units": "eV"}),
                    "peak_energy_stderr": ("point", [sigma]),
                }
            )
            one = plkit.composition_map(exact)
            half.append(float(one.x_iodine_upper[0] - one.x_iodine_lower[0]) / 2)
        inside.add(f"σ = {1e3 * sigma:g} meV", *np.array(pairs).T)
        width.add(f"σ = {1e3 * sigma:g} meV", half)
    inside.y_range = (0.6, 0.9)
    return {"width": width, "coverage": inside}


if __name__ == "__main__":
    main("composition", study)
