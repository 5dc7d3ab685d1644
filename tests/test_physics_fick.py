"""Fick profiles: equation 1, widths, averages over pixels, derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from plkit.physics.fick import (
    diffusion_from_sigma,
    fick_profile,
    gaussian_sigma_derivative,
    gaussian_slope,
    pixel_gaussian,
    pixel_gaussian_2d,
    sigma_from_diffusion,
    sigma_from_spot_radius,
)
from plkit.physics.runs import runs_test


@given(st.floats(1e-18, 1e-8), st.floats(1e-3, 1e5), st.floats(0.0, 2.0))
def test_width_and_diffusion_are_inverse(d, t, s0):
    sigma = sigma_from_diffusion(d, t, s0)
    assert float(sigma_from_diffusion(diffusion_from_sigma(sigma, t, s0), t, s0)) == pytest.approx(
        float(sigma), rel=1e-12
    )


def test_proof_h20_equation_1_is_a_gaussian_and_keeps_its_integral():
    d, t = 6.3e-14, 60.0
    sigma = float(sigma_from_diffusion(d, t))
    x = np.linspace(-25.0, 25.0, 3001)
    profile = fick_profile(x, 2.0, d, t, 0.5)
    assert np.trapezoid(profile, x) == pytest.approx(2.0, rel=1e-9)
    np.testing.assert_allclose(
        profile, 2.0 / (np.sqrt(2 * np.pi) * sigma) * pixel_gaussian(x, 0.5, sigma), rtol=1e-12
    )
    # the squared half width at 1/e is 4 D t
    half = np.sqrt(4 * d * t * 1e12)
    assert float(fick_profile(half, 1.0, d, t)) == pytest.approx(
        float(fick_profile(0.0, 1.0, d, t)) / np.e
    )


def test_proof_h20_equation_1_solves_the_diffusion_equation():
    d, t, x, h = 1e-14, 50.0, np.linspace(-3.0, 3.0, 13), 1e-3
    by_time = (fick_profile(x, 1.0, d, t + h) - fick_profile(x, 1.0, d, t - h)) / (2 * h)
    by_space = (
        fick_profile(x + h, 1.0, d, t)
        - 2 * fick_profile(x, 1.0, d, t)
        + fick_profile(x - h, 1.0, d, t)
    ) / h**2
    np.testing.assert_allclose(by_time, 1e12 * d * by_space, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("d, t, low, high", [(6.3e-14, 20.0, 3.6, 3.8), (6.3e-14, 100.0, 8.2, 8.5)])
def test_full_width_at_half_maximum(d, t, low, high):
    fwhm = 2.3548200450309493 * float(sigma_from_diffusion(d, t))
    assert low < fwhm < high


def test_proof_h22_full_width_of_the_recomputed_coefficient():
    """3.0–6.6 µm for 20–100 s at 293 K, with D = 3.9e-14."""
    fwhm = 2.3548200450309493 * sigma_from_diffusion(3.92e-14, [20.0, 100.0])
    np.testing.assert_allclose(fwhm, [3.0, 6.6], atol=0.06)


def test_spot_radius_is_two_sigma():
    r, w0 = np.linspace(0.0, 3.0, 7), 1.2
    np.testing.assert_allclose(
        pixel_gaussian(r, 0.0, sigma_from_spot_radius(w0)), np.exp(-2 * r**2 / w0**2)
    )


@pytest.mark.parametrize("pixel", [0.1, 0.7, 2.0, 6.0])
def test_pixel_mean_equals_quadrature(pixel):
    for x in (-1.3, 0.0, 2.5):
        mean = quad(lambda u: np.exp(-0.5 * ((u - 0.2) / 0.8) ** 2), x - pixel / 2, x + pixel / 2)[
            0
        ]
        assert float(pixel_gaussian(x, 0.2, 0.8, pixel)) == pytest.approx(mean / pixel, rel=1e-9)


@pytest.mark.parametrize("pixel", [0.0, 0.5, 2.0])
def test_derivatives_equal_differences(pixel):
    x, h = np.linspace(-4.0, 4.0, 17), 1e-5
    centre = (pixel_gaussian(x, 0.3 + h, 1.1, pixel) - pixel_gaussian(x, 0.3 - h, 1.1, pixel)) / (
        2 * h
    )
    width = (pixel_gaussian(x, 0.3, 1.1 + h, pixel) - pixel_gaussian(x, 0.3, 1.1 - h, pixel)) / (
        2 * h
    )
    np.testing.assert_allclose(gaussian_slope(x, 0.3, 1.1, pixel), centre, atol=1e-9)
    np.testing.assert_allclose(gaussian_sigma_derivative(x, 0.3, 1.1, pixel), width, atol=1e-9)


def test_map_is_the_product_and_small_pixels_reach_the_point_value():
    x, y = np.array([0.0, 1.0]), np.array([-1.0, 0.0, 2.0])
    g = pixel_gaussian_2d(x, y, (0.2, -0.4), 1.5, (1e-4, 1e-4))
    assert g.shape == (3, 2)
    r2 = (x[None] - 0.2) ** 2 + (y[:, None] + 0.4) ** 2
    np.testing.assert_allclose(g, np.exp(-r2 / (2 * 1.5**2)), rtol=1e-6)


def test_runs_test_is_exact_and_fair():
    from itertools import combinations

    n, n1 = 8, 3
    probabilities, runs = [], []
    for chosen in combinations(range(n), n1):
        signs = np.where(np.isin(np.arange(n), chosen), 1.0, -1.0)
        runs.append(1 + np.count_nonzero(np.diff(signs)))
        probabilities.append(runs_test(signs))
    for p, r in zip(probabilities, runs, strict=True):
        assert p == pytest.approx(np.mean(np.array(runs) <= r))
    assert runs_test([1.0, np.nan, 0.0]) == 1.0
    assert runs_test(np.sin(np.linspace(0, 6.28, 60))) < 1e-10
