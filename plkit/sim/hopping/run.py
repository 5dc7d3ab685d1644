"""Kinetic Monte Carlo of ions under light: replicas, snapshots, continuation."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.names import AXIS, REPLICA, TIME, VACANCY, R, X, Y, Z
from plkit.schema import add_history
from plkit.sim.hopping.field import field_of
from plkit.sim.hopping.model import ACTION, IonHopping, IonLattice
from plkit.sim.hopping.observe import observe, ring_radii
from plkit.sim.hopping.state import State, first_state, pack_state, state_of
from plkit.sim.hopping.walk import Walk

__all__ = ["simulate_ion_hopping"]

Array = NDArray[Any]
_Result = tuple[Array, list[dict[str, Any]]]


def simulate_ion_hopping(
    lattice: IonLattice | xr.Dataset,
    model: IonHopping | None = None,
    times_s: Sequence[float] | Array = (0.0,),
    *,
    seed: int = 0,
    replicas: int = 1,
    workers: int | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Let ions hop through a lattice with vacancies, under light or in the dark.

    Parameters
    ----------
    lattice : IonLattice or xarray.Dataset
        A fresh lattice, or a result of this function to go on from its last snapshot. A run that is
        continued is the run that was never stopped, to the last bit.
    model : IonHopping, optional
        Barriers, heating, escape, carriers, rule. The published barriers in the dark by default; on
        continuation the model of the run so far, or another one, for instance with the laser off.
    times_s : array_like
        Times of the snapshots, ascending [s]; with ``rule="published"``, whose steps have no
        duration, whole numbers of steps.
    seed : int, optional
        Replica i has the seed ``seed + i``.
    replicas : int, optional
        Independent runs of the same model.
    workers : int, optional
        Threads; one per core at most by default.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        ``species`` ([replica,] time, z, y, x) int8: 0 vacancy, 1 bromide, 2 iodide. Over time:
        ``local_gap`` [eV] and ``column_iodine_fraction`` of the irradiated column (0.2 of the width
        in y and x); ``n_vacancies``, ``n_bromide``, ``n_iodide``; ``hops_bromide``,
        ``hops_iodide``, ``escapes``, ``candidates``, ``bound_breaches``, counted since the start;
        ``msd_vacancy``, and with ``follow_ions`` also ``msd_bromide`` and ``msd_iodide`` [nm²].
        ``radial_bromide``, ``radial_iodide``, ``radial_vacancy`` (time, r). ``replica_seed``, and
        the state from which to continue: ``rng_state``, ``vacancy_place``, ``vacancy_birth``
        (vacancy), ``vacancy_images`` (vacancy, axis), ``by_classes``. The dim ``replica`` is there
        with more than one.

    Raises
    ------
    DataError
        If times, lattice, model or a dataset to continue make no run.

    Warns
    -----
    PlkitWarning
        If a walk with carriers met a rate above its bound, so that it is not exact.

    Notes
    -----
    Vacancies exchange places with one of six neighbours. ``rule="exact"``: every exchange happens at
    the rate k0 exp(−E/k_B T), T at the ion or in the middle of the bond. Candidates come at a bound
    that no rate exceeds, at any time, and are accepted with the ratio of rate to bound; the ones
    that are refused advance the clock too, which makes the walk exact [2]_. Or the vacancies are
    kept in classes of twofold rates, and only the choice within a class is refused [3]_; the cost of
    a hop grows with the number of vacancies in neither. T of a moving field is that at the time of
    the candidate. Escape is a channel of its own.

    ``rule="published"`` [1]_: in every sweep each vacancy chooses a neighbour by its share of the
    rates; an iodide that is chosen escapes with the probability A (1 − exp(−α (T − T0))); otherwise
    the two exchange places when the sum of exp(−E/k_B T) over the ions in the subcell around the
    vacancy (0.2 of each side), divided by that over all ions, exceeds a random number.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.
    .. [2] A. Jensen, Skand. Aktuarietidskr. 36, 87 (1953), doi:10.1080/03461238.1953.10419459.
    .. [3] A. Slepoy, A. P. Thompson, S. J. Plimpton, J. Chem. Phys. 128, 205101 (2008),
       doi:10.1063/1.2919546.
    .. [4] G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014, doi:10.1145/2660193.2660195: the random
       numbers.

    Examples
    --------
    >>> run = simulate_ion_hopping(IonLattice((8, 8, 8)), IonHopping(), [0.0, 1e-9], seed=1)
    >>> run.species.dims, run.n_iodide.values.tolist()
    (('time', 'z', 'y', 'x'), [180, 180])
    >>> further = simulate_ion_hopping(run, times_s=[2e-9])
    >>> bool(further.hops_iodide[-1] > run.hops_iodide[-1])
    True
    """
    previous: xr.Dataset | None = None
    if isinstance(lattice, xr.Dataset):
        previous, lattice = lattice, _lattice_of(lattice)
        if model is None:
            model = IonHopping.from_json(previous.attrs["model"])
    model = IonHopping() if model is None else model
    if not isinstance(lattice, IonLattice) or not isinstance(model, IonHopping):
        raise DataError(
            ACTION,
            f"it was given a {type(lattice).__name__} and a {type(model).__name__}, not an "
            "IonLattice or a result of a run, and an IonHopping",
        )
    _check_size(lattice, model)
    times = _times(times_s, model, previous)
    walk = Walk(model, lattice, field_of(model, lattice), threading.Event())
    seeds, states = _states(previous, lattice, model, walk, seed, replicas)
    results = _run_all(walk, states, times, workers, progress)
    ds = _dataset(results, states, times, lattice, model, seeds)
    breaches = int(ds["bound_breaches"].isel({TIME: -1}).sum())
    if breaches:
        warnings.warn(
            f"{breaches} candidates had a rate above the bound: those hops were too rare. Use a "
            "lower density of carriers or fewer vacancies.",
            PlkitWarning,
            stacklevel=2,
        )
    return add_history(
        ds,
        f"simulate_ion_hopping(rule={model.rule!r}, seed={int(seeds[0])}, replicas={len(seeds)})",
    )


def _lattice_of(ds: xr.Dataset) -> IonLattice:
    if "lattice" not in ds.attrs or "model" not in ds.attrs or TIME not in ds.dims:
        raise DataError(
            ACTION, "the dataset to continue is no result of simulate_ion_hopping",
            "Start from an IonLattice.",
        )  # fmt: skip
    return IonLattice(**json.loads(ds.attrs["lattice"]))


def _check_size(lattice: IonLattice, model: IonHopping) -> None:
    if model.carriers is not None:
        if min(lattice.shape) < 4:
            raise DataError(
                ACTION,
                f"a side has {min(lattice.shape)} sites, not at least 4, which carriers need",
            )
        n = model.carriers.count(lattice.sites, lattice.spacing_nm)
        if n >= 0.5 * lattice.sites:
            raise DataError(
                ACTION, f"the lattice of {lattice.sites} sites holds {n:.3g} carriers, not fewer "
                "than one for two sites", "Lower density_per_cm3.",
            )  # fmt: skip


def _times(times_s: Any, model: IonHopping, previous: xr.Dataset | None) -> Array:
    times = np.atleast_1d(np.asarray(times_s, dtype=float))
    if times.ndim != 1 or times.size == 0 or not np.all(np.isfinite(times)):
        raise DataError(ACTION, "'times_s' is not a list of numbers")
    if times[0] < 0 or np.any(np.diff(times) <= 0):
        raise DataError(ACTION, "'times_s' is not ascending from 0 upwards")
    if model.rule == "published" and np.any(times != np.round(times)):
        raise DataError(
            ACTION, "'times_s' holds fractions, not whole numbers of steps",
            "The published rule knows no seconds.",
        )  # fmt: skip
    if previous is not None:
        last = float(previous[TIME][-1])
        if times[0] <= last:
            raise DataError(
                ACTION, f"'times_s' begins at {times[0]:g}, not after the last snapshot ({last:g})",
                "Times go on; they do not begin anew.",
            )  # fmt: skip
    return times


def _states(
    previous: xr.Dataset | None,
    lattice: IonLattice,
    model: IonHopping,
    walk: Walk,
    seed: int,
    replicas: int,
) -> tuple[Array, list[State]]:
    escape = model.escape is not None
    if previous is not None:
        seeds = np.atleast_1d(previous["replica_seed"].values)
        parts = [
            previous.isel({REPLICA: i}) if REPLICA in previous.dims else previous
            for i in range(seeds.size)
        ]
        return seeds, [state_of(p, lattice, escape=escape, follow=model.follow_ions) for p in parts]
    if not (isinstance(replicas, int) and replicas >= 1):
        raise DataError(ACTION, f"'replicas' is {replicas!r}, not a whole number >= 1")
    if not (isinstance(seed, int | np.integer) and seed >= 0):
        raise DataError(ACTION, f"'seed' is {seed!r}, not a whole number >= 0")
    seeds = int(seed) + np.arange(replicas)
    states = [first_state(lattice, int(s), escape=escape, follow=model.follow_ions) for s in seeds]
    for state in states:
        walk.start(state)
    return seeds, states


def _run_all(
    walk: Walk, states: list[State], times: Array, workers: int | None, progress: bool
) -> list[_Result]:
    """Snapshots and observables of every replica."""
    from tqdm import tqdm

    begin = [float(s.clock[0]) for s in states]
    span = sum(max(float(times[-1]) - b, 0.0) for b in begin) or 1.0
    bar = tqdm(total=100.0, disable=not progress, unit="%", desc="hopping", leave=False)
    done = [0.0] * len(states)
    lock = threading.Lock()

    def teller(i: int) -> Callable[[float], None]:
        def tell(now: float) -> None:
            with lock:
                bar.update(100.0 * (now - begin[i] - done[i]) / span)
                done[i] = now - begin[i]

        return tell

    def one(i: int) -> _Result:
        return _run(walk, states[i], times, teller(i))

    threads = min(len(states), workers or _cores())
    try:
        if threads == 1:
            return [one(i) for i in range(len(states))]
        with ThreadPoolExecutor(threads) as pool:
            try:
                return list(pool.map(one, range(len(states))))
            except BaseException:
                walk.stopped.set()
                raise
    finally:
        bar.close()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run(walk: Walk, state: State, times: Array, tell: Callable[[float], None]) -> _Result:
    cubes = np.empty((times.size, *walk.lattice.shape), np.int8)
    seen = []
    for i, time in enumerate(times):
        walk.advance(state, float(time), tell)
        tell(float(time))
        cubes[i] = state.species.reshape(walk.lattice.shape)
        seen.append(observe(state, walk.lattice))
    return cubes, seen


def _dataset(
    results: list[_Result],
    states: list[State],
    times: Array,
    lattice: IonLattice,
    model: IonHopping,
    seeds: Array,
) -> xr.Dataset:
    many = len(states) > 1
    lead = (REPLICA,) if many else ()
    data: dict[str, Any] = {}
    cubes = [run[0] for run in results]
    data["species"] = (
        (*lead, TIME, Z, Y, X), np.stack(cubes) if many else cubes[0], names.attrs("species"),
    )  # fmt: skip
    for name, first in results[0][1][0].items():
        dims = (R,) if np.ndim(first) else ()
        values = np.array([[moment[name] for moment in run] for _, run in results])
        data[name] = ((*lead, TIME, *dims), values if many else values[0], names.attrs(name))
    data["species"][2].update(
        flag_values=np.array([0, 1, 2], np.int8), flag_meanings="vacancy bromide iodide"
    )
    kept = [pack_state(s, lattice) for s in states]
    most = max(k["vacancy_place"].size for k in kept)
    dims_of = {
        "vacancy_place": (VACANCY,), "vacancy_birth": (VACANCY,), "vacancy_images": (VACANCY, AXIS),
        "rng_state": (), "ion_origin": (Z, Y, X), "ion_images": (Z, Y, X, AXIS),
    }  # fmt: skip
    for name in kept[0]:
        if name.startswith("vacancy"):
            for k in kept:
                pad = [(0, most - k[name].shape[0])] + [(0, 0)] * (k[name].ndim - 1)
                k[name] = np.pad(k[name], pad, constant_values=-1 if k[name].ndim == 1 else 0)
        values = np.array([k[name] for k in kept])
        data[name] = ((*lead, *dims_of[name]), values if many else values[0], names.attrs(name))
    seeds_out = seeds.astype(np.int64)
    data["replica_seed"] = (lead, seeds_out if many else seeds_out[0], names.attrs("replica_seed"))
    by_classes = np.array([s.classes for s in states], np.int8)
    data["by_classes"] = (lead, by_classes if many else by_classes[0], names.attrs("by_classes"))
    ds = xr.Dataset(data, _coords(times, lattice, len(states) if many else 0))
    published = model.rule == "published"
    ds[TIME].attrs["comment"] = (
        "number of steps of the published rule, which have no duration" if published else
        "since the start of the run"
    )  # fmt: skip
    return ds.assign_attrs(
        lattice=json.dumps(asdict(lattice)), model=model.to_json(), origin="simulated"
    )


def _coords(times: Array, lattice: IonLattice, replicas: int) -> dict[str, Any]:
    um = 1e-3 * lattice.spacing_nm
    out: dict[str, Any] = {TIME: (TIME, times, names.attrs(TIME))}
    for dim, n in zip((Z, Y, X), lattice.shape, strict=True):
        # z is the depth below the surface; y and x are counted from the axis of the beam.
        at = np.arange(n) + 0.5 if dim == Z else np.arange(n) - (n - 1) / 2
        out[dim] = (dim, um * at, names.attrs(dim))
    out[R] = (R, um * ring_radii(lattice), names.attrs(R))
    if replicas:
        out[REPLICA] = (REPLICA, np.arange(replicas), names.attrs(REPLICA))
    return out
