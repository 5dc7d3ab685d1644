"""Figure of docs/carriers.md: density and diffusion length against power, and the profile across the spot.

python docs/figures/carriers.py docs/images
"""

from __future__ import annotations

import sys

import numpy as np

from plkit import plot
from plkit.physics.carriers import rate_for_length
from plkit.plot.style import CATEGORICAL, new_axes, new_figure, styled
from plkit.sim import Film, LaserSpot, Recombination, simulate_carriers


@styled
def main(folder: str) -> None:
    film, spot = Film(40.0, 0.4, absorptance=0.203, absorptance_stderr=0.01), LaserSpot(1.0)
    figure = new_figure("double", 0.36)
    left, middle, right = figure.subplots(1, 3)
    for ax in (left, middle, right):
        new_axes(ax)
    powers = np.geomspace(0.1, 1000.0, 60)
    rates = {f"τ = {tau:g} ns": Recombination.from_lifetime(tau) for tau in (5.0, 20.0, 50.0)}
    found = {n: simulate_carriers(spot, film, r, power_uw=powers) for n, r in rates.items()}
    plot.plot_carriers(found, axes=(left, middle))
    for i, r in enumerate(rates.values()):
        one = simulate_carriers(spot, film, r, power_uw=50.0, profile="radial")["carrier_profile"][
            0
        ]
        x = one["carrier_distance"] / 1e3
        right.semilogy(x, one / one[0], color=CATEGORICAL[i], lw=1)
    left.plot(50.0, 1.7e18, "k^", ms=4, label="printed")
    middle.plot(50.0, 10.2, "k^", ms=4)
    print(f"10.2 nm needs r = {float(rate_for_length(3.0, 293.15, 10.2)):.2g} 1/s")
    r_um = np.linspace(0, 3, 200)
    right.semilogy(r_um, np.exp(-2 * r_um**2), color="0.5", lw=0.8, ls="--", label="light")
    right.set_ylim(1e-4, 1.3)
    right.set_xlim(0, 3)
    left.legend(fontsize=6.5)
    right.legend(fontsize=6.5)
    right.set_xlabel("Distance from the axis (µm)")
    right.set_ylabel("Density, relative to the centre")
    plot.save_figure(figure, f"{folder}/carriers", dpi=160)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
