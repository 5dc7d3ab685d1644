"""What a study found, as lines for a terminal."""

from __future__ import annotations

from typing import Any

from plkit.plot.style import value_text

__all__ = ["findings"]


def _estimate(entry: Any, unit: str) -> str:
    if not isinstance(entry, dict) or entry.get("value") is None:
        return "not found"
    return value_text(entry["value"], entry.get("stderr"), unit)


def findings(summary: dict[str, Any]) -> list[str]:
    """Lines that say what was found, each number with its σ.

    Parameters
    ----------
    summary : dict
        Content of summary.json.

    Returns
    -------
    list of str
        One block of lines per sample, then diffusion, then what was published.

    Examples
    --------
    >>> energy = {"value": 0.248, "stderr": 0.023}
    >>> findings({"samples": {"x1.0": {"activation_energy_ev": energy}}})
    ['x1.0: E_a = 0.248 ± 0.023 eV']
    """
    lines: list[str] = []
    for name, s in summary.get("samples", {}).items():
        lines += [f"{name}: {line}" for line in _sample(s)]
    for name, d in summary.get("diffusion", {}).items():
        lines.append(
            f"{name}: diffusion E_a = {_estimate(d.get('activation_energy_ev'), 'eV')}, "
            f"ln(D0/(m²/s)) = {_estimate(d.get('ln_d0_m2_s'), '1')}, "
            f"D(293 K) = {_estimate(d.get('d_293k_m2_s'), 'm^2/s')}"
        )
    for r in summary.get("published", ()):
        if r["sigmas"] is not None:
            lines.append(
                f"{r['sample']}: {r['quantity']} {'=' if r['agrees'] else '≠'} published "
                f"{_estimate(r['published'], r['unit'])} ({r['sigmas']:.2g} σ apart; {r['source']})"
            )
    return lines


def _sample(s: dict[str, Any]) -> list[str]:
    line = f"E_a = {_estimate(s.get('activation_energy_ev'), 'eV')}"
    if (s.get("activation_energy_ev") or {}).get("value") is None and not s.get("conversion"):
        # Nothing was to be found: a series without references, or a map.
        line = ""
    parts = {k: v for k, v in (s.get("activation_energy_split_ev") or {}).items() if v is not None}
    words = {"photon": "photons", "scatter": "scatter", "shared": "temperature scale"}
    if parts:
        split = ", ".join(f"{words.get(k, k)} {v:.3f}" for k, v in parts.items())
        line += f" (σ: {split})"
    lines = [line] if line else []
    if not line:
        peaks = (s.get("peak_nm") or {}).items()
        lines += [f"peak at {_estimate(nm, 'nm')} at {power} µW" for power, nm in peaks]
    if s.get("verdict"):
        reason = f": {s['verdict_reason']}" if s.get("verdict_reason") else ""
        lines.append(f"{s['verdict']}{reason}")
    conversion = s.get("conversion") or {}
    if conversion:
        power, last = max(conversion.items(), key=lambda item: float(item[0]))
        at = s.get("conversion_at_s")
        after = f" after {at:g} s" if at is not None else ""
        lines.append(f"conversion = {_estimate(last, '1')} at {power} µW{after}")
    return lines
