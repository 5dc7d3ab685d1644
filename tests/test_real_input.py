"""Measured files through the same commands as the simulated study."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import plkit
from plkit import spectra
from plkit.cli import main

HEAD = """
[study]
title = "Measured"
[corrections]
crop_nm = [{crop}]
baseline = "{baseline}"
noise_gain = 0.46
[peaks]
window_nm = [600.0, 720.0]
[composition]
calibration = "none"
"""


def run(tmp_path: Path, recipe: str) -> tuple[dict, object]:
    path = tmp_path / "STUDY.toml"
    path.write_text(recipe, encoding="utf-8")
    assert main(["run", str(path), "--quiet"]) == 0
    summary = json.loads((tmp_path / "results" / "summary.json").read_text("utf-8"))
    return summary, plkit.open_results(tmp_path / "results")


@pytest.mark.parametrize(
    ("baseline", "crop"),
    [("arpls", "520.0, 900.0"), ("arpls", "550.0, 800.0"), ("asls", "550.0, 800.0")],
)
def test_a_measured_exposure_series_that_does_nothing(
    test_data: Path, tmp_path: Path, baseline: str, crop: str
) -> None:
    """CsPb(I0.7Br0.25Cl0.05)3 under 488 nm: no segregation, and plkit must not invent one."""
    (series,) = (test_data / "wellesley_illumination").glob("*.csv")
    head = HEAD.format(crop=crop, baseline=baseline)
    summary, tree = run(
        tmp_path, f'{head}[samples.film]\nexposure = "{series}"\npower_uw = 158.0\n'
    )
    film = summary["samples"]["film"]
    assert film["verdict"] == "none"
    assert film["peak_nm"]["158"]["value"] == pytest.approx(642.0, abs=1.0)
    # The first frame is under-exposed. The drift is that of a straight line through all others,
    # its σ from their scatter.
    peaks = tree["film/peaks"].isel(power=0, time=slice(1, None))
    time, nm = peaks.time.values, peaks.peak_wavelength.values
    slope, covariance = np.polyfit(time, nm, 1, cov=True)
    assert abs(slope[0]) < 2 * np.sqrt(covariance[0, 0])
    assert np.std(nm) < 0.4


def test_its_intensity_grows_by_a_few_per_cent_depending_on_the_baseline(test_data: Path) -> None:
    (series,) = (test_data / "wellesley_illumination").glob("*.csv")
    raw = spectra.despike(plkit.read(series)).isel(time=slice(1, None))
    growth = []
    for method, low, high in (("arpls", 520, 900), ("arpls", 550, 800), ("asls", 520, 900)):
        ds = spectra.crop(raw, wavelength=(float(low), float(high)))
        ds = spectra.subtract_baseline(ds, method=method)
        light = ds.intensity.sel(wavelength=slice(610, 690)).sum("wavelength")
        slope, start = np.polyfit(light.time - light.time[0], light, 1)
        growth.append(float(slope * (light.time[-1] - light.time[0]) / start))
    assert all(0.03 <= g <= 0.12 for g in growth), growth
    assert max(growth) > 0.06


@pytest.mark.parametrize("name", ["quantum-emitters_map.dm4", "nanoparticles.hspy"])
def test_a_measured_map_becomes_a_map_of_peak_energies_with_sigma(
    test_data: Path, tmp_path: Path, name: str
) -> None:
    file = test_data / "gpl_instrument_maps" / name
    recipe = f'[study]\ntitle = "Map"\n[composition]\ncalibration = "none"\n[samples.map]\noverview = "{file}"\n'
    _, tree = run(tmp_path, recipe)
    found = tree["map/overview"].to_dataset()
    assert set(found.peak_energy.dims) == {"y", "x"}
    assert found.peak_energy.attrs["units"] == "eV"
    good = found.fit_status == 0
    assert float(good.mean()) > 0.5
    assert bool((found.peak_energy_stderr.where(good) > 0).sum() == good.sum())
    # A peak is known far better than the width of its line.
    assert float(found.peak_energy_stderr.where(good).median()) < 0.1 * float(
        found.peak_width.where(good).median()
    )
    assert (tmp_path / "results" / "figures" / "map_overview_peak_map.png").exists()


@pytest.mark.parametrize(
    ("name", "within_ev"),
    [
        ("100_40-1.abspl.txt", 0.006),
        ("GaAs5_Large_Spot_center.abspl.txt", 0.006),
    ],
)
def test_absolute_pl_peaks_at_the_gap_that_the_file_states(
    test_data: Path, name: str, within_ev: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """The instrument takes the maximum per nm as the gap; per eV it lies a few meV lower."""
    path = test_data / "hzb_hysprint" / name
    assert main(["info", str(path)]) == 0
    assert "photon_flux" in capsys.readouterr().out
    ds = plkit.read(path)
    flux = ds.assign(intensity=ds.photon_flux)
    with pytest.warns(plkit.errors.PlkitWarning):
        peak = plkit.fit_peaks(flux)
    assert int(peak.fit_status) == 0
    assert 0 < float(peak.peak_energy_stderr) < 0.003
    assert float(peak.peak_energy) == pytest.approx(ds.attrs["bandgap_ev"], abs=within_ev)


def test_measured_n_and_k_give_the_absorptance_and_with_it_the_heating(
    test_data: Path, tmp_path: Path
) -> None:
    nk = (
        test_data
        / "refractiveindex_perovskite/database/data/other/perovskite/CsPbBr3/nk/Brennan.yml"
    )
    absorptance = plkit.sim.absorptance_from_nk(plkit.read(nk), 40.0, 405.0)
    assert absorptance == pytest.approx(0.203, abs=0.002)
    recipe = plkit.simulate_study(tmp_path / "study", seed=3, small=True)
    text = recipe.read_text("utf-8")
    head, *samples = text.split("\n[samples.")
    one = samples[0].replace("absorptance = 0.228", f'absorptance_nk = "{nk}"')
    recipe.write_text("\n[samples.".join([head, one]), encoding="utf-8")
    tree = plkit.run_study(recipe)
    heat = tree["x1.0/heating"]
    spot = plkit.LaserSpot(1.0, 405.0, 0.05)
    film = plkit.Film(40.0, 0.4, absorptance, substrate=(plkit.Layer(1000.0, 1.05, 2.1e6),))
    by_hand = plkit.simulate_heating(spot, film, power_uw=(1.0,)).detection_rise_per_power
    assert float(heat.detection_rise_per_power) == pytest.approx(float(by_hand), rel=1e-9)


def test_a_stated_gap_that_is_the_edge_of_a_filter_is_not_repeated(test_data: Path) -> None:
    """In this file the flux jumps by 20 % from one channel to the next at 592 nm, and the
    instrument calls that step the gap; the broad emission has its maximum 0.1 eV below."""
    ds = plkit.read(test_data / "hzb_hysprint" / "0_1_0-ecf314iynbrwtd33zkk5auyebh.abspl.txt")
    flux = ds.assign(intensity=ds.photon_flux)
    with pytest.warns(plkit.errors.PlkitWarning):
        peak = plkit.fit_peaks(flux)
    off = ds.attrs["bandgap_ev"] - float(peak.peak_energy)
    assert off > 10 * float(peak.peak_energy_stderr)
    at = int(ds.photon_flux.values.argmax())
    assert 1239.84 / float(ds.wavelength[at]) == pytest.approx(ds.attrs["bandgap_ev"], abs=0.001)
    assert ds.photon_flux.values[at] > 1.2 * ds.photon_flux.values[at - 1]
