"""Figure of one unmixed spectrum: data, components, their sum, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.names import COMPONENT, INTENSITY, NOISE_FLOOR, NOISE_GAIN
from plkit.plot.spectra import array_of, series_dim
from plkit.plot.style import CATEGORICAL, label_of, new_axes, new_figure, styled, value_text
from plkit.schema import spectral_dim
from plkit.unmixing.reference import area_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["component_spectra", "plot_unmixing"]

_ACTION = "plot an unmixed spectrum"


def component_spectra(result: xr.Dataset, refs: xr.DataArray) -> xr.DataArray:
    """Spectrum of each component, in the unit of the data, with the background as one of them.

    Parameters
    ----------
    result : xarray.Dataset
        Result of :func:`plkit.unmix` with ``normalise="area"``: ``amplitude`` (component) [counts].
    refs : xarray.DataArray
        The references (component, λ) with which it was made.

    Returns
    -------
    xarray.DataArray
        (component, λ) [counts]; their sum is the model. The last component is ``background`` where
        one was fitted.

    Raises
    ------
    DataError
        If a measured background was fitted, which the result does not hold.

    Examples
    --------
    >>> axis = {"component": ["a", "b"], "wavelength": np.arange(500.0, 503.0)}
    >>> refs = xr.DataArray([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], axis, ("component", "wavelength"))
    >>> result = xr.Dataset({"amplitude": ("component", [10.0, 4.0])}, {"component": ["a", "b"]})
    >>> component_spectra(result, refs).sum("component").values.tolist()
    [5.0, 4.0, 5.0]
    """
    dim = spectral_dim(refs, _ACTION)
    axis = refs[dim].values.astype(float)
    if "background_scale" in result:
        raise DataError(
            _ACTION, "a measured background was fitted, not 'none', 'constant' or 'linear'",
            "Subtract it from the data first.",
        )  # fmt: skip
    table = refs.transpose(COMPONENT, dim)
    area = np.nan_to_num(table.values) @ area_weights(axis, dim)
    amplitude = result["amplitude"].sel({COMPONENT: table[COMPONENT].values})
    parts = table * (amplitude.values / area)[:, None]
    if "background_level" in result:
        middle, half = 0.5 * (axis.min() + axis.max()), 0.5 * float(np.ptp(axis)) or 1.0
        level = float(result["background_level"])
        tilt = float(result["background_tilt"]) if "background_tilt" in result else 0.0
        line = xr.DataArray(level + tilt * (axis - middle) / half, {dim: refs[dim]}, (dim,))
        parts = xr.concat(
            [parts, line.expand_dims({COMPONENT: ["background"]})], COMPONENT,
            coords="minimal", compat="override",
        )  # fmt: skip
    out: xr.DataArray = parts.assign_attrs(names.attrs(INTENSITY))
    return out


@styled
def plot_unmixing(
    data: xr.Dataset | xr.DataArray,
    refs: xr.DataArray,
    result: xr.Dataset,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Draw one spectrum with its components, their sum, and the residual below.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        ``intensity`` (λ) [counts] of one spectrum; ``noise_gain`` and ``noise_floor`` give the
        residual in units of σ, else it is in counts.
    refs : xarray.DataArray
        References (component, λ) used for the unmixing.
    result : xarray.Dataset
        Result of :func:`plkit.unmix` for this spectrum, with ``normalise="area"``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on, then without the residual; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the legend gives the emission fractions with σ.

    Raises
    ------
    DataError
        If there are several spectra, or axes differ.

    Examples
    --------
    >>> axis = {"component": ["a", "b"], "wavelength": np.arange(500.0, 503.0)}
    >>> refs = xr.DataArray([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], axis, ("component", "wavelength"))
    >>> result = xr.Dataset({"amplitude": ("component", [10.0, 4.0])}, {"component": ["a", "b"]})
    >>> data = xr.DataArray([5.0, 4.0, 6.0], {"wavelength": axis["wavelength"]}, ("wavelength",))
    >>> plot_unmixing(data, refs, result).axes[1].lines[1].get_ydata().tolist()  # the residual
    [0.0, 0.0, 1.0]
    """
    spectrum = array_of(data, INTENSITY, _ACTION)
    spectral = spectral_dim(spectrum, _ACTION)
    spectrum, dim = series_dim(spectrum, spectral, _ACTION)
    result = result.squeeze(drop=True)
    if dim is not None or result["amplitude"].ndim != 1:
        several = dim or str(next(d for d in result["amplitude"].dims if d != COMPONENT))
        raise DataError(
            _ACTION, f"there are several spectra along '{several}', not one",
            f"Select one in both, for instance .isel({several}=0).",
        )  # fmt: skip
    if refs.sizes.get(spectral) != spectrum.size:
        raise DataError(
            _ACTION,
            f"the spectrum has {spectrum.size} channels and the references "
            f"{refs.sizes.get(spectral, 0)}, not the same",
            "Give the references that were used: plkit.references(like=ds, …).",
        )
    parts = component_spectra(result, refs)
    x, y = spectrum[spectral].values, spectrum.values.astype(float)
    model = parts.sum(COMPONENT, skipna=False).values
    if ax is None:
        figure = new_figure("single", 0.95)
        ax, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1.0))
        new_axes(ax)
        new_axes(below)
        _draw_residual(below, x, y - model, _sigma(data, model))
        below.set_xlabel(label_of(spectrum[spectral]))
        figure.align_ylabels([ax, below])
    else:
        new_axes(ax)
        ax.set_xlabel(label_of(spectrum[spectral]))
    for n, name in enumerate(parts[COMPONENT].values):
        values = parts.isel({COMPONENT: n}).values
        colour = CATEGORICAL[n % 7]
        ax.plot(x, values, color=colour, linewidth=0.9, label=_named(str(name), result))
        ax.fill_between(x, 0.0, values, color=colour, alpha=0.15, linewidth=0)
    ax.plot(x, model, color="black", linewidth=0.8, label="sum")
    ax.plot(x, y, ".", ms=2.4, color="#555555", markeredgewidth=0, label="data")
    ax.set_xlim(float(np.min(x)), float(np.max(x)))
    ax.set_ylabel(label_of(spectrum))
    ax.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, handletextpad=0.4, columnspacing=1.0
    )
    return ax.figure  # type: ignore[return-value]


def _named(name: str, result: xr.Dataset) -> str:
    if name not in result[COMPONENT].values or "fraction" not in result:
        return name
    at = result.sel({COMPONENT: name})
    sigma = float(at["fraction_stderr"]) if "fraction_stderr" in at else None
    return f"{name}: {value_text(float(at['fraction']), sigma)}"


def _sigma(data: Any, model: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """σ of each channel by the noise model; None where the gain is not known."""
    if not isinstance(data, xr.Dataset) or NOISE_GAIN not in data:
        return None
    floor = data[NOISE_FLOOR].values if NOISE_FLOOR in data else 0.0
    variance = data[NOISE_GAIN].values * np.clip(model, 0.0, None) + floor
    return np.asarray(np.sqrt(np.where(variance > 0, variance, np.nan)))


def _draw_residual(
    ax: Any, x: NDArray[np.float64], rest: NDArray[np.float64], sigma: NDArray[np.float64] | None
) -> None:
    ax.axhline(0.0, color="black", linewidth=0.5)
    if sigma is None:
        ax.plot(x, rest, ".", ms=2.0, color=CATEGORICAL[0], markeredgewidth=0)
        ax.set_ylabel("Residual\n(counts)")
        return
    ax.axhspan(-1.0, 1.0, color="#7F7F7F", alpha=0.2, linewidth=0)
    ax.plot(x, rest / sigma, ".", ms=2.0, color=CATEGORICAL[0], markeredgewidth=0)
    ax.set_ylabel("Residual\n/ σ")
