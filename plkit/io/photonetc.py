"""Photon etc. IMA: hyperspectral cubes of PHySpec (.h5).

No reader of this format has been released. The layout was established from public analysis code that opens such
files (``Cube/Images``, ``Cube/Wavelength``, ``Cube/Info/…``); it is tested on a file of our own making only.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, metadata_json, users_level
from plkit.io.guard import HDF5_MAGIC
from plkit.io.registry import Reader

__all__ = ["READER", "read_photonetc"]

_UM = names.unit(names.X)


def read_photonetc(path: Path, *, pixel_um: float | None = None) -> xr.Dataset:
    """Read a hyperspectral cube of a Photon etc. IMA microscope.

    Parameters
    ----------
    path : path
        The ``.h5``.
    pixel_um : float, optional
        Size of a pixel on the sample [µm], where the file has neither a scale nor camera and objective.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (y, x, wavelength) [counts] in the file's number type, ``exposure_time`` (wavelength) [s].
        Rows count downwards in the picture, as the file has them. Every wavelength is an exposure of its own:
        the spectrum of one place was not taken at one time.

    Raises
    ------
    FileFormatError
        If the cube is no spectral one (a video at one wavelength), lacks its axis, or has no pixel size.

    Warns
    -----
    PlkitWarning
        If images were never written (the acquisition was interrupted): they are NaN.
    """
    import h5py

    path = Path(path)
    with h5py.File(path, "r") as file:
        cube = file["Cube"]
        images, wavelength = (
            cube["Images"],
            np.asarray(cube["Wavelength"], dtype=np.float64).ravel(),
        )
        info = cube.get("Info")
        mode = _text(info, "Cube", "AcqMode")
        if images.ndim != 3 or images.dtype.kind not in "iuf":
            raise file_error(
                path,
                f"its images have shape {images.shape} of {images.dtype}, not (wavelength, y, x) numbers",
            )
        if len(wavelength) != images.shape[0]:
            raise file_error(
                path, f"it holds {images.shape[0]} images and {len(wavelength)} wavelengths"
            )
        if len(wavelength) > 1 and np.ptp(wavelength) == 0:
            raise file_error(
                path, f"its {len(wavelength)} images are all at {wavelength[0]:g} nm ({mode or 'no spectral scan'})",
                "plkit reads spectra; a video at one wavelength is out of its scope.",
            )  # fmt: skip
        data = np.moveaxis(images[()], 0, -1)
        data = _unwritten(path, images, data)
        exposure = (
            np.asarray(cube["TimeExposure"], dtype=np.float64).ravel()
            if "TimeExposure" in cube
            else None
        )
        step_y, step_x = _pixel(path, info, pixel_um)
        attrs: dict[str, Any] = {
            "instrument": f"Photon etc. IMA {_text(info, 'System', 'SN')}".strip(),
            "acquired": _text(info, "Cube", "CreationDate"),
            "title": _text(info, "Cube", "Name"),
            "objective": _text(info, "Optics", "Objective"),
            "metadata": metadata_json(_tree(info)) if info is not None else "",
        }
    coords: dict[str, Any] = {
        names.Y: (names.Y, np.arange(data.shape[0]) * step_y, names.attrs(names.Y)),
        names.X: (names.X, np.arange(data.shape[1]) * step_x, names.attrs(names.X)),
        names.WAVELENGTH: (names.WAVELENGTH, wavelength, names.attrs(names.WAVELENGTH)),
    }
    variables: dict[str, Any] = {
        names.INTENSITY: ((names.Y, names.X, names.WAVELENGTH), data, names.attrs(names.INTENSITY))
    }
    if exposure is not None and exposure.size == 1:
        variables["exposure_time"] = ((), float(exposure[0]), names.attrs("exposure_time"))
    elif exposure is not None and exposure.shape == wavelength.shape:
        variables["exposure_time"] = (names.WAVELENGTH, exposure, names.attrs("exposure_time"))
    return xr.Dataset(variables, coords, {k: v for k, v in attrs.items() if v != ""})


def _unwritten(path: Path, images: Any, data: Any) -> Any:
    """Images of chunks that were never written read as the fill value: NaN instead."""
    if images.chunks is None:
        return data
    chunk = images.chunks[0]
    n_planes = -(-images.shape[0] // chunk)
    if images.id.get_num_chunks() == int(
        np.prod([-(-s // c) for s, c in zip(images.shape, images.chunks, strict=True)])
    ):
        return data
    written = {
        images.id.get_chunk_info(i).chunk_offset[0] // chunk
        for i in range(images.id.get_num_chunks())
    }
    absent = [plane for plane in range(n_planes) if plane not in written]
    if not absent:
        raise file_error(path, "parts of its images were never written", "Copy it again.")
    count = sum(min(chunk, images.shape[0] - plane * chunk) for plane in absent)
    warnings.warn(
        f"'{path.name}' holds {images.shape[0] - count} of {images.shape[0]} images: the acquisition was "
        "interrupted, the missing ones are NaN.",
        PlkitWarning,
        stacklevel=users_level(),
    )
    data = data.astype(np.result_type(data.dtype, np.float32))
    for plane in absent:
        data[..., plane * chunk : (plane + 1) * chunk] = np.nan
    return data


def _pixel(path: Path, info: Any, pixel_um: float | None) -> tuple[float, float]:
    """Steps along y and x [µm]: as given, from the calibrated axes, or from camera and objective."""
    if pixel_um is not None:
        return pixel_um, pixel_um
    steps: list[float] = []
    for axis in ("YAxis", "XAxis"):
        node = info.get(f"Camera/{axis}/1") if info is not None else None
        coefficients = np.ravel(node.attrs.get("Coefs", [])) if node is not None else np.empty(0)
        unit = _plain(node.attrs.get("Unit")) if node is not None else ""
        factor = names.conversion_factor(unit, _UM)
        if len(coefficients) == 2 and factor is not None and coefficients[1] > 0:
            steps.append(float(coefficients[1]) * factor)
    if len(steps) == 2:
        return steps[0], steps[1]
    camera = info.get("Camera") if info is not None else None
    magnification = re.match(r"\s*(\d+(?:\.\d+)?)\s*[xX]", _text(info, "Optics", "Objective"))
    size = np.ravel(camera.attrs.get("PixelSizeNm", [])) if camera is not None else np.empty(0)
    if camera is not None and magnification and len(size) == 1 and size[0] > 0:
        binning = np.ravel(camera.attrs.get("Binning", [1.0, 1.0]))
        scale = float(size[0]) * 1e-3 / float(magnification[1])
        factors = binning if len(binning) == 2 else (1.0, 1.0)
        return scale * float(factors[1]), scale * float(factors[0])
    raise ask(path, "the size of a pixel on the sample", "pixel_um=1.0")


def _text(info: Any, group: str, name: str) -> str:
    node = info.get(group) if info is not None else None
    return _plain(node.attrs.get(name)) if node is not None else ""


def _plain(value: Any) -> str:
    if value is None:
        return ""
    first = np.ravel(value)[0] if np.size(value) else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _tree(node: Any, depth: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {k: np.ravel(v)[:16] for k, v in node.attrs.items()}
    if depth < 5 and hasattr(node, "keys"):
        found |= {k: _tree(node[k], depth + 1) for k in node if hasattr(node[k], "keys")}
    return found


def _sniff(path: Path, head: bytes) -> bool:
    if not head.startswith(HDF5_MAGIC):
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "Cube/Images" in file and "Cube/Wavelength" in file
    except (OSError, RuntimeError, ValueError, KeyError):
        return False


READER = Reader(
    name="photonetc",
    title="Photon etc. IMA",
    suffixes=(),
    sniff=_sniff,
    read=read_photonetc,
    options=("pixel_um",),
)
