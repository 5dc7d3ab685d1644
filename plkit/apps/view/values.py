"""What is drawn, computed from a layer and the state: plain arrays, read no further than needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, spectra
from plkit.apps.view.layers import Layer
from plkit.errors import PlkitError
from plkit.names import COMPONENT, INTENSITY, WAVELENGTH

__all__ = [
    "band_of",
    "box_of",
    "inside",
    "label_of",
    "levels_of",
    "map_array",
    "plane_of",
    "region_mask",
    "region_table",
    "spectrum_of",
    "trace_of",
    "with_sigma",
]

Floats = NDArray[np.float64]
Maps = Mapping[str, xr.Dataset]


def label_of(layer: Layer, quantity: str, maps: Maps) -> str:
    """What a quantity is called on an axis, with its unit."""
    if quantity == "band":
        return "Intensity, sum over the band (counts)"
    if quantity in ("slice", "spectra"):
        return names.label(layer.variable) if layer.variable in names.TABLE else layer.variable
    da = map_array(layer, quantity, maps)
    base, _, component = quantity.rpartition("/")[2].partition(":")
    unit = str(da.attrs.get("units", "1"))
    if base in names.TABLE and names.unit(base) == unit:
        text = names.label(base)
    else:
        text = str(da.attrs.get("long_name", base)) + ("" if unit == "1" else f" ({unit})")
    return f"{text}, {component}" if component else text


def map_array(layer: Layer, quantity: str, maps: Maps) -> xr.DataArray:
    """Array of a quantity that is a variable: of the layer, or of a whole-map fit ('key/variable')."""
    key, _, name = quantity.rpartition("/")
    ds = maps[key] if key else layer.ds
    name, _, component = name.partition(":")
    da = ds[name]
    return da.sel({COMPONENT: component}) if component else da


def index_at(layer: Layer, at: Mapping[str, int]) -> dict[str, int]:
    """Index along every outer dim, within its length."""
    return {d: min(max(int(at.get(d, 0)), 0), layer.ds.sizes[d] - 1) for d in layer.outer}


def band_of(layer: Layer, band: Sequence[float] | None) -> slice:
    """Channels of a band; all of them without one, the nearest one where it holds none."""
    axis = layer.axis(layer.spectral)
    if band is None:
        return slice(0, axis.size)
    low, high = sorted(band)
    first, last = int(np.searchsorted(axis, low)), int(np.searchsorted(axis, high, "right"))
    if first >= last:
        first = int(np.abs(axis - 0.5 * (low + high)).argmin())
        last = first + 1
    return slice(first, last)


def plane_of(
    layer: Layer,
    quantity: str,
    at: Mapping[str, int],
    *,
    band: Sequence[float] | None = None,
    slice_at: float | None = None,
    maps: Maps | None = None,
) -> Floats:
    """Image of a quantity over the plane.

    Parameters
    ----------
    layer : Layer
        What is looked at.
    quantity : str
        One of ``layer.quantities``, or of a whole-map fit.
    at : mapping
        Index along every outer dim.
    band : (low, high), optional
        Of ``"band"``, in the unit of the spectral axis.
    slice_at : float, optional
        Of ``"slice"``.
    maps : mapping, optional
        Whole-map fits by key.

    Returns
    -------
    numpy.ndarray
        (rows, columns); NaN where there is no number.
    """
    index = index_at(layer, at)
    if quantity in ("band", "slice", "spectra"):
        da = layer.ds[layer.variable].isel(index)
        if quantity == "band":
            da = da.isel({layer.spectral: band_of(layer, band)}).sum(layer.spectral, skipna=True)
        elif quantity == "slice":
            axis = layer.axis(layer.spectral)
            n = axis.size // 2 if slice_at is None else int(np.abs(axis - slice_at).argmin())
            da = da.isel({layer.spectral: n})
    else:
        da = map_array(layer, quantity, maps or {})
        da = da.isel({d: i for d, i in index.items() if d in da.dims})
    return np.asarray(da.transpose(*layer.plane).values, dtype=float)


def levels_of(
    image: Floats, percentile: float, log: bool, span: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Ends of the colour scale: percentiles of what is a number, apart from each other."""
    if span is None:
        good = image[np.isfinite(image) & ((image > 0) | (not log))]
        if good.size == 0:
            return (1.0, 10.0) if log else (0.0, 1.0)
        low, high = np.percentile(good, [percentile, 100.0 - percentile])
    else:
        low, high = span
    if log and low <= 0:
        low = max(high, 1.0) * 1e-3
    if not high > low:
        high = low + (abs(low) * 1e-3 or 1.0)
    return float(low), float(high)


# Spectra --------------------------------------------------------------------------------------
def box_of(layer: Layer, row: int, col: int, half: int) -> dict[str, slice]:
    """Pixels of the averaging box, cut off at the edge of the plane."""
    if not layer.plane:
        return {}
    out = {}
    dims = layer.plane if layer.is_map else layer.plane[:1]
    for dim, i in zip(dims, (row, col), strict=False):
        n = layer.ds.sizes[dim]
        i = min(max(i, 0), n - 1)
        out[dim] = slice(max(i - half, 0), min(i + half + 1, n))
    return out


def spectrum_of(
    layer: Layer,
    at: Mapping[str, int],
    row: int,
    col: int,
    half: int = 0,
    *,
    mask: NDArray[np.bool_] | None = None,
    energy: bool = False,
    sigma: bool = True,
) -> xr.Dataset:
    """Mean spectrum of a box or of a region.

    Parameters
    ----------
    layer : Layer
        With spectra.
    at : mapping
        Index along every outer dim.
    row, col, half : int
        Middle and half width of the box.
    mask : numpy.ndarray of bool, optional
        Pixels (rows, columns) of a region, instead of the box.
    energy : bool, optional
        Over photon energy instead of wavelength.
    sigma : bool, optional
        False leaves σ to :func:`with_sigma`, which takes longer than the spectrum itself.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (λ) [counts], ``intensity_stderr`` from the noise model where the gain is known,
        the noise model of the mean, and ``n_pixels`` in the attributes.
    """
    ds = layer.ds.isel(index_at(layer, at))
    if mask is not None:
        rows, cols = np.nonzero(mask)
        dims = list(layer.plane)
        da = ds[layer.variable].transpose(*dims, layer.spectral)
        # One rectangle is read and the rest left out: many single pixels of a file are slow.
        lo, hi = (rows.min(), cols.min()), (rows.max() + 1, cols.max() + 1)
        part = da.isel({dims[0]: slice(lo[0], hi[0]), dims[1]: slice(lo[1], hi[1])})
        values = np.asarray(part.values, dtype=float)[mask[lo[0] : hi[0], lo[1] : hi[1]]]
        n = rows.size
    else:
        part = ds[layer.variable].isel(box_of(layer, row, col, half))
        axis = layer.ds.sizes[layer.spectral]
        values = np.asarray(part.transpose(..., layer.spectral).values, float).reshape(-1, axis)
        n = values.shape[0]
    good = np.isfinite(values)
    n_good = good.sum(0)
    mean = np.where(good, values, 0.0).sum(0) / np.where(n_good > 0, n_good, np.nan)
    source = layer.ds
    axis_da = source[layer.spectral] if layer.spectral in source.coords else None
    attrs = dict(source[layer.variable].attrs)
    out = xr.Dataset({layer.variable: (layer.spectral, mean, attrs)}, attrs={"n_pixels": n})
    if axis_da is not None:
        out = out.assign_coords({layer.spectral: axis_da})
    for name in (names.NOISE_GAIN, names.NOISE_FLOOR):
        if name in source:
            noise = source[name] / n  # of a mean of n pixels
            out[name] = noise.assign_attrs(names.attrs(name)).drop_vars(
                [c for c in noise.coords if c not in noise.dims]
            )
    if energy and layer.spectral == WAVELENGTH and layer.variable == INTENSITY:
        out = spectra.to_energy(out)
    return with_sigma(out, layer.variable) if sigma else out


def with_sigma(ds: xr.Dataset, variable: str) -> xr.Dataset:
    """Add the σ of a spectrum where the noise model is known."""
    if variable != INTENSITY or names.NOISE_GAIN not in ds:
        return ds
    try:
        sigma: xr.DataArray = spectra.variance(ds) ** 0.5
    except PlkitError:
        return ds
    name = names.stderr_name(variable)
    return ds.assign({name: sigma.rename(name).assign_attrs(names.attrs(name))})


def trace_of(
    layer: Layer,
    quantity: str,
    at: Mapping[str, int],
    row: int,
    col: int,
    half: int = 0,
    *,
    band: Sequence[float] | None = None,
    slice_at: float | None = None,
    maps: Maps | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> tuple[str, Floats, Floats]:
    """Quantity along what is played, at the cursor: its dim, the axis and the values.

    The dim is empty where there is nothing to play. Of a series of spectra the band is followed.
    """
    index = index_at(layer, at)
    if layer.is_map or not layer.plane:
        if not layer.outer:
            return "", np.empty(0), np.empty(0)
        dim = layer.outer[0]
        index.pop(dim)
    else:
        dim = layer.plane[0]
    # Pixels first: nothing is read or summed but what is under the cursor.
    part = _pixels(layer, box_of(layer, row, col, half) if mask is None else _around(layer, mask))
    if quantity in ("band", "slice", "spectra"):
        da = layer.ds[layer.variable].isel({**index, **part})
        if quantity == "slice" and slice_at is not None:
            nearest = int(np.abs(layer.axis(layer.spectral) - slice_at).argmin())
            da = da.isel({layer.spectral: nearest})
        else:
            da = da.isel({layer.spectral: band_of(layer, band)}).sum(layer.spectral)
    else:
        da = map_array(layer, quantity, maps or {})
        da = da.isel({d: i for d, i in {**index, **part}.items() if d in da.dims})
        if dim not in da.dims:
            return "", np.empty(0), np.empty(0)
    if layer.is_map:
        if mask is not None:
            inner = mask[tuple(part[d] for d in layer.plane)]
            da = da.where(xr.DataArray(inner, dims=layer.plane))
        da = da.mean(list(layer.plane))
    return dim, layer.axis(dim), np.asarray(da.values, dtype=float)


def _pixels(layer: Layer, box: dict[str, slice]) -> dict[str, slice]:
    """Part of a map; of a series of spectra the trace takes all."""
    return box if layer.is_map else {}


def _around(layer: Layer, mask: NDArray[np.bool_]) -> dict[str, slice]:
    """Rectangle around the pixels of a region; empty where it has none."""
    if not mask.any():
        return {d: slice(0, 0) for d in layer.plane}
    return {
        d: slice(int(i.min()), int(i.max()) + 1)
        for d, i in zip(layer.plane, np.nonzero(mask), strict=True)
    }


# Regions --------------------------------------------------------------------------------------
def inside(px: Floats, py: Floats, x: Sequence[float], y: Sequence[float]) -> NDArray[np.bool_]:
    """Which points lie in a polygon, by the even-odd rule."""
    result = np.zeros(np.broadcast(px, py).shape, dtype=bool)
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    for x0, y0, x1, y1 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > py) != (y1 > py)
        result ^= crosses & (px < (x1 - x0) * (py - y0) / (y1 - y0) + x0)
    return result


def region_mask(layer: Layer, region: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Pixels whose middle lies in a region."""
    rows, cols = (layer.axis(d) for d in layer.plane)
    return inside(cols[None, :], rows[:, None], region["x"], region["y"])


def region_table(
    layer: Layer, image: Floats, regions: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Count, mean, σ of the mean and scatter of every region.

    Parameters
    ----------
    layer : Layer
        Whose plane it is.
    image : numpy.ndarray
        (rows, columns).
    regions : sequence of mapping
        From the state.

    Returns
    -------
    list of dict
        ``name``, ``colour``, ``n`` (pixels with a number), ``n_pixels``, ``mean``, ``stderr`` (scatter/√n),
        ``scatter`` (standard deviation of the pixels).
    """
    table = []
    for region in regions:
        mask = region_mask(layer, region)
        values = image[mask]
        values = values[np.isfinite(values)]
        scatter = float(values.std(ddof=1)) if values.size > 1 else float("nan")
        table.append(
            {
                "name": region["name"], "colour": region["colour"], "n": int(values.size),
                "n_pixels": int(mask.sum()),
                "mean": float(values.mean()) if values.size else float("nan"),
                "stderr": scatter / np.sqrt(values.size) if values.size > 1 else float("nan"),
                "scatter": scatter,
            }
        )  # fmt: skip
    return table
