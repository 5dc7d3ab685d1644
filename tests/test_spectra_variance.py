"""The variance that a correction states is the scatter over repetitions; dask gives what numpy gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from plkit import names, schema, spectra

WAVELENGTH = np.linspace(520.0, 780.0, 260)
MEAN = 60.0 + 900.0 * np.exp(-0.5 * ((WAVELENGTH - 650.0) / 20.0) ** 2)
GAIN, READ = 2.0, 6.0
REPEATS = 1500


def measured(rng: np.random.Generator, repeats: int = REPEATS) -> xr.Dataset:
    """The same spectrum many times: over a dim that no correction looks along."""
    y = GAIN * rng.poisson(MEAN / GAIN, (repeats, WAVELENGTH.size))
    y = y + rng.normal(0.0, READ, y.shape)
    return xr.Dataset(
        {
            "intensity": (("sample", "wavelength"), y, names.attrs("intensity")),
            "noise_gain": ((), GAIN, names.attrs("noise_gain")),
            "noise_floor": ((), READ**2, names.attrs("noise_floor")),
            "exposure_time": ((), 2.0, names.attrs("exposure_time")),
        },
        {
            "sample": ("sample", np.arange(repeats)),
            "wavelength": ("wavelength", WAVELENGTH, names.attrs("wavelength")),
        },
    )


def response() -> xr.DataArray:
    axis = {"wavelength": ("wavelength", [500.0, 600.0, 800.0], {"units": "nm"})}
    return xr.DataArray([0.4, 1.0, 0.5], axis, "wavelength")


def shift(ds: xr.Dataset, part: float = 0.5) -> xr.Dataset:
    """A drift by a part of a channel."""
    step = WAVELENGTH[1] - WAVELENGTH[0]
    return xr.Dataset({"wavelength_shift": ((), part * step, names.attrs("wavelength_shift"))})


def _with_offset(ds: xr.Dataset) -> xr.Dataset:
    """With 20 counts that the electronics add."""
    return ds.assign(intensity=(ds.intensity + 20.0).assign_attrs(ds.intensity.attrs))


LINES = ([540.0, 600.0, 700.0, 760.0], [540.3, 600.2, 700.3, 760.4])

EXACT: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "nothing": lambda ds: ds,
    "despike": spectra.despike,
    "subtract_dark": lambda ds: spectra.subtract_dark(_with_offset(ds), 20.0),
    "divide_response": lambda ds: spectra.divide_response(ds, response()),
    "subtract_baseline": lambda ds: spectra.subtract_baseline(
        ds, "linear", windows=[(520, 525), (775, 780)]
    ),
    "calibrate_wavelength": lambda ds: spectra.calibrate_wavelength(ds, *LINES),
    "to_vacuum": spectra.to_vacuum,
    "to_air": lambda ds: spectra.to_air(spectra.to_vacuum(ds)),
    "to_energy": spectra.to_energy,
    "to_wavelength": lambda ds: spectra.to_wavelength(spectra.to_energy(ds)),
    "raman_to_wavelength": lambda ds: spectra.raman_to_wavelength(
        _over_raman_shift(ds), laser_nm=405.0
    ),
    "crop": lambda ds: spectra.crop(ds, wavelength=(560.0, 740.0)),
    "bin_spectra": lambda ds: spectra.bin_spectra(ds, wavelength=4),
    "mask_saturation": lambda ds: spectra.mask_saturation(ds, 3000.0),
    "a whole chain": lambda ds: spectra.bin_spectra(
        spectra.to_energy(
            spectra.divide_response(spectra.subtract_dark(_with_offset(ds), 20.0), response())
        ),
        energy=2,
    ),
}
APPROXIMATE: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "arpls": lambda ds: spectra.subtract_baseline(ds.isel(sample=slice(300))),
    "apply_drift": lambda ds: spectra.apply_drift(ds, shift(ds)),
}


def _over_raman_shift(ds: xr.Dataset) -> xr.Dataset:
    shift = 1e7 / 405.0 - 1e7 / ds["wavelength"].values
    ds = ds.rename(wavelength="raman_shift").assign_coords(raman_shift=shift)
    ds["raman_shift"].attrs = {"units": "1/cm"}
    return ds


def scatter_over_stated(got: xr.Dataset) -> np.ndarray:
    """Variance over the repetitions over the variance that the noise model states, per channel."""
    expected = got.intensity.mean("sample")
    stated = spectra.variance(got, expected=expected)
    return np.asarray((got.intensity.var("sample", ddof=1) / stated).values)


@pytest.mark.parametrize("name", EXACT)
def test_proof_10_variance_by_monte_carlo(name: str, rng: np.random.Generator) -> None:
    got = EXACT[name](measured(rng))
    ratio = scatter_over_stated(got)
    ratio = ratio[np.isfinite(ratio)]
    # each channel to √(2/1500) = 3.7 %, their mean to 0.3 %
    assert ratio.size > 60
    assert ratio.mean() == pytest.approx(1.0, abs=0.015)
    assert np.abs(ratio - 1.0).max() < 0.2
    # also by thirds of the axis: no correction is right on average only
    for part in np.array_split(ratio, 3):
        assert part.mean() == pytest.approx(1.0, abs=0.025)
    assert got.attrs.get("history", "") or name == "nothing"
    assert schema.validate(got).ok


def test_proof_10_variance_of_summed_frames(rng: np.random.Generator) -> None:
    ds = measured(rng).rename(sample="time").assign_coords(time=np.arange(float(REPEATS)))
    ds["time"].attrs["units"] = "s"
    got = spectra.bin_spectra(ds, time=5).rename(time="sample")
    assert scatter_over_stated(got).mean() == pytest.approx(1.0, abs=0.02)


def test_proof_10_variance_after_a_stiff_baseline(rng: np.random.Generator) -> None:
    got = APPROXIMATE["arpls"](measured(rng))
    ratio = scatter_over_stated(got)
    # the baseline follows some noise and adds its own, most of it beneath the peak
    assert ratio.mean() == pytest.approx(1.0, abs=0.05)
    for part in np.array_split(ratio, 6):
        assert part.mean() == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("part", [0.1, 0.5])
def test_proof_10_variance_after_interpolation(part: float, rng: np.random.Generator) -> None:
    # What is stated is what a fit of anything wider than a channel sees: the scatter of sums.
    # Single values scatter less, by up to a third, and their neighbours with them.
    ds = measured(rng)
    got = spectra.apply_drift(ds, shift(ds, part))
    single = scatter_over_stated(got)[10:-10].mean()
    assert 0.62 < single < 0.99
    wide = got.isel(wavelength=slice(10, 250)).intensity
    stated = spectra.variance(got, expected=got.intensity.mean("sample"))
    stated = stated.isel(wavelength=slice(10, 250))
    window = {"wavelength": 40}
    sums = wide.coarsen(window).sum().var("sample") / stated.coarsen(window).sum()
    assert float(sums.mean()) == pytest.approx(1.0, abs=0.05)


def test_proof_10_systematic_errors_are_stated_apart(rng: np.random.Generator) -> None:
    # A response of 5 % σ, drawn anew in every repetition, scatters the result as stated.
    ds = measured(rng, 40)
    relative = []
    for _ in range(150):
        curve = response()
        curve = curve * (1.0 + 0.05 * rng.standard_normal())
        got = spectra.divide_response(ds, curve, response_stderr=float(0.05 * curve.mean()))
        relative.append(got.intensity.mean("sample").values)
    seen = np.std(relative, axis=0) / np.mean(relative, axis=0)
    assert seen.mean() == pytest.approx(0.05, rel=0.15)


# dask -----------------------------------------------------------------------------------------
OTHERS: dict[str, Callable[[xr.Dataset], Any]] = {
    "variance": spectra.variance,
    "set_noise": lambda ds: spectra.set_noise(ds, electrons_per_count=2.0),
    "subtract_dark by frames": lambda ds: spectra.subtract_dark(
        ds, ds.isel(sample=slice(5)).drop_vars("noise_floor")
    ),
    "estimate_drift": lambda ds: spectra.estimate_drift(ds, (600.0, 700.0)),
    "find_lines": lambda ds: spectra.find_lines(ds, [650.0], window_nm=60.0),
    "bin_spectra over samples": lambda ds: spectra.bin_spectra(ds, sample=4),
    "despike in time": lambda ds: spectra.despike(_in_time(ds)),
    "estimate_noise": lambda ds: spectra.estimate_noise(_in_time(ds)),
    "photon_transfer": lambda ds: spectra.photon_transfer(_in_time(ds)),
}


def _in_time(ds: xr.Dataset) -> xr.Dataset:
    ds = ds.rename(sample="time").assign_coords(time=np.arange(float(ds.sizes["sample"])))
    ds["time"].attrs["units"] = "s"
    return ds


@pytest.mark.parametrize("name", [*EXACT, *APPROXIMATE, *OTHERS])
def test_proof_10_dask_gives_what_numpy_gives(name: str, rng: np.random.Generator) -> None:
    pytest.importorskip("dask")
    correction = {**EXACT, **APPROXIMATE, **OTHERS}[name]
    ds = measured(rng, 24)
    ds["intensity"][3, 100] = np.nan
    before = ds.copy(deep=True)
    wanted = correction(ds)
    got = correction(ds.chunk({"sample": 5, "wavelength": 97}))
    xr.testing.assert_allclose(got.compute().drop_attrs(), wanted.drop_attrs(), rtol=1e-9)
    xr.testing.assert_identical(ds, before)


def test_every_correction_is_among_those_proved() -> None:
    proved = " ".join([*EXACT, *APPROXIMATE, *OTHERS])
    missing = [n for n in spectra.__all__ if n.islower() and n not in proved]
    assert missing == []
