"""The same figures for pages and notebooks, as HoloViews elements with labels and units.

The elements are made from ``hv.Dataset(da).to(…)``: an Image made from the array alone would lose
labels and units. Their look is set for Bokeh, which pages use; other backends show them in their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError, MissingExtraError
from plkit.names import COMPONENT, INTENSITY, TIME, X, Y
from plkit.plot.arrhenius import arrhenius_points
from plkit.plot.kinetics import falling_component, fitted_curve
from plkit.plot.maps import failed_pixels, map_of
from plkit.plot.spectra import array_of, series_dim
from plkit.plot.style import CATEGORICAL, FAILED, colour_map, pretty_unit, reduce_to
from plkit.schema import spectral_dim

__all__ = ["hv_arrhenius", "hv_kinetics", "hv_map", "hv_spectra"]

_CURVE_POINTS = 200


def _holoviews() -> Any:
    try:
        import holoviews as hv
    except ImportError as error:
        raise MissingExtraError(
            "draw an interactive figure", "HoloViews is not installed, not importable",
            "Install it: pip install holoviews bokeh.",
        ) from error  # fmt: skip
    return hv


def _looking(element: Any, **options: Any) -> Any:
    """Set how Bokeh draws an element, without loading anything into a notebook."""
    import holoviews.plotting.bokeh  # noqa: F401  registers the backend

    return element.opts(backend="bokeh", **options)


def _dimension(hv: Any, name: str, da: xr.DataArray | None = None) -> Any:
    """Return a HoloViews dimension with the label and the unit of the array, else of the table."""
    if da is not None and ("units" in da.attrs or "long_name" in da.attrs):
        text = str(da.attrs.get("long_name", name))
        unit = str(da.attrs.get("units", "1"))
    else:
        text, unit = names.attrs(name)["long_name"], names.unit(name)
    return hv.Dimension(name, label=text, unit=pretty_unit(unit) or None)


def _dataset(hv: Any, da: xr.DataArray, name: str) -> Any:
    da = da.rename(name).drop_vars([c for c in da.coords if c not in da.dims])
    keys = [_dimension(hv, str(d), da[d]) for d in da.dims]
    return hv.Dataset(da, kdims=keys, vdims=[_dimension(hv, name, da)])


def hv_map(
    data: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    clim: tuple[float, float] | None = None,
) -> Any:
    """Draw a map as an Image with its colour limits bound; pixels without a result are NaN.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        (y, x) [um], dims of length one besides; a Dataset may hold ``fit_status``.
    variable : str, optional
        Variable of a Dataset.
    clim : tuple of float, optional
        Ends of the colour scale; its 0.5 and 99.5 percentiles by default.

    Returns
    -------
    holoviews.Image
        Over x and y, labelled with units.

    Raises
    ------
    DataError
        If the data is not one map.

    Examples
    --------
    >>> da = xr.DataArray(np.eye(4), {"y": np.arange(4.0), "x": np.arange(4.0)}, ("y", "x"))
    >>> hv_map(da.rename("fraction")).vdims[0].pprint_label
    'Emission fraction'
    """
    hv = _holoviews()
    dataset, values = map_of(data, variable, "draw a map")
    values = values.where(~failed_pixels(dataset, values))
    name = str(values.name if values.name is not None else "values")
    if clim is None and bool(np.isfinite(values).any()):
        low, high = np.nanpercentile(values.values, [0.5, 99.5])
        clim = (float(low), float(high if high > low else low + 1.0))
    image = _dataset(hv, values, name).to(hv.Image, [X, Y])
    dimension = image.vdims[0].clone(range=clim) if clim else image.vdims[0]
    return _looking(
        image.redim(**{name: dimension}), cmap="viridis", colorbar=True, data_aspect=1,
        clipping_colors={"NaN": FAILED}, tools=["hover"],
    )  # fmt: skip


def hv_spectra(data: xr.Dataset | xr.DataArray, *, variable: str = INTENSITY) -> Any:
    """Draw a series of spectra as curves, one for each value of the dim besides the spectral one.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        (λ) or (one more dim, λ).
    variable : str, optional
        Variable of a Dataset.

    Returns
    -------
    holoviews.Curve or holoviews.NdOverlay
        Labelled with units.

    Raises
    ------
    DataError
        If the data has more than one dim besides the spectral one.

    Examples
    --------
    >>> da = xr.DataArray(np.ones((3, 5)), {"time": [0.0, 1.0, 2.0], "wavelength": np.arange(5.0)},
    ...                   ("time", "wavelength"), "intensity", {"units": "counts"})
    >>> len(hv_spectra(da))
    3
    """
    hv = _holoviews()
    action = "draw spectra"
    da = array_of(data, variable, action)
    spectral = spectral_dim(da, action)
    da, dim = series_dim(da, spectral, action)
    if dim is not None and dim not in da.coords:
        da = da.assign_coords({dim: np.arange(da.sizes[dim])})
    name = str(da.name if da.name is not None else variable)
    dataset = _dataset(hv, da, name)
    curves = dataset.to(hv.Curve, [spectral], [name])
    if dim is None:
        return _looking(curves, color=CATEGORICAL[0])
    n = da.sizes[dim]
    ordered = da[dim].dtype.kind in "iuf"
    for i, key in enumerate(da[dim].values):
        colour = _along_viridis(i / max(n - 1, 1)) if ordered else CATEGORICAL[i % 7]
        _looking(curves[key], color=colour)
    return curves.overlay(dim)


def _along_viridis(position: float) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour_map()(0.92 * position))


def hv_kinetics(unmixed: xr.Dataset, kinetics: xr.Dataset) -> Any:
    """Draw fractions against time as points, with the fit and its σ band.

    Parameters
    ----------
    unmixed : xarray.Dataset
        Result of :func:`plkit.unmix` for one series: ``fraction`` (component, time) [1].
    kinetics : xarray.Dataset
        Result of :func:`plkit.fit_kinetics` for it.

    Returns
    -------
    holoviews.Overlay
        Per component: band, curve, points; labelled with units.

    Raises
    ------
    DataError
        If the fractions run over more than component and time.

    Examples
    --------
    >>> falls = np.array([1.0, 0.6, 0.5])
    >>> axes = {"component": ["pristine", "bromide"], "time": [0.0, 50.0, 100.0]}
    >>> f = xr.DataArray([falls, 1.0 - falls], axes, ("component", "time"))
    >>> fit = xr.Dataset({"k01": 0.4, "k1": 0.04, "k02": 0.3, "k2": 0.005, "plateau": 0.3})
    >>> [type(e).__name__ for e in hv_kinetics(f.to_dataset(name="fraction"), fit)][:3]
    ['Area', 'Curve', 'Scatter']
    """
    hv = _holoviews()
    action = "draw the kinetics"
    fraction = unmixed["fraction"]
    falling = falling_component(fraction, kinetics, action)
    fraction = reduce_to(fraction, {COMPONENT, TIME}, action)
    t = fraction[TIME].values.astype(float)
    grid = np.linspace(t.min(), t.max(), _CURVE_POINTS)
    curve, sigma = fitted_curve(kinetics.squeeze(drop=True), grid)
    keys, values = [_dimension(hv, TIME, fraction[TIME])], [_dimension(hv, "fraction")]
    layers = []
    components = [str(c) for c in fraction[COMPONENT].values]
    for n, name in enumerate(components):
        colour = CATEGORICAL[n % len(CATEGORICAL)]
        measured = fraction.sel({COMPONENT: name}).values
        points = hv.Scatter((t, measured), keys, values, label=name)
        if len(components) == 2 or name == falling:
            fit = curve if name == falling else 1.0 - curve
            spread = np.nan_to_num(sigma)
            band = hv.Area((grid, fit - spread, fit + spread), keys, [*values, "upper"])
            layers.append(_looking(band, color=colour, alpha=0.25, line_width=0))
            line = hv.Curve((grid, fit), keys, values, label=f"{name}, fit")
            layers.append(_looking(line, color=colour))
        layers.append(_looking(points, color=colour, size=3, alpha=0.5))
    return hv.Overlay(layers)


def hv_arrhenius(result: xr.Dataset) -> Any:
    """Draw rates against temperature in Arrhenius' form: line, 68 % band, points with σ on both axes.

    Parameters
    ----------
    result : xarray.Dataset
        Of ``fit_arrhenius`` or ``fit_diffusion_temperature``.

    Returns
    -------
    holoviews.Overlay
        Labelled with units; the curve's label holds the activation energy.

    Raises
    ------
    DataError
        If the result is not that of a fit.

    Examples
    --------
    >>> from plkit.arrhenius import fit_arrhenius
    >>> t = xr.DataArray([290.0, 300.0, 310.0], dims="point", attrs=names.attrs("temperature"))
    >>> k = xr.DataArray([0.03, 0.04, 0.055], dims="point", attrs=names.attrs("rate"))
    >>> [e.label for e in hv_arrhenius(fit_arrhenius(k, t, rate_scatter=0.02)) if e.label]
    ['E_a = 0.235 ± 0.011 eV']
    """
    from plkit.arrhenius import predict_arrhenius
    from plkit.plot.style import value_text

    hv = _holoviews()
    points = arrhenius_points(result, "draw Arrhenius' law")
    quantity = str(result.attrs.get("quantity", "rate"))
    x = points["inverse"].values
    if x.size == 0:
        raise DataError("draw Arrhenius' law", "no point has a number, not at least two")
    t_k = 1e3 / np.linspace(x.min(), x.max(), _CURVE_POINTS)
    line = predict_arrhenius(result, t_k)
    centre, sigma = line[f"ln_{quantity}"].values, line[f"ln_{quantity}_stderr"].values
    key = hv.Dimension(
        "inverse", label="1000/T", unit=pretty_unit(names.unit("inverse_temperature"))
    )
    value = hv.Dimension(f"ln_{quantity}", label=names.attrs(f"ln_{quantity}")["long_name"])
    energy = value_text(
        float(result["activation_energy"]), float(result["activation_energy_stderr"]),
        names.unit("activation_energy"),
    )  # fmt: skip
    y, y_sigma = points["ln"].values, points["ln_stderr"].values
    band = hv.Area((1e3 / t_k, centre - sigma, centre + sigma), [key], [value, "upper"])
    fit = hv.Curve((1e3 / t_k, centre), [key], [value], label=f"E_a = {energy}")
    bars = hv.ErrorBars((x, y, y_sigma), [key], [value, "σ"])
    x_sigma = points["inverse_stderr"].values
    across = hv.ErrorBars((x, y, x_sigma), [key], [value, "σ of 1000/T"], horizontal=True)
    colour = CATEGORICAL[0]
    return hv.Overlay(
        [
            _looking(band, color=colour, alpha=0.2, line_width=0),
            _looking(fit, color=colour),
            _looking(bars, line_color=colour, upper_head=None, lower_head=None),
            _looking(across, line_color=colour, upper_head=None, lower_head=None),
            _looking(hv.Scatter((x, y), [key], [value]), color=colour, size=5),
        ]
    )
