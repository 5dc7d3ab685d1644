"""verdict: what happened to a film, and what did not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError, UnitsError
from plkit.fit import fit_model
from plkit.kinetics import VerdictThresholds, fit_kinetics, verdict
from plkit.kinetics.change import scatter, spectral_change
from plkit.names import COMPONENT, ENERGY, POWER, TIME, WAVELENGTH, X
from plkit.physics import lineshapes
from plkit.unmixing import references, unmix

# Peak [eV] and width [eV] of the bands.
BROMIDE, X1, X2, IODIDE = (2.415, 0.080), (2.283, 0.072), (1.907, 0.060), (1.797, 0.055)
T = np.arange(120.0)
WAVE = np.linspace(470.0, 740.0, 271)


def lines(*bands):
    return [
        lineshapes.spectrum_on_wavelength(WAVE, lineshapes.asymmetric, *band, -0.15)
        for band in bands
    ]


def series(start, end, share, rng, photons=2e4, brightness=1.0, level=2.0, time=T):
    """Return Poisson counts of a film that goes from one band to another."""
    first, last = lines(start, end)
    share = np.broadcast_to(share, time.shape)[:, None]
    y = (1 - share) * first / first.sum() + share * last / last.sum()
    y = photons * np.broadcast_to(brightness, time.shape)[:, None] * y + level
    return dataset(rng.poisson(y), time)


def dataset(counts, time=T):
    return xr.Dataset(
        {
            names.INTENSITY: ((TIME, WAVELENGTH), counts, names.attrs(names.INTENSITY)),
            names.NOISE_GAIN: ((), 1.0, names.attrs(names.NOISE_GAIN)),
        },
        {
            TIME: (TIME, time, names.attrs(TIME)),
            WAVELENGTH: (WAVELENGTH, WAVE, names.attrs(WAVELENGTH)),
        },
    )


def rise(limit, tau=20.0, time=T):
    return limit * (1 - np.exp(-time / tau))


# What is there ------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0.15, 0.7])
def test_reconstruction(rng, limit):
    v = verdict(series(X1, BROMIDE, rise(limit), rng))
    assert v.label == "reconstruction"
    assert "a band at higher energy grows" in v.reason
    m = v.measures
    # what the two bands overlap has not moved
    assert 0.75 * limit < m["moved_share"] < limit
    assert m["moved_sigma"] > 5
    assert m["gained_energy_ev"] == pytest.approx(2.43, abs=0.03)
    assert m["lost_energy_ev"] == pytest.approx(2.27, abs=0.03)


def test_segregation_although_the_light_falls(rng):
    v = verdict(series(X2, IODIDE, rise(0.7, 8.0), rng, brightness=1 - rise(0.5, 30.0)))
    assert v.label == "segregation"
    assert v.measures["moved_share"] < -0.5
    assert v.measures["peak_drift_ev"] == pytest.approx(-0.108, abs=0.015)
    assert v.measures["brightness_ratio"] < 0.6


def test_segregation_as_a_slow_shift_of_one_line(rng):
    shift = np.linspace(0, -0.05, T.size)
    y = np.stack([2e4 * lines((X2[0] + s, 0.06))[0] for s in shift])
    v = verdict(dataset(rng.poisson(np.abs(y))))
    assert v.label == "segregation"
    assert v.measures["peak_drift_ev"] == pytest.approx(-0.05, abs=0.005)


def test_recovery_in_the_dark(rng):
    time = np.arange(31) * 300.0
    ds = series(
        IODIDE,
        X2,
        rise(0.95, 1500.0, time),
        rng,
        brightness=0.3 + rise(0.7, 3000.0, time),
        time=time,
    )
    assert verdict(ds, dark=True).label == "recovery"
    assert verdict(ds.assign_attrs(illumination="dark")).label == "recovery"
    # an argument goes before the attribute
    assert verdict(ds.assign_attrs(illumination="dark"), dark=False).label == "reconstruction"
    taken = verdict(ds)
    assert taken.label == "reconstruction"
    assert "taken to be under light" in taken.reason


def test_recovery_is_known_by_the_component_that_grows(rng):
    ds = series(IODIDE, X2, rise(0.95), rng)
    refs = references(
        like=ds,
        pristine=series(X2, X2, 0.0, rng, level=0.0),
        iodide=series(IODIDE, IODIDE, 0.0, rng, level=0.0),
    )
    v = verdict(ds, unmix(ds, refs, background="constant", nonnegative=False))
    assert v.label == "recovery"
    assert "'pristine' comes back" in v.reason
    # a reconstructed film that goes back in the dark moves to the red
    back = series(BROMIDE, X1, rise(0.9), rng)
    other = references(
        like=back, pristine=series(X1, X1, 0.0, rng), bromide=series(BROMIDE, BROMIDE, 0.0, rng)
    )
    assert verdict(back, unmix(back, other, nonnegative=False), dark=True).label == "recovery"
    assert verdict(back, dark=True).label == "none"


def test_with_fractions_and_kinetics(rng):
    ds = series(X1, BROMIDE, rise(0.7), rng, level=0.0)
    refs = references(
        like=ds,
        pristine=series(X1, X1, 0, rng, level=0.0),
        bromide=series(BROMIDE, BROMIDE, 0, rng, level=0.0),
    )
    frac = unmix(ds, refs, nonnegative=False)
    kin = fit_kinetics(frac)
    v = verdict(ds, frac, kin)
    assert v.label == "reconstruction"
    assert "'bromide' grew by" in v.reason
    assert v.measures["growth"] == pytest.approx(0.66, abs=0.05)
    assert v.measures["conversion"] == pytest.approx(0.7, abs=0.03)
    assert v.measures["mean_rate_per_s"] == pytest.approx(float(kin.mean_rate))


def test_of_several_powers_the_strongest_is_judged(rng):
    limits = [0.01, 0.2, 0.6]
    ds = xr.concat(
        [series(X1, BROMIDE, rise(v), rng) for v in limits], dim=POWER, data_vars=[names.INTENSITY]
    )
    ds = ds.assign_coords({POWER: (POWER, [10.0, 20.0, 40.0], names.attrs(POWER))})
    v = verdict(ds)
    assert v.label == "reconstruction"
    assert v.measures["power_uw"] == 40.0
    assert "at 40 µW; 2 of 3 powers say reconstruction" in v.reason
    quiet = verdict(ds.isel({POWER: [0]}))
    assert quiet.label == "none"


# What is not there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: series(X1, X1, 0.0, rng),
        lambda rng: series(X1, X1, 0.0, rng, brightness=1 - rise(0.8)),
        lambda rng: series(X1, X1, 0.0, rng, brightness=1 + rise(3.0)),
        lambda rng: series(X1, (X1[0] + 0.004, X1[1]), rise(1.0), rng),  # heating by some 12 K
        lambda rng: series(X1, (X1[0], X1[1] + 0.008), rise(1.0), rng),  # a line that broadens
        lambda rng: series(X1, BROMIDE, rise(0.02), rng),
        lambda rng: series(X1, X1, 0.0, rng, photons=50.0),
    ],
    ids=["still", "bleaches", "brightens", "warms", "broadens", "two_percent", "dim"],
)
def test_none(rng, make):
    v = verdict(make(rng))
    assert v.label == "none"
    assert "± " in v.reason


def test_false_alarms(rng):
    """Series of noise, short and long, dim and bright: never anything."""
    for n in (4, 5, 8, 30):
        for photons in (300.0, 1e4):
            for _ in range(5):
                ds = series(X1, X1, 0.0, rng, photons=photons, time=np.arange(float(n)))
                assert verdict(ds).label == "none"


def test_references_that_do_not_show_the_change(rng):
    ds = series(X1, BROMIDE, rise(0.7), rng)
    flat = xr.Dataset(
        {"fraction": ((COMPONENT, TIME), 0.5 + rng.normal(0, 0.01, (2, T.size)))},
        {COMPONENT: ["pristine", "bromide"], TIME: T},
    )
    v = verdict(ds, flat)
    assert v.label == "none"
    assert "the references do not show this change" in v.reason


def test_too_few_frames(rng):
    ds = series(X1, BROMIDE, rise(0.7), rng)
    v = verdict(ds.isel({TIME: [0, 60, 119]}))
    assert v.label == "none"
    assert "3 frames with light are too few" in v.reason
    dark = ds.assign({names.INTENSITY: ds[names.INTENSITY] * np.nan})
    assert "0 frames with light" in verdict(dark).reason


def test_proof_3_measured_null_series(test_data):
    """A film of CsPb(I,Br,Cl)3 whose peak stays at 642 nm for five minutes: nothing happens.

    The laser's scattered light is seven times as high as the luminescence and has a tail under it,
    there are cosmic rays, and the first frame is under-exposed.
    """
    (path,) = (test_data / "wellesley_illumination").glob("*.csv")
    raw = plkit.read(path)
    clean = plkit.spectra.despike(raw)
    band = plkit.spectra.crop(clean, wavelength=(596, 690))
    band = plkit.spectra.subtract_baseline(band, "linear", windows=[(596, 610), (676, 690)])
    v = verdict(band)
    assert v.label == "none", v.reason
    assert abs(v.measures["peak_drift_ev"]) < 3 * v.measures["peak_drift_stderr_ev"]
    assert abs(v.measures["peak_drift_ev"]) < 0.003
    # careless treatment does not make it one either
    assert verdict(raw).label == "none"
    assert verdict(clean).label == "none"
    for window in ((540, 760), (590, 700), (600, 690)):
        part = plkit.spectra.crop(clean, wavelength=window)
        assert verdict(part).label == "none"
        assert verdict(plkit.spectra.subtract_baseline(part)).label == "none"

    with pytest.warns(plkit.errors.PlkitWarning, match="gain"):
        peak = plkit.fit_peaks(band)
    assert float(peak.peak_wavelength.median()) == pytest.approx(642.0, abs=1.0)
    # a straight line through the peaks, σ from their scatter
    from lmfit.models import LinearModel

    drift = fit_model(peak.peak_wavelength.isel({TIME: slice(1, None)}), LinearModel(), TIME)
    assert abs(float(drift.slope)) < 2 * float(drift.slope_stderr)


# Thresholds, axes, bad input ----------------------------------------------------------------------


def test_thresholds_decide_and_are_kept(rng):
    ds = series(X1, BROMIDE, rise(0.15), rng)
    strict = VerdictThresholds(min_moved_share=0.3)
    v = verdict(ds, thresholds=strict)
    assert v.label == "none"
    assert v.thresholds is strict
    assert verdict(ds).thresholds == VerdictThresholds()
    with pytest.raises(dataclasses.FrozenInstanceError):
        v.label = "segregation"
    assert all(isinstance(x, float) for x in v.measures.values())


def test_axes_units_gaps_integers_and_order(rng):
    ds = series(X1, BROMIDE, rise(0.5), rng)
    expected = verdict(ds).measures["moved_share"]
    counts = ds[names.INTENSITY].astype(np.uint16)
    assert verdict(ds.assign({names.INTENSITY: counts})).measures["moved_share"] == pytest.approx(
        expected
    )
    turned = ds.isel({WAVELENGTH: slice(None, None, -1)}).transpose(WAVELENGTH, TIME)
    assert verdict(turned).measures["moved_share"] == pytest.approx(expected)
    shuffled = ds.isel({TIME: rng.permutation(T.size)})
    assert verdict(shuffled).measures["moved_share"] == pytest.approx(expected)
    micron = ds.assign_coords({WAVELENGTH: (WAVELENGTH, WAVE / 1000, {"units": "um"})})
    assert verdict(micron).measures["gained_energy_ev"] == pytest.approx(2.43, abs=0.03)
    maps = xr.concat([ds, ds], dim=X, data_vars=[names.INTENSITY])
    assert verdict(maps).measures["moved_share"] == pytest.approx(expected)
    gaps = ds.astype(float)
    gaps[names.INTENSITY][3, 40] = np.nan
    gaps[names.INTENSITY][:, 100] = np.nan
    gaps[names.INTENSITY][50] = np.nan
    v = verdict(gaps)
    assert v.label == "reconstruction"
    assert v.measures["n_frames"] == T.size - 1
    assert v.measures["moved_share"] == pytest.approx(expected, rel=0.05)


def test_on_an_energy_axis(rng):
    ds = plkit.spectra.to_energy(series(X2, IODIDE, rise(0.5), rng))
    v = verdict(ds)
    assert v.label == "segregation"
    assert ENERGY in ds.dims


def test_accessor(rng):
    assert series(X1, BROMIDE, rise(0.5), rng).pl.verdict().label == "reconstruction"


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda d: (d[names.INTENSITY],), DataError, "is a DataArray, not an xarray.Dataset"),
        (lambda d: (d.rename({names.INTENSITY: "counts"}),), DataError, "not the required intensity"),
        (lambda d: (d.rename({TIME: X}),), DataError, "not the required time"),
        (lambda d: (d.rename({WAVELENGTH: names.RAMAN_SHIFT}),), DataError, "'raman_shift', not wavelength or energy"),
        (lambda d: (d.assign_coords({WAVELENGTH: WAVE}),), UnitsError, "'wavelength' has units 'none'"),
        (lambda d: (d, d), DataError, "not a fraction over component and time"),
        (lambda d: (d.expand_dims({POWER: 2}), d.expand_dims({POWER: 3})), DataError, "has|have 3 powers, not 2"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(rng, change, error, match):
    with pytest.raises(error, match=match):
        verdict(*change(series(X1, BROMIDE, rise(0.5), rng)))


def test_scatter_ignores_slow_change_and_outliers(rng):
    noise = rng.normal(0, 2.0, 4000)
    noise[::50] += 100
    slow = np.linspace(0, 500, noise.size)
    assert scatter(noise + slow) == pytest.approx(2.0, rel=0.1)


def test_sigma_of_the_moved_share_is_honest(rng):
    """At a fixed cut of the spectrum the share scatters as its σ says."""
    found = [spectral_change(series(X1, BROMIDE, rise(0.4), rng), "test") for _ in range(60)]
    moved = np.array([c.moved for c in found])
    sigma = np.median([c.moved_stderr for c in found])
    # photons scatter least at the ends of the record, σ is of its middle
    assert 0.4 < moved.std() / sigma < 1.2
    drift = np.array([c.drift_ev for c in found])
    assert drift.std() < 1.5 * np.median([c.drift_stderr_ev for c in found])


def test_verdict_is_printed_as_a_sentence() -> None:
    from plkit.kinetics.judgement import Verdict

    assert str(Verdict("none", "nothing moves")) == "none: nothing moves"
