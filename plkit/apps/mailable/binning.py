"""Spectra read block by block, as coarse as a file that can be mailed needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.apps.view.layers import Layer

__all__ = ["Bins", "bins_for", "mean_axis", "read_binned", "sizes_of"]

_BLOCK_VALUES: Final = 2**24
_FINE: Final = {"pixels": 100, "channels": 200, "frames": 50}
"""Numbers of points that an eye does well with: what exceeds its own most is binned first."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """How many neighbours are averaged.

    Parameters
    ----------
    pixels : int
        Along each axis of the map.
    channels : int
        Of the spectral axis.
    frames : int
        Of what is played.
    """

    pixels: int = 1
    channels: int = 1
    frames: int = 1

    def readings(self, layer: Layer) -> int:
        """Readings in one mean."""
        return int(np.prod(list(self.by_dim(layer).values())))

    def by_dim(self, layer: Layer) -> dict[str, int]:
        """Factor along every dim of the spectra."""
        out = dict.fromkeys(layer.outer, 1)
        if layer.is_map:
            out |= dict.fromkeys(layer.plane, self.pixels)
            if layer.outer:
                out[layer.outer[0]] = self.frames
        else:
            out[layer.plane[0]] = self.frames
        return {**out, layer.spectral: self.channels}

    @property
    def is_none(self) -> bool:
        """True where every reading is kept."""
        return self == Bins()


def sizes_of(layer: Layer, bins: Bins) -> dict[str, int]:
    """Points along every dim of the spectra that are left; the outer ones first, channels last."""
    return {d: layer.ds.sizes[d] // n for d, n in bins.by_dim(layer).items()}


def bins_for(layer: Layer, most: float) -> Bins:
    """Finest bins with which no more than so many values are left.

    Parameters
    ----------
    layer : Layer
        With spectra.
    most : float
        Number of values.

    Returns
    -------
    Bins
        The axis that is longest against what an eye needs is binned first.

    Examples
    --------
    >>> import xarray as xr
    >>> from plkit.apps.view.layers import layer_of
    >>> dims = ("y", "x", "wavelength")
    >>> ds = xr.Dataset({"intensity": (dims, np.zeros((400, 400, 100), np.float32))})
    >>> bins_for(layer_of("map", ds, ""), 1e6)
    Bins(pixels=4, channels=1, frames=1)
    """
    bins = Bins()
    while np.prod(list(map(float, sizes_of(layer, bins).values()))) > most:
        factors = bins.by_dim(layer)
        sizes = {d: layer.ds.sizes[d] for d in factors}
        excess = {"channels": sizes[layer.spectral] / factors[layer.spectral] / _FINE["channels"]}
        if layer.is_map:
            longest = max(layer.plane, key=lambda d: sizes[d])
            excess["pixels"] = sizes[longest] / factors[longest] / _FINE["pixels"]
        played = layer.outer[0] if layer.is_map and layer.outer else layer.plane[0]
        if not layer.is_map or layer.outer:
            excess["frames"] = sizes[played] / factors[played] / _FINE["frames"]
        tried = []
        for name in sorted(excess, key=lambda n: -excess[n]):
            coarser = replace(bins, **{name: getattr(bins, name) + 1})
            if min(sizes_of(layer, coarser).values()) >= 1:
                tried.append(coarser)
        if not tried:
            return bins
        bins = tried[0]
    return bins


def mean_axis(axis: Floats, n: int) -> Floats:
    """Middles of bins of ``n`` points; what is left over at the end is left out."""
    whole = axis.size // n * n
    return np.asarray(axis[:whole].reshape(-1, n).mean(axis=1))


def averaged(values: NDArray[Any], factors: tuple[int, ...]) -> NDArray[Any]:
    """Means over neighbours along every axis, NaN left out."""
    if all(n == 1 for n in factors):
        return values
    whole = values[tuple(slice(0, s // n * n) for s, n in zip(values.shape, factors, strict=True))]
    shape = [v for s, n in zip(whole.shape, factors, strict=True) for v in (s // n, n)]
    whole = whole.reshape(shape).astype(np.float64)
    axes = tuple(range(1, 2 * values.ndim, 2))
    good = np.isfinite(whole)
    count = good.sum(axis=axes)
    total = np.where(good, whole, 0.0).sum(axis=axes)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def read_binned(
    layer: Layer, bins: Bins, tell: Callable[[float], None] = lambda _: None
) -> NDArray[Any]:
    """Spectra of a layer, read no more than a block at a time.

    Parameters
    ----------
    layer : Layer
        With spectra.
    bins : Bins
        How many neighbours are averaged.
    tell : callable, optional
        Gets the share that was read.

    Returns
    -------
    numpy.ndarray
        (outer …, rows, columns, channels) of a map, (outer …, rows, channels) of a series; whole
        numbers stay such where nothing is averaged.
    """
    factors = bins.by_dim(layer)
    dims = [*layer.outer, *(layer.plane if layer.is_map else layer.plane[:1]), layer.spectral]
    da = layer.ds[layer.variable].transpose(*dims)
    sizes = [layer.ds.sizes[d] // factors[d] for d in dims]
    exact = bins.is_none and da.dtype.kind in "iu" and da.dtype.itemsize <= 4
    out = np.empty(sizes, da.dtype if exact else np.float32)
    parts = list(_parts(sizes, [factors[d] for d in dims]))
    for n, part in enumerate(parts):
        take = {
            d: slice(p.start * factors[d], p.stop * factors[d])
            for d, p in zip(dims, part, strict=True)
        }
        block = np.asarray(da.isel(take).values)
        out[part] = averaged(block, tuple(factors[d] for d in dims))
        tell((n + 1) / len(parts))
    return out


def _parts(sizes: list[int], factors: list[int]) -> Iterator[tuple[slice, ...]]:
    """Blocks of the result, none of which needs more than so many readings."""
    whole = np.prod([float(s * f) for s, f in zip(sizes, factors, strict=True)])
    if whole <= _BLOCK_VALUES:
        yield tuple(slice(0, s) for s in sizes)
        return
    # The first dim that can be cut is cut in halves until the pieces are small enough.
    cut = next((i for i, s in enumerate(sizes) if s > 1), None)
    if cut is None:
        yield tuple(slice(0, s) for s in sizes)
        return
    half = sizes[cut] // 2
    for start, length in ((0, half), (half, sizes[cut] - half)):
        for part in _parts([length if i == cut else s for i, s in enumerate(sizes)], factors):
            moved = slice(part[cut].start + start, part[cut].stop + start)
            yield tuple(moved if i == cut else p for i, p in enumerate(part))
