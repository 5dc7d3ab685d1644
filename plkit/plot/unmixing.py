"""Figure of one unmixed spectrum: data, components, their sum, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.names import COMPONENT, INTENSITY, NOISE_FLOOR, NOISE_GAIN
from plkit.plot.panel import Axis, Band, Layer, Line, Panel, Points, Rule, axis_of, colour_number
from plkit.plot.paper import draw_stack, on_axes
from plkit.plot.screen import beside
from plkit.plot.spectra import array_of, series_dim
from plkit.plot.style import CATEGORICAL, require_result, styled, value_text
from plkit.schema import spectral_dim
from plkit.unmixing.reference import area_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["component_spectra", "hv_unmixing", "plot_unmixing"]

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
    panels = unmixing_panels(data, refs, result)
    if ax is not None:
        return on_axes(panels[0], ax)
    return draw_stack(panels, None, 0.95, (3.2, 1.0))


def hv_unmixing(data: xr.Dataset | xr.DataArray, refs: xr.DataArray, result: xr.Dataset) -> Any:
    """Draw for the screen what :func:`plot_unmixing` draws for paper.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        ``intensity`` (λ) [counts] of one spectrum.
    refs : xarray.DataArray
        References (component, λ) used for the unmixing.
    result : xarray.Dataset
        Result of :func:`plkit.unmix` for this spectrum, with ``normalise="area"``.

    Returns
    -------
    holoviews.Layout
        The spectrum with its components, and the residual below.

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
    >>> len(hv_unmixing(data, refs, result))
    2
    """
    return beside(unmixing_panels(data, refs, result), columns=1, heights=(260, 90))


def unmixing_panels(
    data: xr.Dataset | xr.DataArray, refs: xr.DataArray, result: xr.Dataset
) -> tuple[Panel, Panel]:
    """Spectrum with components and sum; residual in units of σ, or in counts."""
    require_result(result, ("amplitude",), _ACTION, "plkit.unmix(ds, refs)")
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
    x, y = spectrum[spectral].values.astype(float), spectrum.values.astype(float)
    model = np.asarray(parts.sum(COMPONENT, skipna=False).values, float)
    sigma = _sigma(data, model)
    layers: list[Layer] = []
    for n, name in enumerate(parts[COMPONENT].values):
        values, colour = parts.isel({COMPONENT: n}).values, colour_number(n)
        layers.append(Band(x, np.zeros_like(x), values, colour, 0.15))
        layers.append(Line(x, values, colour, _named(str(name), result), 0.9))
    layers.append(Line(x, model, "#000000", "sum", 0.8))
    layers.append(Points(x, y, sigma, colour="#555555", label="data", size=2.0))
    low, high = float(np.min(x)), float(np.max(x))
    limits = (low, high) if high > low else (None, None)
    above = Panel(
        axis_of(spectrum[spectral]),
        axis_of(spectrum),
        tuple(layers),
        legend="above",
        x_limits=limits,
    )
    rest = y - model
    in_sigma = Axis("residual", "Residual\n/ σ")
    in_counts = Axis("residual", "Residual\n", "", names.unit(INTENSITY))
    below: list[Layer] = [Rule(0.0, colour="#000000", width=0.5, style="-")]
    if sigma is not None:
        below.append(Rule(-1.0, 1.0))
        rest = rest / sigma
    below.append(Points(x, rest, colour=CATEGORICAL[0], size=2.0))
    return above, Panel(
        axis_of(spectrum[spectral]),
        in_counts if sigma is None else in_sigma,
        tuple(below),
        x_limits=limits,
    )


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
