"""The noise model: variance, and gain and floor with an honest σ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError, PlkitWarning
from plkit.spectra import (
    crop,
    despike,
    estimate_noise,
    photon_transfer,
    set_noise,
    variance,
)


def series(y: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {"intensity": (("time", "wavelength"), y, {"units": "counts"})},
        {
            "time": ("time", np.arange(len(y)) * 1.0, {"units": "s"}),
            "wavelength": ("wavelength", np.linspace(500, 600, y.shape[1]), {"units": "nm"}),
        },
    )


def counts(rng: np.random.Generator, gain: float, read: float, n: int = 60) -> np.ndarray:
    mean = np.linspace(0.0, 400.0, 120) * (1.0 + 0.3 * np.exp(-np.arange(n)[:, None] / 15.0))
    flicker = 1.0 + 0.03 * rng.standard_normal((n, 1))
    return gain * rng.poisson(mean * flicker / gain) + rng.normal(0.0, read, mean.shape)


def test_proof_10_gain_and_floor_hold_the_truth_in_68_percent(rng: np.random.Generator) -> None:
    z = []
    for _ in range(150):
        found = estimate_noise(series(counts(rng, 2.0, 5.0)))
        z.append(
            [(found.noise_gain - 2.0) / found.noise_gain_stderr,
             (found.noise_floor - 25.0) / found.noise_floor_stderr]
        )  # fmt: skip
    z = np.abs(np.array(z, dtype=float))
    assert 0.56 < (z[:, 0] < 1).mean() < 0.80
    assert 0.56 < (z[:, 1] < 1).mean() < 0.80


def test_estimate_survives_nan_moving_channels_and_integers(rng: np.random.Generator) -> None:
    y = counts(rng, 1.0, 3.0, 100).round()
    y[:, 50] += 3000 + 300 * rng.standard_normal(100)  # a line that jitters
    y[7, 20] = np.nan
    y[:, 3] = np.nan
    found = estimate_noise(series(y))
    assert float(found.noise_gain) == pytest.approx(1.0, abs=0.08)
    whole = estimate_noise(series(np.maximum(counts(rng, 1.0, 3.0), 0).round().astype(np.uint16)))
    assert float(whole.noise_gain) == pytest.approx(1.0, abs=0.1)
    assert "estimate_noise(): gain" in whole.attrs["history"]


def test_an_offset_left_in_the_data_is_told(rng: np.random.Generator) -> None:
    with pytest.warns(PlkitWarning, match="an offset was left in the data"):
        found = estimate_noise(series(counts(rng, 1.0, 3.0) + 600.0))
    assert float(found.noise_floor) == 0.0


def test_what_cannot_be_estimated_is_told(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="there are 3 times, not at least 5"):
        estimate_noise(series(np.ones((3, 9))))
    with pytest.raises(DataError, match="too alike"):
        estimate_noise(series(np.ones((9, 9))))
    with pytest.raises(DataError, match="not the required time"):
        estimate_noise(series(np.ones((9, 9))).isel(time=0))
    with pytest.raises(DataError, match="too alike"):
        estimate_noise(series(np.full((9, 9), np.nan)))


def test_variance_of_gain_and_floor() -> None:
    ds = series(np.full((2, 30), 100.0))
    ds["noise_gain"] = ((), 3.0, {"units": "counts"})
    np.testing.assert_allclose(variance(ds), 300.0)
    ds["noise_floor"] = ("wavelength", np.full(30, 7.0), {"units": "counts^2"})
    got = variance(ds, expected=xr.full_like(ds.intensity, -5.0))
    np.testing.assert_allclose(got, 7.0)
    assert got.dims == ("time", "wavelength")
    assert got.attrs["units"] == "counts^2"
    with pytest.raises(DataError, match="'noise_gain' is missing"):
        variance(series(np.ones((2, 9))))


def test_variance_uses_what_is_expected_not_what_was_counted(rng: np.random.Generator) -> None:
    y = rng.poisson(np.full((400, 50), 20.0)).astype(float)
    y[3, 10] = np.nan
    ds = series(y).assign(noise_gain=((), 1.0, {"units": "counts"}))
    smooth, raw = variance(ds), variance(ds, smooth=1)
    # inverse variances of single counts are too large by 1/20, those of five channels by 1/100
    assert float((1 / raw.where(raw > 0)).mean()) == pytest.approx((1 + 1 / 19) / 20, rel=0.02)
    assert float((1 / smooth).mean()) == pytest.approx((1 + 1 / 99) / 20, rel=0.01)
    assert np.isfinite(smooth).all()


def test_variance_of_dask_is_that_of_numpy(rng: np.random.Generator) -> None:
    pytest.importorskip("dask")
    ds = series(rng.poisson(50.0, (6, 40))).assign(noise_gain=((), 1.0, {"units": "counts"}))
    lazy = variance(ds.chunk({"time": 2}))
    assert lazy.chunks is not None
    np.testing.assert_allclose(lazy.compute(), variance(ds))


def test_measured_series_has_one_gain(test_data: Path) -> None:
    (path,) = (test_data / "wellesley_illumination").glob("*.csv")
    ds = crop(despike(plkit.read(path)), wavelength=(520.0, 900.0))
    found = estimate_noise(ds)
    # the slope of scatter against intensity, read off a plot: about a half
    assert 0.35 < float(found.noise_gain) < 0.65
    assert float(found.noise_gain_stderr) < 0.03
    assert 30.0 < float(found.noise_floor) < 65.0


def test_noise_of_the_data_sheet() -> None:
    ds = series(np.full((2, 30), 100.0))
    got = set_noise(ds, electrons_per_count=4.0, read_noise_electrons=10.0)
    assert float(got.noise_gain) == 0.25
    assert float(got.noise_floor) == 6.25
    np.testing.assert_allclose(variance(got), 31.25)
    assert got.noise_floor.attrs["units"] == "counts^2"
    assert (
        "set_noise(electrons_per_count=4, read_noise_electrons=10, excess=1)"
        in got.attrs["history"]
    )
    emccd = set_noise(ds, electrons_per_count=4.0, excess=2.0)
    assert float(emccd.noise_gain) == 0.5
    for options in (
        {"electrons_per_count": 0.0},
        {"electrons_per_count": 1.0, "read_noise_electrons": -1.0},
        {"electrons_per_count": 1.0, "excess": 0.5},
    ):
        with pytest.raises(DataError, match="are not above 0, from 0 and from 1"):
            set_noise(ds, **options)
    with pytest.raises(DataError, match="'electrons_per_count' is nan, not a finite number"):
        set_noise(ds, electrons_per_count=np.nan)


def test_proof_10_stated_noise_is_the_scatter_of_a_camera(rng: np.random.Generator) -> None:
    # An electron-multiplying camera: each photoelectron gives an exponential number of electrons.
    mean, multiplied, per_count, read = 50.0, 100.0, 5.0, 30.0
    photons = rng.poisson(mean, (2000, 40))
    electrons = rng.gamma(photons + 1e-12, multiplied) + rng.normal(0.0, read, photons.shape)
    ds = set_noise(
        series(electrons / per_count),
        electrons_per_count=per_count / multiplied,
        read_noise_electrons=read / multiplied,
        excess=2.0,
    )
    seen = float(ds.intensity.var())
    assert float(variance(ds).mean()) == pytest.approx(seen, rel=0.02)


def test_photon_transfer_holds_what_the_line_is_fitted_to(rng: np.random.Generator) -> None:
    y = counts(rng, 2.0, 5.0, 100)
    y[:, 60] += 3000 + 500 * rng.standard_normal(100)  # a line that jitters
    y[:, 3] = np.nan
    ds = series(y)
    found = photon_transfer(ds)
    assert found.variance.dims == found.mean_intensity.dims == ("wavelength",)
    assert found.used_in_fit.dtype == np.int8
    assert int(found.used_in_fit[60]) == int(found.used_in_fit[3]) == 0
    assert int(found.used_in_fit.sum()) > 105
    assert np.isnan(found.variance[3])
    line = found.noise_gain * found.mean_intensity.clip(min=0.0) + found.noise_floor
    z = ((found.variance - line) / found.variance_stderr).where(found.used_in_fit == 1)
    assert float((np.abs(z) < 1).sum() / z.notnull().sum()) == pytest.approx(0.68, abs=0.12)
    same = estimate_noise(ds)
    for name in ("noise_gain", "noise_gain_stderr", "noise_floor", "noise_floor_stderr"):
        assert float(found[name]) == float(same[name])
    stacked = photon_transfer(xr.concat([ds, ds], "power").assign_coords(power=[1.0, 2.0]))
    assert stacked.variance.dims == ("power", "wavelength")
