"""A labelled array as a table of traces: one row per fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.errors import DataError, UnitsError

__all__ = ["Labels", "Prepared", "Traces", "constant_chisqr", "prepare", "stack_traces"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labels:
    """Where the rows of a result belong.

    Parameters
    ----------
    outer : xarray.DataArray
        The data at the first point: dims, shape and coordinates of every result.
    n_points : numpy.ndarray of int
        Shape (rows,): points of each trace that are not gaps.
    """

    outer: xr.DataArray
    n_points: NDArray[np.int64]

    def label(self, values: ArrayLike, **attrs: Any) -> xr.DataArray:
        """Give one value per row the dims and coordinates of the data without ``dim``.

        Parameters
        ----------
        values : array_like
            Shape (rows,).
        **attrs
            Attributes of the result.
        """
        array = np.asarray(values).reshape(self.outer.shape)
        return xr.DataArray(array, dims=self.outer.dims, coords=self.outer.coords, attrs=attrs)


@dataclass(frozen=True, slots=True)
class Traces:
    """Rows to be fitted, with what is needed to label the results.

    Parameters
    ----------
    x : numpy.ndarray
        Shape (n,), ascending: values of the coordinate along which the fits run.
    signal : numpy.ndarray
        Shape (rows, n), float64; NaN is a gap.
    sigma : numpy.ndarray or None
        Shape (rows, n): one σ of every point; NaN wherever ``signal`` is.
    outer : xarray.DataArray
        The data at the first point: dims, shape and coordinates of every result.
    dim : str
        Dimension along which the fits run.
    unit, x_unit : str
        Units of the signal and of ``x``; empty where not stated.
    """

    x: Floats
    signal: Floats
    sigma: Floats | None
    outer: xr.DataArray
    dim: str
    unit: str
    x_unit: str

    @property
    def rows(self) -> int:
        """Number of traces."""
        return int(self.signal.shape[0])

    @property
    def n_points(self) -> NDArray[np.int64]:
        """Number of points of each trace that are not gaps."""
        return np.asarray(np.isfinite(self.signal).sum(axis=1), dtype=np.int64)

    @property
    def labels(self) -> Labels:
        """What is needed to label results."""
        return Labels(self.outer, self.n_points)

    @property
    def weight(self) -> Floats:
        """1/σ², or 1 where no σ was given; 0 for a gap."""
        finite = np.isfinite(self.signal)
        if self.sigma is None:
            return finite.astype(np.float64)
        return np.where(finite, 1.0 / np.where(finite, self.sigma, 1.0) ** 2, 0.0)

    def chisqr_constant(self) -> Floats:
        """χ² of the best constant of every trace; NaN where a trace has no point."""
        y = np.where(np.isfinite(self.signal), self.signal, 0.0)
        return constant_chisqr(y, self.weight)

    def label(self, values: ArrayLike, **attrs: Any) -> xr.DataArray:
        """Give one value per row the dims and coordinates of the data without ``dim``.

        Parameters
        ----------
        values : array_like
            Shape (rows,).
        **attrs
            Attributes of the result.
        """
        return self.labels.label(values, **attrs)


def constant_chisqr(y: Floats, weight: Floats) -> Floats:
    """χ² of the best constant of every trace; NaN where a trace has no point.

    Parameters
    ----------
    y : numpy.ndarray
        Shape (rows, points); any finite number in gaps.
    weight : numpy.ndarray
        1/σ², zero in gaps.
    """
    total = weight.sum(axis=1)
    safe = np.where(total > 0, total, 1.0)
    mean = (weight * y).sum(axis=1) / safe
    chi2 = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
    # What rounding leaves of a trace that is exactly constant is no change.
    chi2 = np.where(chi2 <= 1e-24 * (weight * y**2).sum(axis=1), 0.0, chi2)
    return np.asarray(np.where(total > 0, chi2, np.nan))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Checked input of a fit, not yet loaded where it is lazy.

    Parameters
    ----------
    data : xarray.DataArray
        Dims (…, dim), ascending along ``dim``.
    sigma : xarray.DataArray or None
        One σ in the unit of the data; some of its dims, ``dim`` last.
    x : numpy.ndarray
        The axis.
    dim : str
        Dimension along which the fits run.
    unit, x_unit : str
        Units of data and axis; empty where not stated.
    """

    data: xr.DataArray
    sigma: xr.DataArray | None
    x: Floats
    dim: str
    unit: str
    x_unit: str

    @property
    def outer(self) -> xr.DataArray:
        """The data at the first point: dims, shape and coordinates of every result."""
        return self.data.isel({self.dim: 0}, drop=True)

    @property
    def lazy(self) -> bool:
        """True where the data are read only when they are needed."""
        return self.data.chunks is not None


def prepare(
    data: xr.DataArray, dim: str, stderr: xr.DataArray | ArrayLike | None, action: str
) -> Prepared:
    """Check an array and its σ, and turn them so that ``dim`` comes last and ascends.

    Parameters
    ----------
    data : xarray.DataArray
        Shape (…, dim); a number type. NaN is a gap.
    dim : str
        Dimension along which the fits run; its coordinate has finite numbers.
    stderr : xarray.DataArray, array_like or None
        One σ, in the unit of the data: broadcast to it.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    Prepared
        Nothing is loaded.

    Raises
    ------
    DataError
        If the dimension, its coordinate or the shape of ``stderr`` does not fit, or if there is no
        value at all.
    UnitsError
        If data and ``stderr`` have different units.
    """
    if not isinstance(data, xr.DataArray):
        raise DataError(
            action,
            f"the data is a {type(data).__name__}, not an xarray.DataArray",
            "Pick a variable of the dataset, or wrap the numbers: xr.DataArray(values, dims=...).",
        )
    if dim not in data.dims:
        found = ", ".join(map(str, data.dims)) or "none"
        raise DataError(
            action,
            f"the data has dims {found}, not the required {dim}",
            "Name the dimension along which to fit, or rename it.",
        )
    if data.size == 0:
        raise DataError(action, f"the data has shape {data.shape}: no values")
    if data.dtype.kind not in "iufb":
        raise DataError(action, f"the data has dtype {data.dtype}, not a real number")
    x = _axis(data, dim, action)
    moved = data.transpose(..., dim)
    sigma = None if stderr is None else _sigma(data, moved, stderr, action)
    order = np.argsort(x, kind="stable")
    if not np.array_equal(order, np.arange(x.size)):
        x, moved = x[order], moved.isel({dim: order})
        sigma = sigma if sigma is None or dim not in sigma.dims else sigma.isel({dim: order})
    return Prepared(
        moved,
        sigma,
        x,
        dim,
        str(data.attrs.get("units", "")),
        str(data[dim].attrs.get("units", "")),
    )


def stack_traces(
    data: xr.DataArray, dim: str, stderr: xr.DataArray | ArrayLike | None, action: str
) -> Traces:
    """Turn an array into traces along ``dim``.

    Parameters
    ----------
    data : xarray.DataArray
        Shape (…, dim); a number type. NaN is a gap.
    dim : str
        Dimension along which the fits run; its coordinate has finite numbers.
    stderr : xarray.DataArray, array_like or None
        One σ, in the unit of the data: broadcast to it. Points whose σ is not a positive number
        are gaps.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    Traces
        Sorted by the coordinate.

    Raises
    ------
    DataError
        If the dimension, its coordinate or the shape of ``stderr`` does not fit, if there is no
        value at all, or if a σ is negative.
    UnitsError
        If data and ``stderr`` have different units.
    """
    ready = prepare(data, dim, stderr, action)
    n = ready.x.size
    sigma = None
    if ready.sigma is not None:
        sigma = ready.sigma.broadcast_like(ready.data).transpose(*ready.data.dims).values
        sigma = sigma.reshape(-1, n)
    signal, sigma = rows_of(ready.data.values.reshape(-1, n), sigma, action)
    return Traces(ready.x, signal, sigma, ready.outer, dim, ready.unit, ready.x_unit)


def rows_of(
    signal: ArrayLike, sigma: ArrayLike | None, action: str
) -> tuple[Floats, Floats | None]:
    """Make float64 rows in which every gap is NaN, in signal and σ alike.

    Parameters
    ----------
    signal, sigma : array_like
        Shape (rows, points).
    action : str
        The words after "Cannot" in errors.
    """
    y = np.asarray(signal, dtype=np.float64)
    whole = bool(np.isfinite(y).all())
    if sigma is None:
        return (y if whole else np.where(np.isfinite(y), y, np.nan)), None
    s = np.asarray(sigma, dtype=np.float64)
    least = s.min(initial=np.inf)
    if least < 0 or np.any(s < 0):
        raise DataError(action, "'stderr' has negative values, not standard deviations")
    if whole and least > 0 and s.max(initial=0.0) < np.inf:
        return y, s
    good = np.isfinite(s) & (s > 0) & np.isfinite(y)
    return np.where(good, y, np.nan), np.where(good, s, np.nan)


def _axis(data: xr.DataArray, dim: str, action: str) -> Floats:
    if dim not in data.coords:
        raise DataError(
            action,
            f"dimension '{dim}' has no coordinate values",
            f'Add them: data.assign_coords({dim}=("{dim}", values)).',
        )
    coord = data[dim]
    if coord.dtype.kind not in "iuf":
        raise DataError(action, f"coordinate '{dim}' has dtype {coord.dtype}, not a number")
    x = np.asarray(coord.values, dtype=np.float64)
    if not np.all(np.isfinite(x)):
        raise DataError(
            action,
            f"coordinate '{dim}' has {int(np.sum(~np.isfinite(x)))} values that are not finite",
            "Drop them.",
        )
    return x


def _sigma(
    data: xr.DataArray,
    moved: xr.DataArray,
    stderr: xr.DataArray | ArrayLike,
    action: str,
) -> xr.DataArray:
    """σ with those dims of the data that it has, in their order."""
    if not isinstance(stderr, xr.DataArray):
        array = np.asarray(stderr, dtype=np.float64)
        try:
            np.broadcast_shapes(array.shape, data.shape)
            if array.ndim > data.ndim:
                raise ValueError
        except ValueError as error:
            raise DataError(
                action,
                f"'stderr' has shape {np.shape(stderr)}, not one that broadcasts to {data.shape}",
                "Give a number or a DataArray with the dims of the data.",
            ) from error
        kept = [d for d, n in zip(data.dims[::-1], array.shape[::-1], strict=False) if n != 1]
        found = xr.DataArray(array.squeeze(), dims=kept[::-1])
        return found.transpose(*[d for d in moved.dims if d in found.dims])
    unit, wanted = stderr.attrs.get("units"), moved.attrs.get("units")
    if unit is not None and wanted is not None:
        factor = names.conversion_factor(str(unit), str(wanted))
        if factor is None:
            raise UnitsError(
                action,
                f"'stderr' has units '{unit}', not '{wanted}' as the data",
                "Give σ in the unit of the data.",
            )
        stderr = stderr if factor == 1.0 else stderr * factor
    return aligned(stderr, moved, "stderr", action)


def aligned(given: xr.DataArray, data: xr.DataArray, name: str, action: str) -> xr.DataArray:
    """Check that an array fits to the data, and give it their order of dims.

    Parameters
    ----------
    given, data : xarray.DataArray
        ``given`` may have fewer dims.
    name : str
        Of the argument, for errors.
    action : str
        The words after "Cannot" in errors.
    """
    extra = [str(d) for d in given.dims if d not in data.dims]
    if extra:
        raise DataError(action, f"'{name}' runs over {', '.join(extra)}, which the data has not")
    try:
        found, _ = xr.align(given, data, join="exact", copy=False)
    except ValueError as error:
        raise DataError(
            action,
            f"'{name}' has other coordinates than the data, not the same",
            "Select both from one dataset.",
        ) from error
    return found.transpose(*[d for d in data.dims if d in found.dims])
