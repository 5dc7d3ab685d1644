"""Which heater protocols keep a film mixed: the map over on-time and period."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from plkit import names
from plkit.errors import DataError
from plkit.names import ON_TIME, PERIOD
from plkit.schema import add_history
from plkit.sim.cycling import CyclingModel, Heater, HeaterProtocol, thermal_cycling

__all__ = ["SeverityThresholds", "map_thermal_cycling", "severity_of"]

_ACTION: Final = "map thermal cycling"
_LABELS: Final = ("none", "mild", "severe")


@dataclass(frozen=True, slots=True)
class SeverityThresholds:
    """Where mild segregation begins and where it ends.

    Parameters
    ----------
    severe : float
        Segregated fraction from which on it is severe [1].
    none : float
        Segregated fraction below which it is not seen [1].

    Examples
    --------
    >>> SeverityThresholds().severe
    0.5
    """

    severe: float = 0.5
    none: float = 0.008


def severity_of(
    ds: xr.Dataset, protocol: HeaterProtocol, thresholds: SeverityThresholds | None = None
) -> tuple[str, float]:
    """Judge a simulated protocol by its last cycle.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of :func:`plkit.thermal_cycling`.
    protocol : HeaterProtocol
        What was simulated.
    thresholds : SeverityThresholds, optional
        What is called severe, and what none.

    Returns
    -------
    label : {"none", "mild", "severe"}
        The class.
    maximum : float
        Largest segregated fraction in the last cycle [1].

    Examples
    --------
    >>> protocol = HeaterProtocol(1.0, 10.0)
    >>> severity_of(thermal_cycling(protocol), protocol)[0]
    'mild'
    """
    limits = thresholds or SeverityThresholds()
    time = ds[names.TIME].values
    frame = float(time[1] - time[0]) if time.size > 1 else protocol.duration_s
    # Of a heater that stays on, or is never switched, the last frame is the last cycle.
    cycle = protocol.period_s if math.isfinite(protocol.period_s) else frame
    last = time > time[-1] - max(cycle, frame) + 1e-9
    top = float(ds["segregated_fraction_maximum"].values[last].max())
    return ("severe" if top >= limits.severe else "mild" if top >= limits.none else "none"), top


def map_thermal_cycling(
    on_s: ArrayLike,
    period_s: ArrayLike,
    *,
    duration_s: float = 180.0,
    heater: Heater | None = None,
    model: CyclingModel | None = None,
    thresholds: SeverityThresholds | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Segregated fraction that heater protocols leave, over on-time and period.

    Parameters
    ----------
    on_s : array_like
        Lengths of a pulse, ascending [s].
    period_s : array_like
        Periods, ascending [s].
    duration_s : float, optional
        Length of each experiment [s].
    heater : Heater, optional
        The heater.
    model : CyclingModel, optional
        The film.
    thresholds : SeverityThresholds, optional
        What is called severe, and what none.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        Over ``on_time`` and ``period`` [s]: ``segregated_fraction_maximum`` [1], the largest in the
        last cycle; ``severity`` (int8: 0 none, 1 mild, 2 severe, -1 where a pulse is longer than
        its period or the period longer than the experiment); ``temperature`` [K], the mean over
        the last cycle. NaN where there is no such protocol.

    Raises
    ------
    DataError
        If an axis is empty, not ascending or not positive.

    Examples
    --------
    >>> found = map_thermal_cycling([0.1, 0.5, 1.0], [1.0, 5.0])
    >>> found.severity.values.tolist()
    [[2, 2], [0, 0], [2, 0]]
    """
    from tqdm import tqdm

    axes = {ON_TIME: _axis("on_s", on_s), PERIOD: _axis("period_s", period_s)}
    limits = thresholds or SeverityThresholds()
    shape = tuple(a.size for a in axes.values())
    top, warm = np.full(shape, np.nan), np.full(shape, np.nan)
    label = np.full(shape, -1, np.int8)
    for i, on in enumerate(tqdm(axes[ON_TIME], desc="map", unit="row", disable=not progress)):
        for j, period in enumerate(axes[PERIOD]):
            if on > period or period > duration_s:
                continue
            protocol = HeaterProtocol(float(on), float(period), duration_s)
            frame = min(0.5, float(period))
            ds = thermal_cycling(protocol, heater=heater, model=model, exposure_s=frame)
            word, top[i, j] = severity_of(ds, protocol, limits)
            label[i, j] = _LABELS.index(word)
            last = max(1, round(period / frame))
            warm[i, j] = float(ds["temperature"][-last:].mean())
    dims = (ON_TIME, PERIOD)
    flags = {
        "flag_values": np.array([-1, 0, 1, 2], np.int8),
        "flag_meanings": "impossible none mild severe",
    }
    ds = xr.Dataset(
        {
            "segregated_fraction_maximum": (dims, top, names.attrs("segregated_fraction_maximum")),
            "severity": (dims, label, {**names.attrs("severity"), **flags}),
            "temperature": (dims, warm, names.attrs("temperature")),
        },
        {k: (k, v, names.attrs(k)) for k, v in axes.items()},
        {
            "duration_s": float(duration_s),
            "model": json.dumps(asdict(model or CyclingModel())),
            "heater": json.dumps(asdict(heater or Heater())),
            "thresholds": json.dumps(asdict(limits)),
        },
    )
    return add_history(ds, f"map_thermal_cycling({shape[0]} on-times, {shape[1]} periods)")


def _axis(name: str, values: ArrayLike) -> np.ndarray:
    out = np.atleast_1d(np.asarray(values, dtype=float))
    if out.ndim != 1 or out.size == 0 or not np.all(np.isfinite(out) & (out > 0)):
        raise DataError(_ACTION, f"'{name}' is not a list of positive numbers of seconds")
    if np.any(np.diff(out) <= 0):
        raise DataError(_ACTION, f"'{name}' is not ascending", "Sort it, each value once.")
    return out
