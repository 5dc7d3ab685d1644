"""``plkit simulate hopping``: writes, continues, refuses in one sentence."""

from __future__ import annotations

import numpy as np
import xarray as xr

import plkit
from plkit.cli import main


def run(*words: str) -> int:
    return main(["simulate", "hopping", *words])


def opened(path) -> xr.Dataset:
    with xr.open_dataset(path, decode_timedelta=False) as ds:
        return ds.load()


def test_a_run_and_its_continuation_are_one_run(tmp_path, capsys) -> None:
    first, rest, whole = (str(tmp_path / f"{n}.nc") for n in ("first", "rest", "whole"))
    size = ("--size", "8", "--seed", "5")
    assert run(first, "-t", "1e-9", *size) == 0
    assert run(rest, "-t", "2e-9", "--continue", first) == 0
    assert run(whole, "-t", "1e-9", "-t", "2e-9", *size) == 0
    assert np.array_equal(opened(rest).species[-1], opened(whole).species[-1])
    assert f"Wrote {whole}" in capsys.readouterr().out


def test_published_rule_with_everything_on_the_line(tmp_path, capsys) -> None:
    out = tmp_path / "published.nc"
    words = "-t 0 -t 20 --rule published --laser-k 6 --escape 0.03 0.02 --barriers 0.21 0.1"
    assert run(str(out), *words.split(), "--size", "10", "--replicas", "2") == 0
    ds = opened(out)
    assert ds.species.dims == ("replica", "time", "z", "y", "x")
    assert int(ds.candidates.isel(time=-1).min()) > 0
    assert "20 steps: gap of the irradiated column" in capsys.readouterr().out
    assert plkit.simulate_emission(ds).intensity.sizes["time"] == 2


def test_refusals_are_one_sentence(tmp_path, capsys) -> None:
    there = tmp_path / "there.nc"
    there.write_bytes(b"no netCDF")
    new = str(tmp_path / "new.nc")
    for words, text in (
        ((str(there), "-t", "0"), "exists, not a new file"),
        ((str(tmp_path / "x.csv"), "-t", "0"), "does not end in .nc"),
        ((new,), "no time is given"),
        ((new, "-t", "0", "--size", "1"), "'shape' is"),
        ((new, "-t", "1e-9", "--continue", str(there)), "cannot be read as netCDF"),
        ((new, "-t", "1e-9", "--escape", "0.03", "0.02"), "which the exact rule needs"),
    ):
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert text in said, words
        assert said.count("\n") == 1
    assert not (tmp_path / "new.nc").exists()
