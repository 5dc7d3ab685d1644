"""Fits of any model: coverage of their parameters against counts, and bias.

python docs/figures/validation/fits.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit
from plkit import models

COUNTS = [100.0, 1e3, 1e4]
X = np.linspace(0.0, 1.0, 120)
CASES = {
    "Gaussian": (models.GaussianPeakModel(), {"centre": 0.5, "fwhm": 0.2}),
    "asymmetric": (models.AsymmetricPeakModel(), {"centre": 0.5, "fwhm": 0.2, "asymmetry": -0.2}),
    "monoexponential": (models.MonoexponentialDecayModel(), {"rate": 6.0}),
    "stretched": (models.StretchedDecayModel(), {"rate": 8.0, "exponent": 0.7}),
}


def study(small: bool) -> dict[str, Panel]:
    """Poisson counts on a level of a tenth of the height."""
    n = 150 if small else 2500
    rng = np.random.default_rng(12)
    inside = coverage(COUNTS, "counts at the highest point")
    bias = Panel(COUNTS, "counts at the highest point", "bias of centre or rate (σ)", truth=[0.0])
    for name, (model, shape) in CASES.items():
        height, level = ("height", "offset") if "centre" in shape else ("amplitude", "plateau")
        pairs, first = [], []
        for counts in COUNTS:
            truth = {**shape, height: counts, level: 0.1 * counts}
            y = rng.poisson(model.eval(model.make_params(**truth), x=X), (n, X.size))
            coords = {"time": ("time", X, {"units": "s"})}
            data = xr.DataArray(
                y.astype(float), coords, ("point", "time"), attrs={"units": "counts"}
            )
            fit = plkit.fit_model(data, model, "time", noise=plkit.CountNoise())
            good = fit.fit_status.values <= 1
            z = np.array(
                [((fit[p] - v) / fit[f"{p}_stderr"]).values[good] for p, v in truth.items()]
            )
            p, stderr = share(np.abs(z) < 1, axis=1)
            pairs.append((np.median(p), stderr[0]))
            first.append((z[0].mean(), z[0].std() / np.sqrt(z.shape[1])))
        inside.add(name, *np.array(pairs).T)
        bias.add(name, *np.array(first).T)
    inside.y_label = "share within ±σ, median parameter"
    return {"coverage": inside, "bias": bias}


if __name__ == "__main__":
    main("fits", study)
