"""The report in a browser: it shows its numbers and asks no network for anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import plkit

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1000,1400", "--virtual-time-budget=3000",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("PLKIT_REQUIRE_ALL") == "1":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    recipe = plkit.simulate_study(folder / "study", seed=8, small=True)
    text = recipe.read_text("utf-8")
    recipe.write_text(text[: text.index('[samples."x1.5"]')], encoding="utf-8")
    plkit.run_study(recipe, folder / "results")
    return folder / "results" / "report.html"


def test_the_report_shows_its_numbers_and_requests_nothing(
    chromium: str, report: Path, tmp_path: Path
) -> None:
    log, picture = tmp_path / "net.json", tmp_path / "page.png"
    command = [chromium, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    page = report.as_uri()
    dom = subprocess.run(
        [*command, f"--log-net-log={log}", "--dump-dom", page],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert "reconstruction" in dom
    assert "Emission fractions are not phase fractions" in dom
    assert dom.count("<img") >= 5
    subprocess.run(
        [*command, f"--screenshot={picture}", page], capture_output=True, check=True, timeout=120
    )
    assert picture.stat().st_size > 20_000  # an empty page is smaller
    blank = tmp_path / "blank.json"
    subprocess.run(
        [*command, f"--log-net-log={blank}", "--dump-dom", "about:blank"],
        capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    assert _hosts(log) - _hosts(blank) == set()


def _hosts(log: Path) -> set[str]:
    """Hosts asked for, by Chromium's own record; some are the browser's own business."""
    text = log.read_text("utf-8").rstrip().rstrip(",")
    try:
        record = json.loads(text)
    except json.JSONDecodeError:  # the browser was ended before it closed the list
        record = json.loads(text + "]}")
    params = (e.get("params") for e in record["events"])
    urls = (p.get("url", "") for p in params if isinstance(p, dict))
    hosts = {urlsplit(u).hostname or "" for u in urls if u.startswith(("http:", "https:"))}
    own = (
        ".google.com",
        ".gvt1.com",
        "update.googleapis.com",
        "optimizationguide-pa.googleapis.com",
    )
    return {h for h in hosts if not h.endswith(own)}
