"""Figures of spectra: coloured by time, as an image against time, taken apart by unmixing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import INTENSITY
from plkit.plot.style import (
    CATEGORICAL,
    add_colour_bar,
    colour_map,
    label_of,
    new_axes,
    styled,
)
from plkit.schema import spectral_dim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_spectra",
    "plot_spectral_movie",
]


def array_of(data: xr.Dataset | xr.DataArray, variable: str, action: str) -> xr.DataArray:
    """Return the array itself, or the variable of a Dataset."""
    if isinstance(data, xr.DataArray):
        return data
    if variable not in data:
        found = ", ".join(map(str, data.data_vars)) or "none"
        raise DataError(
            action, f"the dataset has the variables {found}, not '{variable}'",
            "Pass the array itself, for instance ds.intensity.",
        )  # fmt: skip
    return data[variable]


def series_dim(da: xr.DataArray, spectral: str, action: str) -> tuple[xr.DataArray, str | None]:
    """Drop dims of length one; return the dim along which there are several spectra."""
    others = [str(d) for d in da.dims if d != spectral and da.sizes[d] > 1]
    da = da.isel({d: 0 for d in da.dims if d != spectral and d not in others}, drop=True)
    if len(others) > 1:
        found = ", ".join(f"{d} ({da.sizes[d]})" for d in da.dims)
        raise DataError(
            action, f"the data has the dims {found}, not one series of spectra",
            f"Select one, for instance .isel({others[0]}=0).",
        )  # fmt: skip
    return da, others[0] if others else None


@styled
def plot_spectra(
    data: xr.Dataset | xr.DataArray,
    *,
    variable: str = INTENSITY,
    max_lines: int = 15,
    normalise: bool = False,
    ax: Axes | None = None,
) -> Figure:
    """Draw a series of spectra, coloured by time or whatever it runs over.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        (λ) or (one more dim, λ); the other dim may hold numbers (colour bar) or names (legend).
    variable : str, optional
        Variable of a Dataset.
    max_lines : int, optional
        At most so many spectra are drawn, denser at the start, the first and last among them.
    normalise : bool, optional
        Divide each spectrum by its maximum.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes.

    Raises
    ------
    DataError
        If the data has more than one dim besides the spectral one.

    Examples
    --------
    >>> da = xr.DataArray(np.ones((3, 5)), {"time": [0.0, 1.0, 2.0], "wavelength": np.arange(5.0)},
    ...                   ("time", "wavelength"), "intensity", {"units": "counts"})
    >>> len(plot_spectra(da).axes[0].lines)
    3
    """
    action = "plot spectra"
    da = array_of(data, variable, action)
    spectral = spectral_dim(da, action)
    da, dim = series_dim(da, spectral, action)
    text = label_of(da)
    if normalise:
        da = da / da.max(spectral)
        text = f"{text.rsplit(' (', 1)[0]}, normalised"
    figure, ax = new_axes(ax)
    x = da[spectral].values
    if dim is None:
        ax.plot(x, da.values, color=CATEGORICAL[0])
    elif da[dim].dtype.kind in "iuf":
        _coloured_lines(figure, ax, da, dim, spectral, max_lines)
    else:
        for n, name in enumerate(da[dim].values):
            ax.plot(x, da.isel({dim: n}).values, color=CATEGORICAL[n % 7], label=str(name))
        ax.legend()
    ax.set_xlim(float(np.min(x)), float(np.max(x)))
    ax.set_xlabel(label_of(da[spectral]))
    ax.set_ylabel(text)
    return figure  # type: ignore[return-value]


def _coloured_lines(
    figure: Any, ax: Any, da: xr.DataArray, dim: str, spectral: str, max_lines: int
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    n = da.sizes[dim]
    # Denser at the start, where most happens.
    steps = np.linspace(0.0, 1.0, min(n, max(2, max_lines))) ** (2 if n > max_lines else 1)
    chosen = np.unique((steps * (n - 1)).round().astype(int))
    values = da[dim].values.astype(float)
    # The lightest end of the map vanishes on white paper.
    cmap = colour_map().resampled(256)
    norm = Normalize(values.min(), values.min() + (np.ptp(values) or 1.0) * 1.08)
    for i in chosen:
        line = da.isel({dim: int(i)}).transpose(spectral)
        ax.plot(da[spectral].values, line.values, color=cmap(norm(values[i])), linewidth=0.8)
    shown = ScalarMappable(Normalize(values.min(), values.max()), _lower_part(cmap))
    add_colour_bar(figure, shown, ax, label_of(da[dim]))


def _lower_part(cmap: Any) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(cmap(np.linspace(0.0, 1.0 / 1.08, 256)))


@styled
def plot_spectral_movie(
    data: xr.Dataset | xr.DataArray, *, variable: str = INTENSITY, ax: Axes | None = None
) -> Figure:
    """Draw a series of spectra as an image, wavelength across and time upwards.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        (one dim, λ).
    variable : str, optional
        Variable of a Dataset.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; what is not a number is grey.

    Raises
    ------
    DataError
        If the data is not a series of spectra.

    Examples
    --------
    >>> da = xr.DataArray(np.ones((3, 5)), {"time": [0.0, 1.0, 2.0], "wavelength": np.arange(5.0)},
    ...                   ("time", "wavelength"), "intensity", {"units": "counts"})
    >>> [float(x) for x in plot_spectral_movie(da).axes[0].get_xlim()]
    [-0.5, 4.5]
    """
    action = "plot a series of spectra as an image"
    da = array_of(data, variable, action)
    spectral = spectral_dim(da, action)
    da, dim = series_dim(da, spectral, action)
    if dim is None or da[dim].dtype.kind not in "iuf":
        raise DataError(action, "the data holds one spectrum, not a series", "Use plot_spectra.")
    da = da.transpose(dim, spectral)
    figure, ax = new_axes(ax)
    image = ax.pcolormesh(
        da[spectral].values, da[dim].values, da.values,
        cmap=colour_map(), shading="nearest", rasterized=True,
    )  # fmt: skip
    ax.set_xlabel(label_of(da[spectral]))
    ax.set_ylabel(label_of(da[dim]))
    add_colour_bar(figure, image, ax, label_of(da))
    return figure  # type: ignore[return-value]
