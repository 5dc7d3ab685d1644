"""``xr.open_dataset(path, engine="plkit")``: plkit's readers as an xarray engine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, ClassVar

import xarray as xr
from xarray.backends import BackendEntrypoint

__all__ = ["PlkitBackend"]

# xarray has engines of its own for these; plkit claims them only when it is named.
_LEFT_TO_XARRAY = ("netcdf", "zarr")


class PlkitBackend(BackendEntrypoint):
    """Every format of :mod:`plkit.io` as an xarray engine.

    Examples
    --------
    >>> ds = xr.open_dataset("exposure.sif", engine="plkit")                         # doctest: +SKIP
    >>> ds = xr.open_dataset("scan.csv", engine="plkit", wavelength_unit="nm")       # doctest: +SKIP
    """

    description = (
        "Spectroscopy files read by plkit (.sif, .spe, .abspl.txt, .csv, .yml, .dm4, .wdf, …)"
    )
    url = "https://pypi.org/project/plkit"
    open_dataset_parameters: ClassVar[Any] = ("filename_or_obj", "drop_variables", "reader")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        reader: str | None = None,
        **options: Any,
    ) -> xr.Dataset:
        """Open one file or folder by :func:`plkit.read`.

        Parameters
        ----------
        filename_or_obj : path
            File or folder; file objects are not taken.
        drop_variables : str or iterable of str, optional
            Variables to leave out.
        reader : str, optional
            Name of the reader, where detection is not wanted.
        **options
            Passed to the reader.

        Returns
        -------
        xarray.Dataset
            In plkit's schema.
        """
        from plkit.io import read

        ds = read(os.fspath(filename_or_obj), reader=reader, **options)
        if drop_variables is None:
            return ds
        drop = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables)
        return ds.drop_vars(drop, errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Say whether a path is in one of plkit's own formats.

        Parameters
        ----------
        filename_or_obj : path
            File or folder.

        Returns
        -------
        bool
            False for netCDF and Zarr, which xarray's own engines open.
        """
        from plkit.errors import PlkitError
        from plkit.io.registry import detect

        try:
            found = detect(os.fspath(filename_or_obj))
        except (PlkitError, OSError, TypeError, ValueError):
            return False
        return found.name not in _LEFT_TO_XARRAY
