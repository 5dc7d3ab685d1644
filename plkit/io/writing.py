"""Write a dataset: netCDF, Zarr or CSV, through a temporary file that replaces the target at the end."""

from __future__ import annotations

import os
import secrets
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError, FileFormatError, MissingExtraError
from plkit.io.common import safe_attrs
from plkit.io.writing_csv import csv_text

__all__ = ["Compression", "convert", "write"]

# Bytes of one compressed chunk: whole spectra, some hundred of them.
_CHUNK_BYTES = 2**20
_SMALL: Final = 2**13
_NETCDF, _ZARR, _CSV = (".nc", ".nc4"), (".zarr",), (".csv", ".txt")


Compression = Literal["zlib", "zstd", "bitshuffle", "none"]

# Measured (docs/writing.md): counts come out as small by deflate as by anything else, and every
# program reads it; the other two need a plugin of HDF5 to be read.
_ENCODINGS: Final[dict[str, dict[str, Any]]] = {
    "zlib": {"zlib": True, "complevel": 4, "shuffle": True},
    "zstd": {"compression": "zstd", "complevel": 4, "shuffle": True},
    "bitshuffle": {"compression": "blosc_lz4", "complevel": 5, "blosc_shuffle": 2},
    "none": {},
}
_FILTERS: Final = {"zstd": "has_zstd_filter", "bitshuffle": "has_blosc_filter"}


def write(
    ds: xr.Dataset | xr.DataTree,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    compression: Compression = "zlib",
) -> Path:
    """Write a dataset or a tree of results.

    Parameters
    ----------
    ds : xarray.Dataset or xarray.DataTree
        Measured data or results.
    path : path
        ``.nc`` (netCDF-4, compressed without loss), ``.zarr``, or ``.csv`` (one spectrum, or spectra
        along one axis).
    overwrite : bool, optional
        Replace an existing file; by default it is kept and an error raised.
    compression : {"zlib", "zstd", "bitshuffle", "none"}, optional
        Of netCDF, without loss in any case. ``"zlib"`` is read by every program. ``"zstd"`` halves
        corrected numbers, ``"bitshuffle"`` writes counts ten times faster; both are read only where
        HDF5 has the plugin. Zarr has a codec of its own, and CSV none.

    Returns
    -------
    pathlib.Path
        The file written. It appears whole or not at all.

    Raises
    ------
    DataError
        If the dataset holds what the format cannot: objects, complex numbers, or, for CSV, more than
        two dims; or the compression is not known.
    MissingExtraError
        If the netCDF library lacks the compression, or Zarr is not installed.
    FileFormatError
        If the file exists, its folder does not, or its suffix is unknown.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> ds = xr.Dataset({"intensity": ("wavelength", [3, 7], {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", [500.0, 510.0], {"units": "nm"})})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write(ds, pathlib.Path(folder, "film.csv")).read_text().splitlines()[-1])
    510.0,7
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*_NETCDF, *_ZARR, *_CSV):
        raise FileFormatError(
            f"write '{path.name}'",
            f"its suffix is '{path.suffix}', not one of {', '.join((*_NETCDF, *_ZARR, *_CSV))}",
        )
    _check_target(path, overwrite)
    _check_compression(compression, path)
    if isinstance(ds, xr.DataTree):
        if suffix not in _NETCDF:
            raise DataError(
                f"write '{path.name}'", f"a DataTree goes into netCDF, not {suffix}", "Use .nc."
            )
        tree = ds.map_over_datasets(lambda node: _storable(node, path))
        encoding = {
            node.path: _encoding(node.to_dataset(inherit=False), compression)
            for node in tree.subtree
        }
        return _through_temporary(
            path, lambda tmp: tree.to_netcdf(tmp, encoding=encoding, engine="netcdf4")
        )
    if suffix in _CSV:
        text = csv_text(_storable(ds, path), path)
        return _through_temporary(path, lambda tmp: tmp.write_text(text, encoding="utf-8"))
    clean = _storable(ds, path)
    if suffix in _ZARR:
        return _write_zarr(clean, path)
    return _through_temporary(
        path,
        lambda tmp: clean.to_netcdf(tmp, engine="netcdf4", encoding=_encoding(clean, compression)),
    )


def convert(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    compression: Compression = "zlib",
    reader: str | None = None,
    **options: Any,
) -> Path:
    """Read a file in any format and write it in another.

    Parameters
    ----------
    src : path
        File or folder to read.
    dst : path
        File to write: ``.nc``, ``.zarr`` or ``.csv``. It appears whole or not at all.
    overwrite : bool, optional
        Replace ``dst`` where it exists.
    compression : {"zlib", "zstd", "bitshuffle", "none"}, optional
        Of netCDF, as for :func:`write`.
    reader : str, optional
        Reader of ``src``.
    **options
        Options of that reader.

    Returns
    -------
    pathlib.Path
        ``dst``.

    Raises
    ------
    FileFormatError
        If ``src`` cannot be read or ``dst`` exists.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = pathlib.Path(folder, "film.txt")
    ...     _ = text.write_text("500 3\\n510 7\\n")
    ...     convert(text, text.with_suffix(".nc"), wavelength_unit="nm").name
    'film.nc'
    """
    from plkit.io.reading import read

    _check_target(Path(dst), overwrite)
    _check_compression(compression, Path(dst))
    ds = read(src, reader=reader, **options)
    return write(ds, dst, overwrite=overwrite, compression=compression)


def _check_target(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise FileFormatError(
            f"write '{path.name}'",
            "the file exists",
            "Pass overwrite=True, or choose another name.",
        )
    if not path.parent.is_dir():
        raise FileFormatError(
            f"write '{path.name}'", f"there is no folder '{path.parent}'", "Make it first."
        )
    if path.is_dir() and path.suffix.lower() not in _ZARR:
        raise FileFormatError(
            f"write '{path.name}'", "it is a folder, not a file", "Choose another name."
        )
    if not os.access(path.parent, os.W_OK):
        raise FileFormatError(
            f"write '{path.name}'",
            f"you have no permission to write to '{path.parent}'",
            "Choose another folder.",
        )


def _storable(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Dataset with attributes that files can hold; refuses what would need a pickle."""
    out = _composed(ds.copy(), path)
    for owner, attrs in [
        ("the dataset", out.attrs),
        *((f"'{n}'", out[n].attrs) for n in out.variables),
    ]:
        try:
            clean = safe_attrs(attrs)
        except TypeError as exc:
            raise DataError(
                f"write '{path.name}'", f"{exc} in {owner}, not text or a number",
                "Turn it into text, or delete it.",
            ) from exc  # fmt: skip
        attrs.clear()
        attrs.update({unicodedata.normalize("NFC", k): v for k, v in clean.items()})
    for name, variable in out.variables.items():
        kind = variable.dtype.kind
        texts = kind == "O" and all(isinstance(v, str) for v in np.asarray(variable.values).flat)
        if kind not in "biufUSMmT" and not texts:
            raise DataError(
                f"write '{path.name}'", f"'{name}' has dtype {variable.dtype}, not numbers or text",
                "Store its parts as variables of their own.",
            )  # fmt: skip
        variable.encoding = {k: v for k, v in variable.encoding.items() if k == "_FillValue"}
    return out


def _composed(ds: xr.Dataset, path: Path) -> xr.Dataset:
    """Names in the one spelling that netCDF keeps: letters and accents composed (Unicode NFC)."""
    spelled = {n: unicodedata.normalize("NFC", str(n)) for n in {*ds.variables, *ds.dims}}
    if len(set(spelled.values())) < len(spelled):
        twins = [str(n) for n, new in spelled.items() if list(spelled.values()).count(new) > 1]
        raise DataError(
            f"write '{path.name}'", f"the names {', '.join(sorted(twins))} differ by their encoding only",
            "Rename one of them.",
        )  # fmt: skip
    return ds.rename({n: new for n, new in spelled.items() if n != new})


def _check_compression(compression: str, path: Path) -> None:
    """Refuse what is not known, or what the netCDF library at hand was built without."""
    action = f"write '{path.name}'"
    if compression not in _ENCODINGS:
        raise DataError(
            action, f"the compression is {compression!r}, not one of {', '.join(_ENCODINGS)}"
        )
    if compression != "zlib" and path.suffix.lower() not in _NETCDF:
        raise DataError(
            action, f"compression={compression!r} is a choice for netCDF, not {path.suffix}",
            "Leave it out, or write .nc.",
        )  # fmt: skip
    if compression in _FILTERS:
        import netCDF4

        with netCDF4.Dataset("nothing", "w", diskless=True) as probe:
            known = getattr(probe, _FILTERS[compression], None)
            if known is None or not known():
                raise MissingExtraError(
                    action, f"the netCDF library was built without {compression}",
                    "Leave the compression out, or install netCDF4 from PyPI.",
                )  # fmt: skip


def _encoding(ds: xr.Dataset, compression: str) -> dict[Any, dict[str, Any]]:
    """Lossless compression, in chunks of whole spectra."""
    encoding: dict[Any, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        if variable.dtype.kind in "iufb" and variable.ndim:
            # Blosc refuses buffers of some hundred bytes; such variables are axes.
            small = variable.size * variable.dtype.itemsize < _SMALL and compression != "none"
            encoding[name] = dict(_ENCODINGS["zlib" if small else compression])
            if variable.size:
                encoding[name]["chunksizes"] = _chunks(variable)
        if variable.dtype.kind in "iu":
            encoding[name] = {**encoding.get(name, {}), "_FillValue": None}
    return encoding


def _chunks(variable: xr.Variable) -> tuple[int, ...]:
    """Spectral axis whole; then y and x in squares; then the other dims, up to 1 MiB."""
    left = max(_CHUNK_BYTES // variable.dtype.itemsize, 1)
    chunks = {str(d): 1 for d in variable.dims}
    for dim in variable.dims:
        if dim in names.SPECTRAL_DIMS:
            chunks[str(dim)] = variable.sizes[dim]
            left = max(left // variable.sizes[dim], 1)
    plane = [d for d in (names.Y, names.X) if d in variable.dims]
    for remaining, dim in zip(range(len(plane), 0, -1), plane, strict=True):
        chunks[dim] = min(variable.sizes[dim], max(int(left ** (1 / remaining)), 1))
        left = max(left // chunks[dim], 1)
    for dim in reversed([str(d) for d in variable.dims]):
        if dim not in names.SPECTRAL_DIMS and dim not in plane:
            chunks[dim] = min(variable.sizes[dim], left)
            left = max(left // chunks[dim], 1)
    return tuple(chunks[str(d)] for d in variable.dims)


def _through_temporary(path: Path, write_to: Callable[[Path], Any]) -> Path:
    # The name is known before the file exists, so that an interrupt at any moment finds it.
    temporary = path.parent / f".{path.stem[:40]}-{secrets.token_hex(6)}{path.suffix}"
    try:
        try:
            temporary.touch(mode=0o600, exist_ok=False)
        except OSError as exc:
            raise FileFormatError(
                f"write '{path.name}'",
                f"no file can be made in '{path.parent}' ({exc.strerror})",
                "Choose another folder.",
            ) from exc
        write_to(temporary)
        # It was made for the owner alone; give the rights that open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write_zarr(ds: xr.Dataset, path: Path) -> Path:
    try:
        import zarr
    except ImportError as exc:
        raise MissingExtraError(
            f"write '{path.name}'", "Zarr needs 'zarr', which is not installed",
            'Install it: pip install "plkit[scale]".',
        ) from exc  # fmt: skip
    encoding = {
        name: {"chunks": _chunks(v)}
        for name, v in ds.variables.items()
        if v.dtype.kind in "iufb" and v.size and v.ndim
    }
    # A store is a folder, which cannot be replaced in one step: the old one steps aside first.
    with tempfile.TemporaryDirectory(prefix=f".{path.stem[:40]}-", dir=path.parent) as folder:
        new, old = Path(folder, "new.zarr"), Path(folder, "old.zarr")
        # Every chunk, so that one which is absent was lost.
        with zarr.config.set({"array.write_empty_chunks": True}):
            ds.to_zarr(new, mode="w", encoding=encoding, zarr_format=3, consolidated=False)
        try:
            if path.exists():
                os.replace(path, old)
            os.replace(new, path)
        finally:
            if old.exists() and not path.exists():  # interrupted between the two
                os.replace(old, path)
    return path
