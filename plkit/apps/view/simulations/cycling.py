"""Thermal cycling: a film under light whose heater is switched, and which patterns keep it mixed."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import xarray as xr
from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColorBar,
    Column,
    ColumnDataSource,
    LinearColorMapper,
    Span,
)  # fmt: skip

import plkit
from plkit import names
from plkit.apps.view.parts import div, hover, new_figure, panel, table, wrapped
from plkit.apps.view.picture import palette_of
from plkit.apps.view.progress import Progress
from plkit.apps.view.simulations.form import AnyField, Choice, Field, Form, axis_text
from plkit.apps.view.tasks import Task
from plkit.apps.view.theme import CURSOR, paint
from plkit.errors import DataError
from plkit.names import ON_TIME, TIME, WAVELENGTH
from plkit.plot.style import CATEGORICAL, FAILED

__all__ = ["TITLE", "build", "map_of"]

TITLE: Final = "Thermal cycling"

_FIELDS: Final[dict[str, AnyField]] = {
    "pattern": Choice(
        "Heater", (("pulses", "Pulses"), ("continuous", "Always on"), ("never", "Never on"))
    ),
    "on_s": Field("Length of a pulse (s)", 0.5, 0.1, 0.01),
    "period_s": Field("Period (s)", 5.0, 0.5, 0.02),
    "duration_s": Field("Length of the experiment (s)", 180.0, 30.0, 1.0, 20_000.0),
    "current_ma": Field("Current of the heater (mA)", 400.0, 20.0),
    "ambient_k": Field("Temperature of the room (K)", 297.15, 0.5, 100.0, 1000.0),
    "exposure_s": Field("Exposure of a spectrum (s)", 0.5, 0.1, 0.02),
    "photons": Field("Photons per spectrum", 1e5, 0.0, 1.0, 1e9),
    "seed": Field("Seed of the noise", 1, 1, 0, 2**31, whole=True),
}
_SIDE: Final = 12
_SHOWN: Final = 400
_MOST_FRAMES: Final = 7200


def build(viewer: Any) -> Any:
    """Build the form and its figures."""
    return Cycling(viewer).root


def _protocol(v: dict[str, Any]) -> plkit.HeaterProtocol:
    if v["pattern"] == "continuous":
        return plkit.HeaterProtocol.continuous(v["duration_s"], v["current_ma"])
    on_s = 0.0 if v["pattern"] == "never" else v["on_s"]
    return plkit.HeaterProtocol(on_s, v["period_s"], v["duration_s"], v["current_ma"])


def cycling_of(v: dict[str, Any]) -> xr.Dataset:
    """Simulate what the form says."""
    return plkit.thermal_cycling(
        _protocol(v), emission=plkit.sim.CyclingEmission(photons_per_frame=v["photons"]),
        exposure_s=v["exposure_s"], ambient_k=v["ambient_k"], seed=v["seed"],
    )  # fmt: skip


def code_of(v: dict[str, Any]) -> str:
    """Python that does the same."""
    if v["pattern"] == "continuous":
        made = f"plkit.HeaterProtocol.continuous({v['duration_s']!r}, {v['current_ma']!r})"
    else:
        on_s = 0.0 if v["pattern"] == "never" else v["on_s"]
        made = (
            f"plkit.HeaterProtocol({on_s!r}, {v['period_s']!r}, {v['duration_s']!r}, "
            f"{v['current_ma']!r})"
        )
    axes = "\n".join(f"{n} = {a}" for n, a in zip(("on_s", "period_s"), _axes(v), strict=True))
    return (
        f"import plkit\n\nprotocol = {made}\n"
        "movie = plkit.thermal_cycling(\n"
        f"    protocol, emission=plkit.sim.CyclingEmission(photons_per_frame={v['photons']!r}),\n"
        f"    exposure_s={v['exposure_s']!r}, ambient_k={v['ambient_k']!r}, seed={v['seed']},\n)\n"
        "severity, largest = plkit.sim.severity_of(movie, protocol)\n\n"
        f"{axes}\n"
        f"found = plkit.map_thermal_cycling(on_s, period_s, duration_s={_map_duration(v)!r})\n"
    )


def _map_duration(v: dict[str, Any]) -> float:
    # Longer experiments end as those of an hour do, and a map is many of them.
    return float(min(v["duration_s"], 3600.0))


def _axes(v: dict[str, Any]) -> tuple[list[float], list[float]]:
    """On-times and periods of the map, around those of the form."""
    on = np.geomspace(min(0.05, v["on_s"]), max(5.0, v["on_s"]), _SIDE)
    longest = min(max(10.0, v["period_s"]), _map_duration(v))
    period = np.geomspace(min(0.5, v["period_s"], longest / 2), longest, _SIDE)
    on_s, period_s = ([float(f"{x:.3g}") for x in axis] for axis in (on, period))
    return on_s, period_s


def map_of(task: Task, v: dict[str, Any]) -> xr.Dataset:
    """Map over on-time and period, one on-time after the other."""
    on_s, period_s = _axes(v)
    rows = []
    for n, on in enumerate(on_s):
        rows.append(plkit.map_thermal_cycling([on], period_s, duration_s=_map_duration(v)))
        task.step(n + 1, len(on_s))
    return xr.concat(rows, ON_TIME, combine_attrs="override")


class Cycling:
    """Form; temperature, segregated fraction and spectra over time; the map of patterns."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.form = Form(viewer, "cycling", _FIELDS, self.draw, code_of)
        time = names.label(TIME)
        self.warm = new_figure("", time, axis_text("temperature"), width=520, height=190)
        self.share = new_figure(
            "", time, axis_text("segregated_fraction"), width=520, height=220,
            x_range=self.warm.x_range,
        )  # fmt: skip
        self.series = ColumnDataSource(
            {"x": [], "t": [], "s": [], "top": []}, name="cycling_series"
        )
        self.warm.line("x", "t", source=self.series, line_color=CATEGORICAL[1], line_width=1.5)
        line = self.share.line("x", "s", source=self.series, line_color=CURSOR, line_width=1.5)
        self.share.yaxis.formatter = BasicTickFormatter(power_limit_low=-4)
        self.share.add_tools(hover([line], ("t", "@x{0.0} s"), ("s", "@s{0.0000}")))
        for level in (0.5, 0.008):
            self.share.add_layout(
                Span(location=level, dimension="width", line_color="#888888", line_dash="dotted")
            )
        self.movie = new_figure("", names.label(WAVELENGTH), time, width=520, height=280)
        self.movie.x_range.range_padding = self.movie.y_range.range_padding = 0
        self.counts = LinearColorMapper(palette=palette_of("viridis"), low=0, high=1)
        self.image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self.movie.image("image", "x", "y", "dw", "dh", source=self.image, color_mapper=self.counts)
        self.movie.add_layout(ColorBar(color_mapper=self.counts, width=12), "right")
        self._make_map()
        self.progress = Progress(
            viewer, "Map of patterns", self._start, lambda task: self._show_map(task.result),
            names=("cycling_run", "cycling_cancel", "cycling_progress"), width=240,
        )  # fmt: skip
        self.text = div("", width=420, name="cycling_text")
        note = (
            "<small class='faint'>A phenomenological model, matched to one film (Feng et al., 2023): "
            "its constants do not carry over to another.</small>"
        )
        self.root = wrapped(
            self.form.panel(self.progress.root), Column(self.warm, self.share, self.movie),
            Column(panel("Found", self.text, div(note, width=420), width=450), self.patterns),
        )  # fmt: skip
        viewer.state.param.watch(lambda *_: self._paint(), "dark")
        self._paint()
        self.draw()

    def _make_map(self) -> None:
        self.patterns = new_figure(
            "Largest segregated fraction s_max in the last cycle", axis_text("period"),
            axis_text("on_time"), width=450, height=360, x_axis_type="log", y_axis_type="log",
            name="cycling_map",
        )  # fmt: skip
        self.patterns.x_range.range_padding = self.patterns.y_range.range_padding = 0
        self.shares = LinearColorMapper(
            palette=palette_of("viridis"), low=0, high=1, nan_color=FAILED
        )
        self.cells = ColumnDataSource(
            {k: [] for k in ("left", "right", "bottom", "top", "s", "kind", "on", "period")},
            name="cycling_cells",
        )
        quads = self.patterns.quad(
            "left", "right", "bottom", "top", source=self.cells, line_color=None,
            fill_color={"field": "s", "transform": self.shares},
        )  # fmt: skip
        self.patterns.add_tools(
            hover(
                [quads], ("on", "@on s"), ("period", "@period s"), ("s", "@s{0.000}"), ("", "@kind")
            )
        )
        bar = ColorBar(color_mapper=self.shares, width=12, ticker=BasicTicker())
        self.patterns.add_layout(bar, "right")
        self.here = ColumnDataSource({"x": [], "y": []})
        self.patterns.scatter(
            "x", "y", source=self.here, marker="cross", size=14, line_color="#D55E00", line_width=3
        )
        self.patterns.visible = False

    def _paint(self) -> None:
        for f in (self.warm, self.share, self.movie, self.patterns):
            paint(f, self.viewer.state.dark)

    def draw(self) -> None:
        """Simulate and draw; the newest form counts."""
        v = self.form.values
        if v["duration_s"] > _MOST_FRAMES * v["exposure_s"]:
            raise DataError(
                "simulate thermal cycling",
                f"these are {v['duration_s'] / v['exposure_s']:.0f} spectra, not {_MOST_FRAMES} at most",
                "Take a longer exposure.",
            )
        pulses = v["pattern"] == "pulses"
        self.form.widgets["on_s"].visible = self.form.widgets["period_s"].visible = pulses
        self.here.data = {"x": [v["period_s"]], "y": [v["on_s"]]} if pulses else {"x": [], "y": []}

        def compute() -> Any:
            movie = cycling_of(v)
            return movie, plkit.sim.severity_of(movie, _protocol(v))

        self.viewer.ask("cycling", compute, lambda found: self._show(*found), here=False)

    def _show(self, movie: xr.Dataset, judged: tuple[str, float]) -> None:
        t = movie[TIME].values
        self.series.data = {
            "x": t, "t": movie["temperature"].values, "s": movie["segregated_fraction"].values,
            "top": movie["segregated_fraction_maximum"].values,
        }  # fmt: skip
        step = -(-t.size // _SHOWN)
        n = t.size // step * step
        counts = (
            movie["intensity"].values[:n].astype(float).reshape(-1, step, movie.sizes[WAVELENGTH])
        )
        drawn = counts.mean(1).astype(np.float32)
        self.counts.update(
            low=float(np.percentile(drawn, 1)), high=float(np.percentile(drawn, 99.9))
        )
        axis = movie[WAVELENGTH].values
        self.image.data = {
            "image": [drawn], "x": [float(axis[0])], "dw": [float(np.ptp(axis))], "y": [0.0],
            "dh": [float(n * (t[1] - t[0]) if t.size > 1 else 2 * t[0])],
        }  # fmt: skip
        self.movie.title.text = (
            "Spectra (counts)" if step == 1 else f"Spectra (counts), means of {step}"
        )
        kind, top = judged
        last = max(1, t.size // 10)
        self.text.text = table([
            ("Pattern", str(movie.attrs["protocol"])),
            ("Segregation at the end", kind),
            ("Largest segregated fraction, last cycle", f"{top:.4f}"),
            ("Share of the light that it emits, end", f"{float(movie['fraction'][-last:].mean()):.4f}"),
            ("Mean temperature, last tenth", f"{float(movie['temperature'][-last:].mean()):.2f} K"),
        ])  # fmt: skip

    def _start(self) -> None:
        v = self.form.values
        self.progress.run(Task(lambda task: map_of(task, v)), "Map of patterns")

    def _show_map(self, found: xr.Dataset) -> None:
        on, period = (found[d].values for d in ("on_time", "period"))
        (y0, y1), (x0, x1) = _cells(on), _cells(period)
        words = {-1: "no such pattern", 0: "none", 1: "mild", 2: "severe"}
        i, j = (a.ravel() for a in np.indices((on.size, period.size)))
        kind = found["severity"].values
        self.cells.data = {
            "left": x0[j], "right": x1[j], "bottom": y0[i], "top": y1[i],
            "s": found["segregated_fraction_maximum"].values[i, j],
            "kind": [words[int(k)] for k in kind[i, j]], "on": on[i], "period": period[j],
        }  # fmt: skip
        self.patterns.visible = True


def _cells(axis: Any) -> tuple[Any, Any]:
    """Lower and upper edges of cells around values on a logarithmic axis."""
    log = np.log(axis)
    middle = 0.5 * (log[1:] + log[:-1])
    half = 0.5 * (log[1] - log[0]) if axis.size > 1 else math.log(1.1)
    edges = np.exp(np.concatenate([[log[0] - half], middle, [log[-1] + half]]))
    return edges[:-1], edges[1:]
