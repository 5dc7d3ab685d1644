"""info, convert and correct: one file or many, whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, spectra
from plkit.cli import main

CODE = "import sys; from plkit.cli import main; sys.exit(main(sys.argv[1:]))"


def film(n: int = 3, channels: int = 40) -> xr.Dataset:
    rng = np.random.default_rng(4)
    return xr.Dataset(
        {"intensity": (("time", "wavelength"), rng.poisson(80.0, (n, channels)).astype(np.uint16),
                       names.attrs("intensity"))},
        {"time": ("time", np.arange(n) * 1.0, names.attrs("time")),
         "wavelength": ("wavelength", np.linspace(500.0, 600.0, channels), names.attrs("wavelength"))},
    )  # fmt: skip


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    (folder / "deep").mkdir(parents=True)
    for name in ("a", "b", "deep/c"):
        plkit.write(film(), folder / f"{name}.csv")
    return folder


def test_many_files_into_a_folder(raw: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(raw / "a.csv"), str(raw / "b.csv"), str(out)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.nc", "b.nc"]
    np.testing.assert_array_equal(plkit.read(out / "a.nc").intensity, film().intensity)
    said = capsys.readouterr()
    assert "Converted 2 of 2 files" in said.out
    assert said.err == ""


def test_pattern_in_quotes_and_another_format(raw: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(raw / "**" / "*.csv"), str(out), "--to", "zarr"]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.zarr", "b.zarr", "c.zarr"]
    assert main(["convert", str(raw / "*.sif"), str(out)]) == 2
    assert "no file matches this pattern" in capsys.readouterr().err


def test_nothing_is_overwritten_unasked(raw: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "b.nc").write_text("mine")
    words = ["convert", str(raw / "*.csv"), str(out)]
    assert main(words) == 2
    assert "1 of the outputs exist" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["b.nc"]
    assert main([*words, "--skip-existing"]) == 0
    assert "Converted 1 of 2 files, 1 left as they were" in capsys.readouterr().out
    assert (out / "b.nc").read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert plkit.read(out / "b.nc").sizes["time"] == 3


def test_a_faulty_file_does_not_stop_the_others(raw: Path, tmp_path: Path, capsys) -> None:
    (raw / "aa.csv").write_text("no numbers at all\n")
    out = tmp_path / "out"
    assert main(["convert", str(raw / "*.csv"), str(out)]) == 2
    said = capsys.readouterr()
    assert "Converted 2 of 3 files" in said.out
    assert said.err.count("\n") == 1
    assert "aa.csv" in said.err
    assert sorted(p.name for p in out.iterdir()) == ["a.nc", "b.nc"]
    nothing = tmp_path / "nothing"
    assert main(["convert", str(raw / "aa.csv"), str(raw / "aa.csv"), str(nothing)]) == 2
    assert not nothing.exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["a.csv"], "there is one name, not an input and an output"),
        (["a.csv", "deep/c.csv", "all.nc"], "all.nc is one file, not a folder for 2"),
        (["a.csv", "b.csv", "out", "--to", "xls"], "--to is 'xls', not one of nc, zarr, csv"),
        (["a.csv", "b.csv", "deep/c.csv/"], "is one file"),
        (["a.csv", "deep/a.csv", "out"], "would both become"),
        (["a.csv", "b.csv", ".", "--to", "csv", "--force"], "is the input itself"),
        (["a.csv", "a.nc", "--compression", "rar"], "the compression is 'rar', not one of zlib"),
        (["a.csv", "a.zarr", "--compression", "zstd"], "is a choice for netCDF, not .zarr"),
    ],
)
def test_plans_that_cannot_be(raw: Path, words, message, monkeypatch, capsys) -> None:
    monkeypatch.chdir(raw)
    before = sorted(p.as_posix() for p in raw.rglob("*"))
    assert main(["convert", *words]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert sorted(p.as_posix() for p in raw.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    source = plkit.write(film(400, 4000), tmp_path / "big.nc", compression="none")
    old = plkit.write(film(), tmp_path / "out.nc")
    content = old.read_bytes()
    # The child says when the writing has begun; the interrupt comes in the middle of it.
    code = (
        "import xarray as xr\n"
        "from plkit.io import writing\n"
        "whole = xr.Dataset.to_netcdf\n"
        "def slow(self, *a, **k):\n"
        "    whole(self, *a, **k)\n"
        "    print('writing', flush=True)\n"
        "    import time; time.sleep(60)\n"
        "xr.Dataset.to_netcdf = slow\n" + CODE
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, "convert", str(source), str(old), "--force"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 3  # the temporary file is there
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["big.nc", "out.nc"]
    assert old.read_bytes() == content


def test_interrupt_between_two_stores_keeps_the_old_one(tmp_path: Path, monkeypatch) -> None:
    path = plkit.write(film(), tmp_path / "a.zarr")
    replace, calls = os.replace, []

    def interrupted(src, dst):
        if Path(dst) == path and not calls:
            calls.append(dst)
            raise KeyboardInterrupt
        return replace(src, dst)

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plkit.write(film(5), path, overwrite=True)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    assert plkit.read(path).sizes["time"] == 3


def test_corrections_one_after_the_other(raw: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "film.nc"
    dark = plkit.write(film(1).isel(time=0, drop=True) * 0 + 10, tmp_path / "dark.nc")
    words = ["correct", str(raw / "a.csv"), str(out)]
    for step in (
        "mask_saturation level=65535", f"subtract_dark dark={dark} scale_exposure=false", "despike",
        "set_noise electrons_per_count=2", "crop wavelength=520: time=:1.5", "bin_spectra wavelength=2",
    ):  # fmt: skip
        words += ["-s", step]
    assert main(words) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("mask_saturation(level=65535)")
    assert said[-1] == f"Wrote {out}"
    assert len(said) == 7
    got = plkit.read(out)
    ds = plkit.read(raw / "a.csv")
    ds = ds.assign(intensity=ds.intensity * 1.0 - 10.0)
    ds = spectra.crop(spectra.despike(ds), wavelength=(520.0, None), time=(None, 1.5))
    wanted = spectra.bin_spectra(ds, wavelength=2)
    np.testing.assert_allclose(got.intensity, wanted.intensity)
    assert float(got.noise_gain) == 0.5
    assert main(words) == 2
    assert "Give --force" in capsys.readouterr().err


@pytest.mark.parametrize(
    "step, message",
    [
        ("polish", "the step is 'polish', not one of mask_saturation"),
        ("despike treshold=4", "it has no 'treshold', only threshold, dims, fill"),
        ("despike 4", "'4' is not KEY=VALUE"),
        ("subtract_dark", "it lacks dark"),
        ("subtract_dark dark=no.nc", "there is no such file"),
        ("crop energy=1:2", "the axes are"),
        ("despike 'threshold", "a quote that does not end"),
        ("despike threshold=hoch", "'threshold' is 'hoch'"),
    ],
)
def test_steps_that_cannot_be(raw: Path, step, message, tmp_path: Path, capsys) -> None:
    out = tmp_path / "o.nc"
    assert main(["correct", str(raw / "a.csv"), str(out), "-s", step]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not out.exists()
