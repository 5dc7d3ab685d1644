"""The expectation for a next study, taken from the results of one that was measured."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

import plkit
from plkit.errors import PlkitWarning, RecipeError
from plkit.names import COMPONENT, INTENSITY, NOISE_GAIN, POWER, SPECTRAL_DIMS, TIME
from plkit.physics.photons import energy_from_wavelength
from plkit.study.chain import SampleResult, analyse_study
from plkit.study.files import StudyFiles
from plkit.study.plan_tables import SamplePlan
from plkit.study.recipe import Recipe

__all__ = ["plans_from_results"]

# Emission maxima of the pristine films that can be simulated [nm], by iodine per formula unit.
_PEAK_NM = {0.0: 513.0, 1.0: 543.0, 1.5: 590.0, 2.0: 650.0, 3.0: 690.0}


def plans_from_results(recipe: Recipe, progress: bool) -> dict[str, SamplePlan]:
    """Analyse a measured study and make its findings the expectation for the next.

    Parameters
    ----------
    recipe : Recipe
        A recipe whose files exist.
    progress : bool
        Show a progress bar.

    Returns
    -------
    dict of str to SamplePlan
        By sample; those without an activation energy are left out.

    Raises
    ------
    RecipeError
        If a found number is not one that can be planned with.
    """
    results = analyse_study(recipe, progress=progress).samples
    files = StudyFiles(recipe)
    return {
        name: _plan(files, name, result)
        for name, result in results.items()
        if "arrhenius" in result.groups
    }


def _plan(files: StudyFiles, name: str, result: SampleResult) -> SamplePlan:
    kin, arr = result.groups["kinetics"], result.groups["arrhenius"]
    exposure = files.exposure(name)
    weight = kin["k01"] / (kin["k01"] + kin["k02"])
    # Rates go with exp(-E/kT): their geometric mean is that at the middle of the series.
    fast, slow = (float(np.exp(np.nanmedian(np.log(kin[k].values)))) for k in ("k1", "k2"))
    refs = result.groups["references"]["reference"]
    falling = files.recipe.samples[name].falling
    other = next(str(c) for c in refs[COMPONENT].values if c != falling)
    t = exposure[TIME].values
    numbers: dict[str, Any] = {
        "activation_energy_ev": float(arr["activation_energy"]),
        "time_constants_s": [1.0 / fast, 1.0 / slow],
        "fast_weight": float(np.clip(weight.median(), 0.05, 0.95)),
        "ceiling_power_uw": _ceiling_power(kin),
        "powers_uw": [float(p) for p in exposure[POWER].values],
        "frames": int(t.size),
        "frame_s": float(np.median(np.diff(t))),
        "photons_per_frame": _photons(exposure),
        "x_iodine": _nearest(refs.sel({COMPONENT: falling})),
        "product_x_iodine": _nearest(refs.sel({COMPONENT: other})),
    }
    if "diffusion" in result.groups and "maps" in result.groups:
        d, maps = result.groups["diffusion"], result.groups["maps"]
        y = maps["y"].values
        step = float(np.median(np.diff(y)))
        numbers |= {
            "map_powers_uw": [float(p) for p in maps[POWER].values],
            "map_step_um": step,
            "map_size_um": float(np.ptp(y)) + step,
            "photons_per_pixel": _photons(
                files.load_at(name, *_first_map(files.recipe, name), "maps")
            ),
            "d0_m2_s": float(np.exp(d["ln_d0"])),
            "diffusion_activation_energy_ev": float(d["activation_energy"]),
        }
    try:
        return SamplePlan.model_validate(numbers)
    except ValueError as error:
        raise RecipeError(
            f"plan sample '{name}' from its own results",
            f"they are no expectation ({' '.join(str(error).split())})",
            f'Say what you expect in [plan.samples."{name}"].',
        ) from error


def _first_map(recipe: Recipe, name: str) -> tuple[str, float]:
    power, file = min((recipe.samples[name].maps or {}).items())
    return file, power


def _photons(ds: xr.Dataset) -> float:
    """Median light of a spectrum, in photons."""
    spectral = next(d for d in SPECTRAL_DIMS if d in ds[INTENSITY].dims)
    gain = float(ds[NOISE_GAIN].mean()) if NOISE_GAIN in ds else 1.0
    return max(float(ds[INTENSITY].sum(spectral).median()) / gain, 1.0)


def _nearest(reference: xr.DataArray) -> float:
    """Iodine content whose simulated line lies nearest to a reference."""
    ds = reference.to_dataset(name=INTENSITY)
    ds[INTENSITY].attrs = plkit.names.attrs(INTENSITY)
    with warnings.catch_warnings():
        # A reference has no noise model; its σ is not asked for.
        warnings.simplefilter("ignore", PlkitWarning)
        peak = float(plkit.fit_peaks(ds, method="parabola")["peak_energy"])
    return min(_PEAK_NM, key=lambda x: abs(float(energy_from_wavelength(_PEAK_NM[x])) - peak))


def _ceiling_power(kin: xr.Dataset) -> float:
    """Ps of 0.7 (1 − exp(−P/Ps)) that comes nearest to the final conversions."""
    power = kin[POWER].values.astype(float)
    limit = kin["conversion_limit"].values.astype(float)
    good = np.isfinite(limit)
    if not good.any():
        return float(np.median(power))
    trial = np.geomspace(power.min() / 10, 10 * power.max(), 200)
    model = 0.7 * (1.0 - np.exp(-power[good] / trial[:, None]))
    return float(trial[np.argmin(((model - limit[good]) ** 2).sum(axis=1))])
