"""Kinetics: coverage of every parameter, and what the plateau does to the activation energy.

python docs/figures/validation/kinetics.py docs/images/validation
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from panels import Panel, coverage, main, share

import plkit
from plkit.physics import rates
from plkit.physics.arrhenius import arrhenius_rate, prefactor_for

COUNTS = [1e3, 1e4, 1e5]
TRUTH = {"k01": 0.4, "k1": 0.04, "k02": 0.3, "k2": 0.006, "plateau": 0.3}


def trace(time: np.ndarray, y: np.ndarray) -> xr.DataArray:
    """Label falling traces."""
    coords = {"time": ("time", time, {"units": "s"})}
    dims = ("point", "time") if y.ndim == 2 else ("time",)
    return xr.DataArray(y, coords, dims, attrs={"units": "1"})


def study(small: bool) -> dict[str, Panel]:
    """Fractions of so many counts per frame, 300 frames."""
    n = 60 if small else 1500
    rng = np.random.default_rng(2)
    time = np.arange(300) * 2.0
    clean = rates.biexponential_decay(time, *TRUTH.values())
    truth = {
        **TRUTH,
        "mean_rate": float(rates.mean_rate(*list(TRUTH.values())[:4])),
        "conversion": float(rates.conversion(600.0, *TRUTH.values())),
        "conversion_limit": float(
            rates.conversion_limit(TRUTH["k01"], TRUTH["k02"], TRUTH["plateau"])
        ),
    }
    inside = coverage(COUNTS, "counts per frame")
    shares: dict[str, list[tuple[float, float]]] = {name: [] for name in truth}
    for counts in COUNTS:
        sigma = np.sqrt(clean * (1 - clean) / counts + 1e-12)
        y = trace(time, clean + sigma * rng.normal(size=(n, 300)))
        kin = plkit.fit_kinetics(y, stderr=y.copy(data=np.tile(sigma, (n, 1))), at_s=598.0)
        truth["conversion"] = float(rates.conversion(598.0, *TRUTH.values()))
        for name, value in truth.items():
            z = (kin[name] - value) / kin[f"{name}_stderr"]
            shares[name].append(tuple(map(float, share(np.abs(z.values.ravel()) < 1))))
    for name, pairs in shares.items():
        inside.add(name.replace("_", " "), *np.array(pairs).T)

    ceilings = [0.3, 0.5, 0.7, 0.85, 0.999]
    energy = Panel(ceilings, "share that ever converts", "$E_a$ (meV)", "linear", truth=[248.0])
    t_k = np.linspace(300.0, 330.0, 8)
    k = arrhenius_rate(t_k, prefactor_for(1 / 25, 315.0, 0.248), 0.248)[:, None]
    with_plateau: dict[str, list[float]] = {"plateau free": [], "as printed, without plateau": []}
    for c in ceilings:
        y = trace(
            np.arange(500.0) + 0.5,
            rates.biexponential_decay(np.arange(500.0) + 0.5, 0.6 * c, k, 0.4 * c, k / 7, 1 - c),
        )
        for name, free in zip(with_plateau, (True, False), strict=True):
            fit = plkit.fit_kinetics(y, stderr=0.01, plateau=free)
            with_plateau[name].append(
                -1e3 * 8.617333262e-5 * np.polyfit(1 / t_k, np.log(fit.mean_rate), 1)[0]
            )
    for name, values in with_plateau.items():
        energy.add(name, values)
    return {"coverage": inside, "plateau": energy}


if __name__ == "__main__":
    main("kinetics", study)
