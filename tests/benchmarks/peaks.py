"""Everybody who finds the peak of every spectrum of a map, on a wavelength axis, with σ."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import peaks_reference
import xarray as xr

import plkit
from benchmarks.harness import Contender, Estimate, Row
from benchmarks.score import coverage
from plkit import names
from plkit.physics import photons
from plkit.physics.lineshapes import asymmetric, asymmetric_profile, spectrum_on_wavelength

_WIDTH, _LEVEL, _READ, _TOTAL = 0.08, 5.0, 3.0, 1e4
_REACH = {"gaussian": 2.0, "asymmetric": 2.5}


class Spectra:
    """Lines of one width at many energies; Poisson counts, a level and read noise.

    Parameters
    ----------
    n : int
        How many.
    """

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(5)
        self.nm = np.linspace(560.0, 760.0, 256)
        self.energy = photons.energy_from_wavelength(self.nm)
        self.bandwidth = photons.relative_bandwidth(self.nm)
        centre = 1.95 + rng.uniform(-0.1, 0.1, n)
        line = spectrum_on_wavelength(self.nm, asymmetric, centre[:, None], _WIDTH, 0.0)
        mean = _TOTAL * (self.nm[1] - self.nm[0]) * line + _LEVEL
        self.y = rng.poisson(mean) + rng.normal(0.0, _READ, mean.shape)
        self.truth = np.stack([centre, np.full(n, _WIDTH)], axis=1)

    def judge(self, found: Estimate) -> Row:
        """Coverage of energy and width."""
        return coverage(found, self.truth, ("energy", "width"))


def contenders(data: Spectra, method: str, sizes: dict[str, int]) -> list[Contender]:
    """Plkit, the same in plain numpy, and loops of lmfit and scipy where they have the line."""
    everybody = [
        Contender(
            f"plkit.fit_peaks, {method}", "plkit", lambda n: _plkit(data, method, n),
            sizes["ours"], judge=data.judge, ours=True,
        ),
        Contender(
            "the same steps on blocks of spectra", "numpy", lambda n: _numpy(data, method, n),
            sizes["scipy"], judge=data.judge, note="the tests' reference",
        ),
    ]  # fmt: skip
    if method in _REACH:
        note = "given the channels and a start; σ from the counts"
        everybody += [
            Contender(
                "scipy curve_fit", "scipy", lambda n: _scipy(data, method, n),
                sizes["scipy"], judge=data.judge, note=note,
            ),
            Contender(
                "lmfit Model.fit", "lmfit", lambda n: _lmfit(data, method, n),
                sizes["slow"], judge=data.judge, note=note,
            ),
        ]  # fmt: skip
    return everybody


def _plkit(data: Spectra, method: Any, n: int) -> Callable[[], Estimate]:
    ds = xr.Dataset(
        {
            names.INTENSITY: (("point", names.WAVELENGTH), data.y[:n], names.attrs("intensity")),
            names.NOISE_GAIN: ((), 1.0, names.attrs(names.NOISE_GAIN)),
            names.NOISE_FLOOR: ((), _READ**2, names.attrs(names.NOISE_FLOOR)),
        },
        {names.WAVELENGTH: (names.WAVELENGTH, data.nm, names.attrs(names.WAVELENGTH))},
    )

    def work() -> Estimate:
        out = plkit.fit_peaks(ds, method=method)
        columns = ("peak_energy", "peak_width")
        return Estimate(
            np.stack([out[c].values for c in columns], axis=1),
            np.stack([out[f"{c}_stderr"].values for c in columns], axis=1),
            out.fit_status.values == 0,
        )

    return work


def _numpy(data: Spectra, method: str, n: int) -> Callable[[], Estimate]:
    def work() -> Estimate:
        given = peaks_reference.prepare(data.y[:n], data.energy, data.bandwidth, 1.0, _READ**2)
        out = peaks_reference.fit_peaks_numpy(given, method)
        return Estimate(
            np.stack([out.energy, out.width], axis=1),
            np.stack([out.energy_stderr, out.width_stderr], axis=1),
            out.status == 0,
        )

    return work


def _problem(data: Spectra, method: str, i: int) -> tuple[Any, Any, Any, Any, list[float]]:
    """Line, channels, counts, σ and start of one spectrum."""
    use = np.abs(data.energy - data.truth[i, 0]) <= _REACH[method] * _WIDTH
    energy, band, y = data.energy[use], data.bandwidth[use], data.y[i, use]

    def line(
        x: Any, height: float, centre: float, fwhm: float, level: float, b: float = 0.0
    ) -> Any:
        return level + height * band * asymmetric_profile(x, centre, fwhm, b)[0]

    start = [float(y.max()), float(data.truth[i, 0]) + 0.005, 0.07, _LEVEL]
    if method == "asymmetric":
        start.append(0.05)
    return line, energy, y, np.sqrt(np.maximum(y, 1.0) + _READ**2), start


def _scipy(data: Spectra, method: str, n: int) -> Callable[[], Estimate]:
    from scipy.optimize import OptimizeWarning, curve_fit

    def work() -> Estimate:
        values, stderr = np.full((2, n, 2), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            for i in range(n):
                line, x, y, sigma, start = _problem(data, method, i)
                try:
                    p, cov = curve_fit(line, x, y, start, sigma, absolute_sigma=True)
                except RuntimeError:  # no convergence
                    continue
                values[i], stderr[i] = p[1:3], np.sqrt(np.diag(cov))[1:3]
        return Estimate(values, stderr)

    return work


def _lmfit(data: Spectra, method: str, n: int) -> Callable[[], Estimate]:
    import lmfit

    def work() -> Estimate:
        values, stderr = np.full((2, n, 2), np.nan)
        for i in range(n):
            line, x, y, sigma, start = _problem(data, method, i)
            model = lmfit.Model(line, independent_vars=["x"])
            params = model.make_params()
            for parameter, value in zip(params.values(), [*start, 0.0], strict=False):
                parameter.set(value=value)
            params["b"].set(vary=method == "asymmetric")
            found = model.fit(y, params, x=x, weights=1.0 / sigma, scale_covar=False)
            for j, name in enumerate(("centre", "fwhm")):
                parameter = found.params[name]
                values[i, j] = parameter.value
                stderr[i, j] = np.nan if parameter.stderr is None else parameter.stderr
        return Estimate(values, stderr)

    return work
