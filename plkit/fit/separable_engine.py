"""plkit's own models, where the compiled kernels can fit them as the user wants them fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plkit.fit.job import Job, Raw

__all__ = ["Kernel", "fit_with_kernels", "kernel_for"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Kernel:
    """A separable model, and how its parameters are called by the user."""

    model: Any


def kernel_for(job: Job) -> Kernel | None:
    """Find the kernel of a model."""
    return None


def fit_with_kernels(
    kernel: Kernel, job: Job, y: Floats, sigma: Floats | None, given: Floats, threads: int
) -> Raw:
    """Fit."""
    raise NotImplementedError
