"""summary.json: the numbers of a study, each with its σ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from plkit.names import AT_S, FIT_STATUS, NOISE_GAIN, POWER, TIME, X, Y

if TYPE_CHECKING:
    from plkit.study.chain import SampleResult
    from plkit.study.recipe import Recipe

__all__ = ["summarise"]

Estimate = dict[str, float | None]

_AGREES: Final = 2.0
"""Number of σ within which two numbers agree."""


def summarise(recipe: Recipe, results: dict[str, SampleResult], notes: list[str]) -> dict[str, Any]:
    """Collect the numbers of a study.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    results : dict of str to SampleResult
        Results by sample.
    notes : list of str
        Warnings met on the way.

    Returns
    -------
    dict
        ``samples`` (per sample: ``activation_energy_ev``, its split, ``ln_k0``, ``photo_exponent``,
        ``conversion`` by power, ``mean_rate_per_s`` by power, ``verdict``), ``diffusion`` (per
        mapped sample: ``ln_d0_m2_s``, ``activation_energy_ev``, ``d_293k_m2_s``), ``published``
        (one entry per number that the recipe names: ``found``, ``published``, ``sigmas`` between
        them, ``agrees`` within 2 of them), ``warnings``.
        A value that could not be found is null.
    """
    samples = {name: _sample(r) for name, r in results.items()}
    diffusion = {
        n: _diffusion(r.groups["diffusion"]) for n, r in results.items() if "diffusion" in r.groups
    }
    return {
        "title": recipe.study.title,
        "samples": samples,
        "diffusion": diffusion,
        "published": _published(recipe, samples, diffusion),
        "warnings": [*notes, *_distrust(results), *_not_stated(recipe, results)],
    }


def _estimate(ds: xr.Dataset, name: str) -> Estimate:
    return {"value": _number(ds[name]), "stderr": _number(ds[f"{name}_stderr"])}


def _number(da: xr.DataArray) -> float | None:
    value = float(da)
    return value if math.isfinite(value) else None


def _by_power(kin: xr.Dataset, name: str) -> dict[str, Estimate]:
    ds = kin.isel({AT_S: -1}) if AT_S in kin[name].dims else kin
    return {f"{float(p):g}": _estimate(ds.sel({POWER: p}), name) for p in kin[POWER].values}


def _sample(r: SampleResult) -> dict[str, Any]:
    out: dict[str, Any] = {
        "activation_energy_ev": {"value": None, "stderr": None},
        "conversion": {},
    }
    if "arrhenius" in r.groups:
        arr = r.groups["arrhenius"]
        out["activation_energy_ev"] = _estimate(arr, "activation_energy")
        out["activation_energy_kj_mol"] = _estimate(arr, "activation_energy_kj_mol")
        out["activation_energy_split_ev"] = {
            part: _number(arr[f"activation_energy_stderr_{part}"])
            for part in ("photon", "scatter", "shared")
        }
        out["ln_k0"] = _estimate(arr, "ln_k0")
        if "photo_exponent" in arr:
            out["photo_exponent"] = _estimate(arr, "photo_exponent")
        out["redchi"] = _number(arr["redchi"])
    if "kinetics" in r.groups:
        kin = r.groups["kinetics"]
        out["conversion"] = _by_power(kin, "conversion")
        out["conversion_at_s"] = (
            float(kin[AT_S].values[-1]) if AT_S in kin["conversion"].dims else None
        )
        out["conversion_limit"] = _by_power(kin, "conversion_limit")
        out["mean_rate_per_s"] = _by_power(kin, "mean_rate")
    if "peaks" in r.groups:
        out["peak_nm"] = _peak(r.groups["peaks"])
    if r.verdict is not None:
        out["verdict"] = r.verdict.label
        out["verdict_reason"] = r.verdict.reason
        brightness = r.verdict.measures.get("brightness_ratio", math.nan)
        out["brightness_ratio"] = brightness if math.isfinite(brightness) else None
    if r.recovery_verdict is not None:
        out["recovery_verdict"] = r.recovery_verdict.label
        out["recovery_verdict_reason"] = r.recovery_verdict.reason
    return out


def _peak(peaks: xr.Dataset) -> dict[str, Estimate]:
    """Peak wavelength by power: median over time, σ of the median from the frames' own scatter."""
    out = {}
    for p in peaks[POWER].values:
        nm = peaks["peak_wavelength"].sel({POWER: p}).dropna(TIME).values
        # 1.253 = √(π/2) is the price of a median; 1.4826 turns a median deviation into a σ.
        spread = 1.4826 * float(np.median(np.abs(nm - np.median(nm)))) if nm.size else math.nan
        stderr = 1.2533 * spread / math.sqrt(max(nm.size, 1))
        value = float(np.median(nm)) if nm.size else math.nan
        out[f"{float(p):g}"] = {
            "value": value if math.isfinite(value) else None,
            "stderr": stderr if math.isfinite(stderr) else None,
        }
    return out


def _diffusion(ds: xr.Dataset) -> dict[str, Any]:
    return {
        "ln_d0_m2_s": _estimate(ds, "ln_d0"),
        "activation_energy_ev": _estimate(ds, "activation_energy"),
        "d_293k_m2_s": _estimate(ds, "d_293k"),
    }


def _published(
    recipe: Recipe, samples: dict[str, Any], diffusion: dict[str, Any]
) -> list[dict[str, Any]]:
    """Numbers of others that the recipe names, beside those found."""
    rows = []
    for name, sample in recipe.samples.items():
        theirs = sample.published
        if theirs is None:
            continue
        ours, d = samples.get(name, {}), diffusion.get(name, {})
        for quantity, unit, found, value, stderr in (
            ("activation energy", "eV", ours.get("activation_energy_ev"),
             theirs.activation_energy_ev, theirs.activation_energy_stderr_ev),
            ("activation energy of D", "eV", d.get("activation_energy_ev"),
             theirs.diffusion_activation_energy_ev, theirs.diffusion_activation_energy_stderr_ev),
            ("D at 293 K", "m^2/s", d.get("d_293k_m2_s"),
             theirs.d_293k_m2_s, theirs.d_293k_stderr_m2_s),
        ):  # fmt: skip
            if value is None:
                continue
            found = found or {"value": None, "stderr": None}
            sigmas = _sigmas(found, value, stderr)
            rows.append(
                {
                    "sample": name, "quantity": quantity, "unit": unit, "found": found,
                    "published": {"value": value, "stderr": stderr or None},
                    "sigmas": sigmas, "agrees": None if sigmas is None else sigmas <= _AGREES,
                    "source": theirs.source,
                }
            )  # fmt: skip
    return rows


def _sigmas(found: Estimate, value: float, stderr: float) -> float | None:
    """Distance between two numbers in σ of their difference; None where one has no number."""
    here, own = found["value"], found["stderr"]
    if here is None or own is None:
        return None
    both = math.hypot(own, stderr)
    return abs(here - value) / both if both > 0 else None


def _not_stated(recipe: Recipe, results: dict[str, SampleResult]) -> list[str]:
    """What the temperature scale rests on and nobody gave a σ."""
    lines = []
    for name, r in results.items():
        if "arrhenius" not in r.groups or recipe.laser is None or recipe.substrate is None:
            continue
        stated = {
            "spot_radius_stderr_um": recipe.laser.spot_radius_stderr_um,
            "absorptance_stderr": recipe.samples[name].absorptance_stderr,
            "conductivity_stderr_w_mk of the substrate": recipe.substrate.conductivity_stderr_w_mk,
        }
        absent = [key for key, value in stated.items() if value == 0]
        if absent:
            lines.append(
                f"{name}: {', '.join(absent)} not stated: the σ of the activation energy is too small by that"
            )
    return lines


def _share_misfit(unmixed: xr.Dataset, gain_is_known: bool) -> float:
    """Share of the spectra whose residual runs together, or is larger than a known noise [1]."""
    z, redchi = np.abs(unmixed["residual_structure"].values), unmixed["redchi"].values
    good = np.isfinite(z) & np.isfinite(redchi)
    bad = (z > 5.0) | (gain_is_known & (redchi > 3.0))
    return float(np.mean(bad[good])) if good.any() else 0.0


def _distrust(results: dict[str, SampleResult]) -> list[str]:
    """What a reader should know before trusting the numbers."""
    lines = []
    for name, r in results.items():
        for group, ds in r.groups.items():
            if FIT_STATUS not in ds:
                continue
            status = ds[FIT_STATUS].values
            what = (
                "pixels"
                if {X, Y} & set(ds[FIT_STATUS].dims)
                else "traces"
                if group.endswith("kinetics")
                else "fits"
            )
            meanings = str(ds[FIT_STATUS].attrs.get("flag_meanings", "")).split()
            for code in np.unique(status[status > 0]):
                meaning = (
                    meanings[int(code)] if int(code) < len(meanings) else f"status {int(code)}"
                )
                n = int((status == code).sum())
                lines.append(
                    f"{name}, {group}: {n} of {status.size} {what}: {meaning.replace('_', ' ')}"
                )
            known = NOISE_GAIN in r.groups.get("raw", ())
            if "residual_structure" in ds and (share := _share_misfit(ds, known)) > 0.1:
                lines.append(
                    f"{name}, {group}: in {100 * share:.0f} % of the spectra the residual is no noise "
                    f"(reduced χ² {float(ds['redchi'].median()):.3g} in the middle): a component, a shift or "
                    "a background is missing, and no σ covers that"
                )
        arr = r.groups.get("arrhenius")
        if arr is not None and float(arr["redchi"]) > 3:
            lines.append(
                f"{name}: the rates scatter about the Arrhenius line, reduced χ² {float(arr['redchi']):.1f}"
            )
        profiles = r.groups.get("profiles")
        if (
            profiles is not None
            and "gaussian" in profiles
            and not bool((profiles["gaussian"] != 0).all())
        ):
            n = int((profiles["gaussian"] == 0).sum())
            lines.append(
                f"{name}: {n} of {profiles['gaussian'].size} profiles are not Gaussian, as Fick's law wants"
            )
    return lines
