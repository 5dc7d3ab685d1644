"""Peak energies: closed forms, coverage, bad input, measured data."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import fit_peaks, schema, spectra
from plkit.errors import DataError, PlkitWarning
from plkit.peaks import second_derivative_energy
from plkit.physics import photons
from plkit.physics.lineshapes import asymmetric, gaussian, spectrum_on_wavelength

METHODS = ("parabola", "centroid", "gaussian", "asymmetric")
WAVELENGTH = np.linspace(560.0, 760.0, 256)
STEP = float(WAVELENGTH[1] - WAVELENGTH[0])


def light(energy: Any, fwhm: float = 0.08, b: float = 0.0) -> np.ndarray:
    """Photons per channel of one photon in all, (…, channel)."""
    energy = np.asarray(energy, dtype=float)[..., None]
    return STEP * spectrum_on_wavelength(WAVELENGTH, asymmetric, energy, fwhm, b)


def dataset(y: np.ndarray, *, read: float | None = 0.0, gain: float = 1.0) -> xr.Dataset:
    y = np.asarray(y)
    dims = ("y", "x", "wavelength")[3 - y.ndim :]
    coords: dict[str, Any] = {"wavelength": ("wavelength", WAVELENGTH, {"units": "nm"})}
    for d, n in zip(dims[:-1], y.shape, strict=False):
        coords[d] = (d, np.arange(n) * 0.5, {"units": "um"})
    ds = xr.Dataset({"intensity": (dims, y, {"units": "counts"})}, coords)
    if read is not None:
        ds["noise_gain"] = ((), gain, {"units": "counts"})
        ds["noise_floor"] = ((), read**2, {"units": "counts^2"})
    return ds


def height_of(total: float, energy: np.ndarray, fwhm: float = 0.08) -> np.ndarray:
    """Counts per channel at the energy of the maximum."""
    per_nm = photons.jacobian_ev_per_nm(photons.wavelength_from_energy(energy))
    return total * STEP * per_nm * float(gaussian(0.0, 0.0, fwhm))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("total, background, read", [
    (100.0, 0.05, 0.0), (1e3, 2.0, 2.0), (1e4, 5.0, 3.0), (1e5, 5.0, 3.0),
])  # fmt: skip
def test_proof_7_68_percent_coverage_of_energy_width_and_height(
    method: Any, total: float, background: float, read: float, rng: np.random.Generator
) -> None:
    energy = 1.95 + rng.uniform(-0.01, 0.01, 800)
    mean = total * light(energy) + background
    y = rng.poisson(mean) + rng.normal(0.0, read, mean.shape)
    got = fit_peaks(dataset(y, read=read), method=method)
    ok = (got.fit_status == 0).values
    assert ok.mean() > 0.93
    truth = {
        "peak_energy": energy,
        "peak_wavelength": photons.wavelength_from_energy(energy),
        "peak_width": np.full(800, 0.08),
        "peak_intensity": height_of(total, energy),
    }
    for name, value in truth.items():
        z = ((got[name] - value) / got[f"{name}_stderr"]).values[ok]
        # at 100 photons the height is that of the highest fluctuation, and a width is not normal
        low, high = (0.58, 0.78) if total < 1e3 else (0.62, 0.75)
        if name == "peak_width" and method == "centroid" and total < 1e4:
            high = 0.80
        assert low < (np.abs(z) < 1).mean() < high, name
        assert abs(np.median(z)) < (0.35 if total < 1e3 else 0.25), name
    # no bias beyond the error of 800 spectra
    z = ((got.peak_energy - energy) / got.peak_energy_stderr).values[ok]
    assert abs(z.mean()) < 0.15


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("energy", [1.80, 1.95, 2.1])
@pytest.mark.parametrize("fwhm", [0.04, 0.08])
def test_exact_without_noise(method: Any, energy: float, fwhm: float) -> None:
    ds = dataset(1e4 * light(energy, fwhm) + 3.0)
    for data in (ds, spectra.to_energy(dataset(1e4 * light(energy, fwhm)))):
        got = fit_peaks(data, method=method)
        exact = method in ("gaussian", "asymmetric")
        # the constant seen at the ends holds a little of the peak's wings
        assert float(got.peak_energy) == pytest.approx(energy, abs=2e-8 if exact else 1e-4)
        assert float(got.peak_width) == pytest.approx(fwhm, rel=1e-6 if exact else 5e-3)
        assert float(got.peak_wavelength) == pytest.approx(
            float(photons.wavelength_from_energy(energy)), abs=1e-4 if exact else 0.05
        )
    assert float(fit_peaks(ds, method=method).peak_intensity) == pytest.approx(
        float(height_of(1e4, np.array(energy), fwhm)), rel=1e-6 if exact else 5e-3
    )


def test_the_maximum_per_nm_lies_higher_than_that_per_ev() -> None:
    y = light(1.95, 0.1)
    top = photons.energy_from_wavelength(WAVELENGTH[np.argmax(y)])
    got = float(fit_peaks(dataset(1e5 * y)).peak_energy)
    assert got == pytest.approx(1.95, abs=2e-5)
    assert top - got > 1e-3


def test_documented_bias_on_an_asymmetric_line() -> None:
    ds = dataset(1e6 * light(1.95, 0.08, -0.3))
    bias = {m: 1e3 * (float(fit_peaks(ds, method=m).peak_energy) - 1.95) for m in METHODS}
    assert bias["parabola"] == pytest.approx(-4.2, abs=0.5)
    assert bias["gaussian"] == pytest.approx(-11.7, abs=1.0)
    assert bias["centroid"] == pytest.approx(-12.5, abs=1.0)
    assert bias["asymmetric"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_without_gain_the_residuals_give_sigma(method: Any, rng: np.random.Generator) -> None:
    energy = 1.95 + rng.uniform(-0.01, 0.01, 500)
    y = rng.poisson(1e4 * light(energy) + 5.0)
    with pytest.warns(PlkitWarning, match="gain is not known") as seen:
        got = fit_peaks(dataset(y, read=None), method=method)
    assert len(seen) == 1
    z = np.abs((got.peak_energy - energy) / got.peak_energy_stderr)
    assert 0.60 < float((z < 1).mean()) < 0.76


def test_maps_series_and_single_spectra_agree() -> None:
    cube = 1e4 * light(1.95 + 0.01 * np.arange(6)).reshape(2, 3, -1)
    whole = fit_peaks(dataset(cube))
    assert whole.peak_energy.dims == ("y", "x")
    np.testing.assert_allclose(whole.x, [0.0, 0.5, 1.0])
    one = fit_peaks(dataset(cube[1, 2]))
    assert one.peak_energy.dims == ()
    assert float(one.peak_energy) == pytest.approx(float(whole.peak_energy[1, 2]), abs=1e-12)
    turned = dataset(cube).transpose("wavelength", "x", "y").isel(wavelength=slice(None, None, -1))
    np.testing.assert_allclose(fit_peaks(turned).peak_energy, whole.peak_energy)
    whole_counts = dataset(cube.round().astype(np.uint16))
    np.testing.assert_allclose(fit_peaks(whole_counts).peak_energy, whole.peak_energy, atol=3e-4)


def test_results_carry_units_flags_and_history(tmp_path: Path) -> None:
    got = fit_peaks(dataset(1e4 * light([1.95, 2.0])), window=(580, 720))
    for name, unit in (("peak_energy", "eV"), ("peak_wavelength", "nm"), ("peak_width", "eV"),
                       ("peak_intensity", "counts"), ("redchi", "1")):  # fmt: skip
        assert got[name].attrs["units"] == unit
    assert got.peak_energy_stderr.attrs["units"] == "eV"
    assert got.fit_status.dtype == np.int8
    assert got.fit_status.attrs["flag_meanings"].split()[3] == "no_signal"
    assert "fit_peaks(method='parabola', window=(580, 720))" in got.attrs["history"]
    got.to_netcdf(tmp_path / "peaks.nc")
    assert "redchi" not in fit_peaks(dataset(1e4 * light(1.95)), method="centroid")


@pytest.mark.parametrize("method", METHODS)
def test_masked_channels_are_left_out(method: Any, rng: np.random.Generator) -> None:
    y = 1e5 * light([1.95] * 4) + 2.0
    y[0, 120:124] = np.nan  # on the peak
    y[1, ::7] = np.nan
    y[:, 30] = np.nan
    y[3] = np.nan
    got = fit_peaks(dataset(y), method=method)
    assert got.fit_status.values.tolist() == [0, 0, 0, 3]
    np.testing.assert_allclose(got.peak_energy[:3], 1.95, atol=3e-4)
    assert np.isnan(got.peak_energy[3])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("read", [3.0, None])
def test_no_signal_is_no_number(method: Any, read: float | None, rng: np.random.Generator) -> None:
    y = 50.0 + rng.normal(0.0, 3.0, (200, 256))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlkitWarning)
        got = fit_peaks(dataset(y, read=read, gain=1e-6), method=method)
        dark = fit_peaks(dataset(np.zeros((2, 256)), read=read), method=method)
    assert float((got.fit_status >= 3).mean()) > 0.97
    none = got.fit_status >= 3
    for name in ("peak_energy", "peak_width_stderr", "peak_intensity", "peak_wavelength"):
        assert np.isnan(got[name].where(none, drop=True)).all()
    assert dark.fit_status.values.tolist() == [3, 3]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("method", METHODS)
def test_few_channels_give_a_status_not_an_error(n: int, method: Any) -> None:
    got = fit_peaks(dataset(1e5 * light(1.95)).isel(wavelength=slice(120, 120 + n)), method=method)
    assert int(got.fit_status) in (0, 1, 2, 3, 4)
    if int(got.fit_status) >= 3:
        assert np.isnan(got.peak_energy)


@pytest.mark.parametrize("method", ["parabola", "gaussian"])
def test_a_peak_beyond_the_end_is_flagged(method: Any) -> None:
    tail = dataset(1e5 * light(1.55) + 10.0)  # 800 nm, the axis ends at 760 nm
    got = fit_peaks(tail, method=method)
    assert int(got.fit_status) in (1, 2, 4)


def test_the_higher_of_two_peaks_is_taken_and_the_window_chooses() -> None:
    y = 1e4 * (light(2.1, 0.05) + 0.6 * light(1.75, 0.05))
    assert float(fit_peaks(dataset(y)).peak_energy) == pytest.approx(2.1, abs=2e-4)
    red = fit_peaks(dataset(y), window=(660, 760))
    assert float(red.peak_energy) == pytest.approx(1.75, abs=2e-4)
    energy = spectra.to_energy(dataset(y))
    assert float(fit_peaks(energy, window=(1.6, 1.9)).peak_energy) == pytest.approx(1.75, abs=2e-4)


def test_what_cannot_be_fitted_is_told() -> None:
    ds = dataset(light(1.95))
    with pytest.raises(DataError, match="method is 'lorentz', not one of parabola, centroid"):
        fit_peaks(ds, method="lorentz")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="not within 900 to 950"):
        fit_peaks(ds, window=(900, 950))
    raman = ds.rename(wavelength="raman_shift")
    raman["raman_shift"].attrs["units"] = "1/cm"
    with pytest.raises(DataError, match="'raman_shift', not 'wavelength' or 'energy'"):
        fit_peaks(raman)


def test_medium_of_the_axis_enters(rng: np.random.Generator) -> None:
    ds = dataset(1e5 * light(1.95))
    in_air = fit_peaks(ds)
    ds["wavelength"].attrs["medium"] = "vacuum"
    in_vacuum = fit_peaks(ds)
    # n - 1 = 2.77e-4 of 1.95 eV
    assert float(in_vacuum.peak_energy - in_air.peak_energy) == pytest.approx(5.4e-4, abs=2e-5)
    assert in_vacuum.peak_wavelength.attrs["medium"] == "vacuum"


# The exciton --------------------------------------------------------------------------------


def absorbance(energy: np.ndarray, exciton: float, fwhm: float = 0.09) -> np.ndarray:
    line = 0.4 * np.exp(-4 * np.log(2) * ((energy - exciton) / fwhm) ** 2)
    continuum = 0.5 / (1 + np.exp(-(energy - exciton - 0.25) / 0.05))
    return np.asarray(line + continuum + 0.05 * energy)


@pytest.mark.parametrize("peak_nm", [504.0, 539.0, 571.0, 622.0])
def test_published_h2_first_exciton(peak_nm: float) -> None:
    # H2: 504 / 539 / 571 / 622 nm are 2.46 / 2.30 / 2.17 / 2.00 (1.993) eV
    wavelength = np.linspace(400.0, 750.0, 701)
    exciton = float(photons.energy_from_wavelength(peak_nm))
    a = absorbance(photons.energy_from_wavelength(wavelength), exciton)
    ds = xr.Dataset(
        {"absorbance": ("wavelength", a)},
        {"wavelength": ("wavelength", wavelength, {"units": "nm"})},
    )
    got = second_derivative_energy(ds)
    assert float(got.exciton_energy) == pytest.approx(exciton, abs=2e-3)
    assert got.exciton_energy.attrs["units"] == "eV"


def test_exciton_interval_holds_the_truth(rng: np.random.Generator) -> None:
    energy = np.linspace(1.9, 2.9, 801)
    a = absorbance(energy, 2.3)
    noisy = a + rng.normal(0.0, 2e-3, (400, 801))
    ds = xr.Dataset(
        {"absorbance": (("sample", "energy"), noisy)},
        {"energy": ("energy", energy, {"units": "eV"})},
    )
    got = second_derivative_energy(ds)
    exact = float(second_derivative_energy(ds.assign(absorbance=("energy", a))).exciton_energy)
    assert float(got.exciton_energy.notnull().mean()) > 0.99
    z = np.abs(got.exciton_energy - exact) / got.exciton_energy_stderr
    assert 0.58 < float((z < 1).mean()) < 0.78
    assert float(np.abs(got.exciton_energy.mean() - exact)) < 1e-3


def test_exciton_of_bad_input() -> None:
    energy = np.linspace(1.9, 2.9, 401)
    a = np.stack([absorbance(energy, 2.3), np.full(401, np.nan), energy])
    ds = xr.Dataset(
        {"absorbance": (("sample", "energy"), a)}, {"energy": ("energy", energy, {"units": "eV"})}
    )
    got = second_derivative_energy(ds.isel(energy=slice(None, None, -1)), window=(2.0, 2.8))
    assert float(got.exciton_energy[0]) == pytest.approx(2.3, abs=2e-3)
    assert np.isnan(got.exciton_energy[1])
    with pytest.raises(DataError, match="holds nothing, not 'absorbance'"):
        second_derivative_energy(xr.Dataset())
    with pytest.raises(DataError, match="spans 1 of 401 channels"):
        second_derivative_energy(ds, smooth_ev=1e-3)


# Measured data --------------------------------------------------------------------------------


def wellesley(test_data: Path) -> xr.Dataset:
    (path,) = (test_data / "wellesley_illumination").glob("*.csv")
    ds = spectra.crop(spectra.despike(plkit.read(path)), wavelength=(520.0, 900.0))
    return spectra.subtract_baseline(spectra.estimate_noise(ds))


def test_measured_film_does_not_segregate(test_data: Path) -> None:
    ds = wellesley(test_data).isel(time=slice(1, None))  # the first frame is under-exposed
    for method in ("parabola", "gaussian"):
        got = fit_peaks(ds, method=method, window=(600.0, 720.0))  # type: ignore[arg-type]
        assert (got.fit_status == 0).all()
        assert float(got.peak_wavelength.mean()) == pytest.approx(642.5, abs=1.0)
        scatter = float(got.peak_wavelength.std())
        assert 0.1 < scatter < 0.3
        # the propagated σ is the scatter seen
        assert float(got.peak_wavelength_stderr.median()) == pytest.approx(scatter, rel=0.35)
        growth = float(got.peak_intensity[-10:].mean() / got.peak_intensity[:10].mean())
        assert 1.03 < growth < 1.12


@pytest.mark.filterwarnings("ignore:the detector's gain:plkit.errors.PlkitWarning")
def test_measured_maps_have_peak_energies(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    folder = test_data / "gpl_instrument_maps"
    emitters = fit_peaks(spectra.despike(plkit.read(folder / "quantum-emitters_map.dm4")))
    assert emitters.sizes == {"y": 16, "x": 16}
    assert (emitters.fit_status == 0).all()
    assert float(emitters.peak_energy.median()) == pytest.approx(1.850, abs=0.01)
    assert float(emitters.peak_energy_stderr.median()) < 2e-3
    particles = fit_peaks(spectra.despike(plkit.read(folder / "nanoparticles.hspy")))
    bright = particles.where(particles.fit_status == 0)
    assert 180 < int(bright.peak_energy.notnull().sum()) < 270  # the rest of 300 is substrate
    assert float(bright.peak_energy.median()) == pytest.approx(2.40, abs=0.01)
    assert schema.validate(plkit.read(folder / "nanoparticles.hspy")).ok
