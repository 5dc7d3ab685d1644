"""Recipes: the template loads; every fault comes back with its line, its key and the way out."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from plkit.errors import RecipeError
from plkit.study.recipe import Recipe, load_recipe, template, write_template
from plkit.study.recipe_faults import _fields
from plkit.study.toml_lines import key_lines, nearest_line

GOOD = """\
[study]
title = "Test"
[laser]
wavelength_nm = 405.0
spot_radius_um = 1.0
[film]
thickness_nm = 40
conductivity_w_mk = 0.4
heat_capacity_j_m3k = 1.3e6
[substrate]
thickness_um = 1000.0
conductivity_w_mk = 1.05
heat_capacity_j_m3k = 2.1e6
[samples."x1.0"]
exposure = { "10" = "a.nc", "20" = "b.nc" }
references = { pristine = "p.nc", bromide = "q.nc" }
absorptance = 0.228
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.nc", "b.nc", "p.nc", "q.nc", "m.nc"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "STUDY.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_recipe_has_its_values_and_defaults(folder):
    recipe = load_recipe(write(folder, GOOD))
    sample = recipe.samples["x1.0"]
    assert sample.exposure == {10.0: "a.nc", 20.0: "b.nc"}
    assert sample.falling == "pristine"
    assert recipe.film_of("x1.0").thickness_nm == 40.0
    assert recipe.environment.ambient_k == 293.15
    assert recipe.resolve("a.nc") == (folder / "a.nc").resolve()
    assert recipe.output_folder() == (folder / "results").resolve()
    assert recipe.text == GOOD
    assert [i.name for i in recipe.inputs()] == ["a.nc", "b.nc", "p.nc", "q.nc"]


def test_a_folder_stands_for_its_recipe_and_json_keeps_every_value(folder):
    write(folder, GOOD)
    recipe = load_recipe(folder)
    kept = json.loads(recipe.to_json())
    assert kept["laser"]["wavelength_nm"] == 405.0
    assert kept["samples"]["x1.0"]["exposure"] == {"10.0": "a.nc", "20.0": "b.nc"}


def test_a_recipe_cannot_be_changed(folder):
    recipe = load_recipe(write(folder, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        recipe.laser.wavelength_nm = 1.0


def test_powers_come_back_in_ascending_order(folder):
    text = GOOD.replace('{ "10" = "a.nc", "20" = "b.nc" }', '{ "020" = "b.nc", "3.5" = "a.nc" }')
    assert list(load_recipe(write(folder, text)).samples["x1.0"].exposure) == [3.5, 20.0]


def test_a_sample_may_have_a_film_of_its_own(folder):
    text = GOOD + (
        '[samples."x1.0".film]\nthickness_nm = 90\nconductivity_w_mk = 0.3\n'
        "heat_capacity_j_m3k = 1e6\n"
    )
    assert load_recipe(write(folder, text)).film_of("x1.0").thickness_nm == 90.0


LINES = {
    # what is wrong: (old, new, line, words in the sentence)
    "syntax": ("spot_radius_um = 1.0", "spot_radius_um = 1.0.0", 5, "not TOML"),
    "no quotes": ('title = "Test"', "title = Test", 2, "not TOML"),
    "key twice": ("thickness_nm = 40", "thickness_nm = 40\nthickness_nm = 41", 8, "given twice"),
    "table twice": ("[substrate]", "[film]", 10, "given twice"),
    "unknown key": ("wavelength_nm", "wavelenght_nm", 4, "Did you mean 'wavelength_nm'?"),
    "unknown table": ("[laser]", "[lazer]\na = 1\n[laser]", 3, "Did you mean 'laser'?"),
    "text for number": ("= 405.0", '= "405"', 4, 'is "405", not a number above 0 in nm'),
    "number for text": ('title = "Test"', "title = 7", 2, "'study.title' is 7, not a text"),
    "bool for number": ("= 0.228", "= true", 17, "is true, not a number above 0 and at most 1"),
    "negative": ("thickness_nm = 40", "thickness_nm = -40", 7, "is -40, not a number above 0"),
    "nan": ("= 1.05", "= nan", 12, "is nan, not a number above 0 in W/(m K)"),
    "infinite": ("= 1.05", "= inf", 12, "is inf, not a number above 0 in W/(m K)"),
    "too large": ("= 0.228", "= 22.8", 17, "is 22.8, not a number above 0 and at most 1"),
    "missing key": ("spot_radius_um = 1.0\n", "", 3, "has no 'spot_radius_um'"),
    "missing table": (GOOD[GOOD.index("[substrate]") : GOOD.index("[samples")], "", 13,
                      "the table [substrate] is missing"),
    "no samples": (GOOD[GOOD.index("[samples") :], "samples = {}\n", 14, "samples"),
    "missing file": ('"a.nc"', '"a1.nc"', 15, "Did you mean 'a.nc'?"),
    "folder for file": ('"a.nc"', '".."', 15, 'is "..", not a file (looked for'),
    "empty name": ('"a.nc"', '" "', 15, "is empty, not a text"),
    "power not a number": ('"20"', '"high"', 15, "has the key 'high', not a power above 0 in µW"),
    "power below 0": ('"20"', '"-2"', 15, "has the key '-2', not a power above 0 in µW"),
    "power twice": ('"20"', '"10.0"', 15, "has the power 10 µW twice"),
    "file for two powers": ('"b.nc"', '"a.nc"', 15, "has the file 'a.nc' for 10 and for 20 µW"),
    "number for a file": ('"b.nc"', "3", 15, "is 3, not a file name"),
    "no exposure": ('{ "10" = "a.nc", "20" = "b.nc" }', "{}", 15, "is an empty table"),
    "list of exposures": ('{ "10" = "a.nc", "20" = "b.nc" }', '["a.nc"]', 15,
                          "not a file name, or a table power in µW → file name"),
    "one reference": (', bromide = "q.nc"', "", 16, "with at least 2 entries"),
    "same reference twice": ('"q.nc"', '"p.nc"', 16, "the same file as 'pristine'"),
    "pristine unknown": ("absorptance =", 'pristine = "iodide"\nabsorptance =', 17,
                         "is 'iodide', not one of the references: pristine, bromide"),
    "power beside a table": ("absorptance =", "power_uw = 3.0\nabsorptance =", 17,
                             "Remove power_uw"),
    "background": ("absorptance =", 'background = "cubic"\nabsorptance =', 17,
                   'is "cubic", not one of "none", "constant", "linear"'),
    "conversion": ("absorptance =", "conversion_at_s = [500.0, -1.0]\nabsorptance =", 17,
                   "conversion_at_s[1]' is -1.0, not a number above 0 in s"),
    "diffusion without maps": ("absorptance = 0.228",
                               'absorptance = 0.228\n[samples."x1.0".diffusion]', 18,
                               "is given without 'maps'"),
    "geometry": ("absorptance = 0.228", 'absorptance = 0.228\nmaps = { "10" = "m.nc" }\n'
                 '[samples."x1.0".diffusion]\ngeometry = "ring"', 20,
                 'is "ring", not one of "map", "radial", "cut"'),
    "crop": ("[samples", "[corrections]\ncrop_nm = [740.0, 460.0]\n[samples", 15,
             "not two ascending numbers in nm"),
    "crop of one": ("[samples", "[corrections]\ncrop_nm = [740.0]\n[samples", 15,
                    "is [740.0], not two ascending numbers in nm"),
    "despike": ("[samples", '[corrections]\ndespike = "yes"\n[samples', 15,
                'is "yes", not true or false'),
    "seed": ('title = "Test"', 'title = "Test"\nseed = 1.5', 3, "is 1.5, not a whole number"),
    "calibration": ("[samples", '[composition]\ncalibration = "mine"\n[samples', 15,
                    "is 'mine', not one of cunha2025, cunha2025_points, literature"),
    "value for a table": ("[laser]\nwavelength_nm = 405.0\nspot_radius_um = 1.0\n", "", 14,
                          "the table [laser] is missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
def test_a_fault_is_reported_with_line_key_and_allowed_values(case, folder):
    old, new, line, words = LINES[case]
    assert old in GOOD
    path = write(folder, GOOD.replace(old, new, 1))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    text = str(caught.value)
    assert text.startswith(f"Cannot use recipe {path} because line ")
    assert f"line {line}: " in text, text
    assert words in text
    assert "\n" not in text


def test_all_faults_come_at_once_in_the_order_of_the_lines(folder):
    text = GOOD.replace("405.0", "-1.0").replace("0.228", "3").replace("title", "titel")
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(folder, text))
    assert re.findall(r"line (\d+):", str(caught.value)) == ["2", "4", "17"]


def test_a_recipe_that_is_no_text_names_the_line(folder):
    path = folder / "STUDY.toml"
    path.write_bytes('[study]\ntitle = "5 µW"\n'.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"line 2: the text is not UTF-8"):
        load_recipe(path)


def test_an_absent_recipe_says_how_to_start(folder):
    with pytest.raises(RecipeError, match=r"does not exist\. Write one: plkit init FOLDER"):
        load_recipe(folder / "no.toml")


@pytest.mark.parametrize("output", [".", "..", "a.nc", "inputs"])
def test_an_output_that_would_delete_inputs_is_refused(output, folder):
    (folder / "inputs").mkdir()
    (folder / "inputs" / "a.nc").write_bytes(b"x")
    text = GOOD.replace('title = "Test"', f'title = "Test"\noutput = "{output}"')
    text = text.replace('"10" = "a.nc"', '"10" = "inputs/a.nc", "30" = "a.nc"')
    with pytest.raises(RecipeError, match=r"holds the input .*Name another folder"):
        load_recipe(write(folder, text))


def test_the_template_is_a_recipe_and_explains_every_key(tmp_path):
    path = write_template(tmp_path / "new")
    for name in ("x1.0.nc", "references/x1.0.nc", "references/x0.0.nc"):
        file = path.parent / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    recipe = load_recipe(path)
    assert recipe.samples["x1.0"].absorptance == 0.228

    text = template()
    loose = re.sub(r"(?m)^# (?=[\w\[].*(=|\]))", "", text)
    tables = [t for t in Recipe.model_fields if t != "samples"]
    tables += ["samples/x/film", "samples/x/diffusion", "samples/x"]
    for table in tables:
        loc = tuple(table.split("/"))
        assert _fields(loc)
        for key in _fields(loc):
            assert re.search(rf"(?m)^(\[.*)?{key}\b", loose) or f".{key}]" in loose, (table, key)


def test_every_optional_line_of_the_template_is_valid(tmp_path):
    """The template with its examples switched on is still a recipe."""
    text = template()
    on = re.sub(r"(?m)^# (?=[\w\[\"].*(?: = |\]  ))", "", text)
    on = re.sub(
        r"(?m)^(exposure = \{|power_uw|absorptance_nk|conductivity_w_mk = 0.4 #).*\n", "", on
    )
    parsed = tomllib.loads(on.replace('[samples."x1.0".film]', "[unused]"))
    assert parsed["corrections"]["crop_nm"] == [460.0, 740.0]
    assert parsed["samples"]["x1.0"]["diffusion"]["geometry"] == "map"
    read = parsed["samples"]["x1.0"]["read"]
    assert read["wavelength_unit"] == "nm"
    assert read["exposure"] == {"column_dim": "time", "column_unit": "s"}
    for name in _files(parsed):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    recipe = load_recipe(write(tmp_path, on.replace('[samples."x1.0".film]', "")))
    assert recipe.samples["x1.0"].diffusion.initial_sigma_um == 0.5


def _files(value) -> list[str]:
    if isinstance(value, dict):
        return [f for v in value.values() for f in _files(v)]
    return [value] if isinstance(value, str) and value.endswith((".nc", ".csv")) else []


def test_a_template_never_overwrites(tmp_path):
    write_template(tmp_path)
    with pytest.raises(RecipeError, match=r"exists, not an empty place"):
        write_template(tmp_path)


def test_lines_are_found_in_every_form_of_toml():
    text = (
        '# a\nx.y = """\n[no]\nz = 1\n"""  # text\n[t."q.r"]\n"k\\"" = [ # c\n 1,\n {a = 2, b = "]"},\n]\n'
        "[[list]]\nn = 1\n[[list]]\nn = 2\nlast = 1979-05-27T07:32:00Z"
    )
    lines = key_lines(text)
    assert lines["x", "y"] == 2
    assert lines["t", "q.r"] == 6
    assert lines["t", "q.r", 'k"', 1, "b"] == 9
    assert lines["list", 1, "n"] == 14
    assert lines["list", 1, "last"] == 15
    assert nearest_line(lines, ("list", 1, "other")) == 13
    assert nearest_line(lines, ("nothing",)) == 1
