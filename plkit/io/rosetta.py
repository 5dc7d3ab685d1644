"""Formats that RosettaSciIO reads, behind one narrow function.

RosettaSciIO is licensed under GPL-3. It is an optional extra, ``pip install "plkit[io]"``; this is the
only module that imports it, and it uses nothing but its documented ``file_reader``.
"""

from __future__ import annotations

import importlib
import logging
import struct
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, metadata_json, users_level, warn_of_rate
from plkit.io.guard import HDF5_MAGIC, check_size
from plkit.io.netcdf import hdf5_attr
from plkit.io.registry import Reader
from plkit.io.renishaw import refuse_cut_wdf, wdf_numbers, with_missing_spectra, with_white_light
from plkit.io.text import known_unit

__all__ = ["READERS", "read_rosetta"]

# Names that the formats give their axes, in lower case.
_AXES = {
    names.WAVELENGTH: names.WAVELENGTH,
    names.ENERGY: names.ENERGY,
    "energy loss": names.ENERGY_LOSS,
    "raman shift": names.RAMAN_SHIFT,
    names.TIME: names.TIME,
    "x": names.X,
    "y": names.Y,
    "width": names.X,
    "height": names.Y,
}


def load(module: str, path: Path) -> list[dict[str, Any]]:
    """Signals in a file, as RosettaSciIO's plain dictionaries.

    Parameters
    ----------
    module : str
        Name of the format's module in ``rsciio``.
    path : pathlib.Path
        The file.

    Returns
    -------
    list of dict
        With ``data``, ``axes``, ``metadata``.
    """
    reader = importlib.import_module(f"rsciio.{module}")
    if module == "renishaw":
        refuse_cut_wdf(path)
    elif module == "hamamatsu":
        _refuse_cut_img(path)
    log = logging.getLogger("rsciio")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signals: list[dict[str, Any]] = reader.file_reader(str(path))
    except Exception as exc:
        planned, taken = wdf_numbers(path) if module == "renishaw" else (0, 0)
        if taken < planned:
            raise file_error(
                path, f"it holds {taken} of {planned} spectra (interrupted), and RosettaSciIO cannot read the rest",
                "Open it in WiRE and save it again.",
            ) from exc  # fmt: skip
        raise
    finally:
        log.setLevel(level)
    return signals


def read_rosetta(
    path: Path,
    *,
    module: str,
    title: str = "",
    signal_dim: str | None = None,
    units: Mapping[str, str] | None = None,
    white_light: bool = False,
) -> xr.Dataset:
    """Read a microscope's file by RosettaSciIO.

    Parameters
    ----------
    path : path
        The file.
    module : str
        Name of the format's module in ``rsciio``.
    title : str, optional
        What a person calls the format: the attribute ``instrument``.
    signal_dim : str, optional
        What light or electrons are dispersed along, where the file does not name it:
        ``"wavelength"``, ``"energy"``, ``"raman_shift"`` or ``"energy_loss"``.
    units : mapping of str to str, optional
        Units of axes that the file does not state: ``{"wavelength": "nm", "x": "um"}``.
    white_light : bool, optional
        Read the microscope's picture too, where the file holds one (Renishaw).

    Returns
    -------
    xarray.Dataset
        ``intensity`` ([time,] [y,] [x,] wavelength or energy or raman_shift or energy_loss), or
        (delay, [y,] [x]) [counts]; ``white_light`` (image_y, image_x, colour) [1] if asked for.

    Warns
    -----
    PlkitWarning
        If the intensity is no counts, or a Renishaw series was interrupted: its missing spectra are NaN.

    Raises
    ------
    FileFormatError
        If no signal in the file has a spectral axis, or an axis or its unit is not known.
    MissingExtraError
        If RosettaSciIO is not installed.
    """
    path = Path(path)
    all_signals = load(module, path)
    signals = [s for s in all_signals if np.asarray(s["data"]).dtype.kind in "iuf"]
    found: list[str] = []
    unnamed = False
    for signal in signals:
        axes = sorted(
            signal["axes"], key=lambda a: a.get("index_in_array", signal["axes"].index(a))
        )
        dims = _dims(axes, signal_dim)
        if any(d in names.MEASURED_DIMS for d in dims):
            ds = _dataset(path, signal, axes, dims, units or {}, title)
            if module == "renishaw":
                ds = with_missing_spectra(path, ds)
            return with_white_light(path, ds, all_signals) if white_light else ds
        found += [str(a.get("name") or "unnamed") for a in axes]
        unnamed = unnamed or any(
            d in ("", names.X, names.Y) and d != _named(a) for d, a in zip(dims, axes, strict=True)
        )
    if not found:
        raise file_error(path, "it holds no array of numbers with axes")
    if not unnamed:
        raise file_error(
            path, f"its axes are {', '.join(found)}, none of them spectral or a delay",
            "plkit reads spectra and decay traces; images are out of its scope.",
        )  # fmt: skip
    raise ask(
        path, f"the spectral axis (it names its axes {', '.join(found)})",
        f'signal_dim="{names.WAVELENGTH}", units={{"{names.WAVELENGTH}": "nm"}}',
    )  # fmt: skip


def _named(axis: dict[str, Any]) -> str:
    return _AXES.get(str(axis.get("name", "")).strip().lower(), "")


def _dims(axes: list[dict[str, Any]], signal_dim: str | None) -> list[str]:
    """Plkit's name of each axis: by its own name, then by what is left."""
    dims: list[str] = []
    for axis in axes:
        dim = _named(axis)
        # Time along which a detector sweeps within a pulse is a delay; between spectra it is time.
        if dim == names.TIME and not axis.get("navigate", True):
            dim = names.DELAY
        dims.append(dim)
    if signal_dim is not None and signal_dim not in dims:
        unknown = [i for i, d in enumerate(dims) if not d]
        signal = [i for i in unknown if not axes[i].get("navigate", True)] or unknown
        if signal:
            dims[signal[-1]] = signal_dim
    spare = [d for d in (names.X, names.Y) if d not in dims]
    for index in reversed(range(len(dims))):
        if not dims[index] and spare:
            dims[index] = spare.pop(0)
    return dims


def _dataset(
    path: Path,
    signal: dict[str, Any],
    axes: list[dict[str, Any]],
    dims: list[str],
    units: Mapping[str, str],
    title: str,
) -> xr.Dataset:
    data = np.asarray(signal["data"])
    if data.dtype == np.float16:
        data = data.astype(np.float32)
    if "" in dims or len(set(dims)) != len(dims):
        raise file_error(
            path,
            f"its axes are {', '.join(str(a.get('name')) for a in axes)}, which plkit cannot tell apart",
        )
    coords = {
        dim: _coordinate(path, axis, dim, units) for dim, axis in zip(dims, axes, strict=True)
    }
    variables: dict[str, Any] = {}
    exposure = _exposure(signal)
    if exposure is not None:
        variables["exposure_time"] = ((), exposure, names.attrs("exposure_time"))
    if names.TIME in coords:
        coords[names.TIME] = _middle_of_exposure(coords[names.TIME], exposure)
    attrs = {**names.attrs(names.INTENSITY)}
    unit = _quantity_unit(signal)
    if unit and names.conversion_factor(unit.lower(), attrs["units"]) is None:
        attrs["units_in_file"] = unit
        if "/" in unit:
            warn_of_rate(path, unit)
        else:
            warnings.warn(
                f"'{path.name}' gives its intensity in '{unit}'; plkit calls it counts: set noise_gain "
                "before σ is believed.",
                PlkitWarning,
                stacklevel=users_level(),
            )
    metadata = signal.get("metadata", {})
    general = metadata.get("General", {})
    notes: dict[str, Any] = {"instrument": title, "metadata": metadata_json(metadata)}
    if general.get("title"):
        notes["title"] = str(general["title"])
    if general.get("date"):
        notes["acquired"] = f"{general['date']} {general.get(names.TIME, '')}".strip()
    variables[names.INTENSITY] = (dims, data, attrs)
    return xr.Dataset(variables, coords, notes)


def _exposure(signal: dict[str, Any]) -> float | None:
    """Integration time of one spectrum [s], where the metadata have it at HyperSpy's place."""
    found: Any = signal.get("metadata", {})
    for key in ("Acquisition_instrument", "Detector", "integration_time"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float | np.number) and found > 0 else None


def _middle_of_exposure(
    time: tuple[str, npt.NDArray[np.float64], dict[str, str]], exposure: float | None
) -> tuple[str, npt.NDArray[np.float64], dict[str, str]]:
    """Time of the middle of each exposure [s], from the time of its start."""
    dim, values, attrs = time
    factor = names.conversion_factor(attrs["units"], names.unit(names.TIME)) or 1.0
    seconds = values * factor
    if exposure is not None and len(seconds) > 1 and seconds[1] - seconds[0] < exposure:
        # Spectra cannot follow each other faster than one exposure: Renishaw counts in ticks of
        # 100 ns (Windows file time), which RosettaSciIO 0.15 labels ns.
        seconds = seconds * 100.0
    return dim, seconds + 0.5 * (exposure or 0.0), names.attrs(names.TIME)


def _coordinate(
    path: Path, axis: dict[str, Any], dim: str, units: Mapping[str, str]
) -> tuple[str, npt.NDArray[np.float64], dict[str, str]]:
    if "axis" in axis:
        with np.errstate(invalid="ignore"):  # a damaged number; the check of the axis says so
            values = np.asarray(axis["axis"], dtype=np.float64)
    else:
        steps = np.arange(int(axis["size"]), dtype=np.float64)
        values = float(axis["offset"]) + float(axis["scale"]) * steps
    wanted = names.unit(dim)
    stated = units.get(dim) or str(axis.get("units") or "")
    if not stated or stated == "<undefined>":
        raise ask(path, f"the unit of '{dim}'", f'units={{"{dim}": "{wanted}"}}')
    spelled = known_unit(stated.strip("$"), wanted)
    if spelled is None:
        raise file_error(
            path, f"the unit of '{dim}' is '{stated}', not '{wanted}' or a multiple of it",
            f'Say the right one: plkit.read(path, units={{"{dim}": "{wanted}"}}).',
        )  # fmt: skip
    return dim, values, {**names.attrs(dim), "units": spelled}


def _quantity_unit(signal: dict[str, Any]) -> str:
    """Unit in a quantity such as ``Intensity (Counts/s)``."""
    quantity = str(signal.get("metadata", {}).get("Signal", {}).get("quantity", ""))
    return quantity[quantity.find("(") + 1 : quantity.rfind(")")] if "(" in quantity else ""


def _refuse_cut_img(path: Path) -> None:
    """A header of 64 bytes with width, height and type, a comment, then the pixels."""
    with path.open("rb") as handle:
        head = handle.read(64)
    if len(head) < 64:
        raise file_error(
            path,
            f"it ends after {len(head)} bytes, inside its header of 64 (truncated)",
            "Copy it again.",
        )
    comment, width, height, _, _, kind = struct.unpack_from("<6h", head, 2)
    bytes_per_pixel = {0: 1, 2: 2, 3: 4}.get(kind, 1)
    if comment < 0 or width < 1 or height < 1:
        raise file_error(path, f"its header announces {height} × {width} pixels")
    check_size(path, f"{height} × {width} pixels", 64 + comment + width * height * bytes_per_pixel)


def _sniff_hdf5(path: Path, head: bytes, attr: str, value: str) -> bool:
    return head.startswith(HDF5_MAGIC) and str(hdf5_attr(path, attr)) == value


def _sniff_delmic(path: Path, head: bytes) -> bool:
    if not head.startswith(HDF5_MAGIC):
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "Acquisition0" in file
    except (OSError, RuntimeError, ValueError, KeyError):
        return False


def _starts(*magic: bytes) -> Any:
    return lambda path, head: head.startswith(magic)  # noqa: ARG005


def _reader(module: str, title: str, suffixes: tuple[str, ...], sniff: Any) -> Reader:
    return Reader(
        name=module,
        title=title,
        suffixes=suffixes,
        sniff=sniff,
        read=partial(read_rosetta, module=module, title=title),
        options=("signal_dim", "units", *(("white_light",) if module == "renishaw" else ())),
        extra="io",
    )


READERS = (
    _reader(
        "digitalmicrograph", "Gatan DigitalMicrograph", (".dm3", ".dm4"),
        _starts(b"\0\0\0\x03\0", b"\0\0\0\x04\0\0\0\0"),
    ),
    _reader("hspy", "HyperSpy", (".hspy",), partial(_sniff_hdf5, attr="file_format", value="HyperSpy")),
    _reader("delmic", "Delmic Odemis", (".h5",), _sniff_delmic),
    _reader("renishaw", "Renishaw WiRE", (".wdf",), _starts(b"WDF1")),
    _reader("jobinyvon", "Horiba LabSpec XML", (".xml",), lambda path, head: b"<LSX_Tree" in head or b"<LSX" in head),  # noqa: ARG005
    _reader("trivista", "TriVista", (".tvf",), lambda path, head: b"<XmlMain" in head),  # noqa: ARG005
    _reader("hamamatsu", "Hamamatsu streak", (".img",), _starts(b"IM")),
    _reader("digitalsurf", "Digital Surf, Attolight", (".sur",), _starts(b"DIGITAL SURF", b"DSCOMPRESSED")),
)  # fmt: skip
