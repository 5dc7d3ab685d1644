"""What a user waits for before the first result: import, and compilation."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.harness import Table, installed

_ROOT = Path(__file__).resolve().parents[2]


def _run(code: str, cache: str | None = None) -> tuple[float, float, str]:
    """Wall time, CPU time and output of a new Python."""
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    if cache is not None:
        env["NUMBA_CACHE_DIR"] = cache
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, out.stdout


def imports(rounds: int, log: Callable[[str], None]) -> Table:
    """``import plkit`` beside others, a new process each time, in turn."""
    table = Table("import", "Import", "s of a whole process", conditions={"ratio_of": ""})
    modules = [
        ("python alone", "", "pip"), ("plkit", "plkit", "plkit"), ("xarray", "xarray", "xarray"),
        ("lmfit", "lmfit", "lmfit"), ("hyperspy.api", "hyperspy.api", "hyperspy"),
    ]  # fmt: skip
    modules = [m for m in modules if installed(m[2])]
    spent: list[list[tuple[float, float]]] = [[] for _ in modules]
    for k in range(rounds + 1):
        log(f"  round {k} of {rounds}")
        for i, (_, module, _) in enumerate(modules):
            wall, cpu, _ = _run(f"import {module}" if module else "pass")
            if k:  # the first one fills the caches of the disk
                spent[i].append((wall, cpu))
    for (name, _, package), times in zip(modules, spent, strict=True):
        wall, cpu = np.median(times, axis=0)
        table.rows.append(
            {
                "contender": name, "package": package, "version": installed(package),
                "ours": name == "plkit", "note": "", "absent": "", "wall_s": float(wall),
                "cpu_s": float(cpu), "wall_s_shortest": float(min(w for w, _ in times)),
                "rounds": rounds,
            }
        )  # fmt: skip
    by_name = {r["contender"]: r for r in table.rows}
    for key in ("wall_s", "cpu_s", "wall_s_shortest"):
        table.conditions[f"plkit_less_xarray_{key}"] = (
            by_name["plkit"][key] - by_name["xarray"][key]
        )
    return table


_SETUP = """
import time
start = time.perf_counter()
import numpy as np, xarray as xr, plkit, numba, lmfit
t = np.arange(0.0, 600.0, 6.0)
rng = np.random.default_rng(0)
def traces(y, dim, x, unit):
    y = xr.DataArray(y, dims=("point", dim), coords={dim: (dim, x, {"units": unit})}, attrs={"units": "counts"})
    return y, y.copy(data=np.sqrt(np.maximum(y.values, 1.0)))
decay = rng.poisson(np.tile(3000 * np.exp(-0.05 * t) + 2000 * np.exp(-0.007 * t) + 500, (8, 1))).astype(float)
"""

_FIRST = {
    "fit_model, two exponentials": """
y, s = traces(decay, "time", t, "s")
model = plkit.models.BiexponentialDecayModel()
run = lambda: plkit.fit_model(y, model, "time", stderr=s, engine="batched")
""",
    "fit_kinetics": """
y, s = traces(decay, "time", t, "s")
import plkit.kinetics
run = lambda: plkit.fit_kinetics(y, stderr=s)
""",
    "fit_model, Gaussian": """
x = np.linspace(1.7, 2.2, 256)
y, s = traces(rng.poisson(np.tile(2000 * np.exp(-0.5 * ((x - 1.95) / 0.04) ** 2) + 20, (8, 1))).astype(float), "energy", x, "eV")
model = plkit.models.GaussianPeakModel()
run = lambda: plkit.fit_model(y, model, "energy", stderr=s, engine="batched")
""",
    "unmix, Poisson": """
x = np.linspace(560.0, 740.0, 1024)
shape = np.stack([np.exp(-0.5 * ((x - c) / 12.0) ** 2) for c in (655.0, 615.0)])
refs = xr.DataArray(shape / shape.sum(axis=1)[:, None], dims=("component", "wavelength"),
    coords={"component": ["pristine", "bromide"], "wavelength": ("wavelength", x, {"units": "nm"})})
y, s = traces(rng.poisson(np.tile(shape.sum(axis=0) * 200 + 20, (8, 1))).astype(np.float32), "wavelength", x, "nm")
ds = xr.Dataset({"intensity": y, "noise_gain": ((), 1.0, {"units": "counts"})})
plkit.unmix
run = lambda: plkit.unmix(ds, refs)
""",
}

_TIMED = """
ready = time.perf_counter()
run()
first = time.perf_counter()
run()
second = time.perf_counter()
print(ready - start, first - ready, second - first)
"""


def first_calls(rounds: int, log: Callable[[str], None]) -> Table:
    """First call of a process: without any compiled kernel on disk, and with."""
    table = Table("compile", "First call of a process", "s", conditions={"ratio_of": ""})
    for name, code in _FIRST.items():
        log(f"  {name}")
        row = {
            "contender": name, "package": "plkit", "version": installed("plkit"), "ours": True,
            "note": "", "absent": "",
        }  # fmt: skip
        table.rows.append(row)
        with tempfile.TemporaryDirectory() as cache:
            try:
                cold = _run(_SETUP + code + _TIMED, cache)[2]
                warm = [_run(_SETUP + code + _TIMED, cache)[2] for _ in range(rounds)]
            except subprocess.CalledProcessError as error:
                row["absent"] = error.stderr.strip().splitlines()[-1][:200]
                continue
        row["cold_s"] = float(cold.split()[1])
        # runs × (imports, first call, second call)
        numbers = np.array([[float(v) for v in text.split()] for text in warm])
        row["cached_s"] = float(np.median(numbers[:, 1]))
        row["cached_s_shortest"] = float(numbers[:, 1].min())
        row["again_s"] = float(np.median(numbers[:, 2]))
        row["imports_s"] = float(np.median(numbers[:, 0]))
    return table
