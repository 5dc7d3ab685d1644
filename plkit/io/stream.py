"""Spectra of a file in blocks of bounded size, for cubes that are larger than the memory.

What :func:`plkit.read` would give is known from the file's axes and attributes alone; the counts follow
block by block, each with whole spectra, their axis last and ascending.

*Chunks*: whole spectra in one chunk (what :func:`plkit.write` writes) are read once, decompressed in
parallel. Where chunks split the spectral axis, a block takes all chunks of its pixels; where they hold
one image per channel, every block would need every chunk, so that blocks are made large
(:data:`SPLIT_BYTES`) and each chunk is decompressed once per block.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import MissingExtraError, PlkitError
from plkit.io.chunks import Lazy, RawChunks, Region, Source, Zarr, hdf5_source, regions
from plkit.io.common import _provenance, _remedy, file_error
from plkit.io.netcdf import _warn_of_absent_chunks
from plkit.io.registry import detect
from plkit.names import INTENSITY

__all__ = ["SpectralStream", "lazy_stream", "open_stream"]

BLOCK_BYTES: Final = 2**20
"""Blocks are at least this large where the file allows."""
SPLIT_BYTES: Final = 2**28
"""Blocks are at most this large where the chunks of the file are larger or split the spectra."""


@dataclass(frozen=True)
class SpectralStream:
    """Spectra that are read in blocks.

    Parameters
    ----------
    template : xarray.Dataset
        Everything but the counts, whose place is taken by zeros that need no memory.
    source : Source
        Where the values come from.
    dims : tuple of str
        Dims of the source, in its order.
    order : dict of str to ndarray
        For axes that the source has in another order: which of its entries comes first, second, ….
    factor : float
        What the source's values are multiplied by, for the sake of their unit.
    """

    template: xr.Dataset | xr.DataArray
    source: Source
    dims: tuple[str, ...]
    order: dict[str, NDArray[np.intp]]
    factor: float = 1.0

    @property
    def data(self) -> xr.DataArray:
        """The place of the counts, with dims, axes and attributes."""
        t = self.template
        return t[INTENSITY] if isinstance(t, xr.Dataset) else t

    def each_block(
        self,
        work: Callable[[tuple[Any, ...], NDArray[Any]], None],
        *,
        threads: int,
        progress: bool = False,
    ) -> None:
        """Call ``work(where, counts)`` for every block, from several threads.

        Parameters
        ----------
        work : callable
            Gets the index of the block in the leading dims of ``data``, and its spectra
            (…, channels). Exceptions end the stream.
        threads : int
            How many blocks are read and worked on at a time.
        progress : bool, optional
            Show a progress bar.
        """
        from tqdm import tqdm

        blocks = list(regions(self.source.shape, self._steps()))
        total = int(np.prod(self.data.shape[:-1]))

        def one(region: Region) -> int:
            where, counts = self._read(region)
            work(where, counts)
            return int(np.prod(counts.shape[:-1]))

        with (
            tqdm(total=total, desc="spectra", unit="px", disable=not progress) as bar,
            ThreadPoolExecutor(threads) as pool,
        ):
            for n in pool.map(one, blocks):
                bar.update(n)

    def _steps(self) -> tuple[int, ...]:
        """Extent of a block along the dims of the source: all channels, some pixels."""
        spectral = self.dims.index(str(self.data.dims[-1]))
        shape, chunks = self.source.shape, self.source.chunks
        steps = list(chunks or (1,) * len(shape))
        steps[spectral] = shape[spectral]

        def size() -> int:
            return int(np.prod(steps)) * self.source.dtype.itemsize

        lead = [i for i in range(len(shape)) if i != spectral]
        for i in reversed(lead):  # grow along what lies next to each other in the file
            while steps[i] < shape[i] and size() * 2 <= BLOCK_BYTES:
                steps[i] = min(2 * steps[i], shape[i])
        for i in lead:
            while steps[i] > 1 and size() > SPLIT_BYTES:
                steps[i] = (steps[i] + 1) // 2
        return tuple(steps)

    def _read(self, region: Region) -> tuple[tuple[Any, ...], NDArray[Any]]:
        target = [str(d) for d in self.data.dims]
        counts = self.source.read(region).transpose([self.dims.index(d) for d in target])
        if target[-1] in self.order:
            counts = counts[..., self.order[target[-1]]]
        if self.factor != 1.0:
            counts = counts * self.factor
        where = []
        for d in target[:-1]:
            s = region[self.dims.index(d)]
            # Entry j of the sorted axis is entry order[j] of the source.
            where.append(np.argsort(self.order[d])[s] if d in self.order else s)
        if all(isinstance(w, slice) for w in where):
            return tuple(where), counts
        every = [
            np.arange(w.start, w.stop) if isinstance(w, slice) else w for w in where
        ]  # fmt: skip
        return np.ix_(*every), counts


def lazy_stream(ds: Any) -> SpectralStream | None:
    """Stream of data that xarray opened without reading them; None where they are in memory or dask's.

    Parameters
    ----------
    ds : xarray.Dataset or xarray.DataArray
        ``intensity`` (…, λ) [counts].

    Returns
    -------
    SpectralStream or None
        With the dims and axes of ``ds``, the spectral one last.
    """
    if not isinstance(ds, xr.Dataset | xr.DataArray):
        return None
    if isinstance(ds, xr.Dataset) and INTENSITY not in ds:
        return None
    data = ds[INTENSITY] if isinstance(ds, xr.Dataset) else ds
    if data.chunks is not None or getattr(data.variable, "_in_memory", True):
        return None
    place = _place(data.dims, data.shape, data.dtype, data.attrs)
    filled = xr.DataArray(place, coords=data.coords, name=data.name)
    filled = filled.transpose(..., schema.spectral_dim(data, "unmix"))
    template = ds.assign({INTENSITY: filled}) if isinstance(ds, xr.Dataset) else filled
    path = data.encoding.get("source")
    source = Lazy(Path(path) if path else None, data.variable)
    return SpectralStream(template, source, tuple(map(str, data.dims)), {})


@contextlib.contextmanager
def open_stream(path: Path) -> Iterator[SpectralStream | None]:
    """Stream of a netCDF file or a Zarr store.

    Parameters
    ----------
    path : pathlib.Path
        With ``intensity`` (…, λ) [counts].

    Yields
    ------
    SpectralStream or None
        With the dims, axes and attributes that :func:`plkit.read` would give; the hash of the file is
        left out. None for files in other formats.

    Raises
    ------
    FileFormatError
        If the file is damaged, or its axes are not those of spectra.
    MissingExtraError
        If the format needs an optional library.
    """
    reader = detect(path).name
    if reader not in ("netcdf", "zarr"):
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            raw, source = _open(path, reader, stack)
        except (PlkitError, MemoryError):
            raise
        except ImportError as exc:
            raise MissingExtraError(
                f"read '{path.name}'", f"it needs '{exc.name}', which is not installed",
                'Install it: pip install "plkit[scale]".',
            ) from exc  # fmt: skip
        except Exception as exc:
            detail = " ".join(str(exc).split())[:120] or type(exc).__name__
            raise file_error(
                path, f"it is damaged or truncated ({detail})", "Copy it again from the instrument."
            ) from exc
        yield _landed(path, reader, raw, source)


def _open(path: Path, reader: str, stack: contextlib.ExitStack) -> tuple[xr.Dataset, Source]:
    if reader == "zarr":
        import zarr

        _warn_of_absent_chunks(path)
        raw = xr.open_dataset(path, engine="zarr", decode_timedelta=False, consolidated=False)
    else:
        raw = xr.open_dataset(path, engine="netcdf4", decode_timedelta=False)
    stack.enter_context(contextlib.closing(raw))
    if INTENSITY not in raw.data_vars:
        found = ", ".join(map(str, raw.data_vars)) or "no variable"
        raise file_error(path, f"it holds {found}, not '{INTENSITY}'")
    variable = raw[INTENSITY].variable
    lazy = Lazy(path, variable)
    if not _as_stored(variable):
        return raw, lazy
    if reader == "zarr":
        return raw, Zarr(path, zarr.open_group(path, mode="r")[INTENSITY])
    import h5py

    if not h5py.is_hdf5(path):
        return raw, lazy
    file = stack.enter_context(h5py.File(path, "r"))
    source = hdf5_source(path, file[INTENSITY])
    if isinstance(source, RawChunks):
        stack.callback(source.close)
    return raw, source or lazy


def _as_stored(variable: xr.Variable) -> bool:
    """Whether xarray gives the numbers as the file has them: nothing to scale, nothing to mask."""
    kept = variable.encoding
    fill = [kept[k] for k in ("_FillValue", "missing_value") if k in kept]
    floats = variable.dtype.kind == "f"
    return (
        not any(k in kept for k in ("scale_factor", "add_offset", "_Unsigned"))
        and all(floats and bool(np.all(np.isnan(f))) for f in fill)
        and np.dtype(kept.get("dtype", variable.dtype)) == variable.dtype
    )


def _place(dims: Any, shape: tuple[int, ...], dtype: Any, attrs: Any) -> xr.Variable:
    """Zeros that take the place of a large variable and no memory."""
    return xr.Variable(dims, np.broadcast_to(np.zeros((), dtype=dtype), shape), dict(attrs))


def _landed(path: Path, reader: str, raw: xr.Dataset, source: Source) -> SpectralStream:
    """The stream in plkit's schema, as :func:`plkit.read` lands a dataset."""
    noise = [n for n in (names.NOISE_GAIN, names.NOISE_FLOOR) if n in raw.data_vars]
    counts = raw[INTENSITY].variable
    dims = tuple(str(d) for d in counts.dims)
    keep = [*noise, *(n for n in raw.coords if set(raw[n].dims) <= set(dims))]
    rest = raw[keep].load().assign_attrs(_provenance(raw.attrs, path, reader, False))
    marks = {f"position of {d}": (d, np.arange(n)) for d, n in counts.sizes.items()}
    rest = rest.assign(marks)
    for name in noise or [INTENSITY]:
        rest = schema.conform(rest, name)
    order = {d: rest[f"position of {d}"].values for d in dims}
    order = {d: where for d, where in order.items() if np.any(np.diff(where) < 0)}
    rest = rest.drop_vars(list(marks))
    attrs = dict(counts.attrs)
    factor = names.conversion_factor(str(attrs.get("units", "")), names.unit(INTENSITY))
    if factor is not None and factor != 1.0:
        attrs["units"] = names.unit(INTENSITY)
    known = [d for d in names.CANONICAL_ORDER if d in dims]
    lead = [d for d in dims if d not in known]

    def filled(dtype: Any) -> xr.Dataset:
        place = _place(dims, counts.shape, dtype, attrs).transpose(*lead, *known)
        return rest.assign({INTENSITY: place})

    # Of a truth value the schema checks names, units and axes, and stops before the counts.
    faults = [f for f in schema.validate(filled(bool)).faults if f.severity == "error"]
    faults = [f for f in faults if f.code != "not_numeric"]
    if faults:
        text = "; ".join(dict.fromkeys(f.message.rstrip(".") for f in faults))
        raise file_error(path, text, _remedy(faults))
    template = filled(counts.dtype)
    for variable in map(str, template.variables):
        if variable in names.TABLE and "long_name" not in template[variable].attrs:
            template[variable].attrs["long_name"] = names.attrs(variable)["long_name"]
    template = schema.add_history(template, f"read({path.name!r}, reader={reader!r})")
    return SpectralStream(template, source, dims, order, factor or 1.0)
