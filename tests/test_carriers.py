"""Carriers under continuous light: closed forms, diffusion, the printed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError
from plkit.physics import carriers as physics
from plkit.physics.carrier_volumes import diffuse_steady, diffuse_transient
from plkit.sim import Film, LaserSpot, Recombination, simulate_carriers

SPOT = LaserSpot(1.0, radius_stderr_um=0.05)
FILM = Film(40.0, 0.4, absorptance=0.203, absorptance_stderr=0.01)


@pytest.mark.parametrize("r", [
    Recombination(1e8, 0.0, 0.0), Recombination(0.0, 5e-11, 0.0), Recombination(0.0, 0.0, 1.6e-29),
    Recombination.from_lifetime(5.0), Recombination.from_lifetime(500.0),
])  # fmt: skip
def test_proof_8_carriers_steady_state_balances(r: Recombination) -> None:
    g = np.logspace(18, 30, 60)
    n = physics.steady_density(g, r)
    np.testing.assert_allclose(physics.loss(n, r), g, rtol=1e-12)
    assert physics.steady_density(0.0, r) == 0.0


def test_proof_8_carriers_transient_has_its_closed_forms() -> None:
    t = np.linspace(0.0, 100.0, 21)
    fine = np.linspace(0, 200, 20001)
    for r in (Recombination(5e7, 0.0, 0.0), Recombination(0.0, 5e-11, 0.0)):
        ds = simulate_carriers(SPOT, FILM, r, power_uw=50.0, times_ns=t)
        speed = math.sqrt(5e-11 * float(ds["generation_rate"][0]))
        rise, curve = (
            -np.expm1(-5e7 * s * 1e-9) if r.k1_per_s else np.tanh(speed * s * 1e-9)
            for s in (t, fine)
        )
        ratio = ds["carrier_transient"][0] / ds["carrier_density"][0]
        np.testing.assert_allclose(ratio, rise, atol=2e-7)
        reached = np.interp(float(ds["rise_time"][0]), fine, curve)
        assert reached == pytest.approx(0.95, abs=1e-4)


def test_proof_8_carriers_diffusion_edge_is_exponential_with_the_length() -> None:
    # Half space lit, half dark: n = N (1 − e^(x/L)/2) and N e^(−x/L)/2.
    r, d = Recombination(1e8, 0.0, 0.0), 0.0758
    length = math.sqrt(d / 1e8)
    edges = np.linspace(-12 * length, 12 * length, 4001)
    x = 0.5 * (edges[1:] + edges[:-1])
    n = diffuse_steady(np.where(x < 0, 1e26, 0.0), edges, d, r, "depth") / 1e18
    exact = np.where(x < 0, 1 - 0.5 * np.exp(x / length), 0.5 * np.exp(-np.abs(x) / length))
    np.testing.assert_allclose(n, exact, atol=2e-5)


def test_proof_8_carriers_line_source_in_rings_is_a_bessel_function() -> None:
    from scipy.special import k0

    r, d = Recombination(1e8, 0.0, 0.0), 0.0758
    length = math.sqrt(d / 1e8)
    edges = np.linspace(0.0, 15 * length, 3001)
    g = np.zeros(3000)
    g[0] = 1e26
    n = diffuse_steady(g, edges, d, r, "radial")
    x = 0.5 * (edges[1:] + edges[:-1]) / length
    far = (x > 0.5) & (x < 5)
    ratio = n[far] / k0(x[far])
    assert np.ptp(ratio) / ratio.mean() < 2e-3
    # All that is generated recombines.
    ring = np.diff(edges**2)
    assert np.sum(n * 1e8 * ring) == pytest.approx(np.sum(g * ring), rel=1e-9)


def test_transient_with_diffusion_ends_in_the_steady_profile() -> None:
    r = Recombination.from_lifetime(20.0)
    steady = simulate_carriers(SPOT, FILM, r, power_uw=[50.0], profile="radial")["carrier_profile"]
    late = simulate_carriers(
        SPOT, FILM, r, power_uw=[50.0], profile="radial", times_ns=[1.0, 5000.0]
    )
    np.testing.assert_allclose(late["carrier_profile"][0, 1], steady[0], rtol=1e-5, atol=1e10)
    assert late["carrier_profile"].dims == ("power", "delay", "carrier_distance")


def test_carriers_are_conserved_while_they_only_diffuse() -> None:
    edges = np.linspace(0.0, 1e-4, 201)
    g = np.where(edges[:-1] < 3e-5, 1e26, 0.0)
    slow = Recombination(1e-3, 0.0, 0.0)
    n = diffuse_transient(g, edges, [1e-10, 1e-8], 0.0758, slow, "radial")
    ring = np.diff(edges**2)
    np.testing.assert_allclose(n @ ring, np.array([1e-10, 1e-8]) * (g @ ring), rtol=1e-6)


def test_depth_profile_flattens_within_the_film() -> None:
    steep = Film(40.0, 0.4, absorptance=0.203, absorption_per_um=20.0)
    for film in (steep, Film(40.0, 0.4, absorptance=0.203, absorption_per_um=math.inf), FILM):
        ds = simulate_carriers(
            SPOT, film, Recombination.from_lifetime(20.0), power_uw=50.0, profile="depth"
        )
        n = ds["carrier_profile"][0]
        # L_D is five times the thickness: what light puts in unevenly, diffusion spreads.
        assert float(n.max() / n.min()) < 1.05
        assert float(n.mean()) == pytest.approx(float(ds["carrier_density"][0]), rel=0.01)


def test_wide_spot_has_the_density_without_diffusion_at_its_centre() -> None:
    r = Recombination.from_lifetime(5.0)
    wide = simulate_carriers(LaserSpot(20.0), FILM, r, power_uw=2e4, profile="radial")
    assert float(wide["carrier_profile"][0, 0]) == pytest.approx(
        float(wide["carrier_density"][0]), rel=1e-3
    )
    tight = simulate_carriers(LaserSpot(0.3), FILM, r, power_uw=4.5, profile="radial")
    assert float(tight["carrier_profile"][0, 0]) < 0.8 * float(tight["carrier_density"][0])


def test_proof_8_carriers_published_numbers() -> None:
    bare = simulate_carriers(
        LaserSpot(1.0),
        Film(40.0, 0.4, absorptance=1.0),
        Recombination.from_lifetime(20.0),
        power_uw=50.0,
    )
    assert float(bare["generation_rate"][0]) == pytest.approx(1.62e27, rel=3e-3)
    for tau, absorbed in ((50.0, 0.16), (5.0, 0.35)):
        film = Film(40.0, 0.4, absorptance=absorbed)
        ds = simulate_carriers(
            LaserSpot(1.0), film, Recombination.from_lifetime(tau), power_uw=50.0
        )
        assert float(ds["carrier_density"][0]) == pytest.approx(1.7e18, rel=0.03)
        assert float(ds["rise_time"][0]) < 20
        assert 148 < float(ds["diffusion_length"][0]) < 228
    assert physics.rate_for_length(3.0, 293.15, 10.2) == pytest.approx(7.3e10, rel=0.01)
    found = physics.band_alignment((-5.44, -3.45), (-6.00, -3.60))
    assert found.kind == "staggered"
    assert found.conduction_offset_ev == pytest.approx(-0.15)
    assert found.valence_offset_ev == pytest.approx(-0.56)


def test_sigma_is_what_the_inputs_do(rng) -> None:
    r = Recombination.from_lifetime(20.0)
    ds = simulate_carriers(SPOT, FILM, r, power_uw=50.0)
    draws = [
        simulate_carriers(
            LaserSpot(1.0 + 0.05 * a),
            Film(40.0, 0.4, absorptance=0.203 + 0.01 * b),
            r,
            power_uw=50.0,
        )
        for a, b in rng.standard_normal((400, 2))
    ]
    for name in ("generation_rate", "carrier_density", "recombination_rate", "diffusion_length"):
        scatter = np.std([float(d[name][0]) for d in draws])
        assert float(ds[f"{name}_stderr"][0]) == pytest.approx(scatter, rel=0.15)


def test_alignments() -> None:
    assert physics.band_alignment((-6.0, -3.0), (-5.5, -3.5)).kind == "straddling"
    assert physics.band_alignment((-6.0, -4.0), (-3.9, -2.0)).kind == "broken"
    with pytest.raises(ValueError, match="has to lie below"):
        physics.band_alignment((-3.0, -4.0), (-6.0, -3.0))


def test_result_is_netcdf_safe_and_takes_units(tmp_path) -> None:
    power = xr.DataArray([0.05, 0.1], dims="power", attrs={"units": "mW"})
    ds = simulate_carriers(
        SPOT,
        FILM,
        Recombination.from_lifetime(20.0),
        power_uw=power,
        profile="radial",
        times_ns=[0.0, 10.0],
    )
    assert ds["power"].values.tolist() == [50.0, 100.0]
    ds.to_netcdf(tmp_path / "carriers.nc")
    assert all("units" in v.attrs for v in ds.data_vars.values())
    assert plkit.simulate_carriers is simulate_carriers


@pytest.mark.parametrize(("kwargs", "message"), [
    ({"power_uw": []}, "not a list of positive powers"),
    ({"power_uw": [1.0, math.nan]}, "not a list of positive powers"),
    ({"power_uw": 1.0, "mobility_cm2_vs": 0.0}, r"'mobility_cm2_vs' is 0\.0"),
    ({"power_uw": 1.0, "times_ns": [1.0, 0.5]}, "'times_ns' is not ascending"),
    ({"power_uw": 1.0, "profile": "lateral"}, "'profile' is 'lateral'"),
])  # fmt: skip
def test_bad_input_is_refused(kwargs, message: str) -> None:
    with pytest.raises(DataError, match=message):
        simulate_carriers(SPOT, FILM, Recombination.from_lifetime(20.0), **kwargs)


def test_bad_coefficients_are_refused() -> None:
    with pytest.raises(DataError, match="one positive at least"):
        simulate_carriers(SPOT, FILM, Recombination(0.0, 0.0, 0.0), power_uw=1.0)
    with pytest.raises(DataError, match=r"'k2_cm3_s' is -1\.0"):
        simulate_carriers(SPOT, FILM, Recombination(1.0, -1.0, 0.0), power_uw=1.0)
