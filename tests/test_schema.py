"""validate reports every fault at once; conform mends what needs no guess; the door checks units."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit import conform, validate
from plkit.errors import DataError, PlkitError, UnitsError
from plkit.schema import add_history, require_dims, require_unit, spectral_dim


def good(dtype: type = float) -> xr.Dataset:
    return xr.Dataset(
        {
            "intensity": (("time", "wavelength"), np.full((2, 3), 5, dtype), {"units": "counts"}),
            "noise_gain": ((), 1.0, {"units": "counts"}),
        },
        {
            "time": ("time", [0.5, 1.5], {"units": "s"}),
            "wavelength": ("wavelength", [500.0, 501.0, 502.0], {"units": "nm"}),
        },
    )


def test_a_good_dataset_is_valid() -> None:
    report = validate(good())
    assert report.ok
    assert report.faults == ()
    assert str(report) == "valid"
    report.raise_if_faulty()


def break_missing(ds):
    return ds.drop_vars("intensity")


def break_unit(ds):
    del ds.intensity.attrs["units"]
    return ds


def break_convertible(ds):
    ds.wavelength.attrs["units"] = "um"
    return ds


def break_wrong(ds):
    ds.wavelength.attrs["units"] = "eV"
    return ds


def break_nan_axis(ds):
    attrs = ds.time.attrs
    return ds.assign_coords(time=("time", [np.nan, 1.0], attrs))


def break_no_coordinate(ds):
    return ds.drop_vars("time")


def break_no_spectral(ds):
    return ds.isel(wavelength=0)


def break_noise(ds):
    return ds.assign(noise_gain=-ds.noise_gain)


FAULTS = {
    "missing_variable": break_missing,
    "missing_unit": break_unit,
    "convertible_unit": break_convertible,
    "wrong_unit": break_wrong,
    "descending_axis": lambda ds: ds.isel(wavelength=slice(None, None, -1)),
    "duplicate_axis": lambda ds: ds.isel(time=[0, 0]),
    "unsorted_axis": lambda ds: ds.isel(wavelength=[1, 0, 2]),
    "not_finite_axis": break_nan_axis,
    "missing_coordinate": break_no_coordinate,
    "missing_dim": break_no_spectral,
    "empty": lambda ds: ds.isel(time=slice(0, 0)),
    "noise_model": break_noise,
}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_is_found_and_raised(code: str) -> None:
    report = validate(FAULTS[code](good()))
    assert code in report.codes
    assert not report.ok
    with pytest.raises(DataError, match=r"^Cannot plot because"):
        report.raise_if_faulty("plot")


def test_dead_channels_dead_spectra_and_saturation_are_warnings() -> None:
    ds = good()
    ds["intensity"] = ds.intensity.copy()
    ds.intensity[:, 1] = np.nan
    assert validate(ds).codes == ("nan_channel",)
    ds.intensity[0, :] = np.nan
    assert "nan_spectrum" in validate(ds).codes
    assert validate(ds).ok
    full = good(np.uint16)
    full.intensity[0, 0] = 65535
    assert validate(full).codes == ("saturated",)


def test_every_fault_is_reported_at_once() -> None:
    ds = break_unit(good()).isel(wavelength=slice(None, None, -1), time=[0, 0])
    assert {"missing_unit", "descending_axis", "duplicate_axis"} <= set(validate(ds).codes)


def test_conform_mends_units_order_and_dims_and_loses_nothing() -> None:
    ds = good()
    ds.intensity.values[:] = [[1, 2, 3], [4, 5, 6]]
    broken = ds.assign_coords(
        wavelength=("wavelength", ds.wavelength.values / 1e3, {"units": "um"})
    )
    broken = broken.isel(wavelength=slice(None, None, -1)).transpose("wavelength", "time")
    mended = conform(broken)
    assert validate(mended).ok
    xr.testing.assert_allclose(mended, ds)
    assert mended.intensity.dims == ("time", "wavelength")


def test_conform_leaves_what_needs_a_guess() -> None:
    assert validate(conform(break_unit(good()))).codes == ("missing_unit",)
    assert "wrong_unit" in validate(conform(break_wrong(good()))).codes


def test_the_door_converts_or_refuses() -> None:
    t = xr.DataArray([1.0], attrs={"units": "ms"}, name="t")
    assert require_unit(t, "time", "fit").item() == pytest.approx(1e-3)
    with pytest.raises(UnitsError, match=r"^Cannot fit because 't' has units 'kg', not 's'\."):
        require_unit(t.assign_attrs(units="kg"), "time", "fit")
    with pytest.raises(UnitsError, match="units 'none', not 's'"):
        require_unit(xr.DataArray([1.0]), "time", "fit")


def test_dims_at_the_door() -> None:
    with pytest.raises(DataError, match="has dims time, wavelength, not the required y"):
        require_dims(good().intensity, ["y"], "map")
    with pytest.raises(DataError, match="no spectral dimension"):
        spectral_dim(xr.DataArray([1.0], dims="time"))


def test_errors_survive_pickling_and_are_plkit_errors() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(DataError("a", "b is 1, not 2", "Do c.")))
    assert str(error) == "Cannot a because b is 1, not 2. Do c."
    assert isinstance(error, PlkitError)


def test_history_grows() -> None:
    ds = add_history(add_history(good(), "one"), "two")
    assert [line.split("plkit.")[1] for line in ds.attrs["history"].splitlines()] == ["one", "two"]
