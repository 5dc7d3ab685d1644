"""The documentation builds without a warning, asks nobody for anything, and its code runs."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built with every warning as an error."""
    if not os.environ.get("PLKIT_REQUIRE_ALL"):
        for package in ("sphinx", "myst_nb", "pydata_sphinx_theme", "sphinx-mathjax-offline"):
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"{package} is needed")
    folder = tmp_path_factory.mktemp("docs")
    ran = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(folder / "trees"),
         "-b", "html", str(DOCS), str(folder / "html")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return folder / "html"


def test_pages_ask_no_other_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 100
    loaded = re.compile(
        r'<(?:script|img|iframe|source)[^>]+src="(?:https?:)?//[^"]+"|<link[^>]+href="https?://[^"]+"'
    )
    asked = {p.name: m[0] for p in pages if (m := loaded.search(p.read_text("utf-8")))}
    assert asked == {}
    assert (site / "_static" / "mathjax" / "tex-svg.js").stat().st_size > 1e6


def test_links_between_pages_end_somewhere(site: Path) -> None:
    """Also those that Sphinx takes as they are: to a heading by its name, to a file."""
    ids: dict[Path, set[str]] = {}
    lost = []
    for page in site.rglob("*.html"):
        for target in re.findall(r'<a [^>]*?href="([^"]*)"', page.read_text("utf-8")):
            file, _, anchor = unquote(html.unescape(target)).partition("#")
            if ":" in file or file.startswith("//"):
                continue
            path = (page.parent / file.partition("?")[0]).resolve() if file else page.resolve()
            if not path.exists():
                lost.append(f"{page.name}: {target}")
            elif anchor and path.suffix == ".html":
                if path not in ids:
                    ids[path] = set(re.findall(r'\bid="([^"]*)"', path.read_text("utf-8")))
                if html.escape(anchor) not in ids[path] and anchor not in ids[path]:
                    lost.append(f"{page.name}: {target}")
    assert lost == []


def test_pages_in_a_browser(site: Path) -> None:
    """Narrow and dark: nothing is wider than the screen, equations are drawn, the search finds."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("PLKIT_REQUIRE_ALL"):
        pytest.skip("Chromium is needed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 700, "height": 900}, color_scheme="dark")
        asked: list[str] = []
        wrong: list[str] = []
        page.on("request", lambda r: asked.append(r.url))
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        for name in ("index", "methods/heating", "questions/temperature", "validation"):
            page.goto((site / f"{name}.html").as_uri())
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wide) <= 0, name
            if name == "methods/heating":
                page.wait_for_selector("mjx-container svg", state="attached", timeout=60_000)
                assert page.locator("mjx-merror").count() == 0
        assert wrong == []
        # Without a server Chromium shows the titles that were found, and not the lines around.
        page.goto((site / "search.html").as_uri() + "?q=unmixing")
        page.wait_for_selector("#search-results li a", timeout=60_000)
        browser.close()
    assert [url for url in asked if url.startswith("http")] == []


def test_every_public_function_has_a_page(site: Path) -> None:
    import plkit

    assert site.exists()

    listed = (DOCS / "generated" / "functions.md").read_text("utf-8")
    for name in plkit.__all__:
        if callable(getattr(plkit, name)):
            assert f"   {name}\n" in listed, name
