"""Ions that hop through a lattice under the laser: gap, composition from above and around the beam."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import xarray as xr
from bokeh.models import ColorBar, Column, ColumnDataSource, LinearColorMapper, Slider

import plkit
from plkit import names
from plkit.apps.view.parts import div, dress, hover, legend_above, new_figure, panel, table, wrapped
from plkit.apps.view.picture import palette_of
from plkit.apps.view.progress import Progress
from plkit.apps.view.simulations.form import AnyField, Choice, Field, Form, Switch, axis_text
from plkit.apps.view.tasks import Task
from plkit.apps.view.theme import CURSOR, paint
from plkit.names import TIME, Z
from plkit.plot.style import CATEGORICAL

__all__ = ["TITLE", "build", "hopping_of"]

TITLE: Final = "Ion hopping"

_FIELDS: Final[dict[str, AnyField]] = {
    "rule": Choice("Rule", (("exact", "Exact, in time"), ("published", "Published, in steps"))),
    "end_s": Field("Until (s)", 2e-7, 0.0, 1e-15),
    "steps": Field("Until step", 300, 50, 1, 5000, whole=True),
    "snapshots": Field("Snapshots", 24, 4, 2, 200, whole=True),
    "size": Field("Sites along each edge", 20, 2, 4, 64, whole=True),
    "iodide": Field("Share of sites with iodide", 0.352, 0.01, 0.0, 1.0),
    "vacancies": Field("Share of empty sites", 0.008, 0.001, 0.0, 1.0),
    "closed": Switch("Closed ends instead of periodic ones"),
    "bromide_ev": Field("Barrier of bromide (eV)", 0.21, 0.01),
    "iodide_ev": Field("Barrier of iodide (eV)", 0.10, 0.01),
    "attempts_per_s": Field("Attempt rate k0 (1/s)", 1e12, 0.0, 1.0),
    "ambient_k": Field("Temperature far away (K)", 293.15, 1.0, 1.0),
    "peak_k": Field("Rise on the axis, A0 (K); 0: dark", 6.0, 0.5),
    "waist": Field("Waist w0 (widths of the lattice)", 0.1, 0.02, 0.01),
    "temperature_at": Choice("Temperature of a hop", (("ion", "At the ion"), ("bond", "At the bond"))),
    "escape": Switch("Iodide escapes from warm places", True),
    "escape_a": Field("A of the escape", 0.027, 0.001, 0.0, 1.0),
    "escape_alpha": Field("α of the escape (1/K)", 0.02, 0.005, 1e-6),
    "escape_per_s": Field("Attempts to escape, per ion (1/s)", 1e10, 0.0, 1e-6),
    "carriers": Switch("Carriers as a driving force"),
    "density_cm3": Field("Their density (cm⁻³)", 1.7e18, 0.0, 1e10),
    "seed": Field("Seed", 1, 1, 0, 2**31, whole=True),
}  # fmt: skip


def build(viewer: Any) -> Any:
    """Build the form and its figures."""
    return Hopping(viewer).root


def _times(v: dict[str, Any]) -> list[float]:
    if v["rule"] == "published":
        steps = np.unique(np.linspace(0, v["steps"], v["snapshots"]).round())
        return [float(s) for s in steps]
    return [float(f"{t:.6g}") for t in np.linspace(0.0, v["end_s"], v["snapshots"])]


def _model(v: dict[str, Any]) -> tuple[plkit.IonLattice, plkit.IonHopping]:
    published = v["rule"] == "published"
    escape = carriers = None
    if v["escape"]:
        escape = plkit.IodideEscape(
            v["escape_a"], v["escape_alpha"], None if published else v["escape_per_s"]
        )
    if v["carriers"]:
        carriers = plkit.CarrierEnergy(v["density_cm3"])
    lattice = plkit.IonLattice(
        (v["size"],) * 3, v["iodide"], v["vacancies"], "closed" if v["closed"] else "periodic"
    )
    model = plkit.IonHopping(
        v["bromide_ev"], v["iodide_ev"], v["attempts_per_s"], v["ambient_k"],
        laser=plkit.LaserRise(v["peak_k"], v["waist"]) if v["peak_k"] > 0 else None,
        temperature_at=v["temperature_at"], escape=escape, carriers=carriers, rule=v["rule"],
    )  # fmt: skip
    return lattice, model


def hopping_of(task: Task, v: dict[str, Any]) -> xr.Dataset:
    """Run from snapshot to snapshot: a run that is continued is the one that was never stopped."""
    lattice, model = _model(v)
    times = _times(v)
    with task.noting():
        run = plkit.simulate_ion_hopping(lattice, model, times[:1], seed=v["seed"])
    parts = [run]
    for n, t in enumerate(times[1:]):
        task.step(n, len(times) - 1)
        with task.noting():
            run = plkit.simulate_ion_hopping(run, model, [t])
        parts.append(run)
    task.step(1, 1)
    over_time = [n for n, da in run.data_vars.items() if TIME in da.dims]
    moving = xr.concat([p[over_time] for p in parts], TIME, combine_attrs="override")
    return xr.merge([moving, run.drop_vars(over_time).drop_vars(TIME)], combine_attrs="override")


def code_of(v: dict[str, Any]) -> str:
    """Python that does the same."""
    v = counting(v)
    published = v["rule"] == "published"
    more = []
    if v["peak_k"] > 0:
        more.append(f"laser=plkit.LaserRise({v['peak_k']!r}, {v['waist']!r})")
    more.append(f"temperature_at={v['temperature_at']!r}")
    if v["escape"]:
        attempts = None if published else v["escape_per_s"]
        more.append(
            f"escape=plkit.IodideEscape({v['escape_a']!r}, {v['escape_alpha']!r}, {attempts!r})"
        )
    if v["carriers"]:
        more.append(f"carriers=plkit.CarrierEnergy({v['density_cm3']!r})")
    more.append(f"rule={v['rule']!r}")
    ends = "closed" if v["closed"] else "periodic"
    return (
        "import plkit\n\n"
        f"lattice = plkit.IonLattice(({v['size']},) * 3, {v['iodide']!r}, {v['vacancies']!r}, {ends!r})\n"
        f"model = plkit.IonHopping(\n    {v['bromide_ev']!r}, {v['iodide_ev']!r}, "
        f"{v['attempts_per_s']!r}, {v['ambient_k']!r},\n    {', '.join(more)},\n)\n"
        f"times = {_times(v)}\n"
        f"run = plkit.simulate_ion_hopping(lattice, model, times, seed={v['seed']})\n"
    )


class Hopping:
    """Form; gap and composition of the irradiated column; the lattice from above; rings."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.run: xr.Dataset | None = None
        self.published = False
        self.form = Form(viewer, "hopping", _FIELDS, self._entered, code_of)
        self.progress = Progress(
            viewer, "Run", self._start, self._finish,
            names=("hopping_run", "hopping_cancel", "hopping_progress"), width=240,
        )  # fmt: skip
        self.gap = new_figure("", "", axis_text("local_gap"), width=470, height=240)
        self.curve = ColumnDataSource({"x": [], "gap": [], "share": []}, name="hopping_curve")
        line = self.gap.line("x", "gap", source=self.curve, line_color=CURSOR, line_width=1.5)
        self.gap.scatter("x", "gap", source=self.curve, color=CURSOR, size=5)
        self.gap.add_tools(hover([line], ("", "$x"), ("E_g", "@gap{0.000} eV")))
        self.counts = new_figure("", "", "Number, in thousands", width=470, height=230)
        self.events = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.counts.multi_line(
            "x", "y", source=self.events, line_color="colour", line_width=2, legend_field="name"
        )
        legend_above(self.counts)
        self.above = new_figure("", "x (nm)", "y (nm)", width=420, height=370, match_aspect=True)
        self.above.x_range.range_padding = self.above.y_range.range_padding = 0
        self.shares = LinearColorMapper(palette=palette_of("viridis"), low=0, high=1)
        self.image = ColumnDataSource(
            {"image": [], "x": [], "y": [], "dw": [], "dh": []}, name="hopping_image"
        )
        self.above.image("image", "x", "y", "dw", "dh", source=self.image, color_mapper=self.shares)
        self.above.add_layout(ColorBar(color_mapper=self.shares, width=12), "right")
        self.frame = Slider(
            start=0, end=1, step=1, value=0, title="Snapshot", width=380, name="hopping_frame"
        )
        dress(self.frame)
        self.frame.on_change("value", viewer.changes(lambda *_: self._draw_frame()))
        self.rings = new_figure("", "r (nm)", "Share of the sites", width=420, height=240)
        self.ring_data = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.rings.multi_line(
            "x", "y", source=self.ring_data, line_color="colour", line_width=2, legend_field="name"
        )
        legend_above(self.rings)
        self.text = div("<p>Press Run.</p>", width=440, name="hopping_text")
        self.root = wrapped(
            self.form.panel(self.progress.root),
            Column(self.gap, self.counts, panel("Found", self.text, width=470)),
            Column(self.above, self.frame, self.rings),
        )  # fmt: skip
        viewer.state.param.watch(lambda *_: self._paint(), "dark")
        self._paint()
        self._entered()

    def _paint(self) -> None:
        for f in (self.gap, self.counts, self.above, self.rings):
            paint(f, self.viewer.state.dark)

    def _entered(self) -> None:
        """Show the fields that count for this rule."""
        v = self.form.values
        published = v["rule"] == "published"
        shown = {
            "end_s": not published, "steps": published, "temperature_at": not published,
            "carriers": not published and not v["escape"],
            "density_cm3": not published and v["carriers"] and not v["escape"],
            "attempts_per_s": not published, "escape_a": v["escape"], "escape_alpha": v["escape"],
            "escape_per_s": v["escape"] and not published, "waist": v["peak_k"] > 0,
        }  # fmt: skip
        for name, visible in shown.items():
            self.form.widgets[name].visible = visible

    @property
    def values(self) -> dict[str, Any]:
        """What the form says; what it does not show does not count."""
        return counting(self.form.values)

    def _start(self) -> None:
        v = self.values
        _model(v)  # what makes no run is said at once
        self.progress.run(Task(lambda task: (hopping_of(task, v), v)), "Run")

    def _finish(self, task: Task) -> None:
        self.run, v = task.result
        self.published = v["rule"] == "published"
        run = self.run
        t = run[TIME].values
        label = "Step" if self.published else names.label(TIME)
        for f in (self.gap, self.counts):
            f.xaxis.axis_label = label
        self.curve.data = {
            "x": t,
            "gap": run["local_gap"].values,
            "share": run["column_iodine_fraction"].values,
        }
        wanted = ["hops_bromide", "hops_iodide", *(["escapes"] if v["escape"] else [])]
        self.events.data = {
            "x": [t] * len(wanted), "y": [run[n].values / 1e3 for n in wanted],
            "colour": list(CATEGORICAL[: len(wanted)]),
            "name": [names.TABLE[n].long_name for n in wanted],
        }  # fmt: skip
        self.frame.update(end=max(t.size - 1, 1), value=t.size - 1)
        self._draw_frame()
        last = run.isel({TIME: -1})
        candidates = int(last["candidates"])
        hops = int(last["hops_bromide"] + last["hops_iodide"])
        rows = [
            ("Gap of the column, start", f"{float(run['local_gap'][0]):.3f} eV"),
            ("Gap of the column, end", f"{float(last['local_gap']):.3f} eV"),
            ("Iodine and vacancies in it, end", f"{float(last['column_iodine_fraction']):.3f}"),
            ("Vacancies, end", f"{int(last['n_vacancies'])}"),
            ("Hops", f"{hops}"),
            ("Escapes", f"{int(last['escapes'])}"),
        ]
        if candidates:
            rows.append(("Accepted candidates", f"{100 * hops / candidates:.1f} %"))
        if not self.published and float(t[-1]) > 0:
            d = float(last["msd_vacancy"]) / (6.0 * float(t[-1])) * 1e-14
            rows.append(("D of the vacancies, ⟨r²⟩/(6 t)", f"{d:.3g} cm²/s"))
        note = "<p><small class='faint'>One lattice: others of this size scatter by some 0.02 eV.</small></p>"
        self.text.text = table(rows) + note

    def _draw_frame(self) -> None:
        if self.run is None:
            return
        i = min(int(self.frame.value), self.run.sizes[TIME] - 1)
        at = self.run.isel({TIME: i})
        share = np.asarray((at["species"] == 2).mean(Z).values, np.float32)
        nm = 1e3 * at["x"].values
        step = float(nm[1] - nm[0])
        self.image.data = {
            "image": [share], "x": [float(nm[0] - step / 2)], "y": [float(nm[0] - step / 2)],
            "dw": [step * nm.size], "dh": [step * nm.size],
        }  # fmt: skip
        # One scale for all snapshots.
        self.shares.update(
            low=0.0, high=min(1.0, 2.0 * float((self.run["species"][0] == 2).mean()))
        )
        t = float(at[TIME])
        self.above.title.text = "Share of iodide along the beam, " + (
            f"step {t:.0f}" if self.published else f"t = {t:.3g} s"
        )
        kinds = ("radial_bromide", "radial_iodide", "radial_vacancy")
        r = 1e3 * at["r"].values
        self.ring_data.data = {
            "x": [r] * 3, "y": [at[n].values for n in kinds], "colour": list(CATEGORICAL[:3]),
            "name": [names.TABLE[n].long_name for n in kinds],
        }  # fmt: skip
        self.rings.title.text = "Rings around the beam"


def counting(v: dict[str, Any]) -> dict[str, Any]:
    """Values of the form without what its rule does not know."""
    v = dict(v)
    if v["rule"] == "published":
        v.update(temperature_at="ion", carriers=False)
    if v["escape"]:
        v["carriers"] = False
    return v
