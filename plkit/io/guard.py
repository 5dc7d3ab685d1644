"""What is refused before a file reaches a vendor's library: bombs, links out of the file, absurd sizes.

A file is data from a stranger. The rules: no entities in XML, no links out of an HDF5 file, no pickled objects, no
member of an archive with a path of its own, and no array larger than the bytes of the file can hold.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plkit.io.common import file_error

__all__ = [
    "check_file",
    "check_hdf5",
    "check_size",
    "check_xml",
    "check_zarr",
    "check_zip",
    "foreign_format",
]

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

MOST_PER_BYTE = 1100
"""Bytes that one stored byte may stand for: deflate, the densest filter in use, cannot exceed 1032."""

MOST_PER_STORED_BYTE = 50_000
"""The same for arrays in HDF5 and Zarr, whose filters (zstd, bitshuffle) pack an even array closer."""

FREE_BYTES = 64 * 2**20
"""Arrays up to this size are never questioned."""

MOST_OBJECTS = 50_000

_COPY = "Copy it again from the instrument."

# First bytes of formats that are not measurements: what to call them, and the way out.
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive or an Office document", "Unpack it, or save the sheet as CSV."),
    (b"\x1f\x8b", "compressed by gzip", "Unpack it and read what is inside."),
    (b"BZh", "compressed by bzip2", "Unpack it and read what is inside."),
    (b"\xfd7zXZ\0", "compressed by xz", "Unpack it and read what is inside."),
    (b"7z\xbc\xaf'\x1c", "a 7-zip archive", "Unpack it and read what is inside."),
    (b"%PDF", "a PDF document", "Export the numbers from the instrument's program."),
    (b"\x89PNG", "a picture (PNG)", "Export the numbers from the instrument's program."),
    (b"\xff\xd8\xff", "a picture (JPEG)", "Export the numbers from the instrument's program."),
    (b"GIF8", "a picture (GIF)", "Export the numbers from the instrument's program."),
    (b"II*\0", "a picture (TIFF)", "Export the numbers from the instrument's program."),
    (b"MM\0*", "a picture (TIFF)", "Export the numbers from the instrument's program."),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "Save the sheet as CSV."),
    (b"MATLAB 5.0 MAT", "a MATLAB file", "Save the arrays as .npz or as text."),
    (b"\x93NUMPY", "one array without axes (.npy)", "Save it with its axes: numpy.savez(path, "
     "intensity=…, wavelength_nm=…)."),
    (b"CPYA ", "an Origin project", "Export the worksheet from Origin as text."),
    (b"CPYUA", "an Origin project", "Export the worksheet from Origin as text."),
)  # fmt: skip
_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95}\]c(]")


def foreign_format(head: bytes) -> tuple[str, str] | None:
    """What a file is that no reader of measurements takes, and the way out; None where it may be one.

    Examples
    --------
    >>> foreign_format(b"%PDF-1.7")
    ('a PDF document', "Export the numbers from the instrument's program.")
    """
    for magic, kind, remedy in _FOREIGN:
        if head.startswith(magic):
            return kind, remedy
    if _PICKLE.match(head):
        return "a Python pickle, which could run a program", "Save the arrays with numpy.savez."
    return None


def check_file(path: Path, head: bytes) -> None:
    """Check what can be checked without knowing the format.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder.
    head : bytes
        Its first bytes.

    Raises
    ------
    FileFormatError
        If the file could do harm: entities in XML, links out of HDF5, sizes that its bytes cannot hold.
    """
    if head.startswith(HDF5_MAGIC):
        check_hdf5(path)
    elif head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n").startswith(b"<"):
        check_xml(path, path.read_bytes())


def check_xml(path: Path, raw: bytes) -> None:
    """Refuse XML that declares a document type or entities: no instrument writes them."""
    plain = raw.replace(b"\0", b"")  # UTF-16 of ASCII letters
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise file_error(
            path, "its XML declares a document type or entities, which no instrument writes",
            "Remove the declaration if the file comes from a source you trust.",
        )  # fmt: skip


def check_size(path: Path, what: str, needed: float, *, per_byte: float = 1.0) -> None:
    """Refuse a size that the file states and cannot hold.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    what : str
        What is that large, for the message: ``"20 frames of 1024 pixels"``.
    needed : float
        Bytes of it in memory.
    per_byte : float, optional
        Bytes in memory that one byte of the file may stand for.

    Raises
    ------
    FileFormatError
        If ``needed`` exceeds the size of the file times ``per_byte``, or is negative.
    """
    size = path.stat().st_size
    if not 0 <= needed <= size * per_byte:
        raise file_error(
            path, f"its header announces {what}, more than its {size} bytes can hold (truncated or damaged)",
            _COPY,
        )  # fmt: skip


def check_zip(path: Path) -> list[zipfile.ZipInfo]:
    """Members of an archive, none of which has a path of its own or a size that it cannot hold.

    Raises
    ------
    FileFormatError
        If a member's name leads out of the archive, its size is absurd, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as exc:
        raise file_error(path, f"the archive is damaged or cut ({exc})", _COPY) from exc
    for member in members:
        parts = re.split(r"[/\\]", member.filename)
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise file_error(
                path, f"its member '{member.filename[:60]}' leads out of the archive",
                "Do not unpack it; ask who sent it.",
            )  # fmt: skip
        if member.file_size > FREE_BYTES + MOST_PER_BYTE * member.compress_size:
            raise file_error(
                path, f"its member '{member.filename[:60]}' would unpack to {member.file_size} bytes, "
                f"more than its {member.compress_size} bytes can hold",
                "Do not unpack it; ask who sent it.",
            )  # fmt: skip
    return members


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that points outside itself or announces arrays that it cannot hold.

    Parameters
    ----------
    path : pathlib.Path
        The file. One that libhdf5 cannot open is left to its reader, which says so.

    Raises
    ------
    FileFormatError
        If it has external links, external or virtual storage, or an array whose shape is absurd.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError):
        return
    with file:
        try:
            _walk_hdf5(path, file)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as exc:
            detail = " ".join(str(exc).split())[:100]
            raise file_error(path, f"its HDF5 structure is damaged ({detail})", _COPY) from exc


def _walk_hdf5(path: Path, root: Any) -> None:
    import h5py

    # Each group with those that it lies in: netCDF's library would follow a circle until it dies.
    todo: list[tuple[Any, tuple[Any, ...]]] = [(root, (h5py.h5o.get_info(root.id).addr,))]
    objects = 0
    while todo:
        group, above = todo.pop()
        for name in group:
            objects += 1
            if objects > MOST_OBJECTS:
                raise file_error(path, f"it holds more than {MOST_OBJECTS} objects")
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise file_error(
                    path, f"'{name}' is a link to another file ('{str(link.filename)[:60]}')",
                    "Copy the data into one file, for instance with h5repack.",
                )  # fmt: skip
            if not isinstance(link, h5py.HardLink):
                continue  # a soft link leads to an object that is met anyway, or nowhere
            item = group[name]
            if isinstance(item, h5py.Group):
                address = h5py.h5o.get_info(item.id).addr
                if address in above:
                    raise file_error(path, f"its group '{name}' holds itself", _COPY)
                todo.append((item, (*above, address)))
            elif isinstance(item, h5py.Dataset):
                _check_dataset(path, str(name), item)


def _check_dataset(path: Path, name: str, item: Any) -> None:
    if item.external or item.is_virtual:
        raise file_error(
            path, f"the numbers of '{name}' lie in other files", "Copy the data into one file, for "
            "instance with h5repack.",
        )  # fmt: skip
    needed = math.prod(item.shape or ()) * item.dtype.itemsize
    stored = item.id.get_storage_size()
    _check_array(path, name, item.shape or (), needed, stored)


def _check_array(path: Path, name: str, shape: Sequence[int], needed: int, stored: int) -> None:
    if needed > FREE_BYTES + MOST_PER_STORED_BYTE * stored:
        raise file_error(
            path, f"'{name}' announces {' × '.join(map(str, shape))} values, more than its "
            f"{stored} stored bytes can hold (truncated or damaged)",
            _COPY,
        )  # fmt: skip


def check_zarr(path: Path) -> None:
    """Refuse a Zarr store that announces arrays that its files cannot hold.

    Parameters
    ----------
    path : pathlib.Path
        Folder of the store.

    Raises
    ------
    FileFormatError
        If the shape of an array is absurd, or its description is no JSON.
    """
    for described in [*path.rglob("zarr.json"), *path.rglob(".zarray")]:
        try:
            content = json.loads(described.read_bytes())
            shape = [int(n) for n in content.get("shape", ())]
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            raise file_error(path, f"'{described.relative_to(path)}' is damaged", _COPY) from exc
        files = (p for p in described.parent.rglob("*") if p.is_file() and p != described)
        stored = sum(p.stat().st_size for p in files)
        _check_array(path, described.parent.name, shape, math.prod(shape) * 8, stored)
