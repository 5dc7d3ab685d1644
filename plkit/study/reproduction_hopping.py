"""Rows H30–H35 and C3: the hopping of ions, and what light tells of a film that has separated."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import xarray as xr

import plkit
from plkit.names import REPLICA, TIME, X, Y, Z
from plkit.physics import hopping
from plkit.physics.arrhenius import two_point_energy
from plkit.physics.calibration import get_calibration
from plkit.physics.constants import HC_EV_NM
from plkit.sim import (
    Emission,
    IodideEscape,
    IonHopping,
    IonLattice,
    LaserRise,
    simulate_emission,
    simulate_ion_hopping,
)
from plkit.study.reproduction import Row, compared, recovered

__all__ = ["hopping_rows"]

_STATED = (0.21, 0.10)
_SWAPPED = (0.10, 0.21)
_STEPS = 500
_WHERE = "A0 = 6 K, A = 0.027, α = 0.02/K, 500 steps of 150 sweeps"


def hopping_rows() -> Iterator[Row]:
    """Rows H30–H35 and C3."""
    yield from _lattice()
    yield from _barriers()
    yield from _published_rule()
    yield from _escape()
    yield from _reconstruction()
    yield from _swapped()
    yield from _cryo()


def _lattice() -> Iterator[Row]:
    lattice = IonLattice()
    vacancies, bromide, iodide = lattice.counts
    yield compared(
        "H30", "vacancies on 20 × 20 × 20 sites, V_sub/V_cell = 0.2³", "0.8 %", 0.8,
        100 * vacancies / lattice.sites, "%", within=0.005,
        reason=f"{vacancies} vacancies, {bromide} bromide, {iodide} iodide",
    )  # fmt: skip
    yield compared(
        "H30", "vacancies by the printed 1 − V_sub/V_cell", "0.8 %", 0.8, 100 * (1 - 0.2**3), "%",
        within=0.005, because="1 − 0.2³ is 99.2 %; the 0.8 % that the text uses is V_sub/V_cell itself",
    )  # fmt: skip


def _barriers() -> Iterator[Row]:
    """From the hops of one kind of ion at two temperatures."""
    kelvin = (293.15, 353.15)
    for ion, share, barrier in (("bromide", 0.0, 0.21), ("iodide", 0.992, 0.10)):
        hops = []
        for i, t in enumerate(kelvin):
            until = 4000.0 / float(hopping.hop_rate(t, barrier, 1e12))
            run = simulate_ion_hopping(
                IonLattice(iodide_fraction=share), IonHopping(ambient_k=t), [until], seed=30 + i
            )
            hops.append((float(run[f"hops_{ion}"][-1]), until))
        scatter = math.sqrt(sum(1 / n for n, _ in hops))
        found = two_point_energy(
            *(v for (n, until), t in zip(hops, kelvin, strict=True) for v in (until / n, t)),
            ln_time_stderr=scatter,
        )
        energy, sigma = found.energy, 0.5 * (found.upper - found.lower)
        yield recovered(
            "H31", f"barrier of {ion}", f"{barrier:.2f} eV", energy, sigma, barrier, "eV",
            reason=f"from {hops[0][0] + hops[1][0]:.3g} simulated hops at 293 and 353 K",
        )  # fmt: skip


def _model(
    barriers: tuple[float, float] = _STATED, attempts: float | None = None, escape: bool = True
) -> IonHopping:
    return IonHopping(
        *barriers,
        laser=LaserRise(6.0),
        escape=IodideEscape(attempts_per_s=attempts) if escape else None,
        rule="exact" if attempts else "published",
    )


def _published_rule() -> Iterator[Row]:
    run = simulate_ion_hopping(IonLattice(), _model(escape=False), [20.0], seed=32)
    exact = simulate_ion_hopping(IonLattice(), IonHopping(laser=LaserRise(6.0)), [2e-8], seed=32)
    last = run.isel({TIME: -1})
    hops = float(last["hops_bromide"] + last["hops_iodide"])
    tried = float(last["candidates"])
    end = exact.isel({TIME: -1})
    share = float(end["hops_bromide"] + end["hops_iodide"]) / float(end["candidates"])
    value = hops / tried
    # 0.2³ of the ions sit in a subcell; near a vacancy somewhat fewer, where it is warm a little more
    yield Row(
        "H32", "turns of a vacancy that end in a swap, published rule", "–", value,
        math.sqrt(value * (1 - value) / tried), "1",
        "agrees" if abs(value - 0.2**3) < 0.1 * 0.2**3 else "differs",
        "the printed ratio of sums is about the subcell's share 0.2³ = 0.008 of the ions, whatever the "
        "barrier: it slows all hops alike and sets no clock. The exact rule accepts each hop by its own "
        f"rate ({100 * share:.0f} % of the candidates) and gives seconds",
    )  # fmt: skip


def _escape() -> Iterator[Row]:
    """Ions that cannot hop, so that only escape empties the lattice."""
    lattice, attempts, until = IonLattice((16, 16, 16), 0.6, 0.001), 1e6, 1e-6
    laser, escape = LaserRise(6.0, waist=1.0), IodideEscape(attempts_per_s=attempts)
    run = simulate_ion_hopping(
        lattice, IonHopping(1.0, 1.0, laser=laser, escape=escape), [until], seed=33, replicas=64
    )
    from plkit.sim.hopping.field import axis_distance

    rise = hopping.published_rise(axis_distance(lattice), 16.0, laser.peak_k)
    truth = float(hopping.escape_share(rise, escape.amplitude, escape.alpha_per_k).mean())
    left = float(run["escapes"].sum())
    tries = float(run["n_iodide"].sum() + left) * attempts * until
    yield recovered(
        "H33", "probability that an iodide escapes, mean over a warm lattice",
        "A (1 − exp(−α (T − T0)))", left / tries, math.sqrt(left) / tries, truth, "1",
        reason=f"{left:.0f} escapes; A0 = 6 K, A = {escape.amplitude}, α = {escape.alpha_per_k}/K, "
        "which the paper does not print",
    )  # fmt: skip


def _ends(
    model: IonHopping, times: list[float], replicas: int = 4
) -> tuple[float, float, float, float]:
    """Gap at the start and at the last time, each with the σ of its mean [eV]."""
    gap = simulate_ion_hopping(IonLattice(), model, times, seed=34, replicas=replicas)["local_gap"]
    mean = gap.mean(REPLICA).values
    sigma = gap.std(REPLICA, ddof=1).values / math.sqrt(replicas)
    return float(mean[0]), float(sigma[0]), float(mean[-1]), float(sigma[-1])


def _reconstruction() -> Iterator[Row]:
    yield compared(
        "H34", "local gap at the start, x = 0.36", "2.27 eV", 2.27,
        float(hopping.mixed_halide_gap(0.36)), "eV", within=0.005,
        because="2.46 − 1.78 x² + 1.16 x³ at the stated fractions gives 2.283 eV; one lattice of this "
        "size scatters by 0.016 eV about it",
    )  # fmt: skip
    _, _, still, _ = _ends(_model(escape=False), [0.0, _STEPS])
    start, _, end, sigma = _ends(_model(), [0.0, _STEPS])
    yield recovered(
        "H34", "local gap after 500 steps, published rule", "2.45 eV", end, sigma, 2.45, "eV",
        reason=f"from {start:.3f} eV, 4 lattices; {_WHERE}: A0, A, α and the sweeps are not printed. "
        f"Without escape it stays at {still:.3f} eV: hops alone enrich nothing",
    )  # fmt: skip
    start, _, end, sigma = _ends(_model(attempts=1e10), [0.0, 3e-7], replicas=2)
    yield Row(
        "H34", "the same barriers, exact rule", "2.45 eV", end, sigma, "eV", "differs",
        f"from {start:.3f} eV after 3e-7 s, every iodide trying to escape 1e10 times a second on its own: "
        "vacancies that iodide leaves are filled by iodide, which is the faster ion; the published rule "
        "instead lets those ions escape that vacancies choose, and vacancies choose iodide",
    )  # fmt: skip


def _swapped() -> Iterator[Row]:
    start, s0, end, s1 = _ends(_model(_SWAPPED), [0.0, _STEPS])
    rise, sigma = end - start, math.hypot(s0, s1)
    yield Row(
        "H35", "rise of the gap with swapped barriers, published rule", "no reconstruction", rise,
        sigma, "eV", "agrees" if rise < 0.03 else "differs",
        f"ends at {end:.3f} eV: vacancies choose bromide, and nothing escapes; {_WHERE}",
    )  # fmt: skip
    start, _, end, sigma = _ends(_model(_SWAPPED, 1e10), [0.0, 3e-7], replicas=2)
    yield Row(
        "H35", "gap with swapped barriers, exact rule", "no reconstruction", end, sigma, "eV",
        "agrees" if end - start < 0.03 else "differs",
        f"from {start:.3f} eV after 3e-7 s: with escape of its own, bromide, now the faster ion, fills "
        "what iodide leaves, and the gap opens. The counter-test is a property of the rule",
    )  # fmt: skip


# C3 -----------------------------------------------------------------------------------------------------


def _cryo() -> Iterator[Row]:
    bulk = get_calibration("literature")
    yield compared(
        "C3", "I/Cs 1.19 as a PL peak, without funnelling", "about 605 nm", 605.0,
        HC_EV_NM / float(bulk.energy(1.19)), "nm", within=13.0,
        reason="quadratic through 15 literature gaps of films; its scatter of 43 meV is 13 nm here. The "
        "calibration of the nanocrystals of H3 would give 562 nm",
    )  # fmt: skip
    # What was pristine (0.88) and pockets of the composition that emits at 651 nm, with a mean of 1.19.
    rich = float(bulk.x_iodine(HC_EV_NM / 651.0))
    share = (1.19 - 0.88) / (rich - 0.88)
    peaks = {length: _peak_nm(share, rich, length) for length in (0.0, 50.0)}
    yield Row(
        "C3", "PL peak of a film of mean I/Cs 1.19, L_D = 50 nm", "651 nm", *peaks[50.0], "nm",
        "recovered" if abs(peaks[50.0][0] - 651.0) < 5.0 else "differs",
        f"simulated: pockets of 20 nm with I/Cs {rich:.2f} fill {100 * share:.0f} % of a film of 0.88 and "
        f"emit nearly all light; without diffusion the peak is at {peaks[0.0][0]:.0f} nm. The composition "
        "of the pockets is what 651 nm asks for, not measured",
    )  # fmt: skip


def _peak_nm(share: float, rich: float, length: float) -> tuple[float, float]:
    from plkit.physics.funnelling import two_phase_gaps

    x = two_phase_gaps(share, 4.0, 24, (rich, 0.88), 3)
    um = np.arange(24) * 0.005
    film = xr.DataArray(x, dict.fromkeys((Z, Y, X), um), (Z, Y, X))
    emission = Emission(length, coarse_graining_nm=0.0, calibration="literature")
    peak = plkit.fit_peaks(simulate_emission(film, emission, photons=1e6), method="parabola")
    return float(peak["peak_wavelength"]), float(peak["peak_wavelength_stderr"])
