"""Lifetimes: coverage and bias against the number of photons, beside weighted least squares.

python docs/figures/validation/lifetimes.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit
from plkit.models import MonoexponentialDecayModel

PHOTONS = [300.0, 1e3, 1e4, 1e5]
TAU, BINS, WIDTH = 4.0, 256, 0.1


def study(small: bool) -> dict[str, Panel]:
    """One lifetime on 5 % background, fitted from the pulse on."""
    n = 100 if small else 1000
    rng = np.random.default_rng(9)
    t = np.arange(BINS) * WIDTH
    coords = {"delay": ("delay", t, {"units": "ns"})}
    decay = np.exp(-t / TAU) * (1 - np.exp(-WIDTH / TAU))
    expected = 0.95 * decay / decay.sum() + 0.05 / BINS
    inside = coverage(PHOTONS, "photons in a decay", low=0.0)
    mean = Panel(PHOTONS, "photons in a decay", "mean of the lifetimes / true", truth=[1.0])
    likely, weighted, pairs, pairs_w = [], [], [], []
    for photons in PHOTONS:
        y = rng.poisson(photons * expected, (n, BINS))
        data = xr.DataArray(y, coords, ("point", "delay"), attrs={"units": "counts"})
        fit = plkit.fit_lifetimes(data, window=(0.0, BINS * WIDTH))
        good = fit.fit_status.values <= 1
        tau, sigma = fit.lifetime_1.values[good], fit.lifetime_1_stderr.values[good]
        likely.append((tau.mean() / TAU, tau.std() / TAU / np.sqrt(tau.size)))
        pairs.append(share(np.abs(tau - TAU) < sigma))
        rows = data.astype(float).assign_coords(delay=data.delay).rename(delay="time")
        rows["time"].attrs["units"] = "s"  # 1 stands for 1 ns
        sigma_y = rows.copy(data=np.sqrt(np.maximum(y, 1.0)))
        fit = plkit.fit_model(rows, MonoexponentialDecayModel(), "time", stderr=sigma_y)
        ok = fit.fit_status.values <= 2
        w, s = 1 / fit.rate.values[ok], (fit.rate_stderr / fit.rate**2).values[ok]
        weighted.append((np.median(w) / TAU, 1.25 * np.std(w) / TAU / np.sqrt(w.size)))
        pairs_w.append(share(np.abs(w - TAU) < s))
    mean.y_label = "lifetime found / true"
    mean.add("maximum likelihood (mean)", *np.array(likely).T)
    mean.add("weights 1/max(y, 1) (median)", *np.array(weighted).T)
    inside.add("maximum likelihood", *np.array(pairs).T)
    inside.add("weights 1/max(y, 1)", *np.array(pairs_w).T)
    return {"lifetime": mean, "coverage": inside}


if __name__ == "__main__":
    main("lifetimes", study)
