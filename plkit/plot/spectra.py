"""Figures of spectra: coloured by time, and as an image against time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import INTENSITY, NOISE_GAIN, TIME, stderr_name
from plkit.plot.panel import (
    Array,
    Axis,
    Band,
    Extra,
    Layer,
    Line,
    Panel,
    axis_of,
    colour_number,
    picture,
    scale_of,
)
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import ascending, styled
from plkit.schema import spectral_dim

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_spectra", "hv_spectral_movie", "plot_spectra", "plot_spectral_movie"]

_MOVIE, _MOVIE_TIME = "movie", "movie_time"
"""Averaged frames in the results of a study."""

_FEW = 6
"""Spectra of which each is drawn with its σ: more bands than that hide each other."""


def array_of(data: xr.Dataset | xr.DataArray, variable: str, action: str) -> xr.DataArray:
    """Return the array itself, or the variable of a Dataset; of a study's ``raw`` its movie."""
    if isinstance(data, xr.DataArray):
        return data
    if not isinstance(data, xr.Dataset):
        raise DataError(
            action, f"a {type(data).__name__} was given, not a Dataset",
            "Give what plkit.read returns.",
        )  # fmt: skip
    if variable == INTENSITY and variable not in data and _MOVIE in data:
        return data[_MOVIE].rename({_MOVIE_TIME: TIME}).rename(INTENSITY)
    if variable not in data:
        found = ", ".join(map(str, data.data_vars)) or "none"
        raise DataError(
            action, f"the dataset has the variables {found}, not '{variable}'",
            "Pass the array itself, for instance ds.intensity, or what plkit.read returns.",
        )  # fmt: skip
    return data[variable]


def sigma_of(data: xr.Dataset | xr.DataArray, variable: str) -> xr.DataArray | None:
    """σ of every value: as stored, or by the noise model of the dataset; None where there is neither."""
    if not isinstance(data, xr.Dataset):
        return None
    if stderr_name(variable) in data:
        return data[stderr_name(variable)]
    if variable != INTENSITY or variable not in data or NOISE_GAIN not in data:
        return None
    from plkit.spectra import variance

    found: xr.DataArray = variance(data) ** 0.5
    return found


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


def _is_number(da: xr.DataArray) -> bool:
    return da.dtype.kind in "iuf"


def spectra_panel(
    data: xr.Dataset | xr.DataArray, variable: str, max_lines: int, *, normalise: bool
) -> Panel:
    """Spectra as lines, coloured by the dim along which they run; σ of up to six as bands."""
    action = "plot spectra"
    da = array_of(data, variable, action)
    sigma = sigma_of(data, variable)
    spectral = spectral_dim(da, action)
    da, dim = series_dim(da, spectral, action)
    da = ascending(da, spectral)
    y_axis, x = axis_of(da), da[spectral].values.astype(float)
    if normalise:
        y_axis = Axis(y_axis.name, f"{y_axis.long_name}, normalised", y_axis.symbol)
    scale = None
    chosen: list[int] = [0]
    if dim is not None:
        chosen = list(range(da.sizes[dim]))
        if _is_number(da[dim]):
            chosen = _some(da.sizes[dim], max_lines)
            scale = scale_of(da[dim].values, axis_of(da[dim]), "viridis", reach=1.0 / 1.08)
    layers: list[Layer] = []
    for n, i in enumerate(chosen):
        at = {} if dim is None else {dim: i}
        y = da.isel(at).values.astype(float)
        s = None if sigma is None else ascending(sigma, spectral).squeeze().isel(at).values
        if normalise:
            top = float(np.nanmax(y)) if np.isfinite(y).any() else np.nan
            y, s = y / top, None if s is None else s / top
        extra: Extra = ()
        label, colour = "", colour_number(n)
        if dim is not None and scale is not None:
            where = float(da[dim].values[i])
            extra, colour = ((scale.axis, where),), scale.colour(where)
        elif dim is not None:
            label = str(da[dim].values[i])
        if s is not None and len(chosen) <= _FEW:
            layers.append(Band(x, y - s, y + s, colour))
        layers.append(Line(x, y, colour, label, 0.8 if scale else 1.0, y_sigma=s, extra=extra))
    return Panel(
        axis_of(da[spectral]), y_axis, tuple(layers), scale=scale,
        x_limits=_ends(x), legend="best" if dim and scale is None else "",
    )  # fmt: skip


def _some(n: int, at_most: int) -> list[int]:
    """Indices of the lines that are drawn: denser at the start, where most happens."""
    steps = np.linspace(0.0, 1.0, min(n, max(2, at_most))) ** (2 if n > at_most else 1)
    return [int(i) for i in np.unique((steps * (n - 1)).round())]


def _ends(x: Array) -> tuple[float | None, float | None]:
    low, high = float(np.min(x)), float(np.max(x))
    return (low, high) if high > low else (None, None)


def movie_panel(data: xr.Dataset | xr.DataArray, variable: str) -> Panel:
    """Series of spectra as a picture."""
    action = "plot a series of spectra as an image"
    da = array_of(data, variable, action)
    sigma = sigma_of(data, variable)
    spectral = spectral_dim(da, action)
    da, dim = series_dim(da, spectral, action)
    if dim is None or not _is_number(da[dim]):
        raise DataError(action, "the data holds one spectrum, not a series", "Use plot_spectra.")
    scale = scale_of(da.values, axis_of(da), "viridis")
    error = None if sigma is None else sigma.squeeze()
    image = picture(da, spectral, dim, scale, error)
    return Panel(axis_of(da[spectral]), axis_of(da[dim]), (image,))


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
        Of a study's ``raw`` without ``intensity`` the ``movie`` is drawn. With ``intensity_stderr``
        or a noise model up to six spectra have their σ as a band.
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
    return on_axes(spectra_panel(data, variable, max_lines, normalise=normalise), ax)


def hv_spectra(
    data: xr.Dataset | xr.DataArray,
    *,
    variable: str = INTENSITY,
    max_lines: int = 15,
    normalise: bool = False,
) -> Any:
    """Draw for the screen what :func:`plot_spectra` draws for paper.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        (λ) or (one more dim, λ).
    variable : str, optional
        Variable of a Dataset.
    max_lines : int, optional
        At most so many spectra are drawn.
    normalise : bool, optional
        Divide each spectrum by its maximum.

    Returns
    -------
    holoviews.Overlay
        A curve for each spectrum, with the value under the mouse.

    Raises
    ------
    DataError
        If the data has more than one dim besides the spectral one.

    Examples
    --------
    >>> da = xr.DataArray(np.ones((3, 5)), {"time": [0.0, 1.0, 2.0], "wavelength": np.arange(5.0)},
    ...                   ("time", "wavelength"), "intensity", {"units": "counts"})
    >>> sum(type(e).__name__ == "Curve" for e in hv_spectra(da))
    3
    """
    return dress(spectra_panel(data, variable, max_lines, normalise=normalise))


@styled
def plot_spectral_movie(
    data: xr.Dataset | xr.DataArray, *, variable: str = INTENSITY, ax: Axes | None = None
) -> Figure:
    """Draw a series of spectra as an image, wavelength across and time upwards.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        (one dim, λ); of a study's ``raw`` without ``intensity`` the ``movie`` is drawn.
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
    return on_axes(movie_panel(data, variable), ax)


def hv_spectral_movie(data: xr.Dataset | xr.DataArray, *, variable: str = INTENSITY) -> Any:
    """Draw for the screen what :func:`plot_spectral_movie` draws for paper.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        (one dim, λ).
    variable : str, optional
        Variable of a Dataset.

    Returns
    -------
    holoviews.Overlay
        An image, with the value ± σ under the mouse.

    Raises
    ------
    DataError
        If the data is not a series of spectra.

    Examples
    --------
    >>> da = xr.DataArray(np.ones((3, 5)), {"time": [0.0, 1.0, 2.0], "wavelength": np.arange(5.0)},
    ...                   ("time", "wavelength"), "intensity", {"units": "counts"})
    >>> [type(e).__name__ for e in hv_spectral_movie(da)]
    ['Image']
    """
    return dress(movie_panel(data, variable))
