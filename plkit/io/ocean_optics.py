"""Ocean Optics SpectraSuite and OceanView: spectra saved as text."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, metadata_json, users_level
from plkit.io.registry import Reader
from plkit.io.scans import pairs, spectrum
from plkit.io.text import read_lines

__all__ = ["READER", "read_ocean_optics"]


def read_ocean_optics(path: Path) -> xr.Dataset:
    """Read a spectrum that Ocean Optics' SpectraSuite or OceanView saved as text.

    Parameters
    ----------
    path : path
        Text with the line *>>>>>Begin … Spectral Data<<<<<*; the wavelength is in nm.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (wavelength) [counts], the mean of the averaged spectra; ``exposure_time`` [s], of one of them.

    Raises
    ------
    FileFormatError
        If the axis is not a wavelength, or a line does not hold two numbers.

    Warns
    -----
    PlkitWarning
        If there are fewer pixels than announced: the missing ones are left out and named.
    """
    path = Path(path)
    lines = read_lines(path)
    begin = next((n for n, line in enumerate(lines) if line.startswith(">>>>>Begin")), None)
    if begin is None:
        raise file_error(
            path, "it lacks the line '>>>>>Begin … Spectral Data<<<<<'", "Copy it again."
        )
    header: dict[str, str] = {}
    for line in lines[:begin]:
        key, mark, value = line.partition(":")
        if mark:
            header[key.strip()] = value.strip()
    mode = header.get("XAxis mode", "Wavelengths")
    if not mode.lower().startswith(names.WAVELENGTH):
        raise file_error(path, f"its axis is '{mode}', not wavelengths", "Save it over wavelength.")
    end = next((n for n, line in enumerate(lines) if line.startswith(">>>>>End")), len(lines))
    body = [line.replace(",", ".") for line in lines[:end]]
    rows = pairs(path, body, begin + 1)
    announced = _leading_number(
        header.get("Number of Pixels in Processed Spectrum")
        or header.get("Number of Pixels in Spectrum")
    )
    if announced and len(rows) < announced:
        warnings.warn(
            f"'{path.name}' breaks off behind {len(rows)} of its {announced:.0f} pixels; the others, whose "
            "wavelengths are not known, are left out.",
            PlkitWarning,
            stacklevel=users_level(),
        )
        if len(lines) == end and lines[-1] != "":
            rows = rows[:-1]  # the last line may lack digits
    attrs = {
        "instrument": f"Ocean Optics {header.get('Spectrometers') or header.get('Spectrometer') or ''}".strip(),
        "acquired": header.get("Date", ""),
        "spectra_averaged": int(_leading_number(header.get("Spectra Averaged") or header.get("Scans to average")) or 1),
        "metadata": metadata_json(header),
    }  # fmt: skip
    if not len(rows):
        raise file_error(path, "it breaks off before the first pixel", "Copy it again.")
    ds = spectrum(names.INTENSITY, rows[:, 0], rows[:, 1], attrs)
    for key, factor in (
        ("Integration Time (usec)", 1e-6),
        ("Integration Time (sec)", 1.0),
        ("Integration Time (ms)", 1e-3),
    ):
        exposure = _leading_number(header.get(key))
        if exposure:
            ds["exposure_time"] = ((), exposure * factor, names.attrs("exposure_time"))
    return ds


def _leading_number(text: str | None) -> float | None:
    found = re.match(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", text or "")
    return float(found[0]) if found else None


READER = Reader(
    name="ocean_optics",
    title="Ocean Optics text",
    suffixes=(),
    sniff=lambda path, head: b">>>>>Begin" in head and b"Spectral Data<<<<<" in head,  # noqa: ARG005
    read=read_ocean_optics,
)
