"""Baselines."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit import schema
from plkit.errors import DataError
from plkit.physics.lineshapes import gaussian, spectrum_on_wavelength
from plkit.spectra import subtract_baseline, variance

WAVELENGTH = np.linspace(520.0, 780.0, 521)


def peak() -> np.ndarray:
    y = spectrum_on_wavelength(WAVELENGTH, gaussian, 1.93, 0.08)
    return 1000.0 * y / y.max()


def dataset(y: np.ndarray, *, noise: bool = True) -> xr.Dataset:
    y = np.atleast_2d(y)
    ds = xr.Dataset(
        {"intensity": (("time", "wavelength"), y, {"units": "counts"})},
        {
            "time": ("time", np.arange(len(y)) * 1.0, {"units": "s"}),
            "wavelength": ("wavelength", WAVELENGTH, {"units": "nm"}),
        },
    )
    if noise:
        ds["noise_gain"] = ((), 1.0, {"units": "counts"})
        ds["noise_floor"] = ((), 9.0, {"units": "counts^2"})
    return ds


@pytest.mark.parametrize("method, degree", [("constant", 0), ("linear", 1)])
def test_lines_through_windows_are_exact(method: str, degree: int) -> None:
    base = 40.0 + degree * 0.3 * (WAVELENGTH - 650.0)
    ds = dataset(np.stack([base + peak(), 2 * base + 3 * peak()]), noise=False)
    got = subtract_baseline(ds, method, windows=[(520, 560), (760, 780)])
    np.testing.assert_allclose(got.intensity[1], 3 * peak(), atol=1e-3)
    np.testing.assert_allclose(got.intensity + got.baseline, ds.intensity)
    assert got.baseline.attrs["units"] == "counts"
    assert schema.validate(got).ok


def test_proof_10_variance_after_a_line_is_the_scatter_seen(rng: np.random.Generator) -> None:
    base = 200.0 + 0.5 * (WAVELENGTH - 650.0)
    mean = base + peak()
    y = rng.poisson(mean, (800, 521)) + rng.normal(0.0, 3.0, (800, 521))
    # few channels carry the line, so that its own error counts
    got = subtract_baseline(dataset(y), "linear", windows=[(520, 523), (777, 780)])
    stated = variance(got, expected=got.intensity.mean("time")).values
    seen = got.intensity.values.var(axis=0)
    assert np.mean(seen / stated) == pytest.approx(1.0, abs=0.02)
    ends = np.r_[0:30, -30:0]
    assert np.mean(seen[ends] / stated[ends]) == pytest.approx(1.0, abs=0.06)
    # without the line's error the ends would be too small by a tenth
    assert np.mean(seen[ends] / (mean[ends] + 9.0)) > 1.04


@pytest.mark.parametrize("method, within", [("arpls", 0.10), ("asls", 0.17)])
def test_stiff_baseline_follows_the_laser_tail(
    method: str, within: float, rng: np.random.Generator
) -> None:
    tail = 600.0 * np.exp(-(WAVELENGTH - 520.0) / 60.0) + 20.0
    got = subtract_baseline(dataset(rng.poisson(tail + peak())), method)
    rest = got.intensity[0].values - peak()
    crest = peak() > 300
    assert abs(rest[crest].mean()) < within * 1000.0
    far = WAVELENGTH > 720
    assert abs(rest[far].mean()) < 30.0


def test_nan_is_bridged_and_stays(rng: np.random.Generator) -> None:
    y = rng.poisson(100.0 + peak()).astype(float)
    with_gap = y.copy()
    with_gap[[50, 200, 201]] = np.nan
    ds = dataset(np.stack([y, with_gap, np.full(521, np.nan)]))
    got = subtract_baseline(ds)
    assert int(got.intensity[1].isnull().sum()) == 3
    assert int(got.intensity[2].isnull().sum()) == 521
    np.testing.assert_allclose(got.baseline[1], got.baseline[0], atol=5.0)
    line = subtract_baseline(ds, "linear", windows=[(520, 560), (760, 780)])
    assert int(line.intensity[1].isnull().sum()) == 3
    np.testing.assert_allclose(line.baseline[1], line.baseline[0], atol=3.0)
    assert np.isfinite(got.noise_floor).all()
    assert np.isfinite(line.noise_floor).all()


def test_noise_of_the_subtracted_light_stays() -> None:
    ds = dataset(np.full(521, 250.0))
    got = subtract_baseline(ds, "constant", windows=[(520, 780)])
    # every channel is one of the window: it moves with the mean that is taken off
    np.testing.assert_allclose(variance(got, expected=0 * got.intensity), 259.0 - 259.0 / 521)


def test_options_and_integers_and_order() -> None:
    y = (100.0 + peak()).round().astype(np.uint16)
    ds = dataset(np.stack([y, y])).transpose("wavelength", "time")
    got = subtract_baseline(ds, "asls", lam=1e6, p=0.01)
    assert got.intensity.dims == ("time", "wavelength")
    assert float(got.intensity.min()) < 0
    assert "subtract_baseline('asls', lam=1000000.0, p=0.01)" in got.attrs["history"]


def test_what_cannot_be_is_told() -> None:
    ds = dataset(peak())
    with pytest.raises(DataError, match="'splines' is neither 'constant', 'linear' nor a method"):
        subtract_baseline(ds, "splines")
    with pytest.raises(DataError, match="was given no windows"):
        subtract_baseline(ds, "constant")
    with pytest.raises(DataError, match=r"window \(900, 950\) holds no channel"):
        subtract_baseline(ds, "linear", windows=[(900, 950)])
    with pytest.raises(DataError, match="hold 1 channels, not at least 2"):
        subtract_baseline(ds, "linear", windows=[(520.0, 520.1)])
