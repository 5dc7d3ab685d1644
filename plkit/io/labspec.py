"""Horiba LabSpec 6 text exports: spectrum, series, line and map, with the header or without decimal points."""

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
from plkit.io.common import ask, file_error, metadata_json, users_level, warn_of_rate
from plkit.io.decays import whole
from plkit.io.points import POINT_OPTIONS, place_points
from plkit.io.registry import Reader
from plkit.io.text import known_unit, read_lines

__all__ = ["READER", "read_labspec"]

_UM = names.unit(names.X)
_POSITIONS = {"x": names.X, "xa": names.X, "y": names.Y, "ya": names.Y, "z": names.Z, "za": names.Z}
_SECONDS = {"t", names.TIME, "zeit"}
_SPECTRAL = {
    "nm": names.WAVELENGTH,
    "ev": names.ENERGY,
    "1/cm": names.RAMAN_SHIFT,
    "cm-1": names.RAMAN_SHIFT,
    "cm-¹": names.RAMAN_SHIFT,
}


def read_labspec(
    path: Path,
    *,
    first_column: str | None = None,
    points: str | None = None,
    tolerance_um: float | None = None,
) -> xr.Dataset:
    """Read a LabSpec 6 text export with its ``#`` header.

    Parameters
    ----------
    path : path
        Header lines such as ``#AxisUnit[1]=nm``; then two columns, or a row of the spectral axis above rows
        that begin with their time, index or position. Decimal points or commas.
    first_column : {"x", "y"}, optional
        For a map: which position stands first in its rows. Exports differ, and the header does not say.
    points, tolerance_um : optional
        For a map: see :func:`plkit.io.points.place_points`.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (wavelength or energy or raman_shift) [counts], behind (time), (point), (x) or (y), or
        (y, x) or (point); ``exposure_time`` [s]. Places of an interrupted map are NaN.

    Raises
    ------
    FileFormatError
        If the header does not name the axes, a line does not hold its numbers, or the order of x and y is
        not said.

    Warns
    -----
    PlkitWarning
        If the last line is cut short or the map has holes: NaN; or the intensity is no counts.
    """
    path = Path(path)
    header, body = _split(read_lines(path))
    axes = _axes(path, header)
    dim, unit = _spectral(path, axes)
    rows, decimal = _cells(path, body)
    attrs: dict[str, Any] = {
        "instrument": f"Horiba {header.get('Instrument', 'LabSpec')}".strip(),
        "acquired": header.get("Acquired") or header.get("Date", ""),
        "metadata": metadata_json(header),
    }
    for key, name in (
        ("Laser (nm)", "excitation_wavelength_nm"),
        ("Accumulations", "accumulations"),
    ):
        value = _leading(header.get(key))
        if value is not None:
            attrs[name] = value
    intensity = axes[0][1].lower()
    if intensity not in ("", "cnt", "cnts", "counts"):
        attrs["units_in_file"] = axes[0][1]
        warn_of_rate(path, axes[0][1])
    spectral_attrs = {**names.attrs(dim), "units": unit}
    ds = (
        _spectrum(path, rows, dim, spectral_attrs, decimal)
        if len(axes) == 2
        else _series(path, rows, axes[2:], dim, spectral_attrs, first_column, decimal)
    )
    ds = ds.assign_attrs({k: v for k, v in attrs.items() if v != ""})
    exposure = _leading(header.get("Acq. time (s)"))
    if exposure:
        ds["exposure_time"] = (
            (),
            exposure * max(attrs.get("accumulations", 1.0), 1.0),
            names.attrs("exposure_time"),
        )
    if names.POINT in ds.dims and names.X in ds.coords and names.Y in ds.coords:
        ds = place_points(path, ds, points=points, tolerance_um=tolerance_um)
    return ds


def _split(lines: list[str]) -> tuple[dict[str, str], list[tuple[int, str]]]:
    header: dict[str, str] = {}
    body: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            header.setdefault(key.strip(), value.strip())
        elif line.strip():
            body.append((number, line))
    return header, body


def _axes(path: Path, header: dict[str, str]) -> list[tuple[str, str]]:
    """Type and unit of each axis, of which the first is the intensity and the second the spectral one."""
    axes: list[tuple[str, str]] = []
    while f"AxisType[{len(axes)}]" in header:
        index = len(axes)
        axes.append((header[f"AxisType[{index}]"], header.get(f"AxisUnit[{index}]", "")))
    if len(axes) < 2 or len(axes) > 4:
        raise file_error(
            path, f"its header names {len(axes)} axes by '#AxisType', not 2 to 4",
            "Export it again with its header.",
        )  # fmt: skip
    return axes


def _spectral(path: Path, axes: list[tuple[str, str]]) -> tuple[str, str]:
    unit = axes[1][1].strip()
    dim = _SPECTRAL.get(unit.lower())
    if dim is None:
        raise file_error(path, f"the unit of its spectral axis is '{unit}', not nm, eV or 1/cm")
    return dim, names.unit(dim)


def _cells(path: Path, body: list[tuple[int, str]]) -> tuple[list[tuple[int, list[str]]], str]:
    """Cells of each line, and the decimal sign."""
    if not body:
        raise file_error(path, "it holds no numbers behind its header", "Export it again.")
    comma = any("," in line for _, line in body[:50]) and not any(
        "." in line for _, line in body[:50]
    )
    rows = [
        (n, line.rstrip("\r\n").split("\t") if "\t" in line else line.split()) for n, line in body
    ]
    return rows, "," if comma else "."


def _floats(path: Path, number: int, cells: list[str], decimal: str) -> list[float]:
    try:
        return [float(c.replace(",", ".") if decimal == "," else c) for c in cells]
    except ValueError:
        bad = next(c for c in cells if not re.fullmatch(r"\s*[-+]?[\d.,]+([eE][-+]?\d+)?\s*", c))
        raise file_error(path, f"line {number} holds '{bad[:40]}', not a number") from None


def _spectrum(
    path: Path, rows: list[tuple[int, list[str]]], dim: str, attrs: dict[str, str], decimal: str
) -> xr.Dataset:
    values: list[list[float]] = []
    for number, cells in rows:
        kept = [c for c in cells if c.strip()]
        if len(kept) != 2:
            if number == rows[-1][0] and values and len(kept) < 2:
                break  # the last line of a file that breaks off
            raise file_error(path, f"line {number} has {len(kept)} cells, not 2")
        values.append(_floats(path, number, kept, decimal))
    table = np.array(values)
    return xr.Dataset(
        {names.INTENSITY: (dim, whole(table[:, 1]), names.attrs(names.INTENSITY))},
        {dim: (dim, table[:, 0], attrs)},
    )


def _series(
    path: Path,
    rows: list[tuple[int, list[str]]],
    axes: list[tuple[str, str]],
    dim: str,
    attrs: dict[str, str],
    first_column: str | None,
    decimal: str,
) -> xr.Dataset:
    lead = len(axes)
    first = [c for c in rows[0][1] if c.strip()]
    axis = np.array(_floats(path, rows[0][0], first, decimal))
    places: list[list[float]] = []
    spectra: list[list[float]] = []
    for number, cells in rows[1:]:
        cells = [c for c in cells if c.strip()] if len(cells) > lead + len(axis) else cells
        if len(cells) > lead + len(axis) or (
            len(cells) < lead + len(axis) and number != rows[-1][0]
        ):
            raise file_error(path, f"line {number} has {len(cells)} cells, not {lead + len(axis)}")
        if len(cells) <= lead + 1:
            break  # not one whole value behind the position
        missing = lead + len(axis) - len(cells)
        if missing:
            cells = cells[:-1]
            missing += 1
            warnings.warn(
                f"The last spectrum of '{path.name}' lacks {missing} of its {len(axis)} channels; they are NaN.",
                PlkitWarning,
                stacklevel=users_level(),
            )
        numbers = _floats(path, number, cells, decimal)
        places.append(numbers[:lead])
        spectra.append(numbers[lead:] + [np.nan] * missing)
    if not spectra:
        raise file_error(path, "it holds no spectrum below its spectral axis", "Export it again.")
    data, place = whole(np.array(spectra)), np.array(places)
    outer, coords = _outer(path, axes, place, first_column)
    return xr.Dataset(
        {names.INTENSITY: ((outer, dim), data, names.attrs(names.INTENSITY))},
        {**coords, dim: (dim, axis, attrs)},
    )


def _outer(
    path: Path,
    axes: list[tuple[str, str]],
    place: npt.NDArray[np.float64],
    first_column: str | None,
) -> tuple[str, dict[str, Any]]:
    """Dimension of the rows, with its coordinates."""
    kinds = [kind.strip().lower() for kind, _ in axes]
    if len(axes) == 2:
        dims = [_POSITIONS.get(kind) for kind in kinds]
        if set(dims) != {names.X, names.Y}:
            raise file_error(
                path, f"its map runs along {' and '.join(k for k, _ in axes)}, not x and y"
            )
        if first_column not in (names.X, names.Y):
            raise ask(
                path, "whether x or y stands first in the rows of its map", 'first_column="y"'
            )
        order = [names.X, names.Y] if first_column == names.X else [names.Y, names.X]
        for unit in (u for _, u in axes):
            if known_unit(unit, _UM) != _UM:
                raise file_error(path, f"the unit of its positions is '{unit}', not '{_UM}'")
        return names.POINT, {
            d: (names.POINT, place[:, i], names.attrs(d)) for i, d in enumerate(order)
        }
    kind, unit = kinds[0], axes[0][1]
    dim = _POSITIONS.get(kind) or (names.TIME if kind in _SECONDS else None)
    if dim in (names.X, names.Y, names.TIME):
        spelled = known_unit(unit, names.unit(dim))
        if spelled is None:
            raise file_error(
                path, f"the unit of its axis '{axes[0][0]}' is '{unit}', not '{names.unit(dim)}'"
            )
        return dim, {dim: (dim, place[:, 0], {**names.attrs(dim), "units": spelled})}
    if kind == "points":
        return names.POINT, {names.POINT: (names.POINT, place[:, 0], names.attrs(names.POINT))}
    raise file_error(path, f"its rows run along '{axes[0][0]}', not a time, a position or points")


def _leading(text: str | None) -> float | None:
    found = re.match(r"[-+]?\d+([.,]\d+)?", (text or "").strip())
    return float(found[0].replace(",", ".")) if found else None


READER = Reader(
    name="labspec",
    title="Horiba LabSpec text",
    suffixes=(),
    sniff=lambda path, head: (  # noqa: ARG005
        head.startswith(b"#") and (b"#AxisType[0]=" in head or b"#Acq. time (s)=" in head)
    ),
    read=read_labspec,
    options=("first_column", *POINT_OPTIONS),
)
