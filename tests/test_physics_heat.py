"""Heat flow: closed forms, the exact layered solution and the finite volumes check each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from plkit.physics import heat
from plkit.physics.heat_grid import Grid, VolumeRise, deposited, graded_grid
from plkit.physics.heat_layers import Beam, PlanarStack, layered_detection_rise, layered_rise
from plkit.physics.heat_volumes import steady_volumes, step_volumes
from plkit.physics.transforms import hankel_nodes, talbot_contour

INF = float("inf")
K, RHO_C, W0 = 1.05, 2.1e6, 1.3
HALF_SPACE = PlanarStack((INF,), (K,), (RHO_C,))
SURFACE = Beam(W0, INF)
FILM = PlanarStack((0.04, INF), (0.4, 1.05), (1.0e6, 2.1e6))
EVEN = Beam(1.0)


@pytest.fixture(scope="module")
def film_volumes() -> VolumeRise:
    return steady_volumes(FILM, EVEN, graded_grid(FILM, EVEN))


@pytest.fixture(scope="module")
def half_space_volumes() -> VolumeRise:
    return steady_volumes(HALF_SPACE, SURFACE, graded_grid(HALF_SPACE, SURFACE))


# Closed forms ---------------------------------------------------------------------------------
def test_published_h23_twelve_kelvin() -> None:
    assert float(heat.half_space_peak_rise(30.0, 1.0, 1.0)) == pytest.approx(11.968, abs=1e-3)


def test_radial_and_depth_forms_solve_the_heat_equation() -> None:
    # on the axis at the surface both forms agree, and the flux −k dT/dz is the irradiance there
    z = np.array([0.0, 1e-6])
    depth = heat.half_space_depth_rise(z, 1.0, K, W0)
    flux = -K * (depth[1] - depth[0]) / z[1]
    assert flux == pytest.approx(2 / (np.pi * W0**2), rel=1e-5)
    assert depth[0] == pytest.approx(float(heat.half_space_radial_rise(0.0, 1.0, K, W0)))


def test_the_intensity_weighted_radial_form_is_the_detection_rise() -> None:
    def weighted(r: float) -> float:
        beam = 4 / W0**2 * np.exp(-2 * (r / W0) ** 2)
        return float(heat.half_space_radial_rise(r, 1.0, K, W0)) * beam * r

    value = quad(weighted, 0, 10 * W0, epsrel=1e-11)[0]
    assert float(heat.half_space_detection_rise(1.0, K, W0)) == pytest.approx(value, rel=1e-9)


def test_far_from_the_spot_the_beam_is_a_point_source() -> None:
    r = 1e4
    rise = float(heat.half_space_radial_rise(r, 1.0, K, W0))
    assert rise == pytest.approx(1 / (2 * np.pi * K * r), rel=1e-6)


def test_heat_fraction() -> None:
    assert heat.heat_fraction(0.0, 520.0, 405.0) == 1.0
    assert heat.heat_fraction(0.9, 520.0, 405.0) == pytest.approx(1 - 0.9 * 405 / 520)


# Quadrature -----------------------------------------------------------------------------------
def test_hankel_nodes_integrate_bessel_functions() -> None:
    from scipy.special import j0

    lam, weight = hankel_nodes(1.0, 200.0)
    for r in (0.0, 1.0, 200.0):  # ∫ exp(−λ²/8) J0(λ r) λ dλ = 4 exp(−2 r²)
        value = weight @ (lam * np.exp(-(lam**2) / 8) * j0(lam * r))
        assert value == pytest.approx(4 * np.exp(-2 * r**2), abs=1e-13)


def test_the_nodes_are_shared_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        hankel_nodes(1.0)[0][0] = 0.0


@pytest.mark.parametrize("time", [1e-9, 1.0, 1e6])
def test_talbot_contour_inverts_a_diffusive_transform(time: float) -> None:
    s, weight = talbot_contour(time)
    value = np.imag(weight * np.exp(-np.sqrt(s / 1.0)) / s).sum()  # erfc(1/(2√t))
    from scipy.special import erfc

    assert value == pytest.approx(erfc(0.5 / np.sqrt(time)), abs=1e-9)


# Exact layered solution -----------------------------------------------------------------------
def test_proof_4_half_space_steady_integral() -> None:
    r = np.array([0.0, 0.3, 1.0, 2.0, 10.0, 100.0, 3000.0])
    z = np.array([0.0, 0.1, 1.0, 5.0, 50.0])
    radial = heat.half_space_radial_rise(r, 1.0, K, W0)
    depth = heat.half_space_depth_rise(z, 1.0, K, W0)
    np.testing.assert_allclose(
        layered_rise(HALF_SPACE, SURFACE, r, [0.0])[:, 0], radial, rtol=1e-10
    )
    np.testing.assert_allclose(layered_rise(HALF_SPACE, SURFACE, [0.0], z)[0], depth, rtol=1e-12)
    detected = heat.half_space_detection_rise(1.0, K, W0)
    assert float(layered_detection_rise(HALF_SPACE, SURFACE, 0.0)) == pytest.approx(
        float(detected), rel=1e-13
    )


def test_proof_4_half_space_transient_integral() -> None:
    times = np.logspace(-12, 3, 31)
    exact = heat.half_space_step_rise(times, 1.0, K, RHO_C, W0)
    found = layered_rise(HALF_SPACE, SURFACE, [0.0], [0.0], times)[:, 0, 0]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_at_time_zero_nothing_is_warm() -> None:
    assert np.all(layered_rise(FILM, EVEN, [0.0, 1.0], None, [0.0]) == 0)
    assert layered_detection_rise(FILM, EVEN, None, [0.0])[0] == 0


@pytest.mark.parametrize("beta", [3.0, INF])
def test_a_half_space_cut_into_layers_is_still_a_half_space(beta: float) -> None:
    beam = Beam(W0, beta)
    cut = PlanarStack((9.0 if beta == 3.0 else 0.04, 3.0, 100.0, INF), (K,) * 4, (RHO_C,) * 4)
    r, z = np.array([0.0, 0.5, 3.0, 40.0]), np.array([0.0, 0.04, 2.0, 200.0])
    # a layer of 9 µm takes all but exp(−27) of the light
    np.testing.assert_allclose(
        layered_rise(cut, beam, r, z), layered_rise(HALF_SPACE, beam, r, z), rtol=1e-11
    )
    times = np.array([1e-9, 1e-6, 1e-2])
    np.testing.assert_allclose(
        layered_rise(cut, beam, r, z, times),
        layered_rise(HALF_SPACE, beam, r, z, times),
        atol=1e-10,
    )


def test_proof_4_film_on_half_space_integral() -> None:
    r = np.array([0.0, 0.7, 2.0, 10.0])
    printed = heat.film_on_half_space_rise(
        r,
        1.0,
        1.0,
        film_thickness_um=0.04,
        film_conductivity_w_mk=0.4,
        substrate_conductivity_w_mk=1.05,
    )
    stack = layered_rise(FILM, Beam(1.0, INF), r, [0.0])[:, 0]
    np.testing.assert_allclose(stack, printed, rtol=1e-12)


def test_the_film_mean_is_the_mean_over_its_depth() -> None:
    x, w = np.polynomial.legendre.leggauss(24)
    for stack, beta in ((FILM, 0.0), (FILM, 7.5), (FILM, INF)):
        d, beam = stack.film_thickness_um, Beam(1.0, beta)
        z = d * (x + 1) / 2
        r, times = np.array([0.0, 1.0, 20.0]), np.array([1e-8, 1e-6])
        mean = layered_rise(stack, beam, r, z) @ (w / 2)
        np.testing.assert_allclose(layered_rise(stack, beam, r), mean, rtol=1e-11)
        late = layered_rise(stack, beam, r[:2], z, times) @ (w / 2)
        np.testing.assert_allclose(layered_rise(stack, beam, r[:2], None, times), late, rtol=1e-8)


def test_beer_lambert_goes_over_into_its_limits() -> None:
    def peak(beta: float) -> float:
        return float(layered_rise(FILM, Beam(1.0, beta), [0.0])[0])

    assert peak(1e-7) == pytest.approx(peak(0.0), rel=1e-8)
    assert peak(1e9) == pytest.approx(peak(INF), rel=1e-7)
    assert peak(0.0) < peak(7.5) < peak(25.0) < peak(INF)


def test_a_thin_plate_on_a_heat_sink_conducts_in_one_dimension() -> None:
    plate = PlanarStack((0.01, 0.02), (0.4, 1.0), (1e6, 2e6))
    rise = layered_rise(plate, Beam(50.0, INF), [0.0], [0.0])[0, 0]
    resistance = 0.01 / 0.4 + 0.02 / 1.0  # µm / (W/(m K))
    assert rise == pytest.approx(2 / (np.pi * 50.0**2) * resistance, rel=1e-6)


def test_an_insulated_plate_warms_with_the_logarithm_of_time() -> None:
    plate = PlanarStack((0.04, 1.0), (1.0, 1.0), (2e6, 2e6), back="insulated")
    times = np.array([1e-2, 1e-1])
    rise = layered_rise(plate, EVEN, [0.0], None, times)[:, 0]
    assert rise[1] - rise[0] == pytest.approx(np.log(10) / (4 * np.pi * 1.0 * 1.04), rel=1e-4)
    with pytest.raises(ValueError, match="no steady state"):
        layered_rise(plate, EVEN, [0.0])


def test_early_on_a_film_stores_all_its_heat() -> None:
    # at 1 ps the heat has gone 1 nm: rise = q t / (ρc d)
    rise = layered_rise(FILM, EVEN, [0.0], [0.02], [1e-12])[0, 0, 0]
    assert rise == pytest.approx(2 / np.pi * 1e-12 / (1.0e6 * 1e-12 * 0.04), rel=1e-5)


def test_steps_approach_the_steady_state() -> None:
    stack = PlanarStack((0.04, 100.0), (0.4, 1.05), (1.0e6, 2.1e6))
    steady = layered_detection_rise(stack, EVEN)
    assert layered_detection_rise(stack, EVEN, None, [10.0])[0] == pytest.approx(steady, rel=1e-9)


# Published figures ----------------------------------------------------------------------------
def test_published_h23_film_on_glass() -> None:
    glass = PlanarStack((0.04, 1000.0), (0.4, 1.05), (1.0e6, 2.1e6))
    peak = float(layered_rise(glass, EVEN, [0.0])[0])
    detected = float(layered_detection_rise(glass, EVEN))
    assert round(peak, 2) == 0.39
    assert round(detected, 2) == 0.27


def test_published_h23_tail_of_the_surface_heated_film() -> None:
    rise = layered_rise(FILM, Beam(1.0, INF), [0.0, 2.0, 10.0], [0.0])[:, 0]
    assert rise[1] / rise[0] == pytest.approx(0.18, abs=0.005)
    assert rise[2] / rise[0] == pytest.approx(0.035, abs=0.0005)


def test_proof_4_beam_weighted_over_peak() -> None:
    surface = layered_rise(HALF_SPACE, SURFACE, [0.0], [0.0])[0, 0]
    ratio = float(layered_detection_rise(HALF_SPACE, SURFACE, 0.0)) / surface
    assert ratio == pytest.approx(1 / np.sqrt(2), rel=1e-12)
    ratios = []
    for k_film in (0.3, 0.4, 0.5):
        stack = PlanarStack((0.04, INF), (k_film, 1.05), (1.0e6, 2.1e6))
        ratios.append(layered_detection_rise(stack, EVEN) / layered_rise(stack, EVEN, [0.0])[0])
    assert np.round(ratios, 3).tolist() == [0.697, 0.702, 0.705]


# Finite volumes -------------------------------------------------------------------------------
def test_proof_4_half_space_steady_volumes(half_space_volumes: VolumeRise) -> None:
    r, z = np.array([0.0, 0.5, 1.0, 2.0, 10.0]), np.array([0.0, 0.3, 1.0, 5.0])
    np.testing.assert_allclose(
        half_space_volumes.at(r, [0.0])[:, 0], heat.half_space_radial_rise(r, 1.0, K, W0), rtol=1e-3
    )
    np.testing.assert_allclose(
        half_space_volumes.at([0.0], z)[0], heat.half_space_depth_rise(z, 1.0, K, W0), rtol=1e-3
    )


def test_proof_4_half_space_transient_volumes() -> None:
    grid = graded_grid(HALF_SPACE, SURFACE, refine=0.8)
    times = W0**2 / (8 * K / RHO_C * 1e12) * np.array([0.1, 1.0, 10.0, 100.0])
    found = step_volumes(HALF_SPACE, SURFACE, grid, times).at([0.0], [0.0])[:, 0, 0]
    exact = heat.half_space_step_rise(times, 1.0, K, RHO_C, W0)
    np.testing.assert_allclose(found, exact, rtol=1e-3)


def test_proof_4_film_on_substrate_two_solvers(film_volumes: VolumeRise) -> None:
    r, z = np.array([0.0, 0.5, 1.0, 2.0, 10.0, 100.0]), np.array([0.0, 0.02, 0.04, 0.5, 2.0, 20.0])
    np.testing.assert_allclose(film_volumes.at(r), layered_rise(FILM, EVEN, r), rtol=1e-3)
    np.testing.assert_allclose(film_volumes.at(r, z), layered_rise(FILM, EVEN, r, z), rtol=1e-3)
    assert float(film_volumes.detection(1.0)) == pytest.approx(
        float(layered_detection_rise(FILM, EVEN)), rel=1e-3
    )


def test_proof_4_film_on_substrate_two_solvers_in_time() -> None:
    times = np.array([2e-7, 1e-6, 1e-5])
    step = step_volumes(FILM, EVEN, graded_grid(FILM, EVEN), times)
    np.testing.assert_allclose(
        step.at([0.0, 1.0]), layered_rise(FILM, EVEN, [0.0, 1.0], None, times), rtol=1e-3
    )
    np.testing.assert_allclose(
        step.detection(1.0), layered_detection_rise(FILM, EVEN, None, times), rtol=1e-3
    )


def test_buried_layers_and_a_cold_back_two_solvers() -> None:
    stack = PlanarStack((0.5, 3.0, 20.0), (0.4, 1.05, 0.2), (1e6, 2.1e6, 1e6))
    beam = Beam(1.0, 15.0)
    r, z = np.array([0.0, 1.0, 5.0]), np.array([0.0, 0.25, 0.5, 2.0, 3.5, 10.0])
    volumes = steady_volumes(stack, beam, graded_grid(stack, beam))
    np.testing.assert_allclose(volumes.at(r, z), layered_rise(stack, beam, r, z), rtol=2e-3)


def test_proof_4_energy_balance(film_volumes: VolumeRise) -> None:
    assert float(film_volumes.outflow_uw) == pytest.approx(1.0, abs=1e-8)


def test_energy_balance_in_time() -> None:
    # an isothermal back of a small plate: what came in is stored or has left
    stack = PlanarStack((0.5, 2.0), (0.4, 1.0), (1e6, 2e6))
    grid = graded_grid(stack, EVEN, radius_um=20.0, refine=0.5)
    times = np.linspace(0.0, 2e-5, 81)
    step = step_volumes(stack, EVEN, grid, times, tolerance=1e-5)
    capacity = np.array([1e6, 2e6])[grid.layer, None] * grid.volume_um3 * 1e-12
    stored = (step.rise_k * capacity).sum((-2, -1))
    left = np.concatenate(
        [[0.0], np.cumsum(np.diff(times) * 0.5 * (step.outflow_uw[1:] + step.outflow_uw[:-1]))]
    )
    np.testing.assert_allclose(stored[1:] + left[1:], times[1:], rtol=2e-3)
    assert step.outflow_uw[-1] > 0.9


def test_the_volumes_converge_in_second_order() -> None:
    exact = float(layered_detection_rise(FILM, EVEN))
    errors = []
    for refine in (0.5, 1.0):
        volumes = steady_volumes(FILM, EVEN, graded_grid(FILM, EVEN, refine=refine))
        errors.append(abs(float(volumes.detection(1.0)) - exact))
    assert 3.0 < errors[0] / errors[1] < 5.0


def test_walls_of_a_finite_plate_cool_the_spot() -> None:
    # a cold hemisphere at R would take 1/(2π k R) away; a cylinder of R = H takes about as much
    size = 100.0
    beam = Beam(1.0, INF)
    plate = PlanarStack((size,), (K,), (RHO_C,))
    found = steady_volumes(plate, beam, graded_grid(plate, beam, radius_um=size)).at([0.0], [0.0])
    free = PlanarStack((INF,), (K,), (RHO_C,))
    unbounded = steady_volumes(free, beam, graded_grid(free, beam)).at([0.0], [0.0])
    lost = float(unbounded[0, 0] - found[0, 0]) * 2 * np.pi * K * size
    assert 0.8 < lost < 1.1


def test_conductivity_that_depends_on_temperature_follows_kirchhoff() -> None:
    # k = k0 (1 + b ΔT): θ = ΔT + b ΔT²/2 is the rise of the linear problem, anywhere
    b, power = 4e-3, 100.0
    beam = Beam(1.0, INF)
    half = PlanarStack((INF,), (K,), (RHO_C,))
    grid = graded_grid(half, beam, refine=0.5)
    linear = power * steady_volumes(half, beam, grid).rise_k
    curved = steady_volumes(
        half, beam, grid, power_uw=power, conductivity=[lambda t: K * (1 + b * t)]
    ).rise_k
    theta = curved + b * curved**2 / 2
    assert linear.max() > 30
    np.testing.assert_allclose(theta[:20, :40], linear[:20, :40], rtol=2e-3)
    assert np.max(linear - curved) > 1.0


def test_a_conductivity_that_fades_with_heat_runs_away() -> None:
    half = PlanarStack((INF,), (K,), (RHO_C,))
    beam = Beam(1.0, INF)
    grid = graded_grid(half, beam, refine=0.3)
    with pytest.raises(ValueError, match="runs away"):
        steady_volumes(
            half, beam, grid, power_uw=1e3, conductivity=[lambda t: K * np.exp(-0.1 * t)]
        )


def test_deposited_heat_is_complete() -> None:
    for beta in (0.0, 7.5, INF):
        beam = Beam(1.0, beta)
        heat_in = deposited(graded_grid(FILM, beam, refine=0.5), beam)
        assert heat_in.sum() == pytest.approx(1.0, abs=1e-12)


# Refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (((), (), ()), "as many"),
        (((1.0,), (1.0, 2.0), (1.0,)), "as many"),
        (((INF, 1.0), (1.0, 1.0), (1.0, 1.0)), "only the last"),
        (((1.0, INF), (1.0, float("nan")), (1.0, 1.0)), "NaN"),
        (((1.0, INF), (1.0, -1.0), (1.0, 1.0)), "positive"),
        (((float("nan"),), (1.0,), (1.0,)), "positive"),
    ],
)
def test_a_stack_that_cannot_be(columns: tuple[tuple[float, ...], ...], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PlanarStack(*columns)  # type: ignore[arg-type]


def test_arguments_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="spot radius"):
        Beam(0.0)
    with pytest.raises(ValueError, match="absorption"):
        Beam(1.0, float("nan"))
    with pytest.raises(ValueError, match="back is"):
        PlanarStack((1.0,), (1.0,), (1.0,), back="warm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outside the stack"):
        layered_rise(PlanarStack((1.0,), (1.0,), (1.0,)), EVEN, [0.0], [2.0])
    with pytest.raises(ValueError, match="not negative"):
        layered_rise(FILM, EVEN, [0.0], None, [-1.0])
    with pytest.raises(ValueError, match="no mean over its depth"):
        layered_rise(HALF_SPACE, SURFACE, [0.0])
    with pytest.raises(ValueError, match="evenly"):
        layered_rise(HALF_SPACE, EVEN, [0.0], [0.0])
    grid = graded_grid(FILM, EVEN, refine=0.3)
    with pytest.raises(ValueError, match="ascend"):
        step_volumes(FILM, EVEN, grid, [2.0, 1.0])
    closed = Grid(grid.r_faces_um, grid.z_faces_um, grid.layer, "insulated", "insulated")
    with pytest.raises(ValueError, match="no wall"):
        steady_volumes(FILM, EVEN, closed)
