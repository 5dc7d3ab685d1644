"""Decay traces of time-correlated single-photon counting: exports of the counters' programs, and tables.

Every reader gives ``intensity`` over ``delay`` [counts]: ``power`` comes before ``delay`` where the file
holds a power series, ``point`` after it where it holds several curves. ``delay`` is the vendor's: it counts
from the start of the record, not from the laser pulse, which lies a cable's length before the rise. One count
is one photon, so ``noise_gain`` is 1. Attributes, where the file states them or its axis gives them:
``bin_width_ns``, ``repetition_rate_hz``, ``excitation_wavelength_nm``, ``emission_wavelength_nm``.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, users_level
from plkit.io.decays import (
    Decays,
    continued,
    decay_columns,
    decays_to_dataset,
    key_values,
    quantity_in,
    read_decay_columns,
    read_rows,
    whole,
    without_cut_line,
)
from plkit.io.registry import Reader
from plkit.io.text import known_unit, read_columns, read_lines

__all__ = [
    "READERS",
    "read_decay_table",
    "read_fluotime",
    "read_picoquant_histogram",
    "read_power_series",
    "read_spcm",
]

_NS = names.unit(names.DELAY)


def read_picoquant_histogram(path: Path) -> xr.Dataset:
    """Read a histogram that TimeHarp, PicoHarp or HydraHarp exported as text.

    Parameters
    ----------
    path : path
        Text whose first line names the counter and says *Histogram Data*.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay) or (delay, point) [counts], ``noise_gain`` [counts].

    Raises
    ------
    FileFormatError
        If the header does not state the number of channels and one width for all curves, or a line does not
        hold its counts.

    Warns
    -----
    PlkitWarning
        If the file holds fewer channels than it states: they are NaN.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.dat")
    ...     _ = path.write_text(
    ...         "#TimeHarp 260  Histogram Data\\n#channels per curve\\n3\\n#ns/bin\\n0.5\\n#counts\\n1\\n7\\n4\\n"
    ...     )
    ...     ds = read_picoquant_histogram(path)
    >>> ds.delay.values.tolist(), ds.intensity.values.tolist()
    ([0.0, 0.5, 1.0], [1, 7, 4])
    """
    path = Path(path)
    lines = read_lines(path)
    sections: dict[str, str] = {}
    start = None
    for number, line in enumerate(lines[:60]):
        key = line.strip().lower().removeprefix("#")
        if line.startswith("#counts"):
            start = number + 1
            break
        if line.startswith("#") and number + 1 < len(lines):
            sections[key] = lines[number + 1].strip()
    width_text = sections.get("ns/bin") or sections.get("ns/channel") or ""
    try:
        n_channels = int(sections.get("channels per curve", ""))
        widths = {float(w) for w in width_text.split()}
    except ValueError:
        n_channels, widths = 0, set()
    if start is None or n_channels < 1 or not widths:
        raise file_error(
            path, "its header lacks '#channels per curve', '#ns/bin' or '#counts'",
            "Export the histogram again, or copy the whole file.",
        )  # fmt: skip
    if len(widths) > 1 or min(widths) <= 0:
        raise file_error(
            path, f"its curves have bins of {width_text} ns, not of one width",
            "Export each curve by itself.",
        )  # fmt: skip
    width = widths.pop()
    counts = read_rows(path, lines, start, len(width_text.split()), n_channels)
    title, _, acquired = lines[0].lstrip("#").partition("Histogram Data")
    attrs = {
        "instrument": " ".join(title.split()),
        "acquired": acquired.strip(),
        "bin_width_ns": width,
    }
    return decays_to_dataset(
        path,
        Decays(
            np.arange(n_channels, dtype=np.float64) * width, _NS, whole(counts), attrs, sections
        ),
    )


def read_spcm(path: Path) -> xr.Dataset:
    """Read a decay that Becker & Hickl's SPCM exported as text.

    Parameters
    ----------
    path : path
        Text with one or more blocks ``*BLOCK 1  ( Time[ns]  No_of_photons )``.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay), or (delay, point) where there are several blocks [counts], ``noise_gain``
        [counts]. The setup is in the attribute ``metadata``.

    Raises
    ------
    FileFormatError
        If there is no block, a line does not hold two numbers, or blocks have different axes.

    Warns
    -----
    PlkitWarning
        If the last block does not come to its *\\*END*: its missing bins, as far as the resolution of the
        converter tells their number, are NaN.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.dat")
    ...     _ = path.write_text("*BLOCK 1  ( Time[ns]  No_of_photons )\\n0.0 , 1\\n0.5 , 7\\n*END\\n")
    ...     ds = read_spcm(path)
    >>> ds.delay.values.tolist(), ds.intensity.values.tolist()
    ([0.0, 0.5], [1, 7])
    """
    path = Path(path)
    lines = read_lines(path)
    starts = [n for n, line in enumerate(lines) if line.startswith("*BLOCK")]
    if not starts:
        raise file_error(path, "it has no line '*BLOCK', behind which SPCM writes the counts")
    header = key_values(lines[: starts[0]])
    bits = re.match(r"(\d+) bits", header.get("Revision", ""))
    delay = None
    unit = ""
    curves: list[npt.NDArray[Any]] = []
    for start in starts:
        found = re.search(r"\(\s*Time\s*\[(.+?)\]\s+No_of_photons\s*\)", lines[start])
        if found is None:
            raise file_error(
                path, f"its block is '{lines[start].strip()[:60]}', not time and number of photons",
                "Export the trace with its time axis.",
            )  # fmt: skip
        unit = found[1]
        end = next((n for n in range(start + 1, len(lines)) if lines[n].startswith("*")), None)
        expected = 2 ** int(bits[1]) if bits and end is None else None
        table = read_rows(path, lines[:end], start + 1, 2, expected, broken=end is None)
        axis = table[:, 0]
        if end is None:
            axis = continued(axis)
            if expected is None:
                warnings.warn(
                    f"'{path.name}' breaks off behind bin {axis.size} without '*END'.",
                    PlkitWarning,
                    stacklevel=users_level(),
                )
        if delay is not None and not np.array_equal(axis, delay):
            raise file_error(
                path, "its blocks have different time axes", "Export each block by itself."
            )
        delay = axis
        curves.append(table[:, 1])
    counts = np.stack(curves, axis=1)
    parameters = dict(re.findall(r"#\w\w \[(\w+),\w,([^\]]*)\]", "\n".join(lines[: starts[0]])))
    attrs = {
        "instrument": "Becker & Hickl SPCM",
        "title": header.get("Title", ""),
        "acquired": f"{header.get('Date', '')} {header.get('Time', '')}".strip(),
    }
    assert delay is not None
    return decays_to_dataset(
        path, Decays(delay, unit, whole(counts), attrs, {**header, **parameters})
    )


def read_fluotime(path: Path) -> xr.Dataset:
    """Read a decay that PicoQuant's EasyTau exported from a FluoTime spectrometer.

    Parameters
    ----------
    path : path
        Text that begins with *Parameters:* and ends with a table of *Time [ns]* and *Intensity [Cnts.]*.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay) [counts], ``noise_gain`` [counts], ``exposure_time`` [s]. Attributes ``sample``,
        ``bin_width_ns``, ``repetition_rate_hz``, ``excitation_wavelength_nm``, ``excitation_attenuation``,
        ``emission_wavelength_nm``, ``signal_rate_cps``; the whole header in ``metadata``.

    Raises
    ------
    FileFormatError
        If there is no such table.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.dat")
    ...     _ = path.write_text(
    ...         "Parameters:\\n  Sync_Frequency : 250 kHz\\nTime [ns]\\tIntensity [Cnts.]\\n0\\t1\\n0.5\\t7\\n"
    ...     )
    ...     ds = read_fluotime(path)
    >>> ds.attrs["repetition_rate_hz"], int(ds.intensity.max())
    (250000.0, 7)
    """
    path = Path(path)
    decays = read_decay_columns(path, None)
    header = key_values(read_lines(path)[:400])
    attrs: dict[str, Any] = {
        "instrument": "PicoQuant FluoTime",
        "sample": header.get("Sample", ""),
        "acquired": f"{header.get('Start_Date', '')} {header.get('Start_Time', '')}".strip(),
    }
    for key, name, unit in (
        ("Meas_BinWidth", "bin_width_ns", _NS),
        ("Sync_Frequency", "repetition_rate_hz", "Hz"),
        ("Exc_Wavelength", "excitation_wavelength_nm", names.unit(names.WAVELENGTH)),
        ("Det_Wavelength", "emission_wavelength_nm", names.unit(names.WAVELENGTH)),
        ("Signal_Rate", "signal_rate_cps", "cps"),
    ):
        value = quantity_in(header.get(key, ""), unit)
        if value is not None:
            attrs[name] = value
    if "Exc_Attenuation" in header:
        attrs["excitation_attenuation"] = header["Exc_Attenuation"]
    exposure = quantity_in(header.get("Meas_Time", ""), names.unit(names.TIME))
    return decays_to_dataset(
        path, Decays(decays.delay, decays.unit, decays.counts, attrs, header, exposure)
    )


def read_decay_table(path: Path, *, delay_unit: str | None = None) -> xr.Dataset:
    """Read a decay from a table with columns such as ``bins [ps]`` and ``counts [#]``.

    Parameters
    ----------
    path : path
        Text with a line of labels: a delay, or a time in ps, ns or µs, and one or more columns of counts.
    delay_unit : str, optional
        Unit of the first of them, where the label does not say it.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay), or (delay, point) with several columns [counts]; ``noise_gain`` [counts] where
        the numbers are photons.

    Raises
    ------
    FileFormatError
        If no label is a delay, if its unit is not known, or a line does not hold its numbers.

    Warns
    -----
    PlkitWarning
        If numbers are missing, or are no numbers of photons: negative or not whole.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.dat")
    ...     _ = path.write_text("delay,counts\\n0,1\\n500,7\\n")
    ...     ds = read_decay_table(path, delay_unit="ps")
    >>> ds.delay.attrs["units"], ds.intensity.values.tolist()
    ('ps', [1, 7])
    """
    return decays_to_dataset(Path(path), read_decay_columns(Path(path), delay_unit))


def read_power_series(
    path: Path, *, delay_unit: str | None = None, power_unit: str | None = None
) -> xr.Dataset:
    """Read a power series of decays in a table without units: power, filter and background above the counts.

    Parameters
    ----------
    path : path
        Comma-separated, labelled ``x1,x2,…``. Below the labels and a leading 0 stand the laser powers, the
        optical densities before the detector, and the background per bin; then delay and counts.
    delay_unit, power_unit : str, optional
        The file states neither.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (power, delay) [counts], ``filter_density`` (power) [1], ``dark_intensity`` (power)
        [counts], ``noise_gain`` [counts].

    Raises
    ------
    FileFormatError
        If a unit is not given, or the table has other rows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.dat")
    ...     _ = path.write_text("x1,x2,x3\\n0,1,9\\n0,0,1\\n0,3,3\\n0.0,20,90\\n0.5,10,40\\n")
    ...     ds = read_power_series(path, delay_unit="ns", power_unit="uW")
    >>> ds.power.values.tolist(), ds.intensity.max("delay").values.tolist()
    ([1.0, 9.0], [20, 90])
    """
    path = Path(path)
    table = read_columns(path)
    if len(table.values) < 4 or np.any(table.values[:3, 0] != 0):
        raise file_error(
            path,
            "it does not begin with three rows of power, filter and background behind a 0",
            'Read another table of decays with reader="decay_table".',
        )
    example = f'delay_unit="{_NS}", power_unit="W"'
    if delay_unit is None or power_unit is None:
        what = names.DELAY if delay_unit is None else names.POWER
        raise ask(path, f"the unit of '{what}'", example)
    power = known_unit(power_unit, names.unit(names.POWER))
    if power is None:
        raise file_error(
            path, f"power_unit is '{power_unit}', not '{names.unit(names.POWER)}' or a multiple of it",
            f"Say the right one: plkit.read(path, {example}).",
        )  # fmt: skip
    head, body = table.values[:3, 1:], table.values[3:]
    delay, counts = without_cut_line(path, body[:, 0], body[:, 1:])
    ds = decays_to_dataset(path, Decays(delay, delay_unit, whole(counts), {}), several=names.POWER)
    return ds.assign_coords(
        {names.POWER: (names.POWER, head[0], {**names.attrs(names.POWER), "units": power})}
    ).assign(
        filter_density=(names.POWER, head[1], names.attrs("filter_density")),
        dark_intensity=(names.POWER, head[2], names.attrs("dark_intensity")),
    )


# Which file is which ------------------------------------------------------------------------------


def _looks_like_table(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a line above the numbers labels a delay and counts."""
    text = head.decode("latin-1")
    if text.startswith("#"):
        return False
    for line in text.splitlines()[:40]:
        for mark in ("\t", ";", ","):
            if mark in line and decay_columns([cell.strip() for cell in line.split(mark)]):
                return True
    return False


def _looks_like_power_series(path: Path, head: bytes) -> bool:  # noqa: ARG001
    lines = head.decode("latin-1").splitlines()[:5]
    labels = lines[0].split(",") if lines else []
    if len(lines) < 4 or len(labels) < 2 or labels != [f"x{n + 1}" for n in range(len(labels))]:
        return False
    return all(line.split(",")[0] == "0" for line in lines[1:4])


READERS = (
    Reader(
        name="picoquant_histogram",
        title="PicoQuant histogram text",
        suffixes=(),
        sniff=lambda path, head: (  # noqa: ARG005
            head.startswith(b"#") and b"Histogram Data" in head[:200] and b"#channels" in head[:400]
        ),
        read=read_picoquant_histogram,
    ),
    Reader(
        name="fluotime",
        title="PicoQuant FluoTime text",
        suffixes=(),
        sniff=lambda path, head: (  # noqa: ARG005
            head.startswith(b"Parameters:") and b"Meas_BinWidth" in head
        ),
        read=read_fluotime,
    ),
    Reader(
        name="spcm",
        title="Becker & Hickl SPCM text",
        suffixes=(),
        sniff=lambda path, head: (  # noqa: ARG005
            b"No_of_photons" in head or (b"bits ADC" in head and b"Title :" in head)
        ),
        read=read_spcm,
    ),
    Reader(
        name="power_series",
        title="power series of decays",
        suffixes=(),
        sniff=_looks_like_power_series,
        read=read_power_series,
        options=("delay_unit", "power_unit"),
    ),
    Reader(
        name="decay_table",
        title="table of a decay",
        suffixes=(),
        sniff=_looks_like_table,
        read=read_decay_table,
        options=("delay_unit",),
    ),
)
