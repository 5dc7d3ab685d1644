"""A dataset as text: a table that any program reads, and a note in front for what it lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.io.common import measured_variable
from plkit.io.table import PLKIT_MARK

__all__ = ["csv_text", "plain"]


def csv_text(ds: xr.Dataset, path: Path) -> str:
    """Text with a note in front that holds what the numbers alone do not say."""
    action = f"write '{path.name}'"
    variable = measured_variable(ds)
    if variable is None:
        raise DataError(
            action, "the dataset has no measured variable over a spectral dim or a delay", "Use .nc."
        )  # fmt: skip
    da = ds[variable]
    dims = [str(d) for d in da.dims]
    if len(dims) > 2:
        raise DataError(
            action, f"'{variable}' has {len(dims)} dims ({', '.join(dims)}), not at most 2",
            "Write netCDF (.nc), or select one spectrum or one axis first.",
        )  # fmt: skip
    if dims[-1] not in names.MEASURED_DIMS:
        kind = "spectral" if any(d in names.SPECTRAL_DIMS for d in dims) else f"'{names.DELAY}'"
        raise DataError(
            action,
            f"the dims are ({', '.join(dims)}), the {kind} one not last",
            "Call plkit.conform, or write netCDF (.nc).",
        )
    for dim in dims:
        if dim not in ds.coords or ds[dim].dtype.kind not in "iuf":
            raise DataError(action, f"'{dim}' has no numbers as coordinate", "Write netCDF (.nc).")
    one_spectrum = len(dims) == 1
    columns = [
        str(n) for n, v in ds.data_vars.items() if v.dims == da.dims and v.dtype.kind in "iuf"
    ]
    columns = columns if one_spectrum else [variable]
    rest = ds.drop_vars([*columns, *dims])
    too_wide = [str(n) for n, v in rest.variables.items() if v.ndim > 1]
    if too_wide:
        raise DataError(
            action,
            f"'{too_wide[0]}' has {rest[too_wide[0]].ndim} dims beside '{variable}'",
            "Write netCDF (.nc).",
        )
    kept = [*columns, *dims]
    for name in kept:
        # Text is read as 64-bit floating point, which holds integers up to 2^53.
        if ds[name].dtype.kind in "iu" and int(abs(ds[name].astype(object)).max()) > 2**53:
            raise DataError(action, f"'{name}' holds integers beyond 2^53", "Write netCDF (.nc).")
    note = {
        "dims": dims,
        "columns": columns,
        "dtypes": {n: ds[n].dtype.str for n in kept},
        "attrs": {n: ds[n].attrs for n in kept},
        "rest": rest.to_dict(),
    }
    lines = [PLKIT_MARK + json.dumps(note, default=plain)]
    if one_spectrum:
        lines.append(",".join(_label(ds, n) for n in (dims[0], *columns)))
        table = [ds[n].values for n in (dims[0], *columns)]
        lines += [",".join(map(_number, row)) for row in zip(*table, strict=True)]
    else:
        corner = f"{_label(ds, dims[0])} \\ {_label(ds, dims[1])}"
        lines.append(",".join([corner, *map(_number, ds[dims[1]].values)]))
        for value, row in zip(ds[dims[0]].values, da.values, strict=True):
            lines.append(",".join([_number(value), *map(_number, row)]))
    return "\n".join(lines) + "\n"


def _label(ds: xr.Dataset, name: str) -> str:
    unit = ds[name].attrs.get("units")
    return f"{name} ({unit})" if unit else name


def _number(value: npt.ArrayLike) -> str:
    """Shortest text that reads back as the same number."""
    return str(np.asarray(value)[()])


def plain(value: Any) -> Any:
    """Turn what JSON does not know into what it does."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
