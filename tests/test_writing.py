"""What plkit writes, plain xarray reads: the same numbers, types, axes and attributes."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import plkit
from plkit import names
from plkit.errors import DataError, MissingExtraError

quick = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORD = st.text(st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), min_size=1, max_size=6)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
ATTR = st.one_of(TEXT, st.integers(-(2**31), 2**31 - 1), st.floats(allow_nan=False))


@st.composite
def datasets(draw: st.DrawFn) -> xr.Dataset:
    """Any dims with any names, either direction, any number, attributes that may be empty."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    dims = draw(
        st.lists(WORD.map(lambda w: "d" + w), min_size=len(shape), max_size=len(shape), unique=True)
    )
    dtype = np.dtype(draw(st.sampled_from(["uint8", "uint16", "int64", "float32", "float64"])))
    values = draw(hnp.arrays(dtype, shape, elements=hnp.from_dtype(dtype)))
    coords = {}
    for dim, size in zip(dims, shape, strict=True):
        steps = draw(st.lists(st.floats(1e-3, 1e3), min_size=size, max_size=size))
        axis = np.cumsum(steps)[:: draw(st.sampled_from([1, -1]))]
        coords[dim] = (dim, axis, draw(st.sampled_from([{}, {"units": "µm"}, {"units": ""}])))
    attrs = draw(st.dictionaries(WORD.map(lambda w: "a" + w), ATTR, max_size=2))
    name = "v" + draw(WORD)
    return xr.Dataset({name: (dims, values, attrs)}, coords, draw(st.dictionaries(WORD, TEXT)))


def composed(ds: xr.Dataset) -> xr.Dataset:
    """Names as netCDF keeps them: in Unicode's composed form."""

    def one(text: Any) -> str:
        return unicodedata.normalize("NFC", text)

    ds = ds.rename({n: one(n) for n in {*ds.variables, *ds.dims} if one(n) != n})
    for attrs in (ds.attrs, *(ds[n].attrs for n in ds.variables)):
        changed = {one(k): v for k, v in attrs.items()}
        attrs.clear()
        attrs.update(changed)
    return ds


def same(found: xr.Dataset, ds: xr.Dataset) -> None:
    ds = composed(ds)
    xr.testing.assert_equal(found, ds)
    assert dict(found.attrs) == dict(ds.attrs)
    for name in ds.variables:
        assert found[name].dtype == ds[name].dtype
        assert dict(found[name].attrs) == dict(ds[name].attrs)


@pytest.mark.parametrize("compression", ["zlib", "none"])
@quick
@given(ds=datasets())
def test_plain_xarray_reads_netcdf(tmp_path: Path, compression: Any, ds: xr.Dataset) -> None:
    path = plkit.write(ds, tmp_path / "a.nc", overwrite=True, compression=compression)
    with xr.open_dataset(path, decode_timedelta=False, engine="netcdf4") as found:
        same(found.load(), ds)


@quick
@given(ds=datasets())
def test_plain_xarray_reads_zarr(tmp_path: Path, ds: xr.Dataset) -> None:
    pytest.importorskip("zarr")
    path = plkit.write(ds, tmp_path / "a.zarr", overwrite=True)
    with xr.open_dataset(path, engine="zarr", consolidated=False, decode_timedelta=False) as found:
        same(found.load(), ds)


def test_names_of_two_spellings(tmp_path: Path) -> None:
    # "é" as one sign and as e with an accent: netCDF knows one of them only.
    spelled, composed_name = "cafe\u0301", "caf\u00e9"
    ds = xr.Dataset({spelled: ("x", [1.0, 2.0])}, attrs={spelled: "a"})
    with xr.open_dataset(plkit.write(ds, tmp_path / "a.nc")) as found:
        assert list(found.data_vars) == [composed_name]
        assert found.attrs == {composed_name: "a"}
    assert list(ds.data_vars) == [spelled]
    with pytest.raises(DataError, match="differ by their encoding only"):
        plkit.write(ds.assign({composed_name: ("x", [3.0, 4.0])}), tmp_path / "b.nc")


def cube() -> xr.Dataset:
    rng = np.random.default_rng(3)
    return xr.Dataset(
        {"intensity": (("y", "x", "wavelength"), rng.poisson(60.0, (6, 5, 300)).astype(np.uint16),
                       names.attrs("intensity"))},
        {"y": ("y", np.arange(6.0), names.attrs("y")), "x": ("x", np.arange(5.0), names.attrs("x")),
         "wavelength": ("wavelength", np.linspace(500, 800, 300), names.attrs("wavelength"))},
    )  # fmt: skip


@pytest.mark.parametrize("compression", ["zlib", "zstd", "bitshuffle", "none"])
def test_every_compression_gives_the_same_numbers(tmp_path: Path, compression: Any) -> None:
    ds = cube()
    try:
        path = plkit.write(ds, tmp_path / "a.nc", compression=compression)
    except MissingExtraError:
        pytest.skip(f"the netCDF library lacks {compression}")
    xr.testing.assert_equal(plkit.read(path), ds)
    with xr.open_dataset(path) as found:
        np.testing.assert_array_equal(found.intensity, ds.intensity)
        assert found.intensity.encoding["zlib"] == (compression == "zlib")


def test_default_is_read_without_any_plugin(tmp_path: Path) -> None:
    # HDF5 itself has deflate and shuffle; anything else would need a plugin.
    import h5py

    with h5py.File(plkit.write(cube(), tmp_path / "a.nc"), "r") as file:
        creation = file["intensity"].id.get_create_plist()
        used = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
        np.testing.assert_array_equal(file["intensity"][()], cube().intensity)
    assert used <= {1, 2}


def test_compression_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="the compression is 'rar', not one of zlib, zstd"):
        plkit.write(cube(), tmp_path / "a.nc", compression="rar")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"is a choice for netCDF, not \.zarr"):
        plkit.write(cube(), tmp_path / "a.zarr", compression="zstd")
    import netCDF4

    class Bare:
        def __init__(self, *args: Any, **options: Any) -> None: ...
        def __enter__(self) -> Bare:
            return self

        def __exit__(self, *args: object) -> None: ...
        def has_zstd_filter(self) -> bool:
            return False

    monkeypatch.setattr(netCDF4, "Dataset", Bare)
    with pytest.raises(MissingExtraError, match="was built without zstd"):
        plkit.write(cube(), tmp_path / "a.nc", compression="zstd")
    assert not list(tmp_path.iterdir())
