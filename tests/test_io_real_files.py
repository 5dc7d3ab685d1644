"""Files of real instruments: axes and values written down by hand from the files or the vendors' exports."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import plkit
from plkit.errors import FileFormatError, PlkitWarning


def test_proof_io_sif_equals_the_vendors_export(test_data: Path) -> None:
    folder = test_data / "sif_parser_tests/examples_with_calibration"
    ds = plkit.read(folder / "raman1.sif")
    export = plkit.read(folder / "raman1.asc")
    assert export.attrs["reader"] == "solis"
    assert float(export.exposure_time) == pytest.approx(50.0)
    # a file without its settings does not say its unit
    with pytest.raises(FileFormatError, match="unit of the spectral axis is stated neither"):
        plkit.read(folder / "raman1.asc", reader="table")
    assert ds.sizes == export.sizes == {"wavelength": 1024}
    # the export rounds to 5 decimals of nm and 6 digits of counts
    np.testing.assert_allclose(ds.wavelength, export.wavelength, atol=6e-6)
    np.testing.assert_allclose(ds.intensity, export.intensity, rtol=5e-6)
    assert ds.intensity.values[0] == 280099
    assert float(ds.wavelength[0]) == pytest.approx(405.23318, abs=1e-5)
    assert float(ds.exposure_time) == pytest.approx(
        50.0
    )  # 500 accumulations of 0.1 s, raman1.info.txt
    assert ds.attrs["instrument"] == "Andor DU888_BV"
    assert json.loads(ds.attrs["metadata"])["AccumulatedCycles"] == 500


@pytest.mark.parametrize(("number", "second"), [(0, -20), (1, 10), (2, 20)])
def test_proof_io_sif_equals_the_csv_export(test_data: Path, number: int, second: float) -> None:
    folder = test_data / "sif_parser_tests/kinetic/cli"
    with pytest.warns(PlkitWarning, match=r"'Counts \(Bg corrected per second\)'.*noise_gain"):
        ds = plkit.read(folder / f"cli-{number}.sif")
    export = plkit.read(folder / f"reference/cli-{number}.csv", wavelength_unit="nm")
    np.testing.assert_allclose(ds.wavelength, export.wavelength, atol=6e-6)
    np.testing.assert_array_equal(ds.intensity, export.intensity)
    assert export.intensity.dtype == np.int32
    assert ds.intensity.values[1] == second


def test_sif_kinetic_series_runs_over_time(test_data: Path) -> None:
    ds = plkit.read(test_data / "sif_parser_tests/issue33/measurement.sif")
    assert ds.intensity.dims == ("time", "wavelength")
    assert ds.intensity.shape == (20, 1024)
    # exposure 3 s, cycle 3.0221 s: the middle of the last exposure is at 19 · 3.0221 + 1.5
    np.testing.assert_allclose(ds.time[[0, 1, -1]], [1.5, 4.5221, 58.9199])
    np.testing.assert_allclose(ds.wavelength[[0, -1]], [530.0, 592.8413], atol=2e-4)
    assert ds.intensity.values[0, :5].tolist() == [747, 718, 719, 695, 786]
    assert float(ds.exposure_time) == 3.0


def test_sif_interrupted_series_is_nan_with_a_warning(test_data: Path, tmp_path: Path) -> None:
    whole = (test_data / "sif_parser_tests/issue33/measurement.sif").read_bytes()
    cut = tmp_path / "cut.sif"
    cut.write_bytes(whole[: 3200 + 4 * 1024 * 7])
    with pytest.warns(PlkitWarning, match=r"holds 7 of 20 spectra: .* the missing ones are NaN"):
        ds = plkit.read(cut)
    assert ds.sizes["time"] == 20
    assert np.isfinite(ds.intensity[:7]).all()
    assert np.isnan(ds.intensity[7:]).all()
    cut.write_bytes(whole[:3500])
    with pytest.raises(FileFormatError, match=r"holds none of the 20 spectra .* \(truncated\)"):
        plkit.read(cut)
    cut.write_bytes(whole[:1000])
    with pytest.raises(FileFormatError, match=r"the file ends inside its header \(truncated\)"):
        plkit.read(cut)


def test_sif_image_without_calibration_asks(test_data: Path) -> None:
    path = test_data / "sif_parser_tests/issue27/test.sif"
    with pytest.raises(
        FileFormatError,
        match=r"wavelength of the 256 pixels is stated neither.*wavelength=array_in_nm",
    ):
        plkit.read(path)
    axis = np.linspace(500, 600, 256)
    with pytest.raises(FileFormatError, match=r'meaning of the 256 rows.*rows="sum"'):
        plkit.read(path, wavelength=axis)
    with pytest.raises(FileFormatError, match=r"wavelength has shape \(3,\), not \(256,\)"):
        plkit.read(path, wavelength=[1, 2, 3])
    points = plkit.read(path, wavelength=axis, rows="point")
    assert points.intensity.dims == ("point", "wavelength")
    assert points.intensity.values[0, :5].tolist() == [851, 859, 699, 906, 744]
    added = plkit.read(path, wavelength=axis, rows="sum")
    np.testing.assert_allclose(added.intensity, points.intensity.sum("point", dtype=float))


def test_sif_raman_keeps_wavelength(test_data: Path) -> None:
    ds = plkit.read(test_data / "sif_parser_tests/raman_data/DD58_785_1_Fe2O3_5x10s.sif")
    np.testing.assert_allclose(ds.wavelength[[0, -1]], [789.835, 894.761], atol=1e-3)
    assert ds.intensity.values[0] == 33205
    assert float(ds.exposure_time) == pytest.approx(50.0, abs=1e-3)


def test_spe_spectrum_and_image(test_data: Path) -> None:
    folder = test_data / "spe2py_tests"
    ds = plkit.read(folder / "one_dimensional_spectrum.spe")
    np.testing.assert_allclose(
        ds.wavelength[[0, 1]], [567.93823813718757, 568.19778151389642], rtol=1e-15
    )
    assert ds.intensity.shape == (1024,)
    # the bytes behind the header of 4100 are the counts
    raw = (folder / "one_dimensional_spectrum.spe").read_bytes()
    assert ds.intensity.values[:3].tolist() == list(struct.unpack_from("<3f", raw, 4100))
    assert float(ds.exposure_time) == pytest.approx(1.0)
    assert ds.attrs["instrument"] == "Princeton Instruments PIXIS: 1024B"
    image = plkit.read(folder / "small_roi.spe", rows="point")
    assert image.intensity.dtype == np.uint16
    assert image.intensity.shape == (638, 705)
    assert image.intensity.values[0, :4].tolist() == [594, 594, 584, 584]
    # 638 rows of some 600 counts do not fit into 16 bits
    added = plkit.read(folder / "small_roi.spe", rows="sum")
    assert added.intensity.values[0] == image.intensity.values[:, 0].sum(dtype=np.int64) > 2**16


@pytest.mark.parametrize(
    ("name", "size", "gap_ev", "exposure_s", "first", "peak"),
    [
        (
            "GaAs5_Large_Spot_center.abspl.txt",
            1510,
            1.424,
            0.014,
            550.1383,
            (870.8274, 6.671445e13, 679.2859),
        ),
        ("100_40-1.abspl.txt", 1024, 1.671, 0.010, 395.9752, (741.1129, 1.205378e11, 3825.4)),
        (
            "0_1_0-ecf314iynbrwtd33zkk5auyebh.abspl.txt",
            1477,
            2.095,
            0.1,
            549.5612,
            (591.8587, 1.619804e12, 1556.8),
        ),
    ],
)
def test_proof_io_absolute_pl(test_data: Path, name: str, size: int, gap_ev: float, exposure_s: float, first: float, peak: tuple[float, float, float]) -> None:  # fmt: skip
    ds = plkit.read(test_data / "hzb_hysprint" / name)
    assert ds.sizes == {"wavelength": size}
    assert ds.attrs["bandgap_ev"] == gap_ev
    assert float(ds.exposure_time) == pytest.approx(exposure_s)
    assert float(ds.wavelength[0]) == first
    at = ds.isel(wavelength=int(ds.photon_flux.argmax("wavelength")))
    assert (float(at.wavelength), float(at.photon_flux), float(at.intensity)) == pytest.approx(peak)
    assert ds.photon_flux.attrs["units"] == "1/(cm^2 nm s)"
    assert ("dark_intensity" in ds) == (name != "100_40-1.abspl.txt")
    # the maximum of the emission lies within 0.08 eV of the band gap that the instrument states
    assert 1239.842 / peak[0] == pytest.approx(gap_ev, abs=0.08)


def test_luqy_intensity_file(test_data: Path) -> None:
    ds = plkit.read(test_data / "hzb_hysprint/AA142-2s10_10ms.pli.txt")
    assert ds.attrs["luqy_percent"] == 1.5194
    assert ds.attrs["bandgap_ev"] == 1.677
    assert ds.attrs["subcell_area_cm2"] == 1.0


def test_proof_io_refractive_index_of_cspbbr3(test_data: Path) -> None:
    folder = test_data / "refractiveindex_perovskite/database/data/other/perovskite"
    ds = plkit.read(folder / "CsPbBr3/nk/Brennan.yml")
    assert ds.wavelength.values[[0, -1]].tolist() == [200.0, 2500.0]
    at = ds.sel(wavelength=[405.0, 520.0], method="nearest")
    assert at.refractive_index.values.tolist() == [2.204522, 2.32993]
    assert at.extinction_coefficient.values.tolist() == [0.24442, 0.24049]
    assert "10.1557/s43579-024-00576-x" in ds.attrs["references"]
    for path in sorted(folder.rglob("nk/*.yml")):
        found = plkit.read(path)
        assert plkit.validate(found, "refractive_index").ok, path
        assert 0.5 < float(found.refractive_index.median()) < 4


def test_lightfield_long_csv(test_data: Path) -> None:
    path = next((test_data / "wellesley_illumination").glob("*.csv"))
    ds = plkit.read(path)
    assert ds.intensity.dims == ("time", "wavelength")
    assert ds.intensity.shape == (60, 1340)
    assert ds.intensity.dtype == np.int32
    # the first exposure lasts from 3849.4 to 5003849.4 µs, the last from 294499518.3 to 299499518.3 µs
    np.testing.assert_allclose(ds.time[[0, -1]], [2.5, 294.4995183 - 0.0038494 + 2.5], rtol=1e-12)
    np.testing.assert_allclose(ds.exposure_time, 5.0)
    assert float(ds.wavelength[0]) == 414.82169228227747
    assert float(ds.wavelength[-1]) == 980.53681753042974
    assert ds.intensity.values[0, [0, 1, 2, -1]].tolist() == [2, -3, -13, 7]
    assert ds.intensity.values[-1, [-2, -1]].tolist() == [38, 28]
    # the PL of the film, on the tail of the laser, peaks near 640 nm
    smooth = ds.intensity.median("time").rolling(wavelength=9, center=True).mean()
    assert 625 < float(smooth.sel(wavelength=slice(605, 720)).idxmax()) < 650


def test_matrix_of_surface_photovoltage(test_data: Path) -> None:
    path = next((test_data / "hzb_hysprint").glob("*.spv.txt"))
    with pytest.raises(FileFormatError, match="unit of the spectral axis is stated neither"):
        plkit.read(path)
    ds = plkit.read(path, wavelength_unit="nm", variable="voltage")
    assert ds.voltage.dims == ("time", "wavelength")
    assert ds.wavelength.values.tolist() == [476.0, 563.0, 688.0]
    assert ds.voltage.values[0].tolist() == [-1e-6, -1e-6, -2.3e-5]
    assert float(ds.time[1]) == 1e-8


@pytest.mark.parametrize(
    ("path", "dims", "ends"),
    [
        (
            "gpl_instrument_maps/quantum-emitters_map.dm4",
            {"y": 16, "x": 16, "wavelength": 1336},
            (470.531, 744.954),
        ),
        (
            "gpl_instrument_maps/nanoparticles.hspy",
            {"y": 15, "x": 20, "wavelength": 507},
            (229.399, 769.001),
        ),
        ("gpl_instrument_maps/EELS_SI.dm4", {"y": 2, "x": 2, "energy_loss": 2048}, (300, 2347)),
        ("gpl_instrument_maps/map.tvf", {"y": 9, "x": 9, "wavelength": 1024}, (891.894, 932.579)),
        (
            "gpl_instrument_maps/operate_mode.img",
            {"delay": 512, "wavelength": 672},
            (472.252, 526.844),
        ),
        (
            "gpl_instrument_maps/renishaw_test_map2.wdf",
            {"y": 20, "x": 20, "wavelength": 1015},
            (326.172, 412.448),
        ),
        (
            "gpl_instrument_maps/sparc-hyperspectral.h5",
            {"y": 3, "x": 2, "wavelength": 128},
            (467.876, 732.124),
        ),
        (
            "dtu_wdf_map/indiogo_0019_RTP_hc_1x10s_P1_x20_map_0.wdf",
            {"x": 9, "raman_shift": 1015},
            (24.445, 1293.471),
        ),
        (
            "raft_instrument_files/resources/test_files/WiRE/WiRE_532.wdf",
            {"raman_shift": 1015},
            (794.197, 1943.045),
        ),
        ("pytemlib_EELS_STO/EELS_STO.dm3", {"energy_loss": 2048}, (350, 861.75)),
    ],
)
def test_microscope_files(
    test_data: Path, path: str, dims: dict[str, int], ends: tuple[float, float]
) -> None:
    pytest.importorskip("rsciio")
    ds = plkit.read(test_data / path)
    assert dict(ds.intensity.sizes) == dims
    spectral = list(dims)[-1]
    assert ds[spectral].values[[0, -1]] == pytest.approx(ends, abs=2e-3)
    assert ds.intensity.dtype.kind in "iuf"
    assert bool((ds.intensity > 0).any())


def test_microscope_scales_are_micrometres(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    ds = plkit.read(test_data / "gpl_instrument_maps/nanoparticles.hspy")
    assert float(ds.x[-1]) == pytest.approx(
        19 * 0.06127204757518014
    )  # the file says 61.27 nm a step
    odemis = plkit.read(test_data / "gpl_instrument_maps/sparc-hyperspectral.h5")
    assert odemis.intensity.dtype == np.uint16
    assert np.all(np.diff(odemis.y) > 0)  # the file's own y descends
    streak = plkit.read(test_data / "gpl_instrument_maps/operate_mode.img")
    assert float(streak.delay[-1]) == pytest.approx(
        16009.396, abs=0.01
    )  # ns; the file says 16.009 µs


def test_labspec_files_in_counts_per_second_warn(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    folder = test_data / "gpl_instrument_maps"
    with pytest.warns(PlkitWarning, match=r"gives its intensity in 'Counts/s'"):
        ds = plkit.read(folder / "jobinyvon_test_map_x3-y2.xml")
    assert ds.intensity.attrs["units_in_file"] == "Counts/s"
    assert ds.x.values.tolist() == [-2, 0, 2]
    with pytest.warns(PlkitWarning, match="Counts/s"):
        energy = plkit.read(folder / "jobinyvon_test_spec_3s_eV.xml")
    assert energy.energy.values[[0, -1]].tolist() == [1.60672, 1.7201]
    with pytest.warns(PlkitWarning, match=r"in 'a\.u\.'"):
        attolight = plkit.read(folder / "test_spectral_map.sur")
    assert attolight.wavelength.values[[0, -1]] == pytest.approx([333.275, 668.231], abs=1e-3)


def test_proof_io_renishaw_series_counts_in_ticks_of_100_ns(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    ds = plkit.read(test_data / "gpl_instrument_maps/renishaw_test_timeseries.wdf")
    # exposure 1 s, pause 2 s: spectra cannot follow each other within 31 ms, as nanoseconds would have it
    assert float(ds.exposure_time) == 1.0
    np.testing.assert_allclose(np.diff(ds.time), 3.0665, atol=1e-4)
    assert float(ds.time[0]) == 0.5


def test_info_of_a_real_file(test_data: Path) -> None:
    path = test_data / "sif_parser_tests/issue33/measurement.sif"
    found = plkit.info(path)
    text = str(found)
    assert "read by 'andor_sif'" in text
    assert "time: 20 from 1.5 to 58.9199 s, step 3.022 s" in text
    assert "wavelength: 1024 from 530 to 592.841 nm" in text
    assert "exposure    3 s" in text
    assert "missing     0 values, 0 whole spectra" in text
    assert "gain is not known" in text
    assert found.sketch.count("█") == 1
    assert len(found.sketch) == 60
    again = json.loads(json.dumps(found.to_dict()))
    assert again["dims"][1]["name"] == "wavelength"
    assert again["size_bytes"] == path.stat().st_size
    assert again["maximum"] == 48009.0


def test_convert_a_real_file(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "sif_parser_tests/issue33/measurement.sif"
    target = plkit.convert(source, tmp_path / "series.nc")
    ds = plkit.read(target)
    assert ds.attrs["original_source_file"] == "measurement.sif"
    assert ds.attrs["original_source_sha256"] == plkit.info(source).sha256
    with pytest.raises(FileFormatError, match=r"the file exists\. Pass overwrite=True"):
        plkit.convert(source, target)
    assert plkit.convert(source, target, overwrite=True) == target
    assert [p.name for p in tmp_path.iterdir()] == ["series.nc"]
