"""NumPy archives (.npz) of named arrays: the data, its axes, and positions."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import ask, file_error, spectral_dim_of_unit
from plkit.io.guard import check_zip
from plkit.io.points import place_points
from plkit.io.registry import Reader
from plkit.io.text import known_unit, quantity_of

__all__ = ["READER", "NpzOptions", "read_npz"]

# Endings of array names that say a unit: energy_ev, x_um, wavelength_nm, raman_shift_cm1.
_UNIT_ENDINGS = {
    "nm": "nm", "um": "um", "mm": "mm", "ev": "eV", "mev": "meV", "cm1": "1/cm", "s": "s",
    "ms": "ms", "us": "us", "ns": "ns", "ps": "ps", "uw": "uW", "mw": "mW", "k": "K",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NpzOptions:
    """What the names of the arrays do not say.

    Parameters
    ----------
    data : str, optional
        Name of the array that was measured.
    dims : sequence of str, optional
        Dims of that array, in its order.
    axes : mapping of str to str, optional
        Array that holds the coordinates of a dim: ``{"raman_shift": "wavelength"}``.
    units : mapping of str to str, optional
        Unit of each axis: ``{"x": "um"}``.
    steps : mapping of str to float, optional
        Step of a dim that has no array, in its unit: ``{"x": 0.5, "y": 0.5}``.
    variable : str, optional
        Name in ``plkit.names.TABLE`` of what was measured; ``intensity`` by default.
    points : {"grid", "list"}, optional
        For a list of positions: see :func:`plkit.io.points.place_points`.
    tolerance_um : float, optional
        Likewise [µm].
    """

    data: str | None = None
    dims: Sequence[str] | None = None
    axes: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, float] = field(default_factory=dict)
    variable: str | None = None
    points: str | None = None
    tolerance_um: float | None = None


def read_npz(path: Path, **options: Any) -> xr.Dataset:
    """Read a NumPy archive of named arrays.

    Parameters
    ----------
    path : path
        An ``.npz`` with an array of spectra, one with their axis, and, for a map, axes or lists ``x`` and
        ``y``. Pickled objects are refused.
    **options
        Fields of :class:`NpzOptions`: what the names do not say.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (…, spectral) [counts], or ``variable``; over ``y``, ``x`` or over ``point``.

    Raises
    ------
    FileFormatError
        If the archive is damaged, holds pickled objects, or does not say what its arrays are.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.npz")
    ...     np.savez(path, intensity=np.array([3, 7]), wavelength_nm=np.array([500.0, 501.0]))
    ...     ds = read_npz(path)
    >>> ds.wavelength.attrs["units"], ds.intensity.values.tolist()
    ('nm', [3, 7])
    """
    path = Path(path)
    said = NpzOptions(**options)
    arrays = load_arrays(path)
    axes = _axes(path, arrays, said)
    data_name = _data_name(path, arrays, axes, said)
    data = arrays[data_name]
    dims = _dims(path, data_name, data, arrays, axes, said)
    coords: dict[str, Any] = {}
    for dim, size in zip(dims, data.shape, strict=True):
        if dim == names.POINT:
            continue
        if dim in axes:
            values = arrays[axes[dim]]
        elif dim in said.steps:
            values = np.arange(size) * float(said.steps[dim])
        else:
            raise ask(
                path,
                f"the step along '{dim}'",
                f'steps={{"{dim}": 1.0}}, units={{"{dim}": "{names.unit(dim)}"}}',
            )
        if values.shape != (size,):
            raise file_error(
                path, f"'{axes[dim]}' has shape {values.shape}, not ({size},) as '{data_name}' along '{dim}'"
            )  # fmt: skip
        coords[dim] = (dim, values.astype(np.float64), _axis_attrs(path, dim, axes.get(dim), said))
    if names.POINT in dims:
        for axis in (names.X, names.Y):
            attrs = _axis_attrs(path, axis, axes.get(axis), said)
            factor = names.conversion_factor(attrs["units"], names.unit(axis)) or 1.0
            values = arrays[axes[axis]].astype(np.float64) * factor
            coords[axis] = (names.POINT, values, names.attrs(axis))
    quantity = quantity_of(data_name)
    known = quantity if quantity in names.TABLE and quantity not in names.CANONICAL_ORDER else None
    variable = said.variable or known or names.INTENSITY
    if variable not in names.TABLE:
        raise file_error(path, f"variable is '{variable}', which is not in plkit.names.TABLE")
    rest = [n for n in arrays if n != data_name and n not in axes.values()]
    notes = {"arrays_left_out": ", ".join(rest)} if rest else {}
    ds = xr.Dataset({variable: (dims, data, names.attrs(variable))}, coords, notes)
    if names.POINT in dims:
        ds = place_points(path, ds, points=said.points, tolerance_um=said.tolerance_um)
    return ds


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays of an archive, whose headers say no more than their bytes hold; nothing is unpickled.

    Parameters
    ----------
    path : pathlib.Path
        An ``.npz``.

    Returns
    -------
    dict of str to ndarray
        Numeric arrays and arrays of text, by name.

    Raises
    ------
    FileFormatError
        If a member is pickled, cut or damaged.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    members = check_zip(path)
    with zipfile.ZipFile(path) as archive:
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                continue
            try:
                raw = archive.read(member)
            except (
                zipfile.BadZipFile,
                OSError,
                EOFError,
                RuntimeError,
                NotImplementedError,
                ValueError,
            ) as exc:
                raise file_error(
                    path, f"its array '{name}' is damaged ({exc})", "Copy it again."
                ) from exc
            arrays[name] = _parse_npy(path, name, raw)
    if not arrays:
        raise file_error(path, "the archive holds no array", "Make one with numpy.savez.")
    return arrays


def _parse_npy(path: Path, name: str, raw: bytes) -> npt.NDArray[Any]:
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
    except (ValueError, SyntaxError, UnicodeDecodeError, TypeError, RecursionError) as exc:
        raise file_error(
            path, f"the header of its array '{name}' is damaged", "Copy it again."
        ) from exc
    if dtype.hasobject:
        raise file_error(
            path, f"its array '{name}' holds pickled Python objects, which could run a program",
            "Save numbers: numpy.savez(path, name=array.astype(float)).",
        )  # fmt: skip
    held = len(raw) - stream.tell()
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != held or not dtype.itemsize:
        raise file_error(
            path, f"its array '{name}' announces the shape {shape}, which its {held} bytes do not hold (truncated)",
            "Copy it again.",
        )  # fmt: skip
    flat = np.frombuffer(raw, dtype, offset=stream.tell())
    native: npt.NDArray[Any] = flat.astype(dtype.newbyteorder("="))
    return native.reshape(shape, order="F" if fortran else "C")


def _split_name(name: str) -> tuple[str | None, str | None]:
    """Quantity and unit in an array's name: ``energy_ev`` → energy, eV."""
    quantity = quantity_of(name)
    if quantity is not None:
        return quantity, None
    stem, mark, ending = name.lower().rpartition("_")
    if mark and ending in _UNIT_ENDINGS:
        return quantity_of(stem), _UNIT_ENDINGS[ending]
    return None, None


def _axes(path: Path, arrays: Mapping[str, Any], said: NpzOptions) -> dict[str, str]:
    """Array of coordinates by dim: what the options say, then what the names say."""
    found: dict[str, str] = {}
    for dim, name in said.axes.items():
        if dim not in names.CANONICAL_ORDER:
            raise file_error(
                path, f"axes names '{dim}', not one of {', '.join(names.CANONICAL_ORDER)}"
            )
        if name not in arrays:
            raise file_error(path, f"axes names the array '{name}', not one of {', '.join(arrays)}")
        found[dim] = name
    for name, values in arrays.items():
        quantity = _split_name(name)[0]
        if (
            quantity in names.CANONICAL_ORDER
            and values.ndim == 1
            and values.dtype.kind in "iuf"
            and name not in found.values()
        ):
            found.setdefault(str(quantity), name)
    return found


def _data_name(
    path: Path, arrays: Mapping[str, Any], axes: Mapping[str, str], said: NpzOptions
) -> str:
    if said.data is not None:
        if said.data not in arrays:
            raise file_error(path, f"data is '{said.data}', not one of {', '.join(arrays)}")
        if arrays[said.data].dtype.kind not in "iuf":
            raise file_error(path, f"'{said.data}' holds {arrays[said.data].dtype}, not numbers")
        return said.data
    lengths = {arrays[axes[d]].size for d in names.MEASURED_DIMS if d in axes}
    if not lengths and said.dims is None:
        raise ask(
            path, f"which of its arrays ({', '.join(arrays)}) is the spectral axis",
            f'axes={{"{names.WAVELENGTH}": "{next(iter(arrays))}"}}',
        )  # fmt: skip
    fitting = [
        n for n, a in arrays.items()
        if n not in axes.values() and a.dtype.kind in "iuf" and (not lengths or lengths & set(a.shape))
    ]  # fmt: skip
    named = [n for n in fitting if quantity_of(n) in names.TABLE]
    chosen = named if len(named) == 1 else fitting
    if len(chosen) != 1:
        raise ask(
            path,
            f"which of its arrays ({', '.join(arrays)}) was measured",
            f'data="{(fitting or list(arrays))[0]}"',
        )
    return chosen[0]


def _dims(
    path: Path,
    data_name: str,
    data: npt.NDArray[Any],
    arrays: Mapping[str, Any],
    axes: Mapping[str, str],
    said: NpzOptions,
) -> list[str]:
    """Dims of the data: as said, else by the lengths of the axes."""
    if said.dims is not None:
        wrong = [d for d in said.dims if d not in names.CANONICAL_ORDER]
        if len(said.dims) != data.ndim or wrong or len(set(said.dims)) != data.ndim:
            raise file_error(
                path, f"dims is {', '.join(said.dims)}, not {data.ndim} different ones of "
                f"{', '.join(names.CANONICAL_ORDER)}",
            )  # fmt: skip
        return list(said.dims)
    sizes = {d: arrays[n].size for d, n in axes.items()}
    x, y = sizes.pop(names.X, None), sizes.pop(names.Y, None)
    listed = x is not None and x == y and data.shape.count(x) == 1 and data.ndim == 2
    if listed and x is not None:
        sizes[names.POINT] = x
    else:
        sizes |= {d: n for d, n in ((names.Y, y), (names.X, x)) if n is not None}
    dims: list[str] = []
    for size in data.shape:
        fitting = [d for d, n in sizes.items() if n == size and d not in dims]
        if len(fitting) != 1 or data.shape.count(size) > 1:
            raise ask(
                path, f"the meaning of the shape {data.shape} of '{data_name}'",
                f'dims=["{names.Y}", "{names.X}", "{names.WAVELENGTH}"]',
            )  # fmt: skip
        dims.append(fitting[0])
    return dims


def _axis_attrs(path: Path, dim: str, name: str | None, said: NpzOptions) -> dict[str, str]:
    stated = said.units.get(dim) or (_split_name(name)[1] if name else None)
    if stated is None and names.unit(dim) != "1":
        raise ask(path, f"the unit of '{dim}'", f'units={{"{dim}": "{names.unit(dim)}"}}')
    spelled = known_unit(stated, names.unit(dim)) if stated else "1"
    if spelled is None:
        other = spectral_dim_of_unit(str(stated))
        way = f'plkit.read(path, axes={{"{other}": "{name}"}}, units={{"{other}": "{stated}"}})'
        raise file_error(
            path, f"the unit of '{dim}' is '{stated}', not '{names.unit(dim)}' or a multiple of it",
            f"Name the axis by what it is: {way}." if other else "Say the right one.",
        )  # fmt: skip
    return {**names.attrs(dim), "units": spelled}


def _sniff(path: Path, head: bytes) -> bool:
    if not head.startswith(b"PK\x03\x04"):
        return False
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length].endswith(b".npy") or path.suffix.lower() == ".npz"


READER = Reader(
    name="npz",
    title="NumPy archive",
    suffixes=(".npz",),
    sniff=_sniff,
    read=read_npz,
    options=tuple(f.name for f in fields(NpzOptions)),
)
