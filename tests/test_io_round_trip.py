"""What plkit writes it reads back: the same numbers, types, units and attributes, or a clear refusal."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import plkit
from plkit import names
from plkit.errors import DataError, FileFormatError

DTYPES = ("uint8", "uint16", "int32", "int64", "float32", "float64")
quick = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def datasets(draw: st.DrawFn, max_dims: int) -> xr.Dataset:
    """Measured datasets over up to ``max_dims`` dims, with the odd values that files hold."""
    leading = draw(
        st.lists(
            st.sampled_from(["power", "time", "y", "x"]), unique=True, max_size=max_dims - 1
        ).map(lambda dims: sorted(dims, key=names.CANONICAL_ORDER.index))
    )
    spectral = draw(st.sampled_from(["wavelength", "energy", "raman_shift"]))
    dims = [*leading, spectral]
    shape = tuple(draw(st.integers(1, 4)) for _ in dims)
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    values = draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(dtype, allow_infinity=False)))
    coords = {}
    for dim, size in zip(dims, shape, strict=True):
        first = draw(st.floats(-1e3, 1e3))
        steps = draw(st.lists(st.floats(1e-3, 1e3), min_size=size, max_size=size))
        coords[dim] = (dim, first + np.cumsum(steps), names.attrs(dim))
    attrs = draw(
        st.dictionaries(
            st.sampled_from(["operator", "note"]),
            st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9),
        )
    )
    ds = xr.Dataset({"intensity": (dims, values, names.attrs("intensity"))}, coords, attrs)
    if draw(st.booleans()):
        ds["exposure_time"] = ((), draw(st.floats(1e-3, 1e3)), names.attrs("exposure_time"))
    if draw(st.booleans()) and "time" in dims:
        ds["noise_floor"] = (spectral, np.ones(shape[-1]), names.attrs("noise_floor"))
    return ds


def same(found: xr.Dataset, ds: xr.Dataset) -> None:
    xr.testing.assert_equal(found, ds)
    for name in ds.variables:
        assert found[name].dtype == ds[name].dtype
        assert found[name].attrs["units"] == ds[name].attrs["units"]
    for key, value in ds.attrs.items():
        assert found.attrs[key] == value


@quick
@given(ds=datasets(max_dims=4))
def test_round_trip_netcdf(tmp_path: Path, ds: xr.Dataset) -> None:
    same(plkit.read(plkit.write(ds, tmp_path / "a.nc", overwrite=True)), ds)


@settings(quick, max_examples=10)
@given(ds=datasets(max_dims=4))
def test_round_trip_zarr(tmp_path: Path, ds: xr.Dataset) -> None:
    same(plkit.read(plkit.write(ds, tmp_path / "a.zarr", overwrite=True)), ds)


@quick
@given(ds=datasets(max_dims=2))
def test_round_trip_csv(tmp_path: Path, ds: xr.Dataset) -> None:
    assume(
        ds.intensity.dtype.kind == "f"
        or max(abs(int(v)) for v in ds.intensity.values.flat) <= 2**53
    )
    same(plkit.read(plkit.write(ds, tmp_path / "a.csv", overwrite=True)), ds)


def series(n_power: int = 4, n_time: int = 60, n_wavelength: int = 400) -> xr.Dataset:
    """A power series of exposures as the study has it: uint16 Poisson counts."""
    rng = np.random.default_rng(3)
    wavelength = np.linspace(480, 720, n_wavelength)
    line = 20 + 400 * np.exp(-0.5 * ((wavelength - 525) / 12) ** 2)
    counts = rng.poisson(np.broadcast_to(line, (n_power, n_time, n_wavelength))).astype(np.uint16)
    return xr.Dataset(
        {"intensity": (("power", "time", "wavelength"), counts, names.attrs("intensity"))},
        {
            "power": ("power", np.arange(1.0, n_power + 1), names.attrs("power")),
            "time": ("time", np.arange(n_time) + 0.5, names.attrs("time")),
            "wavelength": ("wavelength", wavelength, names.attrs("wavelength")),
        },
    )


def test_power_series_of_uint16_is_stored_compactly(tmp_path: Path) -> None:
    ds = series()
    path = plkit.write(ds, tmp_path / "series.nc")
    assert path.stat().st_size < 0.75 * ds.intensity.nbytes
    found = plkit.read(path)
    assert found.intensity.dtype == np.uint16
    same(found, ds)
    with xr.open_dataset(path, decode_timedelta=False) as plain:
        encoding = plain.intensity.encoding
        assert encoding["zlib"]
        assert encoding["shuffle"]
        assert encoding["complevel"] == 4
        assert encoding["chunksizes"][-1] == 400  # the spectral axis whole
        assert np.prod(encoding["chunksizes"]) * 2 <= 2**20
        assert "_FillValue" not in encoding
        assert plain.time.dtype == np.float64  # numbers in seconds, no timedelta
        assert plain.time.attrs["units"] == "s"


def test_chunks_of_a_map_are_squares_of_whole_spectra(tmp_path: Path) -> None:
    from plkit.io.writing import _chunks

    cube = xr.Variable(("time", "y", "x", "wavelength"), np.empty((3, 100, 90, 1024), np.uint16))
    assert _chunks(cube) == (1, 22, 23, 1024)
    assert _chunks(xr.Variable(("y", "x"), np.empty((30, 20)))) == (30, 20)
    assert _chunks(xr.Variable(("wavelength",), np.empty(10_000_000, np.uint8))) == (10_000_000,)


def test_lazy_reading_keeps_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("dask")
    ds = series()
    for name in ("a.nc", "a.zarr"):
        lazy = plkit.read(plkit.write(ds, tmp_path / name), chunks={})
        assert lazy.intensity.chunks is not None
        assert "source_sha256" not in lazy.attrs
        np.testing.assert_array_equal(lazy.intensity.compute(), ds.intensity)
        lazy.close()


def test_file_is_closed_and_can_be_overwritten_from_itself(tmp_path: Path) -> None:
    path = plkit.write(series(1, 3, 5), tmp_path / "a.nc")
    ds = plkit.read(path)
    plkit.write(ds * 2, path, overwrite=True)
    np.testing.assert_array_equal(plkit.read(path).intensity, 2 * ds.intensity)


def test_odd_line_breaks_in_a_note_do_not_break_the_table(tmp_path: Path) -> None:
    ds = series(1, 2, 3).isel(power=0, drop=True).assign_attrs(note="a\x85b\u2028c\x0cd\ne")
    assert plkit.read(plkit.write(ds, tmp_path / "a.csv")).attrs["note"] == ds.attrs["note"]


def test_attributes_become_safe(tmp_path: Path) -> None:
    ds = series(1, 2, 3)
    ds.attrs = {
        "flag": True, "nothing": None, "settings": {"grating": 300, "ok": None, "gain": np.float32(2)}, "where": Path("a") / "b",
        "list": [1, 2], "truths": [True, False], "words": ["a", "b"], "number": np.float64(1.5), "text": "σ µm",
    }  # fmt: skip
    ds.intensity.attrs["averaged"] = False
    before = dict(ds.attrs)
    found = plkit.read(plkit.write(ds, tmp_path / "a.nc"))
    assert ds.attrs == before  # the user's dataset is left alone
    assert found.attrs["flag"] == 1
    assert "nothing" not in found.attrs
    assert found.attrs["settings"] == '{"gain": 2.0, "grating": 300, "ok": null}'
    assert found.attrs["where"] == "a/b"
    assert list(found.attrs["list"]) == [1, 2]
    assert list(found.attrs["truths"]) == [1, 0]
    assert list(found.attrs["words"]) == ["a", "b"]
    assert found.attrs["text"] == "σ µm"
    assert found.intensity.attrs["averaged"] == 0


@pytest.mark.parametrize("suffix", ["nc", "zarr", "csv"])
def test_objects_are_refused_not_pickled(tmp_path: Path, suffix: str) -> None:
    ds = series(1, 2, 3).isel(power=0, drop=True)
    path = tmp_path / f"a.{suffix}"
    with pytest.raises(
        DataError,
        match=r"attribute 'model' is of type object in the dataset, not text or a number\. Turn it into text",
    ):
        plkit.write(ds.assign_attrs(model=object()), path)
    bad = ds.copy()
    bad.time.attrs["clock"] = [object()]
    with pytest.raises(DataError, match="attribute 'clock' is a list of object in 'time'"):
        plkit.write(bad, path)
    with pytest.raises(DataError, match="'odd' has dtype object, not numbers or text"):
        plkit.write(ds.assign(odd=("time", np.array([{}, None], dtype=object))), path)
    with pytest.raises(DataError, match="'phase' has dtype complex128"):
        plkit.write(ds.assign(phase=("time", np.array([1j, 2]))), path)
    assert not list(tmp_path.iterdir())


def test_text_coordinates_and_flags_survive(tmp_path: Path) -> None:
    ds = series(2, 3, 4).rename(power="sample").assign_coords(sample=["film A", "Film ß"])
    ds["spike_mask"] = (("time",), np.array([True, False, True]), names.attrs("spike_mask"))
    found = plkit.read(plkit.write(ds, tmp_path / "a.nc"))
    assert found.sample.values.tolist() == ["film A", "Film ß"]
    assert found.spike_mask.dtype == bool
    np.testing.assert_array_equal(found.spike_mask, ds.spike_mask)


def test_results_without_a_spectral_axis_can_be_written_and_read(tmp_path: Path) -> None:
    rates = xr.Dataset(
        {"k1": ("power", [0.1, 0.2], names.attrs("k1")), "k1_stderr": ("power", [0.01, 0.02], names.attrs("k1_stderr"))},
        {"power": ("power", [1.0, 2.0], names.attrs("power"))},
    )  # fmt: skip
    path = plkit.write(rates, tmp_path / "rates.nc")
    xr.testing.assert_equal(plkit.read(path), rates)
    text = str(plkit.info(path))
    assert "holds       k1, k1_stderr" in text
    with pytest.raises(DataError, match="no measured variable over a spectral dim"):
        plkit.write(rates, tmp_path / "rates.csv")


def test_tree_of_results(tmp_path: Path) -> None:
    tree = xr.DataTree.from_dict(
        {"/measured": series(2, 3, 4).assign_attrs(flag=True), "/fits/first": series(1, 2, 3)}
    )
    path = plkit.write(tree, tmp_path / "results.nc")
    with xr.open_datatree(path, decode_timedelta=False) as found:
        xr.testing.assert_equal(found["/fits/first"].to_dataset(), series(1, 2, 3))
        assert found["/measured"].attrs["flag"] == 1
        assert found["/measured"].intensity.encoding["zlib"]
    assert plkit.read(path, group="measured").intensity.dtype == np.uint16
    with pytest.raises(DataError, match=r"a DataTree goes into netCDF, not \.csv"):
        plkit.write(tree, tmp_path / "results.csv")


def test_csv_names_its_quantities_and_units(tmp_path: Path) -> None:
    ds = series(1, 2, 3).isel(power=0, drop=True)
    lines = plkit.write(ds, tmp_path / "series.csv").read_text().splitlines()
    assert lines[1].startswith("time (s) \\ wavelength (nm),480.0,600.0,720.0")
    assert len(lines) == 4
    one = ds.isel(time=0, drop=True).assign(
        variance=("wavelength", [1.0, 2.0, 3.0], {"units": "counts^2"})
    )
    one["exposure_time"] = ((), 0.5, names.attrs("exposure_time"))
    text = plkit.write(one, tmp_path / "one.csv").read_text().splitlines()
    assert text[1] == "wavelength (nm),intensity (counts),variance (counts^2)"
    found = plkit.read(tmp_path / "one.csv")
    assert found.variance.values.tolist() == [1, 2, 3]
    assert float(found.exposure_time) == 0.5
    # without plkit's note the header alone says enough
    bare = tmp_path / "bare.csv"
    bare.write_text("\n".join(lines[1:]) + "\n")
    np.testing.assert_array_equal(plkit.read(bare).intensity, ds.intensity)


def _csv_refusals() -> dict[str, tuple[xr.Dataset, str]]:
    ds = series(1, 2, 3).isel(power=0, drop=True)
    return {
        "three dims": (
            series(1, 2, 3),
            r"'intensity' has 3 dims \(power, time, wavelength\), not at most 2. Write netCDF",
        ),
        "another matrix": (
            ds.assign(variance=ds.intensity * 1.0),
            "'variance' has 2 dims beside 'intensity'",
        ),
        "text axis": (ds.assign_coords(time=["a", "b"]), "'time' has no numbers as coordinate"),
        "huge integers": (
            ds.assign(intensity=ds.intensity.astype(np.int64) + 2**53),
            "'intensity' holds integers beyond 2",
        ),
        "order": (ds.transpose("wavelength", "time"), "the spectral one not last"),
    }


@pytest.mark.parametrize("case", _csv_refusals())
def test_csv_refuses_what_it_cannot_hold(tmp_path: Path, case: str) -> None:
    ds, words = _csv_refusals()[case]
    with pytest.raises(DataError, match=words):
        plkit.write(ds, tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["nc", "zarr", "csv"])
def test_write_never_replaces_without_being_told(tmp_path: Path, suffix: str) -> None:
    ds = series(1, 2, 3).isel(power=0, drop=True)
    path = plkit.write(ds, tmp_path / f"a.{suffix}")
    with pytest.raises(
        FileFormatError, match=r"Cannot write 'a\..*' because the file exists\. Pass overwrite=True"
    ):
        plkit.write(ds + 1, path)
    np.testing.assert_array_equal(plkit.read(path).intensity, ds.intensity)
    plkit.write(ds + 1, path, overwrite=True)
    np.testing.assert_array_equal(plkit.read(path).intensity, ds.intensity + 1)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = series(1, 2, 3)
    path = plkit.write(ds, tmp_path / f"a.{suffix}")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf" if suffix == "nc" else "to_zarr", fail)
    with pytest.raises(OSError, match="disk full"):
        plkit.write(ds + 1, path, overwrite=True)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    np.testing.assert_array_equal(plkit.read(path).intensity, ds.intensity)


def test_written_files_have_ordinary_rights(tmp_path: Path) -> None:
    path = plkit.write(series(1, 2, 3), tmp_path / "a.nc")
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_bad_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ds = series(1, 2, 3)
    with pytest.raises(
        FileFormatError,
        match=r"its suffix is '\.xlsx', not one of \.nc, \.nc4, \.zarr, \.csv, \.txt",
    ):
        plkit.write(ds, tmp_path / "a.xlsx")
    with pytest.raises(FileFormatError, match="there is no folder"):
        plkit.write(ds, tmp_path / "missing" / "a.nc")
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(FileFormatError, match="it is a folder, not a file"):
        plkit.write(ds, tmp_path / "folder.nc", overwrite=True)
    monkeypatch.setattr("os.access", lambda *args: False)
    with pytest.raises(FileFormatError, match="you have no permission to write"):
        plkit.write(ds, tmp_path / "a.nc")


def test_converted_file_keeps_where_it_came_from(tmp_path: Path) -> None:
    source = tmp_path / "scan.csv"
    source.write_text("500,1\n501,2\n")
    with pytest.raises(FileFormatError, match="wavelength_unit"):
        plkit.convert(source, tmp_path / "scan.nc")
    first = plkit.convert(source, tmp_path / "scan.nc", wavelength_unit="nm")
    second = plkit.convert(first, tmp_path / "scan2.nc")
    ds = plkit.read(second)
    assert ds.attrs["source_file"] == "scan2.nc"
    assert ds.attrs["original_source_file"] == "scan.csv"
    assert ds.attrs["original_source_sha256"] == plkit.info(source, wavelength_unit="nm").sha256
    assert [line.split(" ", 1)[1].split(",")[0] for line in ds.attrs["history"].splitlines()] == [
        "plkit.read('scan.csv'", "plkit.read('scan.nc'", "plkit.read('scan2.nc'",
    ]  # fmt: skip


def test_info_speaks_of_what_is_missing_and_saturated(tmp_path: Path) -> None:
    ds = series(2, 3, 4)
    ds["saturation_level"] = ((), 400.0, names.attrs("saturation_level"))
    ds["intensity"] = ds.intensity.astype(np.float32)
    ds.intensity[0, 0] = np.nan
    ds.intensity[1, 2, 3] = 500
    found = plkit.info(plkit.write(ds, tmp_path / "a.nc"))
    assert (found.n_missing, found.n_missing_spectra, found.n_saturated) == (
        4,
        1,
        int((ds.intensity >= 400).sum()),
    )
    assert str(found.dims[0]) == "power: 2 from 1 to 2 uW, step 1 uW"
    assert "saturation" in str(found)
    assert "4 values, 1 whole spectra" in str(found)
    assert any("1 of 6 spectra hold no number" in fault for fault in found.faults)


def test_info_of_an_all_nan_spectrum_and_of_an_uneven_axis(tmp_path: Path) -> None:
    ds = xr.Dataset(
        {"intensity": ("wavelength", [np.nan] * 3, names.attrs("intensity"))},
        {"wavelength": ("wavelength", [500.0, 501.0, 505.0], names.attrs("wavelength"))},
    )
    found = plkit.info(plkit.write(ds, tmp_path / "a.nc"))
    assert found.sketch == "   "
    assert found.minimum is None
    assert str(found.dims[0]).endswith("step 2.5 nm on average, uneven")
    assert "1 whole spectra" in str(found)


def test_info_of_a_folder_counts_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    for i in range(3):
        (folder / f"t{i}.txt").write_text(f"Wavelength (nm),Intensity (counts)\n500,{i}\n501,7\n")
    found = plkit.info(folder, pattern="t{time}.txt", units={"time": "s"})
    assert found.size_bytes == sum(p.stat().st_size for p in folder.iterdir())
    assert found.reader == "folder"
    before = found.sha256
    (folder / "t1.txt").write_text("Wavelength (nm),Intensity (counts)\n500,9\n501,7\n")
    assert plkit.info(folder, pattern="t{time}.txt", units={"time": "s"}).sha256 != before
