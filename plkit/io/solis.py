"""Andor Solis ASCII exports (``.asc``): columns of counts with the settings in front of them or behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import ask, file_error, metadata_json, warn_of_rate
from plkit.io.decays import whole
from plkit.io.frames import Frames, frames_to_dataset
from plkit.io.registry import Reader
from plkit.io.text import read_lines

__all__ = ["READER", "read_solis"]

_TAIL_BYTES = 8192
_NUMBERS = re.compile(r"[-+]?\d")


def read_solis(
    path: Path,
    *,
    wavelength: Any = None,
    rows: str | None = None,
    wavelength_unit: str | None = None,
) -> xr.Dataset:
    """Read a Solis ASCII export that carries its settings.

    Parameters
    ----------
    path : path
        Lines of wavelength (or pixel number) and counts, and the settings, *Date and Time:* and so on.
    wavelength : array_like, optional
        (pixels,) [nm], for a file whose first column counts pixels.
    rows : {"sum", "point"}, optional
        For images: add the rows, or keep them as a list of spectra.
    wavelength_unit : str, optional
        Unit of the first column, where the settings do not confirm nm.

    Returns
    -------
    xarray.Dataset
        ``intensity`` ([time,] [point,] wavelength) [counts], ``exposure_time`` [s]. ``time`` is the middle
        of the exposure, from the kinetic cycle time.

    Raises
    ------
    FileFormatError
        If a line does not hold its numbers, or the wavelengths are not known.
    """
    path = Path(path)
    lines = read_lines(path)
    settings = _settings(lines)
    table = _numbers(path, lines)
    axis, counts = table[:, 0], table[:, 1:]
    exposure = _number(settings, "Exposure Time (secs)")
    accumulations = int(_number(settings, "Number of Accumulations") or 1)
    cycle = _number(settings, "Accumulate Cycle Time (secs)") or exposure or 0.0
    series = int(_number(settings, "Number in Kinetics Series") or 1)
    n_pixels = _n_pixels(axis)
    if len(axis) % n_pixels:
        raise file_error(
            path,
            f"its last frame ends after {len(axis) % n_pixels} of {n_pixels} pixels (truncated)",
            "Export it again.",
        )
    # A line is a pixel along the wavelength; frames of an image follow each other, spectra of a
    # series stand side by side.
    blocks = counts.reshape(-1, n_pixels, counts.shape[1])
    image = "image" in settings.get("Readout Mode", "").lower() or len(blocks) > 1
    data = blocks.transpose(0, 2, 1) if image else blocks[0].T[:, None, :]
    if len(data) not in (1, series):
        raise file_error(path, f"it holds {len(data)} spectra, not {series} as its settings say")
    pixels = np.array_equal(axis[:n_pixels], np.arange(1, n_pixels + 1))
    kind = settings.get("Data Type", "Counts")
    attrs: dict[str, Any] = {
        "instrument": f"Andor {settings.get('Model', '')}".strip(),
        "acquired": settings.get("Date and Time", ""),
        "accumulations": accumulations,
        "units_in_file": kind,
        "metadata": metadata_json(settings),
    }
    if kind.lower() != "counts":
        warn_of_rate(path, kind)
    stated = None if pixels else _nanometres(path, axis[:n_pixels], settings, wavelength_unit)
    frames = Frames(
        data=whole(data),
        wavelength=stated,
        start_s=np.arange(len(data), dtype=np.float64)
        * (_number(settings, "Kinetic Cycle Time (secs)") or 0.0),
        exposure_s=None if exposure is None else exposure * accumulations,
        span_s=(accumulations - 1) * cycle + (exposure or 0.0),
        attrs=attrs,
    )
    return frames_to_dataset(frames, path, wavelength=wavelength, rows=rows)


def _settings(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        key, mark, value = line.partition(":")
        if mark and not _NUMBERS.match(line):
            found.setdefault(key.strip(), value.strip())
    return found


def _numbers(path: Path, lines: list[str]) -> npt.NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        if not _NUMBERS.match(line):
            continue
        cells = re.split(r"[\t,; ]+", line.rstrip("\t,; "))
        try:
            rows.append([float(c) for c in cells])
        except ValueError:
            raise file_error(path, f"line {number} holds '{line[:40]}', not numbers") from None
        if len(rows[-1]) != len(rows[0]) or len(cells) < 2:
            raise file_error(
                path, f"line {number} has {len(cells)} cells, not {max(len(rows[0]), 2)}"
            )
    if not rows:
        raise file_error(path, "it holds no line of numbers", "Export it again.")
    return np.array(rows)


def _n_pixels(axis: npt.NDArray[np.float64]) -> int:
    """Length of one run of the first column."""
    again = np.flatnonzero(axis[1:] == axis[0])
    return int(again[0]) + 1 if again.size else len(axis)


def _nanometres(
    path: Path, axis: npt.NDArray[np.float64], settings: dict[str, str], unit: str | None
) -> npt.NDArray[np.float64]:
    """Wavelengths in nm: the centre that the spectrograph was set to, in nm, lies on them."""
    centre = _number(settings, "Wavelength (nm)")
    if unit is None and (centre is None or not axis.min() <= centre <= axis.max()):
        raise ask(
            path,
            "the unit of its first column",
            f'wavelength_unit="{names.unit(names.WAVELENGTH)}"',
        )
    factor = names.conversion_factor(unit or "nm", names.unit(names.WAVELENGTH))
    if factor is None:
        raise file_error(path, f"wavelength_unit is '{unit}', not 'nm' or a multiple of it")
    return axis * factor


def _number(settings: dict[str, str], key: str) -> float | None:
    try:
        return float(settings[key])
    except (KeyError, ValueError):
        return None


def _sniff(path: Path, head: bytes) -> bool:
    if path.is_dir() or b"\0" in head:
        return False
    if b"Acquisition Mode:" in head and b"Data Type:" in head:
        return True
    if not head.lstrip()[:1].isdigit():
        return False
    with path.open("rb") as handle:
        handle.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        tail = handle.read()
    return b"Acquisition Mode:" in tail and b"Data Type:" in tail


READER = Reader(
    name="solis",
    title="Andor Solis text",
    suffixes=(),
    sniff=_sniff,
    read=read_solis,
    options=(names.WAVELENGTH, "rows", "wavelength_unit"),
)
