"""The simulated measurement: expected photons in, a spectrometer's raw counts out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import INTENSITY, NOISE_FLOOR, NOISE_GAIN, SPECTRAL_DIMS
from plkit.schema import add_history, spectral_dim

__all__ = ["Detector", "simulate_measurement"]


@dataclass(frozen=True, slots=True)
class Detector:
    """A spectrometer's camera.

    Parameters
    ----------
    gain : float, optional
        Counts per detected electron [counts].
    read_noise_counts : float, optional
        Standard deviation of one reading [counts].
    offset_counts : float, optional
        Electronic offset of every reading [counts].
    dark_rate_counts_per_s : float, optional
        Dark current [counts/s].
    cosmic_rate_per_s : float, optional
        Mean number of cosmic rays per spectrum and second [1/s].
    cosmic_mean_counts : float, optional
        Mean height of a cosmic ray above its threshold of ten read noises (exponential) [counts].
    saturation_counts : int, optional
        Largest reading [counts].

    Examples
    --------
    >>> Detector(read_noise_counts=4.0, cosmic_rate_per_s=0.0).saturation_counts
    65535
    """

    gain: float = 1.0
    read_noise_counts: float = 2.0
    offset_counts: float = 100.0
    dark_rate_counts_per_s: float = 1.0
    cosmic_rate_per_s: float = 0.02
    cosmic_mean_counts: float = 3000.0
    saturation_counts: int = 65535

    def __post_init__(self) -> None:
        """Refuse what no detector has."""
        for name in ("gain", "read_noise_counts", "saturation_counts"):
            if not getattr(self, name) > 0:
                raise DataError(
                    "simulate a detector", f"'{name}' is {getattr(self, name)}, not > 0"
                )
        for name in ("dark_rate_counts_per_s", "cosmic_rate_per_s", "cosmic_mean_counts"):
            if not getattr(self, name) >= 0:
                raise DataError(
                    "simulate a detector", f"'{name}' is {getattr(self, name)}, not >= 0"
                )


def simulate_measurement(
    photons: xr.DataArray,
    exposure_s: float,
    *,
    rng: np.random.Generator,
    detector: Detector | None = None,
    response: xr.DataArray | None = None,
) -> xr.Dataset:
    """Turn expected photons into raw counts: response, shot noise, dark, read noise, cosmic rays.

    Parameters
    ----------
    photons : xarray.DataArray
        Expected photons per spectrum and channel, dims (…, wavelength) or another spectral dim.
    exposure_s : float
        Exposure time of one spectrum [s].
    rng : numpy.random.Generator
        Source of all randomness; the same state gives the same counts.
    detector : Detector, optional
        The camera.
    response : xarray.DataArray, optional
        Detected electrons per photon over the spectral dim [1]; ones by default.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (uint16) [counts], ``noise_gain`` [counts], ``noise_floor`` [counts²] (the
        variance in the dark), ``exposure_time`` [s], ``saturation_level`` [counts].

    Raises
    ------
    DataError
        If ``photons`` has no spectral dim, or is negative or not finite.

    Notes
    -----
    counts = round(offset + gain · Poisson(R · photons) + Poisson(dark) + N(0, read²)) + cosmic rays,
    clipped to the range of the detector. Rounding adds a variance of 1/12.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> flat = xr.DataArray(np.full((1, 4), 1e4), dims=("time", "wavelength"))
    >>> ds = simulate_measurement(flat, 1.0, rng=np.random.default_rng(0))
    >>> ds.intensity.dtype, bool(abs(ds.intensity.mean() - 10101) < 300)
    (dtype('uint16'), True)
    """
    detector = Detector() if detector is None else detector
    dim = spectral_dim(photons, "simulate a measurement")
    expected = np.asarray(photons.transpose(..., dim).values, float)
    if not np.all(expected >= 0):
        raise DataError(
            "simulate a measurement", "'photons' has negative values or NaN, not only >= 0"
        )
    if response is not None:
        expected = expected * np.asarray(response.transpose(dim).values, float)
    dark = detector.dark_rate_counts_per_s * exposure_s
    counts = detector.gain * rng.poisson(expected)
    counts = counts + rng.poisson(dark, expected.shape)
    counts = counts + rng.normal(detector.offset_counts, detector.read_noise_counts, expected.shape)
    _add_cosmic_rays(counts, detector, exposure_s, rng)
    np.clip(np.rint(counts, out=counts), 0, detector.saturation_counts, out=counts)

    dims = (*[d for d in photons.dims if d != dim], dim)
    floor = detector.read_noise_counts**2 + dark + 1.0 / 12.0
    ds = xr.Dataset(
        {
            INTENSITY: (dims, counts.astype(np.uint16), names.attrs(INTENSITY)),
            NOISE_GAIN: ((), float(detector.gain), names.attrs(NOISE_GAIN)),
            NOISE_FLOOR: ((), float(floor), names.attrs(NOISE_FLOOR)),
            "exposure_time": ((), float(exposure_s), names.attrs("exposure_time")),
            "saturation_level": (
                (),
                float(detector.saturation_counts),
                names.attrs("saturation_level"),
            ),
        },
        coords={str(k): v for k, v in photons.coords.items()},
        attrs={"origin": "simulated"},
    )
    for name in (*SPECTRAL_DIMS, *map(str, photons.dims)):
        if name in ds.coords and "units" not in ds[name].attrs and name in names.TABLE:
            ds[name].attrs.update(names.attrs(name))
    return add_history(ds, f"simulate_measurement(exposure_s={exposure_s:g})")


def _add_cosmic_rays(
    counts: np.ndarray, detector: Detector, exposure_s: float, rng: np.random.Generator
) -> None:
    """Hit random channels, one or two neighbours each, in place."""
    n_channels = counts.shape[-1]
    flat = counts.reshape(-1, n_channels)
    n = int(rng.poisson(detector.cosmic_rate_per_s * exposure_s * flat.shape[0]))
    rows = rng.integers(flat.shape[0], size=n)
    columns = rng.integers(n_channels, size=n)
    heights = 10 * detector.read_noise_counts + rng.exponential(detector.cosmic_mean_counts, n)
    np.add.at(flat, (rows, columns), heights)
    # Half of the tracks spill a part of their charge into the next channel.
    spill = (rng.random(n) < 0.5) & (columns + 1 < n_channels)
    share = rng.uniform(0.05, 0.5, n)
    np.add.at(flat, (rows[spill], columns[spill] + 1), (heights * share)[spill])
