"""What stands below the figures: what was measured, how exact the numbers are, where they come from."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import plkit
from plkit import names
from plkit.apps.mailable.document import table
from plkit.apps.view.layers import Layer
from plkit.apps.view.results import Results
from plkit.plot.style import pretty_unit

__all__ = ["about_file", "about_study", "extent"]

_ELSEWHERE: Final = ("history", "source_sha256", "source_file")
_LONGEST: Final = 300


def extent(layer: Layer) -> str:
    """Axes of a layer in one line: names, points, ends."""
    dims = [*layer.outer, *layer.plane]
    if layer.spectral and layer.spectral not in dims:
        dims.append(layer.spectral)
    parts = []
    for dim in dims:
        axis = layer.axis(dim)
        stated = str(layer.ds[dim].attrs.get("units", "1")) if dim in layer.ds.coords else "1"
        unit = f" {pretty_unit(stated)}" if pretty_unit(stated) else ""
        title = names.TABLE[dim].long_name if dim in names.TABLE else dim
        ends = f"{axis[0]:.5g} to {axis[-1]:.5g}" if axis.size > 1 else f"at {axis[0]:.5g}"
        parts.append(f"{title} {axis.size} ({ends}{unit})")
    return " × ".join(parts)


def about_file(layer: Layer, source: str, sha256: str, notes: Sequence[str]) -> str:
    """HTML about a measured file."""
    rows = [("File", source), ("SHA-256", sha256), ("Axes", extent(layer))]
    for key, value in layer.ds.attrs.items():
        text = str(value)
        if key not in _ELSEWHERE and text:
            rows.append((str(key), text if len(text) <= _LONGEST else text[:_LONGEST] + " …"))
    for name, da in layer.ds.coords.items():
        if da.ndim == 0 and str(name) not in layer.ds.dims:
            unit = pretty_unit(str(da.attrs.get("units", "1")))
            rows.append(
                (str(name), f"{da.item():.6g} {unit}" if da.dtype.kind in "iuf" else str(da.item()))
            )
    history = html.escape(str(layer.ds.attrs.get("history", "")))
    return _page(rows, notes, {"What was done to it": f"<pre>{history}</pre>" if history else ""})


def about_study(
    results: Results, layers: Iterable[Layer], sha256: str, notes: Sequence[str]
) -> str:
    """HTML about the results of a study."""
    rows = [("File", results.path.name), ("SHA-256", sha256)]
    rows += [(layer.name, extent(layer)) for layer in layers]
    for sample, found in results.summary.get("samples", {}).items():
        if found.get("verdict"):
            rows.append((f"Verdict on {sample}", str(found["verdict"])))
    rows += [("Warning", str(w)) for w in results.summary.get("warnings", ())]
    record: dict[str, Any] = results.record
    rows.append(("Computed with", f"plkit {record.get('plkit', '')}, " + ", ".join(
        f"{n} {v}" for n, v in record.get("libraries", {}).items()
    )))  # fmt: skip
    files = [
        (str(item["role"]), f"{item['name']}, SHA-256 {item['sha256']}")
        for item in record.get("inputs", ())
    ]
    recipe = f"<pre>{html.escape(str(record.get('recipe_text', '')))}</pre>"
    return _page(rows, notes, {"Files that went into it": table(files), "Recipe": recipe})


def _page(rows: list[tuple[str, str]], notes: Sequence[str], folded: Mapping[str, str]) -> str:
    """Notes, a table, and what is unfolded by a click."""
    rows.append(("This page", f"plkit {plkit.__version__}: plkit export-html"))
    told = "".join(f"<li>{html.escape(n)}</li>" for n in notes)
    out = f"<h2>How exact</h2><ul class='small'>{told}</ul>" if told else ""
    out += f"<h2>What was measured, and where it comes from</h2>{table(rows)}"
    for title, content in folded.items():
        if content:
            out += f"<details><summary>{title}</summary>{content}</details>"
    return out
