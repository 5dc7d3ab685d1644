"""The report of a study: one HTML file that needs nothing else, readable in two minutes.

What was measured and found comes first, each number with its σ, where that comes from and the
figures that show it; then what to distrust; then the figures of each sample; then where everything
comes from. No script, no font and no image is fetched: the file says so itself in its content policy.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
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
from plkit.study.report_doubts import disagreements, doubts, is_simulated
from plkit.study.report_figures import figures_by_sample, figures_of_all
from plkit.study.report_found import found
from plkit.study.report_pieces import cell, section, table
from plkit.study.report_quality import quality

__all__ = ["write_report"]

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


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
    samples = list(summary.get("samples", {}))
    body = "\n".join(
        [
            _head(title, provenance, is_simulated(tree)),
            _measured(tree, summary, provenance),
            found(summary, figures_of_all(figures, samples)),
            _distrust(tree, summary),
            figures_by_sample(figures, samples),
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


def _head(title: str, provenance: Mapping[str, Any], simulated: bool) -> str:
    made = f"plkit {provenance['plkit']}" if "plkit" in provenance else "plkit"
    mark = f", record {provenance_id(dict(provenance))}" if "inputs" in provenance else ""
    links = {
        "measured": "Measured", "found": "Found", "distrust": "What to distrust",
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
def _measured(tree: xr.DataTree, summary: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    rows = []
    for name in summary.get("samples", {}):
        node = tree.children.get(name)
        if node is not None:
            rows.append([cell(name), *(cell(text) for text in _series_words(node))])
    head = ("Sample", "Laser powers", "Series", "Maps")
    recipe = provenance.get("recipe", {})
    shown = table(head, rows) if rows else ""
    return section("measured", "What was measured", shown, _set_up(recipe))


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
    warnings = [*disagreements(summary), *(str(w) for w in summary.get("warnings", ()))]
    met = _list(warnings) if warnings else "<p>No warning was raised.</p>"
    return section(
        "distrust", "What to distrust",
        "<h3>Met in these data</h3>", met,
        quality(tree, summary),
        "<h3>Holds for every such study</h3>", _list(doubts(tree, summary)),
    )  # fmt: skip


def _list(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _origin(provenance: Mapping[str, Any]) -> str:
    if not provenance:
        return section("origin", "Provenance", "<p>Not recorded.</p>")
    rows = [
        [cell(str(i["name"])), cell(str(i["role"])), cell(f"{int(i['bytes']):,}".replace(",", " "),
         "number"), cell(str(i["sha256"]), "hash")]
        for i in provenance.get("inputs", ())
    ]  # fmt: skip
    versions = ", ".join(f"{k} {v}" for k, v in provenance.get("libraries", {}).items())
    text = (
        f"plkit {provenance.get('plkit', '?')}, Python {provenance.get('python', '?')} on "
        f"{provenance.get('platform', '?')}; {versions}. Seed {provenance.get('seed', '–')}."
    )
    recipe = str(provenance.get("recipe_text", ""))
    return section(
        "origin", "Provenance",
        f"<p>{escape(text)}</p>",
        f"<details><summary>Input files ({len(rows)}) with SHA-256</summary>",
        table(("File", "Role", "Bytes", "SHA-256"), rows), "</details>",
        f"<details><summary>Recipe</summary><pre>{escape(recipe)}</pre></details>",
    )  # fmt: skip
