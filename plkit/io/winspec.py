"""Princeton Instruments WinSpec and WinView: ``.spe`` of version 2, with its header of 4100 bytes."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level
from plkit.io.frames import Frames, frames_to_dataset
from plkit.io.guard import check_size
from plkit.io.registry import Reader

__all__ = ["READER", "read_winspec"]

_HEADER_BYTES = 4100
_ID_AT, _ID = 2996, 0x01234567
# Places in the header, as Princeton Instruments documents it.
_EXPOSURE_AT, _DATE_AT, _TEMPERATURE_AT, _WIDTH_AT, _TYPE_AT = 10, 20, 36, 42, 108
_TIME_AT, _HEIGHT_AT, _ACCUMULATIONS_AT, _FRAMES_AT = 172, 656, 668, 1446
_CALIBRATED_AT, _UNIT_AT, _ORDER_AT, _COEFFICIENTS_AT = 3098, 3100, 3101, 3263
_TYPES = {0: "<f4", 1: "<i4", 2: "<i2", 3: "<u2"}
_NANOMETRE = 3
_CALIBRATION_UNITS = {0: "pixels", 1: "data", 2: "user units", 4: "1/cm", 5: "Raman shift"}


def read_winspec(path: Path, *, wavelength: Any = None, rows: str | None = None) -> xr.Dataset:
    """Read a ``.spe`` file of version 2.

    Parameters
    ----------
    path : path
        The file.
    wavelength : array_like, optional
        (pixels,) [nm], for a file without a calibration in nm.
    rows : {"sum", "point"}, optional
        For images: add the rows, or keep them as a list of spectra.

    Returns
    -------
    xarray.Dataset
        ``intensity`` ([time,] [point,] wavelength) [counts] in the file's number type, ``exposure_time`` [s].

    Raises
    ------
    FileFormatError
        If the header is damaged, or the wavelengths or the meaning of the rows are not known.

    Warns
    -----
    PlkitWarning
        If frames are missing (they are NaN), or have no time stamps: version 2 has none.
    """
    path = Path(path)
    raw = path.read_bytes()
    if len(raw) < _HEADER_BYTES:
        raise file_error(
            path, f"it ends after {len(raw)} bytes, inside its header of {_HEADER_BYTES} (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    data = _frames(path, raw)
    (exposure,) = struct.unpack_from("<f", raw, _EXPOSURE_AT)
    (accumulations,) = struct.unpack_from("<i", raw, _ACCUMULATIONS_AT)
    exposure_s = float(exposure) if 0 < exposure < 1e6 else None
    accumulations = accumulations if 1 <= accumulations <= 10**6 else 1
    span = (exposure_s or 0.0) * accumulations
    if len(data) > 1:
        warnings.warn(
            f"'{path.name}' holds {len(data)} frames without time stamps; they are taken as following each "
            "other without a gap.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    attrs: dict[str, Any] = {
        "instrument": "Princeton Instruments WinSpec",
        "acquired": f"{_text(raw, _DATE_AT, 10)} {_text(raw, _TIME_AT, 7)}".strip(),
        "accumulations": accumulations,
    }
    (temperature,) = struct.unpack_from("<f", raw, _TEMPERATURE_AT)
    if np.isfinite(temperature) and -300 < temperature < 100:
        attrs["detector_temperature_c"] = float(temperature)
    frames = Frames(
        data=data,
        wavelength=_wavelength(path, raw, data.shape[2], given=wavelength is not None),
        start_s=np.arange(len(data), dtype=np.float64) * span,
        exposure_s=None if exposure_s is None else span,
        span_s=span,
        attrs={k: v for k, v in attrs.items() if v != ""},
    )
    return frames_to_dataset(frames, path, wavelength=wavelength, rows=rows)


def _frames(path: Path, raw: bytes) -> npt.NDArray[Any]:
    """(frames, rows, pixels); frames that an interrupted series lacks are NaN."""
    (width,) = struct.unpack_from("<H", raw, _WIDTH_AT)
    (height,) = struct.unpack_from("<H", raw, _HEIGHT_AT)
    (n_frames,) = struct.unpack_from("<i", raw, _FRAMES_AT)
    (kind,) = struct.unpack_from("<h", raw, _TYPE_AT)
    if kind not in _TYPES:
        raise file_error(
            path, f"its number type is {kind}, not one of {', '.join(map(str, _TYPES))}"
        )
    if width < 1 or height < 1 or n_frames < 1:
        raise file_error(
            path, f"its header announces {n_frames} frames of {height} × {width} pixels"
        )
    dtype = np.dtype(_TYPES[kind])
    size = width * height * dtype.itemsize
    held = (len(raw) - _HEADER_BYTES) // size
    what = f"{n_frames} frames of {height} × {width} pixels"
    if held == 0:
        raise file_error(
            path, f"it holds none of its {what} (truncated)", "Copy it again from the instrument."
        )
    check_size(path, what, n_frames * size, per_byte=100)
    whole = min(held, n_frames)
    data = np.frombuffer(raw, dtype, whole * width * height, _HEADER_BYTES)
    data = data.reshape(whole, height, width).astype(dtype.newbyteorder("="))
    if whole < n_frames:
        warnings.warn(
            f"'{path.name}' holds {whole} of {n_frames} frames: the series was interrupted, the missing "
            "ones are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
        missing = np.full((n_frames - whole, height, width), np.nan)
        return np.concatenate([data, missing])
    return data


def _wavelength(
    path: Path, raw: bytes, n_pixels: int, *, given: bool
) -> npt.NDArray[np.float64] | None:
    """Calibration polynomial in the pixel, which counts from 1 [nm]; None where there is none."""
    calibrated, unit, order = raw[_CALIBRATED_AT], raw[_UNIT_AT], raw[_ORDER_AT]
    if given or calibrated != 1 or order > 5:
        return None
    if unit != _NANOMETRE:
        if unit == 0:
            return None
        kind = _CALIBRATION_UNITS.get(unit, f"unit {unit}")
        raise file_error(
            path, f"it is calibrated in {kind}, not in nm",
            "Give the wavelengths: plkit.read(path, wavelength=array_in_nm).",
        )  # fmt: skip
    coefficients = struct.unpack_from("<6d", raw, _COEFFICIENTS_AT)[: order + 1]
    pixel = np.arange(1, n_pixels + 1, dtype=np.float64)
    with np.errstate(all="ignore"):
        axis = np.polynomial.polynomial.polyval(pixel, np.asarray(coefficients))
    return np.asarray(axis, dtype=np.float64)


def _text(raw: bytes, at: int, length: int) -> str:
    return raw[at : at + length].split(b"\0")[0].decode("latin-1").strip()


READER = Reader(
    name="winspec",
    title="Princeton Instruments WinSpec .spe",
    suffixes=(),
    sniff=lambda path, head: (  # noqa: ARG005
        len(head) >= _ID_AT + 4 and struct.unpack_from("<I", head, _ID_AT)[0] == _ID
    ),
    read=read_winspec,
    options=(names.WAVELENGTH, "rows"),
)
