"""The temperature log of a heater, and when the heater was switched."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, FileFormatError, PlkitWarning
from plkit.io.text import quantity_of, read_columns, split_label
from plkit.names import EVENT, TEMPERATURE, TIME
from plkit.schema import add_history, require_dims, require_unit

__all__ = ["heater_events", "read_temperature_log"]

Array = NDArray[np.float64]

_CELSIUS: Final = ("°c", "c", "degc", "deg c", "celsius", "℃", "degree celsius", "degrees celsius")
_KELVIN: Final = ("k", "kelvin")
_ZERO_CELSIUS_K: Final = 273.15
_TEMPERATURE_WORDS: Final = (
    "temperature",
    "temp",
    "temp.",
    "t_stage",
    "stage temperature",
    "temperatur",
)
_CURRENT_WORDS: Final = ("heater current", "heater_current", "current", "i", "strom")
_MAD: Final = 1.4826022185056018
"""Standard deviation of a normal distribution over the median of its absolute value."""


def read_temperature_log(
    path: str | Path, *, time_unit: str | None = None, temperature_unit: str | None = None
) -> xr.Dataset:
    """Read the log of a heater: time, temperature and, where it is there, current.

    Parameters
    ----------
    path : str or path-like
        Text with columns such as ``Time (s), Temperature (°C), Current (mA)``, in any order; other
        columns are left out. Without labels the first column is time, the second temperature.
    time_unit : str, optional
        Unit of the time where the label does not say it: s, min, h, ms.
    temperature_unit : str, optional
        ``"°C"`` or ``"K"``, where the label does not say it.

    Returns
    -------
    xarray.Dataset
        ``temperature`` (time) [K] and, where the log holds it, ``heater_current`` (time) [mA];
        ``time`` [s] as in the log. Rows with an empty cell are left out.

    Raises
    ------
    FileFormatError
        If there is no such table, a unit is missing or unknown, or time does not ascend.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.csv"
    ...     _ = path.write_text("Time (min),Temp (°C)\\n0,24.0\\n0.5,31.5\\n1,32.1\\n")
    ...     log = read_temperature_log(path)
    >>> log.time.values.tolist(), log.temperature.round(2).values.tolist()
    ([0.0, 30.0, 60.0], [297.15, 304.65, 305.25])
    """
    path = Path(path)
    action = f"read the temperature log {path.name}"
    if not path.is_file():
        raise FileFormatError(action, f"'{path}' does not exist", "Check the name.")
    table = read_columns(path)
    columns = _columns(table.labels, table.values.shape[1], action)
    time, time_said = columns[TIME]
    kelvin, kelvin_said = columns[TEMPERATURE]
    keep = np.isfinite(table.values[:, [time, kelvin]]).all(axis=1)
    values = table.values[keep]
    if len(values) < 2:
        raise FileFormatError(action, f"it holds {len(values)} rows of numbers, not at least 2")
    seconds = values[:, time] * _factor(time_unit or time_said, TIME, "time_unit", action)
    if np.any(np.diff(seconds) <= 0):
        row = int(np.argmax(np.diff(seconds) <= 0)) + 2
        raise FileFormatError(
            action,
            f"the time does not ascend at row {row} of its numbers",
            "Sort the log, each time once.",
        )
    data = {
        TEMPERATURE: (TIME, _kelvin(values[:, kelvin], temperature_unit or kelvin_said, action)),
    }
    if "heater_current" in columns:
        index, said = columns["heater_current"]
        factor = _factor(said, "heater_current", "its label", action)
        data["heater_current"] = (TIME, values[:, index] * factor)
    ds = xr.Dataset(
        {name: (dim, v, names.attrs(name)) for name, (dim, v) in data.items()},
        {TIME: (TIME, seconds, names.attrs(TIME))},
        {"source": path.name},
    )
    return add_history(ds, f"read_temperature_log({path.name})")


def _columns(labels: list[str], width: int, action: str) -> dict[str, tuple[int, str | None]]:
    """Column and unit by quantity."""
    if not labels:
        return {TIME: (0, None), TEMPERATURE: (1, None)}
    found: dict[str, tuple[int, str | None]] = {}
    for i, label in enumerate(labels[:width]):
        word, unit = split_label(label)
        word = word.strip().lower()
        if quantity_of(label) == TIME:
            name = TIME
        elif word in _TEMPERATURE_WORDS or (unit or "").lower() in _CELSIUS[:1]:
            name = TEMPERATURE
        elif word in _CURRENT_WORDS:
            name = "heater_current"
        else:
            continue
        found.setdefault(name, (i, unit))
    missing = [n for n in (TIME, TEMPERATURE) if n not in found]
    if missing:
        raise FileFormatError(
            action,
            f"its columns are {', '.join(labels)}, none of them {' or '.join(missing)}",
            "Name the columns: Time (s), Temperature (°C).",
        )
    return found


def _factor(unit: str | None, name: str, option: str, action: str) -> float:
    wanted = names.unit(name)
    if unit is None:
        raise FileFormatError(
            action,
            f"the unit of its {name.replace('_', ' ')} is not stated",
            f'Say it: {option}="{wanted}".',
        )
    factor = names.conversion_factor(unit, wanted)
    if factor is None:
        raise FileFormatError(
            action,
            f"the unit of its {name.replace('_', ' ')} is '{unit}', not '{wanted}' or a multiple of it",
        )
    return factor


def _kelvin(values: Array, unit: str | None, action: str) -> Array:
    if unit is None:
        raise FileFormatError(
            action,
            "the unit of its temperature is not stated",
            'Say it: temperature_unit="°C" or "K".',
        )
    word = unit.strip().lower()
    if word in _CELSIUS:
        return values + _ZERO_CELSIUS_K
    if word in _KELVIN:
        return values
    raise FileFormatError(action, f"the unit of its temperature is '{unit}', not '°C' or 'K'")


# Events -----------------------------------------------------------------------------------------


def heater_events(log: xr.Dataset, *, window_s: float = 5.0, min_step_k: float = 0.5) -> xr.Dataset:
    """Find when the heater was switched on and off.

    Parameters
    ----------
    log : xarray.Dataset
        ``temperature`` (time) [K] and, if known, ``heater_current`` (time) [mA]: then the current
        decides (on above half of its maximum), else the temperature.
    window_s : float, optional
        How long after an event the temperature step is looked for [s], and the nearest two events
        that temperatures alone can tell apart.
    min_step_k : float, optional
        Smallest step that counts as an event where the current is not known [K].

    Returns
    -------
    xarray.Dataset
        Over ``event``: ``event_time`` [s] with ``event_time_stderr``; ``event_kind`` (int8: 1 heater
        on, -1 heater off); ``temperature`` before the event [K] and ``temperature_step`` [K], the
        largest change within the window, with ``temperature_step_stderr`` from the scatter of the
        log. The σ of the time is that of a switching somewhere between two readings.

    Raises
    ------
    DataError
        If the log is too short or holds no time.

    Warns
    -----
    PlkitWarning
        If no event is found.

    Notes
    -----
    Without a current: at each reading the median of the window's first readings after it minus the
    mean of those before it; a switching is where the slope of the temperature changes most. Pulses
    shorter than about three readings need the current.

    Examples
    --------
    >>> t = np.arange(0.0, 60.0, 0.5)
    >>> current = np.where((t % 20 >= 5) & (t % 20 < 10), 400.0, 0.0)
    >>> log = xr.Dataset({"temperature": ("time", 297.0 + current / 50, {"units": "K"}),
    ...                   "heater_current": ("time", current, {"units": "mA"})},
    ...                  {"time": ("time", t, {"units": "s"})})
    >>> found = heater_events(log)
    >>> found.event_time.values.tolist(), found.event_kind.values.tolist()
    ([4.75, 9.75, 24.75, 29.75, 44.75, 49.75], [1, -1, 1, -1, 1, -1])
    """
    action = "find the events of the heater"
    if TEMPERATURE not in log.data_vars or TIME not in log.coords:
        held = ", ".join(map(str, log.data_vars)) or "nothing"
        raise DataError(
            action,
            f"the log holds {held}, not temperature over time",
            "Read one: plkit.cycling.read_temperature_log(path).",
        )
    require_dims(log[TEMPERATURE], [TIME], action)
    if not window_s > 0 or not min_step_k > 0:
        raise DataError(
            action, f"'window_s' or 'min_step_k' is {min(window_s, min_step_k)}, not positive"
        )
    t = np.asarray(require_unit(log[TIME], TIME, action).values, dtype=float)
    kelvin = np.asarray(require_unit(log[TEMPERATURE], TEMPERATURE, action).values, dtype=float)
    if t.size < 4 or not np.all(np.isfinite(kelvin)):
        raise DataError(
            action,
            f"the log has {int(np.isfinite(kelvin).sum())} readings of {t.size}, not 4 at least and all of them",
        )
    noise = float(_MAD * np.median(np.abs(np.diff(kelvin, 2))) / math.sqrt(6.0))
    if "heater_current" in log:
        current = np.asarray(
            require_unit(log["heater_current"], "heater_current", action).values, float
        )
        before, kind = _by_current(current)
    else:
        before, kind = _by_temperature(t, kelvin, window_s, min_step_k, noise)
    if before.size == 0:
        warnings.warn("the heater was never switched in this log", PlkitWarning, stacklevel=2)
    time = 0.5 * (t[before] + t[before + 1])
    sigma = (t[before + 1] - t[before]) / math.sqrt(12.0)
    start, step, step_sigma = _steps(t, kelvin, before, kind, window_s, noise)
    meanings = {"flag_values": np.array([-1, 1], np.int8), "flag_meanings": "heater_off heater_on"}
    ds = xr.Dataset(
        {
            "event_time": (EVENT, time, names.attrs("event_time")),
            "event_time_stderr": (EVENT, sigma, names.attrs("event_time_stderr")),
            "event_kind": (EVENT, kind.astype(np.int8), {**names.attrs("event_kind"), **meanings}),
            TEMPERATURE: (EVENT, start, names.attrs(TEMPERATURE)),
            "temperature_step": (EVENT, step, names.attrs("temperature_step")),
            "temperature_step_stderr": (EVENT, step_sigma, names.attrs("temperature_step_stderr")),
        },
        {EVENT: (EVENT, np.arange(time.size), names.attrs(EVENT))},
    )
    return add_history(ds, "heater_events()")


def _by_current(current: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Reading before each switching, and its kind."""
    top = float(np.nanmax(current)) if np.isfinite(current).any() else 0.0
    change = np.diff(
        (np.nan_to_num(current) > 0.5 * top).astype(int) if top > 0 else np.zeros(current.size, int)
    )
    before = np.flatnonzero(change)
    return before, change[before]


def _by_temperature(
    t: Array, kelvin: Array, window_s: float, min_step_k: float, noise: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Readings where the slope changes most, if what follows is more than noise."""
    step = float(np.median(np.diff(t)))
    w = max(2, min(round(window_s / step / 2), t.size // 2))
    # Straight lines over w readings before and after: slope after minus slope before.
    x = np.arange(w) - (w - 1) / 2
    weights = x / np.sum(x**2) / step
    slope = np.convolve(kelvin, weights[::-1], "valid")
    kink = np.zeros(t.size)
    kink[w - 1 : w - 1 + slope.size - w + 1] = slope[w - 1 :] - slope[: slope.size - w + 1]
    sigma = math.sqrt(2.0 / float(np.sum(x**2))) / step * noise
    strong = np.abs(kink) > max(6.0 * sigma, min_step_k / window_s)
    before: list[int] = []
    for i in np.argsort(-np.abs(kink)):
        if not strong[i]:
            break
        # A kink of the other sign follows where the heater's own response bends: it is no switching.
        after = kelvin[i + 1 : i + 1 + 2 * w]
        moved = after[np.argmax(np.abs(after - kelvin[i]))] - kelvin[i] if after.size else 0.0
        if (
            moved * kink[i] > 0
            and abs(moved) >= min_step_k
            and all(abs(i - j) >= w for j in before)
        ):
            before.append(int(i))
    index = np.array(sorted(before), dtype=np.intp)
    index = index[index < t.size - 1]
    return index, np.sign(kink[index]).astype(np.intp)


def _steps(
    t: Array,
    kelvin: Array,
    before: NDArray[np.intp],
    kind: NDArray[np.intp],
    window_s: float,
    noise: float,
) -> tuple[Array, Array, Array]:
    """Temperature before each event, and the largest change within the window after it."""
    start, step, sigma = (np.full(before.size, np.nan) for _ in range(3))
    for n, (i, sign) in enumerate(zip(before, kind, strict=True)):
        first = max(before[n - 1] + 1 if n else 0, i - 2)
        start[n] = kelvin[first : i + 1].mean()
        end = min(np.searchsorted(t, t[i] + window_s, side="right"), t.size)
        change = sign * (kelvin[i + 1 : end] - start[n])
        step[n] = sign * change.max()
        sigma[n] = noise * math.sqrt(1.0 + 1.0 / (i + 1 - first))
    return start, step, sigma
