"""The spectrum with what is fitted to it, and the trace over time; patched in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import BoxAnnotation, BoxSelectTool, ColumnDataSource, Span
from numpy.typing import NDArray

from plkit import names
from plkit.apps.view.overlay import Overlay
from plkit.apps.view.parts import fill, hover, new_figure
from plkit.apps.view.theme import CURSOR, paint

__all__ = ["SpectrumGraph", "TraceGraph"]

_PARTS = ("#E69F00", "#009E73", "#CC79A7", "#8C564B")


class SpectrumGraph:
    """Spectrum under the cursor with its σ, pinned ones, a fit with its parts, and residuals."""

    def __init__(self, width: int = 560) -> None:
        self.figure = new_figure("", "", "", width=width, height=300, name="spectrum")
        self.figure.x_range.range_padding = 0.02
        self.sigma = ColumnDataSource({"x": [], "low": [], "high": []})
        self.figure.varea("x", "low", "high", source=self.sigma, fill_color=CURSOR, fill_alpha=0.25)
        self.frames = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.figure.multi_line("x", "y", source=self.frames, line_color="colour", line_alpha=0.8)
        self.kept = ColumnDataSource(
            {"x": [], "y": [], "colour": [], "name": []}, name="spectrum_kept"
        )
        lines = self.figure.multi_line(
            "x", "y", source=self.kept, line_color="colour", line_width=1.5
        )
        self.here = ColumnDataSource({"x": [], "y": []}, name="spectrum_here")
        cursor = self.figure.line("x", "y", source=self.here, line_color=CURSOR, line_width=1.5)
        self.parts = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.figure.multi_line(
            "x", "y", source=self.parts, line_color="colour", line_dash="dashed", line_width=1.5
        )
        self.total = ColumnDataSource({"x": [], "y": []})
        self.figure.line(
            "x", "y", source=self.total, line_width=1.5, line_color="black", tags=["ink"]
        )
        self.band = BoxAnnotation(
            left=0, right=0, fill_color="#E69F00", fill_alpha=0.15, line_color="#E69F00", visible=False,
            editable=True, movable="x", resizable="x",
        )  # fmt: skip
        self.slice = Span(
            location=0, dimension="height", line_color="#D55E00", line_width=2, visible=False,
            editable=True,
        )  # fmt: skip
        self.figure.add_layout(self.band)
        self.figure.add_layout(self.slice)
        # Ranges follow the curves alone, not a band or a line that is somewhere else.
        self.figure.x_range.renderers = self.figure.y_range.renderers = list(self.figure.renderers)
        self.band_tool = BoxSelectTool(dimensions="width", description="Drag a band")
        self.figure.add_tools(
            self.band_tool, hover([cursor, lines], ("", "$x{0.00}"), ("", "$y{0.0}"))
        )
        self.figure.toolbar.active_drag = self.band_tool

        self.residual = new_figure("", "", "", width=width, height=130, x_range=self.figure.x_range)
        self.residual.visible = False
        self.misfit = ColumnDataSource({"x": [], "y": []}, name="misfit")
        self.residual.line("x", "y", source=self.misfit, line_color=CURSOR)
        for level, dash in ((0, "solid"), (1, "dotted"), (-1, "dotted")):
            self.residual.add_layout(
                Span(location=level, dimension="width", line_color="#888888", line_dash=dash)
            )

    def set_axis(self, label: str, value: str) -> None:
        """Set the labels, with units."""
        self.figure.xaxis.axis_label = label
        self.residual.xaxis.axis_label = label
        self.figure.yaxis.axis_label = value

    def show(self, spectrum: xr.Dataset, variable: str, dim: str, title: str) -> None:
        """Draw the spectrum under the cursor."""
        x = axis_values(spectrum, dim)
        y = spectrum[variable].values.astype(np.float32)
        self.here.data = {"x": x, "y": y}
        self.figure.title.text = title

    def show_sigma(self, spectrum: xr.Dataset, variable: str, dim: str) -> None:
        """Draw the band of one σ around the spectrum under the cursor, where σ is known."""
        name = names.stderr_name(variable)
        band: dict[str, Any] = {"x": [], "low": [], "high": []}
        if name in spectrum:
            y, s = spectrum[variable].values, spectrum[name].values
            band = {"x": axis_values(spectrum, dim), "low": y - s, "high": y + s}
            band = {k: v.astype(np.float32) for k, v in band.items()}
        fill(self.sigma, band)

    def keep(
        self, spectra: Sequence[tuple[Mapping[str, Any], xr.Dataset]], variable: str, dim: str
    ) -> None:
        """Draw the spectra of pins and regions."""
        kept = {
            "x": [axis_values(ds, dim) for _, ds in spectra],
            "y": [ds[variable].values.astype(float) for _, ds in spectra],
            "colour": [e["colour"] for e, _ in spectra],
            "name": [e["name"] for e, _ in spectra],
        }
        fill(self.kept, kept)

    def show_frames(self, x: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        """Draw the spectra of all frames, dark for early and bright for late."""
        from bokeh.palettes import Viridis256

        n = len(values)
        steps = [Viridis256[int(230 * i / max(n - 1, 1))] for i in range(n)]
        self.frames.data = {
            "x": [x] * n, "y": list(values), "colour": steps, "name": [str(i) for i in range(n)],
        }  # fmt: skip

    def show_fit(self, fit: Overlay | None) -> None:
        """Draw a fit, its parts and its residual; None takes them away."""
        if fit is None:
            for source in (self.total, self.misfit):
                fill(source, {"x": [], "y": []})
            fill(self.parts, {"x": [], "y": [], "colour": [], "name": []})
            self.residual.visible = False
            return
        self.residual.visible = True
        self.total.data = {"x": fit.x, "y": fit.total}
        self.misfit.data = {"x": fit.x, "y": fit.residual}
        self.parts.data = {
            "x": [fit.x] * len(fit.parts), "y": list(fit.parts.values()),
            "colour": [_PARTS[i % len(_PARTS)] for i in range(len(fit.parts))],
            "name": list(fit.parts),
        }  # fmt: skip
        self.residual.title.text = "Residual"
        self.residual.yaxis.axis_label = "σ" if fit.in_sigma else "counts"

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        paint(self.figure, dark)
        paint(self.residual, dark)


class TraceGraph:
    """A quantity along what is played: at the cursor, at the pins, in the regions."""

    def __init__(self, width: int = 560) -> None:
        self.figure = new_figure("", "", "", width=width, height=240, name="trace")
        self.kept = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.figure.multi_line("x", "y", source=self.kept, line_color="colour", line_width=1.5)
        self.here = ColumnDataSource({"x": [], "y": []})
        self.figure.line("x", "y", source=self.here, line_color=CURSOR)
        points = self.figure.scatter("x", "y", source=self.here, color=CURSOR, size=4)
        self.now = Span(dimension="height", line_color="#888888", line_width=1.5)
        self.figure.add_layout(self.now)
        self.figure.add_tools(hover([points], ("", "$x{0.00}"), ("", "@y{0.000}")))

    def show(
        self, x: NDArray[np.float64], y: NDArray[np.float64],
        kept: Sequence[tuple[Mapping[str, Any], NDArray[np.float64]]],
    ) -> None:  # fmt: skip
        """Draw the traces."""
        self.here.data = {"x": x, "y": y}
        traces = {
            "x": [x] * len(kept), "y": [v for _, v in kept],
            "colour": [e["colour"] for e, _ in kept], "name": [e["name"] for e, _ in kept],
        }  # fmt: skip
        fill(self.kept, traces)

    def paint(self, dark: bool) -> None:
        """Light or dark."""
        paint(self.figure, dark)


def axis_values(spectrum: xr.Dataset, dim: str) -> NDArray[np.float64]:
    """Values of the spectral axis; indices where there are none."""
    if dim in spectrum.coords:
        return np.asarray(spectrum[dim].values, dtype=float)
    return np.arange(spectrum.sizes[dim], dtype=float)
