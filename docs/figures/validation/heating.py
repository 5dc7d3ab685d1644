"""Heating: the exact solver against closed forms of a half space, and against finite volumes.

python docs/figures/validation/heating.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
from panels import Panel, main

import plkit
from plkit.physics import heat
from plkit.physics.heat_layers import Beam, PlanarStack, layered_detection_rise, layered_rise

R = [0.0, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0]
TIMES = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3]
THICKNESS = [0.01, 0.04, 0.1, 0.3, 1.0, 3.0]


def study(_: bool) -> dict[str, Panel]:
    """Nothing is drawn at random: small and full are the same."""
    half = PlanarStack((float("inf"),), (1.05,), (2.1e6,))
    beam = Beam(1.0, float("inf"))
    exact = heat.half_space_radial_rise(R, 1.0, 1.05, 1.0)
    steady = layered_rise(half, beam, R, [0.0])[:, 0] / exact - 1
    step = heat.half_space_step_rise(TIMES, 1.0, 1.05, 2.1e6, 1.0)
    started = layered_rise(half, beam, [0.0], [0.0], TIMES)[:, 0, 0] / step - 1
    space = Panel(
        R, "distance from the axis (w0)", "|deviation|", "linear", "log", y_range=(1e-16, 1e-1)
    )
    space.add("half space, steady", np.abs(steady) + 1e-16)
    film = plkit.Film(40.0, 0.4, absorptance=1.0)
    two = [
        plkit.simulate_heating(
            plkit.LaserSpot(1.0), film, r_um=R, z_um=[0.0], solver=solver
        ).rise_per_power.values[:, 0]
        for solver in ("hankel", "volumes")
    ]
    space.add("film on glass: volumes", np.abs(two[1] / two[0] - 1))
    time = Panel(
        TIMES, "time after switching on (s)", "|deviation|", y_scale="log", y_range=(1e-16, 1e-1)
    )
    time.add("half space, on the axis", np.abs(started) + 1e-16)

    ratio = Panel(
        THICKNESS, "thickness of the film (µm)", "beam-weighted / peak rise",
        truth=[2**-0.5], truth_label="half space, 1/√2",
    )  # fmt: skip
    even = Beam(1.0)  # heated evenly through the film, and seen through all of it
    for k in (0.4, 2.0):
        stacks = [PlanarStack((d, float("inf")), (k, 1.05), (1e6, 2.1e6)) for d in THICKNESS]
        ratio.add(
            f"film of {k} W/(m K) on glass",
            [
                float(layered_detection_rise(s, even) / layered_rise(s, even, [0.0])[0])
                for s in stacks
            ],
        )
    return {"steady": space, "time": time, "detection": ratio}


if __name__ == "__main__":
    main("heating", study)
