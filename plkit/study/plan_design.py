"""From a recipe and its plan to a study that can be simulated, once and again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

import plkit
from plkit.errors import RecipeError
from plkit.names import POWER
from plkit.sim import study as sim
from plkit.study.files import spot_and_film
from plkit.study.plan_tables import SamplePlan
from plkit.study.recipe import Recipe

__all__ = ["PlannedSample", "planned_sample"]


@dataclass(frozen=True)
class PlannedSample:
    """One film of a planned study: what is simulated, and what the experimenter will state.

    Parameters
    ----------
    name : str
        As in the recipe.
    design : StudyDesign
        Laser, film, detector, photons, stated σ; one sample.
    sample : SampleDesign
        The film, its powers and its expected kinetics.
    map_powers_uw : tuple of float
        Powers after which maps are measured; none without maps.
    heat : xarray.Dataset
        Stated temperatures at the powers.
    refs : xarray.DataArray
        References as they will be measured.
    dark : xarray.Dataset
        Dark as it will be measured.
    assumed : dict
        What was assumed, for the report.
    """

    name: str
    design: sim.StudyDesign
    sample: sim.SampleDesign
    map_powers_uw: tuple[float, ...]
    heat: xr.Dataset = field(repr=False)
    refs: xr.DataArray = field(repr=False)
    dark: xr.Dataset = field(repr=False)
    assumed: dict[str, Any] = field(default_factory=dict)

    @property
    def growing(self) -> str:
        """Name of the reference that grows."""
        return "product"

    def correct(self, ds: xr.Dataset) -> xr.Dataset:
        """Dark, cosmic rays and response, as a study is corrected.

        Parameters
        ----------
        ds : xarray.Dataset
            Raw counts.

        Returns
        -------
        xarray.Dataset
            Corrected counts with their noise model.
        """
        return _correct(ds, self.dark, self.design)

    def changed(
        self,
        *,
        n_powers: int | None = None,
        photons: float | None = None,
        frames: int | None = None,
    ) -> PlannedSample:
        """Return the same study with another number of powers, photons or frames.

        Parameters
        ----------
        n_powers : int, optional
            Evenly spaced between the lowest and the highest power; no maps then.
        photons : float, optional
            Photons per frame.
        frames : int, optional
            Spectra per power.

        Returns
        -------
        PlannedSample
            The changed study.
        """
        sample, design, heat = self.sample, self.design, self.heat
        if frames is not None:
            sample = replace(sample, n_frames=frames)
        if photons is not None:
            design = replace(design, photons_per_frame=photons)
        if n_powers is not None:
            powers = np.linspace(min(sample.powers_uw), max(sample.powers_uw), n_powers)
            # The middle temperature stays, hence so do the rates: only their number changes.
            sample = replace(sample, powers_uw=tuple(map(float, powers)))
            heat = _at_powers(heat, powers)
        design = replace(design, samples=(sample,))
        return replace(self, sample=sample, design=design, heat=heat, map_powers_uw=())


def planned_sample(recipe: Recipe, name: str, plan: SamplePlan, seed: int) -> PlannedSample:
    """Build the study that a recipe and its plan describe.

    Parameters
    ----------
    recipe : Recipe
        Laser, film, substrate and absorptance, with their σ.
    name : str
        Sample.
    plan : SamplePlan
        What is expected of it.
    seed : int
        Seed of references and dark.

    Returns
    -------
    PlannedSample
        Ready to be simulated.

    Raises
    ------
    RecipeError
        If the recipe states no absorptance or no powers for this sample.
    """
    entry = recipe.samples[name]
    action = f"plan sample '{name}' of {recipe.path}"
    if recipe.laser is None or recipe.substrate is None or not entry.is_heated:
        raise RecipeError(
            action, "the recipe does not state laser, film, substrate and absorptance, so no temperature follows",
            "Add [laser], [film], [substrate] and absorptance.",
        )  # fmt: skip
    powers = plan.powers_uw
    if powers is None and isinstance(entry.exposure, dict):
        powers = sorted(entry.exposure)
    if powers is None:
        raise RecipeError(
            action, "neither its plan nor a table of exposures says the laser powers",
            f'Add powers_uw = [10, 20, 40] to [plan.samples."{name}"].',
        )  # fmt: skip
    maps = tuple(plan.map_powers_uw or ())
    missing = [p for p in maps if p not in powers]
    if missing:
        raise RecipeError(
            action, f"'map_powers_uw' holds {missing[0]:g}, not only powers of the series {powers}"
        )
    tau1_s, tau2_s = plan.time_constants_s
    sample = sim.SampleDesign(
        plan.x_iodine, plan.product_x_iodine, float(entry.absorptance or 0.0), tau1_s, tau2_s,
        plan.activation_energy_ev, plan.ceiling_power_uw, tuple(map(float, sorted(powers))), plan.frames,
        plan.frame_s, weight=plan.fast_weight,
    )  # fmt: skip
    film = recipe.film_of(name)
    design = sim.StudyDesign(
        (sample,), spot_radius_um=recipe.laser.spot_radius_um, film_thickness_nm=film.thickness_nm,
        film_conductivity_w_mk=film.conductivity_w_mk,
        substrate_conductivity_w_mk=recipe.substrate.conductivity_w_mk,
        ambient_k=recipe.environment.ambient_k, rate_scatter=entry.rate_scatter,
        photons_per_frame=plan.photons_per_frame, photons_per_pixel=plan.photons_per_pixel,
        map_powers_uw=maps, map_size_um=plan.map_size_um, map_step_um=plan.map_step_um,
        d0_m2_s=plan.d0_m2_s, diffusion_activation_energy_ev=plan.diffusion_activation_energy_ev,
    )  # fmt: skip
    rng = np.random.default_rng([seed, 1])
    dark = plkit.spectra.despike(sim.simulate_dark(design, rng))
    measured = {
        key: _correct(sim.simulate_reference(design, x, rng), dark, design)
        for key, x in (("pristine", plan.x_iodine), ("product", plan.product_x_iodine))
    }
    refs = plkit.references(like=measured["pristine"], **measured)
    stated = refs.assign_coords(component=[entry.falling, "what grows"])
    spot, layers = spot_and_film(recipe, name, stated)
    heat = plkit.simulate_heating(
        spot, layers, power_uw=sample.powers_uw, ambient_k=recipe.environment.ambient_k
    )
    design = replace(design, relative_stderr=_relative_stderr(heat))
    return PlannedSample(
        name, design, sample, maps, heat, refs, dark,
        plan.model_dump(exclude_none=True) | {"powers_uw": list(sample.powers_uw)},
    )  # fmt: skip


def _relative_stderr(heat: xr.Dataset) -> dict[str, float]:
    """σ of the temperature scale by input, as :func:`plkit.sim.study.draw_truth` draws them."""
    parts = heat["temperature_scale_by_input"]
    found = {
        str(k): abs(float(v)) for k, v in zip(parts["input"].values, parts.values, strict=True)
    }
    conductivity = math.hypot(
        *(v for k, v in found.items() if k.endswith("conductivity") or "conductivity_" in k)
    )
    return {
        "absorptance": found["absorptance"],
        "spot_radius": found["spot_radius"],
        "conductivity": conductivity,
    }


def _correct(ds: xr.Dataset, dark: xr.Dataset, design: sim.StudyDesign) -> xr.Dataset:
    ds = plkit.spectra.subtract_dark(ds, dark, bias_counts=design.detector.offset_counts)
    return plkit.spectra.divide_response(plkit.spectra.despike(ds), sim.spectral_response())


def _at_powers(heat: xr.Dataset, powers: np.ndarray) -> xr.Dataset:
    """Stated temperatures at other powers: the rise is proportional to power."""
    ambient = float(heat["ambient_temperature"])
    out = heat.drop_dims(POWER)
    axis = xr.DataArray(powers, dims=POWER, attrs=heat[POWER].attrs)
    for name in ("detection", "peak"):
        for end in ("", "_stderr"):
            old = heat[f"{name}_temperature{end}"]
            rise = heat[f"{name}_rise_per_power{end}"] * axis
            out[f"{name}_temperature{end}"] = (rise + (0.0 if end else ambient)).assign_attrs(
                old.attrs
            )
    return out.assign_coords({POWER: axis})
