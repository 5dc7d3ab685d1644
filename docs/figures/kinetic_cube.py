"""Rates of every pixel of a simulated map: k1, k2, status, and what the truth was.

python docs/figures/kinetic_cube.py docs/images/kinetic-cube
"""

from __future__ import annotations

import sys
import time

import numpy as np
import xarray as xr
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

import plkit
from plkit import names
from plkit.names import TIME, X, Y
from plkit.physics import rates

SIZE, FRAMES, COUNTS = 200, 120, 3000
COLOURS = ("#dddddd", "#e6ab02", "#7570b3", "#1b1b1b", "#d95f02")
STATUS = ("ok", "at bound", "not identifiable", "no signal", "failed")


def simulate() -> tuple[xr.DataArray, np.ndarray, np.ndarray]:
    """Counts (y, x, time) with smooth rates, a corner that stays dark, and a disc of equal rates."""
    rng = np.random.default_rng(7)
    v, u = np.mgrid[0 : 1 : SIZE * 1j, 0 : 1 : SIZE * 1j]
    k1 = 0.05 * (1.0 + 0.5 * np.sin(3.0 * u + 1.0) * np.cos(2.0 * v))
    k2 = 0.007 * (1.0 + 0.4 * np.cos(4.0 * v - u))
    k2 = np.where((u - 0.7) ** 2 + (v - 0.3) ** 2 < 0.15**2, k1, k2)
    k01 = 0.35 + 0.1 * u
    k02 = 0.30 - 0.1 * v
    t = np.linspace(0.0, 600.0, FRAMES)
    clean = rates.biexponential_decay(
        t, *(COUNTS * k01[..., None], k1[..., None], COUNTS * k02[..., None], k2[..., None]),
        plateau=COUNTS * (1.0 - k01 - k02)[..., None],
    )  # fmt: skip
    clean[(u < 0.18) & (v < 0.18)] = 20.0
    counts = xr.DataArray(
        rng.poisson(clean).astype(np.uint16), dims=(Y, X, TIME),
        coords={TIME: (TIME, t, names.attrs(TIME))}, attrs=names.attrs(names.INTENSITY),
    )  # fmt: skip
    return counts, k1, k2


def main(stem: str) -> None:
    """Fit and draw."""
    counts, k1, k2 = simulate()
    sigma = np.sqrt(np.maximum(counts.astype(float), 1.0))
    plkit.fit_kinetics(counts[:2, :2], stderr=sigma[:2, :2])  # load the compiled kernels
    start, busy = time.perf_counter(), time.process_time()
    kin = plkit.fit_kinetics(counts, stderr=sigma)
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    print(f"{kin.fit_status.size} pixels in {wall:.2f} s, {busy:.2f} s of processors")
    print(kin.attrs["summary"])
    good = kin.fit_status == 0
    disc = k1 == k2
    print(f"equal rates, and yet ok: {float(good.values[disc].mean()):.1%} of {disc.sum()} pixels")
    for name, truth in (("k1", k1), ("k2", k2)):
        pull = ((kin[name] - truth) / kin[f"{name}_stderr"]).where(good)
        print(f"{name}: truth inside one sigma in {float((abs(pull) < 1).sum() / good.sum()):.1%}")
    figure = Figure(figsize=(9.6, 5.8), layout="constrained")
    axes = figure.subplots(2, 3)
    for row, (name, truth) in zip(axes, (("k1", k1), ("k2", k2)), strict=True):
        low, high = np.quantile(kin[name].where(good).values[good.values], (0.005, 0.995))
        for ax, values, title in (
            (row[0], truth, f"{name}, truth"),
            (row[1], kin[name].where(good).values, f"{name}, fitted, where ok"),
        ):
            image = ax.imshow(values, origin="lower", vmin=low, vmax=high)
            ax.set_title(title, fontsize=10)
        figure.colorbar(image, ax=row[1], label=f"{name} (1/s)")
    error = (kin["k2_stderr"] / kin["k2"]).where(good)
    image = axes[0, 2].imshow(100 * error, origin="lower", vmax=30, vmin=0, cmap="magma")
    axes[0, 2].set_title("σ of k2, % of k2", fontsize=10)
    figure.colorbar(image, ax=axes[0, 2])
    norm = BoundaryNorm(np.arange(6) - 0.5, 5)
    image = axes[1, 2].imshow(
        kin.fit_status, origin="lower", cmap=ListedColormap(COLOURS), norm=norm
    )
    axes[1, 2].set_title("fit_status", fontsize=10)
    bar = figure.colorbar(image, ax=axes[1, 2], ticks=range(5))
    bar.ax.set_yticklabels(STATUS)
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    figure.savefig(f"{stem}.png", dpi=85)


if __name__ == "__main__":
    main(*sys.argv[1:])
