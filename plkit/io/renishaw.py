"""What a Renishaw .wdf says beside its spectra: whether it is whole, and the picture of the sample."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level
from plkit.io.text import known_unit

__all__ = ["refuse_cut_wdf", "wdf_numbers", "with_missing_spectra", "with_white_light"]

# In the header of 512 bytes: how many spectra were asked for, and how many were taken.
_PLANNED_AT = 64


def refuse_cut_wdf(path: Path) -> None:
    """Blocks of name (4 bytes), number (4) and length (8) follow each other up to the end of the file.

    Of a file that was cut, RosettaSciIO gives the channels that are left.
    """
    size, at = path.stat().st_size, 0
    with path.open("rb") as handle:
        while at < size:
            handle.seek(at)
            head = handle.read(16)
            length = struct.unpack("<8xQ", head)[0] if len(head) == 16 else 16
            if length < 16 or at + length > size:
                raise file_error(
                    path, f"the file ends after {size} bytes, inside one of its blocks (truncated)",
                    "Copy it again from the instrument.",
                )  # fmt: skip
            at += length


def wdf_numbers(path: Path) -> tuple[int, int]:
    """Spectra that were planned, and that were taken."""
    with path.open("rb") as handle:
        head = handle.read(_PLANNED_AT + 16)
    if len(head) < _PLANNED_AT + 16:
        return 0, 0
    planned, taken = struct.unpack_from("<QQ", head, _PLANNED_AT)
    return int(planned), int(taken)


def with_missing_spectra(path: Path, ds: xr.Dataset) -> xr.Dataset:
    """Continue a map or series that was interrupted by NaN up to the planned number of spectra.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    ds : xarray.Dataset
        What RosettaSciIO gave: the complete lines of a map.

    Returns
    -------
    xarray.Dataset
        With NaN where no spectrum was taken.

    Raises
    ------
    FileFormatError
        If not one line is complete.

    Warns
    -----
    PlkitWarning
        If spectra are missing.
    """
    planned, taken = wdf_numbers(path)
    da = ds[names.INTENSITY]
    outer = [str(d) for d in da.dims if d not in names.SPECTRAL_DIMS]
    if taken >= planned or not outer:
        return ds
    dim, per_line = outer[0], int(np.prod([da.sizes[d] for d in outer[1:]], dtype=np.int64))
    if da.sizes[dim] < 2 or per_line < 1:
        raise file_error(
            path, f"it holds {taken} of {planned} spectra, not two lines of its map", "Measure it again."
        )  # fmt: skip
    lines = -(-planned // per_line)
    if lines * da.nbytes // da.sizes[dim] > 100 * path.stat().st_size:
        raise file_error(
            path, f"its header announces {planned} spectra, far more than it holds ({taken})"
        )
    n_missing = int(lines) - da.sizes[dim]
    warnings.warn(
        f"'{path.name}' holds {taken} of {planned} spectra: the measurement was interrupted. Of its {lines} lines "
        f"along '{dim}', the {n_missing} that are not complete are NaN.",
        PlkitWarning,
        stacklevel=users_level(),
    )
    axis = ds[dim].values
    step = (axis[-1] - axis[0]) / (len(axis) - 1)
    longer = np.concatenate([axis, axis[-1] + step * np.arange(1, n_missing + 1)])
    return ds.reindex({dim: longer}).assign_coords({dim: (dim, longer, ds[dim].attrs)})


def with_white_light(path: Path, ds: xr.Dataset, signals: list[dict[str, Any]]) -> xr.Dataset:
    """Add the picture of the sample, with its place under the same stage coordinates."""
    picture = next((s for s in signals if np.asarray(s["data"]).dtype.names), None)
    if picture is None:
        raise file_error(path, "it holds no white-light image", "Read it without white_light.")
    pixels = np.asarray(picture["data"])
    levels = np.stack([pixels[c] for c in pixels.dtype.names or ()], axis=-1)
    coords: dict[str, Any] = {}
    for axis, dim in zip(picture["axes"], (names.IMAGE_Y, names.IMAGE_X), strict=True):
        values = float(axis["offset"]) + float(axis["scale"]) * np.arange(int(axis["size"]))
        if known_unit(str(axis.get("units")), names.unit(dim)) != names.unit(dim):
            raise file_error(path, f"its white-light image has no scale along '{dim}'")
        coords[dim] = (dim, values, names.attrs(dim))
    coords[names.COLOUR] = (names.COLOUR, list(pixels.dtype.names or ()), names.attrs(names.COLOUR))
    dims = (names.IMAGE_Y, names.IMAGE_X, names.COLOUR)
    return ds.assign_coords(coords).assign(
        {names.WHITE_LIGHT: (dims, levels, names.attrs(names.WHITE_LIGHT))}
    )
