"""Proofs of unmixing: exact, equal to the reference solvers, unbiased, with σ that covers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from plkit.physics.nnls_many import fit_spectra_many
from plkit.unmixing import Design, unmix_block
from plkit.unmixing.block import _problem

ONE_SIGMA = 0.6827


def lines(n: int, *peaks: tuple[float, float]) -> np.ndarray:
    """Gaussians of unit sum on n channels."""
    x = np.linspace(0.0, 1.0, n)
    rows = np.array([np.exp(-0.5 * ((x - c) / w) ** 2) for c, w in peaks])
    return rows / rows.sum(axis=1)[:, None]


def nothing(n: int) -> np.ndarray:
    return np.empty((0, n))


TWO = lines(200, (0.35, 0.08), (0.65, 0.08))


# Exact ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("noise", ["poisson", "uniform"])
@pytest.mark.parametrize("terms", [2, 3, 4, 5])
def test_proof_1_exact_on_noise_free_data(rng: np.random.Generator, noise: Any, terms: int) -> None:
    basis = lines(150, *[(c, 0.08) for c in np.linspace(0.2, 0.8, terms)])
    truth = rng.uniform(1.0, 1e5, (40, terms))
    truth[:10, 0] = 0.0  # a component that is absent stays absent
    found = unmix_block(truth @ basis, Design(basis, nothing(150), noise=noise))
    np.testing.assert_allclose(found["amplitude"], truth, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found["fraction"].sum(axis=1), 1.0, rtol=1e-12)
    assert np.all(found["residual_rms"] < 1e-6)


def test_proof_1_single_precision_data_keep_their_digits(rng: np.random.Generator) -> None:
    basis = lines(1024, (0.4, 0.1), (0.6, 0.1))
    truth = rng.uniform(1e5, 1e6, (50, 2))
    counts = (truth @ basis + 20.0).astype(np.float32)
    flat = np.ones((1, 1024))
    single = unmix_block(counts, Design(basis, flat))
    double = unmix_block(counts.astype(np.float64), Design(basis, flat))
    error = np.abs(single["amplitude"] - double["amplitude"]) / double["amplitude_stderr"]
    assert error.max() < 1e-3
    np.testing.assert_allclose(single["amplitude_stderr"], double["amplitude_stderr"], rtol=1e-4)


# Equal to the reference solvers -------------------------------------------------------------------
@pytest.mark.parametrize("terms", [2, 3, 4, 6])
def test_proof_1_equal_to_numpy_lstsq(rng: np.random.Generator, terms: int) -> None:
    basis = rng.uniform(0.0, 1.0, (terms, 80))
    y = rng.normal(0.0, 1.0, (200, 80))
    found = unmix_block(y, Design(basis, nothing(80), noise="uniform", nonnegative=False))
    expected, ss, *_ = np.linalg.lstsq(basis.T, y.T, rcond=None)
    np.testing.assert_allclose(found["amplitude"], expected.T, rtol=1e-8, atol=1e-10)
    # σ of ordinary least squares
    sigma = np.sqrt(ss[:, None] / (80 - terms) * np.diag(np.linalg.inv(basis @ basis.T)))
    np.testing.assert_allclose(found["amplitude_stderr"], sigma, rtol=1e-8)


@pytest.mark.parametrize("terms", [2, 3, 4, 5, 6])
def test_proof_1_equal_to_scipy_nnls(rng: np.random.Generator, terms: int) -> None:
    basis = rng.uniform(0.0, 1.0, (terms, 60))
    y = rng.normal(0.1, 1.0, (300, 60))
    found = unmix_block(y, Design(basis, nothing(60), noise="uniform"))
    expected = np.array([nnls(basis.T, row)[0] for row in y])
    assert np.sum(expected == 0.0) > 100  # many supports were met
    np.testing.assert_allclose(found["amplitude"], expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(found["amplitude"] == 0.0, expected == 0.0)


@pytest.mark.parametrize("shared", [True, False])
def test_proof_1_weighted_equals_scipy_on_the_scaled_system(
    rng: np.random.Generator, shared: bool
) -> None:
    basis = rng.uniform(0.0, 1.0, (3, 60))
    y = rng.normal(0.1, 1.0, (200, 60))
    variance = rng.uniform(0.2, 5.0, 60) if shared else rng.uniform(0.2, 5.0, (200, 60))
    if shared:
        design = Design(basis, nothing(60), noise="variance", row_weights=1.0 / variance)
        found = unmix_block(y, design)
    else:
        found = unmix_block(y, Design(basis, nothing(60), noise="variance"), variance)
    each = np.broadcast_to(variance, y.shape)
    for row, v, a, sigma in zip(
        y, each, found["amplitude"], found["amplitude_stderr"], strict=True
    ):
        scaled = basis / np.sqrt(v)
        expected, _ = nnls(scaled.T, row / np.sqrt(v))
        np.testing.assert_allclose(a, expected, rtol=1e-8, atol=1e-10)
        curvature = np.linalg.inv(scaled @ scaled.T)
        np.testing.assert_allclose(sigma, np.sqrt(np.diag(curvature)), rtol=1e-8)


def test_proof_1_many_components_agree_with_the_kernel(rng: np.random.Generator) -> None:
    basis = lines(120, *[(c, 0.06) for c in np.linspace(0.1, 0.9, 5)])
    y = rng.poisson(rng.uniform(0.0, 400.0, (60, 5)) @ basis + 2.0).astype(float)
    y[3, 7] = np.nan
    design = Design(basis, np.ones((1, 120)))
    kernel = unmix_block(y, design)
    slow = fit_spectra_many(y, _problem(design))
    size = kernel["amplitude_stderr"]
    assert np.max(np.abs(kernel["amplitude"] - slow.amplitude[:, :5]) / size) < 0.05
    np.testing.assert_array_equal(kernel["fit_status"], slow.status)
    np.testing.assert_allclose(kernel["fraction_stderr"], slow.fraction_stderr, rtol=0.03)
    np.testing.assert_allclose(kernel["redchi"], slow.redchi, rtol=0.02)
    np.testing.assert_allclose(kernel["residual_structure"], slow.structure, atol=0.05)


def test_many_components_go_through_scipy(rng: np.random.Generator) -> None:
    basis = lines(200, *[(c, 0.04) for c in np.linspace(0.1, 0.9, 8)])
    truth = rng.uniform(0.0, 2e4, (5, 8)) * (rng.random((5, 8)) > 0.4)
    found = unmix_block(truth @ basis, Design(basis, nothing(200)))
    np.testing.assert_allclose(found["amplitude"], truth, rtol=1e-7, atol=1e-4)


# Unbiased, and σ covers ---------------------------------------------------------------------------
@pytest.mark.parametrize("gain_known", [True, False])
@pytest.mark.parametrize("level", [0.0, 2.0])
@pytest.mark.parametrize("total", [10, 100, 1e4, 1e6])
def test_proof_1_unbiased_with_68_percent_coverage(
    total: float, level: float, gain_known: bool
) -> None:
    """Amplitudes free of sign, so that their mean is that of the truth at any count."""
    rng = np.random.default_rng(7)
    n = 6000
    share = rng.uniform(0.2, 0.8, n)
    truth = total * np.array([share, 1.0 - share]).T
    y = rng.poisson(truth @ TWO + level).astype(np.uint16 if total < 1e5 else np.float64)
    background = np.ones((int(level > 0.0), 200))
    design = Design(TWO, background, nonnegative=False, scale_by_redchi=not gain_known)
    found = unmix_block(y, design)
    error = found["amplitude"] - truth
    assert np.all(np.abs(error.mean(axis=0)) < 4.0 * error.std(axis=0) / np.sqrt(n))
    # Ten counts in all: the interval of a small Poisson number is ± a few per cent short.
    slack = 0.04 if total == 10 and level == 0.0 else 0.022
    inside = np.mean(np.abs(error) < found["amplitude_stderr"], axis=0)
    np.testing.assert_allclose(inside, ONE_SIGMA, atol=slack)
    if level > 0.0:
        off = found["background"] - level
        assert abs(off.mean()) < 4.0 * off.std() / np.sqrt(n)
        assert np.mean(np.abs(off) < found["background_stderr"]) == pytest.approx(
            ONE_SIGMA, abs=0.022
        )
    if total >= 100 or level == 0.0:
        ok = found["fit_status"] <= 2
        off = found["fraction"][ok, 0] - share[ok]
        assert abs(off.mean()) < 4.0 * off.std() / np.sqrt(n)
        covered = np.mean(np.abs(off) < found["fraction_stderr"][ok, 0])
        assert covered == pytest.approx(ONE_SIGMA, abs=slack + 0.01)


def test_proof_1_nonnegative_coverage_away_from_the_bound() -> None:
    rng = np.random.default_rng(8)
    truth = np.full((6000, 2), 500.0)
    found = unmix_block(
        rng.poisson(truth @ TWO + 2.0).astype(float), Design(TWO, np.ones((1, 200)))
    )
    inside = np.abs(found["amplitude"] - truth) < found["amplitude_stderr"]
    np.testing.assert_allclose(inside.mean(axis=0), ONE_SIGMA, atol=0.022)
    assert np.all(found["fit_status"] == 0)


@pytest.mark.parametrize("weak", [0.0, 5.0, 10.0, 30.0])
def test_proof_1_sigma_at_the_bound_is_one_sided_and_safe(weak: float) -> None:
    """Truth at zero or within a few σ of it: [a − σ, a + σ] covers at least 68 %, at zero 84 %."""
    rng = np.random.default_rng(9)
    truth = np.tile([3000.0, weak], (8000, 1))
    found = unmix_block(
        rng.poisson(truth @ TWO + 3.0).astype(float), Design(TWO, np.ones((1, 200)))
    )
    inside = np.mean(np.abs(found["amplitude"] - truth) <= found["amplitude_stderr"], axis=0)
    assert inside[1] > ONE_SIGMA - 0.02
    assert inside[0] > ONE_SIGMA - 0.02
    if weak == 0.0:
        assert inside[1] == pytest.approx(0.841, abs=0.02)
        at_bound = found["amplitude"][:, 1] == 0.0
        assert np.mean(at_bound) == pytest.approx(0.5, abs=0.03)
        np.testing.assert_array_equal(found["fit_status"] == 1, at_bound)
        assert np.all(found["amplitude_stderr"][at_bound, 1] > 0.0)


def test_no_photon_is_zero_plus_minus_one_electron() -> None:
    """No count at all, and no count in one of two separate lines."""
    basis = lines(200, (0.2, 0.03), (0.8, 0.03))
    y = np.array([np.zeros(200), np.round(5e3 * basis[0])])
    for gain in (1.0, 4.0):
        design = Design(basis, nothing(200), gain=np.full(200, gain))
        found = unmix_block(y, design)
        np.testing.assert_allclose(found["amplitude_stderr"][0], gain, rtol=0.1)
        assert found["amplitude_stderr"][1, 1] == pytest.approx(gain, rel=0.1)
        assert found["amplitude"].tolist()[0] == [0.0, 0.0]
        assert found["fit_status"].tolist() == [3, 1]
        assert np.all(np.isnan(found["fraction"][0]))


def test_proof_1_neyman_bias_is_absent() -> None:
    """Weights 1/max(y, 1) pull a background of 22 counts down by a count; the model's do not."""
    rng = np.random.default_rng(1)
    x = np.linspace(0.0, 1.0, 400)
    basis = np.array([np.exp(-0.5 * ((x - c) / 0.06) ** 2) for c in (0.4, 0.6)])
    y = rng.poisson(np.array([300.0, 200.0]) @ basis + 22.0, (4000, 400)).astype(float)
    flat = np.ones((1, 400))
    found = unmix_block(y, Design(basis, flat))["background"][:, 0]
    neyman = unmix_block(y, Design(basis, flat, noise="variance"), np.maximum(y, 1.0))
    assert neyman["background"].mean() - 22.0 < -0.9  # the fault is there to be avoided
    assert abs(found.mean() - 22.0) < 4.0 * found.std() / np.sqrt(4000)
    assert found.std() < 1.03 * neyman["background"].std()


def test_proof_1_weights_from_the_model_beat_equal_weights() -> None:
    rng = np.random.default_rng(2)
    truth = np.tile([3e4, 300.0], (3000, 1))
    y = rng.poisson(truth @ TWO + 1.0).astype(float)
    flat = np.ones((1, 200))
    spread = [
        unmix_block(y, Design(TWO, flat, noise=noise))["amplitude"][:, 1].std()
        for noise in ("poisson", "uniform")
    ]
    assert spread[0] < 0.7 * spread[1]


def test_proof_1_gain_and_floor_enter_sigma() -> None:
    """A detector of gain 3 and read noise 5 counts: σ covers and reduced χ² is one."""
    rng = np.random.default_rng(3)
    truth = np.tile([4000.0, 1500.0], (4000, 1))
    y = 3.0 * rng.poisson(truth @ TWO / 3.0) + rng.normal(0.0, 5.0, (4000, 200))
    design = Design(TWO, nothing(200), gain=np.full(200, 3.0), floor=np.full(200, 25.0))
    found = unmix_block(y, design)
    inside = np.mean(np.abs(found["amplitude"] - truth) < found["amplitude_stderr"], axis=0)
    np.testing.assert_allclose(inside, ONE_SIGMA, atol=0.025)
    assert found["redchi"].mean() == pytest.approx(1.0, abs=0.01)


# Diagnostics --------------------------------------------------------------------------------------
@pytest.mark.parametrize("channels", [40, 200, 1000])
@pytest.mark.parametrize("noise", ["poisson", "uniform"])
def test_proof_1_residual_structure_is_standard_normal(channels: int, noise: Any) -> None:
    rng = np.random.default_rng(4)
    basis = lines(channels, (0.35, 0.1), (0.65, 0.1))
    n = 3000
    expected = np.tile(50.0 * channels * basis.sum(axis=0) + 20.0, (n, 1))
    y = rng.poisson(expected).astype(float)
    if noise == "uniform":
        y = expected + rng.normal(0.0, 7.0, expected.shape)
    y[:, channels // 2] = np.nan  # a gap does not count as a pair
    z = unmix_block(y, Design(basis, np.ones((1, channels)), noise=noise))["residual_structure"]
    assert abs(z.mean()) < 4.0 / np.sqrt(n)
    assert z.std() == pytest.approx(1.0, abs=0.05)


def test_residual_structure_finds_a_third_phase() -> None:
    rng = np.random.default_rng(5)
    third = lines(200, (0.5, 0.04))[0]
    y = rng.poisson(np.tile(5e4 * TWO.sum(axis=0) + 2e3 * third, (200, 1))).astype(float)
    found = unmix_block(y, Design(TWO, nothing(200)))
    assert np.mean(found["residual_structure"] > 3.0) > 0.95


def test_fractions_sum_to_one_and_two_share_one_sigma(rng: np.random.Generator) -> None:
    y = rng.poisson(np.array([300.0, 100.0]) @ TWO + 1.0, (500, 200)).astype(float)
    found = unmix_block(y, Design(TWO, np.ones((1, 200))))
    np.testing.assert_allclose(found["fraction"].sum(axis=1), 1.0, rtol=1e-12)
    sigma = found["fraction_stderr"]
    np.testing.assert_allclose(sigma[:, 0], sigma[:, 1], rtol=1e-9)


def test_fraction_sigma_is_the_propagated_covariance(rng: np.random.Generator) -> None:
    """Against numerical derivatives of f = (a/ρ)/Σ(a/ρ)."""
    basis = lines(150, (0.3, 0.1), (0.5, 0.1), (0.7, 0.1))
    rho = np.array([1.0, 2.5, 0.4])
    y = rng.poisson(np.array([900.0, 500.0, 700.0]) @ basis + 1.0, (4, 150)).astype(float)
    found = unmix_block(y, Design(basis, nothing(150), brightness=rho))
    for p in range(4):
        a, cov = found["amplitude"][p], found["amplitude_covariance"][p]
        for name, weight in (("fraction", np.ones(3)), ("corrected", rho)):

            def share(a: np.ndarray, weight: np.ndarray = weight) -> np.ndarray:
                return a / weight / np.sum(a / weight)

            step = 1e-3
            rows = [(share(a + d) - share(a - d)) / (2 * step) for d in step * np.eye(3)]
            jacobian = np.array(rows).T
            sigma = np.sqrt(np.diag(jacobian @ cov @ jacobian.T))
            np.testing.assert_allclose(found[name][p], share(a), rtol=1e-10)
            np.testing.assert_allclose(found[f"{name}_stderr"][p], sigma, rtol=1e-5)


# Missing values -----------------------------------------------------------------------------------
@pytest.mark.parametrize("noise", ["poisson", "uniform", "variance"])
def test_nan_is_the_same_as_dropping_the_channel(rng: np.random.Generator, noise: Any) -> None:
    y = rng.poisson(np.array([3000.0, 1000.0]) @ TWO + 5.0, (30, 200)).astype(float)
    drop = np.zeros(200, dtype=bool)
    drop[[3, 70, 71, 130]] = True
    masked = np.where(drop, np.nan, y)
    masked[0, 70] = np.inf
    flat = np.ones((1, 200))
    variance = np.full(y.shape, 9.0) if noise == "variance" else None
    kept = None if variance is None else variance[:, ~drop]
    a = unmix_block(masked, Design(TWO, flat, noise=noise), variance)
    b = unmix_block(y[:, ~drop], Design(TWO[:, ~drop], flat[:, ~drop], noise=noise), kept)
    size = b["amplitude_stderr"]
    assert np.max(np.abs(a["amplitude"] - b["amplitude"]) / size) < 0.02
    np.testing.assert_allclose(a["residual_rms"], b["residual_rms"], rtol=1e-3)
    np.testing.assert_allclose(a["amplitude_stderr"], size, rtol=2e-3)


def test_spectra_without_enough_channels_are_nan_not_zero() -> None:
    y = np.full((3, 200), np.nan)
    y[1, :2] = 4.0
    y[2] = 100.0 * TWO.sum(axis=0)
    found = unmix_block(y, Design(TWO, np.ones((1, 200))))
    assert found["fit_status"].tolist() == [3, 4, 0]
    for name, values in found.items():
        if name != "fit_status":
            assert np.all(np.isnan(values[:2])), name


def test_a_component_that_is_masked_away_fails_instead_of_guessing() -> None:
    basis = np.zeros((2, 40))
    basis[0, :20], basis[1, 20:] = 0.05, 0.05
    y = np.where(np.arange(40) < 20, 10.0, np.nan)[None]
    found = unmix_block(y, Design(basis, nothing(40), noise="uniform"))
    assert found["fit_status"].tolist() == [4]


# A scene with truth -------------------------------------------------------------------------------
def test_proof_1_synthetic_eels_scene(test_data: Path) -> None:
    """Abundances of a scene of 1000 counts per pixel; its drift of up to 1.5 channels is not modelled."""
    scene = np.load(test_data / "eels_unmix_synthetic" / "oxide_interface_d1000.npz")
    ends = scene["endmembers"].astype(float)
    truth = np.moveaxis(scene["abundances"], 0, -1)
    basis = ends / ends.sum(axis=1)[:, None]  # equal sums: area fractions are the abundances
    np.testing.assert_allclose(ends.sum(axis=1), 200.0, rtol=1e-6)
    rms = {}
    for noise in ("poisson", "uniform"):
        found = unmix_block(scene["cube"], Design(basis, nothing(200), noise=noise))
        rms[noise] = np.sqrt(np.mean((found["fraction"] - truth) ** 2, axis=(0, 1)))
        if noise == "poisson":
            inside = np.mean(np.abs(found["fraction"] - truth) <= found["fraction_stderr"])
            assert inside > ONE_SIGMA
            assert found["redchi"].mean() == pytest.approx(1.0, abs=0.06)
    spectra = scene["cube"].reshape(-1, 200)[::16].astype(float)
    slow = np.array([nnls(basis.T, y)[0] for y in spectra])
    slow /= slow.sum(axis=1)[:, None]
    uniform = unmix_block(spectra, Design(basis, nothing(200), noise="uniform"))["fraction"]
    np.testing.assert_allclose(uniform, slow, atol=1e-9)
    assert np.all(rms["poisson"] < [0.068, 0.083, 0.065])
    assert np.all(rms["poisson"] < 0.85 * rms["uniform"])
