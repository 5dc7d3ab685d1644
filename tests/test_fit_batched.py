"""The batched engine: any lmfit Model, equal to lmfit's optimum, whatever the block."""

from __future__ import annotations

import math
import pickle

import lmfit
import numpy as np
import pytest
import xarray as xr
from lmfit import models as lm

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.fit import batched_engine, fit_model, run
from plkit.fit.evaluate import Evaluator
from plkit.fit.job import Job, Packed
from plkit.fit.plan import plan_parameters
from plkit.models import BiexponentialDecayModel, GaussianPeakModel, MonoexponentialDecayModel
from plkit.names import POINT, TIME, X, Y

T = np.arange(0.0, 200.0, 2.0)
E = np.linspace(0.0, 20.0, 101)
SECONDS = (TIME, T, names.attrs(TIME))


def asymmetric(x, height, centre, fwhm, asymmetry, offset):
    u = np.log(np.maximum(1.0 + 2.0 * asymmetry * (x - centre) / fwhm, 1e-12)) / asymmetry
    return height * np.exp(-math.log(2.0) * u * u) + offset


def bent(x, height, centre, fwhm, offset):
    """Linear in height near the start, but not where the detector saturates."""
    seen = height - 5e-5 * np.maximum(height - 3000.0, 0.0) ** 2
    return seen * np.exp(-(((x - centre) / fwhm) ** 2)) + offset


def branching(x, amplitude, rate):
    """Takes one set of numbers only."""
    return amplitude * np.exp(-x * (rate if rate > 0 else -rate))


def noisy(rng, clean):
    y = rng.poisson(np.maximum(clean, 0)).astype(float)
    return y, np.sqrt(np.maximum(y, 1.0))


def array(y, axis=E, dim=X, outer=POINT):
    return xr.DataArray(y, dims=(outer, dim), coords={dim: axis})


def own_chisqr(model, y, params, axis, sigma):
    """χ² of lmfit itself, trace by trace."""
    out = []
    for row, s in zip(y, sigma, strict=True):
        start = model.guess(row, x=axis) if params is None else params
        try:
            out.append(model.fit(row, start, x=axis, weights=1 / s, scale_covar=False).chisqr)
        except ValueError:  # NaN on the way
            out.append(np.inf)
    return np.array(out)


# A model, the axis, its truths, and a start (None: it guesses) ------------------------------------

PEAK = {"centre": (6, 14), "offset": (5, 50)}
CASES = {
    "asymmetric": (
        lambda: lmfit.Model(asymmetric), E,
        {"height": (50, 2000), **PEAK, "fwhm": (1, 5), "asymmetry": (0.05, 0.6)},
        {"height": {"value": 1000, "min": 0}, "centre": 10, "fwhm": {"value": 4, "min": 0.1}, "asymmetry": {"value": 0.2, "min": -2, "max": 2}, "offset": 10},
    ),
    "gaussian": (lambda: GaussianPeakModel(), E, {"height": (50, 2000), **PEAK, "fwhm": (1, 5)}, None),
    "bent": (
        lambda: lmfit.Model(bent), E,
        {"height": (1000, 6000), "centre": (6, 14), "fwhm": (1, 5), "offset": (5, 50)},
        {"height": 1000, "centre": 10, "fwhm": 4, "offset": 10},
    ),
    "monoexponential": (
        lambda: MonoexponentialDecayModel(), T,
        {"amplitude": (50, 2000), "rate": (0.01, 0.2), "plateau": (5, 50)}, None,
    ),
    "biexponential": (
        lambda: BiexponentialDecayModel(), T,
        {"k01": (200, 2000), "k1": (0.08, 0.2), "k02": (200, 2000), "k2": (0.01, 0.03), "plateau": (5, 50)},
        {"k01": 500, "k1": 0.1, "k02": 500, "k2": 0.02, "plateau": 20},
    ),
    "voigt + constant": (
        lambda: lm.VoigtModel() + lm.ConstantModel(), E,
        {"amplitude": (200, 5000), "center": (6, 14), "sigma": (0.4, 2), "c": (5, 50)},
        {"amplitude": 1000, "center": 10, "sigma": 1, "c": 20},
    ),
    "pseudo-Voigt + line": (
        lambda: lm.PseudoVoigtModel() + lm.LinearModel(), E,
        {"amplitude": (500, 5000), "center": (6, 14), "sigma": (0.6, 2), "fraction": (0.1, 0.9), "slope": (-1, 1), "intercept": (30, 50)},
        {"amplitude": 1000, "center": 10, "sigma": 1.5, "slope": 0, "intercept": 20},
    ),
    "two Gaussians": (
        lambda: lm.GaussianModel(prefix="a_") + lm.GaussianModel(prefix="b_") + lm.ConstantModel(), E,
        {"a_amplitude": (500, 5000), "a_center": (4, 8), "a_sigma": (0.6, 2), "b_amplitude": (500, 5000), "b_center": (11, 16), "b_sigma": (0.6, 2), "c": (10, 40)},
        {"a_amplitude": 1000, "a_center": 7, "a_sigma": 1.5, "b_amplitude": 1000, "b_center": 13, "b_sigma": 1.5, "c": 20},
    ),
    "skewed + constant": (
        lambda: lm.SkewedGaussianModel() + lm.ConstantModel(), E,
        {"amplitude": (500, 5000), "center": (6, 14), "sigma": (0.6, 2), "gamma": (-3, 3), "c": (10, 40)},
        {"amplitude": 1000, "center": 10, "sigma": 1.5, "gamma": 0.1, "c": 20},
    ),
    "expression": (
        lambda: lm.ExpressionModel("a*exp(-b*x)*cos(w*x) + c"), T,
        {"a": (100, 200), "b": (0.01, 0.03), "w": (0.09, 0.11), "c": (300, 400)},
        {"a": 100, "b": 0.02, "w": 0.1, "c": 300},
    ),
}  # fmt: skip


def no_worse_than_lmfit(name, rows):
    rng = np.random.default_rng(sorted(CASES).index(name))
    make, axis, truth, start = CASES[name]
    model = make()
    clean = [
        model.eval(model.make_params(**{n: rng.uniform(*r) for n, r in truth.items()}), x=axis)
        for _ in range(rows)
    ]
    y, sigma = noisy(rng, np.stack(clean))
    params = None if start is None else model.make_params(**start)
    data = array(y, axis)
    out = fit_model(data, model, X, params, stderr=data.copy(data=sigma))
    reference = own_chisqr(model, y, params, axis, sigma)
    found = np.where(np.isfinite(out.chisqr), out.chisqr, np.inf)
    return found - reference


@pytest.mark.parametrize("name", sorted(CASES))
def test_proof_2_random_traces_are_no_worse_than_lmfits_optimum(name):
    difference = no_worse_than_lmfit(name, 30)
    assert np.nanmax(difference) <= 0.01


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(CASES))
def test_proof_2_ten_thousand_random_traces(name):
    difference = no_worse_than_lmfit(name, 10_000)
    assert np.nanmax(difference) <= 0.01


@pytest.mark.parametrize("with_sigma", [True, False])
def test_values_sigma_and_covariance_are_those_of_lmfit(rng, with_sigma):
    model = lm.GaussianModel() + lm.LinearModel()
    y, s = noisy(
        rng,
        np.tile(model.eval(x=E, amplitude=900, center=9, sigma=1.3, slope=1, intercept=30), (3, 1)),
    )
    data = array(y)
    params = model.make_params(amplitude=700, center=10, sigma=1, slope=0, intercept=20)
    out = fit_model(data, model, X, params, stderr=data.copy(data=s) if with_sigma else None)
    for i in range(3):
        one = model.fit(
            y[i], params, x=E, weights=1 / s[i] if with_sigma else None, scale_covar=not with_sigma
        )
        for n in one.params:
            assert float(out[n][i]) == pytest.approx(one.params[n].value, rel=1e-6)
            assert float(out[f"{n}_stderr"][i]) == pytest.approx(one.params[n].stderr, rel=2e-3)
        index = {"param_i": one.var_names, "param_j": one.var_names}
        np.testing.assert_allclose(out.covariance[i].sel(index), one.covar, rtol=5e-3, atol=1e-9)
        for n in ("chisqr", "redchi", "aic", "bic"):
            assert float(out[n][i]) == pytest.approx(getattr(one, n), rel=1e-9)


# How a function is called -------------------------------------------------------------------------


def evaluator(model, params, axis=E):
    plan = plan_parameters(params, (), "fit")
    return Evaluator(model, axis, plan, plan.value, "fit")


@pytest.mark.parametrize(
    ("make", "modes"),
    [
        (lambda: lmfit.Model(asymmetric), ["plain"]),
        (lambda: lm.GaussianModel() + lm.VoigtModel(prefix="v_"), ["rebound", "rebound"]),
        (lambda: lmfit.Model(branching), ["rows"]),
        (lambda: lm.ExpressionModel("a*exp(-b*x)"), ["plain"]),
        (lambda: lmfit.Model(lambda x, a, b: a * np.cumsum(np.exp(-b * x))), ["rows"]),
        (lambda: lmfit.Model(lambda x, a, b: a * np.exp(-b * x) / np.exp(-b * x).sum()), ["rows"]),
        (lambda: lmfit.Model(lambda x, a, b: math.sqrt(a) * math.exp(b) * x), ["rebound"]),
    ],
)
def test_functions_for_one_set_of_numbers_are_told_from_those_for_many(make, modes):
    model = make()
    params = model.make_params(**{n: 1.0 + 0.1 * i for i, n in enumerate(model.param_names)})
    if "asymmetry" in params:
        params["centre"].value, params["asymmetry"].value = 10.0, 0.3
    found = evaluator(model, params)
    assert [leaf.mode for leaf in found.leaves] == modes
    table = found.plan.value * np.linspace(0.9, 1.1, 5)[:, None]
    found.plan.ties.fill(table)
    values = found.values(table)
    for row, value in zip(table, values, strict=True):
        probe = params.copy()
        for n, v in zip(found.plan.names, row, strict=True):
            if probe[n].expr is None:
                probe[n].value = v
        np.testing.assert_allclose(value, model.eval(probe, x=E), rtol=1e-12)


def test_a_function_for_one_set_of_numbers_is_fitted_row_by_row(rng):
    y = np.stack([branching(T, 70, 0.05), branching(T, 50, 0.02)]) + rng.normal(0, 1, (2, T.size))
    model = lmfit.Model(branching)
    params = model.make_params(amplitude=40, rate=0.03)
    out = fit_model(array(y, T, TIME), model, TIME, params, stderr=1.0)
    reference = own_chisqr(model, y, params, T, np.ones_like(y))
    np.testing.assert_allclose(out.chisqr, reference, rtol=1e-9)


def test_derivatives_of_a_composite_are_those_of_the_whole(rng):
    model = (lm.GaussianModel() + lm.LinearModel()) * lm.ExponentialModel(prefix="e_") - (
        lm.ConstantModel(prefix="p_") / lm.LorentzianModel(prefix="l_")
    )
    params = model.make_params(
        amplitude=30, center=9, sigma=2, slope=0.3, intercept=4, e_amplitude=1.5, e_decay=30,
        p_c=0.2, l_amplitude=9, l_center=8, l_sigma=4,
    )  # fmt: skip
    found = evaluator(model, params)
    table = np.tile(found.plan.value, (2, 1))
    table[1, 0] *= 1.2
    found.plan.ties.fill(table)
    cache = {}
    found.values(table, cache)
    scale = np.maximum(np.abs(table[:, found.plan.free]), 1.0)
    slopes = found.slopes(table, cache, scale, central=True)
    for j, column in enumerate(found.plan.free):
        h = 1e-5 * scale[:, j]
        ends = []
        for sign in (1, -1):
            end = table.copy()
            end[:, column] += sign * h
            found.plan.ties.fill(end)
            ends.append(found.values(end))
        expected = (ends[0] - ends[1]) / (2 * h[:, None])
        np.testing.assert_allclose(
            slopes[:, j], expected, rtol=1e-5, atol=1e-6 * abs(expected).max()
        )


class WithJacobian(lmfit.Model):
    calls = 0

    def __init__(self, wrong=False):
        super().__init__(lambda x, a, k: a * np.exp(-k * x))
        self.wrong = wrong

    def jacobian(self, x, a, k):
        type(self).calls += 1
        e = np.exp(-k * x)
        return {"a": e, "k": (-1 if self.wrong else 1) * -a * x * e}


def test_own_derivatives_are_used_and_wrong_ones_refused(rng):
    y = 70 * np.exp(-0.05 * T) + rng.normal(0, 1, (2, T.size))
    model = WithJacobian()
    params = model.make_params(a=50, k=0.1)
    params.add("half", expr="k/2")
    out = fit_model(array(y, T, TIME), model, TIME, params, stderr=1.0)
    assert WithJacobian.calls > 2
    plain = lmfit.Model(lambda x, a, k: a * np.exp(-k * x))
    other = fit_model(array(y, T, TIME), plain, TIME, params, stderr=1.0)
    for n in ("a", "k", "half", "k_stderr", "half_stderr"):
        np.testing.assert_allclose(out[n], other[n], rtol=1e-6)
    assert int(out.nfev[0]) < int(other.nfev[0])
    with pytest.raises(
        DataError, match=r"derivative by 'k' that the model's 'jacobian' gives is not"
    ):
        fit_model(array(y, T, TIME), WithJacobian(wrong=True), TIME, params, stderr=1.0)


def test_a_tied_parameter_moves_with_the_model_of_own_derivatives(rng):
    y = 70 * np.exp(-0.05 * T) + 20 * np.exp(-0.01 * T) + rng.normal(0, 1, (1, T.size))
    model = WithJacobian() + lmfit.Model(lambda x, c, q: c * np.exp(-q * x))
    params = model.make_params(a=50, k=0.1, c=10, q=0.02)
    params["q"].expr = "k/5"
    out = fit_model(array(y, T, TIME), model, TIME, params, stderr=1.0)
    one = model.fit(y[0], params, x=T, weights=np.ones(T.size), scale_covar=False)
    for n in ("a", "k", "c", "q"):
        assert float(out[n][0]) == pytest.approx(one.params[n].value, rel=1e-6)
        assert float(out[f"{n}_stderr"][0]) == pytest.approx(one.params[n].stderr, rel=1e-3)


def test_complex_models_are_refused():
    data = array(np.ones((1, E.size)))
    model = lmfit.Model(lambda x, a: a * np.exp(1j * x))
    with pytest.raises(DataError, match="gives complex numbers, not real ones"):
        fit_model(data, model, X, model.make_params(a=1))


def test_a_model_that_fails_for_unlucky_parameters_is_fitted_where_it_does_not(rng):
    def picky(x, a, k):
        if np.any(np.asarray(k) > 0.5):
            raise ValueError("too fast")
        return a * np.exp(-k * x)

    y = np.stack([70 * np.exp(-0.05 * T), 70 * np.exp(-0.45 * T)]) + rng.normal(0, 1, (2, T.size))
    model = lmfit.Model(picky)
    out = fit_model(array(y, T, TIME), model, TIME, model.make_params(a=50, k=0.2), stderr=1.0)
    assert np.all(out.fit_status == 0)
    np.testing.assert_allclose(out.k, [0.05, 0.45], rtol=0.2)


# Bounds, ties, fixed values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        {"sigma": {"max": 1.0}},
        {"center": {"min": 9.5, "max": 12.0}},
        {"amplitude": {"min": 950.0}},
        {"amplitude": {"min": 800.0, "max": 880.0}, "sigma": {"min": 1.2}, "c": {"max": 28.0}},
    ],
)
def test_bounds_give_the_optimum_of_lmfit(rng, limits):
    model = lm.GaussianModel() + lm.ConstantModel()
    y, s = noisy(rng, np.tile(model.eval(x=E, amplitude=900, center=9, sigma=1.3, c=30), (4, 1)))
    params = model.make_params(amplitude=860, center=10, sigma=0.9, c=20)
    for n, limit in limits.items():
        params[n].set(**limit)
        params[n].set(value=np.clip(params[n].value, params[n].min, params[n].max))
    data = array(y)
    out = fit_model(data, model, X, params, stderr=data.copy(data=s))
    assert np.all(out.chisqr <= own_chisqr(model, y, params, E, s) + 1e-3)
    for n in limits:
        assert np.all((out[n] >= params[n].min) & (out[n] <= params[n].max))
    at_limit = [(out[n] == params[n].min) | (out[n] == params[n].max) for n in limits]
    np.testing.assert_array_equal(out.fit_status == 1, np.any(at_limit, axis=0))


@pytest.mark.parametrize(
    "expr",
    ["k1/5", "max(0.001, ratio*k1)", "k1/5 if k1 > 0 else 0.0", "sqrt(k1**2)/5", "third(k1)"],
)
def test_ties_of_every_kind(rng, expr):
    y = 40 * np.exp(-0.1 * T) + 30 * np.exp(-0.02 * T) + 30 + rng.normal(0, 1, (2, T.size))
    model = BiexponentialDecayModel()
    params = lmfit.Parameters(usersyms={"third": lambda k: k / 3})
    params.add_many(*model.make_params(k01=30, k1=0.15, k02=20, k2=0.03, plateau=20).values())
    params.add("ratio", value=0.2, vary=False)
    params["k2"].expr = expr
    out = fit_model(array(y, T, TIME), model, TIME, params, stderr=1.0)
    for i in range(2):
        one = model.fit(y[i], params, x=T, weights=np.ones(T.size), scale_covar=False)
        assert float(out.chisqr[i]) == pytest.approx(one.chisqr, rel=1e-9)
        assert float(out.k2[i]) == pytest.approx(one.params["k2"].value, rel=1e-4)
        assert float(out.k2_stderr[i]) == pytest.approx(one.params["k2"].stderr, rel=1e-3)


def test_a_tied_parameter_stays_within_its_bounds(rng):
    y = 70 * np.exp(-0.05 * T) + 30 + rng.normal(0, 1, (1, T.size))
    model = MonoexponentialDecayModel()
    params = model.make_params(amplitude=50, rate=0.1, plateau=20)
    params["plateau"].set(expr="amplitude/2", max=28.0)
    out = fit_model(array(y, T, TIME), model, TIME, params, stderr=1.0)
    assert float(out.plateau[0]) == 28.0


def test_values_fixed_by_trace_number_and_map(rng):
    rates = xr.DataArray([[0.03, 0.04, 0.05], [0.06, 0.07, np.nan]], dims=(Y, X))
    clean = 70 * np.exp(-rates.fillna(0.05).values[..., None] * T) + 30
    data = xr.DataArray(
        clean + rng.normal(0, 1, clean.shape), dims=(Y, X, TIME), coords={TIME: SECONDS}
    )
    model = MonoexponentialDecayModel()
    for engine in ("batched", "lmfit"):
        out = fit_model(
            data, model, TIME, fixed={"rate": rates, "plateau": 30}, stderr=1.0, engine=engine
        )
        assert out.fit_status.values.tolist() == [[0, 0, 0], [0, 0, 4]]
        np.testing.assert_array_equal(
            out.rate.values[out.fit_status == 0], rates.values.ravel()[:5]
        )
        np.testing.assert_allclose(out.amplitude.values.ravel()[:5], 70, atol=2)
        assert float(out.rate_stderr[0, 0]) == 0
        assert float(out.plateau_stderr[0, 0]) == 0
        assert float(out.redchi[0, 0]) == pytest.approx(float(out.chisqr[0, 0]) / (T.size - 1))
    along_y = fit_model(data, model, TIME, fixed={"rate": rates[:, 0]}, stderr=1.0)
    np.testing.assert_array_equal(along_y.rate[:, 1], rates[:, 0])


@pytest.mark.parametrize(
    ("fixed", "match"),
    [
        ({"speed": 1.0}, "'fixed' names 'speed', not one of amplitude, rate, plateau"),
        ({"rate": np.ones(3)}, "not a number or a DataArray"),
        ({"rate": np.nan}, "not a number or a DataArray"),
        (
            {"rate": xr.DataArray(np.ones(2), dims="power")},
            "runs over power, which the data has not",
        ),
        (
            {"rate": xr.DataArray(np.ones(2), dims=POINT, coords={POINT: [5, 6]})},
            "other coordinates",
        ),
        ({"rate": xr.DataArray(["a", "b"], dims=POINT)}, "with dtype"),
    ],
)
def test_values_that_cannot_be_fixed(rng, fixed, match):
    y = 70 * np.exp(-0.05 * T) + 30 + rng.normal(0, 1, (2, T.size))
    data = array(y, T, TIME).assign_coords({POINT: [1, 2]})
    with pytest.raises(DataError, match=match):
        fit_model(data, MonoexponentialDecayModel(), TIME, fixed=fixed)
    params = MonoexponentialDecayModel().make_params(amplitude=1, rate=1, plateau=0)
    params["rate"].expr = "amplitude"
    with pytest.raises(DataError, match="'rate' is to be fixed but is tied by 'amplitude'"):
        fit_model(data, MonoexponentialDecayModel(), TIME, params, fixed={"rate": 1.0})


def test_everything_fixed_gives_the_misfit_alone():
    data = array(70 * np.exp(-0.05 * T)[None] + 30, T, TIME)
    out = fit_model(
        data, MonoexponentialDecayModel(), TIME, stderr=1.0,
        fixed={"amplitude": 70, "rate": 0.05, "plateau": 29.0},
    )  # fmt: skip
    assert float(out.chisqr[0]) == pytest.approx(T.size)
    assert int(out.fit_status[0]) == 0


# Blocks -------------------------------------------------------------------------------------------


def peaks(rng, rows=(4, 10)):
    truth = rng.uniform([50, 7, 1, 0.05, 5], [1500, 13, 5, 0.6, 50], (*rows, 5))
    y, s = noisy(rng, asymmetric(E, *(truth[..., i, None] for i in range(5))))
    y[0, 3, 20:30] = np.nan
    y[1, 2] = np.nan
    coords = {X: np.arange(float(rows[1])), Y: np.arange(float(rows[0])), names.ENERGY: E}
    dims = (Y, X, names.ENERGY)
    return xr.DataArray(y, dims=dims, coords=coords), xr.DataArray(s, dims=dims, coords=coords)


PARAMS = {"height": 800, "centre": 10, "fwhm": 2.5, "asymmetry": 0.3, "offset": 10}


def test_proof_2_dask_equals_numpy_to_the_last_bit(rng):
    pytest.importorskip("dask")
    y, s = peaks(rng)
    model = lmfit.Model(asymmetric)
    params = model.make_params(**PARAMS)
    held = xr.DataArray(np.linspace(0.1, 0.4, y.sizes[X]), dims=X)
    options = {"fixed": {"asymmetry": held}}
    expected = fit_model(y, model, names.ENERGY, params, stderr=s, **options)
    for chunks in ({Y: 2, X: 10, names.ENERGY: -1}, {Y: 4, X: 3, names.ENERGY: 50}):
        lazy = fit_model(
            y.chunk(chunks), model, names.ENERGY, params, stderr=s.chunk(chunks), **options
        )
        xr.testing.assert_identical(lazy.drop_attrs(), expected.drop_attrs())
    mixed = fit_model(y.chunk({Y: 1}), model, names.ENERGY, params, stderr=s[0, 0, 0], **options)
    other = fit_model(y, model, names.ENERGY, params, stderr=s[0, 0, 0], **options)
    xr.testing.assert_identical(mixed.drop_attrs(), other.drop_attrs())


def test_proof_2_a_trace_does_not_depend_on_its_neighbours(rng, monkeypatch):
    y, s = peaks(rng)
    model = lmfit.Model(asymmetric)
    params = model.make_params(**PARAMS)
    whole = fit_model(y, model, names.ENERGY, params, stderr=s)
    monkeypatch.setattr(run, "_ROWS", 7)
    monkeypatch.setattr(batched_engine, "_NUMBERS_PER_PART", 300)
    parts = fit_model(y, model, names.ENERGY, params, stderr=s)
    xr.testing.assert_identical(whole.drop_attrs(), parts.drop_attrs())
    one = fit_model(y[2, 3], model, names.ENERGY, params, stderr=s[2, 3])
    xr.testing.assert_identical(one.drop_attrs(), whole.isel({Y: 2, X: 3}).drop_attrs())


def test_what_goes_to_workers_can_be_pickled(rng):
    model = lm.GaussianModel() + lm.LinearModel()
    params = model.make_params(amplitude=700, center=10, sigma=1, slope=0, intercept=20)
    y = model.eval(x=E, amplitude=900, center=9, sigma=1.3, slope=1, intercept=30)[None]
    job = Job(model, params, params, E, has_sigma=False)
    here = batched_engine.fit_block(y, job=job)
    cloudpickle = pytest.importorskip("cloudpickle")  # as dask does; lmfit's composites need it
    back = pickle.loads(cloudpickle.dumps(job))
    there = pickle.loads(pickle.dumps(batched_engine.fit_block))(y, job=back)
    np.testing.assert_array_equal(here, there)
    assert Packed(len(params)).unpack(there).values[0, 0] == pytest.approx(900)
    found = evaluator(model, params)
    again = pickle.loads(cloudpickle.dumps(found))
    table = found.plan.value[None]
    np.testing.assert_array_equal(found.values(table), again.values(table))


def test_negative_sigma_in_a_dask_array_is_refused(rng):
    pytest.importorskip("dask")
    y, s = peaks(rng)
    model = lmfit.Model(asymmetric)
    with pytest.raises(DataError, match="'stderr' has negative values"):
        fit_model(
            y.chunk({Y: 2}),
            model,
            names.ENERGY,
            model.make_params(**PARAMS),
            stderr=-s.chunk({Y: 2}),
        )


def test_progress_shows_a_bar_and_the_summary(rng, capsys):
    pytest.importorskip("dask")
    y, s = peaks(rng)
    model = lmfit.Model(asymmetric)
    params = model.make_params(**PARAMS)
    out = fit_model(y, model, names.ENERGY, params, stderr=s, progress=True)
    shown = capsys.readouterr()
    assert "trace" in shown.err
    assert out.attrs["summary"] in shown.out
    fit_model(y.chunk({Y: 1}), model, names.ENERGY, params, stderr=s, progress=True)
    assert "fit" in capsys.readouterr().err


# What the fits are worth --------------------------------------------------------------------------


def test_summary_says_how_many_and_why(rng):
    one = 70 * np.exp(-0.05 * T) + 30
    two = 50 * np.exp(-0.3 * T) + 40 * np.exp(-0.02 * T) + 30
    y = np.stack([two, one, one, np.full(T.size, np.nan)]) + rng.normal(0, 0.3, (4, T.size))
    data = xr.DataArray(y.reshape(2, 2, -1), dims=(Y, X, TIME), coords={TIME: SECONDS})
    out = fit_model(data, BiexponentialDecayModel(), TIME, stderr=0.3)
    assert out.fit_status.values.tolist() == [[0, 2], [2, 3]]
    assert out.attrs["summary"].startswith("2 of 4 pixels not identifiable: k")
    assert out.attrs["summary"].endswith("; 1 without signal")
    fine = fit_model(data[0, :1], MonoexponentialDecayModel(), TIME, stderr=0.3)
    assert fine.attrs["summary"] == "ok"


def test_parameters_that_do_the_same_are_named(rng):
    twice = lm.ConstantModel(prefix="a_") + lm.ConstantModel(prefix="b_")
    params = twice.make_params(a_c=1, b_c=1)
    out = fit_model(array(rng.normal(5, 1, (3, E.size))), twice, X, params, stderr=1.0)
    assert np.all(out.fit_status == 2)
    assert "a_c ≈ b_c" in out.attrs["summary"] or "no σ" in out.attrs["summary"]
    params = lmfit.Model(lambda x, a, b: a + 0 * b * x).make_params(a=1, b=1)
    dead = fit_model(
        array(rng.normal(5, 1, (2, E.size))),
        lmfit.Model(lambda x, a, b: a + 0 * b * x),
        X,
        params,
        stderr=1.0,
    )
    assert dead.attrs["summary"] == "2 of 2 traces not identifiable: no effect of b"
    np.testing.assert_allclose(dead.a_stderr, 1 / np.sqrt(E.size), rtol=1e-6)
    assert np.all(np.isnan(dead.b_stderr))


def test_a_model_that_has_no_value_at_the_start_warns(rng):
    model = lmfit.Model(lambda x, a: np.log(a) * x)
    with pytest.warns(PlkitWarning, match="not finite at the starting values"):
        out = fit_model(array(rng.normal(5, 1, (2, E.size))), model, X, model.make_params(a=-1.0))
    assert np.all(out.fit_status == 4)


def test_one_point_and_integer_counts(rng):
    model = lm.ConstantModel()
    out = fit_model(
        array(np.array([[7]], dtype=np.uint16), [0.0]), model, X, model.make_params(c=1), stderr=2.0
    )
    assert float(out.c[0]) == 7
    assert float(out.c_stderr[0]) == pytest.approx(2.0)
