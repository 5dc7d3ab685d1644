"""What the readers make of damaged files: every format, cut at many lengths and hit with random changes of bytes.

    python tests/studies/fuzz_readers.py FOLDER [--cuts 50] [--changes 2000] [--report report.md] [--only NAME …]

FOLDER holds measured files; the smallest of each format is taken, and for formats without one the file made by
``tests/io_samples.py``. The reads happen in a child process with limits of memory and time, which is restarted when
it dies. An outcome is good when the file is read (with plkit's own warnings at most) or refused by plkit's own error
in one line; everything else is a finding. Nothing may be written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SECONDS, STARTING_SECONDS, MEMORY_BYTES = 5.0, 30.0, 4 * 2**30

# What replaces a byte of a text, and how much of a long one is damaged.
TEXT, LONGEST_TEXT = b"0123456789.,;-+eE \t\n#xN=:", 200_000

# What some files do not say, by a part of their path.
OPTIONS: dict[str, dict[str, Any]] = {
    "filters.csv": {"sample": "600LP"},
    "small_roi.spe": {"rows": "sum"},
    "sample1.csv": {"delay_unit": "ns", "power_unit": "W"},
    "sample2.csv": {"delay_unit": "ns", "power_unit": "W"},
    "syn_data_1.csv": {"delay_unit": "ns", "power_unit": "W"},
    "chondro_converted.npz": {
        "axes": {"raman_shift": "wavelength"}, "units": {"raman_shift": "1/cm", "x": "um", "y": "um"},
    },
}  # fmt: skip


@dataclass
class Target:
    """One file to damage."""

    reader: str
    path: Path
    real: bool
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Tally:
    """Outcomes of one target."""

    target: Target
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def targets(data: Path | None, made: Path) -> list[Target]:
    """Smallest measured file of each format, else the made one."""
    sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []
    import warnings

    import plkit
    from plkit.errors import PlkitError
    from plkit.io import detect, readers
    from tests import io_samples

    found: dict[str, Target] = {}
    files = sorted((p for p in data.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size) if data else []  # fmt: skip
    for path in files:
        options = next((o for part, o in OPTIONS.items() if part in path.name), {})
        try:
            name = detect(path).name
            if name in found:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plkit.read(path, **options)
        except PlkitError:
            continue
        found[name] = Target(name, path, True, options)
    for name, make in io_samples.MADE.items():
        if name not in found:
            folder = made / name
            folder.mkdir()
            found[name] = Target(name, make(folder), False, io_samples.OPTIONS.get(name, {}))
    store = plkit.write(plkit.read(io_samples.npz_file(made)), made / "own.nc")
    found.setdefault("netcdf", Target("netcdf", store, False))
    return [found[r.name] for r in readers() if r.name in found]


def damaged(
    raw: bytes, cuts: int, changes: int, rng: np.random.Generator
) -> Iterator[tuple[str, bytes]]:
    """Cut files, then files with 1 to 8 changed bytes, half of them within the first 2048."""
    text = b"\0" not in raw[:4096]
    for cut in range(cuts):
        # cuts crowd where headers are
        length = (
            int(len(raw) * (cut / cuts) ** 2) if cut % 2 else min(3 * cut * cut + 1, len(raw) - 1)
        )
        yield f"cut after {length} bytes", raw[:length]
    for number in range(changes):
        changed = bytearray(raw)
        end = min(2048, len(raw)) if number % 2 else len(raw)
        places = rng.integers(0, end, int(rng.integers(1, 9)))
        for place in places:
            kind = rng.integers(0, 3)
            changed[place] = (0, 255, int(rng.integers(0, 256)))[kind]
            if text and number % 4:  # mostly what a text can hold
                changed[place] = TEXT[int(rng.integers(0, len(TEXT)))]
        yield f"bytes changed at {sorted(map(int, places))}", bytes(changed)


class Child:
    """A process that reads files; restarted when it dies or hangs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.seconds = 0.0  # processor time of the last read

    def start(self) -> subprocess.Popen[str]:
        env = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--child"], cwd=self.folder, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self.process

    def read(
        self, path: Path, options: dict[str, Any], seconds: float = SECONDS
    ) -> tuple[str, str]:
        """Outcome and detail of one read."""
        # A fresh child imports its libraries first.
        fresh = self.process is None or self.process.poll() is not None
        if fresh:
            self._close()
        process = self.process or self.start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"path": str(path), "options": options}) + "\n")
        process.stdin.flush()
        # The child stops itself by its own clock; this one is for a child that waits, and for busy machines.
        limit = 12 * seconds + (STARTING_SECONDS if fresh else 0.0)
        ready, _, _ = select.select([process.stdout], [], [], limit)
        if not ready:
            self.stop()
            return "hang", f"no answer within {limit:g} s"
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self._close()
            if code == -signal.SIGPROF:
                return "hang", f"no answer within {seconds:g} s of processor time"
            return "died", f"exit status {code}"
        answer = json.loads(line)
        self.seconds = float(answer["seconds"])
        if answer["seconds"] > seconds:
            return "slow", f"{answer['seconds']:.1f} s"
        return str(answer["outcome"]), str(answer["detail"])

    def stop(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._close()

    def _close(self) -> None:
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self.process = None


def fuzz(target: Target, child: Child, *, cuts: int, changes: int, seed: int = 1) -> Tally:
    """Damage one file in all ways and count the outcomes."""
    tally = Tally(target)
    raw = target.path.read_bytes()
    if b"\0" not in raw and len(raw) > LONGEST_TEXT and b"<" not in raw[:4]:
        raw = raw[: raw.rfind(b"\n", 0, LONGEST_TEXT) + 1] or raw
    scratch = child.folder / f"damaged{''.join(target.path.suffixes[-2:])}"
    for other in target.path.parent.glob(f"{target.path.stem}.*"):
        if target.reader == "envi" and other != target.path:
            (child.folder / f"damaged{other.suffix}").write_bytes(other.read_bytes())
    before = {p.name for p in child.folder.iterdir()} | {scratch.name}
    for what, content in damaged(raw, cuts, changes, np.random.default_rng(seed)):
        scratch.write_bytes(content)
        outcome, detail = child.read(scratch, target.options)
        tally.slowest_s = max(tally.slowest_s, child.seconds)
        tally.outcomes[outcome] += 1
        if outcome not in ("read", "refused") and len(tally.findings) < 20:
            tally.findings.append(f"{outcome}, {what}: {detail}")
        new = {p.name for p in child.folder.iterdir()} - before
        if new:
            tally.outcomes["wrote"] += 1
            tally.findings.append(f"wrote {', '.join(new)}, {what}")
            before |= new
    for name in before:
        (child.folder / name).unlink(missing_ok=True)
    return tally


def child_main() -> None:
    """Read the files named on stdin and answer by one line each."""
    import resource
    import warnings

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import plkit
    from plkit.errors import PlkitError, PlkitWarning

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    for line in sys.stdin:
        task = json.loads(line)
        outcome, detail = "read", ""
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS + 1.0)  # its signal ends the process
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                plkit.read(task["path"], **task["options"])
            except PlkitError as exc:
                outcome = (
                    "refused"
                    if "\n" not in str(exc) and str(exc).startswith("Cannot ")
                    else "unclear"
                )
                detail = str(exc)
            except BaseException as exc:  # that is what is looked for
                outcome, detail = "traceback", f"{type(exc).__name__}: {str(exc)[:200]}"
        stray = [w for w in caught if w.category is not PlkitWarning]
        if stray and outcome in ("read", "refused"):
            outcome, detail = (
                "stray warning",
                f"{stray[0].category.__name__}: {str(stray[0].message)[:150]}",
            )
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        seconds = time.process_time() - start
        answers.write(
            json.dumps({"outcome": outcome, "detail": detail[:300], "seconds": seconds}) + "\n"
        )


def report(tallies: list[Tally], cuts: int, changes: int) -> str:
    """Markdown table of the outcomes, and what was found."""
    others = {k for t in tallies for k in t.outcomes} - {"read", "refused"}
    kinds = ["read", "refused", *sorted(others)]
    lines = [
        f"Each file cut at {cuts} lengths and hit with {changes} random changes of 1 to 8 bytes.", "",
        f"| reader | file | bytes | {' | '.join(kinds)} | slowest (s) |", f"|---|---|---|{'---|' * len(kinds)}---|",
    ]  # fmt: skip
    for t in tallies:
        name = t.target.path.name if t.target.real else "made"
        cells = " | ".join(str(t.outcomes[k]) for k in kinds)
        lines.append(
            f"| {t.target.reader} | {name} | {t.target.path.stat().st_size} | {cells} | {t.slowest_s:.2f} |"
        )
    findings = [f"- {t.target.reader}: {f}" for t in tallies for f in t.findings]
    return "\n".join([*lines, "", *(findings or ["No findings."]), ""])


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--changes", type=int, default=2000)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--child", action="store_true")
    args = parser.parse_args()
    if args.child:
        child_main()
        return 0
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as scratch:
        child = Child(Path(scratch))
        for target in targets(args.data, Path(made)):
            if args.only and target.reader not in args.only:
                continue
            tallies.append(fuzz(target, child, cuts=args.cuts, changes=args.changes))
            print(target.reader, dict(tallies[-1].outcomes), flush=True)
            for finding in tallies[-1].findings[:3]:
                print("   ", finding, flush=True)
        child.stop()
        text = report(tallies, args.cuts, args.changes)
    if args.report:
        args.report.write_text(text, encoding="utf-8")
    else:
        print(text)
    return int(any(t.findings for t in tallies))


if __name__ == "__main__":
    sys.exit(main())
