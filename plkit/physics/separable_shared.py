"""Separable fits whose shapes all rows of a group share: amplitudes of each row, one shape for all.

For given shape parameters the amplitudes of every row are projected out; what is left of the normal
equations is summed over the group. The inverse of that sum is the covariance of the shared
parameters, and enters those of the amplitudes. The search itself is left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.separable import _prepare
from plkit.physics.separable_problem import SeparableModel, set_up

__all__ = ["SharedShapes"]

Floats = NDArray[np.float64]


class SharedShapes:
    """Rows whose groups have one shape each.

    Parameters
    ----------
    y, x : array_like
        As for :func:`plkit.physics.separable.fit_separable`.
    model : SeparableModel
        What is fitted; of what is not linear nothing may be held.
    group : array_like of int
        Shape (rows,): group of every row, from zero on.
    sigma : array_like, optional
        One σ of every point, shape (rows, points).
    threads : int, optional
        Number of threads that share the rows.

    Examples
    --------
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> y = np.array([[1.0], [2.0], [5.0]]) * np.exp(-0.02 * t) + 0.3
    >>> rows = SharedShapes(y, t, SeparableModel("exponential"), [0, 0, 0], 0.1 * np.ones_like(y))
    >>> there = rows.internal(np.array([[1.0, 0.02, 0.3]]))
    >>> float(rows.evaluate(there).round(9)[0])
    0.0
    >>> rows.report(there)["params"].round(6).tolist()
    [[1.0, 0.02, 0.3], [2.0, 0.02, 0.3], [5.0, 0.02, 0.3]]
    """

    def __init__(
        self,
        y: ArrayLike,
        x: ArrayLike,
        model: SeparableModel,
        group: ArrayLike,
        sigma: ArrayLike | None = None,
        threads: int = 1,
    ) -> None:
        self._data, reduced = _prepare(y, x, model, sigma, None)
        self._model, self._reduced = model, reduced
        rows = self._data.y.shape[0]
        self._problem = set_up(reduced, self._data.x, rows, shared=True)
        self.group = np.ascontiguousarray(group, dtype=np.int64)
        self.groups = int(self.group.max(initial=-1)) + 1
        self.sigma = self._data.sigma
        self._threads = threads
        q, size = self._problem.spec[5], len(reduced.parameter_names)
        self.hess, self.grad = np.zeros((self.groups, q, q)), np.zeros((self.groups, q))
        self._out: dict[str, NDArray[Any]] = {
            "chisqr": np.full(rows, np.nan),
            "model": np.full(self._data.y.shape, np.nan),
            "params": np.full((rows, size), np.nan),
            "covariance": np.full((rows, size, size), np.nan),
            "chisqr_constant": np.full(rows, np.nan),
            "n_points": np.zeros(rows, np.int64),
            "code": np.zeros(rows, np.int8),
        }

    @property
    def box(self) -> Floats:
        """Lower and upper limits of the shared parameters as they are searched, and longest steps."""
        return self._problem.box

    def internal(self, params: Floats) -> Floats:
        """Shape parameters as they are searched: rates and widths as logarithms.

        Parameters
        ----------
        params : numpy.ndarray
            Shape (groups, parameters), in the order of the model's names.

        Returns
        -------
        numpy.ndarray
            Shape (groups, shape parameters), inside the box.
        """
        from plkit.physics import separable_kernels as k

        problem, per = self._problem, len(self._model.term_names(0))
        family, qt, unit = problem.spec[0], problem.spec[4], float(problem.axis[3, 2])
        out = np.empty((len(params), problem.spec[5]))
        for i, term in enumerate(problem.places):
            for j in range(qt):
                v = params[:, per * term + 1 + j]
                if family < k.GAUSSIAN and j == 0:
                    v = np.log(v)
                elif family >= k.GAUSSIAN and j == 1:
                    v = np.log(v / unit)
                out[:, qt * i + j] = v
        return np.asarray(np.clip(out, self.box[0], self.box[1]))

    def evaluate(self, theta: Floats) -> Floats:
        """χ² of every group; leaves the normal equations in ``hess`` and ``grad``.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape (groups, shape parameters).

        Returns
        -------
        numpy.ndarray
            Shape (groups,).
        """
        self._call(theta, np.zeros_like(self.hess), False)
        chi2 = np.nan_to_num(self._out["chisqr"])
        return np.asarray(np.bincount(self.group, chi2, minlength=self.groups), dtype=np.float64)

    def report(self, theta: Floats) -> dict[str, NDArray[Any]]:
        """Results of every row.

        Parameters
        ----------
        theta : numpy.ndarray
            Shape (groups, shape parameters): the minimum.

        Returns
        -------
        dict of numpy.ndarray
            ``params``, ``covariance``, ``chisqr``, ``chisqr_constant`` and ``n_points`` as
            :func:`plkit.physics.separable.fit_separable` returns them; ``model`` (rows, points),
            without a held background.
        """
        from plkit.physics.separable import _with_fixed_background

        self.evaluate(theta)
        self._call(theta, self.hess.copy(), True)
        out = dict(self._out)
        if self._reduced.parameter_names == self._model.parameter_names:
            return out
        return _with_fixed_background(self._model, self._reduced, self._data, out)

    def _call(self, theta: Floats, total: Floats, last: bool) -> None:
        from plkit.physics.separable_kernels import shared_rows

        problem, data = self._problem, self._data
        rows = data.y.shape[0]
        count = 4 * self._threads if self._threads > 1 and rows >= 64 * self._threads else 1
        edges = np.linspace(0, rows, count + 1).astype(int)
        hess = np.zeros((count, *self.hess.shape))
        grad = np.zeros((count, *self.grad.shape))
        there = np.ascontiguousarray(theta)

        def work(i: int) -> None:
            part = slice(edges[i], edges[i + 1])
            sigma = self.sigma if self.sigma.shape[0] < 2 else self.sigma[part]
            shared_rows(  # type: ignore[no-untyped-call]
                problem.axis, problem.points, data.y[part], sigma, problem.spec, problem.pixel,
                problem.sort, problem.places, self.group[part], there, total, last, hess[i],
                grad[i], *(a[part] for a in self._out.values()),
            )  # fmt: skip

        _in_threads(work, count, self._threads)
        self.hess, self.grad = hess.sum(axis=0), grad.sum(axis=0)


def _in_threads(work: Callable[[int], None], count: int, threads: int) -> None:
    if count < 2:
        work(0)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count)))
