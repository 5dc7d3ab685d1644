"""Formats by files of our own making, whose numbers are known; real files are in test_io_real_files.py."""

from __future__ import annotations

import gzip
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import FileFormatError, PlkitWarning

from . import io_samples as made


def put(folder: Path, content: str | bytes, name: str = "a.txt") -> Path:
    return made.written(name, content)(folder)


# WinSpec -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f4", "<i4", "<i2", "<u2"])
def test_winspec_series(tmp_path: Path, dtype: str) -> None:
    frames = made.counts(3, 1, 4).astype(dtype)
    with pytest.warns(PlkitWarning, match="3 frames without time stamps"):
        ds = plkit.read(put(tmp_path, made.winspec(frames), "a.spe"))
    assert ds.intensity.dims == ("time", "wavelength")
    assert ds.intensity.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(ds.intensity, frames[:, 0])
    # the calibration counts pixels from 1
    assert ds.wavelength.values.tolist() == [500.5, 501.0, 501.5, 502.0]
    assert float(ds.exposure_time) == 2.0  # 4 accumulations of 0.5 s
    assert ds.time.values.tolist() == [1.0, 3.0, 5.0]
    assert ds.attrs["acquired"] == "20Jan2025 150945"
    assert ds.attrs["detector_temperature_c"] == -70.0


def test_winspec_image_asks_and_keeps_16_bits(tmp_path: Path) -> None:
    path = put(tmp_path, made.winspec(np.full((1, 3, 4), 60000, "<u2")), "a.spe")
    with pytest.raises(FileFormatError, match=r'meaning of the 3 rows.*rows="sum"'):
        plkit.read(path)
    assert plkit.read(path, rows="sum").intensity.values.tolist() == [180000] * 4
    assert plkit.read(path, rows="point").intensity.shape == (3, 4)


def test_winspec_interrupted_series_is_nan(tmp_path: Path) -> None:
    whole = made.winspec(made.counts(4, 1, 8).astype("<u2"))
    with pytest.warns(PlkitWarning) as caught:
        ds = plkit.read(put(tmp_path, whole[: 4100 + 2 * 16 + 5], "a.spe"))
    assert any("holds 2 of 4 frames" in str(w.message) for w in caught)
    assert np.isnan(ds.intensity.values).all(axis=1).tolist() == [False, False, True, True]
    with pytest.raises(FileFormatError, match="holds none of its 4 frames"):
        plkit.read(put(tmp_path, whole[:4105], "b.spe"))


def test_winspec_calibration_that_is_no_wavelength(tmp_path: Path) -> None:
    frames = made.counts(1, 1, 4).astype("<f4")
    with pytest.raises(FileFormatError, match="wavelength of the 4 pixels is stated neither"):
        plkit.read(put(tmp_path, made.winspec(frames, calibrated=0), "a.spe"))
    path = put(tmp_path, made.winspec(frames, unit=4), "b.spe")
    with pytest.raises(FileFormatError, match="calibrated in 1/cm, not in nm"):
        plkit.read(path)
    assert plkit.read(path, wavelength=made.AXIS).wavelength.values.tolist() == made.AXIS.tolist()


# Photon counters ---------------------------------------------------------------------------------


def test_ptu_decay_equals_the_photons_written(tmp_path: Path) -> None:
    pytest.importorskip("ptufile")
    data = made.ptu(tmp_path / "a.ptu")
    ds = plkit.read(tmp_path / "a.ptu")
    assert ds.intensity.dims == ("delay",)
    np.testing.assert_array_equal(ds.intensity, data[0, 0, 0, 0])
    np.testing.assert_allclose(ds.delay, np.arange(40.0))
    assert ds.attrs["bin_width_ns"] == 1.0
    assert ds.attrs["repetition_rate_hz"] == 25e6
    assert float(ds.noise_gain) == 1.0


def test_ptu_image_adds_its_frames(tmp_path: Path) -> None:
    pytest.importorskip("ptufile")
    data = made.ptu(tmp_path / "a.ptu", shape=(3, 4, 5, 1, 20))
    ds = plkit.read(tmp_path / "a.ptu")
    assert ds.intensity.dims == ("delay", "y", "x")
    np.testing.assert_array_equal(
        ds.intensity.values[:20], data[..., 0, :].sum(0).transpose(2, 0, 1)
    )
    assert not ds.intensity.values[20:].any()  # the rest of the laser's period
    assert ds.x.values.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert ds.x.attrs["units"] == "um"
    assert float(ds.exposure_time) == pytest.approx(0.03)
    whole = (tmp_path / "a.ptu").read_bytes()
    with pytest.warns(PlkitWarning, match=r"holds \d+ of \d+ records.*its last frame is left out"):
        cut = plkit.read(put(tmp_path, whole[:-400], "b.ptu"))
    np.testing.assert_array_equal(
        cut.intensity.values[:20], data[:2, ..., 0, :].sum(0).transpose(2, 0, 1)
    )


def test_ptu_of_two_detectors_and_a_cut_image(tmp_path: Path) -> None:
    pytest.importorskip("ptufile")
    data = made.ptu(tmp_path / "a.ptu", shape=(1, 2, 3, 2, 20))
    with pytest.raises(FileFormatError, match="which of the detectors 0, 1 is wanted"):
        plkit.read(tmp_path / "a.ptu")
    with pytest.raises(FileFormatError, match="channel is 7, not one of 0, 1"):
        plkit.read(tmp_path / "a.ptu", channel=7)
    ds = plkit.read(tmp_path / "a.ptu", channel=1)
    np.testing.assert_array_equal(ds.intensity.values[:20], data[0, :, :, 1].transpose(2, 0, 1))
    whole = (tmp_path / "a.ptu").read_bytes()
    with pytest.raises(FileFormatError, match="breaks off within its only frame"):
        plkit.read(put(tmp_path, whole[:-100], "b.ptu"), channel=0)


def test_sdt_decays_and_images(tmp_path: Path) -> None:
    pytest.importorskip("sdtfile")
    one = made.counts(64)
    ds = plkit.read(put(tmp_path, made.sdt(one), "a.sdt"))
    np.testing.assert_array_equal(ds.intensity, one)
    # range over number of bins is the width of a bin
    np.testing.assert_allclose(ds.delay, np.arange(64) * 50.0 / 64)
    assert float(ds.exposure_time) == 12.5
    assert ds.attrs["title"] == "film"
    two = plkit.read(put(tmp_path, made.sdt(one, one[::-1]), "b.sdt"))
    assert two.intensity.dims == ("delay", "point")
    assert two.intensity.values[0].tolist() == [1, 64]
    image = made.counts(2, 3, 16)
    path = put(tmp_path, made.sdt(image), "c.sdt")
    with pytest.raises(FileFormatError, match=r"size of a pixel .*pixel_um=0\.5"):
        plkit.read(path)
    ds = plkit.read(path, pixel_um=0.5)
    assert ds.intensity.dims == ("delay", "y", "x")
    np.testing.assert_array_equal(ds.intensity, image.transpose(2, 0, 1))
    assert ds.x.values.tolist() == [0, 0.5, 1.0]
    with pytest.raises(FileFormatError, match="data block 0 announces 128 bytes"):
        plkit.read(put(tmp_path, made.sdt(one)[:-10], "d.sdt"))
    with pytest.raises(FileFormatError, match="block is 3, not 0 to 0"):
        plkit.read(tmp_path / "a.sdt", block=3)


# WITec -------------------------------------------------------------------------------------------


def test_witec_map_has_its_place_and_its_axis(tmp_path: Path) -> None:
    pytest.importorskip("witio")
    data = made.counts(3, 2, 4).astype("<u2")
    ds = plkit.read(put(tmp_path, made.witec(data), "a.wip"))
    assert ds.intensity.dims == ("y", "x", "wavelength")
    np.testing.assert_array_equal(ds.intensity, data.transpose(1, 0, 2))
    assert ds.wavelength.values.tolist() == [500, 502, 504, 506]
    assert ds.x.values.tolist() == [10, 10.5, 11]
    assert ds.y.values.tolist() == [20, 20.5]
    assert ds.attrs["title"] == "Map"
    # unit 3 of a spectral axis is the Raman shift
    raman = plkit.read(put(tmp_path, made.witec(data, unit_index=3, excitation_nm=495.0), "b.wip"))
    np.testing.assert_allclose(
        raman.raman_shift, 1e7 / 495.0 - 1e7 / np.array([500.0, 502, 504, 506])
    )


def test_witec_interrupted_map_is_nan_and_damage_is_named(tmp_path: Path) -> None:
    pytest.importorskip("witio")
    data = made.counts(3, 2, 4).astype("<f4")
    with pytest.warns(PlkitWarning, match="lacks 3 of 6 spectra"):
        ds = plkit.read(put(tmp_path, made.witec(data, valid=[True, False]), "a.wip"))
    assert np.isnan(ds.intensity[1]).all()
    assert np.isfinite(ds.intensity[0]).all()
    whole = made.witec(data)
    with pytest.raises(FileFormatError, match="does not lie within the file"):
        plkit.read(put(tmp_path, whole[: len(whole) // 2], "b.wip"))
    with pytest.raises(FileFormatError, match="graph is 'Film', not one of Map"):
        plkit.read(tmp_path / "a.wip", graph="Film")


# Photon etc. -------------------------------------------------------------------------------------


def test_photonetc_cube(tmp_path: Path) -> None:
    ds = plkit.read(made.photonetc(tmp_path / "a.h5"))
    assert ds.intensity.dims == ("y", "x", "wavelength")
    np.testing.assert_array_equal(ds.intensity, np.moveaxis(made.counts(4, 3, 2), 0, -1))
    assert ds.intensity.dtype == np.int16
    np.testing.assert_allclose(ds.y, [0, 0.14, 0.28])
    np.testing.assert_allclose(ds.x, [0, 0.13])
    assert ds.exposure_time.values.tolist() == [2.0] * 4
    assert ds.attrs["instrument"] == "Photon etc. IMA IMA-1"


def test_photonetc_pixel_from_camera_and_objective(tmp_path: Path) -> None:
    ds = plkit.read(made.photonetc(tmp_path / "a.h5", calibrated=False))
    np.testing.assert_allclose(ds.x, [0, 0.13])  # 6.5 µm, binned by 2, over 100
    assert plkit.read(tmp_path / "a.h5", pixel_um=0.2).x.values.tolist() == [0, 0.2]


def test_photonetc_interrupted_cube_is_nan(tmp_path: Path) -> None:
    with pytest.warns(PlkitWarning, match="holds 2 of 4 images.*the missing ones are NaN"):
        ds = plkit.read(made.photonetc(tmp_path / "a.h5", written=2))
    assert np.isnan(ds.intensity.values).all(axis=(0, 1)).tolist() == [False, False, True, True]


def test_photonetc_video_is_no_spectrum(tmp_path: Path) -> None:
    import h5py

    path = made.photonetc(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["Cube/Wavelength"][...] = 600.0
    with pytest.raises(FileFormatError, match="its 4 images are all at 600 nm"):
        plkit.read(path)


# ENVI --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
@pytest.mark.parametrize("dtype", ["<u2", ">i2", "<f4"])
def test_envi_in_every_order(tmp_path: Path, interleave: str, dtype: str) -> None:
    data = made.counts(2, 3, 4).astype(dtype)
    ds = plkit.read(made.envi(tmp_path / "a.hdr", data, interleave))
    assert ds.intensity.dims == ("y", "x", "wavelength")
    np.testing.assert_array_equal(ds.intensity, data)
    assert ds.wavelength.values.tolist() == made.AXIS.tolist()
    assert ds.x.values.tolist() == [0, 0.5, 1.0]
    assert ds.y.values.tolist() == [0, 0.25]


def test_envi_that_does_not_say_enough(tmp_path: Path) -> None:
    data = made.counts(2, 3, 4).astype("<u2")
    path = made.envi(
        tmp_path / "a.hdr", data, **{"wavelength units": "Unknown", "pixel size": None}
    )
    with pytest.raises(FileFormatError, match="unit of its wavelengths is stated neither"):
        plkit.read(path)
    with pytest.raises(FileFormatError, match="size of a pixel is stated neither"):
        plkit.read(path, wavelength_unit="um")
    ds = plkit.read(path, wavelength_unit="um", pixel_um=2.0)
    assert float(ds.wavelength[0]) == 500e3
    with pytest.warns(PlkitWarning, match="marks 1 of 24 values as not measured"):
        ds = plkit.read(made.envi(path, data, **{"data ignore value": 24}))
    assert np.isnan(ds.intensity.values[1, 2, 3])
    (tmp_path / "a.raw").write_bytes(data.tobytes()[:40])
    with pytest.raises(FileFormatError, match=r"'a\.raw' holds 40 bytes, not the 48 of 2 × 3 × 4"):
        plkit.read(path)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(FileFormatError, match="no file of numbers lies beside it"):
        plkit.read(path)
    for field, value, words in (
        ("samples", "-3", "field 'samples' is '-3', not a whole number"),
        ("data type", 6, "data type is 6, not one of"),
        ("interleave", "bxx", "interleave is 'bxx'"),
        ("wavelength", "{1, 2}", "holds 2 values, not 4"),
        ("bands", 400_000_000, "400000000 numbers"),
    ):
        made.envi(path, data)
        stated = re.sub(
            rf"^{field} = .*?(?=\n\S)", f"{field} = {value}", path.read_text(), flags=re.S | re.M
        )
        path.write_text(stated)
        with pytest.raises(FileFormatError, match=words):
            plkit.read(path)


# LabSpec -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decimal", [".", ","])
def test_labspec_map(tmp_path: Path, decimal: str) -> None:
    path = put(tmp_path, made.labspec(made.LABSPEC_MAP_AXES, made.LABSPEC_MAP, decimal))
    with pytest.raises(FileFormatError, match=r'whether x or y stands first .*first_column="y"'):
        plkit.read(path)
    ds = plkit.read(path, first_column="y")
    assert ds.intensity.dims == ("y", "x", "wavelength")
    assert ds.y.values.tolist() == [-1.0, 1.5]
    assert ds.x.values.tolist() == [-1.0, 0.5, 2.0]
    # row j, i-th position from the right: 100 j + 10 i + k
    assert ds.intensity.values[1].tolist() == [[120, 121, 122], [110, 111, 112], [100, 101, 102]]
    assert ds.wavelength.values.tolist() == [500.5, 501.5, 502.5]
    assert float(ds.exposure_time) == 6.0
    assert ds.attrs["excitation_wavelength_nm"] == 405.0
    assert plkit.read(path, first_column="x").sizes == {"y": 3, "x": 2, "wavelength": 3}


def test_labspec_interrupted_map_is_nan(tmp_path: Path) -> None:
    cut = made.LABSPEC_MAP[: made.LABSPEC_MAP.rindex("\t")]  # the last spectrum lacks its end
    path = put(tmp_path, made.labspec(made.LABSPEC_MAP_AXES, cut))
    with pytest.warns(PlkitWarning, match="last spectrum of 'a.txt' lacks 2 of its 3 channels"):
        ds = plkit.read(path, first_column="y")
    np.testing.assert_array_equal(ds.intensity.values[1, 0], [120, np.nan, np.nan])
    lines = made.LABSPEC_MAP.splitlines(keepends=True)
    path = put(tmp_path, made.labspec(made.LABSPEC_MAP_AXES, "".join(lines[:6])))
    with pytest.warns(PlkitWarning, match="holds 5 of the 6 positions of its grid"):
        ds = plkit.read(path, first_column="y")
    assert np.isnan(ds.intensity.values[1, 0]).all()


@pytest.mark.parametrize(
    ("axes", "body", "dims", "outer"),
    [
        ([], "500.5\t7\n501.5\t9\n", ("wavelength",), None),
        ([("Time", "s")], "\t500.5\t501.5\n0.0\t1\t2\n2.5\t3\t4\n", ("time", "wavelength"), [0.0, 2.5]),
        ([("X", "µm")], "\t500.5\t501.5\n-1.0\t1\t2\n2.5\t3\t4\n", ("x", "wavelength"), [-1.0, 2.5]),
        ([("Points", "")], "\t500.5\t501.5\n0\t1\t2\n1\t3\t4\n", ("point", "wavelength"), [0, 1]),
    ],
    ids=["spectrum", "time", "line", "points"],
)  # fmt: skip
def test_labspec_shapes(tmp_path: Path, axes: Any, body: str, dims: Any, outer: Any) -> None:
    ds = plkit.read(put(tmp_path, made.labspec([*made.LABSPEC_AXES, *axes], body)))
    assert ds.intensity.dims == dims
    assert ds.intensity.dtype == np.int32
    if outer is not None:
        assert ds[dims[0]].values.tolist() == outer


def test_labspec_refuses_what_it_cannot_tell(tmp_path: Path) -> None:
    for axes, body, words in (
        ([("Intens", "Cnt"), ("Spectr", "px")], "1\t2\n", "spectral axis is 'px', not nm"),
        ([("Intens", "Cnt")], "1\t2\n", "names 1 axes"),
        (
            [*made.LABSPEC_AXES, ("X", "mrad")],
            "\t1\t2\n0\t1\t2\n",
            "unit of its axis 'X' is 'mrad'",
        ),
        (made.LABSPEC_AXES, "1\t2\nx\t3\n2\t4\n", "holds 'x', not a number"),
        (
            [*made.LABSPEC_AXES, ("X", "µm")],
            "\t1\t2\n0\t1\t2\t3\t4\n1\t1\t2\n",
            "has 5 cells, not 3",
        ),
    ):
        with pytest.raises(FileFormatError, match=words):
            plkit.read(put(tmp_path, made.labspec(axes, body)))
    with pytest.warns(PlkitWarning, match="gives its intensity in 'Cnt/sec'"):
        plkit.read(put(tmp_path, made.labspec([("Intens", "Cnt/sec"), ("Spectr", "eV")], "1.5\t2\n1.6\t3\n")))  # fmt: skip


# Text of spectrometers ---------------------------------------------------------------------------


def test_edinburgh_scan(tmp_path: Path) -> None:
    ds = plkit.read(put(tmp_path, made.EDINBURGH))
    assert ds.intensity.values.tolist() == [10, 25, 20, 1]
    assert ds.attrs["excitation_wavelength_nm"] == 405.0
    assert float(ds.exposure_time) == 1.0
    with pytest.warns(PlkitWarning, match="lacks 2 of the 4 points of its scan; they are NaN"):
        cut = plkit.read(put(tmp_path, made.EDINBURGH[: made.EDINBURGH.index("502.0,2")]))
    assert cut.wavelength.values.tolist() == [500, 501, 502, 503]
    np.testing.assert_array_equal(cut.intensity, [10, 25, np.nan, np.nan])
    for old, new, words in (
        ("Xaxis,Wavelength", "Xaxis,Angle", "its axis is 'Angle'"),
        ("Yaxis,Counts", "Yaxis,Glow", "it measured 'Glow'"),
        ("Yaxis,Counts", "Yaxis,", "line 'yaxis' says"),
    ):
        with pytest.raises(FileFormatError, match=words):
            plkit.read(put(tmp_path, made.EDINBURGH.replace(old, new)))


def test_edinburgh_decays_are_photons(tmp_path: Path) -> None:
    ds = plkit.read(put(tmp_path, made.EDINBURGH_DECAYS))
    assert ds.intensity.dims == ("delay", "point")
    assert ds.intensity.values.T.tolist() == [[1, 9, 5, 2], [4, 8, 6, 3]]
    assert ds["sample"].values.tolist() == ["Decay1", "Decay2"]
    assert float(ds.noise_gain) == 1.0
    other = made.EDINBURGH_DECAYS.replace("Time(ns)\tTime(ns)", "Time(ns)\tTime(ps)")
    with pytest.raises(FileFormatError, match="not one thing for all curves"):
        plkit.read(put(tmp_path, other))


def test_fluoressence_signals(tmp_path: Path) -> None:
    path = put(tmp_path, made.FLUORESSENCE)
    with pytest.warns(PlkitWarning, match="in 'CPS'"):
        ds = plkit.read(path, signal="S1")
    assert ds.intensity.values.tolist() == [67564, 68900, 71712]
    with pytest.raises(FileFormatError, match="no signal 'R9', but S1c / R1c, S1"):
        plkit.read(path, signal="R9")
    with pytest.warns(PlkitWarning, match="in 'CPS'"):
        series = plkit.read(put(tmp_path, made.FLUORESSENCE_SERIES))
    assert series.time.values.tolist() == [0.0, 43.0]
    assert series.intensity.values.tolist() == [[111, 96], [70, 63]]


def test_perkin_elmer(tmp_path: Path) -> None:
    with pytest.warns(PlkitWarning, match="arbitrary unit"):
        ds = plkit.read(put(tmp_path, made.FL_WINLAB, "a.sp"))
    assert ds.wavelength.values.tolist() == [350, 350.5, 351, 351.5]
    assert ds.intensity.values.tolist() == [65.28, 54.65, 44.87, 36.40]
    with pytest.warns(PlkitWarning) as caught:
        cut = plkit.read(put(tmp_path, made.FL_WINLAB[: made.FL_WINLAB.index("351.5")], "b.sp"))
    assert any("lacks 1 of its 4 points" in str(w.message) for w in caught)
    assert np.isnan(cut.intensity.values).tolist() == [False, False, False, True]
    ds = plkit.read(put(tmp_path, made.LAMBDA_SPX, "a.dsp"))
    np.testing.assert_allclose(ds.transmittance, [0.315, 0.4, 0.6225])
    assert ds.wavelength.values.tolist() == [700, 700.5, 701]
    for old, new, words in (
        ("\n3\n", "\n9\n", "does not have 9 points"), ("%T", "E", "measured 'E'"), ("\nnm\n", "\nkg\n", "axis is in 'kg'"),
        ("40.0\n62.25\n", "40.0\n1\n2\n", "holds 4 values, not 3"), ("40.0", "x", "is not a number"),
    ):  # fmt: skip
        with pytest.raises(FileFormatError, match=words):
            plkit.read(put(tmp_path, made.LAMBDA_SPX.replace(old, new), "b.dsp"))


def test_ocean_optics(tmp_path: Path) -> None:
    ds = plkit.read(put(tmp_path, made.OCEAN))
    assert ds.intensity.values.tolist() == [776.36, 770.25, 702.5]
    assert float(ds.exposure_time) == pytest.approx(0.1)
    assert ds.attrs["spectra_averaged"] == 20
    view = (
        "Data from FLMS_0 Node\n\nDate: Mon Jan 20\nSpectrometer: FLMS\nIntegration Time (sec): 2.5E-1\n"
        "Scans to average: 3\nXAxis mode: Wavelengths\n>>>>>Begin Spectral Data<<<<<\n500,5\t1,25\n501,5\t2,5\n"
    )
    ds = plkit.read(put(tmp_path, view))
    assert ds.wavelength.values.tolist() == [500.5, 501.5]
    assert float(ds.exposure_time) == 0.25
    with pytest.raises(FileFormatError, match="axis is 'Pixels', not wavelengths"):
        plkit.read(put(tmp_path, view.replace("Wavelengths", "Pixels")))
    with pytest.warns(PlkitWarning, match="breaks off behind 2 of its 3 pixels"):
        cut = plkit.read(put(tmp_path, made.OCEAN[: made.OCEAN.index("340.82")]))
    assert cut.sizes == {"wavelength": 2}


def test_cary_samples(tmp_path: Path) -> None:
    path = put(tmp_path, made.CARY)
    with pytest.raises(FileFormatError, match=r"which of its 2 spectra \(first, second\)"):
        plkit.read(path)
    with pytest.raises(FileFormatError, match="sample is 'third', not one of first, second"):
        plkit.read(path, sample="third")
    first, second = plkit.read(path, sample="first"), plkit.read(path, sample="second")
    assert first.absorbance.values.tolist() == [0.125, 0.25, 0.5]
    assert second.transmittance.values.tolist() == [0.25, 0.5]
    assert second.wavelength.values.tolist() == [690, 700]


def test_prodata_quantities(tmp_path: Path) -> None:
    path = put(tmp_path, made.PRODATA)
    with pytest.warns(PlkitWarning, match="'Emission' without a unit"):
        ds = plkit.read(path)
    assert ds.intensity.dims == ("delay", "wavelength")
    assert ds.delay.values.tolist() == [-1, 0, 1]
    assert ds.intensity.values.tolist() == [[2.5, 1.5], [4.5, 3.5], [6.5, 5.5]]
    volts = plkit.read(path, quantity="Raw_Abs_Volt")
    assert volts.voltage.values[0].tolist() == [0.2, 0.1]
    with pytest.raises(FileFormatError, match="no property 'Light', but Emission, Raw_Abs_Volt"):
        plkit.read(path, quantity="Light")


def test_labview_measurement(tmp_path: Path) -> None:
    path = put(tmp_path, made.LVM, "a.lvm")
    with pytest.raises(
        FileFormatError, match="unit of its X column, a 'wavelength' is stated neither"
    ):
        plkit.read(path)
    ds = plkit.read(path, unit="nm")
    assert ds.intensity.dims == ("point", "wavelength")
    assert ds["sample"].values.tolist() == ["film", "glass"]
    assert ds.intensity.values.tolist() == [[1.5, 2.5, 3.5], [10, 20, 30]]
    implicit = made.LVM.replace("X_Columns\tOne", "X_Columns\tNo").replace("\n500.0\t", "\n\t")
    implicit = implicit.replace("\n501.0\t", "\n\t").replace("\n502.0\t", "\n\t")
    assert plkit.read(put(tmp_path, implicit, "b.lvm"), unit="nm").wavelength.values.tolist() == [500, 501, 502]  # fmt: skip
    with pytest.warns(PlkitWarning, match="lacks 1 of the 6 values of its channels; they are NaN"):
        ragged = plkit.read(put(tmp_path, made.LVM.replace("502.0\t3.5\t30", "502.0\t\t30"), "c.lvm"), unit="nm")  # fmt: skip
    assert np.isnan(ragged.intensity.values[0]).tolist() == [False, False, True]
    seconds = made.LVM.replace("X_Dimension\tWavelength\tWavelength", "X_Dimension\tTime\tTime")
    with pytest.raises(FileFormatError, match=r"what its X column \('Time'\) is"):
        plkit.read(put(tmp_path, seconds, "d.lvm"))
    decay = plkit.read(tmp_path / "d.lvm", dim="delay", unit="us")
    assert decay.intensity.dims == ("delay", "point")
    assert float(decay.delay[0]) == 500e3


def test_solis_text(tmp_path: Path) -> None:
    ds = plkit.read(put(tmp_path, made.SOLIS + "\n" + made.SOLIS_ROWS, "a.asc"))
    assert ds.intensity.dims == ("time", "wavelength")
    assert ds.intensity.values.tolist() == [[1, 2, 3, 4], [11, 12, 13, 14], [21, 22, 23, 24]]
    assert ds.wavelength.values.tolist() == made.AXIS.tolist()
    # two accumulations of 0.5 s every 0.75 s, spectra every 3 s: the middle is at 0.625 s
    assert ds.time.values.tolist() == [0.625, 3.625, 6.625]
    assert float(ds.exposure_time) == 1.0
    behind = plkit.read(put(tmp_path, made.SOLIS_ROWS + "\n\n" + made.SOLIS, "b.asc"))
    xr.testing.assert_equal(behind, ds)
    far = (made.SOLIS + "\n" + made.SOLIS_ROWS).replace(
        "(nm):              501", "(nm):              900"
    )
    with pytest.raises(FileFormatError, match="unit of its first column is stated neither"):
        plkit.read(put(tmp_path, far, "c.asc"))
    assert (
        plkit.read(tmp_path / "c.asc", wavelength_unit="nm").wavelength.values.tolist()
        == made.AXIS.tolist()
    )


def test_files_that_are_something_else_are_named(tmp_path: Path) -> None:
    for content, words in (
        (gzip.compress(b"500,1\n501,2\n"), "it is compressed by gzip. Unpack it"),
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "it is a picture"),
        (b"\xd0\xcf\x11\xe0" + bytes(20), "old Office document"),
        (
            b"\x89HDF\r\n\x1a\n" + bytes(600),
            "HDF5 file of a layout that plkit does not know, or damaged",
        ),
    ):
        with pytest.raises(FileFormatError, match=words):
            plkit.read(put(tmp_path, content, "a.dat"))


def test_wdf_interrupted_map_is_nan(test_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("rsciio")
    raw = bytearray((test_data / "gpl_instrument_maps/renishaw_test_map2.wdf").read_bytes())
    whole = plkit.read(put(tmp_path, bytes(raw), "a.wdf"))
    struct.pack_into("<Q", raw, 72, 350)  # spectra taken, of 400
    with pytest.warns(
        PlkitWarning, match="holds 350 of 400 spectra: the measurement was interrupted"
    ):
        ds = plkit.read(put(tmp_path, bytes(raw), "b.wdf"))
    assert ds.intensity.shape == (20, 20, 1015)
    assert np.isnan(ds.intensity[17:]).all()
    np.testing.assert_array_equal(ds.intensity[:17], whole.intensity[:17])
    np.testing.assert_allclose(ds.y, whole.y)
    struct.pack_into("<Q", raw, 72, 10)
    with pytest.raises(FileFormatError, match="holds 10 of 400 spectra, not two lines"):
        plkit.read(put(tmp_path, bytes(raw), "c.wdf"))


def test_wdf_white_light_picture(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    pytest.importorskip("PIL")
    path = test_data / "gpl_instrument_maps/renishaw_test_map2.wdf"
    ds = plkit.read(path, white_light=True)
    assert ds.white_light.dims == ("image_y", "image_x", "colour")
    assert ds.white_light.shape == (480, 752, 3)
    assert ds.white_light.dtype == np.uint8
    # the map lies within the picture
    assert float(ds.image_x.min()) < float(ds.x.min()) < float(ds.x.max()) < float(ds.image_x.max())
    assert float(ds.image_y.min()) < float(ds.y.min()) < float(ds.y.max()) < float(ds.image_y.max())
    assert "white_light" not in plkit.read(path)
