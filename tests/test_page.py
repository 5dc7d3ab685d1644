"""The page as a user meets it, in a headless Chromium: every tab, no request elsewhere, no error."""

# ruff: noqa: F811  fixtures are imported, and asked for by their names

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import plkit
from tests.page_driver import (  # noqa: F401  fixtures
    browser,
    file_address,
    message,
    page,
    results_address,
    serve,
)
from tests.view_data import movie

TABS = ["Map", "Kinetics", "Arrhenius", "Diffusion", "Composition", "Simulate", "History"]


# The file -------------------------------------------------------------------------------------
def test_tap_pin_region_band_and_nothing_is_lost_on_reload(page: Any, file_address: str) -> None:
    p = page(file_address)
    p.shot("first")
    spectrum = "Array.from(data('spectrum_here').y).join()"
    before = p.page.evaluate(spectrum)
    p.tap("map", 0.2, 0.2)
    p.wait(f"{spectrum} !== {before!r}")
    p.button("Pin").click()
    p.wait("data('entry_rows').name.length === 1")
    p.tap("map", 0.5, 0.5)
    p.page.keyboard.press("p")  # the keyboard pins too
    p.wait("data('entry_rows').name.length === 2")
    p.button("Draw box").click()
    p.wait("model('map').toolbar.active_drag.description === 'Draw a box region'")
    p.drag("map", (0.1, 0.1), (0.35, 0.4))
    p.wait("data('entry_rows').name.length === 3")
    p.button("Draw polygon").click()
    p.wait("model('map').toolbar.active_drag.description === 'Draw a polygon region'")
    p.drag("map", (0.6, 0.6), (0.9, 0.6), (0.75, 0.9), (0.6, 0.62))
    p.wait("data('entry_rows').name.length === 4")
    rows = p.page.evaluate(
        "Object.fromEntries(Object.entries(data('entry_rows')).map(([k, v]) => [k, Array.from(v)]))"
    )
    assert rows["kind"] == ["pin", "pin", "region", "region"]
    assert all(n > 1 for n in rows["n"][2:])
    image = "Array.from(data('map_image').image[0]).join()"
    whole = p.page.evaluate(image)
    p.drag("spectrum", (0.5, 0.5), (0.6, 0.5))
    p.wait(f"{image} !== {whole!r}")
    p.wait(f"data('entry_rows').mean[0] < {rows['mean'][0]}")  # the table follows the band
    shown = p.page.evaluate("(data('entry_rows').mean[0] / 1e3).toFixed(4)")
    p.page.locator(".slick-cell", has_text=f"{shown}k").first.wait_for()
    p.wait("location.search.startsWith('?s=')")
    p.shot("drawn")
    kept = p.page.evaluate("JSON.stringify(data('entry_rows').name)")
    p.settled_address()
    drawn = p.page.evaluate(image)
    p.page.reload(wait_until="commit")
    p.ready()
    assert p.page.evaluate("JSON.stringify(data('entry_rows').name)") == kept
    p.wait(f"{image} === {drawn!r}")
    p.shot("reloaded")


def test_two_quick_clicks_are_both_heard(page: Any, file_address: str) -> None:
    p = page(file_address)
    spectrum = "Array.from(data('spectrum_here').y).join()"
    before = p.page.evaluate(spectrum)
    p.tap("map", 0.2, 0.2)
    p.wait(f"{spectrum} !== {before!r}")
    first = p.page.evaluate(spectrum)
    a, b = p.at("map", 0.7, 0.7), p.at("map", 0.2, 0.2)
    p.page.mouse.click(*a)
    p.page.mouse.click(*b)
    p.wait("Bokeh.documents[0].is_idle")
    p.wait(f"{spectrum} === {first!r}")
    # So that the first of the two was heard too, not neither of them.
    p.tap("map", 0.7, 0.7)
    p.wait(f"{spectrum} !== {first!r}")


def test_foreign_address_is_said_and_the_page_opens(page: Any, file_address: str) -> None:
    p = page(file_address, query="?s=nonsense")
    assert "holds no state of this page" in message(p)
    assert p.page.evaluate("data('map_image').image.length") == 1


def test_time_plays_and_steps_on_one_colour_scale(page: Any, file_address: str) -> None:
    p = page(file_address)
    scale = (
        "[model('map').right[0].color_mapper.low, model('map').right[0].color_mapper.high].join()"
    )
    fixed = p.page.evaluate(scale)
    p.page.keyboard.press(".")
    p.wait("model('frame_time').value === 1")
    p.button("▶ Play").click()
    p.wait("model('frame_time').value >= 4")
    p.button("⏸ Stop").click()
    p.wait("!model('play').active")
    assert p.page.evaluate(scale) == fixed
    before = p.page.evaluate("model('fixed').active = false; model('frame_time').value")
    p.wait(f"{scale} !== '{fixed}'")
    p.page.keyboard.press(",")
    p.wait(f"model('frame_time').value !== {before}")
    p.shot("played")


def test_colours_energy_slice_box_and_frames(page: Any, file_address: str) -> None:
    p = page(file_address)
    p.page.evaluate("model('log').active = 1")
    p.wait("model('map').right[0].color_mapper.type === 'LogColorMapper'")
    p.choose("palette", "cividis")
    p.wait(
        "model('map').right[0].color_mapper.palette[0] === '#00224E' || model('map').right[0].color_mapper.palette[0] === '#00204C'"
    )
    p.page.evaluate("model('unit').active = 1")
    p.wait("data('spectrum_here').x[0] < 10")
    p.shot("energy")
    p.page.evaluate("model('unit').active = 0")
    p.wait("data('spectrum_here').x[0] > 10")
    p.tap("spectrum", 0.57, 0.5)
    p.wait("model('quantity').value === 'slice'")
    p.page.evaluate("model('half').value = 2")
    p.wait("model('spectrum').title.text.includes('mean of 25 pixels')")
    p.page.evaluate("model('all_frames').active = true")
    p.page.evaluate("model('compare').active = true; model('compare_at').value = 7")
    p.wait("data('second_image').image.length === 1 && model('second').visible")
    p.shot("frames")


def test_fit_over_the_spectrum_with_parts_and_residual(page: Any, file_address: str) -> None:
    p = page(file_address)
    p.choose("fit", "two gaussians")
    p.wait("data('misfit').x.length > 100 && model('misfit') && true")
    p.shot("fit")
    p.choose("fit", "none")
    p.wait("data('misfit').x.length === 0")


def test_fit_all_pixels_then_scatter_and_lasso(page: Any, file_address: str) -> None:
    p = page(file_address)
    p.button("Fit all pixels").click()
    p.wait("model('quantity').value.endsWith('/peak_energy')")
    p.wait("model('progress').text.includes('done')")
    quantity = p.page.evaluate("model('quantity').value")
    p.choose("scatter_x", quantity)
    p.page.evaluate("model('scatter').active = true")
    p.wait(
        "model('scatter_figure').visible && Bokeh.index.find_one(model('scatter_figure')) !== null"
    )
    p.wait("Bokeh.documents[0].is_idle")
    p.drag("scatter_figure", (0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05))
    p.see("pixels chosen")
    p.shot("lasso")
    # The fit is kept by the server: another page of the same file has it.
    other = page(file_address)
    assert quantity in other.page.evaluate("model('quantity').options.map((o) => o[0])")


def test_cancel_stops_a_whole_map_fit(page: Any, tmp_path: Path, serve: Any) -> None:
    big = movie(n_times=8, n_y=120, n_x=120)
    address = serve(plkit.write(big, tmp_path / "big.nc"))
    p = page(address)
    p.choose("fit_method", "asymmetric")
    p.button("Fit all pixels").click()
    p.wait("model('progress').text.includes('%')")
    p.shot("running")
    p.button("Cancel").click()
    p.wait("model('progress').text.includes('cancelled after')")
    p.wait("!model('fit_all').disabled")
    assert p.page.evaluate("model('quantity').value") == "band"
    assert p.page.evaluate("model('quantity').options.length") == 2


def test_take_away(page: Any, file_address: str) -> None:
    p = page(file_address)
    p.button("Copy as Python").click()
    p.wait("model('code').value.startsWith('import plkit')")
    p.page.wait_for_function(
        "navigator.clipboard.readText().then((t) => t.startsWith('import plkit'))"
    )
    p.button("Copy recipe").click()
    p.wait("model('message').text.includes('the map runs over time too')")
    for button, name, start in (
        (
            "csv_spectra",
            "movie_movie.nc_spectra.csv",
            "Wavelength λ (nm),cursor (counts),cursor σ (counts)",
        ),
        (
            "csv_map",
            "movie_movie.nc_map.csv",
            'x (µm),y (µm),"Intensity, sum over the band (counts)"',
        ),
        ("csv_regions", "movie_movie.nc_regions.csv", "region,pixels,"),
        ("map_png", "movie_movie.nc_map.png", "\x89PNG"),
        ("map_svg", "movie_movie.nc_map.svg", "<?xml"),
        ("map_pdf", "movie_movie.nc_map.pdf", "%PDF"),
        ("spectra_svg", "movie_movie.nc_spectra.svg", "<?xml"),
        ("spectra_pdf", "movie_movie.nc_spectra.pdf", "%PDF"),
    ):
        with p.page.expect_download() as download:
            p.button_named(button).click()
        assert download.value.suggested_filename == name
        content = Path(download.value.path()).read_bytes()
        text = content.decode("latin-1" if name.endswith(("png", "pdf")) else "utf-8")
        assert text.startswith(start)
    p.page.evaluate("model('metadata').active = true")
    p.see("noise_gain")
    p.shot("metadata")


def test_file_has_kinetics_at_the_cursor_and_says_what_is_missing(
    page: Any, file_address: str
) -> None:
    p = page(file_address)
    p.tab("Kinetics")
    p.see("Mean rate")
    p.shot("kinetics")
    for title, text in (
        ("Arrhenius", "is a measured file, not the results of a study"),
        ("Diffusion", "is a measured file, not the results of a study"),
        ("History", "plkit.read('movie.nc'"),
    ):
        p.tab(title)
        p.see(text)


def test_series_of_spectra_is_drawn_over_time_and_wavelength(
    page: Any, tmp_path: Path, serve: Any
) -> None:
    series = movie().isel(y=6, x=8, drop=True)
    address = serve(plkit.write(series, tmp_path / "series.nc"))
    p = page(address)
    p.tap("map", 0.5, 0.9)
    p.wait("model('spectrum').title.text.startsWith('time = ')")
    p.drag("spectrum", (0.2, 0.5), (0.35, 0.5))
    p.wait("location.search.startsWith('?s=')")
    p.shot("series")


# Results --------------------------------------------------------------------------------------
def test_every_tab_of_results(page: Any, results_address: str) -> None:
    p = page(results_address)
    p.wait("data('map_image').image.length === 1")
    seen = {
        "Kinetics": "Mean rate", "Arrhenius": "of it, temperature scale", "Diffusion": "Runs test",
        "Composition": "pixels with a number", "Simulate": "Beam-weighted temperature",
        "History": "Provenance of the results",
    }  # fmt: skip
    for title, text in seen.items():
        p.tab(title)
        p.see(text)
        p.wait("Bokeh.documents[0].is_idle")
        if title == "Diffusion":
            p.page.locator("img[alt^=Profile]").wait_for()
        p.shot(title)
    p.tab("Arrhenius")
    all_powers = p.page.evaluate("model('arr_powers').active")
    before = p.page.get_by_text(re.compile("^E_a$")).first
    before.wait_for()
    title = "Bokeh.documents[0]._all_models && [...Bokeh.documents[0]._all_models.values()].find((m) => m.type === 'Title' && m.text.includes('E_a ='))?.text"
    p.wait(title)
    fitted = p.page.evaluate(title)
    p.page.evaluate(f"model('arr_powers').active = {all_powers[1:]}")
    p.wait(f"({title}) !== {fitted!r}")
    p.page.evaluate("model('arr_powers').active = [0]")
    p.wait("model('message').text.includes('1 powers count, not at least 2')")
    p.tab("Simulate")
    p.page.evaluate("model('heat_power_uw').value = 200")
    p.see("305.")


def test_layers_of_results_change_the_map(page: Any, results_address: str) -> None:
    p = page(results_address)
    p.choose("quantity", "x_iodine")
    p.wait("model('message').text.includes('1 of 576 pixels have no result')")
    p.shot("failed")
    p.choose("layer", "film spectra")
    p.wait("model('spectrum').visible && data('spectrum_here').y.length === 256")
    p.choose("layer", "film maps")
    p.wait("!model('spectrum').visible")


def test_narrow_and_dark(page: Any, results_address: str, file_address: str) -> None:
    for address in (file_address, results_address):
        p = page(address, width=700)
        p.button("Dark").click()
        p.wait("document.documentElement.classList.contains('dark')")
        p.wait(
            "model('map').background_fill_color === '#1b2129' || model('map').background_fill_color.value === '#1b2129'"
        )
        for title in TABS:
            p.tab(title)
            p.wait("Bokeh.documents[0].is_idle")
            assert p.page.evaluate("document.documentElement.scrollWidth") <= 700, title
        p.tab("Map")
        p.shot("narrow-" + ("file" if address == file_address else "results"))


# The server -----------------------------------------------------------------------------------
def test_server_listens_on_this_machine_alone(file_address: str) -> None:
    assert file_address.startswith("http://127.0.0.1:")


def test_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from plkit.cli import main

    path = tmp_path / "text.nc"
    path.write_text("no netCDF")
    assert main(["view", str(path), "--no-browser"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Cannot ")
    assert said.count("\n") == 1
