"""Where the values of one array in a file come from: pieces of it, read from several threads at once.

A :class:`Source` reads any rectangle of an array. HDF5 holds a lock over the whole library while it
decompresses, so that threads do not help: chunks of the usual filters (deflate, with or without
shuffle) are therefore read as raw bytes and decompressed here, by libdeflate.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from plkit.io.common import file_error

__all__ = ["Lazy", "Mapped", "RawChunks", "Region", "Source", "Zarr", "hdf5_source", "regions"]

Region = tuple[slice, ...]
_DEFLATE: Final = 1
_SHUFFLE: Final = 2
_PLAIN: Final = ((), (_DEFLATE,), (_SHUFFLE,), (_SHUFFLE, _DEFLATE))
"""HDF5's numbers of the filters that are undone here, in the order in which they were applied."""


class Source(Protocol):
    """An array in a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent along each dimension."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        ...

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Extent of what is stored together; None where nothing is to be gained by knowing."""
        ...

    def read(self, region: Region) -> NDArray[Any]:
        """Values of a rectangle; safe to be called from several threads."""
        ...


class Mapped:
    """An uncompressed array that lies in one piece: mapped into memory, read where it is used."""

    chunks = None

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.shape, self.dtype = shape, dtype
        needed = offset + int(np.prod(shape)) * dtype.itemsize
        if path.stat().st_size < needed:
            raise file_error(
                path, f"it ends after {path.stat().st_size} of at least {needed} bytes",
                "Copy it again from the instrument.",
            )  # fmt: skip
        self._values = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)

    def read(self, region: Region) -> NDArray[Any]:
        """View of a rectangle."""
        return self._values[region]


class Zarr:
    """An array of a Zarr store, whose own reader knows all codecs and runs in threads."""

    def __init__(self, path: Path, array: Any) -> None:
        self._path, self._array = path, array
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype)
        self.chunks = tuple(array.shards or array.chunks)

    def read(self, region: Region) -> NDArray[Any]:
        """Values of a rectangle."""
        try:
            return np.asarray(self._array[region])
        except Exception as exc:  # codecs raise anything
            raise _damaged(self._path, region, exc) from exc


class Lazy:
    """Any array that xarray reads piecewise; one thread at a time."""

    def __init__(self, path: Path | None, variable: Any) -> None:
        self._path, self._variable = path, variable
        self._lock = threading.Lock()
        self.shape, self.dtype = tuple(variable.shape), np.dtype(variable.dtype)
        found = variable.encoding.get("preferred_chunks") or {}
        known = tuple(int(found.get(d, n)) for d, n in variable.sizes.items())
        self.chunks = known if found else None

    def read(self, region: Region) -> NDArray[Any]:
        """Values of a rectangle, decoded as xarray does."""
        try:
            with self._lock:
                return np.asarray(self._variable[region].values)
        except (OSError, RuntimeError) as exc:
            raise _damaged(self._path, region, exc) from exc


def _damaged(path: Path | None, region: Region, exc: BaseException | str) -> Exception:
    where = ", ".join(f"{s.start}:{s.stop}" for s in region)
    detail = " ".join(str(exc).split())[:120] or type(exc).__name__
    return file_error(
        path or "the opened file", f"its values at [{where}] are damaged ({detail})",
        "Copy the file again from where it was written.",
    )  # fmt: skip


class RawChunks:
    """A chunked HDF5 array, whose chunks are read as bytes and decompressed without HDF5."""

    def __init__(self, path: Path, dataset: Any, filters: tuple[int, ...]) -> None:
        self._path, self._dataset, self._filters = path, dataset, filters
        self.shape, self.dtype = tuple(dataset.shape), np.dtype(dataset.dtype)
        self.chunks: tuple[int, ...] = tuple(dataset.chunks)
        self._where: dict[tuple[int, ...], tuple[int, int]] = {}

        def note(info: Any) -> None:
            # A chunk that some filter passed over, and one never written, are left to HDF5.
            if info.filter_mask == 0:
                self._where[tuple(info.chunk_offset)] = (info.byte_offset, info.size)

        dataset.id.chunk_iter(note)
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, region: Region) -> NDArray[Any]:
        """Values of a rectangle, put together from the chunks that it touches."""
        corners = itertools.product(
            *(range(s.start // c * c, s.stop, c) for s, c in zip(region, self.chunks, strict=True))
        )
        shape = tuple(s.stop - s.start for s in region)
        out: NDArray[Any] | None = None
        for corner in corners:
            chunk = self._chunk(corner)
            inner, outer = [], []
            for s, start, size in zip(region, corner, self.chunks, strict=True):
                low, high = max(s.start, start), min(s.stop, start + size)
                inner.append(slice(low - start, high - start))
                outer.append(slice(low - s.start, high - s.start))
            part = chunk[tuple(inner)]
            if part.shape == shape:
                return part  # all of it within one chunk
            if out is None:
                out = np.empty(shape, dtype=self.dtype)
            out[tuple(outer)] = part
        assert out is not None  # a region is never empty
        return out

    def _chunk(self, corner: tuple[int, ...]) -> NDArray[Any]:
        if corner not in self._where:
            return self._by_hdf5(corner)
        data: bytes | bytearray = self._bytes(*self._where[corner])
        size = int(np.prod(self.chunks)) * self.dtype.itemsize
        if _DEFLATE in self._filters:
            import deflate

            try:
                data = deflate.zlib_decompress(data, size)
            except deflate.DeflateError as exc:
                raise _damaged(self._path, self._region(corner), exc) from exc
        if len(data) != size:
            fault = f"{len(data)} bytes instead of {size}"
            raise _damaged(self._path, self._region(corner), fault)
        if _SHUFFLE in self._filters:
            from plkit.io.unshuffle import unshuffle

            return unshuffle(data, self.dtype).reshape(self.chunks)
        return np.frombuffer(data, dtype=self.dtype).reshape(self.chunks)

    def _region(self, corner: tuple[int, ...]) -> Region:
        bounds = zip(corner, self.chunks, self.shape, strict=True)
        return tuple(slice(start, min(start + c, n)) for start, c, n in bounds)

    def _bytes(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def _by_hdf5(self, corner: tuple[int, ...]) -> NDArray[Any]:
        region = self._region(corner)
        try:
            values = np.asarray(self._dataset[region])
        except (OSError, RuntimeError) as exc:
            raise _damaged(self._path, region, exc) from exc
        chunk = np.zeros(self.chunks, dtype=self.dtype)
        chunk[tuple(slice(0, n) for n in values.shape)] = values
        return chunk


def hdf5_source(path: Path, dataset: Any) -> RawChunks | Mapped | None:
    """Reader of a variable that needs no HDF5 to read it, or None.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    dataset : h5py.Dataset
        A variable of numbers.

    Returns
    -------
    RawChunks, Mapped or None
        None for other filters (checksums, Zstandard, …) and other layouts.
    """
    if dataset.dtype.kind not in "iuf" or dataset.is_virtual or dataset.size == 0:
        return None
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is None or dataset.file.userblock_size:
            return None
        return Mapped(path, offset, tuple(dataset.shape), np.dtype(dataset.dtype))
    if not hasattr(dataset.id, "chunk_iter") or dataset.file.userblock_size:
        return None
    creation = dataset.id.get_create_plist()
    filters = tuple(creation.get_filter(i)[0] for i in range(creation.get_nfilters()))
    return RawChunks(path, dataset, filters) if filters in _PLAIN else None


def regions(shape: tuple[int, ...], steps: tuple[int, ...]) -> Iterator[Region]:
    """Rectangles that cover an array, in storage order.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    steps : tuple of int
        Of a rectangle that does not lie at the end.

    Yields
    ------
    tuple of slice
        One rectangle.

    Examples
    --------
    >>> list(regions((3,), (2,)))
    [(slice(0, 2, None),), (slice(2, 3, None),)]
    """
    ranges = [
        [slice(i, min(i + step, n)) for i in range(0, n, step)]
        for n, step in zip(shape, steps, strict=True)
    ]
    yield from itertools.product(*ranges)
