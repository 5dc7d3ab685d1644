"""What every reader shares: errors that name the file, provenance, and the landing in the schema."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import FileFormatError, PlkitWarning

__all__ = [
    "ask",
    "file_error",
    "finish",
    "keywords_asked",
    "measured_variable",
    "metadata_json",
    "safe_attrs",
    "sha256_of",
    "slug",
    "spectral_dim_of_unit",
]

# Units that say by themselves along what light is dispersed.
_SPECTRAL_UNITS = {
    "nm": names.WAVELENGTH,
    "eV": names.ENERGY,
    "1/cm": names.RAMAN_SHIFT,
}


def file_error(path: Path | str, reason: str, remedy: str = "") -> FileFormatError:
    """Error that names the file: *Cannot read 'name' because …*."""
    return FileFormatError(f"read '{Path(path).name}'", reason, remedy)


def ask(path: Path | str, what: str, example: str) -> FileFormatError:
    """Error that asks for what neither the file nor the options say."""
    return file_error(
        path,
        f"{what} is stated neither in the file nor by an option",
        f"Say it: plkit.read(path, {example}).",
    )


def keywords_asked(remedy: str) -> list[tuple[str, str]]:
    """Find the options, with an example of each, that a remedy asks for.

    Parameters
    ----------
    remedy : str
        Way out of an error of a reader.

    Returns
    -------
    list of (str, str)
        Name and value as in Python; empty where no option is asked for.

    Examples
    --------
    >>> keywords_asked('Say it: plkit.read(path, column_dim="time", column_values=[…]).')
    [('column_dim', '"time"'), ('column_values', '[…]')]
    """
    _, _, keywords = remedy.partition("plkit.read(path, ")
    return re.findall(r"(\w+)=(\"[^\"]*\"|\[[^\]]*\]|\{[^}]*\})", keywords)


def spectral_dim_of_unit(unit: str) -> str | None:
    """Spectral dimension that a unit implies: nm → wavelength, eV → energy, 1/cm → Raman shift."""
    for known, dim in _SPECTRAL_UNITS.items():
        if names.conversion_factor(unit, known) is not None:
            return dim
    return None


def measured_variable(ds: xr.Dataset) -> str | None:
    """Name of what was measured: ``intensity``, else the first known variable over a measured dim."""
    if names.INTENSITY in ds.data_vars:
        return names.INTENSITY
    for name, da in ds.data_vars.items():
        if str(name) in names.TABLE and any(d in names.MEASURED_DIMS for d in da.dims):
            return str(name)
    return None


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, or of a folder's files with their names in sorted order.

    Parameters
    ----------
    path : path
        File or folder.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def slug(text: str) -> str:
    """Attribute name from an instrument's label: ``"Bandgap (eV)"`` → ``"bandgap_ev"``."""
    spelled = (
        text.replace("%", " percent ").replace("²", "2").replace("µ", "u").replace("@", " at ")
    )
    return re.sub(r"[^0-9a-z]+", "_", spelled.lower()).strip("_")


def metadata_json(mapping: Mapping[str, Any]) -> str:
    """Nested metadata as one JSON string, whatever the vendor put in."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): plain(v) for k, v in value.items()}
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, np.ndarray):
            return value.tolist() if value.size <= 64 else f"array of shape {value.shape}"
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, list | tuple | set):
            return [plain(v) for v in value]
        if isinstance(value, str | int | float | bool) or value is None:
            return value
        return str(value)

    text = json.dumps(plain(mapping), ensure_ascii=False, sort_keys=True)
    # JSON knows no NaN; Python would write one that other programs refuse.
    return re.sub(r"(?<=[\[:,\s])(NaN|-?Infinity)(?=[,\]}\s])", "null", text)


def safe_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes that netCDF can hold: bool → int, mapping → JSON, None is left out.

    Parameters
    ----------
    attrs : mapping
        Attributes of a dataset or variable.

    Returns
    -------
    dict
        Strings, numbers and arrays of them.

    Raises
    ------
    TypeError
        For an object that is none of these; the message names the attribute.
    """
    safe: dict[str, Any] = {}
    for key, value in attrs.items():
        if value is None:
            continue
        if isinstance(value, bool | np.bool_):
            safe[str(key)] = int(value)
        elif isinstance(value, Mapping):
            safe[str(key)] = metadata_json(value)
        elif isinstance(value, Path):
            safe[str(key)] = str(value)
        elif isinstance(value, str | int | float | np.integer | np.floating):
            safe[str(key)] = value
        elif isinstance(value, list | tuple | np.ndarray):
            array = np.asarray(value)
            if array.dtype.kind == "b":
                array = array.astype(np.int8)
            if array.dtype.kind not in "iufU" or array.ndim > 1:
                raise TypeError(f"attribute '{key}' is a {type(value).__name__} of {array.dtype}")
            safe[str(key)] = array if array.dtype.kind != "U" else [str(v) for v in array]
        else:
            raise TypeError(f"attribute '{key}' is of type {type(value).__name__}")
    return safe


def users_level() -> int:
    """Level of a warning's stack at which the user's own line stands, the first outside plkit."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("plkit."):
        level, frame = level + 1, frame.f_back
    return level


def warn_of_rate(path: Path, unit: str) -> None:
    """Warn that numbers are not counts; they are kept as the file has them."""
    import warnings

    warnings.warn(
        f"'{path.name}' gives its intensity in '{unit}'. The numbers are kept as they are and called counts: "
        "set noise_gain before σ is believed (counts per second: noise_gain = gain / exposure time).",
        PlkitWarning,
        stacklevel=users_level(),
    )


def finish(
    ds: xr.Dataset, path: Path, reader: str, *, hash_source: bool = True, spectrum: bool = True
) -> xr.Dataset:
    """Land a freshly read dataset in the schema and note where it came from.

    Parameters
    ----------
    ds : xarray.Dataset
        As the reader built it.
    path : pathlib.Path
        The file or folder read.
    reader : str
        Name of the reader.
    hash_source : bool, optional
        False where the file is opened lazily and too large to hash.
    spectrum : bool, optional
        False where results without a spectral dimension (rates, maps) are allowed too.

    Returns
    -------
    xarray.Dataset
        Conforming, with ``source_file``, ``source_sha256``, ``reader`` and ``history``.

    Raises
    ------
    FileFormatError
        If a fault remains that cannot be mended without guessing.
    """
    variable = measured_variable(ds)
    result = any(str(n).removesuffix("_stderr") in names.TABLE for n in ds.data_vars)
    if variable is None and (spectrum or not result):
        found = ", ".join(f"{n}({', '.join(map(str, v.dims))})" for n, v in ds.data_vars.items())
        raise file_error(
            path,
            f"it holds {found or 'no variable'}, not a measured variable of plkit over a spectral axis or a delay",
            f"plkit knows {names.INTENSITY} and the variables of plkit.names.TABLE over one of "
            f"{', '.join(names.MEASURED_DIMS)}.",
        )
    ds = ds.assign_attrs(_provenance(ds.attrs, path, reader, hash_source))
    if variable is not None:
        for known in [str(n) for n in ds.data_vars if n in names.TABLE]:
            ds = schema.conform(ds, known)
        _refuse_faults(ds, variable, path)
    for name in ds.variables:
        base = str(name).removesuffix("_stderr")
        if base in names.TABLE and "long_name" not in ds[name].attrs:
            ds[name].attrs["long_name"] = names.attrs(str(name))["long_name"]
    return schema.add_history(ds, f"read({path.name!r}, reader={reader!r})")


def _provenance(
    old: Mapping[Any, Any], path: Path, reader: str, hash_source: bool
) -> dict[str, str]:
    new = {"source_file": path.name, "reader": reader}
    if hash_source:
        new["source_sha256"] = sha256_of(path)
    # A converted file keeps the name and the hash of what the instrument wrote.
    for key in ("source_file", "source_sha256"):
        if key in old and f"original_{key}" not in old:
            new[f"original_{key}"] = str(old[key])
    return new


def _refuse_faults(ds: xr.Dataset, variable: str, path: Path) -> None:
    errors = [f for f in schema.validate(ds, variable).faults if f.severity == "error"]
    if errors:
        raise file_error(
            path,
            "; ".join(dict.fromkeys(f.message.rstrip(".") for f in errors)),
            _remedy(errors),
        )


def _remedy(errors: Iterable[schema.Fault]) -> str:
    codes = {f.code for f in errors}
    if codes & {"missing_unit", "wrong_unit"}:
        return "State the units in the file, or by the reader's option for units."
    if "duplicate_axis" in codes:
        return "Average or drop the repeated values in the file."
    if "not_finite_axis" in codes:
        return "Drop these rows or columns from the file."
    return "Mend the file, or open it with xarray and hand plkit the dataset."
