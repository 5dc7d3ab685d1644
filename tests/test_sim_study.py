"""The bundled study is what its recipe and seed say, and its truth is what methods expect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.sim import study as sim

BUNDLED = Path(__file__).parents[1] / "data-samples" / "study"
SEED = 20250101


@pytest.mark.parametrize(
    "name", ["dark.nc", "references/x1.5.nc", "x2.0.nc", "x2.0_recovery.nc", "maps/x1.5_060uw.nc"]
)
def test_the_bundled_files_are_made_by_the_command(name: str) -> None:
    made = sim.study_files(sim.default_design(), SEED)[name]().intensity.astype(int)
    with xr.open_dataset(BUNDLED / name, decode_timedelta=False) as ds:
        bundled = ds.intensity.astype(int).load()
    assert made.dims == bundled.dims
    # Another numpy or libm may round a Poisson draw the other way here and there.
    assert float((abs(made - bundled) <= 1).mean()) > 0.999


def test_the_bundled_truth_and_recipe_are_those_of_the_command() -> None:
    design = sim.default_design()
    truth = json.loads((BUNDLED / "truth.json").read_text("utf-8"))
    again = sim.truth_record(design, SEED)
    assert truth["seed"] == SEED
    assert truth["samples"]["x1.0"]["mean_rate_per_s"] == pytest.approx(
        again["samples"]["x1.0"]["mean_rate_per_s"]
    )
    assert (BUNDLED / "STUDY.toml").read_text("utf-8") == sim.recipe_text(design, SEED)


def test_the_bundled_study_is_small_enough_to_carry() -> None:
    size = sum(f.stat().st_size for f in BUNDLED.rglob("*") if f.is_file())
    assert size < 15e6


@pytest.mark.parametrize("name", ["x1.0", "x1.5", "x2.0"])
def test_true_mean_rates_follow_arrhenius_with_the_stated_energy(name: str) -> None:
    design = sim.default_design()
    quiet = sim.replace(design, rate_scatter=0.0)
    truth = sim.draw_truth(quiet, quiet.sample(name), 3)
    slope = np.polyfit(1 / truth.temperature_k, np.log(truth.mean_rate_per_s), 1)[0]
    assert -slope * BOLTZMANN_EV_K == pytest.approx(
        design.sample(name).activation_energy_ev, rel=1e-9
    )


def test_the_temperature_scale_has_the_stated_error() -> None:
    design = sim.default_design()
    sample = design.sample("x1.0")
    scales = [
        sim.draw_truth(design, sample, s, rise_per_power=0.06).temperature_scale for s in range(500)
    ]
    assert np.std(scales) == pytest.approx(0.081, rel=0.12)


def test_frames_hold_the_stated_photons() -> None:
    design = sim.default_design()
    for x in (0.0, 1.0, 1.5, 2.0, 3.0):
        assert sim.pristine_spectrum(x).sum() == pytest.approx(1.0)
    sample = design.sample("x1.0")
    truth = sim.draw_truth(design, sample, 1, rise_per_power=0.06)
    ds = sim.simulate_exposure(design, sample, truth, np.random.default_rng(1))
    light = (ds.intensity - 101.0) / sim.spectral_response()
    assert float(light.sum("wavelength").median()) == pytest.approx(1e5, rel=0.02)


def test_peaks_lie_where_the_paper_has_them() -> None:
    axis = sim.wavelength_axis().values
    for x, nm in ((0.0, 513), (1.0, 543), (1.5, 590), (2.0, 650), (3.0, 690)):
        assert abs(axis[sim.pristine_spectrum(x).argmax()] - nm) < 1.5


def test_halo_has_the_width_of_the_notes() -> None:
    design = sim.default_design()
    sample = design.sample("x1.5")
    truth = sim.draw_truth(design, sample, SEED)
    sigma = sim.profile_sigma_um(design, truth.temperature_k[3], truth.mean_rate_per_s[3])
    assert sigma == pytest.approx(1.75, abs=0.15)


def test_the_same_seed_gives_the_same_files_and_another_does_not(tmp_path: Path) -> None:
    design = sim.small_design()
    first, again, other = (sim.study_files(design, s)["x1.0.nc"]() for s in (1, 1, 2))
    xr.testing.assert_equal(first, again)
    assert not first.intensity.equals(other.intensity)


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="is not an empty folder"):
        plkit.simulate_study(tmp_path, small=True)
    assert (tmp_path / "mine.txt").read_text() == "x"


def test_a_map_needs_a_power_of_the_series() -> None:
    design = sim.small_design()
    sample = design.sample("x1.5")
    truth = sim.draw_truth(design, sample, 1)
    with pytest.raises(DataError, match="'power_uw' is 11, not one of"):
        sim.simulate_map(
            design, sample, truth, 11.0, np.random.default_rng(1), size_um=20.0, step_um=1.0
        )
