"""Make a model function written for one set of numbers take many at once, where that is possible."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from types import FunctionType, SimpleNamespace
from typing import Any, Final

import numpy as np

from plkit.fit.plan import largest, smallest

__all__ = ["rebound"]


def _number(value: Any = 0.0) -> Any:
    """Python's ``float`` that lets arrays pass."""
    return np.asarray(value, dtype=np.float64)


_BY_NAME: Final = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log2": np.log2,
    "log10": np.log10, "sqrt": np.sqrt, "pow": np.power, "fabs": np.abs, "hypot": np.hypot,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "atan2": np.arctan2, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "copysign": np.copysign, "pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf,
    "nan": math.nan, "isnan": np.isnan, "isfinite": np.isfinite, "isinf": np.isinf,
    "floor": np.floor, "ceil": np.ceil,
}  # fmt: skip
_MATH: Final = SimpleNamespace(**_BY_NAME)
_BUILTINS: Final[dict[str, Any]] = {"max": largest, "min": smallest, "float": _number}
_DEPTH: Final = 4


def rebound(function: Callable[..., Any], depth: int = _DEPTH) -> Callable[..., Any] | None:
    """Copy a Python function so that ``max``, ``min``, ``float`` and ``math`` work on arrays.

    Most of lmfit's own line shapes guard a width by ``max(tiny, sigma)``, which takes only numbers.
    Whether the copy means the same is for the caller to try.

    Parameters
    ----------
    function : callable
        The model function.
    depth : int, optional
        How deep into functions of the same module that it calls.

    Returns
    -------
    callable or None
        None where it is no plain Python function.
    """
    if not isinstance(function, FunctionType):
        return None
    scope: dict[str, Any] = {}
    names = {n for code in _codes(function.__code__) for n in code.co_names}
    for name in names:
        found = function.__globals__.get(name, getattr(builtins, name, None))
        if found is math:
            scope[name] = _MATH
        elif name in _BUILTINS and found is getattr(builtins, name):
            scope[name] = _BUILTINS[name]
        elif name in _BY_NAME and found is getattr(math, name, None) and callable(found):
            scope[name] = _BY_NAME[name]
        elif (
            depth > 0
            and isinstance(found, FunctionType)
            and found is not function
            and found.__module__ == function.__module__
        ):
            scope[name] = rebound(found, depth - 1)
    if not scope:
        return None
    out = FunctionType(
        function.__code__, {**function.__globals__, **scope}, function.__name__,
        function.__defaults__, function.__closure__,
    )  # fmt: skip
    out.__kwdefaults__ = function.__kwdefaults__
    return out


def _codes(code: Any) -> list[Any]:
    """Code of a function and of those defined inside it."""
    inner = [c for c in code.co_consts if hasattr(c, "co_names")]
    return [code, *(deep for c in inner for deep in _codes(c))]
