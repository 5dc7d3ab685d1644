"""A labelled array as a table of traces: one row per fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.errors import DataError, UnitsError

__all__ = ["Traces", "stack_traces"]

Floats = NDArray[np.float64]


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
    def weight(self) -> Floats:
        """1/σ², or 1 where no σ was given; 0 for a gap."""
        finite = np.isfinite(self.signal)
        if self.sigma is None:
            return finite.astype(np.float64)
        return np.where(finite, 1.0 / np.where(finite, self.sigma, 1.0) ** 2, 0.0)

    def chisqr_constant(self) -> Floats:
        """χ² of the best constant of every trace; NaN where a trace has no point."""
        w, y = self.weight, np.where(np.isfinite(self.signal), self.signal, 0.0)
        total = w.sum(axis=1)
        safe = np.where(total > 0, total, 1.0)
        mean = (w * y).sum(axis=1) / safe
        chi2 = (w * (y - mean[:, None]) ** 2).sum(axis=1)
        # What rounding leaves of a trace that is exactly constant is no change.
        chi2 = np.where(chi2 <= 1e-24 * (w * y**2).sum(axis=1), 0.0, chi2)
        return np.where(total > 0, chi2, np.nan)

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
    order = np.argsort(x, kind="stable")
    moved = data.transpose(..., dim)
    n = x.size
    signal = np.asarray(moved.values, dtype=np.float64)[..., order].reshape(-1, n)
    signal = np.where(np.isfinite(signal), signal, np.nan)
    sigma = None
    if stderr is not None:
        sigma = _sigma(data, moved, stderr, action)[..., order].reshape(-1, n)
        good = np.isfinite(sigma) & (sigma > 0) & np.isfinite(signal)
        signal, sigma = np.where(good, signal, np.nan), np.where(good, sigma, np.nan)
    return Traces(
        x[order],
        signal,
        sigma,
        moved.isel({dim: 0}, drop=True),
        dim,
        str(data.attrs.get("units", "")),
        str(data[dim].attrs.get("units", "")),
    )


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
    data: xr.DataArray, moved: xr.DataArray, stderr: xr.DataArray | ArrayLike, action: str
) -> Floats:
    if isinstance(stderr, xr.DataArray):
        unit, wanted = stderr.attrs.get("units"), moved.attrs.get("units")
        if unit is not None and wanted is not None:
            factor = names.conversion_factor(str(unit), str(wanted))
            if factor is None:
                raise UnitsError(
                    action,
                    f"'stderr' has units '{unit}', not '{wanted}' as the data",
                    "Give σ in the unit of the data.",
                )
            stderr = stderr * factor
        extra = [str(d) for d in stderr.dims if d not in moved.dims]
        if extra:
            raise DataError(
                action, f"'stderr' runs over {', '.join(extra)}, which the data has not"
            )
        try:
            aligned, other = xr.align(stderr, moved, join="exact")
        except ValueError as error:
            raise DataError(
                action,
                "'stderr' has other coordinates than the data, not the same",
                "Select both from one dataset.",
            ) from error
        values = aligned.broadcast_like(other).transpose(*moved.dims).values
    else:
        try:
            array = np.broadcast_to(np.asarray(stderr, dtype=np.float64), data.shape)
        except ValueError as error:
            raise DataError(
                action,
                f"'stderr' has shape {np.shape(stderr)}, not one that broadcasts to {data.shape}",
                "Give a number or a DataArray with the dims of the data.",
            ) from error
        values = data.copy(data=array).transpose(*moved.dims).values
    values = np.asarray(values, dtype=np.float64)
    if np.any(values < 0):
        raise DataError(action, "'stderr' has negative values, not standard deviations")
    return values
