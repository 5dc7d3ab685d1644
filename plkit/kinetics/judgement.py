"""What happened to a film: reconstruction, segregation, recovery, or nothing that can be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.kinetics.change import (
    MIN_FRAMES,
    SpectralChange,
    block_means,
    block_size,
    scatter,
    spectral_change,
)
from plkit.names import AT_S, COMPONENT, POWER, TIME

__all__ = ["Verdict", "VerdictThresholds", "verdict"]

_ACTION: Final = "give a verdict"
_PRISTINE: Final = "pristine"

Label = Literal["reconstruction", "segregation", "recovery", "none"]


@dataclass(frozen=True, slots=True)
class VerdictThresholds:
    """What a change has to exceed to be called one.

    Parameters
    ----------
    min_moved_share : float
        Share of the light that has to change its energy [1].
    min_conversion : float
        Growth of an emission fraction that is asked for, where fractions are given [1].
    min_sigma : float
        Both in units of their σ, which contains the scatter between frames.
    min_peak_drift_ev : float
        Drift of the peak [eV], by which a shift is told from heating, which moves a line by some meV ...
    min_separation_widths : float
        ... or distance between what grows and what falls, in widths (FWHM) of the line. A line
        that only shifts a little has 1.06.

    Examples
    --------
    >>> VerdictThresholds(min_moved_share=0.1).min_sigma
    5.0
    """

    min_moved_share: float = 0.05
    min_conversion: float = 0.05
    min_sigma: float = 5.0
    min_peak_drift_ev: float = 0.015
    min_separation_widths: float = 1.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened, why it is called so, and the numbers behind it.

    Parameters
    ----------
    label : {"reconstruction", "segregation", "recovery", "none"}
        - reconstruction: a band at higher energy grows under light at the expense of the old one;
        - segregation: a band at lower energy grows under light;
        - recovery: in the dark the light of the pristine film comes back;
        - none: no change beyond the thresholds.
    reason : str
        One sentence with the numbers.
    measures : dict of str to float
        Names carry the unit: shares and numbers of σ [1], energies [eV].
    thresholds : VerdictThresholds
        Those that were used.
    """

    label: Label
    reason: str
    measures: dict[str, float] = field(default_factory=dict)
    thresholds: VerdictThresholds = field(default_factory=VerdictThresholds)

    def __str__(self) -> str:
        """Return the verdict as one sentence."""
        return f"{self.label}: {self.reason}"


def verdict(
    ds: xr.Dataset,
    frac: xr.Dataset | None = None,
    kin: xr.Dataset | None = None,
    *,
    dark: bool | None = None,
    thresholds: VerdictThresholds | None = None,
) -> Verdict:
    """Say what happened to a film in one series of spectra.

    Parameters
    ----------
    ds : xarray.Dataset
        ``intensity`` (time, λ) [counts], despiked, without laser light; with ``power`` too, the
        power with the strongest change is judged. Other dims are averaged.
    frac : xarray.Dataset, optional
        Result of :func:`plkit.unmix`: then the growth of a fraction has to be significant as well.
    kin : xarray.Dataset, optional
        Result of :func:`plkit.fit_kinetics`: adds rate and conversion to the measures.
    dark : bool, optional
        True for a series in the dark. By default ``ds.attrs["illumination"] == "dark"``, or, where
        that is not stated, whether the component named "pristine" grows.
    thresholds : VerdictThresholds, optional
        What a change has to exceed.

    Returns
    -------
    Verdict
        ``label``, ``reason``, ``measures``, ``thresholds``.

    Raises
    ------
    DataError
        If there is no time, no spectral axis of light, or fractions of another series.

    Notes
    -----
    Every frame is divided by its light: brightening and bleaching alone are "none". A change is
    real if the share of the light that moved (the largest distance between the cumulative spectra of
    first and last frames) exceeds ``min_moved_share`` and ``min_sigma`` σ, and if either the peak
    drifts by ``min_peak_drift_ev`` (and ``min_sigma`` σ) or what grows lies
    ``min_separation_widths`` line widths from what falls. σ comes from the scatter between
    successive frames. To the blue under light is reconstruction, to the red segregation; in the
    dark, whatever brings the pristine emission back is recovery.

    Examples
    --------
    >>> from plkit.physics.lineshapes import gaussian
    >>> e, t = np.linspace(2.0, 2.7, 141), np.arange(60.0)
    >>> share = 0.7 * (1 - np.exp(-t / 20))[:, None]
    >>> y = 10 * ((1 - share) * gaussian(e, 2.28, 0.07) + share * gaussian(e, 2.42, 0.08))
    >>> y += np.random.default_rng(1).normal(0, 0.5, y.shape)
    >>> ds = xr.Dataset({"intensity": (("time", "energy"), y, {"units": "counts"})},
    ...                 {"time": ("time", t, {"units": "s"}), "energy": ("energy", e, {"units": "eV"})})
    >>> verdict(ds).label
    'reconstruction'
    """
    limits = thresholds or VerdictThresholds()
    if not isinstance(ds, xr.Dataset):
        raise DataError(_ACTION, f"the data is a {type(ds).__name__}, not an xarray.Dataset")
    if dark is None and "illumination" in ds.attrs:
        dark = str(ds.attrs["illumination"]) == "dark"
    if POWER not in ds.dims:
        return _judge(ds, frac, kin, dark, limits)
    results = []
    for i in range(ds.sizes[POWER]):
        parts = [None if d is None else _at_power(d, i, ds.sizes[POWER]) for d in (frac, kin)]
        one = _judge(ds.isel({POWER: i}), parts[0], parts[1], dark, limits)
        if POWER in ds.coords:
            one.measures["power_uw"] = float(ds[POWER].values[i])
        results.append(one)
    # The strongest of what was found; where nothing was found, the strongest of all.
    found = [r for r in results if r.label != "none"] or results
    best = max(found, key=_strength)
    if len(results) == 1:
        return best
    where = f" at {best.measures['power_uw']:g} µW" if "power_uw" in best.measures else ""
    agree = sum(r.label == best.label for r in results)
    reason = f"{best.reason}{where}; {agree} of {len(results)} powers say {best.label}"
    return Verdict(best.label, reason, best.measures, limits)


def _at_power(ds: xr.Dataset, index: int, size: int) -> xr.Dataset:
    if POWER not in ds.dims:
        return ds
    if ds.sizes[POWER] != size:
        raise DataError(
            _ACTION,
            f"the results have {ds.sizes[POWER]} powers, not {size} as the spectra",
            "Pass spectra, fractions and kinetics of one series.",
        )
    return ds.isel({POWER: index})


def _strength(result: Verdict) -> float:
    value = abs(result.measures.get("moved_share", np.nan))
    return value if np.isfinite(value) else -1.0


def _judge(
    ds: xr.Dataset,
    frac: xr.Dataset | None,
    kin: xr.Dataset | None,
    dark: bool | None,
    limits: VerdictThresholds,
) -> Verdict:
    """Verdict on one series."""
    change = spectral_change(ds, _ACTION)
    measures = _measures(change)
    if change.n_frames < MIN_FRAMES:
        reason = f"{change.n_frames} frames with light are too few to tell a change from noise"
        return Verdict("none", reason, measures, limits)
    grower = ""
    if frac is not None:
        grower, growth = _growth(frac)
        measures.update(growth)
    if kin is not None:
        measures.update(_rates(kin))
    doubt = _doubt(change, measures, limits)
    if doubt:
        return Verdict("none", doubt, measures, limits)
    what = (
        f"{_percent(abs(change.moved))} of the light has moved to {'higher' if change.moved > 0 else 'lower'} "
        f"energy ({measures['moved_sigma']:.0f} σ), from {change.lost_ev:.3f} to "
        f"{change.gained_ev:.3f} eV; the peak went from {change.peak_start_ev:.3f} to "
        f"{change.peak_end_ev:.3f} eV"
    )
    if grower:
        what += f"; '{grower}' grew by {_percent(measures['growth'])}"
    return Verdict(*_named(change, grower, dark, what), measures, limits)


def _percent(share: float, digits: int = 0, *, sign: bool = False) -> str:
    return f"{100 * share:{'+' if sign else ''}.{digits}f} %"


def _doubt(change: SpectralChange, measures: dict[str, float], limits: VerdictThresholds) -> str:
    """Why a change is none; empty where it is one."""
    moved = (
        f"{_percent(change.moved, 1, sign=True)} ± {_percent(change.moved_stderr, 1)} of the light "
        f"has changed its energy (+ to the blue), and the peak drifts by {1e3 * change.drift_ev:+.1f} ± "
        f"{1e3 * change.drift_stderr_ev:.1f} meV"
    )
    if not (
        abs(change.moved) >= limits.min_moved_share
        and abs(change.moved) >= limits.min_sigma * change.moved_stderr
    ):
        return f"{moved}: below {_percent(limits.min_moved_share)} or {limits.min_sigma:g} σ"
    drifts = abs(change.drift_ev) >= max(
        limits.min_peak_drift_ev, limits.min_sigma * change.drift_stderr_ev
    )
    apart = abs(change.gained_ev - change.lost_ev) >= limits.min_separation_widths * change.width_ev
    if not (drifts or apart):
        return (
            f"{moved}: below {1e3 * limits.min_peak_drift_ev:g} meV, and what grows lies "
            f"{1e3 * abs(change.gained_ev - change.lost_ev):.0f} meV from what falls, less than "
            f"{limits.min_separation_widths:g} line widths: a line that shifts or changes its width"
        )
    if "growth" in measures and not (
        measures["growth"] >= limits.min_conversion and measures["growth_sigma"] >= limits.min_sigma
    ):
        return (
            f"{moved}, but no fraction grows by more than {_percent(measures['growth'], 1)} "
            f"({measures['growth_sigma']:.1f} σ): below {_percent(limits.min_conversion)} or "
            f"{limits.min_sigma:g} σ, the references do not show this change"
        )
    return ""


def _named(change: SpectralChange, grower: str, dark: bool | None, what: str) -> tuple[Label, str]:
    """Name of a real change."""
    returns = grower == _PRISTINE
    if dark or (dark is None and returns):
        if returns or change.side == "blue":
            why = f"'{_PRISTINE}' comes back" if returns else "in the dark"
            return "recovery", f"{why}: {what}"
        return "none", f"in the dark the emission moves to the red, which is no recovery: {what}"
    if change.side == "blue":
        assumed = "" if dark is False or grower else " (taken to be under light)"
        return "reconstruction", f"a band at higher energy grows{assumed}: {what}"
    return "segregation", f"a band at lower energy grows: {what}"


# Measures -----------------------------------------------------------------------------------------


def _measures(change: SpectralChange) -> dict[str, float]:
    with np.errstate(divide="ignore", invalid="ignore"):
        moved_sigma = float(np.abs(change.moved) / np.float64(change.moved_stderr))
        drift_sigma = float(np.abs(change.drift_ev) / np.float64(change.drift_stderr_ev))
    return {
        "n_frames": float(change.n_frames),
        "moved_share": change.moved,
        "moved_share_stderr": change.moved_stderr,
        "moved_sigma": moved_sigma,
        "gained_energy_ev": change.gained_ev,
        "lost_energy_ev": change.lost_ev,
        "peak_energy_start_ev": change.peak_start_ev,
        "peak_energy_end_ev": change.peak_end_ev,
        "peak_drift_ev": change.drift_ev,
        "peak_drift_stderr_ev": change.drift_stderr_ev,
        "peak_drift_sigma": drift_sigma,
        "peak_width_ev": change.width_ev,
        "brightness_ratio": change.brightness,
    }


def _growth(frac: xr.Dataset) -> tuple[str, dict[str, float]]:
    """Component whose fraction grows most, and by how much."""
    if "fraction" not in frac or not {COMPONENT, TIME} <= set(frac["fraction"].dims):
        raise DataError(
            _ACTION,
            f"'frac' holds {', '.join(map(str, frac.data_vars)) or 'nothing'}, not a fraction over "
            f"{COMPONENT} and {TIME}",
            "Pass the result of plkit.unmix.",
        )
    fraction = frac["fraction"].sortby(TIME) if TIME in frac.coords else frac["fraction"]
    others = [d for d in fraction.dims if d not in (COMPONENT, TIME)]
    values = (fraction.mean(others) if others else fraction).transpose(COMPONENT, TIME).values
    best, out = "", {"growth": 0.0, "growth_stderr": np.nan, "growth_sigma": 0.0}
    for name, trace in zip(fraction[COMPONENT].values, values, strict=True):
        trace = trace[np.isfinite(trace)]
        if trace.size < MIN_FRAMES:
            continue
        start, end = (float(v) for v in block_means(trace))
        sigma = scatter(trace) * float(np.sqrt(2.0 / block_size(trace.size)))
        if end - start > out["growth"]:
            best = str(name)
            out = {
                "growth": end - start,
                "growth_stderr": sigma,
                "growth_sigma": (end - start) / sigma if sigma > 0 else np.inf,
            }
    return best, out


def _rates(kin: xr.Dataset) -> dict[str, float]:
    """Rate and conversion of a fit, where it is of one series."""
    out = {}
    for name in ("mean_rate", "conversion", "conversion_limit"):
        if name not in kin:
            continue
        value = kin[name].isel({AT_S: -1}) if AT_S in kin[name].dims else kin[name]
        if value.ndim == 0:
            out[name if name != "mean_rate" else "mean_rate_per_s"] = float(value)
    return out
