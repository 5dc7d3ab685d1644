"""Rate laws: values, identities between them, gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from plkit.physics import rates

P = (0.4, 0.04, 0.3, 0.005, 0.3)


def numeric_gradient(function, parameters, step=1e-6):
    out = []
    for i, value in enumerate(parameters):
        h = step * max(abs(value), 1e-3)
        up, down = list(parameters), list(parameters)
        up[i], down[i] = value + h, value - h
        out.append((function(*up) - function(*down)) / (2 * h))
    return np.stack(out, axis=-1)


def test_fall_and_rise_add_up_to_one():
    t = np.linspace(0, 500, 11)
    total = rates.biexponential_decay(t, *P) + rates.biexponential_rise(t, *P)
    np.testing.assert_allclose(total, 1.0, atol=1e-15)


def test_biexponential_of_equal_rates_is_one_exponential():
    t = np.linspace(0, 500, 11)
    two = rates.biexponential_decay(t, 0.4, 0.02, 0.3, 0.02, 0.3)
    np.testing.assert_allclose(two, rates.exponential_decay(t, 0.7, 0.02, 0.3))


def test_stretched_with_exponent_one_is_an_exponential():
    t = np.linspace(0, 500, 11)
    np.testing.assert_allclose(
        rates.stretched_decay(t, 0.7, 0.02, 1.0, 0.3), rates.exponential_decay(t, 0.7, 0.02, 0.3)
    )


def test_biexponential_gradient():
    t = np.array([0.0, 3.0, 100.0])
    expected = numeric_gradient(lambda *p: rates.biexponential_decay(t, *p), P)
    np.testing.assert_allclose(
        rates.biexponential_gradient(t, *P[:4]), expected, rtol=1e-6, atol=1e-8
    )


def test_mean_rate_gradient():
    expected = numeric_gradient(lambda *p: rates.mean_rate(*p[:4]), P)
    np.testing.assert_allclose(rates.mean_rate_gradient(*P[:4]), expected, rtol=1e-6, atol=1e-10)


def test_conversion_gradient():
    t = np.array([1.0, 50.0, 400.0])
    expected = numeric_gradient(lambda *p: rates.conversion(t, *p), P)
    np.testing.assert_allclose(rates.conversion_gradient(t, *P), expected, rtol=1e-6, atol=1e-8)


def test_conversion_limit_gradient_and_limit():
    expected = numeric_gradient(lambda a, b, c, d, e: rates.conversion_limit(a, c, e), P)
    np.testing.assert_allclose(
        rates.conversion_limit_gradient(0.4, 0.3, 0.3), expected, rtol=1e-6, atol=1e-8
    )
    assert rates.conversion(1e9, *P) == pytest.approx(rates.conversion_limit(0.4, 0.3, 0.3))


def test_conversion_is_that_of_the_growing_component():
    t = 120.0
    g0, gt = rates.biexponential_rise(0.0, *P), rates.biexponential_rise(t, *P)
    # a record that starts at f(0) = 0.9, not 1
    q = (0.35, 0.04, 0.25, 0.005, 0.3)
    h0, ht = rates.biexponential_rise(0.0, *q), rates.biexponential_rise(t, *q)
    assert rates.conversion(t, *P) == pytest.approx((gt - g0) / (1 - g0))
    assert rates.conversion(t, *q) == pytest.approx((ht - h0) / (1 - h0))


def test_nothing_decays_gives_nan_without_warning():
    assert np.isnan(rates.mean_rate(0.0, 0.1, 0.0, 0.01))
    assert np.isnan(rates.conversion(1.0, 0.0, 0.1, 0.0, 0.01, 0.0))
    assert np.isnan(rates.conversion_limit(0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"k01": 0.005}, False),  # a weight within its σ of zero
        ({"k02": 0.005}, False),
        ({"k2": 0.0019}, False),  # slower than the record of 500 s
        ({"k2": 0.0399}, False),  # not apart from k1
    ],
)
def test_identifiable(change, expected):
    values = dict(zip(rates.BIEXPONENTIAL_PARAMETERS, P, strict=True)) | change
    covariance = np.diag([1e-4, 4e-6, 1e-4, 1e-8, 1e-4])
    row = np.array([values[n] for n in rates.BIEXPONENTIAL_PARAMETERS])
    assert bool(rates.biexponential_is_identifiable(row, covariance, 500.0)) is expected


def test_without_sigma_nothing_is_identifiable():
    assert not rates.biexponential_is_identifiable(np.array(P), np.full((5, 5), np.nan), 500.0)
