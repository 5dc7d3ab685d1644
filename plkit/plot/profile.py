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
from plkit.plot.panel import Band, Layer, Line, Panel, Points, axis_of, named_axis
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import (
    CATEGORICAL,
    ascending,
    reduce_to,
    require_result,
    status_text,
    styled,
    value_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_profile", "plot_profile"]

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
    D = (1.00 ± 0.10) × 10⁻¹⁴ m²/s
    """
    return on_axes(profile_panel(fraction, profiles, stderr), ax)


def hv_profile(
    fraction: xr.DataArray, profiles: xr.Dataset, *, stderr: xr.DataArray | None = None
) -> Any:
    """Draw for the screen what :func:`plot_profile` draws for paper.

    Parameters
    ----------
    fraction : xarray.DataArray
        Emission fraction of the component that grew, (y, x) or (x) [1].
    profiles : xarray.Dataset
        Result of :func:`plkit.fit_fick_profile` for it.
    stderr : xarray.DataArray, optional
        σ of the fraction, drawn as bars.

    Returns
    -------
    holoviews.Overlay
        The cut with σ, the fitted profile and its band.

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
    >>> [type(e).__name__ for e in hv_profile(cut, xr.Dataset({**fit, "profile_sigma_stderr": 0.1}))]
    ['Scatter', 'Curve']
    """
    return dress(profile_panel(fraction, profiles, stderr))


def profile_panel(
    fraction: xr.DataArray, profiles: xr.Dataset, stderr: xr.DataArray | None
) -> Panel:
    """Cut through the middle of a halo with its fit and band."""
    wanted = ("profile_amplitude", "profile_sigma", "offset")
    require_result(profiles, wanted, _ACTION, "plkit.fit_fick_profile(fraction, rate=…)")
    if not isinstance(fraction, xr.DataArray):
        raise DataError(
            _ACTION, f"'fraction' is a {type(fraction).__name__}, not a DataArray",
            'Pass one variable: maps["fraction"].sel(component=…).',
        )  # fmt: skip
    dims = {Y, X} if Y in fraction.dims else {X}
    fraction = reduce_to(fraction, dims, _ACTION)
    fit = profiles.squeeze(drop=True)
    if fit["profile_sigma"].ndim:
        found = ", ".join(map(str, fit["profile_sigma"].dims))
        raise DataError(
            _ACTION, f"the fit runs over {found}, not one profile", "Select one, as in the map."
        )
    p = {n: float(fit[n]) for n in wanted}
    p |= {n: float(fit[n]) for n in ("centre_x", "centre_y") if n in fit}
    y: float | None = None
    if Y in dims:
        fraction = fraction.sel({Y: p["centre_y"]}, method="nearest") if _known(p) else fraction
        if Y in fraction.dims:  # nothing was fitted: the middle row says as much as any other
            fraction = fraction.isel({Y: fraction.sizes[Y] // 2})
        y = float(fraction[Y])
        if stderr is not None:
            stderr = reduce_to(stderr, dims, _ACTION).sel({Y: y})
    fraction = ascending(fraction, X)
    x = fraction[X].values.astype(float)
    errors = None if stderr is None else ascending(stderr, X).values.astype(float)
    cut = "" if y is None else f"cut at y = {y:.4g} µm"
    layers: list[Layer] = [
        Points(x, fraction.values, errors, colour=CATEGORICAL[0], label=cut, size=2.2)
    ]
    if _known(p):
        layers += _fit_layers(fit, p, x, y)
    return Panel(
        named_axis(X), axis_of(fraction), tuple(layers), legend="upper left", tight=True, headroom=0.32,
        title="" if _known(p) else f"no fit: {status_text(fit) or 'no values'}",
    )  # fmt: skip


def _known(p: dict[str, float]) -> bool:
    return all(np.isfinite(v) for v in p.values())


def _fit_layers(fit: xr.Dataset, p: dict[str, float], x: Array, y: float | None) -> list[Layer]:
    step = float(np.median(np.diff(x))) if x.size > 1 else 0.0
    pixel = {X: step, Y: step}
    grid = np.linspace(x.min(), x.max(), _CURVE_POINTS)

    def curve(q: dict[str, float]) -> Array:
        return _model(q, grid, y, pixel)

    centre, colour = curve(p), CATEGORICAL[1]
    width, diffusion = _estimate(fit, "profile_sigma"), _estimate(fit, "diffusion_coefficient")
    text = f"fit: σ = {width}" + (f"\nD = {diffusion}" if diffusion else "")
    status = status_text(fit)
    text += f" ({status})" if status else ""
    if COVARIANCE not in fit:
        return [Line(grid, centre, colour, text, 1.1)]
    sigma = _band(fit, p, curve)
    return [
        Line(grid, centre, colour, text, 1.1, y_sigma=sigma),
        Band(grid, centre - sigma, centre + sigma, colour, 0.3),
    ]


def _estimate(fit: xr.Dataset, name: str) -> str:
    """Number with σ; empty where it was not asked for."""
    if name not in fit:
        return ""
    sigma = names.stderr_name(name)
    return value_text(
        float(fit[name]), float(fit[sigma]) if sigma in fit else None, names.unit(name)
    )
