"""Figure of the detector's noise."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit import names, spectra
from plkit.errors import DataError
from plkit.plot import plot_photon_transfer


def transfer(rng: np.random.Generator) -> xr.Dataset:
    y = 2.0 * rng.poisson(np.linspace(1.0, 500.0, 100), (60, 100)) + rng.normal(0, 4, (60, 100))
    y[:, 60] += 300 * rng.standard_normal(60)
    ds = xr.Dataset(
        {"intensity": (("time", "wavelength"), y, names.attrs("intensity"))},
        {
            "time": ("time", np.arange(60.0), names.attrs("time")),
            "wavelength": ("wavelength", np.linspace(500.0, 600.0, 100), names.attrs("wavelength")),
        },
    )
    return spectra.photon_transfer(ds)


def test_line_channels_and_what_was_left_out(rng: np.random.Generator) -> None:
    found = transfer(rng)
    (ax,) = plot_photon_transfer(found).axes
    grey, dots, line = ax.lines
    assert len(grey.get_xdata()) == int((found.used_in_fit == 0).sum()) >= 1
    assert len(dots.get_xdata()) + len(grey.get_xdata()) == 100
    x, y = line.get_data()
    gain = np.polyfit(x, y, 1)[0]
    assert gain == pytest.approx(float(found.noise_gain))
    assert ax.get_ylabel() == "Variance σ² (counts²)"
    assert "gain" in line.get_label()


def test_another_dataset_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match=r"not 'mean_intensity'.*photon_transfer\(ds\)"):
        plot_photon_transfer(transfer(rng).drop_vars("mean_intensity"))
