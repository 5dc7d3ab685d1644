"""What a planned study will find, how surely, and what would make it surer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from plkit.errors import DataError, RecipeError
from plkit.study.plan_design import PlannedSample, planned_sample
from plkit.study.plan_simulation import Outcome, Summary, simulate_once, summarise_estimates
from plkit.study.recipe import Recipe, load_recipe

__all__ = ["PlanResult", "Reach", "SamplePlanResult", "plan_study"]

_SCAN_STUDIES: Final = 4
_PHOTONS: Final = (0.03, 0.1, 0.3, 3.0)
_FRAMES: Final = (0.25, 0.5, 2.0)
_POWERS: Final = (3, 4, 6, 8, 12, 16)
_FEWEST_FRAMES: Final = 20


@dataclass(frozen=True, slots=True)
class Reach:
    """What one quantity does to σ(E_a) while all else stays.

    Parameters
    ----------
    quantity : {"powers", "photons", "seconds"}
        Number of powers, photons per spectrum, or seconds per power.
    levels : list of float
        Values that were tried, ascending.
    stderr : list of float
        σ(E_a) at each [eV]; NaN where studies gave no result.
    needed : float or None
        Smallest value that reaches the target, interpolated between levels; None where none does.
    reason : str
        In words.
    """

    quantity: str
    levels: list[float]
    stderr: list[float]
    needed: float | None
    reason: str


@dataclass(frozen=True)
class SamplePlanResult:
    """What to expect of one sample.

    Parameters
    ----------
    name : str
        Sample.
    assumed : dict
        The plan, with its defaults.
    energy : Summary
        Activation energy [eV].
    shares : dict of str to float
        Share of each input in σ²(E_a); they add up to one.
    dominant : str
        Input with the largest share.
    target_stderr_ev : float
        Wanted σ(E_a) [eV].
    temperature_scale_needed : float or None
        Relative σ of the temperature scale at which the target is reached, all else as planned;
        None where it would not be even with none.
    reach : list of Reach
        Powers, photons, seconds.
    diffusion_energy, ln_d_293k : Summary or None
        Activation energy of diffusion [eV] and ln D(293 K), where maps are planned.
    """

    name: str
    assumed: dict[str, Any]
    energy: Summary
    shares: dict[str, float]
    dominant: str
    target_stderr_ev: float
    temperature_scale: float
    temperature_scale_needed: float | None
    reach: list[Reach] = field(default_factory=list)
    diffusion_energy: Summary | None = None
    ln_d_293k: Summary | None = None

    @property
    def reached(self) -> bool:
        """Whether the study as planned reaches the target."""
        return self.energy.stderr <= self.target_stderr_ev


@dataclass(frozen=True)
class PlanResult:
    """What to expect of a study.

    Parameters
    ----------
    studies : int
        How often it was simulated.
    seed : int
        Seed of all of them.
    samples : dict of str to SamplePlanResult
        By sample.
    """

    studies: int
    seed: int
    samples: dict[str, SamplePlanResult]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain numbers, texts and lists; what is not a number is None."""
        out = {
            "studies": self.studies,
            "seed": self.seed,
            "samples": {k: {**asdict(v), "reached": v.reached} for k, v in self.samples.items()},
        }
        plain: dict[str, Any] = json.loads(json.dumps(out), parse_constant=lambda _: None)
        return plain

    def __str__(self) -> str:
        """Return the answer as text."""
        return "\n\n".join("\n".join(_lines(s, self.studies)) for s in self.samples.values())


def plan_study(
    recipe: str | Path,
    *,
    studies: int | None = None,
    target_stderr_ev: float | None = None,
    scan: bool = True,
    seed: int | None = None,
    progress: bool = False,
) -> PlanResult:
    """Simulate a planned study many times and say how surely it will give E_a and D.

    Parameters
    ----------
    recipe : str or pathlib.Path
        The recipe, with the tables ``[plan.samples.NAME]``; its files need not exist. Without
        such tables the study must have been measured: its own results are the expectation.
    studies : int, optional
        How often the study is simulated; as the recipe says, 24 by default.
    target_stderr_ev : float, optional
        Wanted σ of the activation energy [eV]; as the recipe says, a tenth of it by default.
    scan : bool, optional
        Also vary the numbers of powers, photons and seconds, with fewer studies each.
    seed : int, optional
        Seed of all randomness; that of the recipe by default.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    PlanResult
        ``.samples[name]`` with ``energy``, ``shares``, ``dominant``, ``reach``, …;
        ``.to_dict()``, ``str()``.

    Raises
    ------
    RecipeError
        If the recipe is faulty or says too little for a plan.
    DataError
        If fewer than four studies are asked for, or none of them gives an activation energy.

    Notes
    -----
    Every simulated study is drawn anew: counts, spot-to-spot scatter of the rates, and the error of
    the temperature scale that all its powers share. It then goes through the same correction,
    unmixing, kinetics and fits as a measured one. The detector and the axis are those of
    :func:`plkit.simulate_study`. The part of the temperature scale is split by the inputs'
    own parts, σ_E,i = E_a g_i.

    Examples
    --------
    >>> result = plan_study("study/STUDY.toml")                            # doctest: +SKIP
    >>> result.samples["x1.5"].dominant                                    # doctest: +SKIP
    'spot radius'
    """
    loaded = _load(recipe)
    n = loaded.plan.studies if studies is None else studies
    if n < 4:
        raise DataError("plan the study", f"'studies' is {n}, not at least 4")
    target = loaded.plan.target_stderr_ev if target_stderr_ev is None else target_stderr_ev
    if target is not None and not (math.isfinite(target) and target > 0):
        raise DataError(
            "plan the study", f"'target_stderr_ev' is {target}, not a positive number of eV"
        )
    start = loaded.study.seed if seed is None else seed
    planned = _planned(loaded, start, progress)
    steps = sum(n + (_SCAN_STUDIES * len(list(_levels(p))) if scan else 0) for p in planned)
    from tqdm import tqdm

    with tqdm(total=steps, desc="plan", unit="study", disable=not progress) as bar:
        results = {p.name: _plan_sample(p, n, target, scan, start, bar.update) for p in planned}
    return PlanResult(n, start, results)


def _load(recipe: str | Path) -> Recipe:
    loaded = load_recipe(recipe, measured=False)
    # Without a plan the results of the study itself are needed, and with them its files.
    return loaded if loaded.plan.samples else load_recipe(recipe)


def _planned(recipe: Recipe, seed: int, progress: bool) -> list[PlannedSample]:
    plans = recipe.plan.samples
    if not plans:
        from plkit.study.plan_pilot import plans_from_results

        plans = plans_from_results(recipe, progress)
    if not plans:
        raise RecipeError(
            f"plan {recipe.path}",
            "it has no [plan.samples.NAME], and none of its samples gives an activation energy",
            "Say what you expect: activation_energy_ev, time_constants_s, powers_uw.",
        )
    return [planned_sample(recipe, name, plan, seed) for name, plan in plans.items()]


def _seed(base: int, name: str, level: int, i: int) -> int:
    """Seed of one study: another for every sample, level and repetition, and not that of the bundled one."""
    words = np.random.SeedSequence([base, *name.encode(), level, i]).generate_state(2)
    return int(words[0]) << 20 | int(words[1]) >> 12


def _plan_sample(
    planned: PlannedSample,
    studies: int,
    target: float | None,
    scan: bool,
    seed: int,
    tick: Callable[[int], Any],
) -> SamplePlanResult:
    outcomes = _repeat(planned, studies, seed, 0, tick)
    energy = summarise_estimates(o.energy for o in outcomes)
    if energy is None:
        raise DataError(
            f"plan sample '{planned.name}'",
            f"of {studies} simulated studies fewer than two gave an activation energy",
            "Plan more photons, frames or powers, or a wider range of powers.",
        )
    wanted = 0.1 * energy.truth if target is None else target
    shares = _shares(planned, energy)
    scale = float(planned.heat["temperature_scale_stderr"])
    others = math.sqrt(max(energy.stderr**2 - energy.parts["shared"] ** 2, 0.0))
    room = wanted**2 - others**2
    needed = math.sqrt(room) / energy.truth if room > 0 else None
    reach = _scan(planned, energy, wanted, seed, tick) if scan else []
    return SamplePlanResult(
        planned.name, planned.assumed, energy, shares, max(shares, key=lambda k: shares[k]), wanted,
        scale, needed, reach,
        summarise_estimates(o.diffusion_energy for o in outcomes),
        summarise_estimates(o.ln_d_293k for o in outcomes),
    )  # fmt: skip


def _repeat(
    planned: PlannedSample, studies: int, seed: int, level: int, tick: Callable[[int], Any]
) -> list[Outcome]:
    out = []
    for i in range(studies):
        out.append(simulate_once(planned, _seed(seed, planned.name, level, i)))
        tick(1)
    return out


def _shares(planned: PlannedSample, energy: Summary) -> dict[str, float]:
    """Shares of σ²: photons, scatter, and the inputs of the temperature."""
    parts = {
        "photons": energy.parts["photon"] ** 2,
        "spot-to-spot scatter": energy.parts["scatter"] ** 2,
    }
    scale = planned.heat["temperature_scale_by_input"]
    for name, g in zip(scale["input"].values, scale.values, strict=True):
        parts[str(name).replace("_", " ")] = (float(g) * energy.truth) ** 2
    total = sum(parts.values())
    return {k: v / total if total > 0 else 0.0 for k, v in parts.items() if v > 0 or k == "photons"}


# How far each quantity reaches --------------------------------------------------------------------


def _levels(planned: PlannedSample) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Quantity, its value, and how the plan changes for it."""
    sample, design = planned.sample, planned.design
    for n in _POWERS:
        if n != len(sample.powers_uw):
            yield "powers", float(n), {"n_powers": n}
    for factor in _PHOTONS:
        photons = factor * design.photons_per_frame
        yield "photons", photons, {"photons": photons}
    for factor in _FRAMES:
        frames = round(factor * sample.n_frames)
        if frames >= _FEWEST_FRAMES:
            yield "seconds", frames * sample.frame_s, {"frames": frames}


def _scan(
    planned: PlannedSample, base: Summary, target: float, seed: int, tick: Callable[[int], Any]
) -> list[Reach]:
    sample = planned.sample
    here = {
        "powers": float(len(sample.powers_uw)),
        "photons": planned.design.photons_per_frame,
        "seconds": sample.n_frames * sample.frame_s,
    }
    found: dict[str, list[tuple[float, float]]] = {k: [(v, base.stderr)] for k, v in here.items()}
    for level, (quantity, value, change) in enumerate(_levels(planned), start=1):
        outcomes = _repeat(planned.changed(**change), _SCAN_STUDIES, seed, level, tick)
        summary = summarise_estimates(o.energy for o in outcomes)
        enough = summary is not None and summary.failed <= _SCAN_STUDIES // 2
        sigma = summary.stderr if summary is not None and enough else math.nan
        found[quantity].append((value, sigma))
    floor = base.parts["shared"]
    return [_reach(q, sorted(points), target, floor) for q, points in found.items()]


def _reach(
    quantity: str,
    points: list[tuple[float, float]],
    target: float,
    floor: float,
) -> Reach:
    levels, sigma = [p[0] for p in points], [p[1] for p in points]
    known = [(x, s) for x, s in points if math.isfinite(s)]
    needed: float | None = None
    for i, (x, s) in enumerate(known):
        if s <= target and all(after <= target * 1.1 for _, after in known[i:]):
            needed = x
            if i > 0 and known[i - 1][1] > target:
                needed = _between(known[i - 1], known[i], target)
            break
    unit = {"powers": "powers", "photons": "photons per spectrum", "seconds": "seconds per power"}[
        quantity
    ]
    if needed is not None:
        first = needed == known[0][0]
        number = math.ceil(needed - 1e-9) if quantity == "powers" else float(f"{needed:.2g}")
        reason = (
            f"{'already ' if first else 'about '}{number:g} {unit} reach {1e3 * target:.3g} meV"
        )
        return Reach(quantity, levels, sigma, float(number), reason)
    if floor >= target:
        alone = f"the temperature scale alone gives {1e3 * floor:.3g} meV"
        reason = f"no number of {unit} reaches {1e3 * target:.3g} meV: {alone}"
    else:
        best = min((s for _, s in known), default=math.nan)
        reason = f"none of up to {max(levels):g} {unit} reaches {1e3 * target:.3g} meV; the best gives {1e3 * best:.3g}"
    return Reach(quantity, levels, sigma, None, reason)


def _between(low: tuple[float, float], high: tuple[float, float], target: float) -> float:
    """Level at which σ is the target, on a straight line of the logarithms."""
    (x0, s0), (x1, s1) = low, high
    along = (math.log(s0) - math.log(target)) / (math.log(s0) - math.log(s1))
    return float(math.exp(math.log(x0) + along * (math.log(x1) - math.log(x0))))


# Text ---------------------------------------------------------------------------------------------


def _mev(value: float) -> str:
    return f"{1e3 * value:.3g} meV"


def _lines(s: SamplePlanResult, studies: int) -> Iterator[str]:
    e = s.energy
    yield f"{s.name}: E_a = {1e3 * e.truth:.0f} meV expected, {studies} simulated studies"
    yield (
        f"  σ(E_a) = {_mev(e.stderr)} ({100 * e.stderr / e.truth:.0f} %); the studies scatter by "
        f"{1e3 * e.scatter:.3g} ± {_mev(e.scatter_stderr)} around the truth"
    )
    if e.failed:
        yield f"  {e.failed} of {studies} studies gave no activation energy"
    yield "  share of σ²: " + ", ".join(
        f"{k} {100 * v:.0f} %" for k, v in sorted(s.shares.items(), key=lambda i: -i[1])
    )
    yield f"  {s.dominant} dominates"
    word = "reached" if s.reached else "not reached"
    yield f"  target {_mev(s.target_stderr_ev)}: {word} as planned"
    for r in s.reach:
        yield f"  {r.quantity}: {r.reason}"
    planned = f"planned: {100 * s.temperature_scale:.1f} %"
    if s.temperature_scale_needed is None:
        rest = "even an exact temperature scale would not reach it"
    else:
        rest = f"a temperature scale known to {100 * s.temperature_scale_needed:.1f} % reaches it"
    yield f"  temperature: {rest} ({planned})"
    if s.diffusion_energy is not None and s.ln_d_293k is not None:
        d = s.ln_d_293k
        yield (
            f"  diffusion: σ(E_a) = {_mev(s.diffusion_energy.stderr)} (scatter {_mev(s.diffusion_energy.scatter)}); "
            f"D(293 K) to {100 * d.stderr:.2g} % (scatter {100 * d.scatter:.2g} %)"
        )
