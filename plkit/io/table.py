"""CSV and other text: one spectrum, several columns, a matrix with axes, or a list of points."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, spectral_dim_of_unit, users_level, warn_of_rate
from plkit.io.points import place_points, positions
from plkit.io.registry import Reader
from plkit.io.text import Columns, known_unit, pivot, quantity_of, read_columns, split_label

__all__ = ["PLKIT_MARK", "READER", "TableOptions", "read_table"]

PLKIT_MARK = "# plkit table: "
_ARBITRARY = ("a.u.", "a.u", "arb. units", "arb. unit", "arb.u.", "au", "arb")
_RATES = ("cps", "counts/s", "counts per second", "1/s", "kcps")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What a text file does not say.

    Parameters
    ----------
    wavelength_unit : str, optional
        Unit of the spectral axis: nm, um, eV, 1/cm, …; eV makes it an energy, 1/cm a Raman shift.
    row_dim, row_unit : str, optional
        For a matrix whose first row is the spectral axis: what runs down its first column.
    column_dim, column_unit : str, optional
        For a matrix whose first column is the spectral axis: what runs along its first row.
    column_values : array_like, optional
        The values along ``column_dim``, where no row gives them.
    variable : str, optional
        Name in ``plkit.names.TABLE`` of what was measured; ``intensity`` by default.
    points : {"grid", "list"}, optional
        For a list of positions: see :func:`plkit.io.points.place_points`.
    tolerance_um : float, optional
        Likewise [µm].
    """

    wavelength_unit: str | None = None
    row_dim: str | None = None
    row_unit: str | None = None
    column_dim: str | None = None
    column_unit: str | None = None
    column_values: Any = None
    variable: str | None = None
    points: str | None = None
    tolerance_um: float | None = None


def read_table(path: Path, **options: Any) -> xr.Dataset:
    """Read numbers from text.

    Parameters
    ----------
    path : path
        A spectrum in two columns, several spectra in columns, a matrix with axes, or a list of
        points (``x (um), y (um), wavelength (nm), intensity (counts)``).
    **options
        Fields of :class:`TableOptions`: what the file does not say.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (…, wavelength) [counts], or the variables that the labels name.

    Raises
    ------
    FileFormatError
        If the numbers cannot be parsed, or if neither the file nor an option says what they are.

    Warns
    -----
    PlkitWarning
        If numbers are missing (they are NaN), or not counts.
    """
    path = Path(path)
    said = TableOptions(**options)
    table = read_columns(path)
    own = next((line for line in table.header if line.startswith(PLKIT_MARK)), None)
    if own is not None:
        return _restore(table, json.loads(own.removeprefix(PLKIT_MARK)))
    table, keyed_unit = _keyed_labels(table)
    if keyed_unit and said.wavelength_unit is None:
        said = TableOptions(**{**options, "wavelength_unit": keyed_unit})
    quantities = [quantity_of(label) for label in table.labels]
    axes = [q for q in quantities if q in names.CANONICAL_ORDER]
    if (
        len(axes) >= 2
        and len(axes) == len(quantities) - 1
        and len(set(quantities)) == len(quantities)
    ):
        return _from_points(path, table, quantities, said)
    if table.values.shape[1] == 2 or (len(axes) == 1 and quantities[0] in names.SPECTRAL_DIMS):
        numeric = bool(table.labels) and all(
            _value(label) is not None for label in table.labels[1:]
        )
        if not numeric and said.column_dim is None and said.row_dim is None:
            return _from_spectrum(path, table, said)
    return _from_matrix(path, table, said)


def _keyed_labels(table: Columns) -> tuple[Columns, str | None]:
    """Labels from header lines such as ``Xaxis,Wavelength`` and ``XUNITS  NANOMETERS``."""
    if table.values.shape[1] != 2:
        return table, None
    found: dict[str, str] = {}
    for line in [*table.header, ",".join(table.labels)]:
        for mark in ("\t", ",", ";"):
            key, _, value = line.partition(mark)
            if value and key.strip().lower() in ("xaxis", "yaxis", "xunits", "yunits"):
                found[key.strip().lower()] = value.strip().strip(mark).strip()
    if not found:
        return table, None
    unit = found.get("xunits", "").lower() or None
    x_label = found.get("xaxis") or (spectral_dim_of_unit(unit) if unit else None) or ""
    y_label = found.get("yaxis") or found.get("yunits", "")
    return Columns(table.header, [x_label, y_label], table.values, table.integer), unit


def _spectral_axis(
    path: Path, label: str | None, values: npt.NDArray[Any], said: TableOptions
) -> tuple[str, npt.NDArray[Any], dict[str, str]]:
    """Name, values and attributes of the spectral axis, from its label and the option."""
    name, unit = split_label(label) if label else ("", None)
    unit = said.wavelength_unit or unit
    dim = quantity_of(label) if label else None
    if dim is not None and dim not in names.SPECTRAL_DIMS:
        raise file_error(
            path, f"its axis is '{label}', not one of {', '.join(names.SPECTRAL_DIMS)}",
            f'For a decay trace: plkit.read(path, reader="decay_table", delay_unit="{names.unit(names.DELAY)}").',
        )  # fmt: skip
    if unit is None:
        axis = f"the unit of the axis '{name}'" if name else "the unit of the spectral axis"
        raise ask(path, axis, 'wavelength_unit="nm"')
    dim = dim or spectral_dim_of_unit(unit) or spectral_dim_of_unit(unit.lower())
    spelled = known_unit(unit, names.unit(dim)) if dim else None
    if dim is None or spelled is None:
        wanted = names.unit(dim) if dim else "nm, eV or 1/cm"
        raise file_error(
            path, f"the unit of its spectral axis is '{unit}', not {wanted} or a multiple of it",
            'Say the right one: plkit.read(path, wavelength_unit="nm").',
        )  # fmt: skip
    return dim, values, {**names.attrs(dim), "units": spelled}


def _other_axis(
    path: Path, which: str, label: str | None, dim: str | None, unit: str | None
) -> tuple[str, dict[str, str]]:
    """Name and attributes of the axis that is not spectral; ``which`` is "row" or "column"."""
    name, label_unit = split_label(label) if label else ("", None)
    example = f'{which}_dim="{names.TIME}", {which}_unit="s"'
    dim = dim or (quantity_of(label) if label else None)
    if dim is None:
        shown = f" ('{name}')" if name else ""
        raise ask(path, f"what runs along its {which}s{shown}", example)
    allowed = [
        *(d for d in names.CANONICAL_ORDER if d not in names.SPECTRAL_DIMS),
        names.TEMPERATURE,
    ]
    if dim not in allowed:
        raise file_error(path, f"{which}_dim is '{dim}', not one of {', '.join(allowed)}")
    unit = unit or label_unit
    if names.unit(dim) == "1":
        return dim, names.attrs(dim)
    if unit is None:
        raise ask(path, f"the unit of '{dim}'", example)
    spelled = known_unit(unit, names.unit(dim))
    if spelled is None:
        raise file_error(
            path, f"the unit of '{dim}' is '{unit}', not '{names.unit(dim)}' or a multiple of it",
            f"Say the right one: plkit.read(path, {example}).",
        )  # fmt: skip
    return dim, {**names.attrs(dim), "units": spelled}


def _measured(path: Path, label: str | None, said: TableOptions) -> tuple[str, dict[str, str]]:
    """Name and attributes of what was measured; numbers that are not counts come with a warning."""
    unit = split_label(label)[1] if label else None
    variable = said.variable or (quantity_of(label) if label else None) or names.INTENSITY
    if variable not in names.TABLE:
        raise file_error(path, f"variable is '{variable}', which is not in plkit.names.TABLE")
    attrs = names.attrs(variable)
    if unit is None or unit == "" or names.normalise_unit(unit) == attrs["units"]:
        return variable, attrs
    spelled = known_unit(unit, attrs["units"])
    if spelled is not None:
        return variable, {**attrs, "units": spelled}
    if variable == names.INTENSITY and unit.lower() in _RATES:
        warn_of_rate(path, unit)
    elif variable == names.INTENSITY and unit.lower() in _ARBITRARY:
        warnings.warn(
            f"'{path.name}' gives its intensity in '{unit}'; plkit calls it counts: set noise_gain "
            "before σ is believed.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    else:
        raise file_error(
            path, f"'{label}' is in '{unit}', which is no unit of {variable} ('{attrs['units']}')",
            'Say what was measured by a name in plkit.names.TABLE: plkit.read(path, variable="voltage").',
        )  # fmt: skip
    return variable, {**attrs, "units_in_file": unit}


def _from_spectrum(path: Path, table: Columns, said: TableOptions) -> xr.Dataset:
    """First column the spectral axis, each further one a variable."""
    labels = table.labels or [""] * table.values.shape[1]
    dim, axis, attrs = _spectral_axis(path, labels[0], table.values[:, 0], said)
    variables: dict[str, Any] = {}
    for index, label in enumerate(labels[1:], start=1):
        variable, variable_attrs = _measured(path, label, said)
        if variable in variables:
            raise file_error(
                path, f"its columns '{labels[index - 1]}' and '{label}' are both '{variable}'",
                f'Say what runs along the columns: plkit.read(path, column_dim="{names.TIME}", '
                'column_unit="s", column_values=[…]).',
            )  # fmt: skip
        variables[variable] = (dim, table.column(index), variable_attrs)
    return xr.Dataset(variables, {dim: (dim, axis, attrs)})


def _value(label: str) -> float | None:
    """Number in a column's label, with or without a unit behind it."""
    try:
        return float(split_label(label)[0].replace(",", "."))
    except ValueError:
        return None


def _from_matrix(path: Path, table: Columns, said: TableOptions) -> xr.Dataset:
    """First row one axis, first column the other; one of them is spectral."""
    top = [_value(label) for label in table.labels[1:]]
    if said.column_values is not None:
        # Before the labels: programs number their columns, and that is no time.
        corner, body = table.labels[0] if table.labels else "", slice(0, None)
        first_row = np.asarray(said.column_values, dtype=np.float64)
    elif table.labels and None not in top:
        corner, first_row, body = table.labels[0], np.array(top, dtype=np.float64), slice(0, None)
    elif table.labels:
        unknown = [label for label in table.labels[1:] if _value(label) is None]
        raise ask(
            path, f"the value that each column stands for ('{unknown[0]}' is no number)",
            f'column_dim="{names.TIME}", column_unit="s", column_values=[…]',
        )  # fmt: skip
    elif np.isnan(table.values[0, 0]) or said.row_dim is not None:
        corner, first_row, body = "", table.values[0, 1:], slice(1, None)
    else:
        raise ask(
            path, f"the meaning of its {table.values.shape[1]} columns",
            f'row_dim="{names.TIME}", row_unit="s" where the first row holds the wavelengths, or '
            f'column_dim="{names.TIME}", column_unit="s", column_values=[…] where the first column does',
        )  # fmt: skip
    first_column = table.values[body, 0]
    values = table.column(slice(1, None))[body]
    if first_row.shape != (values.shape[1],):
        raise file_error(path, f"column_values has {first_row.size} values, not {values.shape[1]}")
    row_label, column_label = _corner(corner)
    variable, attrs = _measured(path, None, said)
    columns_are_spectra = (
        said.column_dim is not None or quantity_of(row_label) in names.SPECTRAL_DIMS
    )
    if columns_are_spectra:
        spectral, axis, axis_attrs = _spectral_axis(path, row_label, first_column, said)
        other, other_attrs = _other_axis(
            path, "column", column_label, said.column_dim, said.column_unit
        )
        values, other_values = values.T, first_row
    else:
        spectral, axis, axis_attrs = _spectral_axis(path, column_label, first_row, said)
        other, other_attrs = _other_axis(path, "row", row_label, said.row_dim, said.row_unit)
        other_values = first_column
    return xr.Dataset(
        {variable: ((other, spectral), values, attrs)},
        {other: (other, other_values, other_attrs), spectral: (spectral, axis, axis_attrs)},
    )


def _corner(label: str) -> tuple[str, str]:
    r"""Labels of rows and columns in a corner cell such as ``time (s) \ wavelength (nm)``."""
    for mark in ("\\", "|"):
        row, found, column = label.partition(mark)
        if found:
            return row.strip(), column.strip()
    return label, ""


def _from_points(
    path: Path, table: Columns, quantities: list[str | None], said: TableOptions
) -> xr.Dataset:
    """Coordinates in all columns but one, the measured value in that."""
    axes: dict[str, npt.NDArray[np.float64]] = {}
    attrs: dict[str, dict[str, str]] = {}
    variable, value_attrs, values = names.INTENSITY, names.attrs(names.INTENSITY), table.column(0)
    for index, (quantity, label) in enumerate(zip(quantities, table.labels, strict=True)):
        column = table.values[:, index]
        if quantity in names.SPECTRAL_DIMS:
            dim, axes_values, attrs_found = _spectral_axis(path, label, column, said)
            axes[dim], attrs[dim] = axes_values, attrs_found
        elif quantity in names.CANONICAL_ORDER:
            dim, attrs_found = _other_axis(path, "row", label, quantity, said.row_unit)
            axes[dim], attrs[dim] = column, attrs_found
        else:
            variable, value_attrs = _measured(path, label, said)
            values = table.column(index)
    x, y = axes.get(names.X), axes.get(names.Y)
    if x is None or y is None:
        grid, coords = pivot(path, axes, values)
        return xr.Dataset(
            {variable: (tuple(axes), grid, value_attrs)},
            {d: (d, c, attrs[d]) for d, c in zip(axes, coords, strict=True)},
        )
    # Rows of one position belong together, then the positions to a grid, where they lie on one.
    factors = {
        d: names.conversion_factor(attrs[d]["units"], names.unit(d)) or 1.0
        for d in (names.X, names.Y)
    }
    place, where = positions(
        path,
        x * factors[names.X],
        y * factors[names.Y],
        points=said.points,
        tolerance_um=said.tolerance_um,
    )
    rest = {d: c for d, c in axes.items() if d not in (names.X, names.Y)}
    grid, coords = pivot(path, {names.POINT: place.astype(np.float64), **rest}, values)
    ds = xr.Dataset(
        {variable: ((names.POINT, *rest), grid, value_attrs)},
        {d: (d, c, attrs[d]) for d, c in zip(rest, coords[1:], strict=True)},
    ).assign_coords(
        {d: (names.POINT, where[:, i], names.attrs(d)) for i, d in enumerate((names.X, names.Y))}
    )
    return place_points(path, ds, points=said.points, tolerance_um=said.tolerance_um)


def _restore(table: Columns, note: dict[str, Any]) -> xr.Dataset:
    """Dataset from plkit's own table: the note holds what numbers alone do not say."""
    ds = xr.Dataset.from_dict(note["rest"])
    dims, columns = note["dims"], note["columns"]
    spectral = dims[-1]
    if len(dims) == 1:
        axis, data = table.values[:, 0], [table.values[:, i + 1] for i in range(len(columns))]
    else:
        axis = np.array([_value(label) for label in table.labels[1:]], dtype=np.float64)
        data = [table.values[:, 1:]]
        ds = ds.assign_coords(
            {dims[0]: (dims[0], _cast(table.values[:, 0], note, dims[0]), note["attrs"][dims[0]])}
        )
    ds = ds.assign_coords(
        {spectral: (spectral, _cast(axis, note, spectral), note["attrs"][spectral])}
    )
    for name, values in zip(columns, data, strict=True):
        ds[name] = (dims, _cast(values, note, name), note["attrs"][name])
    return ds


def _cast(values: npt.NDArray[Any], note: dict[str, Any], name: str) -> npt.NDArray[Any]:
    return values.astype(np.dtype(note["dtypes"][name]))


def _looks_like_text(path: Path, head: bytes) -> bool:
    """Text with a digit in it, in UTF-8, UTF-16 or Latin-1."""
    if path.is_dir() or not any(c in b"0123456789" for c in head):
        return False
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    control = sum(b < 9 or 13 < b < 32 for b in head)
    return control == 0


READER = Reader(
    name="table",
    title="CSV and other text",
    suffixes=(".csv", ".txt", ".asc", ".dat", ".tsv", ".dpt", ".xy"),
    sniff=_looks_like_text,
    read=read_table,
    options=tuple(f.name for f in fields(TableOptions)),
)
