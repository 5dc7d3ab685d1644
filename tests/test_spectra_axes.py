"""Wavelength and energy, calibration."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit import schema
from plkit.errors import DataError, UnitsError
from plkit.physics import photons
from plkit.physics.lineshapes import gaussian, spectrum_on_wavelength
from plkit.spectra import to_air, to_energy, to_vacuum, to_wavelength, variance


def spectra(n: int = 801) -> xr.Dataset:
    wavelength = np.linspace(500.0, 800.0, n)
    y = 1e4 * spectrum_on_wavelength(wavelength, gaussian, 1.95, 0.08)
    return xr.Dataset(
        {
            "intensity": (("time", "wavelength"), np.stack([y, 2 * y]), {"units": "counts"}),
            "noise_gain": ((), 2.0, {"units": "counts"}),
            "noise_floor": ((), 4.0, {"units": "counts^2"}),
            "spike_mask": (("time", "wavelength"), np.zeros((2, n), np.int8)),
            "baseline": ("wavelength", np.ones(n), {"units": "counts"}),
            "pressure": ((), 1.0),
        },
        {
            "time": ("time", [0.0, 1.0], {"units": "s"}),
            "wavelength": ("wavelength", wavelength, {"units": "nm"}),
        },
    )


@pytest.mark.parametrize("medium", ["air", "vacuum"])
def test_there_and_back_is_exact(medium: photons.Medium) -> None:
    ds = spectra()
    back = to_wavelength(to_energy(ds, medium=medium))
    np.testing.assert_allclose(back.wavelength, ds.wavelength, rtol=1e-14)
    for name in ("intensity", "baseline"):
        np.testing.assert_allclose(back[name], ds[name], rtol=1e-13)
    np.testing.assert_allclose(back.noise_gain, 2.0, rtol=1e-13)
    np.testing.assert_allclose(back.noise_floor, 4.0, rtol=1e-13)
    assert back.wavelength.attrs["medium"] == medium


def test_proof_10_energy_keeps_photons_and_the_line() -> None:
    ds = spectra()
    before = ds.copy(deep=True)
    got = to_energy(ds)
    xr.testing.assert_identical(ds, before)
    assert got.intensity.dims == ("time", "energy")
    assert np.all(np.diff(got.energy) > 0)
    # per energy the line is the Gaussian itself, with its maximum at its centre
    shape = gaussian(got.energy, 1.95, 0.08)
    ratio = got.intensity[0] / shape
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)
    # counts per eV times dE/dλ at 2 eV are counts per nm
    width = photons.jacobian_ev_per_nm(photons.wavelength_from_energy(2.0))
    total = np.trapezoid(got.intensity[0], got.energy) / width
    assert total == pytest.approx(np.trapezoid(ds.intensity[0], ds.wavelength), rel=1e-5)
    assert schema.validate(got).ok


def test_variance_follows_the_square_of_the_jacobian() -> None:
    ds = spectra()
    got = to_energy(ds)
    scale = (got.intensity[1] / got.intensity[0]).mean()  # same J in both
    assert float(scale) == pytest.approx(2.0)
    j = photons.relative_bandwidth(ds.wavelength.values)[::-1]
    wanted = variance(ds, smooth=1).values[:, ::-1] / j**2
    np.testing.assert_allclose(variance(got, smooth=1), wanted, rtol=1e-12)


def test_other_variables_are_kept() -> None:
    got = to_energy(spectra())
    assert float(got.pressure) == 1.0
    assert got.spike_mask.dims == ("time", "energy")
    assert got.spike_mask.dtype == np.int8
    assert "to_energy(medium='air')" in got.attrs["history"]


def test_second_conversion_is_refused() -> None:
    converted = to_energy(spectra())
    with pytest.raises(DataError, match="per interval of energy already"):
        to_energy(converted)
    renamed = converted.rename(energy="wavelength")
    renamed["wavelength"].attrs["units"] = "nm"
    with pytest.raises(DataError, match="per interval of energy already"):
        to_energy(renamed)
    with pytest.raises(DataError, match="per interval of wavelength already"):
        to_wavelength(spectra())


def test_medium_of_the_axis_is_believed() -> None:
    ds = spectra()
    ds["wavelength"].attrs["medium"] = "vacuum"
    np.testing.assert_allclose(
        to_energy(ds).energy[::-1], photons.energy_from_wavelength(ds.wavelength, "vacuum")
    )
    # an energy axis from a file knows of no medium: air
    native = to_energy(ds, medium="air").drop_attrs(deep=True)
    native["energy"].attrs["units"] = "eV"
    np.testing.assert_allclose(to_wavelength(native).wavelength, ds.wavelength, rtol=1e-14)


def test_units_and_ranges_are_checked() -> None:
    ds = spectra()
    um = ds.assign_coords(wavelength=("wavelength", ds.wavelength.values * 1e-3, {"units": "um"}))
    np.testing.assert_allclose(to_energy(um).energy, to_energy(ds).energy, rtol=1e-12)
    with pytest.raises(UnitsError, match="'wavelength' has units 'none', not 'nm'"):
        to_energy(ds.assign_coords(wavelength=ds.wavelength.values))
    short = ds.assign_coords(wavelength=("wavelength", np.linspace(100, 200, 801), {"units": "nm"}))
    with pytest.raises(DataError, match="not above 185 nm"):
        to_energy(short)
    assert float(to_energy(short, medium="vacuum").energy[-1]) == pytest.approx(12.398, abs=1e-3)
    negative = ds.assign_coords(wavelength=("wavelength", np.linspace(-1, 2, 801), {"units": "nm"}))
    with pytest.raises(DataError, match="not above 0"):
        to_energy(negative)


def test_descending_axis_integers_and_one_channel() -> None:
    ds = spectra(5)
    np.testing.assert_allclose(
        to_energy(ds.isel(wavelength=slice(None, None, -1))).intensity, to_energy(ds).intensity
    )
    whole = ds.assign(intensity=ds.intensity.round().astype(np.uint16))
    assert to_energy(whole).intensity.dtype == np.float64
    one = to_energy(ds.isel(wavelength=[2]))
    assert one.sizes["energy"] == 1


def test_dask_stays_lazy_and_equal() -> None:
    pytest.importorskip("dask")
    lazy = to_energy(spectra().chunk({"time": 1}))
    assert lazy.intensity.chunks is not None
    np.testing.assert_array_equal(lazy.intensity, to_energy(spectra()).intensity)


def test_air_and_vacuum() -> None:
    ds = spectra()
    got = to_vacuum(ds)
    # HeNe laser: 632.991 nm in vacuum, 632.816 nm in air
    at = float(np.interp(632.816, ds.wavelength, got.wavelength))
    assert at == pytest.approx(632.991, abs=1e-3)
    np.testing.assert_array_equal(got.intensity, ds.intensity)
    np.testing.assert_array_equal(got.noise_gain, ds.noise_gain)
    assert got.wavelength.attrs["medium"] == "vacuum"
    assert got.wavelength.attrs["units"] == "nm"
    assert "to_vacuum()" in got.attrs["history"]
    np.testing.assert_allclose(to_air(got).wavelength, ds.wavelength, rtol=1e-12)
    # by either way the same energies, and the same counts within the change of the widths
    direct, detour = to_energy(ds), to_energy(got)
    np.testing.assert_allclose(detour.energy, direct.energy, rtol=1e-12)
    np.testing.assert_allclose(detour.intensity, direct.intensity, rtol=1e-5)


def test_air_and_vacuum_that_cannot_be_is_told() -> None:
    ds = spectra(9)
    with pytest.raises(DataError, match=r"holds wavelengths in vacuum already\. Convert once only"):
        to_vacuum(to_vacuum(ds))
    with pytest.raises(
        DataError, match=r"holds wavelengths in air already\. If they are in vacuum"
    ):
        to_air(ds)
    with pytest.raises(DataError, match="dimension is 'energy', not 'wavelength'"):
        to_vacuum(to_energy(ds))
    short = ds.assign_coords(wavelength=("wavelength", np.linspace(100, 200, 9), {"units": "nm"}))
    with pytest.raises(DataError, match="not above 185 nm"):
        to_vacuum(short)


@pytest.mark.parametrize("medium", ["air", "vacuum"])
@pytest.mark.parametrize("uneven", [False, True])
def test_proof_10_integral_survives_energy_and_back(
    medium: photons.Medium, uneven: bool, rng: np.random.Generator
) -> None:
    ds = spectra(400)
    if uneven:
        axis = np.sort(rng.uniform(400.0, 900.0, 400))
        ds = ds.assign_coords(wavelength=("wavelength", axis, {"units": "nm"}))
    back = to_wavelength(to_energy(ds, medium=medium))
    before = ds.intensity.integrate("wavelength")
    np.testing.assert_allclose(back.intensity.integrate("wavelength"), before, rtol=1e-10)
    np.testing.assert_allclose(back.intensity.sum(), ds.intensity.sum(), rtol=1e-10)
    np.testing.assert_allclose(variance(back), variance(ds), rtol=1e-10)
