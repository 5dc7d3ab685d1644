"""Write a dataset: netCDF, Zarr or CSV, through a temporary file that replaces the target at the end."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import DataError, FileFormatError, MissingExtraError
from plkit.io.common import measured_variable, safe_attrs
from plkit.io.table import PLKIT_MARK

__all__ = ["convert", "write"]

# Bytes of one compressed chunk: whole spectra, some hundred of them.
_CHUNK_BYTES = 2**20
_NETCDF, _ZARR, _CSV = (".nc", ".nc4"), (".zarr",), (".csv", ".txt")


def write(
    ds: xr.Dataset | xr.DataTree, path: str | os.PathLike[str], *, overwrite: bool = False
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

    Returns
    -------
    pathlib.Path
        The file written. It appears whole or not at all.

    Raises
    ------
    DataError
        If the dataset holds what the format cannot: objects, complex numbers, or, for CSV, more than
        two dims.
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
    if isinstance(ds, xr.DataTree):
        if suffix not in _NETCDF:
            raise DataError(
                f"write '{path.name}'", f"a DataTree goes into netCDF, not {suffix}", "Use .nc."
            )
        tree = ds.map_over_datasets(lambda node: _storable(node, path))
        encoding = {node.path: _encoding(node.to_dataset(inherit=False)) for node in tree.subtree}
        return _through_temporary(
            path, lambda tmp: tree.to_netcdf(tmp, encoding=encoding, engine="netcdf4")
        )
    if suffix in _CSV:
        text = _csv(_storable(ds, path), path)
        return _through_temporary(path, lambda tmp: tmp.write_text(text, encoding="utf-8"))
    clean = _storable(ds, path)
    if suffix in _ZARR:
        return _write_zarr(clean, path)
    return _through_temporary(
        path, lambda tmp: clean.to_netcdf(tmp, engine="netcdf4", encoding=_encoding(clean))
    )


def convert(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    overwrite: bool = False,
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
    return write(read(src, reader=reader, **options), dst, overwrite=overwrite)


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
    out = ds.copy()
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
        attrs.update(clean)
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


def _encoding(ds: xr.Dataset) -> dict[Any, dict[str, Any]]:
    """Lossless compression, in chunks of whole spectra."""
    encoding: dict[Any, dict[str, Any]] = {}
    for name, variable in ds.variables.items():
        if variable.dtype.kind in "iufb" and variable.ndim:
            encoding[name] = {"zlib": True, "complevel": 4, "shuffle": True}
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
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent
        )
    except OSError as exc:
        raise FileFormatError(
            f"write '{path.name}'",
            f"no file can be made in '{path.parent}' ({exc.strerror})",
            "Choose another folder.",
        ) from exc
    os.close(handle)
    temporary = Path(name)
    try:
        write_to(temporary)
        # mkstemp makes files for the owner alone; give the rights that open() would have given.
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
        if path.exists():
            shutil.move(path, old)
        os.replace(new, path)
    return path


def _csv(ds: xr.Dataset, path: Path) -> str:
    """Text with a note in front that holds what the numbers alone do not say."""
    action = f"write '{path.name}'"
    variable = measured_variable(ds)
    if variable is None:
        raise DataError(
            action, "the dataset has no measured variable over a spectral dim or a delay", "Use .nc."
        )  # fmt: skip
    da = ds[variable]
    dims = [str(d) for d in da.dims]
    if len(dims) > 2:
        raise DataError(
            action, f"'{variable}' has {len(dims)} dims ({', '.join(dims)}), not at most 2",
            "Write netCDF (.nc), or select one spectrum or one axis first.",
        )  # fmt: skip
    if dims[-1] not in names.MEASURED_DIMS:
        kind = "spectral" if any(d in names.SPECTRAL_DIMS for d in dims) else f"'{names.DELAY}'"
        raise DataError(
            action,
            f"the dims are ({', '.join(dims)}), the {kind} one not last",
            "Call plkit.conform, or write netCDF (.nc).",
        )
    for dim in dims:
        if dim not in ds.coords or ds[dim].dtype.kind not in "iuf":
            raise DataError(action, f"'{dim}' has no numbers as coordinate", "Write netCDF (.nc).")
    one_spectrum = len(dims) == 1
    columns = [
        str(n) for n, v in ds.data_vars.items() if v.dims == da.dims and v.dtype.kind in "iuf"
    ]
    columns = columns if one_spectrum else [variable]
    rest = ds.drop_vars([*columns, *dims])
    too_wide = [str(n) for n, v in rest.variables.items() if v.ndim > 1]
    if too_wide:
        raise DataError(
            action,
            f"'{too_wide[0]}' has {rest[too_wide[0]].ndim} dims beside '{variable}'",
            "Write netCDF (.nc).",
        )
    kept = [*columns, *dims]
    for name in kept:
        # Text is read as 64-bit floating point, which holds integers up to 2^53.
        if ds[name].dtype.kind in "iu" and int(abs(ds[name].astype(object)).max()) > 2**53:
            raise DataError(action, f"'{name}' holds integers beyond 2^53", "Write netCDF (.nc).")
    note = {
        "dims": dims,
        "columns": columns,
        "dtypes": {n: ds[n].dtype.str for n in kept},
        "attrs": {n: ds[n].attrs for n in kept},
        "rest": rest.to_dict(),
    }
    lines = [PLKIT_MARK + json.dumps(note, default=_plain)]
    if one_spectrum:
        lines.append(",".join(_label(ds, n) for n in (dims[0], *columns)))
        table = [ds[n].values for n in (dims[0], *columns)]
        lines += [",".join(map(_number, row)) for row in zip(*table, strict=True)]
    else:
        corner = f"{_label(ds, dims[0])} \\ {_label(ds, dims[1])}"
        lines.append(",".join([corner, *map(_number, ds[dims[1]].values)]))
        for value, row in zip(ds[dims[0]].values, da.values, strict=True):
            lines.append(",".join([_number(value), *map(_number, row)]))
    return "\n".join(lines) + "\n"


def _label(ds: xr.Dataset, name: str) -> str:
    unit = ds[name].attrs.get("units")
    return f"{name} ({unit})" if unit else name


def _number(value: npt.ArrayLike) -> str:
    """Shortest text that reads back as the same number."""
    return str(np.asarray(value)[()])


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
