"""Figure of the detector's noise: variance against mean intensity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.names import NOISE_FLOOR, NOISE_GAIN, stderr_name
from plkit.plot.panel import Band, Layer, Line, Panel, Points, named_axis
from plkit.plot.paper import on_axes
from plkit.plot.screen import dress
from plkit.plot.style import CATEGORICAL, FAILED, require_result, styled, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["hv_photon_transfer", "plot_photon_transfer"]

_ACTION = "plot a photon transfer"


@styled
def plot_photon_transfer(transfer: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw the variance of every channel against its mean intensity, with the line through them.

    Parameters
    ----------
    transfer : xarray.Dataset
        From :func:`plkit.spectra.photon_transfer`: ``mean_intensity``, ``variance``,
        ``used_in_fit``, ``noise_gain``, ``noise_floor``.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; a figure of one column's width by default.

    Returns
    -------
    matplotlib.figure.Figure
        Channels of the fit as dots, those left out in grey, the line with the gain as its slope.

    Raises
    ------
    DataError
        If the dataset is no photon transfer.

    Examples
    --------
    >>> from plkit.spectra import photon_transfer
    >>> rng = np.random.default_rng(1)
    >>> y = rng.poisson(np.linspace(10.0, 500.0, 200), (100, 200))
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), y, {"units": "counts"})},
    ...                 {"time": ("time", np.arange(100.0), {"units": "s"}),
    ...                  "wavelength": ("wavelength", np.linspace(500, 600, 200), {"units": "nm"})})
    >>> plot_photon_transfer(photon_transfer(ds)).axes[0].get_xscale()
    'log'
    """
    return on_axes(transfer_panel(transfer), ax)


def hv_photon_transfer(transfer: xr.Dataset) -> Any:
    """Draw for the screen what :func:`plot_photon_transfer` draws for paper.

    Parameters
    ----------
    transfer : xarray.Dataset
        From :func:`plkit.spectra.photon_transfer`.

    Returns
    -------
    holoviews.Overlay
        Channels, those left out, the line with its band.

    Raises
    ------
    DataError
        If the dataset is no photon transfer.

    Examples
    --------
    >>> from plkit.spectra import photon_transfer
    >>> rng = np.random.default_rng(1)
    >>> y = rng.poisson(np.linspace(10.0, 500.0, 200), (100, 200))
    >>> ds = xr.Dataset({"intensity": (("time", "wavelength"), y, {"units": "counts"})},
    ...                 {"time": ("time", np.arange(100.0), {"units": "s"}),
    ...                  "wavelength": ("wavelength", np.linspace(500, 600, 200), {"units": "nm"})})
    >>> [e.label.split()[0] for e in hv_photon_transfer(photon_transfer(ds)) if e.label][-2:]
    ['channels', 'gain']
    """
    return dress(transfer_panel(transfer))


def transfer_panel(transfer: xr.Dataset) -> Panel:
    """Variance against mean: channels of the fit, those left out in grey, line and band."""
    needed = ("mean_intensity", "variance", "used_in_fit", NOISE_GAIN, NOISE_FLOOR)
    require_result(transfer, needed, _ACTION, "plkit.spectra.photon_transfer(ds)")
    mean = transfer["mean_intensity"].values.ravel()
    variance = transfer["variance"].values.ravel()
    used = transfer["used_in_fit"].values.ravel().astype(bool)
    drawn = (mean > 0) & (variance > 0)
    error = transfer.get(stderr_name("variance"))
    sigma_v = None if error is None else error.values.ravel()
    layers: list[Layer] = []
    for part, colour, label in (
        (drawn & ~used, FAILED, "left out"),
        (drawn & used, CATEGORICAL[0], "channels"),
    ):
        if part.any():
            bars = None if sigma_v is None else sigma_v[part]
            points = Points(mean[part], variance[part], bars, colour=colour, label=label, size=2.2)
            layers.append(points)
    gain, floor = float(transfer[NOISE_GAIN]), float(transfer[NOISE_FLOOR])
    if drawn.any():
        x = np.geomspace(mean[drawn].min(), mean[drawn].max(), 200)
        line = gain * x + floor
        sigma = [float(transfer.get(stderr_name(n), np.nan)) for n in (NOISE_GAIN, NOISE_FLOOR)]
        # The two are not independent: added, their σ bound that of the line.
        spread = np.nan_to_num(sigma[0]) * x + np.nan_to_num(sigma[1])
        text = f"gain {value_text(gain, sigma[0], names.unit(NOISE_GAIN))}"
        up = line > 0
        layers.append(Line(x[up], line[up], "#000000", text, 1.0, y_sigma=spread[up]))
        low = np.where(line - spread > 0, line - spread, np.nan)
        layers.append(Band(x[up], low[up], (line + spread)[up], "#000000", 0.2))
    log = bool(drawn.any())
    return Panel(
        named_axis("mean_intensity", log=log), named_axis("variance", log=log), tuple(layers),
        legend="best",
    )  # fmt: skip
