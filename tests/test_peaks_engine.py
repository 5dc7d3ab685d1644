"""The compiled search for peaks: against numpy and scipy, in every way that spectra may lie."""

from __future__ import annotations

import pickle
import tracemalloc
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import fit_peaks, names, spectra
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.peaks._door import measured, prepare
from plkit.physics import photons
from plkit.physics.lineshapes import asymmetric, gaussian_profile, spectrum_on_wavelength
from plkit.physics.peaks import METHODS, Problem, fit_spectra

from . import peaks_reference as reference

NM = np.linspace(560.0, 760.0, 256)
ENERGY = photons.energy_from_wavelength(NM)
BANDWIDTH = photons.relative_bandwidth(NM)
ORDER = np.argsort(ENERGY)


def problem(method: str, gain: float | None = 1.0, floor: float = 0.0) -> Problem:
    every = np.ones(NM.size)
    return Problem(
        ENERGY[ORDER], BANDWIDTH[ORDER], ORDER, method,
        None if gain is None else gain * every, None if gain is None else floor * every,
    )  # fmt: skip


def simulated(rng: Any, n: int, total: float, b: float, background: float, read: float) -> Any:
    energy = 1.95 + rng.uniform(-0.15, 0.15, n)
    density = spectrum_on_wavelength(NM, asymmetric, energy[:, None], 0.08, b)
    mean = total * (NM[1] - NM[0]) * density + background
    return rng.poisson(mean) + rng.normal(0.0, read, mean.shape)


def dataset(y: np.ndarray, *, gain: float | None = 1.0, floor: float = 9.0) -> xr.Dataset:
    dims = ("y", "x", names.WAVELENGTH)[3 - y.ndim :]
    coords: dict[str, Any] = {names.WAVELENGTH: (names.WAVELENGTH, NM, names.attrs("wavelength"))}
    for d, n in zip(dims[:-1], y.shape, strict=False):
        coords[d] = (d, np.arange(n) * 0.5, names.attrs(d))
    ds = xr.Dataset({names.INTENSITY: (dims, y, names.attrs(names.INTENSITY))}, coords)
    if gain is not None:
        ds[names.NOISE_GAIN] = ((), gain, names.attrs(names.NOISE_GAIN))
        ds[names.NOISE_FLOOR] = ((), floor, names.attrs(names.NOISE_FLOOR))
    return ds


def deviation(found: Any, wanted: Any) -> Any:
    """Largest difference of values and σ of every spectrum, in units of σ; and of redchi."""
    values, status = found
    np.testing.assert_array_equal(status, wanted.status)
    columns = [
        wanted.energy, wanted.energy_stderr, wanted.width, wanted.width_stderr, wanted.height,
        wanted.height_stderr,
    ]  # fmt: skip
    np.testing.assert_array_equal(np.isnan(values[:, 0]), np.isnan(wanted.energy))
    ok = status < 3
    sigma = np.stack(columns[1::2], axis=1).repeat(2, axis=1)
    distance = np.abs(values[:, :6] - np.stack(columns, axis=1)) / sigma
    # a line that touches a bound may have no σ
    np.testing.assert_array_equal(np.isnan(values[:, 1:6:2]), np.isnan(sigma[:, ::2]))
    distance[np.isnan(sigma)] = 0.0
    np.testing.assert_allclose(values[ok, 6], wanted.redchi[ok], rtol=1e-4)
    return distance[ok].max(axis=1)


# Against plain numpy ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("total, b, background, read", [
    (1e5, 0.0, 5.0, 3.0), (1e4, -0.2, 5.0, 3.0), (1e3, 0.3, 2.0, 2.0), (300.0, 0.0, 0.0, 1.0),
])  # fmt: skip
def test_proof_7_the_kernel_gives_the_numbers_of_plain_numpy(
    method: str, known: bool, total: float, b: float, background: float, read: float, rng: Any
) -> None:
    y = simulated(rng, 300, total, b, background, read)
    gain = 1.0 if known else None
    found = fit_spectra(y, problem(method, gain, read**2))
    spectra_ = reference.prepare(y, ENERGY, BANDWIDTH, gain, read**2)
    distance = deviation(found, reference.fit_peaks_numpy(spectra_, method))
    # the last step of both is shorter than 1e-4 σ
    assert distance.size > 290
    assert np.quantile(distance, 0.99) < 1e-3
    assert distance.max() < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_the_noise_of_every_channel_enters(method: str, rng: Any) -> None:
    y = simulated(rng, 100, 3e3, -0.1, 5.0, 3.0)
    gain, floor = rng.uniform(0.5, 2.0, NM.size), rng.uniform(4.0, 16.0, NM.size)
    own = replace(problem(method), gain=gain[ORDER], floor=floor[ORDER])
    wanted = reference.prepare(y, ENERGY, BANDWIDTH, 1.0)
    wanted = replace(wanted, gain=gain[ORDER], floor=floor[ORDER])
    distance = deviation(fit_spectra(y, own), reference.fit_peaks_numpy(wanted, method))
    assert distance.max() < 1e-3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["wellesley", "emitters", "particles"])
def test_measured_spectra_have_the_numbers_of_plain_numpy(
    name: str, method: str, test_data: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlkitWarning)
        if name == "wellesley":
            (path,) = (test_data / "wellesley_illumination").glob("*.csv")
            ds = spectra.crop(spectra.despike(plkit.read(path)), wavelength=(520.0, 900.0))
            ds = spectra.estimate_noise(ds)
        else:
            pytest.importorskip("rsciio")
            file = {"emitters": "quantum-emitters_map.dm4", "particles": "nanoparticles.hspy"}[name]
            ds = spectra.despike(plkit.read(test_data / "gpl_instrument_maps" / file))
    ready = prepare(ds, measured(ds, names.INTENSITY), method, None)
    p = ready.problem
    y = ready.data.values.reshape(-1, ready.data.shape[-1])
    whole = np.isfinite(y).all(axis=1)  # gaps are left out here, and bridged by numpy
    assert whole.sum() > 50
    wanted = reference.prepare(y[whole][:, p.order], p.energy, p.bandwidth, None)
    wanted = replace(wanted, gain=p.gain, floor=p.floor)
    distance = deviation(fit_spectra(y[whole], p), reference.fit_peaks_numpy(wanted, method))
    assert np.quantile(distance, 0.99) < 1e-3
    assert distance.max() < 0.02


# Against scipy ------------------------------------------------------------------------------------


def test_scipy_finds_the_same_gaussian_and_sigma(rng: Any) -> None:
    """curve_fit with the weights of the model that was found, on the channels within ±2 widths."""
    from scipy.optimize import curve_fit

    y = simulated(rng, 12, 5e3, 0.0, 10.0, 2.0)
    values, status = fit_spectra(y, problem("gaussian", 1.0, 4.0))
    assert (status == 0).all()

    def model(e: Any, height: float, centre: float, fwhm: float, level: float, band: Any) -> Any:
        return level + height * band * gaussian_profile(e, centre, fwhm)[0]

    for row, found in zip(y, values, strict=True):
        use = np.abs(ENERGY - found[0]) <= 2.0 * found[2]
        band = BANDWIDTH[use]
        per_axis = np.interp(found[0], ENERGY[ORDER], BANDWIDTH[ORDER])
        start = [found[4] / per_axis, found[0], found[2], 10.0]
        level = 10.0
        for _ in range(8):  # weights from the model
            expected = model(ENERGY[use], *start[:3], level, band)
            sigma = np.sqrt(np.maximum(expected, 0.3) + 4.0)
            got, cov = curve_fit(
                lambda e, h, c, w, d: model(e, h, c, w, d, band),  # noqa: B023
                ENERGY[use], row[use], p0=[*start[:3], level], sigma=sigma, absolute_sigma=True,
            )  # fmt: skip
            start, level = list(got), got[3]
        error = np.sqrt(np.diag(cov))
        # the window of the fit is that of its last but one round
        assert abs(found[0] - got[1]) < 0.1 * error[1]
        assert abs(found[2] - got[2]) < 0.3 * error[2]
        assert found[1] == pytest.approx(error[1], rel=0.01)
        assert found[3] == pytest.approx(error[2], rel=0.03)
        assert found[5] == pytest.approx(error[0] * per_axis, rel=0.01)


# However spectra lie ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_type_order_and_threads_change_nothing(method: str, rng: Any) -> None:
    y = np.maximum(np.rint(simulated(rng, 600, 5e3, 0.0, 10.0, 2.0)), 0.0).reshape(20, 30, -1)
    p = problem(method, 1.0, 4.0)
    values, status = fit_spectra(y, p, threads=1)
    assert values.shape == (20, 30, 7)
    kinds: list[Any] = [
        y.astype(t) for t in (np.uint16, np.int64, np.float32, ">f8", "<u2", ">u2", np.int32)
    ]
    kinds += [np.asfortranarray(y), np.moveaxis(np.moveaxis(y, -1, 0).copy(), 0, -1), y[::1, ::1]]
    for other in kinds:
        for threads in (1, 3):
            again, codes = fit_spectra(other, p, threads=threads)
            np.testing.assert_array_equal(again, values)
            np.testing.assert_array_equal(codes, status)
    one, code = fit_spectra(y[3, 4], p)
    np.testing.assert_array_equal(one, values[3, 4])
    assert code == status[3, 4]
    np.testing.assert_array_equal(
        fit_spectra(y[..., ::-1], replace(p, order=NM.size - 1 - p.order))[0], values
    )
    some = fit_spectra(y[::2, ::3], p)[0]
    np.testing.assert_array_equal(some, values[::2, ::3])
    assert fit_spectra(y[:0], p)[0].shape == (0, 30, 7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gain", [1.0, None])
def test_a_gap_is_as_if_its_channels_were_not_there(
    method: str, gain: float | None, rng: Any
) -> None:
    y = simulated(rng, 50, 5e3, 0.0, 10.0, 2.0)
    gap = np.r_[0:3, 60:64, 131, 250:256]
    full = problem(method, gain, 4.0)
    with_gap = y.copy()
    with_gap[:, gap] = np.nan
    with_gap[7, gap] = np.inf
    with_gap[8, gap] = -np.inf
    left = np.setdiff1d(np.arange(NM.size), gap)
    e, b = ENERGY[left], BANDWIDTH[left]
    order = np.argsort(e)
    noise = None if gain is None else np.ones(left.size)
    floor = None if gain is None else np.full(left.size, 4.0)
    without = Problem(e[order], b[order], order, method, noise, floor)
    np.testing.assert_array_equal(
        fit_spectra(with_gap, full)[0], fit_spectra(y[:, left], without)[0]
    )


def test_the_problem_can_be_sent_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(problem("gaussian")))
    np.testing.assert_array_equal(again.energy, ENERGY[ORDER])


@pytest.mark.parametrize("method", ["parabola", "asymmetric"])
def test_chunks_and_files_give_the_same_to_the_last_bit(
    method: Any, rng: Any, tmp_path: Path
) -> None:
    pytest.importorskip("dask")
    y = np.maximum(np.rint(simulated(rng, 391, 5e3, 0.0, 10.0, 3.0)), 0.0)
    ds = dataset(y.astype(np.uint16).reshape(17, 23, -1))
    whole = fit_peaks(ds, method=method, window=(570, 750))
    path = tmp_path / "cube.nc"
    plkit.write(ds, path)
    for chunks in ({"y": 5, "x": 23}, {"y": 17, "x": 4, names.WAVELENGTH: 100}):
        got = fit_peaks(ds.chunk(chunks), method=method, window=(570, 750))
        xr.testing.assert_identical(got.drop_attrs(deep=False), whole.drop_attrs(deep=False))
        assert got.peak_energy.chunks is None
    got = fit_peaks(path, method=method, window=(570, 750))
    xr.testing.assert_equal(got, whole)
    assert got.peak_wavelength.attrs == whole.peak_wavelength.attrs
    with xr.open_dataset(path) as lazy:
        got = fit_peaks(lazy, method=method, window=(570, 750))
        xr.testing.assert_equal(got, whole)
        assert not lazy.intensity.variable._in_memory
    with xr.open_dataset(path, chunks={}) as lazy:
        xr.testing.assert_equal(fit_peaks(lazy, method=method, window=(570, 750)), whole)


def test_a_cube_larger_than_the_memory_is_never_held(rng: Any) -> None:
    da = pytest.importorskip("dask.array")
    one = simulated(rng, 256, 5e3, 0.0, 10.0, 3.0)

    def chunk(block_info: Any = None) -> Any:
        return np.tile(one, (10, 1))[None]

    lazy = da.map_blocks(chunk, dtype=np.float64, chunks=((1,) * 24, (2560,), (256,)))
    ds = dataset(np.broadcast_to(0.0, lazy.shape))
    ds[names.INTENSITY] = ds[names.INTENSITY].copy(data=lazy)
    fit_peaks(ds.isel(y=slice(1)))
    import dask

    tracemalloc.start()
    try:
        with dask.config.set(scheduler="threads", num_workers=2):
            got = fit_peaks(ds)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lazy.nbytes > 1.2e8
    assert peak < 0.4 * lazy.nbytes
    expected = fit_peaks(dataset(one)).peak_energy.values
    np.testing.assert_array_equal(got.peak_energy.values[23, :256], expected)


def test_progress_is_shown_where_wanted(rng: Any, capsys: Any) -> None:
    pytest.importorskip("dask")
    ds = dataset(simulated(rng, 40, 5e3, 0.0, 10.0, 3.0).reshape(4, 10, -1))
    fit_peaks(ds)
    assert capsys.readouterr().err == ""
    fit_peaks(ds, progress=True)
    assert "40/40" in capsys.readouterr().err
    fit_peaks(ds.chunk(y=1), progress=True)
    assert "peaks" in capsys.readouterr().err


def test_axes_come_out_sorted_and_named(rng: Any) -> None:
    y = simulated(rng, 6, 1e4, 0.0, 10.0, 3.0).reshape(2, 3, -1)
    ds = dataset(y)
    shuffled = ds.isel(x=[2, 0, 1], y=[1, 0]).transpose(names.WAVELENGTH, "x", "y")
    shuffled = shuffled.assign_coords(note=("x", ["c", "a", "b"]))
    got = fit_peaks(shuffled)
    assert got.peak_energy.dims == ("y", "x")
    assert got.note.values.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(got.peak_energy, fit_peaks(ds).peak_energy)


# Another variable, and what is refused ------------------------------------------------------------


def test_another_variable_is_fitted_in_its_own_unit(rng: Any) -> None:
    ds = dataset(simulated(rng, 3, 1e4, 0.0, 10.0, 3.0))
    want = fit_peaks(ds)
    ds["corrected"] = ds.intensity.assign_attrs(units="counts")
    got = fit_peaks(ds, variable="corrected")
    xr.testing.assert_equal(got, want)
    assert "variable='corrected'" in got.attrs["history"]
    ds["rate"] = (ds.intensity / 2.0).assign_attrs(units="counts/s")
    with pytest.warns(PlkitWarning, match="gain is not known"):
        got = fit_peaks(ds, variable="rate")
    with pytest.warns(PlkitWarning, match="gain is not known"):
        want = fit_peaks(ds[[names.INTENSITY]])
    assert got.peak_intensity.attrs["units"] == got.peak_intensity_stderr.attrs["units"]
    assert got.peak_intensity.attrs["units"] == "counts/s"
    np.testing.assert_allclose(got.peak_energy, want.peak_energy, rtol=1e-9)
    np.testing.assert_allclose(2.0 * got.peak_intensity, want.peak_intensity, rtol=1e-6)
    with pytest.raises(DataError, match=r"holds intensity, .*, not 'absent'"):
        fit_peaks(ds, variable="absent")


def test_what_cannot_be_fitted_is_told(rng: Any) -> None:
    ds = dataset(simulated(rng, 4, 1e4, 0.0, 10.0, 3.0).reshape(2, 2, -1))
    w = names.WAVELENGTH
    cases: list[tuple[Any, str]] = [
        (ds.intensity, "the argument is a DataArray, not a Dataset"),
        (ds.rename(intensity="spectrum"), "holds spectrum, .*not 'intensity'"),
        (ds.isel(x=slice(0)), "not at least one value"),
        (ds.drop_vars(w), "has no coordinate"),
        (ds.astype(str), "not a real number"),
        (ds.assign_coords({w: (w, np.r_[np.nan, NM[1:]], names.attrs(w))}), "holds NaN"),
        (ds.assign_coords({w: (w, NM - 560.0, names.attrs(w))}), "start at 0 nm, not above 0"),
        (ds.assign(noise_gain=-1.0), "zero or negative"),
        (ds.assign(noise_gain=0.0, noise_floor=0.0), "zero or negative"),
        (ds.assign(noise_gain=("x", [1.0, 2.0])), "'noise_gain' runs over x"),
        (ds.isel({w: 5}), "no spectral dimension"),
    ]
    for bad, words in cases:
        with pytest.raises(DataError, match=f"^Cannot fit peaks because .*{words}"):
            fit_peaks(bad)
    kg = ds.assign_coords({w: (w, NM, {"units": "kg"})})
    with pytest.raises(UnitsError, match=r"^Cannot fit peaks because .*units 'kg', not 'nm'"):
        fit_peaks(kg)
    for window, words in (((900, 950), "not within 900 to 950"), ((1,), "is not a pair"), (7, "")):
        with pytest.raises(DataError, match=f"^Cannot fit peaks because .*{words}"):
            fit_peaks(ds, window=window)  # type: ignore[arg-type]


def test_window_with_an_open_end_and_in_either_order(rng: Any) -> None:
    ds = dataset(simulated(rng, 2, 1e4, 0.0, 10.0, 3.0))
    want = fit_peaks(ds.sel({names.WAVELENGTH: slice(600.0, None)}))
    got = fit_peaks(ds, window=(600.0, None))
    xr.testing.assert_equal(got, want)
    assert "window=(600, None)" in got.attrs["history"]
    xr.testing.assert_equal(fit_peaks(ds, window=(760.0, 600.0)), want)


def test_channels_whose_noise_is_not_known_are_left_out(rng: Any) -> None:
    ds = dataset(simulated(rng, 5, 1e4, 0.0, 10.0, 3.0))
    gain = xr.DataArray(np.ones(NM.size), dims=names.WAVELENGTH)
    gain[40:45] = np.nan
    got = fit_peaks(ds.assign(noise_gain=gain))
    left = np.setdiff1d(np.arange(NM.size), np.arange(40, 45))
    xr.testing.assert_equal(got, fit_peaks(ds.isel({names.WAVELENGTH: left})))


def test_two_channels_of_one_energy_do_no_harm(rng: Any) -> None:
    ds = dataset(simulated(rng, 5, 1e4, 0.0, 10.0, 3.0))
    twice = NM.copy()
    twice[100] = twice[101]
    for method in METHODS:
        got = fit_peaks(
            ds.assign_coords(
                {names.WAVELENGTH: (names.WAVELENGTH, twice, names.attrs("wavelength"))}
            ),
            method=method,
        )  # type: ignore[arg-type]
        want = fit_peaks(ds, method=method)  # type: ignore[arg-type]
        np.testing.assert_allclose(got.peak_energy, want.peak_energy, atol=5e-4)


@pytest.mark.parametrize("method", METHODS)
def test_proof_7_coverage_from_30_counts_in_the_highest_channel(method: Any, rng: Any) -> None:
    energy = 1.95 + rng.uniform(-0.01, 0.01, 8000)
    line = spectrum_on_wavelength(NM, asymmetric, energy[:, None], 0.08, 0.0)
    mean = 30.0 / line.max() * line + 2.0
    y = rng.poisson(mean) + rng.normal(0.0, 2.0, mean.shape)
    values, status = fit_spectra(y, problem(method, 1.0, 4.0))
    ok = status == 0
    assert ok.mean() > 0.997
    # three standard deviations of 8000 spectra are 1.6 %
    low, high = (0.655, 0.71) if method in ("gaussian", "asymmetric") else (0.64, 0.72)
    for truth, column in ((energy, 0), (np.full(8000, 0.08), 2)):
        z = np.abs(values[:, column] - truth)[ok] / values[ok, column + 1]
        assert low < (z < 1).mean() < high
