"""Options of fit_model: counts, robust loss, choice of a model, shared rates; profile intervals."""

from __future__ import annotations

import lmfit
import numpy as np
import pytest
import xarray as xr
from lmfit import models as lm
from scipy.optimize import least_squares, minimize
from scipy.stats import poisson

from plkit import names
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.fit import CountNoise, fit_model, profile_interval
from plkit.fit.objective import Poisson, Robust
from plkit.models import BiexponentialDecayModel, GaussianPeakModel, MonoexponentialDecayModel
from plkit.names import POINT, TIME, WAVELENGTH, X

T = np.arange(0.0, 200.0, 4.0)
SECONDS = (TIME, T, names.attrs(TIME))
COUNTS = names.attrs(names.INTENSITY)


def decay(amplitude=70.0, rate=0.05, plateau=30.0):
    return amplitude * np.exp(-rate * T) + plateau


def traces(y, **coords):
    return xr.DataArray(y, dims=(POINT, TIME), coords={TIME: SECONDS, **coords}, attrs=COUNTS)


def inside(out, truth):
    return {
        n: float((abs(out[n] - v) < out[f"{n}_stderr"]).mean()) for n, v in truth.items()
    }  # fmt: skip


# Counts -------------------------------------------------------------------------------------------


def test_counts_give_the_maximum_of_the_poisson_likelihood(rng):
    y = rng.poisson(np.tile(decay(8, 0.05, 1.5), (5, 1)))
    out = fit_model(traces(y), MonoexponentialDecayModel(), TIME, noise=CountNoise())
    for i in range(5):

        def minus_log(p, row=y[i]):
            return -poisson.logpmf(row, np.maximum(p[0] * np.exp(-p[1] * T) + p[2], 1e-9)).sum()

        start = [float(out[n][i]) * 1.05 for n in ("amplitude", "rate", "plateau")]
        best = minimize(
            minus_log,
            start,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-10, "maxiter": 4000},
        )
        np.testing.assert_allclose(
            [float(out[n][i]) for n in ("amplitude", "rate", "plateau")], best.x, rtol=2e-4
        )


@pytest.mark.parametrize("counts", [10, 1000])
def test_proof_2_counts_are_fitted_without_bias_and_with_honest_sigma(rng, counts):
    """Weights from the counts themselves pull a background of few counts far below the truth."""
    axis = np.linspace(-4, 4, 50)
    truth = {"height": 10.0 * counts, "centre": 0.3, "fwhm": 1.8, "offset": 0.3 * counts}
    clean = GaussianPeakModel().eval(x=axis, **truth)
    y = xr.DataArray(
        rng.poisson(np.tile(clean, (600, 1))), dims=(POINT, X), coords={X: axis}, attrs=COUNTS
    )
    out = fit_model(y, GaussianPeakModel(), X, noise=CountNoise())
    for n, v in truth.items():
        pull = (out[n] - v) / out[f"{n}_stderr"]
        assert abs(float(pull.mean())) < 0.15, n
    # 600 traces: 0.683 ± 0.019
    assert all(0.62 < share < 0.745 for share in inside(out, truth).values()), inside(out, truth)
    assert float(out.redchi.mean()) == pytest.approx(1.0, abs=0.05)


def test_gain_and_floor_come_from_the_dataset(rng):
    gain, floor = 2.5, 40.0
    clean = decay(700, 0.05, 300)
    y = gain * rng.poisson(np.tile(clean / gain, (400, 1))) + rng.normal(
        0, floor**0.5, (400, T.size)
    )
    ds = traces(y).to_dataset(name=names.INTENSITY)
    ds[names.NOISE_GAIN] = ((), gain, names.attrs(names.NOISE_GAIN))
    ds[names.NOISE_FLOOR] = (TIME, np.full(T.size, floor), names.attrs(names.NOISE_FLOOR))
    out = fit_model(ds, MonoexponentialDecayModel(), TIME, noise="poisson")
    assert float(out.redchi.mean()) == pytest.approx(1.0, abs=0.03)
    truth = {"amplitude": 700, "rate": 0.05, "plateau": 300}
    assert all(0.61 < share < 0.755 for share in inside(out, truth).values())
    backwards = fit_model(
        ds.isel({TIME: slice(None, None, -1)}), MonoexponentialDecayModel(), TIME, noise="poisson"
    )
    np.testing.assert_allclose(backwards.rate, out.rate, rtol=1e-9)
    same = fit_model(ds.intensity, MonoexponentialDecayModel(), TIME, noise=CountNoise(gain, floor))
    np.testing.assert_allclose(same.rate, out.rate, rtol=1e-9)


def test_an_unknown_gain_is_said_and_taken_from_the_scatter(rng):
    y = traces(4.0 * rng.poisson(np.tile(decay(700, 0.05, 300) / 4.0, (300, 1))))
    with pytest.warns(PlkitWarning, match="'noise_gain' is not known"):
        out = fit_model(y, MonoexponentialDecayModel(), TIME, noise="poisson")
    known = fit_model(y, MonoexponentialDecayModel(), TIME, noise=CountNoise(4.0))
    assert float(out.redchi.mean()) == pytest.approx(4.0, rel=0.05)
    np.testing.assert_allclose(out.rate, known.rate, rtol=1e-4)
    ratio = out.rate_stderr / known.rate_stderr
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.05)


def test_counts_with_gaps_and_a_general_model(rng):
    model = lm.GaussianModel() + lm.ConstantModel()
    axis = np.linspace(-4, 4, 60)
    clean = model.eval(x=axis, amplitude=60, center=0.3, sigma=0.8, c=4)
    y = rng.poisson(np.tile(clean, (4, 1))).astype(float)
    y[:, 50:] = np.nan
    data = xr.DataArray(y, dims=(POINT, X), coords={X: axis})
    params = model.make_params(amplitude=40, center=0, sigma=1, c=1)
    params["c"].min = 0.05
    whole = fit_model(data, model, X, params, noise=CountNoise())
    cut = fit_model(data[:, :50], model, X, params, noise=CountNoise())
    np.testing.assert_allclose(whole.amplitude, cut.amplitude, rtol=1e-7)
    np.testing.assert_allclose(whole.chisqr, cut.chisqr, rtol=1e-7)


def test_deviance_is_that_of_the_poisson_distribution(rng):
    y = rng.poisson(3.0, (1, 40)).astype(float)
    model = rng.uniform(0.5, 6.0, (1, 40))
    cost = Poisson(y, None, np.ones(40), np.zeros(40)).cost(model, np.array([0]))
    log = poisson.logpmf(y, y) - poisson.logpmf(y, model)
    assert cost[0] == pytest.approx(2 * log.sum() - _below(y), rel=1e-9)
    # steep enough not to be left where a model is negative
    negative = Poisson(y, None, np.ones(40), np.zeros(40))
    assert negative.cost(-model, np.array([0])) > cost


def _below(y):
    """Zero counts have their parabola from 0 to 0.3, where the deviance is a straight line."""
    line, parabola = 2 * 0.3, 0.3
    return float((y == 0).sum()) * (line - parabola)


# Robust loss --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy"])
def test_robust_loss_gives_the_minimum_that_scipy_finds(rng, loss):
    y = decay() + rng.normal(0, 1, T.size)
    y[[5, 20, 33]] += [40, -25, 60]
    out = fit_model(traces(y[None]), MonoexponentialDecayModel(), TIME, stderr=1.0, loss=loss)
    knee = {"soft_l1": 1.345, "huber": 1.345, "cauchy": 2.385}[loss]
    found = least_squares(
        lambda p: p[0] * np.exp(-p[1] * T) + p[2] - y, [70, 0.05, 30], loss=loss, f_scale=knee,
        xtol=1e-14, ftol=1e-14, gtol=1e-14,
    )  # fmt: skip
    for n, value in zip(("amplitude", "rate", "plateau"), found.x, strict=True):
        assert float(out[n][0]) == pytest.approx(value, rel=1e-5)
    assert float(out.chisqr[0]) == pytest.approx(2 * found.cost, rel=1e-8)


@pytest.mark.parametrize("with_sigma", [True, False])
def test_sigma_of_a_robust_fit_is_honest_with_and_without_outliers(rng, with_sigma):
    truth = {"amplitude": 70, "rate": 0.05, "plateau": 30}
    y = decay() + rng.normal(0, 1, (600, T.size))
    clean = fit_model(traces(y), MonoexponentialDecayModel(), TIME, stderr=1.0)
    spoilt = np.where(rng.random(y.shape) < 0.04, y + rng.normal(0, 30, y.shape), y)
    for data in (y, spoilt):
        out = fit_model(
            traces(data), MonoexponentialDecayModel(), TIME, stderr=1.0 if with_sigma else None,
            loss="huber",
        )  # fmt: skip
        assert all(0.61 < share < 0.755 for share in inside(out, truth).values()), inside(
            out, truth
        )
        # nearly as good as without outliers
        assert float(out.rate.std()) < 1.3 * float(clean.rate.std())
    squares = fit_model(traces(spoilt), MonoexponentialDecayModel(), TIME, stderr=1.0)
    assert float(squares.rate.std()) > 2.5 * float(clean.rate.std())


def test_slopes_of_the_losses():
    z = np.linspace(0.1, 5.0, 30)
    h = 1e-6
    y = np.zeros((1, 1))
    for loss in ("soft_l1", "huber", "cauchy"):
        robust = Robust(y, np.ones((1, 1)), None, loss)
        rho = [
            np.array(
                [
                    robust.cost(np.array([[robust.knee * np.sqrt(v)]]), np.array([0]))[0]
                    for v in z + d
                ]
            )
            for d in (h, -h)
        ]
        first, _ = robust._slopes(z)
        np.testing.assert_allclose(first, (rho[0] - rho[1]) / (2 * h) / robust.knee**2, rtol=1e-4)


# Choice of a model --------------------------------------------------------------------------------


def test_each_trace_takes_the_model_that_it_asks_for(rng):
    two = 40 * np.exp(-0.15 * T) + 40 * np.exp(-0.015 * T) + 20
    kinds = np.repeat([0, 1, 2], 20)
    clean = np.stack([np.full(T.size, 30.0), decay(), two])[kinds]
    y = traces(clean + rng.normal(0, 0.5, clean.shape))
    models = [lm.ConstantModel(), MonoexponentialDecayModel(), BiexponentialDecayModel()]
    params = [models[0].make_params(c=1.0), None, None]
    for sigma in (0.5, None):
        out = fit_model(y, models, TIME, params, stderr=sigma)
        assert out.model_index.attrs["flag_meanings"].split() == [
            "none", "Constant", "MonoexponentialDecay", "BiexponentialDecay",
        ]  # fmt: skip
        assert float((out.model_index == kinds).mean()) > 0.9
        chosen = out.model_index.values
        assert np.all(np.isnan(out.k1[chosen != 2]))
        assert np.all(np.isnan(out.rate[chosen != 1]))
        assert np.all(np.isfinite(out.plateau[chosen > 0]))
        assert np.all(out.bic_margin > 0)
        assert out.k1.attrs["units"] == "1/s"
        ours = fit_model(y[kinds == 2], models[2], TIME, stderr=sigma)
        both = out.isel({POINT: kinds == 2})
        fine = both.model_index.values == 2
        np.testing.assert_allclose(both.k1[fine], ours.k1[fine], rtol=1e-9)
        np.testing.assert_allclose(both.bic[fine], ours.bic[fine], rtol=1e-9)
        assert out.attrs["summary"].startswith("60 traces: ")
    empty = y.copy(data=np.where(kinds[:, None] == 0, np.nan, y.values))
    out = fit_model(empty, models, TIME, params, stderr=0.5)
    assert np.all(out.model_index[kinds == 0] == -1)
    assert "20 none" in out.attrs["summary"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model": []}, "is an empty list"),
        ({"params": [None]}, "one entry for each of 2 models"),
        ({"fixed": {"speed": 1.0}}, "'fixed' names 'speed', which no model has"),
        ({"rates": "shared"}, "'rates' is not 'free' for several models"),
        (
            {"model": MonoexponentialDecayModel(), "params": [None]},
            "'params' is a list but 'model' is not",
        ),
    ],
)
def test_lists_of_models_that_cannot_be_fitted(rng, options, match):
    models = [MonoexponentialDecayModel(), BiexponentialDecayModel()]
    with pytest.raises(DataError, match=match):
        fit_model(traces(decay()[None]), dim=TIME, **({"model": models} | options))


def test_a_name_with_two_units_is_refused(rng):
    class Other(MonoexponentialDecayModel):
        def parameter_units(self, unit, x_unit):
            return {"rate": "nm"}

    with pytest.raises(DataError, match=r"'rate' has the unit 1/s in one model and nm in another"):
        fit_model(traces(decay()[None]), [MonoexponentialDecayModel(), Other()], TIME)


# Shared rates -------------------------------------------------------------------------------------


def test_shared_rates_are_those_of_one_fit_of_all_traces(rng):
    amplitudes = np.array([70.0, 20.0, 45.0])
    y = amplitudes[:, None] * np.exp(-0.05 * T) + 30 + rng.normal(0, 1, (3, T.size))
    out = fit_model(traces(y), MonoexponentialDecayModel(), TIME, stderr=1.0, rates="shared")
    assert np.ptp(out.rate.values) == 0

    def residual(p):
        return (p[1:4, None] * np.exp(-p[0] * T) + p[4:7, None] - y).ravel()

    one = least_squares(
        residual, [0.04, *amplitudes, 30, 30, 30], xtol=1e-14, ftol=1e-14, gtol=1e-14, jac="3-point"
    )
    np.testing.assert_allclose(out.rate, one.x[0], rtol=1e-6)
    np.testing.assert_allclose(out.amplitude, one.x[1:4], rtol=1e-6)
    np.testing.assert_allclose(out.plateau, one.x[4:7], rtol=1e-6)
    cov = np.linalg.inv(one.jac.T @ one.jac)
    np.testing.assert_allclose(out.rate_stderr, cov[0, 0] ** 0.5, rtol=1e-4)
    np.testing.assert_allclose(out.amplitude_stderr, np.sqrt(np.diag(cov)[1:4]), rtol=1e-4)
    cross = out.covariance.sel(param_i="rate", param_j="amplitude")
    np.testing.assert_allclose(cross, cov[0, 1:4], rtol=1e-3)
    assert float(out.chisqr.sum()) == pytest.approx(2 * one.cost, rel=1e-9)
    assert out.attrs["shared"] == "rate"


def test_proof_2_free_rates_are_justified_where_they_differ(rng):
    rate = np.where(np.arange(200) < 150, 0.05, 0.08)
    y = 70 * np.exp(-rate[:, None] * T) + 30 + rng.normal(0, 1, (200, T.size))
    group = xr.DataArray(np.where(np.arange(200) < 150, "a", "b"), dims=POINT)
    truth = {"amplitude": 70, "plateau": 30}
    for sigma in (1.0, None):
        every = fit_model(
            traces(y), MonoexponentialDecayModel(), TIME, stderr=sigma, rates="shared"
        )
        assert float((every.free_rates_delta_bic[150:] > 0).mean()) > 0.95
        grouped = fit_model(traces(y), MonoexponentialDecayModel(), TIME, stderr=sigma, rates=group)
        assert float((grouped.free_rates_delta_bic > 0).mean()) < 0.08
        # a probability: even between 0 and 1 where the shared rate is true
        assert 0.36 < float((grouped.free_rates_p < 0.5).mean()) < 0.64
        a, b = float(grouped.rate[0]), float(grouped.rate[-1])
        assert abs(a - 0.05) < 4 * float(grouped.rate_stderr[0])
        assert abs(b - 0.08) < 4 * float(grouped.rate_stderr[-1])
        assert all(0.57 < share < 0.79 for share in inside(grouped, truth).values())


def test_two_shared_rates_counts_bounds_and_fixed_values(rng):
    k01 = rng.uniform(200, 900, 30)
    clean = k01[:, None] * np.exp(-0.15 * T) + 300 * np.exp(-0.02 * T) + 100
    y = traces(rng.poisson(clean))
    out = fit_model(y, BiexponentialDecayModel(), TIME, noise=CountNoise(), rates="shared")
    assert np.ptp(out.k1.values) == 0
    assert np.ptp(out.k2.values) == 0
    assert abs(float(out.k1[0]) - 0.15) < 4 * float(out.k1_stderr[0])
    assert abs(float(out.k2[0]) - 0.02) < 4 * float(out.k2_stderr[0])
    assert out.attrs["shared"] == "k1, k2"
    held = fit_model(
        y, BiexponentialDecayModel(), TIME, noise=CountNoise(), rates="shared",
        fixed={"plateau": xr.DataArray(np.full(30, 100.0), dims=POINT)},
    )  # fmt: skip
    assert float(held.k2_stderr[0]) < float(out.k2_stderr[0])
    model = MonoexponentialDecayModel()
    model.set_param_hint("rate", max=0.04)
    limited = fit_model(
        traces(decay()[None] + rng.normal(0, 1, (3, T.size))),
        model,
        TIME,
        stderr=1.0,
        rates="shared",
    )
    np.testing.assert_array_equal(limited.rate, 0.04)
    assert np.all(limited.fit_status == 1)


def test_traces_without_a_label_or_signal_take_no_part(rng):
    y = decay() + rng.normal(0, 1, (5, T.size))
    y[3] = np.nan
    group = xr.DataArray([0.0, 0.0, 1.0, 1.0, np.nan], dims=POINT)
    out = fit_model(traces(y), MonoexponentialDecayModel(), TIME, stderr=1.0, rates=group)
    assert out.fit_status.values.tolist() == [0, 0, 0, 3, 4]
    assert float(out.rate[0]) == float(out.rate[1]) != float(out.rate[2])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rates": "fast"}, "'rates' is 'fast', not 'free', 'shared' or a DataArray"),
        (
            {"rates": xr.DataArray([0, 1], dims=WAVELENGTH)},
            "runs over wavelength, which the data has not",
        ),
        ({"rates": "shared", "loss": "huber"}, "'loss' is 'huber', not 'linear'"),
        ({"rates": "shared", "model": lm.LinearModel()}, "linear in all parameters that are free"),
        ({"rates": "shared", "engine": "lmfit"}, "engine 'lmfit' has no option 'rates'"),
        ({"noise": "poisson", "stderr": 1.0}, "both 'noise' and 'stderr' are given"),
        ({"noise": "gaussian"}, "'noise' is 'gaussian', not 'poisson'"),
        ({"noise": CountNoise(-1.0)}, "a variance that is not positive"),
        ({"noise": CountNoise(), "loss": "huber"}, "'loss' is 'huber' beside 'noise'"),
        ({"noise": CountNoise(), "engine": "lmfit"}, "engine 'lmfit' has no option 'noise'"),
        ({"loss": "arctan"}, "'loss' is 'arctan', not one of linear"),
        ({"data": xr.Dataset({"a": ((), 1)})}, "the dataset holds a, not the required intensity"),
    ],
)
def test_options_that_cannot_be_met(rng, options, match):
    y = decay() + rng.normal(0, 1, (2, T.size))
    arguments = {"data": traces(y), "model": MonoexponentialDecayModel(), "dim": TIME} | options
    with pytest.raises(DataError, match=match):
        fit_model(**arguments)


def test_a_gain_over_pixels_is_refused(rng):
    ds = traces(decay()[None]).to_dataset(name=names.INTENSITY)
    ds[names.NOISE_GAIN] = (POINT, [1.0], names.attrs(names.NOISE_GAIN))
    with pytest.raises(DataError, match="'noise_gain' runs over point"):
        fit_model(ds, MonoexponentialDecayModel(), TIME, noise="poisson")
    ds[names.NOISE_GAIN] = ((), 1.0, {"units": "V"})
    with pytest.raises(UnitsError, match="noise_gain"):
        fit_model(ds, MonoexponentialDecayModel(), TIME, noise="poisson")


def test_every_option_works_on_dask_arrays(rng):
    pytest.importorskip("dask")
    y = traces(rng.poisson(np.tile(decay(), (6, 1)))).astype(float)
    lazy = y.chunk({POINT: 2})
    model = MonoexponentialDecayModel()
    for options in (
        {"noise": CountNoise()}, {"loss": "huber"}, {"stderr": 5.0, "rates": "shared"},
        {"model": [model, BiexponentialDecayModel()], "stderr": 5.0},
    ):  # fmt: skip
        arguments = {"model": model} | options
        a, b = (fit_model(d, dim=TIME, **arguments) for d in (y, lazy))
        xr.testing.assert_allclose(a.drop_attrs(), b.drop_attrs(), rtol=1e-6)


def test_results_with_every_option_are_netcdf_safe(rng, tmp_path):
    y = traces(decay() + rng.normal(0, 1, (4, T.size)))
    model = MonoexponentialDecayModel()
    for i, options in enumerate(
        ({"rates": "shared"}, {"model": [model, BiexponentialDecayModel()]}, {"loss": "cauchy"})
    ):
        out = fit_model(**({"data": y, "model": model, "dim": TIME, "stderr": 1.0} | options))
        out.to_netcdf(tmp_path / f"{i}.nc")
        with xr.open_dataset(tmp_path / f"{i}.nc", decode_timedelta=False) as back:
            xr.testing.assert_identical(back.load(), out)


# Profile intervals --------------------------------------------------------------------------------


def test_the_interval_of_a_linear_parameter_is_its_sigma(rng):
    y = xr.DataArray(3 * T + 5 + rng.normal(0, 2, T.size), dims=TIME, coords={TIME: SECONDS})
    model = lm.LinearModel()
    out = profile_interval(y, model, "slope", stderr=2.0)
    assert float(out.slope_upper - out.slope) == pytest.approx(float(out.slope_stderr), rel=1e-3)
    assert float(out.slope - out.slope_lower) == pytest.approx(float(out.slope_stderr), rel=1e-3)
    two = profile_interval(y, model, "slope", stderr=2.0, level=0.9545)
    assert float(two.slope_upper - two.slope) == pytest.approx(
        2 * float(two.slope_stderr), rel=1e-3
    )
    trial, rise = out.slope_trial.values, out.delta_chisqr.values
    expected = ((trial - float(out.slope)) / float(out.slope_stderr)) ** 2
    np.testing.assert_allclose(rise, expected, rtol=1e-4, atol=1e-6)
    # without σ, Student's t
    free = profile_interval(y, model, "slope")
    ratio = float((free.slope_upper - free.slope) / free.slope_stderr)
    assert ratio == pytest.approx(1.0, abs=0.03)
    assert ratio > 1.0


def test_proof_2_profile_interval_of_a_weak_decay_holds_the_truth(rng):
    """With few counts the rate has a long tail that σ does not know of."""
    hits, asymmetric = [], 0
    for _ in range(60):
        y = xr.DataArray(
            rng.poisson(decay(6, 0.05, 4)).astype(float), dims=TIME, coords={TIME: SECONDS}
        )
        out = profile_interval(y, MonoexponentialDecayModel(), "rate", noise=CountNoise())
        hits.append(float(out.rate_lower) < 0.05 < float(out.rate_upper))
        asymmetric += float(out.rate_upper - out.rate) > 1.2 * float(out.rate - out.rate_lower)
    assert 0.52 < np.mean(hits) < 0.85  # 60 traces: 0.68 ± 0.06
    assert asymmetric > 20


def test_an_open_end_is_said(rng):
    y = xr.DataArray(
        decay(0.5, 0.3, 30) + rng.normal(0, 1, T.size), dims=TIME, coords={TIME: SECONDS}
    )
    out = profile_interval(y, MonoexponentialDecayModel(), "rate", stderr=1.0)
    assert "open" in out.attrs["summary"]
    assert not np.isfinite(float(out.rate_upper)) or float(out.rate_lower) == 0


def test_profile_interval_with_fixed_and_tied_parameters(rng):
    y = xr.DataArray(
        decay() + rng.normal(0, 1, T.size), dims=TIME, coords={TIME: SECONDS}, attrs=COUNTS
    )
    model = MonoexponentialDecayModel()
    wide = profile_interval(y, model, "rate", stderr=1.0)
    held = profile_interval(y, model, "rate", stderr=1.0, fixed={"plateau": 30.0})
    assert float(held.rate_upper - held.rate_lower) < float(wide.rate_upper - wide.rate_lower)
    assert held.rate.attrs["units"] == "1/s"
    params = model.make_params(amplitude=60, rate=0.04, plateau=20)
    params["plateau"].expr = "amplitude*3/7"
    tied = profile_interval(y, model, "rate", params, stderr=1.0)
    assert float(tied.rate_lower) < 0.05 < float(tied.rate_upper) + 2e-3
    for parameter, match in (
        ("speed", "'parameter' is 'speed', not one of amplitude"),
        ("plateau", "'plateau' is fixed or tied, not free"),
    ):
        with pytest.raises(DataError, match=match):
            profile_interval(y, model, parameter, params, stderr=1.0)
    with pytest.raises(DataError, match="has dims point, time, not a single one"):
        profile_interval(traces(decay()[None]), model, "rate")
    with pytest.raises(DataError, match="'level' is 2"):
        profile_interval(y, model, "rate", level=2.0)


def test_a_lower_minimum_on_the_way_is_taken(rng):
    """Started in the wrong valley, the interval is that of the right one."""
    model = lmfit.Model(lambda x, f: np.cos(2 * np.pi * f * x))
    y = xr.DataArray(
        np.cos(2 * np.pi * 0.03 * T) + rng.normal(0, 0.3, T.size), dims=TIME, coords={TIME: SECONDS}
    )
    out = profile_interval(y, model, "f", model.make_params(f=0.0355), stderr=0.3)
    wrong = profile_interval(y, model, "f", model.make_params(f=0.0301), stderr=0.3)
    assert float(wrong.f) == pytest.approx(0.03, abs=5e-4)
    assert float(out.f_upper) > float(out.f_lower)
