"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest


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
