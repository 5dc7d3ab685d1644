"""The report of a study: one HTML file that needs nothing else, readable in two minutes.

What was found comes first, each number with its σ and where that comes from; then what to distrust;
then the figures; then where everything comes from. No script, no font and no image is fetched: the
file says so itself in its content policy.
"""

from __future__ import annotations

import base64
import importlib.resources
import json
import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import POWER
from plkit.plot.style import value_text
from plkit.study.provenance import provenance_id
from plkit.study.report_doubts import doubts, is_simulated

__all__ = ["write_report"]

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_PARTS: Final = {
    "photon": "counting", "scatter": "spot-to-spot scatter", "shared": "temperature scale",
}  # fmt: skip
_MEDIA: Final = {".svg": "image/svg+xml", ".png": "image/png"}

_WIDE: Final = ("temperature",)
"""Figures of two columns' width."""

# Last word of a figure's name → its caption.
_CAPTIONS: Final = {
    "spectra": "Spectra, coloured by time.",
    "movie": "All spectra as an image, wavelength across and time upwards.",
    "unmixing": "One spectrum as a sum of references, with the residual.",
    "peak": "Wavelength of the emission maximum against time.",
    "kinetics": "Emission fractions against time; lines: fit with one σ.",
    "conversion": "Conversion against laser power; bars: one σ, where larger than the symbols.",
    "arrhenius": "Arrhenius plot. Bars: one σ on both axes, that of the temperature includes the "
    "scale error that moves all points together. Band: 68 %, every cause included.",
    "temperature": "Computed temperature of the film; band: one σ of the temperature scale.",
    "map": "Map after exposure; hatched: no result.",
    "profile": "Cut through the halo with the fit of Fick's law; band or bars: one σ.",
    "diffusion": "Diffusion coefficient against temperature. Band: 68 %.",
    "composition": "Iodine content from the peak energy; hatched: no composition can be given.",
}
_CIRCUMSTANCES: Final = {
    "recovery": "In the dark afterwards. ", "overview": "Overview. ", "powers": "All powers. ",
}  # fmt: skip


def write_report(
    tree: xr.DataTree,
    summary: Mapping[str, Any],
    figures: Mapping[str, Path | str],
    path: str | Path,
) -> Path:
    """Write the report of a study as one HTML file.

    Parameters
    ----------
    tree : xarray.DataTree
        Results by sample; ``attrs["provenance"]`` and ``attrs["title"]`` are used.
    summary : mapping
        Content of summary.json.
    figures : mapping of str to path
        SVG or PNG files by name; names such as ``x1.0_kinetics`` choose caption and order.
    path : str or path-like
        The file to write.

    Returns
    -------
    pathlib.Path
        The file. It makes no request to any network.

    Raises
    ------
    DataError
        If a figure is neither SVG nor PNG, or a file cannot be read or written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_report(xr.DataTree(), {"title": "Film 7"}, {}, f"{folder}/report.html")
    ...     "<h1>Film 7</h1>" in file.read_text("utf-8")
    True
    """
    path = Path(path)
    provenance = json.loads(str(tree.attrs.get("provenance", "{}")))
    title = str(summary.get("title") or tree.attrs.get("title") or "Study")
    css = (importlib.resources.files("plkit.study") / "report.css").read_text("utf-8")
    body = "\n".join(
        [
            _head(title, provenance, is_simulated(tree)),
            _found(summary),
            _measured(tree, summary, provenance),
            _distrust(tree, summary),
            _figures(figures),
            _origin(provenance),
        ]
    )
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{css}</style></head>\n<body>\n{body}\n"
        "</body></html>\n"
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DataError(
            "write the report", f"'{path}' cannot be written ({error.strerror})", "Name a folder."
        ) from error
    return path


# Pieces of HTML ---------------------------------------------------------------------------------
def _table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "") -> str:
    """Return a table; the cells are HTML already."""
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    below = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{below}<tr>{heads}</tr>{lines}</table></div>'


def _cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def _number(entry: Any, unit: str = "1") -> str:
    if isinstance(entry, Mapping) and entry.get("value") is not None:
        stderr = entry.get("stderr")
        return value_text(float(entry["value"]), None if stderr is None else float(stderr), unit)
    return "not found"


def _head(title: str, provenance: Mapping[str, Any], simulated: bool) -> str:
    made = f"plkit {provenance['plkit']}" if "plkit" in provenance else "plkit"
    mark = f", record {provenance_id(dict(provenance))}" if "inputs" in provenance else ""
    links = {
        "found": "Found", "measured": "Measured", "distrust": "What to distrust",
        "figures": "Figures", "origin": "Provenance",
    }  # fmt: skip
    nav = "".join(f'<a href="#{k}">{v}</a>' for k, v in links.items())
    banner = (
        '<p class="banner"><strong>Simulated data.</strong> Nothing in this report was measured: '
        "the spectra were computed from a known truth.</p>"
    )
    return (
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="soft">{escape(made + mark)}. Every ± is one standard deviation.</p>'
        f"<nav>{nav}</nav>{banner if simulated else ''}</header>"
    )


# Sections ---------------------------------------------------------------------------------------
def _found(summary: Mapping[str, Any]) -> str:
    rows = []
    for name, s in summary.get("samples", {}).items():
        rows.append(
            [
                _cell(name), _cell(str(s.get("verdict", "–"))),
                _cell(_number(s.get("activation_energy_ev"), "eV"), "number"),
                _cell(_number(s.get("activation_energy_kj_mol"), "kJ/mol"), "number"),
                _cell(_strongest(s), "number"),
            ]
        )  # fmt: skip
    head = ("Sample", "Verdict", "Activation energy", "per mole", "Conversion at the highest power")
    parts = [
        '<section id="found"><h2>What was found</h2>',
        _table(head, rows, "Activation energy of the mean rate of the falling component."),
        _verdicts(summary),
        _split(summary),
        _diffusion(summary),
        _by_power(summary),
    ]
    return "".join(parts) + "</section>"


def _strongest(s: Mapping[str, Any]) -> str:
    conversion = s.get("conversion") or {}
    if not conversion:
        return "–"
    power, last = max(conversion.items(), key=lambda item: float(item[0]))
    at = s.get("conversion_at_s")
    after = f" after {at:g} s" if at is not None else ""
    return f"{_number(last)} ({power} µW{after})"


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
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


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
        cells = [
            _cell(f"{1e3 * known[k]:.1f} meV" if k in known else "–", "number") for k in _PARTS
        ]
        rows.append([_cell(name), *cells, f'<td><div class="bar">{bars}</div></td>'])
    if not rows:
        return ""
    key = "".join(
        f'<span class="key c{n}"></span>{escape(text)}' for n, text in enumerate(_PARTS.values())
    )
    table = _table(("Sample", *(t.capitalize() for t in _PARTS.values()), "Share of σ²"), rows)
    return f'<h3>Where σ of the activation energy comes from</h3>{table}<p class="soft">{key}</p>'


def _diffusion(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            _cell(name), _cell(_number(d.get("activation_energy_ev"), "eV"), "number"),
            _cell(_number(d.get("ln_d0_m2_s")), "number"),
            _cell(_number(d.get("d_293k_m2_s"), "m^2/s"), "number"),
        ]
        for name, d in summary.get("diffusion", {}).items()
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("Sample", "Activation energy of D", "ln(D₀ / (m²/s))", "D at 293 K")
    return f"<h3>Diffusion</h3>{_table(head, rows)}"


def _by_power(summary: Mapping[str, Any]) -> str:
    parts = []
    for name, s in summary.get("samples", {}).items():
        rates, conversion = s.get("mean_rate_per_s") or {}, s.get("conversion") or {}
        limit = s.get("conversion_limit") or {}
        rows = [
            [
                _cell(f"{power} µW", "number"), _cell(_number(rates.get(power), "1/s"), "number"),
                _cell(_number(conversion.get(power)), "number"),
                _cell(_number(limit.get(power)), "number"),
            ]
            for power in sorted({*rates, *conversion}, key=float)
        ]  # fmt: skip
        if rows:
            head = ("Power", "Mean rate ⟨k⟩", "Conversion", "at infinite time")
            parts.append(
                f"<details><summary>{escape(name)}: rates and conversion by power</summary>"
                f"{_table(head, rows)}</details>"
            )
    return "".join(parts)


def _measured(tree: xr.DataTree, summary: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    rows = []
    for name in summary.get("samples", {}):
        node = tree.children.get(name)
        if node is not None:
            rows.append([_cell(name), *(_cell(text) for text in _series_words(node))])
    head = ("Sample", "Laser powers", "Series", "Maps")
    recipe = provenance.get("recipe", {})
    return (
        '<section id="measured"><h2>What was measured</h2>'
        f"{_table(head, rows) if rows else ''}{_set_up(recipe)}</section>"
    )


def _series_words(node: xr.DataTree) -> tuple[str, str, str]:
    powers, series, maps = "–", "–", "none"
    unmixed = node.children.get("unmixed")
    if unmixed is not None and POWER in unmixed.coords:
        values = np.atleast_1d(unmixed.dataset[POWER].values).astype(float)
        powers = f"{values.size}: {values.min():g} to {values.max():g} µW"
    if unmixed is not None and names.TIME in unmixed.coords:
        t = np.atleast_1d(unmixed.dataset[names.TIME].values).astype(float)
        series = f"{t.size} spectra over {t.max() - t.min():.4g} s at each power"
    if "maps" in node.children:
        m = node.children["maps"]
        sizes = [m.sizes.get(d, 0) for d in (POWER, names.Y, names.X)]
        maps = f"{sizes[0]} of {sizes[1]} × {sizes[2]} pixels"
    return powers, series, maps


def _set_up(recipe: Mapping[str, Any]) -> str:
    laser, film, base = (recipe.get(k, {}) for k in ("laser", "film", "substrate"))
    if not (laser and film and base):
        return ""
    radius = value_text(laser["spot_radius_um"], laser.get("spot_radius_stderr_um"), "um")
    ambient = recipe.get("environment", {}).get("ambient_k")
    text = (
        f"Laser of {laser['wavelength_nm']:g} nm, 1/e² radius {radius}; film of "
        f"{film['thickness_nm']:g} nm with {film['conductivity_w_mk']:g} W/(m K) on "
        f"{base['thickness_um']:g} µm with {base['conductivity_w_mk']:g} W/(m K)"
        + (f"; room at {ambient:g} K." if ambient is not None else ".")
    )
    return f"<p>{escape(text)}</p>"


def _distrust(tree: xr.DataTree, summary: Mapping[str, Any]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in doubts(tree, summary))
    warnings = [str(w) for w in summary.get("warnings", ())]
    met = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    shown = f"<h3>Met in these data</h3><ul>{met}</ul>" if met else "<p>No warning was raised.</p>"
    return (
        f'<section id="distrust"><h2>What to distrust</h2>{shown}'
        f"<h3>Holds for every such study</h3><ul>{items}</ul></section>"
    )


def _figures(figures: Mapping[str, Path | str]) -> str:
    parts = []
    for name, file in figures.items():
        text = _caption(name)
        kind = ' class="wide"' if name.split("_")[-1] in _WIDE else ""
        parts.append(
            f'<figure{kind}><img alt="{escape(f"{name}: {text}")}" src="{_embedded(Path(file))}">'
            f"<figcaption><strong>{escape(name.replace('_', ' '))}.</strong> {escape(text)}</figcaption></figure>"
        )
    inner = f'<div class="figures">{"".join(parts)}</div>' if parts else "<p>None.</p>"
    return f'<section id="figures"><h2>Figures</h2>{inner}</section>'


def _caption(name: str) -> str:
    """Caption by the last known word; "x2.0_recovery_kinetics" is of kinetics, in the dark."""
    words = name.split("_")
    text = next((_CAPTIONS[w] for w in reversed(words) if w in _CAPTIONS), "")
    before = "".join(_CIRCUMSTANCES[w] for w in words if w in _CIRCUMSTANCES)
    return f"{before}{text}"


def _embedded(file: Path) -> str:
    if file.suffix not in _MEDIA:
        raise DataError("write the report", f"the figure '{file.name}' is not an SVG or PNG file")
    try:
        content = base64.b64encode(file.read_bytes()).decode("ascii")
    except OSError as error:
        raise DataError(
            "write the report", f"the figure '{file}' cannot be read ({error.strerror})"
        ) from error
    return f"data:{_MEDIA[file.suffix]};base64,{content}"


def _origin(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return '<section id="origin"><h2>Provenance</h2><p>Not recorded.</p></section>'
    rows = [
        [_cell(str(i["name"])), _cell(str(i["role"])), _cell(f"{int(i['bytes']):,}".replace(",", " "),
         "number"), _cell(str(i["sha256"]), "hash")]
        for i in provenance.get("inputs", ())
    ]  # fmt: skip
    versions = ", ".join(f"{k} {v}" for k, v in provenance.get("libraries", {}).items())
    text = (
        f"plkit {provenance.get('plkit', '?')}, Python {provenance.get('python', '?')} on "
        f"{provenance.get('platform', '?')}; {versions}. Seed {provenance.get('seed', '–')}."
    )
    recipe = str(provenance.get("recipe_text", ""))
    return (
        f'<section id="origin"><h2>Provenance</h2><p>{escape(text)}</p>'
        f"<details><summary>Input files ({len(rows)}) with SHA-256</summary>"
        f"{_table(('File', 'Role', 'Bytes', 'SHA-256'), rows)}</details>"
        f"<details><summary>Recipe</summary><pre>{escape(recipe)}</pre></details></section>"
    )
