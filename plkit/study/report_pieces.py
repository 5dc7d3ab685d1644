"""Pieces of HTML that the sections of the report are made of."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from plkit.errors import DataError
from plkit.plot.style import value_text

__all__ = ["cell", "embedded", "number_text", "section", "table"]

_MEDIA: Final = {".svg": "image/svg+xml", ".png": "image/png"}


def section(name: str, title: str, *parts: str) -> str:
    """Return a section with its heading; the parts are HTML already."""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "") -> str:
    """Return a table; the cells are HTML already."""
    heads = "".join(f"<th>{escape(h)}</th>" for h in head)
    lines = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    below = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{below}<tr>{heads}</tr>{lines}</table></div>'


def cell(text: str, kind: str = "") -> str:
    """Return one cell of a table."""
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"


def number_text(entry: Any, unit: str = "1") -> str:
    """Return an estimate with its σ and unit, or that there is none."""
    if isinstance(entry, Mapping) and entry.get("value") is not None:
        stderr = entry.get("stderr")
        return value_text(float(entry["value"]), None if stderr is None else float(stderr), unit)
    return "not found"


def embedded(file: Path) -> str:
    """Return a picture as the address that an image in the file itself has."""
    if file.suffix not in _MEDIA:
        raise DataError("write the report", f"the figure '{file.name}' is not an SVG or PNG file")
    try:
        content = base64.b64encode(file.read_bytes()).decode("ascii")
    except OSError as error:
        raise DataError(
            "write the report", f"the figure '{file}' cannot be read ({error.strerror})"
        ) from error
    return f"data:{_MEDIA[file.suffix]};base64,{content}"
