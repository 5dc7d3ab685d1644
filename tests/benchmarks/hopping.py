"""Executed hops a second, per second of CPU time of one thread: ``python tests/benchmarks/hopping.py [--quick]``.

Every walk runs until it has spent the asked CPU time after compilation; several rounds, best of them
and median. Also: time in which the two selections do the same hops, the published run, replicas on
two threads, and the memory of the arrays of a run on 200³ sites.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
import tracemalloc
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
from plkit.sim.hopping.field import field_of
from plkit.sim.hopping.state import first_state
from plkit.sim.hopping.walk import Walk

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


def rate(name: str, seconds: float, rounds: int) -> dict[str, Any]:
    """Hops per CPU-second of one case: the walk alone, without snapshots."""
    side, how = CASES[name]
    model, lattice = IonHopping(**how), IonLattice((side,) * 3)
    walk = Walk(model, lattice, field_of(model, lattice), threading.Event())
    state = first_state(lattice, 1, escape=False, follow=False)
    walk.start(state)
    walk.advance(state, 1e-12, lambda _: None)
    span = 1e-9 if side < 100 else 1e-11
    found = []
    while len(found) < rounds:
        begun, before = time.process_time(), int(state.events[:2].sum())
        walk.advance(state, float(state.clock[0]) + span, lambda _: None)
        spent = time.process_time() - begun
        if spent < 0.5 * seconds:
            span *= min(10.0, seconds / max(spent, 1e-3))
            continue
        found.append((int(state.events[:2].sum()) - before) / spent)
    hops = int(state.events[:2].sum())
    return {
        "case": name, "sites": side**3, "million_hops_per_cpu_s": max(found) / 1e6,
        "median": statistics.median(found) / 1e6, "acceptance": hops / int(state.events[3]),
        "seconds_per_hop": float(state.clock[0]) / hops * int(state.number[0]),
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


def memory(selection: str) -> dict[str, float]:
    """Largest sum of all arrays at one time in a run on 200³ sites with two snapshots."""
    model = IonHopping(laser=LaserRise(6.0), selection=selection)
    simulate_ion_hopping(IonLattice((8, 8, 8)), model, [1e-10])
    tracemalloc.start()
    simulate_ion_hopping(IonLattice((200, 200, 200)), model, [0.0, 1e-11])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"arrays_mib": peak / 2**20}


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
