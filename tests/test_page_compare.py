"""Two maps side by side, the dark, reference files and sessions in a browser."""

# ruff: noqa: F811  fixtures are imported, and asked for by their names

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import plkit
from plkit import names
from tests.page_driver import browser, page, serve, served, stop  # noqa: F401  fixtures
from tests.view_data import dark_frames, movie, pure_spectra


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    ds = movie().assign(exposure_time=((), 0.5, names.attrs("exposure_time")))
    for name, i in (("before", 0), ("after", 7)):
        raw = ds.isel(time=i, drop=True)
        plkit.write(raw.assign(intensity=(raw.intensity + 100).assign_attrs(raw.intensity.attrs)),
                    folder / f"{name}.nc")  # fmt: skip
    plkit.write(ds, folder / "movie.nc")
    plkit.write(dark_frames(), folder / "dark.nc")
    for name, spectrum in pure_spectra().items():
        raised = (spectrum.intensity + 100).assign_attrs(spectrum.intensity.attrs)
        plkit.write(spectrum.assign(intensity=raised), folder / f"{name}.nc")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    server, address = served(
        folder / "before.nc", folder / "after.nc", "--dark", folder / "dark.nc",
        "--reference", f"start={folder / 'pristine.nc'}", "--reference", folder / "turned.nc",
    )  # fmt: skip
    yield address
    stop(server)


def test_two_files_with_linked_zoom_one_scale_and_difference(page: Any, address: str) -> None:
    p = page(address)
    p.page.evaluate("model('compare').active = true")
    p.wait("model('second').visible && data('second_image').image.length === 1")
    p.wait("model('second').title.text.includes('after.nc')")
    low, high = "model('map').right[0].color_mapper", "model('second').right[0].color_mapper"
    p.wait(f"[{low}.low, {low}.high].join() === [{high}.low, {high}.high].join()")
    p.wait("data('spectrum_kept').name.join() === 'second image'")
    p.shot("files")
    p.page.evaluate("model('map').x_range.start = 2")
    p.wait("model('second').x_range.start === 2")
    p.page.evaluate("model('difference').active = true")
    p.wait("model('second').title.text.includes('first')")
    p.wait(f"{high}.low < 0 && {high}.low === -{high}.high")
    # Light moved from 590 to 515 nm: the sum stays about the same, the band does not.
    p.drag("spectrum", (0.5, 0.5), (0.62, 0.5))
    p.wait("Math.min(...data('second_image').image[0]) < -1000")
    p.shot("difference")
    with p.page.expect_download() as download:
        p.button_named("second_pdf").click()
    assert download.value.suggested_filename == "before_before.nc_second.pdf"
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")
    p.page.evaluate("model('compare').active = false")
    p.wait("!model('second').visible")


def test_dark_and_reference_files_unmix_a_raw_map(page: Any, address: str, folder: Path) -> None:
    p = page(address)
    p.choose("layer", "after.nc")
    p.wait("model('layer').value === 'after.nc' && model('references').options.length === 2")
    p.page.evaluate("model('references').value = ['start', 'turned']")
    p.choose("fit_kind", "unmix")
    p.wait("!model('fit_all').disabled && model('fit_background').visible")
    p.button("Fit all pixels").click()
    p.wait("model('quantity').value.endsWith('/fraction:start')")
    p.shot("unmixed")
    p.button("Copy as Python").click()
    p.wait("model('code').value.includes('subtract_dark')")
    scope: dict[str, Any] = {}
    exec(compile(p.page.evaluate("model('code').value"), "copied", "exec"), scope)
    drawn = p.page.evaluate("Array.from(data('map_image').image[0])")
    assert scope["image"].values.ravel().tolist() == pytest.approx(drawn, rel=1e-5)
    assert float(scope["image"].min()) < 0.5 < float(scope["image"].max())


def test_session_is_saved_and_opened(page: Any, folder: Path, tmp_path: Path, serve: Any) -> None:
    address = serve(folder / "movie.nc")
    p = page(address)
    p.tap("map", 0.3, 0.3)
    p.button("Pin").click()
    p.wait("data('entry_rows').name.length === 1")
    p.button("Draw box").click()
    p.wait("model('map').toolbar.active_drag.description === 'Draw a box region'")
    p.drag("map", (0.1, 0.1), (0.35, 0.4))
    p.wait("data('entry_rows').name.length === 2")
    p.page.keyboard.press(".")
    p.wait("model('frame_time').value === 1")
    with p.page.expect_download() as download:
        p.button("Save session").click()
    kept = tmp_path / "kept.json"
    kept.write_bytes(Path(download.value.path()).read_bytes())
    content = json.loads(kept.read_text("utf-8"))
    assert [e["name"] for e in content["state"]["pins"]] == ["P1"]
    fresh = page(address)
    fresh.wait("data('entry_rows').name.length === 0")
    with fresh.page.expect_navigation():
        fresh.page.locator("input[type=file]").set_input_files(kept)
    fresh.ready()
    fresh.wait("data('entry_rows').name.join() === 'P1,R1'")
    fresh.wait("model('frame_time').value === 1")
    fresh.shot("opened")
    other = tmp_path / "other.json"
    other.write_text("{}", "utf-8")
    fresh.page.locator("input[type=file]").set_input_files(other)
    fresh.wait("model('message').text.includes('no session of plkit view')")
    address = serve(folder / "movie.nc", "--session", kept)
    p = page(address)
    p.wait("data('entry_rows').name.join() === 'P1,R1'")


def test_fits_that_are_gone_are_said(page: Any, folder: Path, serve: Any) -> None:
    from plkit.apps.view.state import ViewState

    state = ViewState(layer="movie.nc", quantity="peaks parabola/peak_energy")
    address = serve(folder / "movie.nc")
    p = page(address, query=f"?s={state.encoded()}")
    p.wait("model('message').text.includes('is not fitted here')")
    p.wait("model('quantity').value === 'band'")


def test_fixtures_hold_what_is_said(folder: Path) -> None:
    with xr.open_dataset(folder / "dark.nc", decode_timedelta=False) as ds:
        assert float(ds.intensity.mean()) == pytest.approx(100.0, abs=1.0)
