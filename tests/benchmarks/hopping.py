"""Executed hops a second, per second of CPU time of one thread: ``python tests/benchmarks/hopping.py [--quick]``.

Every walk runs until it has spent the asked CPU time after compilation; several rounds, best of them
and median. Also: time in which the two selections do the same hops, the published run, replicas on
two threads, and the memory of a run on 200³ sites (each in a process of its own).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from plkit.sim import (
    CarrierEnergy,
    IodideEscape,
    IonHopping,
    IonLattice,
    LaserRise,
    simulate_ion_hopping,
)

# Barriers whose rates are as 1 : 0.35 at 293.15 K, and the published ones under the laser.
EQUAL = {"bromide_barrier_ev": 0.10 + 0.02652, "iodide_barrier_ev": 0.10}
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "uniform, 1 : 0.35": (20, {**EQUAL, "selection": "uniform"}),
    "uniform, 1 : 0.35, 200³": (200, {**EQUAL, "selection": "uniform"}),
    "uniform, published barriers, T(r)": (20, {"laser": LaserRise(6.0), "selection": "uniform"}),
    "uniform, published barriers, T(r), 200³": (
        200, {"laser": LaserRise(6.0), "selection": "uniform"},
    ),
    "classes, 1 : 0.35": (20, {**EQUAL, "selection": "classes"}),
    "classes, 1 : 0.35, 200³": (200, {**EQUAL, "selection": "classes"}),
    "classes, published barriers, T(r)": (20, {"laser": LaserRise(6.0), "selection": "classes"}),
    "classes, published barriers, T(r), 200³": (
        200, {"laser": LaserRise(6.0), "selection": "classes"},
    ),
    "moving field": (20, {"laser": LaserRise(6.0, rate_per_s=1e7)}),
    "carriers, 1.7e18 per cm³": (20, {"carriers": CarrierEnergy()}),
    "carriers, 1.7e19 per cm³": (20, {"carriers": CarrierEnergy(1.7e19)}),
}  # fmt: skip


def _hops(ds: Any) -> int:
    return int(ds.hops_bromide[-1] + ds.hops_iodide[-1])


def rate(name: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Hops per CPU-second of one case."""
    side, how = CASES[name]
    model = IonHopping(**how)
    start = simulate_ion_hopping(IonLattice((side,) * 3), model, [1e-12], seed=1)
    end, span = 1e-12, 1e-9 if side < 100 else 1e-11
    found = []
    while len(found) < rounds:
        begun, before = time.process_time(), _hops(start)
        end += span
        start = simulate_ion_hopping(start, model, [end])
        spent = time.process_time() - begun
        if spent < 0.5 * seconds:
            span *= min(10.0, seconds / max(spent, 1e-3))
            continue
        found.append((_hops(start) - before) / spent)
    tried = int(start.candidates[-1])
    return {
        "case": name, "sites": side**3, "million_hops_per_cpu_s": max(found) / 1e6,
        "median": statistics.median(found) / 1e6, "acceptance": _hops(start) / tried,
        "seconds_per_hop": end / _hops(start) * int(start.n_vacancies[-1]),
    }  # fmt: skip


def published_run() -> dict[str, Any]:
    """20³, 500 steps of 150 sweeps."""
    model = IonHopping(laser=LaserRise(6.0), escape=IodideEscape(), rule="published")
    simulate_ion_hopping(IonLattice((8, 8, 8)), model, [1.0])
    begun, cpu = time.perf_counter(), time.process_time()
    simulate_ion_hopping(IonLattice(), model, [500.0], seed=1)
    return {
        "wall_s": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu,
    }  # fmt: skip


def replicas(seconds_of_physics: float) -> dict[str, Any]:
    """Sixteen replicas, one thread and two."""
    walls = {}
    simulate_ion_hopping(IonLattice((8, 8, 8)), IonHopping(), [1e-9])
    for workers in (1, 2):
        begun = time.perf_counter()
        simulate_ion_hopping(
            IonLattice(), IonHopping(), [seconds_of_physics], replicas=16, workers=workers
        )
        walls[workers] = time.perf_counter() - begun
    return {"wall_s": walls, "speedup": walls[1] / walls[2]}


_MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from plkit.sim import IonHopping, IonLattice, LaserRise, simulate_ion_hopping
model = IonHopping(laser=LaserRise(6.0), selection=sys.argv[2])
simulate_ion_hopping(IonLattice((8, 8, 8)), model, [1e-10])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ds = simulate_ion_hopping(IonLattice((200, 200, 200)), model, [0.0, 1e-10])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(before / 1024, after / 1024)
"""


def memory(selection: str) -> dict[str, float]:
    """Largest memory of a process before and after a run on 200³ sites with two snapshots."""
    command = [sys.executable, "-c", _MEMORY, str(Path(__file__).parents[2]), selection]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return {"libraries_mib": float(out[0]), "whole_process_mib": float(out[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="A look, not a measurement.")
    parser.add_argument("--json", type=Path, help="File for the results.")
    options = parser.parse_args()
    seconds, rounds = (0.2, 1) if options.quick else (3.0, 5)
    report: dict[str, Any] = {"rates": []}
    for name in CASES:
        if options.quick and "200³" in name:
            continue
        row = rate(name, seconds, rounds)
        report["rates"].append(row)
        print(
            f"{name:42} {row['million_hops_per_cpu_s']:7.2f} (median {row['median']:.2f}) million "
            f"hops/CPU-s, acceptance {row['acceptance']:.3f}", flush=True,
        )  # fmt: skip
    report["published_run"] = published_run()
    print("published run:", report["published_run"], flush=True)
    report["replicas"] = replicas(2e-8 if options.quick else 1e-6)
    print("16 replicas:", report["replicas"], flush=True)
    if not options.quick:
        report["memory"] = {s: memory(s) for s in ("uniform", "classes")}
        print("memory:", report["memory"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
