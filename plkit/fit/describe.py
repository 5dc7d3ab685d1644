"""What is known of traces before any fit: how many points, from where to where, how flat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plkit.fit.job import Job, Raw
from plkit.fit.objective import Poisson
from plkit.fit.traces import constant_chisqr

__all__ = ["describe"]

Floats = NDArray[np.float64]


def describe(job: Job, raw: Raw, y: Floats, sigma: Floats | None) -> None:
    """Fill in what follows from the data alone.

    Parameters
    ----------
    job : Job
        What is to be fitted.
    raw : Raw
        Receives ``n_points``, ``first``, ``last`` and, for models that contain a constant,
        ``constant``.
    y, sigma : numpy.ndarray
        Shape (rows, points); NaN in gaps.
    """
    finite = np.isfinite(y)
    whole = bool(finite.all())
    raw.n_points[:] = finite.sum(axis=1)
    raw.first[:], raw.last[:] = job.x[0], job.x[-1]
    if not whole:
        raw.first[:] = job.x[np.argmax(finite, axis=1)]
        raw.last[:] = job.x[finite.shape[1] - 1 - np.argmax(finite[:, ::-1], axis=1)]
    if not getattr(job.model, "contains_constant", False):
        return
    filled = y if whole else np.where(finite, y, 0.0)
    if job.gain is not None and job.floor is not None:
        mean = filled.sum(axis=1) / np.maximum(raw.n_points, 1.0)
        objective = Poisson(filled, None if whole else finite, job.gain, job.floor)
        every = np.arange(len(y))
        raw.constant[:] = objective.cost(np.broadcast_to(mean[:, None], y.shape), every)
        return
    weight = finite.astype(np.float64)
    if sigma is not None:
        weight = 1.0 / np.where(finite, sigma, np.inf) ** 2
    raw.constant[:] = constant_chisqr(filled, weight)
