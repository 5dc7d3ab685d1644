"""What is to be fitted, in a form that can be sent to workers, and what comes back from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.plan import Plan

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["Job", "Packed", "Raw", "empty_raw"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """One model for all rows of an array.

    Parameters
    ----------
    model : lmfit.Model
        Any.
    params : lmfit.Parameters or None
        Starting values for all rows; None: ``model.guess`` for every row.
    template : lmfit.Parameters
        Names, bounds and ties.
    x : numpy.ndarray
        The axis, ascending.
    fixed : tuple of str
        Parameters that are fixed row by row.
    has_sigma : bool
        σ of the points is known.
    gain, floor : numpy.ndarray or None
        Shape (points,): noise of counts.
    gain_known : bool
        Whether σ follows from them, or is scaled by χ²/ν.
    loss : str
        One of :data:`plkit.fit.objective.LOSSES`.
    kernels : bool
        Use the compiled fits of separable models where they serve.
    action : str
        The words after "Cannot" in errors.
    """

    model: Model
    params: Parameters | None
    template: Parameters
    x: Floats
    fixed: tuple[str, ...] = ()
    has_sigma: bool = False
    gain: Floats | None = None
    floor: Floats | None = None
    gain_known: bool = True
    loss: str = "linear"
    kernels: bool = False
    action: str = "fit the model"

    @property
    def scaled(self) -> bool:
        """True where σ of the parameters follows from the scatter of the points."""
        if self.gain is not None:
            return not self.gain_known
        return not self.has_sigma and self.loss == "linear"

    @property
    def sigma_known(self) -> bool:
        """True where χ² is in units of σ²."""
        return not self.scaled and (self.has_sigma or self.gain is not None)


# Columns of a packed row beside values and covariance.
_COLUMNS: Final = (
    "chisqr", "cost", "nfev", "code", "verdict", "n_points", "first", "last", "constant", "least",
    "least",
)  # fmt: skip


@dataclass(slots=True)
class Raw:
    """What a block of rows gives.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, parameters).
    covariance : numpy.ndarray
        Shape (rows, parameters, parameters).
    chisqr, cost : numpy.ndarray
        χ² as it is reported, and what was made small (the deviance of counts).
    nfev, code, verdict : numpy.ndarray
        Calls of the model; end of the search as in :mod:`plkit.fit.marquardt`; status where a
        kernel has judged already, −1 elsewhere.
    n_points, first, last : numpy.ndarray
        Points that count, and where on the axis they begin and end.
    constant : numpy.ndarray
        χ² of the best constant.
    least : numpy.ndarray
        Least eigenvalue of the normal matrix with a diagonal of ones: near zero where parameters
        do the same.
    """

    values: Floats
    covariance: Floats
    chisqr: Floats
    cost: Floats
    nfev: Floats
    code: Floats
    verdict: Floats
    n_points: Floats
    first: Floats
    last: Floats
    constant: Floats
    least: Floats


class Packed:
    """One array of floats for everything that a row gives: what travels between processes.

    Parameters
    ----------
    n_parameters : int
        Number of parameters, tied and fixed ones included.
    """

    def __init__(self, n_parameters: int) -> None:
        self.k = n_parameters

    @property
    def width(self) -> int:
        """Numbers per row."""
        return self.k + self.k**2 + len(_COLUMNS)

    def pack(self, raw: Raw) -> Floats:
        """Put a block into one array.

        Parameters
        ----------
        raw : Raw
            Of a block.

        Returns
        -------
        numpy.ndarray
            Shape (rows, width).
        """
        rows = len(raw.values)
        flat = [raw.values, raw.covariance.reshape(rows, self.k**2)]
        return np.concatenate([*flat, *(getattr(raw, c)[:, None] for c in _COLUMNS)], axis=1)

    def unpack(self, packed: Floats) -> Raw:
        """Take it out again.

        Parameters
        ----------
        packed : numpy.ndarray
            Shape (rows, width).

        Returns
        -------
        Raw
            Of all rows.
        """
        k = self.k
        rows = packed.shape[0]
        rest = packed[:, k + k**2 :].T
        return Raw(
            packed[:, :k],
            packed[:, k : k + k**2].reshape(rows, k, k),
            **{c: rest[i] for i, c in enumerate(_COLUMNS)},
        )


def empty_raw(rows: int, plan: Plan) -> Raw:
    """Rows in which nothing has been fitted yet.

    Parameters
    ----------
    rows : int
        Number of rows.
    plan : Plan
        For the number of parameters.

    Returns
    -------
    Raw
        NaN, with the code of a failure.
    """
    k = len(plan.names)
    nothing = np.full(rows, np.nan)
    return Raw(
        np.full((rows, k), np.nan), np.full((rows, k, k), np.nan), nothing.copy(), nothing.copy(),
        np.zeros(rows), np.ones(rows), np.full(rows, -1.0), np.zeros(rows), nothing.copy(),
        nothing.copy(), nothing.copy(), nothing.copy(),
    )  # fmt: skip
