"""Decay traces: every format pinned by numbers, cut files, units that nobody states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, samples
from plkit.errors import DataError, FileFormatError, PlkitWarning
from plkit.io.registry import detect

HISTOGRAM = (
    "#PicoHarp 300  Histogram Data\t\t\t01/20/25 15:09:45\n#channels per curve\n4\n#display curve no.\n0\t1\t\n"
    "#memory block no.\n0\t1\t\n#ns/channel\n0.5000\t0.5000\t\n#counts\n1\t2\t\n30\t40\t\n5\t6\t\n7\t8\t\n"
)
SPCM = (
    "  Title : film\n  Version : 1 975 M\n  Revision : 2 bits ADC\n  Date : 2017-07-27\n  Time : 13:26:44\n  \n"
    "  SYS_PARA_BEGIN:\n  #SP [SP_TAC_R,F,5.0033574e-08]\n  #SP [SP_SPE_FN,S,d:\\a b.sdt]\n*END\n"
    "*BLOCK 1  ( Time[us]  No_of_photons )\n0.000 ,    1\n0.250 ,   12\n0.500 ,    5\n0.750 ,    2\n*END\n"
)
POWERS = "x1,x2,x3\n0,1e-6,2.0e-5\n0,1.5,2.5\n0,0.25,0.75\n0.0,10,30\n0.5,6,20\n1.0,3,11\n"
UNITS = {"delay_unit": "ns", "power_unit": "W"}


def written(folder: Path, text: str, name: str = "a.dat") -> Path:
    path = folder / name
    path.write_bytes(text.encode("latin-1"))
    return path


# Measured files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reader", "bins", "total", "width_ns", "peak"),
    [
        ("trpl-fapi", "decay_table", 32768, 608_604, 1.0, (59.0, 585)),
        ("trpl-silicon", "picoquant_histogram", 32768, 57_177, 1.0, (265.0, 565)),
        ("trpl-mbg-od0", "fluotime", 2001, 1_386_238, 1.0, (41.0, 5000)),
        ("trpl-mbg-od05", "fluotime", 2001, 1_943_855, 1.0, (41.0, 5000)),
        ("trpl-mbg-od1", "fluotime", 2001, 2_379_553, 1.0, (41.0, 4126)),
        ("trpl-spcm", "spcm", 1024, 3_844_197, 0.0032574, (0.482094, 65529)),
        ("trpl-spcm-setup", "spcm", 4096, 27_025, 0.00407174, (2.585557, 128)),
    ],
)
def test_proof_io_decays(test_data: Path, name: str, reader: str, bins: int, total: int, width_ns: float, peak: tuple[float, int]) -> None:  # fmt: skip
    ds = plkit.read(samples.fetch(name))
    assert ds.attrs["reader"] == reader
    assert ds.intensity.dims == ("delay",)
    assert ds.sizes == {"delay": bins}
    assert float(ds.intensity.sum()) == total
    assert ds.attrs["bin_width_ns"] == pytest.approx(width_ns, rel=1e-5)
    at = ds.isel(delay=int(ds.intensity.argmax("delay")))
    assert float(at.delay) == pytest.approx(peak[0], abs=1e-6)
    assert float(at.intensity) == peak[1]
    assert ds.delay.attrs["units"] == "ns"
    assert ds.intensity.attrs["units"] == "counts"
    assert ds.intensity.dtype == (np.float64 if name == "trpl-fapi" else np.int32)
    assert float(ds.noise_gain) == 1.0
    assert plkit.validate(ds).codes == ()
    assert str(bins) in str(plkit.info(samples.fetch(name)))


def test_fluotime_header_says_how_it_was_measured(test_data: Path) -> None:
    ds = plkit.read(samples.fetch("trpl-mbg-od05"))
    stated = {
        "instrument": "PicoQuant FluoTime",
        "sample": "MBG_Glass_Air_OD0.5",
        "acquired": "14/02/2022 12:44:23",
        "repetition_rate_hz": 500e3,
        "excitation_wavelength_nm": 505.5,
        "emission_wavelength_nm": 770.0,
        "excitation_attenuation": "31.623% (5)",
        "signal_rate_cps": 24390.0,
    }
    assert {k: ds.attrs[k] for k in stated} == stated
    assert float(ds.exposure_time) == 91.4
    # the rate that the counter states, over the time that it states, is the sum of the histogram
    photons = ds.attrs["signal_rate_cps"] * float(ds.exposure_time)
    assert float(ds.intensity.sum()) == pytest.approx(photons, rel=0.15)
    # the record is as long as the time between two pulses
    assert float(ds.delay[-1]) == pytest.approx(1e9 / ds.attrs["repetition_rate_hz"])
    assert json.loads(ds.attrs["metadata"])["Det_Grating"] == "1200gr_500bl (1)"


def test_timeharp_and_spcm_headers(test_data: Path) -> None:
    silicon = plkit.read(samples.fetch("trpl-silicon"))
    assert silicon.attrs["instrument"] == "TimeHarp 260"
    assert silicon.attrs["acquired"] == "08/13/25 15:09:45"
    spcm = plkit.read(samples.fetch("trpl-spcm-setup"))
    assert spcm.attrs["title"] == "g1 000nm slit 0020_3.500uW_16ns"
    setup = json.loads(spcm.attrs["metadata"])
    # range over gain and resolution of the converter is the width of a bin
    width_ns = float(setup["SP_TAC_R"]) / int(setup["SP_TAC_G"]) / int(setup["SP_ADC_RE"]) * 1e9
    assert spcm.attrs["bin_width_ns"] == pytest.approx(width_ns, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "bins", "power_uw", "totals"),
    [
        ("trpl-power-series-1", 5604, [0.0694, 0.695, 6.96, 69.5, 621.0], [59640, 630335, 13259878, 18635734, 10424462]),
        ("trpl-power-series-2", 4627, [0.0689, 0.694, 6.91, 69.4, 616.0], [110781, 1190277, 17771642, 3282527, 10814452]),
    ],
)  # fmt: skip
def test_proof_io_power_series(test_data: Path, name: str, bins: int, power_uw: list[float], totals: list[int]) -> None:  # fmt: skip
    ds = plkit.read(samples.fetch(name), **UNITS)
    assert ds.intensity.dims == ("power", "delay")
    assert ds.sizes == {"power": 5, "delay": bins}
    np.testing.assert_allclose(ds.power, power_uw)
    assert ds.power.attrs["units"] == "uW"
    assert ds.intensity.sum("delay").values.tolist() == totals
    assert ds.attrs["bin_width_ns"] == pytest.approx(0.256049)
    # the background that the file states is the level at its end, where the decay is over
    tail = ds.isel(power=0, delay=slice(-1000, None)).intensity.mean()
    assert float(ds.dark_intensity[0]) == pytest.approx(float(tail), abs=0.15)
    assert ds.filter_density.values.round(2).tolist()[:3] == [1.46, 1.46, 2.04]
    with pytest.raises(
        FileFormatError, match=r"unit of 'delay' is stated neither .* power_unit=\"W\""
    ):
        plkit.read(samples.fetch(name))


def test_decays_survive_netcdf_and_csv(test_data: Path, tmp_path: Path) -> None:
    one = plkit.read(samples.fetch("trpl-mbg-od0"))
    series = plkit.read(samples.fetch("trpl-power-series-1"), **UNITS).isel(delay=slice(0, 50))
    for ds in (one, series):
        for suffix in ("nc", "csv"):
            path = plkit.write(ds, tmp_path / f"a.{suffix}", overwrite=True)
            again = plkit.read(path)
            xr.testing.assert_equal(again, ds)
            assert again.intensity.dtype == ds.intensity.dtype
            assert again.attrs["bin_width_ns"] == ds.attrs["bin_width_ns"]


# What the formats hold ----------------------------------------------------------------------------


def test_histogram_with_two_curves(tmp_path: Path) -> None:
    ds = plkit.read(written(tmp_path, HISTOGRAM))
    assert ds.intensity.dims == ("delay", "point")
    assert ds.intensity.values.tolist() == [[1, 2], [30, 40], [5, 6], [7, 8]]
    assert ds.delay.values.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert ds.attrs["instrument"] == "PicoHarp 300"
    uneven = HISTOGRAM.replace("0.5000\t0.5000", "0.5000\t0.2500")
    with pytest.raises(FileFormatError, match=r"bins of 0.5000\s+0.2500 ns, not of one width"):
        plkit.read(written(tmp_path, uneven))


def test_spcm_with_two_blocks_in_microseconds(tmp_path: Path) -> None:
    block = SPCM[SPCM.index("*BLOCK") :]
    ds = plkit.read(
        written(tmp_path, SPCM + block.replace("BLOCK 1", "BLOCK 2").replace("12", "21"))
    )
    assert ds.intensity.dims == ("delay", "point")
    assert ds.intensity.values.T.tolist() == [[1, 12, 5, 2], [1, 21, 5, 2]]
    assert ds.delay.values.tolist() == [0.0, 250.0, 500.0, 750.0]
    assert ds.attrs["bin_width_ns"] == 250.0
    assert json.loads(ds.attrs["metadata"])["SP_SPE_FN"] == "d:\\a b.sdt"
    shifted = block.replace("0.250", "0.300")
    with pytest.raises(FileFormatError, match="its blocks have different time axes"):
        plkit.read(written(tmp_path, SPCM + shifted))
    with pytest.raises(FileFormatError, match=r"its block is .*Wavelength.*, not time and number"):
        plkit.read(written(tmp_path, SPCM.replace("Time[us]", "Wavelength[nm]")))


@pytest.mark.parametrize(
    ("text", "delay_ns"),
    [
        ("\tbins [ps]\tcounts [#]\n0\t0.0\t3.0\n1\t500.0\t9.0\n2\t1000.0\t4.0\n", [0.0, 0.5, 1.0]),
        ("Time (ns),Counts\n0,3\n0.5,9\n1,4\n", [0.0, 0.5, 1.0]),
        ("delay (us);intensity (counts)\n0,0;3\n0,5;9\n1,0;4\n", [0.0, 500.0, 1000.0]),
        ("Time (ns),Counts\n1,4\n0.5,9\n0,3\n", [0.0, 0.5, 1.0]),
        ("Time[ns]\tcounts\n-1\t3\n-0.5\t9\n0\t4\n", [-1.0, -0.5, 0.0]),
    ],
    ids=["index", "comma", "decimal comma", "descending", "before the pulse"],
)
def test_tables_of_a_decay(tmp_path: Path, text: str, delay_ns: list[float]) -> None:
    ds = plkit.read(written(tmp_path, text))
    assert ds.attrs["reader"] == "decay_table"
    assert ds.delay.values.tolist() == delay_ns
    assert ds.intensity.values.tolist() == [3, 9, 4]
    assert float(ds.noise_gain) == 1.0


def test_units_are_asked_for_not_guessed(tmp_path: Path) -> None:
    bare = written(tmp_path, "delay,counts\n0,3\n1,9\n2,4\n")
    with pytest.raises(
        FileFormatError, match=r'unit of the delay is stated neither .*delay_unit="ns"'
    ):
        plkit.read(bare)
    assert plkit.read(bare, delay_unit="ps").delay.values.tolist() == [0.0, 0.001, 0.002]
    with pytest.raises(FileFormatError, match="unit of its delay is 'nm', not 'ns' or a multiple"):
        plkit.read(bare, delay_unit="nm")
    series = written(tmp_path, POWERS, "b.csv")
    with pytest.raises(FileFormatError, match="unit of 'power' is stated neither"):
        plkit.read(series, delay_unit="ns")
    with pytest.raises(FileFormatError, match="power_unit is 'K', not 'uW' or a multiple"):
        plkit.read(series, delay_unit="ns", power_unit="K")
    assert plkit.read(series, **UNITS).power.values.tolist() == pytest.approx([1.0, 20.0])
    with pytest.raises(DataError, match="'fluotime' takes no option, not 'delay_unit'"):
        plkit.read(written(tmp_path, "Parameters:\n  Meas_BinWidth : 1 ns\n"), delay_unit="ns")


def test_other_tables_are_left_to_their_readers(tmp_path: Path) -> None:
    for text in (
        "Wavelength (nm),Intensity (counts)\n500,3\n501,5\n",
        "time (s),wavelength (nm),intensity (counts)\n0,500,3\n0,501,5\n",
        "time (s),counts\n0,3\n1,5\n",
        "x1,x2\n500,3\n501,5\n",
    ):
        assert detect(written(tmp_path, text)).name == "table"
    ds = plkit.read(written(tmp_path, "Time (ns),Counts\n0,3\n0.5,9\n1,4\n"))
    assert plkit.read(plkit.write(ds, tmp_path / "own.csv")).attrs["reader"] == "table"
    # a slow trace against time is no decay: the way on is shown
    slow = written(tmp_path, "time (s),counts\n0,3\n1,5\n")
    with pytest.raises(FileFormatError, match=r'For a decay trace: .*reader="decay_table"'):
        plkit.read(slow)
    with pytest.raises(
        FileFormatError, match=r"its columns are 'time \(s\)', 'counts', not a delay"
    ):
        plkit.read(slow, reader="decay_table")


def test_numbers_that_are_no_photons_carry_no_noise_model(tmp_path: Path) -> None:
    for counts in ("-1", "0.5"):
        path = written(tmp_path, f"Time (ns),Counts\n0,3\n0.5,{counts}\n1,4\n")
        with pytest.warns(PlkitWarning, match="negative or not whole.*Set noise_gain"):
            ds = plkit.read(path)
        assert names.NOISE_GAIN not in ds


# Files that break off -----------------------------------------------------------------------------


def test_cut_histogram_is_filled_with_nan(tmp_path: Path) -> None:
    # the last line has no end: of "30" a "3" would be left
    cut = HISTOGRAM[: HISTOGRAM.index("5\t6")]
    with pytest.warns(PlkitWarning, match="lacks 2 of its 4 channels; they are NaN"):
        ds = plkit.read(written(tmp_path, cut))
    np.testing.assert_array_equal(ds.intensity[:, 0], [1, 30, np.nan, np.nan])
    inside = HISTOGRAM[: HISTOGRAM.index("0\t40\t")]
    with pytest.warns(PlkitWarning, match="lacks 3 of its 4 channels"):
        ds = plkit.read(written(tmp_path, inside))
    np.testing.assert_array_equal(ds.intensity[:, 1], [2, np.nan, np.nan, np.nan])
    assert float(ds.noise_gain) == 1.0
    with pytest.raises(FileFormatError, match="breaks off before the first count"):
        plkit.read(written(tmp_path, HISTOGRAM[: HISTOGRAM.index("1\t2")]))
    with pytest.raises(FileFormatError, match="its header lacks"):
        plkit.read(written(tmp_path, HISTOGRAM[: HISTOGRAM.index("#ns")]))
    with pytest.raises(FileFormatError, match="holds 5 lines of counts, not 4"):
        plkit.read(written(tmp_path, HISTOGRAM + "1\t1\t\n"))
    with pytest.raises(FileFormatError, match="line 12 holds 'x"):
        plkit.read(written(tmp_path, HISTOGRAM.replace("30\t40", "x\t40")))


def test_cut_spcm_goes_on_in_even_steps(tmp_path: Path) -> None:
    with pytest.warns(PlkitWarning, match="lacks 2 of its 4 channels"):
        ds = plkit.read(written(tmp_path, SPCM[: SPCM.index(",    5")]))
    assert ds.delay.values.tolist() == [0.0, 250.0, 500.0, 750.0]
    np.testing.assert_array_equal(ds.intensity, [1, 12, np.nan, np.nan])
    unknown = SPCM.replace("2 bits ADC", "ADC").replace("  Revision", "  Revised")
    with pytest.warns(PlkitWarning, match="breaks off behind bin 2"):
        ds = plkit.read(written(tmp_path, unknown[: unknown.index(",    5")]))
    assert ds.intensity.values.tolist() == [1, 12]


def test_cut_table_keeps_no_wrong_bin(tmp_path: Path) -> None:
    path = written(tmp_path, "Time (ns),Counts\n8,3\n9,9\n10,7\n1")
    with pytest.warns(PlkitWarning) as caught:
        ds = plkit.read(path)
    assert "cut within its delay; its bin is left out" in str(caught[-1].message)
    assert ds.delay.values.tolist() == [8.0, 9.0, 10.0]
    path = written(tmp_path, "Time (ns),Counts\n8,3\n9,9\n10,7\n11")
    with pytest.warns(PlkitWarning, match="line 5 is cut short"):
        ds = plkit.read(path)
    np.testing.assert_array_equal(ds.intensity, [3, 9, 7, np.nan])


@pytest.mark.parametrize("reader", ["decay_table", "fluotime"])
def test_repeated_delays_are_refused(tmp_path: Path, reader: str) -> None:
    text = "Time [ns]\tIntensity [Cnts.]\n0\t1\n0.5\t9\n0.5\t6\n1\t2\n"
    if reader == "fluotime":
        text = "Parameters:\n  Meas_BinWidth : 500 ps\n\nData:\n" + text
    path = written(tmp_path, text)
    assert detect(path).name == reader
    with pytest.raises(FileFormatError, match="axis 'delay' repeats 1 of its 4 values"):
        plkit.read(path)


def test_decay_goes_into_a_fit(rng: np.random.Generator, tmp_path: Path) -> None:
    from plkit.models import MonoexponentialDecayModel

    t = np.arange(0.0, 200.0, 0.5)
    counts = rng.poisson(400 * np.exp(-t / 30.0) + 5)
    body = "".join(f"{a},{b}\n" for a, b in zip(t, counts, strict=True))
    ds = plkit.read(written(tmp_path, "Time (ns),Counts\n" + body))
    sigma = np.sqrt(400 * np.exp(-t / 30.0) + 5)
    fit = plkit.fit_model(ds.intensity, MonoexponentialDecayModel(), names.DELAY, stderr=sigma)
    assert fit.rate.attrs["units"] == "1/ns"
    assert abs(float(fit.rate) - 1 / 30) < 4 * float(fit.rate_stderr)
    assert float(fit.redchi) == pytest.approx(1.0, abs=0.3)
    with pytest.raises(DataError, match="no spectral dimension"):
        plkit.fit_peaks(ds)
