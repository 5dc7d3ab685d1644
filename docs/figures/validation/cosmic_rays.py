"""Cosmic rays: share found against height, and false alarms.

python docs/figures/validation/cosmic_rays.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, main

import plkit
from plkit import names

HEIGHTS = [6.0, 7.0, 8.0, 10.0, 15.0, 30.0, 100.0]
READ = 3.0


def scenes() -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Return a band that grows in time, a map with a spot, and lone spectra; 5 to 10 counts beside."""
    long, short = (np.exp(-0.5 * ((np.arange(n) / n - 0.45) / 0.06) ** 2) for n in (1024, 256))
    growth = 1.0 - 0.3 * np.exp(-np.arange(120) / 40.0)
    y, x = np.mgrid[:24, :24]
    spot = np.exp(-((y - 15) ** 2 + (x - 12) ** 2) / 60)
    return {
        "series in time": (("time", "wavelength"), 5.0 + 400.0 * growth[:, None] * long),
        "map": (("y", "x", "wavelength"), 5.0 + 500.0 * spot[..., None] * short),
        "lone spectra": (("sample", "wavelength"), 10.0 + 1000.0 * long * np.ones((120, 1))),
    }


def dataset(y: np.ndarray, dims: tuple[str, ...]) -> xr.Dataset:
    """Label counts."""
    coords = {
        d: (
            d,
            np.linspace(500.0, 700.0, n) if d == "wavelength" else np.arange(n) * 1.0,
            names.attrs(d),
        )
        for d, n in zip(dims, y.shape, strict=True)
        if d != "sample"
    }
    ds = xr.Dataset({"intensity": (dims, y, names.attrs("intensity"))}, coords)
    return plkit.spectra.set_noise(ds, electrons_per_count=1.0, read_noise_electrons=READ)


def study(small: bool) -> dict[str, Panel]:
    """One value in 500 is hit."""
    rounds = 1 if small else 6
    rng = np.random.default_rng(8)
    found = Panel(
        HEIGHTS, "height in the data (σ)", "share found (%)", y_range=(40.0, 103.0), truth=[100.0]
    )
    alarms = Panel(
        [1.0, 2.0, 3.0], "1 time, 2 map, 3 lone spectra", "false alarms per 10⁶ values", "linear"
    )
    per_million = []
    for name, (dims, expected) in scenes().items():
        sigma = np.sqrt(expected + READ**2)
        hits, spikes, false, values = np.zeros(len(HEIGHTS)), np.zeros(len(HEIGHTS)), 0, 0
        for _ in range(rounds):
            clean = rng.poisson(expected) + rng.normal(0.0, READ, expected.shape)
            which = rng.integers(0, len(HEIGHTS), expected.shape)
            hit = rng.random(expected.shape) < 2e-3
            # a ray that lifts the value to so many σ above the expectation
            y = np.where(hit, np.maximum(clean, expected + np.array(HEIGHTS)[which] * sigma), clean)
            mask = plkit.spectra.despike(dataset(y, dims)).spike_mask.values == 1
            spikes += np.bincount(which[hit], minlength=len(HEIGHTS))
            hits += np.bincount(which[hit & mask], minlength=len(HEIGHTS))
            false += int(plkit.spectra.despike(dataset(clean, dims)).spike_mask.sum())
            values += clean.size
        p = hits / spikes
        found.add(name, 100 * p, 100 * np.sqrt(np.maximum(p * (1 - p), 0.01) / spikes))
        per_million.append((1e6 * false / values, 1e6 * np.sqrt(max(false, 3)) / values))
    alarms.add("despike", *np.array(per_million).T)
    return {"found": found, "alarms": alarms}


if __name__ == "__main__":
    main("cosmic_rays", study)
