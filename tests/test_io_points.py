"""Lists of positions: onto a grid with tolerance, or kept as a list with coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import plkit
from plkit import names, schema
from plkit.errors import FileFormatError, PlkitWarning
from plkit.io.points import grid_levels, place_points

PATH = Path("map.txt")
AXES = {
    "axes": {"raman_shift": "wavelength"},
    "units": {"raman_shift": "1/cm", "x": "um", "y": "um"},
}


def listed(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> xr.Dataset:
    return xr.Dataset(
        {names.INTENSITY: (("point", "wavelength"), values, names.attrs("intensity"))},
        {
            "x": ("point", x, names.attrs("x")), "y": ("point", y, names.attrs("y")),
            "wavelength": ("wavelength", [500.0, 501.0], names.attrs("wavelength")),
        },
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    nx=st.integers(1, 7), ny=st.integers(1, 7), step=st.floats(0.1, 50), scatter=st.floats(0, 0.08),
    origin=st.floats(-1e4, 1e4), seed=st.integers(0, 2**16),
)  # fmt: skip
def test_scattered_grid_is_found(nx: int, ny: int, step: float, scatter: float, origin: float, seed: int) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    y, x = (a.ravel().astype(float) for a in np.mgrid[:ny, :nx])
    order = rng.permutation(nx * ny)
    values = np.arange(2 * nx * ny).reshape(-1, 2)
    jitter = scatter * step * rng.uniform(-1, 1, (2, nx * ny))
    # a tolerance of half a step finds the grid whatever the scatter
    ds = listed(origin + step * x + jitter[0], step * y + jitter[1], values).isel(point=order)
    grid = place_points(PATH, ds, points="grid", tolerance_um=0.5 * step)
    assert grid.intensity.dims == ("y", "x", "wavelength")
    np.testing.assert_array_equal(grid.intensity, values.reshape(ny, nx, 2))
    assert grid.intensity.dtype == values.dtype
    np.testing.assert_allclose(grid.x, origin + step * np.arange(nx), atol=0.1 * step)
    if scatter == 0 or (min(nx, ny) > 3 and scatter < 0.02):
        found = place_points(PATH, ds)
        np.testing.assert_array_equal(found.intensity, grid.intensity)


def test_holes_are_nan_with_a_warning() -> None:
    y, x = (a.ravel().astype(float) for a in np.mgrid[:3, :4])
    ds = listed(x, y, np.arange(24).reshape(12, 2)).isel(point=slice(0, 10))
    with pytest.warns(
        PlkitWarning, match=r"holds 10 of the 12 positions of its grid \(3 y × 4 x\)"
    ):
        grid = place_points(PATH, ds)
    assert np.isnan(grid.intensity.values[2, 2:]).all()
    assert int(np.isnan(grid.intensity).sum()) == 4
    assert not bool((grid.intensity.isel(y=2, x=slice(2, 4)) == 0).any())


def test_positions_that_are_no_grid_stay_a_list(rng: np.random.Generator) -> None:
    x, y = rng.uniform(0, 10, (2, 20))
    ds = listed(x, y, np.arange(40).reshape(20, 2))
    xr.testing.assert_identical(place_points(PATH, ds), ds)
    with pytest.raises(
        FileFormatError,
        match=r"its 20 positions are no grid: they would fill 20 of .*points=\"list\"",
    ):
        place_points(PATH, ds, points="grid")
    assert schema.validate(ds).ok
    twice = listed(np.array([0.0, 0, 1]), np.zeros(3), np.arange(6).reshape(3, 2))
    with pytest.raises(FileFormatError, match="two of them fall onto one place"):
        place_points(PATH, twice, points="grid")
    assert place_points(PATH, twice).sizes["point"] == 3
    with pytest.raises(FileFormatError, match="points is 'net', not 'grid' or 'list'"):
        place_points(PATH, ds, points="net")
    bad = ds.assign_coords(x=("point", np.where(np.arange(20) == 3, np.nan, x)))
    with pytest.raises(FileFormatError, match="1 positions give no number for 'x'"):
        place_points(PATH, bad)


@pytest.mark.parametrize(
    ("values", "levels"),
    [([5.0], [5.0]), ([1.0, 1.0, 1.0], [1.0]), ([0.0, 1.0, 3.0], [0, 1, 3]), ([0.0, 0.001, 1.0, 1.001], [0.0005, 1.0005])],
)  # fmt: skip
def test_levels(values: list[float], levels: list[float]) -> None:
    found, index = grid_levels(np.array(values))
    np.testing.assert_allclose(found, levels)
    np.testing.assert_allclose(found[index], values, atol=0.001)


def test_proof_io_cartilage_map_is_a_grid(test_data: Path) -> None:
    path = test_data / "chondro_raman_map/chondro_converted.npz"
    with np.load(path) as archive:
        raw, x, y = archive["spc"], archive["x"], archive["y"]
    grid = plkit.read(path, **AXES)
    assert dict(grid.intensity.sizes) == {"y": 25, "x": 35, "raman_shift": 300}
    np.testing.assert_allclose(grid.x, np.arange(-11.55, 22.5, 1.0))
    np.testing.assert_allclose(grid.y, np.arange(-4.77, 19.3, 1.0))
    np.testing.assert_array_equal(grid.intensity, raw.reshape(25, 35, 300))
    kept = plkit.read(path, points="list", **AXES)
    assert kept.intensity.dims == ("point", "raman_shift")
    np.testing.assert_array_equal(kept.intensity, raw)
    np.testing.assert_array_equal(kept.x, x)
    np.testing.assert_array_equal(kept.y, y)
    with pytest.raises(FileFormatError, match="unit of 'wavelength' is stated neither"):
        plkit.read(path)
    with pytest.raises(
        FileFormatError, match=r'Name the axis by what it is: .*"raman_shift": "wavelength"'
    ):
        plkit.read(path, units={"wavelength": "1/cm", "x": "um", "y": "um"})


def test_scene_with_known_truth(test_data: Path) -> None:
    path = test_data / "eels_unmix_synthetic/oxide_interface_d1000.npz"
    options: dict[str, Any] = {
        "data": "cube", "dims": ["y", "x", "energy_loss"], "axes": {"energy_loss": "energy_ev"},
        "steps": {"y": 1.0, "x": 1.0}, "units": {"x": "nm", "y": "nm"},
    }  # fmt: skip
    ds = plkit.read(path, **options)
    with np.load(path) as archive:
        np.testing.assert_array_equal(ds.intensity, archive["cube"])
    assert ds.intensity.dtype == np.uint16
    assert ds.energy_loss.values[[0, -1]].tolist() == [380.0, 778.0]
    assert float(ds.x[1]) == pytest.approx(0.001)
    for change, words in (
        ({"data": "tube"}, "data is 'tube', not one of"),
        ({"dims": ["y", "x"]}, "dims is y, x, not 3 different ones"),
        ({"steps": {}}, r"step along 'y' is stated neither.*steps="),
        (
            {"axes": {"energy_loss": "endmembers"}},
            r"'endmembers' has shape \(3, 200\), not \(200,\)",
        ),
        ({"axes": {"height": "x"}}, "axes names 'height', not one of"),
        ({"data": "names"}, "'names' holds <U8, not numbers"),
        ({"variable": "glow"}, "variable is 'glow'"),
    ):
        with pytest.raises(FileFormatError, match=words):
            plkit.read(path, **{**options, **change})
    with pytest.raises(FileFormatError, match=r'which of its arrays .* was measured .*data="cube"'):
        plkit.read(path)


def test_table_of_points_with_scatter(tmp_path: Path) -> None:
    rows = [
        f"{x + 0.002 * (w > 500)},{y},{w},{10 * x + y + w}"
        for x in (0, 1, 2) for y in (0, 2) for w in (500, 501)
    ]  # fmt: skip
    path = tmp_path / "a.csv"
    path.write_text("x (um),y (um),wavelength (nm),intensity (counts)\n" + "\n".join(rows) + "\n")
    ds = plkit.read(path)
    assert dict(ds.intensity.sizes) == {"y": 2, "x": 3, "wavelength": 2}
    assert float(ds.intensity.sel(y=2, wavelength=501).isel(x=1)) == 513
