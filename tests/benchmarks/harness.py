"""Contenders of a table, run in turn in one process, and what is kept of each run."""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from unittest import mock

import numpy as np

Row = dict[str, Any]

_TIMED_S = 1.5
_JUDGED_S = 20.0
"""No call takes much longer [s of CPU time]: a slow contender, or machine, gets fewer rows."""


@dataclass
class Estimate:
    """What a contender found, so that it can be judged.

    Parameters
    ----------
    values : ndarray, shape (rows, parameters)
        In the order of the problem.
    stderr : ndarray or None
        The same shape.
    good : ndarray of bool or None
        Rows that the contender itself vouches for; None: those with finite σ.
    """

    values: np.ndarray
    stderr: np.ndarray | None = None
    good: np.ndarray | None = None


@dataclass
class Contender:
    """One way to do the work.

    Parameters
    ----------
    name : str
        What a reader of the table sees.
    package : str
        Distribution whose version is told.
    prepare : callable
        ``prepare(n)`` makes everything that is not to be timed for the first n rows and returns a
        function without arguments that does the work and returns what it found.
    size : int
        Rows of one timed call.
    check : int, optional
        Rows of the call whose result is judged; default ``size``.
    judge : callable, optional
        Columns of correctness from the result of the judged call.
    note : str, optional
        What differs from the other contenders.
    ours : bool, optional
        Whether this is plkit.
    whole : bool, optional
        Whether the work cannot be cut to fewer rows.
    single : bool, optional
        Whether it asks for one thread itself, so that two bring nothing.
    """

    name: str
    package: str
    prepare: Callable[[int], Callable[[], Any]]
    size: int
    check: int = 0
    judge: Callable[[Any], Row] | None = None
    note: str = ""
    ours: bool = False
    whole: bool = False
    single: bool = False

    def __post_init__(self) -> None:
        self.check = self.check or self.size


@dataclass
class Table:
    """One table: a title, what a row counts, and the rows.

    Parameters
    ----------
    name, title, unit : str
        Key in the file, heading, and unit of a rate.
    rows : list of dict
        One per contender.
    conditions : dict
        What the data were, and what was compared with what.
    """

    name: str
    title: str
    unit: str
    rows: list[Row] = field(default_factory=list)
    conditions: Row = field(default_factory=dict)


def installed(package: str) -> str:
    """Version of a distribution; empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """Let this process, and whoever asks how many cores there are, have so many.

    The thread that calls is tied to the cores, and so are those that it starts. BLAS has one
    thread from the start of the process (see run.py).
    """
    with contextlib.ExitStack() as stack:
        if hasattr(os, "sched_setaffinity"):
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, sorted(before)[:threads])
            stack.callback(os.sched_setaffinity, 0, before)
        stack.enter_context(mock.patch("os.cpu_count", return_value=threads))
        if installed("dask"):
            import dask

            one: dict[str, Any] = {"scheduler": "synchronous"}
            stack.enter_context(
                dask.config.set(
                    {"scheduler": "threads", "num_workers": threads} if threads > 1 else one
                )
            )
        yield


def _cpu_of(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = work()
    return max(time.process_time() - start, 1e-6), found


def race(
    table: Table, contenders: Sequence[Contender], rounds: int, log: Callable[[str], None]
) -> None:
    """Run every contender once per round, in turn; put one row per contender into the table.

    The first call of a contender is not timed: it compiles, and its result is judged.
    """
    alive: list[tuple[Contender, Row]] = []
    for c in contenders:
        row: Row = {
            "contender": c.name, "package": c.package, "version": installed(c.package),
            "ours": c.ours, "note": c.note, "absent": "", "rows": c.size,
        }  # fmt: skip
        table.rows.append(row)
        if not row["version"]:
            row["absent"] = f"{c.package} is not installed"
            continue
        log(f"  {c.name}")
        try:
            with limited(1):
                few = c.size if c.whole else min(c.size, 64)
                c.prepare(few)()  # compiles
                c.check = min(c.check, max(few, int(_JUDGED_S * few / _cpu_of(c.prepare(few))[0])))
                spent, found = _cpu_of(c.prepare(c.check))
                c.size = row["rows"] = min(c.size, max(few, int(_TIMED_S * c.check / spent)))
        except Exception as error:
            row["absent"] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            log(f"    absent: {row['absent']}")
            continue
        if c.judge is not None:
            row |= c.judge(found)
        alive.append((c, row))
    times: list[list[tuple[float, float]]] = [[] for _ in alive]
    for k in range(rounds):
        log(f"  round {k + 1} of {rounds}")
        gc.collect()
        for i in np.roll(np.arange(len(alive)), -k):
            c = alive[i][0]
            with limited(1):
                work = c.prepare(c.size)
                wall, cpu = time.perf_counter(), time.process_time()
                work()
                times[i].append((time.process_time() - cpu, time.perf_counter() - wall))
    for (c, row), spent in zip(alive, times, strict=True):
        rates = c.size / np.array([cpu for cpu, _ in spent])
        row["rate"] = float(np.median(rates))
        row["rate_lowest"], row["rate_highest"] = float(rates.min()), float(rates.max())
        row["spread"] = float((rates.max() - rates.min()) / (2.0 * np.median(rates)))
        row["wall_rate"] = float(np.median(c.size / np.array([wall for _, wall in spent])))
        row["rounds"] = rounds
    put_ratios(table)


def put_ratios(table: Table, key: str = "rate") -> None:
    """Write how many times faster plkit's first row that ran is than every other row."""
    first = next((r for r in table.rows if r["ours"] and key in r), None)
    table.conditions["ratio_of"] = "" if first is None else first["contender"]
    for row in table.rows:
        if first is not None and key in row:
            row["ratio"] = first[key] / row[key]


def scaling(table: Table, contenders: Sequence[Contender], rounds: int) -> None:
    """Wall time of plkit's own contenders on one and on two threads, in turn."""
    if cores() < 2:
        return
    for c in contenders:
        row = next(r for r in table.rows if r["contender"] == c.name)
        if not c.ours or c.single or "rate" not in row:
            continue
        walls: dict[int, list[float]] = {1: [], 2: []}
        gc.collect()
        for _ in range(rounds):
            for threads, spent in walls.items():
                with limited(threads):
                    work = c.prepare(c.size)
                    start = time.perf_counter()
                    work()
                    spent.append(time.perf_counter() - start)
        # Other processes can only lengthen a run, so the shortest of each is nearest the truth.
        row["two_threads"] = min(walls[1]) / min(walls[2])
        row["two_threads_median"] = float(np.median(walls[1]) / np.median(walls[2]))


def wall_time(table: Table, everybody: Sequence[Contender], rounds: int) -> None:
    """As a user runs it: every contender with all the threads it takes, in turn."""
    rows = {r["contender"]: r for r in table.rows}
    alive = [c for c in everybody if "rate" in rows[c.name]]
    walls: list[list[float]] = [[] for _ in alive]
    for _ in range(rounds):
        for c, spent in zip(alive, walls, strict=True):
            with limited(cores()):
                work = c.prepare(c.size)
                start = time.perf_counter()
                work()
                spent.append(time.perf_counter() - start)
    for c, spent in zip(alive, walls, strict=True):
        row = rows[c.name]
        row["cpu_rate"], row["cpu_ratio"] = row["rate"], row.get("ratio")
        row["wall_rate"] = c.size / float(np.median(spent))
        row["wall_rate_highest"] = c.size / min(spent)
    put_ratios(table, "wall_rate")
