"""Hyperspectral photoluminescence of halide perovskites.

From the instrument's file to the paper's number, with its uncertainty:

>>> import plkit
>>> ds = plkit.read("exposure.nc")                                       # doctest: +SKIP
>>> refs = plkit.references(pristine="x1.0.nc", bromide="x0.0.nc")       # doctest: +SKIP
>>> kin = plkit.fit_kinetics(plkit.unmix(ds, refs), component="pristine")  # doctest: +SKIP

Every name below is imported when it is first used, so that ``import plkit`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name → module that holds it; a name that maps to itself is a module of plkit.
_PUBLIC: dict[str, str] = {
    # modules
    "cycling": "plkit.cycling",
    "errors": "plkit.errors",
    "models": "plkit.models",
    "names": "plkit.names",
    "physics": "plkit.physics",
    "plot": "plkit.plot",
    "samples": "plkit.samples",
    "schema": "plkit.schema",
    "sim": "plkit.sim",
    "spectra": "plkit.spectra",
    # functions and classes
    "read": "plkit.io",
    "write": "plkit.io",
    "info": "plkit.io",
    "convert": "plkit.io",
    "validate": "plkit.schema",
    "conform": "plkit.schema",
    "fit_peaks": "plkit.peaks",
    "references": "plkit.unmixing",
    "unmix": "plkit.unmixing",
    "fit_model": "plkit.fit",
    "profile_interval": "plkit.fit",
    "CountNoise": "plkit.fit",
    "fit_kinetics": "plkit.kinetics",
    "fit_lifetimes": "plkit.lifetimes",
    "expected_decay": "plkit.lifetimes",
    "verdict": "plkit.kinetics",
    "VerdictThresholds": "plkit.kinetics",
    "LaserSpot": "plkit.sim",
    "Layer": "plkit.sim",
    "Film": "plkit.sim",
    "simulate_heating": "plkit.sim",
    "simulate_study": "plkit.sim",
    "HeaterProtocol": "plkit.sim",
    "Recombination": "plkit.sim",
    "simulate_carriers": "plkit.sim",
    "thermal_cycling": "plkit.sim",
    "map_thermal_cycling": "plkit.sim",
    "IonLattice": "plkit.sim",
    "IonHopping": "plkit.sim",
    "LaserRise": "plkit.sim",
    "IodideEscape": "plkit.sim",
    "CarrierEnergy": "plkit.sim",
    "simulate_ion_hopping": "plkit.sim",
    "Emission": "plkit.sim",
    "simulate_emission": "plkit.sim",
    "TwoPhases": "plkit.sim",
    "funnelling_bias": "plkit.sim",
    "fit_arrhenius": "plkit.arrhenius",
    "predict_arrhenius": "plkit.arrhenius",
    "fit_fick_profile": "plkit.diffusion",
    "fit_diffusion_temperature": "plkit.diffusion",
    "fit_fick_movie": "plkit.diffusion",
    "composition_map": "plkit.composition",
    "plan_study": "plkit.study",
    "run_study": "plkit.study",
    "open_results": "plkit.study",
    "reproduce": "plkit.study",
    "export_html": "plkit.apps.mailable",
}

__all__ = [
    "CarrierEnergy",
    "CountNoise",
    "Emission",
    "Film",
    "HeaterProtocol",
    "IodideEscape",
    "IonHopping",
    "IonLattice",
    "LaserRise",
    "LaserSpot",
    "Layer",
    "Recombination",
    "TwoPhases",
    "VerdictThresholds",
    "__version__",
    "composition_map",
    "conform",
    "convert",
    "cycling",
    "errors",
    "expected_decay",
    "export_html",
    "fit_arrhenius",
    "fit_diffusion_temperature",
    "fit_fick_movie",
    "fit_fick_profile",
    "fit_kinetics",
    "fit_lifetimes",
    "fit_model",
    "fit_peaks",
    "funnelling_bias",
    "info",
    "map_thermal_cycling",
    "models",
    "names",
    "open_results",
    "physics",
    "plan_study",
    "plot",
    "predict_arrhenius",
    "profile_interval",
    "read",
    "references",
    "reproduce",
    "run_study",
    "samples",
    "schema",
    "sim",
    "simulate_carriers",
    "simulate_emission",
    "simulate_heating",
    "simulate_ion_hopping",
    "simulate_study",
    "spectra",
    "thermal_cycling",
    "unmix",
    "validate",
    "verdict",
    "write",
]

if TYPE_CHECKING:
    from plkit import cycling, errors, models, names, physics, plot, samples, schema, sim, spectra
    from plkit.apps.mailable import export_html
    from plkit.arrhenius import fit_arrhenius, predict_arrhenius
    from plkit.composition import composition_map
    from plkit.diffusion import fit_diffusion_temperature, fit_fick_movie, fit_fick_profile
    from plkit.fit import CountNoise, fit_model, profile_interval
    from plkit.io import convert, info, read, write
    from plkit.kinetics import VerdictThresholds, fit_kinetics, verdict
    from plkit.lifetimes import expected_decay, fit_lifetimes
    from plkit.peaks import fit_peaks
    from plkit.schema import conform, validate
    from plkit.sim import (
        CarrierEnergy,
        Emission,
        Film,
        HeaterProtocol,
        IodideEscape,
        IonHopping,
        IonLattice,
        LaserRise,
        LaserSpot,
        Layer,
        Recombination,
        TwoPhases,
        funnelling_bias,
        map_thermal_cycling,
        simulate_carriers,
        simulate_emission,
        simulate_heating,
        simulate_ion_hopping,
        simulate_study,
        thermal_cycling,
    )
    from plkit.study import open_results, plan_study, reproduce, run_study
    from plkit.unmixing import references, unmix


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    try:
        module = importlib.import_module(_PUBLIC[name])
    except KeyError:
        raise AttributeError(f"module 'plkit' has no attribute {name!r}") from None
    value = module if module.__name__ == f"plkit.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List public names without importing them."""
    return sorted({*globals(), *_PUBLIC})


def _register_accessor() -> None:
    """Give every Dataset ``ds.pl``; the accessor itself imports nothing heavy."""
    import plkit.accessor  # noqa: F401


_register_accessor()
