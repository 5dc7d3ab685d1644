"""Gap of the irradiated column by the published and by the exact rule.

python docs/figures/ion_hopping.py docs/images/ion-hopping
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import plkit
from plkit import plot

STATED, SWAPPED = (0.21, 0.10), (0.10, 0.21)
REPLICAS = 4


def curve(axes: Axes, model: plkit.IonHopping, times: np.ndarray, label: str, colour: str) -> None:
    """Mean and scatter over the replicas."""
    run = plkit.simulate_ion_hopping(plkit.IonLattice(), model, times, seed=1, replicas=REPLICAS)
    mean, spread = run.local_gap.mean("replica"), run.local_gap.std("replica")
    axes.fill_between(times, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
    axes.plot(times, mean, color=colour, label=label)


@plot.style.styled
def draw() -> Figure:
    """Draw the figure."""
    light = plkit.LaserRise(6.0)
    figure = Figure(figsize=(7.0, 2.8), layout="constrained")
    published, exact = figure.subplots(1, 2, sharey=True)
    steps = np.arange(0.0, 501.0, 20.0)
    for barriers, escape, label, colour in (
        (STATED, plkit.IodideEscape(), "stated barriers", "#0072B2"),
        (SWAPPED, plkit.IodideEscape(), "swapped", "#D55E00"),
        (STATED, None, "stated, no escape", "#009E73"),
    ):
        model = plkit.IonHopping(*barriers, laser=light, escape=escape, rule="published")
        curve(published, model, steps, label, colour)
    published.axhline(2.45, color="0.5", lw=0.8, ls=":")
    published.set_xlabel("Steps of 150 sweeps")
    published.set_ylabel(plot.style.label("local_gap"))
    published.set_title("published rule")
    published.legend()
    seconds = np.concatenate([[0.0], np.geomspace(3e-9, 1e-6, 16)])
    escape = plkit.IodideEscape(attempts_per_s=1e10)
    for barriers, lost, label, colour in (
        (STATED, escape, "stated barriers", "#0072B2"),
        (SWAPPED, escape, "swapped", "#D55E00"),
        (STATED, None, "stated, no escape", "#009E73"),
    ):
        model = plkit.IonHopping(*barriers, laser=light, escape=lost)
        curve(exact, model, seconds, label, colour)
    exact.set_xscale("symlog", linthresh=3e-9)
    exact.set_xlim(0, 1e-6)
    exact.set_xlabel("Time (s)")
    exact.set_title("exact rule, escape on its own")
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(), sys.argv[1], dpi=160)
