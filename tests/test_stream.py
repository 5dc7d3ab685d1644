"""Unmixing straight from a file: the same numbers, in bounded memory, from every kind of storage."""

from __future__ import annotations

import threading
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import deflate
import h5py
import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError, FileFormatError
from plkit.io import stream as stream_module
from plkit.io.chunks import Lazy, Mapped, RawChunks, Zarr
from plkit.io.stream import open_stream
from plkit.io.unshuffle import unshuffle
from plkit.names import TIME, WAVELENGTH, X, Y

CHANNELS = 96
AXIS = np.linspace(560.0, 690.0, CHANNELS)
LINES = {
    "pristine": {"kind": "gaussian", "centre_ev": 1.95, "fwhm_ev": 0.06},
    "bromide": {"kind": "gaussian", "centre_ev": 2.08, "fwhm_ev": 0.07},
}


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    """A series of maps, 3 × 11 × 13 spectra of 16-bit counts."""
    rng = np.random.default_rng(7)
    axis = (WAVELENGTH, AXIS, names.attrs(WAVELENGTH))
    like = xr.DataArray(np.zeros(CHANNELS), dims=WAVELENGTH, coords={WAVELENGTH: axis})
    table = plkit.references(like=like, **LINES).values
    expected = rng.uniform(20.0, 3e4, (3, 11, 13, 2)) @ table + 4.0
    return xr.Dataset(
        {
            "intensity": ((TIME, Y, X, WAVELENGTH), rng.poisson(expected).astype(np.uint16), names.attrs("intensity")),
            "noise_gain": ((), 1.0, names.attrs("noise_gain")),
            "noise_floor": (WAVELENGTH, np.linspace(0.0, 3.0, CHANNELS), names.attrs("noise_floor")),
        },
        {
            WAVELENGTH: axis,
            TIME: (TIME, np.array([0.0, 30.0, 60.0]), names.attrs(TIME)),
            Y: (Y, np.arange(11.0), names.attrs(Y)),
            X: (X, np.arange(13.0), names.attrs(X)),
        },
        {"sample": "film 7"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def refs(ds: xr.Dataset) -> xr.DataArray:
    return plkit.references(like=ds, **LINES)


def save(ds: xr.Dataset, path: Path, **encoding: Any) -> Path:
    ds.to_netcdf(path, engine="netcdf4", encoding={"intensity": {"_FillValue": None, **encoding}})
    return path


def without_time_stamps(ds: xr.Dataset) -> xr.Dataset:
    skip = ("history", "source_sha256")
    return ds.assign_attrs({k: "" for k in skip if k in ds.attrs}).drop_attrs(deep=False)


def assert_same(path: Path, refs: xr.DataArray, **options: Any) -> xr.Dataset:
    """Streamed and read first: identical to the last bit, with the same names, axes and units."""
    streamed = plkit.unmix(path, refs, **options)
    whole = plkit.unmix(plkit.read(path), refs, **options)
    xr.testing.assert_identical(without_time_stamps(streamed), without_time_stamps(whole))
    attrs = {k: v for k, v in whole.attrs.items() if k not in ("history", "source_sha256")}
    assert {k: v for k, v in streamed.attrs.items() if k != "history"} == attrs
    lines = [line.split(" ", 1)[1] for line in streamed.attrs["history"].splitlines()]
    assert lines == [line.split(" ", 1)[1] for line in whole.attrs["history"].splitlines()]
    return streamed


# The same numbers ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "encoding",
    [
        {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": (1, 4, 5, CHANNELS)},
        {"zlib": True, "complevel": 1, "shuffle": False, "chunksizes": (2, 11, 13, CHANNELS)},
        {"zlib": True, "shuffle": True, "chunksizes": (3, 4, 4, 40)},
        {"zlib": True, "shuffle": True, "chunksizes": (1, 11, 13, 1)},
        {"zlib": False, "shuffle": True, "chunksizes": (1, 4, 4, CHANNELS)},
        {"zlib": False, "contiguous": True},
    ],
    ids=["whole spectra", "no shuffle", "split spectra", "images", "shuffle only", "contiguous"],
)
@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64", ">f4", "int32"])
def test_proof_1_streamed_is_read_to_the_last_bit(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path, encoding: dict[str, Any], dtype: str
) -> None:
    counts = ds["intensity"].astype(dtype)
    path = save(ds.assign(intensity=counts), tmp_path / "cube.nc", **encoding)
    with open_stream(path) as stream:
        assert isinstance(stream.source, Mapped if "contiguous" in encoding else RawChunks)
    assert_same(path, refs, background="constant")


def test_equal_weights_and_other_options(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    path = plkit.write(ds, tmp_path / "cube.nc")
    rho = {"pristine": 2.0, "bromide": 1.0}
    assert_same(path, refs, noise="uniform", relative_brightness=rho, nonnegative=False)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_what_plkit_writes_is_streamed(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path, suffix: str
) -> None:
    if suffix == ".zarr":
        pytest.importorskip("zarr")
    path = plkit.write(ds, tmp_path / f"cube{suffix}")
    with open_stream(path) as stream:
        assert isinstance(stream.source, RawChunks if suffix == ".nc" else Zarr)
    out = assert_same(str(path), refs)
    assert out["fraction"].dims == ("component", TIME, Y, X)


def test_missing_values_in_floating_point(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    counts = ds["intensity"].astype(np.float32)
    counts[0, 2, 3, 10] = np.nan
    counts[1, 1] = np.nan
    path = plkit.write(ds.assign(intensity=counts), tmp_path / "cube.nc")
    out = assert_same(path, refs)
    assert int((out["fit_status"] == 3).sum()) >= 13


def test_packed_integers_go_through_xarray(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    encoding = {
        "intensity": {"scale_factor": 0.5, "dtype": "int32", "_FillValue": -1, "zlib": True}
    }
    counts = ds["intensity"].astype(np.float32)
    counts[0, 0, 0, 3] = np.nan
    path = tmp_path / "packed.nc"
    ds.assign(intensity=counts).to_netcdf(path, encoding=encoding)
    with open_stream(path) as stream:
        assert isinstance(stream.source, Lazy)
    assert_same(path, refs)


def test_other_filters_go_through_hdf5(ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path) -> None:
    """Checksums, which HDF5 verifies."""
    path = save(ds, tmp_path / "cube.nc", zlib=True, fletcher32=True)
    with open_stream(path) as stream:
        assert isinstance(stream.source, Lazy)
    assert_same(path, refs)


def test_netcdf_3(ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path) -> None:
    counts = ds["intensity"].astype(np.float32)
    path = tmp_path / "old.nc"
    ds.assign(intensity=counts).to_netcdf(path, format="NETCDF3_CLASSIC", engine="netcdf4")
    assert_same(path, refs)


def test_axes_and_units_land_as_plkit_reads_them(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    """Descending axes, another order of dims, µm instead of nm, kilocounts."""
    turned = ds.isel({WAVELENGTH: slice(None, None, -1), Y: slice(None, None, -1)})
    turned = turned.transpose(WAVELENGTH, X, TIME, Y)
    turned = turned.assign_coords(
        {WAVELENGTH: (WAVELENGTH, turned[WAVELENGTH].values / 1000.0, {"units": "um"})}
    )
    path = save(turned, tmp_path / "turned.nc", zlib=True, chunksizes=(CHANNELS, 4, 2, 5))
    on_file = plkit.references(like=plkit.read(path), **LINES)
    out = assert_same(path, on_file)
    plain = plkit.unmix(ds, refs)
    np.testing.assert_allclose(out["fraction"].values, plain["fraction"].values, rtol=1e-5)


def test_chunks_never_written_are_fill_values(refs: xr.DataArray, tmp_path: Path) -> None:
    path = tmp_path / "sparse.nc"
    with h5py.File(path, "w") as file:
        counts = file.create_dataset(
            "intensity", (4, 6, CHANNELS), "u2", chunks=(1, 6, CHANNELS), compression="gzip",
            shuffle=True, fillvalue=2,
        )  # fmt: skip
        counts[1] = 50
        counts.attrs["units"] = "counts"
        for name, values in ((Y, np.arange(4.0)), (X, np.arange(6.0)), (WAVELENGTH, AXIS)):
            file[name] = values
            file[name].attrs["units"] = names.unit(name)
            file[name].make_scale(name)
        for i, name in enumerate((Y, X, WAVELENGTH)):
            counts.dims[i].attach_scale(file[name])
    assert_same(path, refs, noise="uniform", background="none")


def test_a_dataset_that_was_opened_but_not_read(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    path = plkit.write(ds, tmp_path / "cube.nc")
    with xr.open_dataset(path, decode_timedelta=False) as opened:
        part = opened.isel({TIME: slice(1, 3), X: slice(2, 12, 3)})
        assert not part["intensity"].variable._in_memory
        streamed = plkit.unmix(part, refs)
        assert not part["intensity"].variable._in_memory
        whole = plkit.unmix(part.load(), refs)
    xr.testing.assert_identical(streamed.drop_attrs(), whole.drop_attrs())


def test_dask_backed_data_are_streamed_too(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    pytest.importorskip("dask")
    path = plkit.write(ds, tmp_path / "cube.nc")
    lazy = plkit.unmix(plkit.read(path, chunks={}), refs).compute()
    xr.testing.assert_identical(lazy.drop_attrs(), plkit.unmix(path, refs).drop_attrs())


def test_other_formats_are_read(ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path) -> None:
    one = ds.isel({TIME: 0, Y: 0, X: 0}, drop=True)
    path = plkit.write(one, tmp_path / "one.csv")
    xr.testing.assert_identical(
        plkit.unmix(path, refs).drop_attrs(), plkit.unmix(plkit.read(path), refs).drop_attrs()
    )


def test_blocks_join_small_chunks_and_cut_large_ones(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = save(ds, tmp_path / "small.nc", zlib=True, chunksizes=(1, 1, 1, CHANNELS))
    images = save(ds, tmp_path / "images.nc", zlib=True, chunksizes=(1, 11, 13, 1))
    whole = plkit.unmix(ds, refs)
    with open_stream(small) as stream:
        assert np.prod(stream._steps()) >= ds["intensity"].size
    monkeypatch.setattr(stream_module, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(stream_module, "SPLIT_BYTES", 9000)
    with open_stream(images) as stream:
        assert np.prod(stream._steps()) * 2 <= 9000
    for path in (small, images):
        xr.testing.assert_identical(plkit.unmix(path, refs).drop_attrs(), whole.drop_attrs())


# Memory -------------------------------------------------------------------------------------------
def test_memory_stays_bounded(refs: xr.DataArray, tmp_path: Path) -> None:
    """48 MB of counts, of which a few MB are held at a time."""
    n = 500
    path = tmp_path / "large.nc"
    with h5py.File(path, "w") as file:
        counts = file.create_dataset(
            "intensity", (n, n, CHANNELS), "u2", chunks=(n // 10, n // 10, CHANNELS),
            compression="gzip", compression_opts=1, shuffle=True,
        )  # fmt: skip
        counts.attrs["units"] = "counts"
        row = (2000.0 * refs.sum("component").values + 3.0).astype(np.uint16)
        for i in range(0, n, n // 10):
            counts[i : i + n // 10] = row
        for name, values in ((Y, np.arange(n)), (X, np.arange(n)), (WAVELENGTH, AXIS)):
            file[name] = values.astype(float)
            file[name].attrs["units"] = names.unit(name)
            file[name].make_scale(name)
        for i, name in enumerate((Y, X, WAVELENGTH)):
            counts.dims[i].attach_scale(file[name])
    plkit.unmix(path, refs, noise="uniform")  # everything is imported and compiled
    tracemalloc.start()
    out = plkit.unmix(path, refs, noise="uniform")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    results = sum(v.nbytes for v in out.data_vars.values())
    assert peak < results + 16e6
    assert 2 * n * n * CHANNELS > 40e6


# Damage -------------------------------------------------------------------------------------------
@pytest.fixture
def broken(ds: xr.Dataset, tmp_path: Path) -> Path:
    """A file in which one chunk was overwritten."""
    path = save(
        ds, tmp_path / "exposure.nc", zlib=True, shuffle=True, chunksizes=(1, 4, 13, CHANNELS)
    )
    with h5py.File(path) as file:
        info = file["intensity"].id.get_chunk_info(4)
    with path.open("r+b") as handle:
        handle.seek(info.byte_offset + 40)
        handle.write(b"\x00" * (info.size - 60))
    return path


def test_a_damaged_chunk_names_file_and_place(broken: Path, refs: xr.DataArray) -> None:
    with pytest.raises(
        FileFormatError, match=r"read 'exposure.nc' because its values at \[1:2, 4:8"
    ):
        plkit.unmix(broken, refs)


def test_a_chunk_of_the_wrong_size(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plkit.write(ds, tmp_path / "cube.nc")
    short = lambda data, size: zlib.decompress(data)[: size // 2]  # noqa: E731
    monkeypatch.setattr(deflate, "zlib_decompress", short)
    with pytest.raises(FileFormatError, match=r"damaged \(\d+ bytes instead of \d+\)"):
        plkit.unmix(path, refs)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.99])
@pytest.mark.parametrize("contiguous", [True, False])
def test_a_truncated_file(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path, share: float, contiguous: bool
) -> None:
    path = tmp_path / "cut.nc"
    if contiguous:
        save(ds, path, zlib=False, contiguous=True)
    else:
        plkit.write(ds, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FileFormatError, match=r"cut\.nc"):
        plkit.unmix(path, refs)


def test_files_that_hold_no_spectra(refs: xr.DataArray, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="there is no such file"):
        plkit.unmix(tmp_path / "absent.nc", refs)
    path = tmp_path / "rates.nc"
    xr.Dataset({"k1": (Y, [1.0], names.attrs("k1"))}).to_netcdf(path)
    with pytest.raises(FileFormatError, match="it holds k1, not 'intensity'"):
        plkit.unmix(path, refs)
    path = tmp_path / "no_units.nc"
    xr.Dataset({"intensity": (WAVELENGTH, AXIS)}, {WAVELENGTH: AXIS}).to_netcdf(path)
    with pytest.raises(FileFormatError, match="'intensity' has no units"):
        plkit.unmix(path, refs)


def test_a_variance_for_every_spectrum_is_refused(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    path = plkit.write(ds, tmp_path / "cube.nc")
    variance = (ds["intensity"].astype(float) + 1.0).drop_attrs()
    with pytest.raises(DataError, match=r"a variance for every spectrum.*plkit.read"):
        plkit.unmix(path, refs, noise=variance)
    row = variance.isel({TIME: 0, Y: 0, X: 0}, drop=True)
    assert_same(path, refs, noise=row)


# Parts --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<f4", ">f4", "<f8", "<i8"])
def test_unshuffle(dtype: str, rng: np.random.Generator) -> None:
    values = rng.integers(0, 200, 1001).astype(dtype)
    shuffled = values.view(np.uint8).reshape(-1, values.itemsize).T.tobytes()
    back = unshuffle(shuffled, np.dtype(dtype))
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)


def test_several_threads_read_one_source(ds: xr.Dataset, tmp_path: Path) -> None:
    path = save(ds, tmp_path / "cube.nc", zlib=True, chunksizes=(1, 4, 5, CHANNELS))
    seen: set[int] = set()
    out = np.zeros(ds["intensity"].shape, np.uint16)

    def work(where: Any, counts: np.ndarray) -> None:
        seen.add(threading.get_ident())
        out[where] = counts

    with open_stream(path) as stream:
        stream.each_block(work, threads=3, progress=True)
    np.testing.assert_array_equal(out, ds["intensity"])
    assert threading.get_ident() not in seen
