"""What a study found: the numbers, each with its σ and where that comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from plkit.study.report_pieces import cell, number_text, section, table

__all__ = ["found"]

_PARTS: Final = {
    "photon": "counting", "scatter": "spot-to-spot scatter", "shared": "temperature scale",
}  # fmt: skip


def found(summary: Mapping[str, Any], figures: str) -> str:
    """Return the section of what was found, with the figures that show it."""
    rows = []
    for name, s in summary.get("samples", {}).items():
        rows.append(
            [
                cell(name), cell(_verdict(s)),
                cell(number_text(s.get("activation_energy_ev"), "eV"), "number"),
                cell(number_text(s.get("activation_energy_kj_mol"), "kJ/mol"), "number"),
                cell(_strongest(s), "number"),
            ]
        )  # fmt: skip
    head = ("Sample", "Verdict", "Activation energy", "per mole", "Conversion at the highest power")
    return section(
        "found", "What was found",
        table(head, rows, "Activation energy of the mean rate of the falling component."),
        figures,
        _diffusion(summary),
        _published(summary),
        _split(summary),
        _verdicts(summary),
        _by_power(summary),
    )  # fmt: skip


def _verdict(s: Mapping[str, Any]) -> str:
    dark = s.get("recovery_verdict")
    return str(s.get("verdict", "–")) + (f"; {dark} in the dark" if dark else "")


def _published(summary: Mapping[str, Any]) -> str:
    """Numbers of others beside those found."""
    rows = [
        [
            cell(str(r["sample"])), cell(str(r["quantity"]), "number"),
            cell(_agreement(r), "number"),
            cell(number_text(r["found"], r["unit"]), "number"),
            cell(number_text(r["published"], r["unit"]), "number"),
            cell(str(r["source"])),
        ]
        for r in summary.get("published", ())
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("Sample", "Quantity", "", "Found", "Published", "Source")
    return f"<h3>Beside what was published</h3>{table(head, rows)}"


def _agreement(row: Mapping[str, Any]) -> str:
    if row["sigmas"] is None:
        return "–"
    return f"{'=' if row['agrees'] else '≠'} ({row['sigmas']:.2g} σ apart)"


def _strongest(s: Mapping[str, Any]) -> str:
    conversion = s.get("conversion") or {}
    if not conversion:
        return "–"
    power, last = max(conversion.items(), key=lambda item: float(item[0]))
    at = s.get("conversion_at_s")
    after = f" after {at:g} s" if at is not None else ""
    return f"{number_text(last)} ({power} µW{after})"


def _verdicts(summary: Mapping[str, Any]) -> str:
    lines = []
    for name, s in summary.get("samples", {}).items():
        for key, what in (("verdict", "under the laser"), ("recovery_verdict", "in the dark")):
            if s.get(key):
                reason = str(s.get(f"{key}_reason", "")).rstrip(".")
                because = f", because {reason}" if reason else ""
                lines.append(
                    f"<li><strong>{escape(name)}</strong>, {what}: {escape(str(s[key]))}"
                    f"{escape(because)}.</li>"
                )
    if not lines:
        return ""
    return f"<details><summary>Why these verdicts</summary><ul>{''.join(lines)}</ul></details>"


def _split(summary: Mapping[str, Any]) -> str:
    """Where σ of each activation energy comes from: bars of the variances."""
    rows = []
    for name, s in summary.get("samples", {}).items():
        split = s.get("activation_energy_split_ev") or {}
        known = {k: float(v) for k, v in split.items() if v is not None and math.isfinite(v)}
        total = sum(v**2 for v in known.values())
        if total <= 0:
            continue
        bars = "".join(
            f'<i class="c{list(_PARTS).index(k)}" style="width:{100 * v**2 / total:.1f}%"></i>'
            for k, v in known.items()
            if k in _PARTS
        )
        cells = [cell(f"{1e3 * known[k]:.1f} meV" if k in known else "–", "number") for k in _PARTS]
        rows.append([cell(name), *cells, f'<td><div class="bar">{bars}</div></td>'])
    if not rows:
        return ""
    key = "".join(
        f'<span class="key c{n}"></span>{escape(text)}' for n, text in enumerate(_PARTS.values())
    )
    shares = table(("Sample", *(t.capitalize() for t in _PARTS.values()), "Share of σ²"), rows)
    return f'<h3>Where σ of the activation energy comes from</h3>{shares}<p class="soft">{key}</p>'


def _diffusion(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            cell(name), cell(number_text(d.get("activation_energy_ev"), "eV"), "number"),
            cell(number_text(d.get("ln_d0_m2_s")), "number"),
            cell(number_text(d.get("d_293k_m2_s"), "m^2/s"), "number"),
        ]
        for name, d in summary.get("diffusion", {}).items()
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("Sample", "Activation energy of D", "ln(D₀ / (m²/s))", "D at 293 K")
    return f"<h3>Diffusion</h3>{table(head, rows)}"


def _by_power(summary: Mapping[str, Any]) -> str:
    parts = []
    for name, s in summary.get("samples", {}).items():
        rates, conversion = s.get("mean_rate_per_s") or {}, s.get("conversion") or {}
        limit = s.get("conversion_limit") or {}
        rows = [
            [
                cell(f"{power} µW", "number"), cell(number_text(rates.get(power), "1/s"), "number"),
                cell(number_text(conversion.get(power)), "number"),
                cell(number_text(limit.get(power)), "number"),
            ]
            for power in sorted({*rates, *conversion}, key=float)
        ]  # fmt: skip
        if rows:
            head = ("Power", "Mean rate ⟨k⟩", "Conversion", "at infinite time")
            parts.append(
                f"<details><summary>{escape(name)}: rates and conversion by power</summary>"
                f"{table(head, rows)}</details>"
            )
    return "".join(parts)
