"""Figures of rates and diffusion coefficients against temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.arrhenius import predict_arrhenius
from plkit.errors import DataError
from plkit.names import TEMPERATURE
from plkit.plot.kinetics import by_name
from plkit.plot.style import CATEGORICAL, label, new_axes, pretty_unit, styled, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["arrhenius_points", "plot_arrhenius", "plot_diffusion"]

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
    quantity = str(result.attrs.get("quantity", "rate"))
    missing = [n for n in (quantity, TEMPERATURE, "activation_energy") if n not in result.variables]
    if missing:
        raise DataError(
            action, f"'{missing[0]}' is missing from the result",
            "Give the Dataset of fit_arrhenius or fit_diffusion_temperature.",
        )  # fmt: skip
    value, t = result[quantity], result[TEMPERATURE]
    kept = np.isfinite(value.values) & np.isfinite(t.values)
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
    figure, ax = new_axes(ax, aspect=0.86)
    quantity = "rate"
    for n, (name, result) in enumerate(by_name(results).items()):
        quantity = str(result.attrs.get("quantity", "rate"))
        colour, points = CATEGORICAL[n % 7], arrhenius_points(result)
        x = points["inverse"].values
        margin = 0.05 * max(float(np.ptp(x)), 1e-3)
        t_k = 1e3 / np.linspace(x.min() - margin, x.max() + margin, _CURVE_POINTS)
        line = predict_arrhenius(result, t_k)
        centre, sigma = line[f"ln_{quantity}"].values, line[f"ln_{quantity}_stderr"].values
        energy = value_text(
            float(result["activation_energy"]), float(result["activation_energy_stderr"]),
            names.unit("activation_energy"),
        )  # fmt: skip
        text = rf"$E_\mathrm{{a}}$ = {energy}"
        ax.fill_between(
            1e3 / t_k, centre - sigma, centre + sigma, color=colour, alpha=0.2, linewidth=0
        )
        ax.plot(1e3 / t_k, centre, color=colour, linewidth=0.9)
        ax.errorbar(
            x, points["ln"].values, points["ln_stderr"].values, points["inverse_stderr"].values,
            fmt="os^Dv"[n % 5], color=colour, ms=3.2, elinewidth=0.6, capsize=0,
            label=f"{name}: {text}" if name else text,
        )  # fmt: skip
    ax.set_xlabel(r"1000/$T$ (K$^{-1}$)")
    ax.set_ylabel(_ln_label(quantity))
    _add_kelvin_axis(ax)
    # The legend stands above the points: lines fall to the right, samples lie apart.
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.09 * len(by_name(results)) * (high - low))
    ax.legend(loc="upper right", handletextpad=0.3)
    return figure  # type: ignore[return-value]


def _ln_label(quantity: str) -> str:
    symbol = "⟨k⟩" if quantity == "rate" else names.symbol(quantity)
    return f"ln({symbol} / {pretty_unit(names.unit(quantity))})".replace("/ m²/s", "/ (m²/s)")


def _add_kelvin_axis(ax: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    def swap(x: Any) -> Any:
        # matplotlib asks for 0 while it lays the axes out.
        return 1e3 / np.clip(np.asarray(x, float), 1e-6, None)

    top = ax.secondary_xaxis("top", functions=(swap, swap))
    top.set_xlabel(label(TEMPERATURE))
    top.xaxis.set_major_locator(MaxNLocator(5))
    top.tick_params(labelsize=7.0, width=0.6, length=3.0)


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
    from matplotlib.ticker import MaxNLocator

    quantity = "diffusion_coefficient"
    figure, ax = new_axes(ax)
    for n, (name, result) in enumerate(by_name(results).items()):
        colour, points = CATEGORICAL[n % 7], arrhenius_points(result, "plot the diffusion")
        t_k = points[TEMPERATURE].values
        value = np.exp(points["ln"].values)
        span = max(float(np.ptp(t_k)), 1.0)
        grid = np.linspace(min(_ROOM_K, t_k.min()), t_k.max() + 0.05 * span, _CURVE_POINTS)
        line = predict_arrhenius(result, grid)
        ax.fill_between(grid, line["lower"], line["upper"], color=colour, alpha=0.2, linewidth=0)
        ax.plot(grid, line[quantity], color=colour, linewidth=0.9)
        energy = value_text(
            float(result["activation_energy"]), float(result["activation_energy_stderr"]),
            names.unit("activation_energy"),
        )  # fmt: skip
        text = rf"$E_\mathrm{{a}}$ = {energy}"
        ax.errorbar(
            t_k, value, value * points["ln_stderr"].values,
            result[f"{TEMPERATURE}_stderr"].values[np.isfinite(result[quantity].values)],
            fmt="os^Dv"[n % 5], color=colour, elinewidth=0.6, capsize=0,
            label=f"{name}: {text}" if name else text,
        )  # fmt: skip
        room = predict_arrhenius(result, _ROOM_K)
        bounds = [[float(room[quantity] - room["lower"])], [float(room["upper"] - room[quantity])]]
        ax.errorbar(
            [_ROOM_K], [float(room[quantity])], bounds, fmt="o", mfc="white", color=colour,
            elinewidth=0.6, capsize=1.5, label=f"$D$({_ROOM_K:.0f} K) = {_banded(room, quantity)}",
        )  # fmt: skip
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** 0.3)  # room for the legend above the points
    _few_log_ticks(ax)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlabel(label(TEMPERATURE))
    ax.set_ylabel(label(quantity))
    ax.legend(loc="upper left", handletextpad=0.3)
    return figure  # type: ignore[return-value]


def _banded(room: xr.Dataset, quantity: str) -> str:
    value, lower, upper = (float(room[n]) for n in (quantity, "lower", "upper"))
    exponent = int(np.floor(np.log10(value)))
    v, low, up = (x / 10.0**exponent for x in (value, value - lower, upper - value))
    finite = min(low, up) if min(low, up) > 0 else 0.1
    n = max(0, 1 - int(np.floor(np.log10(finite))))  # two digits of the shorter side
    text = rf"${v:.{n}f}_{{-{low:.{n}f}}}^{{+{up:.{n}f}}}\times 10^{{{exponent}}}$"
    return f"{text} {pretty_unit(names.unit(quantity))}"


def _few_log_ticks(ax: Any) -> None:
    """Label 1, 2, 5 of each decade where there are few decades."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, NullFormatter

    low, high = ax.get_ylim()
    few = np.log10(high / low) < 2
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    ax.yaxis.set_major_formatter(
        LogFormatterSciNotation(labelOnlyBase=not few, minor_thresholds=(np.inf, np.inf))
    )
    ax.yaxis.set_minor_formatter(NullFormatter())
