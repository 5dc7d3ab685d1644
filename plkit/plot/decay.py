"""Figure of a decay trace: counts, fitted lifetimes, response of the instrument, residual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.lifetimes import expected_decay
from plkit.names import DELAY, INTENSITY, NOISE_GAIN, stderr_name
from plkit.physics.decay import FWHM_PER_SIGMA
from plkit.plot.panel import Axis, Layer, Line, Panel, Points, Rule, named_axis
from plkit.plot.paper import draw_stack, on_axes
from plkit.plot.screen import beside
from plkit.plot.style import (
    CATEGORICAL,
    ascending,
    reduce_to,
    require_result,
    status_text,
    styled,
    value_text,
)
from plkit.schema import require_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_decay", "plot_decay"]

Array = NDArray[np.float64]

_ACTION = "plot a decay"
_GREY = "#555555"


@styled
def plot_decay(
    decay: xr.Dataset | xr.DataArray,
    fit: xr.Dataset,
    *,
    irf: xr.Dataset | xr.DataArray | None = None,
    max_points: int = 600,
    ax: Axes | None = None,
) -> Figure:
    """Draw a decay trace with its fitted lifetimes, the response, and the residual in units of σ.

    Parameters
    ----------
    decay : xarray.Dataset or xarray.DataArray
        ``intensity`` (delay) [counts] of one trace: what was fitted.
    fit : xarray.Dataset
        Result of :func:`plkit.fit_lifetimes` for it.
    irf : xarray.Dataset or xarray.DataArray, optional
        The measured response, where one was fitted with; drawn to the height of the decay.
    max_points : int, optional
        Neighbouring bins are averaged until there are no more points than these, for data, fit and
        residual alike; a misfit too small to show in one bin then shows.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on, then without the residual; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; bars are the σ of counted photons, the legend gives lifetimes with σ.

    Raises
    ------
    DataError
        If there are several traces, or the fit is of another one.

    Notes
    -----
    The residual of a point is (n − μ)/√(g μ), summed over its bins, with the gain g of the counts.

    Examples
    --------
    >>> from plkit import fit_lifetimes
    >>> t = xr.DataArray(np.arange(300.0), dims="delay", attrs={"units": "ns"})
    >>> counts = np.random.default_rng(0).poisson(800.0 * np.exp(-t / 40.0) + 3.0)
    >>> trace = xr.DataArray(counts, dims="delay", coords={"delay": t}, attrs={"units": "counts"})
    >>> figure = plot_decay(trace, fit_lifetimes(trace))
    >>> figure.axes[0].get_legend_handles_labels()[1][0]
    'τ₁ = 40.45 ± 0.29 ns'
    """
    panels = decay_panels(decay, fit, irf, max_points)
    if ax is not None:
        return on_axes(panels[0], ax)
    return draw_stack(panels, None, 0.95, (3.0, 1.0))


def hv_decay(
    decay: xr.Dataset | xr.DataArray,
    fit: xr.Dataset,
    *,
    irf: xr.Dataset | xr.DataArray | None = None,
    max_points: int = 600,
) -> Any:
    """Draw for the screen what :func:`plot_decay` draws for paper.

    Parameters
    ----------
    decay : xarray.Dataset or xarray.DataArray
        ``intensity`` (delay) [counts] of one trace.
    fit : xarray.Dataset
        Result of :func:`plkit.fit_lifetimes` for it.
    irf : xarray.Dataset or xarray.DataArray, optional
        The measured response, where one was fitted with.
    max_points : int, optional
        Neighbouring bins are averaged until there are no more points than these.

    Returns
    -------
    holoviews.Layout
        The trace with its fit, and the residual below.

    Raises
    ------
    DataError
        If there are several traces, or the fit is of another one.

    Examples
    --------
    >>> from plkit import fit_lifetimes
    >>> t = xr.DataArray(np.arange(300.0), dims="delay", attrs={"units": "ns"})
    >>> counts = np.random.default_rng(0).poisson(800.0 * np.exp(-t / 40.0) + 3.0)
    >>> trace = xr.DataArray(counts, dims="delay", coords={"delay": t}, attrs={"units": "counts"})
    >>> len(hv_decay(trace, fit_lifetimes(trace)))
    2
    """
    return beside(decay_panels(decay, fit, irf, max_points), columns=1, heights=(260, 90))


def decay_panels(
    decay: xr.Dataset | xr.DataArray,
    fit: xr.Dataset,
    irf: xr.Dataset | xr.DataArray | None,
    max_points: int,
) -> tuple[Panel, Panel]:
    """Counts with σ, fit and response on a logarithmic axis; residual in units of σ."""
    require_result(fit, ("background", "lifetime_1"), _ACTION, "plkit.fit_lifetimes(decay)")
    fit = fit.squeeze(drop=True)
    trace = _trace(decay)
    if fit["background"].ndim:
        several = ", ".join(map(str, fit["background"].dims))
        raise DataError(
            _ACTION, f"the fit runs over {several}, not one trace", "Select the same in both."
        )
    t, counts = trace[DELAY].values.astype(float), trace.values.astype(float)
    gain = (
        float(decay[NOISE_GAIN]) if isinstance(decay, xr.Dataset) and NOISE_GAIN in decay else 1.0
    )
    curve = expected_decay(fit, trace, irf=irf)
    inside = np.isin(t, curve[DELAY].values)
    model = np.full(t.size, np.nan)
    model[inside] = curve.values
    width = int(np.ceil(t.size / max(max_points, 10)))
    x, y, mu = (_means(v, width) for v in (t, counts, model))
    # Of the mean of n bins; where nothing was counted, that of the fit.
    sigma = np.sqrt(gain * np.where(y > 0, y, np.nan_to_num(mu)) / width)
    label = "data" if width == 1 else f"data, means of {width} bins"
    shown = np.where(y > 0, y, np.nan)
    layers: list[Layer] = [Points(x, shown, sigma, colour=_GREY, label=label, size=2.0)]
    layers += _response(fit, irf, float(np.nanmax(y)) if np.isfinite(y).any() else 1.0)
    layers.append(Line(x, mu, CATEGORICAL[1], _lifetimes(fit), 1.2))
    lowest = np.nanmin(shown) if np.isfinite(shown).any() else 0.5
    top = np.nanmax(shown) if np.isfinite(shown).any() else 1.0
    status = status_text(fit)
    above = Panel(
        named_axis(DELAY), named_axis(INTENSITY, log=True), tuple(layers), legend="upper right",
        y_limits=(float(0.5 * lowest), float(3.0 * top)), tight=True,
        title=f"fit: {status}" if status else "",
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(mu > 0, (y - mu) / np.sqrt(gain * mu / width), np.nan)
    below: tuple[Layer, ...] = (
        Rule(0.0, colour="#000000", width=0.5, style="-"), Rule(-1.0, 1.0),
        Points(x, rest, colour=CATEGORICAL[0], size=1.8),
    )  # fmt: skip
    return above, Panel(named_axis(DELAY), Axis("residual", "Residual\n/ σ"), below, tight=True)


def _trace(decay: xr.Dataset | xr.DataArray) -> xr.DataArray:
    if isinstance(decay, xr.Dataset):
        require_result(decay, (INTENSITY,), _ACTION, "plkit.read of a decay file")
        decay = decay[INTENSITY]
    if not isinstance(decay, xr.DataArray) or DELAY not in decay.coords:
        raise DataError(
            _ACTION, "the data has no coordinate 'delay', not even one value",
            "Give what plkit.read returns for a decay file.",
        )  # fmt: skip
    trace = ascending(reduce_to(decay, {DELAY}, _ACTION), DELAY)
    return trace.assign_coords({DELAY: require_unit(trace[DELAY], DELAY, _ACTION)})


def _means(values: Array, width: int) -> Array:
    """Means of so many neighbours; a rest at the end is left out."""
    n = values.size // width
    out: Array = values[: n * width].reshape(n, width).mean(axis=1)
    return out


def _lifetimes(fit: xr.Dataset) -> str:
    """Lifetimes with σ, the fastest first; the exponent of a stretched one."""
    lines = []
    for i, number in ((1, "₁"), (2, "₂"), (3, "₃")):
        name = f"lifetime_{i}"
        if name in fit:
            found = value_text(float(fit[name]), float(fit[stderr_name(name)]), names.unit(name))
            lines.append(f"τ{number} = {found}")
    if "beta" in fit:
        lines.append(f"β = {value_text(float(fit['beta']), float(fit[stderr_name('beta')]))}")
    return "\n".join(lines)


def _response(fit: xr.Dataset, irf: xr.Dataset | xr.DataArray | None, height: float) -> list[Layer]:
    """Response where the fit shifted it to, drawn to the height of the data; none without one."""
    kind = str(fit.attrs.get("irf", "none"))
    shift = float(fit["irf_shift"]) if "irf_shift" in fit else 0.0
    if kind == "gaussian" and np.isfinite(shift):
        sigma = float(fit["irf_fwhm"]) / FWHM_PER_SIGMA
        x = shift + sigma * np.linspace(-4.5, 4.5, 181)
        y = np.exp(-0.5 * ((x - shift) / sigma) ** 2)
    elif kind == "histogram" and irf is not None:
        measured = _trace(irf)
        x = measured[DELAY].values.astype(float) + (shift if np.isfinite(shift) else 0.0)
        y = measured.values.astype(float)
        y = np.where(y > 0, y, np.nan) / (np.nanmax(y) if np.nanmax(y) > 0 else 1.0)
    else:
        return []
    return [Line(x, height * y, CATEGORICAL[0], "response", 0.8, "--")]
