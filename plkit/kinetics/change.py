"""How the spectra of one series change: by how much, to which side, and with which σ.

Shapes are compared, not intensities: every frame is divided by its light, so that a film that only
brightens or bleaches does not change at all. σ is taken from the scatter between successive frames,
which holds photon noise, read noise, laser and stage noise alike.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.names import ENERGY, TIME, WAVELENGTH
from plkit.physics import photons
from plkit.schema import require_dims, require_unit, spectral_dim

__all__ = ["SpectralChange", "block_means", "block_size", "scatter", "spectral_change"]

Floats = NDArray[np.float64]

MIN_FRAMES: Final = 4
"""Frames below which their scatter cannot be told from a change."""

_MIN_CHANNELS: Final = 8

# Standard deviation of a normal distribution over the median of its absolute value.
_MAD: Final = 1.482602218505602


@dataclass(frozen=True, slots=True)
class SpectralChange:
    """Change of the spectra between the first and the last frames of a series.

    Parameters
    ----------
    n_frames : int
        Frames with light.
    moved, moved_stderr : float
        Share of the light that has changed its energy: positive to the blue, negative to the red.
    gained_ev, lost_ev : float
        Mean energy of what grew and of what fell, of equal total intensity [eV].
    peak_start_ev, peak_end_ev : float
        Highest peak in the first and in the last frames [eV].
    drift_ev, drift_stderr_ev : float
        Drift of the peak [eV].
    width_ev : float
        FWHM of the peak in the first frames [eV].
    brightness : float
        Light of the last frames over that of the first.
    """

    n_frames: int
    moved: float
    moved_stderr: float
    gained_ev: float
    lost_ev: float
    peak_start_ev: float
    peak_end_ev: float
    drift_ev: float
    drift_stderr_ev: float
    width_ev: float
    brightness: float

    @property
    def side(self) -> Literal["blue", "red"]:
        """To which side the light has moved."""
        return "blue" if self.moved > 0 else "red"


def spectral_change(ds: xr.Dataset, action: str) -> SpectralChange:
    """Measure how the spectra of one series change.

    Parameters
    ----------
    ds : xarray.Dataset
        ``intensity`` (time, …, λ) [counts], despiked, without scattered laser light; other dims are
        averaged.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    SpectralChange
        NaN wherever fewer than four frames hold light.

    Notes
    -----
    With F(E) the share of a frame's light below E, the share that has moved is the largest
    |F_first(E) − F_last(E)|; for two bands that do not overlap it is the share of the light that
    went from one to the other. Its σ is that of the light above this energy, frame by frame.
    """
    spectra = _frames(ds, action)
    counts = spectra.values
    light = counts.sum(axis=1)
    n = light.size
    if n < MIN_FRAMES:
        return SpectralChange(n, *[np.nan] * 10)
    energy = _photon_energy(spectra, action)
    first, last = block_means(counts)
    shape_first, shape_last = first / first.sum(), last / last.sum()
    below = np.cumsum(shape_first - shape_last)[:-1]
    cut = int(np.argmax(np.abs(below)))
    above = counts[:, cut + 1 :].sum(axis=1) / light
    per_block = np.sqrt(2.0 / block_size(n))
    change = np.sign(below[cut]) * (shape_last - shape_first)
    up, down = change[cut + 1 :], -change[: cut + 1]
    gained, lost = np.nan, np.nan
    if below[cut] != 0.0:
        blue = float((energy[cut + 1 :] * up).sum() / up.sum())
        red = float((energy[: cut + 1] * down).sum() / down.sum())
        gained, lost = (blue, red) if below[cut] > 0 else (red, blue)
    ends, width = _peaks(spectra, np.stack([first, last]))
    frames, _ = _peaks(spectra, counts)
    frames = frames[np.isfinite(frames)]
    drift_sigma = scatter(frames) * per_block if frames.size >= MIN_FRAMES else np.nan
    return SpectralChange(
        n, float(below[cut]), float(scatter(above) * per_block), gained, lost, float(ends[0]),
        float(ends[1]), float(ends[1] - ends[0]), float(drift_sigma), float(width[0]),
        float(last.sum() / first.sum()),
    )  # fmt: skip


def scatter(values: Floats) -> float:
    """Scatter between successive values, whatever slow change they have; robust to outliers.

    Parameters
    ----------
    values : numpy.ndarray
        One number per frame, in the order of time.

    Returns
    -------
    float
        One σ of a single value.

    Examples
    --------
    >>> line = np.linspace(0.0, 100.0, 2001)
    >>> noise = np.random.default_rng(1).normal(0.0, 2.0, line.size)
    >>> abs(scatter(line + noise) - 2.0) < 0.1
    True
    """
    steps = np.diff(values)
    return float(_MAD * np.median(np.abs(steps)) / np.sqrt(2.0))


def block_means(values: Floats) -> tuple[Floats, Floats]:
    """Mean over the first and over the last frames.

    Parameters
    ----------
    values : numpy.ndarray
        Frames along the first axis, at least four.
    """
    size = block_size(values.shape[0])
    return values[:size].mean(axis=0), values[-size:].mean(axis=0)


def block_size(n: int) -> int:
    """Frames at either end that are averaged: a twentieth of all, three at least, half at most.

    Parameters
    ----------
    n : int
        Number of frames.
    """
    return min(max(3, n // 20), n // 2)


def _frames(ds: xr.Dataset, action: str) -> xr.DataArray:
    """Frames with light (time, λ), energy ascending, without gaps and without background."""
    if names.INTENSITY not in ds:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        raise DataError(
            action,
            f"the dataset holds {found}, not the required {names.INTENSITY}",
            "Pass the measured spectra first, then the result of plkit.unmix.",
        )
    da = ds[names.INTENSITY]
    dim = spectral_dim(da, action)
    require_dims(da, [TIME], action)
    if dim not in (WAVELENGTH, ENERGY):
        raise DataError(action, f"the spectral dimension is '{dim}', not wavelength or energy")
    da = da.assign_coords({dim: require_unit(da[dim], dim, action)}).astype(np.float64)
    if TIME in da.coords:
        da = da.sortby(TIME)
    others = [d for d in da.dims if d not in (TIME, dim)]
    da = (da.mean(others) if others else da).transpose(TIME, dim)
    da = da.sortby(dim, ascending=dim == ENERGY)
    finite = np.isfinite(da.values)
    da = da[np.flatnonzero(finite.any(axis=1)), np.flatnonzero(finite.any(axis=0))]
    counts = da.values.copy()
    channel = np.arange(counts.shape[1])
    for row in counts:
        bad = ~np.isfinite(row)
        if bad.any():
            row[bad] = np.interp(channel[bad], channel[~bad], row[~bad])
    if counts.shape[1] < _MIN_CHANNELS:
        return da[:0]
    edge = max(2, counts.shape[1] // 16)
    # One level for all frames: that of each frame would add its noise, times all channels.
    mean = counts.mean(axis=0)
    counts -= min(float(mean[:edge].mean()), float(mean[-edge:].mean()))
    light = counts.sum(axis=1)
    bright = light > 0.02 * np.median(light)
    if light.size > MIN_FRAMES and light[0] < 0.7 * light[1]:
        bright[0] = False  # the shutter opened during the first exposure
    return da.copy(data=counts)[np.flatnonzero(bright)]


def _photon_energy(spectra: xr.DataArray, action: str) -> Floats:
    dim = spectral_dim(spectra, action)
    axis = spectra[dim]
    if dim == ENERGY:
        return np.asarray(axis.values, dtype=np.float64)
    medium: photons.Medium = "vacuum" if axis.attrs.get("medium") == "vacuum" else "air"
    return np.asarray(photons.energy_from_wavelength(axis.values, medium))


def _peaks(spectra: xr.DataArray, counts: Floats) -> tuple[Floats, Floats]:
    """Peak energy and width of rows of counts on the axis of ``spectra`` [eV]; NaN without peak."""
    from plkit.peaks import fit_peaks

    rows = xr.DataArray(
        counts,
        dims=(names.POINT, spectra.dims[1]),
        coords={spectra.dims[1]: spectra[spectra.dims[1]]},
        attrs=names.attrs(names.INTENSITY),
    )
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", PlkitWarning)  # σ comes from the scatter of the frames
        found = fit_peaks(rows.to_dataset(name=names.INTENSITY))
    good = (found[names.FIT_STATUS] < 2).values
    return (
        np.where(good, found["peak_energy"].values, np.nan),
        np.where(good, found["peak_width"].values, np.nan),
    )
