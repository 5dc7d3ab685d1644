"""Measured series under periodic heating: log, events, alignment, completion, drift, verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import cycling
from plkit.errors import DataError, FileFormatError, PlkitWarning, UnitsError
from plkit.sim import CyclingEmission, Detector, HeaterProtocol, thermal_cycling

TIME = {"units": "s"}


def log_of(
    protocol: HeaterProtocol, step_s: float, noise_k: float, rng, current: bool
) -> xr.Dataset:
    ds = thermal_cycling(protocol, exposure_s=step_s)
    kelvin = ds["temperature"] + rng.normal(0, noise_k, ds.sizes["time"])
    out = kelvin.assign_attrs(ds["temperature"].attrs).to_dataset(name="temperature")
    if current:
        out["heater_current"] = ds["heater_current"]
    return out


# The log ------------------------------------------------------------------------------------------


def test_log_is_read_in_kelvin_and_seconds(tmp_path) -> None:
    path = tmp_path / "log.txt"
    path.write_text(
        "# stage 3\nTemperature (°C);Time (min);Heater current (A);Note\n24;0;0,4;1\n31,5;0,5;0;2\n"
    )
    log = cycling.read_temperature_log(path)
    assert log["time"].values.tolist() == [0.0, 30.0]
    assert log["temperature"].values == pytest.approx([297.15, 304.65])
    assert log["heater_current"].values.tolist() == [400.0, 0.0]
    assert log["temperature"].attrs["units"] == "K"
    log.to_netcdf(tmp_path / "log.nc")


def test_log_without_labels_takes_its_units_from_the_call(tmp_path) -> None:
    path = tmp_path / "log.dat"
    path.write_text("0 297.0\n1 298.5\n2 299.0\n")
    log = cycling.read_temperature_log(path, time_unit="s", temperature_unit="K")
    assert log["temperature"].values.tolist() == [297.0, 298.5, 299.0]
    with pytest.raises(FileFormatError, match=r"the unit of its time is not stated.*time_unit"):
        cycling.read_temperature_log(path)
    with pytest.raises(
        FileFormatError, match=r"unit of its temperature is not stated.*temperature_unit"
    ):
        cycling.read_temperature_log(path, time_unit="s")
    with pytest.raises(FileFormatError, match="is 'F', not '°C' or 'K'"):
        cycling.read_temperature_log(path, time_unit="s", temperature_unit="F")


def test_faulty_logs_are_refused(tmp_path) -> None:
    path = tmp_path / "log.csv"
    with pytest.raises(FileFormatError, match="does not exist"):
        cycling.read_temperature_log(path)
    path.write_text("Time (s),Humidity (%)\n0,1\n1,2\n")
    with pytest.raises(FileFormatError, match=r"none of them temperature.*Name the columns"):
        cycling.read_temperature_log(path)
    path.write_text("Time (s),Temp (K)\n0,297\n2,298\n1,299\n")
    with pytest.raises(FileFormatError, match="time does not ascend at row 3"):
        cycling.read_temperature_log(path)
    path.write_text("Time (s),Temp (K)\n0,297\n")
    with pytest.raises(FileFormatError, match="holds 1 rows of numbers, not at least 2"):
        cycling.read_temperature_log(path)


# Events -------------------------------------------------------------------------------------------


def test_events_from_the_current_are_exact(rng) -> None:
    protocol = HeaterProtocol(1.0, 10.0, 60.0, start_s=5.0)
    events = cycling.heater_events(log_of(protocol, 0.1, 0.02, rng, current=True))
    on, off = protocol.switch_times_s
    when = np.sort(np.concatenate([on, off]))
    assert events["event_time"].values == pytest.approx(when, abs=0.051)
    assert events["event_kind"].values.tolist() == [1, -1] * 6
    assert float(events["event_time_stderr"].max()) == pytest.approx(0.1 / math.sqrt(12))


@pytest.mark.parametrize("noise_k", [0.0, 0.02, 0.1])
def test_events_from_temperatures_alone(rng, noise_k: float) -> None:
    protocol = HeaterProtocol(20.0, 60.0, 300.0, start_s=10.0)
    events = cycling.heater_events(log_of(protocol, 0.5, noise_k, rng, current=False))
    on, off = protocol.switch_times_s
    when = np.sort(np.concatenate([on, off]))
    assert events["event_kind"].values.tolist() == [1, -1] * 5
    assert events["event_time"].values == pytest.approx(when, abs=1.0)
    step = events["temperature_step"].where(events["event_kind"] > 0, drop=True)
    assert step.values == pytest.approx(7.3, abs=0.5)


def test_a_quiet_log_has_no_event(rng) -> None:
    t = np.arange(0.0, 100.0, 0.5)
    quiet = xr.Dataset(
        {"temperature": ("time", 297.0 + rng.normal(0, 0.05, t.size), {"units": "K"})},
        {"time": ("time", t, TIME)},
    )
    with pytest.warns(PlkitWarning, match="never switched"):
        events = cycling.heater_events(quiet)
    assert events.sizes["event"] == 0
    with pytest.raises(DataError, match="none of the 0 events"):
        cycling.align_on_events(quiet, events)
    bare = quiet.copy()
    bare["temperature"].attrs = {}
    with pytest.raises(UnitsError, match="'temperature' has units 'none'"):
        cycling.heater_events(bare)
    with pytest.raises(DataError, match="4 at least"):
        cycling.heater_events(quiet.isel(time=slice(0, 3)))
    with pytest.raises(DataError, match="not temperature over time"):
        cycling.heater_events(quiet.rename(temperature="x"))


# Alignment ----------------------------------------------------------------------------------------


def test_aligned_pieces_are_the_frames_around_the_events(rng) -> None:
    protocol = HeaterProtocol(1.0, 10.3, 100.0, start_s=3.0)
    movie = thermal_cycling(protocol, exposure_s=0.5, emission=CyclingEmission())
    events = cycling.heater_events(log_of(protocol, 0.1, 0.01, rng, current=True))
    cut = cycling.align_on_events(movie, events, before_s=2.0, after_s=6.0)
    assert cut["intensity"].dims == ("event", "time", "wavelength")
    assert cut.sizes["time"] == 16
    for i in range(cut.sizes["event"]):
        own = float(cut["event_time"][i]) + cut["time"] + float(cut["alignment_offset"][i])
        whole = movie["temperature"].sel(time=own.values, method="nearest", tolerance=1e-6)
        np.testing.assert_array_equal(cut["temperature"][i], whole)
    assert float(np.abs(cut["alignment_offset"]).max()) <= 0.5
    # The mean over events shows the pulse; noise of single events falls.
    mean = cut["temperature"].mean("event")
    assert float(mean.sel(time=slice(None, 0)).max()) < float(mean.sel(time=slice(0.9, 1.4)).max())
    assert plkit.validate(cut.drop_vars("alignment_offset")).ok


def test_alignment_takes_the_time_to_the_next_event(rng) -> None:
    protocol = HeaterProtocol(4.0, 10.0, 60.0, start_s=1.0)
    log = log_of(protocol, 0.1, 0.0, rng, current=True)
    events = cycling.heater_events(log)
    cut = cycling.align_on_events(log, events, kind="off")
    assert cut["time"].values[-1] == pytest.approx(6.0, abs=0.2)
    gap = log.isel(time=[0, 1, 2, 9, 10])
    with pytest.raises(DataError, match="not evenly spaced"):
        cycling.align_on_events(gap, events)
    with pytest.raises(DataError, match=r"no event has 100 s before.*Shorten"):
        cycling.align_on_events(log, events, before_s=100.0)
    with pytest.raises(DataError, match="'kind' is 'up'"):
        cycling.align_on_events(log, events, kind="up")


# Completion ---------------------------------------------------------------------------------------


def trace(
    t90: float, beta: float, start: float, end: float, n: int, sigma: float, rng
) -> xr.DataArray:
    t = (np.arange(n) + 0.5) * 4.0 * t90 / n
    tau = t90 / math.log(10.0) ** (1.0 / beta)
    y = end + (start - end) * np.exp(-((t / tau) ** beta))
    return xr.DataArray(
        y + rng.normal(0, sigma, n), {"time": ("time", t, TIME)}, "time", attrs={"units": "1"}
    )


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.9), (0.8, 0.05)])
@pytest.mark.parametrize("beta", [0.7, 1.0, 2.5])
def test_completion_time_is_exact_without_noise(rng, start: float, end: float, beta: float) -> None:
    found = cycling.completion_time(trace(10.0, beta, start, end, 200, 0.0, rng))
    assert float(found["completion_time"]) == pytest.approx(10.0, rel=1e-4)
    assert float(found["stretching_exponent"]) == pytest.approx(beta, rel=1e-3)
    assert float(found["initial_value"]) == pytest.approx(start, abs=1e-3)
    assert float(found["final_value"]) == pytest.approx(end, abs=1e-3)


def test_proof_8_cycling_completion_time_covers_the_truth(rng) -> None:
    traces = xr.concat([trace(10.0, 1.3, 0.1, 0.9, 120, 0.03, rng) for _ in range(400)], "point")
    found = cycling.completion_time(traces, stderr=0.03)
    pull = (found["completion_time"] - 10.0) / found["completion_time_stderr"]
    covered = float((np.abs(pull) <= 1).mean())
    # 68 % of 400: binomial σ 2.3 %.
    assert 0.61 < covered < 0.75
    assert abs(float(pull.mean())) < 0.25


def test_completion_beyond_the_record_is_said(rng) -> None:
    short = trace(100.0, 1.0, 0.0, 0.9, 400, 0.005, rng).isel(time=slice(0, 80))
    found = cycling.completion_time(short, stderr=0.005)
    assert int(found["fit_status"]) == 2
    flat = xr.zeros_like(short) + rng.normal(0, 0.005, short.size)
    assert int(cycling.completion_time(flat, stderr=0.005)["fit_status"]) in (2, 3)


def test_completion_from_the_event_on(rng) -> None:
    late = trace(10.0, 1.0, 0.8, 0.0, 200, 0.0, rng)
    before = xr.full_like(late, 0.8).assign_coords(time=("time", late["time"].values - 40.0, TIME))
    both = xr.concat([before, late], "time")
    both = both.assign_coords(time=("time", both["time"].values + 100.0, TIME))
    found = cycling.completion_time(both, start_s=100.0)
    assert float(found["completion_time"]) == pytest.approx(10.0, rel=1e-3)


def test_another_shape_is_said(rng) -> None:
    t = np.arange(0.0, 100.0, 0.5)
    steps = np.where(t < 30, 1.0, np.where(t < 60, 0.5, 0.0)) + rng.normal(0, 0.01, t.size)
    da = xr.DataArray(steps, {"time": ("time", t, TIME)}, "time", attrs={"units": "1"})
    with pytest.warns(PlkitWarning, match="1 of 1 traces have another shape"):
        cycling.completion_time(da, stderr=0.01)


def test_faulty_traces_are_refused(rng) -> None:
    good = trace(10.0, 1.0, 0.0, 0.9, 40, 0.0, rng)
    with pytest.raises(DataError, match=r"has 3 points after 0 s, not at least 6"):
        cycling.completion_time(good.isel(time=slice(0, 3)))
    with pytest.raises(DataError, match=r"'level' is 90.*90 % is 0.9"):
        cycling.completion_time(good, level=90)
    with pytest.raises(DataError, match="the required time"):
        cycling.completion_time(good.rename(time="x"))
    with pytest.raises(DataError, match="not the fractions of plkit"):
        cycling.completion_time(good.to_dataset(name="a"))


def test_times_of_a_simulated_film_give_its_energy() -> None:
    # What an experimenter would do at four temperatures, spectra to energy.
    light = CyclingEmission(2e4, 1.0, detector=Detector(cosmic_rate_per_s=0.0))
    none = HeaterProtocol(0.0, 1.0, 2400.0)
    found, kelvin = [], np.array([296.65, 300.0, 304.0, 308.15])
    for i, k in enumerate(kelvin):
        length = 2400.0 * math.exp(-1.3 / 8.617e-5 * (1 / 296.65 - 1 / k))
        movie = thermal_cycling(
            HeaterProtocol(none.on_s, 1.0, length),
            emission=light,
            exposure_s=length / 240,
            ambient_k=k,
            seed=i,
        )
        refs = plkit.references(
            like=movie,
            mixed=xr.DataArray(light.mixed_spectrum(k), {"wavelength": light.wavelength}, "wavelength"),
            segregated=xr.DataArray(light.segregated_spectrum(), {"wavelength": light.wavelength}, "wavelength"),
        )  # fmt: skip
        unmixed = plkit.unmix(movie, refs, background="constant", nonnegative=False)
        found.append(cycling.completion_time(unmixed, "segregated"))
    times = xr.concat(found, "event")
    energy = cycling.completion_energy(times, kelvin)
    # Light and slow thermal remixing share the rate: the energy is that of their sum.
    value, sigma = float(energy["activation_energy"]), float(energy["activation_energy_stderr"])
    assert abs(value - 1.285) < 3 * sigma
    assert 0.001 < sigma < 0.02


def test_two_temperatures_give_an_interval() -> None:
    times = xr.Dataset({
        "completion_time": ("event", [7200.0, 1500.0], TIME),
        "completion_time_stderr": ("event", [72.0, 15.0], TIME),
    })  # fmt: skip
    found = cycling.completion_energy(times, [296.65, 308.15], temperature_stderr=1.0)
    assert float(found["activation_energy"]) == pytest.approx(1.07, abs=0.01)
    assert float(found["activation_energy_lower"]) == pytest.approx(0.95, abs=0.01)
    assert float(found["activation_energy_upper"]) == pytest.approx(1.22, abs=0.02)
    with pytest.raises(DataError, match=r"has the shape \(3,\), not \(2,\)"):
        cycling.completion_energy(times, [296.0, 300.0, 301.0])
    with pytest.raises(DataError, match="holds no completion_time"):
        cycling.completion_energy(xr.Dataset(), [296.0])


# Drift and verdict --------------------------------------------------------------------------------


def series(drift: float, hours: float, rng, noise: float = 0.01) -> xr.Dataset:
    t = np.arange(0.0, 3600.0 * hours, 5.0)
    light = 1e5 * (1 + drift * (t - t.mean()) / 3600) * (1 + rng.normal(0, noise, t.size))
    wl = np.linspace(560, 700, 64)
    line = np.exp(-4 * math.log(2) * ((wl - 626) / 37.4) ** 2)
    return xr.Dataset(
        {
            "intensity": (
                ("time", "wavelength"),
                np.outer(light, line / line.sum()),
                {"units": "counts"},
            )
        },
        {"time": ("time", t, TIME), "wavelength": ("wavelength", wl, {"units": "nm"})},
    )


def test_proof_8_cycling_drift_covers_the_truth(rng) -> None:
    found = [cycling.drift_per_hour(series(-0.04, 1.0, rng)) for _ in range(200)]
    pull = np.array(
        [(float(f["intensity_drift"]) + 0.04) / float(f["intensity_drift_stderr"]) for f in found]
    )
    assert 0.58 < np.mean(np.abs(pull) <= 1) < 0.78
    assert abs(pull.mean()) < 0.25


def test_verdicts(rng) -> None:
    assert cycling.stability_verdict(series(0.0, 1.0, rng)).label == "stable"
    bleaching = cycling.stability_verdict(series(-0.3, 1.0, rng))
    assert bleaching.label == "drifting"
    assert "drift of the intensity -0.30" in bleaching.reason
    with pytest.warns(PlkitWarning, match="not decided"):
        short = cycling.stability_verdict(series(0.0, 0.05, rng))
    assert short.label == "not decided"
    assert "either side of 0.05" in short.reason


@pytest.mark.parametrize(("protocol", "label"), [
    (HeaterProtocol(0.5, 5.0, 900.0), "stable"), (HeaterProtocol(0.1, 1.0, 900.0), "segregated"),
])  # fmt: skip
def test_verdict_on_simulated_movies(protocol: HeaterProtocol, label: str) -> None:
    # Bright enough a probe, and none of the brightening that segregation brings.
    light = CyclingEmission(relative_brightness=1.0, detector=Detector(cosmic_rate_per_s=0.0))
    movie = thermal_cycling(protocol, emission=light).sel(time=slice(120, None))
    movie["intensity"] = movie["intensity"] - 100.5
    refs = plkit.references(
        like=movie,
        mixed=xr.DataArray(light.mixed_spectrum(float(movie.temperature.mean())), {"wavelength": light.wavelength}, "wavelength"),
        segregated=xr.DataArray(light.segregated_spectrum(), {"wavelength": light.wavelength}, "wavelength"),
    )  # fmt: skip
    unmixed = plkit.unmix(movie, refs, background="constant", nonnegative=False)
    found = cycling.stability_verdict(movie, unmixed, "segregated")
    assert found.label == label, found.reason


def test_faulty_series_are_refused(rng) -> None:
    good = series(0.0, 0.2, rng)
    with pytest.raises(DataError, match="has 3 frames, not at least 6"):
        cycling.drift_per_hour(good.isel(time=slice(0, 3)))
    with pytest.raises(DataError, match=r"not positive.*Subtract"):
        cycling.drift_per_hour(good * -1)
    with pytest.raises(DataError, match="holds no intensity"):
        cycling.drift_per_hour(good.rename(intensity="counts"))
    with pytest.raises(DataError, match="no fraction over component"):
        cycling.stability_verdict(good, good)
