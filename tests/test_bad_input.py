"""Bad input, as users really give it: one sentence, exit code 2, and earlier results as they were.

What can be used is used, and where it makes a result less trustworthy a warning says so.
"""

from __future__ import annotations

import re
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, spectra
from plkit.cli import main
from plkit.errors import MissingExtraError, PlkitError, PlkitWarning
from plkit.names import attrs
from plkit.study.chain import StudyResult, analyse_study
from plkit.study.recipe import load_recipe
from plkit.study.summary import summarise

Change = Callable[[Path], Any]

WAVELENGTH = np.linspace(480.0, 640.0, 81)
TIME = np.arange(0.0, 120.0, 3.0)
POWERS = (20.0, 60.0, 100.0)


# A small good study ---------------------------------------------------------------------------
def band(centre: float, width: float) -> np.ndarray:
    shape = np.exp(-0.5 * ((WAVELENGTH - centre) / width) ** 2)
    return shape / shape.sum()


PRISTINE, BROMIDE = band(590.0, 12.0), band(513.0, 9.0)


def spectra_of(share: np.ndarray, light: float, seed: int, **coords: Any) -> xr.Dataset:
    """Photons counted from a mixture whose pristine part is ``share``."""
    rng = np.random.default_rng(seed)
    expected = light * (share[..., None] * PRISTINE + (1 - share[..., None]) * BROMIDE)
    return xr.Dataset(
        {
            "intensity": (
                (*coords, "wavelength"),
                rng.poisson(expected).astype(np.int32),
                attrs("intensity"),
            ),
            "noise_gain": ((), 1.0, attrs("noise_gain")),
            "noise_floor": ((), 0.0, attrs("noise_floor")),
        },
        {
            **{k: (k, v, attrs(k)) for k, v in coords.items()},
            "wavelength": ("wavelength", WAVELENGTH, attrs("wavelength")),
        },
    )


def exposure() -> xr.Dataset:
    rate = 0.03 * np.exp(0.004 * np.array(POWERS))[:, None]
    decay = 0.6 * np.exp(-2 * rate * TIME) + 0.4 * np.exp(-0.4 * rate * TIME)
    return spectra_of(1 - 0.6 * (1 - decay), 1e5, 1, power=list(POWERS), time=TIME)


def pure(share: float) -> xr.Dataset:
    return spectra_of(np.array(share), 1e6, 2)


def halo() -> xr.Dataset:
    x = np.arange(-6.0, 6.1, 0.75)
    distance2 = x[:, None] ** 2 + x**2
    return spectra_of(1 - 0.5 * np.exp(-distance2 / (2 * 1.6**2)), 1e4, 3, y=x, x=x)


def dark() -> xr.Dataset:
    return spectra_of(np.ones(5), 0.0, 4, time=np.arange(5.0))


def response(values: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {"response": ("wavelength", values, attrs("response"))},
        {"wavelength": ("wavelength", WAVELENGTH, attrs("wavelength"))},
    )


RECIPE = """\
[study]
title = "Test"
[laser]
wavelength_nm = 405.0
spot_radius_um = 1.0
spot_radius_stderr_um = 0.05
[film]
thickness_nm = 40.0
conductivity_w_mk = 0.4
heat_capacity_j_m3k = 1.3e6
[substrate]
thickness_um = 1000.0
conductivity_w_mk = 1.05
conductivity_stderr_w_mk = 0.042
heat_capacity_j_m3k = 2.1e6
[corrections]
despike = false
# corrections
[samples.film]
exposure = "exposure.nc"
references = { pristine = "p.nc", bromide = "b.nc" }
absorptance = 0.24
absorptance_stderr = 0.012
# sample
"""
EARLIER = {"results.nc": b"numbers", "summary.json": b"{}", "figures/a.svg": b"<svg/>"}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    files = {
        "exposure.nc": exposure(), "p.nc": pure(1.0), "b.nc": pure(0.0),
        "m.nc": halo(), "m2.nc": halo(), "dark.nc": dark(),
    }  # fmt: skip
    for name, ds in files.items():
        ds.to_netcdf(folder / name)
    (folder / "STUDY.toml").write_text(RECIPE, encoding="utf-8")
    for name, content in EARLIER.items():
        (folder / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "results" / name).write_bytes(content)
    return folder


@pytest.fixture
def study(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "study"))


def store(ds: xr.Dataset, path: Path) -> None:
    path.unlink(missing_ok=True)
    ds.to_netcdf(path)


def changed(change: Callable[[xr.Dataset], xr.Dataset], name: str = "exposure.nc") -> Change:
    """Rewrite one file of the study."""

    def make(folder: Path) -> None:
        store(change(xr.load_dataset(folder / name)), folder / name)

    return make


def recipe(*edits: tuple[str, str]) -> Change:
    """Edit the recipe; "# sample" and "# corrections" stand where keys may be added."""

    def make(folder: Path) -> None:
        path = folder / "STUDY.toml"
        text = path.read_text(encoding="utf-8")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")

    return make


def sample(text: str) -> Change:
    return recipe(("# sample", text))


def corrections(text: str) -> Change:
    return recipe(("# corrections", text))


def both(*changes: Change) -> Change:
    def make(folder: Path) -> None:
        for change in changes:
            change(folder)

    return make


def cut(name: str, part: float) -> Change:
    def make(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(part * len(whole))])

    return make


def two_files(change: Callable[[xr.Dataset], xr.Dataset]) -> Change:
    """One file per power; the second is changed."""

    def make(folder: Path) -> None:
        whole = exposure()
        store(whole.isel(power=0, drop=True), folder / "e0.nc")
        store(change(whole.isel(power=1, drop=True)), folder / "e1.nc")

    return both(make, recipe(('"exposure.nc"', '{ "20" = "e0.nc", "60" = "e1.nc" }')))


MAPS = sample('maps = { "20" = "m.nc", "100" = "m2.nc" }')


def axis(name: str, values: Any, **others: str) -> Callable[[xr.Dataset], xr.Dataset]:
    """Give an axis other values, or other attributes."""
    return lambda ds: ds.assign_coords({name: (name, values, others or attrs(name))})


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def is_one_sentence(err: str) -> None:
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, err
    assert re.match(r"Cannot .+ because .+[.?]$", lines[0]), err
    assert "Traceback" not in err
    assert "unexpectedly" not in err


# plkit run: files and datasets ----------------------------------------------------------------
RUN: dict[str, tuple[Change, str]] = {
    "empty file": (lambda f: (f / "exposure.nc").write_bytes(b""), r"'exposure.nc' .*is empty \(0 bytes\)"),
    "truncated netCDF": (cut("exposure.nc", 0.5), "'exposure.nc' .*damaged, truncated or no netCDF file"),
    "truncated reference": (cut("b.nc", 0.7), "'b.nc' .*damaged, truncated or no netCDF file"),
    "not a data file": (lambda f: (f / "exposure.nc").write_text("see my notebook"), "'exposure.nc'"),
    "all NaN": (changed(lambda d: d.assign(intensity=d.intensity * np.nan)), "holds no number, all values are NaN"),
    "one time point": (changed(lambda d: d.isel(time=[0])), "1 spectrum in time, not at least 6"),
    "two time points": (changed(lambda d: d.isel(time=[0, -1])), "2 spectra in time, not at least 6"),
    "no time": (changed(lambda d: d.isel(time=0, drop=True)), "dims power, wavelength, not time"),
    "time before the laser": (changed(axis("time", TIME - 60)), "start at -60 s, not at 0 or later"),
    "time without unit": (changed(axis("time", TIME, long_name="t")), "'time' has no units, not 's'"),
    "one channel": (changed(lambda d: d.isel(wavelength=[40])), "1 values that do not run one way"),
    "wavelengths in kg": (changed(axis("wavelength", WAVELENGTH, units="kg")), "'wavelength' has units 'kg', which is no 'nm'"),
    "repeated wavelengths": (
        changed(axis("wavelength", np.r_[WAVELENGTH[:-1], WAVELENGTH[-2]])), "axis 'wavelength' repeats 1 of its 81 values",
    ),
    "NaN in an axis": (changed(axis("wavelength", np.r_[np.nan, WAVELENGTH[1:]])), "axis 'wavelength' has 1 NaN"),
    "power twice": (changed(axis("power", [20.0, 20.0, 60.0])), "20, 20, 60 µW, not once at each power"),
    "power NaN": (changed(axis("power", [20.0, np.nan, 60.0])), "holds nan, not a positive number of microwatts"),
    "power negative": (changed(axis("power", [-20.0, 20.0, 60.0])), "holds -20.0, not a positive number of microwatts"),
    "power without unit": (changed(axis("power", [20.0, 60.0, 100.0], long_name="P")), "'power' has no units, not 'uW'"),
    "power not said": (changed(lambda d: d.isel(power=0, drop=True)), "neither 'exposure.nc' nor the recipe states the laser power"),
    "power said twice": (sample("power_uw = 3.0"), "power_uw is 3, and 'exposure.nc' holds 3 powers of its own"),
    "gain negative": (changed(lambda d: d.assign(noise_gain=((), -1.0, attrs("noise_gain")))), "'noise_gain' is negative or NaN"),
    "decay trace": (
        both(
            lambda f: store(xr.Dataset({"intensity": (("time", "delay"), np.ones((9, 20)), attrs("intensity"))},
                                       {"time": ("time", np.arange(9.0), attrs("time")),
                                        "delay": ("delay", np.arange(20.0), attrs("delay"))}), f / "exposure.nc"),
            sample("power_uw = 3.0"),
        ),
        r"it holds intensity\(time, delay\), not 'intensity' over wavelength",
    ),
    "absorbance": (
        changed(lambda d: d.rename(intensity="absorbance").assign(absorbance=lambda e: e.absorbance.assign_attrs(attrs("absorbance")))),
        r"it holds absorbance\(power, time, wavelength\)",
    ),
    "references on another axis": (changed(axis("wavelength", WAVELENGTH + 300), "b.nc"), "'bromide' covers 780 to 940 nm, not 480 to 640 nm"),
    "identical references": (lambda f: shutil.copy(f / "p.nc", f / "b.nc"), "'pristine' and 'bromide' have the same shape"),
    "dark reference": (changed(lambda d: d.assign(intensity=d.intensity * 0), "b.nc"), "'bromide' has the area 0"),
    "reference with NaN": (changed(lambda d: d.assign(intensity=d.intensity.where(d.wavelength != 590)), "b.nc"), "'bromide' is NaN in 1 channels"),
    "references swapped": (
        recipe(('pristine = "p.nc", bromide = "b.nc"', 'pristine = "b.nc", bromide = "p.nc"')),
        "'pristine' rises at every power.*and does not fall",
    ),
    "dark with another axis": (
        both(changed(lambda d: d.isel(wavelength=slice(5, None)), "dark.nc"), corrections('dark = "dark.nc"')),
        "the dark has 76 channels along 'wavelength', not the 81 channels",
    ),
    "dark all NaN": (
        both(changed(lambda d: d.assign(intensity=d.intensity * np.nan), "dark.nc"), corrections('dark = "dark.nc"')),
        "channels without any number",
    ),
    "response with zero": (
        both(lambda f: store(response(np.linspace(0, 1, 81)), f / "r.nc"), corrections('response = "r.nc"')),
        "the response is zero, negative or NaN",
    ),
    "response with NaN": (
        both(lambda f: store(response(np.where(WAVELENGTH == 590, np.nan, 1.0)), f / "r.nc"), corrections('response = "r.nc"')),
        "the response is zero, negative or NaN",
    ),
    "response that is none": (corrections('response = "p.nc"'), "it holds intensity, noise_gain, noise_floor, not 'response'"),
    "exposures with other wavelengths": (
        two_files(lambda d: d.isel(wavelength=slice(1, None))),
        "the axis 'wavelength' has 80 values from 482 to 640 at 60 µW, not 81 values",
    ),
    "exposures with other times": (two_files(lambda d: d.isel(time=slice(1, None))), "the axis 'time' has 39 values"),
    "exposure of another power": (
        two_files(lambda d: d.assign_coords(power=((), 100.0, attrs("power")))),
        "'e1.nc' was measured at 100 µW, as it says itself, not at the 60 µW of the recipe",
    ),
    "exposure of many powers": (two_files(lambda d: exposure()), "'e1.nc' was measured at 20, 60, 100 µW"),
    "map without x": (both(changed(lambda d: d.isel(x=0, drop=True), "m.nc"), MAPS), "its spectra run over y, not over y and x"),
    "map that is a series": (both(lambda f: store(exposure().isel(power=0, drop=True), f / "m.nc"), MAPS), "run over time, not over y and x"),
    "maps on other grids": (both(changed(lambda d: d.isel(x=slice(1, None)), "m.nc"), MAPS), "the axis 'x' has 17 values from -6 to 6 at 100 µW"),
    "map at a power without kinetics": (sample('maps = { "20" = "m.nc", "33" = "m2.nc" }'), "'rate' has no value at power = 33"),
    "recovery without time": (sample('recovery = "p.nc"'), "its recovery has dims wavelength, not time"),
    "conversion beyond the record": (sample("conversion_at_s = [1e6]"), "not within the record of 0 to 117 s|not within the record of 0 to 118.5 s"),
    "crop beside the data": (corrections("crop_nm = [900.0, 950.0]"), "runs from 480 to 640 nm, not within 900"),
    "baseline beside the data": (
        corrections('baseline = "constant"\nbaseline_windows_nm = [[900, 950]]'), r"window \(900, 950\) holds no channel",
    ),
    "file over eV": (
        changed(lambda d: d.rename(wavelength="energy").assign_coords(energy=("energy", 1239.84 / WAVELENGTH, attrs("energy")))),
        "does not say whether its values are counts of a channel or counts per eV",
    ),
    "unknown option of a reader": (sample("[samples.film.read]\nfoo = 1"), "the reader 'netcdf' takes chunks, group, units, not 'foo'"),
    "unknown reader": (sample('[samples.film.read]\nreader = "origin"'), "reader is 'origin', not one of netcdf"),
    "text without units": (
        both(lambda f: (f / "e.txt").write_text("480 1\n482 2\n484 3\n"), recipe(('"exposure.nc"', '"e.txt"'))),
        r'In the recipe, under \[samples\.film\.read\.exposure\]: wavelength_unit = "nm"',
    ),
}  # fmt: skip

# plkit run: recipes ---------------------------------------------------------------------------
RECIPES: dict[str, tuple[Change, str]] = {
    "no recipe": (lambda f: (f / "STUDY.toml").unlink(), "the file does not exist. Write one: plkit init"),
    "recipe not TOML": (recipe(("spot_radius_um = 1.0", "spot_radius_um = one")), "line 5: not TOML"),
    "recipe in Latin-1": (lambda f: (f / "STUDY.toml").write_bytes(RECIPE.replace("Test", "5 µW").encode("latin-1")), "line 2: the text is not UTF-8"),
    "misspelled key": (recipe(("spot_radius_um", "spot_radus_um")), "Did you mean 'spot_radius_um'"),
    "text for a number": (recipe(("thickness_nm = 40.0", 'thickness_nm = "40"')), 'is "40", not a number above 0 in nm'),
    "spot radius 0": (recipe(("spot_radius_um = 1.0", "spot_radius_um = 0.0")), "line 5: 'laser.spot_radius_um' is 0.0, not a number above 0"),
    "absorptance in per cent": (recipe(("= 0.24", "= 24.0")), "is 24.0, not a number above 0 and at most 1"),
    "negative σ": (recipe(("stderr_um = 0.05", "stderr_um = -0.05")), "is -0.05, not a number at least 0"),
    "negative power": (recipe(('"exposure.nc"', '{ "-20" = "exposure.nc" }')), "has the key '-20', not a power above 0"),
    "one file for two powers": (recipe(('"exposure.nc"', '{ "1" = "m.nc", "2" = "m.nc" }')), "has the file 'm.nc' for 1 and for 2 µW"),
    "one reference": (recipe((', bromide = "b.nc"', "")), "with at least 2 entries"),
    "one file for two references": (recipe(('"b.nc"', '"p.nc"')), "the same file as 'pristine'"),
    "file that is not there": (recipe(('"exposure.nc"', '"exposur.nc"')), "Did you mean 'exposure.nc'"),
    "folder for a file": (
        both(lambda f: (f / "spectra").mkdir(), recipe(('"exposure.nc"', '"spectra"'))), r"A folder of spectra needs the pattern",
    ),
    "unknown calibration": (recipe(("[samples", '[composition]\ncalibration = "mine"\n[samples')), "is 'mine', not one of cunha2025"),
    "unknown background": (sample('background = "cubic"'), 'is "cubic", not one of "none", "constant", "linear"'),
    "heating without a laser": (
        recipe(("[laser]\nwavelength_nm = 405.0\nspot_radius_um = 1.0\nspot_radius_stderr_um = 0.05\n", "")),
        r"Add the table \[laser\]",
    ),
    "options that are no table": (sample("[samples.film.read]\nexposure = 1"), "'samples.film.read.exposure' is no table of options"),
    "results onto the inputs": (recipe(('title = "Test"', 'title = "Test"\noutput = "."')), "holds the input"),
}  # fmt: skip


@pytest.mark.parametrize("case", [*RUN, *RECIPES], ids=lambda c: c.replace(" ", "_"))
def test_a_run_that_cannot_be_done_says_why_and_touches_nothing(
    case: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = {**RUN, **RECIPES}[case]
    change(study)
    before = snapshot(study)
    assert main(["run", str(study), "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    is_one_sentence(err)
    assert re.search(words, err), err
    assert snapshot(study) == before
    assert [p.name for p in study.parent.iterdir()] == ["study"]


def test_enough_cases_are_held_against_the_command() -> None:
    assert len(RUN) + len(RECIPES) + len(FILES) >= 75


# plkit info and convert -----------------------------------------------------------------------
def text(content: str, name: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / name).write_text(content, encoding="utf-8")
        return [str(folder / name)]

    return make


def binary(content: bytes, name: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / name).write_bytes(content)
        return [str(folder / name)]

    return make


def damaged_zarr(part: str, content: bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        store_ = plkit.write(exposure(), folder / "a.zarr")
        next(p for p in sorted(store_.glob(part)) if p.is_file()).write_bytes(content)
        return [str(store_)]

    return make


HEAD = "Wavelength (nm),Intensity (counts)\n"
FILES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no such file": (lambda f: [str(f / "no.sif")], "there is no such file"),
    "empty csv": (text("", "a.csv"), r"the file is empty \(0 bytes\)"),
    "truncated sif": (binary(b"Andor Technology Multi-Channel File\n65538 1\n", "a.sif"), r"ends inside its header \(truncated\)"),
    "truncated wdf": (
        binary(b"WDF1" + bytes(4) + (512).to_bytes(8, "little") + bytes(200), "a.wdf"), r"inside one of its blocks \(truncated\)",
    ),
    "truncated spe": (binary(bytes(900), "a.spe"), r"inside its header of 4100 \(truncated\)"),
    "truncated zarr": (damaged_zarr("intensity/c/**/*", b"cut"), "damaged, truncated or no Zarr file"),
    "truncated zarr metadata": (damaged_zarr("zarr.json", b'{"zarr_form'), "is damaged"),
    "zarr without numbers on its axis": (damaged_zarr("wavelength/zarr.json", b"{}"), "no Zarr file|no coordinate|not a measured"),
    "table of words": (text("sample,remark\nfilm,good\n", "a.csv"), "holds no line of two or more numbers"),
    "letters among numbers": (text(HEAD + "500,1\n501,--\n502,3\n", "a.csv"), "line 3 holds '--', not a number"),
    "spectrum without unit": (text("500 1\n501 2\n", "a.txt"), "On the command line: -O wavelength_unit=nm"),
    "matrix without meaning": (text("Wavelength (nm),0,1\n500,1,2\n501,3,4\n", "a.csv"), "-O column_dim=time -O column_unit=s"),
    "wrong unit": (lambda f: [*text("500 1\n501 2\n", "a.txt")(f), "-O", "wavelength_unit=kg"], "spectral axis is 'kg', not nm"),
    "option without value": (lambda f: [*text(HEAD + "500,1\n", "a.csv")(f), "-O", "column_dim"], "it is 'column_dim', not NAME=VALUE"),
    "option that is an argument": (
        lambda f: [*text(HEAD + "500,1\n", "a.csv")(f), "-O", "reader=table"], "'reader' is no option of a reader",
    ),
    "option of no reader": (lambda f: [*text(HEAD + "500,1\n", "a.csv")(f), "-O", "foo=1"], "not 'foo'"),
    "reader of another format": (lambda f: [*text(HEAD + "500,1\n", "a.csv")(f), "--reader", "andor_sif"], "a.csv"),
    "spreadsheet": (binary(b"PK\x03\x04" + bytes(100), "a.xlsx"), "a zip archive or an Office document"),
    "folder of files": (
        lambda f: [str((f / "spectra").mkdir() or (text(HEAD + "500,1\n", "spectra/t1.csv")(f) and f / "spectra"))],
        "what the names of its files mean",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES, ids=lambda c: c.replace(" ", "_"))
def test_a_file_that_cannot_be_read_is_refused_and_converts_onto_nothing(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = FILES[case]
    source, *options = make(tmp_path)
    assert main(["info", source, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    is_one_sentence(err)
    assert re.search(words, err), err

    target = tmp_path / "earlier.nc"
    target.write_bytes(b"earlier")
    before = snapshot(tmp_path)
    assert main(["convert", source, str(target), "--force", *options]) == 2
    is_one_sentence(capsys.readouterr().err)
    assert snapshot(tmp_path) == before


OUTPUTS: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "convert onto a file": (lambda f: ["convert", str(f / "p.nc"), str(f / "b.nc")], "exists, not a new file. Give --force"),
    "convert onto its input": (lambda f: ["convert", str(f / "p.nc"), str(f / "p.nc"), "--force"], "is the input itself"),
    "convert through a file": (lambda f: ["convert", str(f / "p.nc"), str(f / "b.nc" / "o.nc")], "there is no folder"),
    "convert to another program": (lambda f: ["convert", str(f / "p.nc"), str(f / "o.xlsx")], r"its suffix is '\.xlsx', not one of \.nc"),
    "convert a cube to text": (lambda f: ["convert", str(f / "exposure.nc"), str(f / "o.csv")], "3 dims .*not at most 2"),
    "run onto a file": (lambda f: ["run", str(f), "-o", str(f / "b.nc")], "holds the input|is a file, not a folder"),
    "run through a file": (lambda f: ["run", str(f), "-o", str(f / "b.nc" / "x" / "y")], "is a file, not a folder to write in"),
    "run onto other files": (lambda f: ["run", str(f), "-o", str(f / "thesis")], "holds other files, not results of plkit"),
    "run onto figures of one's own": (lambda f: ["run", str(f), "-o", str(f / "paper")], "holds other files, not results of plkit"),
    "demo onto a file": (lambda f: ["demo", "-o", str(f / "b.nc")], "is a file, not a folder"),
    "init onto a recipe": (lambda f: ["init", str(f)], "exists, not an empty place"),
    "init through a file": (lambda f: ["init", str(f / "b.nc" / "x")], "not writable"),
    "simulate onto files": (lambda f: ["simulate", "study", str(f), "--small"], "is not an empty folder"),
    "simulate through a file": (lambda f: ["simulate", "study", str(f / "b.nc" / "x"), "--small"], "cannot be made"),
    "simulate with a negative seed": (lambda f: ["simulate", "study", str(f / "new"), "--seed", "-1", "--small"], "the seed is -1"),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTPUTS, ids=lambda c: c.replace(" ", "_"))
def test_an_output_that_would_destroy_or_cannot_be_written_is_refused(
    case: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for own in ("thesis/text.doc", "paper/figures/mine.svg"):
        (study / own).parent.mkdir(parents=True)
        (study / own).write_bytes(b"mine")
    make, words = OUTPUTS[case]
    before = snapshot(study)
    assert main(make(study)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    is_one_sentence(err)
    assert re.search(words, err), err
    assert snapshot(study) == before


def test_a_disk_that_fails_is_no_fault_of_plkit(study, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", str(study / "results"))

    monkeypatch.setattr("plkit.study.run.analyse_study", lambda *a, **k: StudyResult({}, []))
    monkeypatch.setattr("plkit.study.run._publish", full)
    before = snapshot(study)
    assert main(["run", str(study)]) == 2
    err = capsys.readouterr().err
    is_one_sentence(err)
    assert "results' cannot be used (No space left on device)" in err
    assert snapshot(study) == before


def test_a_run_that_ends_while_it_writes_leaves_earlier_results(study, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plkit.study.report.write_report", fail)
    monkeypatch.setattr("plkit.study.figures.write_figures", lambda *a, **k: [])
    before = snapshot(study)
    assert main(["run", str(study), "--quiet"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert snapshot(study) == before
    assert [p.name for p in study.parent.iterdir()] == ["study"]


def test_an_absent_extra_names_the_command_that_installs_it(tmp_path, monkeypatch, capsys):
    wdf = tmp_path / "a.wdf"
    wdf.write_bytes(b"WDF1" + bytes(600))
    for name in [m for m in sys.modules if m == "rsciio" or m.startswith("rsciio.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rsciio", None)
    assert main(["info", str(wdf)]) == 2
    err = capsys.readouterr().err
    is_one_sentence(err)
    assert 'pip install "plkit[io]"' in err

    source = plkit.write(pure(1.0), tmp_path / "p.nc")
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert main(["convert", str(source), str(tmp_path / "p.zarr")]) == 2
    err = capsys.readouterr().err
    is_one_sentence(err)
    assert 'pip install "plkit[scale]"' in err
    assert not (tmp_path / "p.zarr").exists()
    with pytest.raises(MissingExtraError, match=r"plkit\[io\]"):
        plkit.read(wdf)


# What can be used is used ---------------------------------------------------------------------
def analyse(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Summary of sample and warnings, without figures and files."""
    found = load_recipe(folder)
    result = analyse_study(found)
    summary = summarise(found, result.samples, result.warnings)
    return summary["samples"]["film"], summary["warnings"]


@pytest.fixture(scope="module")
def expected(good: Path) -> dict[str, Any]:
    summary, said = analyse(good)
    assert said == []
    assert summary["verdict"] == "reconstruction"
    energy = summary["activation_energy_ev"]
    assert 0.1 < energy["value"] / 0.45 < 1.5
    assert energy["stderr"] > 0
    return summary


@pytest.mark.parametrize(
    "change",
    [
        changed(lambda d: d.isel(wavelength=slice(None, None, -1))),
        changed(lambda d: d.isel(power=slice(None, None, -1))),
        changed(lambda d: d.isel(time=slice(None, None, -1))),
        changed(lambda d: d.transpose("wavelength", "time", "power")),
        changed(lambda d: d.isel(wavelength=slice(None, None, -1)), "b.nc"),
        changed(axis("power", np.array(POWERS) / 1e3, units="mW")),
        changed(axis("time", TIME / 60, units="min")),
        changed(axis("wavelength", WAVELENGTH / 1e3, units="um")),
        changed(lambda d: d.assign(intensity=d.intensity.astype("uint16"))),
        changed(lambda d: d.assign(intensity=d.intensity.astype("float32"))),
    ],
    ids=["wavelength descending", "power descending", "time descending", "other order of dims", "reference descending",
         "mW", "min", "um", "uint16", "float32"],
)  # fmt: skip
def test_the_same_data_in_another_form_give_the_same_numbers(
    change: Change, study: Path, expected: dict[str, Any]
) -> None:
    change(study)
    summary, said = analyse(study)
    assert said == []
    for key in ("activation_energy_ev", "ln_k0"):
        assert summary[key]["value"] == pytest.approx(expected[key]["value"], rel=1e-5)
        assert summary[key]["stderr"] == pytest.approx(expected[key]["stderr"], rel=1e-4)
    assert list(summary["mean_rate_per_s"]) == list(expected["mean_rate_per_s"])


def test_one_file_per_power_gives_the_numbers_of_one_file(study, expected):
    for i, power in enumerate(POWERS):
        store(exposure().isel(power=i, drop=True), study / f"{power:g}.nc")
    recipe(('"exposure.nc"', '{ "100" = "100.nc", "20" = "20.nc", "60" = "60.nc" }'))(study)
    summary, said = analyse(study)
    assert said == []
    assert summary["activation_energy_ev"] == pytest.approx(expected["activation_energy_ev"])


def test_text_files_with_options_of_their_own_give_the_same_numbers(study, expected):
    """Matrices in minutes, a descending axis, references in two columns: what programs export."""
    for i, power in enumerate(POWERS):
        counts = exposure().intensity.isel(power=i).values
        rows = [
            f"{w:.2f}," + ",".join(map(str, c)) for w, c in zip(WAVELENGTH, counts.T, strict=True)
        ]
        head = "Wavelength (nm)," + ",".join(f"{t / 60:.6f}" for t in TIME)
        (study / f"{power:g}.csv").write_text("\n".join([head, *rows[::-1]]) + "\n")
    for name, share in (("p", 1.0), ("b", 0.0)):
        rows = [
            f"{w:.2f},{c}" for w, c in zip(WAVELENGTH, pure(share).intensity.values, strict=True)
        ]
        (study / f"{name}.csv").write_text(HEAD + "\n".join(rows) + "\n")
    recipe(
        ('"exposure.nc"', '{ "20" = "20.csv", "60" = "60.csv", "100" = "100.csv" }'),
        ('"p.nc"', '"p.csv"'), ('"b.nc"', '"b.csv"'), ("# corrections", "noise_gain = 1.0"),
        ("# sample", '[samples.film.read.exposure]\ncolumn_dim = "time"\ncolumn_unit = "min"'),
    )(study)  # fmt: skip
    summary, said = analyse(study)
    assert said == []
    for part in ("value", "stderr"):
        assert summary["activation_energy_ev"][part] == pytest.approx(
            expected["activation_energy_ev"][part], rel=1e-4
        )


def test_folders_of_spectra_give_the_same_numbers(study, expected):
    for i, power in enumerate(POWERS):
        folder = study / f"{power:g}uW"
        folder.mkdir()
        for t, counts in zip(TIME, exposure().intensity.isel(power=i).values, strict=True):
            rows = [f"{w:.2f},{c}" for w, c in zip(WAVELENGTH, counts, strict=True)]
            (folder / f"t{t:g}.csv").write_text(HEAD + "\n".join(rows) + "\n")
    recipe(
        ('"exposure.nc"', '{ "20" = "20uW", "60" = "60uW", "100" = "100uW" }'),
        ("# corrections", "noise_gain = 1.0"),
        ("# sample", '[samples.film.read.exposure]\npattern = "t{time}.csv"\nunits = { time = "s" }'),
    )(study)  # fmt: skip
    summary, said = analyse(study)
    assert said == []
    assert summary["activation_energy_ev"]["value"] == pytest.approx(
        expected["activation_energy_ev"]["value"], rel=1e-5
    )


@pytest.mark.parametrize("per", ["channel", "eV"])
def test_files_over_ev_give_the_numbers_of_files_over_nm(per, study, expected):
    """Counts of channels with another label, or counts per eV: told apart by the recipe alone."""
    ds = exposure()
    if per == "eV":
        ds = spectra.to_energy(ds)
        ds.intensity.attrs.pop("counted_per")
    else:
        energy = spectra.to_energy(ds).energy.values[::-1]
        ds = ds.rename(wavelength="energy").assign_coords(
            energy=("energy", energy, attrs("energy"))
        )
    store(ds.drop_attrs(deep=False), study / "exposure.nc")
    corrections(f'energy_counts_per = "{per}"')(study)
    summary, _ = analyse(study)
    assert summary["activation_energy_ev"]["value"] == pytest.approx(
        expected["activation_energy_ev"]["value"], rel=1e-3
    )
    assert summary["conversion"]["100"]["value"] == pytest.approx(
        expected["conversion"]["100"]["value"], abs=1e-5
    )


WARNED: dict[str, tuple[Change, str, Callable[[dict[str, Any], dict[str, Any]], bool]]] = {
    "NaN column": (
        changed(lambda d: d.assign(intensity=d.intensity.where(d.wavelength != 590))),
        "", lambda s, e: abs(s["activation_energy_ev"]["value"] / e["activation_energy_ev"]["value"] - 1) < 0.15,
    ),
    "one power NaN": (
        changed(lambda d: d.assign(intensity=d.intensity.where(d.power != 60))),
        "Of 3 points 1 hold no number or a failed fit",
        lambda s, e: s["mean_rate_per_s"]["60"]["value"] is None and s["activation_energy_ev"]["value"] > 0,
    ),
    "saturated": (
        changed(lambda d: d.assign(saturation_level=((), 6000.0, attrs("saturation_level")),
                                   intensity=d.intensity.clip(max=6000))),
        "values reach the saturation level of 6000 counts; they are left out of every fit",
        lambda s, e: abs(s["activation_energy_ev"]["value"] / e["activation_energy_ev"]["value"] - 1) < 0.15,
    ),
    "gain not known": (
        changed(lambda d: d.drop_vars(["noise_gain", "noise_floor"])), "'noise_gain' is not known",
        lambda s, e: abs(s["activation_energy_ev"]["value"] / e["activation_energy_ev"]["value"] - 1) < 0.05,
    ),
    "a background that no reference has": (
        changed(lambda d: d.assign(intensity=d.intensity + 300)), "the residual is no noise",
        lambda s, e: True,
    ),
    "one power": (
        both(changed(lambda d: d.isel(power=0, drop=True)), sample("power_uw = 20.0")),
        "only one power was measured: no activation energy",
        lambda s, e: s["activation_energy_ev"]["value"] is None and s["mean_rate_per_s"]["20"]["value"] > 0,
    ),
    "σ not stated": (
        recipe(("absorptance_stderr = 0.012", "")), "film: absorptance_stderr not stated: the σ of the activation energy is too small",
        lambda s, e: s["activation_energy_ev"]["stderr"] < e["activation_energy_ev"]["stderr"],
    ),
    "degrees Celsius": (
        recipe(("[corrections]", "[environment]\nambient_k = 20.0\n[corrections]")),
        "'ambient_k' is 20 K, colder than liquid nitrogen", lambda s, e: True,
    ),
    "one map without light": (
        both(changed(lambda d: d.assign(intensity=d.intensity * np.nan), "m.nc"), MAPS),
        "1 of 2 maps gave a diffusion coefficient, two are needed",
        lambda s, e: s["activation_energy_ev"] == pytest.approx(e["activation_energy_ev"]),
    ),
    "recovery of one spectrum": (
        both(lambda f: store(exposure().isel(power=0, drop=True).isel(time=[0]), f / "rec.nc"), sample('recovery = "rec.nc"')),
        "recovery_kinetics: 1 of 1 traces: failed", lambda s, e: s["recovery_verdict"] == "none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WARNED, ids=lambda c: c.replace(" ", "_"))
def test_what_makes_a_result_less_trustworthy_is_said(case, study, expected):
    change, words, holds = WARNED[case]
    change(study)
    summary, said = analyse(study)
    assert holds(summary, expected), summary
    if words:
        assert any(re.search(words, line) for line in said), said
    else:
        assert said == []


def test_maps_may_have_a_spectral_axis_of_their_own(study):
    both(changed(lambda d: d.isel(wavelength=slice(2, -2)), "m.nc"), MAPS)(study)
    found = analyse_study(load_recipe(study))
    assert found.samples["film"].groups["profiles"].fit_status.values.tolist() == [0, 0]
    assert found.warnings == []


def test_info_reports_what_is_wrong_with_a_file_that_can_be_read(tmp_path, capsys):
    ds = exposure().isel(power=0, drop=True).drop_vars(["noise_gain", "noise_floor"])
    counts = ds.intensity.astype("uint16").copy()
    counts[0, 3] = 65535
    ds = ds.assign(intensity=counts)
    ds.to_netcdf(tmp_path / "a.nc")
    assert main(["info", str(tmp_path / "a.nc")]) == 0
    out = capsys.readouterr().out
    assert "saturation  1 values at 65535 counts or more" in out
    assert "warning: the detector's gain is not known" in out

    ds.assign(intensity=ds.intensity.where(ds.wavelength != 590)).to_netcdf(tmp_path / "b.nc")
    assert main(["info", str(tmp_path / "b.nc")]) == 0
    assert "1 of 81 channels hold no number in any spectrum" in capsys.readouterr().out


def test_a_zarr_store_that_was_copied_in_part_is_said(tmp_path, capsys):
    path = plkit.write(exposure(), tmp_path / "a.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(plkit.read(path).intensity.max()) > 1000
        zeros = plkit.write(
            exposure().assign(intensity=lambda d: d.intensity * 0), tmp_path / "0.zarr"
        )
        assert float(plkit.read(zeros).intensity.max()) == 0
    next(p for p in (path / "intensity" / "c").rglob("*") if p.is_file()).unlink()
    assert main(["info", str(path)]) == 0
    assert "lacks 1 of the 1 chunks of 'intensity': they read as 0" in capsys.readouterr().err
    with pytest.warns(PlkitWarning, match="not as what was measured"):
        plkit.read(path)


def test_numbers_above_the_columns_do_not_hide_the_values_that_are_given(tmp_path):
    """Programs number their columns; times said in words go before that."""
    path = tmp_path / "a.csv"
    path.write_text("Wavelength (nm),1,2,3\n500,5,6,7\n501,7,8,9\n")
    options = {"column_dim": "time", "column_unit": "s"}
    assert plkit.read(path, **options).time.values.tolist() == [1, 2, 3]
    assert plkit.read(path, **options, column_values=[0, 5, 10]).time.values.tolist() == [0, 5, 10]
    with pytest.raises(PlkitError, match="column_values has 2 values, not 3"):
        plkit.read(path, **options, column_values=[0, 5])


def test_options_of_a_reader_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("Wavelength (nm),0,1\n501,1,2\n500,3,4\n")
    target = tmp_path / "a.nc"
    words = ["-O", "column_dim=time", "-O", "column_unit=min"]
    assert main(["convert", str(path), str(target), *words]) == 0
    ds = plkit.read(target)
    assert ds.time.values.tolist() == [0.0, 60.0]
    assert ds.intensity.values.tolist() == [[3, 1], [4, 2]]
    folder = tmp_path / "spectra"
    folder.mkdir()
    (folder / "t2.csv").write_text(HEAD + "500,1\n501,2\n")
    words = ["-O", "pattern=t{time}.csv", "-O", 'units={"time": "min"}', "--json"]
    capsys.readouterr()
    assert main(["info", str(folder), *words]) == 0
    assert '"first": 120.0' in capsys.readouterr().out


# Library functions ----------------------------------------------------------------------------
def series() -> xr.Dataset:
    return exposure().isel(power=-1, drop=True)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """A series, its references, fractions and kinetics; rates and temperatures at three powers."""
    ds = series()
    refs = plkit.references(like=ds, pristine=pure(1.0), bromide=pure(0.0))
    fractions = plkit.unmix(ds, refs)
    at = {"power": ("power", list(POWERS), attrs("power"))}
    return {
        "ds": ds,
        "refs": refs,
        "fractions": fractions,
        "kin": plkit.fit_kinetics(fractions, "pristine"),
        "rate": xr.DataArray([0.030, 0.033, 0.037], at, "power", attrs=attrs("k1")),
        "temperature": xr.DataArray([300.0, 305.0, 310.0], at, "power", attrs=attrs("temperature")),
        "fraction": 1 - plkit.unmix(halo(), refs).fraction.sel(component="pristine"),
    }


SPOT, FILM = plkit.LaserSpot(1.0), plkit.Film(40.0, 0.4, absorptance=0.24)

FUNCTIONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unmix numpy": (lambda a: plkit.unmix(a["ds"].intensity.values, a["refs"]), "is a ndarray, not an xarray Dataset"),
    "unmix nothing": (lambda a: plkit.unmix(a["ds"].isel(time=slice(0)), a["refs"]), "no values, not at least one spectrum"),
    "unmix text": (lambda a: plkit.unmix(a["ds"].astype(str), a["refs"]), "not real numbers"),
    "unmix one channel": (lambda a: plkit.unmix(a["ds"].isel(wavelength=[20]), a["refs"].isel(wavelength=[20])), "1 usable channels for 2 terms|has the area 0, not a positive one"),
    "unmix one component": (lambda a: plkit.unmix(a["ds"], a["refs"].isel(component=[0])), "has 1 component, not at least 2"),
    "unmix two of a name": (lambda a: plkit.unmix(a["ds"], a["refs"].assign_coords(component=["a", "a"])), "not each differently"),
    "unmix other channels": (lambda a: plkit.unmix(a["ds"].isel(wavelength=slice(5)), a["refs"]), "the references lie on 81 channels"),
    "unmix wrong unit": (lambda a: plkit.unmix(axis("wavelength", WAVELENGTH, units="kg")(a["ds"]), a["refs"]), "units 'kg', not 'nm'"),
    "references one": (lambda a: plkit.references(like=a["ds"], a=pure(1.0)), "there is 1 component, not at least 2"),
    "references twins": (lambda a: plkit.references(like=a["ds"], a=pure(1.0), b=pure(1.0)), "have the same shape"),
    "kinetics without fractions": (lambda a: plkit.fit_kinetics(a["ds"]), "not the required fraction"),
    "kinetics unknown component": (lambda a: plkit.fit_kinetics(a["fractions"], "iodide"), "is 'iodide', not one of pristine, bromide"),
    "kinetics without time": (lambda a: plkit.fit_kinetics(a["fractions"].isel(time=0), "pristine"), "not the required time"),
    "kinetics NaN in time": (
        lambda a: plkit.fit_kinetics(axis("time", np.r_[np.nan, TIME[1:]])(a["fractions"]), "pristine"), "1 values that are not finite",
    ),
    "kinetics later than measured": (lambda a: plkit.fit_kinetics(a["fractions"], "pristine", at_s=[1e5]), "not within the record"),
    "peaks of no method": (lambda a: plkit.fit_peaks(a["ds"], method="best"), "method is 'best', not one of parabola"),
    "verdict without time": (lambda a: plkit.verdict(a["ds"].isel(time=0, drop=True)), "not the required time"),
    "spot radius 0": (lambda a: plkit.LaserSpot(0.0), "'radius_um' is 0.0, not a positive number"),
    "spot radius NaN": (lambda a: plkit.LaserSpot(np.nan), "'radius_um' is nan, not a positive number"),
    "absorptance 20": (lambda a: plkit.Film(40, 0.4, absorptance=20), "'absorptance' is 20, not above 0 and up to 1"),
    "heating negative power": (lambda a: plkit.simulate_heating(SPOT, FILM, power_uw=[-1.0]), "not a positive number of microwatts"),
    "heating no power": (lambda a: plkit.simulate_heating(SPOT, FILM, power_uw=[]), "not a list of powers"),
    "heating below 0 K": (lambda a: plkit.simulate_heating(SPOT, FILM, ambient_k=-5.0), "not a positive number of kelvin"),
    "arrhenius one point": (
        lambda a: plkit.fit_arrhenius(a["rate"][:1], a["temperature"][:1], rate_stderr=a["rate"][:1] * 0.01), "not at least 2",
    ),
    "arrhenius one temperature": (
        lambda a: plkit.fit_arrhenius(a["rate"], xr.full_like(a["temperature"], 300.0), rate_stderr=a["rate"] * 0.01),
        "not at two temperatures or more",
    ),
    "arrhenius degrees Celsius": (
        lambda a: plkit.fit_arrhenius(a["rate"], (a["temperature"] - 273.15).assign_attrs(units="degC"), rate_stderr=a["rate"] * 0.01),
        "has units 'degC', not 'K'",
    ),
    "arrhenius other powers": (
        lambda a: plkit.fit_arrhenius(a["rate"], axis("power", [1.0, 2.0, 3.0])(a["temperature"]), rate_stderr=a["rate"] * 0.01),
        "has no value at power = 20",
    ),
    "arrhenius negative σ": (lambda a: plkit.fit_arrhenius(a["rate"], a["temperature"], rate_stderr=-a["rate"]), "holds negative values"),
    "fick without x": (lambda a: plkit.fit_fick_profile(a["fraction"].isel(x=0, drop=True), time_s=9.0), "not the required x"),
    "fick one pixel": (lambda a: plkit.fit_fick_profile(a["fraction"].isel(x=[3], y=[3]), time_s=9.0), "1 pixels, not at least 4"),
    "fick without time": (lambda a: plkit.fit_fick_profile(a["fraction"]), "neither 'rate' nor 'time_s' is given"),
    "fick negative time": (lambda a: plkit.fit_fick_profile(a["fraction"], time_s=-9.0), "'time_s' is -9, not above 0 s"),
    "fick uneven": (
        lambda a: plkit.fit_fick_profile(axis("x", np.r_[a["fraction"].x.values[:-1], 50.0])(a["fraction"]), time_s=9.0), "not evenly spaced",
    ),
    "composition by no calibration": (lambda a: plkit.composition_map(a["ds"], calibration="mine"), "'mine' is not one of cunha2025"),
    "dark on other channels": (lambda a: spectra.subtract_dark(a["ds"], dark().isel(wavelength=slice(3))), "the dark has 3 channels"),
    "response 0": (lambda a: spectra.divide_response(a["ds"], response(np.zeros(81))), "zero, negative or NaN"),
    "response twice": (
        lambda a: spectra.divide_response(spectra.divide_response(a["ds"], response(np.ones(81))), response(np.ones(81))), "done before",
    ),
    "energy twice": (lambda a: spectra.to_energy(spectra.to_energy(a["ds"])), "Convert once only"),
    "energy from 0 nm": (lambda a: spectra.to_energy(axis("wavelength", WAVELENGTH - 480)(a["ds"])), "start at 0 nm, not above 0"),
    "saturation not known": (lambda a: spectra.mask_saturation(a["ds"]), "the saturation level is not known"),
    "crop to nothing": (lambda a: spectra.crop(a["ds"], wavelength=(900, 950)), "not within 900 to 950"),
    "validate an array": (lambda a: plkit.validate(a["ds"].intensity), "is a DataArray, not a Dataset"),
    "results that are none": (lambda a: plkit.open_results("nowhere"), "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS, ids=lambda c: c.replace(" ", "_"))
def test_a_function_refuses_in_one_sentence(case: str, found: dict[str, Any]) -> None:
    call, words = FUNCTIONS[case]
    with pytest.raises(PlkitError) as caught:
        call(found)
    message = str(caught.value)
    assert re.match(r"Cannot .+ because .+\.", message)
    assert "\n" not in message
    assert re.search(words, message), message


def test_a_fit_that_finds_nothing_is_nan_with_a_status(found):
    """Never a zero, never an exception: 3 no_signal, 4 failed."""
    ds = found["ds"]
    for empty in (ds.intensity * np.nan, ds.intensity * 0):
        unmixed = plkit.unmix(
            ds.assign(intensity=empty.assign_attrs(ds.intensity.attrs)), found["refs"]
        )
        assert set(unmixed.fit_status.values.ravel().tolist()) == {3}
        assert unmixed.fraction.isnull().all()
        kin = plkit.fit_kinetics(unmixed, "pristine")
        assert int(kin.fit_status) == 3
        assert np.isnan(kin.mean_rate)
        assert np.isnan(kin.mean_rate_stderr)
        peaks = plkit.fit_peaks(ds.assign(intensity=empty.assign_attrs(ds.intensity.attrs)))
        assert set(peaks.fit_status.values.tolist()) == {3}
        assert peaks.peak_energy.isnull().all()
        assert (
            plkit.verdict(ds.assign(intensity=empty.assign_attrs(ds.intensity.attrs))).label
            == "none"
        )
    few = plkit.fit_kinetics(found["fractions"].isel(time=[0, 1, 2]), "pristine")
    assert int(few.fit_status) == 4
    assert np.isnan(few.mean_rate)
    profile = plkit.fit_fick_profile(found["fraction"] * np.nan, time_s=9.0)
    assert int(profile.fit_status) >= 3
    assert np.isnan(profile.diffusion_coefficient)


def test_some_times_below_zero_are_said(found):
    two = xr.concat([found["fraction"]] * 2, dim="power").assign_coords(
        power=("power", [1.0, 2.0], names.attrs("power"))
    )
    with pytest.warns(PlkitWarning, match="1 of 2 profiles have no time above 0"):
        profile = plkit.fit_fick_profile(two, time_s=[9.0, -9.0])
    assert profile.diffusion_coefficient.notnull().values.tolist() == [True, False]


def test_a_cold_room_is_said_and_a_cryostat_may_say_so(found):
    with pytest.warns(PlkitWarning, match="if degrees Celsius were meant, add 273.15"):
        plkit.simulate_heating(SPOT, FILM, power_uw=[10.0], ambient_k=20.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plkit.simulate_heating(SPOT, FILM, power_uw=[10.0], ambient_k=80.0)
