"""unmix, fit and lifetimes from the command line: the numbers of the library, written and printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import models, names
from plkit.cli import main
from plkit.names import DELAY, TIME, WAVELENGTH, X

AXIS = (WAVELENGTH, np.linspace(560.0, 690.0, 131), names.attrs(WAVELENGTH))
SHAPES = {"pristine": "gaussian:1.93:0.08", "bromide": "gaussian:2.10:0.09"}


@pytest.fixture
def refs() -> xr.DataArray:
    like = xr.DataArray(np.zeros(131), dims=WAVELENGTH, coords={WAVELENGTH: AXIS})
    kinds = {
        n: {"kind": k, "centre_ev": float(c), "fwhm_ev": float(w)}
        for n, (k, c, w) in ((n, s.split(":")) for n, s in SHAPES.items())
    }
    return plkit.references(like=like, **kinds)


@pytest.fixture
def cube(refs: xr.DataArray, rng: np.random.Generator, tmp_path: Path) -> Path:
    share = np.array([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1]])
    counts = rng.poisson(2e5 * share @ refs.values)
    ds = xr.Dataset(
        {
            names.INTENSITY: ((X, WAVELENGTH), counts.astype(np.uint16), {"units": "counts"}),
            names.NOISE_GAIN: ((), 1.0, names.attrs(names.NOISE_GAIN)),
            names.NOISE_FLOOR: ((), 0.0, names.attrs(names.NOISE_FLOOR)),
        },
        coords={WAVELENGTH: AXIS, X: (X, np.arange(3.0), names.attrs(X))},
    )
    return plkit.write(ds, tmp_path / "cube.nc")


def words(shapes: dict[str, str]) -> list[str]:
    return [w for n, s in shapes.items() for w in ("--reference", f"{n}={s}")]


def test_unmix_writes_and_prints_what_the_library_finds(cube, refs, tmp_path, capsys):
    target = tmp_path / "maps.nc"
    assert main(["unmix", str(cube), *words(SHAPES), "-o", str(target), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = plkit.unmix(cube, refs)
    with xr.open_dataset(target) as written:
        np.testing.assert_array_equal(written.fraction, expected.fraction)
        np.testing.assert_array_equal(written.fraction_stderr, expected.fraction_stderr)
    row = said["estimates"][0]
    assert row["name"] == "fraction of pristine"
    assert row["median"] == pytest.approx(float(expected.fraction[0].median()))
    assert row["stderr"] == pytest.approx(float(expected.fraction_stderr[0].median()))
    assert said["fit_status"] == {"ok": 3}
    assert main(["unmix", str(cube), *words(SHAPES)]) == 0
    text = capsys.readouterr().out
    assert "fraction of bromide" in text
    assert "3 spectra or traces: 3 ok" in text


def test_unmix_takes_measured_references(cube, tmp_path, capsys):
    ds = plkit.read(cube)
    plkit.write(ds.isel({X: [2]}), tmp_path / "a.nc")
    plkit.write(ds.isel({X: [1]}), tmp_path / "b.nc")
    found = {"pristine": str(tmp_path / "a.nc"), "bromide": str(tmp_path / "b.nc")}
    assert main(["unmix", str(cube), *words(found), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["estimates"]
    assert [r["n"] for r in rows] == [3, 3]


def test_fit_chooses_among_models_and_says_which(cube, capsys):
    assert main(["fit", str(cube), "gaussian", "--energy", "--peaks", "2", "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["estimates"]}
    assert rows["centre_1"]["unit"] == "eV"
    assert rows["centre_1"]["median"] == pytest.approx(1.93, abs=0.005)
    assert rows["centre_2"]["median"] == pytest.approx(2.10, abs=0.005)
    assert main(["fit", str(cube), "gaussian,lorentzian", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["model"].values()) == 3
    assert main(["fit", str(cube), "gaussian,lorentzian"]) == 0
    assert "Model: " in capsys.readouterr().out


def test_fit_of_decays_holds_what_is_held(rng, tmp_path, capsys):
    t = np.arange(0.0, 200.0, 2.0)
    y = rng.poisson(900.0 * np.exp(-0.05 * t) + 50.0).astype(float)
    ds = xr.Dataset(
        {
            names.INTENSITY: ((TIME, WAVELENGTH), np.stack([y, y], axis=1), {"units": "counts"}),
            names.NOISE_GAIN: ((), 1.0, names.attrs(names.NOISE_GAIN)),
        },
        coords={
            TIME: (TIME, t, names.attrs(TIME)),
            WAVELENGTH: (WAVELENGTH, [600.0, 601.0], names.attrs(WAVELENGTH)),
        },
    )
    path = plkit.write(ds, tmp_path / "decay.nc")
    assert main(["fit", str(path), "monoexponential", "--fix", "plateau=50", "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["estimates"]}
    assert rows["plateau"]["median"] == 50.0
    own = plkit.fit_model(
        ds, models.MonoexponentialDecayModel(), TIME, fixed={"plateau": 50.0}, noise="poisson"
    )
    assert rows["rate"]["median"] == pytest.approx(float(own.rate[0]), rel=1e-9)


def test_lifetimes_of_a_written_decay(rng, tmp_path, capsys):
    t = np.arange(0.0, 100.0, 0.1)
    y = rng.poisson(5000.0 * np.exp(-t / 12.0) + 20.0).astype(float)
    ds = xr.Dataset(
        {names.INTENSITY: (DELAY, y, {"units": "counts"})},
        coords={DELAY: (DELAY, t, names.attrs(DELAY))},
    )
    path = plkit.write(ds, tmp_path / "decay.nc")
    assert main(["lifetimes", str(path), "--json"]) == 0
    rows = {r["name"]: r for r in json.loads(capsys.readouterr().out)["estimates"]}
    assert abs(rows["lifetime_1"]["median"] - 12.0) < 4 * rows["lifetime_1"]["stderr"]
    assert main(["lifetimes", str(path), "-n", "1", "--window", "5", "80"]) == 0
    assert "lifetime_1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["unmix", "CUBE", "-r", "a"], "not NAME=VALUE"),
        (["unmix", "CUBE", "-r", "a=gaussian:2.0:0.1", "-r", "a=gaussian:2.1:0.1"], "twice"),
        (["unmix", "CUBE", "-r", "a=gaussian:2.0:0.1"], "not at least 2"),
        (["unmix", "CUBE", "-r", "a=no.nc", "-r", "b=gaussian:2.1:0.1"], "no such file"),
        (["unmix", "CUBE", *words(SHAPES), "-o", "out.txt"], "neither .nc nor .zarr"),
        (["unmix", "CUBE", *words(SHAPES), "-o", "CUBE"], "exists, not a new file"),
        (["unmix", "CUBE", *words(SHAPES), "--background", "cubic"], "background"),
        (["fit", "CUBE", "cubic"], "not one of monoexponential"),
        (["fit", "CUBE", "gaussian", "--peaks", "4"], "not 1, 2 or 3"),
        (["fit", "CUBE", "gaussian", "--noise", "loud"], "not poisson or uniform"),
        (["fit", "CUBE", "gaussian", "--fix", "fwhm=wide"], "not a number"),
        (["fit", "CUBE", "gaussian", "--fix", "width=3"], "width"),
        (["fit", "CUBE", "biexponential"], "time"),
        (["lifetimes", "CUBE"], "delay"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(line, said, cube, capsys):
    before = cube.read_bytes()
    assert main([str(cube) if w == "CUBE" else w for w in line]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert cube.read_bytes() == before
