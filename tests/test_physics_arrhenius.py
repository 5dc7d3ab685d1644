"""Arrhenius' law and the published pairs of numbers that follow from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from plkit.physics.arrhenius import (
    arrhenius_rate,
    energy_for,
    ev_from_kj_mol,
    fit_straight_line,
    kj_mol_from_ev,
    prefactor_for,
    two_point_energy,
)
from plkit.physics.lattice import lattice_strain


@pytest.mark.parametrize("kj, mev", [(24.0, 248.7), (21.0, 217.7), (9.0, 93.3)])
def test_proof_h14_h15_h16_kj_per_mole(kj, mev):
    assert 1000.0 * float(ev_from_kj_mol(kj)) == pytest.approx(mev, abs=0.06)
    assert float(kj_mol_from_ev(ev_from_kj_mol(kj))) == pytest.approx(kj, rel=1e-15)


def test_proof_h22_published_diffusion_numbers_disagree():
    assert float(arrhenius_rate(293.0, 5.3e-11, 0.182)) == pytest.approx(3.9e-14, rel=0.01)
    assert float(energy_for(6.3e-14, 293.0, 5.3e-11)) == pytest.approx(0.170, abs=5e-4)


def test_pairs_are_inverse():
    t = np.array([280.0, 310.0])
    k0 = prefactor_for(0.04, t, 0.25)
    np.testing.assert_allclose(arrhenius_rate(t, k0, 0.25), 0.04)
    np.testing.assert_allclose(energy_for(0.04, t, k0), 0.25)


@pytest.mark.parametrize(
    "slow, fast, energy, low, high", [(600, 90, 1.30, 1.15, 1.49), (120, 25, 1.07, 0.95, 1.23)]
)
def test_proof_p3_p4_two_point_energies(slow, fast, energy, low, high):
    """The bounds stated for ±1 K on each are rounded outwards."""
    e = two_point_energy(slow, 296.65, fast, 308.15, temperature_stderr=(1.0, 1.0))
    assert e.energy == pytest.approx(energy, abs=0.005)
    assert math.floor(100 * e.lower) / 100 == low
    assert math.ceil(100 * e.upper) / 100 == high
    assert e.upper - e.energy > e.energy - e.lower


def test_two_point_bounds_hold_two_thirds_of_the_truth():
    rng = np.random.default_rng(5)
    t1, t2 = 296.65, 308.15
    ratio = float(np.exp(1.3 / 8.617333262e-5 * (1 / t1 - 1 / t2)))
    inside = []
    for a, b in rng.normal(0.0, 1.0, (4000, 2)):
        e = two_point_energy(ratio, t1 + a, 1.0, t2 + b, temperature_stderr=(1.0, 1.0))
        inside.append(e.lower <= 1.3 <= e.upper)
    assert 0.65 <= np.mean(inside) <= 0.71


def test_two_point_energy_open_end_sign_and_error():
    e = two_point_energy(600.0, 300.0, 500.0, 301.0, temperature_stderr=(1.0, 1.0))
    assert e.upper == np.inf
    assert 0 < e.lower < e.energy
    down = two_point_energy(90.0, 296.65, 600.0, 308.15, temperature_stderr=(1.0, 1.0))
    assert down.energy == pytest.approx(-1.2995, abs=1e-3)
    assert down.lower < down.energy < down.upper
    timed = two_point_energy(600.0, 296.65, 90.0, 308.15, ln_time_stderr=0.1)
    assert timed.upper - timed.energy == pytest.approx(timed.energy - timed.lower)
    with pytest.raises(ValueError, match="temperatures are equal"):
        two_point_energy(1.0, 300.0, 2.0, 300.0)


def test_proof_p9_lattice_strain():
    assert -100 * float(lattice_strain(5.802, 5.807)) == pytest.approx(0.0861, abs=5e-5)
    assert -100 * float(lattice_strain(6.075, 6.080)) == pytest.approx(0.0822, abs=5e-5)


def test_line_agrees_with_the_published_benchmark_of_errors_in_both():
    """Pearson's data with York's weights: slope −0.4805, intercept 5.4799."""
    x = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
    y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
    wx = np.array([1000.0, 1000.0, 500.0, 800.0, 200.0, 80.0, 60.0, 20.0, 1.8, 1.0])
    wy = np.array([1.0, 1.8, 4.0, 8.0, 20.0, 20.0, 70.0, 70.0, 100.0, 500.0])
    line = fit_straight_line(x, y, 1.0 / wx, 1.0 / wy)
    assert line.slope == pytest.approx(-0.480533407, abs=1e-8)
    assert line.intercept - line.slope * line.x_mid == pytest.approx(5.479910224, abs=1e-8)
    assert line.chisqr == pytest.approx(11.8663531941, rel=1e-9)
