"""Frames of a camera behind a spectrograph, as a dataset: shared by the .sif and .spe readers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import ask, file_error

__all__ = ["Frames", "frames_to_dataset"]


@dataclass(frozen=True, slots=True)
class Frames:
    """What a camera file holds.

    Parameters
    ----------
    data : ndarray
        (frames, rows, pixels) [counts].
    wavelength : ndarray or None
        (pixels,) [nm]; None where the file has no calibration.
    start_s : ndarray
        (frames,) start of each exposure, the first at 0 [s].
    exposure_s : float or None
        Time during which light was collected for one spectrum [s].
    span_s : float
        Time from the start of the first to the end of the last accumulation of one spectrum [s].
    attrs : dict
        Attributes of the dataset.
    """

    data: npt.NDArray[Any]
    wavelength: npt.NDArray[np.float64] | None
    start_s: npt.NDArray[np.float64]
    exposure_s: float | None
    span_s: float
    attrs: dict[str, Any]


def frames_to_dataset(
    frames: Frames, path: Path, *, wavelength: Any = None, rows: str | None = None
) -> xr.Dataset:
    """Name the axes of camera frames.

    Parameters
    ----------
    frames : Frames
        As read.
    path : pathlib.Path
        For the errors.
    wavelength : array_like, optional
        (pixels,) [nm], in place of the file's calibration.
    rows : {"sum", "point"}, optional
        What to do with more than one row per frame: add them, or keep them as a list of spectra.

    Returns
    -------
    xarray.Dataset
        ``intensity`` ([time,] [point,] wavelength) [counts], ``exposure_time`` [s]; one frame has
        no ``time``.

    Raises
    ------
    FileFormatError
        If the wavelengths or the meaning of the rows are not known.
    """
    data = frames.data
    n_frames, n_rows, n_pixels = data.shape
    axis = frames.wavelength if wavelength is None else np.asarray(wavelength, dtype=np.float64)
    if axis is None:
        raise ask(path, f"the wavelength of the {n_pixels} pixels", "wavelength=array_in_nm")
    if axis.shape != (n_pixels,):
        raise file_error(
            path, f"the option wavelength has shape {axis.shape}, not ({n_pixels},)",
            "Give one wavelength in nm per pixel.",
        )  # fmt: skip
    dims: list[str] = [names.TIME, names.POINT, names.WAVELENGTH]
    if n_rows > 1 and rows == "sum":
        # Integers are added in 64 bits: 638 rows of 65535 do not fit into 16.
        wide = np.float64 if data.dtype.kind == "f" else np.int64
        data = data.sum(axis=1, dtype=wide, keepdims=True)
    elif n_rows > 1 and rows != "point":
        raise ask(
            path, f"the meaning of the {n_rows} rows of each frame",
            'rows="sum" to add them, or rows="point" to keep them as a list of spectra',
        )  # fmt: skip
    if data.shape[1] == 1:
        data, dims = data[:, 0], [names.TIME, names.WAVELENGTH]
    coords: dict[str, Any] = {
        names.WAVELENGTH: (names.WAVELENGTH, axis, names.attrs(names.WAVELENGTH))
    }
    if n_frames == 1:
        data, dims = data[0], dims[1:]
    else:
        middle = frames.start_s + 0.5 * frames.span_s
        coords[names.TIME] = (names.TIME, middle, names.attrs(names.TIME))
    variables: dict[str, Any] = {names.INTENSITY: (dims, data, names.attrs(names.INTENSITY))}
    if frames.exposure_s is not None and frames.exposure_s > 0:
        variables["exposure_time"] = ((), frames.exposure_s, names.attrs("exposure_time"))
    return xr.Dataset(variables, coords, frames.attrs)
