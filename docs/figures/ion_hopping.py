"""Gap of the irradiated column by the published and by the exact rule.

python docs/figures/ion_hopping.py docs/images/ion-hopping
"""

from __future__ import annotations

import sys

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import plkit
from plkit import plot

STATED, SWAPPED = (0.21, 0.10), (0.10, 0.21)
REPLICAS = 4


def runs(seconds: np.ndarray, models: dict[str, plkit.IonHopping]) -> dict[str, xr.Dataset]:
    """Replicas of every model."""
    lattice = plkit.IonLattice()
    return {
        name: plkit.simulate_ion_hopping(lattice, model, seconds, seed=1, replicas=REPLICAS)
        for name, model in models.items()
    }


@plot.style.styled
def draw() -> Figure:
    """Draw the figure."""
    light = plkit.LaserRise(6.0)
    figure = Figure(figsize=(7.0, 2.8), layout="constrained")
    published, exact = figure.subplots(1, 2, sharey=True)
    steps = np.arange(0.0, 501.0, 20.0)
    cases = (
        ("stated barriers", STATED, 1),
        ("swapped", SWAPPED, 1),
        ("stated, no escape", STATED, 0),
    )
    rule = {
        name: plkit.IonHopping(
            *e, laser=light, escape=plkit.IodideEscape() if out else None, rule="published"
        )
        for name, e, out in cases
    }
    plot.plot_hopping(runs(steps, rule), ax=published)
    published.axhline(2.45, color="0.5", lw=0.8, ls=":")
    published.set_xlabel("Steps of 150 sweeps")
    published.set_title("published rule")
    seconds = np.concatenate([[0.0], np.geomspace(3e-9, 1e-6, 16)])
    escape = plkit.IodideEscape(attempts_per_s=1e10)
    walk = {
        name: plkit.IonHopping(*e, laser=light, escape=escape if out else None)
        for name, e, out in cases
    }
    plot.plot_hopping(runs(seconds, walk), ax=exact)
    exact.set_xscale("symlog", linthresh=3e-9)
    exact.set_xlim(0, 1e-6)
    exact.set_title("exact rule, escape on its own")
    return figure


if __name__ == "__main__":
    plot.save_figure(draw(), sys.argv[1], dpi=160)
