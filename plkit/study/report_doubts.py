"""What a reader should doubt about a study, in sentences with numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import xarray as xr

from plkit.plot.style import value_text

__all__ = ["disagreements", "doubts", "is_simulated"]

_TELLING: Final = 9.0
"""Difference of χ² from which one of two laws with as many parameters is preferred (3 σ)."""


def is_simulated(tree: xr.DataTree) -> bool:
    """True where a group says that its data is simulated.

    Parameters
    ----------
    tree : xarray.DataTree
        Results of a study.

    Returns
    -------
    bool
        By ``attrs["origin"]`` of any group.

    Examples
    --------
    >>> is_simulated(xr.DataTree(xr.Dataset(attrs={"origin": "simulated"})))
    True
    """
    return any("simulat" in str(node.attrs.get("origin", "")).lower() for node in tree.subtree)


def doubts(tree: xr.DataTree, summary: Mapping[str, Any]) -> list[str]:
    """Sentences that hold for every such study, with the numbers of this one.

    Parameters
    ----------
    tree : xarray.DataTree
        Results by sample.
    summary : mapping
        Content of summary.json.

    Returns
    -------
    list of str
        Plain text.

    Examples
    --------
    >>> doubts(xr.DataTree(), {})[0].startswith("Emission fractions are not phase fractions")
    True
    """
    samples = summary.get("samples", {})
    return [
        "Emission fractions are not phase fractions: carriers funnel into the phase with the "
        "smaller gap, which shines more than its share (doi:10.1021/acsenergylett.6c00432).",
        *_temperature_scale(samples),
        *_light_instead_of_heat(tree, samples),
        *_constant_width(tree, summary.get("diffusion", {})),
    ]


def disagreements(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on the published numbers that were not found again.

    Parameters
    ----------
    summary : mapping
        Content of summary.json.

    Returns
    -------
    list of str
        Plain text; empty where nothing published was named, or all of it agrees.

    Examples
    --------
    >>> disagreements({})
    []
    """
    lines = []
    for r in summary.get("published", ()):
        if r["agrees"] is not False:
            continue
        here, there = (
            value_text(r[k]["value"], r[k]["stderr"], r["unit"]) for k in ("found", "published")
        )
        bare = "" if r["published"]["stderr"] else ", for which no σ is given"
        lines.append(
            f"{r['sample']}: {r['quantity']} ≠ published: {here} here, {there} in {r['source']}{bare}; "
            f"{r['sigmas']:.3g} σ apart"
        )
    return lines


def _temperature_scale(samples: Mapping[str, Any]) -> Iterator[str]:
    shares = []
    for name, s in samples.items():
        shared = (s.get("activation_energy_split_ev") or {}).get("shared")
        energy = (s.get("activation_energy_ev") or {}).get("value")
        if shared is not None and energy and math.isfinite(shared):
            shares.append(f"{name} {1e3 * shared:.0f} meV ({100 * shared / abs(energy):.0f} %)")
    if shares:
        yield (
            "The temperature was computed, not measured. An error in absorptance, spot size or "
            "conductivity scales all temperature rises together and the activation energy by its "
            f"inverse; as stated in the recipe it contributes to σ: {', '.join(shares)}. More "
            "photons do not make it smaller."
        )


def _light_instead_of_heat(tree: xr.DataTree, samples: Mapping[str, Any]) -> Iterator[str]:
    """Say for each sample whether a power law k ∝ P^m is excluded by its fit."""
    alike: list[str] = []
    worse: list[str] = []
    for name, s in samples.items():
        m = s.get("photo_exponent") or {}
        if m.get("value") is None:
            continue
        text = f"{name} m = {value_text(m['value'], m.get('stderr'))}"
        node = tree.children.get(name)
        arr = node.children.get("arrhenius") if node is not None else None
        excess = 0.0
        if arr is not None and {"photo_exponent_chisqr", "chisqr"} <= set(arr.data_vars):
            power_law, heat = float(arr["photo_exponent_chisqr"]), float(arr["chisqr"])
            text += f" (χ² {power_law:.3g}, Arrhenius {heat:.3g})"
            excess = power_law - heat
        (worse if excess > _TELLING else alike).append(text)
    if alike:
        yield (
            "Light instead of heat: a rate k ∝ P^m explains these data about as well as Arrhenius' "
            f"law: {', '.join(alike)}. A power series alone cannot tell the two apart; one at "
            "another ambient temperature can."
        )
    if worse:
        yield (
            "Light instead of heat: a pure power law k ∝ P^m fits worse than Arrhenius' law: "
            f"{', '.join(worse)}. That rests on the stated σ and on the computed temperatures; a "
            "rate that depends on both is not excluded. A power series at another ambient "
            "temperature would decide."
        )


def _constant_width(tree: xr.DataTree, diffusion: Mapping[str, Any]) -> Iterator[str]:
    constant = []
    for name in diffusion:
        node = tree.children.get(name)
        group = node.children.get("diffusion") if node is not None else None
        if group is not None and "width_is_constant" in group and float(group["width_is_constant"]):
            constant.append(name)
    if constant:
        yield (
            f"Diffusion of {', '.join(constant)}: the width of the halo does not change with "
            "temperature. D = (σ² − σ₀²)⟨k⟩/2 then has the activation energy of ⟨k⟩ by "
            "construction and confirms nothing."
        )
    elif diffusion:
        yield (
            "Diffusion: the time in D = (σ² − σ₀²)/(2 t) is taken as 1/⟨k⟩, so that an error of "
            "the rates is an error of D."
        )
