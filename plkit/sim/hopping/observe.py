"""What is read off a lattice: counts, the local gap, rings around the beam, displacements."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plkit.physics.hopping import mixed_halide_gap
from plkit.sim.hopping.field import axis_distance
from plkit.sim.hopping.model import IonLattice
from plkit.sim.hopping.state import State

__all__ = ["column", "observe", "ring_radii"]

Array = NDArray[Any]

_COLUMN = 0.2


def column(lattice: IonLattice) -> tuple[slice, slice]:
    """Rows and columns of the irradiated column: 0.2 of the width, in the middle."""
    out = []
    for n in lattice.shape[1:]:
        width = max(1, round(_COLUMN * n))
        first = (n - width) // 2
        out.append(slice(first, first + width))
    return out[0], out[1]


def _ring_numbers(lattice: IonLattice) -> Array:
    return np.floor(axis_distance(lattice)).astype(np.int64)


def ring_radii(lattice: IonLattice) -> Array:
    """Mean distance from the axis of the sites in every ring [sites]."""
    ring = _ring_numbers(lattice).ravel()
    total = np.bincount(ring, weights=axis_distance(lattice).ravel())
    size = np.bincount(ring)
    return np.asarray(total[size > 0] / size[size > 0])


def _squared(places: Array, starts: Array, images: Array, lattice: IonLattice) -> float:
    """Mean square of displacements from packed places [sites²]."""
    from plkit.physics.hopping_kernels import unpack_places

    if places.size == 0:
        return float("nan")
    moved = unpack_places(places) - unpack_places(starts) + images * np.array(lattice.shape)
    return float((moved.astype(float) ** 2).sum(axis=1).mean())


def _ion_displacements(state: State, lattice: IonLattice, species: int) -> float:
    here = np.flatnonzero(state.species == species)
    if here.size == 0:
        return float("nan")
    from_ = state.origin[here]
    moved = np.stack(np.unravel_index(here, lattice.shape), 1).astype(float)
    moved -= np.stack(np.unravel_index(from_, lattice.shape), 1)
    moved += state.ion_images[from_] * np.array(lattice.shape)
    return float((moved**2).sum(axis=1).mean())


def observe(state: State, lattice: IonLattice) -> dict[str, Any]:
    """Numbers of one moment.

    Parameters
    ----------
    state : State
        The replica now.
    lattice : IonLattice
        Geometry.

    Returns
    -------
    dict
        Value by name of variable; arrays run over the rings.
    """
    cube = state.species.reshape(lattice.shape)
    rows, columns = column(lattice)
    inner = cube[:, rows, columns]
    share = float((inner != 1).mean())
    # Layer by layer, so that a large lattice needs no copy of its size.
    counts = np.sum([np.bincount(layer.ravel(), minlength=3) for layer in cube], axis=0)
    n = int(state.number[0])
    area = lattice.spacing_nm**2
    out: dict[str, Any] = {
        "column_iodine_fraction": share,
        "local_gap": float(mixed_halide_gap(share)),
        "n_vacancies": int(counts[0]),
        "n_bromide": int(counts[1]),
        "n_iodide": int(counts[2]),
        "hops_bromide": int(state.events[0]),
        "hops_iodide": int(state.events[1]),
        "escapes": int(state.events[2]),
        "candidates": int(state.events[3]),
        "bound_breaches": int(state.events[4]),
        "msd_vacancy": area
        * _squared(state.vacancies[:n], state.births[:n], state.images[:n], lattice),
    }
    if state.origin.size:
        out["msd_bromide"] = area * _ion_displacements(state, lattice, 1)
        out["msd_iodide"] = area * _ion_displacements(state, lattice, 2)
    ring = _ring_numbers(lattice).ravel()
    sites = np.bincount(ring)
    for name, species in (("radial_vacancy", 0), ("radial_bromide", 1), ("radial_iodide", 2)):
        found = np.zeros(sites.size)
        for layer in cube:
            found += np.bincount(ring[(layer == species).ravel()], minlength=sites.size)
        out[name] = found[sites > 0] / (sites[sites > 0] * lattice.shape[0])
    return out
