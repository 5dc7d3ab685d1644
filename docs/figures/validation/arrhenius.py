"""Arrhenius: a scale error of the rise divides E_a, and the interval knows it.

python docs/figures/validation/arrhenius.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit
from plkit import names
from plkit.physics.arrhenius import arrhenius_rate, prefactor_for

SCALES = [0.7, 0.85, 1.0, 1.15, 1.3]
ERRORS = [0.01, 0.03, 0.06, 0.1]
ENERGY, AMBIENT = 0.248, 293.15


def points(rise: np.ndarray) -> tuple[xr.DataArray, xr.DataArray]:
    """Temperatures, and rates that follow them."""
    t = AMBIENT + rise
    k = arrhenius_rate(t, prefactor_for(0.04, 296.0, ENERGY), ENERGY)
    return (
        xr.DataArray(t, dims="point", attrs=names.attrs("temperature")),
        xr.DataArray(k, dims="point", attrs=names.attrs("rate")),
    )


def study(small: bool) -> dict[str, Panel]:
    """Eight powers; rates good to 0.7 %, and an error of the scale that all share."""
    n = 15 if small else 300
    rng = np.random.default_rng(4)
    rise = np.linspace(1.0, 8.0, 8)
    divided = Panel(
        SCALES, "stated rise / true rise", "$E_a$ found (meV)", "linear",
        truth=[1e3 * ENERGY / g for g in SCALES], truth_label="$E_a$/g",
    )  # fmt: skip
    t, k = points(rise)
    divided.add(
        "fit",
        [
            1e3
            * float(
                plkit.fit_arrhenius(
                    k, AMBIENT + g * (t - AMBIENT), rate_scatter=0.005
                ).activation_energy
            )
            for g in SCALES
        ],
    )
    inside = coverage([100 * e for e in ERRORS], "σ of the temperature scale (%)", low=0.0)
    shares: dict[str, list[tuple[float, float]]] = {"shared error stated": [], "left out": []}
    for error in ERRORS:
        hits = np.empty((n, 2), bool)
        for i in range(n):
            scale = 1.0 + error * rng.normal()
            true_t, k = points(rise / scale)  # what is stated is off by the scale
            stated = AMBIENT + scale * (true_t - AMBIENT)
            noisy = (k * np.exp(0.007 * rng.normal(size=8))).assign_attrs(k.attrs)
            for j, shared in enumerate((error * (stated - AMBIENT), None)):
                fit = plkit.fit_arrhenius(
                    noisy, stated.assign_attrs(true_t.attrs), rate_stderr=0.007 * k,
                    shared_temperature_stderr=shared,
                )  # fmt: skip
                hits[i, j] = abs(fit.activation_energy - ENERGY) < fit.activation_energy_stderr
        for name, column in zip(shares, hits.T, strict=True):
            shares[name].append(tuple(map(float, share(column))))
    for name, pairs in shares.items():
        inside.add(name, *np.array(pairs).T)
    return {"scale": divided, "coverage": inside}


if __name__ == "__main__":
    main("arrhenius", study)
