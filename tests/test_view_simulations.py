"""Simulations of the page without a browser: what the form says is what runs, and what is copied."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.apps.view.simulations import carriers, cycling, heating, hopping
from plkit.apps.view.simulations.form import Choice, Field, Switch, readable
from plkit.apps.view.tasks import Task


def start(module) -> dict:
    """Values with which the form opens."""
    return {name: field.value for name, field in module._FIELDS.items()}


def executed(text: str) -> dict:
    scope: dict = {}
    exec(compile(text, "copied", "exec"), scope)
    return scope


def same(found: xr.Dataset, wanted: xr.Dataset) -> None:
    """The same numbers; the time of making stands in the attributes."""
    xr.testing.assert_identical(
        found.transpose(*wanted.dims).drop_attrs(deep=True),
        wanted.transpose(*wanted.dims).drop_attrs(deep=True),
    )


def test_copied_heating() -> None:
    v = {**start(heating), "power_uw": 60.0, "radius_um": 0.8}
    same(executed(heating.code_of(v))["heat"], heating.heating_of(v))


def test_copied_carriers() -> None:
    v = {**start(carriers), "lifetime_ns": 8.0, "power_uw": 20.0}
    found, across = carriers.carriers_of(v)
    scope = executed(carriers.code_of(v))
    same(scope["found"], found)
    same(scope["across"], across)
    # The documented number of the defaults at 50 µW.
    found, _ = carriers.carriers_of(start(carriers))
    assert float(found.carrier_density[-1]) == pytest.approx(1.76e18, rel=0.01)
    assert float(found.carrier_transient[-1, -1]) == pytest.approx(1.76e18, rel=0.01)


@pytest.mark.parametrize("pattern", ["pulses", "continuous", "never"])
def test_copied_cycling(pattern: str) -> None:
    v = {**start(cycling), "pattern": pattern, "duration_s": 40.0, "photons": 2e4}
    movie = cycling.cycling_of(v)
    scope = executed(cycling.code_of(v))
    same(scope["movie"], movie)
    told: list[float] = []
    task = Task(lambda task: cycling.map_of(task, v), lambda t: told.append(t.share))
    task.run()
    assert task.error == ""
    same(scope["found"], task.result)
    assert told == sorted(told)
    assert len(told) > 5
    word, top = plkit.sim.severity_of(movie, cycling._protocol(v))
    assert scope["severity"] == word
    assert scope["largest"] == top


def test_map_of_patterns_can_be_stopped() -> None:
    v = {**start(cycling), "duration_s": 20.0}
    task = Task(lambda task: cycling.map_of(task, v))
    task.on_change = lambda t: t.cancel() if t.done == 2 else None
    task.run()
    assert task.finished
    assert task.result is None
    assert task.error == ""
    assert task.done == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "exact", "escape": False, "end_s": 2e-8},
        {"rule": "exact", "escape": True, "end_s": 2e-8, "closed": True},
        {"rule": "published", "escape": True, "steps": 12},
        {"rule": "exact", "escape": False, "carriers": True, "end_s": 2e-9},
        {"rule": "exact", "escape": False, "peak_k": 0.0, "temperature_at": "bond", "end_s": 2e-8},
    ],
)
def test_run_from_snapshot_to_snapshot_is_the_copied_one(changes: dict) -> None:
    v = {**start(hopping), "snapshots": 4, "size": 10, **changes}
    task = Task(lambda task: hopping.hopping_of(task, hopping.counting(v)))
    task.run()
    assert task.error == ""
    run = executed(hopping.code_of(v))["run"]
    for name in ("species", "local_gap", "hops_iodide", "escapes", "radial_iodide"):
        np.testing.assert_array_equal(task.result[name].transpose(*run[name].dims), run[name])
    assert int(run["hops_iodide"][-1]) > 0
    assert task.result.sizes["time"] == run.sizes["time"]
    assert ("laser=" in hopping.code_of(v)) == (v["peak_k"] > 0)


def test_run_can_be_stopped() -> None:
    v = {**start(hopping), "snapshots": 6, "size": 8}
    task = Task(lambda task: hopping.hopping_of(task, v))
    task.on_change = lambda t: t.cancel() if t.done == 2 else None
    task.run()
    assert task.result is None
    assert task.error == ""
    assert task.share == pytest.approx(2 / 5)


def test_fields_read_what_is_typed() -> None:
    field = Field("x", 2.0, 0.5, 1.0, 3.0)
    assert [field.read(v) for v in (None, 2.5, 9.0, -1.0)] == [1.0, 2.5, 3.0, 1.0]
    assert Field("n", 2, 1, whole=True).read(3.4) == 3
    assert Choice("c", (("a", "A"), ("b", "B"))).read("z") == "a"
    assert Switch("s").read(None) is False
    assert readable("n (1/cm^3)") == "n (cm⁻³)"


@pytest.mark.parametrize("module", [carriers, cycling, heating, hopping])
def test_titles_of_numbers_state_a_unit(module) -> None:
    without = {
        "iodide", "vacancies", "absorptance", "absorptance_stderr", "escape_a", "photons", "seed",
        "steps", "snapshots", "size",
    }  # fmt: skip
    for name, field in module._FIELDS.items():
        if isinstance(field, Field) and name not in without:
            assert "(" in field.title, name
