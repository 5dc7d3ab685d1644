"""What the studies of docs/validation.md share: panels of numbers, their figure, their files.

A study is a function ``study(small)`` that returns panels. ``small`` repeats less often, at the same
places, so that a test can compare it with the numbers that are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from plkit import plot
from plkit.plot.style import CATEGORICAL, new_axes, new_figure, styled

ONE_SIGMA = 0.6827
MARKERS = "osD^vPX*"


@dataclass
class Panel:
    """One axes: series against x, and where the truth lies."""

    x: list[float]
    x_label: str
    y_label: str
    x_scale: str = "log"
    y_scale: str = "linear"
    truth: list[float] | None = None
    truth_label: str = "truth"
    y_range: tuple[float, float] | None = None
    series: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, name: str, y: Any, stderr: Any = 0.0) -> None:
        """Add a series; ``stderr`` is how far chance may move it, 0 where nothing is drawn at random."""
        value = np.atleast_1d(np.asarray(y, float))
        sigma = np.broadcast_to(np.asarray(stderr, float), value.shape)
        self.series[name] = {
            "y": [float(f"{v:.6g}") for v in value],
            "stderr": [float(f"{v:.3g}") for v in sigma],
        }


def coverage(x: list[float], x_label: str, *, low: float = 0.5) -> Panel:
    """Make a panel for the share of intervals of one σ that hold the truth."""
    return Panel(
        x, x_label, "share within ±σ", truth=[ONE_SIGMA], truth_label="68.3 %", y_range=(low, 0.85)
    )


def share(inside: Any, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Share of True, with its standard error if the true share is near 68 %."""
    inside = np.asarray(inside)
    p = inside.mean(axis)
    return p, np.sqrt(np.maximum(p * (1 - p), 0.15) / inside.shape[axis])


@styled
def draw(panels: dict[str, dict[str, Any]]) -> Figure:
    """Draw the panels side by side."""
    figure = new_figure("double", 0.4 if len(panels) < 3 else 0.34)
    for ax, p in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.values(), strict=True):
        new_axes(ax)
        if p["truth"] is not None:
            y = np.broadcast_to(p["truth"], len(p["x"]))
            ax.plot(p["x"], y, color="0.4", lw=0.9, ls="--", label=p["truth_label"])
        for i, (name, s) in enumerate(p["series"].items()):
            ax.errorbar(
                p["x"], s["y"], s["stderr"] if any(s["stderr"]) else None, label=name, lw=0.9, ms=3,
                marker=MARKERS[i % 8], color=CATEGORICAL[i % len(CATEGORICAL)], capsize=1.5,
                ls="-" if i < len(CATEGORICAL) else ":",
            )  # fmt: skip
        ax.set(xscale=p["x_scale"], yscale=p["y_scale"], xlabel=p["x_label"], ylabel=p["y_label"])
        if p["y_range"]:
            ax.set_ylim(*p["y_range"])
        ax.legend(fontsize=6, ncols=2 if len(p["series"]) > 4 else 1)
    return figure


def identifier(panels: dict[str, Any]) -> str:
    """Identify the numbers of a figure; it is written into its PNG."""
    return hashlib.sha256(json.dumps(panels, sort_keys=True).encode()).hexdigest()[:12]


def write(folder: str | Path, name: str, panels: dict[str, dict[str, Any]]) -> None:
    """Write numbers and figure."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"id": identifier(panels), "panels": panels}, indent=1, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        files = plot.save_figure(
            draw(panels), f"{temporary}/{name}", identifier=identifier(panels), dpi=120
        )
        (folder / f"{name}.png").write_bytes(files["png"].read_bytes())


def numbers(panels: dict[str, Panel]) -> dict[str, dict[str, Any]]:
    """Turn panels into what JSON holds, as it comes back from it."""
    plain: dict[str, dict[str, Any]] = json.loads(
        json.dumps({k: asdict(p) for k, p in panels.items()})
    )
    return plain


def main(name: str, study: Callable[[bool], dict[str, Panel]]) -> None:
    """Run a study from the command line: ``python docs/figures/validation/NAME.py [FOLDER] [--small]``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default="docs/images/validation")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    write(args.folder, name, numbers(study(args.small)))
