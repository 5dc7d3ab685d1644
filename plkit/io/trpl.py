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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, metadata_json
from plkit.io.registry import Reader
from plkit.io.text import known_unit, read_columns, read_lines, split_label

__all__ = [
    "READERS",
    "read_decay_table",
    "read_fluotime",
    "read_picoquant_histogram",
    "read_power_series",
    "read_spcm",
]

_NS = names.unit(names.DELAY)
_HZ = {"hz": 1.0, "khz": 1e3, "mhz": 1e6}

# How labels call the columns of a decay, in lower case. "Time" means a delay only where its unit says so.
_DELAYS = (names.DELAY, "delay time", "time delay")
_TIMES = (names.TIME, "t", "bins", "bin", "zeit")
_SHORT_UNITS = ("ps", "ns", "us")
_COUNTS = ("counts", "count", "cnts", "cnts.", "cts", "photons", "no_of_photons", names.INTENSITY)
_COUNT_UNITS = (None, "", "#", "counts", "cnts", "cnts.", "cts", "photons")


@dataclass(frozen=True, slots=True)
class _Decays:
    """Curves as a file holds them.

    Parameters
    ----------
    delay : ndarray
        (bins,) in ``unit``.
    unit : str
        Of ``delay``.
    counts : ndarray
        (bins, curves); NaN where the file breaks off.
    attrs : dict
        What the file states.
    metadata : dict
        The rest of its header.
    exposure_s : float or None
        Measuring time [s].
    """

    delay: npt.NDArray[np.float64]
    unit: str
    counts: npt.NDArray[Any]
    attrs: dict[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    exposure_s: float | None = None


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
    counts = _rows(path, lines, start, len(width_text.split()), n_channels)
    title, _, acquired = lines[0].lstrip("#").partition("Histogram Data")
    attrs = {
        "instrument": " ".join(title.split()),
        "acquired": acquired.strip(),
        "bin_width_ns": width,
    }
    return _dataset(
        path,
        _Decays(
            np.arange(n_channels, dtype=np.float64) * width, _NS, _whole(counts), attrs, sections
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
    """
    path = Path(path)
    lines = read_lines(path)
    starts = [n for n, line in enumerate(lines) if line.startswith("*BLOCK")]
    if not starts:
        raise file_error(path, "it has no line '*BLOCK', behind which SPCM writes the counts")
    header = _key_values(lines[: starts[0]])
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
        table = _rows(path, lines[:end], start + 1, 2, expected, broken=end is None)
        axis = table[:, 0]
        if end is None:
            axis = _continued(axis)
            if expected is None:
                warnings.warn(
                    f"'{path.name}' breaks off behind bin {axis.size} without '*END'.",
                    PlkitWarning,
                    stacklevel=2,
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
    return _dataset(path, _Decays(delay, unit, _whole(counts), attrs, {**header, **parameters}))


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
    """
    path = Path(path)
    decays = _columns(path, None)
    header = _key_values(read_lines(path)[:400])
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
        value = _quantity(header.get(key, ""), unit)
        if value is not None:
            attrs[name] = value
    if "Exc_Attenuation" in header:
        attrs["excitation_attenuation"] = header["Exc_Attenuation"]
    exposure = _quantity(header.get("Meas_Time", ""), names.unit(names.TIME))
    return _dataset(
        path, _Decays(decays.delay, decays.unit, decays.counts, attrs, header, exposure)
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
    """
    return _dataset(Path(path), _columns(Path(path), delay_unit))


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
    delay, counts = _without_cut_line(path, body[:, 0], body[:, 1:])
    ds = _dataset(path, _Decays(delay, delay_unit, _whole(counts), {}), several=names.POWER)
    return ds.assign_coords(
        {names.POWER: (names.POWER, head[0], {**names.attrs(names.POWER), "units": power})}
    ).assign(
        filter_density=(names.POWER, head[1], names.attrs("filter_density")),
        dark_intensity=(names.POWER, head[2], names.attrs("dark_intensity")),
    )


# From curves to a dataset -------------------------------------------------------------------------


def _dataset(path: Path, decays: _Decays, *, several: str = names.POINT) -> xr.Dataset:
    unit = known_unit(decays.unit, _NS)
    if unit is None:
        raise file_error(
            path, f"the unit of its delay is '{decays.unit}', not '{_NS}' or a multiple of it",
            f'Say the right one: plkit.read(path, delay_unit="{_NS}").',
        )  # fmt: skip
    counts = decays.counts
    single = counts.shape[1] == 1 and several == names.POINT
    dims = (names.DELAY,) if single else (names.DELAY, several)
    variables: dict[str, Any] = {
        names.INTENSITY: (dims, counts[:, 0] if single else counts, names.attrs(names.INTENSITY))
    }
    if _are_photons(counts):
        variables[names.NOISE_GAIN] = ((), 1.0, names.attrs(names.NOISE_GAIN))
    else:
        warnings.warn(
            f"'{path.name}' holds counts that are negative or not whole: something was done to the photons "
            "that were counted, so their noise is not known. Set noise_gain before σ is believed.",
            PlkitWarning,
            stacklevel=3,
        )
    if decays.exposure_s is not None:
        variables["exposure_time"] = ((), decays.exposure_s, names.attrs("exposure_time"))
    attrs = {k: v for k, v in decays.attrs.items() if v != ""}
    width = _even_step(decays.delay)
    if width is not None:
        factor = names.conversion_factor(unit, _NS)
        attrs.setdefault("bin_width_ns", float(f"{width * (factor or 1.0):.9g}"))
    if decays.metadata:
        attrs["metadata"] = metadata_json(decays.metadata)
    axis = (names.DELAY, decays.delay, {**names.attrs(names.DELAY), "units": unit})
    ds = xr.Dataset(variables, {names.DELAY: axis}, attrs)
    if not single and several == names.POINT:
        ds = ds.assign_coords(
            {names.POINT: (names.POINT, np.arange(counts.shape[1]), names.attrs(names.POINT))}
        )
    return ds


def _are_photons(counts: npt.NDArray[Any]) -> bool:
    known = counts[np.isfinite(counts)]
    return bool(np.all(known >= 0) and np.all(known == np.round(known)))


def _whole(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers, where the numbers are whole and none is missing."""
    if counts.size and np.all(np.isfinite(counts)) and np.all(counts == np.round(counts)):
        return counts.astype(np.int32 if np.max(np.abs(counts)) < 2**31 else np.int64)
    return counts


def _even_step(delay: npt.NDArray[np.float64]) -> float | None:
    """Width of the bins, where all but the last are equal within 1 %."""
    steps = np.diff(delay[:-1] if delay.size > 3 else delay)
    if steps.size == 0 or not np.all(np.isfinite(steps)):
        return None
    middle = float((delay[steps.size] - delay[0]) / steps.size)
    return middle if middle > 0 and np.allclose(steps, middle, rtol=0.01) else None


def _continued(delay: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Axis whose missing end goes on in even steps."""
    known = int(np.isfinite(delay).sum())
    if known == delay.size or known < 2:
        return delay
    step = (delay[known - 1] - delay[0]) / (known - 1)
    return np.where(np.isfinite(delay), delay, delay[0] + step * np.arange(delay.size))


# Lines of numbers ---------------------------------------------------------------------------------


def _rows(
    path: Path,
    lines: Sequence[str],
    start: int,
    width: int,
    expected: int | None,
    *,
    broken: bool = True,
) -> npt.NDArray[Any]:
    """Numbers of the lines from ``start`` on; rows that the file lacks are NaN, with a warning.

    A last line without an end, in a file that breaks off, may lack digits: it counts as missing.
    """
    body = list(lines[start:])
    unfinished = bool(body) and body[-1] != ""
    numbered = [(start + n + 1, line) for n, line in enumerate(body) if line.strip()]
    if expected is not None and len(numbered) > expected:
        raise file_error(path, f"it holds {len(numbered)} lines of counts, not {expected}")
    if broken and unfinished and numbered and (expected is None or len(numbered) < expected):
        numbered.pop()
    values = np.full((len(numbered), width), np.nan)
    for row, (number, line) in enumerate(numbered):
        cells = line.replace(",", " ").split()
        try:
            values[row] = [float(cell) for cell in cells]
        except ValueError:
            what = "number" if width == 1 else f"row of {width} numbers"
            raise file_error(
                path, f"line {number} holds '{line.strip()[:40]}', not a {what}"
            ) from None
    if not len(values):
        raise file_error(path, "it breaks off before the first count", "Copy it again.")
    if expected is not None and len(values) < expected:
        missing = expected - len(values)
        warnings.warn(
            f"'{path.name}' lacks {missing} of its {expected} channels; they are NaN.",
            PlkitWarning,
            stacklevel=3,
        )
        return np.concatenate([values, np.full((missing, width), np.nan)])
    return values


def _without_cut_line(
    path: Path, delay: npt.NDArray[np.float64], counts: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Leave out a last line whose delay was cut short: it would name the wrong bin."""
    if delay.size < 3 or np.all(np.isfinite(counts[-1])):
        return delay, counts
    step = delay[-2] - delay[-3]
    if np.isfinite(delay[-1]) and abs(delay[-1] - delay[-2] - step) <= 0.01 * abs(step):
        return delay, counts
    warnings.warn(
        f"The last line of '{path.name}' is cut within its delay; its bin is left out.",
        PlkitWarning,
        stacklevel=4,
    )
    return delay[:-1], counts[:-1]


def _columns(path: Path, delay_unit: str | None) -> _Decays:
    """Delay and counts of a table with labels."""
    table = read_columns(path)
    places = _places(table.labels)
    if places is None:
        found = ", ".join(f"'{label}'" for label in table.labels) or "none"
        raise file_error(
            path, f"its columns are {found}, not a delay and counts",
            'Label them, for instance "delay (ns)" and "counts".',
        )  # fmt: skip
    at, curves = places
    unit = delay_unit or split_label(table.labels[at])[1]
    if not unit:
        raise ask(path, "the unit of the delay", f'delay_unit="{_NS}"')
    values = table.values[:, curves]
    if np.all(table.integer[curves]):
        values = _whole(values)
    delay, counts = _without_cut_line(path, table.values[:, at], values)
    return _Decays(delay, unit, counts, {})


def _places(labels: Sequence[str]) -> tuple[int, list[int]] | None:
    """Column of the delay and columns of counts; None where the labels are of something else."""
    delay: int | None = None
    counts: list[int] = []
    for index, label in enumerate(labels):
        name, unit = split_label(label)
        word = name.lower()
        short = unit is not None and names.normalise_unit(unit) in _SHORT_UNITS
        if delay is None and (word in _DELAYS or (word in _TIMES and short)):
            delay = index
        elif word in _COUNTS and (unit.lower() if unit else unit) in _COUNT_UNITS:
            counts.append(index)
        elif word or index:
            return None  # only the first column may be without a name: a running number
    return (delay, counts) if delay is not None and counts else None


def _key_values(lines: Sequence[str]) -> dict[str, str]:
    """Read header lines ``  Key : value``."""
    found: dict[str, str] = {}
    for line in lines:
        key, mark, value = line.partition(" :")
        if mark and key.strip() and "#" not in key:
            found.setdefault(key.strip(), value.strip())
    return found


def _quantity(text: str, unit: str) -> float | None:
    """Number in ``unit`` from a text such as ``"1000 ps"``; None where it says something else."""
    number, _, found = text.strip().partition(" ")
    try:
        value = float(number)
    except ValueError:
        return None
    if unit.lower() in _HZ:
        return value * _HZ[found.lower()] if found.lower() in _HZ else None
    factor = names.conversion_factor(found, unit)
    return None if factor is None else value * factor


# Which file is which ------------------------------------------------------------------------------


def _looks_like_table(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Whether a line above the numbers labels a delay and counts."""
    text = head.decode("latin-1")
    if text.startswith("#"):
        return False
    for line in text.splitlines()[:40]:
        for mark in ("\t", ";", ","):
            if mark in line and _places([cell.strip() for cell in line.split(mark)]):
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
