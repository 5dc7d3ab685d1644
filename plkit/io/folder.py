"""A folder with one file per spectrum, whose names say where and when it was measured."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, users_level
from plkit.io.registry import Reader

__all__ = ["READER", "read_folder"]

_NUMBER = r"[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?"
_NAMED = (names.SAMPLE, names.COMPONENT)


def read_folder(
    path: Path,
    *,
    pattern: str | None = None,
    units: Mapping[str, str] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Read a folder of spectra.

    Parameters
    ----------
    path : path
        The folder.
    pattern : str
        Name of a file with its dims in braces: ``"spot_x{x}_y{y}_t{time}.txt"``. Files that do not
        match are left alone.
    units : mapping of str to str, optional
        Unit of each dim in the pattern, for instance ``{"time": "s"}``.
    **options
        Passed to the reader of the files.

    Returns
    -------
    xarray.Dataset
        The variables of the files over the dims of the pattern and those of the files.

    Raises
    ------
    FileFormatError
        If no file matches, a unit is not said, two files have the same place, or their axes differ.

    Warns
    -----
    PlkitWarning
        If the files do not fill the grid: the missing spectra are NaN.
    """
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not files:
        raise file_error(path, "the folder holds no file")
    if pattern is None:
        raise ask(
            path,
            "what the names of its files mean",
            f'pattern="…{{{names.TIME}}}…{files[0].suffix}"',
        )
    dims, regex = _compile(path, pattern)
    attrs = {dim: _axis_attrs(path, dim, units or {}) for dim in dims}
    found: dict[tuple[Any, ...], Path] = {}
    for file in files:
        match = regex.fullmatch(file.relative_to(path).as_posix())
        if match is None:
            continue
        place = tuple(_coordinate(dim, match[dim]) for dim in dims)
        if place in found:
            raise file_error(
                path,
                f"'{found[place].name}' and '{file.name}' stand for the same {', '.join(dims)}",
            )
        found[place] = file
    if not found:
        raise file_error(
            path,
            f"none of its {len(files)} files matches '{pattern}', for instance '{files[0].name}'",
        )
    spectra = {place: _read_one(file, options) for place, file in found.items()}
    _same_axes(path, {file.name: spectra[place] for place, file in found.items()})
    return _grid(path, dims, attrs, spectra)


def _compile(path: Path, pattern: str) -> tuple[list[str], re.Pattern[str]]:
    dims: list[str] = []
    regex = ""
    allowed = [
        *(d for d in names.CANONICAL_ORDER if d not in names.SPECTRAL_DIMS),
        names.TEMPERATURE,
    ]
    for index, piece in enumerate(re.split(r"\{(\w*)\}", pattern)):
        if index % 2 == 0:
            regex += re.escape(piece)
            continue
        if piece not in allowed or piece in dims:
            raise file_error(
                path, f"the pattern holds '{{{piece}}}', not each once of {', '.join(allowed)}"
            )
        dims.append(piece)
        regex += f"(?P<{piece}>{'[^/]+?' if piece in _NAMED else _NUMBER})"
    if not dims:
        raise file_error(
            path, f"the pattern '{pattern}' holds no dim in braces",
            f'Write for instance pattern="spot_{{{names.TIME}}}.txt".',
        )  # fmt: skip
    return dims, re.compile(regex)


def _axis_attrs(path: Path, dim: str, units: Mapping[str, str]) -> dict[str, str]:
    wanted = names.unit(dim)
    if wanted == "1":
        return names.attrs(dim)
    if dim not in units:
        raise ask(
            path, f"the unit of '{dim}' in the names of its files", f'units={{"{dim}": "{wanted}"}}'
        )
    if names.conversion_factor(units[dim], wanted) is None:
        raise file_error(
            path, f"the unit of '{dim}' is '{units[dim]}', not '{wanted}' or a multiple of it"
        )
    return {**names.attrs(dim), "units": names.normalise_unit(units[dim])}


def _coordinate(dim: str, text: str) -> float | str:
    return text if dim in _NAMED else float(text.replace(",", "."))


def _read_one(file: Path, options: Mapping[str, Any]) -> xr.Dataset:
    from plkit.io.reading import read_unstamped

    return read_unstamped(file, options)


def _same_axes(path: Path, spectra: Mapping[str, xr.Dataset]) -> None:
    first_name, first = next(iter(spectra.items()))
    for name, ds in spectra.items():
        for dim in first.dims:
            a, b = first.get(dim), ds.get(dim)
            if a is None and b is None and first.sizes[dim] == ds.sizes.get(dim):
                continue
            if a is None or b is None or a.shape != b.shape or not np.allclose(a, b, rtol=1e-9):
                found, wanted = _axis_text(ds, str(dim)), _axis_text(first, str(dim))
                raise file_error(
                    path,
                    f"'{name}' has {found}, not {wanted} as '{first_name}'",
                    "Read the files one by one and bring them onto one axis.",
                )


def _axis_text(ds: xr.Dataset, dim: str) -> str:
    if dim not in ds.coords:
        return f"no axis '{dim}'"
    values = ds[dim].values
    return f"{values.size} values of {dim} from {values[0]:g} to {values[-1]:g}"


def _grid(
    path: Path,
    dims: list[str],
    attrs: Mapping[str, dict[str, str]],
    spectra: Mapping[tuple[Any, ...], xr.Dataset],
) -> xr.Dataset:
    """Put each spectrum at its place; places without a file are NaN."""
    first = next(iter(spectra.values()))
    coords = {dim: sorted({place[i] for place in spectra}) for i, dim in enumerate(dims)}
    shape = tuple(len(c) for c in coords.values())
    n_missing = int(np.prod(shape)) - len(spectra)
    if n_missing:
        warnings.warn(
            f"'{path.name}' lacks {n_missing} of the {int(np.prod(shape))} files of its grid "
            f"({' × '.join(f'{len(c)} {d}' for d, c in coords.items())}); their spectra are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    variables: dict[str, Any] = {}
    for name, da in first.data_vars.items():
        dtype = np.result_type(*{ds[name].dtype for ds in spectra.values()})
        if n_missing:
            dtype = np.result_type(dtype, np.float32)
        cube = np.empty((*shape, *da.shape), dtype)
        if n_missing:
            cube[...] = np.nan
        for place in itertools.product(*(range(n) for n in shape)):
            ds = spectra.get(tuple(c[i] for c, i in zip(coords.values(), place, strict=True)))
            if ds is not None:
                cube[place] = ds[name].values
        variables[str(name)] = ((*dims, *da.dims), cube, da.attrs)
    axes = {dim: (dim, np.array(c), attrs[dim]) for dim, c in coords.items()}
    kept = {k: v for k, v in first.attrs.items() if k in ("instrument", "units_in_file")}
    return xr.Dataset(variables, {**axes, **first.coords}, {**kept, "files": len(spectra)})


READER = Reader(
    name="folder",
    title="folder of spectra",
    suffixes=(),
    sniff=lambda path, head: path.is_dir(),  # noqa: ARG005
    read=read_folder,
    options=("pattern", "units", "*"),
)
