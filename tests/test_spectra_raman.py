"""Luminescence recorded over Raman shift, on a wavelength axis."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import spectra
from plkit.errors import DataError
from plkit.physics import photons


def over_raman_shift(shift: list[float]) -> xr.Dataset:
    counts = np.arange(len(shift), dtype="uint16")
    return xr.Dataset(
        {
            "intensity": (("x", "raman_shift"), np.stack([counts, counts]), {"units": "counts"}),
            "noise_gain": ((), 2.0, {"units": "counts"}),
        },
        {
            "x": ("x", [0.0, 1.0], {"units": "um"}),
            "raman_shift": ("raman_shift", shift, {"units": "1/cm"}),
        },
    )


def test_raman_shift_counts_from_the_laser_in_vacuum() -> None:
    ds = over_raman_shift([-100.0, 0.0, 1000.0, 4000.0])
    found = spectra.raman_to_wavelength(ds, laser_nm=532.0)
    vacuum = photons.vacuum_from_air(found.wavelength.values)
    back = 1e7 / photons.vacuum_from_air(532.0) - 1e7 / vacuum
    np.testing.assert_allclose(back, ds.raman_shift, atol=1e-6)
    assert found.wavelength.values[1] == pytest.approx(532.0, abs=1e-9)
    assert found.wavelength.attrs["units"] == "nm"
    assert found.intensity.dims == ("x", "wavelength")
    np.testing.assert_array_equal(found.intensity, ds.intensity)
    assert float(found.noise_gain) == 2.0
    assert "raman_to_wavelength(laser_nm=532)" in found.attrs["history"]
    assert spectra.to_energy(found).energy.size == 4


def test_descending_raman_shift_ends_ascending() -> None:
    found = spectra.raman_to_wavelength(over_raman_shift([300.0, 200.0, 100.0]), laser_nm=633.0)
    assert np.all(np.diff(found.wavelength) > 0)
    assert found.intensity.values[0].tolist() == [2.0, 1.0, 0.0]


def test_raman_shift_needs_its_laser() -> None:
    ds = over_raman_shift([1000.0, 13000.0])
    with pytest.raises(DataError, match=r"reaches 13000 1/cm, beyond the 12735 1/cm of a laser of"):
        spectra.raman_to_wavelength(ds, laser_nm=785.0)
    with pytest.raises(DataError, match=r"'laser_nm' is 0\.532, not a wavelength in air, in nm"):
        spectra.raman_to_wavelength(ds, laser_nm=0.532)
    with pytest.raises(DataError, match=r"'laser_nm' is nan"):
        spectra.raman_to_wavelength(ds, laser_nm=np.nan)
    over_nm = spectra.raman_to_wavelength(ds, laser_nm=532.0)
    with pytest.raises(DataError, match="is 'wavelength', not 'raman_shift'"):
        spectra.raman_to_wavelength(over_nm, laser_nm=532.0)


def test_other_steps_say_how_to_leave_the_raman_shift() -> None:
    ds = over_raman_shift([100.0, 200.0, 300.0])
    for step in (spectra.to_energy, plkit.fit_peaks):
        with pytest.raises(DataError, match=r"'raman_shift', not .*raman_to_wavelength"):
            step(ds)
