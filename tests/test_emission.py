"""Emission of a lattice and the bias of funnelling: limits, closed forms, the chain of a measured file."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit.errors import DataError
from plkit.physics.funnelling import recombination_share, two_phase_gaps
from plkit.sim import Detector, Emission, IonLattice, TwoPhases, simulate_ion_hopping

KT = 0.0253


@pytest.fixture(scope="module")
def run() -> xr.Dataset:
    return simulate_ion_hopping(IonLattice((10, 10, 10)), times_s=[0.0, 1e-9, 2e-9], seed=1)


def film(x: np.ndarray, step_um: float = 0.004) -> xr.DataArray:
    coords = {
        d: (d, np.arange(n) * step_um, {"units": "um"}) for d, n in zip("zyx", x.shape, strict=True)
    }
    return xr.DataArray(x, coords, ("z", "y", "x"))


# Funnelling -------------------------------------------------------------------------------------------


def test_proof_8_funnelling_has_the_right_limits() -> None:
    gap = np.random.default_rng(0).uniform(2.0, 2.1, (6, 7, 8))
    assert np.all(recombination_share(gap, 0.0, 1.0, KT) == 1.0)
    thermal = np.exp(-gap / KT)
    thermal /= thermal.mean()
    np.testing.assert_allclose(recombination_share(gap, np.inf, 1.0, KT), thermal)
    np.testing.assert_allclose(recombination_share(gap, 3e4, 1.0, KT), thermal, rtol=1e-4)
    np.testing.assert_allclose(recombination_share(np.full((4, 4, 4), 2.0), 7.0, 1.0, KT), 1.0)


def test_proof_8_funnelling_into_a_deep_well_is_the_closed_form() -> None:
    """Next to a sink carriers within L_D of its edges fall in: 2 L tanh(b/2L) of a barrier of width b."""
    width, well, length = 200, 100, 15.0
    gap = np.full((1, 1, width + well), 2.4)
    gap[..., :well] = 1.6
    share = recombination_share(gap, length, 1.0, KT)
    caught = share[..., :well].sum() / share.mean() - well
    # the wall is half a cell away; Scharfetter and Gummel's rate downhill is 32 times that on the flat
    assert caught == pytest.approx(2 * length * np.tanh(width / (2 * length)), rel=0.05)


def test_funnelling_conserves_carriers_and_knows_walls() -> None:
    gap = np.full((1, 1, 40), 2.3)
    gap[..., :5] = 1.9
    around = recombination_share(gap, 8.0, 1.0, KT)
    walled = recombination_share(gap, 8.0, 1.0, KT, periodic=(True, True, False))
    assert around.mean() == pytest.approx(1.0)
    assert walled.mean() == pytest.approx(1.0)
    # periodic, the well is reached from both sides
    assert around[..., :5].sum() > walled[..., :5].sum() + 5


def test_direct_and_iterative_solutions_agree(monkeypatch) -> None:
    import plkit.physics.funnelling as module

    gap = two_phase_gaps(0.1, 3.0, 12, (2.1, 2.28), 1)
    direct = recombination_share(gap, 6.0, 1.0, KT)
    monkeypatch.setattr(module, "_DIRECT", 0)
    np.testing.assert_allclose(recombination_share(gap, 6.0, 1.0, KT), direct, rtol=1e-3)


def test_bias_grows_with_the_diffusion_length() -> None:
    phases = TwoPhases(domains=4, cells_per_domain=3, seeds=(0, 1))
    bias = plkit.funnelling_bias([0.02, 0.1], [0.0, 10.0, 50.0, 200.0], phases)
    assert bias.emission_fraction.dims == ("diffusion_length", "true_fraction")
    np.testing.assert_allclose(bias.emission_fraction[0], [0.02, 0.1], rtol=0.05)
    assert np.all(np.diff(bias.emission_fraction, axis=0) > 0)
    assert float(bias.emission_fraction[3, 1]) > 0.98
    np.testing.assert_allclose(bias.overstatement, bias.emission_fraction / bias.true_fraction)
    assert np.all(bias.emission_fraction_stderr[1:] > 0)


def test_equal_gaps_have_no_bias(tmp_path) -> None:
    phases = TwoPhases(2.0, 2.0, domains=3, cells_per_domain=3, seeds=(0, 1))
    bias = plkit.funnelling_bias(0.2, [0.0, 100.0], phases)
    np.testing.assert_allclose(bias.overstatement, 1.0, rtol=0.02)
    bias.to_netcdf(tmp_path / "bias.nc")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: plkit.funnelling_bias([0.0]), "above 0 and below 1"),
        (lambda: plkit.funnelling_bias([0.2, 0.1]), "ascending"),
        (lambda: plkit.funnelling_bias([]), "ascending"),
        (lambda: plkit.funnelling_bias([0.1], [-1.0]), "from 0 upwards"),
        (lambda: plkit.funnelling_bias([1e-9]), "one cell"),
        (lambda: TwoPhases(2.3, 1.9), "not below"),
        (lambda: TwoPhases(domain_nm=0.0), "not > 0"),
        (lambda: TwoPhases(seeds=(1,)), "for a σ"),
        (lambda: Emission(diffusion_length_nm=-1.0), ">= 0"),
        (lambda: Emission(fwhm_ev=0.0), "> 0"),
        (lambda: Emission(calibration="none"), "not one of"),
    ],
)
def test_what_is_impossible_is_refused(call, text: str) -> None:
    with pytest.raises(DataError, match=text):
        call()


# Emission ---------------------------------------------------------------------------------------------


def test_a_film_of_one_composition_emits_its_line() -> None:
    for x, nm in ((0.0, 513), (1.0, 543), (2.0, 646)):
        ds = plkit.simulate_emission(film(np.full((4, 4, 4), x)), photons=1e6)
        assert plkit.validate(ds).ok
        peak = plkit.fit_peaks(ds, method="gaussian")
        assert float(peak.peak_wavelength) == pytest.approx(nm, abs=2.0)
        assert float(peak.peak_width) == pytest.approx(0.08, abs=0.003)
        assert float(ds.intensity.sum()) == pytest.approx(1e6, rel=0.02)


def test_a_lattice_can_be_unmixed_like_a_measured_film(run) -> None:
    ds = plkit.simulate_emission(run, photons=1e5, seed=2)
    assert plkit.validate(ds).ok
    assert ds.intensity.dims == ("time", "wavelength")
    pure = [plkit.simulate_emission(film(np.full((3, 3, 3), x)), photons=1e7) for x in (0.0, 3.0)]
    refs = plkit.references(bromide=pure[0], iodide=pure[1])
    fractions = plkit.unmix(ds, refs, background="none")
    assert fractions.fraction.sizes["time"] == 3
    assert np.all(np.isfinite(fractions.fraction_stderr))
    np.testing.assert_allclose(ds.iodine_fraction, 352 / 992, atol=1e-12)
    assert np.all(ds.emitting_iodine_fraction > ds.iodine_fraction)


def test_unmixed_fractions_are_the_emission_fractions_of_two_phases() -> None:
    gaps = two_phase_gaps(0.1, 4.0, 20, (3.0, 1.0), 1)  # here: iodine contents
    for length in (0.0, 20.0):
        emission = Emission(length, coarse_graining_nm=0.0)
        ds = plkit.simulate_emission(film(gaps, 0.005), emission, photons=1e6)
        energy = plkit.physics.calibration.get_calibration("cunha2025_points").energy(gaps)
        share = recombination_share(energy, length, 5.0, 8.617333e-5 * 293.15)
        true = float(share[gaps == 3.0].sum() / share.sum())
        refs = plkit.references(
            **{
                n: plkit.simulate_emission(film(np.full((2, 2, 2), x)), photons=1e8)
                for n, x in (("iodide", 3.0), ("rest", 1.0))
            }
        )
        found = plkit.unmix(ds, refs).sel(component="iodide")
        assert abs(float(found.fraction) - true) < 4 * float(found.fraction_stderr) + 0.002
    assert true > 0.4


def test_detector_gives_raw_counts_of_a_file(run, tmp_path) -> None:
    ds = plkit.simulate_emission(run, detector=Detector(cosmic_rate_per_s=0.0), photons=1e4, seed=1)
    assert ds.intensity.dtype == np.uint16
    assert float(ds.intensity.quantile(0.02)) == pytest.approx(100, abs=10)
    plkit.write(ds, tmp_path / "movie.nc")
    again = plkit.read(tmp_path / "movie.nc")
    np.testing.assert_array_equal(again.intensity, ds.intensity)
    same = plkit.simulate_emission(
        run, detector=Detector(cosmic_rate_per_s=0.0), photons=1e4, seed=1
    )
    np.testing.assert_array_equal(same.intensity, ds.intensity)


def test_replicas_keep_their_dim() -> None:
    many = simulate_ion_hopping(IonLattice((6, 6, 6)), replicas=2, seed=1)
    ds = plkit.simulate_emission(many)
    assert ds.intensity.dims == ("replica", "time", "wavelength")


def test_a_large_smooth_lattice_is_thinned() -> None:
    rng = np.random.default_rng(0)
    x = film(rng.uniform(0.5, 1.5, (32, 32, 32)), 0.0005)
    ds = plkit.simulate_emission(x, Emission(5.0, coarse_graining_nm=2.0), photons=1e6)
    assert float(ds.iodine_fraction) == pytest.approx(1 / 3, abs=0.005)
    assert float(plkit.fit_peaks(ds).peak_energy) == pytest.approx(2.28, abs=0.02)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: plkit.simulate_emission(xr.Dataset()), "no lattice of ions"),
        (lambda: plkit.simulate_emission(film(np.full((3, 3, 3), 4.0))), "from 0 to 3"),
        (lambda: plkit.simulate_emission(film(np.full((3, 3, 3), np.nan))), "from 0 to 3"),
        (lambda: plkit.simulate_emission(film(np.ones((3, 3, 3))).isel(z=0)), "lacks the dims z"),
        (
            lambda: plkit.simulate_emission(xr.DataArray(np.ones((3, 3, 3)), dims=["z", "y", "x"])),
            "in µm",
        ),
        (lambda: plkit.simulate_emission(film(np.ones((3, 3, 3))), photons=-1.0), "'photons'"),
        (
            lambda: plkit.simulate_emission(film(np.ones((3, 3, 3))), wavelength_nm=[600.0, 500.0]),
            "ascending",
        ),
        (lambda: plkit.simulate_emission(film(np.ones((3, 3, 3))), exposure_s=0.0), "'exposure_s'"),
    ],
)
def test_what_cannot_emit_is_refused(call, text: str) -> None:
    with pytest.raises(DataError, match=text):
        call()


def test_a_snapshot_without_ions_is_refused() -> None:
    empty = simulate_ion_hopping(IonLattice((3, 3, 3), 0.0, 1.0))
    with pytest.raises(DataError, match="holds no ions"):
        plkit.simulate_emission(empty)
