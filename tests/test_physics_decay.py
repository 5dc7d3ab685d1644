"""Decays behind a response: every expected count against independent quadrature, and the fit of exact counts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma, gammainc

from plkit.physics import decay
from plkit.physics.decay import Response, expected_counts, fit_decays

MEASURED = np.array([0.1, 0.5, 0.3, 0.1])
PULSES = [
    (Response(), 0.0),
    (Response(), 7.3),
    (Response("gaussian", sigma=1.7), 12.37),
    (Response("gaussian", sigma=0.3), 12.37),
    (Response("histogram", MEASURED, 6.0), 0.37),
    (Response("histogram", MEASURED, -9.0), -0.63),
]
IDS = ["pulse", "pulse-late", "gaussian", "gaussian-narrow", "measured", "measured-early"]
BINS = [0, 1, 6, 7, 8, 12, 13, 20, 59]


def emitted(x: float, tau: float, beta: float) -> float:
    """∫₀ˣ exp(−(t/τ)^β) dt by the incomplete gamma function."""
    return tau / beta * gamma(1 / beta) * gammainc(1 / beta, (max(x, 0.0) / tau) ** beta)


def by_quadrature(
    i: int, tau: float, beta: float, response: Response, shift: float, period: float
) -> float:
    """Expected count of bin i, by adaptive quadrature over the time of arrival."""
    earlier = range(-1, 12 if beta == 1.0 else 300) if period else [0]

    def after(u: float) -> float:
        return sum(
            emitted(i + 1 - u + k * period, tau, beta) - emitted(i - u + k * period, tau, beta)
            for k in earlier
        )

    if response.kind == "pulse":
        return after(shift)
    if response.kind == "gaussian":
        assert response.sigma is not None
        ends, weight = [(shift - 9 * response.sigma, shift + 9 * response.sigma)], [1.0]
        s = response.sigma

        def density(u: float) -> float:
            return math.exp(-0.5 * ((u - shift) / s) ** 2) / s / math.sqrt(2 * math.pi)
    else:
        start = response.start + shift
        ends = [(start + j, start + j + 1) for j in range(response.histogram.size)]
        weight = list(response.histogram)

        def density(u: float) -> float:
            return 1.0

    total = 0.0
    for (low, high), w in zip(ends, weight, strict=True):
        cuts = [low, *sorted(c for c in (i, i + 1, shift) if low < c < high), high]
        for a, b in itertools.pairwise(cuts):
            total += (
                w
                * quad(lambda u: density(u) * after(u), a, b, epsabs=1e-11, epsrel=1e-9, limit=100)[
                    0
                ]
            )
    return total


@pytest.mark.parametrize(("response", "shift"), PULSES, ids=IDS)
@pytest.mark.parametrize("period", [0.0, 75.3])
def test_proof_lifetimes_exponential_bins_are_exact(
    response: Response, shift: float, period: float
) -> None:
    taus = [0.5, 6.0] if period and response.kind != "pulse" else [0.5, 6.0, 40.0]
    for tau in taus:
        ours = expected_counts(60, [1.0], [tau], shift=shift, response=response, period=period)
        truth = np.array([by_quadrature(i, tau, 1.0, response, shift, period) for i in BINS])
        np.testing.assert_allclose(ours[BINS], truth, rtol=1e-9, atol=1e-9 * truth.max())


@pytest.mark.parametrize(("response", "shift"), PULSES, ids=IDS)
@pytest.mark.parametrize("period", [0.0, 75.3])
def test_proof_lifetimes_stretched_bins(response: Response, shift: float, period: float) -> None:
    bins = BINS if response.kind == "pulse" else [6, 12, 13, 20]
    for tau, beta in [(6.0, 0.5), (40.0, 0.8), (3.0, 0.35)][: 3 if response.kind == "pulse" else 1]:
        ours = expected_counts(
            60, [1.0], [tau], beta=beta, shift=shift, response=response, period=period
        )
        truth = np.array([by_quadrature(i, tau, beta, response, shift, period) for i in bins])
        np.testing.assert_allclose(ours[bins], truth, rtol=1e-4, atol=2e-6 * ours.max())


@pytest.mark.parametrize(("response", "shift"), PULSES, ids=IDS)
@pytest.mark.parametrize("period", [0.0, 75.3])
def test_a_stretched_exponential_with_exponent_one_is_an_exponential(
    response: Response, shift: float, period: float
) -> None:
    args = {"shift": shift, "response": response, "period": period}
    plain = expected_counts(60, [1.0], [6.0], **args)
    np.testing.assert_allclose(
        expected_counts(60, [1.0], [6.0], beta=1.0, **args), plain, atol=1e-5
    )


@pytest.mark.parametrize(("response", "shift"), PULSES[1:], ids=IDS[1:])
@pytest.mark.parametrize("m", [0, 2])
@pytest.mark.parametrize("period", [0.0, 75.3])
def test_derivatives_are_those_of_the_columns(
    response: Response, shift: float, m: int, period: float
) -> None:
    from plkit.physics import decay_kernels as kernels

    h = np.ascontiguousarray(response.histogram)
    shape = np.array([math.log(20.0), 0.6]) if m == 0 else np.log([4.0, 30.0])
    width = math.log(response.sigma or 1.0)

    def columns(shape: np.ndarray, shift: float, width: float) -> np.ndarray:
        c = np.zeros((5 if m == 0 else 8, 60))
        kernels._columns(
            m,
            response.code,
            60,
            shape,
            shift,
            width,
            h,
            float(response.start),
            response.spread,
            period,
            np.empty(62),
            c,
        )
        return c

    exact, eps = columns(shape, shift, width), 1e-5
    moves = [(1 if m == 0 else 2, np.array([eps, 0.0]), 0.0, 0.0)]
    if m == 0:
        moves.append((2, np.array([0.0, eps]), 0.0, 0.0))
    if response.kind != "pulse":
        moves.append((3 if m == 0 else 4, np.zeros(2), eps, 0.0))
    if response.kind == "gaussian":
        moves.append((4 if m == 0 else 6, np.zeros(2), 0.0, eps))
    for row, ds, dx, dw in moves:
        numeric = (
            columns(shape + ds, shift + dx, width + dw)[0]
            - columns(shape - ds, shift - dx, width - dw)[0]
        ) / (2 * eps)
        np.testing.assert_allclose(exact[row], numeric, atol=3e-4 * np.max(np.abs(numeric)))


def test_every_photon_of_a_train_of_pulses_falls_into_one_period() -> None:
    response = Response("gaussian", sigma=3.0)
    for shift in (2.0, 60.0, 118.0):  # also where the rise belongs to the pulse before or behind
        mu = expected_counts(120, [1.0], [50.0], shift=shift, response=response, period=120.0)
        assert mu.sum() == pytest.approx(50.0, rel=1e-10)


@pytest.mark.parametrize("m", [1, 2, 3])
def test_means_and_their_gradients(m: int) -> None:
    a, tau = np.array([5.0, 2.0, 0.5])[:m], np.array([1.0, 4.0, 20.0])[:m]
    t = np.linspace(0, 2000, 2_000_001)
    intensity = (a * np.exp(-t[:, None] / tau)).sum(1)
    area = np.trapezoid(intensity, t)
    by_amplitude, by_intensity = decay.mean_lifetimes(a, tau)
    assert by_amplitude == pytest.approx(area / intensity[0], rel=1e-6)
    assert by_intensity == pytest.approx(np.trapezoid(t * intensity, t) / area, rel=1e-6)
    for which, gradient in enumerate(decay.mean_lifetimes_gradient(a, tau)):
        for i in range(2 * m):
            step = np.eye(2 * m)[i] * 1e-6
            up, down = np.concatenate([a, tau]) + step, np.concatenate([a, tau]) - step
            numeric = (
                decay.mean_lifetimes(up[:m], up[m:])[which]
                - decay.mean_lifetimes(down[:m], down[m:])[which]
            ) / 2e-6
            assert gradient[i] == pytest.approx(numeric, abs=1e-7)


def test_stretched_means_and_their_gradients() -> None:
    area = quad(lambda t: math.exp(-((t / 3.0) ** 0.6)), 0, np.inf)[0]
    moment = quad(lambda t: t * math.exp(-((t / 3.0) ** 0.6)), 0, np.inf)[0]
    assert decay.stretched_mean_lifetimes(3.0, 0.6) == pytest.approx(
        (area, moment / area), rel=1e-7
    )
    for which, gradient in enumerate(decay.stretched_mean_lifetimes_gradient(3.0, 0.6)):
        for i, step in enumerate(([1e-6, 0], [0, 1e-6])):
            up = decay.stretched_mean_lifetimes(3.0 + step[0], 0.6 + step[1])[which]
            down = decay.stretched_mean_lifetimes(3.0 - step[0], 0.6 - step[1])[which]
            assert gradient[i] == pytest.approx((up - down) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("response", "shift"),
    [
        (Response(), 0.0),
        (Response("gaussian", sigma=2.1), 40.3),
        (Response("histogram", MEASURED, 20.0), 13.37),
    ],
    ids=["pulse", "gaussian", "measured"],
)
@pytest.mark.parametrize("period", [0.0, 520.0])
@pytest.mark.parametrize("m", [0, 1, 2, 3])
def test_proof_lifetimes_exact_without_noise(
    response: Response, shift: float, period: float, m: int
) -> None:
    a, tau = np.array([900.0, 300.0, 60.0])[: max(m, 1)], np.array([6.0, 35.0, 150.0])[: max(m, 1)]
    beta = 0.55 if m == 0 else None
    mu = expected_counts(
        500, a, tau, beta=beta, background=3.0, shift=shift, response=response, period=period
    )
    free = Response("gaussian") if response.kind == "gaussian" else response
    fit = fit_decays(mu[None], m, response=free, period=period)
    shape = [tau[0], 0.55] if m == 0 else list(tau)
    width = 2.1 * decay.FWHM_PER_SIGMA if response.kind == "gaussian" else 0.0
    np.testing.assert_allclose(fit.values[0], [*a, *shape, 3.0, shift, width], rtol=2e-6, atol=1e-9)
    assert fit.deviance[0] < 1e-9
    assert fit.code[0] == 0


def test_deviance_is_that_of_the_fitted_curve(rng: np.random.Generator) -> None:
    mu = expected_counts(300, [20.0, 2.0], [5.0, 60.0], background=0.2)
    y = rng.poisson(mu).astype(float)
    y[7] = np.nan
    fit = fit_decays(y[None], 2)
    v = fit.values[0]
    curve = expected_counts(300, v[:2], v[2:4], background=v[4])
    assert fit.deviance[0] == pytest.approx(decay.poisson_deviance(y, curve), rel=1e-9)
    assert fit.deviance[0] < decay.poisson_deviance(y, mu)
    known = np.isfinite(y)
    assert fit.pearson[0] == pytest.approx(np.sum(((y - curve) ** 2 / curve)[known]), rel=1e-9)
    assert fit.n_bins[0] == 299
    assert fit.counts[0] == np.nansum(y)


def test_threads_give_the_same_numbers(rng: np.random.Generator) -> None:
    mu = expected_counts(128, [20.0, 2.0], [5.0, 40.0], background=0.2)
    y = rng.poisson(mu, (40, 128)).astype(float)
    one, four = fit_decays(y, 2), fit_decays(y, 2, threads=4)
    np.testing.assert_array_equal(one.values, four.values)
    np.testing.assert_array_equal(one.covariance, four.covariance)


@pytest.mark.parametrize("m", [2, 3])
def test_no_start_finds_less_than_the_fit(rng: np.random.Generator, m: int) -> None:
    """Against descents of scipy from many starts, on decays that are hard to tell apart."""
    from scipy.optimize import minimize

    n = 128
    edges = np.arange(n + 1.0)
    for _ in range(6):
        tau = np.sort(np.exp(rng.uniform(math.log(2.0), math.log(60.0), 2)))
        y = rng.poisson(expected_counts(n, rng.uniform(2.0, 60.0, 2), tau, background=0.5)).astype(
            float
        )
        ours = fit_decays(y[None], m).deviance[0]

        def cost(p: np.ndarray, y: np.ndarray = y) -> float:
            p = np.clip(p, -20, 20)
            a, t = np.exp(p[:m]), np.exp(np.clip(p[m : 2 * m], -1, 9))
            mu = np.exp(p[-1]) + (a * t * -np.diff(np.exp(-edges[:, None] / t), axis=0)).sum(1)
            return decay.poisson_deviance(y, mu)

        for _ in range(3):
            start = [*np.log(rng.uniform(1, 30, m)), *rng.uniform(0, 5, m), -1.0]
            assert ours <= minimize(cost, start, method="BFGS").fun + 1e-2
