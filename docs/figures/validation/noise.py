"""Noise: gain and floor of a detector from its own frames.

python docs/figures/validation/noise.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit

FRAMES = [10.0, 30.0, 100.0, 300.0]
GAIN, FLOOR = 2.0, 25.0


def study(small: bool) -> dict[str, Panel]:
    """120 channels of 0 to 520 counts that fall in time under a laser that flickers by 3 %."""
    n = 25 if small else 300
    rng = np.random.default_rng(10)
    ratio = Panel(FRAMES, "frames", "found / true", truth=[1.0])
    inside = coverage(FRAMES, "frames")
    means: dict[str, list[tuple[float, float]]] = {"noise_gain": [], "noise_floor": []}
    shares: dict[str, list[tuple[float, float]]] = {"noise_gain": [], "noise_floor": []}
    for frames in map(int, FRAMES):
        t = np.arange(float(frames))
        light = np.linspace(0.0, 400.0, 120) * (1.0 + 0.3 * np.exp(-t[:, None] / 15.0))
        found = []
        for _ in range(n):
            flicker = 1.0 + 0.03 * rng.standard_normal((frames, 1))
            y = GAIN * rng.poisson(light * flicker / GAIN) + rng.normal(
                0.0, FLOOR**0.5, light.shape
            )
            ds = xr.Dataset(
                {"intensity": (("time", "wavelength"), y, {"units": "counts"})},
                {
                    "time": ("time", t, {"units": "s"}),
                    "wavelength": ("wavelength", np.linspace(500.0, 600.0, 120), {"units": "nm"}),
                },
            )
            try:
                fit = plkit.spectra.estimate_noise(ds)
            except plkit.errors.DataError:  # 10 frames are not always enough, and it says so
                continue
            found.append([float(fit[v + e]) for v in means for e in ("", "_stderr")])
        print(f"{frames} frames: {n - len(found)} of {n} refused")
        column = np.array(found).T
        for i, (name, true) in enumerate(zip(means, (GAIN, FLOOR), strict=True)):
            value, sigma = column[2 * i], column[2 * i + 1]
            means[name].append((value.mean() / true, value.std() / true / np.sqrt(value.size)))
            shares[name].append(tuple(map(float, share(np.abs(value - true) < sigma))))
    for name in means:
        ratio.add(name.replace("noise_", ""), *np.array(means[name]).T)
        inside.add(name.replace("noise_", ""), *np.array(shares[name]).T)
    return {"ratio": ratio, "coverage": inside}


if __name__ == "__main__":
    main("noise", study)
