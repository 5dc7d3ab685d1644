"""Everybody who fits a curve to every trace of a table: plkit and its peers."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

import plkit
from benchmarks.harness import Contender, Estimate, Row
from benchmarks.problems import Problem
from benchmarks.score import Judge
from plkit import models

Work = Callable[[], Estimate]
Prepare = Callable[[int], Work]


def _traces(problem: Problem, n: int) -> tuple[xr.DataArray, xr.DataArray]:
    x = (problem.dim, problem.x, {"units": problem.unit})
    y = xr.DataArray(
        problem.y[:n],
        dims=("point", problem.dim),
        coords={problem.dim: x},
        attrs={"units": "counts"},
    )
    return y, y.copy(data=problem.sigma[:n])


def _estimate(ds: xr.Dataset, problem: Problem) -> Estimate:
    values = np.stack([ds[p].values for p in problem.parameters], axis=1)
    stderr = np.stack([ds[f"{p}_stderr"].values for p in problem.parameters], axis=1)
    return Estimate(values, stderr, ds.fit_status.values == 0)


# plkit --------------------------------------------------------------------------------------------


def _fit_model(problem: Problem, model: Any, n: int, params: Any = None, **noise: Any) -> Work:
    y, sigma = _traces(problem, n)
    given = noise or {"stderr": sigma}
    return lambda: _estimate(
        plkit.fit_model(y, model(), problem.dim, params, engine="batched", **given), problem
    )


def _counted(problem: Problem, model: Any, n: int, params: Any = None) -> Work:
    """Maximum likelihood for counts."""
    y, _ = _traces(problem, n)
    ds = xr.Dataset({"intensity": y, "noise_gain": ((), 1.0, {"units": "counts"})})
    return lambda: _estimate(
        plkit.fit_model(ds, model(), problem.dim, params, noise="poisson", engine="batched"),
        problem,
    )


def _fit_kinetics(problem: Problem, n: int) -> Work:
    y, sigma = _traces(problem, n)
    return lambda: _estimate(plkit.fit_kinetics(y, stderr=sigma), problem)


def _kernel(problem: Problem, n: int) -> Work:
    """The compiled kernel alone, arrays in and arrays out, one thread."""
    from plkit.physics.separable import SeparableModel, fit_separable

    model = {
        "biexponential": SeparableModel("exponential", 2, "constant", background_sign=1),
        "gaussian": SeparableModel("gaussian", 1, "constant"),
    }[problem.name]
    assert model.parameter_names == problem.parameters
    y, s = problem.y[:n].copy(), problem.sigma[:n].copy()

    def work() -> Estimate:
        out = fit_separable(y, problem.x, model, sigma=s, threads=1)
        sigma = np.sqrt(np.diagonal(out["covariance"], axis1=1, axis2=2))
        return Estimate(out["params"], sigma, out["status"] == 0)

    return work


def _lmfit_model(problem: Problem) -> Any:
    import lmfit

    return lmfit.Model(problem.function, independent_vars=["x"])


def _lmfit_params(problem: Problem) -> Any:
    import lmfit

    params = lmfit.Parameters()
    for name, start, low, high in zip(
        problem.parameters, problem.start, problem.low, problem.high, strict=True
    ):
        params.add(name, start, min=low, max=high)
    return params


# Peers --------------------------------------------------------------------------------------------


def _lmfit(problem: Problem, n: int) -> Work:
    model, params = _lmfit_model(problem), _lmfit_params(problem)

    def work() -> Estimate:
        values, stderr = np.empty((2, n, len(problem.parameters)))
        for i in range(n):
            found = model.fit(
                problem.y[i], params, x=problem.x, weights=1.0 / problem.sigma[i], scale_covar=False
            )
            for j, name in enumerate(problem.parameters):
                parameter = found.params[name]
                values[i, j] = parameter.value
                stderr[i, j] = np.nan if parameter.stderr is None else parameter.stderr
        return Estimate(values, stderr)

    return work


def _curve_fit(problem: Problem, n: int, jacobian: bool, bounded: bool) -> Work:
    from scipy.optimize import OptimizeWarning, curve_fit

    how: dict[str, Any] = {}
    if jacobian:
        how["jac"] = problem.jacobian
    if bounded:
        how |= {"bounds": (problem.low, problem.high), "method": "trf"}
    if bounded and jacobian:
        how["x_scale"] = "jac"

    def work() -> Estimate:
        values, stderr = np.full((2, n, len(problem.parameters)), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            for i in range(n):
                try:
                    p, cov = curve_fit(
                        problem.function, problem.x, problem.y[i], problem.start, problem.sigma[i],
                        absolute_sigma=True, **how,
                    )  # fmt: skip
                except RuntimeError:  # no convergence
                    continue
                values[i], stderr[i] = p, np.sqrt(np.diag(cov))
        return Estimate(values, stderr)

    return work


def _least_squares(problem: Problem, n: int) -> Work:
    from scipy.optimize import least_squares

    def work() -> Estimate:
        values, stderr = np.empty((2, n, len(problem.parameters)))
        for i in range(n):
            y, w = problem.y[i], 1.0 / problem.sigma[i]
            found = least_squares(
                lambda p, y=y, w=w: (problem.function(problem.x, *p) - y) * w,
                problem.start,
                lambda p, w=w: problem.jacobian(problem.x, *p) * w[:, None],
                bounds=(problem.low, problem.high),
                x_scale="jac",
            )
            values[i] = found.x
            with np.errstate(invalid="ignore"):
                stderr[i] = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
        return Estimate(values, stderr)

    return work


def _xarray_curvefit(problem: Problem, n: int, bounded: bool) -> Work:
    from scipy.optimize import OptimizeWarning

    y, _ = _traces(problem, n)
    start = dict(zip(problem.parameters, map(float, problem.start), strict=True))
    limits = dict(zip(problem.parameters, zip(problem.low, problem.high, strict=True), strict=True))

    def work() -> Estimate:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            out = y.curvefit(
                problem.dim, problem.function, p0=start, bounds=limits if bounded else None,
                errors="ignore",
            )  # fmt: skip
        values = out.curvefit_coefficients.transpose("point", "param")
        cov = out.curvefit_covariance.transpose("point", "cov_i", "cov_j")
        with np.errstate(invalid="ignore"):
            return Estimate(values.values, np.sqrt(np.diagonal(cov.values, axis1=1, axis2=2)))

    return work


def _xarray_lmfit(problem: Problem, n: int) -> Work:
    import xarray_lmfit  # noqa: F401  registers the accessor

    y, sigma = _traces(problem, n)
    model, params, weights = _lmfit_model(problem), _lmfit_params(problem), 1.0 / sigma

    def work() -> Estimate:
        out = y.xlm.modelfit(
            problem.dim, model, params=params, weights=weights, scale_covar=False,
            output_result=False,
        )  # fmt: skip
        order = list(problem.parameters)
        return Estimate(
            out.modelfit_coefficients.sel(param=order).transpose("point", "param").values,
            out.modelfit_stderr.sel(param=order).transpose("point", "param").values.astype(float),
        )

    return work


def _hyperspy(problem: Problem, n: int) -> Work:
    import hyperspy.api as hs

    hs.set_log_level("ERROR")
    signal = hs.signals.Signal1D(problem.y[:n].copy())
    axis = signal.axes_manager.signal_axes[0]
    axis.scale, axis.offset = float(problem.x[1] - problem.x[0]), float(problem.x[0])
    signal.set_noise_variance(hs.signals.Signal1D(problem.sigma[:n] ** 2))
    start = dict(zip(problem.parameters, map(float, problem.start), strict=True))
    part = hs.model.components1D.Expression(problem.expression, name="model", **start)
    model = signal.create_model()
    model.append(part)
    for name, low, high in zip(problem.parameters, problem.low, problem.high, strict=True):
        parameter = getattr(part, name)
        parameter.bmin, parameter.bmax = float(low), float(high)
        # else a trace starts where the one before ended, and one that went astray leads the rest
        parameter.assign_current_value_to_all()

    def work() -> Estimate:
        model.multifit(optimizer="lm", show_progressbar=False)
        found = [getattr(part, name).map for name in problem.parameters]
        return Estimate(
            np.stack([f["values"] for f in found], axis=1),
            np.stack([f["std"] for f in found], axis=1),
        )

    return work


# All of them --------------------------------------------------------------------------------------


def contenders(
    problem: Problem, judge: Judge, sizes: dict[str, int], *, generic: bool = False
) -> list[Contender]:
    """Everybody for one table.

    Parameters
    ----------
    problem : Problem
        Traces and model.
    judge : Judge
        Says how correct a result is.
    sizes : dict
        Rows per timed call of ``"ours"``, ``"scipy"`` and ``"slow"``, and rows judged, ``"check"``
        for peers and ``"check_ours"``.
    generic : bool, optional
        Whether plkit gets a plain lmfit Model instead of its own.
    """
    out: list[Contender] = []

    def add(
        name: str, package: str, prepare: Prepare, size: str, note: str = "", *,
        ours: bool = False, other: bool = False,
    ) -> None:  # fmt: skip
        # who minimises something else is not asked whether it found this minimum
        said: Callable[[Any], Row] = functools.partial(judge, by_optimum=not other)
        checked = sizes["check_ours" if ours else "check"]
        if ours and generic:
            checked = sizes["ours"]
        out.append(Contender(name, package, prepare, sizes[size], checked, said, note, ours))

    bind = functools.partial
    if generic:
        plain, params = bind(_lmfit_model, problem), _lmfit_params(problem)
        add(
            "plkit.fit_model", "plkit", bind(_fit_model, problem, plain, params=params), "ours",
            "a plain lmfit Model", ours=True,
        )  # fmt: skip
        add(
            "plkit.fit_model, counts", "plkit", bind(_counted, problem, plain, params=params),
            "ours", "maximum likelihood instead of σ", ours=True, other=True,
        )  # fmt: skip
    else:
        own = {
            "biexponential": models.BiexponentialDecayModel, "gaussian": models.GaussianPeakModel,
        }[problem.name]  # fmt: skip
        add("plkit.fit_model", "plkit", bind(_fit_model, problem, own), "ours", ours=True)
        add(
            "plkit kernel alone", "plkit", bind(_kernel, problem), "ours",
            "arrays in, arrays out", ours=True,
        )  # fmt: skip
        add(
            "plkit.fit_model, counts", "plkit", bind(_counted, problem, own), "ours",
            "maximum likelihood instead of σ", ours=True, other=True,
        )  # fmt: skip
        if problem.name == "biexponential":
            add("plkit.fit_kinetics", "plkit", bind(_fit_kinetics, problem), "ours", ours=True)
    add("lmfit Model.fit", "lmfit", bind(_lmfit, problem), "slow")
    add("xarray-lmfit modelfit", "xarray-lmfit", bind(_xarray_lmfit, problem), "slow")
    add("HyperSpy multifit lm", "hyperspy", bind(_hyperspy, problem), "slow", "no bounds")
    for bounded, jacobian in ((False, False), (False, True), (True, False), (True, True)):
        method = "trf" if bounded else "lm"
        add(
            f"scipy curve_fit {method}" + (", Jacobian" if jacobian else ""), "scipy",
            bind(_curve_fit, problem, jacobian=jacobian, bounded=bounded),
            "slow" if bounded else "scipy", "" if bounded else "no bounds",
        )  # fmt: skip
    add("scipy least_squares trf, Jacobian", "scipy", bind(_least_squares, problem), "slow")
    for bounded in (False, True):
        add(
            f"xarray curvefit {'trf' if bounded else 'lm'}", "xarray",
            bind(_xarray_curvefit, problem, bounded=bounded), "slow" if bounded else "scipy",
            "takes no σ per trace" + ("" if bounded else ", no bounds"), other=True,
        )  # fmt: skip
    for c in out:
        c.single = c.name == "plkit kernel alone"
    return out
