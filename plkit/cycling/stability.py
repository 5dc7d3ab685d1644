"""Whether a film stays as it is: drift per hour, and a verdict."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.names import COMPONENT, ENERGY, INTENSITY, TIME, WAVELENGTH
from plkit.physics.photons import energy_from_wavelength
from plkit.schema import add_history, require_dims, require_unit, spectral_dim

__all__ = ["StabilityThresholds", "StabilityVerdict", "drift_per_hour", "stability_verdict"]

Array = NDArray[np.float64]
_ACTION: Final = "judge the stability"
_HOUR_S: Final = 3600.0
_FEWEST: Final = 6
_BLOCKS: Final = 40
"""A series is averaged to this many blocks, each longer than noise remembers."""


def drift_per_hour(
    ds: xr.Dataset, fractions: xr.Dataset | None = None, component: str | None = None
) -> xr.Dataset:
    """Drift of intensity, mean photon energy and emission fraction, per hour.

    Parameters
    ----------
    ds : xarray.Dataset
        ``intensity`` (time, λ) [counts], corrected for dark; other dims are averaged.
    fractions : xarray.Dataset, optional
        Result of :func:`plkit.unmix` of the same series.
    component : str, optional
        Whose fraction; the last one by default.

    Returns
    -------
    xarray.Dataset
        ``intensity_drift`` [1/h], relative to the mean; ``energy_drift`` [eV/h], of the mean photon
        energy; with fractions ``fraction_drift`` [1/h]; each with ``_stderr``.

    Raises
    ------
    DataError
        If there are fewer than six frames, or no light.

    Notes
    -----
    Straight lines by least squares through block means, so that noise with a memory shorter than a
    block (a fortieth of the series) enters σ fully; σ from the residuals, which also hold what is
    not a straight line.

    Examples
    --------
    >>> t = np.arange(0.0, 3600.0, 2.0)
    >>> rng = np.random.default_rng(0)
    >>> light = 1000 * (1 - 0.02 * t / 3600) + rng.normal(0, 5, t.size)
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), np.outer(light, [0.2, 0.5, 0.3]))},
    ...                 {"time": ("time", t, {"units": "s"}),
    ...                  "wavelength": ("wavelength", [600.0, 620.0, 640.0], {"units": "nm"})})
    >>> found = drift_per_hour(ds)
    >>> print(f"{float(found.intensity_drift):.3f} ± {float(found.intensity_drift_stderr):.3f} per hour")
    -0.020 ± 0.000 per hour
    """
    if INTENSITY not in ds:
        raise DataError(_ACTION, f"the dataset holds no {INTENSITY}")
    dim = spectral_dim(ds[INTENSITY], _ACTION)
    require_dims(ds[INTENSITY], [TIME], _ACTION)
    if TIME not in ds.coords:
        raise DataError(_ACTION, "the series has no times", "Assign the coordinate.")
    t = np.asarray(require_unit(ds[TIME], TIME, _ACTION).values, dtype=float)
    others = [d for d in ds[INTENSITY].dims if d not in (TIME, dim)]
    spectra = ds[INTENSITY].astype(float)
    spectra = (spectra.mean(others) if others else spectra).transpose(TIME, dim)
    good = np.isfinite(spectra.values).all(axis=0)
    counts = spectra.values[:, good]
    if t.size < _FEWEST or counts.size == 0:
        raise DataError(
            _ACTION, f"the series has {t.size} frames, not at least {_FEWEST} with light"
        )
    light = counts.sum(axis=1)
    if not light.mean() > 0:
        raise DataError(
            _ACTION, "the mean intensity is not positive", "Subtract a dark that belongs to it."
        )
    out = {"intensity_drift": _slope(t, light / light.mean())}
    if dim in (WAVELENGTH, ENERGY):
        axis = require_unit(ds[dim], dim, _ACTION).values[good]
        energy = axis if dim == ENERGY else energy_from_wavelength(axis)
        # Light so weak that a frame's sum is zero or less has no mean energy.
        lit = light > 0.05 * light.mean()
        mean = counts[lit] @ energy / light[lit]
        out["energy_drift"] = _slope(t[lit], mean)
    if fractions is not None:
        trace = _fraction(fractions, component)
        out["fraction_drift"] = _slope(t, trace)
    data = {}
    for name, (value, sigma) in out.items():
        data[name] = ((), value, names.attrs(name))
        data[names.stderr_name(name)] = ((), sigma, names.attrs(names.stderr_name(name)))
    return add_history(xr.Dataset(data), "drift_per_hour()")


def _fraction(fractions: xr.Dataset, component: str | None) -> Array:
    if "fraction" not in fractions or not {COMPONENT, TIME} <= set(fractions["fraction"].dims):
        raise DataError(
            _ACTION,
            "'fractions' holds no fraction over component and time",
            "Pass the result of plkit.unmix.",
        )
    known = [str(c) for c in fractions[COMPONENT].values]
    name = known[-1] if component is None else component
    if name not in known:
        raise DataError(_ACTION, f"'component' is {name!r}, not one of {', '.join(known)}")
    trace = fractions["fraction"].sel({COMPONENT: name})
    others = [d for d in trace.dims if d != TIME]
    return np.asarray((trace.mean(others) if others else trace).values, dtype=float)


def _slope(t: Array, y: Array) -> tuple[float, float]:
    """Slope per hour with σ, from block means."""
    keep = np.isfinite(y) & np.isfinite(t)
    t, y = t[keep], y[keep]
    blocks = np.array_split(np.arange(t.size), min(_BLOCKS, t.size))
    x = np.array([t[b].mean() for b in blocks]) / _HOUR_S
    z = np.array([y[b].mean() for b in blocks])
    if x.size < 3 or np.ptp(x) == 0:
        return float("nan"), float("nan")
    x = x - x.mean()
    slope = float(x @ z / (x @ x))
    rest = z - z.mean() - slope * x
    sigma = float(np.sqrt(rest @ rest / (x.size - 2) / (x @ x)))
    return slope, sigma


@dataclass(frozen=True, slots=True)
class StabilityThresholds:
    """What a film may do and still be called stable.

    Parameters
    ----------
    max_intensity_drift_per_h : float
        Relative change of the intensity [1/h].
    max_energy_drift_ev_per_h : float
        Change of the mean photon energy [eV/h].
    max_fraction : float
        Emission fraction of the segregated phase in the last tenth of the series [1].
    min_sigma : float
        How many σ a drift or a fraction has to be beyond its threshold to be called so, or within
        to be called stable.

    Examples
    --------
    >>> StabilityThresholds().max_fraction
    0.05
    """

    max_intensity_drift_per_h: float = 0.05
    max_energy_drift_ev_per_h: float = 0.005
    max_fraction: float = 0.05
    min_sigma: float = 2.0


@dataclass(frozen=True, slots=True)
class StabilityVerdict:
    """Whether a film is stable, why it is called so, and the numbers behind it.

    Parameters
    ----------
    label : {"stable", "drifting", "segregated", "not decided"}
        "not decided": the record is too short or too noisy for the thresholds.
    reason : str
        One sentence with the numbers.
    measures : dict of str to float
        Drifts with σ, and the fraction at the end.
    thresholds : StabilityThresholds
        Those that were used.

    Examples
    --------
    >>> StabilityVerdict("stable", "nothing drifts").measures
    {}
    """

    label: Literal["stable", "drifting", "segregated", "not decided"]
    reason: str
    measures: dict[str, float] = field(default_factory=dict)
    thresholds: StabilityThresholds = field(default_factory=StabilityThresholds)


def stability_verdict(
    ds: xr.Dataset,
    fractions: xr.Dataset | None = None,
    component: str | None = None,
    *,
    thresholds: StabilityThresholds | None = None,
) -> StabilityVerdict:
    """Say whether a film under light and heat stays as it is.

    Parameters
    ----------
    ds : xarray.Dataset
        ``intensity`` (time, λ) [counts], corrected for dark.
    fractions : xarray.Dataset, optional
        Result of :func:`plkit.unmix` of the same series.
    component : str, optional
        The segregated phase; the last component by default.
    thresholds : StabilityThresholds, optional
        What counts as stable.

    Returns
    -------
    StabilityVerdict
        ``label``, ``reason``, ``measures``, ``thresholds``.

    Raises
    ------
    DataError
        As :func:`drift_per_hour`.

    Examples
    --------
    >>> from plkit.sim import CyclingEmission, Detector, HeaterProtocol, thermal_cycling
    >>> light = CyclingEmission(detector=Detector(offset_counts=20.0, cosmic_rate_per_s=0.0))
    >>> ds = thermal_cycling(HeaterProtocol(0.5, 5.0, 1200.0), emission=light)
    >>> ds["intensity"] = ds.intensity - 20.5
    >>> stability_verdict(ds.sel(time=slice(200, None))).label
    'stable'
    """
    limits = thresholds or StabilityThresholds()
    drift = drift_per_hour(ds, fractions, component)
    measures = {str(k): float(v) for k, v in drift.data_vars.items()}
    findings: list[tuple[str, float, float, float, str]] = []
    for name, limit, unit in (
        ("intensity_drift", limits.max_intensity_drift_per_h, "per hour"),
        ("energy_drift", limits.max_energy_drift_ev_per_h, "eV per hour"),
    ):
        if name in drift:
            value, sigma = measures[name], measures[f"{name}_stderr"]
            what = names.attrs(name)["long_name"].lower()
            findings.append((what, value, sigma, limit, unit))
    if fractions is not None:
        trace = _fraction(fractions, component)
        trace = trace[np.isfinite(trace)]
        end = trace[-max(_FEWEST, trace.size // 10) :]
        value, sigma = float(end.mean()), float(end.std(ddof=1) / np.sqrt(end.size))
        measures.update(final_fraction=value, final_fraction_stderr=sigma)
        if value - limits.min_sigma * sigma > limits.max_fraction:
            reason = (
                f"the segregated phase emits {_number(value, sigma)} of the light at the end, "
                f"more than {limits.max_fraction:g}"
            )
            return StabilityVerdict("segregated", reason, measures, limits)
        findings.append(("final fraction", value, sigma, limits.max_fraction, ""))
    label, reason = _judge(findings, limits)
    if label == "not decided":
        warnings.warn(f"stability not decided: {reason}", PlkitWarning, stacklevel=2)
    return StabilityVerdict(label, reason, measures, limits)


def _number(value: float, sigma: float) -> str:
    digits = 2 if not sigma > 0 else int(min(max(1 - np.floor(np.log10(sigma)), 0), 6))
    return f"{value:.{digits}f} ± {sigma:.{digits}f}"


def _judge(
    findings: list[tuple[str, float, float, float, str]], limits: StabilityThresholds
) -> tuple[Literal["stable", "drifting", "not decided"], str]:
    said = "; ".join(f"{what} {_number(v, s)} {unit}".strip() for what, v, s, _, unit in findings)
    for what, value, sigma, limit, unit in findings:
        if abs(value) - limits.min_sigma * sigma > limit:
            return (
                "drifting",
                f"{what} {_number(value, sigma)} {unit}, more than {limit:g}".replace(" ,", ","),
            )
    for what, value, sigma, limit, unit in findings:
        if not abs(value) + limits.min_sigma * sigma <= limit:
            text = f"{what} {_number(value, sigma)} {unit} may be on either side of {limit:g}"
            return "not decided", text.replace("  ", " ")
    return "stable", said
