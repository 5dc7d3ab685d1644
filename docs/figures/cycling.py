"""Figures of docs/thermal-cycling.md: protocols, map, and what would test the model.

python docs/figures/cycling.py docs/images
"""

from __future__ import annotations

import math
import sys
from dataclasses import fields, replace

import numpy as np

from plkit import plot
from plkit.physics.cycling import parameter_table
from plkit.plot.style import CATEGORICAL, new_axes, new_figure, styled
from plkit.sim import (
    CyclingModel,
    Heater,
    HeaterProtocol,
    map_thermal_cycling,
    severity_of,
    thermal_cycling,
)

SIX = (
    HeaterProtocol.continuous(),
    HeaterProtocol(0.1, 1.0),
    HeaterProtocol(1.0, 10.0),
    HeaterProtocol(2.0, 10.0),
    HeaterProtocol(5.0, 10.0),
    HeaterProtocol(0.5, 5.0),
)


@styled
def protocols(stem: str) -> None:
    figure = new_figure("double", 0.42)
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        new_axes(ax)
    six = {p.name: thermal_cycling(p, exposure_s=0.1) for p in SIX}
    plot.plot_cycling(six, variable="segregated_fraction_maximum", log=True, axes=(left, right))
    for y in (0.008, 0.5):
        right.axhline(y, color="0.5", lw=0.6, ls="--")
    right.text(160.2, 0.56, "severe above", fontsize=6)
    right.text(160.2, 0.0056, "none below", fontsize=6)
    left.set_xlim(0, 30)
    right.set_xlim(160, 180)
    right.set_ylim(3e-5, 1.5)
    left.legend(fontsize=6.5, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    plot.save_figure(figure, f"{stem}/cycling-protocols", dpi=160)


def stable_region(stem: str) -> None:
    on = np.geomspace(0.05, 10.0, 40)
    period = np.geomspace(0.5, 20.0, 40)
    found = map_thermal_cycling(on, period, duration_s=180.0)
    figure = plot.plot_cycling_map(found, protocols=SIX)
    plot.save_figure(figure, f"{stem}/cycling-map", dpi=200)


@styled
def tests_of_the_model(stem: str) -> None:
    """What the constants decide, and two measurements that would tell."""
    figure = new_figure("double", 0.4)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    for ax in (left, middle, right):
        new_axes(ax)
    model = CyclingModel()
    names = [f.name for f in fields(model) if f.name != "reference_k"]
    symbols = {p.name: p.symbol for p in parameter_table()}
    protocol = SIX[1]
    here = severity_of(thermal_cycling(protocol), protocol)[1]
    for i, name in enumerate(names):
        ends = []
        for factor in (0.95, 1.05):
            changed = replace(model, **{name: factor * getattr(model, name)})
            ends.append(severity_of(thermal_cycling(protocol, model=changed), protocol)[1])
        left.plot(ends, [i, i], color=CATEGORICAL[0], lw=3, solid_capstyle="butt")
        print(f"0.1/1 s, {name} ±5 %: {min(ends):.2f} to {max(ends):.2f}")
    left.axvline(here, color="0.3", lw=0.7)
    left.axvline(0.5, color="0.5", lw=0.7, ls="--")
    left.set_yticks(range(len(names)), [symbols[n] for n in names], fontsize=7)
    left.set_xlabel("$s$ under 0.1/1 s")
    left.invert_yaxis()

    # One step of temperature, of any height: a segregated film, the heater on at a lower current.
    step = np.linspace(0.25, 8.0, 32)
    remains = []
    for rise in step:
        current = 400.0 * math.sqrt(rise / 7.77)
        one = HeaterProtocol.continuous(610.0, current_ma=current, start_s=600.0)
        s = thermal_cycling(one, exposure_s=0.1)["segregated_fraction"]
        remains.append(
            float(s.sel(time=slice(600, 606)).min() / s.sel(time=599.9, method="nearest"))
        )
    middle.plot(step, remains, color=CATEGORICAL[1], lw=1.1)
    middle.set_xlabel("Sudden step (K)")
    middle.set_ylabel("Left after 6 s")
    middle.set_ylim(-0.02, 1.02)

    # The same 8 K, reached with other time constants.
    tau = np.geomspace(0.5, 60.0, 30)
    remains = []
    for t in tau:
        slow = Heater((7.77, 5.5), (float(t), 200.0))
        one = HeaterProtocol.continuous(600.0 + 6 * t, start_s=600.0)
        s = thermal_cycling(one, heater=slow, exposure_s=0.1)["segregated_fraction"]
        remains.append(
            float(s.sel(time=slice(600, None)).min() / s.sel(time=599.9, method="nearest"))
        )
    right.semilogx(tau, remains, color=CATEGORICAL[2], lw=1.1)
    right.set_xlabel("Time constant (s)")
    right.set_ylabel("Left at the least")
    right.set_ylim(-0.02, 1.02)
    print("half left at a step of", np.interp(0.5, remains, tau), "s")
    plot.save_figure(figure, f"{stem}/cycling-tests", dpi=160)


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else "docs/images"
    protocols(folder)
    stable_region(folder)
    tests_of_the_model(folder)
