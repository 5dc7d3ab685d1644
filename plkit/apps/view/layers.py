"""What can be looked at: the layers of a file, or those of a study's results.

A *layer* is one dataset with a plane, two dims that are drawn as an image: (y, x) of a map, or
(time, λ) of a series of spectra. What is left besides the plane and the spectral axis is stepped
through. Nothing is read that is not drawn: a file beyond :data:`LAZY_BYTES` is opened by dask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import DataError, FileFormatError
from plkit.names import (
    COMPONENT,
    DELAY,
    INTENSITY,
    MEASURED_DIMS,
    NOISE_FLOOR,
    NOISE_GAIN,
    PARAM_I,
    POINT,
    POWER,
    TIME,
    X,
    Y,
)  # fmt: skip

__all__ = ["LAZY_BYTES", "Layer", "ReferenceFile", "open_layers"]

LAZY_BYTES: Final = 2**30
"""Files whose numbers need more memory than this are read plane by plane."""

_STATUS: Final = "fit_status"
_OWN_FORMATS: Final = ("netcdf", "zarr")


@dataclass(frozen=True)
class ReferenceFile:
    """A reference spectrum that was measured elsewhere.

    Parameters
    ----------
    path : str
        The file.
    ds : xarray.Dataset
        Its spectra, the dark subtracted where one was stated.
    code : str
        Python that gives ``ds``.
    """

    path: str
    ds: xr.Dataset
    code: str


@dataclass(frozen=True)
class Layer:
    """One dataset that is looked at.

    Parameters
    ----------
    name : str
        Shown in the list of layers.
    ds : xarray.Dataset
        Measured spectra, or maps of results; perhaps lazy.
    code : str
        Python that gives ``ds``, in terms of ``plkit`` alone.
    path : str
        The file.
    variable : str
        Measured variable; empty where the layer holds maps of results only.
    spectral : str
        Its spectral dimension, or ``delay``; empty where there is none.
    plane : tuple of str
        Dims of the image, rows first; empty for a single spectrum.
    outer : tuple of str
        Dims that are stepped through; the first is the one that is played.
    lazy : bool
        Whether values are read when they are needed.
    quantities : tuple of str
        What can be drawn over the plane.
    references : mapping of str to ReferenceFile
        Reference spectra that were stated as files, by name.
    dark : str
        File that was subtracted.
    """

    name: str
    ds: xr.Dataset
    code: str
    path: str = ""
    variable: str = ""
    spectral: str = ""
    plane: tuple[str, ...] = ()
    outer: tuple[str, ...] = ()
    lazy: bool = False
    quantities: tuple[str, ...] = ()
    references: Mapping[str, ReferenceFile] = field(default_factory=dict)
    dark: str = ""

    @property
    def is_map(self) -> bool:
        """True where the plane is a map of the sample, not a series of spectra."""
        return bool(self.plane) and self.spectral not in self.plane

    @property
    def has_spectra(self) -> bool:
        """True where spectra were measured."""
        return bool(self.variable and self.spectral)

    def axis(self, dim: str) -> np.ndarray:
        """Values along a dim; its index where the file states none."""
        if dim in self.ds.coords and self.ds[dim].dtype.kind in "iuf":
            return np.asarray(self.ds[dim].values, dtype=float)
        return np.arange(self.ds.sizes[dim], dtype=float)


def open_layers(
    path: str | Path, *, reader: str | None = None, options: Mapping[str, Any] | None = None
) -> tuple[Layer, ...]:
    """Open a file that plkit reads, or the results of a study.

    Parameters
    ----------
    path : str or pathlib.Path
        File, store or folder; ``results.nc`` or the folder that holds it.
    reader : str, optional
        Name of the reader, where the suffix misleads.
    options : mapping, optional
        What the file does not say, as for :func:`plkit.read`.

    Returns
    -------
    tuple of Layer
        At least one.

    Raises
    ------
    FileFormatError
        If the file cannot be read.
    DataError
        If it holds nothing that could be drawn.

    Examples
    --------
    >>> layer = open_layers("map.nc")[0]                                   # doctest: +SKIP
    >>> layer.plane, layer.outer                                           # doctest: +SKIP
    (('y', 'x'), ('time',))
    """
    where = Path(path)
    tree = results_file(where) if reader is None and not options else None
    if tree is not None:
        return results_layers(tree)
    ds, lazy = _open(where, reader, dict(options or {}))
    words = "".join(f", {k}={v!r}" for k, v in (options or {}).items())
    chosen = f", reader={reader!r}" if reader else ""
    code = f"plkit.read({str(where)!r}{chosen}{words})"
    return (layer_of(where.name, ds, code, path=str(where), lazy=lazy),)


def layer_of(name: str, ds: xr.Dataset, code: str, *, path: str = "", lazy: bool = False) -> Layer:
    """Find plane, spectral axis and what is stepped through.

    Parameters
    ----------
    name : str
        Shown in the list of layers.
    ds : xarray.Dataset
        In plkit's schema.
    code : str
        Python that gives it.
    path : str, optional
        The file.
    lazy : bool, optional
        Whether values are read when they are needed.

    Returns
    -------
    Layer
        Of the dataset.

    Raises
    ------
    DataError
        If there is neither a spectrum nor a map.

    Examples
    --------
    >>> ds = xr.Dataset({"fraction": (("y", "x"), np.eye(3))})
    >>> layer_of("maps", ds, "ds").quantities
    ('fraction',)
    """
    variable = _measured(ds)
    spectral = ""
    if variable:
        spectral = next((str(d) for d in MEASURED_DIMS if d in ds[variable].dims), "")
    dims = [str(d) for d in (ds[variable].dims if variable else _map_dims(ds))]
    if not dims:
        raise DataError(
            f"view '{name}'",
            f"it holds {', '.join(map(str, ds.data_vars)) or 'no variable'}, neither spectra nor a map",
            "Give a measured file, or results.nc of plkit run.",
        )
    rest = [d for d in dims if d != spectral]
    plane: tuple[str, ...]
    if {Y, X} <= set(rest):
        plane = (Y, X)
    elif not rest:
        plane = ()
    else:
        played = next((d for d in (TIME, DELAY, Y, X, POINT) if d in rest), rest[-1])
        plane = (played, spectral) if spectral else ()
    outer = [d for d in rest if d not in plane]
    outer.sort(key=lambda d: (d != TIME, d != POWER))
    layer = Layer(name, ds, code, path, variable, spectral, plane, tuple(outer), lazy)
    return replace(layer, quantities=_quantities(layer))


def results_layers(where: Path) -> tuple[Layer, ...]:
    """Layers of the results of a study: maps, overviews and spectral movies of its samples.

    Parameters
    ----------
    where : pathlib.Path
        results.nc, or the folder that holds it.

    Returns
    -------
    tuple of Layer
        Maps first.

    Raises
    ------
    DataError
        If the results hold neither maps nor spectra.
    """
    from plkit.study import open_results

    tree = open_results(where)
    start = f"plkit.open_results({str(where)!r})"
    maps, spectra = [], []
    for sample in tree.children:
        groups = tree[sample].children
        for name in ("maps", "overview"):
            if name not in groups:
                continue
            node = f"{sample}/{name}"
            ds, code = tree[node].to_dataset(), f'{start}["{node}"].to_dataset()'
            if name == "maps" and "composition" in groups:
                ds = ds.merge(tree[f"{sample}/composition"].to_dataset(), compat="override")
                code += f'.merge({start}["{sample}/composition"].to_dataset(), compat="override")'
            maps.append(layer_of(f"{sample} {name}", ds, code, path=str(where)))
        for name, title in (("raw", "spectra"), ("recovery_raw", "recovery")):
            if name in groups and "movie" in groups[name].data_vars:
                spectra.append(_movie(tree, f"{sample}/{name}", f"{sample} {title}", start, where))
    if not maps and not spectra:
        raise DataError(f"view '{where}'", "the results hold neither maps nor spectra")
    return tuple(maps + spectra)


def _movie(tree: xr.DataTree, node: str, title: str, start: str, where: Path) -> Layer:
    """Spectra over time that the study kept, as a dataset like a measured one."""
    kept = [n for n in ("movie", NOISE_GAIN, NOISE_FLOOR) if n in tree[node].data_vars]
    ds = tree[node].to_dataset()[kept].rename(movie=INTENSITY, movie_time=TIME)
    ds = schema.conform(ds)
    code = (
        f'plkit.conform({start}["{node}"].to_dataset()[{kept!r}]'
        f'.rename(movie="{INTENSITY}", movie_time="{TIME}"))'
    )
    return layer_of(title, ds, code, path=str(where))


def results_file(where: Path) -> Path | None:
    """The results of a study, if that is what the path holds."""
    if where.is_dir() and (where / "results.nc").is_file():
        return where / "results.nc"
    if where.is_file() and where.suffix == ".nc":
        import h5py

        if h5py.is_hdf5(where):
            with h5py.File(where, "r") as file:
                if "summary" in file.attrs and "provenance" in file.attrs:
                    return where
    return None


def _open(where: Path, reader: str | None, options: dict[str, Any]) -> tuple[xr.Dataset, bool]:
    """Read a file; a large one of plkit's own formats is opened without reading it."""
    import plkit
    from plkit.io.registry import detect

    kind = reader or detect(where).name
    if kind in _OWN_FORMATS and "chunks" not in options:
        try:
            with _open_lazily(where, kind) as found:
                large = found.nbytes > LAZY_BYTES
        except (OSError, ValueError):
            large = False  # damaged: the reader says how
        if large:
            return _landed(_open_lazily(where, kind, chunks={}), where, kind), True
    return plkit.read(where, reader=reader, **options), False


def _open_lazily(where: Path, kind: str, **chunks: Any) -> xr.Dataset:
    """Open without reading; dask, which is slow to import, comes with ``chunks`` alone."""
    engine = {"netcdf": "netcdf4", "zarr": "zarr"}[kind]
    extra: dict[str, Any] = {"consolidated": False} if kind == "zarr" else {}
    return xr.open_dataset(where, engine=engine, decode_timedelta=False, **extra, **chunks)


def _landed(ds: xr.Dataset, where: Path, kind: str) -> xr.Dataset:
    """In plkit's schema by its axes alone: the values of a large file are not checked."""
    for name in [str(n) for n in ds.data_vars if n in names.TABLE]:
        ds = schema.conform(ds, name)
    if not _measured(ds):
        raise FileFormatError(f"view '{where.name}'", "it holds no measured variable of plkit")
    ds = ds.assign_attrs(source_file=where.name, reader=kind)
    return schema.add_history(ds, f"read({where.name!r}, reader={kind!r})")


def _measured(ds: xr.Dataset) -> str:
    """Variable that runs over a spectral axis or a delay; the intensity where there is one."""
    found = [
        str(n) for n, da in ds.data_vars.items()
        if set(MEASURED_DIMS) & set(da.dims) and n not in (NOISE_GAIN, NOISE_FLOOR)
        and not str(n).endswith("_stderr")
    ]  # fmt: skip
    return INTENSITY if INTENSITY in found else (found[0] if found else "")


def _map_dims(ds: xr.Dataset) -> tuple[Any, ...]:
    """Dims of the maps of a dataset of results, those of a matrix or of components left out."""
    for da in ds.data_vars.values():
        if {Y, X} <= set(da.dims):
            return tuple(d for d in da.dims if d not in (COMPONENT, PARAM_I, "param_j"))
    return ()


def _quantities(layer: Layer) -> tuple[str, ...]:
    """Names of what can be drawn over the plane: 'variable', or 'variable:component'."""
    found: list[str] = []
    if layer.has_spectra:
        found += ["band", "slice"] if layer.is_map else ["spectra"]
    if layer.is_map or not layer.has_spectra:
        found += maps_of(layer.ds, layer.plane, layer.outer)
    return tuple(found)


def maps_of(ds: xr.Dataset, plane: tuple[str, ...], outer: tuple[str, ...]) -> list[str]:
    """Variables of a dataset that run over a plane, one per component.

    Parameters
    ----------
    ds : xarray.Dataset
        Results.
    plane, outer : tuple of str
        Dims of the image, and those that may be stepped through.

    Returns
    -------
    list of str
        ``"variable"``, or ``"variable:component"``; the σ of a variable is not listed.
    """
    found = []
    for name, da in ds.data_vars.items():
        extra = set(map(str, da.dims)) - set(plane) - set(outer)
        if not plane or not set(plane) <= set(da.dims) or str(name).endswith("_stderr"):
            continue
        if not extra:
            found.append(str(name))
        elif extra == {COMPONENT}:
            found += [f"{name}:{c}" for c in ds[COMPONENT].values]
    return found
