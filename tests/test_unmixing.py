"""Unmixing of labelled data: dims, dtypes, units, options, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.names import COMPONENT, ENERGY, PARAM_I, PARAM_J, POWER, TIME, WAVELENGTH, X, Y

AXIS = np.linspace(500.0, 700.0, 201)
PRISTINE = {"kind": "gaussian", "centre_ev": 1.95, "fwhm_ev": 0.09}
BROMIDE = {"kind": "asymmetric", "centre_ev": 2.25, "fwhm_ev": 0.08, "asymmetry": -0.3}


def axis(values: np.ndarray = AXIS) -> xr.DataArray:
    return xr.DataArray(
        np.zeros(values.size),
        dims=WAVELENGTH,
        coords={WAVELENGTH: (WAVELENGTH, values, names.attrs(WAVELENGTH))},
    )


@pytest.fixture
def refs() -> xr.DataArray:
    return plkit.references(like=axis(), pristine=PRISTINE, bromide=BROMIDE)


@pytest.fixture
def ds(refs: xr.DataArray, rng: np.random.Generator) -> xr.Dataset:
    """A small exposure series: the share of 'pristine' falls from 0.9 to 0.2."""
    share = np.linspace(0.9, 0.2, 12)
    total = np.array([2e4, 1e5])[:, None]
    expected = total[..., None] * (
        share[:, None] * refs.values[0] + (1.0 - share)[:, None] * refs.values[1]
    )
    counts = rng.poisson(expected + 3.0).astype(np.uint16)
    return xr.Dataset(
        {
            "intensity": ((POWER, TIME, WAVELENGTH), counts, names.attrs("intensity")),
            "noise_gain": ((), 1.0, names.attrs("noise_gain")),
            "truth": (TIME, share),
        },
        {
            WAVELENGTH: (WAVELENGTH, AXIS, names.attrs(WAVELENGTH)),
            TIME: (TIME, np.arange(12.0), names.attrs(TIME)),
            POWER: (POWER, [10.0, 50.0], names.attrs(POWER)),
        },
        {"sample": "film"},
    )


def test_result_has_names_units_dims_and_truth(ds: xr.Dataset, refs: xr.DataArray) -> None:
    out = plkit.unmix(
        ds, refs, background="linear", relative_brightness={"pristine": 3.0, "bromide": 1.0}
    )
    assert set(out.data_vars) == {
        *(f"{v}{s}" for s in ("", "_stderr") for v in (
            "amplitude", "fraction", "brightness_corrected_fraction", "background_level", "background_tilt",
        )),
        "amplitude_covariance", "residual_rms", "redchi", "residual_structure", "condition_number",
        "fit_status",
    }  # fmt: skip
    for name, da in out.data_vars.items():
        assert da.attrs["units"] == names.unit(str(name)), name
        assert da.attrs["long_name"], name
    assert out["fraction"].dims == (COMPONENT, POWER, TIME)
    assert out["amplitude_covariance"].dims == (PARAM_I, PARAM_J, POWER, TIME)
    assert out["residual_rms"].dims == (POWER, TIME)
    assert out[COMPONENT].values.tolist() == ["pristine", "bromide"]
    assert out["fit_status"].dtype == np.int8
    assert len(out["fit_status"].attrs["flag_values"]) == len(
        out["fit_status"].attrs["flag_meanings"].split()
    )
    pull = (out["fraction"].sel(component="pristine") - ds["truth"]) / out["fraction_stderr"].sel(
        component="pristine"
    )
    assert float(np.sqrt((pull**2).mean())) == pytest.approx(1.0, abs=0.4)
    assert out.attrs["sample"] == "film"
    assert "plkit.unmix(pristine, bromide; noise=poisson, background=linear" in out.attrs["history"]
    assert "phase" in out.attrs["emission_fraction"]
    variance = out["amplitude_covariance"].sel(param_i="bromide", param_j="bromide")
    np.testing.assert_allclose(
        np.sqrt(variance), out["amplitude_stderr"].sel(component="bromide"), rtol=1e-12
    )


def test_result_goes_through_a_file(ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path) -> None:
    out = plkit.unmix(ds, refs, background="constant")
    out.to_netcdf(tmp_path / "fractions.nc")
    with xr.open_dataset(tmp_path / "fractions.nc", decode_timedelta=False) as back:
        xr.testing.assert_allclose(back, out)


def test_dask_equals_numpy(ds: xr.Dataset, refs: xr.DataArray) -> None:
    dask = pytest.importorskip("dask")
    options = {"background": "constant", "relative_brightness": {"pristine": 2.0, "bromide": 1.0}}
    plain = plkit.unmix(ds, refs, **options)
    chunked = plkit.unmix(ds.chunk({TIME: 5, WAVELENGTH: 50}), refs, **options)
    assert dask.is_dask_collection(chunked["fraction"].data)
    xr.testing.assert_identical(chunked.drop_attrs().compute(), plain.drop_attrs())
    variance = xr.full_like(ds["intensity"], 4.0, dtype=float).drop_attrs()
    xr.testing.assert_identical(
        plkit.unmix(ds.chunk({TIME: 5}), refs, noise=variance).drop_attrs().compute(),
        plkit.unmix(ds, refs, noise=variance).drop_attrs(),
    )


def test_threads_do_not_change_a_digit(rng: np.random.Generator) -> None:
    from plkit.unmixing import Design, unmix_block

    basis = rng.uniform(0.0, 1.0, (2, 30))
    y = rng.poisson(rng.uniform(0.0, 9.0, (9000, 2)) @ basis + 1.0).astype(float)
    design = Design(basis, np.ones((1, 30)))
    one, two = (unmix_block(y, design, threads=n) for n in (1, 2))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64", ">f4"])
def test_any_dtype_gives_the_same(ds: xr.Dataset, refs: xr.DataArray, dtype: str) -> None:
    small = ds.assign(intensity=(ds["intensity"] // 32).assign_attrs(ds["intensity"].attrs))
    assert int(small["intensity"].max()) < 256
    a = plkit.unmix(small.assign(intensity=small["intensity"].astype(np.float64)), refs)
    b = plkit.unmix(small.assign(intensity=small["intensity"].astype(dtype)), refs)
    assert float((abs(a.amplitude - b.amplitude) / a.amplitude_stderr).max()) < 1e-3


def test_dims_in_any_order_and_descending_axes(ds: xr.Dataset, refs: xr.DataArray) -> None:
    a = plkit.unmix(ds, refs)
    b = plkit.unmix(ds.transpose(WAVELENGTH, TIME, POWER), refs)
    for name in a:
        xr.testing.assert_allclose(a[name], b[name].transpose(*a[name].dims), rtol=1e-6)
    c = plkit.unmix(ds.isel({WAVELENGTH: slice(None, None, -1)}), refs)
    xr.testing.assert_allclose(a, c, rtol=1e-4)
    d = plkit.unmix(ds.isel({WAVELENGTH: slice(None, None, -1)}), refs, background="linear")
    e = plkit.unmix(ds, refs, background="linear")
    xr.testing.assert_allclose(d["background_tilt"], e["background_tilt"], rtol=1e-2, atol=1e-3)


def test_one_spectrum_and_one_pixel(ds: xr.Dataset, refs: xr.DataArray) -> None:
    whole = plkit.unmix(ds, refs)
    one = plkit.unmix(ds.isel({POWER: 0, TIME: 3}), refs)
    assert one["fraction"].dims == (COMPONENT,)
    xr.testing.assert_allclose(one["fraction"], whole["fraction"].isel({POWER: 0, TIME: 3}))
    y = ds["intensity"].isel({POWER: [0], TIME: [3]}).rename({TIME: Y, POWER: X})
    pixel = plkit.unmix(xr.Dataset({"intensity": y, "noise_gain": ds["noise_gain"]}), refs)
    assert pixel["fraction"].dims == (COMPONENT, X, Y)
    assert pixel["fraction"].shape == (2, 1, 1)


# Noise --------------------------------------------------------------------------------------------
def test_unknown_gain_warns_and_scales_sigma(ds: xr.Dataset, refs: xr.DataArray) -> None:
    """Counts of a detector with gain 4, of which the dataset says nothing."""
    four = ds.assign(intensity=(4.0 * ds["intensity"]).assign_attrs(names.attrs("intensity")))
    gain = ((), 4.0, {"units": "counts"})
    known = plkit.unmix(four.assign(noise_gain=gain), refs, background="constant")
    with pytest.warns(PlkitWarning, match="'noise_gain' is not known"):
        unknown = plkit.unmix(four.drop_vars("noise_gain"), refs, background="constant")
    assert float(unknown["redchi"].mean()) == pytest.approx(4.0, rel=0.1)
    assert float(known["redchi"].mean()) == pytest.approx(1.0, rel=0.1)
    ratio = unknown["fraction_stderr"] / known["fraction_stderr"]
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.1)


def test_uniform_is_the_default_without_counts(ds: xr.Dataset, refs: xr.DataArray) -> None:
    da = ds["intensity"].astype(float).drop_attrs(deep=False)
    out = plkit.unmix(da, refs)
    expected = plkit.unmix(ds, refs, noise="uniform")["fraction"]
    xr.testing.assert_allclose(out["fraction"], expected, atol=1e-9)
    assert out["amplitude"].attrs["units"] == "1"
    assert bool(out["redchi"].isnull().all())
    flux = da.assign_attrs(units="W")
    assert plkit.unmix(flux, refs)["amplitude_covariance"].attrs["units"] == "W^2"


def test_noise_over_channels_and_given_variance(ds: xr.Dataset, refs: xr.DataArray) -> None:
    gain = (WAVELENGTH, np.linspace(0.5, 2.0, AXIS.size), {"units": "counts"})
    floor = ((), 9.0, {"units": "counts^2"})
    rich = ds.assign(noise_gain=gain, noise_floor=floor)
    out = plkit.unmix(rich, refs, background="constant")
    model = (
        sum(
            out["amplitude"].sel(component=c) * refs.sel(component=c) / refs.sel(component=c).sum()
            for c in ("pristine", "bromide")
        )
        + out["background_level"]
    )
    variance = rich["noise_gain"] * model + 9.0
    given = plkit.unmix(rich, refs, background="constant", noise=variance.drop_attrs())
    off = abs(given["amplitude"] - out["amplitude"]) / out["amplitude_stderr"]
    assert float(off.max()) < 0.05
    np.testing.assert_allclose(given["amplitude_stderr"], out["amplitude_stderr"], rtol=0.02)


def test_a_channel_without_response_is_left_out(ds: xr.Dataset, refs: xr.DataArray) -> None:
    gain = np.ones(AXIS.size)
    gain[20] = np.nan
    y = ds["intensity"].astype(float)
    y[..., 20] = 1e9
    out = plkit.unmix(
        ds.assign(intensity=y, noise_gain=(WAVELENGTH, gain, {"units": "counts"})), refs
    )
    hole = y.copy()
    hole[..., 20] = np.nan
    expected = plkit.unmix(ds.assign(intensity=hole), refs)
    assert float((abs(out.amplitude - expected.amplitude) / out.amplitude_stderr).max()) < 0.05


# Meaning ------------------------------------------------------------------------------------------
def test_normalise_defines_the_fraction(refs: xr.DataArray) -> None:
    narrow = {"kind": "gaussian", "centre_ev": 2.25, "fwhm_ev": 0.04}
    table = plkit.references(like=axis(), broad=PRISTINE, narrow=narrow)
    y = (1e4 * table.sum(COMPONENT)).assign_attrs(units="counts")
    area = plkit.unmix(y, table, noise="uniform")
    peak = plkit.unmix(y, table, noise="uniform", normalise="peak")
    np.testing.assert_allclose(area["fraction"], [0.5, 0.5], atol=1e-9)
    top = table.max(WAVELENGTH)
    np.testing.assert_allclose(peak["fraction"], top / top.sum(), atol=1e-9)
    np.testing.assert_allclose(peak["amplitude"], 1e4 * top, rtol=1e-9)
    # An area amplitude is all counts of the component.
    np.testing.assert_allclose(area["amplitude"], 1e4 * table.sum(WAVELENGTH), rtol=1e-9)


def test_relative_brightness_by_array_and_by_hand(ds: xr.Dataset, refs: xr.DataArray) -> None:
    rho = xr.DataArray([1.0, 20.0], dims=COMPONENT, coords={COMPONENT: ["bromide", "pristine"]})
    out = plkit.unmix(ds, refs, relative_brightness=rho)
    a, b = (out["amplitude"].sel(component=c) for c in ("pristine", "bromide"))
    found = out["brightness_corrected_fraction"].sel(component="pristine")
    np.testing.assert_allclose(found, a / 20.0 / (a / 20.0 + b), rtol=1e-12)
    assert float(found.isel({POWER: 0, TIME: 0})) < 0.4 < float(out["fraction"].values[0, 0, 0])


def test_measured_background(ds: xr.Dataset, refs: xr.DataArray, rng: np.random.Generator) -> None:
    scatter = xr.DataArray(
        50.0 * np.exp(-(AXIS - 500.0) / 40.0) + 1.5, dims=WAVELENGTH, coords=axis().coords,
        attrs={"units": "counts"},
    )  # fmt: skip
    # Of the background 2 · scatter, three counts per channel are in the series already.
    y = ds["intensity"] + rng.poisson(2.0 * scatter.values - 3.0, ds["intensity"].shape)
    out = plkit.unmix(ds.assign(intensity=y.assign_attrs(units="counts")), refs, background=scatter)
    sigma = float(out["background_scale_stderr"].mean()) / np.sqrt(24.0)
    assert sigma < 0.01
    assert float(out["background_scale"].mean()) == pytest.approx(2.0, abs=4.0 * sigma)


def test_energy_axis_integrates_densities() -> None:
    """The same film along energy, where intensities are densities per eV on an uneven axis."""
    on_nm = plkit.references(like=axis(), a=PRISTINE, b=BROMIDE)
    energy = np.sort(1239.841984 / AXIS)
    like = xr.DataArray(
        np.zeros(energy.size), dims=ENERGY, coords={ENERGY: (ENERGY, energy, names.attrs(ENERGY))}
    )
    on_ev = plkit.references(like=like, a=PRISTINE, b=BROMIDE)
    assert on_ev.attrs["units"] == "1/eV"
    mix = np.array([0.3, 0.7])
    y = xr.DataArray(mix @ on_ev.values, dims=ENERGY, coords=like.coords, attrs={"units": "1"})
    np.testing.assert_allclose(plkit.unmix(y, on_ev)["fraction"], mix, atol=2e-3)
    y = xr.DataArray(mix @ on_nm.values, dims=WAVELENGTH, coords=axis().coords)
    np.testing.assert_allclose(plkit.unmix(y, on_nm)["fraction"], mix, atol=1e-9)


def test_condition_number_grows_with_overlap() -> None:
    close = {**PRISTINE, "centre_ev": 1.96}
    far = plkit.references(like=axis(), a=PRISTINE, b=BROMIDE)
    near = plkit.references(like=axis(), a=PRISTINE, b=close)
    y = axis() + 1.0
    values = [float(plkit.unmix(y, r)["condition_number"]) for r in (far, near)]
    assert values[0] < 1.1
    assert values[1] > 10.0


def test_faint_spectra_are_marked(refs: xr.DataArray) -> None:
    y = np.zeros((3, AXIS.size))
    y[1, 100] = -4.0
    y[2] = np.nan
    ds = xr.Dataset(
        {"intensity": ((TIME, WAVELENGTH), y, {"units": "counts"}), "noise_gain": ((), 1.0, {"units": "counts"})},
        axis().coords,
    )  # fmt: skip
    out = plkit.unmix(ds, refs)
    assert out["fit_status"].values.tolist() == [3, 3, 3]
    assert bool(out["fraction"].isnull().all())
    np.testing.assert_array_equal(out["amplitude"].isel({TIME: slice(0, 2)}), 0.0)
    assert bool(out["amplitude"].isel({TIME: 2}).isnull().all())


def test_no_stray_warnings(ds: xr.Dataset, refs: xr.DataArray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = plkit.unmix(ds, refs, background="constant")
    assert json.loads(out.attrs["reference_sources"])["pristine"].startswith("LineShape")


# Refusals -----------------------------------------------------------------------------------------
def test_background_that_the_references_span_is_refused(ds: xr.Dataset, refs: xr.DataArray) -> None:
    flat = xr.concat(
        [refs, xr.full_like(refs[:1], 1.0).assign_coords(component=["flat"])], COMPONENT
    )
    with pytest.raises(
        DataError, match="background 'constant' is already spanned by the references"
    ):
        plkit.unmix(ds, flat, background="constant")
    assert plkit.unmix(ds, flat)["fraction"].sizes[COMPONENT] == 3


def test_dependent_references_are_refused(ds: xr.Dataset, refs: xr.DataArray) -> None:
    mean = refs.mean(COMPONENT).expand_dims({COMPONENT: ["mean"]})
    with pytest.raises(DataError, match="pristine, bromide, mean depend on each other"):
        plkit.unmix(ds, xr.concat([refs, mean], COMPONENT))


def test_bad_arguments_are_refused_in_words(ds: xr.Dataset, refs: xr.DataArray) -> None:
    def refused(match: str, *args: object, **options: object) -> None:
        with pytest.raises(DataError, match=match):
            plkit.unmix(*(args or (ds, refs)), **options)  # type: ignore[arg-type]

    refused("the dataset holds noise_gain, truth, not 'intensity'", ds.drop_vars("intensity"), refs)
    refused("no spectral dimension", ds["truth"], refs)
    refused("no values", ds.isel({TIME: slice(0, 0)}), refs)
    refused("dtype complex", ds.assign(intensity=ds["intensity"] * 1j), refs)
    refused("'refs' is a Dataset", ds, refs.to_dataset(name="reference"))
    refused("'refs' has 1 component, not at least 2", ds, refs[:1])
    refused("'refs' has dims wavelength, not the required component", ds, refs[0])
    refused("each differently", ds, refs.assign_coords(component=["a", "a"]))
    refused("not on the data's 200", ds.isel({WAVELENGTH: slice(1, None)}), refs)
    refused("Put them on its axis", ds, refs.assign_coords({WAVELENGTH: refs[WAVELENGTH] + 0.3}))
    refused("noise is 'gauss'", noise="gauss")
    refused("normalise is 'sum'", normalise="sum")
    refused("background is 'quadratic'", background="quadratic")
    refused("background has dims", background=ds["intensity"])
    refused("zero everywhere", background=axis())
    refused(
        "relative_brightness names pristine, not exactly", relative_brightness={"pristine": 1.0}
    )
    refused("not positive", relative_brightness={"pristine": 1.0, "bromide": 0.0})
    refused(
        "'component', not one of a measurement", ds["intensity"].rename({POWER: COMPONENT}), refs
    )
    refused(
        "variance that is zero or negative",
        ds.assign(noise_gain=((), 0.0, {"units": "counts"})),
        refs,
    )
    refused("runs over time", ds.assign(noise_gain=(TIME, np.ones(12), {"units": "counts"})), refs)
    refused("no coordinate 'wavelength'", ds.drop_vars(WAVELENGTH), refs)
    refused("the 'area'|the area", ds, -refs)
    refused(
        "12 values along time|variance has 11 values along time",
        noise=ds["intensity"].isel({TIME: slice(1, None)}),
    )
    few = ds.isel({WAVELENGTH: slice(60, 62)})
    refused(
        "2 usable channels for 3 terms",
        few,
        refs.isel({WAVELENGTH: slice(60, 62)}),
        background="constant",
    )


def test_bad_units_are_refused(ds: xr.Dataset, refs: xr.DataArray) -> None:
    with pytest.raises(UnitsError, match="'wavelength' has units 'eV', not 'nm'"):
        plkit.unmix(ds.assign_coords({WAVELENGTH: (WAVELENGTH, AXIS, {"units": "eV"})}), refs)
    with pytest.raises(UnitsError, match="variance has units 'counts', not 'counts\\^2'"):
        plkit.unmix(ds, refs, noise=ds["intensity"])
    angstrom = ds.assign_coords({WAVELENGTH: (WAVELENGTH, AXIS * 10.0, {"units": "Å"})})
    xr.testing.assert_allclose(
        plkit.unmix(angstrom, refs)["fraction"], plkit.unmix(ds, refs)["fraction"]
    )


# How the numbers lie in memory --------------------------------------------------------------------
@pytest.mark.parametrize("noise", ["poisson", "uniform"])
@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64", "int32"])
def test_views_and_slices_give_the_same_bits(
    rng: np.random.Generator, noise: str, dtype: str
) -> None:
    from plkit.unmixing import Design, unmix_block

    basis = rng.uniform(0.0, 1.0, (3, 37))
    design = Design(basis, np.empty((0, 37)), noise=noise)  # type: ignore[arg-type]
    counts = rng.poisson(rng.uniform(0.0, 90.0, (5, 7, 3)) @ basis).astype(dtype)
    expected = unmix_block(counts, design)
    wide = np.zeros((5, 14, 41), dtype)
    wide[:, ::2, 2:39] = counts
    inside = np.zeros(41, dtype=bool)
    inside[2:39] = True
    for found in (
        unmix_block(np.asfortranarray(counts), design),
        unmix_block(wide[:, ::2, 2:39], design),
        unmix_block(wide[:, ::2], design, channels=inside),
    ):
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_a_spectrum_does_not_depend_on_its_neighbours(rng: np.random.Generator) -> None:
    from plkit.unmixing import Design, unmix_block

    basis = rng.uniform(0.0, 1.0, (2, 50))
    counts = rng.poisson(rng.uniform(0.0, 40.0, (31, 2)) @ basis + 1.0).astype(np.float32)
    counts[5, 7] = np.nan
    design = Design(basis, np.ones((1, 50)))
    together = unmix_block(counts, design)
    for p in range(31):
        alone = unmix_block(counts[p : p + 1].copy(), design)
        for name, values in together.items():
            np.testing.assert_array_equal(alone[name][0], values[p])


def test_references_on_the_axis_of_a_file(
    ds: xr.Dataset, refs: xr.DataArray, tmp_path: Path
) -> None:
    for path in (
        plkit.write(ds, tmp_path / "film.nc"),
        plkit.write(ds.isel({POWER: 0, TIME: 0}, drop=True), tmp_path / "film.csv"),
    ):
        found = plkit.references(like=path, pristine=PRISTINE, bromide=BROMIDE)
        np.testing.assert_array_equal(found, refs)
