"""Send spectra to the kernels: arrays in memory, chunks of dask, blocks of a file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.io.stream import SpectralStream
from plkit.peaks._door import Prepared
from plkit.physics.nnls import cores
from plkit.physics.peaks import COLUMNS, Problem, fit_spectra

__all__ = ["fit_in_blocks", "fit_whole"]

Found = tuple[NDArray[np.float64], NDArray[np.int8]]
_PACKED: Final = "packed"


def fit_whole(ready: Prepared, progress: bool) -> Found:
    """Fit spectra in memory with all cores, or those of dask by its scheduler, chunk by chunk."""
    if ready.data.chunks is not None:
        return _by_chunks(ready, progress)
    from tqdm import tqdm

    spectra = int(np.prod(ready.data.shape[:-1]))
    with tqdm(total=spectra, desc="peaks", unit="spectrum", disable=not progress) as bar:
        return fit_spectra(ready.data.values, ready.problem, done=bar.update)


def _by_chunks(ready: Prepared, progress: bool) -> Found:
    dim = ready.data.dims[-1]
    lazy: Any = xr.apply_ufunc(
        _packed,
        ready.data.variable.chunk({dim: -1}),
        kwargs={"problem": ready.problem},
        input_core_dims=[[dim]],
        output_core_dims=[[_PACKED]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {_PACKED: len(COLUMNS) + 1}},
    )
    with _bar(progress):
        found = lazy.compute().values
    return found[..., :-1], found[..., -1].astype(np.int8)


def _packed(counts: NDArray[Any], problem: Problem) -> NDArray[np.float64]:
    """Values and status of a chunk in one array; the scheduler has threads of its own."""
    values, status = fit_spectra(counts, problem, threads=1)
    return np.concatenate([values, status[..., None]], axis=-1)


def _bar(progress: bool) -> AbstractContextManager[Any]:
    """A bar over the chunks; the distributed scheduler has a dashboard of its own."""
    if not progress:
        return nullcontext()
    from tqdm.dask import TqdmCallback

    bar: AbstractContextManager[Any] = TqdmCallback(desc="peaks")
    return bar


def fit_in_blocks(ready: Prepared, stream: SpectralStream, progress: bool) -> Found:
    """Fit spectra block by block as their file gives them, each block in a thread of its own."""
    lead = ready.data.shape[:-1]
    values = np.full((*lead, len(COLUMNS)), np.nan)
    status = np.zeros(lead, dtype=np.int8)

    def work(where: tuple[Any, ...], counts: NDArray[Any]) -> None:
        values[where], status[where] = fit_spectra(counts, ready.problem, threads=1)

    stream.each_block(work, threads=cores(), progress=progress)
    return values, status
