"""What readers of scanned spectra share: one spectrum, its missing end, its lines of two numbers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, users_level

__all__ = ["NM", "filled", "pairs", "spectrum"]

NM = names.unit(names.WAVELENGTH)


def spectrum(
    variable: str, axis: npt.NDArray[Any], values: npt.NDArray[Any], attrs: dict[str, Any]
) -> xr.Dataset:
    """Dataset of one spectrum over wavelength."""
    coords = {names.WAVELENGTH: (names.WAVELENGTH, axis, names.attrs(names.WAVELENGTH))}
    return xr.Dataset({variable: (names.WAVELENGTH, values, names.attrs(variable))}, coords, attrs)


def filled(path: Path, values: npt.NDArray[Any], expected: int) -> npt.NDArray[Any]:
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
        stacklevel=users_level(),
    )
    return np.concatenate([values, np.full(missing, np.nan)])


def pairs(path: Path, lines: list[str], start: int) -> npt.NDArray[np.float64]:
    """Lines of two numbers from ``start`` on; a last line that is cut off is left out."""
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
