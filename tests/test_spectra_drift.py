"""Spectral drift of a reference line."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit.errors import DataError
from plkit.spectra import apply_drift, estimate_drift, to_energy

WAVELENGTH = np.linspace(480.0, 520.0, 161)


def lines(shift: np.ndarray, height: float = 5000.0) -> np.ndarray:
    centre = 500.0 + shift[:, None]
    return 20.0 + height * np.exp(-(((WAVELENGTH - centre) / 1.5) ** 2))


def dataset(y: np.ndarray, *, noise: bool = True) -> xr.Dataset:
    ds = xr.Dataset(
        {"intensity": (("time", "wavelength"), y, {"units": "counts"})},
        {
            "time": ("time", np.arange(len(y)) * 1.0, {"units": "s"}),
            "wavelength": ("wavelength", WAVELENGTH, {"units": "nm"}),
        },
    )
    return ds.assign(noise_gain=((), 1.0, {"units": "counts"})) if noise else ds


@pytest.mark.parametrize("noise", [True, False])
def test_proof_10_drift_and_its_interval(noise: bool, rng: np.random.Generator) -> None:
    true = np.cumsum(rng.normal(0.0, 0.05, 300))
    true -= true.mean()
    got = estimate_drift(dataset(rng.poisson(lines(true)), noise=noise), (494, 506))
    error = got.wavelength_shift - true
    error = error - error.mean()  # the mean spectrum is where the zero is
    z = np.abs(error / got.wavelength_shift_stderr)
    assert 0.60 < float((z < 1).mean()) < 0.76
    assert float(got.wavelength_shift_stderr.median()) < 0.01
    assert got.wavelength_shift.attrs["units"] == "nm"
    assert got.wavelength_shift.dims == ("time",)


def test_applied_drift_brings_the_line_back(rng: np.random.Generator) -> None:
    true = np.linspace(-0.8, 0.8, 41)
    reference = dataset(lines(true))
    drift = estimate_drift(reference, (490, 510))
    sample = dataset(3.0 * lines(true))  # another channel, taken together
    still = apply_drift(sample, drift)
    left = estimate_drift(still, (494, 506)).wavelength_shift
    assert float(np.abs(left).max()) < 5e-3
    inside = still.sel(wavelength=slice(485, 515)).intensity
    assert float(inside.std("time").max()) < 0.01 * 15000
    assert bool(still.intensity[0].isnull().any())  # nothing is known beyond the end
    assert still.sizes == sample.sizes
    assert "apply_drift()" in still.attrs["history"]


def test_drift_in_energy() -> None:
    true = np.array([-0.2, 0.0, 0.2])
    got = estimate_drift(to_energy(dataset(lines(true))), (2.45, 2.51))
    # 0.2 nm at 500 nm are 0.99 meV, to lower energy
    assert float(got.energy_shift[2] - got.energy_shift[0]) == pytest.approx(-1.98e-3, rel=0.02)
    assert got.energy_shift.attrs["units"] == "eV"


def test_lost_lines_and_nan() -> None:
    y = lines(np.zeros(6))
    y[2] = 20.0
    y[4] = np.nan
    y[5, 75] = np.nan
    got = estimate_drift(dataset(y), (494, 506))
    assert np.isnan(got.wavelength_shift[[2, 4]]).all()
    assert abs(float(got.wavelength_shift[5])) < 0.01
    moved = apply_drift(dataset(y), got)
    assert bool(moved.intensity[2].isnull().all())
    assert int(moved.intensity[0].isnull().sum()) <= 1


def test_zero_drift_changes_nothing() -> None:
    ds = dataset(lines(np.zeros(2)))
    zero = xr.Dataset({"wavelength_shift": ((), 0.0, {"units": "nm"})})
    np.testing.assert_allclose(apply_drift(ds, zero).intensity, ds.intensity)
    angstrom = xr.Dataset({"wavelength_shift": ((), 2.5, {"units": "angstrom"})})
    got = apply_drift(ds, angstrom).intensity  # one channel of 0.25 nm
    np.testing.assert_allclose(got[:, :-1], ds.intensity[:, 1:])


def test_what_cannot_be_is_told() -> None:
    ds = dataset(lines(np.zeros(3)))
    drift = estimate_drift(ds, (494, 506))
    with pytest.raises(DataError, match="holds 2 channels, not at least 5"):
        estimate_drift(ds, (500.0, 500.3))
    with pytest.raises(DataError, match="not 'energy_shift'"):
        apply_drift(to_energy(ds), drift)
    with pytest.raises(DataError, match="the drift runs over time"):
        apply_drift(ds.isel(time=0), drift)
    with pytest.raises(DataError, match="'time' is not that of the data"):
        apply_drift(ds.isel(time=slice(2)), drift)
    raman = ds.rename(wavelength="raman_shift")
    raman["raman_shift"].attrs["units"] = "1/cm"
    with pytest.raises(DataError, match="'raman_shift', not wavelength or energy"):
        estimate_drift(raman, (494, 506))
