"""Which formats there are, and which one a file is in: by content first, by suffix second."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from plkit.errors import DataError, FileFormatError
from plkit.io.common import file_error
from plkit.io.guard import HDF5_MAGIC, foreign_format

__all__ = ["Reader", "detect", "get_reader", "head_of", "readers"]

HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Reader:
    """One format.

    Parameters
    ----------
    name : str
        What ``reader=`` takes.
    title : str
        What a person calls the format.
    suffixes : tuple of str
        With the dot, lower case; a hint only.
    sniff : callable
        ``sniff(path, head_bytes) -> bool``; quick, never raises on foreign content.
    read : callable
        ``read(path, **options) -> Dataset``; what :func:`plkit.io.read` then lands in the schema.
    options : tuple of str
        Names of the options that ``read`` takes.
    extra : str, optional
        The optional dependency group that the format needs.
    spectrum : bool, optional
        False where the format also holds results without a spectral dimension or a delay.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    sniff: Callable[[Path, bytes], bool]
    read: Callable[..., xr.Dataset]
    options: tuple[str, ...] = ()
    extra: str | None = None
    spectrum: bool = True


@functools.cache
def readers() -> tuple[Reader, ...]:
    """All readers, the most particular first.

    Returns
    -------
    tuple of Reader
        In the order in which their ``sniff`` is asked.

    Examples
    --------
    >>> [r.name for r in readers()][:3]
    ['netcdf', 'zarr', 'andor_sif']
    """
    from plkit.io import (
        andor,
        archives,
        cary,
        counters,
        edinburgh,
        envi,
        fluoressence,
        folder,
        labspec,
        lightfield,
        luqy,
        netcdf,
        ocean_optics,
        perkinelmer,
        photonetc,
        refractive,
        rosetta,
        solis,
        table,
        transients,
        trpl,
        winspec,
        witec,
    )  # fmt: skip

    return (
        netcdf.NETCDF, netcdf.ZARR, andor.READER, lightfield.SPE, winspec.READER, *counters.READERS,
        witec.READER, photonetc.READER, *rosetta.READERS, archives.READER, envi.READER,
        luqy.READER, lightfield.LONG_CSV, refractive.READER, labspec.READER, edinburgh.READER,
        fluoressence.READER, *perkinelmer.READERS, ocean_optics.READER, cary.READER,
        *transients.READERS, *trpl.READERS, solis.READER, table.READER, folder.READER,
    )  # fmt: skip


def get_reader(name: str) -> Reader:
    """Reader by name.

    Parameters
    ----------
    name : str
        For instance ``"andor_sif"``.

    Returns
    -------
    Reader
        The one of that name.

    Raises
    ------
    DataError
        If there is none.
    """
    for reader in readers():
        if reader.name == name:
            return reader
    known = ", ".join(r.name for r in readers())
    raise DataError("read this file", f"reader is '{name}', not one of {known}")


def head_of(path: Path) -> bytes:
    """First bytes of a file; empty for a folder.

    Parameters
    ----------
    path : pathlib.Path
        File or folder.

    Returns
    -------
    bytes
        At most 4096.

    Raises
    ------
    FileFormatError
        If the path is missing, empty or may not be read.
    """
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as handle:
            head = handle.read(HEAD_BYTES)
    except FileNotFoundError:
        raise FileFormatError(
            f"read '{path}'", "there is no such file", "Check the path and the working folder."
        ) from None
    except PermissionError:
        raise FileFormatError(
            f"read '{path}'",
            "you have no permission to read it",
            "Ask its owner, or copy the file.",
        ) from None
    except OSError as error:
        raise FileFormatError(
            f"read '{path}'", f"the system cannot read it ({error.strerror})", "Copy it to a disk."
        ) from None
    if not head:
        raise file_error(path, "the file is empty (0 bytes)", "Copy it again from the instrument.")
    return head


def detect(path: Path | str) -> Reader:
    """Reader of a file, by content before suffix.

    Parameters
    ----------
    path : path
        File or folder.

    Returns
    -------
    Reader
        The one to read it with.

    Raises
    ------
    FileFormatError
        If the path cannot be read or is in no known format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "no-suffix")
    ...     _ = path.write_text("LuQY (%)\\t0.97\\n")
    ...     detect(path).name
    'luqy'
    """
    path = Path(path)
    head = head_of(path)
    foreign = foreign_format(head)
    if foreign is not None and not get_reader("npz").sniff(path, head):
        raise file_error(path, f"it is {foreign[0]}", foreign[1])
    for reader in readers():
        if reader.sniff(path, head):
            return reader
    if head.startswith(HDF5_MAGIC):
        raise file_error(
            path, "it is an HDF5 file of a layout that plkit does not know, or damaged",
            'Export it as netCDF or text, or name the reader: plkit.read(path, reader="netcdf").',
        )  # fmt: skip
    for reader in readers():
        if path.name.lower().endswith(reader.suffixes):
            return reader
    known = ", ".join(sorted({s for r in readers() for s in r.suffixes}))
    raise file_error(
        path,
        f"its content and its suffix '{path.suffix}' are not of a format that plkit knows ({known})",
        "Export it from the instrument's program as text and read that.",
    )
