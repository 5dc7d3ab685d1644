"""fit_model: any lmfit Model over any dims, with honest statistics and a status per trace."""

from __future__ import annotations

import lmfit
import numpy as np
import pytest
import xarray as xr
from lmfit.models import ConstantModel, ExponentialModel, GaussianModel, LinearModel

from plkit import names
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.fit import fit_model
from plkit.fit.status import has_change
from plkit.models import (
    BiexponentialDecayModel,
    GaussianPeakModel,
    MonoexponentialDecayModel,
    StretchedDecayModel,
)
from plkit.names import TIME, X, Y

T = np.arange(0.0, 200.0, 2.0)
SECONDS = (TIME, T, names.attrs(TIME))


def decay(amplitude=70.0, rate=0.05, plateau=30.0):
    return amplitude * np.exp(-rate * T) + plateau


def cube(rng, sigma=1.0, rows=(2, 3)):
    """Return traces on (y, time, x) with rates that rise along y."""
    rate = np.linspace(0.03, 0.08, rows[0])
    clean = np.stack([decay(rate=k) for k in rate])[:, :, None] * np.ones(rows[1])
    return xr.DataArray(
        clean + rng.normal(0, sigma, clean.shape),
        dims=(Y, TIME, X),
        coords={TIME: SECONDS, X: np.arange(float(rows[1])), Y: np.arange(float(rows[0]))},
        attrs=names.attrs(names.INTENSITY),
    )


def test_schema_of_the_result(rng):
    out = fit_model(cube(rng), MonoexponentialDecayModel(), TIME, stderr=1.0)
    for p, unit in (("amplitude", "counts"), ("rate", "1/s"), ("plateau", "counts")):
        for name in (p, f"{p}_stderr"):
            assert out[name].dims == (Y, X)
            assert out[name].attrs["units"] == unit
    assert out[names.COVARIANCE].dims == (Y, X, names.PARAM_I, names.PARAM_J)
    assert list(out[names.PARAM_I].values) == ["amplitude", "rate", "plateau"]
    np.testing.assert_allclose(
        out.covariance.sel(param_i="rate", param_j="rate"), out.rate_stderr**2, rtol=1e-12
    )
    assert {"chisqr", "redchi", "aic", "bic", "nfev"} <= set(out.data_vars)
    status = out[names.FIT_STATUS]
    assert status.dtype == np.int8
    assert status.attrs["flag_meanings"].split() == [
        "ok", "at_bound", "not_identifiable", "no_signal", "failed",
    ]  # fmt: skip
    np.testing.assert_array_equal(status.attrs["flag_values"], np.arange(5))
    assert np.all(status == 0)
    assert "fit_model" in out.attrs["history"]
    np.testing.assert_allclose(out.rate.mean(X), [0.03, 0.08], rtol=0.1)


def test_result_is_netcdf_safe(rng, tmp_path):
    out = fit_model(cube(rng), MonoexponentialDecayModel(), TIME, stderr=1.0)
    out.to_netcdf(tmp_path / "fit.nc")
    with xr.open_dataset(tmp_path / "fit.nc", decode_timedelta=False) as back:
        xr.testing.assert_identical(back.load(), out)


def test_equal_to_lmfit_itself(rng):
    data = cube(rng, rows=(1, 1))
    y = data.isel(y=0, x=0).values
    model = ExponentialModel() + ConstantModel()
    params = model.make_params(amplitude=60, decay=15, c=20)
    for sigma in (None, 2.0):
        ours = fit_model(data, model, TIME, params, stderr=sigma).isel(y=0, x=0)
        own = model.fit(
            y, params, x=T, weights=None if sigma is None else np.full(T.size, 1 / sigma),
            scale_covar=sigma is None,
        )  # fmt: skip
        for n in own.params:
            assert float(ours[n]) == pytest.approx(own.params[n].value, rel=1e-6)
            assert float(ours[f"{n}_stderr"]) == pytest.approx(own.params[n].stderr, rel=1e-3)
        for n in ("chisqr", "redchi", "aic", "bic"):
            assert float(ours[n]) == pytest.approx(getattr(own, n), rel=1e-9)


def test_proof_2_sigma_of_the_points_sets_sigma_of_the_parameters(rng):
    """The trap: scaling by χ²/ν makes σ blind to the σ that was given."""
    data = cube(rng, sigma=1.0)
    one, ten = (fit_model(data, MonoexponentialDecayModel(), TIME, stderr=s) for s in (1.0, 10.0))
    np.testing.assert_allclose(ten.rate_stderr, 10 * one.rate_stderr, rtol=1e-4)
    np.testing.assert_allclose(one.redchi, 100 * ten.redchi, rtol=1e-6)
    # without σ it follows from the scatter, which is 1
    none = fit_model(data, MonoexponentialDecayModel(), TIME)
    np.testing.assert_allclose(none.rate_stderr, one.rate_stderr * np.sqrt(one.redchi), rtol=1e-4)


def test_proof_2_coverage_of_a_peak(rng):
    energy = np.linspace(1.8, 2.2, 60)
    model = GaussianPeakModel()
    truth = {"height": 400.0, "centre": 1.98, "fwhm": 0.08, "offset": 30.0}
    clean = model.eval(x=energy, **truth)
    sigma = np.sqrt(clean)
    y = xr.DataArray(
        clean + rng.normal(0, sigma, (400, energy.size)),
        dims=(names.POINT, names.ENERGY),
        coords={names.ENERGY: (names.ENERGY, energy, names.attrs(names.ENERGY))},
        attrs=names.attrs(names.INTENSITY),
    )
    out = fit_model(y, model, names.ENERGY, stderr=np.broadcast_to(sigma, y.shape))
    assert np.all(out.fit_status == 0)
    for n, v in truth.items():
        inside = float((abs(out[n] - v) < out[f"{n}_stderr"]).mean())
        # 400 traces: 0.683 ± 0.023
        assert 0.61 < inside < 0.755, (n, inside)


def test_per_point_sigma_weighs(rng):
    y = decay()
    y[::2] += rng.normal(0, 20, y[::2].size)
    sigma = np.where(np.arange(T.size) % 2 == 0, 20.0, 0.01)
    data = xr.DataArray(y, dims=TIME, coords={TIME: SECONDS})
    out = fit_model(data, MonoexponentialDecayModel(), TIME, stderr=data.copy(data=sigma))
    assert float(out.rate) == pytest.approx(0.05, rel=1e-3)
    assert float(fit_model(data, MonoexponentialDecayModel(), TIME).rate) != pytest.approx(
        0.05, rel=1e-3
    )


def test_gaps_are_left_out():
    y = decay()
    y[5:40] = np.nan
    y[60] = np.inf
    data = xr.DataArray(y, dims=TIME, coords={TIME: SECONDS})
    out = fit_model(data, MonoexponentialDecayModel(), TIME, stderr=1.0)
    assert float(out.rate) == pytest.approx(0.05, rel=1e-8)
    sigma = np.ones(T.size)
    sigma[:30] = np.nan  # a point without σ is a gap too
    sigma[31] = 0.0
    wrong = data.copy(data=np.where(np.arange(T.size) < 32, 1e3, decay()))
    wrong[30] = decay()[30]
    out = fit_model(wrong, MonoexponentialDecayModel(), TIME, stderr=data.copy(data=sigma))
    assert float(out.rate) == pytest.approx(0.05, rel=1e-6)


def test_fixed_bounded_and_tied_parameters(rng):
    data = cube(rng, rows=(1, 1)).isel(y=0, x=0, drop=True)
    model = BiexponentialDecayModel()
    params = model.make_params(k01=40, k1=0.1, k02=30, k2=0.02, plateau=30)
    params["plateau"].vary = False
    params["k2"].set(expr="k1/5")
    params["k02"].set(max=20)
    out = fit_model(data, model, TIME, params, stderr=1.0)
    assert float(out.plateau) == 30
    assert float(out.plateau_stderr) == 0
    assert float(out.k2) == pytest.approx(float(out.k1) / 5)
    assert float(out.k2_stderr) == pytest.approx(float(out.k1_stderr) / 5, rel=1e-4)
    cov = out.covariance
    assert float(cov.sel(param_i="k1", param_j="k2")) == pytest.approx(
        float(out.k1_stderr) ** 2 / 5, rel=1e-4
    )
    assert float(out.k02) <= 20
    n, p = T.size, 3
    assert float(out.redchi) == pytest.approx(float(out.chisqr) / (n - p))


def test_derived_parameters_of_lmfits_models_have_sigma(rng):
    x = np.linspace(-5, 5, 80)
    y = xr.DataArray(10 * np.exp(-0.5 * x**2) + rng.normal(0, 0.1, x.size), dims=X, coords={X: x})
    out = fit_model(y, GaussianModel(), X, stderr=0.1, units={"sigma": "um"})
    assert float(out.fwhm) == pytest.approx(2.3548, rel=0.02)
    assert float(out.fwhm_stderr) == pytest.approx(2.3548 * float(out.sigma_stderr), rel=1e-3)
    assert out.sigma.attrs["units"] == "um"


def test_at_bound_not_identifiable_no_signal_failed(rng):
    coords = {TIME: SECONDS}
    flat = np.full(T.size, 30.0) + rng.normal(0, 1, T.size)
    rows = {
        "ok": decay() + rng.normal(0, 0.3, T.size),
        "constant": np.full(T.size, 30.0),
        "noise": flat,
        "empty": np.full(T.size, np.nan),
        "few": np.where(np.arange(T.size) < 2, decay(), np.nan),
    }
    data = xr.DataArray(np.stack(list(rows.values())), dims=(names.SAMPLE, TIME), coords=coords)
    out = fit_model(data, MonoexponentialDecayModel(), TIME, stderr=1.0)
    assert dict(zip(rows, out.fit_status.values.tolist(), strict=True)) == {
        "ok": 0, "constant": 3, "noise": 3, "empty": 3, "few": 4,
    }  # fmt: skip
    for name in ("rate", "rate_stderr", "chisqr", "redchi", "aic", "bic"):
        assert np.isfinite(out[name][0])
        assert np.all(np.isnan(out[name][1:])), name
    assert np.all(np.isnan(out.covariance[1:]))

    bound = MonoexponentialDecayModel()
    bound.set_param_hint("rate", max=0.03)
    assert int(fit_model(data[0], bound, TIME, stderr=1.0).fit_status) == 1

    twice = ConstantModel(prefix="a_") + ConstantModel(prefix="b_")
    out = fit_model(data[0], twice, TIME, twice.make_params(a_c=1, b_c=1), stderr=1.0)
    assert int(out.fit_status) == 2
    assert np.isfinite(out.a_c)

    one = fit_model(data[0], BiexponentialDecayModel(), TIME, stderr=0.3)
    assert int(one.fit_status) == 2  # one exponential does not determine two


def test_exact_fit_of_as_many_points_as_parameters_has_no_sigma_of_its_own():
    data = xr.DataArray([1.0, 3.0], dims=TIME, coords={TIME: [0.0, 1.0]})
    out = fit_model(data, LinearModel(), TIME)
    assert float(out.slope) == pytest.approx(2.0)
    assert np.isnan(out.slope_stderr)
    assert np.isnan(out.redchi)
    assert int(out.fit_status) == 2
    known = fit_model(data, LinearModel(), TIME, stderr=0.1)
    assert float(known.slope_stderr) == pytest.approx(0.1 * np.sqrt(2), rel=1e-6)


def test_multi_start_is_used_where_the_model_offers_it(rng):
    y = decay()
    calls = []

    class Counting(StretchedDecayModel):
        def starts(self, data, x):
            for start in super().starts(data, x):
                calls.append(1)
                yield start

    data = xr.DataArray(y, dims=TIME, coords={TIME: SECONDS})
    fit_model(data, Counting(), TIME, stderr=1.0)
    assert calls
    calls.clear()
    model = Counting()
    fit_model(data, model, TIME, model.guess(y, x=T), stderr=1.0)
    assert not calls


def test_order_of_points_and_of_dims_does_not_matter(rng):
    data = cube(rng)
    model = MonoexponentialDecayModel()
    forward = fit_model(data, model, TIME, stderr=1.0)
    backward = fit_model(
        data.isel({TIME: slice(None, None, -1)}).transpose(X, TIME, Y), model, TIME, stderr=1.0
    )
    np.testing.assert_allclose(backward.rate.transpose(Y, X), forward.rate, rtol=1e-9)


def test_integer_counts_and_dask():
    counts = np.round(decay()).astype(np.uint16)
    data = xr.DataArray(counts[None, :], dims=(Y, TIME), coords={TIME: SECONDS})
    out = fit_model(data, MonoexponentialDecayModel(), TIME)
    assert float(out.rate[0]) == pytest.approx(0.05, rel=0.02)
    pytest.importorskip("dask")
    lazy = fit_model(data.chunk({Y: 1}), MonoexponentialDecayModel(), TIME)
    xr.testing.assert_allclose(lazy.drop_attrs(), out.drop_attrs())


def test_stderr_of_fewer_dims_and_other_unit(rng):
    data = cube(rng)
    per_time = xr.DataArray(np.full(T.size, 1.0), dims=TIME, coords={TIME: SECONDS})
    out = fit_model(data, MonoexponentialDecayModel(), TIME, stderr=per_time)
    same = fit_model(data, MonoexponentialDecayModel(), TIME, stderr=1.0)
    np.testing.assert_allclose(out.rate, same.rate)
    with pytest.raises(UnitsError, match="'stderr' has units 'V', not 'counts'"):
        fit_model(data, MonoexponentialDecayModel(), TIME, stderr=per_time.assign_attrs(units="V"))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: {"dim": "delay"}, "has dims y, time, x, not the required delay"),
        (lambda d: {"engine": "gpu"}, "'engine' is 'gpu', not one of batched, lmfit"),
        (lambda d: {"data": d.values}, "is a ndarray, not an xarray.DataArray"),
        (lambda d: {"data": d.isel(x=slice(0, 0))}, "no values"),
        (lambda d: {"data": d.drop_vars(TIME)}, "no coordinate values"),
        (lambda d: {"data": d.astype(complex)}, "not a real number"),
        (lambda d: {"data": d.assign_coords({TIME: T * np.nan})}, "not finite"),
        (lambda d: {"data": d.assign_coords({TIME: [str(t) for t in T]})}, "not a number"),
        (lambda d: {"stderr": -1.0}, "negative"),
        (lambda d: {"stderr": np.ones(7)}, "not one that broadcasts"),
        (lambda d: {"stderr": d.isel(x=0).expand_dims(power=2)}, "'stderr' runs over power"),
        (lambda d: {"stderr": abs(d).assign_coords({TIME: T + 1})}, "other coordinates"),
        (lambda d: {"params": lmfit.create_params(rate=1)}, "'params' lacks amplitude, plateau"),
        (lambda d: {"model": lmfit.Model(lambda t, a, b: a + b * t)}, "has no starting value"),
        (lambda d: {"model": lmfit.Model(lambda t, q, a=1.0: a + t + q, independent_vars=["t", "q"])}, "independent variables q"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(rng, change, match):
    data = cube(rng)
    arguments = {"data": data, "model": MonoexponentialDecayModel(), "dim": TIME} | change(data)
    with pytest.raises(DataError, match=match):
        fit_model(**arguments)


def test_a_parameter_named_as_a_coordinate_is_refused():
    model = lmfit.Model(lambda t, power=1.0: power * t)
    data = xr.DataArray(T, dims=TIME, coords={TIME: SECONDS, names.POWER: 10.0})
    with pytest.raises(DataError, match=r"'power' has the name of a coordinate.*prefix"):
        fit_model(data, model, TIME)


def test_a_model_that_cannot_be_evaluated_warns_and_fails():
    model = lmfit.Model(lambda t, a=-1.0: np.log(a) * t)
    data = xr.DataArray(T, dims=TIME, coords={TIME: SECONDS})
    with pytest.warns(PlkitWarning, match="no trace could be fitted: The model function"):
        out = fit_model(data, model, TIME)
    assert int(out.fit_status) == 4
    assert np.isnan(out.a)


def test_one_bad_trace_does_not_disturb_the_others(rng):
    data = cube(rng)
    data[0, :, 1] = np.nan
    out = fit_model(data, MonoexponentialDecayModel(), TIME, stderr=1.0)
    assert out.fit_status.values.tolist() == [[0, 3, 0], [0, 0, 0]]


def test_has_change_false_alarms_are_rare(rng):
    # χ² falls by chance as χ² of the extra parameters does
    gain = rng.chisquare(4, 20000)
    alarms = has_change(100 + gain, np.full(gain.size, 100.0), 105, 5, True).mean()
    assert 0.0015 < alarms < 0.0042


def test_progress_bar(rng, capsys):
    fit_model(cube(rng), MonoexponentialDecayModel(), TIME, stderr=1.0, progress=True)
    assert "trace" in capsys.readouterr().err
