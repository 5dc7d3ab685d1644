"""Andor Solis ``.sif``: spectra and kinetic series, through sif_parser."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import file_error, metadata_json, users_level, warn_of_rate
from plkit.io.frames import Frames, frames_to_dataset
from plkit.io.registry import Reader

__all__ = ["READER", "read_sif"]

_MAGIC = b"Andor Technology Multi-Channel File"


class _ToTheEnd(io.BufferedReader):
    """A file that raises at its end: the parser's word loop would wait there for ever."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if not data and size != 0:
            raise EOFError("the file ends inside its header")
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line:
            raise EOFError("the file ends inside its header")
        return line


def read_sif(path: Path, *, wavelength: Any = None, rows: str | None = None) -> xr.Dataset:
    """Read an Andor ``.sif`` file.

    Parameters
    ----------
    path : path
        The file.
    wavelength : array_like, optional
        (pixels,) [nm], for a file without calibration.
    rows : {"sum", "point"}, optional
        For images and several tracks: add the rows, or keep them as a list of spectra.

    Returns
    -------
    xarray.Dataset
        ``intensity`` ([time,] [point,] wavelength) [counts], ``exposure_time`` [s]. ``time`` is the
        middle of the exposure, counted from the start of the first one.

    Raises
    ------
    FileFormatError
        If the file is truncated, or its wavelengths are not known.
    """
    path = Path(path)
    data, info = _load(path)
    n_frames, _, n_pixels = data.shape
    exposure = float(info["ExposureTime"])
    accumulations = max(int(info["AccumulatedCycles"]), 1)
    attrs: dict[str, Any] = {
        "instrument": f"Andor {info['DetectorType']}",
        "acquired_unix_s": int(info["ExperimentTime"]),
        "detector_temperature_c": float(info["DetectorTemperature"]),
        "accumulations": accumulations,
        "metadata": metadata_json(
            {k: v for k, v in info.items() if k != "tile" and not k.startswith("timestamp_of_")}
        ),
    }
    kind = _text(info["DataType"]).strip()
    attrs["units_in_file"] = kind
    if kind.lower() != "counts":
        warn_of_rate(path, kind)
    axis = _wavelength(info, n_pixels)
    if int(info["xbin"]) > 1 and wavelength is None and axis is not None:
        warnings.warn(
            f"'{path.name}' bins {info['xbin']} pixels into one; check its wavelength axis against a "
            "known line, or give wavelength=.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    frames = Frames(
        data=data,
        wavelength=axis,
        start_s=_start_times(info, n_frames),
        exposure_s=exposure * accumulations,
        span_s=(accumulations - 1) * float(info["AccumulatedCycleTime"]) + exposure,
        attrs=attrs,
    )
    return frames_to_dataset(frames, path, wavelength=wavelength, rows=rows)


def _load(path: Path) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """Frames and header; frames that an interrupted series lacks are NaN, with a warning."""
    import sif_parser

    with _ToTheEnd(io.FileIO(path, "rb")) as handle, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warning on missing frames is given anew below
        try:
            data, info = sif_parser.np_open(handle, ignore_corrupt=True)
        except EOFError as exc:
            raise file_error(
                path, f"{exc} (truncated)", "Copy it again from the instrument."
            ) from exc
    expected = int(info["NumberOfFrames"])
    if len(data) == 0:
        raise file_error(
            path, f"it holds none of the {expected} spectra that its header announces (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    if expected * data[0].nbytes > 100 * path.stat().st_size:
        raise file_error(
            path, f"its header announces {expected} spectra, far more than the {len(data)} that it holds (damaged)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    if len(data) < expected:
        warnings.warn(
            f"'{path.name}' holds {len(data)} of {expected} spectra: the series was interrupted, "
            "the missing ones are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
        missing = np.full((expected - len(data), *data.shape[1:]), np.nan, np.float32)
        data = np.concatenate([data, missing])
    return data, info


def _wavelength(info: dict[str, Any], n_pixels: int) -> npt.NDArray[np.float64] | None:
    """Wavelengths from the calibration polynomial in the pixel number, which counts from 1."""
    coefficients = info.get("Calibration_data") or info.get("Calibration_data_for_frame_1")
    uncalibrated = coefficients is None or list(coefficients[:2]) == [0.0, 1.0]
    if uncalibrated or _text(info["FrameAxis"]).strip().lower() == "pixel number":
        return None
    pixel = np.arange(1, n_pixels + 1, dtype=np.float64)
    return np.asarray(
        np.polynomial.polynomial.polyval(pixel, np.asarray(coefficients)), dtype=np.float64
    )


def _start_times(info: dict[str, Any], n_frames: int) -> npt.NDArray[np.float64]:
    """Start of each exposure [s]: time stamps where the camera gave them, else the cycle time."""
    stamps = np.array([float(info.get(f"timestamp_of_{i}", 0)) for i in range(n_frames)]) * 1e-6
    if n_frames > 1 and np.all(np.diff(stamps) > 0):
        return np.asarray(stamps - stamps[0])
    return np.arange(n_frames, dtype=np.float64) * float(info["StackCycleTime"])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


READER = Reader(
    name="andor_sif",
    title="Andor Solis .sif",
    suffixes=(".sif",),
    sniff=lambda path, head: head.startswith(_MAGIC),  # noqa: ARG005
    read=read_sif,
    options=(names.WAVELENGTH, "rows"),
)
