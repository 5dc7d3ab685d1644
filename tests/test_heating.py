"""Laser heating: what is given back, its σ, and the refusal of what cannot be."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from plkit import names
from plkit.errors import DataError, UnitsError
from plkit.names import INPUT, POWER, TEMPERATURE, TIME, WAVELENGTH, R, Z
from plkit.physics.heat import half_space_radial_rise, half_space_step_rise
from plkit.physics.heat_layers import Beam, PlanarStack, layered_detection_rise
from plkit.sim import GLASS, Film, LaserSpot, Layer, absorptance_from_nk, simulate_heating

SPOT = LaserSpot(1.0, radius_stderr_um=0.05)
SLIDE = (Layer(1000.0, 1.05, 2.1e6, 0.042),)
FILM = Film(40.0, 0.4, 0.228, 0.0114, substrate=SLIDE)
POWERS = np.array([10.0, 20.0, 80.0])


@pytest.fixture(scope="module")
def result() -> xr.Dataset:
    return simulate_heating(SPOT, FILM, power_uw=POWERS)


def test_every_variable_is_named_in_the_table(result: xr.Dataset) -> None:
    for name, variable in result.variables.items():
        assert variable.attrs["units"] == names.unit(str(name)), name
    assert result["temperature"].dims == (POWER, R, Z)
    for name in ("detection_temperature", "peak_temperature", "A0"):
        assert result[name].dims == (POWER,)
        assert result[f"{name}_stderr"].attrs["shared"] == 1
    assert result["ambient_temperature"] == 293.15


def test_published_h23_rise_of_the_study(result: xr.Dataset) -> None:
    assert float(result["peak_rise_per_power"]) / 0.228 == pytest.approx(0.39, abs=0.005)
    assert float(result["detection_rise_per_power"]) / 0.228 == pytest.approx(0.27, abs=0.005)


@pytest.mark.parametrize(
    ("power", "low", "high"), [(80.0, 4.0, 8.0), (160.0, 9.0, 15.0), (400.0, 22.0, 38.0)]
)
def test_published_h23_range_of_the_rise(power: float, low: float, high: float) -> None:
    for absorptance, expected in ((0.20, low), (0.35, high)):
        heat = simulate_heating(SPOT, Film(40.0, 0.4, absorptance), power_uw=power)
        assert float(heat["detection_temperature"][0]) - 293.15 == pytest.approx(expected, abs=0.7)


def test_the_scale_error_of_the_study_is_eight_percent(result: xr.Dataset) -> None:
    assert float(result["temperature_scale_stderr"]) == pytest.approx(0.08, abs=0.002)
    parts = result["temperature_scale_by_input"]
    assert parts[INPUT].values.tolist() == [
        "absorptance", "spot_radius", "film_conductivity", "substrate_conductivity",
    ]  # fmt: skip
    assert parts.values == pytest.approx([0.05, -0.051, 0.0, -0.038], abs=5e-4)
    assert np.sqrt((parts**2).sum()) == pytest.approx(float(result["temperature_scale_stderr"]))


def test_temperatures_are_linear_in_power_and_their_errors_shared(result: xr.Dataset) -> None:
    rise = result["detection_temperature"] - result["ambient_temperature"]
    np.testing.assert_allclose(rise / POWERS, float(result["detection_rise_per_power"]), rtol=1e-10)
    relative = result["detection_temperature_stderr"] / rise
    np.testing.assert_allclose(relative, float(result["temperature_scale_stderr"]), rtol=1e-10)
    hottest = result["temperature"].max()
    assert float(hottest) == float(result["temperature"].sel(power=80.0).isel(r=0, z=0))


def test_heat_fraction_and_absorptance_scale_the_rise(result: xr.Dataset) -> None:
    cool = simulate_heating(SPOT, dataclasses.replace(FILM, heat_fraction=0.5))
    half = dataclasses.replace(FILM, absorptance=0.114)
    for other in (cool, simulate_heating(SPOT, half)):
        ratio = other["rise_per_power"] / result["rise_per_power"]
        np.testing.assert_allclose(ratio, 0.5, rtol=1e-12)
    assert TEMPERATURE not in cool
    assert POWER not in cool.dims


def test_a_film_like_its_substrate_heated_at_the_surface_is_a_half_space() -> None:
    film = Film(
        40.0, 1.05, 1.0, substrate=(Layer(math.inf, 1.05, 2.1e6),),
        heat_capacity_j_m3k=2.1e6, absorption_per_um=math.inf,
    )  # fmt: skip
    r, times = np.array([0.0, 1.0, 5.0]), np.array([1e-8, 1e-6, 1e-3])
    steady = simulate_heating(SPOT, film, r_um=r, z_um=[0.0])
    exact = half_space_radial_rise(r, 1.0, 1.05, 1.0)
    np.testing.assert_allclose(steady["rise_per_power"].isel(z=0), exact, rtol=1e-10)
    late = simulate_heating(SPOT, film, r_um=r, z_um=[0.0], times_s=times)
    assert late["rise_per_power"].dims == (TIME, R, Z)
    np.testing.assert_allclose(
        late["rise_per_power"].isel(r=0, z=0),
        half_space_step_rise(times, 1.0, 1.05, 2.1e6, 1.0),
        rtol=1e-9,
    )
    assert late["peak_rise_per_power"] == steady["peak_rise_per_power"]


def test_the_two_solvers_agree() -> None:
    times = np.array([1e-6, 1e-5])
    arguments: dict[str, Any] = {
        "power_uw": [50.0],
        "r_um": [0.0, 1.0, 5.0],
        "z_um": [0.0, 0.04, 1.0],
    }
    exact = simulate_heating(SPOT, FILM, times_s=times, **arguments)
    volumes = simulate_heating(SPOT, FILM, times_s=times, solver="volumes", **arguments)
    for name in (
        "rise_per_power", "peak_rise_per_power", "detection_rise_per_power", "detection_step_per_power",
        "peak_step_per_power",
    ):  # fmt: skip
        np.testing.assert_allclose(volumes[name], exact[name], rtol=1e-3, atol=1e-6)
    assert volumes.attrs["solver"] == "volumes"


def test_the_published_form(result: xr.Dataset) -> None:
    np.testing.assert_allclose(result["A0"], result["peak_temperature"] - 293.15, rtol=1e-9)
    rate = float(result["B"])
    at = simulate_heating(SPOT, FILM, times_s=[1 / rate])
    reached = float(at["peak_step_per_power"][0] / at["peak_rise_per_power"])
    assert reached == pytest.approx(1 - math.exp(-1), rel=1e-7)
    # the form has no tail: near the spot's edge it is a third of the peak too low
    assert float(result["form_misfit_radius"]) == pytest.approx(0.32, abs=0.01)
    half_space = np.abs(half_space_radial_rise(np.linspace(0, 5, 501), 1, 1, 1) * math.sqrt(2 * math.pi)
                        - np.exp(-2 * np.linspace(0, 5, 501) ** 2)).max()  # fmt: skip
    assert half_space == pytest.approx(0.33, abs=0.01)
    assert 0.1 < float(result["form_misfit_time"]) < 0.3


def test_the_temporal_misfit_of_a_half_space_is_that_of_the_arctangent() -> None:
    film = Film(
        1.0, 1.05, 1.0, substrate=(Layer(math.inf, 1.05, 2.1e6),),
        heat_capacity_j_m3k=2.1e6, absorption_per_um=math.inf,
    )  # fmt: skip
    heat = simulate_heating(LaserSpot(1.0), film)
    tau = 1.0 / (8 * 0.5e6)
    rate = 1 / (tau * math.tan(math.pi / 2 * (1 - math.exp(-1))) ** 2)
    assert float(heat["B"]) == pytest.approx(rate, rel=0.01)
    bt = np.logspace(-3, 3, 2001)
    exact = 2 / math.pi * np.arctan(np.sqrt(bt / rate / tau))
    misfit = np.abs(exact - (1 - np.exp(-bt))).max()
    assert float(heat["form_misfit_time"]) == pytest.approx(misfit, rel=0.02)


def test_sigma_of_b_follows_from_its_scaling() -> None:
    # one material: B ∝ k/(ρc w0²), so that σ_B/B = 2 σ_w/w0
    film = Film(
        1e-3, 1.05, 1.0, substrate=(Layer(math.inf, 1.05, 2.1e6),),
        heat_capacity_j_m3k=2.1e6, absorption_per_um=math.inf,
    )  # fmt: skip
    heat = simulate_heating(LaserSpot(1.0, radius_stderr_um=0.05), film)
    assert float(heat["B_stderr"] / heat["B"]) == pytest.approx(0.1, rel=1e-3)


def test_sigma_of_the_detected_temperature_covers_the_truth() -> None:
    rng = np.random.default_rng(7)
    film = dataclasses.replace(FILM, conductivity_stderr_w_mk=0.06)
    stated = simulate_heating(SPOT, film, power_uw=[50.0])
    n = 1500
    draws = rng.standard_normal((4, n))
    inside = 0
    rises = np.empty(n)
    for i in range(n):
        absorptance = film.absorptance + film.absorptance_stderr * draws[0, i]
        stack = PlanarStack(
            (0.04, 1000.0), (0.4 + 0.06 * draws[1, i], 1.05 + 0.042 * draws[2, i]), (1e6, 2.1e6)
        )
        beam = Beam(1.0 + 0.05 * draws[3, i])
        rises[i] = 50.0 * absorptance * float(layered_detection_rise(stack, beam))
    error = float(stated["detection_temperature_stderr"][0])
    centre = float(stated["detection_temperature"][0]) - 293.15
    inside = int((np.abs(rises - centre) < error).sum())
    assert 0.65 < inside / n < 0.715  # 68.3 % ± 3 standard errors
    assert rises.std() == pytest.approx(error, rel=0.06)


def test_a_result_survives_netcdf(result: xr.Dataset, tmp_path: Path) -> None:
    result.to_netcdf(tmp_path / "heat.nc")
    with xr.open_dataset(tmp_path / "heat.nc") as back:
        xr.testing.assert_equal(back.load(), result)
        assert json.loads(back.attrs["film"])["absorptance"] == 0.228
    endless = simulate_heating(SPOT, Film(40.0, 0.4, 0.2, substrate=(Layer(math.inf, 1.0, 2e6),)))
    assert json.loads(endless.attrs["film"])["substrate"][0]["thickness_um"] == "inf"


def test_power_as_array_in_another_unit() -> None:
    power = xr.DataArray([1, 2], dims=POWER, attrs={"units": "mW"})
    heat = simulate_heating(SPOT, FILM, power_uw=power)
    assert heat[POWER].values.tolist() == [1000.0, 2000.0]
    with pytest.raises(UnitsError, match="has units 'nm', not 'uW'"):
        simulate_heating(SPOT, FILM, power_uw=power.assign_attrs(units="nm"))
    with pytest.raises(UnitsError, match="has units 'none'"):
        simulate_heating(SPOT, FILM, power_uw=xr.DataArray([1.0], dims=POWER))
    with pytest.raises(DataError, match="has dims step, not power"):
        simulate_heating(SPOT, FILM, power_uw=power.rename({POWER: "step"}))


def test_layers_of_the_substrate_are_told_apart() -> None:
    film = dataclasses.replace(FILM, substrate=(Layer(0.15, 10.0, 2.5e6, 3.0), GLASS))
    heat = simulate_heating(SPOT, film)
    parts = heat["temperature_scale_by_input"]
    assert float(parts.sel(input="substrate_conductivity_1")) < 0
    assert float(parts.sel(input="substrate_conductivity_2")) == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"power_uw": []}, r"shape \(0,\)"),
        ({"power_uw": [1.0, -2.0]}, "holds -2.0"),
        ({"power_uw": [float("nan")]}, "holds nan"),
        ({"power_uw": [[1.0]]}, r"shape \(1, 1\)"),
        ({"ambient_k": 0.0}, "'ambient_k' is 0.0"),
        ({"ambient_k": math.nan}, "'ambient_k' is nan"),
        ({"r_um": [1.0, 0.0]}, "'r_um' is not finite, from 0 upwards and ascending"),
        ({"r_um": [-1.0]}, "'r_um' is not"),
        ({"z_um": [0.0, 2000.0]}, "reaches 2000 um, not at most 1000.04 um"),
        ({"z_um": []}, r"'z_um' has the shape \(0,\)"),
        ({"times_s": [1.0, 1.0]}, "'times_s' is not"),
        ({"times_s": [math.inf]}, "'times_s' is not"),
        ({"solver": "guess"}, "'solver' is 'guess', not 'hankel' or 'volumes'"),
    ],
)
def test_arguments_that_cannot_be(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        simulate_heating(SPOT, FILM, **arguments)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_numbers_that_no_sample_has(bad: float) -> None:
    with pytest.raises(DataError, match=r"Cannot describe the laser because 'radius_um' is .*1/e²"):
        LaserSpot(bad)
    with pytest.raises(DataError, match="'conductivity_w_mk'"):
        Layer(1.0, bad, 2e6)
    with pytest.raises(DataError, match="'heat_capacity_j_m3k'"):
        Layer(1.0, 1.0, bad)
    with pytest.raises(DataError, match="'thickness_nm'"):
        Film(bad, 0.4, 0.2)
    with pytest.raises(DataError, match="'absorptance'"):
        Film(40.0, 0.4, bad)
    if bad != 0.0:
        with pytest.raises(DataError, match="'radius_stderr_um'"):
            LaserSpot(1.0, radius_stderr_um=bad)


def test_films_that_cannot_be() -> None:
    with pytest.raises(
        DataError, match=r"'absorptance' is 20.3, not above 0 and up to 1. It is a share"
    ):
        Film(40.0, 0.4, 20.3)
    with pytest.raises(DataError, match=r"'heat_fraction' is 1\.2"):
        Film(40.0, 0.4, 0.2, heat_fraction=1.2)
    with pytest.raises(DataError, match="'absorption_per_um' is nan"):
        Film(40.0, 0.4, 0.2, absorption_per_um=math.nan)
    with pytest.raises(DataError, match="'substrate' has no layer"):
        Film(40.0, 0.4, 0.2, substrate=())
    with pytest.raises(DataError, match="infinite layer lies above"):
        Film(40.0, 0.4, 0.2, substrate=(Layer(math.inf, 1.0, 1e6), GLASS))
    with pytest.raises(DataError, match="'thickness_um' is nan"):
        Layer(math.nan, 1.0, 1e6)


# Absorptance from n and k ---------------------------------------------------------------------
def _nk(wavelength: list[float], n: list[float], k: list[float]) -> xr.Dataset:
    axis = (WAVELENGTH, wavelength, names.attrs(WAVELENGTH))
    return xr.Dataset(
        {"refractive_index": (WAVELENGTH, n), "extinction_coefficient": (WAVELENGTH, k)},
        {WAVELENGTH: axis},
    )


def test_a_film_from_its_optical_constants() -> None:
    up = _nk([400.0, 410.0], [2.2, 2.3], [0.25, 0.23])
    film = Film.from_optics(up, 40.0, 0.4, absorptance_stderr=0.01, heat_fraction=0.9)
    assert film.absorptance == absorptance_from_nk(up, 40.0)
    assert film.heat_fraction == 0.9
    down = up.isel({WAVELENGTH: slice(None, None, -1)})
    assert absorptance_from_nk(down, 40.0) == film.absorptance
    in_um = up.assign_coords({WAVELENGTH: (WAVELENGTH, [0.4, 0.41], {"units": "um"})})
    assert absorptance_from_nk(in_um, 40.0) == pytest.approx(film.absorptance, rel=1e-12)


def test_optical_constants_that_do_not_serve() -> None:
    nk = _nk([500.0, 510.0], [2.2, 2.3], [0.25, 0.23])
    with pytest.raises(DataError, match="n and k cover 500 to 510 nm, not 405 nm"):
        absorptance_from_nk(nk, 40.0)
    with pytest.raises(DataError, match="no extinction_coefficient"):
        absorptance_from_nk(nk.drop_vars("extinction_coefficient"), 40.0)
    with pytest.raises(DataError, match="no wavelength"):
        absorptance_from_nk(nk * np.nan, 40.0, 505.0)
    with pytest.raises(DataError, match=r"'thickness_nm' is 0\.0"):
        absorptance_from_nk(nk, 0.0, 505.0)
    with pytest.raises(DataError, match=r"is -0\.1, not 0 or positive"):
        absorptance_from_nk(_nk([400.0, 410.0], [2.0, 2.0], [-0.1, -0.1]), 40.0)
    with pytest.raises(UnitsError, match="'wavelength' has units"):
        absorptance_from_nk(nk.assign_coords({WAVELENGTH: (WAVELENGTH, [1.0, 2.0])}), 40.0)
