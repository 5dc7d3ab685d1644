"""Unmixing: three components, 1024 channels, against the speed at which memory can be read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import xarray as xr

import plkit
from benchmarks.harness import Contender, Estimate, Row
from benchmarks.score import coverage
from plkit.names import COMPONENT, WAVELENGTH

LABELS = ("pristine", "bromide", "level")


@dataclass
class Cube:
    """Spectra with known amplitudes.

    Parameters
    ----------
    x : ndarray
        Wavelength [nm].
    refs : ndarray, shape (3, channels)
        Two asymmetric lines and a constant, each with an area of 1.
    truth : ndarray, shape (pixels, 3)
        Amplitudes: counts in each.
    y : ndarray, shape (pixels, channels)
        Poisson counts, float32.
    """

    x: np.ndarray
    refs: np.ndarray
    truth: np.ndarray
    y: np.ndarray

    def references(self) -> xr.DataArray:
        """The same as plkit wants them."""
        return xr.DataArray(
            self.refs, dims=(COMPONENT, WAVELENGTH),
            coords={COMPONENT: list(LABELS), WAVELENGTH: (WAVELENGTH, self.x, {"units": "nm"})},
        )  # fmt: skip

    def dataset(self, n: int) -> xr.Dataset:
        """The first pixels as plkit reads them from a file."""
        intensity = xr.DataArray(
            self.y[:n], dims=("point", WAVELENGTH),
            coords={WAVELENGTH: (WAVELENGTH, self.x, {"units": "nm"})}, attrs={"units": "counts"},
        )  # fmt: skip
        return xr.Dataset({"intensity": intensity, "noise_gain": ((), 1.0, {"units": "counts"})})


def cube(pixels: int, dtype: Any = np.float32, different: int = 8192) -> Cube:
    """Counts of the first pixels are drawn; the others repeat them, for the speed of reading."""
    rng = np.random.default_rng(1)
    x = np.linspace(560.0, 740.0, 1024)

    def line(centre: float, width: float, tail: float) -> np.ndarray:
        w = width * np.where(x < centre, 1.0, tail)
        shape = np.exp(-0.5 * ((x - centre) / w) ** 2)
        return np.asarray(shape / shape.sum())

    refs = np.stack([line(655.0, 11.0, 1.4), line(615.0, 12.0, 1.3), np.full(1024, 1 / 1024)])
    different = min(different, pixels)
    peak = np.array([300.0, 150.0]) * rng.uniform(0.0, 1.0, (different, 2))
    peak[rng.uniform(size=different) < 0.1, 1] = 0.0  # nothing of it in one of ten pixels
    truth = np.column_stack([peak / refs[:2].max(axis=1), np.full(different, 22.0 * 1024)])
    y = rng.poisson(truth @ refs).astype(dtype)
    repeats = -(-pixels // different)
    return Cube(x, refs, np.tile(truth, (repeats, 1))[:pixels], np.tile(y, (repeats, 1))[:pixels])


# Judges -----------------------------------------------------------------------------------------


@dataclass
class UnmixJudge:
    """How far from the exact answer of the problem that a contender says it solves.

    Parameters
    ----------
    data : Cube
        Spectra.
    weights : {"uniform", "counts", "poisson"}
        Equal weights, 1/max(counts, 1), or the likelihood of counts.
    rows : int
        How many are compared with the reference.
    """

    data: Cube
    weights: str
    rows: int

    @functools.cached_property
    def reference(self) -> np.ndarray:
        """Non-negative amplitudes in double precision from scipy.optimize.nnls, one by one."""
        from scipy.optimize import nnls

        n, a = self.rows, self.data.refs.T
        out = np.empty((n, 3))
        for i in range(n):
            y = self.data.y[i].astype(np.float64)
            w = 1.0 / np.maximum(y, 1.0) if self.weights == "counts" else np.ones_like(y)
            for _ in range(1 if self.weights != "poisson" else 12):
                root = np.sqrt(w)
                out[i] = nnls(a * root[:, None], y * root)[0]
                if self.weights == "poisson":
                    w = 1.0 / np.maximum(a @ out[i], 1e-9)
        return out

    def cost(self, amplitude: np.ndarray) -> np.ndarray:
        """χ² or deviance of the first rows; equal weights in units of the mean variance."""
        y = self.data.y[: len(amplitude)].astype(np.float64)
        model = amplitude @ self.data.refs
        if self.weights == "uniform":
            return np.sum((y - model) ** 2, axis=1) / y.mean(axis=1)
        if self.weights == "counts":
            return np.sum((y - model) ** 2 / np.maximum(y, 1.0), axis=1)
        safe = np.maximum(model, 1e-9)
        return 2.0 * np.sum(
            safe - y + np.where(y > 0, y * np.log(np.maximum(y, 1.0) / safe), 0.0), axis=1
        )

    def __call__(self, found: Estimate) -> Row:
        """Columns of a row."""
        n = min(self.rows, len(found.values))
        a = found.values[:n]
        best = self.cost(self.reference[:n])
        out: Row = {
            "at_optimum": float(np.mean(self.cost(a) <= best + 0.01)),
            "at_optimum_rows": n,
            "outside_bounds": float(np.mean((a < -1e-6).any(axis=1))),
        }
        unit = np.sqrt(np.mean(self.data.truth[: len(found.values)], axis=0))
        away = np.mean(found.values - self.data.truth[: len(found.values)], axis=0)
        out["level_bias_percent"] = float(100 * away[2] / self.data.truth[0, 2])
        out["level_bias_root_counts"] = float(away[2] / unit[2])
        # the interval of an amplitude at its bound is one-sided
        inner = (self.data.truth[: len(found.values)] > 0).all(axis=1)
        inner &= (found.values > 0).all(axis=1)
        if found.stderr is not None:
            part = Estimate(found.values[inner], found.stderr[inner])
            out |= coverage(part, self.data.truth[: len(found.values)][inner], LABELS)
        return out


# Contenders -------------------------------------------------------------------------------------


@nb.njit(fastmath=True, nogil=True)
def _total(y):
    s = np.float32(0.0)
    for i in range(y.size):
        s += y[i]
    return s


def _read_limit(data: Cube, n: int) -> Callable[[], Any]:
    flat = data.y[:n].reshape(-1)
    parts = np.array_split(flat, 64)
    return lambda: sum(float(_total(p)) for p in parts)


def _unmix(data: Cube, n: int, **how: Any) -> Callable[[], Estimate]:
    ds, refs = data.dataset(n), data.references()

    def work() -> Estimate:
        out = plkit.unmix(ds, refs, **how)
        return Estimate(
            out.amplitude.transpose("point", COMPONENT).values,
            out.amplitude_stderr.transpose("point", COMPONENT).values,
        )

    return work


def _unmix_block(data: Cube, n: int, noise: Any) -> Callable[[], Estimate]:
    """The part that every chunk goes through: arrays in, arrays out."""
    from plkit.unmixing.block import Design, unmix_block

    channels = data.x.size
    design = Design(
        data.refs, np.empty((0, channels)), noise, np.ones(channels), np.zeros(channels)
    )

    def work() -> Estimate:
        out = unmix_block(data.y[:n], design, threads=1)
        return Estimate(out["amplitude"], out["amplitude_stderr"])

    return work


def _lstsq(data: Cube, n: int) -> Callable[[], Estimate]:
    a = np.ascontiguousarray(data.refs.T, dtype=np.float32)
    y = data.y[:n]
    return lambda: Estimate(np.linalg.lstsq(a, y.T, rcond=None)[0].T)


def _pinv(data: Cube, n: int) -> Callable[[], Estimate]:
    inverse = np.ascontiguousarray(np.linalg.pinv(data.refs.T).T, dtype=np.float32)
    y = data.y[:n]
    return lambda: Estimate(y @ inverse)


def _nnls(data: Cube, n: int, weighted: bool) -> Callable[[], Estimate]:
    from scipy.optimize import nnls

    a, y = np.ascontiguousarray(data.refs.T), data.y[:n].astype(np.float64)

    def work() -> Estimate:
        out = np.empty((n, 3))
        for i in range(n):
            if weighted:
                root = 1.0 / np.sqrt(np.maximum(y[i], 1.0))
                out[i] = nnls(a * root[:, None], y[i] * root)[0]
            else:
                out[i] = nnls(a, y[i])[0]
        return Estimate(out)

    return work


def _sklearn(data: Cube, n: int) -> Callable[[], Estimate]:
    from sklearn.linear_model import LinearRegression

    a, y = np.ascontiguousarray(data.refs.T), data.y[:n].T.astype(np.float64)

    def work() -> Estimate:
        return Estimate(LinearRegression(fit_intercept=False, positive=True).fit(a, y).coef_)

    return work


def _hyperspy(data: Cube, n: int, weighted: bool) -> Callable[[], Estimate]:
    import hyperspy.api as hs

    hs.set_log_level("ERROR")
    signal = hs.signals.Signal1D(data.y[:n].astype(np.float64))
    if weighted:
        signal.set_noise_variance(hs.signals.Signal1D(np.maximum(data.y[:n], 1.0)))
    model = signal.create_model()
    parts = []
    for ref in data.refs:
        part = hs.model.components1D.ScalableFixedPattern(hs.signals.Signal1D(ref.copy()))
        part.shift.free = part.xscale.free = False
        parts.append(part)
    model.extend(parts)

    def work() -> Estimate:
        model.multifit(optimizer="lstsq", show_progressbar=False)
        found = [part.yscale.map for part in parts]
        return Estimate(
            np.stack([f["values"] for f in found], axis=1),
            np.stack([f["std"] for f in found], axis=1),
        )

    return work


def contenders(data: Cube, sizes: dict[str, int]) -> tuple[list[Contender], list[Contender]]:
    """For the table with equal weights, and for the weighted one."""
    bind = functools.partial
    checked = sizes["check"]
    equal = UnmixJudge(data, "uniform", checked)
    counts = UnmixJudge(data, "counts", checked)
    poisson = UnmixJudge(data, "poisson", checked)
    big, some, few, least = (sizes[k] for k in ("ours", "fast", "slow", "slowest"))
    ours = sizes["check_ours"]
    limit = Contender(
        "sum of the cube", "numba", bind(_read_limit, data), big, 64, None,
        "the read limit of one core",
    )  # fmt: skip
    first = [
        Contender(
            "plkit.unmix, uniform", "plkit", bind(_unmix, data, noise="uniform"), big, ours, equal,
            "≥ 0, σ, χ²", True,
        ),
        Contender(
            "plkit per chunk, uniform", "plkit", bind(_unmix_block, data, noise="uniform"), big,
            ours, equal, "≥ 0, σ, χ²; arrays in, arrays out", True,
        ),
        limit,
        Contender("numpy pinv, matrix product", "numpy", bind(_pinv, data), some, checked, equal, "may be < 0, no σ"),
        Contender("numpy lstsq", "numpy", bind(_lstsq, data), some, checked, equal, "may be < 0, no σ"),
        Contender("scipy nnls per pixel", "scipy", bind(_nnls, data, weighted=False), few, checked, equal, "≥ 0, no σ"),
        Contender(
            "scikit-learn positive=True", "scikit-learn", bind(_sklearn, data), few, checked, equal,
            "≥ 0, no σ",
        ),
        Contender(
            "HyperSpy multifit lstsq", "hyperspy", bind(_hyperspy, data, weighted=False), few,
            checked, equal, "may be < 0, σ",
        ),
    ]  # fmt: skip
    second = [
        Contender(
            "plkit.unmix, Poisson", "plkit", bind(_unmix, data), big, ours, poisson,
            "the default: maximum likelihood, ≥ 0, σ, χ²", True,
        ),
        Contender(
            "plkit per chunk, Poisson", "plkit", bind(_unmix_block, data, noise="poisson"), big,
            ours, poisson, "the same; arrays in, arrays out", True,
        ),
        limit,
        Contender(
            "scipy nnls per pixel", "scipy", bind(_nnls, data, weighted=True), few, checked, counts,
            "weights 1/max(counts, 1), ≥ 0, no σ",
        ),
        Contender(
            "HyperSpy multifit lstsq", "hyperspy", bind(_hyperspy, data, weighted=True), least,
            checked, counts, "variance max(counts, 1), may be < 0, σ",
        ),
    ]  # fmt: skip
    for c in (*first, *second):
        c.single = c.name.startswith("plkit per chunk")
    return first, second
