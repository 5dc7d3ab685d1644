"""Send blocks of traces to the engine: numpy arrays one after the other, dask arrays by chunks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.fit.batched_engine import default_threads, fit_block
from plkit.fit.job import Job, Packed, Raw
from plkit.fit.traces import Prepared

__all__ = ["run"]

Floats = NDArray[np.float64]

# Traces that are loaded and handed over at once.
_ROWS: Final = 8_192
_PACKED: Final = "packed"


def run(
    job: Job, ready: Prepared, fixed: Mapping[str, xr.DataArray], progress: bool = False
) -> Raw:
    """Fit every trace.

    Parameters
    ----------
    job : Job
        What is to be fitted.
    ready : Prepared
        Data and σ. Dask arrays are read chunk by chunk, by the scheduler in force: threads,
        processes or a distributed client.
    fixed : Mapping
        Values of row-wise fixed parameters, with dims of the data except the fitted one.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    Raw
        Of all traces, in the order of the data.
    """
    packed = Packed(len(job.template))
    given = [fixed[name] for name in job.fixed]
    if ready.lazy or any(g.chunks is not None for g in given):
        return packed.unpack(_by_chunks(job, ready, given, packed, progress))
    return packed.unpack(_by_rows(job, ready, given, packed, progress))


def _by_rows(
    job: Job, ready: Prepared, given: list[xr.DataArray], packed: Packed, progress: bool
) -> Floats:
    from tqdm import tqdm

    points = ready.x.size
    signal = ready.data.values.reshape(-1, points)
    others: list[NDArray[Any]] = []
    if ready.sigma is not None:
        sigma = ready.sigma.broadcast_like(ready.data).transpose(*ready.data.dims).values
        others.append(sigma.reshape(-1, points))
    outer = ready.outer
    others += [g.broadcast_like(outer).transpose(*outer.dims).values.ravel() for g in given]
    rows = len(signal)
    out = np.empty((rows, packed.width))
    threads = default_threads()
    with tqdm(total=rows, desc="fit", unit="trace", disable=not progress) as bar:
        for first in range(0, rows, _ROWS):
            part = slice(first, min(first + _ROWS, rows))
            out[part] = fit_block(
                signal[part], *(o[part] for o in others), job=job, threads=threads
            )
            bar.update(part.stop - part.start)
    return out


def _by_chunks(
    job: Job, ready: Prepared, given: list[xr.DataArray], packed: Packed, progress: bool
) -> Floats:
    dim, n = ready.dim, ready.x.size
    # bare variables: coordinates that only one of them has must not keep them apart
    arrays = [ready.data.variable]
    if ready.sigma is not None:
        sigma = ready.sigma.variable
        if dim not in sigma.dims:
            sigma = sigma.set_dims({dim: n, **sigma.sizes}).transpose(..., dim)  # type: ignore[no-untyped-call]
        arrays.append(sigma)
    core = [[dim] for _ in arrays] + [[] for _ in given]
    arrays = [a.chunk({dim: -1}) if a.chunks is not None else a for a in arrays]
    found = xr.apply_ufunc(
        fit_block,
        *arrays,
        *(g.variable for g in given),
        kwargs={"job": job},
        input_core_dims=core,
        output_core_dims=[[_PACKED]],
        dask="parallelized",
        output_dtypes=[np.float64],
        dask_gufunc_kwargs={"output_sizes": {_PACKED: packed.width}},
    )
    lazy = found.transpose(*ready.outer.dims, _PACKED)
    with _bar(progress):
        values = lazy.compute().values
    return np.asarray(values).reshape(-1, packed.width)


def _bar(progress: bool) -> AbstractContextManager[Any]:
    """A bar over the chunks; the distributed scheduler has a dashboard of its own."""
    if not progress:
        return nullcontext()
    from dask.callbacks import Callback
    from tqdm import tqdm

    class Bar(Callback):
        def _start_state(self, dsk: Any, state: Any) -> None:  # noqa: ARG002
            self.bar = tqdm(total=len(state["ready"]) + len(state["waiting"]), desc="fit")

        def _posttask(self, *_: Any) -> None:
            self.bar.update(1)

        def _finish(self, *_: Any) -> None:
            self.bar.close()

    out: AbstractContextManager[Any] = Bar()  # type: ignore[no-untyped-call]
    return out
