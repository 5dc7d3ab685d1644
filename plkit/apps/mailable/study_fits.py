"""What a study found about a series of spectra: components under each, fractions over time with their fit."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.apps.view.layers import Layer
from plkit.apps.view.results import Results
from plkit.errors import DataError
from plkit.names import COMPONENT, POWER, TIME
from plkit.plot.kinetics import fitted_curve
from plkit.plot.style import CATEGORICAL, value_text
from plkit.plot.unmixing import component_spectra

__all__ = ["fits_of", "readings_per_frame"]

_GROUPS: Final = {
    "raw": ("unmixed", "kinetics"),
    "recovery_raw": ("recovery_unmixed", "recovery_kinetics"),
}
_SHOWN: Final = (
    "mean_rate", "k1", "k2", "k01", "k02", "plateau", "conversion_limit", "conversion",
)  # fmt: skip
_STATUS: Final = ("ok", "at bound", "not identifiable", "no signal", "failed")
_CURVE_POINTS: Final = 200


def readings_per_frame(results: Results, sample: str, group: str) -> float:
    """Spectra of which each frame of the movie that a study keeps is the mean."""
    ds = results.group(sample, group)
    return ds.sizes[TIME] / ds.sizes["movie_time"] if {TIME, "movie_time"} <= set(ds.dims) else 1.0


def fits_of(results: Results, sample: str, group: str, layer: Layer) -> dict[str, Any] | None:
    """Components and kinetics of a series of spectra, frame by frame of its outer dims.

    Parameters
    ----------
    results : Results
        Of a study.
    sample, group : str
        Of the spectra: ``raw`` or ``recovery_raw``.
    layer : Layer
        The spectra: (power, time, λ) or (time, λ).

    Returns
    -------
    dict or None
        JSON: ``components`` (name, colour, shape over the channels, amplitude over frame and row) and
        ``kinetics`` (one per frame); None where nothing was unmixed.
    """
    unmixed_name, kinetics_name = _GROUPS[group]
    have = set(results.tree[sample].children)
    if unmixed_name not in have or set(layer.outer) - {POWER}:
        return None
    unmixed = results.group(sample, unmixed_name)
    if "fraction" not in unmixed or TIME not in unmixed["fraction"].dims:
        return None
    found: dict[str, Any] = {"kinetics": []}
    if "references" in have:
        refs = results.group(sample, "references")["reference"]
        found["components"] = _components(unmixed, refs, layer)
    kinetics = results.group(sample, kinetics_name) if kinetics_name in have else None
    verdict = results.summary.get("samples", {}).get(sample, {}).get("verdict", "")
    for frame in range(layer.ds.sizes[POWER] if layer.outer else 1):
        at = {POWER: frame} if POWER in unmixed["fraction"].dims else {}
        kin = None
        if kinetics is not None:
            kin = kinetics.isel({POWER: frame}) if POWER in kinetics["k1"].dims else kinetics
        found["kinetics"].append(
            _kinetics(unmixed.isel(at), kin, verdict if group == "raw" else "")
        )
    return found


def _components(unmixed: xr.Dataset, refs: xr.DataArray, layer: Layer) -> list[dict[str, Any]]:
    """Spectra of one unit of each component, and how many of them are in every frame."""
    if (
        layer.spectral not in refs.dims
        or refs.sizes[layer.spectral] != layer.ds.sizes[layer.spectral]
    ):
        return []
    rows = layer.ds.sizes[layer.plane[0]]
    out: list[dict[str, Any]] = []
    fitted = [n for n in ("background_level", "background_tilt") if n in unmixed]
    for name in [str(c) for c in refs[COMPONENT].values] + fitted:
        unit = xr.Dataset({"amplitude": xr.zeros_like(unmixed[COMPONENT], dtype=float)})
        if name in fitted:
            unit["background_level"] = xr.DataArray(float(name == "background_level"))
            unit["background_tilt"] = xr.DataArray(float(name == "background_tilt"))
            amount, part = unmixed[name], "background"
        else:
            unit["amplitude"] = (unmixed[COMPONENT] == name).astype(float)
            amount, part = unmixed["amplitude"].sel({COMPONENT: name}), name
        try:
            shape = component_spectra(unit, refs).sel({COMPONENT: part})
        except DataError:  # a measured background, which the result does not hold
            return []
        dims = [d for d in (POWER, TIME) if d in amount.dims]
        values = amount.transpose(*dims).values.reshape(-1, amount.sizes[TIME])
        out.append(
            {
                "name": part, "shape": _short(shape.values),
                "colour": CATEGORICAL[len(out) % len(CATEGORICAL)],
                # A frame of the movie is the mean of neighbouring spectra, and so are its amounts.
                "amount": [
                    _short(np.array([b.mean() for b in np.array_split(v, rows)])) for v in values
                ],
            }
        )  # fmt: skip
    return out


def _kinetics(unmixed: xr.Dataset, kin: xr.Dataset | None, verdict: str) -> dict[str, Any]:
    fraction = unmixed["fraction"]
    t = fraction[TIME].values.astype(float)
    order = [str(c) for c in fraction[COMPONENT].values]
    falling = str(kin.attrs.get(COMPONENT, order[0])) if kin is not None else order[0]
    order = [falling, *[n for n in order if n != falling]]
    grid = np.linspace(t.min(), t.max(), _CURVE_POINTS)
    curve = spread = np.empty(0)
    if kin is not None and int(kin["fit_status"]) < 3:
        curve, spread = fitted_curve(kin, grid)
    traces = []
    for n, name in enumerate(order):
        one = fraction.sel({COMPONENT: name})
        trace: dict[str, Any] = {
            "name": name, "colour": CATEGORICAL[n % len(CATEGORICAL)], "y": _short(one.values),
        }  # fmt: skip
        # The fit is that of the falling component; of two, the other is what it leaves.
        if curve.size and np.isfinite(curve).all() and (n == 0 or len(order) == 2):
            trace["curve"] = _short(curve if n == 0 else 1.0 - curve)
            trace["spread"] = _short(np.nan_to_num(spread))
        if "fraction_stderr" in unmixed:
            trace["sigma"] = _short(unmixed["fraction_stderr"].sel({COMPONENT: name}).values, 3)
        traces.append(trace)
    numbers = [] if kin is None else _numbers(kin)
    if verdict:
        numbers.append(("", "Verdict", verdict))
    return {
        "x": _short(t), "grid": _short(grid), "traces": traces, "numbers": numbers,
        "x_label": names.label(TIME), "y_label": names.label("fraction"),
    }  # fmt: skip


def _numbers(fit: xr.Dataset) -> list[tuple[str, str, str]]:
    """Symbol, name and value with σ of what a fit of kinetics found."""
    rows = []
    for name in _SHOWN:
        if name not in fit:
            continue
        one = fit[name].squeeze(drop=True)
        if one.ndim:
            continue
        sigma = float(fit[names.stderr_name(name)].squeeze(drop=True))
        title = names.TABLE[name].long_name
        if name == "conversion" and names.AT_S in fit.coords:
            title += f" at {float(np.atleast_1d(fit[names.AT_S].values)[0]):g} s"
        unit = str(fit[name].attrs.get("units", "1"))
        rows.append((names.symbol(name), title, value_text(float(one), sigma, unit)))
    if "redchi" in fit:
        rows.append((names.symbol("redchi"), "Reduced chi-square", f"{float(fit['redchi']):.3f}"))
    rows.append(("", "Status", _STATUS[int(fit["fit_status"])]))
    return rows


def _short(values: NDArray[Any], digits: int = 5) -> list[float | None]:
    """Numbers as JSON takes them; what is none is null."""
    flat = np.asarray(values, dtype=float).ravel()
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in flat]
