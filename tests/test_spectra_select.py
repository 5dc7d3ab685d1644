"""Crop and bin."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import schema
from plkit.errors import DataError, PlkitWarning
from plkit.spectra import bin_spectra, crop, variance


def scene() -> xr.Dataset:
    y = np.arange(6.0 * 4 * 10).reshape(6, 4, 10)
    return xr.Dataset(
        {
            "intensity": (("time", "y", "wavelength"), y, {"units": "counts"}),
            "noise_gain": ((), 2.0, {"units": "counts"}),
            "noise_floor": ("wavelength", np.arange(10.0), {"units": "counts^2"}),
            "exposure_time": ((), 0.5, {"units": "s"}),
            "spike_mask": (("time", "y", "wavelength"), (y == 7).astype(np.int8)),
            "label": ("time", list("abcdef")),
        },
        {
            "time": ("time", np.arange(6.0), {"units": "s"}),
            "y": ("y", np.arange(4.0), {"units": "um"}),
            "wavelength": ("wavelength", np.linspace(500, 509, 10), {"units": "nm"}),
        },
    )


def test_crop_keeps_both_ends_and_open_ends() -> None:
    got = crop(scene(), wavelength=(502, 505), time=(2, None))
    assert got.wavelength.values.tolist() == [502.0, 503.0, 504.0, 505.0]
    assert got.time.values.tolist() == [2.0, 3.0, 4.0, 5.0]
    assert got.noise_floor.values.tolist() == [2.0, 3.0, 4.0, 5.0]
    assert "crop(wavelength=(502, 505), time=(2, None))" in got.attrs["history"]
    swapped = crop(scene().isel(wavelength=slice(None, None, -1)), wavelength=(505, 502))
    np.testing.assert_array_equal(swapped.wavelength, got.wavelength)


def test_crop_that_leaves_nothing_is_told() -> None:
    with pytest.raises(
        DataError, match="'wavelength' runs from 500 to 509 nm, not within 600 to 700"
    ):
        crop(scene(), wavelength=(600, 700))
    with pytest.raises(DataError, match="the axes are time, y, wavelength, not 'energy'"):
        crop(scene(), energy=(1.7, 2.0))
    with pytest.raises(DataError, match="is not a pair"):
        crop(scene(), wavelength=(1, 2, 3))  # type: ignore[arg-type]


def test_bins_sum_counts_and_average_axes() -> None:
    ds = scene()
    got = bin_spectra(ds, wavelength=5, time=3)
    assert got.intensity.dims == ("time", "y", "wavelength")
    wanted = ds.intensity.values.reshape(2, 3, 4, 2, 5).sum(axis=(1, 4))
    np.testing.assert_array_equal(got.intensity, wanted)
    assert got.time.values.tolist() == [1.0, 4.0]
    assert got.wavelength.values.tolist() == [502.0, 507.0]
    assert float(got.exposure_time) == 1.5
    assert got.spike_mask.values.sum() == 1
    assert got.label.values.tolist() == ["a", "d"]
    assert float(got.intensity.sum()) == float(ds.intensity.sum())
    assert schema.validate(got).ok
    assert got.wavelength.attrs["units"] == "nm"
    assert "bin_spectra(wavelength=5, time=3)" in got.attrs["history"]


def test_proof_10_variance_of_bins_is_the_sum_of_variances() -> None:
    ds = scene()
    got = bin_spectra(ds, wavelength=2, y=4, time=3)
    each = variance(ds, smooth=1).values.reshape(2, 3, 4, 5, 2).sum(axis=(1, 2, 4))
    np.testing.assert_allclose(variance(got, smooth=1).values[:, 0], each)
    plain = ds.assign(noise_floor=((), 3.0, {"units": "counts^2"}))
    np.testing.assert_allclose(float(bin_spectra(plain, wavelength=2, y=4).noise_floor), 24.0)


def test_left_over_channels_are_told() -> None:
    with pytest.warns(
        PlkitWarning, match="10 values along 'wavelength' cannot be divided by 4: the last 2"
    ):
        got = bin_spectra(scene(), wavelength=4)
    assert got.sizes["wavelength"] == 2


def test_bin_with_a_masked_value_is_masked() -> None:
    ds = scene()
    ds["intensity"][0, 0, 1] = np.nan
    got = bin_spectra(ds, wavelength=2)
    assert int(got.intensity.isnull().sum()) == 1


def test_integers_do_not_overflow_and_saturation_moves_along() -> None:
    ds = scene().assign(intensity=(("time", "y", "wavelength"), np.full((6, 4, 10), 200, np.uint8)))
    ds["intensity"].attrs["units"] = "counts"
    got = bin_spectra(ds, time=6)
    assert float(got.intensity[0, 0, 0]) == 1200.0
    assert float(got.saturation_level) == 6 * 255.0


@pytest.mark.parametrize("factors", [{"wavelength": 0}, {"wavelength": 11}, {"y": 1.5}])
def test_factor_that_cannot_be_is_told(factors: dict[str, int]) -> None:
    with pytest.raises(DataError, match="not a whole number from 1 to"):
        bin_spectra(scene(), **factors)


def test_labels_on_a_binned_axis_keep_the_first() -> None:
    ds = scene().assign_coords(heater=("time", ["on", "on", "off", "off", "on", "on"]))
    assert bin_spectra(ds, time=2).heater.values.tolist() == ["on", "off", "on"]


def test_unknown_dim_is_told() -> None:
    with pytest.raises(DataError, match="not 'x'"):
        bin_spectra(scene(), x=2)


def test_every_correction_is_a_method_of_the_accessor() -> None:
    from plkit import spectra

    ds = scene()
    assert ds.pl.crop(wavelength=(501, 503)).sizes["wavelength"] == 3
    assert {n for n in spectra.__all__ if n != "LAMP_LINES"} <= set(dir(ds.pl))
    assert "LAMP_LINES" not in dir(ds.pl)
    assert plkit.spectra is spectra
