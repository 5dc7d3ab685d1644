"""Text with a time axis of its own: Applied Photophysics ProData CSV and LabVIEW measurement files (.lvm)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import ask, file_error, metadata_json, slug, spectral_dim_of_unit, users_level
from plkit.io.decays import whole
from plkit.io.registry import Reader
from plkit.io.text import known_unit, read_lines

__all__ = ["READERS", "read_lvm", "read_prodata"]

# ProData states no units; these are those of its instruments (LKS, Chirascan).
_PRODATA_AXES = {
    names.TIME: (names.DELAY, "s"),
    names.WAVELENGTH: (names.WAVELENGTH, "nm"),
    "repeat": (names.POINT, "1"),
    "temperature": (names.TEMPERATURE, "degC"),
}


def _property_variable(name: str) -> str:
    word = name.lower()
    if "volt" in word:
        return "voltage"
    if "absorbance" in word:
        return "absorbance"
    return names.INTENSITY


def read_prodata(path: Path, *, quantity: str | None = None) -> xr.Dataset:
    """Read a CSV export of ProData (flash photolysis: Applied Photophysics LKS, Chirascan).

    Parameters
    ----------
    path : path
        Text that begins with *ProDataCSV*.
    quantity : str, optional
        Which of the file's properties; by default the first.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (emission), ``absorbance`` (of a pump-probe record) or ``voltage`` [V] over ``delay``
        [ns, from the trigger, negative before it], behind ``point`` where there are repeats, and with
        ``wavelength`` [nm] where that was scanned.

    Raises
    ------
    FileFormatError
        If the property is not in the file, or its table breaks off before its first line.

    Warns
    -----
    PlkitWarning
        If the intensity has no unit.
    """
    path = Path(path)
    lines = read_lines(path)
    known = _properties(lines)
    wanted = quantity or (known[0] if known else "")
    if wanted not in known:
        raise file_error(path, f"it holds no property '{wanted}', but {', '.join(known) or 'none'}")
    begin = next((n for n, t in enumerate(lines) if t.strip() == "Data:"), len(lines))
    tables = _tables(path, lines, begin, wanted)
    if not tables:
        raise file_error(path, f"it breaks off before the table of '{wanted}'", "Export it again.")
    rows_dim, columns_dim, row_values, column_values, _ = tables[0]
    for other in tables[1:]:
        if not (np.array_equal(other[2], row_values) and np.array_equal(other[3], column_values)):
            raise file_error(
                path, f"its tables of '{wanted}' have different axes", "Export each by itself."
            )
    cube = np.stack([t[4] for t in tables])
    dims = [_axis(path, rows_dim), _axis(path, columns_dim)]
    order = [dims[0][0], dims[1][0]]
    data = cube[0]
    if len(tables) > 1:
        if names.POINT in order:
            raise file_error(path, "it has repeats both in columns and in tables")
        data, order = cube, [names.POINT, *order]
    coords: dict[str, Any] = {}
    for (dim, unit), values in zip(dims, (row_values, column_values), strict=True):
        kept = values.astype(np.int64) if dim == names.POINT else values
        coords[dim] = (dim, kept, {**names.attrs(dim), "units": unit})
    if len(column_values) == 1 and dims[1][0] == names.POINT:
        data, order = data[..., 0], order[:-1]
        del coords[names.POINT]
    variable = _property_variable(wanted)
    attrs = {
        "instrument": "Applied Photophysics ProData",
        "quantity": wanted,
        "quantities": ", ".join(known),
    }
    if variable == names.INTENSITY:
        import warnings

        from plkit.errors import PlkitWarning

        attrs["units_in_file"] = "a.u."
        warnings.warn(
            f"'{path.name}' gives '{wanted}' without a unit; plkit calls it counts: set noise_gain before σ "
            "is believed.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    return xr.Dataset({variable: (order, data, names.attrs(variable))}, coords, attrs)


def _properties(lines: list[str]) -> list[str]:
    for number, line in enumerate(lines):
        if line.startswith("Available Properties:"):
            found = []
            for following in lines[number + 1 :]:
                if not following.strip():
                    break
                found.append(following.split(",")[0].strip())
            return found
    return []


_Table = tuple[str, str, npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _tables(path: Path, lines: list[str], begin: int, wanted: str) -> list[_Table]:
    """Tables of one property: axis of the rows, of the columns, their values, the numbers."""
    tables: list[_Table] = []
    number = begin
    while number < len(lines):
        if lines[number].strip() != wanted:
            number += 1
            continue
        number += 1
        while number + 1 < len(lines) and not lines[number + 1].startswith(","):
            if not lines[number].strip():
                break
            number += 1
        if number + 1 >= len(lines) or not lines[number + 1].startswith(","):
            continue
        axes = [c.strip() for c in lines[number].split(",") if c.strip()]
        if len(axes) != 2:
            raise file_error(path, f"line {number + 1} names {len(axes)} axes, not 2")
        columns = _floats(path, number + 2, lines[number + 1].split(",")[1:])
        rows: list[list[float]] = []
        number += 2
        while number < len(lines) and lines[number].strip():
            cells = lines[number].split(",")
            values = _floats(path, number + 1, cells)
            if len(values) != len(columns) + 1:
                if number >= len(lines) - 1:
                    break  # the last line of a file that breaks off
                raise file_error(
                    path, f"line {number + 1} has {len(values)} cells, not {len(columns) + 1}"
                )
            rows.append(values)
            number += 1
        if rows:
            table = np.array(rows)
            tables.append((axes[0], axes[1], table[:, 0], np.array(columns), table[:, 1:]))
    return tables


def _floats(path: Path, number: int, cells: list[str]) -> list[float]:
    kept = cells[:-1] if cells and not cells[-1].strip() else cells
    try:
        return [float(c) for c in kept]
    except ValueError:
        raise file_error(
            path, f"line {number} holds '{','.join(kept)[:40]}', not numbers"
        ) from None


def _axis(path: Path, name: str) -> tuple[str, str]:
    found = _PRODATA_AXES.get(name.lower())
    if found is None:
        raise file_error(path, f"its axis is '{name}', not one of {', '.join(_PRODATA_AXES)}")
    return found


# LabVIEW ------------------------------------------------------------------------------------------


def read_lvm(path: Path, *, dim: str | None = None, unit: str | None = None) -> xr.Dataset:
    """Read a LabVIEW measurement file.

    Parameters
    ----------
    path : path
        Text that begins with *LabVIEW Measurement*.
    dim : str, optional
        What the X column is: ``"wavelength"``, ``"energy"``, ``"raman_shift"`` or ``"delay"``. By default
        what *X_Dimension* or the label of the column says.
    unit : str, optional
        Unit of the X column, where the file does not say it.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (dim), or (point, dim) and (dim, point) of a delay, with several channels, whose labels
        are the coordinate ``sample`` (point).

    Raises
    ------
    FileFormatError
        If the file does not say what X is, a line does not hold its numbers, or there are several segments.

    Warns
    -----
    PlkitWarning
        If channels are shorter than the longest: NaN.
    """
    path = Path(path)
    lines = read_lines(path)
    ends = [n for n, line in enumerate(lines) if line.startswith("***End_of_Header***")]
    if not ends:
        raise file_error(path, "it lacks the line '***End_of_Header***'", "Copy it again.")
    if len(ends) > 2:
        raise file_error(
            path, f"it holds {len(ends) - 1} segments, not one", "Save each by itself."
        )
    mark = "," if any(t.startswith("Separator,Comma") for t in lines[:12]) else "\t"
    header = _lvm_header(lines[: ends[-1]], mark)
    comma = (header.get("decimal_separator") or ["."])[0] == ","
    labels = (
        [c.strip() for c in lines[ends[-1] + 1].split(mark)] if ends[-1] + 1 < len(lines) else []
    )
    table = _lvm_table(path, lines, ends[-1] + 2, mark, comma, len(labels))
    while labels and (labels[-1] in ("", "Comment")):
        labels.pop()
    columns = (header.get("x_columns") or ["One"])[0].lower()
    if columns == "multi":
        raise file_error(
            path,
            "each of its channels has an X column of its own",
            'Save it with "One column only".',
        )
    curves = table[:, 1 : len(labels)]
    curve_labels = labels[1:]
    x = table[:, 0]
    if columns == "no":
        x = _lvm_x(path, header, len(table))
    _warn_of_ragged(path, curves)
    name = (
        labels[0]
        if labels and labels[0] not in ("X_Value", "")
        else (header.get("x_dimension") or [""])[0]
    )
    chosen, spelled = _lvm_axis(path, name, dim, unit, header)
    coords: dict[str, Any] = {chosen: (chosen, x, {**names.attrs(chosen), "units": spelled})}
    if not curves.shape[1]:
        raise file_error(path, "it holds no channel beside its X column")
    dims: tuple[str, ...] = (chosen,)
    data = whole(curves[:, 0])
    if curves.shape[1] > 1:
        dims = (chosen, names.POINT) if chosen == names.DELAY else (names.POINT, chosen)
        data = whole(curves) if chosen == names.DELAY else whole(curves.T)
        coords[names.POINT] = (names.POINT, np.arange(curves.shape[1]), names.attrs(names.POINT))
        coords[names.SAMPLE] = (
            names.POINT,
            np.array(curve_labels, dtype=str),
            names.attrs(names.SAMPLE),
        )
    attrs = {
        "instrument": "LabVIEW",
        "acquired": " ".join(
            (header.get("date") or [""])[:1] + (header.get(names.TIME) or [""])[:1]
        ),
        "metadata": metadata_json({slug(k): v for k, v in header.items()}),
    }
    return xr.Dataset({names.INTENSITY: (dims, data, names.attrs(names.INTENSITY))}, coords, attrs)


def _lvm_header(lines: list[str], mark: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        cells = [c.strip() for c in line.split(mark)]
        if cells[0] and len(cells) > 1 and not cells[0].startswith("*"):
            found[cells[0].lower()] = [c for c in cells[1:] if c]
    return found


def _lvm_table(
    path: Path, lines: list[str], start: int, mark: str, comma: bool, width: int
) -> npt.NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip():
            continue
        cells = [c.strip().replace(",", ".") if comma else c.strip() for c in line.split(mark)]
        try:
            values = [float(c) if c else np.nan for c in cells[:width]]
        except ValueError:
            raise file_error(
                path, f"line {number} holds '{line.strip()[:40]}', not numbers"
            ) from None
        rows.append(values + [np.nan] * (width - len(values)))
    if not rows or width < 2:
        raise file_error(path, "it breaks off before the first number", "Copy it again.")
    return np.array(rows)


def _lvm_x(path: Path, header: dict[str, list[str]], count: int) -> npt.NDArray[np.float64]:
    try:
        starts = {float(v) for v in header.get("x0", [])}
        steps = {float(v) for v in header.get("delta_x", [])}
    except ValueError:
        starts, steps = set(), set()
    if len(starts) != 1 or len(steps) != 1:
        raise file_error(path, "its channels do not share one X0 and one Delta_X")
    return starts.pop() + steps.pop() * np.arange(count, dtype=np.float64)


def _warn_of_ragged(path: Path, curves: npt.NDArray[np.float64]) -> None:
    missing = int(np.isnan(curves).sum())
    if missing:
        import warnings

        from plkit.errors import PlkitWarning

        warnings.warn(
            f"'{path.name}' lacks {missing} of the {curves.size} values of its channels; they are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )


def _lvm_axis(
    path: Path, name: str, dim: str | None, unit: str | None, header: dict[str, list[str]]
) -> tuple[str, str]:
    from plkit.io.text import quantity_of, split_label

    stated = unit or split_label(name)[1] or next(iter(header.get("x_unit_label") or []), None)
    found = dim or quantity_of(name)
    if found == names.TIME and stated in ("ps", "ns", "us"):
        found = names.DELAY
    if found not in names.MEASURED_DIMS and stated is not None and dim is None:
        found = spectral_dim_of_unit(stated)
    if dim is not None and dim not in names.MEASURED_DIMS:
        raise file_error(path, f"dim is '{dim}', not one of {', '.join(names.MEASURED_DIMS)}")
    if found not in names.MEASURED_DIMS:
        raise ask(
            path,
            f"what its X column ('{name or 'unnamed'}') is",
            f'dim="{names.WAVELENGTH}", unit="nm"',
        )
    if stated is None:
        raise ask(
            path,
            f"the unit of its X column, a '{found}'",
            f'dim="{found}", unit="{names.unit(found)}"',
        )
    spelled = known_unit(stated, names.unit(found))
    if spelled is None:
        raise file_error(
            path,
            f"the unit of its X column is '{stated}', not '{names.unit(found)}' or a multiple of it",
        )
    return found, spelled


READERS = (
    Reader(
        name="prodata",
        title="ProData CSV",
        suffixes=(),
        sniff=lambda path, head: head.startswith(b"ProDataCSV"),  # noqa: ARG005
        read=read_prodata,
        options=("quantity",),
    ),
    Reader(
        name="lvm",
        title="LabVIEW measurement file",
        suffixes=(".lvm",),
        sniff=lambda path, head: head.startswith(b"LabVIEW Measurement"),  # noqa: ARG005
        read=read_lvm,
        options=("dim", "unit"),
    ),
)
