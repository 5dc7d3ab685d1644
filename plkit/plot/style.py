"""How every figure looks: sizes, colours that colour-blind readers can tell apart, labels."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import FIT_STATUS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

__all__ = [
    "CATEGORICAL",
    "DOUBLE_COLUMN_IN",
    "FAILED",
    "SINGLE_COLUMN_IN",
    "colour_map",
    "label",
    "label_of",
    "pretty_unit",
    "rc",
    "text_label",
    "value_text",
]

SINGLE_COLUMN_IN: Final = 3.3
DOUBLE_COLUMN_IN: Final = 6.9

CATEGORICAL: Final = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
)  # fmt: skip
"""Okabe and Ito's colours (yellow left out: it vanishes on white)."""

FAILED: Final = "#BDBDBD"
"""Grey of pixels without a number."""

_STATUS: Final = "ok at_bound not_identifiable no_signal failed"
_TEXT_PT: Final = 8.0
_TICK_PT: Final = 7.0

_RC: Final[Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": _TEXT_PT,
    "axes.labelsize": _TEXT_PT,
    "axes.titlesize": _TEXT_PT,
    "axes.linewidth": 0.6,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": _TICK_PT,
    "ytick.labelsize": _TICK_PT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": _TICK_PT,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.borderaxespad": 0.3,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.4,
    "mathtext.fontset": "dejavusans",
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}

# Units as a reader expects them on an axis.
_PRETTY: Final = {
    "um": "µm", "uW": "µW", "us": "µs", "1/s": "s⁻¹", "1/cm": "cm⁻¹", "1/nm": "nm⁻¹", "1/K": "K⁻¹",
    "m^2/s": "m²/s", "1/cm^3": "cm⁻³", "1/(cm^3 s)": "cm⁻³ s⁻¹", "cm^2/s": "cm²/s", "nm^2": "nm²", "1/h": "h⁻¹",
    "counts^2": "counts²", "K/uW": "K/µW", "1/(cm^2 nm s)": "cm⁻² nm⁻¹ s⁻¹",
}  # fmt: skip

_F = TypeVar("_F", bound=Callable[..., Any])
_X = TypeVar("_X", xr.Dataset, xr.DataArray)


def rc() -> Any:
    """Settings of matplotlib under which figures are drawn.

    Returns
    -------
    dict
        For ``matplotlib.rc_context``; a copy.

    Examples
    --------
    >>> rc()["font.size"] >= 6
    True
    """
    return dict(_RC)


def styled(function: _F) -> _F:
    """Draw under :func:`rc` and leave matplotlib's own settings as they were."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        import matplotlib as mpl

        with mpl.rc_context(_RC):
            figure = function(*args, **kwargs)
            for ax in getattr(figure, "axes", ()):
                _plain_ticks(ax)
            return figure

    return inner  # type: ignore[return-value]


@functools.cache
def _plain_formatter() -> Any:
    from matplotlib.ticker import ScalarFormatter

    class PlainFormatter(ScalarFormatter):
        """Numbers at ticks as plain text: mathtext takes half of the time of a figure.

        The power of ten beside the axis is still mathtext.
        """

        def get_offset(self) -> str:
            self.set_useMathText(True)
            try:
                return super().get_offset()
            finally:
                self.set_useMathText(False)

    return PlainFormatter


def _plain_ticks(ax: Axes) -> None:
    from matplotlib.ticker import ScalarFormatter

    for axis in (ax.xaxis, ax.yaxis):
        if type(axis.get_major_formatter()) is ScalarFormatter:
            axis.set_major_formatter(_plain_formatter()(useMathText=False))


def new_axes(
    ax: Axes | None,
    width: Literal["single", "double"] = "single",
    aspect: float = 0.72,
) -> tuple[Figure | SubFigure, Axes]:
    """Return the figure and axes to draw on: the given ones, or new ones of a paper's column."""
    if ax is None:
        figure = new_figure(width, aspect)
        ax = figure.add_subplot()
    # Ticks are made late, outside this style: fix their size now.
    ax.tick_params(labelsize=_TICK_PT, width=0.6, length=3.0)
    return ax.figure, ax


def new_figure(width: Literal["single", "double"] = "single", aspect: float = 0.72) -> Figure:
    """Return an empty figure as wide as one or two columns; ``aspect`` is height over width."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    inches = SINGLE_COLUMN_IN if width == "single" else DOUBLE_COLUMN_IN
    figure = Figure(figsize=(inches, inches * aspect), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def add_colour_bar(figure: Any, mappable: Any, ax: Any, text: str, extend: str = "neither") -> Any:
    """Draw a slim colour bar with its label; pointed ends say that values lie beyond."""
    bar = figure.colorbar(mappable, ax=ax, pad=0.02, aspect=25, extend=extend)
    bar.set_label(text)
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=_TICK_PT, width=0.6, length=2.5)
    return bar


def colour_map(name: str = "viridis") -> Colormap:
    """Return a perceptually uniform colour map in which missing numbers are grey.

    Parameters
    ----------
    name : str, optional
        Name in matplotlib; viridis and cividis are safe for colour-blind readers.

    Returns
    -------
    matplotlib.colors.Colormap
        A copy of its own.

    Examples
    --------
    >>> [round(float(c), 2) for c in colour_map()(float("nan"))[:3]]
    [0.74, 0.74, 0.74]
    """
    import matplotlib as mpl

    return mpl.colormaps[name].with_extremes(bad=FAILED)


# Labels ---------------------------------------------------------------------------------------
def pretty_unit(unit: str) -> str:
    """Unit as printed on an axis.

    Parameters
    ----------
    unit : str
        As in ``attrs["units"]``.

    Returns
    -------
    str
        ``"m²/s"`` for ``"m^2/s"``; empty for a pure number.

    Examples
    --------
    >>> pretty_unit("1/s"), pretty_unit("1")
    ('s⁻¹', '')
    """
    return "" if unit == "1" else _PRETTY.get(unit, unit)


def math_symbol(symbol: str) -> str:
    """``E_PL`` with a subscript, Latin letters in italics; symbols in Unicode stay as they are."""
    if "_" not in symbol:
        return f"${symbol}$" if len(symbol) == 1 and symbol.isascii() else symbol
    base, _, sub = symbol.partition("_")
    return rf"${base}_{{\mathrm{{{sub}}}}}$"


def joined(long_name: str, symbol: str, unit: str) -> str:
    """Label of long name, symbol and unit."""
    text = long_name if symbol in ("", long_name) else f"{long_name} {symbol}"
    return f"{text} ({pretty_unit(unit)})" if pretty_unit(unit) else text


def label(name: str) -> str:
    """Axis label for matplotlib: long name, symbol, unit.

    Parameters
    ----------
    name : str
        In :data:`plkit.names.TABLE`.

    Returns
    -------
    str
        With subscripts as mathtext.

    Examples
    --------
    >>> label("diffusion_coefficient")
    'Diffusion coefficient $D$ (m²/s)'
    """
    long_name, symbol = names.attrs(name)["long_name"], names.symbol(name)
    return joined(long_name, "" if symbol == long_name else math_symbol(symbol), names.unit(name))


def text_label(name: str) -> str:
    """Axis label in plain text, for Bokeh.

    Parameters
    ----------
    name : str
        In :data:`plkit.names.TABLE`.

    Returns
    -------
    str
        Long name, symbol, unit.

    Examples
    --------
    >>> text_label("wavelength")
    'Wavelength λ (nm)'
    """
    return joined(names.attrs(name)["long_name"], names.symbol(name), names.unit(name))


def label_of(da: xr.DataArray) -> str:
    """Axis label of an array: by its name where plkit knows it, else by its attributes.

    Parameters
    ----------
    da : xarray.DataArray
        Named, or with ``long_name`` and ``units``.

    Returns
    -------
    str
        The label; the unit is that of the array.

    Examples
    --------
    >>> label_of(xr.DataArray(0.0, name="light", attrs={"units": "uW"}))
    'light (µW)'
    """
    name = str(da.name) if da.name is not None else ""
    unit = str(da.attrs.get("units", "1"))
    base = name.removesuffix("_stderr")
    if base in names.TABLE and names.unit(name) == unit:
        return label(name)
    return joined(str(da.attrs.get("long_name", name)), "", unit)


def value_text(value: float, stderr: float | None = None, unit: str = "") -> str:
    """Number with σ, rounded to two digits of σ.

    Parameters
    ----------
    value : float
        The estimate.
    stderr : float, optional
        σ; without it three significant digits are given.
    unit : str, optional
        As in ``attrs["units"]``.

    Returns
    -------
    str
        ``"0.248 ± 0.030 eV"``; powers of ten are taken out of both.

    Examples
    --------
    >>> value_text(0.2481, 0.0302, "eV")
    '0.248 ± 0.030 eV'
    >>> value_text(3.9e-14, 4.4e-15, "m^2/s")
    '(3.90 ± 0.44) × 10⁻¹⁴ m²/s'
    """
    tail = f" {pretty_unit(unit)}" if pretty_unit(unit) else ""
    if not math.isfinite(value):
        return "not found"
    if stderr is None or not (math.isfinite(stderr) and stderr > 0):
        return f"{_plain(value)}{tail}".replace("-", "−")
    exponent = math.floor(math.log10(max(abs(value), stderr)))
    factored = exponent < -3 or exponent > 5
    scale = 10.0**exponent if factored else 1.0
    v, s = value / scale, stderr / scale
    # Of the rounded σ: 0.0999 is 0.10.
    digits = max(0, 1 - math.floor(math.log10(float(f"{s:.1e}"))))
    text = f"{v:.{digits}f} ± {s:.{digits}f}".replace("-", "−")
    if factored:
        return f"({text}) × 10{_superscript(exponent)}{tail}"
    return f"{text}{tail}"


def _plain(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa} × 10{_superscript(int(exponent))}"


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def status_text(result: xr.Dataset) -> str:
    """What a fit of one trace says of itself, in words; empty where all is well."""
    status = result.get(FIT_STATUS)
    if status is None or status.size != 1:
        return ""
    code = int(status)
    meanings = str(status.attrs.get("flag_meanings", _STATUS)).split()
    return meanings[code].replace("_", " ") if 0 < code < len(meanings) else ""


# Input ----------------------------------------------------------------------------------------
def require_result(data: object, wanted: Iterable[str], action: str, maker: str) -> xr.Dataset:
    """Return the Dataset; refuse what is none, or lacks a variable, and say what makes the right one."""
    remedy = f"Give the result of {maker}."
    if isinstance(data, xr.DataTree):
        raise DataError(
            action, "a DataTree was given, not a Dataset", f"{remedy} Of a tree: .to_dataset()."
        )
    if not isinstance(data, xr.Dataset):
        raise DataError(action, f"a {type(data).__name__} was given, not a Dataset", remedy)
    missing = [name for name in wanted if name not in data.variables]
    if missing:
        held = ", ".join(map(str, data.data_vars)) or "nothing"
        raise DataError(action, f"the dataset holds {held}, not '{missing[0]}'", remedy)
    return data


def ascending(obj: _X, *dims: str) -> _X:
    """Sort along dims whose coordinates do not ascend; dims without coordinates stay as they are."""
    for dim in dims:
        if dim in obj.dims and dim in obj.coords and not obj.indexes[dim].is_monotonic_increasing:
            obj = obj.sortby(dim)
    return obj


def reduce_to(da: xr.DataArray, dims: set[str], action: str) -> xr.DataArray:
    """Drop dims of length one; refuse what then has others than ``dims``."""
    extra = [str(d) for d in da.dims if d not in dims]
    da = da.isel({d: 0 for d in extra if da.sizes[d] == 1}, drop=True)
    many = [d for d in extra if d in da.dims]
    if many:
        found = ", ".join(f"{d} ({da.sizes[d]})" for d in da.dims)
        wanted = ", ".join(str(d) for d in da.dims if d in dims) or ", ".join(sorted(dims))
        raise DataError(
            action,
            f"the data has the dims {found}, not only {wanted}",
            f"Select one, for instance .isel({many[0]}=0).",
        )
    missing = [d for d in dims if d not in da.dims]
    if missing:
        found = ", ".join(map(str, da.dims)) or "none"
        raise DataError(action, f"the data has the dims {found}, not {', '.join(sorted(dims))}")
    return da
