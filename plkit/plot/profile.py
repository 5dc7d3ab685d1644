"""Figure of a halo: a cut through its centre with the fit of Fick's law."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.names import COVARIANCE, PARAM_I, PARAM_J, X, Y
from plkit.physics.fick import pixel_gaussian
from plkit.plot.style import CATEGORICAL, label, label_of, new_axes, reduce_to, styled, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_profile"]

_CURVE_POINTS = 400
_ACTION = "plot a profile"
Array = NDArray[np.float64]


def _model(p: dict[str, float], x: Array, y: float | None, pixel: dict[str, float]) -> Array:
    """Fitted profile along x at the row y; without y the profile of a cut."""
    along = pixel_gaussian(x, p["centre_x"], p["profile_sigma"], pixel[X])
    height = 1.0
    if y is not None:
        height = float(pixel_gaussian(y, p["centre_y"], p["profile_sigma"], pixel[Y]))
    return np.asarray(p["offset"] + p["profile_amplitude"] * height * along)


def _band(fit: xr.Dataset, p: dict[str, float], curve: Any) -> Array:
    """σ of the curve from the covariance of the parameters, by small steps."""
    covariance = fit[COVARIANCE].transpose(PARAM_I, PARAM_J)
    known = [str(n) for n in covariance[PARAM_I].values]
    c = np.nan_to_num(covariance.values)
    gradient = []
    for i, name in enumerate(known):
        step = 1e-3 * max(float(np.sqrt(c[i, i])), 1e-9)
        up, down = ({**p, name: p[name] + s * step} for s in (1.0, -1.0))
        gradient.append((curve(up) - curve(down)) / (2.0 * step))
    g = np.stack(gradient, axis=-1)
    return np.asarray(np.sqrt(np.clip(np.einsum("...i,ij,...j->...", g, c, g), 0.0, None)))


@styled
def plot_profile(
    fraction: xr.DataArray,
    profiles: xr.Dataset,
    *,
    stderr: xr.DataArray | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a cut along x through the middle of a halo, with the fitted profile and its σ band.

    Parameters
    ----------
    fraction : xarray.DataArray
        Emission fraction of the component that grew, (y, x) or (x) [1].
    profiles : xarray.Dataset
        Result of :func:`plkit.fit_fick_profile` for it.
    stderr : xarray.DataArray, optional
        σ of the fraction, drawn as bars.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        The figure of the axes; the legend gives the width and the diffusion coefficient.

    Raises
    ------
    DataError
        If there is more than one map, or the fit is of several.

    Examples
    --------
    >>> x = np.arange(0.0, 9.0)
    >>> cut = xr.DataArray(0.6 * np.exp(-0.5 * (x - 4.0) ** 2), {"x": x}, ("x",), "fraction")
    >>> fit = {"profile_amplitude": 0.6, "profile_sigma": 1.0, "offset": 0.0, "centre_x": 4.0}
    >>> fit |= {"diffusion_coefficient": 1e-14, "diffusion_coefficient_stderr": 1e-15}
    >>> figure = plot_profile(cut, xr.Dataset({**fit, "profile_sigma_stderr": 0.1}))
    >>> print(figure.axes[0].get_legend_handles_labels()[1][0])
    fit: σ = 1.00 ± 0.10 µm
    $D$ = (1.00 ± 0.10) × 10⁻¹⁴ m²/s
    """
    dims = {Y, X} if Y in fraction.dims else {X}
    fraction = reduce_to(fraction, dims, _ACTION)
    fit = profiles.squeeze(drop=True)
    if fit["profile_sigma"].ndim:
        found = ", ".join(map(str, fit["profile_sigma"].dims))
        raise DataError(
            _ACTION, f"the fit runs over {found}, not one profile", "Select one, as in the map."
        )
    p = {n: float(fit[n]) for n in ("profile_amplitude", "profile_sigma", "offset")}
    p |= {n: float(fit[n]) for n in ("centre_x", "centre_y") if n in fit}
    y: float | None = None
    if Y in dims:
        fraction = fraction.sel({Y: p["centre_y"]}, method="nearest") if _known(p) else fraction
        if Y in fraction.dims:  # nothing was fitted: the middle row says as much as any other
            fraction = fraction.isel({Y: fraction.sizes[Y] // 2})
        y = float(fraction[Y])
        if stderr is not None:
            stderr = reduce_to(stderr, dims, _ACTION).sel({Y: y})
    figure, ax = new_axes(ax)
    x = fraction[X].values.astype(float)
    errors = None if stderr is None else stderr.values
    ax.errorbar(
        x, fraction.values, errors, fmt="o", ms=2.2, color=CATEGORICAL[0], elinewidth=0.5,
        alpha=0.75, markeredgewidth=0, label="" if y is None else f"cut at y = {y:.4g} µm",
    )  # fmt: skip
    if _known(p):
        _draw_fit(ax, fit, p, x, y, profiles)
    ax.set_xlabel(label(X))
    ax.set_ylabel(label_of(fraction))
    ax.margins(x=0.0)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.32 * (high - low))  # room for the legend above the halo
    ax.legend(loc="upper left", handletextpad=0.4)
    return figure  # type: ignore[return-value]


def _known(p: dict[str, float]) -> bool:
    return all(np.isfinite(v) for v in p.values())


def _draw_fit(
    ax: Any, fit: xr.Dataset, p: dict[str, float], x: Array, y: float | None, profiles: xr.Dataset
) -> None:
    step = float(np.median(np.diff(x))) if x.size > 1 else 0.0
    pixel = {X: step, Y: step}
    grid = np.linspace(x.min(), x.max(), _CURVE_POINTS)

    def curve(q: dict[str, float]) -> Array:
        return _model(q, grid, y, pixel)

    centre = curve(p)
    width = _estimate(fit, "profile_sigma")
    diffusion = _estimate(fit, "diffusion_coefficient")
    colour = CATEGORICAL[1]
    ax.plot(grid, centre, color=colour, linewidth=1.1, label=f"fit: σ = {width}\n$D$ = {diffusion}")
    if COVARIANCE in profiles:
        sigma = _band(fit, p, curve)
        ax.fill_between(
            grid, centre - sigma, centre + sigma, color=colour, alpha=0.3, linewidth=0, zorder=3
        )


def _estimate(fit: xr.Dataset, name: str) -> str:
    return value_text(float(fit[name]), float(fit[f"{name}_stderr"]), names.unit(name))
