"""Read a file: find its format, hand it to the reader, land the result in the schema."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from plkit import schema
from plkit.errors import DataError, FileFormatError, MissingExtraError, PlkitError, PlkitWarning
from plkit.io.common import file_error, finish, measured_variable
from plkit.io.guard import check_file
from plkit.io.registry import Reader, detect, get_reader, head_of

__all__ = ["read", "read_unstamped"]


def read(path: str | os.PathLike[str], *, reader: str | None = None, **options: Any) -> xr.Dataset:
    """Read a measured file, or a folder of spectra, into plkit's schema.

    Parameters
    ----------
    path : path
        File or folder.
    reader : str, optional
        Name of a reader in ``plkit.io.readers()``; by default found from the file's content, then
        from its suffix.
    **options
        What the file does not say, for instance ``wavelength_unit="nm"``; see the reader.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (…, wavelength) [counts], or another measured variable of ``plkit.names.TABLE``;
        axes ascending, in plkit's units, the spectral one last; attributes ``source_file``,
        ``source_sha256``, ``reader``, ``history``.

    Raises
    ------
    FileFormatError
        If the file is missing, empty, truncated, in no known format, or does not say what its
        numbers are.
    MissingExtraError
        If the format needs an optional library.
    DataError
        If an option is unknown to the reader.

    See Also
    --------
    plkit.info : what is in a file.
    plkit.convert : from one format to another.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "film.csv")
    ...     _ = path.write_text("Wavelength (nm),Intensity (counts)\\n510,7\\n500,3\\n")
    ...     ds = read(path)
    >>> ds.wavelength.values.tolist(), ds.intensity.values.tolist()
    ([500.0, 510.0], [3, 7])
    """
    where = Path(path)
    if reader is None:
        chosen = detect(where)
    else:
        head_of(where)
        chosen = get_reader(reader)
    ds = _call(chosen, where, options)
    return finish(
        ds,
        where,
        chosen.name,
        hash_source=options.get("chunks") is None,
        spectrum=chosen.spectrum,
    )


def read_unstamped(path: Path, options: Mapping[str, Any]) -> xr.Dataset:
    """Read one file of a folder: conforming, but without history and hash of its own.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : mapping
        Options of its reader.

    Returns
    -------
    xarray.Dataset
        In canonical order, with ascending axes.
    """
    ds = _call(detect(path), path, options)
    variable = measured_variable(ds)
    if variable is None:
        raise file_error(path, "it holds no spectrum")
    return schema.conform(ds, variable)


def _call(reader: Reader, path: Path, options: Mapping[str, Any]) -> xr.Dataset:
    unknown = [o for o in options if o not in reader.options and "*" not in reader.options]
    if unknown:
        known = ", ".join(o for o in reader.options if o != "*") or "no option"
        raise DataError(
            f"read '{path.name}'",
            f"the reader '{reader.name}' takes {known}, not '{unknown[0]}'",
        )
    try:
        check_file(path, head_of(path))
        return reader.read(path, **options)
    except (PlkitError, PlkitWarning):  # a warning too, where warnings are made errors
        raise
    except ImportError as exc:
        if reader.extra is None:
            raise
        raise MissingExtraError(
            f"read '{path.name}'",
            f"{reader.title} needs '{exc.name}', which is not installed",
            f'Install it: pip install "plkit[{reader.extra}]".',
        ) from exc
    except PermissionError as exc:
        raise FileFormatError(
            f"read '{path}'",
            "you have no permission to read it",
            "Ask its owner, or copy the file.",
        ) from exc
    except MemoryError as exc:
        raise file_error(
            path, "its numbers need more memory than this machine has",
            "Open it in parts (netCDF and Zarr: chunks={}), or copy it again if it should be small.",
        ) from exc  # fmt: skip
    except Exception as exc:
        # Vendor libraries raise anything; the user gets one sentence, the cause stays attached.
        detail = " ".join(str(exc).split())[:120] or type(exc).__name__
        raise file_error(
            path, f"it is damaged, truncated or no {reader.title} file ({detail})",
            "Copy it again from the instrument, or name the right reader=.",
        ) from exc  # fmt: skip
