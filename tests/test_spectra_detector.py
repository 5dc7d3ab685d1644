"""Dark, response, saturation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from plkit import schema
from plkit.errors import DataError, PlkitWarning
from plkit.spectra import divide_response, mask_saturation, subtract_dark, variance

AXIS = ("wavelength", np.linspace(500.0, 504.0, 5), {"units": "nm"})


def frames(
    y: Any, *, exposure: float | None = 1.0, noise: bool = False, dim: str = "time"
) -> xr.Dataset:
    y = np.asarray(y)
    dims = (dim, "wavelength") if y.ndim == 2 else ("wavelength",)
    ds = xr.Dataset({"intensity": (dims, y, {"units": "counts"})}, {"wavelength": AXIS})
    if y.ndim == 2:
        ds = ds.assign_coords({dim: (dim, np.arange(len(y)) * 1.0, {"units": "s"})})
    if exposure is not None:
        ds["exposure_time"] = ((), exposure, {"units": "s"})
    if noise:
        ds["noise_gain"] = ((), 2.0, {"units": "counts"})
        ds["noise_floor"] = ((), 9.0, {"units": "counts^2"})
    return ds


def test_dark_of_unsigned_integers_does_not_wrap() -> None:
    light = frames(np.full(5, 10, np.uint16))
    dark = frames(np.full(5, 20, np.uint16))
    assert subtract_dark(light, dark).intensity.values.tolist() == [-10.0] * 5


def test_dark_is_scaled_with_the_exposure_but_not_its_bias() -> None:
    light, dark = frames(np.full(5, 1000.0), exposure=10.0), frames(np.full(5, 110.0), exposure=1.0)
    # 100 counts of electronics and 10 counts a second
    got = subtract_dark(light, dark, bias_counts=100.0)
    np.testing.assert_allclose(got.intensity, 800.0)
    np.testing.assert_allclose(subtract_dark(light, dark).intensity, 1000.0 - 1100.0)
    np.testing.assert_allclose(subtract_dark(light, dark, scale_exposure=False).intensity, 890.0)
    minutes = dark.assign(exposure_time=((), 1 / 60, {"units": "min"}))
    np.testing.assert_allclose(subtract_dark(light, minutes).intensity, -100.0)


def test_exposure_that_changes_in_time() -> None:
    light = frames(np.full((2, 5), 100.0)).assign(
        exposure_time=("time", [1.0, 3.0], {"units": "s"})
    )
    got = subtract_dark(light, frames(np.full(5, 10.0)))
    np.testing.assert_allclose(got.intensity[:, 0], [90.0, 70.0])
    assert got.intensity.dims == ("time", "wavelength")


def test_unknown_exposure_is_told() -> None:
    with pytest.warns(PlkitWarning, match="subtracted unscaled"):
        got = subtract_dark(frames(np.ones(5), exposure=None), frames(np.ones(5)))
    assert float(got.intensity.sum()) == 0.0


def test_floor_is_the_variance_in_the_dark_before_and_after() -> None:
    light = frames(np.full(5, 300.0), noise=True)
    got = subtract_dark(light, 50.0)
    assert float(got.noise_floor) == 9.0
    assert float(got.noise_gain) == 2.0
    np.testing.assert_allclose(variance(got), 2.0 * 250.0 + 9.0)
    # one dark frame of half the exposure: its floor counts, times the square of the scale
    dark = frames(np.full(5, 50.0), noise=True, exposure=0.5)
    got = subtract_dark(light, dark)
    np.testing.assert_allclose(got.intensity, 200.0)
    np.testing.assert_allclose(got.noise_floor, 9.0 + 4.0 * 9.0)
    assert schema.validate(got).ok


def test_proof_10_dark_frames_bring_their_scatter(rng: np.random.Generator) -> None:
    # The variance stated after subtraction is the variance over many repetitions.
    n, level, read = 8, 200.0, 12.0
    stated, seen = [], []
    for _ in range(150):
        dark = frames(level + rng.normal(0.0, read, (n, 5)))
        light = frames(level + rng.normal(0.0, read, 5)).assign(
            noise_gain=((), 0.0, {"units": "counts"}),
            noise_floor=((), read**2, {"units": "counts^2"}),
        )
        got = subtract_dark(light, dark)
        stated.append(float(variance(got).mean()))
        seen.append(got.intensity.values)
    assert np.mean(stated) == pytest.approx(read**2 * (1 + 1 / n), rel=0.02)
    assert np.var(seen) == pytest.approx(np.mean(stated), rel=0.12)


def test_dark_with_masked_spikes_and_as_plain_array() -> None:
    dark = frames([[1.0, 2.0, np.nan, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    got = subtract_dark(frames(np.zeros(5)), dark)
    np.testing.assert_allclose(got.intensity, [-1, -2, -3, -4, -5])
    same = subtract_dark(frames(np.zeros(5)), dark.intensity, scale_exposure=False)
    np.testing.assert_allclose(same.intensity, got.intensity)


def test_dark_of_other_channels_is_refused() -> None:
    light = frames(np.ones(5))
    with pytest.raises(DataError, match="the dark has 4 channels"):
        subtract_dark(light, frames(np.ones(5)).isel(wavelength=slice(4)))
    moved = frames(np.ones(5))
    moved = moved.assign_coords(wavelength=moved.wavelength + 0.5)
    with pytest.raises(
        DataError,
        match=r"the dark's axis runs from 500.5 to 504.5 nm, up to \+0.5 nm \(0.5 channels\) away from "
        r"the data's 500 to 504 nm\. Measure the dark with the same grating position",
    ):
        subtract_dark(light, moved)
    with pytest.raises(DataError, match=r"channels without any number in any frame \(5 of 5\)"):
        subtract_dark(light, frames(np.full(5, np.nan)))
    with pytest.raises(DataError, match="infinite counts"):
        subtract_dark(light, frames(np.array([1.0, np.inf, 1.0, 1.0, 1.0])))
    for unknown in (np.nan, -1.0):
        with pytest.raises(DataError, match="exposure time of the data is not positive and known"):
            subtract_dark(frames(np.ones(5), exposure=unknown), frames(np.ones(5)))
    uneven = frames(np.ones((2, 5))).assign(exposure_time=("time", [1.0, 2.0], {"units": "s"}))
    with pytest.raises(DataError, match="different exposure times"):
        subtract_dark(light, uneven)


@pytest.mark.parametrize(
    "dark, message",
    [
        (float("nan"), "'dark' is nan, not a finite number"),
        (np.float32("inf"), "'dark' is inf, not a finite number"),
        (
            "dark.nc",
            r"the dark is the text 'dark.nc', not a dataset. Read the file first: plkit.read",
        ),
        (Path("a") / "dark.nc", "the dark is the text"),
        (np.ones(5), "the dark is of type ndarray, not a Dataset or DataArray"),
        (None, "the dark is of type NoneType"),
    ],
)
def test_dark_that_is_no_dark_is_told(dark: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        subtract_dark(frames(np.ones(5)), dark)


def test_dark_as_a_number_of_numpy() -> None:
    for dark in (3, np.int16(3), np.float32(3.0)):
        assert subtract_dark(frames(np.full(5, 10)), dark).intensity.values.tolist() == [7.0] * 5
    with pytest.raises(DataError, match="'bias_counts' is nan"):
        subtract_dark(frames(np.ones(5)), frames(np.ones(5)), bias_counts=np.nan)


def test_response_given_as_something_else_is_told() -> None:
    with pytest.raises(DataError, match=r"the response is the text 'r\.csv', not a dataset"):
        divide_response(frames(np.ones(5)), "r.csv")  # type: ignore[arg-type]
    curve = xr.DataArray(
        [1.0, 2.0, 2.0, 3.0], {"wavelength": ("wavelength", [490.0, 500.0, 500.0, 510.0], {"units": "nm"})}, "wavelength",
    )  # fmt: skip
    with pytest.raises(
        DataError,
        match=r"has 500 nm more than once \(1 such values\), not one value each\. Average",
    ):
        divide_response(frames(np.ones(5)), curve)
    fine = curve.isel(wavelength=[0, 3])
    for error in (-0.1, np.nan):
        with pytest.raises(DataError, match="σ of the response is negative or NaN"):
            divide_response(frames(np.ones(5)), fine, response_stderr=error)
    gap = fine.assign_coords(wavelength=[490.0, np.nan])
    gap["wavelength"].attrs["units"] = "nm"
    with pytest.raises(DataError, match="axis 'wavelength' of the response holds NaN"):
        divide_response(frames(np.ones(5)), gap)


def test_response_divides_counts_gain_and_floor() -> None:
    ds = frames(np.full((2, 5), 80.0), noise=True)
    curve = xr.DataArray([0.5, 1.0], {"wavelength": [499.0, 505.0]}, "wavelength")
    curve["wavelength"].attrs["units"] = "nm"
    got = divide_response(ds, curve, response_stderr=0.02)
    r = np.interp(ds.wavelength, [499.0, 505.0], [0.5, 1.0])
    np.testing.assert_allclose(got.intensity[0], 80.0 / r)
    np.testing.assert_allclose(got.noise_gain, 2.0 / r)
    np.testing.assert_allclose(got.noise_floor, 9.0 / r**2)
    np.testing.assert_allclose(variance(got, smooth=1)[0], (2.0 * 80.0 + 9.0) / r**2)
    np.testing.assert_allclose(got.response_stderr, 0.02)
    assert "systematic" in got.response_stderr.attrs["comment"]
    assert schema.validate(got).ok
    with pytest.raises(DataError, match="it was done before"):
        divide_response(got, curve)


def test_response_as_dataset_with_its_error_and_descending_axis() -> None:
    axis = {"wavelength": ("wavelength", [506.0, 498.0], {"units": "nm"})}
    curve = xr.Dataset(
        {"response": ("wavelength", [2.0, 1.0]), "response_stderr": ("wavelength", [0.2, 0.1])},
        axis,
    )
    got = divide_response(frames(np.ones(5)), curve)
    np.testing.assert_allclose(got.response_stderr / got.response, 0.1)
    with pytest.raises(DataError, match="holds response_stderr, not 'response'"):
        divide_response(frames(np.ones(5)), curve[["response_stderr"]])


@pytest.mark.parametrize(
    "axis, values, message",
    [
        ([500.0, 503.0], [1.0, 1.0], "covers 500 to 503 nm, not the data's 500 to 504 nm"),
        ([490.0, 510.0], [1.0, -1.0], "zero, negative or NaN"),
        ([490.0, 510.0], [1.0, np.nan], "zero, negative or NaN"),
    ],
)
def test_response_that_does_not_serve_is_refused(axis: Any, values: Any, message: str) -> None:
    curve = xr.DataArray(
        values, {"wavelength": ("wavelength", axis, {"units": "nm"})}, "wavelength"
    )
    with pytest.raises(DataError, match=message):
        divide_response(frames(np.ones(5)), curve)
    with pytest.raises(DataError, match="has dims energy, not 'wavelength'"):
        divide_response(frames(np.ones(5)), curve.rename(wavelength="energy"))


def test_saturation_by_type_level_and_argument() -> None:
    ds = frames(np.array([1, 5, 100, 65535, 65535], np.uint16))
    assert int(mask_saturation(ds).intensity.isnull().sum()) == 2
    assert int(mask_saturation(ds, 100).intensity.isnull().sum()) == 3
    stated = ds.assign(saturation_level=((), 5.0, {"units": "counts"}))
    got = mask_saturation(stated)
    assert int(got.intensity.isnull().sum()) == 4
    assert "4 values masked" in got.attrs["history"]
    with pytest.raises(DataError, match="saturation level is not known"):
        mask_saturation(frames(np.ones(5)))


def test_saturation_is_not_lost_in_silence() -> None:
    ds = frames(np.array([1, 5, 100, 65535, 65535], np.uint16))
    # a plain number moves the level along
    moved = subtract_dark(ds, 5.0)
    assert float(moved.saturation_level) == 65530.0
    assert int(mask_saturation(moved).intensity.isnull().sum()) == 2
    with pytest.warns(PlkitWarning, match="2 values reach the saturation level"):
        subtract_dark(ds, frames(np.arange(5.0)))
    assert "saturation_level" not in subtract_dark(mask_saturation(ds), frames(np.arange(5.0)))


def test_dask_stays_lazy() -> None:
    pytest.importorskip("dask")
    ds = frames(np.ones((4, 5)), noise=True).chunk({"time": 2})
    assert subtract_dark(ds, frames(np.ones(5))).intensity.chunks is not None
