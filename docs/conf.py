"""Documentation: ``make docs`` builds it into docs/_build/html; nothing is fetched when it is viewed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import shutil
import sys
from pathlib import Path
from typing import Any

import plkit
from plkit import names

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "plkit"
author = "plkit"
release = version = plkit.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
nitpicky = True  # a reference to a function that does not exist is an error
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "figures"]
html_theme = "pydata_sphinx_theme"
html_title = "plkit"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["plkit.css"]
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}
myst_enable_extensions = ["colon_fence", "dollarmath"]
# One file of MathJax, copied below: the default would be asked for on the net.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}
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
EQUATIONS = {
    "arrhenius": "Rates and temperature",
    "calibration": "Energy and composition",
    "carriers": "Carriers",
    "cycling": "Periodic heating",
    "decay": "Lifetimes",
    "fick": "Diffusion",
    "funnelling": "Funnelling",
    "heat": "Heat, closed forms",
    "heat_layers": "Heat through layers",
    "hopping": "Ion hopping",
    "lattice": "Lattice constants",
    "lineshapes": "Line shapes",
    "optics": "Thin films",
    "photons": "Photons",
    "rates": "Rate laws",
    "resampling": "Spectral channels",
    "runs": "Runs of residuals",
    "sizes": "Sizes of particles",
}
"""Modules of plkit.physics whose functions are equations; the others are the machinery of fits."""


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
        f".. py:module:: {where}",
        "",
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


def _equations() -> str:
    lines = [
        "# Equations as functions",
        "",
        "Every equation of the [methods](../methods/index.md) stands once, in `plkit.physics`, on",
        "plain numbers and arrays.",
        "",
    ]
    there = {
        m.name for m in pkgutil.iter_modules(importlib.import_module("plkit.physics").__path__)
    }
    assert set(EQUATIONS) <= there, set(EQUATIONS) - there
    for name, title in EQUATIONS.items():
        where = f"plkit.physics.{name}"
        module = importlib.import_module(where)
        found = [
            n
            for n in module.__all__
            if _is_own(module, n) and getattr(module, n).__module__ == where
        ]
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
_write("equations.md", _equations())
for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    _write(notebook.name, notebook.read_text("utf-8"))


def _copy_mathjax(app: Any, failed: Exception | None) -> None:
    """Put MathJax beside the pages; without the package equations stay as they are written."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if (
        failed is None
        and spec is not None
        and spec.origin is not None
        and app.builder.format == "html"
    ):
        source = Path(spec.origin).parent / "static" / "mathjax" / "tex-svg.js"
        target = Path(app.outdir) / "_static" / mathjax_path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def setup(app: Any) -> None:
    """Connect to Sphinx."""
    app.connect("build-finished", _copy_mathjax)
