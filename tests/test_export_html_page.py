"""The mailable file as its reader meets it: opened from a disk in a headless Chromium, asking for nothing.

Screenshots go to the folder that PLKIT_SCREENSHOTS names, where one is named.
"""

# ruff: noqa: F811  a fixture is imported, and asked for by its name

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plkit
from plkit.apps.view.layers import layer_of, open_layers
from plkit.apps.view.values import levels_of, plane_of, region_table, spectrum_of
from tests.page_driver import browser  # noqa: F401  fixture
from tests.test_export_html import kinetics_of
from tests.view_data import movie, results_file

HELP = """(() => {
  window.model = plkit_page.model;
  window.data = (name) => model(name).data;
  window.state = plkit_page.state;
  window.place = (name, fx, fy) => {
    const view = Bokeh.index.find_one(model(name)); const r = view.el.getBoundingClientRect();
    const b = view.frame.bbox; return [r.left + b.left + fx * b.width, r.top + b.top + (1 - fy) * b.height];
  };
  window.spot = (name, x, y) => {
    const view = Bokeh.index.find_one(model(name)); const r = view.el.getBoundingClientRect();
    return [r.left + view.frame.x_scale.compute(x), r.top + view.frame.y_scale.compute(y)];
  };
  window.set = (id, value) => {
    const e = document.getElementById(id); e.value = value;
    for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind));
  };
})()"""


class Page:
    """A file that was opened, with the faults that it showed."""

    def __init__(self, page: Any, path: Path, name: str) -> None:
        self.page, self.address, self.name = page, path.as_uri(), name
        self.faults: list[str] = []
        page.set_default_timeout(20_000)
        page.on("console", lambda m: m.type == "error" and self.faults.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: self.faults.append(f"page: {e}"))
        page.on(
            "request", lambda r: r.url != self.address and self.faults.append(f"request: {r.url}")
        )
        page.goto(self.address)
        self.wait("window.plkit_ready")
        page.evaluate(HELP)
        self.wait("Bokeh.index.find_one(model('map')) && Bokeh.documents[0].is_idle")

    def get(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait(self, expression: str) -> None:
        """Wait until it holds; the policy of the page lets playwright's own way of waiting not run."""
        end = time.monotonic() + 20
        while not self.get(expression):
            assert time.monotonic() < end, f"{expression} did not come true; {self.faults}"
            time.sleep(0.02)

    def set(self, name: str, value: Any) -> None:
        self.get(f"set({name!r}, {value!r})")

    def at(self, figure: str, fx: float, fy: float) -> tuple[float, float]:
        self.get(f"Bokeh.index.find_one(model('{figure}')).el.scrollIntoView({{block: 'center'}})")
        x, y = self.get(f"place('{figure}', {fx}, {fy})")
        return x, y

    def tap(self, figure: str, x: float, y: float) -> None:
        """Click at a position in the units of the axes."""
        self.at(figure, 0.5, 0.5)
        self.page.mouse.click(*self.get(f"spot('{figure}', {x}, {y})"))

    def drag(self, figure: str, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(figure, *places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.get(f"place('{figure}', {place[0]}, {place[1]})"), steps=4)
        self.page.mouse.up()

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def shot(self, state: str) -> None:
        folder = os.environ.get("PLKIT_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder, f"{self.name}-{state}.png"), full_page=True)


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open files; at the end none may have shown a fault."""
    opened: list[Page] = []

    def new(path: Path, width: int = 1400, **options: Any) -> Page:
        blank = browser.new_page(viewport={"width": width, "height": 1000}, **options)
        opened.append(Page(blank, path, request.node.name))
        return opened[-1]

    yield new
    for made in opened:
        assert made.faults == []
        made.page.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mailable")


@pytest.fixture(scope="module")
def movie_file(folder: Path) -> Path:
    ds = movie().astype(float)
    ds["intensity"][:, 2, 3] = np.nan  # a pixel without a number
    return plkit.export_html(ds, folder / "movie.html", title="A film under light")


@pytest.fixture(scope="module")
def study(folder: Path) -> tuple[Path, Path]:
    source = results_file(folder)
    return source, plkit.export_html(source, folder / "study.html")


def array(p: Page, expression: str) -> np.ndarray:
    return np.array(p.get(f"Array.from({expression})"), dtype=float)


# A map over time ------------------------------------------------------------------------------
def test_click_shows_spectrum_sigma_and_trace_of_plkit(page: Any, movie_file: Path) -> None:
    p = page(movie_file)
    p.shot("first")
    ds = movie()
    p.tap("map", 4.6, 1.9)
    p.wait("state.row === 4 && state.col === 9")
    p.set("at_0", 5)
    p.wait("state.at[0] === 5")
    layer = layer_of("movie", ds, "")
    truth = spectrum_of(layer, {"time": 5}, 4, 9)
    counts = ds["intensity"].values[5, 4, 9].astype(float)
    y = array(p, "data('spectrum_here').y")
    assert np.max(np.abs(y - counts) / np.sqrt(counts + 1.0)) < 0.26
    half = array(p, "data('spectrum_sigma').high") - y
    # σ is that of the rounded readings, hence not to the last digit that of the measured ones.
    np.testing.assert_allclose(half, truth["intensity_stderr"], rtol=0.1, atol=0.15)
    np.testing.assert_allclose(
        array(p, "data('trace_here').y"), ds["intensity"].values[:, 4, 9].sum(-1), rtol=5e-3
    )
    assert p.get("model('map').title.text") == "t = 55 s"
    assert p.get("model('spectrum').title.text") == "x = 4.5 µm, y = 2 µm"
    assert p.get("document.title") == "A film under light"


def test_sigma_of_the_page_is_that_of_plkit(page: Any, movie_file: Path) -> None:
    p = page(movie_file)
    ds = movie().isel(time=0, y=0, x=0)
    counts = ds["intensity"].values.astype(float)
    page_sigma = array(p, f"plkit_page.sigmaOf(Float64Array.from({counts.tolist()}), 1)")
    np.testing.assert_allclose(page_sigma, np.sqrt(plkit.spectra.variance(ds)), rtol=1e-9)
    quarter = array(p, f"plkit_page.sigmaOf(Float64Array.from({counts.tolist()}), 4)")
    np.testing.assert_allclose(quarter, page_sigma / 2, rtol=1e-9)


def test_band_is_dragged_and_the_scale_stays_while_time_plays(page: Any, movie_file: Path) -> None:
    p = page(movie_file)
    assert p.get("document.getElementById('message').textContent").startswith(
        "1 of 192 pixels have no number"
    )
    p.drag("spectrum", (0.2, 0.5), (0.36, 0.5))
    p.wait("state.band !== null")
    low, high = p.get("state.band")
    assert 490 < low < 510 < 530 < high < 550
    ds = movie().astype(float)
    ds["intensity"][:, 2, 3] = np.nan
    layer = layer_of("movie", ds, "")
    frames = [plane_of(layer, "band", {"time": i}, band=(low, high)) for i in (0, 7)]
    for frame in frames:
        frame[2, 3] = np.nan  # no number, and not a sum of none
    expected = levels_of(np.concatenate([f.ravel() for f in frames]), 0.5, False)
    scale = "[model('map_linear').low, model('map_linear').high]"
    np.testing.assert_allclose(p.get(scale), expected, rtol=0.01, atol=3.0)
    before = p.get(scale)
    image = "Array.from(data('map_image').image[0]).filter((v) => v === v).reduce((a, b) => a + b)"
    assert p.get(image) == pytest.approx(np.nansum(frames[0]), rel=5e-3)
    p.button("▶ Play").click()
    p.wait("state.at[0] > 2")
    p.button("⏸ Stop").click()
    p.set("at_0", 7)
    p.wait("state.at[0] === 7")
    assert p.get(image) == pytest.approx(np.nansum(frames[1]), rel=5e-3)
    assert p.get(scale) == before
    p.shot("band")
    p.set("log", "1")
    p.wait("model('map_glyph').glyph.color_mapper === model('map_log')")
    p.set("palette", "cividis")
    assert p.get("model('map_log').palette[0]") != p.get("model('map_linear').palette[0]")
    p.set("low", 100)
    p.set("high", 900)
    assert p.get("[model('map_log').low, model('map_log').high]") == [100, 900]


def test_pins_boxes_and_polygons_have_means_and_sigma(page: Any, movie_file: Path) -> None:
    p = page(movie_file)
    p.tap("map", 1.5, 1.0)
    p.button("Pin").click()
    p.page.keyboard.press("ArrowRight")
    p.page.keyboard.press("p")
    p.wait("state.entries.length === 2")
    p.button("Draw box").click()
    p.drag("map", (0.4, 0.4), (0.8, 0.8))
    p.wait("state.entries.length === 3")
    p.button("Draw polygon").click()
    p.drag("map", (0.1, 0.6), (0.3, 0.6), (0.3, 0.9), (0.1, 0.9))
    p.wait("state.entries.length === 4")
    box = p.get("state.entries[2]")
    layer = layer_of("movie", movie(), "")
    truth = region_table(layer, plane_of(layer, "band", {}), [{**box, "colour": ""}])[0]
    text = p.page.locator("#entries tr").nth(3).locator("td").all_inner_texts()
    mean, sigma = (float(t) for t in text[3].split(" ± "))
    assert int(text[2]) == truth["n"]
    assert mean == pytest.approx(truth["mean"], rel=2e-3)
    assert sigma == pytest.approx(truth["stderr"], rel=0.1)
    assert len(p.get("data('spectrum_kept').x")) == 4
    assert len(p.get("data('trace_kept').x")) == 4
    p.shot("entries")
    p.button("Remove P1").click()
    p.wait("state.entries.length === 3")
    p.page.keyboard.press("Delete")
    p.wait("state.entries.length === 2")
    p.button("Remove all").click()
    p.wait("state.entries.length === 0 && data('map_pins').x.length === 0")


def test_positions_far_from_zero_are_told_apart(page: Any, folder: Path) -> None:
    ds = movie(1, 3, 4)
    ds = ds.assign_coords(x=ds["x"] * 0.02 + 8222.0, y=ds["y"] - 105_970.0)
    p = page(plkit.export_html(ds, folder / "far.html"))
    assert p.get("model('spectrum').title.text") == "x = 8222.02 µm, y = −105969.5 µm"


def test_keys_step_and_stay_within_the_map(page: Any, movie_file: Path) -> None:
    p = page(movie_file)
    for _ in range(9):
        p.page.keyboard.press("ArrowUp")
    p.wait("state.row === 11")
    p.page.keyboard.press(",")
    p.wait("state.at[0] === 7")
    p.page.keyboard.press(".")
    p.wait("state.at[0] === 0")
    p.page.keyboard.press(" ")
    p.wait("state.playing !== null && state.at[0] > 0")
    p.page.keyboard.press(" ")
    p.wait("state.playing === null")


def test_page_is_never_wider_than_the_window_and_dark_where_the_system_is(
    page: Any, movie_file: Path
) -> None:
    p = page(movie_file, color_scheme="dark")
    assert p.get("document.documentElement.classList.contains('dark')")
    for width in (1400, 700, 390):
        p.page.set_viewport_size({"width": width, "height": 1000})
        p.wait(f"innerWidth === {width} && document.documentElement.scrollWidth <= {width}")
        p.wait(f"model('spectrum').inner_width < {width} && Bokeh.documents[0].is_idle")
        p.shot(f"dark-{width}")
    dark = p.get("model('map').background_fill_color")
    p.button("Dark").click()
    p.wait(f"model('map').background_fill_color !== {dark!r}")


def test_fractions_of_a_pixel_have_their_fit(page: Any, folder: Path) -> None:
    ds = movie(5, 3, 4)
    fractions, kin = kinetics_of(ds)
    maps = {"fractions": fractions, "kinetics": kin}
    p = page(plkit.export_html(ds, folder / "kinetics.html", maps=maps))
    p.set("quantity", "fractions/fraction:bromide")
    p.tap("map", 0.5, 1.0)
    p.wait("state.row === 2 && state.col === 1")
    one, _ = plkit.plot.kinetics.fitted_curve(
        kin.isel(y=2, x=1), np.array(p.get("data('trace_curves').x[0]"))
    )
    np.testing.assert_allclose(p.get("data('trace_curves').y[0]"), 1.0 - one, atol=1e-3)
    p.shot("fit")
    p.tap("map", 0.0, 0.0)  # a fit that failed
    p.wait("state.row === 0 && data('trace_curves').x.length === 0")


# A study --------------------------------------------------------------------------------------
def test_maps_of_a_study_with_their_sigma(page: Any, study: tuple[Path, Path]) -> None:
    p = page(study[1])
    p.shot("maps")
    layer = open_layers(study[0])[0]
    assert p.get("state.key") == "fraction:pristine"
    np.testing.assert_allclose(
        array(p, "data('map_image').image[0]").reshape(24, 24),
        plane_of(layer, "fraction:pristine", {}), rtol=1e-5,
    )  # fmt: skip
    p.set("quantity", "x_iodine")
    p.wait("state.key === 'x_iodine'")
    assert p.get("document.getElementById('message').textContent").startswith(
        "1 of 576 pixels have no result"
    )
    assert len(p.get("data('map_failed').x")) == 1
    at = layer.ds["x_iodine"].values[:, 12, 12]
    np.testing.assert_allclose(array(p, "data('trace_here').y"), at, rtol=1e-5)
    bars = array(p, "data('trace_errors').high") - array(p, "data('trace_here').y")
    np.testing.assert_allclose(bars, 0.01, rtol=0.01)
    here = p.page.locator("#here").inner_text()
    assert f"{at[0]:.3f} ± 0.010" in here


def test_spectra_of_a_study_with_fit_and_kinetics(page: Any, study: tuple[Path, Path]) -> None:
    p = page(study[1])
    p.set("layer", "film spectra")
    p.wait("state.layer.name === 'film spectra'")
    p.set("at_0", 1)
    p.wait("state.at[0] === 1")
    tree = plkit.open_results(study[0])
    fit = tree["film/kinetics"].to_dataset().isel(power=1)
    assert len(p.get("data('trace_curves').x")) == 2
    curve = np.array(p.get("data('trace_curves').y[0]"))
    truth, _ = plkit.plot.kinetics.fitted_curve(fit, np.array(p.get("data('trace_curves').x[0]")))
    np.testing.assert_allclose(curve, truth, rtol=1e-3)
    assert p.get("model('figure_trace_y').axis_label") == "Emission fraction f"
    assert "Mean rate" in p.page.locator("#here").inner_text()
    p.shot("kinetics")
    p.set("trace_kind", "band")
    p.wait("data('trace_here').y.length > 0 && data('trace_curves').x.length === 0")
    p.tap("map", 550.0, 498.0)
    p.wait("state.row === state.layer.plane[0].values.length - 1")
    p.button("Pin").click()
    p.wait("data('spectrum_kept').x.length === 1")


def test_components_of_a_study_add_up_to_the_spectrum(page: Any, folder: Path) -> None:
    path = folder / "unmixed"
    path.mkdir()
    made = unmixed_study(path)
    p = page(plkit.export_html(made, folder / "unmixed.html"))
    p.set("layer", "film spectra")
    p.wait("state.layer.name === 'film spectra' && data('spectrum_total').x.length > 0")
    total, here = array(p, "data('spectrum_total').y"), array(p, "data('spectrum_here').y")
    parts = p.get("data('spectrum_parts').y.map((y) => Array.from(y))")
    np.testing.assert_allclose(np.sum(parts, axis=0), total, rtol=1e-6, atol=1e-6)
    assert here.max() > 100
    assert np.abs(array(p, "data('misfit').y")).max() < 6  # in σ
    assert np.abs(array(p, "data('misfit').y")).std() > 0.1
    p.shot("components")


def unmixed_study(path: Path) -> Path:
    """results.nc of spectra that were unmixed, frame by frame."""
    import json

    import xarray as xr

    ds = movie(10).isel(y=6, x=8, drop=True).astype(float)
    w = ds["wavelength"].values
    lines = {
        name: ds.isel(time=0, drop=True).assign(
            intensity=(
                "wavelength",
                1e4 * np.exp(-0.5 * ((w - at) / 9.0) ** 2),
                ds["intensity"].attrs,
            )
        )
        for name, at in (("pristine", 590.0), ("bromide", 515.0))
    }
    refs = plkit.references(**lines)
    unmixed = plkit.unmix(ds, refs)
    raw = ds.rename(intensity="movie", time="movie_time")
    raw["total_intensity"] = ds["intensity"].sum("wavelength")
    tree = xr.DataTree.from_dict(
        {
            "/film/raw": raw,
            "/film/unmixed": unmixed,
            "/film/references": refs.to_dataset(name="reference"),
        }
    )
    record = {"plkit": "0.1.0", "inputs": [], "libraries": {}, "recipe_text": "", "recipe": {}}
    tree.attrs.update(title="Unmixed", summary="{}", provenance=json.dumps(record))
    tree.to_netcdf(path / "results.nc", engine="netcdf4")
    return path / "results.nc"


# Faults ---------------------------------------------------------------------------------------
def test_an_old_browser_is_told(browser: Any, movie_file: Path) -> None:
    blank = browser.new_page()
    blank.add_init_script("delete window.DecompressionStream")
    blank.goto(movie_file.as_uri())
    assert "too old" in blank.locator("#message").inner_text()
    blank.close()


def test_a_file_that_was_cut_off_says_so(browser: Any, movie_file: Path, folder: Path) -> None:
    import re

    text = movie_file.read_text("utf-8")
    broken = folder / "broken.html"
    broken.write_text(re.sub(r'(id="block-0-s">.{2000})[^<]*', r"\1", text), "utf-8")
    blank = browser.new_page()
    blank.goto(broken.as_uri())
    blank.locator("#message.warn").wait_for()
    assert "could not be drawn" in blank.locator("#message").inner_text()
    blank.close()
