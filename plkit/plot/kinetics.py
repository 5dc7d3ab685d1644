"""Figures of what happens in time: fractions with their fit, conversion against power."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.names import AT_S, COMPONENT, COVARIANCE, PARAM_I, PARAM_J, POWER, TIME
from plkit.physics.rates import (
    BIEXPONENTIAL_PARAMETERS,
    biexponential_decay,
    biexponential_gradient,
)
from plkit.plot.panel import (
    Axis,
    Band,
    Layer,
    Line,
    Panel,
    Points,
    Rug,
    axis_of,
    colour_number,
    marker_number,
    named_axis,
    scale_of,
)
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import ascending, reduce_to, require_result, status_text, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fitted_curve", "hv_conversion", "hv_kinetics", "plot_conversion", "plot_kinetics"]

_FITTED = "plkit.fit_kinetics(unmixed)"

_CURVE_POINTS = 400


def fitted_curve(
    kinetics: xr.Dataset, time_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fitted decay and its σ at given times.

    Parameters
    ----------
    kinetics : xarray.Dataset
        Result of :func:`plkit.fit_kinetics` for one trace.
    time_s : numpy.ndarray
        Times [s].

    Returns
    -------
    tuple of numpy.ndarray
        Fraction of the falling component and one σ [1]; σ is NaN where there is no covariance.

    Examples
    --------
    >>> values = dict(k01=0.4, k1=0.04, k02=0.3, k2=0.005, plateau=0.3)
    >>> fitted_curve(xr.Dataset(values), np.array([0.0]))[0].round(6).tolist()
    [1.0]
    """
    p = {n: float(kinetics[n]) if n in kinetics else 0.0 for n in BIEXPONENTIAL_PARAMETERS}
    curve = biexponential_decay(time_s, *(p[n] for n in BIEXPONENTIAL_PARAMETERS))
    if COVARIANCE not in kinetics:
        return curve, np.full_like(curve, np.nan)
    covariance = kinetics[COVARIANCE]
    known = [str(n) for n in covariance[PARAM_I].values if n in BIEXPONENTIAL_PARAMETERS]
    c = covariance.sel({PARAM_I: known, PARAM_J: known}).transpose(PARAM_I, PARAM_J).values
    # A parameter at its bound has no variance of its own: NaN there counts as none.
    c = np.nan_to_num(c, nan=0.0)
    gradient = biexponential_gradient(time_s, p["k01"], p["k1"], p["k02"], p["k2"])
    columns = [BIEXPONENTIAL_PARAMETERS.index(n) for n in known]
    g = np.asarray(gradient)[..., columns]
    return curve, np.sqrt(np.clip(np.einsum("...i,ij,...j->...", g, c, g), 0.0, None))


@styled
def plot_kinetics(unmixed: xr.Dataset, kinetics: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw emission fractions against time with their fit and its σ band.

    Parameters
    ----------
    unmixed : xarray.Dataset
        Result of :func:`plkit.unmix`: ``fraction`` (component, time) [1], with σ.
    kinetics : xarray.Dataset
        Result of :func:`plkit.fit_kinetics` for it. With several powers only the component that
        falls is drawn, coloured by power.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes.

    Raises
    ------
    DataError
        If the fractions do not run over time, or over more than power, component and time.

    Notes
    -----
    With two components the one that grows is 1 minus the one that falls, and so is its fit.

    Examples
    --------
    >>> falls = np.array([1.0, 0.6, 0.5])
    >>> axes = {"component": ["pristine", "bromide"], "time": [0.0, 50.0, 100.0]}
    >>> f = xr.DataArray([falls, 1.0 - falls], axes, ("component", "time"))
    >>> fit = xr.Dataset({"k01": 0.4, "k1": 0.04, "k02": 0.3, "k2": 0.005, "plateau": 0.3})
    >>> ax = plot_kinetics(f.to_dataset(name="fraction"), fit).axes[0]
    >>> float(round(ax.lines[1].get_ydata()[0], 6))  # the fit at time 0
    1.0
    """
    return on_axes(kinetics_panel(unmixed, kinetics), ax)


def hv_kinetics(unmixed: xr.Dataset, kinetics: xr.Dataset) -> Any:
    """Draw for the screen what :func:`plot_kinetics` draws for paper.

    Parameters
    ----------
    unmixed : xarray.Dataset
        Result of :func:`plkit.unmix`: ``fraction`` (component, time) [1], with σ.
    kinetics : xarray.Dataset
        Result of :func:`plkit.fit_kinetics` for it.

    Returns
    -------
    holoviews.Overlay
        Per component: points with σ, the fit and its band.

    Raises
    ------
    DataError
        If the fractions do not run over time, or over more than power, component and time.

    Examples
    --------
    >>> falls = np.array([1.0, 0.6, 0.5])
    >>> axes = {"component": ["pristine", "bromide"], "time": [0.0, 50.0, 100.0]}
    >>> f = xr.DataArray([falls, 1.0 - falls], axes, ("component", "time"))
    >>> fit = xr.Dataset({"k01": 0.4, "k1": 0.04, "k02": 0.3, "k2": 0.005, "plateau": 0.3})
    >>> [type(e).__name__ for e in hv_kinetics(f.to_dataset(name="fraction"), fit)][:2]
    ['Scatter', 'Curve']
    """
    return dress(kinetics_panel(unmixed, kinetics))


def kinetics_panel(unmixed: xr.Dataset, kinetics: xr.Dataset) -> Panel:
    """Fractions as points with σ, fits as lines with bands; over powers the falling one alone."""
    action = "plot the kinetics"
    require_result(unmixed, ("fraction",), action, "plkit.unmix(ds, refs)")
    require_result(kinetics, ("k01", "k1", "k02", "k2"), action, _FITTED)
    fraction = unmixed["fraction"]
    falling = falling_component(fraction, kinetics, action)
    fraction = ascending(fraction, TIME)
    stderr = unmixed.get("fraction_stderr")
    stderr = None if stderr is None else ascending(stderr, TIME)
    if POWER in fraction.dims and fraction.sizes[POWER] > 1:
        one = fraction.sel({COMPONENT: falling})
        error = None if stderr is None else stderr.sel({COMPONENT: falling})
        layers, scale, title = _powers(one, error, kinetics, action)
    else:
        fraction = reduce_to(fraction, {COMPONENT, TIME}, action)
        stderr = None if stderr is None else reduce_to(stderr, {COMPONENT, TIME}, action)
        kinetics = kinetics.squeeze(drop=True) if POWER in kinetics.dims else kinetics
        if kinetics["k1"].ndim:
            several = ", ".join(map(str, kinetics["k1"].dims))
            raise DataError(
                action, f"the fit runs over {several}, and the fractions do not",
                "Select the same series in both.",
            )  # fmt: skip
        layers, scale = _components(fraction, stderr, kinetics, falling), None
        title = f"fit: {status_text(kinetics)}" if status_text(kinetics) else ""
    return Panel(
        named_axis(TIME), named_axis("fraction"), tuple(layers), scale=scale, title=title, tight=True,
        legend="" if scale else "best",
        x_limits=(0.0 if float(fraction[TIME].min()) >= 0 else None, None),
    )  # fmt: skip


def falling_component(fraction: xr.DataArray, kinetics: xr.Dataset, action: str) -> str:
    """Name of the fitted component: stated by the fit, else the one that loses most."""
    if COMPONENT not in fraction.dims or TIME not in fraction.dims:
        found = ", ".join(map(str, fraction.dims)) or "none"
        raise DataError(action, f"'fraction' has the dims {found}, not component and time")
    stated = kinetics.attrs.get(COMPONENT, kinetics.coords.get(COMPONENT))
    components = [str(c) for c in fraction[COMPONENT].values]
    if stated is not None and str(np.asarray(stated)) in components:
        return str(np.asarray(stated))
    change = fraction.isel({TIME: -1}) - fraction.isel({TIME: 0})
    others = [d for d in change.dims if d != COMPONENT]
    return components[int(np.argmin(change.mean(others).values))]


def _components(
    fraction: xr.DataArray, stderr: xr.DataArray | None, kin: xr.Dataset, falling: str
) -> list[Layer]:
    t = fraction[TIME].values.astype(float)
    grid = np.linspace(t.min(), t.max(), _CURVE_POINTS)
    curve, sigma = fitted_curve(kin, grid)
    components = [str(c) for c in fraction[COMPONENT].values]
    layers: list[Layer] = []
    for n, name in enumerate(components):
        colour = colour_number(n)
        values = fraction.sel({COMPONENT: name}).values
        errors = None if stderr is None else stderr.sel({COMPONENT: name}).values
        fitted = bool(np.isfinite(curve).any()) and (len(components) == 2 or name == falling)
        points_label = "" if fitted else name
        layers.append(Points(t, values, errors, colour=colour, label=points_label, size=2.2))
        if fitted:
            fit = curve if name == falling else 1.0 - curve
            layers.append(Line(grid, fit, colour, name, 1.2, y_sigma=sigma))
            layers.append(Band(grid, fit - sigma, fit + sigma, colour))
    return layers


def _powers(
    fraction: xr.DataArray, stderr: xr.DataArray | None, kinetics: xr.Dataset, action: str
) -> tuple[list[Layer], Any, str]:
    fraction = reduce_to(fraction, {POWER, TIME}, action).transpose(POWER, TIME)
    if kinetics.sizes.get(POWER) != fraction.sizes[POWER]:
        raise DataError(
            action, f"the fractions have {fraction.sizes[POWER]} powers and the fit "
            f"{kinetics.sizes.get(POWER, 1)}, not the same", "Select the same series in both.",
        )  # fmt: skip
    error = (
        None if stderr is None else reduce_to(stderr, {POWER, TIME}, action).transpose(POWER, TIME)
    )
    powers = fraction[POWER].values.astype(float)
    scale = scale_of(powers, axis_of(fraction[POWER]), "cividis")
    t = fraction[TIME].values.astype(float)
    grid = np.linspace(t.min(), t.max(), _CURVE_POINTS)
    layers: list[Layer] = []
    failed = 0
    for n, power in enumerate(powers):
        colour, extra = scale.colour(power), ((scale.axis, power),)
        s = None if error is None else error.values[n]
        layers.append(Points(t, fraction.values[n], s, colour=colour, size=1.8, extra=extra))
        curve, sigma = fitted_curve(kinetics.isel({POWER: n}), grid)
        if not np.isfinite(curve).any():
            failed += 1
            continue
        layers.append(Line(grid, curve, colour, "", 0.9, y_sigma=sigma, extra=extra))
        layers.append(Band(grid, curve - sigma, curve + sigma, colour))
    return layers, scale, f"no fit at {failed} of {powers.size} powers" if failed else ""


def by_name(results: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return results by sample; one Dataset, or what is none, has the empty name."""
    if isinstance(results, Mapping) and not isinstance(results, xr.Dataset | xr.DataTree):
        return dict(results) or {"": results}  # type: ignore[dict-item]
    return {"": results}


@styled
def plot_conversion(
    kinetics: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    at_s: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the conversion against laser power, with σ, for one sample or several.

    Parameters
    ----------
    kinetics : xarray.Dataset or mapping of str to xarray.Dataset
        Results of :func:`plkit.fit_kinetics` over powers, by sample.
    at_s : float, optional
        Exposure at which it is read [s]; the last by default.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; bars are one σ.

    Raises
    ------
    DataError
        If there is no power, or no conversion at that exposure.

    Examples
    --------
    >>> kin = xr.Dataset({"conversion": ("power", [0.3, 0.6]),
    ...                   "conversion_stderr": ("power", [0.01, 0.01])}, {"power": [10.0, 80.0]})
    >>> plot_conversion({"x = 1": kin}).axes[0].get_legend_handles_labels()[1]
    ['x = 1']
    """
    return on_axes(conversion_panel(kinetics, at_s), ax)


def hv_conversion(
    kinetics: xr.Dataset | Mapping[str, xr.Dataset], *, at_s: float | None = None
) -> Any:
    """Draw for the screen what :func:`plot_conversion` draws for paper.

    Parameters
    ----------
    kinetics : xarray.Dataset or mapping of str to xarray.Dataset
        Results of :func:`plkit.fit_kinetics` over powers, by sample.
    at_s : float, optional
        Exposure at which it is read [s]; the last by default.

    Returns
    -------
    holoviews.Overlay
        Points with σ, by sample.

    Raises
    ------
    DataError
        If there is no power, or no conversion at that exposure.

    Examples
    --------
    >>> kin = xr.Dataset({"conversion": ("power", [0.3, 0.6]),
    ...                   "conversion_stderr": ("power", [0.01, 0.01])}, {"power": [10.0, 80.0]})
    >>> [e.label for e in hv_conversion({"x = 1": kin}) if e.label]
    ['x = 1']
    """
    return dress(conversion_panel(kinetics, at_s))


def conversion_panel(kinetics: xr.Dataset | Mapping[str, xr.Dataset], at_s: float | None) -> Panel:
    """Conversion as points with σ, by sample; powers without one as grey marks."""
    action = "plot the conversion"
    exposures = set()
    layers: list[Layer] = []
    missing: list[float] = []
    lowest = 0.0
    for n, (name, given) in enumerate(by_name(kinetics).items()):
        kin = require_result(given, ("conversion", "conversion_stderr"), action, _FITTED)
        if POWER not in kin["conversion"].coords:
            raise DataError(action, "the fit has no coordinate 'power', not even one value")
        kin = kin.expand_dims(POWER) if POWER not in kin.dims else kin
        if AT_S in kin["conversion"].dims:
            kin = _at(kin, at_s, action)
        if AT_S in kin.coords:
            exposures.add(float(kin[AT_S]))
        value = reduce_to(kin["conversion"], {POWER}, action).values
        sigma = reduce_to(kin["conversion_stderr"], {POWER}, action).values
        power = kin[POWER].values.astype(float)
        known = np.isfinite(value)
        lowest = min([lowest, *(value - np.nan_to_num(sigma))[known]])
        missing += [float(p) for p in power[~known]]
        layers.append(
            Points(
                power, value, sigma, colour=colour_number(n), label=name, marker=marker_number(n)
            )
        )
    if missing:
        layers.append(Rug(np.array(sorted(set(missing)))))
    after = f" after {exposures.pop():g} s" if len(exposures) == 1 else ""
    phi = named_axis("conversion")
    y = Axis(phi.name, phi.long_name, f"{phi.symbol}{after}", phi.unit)
    return Panel(
        named_axis(POWER), y, tuple(layers), x_limits=(0.0, None),
        y_limits=(0.0 if lowest >= 0 else None, None),
        legend="best" if missing or any(by_name(kinetics)) else "",
    )  # fmt: skip


def _at(kin: xr.Dataset, at_s: float | None, action: str) -> xr.Dataset:
    found = kin[AT_S].values
    if at_s is None:
        return kin.isel({AT_S: -1})
    if not np.any(np.isclose(found, at_s)):
        times = ", ".join(f"{v:g}" for v in found)
        raise DataError(
            action, f"'at_s' is {at_s:g}, not one of the fitted exposures {times} s",
            f"Fit with fit_kinetics(…, at_s=[{at_s:g}]).",
        )  # fmt: skip
    return kin.isel({AT_S: int(np.argmin(np.abs(found - at_s)))})
