"""Small version of tests/studies/fuzz_readers.py: damaged files are read or refused by plkit's own error."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "studies"))

import fuzz_readers

# libhdf5 itself loops for ever, or dies, on some damaged attributes; the full version lists how often.
BEYOND_US = ("hang", "died")
HDF5 = ("hspy", "delmic", "photonetc", "netcdf")
LARGE = 400_000


def check(data: Path | None, tmp_path: Path, *, cuts: int, changes: int) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "scratch").mkdir()
    child = fuzz_readers.Child(tmp_path / "scratch")
    tallies = [
        fuzz_readers.fuzz(t, child, cuts=cuts, changes=changes, seed=7)
        for t in fuzz_readers.targets(data, tmp_path / "made")
        if t.path.stat().st_size < LARGE and t.real == (data is not None)
    ]
    child.stop()
    assert len(tallies) > 5
    assert sum(t.outcomes["read"] for t in tallies) > len(tallies)
    assert sum(t.outcomes["refused"] for t in tallies) > len(tallies)
    findings = [
        f"{t.target.reader}: {f}"
        for t in tallies
        for f in t.findings
        # How long a read takes is a matter of the machine, and for the full version's table.
        if not (f.startswith("slow") or (t.target.reader in HDF5 and f.startswith(BEYOND_US)))
    ]
    assert findings == []


def test_damaged_files_of_our_own_making(tmp_path: Path) -> None:
    pytest.importorskip("rsciio")
    check(None, tmp_path, cuts=6, changes=10)


def test_damaged_real_files(tmp_path: Path, test_data: Path) -> None:
    pytest.importorskip("rsciio")
    check(test_data, tmp_path, cuts=3, changes=4)


@pytest.mark.full
def test_damaged_files_in_full(tmp_path: Path, test_data: Path) -> None:
    check(test_data, tmp_path, cuts=50, changes=2000)


def test_the_child_reports_what_goes_wrong(tmp_path: Path) -> None:
    child = fuzz_readers.Child(tmp_path)
    good = tmp_path / "a.csv"
    good.write_text("Wavelength (nm),Intensity (counts)\n500,1\n501,2\n")
    assert child.read(good, {}) == ("read", "")
    good.write_text("no numbers here 1\n")
    outcome, detail = child.read(good, {})
    assert outcome == "refused"
    assert detail.startswith("Cannot read 'a.csv'")
    # a call that no file can cause is a traceback
    assert child.read(good, {"reader": 3})[0] in ("traceback", "refused")
    assert child.process is not None
    child.process.kill()
    child.process.wait()
    assert child.read(good, {})[0] == "refused"  # restarted
    child.stop()
