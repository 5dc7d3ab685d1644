"""Funnelling: no diffusion, endless diffusion, and a closed form between.

python docs/figures/validation/funnelling.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
from panels import Panel, main

from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.physics.funnelling import recombination_share

LENGTHS = [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 1e4]
CAUGHT = [5.0, 10.0, 15.0, 25.0, 40.0]
KT = BOLTZMANN_EV_K * 293.15


def study(_: bool) -> dict[str, Panel]:
    """Nothing is drawn at random: small and full are the same."""
    gap = np.random.default_rng(0).uniform(2.0, 2.1, (6, 7, 8))
    thermal = np.exp(-gap / KT)
    thermal /= thermal.mean()
    limits = Panel(
        LENGTHS, "diffusion length (cells)", "rms distance from the limit", y_scale="log"
    )
    shares = [recombination_share(gap, length, 1.0, KT) for length in LENGTHS]
    limits.add("from even emission", [np.sqrt(np.mean((s - 1) ** 2)) for s in shares])
    limits.add("from Boltzmann's", [np.sqrt(np.mean((s - thermal) ** 2)) for s in shares])

    # beside a deep well carriers within L_D of it fall in: 2 L tanh(b/2L) of a barrier of width b
    width, well = 200, 100
    deep = np.full((1, 1, width + well), 2.4)
    deep[..., :well] = 1.6
    exact = [2 * length * float(np.tanh(width / (2 * length))) for length in CAUGHT]
    falls = Panel(
        CAUGHT, "diffusion length (cells)", "carriers that fall in (cells)", "linear",
        truth=exact, truth_label="2L tanh(b/2L)",
    )  # fmt: skip
    found = []
    for length in CAUGHT:
        s = recombination_share(deep, length, 1.0, KT)
        found.append(s[..., :well].sum() / s.mean() - well)
    falls.add("drift and diffusion", found)
    return {"limits": limits, "well": falls}


if __name__ == "__main__":
    main("funnelling", study)
