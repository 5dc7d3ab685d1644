"""Benchmarks of plkit beside its peers: ``python tests/benchmarks/run.py [--quick] [--json out.json]``.

Every table is made in one process, contenders in turn; a rate is per second of CPU time on one
core. Peers come with ``pip install plkit[bench]``; who is not installed is left out and said to be.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

# One thread for BLAS, before numpy is imported; and this folder's parent, for the modules beside.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
sys.path[0] = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from benchmarks import files, fitters, peaks, problems, startup, unmixing  # noqa: E402
from benchmarks.harness import Table, installed, limited, race, scaling, wall_time  # noqa: E402
from benchmarks.reference import best_of_starts, lowest_chisqr  # noqa: E402
from benchmarks.score import Judge  # noqa: E402
from benchmarks.show import text  # noqa: E402

_PACKAGES = (
    "plkit", "numpy", "scipy", "numba", "xarray", "dask", "lmfit", "xarray-lmfit", "hyperspy",
    "scikit-learn", "netCDF4", "h5netcdf",
)  # fmt: skip


class Sizes:
    """How much of everything.

    Parameters
    ----------
    quick : bool
        For a look, and for the test suite.
    """

    def __init__(self, quick: bool) -> None:
        self.rounds = 2 if quick else 5
        self.fits = {
            "ours": 2_000 if quick else 40_000,
            "scipy": 100 if quick else 1_500,
            "slow": 20 if quick else 200,
            "check": 50 if quick else 1_000,
            "check_ours": 2_000 if quick else 40_000,
        }
        self.generic = {**self.fits, "ours": 500 if quick else 8_000}
        self.reference = 100 if quick else 5_000
        self.generic_reference = 50 if quick else 1_000
        self.starts_rows, self.starts = (4, 10) if quick else (100, 50)
        self.robust = 100 if quick else 10_000
        self.unmixing = {
            "ours": 8_192 if quick else 131_072,
            "fast": 4_000 if quick else 40_000,
            "slow": 500 if quick else 10_000,
            "slowest": 50 if quick else 1_000,
            "check": 200 if quick else 2_000,
            "check_ours": 2_000 if quick else 8_192,
        }
        self.side = 64 if quick else 320
        self.imports, self.compile = (1, 1) if quick else (9, 3)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _peak(
    name: str, title: str, problem: problems.Problem, sizes: Sizes, generic: bool = False
) -> Table:
    table = Table(name, title, "fits per CPU-second of one core")
    used = sizes.generic if generic else sizes.fits
    _log(f"{title}: reference")
    rows = sizes.generic_reference if generic else sizes.reference
    lowest = lowest_chisqr(problem, rows)
    n = sizes.starts_rows
    by_starts = best_of_starts(problem, n, sizes.starts)
    table.conditions |= {
        "points": problem.x.size,
        "reference": "dense grid and polish of its six deepest basins",
        "reference_rows": rows,
        "starts": sizes.starts, "starts_rows": n,
        "reference_above_best_of_starts": float(np.max(lowest[:n] - by_starts)),
        "reference_not_above_best_of_starts": float(np.mean(lowest[:n] <= by_starts + 0.01)),
    }  # fmt: skip
    everybody = fitters.contenders(problem, Judge(problem, lowest), used, generic=generic)
    race(table, everybody, sizes.rounds, _log)
    scaling(table, everybody, sizes.rounds)
    return table


def _biexponential(sizes: Sizes) -> list[Table]:
    rows = sizes.fits["check_ours"]
    return [
        _peak(
            f"biexponential-{peak}", f"Two exponentials and a plateau, {peak} counts",
            problems.biexponential(peak, rows), sizes,
        )
        for peak in (5000, 300)
    ]  # fmt: skip


def _gaussian(sizes: Sizes) -> list[Table]:
    rows = sizes.fits["check_ours"]
    return [
        _peak(
            f"gaussian-{p}",
            f"Gaussian on a constant, {p} counts",
            problems.gaussian(p, rows),
            sizes,
        )
        for p in (2000, 200)
    ]


def _peaks(sizes: Sizes) -> list[Table]:
    data = peaks.Spectra(sizes.fits["check_ours"])
    tables = []
    for method in ("gaussian", "asymmetric", "parabola", "centroid"):
        _log(f"peaks, {method}")
        table = Table(
            f"peaks-{method}",
            f"Peak of a spectrum of 256 channels, 10⁴ counts: {method}",
            "spectra per CPU-second of one core",
        )
        everybody = peaks.contenders(data, method, sizes.fits)
        race(table, everybody, sizes.rounds, _log)
        scaling(table, everybody, sizes.rounds)
        tables.append(table)
    return tables


def _generic(sizes: Sizes) -> list[Table]:
    problem = problems.asymmetric(2000, sizes.fits["check_ours"])
    title = "Any lmfit Model: asymmetric peak on a constant, 2000 counts"
    return [_peak("generic-2000", title, problem, sizes, generic=True)]


def _robust(sizes: Sizes) -> list[Table]:
    """How often plkit's default fit is at the global optimum, easy and hard."""
    table = Table("optimum", "Global optimum of two exponentials", "share of the traces")
    for ratio, heights in (((4.0, 15.0), (5000, 300, 100)), ((2.0, 4.0), (5000, 1000, 300))):
        for peak in heights:
            name = f"rates {ratio[0]:g}–{ratio[1]:g} apart, {peak} counts"
            _log(f"optimum: {name}")
            problem = problems.biexponential(peak, sizes.robust, ratio)
            judge = Judge(problem, lowest_chisqr(problem, sizes.robust))
            ours = fitters.contenders(problem, judge, sizes.fits)[0]
            row: dict[str, Any] = {
                "contender": name, "package": "plkit", "version": installed("plkit"), "ours": True,
                "note": "", "absent": "",
            }  # fmt: skip
            table.rows.append(row)
            try:
                with limited(2):
                    found = ours.prepare(sizes.robust)()
                row |= judge(found)
            except Exception as error:
                row["absent"] = f"{type(error).__name__}: {error}"[:200]
    table.conditions["text"] = f"{sizes.robust} traces each, of plkit.fit_model."
    return [table]


def _unmixing(sizes: Sizes) -> list[Table]:
    data = unmixing.cube(sizes.unmixing["ours"])
    first, second = unmixing.contenders(data, sizes.unmixing)
    tables = []
    for name, title, everybody in (
        ("unmixing-uniform", "Unmixing, equal weights", first),
        ("unmixing-poisson", "Unmixing, weights of counts", second),
    ):
        _log(title)
        table = Table(name, title, "pixels of 1024 channels per CPU-second of one core")
        race(table, everybody, sizes.rounds, _log)
        scaling(table, everybody, sizes.rounds)
        limit = next(r for r in table.rows if r["contender"] == "sum of the cube")
        for row in table.rows:
            if "rate" in row:
                row["of_read_limit"] = row["rate"] / limit["rate"]
        tables.append(table)
    return tables


def _files(sizes: Sizes) -> list[Table]:
    title = "File to maps: zlib netCDF-4 of uint16"
    _log(title)
    table = Table("files", title, "pixels of 1024 channels per second of wall time, all threads")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cube.nc"
        data, size = files.write(path, sizes.side)
        n = sizes.side**2
        everybody = files.contenders(data, path, n, min(n, sizes.unmixing["check"]))
        race(table, everybody, sizes.rounds, _log)
        scaling(table, [c for c in everybody if c.ours], sizes.rounds)
        wall_time(table, everybody, sizes.rounds)
    table.conditions |= {
        "bytes": size, "pixels": n, "by_wall": True,
        "text": f"{n} pixels, {2048 * n / 1e6:.0f} MB, {size / 1e6:.0f} MB on disk and in the system's cache.",
    }  # fmt: skip
    return [table]


TABLES: dict[str, Callable[[Sizes], list[Table]]] = {
    "unmixing": _unmixing,
    "biexponential": _biexponential,
    "optimum": _robust,
    "gaussian": _gaussian,
    "generic": _generic,
    "peaks": _peaks,
    "files": _files,
    "import": lambda s: [startup.imports(s.imports, _log)],
    "compile": lambda s: [startup.first_calls(s.compile, _log)],
}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        said = [
            v.split(":", 1)[1].strip()
            for v in info.read_text().splitlines()
            if v.startswith("model name")
        ]
        cpu = said[0] if said else cpu
    memory = 0.0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory, 1),
        "system": platform.system(), "python": platform.python_version(),
    }  # fmt: skip


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(TABLES), metavar="NAME", help=", ".join(TABLES)
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, for a look; leaves out the compilation"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    sizes = Sizes(given.quick)
    report: dict[str, Any] = {
        "form": 1,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "quick": given.quick,
        "machine": machine(),
        "versions": {name: installed(name) for name in _PACKAGES},
        "load": {"before": _load()},
        "tables": [],
    }
    start = time.perf_counter()
    usual = [name for name in TABLES if not (given.quick and name == "compile")]
    for name in given.only or usual:
        began = time.perf_counter()
        for table in TABLES[name](sizes):
            table.conditions["load"] = _load()
            table.conditions["seconds"] = round(time.perf_counter() - began, 1)
            report["tables"].append(vars(table))
            print(text(vars(table)), flush=True)
    report["seconds"] = time.perf_counter() - start
    report["load"]["after"] = _load()
    if given.json is not None:
        given.json.write_text(
            json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return report


if __name__ == "__main__":
    main()
