"""What the readers of decay traces share: lines of counts, labels of columns, the dataset that comes out."""

from __future__ import annotations

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
from plkit.io.common import ask, file_error, metadata_json, users_level
from plkit.io.text import known_unit, read_columns, split_label

__all__ = [
    "Decays",
    "continued",
    "decay_columns",
    "decays_to_dataset",
    "key_values",
    "quantity_in",
    "read_decay_columns",
    "read_rows",
    "whole",
    "without_cut_line",
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
class Decays:
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


# From curves to a dataset -------------------------------------------------------------------------


def decays_to_dataset(path: Path, decays: Decays, *, several: str = names.POINT) -> xr.Dataset:
    """Label curves; counts that are photons get ``noise_gain`` 1, others a warning.

    Parameters
    ----------
    path : pathlib.Path
        For the messages.
    decays : Decays
        As the file holds them.
    several : str, optional
        Dimension of the curves; one curve over ``point`` has none.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay) or (delay, several) [counts], ``noise_gain`` [counts], ``exposure_time`` [s].
    """
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
            stacklevel=users_level(),
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


def whole(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return integers, where the numbers are whole and none is missing."""
    if counts.size and np.all(np.isfinite(counts)) and np.all(counts == np.round(counts)):
        largest = np.max(np.abs(counts))
        if largest < 2**63:
            return counts.astype(np.int32 if largest < 2**31 else np.int64)
    return counts


def _even_step(delay: npt.NDArray[np.float64]) -> float | None:
    """Width of the bins, where all but the last are equal within 1 %."""
    steps = np.diff(delay[:-1] if delay.size > 3 else delay)
    if steps.size == 0 or not np.all(np.isfinite(steps)):
        return None
    middle = float((delay[steps.size] - delay[0]) / steps.size)
    return middle if middle > 0 and np.allclose(steps, middle, rtol=0.01) else None


def continued(delay: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Axis whose missing end goes on in even steps."""
    known = int(np.isfinite(delay).sum())
    if known == delay.size or known < 2:
        return delay
    step = (delay[known - 1] - delay[0]) / (known - 1)
    return np.where(np.isfinite(delay), delay, delay[0] + step * np.arange(delay.size))


# Lines of numbers ---------------------------------------------------------------------------------


def read_rows(
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
            stacklevel=users_level(),
        )
        return np.concatenate([values, np.full((missing, width), np.nan)])
    return values


def without_cut_line(
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
        stacklevel=users_level(),
    )
    return delay[:-1], counts[:-1]


def read_decay_columns(path: Path, delay_unit: str | None) -> Decays:
    """Delay and counts of a table with labels."""
    table = read_columns(path)
    places = decay_columns(table.labels)
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
        values = whole(values)
    delay, counts = without_cut_line(path, table.values[:, at], values)
    return Decays(delay, unit, counts, {})


def decay_columns(labels: Sequence[str]) -> tuple[int, list[int]] | None:
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


def key_values(lines: Sequence[str]) -> dict[str, str]:
    """Read header lines ``  Key : value``."""
    found: dict[str, str] = {}
    for line in lines:
        key, mark, value = line.partition(" :")
        if mark and key.strip() and "#" not in key:
            found.setdefault(key.strip(), value.strip())
    return found


def quantity_in(text: str, unit: str) -> float | None:
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
