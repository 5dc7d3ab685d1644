"""Edinburgh Instruments text exports: emission, excitation and synchronous scans, decays (F980, Fluoracle)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, metadata_json, users_level, warn_of_rate
from plkit.io.decays import Decays, decays_to_dataset, whole
from plkit.io.registry import Reader
from plkit.io.text import known_unit, quantity_of, read_columns, read_lines, split_label

__all__ = ["READER", "read_edinburgh"]

# The programs scan in nanometres; an axis in wavenumbers is named so.
_SCANNED = {names.WAVELENGTH: "nm"}


def read_edinburgh(path: Path) -> xr.Dataset:
    """Read a text export of F980 or Fluoracle, separated by tabs or commas.

    Parameters
    ----------
    path : path
        Text whose lines *Labels*, *Type*, …, *Xaxis*, *Yaxis* stand above one or more columns of numbers.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (wavelength) or (delay) [counts]; (point, wavelength) or (delay, point) with the
        labels as coordinate ``sample`` (point), where there are several columns. ``absorbance``, where the
        file says so. A scan has ``exposure_time`` [s], the dwell time, and the attribute
        ``excitation_wavelength_nm`` or ``emission_wavelength_nm``; a decay has ``noise_gain`` [counts].

    Raises
    ------
    FileFormatError
        If the header says no axis, or curves have different ones.

    Warns
    -----
    PlkitWarning
        If the scan is shorter than its header announces: the missing points are NaN.

    Examples
    --------
    >>> import tempfile
    >>> head = "Labels,film,\\nType,Emission Scan,\\nStop,502.0,\\nXaxis,Wavelength,\\nYaxis,Counts,\\n\\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_text(head + "500.0,1.0E+1,\\n501.0,7.0E+1,\\n502.0,2.0E+1,\\n")
    ...     ds = read_edinburgh(path)
    >>> ds.wavelength.values.tolist(), ds.attrs["title"]
    ([500.0, 501.0, 502.0], 'film')
    """
    path = Path(path)
    header = _header(read_lines(path))
    table = read_columns(path)
    n_curves = table.values.shape[1] - 1
    labels = (header.get("labels") or []) + [""] * n_curves
    axis_name, axis_unit = split_label(_only(path, header, "xaxis", n_curves))
    y_label = _only(path, header, "yaxis", n_curves)
    axis, values = table.values[:, 0], table.values[:, 1:]
    attrs: dict[str, Any] = {
        "instrument": "Edinburgh Instruments",
        "scan_type": _first(header, "type"),
    }
    notes = {k: v[0] if len(set(v)) == 1 else v for k, v in header.items() if v}
    if axis_name.lower() == names.TIME:
        if n_curves == 1:
            attrs["title"] = labels[0]
        axis, values = _whole_scan(path, header, axis, values)
        ds = decays_to_dataset(path, Decays(axis, axis_unit or "", whole(values), attrs, notes))
        return _label(ds, labels[:n_curves])
    dim = quantity_of(axis_name)
    unit = axis_unit or _SCANNED.get(axis_name.lower())
    if dim not in names.SPECTRAL_DIMS or unit is None or known_unit(unit, names.unit(dim)) is None:
        raise file_error(
            path, f"its axis is '{_first(header, 'xaxis')}', not a wavelength or a time with its unit",
            "Export the scan over wavelength.",
        )  # fmt: skip
    axis, values = _whole_scan(path, header, axis, values)
    fixed = _number(header, "fixed/offset")
    if fixed is not None and fixed > 0 and "scan" in attrs["scan_type"].lower():
        kind = attrs["scan_type"].lower()
        if kind.startswith("emission"):
            attrs["excitation_wavelength_nm"] = fixed
        elif kind.startswith("excitation"):
            attrs["emission_wavelength_nm"] = fixed
    variable = _variable(path, y_label, attrs)
    attrs["metadata"] = metadata_json(notes)
    coords: dict[str, Any] = {
        dim: (dim, axis, {**names.attrs(dim), "units": known_unit(unit, names.unit(dim))})
    }
    variables: dict[str, Any] = {}
    if n_curves == 1:
        attrs["title"] = labels[0]
        variables[variable] = (dim, values[:, 0], names.attrs(variable))
    else:
        coords[names.POINT] = (names.POINT, np.arange(n_curves), names.attrs(names.POINT))
        variables[variable] = ((names.POINT, dim), values.T, names.attrs(variable))
    dwell, repeats = _number(header, "dwell time"), _number(header, "repeats")
    if dwell is not None and dwell > 0:
        variables["exposure_time"] = (
            (),
            dwell * max(repeats or 1.0, 1.0),
            names.attrs("exposure_time"),
        )
    return _label(xr.Dataset(variables, coords, attrs), labels[:n_curves])


def _header(lines: list[str]) -> dict[str, list[str]]:
    """Values of each line above the numbers, by its first word in lower case."""
    mark = "," if any(line.startswith("Labels,") for line in lines[:5]) else "\t"
    found: dict[str, list[str]] = {}
    for line in lines:
        cells = [cell.strip() for cell in line.split(mark)]
        if found and cells[0][:1].isdigit():
            break
        if len(cells) > 1 and cells[0]:
            found.setdefault(cells[0].lower(), cells[1:-1] if cells[-1] == "" else cells[1:])
    return found


def _first(header: dict[str, list[str]], key: str) -> str:
    values = header.get(key) or [""]
    return values[0]


def _only(path: Path, header: dict[str, list[str]], key: str, n_curves: int) -> str:
    """Value that all curves share."""
    values = set((header.get(key) or [""])[:n_curves])
    if len(values) > 1 or not values or values == {""}:
        raise file_error(
            path, f"its line '{key}' says {', '.join(sorted(values)) or 'nothing'}, not one thing for all curves",
            "Export each curve by itself.",
        )  # fmt: skip
    return values.pop()


def _number(header: dict[str, list[str]], key: str) -> float | None:
    """Number that all curves share, None where there is none."""
    values = set(header.get(key) or [])
    try:
        return float(values.pop()) if len(values) == 1 else None
    except ValueError:
        return None


def _whole_scan(
    path: Path, header: dict[str, list[str]], axis: npt.NDArray[Any], values: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Scan up to the end that the header announces; what was not measured is NaN."""
    stop, step = _number(header, "stop"), _number(header, "step")
    if stop is None or step is None or step <= 0 or len(axis) < 2 or not np.isfinite(axis[-1]):
        return axis, values
    n_missing = round((stop - axis[-1]) / step)
    if not 0 < n_missing <= 100 * len(axis):
        return axis, values
    warnings.warn(
        f"'{path.name}' lacks {n_missing} of the {len(axis) + n_missing} points of its scan; they are NaN.",
        PlkitWarning,
        stacklevel=users_level(),
    )
    axis = np.concatenate([axis, axis[-1] + step * np.arange(1, n_missing + 1)])
    return axis, np.concatenate([values, np.full((n_missing, values.shape[1]), np.nan)])


def _variable(path: Path, label: str, attrs: dict[str, Any]) -> str:
    name, unit = split_label(label)
    if name.lower() in ("cps", "counts/s") or (unit or "").lower() in ("cps", "counts/s"):
        warn_of_rate(path, unit or name)
        attrs["units_in_file"] = unit or name
        return names.INTENSITY
    variable = quantity_of(name)
    if variable is None or variable in names.CANONICAL_ORDER:
        raise file_error(
            path, f"it measured '{label}', which plkit does not know", "Export counts."
        )
    return variable


def _label(ds: xr.Dataset, labels: list[str]) -> xr.Dataset:
    if names.POINT not in ds.dims:
        return ds
    return ds.assign_coords(
        {names.SAMPLE: (names.POINT, np.array(labels, dtype=str), names.attrs(names.SAMPLE))}
    )


def _sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    text = head.replace(b"\r", b"")
    return (
        text.startswith((b"Labels\t", b"Labels,"))
        or b"\nLabels\t" in text[:400]
        or b"\nLabels," in text[:400]
    ) and (b"\nType\t" in text or b"\nType," in text)


READER = Reader(
    name="edinburgh",
    title="Edinburgh Instruments text",
    suffixes=(),
    sniff=_sniff,
    read=read_edinburgh,
)
