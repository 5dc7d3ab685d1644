"""Horiba FluorEssence (Fluorolog, FluoroMax): worksheets exported as text."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import file_error, warn_of_rate
from plkit.io.registry import Reader
from plkit.io.scans import NM
from plkit.io.text import known_unit, quantity_of, read_columns, read_lines

__all__ = ["READER", "read_fluoressence"]


def read_fluoressence(path: Path, *, signal: str | None = None) -> xr.Dataset:
    """Read a worksheet that FluorEssence (Horiba Fluorolog, FluoroMax) exported as text.

    Parameters
    ----------
    path : path
        Columns with their names and units above them; a *Short Name* line or none.
    signal : str, optional
        Which signal, such as ``"S1"`` or ``"S1c / R1c"``; by default the first.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (wavelength), or (time, wavelength) for repeated scans, whose ``time`` is the stamp of
        the file counted from the first one [s].

    Raises
    ------
    FileFormatError
        If there is no such signal, or signals have different axes.

    Warns
    -----
    PlkitWarning
        If the signal is a rate or a ratio, not counts.
    """
    path = Path(path)
    lines = read_lines(path)
    table = read_columns(path)
    rows = _worksheet_head(lines, table.values.shape[1])
    labels, units = rows["long name"], rows["units"]
    wave = [i for i, label in enumerate(labels) if quantity_of(label) == names.WAVELENGTH]
    if not wave:
        raise file_error(
            path, f"none of its columns ({', '.join(filter(None, labels))}) is a wavelength"
        )
    sources = rows.get("sourcename") or labels
    known = list(
        dict.fromkeys(s for i, s in enumerate(sources) if s and i not in wave and units[i])
    )
    wanted = signal or (known[0] if known else "")
    columns = [i for i, s in enumerate(sources) if s == wanted and i not in wave]
    if not columns:
        raise file_error(path, f"it holds no signal '{wanted}', but {', '.join(known) or 'none'}")
    axes = {max((w for w in wave if w < i), default=wave[0]) for i in columns}
    axis = table.values[:, min(axes)]
    if any(not np.array_equal(axis, table.values[:, a]) for a in axes):
        raise file_error(path, "its scans have different wavelengths", "Export each by itself.")
    unit = known_unit(units[min(axes)], NM)
    if unit is None:
        raise file_error(path, f"the unit of its wavelength is '{units[min(axes)]}', not '{NM}'")
    attrs: dict[str, Any] = {
        "instrument": "Horiba FluorEssence",
        "signal": wanted,
        "signals": ", ".join(known),
    }
    if units[columns[0]].lower() not in ("counts", "cts"):
        attrs["units_in_file"] = units[columns[0]]
        warn_of_rate(path, units[columns[0]])
    data = table.column(slice(None))[:, columns].T
    coords: dict[str, Any] = {
        names.WAVELENGTH: (names.WAVELENGTH, axis, {**names.attrs(names.WAVELENGTH), "units": unit})
    }
    dims: tuple[str, ...] = (names.WAVELENGTH,)
    if len(columns) == 1:
        data = data[0]
    else:
        dims = (names.TIME, names.WAVELENGTH)
        seconds = _stamps(path, [rows.get("timestamp", labels)[i] for i in columns])
        coords[names.TIME] = (names.TIME, seconds, names.attrs(names.TIME))
    return xr.Dataset({names.INTENSITY: (dims, data, names.attrs(names.INTENSITY))}, coords, attrs)


def _worksheet_head(lines: list[str], width: int) -> dict[str, list[str]]:
    """Lines above the numbers, by name; without names they are short name, long name, units."""
    rows: dict[str, list[str]] = {}
    numbered = lines[0].startswith("Short Name")
    for index, line in enumerate(lines[:12]):
        cells = [cell.strip() for cell in line.split("\t")]
        key = cells[0].lower() if numbered else ("short name", "long name", "units")[min(index, 2)]
        if key[:1].isdigit() or (not numbered and index > 2):
            break
        # A named line has its name where the numbers have theirs.
        rows[key] = (cells + [""] * width)[:width]
        if numbered:
            rows[key][0] = ""
    rows.setdefault("long name", [""] * width)
    rows.setdefault("units", [""] * width)
    return rows


def _stamps(path: Path, texts: list[str]) -> npt.NDArray[np.float64]:
    """Seconds since the first stamp; day and month, whose order is not said, count only if they change."""
    for form in ("%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"):
        try:
            times = [datetime.strptime(t, form) for t in texts]
        except ValueError:
            continue
        return np.array([(t - times[0]).total_seconds() for t in times])
    raise file_error(
        path, f"it holds {len(texts)} scans of one signal without times ('{texts[0][:30]}')",
        "Export each scan by itself.",
    )  # fmt: skip


READER = Reader(
    name="fluoressence",
    title="Horiba FluorEssence text",
    suffixes=(),
    sniff=lambda path, head: (  # noqa: ARG005
        (head.startswith(b"Short Name\t") and b"\nLong Name\t" in head)
        or bool(re.match(rb"A\t[^\n]*\nWavelength\t[^\n]*\nnm\t", head.replace(b"\r", b"")))
    ),
    read=read_fluoressence,
    options=("signal",),
)
