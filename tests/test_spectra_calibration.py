"""Calibration of the wavelength axis by lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.spectra import LAMP_LINES, calibrate_wavelength, find_lines, to_energy, to_vacuum


def spectra(n: int) -> xr.Dataset:
    wavelength = np.linspace(500.0, 800.0, n)
    return xr.Dataset(
        {"intensity": ("wavelength", np.ones(n), {"units": "counts"})},
        {"wavelength": ("wavelength", wavelength, {"units": "nm"})},
    )


def distortion(wavelength: np.ndarray) -> np.ndarray:
    """Error of the axis: shown minus true."""
    return 0.6 + 2e-3 * (wavelength - 650.0)


def lamp(
    rng: np.random.Generator,
    lines: Any = "Ne",
    *,
    frames: int = 8,
    width: float = 0.45,
    noise: bool = True,
) -> xr.Dataset:
    true = np.linspace(575.0, 680.0, 1024)
    at = np.array(LAMP_LINES[lines]) if isinstance(lines, str) else np.array(lines)
    heights = 200.0 * 30.0 ** rng.random(at.size)
    mean = 5.0 + heights @ np.exp(-0.5 * ((true - at[:, None]) / width) ** 2)
    y = rng.poisson(mean, (frames, true.size)) + rng.normal(0.0, 3.0, (frames, true.size))
    ds = xr.Dataset(
        {"intensity": (("time", "wavelength"), y, {"units": "counts"})},
        {"time": ("time", np.arange(frames) * 1.0, {"units": "s"}),
         "wavelength": ("wavelength", true + distortion(true), {"units": "nm"})},
    )  # fmt: skip
    if noise:
        ds["noise_gain"] = ((), 1.0, names.attrs("noise_gain"))
        ds["noise_floor"] = ((), 9.0, names.attrs("noise_floor"))
    return ds


@pytest.mark.parametrize("noise", [True, False])
def test_proof_10_lines_and_their_interval(noise: bool, rng: np.random.Generator) -> None:
    true = [580.0, 600.0, 620.0, 640.0, 660.0]
    z = []
    for _ in range(40):
        found = find_lines(lamp(rng, true, frames=3, noise=noise), true, window_nm=3.0)
        wanted = np.array(true) + distortion(np.array(true))
        z.append((found.line_wavelength - wanted) / found.line_wavelength_stderr)
    z = np.abs(np.array(z))
    assert np.isfinite(z).all()
    assert 0.60 < (z < 1).mean() < 0.76


def test_lamp_corrects_the_axis(rng: np.random.Generator) -> None:
    ds = lamp(rng)
    found = find_lines(ds, "Ne", window_nm=1.4)
    seen = np.isfinite(found.line_wavelength)
    assert int(seen.sum()) == found.sizes["line"] == 18
    # the same lamp, its lines now in their places
    got = calibrate_wavelength(
        ds, found.line_wavelength, found.line, stderr_nm=found.line_wavelength_stderr
    )
    true = np.linspace(575.0, 680.0, 1024)
    error = np.abs(got.wavelength.values - true)
    assert error.max() < 0.02
    assert (error < 3 * got.wavelength_stderr.values).all()
    assert "mean -0.55" in got.attrs["history"]
    assert "find_lines():" in found.attrs["history"]
    assert found.line_wavelength.attrs["units"] == found.line.attrs["units"] == "nm"
    again = find_lines(got, "Ne", window_nm=1.4)
    left = np.abs(again.line_wavelength - again.line)
    assert float(left.median()) < 0.005
    assert float(left.max()) < 0.15  # a faint line beside a strong one


def test_lines_on_an_axis_in_vacuum(rng: np.random.Generator) -> None:
    ds = to_vacuum(lamp(rng))
    found = find_lines(ds, "Ne", window_nm=1.4)
    assert float(found.line[-1]) == pytest.approx(671.704 + 0.1855, abs=1e-3)
    shift = (found.line_wavelength - found.line).dropna("line")
    np.testing.assert_allclose(shift, distortion(shift.line.values), atol=0.05)


def test_lost_lines_are_nan_and_several_lamps_join(rng: np.random.Generator) -> None:
    ds = lamp(rng, [600.0, 620.0])
    found = find_lines(ds, [600.0, 620.0, 640.0], window_nm=2.0)
    assert np.isfinite(found.line_wavelength.values).tolist() == [True, True, False]
    joined = find_lines(lamp(rng), "Ne+Hg+Ar", window_nm=1.4).line.values
    assert {576.961, 579.067, 585.249} <= set(joined)
    assert joined.max() < 681.0
    # 638.3 and 640.2 nm are too close to be told apart within 2 nm
    close = find_lines(lamp(rng), "Ne", window_nm=2.0).line_wavelength
    assert np.isnan(close.sel(line=[638.299, 640.225])).all()
    assert np.isfinite(close.sel(line=[585.249, 667.828])).all()


def test_lines_that_cannot_be_found_are_told(rng: np.random.Generator) -> None:
    ds = lamp(rng)
    with pytest.raises(DataError, match="the lamp is 'Kr', not one of Hg, Ne, Ar, HeNe"):
        find_lines(ds, "Kr")
    with pytest.raises(DataError, match="no line lies on the axis, which runs from 57"):
        find_lines(ds, [300.0])
    with pytest.raises(DataError, match="none of 1 lines is seen within 2 nm"):
        find_lines(lamp(rng, [600.0]), [650.0])
    with pytest.raises(DataError, match="none or NaN"):
        find_lines(ds, [np.nan])
    with pytest.raises(DataError, match="'window_nm' is 0"):
        find_lines(ds, "Ne", window_nm=0)
    with pytest.raises(DataError, match="'energy', not 'wavelength'"):
        find_lines(to_energy(ds), "Ne")


def test_few_exact_lines_with_known_error() -> None:
    # Two lines fix a straight correction; with their σ the error of the axis is known.
    ds = spectra(11)
    got = calibrate_wavelength(ds, [550.0, 750.0], [550.1, 750.3], stderr_nm=[0.01, 0.02])
    sigma = np.interp(ds.wavelength, [550.0, 750.0], [0.0, 0.0])
    at = [np.argmin(np.abs(ds.wavelength.values - v)) for v in (560.0, 740.0)]
    w = (ds.wavelength.values - 550.0) / 200.0
    sigma = np.hypot((1 - w) * 0.01, w * 0.02)
    np.testing.assert_allclose(got.wavelength_stderr[at], sigma[at], rtol=1e-9)
    with pytest.raises(DataError, match="a σ is not positive"):
        calibrate_wavelength(ds, [550.0, 750.0], [550.1, 750.3], stderr_nm=[0.01, 0.0])
    with pytest.raises(DataError, match="there are 1 σ of lines, not 2"):
        calibrate_wavelength(ds, [550.0, 750.0], [550.1, 750.3], stderr_nm=[0.01])


def test_calibration_by_lines(rng: np.random.Generator) -> None:
    ds = spectra(11)
    measured = np.array([510.0, 600.0, 700.0, 780.0])
    true = measured + 0.4 + 1e-3 * (measured - 650.0)
    got = calibrate_wavelength(ds, measured, true)
    np.testing.assert_allclose(got.wavelength, ds.wavelength + 0.4 + 1e-3 * (ds.wavelength - 650.0))
    assert float(got.wavelength_stderr.max()) < 1e-9
    inside: list[float] = []
    for _ in range(400):
        found = calibrate_wavelength(ds, measured, true + rng.normal(0.0, 0.1, 4))
        z = (found.wavelength - got.wavelength.values) / found.wavelength_stderr
        inside.append(float((np.abs(z) < 1).mean()))
    # two degrees of freedom: Student's t holds 58 % within one σ
    assert np.mean(inside) == pytest.approx(0.577, abs=0.05)


def test_calibration_that_cannot_be_is_told() -> None:
    ds = spectra(11)
    with pytest.warns(PlkitWarning, match="its error is not known"):
        got = calibrate_wavelength(ds, [600.0], [600.3], degree=0)
    np.testing.assert_allclose(got.wavelength, ds.wavelength + 0.3)
    assert np.isnan(got.wavelength_stderr).all()
    cases: list[tuple[Any, Any, int, str]] = [
        ([600.0], [600.3], 1, "1 lines do not fix a correction of degree 1"),
        ([600.0, 700.0], [600.3], 1, "2 measured lines, not 1"),
        ([600.0, np.nan], [600.3, 700.0], 1, "1 lines do not fix"),
        ([600.0, 610.0], [np.nan, 700.0], 1, "a true wavelength is NaN"),
        ([600.0, 610.0], [610.0, 600.0], 1, "does not ascend"),
    ]
    for measured, true, degree, message in cases:
        if message == "does not ascend":
            with pytest.warns(PlkitWarning), pytest.raises(DataError, match=message):
                calibrate_wavelength(ds, measured, true, degree=degree)
        else:
            with pytest.raises(DataError, match=message):
                calibrate_wavelength(ds, measured, true, degree=degree)
    with pytest.raises(DataError, match="dimension is 'energy'"):
        calibrate_wavelength(to_energy(ds), [600.0, 700.0], [600.0, 700.0])
