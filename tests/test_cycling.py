"""Segregation under periodic heating: the model, its six protocols, the spectra and the map."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError
from plkit.physics import cycling as physics
from plkit.physics.arrhenius import two_point_energy
from plkit.sim import (
    CyclingEmission,
    CyclingModel,
    Heater,
    HeaterProtocol,
    SeverityThresholds,
    map_thermal_cycling,
    severity_of,
    thermal_cycling,
)

SIX = {
    "DC": (HeaterProtocol.continuous(), "severe"),
    "0.1/1 s": (HeaterProtocol(0.1, 1.0), "severe"),
    "1/10 s": (HeaterProtocol(1.0, 10.0), "mild"),
    "2/10 s": (HeaterProtocol(2.0, 10.0), "mild"),
    "5/10 s": (HeaterProtocol(5.0, 10.0), "mild"),
    "0.5/5 s": (HeaterProtocol(0.5, 5.0), "none"),
}


def at(ds: xr.Dataset, time_s: float, name: str = "segregated_fraction") -> float:
    return float(ds[name].sel(time=time_s, method="nearest"))


# The heater -----------------------------------------------------------------------------------


def test_proof_8_cycling_heater_reads_what_is_printed() -> None:
    ds = thermal_cycling(HeaterProtocol.continuous(600.0), exposure_s=0.01)
    assert at(ds, 10.0, "temperature") - 273.15 == pytest.approx(32.0, abs=0.02)
    assert at(ds, 600.0, "temperature") - 273.15 == pytest.approx(37.0, abs=0.01)


def test_heater_follows_the_square_of_the_current() -> None:
    full, half = (
        thermal_cycling(HeaterProtocol(2.0, 10.0, 60.0, current_ma=i))["temperature"] - 297.15
        for i in (400.0, 200.0)
    )
    np.testing.assert_allclose(full, 4 * half, rtol=1e-9)


def test_fitted_heater_is_found_again_in_noisy_readings(rng) -> None:
    t = np.linspace(1.0, 900.0, 200)
    y = physics.heater_step(t, Heater((8.0, 5.0))) + rng.normal(0, 0.1, t.size)
    fit = physics.fit_heater(t, y)
    assert fit.heater.rise_k == pytest.approx((8.0, 5.0), abs=0.1)
    assert np.std(fit.residual_k) == pytest.approx(0.1, rel=0.15)
    with pytest.raises(ValueError, match="two readings at least"):
        physics.fit_heater([1.0], [2.0])


# The model --------------------------------------------------------------------------------------


def _slow_reference(protocol: HeaterProtocol, model: CyclingModel, heater: Heater) -> float:
    """The same equations by scipy's stiff solver, restarted at every switching."""
    from scipy.integrate import solve_ivp

    on, off = protocol.switch_times_s
    edges = np.unique([0.0, *on, *off, protocol.duration_s])

    def slope(t: float, z: np.ndarray, power: float) -> list[float]:
        x1, x2, u, q, s = z
        (a1, a2), (t1, t2) = heater.rise_k, heater.time_constant_s
        v1, v2 = (power - x1) / t1, (power - x2) / t2
        reset = float(physics.reset_rate(u, model))
        k = physics.rates_at(297.15 + a1 * x1 + a2 * x2, model)
        y = (q / model.rest_s) ** 4
        grow = float(k["segregation"]) * y / (1 + y)
        change = a1 * v1 + a2 * v2 - u / model.memory_s
        return [v1, v2, change, 1 - reset * q, grow * (1 - s) - (float(k["mixing"]) + reset) * s]

    z = np.zeros(5)
    for lo, hi in itertools.pairwise(edges):
        middle = 0.5 * (lo + hi)
        power = float(np.sum(on < middle) > np.sum(off < middle))
        found = solve_ivp(slope, (lo, hi), z, "LSODA", args=(power,), rtol=1e-8, atol=1e-11)
        z = found.y[:, -1]
    return float(z[-1])


@pytest.mark.parametrize(
    "protocol", [HeaterProtocol(0.1, 1.0, 15.0), HeaterProtocol(2.0, 10.0, 29.0)]
)
def test_proof_8_cycling_integration_agrees_with_a_general_solver(protocol: HeaterProtocol) -> None:
    edges = np.unique(np.concatenate([[0.0, protocol.duration_s], *protocol.switch_times_s]))
    middle = 0.5 * (edges[1:] + edges[:-1])
    on, off = protocol.switch_times_s
    power = (np.searchsorted(on, middle) > np.searchsorted(off, middle)).astype(float)
    light = np.ones_like(middle)
    model, heater = CyclingModel(), Heater()
    ours = [
        physics.integrate_cycling(
            edges, power, light, model, heater, ambient_k=297.15, longest_step_s=h
        )["segregated_fraction_end"][-1]
        for h in (0.005, 0.0005)
    ]
    truth = _slow_reference(protocol, model, heater)
    assert ours[1] == pytest.approx(truth, rel=2e-4)
    assert ours[0] == pytest.approx(truth, rel=6e-3)


def test_step_of_the_integration_is_as_fine_as_stated() -> None:
    for protocol, _ in SIX.values():
        edges = np.unique(np.concatenate([[0.0, 180.0], *protocol.switch_times_s]))
        middle = 0.5 * (edges[1:] + edges[:-1])
        on, off = protocol.switch_times_s
        power = (np.searchsorted(on, middle) > np.searchsorted(off, middle)).astype(float)
        s = [
            physics.integrate_cycling(
                edges, power, np.ones_like(middle), CyclingModel(), Heater(), ambient_k=297.15,
                longest_step_s=h,
            )["segregated_fraction_maximum"]
            for h in (physics.LONGEST_STEP_S, physics.LONGEST_STEP_S / 2)
        ]  # fmt: skip
        assert np.max(np.abs(s[0] - s[1])) < 3e-4


@pytest.mark.parametrize("name", SIX)
def test_proof_8_cycling_six_protocols_come_out_as_printed(name: str) -> None:
    protocol, printed = SIX[name]
    assert protocol.name == name
    label, top = severity_of(thermal_cycling(protocol), protocol)
    assert label == printed, f"{name}: {top:.4f}"


def test_proof_8_cycling_half_a_second_every_five_stays_mixed_for_an_hour() -> None:
    protocol = HeaterProtocol(0.5, 5.0, 3600.0)
    ds = thermal_cycling(protocol)
    assert severity_of(ds, protocol)[0] == "none"
    late = ds["segregated_fraction_maximum"].sel(time=slice(1800, None))
    early = ds["segregated_fraction_maximum"].sel(time=slice(120, 180))
    assert float(late.max()) < 1.05 * float(early.max())


def test_proof_8_cycling_times_of_segregation_and_recovery() -> None:
    # Three time constants, 95 % of the way: about 600 s and 90 s, 120 and 25 min.
    found = {}
    for celsius in (23.5, 35.0):
        none = HeaterProtocol(0.0, 1.0, 900.0)
        ds = thermal_cycling(none, ambient_k=273.15 + celsius)
        s = ds["segregated_fraction"]
        found["light", celsius] = float(ds["time"][int((s > 0.95 * s[-1]).values.argmax())])
        dark = HeaterProtocol(0.0, 1.0, 12000.0, light_s=(0.0, 900.0))
        ds = thermal_cycling(dark, ambient_k=273.15 + celsius, exposure_s=5.0)
        s = ds["segregated_fraction"].sel(time=slice(900.0, None))
        found["dark", celsius] = float(s["time"][int((s < 0.05 * s[0]).values.argmax())]) - 900.0
    assert found["light", 23.5] == pytest.approx(600, rel=0.12)
    assert found["light", 35.0] == pytest.approx(90, rel=0.12)
    assert found["dark", 23.5] == pytest.approx(7200, rel=0.05)
    assert found["dark", 35.0] == pytest.approx(1500, rel=0.05)
    for what, energy in (("light", 1.30), ("dark", 1.07)):
        e = two_point_energy(found[what, 23.5], 296.65, found[what, 35.0], 308.15)
        assert e.energy == pytest.approx(energy, abs=0.06)


def test_proof_8_cycling_sudden_steps_remix() -> None:
    warm = thermal_cycling(HeaterProtocol.continuous(620.0, start_s=600.0), exposure_s=0.1)
    assert at(warm, 599.9) > 0.85
    assert at(warm, 604.0) < 0.01 * at(warm, 599.9)
    assert at(warm, 604.0, "temperature") - 273.15 == pytest.approx(31.0, abs=0.2)
    cold = thermal_cycling(HeaterProtocol(177.0, math.inf, 200.0), exposure_s=0.1)
    assert at(cold, 176.9, "temperature") - 273.15 == pytest.approx(35.0, abs=0.1)
    assert at(cold, 185.0, "temperature") - 273.15 == pytest.approx(27.0, abs=0.5)
    assert at(cold, 176.9) > 0.85
    assert at(cold, 185.0) < 0.02 * at(cold, 176.9)


def test_reset_by_the_rate_of_change_alone_could_not_part_the_protocols() -> None:
    # What the memory is for: both pulses heat equally fast, only one of them remixes.
    short, long = (
        thermal_cycling(p, exposure_s=0.01)
        for p in (HeaterProtocol(0.1, 1.0, 60.0), HeaterProtocol(0.5, 5.0, 60.0))
    )
    slope = [float(np.gradient(ds["temperature"], 0.01).max()) for ds in (short, long)]
    assert slope[0] == pytest.approx(slope[1], rel=0.12)
    sudden = [float(ds["sudden_change"].max()) for ds in (short, long)]
    assert sudden[0] < 0.6 < CyclingModel().heating_threshold_k < sudden[1]


def test_every_constant_says_where_it_comes_from() -> None:
    table = physics.parameter_table()
    assert len(table) == 11 + 4 + 2
    assert {p.kind for p in table} == {"published", "derived", "tuned", "chosen"}
    assert all(len(p.origin) > 20 and p.unit for p in table)
    assert physics.parameter_table(CyclingModel(rest_s=2.0))[5].value == 2.0


# Spectra ------------------------------------------------------------------------------------------


def test_spectral_movie_is_a_valid_file_with_the_printed_lines(tmp_path) -> None:
    ds = thermal_cycling(HeaterProtocol.continuous(180.0), emission=CyclingEmission())
    assert plkit.validate(ds).ok
    assert ds["intensity"].dtype == np.uint16
    ds.to_netcdf(tmp_path / "movie.nc")
    back = plkit.read(tmp_path / "movie.nc")
    assert back["intensity"].dims == ("time", "wavelength")
    light = ds["intensity"].astype(float) - 100.5
    first, last = light[:6].mean("time"), light[-60:].mean("time")
    assert float(first["wavelength"][int(first.values.argmax())]) == pytest.approx(626, abs=2)
    assert float(last["wavelength"][int(last.values.argmax())]) == pytest.approx(505, abs=2)


def test_lines_have_the_printed_widths_and_shift() -> None:
    light = CyclingEmission()
    wl = light.wavelength.values
    for kelvin, centre, width in ((296.65, 626.0, 37.4), (308.15, 624.8, 42.3)):
        line = light.mixed_spectrum(kelvin)
        above = wl[line >= line.max() / 2]
        assert np.sum(line * wl) == pytest.approx(centre, abs=0.1)
        assert np.ptp(above) == pytest.approx(width, abs=1.2)
    assert light.segregated_spectrum().sum() == pytest.approx(1.0)


def test_unmixed_movie_gives_the_true_emission_fraction() -> None:
    protocol = HeaterProtocol(1.0, 10.0, 120.0)
    light = CyclingEmission()
    ds = thermal_cycling(protocol, emission=light, seed=3)
    refs = plkit.references(
        like=ds,
        mixed=xr.DataArray(light.mixed_spectrum(float(ds.temperature.mean())), {"wavelength": light.wavelength}, "wavelength"),
        segregated=xr.DataArray(light.segregated_spectrum(), {"wavelength": light.wavelength}, "wavelength"),
    )  # fmt: skip
    found = plkit.unmix(ds, refs, background="constant", nonnegative=False).sel(
        component="segregated"
    )
    pull = (found["fraction"] - ds["fraction"]) / found["fraction_stderr"]
    # The mixed line moves with temperature while its reference does not: some σ of bias remain.
    assert float(np.abs(pull.mean())) < 1.0
    assert 0.8 < float(pull.std()) < 1.4


def test_same_seed_same_counts() -> None:
    a, b, c = (
        thermal_cycling(HeaterProtocol(0.5, 5.0, 10.0), emission=CyclingEmission(), seed=s)
        for s in (1, 1, 2)
    )
    assert a["intensity"].equals(b["intensity"])
    assert not a["intensity"].equals(c["intensity"])


# The map ------------------------------------------------------------------------------------------


def test_map_says_what_single_protocols_say() -> None:
    found = map_thermal_cycling([0.1, 0.5, 1.0, 2.0, 5.0], [1.0, 5.0, 10.0])
    words = {0: "none", 1: "mild", 2: "severe"}
    for protocol, printed in list(SIX.values())[1:]:
        one = found.sel(on_time=protocol.on_s, period=protocol.period_s)
        assert words[int(one["severity"])] == printed
        _, top = severity_of(thermal_cycling(protocol), protocol)
        assert float(one["segregated_fraction_maximum"]) == pytest.approx(top, rel=1e-9)
    impossible = found.sel(on_time=5.0, period=1.0)
    assert int(impossible["severity"]) == -1
    assert np.isnan(impossible["segregated_fraction_maximum"])


def test_thresholds_are_the_users() -> None:
    strict = map_thermal_cycling(
        [0.5], [5.0], thresholds=SeverityThresholds(severe=0.5, none=0.001)
    )
    assert int(strict["severity"].item()) == 1


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"on_s": -1.0, "period_s": 5.0}, "'on_s' is -1.0, not 0 or a positive"),
        (
            {"on_s": 6.0, "period_s": 5.0},
            r"'on_s' is 6 s, not at most the period of 5 s.*continuous",
        ),
        ({"on_s": 1.0, "period_s": math.nan}, "'period_s' is nan, not a positive"),
        ({"on_s": 1.0, "period_s": 5.0, "duration_s": math.inf}, "is infinite"),
        ({"on_s": 1.0, "period_s": 5.0, "light_s": (5.0, 1.0)}, "'light_s' is"),
    ],
)
def test_impossible_protocols_are_refused(kwargs, message: str) -> None:
    with pytest.raises(DataError, match=message):
        HeaterProtocol(**kwargs)


def test_bad_arguments_are_refused() -> None:
    protocol = HeaterProtocol(0.5, 5.0, 10.0)
    with pytest.raises(DataError, match=r"'exposure_s' is 20.0 s"):
        thermal_cycling(protocol, exposure_s=20.0)
    with pytest.raises(DataError, match=r"'ambient_k' is -3.0"):
        thermal_cycling(protocol, ambient_k=-3.0)
    with pytest.raises(DataError, match=r"'relative_brightness' is 0.0"):
        CyclingEmission(relative_brightness=0.0)
    with pytest.raises(DataError, match="'on_s' is not ascending"):
        map_thermal_cycling([1.0, 0.5], [5.0])
    with pytest.raises(DataError, match="'period_s' is not a list of positive"):
        map_thermal_cycling([1.0], [])


def test_names_of_protocols() -> None:
    assert HeaterProtocol(0.0, 1.0).name == "no heating"
    assert HeaterProtocol(3.0, math.inf).name == "one pulse of 3 s"
    assert HeaterProtocol(3.0, 3.0).name == "DC"
    assert HeaterProtocol(1.0, 10.0, current_ma=0.0).name == "no heating"
