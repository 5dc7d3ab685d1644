"""ENVI: a header (.hdr) in text beside a file of raw numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import ask, file_error, metadata_json, spectral_dim_of_unit, users_level
from plkit.io.guard import MOST_PER_BYTE
from plkit.io.registry import Reader
from plkit.io.text import known_unit

__all__ = ["READER", "read_envi"]

# Numbers of ENVI's documentation.
_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_SUFFIXES = ("", ".raw", ".dat", ".img", ".bsq", ".bil", ".bip", ".cube", ".bin")
_UNITS = {
    "nanometers": "nm",
    "micrometers": "um",
    "microns": "um",
    "wavenumber": "1/cm",
    "nm": "nm",
    "um": "um",
    "ev": "eV",
    "1/cm": "1/cm",
}
_LARGEST_HEADER = 16 * 2**20


def read_envi(
    path: Path, *, wavelength_unit: str | None = None, pixel_um: float | None = None
) -> xr.Dataset:
    """Read an ENVI cube by its header.

    Parameters
    ----------
    path : path
        The ``.hdr``; the numbers lie beside it under the same name.
    wavelength_unit : str, optional
        Unit of the wavelengths, where the header says *Unknown* or nothing.
    pixel_um : float, optional
        Size of a pixel [µm], where the header has none in metres or its multiples.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (y, x, wavelength) [counts] in the file's number type; the value that the header calls
        *data ignore value* is NaN.

    Raises
    ------
    FileFormatError
        If the header lacks a field, there is no file of numbers or it is too short, or a unit is not said.
    """
    path = Path(path)
    fields = _fields(path)
    samples, lines, bands = (_whole(path, fields, key) for key in ("samples", "lines", "bands"))
    kind = _whole(path, fields, "data type")
    if kind not in _TYPES:
        raise file_error(path, f"its data type is {kind}, not one of {', '.join(map(str, _TYPES))}")
    order = ">" if fields.get("byte order", "0").strip() == "1" else "<"
    data = _cube(path, fields, (lines, samples, bands), np.dtype(order + _TYPES[kind]))
    ignored = fields.get("data ignore value")
    if ignored is not None:
        data = _without(path, data, ignored)
    axis, dim, unit = _spectral_axis(path, fields, bands, wavelength_unit)
    step_y, step_x = _pixel(path, fields, pixel_um)
    coords: dict[str, Any] = {
        names.Y: (names.Y, np.arange(lines) * step_y, names.attrs(names.Y)),
        names.X: (names.X, np.arange(samples) * step_x, names.attrs(names.X)),
        dim: (dim, axis, {**names.attrs(dim), "units": unit}),
    }
    attrs = {
        "instrument": fields.get("sensor type", "ENVI").strip(),
        "acquired": fields.get("acquisition time", ""),
        "metadata": metadata_json({k: v for k, v in fields.items() if len(v) < 2000}),
    }
    return xr.Dataset(
        {names.INTENSITY: ((names.Y, names.X, dim), data, names.attrs(names.INTENSITY))},
        coords,
        {k: v for k, v in attrs.items() if v},
    )


def _fields(path: Path) -> dict[str, str]:
    if path.stat().st_size > _LARGEST_HEADER:
        raise file_error(path, f"it has {path.stat().st_size} bytes, too many for a header")
    text = path.read_bytes().decode("utf-8", "replace")
    found: dict[str, str] = {}
    for match in re.finditer(r"^([^=\n;]+?)\s*=\s*(\{[^}]*\}|[^\r\n]*)", text, re.MULTILINE):
        found[match[1].strip().lower()] = match[2].strip().strip("{}").strip()
    return found


def _whole(path: Path, fields: dict[str, str], key: str) -> int:
    text = fields.get(key, "")
    if not re.fullmatch(r"\d{1,9}", text) or (int(text) < 1):
        raise file_error(path, f"its field '{key}' is '{text[:30]}', not a whole number above 0")
    return int(text)


def _cube(
    path: Path, fields: dict[str, str], shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    lines, samples, bands = shape
    offset_text = fields.get("header offset", "0")
    offset = int(offset_text) if offset_text.isdigit() else 0
    stem = path.with_suffix("")
    source = next(
        (
            stem.with_name(stem.name + s)
            for s in _SUFFIXES
            if stem.with_name(stem.name + s).is_file()
        ),
        None,
    )
    if source is None:
        raise file_error(
            path, f"no file of numbers lies beside it ('{stem.name}' with "
            f"{', '.join(s for s in _SUFFIXES if s)} or nothing)",
            "Copy both files.",
        )  # fmt: skip
    needed = lines * samples * bands * dtype.itemsize
    if fields.get("file compression", "0").strip() == "1":
        raise file_error(
            path,
            f"'{source.name}' is compressed",
            f"Unpack it (at most {MOST_PER_BYTE} times larger).",
        )
    held = source.stat().st_size - offset
    if held < needed:
        raise file_error(
            path, f"'{source.name}' holds {max(held, 0)} bytes, not the {needed} of {lines} × {samples} × {bands} "
            "numbers (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    flat = np.fromfile(source, dtype, lines * samples * bands, offset=offset)
    interleave = fields.get("interleave", "").lower()
    if interleave == "bsq":
        cube = flat.reshape(bands, lines, samples).transpose(1, 2, 0)
    elif interleave == "bil":
        cube = flat.reshape(lines, bands, samples).transpose(0, 2, 1)
    elif interleave == "bip":
        cube = flat.reshape(lines, samples, bands)
    else:
        raise file_error(path, f"its interleave is '{interleave}', not bsq, bil or bip")
    native: npt.NDArray[Any] = np.ascontiguousarray(cube, dtype=dtype.newbyteorder("="))
    return native


def _without(path: Path, data: npt.NDArray[Any], ignored: str) -> npt.NDArray[Any]:
    import warnings

    from plkit.errors import PlkitWarning

    try:
        mark = float(ignored)
    except ValueError:
        raise file_error(path, f"its data ignore value is '{ignored}', not a number") from None
    missing = data == mark
    if not missing.any():
        return data
    warnings.warn(
        f"'{path.name}' marks {int(missing.sum())} of {missing.size} values as not measured; they are NaN.",
        PlkitWarning,
        stacklevel=users_level(),
    )
    return np.where(missing, np.nan, data.astype(np.result_type(data.dtype, np.float32)))


def _spectral_axis(
    path: Path, fields: dict[str, str], bands: int, wavelength_unit: str | None
) -> tuple[npt.NDArray[np.float64], str, str]:
    try:
        axis = np.array(
            [float(w) for w in fields.get(names.WAVELENGTH, "").split(",") if w.strip()]
        )
    except ValueError:
        raise file_error(path, "its field 'wavelength' does not hold numbers") from None
    if axis.shape != (bands,):
        raise file_error(path, f"its field 'wavelength' holds {axis.size} values, not {bands}")
    stated = wavelength_unit or fields.get("wavelength units", "").lower()
    unit = _UNITS.get(stated.lower(), stated)
    dim = spectral_dim_of_unit(unit) if unit else None
    if dim is None:
        raise ask(path, "the unit of its wavelengths", 'wavelength_unit="nm"')
    return axis, dim, str(known_unit(unit, names.unit(dim)))


def _pixel(path: Path, fields: dict[str, str], pixel_um: float | None) -> tuple[float, float]:
    """Steps along y and x [µm]."""
    if pixel_um is not None:
        return pixel_um, pixel_um
    cells = [c.strip() for c in fields.get("pixel size", "").split(",") if c.strip()]
    unit = next((c.split("=")[1].strip() for c in cells if c.lower().startswith("units")), None)
    sizes = [c for c in cells if "=" not in c]
    factor = names.conversion_factor(
        {"meters": "m", "micrometers": "um"}.get((unit or "").lower(), unit or ""),
        names.unit(names.X),
    )
    try:
        values = [float(s) for s in sizes]
    except ValueError:
        values = []
    if len(values) != 2 or factor is None or not all(v > 0 for v in values):
        raise ask(path, "the size of a pixel", "pixel_um=1.0")
    return values[1] * factor, values[0] * factor


READER = Reader(
    name="envi",
    title="ENVI header",
    suffixes=(".hdr",),
    sniff=lambda path, head: head.startswith(b"ENVI"),  # noqa: ARG005
    read=read_envi,
    options=("wavelength_unit", "pixel_um"),
)
