"""Line shapes: unit area, maximum, width, derivatives, limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plkit.physics import lineshapes as ls
from plkit.physics.photons import energy_from_wavelength, jacobian_ev_per_nm

CENTRE, FWHM = 2.1, 0.07
CASES: list[tuple[str, dict[str, Any]]] = [
    ("gaussian", {}),
    ("lorentzian", {}),
    ("voigt", {"lorentz_fraction": 0.3}),
    ("voigt", {"lorentz_fraction": 0.0}),
    ("voigt", {"lorentz_fraction": 1.0}),
    ("pseudo_voigt", {"lorentz_fraction": 0.6}),
    ("asymmetric", {"asymmetry": -0.6}),
    ("asymmetric", {"asymmetry": 0.3}),
    ("asymmetric", {"asymmetry": 0.0}),
]


@pytest.mark.parametrize("name, options", CASES)
def test_every_shape_has_unit_area(name: str, options: dict[str, Any]) -> None:
    # A tangent grid carries Lorentzian tails to ± 2000 widths.
    angle = np.linspace(-1.0, 1.0, 400_001) * np.arctan(4000.0)
    energy = CENTRE + FWHM / 2 * np.tan(angle)
    area = np.trapezoid(ls.SHAPES[name](energy, CENTRE, FWHM, **options), energy)
    assert area == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize("name, options", CASES)
def test_every_shape_has_its_maximum_and_width(name: str, options: dict[str, Any]) -> None:
    energy = np.linspace(CENTRE - 3 * FWHM, CENTRE + 3 * FWHM, 60_001)
    y = ls.SHAPES[name](energy, CENTRE, FWHM, **options)
    assert energy[np.argmax(y)] == pytest.approx(CENTRE, abs=2e-5)
    above = energy[y >= 0.5 * y.max()]
    assert above[-1] - above[0] == pytest.approx(FWHM, rel=5e-4)


def test_asymmetry_is_the_log_ratio_of_the_half_widths() -> None:
    energy = np.linspace(1.9, 2.3, 400_001)
    y = ls.asymmetric(energy, CENTRE, FWHM, -0.5)
    above = energy[y >= 0.5 * y.max()]
    ratio = (above[-1] - CENTRE) / (CENTRE - above[0])
    assert np.log(ratio) == pytest.approx(-0.5, abs=1e-3)
    # a low-energy tail: the centre of mass lies below the maximum
    assert np.sum(energy * y) / np.sum(y) < CENTRE - 0.003


def test_asymmetric_tends_to_the_gaussian() -> None:
    energy = np.linspace(1.9, 2.3, 101)
    for b in (0.0, 1e-12, 1e-8, -1e-6):
        np.testing.assert_allclose(
            ls.asymmetric(energy, CENTRE, FWHM, b), ls.gaussian(energy, CENTRE, FWHM), atol=1e-4
        )


@pytest.mark.parametrize("asymmetry", [-0.5, 0.2, 1e-3, 0.0])
def test_derivatives_of_the_profiles(asymmetry: float) -> None:
    energy = np.linspace(1.95, 2.2, 53)
    theta = np.array([CENTRE, FWHM, asymmetry])
    value, *gradient = ls.asymmetric_profile(energy, *theta)
    assert value.max() <= 1.0
    for i, analytic in enumerate(gradient):
        step = np.zeros(3)
        step[i] = 1e-5
        numeric = (
            ls.asymmetric_profile(energy, *(theta + step))[0]
            - ls.asymmetric_profile(energy, *(theta - step))[0]
        ) / 2e-5
        np.testing.assert_allclose(analytic, numeric, atol=2e-5 * np.abs(analytic).max())
    if asymmetry == 0.0:
        for a, b in zip(
            ls.gaussian_profile(energy, CENTRE, FWHM),
            ls.asymmetric_profile(energy, CENTRE, FWHM, 0.0)[:3],
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_asymmetric_is_zero_beyond_its_edge() -> None:
    edge = CENTRE + FWHM / (2 * np.sinh(0.8))
    assert ls.asymmetric(edge + 0.01, CENTRE, FWHM, -0.8) == 0.0
    assert np.all(np.isfinite(ls.asymmetric(np.linspace(1.0, 4.0, 501), CENTRE, FWHM, -0.8)))


@pytest.mark.parametrize("medium", ["air", "vacuum"])
def test_spectrum_on_wavelength_keeps_the_area_and_moves_the_maximum(medium: Any) -> None:
    wavelength = np.linspace(420.0, 1000.0, 20_001)
    density = ls.spectrum_on_wavelength(wavelength, ls.gaussian, 1.93, 0.08, medium=medium)
    assert np.trapezoid(density, wavelength) == pytest.approx(1.0, abs=1e-9)
    # per nm the maximum lies higher in energy, by 2σ²/E
    shift = energy_from_wavelength(wavelength[np.argmax(density)], medium) - 1.93
    sigma = 0.08 / 2.3548
    assert shift == pytest.approx(2 * sigma**2 / 1.93, rel=0.05)
    np.testing.assert_allclose(
        density / jacobian_ev_per_nm(wavelength, medium),
        ls.gaussian(energy_from_wavelength(wavelength, medium), 1.93, 0.08),
    )
