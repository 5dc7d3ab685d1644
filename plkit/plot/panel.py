"""What a figure shows, before it is drawn: arrays, labels and colours, once for paper and for pages.

Every kind of figure is one function that turns result Datasets into a :class:`Panel` (or several).
:mod:`plkit.plot.paper` draws a panel with matplotlib, :mod:`plkit.plot.screen` with HoloViews. Neither
sees the Dataset, so that the two cannot show different numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.physics.cycling import CELSIUS
from plkit.plot.style import CATEGORICAL, joined, math_symbol

__all__ = [
    "Axis", "Band", "Classes", "Layer", "Line", "Mask", "Note", "OtherAxis", "Panel", "Picture",
    "Points", "Rug", "Rule", "Scale", "axis_of", "bars_of", "celsius", "edges", "named_axis", "picture", "scale_of",
]  # fmt: skip

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity that is drawn along an axis or as a colour.

    Parameters
    ----------
    name : str
        Name of the column, as in the Dataset.
    long_name : str
        What the label says.
    symbol : str, optional
        Symbol as in :data:`plkit.names.TABLE`.
    unit : str, optional
        As in ``attrs["units"]``.
    log : bool, optional
        Drawn logarithmically.
    """

    name: str
    long_name: str
    symbol: str = ""
    unit: str = "1"
    log: bool = False

    @property
    def text(self) -> str:
        """Label in plain text, with the unit."""
        return joined(self.long_name, self.symbol, self.unit)

    @property
    def math(self) -> str:
        """Label with mathtext, with the unit."""
        symbol = "" if self.symbol == self.long_name else math_symbol(self.symbol)
        return joined(self.long_name, symbol, self.unit)


@dataclass(frozen=True, slots=True)
class Scale:
    """Colours for numbers; ``reach`` below 1 leaves out the lightest colours, for lines on white."""

    axis: Axis
    low: float
    high: float
    cmap: str = "viridis"
    reach: float = 1.0

    def colour(self, value: float) -> str:
        """Colour of a number as #rrggbb."""
        import matplotlib as mpl
        from matplotlib.colors import to_hex

        span = (self.high - self.low) or 1.0
        return to_hex(mpl.colormaps[self.cmap](self.reach * (value - self.low) / span))

    def colours(self) -> list[str]:
        """All its colours, from low to high."""
        return [self.colour(v) for v in np.linspace(self.low, self.high, 256)]


Extra = tuple[tuple[Axis, Any], ...]


@dataclass(frozen=True, slots=True)
class Points:
    """Points with σ; ``y_sigma`` may be (2, n), below and above. ``extra`` is said on hover.

    Without ``bars`` σ is only said: a :class:`Band` shows it.
    """

    x: Array
    y: Array
    y_sigma: Array | None = None
    x_sigma: Array | None = None
    colour: str = CATEGORICAL[0]
    label: str = ""
    marker: str = "o"
    size: float = 2.8
    hollow: bool = False
    edge: str = ""
    bars: bool = True
    extra: Extra = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A curve; ``y_sigma`` is said on hover, a :class:`Band` shows it."""

    x: Array
    y: Array
    colour: str = CATEGORICAL[0]
    label: str = ""
    width: float = 1.0
    style: str = "-"
    y_sigma: Array | None = None
    extra: Extra = ()


@dataclass(frozen=True, slots=True)
class Band:
    """The interval of one σ around a curve, or an area."""

    x: Array
    low: Array
    high: Array
    colour: str = CATEGORICAL[0]
    alpha: float = 0.25


@dataclass(frozen=True, slots=True)
class Picture:
    """Numbers over two axes as colours; what is not a number is grey."""

    x: Array
    y: Array
    values: Array
    scale: Scale
    sigma: Array | None = None
    bar: bool = True


@dataclass(frozen=True, slots=True)
class Classes:
    """Codes 0, 1, 2 … over two axes, each with its name and colour; below 0 nothing is drawn."""

    x: Array
    y: Array
    codes: NDArray[np.int64]
    names: tuple[str, ...]
    colours: tuple[str, ...]
    title: str
    log: bool = False


@dataclass(frozen=True, slots=True)
class Mask:
    """Pixels that are hatched, joined to rectangles (left, bottom, right, top)."""

    bars: tuple[tuple[float, float, float, float], ...]
    count: int
    text: str
    hatch: str
    colour: str

    @property
    def label(self) -> str:
        """What it means and of how many pixels."""
        return f"{self.text} ({self.count})"


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line across the panel, or a grey stripe to ``until``."""

    at: float
    until: float | None = None
    vertical: bool = False
    colour: str = "#7F7F7F"
    label: str = ""
    style: str = "--"
    width: float = 0.7


@dataclass(frozen=True, slots=True)
class Rug:
    """Grey marks along the bottom: places where there is no result."""

    x: Array
    text: str = "no result"

    @property
    def label(self) -> str:
        """What it means and of how many places."""
        return f"{self.text} ({self.x.size})"


@dataclass(frozen=True, slots=True)
class Note:
    """A few words at a place."""

    x: float
    y: float
    text: str
    colour: str = "#000000"
    align: str = "left"


Layer = Points | Line | Band | Picture | Classes | Mask | Rule | Rug | Note


@dataclass(frozen=True, slots=True)
class OtherAxis:
    """The same axis in another quantity: 1000/T as T, K as °C."""

    axis: Axis
    forth: Any
    back: Any


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes and what is on it, from the back to the front."""

    x: Axis
    y: Axis
    layers: tuple[Layer, ...]
    scale: Scale | None = None
    title: str = ""
    legend: str = ""
    x_limits: tuple[float | None, float | None] = (None, None)
    y_limits: tuple[float | None, float | None] = (None, None)
    headroom: float = 0.0
    tight: bool = False
    is_map: bool = False
    top: OtherAxis | None = None
    right: OtherAxis | None = None
    aspect: float = 0.72

    def of(self, kind: type) -> list[Any]:
        """Layers of one kind."""
        return [layer for layer in self.layers if isinstance(layer, kind)]


# Making them ----------------------------------------------------------------------------------
def named_axis(name: str, *, log: bool = False) -> Axis:
    """Axis of a name in :data:`plkit.names.TABLE`."""
    q = names.attrs(name)
    return Axis(name, q["long_name"], names.symbol(name), names.unit(name), log)


def axis_of(da: xr.DataArray, *, log: bool = False) -> Axis:
    """Axis of an array: by its name where plkit knows it and its unit, else by its attributes.

    An array that states no unit has that of its name: plkit's functions take it so, too.
    """
    name = str(da.name) if da.name is not None else "values"
    unit = str(da.attrs.get("units", "1"))
    base = name.removesuffix("_stderr")
    if base in names.TABLE and ("units" not in da.attrs or names.unit(name) == unit):
        return named_axis(name, log=log)
    return Axis(name, str(da.attrs.get("long_name", name)), "", unit, log)


def scale_of(
    values: ArrayLike, axis: Axis, cmap: str, *, limits: tuple[float, float] | None = None,
    percentile: float = 0.0, reach: float = 1.0,
) -> Scale:  # fmt: skip
    """Scale over the finite values, or between the given limits; 0 to 1 where there are none."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if limits is None and known.size:
        low, high = np.percentile(known, [percentile, 100.0 - percentile])
        limits = (float(low), float(high))
    low, high = limits if limits is not None else (0.0, 1.0)
    return Scale(axis, low, high if high > low else low + 1.0, cmap, reach)


def picture(
    da: xr.DataArray, x: str, y: str, scale: Scale, sigma: xr.DataArray | None = None
) -> Picture:
    """Picture of an array, its axes ascending."""
    da = da.transpose(y, x)
    order = tuple(np.argsort(coordinate(da, d), kind="stable") for d in (y, x))
    grid = np.ix_(*order)
    values = np.asarray(da.values, float)[grid]
    error = None if sigma is None else np.asarray(sigma.transpose(y, x).values, float)[grid]
    return Picture(
        coordinate(da, x)[order[1]], coordinate(da, y)[order[0]], values, scale, error
    )  # fmt: skip


def coordinate(da: xr.DataArray, dim: str) -> Array:
    """Coordinate of a dim as numbers; counted where it has none."""
    return np.asarray(da[dim].values, float)


def edges(centres: Array, *, log: bool = False) -> Array:
    """Borders of pixels from their centres, half way; a single pixel is one unit wide."""
    if log:
        return np.asarray(np.exp(edges(np.log(centres))))
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = 0.5 * (centres[1:] + centres[:-1])
    first, last = 1.5 * centres[0] - 0.5 * centres[1], 1.5 * centres[-1] - 0.5 * centres[-2]
    return np.concatenate([[first], middle, [last]])


def bars_of(x: Array, y: Array, mask: NDArray[np.bool_], *, log: bool = False) -> tuple[Any, ...]:
    """Rectangles that cover the pixels of a mask, joined along x so that a thousand stay light."""
    left, low = edges(x, log=log), edges(y, log=log)
    bars = []
    for row in np.flatnonzero(mask.any(axis=1)):
        ends = np.diff(np.concatenate([[False], mask[row], [False]]).astype(int))
        for start, stop in zip(np.flatnonzero(ends == 1), np.flatnonzero(ends == -1), strict=True):
            bars.append((left[start], low[row], left[stop], low[row + 1]))
    return tuple(tuple(float(v) for v in bar) for bar in bars)


def celsius() -> OtherAxis:
    """Second axis of a temperature, in °C."""
    return OtherAxis(Axis("celsius", "Temperature", "", "°C"), _to_celsius, _to_kelvin)


def _to_celsius(kelvin: Any) -> Any:
    return np.asarray(kelvin, float) - CELSIUS


def _to_kelvin(celsius_value: Any) -> Any:
    return np.asarray(celsius_value, float) + CELSIUS


def colour_number(n: int) -> str:
    """Colour of the n-th series."""
    return CATEGORICAL[n % len(CATEGORICAL)]


def marker_number(n: int) -> str:
    """Marker of the n-th series."""
    return "os^Dv"[n % 5]
