"""What is fitted, at the door: photons, even bins, a response, a period, a background."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.fit.traces import Traces, stack_traces
from plkit.names import DELAY, INTENSITY, NOISE_FLOOR, NOISE_GAIN
from plkit.physics.decay import FWHM_PER_SIGMA, Response
from plkit.schema import require_dims, require_unit

__all__ = [
    "ACTION",
    "Photons",
    "fixed_background",
    "pulse_period",
    "read_photons",
    "response_from",
    "within_window",
]

Floats = NDArray[np.float64]

ACTION: Final = "fit the lifetimes"
GAUSSIAN: Final = "gaussian"
_RATE: Final = "repetition_rate_hz"
_NS_PER_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Photons:
    """Photons in even bins.

    Parameters
    ----------
    traces : Traces
        Photon counts, NaN for gaps, over the left edges of the bins [ns].
    width : float
        Of a bin [ns].
    gain : float
        Counts per photon.
    known : bool
        True where a count is a number of photons, so that its variance is known.
    """

    traces: Traces
    width: float
    gain: float
    known: bool

    @property
    def start(self) -> float:
        """Left edge of the first bin [ns]."""
        return float(self.traces.x[0])

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self.traces.x.size)


def read_photons(decay: xr.Dataset | xr.DataArray) -> Photons:
    """Check a decay and count its photons.

    Parameters
    ----------
    decay : xarray.Dataset or xarray.DataArray
        ``intensity`` (…, delay) [counts], with ``noise_gain`` where it is known.
    """
    array = _pick(decay, "the decay")
    found = str(array.attrs.get("units", names.unit(INTENSITY)))
    if names.normalise_unit(found) != names.unit(INTENSITY):
        raise UnitsError(
            ACTION,
            f"'{array.name or INTENSITY}' has units '{found}', not '{names.unit(INTENSITY)}'",
            "Give the counts as they were measured: their noise follows from them.",
        )
    traces = stack_traces(array, DELAY, None, ACTION)
    width = _even_width(traces.x, "the decay")
    if np.nanmin(traces.signal, initial=0.0) < 0.0:
        n = int(np.sum(traces.signal < 0.0))
        raise DataError(
            ACTION,
            f"{n} counts are negative, not numbers of photons",
            "Give the trace before its background was subtracted: the fit finds the background.",
        )
    gain = _gain(decay)
    known = gain is not None or _are_whole(traces.signal)
    if not known:
        warnings.warn(
            "The counts are not whole numbers and no 'noise_gain' is given: their noise is not known, and σ is "
            "scaled by √(reduced χ²).",
            PlkitWarning,
            stacklevel=3,
        )
    if gain is not None and gain != 1.0:
        traces = _with_signal(traces, traces.signal / gain)
    return Photons(traces, width, gain or 1.0, known)


def _pick(data: xr.Dataset | xr.DataArray, what: str) -> xr.DataArray:
    """Array of counts over delay [ns]."""
    if isinstance(data, xr.Dataset):
        if INTENSITY not in data:
            found = ", ".join(map(str, data.data_vars)) or "nothing"
            raise DataError(
                ACTION,
                f"{what} holds {found}, not the required {INTENSITY}",
                "Pass one array, or rename the measured variable.",
            )
        array = data[INTENSITY]
    elif isinstance(data, xr.DataArray):
        array = data
    else:
        raise DataError(
            ACTION,
            f"{what} is a {type(data).__name__}, not an xarray object",
            "Read it with plkit.read, or label the numbers: xr.DataArray(values, dims=...).",
        )
    require_dims(array, [DELAY], ACTION, what)
    if DELAY not in array.coords:
        raise DataError(
            ACTION,
            f"dimension '{DELAY}' of {what} has no coordinate values",
            f'Add them: data.assign_coords({DELAY}=("{DELAY}", ns, {{"units": "{names.unit(DELAY)}"}})).',
        )
    return array.assign_coords({DELAY: require_unit(array[DELAY], DELAY, ACTION)})


def _even_width(x: Floats, what: str) -> float:
    if x.size < 2:
        raise DataError(ACTION, f"{what} has {x.size} bin along '{DELAY}', not at least 2")
    width = float((x[-1] - x[0]) / (x.size - 1))
    off = np.max(np.abs(x - x[0] - width * np.arange(x.size)))
    if not width > 0.0 or off > 0.1 * width or np.any(np.diff(x) <= 0.0):
        raise DataError(
            ACTION,
            f"the bins of {what} are not even: '{DELAY}' steps by {np.min(np.diff(x)):g} to "
            f"{np.max(np.diff(x)):g} {names.unit(DELAY)}",
            "Give the histogram as the counter recorded it.",
        )
    return width


def _gain(decay: xr.Dataset | xr.DataArray) -> float | None:
    if not isinstance(decay, xr.Dataset):
        return None
    floor = decay.get(NOISE_FLOOR)
    if floor is not None and bool((floor > 0).any()):
        raise DataError(
            ACTION,
            f"'{NOISE_FLOOR}' is {float(floor.max()):g}, not 0: counts with read noise are not Poisson",
            f"Drop it where it is small against the counts: ds.drop_vars('{NOISE_FLOOR}').",
        )
    gain = decay.get(NOISE_GAIN)
    if gain is None:
        return None
    gain = require_unit(gain, NOISE_GAIN, ACTION)
    if gain.ndim or not float(gain) > 0.0:
        raise DataError(
            ACTION,
            f"'{NOISE_GAIN}' is {'an array' if gain.ndim else f'{float(gain):g}'}, not one positive number",
        )
    return float(gain)


def _are_whole(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return bool(np.all(finite == np.round(finite)))


def _with_signal(traces: Traces, signal: Floats) -> Traces:
    return Traces(traces.x, signal, None, traces.outer, traces.dim, traces.unit, traces.x_unit)


def within_window(
    photons: Photons, window: tuple[float, float] | None, has_response: bool, period_ns: float
) -> Photons:
    """Bins whose middle lies in the window.

    Parameters
    ----------
    photons : Photons
        All bins.
    window : tuple of float or None
        Start and stop [ns]; None takes all bins, or those from the maximum on where there is no
        response.
    has_response : bool
        False where the fit begins behind the pulse.
    period_ns : float
        Time between two pulses [ns], or 0: what lies beyond it is a bin that was open for a part.
    """
    x = photons.traces.x
    middle = x + 0.5 * photons.width
    inside = np.ones(x.size, dtype=bool)
    if window is not None:
        start, stop = _two_numbers(window)
        inside &= (middle >= start) & (middle < stop)
    elif not has_response:
        inside &= x >= x[int(np.argmax(np.nansum(photons.traces.signal, axis=0)))]
    if period_ns > 0.0:
        beyond = x + photons.width > x[0] + period_ns + 0.01 * photons.width
        if beyond.sum() <= 1:
            inside &= ~beyond
        elif float(np.ptp(x[inside], axis=None) if inside.any() else 0.0) > period_ns:
            raise DataError(
                ACTION,
                f"the record lasts {x.size * photons.width:g} ns, longer than the {period_ns:g} ns between two pulses",
                f"Give a window within one period, or {_RATE}=0 for a single pulse.",
            )
    if inside.sum() < 2:
        raise DataError(
            ACTION,
            f"the window {window} ns holds {int(inside.sum())} of the bins from {x[0]:g} to {x[-1]:g} ns",
            "Give start and stop in ns on the axis of the data.",
        )
    part = Traces(
        x[inside], photons.traces.signal[:, inside], None, photons.traces.outer, DELAY,
        photons.traces.unit, photons.traces.x_unit,
    )  # fmt: skip
    return Photons(part, photons.width, photons.gain, photons.known)


def _two_numbers(window: Any) -> tuple[float, float]:
    try:
        start, stop = (float(v) for v in window)
    except (TypeError, ValueError):
        raise DataError(
            ACTION, f"'window' is {window!r}, not (start, stop) in ns", "Give two numbers."
        ) from None
    if not start < stop:
        raise DataError(ACTION, f"'window' is ({start:g}, {stop:g}), not start before stop")
    return start, stop


def pulse_period(decay: xr.Dataset | xr.DataArray, rate_hz: float | None) -> float:
    """Time between two pulses [ns], 0 where there is one or where nobody states it.

    Parameters
    ----------
    decay : xarray.Dataset or xarray.DataArray
        May state ``repetition_rate_hz``.
    rate_hz : float or None
        Goes before what the data state; 0 for a single pulse.
    """
    stated: Any = decay.attrs.get(_RATE, 0.0) if rate_hz is None else rate_hz
    try:
        rate = float(stated)
    except (TypeError, ValueError):
        rate = -1.0
    if not (np.isfinite(rate) and rate >= 0.0):
        raise DataError(
            ACTION,
            f"'{_RATE}' is {stated!r}, not a number of pulses per second",
            "Give 0 for a single pulse.",
        )
    return _NS_PER_S / rate if rate > 0.0 else 0.0


def response_from(irf: Any, photons: Photons) -> Response:
    """Response of the instrument, in bins of the data.

    Parameters
    ----------
    irf : None, float, "gaussian", xarray.DataArray or xarray.Dataset
        As in :func:`plkit.fit_lifetimes`.
    photons : Photons
        Bins that are fitted.
    """
    if irf is None:
        return Response()
    if isinstance(irf, str):
        if irf != GAUSSIAN:
            raise DataError(
                ACTION,
                f"'irf' is '{irf}', not '{GAUSSIAN}', a width in ns, or a measured response",
                f'Use irf="{GAUSSIAN}" to fit its width.',
            )
        return Response(GAUSSIAN)
    if isinstance(irf, (int, float)) and not isinstance(irf, bool):
        if not (np.isfinite(irf) and irf > 0.0):
            raise DataError(ACTION, f"'irf' is {irf:g} ns, not a positive width")
        return Response(GAUSSIAN, sigma=max(float(irf) / FWHM_PER_SIGMA / photons.width, 0.1))
    if not isinstance(irf, (xr.Dataset, xr.DataArray)):
        raise DataError(
            ACTION,
            f"'irf' is a {type(irf).__name__}, not a width in ns or a measured response",
            "Pass a decay of scattered light, read with plkit.read.",
        )
    return _measured_response(irf, photons)


def _measured_response(irf: xr.Dataset | xr.DataArray, photons: Photons) -> Response:
    array = _pick(irf, "the response")
    if array.dims != (DELAY,):
        raise DataError(
            ACTION,
            f"the response has dims {', '.join(map(str, array.dims))}, not {DELAY} alone",
            "Select one response.",
        )
    traces = stack_traces(array, DELAY, None, ACTION)
    h = traces.signal[0]
    if not np.all(np.isfinite(h)):
        raise DataError(
            ACTION, f"the response has {int(np.sum(~np.isfinite(h)))} bins without number"
        )
    width = _even_width(traces.x, "the response")
    if abs(width / photons.width - 1.0) * h.size > 0.5:
        raise DataError(
            ACTION,
            f"the response has bins of {width:g} ns, not {photons.width:g} ns as the decay",
            "Measure both with the same settings.",
        )
    total = float(h.sum())
    if not total > 0.0:
        raise DataError(ACTION, f"the response holds {total:g} counts, not a pulse")
    tenth = max(h.size // 10, 1)
    level = min(float(h[:tenth].mean()), float(h[-tenth:].mean())) * h.size / total
    if level > 0.02:
        warnings.warn(
            f"A constant level makes {100 * level:.0f} % of the response, as if the pulse came at all times: "
            "subtract the mean of the bins before the pulse.",
            PlkitWarning,
            stacklevel=4,
        )
    used = np.flatnonzero(h)
    start = (traces.x[0] - photons.start) / photons.width + int(used[0])
    return Response("histogram", h[used[0] : used[-1] + 1] / total, float(start))


def fixed_background(background: Any, photons: Photons) -> Floats | None:
    """Photons per bin and trace that are known, or None where a constant is to be fitted.

    Parameters
    ----------
    background : {"constant", "none"}, float or xarray.DataArray
        As in :func:`plkit.fit_lifetimes`.
    photons : Photons
        What is fitted.
    """
    outer = photons.traces.outer
    if isinstance(background, str):
        if background == "constant":
            return None
        if background == "none":
            return np.zeros(photons.traces.rows)
        raise DataError(
            ACTION,
            f"'background' is '{background}', not constant, none, a number or an array",
            'Use background="constant".',
        )
    if isinstance(background, xr.DataArray):
        extra = [str(d) for d in background.dims if d not in outer.dims]
        if extra:
            raise DataError(
                ACTION,
                f"'background' runs over {', '.join(extra)}, not over {', '.join(map(str, outer.dims)) or 'nothing'}",
                "Give counts per bin, one number for each trace.",
            )
        try:
            aligned, like = xr.align(background, outer, join="exact")
        except ValueError:
            raise DataError(
                ACTION, "'background' has other coordinates than the decay", "Select both alike."
            ) from None
        values = np.asarray(aligned.broadcast_like(like).transpose(*like.dims).values, float)
    else:
        try:
            values = np.full(outer.shape, float(background))
        except (TypeError, ValueError):
            raise DataError(ACTION, f"'background' is {background!r}, not counts per bin") from None
    flat = values.reshape(-1) / photons.gain
    if not np.all(flat >= 0.0):
        raise DataError(ACTION, "'background' is negative or NaN, not counts per bin")
    return flat
