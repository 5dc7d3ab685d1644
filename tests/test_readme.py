"""The README's Python runs and says what the README says it does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_ten_lines_recover_the_activation_energy() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    assert len([line for line in block.splitlines() if line.strip()]) <= 14
    out = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"E_a = ([\d.]+) ± ([\d.]+) eV", out)
    assert found
    assert abs(float(found[1]) - 0.217) < 3 * float(found[2])


def test_every_file_that_the_readme_names_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (README.parent / link).exists()]
    assert missing == []
