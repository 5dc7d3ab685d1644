"""From a compressed file to maps."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import plkit
from benchmarks.harness import Contender, Estimate
from benchmarks.unmixing import Cube, UnmixJudge, cube
from plkit.names import COMPONENT, WAVELENGTH, X, Y


def write(path: Path, side: int) -> tuple[Cube, int]:
    """netCDF-4 of counts: uint16, zlib 4 with shuffle, chunks of 32 × 32 spectra."""
    data = cube(side * side, np.uint16)
    flat = data.dataset(side * side).intensity
    intensity = xr.DataArray(
        flat.values.reshape(side, side, -1), dims=(Y, X, WAVELENGTH),
        coords={
            Y: (Y, np.arange(side) * 0.5, {"units": "um"}),
            X: (X, np.arange(side) * 0.5, {"units": "um"}), WAVELENGTH: flat[WAVELENGTH],
        },
        attrs={"units": "counts"},
    )  # fmt: skip
    ds = xr.Dataset({"intensity": intensity, "noise_gain": ((), 1.0, {"units": "counts"})})
    packed = {"zlib": True, "complevel": 4, "shuffle": True, "chunksizes": (32, 32, 1024)}
    ds.to_netcdf(path, engine="netcdf4", encoding={"intensity": packed})
    return data, path.stat().st_size


def _estimate(out: xr.Dataset) -> Estimate:
    dims = (Y, X, COMPONENT)
    return Estimate(
        out.amplitude.transpose(*dims).values.reshape(-1, 3),
        out.amplitude_stderr.transpose(*dims).values.reshape(-1, 3),
    )


def _stream(data: Cube, path: Path, n: int, **how: Any) -> Callable[[], Estimate]:
    refs = data.references()
    return lambda: _estimate(plkit.unmix(path, refs, **how).load())


def _load(data: Cube, path: Path, n: int, **how: Any) -> Callable[[], Estimate]:
    refs = data.references()
    return lambda: _estimate(plkit.unmix(plkit.read(path).load(), refs, **how).load())


def _dask(data: Cube, path: Path, n: int) -> Callable[[], Estimate]:
    inverse = xr.DataArray(np.linalg.pinv(data.refs.T), dims=(COMPONENT, WAVELENGTH))

    def work() -> Estimate:
        with xr.open_dataset(path, chunks={}) as ds:
            found = xr.dot(ds.intensity, inverse.astype(np.float32), dim=WAVELENGTH)
            return Estimate(found.transpose(Y, X, COMPONENT).values.reshape(-1, 3))

    return work


def _xarray_then_numpy(data: Cube, path: Path, n: int) -> Callable[[], Estimate]:
    inverse = np.linalg.pinv(data.refs.T).astype(np.float32)

    def work() -> Estimate:
        with xr.open_dataset(path) as ds:
            y = ds.intensity.values.reshape(-1, data.x.size).astype(np.float32)
        return Estimate(y @ inverse.T)

    return work


def contenders(data: Cube, path: Path, rows: int, check: int) -> list[Contender]:
    """Everybody reads the same file, which the operating system holds in memory."""
    bind = functools.partial
    equal, poisson = UnmixJudge(data, "uniform", check), UnmixJudge(data, "poisson", check)
    everybody = [
        Contender(
            "plkit.unmix(path), uniform", "plkit", bind(_stream, data, path, noise="uniform"), rows,
            0, equal, "≥ 0, σ, χ²", True,
        ),
        Contender(
            "plkit.unmix(path), Poisson", "plkit", bind(_stream, data, path), rows, 0, poisson,
            "the default: maximum likelihood, ≥ 0, σ, χ²", True,
        ),
        Contender(
            "plkit.unmix(plkit.read(path)), uniform", "plkit",
            bind(_load, data, path, noise="uniform"), rows, 0, equal, "whole cube in memory first",
            True,
        ),
        Contender(
            "xarray + dask, pseudo-inverse", "dask", bind(_dask, data, path), rows, 0, equal,
            "may be < 0, no σ",
        ),
        Contender(
            "xarray load, pseudo-inverse", "xarray", bind(_xarray_then_numpy, data, path), rows, 0,
            equal, "may be < 0, no σ",
        ),
    ]  # fmt: skip
    for c in everybody:
        c.whole = True
    return everybody
