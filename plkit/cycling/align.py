"""Frames of a series, laid side by side by the events of the heater."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import EVENT, TIME
from plkit.schema import add_history, require_dims, require_unit

__all__ = ["align_on_events"]

_ACTION: Final = "align on the events of the heater"


def align_on_events(
    ds: xr.Dataset,
    events: xr.Dataset,
    *,
    kind: Literal["on", "off"] = "on",
    before_s: float = 0.0,
    after_s: float | None = None,
) -> xr.Dataset:
    """Cut a series into one piece per event, with the time counted from the event.

    Parameters
    ----------
    ds : xarray.Dataset
        Any variables over ``time`` (middles of the exposures) [s], evenly spaced; the clock is that
        of the events.
    events : xarray.Dataset
        Result of :func:`heater_events`.
    kind : {"on", "off"}, optional
        Which events.
    before_s : float, optional
        How much before each event is kept [s].
    after_s : float, optional
        How much after it is kept [s]; up to the next event by default, the shortest such time.

    Returns
    -------
    xarray.Dataset
        The variables over (event, time, …): ``time`` is 0 at the event, up to ``alignment_offset``
        (event) [s], by which the frames of this event come later than the mean of all events:
        frames are not interpolated. ``event_time`` (event) [s] as coordinate. Events whose piece
        does not lie within the series are left out.

    Raises
    ------
    DataError
        If there is no such event, no whole piece, or frames are not evenly spaced.

    Examples
    --------
    >>> t = np.arange(0.25, 60.0, 0.5)
    >>> series = xr.Dataset({"fraction": ("time", (t % 20 >= 5) * 1.0)}, {"time": ("time", t, {"units": "s"})})
    >>> events = xr.Dataset({"event_time": ("event", [5.0, 25.0, 45.0], {"units": "s"}),
    ...                      "event_kind": ("event", [1, 1, 1])})
    >>> cut = align_on_events(series, events, before_s=1.0, after_s=1.0)
    >>> dict(cut.sizes), cut.time.values.tolist(), cut.fraction[0].values.tolist()
    ({'event': 3, 'time': 4}, [-0.75, -0.25, 0.25, 0.75], [0.0, 0.0, 1.0, 1.0])
    """
    require_dims(ds, [TIME], _ACTION)
    if TIME not in ds.coords or not {"event_time", "event_kind"} <= set(events.variables):
        raise DataError(
            _ACTION,
            "the series has no time, or the events no event_time and event_kind",
            "Use heater_events(log).",
        )
    if kind not in ("on", "off"):
        raise DataError(_ACTION, f"'kind' is {kind!r}, not 'on' or 'off'")
    t = np.asarray(require_unit(ds[TIME], TIME, _ACTION).values, dtype=float)
    step = _even_step(t)
    every = np.sort(np.asarray(events["event_time"].values, dtype=float))
    chosen = np.asarray(events["event_kind"].values) == (1 if kind == "on" else -1)
    when = np.sort(np.asarray(events["event_time"].values, dtype=float)[chosen])
    if when.size == 0:
        raise DataError(
            _ACTION,
            f"none of the {every.size} events is of the kind '{kind}'",
            "Align on the other kind.",
        )
    if after_s is None:
        following = [every[every > e] for e in when]
        gaps = [float(f[0] - e) for e, f in zip(when, following, strict=True) if f.size]
        after_s = min(gaps) if gaps else float(t[-1] + 0.5 * step - when[-1])
    n_before, n_after = round(before_s / step), round(after_s / step)
    if n_before < 0 or n_before + n_after < 1:
        raise DataError(
            _ACTION,
            f"{before_s:g} s before and {after_s:g} s after an event hold no frame of {step:g} s",
        )
    first = np.searchsorted(t, when - 1e-9)
    whole = (first - n_before >= 0) & (first + n_after <= t.size)
    if not whole.any():
        raise DataError(
            _ACTION, f"no event has {before_s:g} s before and {after_s:g} s after it within the series",
            "Shorten before_s or after_s.",
        )  # fmt: skip
    when, first = when[whole], first[whole]
    late = t[first] - when
    pieces = [ds.isel({TIME: slice(i - n_before, i + n_after)}) for i in first]
    axis = step * np.arange(-n_before, n_after) + late.mean()
    varying = [v for v in ds.data_vars if TIME in ds[v].dims]
    others = ds.drop_vars([*varying, *(c for c in ds.coords if TIME in ds[c].dims)])
    cut = xr.concat(
        [p[varying].drop_vars([c for c in p.coords if TIME in p[c].dims]) for p in pieces], EVENT
    )
    cut = cut.assign_coords(
        {
            TIME: (TIME, axis, names.attrs(TIME)),
            EVENT: (EVENT, np.flatnonzero(chosen)[whole], names.attrs(EVENT)),
            "event_time": (EVENT, when, names.attrs("event_time")),
        }
    )
    cut["alignment_offset"] = (EVENT, late - late.mean(), names.attrs("alignment_offset"))
    cut = cut.merge(others, combine_attrs="override")
    return add_history(
        cut.assign_attrs(ds.attrs), f"align_on_events(kind='{kind}', {when.size} events)"
    )


def _even_step(t: np.ndarray) -> float:
    if t.size < 2:
        raise DataError(_ACTION, f"the series has {t.size} frame in time, not at least 2")
    gaps = np.diff(t)
    step = float(np.median(gaps))
    if step <= 0 or np.any(np.abs(gaps - step) > 0.1 * abs(step)):
        raise DataError(
            _ACTION,
            "the frames are not evenly spaced in time, or do not ascend",
            "Sort them by time; cut the series at its gaps.",
        )
    return step
