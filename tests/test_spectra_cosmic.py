"""Cosmic rays: found, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError
from plkit.physics.lineshapes import gaussian, spectrum_on_wavelength
from plkit.spectra import despike

READ = 3.0


def dataset(y: np.ndarray, dims: tuple[str, ...], *, model: bool = True) -> xr.Dataset:
    coords = {
        d: (d, np.linspace(500.0, 700.0, n) if d == "wavelength" else np.arange(n) * 1.0,
            {"units": names.unit(d)})
        for d, n in zip(dims, y.shape, strict=True)
    }  # fmt: skip
    ds = xr.Dataset({"intensity": (dims, y, {"units": "counts"})}, coords)
    if model:
        ds["noise_gain"] = ((), 1.0, names.attrs("noise_gain"))
        ds["noise_floor"] = ((), READ**2, names.attrs("noise_floor"))
    return ds


def pl(n: int) -> np.ndarray:
    y = spectrum_on_wavelength(np.linspace(500.0, 700.0, n), gaussian, 2.0, 0.07)
    return y / y.max()


def line(n: int, at: float, fwhm_channels: float) -> np.ndarray:
    return np.exp(-4 * np.log(2) * ((np.arange(n) - at) / fwhm_channels) ** 2)


def decays() -> tuple[np.ndarray, tuple[str, ...]]:
    decay = 0.3 + 0.7 * np.exp(-np.arange(150) / 5.0)
    shape = 5.0 + 1000.0 * decay[None, :, None] * (pl(256) + 3 * line(256, 77.3, 2.5))
    return shape * np.ones((3, 1, 1)), ("power", "time", "wavelength")


def hyperspectral_map() -> tuple[np.ndarray, tuple[str, ...]]:
    y, x = np.mgrid[:30, :30]
    spots = np.exp(-((y - 15) ** 2 + (x - 12) ** 2) / 60) + 0.2 * (np.sin(x) > 0)
    return 5.0 + 500.0 * spots[..., None] * (pl(200) + line(200, 60.0, 3.0)), (
        "y", "x", "wavelength",
    )  # fmt: skip


def lone() -> tuple[np.ndarray, tuple[str, ...]]:
    return 10.0 + 3000.0 * pl(1340) * np.ones((60, 1)), ("sample", "wavelength")


@pytest.mark.parametrize("model", [True, False], ids=["gain", "no-gain"])
@pytest.mark.parametrize(
    "scene, width",
    # a lone spectrum cannot tell a spike of three channels from a line
    [(s, w) for s in (decays, hyperspectral_map) for w in (1, 2, 3)] + [(lone, 1), (lone, 2)],
)
def test_proof_10_cosmic_rays_found_and_nothing_else(
    scene: Any, width: int, model: bool, rng: np.random.Generator
) -> None:
    expected, dims = scene()
    sigma = np.sqrt(expected + READ**2)
    hit = (
        (rng.random(expected.shape) < 1e-3) * sigma * (10.0 + rng.exponential(5.0, expected.shape))
    )
    rays = hit.copy()
    for shift, part in ((1, 0.7), (-1, 0.5))[: width - 1]:
        rays += part * np.roll(hit, shift, axis=-1)
    y = rng.poisson(expected) + rng.normal(0.0, READ, expected.shape) + rays
    mask = despike(dataset(y, dims, model=model)).spike_mask.values.astype(bool)
    sure = rays >= 10.0 * sigma
    assert mask[sure].mean() > 0.95
    assert (mask & ~(rays > 0.0)).mean() < 1e-4


def film() -> tuple[np.ndarray, tuple[str, ...]]:
    growth = 1.0 - 0.3 * np.exp(-np.arange(150) / 40.0)
    return 5.0 + 400.0 * growth[:, None] * pl(1024), ("time", "wavelength")


def steady_map() -> tuple[np.ndarray, tuple[str, ...]]:
    y, x = np.mgrid[:24, :24]
    spots = np.exp(-((y - 15) ** 2 + (x - 12) ** 2) / 60) + 0.2 * (np.sin(x) > 0)
    return 5.0 + 500.0 * spots[..., None] * pl(256), ("y", "x", "wavelength")


def one_by_one() -> tuple[np.ndarray, tuple[str, ...]]:
    return 10.0 + 1000.0 * pl(1024) * np.ones((150, 1)), ("sample", "wavelength")


def rates(
    scene: Any, model: bool, rounds: int, rng: np.random.Generator
) -> tuple[float, float, int]:
    """Share found of the spikes that stand above 6 σ, false alarms per pixel, number of the former.

    Heights are spread evenly on a logarithmic scale from 6 to 600 σ: a third as many stand between 6
    and 12 σ as in all of a real detector, where rays leave hundreds of electrons.
    """
    found = spikes = alarms = pixels = 0
    expected, dims = scene()
    sigma = np.sqrt(expected + READ**2)
    for _ in range(rounds):
        hit = rng.random(expected.shape) < 1e-3
        heights = sigma * 6.0 * 100.0 ** rng.random(expected.shape)
        clean = rng.poisson(expected) + rng.normal(0.0, READ, expected.shape)
        y = clean + hit * heights
        high = hit & (y - expected > 6.0 * sigma)
        mask = despike(dataset(y, dims, model=model)).spike_mask.values.astype(bool)
        found += int((mask & high).sum())
        spikes += int(high.sum())
        alarms += int(despike(dataset(clean, dims, model=model)).spike_mask.sum())
        pixels += clean.size
    return found / spikes, alarms / pixels, spikes


@pytest.mark.parametrize("model", [True, False], ids=["gain", "no-gain"])
@pytest.mark.parametrize("scene", [film, steady_map, one_by_one])
def test_proof_10_spikes_above_six_sigma(scene: Any, model: bool, rng: np.random.Generator) -> None:
    share, alarms, spikes = rates(scene, model, 3, rng)
    # 450 spikes know their share to 0.5 %, 450 000 values their alarms to 5e-6
    assert spikes > 300
    assert share >= 0.98
    assert alarms < 3e-5


@pytest.mark.full
@pytest.mark.parametrize("model", [True, False], ids=["gain", "no-gain"])
@pytest.mark.parametrize("scene", [film, steady_map, one_by_one])
def test_proof_10_spikes_above_six_sigma_full(
    scene: Any, model: bool, rng: np.random.Generator
) -> None:
    share, alarms, _ = rates(scene, model, 60, rng)
    assert share >= 0.99
    # without a gain, the noise seen in a map is known less well
    assert alarms < (1e-5 if model or scene is not steady_map else 2e-5)


@pytest.mark.parametrize("model", [True, False])
def test_sharp_lines_of_a_lone_spectrum_survive(model: bool, rng: np.random.Generator) -> None:
    # full width of two channels, at every position between the channels
    y = 20.0 + sum(
        1e4 * line(600, 20.0 + 40 * i + phase, 2.0)
        for i, phase in enumerate(np.linspace(0.0, 1.0, 14))
    )
    y = np.stack([rng.poisson(y) for _ in range(20)])
    assert despike(dataset(y, ("sample", "wavelength"), model=model)).spike_mask.sum() == 0


def test_jittering_laser_line_and_fast_first_frames_survive(rng: np.random.Generator) -> None:
    t = np.arange(80)
    fast = 1.0 + 30.0 * np.exp(-t / 0.7)
    laser = 1.0 + 0.05 * rng.standard_normal(80)
    expected = 10.0 + 300.0 * fast[:, None] * pl(300) + 2e4 * laser[:, None] * line(300, 30.0, 2.2)
    y = rng.poisson(expected)
    assert despike(dataset(y, ("time", "wavelength"))).spike_mask.sum() <= 1


def test_emitter_at_one_position_survives(rng: np.random.Generator) -> None:
    expected = np.full((9, 9, 200), 20.0)
    expected[4, 4] += 5000.0 * line(200, 100.4, 3.0)
    assert despike(dataset(rng.poisson(expected), ("y", "x", "wavelength"))).spike_mask.sum() == 0


def test_spikes_become_nan_or_what_neighbours_expect(rng: np.random.Generator) -> None:
    expected = 100.0 + 400.0 * pl(200) * np.ones((12, 1))
    y = rng.poisson(expected).astype(np.uint16)
    y[5, 90] += 4000
    ds = dataset(y, ("time", "wavelength"))
    before = ds.copy(deep=True)
    clean = despike(ds)
    xr.testing.assert_identical(ds, before)
    assert clean.spike_mask.dtype == np.int8
    assert clean.spike_mask.attrs["count"] == 1
    assert int(clean.spike_mask[5, 90]) == 1
    assert np.isnan(clean.intensity[5, 90])
    assert int(clean.intensity.isnull().sum()) == 1
    assert "despike(threshold=4.2): 1 values masked" in clean.attrs["history"]
    filled = despike(ds, fill="neighbours").intensity[5, 90]
    assert float(filled) == pytest.approx(expected[5, 90], abs=4 * np.sqrt(expected[5, 90]))
    # a second round keeps the mask of the first
    again = despike(clean)
    assert again.spike_mask.attrs["count"] == 1


def test_neighbours_asked_can_be_chosen(rng: np.random.Generator) -> None:
    y = rng.poisson(np.full((30, 100), 50.0)).astype(float)
    y[10, 48:53] += 900.0  # five channels wide: no spike by its shape
    y[20, 30] += 900.0
    for dims in (None, ("time",), ("wavelength",)):
        mask = despike(dataset(y, ("time", "wavelength")), dims=dims).spike_mask
        assert int(mask[20, 30]) == 1
        assert int(mask[10].sum()) == 0


def test_dims_in_another_order_and_descending_axis(rng: np.random.Generator) -> None:
    y = rng.poisson(np.full((60, 10), 50.0)).astype(float)
    y[20, 3] += 900.0
    ds = dataset(y.T, ("time", "wavelength")).isel(wavelength=slice(None, None, -1))
    clean = despike(ds.transpose("wavelength", "time"))
    assert clean.intensity.dims == ("time", "wavelength")
    assert np.all(np.diff(clean.wavelength) > 0)
    assert clean.spike_mask.sum() == 1
    assert int(clean.spike_mask[3, 20]) == 1


@pytest.mark.parametrize("shape", [(1, 100), (2, 100), (50, 1), (50, 2), (3, 4), (1, 1)])
def test_small_shapes(shape: tuple[int, int], rng: np.random.Generator) -> None:
    y = rng.poisson(np.full(shape, 100.0))
    clean = despike(dataset(y, ("time", "wavelength")))
    assert clean.intensity.shape == shape
    assert clean.spike_mask.sum() == 0


def test_nan_channels_and_spectra_stay_nan(rng: np.random.Generator) -> None:
    y = rng.poisson(np.full((10, 80), 60.0)).astype(float)
    y[:, 7] = np.nan
    y[4] = np.nan
    y[6, 40] += 700.0
    clean = despike(dataset(y, ("time", "wavelength")))
    assert clean.spike_mask.attrs["count"] == 1
    assert int(clean.intensity.isnull().sum()) == 80 + 9 + 1
    nothing = despike(dataset(np.full((3, 20), np.nan), ("time", "wavelength")))
    assert nothing.spike_mask.attrs["count"] == 0


def test_constant_and_dark_data_hold_no_spikes(rng: np.random.Generator) -> None:
    assert (
        despike(dataset(np.zeros((5, 50)), ("time", "wavelength"), model=False)).spike_mask.sum()
        == 0
    )
    photons = rng.poisson(np.full((200, 200), 0.05))
    ds = dataset(photons, ("time", "wavelength")).drop_vars("noise_floor")
    assert float(despike(ds).spike_mask.mean()) < 1e-4


def test_despiked_data_go_through_netcdf_and_dask(tmp_path: Path) -> None:
    pytest.importorskip("dask")
    y = np.full((6, 50), 100.0)
    y[2, 20] = 5e3
    clean = despike(dataset(y, ("time", "wavelength")).chunk({"time": 2}))
    clean.to_netcdf(tmp_path / "clean.nc")
    with xr.open_dataset(tmp_path / "clean.nc") as back:
        assert int(back.spike_mask.sum()) == 1


def test_what_cannot_be_despiked_is_told() -> None:
    ds = dataset(np.ones((2, 9)), ("time", "wavelength"))
    with pytest.raises(DataError, match="'threshold' is -1, not a positive number"):
        despike(ds, threshold=-1)
    with pytest.raises(DataError, match="dims time, wavelength, not y"):
        despike(ds, dims=["y"])
    with pytest.raises(DataError, match="holds counts, noise_gain, noise_floor, not 'intensity'"):
        despike(ds.rename(intensity="counts"))
    with pytest.raises(DataError, match="is a DataArray, not a Dataset"):
        despike(ds.intensity)
    with pytest.raises(DataError, match=r"has shape \(2, 0\), not at least one value"):
        despike(ds.isel(wavelength=slice(0)))


def test_measured_exposure_series(test_data: Path) -> None:
    # Counted by hand: 26 values in 11 frames are cosmic rays, 1 to 3 channels wide.
    (path,) = (test_data / "wellesley_illumination").glob("*.csv")
    ds = plkit.read(path)
    clean = despike(ds)
    mask = clean.spike_mask
    assert mask.attrs["count"] == 26
    assert set(np.flatnonzero(mask.sum("wavelength"))) == {5, 7, 21, 29, 30, 34, 38, 41, 42, 51, 56}
    for at in (686.5, 737.2, 957.3):
        assert int(mask.sel(wavelength=at, method="nearest").sum()) >= 1
    # none of the laser's scatter, and of the photoluminescence only what stands alone in time
    assert int(mask.sel(wavelength=slice(485.0, 520.0)).sum()) == 0
    band = {"wavelength": slice(615.0, 670.0)}
    assert int(mask.sel(band).sum()) == 5
    at_rest = ds.intensity.sel(band).median("time")
    hit = mask.sel(band).astype(bool)
    rest = (ds.intensity.sel(band) - at_rest).where(~hit)
    assert float((ds.intensity.sel(band) - at_rest).where(hit).min()) > 200
    assert float(rest.max()) < 130  # the growth by 7 %, and noise
    area = clean.intensity.sel(band).where(~hit.any("time")).sum("wavelength", skipna=True)
    raw = ds.intensity.sel(band).where(~hit.any("time")).sum("wavelength", skipna=True)
    np.testing.assert_allclose(area, raw)


def test_band_near_938_nm_of_the_measured_series_is_light_not_rays(test_data: Path) -> None:
    # Of the 81 values that rise highest above their channel's median, 80 belong to one band that
    # comes and goes with its neighbours in time and always has the shape of the slit.
    (path,) = (test_data / "wellesley_illumination").glob("*.csv")
    ds = plkit.read(path)
    part = ds.intensity.sel(wavelength=slice(525.0, None))
    rise = part - part.median("time")
    highest = rise >= np.sort(rise.values, axis=None)[-81]
    near = highest.sel(wavelength=slice(930.0, 946.0))
    assert int(near.sum()) == 80
    assert int(highest.any("wavelength").sum()) == 11
    shapes = rise.sel(wavelength=slice(930.0, 946.0))
    bright = shapes.isel(time=np.flatnonzero(shapes.max("wavelength") > 500.0))
    frames = np.flatnonzero(shapes.max("wavelength") > 500.0)
    assert frames.tolist() == [0, 1, 6, 7, 8, 12, 13, 40, 41, 44, 45, 59]
    relative = (bright / bright.max("wavelength")).values
    assert np.corrcoef(relative).min() > 0.85  # one shape in all frames
    assert ((relative > 0.5).sum(axis=1) >= 7).all()  # full width of 7 channels and more
    at = ds.wavelength.sel(wavelength=slice(930.0, 946.0))
    centres = (bright * at).sum("wavelength") / bright.sum("wavelength")
    assert float(np.abs(centres - 938.2).max()) < 0.5  # one place in all frames
    assert int(despike(ds).spike_mask.sel(wavelength=slice(930.0, 946.0)).sum()) == 0


def test_measured_emitter_map(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    ds = plkit.read(test_data / "gpl_instrument_maps" / "quantum-emitters_map.dm4")
    mask = despike(ds).spike_mask
    # the brightest rays, 1067 and 2206 counts on 66 and 184
    assert int(mask.isel(y=2, x=10, wavelength=1192)) == 1
    assert int(mask.isel(y=6, x=7, wavelength=902)) == 1
    # one channel near the end is hot now and then and makes up the rest
    assert 65 <= int(mask.isel(wavelength=slice(0, 1330)).sum()) <= 90
