"""Fits of all pixels, and what is dragged, renamed and removed, in a browser."""

# ruff: noqa: F811  fixtures are imported, and asked for by their names

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import plkit
from tests.page_driver import browser, page, serve, served, stop  # noqa: F401  fixtures
from tests.view_data import movie

NAMES = "data('entry_rows').name.join()"
BAND = (
    "Bokeh.index.find_one(model('spectrum')).model.center.find((m) => m.type === 'BoxAnnotation')"
)
LINE = "Bokeh.index.find_one(model('spectrum')).model.center.find((m) => m.type === 'Span')"
IMAGE = "Array.from(data('map_image').image[0]).join()"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("fits")
    server, address = served(plkit.write(movie(), folder / "movie.nc"))
    yield address
    stop(server)


def two_pins(p: Any) -> None:
    """Pin the edge and the middle of the last frame, where the film has turned, as references."""
    p.page.evaluate("model('frame_time').value = 7")
    p.wait("model('map').title.text.includes('75')")
    for n, place in enumerate(((0.03, 0.2), (0.53, 0.54)), 1):
        title = p.page.evaluate("model('spectrum').title.text")
        p.tap("map", *place)
        p.wait(f"model('spectrum').title.text !== {title!r}")
        p.button("Pin").click()
        p.wait(f"data('entry_rows').name.length === {n}")
    p.wait("model('references').options.length === 2")
    p.page.evaluate("model('references').value = ['P1', 'P2']")


def fit(p: Any, kind: str, shown: str, **chosen: str) -> None:
    p.choose("fit_kind", kind)
    for name, value in chosen.items():
        p.wait(f"model('fit_{name}').visible")
        p.choose(f"fit_{name}", value)
    p.wait("!model('fit_all').disabled")
    p.button("Fit all pixels").click()
    p.wait(f"model('quantity').value.endsWith({shown!r})")
    p.wait("model('progress').text.includes('done')")


# Pixel next to the middle of the halo, and one at the corner.
INNER, CORNER = "data('map_image').image[0][6 * 16 + 8]", "data('map_image').image[0][0]"


def test_unmix_every_pixel(page: Any, address: str) -> None:
    p = page(address)
    p.choose("fit_kind", "unmix")
    p.wait("model('progress').text.includes('two reference spectra are needed')")
    assert p.page.evaluate("model('fit_all').disabled")
    two_pins(p)
    fit(p, "unmix", "/fraction:P1")
    p.wait(f"{CORNER} > 0.9 && {INNER} < 0.2")
    p.choose("fit", "components")
    p.wait("data('misfit').x.length > 100")
    p.shot("unmixed")


def test_kinetics_of_every_pixel_by_fractions(page: Any, address: str) -> None:
    p = page(address)
    two_pins(p)
    fit(p, "kinetics", "/mean_rate")
    p.wait(f"Math.abs({INNER} - 1 / 30) < 0.01")
    p.shot("rates")


def test_shared_rates_of_every_pixel(page: Any, address: str) -> None:
    p = page(address)
    p.drag("spectrum", (0.5, 0.5), (0.62, 0.5))
    p.wait("location.search.length > 10")
    fit(p, "kinetics", "/mean_rate", rates="shared")
    assert "shared" in p.page.evaluate("model('quantity').value")
    # The choice outlives a reload.
    p.settled_address()
    p.page.reload(wait_until="commit")
    p.ready()
    p.wait("model('fit_rates').value === 'shared'")
    p.wait("model('quantity').value.includes('shared')")


def test_several_peaks_of_every_pixel(page: Any, address: str) -> None:
    p = page(address)
    fit(p, "lines", "/centre_1", shape="gaussian", peaks="2")
    p.page.evaluate("model('frame_time').value = 7")
    p.wait(f"Math.abs({INNER} - 515) < 1")
    p.shot("peaks")


def test_band_follows_its_edge(page: Any, address: str) -> None:
    p = page(address)
    p.drag("spectrum", (0.5, 0.5), (0.6, 0.5))
    p.wait(f"{BAND}.visible && {BAND}.left > 500")
    left, right, before = (
        p.page.evaluate(f"{BAND}.left"), p.page.evaluate(f"{BAND}.right"), p.page.evaluate(IMAGE)
    )  # fmt: skip
    p.wait(f"{IMAGE} !== '' && data('map_image').image.length === 1")
    x = p.share("spectrum", right)
    p.drag("spectrum", (x, 0.5), (x + 0.05, 0.5), (x + 0.15, 0.5))
    p.wait(f"{BAND}.right > {right} + 20")
    p.wait(f"{IMAGE} !== {before!r}")
    assert p.page.evaluate(f"{BAND}.left") == pytest.approx(left, abs=0.5)
    whole = p.page.evaluate(IMAGE)
    # Taken in the middle, all of it moves.
    middle = p.share("spectrum", p.page.evaluate(f"0.5 * ({BAND}.left + {BAND}.right)"))
    p.drag("spectrum", (middle, 0.5), (middle - 0.1, 0.5), (middle - 0.2, 0.5))
    p.wait(f"{BAND}.left < {left} - 20")
    p.wait(f"{IMAGE} !== {whole!r}")
    p.shot("band")


def test_map_follows_the_line_of_the_slice(page: Any, address: str) -> None:
    p = page(address)
    p.tap("spectrum", 0.8, 0.7)
    p.wait("model('quantity').value === 'slice'")
    p.wait(f"{LINE}.visible")
    at, before = p.page.evaluate(f"{LINE}.location"), p.page.evaluate(IMAGE)
    x = p.share("spectrum", at)
    p.drag("spectrum", (x, 0.5), (x - 0.1, 0.5), (x - 0.25, 0.5))
    p.wait(f"{LINE}.location < {at} - 30")
    p.wait(f"{IMAGE} !== {before!r}")
    p.shot("slice")


def row(p: Any, name: str) -> None:
    p.page.locator(".slick-cell", has_text=name).first.click()
    p.wait(f"!model('rename').disabled && model('rename').value === {name!r}")


def rename(p: Any, name: str) -> None:
    field = p.page.get_by_placeholder("select a row to rename")
    field.fill(name)
    field.press("Enter")


def test_pins_and_regions_are_renamed_and_removed(page: Any, address: str) -> None:
    p = page(address)
    two_pins(p)
    p.button("Draw box").click()
    p.wait("model('map').toolbar.active_drag.description === 'Draw a box region'")
    p.drag("map", (0.1, 0.1), (0.35, 0.4))
    p.wait(f"{NAMES} === 'P1,P2,R1'")
    row(p, "P1")
    rename(p, "pure")
    p.wait(f"{NAMES} === 'pure,P2,R1'")
    p.page.locator(".slick-cell", has_text="pure").first.wait_for()
    p.wait("model('references').value.join() === 'pure,P2'")
    # A name that is taken is refused, and the field shows the old one again.
    row(p, "R1")
    rename(p, "P2")
    p.wait("model('message').text.includes('is taken, not a new name')")
    p.wait("model('rename').value === 'R1'")
    p.wait(f"{NAMES} === 'pure,P2,R1'")
    p.shot("renamed")
    row(p, "P2")
    p.button("Remove").click()
    p.wait(f"{NAMES} === 'pure,R1'")
    p.wait("data('spectrum_kept').name.join() === 'pure,R1'")
    p.page.evaluate("document.activeElement.blur()")
    p.page.mouse.click(5, 5)
    p.page.keyboard.press("Delete")
    p.wait(f"{NAMES} === 'pure'")
    p.button("Remove").click()
    p.wait("model('message').text.includes('nothing is selected in the table')")


def test_fit_of_a_page_that_was_left_is_stopped(page: Any, serve: Any, tmp_path: Path) -> None:
    big = plkit.write(movie(n_times=8, n_y=100, n_x=100), tmp_path / "big.nc")
    address = serve(big)
    p = page(address)
    p.choose("fit_method", "asymmetric")
    p.button("Fit all pixels").click()
    p.wait("model('progress').text.includes('%')")
    p.page.reload(wait_until="commit")
    p.ready()
    p.wait("model('quantity').options.length === 2")
    p.wait("!model('fit_all').disabled")
