"""Compiled steps of the hopping of ions; see :mod:`plkit.physics.hopping`.

A lattice is a flat int8 array of species (0 vacancy, 1 bromide, 2 iodide), site ``(z ny + y) nx + x``.
A vacancy is one packed integer, 21 bits each of z, y, x. Its neighbours are numbered 0 to 5: axis
``d >> 1`` (0 is z, 2 is x), down for even ``d`` and up for odd. ``steps`` has a row for each of them,
``grid`` the strides; the columns are named below.

What a run needs to go on after any stop travels in arrays that are changed in place: ``species``,
``vacancies``, ``births`` (where each came into being), ``images`` (how often it went around each
axis), ``origin`` and ``ion_images`` (the same of ions; of size zero where nobody asks), ``number``
[of vacancies], ``clock`` [s], ``rng`` (state of splitmix64) and ``events``.

A table of rates has a row per species (zeros for the vacancy) and a column per cell of the
temperature field, which may be constant along an axis; its stride there is zero.

All kernels stand in one file: numba's cache on disk notices a change only in the file of the
function that was cached. This module imports numba; import it inside the function that needs it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code="call-arg,var-annotated,assignment,unreachable"
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numba as nb
import numpy as np

from plkit.physics.compiling import announce_compilation

__all__ = [
    "fill_random",
    "hop_by_classes",
    "hop_in_blocks",
    "hop_one_by_one",
    "hop_with_carriers",
    "pack_places",
    "sweep_published",
    "unpack_places",
]

announce_compilation()

VACANCY: Final = 0
BROMIDE: Final = 1
IODIDE: Final = 2

# Places in ``events``.
HOPS_BROMIDE, HOPS_IODIDE, ESCAPES, CANDIDATES, BREACHES, RENEWALS, TOUCHED = range(7)
EVENTS: Final = 7
# Columns of ``steps``; FIELD is what a step adds to the cell of an ion beyond that of the vacancy.
SHIFT, SIZE, STEP, STRIDE, CLOSED, FIELD, LAYER, AXIS = range(8)
# Places in ``grid``.
GRID_Z, GRID_Y, FIELD_Z, FIELD_Y, FIELD_X, SIZE_Z, SIZE_Y, SIZE_X = range(8)

BLOCK: Final = 32
"""Candidates that are drawn together, so that a large lattice waits for memory once."""
MAX_CLASSES: Final = 40
"""Octaves of rates that have a class of their own; everything slower shares the last one."""
LARGE: Final = 300_000
"""Sites of a lattice that does not stay in the fast memory of a core."""
AHEAD: Final = 8
"""Candidates of the walk by classes whose surroundings are loaded before they are needed."""
_NEAR: Final = 8  # classes among which the look ahead searches
COUNTS: Final = 28
"""Values that a count of sites in a 3 × 3 × 3 cube can take."""

_BOLTZMANN_EV_K: Final = 8.617333262e-5
_U11, _U27, _U30, _U31 = (np.uint64(i) for i in (11, 27, 30, 31))
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX2: Final = np.uint64(0x94D049BB133111EB)
_TO_UNIT: Final = 2.0**-53
_BOUNDS: Final = 0.5 ** np.arange(40)
_MASK: Final = (1 << 21) - 1

_F = TypeVar("_F", bound=Callable[..., Any])


def _helper(function: _F) -> _F:
    """Compile what only kernels call."""
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    # Without its runtime numba counts no references, which costs as much as the arithmetic here.
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}
    return nb.njit(**options)(function)  # type: ignore[no-any-return]


def _entry(function: Callable[..., Any]) -> Any:
    """Compile what Python calls, without the GIL, cached on disk where a folder can be written."""
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    try:
        compiled = nb.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = nb.njit(**options)(function)
    return compiled


def pack_places(z: Any, y: Any, x: Any) -> Any:
    """Pack coordinates as the kernels keep them; :func:`unpack_places` is the inverse."""
    return (
        (np.asarray(z, np.int64) << 42) | (np.asarray(y, np.int64) << 21) | np.asarray(x, np.int64)
    )


def unpack_places(places: Any) -> Any:
    """Coordinates (z, y, x) of packed places, in a last dimension."""
    p = np.asarray(places, np.int64)
    return np.stack([p >> 42, (p >> 21) & _MASK, p & _MASK], axis=-1)


# Random numbers -----------------------------------------------------------------------------------


@_helper
def _bits(state):
    """64 random bits of a state of splitmix64 (Steele, Lea and Flood 2014); states step by _GOLDEN."""
    r = (state ^ (state >> _U30)) * _MIX1
    r = (r ^ (r >> _U27)) * _MIX2
    return r ^ (r >> _U31)


@_helper
def _unit(state):
    """Turn a state into a number in [0, 1) with 53 bits."""
    return np.float64(np.int64(_bits(state) >> _U11)) * _TO_UNIT


@_helper
def _wait(state):
    """Exponentially distributed number of mean one."""
    return -math.log(1.0 - _unit(state))


@_entry
def fill_random(species, counts, rng):
    """Fill a lattice with exact numbers of vacancies, bromide and iodide, and shuffle it.

    Parameters
    ----------
    species : ndarray of int8, shape (n,)
        Filled in place.
    counts : ndarray of int64, shape (3,)
        Numbers of each species; their sum is n.
    rng : ndarray of uint64, shape (1,)
        State of the generator, moved on.
    """
    state = rng[0]
    at = 0
    for s in range(3):
        for _ in range(counts[s]):
            species[at] = s
            at += 1
    for i in range(species.size - 1, 0, -1):
        state += _GOLDEN
        j = np.int64(_unit(state) * (i + 1))
        kept = species[i]
        species[i] = species[j]
        species[j] = kept
    rng[0] = state


# Geometry -----------------------------------------------------------------------------------------


@_helper
def _site(place, grid):
    """Index of a packed place in the flat lattice."""
    return (place >> 42) * grid[GRID_Z] + ((place >> 21) & _MASK) * grid[GRID_Y] + (place & _MASK)


@_helper
def _cell(place, grid):
    """Column of a packed place in a table of rates."""
    return (
        (place >> 42) * grid[FIELD_Z]
        + ((place >> 21) & _MASK) * grid[FIELD_Y]
        + (place & _MASK) * grid[FIELD_X]
    )


@_helper
def _neighbour(place, d, steps):
    """How far neighbour d is along its axis, and how often that goes around (±1, or 0)."""
    q = np.uint64(d)
    at = (place >> steps[q, SHIFT]) & _MASK
    to = at + steps[q, STEP]
    wraps = np.int64(to == steps[q, SIZE]) - np.int64(to < 0)
    return to - wraps * steps[q, SIZE] - at, wraps


@_helper
def _exchange(v, d, move, wraps, ion, site, species, vacancies, images, origin, ion_images, steps):
    """Let an ion and a vacancy change places, and keep the books of where each has been."""
    site2 = site + move * steps[d, STRIDE]
    species[site] = ion
    species[site2] = VACANCY
    vacancies[v] += move << steps[d, SHIFT]
    if wraps != 0:
        images[v, steps[d, AXIS]] += wraps
    if origin.size:
        who = origin[site2]
        origin[site] = who
        origin[site2] = -1
        if wraps != 0:
            ion_images[who, steps[d, AXIS]] -= wraps
    return site2


# The field in time ----------------------------------------------------------------------------------


@_helper
def _stage(time, stages, ramp):
    """Frame of the field before ``time``, and the weight of the next one."""
    if ramp > 0.0:
        return 0, -math.expm1(-ramp * time)
    last = stages.size - 1
    if time >= stages[last]:
        return last - 1, 1.0
    if time <= stages[0]:
        return 0, 0.0
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) >> 1
        if stages[middle] <= time:
            low = middle
        else:
            high = middle
    return low, (time - stages[low]) / (stages[high] - stages[low])


@_helper
def _rise(time, cell, frames, stages, ramp):
    """Temperature rise of a cell [K]."""
    frame, weight = _stage(time, stages, ramp)
    return (1.0 - weight) * frames[frame, cell] + weight * frames[frame + 1, cell]


@_helper
def _share(time, ion, cell, table, thermal, frames, stages, ramp):
    """Rate of a hop, divided by the bound of all rates; ``thermal`` see :func:`hop_one_by_one`."""
    if frames.size == 0 or ion == VACANCY:
        return np.float64(table[ion, cell])
    temperature = thermal[0] + _rise(time, cell, frames, stages, ramp)
    return thermal[1] * math.exp(-thermal[1 + ion] / (_BOLTZMANN_EV_K * temperature))


# Escape ---------------------------------------------------------------------------------------------


@_helper
def _escape_candidate(state, cumulative, grid, sizes):
    """Cell of the escape field by its weight, and a place in it."""
    low, high = 0, cumulative.size - 1
    target = _unit(state) * cumulative[high]
    while low < high:
        middle = (low + high) >> 1
        if cumulative[middle] > target:
            high = middle
        else:
            low = middle + 1
    place = np.int64(0)
    rest = low
    # Along an axis on which the field is constant every site is as likely.
    for axis in range(2, -1, -1):
        here = rest % sizes[axis]
        rest //= sizes[axis]
        if sizes[axis] == 1:
            state += _GOLDEN
            here = np.int64(_unit(state) * grid[SIZE_Z + axis])
        place |= here << (42 - 21 * axis)
    return state, low, place


@_helper
def _escape_share(time, cell, site_frames, stages, ramp, alpha):
    """Rate of escape now, divided by the largest that this cell will have."""
    rise = _rise(time, cell, site_frames, stages, ramp)
    top = 0.0
    for i in range(site_frames.shape[0]):
        top = max(top, np.float64(site_frames[i, cell]))
    if rise <= 0.0 or top <= 0.0:
        return 0.0
    return math.expm1(-alpha * rise) / math.expm1(-alpha * top)


@_helper
def _born(place, vacancies, births, images, number):
    """Add a vacancy to the books."""
    n = number[0]
    vacancies[n] = place
    births[n] = place
    for axis in range(3):
        images[n, axis] = 0
    number[0] = n + 1
    return n


@_helper
def _try_escape(
    state, time, species, vacancies, births, images, origin, number, events, grid, cumulative,
    sizes, alpha, site_frames, stages, ramp,
):  # fmt: skip
    """Let an iodide leave, if the drawn site holds one; the state, and its vacancy or -1."""
    state += _GOLDEN
    state, cell, place = _escape_candidate(state, cumulative, grid, sizes)
    site = _site(place, grid)
    if species[site] != IODIDE:
        return state, -1
    if site_frames.size:
        state += _GOLDEN
        if _unit(state) >= _escape_share(time, cell, site_frames, stages, ramp, alpha):
            return state, -1
    species[site] = VACANCY
    if origin.size:
        origin[site] = -1
    events[ESCAPES] += 1
    return state, _born(place, vacancies, births, images, number)


# Exact walk: one bound for all ----------------------------------------------------------------------


@_helper
def _plan(state, n, vacancies, grid, steps, plan, left):
    """Draw the next candidates and find their sites: no branches, so that loads overlap."""
    for i in range(BLOCK):
        state += _GOLDEN
        u = _unit(state) * n
        v = np.int64(u)
        # The digits that a choice leaves over are the number that makes the next one.
        u = (u - v) * 6.0
        d = np.int64(u)
        q = np.uint64(d)
        place = vacancies[np.uint64(v)]
        move, wraps = _neighbour(place, d, steps)
        site = _site(place, grid)
        plan[i, 0] = v
        plan[i, 1] = d
        plan[i, 2] = place
        plan[i, 3] = move
        plan[i, 4] = wraps
        plan[i, 5] = site
        plan[i, 6] = site + move * steps[q, STRIDE]
        plan[i, 7] = _cell(place, grid) + move * steps[q, FIELD] + steps[q, LAYER]
        left[i] = u - d
    return state


@_helper
def _replan(i, vacancies, grid, steps, plan):
    """Find the sites of a candidate again whose vacancy has moved since."""
    d = plan[i, 1]
    place = vacancies[plan[i, 0]]
    move, wraps = _neighbour(place, d, steps)
    site = _site(place, grid)
    plan[i, 2] = place
    plan[i, 3] = move
    plan[i, 4] = wraps
    plan[i, 5] = site
    plan[i, 6] = site + move * steps[d, STRIDE]
    plan[i, 7] = _cell(place, grid) + move * steps[d, FIELD] + steps[d, LAYER]


@_entry
def hop_in_blocks(
    species, vacancies, images, origin, ion_images, number, clock, rng, events, grid, steps, table,
    bound, until, candidates,
):  # fmt: skip
    """Walk with null events through a frozen field without escape, many candidates at a time.

    Parameters
    ----------
    species, vacancies, images, origin, ion_images, number, clock, rng, events : ndarray
        State, changed in place; see the module.
    grid, steps : ndarray of int64
        Geometry.
    table : ndarray, shape (3, cells)
        Rates divided by ``bound`` [1].
    bound : float
        Not below any rate [1/s].
    until : float
        Time at which to stop [s].
    candidates : int
        Number of candidates after which to stop.

    Returns
    -------
    bool
        True where ``until`` was reached.
    """
    state = rng[0]
    n = number[0]
    rate = 6.0 * n * bound
    plan = np.empty((BLOCK, 8), np.int64)
    left = np.empty(BLOCK)
    hops = iodides = tried = 0
    touched = np.int64(0)
    time = clock[0]
    reached = False
    while tried < candidates and not reached:
        waits = state
        product = 1.0
        for _ in range(BLOCK):
            state += _GOLDEN
            product *= 1.0 - _unit(state)
        due = BLOCK
        later = time - math.log(product) / rate
        if later > until:
            # The end falls into this block: which of its candidates come before?
            reached = True
            later = time
            due = 0
            while due < BLOCK:
                waits += _GOLDEN
                later += _wait(waits) / rate
                if later > until:
                    break
                due += 1
            later = until
        state = _plan(state, n, vacancies, grid, steps, plan, left)
        for i in range(due):
            touched += species[np.uint64(plan[i, 6])]
        time = later
        tried += due
        for i in range(due):
            v = plan[i, 0]
            if vacancies[v] != plan[i, 2]:
                _replan(i, vacancies, grid, steps, plan)
            ion = np.int64(species[np.uint64(plan[i, 6])])
            d = plan[i, 1]
            go = np.int64(left[i] < table[ion, np.uint64(plan[i, 7])])
            if plan[i, 4] != 0 or origin.size:
                if go and not (plan[i, 4] != 0 and steps[d, CLOSED]):
                    _exchange(
                        v, d, plan[i, 3], plan[i, 4], ion, plan[i, 5], species, vacancies, images,
                        origin, ion_images, steps,
                    )  # fmt: skip
                else:
                    go = 0
            else:
                # Without a branch, which would be foreseen wrongly every other time.
                species[np.uint64(plan[i, 5])] = ion * go
                species[np.uint64(plan[i, 6])] = ion * (1 - go)
                vacancies[v] = plan[i, 2] + ((plan[i, 3] * go) << steps[d, SHIFT])
            hops += go
            iodides += go * (ion >> 1)
    clock[0] = time
    rng[0] = state
    events[HOPS_BROMIDE] += hops - iodides
    events[HOPS_IODIDE] += iodides
    events[CANDIDATES] += tried
    events[TOUCHED] = touched  # keeps the loads ahead from being optimised away
    return reached


@_entry
def hop_one_by_one(
    species, vacancies, births, images, origin, ion_images, number, clock, rng, events,
    grid, steps, table, bound, thermal, frames, stages, ramp,
    cumulative, sizes, alpha, site_frames, until, candidates,
):  # fmt: skip
    """Walk with null events where the field moves or ions escape, one candidate at a time.

    Parameters
    ----------
    species, vacancies, births, images, origin, ion_images, number, clock, rng, events : ndarray
        State, changed in place; see the module.
    grid, steps : ndarray of int64
        Geometry.
    table : ndarray, shape (3, cells)
        Rates divided by ``bound`` [1]; not used where the field moves.
    bound : float
        Not below any rate at any time [1/s].
    thermal : tuple of float
        Temperature far away [K], attempt rate divided by ``bound`` [1], barriers of bromide and
        iodide [eV].
    frames : ndarray, shape (stages, cells)
        Temperature rise [K]; of size zero for a frozen field.
    stages : ndarray
        Times of the frames [s]; ``ramp`` > 0 takes 1 − exp(−ramp t) between two frames instead.
    ramp : float
        See ``stages`` [1/s].
    cumulative : ndarray
        Running sum of the largest escape rate of every cell [1/s]; of size zero without escape.
    sizes : ndarray of int64, shape (3,)
        Shape of the cells of the escape field.
    alpha : float
        Of the escape [1/K].
    site_frames : ndarray, shape (stages, cells)
        Temperature rise at the sites [K] where the field moves, for the escape.
    until : float
        Time at which to stop [s].
    candidates : int
        Number of candidates after which to stop.

    Returns
    -------
    bool
        True where ``until`` was reached.
    """
    state = rng[0]
    escapes = 0.0
    if cumulative.size:
        escapes = cumulative[cumulative.size - 1] / bound
    tried = 0
    time = clock[0]
    reached = False
    while tried < candidates:
        hops = 6.0 * number[0]
        state += _GOLDEN
        later = time + _wait(state) / (bound * (hops + escapes))
        if later > until:
            time = until
            reached = True
            break
        time = later
        tried += 1
        state += _GOLDEN
        u = _unit(state) * (hops + escapes)
        if u >= hops:
            state, _ = _try_escape(
                state, time, species, vacancies, births, images, origin, number, events, grid,
                cumulative, sizes, alpha, site_frames, stages, ramp,
            )  # fmt: skip
            continue
        k = np.int64(u)
        v = k // 6
        d = k - 6 * v
        place = vacancies[v]
        move, wraps = _neighbour(place, d, steps)
        if wraps != 0 and steps[d, CLOSED]:
            continue
        site = _site(place, grid)
        ion = np.int64(species[site + move * steps[d, STRIDE]])
        cell = _cell(place, grid) + move * steps[d, FIELD] + steps[d, LAYER]
        if u - k < _share(time, ion, cell, table, thermal, frames, stages, ramp):
            _exchange(
                v, d, move, wraps, ion, site, species, vacancies, images, origin, ion_images, steps
            )
            events[ion - 1] += 1
    clock[0] = time
    rng[0] = state
    events[CANDIDATES] += tried
    return reached


# Exact walk: classes of rates -----------------------------------------------------------------------


@_helper
def _six(place, site, species, grid):
    """Species of the six neighbours, without a branch."""
    z, y, x = place >> 42, (place >> 21) & _MASK, place & _MASK
    down_z = grid[SIZE_Z] - 1 if z == 0 else -1
    down_y = grid[SIZE_Y] - 1 if y == 0 else -1
    down_x = grid[SIZE_X] - 1 if x == 0 else -1
    up_z = 1 - grid[SIZE_Z] if z == grid[SIZE_Z] - 1 else 1
    up_y = 1 - grid[SIZE_Y] if y == grid[SIZE_Y] - 1 else 1
    up_x = 1 - grid[SIZE_X] if x == grid[SIZE_X] - 1 else 1
    return (
        np.uint64(species[np.uint64(site + down_z * grid[GRID_Z])]),
        np.uint64(species[np.uint64(site + up_z * grid[GRID_Z])]),
        np.uint64(species[np.uint64(site + down_y * grid[GRID_Y])]),
        np.uint64(species[np.uint64(site + up_y * grid[GRID_Y])]),
        np.uint64(species[np.uint64(site + down_x)]),
        np.uint64(species[np.uint64(site + up_x)]),
        down_z, up_z, down_y, up_y, down_x, up_x,
    )  # fmt: skip


@_helper
def _rates(place, site, species, table, grid, steps):
    """Six largest rates of a vacancy's hops, in units of the bound, and the neighbours' species."""
    s0, s1, s2, s3, s4, s5, m0, m1, m2, m3, m4, m5 = _six(place, site, species, grid)
    cell = _cell(place, grid)
    r0 = np.float64(table[s0, np.uint64(cell + m0 * steps[0, FIELD] + steps[0, LAYER])])
    r1 = np.float64(table[s1, np.uint64(cell + m1 * steps[1, FIELD] + steps[1, LAYER])])
    r2 = np.float64(table[s2, np.uint64(cell + m2 * steps[2, FIELD] + steps[2, LAYER])])
    r3 = np.float64(table[s3, np.uint64(cell + m3 * steps[3, FIELD] + steps[3, LAYER])])
    r4 = np.float64(table[s4, np.uint64(cell + m4 * steps[4, FIELD] + steps[4, LAYER])])
    r5 = np.float64(table[s5, np.uint64(cell + m5 * steps[5, FIELD] + steps[5, LAYER])])
    z, y, x = place >> 42, (place >> 21) & _MASK, place & _MASK
    r0 *= 1 - steps[0, CLOSED] * (z == 0)
    r1 *= 1 - steps[1, CLOSED] * (z == grid[SIZE_Z] - 1)
    r2 *= 1 - steps[2, CLOSED] * (y == 0)
    r3 *= 1 - steps[3, CLOSED] * (y == grid[SIZE_Y] - 1)
    r4 *= 1 - steps[4, CLOSED] * (x == 0)
    r5 *= 1 - steps[5, CLOSED] * (x == grid[SIZE_X] - 1)
    return r0, r1, r2, r3, r4, r5, s0, s1, s2, s3, s4, s5


@_helper
def _outflow(place, site, species, table, grid, steps):
    """Sum of the largest rates of a vacancy's hops, in units of the bound; 1 if a vacancy is near."""
    r0, r1, r2, r3, r4, r5, s0, s1, s2, s3, s4, s5 = _rates(
        place, site, species, table, grid, steps
    )
    return r0 + r1 + r2 + r3 + r4 + r5, (s0 * s1 * s2 * s3 * s4 * s5) == 0


@_helper
def _octave(total):
    """Class of an outflow: its bound is 6/2^class."""
    if total <= 0.0:
        return MAX_CLASSES - 1
    _, exponent = math.frexp(total / 6.0)
    return min(max(-exponent, 0), MAX_CLASSES - 1)


@_helper
def _reclass(v, new, klass, order, where, start):
    """Move a vacancy to another class: past one border after the other."""
    old = klass[v]
    while old < new:
        last = start[old + 1] - 1
        other = order[last]
        order[where[v]] = other
        where[other] = where[v]
        order[last] = v
        where[v] = last
        start[old + 1] = last
        old += 1
    while old > new:
        first = start[old]
        other = order[first]
        order[where[v]] = other
        where[other] = where[v]
        order[first] = v
        where[v] = first
        start[old] = first + 1
        old -= 1
    klass[v] = new


@_helper
def _settle(v, total, klass, order, where, start):
    """Put a vacancy into the class of its outflow; the change of weight."""
    new = _octave(total)
    old = np.int64(klass[v])
    if new == old:
        return 0.0
    _reclass(v, new, klass, order, where, start)
    return np.float64(_BOUNDS[new] - _BOUNDS[old])


@_helper
def _refresh(
    place, site, species, vacancies, owner, table, grid, steps, klass, order, where, start
):
    """Put the vacancies around a place into the class that they belong to now; the change of weight."""
    change = 0.0
    for d in range(6):
        move, _ = _neighbour(place, d, steps)
        site2 = site + move * steps[d, STRIDE]
        if species[site2] == VACANCY:
            v = owner[site2]
            total, _ = _outflow(vacancies[v], site2, species, table, grid, steps)
            change += _settle(v, total, klass, order, where, start)
    return change


@_helper
def _drawn(u, start):
    """Class, index in it and what is left over of a number below the weight of all vacancies."""
    c = 0
    first = start[0]
    while c < MAX_CLASSES - 1:
        after = start[c + 1]
        part = _BOUNDS[c] * (after - first)
        if u < part:
            break
        u -= part
        first = after
        c += 1
    u /= _BOUNDS[c]
    k = min(np.int64(u), start[c + 1] - first - 1)
    return c, first + k, u - k


@_helper
def _chosen(target, place, site, species, table, grid, steps):
    """Neighbour that a number below the sum of the rates falls to; 6 beyond the sum."""
    r0, r1, r2, r3, r4, r5, _, _, _, _, _, _ = _rates(place, site, species, table, grid, steps)
    r1 += r0
    r2 += r1
    r3 += r2
    r4 += r3
    r5 += r4
    found = np.int64(target >= r0) + np.int64(target >= r1) + np.int64(target >= r2)
    return found + np.int64(target >= r3) + np.int64(target >= r4) + np.int64(target >= r5)


@_helper
def _look_ahead(state, weight, species, vacancies, order, start, grid, plan):
    """Load the surroundings of the next candidates; nothing depends on their being the right ones."""
    touched = np.int64(0)
    for i in range(AHEAD):
        state += _GOLDEN  # of the waiting time
        state += _GOLDEN
        u = _unit(state) * weight
        k = np.int64(0)
        for c in range(_NEAR):
            inside = (u >= 0.0) & (u < _BOUNDS[c] * (start[c + 1] - start[c]))
            k = start[c] + np.int64(u / _BOUNDS[c]) if inside else k
            u -= _BOUNDS[c] * (start[c + 1] - start[c])
        plan[i] = min(k, start[MAX_CLASSES] - 1)
    top = species.size - 1
    for i in range(AHEAD):
        site = _site(vacancies[np.uint64(order[np.uint64(plan[i])])], grid)
        touched += species[np.uint64(site)]  # and its neighbours along x
        touched += species[np.uint64(min(site + grid[GRID_Z], top))]
        touched += species[np.uint64(max(site - grid[GRID_Z], 0))]
        touched += species[np.uint64(min(site + grid[GRID_Y], top))]
        touched += species[np.uint64(max(site - grid[GRID_Y], 0))]
    return touched


@_entry
def hop_by_classes(
    species, vacancies, births, images, origin, ion_images, number, clock, rng, events,
    grid, steps, table, bound, thermal, frames, stages, ramp,
    cumulative, sizes, alpha, site_frames, owner, until, candidates,
):  # fmt: skip
    """Walk where rates are very unequal: vacancies in classes of twofold rates (composition, rejection).

    A vacancy is chosen by the bound of its class, then one of its hops by its rate; the bound is at
    most twice the sum of the rates, whatever their spread, and the cost does not grow with the
    number of vacancies.

    Parameters
    ----------
    species, vacancies, births, images, origin, ion_images, number, clock, rng, events : ndarray
        State, changed in place; see the module.
    grid, steps, table, bound, thermal, frames, stages, ramp, cumulative, sizes, alpha, site_frames
        As for :func:`hop_one_by_one`; ``table`` holds the largest rates where the field moves.
    owner : ndarray of int32, shape (sites,)
        Work space: the vacancy at a site.
    until : float
        Time at which to stop [s].
    candidates : int
        Number of candidates after which to stop.

    Returns
    -------
    bool
        True where ``until`` was reached.
    """
    state = rng[0]
    escapes = 0.0
    if cumulative.size:
        escapes = cumulative[cumulative.size - 1] / bound
    klass = np.empty(vacancies.size, np.int8)
    order = np.empty(vacancies.size, np.int32)
    where = np.empty(vacancies.size, np.int32)
    start = np.zeros(MAX_CLASSES + 1, np.int64)
    for v in range(number[0]):
        site = _site(vacancies[v], grid)
        owner[site] = v
        total, _ = _outflow(vacancies[v], site, species, table, grid, steps)
        klass[v] = _octave(total)
        start[klass[v] + 1] += 1
    for c in range(MAX_CLASSES):
        start[c + 1] += start[c]
    filled = start.copy()
    for v in range(number[0]):
        where[v] = filled[klass[v]]
        filled[klass[v]] += 1
        order[where[v]] = v
    weight = 0.0  # sum of the bounds, divided by six: exact, since all are powers of two
    for c in range(MAX_CLASSES):
        weight += _BOUNDS[c] * (start[c + 1] - start[c])
    moving = frames.size > 0
    large = species.size > LARGE and start[MAX_CLASSES] > 0
    plan = np.empty(AHEAD, np.int64)
    touched = np.int64(0)
    tried = 0
    time = clock[0]
    reached = False
    while tried < candidates:
        total = weight + escapes / 6.0
        state += _GOLDEN
        later = time + _wait(state) / (6.0 * bound * total)
        if later > until:
            time = until
            reached = True
            break
        time = later
        if large and tried % AHEAD == 0:
            touched += _look_ahead(
                state - _GOLDEN, weight, species, vacancies, order, start, grid, plan
            )
        tried += 1
        state += _GOLDEN
        u = _unit(state) * total
        if u >= weight:
            state, v = _try_escape(
                state, time, species, vacancies, births, images, origin, number, events, grid,
                cumulative, sizes, alpha, site_frames, stages, ramp,
            )  # fmt: skip
            if v >= 0:
                start[MAX_CLASSES] += 1
                klass[v] = MAX_CLASSES - 1
                where[v] = v
                order[v] = v
                site = _site(vacancies[v], grid)
                owner[site] = v
                weight += _BOUNDS[MAX_CLASSES - 1]
                total, _ = _outflow(vacancies[v], site, species, table, grid, steps)
                weight += _settle(v, total, klass, order, where, start)
                weight += _refresh(
                    vacancies[v], site, species, vacancies, owner, table, grid, steps, klass,
                    order, where, start,
                )  # fmt: skip
            continue
        c, k, left = _drawn(u, start)
        v = np.int64(order[k])
        place = vacancies[v]
        site = _site(place, grid)
        target = left * 6.0 * _BOUNDS[c]
        if moving:
            found = 6
            here = _cell(place, grid)
            for d in range(6):
                move, wraps = _neighbour(place, d, steps)
                ion = np.int64(species[site + move * steps[d, STRIDE]])
                cell = here + move * steps[d, FIELD] + steps[d, LAYER]
                if not (wraps != 0 and steps[d, CLOSED]):
                    target -= _share(time, ion, cell, table, thermal, frames, stages, ramp)
                if target < 0.0:
                    found = d
                    break
        else:
            found = _chosen(target, place, site, species, table, grid, steps)
        if found == 6:
            continue
        move, wraps = _neighbour(place, found, steps)
        ion = np.int64(species[site + move * steps[found, STRIDE]])
        site2 = _exchange(
            v, found, move, wraps, ion, site, species, vacancies, images, origin, ion_images, steps
        )
        events[ion - 1] += 1
        owner[site2] = v
        total, crowded = _outflow(vacancies[v], site2, species, table, grid, steps)
        weight += _settle(v, total, klass, order, where, start)
        # Vacancies next to one of the two sites have other neighbours now; the moved one is itself
        # next to its old site.
        if crowded:
            weight += _refresh(
                vacancies[v], site2, species, vacancies, owner, table, grid, steps, klass, order,
                where, start,
            )  # fmt: skip
        s0, s1, s2, s3, s4, s5, _, _, _, _, _, _ = _six(place, site, species, grid)
        empty = np.int64(s0 == 0) + np.int64(s1 == 0) + np.int64(s2 == 0)
        empty += np.int64(s3 == 0) + np.int64(s4 == 0) + np.int64(s5 == 0)
        if empty > 1:
            weight += _refresh(
                place, site, species, vacancies, owner, table, grid, steps, klass, order, where,
                start,
            )  # fmt: skip
    clock[0] = time
    rng[0] = state
    events[CANDIDATES] += tried
    events[TOUCHED] = touched
    return reached


# Exact walk: with the energy of carriers --------------------------------------------------------------


@_helper
def _solve_potential(mu, wanted, kt, gaps, population, tables):
    """Chemical potential of the carriers by Newton steps, and the tables that follow from it.

    ``tables`` has rows −kT ln(1 + exp((µ − E)/kT)), n and n (1 − n)/kT of every class of sites.
    """
    for _ in range(100):
        carriers = 0.0
        slope = 0.0
        for c in range(population.size):
            if population[c]:
                n = 1.0 / (1.0 + math.exp((gaps[c] - mu) / kt))
                carriers += population[c] * n
                slope += population[c] * n * (1.0 - n) / kt
        # In the logarithm of the number, which is nearly linear in µ while carriers are few.
        step = math.log(wanted / carriers) * carriers / slope
        step = min(max(step, -20.0 * kt), 20.0 * kt)
        mu += step
        if abs(step) < 1e-13 * kt + 1e-15:
            break
    carriers = 0.0
    slope = 0.0
    for c in range(population.size):
        n = 1.0 / (1.0 + math.exp((gaps[c] - mu) / kt))
        tables[0, c] = -kt * (-math.log1p(-n) if n < 0.5 else (mu - gaps[c]) / kt - math.log(n))
        tables[1, c] = n
        tables[2, c] = n * (1.0 - n) / kt
        carriers += population[c] * n
        slope += population[c] * tables[2, c]
    return mu, carriers, slope


@_helper
def _deepest(population, tables):
    """Largest gains of free energy by one site of any class that is there: iodide comes, bromide goes."""
    iodide = 0.0
    bromide = 0.0
    for c in range(population.size):
        if c + COUNTS < population.size:
            tables[3, c] = tables[0, c + COUNTS] - tables[0, c]
        if c > 0:
            tables[4, c] = tables[0, c - 1] - tables[0, c]
        if population[c]:
            iodide = min(iodide, tables[3, c])
            bromide = min(bromide, tables[4, c])
    return iodide, bromide


@_helper
def _plane(place, axis, offset, steps, classes, change, tables, result, write):
    """Nine sites of a plane gain or lose an ion: sum up what that costs, or let it happen."""
    omega = 0.0
    carriers = 0.0
    slope = 0.0
    second = 1 if axis == 0 else 0
    third = 1 if axis == 2 else 2
    size = steps[2 * axis, SIZE]
    at = (place >> (42 - 21 * axis)) & _MASK
    to = at + offset
    if to < 0 or to >= size:
        if steps[2 * axis, CLOSED]:
            result[0] = 0.0
            result[1] = 0.0
            result[2] = 0.0
            return
        to -= size * (1 if to >= size else -1)
    base = to * steps[2 * axis, STRIDE]
    for i in range(-1, 2):
        a = ((place >> (42 - 21 * second)) & _MASK) + i
        size = steps[2 * second, SIZE]
        if a < 0 or a >= size:
            if steps[2 * second, CLOSED]:
                continue
            a -= size * (1 if a >= size else -1)
        for j in range(-1, 2):
            b = ((place >> (42 - 21 * third)) & _MASK) + j
            size = steps[2 * third, SIZE]
            if b < 0 or b >= size:
                if steps[2 * third, CLOSED]:
                    continue
                b -= size * (1 if b >= size else -1)
            site = base + a * steps[2 * second, STRIDE] + b * steps[2 * third, STRIDE]
            old = np.int64(classes[site])
            new = old + change
            omega += tables[0, new] - tables[0, old]
            carriers += tables[1, new] - tables[1, old]
            slope += tables[2, new] - tables[2, old]
            if write:
                classes[site] = new
    result[0] = omega
    result[1] = carriers
    result[2] = slope


@_helper
def _move_population(place, axis, offset, steps, classes, change, population, tables, deep):
    """Count the classes of a plane after its change; whether one is deeper than any before."""
    deeper = False
    second = 1 if axis == 0 else 0
    third = 1 if axis == 2 else 2
    size = steps[2 * axis, SIZE]
    to = ((place >> (42 - 21 * axis)) & _MASK) + offset
    if to < 0 or to >= size:
        if steps[2 * axis, CLOSED]:
            return deeper
        to -= size * (1 if to >= size else -1)
    base = to * steps[2 * axis, STRIDE]
    for i in range(-1, 2):
        a = ((place >> (42 - 21 * second)) & _MASK) + i
        size = steps[2 * second, SIZE]
        if a < 0 or a >= size:
            if steps[2 * second, CLOSED]:
                continue
            a -= size * (1 if a >= size else -1)
        for j in range(-1, 2):
            b = ((place >> (42 - 21 * third)) & _MASK) + j
            size = steps[2 * third, SIZE]
            if b < 0 or b >= size:
                if steps[2 * third, CLOSED]:
                    continue
                b -= size * (1 if b >= size else -1)
            new = np.int64(
                classes[base + a * steps[2 * second, STRIDE] + b * steps[2 * third, STRIDE]]
            )
            population[new - change] -= 1
            population[new] += 1
            if tables[3, new] < deep[IODIDE]:
                deep[IODIDE] = tables[3, new]
                deeper = True
            if tables[4, new] < deep[BROMIDE]:
                deep[BROMIDE] = tables[4, new]
                deeper = True
    return deeper


@_entry
def hop_free_energy(place, d, ion, drift, slope, steps, classes, tables):
    """Free energy that a hop costs at a frozen chemical potential [eV].

    Parameters
    ----------
    place, d, ion : int
        Vacancy, its neighbour, and the species there.
    drift : float
        Carriers at this potential beyond those there are.
    slope : float
        dN/dµ [1/eV].
    steps, classes, tables : ndarray
        See :func:`hop_with_carriers`.

    Returns
    -------
    tuple of float
        ΔF [eV]; the change of the number of carriers and of its slope.
    """
    result = np.empty(3)
    return _free_energy(place, d, ion, drift, slope, steps, classes, tables, result)


@_helper
def _free_energy(place, d, ion, drift, slope, steps, classes, tables, result):
    change = COUNTS if ion == IODIDE else 1
    step = steps[d, STEP]
    axis = steps[d, AXIS]
    # The ion comes to the vacancy's site: the plane behind gains it, the one beyond its old site
    # loses it, and what lies between has it in its cube before and after.
    _plane(place, axis, -step, steps, classes, change, tables, result, False)
    omega, carriers, curve = result[0], result[1], result[2]
    _plane(place, axis, 2 * step, steps, classes, -change, tables, result, False)
    omega += result[0]
    carriers += result[1]
    curve += result[2]
    return omega + carriers * (2.0 * drift + carriers) / (2.0 * slope), carriers, curve


@_entry
def count_cubes(species, classes, population, grid, steps):
    """Count iodide and bromide in the 3 × 3 × 3 cube around every site.

    Parameters
    ----------
    species : ndarray of int8
        Lattice.
    classes : ndarray of int16
        Set to iodides · 28 + bromides.
    population : ndarray of int64, shape (784,)
        Set to the number of sites of every class.
    grid, steps : ndarray
        Geometry.
    """
    population[:] = 0
    nz, ny, nx = grid[SIZE_Z], grid[SIZE_Y], grid[SIZE_X]
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                c = 0
                for i in range(z - 1, z + 2):
                    if steps[0, CLOSED] and (i < 0 or i >= nz):
                        continue
                    for j in range(y - 1, y + 2):
                        if steps[2, CLOSED] and (j < 0 or j >= ny):
                            continue
                        for k in range(x - 1, x + 2):
                            if steps[4, CLOSED] and (k < 0 or k >= nx):
                                continue
                            s = species[((i % nz) * ny + j % ny) * nx + k % nx]
                            c += COUNTS * (s == IODIDE) + (s == BROMIDE)
                classes[(z * ny + y) * nx + x] = c
                population[c] += 1


@_entry
def hop_with_carriers(
    species, vacancies, images, origin, ion_images, number, clock, rng, events, grid, steps,
    betas, thermal, frames, stages, ramp, top_beta, attempt,
    classes, population, gaps, gap_step, wanted, kt, share, until, candidates,
):  # fmt: skip
    """Walk with null events where carriers in the lowest gaps lower the free energy.

    Parameters
    ----------
    species, vacancies, images, origin, ion_images, number, clock, rng, events : ndarray
        State, changed in place; see the module.
    grid, steps : ndarray of int64
        Geometry.
    betas : ndarray, shape (cells,)
        1/(k_B T) of the lattice [1/eV], where the field is frozen.
    thermal, frames, stages, ramp
        As for :func:`hop_one_by_one`.
    top_beta : float
        1/(k_B T) where it is hottest, at any time [1/eV].
    attempt : float
        Attempt rate [1/s].
    classes, population : ndarray
        Work space: class of every site (int16), sites of every class (int64).
    gaps : ndarray, shape (784,)
        Local gap of every class [eV].
    gap_step : float
        Largest change of a gap by one ion [eV].
    wanted, kt, share : float
        Number of carriers; their k_B T [eV]; change of their number at which µ is found anew [1].
    until : float
        Time at which to stop [s].
    candidates : int
        Number of candidates after which to stop.

    Returns
    -------
    bool
        True where ``until`` was reached.
    """
    state = rng[0]
    n = number[0]
    tables = np.zeros((5, population.size))
    result = np.empty(3)
    count_cubes(species, classes, population, grid, steps)
    mu, carriers, slope = _solve_potential(
        gaps.min() - 20.0 * kt, wanted, kt, gaps, population, tables
    )
    drift = carriers - wanted
    deep = np.zeros(3)
    deep[IODIDE], deep[BROMIDE] = _deepest(population, tables)
    renew = True
    bound = 0.0
    tops = np.zeros(3)
    tried = 0
    time = clock[0]
    reached = False
    while tried < candidates:
        if renew:
            # All carriers together feel at most the largest change of a gap; and of the changed
            # sites nine go down, each by no more than the deepest. The tighter bound counts.
            slack = 0.5 * (share * wanted) ** 2 / slope
            for s in range(1, 3):
                bottom = max(-1.02 * wanted * gap_step, 9.0 * deep[s]) - slack
                tops[s] = attempt * math.exp(-max(0.0, thermal[1 + s] + 0.5 * bottom) * top_beta)
            bound = max(tops[1], tops[2])
            renew = False
        state += _GOLDEN
        later = time + _wait(state) / (6.0 * n * bound)
        if later > until:
            time = until
            reached = True
            break
        time = later
        tried += 1
        state += _GOLDEN
        u = _unit(state) * (6.0 * n)
        k = np.int64(u)
        v = k // 6
        d = k - 6 * v
        u -= k
        place = vacancies[v]
        move, wraps = _neighbour(place, d, steps)
        if wraps != 0 and steps[d, CLOSED]:
            continue
        site = _site(place, grid)
        ion = np.int64(species[site + move * steps[d, STRIDE]])
        # Most candidates fail already by what their species can reach at best.
        if u * bound >= tops[ion]:
            continue
        cell = _cell(place, grid) + move * steps[d, FIELD] + steps[d, LAYER]
        energy, more, curve = _free_energy(
            place, d, ion, drift, slope, steps, classes, tables, result
        )
        barrier = max(0.0, energy, thermal[1 + ion] + 0.5 * energy)
        if frames.size:
            temperature = thermal[0] + _rise(time, cell, frames, stages, ramp)
            beta = 1.0 / (_BOLTZMANN_EV_K * temperature)
        else:
            beta = np.float64(betas[cell])
        rate = attempt * math.exp(-barrier * beta)
        if rate > tops[ion] * 1.0000001:
            events[BREACHES] += 1
        if u * bound >= rate:
            continue
        change = COUNTS if ion == IODIDE else 1
        step = steps[d, STEP]
        axis = steps[d, AXIS]
        _plane(place, axis, -step, steps, classes, change, tables, result, True)
        _plane(place, axis, 2 * step, steps, classes, -change, tables, result, True)
        renew = _move_population(
            place, axis, -step, steps, classes, change, population, tables, deep
        )
        renew |= _move_population(
            place, axis, 2 * step, steps, classes, -change, population, tables, deep
        )
        _exchange(
            v, d, move, wraps, ion, site, species, vacancies, images, origin, ion_images, steps
        )
        events[ion - 1] += 1
        drift += more
        slope += curve
        if abs(drift) > share * wanted:
            mu, carriers, slope = _solve_potential(mu, wanted, kt, gaps, population, tables)
            drift = carriers - wanted
            deep[IODIDE], deep[BROMIDE] = _deepest(population, tables)
            events[RENEWALS] += 1
            renew = True
    clock[0] = time
    rng[0] = state
    events[CANDIDATES] += tried
    return reached


# The published rule -----------------------------------------------------------------------------------


@_helper
def _around_sum(place, half, side, species, rates, grid, steps):
    """Sum of the Arrhenius factors of the ions in the subcell around a place."""
    total = 0.0
    z0, y0, x0 = place >> 42, (place >> 21) & _MASK, place & _MASK
    nz, ny, nx = grid[SIZE_Z], grid[SIZE_Y], grid[SIZE_X]
    for i in range(side[0]):
        z = z0 - half[0] + i
        if z < 0 or z >= nz:
            if steps[0, CLOSED]:
                continue
            z -= nz * (1 if z >= nz else -1)
        for j in range(side[1]):
            y = y0 - half[1] + j
            if y < 0 or y >= ny:
                if steps[2, CLOSED]:
                    continue
                y -= ny * (1 if y >= ny else -1)
            for k in range(side[2]):
                x = x0 - half[2] + k
                if x < 0 or x >= nx:
                    if steps[4, CLOSED]:
                        continue
                    x -= nx * (1 if x >= nx else -1)
                ion = species[(z * ny + y) * nx + x]
                total += rates[ion, z * grid[FIELD_Z] + y * grid[FIELD_Y] + x * grid[FIELD_X]]
    return total


@_entry
def sweep_published(
    species, vacancies, births, images, origin, ion_images, number, rng, events, grid, steps,
    rates, leave, half, side, sweeps,
):  # fmt: skip
    """Sweep over all vacancies by the published rule.

    Parameters
    ----------
    species, vacancies, births, images, origin, ion_images, number, rng, events : ndarray
        State, changed in place; see the module.
    grid, steps : ndarray of int64
        Geometry.
    rates : ndarray, shape (3, cells)
        Arrhenius factors at the sites, in any unit; zeros for the vacancy.
    leave : ndarray, shape (cells,)
        Probability that a chosen iodide escapes [1], tried before its swap is; of size zero without.
    half, side : ndarray of int64, shape (3,)
        Sites of the subcell before its middle, and of its side.
    sweeps : int
        How often every vacancy has its turn.
    """
    state = rng[0]
    nz, ny, nx = grid[SIZE_Z], grid[SIZE_Y], grid[SIZE_X]
    whole = 0.0
    highest = 0.0
    at = 0
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                cell = z * grid[FIELD_Z] + y * grid[FIELD_Y] + x * grid[FIELD_X]
                whole += rates[species[at], cell]
                highest = max(highest, rates[1, cell], rates[2, cell])
                at += 1
    most = side[0] * side[1] * side[2] * highest
    likely = 0.0
    for cell in range(leave.size):
        likely = max(likely, leave[cell])
    weights = np.empty(6)
    for _ in range(sweeps):
        for v in range(number[0]):
            state += _GOLDEN
            accept = _unit(state) * whole
            leaves = 1.0
            if likely > 0.0:
                state += _GOLDEN
                leaves = _unit(state)
            events[CANDIDATES] += 1
            # Numbers above anything that a subcell could hold, and above every probability of
            # escape: nothing will come of this turn, whichever neighbour is chosen.
            if accept >= most and leaves >= likely:
                continue
            place = vacancies[v]
            site = _site(place, grid)
            here = _cell(place, grid)
            total = 0.0
            for d in range(6):
                move, wraps = _neighbour(place, d, steps)
                weights[d] = 0.0
                if not (wraps != 0 and steps[d, CLOSED]):
                    ion = species[site + move * steps[d, STRIDE]]
                    weights[d] = rates[ion, here + move * grid[FIELD_Z + steps[d, AXIS]]]
                total += weights[d]
            if total <= 0.0:
                continue
            state += _GOLDEN
            target = _unit(state) * total
            d = 0
            while d < 5 and target >= weights[d]:
                target -= weights[d]
                d += 1
            move, wraps = _neighbour(place, d, steps)
            site2 = site + move * steps[d, STRIDE]
            ion = np.int64(species[site2])
            cell = here + move * grid[FIELD_Z + steps[d, AXIS]]
            if ion == VACANCY:
                continue
            if leaves < likely and ion == IODIDE and leaves < leave[cell]:
                whole -= rates[ion, cell]
                species[site2] = VACANCY
                if origin.size:
                    origin[site2] = -1
                _born(place + (move << steps[d, SHIFT]), vacancies, births, images, number)
                events[ESCAPES] += 1
                continue
            if accept >= most:
                continue
            if accept >= _around_sum(place, half, side, species, rates, grid, steps):
                continue
            whole += rates[ion, here] - rates[ion, cell]
            _exchange(
                v, d, move, wraps, ion, site, species, vacancies, images, origin, ion_images, steps
            )
            events[ion - 1] += 1
    rng[0] = state
