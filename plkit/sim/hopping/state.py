"""State of one replica: made at random, moved by the walks, kept in a file, taken up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.names import TIME, VACANCY
from plkit.sim.hopping.model import ACTION, IonLattice

__all__ = ["State", "first_state", "state_of"]

Array = NDArray[Any]


@dataclass(slots=True)
class State:
    """Everything a walk changes; see :mod:`plkit.physics.hopping_kernels`.

    Parameters
    ----------
    species : ndarray of int8, shape (sites,)
        Lattice.
    vacancies, births : ndarray of int64
        Packed places, room for every vacancy that may come.
    images : ndarray of int32, shape (room, 3)
        Turns around each axis.
    origin, ion_images : ndarray of int32
        Of ions; of size zero where nobody follows them.
    number, clock, rng, events : ndarray
        Vacancies, time, random state, counts.
    classes : bool
        Whether the walk by classes was found to be the better one.
    """

    species: Array
    vacancies: Array
    births: Array
    images: Array
    origin: Array
    ion_images: Array
    number: Array
    clock: Array
    rng: Array
    events: Array
    classes: bool = False

    @property
    def moved(self) -> tuple[Array, ...]:
        """What the walks without new vacancies take."""
        return (
            self.species, self.vacancies, self.images, self.origin, self.ion_images, self.number,
            self.clock, self.rng, self.events,
        )  # fmt: skip

    @property
    def grown(self) -> tuple[Array, ...]:
        """What the walks take in which vacancies may come into being."""
        return (
            self.species, self.vacancies, self.births, self.images, self.origin, self.ion_images,
            self.number, self.clock, self.rng, self.events,
        )  # fmt: skip


def _empty_books(
    species: Array, vacancies: Array, escape: bool, follow: bool
) -> tuple[Array, Array, Array, Array, Array]:
    """Room for the vacancies, and the origins of ions."""
    n = vacancies.size
    room = n + (int((species == 2).sum()) if escape else 0)
    places = np.zeros(room, np.int64)
    places[:n] = vacancies
    origin, turns = np.zeros(0, np.int32), np.zeros((0, 3), np.int32)
    if follow:
        origin = np.arange(species.size, dtype=np.int32)
        origin[species == 0] = -1
        turns = np.zeros((species.size, 3), np.int32)
    births = places.copy() if escape else places[:n].copy()
    return places, births, np.zeros((room, 3), np.int32), origin, turns


def _places(sites: Array, lattice: IonLattice) -> Array:
    from plkit.physics.hopping_kernels import pack_places

    return np.asarray(pack_places(*np.unravel_index(sites, lattice.shape)))


def _sites(places: Array, lattice: IonLattice) -> Array:
    from plkit.physics.hopping_kernels import unpack_places

    zyx = unpack_places(places)
    return np.asarray(
        (zyx[..., 0] * lattice.shape[1] + zyx[..., 1]) * lattice.shape[2] + zyx[..., 2]
    )


def first_state(lattice: IonLattice, seed: int, *, escape: bool, follow: bool) -> State:
    """Fill a lattice at random.

    Parameters
    ----------
    lattice : IonLattice
        Size and composition.
    seed : int
        Of this replica.
    escape, follow : bool
        Whether vacancies may come into being, whether ions are followed.

    Returns
    -------
    State
        At time zero.
    """
    from plkit.physics import hopping_kernels as kernels

    rng = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    species = np.empty(lattice.sites, np.int8)
    kernels.fill_random(species, np.array(lattice.counts), rng)
    places = _places(np.flatnonzero(species == 0), lattice)
    books = _empty_books(species, places, escape, follow)
    return State(
        species, *books, np.array([places.size]), np.zeros(1), rng,
        np.zeros(kernels.EVENTS, np.int64),
    )  # fmt: skip


def pack_state(state: State, lattice: IonLattice) -> dict[str, Array]:
    """Arrays of a file from which :func:`state_of` takes the run up again."""
    n = int(state.number[0])
    out = {
        "vacancy_place": _sites(state.vacancies[:n], lattice).astype(np.int32),
        "vacancy_birth": _sites(state.births[:n], lattice).astype(np.int32),
        "vacancy_images": state.images[:n].copy(),
        "rng_state": state.rng.view(np.int64)[0],
    }
    if state.origin.size:
        out["ion_origin"] = state.origin.reshape(lattice.shape)
        out["ion_images"] = state.ion_images.reshape((*lattice.shape, 3))
    return out


def state_of(ds: xr.Dataset, lattice: IonLattice, *, escape: bool, follow: bool) -> State:
    """Take up a run where its last snapshot left it.

    Parameters
    ----------
    ds : xarray.Dataset
        One replica of a result.
    lattice : IonLattice
        Its lattice.
    escape, follow : bool
        Whether vacancies may come into being, whether ions are followed.

    Returns
    -------
    State
        With the same random state, order of vacancies and counts.

    Raises
    ------
    DataError
        If the dataset lacks what a run needs to go on, or its parts contradict each other.
    """
    from plkit.physics import hopping_kernels as kernels

    needed = {"species", "vacancy_place", "vacancy_birth", "vacancy_images", "rng_state"}
    missing = sorted(needed - set(map(str, ds.variables)))
    if missing:
        raise DataError(
            ACTION, f"the dataset to continue lacks {', '.join(missing)}",
            "Continue from a whole result of simulate_ion_hopping.",
        )  # fmt: skip
    last = ds.isel({TIME: -1})
    species = np.ascontiguousarray(last["species"].values.reshape(-1).astype(np.int8))
    sites = last["vacancy_place"].values
    there = sites >= 0
    sites = sites[there]
    if not np.array_equal(np.sort(sites), np.flatnonzero(species == 0)):
        raise DataError(
            ACTION, "the vacancies to continue with are not at the empty sites of the last snapshot",
            "Continue from the last snapshot: do not cut a result along time.",
        )  # fmt: skip
    books = _empty_books(species, _places(sites, lattice), escape, follow and "ion_origin" in ds)
    places, births, images, origin, turns = books
    births[: sites.size] = _places(last["vacancy_birth"].values[there], lattice)
    images[: sites.size] = last["vacancy_images"].transpose(VACANCY, ...).values[there]
    if origin.size:
        origin[:] = last["ion_origin"].values.reshape(-1)
        turns[:] = last["ion_images"].values.reshape(-1, 3)
    events = np.zeros(kernels.EVENTS, np.int64)
    for name, at in (
        ("hops_bromide", kernels.HOPS_BROMIDE), ("hops_iodide", kernels.HOPS_IODIDE),
        ("escapes", kernels.ESCAPES), ("candidates", kernels.CANDIDATES),
        ("bound_breaches", kernels.BREACHES),
    ):  # fmt: skip
        events[at] = int(last[name])
    return State(
        species, places, births, images, origin, turns, np.array([sites.size]),
        np.array([float(last[TIME])]),
        np.array([int(last["rng_state"])], np.int64).view(np.uint64), events,
        bool(last["by_classes"]),
    )  # fmt: skip
