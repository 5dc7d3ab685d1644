"""The command: one sentence on stderr, an exit code that means something, JSON for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.cli import main
from plkit.cli.findings import findings
from plkit.errors import DataError, PlkitWarning

SUMMARY = {
    "samples": {
        "x1.0": {
            "activation_energy_ev": {"value": 0.2481, "stderr": 0.0231},
            "activation_energy_split_ev": {"photon": 0.004, "scatter": None, "shared": 0.0198},
            "conversion": {
                "10": {"value": 0.26, "stderr": 0.01},
                "9": {"value": 0.1, "stderr": 0.01},
            },
            "conversion_at_s": 500.0,
            "verdict": "reconstruction",
            "verdict_reason": "the pristine band falls",
        },
        "x2.0": {
            "activation_energy_ev": {"value": None, "stderr": None},
            "conversion": {"10": {"value": 0.1, "stderr": 0.01}},
        },
        "x3.0": {
            "activation_energy_ev": {"value": None},
            "peak_nm": {"5": {"value": 690.0, "stderr": 1.0}},
        },
    },
    "diffusion": {
        "x1.5": {
            "ln_d0_m2_s": {"value": -23.66, "stderr": 0.7},
            "activation_energy_ev": {"value": 0.182, "stderr": 0.021},
            "d_293k_m2_s": {"value": 3.9e-14, "stderr": 4e-15},
        }
    },
    "warnings": ["x1.0, kinetics: 1 of 8 traces: at bound"],
}
RECIPE = """\
[study]
title = "Test"
[laser]
wavelength_nm = 405.0
spot_radius_um = 1.0
[film]
thickness_nm = 40
conductivity_w_mk = 0.4
heat_capacity_j_m3k = 1.3e6
[substrate]
thickness_um = 1000.0
conductivity_w_mk = 1.05
heat_capacity_j_m3k = 2.1e6
[samples."x1.0"]
exposure = "a.nc"
references = { pristine = "p.nc", bromide = "q.nc" }
absorptance = 0.228
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    for name in ("a.nc", "p.nc", "q.nc"):
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "STUDY.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture
def ran(monkeypatch) -> list:
    """The study's run replaced by one that remembers how it was called."""
    calls = []

    def run_study(recipe, output=None, *, progress=False):
        calls.append((Path(recipe), output, progress))
        return xr.DataTree(xr.Dataset(attrs={"summary": json.dumps(SUMMARY)}))

    monkeypatch.setattr("plkit.study.run.run_study", run_study)
    return calls


def raising(error: BaseException):
    def function(*args, **kwargs):
        raise error

    return function


# Faults ---------------------------------------------------------------------------------------
def test_a_fault_of_the_input_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert main(["run", str(tmp_path / "no.toml")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Cannot use recipe ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path, capsys):
    for words in (["--debug", "run", "no.toml"], ["run", "no.toml", "--debug"]):
        assert main(words) == 2
        assert "Traceback" in capsys.readouterr().err


def test_an_error_of_many_lines_becomes_one(recipe, monkeypatch, capsys):
    error = DataError("unmix", "'refs' is\nbroken", "Mend\nit.")
    monkeypatch.setattr("plkit.study.run.run_study", raising(error))
    assert main(["run", str(recipe)]) == 2
    assert capsys.readouterr().err == "Cannot unmix because 'refs' is broken. Mend it.\n"


def test_an_unexpected_fault_says_how_to_get_the_traceback(recipe, monkeypatch, capsys):
    monkeypatch.setattr("plkit.study.run.run_study", raising(ZeroDivisionError("by\nzero")))
    assert main(["run", str(recipe)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ZeroDivisionError: by zero" in err
    assert "--debug" in err
    assert "Traceback" not in err


def test_an_interrupt_is_130(recipe, monkeypatch):
    monkeypatch.setattr("plkit.study.run.run_study", raising(KeyboardInterrupt()))
    assert main(["run", str(recipe)]) == 130


@pytest.mark.parametrize("words", [["rum"], ["run"], ["info", "a", "b"], ["run", "x", "--loud"]])
def test_a_wrong_command_line_is_2(words, capsys):
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_warnings_of_plkit_are_one_line_and_those_of_libraries_silent(recipe, monkeypatch, capsys):
    def run_study(*args, **kwargs):
        warnings.warn("3 spectra are\nsaturated.", PlkitWarning, stacklevel=1)
        warnings.warn("internal", DeprecationWarning, stacklevel=1)
        return xr.DataTree(xr.Dataset(attrs={"summary": "{}"}))

    monkeypatch.setattr("plkit.study.run.run_study", run_study)
    before = warnings.showwarning
    assert main(["run", str(recipe)]) == 0
    assert capsys.readouterr().err == "warning: 3 spectra are saturated.\n"
    assert warnings.showwarning is before


# Commands -------------------------------------------------------------------------------------
def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in ("demo", "init", "run", "info", "convert", "simulate", "reproduce", "version"):
        assert name in out


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version(words, capsys):
    assert main(words) == 0
    assert capsys.readouterr().out == f"plkit {plkit.__version__}\n"


def test_run_prints_what_was_found_and_where(recipe, ran, tmp_path, capsys):
    assert main(["run", str(recipe), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert ran == [(recipe, tmp_path / "out", False)]
    assert "x1.0: E_a = 0.248 ± 0.023 eV (σ: photons 0.004, temperature scale 0.020)" in out
    assert "conversion = 0.260 ± 0.010 at 10 µW after 500 s" in out
    assert "x2.0: E_a = not found" in out
    assert "x3.0: peak at 690.0 ± 1.0 nm at 5 µW" in out
    assert "D(293 K) = (3.90 ± 0.40) × 10⁻¹⁴ m²/s" in out
    assert str(tmp_path / "out" / "report.html") in out
    assert err == "warning: x1.0, kinetics: 1 of 8 traces: at bound\n"


def test_run_with_json_prints_only_json(recipe, ran, capsys):
    assert main(["run", str(recipe), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == SUMMARY
    assert err == ""


def test_run_refuses_an_output_that_holds_its_inputs(recipe, ran, capsys):
    assert main(["run", str(recipe), "--output", str(recipe.parent)]) == 2
    assert "holds the input STUDY.toml" in capsys.readouterr().err
    assert ran == []


def test_demo_runs_the_bundled_study_beside_the_user(recipe, ran, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("plkit.samples.study", lambda: recipe)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    assert ran[0][1] == Path("demo-results")
    assert str(tmp_path / "demo-results" / "report.html") in capsys.readouterr().out


def test_init_writes_a_recipe_once(tmp_path, capsys):
    assert main(["init", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine" / "STUDY.toml").exists()
    assert "plkit run" in capsys.readouterr().out
    assert main(["init", str(tmp_path / "mine")]) == 2
    assert "exists, not an empty place" in capsys.readouterr().err


def test_init_where_nothing_can_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["init", str(tmp_path / "file" / "mine")]) == 2
    assert "Choose another folder." in capsys.readouterr().err


@pytest.fixture
def netcdf(tmp_path: Path) -> Path:
    da = xr.DataArray(
        np.arange(6.0).reshape(2, 3), dims=("time", "wavelength"), attrs=plkit.names.attrs("intensity"),
        coords={
            "time": ("time", [0.5, 1.5], plkit.names.attrs("time")),
            "wavelength": ("wavelength", [500.0, 501.0, 502.0], plkit.names.attrs("wavelength")),
        },
    )  # fmt: skip
    ds = da.to_dataset(name="intensity")
    for name in ("noise_gain", "noise_floor"):
        ds[name] = ((), 1.0, plkit.names.attrs(name))
    ds.to_netcdf(tmp_path / "a.nc")
    return tmp_path / "a.nc"


def test_info_says_what_a_file_holds(netcdf, capsys):
    assert main(["info", str(netcdf)]) == 0
    assert "intensity" in capsys.readouterr().out
    assert main(["info", str(netcdf), "--json"]) == 0
    assert "intensity" in json.dumps(json.loads(capsys.readouterr().out))


def test_info_of_nothing_is_a_sentence(tmp_path, capsys):
    assert main(["info", str(tmp_path / "no.nc")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_convert_never_overwrites_unasked(netcdf, tmp_path, capsys):
    target = tmp_path / "b.nc"
    assert main(["convert", str(netcdf), str(target)]) == 0
    assert main(["convert", str(netcdf), str(target)]) == 2
    assert "Give --force to overwrite it." in capsys.readouterr().err
    assert main(["convert", str(netcdf), str(target), "--force"]) == 0
    with xr.open_dataset(target) as ds:
        np.testing.assert_array_equal(ds.intensity, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])


def test_convert_never_writes_onto_its_input(netcdf, capsys):
    before = netcdf.read_bytes()
    assert main(["convert", str(netcdf), str(netcdf), "--force"]) == 2
    assert "is the input itself" in capsys.readouterr().err
    assert netcdf.read_bytes() == before


def test_simulate_study_passes_seed_and_size(monkeypatch, tmp_path, capsys):
    calls = {}

    def simulate_study(folder, **options):
        calls.update(options, folder=folder)
        return Path(folder) / "STUDY.toml"

    monkeypatch.setattr("plkit.sim.study.simulate_study", simulate_study)
    assert main(["simulate", "study", str(tmp_path / "s"), "--seed", "7", "--small", "-q"]) == 0
    assert calls == {"seed": 7, "small": True, "progress": False, "folder": tmp_path / "s"}
    assert "plkit run" in capsys.readouterr().out


def test_reproduce_prints_the_table_or_json(monkeypatch, capsys):
    class Table:
        def to_dict(self):
            return {"rows": [{"id": "H14"}]}

        def __str__(self):
            return "H14 agrees"

    import plkit.study  # noqa: F401

    monkeypatch.setattr(sys.modules["plkit.study.reproduction"], "reproduce", lambda **k: Table())
    assert main(["reproduce"]) == 0
    assert capsys.readouterr().out == "H14 agrees\n"
    assert main(["reproduce", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rows": [{"id": "H14"}]}


# As a user starts it --------------------------------------------------------------------------
def command(*words: str, **environment: str) -> subprocess.CompletedProcess:
    code = "import sys; from plkit.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True, encoding="utf-8", env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_the_command_ends_with_its_exit_code(tmp_path):
    done = command("run", str(tmp_path / "no.toml"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Cannot use recipe")


def test_help_needs_no_heavy_library():
    code = (
        "import sys; from plkit.cli import main; main(['--help']);"
        "heavy = {'lmfit', 'numba', 'matplotlib', 'holoviews', 'panel', 'bokeh', 'dask', 'pydantic'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_terminal_without_unicode_is_no_reason_to_crash(tmp_path):
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert command("init", str(tmp_path / "µ"), **ascii_only).returncode == 0
    done = command("run", str(tmp_path / "λ.toml"), **ascii_only)
    assert done.returncode == 2
    assert "does not exist" in done.stderr


# Pieces ---------------------------------------------------------------------------------------
def test_a_study_without_numbers_prints_nothing():
    assert findings({}) == []
