"""The figures of the report: what decides first, the rest folded, each with its caption."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Final

from plkit.study.report_pieces import embedded, section

__all__ = ["figures_by_sample", "figures_of_all"]

_WIDE: Final = ("temperature",)
"""Figures of two columns' width."""

_DECIDE: Final = (
    "spectra", "unmixing", "powers_kinetics", "recovery_kinetics", "map", "profile", "composition",
)  # fmt: skip
"""What a reader wants to see of each sample; other figures are folded."""

# Last word of a figure's name → its title and caption.
_CAPTIONS: Final = {
    "spectra": ("Spectra", "coloured by time."),
    "movie": ("All spectra", "as an image, wavelength across and time upwards."),
    "unmixing": ("Unmixing", "of the last spectrum: a sum of references, with the residual."),
    "peak": (
        "Emission maximum",
        "against time. It jumps where a second band becomes the higher one.",
    ),
    "kinetics": ("Emission fractions", "against time; lines: fit with one σ."),
    "conversion": (
        "Conversion",
        "against laser power; bars: one σ, where larger than the symbols.",
    ),
    "arrhenius": (
        "Arrhenius plot",
        "of the mean rate. Bars: one σ on both axes, that of the temperature includes the "
        "scale error that moves all points together. Band: 68 %, every cause included.",
    ),
    "temperature": ("Temperature", "of the film, computed; band: one σ of the temperature scale."),
    "map": ("Map", "after exposure; hatched: no result."),
    "profile": ("Profile", "through the halo with the fit of Fick's law; band or bars: one σ."),
    "diffusion": ("Diffusion coefficient", "against temperature. Band: 68 %."),
    "composition": (
        "Iodine content",
        "from the peak energy; hatched: no composition can be given.",
    ),
}
_CIRCUMSTANCES: Final = {
    "recovery": "in the dark afterwards", "overview": "overview", "powers": "all powers",
    "peak": "peak energy",
}  # fmt: skip


def figures_of_all(figures: Mapping[str, Path | str], samples: Iterable[str]) -> str:
    """Return the figures that show no one sample but all of them."""
    return _grid({n: f for n, f in figures.items() if _sample(n, samples) is None})


def figures_by_sample(figures: Mapping[str, Path | str], samples: Iterable[str]) -> str:
    """Return the section of the figures of each sample, what decides first."""
    parts = []
    for sample in samples:
        own = {n: f for n, f in figures.items() if _sample(n, samples) == sample}
        if not own:
            continue
        first = {n: f for n, f in own.items() if n.removeprefix(f"{sample}_") in _DECIDE}
        rest = {n: f for n, f in own.items() if n not in first}
        folded = (
            f"<details><summary>{len(rest)} more figures of {escape(sample)}</summary>"
            f"{_grid(rest, sample)}</details>"
            if rest
            else ""
        )
        parts.append(f"<h3>{escape(sample)}</h3>{_grid(first, sample)}{folded}")
    return section("figures", "Figures of each sample", *parts) if parts else ""


def _sample(name: str, samples: Iterable[str]) -> str | None:
    """Sample that a figure shows; the longest name that fits, as one may begin like another."""
    fitting = [s for s in samples if name.startswith(f"{s}_")]
    return max(fitting, key=len, default=None)


def _grid(figures: Mapping[str, Path | str], sample: str = "") -> str:
    parts = []
    for name, file in figures.items():
        title, text = _caption(name.removeprefix(f"{sample}_"))
        kind = ' class="wide"' if name.split("_")[-1] in _WIDE else ""
        of = f"{sample}: " if sample else ""
        parts.append(
            f'<figure{kind}><img alt="{escape(f"{of}{title} {text}")}" src="{embedded(Path(file))}">'
            f"<figcaption><strong>{escape(title)}</strong> {escape(text)}</figcaption></figure>"
        )
    return f'<div class="figures">{"".join(parts)}</div>' if parts else ""


def _caption(name: str) -> tuple[str, str]:
    """Title and caption by the last known word; "recovery_kinetics" is of kinetics, in the dark."""
    words = name.split("_")
    known = next((w for w in reversed(words) if w in _CAPTIONS), "")
    title, text = _CAPTIONS.get(known, (name.replace("_", " "), ""))
    around = ", ".join(_CIRCUMSTANCES[w] for w in words if w in _CIRCUMSTANCES and w != known)
    return (f"{title} ({around})" if around else title), text
