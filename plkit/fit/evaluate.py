"""Values and derivatives of any lmfit Model for many rows of parameters at once."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.fit.leaves import NUMERICAL, Leaf, Pair, Part, broadcast
from plkit.fit.plan import Plan

if TYPE_CHECKING:
    from lmfit import Model

__all__ = ["Evaluator"]

Floats = NDArray[np.float64]
Cache = dict[int, Floats]

_EPS: Final = float(np.finfo(float).eps)
# Rows of the test call: no axis of common length, so that a wrong shape cannot pass.
_TRIALS: Final = 3
# Agreement of the test call with one call per row; of an analytic derivative with a difference.
_SAME: Final = 1e-9
_SAME_SLOPE: Final = 1e-3


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

    def _build(self, model: Any, x_name: str) -> Part:
        from lmfit.model import CompositeModel

        if isinstance(model, CompositeModel) and type(model).eval is CompositeModel.eval:
            left, right = (self._build(m, x_name) for m in (model.left, model.right))
            return Pair(left, right, model.op)
        return Leaf(model, self.x, x_name, self.plan)

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

    def _value(self, part: Part, table: Floats, cache: Cache) -> Floats:
        if isinstance(part, Leaf):
            out = part.values(table, self.points)
        else:
            left, right = (self._value(p, table, cache) for p in (part.left, part.right))
            out = broadcast(part.op(left, right), len(table), self.points)
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
        part: Part,
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
        if isinstance(part, Leaf):
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

    def _choose_mode(self, leaf: Leaf, table: Floats, action: str) -> None:
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
                    many = broadcast(found, len(table), self.points)
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

    def _check_jacobian(self, leaf: Leaf, table: Floats, values: Floats, action: str) -> None:
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


def _is_sum(part: Part) -> bool:
    """Tell whether the derivative of a function is that of the whole."""
    if isinstance(part, Leaf):
        return True
    return part.op is operator.add and _is_sum(part.left) and _is_sum(part.right)


def _leaves(part: Part) -> list[Leaf]:
    if isinstance(part, Leaf):
        return [part]
    return [*_leaves(part.left), *_leaves(part.right)]
