"""PerkinElmer text: FL WinLab spectra and Lambda-SPX scans (.dsp)."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level
from plkit.io.registry import Reader
from plkit.io.scans import NM, filled, pairs, spectrum
from plkit.io.text import known_unit, read_lines

__all__ = ["READERS", "read_fl_winlab", "read_lambda_spx"]

_YMODES = {"A": ("absorbance", 1.0), "%T": ("transmittance", 0.01), "%R": ("reflectance", 0.01)}


def read_fl_winlab(path: Path) -> xr.Dataset:
    """Read a spectrum of PerkinElmer's FL WinLab (*PE FL*, LS 55).

    Parameters
    ----------
    path : path
        Text that begins with *PE FL* and has the lines *#GR* and *#DATA*.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (wavelength), in the arbitrary unit of the instrument.

    Raises
    ------
    FileFormatError
        If a section is missing or the axis is not in nm.

    Warns
    -----
    PlkitWarning
        Always: the intensity is no counts; and if points are missing, which are NaN.
    """
    path = Path(path)
    lines = [line.strip() for line in read_lines(path)]
    if "#GR" not in lines or "#DATA" not in lines:
        raise file_error(path, "it lacks its sections '#GR' and '#DATA'", "Copy it again.")
    block = lines[lines.index("#GR") + 1 : lines.index("#DATA")]
    if not block or block[0].upper() != "NM":
        raise file_error(path, f"its axis is in '{block[0] if block else ''}', not nm")
    numbers = [float(t) for t in block[1:] if re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", t)]
    if len(numbers) < 5:
        raise file_error(path, "its section '#GR' lacks start, step and number of points")
    start, step, count = numbers[2], numbers[3], int(numbers[4])
    rows = pairs(path, lines, lines.index("#DATA") + 1)
    if not 1 <= len(rows) <= count or abs(rows[0, 0] - start) > abs(step):
        raise file_error(
            path, f"it holds {len(rows)} points from {rows[0, 0]:g}, not {count} from {start:g}"
        )
    values = filled(path, rows[:, 1], count)
    warnings.warn(
        f"'{path.name}' gives its intensity in the arbitrary unit of the instrument; plkit calls it counts: "
        "set noise_gain before σ is believed.",
        PlkitWarning,
        stacklevel=users_level(),
    )
    attrs = {"instrument": f"PerkinElmer {_model(lines)}".strip(), "units_in_file": "a.u."}
    return spectrum(names.INTENSITY, start + step * np.arange(count), values, attrs)


def _model(lines: list[str]) -> str:
    return next((t for t in lines[:30] if re.fullmatch(r"L\s?S\s?\d\d.*", t)), "")


def read_lambda_spx(path: Path) -> xr.Dataset:
    """Read a scan of a PerkinElmer Lambda under Lambda-SPX (``.dsp``).

    Parameters
    ----------
    path : path
        Text that begins with *sinacsa* and *Scan*: axis, unit and number of points, one value per line.

    Returns
    -------
    xarray.Dataset
        ``absorbance``, ``transmittance`` or ``reflectance`` (wavelength) [1]; per cent are divided by 100.

    Raises
    ------
    FileFormatError
        If the header is incomplete, or the numbers are not those that it announces.

    Warns
    -----
    PlkitWarning
        If points are missing: they are NaN.
    """
    path = Path(path)
    lines = [line.strip() for line in read_lines(path)]
    try:
        unit = lines[4]
        start, stop, step = (float(t) for t in lines[5:8])
        count, mode = int(lines[8]), lines[9]
        begin = lines.index("#DATA") + 1
    except (ValueError, IndexError):
        raise file_error(
            path, "its header lacks axis, number of points or '#DATA'", "Copy it again."
        ) from None
    if known_unit(unit, NM) is None:
        raise file_error(path, f"its axis is in '{unit}', not '{NM}'")
    if mode not in _YMODES:
        raise file_error(path, f"it measured '{mode}', not one of {', '.join(_YMODES)}")
    if count < 1 or abs((stop - start) - (count - 1) * step) > 0.01 * abs(step):
        raise file_error(
            path,
            f"its axis from {start:g} to {stop:g} in steps of {step:g} does not have {count} points",
        )
    texts = [t for t in lines[begin:] if t]
    try:
        values = np.array([float(t) for t in texts])
    except ValueError:
        raise file_error(path, "a line behind '#DATA' is not a number", "Copy it again.") from None
    variable, factor = _YMODES[mode]
    axis = start + step * np.arange(count)
    attrs = {"instrument": "PerkinElmer Lambda (Lambda-SPX)", "title": lines[3]}
    ds = spectrum(variable, axis, filled(path, values * factor, count), attrs)
    if unit.lower() != NM:
        ds[names.WAVELENGTH].attrs["units"] = known_unit(unit, NM)
    return ds


READERS = (
    Reader(
        name="fl_winlab",
        title="PerkinElmer FL WinLab text",
        suffixes=(),
        sniff=lambda path, head: head.startswith(b"PE FL ") and b"SPECTRUM" in head[:80],  # noqa: ARG005
        read=read_fl_winlab,
    ),
    Reader(
        name="lambda_spx",
        title="PerkinElmer Lambda-SPX .dsp",
        suffixes=(".dsp",),
        sniff=lambda path, head: head.startswith(b"sinacsa"),  # noqa: ARG005
        read=read_lambda_spx,
    ),
)
