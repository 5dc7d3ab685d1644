"""Ion hopping: tracer correlation, and diffusion of vacancies against the closed form.

python docs/figures/validation/ion_hopping.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
from panels import Panel, main

import plkit
from plkit.physics import hopping

SIDES = [6.0, 8.0, 10.0, 14.0, 20.0]
TEMPERATURES = [250.0, 275.0, 300.0, 350.0, 400.0]
SPACING, BARRIER = 0.407, 0.21


def lattice(side: int, vacancies: int) -> plkit.IonLattice:
    """Return ions of one kind with a few vacancies."""
    return plkit.IonLattice((side,) * 3, 1.0 - vacancies / side**3, vacancies / side**3)


def study(small: bool) -> dict[str, Panel]:
    """200 jumps of the one vacancy per site; then 300 vacancies at five temperatures."""
    replicas = 8 if small else 40
    factor = Panel(
        SIDES, "side of the lattice (sites)", "correlation factor $f$", "linear",
        truth=[hopping.TRACER_CORRELATION], truth_label="0.6531",
    )  # fmt: skip
    even = {"bromide_barrier_ev": 0.0, "iodide_barrier_ev": 0.0, "attempt_rate_per_s": 1.0}
    found = []
    for side in map(int, SIDES):
        model = plkit.IonHopping(**even, follow_ions=True)
        run = plkit.simulate_ion_hopping(
            lattice(side, 1), model, [200 * side**3 / 6], seed=5, replicas=replicas
        )
        jumps = run.hops_iodide.values[:, 0] / (side**3 - 1)
        f = run.msd_iodide.values[:, 0] / SPACING**2 / jumps
        found.append((f.mean(), f.std(ddof=1) / np.sqrt(f.size)))
    factor.add("one vacancy", *np.array(found).T)

    exact = [
        1e-18 * float(hopping.vacancy_diffusion(hopping.hop_rate(t, BARRIER, 1e12), SPACING))
        for t in TEMPERATURES
    ]
    law = Panel(
        [1000 / t for t in TEMPERATURES], "1000/T (1/K)", "$D_v$ (m²/s)", "linear", "log",
        truth=exact, truth_label="$k_0 a^2 e^{-E/k_BT}$",
    )  # fmt: skip
    ratio = Panel(law.x, "1000/T (1/K)", "$D_v$ / closed form", "linear", truth=[1.0])
    walked = []
    for i, (t, d) in enumerate(zip(TEMPERATURES, exact, strict=True)):
        model = plkit.IonHopping(BARRIER, BARRIER, 1e12, ambient_k=t)
        time = 20.0 / float(hopping.hop_rate(t, BARRIER, 1e12))
        run = plkit.simulate_ion_hopping(
            lattice(40, 100), model, [time], seed=1000 * (i + 1), replicas=replicas
        )
        measured = 1e-18 * run.msd_vacancy.values[:, 0] / (6 * time)
        walked.append((measured.mean(), measured.std(ddof=1) / np.sqrt(replicas), d))
    value, stderr, d = np.array(walked).T
    law.add("walk", value, stderr)
    ratio.add("walk", value / d, stderr / d)
    return {"correlation": factor, "arrhenius": law, "ratio": ratio}


if __name__ == "__main__":
    main("ion_hopping", study)
