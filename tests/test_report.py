"""The report: one file, nothing fetched, every number with σ, every text escaped."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from plkit.errors import DataError
from plkit.plot import plot_arrhenius, plot_kinetics, save_figure
from plkit.study.report import write_report
from plkit.study.report_doubts import doubts, is_simulated

from . import synthetic_results as synthetic

EVIL = "<script>alert('x')</script> & co"


@pytest.fixture(scope="module")
def tree() -> xr.DataTree:
    kin, arr = synthetic.kinetics(), synthetic.arrhenius()
    un = synthetic.unmixed(kin).assign_attrs(origin="simulated")
    maps = synthetic.map_result().expand_dims(power=[10.0, 20.0])
    provenance = {
        "plkit": "0.1.0", "python": "3.11.7", "platform": "Linux x86_64", "seed": 1,
        "libraries": {"numpy": "2.0"}, "recipe_sha256": "ab", "recipe_text": f"# {EVIL}",
        "recipe": {
            "laser": {"wavelength_nm": 405.0, "spot_radius_um": 1.0, "spot_radius_stderr_um": 0.05},
            "film": {"thickness_nm": 40.0, "conductivity_w_mk": 0.4},
            "substrate": {"thickness_um": 1000.0, "conductivity_w_mk": 1.05},
            "environment": {"ambient_k": 293.15},
        },
        "inputs": [{"role": "r", "name": f"a{EVIL}.nc", "sha256": "f" * 64, "bytes": 12345}],
    }  # fmt: skip
    groups = {
        "/x1.0/unmixed": un,
        "/x1.0/kinetics": kin,
        "/x1.0/arrhenius": arr,
        "/x1.0/maps": maps,
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs["provenance"] = json.dumps(provenance)
    return tree


@pytest.fixture(scope="module")
def summary() -> dict:
    return {
        "title": f"Study {EVIL}",
        "samples": {
            "x1.0": {
                "activation_energy_ev": {"value": 0.2481, "stderr": 0.0231},
                "activation_energy_kj_mol": {"value": 23.94, "stderr": 2.23},
                "activation_energy_split_ev": {"photon": 0.004, "scatter": 0.009, "shared": 0.0198},
                "photo_exponent": {"value": 0.07, "stderr": 0.01},
                "conversion": {
                    "10": {"value": 0.26, "stderr": 0.01}, "80": {"value": 0.68, "stderr": 0.01},
                },
                "conversion_at_s": 499.5,
                "mean_rate_per_s": {"10": {"value": 0.021, "stderr": 0.0002}},
                "verdict": "reconstruction",
                "verdict_reason": f"the band moves to the blue {EVIL}",
            },
            "empty": {"activation_energy_ev": {"value": None, "stderr": None}, "conversion": {}},
        },
        "diffusion": {
            "x1.0": {
                "ln_d0_m2_s": {"value": -23.66, "stderr": 0.7},
                "activation_energy_ev": {"value": 0.182, "stderr": 0.021},
                "d_293k_m2_s": {"value": 3.9e-14, "stderr": 4e-15},
            }
        },
        "warnings": [f"x1.0, exposure: 3 of 100 spectra are {EVIL}"],
    }  # fmt: skip


@pytest.fixture(scope="module")
def page(tree, summary, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("report")
    kin = synthetic.kinetics()
    figures = {
        "x1.0_kinetics": save_figure(plot_kinetics(synthetic.unmixed(kin), kin), folder / "k")[
            "svg"
        ],
        "arrhenius": save_figure(plot_arrhenius(synthetic.arrhenius()), folder / "a")["png"],
    }
    return write_report(tree, summary, figures, folder / "report.html").read_text("utf-8")


class _Tags(HTMLParser):
    """Collects attributes that fetch, and checks that tags close."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing(page):
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "link" not in tags.seen
    assert all(url.startswith(("data:", "#")) for url in tags.fetched)
    assert "default-src 'none'" in page
    assert not re.search(r"url\(|@import|https?://", re.sub(r"data:[^\"]*", "", page))


def test_every_text_is_escaped(page):
    assert EVIL not in page
    assert page.count("&lt;script&gt;") >= 5  # title twice, reason, warning, file, recipe


def test_the_numbers_stand_with_their_sigma(page):
    for text in (
        "0.248 ± 0.023 eV", "23.9 ± 2.2 kJ/mol", "0.680 ± 0.010 (80 µW after 499.5 s)",
        "0.182 ± 0.021 eV", "(3.90 ± 0.40) × 10⁻¹⁴ m²/s", "19.8 meV", "0.02100 ± 0.00020 s⁻¹",
    ):  # fmt: skip
        assert text in page, text


def test_what_could_not_be_found_is_said_not_left_blank(page):
    assert re.search(r"<td>empty</td><td>–</td><td class=\"number\">not found</td>", page)


def test_the_shares_of_the_variance_add_up(page):
    bar = re.search(r'<div class="bar">(.*?)</div>', page)[1]
    widths = [float(w) for w in re.findall(r"width:([\d.]+)%", bar)]
    assert sum(widths) == pytest.approx(100.0, abs=0.2)
    assert widths[2] == pytest.approx(100 * 0.0198**2 / (0.004**2 + 0.009**2 + 0.0198**2), abs=0.06)


def test_what_to_distrust_names_scale_light_and_fractions(page):
    for text in (
        "Emission fractions are not phase fractions", "x1.0 20 meV (8 %)",
        "Light instead of heat", "x1.0 m = 0.070 ± 0.010 (χ²",
        "3 of 100 spectra", "Simulated data.",
    ):  # fmt: skip
        assert text in page, text


def test_figures_are_inside_with_captions_and_alternative_text(page):
    images = re.findall(r'<img alt="([^"]+)" src="data:([^;]+);base64,([^"]+)"', page)
    assert [kind for _, kind, _ in images] == ["image/png", "image/svg+xml"]
    assert base64.b64decode(images[1][2]).startswith(b"<?xml")
    assert base64.b64decode(images[0][2]).startswith(b"\x89PNG")
    assert "Arrhenius plot" in images[0][0]


def test_provenance_has_hash_versions_recipe_and_id(page):
    assert "f" * 64 in page
    assert "numpy 2.0" in page
    assert "Seed 1." in page
    assert re.search(r"record [0-9a-f]{12}", page)


def test_the_page_follows_the_readers_colour_scheme(page):
    assert "color-scheme: light dark" in page
    assert "prefers-color-scheme: dark" in page


def test_the_same_study_gives_the_same_bytes(tree, summary, tmp_path):
    a = write_report(tree, summary, {}, tmp_path / "a.html").read_bytes()
    assert write_report(tree, summary, {}, tmp_path / "b.html").read_bytes() == a


def test_measured_data_carries_no_banner(tree, summary, tmp_path):
    measured = tree.copy()
    measured["x1.0/unmixed"] = measured["x1.0/unmixed"].to_dataset().assign_attrs(origin="measured")
    assert not is_simulated(measured)
    text = write_report(measured, summary, {}, tmp_path / "m.html").read_text("utf-8")
    assert "Simulated data." not in text


@pytest.mark.parametrize("excess, words", [(1.0, "about as well as"), (30.0, "fits worse than")])
def test_a_power_law_is_called_as_good_as_it_is(tree, summary, excess, words):
    told = tree.copy()
    arr = told["x1.0/arrhenius"].to_dataset()
    arr["photo_exponent_chisqr"] = arr["chisqr"] + excess
    told["x1.0/arrhenius"] = arr
    assert [words in d for d in doubts(told, summary)].count(True) == 1


def test_a_constant_width_is_called_no_confirmation(tree, summary):
    told = tree.copy()
    told["x1.0/diffusion"] = xr.Dataset({"width_is_constant": 1})
    assert any("confirms nothing" in d for d in doubts(told, summary))
    assert not any("confirms nothing" in d for d in doubts(tree, summary))


def test_an_empty_study_still_gives_a_report(tmp_path):
    text = write_report(xr.DataTree(), {}, {}, tmp_path / "r.html").read_text("utf-8")
    assert "No warning was raised." in text


def test_a_figure_that_is_no_picture_is_refused(tree, summary, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match=r"'a\.txt' is not an SVG or PNG file"):
        write_report(tree, summary, {"a": tmp_path / "a.txt"}, tmp_path / "r.html")
    with pytest.raises(DataError, match=r"no\.png' cannot be read"):
        write_report(tree, summary, {"a": tmp_path / "no.png"}, tmp_path / "r.html")
    with pytest.raises(DataError, match="cannot be written"):
        write_report(tree, summary, {}, Path(tmp_path) / "no" / "r.html")


# Beside what was published ----------------------------------------------------------------------
PUBLISHED = [
    {
        "sample": "x1.0", "quantity": "activation energy", "unit": "eV",
        "found": {"value": 0.2481, "stderr": 0.0231},
        "published": {"value": 0.248, "stderr": 0.03}, "sigmas": 0.0026, "agrees": True,
        "source": "doi:10.1/a",
    },
    {
        "sample": "x1.0", "quantity": "D at 293 K", "unit": "m^2/s",
        "found": {"value": 3.9e-14, "stderr": 4e-15},
        "published": {"value": 6.3e-14, "stderr": None}, "sigmas": 6.0, "agrees": False,
        "source": EVIL,
    },
    {
        "sample": "empty", "quantity": "activation energy", "unit": "eV",
        "found": {"value": None, "stderr": None},
        "published": {"value": 0.1, "stderr": 0.01}, "sigmas": None, "agrees": None,
        "source": "doi:10.1/b",
    },
]  # fmt: skip


def test_published_numbers_stand_beside_those_found(tree, summary, tmp_path):
    told = {**summary, "published": PUBLISHED}
    text = write_report(tree, told, {}, tmp_path / "r.html").read_text("utf-8")
    assert "0.248 ± 0.030 eV" in text
    assert "= (0.0026 σ apart)" in text
    assert "≠ (6 σ apart)" in text
    distrust = text[text.index('id="distrust"') :]
    assert "D at 293 K ≠ published: (3.90 ± 0.40) × 10⁻¹⁴ m²/s here" in distrust
    assert "for which no σ is given; 6 σ apart" in distrust
    assert EVIL not in text


def test_fits_that_failed_are_counted_and_seen_at_once(tree, summary, tmp_path):
    told = tree.copy()
    maps = told["x1.0/maps"].to_dataset()
    maps["fit_status"] = maps["fit_status"].copy(data=np.zeros_like(maps["fit_status"].values))
    maps["fit_status"].values.flat[:3] = [1, 4, 4]
    maps["fit_status"].attrs["flag_meanings"] = "ok at_bound not_identifiable no_signal failed"
    told["x1.0/maps"] = maps
    text = write_report(told, summary, {}, tmp_path / "r.html").read_text("utf-8")
    n = maps["fit_status"].size
    assert f"{n - 3} of {n}</td><td>1 at bound; 2 failed</td>" in text
    seen = text[text.index("How the fits went") : text.index("steps without fault")]
    assert "unmixing of the maps" in seen
    assert "kinetics" not in seen.replace("<details>", "")


def test_figures_stand_with_their_sample_and_what_decides_is_not_folded(tree, summary, tmp_path):
    picture = save_figure(plot_arrhenius(synthetic.arrhenius()), tmp_path / "a")["png"]
    told = {**summary, "samples": {"x1": {}, "x1_b": {}}}
    names = ("all_arrhenius", "x1_spectra", "x1_movie", "x1_b_recovery_kinetics")
    text = write_report(tree, told, dict.fromkeys(names, picture), tmp_path / "r.html").read_text(
        "utf-8"
    )
    found = text[text.index('id="found"') : text.index('id="distrust"')]
    assert 'alt="Arrhenius plot of the mean rate.' in found
    first, second = text[text.index('id="figures"') :].split("<h3>x1_b</h3>")
    shown, folded = first.split("<details>")
    assert "x1: Spectra" in shown
    assert "1 more figures of x1" in folded
    assert "x1: All spectra" in folded
    assert "x1_b: Emission fractions (in the dark afterwards)" in second
