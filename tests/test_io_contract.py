"""Every registered reader passes the same contract; a new one fails here until it has an example."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, schema
from plkit.errors import DataError, FileFormatError, PlkitError, PlkitWarning
from plkit.io import readers
from plkit.io.common import measured_variable
from plkit.io.registry import Reader, detect, get_reader

from . import io_samples

LUQY = (
    "1/20/2025 9:46:09 PM\r\nLuQY (%)\t0.9693\r\nIntegration Time (ms)\t14\r\nBandgap (eV)\t1.424\r\nSubcell\t--\r\n"
    "----\r\nWavelength (nm)\tLuminescence flux density (photons/(s cm² nm))\tRaw spectrum (counts)\r\n"
    "6.0E+2\t1.5E+9\t10.5\r\n6.1E+2\t2.5E+9\t20.5\r\n"
)
LONG = (
    "Exposure started time stamp,Exposure ended time stamp,Wavelength,Intensity\r\n"
    "1000,501000,500.5,7\r\n1000,501000,501.5,8\r\n2001000,2501000,500.5,9\r\n2001000,2501000,501.5,-1\r\n"
)
NK = "DATA:\n  - type: tabulated nk\n    data: |\n        0.4 2.1 0.3\n        0.5 2.0 0.1\n"


HISTOGRAM = "#TimeHarp 260  Histogram Data\t\t\t01/20/25 15:09:45\r\n#channels per curve\r\n8\r\n#display curve no.\r\n0\t\r\n#memory block no.\r\n0\t\r\n#ns/bin\r\n0.5000\t\r\n#counts\r\n" + "".join(f"{n}\t\r\n" for n in (0, 1, 9, 7, 5, 3, 12, 1))  # fmt: skip
FLUOTIME = (
    "Parameters:\r\n  Sample : film\r\n  Exc_Wavelength : 405.0 nm\r\n  Meas_Time : 10.0 s\r\n"
    "  Meas_BinWidth : 500 ps\r\n  Sync_Frequency : 250 kHz\r\n\r\nData:\r\nTime [ns]\tIntensity [Cnts.]\r\n"
    "0\t1\r\n0.5\t9\r\n1\t6\r\n1.5\t2\r\n"
)
SPCM = (
    "  Title : film\n  Version : 1 975 M\n  Revision : 2 bits ADC\n  Date : 2017-07-27\n  Time : 13:26:44\n  \n"
    "*BLOCK 1  ( Time[ns]  No_of_photons )\n0.000 ,    1\n0.250 ,   12\n0.500 ,    5\n0.750 ,    2\n*END\n"
)
POWERS = "x1,x2,x3\n0,1e-6,2.0e-5\n0,1.5,2.5\n0,0.25,0.75\n0.0,10,30\n0.5,6,20\n1.0,3,11\n"


def spectrum() -> xr.Dataset:
    return xr.Dataset(
        {
            names.INTENSITY: (
                names.WAVELENGTH,
                np.array([3, 7, 5], np.uint16),
                names.attrs(names.INTENSITY),
            )
        },
        {
            names.WAVELENGTH: (
                names.WAVELENGTH,
                [500.0, 501.0, 503.0],
                names.attrs(names.WAVELENGTH),
            )
        },
    )


def make_spe(
    frames: np.ndarray, stamps_us: list[tuple[int, int]] | None, exposure_ms: float = 500.0
) -> bytes:
    """A LightField file of version 3, laid out as its specification says."""
    n, height, width = frames.shape
    kind = {"<u2": "MonochromeUnsigned16", "<f4": "MonochromeFloating32"}[frames.dtype.str]
    size = height * width * frames.dtype.itemsize
    stride = size + (16 if stamps_us else 0)
    body = b"".join(
        frame.tobytes() + (struct.pack("<qq", *stamps_us[i]) if stamps_us else b"")
        for i, frame in enumerate(frames)
    )
    meta = (
        '<MetaFormat><MetaBlock><TimeStamp event="ExposureStarted" type="Int64" bitDepth="64" resolution="1000000"/>'
        '<TimeStamp event="ExposureEnded" type="Int64" bitDepth="64" resolution="1000000"/></MetaBlock></MetaFormat>'
        if stamps_us
        else ""
    )
    axis = ",".join(str(600.0 + 0.5 * i) for i in range(width))
    footer = (
        '<SpeFormat version="3.0" xmlns="http://www.princetoninstruments.com/spe/2009">'
        f'<DataFormat><DataBlock type="Frame" count="{n}" pixelFormat="{kind}" size="{size}" stride="{stride}">'
        f'<DataBlock type="Region" count="1" width="{width}" height="{height}" size="{size}" stride="{size}"/>'
        f"</DataBlock></DataFormat>{meta}"
        f"<Calibrations><WavelengthMapping><Wavelength>{axis}</Wavelength></WavelengthMapping></Calibrations>"
        f"<ExposureTime>{exposure_ms}</ExposureTime></SpeFormat>"
    ).encode()
    header = bytearray(4100)
    struct.pack_into("<Q", header, 678, 4100 + len(body))
    struct.pack_into("<f", header, 1992, 3.0)
    return bytes(header) + body + footer


def _folder(tmp: Path) -> Path:
    path = tmp / "map"
    path.mkdir()
    for x in range(2):
        for y in range(3):
            (path / f"spot_x{x}_y{y}.txt").write_text(
                f"Wavelength (nm),Intensity (counts)\n500,{x}\n501,{10 * y}\n"
            )
    return path


def _text(tmp: Path, name: str, text: str) -> Path:
    path = tmp / name
    path.write_bytes(text.encode())
    return path


def _saved(tmp: Path, name: str) -> Path:
    return plkit.write(spectrum(), tmp / name)


def _spe(tmp: Path) -> Path:
    path = tmp / "series.spe"
    frames = np.arange(12, dtype="<u2").reshape(3, 1, 4)
    path.write_bytes(
        make_spe(frames, [(0, 500_000), (1_000_000, 1_500_000), (3_000_000, 3_500_000)])
    )
    return path


# Name of the reader → what makes its example, or the example's place in the folder of measured files.
EXAMPLES: dict[str, Callable[[Path], Path] | str] = {
    "netcdf": lambda tmp: _saved(tmp, "a.nc"),
    "zarr": lambda tmp: _saved(tmp, "a.zarr"),
    "table": lambda tmp: _text(
        tmp, "a.csv", "Wavelength (nm);Intensity (counts)\n501,5;7\n500,5;3\n"
    ),
    "folder": _folder,
    "luqy": lambda tmp: _text(tmp, "a.abspl.txt", LUQY),
    "lightfield_csv": lambda tmp: _text(tmp, "long.csv", LONG),
    "lightfield_spe": _spe,
    "refractiveindex": lambda tmp: _text(tmp, "a.yml", NK),
    "picoquant_histogram": lambda tmp: _text(tmp, "a.dat", HISTOGRAM),
    "fluotime": lambda tmp: _text(tmp, "a.dat", FLUOTIME),
    "spcm": lambda tmp: _text(tmp, "a.asc", SPCM),
    "power_series": lambda tmp: _text(tmp, "a.csv", POWERS),
    "decay_table": lambda tmp: _text(
        tmp, "a.dat", "\tbins [ps]\tcounts [#]\n0\t0.0\t3.0\n1\t500.0\t9.0\n2\t1000.0\t4.0\n"
    ),
    "andor_sif": "sif_parser_tests/issue33/measurement.sif",
    "digitalmicrograph": "gpl_instrument_maps/quantum-emitters_map.dm4",
    "hspy": "gpl_instrument_maps/nanoparticles.hspy",
    "delmic": "gpl_instrument_maps/sparc-hyperspectral.h5",
    "renishaw": "raft_instrument_files/resources/test_files/WiRE/WiRE_532.wdf",
    "jobinyvon": "gpl_instrument_maps/jobinyvon_test_map_x3-y2.xml",
    "trivista": "gpl_instrument_maps/map.tvf",
    "hamamatsu": "gpl_instrument_maps/operate_mode.img",
    "digitalsurf": "gpl_instrument_maps/test_spectral_map.sur",
    **io_samples.MADE,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "folder": {"pattern": "spot_x{x}_y{y}.txt", "units": {"x": "um", "y": "um"}},
    "power_series": {"delay_unit": "ns", "power_unit": "W"},
    **io_samples.OPTIONS,
}

LIBRARIES = {"ptu": "ptufile", "sdt": "sdtfile", "witec": "witio"}

each_reader = pytest.mark.parametrize("reader", readers(), ids=lambda r: r.name)


def example(reader: Reader, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    assert reader.name in EXAMPLES, f"the reader '{reader.name}' has no example"
    made = EXAMPLES[reader.name]
    if reader.extra == "io":
        pytest.importorskip(LIBRARIES.get(reader.name, "rsciio"))
    if not isinstance(made, str):
        return made(tmp_path)
    return Path(request.getfixturevalue("test_data")) / made


def read_quietly(reader: Reader, path: Path) -> xr.Dataset:
    options = OPTIONS.get(reader.name, {})
    if reader.name in io_samples.WARNINGS:
        with pytest.warns(PlkitWarning, match=io_samples.WARNINGS[reader.name]):
            return plkit.read(path, **options)
    return plkit.read(path, **options)


@each_reader
def test_reader_keeps_the_contract(
    reader: Reader, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = example(reader, tmp_path, request)
    ds = read_quietly(reader, path)
    variable = measured_variable(ds)
    assert variable is not None
    da = ds[variable]
    # schema: no error, canonical order, spectral dim or delay last, ascending axes with plkit's units
    report = schema.validate(ds, variable)
    assert report.ok, str(report)
    dims = [str(d) for d in da.dims]
    assert any(d in names.MEASURED_DIMS for d in dims)
    if names.DELAY not in dims:
        assert dims[-1] in names.SPECTRAL_DIMS
    assert dims == sorted(dims, key=names.CANONICAL_ORDER.index)
    for dim in dims:
        assert np.all(np.diff(ds[dim].values) > 0)
        assert ds[dim].attrs["units"] == names.unit(dim)
    for name in ds.variables:
        if str(name) in names.TABLE:
            assert ds[name].attrs["units"] == names.unit(str(name))
            assert ds[name].attrs["long_name"]
    # provenance
    assert ds.attrs["source_file"] == path.name
    assert len(ds.attrs["source_sha256"]) == 64
    assert ds.attrs["reader"] == reader.name
    assert f"reader={reader.name!r}" in ds.attrs["history"]
    # in memory, numbers, and writable as they are
    assert da.dtype.kind in "iuf"
    assert all(isinstance(v, str | int | float | np.ndarray | np.number) for v in ds.attrs.values())
    again = plkit.read(plkit.write(ds, tmp_path / "again.nc"))
    xr.testing.assert_equal(again, ds)
    assert again[variable].dtype == da.dtype
    assert again.attrs["original_source_file"] in (path.name, ds.attrs.get("original_source_file"))


@each_reader
def test_reader_is_found_by_content(
    reader: Reader, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = example(reader, tmp_path, request)
    assert detect(path).name == reader.name
    renamed = tmp_path / "renamed.bin"
    if path.is_dir():
        path.rename(renamed)
    else:
        renamed.write_bytes(path.read_bytes())
    assert detect(renamed).name == reader.name


@pytest.mark.parametrize(
    "reader", [r for r in readers() if r.name not in ("zarr", "folder")], ids=lambda r: r.name
)
def test_reader_takes_any_prefix_of_a_file_or_says_why_not(
    reader: Reader, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = example(reader, tmp_path, request)
    whole = path.read_bytes()
    cut = tmp_path / f"cut{''.join(path.suffixes[-2:])}"
    for fraction in (0.001, 0.01, 0.1, 0.5, 0.9, 0.999):
        cut.write_bytes(whole[: max(int(fraction * len(whole)), 1)])
        refusal: PlkitError | None = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                ds = plkit.read(cut)
            except PlkitError as exc:
                refusal = exc
        if refusal is not None:
            assert str(refusal).startswith("Cannot read 'cut.")
            assert "\n" not in str(refusal)
            continue
        assert {w.category for w in caught} <= {PlkitWarning}
        variable = measured_variable(ds)
        assert variable is not None
        assert schema.validate(ds, variable).ok


@each_reader
def test_reader_refuses_an_unknown_option(
    reader: Reader, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = example(reader, tmp_path, request)
    if reader.name == "folder":
        with pytest.raises(DataError, match=r"'table' takes .*, not 'wavelenght_unit'"):
            plkit.read(path, **OPTIONS["folder"], wavelenght_unit="nm")
        return
    with pytest.raises(
        DataError, match=f"the reader '{reader.name}' takes .*, not 'wavelenght_unit'"
    ):
        plkit.read(path, wavelenght_unit="nm")


@each_reader
def test_reader_refuses_an_empty_file(reader: Reader, tmp_path: Path) -> None:
    empty = tmp_path / f"empty{reader.suffixes[0] if reader.suffixes else '.csv'}"
    empty.write_bytes(b"")
    with pytest.raises(
        FileFormatError, match=r"Cannot read 'empty.*' because the file is empty \(0 bytes\)\."
    ):
        plkit.read(empty)


def test_every_reader_has_an_example_and_a_name_of_its_own() -> None:
    assert {r.name for r in readers()} == set(EXAMPLES)
    assert len({r.name for r in readers()}) == len(readers())
    assert get_reader("luqy").title == "LuQY Pro absolute PL"
    with pytest.raises(DataError, match="reader is 'spectra', not one of netcdf, zarr"):
        get_reader("spectra")


def test_reader_can_be_named(tmp_path: Path) -> None:
    path = _text(tmp_path, "odd", "Wavelength (nm),Intensity\n500,1\n501,2\n")
    assert plkit.read(path, reader="table").attrs["reader"] == "table"
    with pytest.raises(FileFormatError, match="is damaged, truncated or no netCDF file"):
        plkit.read(path, reader="netcdf")


def test_xarray_engine_reads_plkit_formats_and_leaves_netcdf_alone(tmp_path: Path) -> None:
    text = _text(tmp_path, "a.csv", "Wavelength (nm),Intensity (counts)\n500,1\n501,2\n")
    ds = xr.open_dataset(text, engine="plkit")
    assert ds.attrs["reader"] == "table"
    assert "intensity" not in xr.open_dataset(text, engine="plkit", drop_variables="intensity")
    bare = _text(tmp_path, "bare.csv", "500,1\n501,2\n")
    assert xr.open_dataset(bare, engine="plkit", wavelength_unit="nm").sizes == {"wavelength": 2}

    from plkit.io.backend import PlkitBackend

    backend = PlkitBackend()
    assert backend.guess_can_open(str(text))
    assert not backend.guess_can_open(str(_saved(tmp_path, "a.nc")))
    assert not backend.guess_can_open(str(_saved(tmp_path, "a.zarr")))
    assert not backend.guess_can_open(str(tmp_path / "missing.csv"))
    assert not backend.guess_can_open(b"not a path")
    with xr.open_dataset(tmp_path / "a.nc") as plain:
        assert "reader" not in plain.attrs


def test_missing_extra_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib
    import sys

    from plkit.errors import MissingExtraError

    path = tmp_path / "a.wdf"
    path.write_bytes(b"WDF1" + bytes(600))
    for name in [m for m in sys.modules if m == "rsciio" or m.startswith("rsciio.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rsciio", None)
    monkeypatch.setitem(sys.modules, "rsciio.renishaw", None)
    importlib.invalidate_caches()
    with pytest.raises(
        MissingExtraError, match=r'Renishaw WiRE needs .* Install it: pip install "plkit\[io\]"'
    ):
        plkit.read(path)

    store = plkit.write(spectrum(), tmp_path / "a.zarr")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r'Zarr needs .zarr.* pip install "plkit\[scale\]"'):
        plkit.read(store)
    with pytest.raises(MissingExtraError, match=r'pip install "plkit\[scale\]"'):
        plkit.write(spectrum(), tmp_path / "b.zarr")


def test_rosetta_asks_for_what_the_file_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.arange(24.0).reshape(2, 3, 4)
    axes = [
        {"name": "", "units": "um", "offset": 0.0, "scale": 1.0, "size": 2, "navigate": True},
        {"name": "", "units": "um", "offset": 0.0, "scale": 2.0, "size": 3, "navigate": True},
        {"name": "", "units": None, "offset": 500.0, "scale": 1.0, "size": 4, "navigate": False},
    ]
    path = tmp_path / "a.wdf"
    path.write_bytes(b"WDF1" + bytes(600))
    monkeypatch.setattr(
        "plkit.io.rosetta.load", lambda module, path: [{"data": data, "axes": axes, "metadata": {}}]
    )
    with pytest.raises(
        FileFormatError, match=r'the spectral axis .* is stated neither.*signal_dim="wavelength"'
    ):
        plkit.read(path)
    with pytest.raises(FileFormatError, match="the unit of 'wavelength' is stated neither"):
        plkit.read(path, signal_dim="wavelength")
    with pytest.raises(FileFormatError, match="the unit of 'wavelength' is 'kg', not 'nm'"):
        plkit.read(path, signal_dim="wavelength", units={"wavelength": "kg"})
    ds = plkit.read(path, signal_dim="wavelength", units={"wavelength": "nm"})
    assert ds.intensity.dims == ("y", "x", "wavelength")
    assert ds.x.values.tolist() == [0, 2, 4]
    assert ds.wavelength.values.tolist() == [500, 501, 502, 503]
    np.testing.assert_array_equal(ds.intensity, data)


def test_spe_series_has_the_times_of_its_stamps(tmp_path: Path) -> None:
    ds = plkit.read(_spe(tmp_path))
    assert ds.time.values.tolist() == [0.25, 1.25, 3.25]
    assert ds.intensity.dtype == np.uint16
    assert ds.intensity.values[2].tolist() == [8, 9, 10, 11]
    assert ds.wavelength.values.tolist() == [600, 600.5, 601, 601.5]
    bare = tmp_path / "bare.spe"
    bare.write_bytes(make_spe(np.zeros((2, 1, 3), "<f4"), None))
    with pytest.warns(PlkitWarning, match="holds 2 frames without time stamps"):
        assert plkit.read(bare).time.values.tolist() == [0.25, 0.75]


def test_a_warning_of_a_reader_points_to_the_users_line(tmp_path: Path) -> None:
    path = tmp_path / "rate.csv"
    path.write_text("Wavelength (nm),Intensity (counts/s)\n500,3\n510,7\n520,3\n")
    for opened in (plkit.read, plkit.info):
        with pytest.warns(PlkitWarning, match="counts/s") as caught:
            opened(path)
        assert {w.filename for w in caught} == {__file__}
