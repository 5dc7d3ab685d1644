"""Diffusion coefficients from maps: exactness, numerical diffusion, coverage, shape, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.diffusion import fit_fick_movie, fit_fick_profile
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.physics.fick import (
    diffusion_from_sigma,
    fick_profile,
    pixel_gaussian_2d,
    sigma_from_diffusion,
)

GEOMETRIES = ("map", "cut", "radial")
CENTRE = (0.3, -0.2)


def axis(n, pixel):
    return (np.arange(n) - n / 2 + 0.5) * pixel


def map_coords(n, pixel):
    at = axis(n, pixel)
    return {"y": ("y", at, names.attrs("y")), "x": ("x", at, names.attrs("x"))}


def halo(n=40, pixel=0.5, sigma=1.75, height=0.6, offset=0.1, centre=CENTRE):
    at = axis(n, pixel)
    g = pixel_gaussian_2d(at, at, centre, sigma, (pixel, pixel))
    return xr.DataArray(offset + height * g, map_coords(n, pixel), ("y", "x"))


def rates(values, dim="sample", coords=None):
    return xr.DataArray(values, coords, dim, attrs=names.attrs("mean_rate"))


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("pixel, sigma", [(0.5, 1.75), (2.0, 1.75), (1.0, 3.0), (0.25, 0.8)])
def test_proof_diffusion_exact_on_equation_1(geometry, pixel, sigma):
    fit = fit_fick_profile(halo(40, pixel, sigma), time_s=40.0, geometry=geometry)
    assert float(fit.profile_sigma) == pytest.approx(sigma, rel=1e-7)
    wanted = float(diffusion_from_sigma(sigma, 40.0))
    assert float(fit.diffusion_coefficient) == pytest.approx(wanted, rel=1e-6)
    assert float(fit.offset) == pytest.approx(0.1, abs=1e-7)
    if geometry != "cut":
        assert float(fit.profile_amplitude) == pytest.approx(0.6, rel=1e-7)
        assert (float(fit.centre_x), float(fit.centre_y)) == pytest.approx(CENTRE, abs=1e-6)


def test_proof_diffusion_printed_profile_on_a_line_gives_its_coefficient_back():
    d, t = 6.3e-14, 50.0
    at = np.arange(-30.0, 30.1, 0.05)
    line = xr.DataArray(
        0.02 + fick_profile(at, 1.5, d, t, 1.0), {"x": ("x", at, names.attrs("x"))}, ("x",)
    )
    fit = fit_fick_profile(line, rate=1.0 / t, geometry="cut")
    assert float(fit.diffusion_coefficient) == pytest.approx(d, rel=2e-4)  # pixels of 0.05 µm
    assert float(fit.centre_x) == pytest.approx(1.0, abs=1e-6)
    assert fit.diffusion_coefficient.attrs["units"] == names.unit("diffusion_coefficient")


def diffused_numerically(d_um2_s, t, fine=0.125, n_fine=320):
    """Explicit finite differences from a laser spot, on walls that reflect; no Gaussian beyond t=0.

    With a step of h²/(6 D) the second and fourth order errors of this scheme cancel.
    """
    at = axis(n_fine, fine)
    c = np.exp(-(at[None] ** 2 + at[:, None] ** 2) / (2 * 0.5**2))
    steps = int(np.ceil(6 * d_um2_s * t / fine**2))
    k = d_um2_s * (t / steps) / fine**2
    for _ in range(steps):
        p = np.pad(c, 1, mode="edge")
        edges = p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1]
        corners = p[2:, 2:] + p[2:, :-2] + p[:-2, 2:] + p[:-2, :-2]
        c = c + k * ((4 * edges + corners - 20 * c) / 6.0)
    return c


def binned(c, factor):
    n = c.shape[0] // factor
    return c.reshape(n, factor, n, factor).mean(axis=(1, 3))


@pytest.mark.parametrize("pixel, factor", [(0.5, 4), (2.0, 16)])
def test_proof_diffusion_numerically_diffused_map(pixel, factor):
    d, t = 3e-14, 50.0
    c = binned(diffused_numerically(d * 1e12, t), factor)
    data = xr.DataArray(0.05 + 0.7 * c / c.max(), map_coords(c.shape[0], pixel), ("y", "x"))
    fit = fit_fick_profile(data, time_s=t, initial_sigma_um=0.5)
    assert float(fit.diffusion_coefficient) == pytest.approx(d, rel=2e-3)


def test_proof_diffusion_pixels_of_2_um_must_be_averaged_over():
    """The width of a Gaussian seen through a pixel p is near σ² + p²/12: 11 % of D at 2 µm."""
    at, pixel, sigma = axis(20, 2.0), 2.0, 1.75
    data = halo(20, pixel, sigma)
    exact = float(fit_fick_profile(data, time_s=1.0).diffusion_coefficient)
    from scipy.optimize import curve_fit

    r2 = ((at[None] - CENTRE[0]) ** 2 + (at[:, None] - CENTRE[1]) ** 2).ravel()
    naive = curve_fit(
        lambda r2, a, s, b: a * np.exp(-r2 / (2 * s**2)) + b,
        r2,
        data.values.ravel(),
        [0.6, 1.7, 0.1],
    )[0][1]
    assert exact == pytest.approx(float(diffusion_from_sigma(sigma, 1.0)), rel=1e-6)
    assert (naive / sigma) ** 2 == pytest.approx(1 + pixel**2 / 12 / sigma**2, abs=0.02)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_proof_diffusion_coverage(geometry):
    rng = np.random.default_rng(7)
    m, n = 400, 30
    truth = halo(n, 0.5, 1.75)
    sigma = np.sqrt(truth * (1 - truth) / 3000.0)
    noise = xr.DataArray(rng.normal(size=(m, n, n)), dims=("sample", "y", "x"))
    k = rates(0.02 * (1 + 0.004 * rng.normal(size=m)))
    fit = fit_fick_profile(
        truth + sigma * noise, stderr=sigma, rate=k, rate_stderr=0.004 * k, geometry=geometry
    )
    wanted = {
        "diffusion_coefficient": float(diffusion_from_sigma(1.75, 50.0)),
        "profile_sigma": 1.75,
        "centre_x": CENTRE[0],
        "offset": 0.1,
    }
    if geometry == "map":
        wanted |= {"centre_y": CENTRE[1], "profile_amplitude": 0.6}
    for name, value in wanted.items():
        hits = float((abs(fit[name] - value) <= fit[f"{name}_stderr"]).mean())
        assert 0.62 <= hits <= 0.745, name  # 68.3 % ± 2.6 standard errors of 400 draws
    assert float(fit.gaussian.mean()) > 0.98
    assert float(fit.redchi.mean()) == pytest.approx(1.0, abs=0.06)
    assert (fit.fit_status == 0).all()
    parts = np.hypot(
        fit.diffusion_coefficient_stderr_profile, fit.diffusion_coefficient_stderr_time
    )
    np.testing.assert_allclose(parts, fit.diffusion_coefficient_stderr, rtol=1e-12)
    np.testing.assert_allclose(
        fit.diffusion_coefficient_stderr_time, 0.004 * abs(fit.diffusion_coefficient), rtol=1e-9
    )


def test_sigma_from_residuals_where_none_is_given():
    rng = np.random.default_rng(2)
    truth = halo(30)
    noisy = truth + xr.DataArray(0.01 * rng.normal(size=(300, 30, 30)), dims=("sample", "y", "x"))
    fit = fit_fick_profile(noisy, time_s=50.0)
    hits = float((abs(fit.profile_sigma - 1.75) <= fit.profile_sigma_stderr).mean())
    assert 0.61 <= hits <= 0.755
    stated = fit_fick_profile(noisy, time_s=50.0, stderr=0.01)
    np.testing.assert_allclose(fit.profile_sigma, stated.profile_sigma, rtol=1e-6)
    assert float((fit.profile_sigma_stderr / stated.profile_sigma_stderr).mean()) == pytest.approx(
        1.0, abs=0.01
    )


def test_equal_to_lmfit_on_a_noisy_map():
    """Same optimum and σ as lmfit, which minimises over all five parameters at once."""
    import lmfit

    rng = np.random.default_rng(9)
    at, sigma = axis(24, 0.5), 0.02
    data = halo(24) + sigma * rng.normal(size=(24, 24))
    fit = fit_fick_profile(data, time_s=50.0, stderr=sigma)

    def residual(p):
        g = pixel_gaussian_2d(at, at, (p["x0"].value, p["y0"].value), p["s"].value, (0.5, 0.5))
        return ((data.values - p["b"] - p["a"] * g) / sigma).ravel()

    p = lmfit.create_params(x0=0.0, y0=0.0, s=1.5, a=0.5, b=0.0)
    best = lmfit.minimize(residual, p, scale_covar=False)
    for name, key in (("profile_sigma", "s"), ("centre_x", "x0"), ("offset", "b")):
        assert float(fit[name]) == pytest.approx(best.params[key].value, rel=1e-4, abs=1e-6)
        assert float(fit[f"{name}_stderr"]) == pytest.approx(best.params[key].stderr, rel=1e-2)
    assert float(fit.chisqr) <= best.chisqr * (1 + 1e-8)
    correlation = best.params["s"].correl["a"]
    c = fit.covariance.sel(param_i="profile_sigma")
    got = c.sel(param_j="profile_amplitude") / (
        fit.profile_sigma_stderr * fit.profile_amplitude_stderr
    )
    assert float(got) == pytest.approx(correlation, abs=1e-2)


def test_noise_is_no_signal_and_emptiness_is_failure():
    rng = np.random.default_rng(3)
    noise = xr.DataArray(
        0.3 + 0.01 * rng.normal(size=(80, 25, 25)), map_coords(25, 0.5), ("sample", "y", "x")
    )
    for stderr in (0.01, None):
        fit = fit_fick_profile(noise, stderr=stderr, time_s=10.0)
        assert int((fit.fit_status != 3).sum()) == 0
        assert np.isnan(fit.diffusion_coefficient).all()
        assert np.isnan(fit.profile_sigma_stderr).all()
    fit = fit_fick_profile(noise[:1] * np.nan, time_s=10.0)
    assert fit.fit_status.values.tolist() == [4]
    constant = xr.full_like(noise[:1], 0.5)
    assert int(fit_fick_profile(constant, time_s=10.0).fit_status[0]) == 3
    assert "No profile" in fit.attrs["profile"]


def test_a_faint_halo_is_found_wherever_it_is():
    rng = np.random.default_rng(5)
    for centre in [(-6.0, 6.0), (5.0, -3.0), (0.0, 0.0)]:
        data = halo(40, 0.5, 1.2, height=-0.05, centre=centre) + 0.02 * rng.normal(size=(40, 40))
        fit = fit_fick_profile(data, stderr=0.02, time_s=10.0)
        assert int(fit.fit_status) == 0
        assert float(fit.profile_amplitude) < 0
        assert float(np.hypot(fit.centre_x - centre[0], fit.centre_y - centre[1])) < 1.0


def test_profiles_that_are_not_gaussian_are_said_to_be_so():
    rng = np.random.default_rng(6)
    at = axis(40, 0.5)
    r = np.hypot(at[None], at[:, None])
    cone = 0.1 + 0.6 * np.exp(-r / 2.0) + 0.005 * rng.normal(size=(40, 40))
    data = xr.DataArray(np.stack([cone, halo() + 0.005 * rng.normal(size=(40, 40))]),
                        map_coords(40, 0.5), ("sample", "y", "x"))  # fmt: skip
    fit = fit_fick_profile(data, stderr=0.005, time_s=50.0)
    assert fit.gaussian.values.tolist() == [0, 1]
    assert "1 of 2 profiles are not Gaussian" in fit.attrs["profile"]
    assert float(fit.redchi[0]) > 1.5
    assert float(fit.runs_test_p[0]) < 0.003 or float(fit.radial_p[0]) < 0.003
    assert (
        "Nothing speaks against a Gaussian" in fit_fick_profile(halo(), time_s=1.0).attrs["profile"]
    )


def test_missing_pixels_given_centre_and_descending_axes():
    data = halo()
    holes = data.where((data.x > -3) | (data.y < 2))
    for geometry in ("map", "radial"):
        fit = fit_fick_profile(holes, time_s=50.0, geometry=geometry)
        assert float(fit.profile_sigma) == pytest.approx(1.75, rel=1e-5)
    fit = fit_fick_profile(data, time_s=50.0, centre_um=CENTRE)
    assert float(fit.profile_sigma) == pytest.approx(1.75, rel=1e-6)
    assert np.isnan(float(fit.centre_x_stderr))
    free = fit_fick_profile(data, time_s=50.0)
    flipped = fit_fick_profile(data[::-1, ::-1].transpose("x", "y"), time_s=50.0)
    assert float(flipped.centre_x) == pytest.approx(float(free.centre_x), abs=1e-6)


def test_initial_width_of_the_spot_is_subtracted():
    d, t = 1e-14, 60.0
    data = halo(sigma=float(sigma_from_diffusion(d, t, 0.5)))
    fit = fit_fick_profile(data, time_s=t, initial_sigma_um=0.5)
    assert float(fit.diffusion_coefficient) == pytest.approx(d, rel=1e-6)
    narrow = fit_fick_profile(halo(sigma=0.5), time_s=t, initial_sigma_um=0.6)
    assert float(narrow.diffusion_coefficient) < 0  # reported as found, and flagged
    assert int(narrow.fit_status) == 2


def kinetics(powers, k, status=None):
    coords = {"power": ("power", powers, names.attrs("power"))}
    status = np.zeros(len(powers), np.int8) if status is None else np.array(status, np.int8)
    return xr.Dataset(
        {
            "mean_rate": ("power", k, names.attrs("mean_rate")),
            "mean_rate_stderr": ("power", 0.01 * np.asarray(k), names.attrs("mean_rate")),
            "fit_status": ("power", status),
        },
        coords,
    )


def power_maps(powers, sigmas):
    maps = [halo(24, 0.5, s) for s in sigmas]
    return xr.concat(maps, "power").assign_coords(power=("power", powers, names.attrs("power")))


def test_rates_are_matched_by_power(tmp_path):
    powers = [40.0, 10.0, 20.0]
    kin = kinetics([10.0, 20.0, 40.0, 80.0], [0.01, 0.02, 0.04, 0.08])
    maps = power_maps(powers, [1.0, 1.0, 1.0])
    fit = plkit.fit_fick_profile(maps, rate=kin)
    np.testing.assert_allclose(fit.diffusion_time, [25.0, 100.0, 50.0])
    np.testing.assert_allclose(fit.diffusion_time_stderr, [0.25, 1.0, 0.5])
    np.testing.assert_allclose(fit.diffusion_coefficient, 5e-13 / fit.diffusion_time, rtol=1e-6)
    fit.to_netcdf(tmp_path / "fit.nc")
    one = fit_fick_profile(maps.isel(power=1), rate=kin)
    assert float(one.diffusion_time) == pytest.approx(100.0)
    per_minute = kin.mean_rate * 60.0
    fit = fit_fick_profile(maps, rate=per_minute.assign_attrs(units="1/min"))
    np.testing.assert_allclose(fit.diffusion_time, [25.0, 100.0, 50.0])
    with pytest.raises(DataError, match=r"'rate' has no value at power = 40.0"):
        fit_fick_profile(maps, rate=kin.isel(power=[0, 1]))


def test_failed_rates_leave_the_width():
    kin = kinetics([10.0, 20.0], [0.01, 0.02], [0, 4])
    with pytest.warns(PlkitWarning, match="1 of 2 profiles have no positive rate"):
        fit = fit_fick_profile(power_maps([10.0, 20.0], [1.0, 1.2]), rate=kin)
    assert np.isfinite(fit.profile_sigma).all()
    assert np.isnan(fit.diffusion_coefficient).values.tolist() == [False, True]
    assert fit.fit_status.values.tolist() == [0, 2]


def test_dataset_of_unmix_brings_its_sigma():
    data = halo().expand_dims(component=["bromide"]).copy()
    ds = xr.Dataset({"fraction": data, "fraction_stderr": xr.full_like(data, 0.01)})
    fit = fit_fick_profile(ds.sel(component="bromide"), time_s=50.0)
    stated = fit_fick_profile(data[0], stderr=0.01, time_s=50.0)
    assert float(fit.profile_sigma_stderr) == pytest.approx(float(stated.profile_sigma_stderr))
    with pytest.raises(DataError, match="still has the dim 'component'"):
        fit_fick_profile(ds, time_s=50.0)


def movie(times, d, s0, n=30, pixel=0.5, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    at = axis(n, pixel)
    frames = [
        0.05 + 0.01 * i + (0.7 - 0.05 * i) * pixel_gaussian_2d(at, at, CENTRE, s, (pixel, pixel))
        for i, s in enumerate(np.maximum(sigma_from_diffusion(d, times, s0), 1e-2))
    ]
    coords = map_coords(n, pixel) | {"time": ("time", times, names.attrs("time"))}
    values = np.array(frames) + noise * rng.normal(size=(len(times), n, n))
    return xr.DataArray(values, coords, ("time", "y", "x"))


@pytest.mark.parametrize("s0", [0.5, 0.9])
def test_proof_diffusion_whole_movie_exact(s0):
    data = movie(np.array([0.0, 5.0, 20.0, 80.0]), 2e-14, s0)
    fit = fit_fick_movie(data)
    assert float(fit.diffusion_coefficient) == pytest.approx(2e-14, rel=1e-6)
    assert float(fit.profile_sigma_start) == pytest.approx(s0, rel=1e-6)
    np.testing.assert_allclose(fit.profile_amplitude, [0.7, 0.65, 0.6, 0.55], rtol=1e-6)
    held = fit_fick_movie(data, initial_sigma_um=s0)
    assert float(held.diffusion_coefficient) == pytest.approx(2e-14, rel=1e-6)
    assert np.isnan(float(held.profile_sigma_start_stderr))


def test_proof_diffusion_whole_movie_coverage():
    times = np.array([2.0, 10.0, 30.0, 60.0])
    hits, status = [], []
    for seed in range(120):
        data = movie(times, 2e-14, 0.6, n=20, noise=0.03, seed=seed)
        fit = fit_fick_movie(data, stderr=0.03)
        status.append(int(fit.fit_status))
        hits.append(
            (
                abs(float(fit.diffusion_coefficient) - 2e-14)
                <= float(fit.diffusion_coefficient_stderr),
                abs(float(fit.profile_sigma_start) - 0.6) <= float(fit.profile_sigma_start_stderr),
            )
        )
    assert set(status) == {0}
    for share in np.mean(hits, axis=0):
        assert 0.57 <= share <= 0.79  # 68.3 % ± 2.6 standard errors of 120 draws


def test_whole_movie_edge_cases():
    times = np.array([0.0, 10.0, 40.0])
    still = fit_fick_movie(movie(times, 0.0, 1.0, noise=0.01), stderr=0.01)
    assert int(still.fit_status) == 2
    assert abs(float(still.diffusion_coefficient)) <= 4 * float(still.diffusion_coefficient_stderr)
    rng = np.random.default_rng(0)
    empty = movie(times, 1e-14, 1.0).copy(data=0.3 + 0.01 * rng.normal(size=(3, 30, 30)))
    assert int(fit_fick_movie(empty, stderr=0.01).fit_status) == 3
    assert int(fit_fick_movie(empty * np.nan).fit_status) == 4
    with pytest.raises(DataError, match="not at least two different ones"):
        fit_fick_movie(movie(times[:1], 1e-14, 1.0))
    with pytest.raises(DataError, match="has dims y, x, not the required time"):
        fit_fick_movie(halo())


def test_errors_for_the_user():
    data = halo(20)
    with pytest.raises(DataError, match="neither 'rate' nor 'time_s'"):
        fit_fick_profile(data)
    with pytest.raises(DataError, match="both 'rate' and 'time_s'"):
        fit_fick_profile(data, rate=1.0, time_s=1.0)
    with pytest.raises(DataError, match="geometry is 'square'"):
        fit_fick_profile(data, time_s=1.0, geometry="square")
    with pytest.raises(UnitsError, match="'x' has units 'none', not 'um'"):
        fit_fick_profile(data.assign_coords(x=data.x.values), time_s=1.0)
    with pytest.raises(DataError, match="not evenly spaced"):
        fit_fick_profile(data.isel(x=[0, 1, 2, 4, 5, 7]), time_s=1.0)
    with pytest.raises(DataError, match="axis 'y' has 1 pixels"):
        fit_fick_profile(data.isel(y=[3]), time_s=1.0)
    with pytest.raises(DataError, match="has no coordinate values"):
        fit_fick_profile(data.drop_vars("x"), time_s=1.0)
    with pytest.raises(DataError, match="has dims x, not the required y"):
        fit_fick_profile(data.isel(y=0), time_s=1.0)
    with pytest.raises(DataError, match=r"'stderr' has shape \(3,\)"):
        fit_fick_profile(data, time_s=1.0, stderr=np.ones(3))
    with pytest.raises(DataError, match="'rate' has dim 'power', which the profiles do not have"):
        fit_fick_profile(data, rate=kinetics([1.0, 2.0], [0.1, 0.2]))
    with pytest.raises(DataError, match="'mean_rate' is missing"):
        fit_fick_profile(data, rate=xr.Dataset())
    with pytest.raises(DataError, match="'initial_sigma_um' is -1"):
        fit_fick_profile(data, time_s=1.0, initial_sigma_um=-1.0)
    with pytest.raises(DataError, match="'fraction' is missing"):
        fit_fick_profile(xr.Dataset(), time_s=1.0)
    with pytest.raises(DataError, match="no values"):
        fit_fick_profile(data.isel(x=slice(0, 0)), time_s=1.0)


def test_units_of_axes_are_converted():
    data = halo()
    nm = data.assign_coords({d: (d, data[d].values * 1000.0, {"units": "nm"}) for d in ("x", "y")})
    assert float(fit_fick_profile(nm, time_s=50.0).profile_sigma) == pytest.approx(1.75, rel=1e-6)


def temperature_series(energy, width_energy=0.0, noise=0.0, seed=0, n=24):
    """Halos, rates and temperatures of a series in which D t has its own activation energy."""
    from plkit.physics.arrhenius import arrhenius_rate, prefactor_for

    powers = np.geomspace(10.0, 160.0, 6)
    t = 293.0 + 0.065 * powers
    k = arrhenius_rate(t, prefactor_for(0.02, 298.0, energy), energy)
    area = arrhenius_rate(t, prefactor_for(1.6**2, 298.0, width_energy), width_energy)
    maps = power_maps(powers, np.sqrt(area + 0.5**2))
    rng = np.random.default_rng(seed)
    maps = maps + noise * rng.normal(size=maps.shape)
    coords = {"power": maps.power}
    temperature = xr.DataArray(t, coords, ("power",), attrs=names.attrs("temperature"))
    return maps, kinetics(powers, k), temperature


def test_proof_h22_halo_of_constant_width_repeats_the_energy_of_the_rate():
    maps, kin, t = temperature_series(0.217, noise=0.01)
    profiles = fit_fick_profile(maps, stderr=0.01, rate=kin, initial_sigma_um=0.5)
    fit = plkit.fit_diffusion_temperature(profiles, t)
    rate = plkit.fit_arrhenius(kin, t)
    assert int(fit.width_is_constant) == 1
    assert "no independent measurement" in fit.attrs["width"]
    off = float(fit.activation_energy - rate.activation_energy)
    assert off == pytest.approx(float(fit.width_energy), abs=2e-3)
    assert abs(float(fit.width_energy)) < 2 * float(fit.width_energy_stderr)


def test_halo_that_grows_with_temperature_has_its_own_energy():
    maps, kin, t = temperature_series(0.217, width_energy=0.3, noise=0.002)
    profiles = fit_fick_profile(maps, stderr=0.002, rate=kin, initial_sigma_um=0.5)
    fit = plkit.fit_diffusion_temperature(profiles, t)
    assert int(fit.width_is_constant) == 0
    assert abs(float(fit.width_energy) - 0.3) < 3 * float(fit.width_energy_stderr)
    assert abs(float(fit.activation_energy) - 0.517) < 3 * float(fit.activation_energy_stderr)


def test_proof_h21_h22_diffusion_over_temperature(tmp_path):
    """D0 and E_a as printed give D(293 K) = 3.9e-14; the whole chain gives them back."""
    from plkit.physics.arrhenius import arrhenius_rate

    t = xr.DataArray(np.linspace(300.0, 400.0, 6), dims="point", attrs=names.attrs("temperature"))
    d = xr.DataArray(
        arrhenius_rate(t, 5.3e-11, 0.182), dims="point", attrs=names.attrs("diffusion_coefficient")
    )
    fit = plkit.fit_diffusion_temperature(d, t, diffusion_stderr=0.05 * d)
    assert float(fit.d_293k) == pytest.approx(3.92e-14, rel=0.005)
    assert float(fit.ln_d0) == pytest.approx(np.log(5.3e-11), rel=1e-9)
    assert float(fit.activation_energy) == pytest.approx(0.182, rel=1e-9)
    assert float(fit.d_293k_stderr / fit.d_293k) == pytest.approx(float(fit.ln_d_293k_stderr))
    in_cm2 = (d * 1e4).assign_attrs(units="cm^2/s")
    again = plkit.fit_diffusion_temperature(in_cm2, t, diffusion_scatter=0.05)
    assert float(again.d_293k) == pytest.approx(float(fit.d_293k))
    at = plkit.predict_arrhenius(fit, [293.0, 350.0])
    assert at.diffusion_coefficient.attrs["units"] == names.unit("diffusion_coefficient")
    assert "width_is_constant" not in fit
    fit.to_netcdf(tmp_path / "d.nc")


def test_proof_diffusion_energy_covers_and_needs_fine_pixels():
    """σ(E_D) of six maps grows with the pixel; the 68 % interval holds the truth."""
    hits, sigma = [], []
    for seed in range(40):
        maps, kin, t = temperature_series(0.217, noise=0.012, seed=seed)
        profiles = fit_fick_profile(maps, stderr=0.012, rate=kin.mean_rate, initial_sigma_um=0.5)
        fit = plkit.fit_diffusion_temperature(profiles, t)
        hits.append(
            abs(float(fit.activation_energy) - 0.217) <= float(fit.activation_energy_stderr)
        )
        sigma.append(float(fit.activation_energy_stderr))
    assert 0.5 <= np.mean(hits) <= 0.86  # 68.3 % ± 2.4 standard errors of 40 draws
    assert 0.004 < np.mean(sigma) < 0.012
    coarse = maps.coarsen(x=4, y=4).mean()  # pixels of 2 µm of the same σ each
    few = fit_fick_profile(coarse, stderr=0.012, rate=kin.mean_rate, initial_sigma_um=0.5)
    coarse_fit = plkit.fit_diffusion_temperature(few, t)
    assert float(coarse_fit.activation_energy_stderr) > 3 * np.mean(sigma)
