"""The viewer without a browser: layers, state, what is drawn, whole-map fits, code that is copied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.apps.view import layers as layers_module
from plkit.apps.view import values
from plkit.apps.view.code import python_of, recipe_of
from plkit.apps.view.layers import open_layers
from plkit.apps.view.operations import OPERATIONS, Job, key_of, references_of, settings_of
from plkit.apps.view.overlay import MODELS, overlay_of
from plkit.apps.view.state import ViewState
from plkit.apps.view.workspace import Workspace
from plkit.errors import DataError, FileFormatError
from tests.view_data import movie


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("view")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return movie()


@pytest.fixture(scope="module")
def path(folder: Path, ds: xr.Dataset) -> Path:
    return plkit.write(ds, folder / "movie.nc")


@pytest.fixture(scope="module")
def layer(path: Path) -> layers_module.Layer:
    return open_layers(path)[0]


@pytest.fixture
def state(layer) -> ViewState:
    return ViewState(layer=layer.name, quantity="band", row=6, col=8)


# Layers ---------------------------------------------------------------------------------------
def test_map_over_time(layer) -> None:
    assert (layer.plane, layer.outer, layer.spectral) == (("y", "x"), ("time",), "wavelength")
    assert layer.quantities == ("band", "slice")
    assert layer.is_map
    assert not layer.lazy


def test_series_is_drawn_over_time_and_wavelength(folder: Path, ds: xr.Dataset) -> None:
    path = plkit.write(ds.isel(y=6, x=8, drop=True), folder / "series.nc")
    layer = open_layers(path)[0]
    assert (layer.plane, layer.outer, layer.is_map) == (("time", "wavelength"), (), False)
    dim, x, y = values.trace_of(layer, "spectra", {}, 0, 0, band=(505.0, 525.0))
    assert dim == "time"
    assert x.tolist() == ds.time.values.tolist()
    assert y[-1] > 3 * y[0]


def test_single_spectrum_has_no_plane(folder: Path, ds: xr.Dataset) -> None:
    path = plkit.write(ds.isel(time=0, y=0, x=0, drop=True), folder / "one.nc")
    layer = open_layers(path)[0]
    assert (layer.plane, layer.outer) == ((), ())
    assert values.spectrum_of(layer, {}, 0, 0).intensity.sizes == {"wavelength": 126}


def test_large_file_is_read_plane_by_plane(
    path: Path, ds: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers_module, "LAZY_BYTES", 1000)
    layer = open_layers(path)[0]
    assert layer.lazy
    assert layer.ds.intensity.chunks is not None
    import dask

    def refuse(*_a, **_k):
        raise AssertionError("read")

    with dask.config.set(scheduler=refuse):  # the axes alone need no value
        band = values.band_of(layer, (580.0, 600.0))
        with pytest.raises(AssertionError, match="read"):
            values.plane_of(layer, "band", {"time": 1}, band=(580.0, 600.0))
    image = values.plane_of(layer, "band", {"time": 1}, band=(580.0, 600.0))
    expected = ds.intensity.isel(time=1, wavelength=band).sum("wavelength")
    np.testing.assert_array_equal(image, expected)
    spectrum = values.spectrum_of(layer, {"time": 1}, 3, 4)
    np.testing.assert_array_equal(spectrum.intensity, ds.intensity.isel(time=1, y=3, x=4))


def test_missing_file_is_refused(folder: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nothing\.nc"):
        open_layers(folder / "nothing.nc")


def test_scalars_alone_are_refused() -> None:
    ds = xr.Dataset({"k1": ((), 0.1, {"units": "1/s"})})
    with pytest.raises(DataError, match="neither spectra nor a map"):
        layers_module.layer_of("rates", ds, "ds")


# State ----------------------------------------------------------------------------------------
def test_nothing_is_lost_in_the_address(state: ViewState) -> None:
    state.pin("edge")
    state.add_region([0.0, 2.0, 2.0, 0.0], [0.0, 0.0, 1.5, 1.5], "corner")
    state.param.update(band=(500.0, 530.0), log=True, at={"time": 3}, references=["edge", "corner"])
    again = ViewState.decoded(state.encoded())
    before, after = (
        {k: v for k, v in s.param.values().items() if k != "name"} for s in (state, again)
    )
    assert before == after


@pytest.mark.parametrize("text", ["nonsense", "e30", "AAAA", ""])
def test_foreign_address_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="no state of this page"):
        ViewState.decoded(text)


def test_address_that_unpacks_to_a_flood_is_refused() -> None:
    import base64
    import zlib

    bomb = base64.urlsafe_b64encode(zlib.compress(b'"' + b"a" * 50_000_000 + b'"')).decode()
    with pytest.raises(DataError, match="no state of this page"):
        ViewState.decoded(bomb)


def test_names_stay_apart_and_references_follow_a_rename(state: ViewState) -> None:
    first, second = state.pin(), state.pin()
    assert (first["name"], second["name"]) == ("P1", "P2")
    assert first["colour"] != second["colour"]
    state.references = ["P1", "P2"]
    state.rename("P1", "bromide")
    assert state.references == ["bromide", "P2"]
    with pytest.raises(DataError, match="'P2' is taken"):
        state.rename("bromide", "P2")
    with pytest.raises(DataError, match="empty"):
        state.rename("bromide", " ")
    state.remove("bromide")
    assert [p["name"] for p in state.pins] == ["P2"]
    assert state.references == ["P2"]


def test_region_needs_three_corners(state: ViewState) -> None:
    with pytest.raises(DataError, match="2 corners, not at least 3"):
        state.add_region([0.0, 1.0], [0.0, 1.0])


# What is drawn --------------------------------------------------------------------------------
def test_band_does_not_overflow_small_integers(ds: xr.Dataset) -> None:
    bright = ds.assign(intensity=xr.full_like(ds.intensity, 60_000))
    assert bright.intensity.dtype == np.uint16
    image = values.plane_of(layers_module.layer_of("bright", bright, "ds"), "band", {"time": 0})
    assert set(image.ravel().tolist()) == {126 * 60_000.0}


def test_band_between_two_channels_takes_the_nearest(layer) -> None:
    axis = layer.axis("wavelength")
    assert values.band_of(layer, (axis[10] + 0.1, axis[10] + 0.2)) == slice(10, 11)


def test_mean_of_a_box_has_the_sigma_of_a_mean(layer, ds: xr.Dataset) -> None:
    one = values.spectrum_of(layer, {"time": 0}, 1, 1)
    box = values.spectrum_of(layer, {"time": 0}, 1, 1, half=1)
    part = ds.intensity.isel(time=0, y=slice(0, 3), x=slice(0, 3))
    np.testing.assert_allclose(box.intensity, part.mean(["y", "x"]))
    ratio = float(
        (one.intensity_stderr / box.intensity_stderr).sel(wavelength=slice(580, 600)).mean()
    )
    assert ratio == pytest.approx(3.0, rel=0.1)


def test_box_is_cut_off_at_the_edge(layer) -> None:
    assert values.box_of(layer, 0, 15, 2) == {"y": slice(0, 3), "x": slice(13, 16)}


def test_energy_axis_carries_the_jacobian(layer) -> None:
    nm = values.spectrum_of(layer, {"time": 0}, 6, 8)
    ev = values.spectrum_of(layer, {"time": 0}, 6, 8, energy=True)
    expected = plkit.spectra.to_energy(nm[["intensity"]])
    np.testing.assert_allclose(ev.intensity, expected.intensity)
    # Counts that agree at 2 eV, where 1 eV is 309.96 nm wide.
    area = 309.96 * float(ev.intensity.integrate("energy"))
    assert area == pytest.approx(float(nm.intensity.integrate("wavelength")), rel=2e-3)


def test_region_gives_count_mean_and_sigma(layer, state: ViewState, ds: xr.Dataset) -> None:
    region = state.add_region([-0.1, 1.1, 1.1, -0.1], [-0.1, -0.1, 0.6, 0.6])
    image = values.plane_of(layer, "band", {"time": 0})
    row = values.region_table(layer, image, [region])[0]
    pixels = ds.intensity.isel(time=0, y=slice(0, 2), x=slice(0, 3)).sum("wavelength").values
    assert (row["n"], row["n_pixels"]) == (6, 6)
    assert row["mean"] == pytest.approx(pixels.mean())
    assert row["scatter"] == pytest.approx(pixels.std(ddof=1))
    assert row["stderr"] == pytest.approx(pixels.std(ddof=1) / np.sqrt(6))


def test_trace_is_that_of_the_pixels(layer, state: ViewState, ds: xr.Dataset) -> None:
    region = state.add_region([1.9, 4.1, 4.1, 1.9], [0.9, 0.9, 3.1, 3.1])
    mask = values.region_mask(layer, region)
    band = (580.0, 600.0)
    total = ds.intensity.sel(wavelength=slice(*band)).sum("wavelength")
    dim, x, y = values.trace_of(layer, "band", {}, 2, 3, 1, band=band)
    assert (dim, x.size) == ("time", 8)
    np.testing.assert_allclose(y, total.isel(y=slice(1, 4), x=slice(2, 5)).mean(["y", "x"]))
    y = values.trace_of(layer, "band", {}, 0, 0, mask=mask, band=band)[2]
    np.testing.assert_allclose(y, total.sel(y=slice(1, 3), x=slice(2, 4)).mean(["y", "x"]))


def test_region_leaves_failed_pixels_out(layer, state: ViewState) -> None:
    region = state.add_region([-1.0, 9.0, 9.0, -1.0], [-1.0, -1.0, 9.0, 9.0])
    image = np.ones((12, 16))
    image[:3] = np.nan
    row = values.region_table(layer, image, [region])[0]
    assert (row["n"], row["n_pixels"], row["mean"]) == (9 * 16, 12 * 16, 1.0)


def test_polygon_is_not_its_bounding_box() -> None:
    px, py = np.meshgrid(np.arange(5.0) + 0.5, np.arange(5.0) + 0.5)
    triangle = values.inside(px, py, [0.0, 5.0, 0.0], [0.0, 0.0, 5.0])
    assert triangle.sum() == 10  # below the diagonal; pixels on it are outside
    assert triangle[0, 3]
    assert not triangle[3, 3]


def test_colour_scale_takes_percentiles_of_numbers() -> None:
    image = np.concatenate([np.linspace(0.0, 100.0, 1001), [np.nan, np.inf, -np.inf]])
    assert values.levels_of(image, 5.0, False) == pytest.approx((5.0, 95.0))
    low, high = values.levels_of(np.array([0.0, -1.0, 10.0, 1000.0]), 0.0, True)
    assert (low, high) == (10.0, 1000.0)
    assert values.levels_of(np.full(3, np.nan), 0.5, False) == (0.0, 1.0)
    low, high = values.levels_of(np.full(3, 7.0), 0.5, False)
    assert low < high


# Fits over the spectrum -----------------------------------------------------------------------
@pytest.mark.parametrize("fit", list(MODELS))
def test_parts_add_up_and_the_peak_is_found(layer, fit: str) -> None:
    found = overlay_of(values.spectrum_of(layer, {"time": 0}, 0, 0, half=2), fit)
    assert found is not None
    assert found.in_sigma
    assert found.x[found.total.argmax()] == pytest.approx(590.0, abs=4.0)
    if len(found.parts) == 1:
        np.testing.assert_allclose(next(iter(found.parts.values())), found.total)
    if fit == "gaussian":
        assert 0.6 < float(np.std(found.residual)) < 1.4


def test_components_add_up_to_the_fit(layer, state: ViewState) -> None:
    state.param.update(row=0, col=0, at={"time": 7})
    state.pin("pure")
    state.param.update(row=6, col=8)
    state.pin("turned")
    state.references = ["pure", "turned"]
    refs = references_of(layer, state)
    found = overlay_of(values.spectrum_of(layer, {"time": 7}, 4, 8), "components", refs)
    assert found is not None
    np.testing.assert_allclose(sum(found.parts.values()), found.total)
    assert len(found.lines) == 2


def test_one_reference_is_refused(layer, state: ViewState) -> None:
    state.pin("pure")
    state.references = ["pure"]
    with pytest.raises(DataError, match="1 reference spectra are chosen, not at least 2"):
        references_of(layer, state)


# Whole-map fits -------------------------------------------------------------------------------
def fitted(layer, state: ViewState, kind: str) -> Job:
    job = Job(layer, settings_of(kind, layer, state, {}))
    job.run()
    assert job.error == ""
    return job


def test_blocks_give_what_one_call_gives(layer, state: ViewState, monkeypatch) -> None:
    monkeypatch.setattr("plkit.apps.view.operations._SPECTRA_PER_BLOCK", 300)
    seen: list[float] = []
    job = Job(
        layer, settings_of("peaks", layer, state, {}), lambda j: seen.append(j.done / j.total)
    )
    job.run()
    assert len(seen) > 5
    assert seen == sorted(seen)
    whole = plkit.fit_peaks(layer.ds)
    for name in ("peak_energy", "peak_energy_stderr", "fit_status"):
        np.testing.assert_array_equal(job.result[name], whole[name])
    assert job.result["peak_energy"].dims == whole["peak_energy"].dims


def test_cancel_stops_between_blocks_and_keeps_nothing(
    layer, state: ViewState, monkeypatch
) -> None:
    monkeypatch.setattr("plkit.apps.view.operations._SPECTRA_PER_BLOCK", 1)
    job = Job(layer, settings_of("peaks", layer, state, {}))

    def stop(j: Job) -> None:
        if j.done == 2:
            j.cancel()

    job.on_change = stop
    job.start()
    job.join(20)
    assert not job.running
    assert job.done == 2
    assert job.result is None
    assert job.error == ""


def test_fault_of_a_fit_becomes_a_sentence(layer, state: ViewState) -> None:
    state.band = (300.0, 310.0)
    job = Job(layer, settings_of("peaks", layer, state, {}))
    job.run()
    assert job.result is None
    assert job.error.startswith("Cannot ")


def test_what_a_fit_lacks_is_said(layer, state: ViewState) -> None:
    assert OPERATIONS["peaks"].missing(layer, state) == ""
    assert "reference" in OPERATIONS["unmix"].missing(layer, state)
    still = layers_module.layer_of("still", layer.ds.isel(time=0, drop=True), "ds")
    assert "frames in time" in OPERATIONS["kinetics"].missing(still, state)


def test_kinetics_of_every_pixel(layer, state: ViewState) -> None:
    state.band = (570.0, 610.0)
    job = fitted(layer, state, "kinetics")
    rate = job.result["mean_rate"].isel(y=slice(5, 8), x=slice(7, 10))
    assert float(rate.median()) == pytest.approx(1 / 30, rel=0.3)


# Code that is copied --------------------------------------------------------------------------
def executed(text: str) -> dict:
    scope: dict = {}
    exec(compile(text, "copied", "exec"), scope)
    return scope


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": "band"},
        {"quantity": "band", "band": (580.0, 600.0), "at": {"time": 4}},
        {"quantity": "slice", "slice_at": 515.0, "half": 2},
    ],
)
def test_copied_python_gives_what_is_shown(layer, path: Path, state: ViewState, changes) -> None:
    state.param.update(**changes)
    state.pin("a")
    state.add_region([-0.1, 2.2, 2.2, -0.1], [-0.1, -0.1, 1.2, 1.2], "corner")
    work = Workspace((layer,), str(path))
    scope = executed(python_of(work, layer, state))
    image = work.plane(layer, state)
    np.testing.assert_allclose(scope["image"], image)
    shown = values.spectrum_of(layer, state.at, state.row, state.col, state.half)
    np.testing.assert_allclose(scope["spectrum"], shown.intensity)
    np.testing.assert_allclose(scope["pins"]["a"], shown.intensity)
    row = values.region_table(layer, image, state.regions)[0]
    assert scope["means"]["corner"] == pytest.approx(row["mean"])
    assert scope["figure"].axes


@pytest.mark.parametrize("kind", ["peaks", "composition", "unmix"])
def test_copied_python_repeats_a_whole_map_fit(
    layer, path: Path, state: ViewState, kind: str
) -> None:
    from plkit.apps.view.code import references_code

    state.param.update(row=0, col=0, at={"time": 7})
    state.pin("pure")
    state.param.update(row=6, col=8)
    state.pin("turned")
    state.references = ["pure", "turned"]
    work = Workspace((layer,), str(path))
    settings = settings_of(kind, layer, state, {})
    code = [references_code(layer, state, ["pure", "turned"])] if kind == "unmix" else []
    code.append(f"result = {OPERATIONS[kind].code(settings)}")
    work.keep(layer, key_of(settings), fitted(layer, state, kind).result, code)
    name = {"peaks": "peak_energy", "composition": "x_iodine", "unmix": "fraction:turned"}[kind]
    state.quantity = f"{key_of(settings)}/{name}"
    assert state.quantity in work.quantities(layer)
    scope = executed(python_of(work, layer, state))
    np.testing.assert_allclose(scope["image"], work.plane(layer, state))


def test_copied_recipe_runs_and_finds_the_same_peaks(folder: Path, ds: xr.Dataset) -> None:
    still = ds.isel(time=-1, drop=True)
    path = plkit.write(still, folder / "still.nc")
    layer = open_layers(path)[0]
    state = ViewState(layer=layer.name, quantity="band", band=(480.0, 640.0))
    text = recipe_of(layer, state, {"calibration": "cunha2025"})
    recipe = folder / "recipe" / "STUDY.toml"
    recipe.parent.mkdir()
    recipe.write_text(text, "utf-8")
    tree = plkit.run_study(recipe)
    found = tree["still/overview"]["x_iodine"]
    settings = settings_of("composition", layer, ViewState(), {})
    job = Job(layer, settings)
    job.run()
    np.testing.assert_allclose(found, job.result["x_iodine"])


def test_recipe_that_cannot_be_written_says_why(layer, path: Path, state: ViewState) -> None:
    with pytest.raises(DataError, match="the map runs over time too"):
        recipe_of(layer, state, {})


# Results --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.view_data import results_file

    return results_file(tmp_path_factory.mktemp("results"))


def test_layers_of_results(results: Path) -> None:
    found = {a.name: a for a in open_layers(results)}
    assert list(found) == ["film maps", "film spectra"]
    assert found["film maps"].outer == ("power",)
    assert "fraction:bromide" in found["film maps"].quantities
    assert "x_iodine" in found["film maps"].quantities
    assert found["film spectra"].plane == ("time", "wavelength")
    assert [a.name for a in open_layers(results.parent)] == list(found)


def test_copied_python_of_results(results: Path) -> None:
    layers = open_layers(results)
    work = Workspace(layers, str(results))
    for layer, quantity in (
        (layers[0], "fraction:bromide"),
        (layers[0], "x_iodine"),
        (layers[1], "spectra"),
    ):
        state = ViewState(layer=layer.name, quantity=quantity, at={"power": 1})
        scope = executed(python_of(work, layer, state))
        np.testing.assert_allclose(scope["image"], work.plane(layer, state))


def test_pages_are_valid_documents(results: Path, path: Path) -> None:
    """The server leaves this out, to be quick."""
    from bokeh.core.validation.check import check_integrity
    from bokeh.document import Document

    from plkit.apps.view.page import make_page

    for where in (path, results):
        document = Document()
        make_page(document, Workspace(open_layers(where), str(where)))
        found = check_integrity(document.models)
        assert found.error == []
        assert len(document.models) > 100


def test_pixel_without_a_reading_is_no_zero(tmp_path: Path) -> None:
    ds = movie(n_times=2)
    ds["intensity"] = ds["intensity"].astype(float)
    ds["intensity"][0, 3, 5] = np.nan
    ds["intensity"][0, 0, 0, 7] = np.nan  # one channel: the others are summed
    path = plkit.write(ds, tmp_path / "gap.nc")
    layers = open_layers(path)
    work = Workspace(layers, str(path))
    state = ViewState(layer=layers[0].name, quantity="band")
    image = work.plane(layers[0], state)
    assert np.flatnonzero(np.isnan(image)).tolist() == [3 * ds.sizes["x"] + 5]
    np.testing.assert_array_equal(executed(python_of(work, layers[0], state))["image"], image)


def test_mean_frames_of_a_study_have_the_noise_of_a_mean(results: Path, tmp_path: Path) -> None:
    tree = plkit.open_results(results)
    raw = tree["film/raw"].to_dataset()
    n_frames = raw.sizes["movie_time"]
    raw["total_intensity"] = ("time", np.ones(5 * n_frames))  # every frame is the mean of 5
    tree["film/raw"] = raw
    path = tmp_path / "results.nc"
    tree.to_netcdf(path, engine="netcdf4")
    layers = {a.name: a for a in open_layers(path)}
    layer = layers["film spectra"]
    assert float(layer.ds["noise_gain"]) == pytest.approx(0.2)
    work = Workspace(list(layers.values()), str(path))
    state = ViewState(layer=layer.name, quantity="spectra", at={"power": 1})
    assert "noise_gain=lambda ds: ds.noise_gain / 5" in python_of(work, layer, state)
    executed(python_of(work, layer, state))


def test_recipe_of_results_is_the_one_they_were_made_by(results: Path) -> None:
    layers = open_layers(results)
    text = recipe_of(layers[0], ViewState(), {})
    assert text.startswith("[study]")
