"""The mailable file without a browser: what it carries, how exact, how large, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.apps.mailable.binning import Bins, averaged, bins_for, read_binned, sizes_of
from plkit.apps.mailable.codes import (
    Scale,
    decoded,
    encoded,
    even_scale,
    noise_scale,
    scatter_of,
)
from plkit.apps.mailable.packing import Blocks, rounded, unpacked
from plkit.apps.view.layers import layer_of
from plkit.cli import main
from plkit.errors import DataError, FileFormatError, PlkitWarning
from tests.view_data import axis, halo_maps, movie, results_file


class Carried:
    """What a file carries, read as the page reads it."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text("utf-8")
        found = re.findall(
            r'<script type="text/plain" id="block-([^"]+)">([^<]+)</script>', self.text
        )
        self.blocks = dict(found)
        self.page = json.loads(self.plain("page"))
        self.layers = self.page["layers"]

    def plain(self, name: str) -> str:
        return zlib.decompress(base64.b64decode(self.blocks[name])).decode()

    def spectra(self, n: int = 0) -> np.ndarray:
        """Readings (frame, channel, pixel)."""
        s = self.layers[n]["spectra"]
        codes = unpacked(self.blocks[s["block"]], np.uint16).reshape(s["shape"])
        return decoded(codes, Scale(**s["scale"]))

    def floats(self, name: str) -> np.ndarray:
        return unpacked(self.blocks[name], np.float32)

    def quantity(self, key: str, n: int = 0) -> dict[str, Any]:
        return next(q for q in self.layers[n]["quantities"] if q["key"] == key)


def exported(source: Any, folder: Path, **options: Any) -> Carried:
    return Carried(plkit.export_html(source, folder / "out.html", **options))


def grid(n_y: int, n_x: int, n_w: int = 30, values: Any = None, **attrs: str) -> xr.Dataset:
    shape = (n_y, n_x, n_w)
    counts = np.arange(np.prod(shape), dtype=float).reshape(shape) if values is None else values
    ds = xr.Dataset({"intensity": (("y", "x", "wavelength"), counts, names.attrs("intensity"))})
    for name, size in zip(("y", "x", "wavelength"), shape, strict=True):
        ds = ds.assign_coords({name: axis(name, 500.0 + np.arange(size))})
    return ds.assign_attrs(attrs)


def peaks_of(ds: xr.Dataset) -> xr.Dataset:
    """Maps as fit_peaks gives them, from the brightest channel: nothing to compile."""
    dims = ("time", "y", "x")
    at = ds["wavelength"].values[ds["intensity"].values.argmax(-1)]
    status = np.zeros(at.shape, np.int8)
    at[0, 0, 0], status[0, 0, 0] = np.nan, 3
    flags = {"flag_values": np.arange(5, dtype=np.int8),
             "flag_meanings": "ok at_bound not_identifiable no_signal failed"}  # fmt: skip
    return xr.Dataset(
        {
            "peak_wavelength": (dims, at, names.attrs("peak_wavelength")),
            "peak_wavelength_stderr": (dims, 0.0 * at + 0.5, names.attrs("peak_wavelength_stderr")),
            "fit_status": (dims, status, {**names.attrs("fit_status"), **flags}),
        },
        {d: ds[d] for d in dims},
    )


# Codes ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("gain, floor", [(1.0, 25.0), (0.25, 4.0), (3.0, 0.0), (1e-3, 1e-4)])
def test_rounding_stays_below_the_stated_share_of_sigma(
    gain: float, floor: float, rng: np.random.Generator
) -> None:
    values = rng.uniform(-50.0 * gain, 2000.0 * gain, 5000)
    scale = noise_scale(values.min(), values.max(), gain, floor)
    off = np.abs(decoded(encoded(values, scale), scale) - values)
    sigma = np.sqrt(gain * np.abs(values) + max(floor, gain**2))
    assert np.max(off / sigma) < 0.27
    assert np.max(off / sigma) > 0.2  # and no finer than it says


def test_rounding_widens_sigma_by_one_percent(rng: np.random.Generator) -> None:
    expected = 400.0
    values = rng.normal(expected, np.sqrt(expected + 25.0), 200_000)
    scale = noise_scale(values.min(), values.max(), 1.0, 25.0)
    kept = decoded(encoded(values, scale), scale)
    assert kept.std() / values.std() == pytest.approx(1.0 + 0.25 / 24.0, abs=2e-3)
    assert kept.mean() == pytest.approx(values.mean(), abs=0.05)


def test_whole_numbers_and_few_are_kept_as_they_are() -> None:
    values = np.arange(0, 60_000, 7).astype(np.uint16)
    scale = even_scale(float(values.min()), float(values.max()), 1.5, whole=True)
    np.testing.assert_array_equal(decoded(encoded(values, scale), scale), values)


def test_no_number_stays_none() -> None:
    scale = even_scale(0.0, 1.0, 0.0)
    codes = encoded(np.array([0.0, np.nan, np.inf, 1.0]), scale)
    assert codes.tolist()[1:3] == [0, 0]
    np.testing.assert_allclose(decoded(codes, scale), [0.0, np.nan, np.nan, 1.0], atol=2e-5)


def test_scatter_is_that_of_the_noise_on_a_slope(rng: np.random.Generator) -> None:
    slope = np.linspace(0.0, 500.0, 400)
    assert scatter_of(slope + rng.normal(0.0, 3.0, (30, 400))) == pytest.approx(3.0, rel=0.12)
    assert scatter_of(np.full((2, 400), 5.0)) == 0.0
    assert scatter_of(np.full((2, 400), np.nan)) == 0.0


def test_rounded_floats_keep_their_digits_and_nan(rng: np.random.Generator) -> None:
    values = np.append(rng.normal(0.0, 1.0, 2000) * 10.0 ** rng.integers(-12, 12, 2000), np.nan)
    kept = rounded(values, 17)
    assert np.isnan(kept[-1])
    assert np.max(np.abs(kept[:-1] / values[:-1] - 1.0)) < 4e-6
    blocks = Blocks()
    np.testing.assert_array_equal(unpacked(blocks.texts[blocks.add("a", kept)], np.float32), kept)


# What is carried ------------------------------------------------------------------------------
def test_spectra_come_back_within_a_quarter_sigma(tmp_path: Path) -> None:
    ds = movie()
    found = exported(ds, tmp_path)
    kept = found.spectra().reshape(8, 126, 12, 16).transpose(0, 2, 3, 1)
    counts = ds["intensity"].values.astype(float)
    assert np.max(np.abs(kept - counts) / np.sqrt(counts + 1.0)) < 0.26
    layer = found.layers[0]
    assert [a["dim"] for a in layer["plane"]] == ["y", "x"]
    assert layer["outer"][0]["label"] == "Time t (s)"
    np.testing.assert_allclose(layer["spectra"]["axis"]["values"], ds["wavelength"].values)
    assert layer["spectra"]["noise"] == [[1.0], [0.0]]
    assert layer["first"] == "band"


def test_unsigned_counts_of_any_height_do_not_overflow(tmp_path: Path) -> None:
    counts = np.full((3, 4, 30), 65535, np.uint16)
    counts[0] = 0
    found = exported(grid(3, 4, values=counts), tmp_path)
    kept = found.spectra().reshape(30, 3, 4)
    assert set(np.unique(kept)) == {0.0, 65535.0}
    assert "every reading is kept as it is" in found.text


def test_precision_is_measured_and_said(tmp_path: Path, rng: np.random.Generator) -> None:
    noisy = grid(6, 6, 60, values=rng.normal(1000.0, 8.0, (6, 6, 60)))
    found = exported(noisy, tmp_path)
    off = np.abs(found.spectra().reshape(60, 6, 6).transpose(1, 2, 0) - noisy["intensity"].values)
    said = float(re.search(r"rounded by at most ([\d.]+) counts", found.text)[1])
    assert off.max() == pytest.approx(said, rel=0.05)
    assert off.max() < 8.0 / 3


def test_maps_of_results_travel_with_their_sigma(tmp_path: Path) -> None:
    maps, composition = halo_maps([20.0, 40.0])
    ds = maps.merge(composition)
    found = exported(ds, tmp_path, title="Halo")
    q = found.quantity("fraction:bromide")
    values = found.floats(q["block"]).reshape(2, 24, 24)
    np.testing.assert_allclose(values, ds["fraction"].sel(component="bromide"), rtol=4e-6)
    np.testing.assert_allclose(found.floats(q["sigma"]), 1e-3, rtol=4e-3)
    x = found.quantity("x_iodine")
    assert int(np.isnan(found.floats(x["block"])).sum()) == 2  # the failed pixel, at both powers
    assert x["label"] == "Iodine content x"
    assert found.layers[0]["first"] == "fraction:pristine"
    assert "<h1>Halo</h1>" in found.text


def test_results_beside_the_spectra_they_came_from(tmp_path: Path) -> None:
    ds = movie(2)
    peaks = peaks_of(ds)
    found = exported(ds, tmp_path, maps={"peaks": peaks})
    q = found.quantity("peaks/peak_wavelength")
    values = found.floats(q["block"]).reshape(2, 12, 16)
    np.testing.assert_allclose(values, peaks["peak_wavelength"], rtol=4e-6)
    assert q["title"] == "Peak wavelength [peaks]"
    assert found.quantity("peaks/fit_status")["flag"]["3"] == "no signal"


def kinetics_of(ds: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Fractions over time of every pixel, and the decay that was put in as if it had been fitted."""
    t = ds["time"].values
    shape = (ds.sizes["y"], ds.sizes["x"])
    k1 = np.linspace(0.02, 0.08, np.prod(shape)).reshape(shape)
    k1[0, 0] = np.nan
    f = 0.6 + 0.4 * np.exp(-np.nan_to_num(k1, nan=0.05) * t[:, None, None])
    fractions = xr.Dataset(
        {
            "fraction": (
                ("component", "time", "y", "x"),
                np.stack([f, 1 - f]),
                names.attrs("fraction"),
            ),
            "fraction_stderr": (("component", "time", "y", "x"), np.full((2, *f.shape), 0.01)),
        },
        {"component": ["pristine", "bromide"], **{d: ds[d] for d in ("time", "y", "x")}},
    )
    names_of = ["k01", "k1", "k02", "k2", "plateau"]
    values = {"k01": 0.4, "k1": k1, "k02": 0.0, "k2": 0.001, "plateau": 0.6}
    covariance = np.zeros((*shape, 5, 5))
    covariance[..., 1, 1], covariance[..., 4, 4] = 1e-6, 1e-4
    kin = xr.Dataset(
        {n: (("y", "x"), v + np.zeros(shape), names.attrs(n)) for n, v in values.items()},
        {"param_i": names_of, "param_j": names_of, "y": ds["y"], "x": ds["x"]},
        {"component": "pristine"},
    )
    return fractions, kin.assign(covariance=(("y", "x", "param_i", "param_j"), covariance))


def test_fitted_kinetics_of_every_pixel_are_those_of_plkit(tmp_path: Path) -> None:
    ds = movie(5, 3, 4)
    fractions, kin = kinetics_of(ds)
    found = exported(ds, tmp_path, maps={"fractions": fractions, "kinetics": kin})
    fit = found.quantity("fractions/fraction:pristine")["fit"]
    assert found.quantity("fractions/fraction:bromide")["fit"]["mirrored"]
    grid_s = np.array(fit["grid"])
    curve, spread = (found.floats(fit[n]).reshape(3, 4, -1) for n in ("curve", "spread"))
    assert np.isnan(curve[0, 0]).all()
    one, sigma = plkit.plot.kinetics.fitted_curve(kin.isel(y=2, x=1), grid_s)
    np.testing.assert_allclose(curve[2, 1], one, rtol=1e-3)
    np.testing.assert_allclose(spread[2, 1], sigma, rtol=5e-3)


def test_study_brings_components_and_kinetics(tmp_path: Path) -> None:
    results = results_file(tmp_path)
    found = exported(results, tmp_path)
    names_of = [layer["name"] for layer in found.layers]
    assert names_of == ["film maps", "film spectra"]
    tree = plkit.open_results(results)
    fits = json.loads(found.plain(found.layers[1]["fits"]))
    trace = fits["kinetics"][1]["traces"][0]
    truth = tree["film/unmixed"]["fraction"].isel(power=1).sel(component=trace["name"])
    np.testing.assert_allclose(trace["y"], truth, rtol=1e-4)
    curve, spread = plkit.plot.kinetics.fitted_curve(
        tree["film/kinetics"].to_dataset().isel(power=1), np.array(fits["kinetics"][1]["grid"])
    )
    np.testing.assert_allclose(trace["curve"], curve, rtol=1e-3)
    np.testing.assert_allclose(trace["spread"], spread, rtol=1e-3, atol=1e-6)
    said = {row[1]: row[2] for row in fits["kinetics"][1]["numbers"]}
    assert "±" in said["Mean rate"]
    assert said["Verdict"] == "reconstruction"
    assert "film.nc, SHA-256 0000" in found.text
    assert "made, not measured" in found.text


def test_provenance_names_version_and_digest(tmp_path: Path) -> None:
    file = plkit.write(movie(2), tmp_path / "movie.nc")
    text = exported(file, tmp_path).text
    from plkit.study.provenance import file_sha256

    assert file_sha256(file) in text
    assert f"plkit {plkit.__version__}" in text
    assert "Time 2 (5 to 15 s) × y 12 (0 to 5.5 µm)" in text


def test_nothing_is_asked_of_anybody(tmp_path: Path) -> None:
    found = exported(movie(2), tmp_path)
    assert "default-src 'none'" in found.text
    outside = re.sub(r'<script type="text/plain".*?</script>', "", found.text, flags=re.S)
    assert re.findall(r"https?:|//[a-z]|\bsrc=|@import|url\(", outside.replace("// ", "")) == []
    assert "fetch(" not in outside
    assert "XMLHttpRequest" not in outside


def test_same_input_gives_the_same_file(tmp_path: Path) -> None:
    first = exported(movie(2), tmp_path).text
    assert exported(movie(2), tmp_path, overwrite=True).text == first


def test_words_from_the_file_are_escaped(tmp_path: Path) -> None:
    found = exported(grid(2, 2, source_file="<script>alert(1)</script>"), tmp_path)
    assert "<script>alert" not in found.text
    assert "&lt;script&gt;alert(1)" in found.text


# Size -----------------------------------------------------------------------------------------
def test_hundred_by_hundred_by_128_by_four_frames_is_below_six_megabytes(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    w = np.linspace(450.0, 700.0, 128)
    light = 5000.0 * np.exp(-0.5 * ((w - 560.0) / 12.0) ** 2) * rng.uniform(0.2, 1.0, (100, 100, 1))
    shape = (4, 100, 100, 128)
    counts = rng.poisson(light + 20.0, shape) + rng.normal(0.0, 5.0, shape)
    ds = xr.Dataset(
        {"intensity": (("time", "y", "x", "wavelength"), counts, names.attrs("intensity"))}
    )
    for name, values in (
        ("time", range(4)),
        ("y", range(100)),
        ("x", range(100)),
        ("wavelength", w),
    ):
        ds = ds.assign_coords({name: axis(name, list(values))})
    ds["noise_gain"] = xr.DataArray(1.0, attrs=names.attrs("noise_gain"))
    ds["noise_floor"] = xr.DataArray(25.0, attrs=names.attrs("noise_floor"))
    path = plkit.export_html(ds, tmp_path / "a.html")
    assert path.stat().st_size < 6e6


def test_what_is_too_large_is_averaged_and_said(tmp_path: Path) -> None:
    ds = movie(4, 60, 60)
    with pytest.warns(PlkitWarning, match=r"averaged to fit into a mail: .* → "):
        found = exported(ds, tmp_path, max_mb=0.9)
    assert (tmp_path / "out.html").stat().st_size <= 0.9e6
    layer = found.layers[0]
    rows, cols = (len(a["values"]) for a in layer["plane"])
    frames, channels, pixels = layer["spectra"]["shape"]
    assert (frames, pixels) == (len(layer["outer"][0]["values"]), rows * cols)
    n = round(60 / rows) ** 2 * round(126 / channels) * round(4 / frames)
    assert n > 1
    assert layer["spectra"]["noise"][0][0] == pytest.approx(1.0 / n)
    assert found.text.count("averaged to fit into a mail") == 1
    # The light is that of the measurement.
    whole = ds["intensity"].values[:, : 60 // rows * rows].astype(float)
    assert np.nanmean(found.spectra()) == pytest.approx(whole.mean(), rel=0.03)


def test_averages_leave_out_what_is_no_number() -> None:
    values = np.array([[1.0, np.nan, 5.0], [3.0, np.nan, 7.0]])
    np.testing.assert_allclose(averaged(values, (2, 1)), [[2.0, np.nan, 6.0]])
    np.testing.assert_allclose(averaged(values, (1, 2)), [[1.0], [3.0]])


def test_a_file_is_read_in_blocks_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of("movie", movie(3, 13, 9), "")
    bins = Bins(pixels=2, channels=3)
    whole = read_binned(layer, bins)
    monkeypatch.setattr("plkit.apps.mailable.binning._BLOCK_VALUES", 5000)
    shares: list[float] = []
    np.testing.assert_allclose(read_binned(layer, bins, shares.append), whole)
    assert len(shares) > 3
    assert shares[-1] == 1.0


def test_the_longest_axis_is_averaged_first() -> None:
    long = layer_of("long", grid(10, 10, 2000), "")
    assert bins_for(long, 1e5) == Bins(channels=2)
    wide = layer_of("wide", grid(200, 200, 20), "")
    assert bins_for(wide, 3e5) == Bins(pixels=2)
    assert sizes_of(wide, Bins(pixels=2)) == {"y": 100, "x": 100, "wavelength": 20}


def test_dask_input_is_read_in_parts(tmp_path: Path) -> None:
    pytest.importorskip("dask")
    lazy = movie(2).chunk({"time": 1, "y": 4})
    np.testing.assert_array_equal(
        exported(lazy, tmp_path).spectra(), exported(movie(2), tmp_path, overwrite=True).spectra()
    )


# Bad input ------------------------------------------------------------------------------------
def test_a_single_spectrum_is_refused(tmp_path: Path) -> None:
    ds = grid(2, 2).isel(y=0, x=0)
    with pytest.raises(DataError, match="a single spectrum or trace, not a map"):
        plkit.export_html(ds, tmp_path / "a.html")


def test_no_number_at_all_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    ds = grid(2, 3, values=np.full((2, 3, 30), np.nan))
    with pytest.raises(DataError, match="'intensity' of 'data' holds no number"):
        plkit.export_html(ds, tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_one_pixel_one_frame_is_exported(tmp_path: Path) -> None:
    found = exported(movie(1, 1, 1), tmp_path)
    assert found.layers[0]["spectra"]["shape"] == [1, 126, 1]
    assert found.layers[0]["plane"][0]["length"] == 1.0


def test_pixels_and_channels_without_number_stay_so(tmp_path: Path) -> None:
    ds = movie(2).astype(float)
    ds["intensity"][:, 3, 4] = np.nan
    ds["intensity"][..., 7] = np.nan
    kept = exported(ds, tmp_path).spectra().reshape(2, 126, 12, 16)
    assert np.isnan(kept[:, :, 3, 4]).all()
    assert np.isnan(kept[:, 7]).all()
    assert np.isnan(kept).sum() == 2 * 126 + 2 * 12 * 16 - 2


def test_descending_axes_are_sorted_with_their_values(tmp_path: Path) -> None:
    ds = movie(2)
    turned = ds.isel(x=slice(None, None, -1), wavelength=slice(None, None, -1))
    turned = turned.transpose("wavelength", "x", "time", "y")
    np.testing.assert_array_equal(
        exported(turned, tmp_path).spectra(), exported(ds, tmp_path, overwrite=True).spectra()
    )


def test_uneven_times_are_drawn_evenly(tmp_path: Path) -> None:
    series = movie(4).isel(y=0, x=0, drop=True)
    series = series.assign_coords(time=axis("time", [0.0, 1.0, 2.0, 10.0]))
    row = exported(series, tmp_path).layers[0]["plane"][0]
    assert row["dim"] == "time"
    assert row["even"] == [0, 1, 2, 2, 2, 3, 3, 3]


def test_other_quantities_keep_their_name_and_unit(tmp_path: Path) -> None:
    ds = grid(2, 3).rename(intensity="absorbance")
    ds["absorbance"].attrs = names.attrs("absorbance")
    layer = exported(ds, tmp_path).layers[0]
    assert layer["spectra"]["label"] == "Absorbance A"
    assert layer["spectra"]["noise"] is None
    assert layer["quantities"][0]["label"] == "Absorbance A, sum over the band"


def test_maps_of_other_pixels_are_refused(tmp_path: Path) -> None:
    peaks = peaks_of(movie(2, 5, 5))
    with pytest.raises(DataError, match="not over the pixels of 'data'"):
        plkit.export_html(movie(2), tmp_path / "a.html", maps={"peaks": peaks})


def test_a_size_that_cannot_be_reached_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"larger than 0\.3 MB .*--max-mb"):
        plkit.export_html(movie(2), tmp_path / "a.html", max_mb=0.3)


def test_targets_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    source = tmp_path / "absent.nc"
    there = tmp_path / "there.html"
    there.write_text("mine")
    with pytest.raises(FileFormatError, match=r"exists, not a new file.*--force"):
        plkit.export_html(source, there)
    with pytest.raises(FileFormatError, match=r"does not end in \.html"):
        plkit.export_html(source, tmp_path / "a.pdf")
    with pytest.raises(FileFormatError, match=r"absent\.nc"):
        plkit.export_html(source, tmp_path / "a.html")
    assert there.read_text() == "mine"


# The command ----------------------------------------------------------------------------------
def test_command_writes_says_and_does_not_overwrite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plkit.write(movie(2), "movie.nc")
    peaks_of(movie(2)).to_netcdf("peaks.nc")
    assert main(["export-html", "movie.nc", "--maps", "peaks.nc", "--title", "Film 3"]) == 0
    assert re.search(r"Wrote movie\.html \(\d\.\d MB\)", capsys.readouterr().out)
    found = Carried(tmp_path / "movie.html")
    assert "<h1>Film 3</h1>" in found.text
    assert found.quantity("peaks/peak_wavelength")["unit"] == "nm"
    assert main(["export-html", "movie.nc"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["export-html", "movie.nc", "--force"]) == 0
    assert main(["export-html", "movie.nc", "a.html", "--maps", "movie.html"]) == 2
    assert "no netCDF file" in capsys.readouterr().err


def test_command_warns_of_averages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = plkit.write(movie(8, 60, 60), tmp_path / "movie.nc")
    assert main(["export-html", str(source), str(tmp_path / "a.html"), "--max-mb", "1"]) == 0
    assert "warning: movie.nc: averaged to fit into a mail" in capsys.readouterr().err
