"""Values and derivatives of any lmfit Model for many rows of parameters at once."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.fit.broadcast import rebound
from plkit.fit.plan import Plan

if TYPE_CHECKING:
    from lmfit import Model

__all__ = ["NUMERICAL", "Evaluator"]

Floats = NDArray[np.float64]
Cache = dict[int, Floats]

_EPS: Final = float(np.finfo(float).eps)
# What a model may raise at unlucky parameters.
NUMERICAL: Final = (ValueError, ArithmeticError, np.linalg.LinAlgError)
# Rows of the test call: no axis of common length, so that a wrong shape cannot pass.
_TRIALS: Final = 3
# Agreement of the test call with one call per row; of an analytic derivative with a difference.
_SAME: Final = 1e-9
_SAME_SLOPE: Final = 1e-3
_LINEAR: Final = 1e-11


class _Leaf:
    """One function of a model: how it is called, and whether it takes many rows at once."""

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
        return {**self.__dict__, "_function": None}

    @property
    def function(self) -> Callable[..., Any]:
        if self._function is None:
            own = self.model.func
            self._function = (rebound(own) if self.mode == "rebound" else None) or own
        return self._function

    def keywords(self, table: Floats) -> dict[str, Any]:
        # one row too goes as an array: its numbers must not depend on how many others there are
        if self.mode == "rows":
            return self.constants | {n: float(table[0, i]) for n, i in self.arguments.items()}
        return self.constants | {n: table[:, i, None] for n, i in self.arguments.items()}

    def values(self, table: Floats, points: int) -> Floats:
        if self.mode != "rows":
            try:
                return _broadcast(self.function(**self.keywords(table)), len(table), points)
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
            out[i] = _broadcast(value, 1, points)
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
            self.arguments[n]: _broadcast(d, len(table), points)
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


class _Pair:
    """Two parts and the operator between them."""

    def __init__(self, left: _Part, right: _Part, op: Callable[[Any, Any], Any]) -> None:
        self.left, self.right, self.op = left, right, op
        self.columns: frozenset[int] = left.columns | right.columns


_Part = _Leaf | _Pair


def _broadcast(value: Any, rows: int, points: int) -> Floats:
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError("the model function gives complex numbers")
    if array.dtype != np.float64:
        array = array.astype(np.float64)
    if array.shape == (rows, points):
        return array
    return np.broadcast_to(array, (rows, points))


class Evaluator:
    """A model on one axis, with its parameters planned.

    Parameters
    ----------
    model : lmfit.Model
        Any; composites too.
    x : numpy.ndarray
        Shape (points,): the axis.
    plan : Plan
        What is searched.
    start : numpy.ndarray
        Shape (parameters,): a set at which the model can be tried.
    action : str
        The words after "Cannot" in errors.

    Attributes
    ----------
    vectorised : bool
        Every function of the model takes parameters of shape (rows, 1); otherwise it is called row
        by row.
    exact : bool
        Every function gives its own derivatives.
    thread_safe : bool
        False for models that keep their arguments, as lmfit's ExpressionModel does.
    """

    def __init__(self, model: Model, x: Floats, plan: Plan, start: Floats, action: str) -> None:
        self.x = np.array(x, dtype=np.float64)  # a copy: some functions write into it
        self.plan = plan
        self.points = self.x.size
        self.root = self._build(model, model.independent_vars[0])
        self.leaves = _leaves(self.root)
        # a tied parameter moves with the one that is searched
        self.moves = [
            frozenset({int(i), *(plan.names.index(n) for n in plan.ties.depend_on(plan.names[i]))})
            for i in plan.free
        ]
        table = self._trials(start)
        for leaf in self.leaves:
            self._choose_mode(leaf, table, action)
        self.vectorised = all(leaf.mode != "rows" for leaf in self.leaves)
        self.exact = all(leaf.jacobian is not None for leaf in self.leaves)
        self.shortcuts = True
        self._is_sum = _is_sum(self.root)
        self.thread_safe = all(
            leaf.usual and type(leaf.model).__name__ != "ExpressionModel" for leaf in self.leaves
        )

    def _build(self, model: Any, x_name: str) -> _Part:
        from lmfit.model import CompositeModel

        if isinstance(model, CompositeModel) and type(model).eval is CompositeModel.eval:
            left, right = (self._build(m, x_name) for m in (model.left, model.right))
            return _Pair(left, right, model.op)
        return _Leaf(model, self.x, x_name, self.plan)

    # Values --------------------------------------------------------------------------------------

    def values(self, table: Floats, cache: Cache | None = None) -> Floats:
        """Values of the model.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters), tied ones included.
        cache : dict, optional
            Receives the values of every part, for :meth:`slopes`.

        Returns
        -------
        numpy.ndarray
            Shape (rows, points).
        """
        return self._value(self.root, table, {} if cache is None else cache)

    def _value(self, part: _Part, table: Floats, cache: Cache) -> Floats:
        if isinstance(part, _Leaf):
            out = part.values(table, self.points)
        else:
            left, right = (self._value(p, table, cache) for p in (part.left, part.right))
            out = _broadcast(part.op(left, right), len(table), self.points)
        cache[id(part)] = out
        return out

    # Derivatives ---------------------------------------------------------------------------------

    def slopes(self, table: Floats, cache: Cache, scale: Floats, central: bool) -> Floats:
        """Derivatives by the parameters that are searched.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters).
        cache : dict
            From :meth:`values` at the same parameters.
        scale : numpy.ndarray
            Shape (rows, free): change of a parameter that changes the model as a whole.
        central : bool
            Differences to both sides instead of one: more digits, twice the calls.

        Returns
        -------
        numpy.ndarray
            Shape (rows, free, points).
        """
        plan = self.plan
        out = np.empty((len(table), plan.n_free, self.points))
        exact = self._exact_slopes(table)
        for j, column in enumerate(plan.free):
            if self.shortcuts and len(self.moves[j]) == 1:
                known = self._known(int(column), table, cache)
                if known is not None:
                    out[:, j] = known
                    continue
            steps = self._steps(table[:, column], scale[:, j], j, central)
            ends, ways = [], []
            for step in steps:
                end = table.copy()
                end[:, column] += step
                way = end[:, column] - table[:, column]  # what is left after rounding
                if len(self.moves[j]) > 1:
                    plan.ties.fill(end)
                ends.append(end)
                ways.append(way)
            touched = [leaf for leaf in self.leaves if leaf.columns & self.moves[j]]
            if self._is_sum and len(touched) == 1 and id(touched[0]) not in exact:
                there = [touched[0].values(end, self.points) for end in ends]
                _quotient(cache[id(touched[0])], there, ways, out[:, j])
                continue
            found = self._slope(self.root, table, cache, ends, ways, j, exact)
            out[:, j] = 0.0 if found is None else found
        return out

    def slopes_where(
        self,
        table: Floats,
        cache: Cache,
        scale: Floats,
        central: bool,
        good: NDArray[np.bool_] | None,
    ) -> Floats:
        """Derivatives, zero in gaps; where a step led out of the model, by smaller ones.

        Parameters
        ----------
        table, cache, scale, central
            As for :meth:`slopes`.
        good : numpy.ndarray of bool or None
            Shape (rows, points): False in gaps.

        Returns
        -------
        numpy.ndarray
            Shape (rows, free, points).
        """
        out = self.slopes(table, cache, scale, central)
        if good is not None:
            out = np.where(good[:, None, :], out, 0.0)
        bad = np.flatnonzero(~np.isfinite(out.sum(axis=2)).all(axis=1))
        if bad.size:
            part = {k: v[bad] for k, v in cache.items()}
            less = None if good is None else good[bad]
            out[bad] = self.nearby_slopes(table[bad], part, scale[bad], central, less)
        return out

    def nearby_slopes(
        self,
        table: Floats,
        cache: Cache,
        scale: Floats,
        central: bool,
        good: NDArray[np.bool_] | None,
    ) -> Floats:
        """Derivatives by steps that are small beside the parameters themselves.

        Parameters
        ----------
        table, cache, scale, central, good
            As for :meth:`slopes_where`.

        Returns
        -------
        numpy.ndarray
            Shape (rows, free, points).
        """
        value = np.abs(self.plan.free_of(table))
        small = np.minimum(scale, np.where(value > 0.0, value, 1.0))
        out = self.slopes(table, cache, small, central)
        return out if good is None else np.where(good[:, None, :], out, 0.0)

    def _known(self, column: int, table: Floats, cache: Cache) -> Floats | None:
        """Derivative by a linear parameter that occurs in one function of a sum only."""
        if not self._is_sum:
            return None
        leaves = [leaf for leaf in self.leaves if column in leaf.columns]
        if len(leaves) != 1:
            return None
        return leaves[0].known_slope(column, table, cache[id(leaves[0])])

    def confirm(self, table: Floats, cache: Cache) -> NDArray[np.bool_]:
        """Tell for which rows the shortcuts hold: by one call with all linear parameters changed.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters).
        cache : dict
            From :meth:`values` at the same parameters.

        Returns
        -------
        numpy.ndarray of bool
            False where a function that was found linear in some parameters is not so here.
        """
        out = np.ones(len(table), dtype=bool)
        if not (self.shortcuts and self._is_sum):
            return out
        free = set(map(int, self.plan.free))
        for leaf in self.leaves:
            columns = sorted(free & ({leaf.rest} | set(leaf.constant_slopes)) - {None})
            if not columns:
                continue
            here = cache[id(leaf)]
            there = table.copy()
            told = here
            for column in columns:
                known = leaf.known_slope(column, table, here)
                assert known is not None
                there[:, column] += 0.1 * (np.abs(table[:, column]) + 1e-12)
                told = told + known * (there[:, column] - table[:, column])[:, None]
            found = leaf.values(there, self.points)
            size = np.abs(told).max(axis=1) + np.abs(here).max(axis=1)
            out &= np.abs(found - told).max(axis=1) <= 1e-8 * size
        return out

    def _exact_slopes(self, table: Floats) -> dict[int, list[Floats | None]]:
        """Derivatives of the leaves that have their own, by those that are searched."""
        plan = self.plan
        chain = plan.ties.slopes(table, plan.free) if plan.ties.order else None
        out: dict[int, list[Floats | None]] = {}
        for leaf in self.leaves:
            if leaf.jacobian is None:
                continue
            own = leaf.slopes(table, self.points)
            columns: list[Floats | None] = []
            for j, moved in enumerate(self.moves):
                total: Floats | None = None
                for k in moved & leaf.columns:
                    part = own[k]
                    if chain is not None and k != plan.free[j]:
                        part = part * chain[:, k, j, None]
                    total = part if total is None else total + part
                columns.append(total)
            out[id(leaf)] = columns
        return out

    def _steps(self, value: Floats, scale: Floats, j: int, central: bool) -> list[Floats]:
        """One or two steps, away from bounds; their size balances rounding and curvature."""
        low, high = self.plan.low[j], self.plan.high[j]
        if central:
            size = (_EPS * scale**2 * (scale + np.abs(value))) ** (1.0 / 3.0)
            up, down = np.minimum(size, high - value), -np.minimum(size, value - low)
            # at a bound: both to the inner side, the second step twice as far
            up = np.where(up > 0.0, up, 0.5 * down)
            down = np.where(down < 0.0, down, 0.5 * up)
            return [up, down]
        size = np.sqrt(_EPS * scale * (scale + np.abs(value)))
        return [np.where(value + size <= high, size, -size)]

    def _slope(
        self,
        part: _Part,
        table: Floats,
        cache: Cache,
        ends: list[Floats],
        ways: list[Floats],
        j: int,
        exact: dict[int, list[Floats | None]],
    ) -> Floats | None:
        """Derivative of a part; None where the parameter does not occur in it."""
        if not (part.columns & self.moves[j]):
            return None
        if isinstance(part, _Leaf):
            if id(part) in exact:
                return exact[id(part)][j]
            here = cache[id(part)]
            there = [part.values(end, self.points) for end in ends]
            return _quotient(here, there, ways)
        left, right = (
            self._slope(p, table, cache, ends, ways, j, exact) for p in (part.left, part.right)
        )
        if part.op is operator.add:
            return right if left is None else left if right is None else left + right
        if part.op is operator.sub:
            return left if right is None else -right if left is None else left - right
        a, b = cache[id(part.left)], cache[id(part.right)]
        if part.op is operator.mul:
            parts = [d * v for d, v in ((left, b), (right, a)) if d is not None]
            return parts[0] if len(parts) == 1 else parts[0] + parts[1]
        if part.op is operator.truediv:
            quotient = a / b
            if right is None:
                return None if left is None else left / b
            return -right * quotient / b if left is None else (left - right * quotient) / b
        there = [self._value(part, end, {}) for end in ends]
        return _quotient(cache[id(part)], there, ways)

    # The test call -------------------------------------------------------------------------------

    def _trials(self, start: Floats) -> Floats:
        """Some rows near the start, inside the bounds, with every parameter different."""
        plan = self.plan
        table = np.tile(start, (_TRIALS, 1))
        columns = [*plan.free, *plan.by_row]
        for k in range(_TRIALS):
            away = 1.0 + 0.01 * (k + 1) * (-1.0) ** k
            table[k, columns] = start[columns] * away + (start[columns] == 0.0) * 1e-3 * (k + 1)
        free = list(plan.free)
        table[:, free] = np.clip(table[:, free], plan.low, plan.high)
        plan.ties.fill(table)
        return table

    def _choose_mode(self, leaf: _Leaf, table: Floats, action: str) -> None:
        """Find how a function takes many rows: as it is, with ``max`` for arrays, or not at all."""
        with np.errstate(all="ignore"):
            try:
                single = leaf.values(table, self.points)
            except TypeError as error:
                if "complex" not in str(error):
                    raise
                raise DataError(
                    action, f"the model '{leaf.model.name}' gives complex numbers, not real ones"
                ) from error
            if np.isnan(single).all():
                return
            for mode in ("plain", "rebound") if leaf.usual else ():
                leaf.mode, leaf._function = mode, None
                try:
                    found = leaf.function(**leaf.keywords(table))
                    many = _broadcast(found, len(table), self.points)
                except Exception:
                    continue
                size = np.nanmax(np.abs(single), initial=0.0, where=np.isfinite(single))
                if np.allclose(many, single, rtol=_SAME, atol=1e-3 * _SAME * size, equal_nan=True):
                    break
            else:
                leaf.mode, leaf._function = "rows", None
            if leaf.jacobian is None and leaf.mode != "rows" and np.all(np.isfinite(single)):
                try:
                    leaf.learn_linear(table, self.points)
                except NUMERICAL:
                    leaf.constant_slopes, leaf.rest = {}, None
            if leaf.jacobian is not None:
                self._check_jacobian(leaf, table, single, action)

    def _check_jacobian(self, leaf: _Leaf, table: Floats, values: Floats, action: str) -> None:
        """Refuse derivatives that are not those of the function."""
        own = leaf.slopes(table, self.points)
        moved = frozenset[int]().union(*self.moves)
        for name, column in leaf.arguments.items():
            if column not in moved:
                continue
            step = _EPS ** (1.0 / 3.0) * np.maximum(np.abs(table[:, column]), 1e-3)
            ends, ways = [], []
            for sign in (1.0, -1.0):
                end = table.copy()
                end[:, column] += sign * step
                ends.append(leaf.values(end, self.points))
                ways.append(end[:, column] - table[:, column])
            numeric = _quotient(values, ends, ways)
            size = np.max(np.abs(numeric), initial=0.0, where=np.isfinite(numeric))
            found = own.get(column)
            if found is None or not np.allclose(
                found, numeric, rtol=_SAME_SLOPE, atol=_SAME_SLOPE * size, equal_nan=True
            ):
                raise DataError(
                    action,
                    f"the derivative by '{name}' that the model's 'jacobian' gives is not that of "
                    "the model function",
                    "Correct it, or remove it: differences are taken then.",
                )


def _quotient(
    here: Floats, there: list[Floats], ways: list[Floats], out: Floats | None = None
) -> Floats:
    """Derivative from one or two ends; with two, exact for a parabola also off the middle."""
    if len(there) == 1:
        out = np.subtract(there[0], here, out=out)
        out *= 1.0 / ways[0][:, None]
        return out
    out = np.subtract(there[0], there[1], out=out)
    out *= 1.0 / (ways[0] - ways[1])[:, None]
    # row by row: what one trace gives must not depend on whether another stands at a bound
    uneven = np.flatnonzero(ways[0] != -ways[1])
    if uneven.size:
        h, k, f = ways[0][uneven, None], ways[1][uneven, None], here[uneven]
        a, b = (there[0][uneven] - f) / h, (there[1][uneven] - f) / k
        out[uneven] = (h * b - k * a) / (h - k)
    return out


def _is_sum(part: _Part) -> bool:
    """Tell whether the derivative of a function is that of the whole."""
    if isinstance(part, _Leaf):
        return True
    return part.op is operator.add and _is_sum(part.left) and _is_sum(part.right)


def _leaves(part: _Part) -> list[_Leaf]:
    if isinstance(part, _Leaf):
        return [part]
    return [*_leaves(part.left), *_leaves(part.right)]
