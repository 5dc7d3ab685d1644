"""lmfit's Parameters as arrays: which are searched, which are held, which follow from others."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError

if TYPE_CHECKING:
    from lmfit import Parameters

__all__ = ["Plan", "Ties", "plan_parameters"]

Floats = NDArray[np.float64]

# What an expression or a model may say of one number, as it is said of many.
_TIE_STEP: Final = float(np.finfo(float).eps ** (1.0 / 3.0))


def largest(*values: Any) -> Any:
    """Python's ``max`` of several arguments, element by element."""
    out = values[0] if len(values) > 1 else np.max(values[0])
    for value in values[1:]:
        out = np.maximum(out, value)
    return out


def smallest(*values: Any) -> Any:
    """Python's ``min`` of several arguments, element by element."""
    out = values[0] if len(values) > 1 else np.min(values[0])
    for value in values[1:]:
        out = np.minimum(out, value)
    return out


class Ties:
    """Parameters that follow from others by lmfit's ``expr``, for many rows at once.

    Parameters
    ----------
    params : lmfit.Parameters
        Names, expressions and the symbols that the user added to them.
    """

    def __init__(self, params: Parameters) -> None:
        names = list(params)
        self.names = tuple(names)
        waiting = {n: p.expr for n, p in params.items() if p.expr is not None}
        self.low = {n: float(params[n].min) for n in waiting}
        self.high = {n: float(params[n].max) for n in waiting}
        interpreter = params._asteval
        self._symbols = {
            n: interpreter.symtable[n]
            for n in interpreter.user_defined_symbols()
            if n not in params and n in interpreter.symtable
        }
        order: list[tuple[int, str, str]] = []
        # lmfit has refused circles already: every round places at least one
        while waiting:
            ready = [n for n in waiting if not _symbols_of(waiting[n]) & (set(waiting) - {n})]
            for n in ready or list(waiting):
                order.append((names.index(n), n, str(waiting.pop(n))))
        self.order = tuple(order)
        self.needs = {n: _symbols_of(expr) & set(names) for _, n, expr in order}
        self.by_row = False
        self._local = threading.local()
        self.by_row = bool(order) and not self._broadcasts(params)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to one thread."""
        return {k: v for k, v in self.__dict__.items() if k != "_local"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin anew in another process."""
        self.__dict__.update(state)
        self._local = threading.local()

    def depend_on(self, name: str) -> set[str]:
        """Names of all tied parameters that change with one parameter.

        Parameters
        ----------
        name : str
            Any parameter.
        """
        out: set[str] = set()
        for _, tied, _expr in self.order:
            if self.needs[tied] & ({name} | out):
                out.add(tied)
        return out

    def fill(self, table: Floats) -> None:
        """Put the tied parameters into their columns.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters); changed in place.
        """
        if not self.order:
            return
        if self.by_row and len(table) > 1:
            for row in table:
                self.fill(row[None, :])
            return
        run, symbols, parsed = self._interpreter()
        one = self.by_row
        for i, name in enumerate(self.names):
            symbols[name] = float(table[0, i]) if one else table[:, i]
        with np.errstate(all="ignore"):
            for (i, name, _), node in zip(self.order, parsed, strict=True):
                value = np.clip(run(node), self.low[name], self.high[name])
                table[:, i] = value
                symbols[name] = float(table[0, i]) if one else table[:, i]

    def slopes(self, table: Floats, free: NDArray[np.intp]) -> Floats:
        """Derivatives of all parameters by those that are searched.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters).
        free : numpy.ndarray of int
            Columns that are searched.

        Returns
        -------
        numpy.ndarray
            Shape (rows, parameters, free).
        """
        rows, size = table.shape
        out = np.zeros((rows, size, free.size))
        out[:, free, np.arange(free.size)] = 1.0
        tied = [i for i, _, _ in self.order]
        for j, column in enumerate(free if tied else ()):
            if not self.depend_on(self.names[column]):
                continue
            step = _TIE_STEP * np.maximum(np.abs(table[:, column]), 1e-8)
            up, down = table.copy(), table.copy()
            up[:, column] += step
            down[:, column] -= step
            self.fill(up)
            self.fill(down)
            way = (up[:, column] - down[:, column])[:, None]
            out[:, tied, j] = (up[:, tied] - down[:, tied]) / way
        return out

    def _interpreter(self) -> tuple[Any, dict[str, Any], list[Any]]:
        """One per thread: running an expression changes its symbols."""
        found = getattr(self._local, "made", None)
        if found is None:
            from lmfit import Parameters

            own = Parameters(usersyms=self._symbols)._asteval
            if not self.by_row:
                own.symtable.update(max=largest, min=smallest)
            parsed = [own.parse(expr) for _, _, expr in self.order]
            found = self._local.made = (own.run, own.symtable, parsed)
        made: tuple[Any, dict[str, Any], list[Any]] = found
        return made

    def _broadcasts(self, params: Parameters) -> bool:
        """Try on three rows whether the expressions take arrays; else they run row by row."""
        start = np.array([float(p.value) for p in params.values()])
        table = start * np.array([[1.0], [1.05], [0.9]]) + np.array([[0.0], [1e-3], [2e-3]])
        many, single = table.copy(), table.copy()
        try:
            self.fill(many)
        except Exception:
            fits = False
        else:
            fits = True
        self.by_row, self._local = True, threading.local()
        try:
            self.fill(single)
        except Exception:  # lmfit will say what is wrong, with the values at hand
            return False
        finally:
            self.by_row, self._local = False, threading.local()
        return fits and np.allclose(many, single, rtol=1e-12, atol=0.0, equal_nan=True)


def _symbols_of(expr: str | None) -> set[str]:
    import ast

    tree = ast.parse(str(expr).strip(), mode="eval")
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched, within which bounds, and what the rest is.

    Parameters
    ----------
    names : tuple of str
        All parameters, in lmfit's order, which is that of every array.
    free : numpy.ndarray of int
        Columns of those that are searched.
    low, high : numpy.ndarray
        Bounds of those that are searched.
    value : numpy.ndarray
        Shape (parameters,): starting values, and the values of fixed ones.
    by_row : tuple of int
        Columns whose fixed value differs from row to row.
    ties : Ties
        Those that follow from others.
    """

    names: tuple[str, ...]
    free: NDArray[np.intp]
    low: Floats
    high: Floats
    value: Floats
    by_row: tuple[int, ...]
    ties: Ties

    @property
    def n_free(self) -> int:
        """Number of parameters that are searched."""
        return int(self.free.size)

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of those that are searched."""
        return tuple(self.names[i] for i in self.free)

    def free_of(self, table: Floats) -> Floats:
        """Take the columns that are searched.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, parameters).

        Returns
        -------
        numpy.ndarray
            Shape (rows, free), row by row in memory, so that sums do not depend on the number of
            rows.
        """
        return np.take(table, self.free, axis=1)

    def table(self, start: Floats, given: Floats) -> Floats:
        """All parameters of every row.

        Parameters
        ----------
        start : numpy.ndarray
            Shape (rows, parameters) or (parameters,): free and fixed ones.
        given : numpy.ndarray
            Shape (rows, len(by_row)): values fixed row by row.
        """
        out = np.array(np.broadcast_to(start, (given.shape[0], len(self.names))))
        out[:, list(self.by_row)] = given
        self.ties.fill(out)
        return out


def plan_parameters(params: Parameters, given: Iterable[str], action: str) -> Plan:
    """Read lmfit's Parameters.

    Parameters
    ----------
    params : lmfit.Parameters
        With starting values.
    given : iterable of str
        Names of the parameters that are fixed row by row.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    Plan
        Starting values are moved into their bounds, as lmfit does.

    Raises
    ------
    DataError
        If a parameter that is to be fixed does not exist, or is tied.
    """
    names, given = tuple(params), tuple(given)
    for name in given:
        if name not in params:
            raise DataError(
                action,
                f"'fixed' names '{name}', not one of {', '.join(names)}",
                "Name a parameter of the model.",
            )
        if params[name].expr is not None:
            raise DataError(
                action,
                f"'{name}' is to be fixed but is tied by '{params[name].expr}'",
                f"Untie it: params['{name}'].set(expr='').",
            )
    free = [i for i, n in enumerate(names) if _varies(params[n]) and n not in given]
    low = np.array([float(params[names[i]].min) for i in free])
    high = np.array([float(params[names[i]].max) for i in free])
    value = np.array([float(p.value) for p in params.values()])
    return Plan(
        names, np.array(free, dtype=np.intp), low, high, value,
        tuple(names.index(n) for n in given), Ties(params),
    )  # fmt: skip


def _varies(parameter: Any) -> bool:
    return bool(parameter.vary and parameter.expr is None)
