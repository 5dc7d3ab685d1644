"""Activation energies: exactness, the split of σ, coverage, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.arrhenius import fit_arrhenius, predict_arrhenius
from plkit.arrhenius.fitting import _fit
from plkit.arrhenius.inputs import Points
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.physics.arrhenius import arrhenius_rate, prefactor_for
from plkit.physics.constants import BOLTZMANN_EV_K

T0 = 293.0
POWERS = np.geomspace(10.0, 160.0, 8)
RISE_PER_UW = 0.065
ENERGY = 0.217


def power_series(values, name, powers=POWERS):
    coords = {"power": ("power", powers, names.attrs("power"))}
    return xr.DataArray(values, coords=coords, dims="power", attrs=names.attrs(name))


def truth(powers=POWERS, energy=ENERGY):
    t = T0 + RISE_PER_UW * powers
    k = arrhenius_rate(t, prefactor_for(0.02, 298.0, energy), energy)
    return power_series(k, "rate", powers), power_series(t, "temperature", powers)


def heating(powers, scale_error=0.08):
    rise = RISE_PER_UW * powers
    return xr.Dataset(
        {
            "detection_temperature": power_series(T0 + rise, "detection_temperature", powers),
            "detection_temperature_stderr": power_series(
                scale_error * rise, "detection_temperature_stderr", powers
            ),
            "ambient_temperature": ((), T0, names.attrs("ambient_temperature")),
        }
    )


def test_proof_arrhenius_exact_on_noise_free_rates():
    k, t = truth()
    fit = fit_arrhenius(k, t, rate_stderr=0.01 * k.values)
    ln_k0 = np.log(0.02) + ENERGY / (BOLTZMANN_EV_K * 298.0)
    assert float(fit.activation_energy) == pytest.approx(ENERGY, rel=1e-10)
    assert float(fit.activation_energy_nonlinear) == pytest.approx(ENERGY, rel=1e-10)
    assert float(fit.ln_k0) == pytest.approx(ln_k0, rel=1e-10)
    np.testing.assert_allclose(fit.activation_energy_without, ENERGY, rtol=1e-9)
    assert float(fit.chisqr) == pytest.approx(0.0, abs=1e-18)
    assert fit.activation_energy.attrs["units"] == names.unit("activation_energy")
    assert float(fit.activation_energy_kj_mol) == pytest.approx(ENERGY * 96.48533, rel=1e-6)


def test_straight_line_equals_weighted_least_squares_of_scipy():
    from scipy.optimize import curve_fit

    rng = np.random.default_rng(4)
    k, t = truth()
    sigma = rng.uniform(0.005, 0.05, k.size)
    noisy = k * np.exp(rng.normal(0.0, sigma))
    fit = fit_arrhenius(noisy, t, rate_stderr=noisy.values * sigma)
    x = 1.0 / t.values - 1.0 / float(fit.temperature_mid)
    best, cov = curve_fit(
        lambda u, e, c: c - e * u / BOLTZMANN_EV_K, x, np.log(noisy.values), [0.2, -4.0],
        sigma=sigma, absolute_sigma=True,
    )  # fmt: skip
    assert float(fit.activation_energy) == pytest.approx(best[0], rel=1e-6)
    assert float(fit.ln_k_mid) == pytest.approx(best[1], rel=1e-6)
    np.testing.assert_allclose(np.diag(fit.covariance), np.diag(cov), rtol=1e-5)
    # centred at the middle temperature the two do not correlate
    corr = float(fit.covariance[0, 1]) / np.sqrt(float(fit.covariance[0, 0] * fit.covariance[1, 1]))
    assert abs(corr) < 1e-6


def test_errors_of_temperature_maximise_the_likelihood():
    """York's line is where χ² over effective variances, slope included, is least."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(6)
    k, t = truth()
    noisy = t + rng.normal(0.0, 0.4, t.size)
    fit = fit_arrhenius(k, noisy.assign_attrs(t.attrs), rate_scatter=0.01, temperature_stderr=0.4)
    x, y = 1.0 / noisy.values, np.log(k.values)
    mid = 1.0 / float(fit.temperature_mid)

    def chisqr(p):
        slope = -1e4 * p[0] / (BOLTZMANN_EV_K * 1e4)
        var = 0.01**2 + slope**2 * 0.4**2 * x**4
        return np.sum((y - p[1] - slope * (x - mid)) ** 2 / var)

    best = minimize(
        chisqr, [0.2, -4.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    assert float(fit.activation_energy) == pytest.approx(best.x[0], rel=1e-5)
    assert float(fit.chisqr) == pytest.approx(best.fun, rel=1e-6)


@pytest.mark.parametrize("g", [0.5, 0.8, 0.95, 1.05, 1.25, 2.0])
def test_proof_arrhenius_scale_error_of_the_rise_divides_the_energy(g):
    """Exact for a rise that is small beside T0, a per cent off at most for the real series."""
    tiny = 1e-4 * POWERS
    k = arrhenius_rate(T0 + tiny, prefactor_for(0.02, T0, ENERGY), ENERGY)
    wrong = power_series(T0 + g * tiny, "temperature")
    fit = fit_arrhenius(power_series(k, "rate"), wrong, rate_scatter=0.01)
    assert float(fit.activation_energy) * g == pytest.approx(ENERGY, rel=1e-4)
    k, t = truth()
    fit = fit_arrhenius(k, (T0 + g * (t - T0)).assign_attrs(t.attrs), rate_scatter=0.01)
    assert float(fit.activation_energy) * g == pytest.approx(ENERGY, rel=0.04 * abs(g - 1.0))


def test_shared_sigma_is_the_energy_times_the_scale_error():
    k, t = truth()
    shared = (0.08 * (t - T0)).assign_attrs(t.attrs)
    fit = fit_arrhenius(k, t, rate_scatter=0.005, shared_temperature_stderr=shared)
    part = float(fit.activation_energy_stderr_shared)
    assert part == pytest.approx(0.08 * ENERGY, rel=0.05)
    # more points and no noise leave it where it is
    many = np.geomspace(10.0, 160.0, 80)
    k, t = truth(many)
    again = fit_arrhenius(k, t, rate_scatter=1e-6, shared_temperature_stderr=0.08 * (t.values - T0))
    assert float(again.activation_energy_stderr) == pytest.approx(part, rel=0.02)
    assert float(again.activation_energy_stderr_scatter) < 1e-4 * part


def test_parts_of_sigma_add_in_quadrature():
    k, t = truth()
    fit = fit_arrhenius(
        k, t, rate_stderr=k.values * np.linspace(0.002, 0.02, 8), rate_scatter=0.007,
        temperature_stderr=0.15, shared_temperature_stderr=0.08 * (t.values - T0),
    )  # fmt: skip
    causes = ("photon", "scatter", "temperature", "shared")
    parts = [float(fit[f"activation_energy_stderr_{c}"]) for c in causes]
    assert min(parts) > 0
    assert np.sqrt(np.sum(np.square(parts))) == pytest.approx(
        float(fit.activation_energy_stderr), rel=1e-12
    )
    assert float(fit.covariance[0, 0]) == pytest.approx(float(fit.activation_energy_stderr) ** 2)


def simulated_studies(n, seed, photon=0.004, scatter=0.005, t_sigma=0.05, scale=0.08):
    """Yield fits of studies in which every error is drawn anew."""
    rng = np.random.default_rng(seed)
    k, t = (v.values for v in truth())
    for _ in range(n):
        seen = k * np.exp(rng.normal(0.0, scatter, 8)) * (1.0 + rng.normal(0.0, photon, 8))
        g = 1.0 + rng.normal(0.0, scale)
        stated = T0 + (t - T0) / g + rng.normal(0.0, t_sigma, 8)
        yield _fit(
            Points(
                quantity="rate", labels=xr.DataArray(seen), kept=np.ones(8, bool), value=seen,
                ln_var_photon=np.full(8, photon**2), ln_var_scatter=np.full(8, scatter**2),
                temperature=stated, temperature_var=np.full(8, t_sigma**2),
                shared=scale * (stated - T0), power=POWERS,
            )
        )  # fmt: skip


def test_proof_arrhenius_coverage_with_shared_error_drawn_anew():
    fits = list(simulated_studies(3000, seed=11))
    hits = [abs(f.energy - ENERGY) <= np.sqrt(f.covariance[0, 0]) for f in fits]
    assert 0.64 <= np.mean(hits) <= 0.72
    ln_true = np.log(arrhenius_rate(360.0, prefactor_for(0.02, 298.0, ENERGY), ENERGY))
    inside = []
    for f in fits:
        u = (1.0 / 360.0 - 1.0 / f.t_mid) / BOLTZMANN_EV_K
        j = np.array([-u, 1.0])
        inside.append(abs(f.ln_mid - u * f.energy - ln_true) <= np.sqrt(j @ f.covariance @ j))
    assert 0.64 <= np.mean(inside) <= 0.72, "prediction at 360 K"


def test_proof_arrhenius_coverage_fails_when_the_shared_error_is_ignored():
    """The split matters: without its shared part σ would be far too small."""
    fits = list(simulated_studies(500, seed=12))
    own = [np.sqrt(f.covariance[0, 0] - f.parts["shared"] ** 2) for f in fits]
    hits = [abs(f.energy - ENERGY) <= s for f, s in zip(fits, own, strict=True)]
    assert np.mean(hits) < 0.5


def test_proof_arrhenius_coverage_of_independent_errors_alone():
    fits = list(simulated_studies(2000, seed=13, t_sigma=0.3, scale=0.0, scatter=0.01))
    hits = [abs(f.energy - ENERGY) <= np.sqrt(f.covariance[0, 0]) for f in fits]
    assert 0.64 <= np.mean(hits) <= 0.72
    assert np.mean([f.energy for f in fits]) == pytest.approx(ENERGY, rel=0.01)
    assert np.mean([f.chisqr for f in fits]) == pytest.approx(6.0, rel=0.05)


def test_without_sigma_the_residuals_speak():
    rng = np.random.default_rng(3)
    k, t = truth()
    noisy = k * np.exp(rng.normal(0.0, 0.01, k.size))
    fit = fit_arrhenius(noisy, t)
    stated = fit_arrhenius(noisy, t, rate_scatter=float(np.sqrt(fit.redchi)))
    assert "residuals" in fit.attrs["uncertainty"]
    assert float(fit.activation_energy_stderr) == pytest.approx(
        float(stated.activation_energy_stderr)
    )
    assert np.isnan(float(fit.activation_energy_stderr_photon))
    assert float(stated.redchi) == pytest.approx(1.0)
    assert float(fit.rate_scatter_needed) == pytest.approx(np.sqrt(float(fit.redchi)), rel=1e-3)


def test_two_points_without_sigma_have_no_sigma():
    k, t = truth()
    fit = fit_arrhenius(k[[0, -1]], t[[0, -1]])
    assert float(fit.activation_energy) == pytest.approx(ENERGY)
    assert np.isnan(float(fit.activation_energy_stderr))
    assert int(fit.fit_status) == 2
    assert np.isnan(fit.activation_energy_without).all()


def test_too_much_scatter_is_said_and_measured():
    rng = np.random.default_rng(8)
    k, t = truth()
    noisy = k * np.exp(rng.normal(0.0, 0.03, k.size))
    with pytest.warns(PlkitWarning, match=r"scatter .* more than their σ allow.*rate_scatter="):
        fit = fit_arrhenius(noisy, t, rate_stderr=0.002 * noisy.values)
    needed = float(fit.rate_scatter_needed)
    again = fit_arrhenius(noisy, t, rate_stderr=0.002 * noisy.values, rate_scatter=needed)
    assert float(again.redchi) == pytest.approx(1.0, rel=1e-3)
    assert float(again.rate_scatter_needed) == pytest.approx(needed, rel=1e-3)


@pytest.mark.parametrize(
    "powers, absorptance, energy, low, high",
    [
        (np.geomspace(10, 80, 8), 0.228, 0.248, 0.06, 0.08),
        (np.geomspace(10, 160, 8), 0.240, 0.217, 0.085, 0.11),
        (np.geomspace(20, 400, 8), 0.252, 0.093, 0.085, 0.11),
    ],
)
def test_proof_h14_light_alone_draws_nearly_the_same_line(powers, absorptance, energy, low, high):
    """m about 0.07 (x = 1), 0.10 (x = 1.5, 2): 0.27 K per absorbed µW, beam-weighted."""
    t = T0 + 0.27 * absorptance * powers
    k = arrhenius_rate(t, prefactor_for(0.02, 298.0, energy), energy)
    fit = fit_arrhenius(
        power_series(k, "rate", powers), power_series(t, "temperature", powers), rate_scatter=0.03
    )
    assert low <= float(fit.photo_exponent) <= high
    assert float(fit.photo_exponent_chisqr) < 20.0  # at 3 % scatter hardly told from heat


def test_prediction_carries_the_band_and_the_unit():
    k, t = truth()
    fit = fit_arrhenius(k, t, rate_scatter=0.01, shared_temperature_stderr=0.08 * (t.values - T0))
    p = predict_arrhenius(fit, [float(fit.temperature_mid), 350.0])
    assert p.rate.dims == ("temperature",)
    np.testing.assert_allclose(
        p.rate, arrhenius_rate(p.temperature, prefactor_for(0.02, 298.0, ENERGY), ENERGY), rtol=1e-9
    )
    assert float(p.ln_rate_stderr[0]) == pytest.approx(float(fit.ln_k_mid_stderr))
    assert float(p.ln_rate_stderr[1]) > 10 * float(p.ln_rate_stderr[0])
    np.testing.assert_allclose(np.log(p.upper / p.rate), p.ln_rate_stderr)
    np.testing.assert_allclose(p.rate**2, p.lower * p.upper)
    assert p.rate.attrs["units"] == p.lower.attrs["units"] == names.unit("rate")
    at_zero = predict_arrhenius(fit, 1e9)  # 1/T → 0: the prefactor
    assert float(at_zero.ln_rate) == pytest.approx(float(fit.ln_k0), rel=1e-4)
    assert float(at_zero.ln_rate_stderr) == pytest.approx(float(fit.ln_k0_stderr), rel=1e-4)


def test_datasets_of_the_steps_before_are_understood(tmp_path):
    k, t = truth()
    kin = xr.Dataset(
        {
            "mean_rate": k.assign_attrs(names.attrs("mean_rate")),
            "mean_rate_stderr": 0.01 * k,
            "fit_status": ("power", np.zeros(8, np.int8)),
        }
    )
    heat = heating(np.array([50.0, 200.0]))  # other powers: the rise is proportional
    fit = plkit.fit_arrhenius(kin, heat)
    assert float(fit.activation_energy) == pytest.approx(ENERGY, rel=1e-9)
    np.testing.assert_allclose(fit.temperature, t)
    assert float(fit.activation_energy_stderr_shared) == pytest.approx(0.08 * ENERGY, rel=0.05)
    assert float(fit.activation_energy_stderr_photon) > 0
    fit.to_netcdf(tmp_path / "fit.nc")
    back = xr.open_dataset(tmp_path / "fit.nc").load()
    assert float(predict_arrhenius(back, 300.0).rate) == pytest.approx(
        float(predict_arrhenius(fit, 300.0).rate)
    )


def test_failed_and_non_positive_rates_are_left_out_aloud():
    k, t = truth()
    kin = xr.Dataset({"mean_rate": k.copy(), "mean_rate_stderr": 0.01 * k})
    kin["fit_status"] = ("power", np.array([0, 3, 0, 4, 0, 2, 0, 0], np.int8))
    kin["mean_rate"][1] = 7.0
    kin["mean_rate"][3] = np.nan
    kin["mean_rate"][6] = -0.1
    with pytest.warns(PlkitWarning, match=r"Of 8 points 2 hold no number.*1 have a rate of zero"):
        fit = fit_arrhenius(kin, t)
    assert int(fit.n_points) == 5
    assert float(fit.activation_energy) == pytest.approx(ENERGY, rel=1e-9)
    assert np.isnan(fit.rate).sum() == 3


def test_order_units_and_integers_do_not_matter():
    k, t = truth()
    per_minute = (60.0 * k).assign_attrs(units="1/min")
    fit = fit_arrhenius(per_minute, t[::-1], rate_scatter=0.01)
    assert float(fit.activation_energy) == pytest.approx(ENERGY, rel=1e-9)
    whole = power_series(np.array([300, 310], np.uint16), "temperature", POWERS[:2])
    rates = power_series(np.array([1, 2], np.uint16), "rate", POWERS[:2])
    wanted = np.log(2.0) * BOLTZMANN_EV_K / (1.0 / 300.0 - 1.0 / 310.0)
    assert float(fit_arrhenius(rates, whole, rate_scatter=0.1).activation_energy) == pytest.approx(
        wanted
    )
    points = xr.DataArray(k.values, dims="point", attrs=k.attrs)
    t_points = xr.DataArray(t.values, dims="point", attrs=t.attrs)
    by_point = fit_arrhenius(points, t_points, rate_scatter=0.01, power=POWERS)
    assert "photo_exponent" in by_point
    assert "photo_exponent" not in fit_arrhenius(points, t_points, rate_scatter=0.01)


def test_dask_backed_rates_are_computed():
    pytest.importorskip("dask")
    k, t = truth()
    fit = fit_arrhenius(k.chunk(power=3), t.chunk(power=2), rate_scatter=0.01)
    assert float(fit.activation_energy) == pytest.approx(ENERGY, rel=1e-9)


def test_errors_for_the_user():
    k, t = truth()
    two = power_series([300.0, 301.0], "temperature", POWERS[:2])
    with pytest.raises(DataError, match="1 of 1 points hold a positive rate"):
        fit_arrhenius(k[:1], two, rate_scatter=0.1)
    with (
        pytest.warns(PlkitWarning, match="8 hold no number"),
        pytest.raises(DataError, match="0 of 8 points"),
    ):
        fit_arrhenius(k * np.nan, t)
    with pytest.raises(DataError, match="all 8 points are at 300 K"):
        fit_arrhenius(k, xr.full_like(t, 300.0))
    with pytest.raises(DataError, match="one temperature for all points"):
        fit_arrhenius(k, xr.DataArray(300.0, attrs=t.attrs))
    with pytest.raises(UnitsError, match="has units 'degC', not 'K'"):
        fit_arrhenius(k, t.assign_attrs(units="degC"))
    with pytest.raises(UnitsError, match="has units 'none'"):
        fit_arrhenius(k.drop_attrs(), t)
    with pytest.raises(DataError, match="'temperature' has no value at power = 160"):
        fit_arrhenius(k, t[:-1])
    with pytest.raises(DataError, match=r"dims \(y: 2, power: 8\), not exactly one"):
        fit_arrhenius(k.expand_dims(y=2), t)
    with pytest.raises(DataError, match="'rate' is missing, the dataset holds k9"):
        fit_arrhenius(xr.Dataset({"k9": k}), t)
    with pytest.raises(DataError, match="not a DataArray or a Dataset"):
        fit_arrhenius([1.0, 2.0], t)
    with pytest.raises(DataError, match=r"'rate_stderr' has shape \(3,\), not \(8,\)"):
        fit_arrhenius(k, t, rate_stderr=[1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="negative values"):
        fit_arrhenius(k, t, temperature_stderr=-1.0)
    with pytest.raises(DataError, match="σ of some rate is 0"):
        fit_arrhenius(k, t, rate_stderr=[0.0] + 7 * [0.1])
    with pytest.raises(DataError, match="'ambient_temperature' is missing"):
        fit_arrhenius(k, heating(POWERS).drop_vars("ambient_temperature"))
    with pytest.raises(DataError, match="no coordinate 'power'"):
        fit_arrhenius(k.rename(power="point").drop_vars("point"), heating(POWERS))
    with pytest.raises(DataError, match="'activation_energy' is missing"):
        predict_arrhenius(xr.Dataset(), 300.0)
    fit = fit_arrhenius(k, t, rate_scatter=0.01)
    with pytest.raises(DataError, match="not a number above 0 K"):
        predict_arrhenius(fit, -3.0)


def test_simulated_heating_gives_temperatures_and_their_shared_sigma():
    from plkit.sim import Film, LaserSpot, simulate_heating

    film = Film(40.0, 0.4, absorptance=0.24, absorptance_stderr=0.012)
    spot = LaserSpot(1.0, radius_stderr_um=0.05)
    heat = simulate_heating(spot, film, power_uw=[10.0, 40.0, 160.0])
    t = heat.detection_temperature.interp(power=POWERS)
    k = arrhenius_rate(t, prefactor_for(0.02, 298.0, ENERGY), ENERGY)
    fit = fit_arrhenius(power_series(k, "rate"), heat, rate_scatter=0.005)
    assert float(fit.activation_energy) == pytest.approx(ENERGY, rel=1e-6)
    scale = float(heat.temperature_scale_stderr)
    assert float(fit.activation_energy_stderr_shared) == pytest.approx(scale * ENERGY, rel=0.08)
    assert 0.012 < float(fit.activation_energy_stderr) < 0.024
