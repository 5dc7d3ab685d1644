"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

# Files that take longest, longest first: of two workers neither ends up with one of them alone.
_LONG = (
    "study_run", "page", "page_fits", "docs", "notebooks", "export_html_page", "page_compare", "reproduce",
    "page_simulate", "docs_validation", "benchmarks", "view", "export_html", "docstrings", "io_fuzz",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    order = {f"test_{name}.py": n for n, name in enumerate(_LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def _require_all() -> bool:
    return os.environ.get("PLKIT_REQUIRE_ALL") == "1"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of measured files; a run with PLKIT_REQUIRE_ALL=1 fails where it is absent."""
    folder = os.environ.get("PLKIT_TEST_DATA", "")
    path = Path(folder)
    if folder and path.is_dir():
        return path
    message = f"PLKIT_TEST_DATA is {folder or 'not set'}: no folder of measured files"
    if _require_all():
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def rng() -> np.random.Generator:
    """Generator with a fixed seed: tests repeat exactly."""
    return np.random.default_rng(20250101)
