"""Princeton Instruments LightField: ``.spe`` (version 3) and its long CSV export."""

from __future__ import annotations

import struct
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level
from plkit.io.frames import Frames, frames_to_dataset
from plkit.io.guard import check_xml
from plkit.io.registry import Reader
from plkit.io.text import pivot, read_columns

__all__ = ["LONG_CSV", "SPE", "read_lightfield_csv", "read_spe"]

LONG_HEADER = "Exposure started time stamp,Exposure ended time stamp,Wavelength,Intensity"

# The header of a .spe file: its length, the place of the footer's address and of the version.
_HEADER_BYTES, _FOOTER_AT, _VERSION_AT = 4100, 678, 1992
_PIXELS = {
    "MonochromeUnsigned16": "<u2",
    "MonochromeUnsigned32": "<u4",
    "MonochromeFloating32": "<f4",
}


def read_lightfield_csv(path: Path) -> xr.Dataset:
    """Read the long CSV that LightField exports: one line per time and wavelength.

    Parameters
    ----------
    path : path
        With the header ``Exposure started time stamp,Exposure ended time stamp,Wavelength,Intensity``
        (µs and nm).

    Returns
    -------
    xarray.Dataset
        ``intensity`` (time, wavelength) [counts], ``exposure_time`` (time) [s]. ``time`` is the middle
        of the exposure, counted from the start of the first one [s].

    Raises
    ------
    FileFormatError
        If a line is not four numbers, or one wavelength comes twice in one exposure.
    """
    path = Path(path)
    table = read_columns(path)
    started, ended, wavelength = (table.values[:, i] for i in range(3))
    axes = {names.TIME: started, names.WAVELENGTH: wavelength}
    cube, (start_us, axis) = pivot(path, axes, table.column(3))
    end_us = np.array([ended[started == s][0] for s in start_us])
    middle = (0.5 * (start_us + end_us) - start_us[0]) * 1e-6
    exposure = (end_us - start_us) * 1e-6
    return xr.Dataset(
        {
            names.INTENSITY: ((names.TIME, names.WAVELENGTH), cube, names.attrs(names.INTENSITY)),
            "exposure_time": (names.TIME, exposure, names.attrs("exposure_time")),
        },
        {
            names.TIME: (names.TIME, middle, names.attrs(names.TIME)),
            names.WAVELENGTH: (names.WAVELENGTH, axis, names.attrs(names.WAVELENGTH)),
        },
        {"instrument": "Princeton Instruments LightField"},
    )


def read_spe(path: Path, *, wavelength: Any = None, rows: str | None = None) -> xr.Dataset:
    """Read a LightField ``.spe`` file of version 3.

    Parameters
    ----------
    path : path
        The file; one region of interest.
    wavelength : array_like, optional
        (pixels,) [nm], for a file without calibration.
    rows : {"sum", "point"}, optional
        For images: add the rows, or keep them as a list of spectra.

    Returns
    -------
    xarray.Dataset
        ``intensity`` ([time,] [point,] wavelength) [counts] in the camera's number type,
        ``exposure_time`` [s]. ``time`` is the middle of the exposure, counted from the start of the
        first one.

    Raises
    ------
    FileFormatError
        If the file is truncated, of version 2, or has several regions of interest.
    """
    path = Path(path)
    raw = path.read_bytes()
    root = _footer(path, raw)
    data, stamps = _frames(path, raw, root)
    exposure = _number(root, "ExposureTime")
    exposure_s = None if exposure is None else exposure * 1e-3
    span = exposure_s or 0.0
    start = stamps if stamps is not None else np.arange(len(data), dtype=np.float64) * span
    if stamps is None and len(data) > 1:
        warnings.warn(
            f"'{path.name}' holds {len(data)} frames without time stamps; they are taken as "
            "following each other without a gap.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    camera = next((e for e in root.iter() if _tag(e) == "Camera" and "model" in e.attrib), None)
    axis = _wavelength(root, data.shape[2])
    attrs: dict[str, Any] = {
        "instrument": f"Princeton Instruments {camera.get('model') if camera is not None else ''}".strip(),
        # LightField's own XML, whole: it is the file's record of every setting.
        "metadata": ET.tostring(root, encoding="unicode"),
    }
    frames = Frames(data, axis, start, exposure_s, span, attrs)
    return frames_to_dataset(frames, path, wavelength=wavelength, rows=rows)


def _footer(path: Path, raw: bytes) -> ET.Element:
    """Footer of a version 3 file: XML that describes the frames."""
    if len(raw) < _HEADER_BYTES:
        raise file_error(
            path, f"it ends after {len(raw)} bytes, inside its header of {_HEADER_BYTES} (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    version = struct.unpack_from("<f", raw, _VERSION_AT)[0]
    at = struct.unpack_from("<Q", raw, _FOOTER_AT)[0]
    if not 3.0 <= version < 4.0:
        raise file_error(
            path, f"its version is {version:g}, not 3", "Open it in LightField and save it again."
        )
    if not _HEADER_BYTES <= at < len(raw):
        raise file_error(
            path, f"its XML footer is missing: the file ends after {len(raw)} bytes (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    check_xml(path, raw[at:])
    return ET.fromstring(raw[at:])


def _frames(
    path: Path, raw: bytes, root: ET.Element
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64] | None]:
    """(frames, rows, pixels) and the start of each exposure [s], None without time stamps."""
    block = next((e for e in root.iter() if _tag(e) == "DataBlock"), None)
    regions = [] if block is None else [e for e in block if _tag(e) == "DataBlock"]
    if block is None or len(regions) != 1:
        raise file_error(
            path, f"it holds {len(regions)} regions of interest, not 1",
            "Export each region of interest to its own file.",
        )  # fmt: skip
    pixel = block.get("pixelFormat", "")
    if pixel not in _PIXELS:
        raise file_error(path, f"its pixel format is '{pixel}', not one of {', '.join(_PIXELS)}")
    dtype = np.dtype(_PIXELS[pixel])
    height, width = int(regions[0].get("height", 0)), int(regions[0].get("width", 0))
    n_frames, stride = int(block.get("count", 0)), int(block.get("stride", 0))
    if min(n_frames, stride, height, width) < 1 or height * width * dtype.itemsize > stride:
        raise file_error(
            path,
            f"its footer announces {n_frames} frames of {height} × {width} pixels in {stride} bytes",
        )
    if _HEADER_BYTES + n_frames * stride > len(raw):
        raise file_error(
            path, f"it does not hold the {n_frames} frames that it announces (truncated)"
        )
    layout = np.ndarray(
        (n_frames, height, width),
        dtype,
        raw,
        _HEADER_BYTES,
        (stride, width * dtype.itemsize, dtype.itemsize),
    )
    return layout.astype(dtype.newbyteorder("=")), _stamps(raw, root, n_frames, stride, block)


def _stamps(
    raw: bytes, root: ET.Element, n_frames: int, stride: int, block: ET.Element
) -> npt.NDArray[np.float64] | None:
    """Start of each exposure from the 64-bit stamps behind each frame, the first at 0 [s]."""
    stamps = [e for e in root.iter() if _tag(e) == "TimeStamp" and e.get("resolution")]
    for order, element in enumerate(stamps):
        if element.get("event") == "ExposureStarted":
            at = _HEADER_BYTES + int(block.get("size", 0)) + 8 * order
            ticks = np.array(
                [struct.unpack_from("<q", raw, at + i * stride)[0] for i in range(n_frames)]
            )
            return np.asarray((ticks - ticks[0]) / float(element.get("resolution", "1")))
    return None


def _wavelength(root: ET.Element, n_pixels: int) -> npt.NDArray[np.float64] | None:
    """Calibration [nm]; one of the whole sensor is cut to the region of interest and binned."""
    text = _child_text(root, "WavelengthMapping", "Wavelength")
    if text is None:
        return None
    axis = np.array(text.split(","), dtype=np.float64)
    region = next((e for e in root.iter() if _tag(e) == "SensorMapping"), None)
    if axis.size == n_pixels or region is None:
        return axis
    first, width = int(region.get("x", 0)), int(region.get("width", axis.size))
    binning = max(int(region.get("xBinning", 1)), 1)
    cut = axis[first : first + width // binning * binning]
    return np.asarray(cut.reshape(-1, binning).mean(axis=1))


def _tag(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _child_text(root: ET.Element, parent: str, child: str) -> str | None:
    for element in root.iter():
        if _tag(element) == parent:
            for inner in element:
                if _tag(inner) == child and inner.text:
                    return inner.text
    return None


def _number(root: ET.Element, tag: str) -> float | None:
    text = next((e.text for e in root.iter() if _tag(e) == tag and e.text), None)
    return None if text is None else float(text)


SPE = Reader(
    name="lightfield_spe",
    title="Princeton Instruments LightField .spe",
    suffixes=(".spe",),
    # A .spe file has no magic word at its front; its version, 3.0, stands in the binary header.
    sniff=lambda path, head: (  # noqa: ARG005
        len(head) > _VERSION_AT + 4
        and b"\0" in head[:_VERSION_AT]
        and struct.unpack_from("<f", head, _VERSION_AT)[0] == 3.0
    ),
    read=read_spe,
    options=(names.WAVELENGTH, "rows"),
)

LONG_CSV = Reader(
    name="lightfield_csv",
    title="LightField long CSV",
    suffixes=(),
    sniff=lambda path, head: head.removeprefix(b"\xef\xbb\xbf").startswith(LONG_HEADER.encode()),  # noqa: ARG005
    read=read_lightfield_csv,
)
