"""Lifetimes: coverage, names, units, models of the instrument, and what a user can get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.physics import decay as physics
from plkit.physics.decay import Response, expected_counts

WIDTH = 0.1
N = 256
STRUCTURE = np.exp(-0.5 * ((np.arange(40) - 12) / 3.0) ** 2) + 0.1 * np.exp(
    -np.maximum(np.arange(40) - 12, 0) / 6.0
)
STRUCTURE[:6] = 0.0
RESPONSE = Response("histogram", STRUCTURE / STRUCTURE.sum(), 0.0)


def decay_array(counts: np.ndarray, width: float = WIDTH) -> xr.DataArray:
    dims = ("y", "delay") if counts.ndim == 2 else ("delay",)
    coords = {"delay": ("delay", np.arange(counts.shape[-1]) * width, {"units": "ns"})}
    if counts.ndim == 2:
        coords["y"] = ("y", np.arange(counts.shape[0]) * 1.0, {"units": "um"})
    return xr.DataArray(
        counts, dims=dims, coords=coords, attrs={"units": "counts"}, name="intensity"
    )


IRF = decay_array(STRUCTURE * 1e5)


def simulated(rng: np.random.Generator, rows: int, total: float, a, tau, *, beta=None, response=RESPONSE, shift=17.3, share=0.05, period=0.0):  # fmt: skip
    """Poisson counts, and the true amplitudes, lifetimes [ns] and background."""
    mu = expected_counts(
        N,
        a,
        np.asarray(tau) / WIDTH,
        beta=beta,
        shift=shift,
        response=response,
        period=period / WIDTH,
    )
    scale, background = total / mu.sum(), share * total / N
    truth = {"background": background}
    amplitudes = np.asarray(a) * scale
    for k, (one, lifetime) in enumerate(zip(amplitudes, tau, strict=True), 1):
        truth |= {f"amplitude_{k}": one, f"lifetime_{k}": lifetime}
    if beta is None:
        means = physics.mean_lifetimes(amplitudes, tau)
    else:
        means = physics.stretched_mean_lifetimes(tau[0], beta)
        truth["beta"] = beta
    truth |= dict(
        zip(("mean_lifetime_amplitude", "mean_lifetime_intensity"), map(float, means), strict=True)
    )
    if response.kind != "pulse":
        truth["irf_shift"] = shift * WIDTH
    return decay_array(rng.poisson(mu * scale + background, (rows, N))), truth


def check_coverage(
    fit: xr.Dataset, truth: dict[str, float], low: float, high: float, bias: float
) -> None:
    for name, value in truth.items():
        x, sigma = fit[name].values, fit[f"{name}_stderr"].values
        good = np.isfinite(x) & (sigma > 0)
        covered = np.mean(np.abs(x - value)[good] < sigma[good])
        assert low < covered < high, f"{name}: {covered:.3f}"
        assert abs(np.mean(x[good]) - value) < bias * np.std(x[good]), f"{name}: bias"


# Proofs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [1e3, 1e4, 1e6])
@pytest.mark.parametrize(
    ("kw", "response", "shift"),
    [
        ({"irf": IRF}, RESPONSE, 17.3),
        ({"irf": "gaussian"}, Response("gaussian", sigma=2.0), 30.4),
        ({"window": (0.0, N * WIDTH)}, Response(), 0.0),
    ],
    ids=["measured", "gaussian", "none"],
)
def test_proof_lifetimes_coverage_of_one_exponential(rng: np.random.Generator, total: float, kw: dict, response: Response, shift: float) -> None:  # fmt: skip
    data, truth = simulated(rng, 1000, total, [1.0], [4.0], response=response, shift=shift)
    if total == 1e3:
        del truth["background"]  # 50 counts in all: 66.5 % of 10⁴ traces
    fit = plkit.fit_lifetimes(data, **kw)
    assert float((fit.fit_status == 0).mean()) > 0.98
    # 1.47 % is one σ of the coverage of 1000 traces
    check_coverage(fit, truth, 0.62, 0.745, 0.12)
    assert abs(float(fit.redchi.mean()) - 1.0) < 0.03
    assert abs(float(fit.residual_runs.mean())) < 0.5
    assert abs(float(fit.residual_runs.std()) - 1.0) < 0.12


def test_proof_lifetimes_of_300_photons(rng: np.random.Generator) -> None:
    data, truth = simulated(rng, 1000, 300, [1.0], [4.0], response=Response(), shift=0.0)
    fit = plkit.fit_lifetimes(data, window=(0.0, N * WIDTH))
    del truth["background"]  # 9 % of the traces have none left
    check_coverage(fit, truth, 0.63, 0.735, 0.15)
    # Neyman's χ², the weights of every least-squares program, is far off on the same traces
    t = np.arange(N) * WIDTH
    from scipy.optimize import curve_fit

    neyman = []
    for row in data.values[:60]:
        fitted, _ = curve_fit(
            lambda t, a, tau, b: a * np.exp(-t / abs(tau)) + b,
            t,
            row,
            (10.0, 4.0, 0.1),
            np.sqrt(np.maximum(row, 1.0)),
        )
        neyman.append(abs(fitted[1]))
    ours = fit.lifetime_1.values[:60]
    assert np.median(neyman) < 0.92 * 4.0
    assert abs(np.median(ours) / 4.0 - 1.0) < 0.05


@pytest.mark.parametrize("total", [3e3, 1e5, 1e6])
def test_proof_lifetimes_coverage_of_two_exponentials(
    rng: np.random.Generator, total: float
) -> None:
    data, truth = simulated(rng, 600, total, [1.0, 0.5], [1.0, 6.0])
    fit = plkit.fit_lifetimes(data, irf=IRF, n_exponentials=2)
    assert float((fit.fit_status <= 1).mean()) > 0.98
    check_coverage(fit, truth, 0.62, 0.745, 0.22)


def test_proof_lifetimes_coverage_of_three_exponentials(rng: np.random.Generator) -> None:
    data, truth = simulated(rng, 400, 1e6, [1.0, 0.5, 0.3], [0.4, 2.0, 9.0])
    check_coverage(plkit.fit_lifetimes(data, irf=IRF, n_exponentials=3), truth, 0.60, 0.76, 0.16)


@pytest.mark.parametrize("total", [3e3, 1e5])
def test_proof_lifetimes_coverage_of_a_stretched_exponential(
    rng: np.random.Generator, total: float
) -> None:
    data, truth = simulated(rng, 300, total, [1.0], [3.0], beta=0.6)
    check_coverage(plkit.fit_lifetimes(data, irf=IRF, model="stretched"), truth, 0.59, 0.77, 0.25)


def test_proof_lifetimes_a_train_of_pulses(rng: np.random.Generator) -> None:
    data, truth = simulated(
        rng,
        400,
        1e6,
        [1.0],
        [20.0],
        response=Response("gaussian", sigma=2.0),
        shift=60.0,
        period=N * WIDTH,
    )
    rate = 1e9 / (N * WIDTH)
    fit = plkit.fit_lifetimes(
        data.assign_attrs(repetition_rate_hz=rate), irf="gaussian", background=truth["background"]
    )
    del truth["background"]
    check_coverage(fit, truth, 0.60, 0.76, 0.17)
    assert fit.attrs["pulse_period_ns"] == pytest.approx(N * WIDTH)
    # without its own past the decay is another one
    alone = plkit.fit_lifetimes(data.isel(y=0), irf="gaussian", repetition_rate_hz=0)
    assert float(alone.lifetime_1) < 0.9 * 20.0


def test_sigma_is_that_of_many_repetitions_for_counts_with_gain(rng: np.random.Generator) -> None:
    data, truth = simulated(rng, 400, 1e4, [1.0], [4.0])
    ds = (
        (data * 7.0)
        .assign_attrs(data.attrs)
        .to_dataset(name="intensity")
        .assign(noise_gain=((), 7.0, {"units": "counts"}))
    )
    truth["amplitude_1"] *= 7.0
    truth["background"] *= 7.0
    check_coverage(plkit.fit_lifetimes(ds, irf=IRF), truth, 0.60, 0.76, 0.17)


def test_scaled_noise_widens_sigma_by_what_the_residual_shows(rng: np.random.Generator) -> None:
    data, _ = simulated(rng, 1, 1e5, [1.0], [4.0])
    poisson, scaled = (
        plkit.fit_lifetimes(data, irf=IRF),
        plkit.fit_lifetimes(data, irf=IRF, noise="scaled"),
    )
    np.testing.assert_array_equal(scaled.lifetime_1, poisson.lifetime_1)
    ratio = scaled.lifetime_1_stderr / poisson.lifetime_1_stderr
    np.testing.assert_allclose(ratio, np.sqrt(poisson.redchi))
    assert scaled.attrs["noise"] == "scaled"


# Names, units, dims --------------------------------------------------------------------------------


def test_result_has_the_names_units_and_dims_that_are_promised(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    data, _ = simulated(rng, 6, 1e5, [1.0, 0.5], [1.0, 6.0])
    stack = (
        data.rename(y="i")
        .assign_coords(i=np.arange(6))
        .coarsen(i=3)
        .construct(i=("y", "x"))
        .drop_vars("i")
    )
    fit = plkit.fit_lifetimes(stack, irf=IRF, n_exponentials=2)
    own = ["amplitude_1", "amplitude_2", "lifetime_1", "lifetime_2", "background", "irf_shift"]
    assert fit.param_i.values.tolist() == own
    assert fit.lifetime_1.dims == ("y", "x")
    assert fit.covariance.dims == ("y", "x", "param_i", "param_j")
    for name in [*own, "mean_lifetime_amplitude", "mean_lifetime_intensity"]:
        assert fit[name].attrs["units"] == ("counts" if name[0] in "ab" else "ns")
        assert fit[f"{name}_stderr"].attrs["units"] == fit[name].attrs["units"]
    sigma = np.sqrt(fit.covariance.sel(param_i="lifetime_2", param_j="lifetime_2"))
    np.testing.assert_allclose(sigma, fit.lifetime_2_stderr)
    assert bool((fit.lifetime_1 < fit.lifetime_2).all())
    assert bool((fit.mean_lifetime_amplitude < fit.mean_lifetime_intensity).all())
    assert "fit_lifetimes" in fit.attrs["history"]
    fit.to_netcdf(tmp_path / "fit.nc")
    np.testing.assert_allclose(fit.bic, fit.deviance + 6 * np.log(N))


def test_stretched_and_gaussian_have_their_own_parameters(rng: np.random.Generator) -> None:
    data, _ = simulated(
        rng, 1, 1e5, [1.0], [3.0], beta=0.6, response=Response("gaussian", sigma=2.0), shift=30.4
    )
    fit = plkit.fit_lifetimes(data.isel(y=0), irf="gaussian", model="stretched")
    assert fit.param_i.values.tolist() == [
        "amplitude_1",
        "lifetime_1",
        "beta",
        "background",
        "irf_shift",
        "irf_fwhm",
    ]
    assert fit.attrs["model"] == "stretched"
    assert float(fit.irf_fwhm) == pytest.approx(2.0 * physics.FWHM_PER_SIGMA * WIDTH, rel=0.05)
    assert float(fit.irf_shift) == pytest.approx(3.04, abs=0.02)


def test_the_unit_of_delay_and_the_order_of_dims_and_bins_do_not_matter(
    rng: np.random.Generator,
) -> None:
    data, _ = simulated(rng, 3, 1e4, [1.0], [4.0])
    fit = plkit.fit_lifetimes(data, irf=IRF)
    in_ps = data.assign_coords(delay=("delay", data.delay.values * 1000, {"units": "ps"}))
    irf_ps = IRF.assign_coords(delay=("delay", IRF.delay.values * 1000, {"units": "ps"}))
    for other, irf in (
        (in_ps, irf_ps),
        (data.T, IRF),
        (data.isel(delay=slice(None, None, -1)), IRF),
        (data.astype(np.uint16), IRF),
    ):
        np.testing.assert_allclose(
            plkit.fit_lifetimes(other, irf=irf).lifetime_1, fit.lifetime_1, rtol=1e-6
        )
    chunked = data.chunk(y=1)
    np.testing.assert_array_equal(plkit.fit_lifetimes(chunked, irf=IRF).lifetime_1, fit.lifetime_1)


def test_a_shift_may_be_known_and_an_axis_may_start_anywhere(rng: np.random.Generator) -> None:
    data, _ = simulated(rng, 1, 1e5, [1.0], [4.0])
    free = plkit.fit_lifetimes(data.isel(y=0), irf=IRF)
    known = plkit.fit_lifetimes(data.isel(y=0), irf=IRF, shift=1.73)
    assert float(free.irf_shift) == pytest.approx(1.73, abs=4 * float(free.irf_shift_stderr))
    assert float(known.irf_shift) == pytest.approx(1.73)
    assert float(known.irf_shift_stderr) == 0.0
    assert float(known.lifetime_1_stderr) < float(free.lifetime_1_stderr)
    moved = data.isel(y=0).assign_coords(delay=data.delay + 5.0)
    moved.delay.attrs["units"] = "ns"
    assert float(plkit.fit_lifetimes(moved, irf=IRF).irf_shift) == pytest.approx(
        float(free.irf_shift) + 5.0, abs=1e-6
    )
    part = plkit.fit_lifetimes(data.isel(y=0), irf=IRF, window=(2.0, 20.0))
    assert part.attrs["window_start_ns"] == pytest.approx(2.0)
    assert abs(float(part.lifetime_1 - free.lifetime_1)) < 2 * float(part.lifetime_1_stderr)


def test_background_may_be_known_or_absent(rng: np.random.Generator) -> None:
    data, truth = simulated(rng, 2, 1e5, [1.0], [4.0])
    level = xr.DataArray([truth["background"]] * 2, dims="y", coords={"y": data.y})
    for given in (truth["background"], level):
        fit = plkit.fit_lifetimes(data, irf=IRF, background=given)
        np.testing.assert_allclose(fit.background, truth["background"])
        assert bool((fit.background_stderr == 0).all())
        assert bool((np.abs(fit.lifetime_1 - 4.0) < 4 * fit.lifetime_1_stderr).all())
    none = plkit.fit_lifetimes(data, irf=IRF, background="none")
    assert bool((none.background == 0).all())
    assert bool((none.lifetime_1 > 4.3).all())  # the light that does not decay has to go somewhere


def test_expected_decay_is_the_fitted_curve(rng: np.random.Generator) -> None:
    data, _ = simulated(rng, 2, 1e5, [1.0, 0.5], [1.0, 6.0])
    fit = plkit.fit_lifetimes(data, irf=IRF, n_exponentials=2)
    curve = plkit.expected_decay(fit, data, irf=IRF)
    assert curve.dims == ("y", "delay")
    pearson = ((data - curve) ** 2 / curve).sum("delay") / (N - 6)
    np.testing.assert_allclose(pearson, fit.redchi, rtol=1e-6)
    with pytest.raises(DataError, match="measured response and none is given"):
        plkit.expected_decay(fit, data)
    with pytest.raises(DataError, match="no result of fit_lifetimes"):
        plkit.expected_decay(data.to_dataset(name="intensity"), data)
    with pytest.raises(DataError, match="10 of the 256 bins"):
        plkit.expected_decay(fit, data.isel(delay=slice(10)), irf=IRF)


# Status ---------------------------------------------------------------------------------------------


def test_status_says_what_a_fit_is_worth(rng: np.random.Generator) -> None:
    flat = rng.poisson(5.0, (3, N)).astype(float)
    empty, gone = np.zeros((1, N)), np.full((1, N), np.nan)
    few = np.full((1, N), np.nan)
    few[0, :4] = 3.0
    good = simulated(rng, 1, 1e5, [1.0], [4.0], response=Response(), shift=0.0)[0].values
    fit = plkit.fit_lifetimes(
        decay_array(np.concatenate([flat, empty, gone, few, good])),
        n_exponentials=2,
        window=(0.0, N * WIDTH),
    )
    assert fit.fit_status.values[:5].tolist() == [3, 3, 3, 3, 3]
    assert fit.fit_status.values[5] == 4
    assert fit.fit_status.values[6] == 2  # one lifetime, fitted with two
    assert np.isnan(fit.lifetime_1.values[:6]).all()
    assert np.isnan(fit.covariance.values[:6]).all()
    assert np.isfinite(fit.mean_lifetime_amplitude.values[6])


def test_a_gap_and_a_dead_bin_change_little(rng: np.random.Generator) -> None:
    data, _ = simulated(rng, 1, 1e6, [1.0], [4.0])
    whole = plkit.fit_lifetimes(data.isel(y=0), irf=IRF)
    holed = data.isel(y=0).astype(float)
    holed[50], holed[200:] = np.nan, np.nan
    fit = plkit.fit_lifetimes(holed, irf=IRF)
    assert float(fit.fit_status) == 0
    assert abs(float(fit.lifetime_1 - whole.lifetime_1)) < 2 * float(fit.lifetime_1_stderr)


def test_a_wrong_model_is_seen_in_the_runs(rng: np.random.Generator) -> None:
    data, _ = simulated(rng, 1, 1e6, [1.0, 0.5], [1.0, 6.0])
    one, two = (plkit.fit_lifetimes(data.isel(y=0), irf=IRF, n_exponentials=m) for m in (1, 2))
    assert float(one.residual_runs) < -6
    assert abs(float(two.residual_runs)) < 3
    assert float(two.bic) < float(one.bic) - 1000


# What a user can get wrong ----------------------------------------------------------------------------


def one(rng: np.random.Generator) -> xr.DataArray:
    return simulated(rng, 1, 1e4, [1.0], [4.0])[0].isel(y=0)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: d - 50, DataError, "counts are negative, not numbers of photons.*before its background"),
        (lambda d: d.assign_attrs(units="V"), UnitsError, "has units 'V', not 'counts'"),
        (lambda d: d.rename(delay="t"), DataError, "dims t, not the required delay"),
        (lambda d: d.drop_vars("delay"), DataError, "'delay' of the decay has no coordinate"),
        (lambda d: d.isel(delay=slice(0, 1)), DataError, "has 1 bin"),
        (lambda d: d.isel(delay=slice(0, 0)), DataError, "no values"),
        (lambda d: d.values, DataError, "is a ndarray"),
        (lambda d: d.astype(complex), DataError, "dtype complex128"),
        (lambda d: xr.Dataset({"counts": d}), DataError, "holds counts, not the required intensity"),
        (lambda d: d.assign_coords(delay=("delay", d.delay.values**2, {"units": "ns"})), DataError, "bins of the decay are not even"),
        (lambda d: d.assign_coords(delay=("delay", d.delay.values // 0.2, {"units": "ns"})), DataError, "not even"),
        (lambda d: d.assign_coords(delay=("delay", d.delay.values, {"units": "nm"})), UnitsError, "'nm', not 'ns'"),
        (lambda d: d.assign_coords(delay=("delay", d.delay.values)), UnitsError, "units 'none'"),
        (lambda d: d.assign_coords(lifetime_1=3.0), DataError, "a coordinate 'lifetime_1'"),
        (lambda d: d.to_dataset().assign(noise_gain=0.0), (DataError, UnitsError), "noise_gain"),
        (lambda d: d.to_dataset().assign(noise_floor=((), 4.0, {"units": "counts^2"})), DataError, "read noise"),
    ],
)  # fmt: skip
def test_bad_decays_are_refused(rng: np.random.Generator, change, error, match: str) -> None:
    with pytest.raises(error, match=match):
        plkit.fit_lifetimes(change(one(rng)), irf=IRF)


@pytest.mark.parametrize(
    ("kw", "match"),
    [
        ({"n_exponentials": 4}, "'n_exponentials' is 4, not 1, 2 or 3"),
        ({"n_exponentials": 2, "model": "stretched"}, "2 for one stretched exponential"),
        ({"model": "kww"}, "'model' is 'kww'"),
        ({"noise": "neyman"}, "'noise' is 'neyman'"),
        ({"shift": "fixed"}, "'shift' is 'fixed'"),
        ({"shift": np.nan}, "far from the record"),
        ({"background": "linear"}, "'background' is 'linear'"),
        ({"background": -1.0}, "negative"),
        ({"background": xr.DataArray([1.0], dims="x")}, "runs over x"),
        ({"window": (5, 2)}, "not start before stop"),
        ({"window": 3}, "not \\(start, stop\\)"),
        ({"window": (500, 600)}, "holds 0 of the bins from 0 to 25.5 ns"),
        ({"repetition_rate_hz": -1}, "not a number of pulses"),
        ({"repetition_rate_hz": 80e6}, "longer than the 12.5 ns between two pulses"),
        ({"irf": "gauss"}, "'irf' is 'gauss', not 'gaussian'"),
        ({"irf": -0.3}, "-0.3 ns, not a positive width"),
        ({"irf": [1, 2]}, "is a list"),
        ({"irf": IRF.assign_coords(delay=("delay", IRF.delay.values * 2, {"units": "ns"}))}, "bins of 0.2 ns, not 0.1 ns"),
        ({"irf": 0.0 * IRF}, "holds 0 counts, not a pulse"),
        ({"irf": IRF.where(IRF.delay > 1)}, "bins without number"),
        ({"irf": IRF.expand_dims(y=2)}, "not delay alone"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(rng: np.random.Generator, kw: dict, match: str) -> None:
    with pytest.raises(DataError, match=match):
        plkit.fit_lifetimes(one(rng), **{"irf": IRF, **kw})


def test_counts_that_are_no_photons_are_fitted_with_a_warning(rng: np.random.Generator) -> None:
    data = one(rng) / 3.0
    with pytest.warns(PlkitWarning, match="no 'noise_gain' is given"):
        fit = plkit.fit_lifetimes(data, irf=IRF)
    assert fit.attrs["noise"] == "scaled"
    assert float(fit.redchi) == pytest.approx(1.0 / 3.0, rel=0.3)
    photons = plkit.fit_lifetimes(one(np.random.default_rng(20250101)), irf=IRF)
    assert float(fit.lifetime_1_stderr) == pytest.approx(float(photons.lifetime_1_stderr), rel=0.15)


def test_a_response_with_a_dark_level_is_warned_of(rng: np.random.Generator) -> None:
    with pytest.warns(PlkitWarning, match="constant level makes"):
        plkit.fit_lifetimes(one(rng), irf=IRF + 5000.0)


def test_two_bins_and_one_pixel_do_not_crash() -> None:
    fit = plkit.fit_lifetimes(decay_array(np.array([[5, 2]])))
    assert fit.fit_status.values.tolist() == [4]
    assert np.isnan(fit.lifetime_1.values).all()
