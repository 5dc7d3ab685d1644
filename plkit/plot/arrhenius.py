"""Figures of rates and diffusion coefficients against temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.arrhenius import predict_arrhenius
from plkit.errors import DataError
from plkit.names import TEMPERATURE, stderr_name
from plkit.plot.kinetics import by_name
from plkit.plot.panel import (
    Axis,
    Band,
    Layer,
    Line,
    OtherAxis,
    Panel,
    Points,
    colour_number,
    marker_number,
    named_axis,
)
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import pretty_unit, require_result, status_text, styled, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "arrhenius_points", "hv_arrhenius", "hv_diffusion", "plot_arrhenius", "plot_diffusion",
]  # fmt: skip

_CURVE_POINTS = 100
_ROOM_K = 293.0


def arrhenius_points(result: xr.Dataset, action: str = "plot Arrhenius' law") -> xr.Dataset:
    """Points of a fit as they are drawn: 1000/T and ln k, each with σ.

    Parameters
    ----------
    result : xarray.Dataset
        Of ``fit_arrhenius`` or ``fit_diffusion_temperature``.
    action : str, optional
        The words after "Cannot" in the error.

    Returns
    -------
    xarray.Dataset
        ``inverse``, ``inverse_stderr`` [1000/K], ``ln``, ``ln_stderr`` [1]; points that were left
        out are dropped.

    Raises
    ------
    DataError
        If the result holds no points.

    Examples
    --------
    >>> from plkit import names
    >>> from plkit.arrhenius import fit_arrhenius
    >>> t = xr.DataArray([290.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> k = xr.DataArray([0.03, 0.04, 0.055], dims="point", attrs=names.attrs("rate"))
    >>> result = fit_arrhenius(k, t, rate_scatter=0.02)
    >>> arrhenius_points(result)["inverse"].values.round(3).tolist()
    [3.448, 3.333, 3.226]
    """
    quantity = str(getattr(result, "attrs", {}).get("quantity", "rate"))
    maker = "plkit.fit_arrhenius" if quantity == "rate" else "plkit.fit_diffusion_temperature"
    require_result(result, (quantity, TEMPERATURE, "activation_energy"), action, maker)
    value, t = result[quantity], result[TEMPERATURE]
    kept = np.isfinite(value.values) & np.isfinite(t.values) & (value.values > 0)
    if not kept.any():
        raise DataError(action, "no point has a number, not at least one", "Look at fit_status.")
    v, t_k = value.values[kept], t.values[kept]

    def sigma(name: str) -> Any:
        return result[f"{name}_stderr"].values[kept] if f"{name}_stderr" in result else 0.0 * v

    out = {
        "inverse": 1e3 / t_k,
        "inverse_stderr": 1e3 * sigma(TEMPERATURE) / t_k**2,
        "ln": np.log(v),
        "ln_stderr": sigma(quantity) / v,
        TEMPERATURE: t_k,
    }
    dim = str(value.dims[0])
    points = xr.Dataset({k: (dim, x) for k, x in out.items() if k != dim})
    return points.assign_coords({dim: value[dim].values[kept]}) if dim in value.coords else points


@styled
def plot_arrhenius(
    results: xr.Dataset | Mapping[str, xr.Dataset], *, ax: Axes | None = None
) -> Figure:
    """Draw ln k against 1000/T with the fitted line, its 68 % band and the activation energy.

    Parameters
    ----------
    results : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.fit_arrhenius`, by sample.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes. Bars are one σ on both axes (that of the temperature includes the
        scale error, which moves all points together); the band includes every cause.

    Raises
    ------
    DataError
        If a result is not that of a fit.

    Examples
    --------
    >>> from plkit import names
    >>> from plkit.arrhenius import fit_arrhenius
    >>> t = xr.DataArray([290.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> k = xr.DataArray([0.03, 0.04, 0.055], dims="point", attrs=names.attrs("rate"))
    >>> result = fit_arrhenius(k, t, rate_scatter=0.02)
    >>> plot_arrhenius(result).axes[0].get_legend_handles_labels()[1][0].split(" = ")[1]
    '0.235 ± 0.011 eV'
    """
    return on_axes(arrhenius_panel(results), ax)


def hv_arrhenius(results: xr.Dataset | Mapping[str, xr.Dataset]) -> Any:
    """Draw for the screen what :func:`plot_arrhenius` draws for paper.

    Parameters
    ----------
    results : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.fit_arrhenius`, by sample.

    Returns
    -------
    holoviews.Overlay
        Line with its 68 % band, points with σ on both axes; the label holds the activation energy.

    Raises
    ------
    DataError
        If a result is not that of a fit.

    Examples
    --------
    >>> from plkit.arrhenius import fit_arrhenius
    >>> t = xr.DataArray([290.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> k = xr.DataArray([0.03, 0.04, 0.055], dims="point", attrs=names.attrs("rate"))
    >>> [e.label for e in hv_arrhenius(fit_arrhenius(k, t, rate_scatter=0.02)) if e.label]
    ['Eₐ = 0.235 ± 0.011 eV']
    """
    return dress(arrhenius_panel(results))


def arrhenius_panel(results: xr.Dataset | Mapping[str, xr.Dataset]) -> Panel:
    """Points, lines and bands of ln k over 1000/T."""
    quantity = "rate"
    layers: list[Layer] = []
    sets = by_name(results)
    for n, (name, result) in enumerate(sets.items()):
        colour, points = colour_number(n), arrhenius_points(result)
        quantity = str(result.attrs.get("quantity", "rate"))
        x = points["inverse"].values
        margin = 0.05 * max(float(np.ptp(x)), 1e-3)
        grid = np.linspace(x.min() - margin, x.max() + margin, _CURVE_POINTS)
        centre, sigma = _law(result, 1e3 / grid, f"ln_{quantity}")
        at = ((named_axis(TEMPERATURE), 1e3 / grid),)
        layers.append(Band(grid, centre - sigma, centre + sigma, colour, 0.2))
        layers.append(Line(grid, centre, colour, width=0.9, y_sigma=sigma, extra=at))
        layers.append(
            Points(
                x, points["ln"].values, points["ln_stderr"].values, points["inverse_stderr"].values,
                colour, _with_energy(name, result), marker_number(n), 3.2, extra=_said(result, points),
            )
        )  # fmt: skip
    inverse = Axis("inverse", "1000/T", "", names.unit("inverse_temperature"))
    return Panel(
        inverse, Axis(f"ln_{quantity}", _ln_label(quantity)), tuple(layers), legend="upper right",
        headroom=0.09 * len(sets), aspect=0.86, top=OtherAxis(named_axis(TEMPERATURE), _swap, _swap),
    )  # fmt: skip


def _law(result: xr.Dataset, t_k: Any, name: str) -> tuple[Any, Any]:
    """Fitted law and σ; NaN where the fit has no values."""
    line = predict_arrhenius(result, t_k)
    return line[name].values, line[stderr_name(name)].values


def _said(result: xr.Dataset, points: xr.Dataset) -> Any:
    """Temperature, and the power where points are powers: for the mouse."""
    extra = [(named_axis(TEMPERATURE), points[TEMPERATURE].values)]
    dim = next(iter(points.dims))
    if dim in points.coords and dim in names.TABLE and dim != TEMPERATURE:
        extra.append((named_axis(str(dim)), points[dim].values.astype(float)))
    del result
    return tuple(extra)


def _with_energy(name: str, result: xr.Dataset) -> str:
    energy = value_text(
        float(result["activation_energy"]), float(result["activation_energy_stderr"]),
        names.unit("activation_energy"),
    )  # fmt: skip
    status = f" ({status_text(result)})" if status_text(result) else ""
    text = f"Eₐ = {energy}{status}"
    return f"{name}: {text}" if name else text


def _swap(x: Any) -> Any:
    """1000/T of T and T of 1000/T; matplotlib asks for 0 while it lays the axes out."""
    return 1e3 / np.clip(np.asarray(x, float), 1e-6, None)


def _ln_label(quantity: str) -> str:
    symbol = "⟨k⟩" if quantity == "rate" else names.symbol(quantity)
    return f"ln({symbol} / {pretty_unit(names.unit(quantity))})".replace("/ m²/s", "/ (m²/s)")


@styled
def plot_diffusion(
    results: xr.Dataset | Mapping[str, xr.Dataset], *, ax: Axes | None = None
) -> Figure:
    """Draw the diffusion coefficient against temperature with Arrhenius' curve and its 68 % band.

    Parameters
    ----------
    results : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.fit_diffusion_temperature`, by sample.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the curve goes on to 293 K, where D is given with its band.

    Raises
    ------
    DataError
        If a result is not that of a fit.

    Examples
    --------
    >>> from plkit import names
    >>> from plkit.diffusion import fit_diffusion_temperature
    >>> t = xr.DataArray([295.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> d = xr.DataArray([4e-14, 4.5e-14, 6e-14], dims="point",
    ...                  attrs=names.attrs("diffusion_coefficient"))
    >>> result = fit_diffusion_temperature(d, t, diffusion_scatter=0.03)
    >>> plot_diffusion(result).axes[0].get_ylabel()
    'Diffusion coefficient $D$ (m²/s)'
    """
    return on_axes(diffusion_panel(results), ax)


def hv_diffusion(results: xr.Dataset | Mapping[str, xr.Dataset]) -> Any:
    """Draw for the screen what :func:`plot_diffusion` draws for paper.

    Parameters
    ----------
    results : xarray.Dataset or mapping of str to xarray.Dataset
        Of :func:`plkit.fit_diffusion_temperature`, by sample.

    Returns
    -------
    holoviews.Overlay
        Curve with its 68 % band, points with σ on both axes, D at 293 K.

    Raises
    ------
    DataError
        If a result is not that of a fit.

    Examples
    --------
    >>> from plkit.diffusion import fit_diffusion_temperature
    >>> t = xr.DataArray([295.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> d = xr.DataArray([4e-14, 4.5e-14, 6e-14], dims="point",
    ...                  attrs=names.attrs("diffusion_coefficient"))
    >>> result = fit_diffusion_temperature(d, t, diffusion_scatter=0.03)
    >>> [e.label.split(" =")[0] for e in hv_diffusion(result) if e.label]
    ['Eₐ', 'D(293 K)']
    """
    return dress(diffusion_panel(results))


def diffusion_panel(results: xr.Dataset | Mapping[str, xr.Dataset]) -> Panel:
    """Points, curves and bands of D over T, down to 293 K."""
    quantity = "diffusion_coefficient"
    action = "plot the diffusion"
    layers: list[Layer] = []
    for n, (name, result) in enumerate(by_name(results).items()):
        require_result(
            result, (quantity, TEMPERATURE, "activation_energy"), action,
            "plkit.fit_diffusion_temperature",
        )  # fmt: skip
        colour, points = colour_number(n), arrhenius_points(result, action)
        t_k, value = points[TEMPERATURE].values, np.exp(points["ln"].values)
        span = max(float(np.ptp(t_k)), 1.0)
        grid = np.linspace(min(_ROOM_K, t_k.min()), t_k.max() + 0.05 * span, _CURVE_POINTS)
        line = predict_arrhenius(result, grid)
        low, centre, high = (line[v].values for v in ("lower", quantity, "upper"))
        layers.append(Band(grid, low, high, colour, 0.2))
        layers.append(
            Line(grid, centre, colour, width=0.9, y_sigma=np.stack([centre - low, high - centre]))
        )
        layers.append(
            Points(
                t_k, value, value * points["ln_stderr"].values,
                1e-3 * points["inverse_stderr"].values * t_k**2, colour, _with_energy(name, result),
                marker_number(n), 3.2, extra=_said(result, points)[1:],
            )
        )  # fmt: skip
        room = predict_arrhenius(result, _ROOM_K)
        v, low_v, high_v = (float(room[c]) for c in (quantity, "lower", "upper"))
        layers.append(
            Points(
                np.array([_ROOM_K]), np.array([v]), np.array([[v - low_v], [high_v - v]]), None, colour,
                f"D({_ROOM_K:.0f} K) =\n{_banded(v, low_v, high_v, names.unit(quantity))}", hollow=True,
            )
        )  # fmt: skip
    return Panel(
        named_axis(TEMPERATURE), named_axis(quantity, log=True), tuple(layers), legend="upper left",
        headroom=0.3,
    )  # fmt: skip


def _banded(value: float, lower: float, upper: float, unit: str) -> str:
    """Value with its interval; unequal sides are given apart: (3.94 −0.40 +0.54) × 10⁻¹⁴."""
    if not np.isfinite([value, lower, upper]).all() or value <= 0:
        return "not found"
    exponent = int(np.floor(np.log10(value)))
    v, low, up = (x / 10.0**exponent for x in (value, value - lower, upper - value))
    finite = min(low, up) if min(low, up) > 0 else 0.1
    n = max(0, 1 - int(np.floor(np.log10(finite))))  # two digits of the shorter side
    below, above = f"{low:.{n}f}", f"{up:.{n}f}"
    # Sides that differ by no more than one unit of the last digit are one σ.
    equal = abs(float(above) - float(below)) < 1.5 * 10.0**-n
    sides = f"± {max(below, above)}" if equal else f"−{below} +{above}"
    ten = value_text(10.0**exponent).split(" × ")[-1]
    return f"({v:.{n}f} {sides}) × {ten} {pretty_unit(unit)}"
