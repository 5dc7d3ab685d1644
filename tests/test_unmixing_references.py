"""References: what they are made of, the axis they come on, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError, FileFormatError, UnitsError
from plkit.names import COMPONENT, TIME, WAVELENGTH
from plkit.physics.resampling import channel_widths, resample_counts
from plkit.unmixing import LineShape


def spectrum(
    axis: np.ndarray, centre: float = 600.0, width: float = 15.0, total: float = 1e5
) -> xr.DataArray:
    """Counts per channel of a Gaussian over wavelength, integrated over each channel."""
    from scipy.special import erf

    half = channel_widths(axis) / 2.0
    z = [(axis + s * half - centre) / (np.sqrt(2.0) * width) for s in (1.0, -1.0)]
    counts = 0.5 * total * (erf(z[0]) - erf(z[1]))
    return xr.DataArray(
        counts,
        dims=WAVELENGTH,
        coords={WAVELENGTH: (WAVELENGTH, axis, names.attrs(WAVELENGTH))},
        name="intensity",
        attrs=names.attrs("intensity"),
    )


NARROW = np.linspace(520.0, 680.0, 161)
WIDE = np.linspace(500.0, 700.0, 487)


# Resampling ---------------------------------------------------------------------------------------
def test_resampling_onto_the_own_axis_changes_nothing(rng: np.random.Generator) -> None:
    noisy = rng.normal(0.0, 1.0, NARROW.size)
    np.testing.assert_allclose(resample_counts(noisy, NARROW, NARROW), noisy, atol=1e-9)


@pytest.mark.parametrize("channels", [40, 161, 600])
def test_resampling_conserves_counts(channels: int, rng: np.random.Generator) -> None:
    """Totals exactly, with negative noise; a smooth line channel by channel."""
    onto = np.linspace(520.0, 680.0, channels)
    wide = spectrum(WIDE)
    found = resample_counts(wide.values, WIDE, onto)
    np.testing.assert_allclose(found, spectrum(onto).values, atol=1e-4 * found.max())
    # A band of whole channels that both axes share: 500.5 to 699.5 in steps of 1 and of 10.
    noisy = rng.normal(-0.2, 1.0, 200)
    coarse = resample_counts(noisy, np.arange(200) + 0.5, np.arange(20) * 10.0 + 5.0)
    np.testing.assert_allclose(coarse, noisy.reshape(20, 10).sum(axis=1), atol=1e-9)
    assert coarse.min() < 0.0


def test_resampling_on_an_axis_with_a_hole() -> None:
    hole = np.concatenate([NARROW[:60], NARROW[75:]])
    found = resample_counts(spectrum(WIDE).values, WIDE, hole)
    np.testing.assert_allclose(found, spectrum(hole).values, atol=1e-3 * found.max())


def test_resampling_follows_an_uneven_axis() -> None:
    """Channels that grow along the axis, as behind a grating, hold counts in proportion."""
    uneven = 510.0 + 180.0 * np.linspace(0.0, 1.0, 300) ** 1.2
    found = resample_counts(spectrum(WIDE).values, WIDE, uneven[20:-20])
    expected = spectrum(uneven).values[20:-20]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3 * expected.max())


# Building -----------------------------------------------------------------------------------------
def test_references_of_all_kinds_share_one_axis(tmp_path: Path) -> None:
    spectrum(WIDE, 560.0).to_dataset().to_netcdf(tmp_path / "bromide.nc")
    refs = plkit.references(
        like=spectrum(NARROW),
        pristine=spectrum(WIDE, 620.0),
        bromide=tmp_path / "bromide.nc",
        third=LineShape("gaussian", 1.95, 0.08),
        fourth={"kind": "voigt", "centre_ev": 2.3, "fwhm_ev": 0.05, "lorentz_fraction": 0.2},
    )
    assert refs.dims == (COMPONENT, WAVELENGTH)
    assert refs.name == "reference"
    assert refs[COMPONENT].values.tolist() == ["pristine", "bromide", "third", "fourth"]
    assert refs.attrs["units"] == names.unit("reference")
    assert refs[WAVELENGTH].attrs["units"] == names.unit(WAVELENGTH)
    np.testing.assert_allclose(refs.sum(WAVELENGTH), 1.0, rtol=1e-12)  # channels of 1 nm
    shape = spectrum(NARROW, 620.0)
    np.testing.assert_allclose(refs[0], shape / shape.sum(), atol=1e-5)
    sources = json.loads(refs.attrs["sources"])
    assert sources["bromide"].startswith("bromide.nc")
    assert sources["third"] == repr(LineShape("gaussian", 1.95, 0.08))
    assert "plkit.references(pristine, bromide, third, fourth)" in refs.attrs["history"]
    refs.to_netcdf(tmp_path / "refs.nc")


def test_axis_of_the_first_spectrum_and_descending_axes() -> None:
    down = spectrum(NARROW[::-1], 620.0)
    refs = plkit.references(line=LineShape("gaussian", 2.1, 0.1), a=down, b=spectrum(WIDE, 560.0))
    np.testing.assert_array_equal(refs[WAVELENGTH], NARROW[::-1])
    up = plkit.references(
        like=spectrum(NARROW), line=LineShape("gaussian", 2.1, 0.1), a=down, b=spectrum(WIDE, 560.0)
    )
    np.testing.assert_allclose(refs.values[:, ::-1], up.values, rtol=1e-9, atol=1e-15)


def test_units_of_the_axis_are_converted() -> None:
    angstrom = spectrum(WIDE, 620.0).assign_coords(
        {WAVELENGTH: (WAVELENGTH, WIDE * 10.0, {"units": "Angstrom"})}
    )
    a = plkit.references(like=spectrum(NARROW), a=angstrom, b=spectrum(WIDE, 560.0))
    b = plkit.references(like=spectrum(NARROW), a=spectrum(WIDE, 620.0), b=spectrum(WIDE, 560.0))
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_line_shape_matches_its_width_and_place() -> None:
    axis = np.linspace(400.0, 900.0, 5001)
    line = LineShape("asymmetric", 2.0, 0.1, asymmetry=-0.4)
    density = line.per_channel(axis, WAVELENGTH) / channel_widths(axis)
    assert np.sum(density * 0.1) == pytest.approx(1.0, abs=1e-6)
    energy = plkit.physics.photons.energy_from_wavelength(axis)
    per_ev = density / plkit.physics.photons.jacobian_ev_per_nm(axis)
    assert energy[np.argmax(per_ev)] == pytest.approx(2.0, abs=3e-4)
    above = energy[per_ev > per_ev.max() / 2.0]
    assert np.ptp(above) == pytest.approx(0.1, rel=5e-3)


# Averaging ----------------------------------------------------------------------------------------
def frames(rng: np.random.Generator, brightness: np.ndarray, floor: float) -> xr.Dataset:
    shape = spectrum(NARROW, 620.0, total=1.0).values
    y = rng.poisson(brightness[:, None] * shape) + rng.normal(
        0.0, np.sqrt(floor), (brightness.size, 161)
    )
    return xr.Dataset(
        {
            "intensity": ((TIME, WAVELENGTH), y, names.attrs("intensity")),
            "noise_gain": ((), 1.0, names.attrs("noise_gain")),
            "noise_floor": ((), floor, names.attrs("noise_floor")),
        },
        {WAVELENGTH: (WAVELENGTH, NARROW, names.attrs(WAVELENGTH))},
    )


def test_frames_are_averaged_by_their_noise(rng: np.random.Generator) -> None:
    """With read noise, faint frames count less than bright ones: closer to the truth than a sum."""
    brightness = np.concatenate([np.full(4, 3e5), np.full(60, 3e3)])
    truth = spectrum(NARROW, 620.0).values
    truth = truth / truth.sum()
    other = spectrum(NARROW, 560.0)
    rms = {"weighted": 0.0, "sum": 0.0}
    for _ in range(20):
        ds = frames(rng, brightness, 400.0)
        weighted = plkit.references(a=ds, b=other)[0].values
        plain = plkit.references(a=ds["intensity"], b=other)[0].values
        rms["weighted"] += float(np.sum((weighted - truth) ** 2))
        rms["sum"] += float(np.sum((plain - truth) ** 2))
    assert rms["weighted"] < 0.5 * rms["sum"]


def test_masked_pixels_in_frames_of_different_brightness(rng: np.random.Generator) -> None:
    """A cosmic ray masked in the brightest frame must not dent the reference there."""
    ds = frames(rng, np.array([1e8, 1e6, 1e7]), 0.0)
    y = ds["intensity"].values
    y[0, 100] = np.nan
    refs = plkit.references(a=ds, b=spectrum(NARROW, 560.0))
    truth = spectrum(NARROW, 620.0).values
    assert refs.values[0, 100] == pytest.approx(truth[100] / truth.sum(), rel=0.01)


def test_negative_noise_is_kept() -> None:
    y = spectrum(NARROW, 620.0)
    y[3] = -40.0
    refs = plkit.references(a=y, b=spectrum(NARROW, 560.0))
    assert float(refs[0, 3]) < 0.0


def test_integers_do_not_wrap_around(rng: np.random.Generator) -> None:
    big = (spectrum(NARROW, 620.0, total=1.2e6) + 0.0).round().astype(np.uint16)
    assert int(big.max()) > 30000
    many = xr.concat([big] * 5, TIME)
    refs = plkit.references(a=many, b=spectrum(NARROW, 560.0))
    np.testing.assert_allclose(refs[0], spectrum(NARROW, 620.0) / 1e5, atol=2e-6)


# Gaps ---------------------------------------------------------------------------------------------
def test_nan_is_allowed_only_where_the_data_have_none_either() -> None:
    data = xr.concat([spectrum(NARROW, 620.0), spectrum(NARROW, 560.0)], TIME)
    data[:, 50] = np.nan
    ds = data.to_dataset(name="intensity").assign(noise_gain=((), 1.0, {"units": "counts"}))
    refs = plkit.references(like=ds, a=ds.isel({TIME: 0}), b=spectrum(WIDE, 560.0))
    assert int(refs.isnull().any(COMPONENT).sum()) == 1
    out = plkit.unmix(ds, refs)
    np.testing.assert_allclose(out["fraction"].sel(component="a"), [1.0, 0.0], atol=1e-3)
    with pytest.raises(DataError, match="'a' is NaN in 1 channels between 570 and 570 nm"):
        plkit.references(like=spectrum(NARROW), a=ds.isel({TIME: 0}), b=spectrum(WIDE, 560.0))
    hole = spectrum(WIDE, 560.0)
    hole[200] = np.nan
    with pytest.raises(DataError, match=r"'b' is NaN in 1 channels .*interpolate_na"):
        plkit.references(like=spectrum(NARROW), a=spectrum(NARROW, 620.0), b=hole)


# Refusals -----------------------------------------------------------------------------------------
def test_bad_references_are_refused_in_words(tmp_path: Path) -> None:
    a, b = spectrum(NARROW, 620.0), spectrum(NARROW, 560.0)

    def refused(match: str, **given: object) -> None:
        with pytest.raises(DataError, match=match):
            plkit.references(**given)  # type: ignore[arg-type]

    refused("there are 0 components, not at least 2")
    refused("there is 1 component, not at least 2", a=a)
    refused("'a' and 'c' have the same shape", a=a, b=b, c=3.0 * a)
    refused("'b' has the area 0", a=a, b=0.0 * b)
    refused("'b' has the area -", a=a, b=-b)
    refused("'a' is NaN in 161 channels", a=a * np.nan, b=b)
    refused(
        "'b' covers 520 to 680 nm, not 500 to 700 nm.*Nothing is extrapolated",
        a=spectrum(WIDE), b=b,
    )  # fmt: skip
    refused(
        "'b' covers 820 to 980 nm",
        a=a,
        b=b.assign_coords({WAVELENGTH: (WAVELENGTH, NARROW + 300, {"units": "nm"})}),
    )
    refused(
        "all components are line shapes",
        a=LineShape("gaussian", 2.0, 0.1),
        b=LineShape("gaussian", 2.1, 0.1),
    )
    refused("has the area 0", like=a, a=a, b=LineShape("gaussian", 8.0, 0.05))
    refused("'b' is a ndarray, not a path", a=a, b=b.values)
    refused("'the first spectrum' has no coordinate", a=a.drop_vars(WAVELENGTH), b=b)
    refused("do not run one way", a=a[[0, 2, 1, 3]], b=b)
    refused("do not run one way", a=a[[0]], b=b)
    refused("'a' has shape", a=a.expand_dims({TIME: 0}), b=b)
    refused("'b' holds counts, not 'intensity'", a=a, b=b.to_dataset(name="counts"))
    refused("no spectral dimension", a=a.rename({WAVELENGTH: TIME}), b=b)
    refused(
        "'b' runs over energy, not over wavelength",
        a=a,
        b=b.rename({WAVELENGTH: names.ENERGY}).assign_coords(
            {names.ENERGY: (names.ENERGY, NARROW / 300.0, {"units": "eV"})}
        ),
    )
    with pytest.raises(UnitsError, match="units 'none', not 'nm'"):
        plkit.references(a=a.drop_attrs(), b=b)
    with pytest.raises(FileFormatError):
        plkit.references(a=a, b=tmp_path / "absent.nc")


def test_bad_line_shapes_are_refused_in_words() -> None:
    def refused(match: str, **table: object) -> None:
        with pytest.raises(DataError, match=match):
            LineShape.from_mapping(table)

    refused("kind is 'sech', not one of gaussian", kind="sech", centre_ev=2.0, fwhm_ev=0.1)
    refused("fwhm_ev is 0, not positive", kind="gaussian", centre_ev=2.0, fwhm_ev=0.0)
    refused("centre_ev is nan, not positive", kind="gaussian", centre_ev=np.nan, fwhm_ev=0.1)
    refused("Remove width", kind="gaussian", centre_ev=2.0, width=0.1)
    refused("Add fwhm_ev", kind="gaussian", centre_ev=2.0)
    line = LineShape("gaussian", 2.0, 0.1)
    with pytest.raises(DataError, match="the axis is 'raman_shift'"):
        line.per_channel(NARROW, names.RAMAN_SHIFT)
