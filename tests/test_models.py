"""plkit's lmfit Models: every one recovers its own curve, alone, with a prefix and in a composite."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from lmfit.models import ConstantModel, LinearModel

from plkit import models, names
from plkit.fit import fit_model

T = np.arange(0.0, 500.0, 4.0)
E = np.linspace(1.7, 2.3, 121)
X = np.arange(-10.0, 10.5)

CASES = {
    "MonoexponentialDecayModel": (T, {"amplitude": 0.7, "rate": 0.02, "plateau": 0.3}),
    "StretchedDecayModel": (T, {"amplitude": 0.7, "rate": 0.02, "exponent": 0.6, "plateau": 0.3}),
    "BiexponentialDecayModel": (T, {"k01": 0.4, "k1": 0.05, "k02": 0.3, "k2": 0.006, "plateau": 0.3}),
    "BiexponentialRiseModel": (T, {"k01": 0.4, "k1": 0.05, "k02": 0.3, "k2": 0.006, "plateau": 0.3}),
    "GaussianPeakModel": (E, {"height": 900.0, "centre": 1.98, "fwhm": 0.08, "offset": 20.0}),
    "AsymmetricPeakModel": (
        E, {"height": 900.0, "centre": 1.98, "fwhm": 0.08, "asymmetry": -0.4, "offset": 20.0}),
    "LorentzianPeakModel": (E, {"height": 900.0, "centre": 1.98, "fwhm": 0.08, "offset": 20.0}),
    "PseudoVoigtPeakModel": (
        E, {"height": 900.0, "centre": 1.98, "fwhm": 0.08, "lorentz_fraction": 0.4, "offset": 20.0}),
    "PeaksModel": (E, {"height": 900.0, "centre": 1.98, "fwhm": 0.08, "offset": 20.0}),
    "TriexponentialDecayModel": (np.geomspace(0.1, 3000.0, 200), {
        "k01": 0.3, "k1": 1.0, "k02": 0.2, "k2": 0.05, "k03": 0.3, "k3": 0.003, "plateau": 0.2}),
    "FickProfileModel": (X, {"amplitude": 0.6, "centre": 0.4, "sigma": 1.75, "offset": 0.1}),
}  # fmt: skip


def test_every_model_has_a_case():
    assert set(models.__all__) == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("prefix", ["", "a_"])
def test_model_recovers_its_own_curve(name, prefix):
    x, truth = CASES[name]
    model = getattr(models, name)(prefix=prefix)
    y = model.eval(x=x, **{prefix + n: v for n, v in truth.items()})
    result = model.fit(y, model.guess(y, x=x), x=x, fit_kws={"ftol": 1e-12, "xtol": 1e-12})
    for n, v in truth.items():
        assert result.params[prefix + n].value == pytest.approx(v, rel=1e-6), n


@pytest.mark.parametrize("name", sorted(CASES))
def test_model_is_picklable_and_states_units(name):
    x, truth = CASES[name]
    model = getattr(models, name)()
    again = pickle.loads(pickle.dumps(model.func))
    np.testing.assert_array_equal(again(x, **truth), model.func(x, **truth))
    assert set(model.parameter_units("counts", "s")) == set(truth)


@pytest.mark.parametrize("name", sorted(CASES))
def test_guess_respects_what_a_hint_holds_fixed(name):
    x, truth = CASES[name]
    model = getattr(models, name)()
    held = list(truth)[-1]
    model.set_param_hint(held, value=truth[held], vary=False)
    y = model.eval(model.make_params(**truth), x=x)
    assert model.guess(y, x=x)[held].value == truth[held]


@pytest.mark.parametrize("name", sorted(CASES))
def test_guess_of_constant_and_single_values_is_finite(name):
    x, _ = CASES[name]
    model = getattr(models, name)()
    for n in (1, 2, x.size):
        params = model.guess(np.full(n, 3.0), x=x[:n])
        assert all(np.isfinite(p.value) for p in params.values())


def test_pixel_width_flattens_the_fick_profile():
    point, pixel = models.FickProfileModel(), models.FickProfileModel(pixel_um=2.0)
    p = {"amplitude": 1.0, "centre": 0.0, "sigma": 1.0, "offset": 0.0}
    assert point.eval(x=np.zeros(1), **p)[0] == pytest.approx(1.0)
    assert pixel.eval(x=np.zeros(1), **p)[0] == pytest.approx(0.855624, abs=1e-6)


def test_faster_rate_is_k1_with_its_covariance(rng):
    model = models.BiexponentialDecayModel()
    y = model.eval(x=T, **CASES["BiexponentialDecayModel"][1]) + rng.normal(0, 0.003, T.size)
    right = model.fit(y, model.make_params(k01=0.4, k1=0.05, k02=0.3, k2=0.006, plateau=0.3), x=T)
    swapped = model.fit(y, model.make_params(k01=0.3, k1=0.006, k02=0.4, k2=0.05, plateau=0.3), x=T)
    assert swapped.params["k1"].value > swapped.params["k2"].value
    for n in right.params:
        assert swapped.params[n].value == pytest.approx(right.params[n].value, rel=1e-4)
        assert swapped.params[n].stderr == pytest.approx(right.params[n].stderr, rel=1e-3)
        assert swapped.params[n].correl == pytest.approx(right.params[n].correl, abs=1e-3)
    np.testing.assert_allclose(swapped.covar, right.covar, rtol=1e-2, atol=1e-12)


def test_order_is_kept_inside_a_composite():
    model = models.BiexponentialDecayModel(prefix="d_") + LinearModel(prefix="l_")
    truth = {f"d_{n}": v for n, v in CASES["BiexponentialDecayModel"][1].items()}
    y = model.eval(x=T, **truth, l_slope=0.0, l_intercept=0.0)
    params = model.make_params(
        d_k01=0.3, d_k1=0.005, d_k02=0.4, d_k2=0.06, d_plateau=0.3, l_slope=0.0,
        l_intercept={"value": 0.0, "vary": False},
    )  # fmt: skip
    params["l_slope"].vary = False
    result = model.fit(y, params, x=T)
    assert result.params["d_k1"].value == pytest.approx(0.05, rel=1e-4)


def test_a_fixed_rate_keeps_its_name():
    model = models.BiexponentialDecayModel()
    y = model.eval(x=T, **CASES["BiexponentialDecayModel"][1])
    params = model.guess(y, x=T)
    params["k1"].set(value=0.006, vary=False)
    result = model.fit(y, params, x=T)
    assert result.params["k1"].value == 0.006
    assert result.params["k2"].value == pytest.approx(0.05, rel=1e-3)


def test_units_follow_data_and_axis_through_a_composite():
    model = models.GaussianPeakModel(prefix="p_") + ConstantModel(prefix="c_")
    y = xr.DataArray(
        model.eval(x=E, p_height=9.0, p_centre=2.0, p_fwhm=0.1, p_offset=0.0, c_c=1.0),
        dims=names.ENERGY,
        coords={names.ENERGY: (names.ENERGY, E, names.attrs(names.ENERGY))},
        attrs=names.attrs(names.INTENSITY),
    )
    params = model.make_params(p_height=8.0, p_centre=1.99, p_fwhm=0.09, p_offset=0.0, c_c=0.9)
    params["p_offset"].vary = False
    out = fit_model(y, model, names.ENERGY, params)
    assert out["p_centre"].attrs["units"] == "eV"
    assert out["p_height_stderr"].attrs["units"] == "counts"
    assert "units" not in out["c_c"].attrs
    assert float(out["p_fwhm"]) == pytest.approx(0.1)


def test_import_plkit_does_not_import_lmfit_but_models_may():
    code = "import sys, plkit; assert 'lmfit' not in sys.modules; plkit.models.GaussianPeakModel; assert 'lmfit' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
