"""plkit's own models through the compiled kernels: the same numbers as by Levenberg–Marquardt."""

from __future__ import annotations

import lmfit
import numpy as np
import pytest
import xarray as xr

from plkit import models, names
from plkit.fit import CountNoise, fit_model, run, separable_engine, shared
from plkit.fit.job import Job
from plkit.names import POINT, TIME, X

T = np.arange(0.0, 400.0, 4.0)
E = np.linspace(0.0, 20.0, 101)
SECONDS = (TIME, T, names.attrs(TIME))

# A model, its axis and its truths -----------------------------------------------------------------

PEAK = {"height": (300, 2000), "centre": (7, 13), "fwhm": (1.5, 4), "offset": (20, 50)}
CASES = {
    "monoexponential": (
        models.MonoexponentialDecayModel, T,
        {"amplitude": (300, 2000), "rate": (0.01, 0.1), "plateau": (20, 50)},
    ),
    "biexponential": (
        models.BiexponentialDecayModel, T,
        {"k01": (900, 2000), "k1": (0.08, 0.15), "k02": (900, 2000), "k2": (0.01, 0.02), "plateau": (200, 500)},
    ),
    "stretched": (
        models.StretchedDecayModel, T,
        {"amplitude": (900, 2000), "rate": (0.02, 0.06), "exponent": (0.5, 0.9), "plateau": (20, 50)},
    ),
    "gaussian": (models.GaussianPeakModel, E, PEAK),
    "lorentzian": (models.LorentzianPeakModel, E, PEAK),
    "pseudo-Voigt": (models.PseudoVoigtPeakModel, E, PEAK | {"lorentz_fraction": (0.3, 0.7)}),
    "asymmetric": (models.AsymmetricPeakModel, E, PEAK | {"asymmetry": (-0.5, 0.5)}),
    "fick": (
        lambda: models.FickProfileModel(pixel_um=0.2), E,
        {"amplitude": (300, 2000), "centre": (7, 13), "sigma": (0.8, 2), "offset": (20, 50)},
    ),
    "two peaks on a line": (
        lambda: models.PeaksModel("gaussian", 2, "linear"), E,
        {"height_1": (900, 2000), "centre_1": (5, 7), "fwhm_1": (1.5, 3), "height_2": (900, 2000), "centre_2": (12, 15), "fwhm_2": (1.5, 3), "offset": (20, 50), "slope": (-0.5, 0.5)},
    ),
}  # fmt: skip


def sample(name, rows, seed=0):
    rng = np.random.default_rng([seed, sorted(CASES).index(name)])
    make, axis, truth = CASES[name]
    model = make()
    drawn = [{n: rng.uniform(*r) for n, r in truth.items()} for _ in range(rows)]
    clean = np.stack([model.eval(model.make_params(**t), x=axis) for t in drawn])
    y = rng.poisson(clean).astype(float)
    data = xr.DataArray(y, dims=(POINT, X), coords={X: axis}, attrs=names.attrs(names.INTENSITY))
    return model, data, data.copy(data=np.sqrt(np.maximum(y, 1.0))), drawn


def generic(monkeypatch, *args, **options):
    with monkeypatch.context() as patch:
        patch.setattr(separable_engine, "kernel_for", lambda job: None)
        return fit_model(*args, **options)


@pytest.mark.parametrize("name", sorted(CASES))
def test_kernels_give_values_and_sigma_of_the_general_search(name, monkeypatch):
    model, data, sigma, drawn = sample(name, 25)
    calls = []
    fit = separable_engine.fit_with_kernels
    with monkeypatch.context() as patch:
        patch.setattr(separable_engine, "fit_with_kernels", lambda *a: calls.append(1) or fit(*a))
        out = fit_model(data, model, X, stderr=sigma)
    assert calls
    best = [
        generic(monkeypatch, data[i], model, X, model.make_params(**t), stderr=sigma[i])
        for i, t in enumerate(drawn)
    ]
    assert np.all(out.chisqr <= [float(b.chisqr) + 0.01 for b in best])
    compared = 0
    for i, other in enumerate(best):
        if int(out.fit_status[i]) or abs(float(out.chisqr[i] - other.chisqr)) > 1e-3:
            continue
        compared += 1
        for n in model.param_names:
            spread = float(other[f"{n}_stderr"])
            assert abs(float(out[n][i] - other[n])) < 0.02 * spread, (n, i)
            assert float(out[f"{n}_stderr"][i]) == pytest.approx(spread, rel=0.02), (n, i)
    assert compared > 15


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["k2"].set(expr="k1/5"),
        lambda p: p["k01"].set(vary=False),
        lambda p: p["k01"].set(max=1500.0),
        lambda p: p["plateau"].set(min=10.0),
        lambda p: p.add("half", expr="k1/2"),
    ],
)
def test_what_a_kernel_cannot_honour_goes_to_the_general_search(change):
    model = models.BiexponentialDecayModel()
    params = model.make_params(k01=1000, k1=0.1, k02=1000, k2=0.02, plateau=300)
    assert separable_engine.kernel_for(Job(model, params, params, T)) is not None
    changed = params.copy()
    change(changed)
    assert separable_engine.kernel_for(Job(model, changed, changed, T)) is None


def test_other_losses_models_and_axes_go_to_the_general_search():
    model = models.BiexponentialDecayModel()
    params = model.make_params(k01=1000, k1=0.1, k02=1000, k2=0.02, plateau=300)
    assert separable_engine.kernel_for(Job(model, params, params, T, loss="huber")) is None
    assert separable_engine.kernel_for(Job(model, params, params, T[:1])) is None
    composite = model + lmfit.models.LinearModel()
    own = composite.make_params()
    assert separable_engine.kernel_for(Job(composite, own, own, T)) is None

    class Changed(models.LorentzianPeakModel):
        """May mean something else."""

    own = Changed().make_params()
    assert separable_engine.kernel_for(Job(Changed(), own, own, E)) is None


def test_bounds_and_held_values_of_the_user_hold_in_the_kernels(monkeypatch):
    model, data, sigma, _ = sample("biexponential", 12)
    params = model.make_params(k01=1000, k1=0.1, k02=1000, k2=0.015, plateau=300)
    params["k1"].set(max=0.1)
    params["plateau"].set(vary=False)
    out = fit_model(data, model, X, params, stderr=sigma)
    other = generic(monkeypatch, data, model, X, params, stderr=sigma)
    assert np.all(out.k1 <= 0.1)
    np.testing.assert_array_equal(out.plateau, 300.0)
    assert np.all(out.plateau_stderr == 0)
    assert np.all(out.chisqr <= other.chisqr + 0.01)
    rate = xr.DataArray(np.linspace(0.01, 0.02, 12), dims=POINT)
    out = fit_model(data, model, X, stderr=sigma, fixed={"k2": rate})
    np.testing.assert_array_equal(out.k2, rate)
    assert np.all(out.k2_stderr == 0)


def test_a_rise_and_a_prefix():
    rng = np.random.default_rng(3)
    rise = models.BiexponentialRiseModel(prefix="r_")
    clean = rise.eval(x=T, r_k01=0.4, r_k1=0.1, r_k02=0.3, r_k2=0.012, r_plateau=0.3)
    data = xr.DataArray(
        clean + rng.normal(0, 0.005, (40, T.size)), dims=(POINT, TIME), coords={TIME: SECONDS}
    )
    out = fit_model(data, rise, TIME, stderr=0.005)
    for n, v in {"k01": 0.4, "k1": 0.1, "k02": 0.3, "k2": 0.012, "plateau": 0.3}.items():
        pull = (out[f"r_{n}"] - v) / out[f"r_{n}_stderr"]
        assert abs(float(pull.mean())) < 0.6, n
    assert out.r_k1.attrs["units"] == "1/s"


def test_gaps_and_counts_in_the_kernels(monkeypatch):
    model, data, sigma, _ = sample("gaussian", 10)
    holes = data.where(~((data[X] > 3) & (data[X] < 4)))
    out = fit_model(holes, model, X, stderr=sigma)
    kept = np.isfinite(holes[0].values)
    cut = fit_model(holes[:, kept], model, X, stderr=sigma[:, kept])
    np.testing.assert_allclose(out.centre, cut.centre, rtol=1e-6)
    counted = fit_model(holes, model, X, noise=CountNoise())
    other = generic(monkeypatch, holes, model, X, noise=CountNoise())
    for n in model.param_names:
        assert np.all(abs(counted[n] - other[n]) < 0.02 * other[f"{n}_stderr"]), n
        np.testing.assert_allclose(counted[f"{n}_stderr"], other[f"{n}_stderr"], rtol=0.02)
    np.testing.assert_allclose(counted.chisqr, other.chisqr, rtol=1e-3)


def test_proof_2_dask_equals_numpy_to_the_last_bit_for_the_same_blocks(monkeypatch):
    pytest.importorskip("dask")
    model, data, sigma, _ = sample("biexponential", 60)
    monkeypatch.setattr(run, "_ROWS", 20)
    expected = fit_model(data, model, X, stderr=sigma)
    lazy = fit_model(data.chunk({POINT: 20}), model, X, stderr=sigma.chunk({POINT: 20}))
    xr.testing.assert_identical(lazy.drop_attrs(), expected.drop_attrs())


@pytest.mark.parametrize("noise", ["sigma", "none", "counts", "counts of unknown gain"])
@pytest.mark.parametrize("name", ["biexponential", "gaussian", "pseudo-Voigt", "fick"])
@pytest.mark.filterwarnings("ignore:'noise_gain' is not known")
def test_proof_2_shared_shapes_by_kernels_are_those_of_the_general_search(name, noise, monkeypatch):
    """Values, σ, covariance, and the test of free rates; two groups with one shape each."""
    rng = np.random.default_rng(9)
    make, axis, ranges = CASES[name]
    model = make()
    linear = {"height", "amplitude", "k01", "k02", "offset", "plateau"}
    group = np.arange(16) % 2
    rows = []
    for g in group:
        # within the first third, so that groups differ
        shape = {
            n: a + (0.2 + 0.5 * g) * (b - a) for n, (a, b) in ranges.items() if n not in linear
        }
        free = {n: rng.uniform(*r) for n, r in ranges.items() if n in linear}
        rows.append(model.func(axis, **shape, **free))
    y = rng.poisson(np.stack(rows)).astype(float)
    y[3, 5:9] = np.nan
    data = xr.DataArray(y, dims=(POINT, X), coords={X: axis}, attrs=names.attrs(names.INTENSITY))
    options = {
        "sigma": {"stderr": data.copy(data=np.sqrt(np.maximum(y, 1.0)))}, "none": {},
        "counts": {"noise": CountNoise()}, "counts of unknown gain": {"noise": "poisson"},
    }[noise]  # fmt: skip
    options["rates"] = xr.DataArray(group, dims=POINT)
    calls = []
    fit = shared.share_with_kernels
    with monkeypatch.context() as patch:
        patch.setattr(shared, "share_with_kernels", lambda *a: calls.append(1) or fit(*a))
        out = fit_model(data, model, X, **options)
    assert calls
    with monkeypatch.context() as patch:
        patch.setattr(shared, "kernel_that_shares", lambda job: None)
        other = fit_model(data, model, X, **options)
    assert out.attrs["shared"] == other.attrs["shared"]
    assert out.attrs["summary"] == other.attrs["summary"]
    for n in model.param_names:
        spread = other[f"{n}_stderr"]
        assert np.all(abs(out[n] - other[n]) < 2e-3 * spread), n
        np.testing.assert_allclose(out[f"{n}_stderr"], spread, rtol=2e-3)
    scale = np.sqrt(np.diagonal(other.covariance.values, axis1=1, axis2=2))
    scale = scale[:, :, None] * scale[:, None, :]
    off = (out.covariance - other.covariance).values / scale
    assert np.max(abs(off)) < 5e-3
    np.testing.assert_allclose(out.chisqr, other.chisqr, rtol=1e-3)
    np.testing.assert_allclose(
        out.free_rates_delta_bic, other.free_rates_delta_bic, rtol=1e-3, atol=1e-3
    )


def test_shared_rates_of_a_rise_and_of_what_a_kernel_would_have_to_hold():
    rng = np.random.default_rng(5)
    rise = models.BiexponentialRiseModel()
    clean = np.stack(
        [rise.func(T, k01=s, k1=0.1, k02=0.3, k2=0.012, plateau=0.3) for s in (0.3, 0.4, 0.5)] * 5
    )
    data = xr.DataArray(
        clean + rng.normal(0, 0.005, clean.shape), dims=(POINT, TIME), coords={TIME: SECONDS}
    )
    out = fit_model(data, rise, TIME, stderr=0.005, rates="shared")
    assert np.ptp(out.k1.values) == 0
    assert abs(float(out.k1[0]) - 0.1) < 4 * float(out.k1_stderr[0])
    held = fit_model(data, rise, TIME, stderr=0.005, rates="shared", fixed={"k2": 0.012})
    assert held.attrs["shared"] == "k1"
    assert np.all(held.k2 == 0.012)
    assert float(held.k1_stderr[0]) < float(out.k1_stderr[0])


def test_status_and_summary_of_kernels():
    rng = np.random.default_rng(4)
    one = 900 * np.exp(-0.05 * T) + 300
    rows = {
        "one": one, "flat": np.full(T.size, 300.0), "empty": np.full(T.size, np.nan),
        "few": np.where(np.arange(T.size) < 3, one, np.nan),
    }  # fmt: skip
    y = np.stack(list(rows.values())) + rng.normal(0, 3, (4, T.size))
    data = xr.DataArray(y, dims=(POINT, TIME), coords={TIME: SECONDS})
    out = fit_model(data, models.BiexponentialDecayModel(), TIME, stderr=3.0)
    found = dict(zip(rows, out.fit_status.values.tolist(), strict=True))
    assert found["one"] in (1, 2)
    assert (found["flat"], found["empty"], found["few"]) == (3, 3, 4)
    assert np.all(np.isnan(out.k1[1:]))
    assert "2 without signal" in out.attrs["summary"]
