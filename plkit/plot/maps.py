"""Figures of maps: any quantity over y and x, composition, and a cut with its fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import COMPONENT, FIT_STATUS, POWER, X, Y, stderr_name
from plkit.plot.panel import Axis, Layer, Mask, Panel, axis_of, bars_of, picture, scale_of
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import ascending, pretty_unit, reduce_to, require_result, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["failed_pixels", "hv_composition", "hv_map", "plot_composition", "plot_map"]

_FIRST_FAILURE = 3
"""Status from which a fit has no values: no_signal, failed."""


_CROSSES = "++++"


def _hatch_colour(hatch: str) -> str:
    """Grey on the grey of missing values; vermilion crosses where they stand on colours."""
    return "#D55E00" if hatch == _CROSSES else "#6E6E6E"


# Flags of a composition, in words: those without a value, then one whose value is no mean.
_FLAGGED = (
    ("bromide end: limit only", ("above_bromide_end", "bromide_limit"), "\\\\\\\\\\"),
    ("beyond iodide end", ("beyond_iodide_end",), "|||||"),
    ("no peak", ("no_peak",), "xxxxx"),
    ("several phases", ("multiple_phases",), _CROSSES),
)


def failed_pixels(data: xr.Dataset, values: xr.DataArray) -> xr.DataArray:
    """Pixels without a result: not a number, or a fit status of no_signal or failed.

    Parameters
    ----------
    data : xarray.Dataset
        May hold ``fit_status`` (y, x).
    values : xarray.DataArray
        (y, x).

    Returns
    -------
    xarray.DataArray
        True where there is no result.

    Examples
    --------
    >>> da = xr.DataArray([[1.0, np.nan]], dims=("y", "x"))
    >>> failed_pixels(xr.Dataset({"a": da}), da).values.tolist()
    [[False, True]]
    """
    failed = values.isnull() | (abs(values) == np.inf)
    status = data.get(FIT_STATUS)
    if status is not None and set(status.dims) == {Y, X}:
        failed = failed | (status >= _FIRST_FAILURE)
    return failed


def map_of(
    data: xr.Dataset | xr.DataArray, variable: str | None, action: str
) -> tuple[xr.Dataset, xr.DataArray]:
    """Return the one map of ``data`` and the Dataset that may hold its status and σ."""
    if isinstance(data, xr.DataArray):
        values = data
        data = data.to_dataset(name=data.name if data.name is not None else "values")
    elif not isinstance(data, xr.Dataset):
        raise DataError(action, f"a {type(data).__name__} was given, not a Dataset or a DataArray")
    else:
        candidates = [str(n) for n, v in data.data_vars.items() if {Y, X} <= set(v.dims)]
        if variable is None or variable not in data:
            asked = "no variable is named" if variable is None else f"'{variable}' is not in it"
            raise DataError(
                action, f"{asked}; it has the maps {', '.join(candidates) or 'none'}",
                "Pass variable=…, one of these.",
            )  # fmt: skip
        values = data[variable]
    values = reduce_to(values, {Y, X}, action).transpose(Y, X)
    return ascending(data, Y, X), ascending(values, Y, X)


@styled
def plot_map(
    data: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    clim: tuple[float, float] | None = None,
    cmap: str = "viridis",
    ax: Axes | None = None,
) -> Figure:
    """Draw a map with scale bar and colour bar; pixels without a result are grey and hatched.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        (y, x) [um], dims of length one besides; a Dataset may hold ``fit_status``.
    variable : str, optional
        Variable of a Dataset.
    clim : tuple of float, optional
        Ends of the colour scale, in the unit of the map; its 0.5 and 99.5 percentiles by default.
    cmap : str, optional
        Colour map; viridis and cividis are safe for colour-blind readers.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the title names component and power, where the map has them.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> len(plot_map(da.rename("fraction")).axes)
    2
    """
    return on_axes(map_panel(data, variable, clim, cmap), ax)


def hv_map(
    data: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    clim: tuple[float, float] | None = None,
    cmap: str = "viridis",
) -> Any:
    """Draw for the screen what :func:`plot_map` draws for paper.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        (y, x) [um], dims of length one besides; a Dataset may hold ``fit_status``.
    variable : str, optional
        Variable of a Dataset.
    clim : tuple of float, optional
        Ends of the colour scale; its 0.5 and 99.5 percentiles by default.
    cmap : str, optional
        Colour map.

    Returns
    -------
    holoviews.Overlay
        An image whose pixels without a result are NaN, grey and hatched; value ± σ under the mouse.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> [e.vdims[0].pprint_label for e in hv_map(da.rename("fraction"))]
    ['Emission fraction f']
    """
    return dress(map_panel(data, variable, clim, cmap))


def map_panel(
    data: xr.Dataset | xr.DataArray,
    variable: str | None,
    clim: tuple[float, float] | None,
    cmap: str,
) -> Panel:
    """Map with its σ; pixels without a result are not numbers, and masked."""
    action = "plot a map"
    dataset, values = map_of(data, variable, action)
    failed = failed_pixels(dataset, values).transpose(Y, X)
    shown = values.where(~failed).astype(float)
    scale = scale_of(shown.values, axis_of(values), cmap, limits=clim, percentile=0.5)
    sigma = _sigma(dataset, variable, values)
    image = picture(shown, X, Y, scale, None if sigma is None else sigma.where(~failed))
    layers: list[Layer] = [image]
    layers += _mask(image.x, image.y, failed.values, "no result", "//////")
    return _panel(values, tuple(layers))


def _panel(values: xr.DataArray, layers: tuple[Layer, ...]) -> Panel:
    return Panel(
        axis_of(values[X]), axis_of(values[Y]), layers, title=_title(values), legend="below",
        is_map=True, aspect=0.8,
    )  # fmt: skip


def _sigma(dataset: xr.Dataset, variable: str | None, values: xr.DataArray) -> xr.DataArray | None:
    """σ of a map in its own order; None where the dataset has none."""
    name = stderr_name(variable or str(values.name))
    if name not in dataset or not {Y, X} <= set(dataset[name].dims):
        return None
    return reduce_to(dataset[name], {Y, X}, "plot σ").transpose(Y, X)


def _mask(x: np.ndarray, y: np.ndarray, where: np.ndarray, text: str, hatch: str) -> list[Layer]:
    if not where.any():
        return []
    return [Mask(bars_of(x, y, where), int(where.sum()), text, hatch, _hatch_colour(hatch))]


def _title(values: xr.DataArray) -> str:
    parts = []
    if COMPONENT in values.coords and values[COMPONENT].ndim == 0:
        parts.append(str(values[COMPONENT].values))
    if POWER in values.coords and values[POWER].ndim == 0:
        parts.append(f"{float(values[POWER]):g} {pretty_unit(names.unit(POWER))}")
    return ", ".join(parts)


@styled
def plot_composition(
    data: xr.Dataset, *, clim: tuple[float, float] | None = None, ax: Axes | None = None
) -> Figure:
    """Draw a map of the iodine content; what is no composition, or none of a single phase, is hatched.

    Parameters
    ----------
    data : xarray.Dataset
        Result of :func:`plkit.composition_map`: ``x_iodine`` (y, x), ``composition_flag``.
    clim : tuple of float, optional
        Ends of the colour scale [iodine per formula unit]; from 0 by default, so that maps compare.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the legend says what each hatching means and of how many pixels.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> figure = plot_composition(da.to_dataset(name="x_iodine"), clim=(0.0, 1.5))
    >>> figure.axes[0].collections[0].get_clim()
    (0.0, 1.5)
    """
    return on_axes(composition_panel(data, clim), ax)


def hv_composition(data: xr.Dataset, *, clim: tuple[float, float] | None = None) -> Any:
    """Draw for the screen what :func:`plot_composition` draws for paper.

    Parameters
    ----------
    data : xarray.Dataset
        Result of :func:`plkit.composition_map`: ``x_iodine`` (y, x), ``composition_flag``.
    clim : tuple of float, optional
        Ends of the colour scale [iodine per formula unit]; from 0 by default.

    Returns
    -------
    holoviews.Overlay
        An image with the hatchings; value ± σ under the mouse.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> [type(e).__name__ for e in hv_composition(da.to_dataset(name="x_iodine"))]
    ['Image']
    """
    return dress(composition_panel(data, clim))


def composition_panel(data: xr.Dataset, clim: tuple[float, float] | None) -> Panel:
    """Map of the iodine content with σ, and masks by flag."""
    action = "plot the composition"
    require_result(data, ("x_iodine",), action, "plkit.composition_map(ds)")
    dataset, values = map_of(data, "x_iodine", action)
    known = values.values[np.isfinite(values.values)]
    if clim is None and known.size:
        clim = (min(0.0, float(known.min())), float(np.percentile(known, 99.5)))
    named = axis_of(values)
    axis = Axis(named.name, f"{named.long_name} in CsPbBr₃₋ₓIₓ", named.symbol, named.unit)
    image = picture(
        values.astype(float), X, Y, scale_of(known, axis, "cividis", limits=clim),
        _sigma(dataset, "x_iodine", values),
    )  # fmt: skip
    unknown = failed_pixels(dataset, values).transpose(Y, X).values
    layers: list[Layer] = [image]
    for what, flags, hatch in _FLAGGED:
        where = _has_flag(dataset, flags)
        layers += _mask(image.x, image.y, where, what, hatch)
        unknown = unknown & ~where
    layers += _mask(image.x, image.y, unknown, "no result", "//////")
    return _panel(values, tuple(layers))


def _has_flag(data: xr.Dataset, wanted: tuple[str, ...]) -> np.ndarray:
    """Pixels with one of the named flags; none where the data carries no flags."""
    shape = tuple(data.sizes[d] for d in (Y, X))
    flag = data.get("composition_flag")
    if flag is None or "flag_masks" not in flag.attrs:
        return np.zeros(shape, bool)
    masks = np.atleast_1d(flag.attrs["flag_masks"])
    meanings = str(flag.attrs.get("flag_meanings", "")).split()
    bits = sum(int(m) for m, name in zip(masks, meanings, strict=False) if name in wanted)
    return np.asarray((reduce_to(flag, {Y, X}, "plot flags").transpose(Y, X).values & bits) != 0)
