"""The documentation builds without a warning, asks nobody for anything, and its code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(
    p.relative_to(DOCS).as_posix()
    for p in DOCS.rglob("*.md")
    if not {"generated", "_build"} & set(p.relative_to(DOCS).parts) and "```python\n" in p.read_text("utf-8")
)  # fmt: skip
FRAGMENTS = {"lifetimes.md", "files.md"}
"""Pages whose code needs a file of the reader's own."""


PRINTED = re.compile(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", re.S | re.M)
"""A block of code, and what it prints where the page says so."""


@pytest.mark.parametrize("page", [p for p in PAGES if p not in FRAGMENTS])
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page: str, tmp_path: Path) -> None:
    blocks = PRINTED.findall((DOCS / page).read_text("utf-8"))
    mark = "end of block"
    script = tmp_path / "page.py"
    script.write_text("".join(f"{code}\nprint({mark!r})\n" for code, _ in blocks), encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", script.name], cwd=tmp_path, capture_output=True,
        text=True, encoding="utf-8",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    for (_, said), printed in zip(blocks, ran.stdout.split(mark + "\n"), strict=False):
        assert not said or printed == said


def test_pages_are_built_without_a_warning_and_ask_no_other_host(tmp_path: Path) -> None:
    if not os.environ.get("PLKIT_REQUIRE_ALL"):
        for package in ("sphinx", "myst_nb", "pydata_sphinx_theme"):
            pytest.importorskip(package)
    target = tmp_path / "html"
    ran = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "trees"),
         "-b", "html", str(DOCS), str(target)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    pages = sorted(target.rglob("*.html"))
    assert len(pages) > 60
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]+src="(?:https?:)?//[^"]+"|<link[^>]+href="https?://[^"]+"'
    )
    asked = {p.name: m[0] for p in pages if (m := loaded.search(p.read_text("utf-8")))}
    assert asked == {}


def test_every_public_function_has_a_page() -> None:
    import plkit

    listed = (DOCS / "generated" / "functions.md").read_text("utf-8")
    for name in plkit.__all__:
        if callable(getattr(plkit, name)):
            assert f"   {name}\n" in listed, name
