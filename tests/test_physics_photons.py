"""Wavelength, energy, air, vacuum, Jacobian, irradiance: inverse pairs and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plkit.physics import photons


@given(st.floats(200.0, 5000.0), st.sampled_from(["air", "vacuum"]))
def test_energy_and_wavelength_round_trip(wavelength_nm: float, medium: photons.Medium) -> None:
    energy = photons.energy_from_wavelength(wavelength_nm, medium)
    assert photons.wavelength_from_energy(energy, medium) == pytest.approx(wavelength_nm, rel=1e-14)


@given(st.floats(200.0, 5000.0))
def test_air_and_vacuum_round_trip(wavelength_nm: float) -> None:
    there = photons.vacuum_from_air(wavelength_nm)
    assert there > wavelength_nm
    assert photons.air_from_vacuum(there) == pytest.approx(wavelength_nm, rel=1e-14)


def test_published_h1_peaks_in_electronvolt() -> None:
    # H1: 513 / 543 / 590 / 646 / 690 nm are 2.42 / 2.28 / 2.10 / 1.92 / 1.80 eV.
    energy = photons.energy_from_wavelength([513.0, 543.0, 590.0, 646.0, 690.0], "vacuum")
    np.testing.assert_allclose(energy, [2.417, 2.283, 2.101, 1.919, 1.797], atol=5e-4)


def test_published_h5_irradiance() -> None:
    np.testing.assert_allclose(
        photons.peak_irradiance([10.0, 160.0], 1.0), [636.6, 10186], rtol=1e-4
    )


def test_air_index_at_tabulated_wavelengths() -> None:
    # Standard air, 15 °C: sodium D 588.995 nm in air is 589.158 nm in vacuum; He-Ne 632.816 nm, 632.991 nm.
    np.testing.assert_allclose(
        photons.vacuum_from_air([588.995, 632.816]), [589.158, 632.991], atol=6e-4
    )


@pytest.mark.parametrize("medium", ["air", "vacuum"])
@pytest.mark.parametrize("wavelength_nm", [250.0, 405.0, 620.0, 1550.0])
def test_jacobian_is_the_derivative_of_energy(wavelength_nm: float, medium: photons.Medium) -> None:
    step = 0.01
    low, high = photons.energy_from_wavelength(
        np.array([wavelength_nm + step, wavelength_nm - step]), medium
    )
    slope = (high - low) / (2 * step)
    assert photons.jacobian_ev_per_nm(wavelength_nm, medium) == pytest.approx(slope, rel=1e-8)


def test_photon_energy_of_the_pump() -> None:
    # hc/λ with h = 6.62607015e-34 J s and c = 299792458 m/s
    wanted = 6.62607015e-34 * 299792458 / 405e-9
    assert photons.photon_energy_j(405.0, "vacuum") == pytest.approx(wanted, rel=1e-9)
