"""HyperSpy and LumiSpy signals, there and back."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError, MissingExtraError
from plkit.io import from_hyperspy, to_hyperspy


@pytest.fixture
def hyperspy() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("hyperspy.api")


def cube(dtype: str = "uint16") -> xr.Dataset:
    rng = np.random.default_rng(5)
    values = rng.poisson(60.0, (3, 4, 50)).astype(dtype)
    if values.dtype.kind == "f":
        values[1, 2, 7] = np.nan
    return xr.Dataset(
        {
            "intensity": (("y", "x", "wavelength"), values, names.attrs("intensity")),
            "noise_gain": ((), 2.0, names.attrs("noise_gain")),
            "noise_floor": ((), 9.0, names.attrs("noise_floor")),
            "spike_mask": (("y", "x", "wavelength"), (values == 61).astype(np.int8)),
            "exposure_time": ((), 0.5, names.attrs("exposure_time")),
        },
        {
            "y": ("y", [0.0, 0.5, 1.0], names.attrs("y")),
            "x": ("x", [0.0, 0.5, 1.1, 1.2], names.attrs("x")),  # uneven
            "wavelength": ("wavelength", np.geomspace(500.0, 800.0, 50), names.attrs("wavelength")),
        },
        {"operator": "Zoë", "source_file": "film.sif", "levels": [1.0, 2.0]},
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
def test_round_trip(dtype: str, hyperspy: Any) -> None:
    ds = cube(dtype)
    signal = to_hyperspy(ds)
    assert signal.axes_manager.signal_axes[0].name == "wavelength"
    assert signal.axes_manager.signal_axes[0].units == "nm"
    np.testing.assert_allclose(signal.axes_manager.signal_axes[0].axis, ds.wavelength)
    np.testing.assert_array_equal(signal.data, ds.intensity)
    model = signal.metadata.Signal.Noise_properties.Variance_linear_model
    assert (model.gain_factor, model.gain_offset) == (2.0, 9.0)
    back = from_hyperspy(signal)
    xr.testing.assert_identical(back, ds)
    for name in ds.variables:
        assert back[name].dtype == ds[name].dtype


def test_lumispy_knows_its_own(hyperspy: Any) -> None:
    lumispy = pytest.importorskip("lumispy")
    assert isinstance(to_hyperspy(cube()), lumispy.signals.LumiSpectrum)
    decay = cube().isel(x=0, y=0, drop=True).drop_vars("spike_mask").rename(wavelength="delay")
    decay["delay"].attrs = names.attrs("delay")
    assert isinstance(to_hyperspy(decay), lumispy.signals.LumiTransient)
    xr.testing.assert_identical(from_hyperspy(to_hyperspy(decay)), decay)


def test_single_spectrum_lazy_cube_and_dims_in_another_order(hyperspy: Any) -> None:
    one = cube().isel(x=0, y=0, drop=True)
    xr.testing.assert_identical(from_hyperspy(to_hyperspy(one)), one)
    turned = cube().transpose("wavelength", "y", "x")
    xr.testing.assert_identical(from_hyperspy(to_hyperspy(turned)), turned)
    pytest.importorskip("dask")
    xr.testing.assert_equal(from_hyperspy(to_hyperspy(cube().chunk({"y": 1}))), cube())


def test_signal_that_was_cropped_keeps_its_own_axes(hyperspy: Any) -> None:
    signal = to_hyperspy(cube()).isig[5:30]
    got = from_hyperspy(signal)
    assert got.sizes["wavelength"] == 25
    np.testing.assert_array_equal(got.intensity, cube().intensity[..., 5:30])
    np.testing.assert_allclose(got.wavelength, cube().wavelength[5:30])
    assert float(got.noise_gain) == 2.0


def test_signal_of_others(hyperspy: Any) -> None:
    axes = [
        {"name": "x", "units": "\u00b5m", "size": 4, "scale": 0.5, "offset": 0.0, "navigate": True},
        {
            "name": "Energy",
            "units": "eV",
            "size": 30,
            "scale": -0.01,
            "offset": 2.2,
            "navigate": False,
        },
    ]
    signal = hyperspy.signals.Signal1D(np.arange(120.0).reshape(4, 30), axes=axes)
    got = from_hyperspy(signal)
    assert got.intensity.dims == ("x", "energy")
    assert np.all(np.diff(got.energy) > 0)
    assert got.x.attrs["units"] == "um"
    assert "from_hyperspy()" in got.attrs["history"]
    signal.axes_manager[0].name = "stage"
    with pytest.raises(DataError, match="the navigation axis is 'stage', not one of"):
        from_hyperspy(signal)
    signal.axes_manager[-1].units = "furlong"
    signal.axes_manager[-1].name = "signal"
    signal.axes_manager[0].name = "x"
    with pytest.raises(DataError, match="has the unit 'furlong', not nm, eV, 1/cm or ns"):
        from_hyperspy(signal)
    with pytest.raises(DataError, match="it has 2 signal axes, not 1"):
        from_hyperspy(hyperspy.signals.Signal2D(np.ones((3, 3))))


def test_file_of_hyperspy_reads_the_same(hyperspy: Any, tmp_path: Path) -> None:
    path = tmp_path / "film.hspy"
    to_hyperspy(cube()).save(path)
    got = plkit.read(path)
    np.testing.assert_array_equal(got.intensity, cube().intensity)
    np.testing.assert_allclose(got.wavelength, cube().wavelength)


def test_what_is_no_signal_and_no_spectrum() -> None:
    with pytest.raises(DataError, match="the argument is a int, not a signal"):
        from_hyperspy(3)
    with pytest.raises(DataError, match="no measured variable"):
        to_hyperspy(xr.Dataset({"k1": ("time", [1.0])}))
    with pytest.raises(DataError, match="is a DataArray, not a Dataset"):
        to_hyperspy(cube().intensity)


def test_without_hyperspy_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hyperspy.api", None)
    with pytest.raises(MissingExtraError, match="pip install hyperspy lumispy"):
        to_hyperspy(cube())
