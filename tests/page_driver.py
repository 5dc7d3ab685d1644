"""What the tests of pages share: a headless Chromium, a server of plkit view, a page that notes its faults.

Screenshots of every state go to the folder that PLKIT_SCREENSHOTS names, where one is named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plkit
from tests.conftest import _require_all
from tests.view_data import movie, results_file

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Finds models by name and turns shares of a figure's frame into positions on the screen.
HELP = """(() => {
  const models = () => [...Bokeh.documents[0]._all_models.values()];
  window.model = (name) => models().find((m) => m.name === name);
  window.data = (name) => model(name).data;
  window.place = (name, fx, fy) => {
    const view = Bokeh.index.find_one(model(name)); const r = view.el.getBoundingClientRect();
    const b = view.frame.bbox; return [r.left + b.left + fx * b.width, r.top + b.top + (1 - fy) * b.height];
  };
})()"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        message = "Chromium and playwright are needed"
        if _require_all():
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as p:
        found = p.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield found
        found.close()


def served(*words: object) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "plkit", "view", *map(str, words), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().split()[0]
    return server, address


def stop(server: subprocess.Popen[str]) -> None:
    server.terminate()
    server.wait(10)
    assert server.stdout is not None
    server.stdout.close()


@pytest.fixture(scope="module")
def file_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    server, address = served(plkit.write(movie(), folder / "movie.nc"))
    yield address
    stop(server)


@pytest.fixture(scope="module")
def results_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server, address = served(results_file(tmp_path_factory.mktemp("page_results")))
    yield address
    stop(server)


class Page:
    """A page with the faults that it showed."""

    def __init__(self, page: Any, address: str, name: str) -> None:
        self.page, self.address, self.name = page, address, name
        self.faults: list[str] = []
        page.set_default_timeout(20_000)
        page.on("console", lambda m: m.type == "error" and self.faults.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: self.faults.append(f"page: {e}"))
        page.on("request", lambda r: self._check(r.url))

    def _check(self, url: str) -> None:
        if not url.startswith((self.address, "data:", f"blob:{self.address}")):
            self.faults.append(f"request: {url}")

    def open(self, query: str = "") -> None:
        self.page.goto(self.address + query, wait_until="commit")
        self.ready()

    def ready(self) -> None:
        self.page.wait_for_function("window.plkit_ready && Bokeh.documents[0].is_idle")
        self.page.evaluate(HELP)

    def wait(self, expression: str) -> None:
        self.page.wait_for_function(expression)

    def at(self, figure: str, fx: float, fy: float) -> tuple[float, float]:
        self.page.evaluate(f"Bokeh.index.find_one(model('{figure}')).el.scrollIntoViewIfNeeded()")
        x, y = self.page.evaluate(f"place('{figure}', {fx}, {fy})")
        return x, y

    def share(self, figure: str, x: float) -> float:
        """Where a value lies on the horizontal axis of a figure, from 0 to 1."""
        start, end = self.page.evaluate(
            f"[model('{figure}').x_range.start, model('{figure}').x_range.end]"
        )
        return float((x - start) / (end - start))

    def tap(self, figure: str, fx: float, fy: float) -> None:
        self.page.mouse.click(*self.at(figure, fx, fy))

    def drag(self, figure: str, *places: tuple[float, float]) -> None:
        start = self.at(figure, *places[0])
        self.page.mouse.move(*start)
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(figure, *place), steps=4)
        self.page.mouse.up()

    def see(self, text: str) -> None:
        """Wait until the text is seen: closed tabs stay in the page, hidden."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True).first

    def button_named(self, name: str) -> Any:
        """Button by the name of its model, where several have the same label."""
        index = self.page.evaluate(f"model('{name}').id")
        self.page.evaluate(
            f"Bokeh.index.find_one(model('{name}')).el.setAttribute('data-plkit', {index!r})"
        )
        return self.page.locator(f"[data-plkit={index}] button").first

    def settled_address(self) -> None:
        """Wait until the address has been written and has not changed for a while."""
        self.wait(
            "(() => { const now = performance.now();"
            " if (window.last_address !== location.search)"
            " { window.last_address = location.search; window.since = now; }"
            " return location.search.startsWith('?s=') && now - window.since > 1500; })()"
        )

    def choose(self, name: str, value: str) -> None:
        """Choose in a list of the page, as a click would."""
        self.page.evaluate(f"model('{name}').value = {value!r}")

    def tab(self, title: str) -> None:
        self.page.locator(".bk-tab", has_text=title).first.click()

    def shot(self, state: str) -> None:
        folder = os.environ.get("PLKIT_SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder, f"{self.name}-{state}.png"), full_page=True)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Servers of one test; they stop when its pages are closed."""
    servers = []

    def new(*words: object) -> str:
        server, address = served(*words)
        servers.append(server)
        return address

    yield new
    for server in servers:
        stop(server)


@pytest.fixture
def page(
    browser: Any,
    serve: Callable[..., str],
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Page]]:
    """Open pages; at the end none may have shown a fault."""
    opened: list[Page] = []

    def new(address: str, width: int = 1400, query: str = "") -> Page:
        made = Page(
            browser.new_page(viewport={"width": width, "height": 1000}), address, request.node.name
        )
        made.page.context.grant_permissions(
            ["clipboard-read", "clipboard-write"], origin=address.rstrip("/")
        )
        opened.append(made)
        made.open(query)
        return made

    yield new
    for made in opened:
        assert made.faults == [], "\n".join(made.faults)
        made.page.close()


def message(p: Page) -> str:
    return re.sub("<[^>]+>", "", p.page.evaluate("model('message').text"))
