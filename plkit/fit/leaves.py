"""The functions of an lmfit Model: how they are called, and what is known of their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.fit.broadcast import rebound
from plkit.fit.plan import Plan

if TYPE_CHECKING:
    from lmfit import Model

__all__ = ["NUMERICAL", "Leaf", "Pair", "Part", "broadcast"]

Floats = NDArray[np.float64]

# What a model may raise at unlucky parameters.
NUMERICAL: Final = (ValueError, ArithmeticError, np.linalg.LinAlgError)
_LINEAR: Final = 1e-11


class Leaf:
    """One function of a model: how it is called, and whether it takes many rows at once.

    Parameters
    ----------
    model : lmfit.Model
        No composite.
    x : numpy.ndarray
        The axis.
    x_name : str
        What the whole model calls it.
    plan : Plan
        For the columns of the parameters.
    """

    def __init__(self, model: Model, x: Floats, x_name: str, plan: Plan) -> None:
        from lmfit import Model as Base

        self.model = model
        self.constants = dict(model.opts)
        defaults = getattr(model, "independent_vars_defvals", {})
        self.constants |= {
            k: v
            for k, v in defaults.items()
            if not (isinstance(v, type) and v.__name__ == "_empty")
        }
        accepts, any_name = set(model._func_allargs), bool(model._func_haskeywords)
        arguments: dict[str, int] = {}
        for i, name in enumerate(plan.names):
            short = model._strip_prefix(name)
            if short in accepts or any_name:
                arguments[short] = i
        for name in model._param_names if model._prefix else ():
            short = model._strip_prefix(name)
            if name in plan.names and (short in accepts or any_name):
                arguments[short] = plan.names.index(name)
        self.arguments = arguments
        if x_name in model.independent_vars or x_name in accepts or any_name:
            self.constants[x_name] = x
        self.columns = frozenset(arguments.values())
        self.usual = type(model).eval is Base.eval and type(model).make_funcargs is (
            Base.make_funcargs
        )
        self.mode = "rows"
        self._function: Callable[..., Any] | None = None
        self.jacobian = getattr(model, "jacobian", None)
        # linear parameters: derivatives that never change, and the one that is the rest of the model
        self.constant_slopes: dict[int, Floats] = {}
        self.rest: int | None = None
        self.complaint = ""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the copied function, which cannot be pickled and is made anew."""
        return {**self.__dict__, "_function": None}

    @property
    def function(self) -> Callable[..., Any]:
        """The model function, or its copy for arrays."""
        if self._function is None:
            own = self.model.func
            self._function = (rebound(own) if self.mode == "rebound" else None) or own
        return self._function

    def keywords(self, table: Floats) -> dict[str, Any]:
        """Arguments of the function: parameters of shape (rows, 1), or numbers.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters).

        Returns
        -------
        dict
            By name of the argument.
        """
        # one row too goes as an array: its numbers must not depend on how many others there are
        if self.mode == "rows":
            return self.constants | {n: float(table[0, i]) for n, i in self.arguments.items()}
        return self.constants | {n: table[:, i, None] for n, i in self.arguments.items()}

    def values(self, table: Floats, points: int) -> Floats:
        """Values of the function; NaN where it refuses its parameters.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters).
        points : int
            Points of the axis.

        Returns
        -------
        numpy.ndarray
            Shape (rows, points).
        """
        if self.mode != "rows":
            try:
                return broadcast(self.function(**self.keywords(table)), len(table), points)
            except NUMERICAL:  # one row may be unlucky: the others need not be
                return self._by_row(self.function, table, points)
        return self._by_row(None, table, points)

    def _by_row(self, function: Callable[..., Any] | None, table: Floats, points: int) -> Floats:
        """Row by row; NaN where the function refuses its parameters."""
        out = np.full((len(table), points), np.nan)
        for i in range(len(table)):
            row = table[i : i + 1]
            try:
                value = function(**self.keywords(row)) if function else self._one(row)
            except NUMERICAL as error:
                self.complaint = str(error).splitlines()[0] if str(error) else type(error).__name__
                continue
            out[i] = broadcast(value, 1, points)
        return out

    def _one(self, row: Floats) -> Any:
        if self.usual:
            return self.model.func(**self.keywords(row))
        names = {f"{self.model.prefix}{n}": i for n, i in self.arguments.items()}
        params = self.model.make_params(**{n: float(row[0, i]) for n, i in names.items()})
        return self.model.eval(params=params, **self.constants)

    def slopes(self, table: Floats, points: int) -> dict[int, Floats]:
        """Analytic derivatives, by column of the parameter."""
        assert self.jacobian is not None
        if self.mode == "rows" and len(table) > 1:
            rows = [self.slopes(table[i : i + 1], points) for i in range(len(table))]
            return {k: np.concatenate([row[k] for row in rows]) for k in rows[0]}
        found = self.jacobian(**self.keywords(table))
        return {
            self.arguments[n]: broadcast(d, len(table), points)
            for n, d in found.items()
            if n in self.arguments
        }

    def learn_linear(self, table: Floats, points: int) -> None:
        """Find parameters whose derivative needs no further call, by trying large changes."""
        here = self.values(table, points)
        size = float(np.max(np.abs(here)))
        linear, slopes, sizes = [], [], np.maximum(np.abs(table), 1.0)
        for column in sorted(self.columns):
            ends = []
            for sign in (1.0, -1.0):
                end = table.copy()
                end[:, column] += sign * sizes[:, column]
                ends.append(self.values(end, points))
            bend = ends[0] + ends[1] - 2.0 * here
            # NaN fails too
            if np.all(np.abs(bend) <= _LINEAR * (size + np.abs(ends[0]) + np.abs(ends[1]))):
                linear.append(column)
                slopes.append((ends[0] - here) / sizes[:, column, None])
        if not linear:
            return
        twice = table.copy()
        twice[:, linear] += sizes[:, linear]
        both = here + sum(d * sizes[:, c, None] for c, d in zip(linear, slopes, strict=True))
        if not np.all(np.abs(self.values(twice, points) - both) <= _LINEAR * np.abs(both).max()):
            return  # as in a product of two amplitudes
        # from zero and one, so that a constant derivative is exact and does not depend on where
        # the trial was made
        zero = table.copy()
        zero[:, linear] = 0.0
        nothing = self.values(zero, points)
        if np.any(nothing != 0.0):
            return
        moving = []
        for column in linear:
            one = zero.copy()
            one[:, column] = 1.0
            slope = self.values(one, points)
            if len(linear) < len(self.columns) and np.all(slope == slope[0]):
                self.constant_slopes[column] = np.array(slope[0])
            else:
                moving.append(column)
        if len(moving) == 1:
            self.rest = moving[0]

    def known_slope(self, column: int, table: Floats, here: Floats) -> Floats | None:
        """Derivative by a linear parameter, without a call of the function if possible."""
        constant = self.constant_slopes.get(column)
        if constant is not None:
            return np.broadcast_to(constant, here.shape)
        if column != self.rest:
            return None
        own = here
        for c, slope in self.constant_slopes.items():
            own = own - table[:, c, None] * slope
        with np.errstate(all="ignore"):
            out = np.asarray(own * (1.0 / table[:, column, None]))
        # what is left of a small part beside a large one has no digits
        small = np.flatnonzero(
            ~(np.vecdot(own, own) > 1e-10 * np.vecdot(here, here)) | (table[:, column] == 0.0)
        )
        if small.size:
            one, zero = table[small], table[small]
            one[:, column], zero[:, column] = 1.0, 0.0
            out[small] = self.values(one, here.shape[1]) - self.values(zero, here.shape[1])
        return out


class Pair:
    """Two parts and the operator between them."""

    def __init__(self, left: Part, right: Part, op: Callable[[Any, Any], Any]) -> None:
        self.left, self.right, self.op = left, right, op
        self.columns: frozenset[int] = left.columns | right.columns


Part = Leaf | Pair


def broadcast(value: Any, rows: int, points: int) -> Floats:
    """Give what a function returned the shape (rows, points).

    Parameters
    ----------
    value : array_like
        Real numbers.
    rows, points : int
        The shape.

    Returns
    -------
    numpy.ndarray
        Of float64; not to be written into.
    """
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError("the model function gives complex numbers")
    if array.dtype != np.float64:
        array = array.astype(np.float64)
    if array.shape == (rows, points):
        return array
    return np.broadcast_to(array, (rows, points))
