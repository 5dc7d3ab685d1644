"""Text of spectrometers that scan or read out a line: FluorEssence, FL WinLab, Lambda-SPX, Ocean Optics, Cary."""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, metadata_json, warn_of_rate
from plkit.io.registry import Reader
from plkit.io.text import known_unit, quantity_of, read_columns, read_lines, split_label

__all__ = [
    "READERS",
    "read_cary",
    "read_fl_winlab",
    "read_fluoressence",
    "read_lambda_spx",
    "read_ocean_optics",
]

_NM = names.unit(names.WAVELENGTH)
_YMODES = {"A": ("absorbance", 1.0), "%T": ("transmittance", 0.01), "%R": ("reflectance", 0.01)}
_CARY = {"abs": ("absorbance", 1.0), "%t": ("transmittance", 0.01), "%r": ("reflectance", 0.01)}


def _spectrum(
    variable: str, axis: npt.NDArray[Any], values: npt.NDArray[Any], attrs: dict[str, Any]
) -> xr.Dataset:
    coords = {names.WAVELENGTH: (names.WAVELENGTH, axis, names.attrs(names.WAVELENGTH))}
    return xr.Dataset({variable: (names.WAVELENGTH, values, names.attrs(variable))}, coords, attrs)


def _filled(path: Path, values: npt.NDArray[Any], expected: int) -> npt.NDArray[Any]:
    """Values up to the announced number; the missing ones are NaN, with a warning."""
    missing = expected - len(values)
    if missing < 0:
        raise file_error(path, f"it holds {len(values)} values, not {expected} as its header says")
    if missing == 0:
        return values
    if expected > 100 * max(len(values), 1) or not len(values):
        raise file_error(
            path, f"it holds {len(values)} of the {expected} values that its header announces (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    warnings.warn(
        f"'{path.name}' lacks {missing} of its {expected} points; they are NaN.",
        PlkitWarning,
        stacklevel=3,
    )
    return np.concatenate([values, np.full(missing, np.nan)])


# Horiba FluorEssence ------------------------------------------------------------------------------


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
    unit = known_unit(units[min(axes)], _NM)
    if unit is None:
        raise file_error(path, f"the unit of its wavelength is '{units[min(axes)]}', not '{_NM}'")
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


# PerkinElmer --------------------------------------------------------------------------------------


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
    rows = _pairs(path, lines, lines.index("#DATA") + 1)
    if not 1 <= len(rows) <= count or abs(rows[0, 0] - start) > abs(step):
        raise file_error(
            path, f"it holds {len(rows)} points from {rows[0, 0]:g}, not {count} from {start:g}"
        )
    values = _filled(path, rows[:, 1], count)
    warnings.warn(
        f"'{path.name}' gives its intensity in the arbitrary unit of the instrument; plkit calls it counts: "
        "set noise_gain before σ is believed.",
        PlkitWarning,
        stacklevel=2,
    )
    attrs = {"instrument": f"PerkinElmer {_model(lines)}".strip(), "units_in_file": "a.u."}
    return _spectrum(names.INTENSITY, start + step * np.arange(count), values, attrs)


def _model(lines: list[str]) -> str:
    return next((t for t in lines[:30] if re.fullmatch(r"L\s?S\s?\d\d.*", t)), "")


def _pairs(path: Path, lines: list[str], start: int) -> npt.NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(lines[start:], start + 1):
        if not line:
            continue
        try:
            pair = [float(cell) for cell in line.split()]
        except ValueError:
            pair = []
        if len(pair) != 2:
            if not any(lines[number:]):  # the last line of a file that breaks off
                break
            raise file_error(path, f"line {number} holds '{line[:40]}', not two numbers")
        rows.append(pair)
    if not rows:
        raise file_error(path, "it breaks off before the first point", "Copy it again.")
    return np.array(rows)


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
    if known_unit(unit, _NM) is None:
        raise file_error(path, f"its axis is in '{unit}', not '{_NM}'")
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
    ds = _spectrum(variable, axis, _filled(path, values * factor, count), attrs)
    if unit.lower() != _NM:
        ds[names.WAVELENGTH].attrs["units"] = known_unit(unit, _NM)
    return ds


# Ocean Optics -------------------------------------------------------------------------------------


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
    rows = _pairs(path, body, begin + 1)
    announced = _leading_number(
        header.get("Number of Pixels in Processed Spectrum")
        or header.get("Number of Pixels in Spectrum")
    )
    if announced and len(rows) < announced:
        warnings.warn(
            f"'{path.name}' breaks off behind {len(rows)} of its {announced:.0f} pixels; the others, whose "
            "wavelengths are not known, are left out.",
            PlkitWarning,
            stacklevel=2,
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
    ds = _spectrum(names.INTENSITY, rows[:, 0], rows[:, 1], attrs)
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


# Agilent Cary -------------------------------------------------------------------------------------


def read_cary(path: Path, *, sample: str | None = None) -> xr.Dataset:
    """Read one spectrum of a Cary WinUV table whose samples have a wavelength axis each.

    Parameters
    ----------
    path : path
        CSV: names of the samples, then pairs of *Wavelength (nm)* and *Abs*, *%T* or *%R*.
    sample : str, optional
        Which one, where there are several.

    Returns
    -------
    xarray.Dataset
        ``absorbance``, ``transmittance`` or ``reflectance`` (wavelength) [1]; per cent are divided by 100.

    Raises
    ------
    FileFormatError
        If there are several samples and none is named, or there is none of that name.
    """
    path = Path(path)
    lines = read_lines(path)
    titles = [c.strip() for c in lines[0].split(",")][::2]
    labels = [c.strip() for c in lines[1].split(",")]
    pairs = [i for i in range(0, len(labels) - 1, 2) if labels[i] and labels[i + 1]]
    known = [titles[i // 2] if i // 2 < len(titles) else "" for i in pairs]
    if sample is None and len(pairs) > 1:
        raise ask(
            path,
            f"which of its {len(pairs)} spectra ({', '.join(known)}) is wanted",
            f'sample="{known[0]}"',
        )
    if sample is not None and sample not in known:
        raise file_error(path, f"sample is '{sample}', not one of {', '.join(known)}")
    if not pairs:
        raise file_error(path, "its second line does not name pairs of wavelength and value")
    at = pairs[known.index(sample)] if sample is not None else pairs[0]
    unit, mode = split_label(labels[at])[1], labels[at + 1].lower()
    if unit is None or known_unit(unit, _NM) is None or mode not in _CARY:
        raise file_error(
            path,
            f"its columns are '{labels[at]}' and '{labels[at + 1]}', not a wavelength and one of Abs, %T, %R",
        )
    rows: list[list[float]] = []
    for number, line in enumerate(lines[2:], 3):
        cells = line.split(",")
        pair = [c.strip() for c in cells[at : at + 2]]
        if len(pair) < 2 or not all(pair):
            break
        try:
            rows.append([float(c) for c in pair])
        except ValueError:
            raise file_error(
                path, f"line {number} holds '{','.join(pair)[:40]}', not two numbers"
            ) from None
    if not rows:
        raise file_error(path, "it breaks off before the first point", "Copy it again.")
    variable, factor = _CARY[mode]
    values = np.array(rows)
    attrs = {"instrument": "Agilent Cary", "title": known[pairs.index(at)]}
    ds = _spectrum(variable, values[:, 0], values[:, 1] * factor, attrs)
    ds[names.WAVELENGTH].attrs["units"] = known_unit(unit, _NM)
    return ds


def _is_cary(path: Path, head: bytes) -> bool:  # noqa: ARG001
    lines = head.decode("latin-1").splitlines()[:2]
    if len(lines) < 2:
        return False
    labels = [c.strip().lower() for c in lines[1].split(",")]
    return (
        len(labels) >= 2
        and labels[0].startswith("wavelength (")
        and labels[1] in _CARY
        and "," in lines[0]
    )


READERS = (
    Reader(
        name="fluoressence",
        title="Horiba FluorEssence text",
        suffixes=(),
        sniff=lambda path, head: (  # noqa: ARG005
            (head.startswith(b"Short Name\t") and b"\nLong Name\t" in head)
            or bool(re.match(rb"A\t[^\n]*\nWavelength\t[^\n]*\nnm\t", head.replace(b"\r", b"")))
        ),
        read=read_fluoressence,
        options=("signal",),
    ),
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
    Reader(
        name="ocean_optics",
        title="Ocean Optics text",
        suffixes=(),
        sniff=lambda path, head: b">>>>>Begin" in head and b"Spectral Data<<<<<" in head,  # noqa: ARG005
        read=read_ocean_optics,
    ),
    Reader(
        name="cary",
        title="Agilent Cary CSV",
        suffixes=(),
        sniff=_is_cary,
        read=read_cary,
        options=("sample",),
    ),
)
