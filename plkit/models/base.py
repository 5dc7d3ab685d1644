"""What plkit's models share, and the first looks at a trace that their guesses take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from lmfit import Model, Parameters
from numpy.typing import NDArray

__all__ = ["Floats", "PlkitModel", "ends", "half_time_rate", "per", "rate_range"]

Floats = NDArray[np.float64]


class PlkitModel(Model):
    """What the models share: prefixes, guesses that respect fixed parameters, several starts."""

    contains_constant = True
    """A constant is a special case, so that a trace without any change can be told."""

    def __init__(self, function: Any, prefix: str, nan_policy: str, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["x"])
        super().__init__(function, prefix=prefix, nan_policy=nan_policy, **kwargs)
        self._set_paramhints_prefix()

    def _filled(self, **values: float) -> Parameters:
        """Make parameters with starting values, those that hints hold fixed excepted."""
        params = self.make_params()
        for name, value in values.items():
            parameter = params[f"{self.prefix}{name}"]
            if parameter.vary and parameter.expr is None:
                parameter.set(value=float(value))
        return params

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:  # noqa: ARG002
        """Offer further starting values, beside those of ``guess``.

        Parameters
        ----------
        data, x : numpy.ndarray
            A trace without gaps, x ascending.

        Yields
        ------
        lmfit.Parameters
            One set of starting values.
        """
        yield from ()


def ends(data: Floats) -> tuple[float, float]:
    """Level at the start and at the end of a trace: means over a twentieth of its points."""
    n = max(1, data.size // 20)
    return float(np.mean(data[:n])), float(np.mean(data[-n:]))


def rate_range(x: Floats) -> tuple[float, float]:
    """Rates between 1/record and 1/step; anything where there is no record."""
    steps = np.diff(x)
    steps = steps[steps > 0]
    if steps.size == 0:
        return 1.0, 1.0
    return 1.0 / float(x[-1] - x[0]), 1.0 / float(np.min(steps))


def half_time_rate(data: Floats, x: Floats, start: float, end: float) -> float:
    """Rate of the exponential that passes half of the fall when the trace does."""
    slow, fast = rate_range(x)
    below = np.flatnonzero(np.sign(start - end) * (data - 0.5 * (start + end)) < 0)
    gone = float(x[below[0]] - x[0]) if below.size else 0.0
    return float(np.clip(np.log(2.0) / gone, slow, fast)) if gone > 0 else fast


def per(unit: str) -> str:
    """Unit of a rate along an axis; empty where it is not known."""
    return f"1/{unit}" if unit and unit.isalpha() else ""
