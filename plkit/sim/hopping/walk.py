"""One replica moved on in time: which compiled walk, with what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.physics.hopping import escape_share, hop_rate, mixed_halide_gap
from plkit.sim.hopping.field import Field
from plkit.sim.hopping.model import CarrierEnergy, IonHopping, IonLattice
from plkit.sim.hopping.state import State

__all__ = ["ACCEPTANCE", "Walk"]

Array = NDArray[Any]

ACCEPTANCE: Final = 0.08
"""Share of accepted candidates below which classes of rates are faster than one bound for all."""

_SLACK: Final = 3
_CHUNK: Final = 4_000_000
_PILOT: Final = 200_000


class Walk:
    """The tables of one model on one lattice, shared by all replicas.

    Parameters
    ----------
    model : IonHopping
        Rates, rule.
    lattice : IonLattice
        Geometry.
    field : Field
        Temperature.
    stopped : threading.Event
        Set by somebody who wants all replicas to stop.
    """

    def __init__(
        self, model: IonHopping, lattice: IonLattice, field: Field, stopped: threading.Event
    ) -> None:
        self.model, self.lattice, self.field, self.stopped = model, lattice, field, stopped
        self.grid, self.steps = _geometry(lattice, field, model.temperature_at)
        self.table, self.bound = field.table(model)
        self.cumulative = field.escape_rates(model, lattice)
        self.gaps = gap_classes() if model.carriers is not None else np.zeros(0)
        nothing = np.zeros((0, 1), np.float32)
        self.frames = self.site_frames = nothing
        if not field.frozen:
            layers = field.layers(model.temperature_at)
            self.frames = layers.reshape(layers.shape[0], -1).astype(np.float32)
            self.site_frames = field.rise.reshape(field.rise.shape[0], -1).astype(np.float32)

    def start(self, state: State) -> None:
        """Choose how a fresh replica finds its hops, by the measured acceptance."""
        if self.model.rule == "exact" and self.model.carriers is None:
            state.classes = self.model.selection == "classes"
            if self.model.selection == "auto":
                state.classes = self._pilot(state) < ACCEPTANCE

    def _pilot(self, state: State) -> float:
        """Share of the candidates of one bound for all that would be accepted by this lattice."""
        rng = np.random.default_rng(0)
        n = int(state.number[0])
        if n == 0:
            return 1.0
        from plkit.physics.hopping_kernels import unpack_places

        many = min(_PILOT, 6 * n)
        zyx = unpack_places(state.vacancies[rng.integers(n, size=many)])
        d = rng.integers(6, size=many)
        zyx[np.arange(many), d >> 1] += 2 * (d & 1) - 1
        zyx %= np.array(self.lattice.shape)
        lattice = state.species.reshape(self.lattice.shape)
        ion = lattice[tuple(zyx.T)]
        cell = (np.minimum(zyx, np.array(self.field.shape) - 1) * self.grid[2:5]).sum(axis=1)
        return float(self.table[ion, cell + self.steps[d, 6]].mean())

    def advance(self, state: State, until: float, tell: Callable[[float], None]) -> None:
        """Move a replica to a time; ``tell`` hears how far it is."""
        if self.model.rule == "published":
            self._step_published(state, until, tell)
            return
        if state.number[0] == 0 and self.cumulative.size == 0:
            state.clock[0] = until
            return
        before = state.events.copy()
        move = self._mover(state)
        while not move(until) and not self.stopped.is_set():
            tell(float(state.clock[0]))
        self._judge(state, before)

    def _judge(self, state: State, before: Array) -> None:
        """Measure the acceptance of one bound for all; below the limit the next stretch uses classes."""
        if self.model.selection != "auto" or state.classes or self.model.carriers is not None:
            return
        hops, tried = (state.events - before)[:2].sum(), (state.events - before)[3]
        if tried >= _PILOT and hops < ACCEPTANCE * tried:
            state.classes = True

    def _mover(self, state: State) -> Callable[[float], bool]:
        from plkit.physics import hopping_kernels as kernels

        m = self.model
        attempt = m.attempt_rate_per_s
        if m.carriers is not None:
            args = self._carrier_arguments(m.carriers, state)
            return lambda until: kernels.hop_with_carriers(
                *state.moved, self.grid, self.steps, *args, until, _CHUNK // 8
            )
        simple = self.field.frozen and self.cumulative.size == 0
        if simple and not state.classes:
            return lambda until: kernels.hop_in_blocks(
                *state.moved, self.grid, self.steps, self.table, self.bound, until, _CHUNK
            )
        thermal = (
            self.field.ambient_k, attempt / self.bound, m.bromide_barrier_ev, m.iodide_barrier_ev,
        )  # fmt: skip
        alpha = m.escape.alpha_per_k if m.escape is not None else 0.0
        common = (
            *state.grown, self.grid, self.steps, self.table, self.bound, thermal, self.frames,
            self.field.stages, self.field.ramp, self.cumulative,
            np.array(self.field.shape, np.int64), alpha, self.site_frames,
        )  # fmt: skip
        if state.classes:
            owner = np.zeros(self.lattice.sites, np.int32)
            return lambda until: kernels.hop_by_classes(*common, owner, until, _CHUNK)
        return lambda until: kernels.hop_one_by_one(*common, until, _CHUNK)

    def _carrier_arguments(self, carriers: CarrierEnergy, state: State) -> tuple[Any, ...]:
        from plkit.physics.hopping_kernels import count_cubes

        m, field = self.model, self.field
        classes = np.zeros(self.lattice.sites, np.int16)
        population = np.zeros(self.gaps.size, np.int64)
        count_cubes(state.species, classes, population, self.grid, self.steps)
        ions = np.add.outer(np.arange(28), np.arange(28)).ravel()
        # A bound holds for the emptiest cube there is, and for some that are emptier still; a walk
        # that finds a worse one counts a breach.
        fewest = max(int(ions[population > 0].min()) - _SLACK, 1)
        sites = self.lattice.sites
        hottest = field.ambient_k + float(field.rise.max())
        kelvin = carriers.temperature_k or field.ambient_k
        wanted = carriers.count(sites, self.lattice.spacing_nm)
        return (
            field.betas(m),
            (field.ambient_k, 0.0, m.bromide_barrier_ev, m.iodide_barrier_ev),
            self.frames, field.stages, field.ramp, 1.0 / (BOLTZMANN_EV_K * hottest),
            m.attempt_rate_per_s, classes, population,
            self.gaps, largest_gap_step(self.gaps, fewest), wanted, BOLTZMANN_EV_K * kelvin,
            carriers.renewal,
        )  # fmt: skip

    def _step_published(self, state: State, until: float, tell: Callable[[float], None]) -> None:
        from plkit.physics import hopping_kernels as kernels

        m = self.model
        side = np.maximum(np.round(0.2 * np.array(self.lattice.shape)), 1).astype(np.int64)
        arguments: tuple[Array, Array] | None = None
        while state.clock[0] < until and not self.stopped.is_set():
            if arguments is None or not self.field.frozen:
                arguments = self._published_tables(float(state.clock[0]) + 1.0)
            kernels.sweep_published(
                *state.grown[:7], state.rng, state.events, self.grid, self.steps, *arguments,
                side // 2, side, m.sweeps_per_step,
            )  # fmt: skip
            state.clock[0] += 1.0
            tell(float(state.clock[0]))

    def _published_tables(self, time: float) -> tuple[Array, Array]:
        """Arrhenius factors and escape probabilities of every cell."""
        m = self.model
        rise = self.field.at(time).ravel()
        rates = np.zeros((3, rise.size))
        for s, barrier in ((1, m.bromide_barrier_ev), (2, m.iodide_barrier_ev)):
            rates[s] = hop_rate(self.field.ambient_k + rise, barrier, 1.0)
        leave = np.zeros(0)
        if m.escape is not None:
            leave = escape_share(rise, m.escape.amplitude, m.escape.alpha_per_k)
        return rates / rates.max(), leave


def _geometry(lattice: IonLattice, field: Field, where: str) -> tuple[Array, Array]:
    """Arrays ``grid`` and ``steps`` of the kernels."""
    nz, ny, nx = lattice.shape
    fz, fy, fx = field.shape
    cells = np.array([0 if fz == 1 else fy * fx, 0 if fy == 1 else fx, 0 if fx == 1 else 1])
    grid = np.array([ny * nx, nx, *cells, nz, ny, nx], np.int64)
    steps = np.zeros((6, 8), np.int64)
    layers = where == "bond" and fz * fy * fx > 1
    for d in range(6):
        axis, up = d >> 1, d & 1
        # A bond is kept at its lower end: the vacancy's own cell where the ion sits above it.
        moves = 0 if layers and up else int(cells[axis])
        steps[d] = (
            42 - 21 * axis, lattice.shape[axis], 2 * up - 1, (ny * nx, nx, 1)[axis],
            lattice.boundaries[axis] == "closed", moves, axis * fz * fy * fx if layers else 0, axis,
        )  # fmt: skip
    return grid, steps


def gap_classes() -> Array:
    """Gap of every class of sites: iodides · 28 + bromides in the cube around [eV]."""
    iodide, bromide = (a.astype(float) for a in np.divmod(np.arange(28 * 28), 28))
    total = iodide + bromide
    return np.asarray(
        mixed_halide_gap(np.divide(iodide, total, out=np.zeros(784), where=total > 0))
    )


def largest_gap_step(gaps: Array, fewest: int) -> float:
    """Largest change of the gap by one ion, in cubes that hold at least ``fewest`` ions [eV]."""
    table = gaps.reshape(28, 28)
    total = np.add.outer(np.arange(28), np.arange(28))
    best = 0.0
    for axis in (0, 1):
        step = np.abs(np.diff(table, axis=axis))
        low = total[:-1] if axis == 0 else total[:, :-1]
        best = max(best, float(step[(low >= fewest) & (low < 27)].max()))
    return best
