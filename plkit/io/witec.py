"""WITec Project (.wip) and Data (.wid) files, through witio."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, metadata_json, users_level
from plkit.io.points import POINT_OPTIONS, place_points
from plkit.io.registry import Reader

__all__ = ["READER", "read_witec"]

_MAGIC = (b"WIT_PRCT", b"WIT_DATA", b"WIT_PR06", b"WIT_DA06")
_UNITS = {
    "nm": (names.WAVELENGTH, "nm"),
    "um": (names.WAVELENGTH, "um"),
    "eV": (names.ENERGY, "eV"),
    "meV": (names.ENERGY, "meV"),
    "rel. 1/cm": (names.RAMAN_SHIFT, "1/cm"),
}
_MOST_TAGS, _DEEPEST = 200_000, 60


def read_witec(
    path: Path,
    *,
    graph: str | None = None,
    points: str | None = None,
    tolerance_um: float | None = None,
) -> xr.Dataset:
    """Read spectra of a WITec project.

    Parameters
    ----------
    path : path
        ``.wip`` or ``.wid``.
    graph : str, optional
        Caption of the spectra, where the project holds several.
    points, tolerance_um : optional
        For positions that are no grid: see :func:`plkit.io.points.place_points`.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (wavelength or energy or raman_shift), behind (y, x), (x), or (point) with the
        coordinates ``x`` and ``y`` [µm] where the scan is rotated; a series without positions is over
        ``point``. ``exposure_time`` [s] where the file has it.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds no spectra, or several and none is named.
    MissingExtraError
        If witio is not installed.

    Warns
    -----
    PlkitWarning
        If lines of a scan were not measured: they are NaN.
    """
    import witio

    path = Path(path)
    _check_tags(path)
    project = witio.read(path)
    graphs = [g for g in project.find(class_name="TDGraph") if g.payload is not None]
    captions = [str(g.caption or g.id) for g in graphs]
    if not graphs:
        raise file_error(path, "the project holds no spectra (TDGraph)")
    if graph is None and len(graphs) > 1:
        raise ask(
            path,
            f"which of its {len(graphs)} spectra ({'; '.join(captions)[:200]}) is wanted",
            f'graph="{captions[0]}"',
        )
    if graph is not None and graph not in captions:
        raise file_error(path, f"graph is '{graph}', not one of {'; '.join(captions)[:200]}")
    chosen = graphs[0] if graph is None else graphs[captions.index(graph)]
    data = np.asarray(chosen.array())
    axis, unit = chosen.x_axis()
    if unit in ("1/cm", "um") or unit not in _UNITS:
        if unit not in ("1/cm", "um", "rel. eV", "rel. meV"):
            raise file_error(
                path,
                f"the axis of '{captions[graphs.index(chosen)]}' is in '{unit}', not nm, eV or 1/cm",
            )
        axis, unit = chosen.x_axis("nm")
    dim, spelled = _UNITS[unit]
    bad = int(np.isnan(data).all(axis=-1).sum()) if data.dtype.kind == "f" else 0
    if bad:
        warnings.warn(
            f"'{path.name}' lacks {bad} of {data.shape[0] * data.shape[1]} spectra: the scan was interrupted, "
            "they are NaN.",
            PlkitWarning,
            stacklevel=users_level(),
        )
    meta = chosen.measurement_metadata
    attrs = {
        "instrument": f"WITec {project.system_metadata.get('system_id', '')}".strip(),
        "title": captions[graphs.index(chosen)],
        "metadata": metadata_json({"measurement": meta, "system": project.system_metadata}),
    }
    coords: dict[str, Any] = {dim: (dim, np.asarray(axis), {**names.attrs(dim), "units": spelled})}
    ds = _placed(chosen, data, dim, coords, attrs)
    exposure = meta.get("integration_time_s")
    if isinstance(exposure, int | float) and exposure > 0:
        ds["exposure_time"] = ((), float(exposure), names.attrs("exposure_time"))
    if names.X in ds.coords and names.POINT in ds.dims:
        ds = place_points(path, ds, points=points, tolerance_um=tolerance_um)
    return ds


def _placed(
    chosen: Any, data: npt.NDArray[Any], dim: str, coords: dict[str, Any], attrs: dict[str, Any]
) -> xr.Dataset:
    """Spectra over their positions."""
    size_x, size_y, _ = data.shape
    counts = names.attrs(names.INTENSITY)
    if size_x * size_y == 1:
        return xr.Dataset({names.INTENSITY: (dim, data[0, 0], counts)}, coords, attrs)
    flat = data.transpose(1, 0, 2).reshape(size_x * size_y, -1)
    link = chosen.payload.find("SpaceTransformationID")
    if link is None or chosen.project.find_by_id(link.scalar()) is None:
        coords[names.POINT] = (names.POINT, np.arange(len(flat)), names.attrs(names.POINT))
        return xr.Dataset({names.INTENSITY: ((names.POINT, dim), flat, counts)}, coords, attrs)
    x, y = (np.asarray(p) for p in chosen.position_grid("um"))
    straight = np.allclose(x, x[:, :1]) and np.allclose(y, y[:1, :])
    if straight and size_x > 1 and (size_y == 1 or np.ptp(y) > 0):
        coords[names.X] = (names.X, x[:, 0], names.attrs(names.X))
        if size_y == 1:
            return xr.Dataset(
                {names.INTENSITY: ((names.X, dim), data[:, 0], counts)}, coords, attrs
            )
        coords[names.Y] = (names.Y, y[0], names.attrs(names.Y))
        cube = np.ascontiguousarray(data.transpose(1, 0, 2))
        return xr.Dataset({names.INTENSITY: ((names.Y, names.X, dim), cube, counts)}, coords, attrs)
    coords[names.X] = (names.POINT, x.T.ravel(), names.attrs(names.X))
    coords[names.Y] = (names.POINT, y.T.ravel(), names.attrs(names.Y))
    return xr.Dataset({names.INTENSITY: ((names.POINT, dim), flat, counts)}, coords, attrs)


def _check_tags(path: Path) -> None:
    """Refuse tags that do not lie within the one that holds them: witio would trust them."""
    raw = path.read_bytes()
    todo = [(8, len(raw), 0)]
    n_tags = 0
    while todo:
        at, end, depth = todo.pop()
        while at < end:
            n_tags += 1
            if at + 4 > end or n_tags > _MOST_TAGS or depth > _DEEPEST:
                raise _damaged(path, at)
            (length,) = struct.unpack_from("<I", raw, at)
            body = at + 4 + length
            if length > 4096 or body + 20 > end:
                raise _damaged(path, at)
            kind, begin, stop = struct.unpack_from("<IQQ", raw, body)
            if not body + 20 <= begin <= stop <= end:
                raise _damaged(path, at)
            if kind == 0:
                todo.append((begin, stop, depth + 1))
            at = stop
            if depth == 0:
                break  # one tag holds all others


def _damaged(path: Path, at: int) -> Exception:
    return file_error(
        path, f"the tag at byte {at} does not lie within the file (truncated or damaged)",
        "Copy it again from the instrument.",
    )  # fmt: skip


READER = Reader(
    name="witec",
    title="WITec Project",
    suffixes=(".wip", ".wid"),
    sniff=lambda path, head: head.startswith(_MAGIC),  # noqa: ARG005
    read=read_witec,
    options=("graph", *POINT_OPTIONS),
    extra="io",
)
