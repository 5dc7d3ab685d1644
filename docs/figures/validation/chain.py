"""The whole chain: coverage of E_a from raw counts, for the three films of the bundled study.

python docs/figures/validation/chain.py docs/images/validation
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from panels import Panel, coverage, main, share

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "studies"))
from activation_energy import one_study

FILMS = {1.0: "x1.0", 1.5: "x1.5", 2.0: "x2.0"}


def study(small: bool) -> dict[str, Panel]:
    """Counts, scatter of the spots and error of the temperature scale drawn anew in each study."""
    n = 2 if small else 100
    inside = coverage(list(FILMS), "x of the film", low=0.0)
    inside.x_scale, inside.y_range = "linear", (0.3, 1.0)
    parts = Panel(list(FILMS), "x of the film", "σ of $E_a$ (meV)", "linear")
    rows = [[one_study(seed, name) for seed in range(5000, 5000 + n)] for name in FILMS.values()]
    inside.add("studies", *np.array([share([o.covered for o in row]) for row in rows]).T)
    scatter = 1e3 * np.array([np.std([o.value for o in row], ddof=1) for row in rows])
    stated = 1e3 * np.median([[o.stderr for o in row] for row in rows], axis=1)
    parts.add("scatter of the studies", scatter, stated / np.sqrt(2 * (n - 1)))
    for name in ("stderr", "photon", "scatter", "shared"):
        values = 1e3 * np.array([[getattr(o, name) for o in row] for row in rows])
        label = {"stderr": "stated", "shared": "temperature scale", "photon": "photons"}.get(
            name, "spots"
        )
        parts.add(label, np.median(values, axis=1), 1.25 * values.std(axis=1) / np.sqrt(n))
    return {"coverage": inside, "parts": parts}


if __name__ == "__main__":
    main("chain", study)
