"""What a fit is worth, as one number per trace."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit import names

__all__ = [
    "AT_BOUND",
    "FAILED",
    "NOT_IDENTIFIABLE",
    "NO_SIGNAL",
    "OK",
    "has_change",
    "status_attrs",
]

OK: Final = 0
AT_BOUND: Final = 1
NOT_IDENTIFIABLE: Final = 2
NO_SIGNAL: Final = 3
FAILED: Final = 4

_MEANINGS: Final = ("ok", "at_bound", "not_identifiable", "no_signal", "failed")

# Probability at which noise alone passes for a change: three σ of a normal distribution.
_FALSE_ALARM: Final = 0.0027


def status_attrs() -> dict[str, Any]:
    """Attributes of ``fit_status``, with the CF flag values and meanings.

    Examples
    --------
    >>> status_attrs()["flag_meanings"]
    'ok at_bound not_identifiable no_signal failed'
    """
    return {
        **names.attrs(names.FIT_STATUS),
        "flag_values": np.arange(len(_MEANINGS), dtype=np.int8),
        "flag_meanings": " ".join(_MEANINGS),
    }


def has_change(
    chisqr_constant: ArrayLike,
    chisqr: ArrayLike,
    n_points: ArrayLike,
    n_free: ArrayLike,
    sigma_known: bool,
) -> NDArray[np.bool_]:
    """Tell where a model explains more than a constant does, beyond chance.

    Parameters
    ----------
    chisqr_constant, chisqr : array_like
        χ² of the best constant and of the model [1].
    n_points : array_like of int
        Points of each trace.
    n_free : array_like of int
        Free parameters of the model, the constant being one special case of it.
    sigma_known : bool
        False where χ² is in units of the data: then an F test.

    Returns
    -------
    numpy.ndarray of bool
        True where noise alone would give the fall of χ² in fewer than 0.27 % of all traces.

    Examples
    --------
    >>> has_change([200.0, 104.0], [100.0, 100.0], 100, 5, True).tolist()
    [True, False]
    """
    from scipy.special import chdtri, fdtri

    constant, model = np.asarray(chisqr_constant, float), np.asarray(chisqr, float)
    own = np.asarray(n_free, float)
    extra = np.maximum(own - 1.0, 1.0)
    gain = constant - model
    if sigma_known:
        return np.asarray(gain > chdtri(extra, _FALSE_ALARM))
    left = np.maximum(np.asarray(n_points, float) - own, 1.0)
    limit = extra * fdtri(extra, left, 1.0 - _FALSE_ALARM)
    return np.asarray(gain > limit * model / left)
