"""One recipe in, all results out; a rerun gives the same numbers, a failure touches nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError, PlkitError, RecipeError


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plkit.simulate_study(tmp_path_factory.mktemp("sim") / "study", seed=5, small=True)


@pytest.fixture(scope="module")
def output(study: Path) -> Path:
    plkit.run_study(study)
    return study.parent / "results"


@pytest.fixture(scope="module")
def summary(output: Path) -> dict:
    return json.loads((output / "summary.json").read_text("utf-8"))


def test_everything_is_written(output: Path) -> None:
    assert {p.name for p in output.iterdir()} == {
        "results.nc", "summary.json", "report.html", "figures",
    }  # fmt: skip
    assert {p.suffix for p in (output / "figures").iterdir()} == {".svg", ".png"}
    assert [p for p in output.parent.iterdir() if p.name.startswith(".")] == []


def test_summary_has_the_promised_keys(summary: dict) -> None:
    assert set(summary["samples"]) == {"x1.0", "x1.5", "x2.0"}
    for sample in summary["samples"].values():
        assert {"value", "stderr"} == set(sample["activation_energy_ev"])
        assert sample["conversion"]
        assert all({"value", "stderr"} == set(c) for c in sample["conversion"].values())
    assert {"ln_d0_m2_s", "activation_energy_ev", "d_293k_m2_s"} == set(
        summary["diffusion"]["x1.5"]
    )
    assert isinstance(summary["warnings"], list)


def test_verdicts_are_those_of_the_simulation(summary: dict) -> None:
    verdicts = {k: v["verdict"] for k, v in summary["samples"].items()}
    assert verdicts == {"x1.0": "reconstruction", "x1.5": "reconstruction", "x2.0": "segregation"}
    assert summary["samples"]["x2.0"]["recovery_verdict"] == "recovery"


def test_truth_is_recovered(study: Path, summary: dict) -> None:
    truth = json.loads((study.parent / "truth.json").read_text("utf-8"))
    for name, sample in summary["samples"].items():
        e = sample["activation_energy_ev"]
        assert abs(e["value"] - truth["samples"][name]["activation_energy_ev"]) < 3 * e["stderr"]
        end = list(sample["conversion"].values())[-1]
        assert (
            abs(end["value"] - truth["samples"][name]["conversion_at_end"][-1]) < 4 * end["stderr"]
        )
    for key, true in truth["diffusion"]["x1.5"].items():
        found = summary["diffusion"]["x1.5"][key]
        assert abs(found["value"] - true) < 3 * found["stderr"], key


def test_published_numbers_that_the_recipe_names_stand_beside_those_found(summary: dict) -> None:
    rows = {(r["sample"], r["quantity"]): r for r in summary["published"]}
    assert set(rows) == {
        ("x1.0", "activation energy"), ("x1.5", "activation energy"),
        ("x1.5", "activation energy of D"), ("x1.5", "D at 293 K"),
        ("x2.0", "activation energy"),
    }  # fmt: skip
    row = rows["x1.0", "activation energy"]
    assert row["found"] == summary["samples"]["x1.0"]["activation_energy_ev"]
    apart = abs(row["found"]["value"] - 0.248) / np.hypot(row["found"]["stderr"], 0.030)
    assert row["sigmas"] == pytest.approx(apart)
    assert row["agrees"] is bool(apart <= 2)
    assert rows["x1.5", "D at 293 K"]["published"] == {"value": 6.3e-14, "stderr": None}
    assert rows["x1.5", "D at 293 K"]["agrees"] is False  # its law gives 3.9e-14


def test_every_group_is_readable_alone_and_has_units(output: Path) -> None:
    tree = plkit.open_results(output)
    for node in tree.subtree:
        if not node.has_data:
            continue
        with xr.open_dataset(output / "results.nc", group=node.path, decode_timedelta=False) as ds:
            assert ds.data_vars
    assert tree["x1.0/kinetics"].k1.attrs["units"] == "1/s"
    assert tree["x1.5/profiles"].diffusion_coefficient.attrs["units"] == "m^2/s"


def test_provenance_names_inputs_by_hash(study: Path, output: Path) -> None:
    import hashlib

    text = plkit.open_results(output).attrs["provenance"]
    digest = hashlib.sha256((study.parent / "x1.0.nc").read_bytes()).hexdigest()
    assert digest in text
    assert plkit.__version__ in text


def test_report_reaches_for_nothing(output: Path) -> None:
    html = (output / "report.html").read_text("utf-8")
    assert "emission fraction" in html.lower()
    fetched = re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)([^"']+)""", html)
    assert [u for u in fetched if not u.startswith("https://doi.org/")] == []
    assert "@import" not in html
    assert "<script src" not in html


def test_rerun_gives_the_same_numbers_and_keeps_what_is_the_users(
    study: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(study.parent, folder, ignore=shutil.ignore_patterns("results"))
    recipe = _only(folder / study.name, "x1.0")
    plkit.run_study(recipe)
    first = (folder / "results" / "summary.json").read_text()
    (folder / "results" / "my notes.txt").write_text("mine")
    plkit.run_study(recipe)
    assert (folder / "results" / "summary.json").read_text() == first
    assert (folder / "results" / "my notes.txt").read_text() == "mine"


def test_a_failing_run_leaves_earlier_results_untouched(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(study.parent, folder, ignore=shutil.ignore_patterns("results"))
    recipe = _only(folder / study.name, "x1.0")
    plkit.run_study(recipe)
    before = {p: p.read_bytes() for p in (folder / "results").rglob("*") if p.is_file()}
    raw = (folder / "x1.0.nc").read_bytes()
    (folder / "x1.0.nc").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(PlkitError, match=r"^Cannot "):
        plkit.run_study(recipe)
    assert {p: p.read_bytes() for p in (folder / "results").rglob("*") if p.is_file()} == before
    assert not list(folder.glob(".results*"))


def test_a_folder_of_strangers_is_no_place_for_results(study: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RecipeError, match="holds other files, not results"):
        plkit.run_study(study, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_one_file_per_power_gives_the_same_as_one_file(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(study.parent, folder, ignore=shutil.ignore_patterns("results"))
    recipe = _only(folder / study.name, "x1.0")
    whole = plkit.run_study(recipe, tmp_path / "a")
    with xr.open_dataset(folder / "x1.0.nc", decode_timedelta=False) as ds:
        ds.load()
    entries = []
    for p in ds.power.values:
        plkit.write(ds.sel(power=p, drop=True), folder / f"p{p:g}.nc")
        entries.append(f'"{p:g}" = "p{p:g}.nc"')
    text = recipe.read_text("utf-8").replace(
        'exposure = "x1.0.nc"', f"exposure = {{ {', '.join(entries)} }}"
    )
    recipe.write_text(text, encoding="utf-8")
    apart = plkit.run_study(recipe, tmp_path / "b")
    np.testing.assert_allclose(
        apart["x1.0/arrhenius"].activation_energy,
        whole["x1.0/arrhenius"].activation_energy,
        rtol=0.05,
    )


def _only(recipe: Path, sample: str) -> Path:
    """Recipe cut down to one sample, for speed."""
    head, *parts = re.split(r"(?m)^(?=\[samples\.)", recipe.read_text("utf-8"))
    kept = [p for p in parts if p.startswith(f'[samples."{sample}"]')]
    recipe.write_text(head + "".join(kept), encoding="utf-8")
    return recipe


def test_published_figures_are_the_same_bytes_twice(output: Path, tmp_path: Path) -> None:
    from plkit.study.published_figures import draw_figures, figure_scripts

    results = output / "results.nc"
    first = dict(draw_figures(tmp_path / "a", results=results))
    assert list(first) == list(figure_scripts())
    for name, path in first.items():
        assert path.stat().st_size > 10_000, name
        record = json.loads(path.with_suffix(".json").read_text("utf-8"))
        assert record["id"].encode() in path.with_suffix(".svg").read_bytes()
        assert record["study"]["recipe_sha256"]
    again = ["h_fig3", "h_fig4"]
    for name, path in draw_figures(tmp_path / "b", again, results=results):
        for suffix in (".png", ".svg", ".json"):
            one, two = first[name].with_suffix(suffix), path.with_suffix(suffix)
            assert one.read_bytes() == two.read_bytes(), (name, suffix)
    with pytest.raises(DataError, match="'fig9' is not one of"):
        list(draw_figures(tmp_path, ["fig9"], results=results))


def test_figure_scripts_are_short_and_use_the_public_api_alone() -> None:
    from plkit.study.published_figures import figure_scripts

    for name, path in figure_scripts().items():
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 80, name
        assert not [w for w in text.split() if w.startswith("plkit._") or "._" in w], name
