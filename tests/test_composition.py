"""Iodine content: published inversions, asymmetric bounds, flags, mixtures, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.composition import Calibration, CompositionFlag, composition_map
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.physics.calibration import get_calibration
from plkit.physics.constants import HC_EV_NM
from plkit.physics.lineshapes import asymmetric, gaussian, spectrum_on_wavelength, voigt

WAVELENGTHS = np.linspace(460.0, 760.0, 256)
FLAG = CompositionFlag


def peaks(energy, sigma=0.002, **more):
    energy = np.atleast_1d(np.asarray(energy, dtype=float))
    return xr.Dataset(
        {
            "peak_energy": ("point", energy, names.attrs("peak_energy")),
            "peak_energy_stderr": ("point", np.broadcast_to(sigma, energy.shape).copy()),
            **{k: ("point", np.asarray(v)) for k, v in more.items()},
        }
    )


def line(nm, kind="gaussian", width=0.07):
    e = HC_EV_NM / nm
    shapes = {
        "gaussian": (gaussian, (e, width)),
        "asymmetric": (asymmetric, (e, width, -0.3)),
        "voigt": (voigt, (e, width, 0.3)),
    }
    shape, args = shapes[kind]
    y = spectrum_on_wavelength(WAVELENGTHS, shape, *args)
    return y / y.max()


def spectra(expected, n=60, seed=0, background=22.0, dim="point"):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(np.broadcast_to(expected + background, (n, WAVELENGTHS.size)))
    return xr.Dataset(
        {
            "intensity": ((dim, "wavelength"), counts.astype(float), names.attrs("intensity")),
            "noise_gain": ((), 1.0, names.attrs("noise_gain")),
        },
        {"wavelength": ("wavelength", WAVELENGTHS, names.attrs("wavelength"))},
    )


def share(ds, flag):
    return float(((ds.composition_flag & int(flag)) > 0).mean())


def test_proof_h3a_published_peaks():
    energy = HC_EV_NM / np.array([513.0, 543.0, 590.0, 646.0, 690.0])
    comp = composition_map(peaks(energy, 1e-5))
    np.testing.assert_allclose(comp.x_iodine, [0.127, 0.915, 1.511, 2.065, 2.493], atol=5.1e-4)
    assert (comp.composition_flag == 0).all()
    assert comp.attrs["calibration"] == "cunha2025"
    assert comp.x_iodine.attrs["units"] == names.unit("x_iodine")


def test_proof_composition_bounds_invert_the_ends_of_the_energy_interval():
    e, s = np.array([2.35, 2.10, 1.90]), 0.01
    comp = composition_map(peaks(e, s))
    cubic = get_calibration("cunha2025")
    np.testing.assert_allclose(comp.x_iodine_lower, cubic.x_iodine(e + s))
    np.testing.assert_allclose(comp.x_iodine_upper, cubic.x_iodine(e - s))
    low, high = comp.x_iodine - comp.x_iodine_lower, comp.x_iodine_upper - comp.x_iodine
    assert float(low[0]) > 1.05 * float(high[0])  # flat towards the bromide end
    np.testing.assert_allclose(comp.x_iodine_stderr, (low + high) / 2)


def test_proof_composition_flags_at_the_ends_of_the_calibration():
    top, bottom = 2.42, 1.70
    cases = {  # energy: (flags, x, lower, upper finite?)
        top + 0.021: (FLAG.ABOVE_BROMIDE_END, 0, 0, 0),
        top + 0.015: (FLAG.BROMIDE_LIMIT, 0, 1, 1),
        top - 0.005: (FLAG.BROMIDE_LIMIT, 0, 1, 1),
        top - 0.05: (0, 1, 1, 1),
        2.0: (0, 1, 1, 1),
        bottom + 0.005: (FLAG.BEYOND_IODIDE_END, 0, 1, 1),
        bottom - 0.015: (FLAG.BEYOND_IODIDE_END, 0, 1, 1),
        bottom - 0.021: (FLAG.BEYOND_IODIDE_END, 0, 0, 0),
    }
    comp = composition_map(peaks(list(cases), 0.01))
    for i, (energy, (flag, *finite)) in enumerate(cases.items()):
        here = comp.isel(point=i)
        assert int(here.composition_flag) & ~FLAG.LOW_SENSITIVITY == flag, energy
        got = [here.x_iodine, here.x_iodine_lower, here.x_iodine_upper]
        assert [int(np.isfinite(v)) for v in got] == finite, energy
    cubic = get_calibration("cunha2025")
    limit = comp.isel(point=1)  # even E − σ is above the end: the limit is that of 2σ
    assert float(limit.x_iodine_upper) == pytest.approx(float(cubic.x_iodine(top - 0.005)))
    assert float(limit.x_iodine_lower) == 0.0
    assert float(comp.isel(point=2).x_iodine_upper) == pytest.approx(
        float(cubic.x_iodine(top - 0.015))
    )
    assert float(comp.isel(point=6).x_iodine_upper) == 3.0


def test_the_product_phase_has_no_composition_under_the_cubic():
    """510 nm and 505 nm lie above the maximum: never clipped to zero in silence."""
    comp = composition_map(peaks(HC_EV_NM / np.array([510.0, 505.0]), 0.002))
    assert np.isnan(comp.x_iodine).all()
    assert (comp.composition_flag == FLAG.ABOVE_BROMIDE_END).all()


def test_low_sensitivity_where_bounds_are_far_apart():
    comp = composition_map(peaks([2.37, 1.95, 1.95], [0.045, 0.04, 0.12]))
    assert [bool(f & FLAG.LOW_SENSITIVITY) for f in comp.composition_flag.values] == [
        True, False, True,
    ]  # fmt: skip
    half = 0.5 * (comp.x_iodine_upper - comp.x_iodine_lower)
    assert ((half > 0.25) == ((comp.composition_flag & 4) > 0)).all()


@pytest.mark.parametrize("calibration", ["cunha2025", "cunha2025_points"])
@pytest.mark.parametrize("x_true, sigma", [(0.5, 0.01), (1.0, 0.02), (1.5, 0.01), (2.5, 0.01)])
def test_proof_composition_coverage_of_the_bounds(calibration, x_true, sigma):
    rng = np.random.default_rng(17)
    curve = get_calibration(calibration)
    e = float(curve.energy(x_true)) + sigma * rng.normal(size=3000)
    comp = composition_map(peaks(e, sigma), calibration=calibration)
    inside = (comp.x_iodine_lower <= x_true) & (x_true <= comp.x_iodine_upper)
    # the calibration's own rounding error makes the interval of the points a little wider
    assert 0.66 <= float(inside.mean()) <= 0.72


def test_proof_composition_coverage_near_the_flat_end():
    """Where the interval reaches the end, the limit still holds 68 % at least."""
    rng = np.random.default_rng(18)
    curve = get_calibration("cunha2025")
    for x_true in (0.0, 0.1, 0.2, 0.3):
        e = float(curve.energy(x_true)) + 0.01 * rng.normal(size=3000)
        comp = composition_map(peaks(e, 0.01))
        inside = (comp.x_iodine_lower <= x_true) & (x_true <= comp.x_iodine_upper)
        assert float(inside.mean()) >= 0.66
        assert share(comp, FLAG.BROMIDE_LIMIT) > 0.1


def test_sigma_of_the_calibration_widens_the_bounds():
    e = 2.0
    literature = composition_map(peaks(e, 0.001), calibration="literature")
    curve = get_calibration("literature")
    reach = np.hypot(0.001, 0.043)
    assert float(literature.x_iodine_lower[0]) == pytest.approx(float(curve.x_iodine(e + reach)))
    assert literature.attrs["calibration_energy_stderr_ev"] == pytest.approx(0.043)
    assert int(literature.composition_flag[0]) == 0
    assert share(composition_map(peaks(1.80, 0.001), calibration="literature"), 4) == 1.0
    mine = Calibration.from_table([0.0, 1.5, 3.0], [2.4, 2.1, 1.8], [0.02, 0.02, 0.02], name="mine")
    comp = composition_map(peaks(2.1, 0.0), calibration=mine)
    assert float(comp.x_iodine[0]) == pytest.approx(1.5)
    assert float(comp.x_iodine_stderr[0]) == pytest.approx(0.1, rel=0.05)
    assert comp.attrs["calibration"] == "mine"


@pytest.mark.parametrize("kind", ["gaussian", "asymmetric", "voigt"])
@pytest.mark.parametrize("height", [100, 1000, 30000])
def test_one_phase_is_not_called_several(kind, height):
    comp = composition_map(spectra(height * line(590.0, kind), n=100, seed=height))
    assert share(comp, FLAG.MULTIPLE_PHASES) <= 0.05
    assert float(comp.x_iodine.median()) == pytest.approx(1.511, abs=0.03)


@pytest.mark.parametrize("kind", ["gaussian", "asymmetric"])
@pytest.mark.parametrize("part", [0.15, 0.3, 0.5, 0.7, 0.85])
def test_proof_composition_mixture_of_513_and_590_nm_is_flagged(kind, part):
    mixture = part * line(590.0, kind) + (1 - part) * line(513.0, kind)
    for height in (200, 5000):
        comp = composition_map(spectra(height * mixture, n=40, seed=height))
        assert share(comp, FLAG.MULTIPLE_PHASES) == 1.0


def test_proof_composition_maximum_jumps_and_centroid_invents():
    """Shares that pass through one half: the maximum jumps from 0.13 to 1.51, its mean is 1.0."""
    parts = np.array([0.2, 0.38, 0.62, 0.8])
    mixed = np.stack([p * line(590.0) + (1 - p) * line(513.0) for p in parts])
    ds = spectra(1e5 * mixed, n=4)
    comp = composition_map(ds)
    # that of 513 nm lies so near the flat end that its own σ decides whether it is a limit
    np.testing.assert_allclose(comp.peak_wavelength, [513.0, 513.0, 590.0, 590.0], atol=0.4)
    np.testing.assert_allclose(comp.x_iodine[2:], 1.511, atol=0.02)
    between = get_calibration("cunha2025").x_iodine(comp.peak_centroid.values)
    assert np.all((between > 0.5) & (between < 1.45))
    assert share(comp, FLAG.MULTIPLE_PHASES) == 1.0
    assert (comp.two_line_bic > 100).all()


def test_wide_peaks_are_flagged_against_a_reference_width():
    close = line(590.0) + line(572.0)
    ds = spectra(1000 * close, n=20)
    plain = composition_map(ds)
    width = float(composition_map(spectra(1000 * line(590.0), n=20)).peak_width.median())
    assert share(plain, FLAG.MULTIPLE_PHASES) < 0.5
    compared = composition_map(ds, reference_width_ev=width)
    assert share(compared, FLAG.MULTIPLE_PHASES) == 1.0
    assert float(compared.peak_width.median()) > 1.3 * width


def test_spectra_on_energy_give_the_same_as_on_wavelength():
    ds = spectra(3000 * line(590.0), n=10)
    by_energy = plkit.spectra.to_energy(ds)
    a, b = composition_map(ds), composition_map(by_energy)
    np.testing.assert_allclose(a.x_iodine, b.x_iodine, atol=0.01)
    assert (b.composition_flag == 0).all()


def test_maps_keep_their_dims_attrs_and_file_form(tmp_path):
    y = np.stack([[1000 * line(590.0), 1000 * line(646.0)], [0 * line(590.0), 1000 * line(543.0)]])
    um = {"y": ("y", [1.0, 0.0], names.attrs("y")), "x": ("x", [0.0, 1.0], names.attrs("x"))}
    rng = np.random.default_rng(2)
    ds = xr.Dataset(
        {
            "intensity": (
                ("y", "x", "wavelength"), rng.poisson(y + 20).astype(np.uint16), names.attrs("intensity"),
            ),
            "noise_gain": ((), 1.0, names.attrs("noise_gain")),
        },
        {"wavelength": ("wavelength", WAVELENGTHS, names.attrs("wavelength")), **um},
    )  # fmt: skip
    comp = plkit.composition_map(ds)
    assert comp.x_iodine.dims == ("y", "x")
    assert float(comp.x_iodine.sel(y=1.0, x=1.0)) == pytest.approx(2.06, abs=0.02)
    assert float(comp.x_iodine.sel(y=0.0, x=1.0)) == pytest.approx(0.915, abs=0.04)
    assert int(comp.composition_flag.sel(y=0.0, x=0.0)) == FLAG.NO_PEAK
    assert np.isnan(float(comp.x_iodine.sel(y=0.0, x=0.0)))
    assert comp.composition_flag.dtype == np.int8
    assert comp.composition_flag.attrs["flag_meanings"].split()[4] == "multiple_phases"
    comp.to_netcdf(tmp_path / "comp.nc")
    back = xr.open_dataset(tmp_path / "comp.nc")
    assert back.composition_flag.attrs["flag_masks"].tolist() == [1, 2, 4, 8, 16, 32]
    turned = plkit.composition_map(ds.transpose("wavelength", "x", "y"))
    xr.testing.assert_allclose(turned.x_iodine.transpose("y", "x"), comp.x_iodine)


def test_one_spectrum_and_holes_and_unknown_gain():
    one = composition_map(spectra(2000 * line(590.0), n=1).isel(point=0))
    assert one.x_iodine.ndim == 0
    assert float(one.x_iodine) == pytest.approx(1.511, abs=0.02)
    ds = spectra(2000 * line(590.0), n=6)
    ds["intensity"][:, 100] = np.nan
    ds["intensity"][2] = np.nan
    comp = composition_map(ds)
    assert comp.composition_flag.values.tolist() == [0, 0, FLAG.NO_PEAK, 0, 0, 0]
    mixture = 2000 * (line(590.0) + line(513.0))
    with pytest.warns(PlkitWarning, match="gain is not known"):
        blind = composition_map(spectra(mixture, n=6).drop_vars("noise_gain"))
    assert share(blind, FLAG.MULTIPLE_PHASES) == 1.0
    with pytest.warns(PlkitWarning, match="gain is not known"):
        single = composition_map(spectra(2000 * line(590.0), n=30).drop_vars("noise_gain"))
    assert share(single, FLAG.MULTIPLE_PHASES) == 0.0


def test_failed_peaks_have_no_composition():
    ds = peaks([2.1, 2.1, np.nan], fit_status=np.array([0, 4, 3], np.int8))
    comp = composition_map(ds)
    assert comp.composition_flag.values.tolist() == [0, FLAG.NO_PEAK, FLAG.NO_PEAK]
    assert np.isnan(comp.x_iodine_upper).values.tolist() == [False, True, True]


def test_errors_for_the_user():
    with pytest.raises(DataError, match="neither 'intensity' nor 'peak_energy' is there"):
        composition_map(xr.Dataset({"absorbance": ("wavelength", [1.0])}))
    with pytest.raises(DataError, match="'peak_energy_stderr' is missing"):
        composition_map(peaks(2.0).drop_vars("peak_energy_stderr"))
    in_nm = peaks(2.0)
    in_nm["peak_energy"].attrs["units"] = "nm"
    with pytest.raises(UnitsError, match="has units 'nm', not 'eV'"):
        composition_map(in_nm)
    with pytest.raises(DataError, match="'nedelcu' is not one of"):
        composition_map(peaks(2.0), calibration="nedelcu")
    with pytest.raises(DataError, match="'reference_width_ev' is -1"):
        composition_map(peaks(2.0, peak_width=[0.07]), reference_width_ev=-1.0)
    with pytest.raises(DataError, match="'peak_width' is missing"):
        composition_map(peaks(2.0), reference_width_ev=0.07)


def test_energies_in_mev_are_converted():
    ds = peaks(2101.427)
    ds["peak_energy"].attrs["units"] = "meV"
    assert float(composition_map(ds).x_iodine[0]) == pytest.approx(1.511, abs=1e-3)
