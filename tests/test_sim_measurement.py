"""The simulated detector has the noise that its noise model states."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit import validate
from plkit.errors import DataError
from plkit.sim.measurement import Detector, simulate_measurement


def photons(mean: float, n: int = 20_000) -> xr.DataArray:
    return xr.DataArray(
        np.full((n, 4), mean),
        {"time": np.arange(n) * 1.0, "wavelength": [500.0, 501.0, 502.0, 503.0]},
        ("time", "wavelength"),
    )


@pytest.mark.parametrize("mean", [0.0, 3.0, 400.0, 20_000.0])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_variance_is_gain_times_signal_plus_floor(mean, gain, rng) -> None:
    quiet = Detector(gain=gain, cosmic_rate_per_s=0.0, dark_rate_counts_per_s=5.0)
    ds = simulate_measurement(photons(mean), 2.0, rng=rng, detector=quiet)
    expected = float(ds.noise_gain) * mean * gain + float(ds.noise_floor)
    # The variance of 80 000 readings has a relative σ of √(2/80 000) = 0.5 %.
    assert float(ds.intensity.astype(float).var()) == pytest.approx(expected, rel=0.02)
    assert float(ds.intensity.astype(float).mean()) == pytest.approx(
        100 + 10 + gain * mean, rel=1e-2, abs=0.1
    )


def test_a_simulated_measurement_is_a_valid_dataset(rng) -> None:
    ds = simulate_measurement(photons(50.0, 10), 1.0, rng=rng)
    assert validate(ds).faults == ()
    assert ds.intensity.dtype == np.uint16


def test_cosmic_rays_come_at_their_rate(rng) -> None:
    detector = Detector(cosmic_rate_per_s=0.1)
    ds = simulate_measurement(photons(0.0), 1.0, rng=rng, detector=detector)
    hit = (ds.intensity > 100 + 8 * detector.read_noise_counts).any("wavelength")
    assert float(hit.mean()) == pytest.approx(1 - np.exp(-0.1), rel=0.1)


def test_bright_light_saturates_and_never_wraps_round(rng) -> None:
    ds = simulate_measurement(photons(1e6, 3), 1.0, rng=rng)
    assert (ds.intensity == 65535).all()


def test_response_scales_the_light_and_not_the_dark(rng) -> None:
    response = xr.DataArray([1.0, 0.5, 0.25, 0.0], dims="wavelength")
    ds = simulate_measurement(photons(1000.0), 1.0, rng=rng, response=response)
    mean = ds.intensity.astype(float).median("time") - 101
    np.testing.assert_allclose(mean, [1000, 500, 250, 0], atol=2)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_impossible_light_is_refused(bad, rng) -> None:
    with pytest.raises(DataError, match="'photons' has negative values or NaN"):
        simulate_measurement(photons(bad, 2), 1.0, rng=rng)


def test_impossible_detector_is_refused() -> None:
    with pytest.raises(DataError, match=r"'gain' is 0.0, not > 0"):
        Detector(gain=0.0)
