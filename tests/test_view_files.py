"""Files side by side, dark and references, sessions, and what is copied of them; without a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.apps.view import layers as layers_module
from plkit.apps.view import values
from plkit.apps.view.code import code_of, python_of, recipe_of
from plkit.apps.view.export import figure_bytes
from plkit.apps.view.opening import open_files
from plkit.apps.view.operations import (
    OPERATIONS,
    Job,
    key_of,
    reference_names,
    references_of,
    settings_of,
)
from plkit.apps.view.session import read_session, session_text
from plkit.apps.view.state import ViewState
from plkit.apps.view.workspace import Workspace
from plkit.errors import DataError, FileFormatError, PlkitWarning
from tests.view_data import dark_frames, movie, pure_spectra


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")

    def raised(ds: xr.Dataset) -> xr.Dataset:
        more = (ds["intensity"] + 100).assign_attrs(ds["intensity"].attrs)
        return ds.assign(intensity=more, exposure_time=((), 0.5, names.attrs("exposure_time")))

    ds = movie()
    plkit.write(ds, folder / "movie.nc")
    plkit.write(raised(ds), folder / "raw.nc")
    plkit.write(raised(ds.isel(time=0, drop=True)), folder / "before.nc")
    plkit.write(raised(ds.isel(time=7, drop=True)), folder / "after.nc")
    plkit.write(dark_frames(), folder / "dark.nc")
    for name, spectrum in pure_spectra().items():
        plkit.write(raised(spectrum), folder / f"{name}.nc")
    return folder


@pytest.fixture(scope="module")
def raw(folder: Path) -> layers_module.Layer:
    """A raw movie, with its dark and its references."""
    return open_files(
        [folder / "raw.nc"],
        references=[str(folder / "pristine.nc"), f"new={folder / 'turned.nc'}"],
        dark=folder / "dark.nc",
    )[0]


def executed(text: str) -> dict:
    scope: dict = {}
    exec(compile(text, "copied", "exec"), scope)
    return scope


def fitted(layer, state: ViewState, kind: str, chosen: dict) -> tuple[Workspace, str]:
    """Workspace with a whole-map fit, and the key of the fit."""
    settings = settings_of(kind, layer, state, chosen)
    job = Job(layer, settings)
    job.run()
    assert job.error == ""
    work = Workspace((layer,), layer.path)
    work.keep(layer, key_of(settings), job.result, code_of(layer, state, settings))
    return work, key_of(settings)


# Opening --------------------------------------------------------------------------------------
def test_dark_is_subtracted_from_spectra_and_references(raw, folder: Path) -> None:
    clean = plkit.read(folder / "movie.nc")
    assert float(abs(raw.ds.intensity - clean.intensity).mean()) < 1.0
    assert list(raw.references) == ["pristine", "new"]
    assert abs(float(raw.references["new"].ds.intensity[-20:].mean())) < 2.0
    xr.testing.assert_allclose(eval(raw.code).intensity, raw.ds.intensity)


def test_large_file_with_a_dark_stays_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers_module, "LAZY_BYTES", 1000)
    layer = open_files([folder / "raw.nc"], dark=folder / "dark.nc")[0]
    assert layer.lazy
    assert layer.ds.intensity.chunks is not None
    image = values.plane_of(layer, "band", {"time": 2})
    clean = plkit.read(folder / "movie.nc").intensity.isel(time=2).sum("wavelength")
    np.testing.assert_allclose(image, clean, atol=126.0)


def test_dark_without_exposure_time_is_noted(folder: Path, tmp_path: Path) -> None:
    path = plkit.write(dark_frames().drop_vars("exposure_time"), tmp_path / "dark.nc")
    with pytest.warns(PlkitWarning, match="exposure time of data and dark is not known"):
        open_files([folder / "raw.nc"], dark=path)


def test_two_files_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    plkit.write(movie(3), tmp_path / "movie.nc")
    found = open_files([folder / "movie.nc", tmp_path / "movie.nc"])
    assert [a.name for a in found] == ["movie.nc", str(tmp_path / "movie.nc")]


def test_two_references_of_one_name_are_refused(folder: Path) -> None:
    file = str(folder / "turned.nc")
    with pytest.raises(DataError, match="two of them have the same name"):
        open_files([folder / "raw.nc"], references=[f"a={file}", f"a={file}"])


def test_missing_reference_and_dark_are_refused(folder: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nothing\.nc"):
        open_files([folder / "raw.nc"], references=["nothing.nc"])
    with pytest.raises(FileFormatError, match=r"night\.nc"):
        open_files([folder / "raw.nc"], dark="night.nc")


def test_dark_of_other_channels_is_refused(folder: Path, tmp_path: Path) -> None:
    path = plkit.write(dark_frames().isel(wavelength=slice(0, 50)), tmp_path / "short.nc")
    with pytest.raises(DataError, match="the dark has 50 channels"):
        open_files([folder / "raw.nc"], dark=path)


# References from files ------------------------------------------------------------------------
def test_files_pins_and_regions_are_references(raw) -> None:
    state = ViewState(layer=raw.name, quantity="band", row=6, col=8, at={"time": 7})
    state.pin("P1")
    assert reference_names(raw, state) == ["pristine", "new", "P1"]
    state.references = ["pristine", "P1"]
    refs = references_of(raw, state)
    assert refs.component.values.tolist() == ["pristine", "P1"]
    assert float(refs.sel(component="pristine").idxmax()) == pytest.approx(590, abs=3)


def test_unmixing_by_files_finds_the_truth_and_is_copied(raw) -> None:
    state = ViewState(layer=raw.name, row=6, col=8, references=["pristine", "new"])
    # The movie has 3 counts of constant light in every channel.
    work, key = fitted(raw, state, "unmix", {"background": "constant"})
    found = work.maps(raw)[key]["fraction"].sel(component="new")
    truth = 1.0 - np.exp(-raw.ds.time.values / 30.0)
    edge = float(np.exp(-(0.25**2 + 0.25**2) / 4.0))  # the middle lies between pixels
    middle = found.isel(y=6, x=8).values
    np.testing.assert_allclose(middle, truth * edge, atol=0.03)
    state.param.update(quantity=f"{key}/fraction:new", at={"time": 4})
    scope = executed(python_of(work, raw, state))
    np.testing.assert_allclose(scope["image"], work.plane(raw, state))


def test_recipe_states_dark_and_references_and_runs(folder: Path, tmp_path: Path) -> None:
    raw = plkit.read(folder / "raw.nc").isel(y=6, x=8, drop=True)
    raw = raw.assign_coords(power=((), 10.0, names.attrs("power")))
    path = plkit.write(raw, tmp_path / "series.nc")
    layer = open_files(
        [path], references=[f"pristine={folder / 'pristine.nc'}", f"new={folder / 'turned.nc'}"],
        dark=folder / "dark.nc",
    )[0]  # fmt: skip
    state = ViewState(layer=layer.name, references=["pristine", "new"])
    text = recipe_of(layer, state, {"background": "constant"})
    recipe = tmp_path / "study" / "STUDY.toml"
    recipe.parent.mkdir()
    recipe.write_text(text, "utf-8")
    tree = plkit.run_study(recipe)
    found = tree["series/unmixed"]["fraction"].sel(component="new").squeeze()
    refs = references_of(layer, state)
    mine = plkit.unmix(layer.ds, refs, background="constant", nonnegative=False)
    np.testing.assert_allclose(found, mine["fraction"].sel(component="new").squeeze(), atol=1e-6)


# More whole-map fits --------------------------------------------------------------------------
def still(folder: Path) -> layers_module.Layer:
    ds = movie(8, 3, 4)
    return open_files([plkit.write(ds, folder / "small.nc")])[0]


def test_several_peaks_of_every_pixel(tmp_path: Path) -> None:
    layer = still(tmp_path)
    state = ViewState(layer=layer.name, row=1, col=2, at={"time": 3})
    work, key = fitted(layer, state, "lines", {"shape": "gaussian", "peaks": "2"})
    result = work.maps(layer)[key]
    late = result.isel(time=slice(2, None), y=1, x=slice(1, 3))
    np.testing.assert_allclose(late["centre_1"], 515.0, atol=1.0)
    np.testing.assert_allclose(late["centre_2"], 590.0, atol=1.0)
    state.quantity = f"{key}/centre_2"
    scope = executed(python_of(work, layer, state))
    np.testing.assert_allclose(scope["image"], work.plane(layer, state))


@pytest.mark.parametrize("rates", ["free", "shared"])
@pytest.mark.parametrize("by", ["band", "references"])
def test_kinetics_of_every_pixel_is_copied(tmp_path: Path, rates: str, by: str) -> None:
    layer = still(tmp_path)
    state = ViewState(layer=layer.name, row=0, col=0, band=(570.0, 610.0))
    if by == "references":
        state.pin("pure")
        state.param.update(row=1, col=2, at={"time": 7})
        state.pin("turned")
        # Both are of the last frame, so that the code states one frame.
        state.references = ["pure", "turned"]
    work, key = fitted(layer, state, "kinetics", {"rates": rates})
    result = work.maps(layer)[key]
    if rates == "shared":
        k1 = result["k1"].values
        assert np.nanmax(k1) == pytest.approx(np.nanmin(k1))
        assert "free_rates_p" in result
        assert key.split()[-1] != "free"
    state.quantity = f"{key}/mean_rate"
    scope = executed(python_of(work, layer, state))
    np.testing.assert_allclose(scope["image"], work.plane(layer, state))


def test_shared_rates_do_not_depend_on_blocks(tmp_path: Path, monkeypatch) -> None:
    layer = still(tmp_path)
    state = ViewState(layer=layer.name, band=(570.0, 610.0))
    whole, key = fitted(layer, state, "kinetics", {"rates": "shared"})
    monkeypatch.setattr("plkit.apps.view.operations._SPECTRA_PER_BLOCK", 1)
    blocks, _ = fitted(layer, state, "kinetics", {"rates": "shared"})
    np.testing.assert_array_equal(
        whole.maps(layer)[key]["mean_rate"], blocks.maps(layer)[key]["mean_rate"]
    )


def test_every_fit_states_its_choices() -> None:
    from plkit.apps.view.operations import CHOSEN

    for operation in OPERATIONS.values():
        assert set(operation.choices) <= set(CHOSEN)


# Two images -----------------------------------------------------------------------------------
@pytest.mark.parametrize("difference", [False, True])
def test_copied_python_of_two_files(folder: Path, difference: bool) -> None:
    layers = open_files([folder / "before.nc", folder / "after.nc"])
    work = Workspace(layers, str(folder / "before.nc"), others=(str(folder / "after.nc"),))
    state = ViewState(
        layer="before.nc", quantity="band", band=(500.0, 530.0), compare=0, difference=difference
    )
    other, at = work.compared(layers[0], state)
    assert other.name == "after.nc"
    second = work.plane(other, state, at=at)
    scope = executed(python_of(work, layers[0], state))
    np.testing.assert_allclose(scope["second"], second)
    if difference:
        np.testing.assert_allclose(scope["difference"], second - work.plane(layers[0], state))
        assert float(scope["difference"].max()) > 1000
    assert work.title == "before.nc, after.nc"


def test_copied_python_of_two_frames(folder: Path) -> None:
    layers = open_files([folder / "movie.nc"])
    work = Workspace(layers, str(folder / "movie.nc"))
    state = ViewState(layer="movie.nc", quantity="slice", slice_at=515.0, compare=7, at={"time": 1})
    other, at = work.compared(layers[0], state)
    assert (other.name, at) == ("movie.nc", {"time": 7})
    scope = executed(python_of(work, layers[0], state))
    np.testing.assert_allclose(scope["second"], work.plane(other, state, at=at))


@pytest.mark.parametrize("same", [True, False])
def test_copied_python_of_fits_side_by_side(folder: Path, same: bool) -> None:
    layers = open_files([folder / "movie.nc", folder / "raw.nc"])
    work = Workspace(layers, "movie.nc")
    settings = settings_of("peaks", layers[0], ViewState(), {})
    for layer in layers:
        job = Job(layer, settings)
        job.run()
        work.keep(layer, key_of(settings), job.result, code_of(layer, ViewState(), settings))
    state = ViewState(
        layer="movie.nc", quantity=f"{key_of(settings)}/peak_energy", compare=5,
        compare_layer="movie.nc" if same else "raw.nc",
    )  # fmt: skip
    other, at = work.compared(layers[0], state)
    scope = executed(python_of(work, layers[0], state))
    np.testing.assert_allclose(scope["image"], work.plane(layers[0], state))
    np.testing.assert_allclose(scope["second"], work.plane(other, state, at=at))


# Sessions -------------------------------------------------------------------------------------
def test_session_keeps_everything(folder: Path) -> None:
    layers = open_files([folder / "movie.nc"])
    work = Workspace(layers, str(folder / "movie.nc"))
    state = ViewState(layer="movie.nc", band=(500.0, 530.0), inputs={"carriers": {"power_uw": 3.0}})
    state.pin("Rand µ")
    state.add_region([0.0, 2.0, 2.0], [0.0, 0.0, 1.5])
    text = session_text(work, state)
    again = ViewState()
    again.update_from(read_session(text))
    assert again.as_dict() == state.as_dict()
    assert json.loads(text)["files"] == [str(folder / "movie.nc")]


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[1]", "no json", '{"plkit_view": 2, "state": {}}', '{"plkit_view": 1}',
        '{"plkit_view": 1, "state": {"row": "three"}}',
        '{"plkit_view": 1, "state": {"pins": [{"name": "P1"}]}}',
        '{"plkit_view": 1, "state": {"pins": 3}}',
    ],
)  # fmt: skip
def test_other_files_are_no_session(text: str) -> None:
    with pytest.raises(DataError, match=r"open the session|restore the view"):
        read_session(text)


# Figures --------------------------------------------------------------------------------------
def test_pdf_is_the_same_every_time() -> None:
    da = xr.DataArray(np.eye(4), dims=("y", "x"), attrs={"units": "counts"})
    first, second = (figure_bytes(plkit.plot.plot_map(da), "pdf") for _ in range(2))
    assert first.startswith(b"%PDF")
    assert first == second
    assert b"CreationDate" not in first
