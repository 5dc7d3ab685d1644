"""Carriers: steady density, and the edge of the light, against closed forms.

python docs/figures/validation/carriers.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
from panels import Panel, main

from plkit.physics import carriers
from plkit.physics.carrier_volumes import diffuse_steady

POWERS = [10.0**p for p in range(20, 31)]
EDGE = [0.5, 1.0, 2.0, 3.0, 4.0, 5.0]


def study(_: bool) -> dict[str, Panel]:
    """Nothing is drawn at random: small and full are the same."""
    terms = {
        "$k_1$ alone": (carriers.Recombination(1e8, 0.0, 0.0), lambda g: g / 1e8),
        "$k_2$ alone": (carriers.Recombination(0.0, 5e-11, 0.0), lambda g: (g / 5e-11) ** 0.5),
        "$k_3$ alone": (
            carriers.Recombination(0.0, 0.0, 1.6e-29),
            lambda g: (g / 1.6e-29) ** (1 / 3),
        ),
    }
    density = Panel(POWERS, "generation (1/(cm³ s))", "density (1/cm³)", y_scale="log")
    g = np.array(POWERS)
    for name, (r, closed) in terms.items():
        n = carriers.steady_density(g, r)
        assert np.allclose(n, closed(g), rtol=1e-9)
        density.add(name, n)
    density.add(
        "all three", carriers.steady_density(g, carriers.Recombination(1e8, 5e-11, 1.6e-29))
    )

    r, d = carriers.Recombination(1e8, 0.0, 0.0), 0.0758
    length = np.sqrt(d / 1e8)
    edges = np.linspace(-12 * length, 12 * length, 4001)
    x = 0.5 * (edges[1:] + edges[:-1])
    n = diffuse_steady(np.where(x < 0, 1e26, 0.0), edges, d, r, "depth") / 1e18
    at = np.array(EDGE) * length
    edge = Panel(
        EDGE, "distance beyond the edge of the light ($L_D$)", "density / that in the light", "linear", "log",
        truth=list(0.5 * np.exp(-np.array(EDGE))), truth_label="½ exp(−x/$L_D$)",
    )  # fmt: skip
    edge.add("finite volumes", np.exp(np.interp(at, x, np.log(n))))
    return {"density": density, "edge": edge}


if __name__ == "__main__":
    main("carriers", study)
