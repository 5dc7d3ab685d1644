"""Documentation: ``make docs`` builds it into docs/_build/html; nothing is fetched when it is viewed."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from pathlib import Path

import plkit
from plkit import names

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "plkit"
author = "plkit"
release = version = plkit.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "figures"]
html_theme = "pydata_sphinx_theme"
html_title = "plkit"
html_show_sourcelink = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Executed when asked for: it takes minutes. The suite executes them in any case.
nb_execution_mode = "cache" if os.environ.get("PLKIT_DOCS_EXECUTE") else "off"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autosummary_generate = True
autodoc_typehints = "none"

MODULES = {
    "plkit.spectra": "Corrections",
    "plkit.models": "Models for fits",
    "plkit.samples": "Sample data",
    "plkit.plot": "Figures",
    "plkit.sim": "Simulation",
    "plkit.cycling": "Periodic heating, measured",
}


def _nomenclature() -> str:
    rows = []
    for q in names.TABLE.values():
        unit = "–" if q.unit == "1" else q.unit
        symbol = q.symbol.replace("|", "∣")
        rows.append(f"| `{q.name}` | {symbol} | {unit} | {q.long_name} | {q.meaning} |")
    return "\n".join(
        [
            "# Nomenclature",
            "",
            "Every name in a file, with its symbol and unit; made from `plkit.names`. A quantity `q` leaves with its",
            "standard deviation as `q_stderr`, in the same unit.",
            "",
            "| name | symbol | unit | quantity | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _is_own(module: object, name: str) -> bool:
    value = getattr(module, name)
    return inspect.isfunction(value) or inspect.isclass(value)


def _autosummary(where: str, found: list[str]) -> list[str]:
    return [
        "```{eval-rst}",
        f".. currentmodule:: {where}",
        "",
        ".. autosummary::",
        "   :toctree: api",
        "",
        *(f"   {n}" for n in found),
        "```",
        "",
    ]


def _api() -> str:
    own = [n for n in sorted(plkit.__all__, key=str.lower) if _is_own(plkit, n)]
    lines = ["# Functions", "", "Everything below `plkit` is imported when it is first used.", ""]
    lines += ["## plkit", "", *_autosummary("plkit", own)]
    for where, title in MODULES.items():
        module = importlib.import_module(where)
        found = [n for n in module.__all__ if _is_own(module, n) and n not in own]
        lines += [f"## {title}", "", *_autosummary(where, found)]
    return "\n".join(lines)


def _write(name: str, text: str) -> None:
    """Write a generated page; unchanged ones keep their date, so that they are not built again."""
    path = HERE / "generated" / name
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, encoding="utf-8")


_write("nomenclature.md", _nomenclature())
_write("functions.md", _api())
for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    _write(notebook.name, notebook.read_text("utf-8"))
