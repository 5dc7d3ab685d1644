"""Hopping of ions: every proof of an exact walk, the published rule, continuation, refusals."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import plkit
from plkit.errors import DataError, PlkitWarning
from plkit.physics import hopping
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.sim import (
    CarrierEnergy,
    IodideEscape,
    IonHopping,
    IonLattice,
    LaserRise,
    simulate_ion_hopping,
)
from plkit.sim.hopping.field import axis_distance, field_of
from plkit.sim.hopping.state import first_state, state_of
from plkit.sim.hopping.walk import Walk, gap_classes

SPACING = 0.407
ONE_RATE = {"bromide_barrier_ev": 0.0, "iodide_barrier_ev": 0.0, "attempt_rate_per_s": 1.0}
"""Every ion hops at one per second."""


def ions_of_one_kind(side: int, vacancies: int, **how) -> IonLattice:
    share = vacancies / side**3
    return IonLattice((side,) * 3, 1.0 - share, share, **how)


def walk_of(lattice: IonLattice, model: IonHopping):
    walk = Walk(model, lattice, field_of(model, lattice), threading.Event())
    escape = model.escape is not None
    state = first_state(lattice, 7, escape=escape, follow=False)
    walk.start(state)
    return walk, state


# Proofs ---------------------------------------------------------------------------------------------

EVERY_WALK = {
    "blocks": IonHopping(laser=LaserRise(20.0)),
    "one by one": IonHopping(laser=LaserRise(20.0, rate_per_s=1e8)),
    "classes": IonHopping(laser=LaserRise(20.0), selection="classes"),
    "moving classes": IonHopping(laser=LaserRise(20.0, rate_per_s=1e8), selection="classes"),
    "bonds": IonHopping(laser=LaserRise(20.0), temperature_at="bond"),
    "carriers": IonHopping(laser=LaserRise(20.0), carriers=CarrierEnergy()),
    "published": IonHopping(laser=LaserRise(20.0), rule="published"),
}


@pytest.mark.parametrize("boundary", ["periodic", "closed"])
@pytest.mark.parametrize("name", EVERY_WALK)
def test_proof_8_species_are_conserved_and_the_books_agree(name: str, boundary: str) -> None:
    model = EVERY_WALK[name]
    times = [0.0, 5.0, 10.0] if name == "published" else [0.0, 1e-8, 2e-8]
    run = simulate_ion_hopping(IonLattice((10, 12, 14), boundary=boundary), model, times, seed=3)
    counts = [np.bincount(s.values.ravel(), minlength=3).tolist() for s in run.species]
    assert counts[0] == counts[1] == counts[2] == [13, 1076, 591]
    assert run.n_iodide.values.tolist() == [591] * 3
    assert int(run.hops_iodide[-1]) > int(run.hops_iodide[0])
    assert np.count_nonzero(run.species[0] != run.species[-1]) > 10
    assert int(run.bound_breaches[-1]) == 0
    # every vacancy stands at an empty site
    empty = np.flatnonzero(run.species[-1].values.ravel() == 0)
    assert np.array_equal(np.sort(run.vacancy_place.values), empty)
    for ring in ("radial_vacancy", "radial_bromide", "radial_iodide"):
        assert float(run[ring].min()) >= 0
    total = run.radial_vacancy + run.radial_bromide + run.radial_iodide
    np.testing.assert_allclose(total, 1.0)


def test_proof_8_no_ion_passes_a_closed_wall() -> None:
    lattice = IonLattice((4, 4, 40), boundary=("periodic", "periodic", "closed"))
    for name in ("blocks", "one by one", "classes", "moving classes"):
        run = simulate_ion_hopping(lattice, EVERY_WALK[name], [1e-6], seed=1)
        turns = run.vacancy_images.values
        assert np.all(turns[:, 2] == 0), name
        assert np.any(turns[:, :2] != 0), name


def test_proof_8_tracer_correlation_of_one_vacancy() -> None:
    """40 runs of 200 jumps per site on 20³: 0.6531 within three σ of the mean and 0.003."""
    model = IonHopping(**ONE_RATE, follow_ions=True)
    run = simulate_ion_hopping(
        ions_of_one_kind(20, 1), model, [200 * 8000 / 6], seed=5, replicas=40
    )
    jumps_per_ion = run.hops_iodide.values[:, 0] / 7999
    factor = run.msd_iodide.values[:, 0] / SPACING**2 / jumps_per_ion
    sigma = factor.std(ddof=1) / np.sqrt(factor.size)
    assert sigma < 0.0015
    assert abs(factor.mean() - hopping.TRACER_CORRELATION) < 0.003


def test_proof_8_vacancy_diffusion_is_the_closed_form() -> None:
    model = IonHopping(**ONE_RATE)
    run = simulate_ion_hopping(ions_of_one_kind(60, 300), model, [20.0], seed=11, replicas=16)
    measured = run.msd_vacancy.values[:, 0] / (6.0 * 20.0)
    sigma = measured.std(ddof=1) / 4.0
    exact = float(hopping.vacancy_diffusion(1.0, SPACING))
    assert sigma < 0.02 * exact
    assert abs(measured.mean() - exact) < 3.5 * sigma


def test_proof_8_ion_diffusion_is_the_closed_form() -> None:
    model = IonHopping(**ONE_RATE, follow_ions=True)
    run = simulate_ion_hopping(ions_of_one_kind(30, 54), model, [2e4], seed=2, replicas=6)
    measured = run.msd_iodide.values[:, 0] / (6.0 * 2e4)
    exact = float(hopping.tracer_diffusion(1.0, SPACING, 54 / 27000))
    # few vacancies, but not one: the correlation factor grows by about their share
    assert abs(measured.mean() / exact - 1.0) < 0.02


@pytest.mark.parametrize("selection", ["uniform", "classes"])
def test_proof_8_equal_barriers_leave_no_preferred_site(selection: str) -> None:
    model = IonHopping(**ONE_RATE, selection=selection)
    run = simulate_ion_hopping(
        ions_of_one_kind(8, 8), model, np.arange(1, 401) * 25.0, seed=4, replicas=2
    )
    found = (run.species == 0).sum(("replica", "time")).values.ravel()
    expected = 2 * 400 * 8 / 512
    # at most one vacancy per site and snapshot: the variance is that much below Poisson's
    chisqr = ((found - expected) ** 2).sum() / (expected * (1 - 8 / 512))
    assert 1e-4 < stats.chi2.sf(chisqr, 511) < 1 - 1e-4


@pytest.mark.parametrize("name", ["one by one", "classes"])
def test_proof_8_waiting_times_are_exponential(name: str) -> None:
    """One vacancy among six ions that hop once a second: mean 1/6 s, and the right shape."""
    model = IonHopping(
        **ONE_RATE, selection="classes" if name == "classes" else "uniform",
        laser=None if name == "classes" else LaserRise(1.0, rate_per_s=1.0),
    )  # fmt: skip
    walk, state = walk_of(ions_of_one_kind(6, 1), model)
    waits = []
    move = walk._mover(state)
    # one candidate per call, all of which are accepted
    for _ in range(3000):
        before = float(state.clock[0])
        _one_candidate(walk, state, move)
        waits.append(float(state.clock[0]) - before)
    assert int(state.events[1]) == 3000
    assert stats.kstest(waits, stats.expon(scale=1 / 6).cdf).pvalue > 1e-3
    assert abs(np.mean(waits) * 6 - 1) < 4 / np.sqrt(3000)


def _one_candidate(walk, state, move) -> None:
    import plkit.sim.hopping.walk as module

    kept = module._CHUNK
    module._CHUNK = 1
    try:
        walk._mover(state)(1e30)
    finally:
        module._CHUNK = kept


def test_proof_8_hops_in_a_time_are_poisson() -> None:
    """The walk in blocks, which draws many waiting times together, between snapshots of any spacing."""
    times = np.cumsum(np.tile([0.1, 0.3, 2.0], 600))
    run = simulate_ion_hopping(ions_of_one_kind(6, 1), IonHopping(**ONE_RATE), times, seed=8)
    hops = np.diff(run.hops_iodide.values, prepend=0)
    for i, spacing in enumerate((0.1, 0.3, 2.0)):
        found = hops[i::3]
        mean = 6 * spacing
        assert abs(found.mean() - mean) < 4 * np.sqrt(mean / found.size)
        zero = np.exp(-mean)
        assert abs((found == 0).mean() - zero) < 4 * np.sqrt(zero * (1 - zero) / found.size)
        assert abs(found.var() / mean - 1) < 0.25


def test_proof_8_detailed_balance_in_a_warm_well() -> None:
    """T at the ion: a site is empty in proportion to the rate there; T at the bond: all alike."""
    lattice = IonLattice((6, 12, 12), 0.99, 0.01)
    many = np.arange(1, 301) * 2e-10
    for where in ("ion", "bond"):
        for selection in ("uniform", "classes"):
            model = IonHopping(
                laser=LaserRise(150.0, waist=0.5), temperature_at=where, selection=selection
            )
            run = simulate_ion_hopping(lattice, model, many, seed=6, replicas=2)
            later = run.isel({"time": slice(20, None)})
            empty = (later.species == 0).mean(("replica", "time", "z")).values
            kelvin = 293.15 + hopping.published_rise(axis_distance(lattice), 6.0, 150.0)
            odds = hopping.hop_rate(kelvin, 0.10, 1.0) if where == "ion" else np.ones((12, 12))
            inside = axis_distance(lattice) < 3.0
            expected = odds[inside].mean() / odds[~inside].mean()
            measured = empty[inside].mean() / empty[~inside].mean()
            assert abs(measured / expected - 1) < 0.06, (where, selection)


def test_proof_8_both_selections_agree_in_time_to_a_thousandth() -> None:
    times = {}
    for selection in ("uniform", "classes"):
        # 1 : 0.35; where bromide is slow the lattice is nearly frozen, and its own scatter larger
        model = IonHopping(0.1265, 0.10, selection=selection)
        run = simulate_ion_hopping(IonLattice((40, 40, 40)), model, [2.5e-7], seed=9, replicas=2)
        hops = (run.hops_iodide + run.hops_bromide).isel({"time": -1}).sum()
        times[selection] = 1.0 / float(hops)
    assert abs(times["uniform"] / times["classes"] - 1) < 1e-3


def test_proof_8_moving_field_ends_like_the_frozen_one() -> None:
    """Long after switching on the rates are those of the steady field."""
    lattice, barriers, times = IonLattice((30, 30, 30)), (0.1265, 0.10), [1e-8, 6e-8]

    def hops(**how) -> float:
        run = simulate_ion_hopping(lattice, IonHopping(*barriers, **how), times, seed=1, replicas=2)
        return float((run.hops_iodide[:, 1] - run.hops_iodide[:, 0]).sum())

    steady = hops(laser=LaserRise(60.0, 1.0))
    for selection in ("uniform", "classes"):
        moving = hops(laser=LaserRise(60.0, 1.0, rate_per_s=1e10), selection=selection)
        assert abs(moving / steady - 1) < 0.005
    assert steady > 1.2 * hops()


# Carriers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "density"), [(20, 1.7e18), (20, 1.7e20), (12, 1.7e20)])
def test_proof_8_free_energy_at_frozen_potential_is_the_solved_one(
    side: int, density: float
) -> None:
    from plkit.physics import hopping_kernels as kernels

    lattice = IonLattice((side,) * 3)
    carriers = CarrierEnergy(density)
    walk, state = walk_of(lattice, IonHopping(carriers=carriers))
    classes, population = np.zeros(lattice.sites, np.int16), np.zeros(784, np.int64)
    kernels.count_cubes(state.species, classes, population, walk.grid, walk.steps)
    gaps, kt = gap_classes(), BOLTZMANN_EV_K * 293.15
    wanted = carriers.count(lattice.sites, SPACING)
    mu = hopping.carrier_potential(gaps[classes], wanted, kt)
    n = 1.0 / (1.0 + np.exp((gaps - mu) / kt))
    tables = np.array([-kt * np.logaddexp(0, (mu - gaps) / kt), n, n * (1 - n) / kt])
    slope = float((tables[2] * population).sum())
    start = hopping.carrier_free_energy(gaps[classes], wanted, kt)
    rng = np.random.default_rng(0)
    fast, solved = [], []
    cube = state.species.reshape(lattice.shape)
    while len(fast) < 60:
        place, d = int(state.vacancies[rng.integers(state.number[0])]), int(rng.integers(6))
        here = kernels.unpack_places(place)
        there = here.copy()
        there[d >> 1] = (there[d >> 1] + 2 * (d & 1) - 1) % side
        ion = int(cube[tuple(there)])
        if ion == 0:
            continue
        cost, _, _ = kernels.hop_free_energy(place, d, ion, 0.0, slope, walk.steps, classes, tables)
        after = cube.copy()
        after[tuple(here)], after[tuple(there)] = ion, 0
        new = np.zeros_like(classes)
        kernels.count_cubes(after.ravel(), new, np.zeros(784, np.int64), walk.grid, walk.steps)
        fast.append(cost)
        solved.append(hopping.carrier_free_energy(gaps[new], wanted, kt) - start)
    assert np.std(solved) > 1e-3 * kt
    assert np.sqrt(np.mean((np.array(fast) - solved) ** 2)) < 0.01 * np.std(solved)


def test_proof_8_carriers_weight_states_by_their_free_energy() -> None:
    """Two vacancies among few ions of two kinds: visits to every state against exp(−F/kT)."""
    lattice = IonLattice((4, 4, 4), 0.3, 0.02)
    kt_k = 293.15
    model = IonHopping(
        bromide_barrier_ev=0.1, iodide_barrier_ev=0.1, attempt_rate_per_s=1e12,
        carriers=CarrierEnergy(2.3e20),
    )  # fmt: skip
    times = np.arange(1, 501) * 2e-9
    run = simulate_ion_hopping(lattice, model, times, seed=3)
    flat = simulate_ion_hopping(
        lattice, IonHopping(bromide_barrier_ev=0.1, iodide_barrier_ev=0.1), times, seed=3
    )
    kt = BOLTZMANN_EV_K * kt_k
    wanted = model.carriers.count(64, SPACING)
    driven = _free_energies(run, lattice, model, wanted, kt)
    free = _free_energies(flat, lattice, model, wanted, kt)
    # The mean over the driven walk is the mean over the free one, weighted with exp(−F/kT).
    weight = np.exp(-(free - free.min()) / kt)
    expected = (weight * free).sum() / weight.sum()
    spread = np.sqrt((weight**2).sum()) / weight.sum() * free.std()
    assert free.mean() - driven.mean() > 5 * free.std() / np.sqrt(free.size)
    assert abs(driven.mean() - expected) < 4 * (spread + driven.std() / np.sqrt(100))


def _free_energies(run, lattice, model, wanted: float, kt: float) -> np.ndarray:
    from plkit.physics import hopping_kernels as kernels

    walk, _ = walk_of(lattice, model)
    gaps, out = gap_classes(), []
    for species in run.species.values:
        classes, population = np.zeros(lattice.sites, np.int16), np.zeros(784, np.int64)
        kernels.count_cubes(species.ravel(), classes, population, walk.grid, walk.steps)
        out.append(hopping.carrier_free_energy(gaps[classes], wanted, kt))
    return np.array(out)


def test_chemical_potential_and_free_energy_agree_with_their_definition() -> None:
    gaps = np.random.default_rng(1).uniform(1.9, 2.3, 500)
    mu = hopping.carrier_potential(gaps, 3.0, 0.025)
    assert abs((1 / (1 + np.exp((gaps - mu) / 0.025))).sum() - 3.0) < 1e-9
    # dF/dN = µ
    slope = hopping.carrier_free_energy(gaps, 3.001, 0.025)
    slope -= hopping.carrier_free_energy(gaps, 2.999, 0.025)
    assert abs(slope / 0.002 - mu) < 1e-6


# The published rule -------------------------------------------------------------------------------------


def published(swapped: bool = False, escape: bool = True) -> IonHopping:
    barriers = (0.10, 0.21) if swapped else (0.21, 0.10)
    return IonHopping(
        *barriers, laser=LaserRise(6.0), escape=IodideEscape() if escape else None, rule="published"
    )


def test_proof_8_published_rule_opens_the_gap_of_the_column() -> None:
    run = simulate_ion_hopping(IonLattice(), published(), [0, 500], seed=1, replicas=2)
    gap = run.local_gap.mean("replica").values
    assert abs(gap[0] - 2.283) < 0.03  # 320 sites: 0.016 eV from one lattice to the next
    assert abs(gap[1] - 2.45) < 0.02
    # what is lost in the middle turns up around it
    iodide = run.radial_iodide.isel({"time": -1}).mean("replica").values
    assert iodide[0] < 0.03
    assert run.n_bromide.values.min() == run.n_bromide.values.max()
    bromide = run.radial_bromide.mean("replica").values
    assert bromide[1, :4].mean() > bromide[0, :4].mean() + 0.15


def test_proof_8_published_rule_with_swapped_barriers_changes_little() -> None:
    run = simulate_ion_hopping(IonLattice(), published(swapped=True), [0, 500], seed=1, replicas=4)
    change = (run.local_gap[:, 1] - run.local_gap[:, 0]).values
    assert abs(change.mean()) < 0.03


def test_proof_8_published_rule_without_escape_changes_nothing() -> None:
    run = simulate_ion_hopping(IonLattice(), published(escape=False), [0, 500], seed=1, replicas=4)
    change = (run.local_gap[:, 1] - run.local_gap[:, 0]).values
    assert abs(change.mean()) < 0.03


def test_proof_8_exact_rule_gives_something_else() -> None:
    """With independent escape the stated barriers open the gap little, the swapped ones a lot."""
    ends = {}
    for barriers in ((0.21, 0.10), (0.10, 0.21)):
        model = IonHopping(
            *barriers, laser=LaserRise(6.0), escape=IodideEscape(attempts_per_s=1e10)
        )
        run = simulate_ion_hopping(IonLattice(), model, [0.0, 3e-7], seed=1, replicas=2)
        ends[barriers] = float((run.local_gap[:, 1] - run.local_gap[:, 0]).mean())
    assert ends[0.21, 0.10] < 0.06
    assert ends[0.10, 0.21] > ends[0.21, 0.10] + 0.05


def test_escape_goes_with_its_rate() -> None:
    """Only the axis of a hot film: iodide that cannot hop is left alone but for its escape."""
    escape = IodideEscape(0.5, 0.02, attempts_per_s=1e6)
    lattice = IonLattice((16, 16, 16), 0.6, 0.001)
    share = hopping.escape_share(
        hopping.published_rise(axis_distance(lattice), 16.0, 30.0), 0.5, 0.02
    )
    expected = 1e6 * share.mean() * 1e-7
    for how in ({}, {"selection": "classes"}):
        model = IonHopping(0.8, 0.8, laser=LaserRise(30.0, waist=1.0), escape=escape, **how)
        run = simulate_ion_hopping(lattice, model, [1e-7], seed=2, replicas=8)
        left = float(run.escapes.mean()) / (0.6 * 4096)
        assert abs(left / expected - 1) < 4 / np.sqrt(8 * 0.6 * 4096 * expected)
        assert np.array_equal(run.n_vacancies, 4 + run.escapes)


# Heating by a dataset ---------------------------------------------------------------------------------


def test_heating_of_the_film_is_mapped_onto_the_lattice() -> None:
    film = plkit.Film(40.0, 0.4, absorptance=0.25)
    heat = plkit.simulate_heating(plkit.LaserSpot(1.0), film, power_uw=[100.0])
    lattice = IonLattice((4, 40, 40))
    field = field_of(IonHopping(laser=heat), lattice)
    rise = np.broadcast_to(field.at(0.0), (4, 40, 40))
    spot = float(heat.temperature.isel(power=0, z=0).interp(r=0.0)) - 293.15
    assert abs(rise[0, 20, 20] - spot) < 0.05 * spot
    # 0.1 of the width is one spot radius: the corner of the lattice is seven away
    far = float(heat.temperature.isel(power=0, z=0).interp(r=6.9)) - 293.15
    assert abs(rise[0, 0, 0] - far) < 0.05 * spot
    assert field.frozen
    timed = plkit.simulate_heating(
        plkit.LaserSpot(1.0), film, power_uw=[100.0], times_s=[0.0, 1e-7, 1e-6, 1e-5]
    )
    moving = field_of(IonHopping(laser=timed), lattice)
    assert moving.at(0.0).max() == pytest.approx(0.0, abs=1e-9)
    assert moving.at(5e-8).max() == pytest.approx(0.5 * moving.at(1e-7).max())
    run = simulate_ion_hopping(lattice, IonHopping(laser=timed), [1e-8], seed=1)
    assert int(run.hops_iodide[0]) > 1000
    with pytest.raises(DataError, match="2 powers, not one"):
        field_of(
            IonHopping(
                laser=plkit.simulate_heating(plkit.LaserSpot(1.0), film, power_uw=[1.0, 2.0])
            ),
            lattice,
        )
    with pytest.raises(DataError, match="no temperature of a laser"):
        field_of(IonHopping(laser=heat.drop_vars("temperature")), lattice)
    with pytest.raises(DataError, match="does not hold"):
        simulate_ion_hopping(run, times_s=[1e-6])


# Continuation, replicas -------------------------------------------------------------------------------

CONTINUED = {
    **EVERY_WALK,
    "escape": IonHopping(laser=LaserRise(30.0), escape=IodideEscape(1.0, 0.1, attempts_per_s=1e9)),
    "followed": IonHopping(follow_ions=True),
}


@pytest.mark.parametrize("name", CONTINUED)
def test_continued_run_is_the_run_that_was_not_stopped(name: str, tmp_path) -> None:
    model = CONTINUED[name]
    times = np.array([0.0, 4.0, 8.0, 12.0]) * (1.0 if name == "published" else 1e-9)
    lattice = IonLattice((8, 10, 12))
    whole = simulate_ion_hopping(lattice, model, times, seed=3, replicas=2)
    simulate_ion_hopping(lattice, model, times[:2], seed=3, replicas=2).to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc", decode_timedelta=False) as kept:
        rest = simulate_ion_hopping(kept.load(), times_s=times[2:])
    for variable in whole.data_vars:
        expected = whole[variable]
        if "time" in expected.dims:
            expected = expected.isel({"time": slice(2, None)})
        np.testing.assert_array_equal(expected.values, rest[variable].values, str(variable))


def test_light_can_be_switched_off_on_continuation() -> None:
    lit = simulate_ion_hopping(IonLattice((8, 8, 8)), IonHopping(laser=LaserRise(50.0)), [1e-9])
    dark = simulate_ion_hopping(lit, IonHopping(), [2e-9])
    assert IonHopping.from_json(dark.attrs["model"]).laser is None
    assert int(dark.candidates[-1]) > int(lit.candidates[-1])


def test_replicas_are_those_of_their_seeds_whatever_the_threads() -> None:
    lattice, model = IonLattice((8, 8, 8)), IonHopping()
    many = simulate_ion_hopping(lattice, model, [1e-9], seed=40, replicas=3, workers=2)
    assert many.replica_seed.values.tolist() == [40, 41, 42]
    one = simulate_ion_hopping(lattice, model, [1e-9], seed=41)
    assert np.array_equal(many.species.isel(replica=1), one.species)
    assert not np.array_equal(many.species.isel(replica=0), one.species)


def test_acceptance_decides_how_hops_are_found() -> None:
    common = simulate_ion_hopping(IonLattice((10, 10, 10)), IonHopping(), [1e-9])
    assert int(common.by_classes) == 0
    rare = IonLattice((10, 10, 10), iodide_fraction=0.005)
    assert int(simulate_ion_hopping(rare, IonHopping(), [1e-9]).by_classes) == 1
    forced = IonHopping(selection="uniform")
    assert int(simulate_ion_hopping(rare, forced, [1e-9]).by_classes) == 0


def test_lattice_is_filled_at_random() -> None:
    many = simulate_ion_hopping(IonLattice((6, 6, 6)), replicas=400, seed=1)
    share = (many.species == 2).mean("replica").values.ravel()
    sigma = np.sqrt(0.352 * 0.648 / 400)
    assert abs(share.std() / sigma - 1) < 0.2
    assert abs(share - 0.352).max() < 5 * sigma


def test_snapshot_says_what_its_numbers_mean(tmp_path) -> None:
    run = simulate_ion_hopping(IonLattice((6, 8, 10)), IonHopping(), [0.0, 1e-9], seed=1)
    assert run.species.dtype == np.int8
    assert run.species.attrs["flag_meanings"] == "vacancy bromide iodide"
    assert run.x.attrs["units"] == "um"
    assert float(run.x[0]) == pytest.approx(-4.5 * 0.407e-3)
    assert float(run.msd_vacancy[0]) == 0.0
    assert run.msd_vacancy.attrs["units"] == "nm^2"
    run.to_netcdf(tmp_path / "run.nc")


def test_empty_and_full_lattices_stand_still() -> None:
    full = simulate_ion_hopping(IonLattice((4, 4, 4), 0.4, 0.0), IonHopping(), [1.0])
    assert int(full.hops_iodide[-1]) == 0
    # Nothing but vacancies: nobody to exchange with. Classes find no rate; time still passes.
    none = simulate_ion_hopping(IonLattice((3, 3, 3), 0.0, 1.0), IonHopping(), [1e-9])
    assert int(none.n_vacancies[-1]) == 27


# Refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: IonLattice((1, 5, 5)), "'shape' is"),
        (lambda: IonLattice((4, 4)), "'shape' is"),
        (lambda: IonLattice(iodide_fraction=1.0), "at most 1"),
        (lambda: IonLattice(vacancy_fraction=float("nan")), "from 0 to 1"),
        (lambda: IonLattice(boundary="open"), "'periodic' or 'closed'"),
        (lambda: IonHopping(iodide_barrier_ev=-0.1), ">= 0"),
        (lambda: IonHopping(ambient_k=0.0), "> 0"),
        (lambda: IonHopping(rule="quick"), "'exact' or 'published'"),
        (lambda: IonHopping(laser=6.0), "a LaserRise or a Dataset"),
        (lambda: IonHopping(rule="published", carriers=CarrierEnergy()), "knows no energy"),
        (lambda: IonHopping(rule="published", temperature_at="bond"), "'ion'"),
        (lambda: IonHopping(escape=IodideEscape()), "which the exact rule needs"),
        (lambda: CarrierEnergy(renewal=0.5), "at most 0.1"),
        (lambda: LaserRise(-1.0), ">= 0"),
        (lambda: IodideEscape(amplitude=2.0), "from 0 to 1"),
    ],
)
def test_what_makes_no_model_is_refused(call, text: str) -> None:
    with pytest.raises(DataError, match=text):
        call()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"times_s": []}, "not a list of numbers"),
        ({"times_s": [float("nan")]}, "not a list of numbers"),
        ({"times_s": [1e-9, 0.0]}, "not ascending"),
        ({"times_s": [-1.0]}, "not ascending"),
        ({"model": IonHopping(rule="published"), "times_s": [0.5]}, "whole numbers of steps"),
        ({"replicas": 0}, "'replicas' is 0"),
        ({"seed": -1}, "'seed' is -1"),
        ({"lattice": xr.Dataset()}, "no result of simulate_ion_hopping"),
        ({"lattice": 20}, "was given a int"),
        ({"model": IonHopping(carriers=CarrierEnergy(1e23))}, "Lower density_per_cm3"),
        (
            {"lattice": IonLattice((3, 8, 8)), "model": IonHopping(carriers=CarrierEnergy())},
            "not at least 4",
        ),
    ],
)
def test_what_makes_no_run_is_refused(arguments, text: str) -> None:
    with pytest.raises(DataError, match=text):
        simulate_ion_hopping(**({"lattice": IonLattice((4, 4, 4))} | arguments))


def test_what_cannot_be_continued_is_refused() -> None:
    run = simulate_ion_hopping(IonLattice((6, 6, 6)), IonHopping(), [1e-9, 2e-8])
    with pytest.raises(DataError, match="not after the last snapshot"):
        simulate_ion_hopping(run, times_s=[1e-9])
    with pytest.raises(DataError, match="do not cut a result along time"):
        simulate_ion_hopping(run.isel(time=[0]), times_s=[1e-6])
    with pytest.raises(DataError, match="lacks rng_state"):
        simulate_ion_hopping(run.drop_vars("rng_state"), times_s=[1e-6])


def test_a_breach_of_the_bound_is_told(monkeypatch) -> None:
    import plkit.sim.hopping.walk as module

    monkeypatch.setattr(module, "largest_gap_step", lambda gaps, fewest: 0.0)
    model = IonHopping(carriers=CarrierEnergy(1.7e18))
    with pytest.warns(PlkitWarning, match="above the bound"):
        simulate_ion_hopping(IonLattice((10, 10, 10)), model, [1e-8], seed=1)


def test_state_survives_its_dataset() -> None:
    lattice = IonLattice((6, 6, 6))
    run = simulate_ion_hopping(lattice, IonHopping(), [1e-9], seed=1)
    state = state_of(run, lattice, escape=False, follow=False)
    assert state.species.dtype == np.int8
    assert int(state.events[3]) == int(run.candidates[-1])
