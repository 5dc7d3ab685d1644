"""plkit's own formats: netCDF-4 and Zarr."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level
from plkit.io.guard import HDF5_MAGIC, check_zarr
from plkit.io.registry import Reader

__all__ = ["NETCDF", "ZARR", "hdf5_attr", "read_netcdf", "read_zarr"]

_SUFFIXES = (".nc", ".nc4", ".cdf", ".netcdf")


def read_netcdf(
    path: Path,
    *,
    chunks: Any = None,
    group: str | None = None,
    units: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Read a netCDF file.

    Parameters
    ----------
    path : path
        netCDF-3 or -4.
    chunks : optional
        As for :func:`xarray.open_dataset`: opens the file lazily with dask. By default everything
        is loaded and the file closed.
    group : str, optional
        Group of a file with several.
    units : mapping of str to str, optional
        Units of variables and axes that the file does not state: ``{"wavelength": "nm"}``.

    Returns
    -------
    xarray.Dataset
        As stored; times are numbers in seconds.

    Raises
    ------
    FileFormatError
        If the file is damaged or holds groups only.
    """
    path = Path(path)
    if chunks is not None:
        import dask  # noqa: F401  (its absence becomes a MissingExtraError)

        ds = xr.open_dataset(
            path, engine="netcdf4", decode_timedelta=False, chunks=chunks, group=group
        )
    else:
        with xr.open_dataset(path, engine="netcdf4", decode_timedelta=False, group=group) as opened:
            ds = opened.load()
    if not ds.data_vars and group is None:
        _refuse_groups(path)
    return _with_units(path, ds, units)


def read_zarr(
    path: Path, *, chunks: Any = None, units: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Read a Zarr store.

    Parameters
    ----------
    path : path
        Folder of the store.
    chunks : optional
        As for :func:`xarray.open_zarr`; by default everything is loaded.
    units : mapping of str to str, optional
        Units that the store does not state.

    Returns
    -------
    xarray.Dataset
        As stored.

    Warns
    -----
    PlkitWarning
        If parts of an array are not there, which Zarr reads as its fill value.
    """
    import zarr  # noqa: F401  (its absence becomes a MissingExtraError)

    path = Path(path)
    check_zarr(path)
    _warn_of_absent_chunks(path)
    # On a local disk, listing the store is as quick as consolidated metadata, which may be absent.
    ds = xr.open_dataset(
        path, engine="zarr", decode_timedelta=False, chunks=chunks, consolidated=False
    )
    return _with_units(path, ds if chunks is not None else ds.load(), units)


def _warn_of_absent_chunks(path: Path) -> None:
    """A store that was copied in part reads as zeros; plkit itself writes every chunk."""
    import zarr

    for name, array in zarr.open_group(path, mode="r").arrays():
        absent = array.nchunks - array.nchunks_initialized
        if absent and array.ndim:
            warnings.warn(
                f"'{path.name}' lacks {absent} of the {array.nchunks} chunks of '{name}': they read as "
                f"{array.fill_value}, not as what was measured. Copy the store again.",
                PlkitWarning,
                stacklevel=users_level(),
            )


def _with_units(path: Path, ds: xr.Dataset, units: Mapping[str, str] | None) -> xr.Dataset:
    for name, unit in (units or {}).items():
        if name not in ds.variables:
            raise file_error(
                path,
                f"units names '{name}', which is not one of {', '.join(map(str, ds.variables))}",
            )
        ds[name].attrs["units"] = names.normalise_unit(unit)
    return ds


def _refuse_groups(path: Path) -> None:
    import netCDF4

    with netCDF4.Dataset(path) as file:
        groups = list(file.groups)
    if groups:
        raise file_error(
            path, f"it holds groups ({', '.join(groups)}) and no variable of its own",
            f'Name one: plkit.read(path, group="{groups[0]}"), or plkit.open_results(path) for all.',
        )  # fmt: skip


def hdf5_attr(path: Path, name: str) -> Any:
    """Attribute of the root of an HDF5 file; None where there is none or the file is damaged."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get(name)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None


def _sniff_netcdf(path: Path, head: bytes) -> bool:
    if head[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05"):
        return True
    if not head.startswith(HDF5_MAGIC):
        return False
    return path.suffix.lower() in _SUFFIXES or hdf5_attr(path, "_NCProperties") is not None


def _sniff_zarr(path: Path, head: bytes) -> bool:
    return not head and any(
        (path / name).is_file() for name in ("zarr.json", ".zgroup", ".zmetadata")
    )


NETCDF = Reader(
    name="netcdf",
    title="netCDF",
    suffixes=_SUFFIXES,
    sniff=_sniff_netcdf,
    read=read_netcdf,
    options=("chunks", "group", "units"),
    extra="scale",
    spectrum=False,
)

ZARR = Reader(
    name="zarr",
    title="Zarr",
    suffixes=(".zarr",),
    sniff=_sniff_zarr,
    read=read_zarr,
    options=("chunks", "units"),
    extra="scale",
    spectrum=False,
)
