"""Coverage of the 68 % interval of E_a over simulated studies, from raw counts to E_a.

    python tests/studies/activation_energy.py --studies 1000 --json coverage.json

Each study draws anew the counts, the spot-to-spot scatter of the rates and the error of the
temperature scale that all powers share; each is corrected, unmixed, fitted and judged exactly as
`plkit run` does. The small version of this study is tests/test_study_coverage.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import xarray as xr

import plkit
from plkit import spectra
from plkit.sim import study as sim
from plkit.study.chain import analyse_exposure


@dataclass(frozen=True)
class Outcome:
    """E_a of one sample in one study [eV]."""

    sample: str
    value: float
    stderr: float
    truth: float
    photon: float
    scatter: float
    shared: float

    @property
    def covered(self) -> bool:
        return abs(self.value - self.truth) <= self.stderr


@cache
def _stated(name: str) -> tuple[sim.StudyDesign, xr.DataArray, xr.Dataset, xr.Dataset]:
    """What does not change from study to study: references, dark, stated temperatures."""
    design = sim.default_design()
    sample = design.sample(name)
    files = sim.study_files(design, 1)
    dark = spectra.despike(files["dark.nc"]())

    def reference(x: float) -> xr.Dataset:
        return _correct(files[f"references/x{x:.1f}.nc"](), dark)

    other = "bromide" if sample.product_x_iodine < sample.x_iodine else "iodide"
    pristine = reference(sample.x_iodine)
    refs = plkit.references(
        like=pristine, **{"pristine": pristine, other: reference(sample.product_x_iodine)}
    )
    g = design.relative_stderr
    heat = plkit.simulate_heating(
        plkit.LaserSpot(design.spot_radius_um, 405.0, design.spot_radius_um * g["spot_radius"]),
        plkit.Film(
            design.film_thickness_nm,
            design.film_conductivity_w_mk,
            sample.absorptance,
            absorptance_stderr=sample.absorptance * g["absorptance"],
            substrate=(
                plkit.Layer(
                    1000.0,
                    design.substrate_conductivity_w_mk,
                    2.1e6,
                    design.substrate_conductivity_w_mk * g["conductivity"],
                ),
            ),
        ),
        power_uw=sample.powers_uw,
        ambient_k=design.ambient_k,
    )
    return design, refs, heat, dark


def _correct(ds: xr.Dataset, dark: xr.Dataset) -> xr.Dataset:
    bias = sim.default_design().detector.offset_counts
    ds = spectra.despike(spectra.subtract_dark(ds, dark, bias_counts=bias))
    return spectra.divide_response(ds, sim.spectral_response())


def one_study(seed: int, name: str) -> Outcome:
    """Simulate the exposure of one sample and carry it to E_a."""
    design, refs, heat, dark = _stated(name)
    sample = design.sample(name)
    rise = float(heat["detection_rise_per_power"])
    truth = sim.draw_truth(design, sample, seed, rise_per_power=rise)
    raw = sim.simulate_exposure(design, sample, truth, np.random.default_rng([seed, 7]))
    arr = analyse_exposure(
        _correct(raw, dark), refs, heat, falling="pristine", rate_scatter=design.rate_scatter
    )["arrhenius"]
    split = {
        p: float(arr[f"activation_energy_stderr_{p}"]) for p in ("photon", "scatter", "shared")
    }
    return Outcome(
        name,
        float(arr["activation_energy"]),
        float(arr["activation_energy_stderr"]),
        sample.activation_energy_ev,
        **split,
    )


def summarise(outcomes: list[Outcome]) -> dict[str, float]:
    """Coverage and what σ is made of, energies in meV."""
    values = np.array([o.value for o in outcomes])
    return {
        "studies": len(outcomes),
        "coverage": float(np.mean([o.covered for o in outcomes])),
        "bias_mev": 1e3 * float(np.mean(values) - outcomes[0].truth),
        "scatter_mev": 1e3 * float(np.std(values, ddof=1)),
        **{
            f"stderr_{part}_mev": 1e3 * float(np.median([getattr(o, part) for o in outcomes]))
            for part in ("photon", "scatter", "shared")
        },
        "stderr_mev": 1e3 * float(np.median([o.stderr for o in outcomes])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--samples", nargs="+", default=["x1.0", "x1.5", "x2.0"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", dest="path")
    args = parser.parse_args()
    table = {}
    with ProcessPoolExecutor(args.workers) as pool:
        for name in args.samples:
            seeds = range(1000, 1000 + args.studies)
            outcomes = list(pool.map(partial(one_study, name=name), seeds, chunksize=4))
            table[name] = summarise(outcomes)
            print(name, json.dumps({k: round(v, 3) for k, v in table[name].items()}), flush=True)
    if args.path:
        with open(args.path, "w", encoding="utf-8") as file:
            json.dump(table, file, indent=1)
    if not all(0.64 <= t["coverage"] <= 0.72 for t in table.values()):
        sys.exit("coverage outside 64–72 %")


if __name__ == "__main__":
    main()
