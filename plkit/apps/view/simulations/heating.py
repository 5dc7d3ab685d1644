"""Heating of a film by the laser: the form is the arguments of :func:`plkit.simulate_heating`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import xarray as xr
from bokeh.models import Column, ColumnDataSource

import plkit
from plkit import names
from plkit.apps.view.parts import div, legend_above, new_figure, panel, table, wrapped
from plkit.apps.view.simulations.form import Field, Form
from plkit.apps.view.theme import CURSOR, paint
from plkit.plot.style import CATEGORICAL, value_text

__all__ = ["TITLE", "build"]

TITLE: Final = "Heating by the laser"

_FIELDS: Final = {
    "radius_um": Field("1/e² radius of the spot (µm)", 1.0, 0.05, 0.01),
    "radius_stderr_um": Field("σ of the radius (µm)", 0.05, 0.01),
    "power_uw": Field("Largest power (µW)", 100.0, 10.0, 1e-6),
    "absorptance": Field("Absorptance, 1 − R − T", 0.228, 0.01, 1e-4, 1.0),
    "absorptance_stderr": Field("σ of the absorptance", 0.0114, 0.001),
    "thickness_nm": Field("Thickness of the film (nm)", 40.0, 5.0, 0.1),
    "conductivity_w_mk": Field("Conductivity of the film (W/(m K))", 0.4, 0.05, 1e-4),
    "substrate_w_mk": Field("Conductivity of the substrate (W/(m K))", 1.05, 0.05, 1e-4),
    "substrate_stderr_w_mk": Field("its σ (W/(m K))", 0.042, 0.01),
    "ambient_k": Field("Temperature of the room (K)", 293.15, 1.0, 1.0),
}


def build(viewer: Any) -> Any:
    """Build the form and its figures."""
    return Heating(viewer).root


def heating_of(v: dict[str, float]) -> xr.Dataset:
    """Simulate what the form says, at ten powers up to the largest."""
    spot = plkit.LaserSpot(v["radius_um"], radius_stderr_um=v["radius_stderr_um"])
    glass = plkit.Layer(1000.0, v["substrate_w_mk"], 2.1e6, v["substrate_stderr_w_mk"])
    film = plkit.Film(
        v["thickness_nm"], v["conductivity_w_mk"], v["absorptance"],
        absorptance_stderr=v["absorptance_stderr"], substrate=(glass,),
    )  # fmt: skip
    powers = np.linspace(v["power_uw"] / 10, v["power_uw"], 10)
    return plkit.simulate_heating(spot, film, power_uw=powers.tolist(), ambient_k=v["ambient_k"])


def code_of(v: dict[str, float]) -> str:
    """Python that does the same."""
    powers = [float(p) for p in np.linspace(v["power_uw"] / 10, v["power_uw"], 10)]
    return (
        "import plkit\n\n"
        f"spot = plkit.LaserSpot({v['radius_um']!r}, radius_stderr_um={v['radius_stderr_um']!r})\n"
        f"glass = plkit.Layer(1000.0, {v['substrate_w_mk']!r}, 2.1e6, {v['substrate_stderr_w_mk']!r})\n"
        f"film = plkit.Film({v['thickness_nm']!r}, {v['conductivity_w_mk']!r}, {v['absorptance']!r}, "
        f"absorptance_stderr={v['absorptance_stderr']!r}, substrate=(glass,))\n"
        f"heat = plkit.simulate_heating(spot, film, power_uw={powers}, ambient_k={v['ambient_k']!r})\n"
    )


class Heating:
    """Form, profile of the temperature, temperature against power."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.form = Form(viewer, "heat", _FIELDS, self.draw, code_of)
        self.profile = new_figure(
            "", names.label("r"), names.label("temperature"), width=480, height=300
        )
        self.curves = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.profile.multi_line(
            "x", "y", source=self.curves, line_color="colour", line_width=2, legend_field="name"
        )
        legend_above(self.profile)
        self.series = new_figure(
            "", names.label("power"), names.label("detection_temperature"), width=480, height=300
        )
        self.band = ColumnDataSource({"x": [], "low": [], "high": [], "y": []})
        self.series.varea("x", "low", "high", source=self.band, fill_color=CURSOR, fill_alpha=0.25)
        self.series.line("x", "y", source=self.band, line_color=CURSOR, line_width=2)
        self.text = div("", width=400)
        self.root = wrapped(
            self.form.panel(),
            Column(self.profile, self.series), panel("Found", self.text, width=430),
        )  # fmt: skip
        viewer.state.param.watch(lambda *_: self._paint(), "dark")
        self._paint()
        self.draw()

    def _paint(self) -> None:
        for f in (self.profile, self.series):
            paint(f, self.viewer.state.dark)

    def draw(self) -> None:
        """Simulate and draw; the newest form counts."""
        v = self.form.values
        self.viewer.ask("heating", lambda: heating_of(v), self._show, here=False)

    def _show(self, heat: xr.Dataset) -> None:
        at = heat["temperature"].isel(power=-1)
        depths = [0, min(2, at.sizes["z"] - 1), at.sizes["z"] - 1]
        self.curves.data = {
            "x": [at["r"].values] * len(depths),
            "y": [at.isel(z=i).values for i in depths],
            "colour": [CATEGORICAL[n] for n in range(len(depths))],
            "name": [f"z = {float(at['z'][i]):.3g} µm" for i in depths],
        }
        self.profile.title.text = "At the largest power"
        y, s = (heat[n].values for n in ("detection_temperature", "detection_temperature_stderr"))
        self.band.data = {"x": heat["power"].values, "y": y, "low": y - s, "high": y + s}
        rows = []
        for name in ("detection_temperature", "peak_temperature", "A0"):
            last = value_text(
                float(heat[name][-1]), float(heat[f"{name}_stderr"][-1]), names.unit(name)
            )
            rows.append((names.symbol(name), names.TABLE[name].long_name, last))
        for name in ("peak_rise_per_power", "B"):
            last = value_text(float(heat[name]), float(heat[f"{name}_stderr"]), names.unit(name))
            rows.append((names.symbol(name), names.TABLE[name].long_name, last))
        for name, part in zip(
            heat["input"].values, heat["temperature_scale_by_input"].values, strict=True
        ):
            rows.append(("σ", f"of every rise, from {name}", f"{100 * abs(float(part)):.2f} %"))
        self.text.text = table(rows)
