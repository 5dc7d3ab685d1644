"""One planned study: drawn, measured, and carried to its numbers by the chain of every study."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr

import plkit
from plkit.errors import PlkitError, PlkitWarning
from plkit.physics.arrhenius import arrhenius_rate
from plkit.sim import study as sim
from plkit.study.chain import analyse_exposure, analyse_maps
from plkit.study.files import at_power, stack_powers
from plkit.study.plan_design import PlannedSample

__all__ = ["Estimate", "Outcome", "Summary", "simulate_once", "summarise_estimates"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number that a study found.

    Parameters
    ----------
    value, stderr : float
        What the study states.
    truth : float
        What was simulated.
    parts : dict of str to float
        Parts of the σ, by cause, which add in quadrature.
    """

    value: float
    stderr: float
    truth: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one simulated study found.

    Parameters
    ----------
    energy : Estimate or None
        Activation energy [eV]; None where the study gave none.
    diffusion_energy, ln_d_293k : Estimate or None
        Activation energy of diffusion [eV], and ln D(293 K), D in m²/s; None without maps.
    """

    energy: Estimate | None
    diffusion_energy: Estimate | None = None
    ln_d_293k: Estimate | None = None


def simulate_once(planned: PlannedSample, seed: int) -> Outcome:
    """Simulate one study and carry it to its numbers.

    Parameters
    ----------
    planned : PlannedSample
        The plan.
    seed : int
        Draws counts, spot-to-spot scatter and the error of the temperature scale.

    Returns
    -------
    Outcome
        Estimates with their truth.
    """
    design, sample = planned.design, planned.sample
    rise = float(planned.heat["detection_rise_per_power"])
    truth = sim.draw_truth(design, sample, seed, rise_per_power=rise)
    rng = np.random.default_rng([seed, 7])
    with warnings.catch_warnings():
        # By chance one study in a thousand has points that scatter more than their σ allow.
        warnings.simplefilter("ignore", PlkitWarning)
        try:
            raw = sim.simulate_exposure(design, sample, truth, rng)
            groups = analyse_exposure(
                planned.correct(raw), planned.refs, planned.heat,
                falling="pristine", rate_scatter=design.rate_scatter,
            )  # fmt: skip
            if "arrhenius" not in groups:
                return Outcome(None)
            arr = groups["arrhenius"]
            parts = {
                p: float(arr[f"activation_energy_stderr_{p}"])
                for p in ("photon", "scatter", "shared")
            }
            energy = Estimate(
                float(arr["activation_energy"]), float(arr["activation_energy_stderr"]),
                sample.activation_energy_ev, parts,
            )  # fmt: skip
            if not planned.map_powers_uw:
                return Outcome(energy)
            maps = [_map(planned, truth, power, rng) for power in planned.map_powers_uw]
            found = analyse_maps(
                stack_powers(maps), groups["kinetics"], planned.heat, growing=planned.growing,
                initial_sigma_um=design.spot_radius_um / 2,
            )  # fmt: skip
        except PlkitError:
            # A study of so few photons that nothing can be fitted: counted as one without a result.
            return Outcome(None)
    if "diffusion" not in found:
        return Outcome(energy)
    d = found["diffusion"]
    e_d, d0 = design.diffusion_activation_energy_ev, design.d0_m2_s
    ln_d = float(np.log(arrhenius_rate(293.15, d0, e_d)))
    pair = [
        Estimate(float(d[n]), float(d[f"{n}_stderr"]), t, {})
        for n, t in (("activation_energy", e_d), ("ln_d_293k", ln_d))
    ]
    return Outcome(energy, *pair)


def _map(
    planned: PlannedSample, truth: sim.SampleTruth, power: float, rng: np.random.Generator
) -> xr.Dataset:
    design = planned.design
    raw = sim.simulate_map(
        design, planned.sample, truth, power, rng,
        size_um=design.map_size_um, step_um=design.map_step_um,
    )  # fmt: skip
    unmixed = plkit.unmix(planned.correct(raw), planned.refs, nonnegative=False)
    return at_power(unmixed, power)


@dataclass(frozen=True, slots=True)
class Summary:
    """One number over many studies.

    Parameters
    ----------
    truth : float
        What was simulated.
    stderr : float
        σ that a study will state, the median of all.
    scatter, scatter_stderr : float
        Root mean square of value minus truth, with its own σ.
    bias, bias_stderr : float
        Mean of value minus truth.
    coverage : float
        Share of studies whose ± σ holds the truth.
    n, failed : int
        Studies with a result, and without one.
    parts : dict of str to float
        Median parts of the σ.
    """

    truth: float
    stderr: float
    scatter: float
    scatter_stderr: float
    bias: float
    bias_stderr: float
    coverage: float
    n: int
    failed: int
    parts: dict[str, float]


def summarise_estimates(estimates: Iterable[Estimate | None]) -> Summary | None:
    """Summarise one number over many studies.

    Parameters
    ----------
    estimates : iterable of Estimate or None
        One per study.

    Returns
    -------
    Summary or None
        None where no study, or only one, gave a result.
    """
    every = list(estimates)
    good = [e for e in every if e is not None and np.isfinite(e.value) and np.isfinite(e.stderr)]
    if len(good) < 2:
        return None
    off = np.array([e.value - e.truth for e in good])
    sigma = np.array([e.stderr for e in good])
    scatter = float(np.sqrt(np.mean(off**2)))
    names = good[0].parts
    return Summary(
        truth=good[0].truth,
        stderr=float(np.median(sigma)),
        scatter=scatter,
        scatter_stderr=scatter / float(np.sqrt(2 * len(good))),
        bias=float(off.mean()),
        bias_stderr=float(off.std(ddof=1) / np.sqrt(len(good))),
        coverage=float(np.mean(np.abs(off) <= sigma)),
        n=len(good),
        failed=len(every) - len(good),
        parts={k: float(np.median([e.parts[k] for e in good])) for k in names},
    )
