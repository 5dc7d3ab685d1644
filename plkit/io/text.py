"""Numbers in text files: separators, decimal commas, header lines, and what a label says."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level

__all__ = [
    "Columns",
    "known_unit",
    "pivot",
    "quantity_of",
    "read_columns",
    "read_lines",
    "split_label",
]

MOST_COLUMNS = 100_000
"""A detector line has some thousands of pixels; more columns than this are no table of spectra."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?$|nan$", re.IGNORECASE)
_COMMENT = ("#", "%", "//", "!")
# Separator (None: blanks) and decimal sign, in the order in which they are tried.
_DIALECTS: tuple[tuple[str | None, str], ...] = (
    ("\t", "."), (";", "."), (",", "."), (";", ","), ("\t", ","), (None, "."), (None, ","),
)  # fmt: skip

# What labels call the quantities of plkit, in lower case.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    names.WAVELENGTH: (names.WAVELENGTH, "wavelengths", "lambda", "λ", "wl", "wellenlänge"),
    names.ENERGY: (names.ENERGY, "photon energy", "energie"),
    names.RAMAN_SHIFT: ("raman shift", names.RAMAN_SHIFT),
    names.ENERGY_LOSS: ("energy loss", names.ENERGY_LOSS),
    names.TIME: (names.TIME, "t", "zeit", "time stamp"),
    names.DELAY: (names.DELAY, "delay time"),
    names.INTENSITY: (names.INTENSITY, "counts", "pl", "pl intensity", "signal", "intensität"),
    "absorbance": ("absorbance", "abs"),
    "transmittance": ("transmittance", "%t"),
    "reflectance": ("reflectance", "%r"),
}
_BY_SYNONYM = {word: name for name, words in _SYNONYMS.items() for word in words}


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, in UTF-8, UTF-16 or Latin-1.

    Raises
    ------
    FileFormatError
        If the file is empty or binary.
    """
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16")
    else:
        if b"\0" in raw:
            raise file_error(path, "it is binary, not text", "Export it as text, or rename it.")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
    if not text.strip():
        raise file_error(path, "the file is empty", "Copy it again from the instrument.")
    # str.splitlines would also break lines at form feeds and at Unicode separators inside a note.
    return re.split(r"\r\n|\r|\n", text)


@dataclass(frozen=True, slots=True)
class Columns:
    """A table of numbers, with what stands above it.

    Parameters
    ----------
    header : list of str
        Lines above the table, without the one that names the columns.
    labels : list of str
        One per column; empty where no line names them.
    values : ndarray
        (rows, columns); NaN where a cell is empty.
    integer : ndarray of bool
        (columns,) True where every cell is written as an integer.
    """

    header: list[str]
    labels: list[str]
    values: npt.NDArray[np.float64]
    integer: npt.NDArray[np.bool_]

    def column(self, index: int | slice) -> npt.NDArray[Any]:
        """Column or columns, as integers where the file has integers."""
        values = self.values[:, index]
        if not np.all(self.integer[index]):
            return values
        largest = np.max(np.abs(values), initial=0.0)
        if largest >= 2**63:
            return values
        return values.astype(np.int32 if largest < 2**31 else np.int64)


def read_columns(path: Path) -> Columns:
    """Find the table of numbers in a text file.

    Parameters
    ----------
    path : pathlib.Path
        Columns separated by tab, semicolon, comma or blanks; decimal point or comma.

    Returns
    -------
    Columns
        The table, its labels and the lines above it.

    Raises
    ------
    FileFormatError
        If there is no table, or one of its lines has too many or too few cells, or letters.

    Warns
    -----
    PlkitWarning
        If cells are empty or the last line is cut short: they are NaN.
    """
    lines = read_lines(path)
    start, separator, decimal = _find_table(path, lines)
    header, label_line = _split_header(lines[:start])
    body = [line.rstrip("\r\n") for line in lines[start:]]
    if separator is not None and _ends_in(separator, decimal, body):
        body = [line.rstrip().removesuffix(separator) for line in body]
        label_line = label_line.rstrip().removesuffix(separator)
    width = len(_split(body[0], separator))
    values = _parse_fast(body, separator, decimal, width)
    if values is None:
        values, body = _parse_strictly(path, body, start + 1, separator, decimal, width)
    labels = _labels(label_line, separator, width)
    if not labels and label_line:
        header.append(label_line)
    return Columns(header, labels, values, _integer_columns(values, body, separator, decimal))


def _find_table(path: Path, lines: Sequence[str]) -> tuple[int, str | None, str]:
    for number, line in enumerate(lines):
        if line.startswith(_COMMENT) or not any(c.isdigit() for c in line):
            continue
        for separator, decimal in _DIALECTS:
            if len(line.split(separator, MOST_COLUMNS)) > MOST_COLUMNS:
                raise file_error(
                    path, f"its line {number + 1} has more than {MOST_COLUMNS} columns, which is no table of spectra",
                    "Write one spectrum per line or per column.",
                )  # fmt: skip
            cells = [c for c in _split(line, separator) if c]
            if len(cells) >= 2 and all(_is_number(c, decimal) for c in cells):
                return number, separator, decimal
    raise file_error(
        path,
        "it holds no line of two or more numbers",
        "plkit reads columns or a matrix of numbers.",
    )


def _split(line: str, separator: str | None) -> list[str]:
    return [cell.strip() for cell in line.split(separator)]


def _ends_in(separator: str, decimal: str, body: Sequence[str]) -> bool:
    """Whether every line of numbers ends in a separator, which then ends the line, not a cell."""
    rows = (
        s.strip(" ") for s in body if s and _is_number(s.split(separator, 1)[0].strip(), decimal)
    )
    return all(row.endswith(separator) for row in rows)


def _is_number(cell: str, decimal: str) -> bool:
    if decimal == ",":
        if "." in cell:
            return False
        cell = cell.replace(",", ".")
    return _NUMBER.match(cell) is not None


def _parse_fast(
    body: list[str], separator: str | None, decimal: str, width: int
) -> npt.NDArray[np.float64] | None:
    """Parse with numpy's C parser, which takes a faultless table only."""
    text = [s.replace(",", ".") for s in body] if decimal == "," else body
    try:
        values = np.loadtxt(text, delimiter=separator, comments=None, ndmin=2, dtype=np.float64)
    except ValueError:
        return None
    return values if values.shape[1] == width else None


def _parse_strictly(
    path: Path, body: list[str], first: int, separator: str | None, decimal: str, width: int
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Parse line by line: empty cells and a cut last line become NaN, lines behind the table end it."""
    rows: list[list[float]] = []
    kept: list[str] = []
    footer: tuple[int, str] | None = None
    short: int | None = None
    ended, empty = False, 0
    for number, line in enumerate(body, start=first):
        cells = _split(line, separator)
        if not any(cells) or line.startswith(_COMMENT):
            ended = ended or bool(rows)
            continue
        numeric = [c == "" or _is_number(c, decimal) for c in cells]
        if not all(numeric):
            mixed = any(n and c for n, c in zip(numeric, cells, strict=True))
            # Behind a blank line or a line of words, programs append settings that mix the two.
            if not ended and footer is None and (numeric[0] or (mixed and len(cells) == width)):
                bad = cells[numeric.index(False)]
                raise file_error(path, f"line {number} holds '{bad[:40]}', not a number")
            footer = footer or (number, line.strip())
            continue
        if footer is not None and len(cells) == width:
            raise file_error(
                path, f"line {footer[0]} holds '{footer[1][:40]}', not {width} numbers"
            )
        if footer is not None:
            continue
        if short is not None or len(cells) > width:
            wrong, found = (short, "fewer") if short is not None else (number, str(len(cells)))
            raise file_error(path, f"line {wrong} has {found} cells, not {width}")
        if len(cells) < width:
            short = number
            cells = cells + [""] * (width - len(cells))
        empty += cells.count("")
        rows.append(
            [float(c.replace(",", ".").lower().replace("d", "e")) if c else np.nan for c in cells]
        )
        kept.append(line)
    # An empty corner is no missing number.
    if rows and np.isnan(rows[0][0]):
        empty -= 1
    if empty > 0:
        cut = f", line {short} is cut short" if short is not None else ""
        warnings.warn(
            f"'{path.name}' lacks {empty} of {len(rows) * width} numbers{cut}; they are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    return np.array(rows, dtype=np.float64), kept


def _split_header(lines: Sequence[str]) -> tuple[list[str], str]:
    """Lines above the table, and the last of them that is not blank, which may name the columns."""
    kept = [line for line in lines if line.strip()]
    if not kept:
        return [], ""
    last = kept[-1]
    for mark in _COMMENT:
        last = last.removeprefix(mark)
    return kept[:-1], last


def _labels(line: str, separator: str | None, width: int) -> list[str]:
    if len(line.split(separator, MOST_COLUMNS)) > MOST_COLUMNS:
        return []
    cells = _split(line, separator)
    if len(cells) != width and separator is None:
        cells = [c.strip() for c in re.findall(r"[^\s()\[\]]+\s*(?:[(\[][^)\]]*[)\]])?", line)]
    return cells if len(cells) == width and any(cells) else []


def _integer_columns(
    values: npt.NDArray[np.float64], body: Sequence[str], separator: str | None, decimal: str
) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        integer = np.all(np.isfinite(values) & (values == np.floor(values)), axis=0)
    if integer.any():
        for line in body:
            if decimal in line or "e" in line or "E" in line:
                for index, cell in enumerate(_split(line, separator)[: len(integer)]):
                    if not cell.lstrip("+-").isdigit():
                        integer[index] = False
    return np.asarray(integer)


def split_label(label: str) -> tuple[str, str | None]:
    """Name and unit in a label: ``"Wavelength (nm)"``, ``"E [eV]"``, ``"Time / s"``, ``"x_um"``.

    Examples
    --------
    >>> split_label("Wavelength (nm)"), split_label("Signal")
    (('Wavelength', 'nm'), ('Signal', None))
    """
    text = label.strip().strip("\"'")
    # Units may hold brackets of their own: the outermost pair counts.
    found = re.fullmatch(r"(.*?)\s*(?:\((.*)\)|\[(.*)\])", text)
    if found:
        return found[1].strip(), (found[2] if found[2] is not None else found[3]).strip()
    found = re.fullmatch(r"(.+?)\s+/\s+(\S+)", text)
    if found:
        return found[1].strip(), found[2]
    return text, None


def quantity_of(label: str) -> str | None:
    """Quantity of plkit that a label's name means, None where it is not known."""
    name = split_label(label)[0].lower()
    if name in _BY_SYNONYM:
        return _BY_SYNONYM[name]
    snake = name.replace(" ", "_")
    return snake if snake in names.TABLE else None


def known_unit(text: str | None, wanted: str) -> str | None:
    """Spelling of ``text`` that converts to ``wanted``, None where it does not."""
    if text is None:
        return None
    for spelled in (text, text.lower(), text.strip("$")):
        if names.conversion_factor(spelled, wanted) is not None:
            return names.normalise_unit(spelled)
    return None


def pivot(
    path: Path, axes: Mapping[str, npt.NDArray[np.float64]], values: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], list[npt.NDArray[np.float64]]]:
    """Turn a list of points into a grid.

    Parameters
    ----------
    path : pathlib.Path
        For the errors.
    axes : mapping of str to ndarray
        (points,) coordinates by dimension, in the order of the grid's dims.
    values : ndarray
        (points,).

    Returns
    -------
    grid : ndarray
        Over all axes; NaN, with a warning, where the list has no point.
    coords : list of ndarray
        Ascending values of each axis.

    Raises
    ------
    FileFormatError
        If one point of the grid comes twice, or a coordinate is not a number.
    """
    coords: list[npt.NDArray[np.float64]] = []
    places: list[npt.NDArray[np.intp]] = []
    for dim, column in axes.items():
        if not np.all(np.isfinite(column)):
            raise file_error(
                path, f"{int(np.sum(~np.isfinite(column)))} rows give no number for '{dim}'"
            )
        unique, place = np.unique(column, return_inverse=True)
        coords.append(unique)
        places.append(place)
    shape = tuple(len(c) for c in coords)
    flat = np.ravel_multi_index(tuple(places), shape)
    counts = np.bincount(flat, minlength=int(np.prod(shape)))
    if counts.max() > 1:
        index = np.unravel_index(int(np.argmax(counts)), shape)
        at = ", ".join(f"{d} = {c[i]:g}" for d, c, i in zip(axes, coords, index, strict=True))
        raise file_error(
            path, f"it gives {counts.max()} values for {at}", "Average or drop the repeated rows."
        )
    n_missing = int(np.sum(counts == 0))
    if n_missing == 0:
        grid = np.empty(shape, values.dtype)
    else:
        grid = np.full(shape, np.nan, np.result_type(values.dtype, np.float64))
        warnings.warn(
            f"'{path.name}' lacks {n_missing} of the {counts.size} points of its grid "
            f"({' × '.join(f'{n} {d}' for d, n in zip(axes, shape, strict=True))}); they are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    grid.flat[flat] = values
    return grid, coords
