"""Maps that are lists of positions: onto a grid where they lie on one, else a list with coordinates."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level

__all__ = ["POINT_OPTIONS", "grid_levels", "place_points", "positions"]

POINT_OPTIONS = ("points", "tolerance_um")

# Positions within this part of a step belong to one line of the grid.
_SCATTER = 0.25
# Steps are at least this many times larger than the scatter of a stage about one position.
_CONTRAST = 5.0


def place_points(
    path: Path, ds: xr.Dataset, *, points: str | None = None, tolerance_um: float | None = None
) -> xr.Dataset:
    """Put a list of positions onto a grid, where they lie on one.

    Parameters
    ----------
    path : pathlib.Path
        For the messages.
    ds : xarray.Dataset
        Variables over ``point``; coordinates ``x`` and ``y`` over ``point`` [µm].
    points : {"grid", "list"}, optional
        Demand a grid, or leave the list alone. By default a grid where no two positions fall onto one
        place of it and at least half of its places are measured, else the list.
    tolerance_um : float, optional
        Positions closer than this along one axis lie on one line of the grid [µm]. By default found
        from the gap between the scatter of the positions and their step.

    Returns
    -------
    xarray.Dataset
        Over ``y``, ``x`` (places without a measurement are NaN), or over ``point``.

    Raises
    ------
    FileFormatError
        If a grid is demanded and the positions do not lie on one, or a position is not a number.

    Warns
    -----
    PlkitWarning
        If places of the grid are empty.

    Examples
    --------
    >>> x, y = np.meshgrid([0.0, 1.0, 2.0], [5.0, 7.0])
    >>> ds = xr.Dataset({"intensity": (("point", "wavelength"), np.arange(12.0).reshape(6, 2))},
    ...                 {"x": ("point", x.ravel() + 0.003 * np.arange(6)), "y": ("point", y.ravel())})
    >>> dict(place_points(Path("map.txt"), ds).sizes)
    {'y': 2, 'x': 3, 'wavelength': 2}
    """
    if points not in (None, "grid", "list"):
        raise file_error(path, f"points is '{points}', not 'grid' or 'list'")
    for axis in (names.X, names.Y):
        bad = int(np.sum(~np.isfinite(ds[axis].values)))
        if bad:
            raise file_error(path, f"{bad} positions give no number for '{axis}'")
    if points == "list":
        return ds
    found = _grid(ds[names.X].values, ds[names.Y].values, tolerance_um)
    if isinstance(found, str):
        if points == "grid":
            raise file_error(
                path, f"its {ds.sizes[names.POINT]} positions are no grid: {found}",
                'Keep the list: plkit.read(path, points="list"), or say how far positions scatter: tolerance_um=0.5.',
            )  # fmt: skip
        return ds
    x_levels, y_levels, column, row = found
    shape = (len(y_levels), len(x_levels))
    n_missing = shape[0] * shape[1] - ds.sizes[names.POINT]
    if n_missing:
        warnings.warn(
            f"'{path.name}' holds {ds.sizes[names.POINT]} of the {shape[0] * shape[1]} positions of its grid "
            f"({shape[0]} y × {shape[1]} x); the missing ones are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    variables: dict[str, Any] = {}
    for name, da in ds.data_vars.items():
        if names.POINT not in da.dims:
            variables[str(name)] = da
            continue
        values = da.transpose(names.POINT, ...)
        dtype = np.result_type(values.dtype, np.float32) if n_missing else values.dtype
        grid = np.full((*shape, *values.shape[1:]), np.nan if n_missing else 0, dtype)
        grid[row, column] = values.values
        rest = [d for d in values.dims if d != names.POINT]
        variables[str(name)] = ((names.Y, names.X, *rest), grid, da.attrs)
    coords = {n: c for n, c in ds.coords.items() if names.POINT not in c.dims}
    coords[names.Y] = xr.Variable(names.Y, y_levels, ds[names.Y].attrs)
    coords[names.X] = xr.Variable(names.X, x_levels, ds[names.X].attrs)
    return xr.Dataset(variables, coords, ds.attrs)


def _grid(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], tolerance_um: float | None
) -> str | tuple[Any, Any, Any, Any]:
    """Levels along x and y with the place of each position, or the reason why there is no grid."""
    x_levels, column = grid_levels(x, tolerance_um)
    y_levels, row = grid_levels(y, tolerance_um)
    places = row * len(x_levels) + column
    if len(np.unique(places)) < len(places):
        return "two of them fall onto one place"
    size = len(x_levels) * len(y_levels)
    if size > 2 * len(places):
        return f"they would fill {len(places)} of {len(y_levels)} × {len(x_levels)} places"
    return x_levels, y_levels, column, row


def positions(
    path: Path,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    points: str | None = None,
    tolerance_um: float | None = None,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Find the positions among rows of which several belong to one.

    Parameters
    ----------
    path : pathlib.Path
        For the messages.
    x, y : ndarray
        (rows,) [µm].
    points, tolerance_um : optional
        As for :func:`place_points`: rows within the tolerance are one position, unless a list is wanted.

    Returns
    -------
    index : ndarray of int
        (rows,) the position of each row.
    where : ndarray
        (positions, 2) x and y [µm].

    Raises
    ------
    FileFormatError
        If a coordinate is not a number.
    """
    for axis, values in ((names.X, x), (names.Y, y)):
        bad = int(np.sum(~np.isfinite(values)))
        if bad:
            raise file_error(path, f"{bad} rows give no number for '{axis}'")
    pairs = np.stack([x, y], axis=1)
    if points != "list":
        x_levels, column = grid_levels(x, tolerance_um)
        y_levels, row = grid_levels(y, tolerance_um)
        places = len(np.unique(row * len(x_levels) + column))
        if len(x_levels) * len(y_levels) <= 2 * places:
            pairs = np.stack([x_levels[column], y_levels[row]], axis=1)
    where, index = np.unique(pairs, axis=0, return_inverse=True)
    return index.reshape(-1), where


def grid_levels(
    values: npt.NDArray[np.float64], tolerance: float | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Levels that scattered coordinates belong to.

    Parameters
    ----------
    values : ndarray
        (n,) coordinates.
    tolerance : float, optional
        Largest gap within one level; by default where the sorted gaps jump by a factor of 5 or more.

    Returns
    -------
    levels : ndarray
        Means of the levels, ascending.
    index : ndarray of int
        (n,) the level of each value.

    Examples
    --------
    >>> levels, index = grid_levels(np.array([0.01, 1.0, 0.0, 1.02]))
    >>> levels.round(3).tolist(), index.tolist()
    ([0.005, 1.01], [0, 1, 0, 1])
    """
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    if tolerance is None:
        tolerance = _scatter(gaps)
    level = np.concatenate([[0], np.cumsum(gaps > tolerance)]).astype(np.intp)
    index = np.empty(len(values), np.intp)
    index[order] = level
    counts = np.bincount(index)
    return np.bincount(index, values) / counts, index


def _scatter(gaps: npt.NDArray[np.float64]) -> float:
    """Largest gap that is scatter: the place of the widest jump between sorted gaps."""
    span = float(gaps.sum())
    # Numbers of text have some digits: what is smaller than that is rounding.
    rounding = 1e-9 * span
    steps = np.sort(gaps[gaps > rounding])
    if len(steps) < 2:
        return rounding
    ratios = steps[1:] / steps[:-1]
    widest = int(np.argmax(ratios))
    if ratios[widest] < _CONTRAST:
        return rounding
    return float(min(np.sqrt(steps[widest] * steps[widest + 1]), _SCATTER * steps[widest + 1]))
