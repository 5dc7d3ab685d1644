"""Figure of the detector's noise: variance against mean intensity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import NOISE_FLOOR, NOISE_GAIN, stderr_name
from plkit.plot.style import CATEGORICAL, new_axes, styled, value_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_photon_transfer"]

_LEFT_OUT = "0.6"


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
    needed = ("mean_intensity", "variance", "used_in_fit", NOISE_GAIN, NOISE_FLOOR)
    missing = [name for name in needed if name not in transfer]
    if missing:
        raise DataError(
            "plot a photon transfer", f"the dataset lacks {', '.join(missing)}",
            "Pass what plkit.spectra.photon_transfer(ds) gives.",
        )  # fmt: skip
    figure, ax = new_axes(ax)
    mean = transfer["mean_intensity"].values.ravel()
    variance = transfer["variance"].values.ravel()
    used = transfer["used_in_fit"].values.ravel().astype(bool)
    drawn = (mean > 0) & (variance > 0)
    for part, colour, label in (
        (drawn & ~used, _LEFT_OUT, "left out"),
        (drawn & used, CATEGORICAL[0], "channels"),
    ):
        if part.any():
            ax.plot(mean[part], variance[part], ".", ms=2.5, color=colour, label=label)
    gain, floor = float(transfer[NOISE_GAIN]), float(transfer[NOISE_FLOOR])
    if drawn.any():
        x = np.geomspace(mean[drawn].min(), mean[drawn].max(), 200)
        line = gain * x + floor
        error = transfer.get(stderr_name(NOISE_GAIN))
        known = None if error is None else float(error)
        text = f"gain {value_text(gain, known, 'counts')}"
        ax.plot(x[line > 0], line[line > 0], color="black", lw=1.0, label=text)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.legend()
    ax.set_xlabel("Mean intensity ⟨I⟩ (counts)")
    ax.set_ylabel("Variance σ² (counts²)")
    return figure  # type: ignore[return-value]
