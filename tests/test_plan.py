"""Planning: what a study will find is what independent studies find."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import plkit
from plkit.cli import main
from plkit.errors import DataError, RecipeError
from plkit.study.plan import _between, _reach
from plkit.study.plan_design import planned_sample
from plkit.study.plan_simulation import Estimate, simulate_once, summarise_estimates
from plkit.study.recipe import load_recipe

RECIPE = """\
[study]
title = "A study that is not measured yet"
seed = 7

[laser]
wavelength_nm = 405.0
spot_radius_um = 1.0
spot_radius_stderr_um = 0.05

[film]
thickness_nm = 40.0
conductivity_w_mk = 0.4
heat_capacity_j_m3k = 1.0e6

[substrate]
thickness_um = 1000.0
conductivity_w_mk = 1.05
conductivity_stderr_w_mk = 0.042
heat_capacity_j_m3k = 2.1e6

[samples.film]
exposure = "not-there-yet.nc"
absorptance = 0.24
absorptance_stderr = 0.012
rate_scatter = 0.005

[plan]
studies = 8

[plan.samples.film]
activation_energy_ev = 0.217
time_constants_s = [20.0, 150.0]
powers_uw = [10, 40, 80, 120, 160]
frames = 150
frame_s = 3.0
photons_per_frame = 3e4
"""


def written(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "STUDY.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> plkit.study.PlanResult:
    path = written(tmp_path_factory.mktemp("plan"))
    return plkit.plan_study(path, studies=12, scan=False)


def test_files_of_a_planned_study_need_not_exist(tmp_path) -> None:
    path = written(tmp_path)
    assert load_recipe(path, measured=False).plan.samples["film"].frames == 150
    with pytest.raises(RecipeError, match=r"not-there-yet.nc.*not a file that exists"):
        load_recipe(path)


def test_the_expectation_and_its_parts(result) -> None:
    s = result.samples["film"]
    assert s.energy.truth == 0.217
    assert s.energy.n == 12
    parts = s.energy.parts
    assert math.hypot(*parts.values()) == pytest.approx(s.energy.stderr, rel=0.03)
    assert sum(s.shares.values()) == pytest.approx(1.0)
    assert s.shares[s.dominant] == max(s.shares.values())
    # Absorptance and spot radius are both known to 5 %, the substrate to 4 %.
    assert s.shares["absorptance"] == pytest.approx(s.shares["spot radius"], rel=0.15)
    assert s.shares["substrate conductivity"] < s.shares["absorptance"]
    assert s.target_stderr_ev == pytest.approx(0.0217)
    assert s.reach == []


def test_proof_plan_sigma_is_the_scatter_of_independent_studies(result, tmp_path) -> None:
    recipe = load_recipe(written(tmp_path), measured=False)
    # Other seeds for references, dark and every study: nothing is shared with the plan.
    planned = planned_sample(recipe, "film", recipe.plan.samples["film"], seed=999)
    found = [simulate_once(planned, seed).energy for seed in range(50_000, 50_040)]
    off = np.array([e.value - e.truth for e in found])
    predicted = result.samples["film"].energy.stderr
    # σ of the root mean square of 40 is 11 %; 3.3 σ of it.
    assert np.sqrt(np.mean(off**2)) == pytest.approx(predicted, rel=0.37)
    covered = np.mean(np.abs(off) <= predicted)
    assert 0.44 < covered < 0.90


def test_more_photons_help_the_photons_part_only(tmp_path) -> None:
    recipe = load_recipe(written(tmp_path), measured=False)
    planned = planned_sample(recipe, "film", recipe.plan.samples["film"], seed=1)
    few, many = (
        summarise_estimates(simulate_once(planned.changed(photons=n), s).energy for s in range(3))
        for n in (1e4, 9e4)
    )
    assert few.parts["photon"] / many.parts["photon"] == pytest.approx(3.0, rel=0.25)
    assert few.parts["shared"] == pytest.approx(many.parts["shared"], rel=0.25)
    assert planned.changed(n_powers=3).sample.powers_uw == (10.0, 85.0, 160.0)
    np.testing.assert_allclose(
        planned.changed(n_powers=3).heat["detection_temperature"][[0, 2]],
        planned.heat["detection_temperature"][[0, -1]],
        rtol=1e-12,
    )
    assert planned.changed(frames=50).sample.n_frames == 50


def test_scan_says_what_reaches_the_target(tmp_path, monkeypatch) -> None:
    from plkit.study import plan

    monkeypatch.setattr(plan, "_POWERS", (3, 5))
    monkeypatch.setattr(plan, "_PHOTONS", (0.1,))
    monkeypatch.setattr(plan, "_FRAMES", (0.5,))
    monkeypatch.setattr(plan, "_SCAN_STUDIES", 3)
    loose = plkit.plan_study(written(tmp_path), studies=4, target_stderr_ev=0.05)
    reach = {r.quantity: r for r in loose.samples["film"].reach}
    assert set(reach) == {"powers", "photons", "seconds"}
    assert reach["photons"].levels == [3e3, 3e4]
    assert reach["photons"].stderr[0] > reach["photons"].stderr[1]
    assert reach["seconds"].levels == [225.0, 450.0]
    assert reach["photons"].needed is not None
    again = plkit.plan_study(written(tmp_path), studies=4, target_stderr_ev=0.005, scan=False)
    s = again.samples["film"]
    assert not s.reached
    # The temperature scale alone is 8 % of 217 meV.
    needed = s.temperature_scale_needed
    assert needed is None or needed < 0.023


def test_reach_is_interpolated_and_honest() -> None:
    points = [(1.0, 0.04), (4.0, 0.02), (16.0, 0.01)]
    found = _reach("photons", points, 0.02 * math.sqrt(2), 0.005)
    assert found.needed == pytest.approx(2.0)
    assert _between((1.0, 0.04), (4.0, 0.02), 0.03) == pytest.approx(
        4 ** (math.log(4 / 3) / math.log(2))
    )
    never = _reach("powers", points, 0.004, 0.005)
    assert never.needed is None
    assert "the temperature scale alone gives 5 meV" in never.reason
    far = _reach("powers", points, 0.008, 0.005)
    assert "none of up to 16 powers reaches 8 meV; the best gives 10" in far.reason
    lost = _reach("seconds", [(1.0, math.nan), (2.0, 0.01)], 0.02, 0.0)
    assert lost.needed == 2.0


def test_summary_of_known_estimates() -> None:
    values = [0.9, 1.1, 1.3, math.nan]
    found = summarise_estimates([*(Estimate(v, 0.2, 1.0, {"a": 0.1}) for v in values), None])
    assert (found.n, found.failed) == (3, 2)
    assert found.scatter == pytest.approx(math.sqrt((0.01 + 0.01 + 0.09) / 3))
    assert found.coverage == pytest.approx(2 / 3)
    assert summarise_estimates([None, Estimate(1.0, 0.1, 1.0, {})]) is None


def test_diffusion_is_planned_with_its_maps(tmp_path) -> None:
    text = RECIPE + "map_powers_uw = [40, 80, 160]\nmap_size_um = 16.0\nmap_step_um = 1.0\n"
    found = plkit.plan_study(written(tmp_path, text), studies=4, scan=False).samples["film"]
    assert found.diffusion_energy is not None
    assert found.diffusion_energy.truth == 0.182
    assert 0.001 < found.diffusion_energy.stderr < 0.2
    assert found.ln_d_293k.truth == pytest.approx(math.log(3.9e-14), abs=0.05)
    assert abs(found.ln_d_293k.bias) < 0.5


def test_the_command_prints_text_and_json(tmp_path, capsys) -> None:
    path = written(tmp_path)
    assert main(["plan", str(path), "--studies", "4", "--no-scan", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sample = found["samples"]["film"]
    assert found["studies"] == 4
    assert sample["energy"]["truth"] == 0.217
    assert isinstance(sample["reached"], bool)
    assert main(["plan", str(path), "--studies", "4", "--no-scan", "--target-mev", "30"]) == 0
    text = capsys.readouterr().out
    assert "share of σ²" in text
    assert "target 30 meV" in text


def test_same_seed_same_plan(tmp_path) -> None:
    path = written(tmp_path)
    a, b, c = (plkit.plan_study(path, studies=4, scan=False, seed=s) for s in (1, 1, 2))
    assert a.to_dict() == b.to_dict()
    assert a.to_dict() != c.to_dict()


def test_a_measured_study_is_its_own_expectation(tmp_path) -> None:
    recipe = plkit.simulate_study(tmp_path / "study", small=True, seed=5)
    text = recipe.read_text("utf-8")
    # One film is enough here.
    recipe.write_text(text[: text.index('[samples."x1.5"]')], encoding="utf-8")
    found = plkit.plan_study(recipe, studies=4, scan=False).samples["x1.0"]
    assert found.assumed["powers_uw"] == [10.0, 40.0, 70.0]
    assert found.assumed["x_iodine"] == 1.0
    assert found.assumed["product_x_iodine"] == 0.0
    assert found.assumed["time_constants_s"] == pytest.approx([25.0, 180.0], rel=0.1)
    assert found.assumed["ceiling_power_uw"] == pytest.approx(20.0, rel=0.15)
    assert found.energy.truth == pytest.approx(0.248, abs=0.08)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("powers_uw = [10, 40, 80, 120, 160]\n", "", r"says the laser powers.*Add powers_uw"),
    ("absorptance = 0.24\n", "", r"does not state laser, film, substrate and absorptance"),
    ("[plan.samples.film]", "[plan.samples.other]", "is a plan for 'other'"),
    ("[20.0, 150.0]", "[150.0, 20.0]", "not two ascending numbers in s"),
    ("frames = 150", "frames = 2", "'plan.samples.film.frames' is 2, not a whole number, at least 6"),
    ("frame_s = 3.0", "x_iodine = 1.2", "not one of 0, 1, 1.5, 2, 3"),
    ("frame_s = 3.0", "map_powers_uw = [10, 11]", "holds 11, not only powers"),
    ("frame_s = 3.0", "fram_s = 3.0", "Did you mean 'frame_s'"),
])  # fmt: skip
def test_faulty_plans_are_refused(tmp_path, old: str, new: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plkit.plan_study(written(tmp_path, RECIPE.replace(old, new)), scan=False)


def test_bad_arguments_are_refused(tmp_path) -> None:
    path = written(tmp_path)
    with pytest.raises(DataError, match="'studies' is 2, not at least 4"):
        plkit.plan_study(path, studies=2)
    with pytest.raises(DataError, match="'target_stderr_ev' is -1"):
        plkit.plan_study(path, target_stderr_ev=-1)
    hopeless = RECIPE.replace("photons_per_frame = 3e4", "photons_per_frame = 1.0").replace(
        "frames = 150", "frames = 8"
    )
    with pytest.raises(DataError, match=r"fewer than two gave an activation energy.*more photons"):
        plkit.plan_study(written(tmp_path, hopeless), studies=4, scan=False)


def test_the_command_simulates_cycling(tmp_path, capsys) -> None:
    out = tmp_path / "movie.nc"
    assert main(["simulate", "cycling", str(out), "--duration", "30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["severity"] == "none"
    assert plkit.read(out).sizes["time"] == 60
    assert main(["simulate", "cycling", str(out), "--dc"]) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["simulate", "cycling", str(out), "--dc", "--force"]) == 0
    assert "DC: severe" in capsys.readouterr().out
