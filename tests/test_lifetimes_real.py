"""Measured decays: every fit equals an independent maximum likelihood by scipy, and what the residuals say."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from scipy.special import erfc, erfcx, gamma, gammainc

import plkit
from plkit import samples
from plkit.physics.decay import poisson_deviance

UNITS = {"delay_unit": "ns", "power_unit": "W"}
EDINBURGH = "raft_instrument_files/resources/test_files/Edinst"
WINDOW = {"trpl-spcm": (0.4837, 3.2), "trpl-spcm-setup": (2.5834, 13.5)}


def measured(test_data: Path, name: str) -> xr.Dataset:
    if name.startswith("power"):
        _, series, index = name.split("-")
        return plkit.read(samples.fetch(f"trpl-power-series-{series}"), **UNITS).isel(
            power=int(index)
        )
    if name.startswith("F980"):
        return edinburgh(test_data / EDINBURGH / f"{name}.txt").isel(point=0)
    return plkit.read(samples.fetch(name))


def edinburgh(path: Path) -> xr.Dataset:
    """Columns of an Edinburgh F980 export; its reader is not the point here."""
    rows = [line.replace(",", "\t").split() for line in path.read_text("latin-1").splitlines()]
    table = np.array([[float(cell) for cell in row] for row in rows if row and row[0][0].isdigit()])
    return xr.Dataset(
        {"intensity": (("point", "delay"), table[:, 1:].T, {"units": "counts"})},
        {"delay": ("delay", table[:, 0], {"units": "ns"})},
    )


# The independent model: bins by differences of the integrated decay, written anew -----------------------


def counted(edges: np.ndarray, p: np.ndarray, m: int, period: float, gaussian: bool) -> np.ndarray:
    """Expected counts between ``edges`` [ns]; p as plkit orders its parameters, natural units, per ns."""
    width = edges[1] - edges[0]
    if gaussian:
        *_, background, centre, fwhm = p
        sigma = fwhm / math.sqrt(8 * math.log(2))
        mu = np.full(edges.size - 1, background)
        for a, tau in zip(p[:m], p[m : 2 * m], strict=True):
            for k in range(-1, int(12 * tau / period) + 2) if period else [0]:
                x = edges - centre + k * period
                mu += a / width * np.diff(integrated_through_gaussian(x, tau, sigma))
        return mu
    if m == 0:
        a, tau, beta, background = p[:4]
        mu = np.full(edges.size - 1, background)
        for k in range(400) if period else [0]:
            z = ((edges - edges[0] + k * period) / tau) ** beta
            part = a / width * tau / beta * gamma(1 / beta) * np.diff(gammainc(1 / beta, z))
            mu += part
            if part.max() < 1e-9 * a:
                break
        return mu
    mu = np.full(edges.size - 1, p[2 * m])
    for a, tau in zip(p[:m], p[m : 2 * m], strict=True):
        more = -math.expm1(-period / tau) if period else 1.0
        mu += a * tau / width * -np.diff(np.exp(-(edges - edges[0]) / tau)) / more
    return mu


def integrated_through_gaussian(x: np.ndarray, tau: float, sigma: float) -> np.ndarray:
    y = (sigma / tau - x / sigma) / math.sqrt(2)
    with np.errstate(over="ignore", invalid="ignore"):
        tail = np.where(
            y > 0,
            0.5 * np.exp(-0.5 * (x / sigma) ** 2) * erfcx(np.maximum(y, 0)),
            0.5
            * np.exp(np.minimum(0.5 * (sigma / tau) ** 2 - x / tau, 700))
            * erfc(np.minimum(y, 0)),
        )
    return tau * (0.5 * erfc(-x / sigma / math.sqrt(2)) - tail)


def maximum_likelihood(
    counts: np.ndarray,
    model: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    scale: np.ndarray,
) -> tuple[np.ndarray, float]:
    """Least deviance from ``start``; the columns of ``scale`` only condition the problem."""

    def cost(u: np.ndarray) -> float:
        return poisson_deviance(counts, np.maximum(model(np.abs(start + scale @ u)), 1e-12))

    def slope(u: np.ndarray) -> np.ndarray:
        steps = 1e-2 * np.eye(u.size)  # of σ: a smaller one drowns in the rounding of the deviance
        return np.array([(cost(u + s) - cost(u - s)) / 2e-2 for s in steps])

    found = minimize(cost, np.zeros(start.size), jac=slope, method="BFGS", options={"gtol": 1e-2})
    return np.abs(start + scale @ found.x), float(found.fun)


CASES = [
    *[("trpl-fapi", m) for m in (1, 2, 3)],
    *[("trpl-silicon", m) for m in (1, 2, 3)],
    *[(f"trpl-mbg-od{x}", m) for x in ("0", "05", "1") for m in (1, 2, 3)],
    ("trpl-mbg-od0", 0),
    ("trpl-mbg-od05", 0),
    *[("trpl-spcm", m) for m in (1, 2, 0)],
    *[("trpl-spcm-setup", m) for m in (1, 2, 0)],
    *[(f"power-{series}-{index}", 1) for series in (1, 2) for index in range(5)],
    *[("power-1-4", m) for m in (2, 0)],
    *[("power-2-1", m) for m in (2, 0)],
    *[("F980_IRF", m) for m in (1, 2, 0)],
    *[("F980_IRF_comma", m) for m in (1, 2, 0)],
]


@pytest.mark.parametrize(("name", "m"), CASES)
def test_proof_lifetimes_equal_to_scipy_on_measured_decays(
    test_data: Path, rng: np.random.Generator, name: str, m: int
) -> None:
    ds = measured(test_data, name)
    model = {"model": "stretched"} if m == 0 else {"n_exponentials": m}
    fit = plkit.fit_lifetimes(ds, window=WINDOW.get(name), **model)
    check_against_scipy(ds, fit, m, rng)


@pytest.mark.parametrize(("name", "m", "window"), [("trpl-mbg-od0", 3, None), ("trpl-spcm-setup", 2, (0.6, 13.5)), ("F980_IRF", 2, None)])  # fmt: skip
def test_proof_lifetimes_equal_to_scipy_with_a_gaussian_response(test_data: Path, rng: np.random.Generator, name: str, m: int, window) -> None:  # fmt: skip
    ds = measured(test_data, name)
    fit = plkit.fit_lifetimes(ds, n_exponentials=m, irf="gaussian", window=window)
    check_against_scipy(ds, fit, m, rng)


def check_against_scipy(ds: xr.Dataset, fit: xr.Dataset, m: int, rng: np.random.Generator) -> None:
    start, stop, width = (
        fit.attrs[k] for k in ("window_start_ns", "window_stop_ns", "bin_width_ns")
    )
    edges = start + width * np.arange(round((stop - start) / width) + 1)
    inside = (ds.delay > start - width / 2) & (ds.delay < stop - width / 2)
    counts = ds.intensity.values[inside.values].astype(float)
    gaussian = fit.attrs["irf"] == "gaussian"
    names = [n for n in fit.param_i.values.tolist() if gaussian or n != "irf_shift"]
    ours = np.array([float(fit[n]) for n in names])
    sigma = np.array([float(fit[f"{n}_stderr"]) for n in names])

    def model(p: np.ndarray) -> np.ndarray:
        return counted(edges, p, m, fit.attrs["pulse_period_ns"], gaussian)

    # the same deviance for the same parameters: both models are the same
    assert poisson_deviance(counts, model(ours)) == pytest.approx(
        float(fit.deviance), rel=1e-6, abs=1e-3
    )
    root = np.linalg.cholesky(fit.covariance.sel(param_i=names, param_j=names).values)
    away = ours + root @ rng.uniform(-2.0, 2.0, ours.size)
    found, deviance = maximum_likelihood(counts, model, np.abs(away), root)
    assert float(fit.deviance) <= deviance + 2e-3
    np.testing.assert_array_less(np.abs(found - ours) / sigma, 0.02)


# What the decays are ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "amplitude", "intensity"),
    [("trpl-mbg-od0", (233.0, 3.0), (534.2, 9.8)), ("trpl-mbg-od05", (353.3, 5.6), (659.1, 15.0)), ("trpl-mbg-od1", (547.0, 16.0), (907.0, 41.0))],
)  # fmt: skip
def test_film_of_mbg_is_described_with_what_earlier_pulses_left(
    test_data: Path, name: str, amplitude: tuple, intensity: tuple
) -> None:
    ds = measured(test_data, name)
    fit = plkit.fit_lifetimes(ds, n_exponentials=3, irf="gaussian")
    assert fit.attrs["pulse_period_ns"] == 2000.0
    assert 0.95 < float(fit.redchi) < 1.04
    assert abs(float(fit.residual_runs)) < 3
    for mean, (value, sigma) in (("amplitude", amplitude), ("intensity", intensity)):
        assert float(fit[f"mean_lifetime_{mean}"]) == pytest.approx(value, abs=0.1 * sigma)
        assert float(fit[f"mean_lifetime_{mean}_stderr"]) == pytest.approx(sigma, rel=0.05)
    # the level before the pulse, which programs subtract, is mostly light of the pulse before
    before = float(ds.intensity.isel(delay=slice(0, 38)).mean())
    assert float(fit.background) < 0.7 * before
    single = plkit.fit_lifetimes(ds, n_exponentials=3, irf="gaussian", repetition_rate_hz=0)
    assert float(single.deviance) > float(fit.deviance)


def test_author_of_mbg_fits_what_no_stretched_exponential_describes(test_data: Path) -> None:
    """His two files hold 133.7 ns, 0.55 with the amplitude fixed and 315.7 ns, 0.83 with it free."""
    ds = measured(test_data, "trpl-mbg-od0")
    dark = float(ds.intensity.isel(delay=slice(0, 38)).mean())
    same = plkit.fit_lifetimes(
        ds, model="stretched", background=dark, repetition_rate_hz=0, window=(41.0, 1541.0)
    )
    assert float(same.redchi) > 2.0
    assert float(same.residual_runs) < -6
    assert 133.66 < float(same.lifetime_1) < 315.72
    assert 0.55 < float(same.beta) < 0.83
    t = ds.delay.values - 41.0
    inside = (t > -0.5) & (t < 1499.5)
    counts = ds.intensity.values[inside].astype(float)
    peak = counts.max() - dark
    for amplitude, tau, beta in ((1.0, 133.66, 0.55), (0.61, 315.72, 0.83)):
        edges = np.arange(counts.size + 1.0)
        his = counted(edges, np.array([amplitude * peak, tau, beta, dark]), 0, 0.0, False)
        assert poisson_deviance(counts, his) > 1.5 * float(same.deviance)


def test_fapi_and_silicon_are_more_than_three_lifetimes(test_data: Path) -> None:
    for name, deviance in (("trpl-fapi", 33833.56), ("trpl-silicon", 27607.29)):
        fit = plkit.fit_lifetimes(measured(test_data, name), n_exponentials=3)
        assert float(fit.deviance) == pytest.approx(deviance, abs=0.01)
        assert float(fit.residual_runs) < -6  # and the docs say so


def test_decay_that_bends_downwards_is_no_sum_of_exponentials(test_data: Path) -> None:
    """At high injection the lifetime falls with time: no positive amplitudes do that."""
    ds = plkit.read(samples.fetch("trpl-power-series-1"), **UNITS)
    fit = plkit.fit_lifetimes(ds, n_exponentials=2)
    assert fit.residual_runs.values[2] < -6
    assert fit.redchi.values[2] > 10
    assert abs(fit.residual_runs.values[0]) < 3
    assert abs(fit.residual_runs.values[1]) < 3
    assert abs(float(fit.redchi[1]) - 1.0) < 0.05


def test_series_of_44_scans_is_fitted_as_one_stack(test_data: Path) -> None:
    ds = edinburgh(test_data / EDINBURGH / "F980_IRF_multiple.txt")
    fit = plkit.fit_lifetimes(ds, n_exponentials=2, irf="gaussian")
    assert fit.sizes["point"] == 44
    assert float((fit.fit_status <= 2).mean()) == 1.0
    assert float(fit.redchi.median()) == pytest.approx(1.0, abs=0.1)
