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
from plkit.plot.style import CATEGORICAL, add_colour_bar, label, new_axes, reduce_to, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fitted_curve", "plot_conversion", "plot_kinetics"]

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
    action = "plot the kinetics"
    fraction = unmixed["fraction"]
    figure, ax = new_axes(ax)
    falling = falling_component(fraction, kinetics, action)
    if POWER in fraction.dims and fraction.sizes[POWER] > 1:
        _draw_powers(figure, ax, fraction.sel({COMPONENT: falling}), kinetics, action)
    else:
        fraction = reduce_to(fraction, {COMPONENT, TIME}, action)
        stderr = unmixed.get("fraction_stderr")
        kinetics = kinetics.squeeze(drop=True) if POWER in kinetics.dims else kinetics
        _draw_components(ax, fraction, stderr, kinetics, falling)
    ax.set_xlim(0.0 if float(fraction[TIME].min()) >= 0 else None, None)
    ax.margins(x=0.0)
    ax.set_xlabel(label(TIME))
    ax.set_ylabel(label("fraction"))
    return figure  # type: ignore[return-value]


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


def _draw_components(
    ax: Any, fraction: xr.DataArray, stderr: xr.DataArray | None, kin: xr.Dataset, falling: str
) -> None:
    t = fraction[TIME].values.astype(float)
    grid = np.linspace(t.min(), t.max(), _CURVE_POINTS)
    curve, sigma = fitted_curve(kin, grid)
    components = [str(c) for c in fraction[COMPONENT].values]
    for n, name in enumerate(components):
        colour = CATEGORICAL[n % len(CATEGORICAL)]
        values = fraction.sel({COMPONENT: name}).values
        errors = None
        if stderr is not None:
            errors = stderr.squeeze(drop=True).sel({COMPONENT: name}).values
        # Error bars of hundreds of points would hide the points.
        if errors is not None and t.size <= 60:
            ax.errorbar(t, values, errors, fmt="o", ms=2.2, lw=0.6, color=colour, alpha=0.7)
        else:
            ax.plot(
                t, values, ".", ms=2.6, color=colour, alpha=0.45, markeredgewidth=0, rasterized=True
            )
        if len(components) == 2 or name == falling:
            fit = curve if name == falling else 1.0 - curve
            ax.plot(grid, fit, color=colour, linewidth=1.2, label=name)
            ax.fill_between(grid, fit - sigma, fit + sigma, color=colour, alpha=0.25, linewidth=0)
        else:
            ax.plot([], [], ".", color=colour, label=name)
    ax.legend(loc="best")


def _draw_powers(
    figure: Any, ax: Any, fraction: xr.DataArray, kinetics: xr.Dataset, action: str
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from plkit.plot.style import colour_map

    fraction = reduce_to(fraction, {POWER, TIME}, action)
    powers = fraction[POWER].values.astype(float)
    cmap, norm = colour_map("cividis"), Normalize(powers.min(), powers.max())
    t = fraction[TIME].values.astype(float)
    grid = np.linspace(t.min(), t.max(), _CURVE_POINTS)
    for n, power in enumerate(powers):
        colour = cmap(norm(power))
        values = fraction.isel({POWER: n}).values
        ax.plot(
            t, values, ".", ms=1.8, color=colour, alpha=0.35, markeredgewidth=0, rasterized=True
        )
        curve, sigma = fitted_curve(kinetics.isel({POWER: n}), grid)
        ax.plot(grid, curve, color=colour, linewidth=0.9)
        ax.fill_between(grid, curve - sigma, curve + sigma, color=colour, alpha=0.25, linewidth=0)
    add_colour_bar(figure, ScalarMappable(norm, cmap), ax, label(POWER))


def by_name(results: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return results by sample; one Dataset has the empty name."""
    return {"": results} if isinstance(results, xr.Dataset) else dict(results)


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
    action = "plot the conversion"
    figure, ax = new_axes(ax)
    exposures = set()
    for n, (name, kin) in enumerate(by_name(kinetics).items()):
        if POWER not in kin["conversion"].coords:
            raise DataError(action, "the fit has no coordinate 'power', not even one value")
        kin = kin.expand_dims(POWER) if POWER not in kin.dims else kin
        if AT_S in kin["conversion"].dims:
            kin = _at(kin, at_s, action)
        if AT_S in kin.coords:
            exposures.add(float(kin[AT_S]))
        ax.errorbar(
            kin[POWER].values, kin["conversion"].values, kin["conversion_stderr"].values,
            fmt="os^Dv"[n % 5], color=CATEGORICAL[n % 7], ms=2.8, capsize=1.5, elinewidth=0.8,
            markeredgewidth=0.8, label=name,
        )  # fmt: skip
    ax.set_xlim(left=0.0)
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(label(POWER))
    after = f" after {exposures.pop():g} s" if len(exposures) == 1 else ""
    ax.set_ylabel(f"{label('conversion')}{after}")
    if any(by_name(kinetics)):
        ax.legend(loc="best")
    return figure  # type: ignore[return-value]


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
