"""Carriers under the laser: how many, how long they take, how far they go."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import xarray as xr
from bokeh.models import Column, ColumnDataSource, Span

import plkit
from plkit.apps.view.parts import div, hover, legend_above, new_figure, panel, wrapped
from plkit.apps.view.simulations.form import Field, Form, axis_text, rows_of
from plkit.apps.view.theme import CURSOR, paint
from plkit.plot.style import CATEGORICAL

__all__ = ["TITLE", "build"]

TITLE: Final = "Carriers"

_POWERS: Final = 12
_TIMES: Final = 81
_E18: Final = 1e-18

_FIELDS: Final = {
    "radius_um": Field("1/e² radius of the spot (µm)", 1.0, 0.05, 0.01),
    "radius_stderr_um": Field("σ of the radius (µm)", 0.05, 0.01),
    "wavelength_nm": Field("Wavelength of the laser (nm)", 405.0, 1.0, 1.0),
    "power_uw": Field("Largest power (µW)", 50.0, 5.0, 1e-6),
    "thickness_nm": Field("Thickness of the film (nm)", 40.0, 5.0, 0.1),
    "absorptance": Field("Absorptance, 1 − R − T", 0.203, 0.01, 1e-4, 1.0),
    "absorptance_stderr": Field("σ of the absorptance", 0.01, 0.001),
    "lifetime_ns": Field("Lifetime τ at low density (ns)", 20.0, 1.0, 1e-3),
    "k2_cm3_s": Field("Radiative coefficient k2 (cm³/s)", 5.0e-11),
    "k3_cm6_s": Field("Auger coefficient k3 (cm⁶/s)", 1.6e-29),
    "mobility_cm2_vs": Field("Mobility (cm²/(V s))", 3.0, 0.5, 1e-6),
    "temperature_k": Field("Temperature (K)", 293.15, 1.0, 1.0),
}


def build(viewer: Any) -> Any:
    """Build the form and its figures."""
    return Carriers(viewer).root


def _settings(v: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Powers, on a logarithmic scale up to the largest, and times after switching on."""
    powers = np.geomspace(v["power_uw"] / 100, v["power_uw"], _POWERS)
    times = np.linspace(0.0, 5.0 * v["lifetime_ns"], _TIMES)
    return [float(f"{p:.4g}") for p in powers], [float(f"{t:.6g}") for t in times]


def carriers_of(v: dict[str, Any]) -> tuple[xr.Dataset, xr.Dataset]:
    """Simulate what the form says: over the power with the transient, and across the spot."""
    powers, times = _settings(v)
    spot = plkit.LaserSpot(
        v["radius_um"], v["wavelength_nm"], radius_stderr_um=v["radius_stderr_um"]
    )
    film = plkit.Film(
        v["thickness_nm"], 0.4, v["absorptance"], absorptance_stderr=v["absorptance_stderr"]
    )
    loss = plkit.Recombination.from_lifetime(v["lifetime_ns"], v["k2_cm3_s"], v["k3_cm6_s"])
    options = {"mobility_cm2_vs": v["mobility_cm2_vs"], "temperature_k": v["temperature_k"]}
    found = plkit.simulate_carriers(spot, film, loss, power_uw=powers, times_ns=times, **options)
    across = plkit.simulate_carriers(
        spot, film, loss, power_uw=powers[-1], profile="radial", **options
    )
    return found, across


def code_of(v: dict[str, Any]) -> str:
    """Python that does the same."""
    powers, times = _settings(v)
    options = f"mobility_cm2_vs={v['mobility_cm2_vs']!r}, temperature_k={v['temperature_k']!r}"
    return (
        "import numpy as np\nimport plkit\n\n"
        f"spot = plkit.LaserSpot({v['radius_um']!r}, {v['wavelength_nm']!r}, "
        f"radius_stderr_um={v['radius_stderr_um']!r})\n"
        f"film = plkit.Film({v['thickness_nm']!r}, 0.4, {v['absorptance']!r}, "
        f"absorptance_stderr={v['absorptance_stderr']!r})\n"
        f"loss = plkit.Recombination.from_lifetime({v['lifetime_ns']!r}, {v['k2_cm3_s']!r}, "
        f"{v['k3_cm6_s']!r})\n"
        f"powers = {powers}\n"
        f"times = np.linspace(0.0, {times[-1]!r}, {len(times)})\n"
        f"found = plkit.simulate_carriers(spot, film, loss, power_uw=powers, times_ns=times, {options})\n"
        f'across = plkit.simulate_carriers(spot, film, loss, power_uw=powers[-1], profile="radial", '
        f"{options})\n"
    )


class Carriers:
    """Form; density and diffusion length against power; transient; profile across the spot."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.form = Form(viewer, "carriers", _FIELDS, self.draw, code_of)
        look: dict[str, Any] = {"width": 440, "height": 270}
        density, colour = "Carrier density n (10¹⁸ cm⁻³)", CURSOR
        self.density = new_figure(
            "Steady, at the centre", axis_text("power"), density, x_axis_type="log",
            y_axis_type="log", **look,
        )  # fmt: skip
        self.length = new_figure(
            "Diffusion length", axis_text("power"), axis_text("diffusion_length"),
            x_axis_type="log", x_range=self.density.x_range, **look,
        )  # fmt: skip
        self.steady = ColumnDataSource(
            {k: [] for k in ("x", "n", "n0", "n1", "l", "l0", "l1")}, name="carriers_steady"
        )
        for f, y in ((self.density, "n"), (self.length, "l")):
            f.varea("x", f"{y}0", f"{y}1", source=self.steady, fill_color=colour, fill_alpha=0.25)
            f.line("x", y, source=self.steady, line_color=colour, line_width=2)
            dots = f.scatter("x", y, source=self.steady, color=colour, size=5)
            f.add_tools(hover([dots], ("P", "@x{0.000} µW"), ("", f"@{y}")))
        self.rise = new_figure("After switching on", axis_text("delay"), density, **look)
        self.curves = ColumnDataSource({"x": [], "y": [], "colour": [], "name": []})
        self.rise.multi_line(
            "x", "y", source=self.curves, line_color="colour", line_width=2, legend_field="name"
        )
        legend_above(self.rise)
        self.across = new_figure("Across the spot, largest power", "r (µm)", density, **look)
        self.profile = ColumnDataSource({"x": [], "y": [], "light": []}, name="carriers_profile")
        self.across.line(
            "x", "y", source=self.profile, line_color=colour, line_width=2, legend_label="carriers"
        )
        self.across.line(
            "x", "light", source=self.profile, line_color=CATEGORICAL[1], line_dash="dashed",
            line_width=1.5, legend_label="without diffusion",
        )  # fmt: skip
        legend_above(self.across)
        self.edge = Span(location=1.0, dimension="height", line_color="#888888", line_dash="dotted")
        self.across.add_layout(self.edge)
        self.figures = (self.density, self.length, self.rise, self.across)
        self.text = div("", width=400, name="carriers_text")
        self.root = wrapped(
            self.form.panel(), Column(self.density, self.length),
            Column(self.rise, self.across, panel("At the largest power", self.text, width=440)),
        )  # fmt: skip
        viewer.state.param.watch(lambda *_: self._paint(), "dark")
        self._paint()
        self.draw()

    def _paint(self) -> None:
        for f in self.figures:
            paint(f, self.viewer.state.dark)

    def draw(self) -> None:
        """Simulate and draw; the newest form counts."""
        v = self.form.values
        self.viewer.ask(
            "carriers", lambda: (*carriers_of(v), v), lambda found: self._show(*found), here=False
        )

    def _show(self, found: xr.Dataset, across: xr.Dataset, v: dict[str, Any]) -> None:
        n, s = (_E18 * found[k].values for k in ("carrier_density", "carrier_density_stderr"))
        length, t = found["diffusion_length"].values, found["diffusion_length_stderr"].values
        # On a logarithmic axis a band cannot end at nothing.
        self.steady.data = {
            "x": found["power"].values, "n": n, "n0": np.maximum(n - s, 1e-3 * n), "n1": n + s,
            "l": length, "l0": length - t, "l1": length + t,
        }  # fmt: skip
        shown = [0, _POWERS // 2, _POWERS - 1]
        delay = found["delay"].values
        self.curves.data = {
            "x": [delay] * len(shown),
            "y": [_E18 * found["carrier_transient"].isel(power=i).values for i in shown],
            "colour": list(CATEGORICAL[: len(shown)]),
            "name": [f"{float(found['power'][i]):.3g} µW" for i in shown],
        }
        profile = _E18 * across["carrier_profile"].isel(power=0).values
        r_um = across["carrier_distance"].values * 1e-3
        near = r_um <= 3.0 * v["radius_um"]
        self.profile.data = {
            "x": r_um[near], "y": profile[near], "light": _E18 * _without_diffusion(across, r_um, v)[near],
        }  # fmt: skip
        self.edge.location = v["radius_um"]
        self.text.text = rows_of(
            found, "generation_rate", "carrier_density", "recombination_rate", "radiative_share",
            "diffusion_length", "rise_time", "ambipolar_diffusion",
        )  # fmt: skip


def _without_diffusion(across: xr.Dataset, r_um: Any, v: dict[str, Any]) -> Any:
    """Steady density where the carriers stay where they were made."""
    from plkit.physics.carriers import steady_density

    generation = float(across["generation_rate"][0]) * np.exp(-2.0 * (r_um / v["radius_um"]) ** 2)
    loss = plkit.Recombination.from_lifetime(v["lifetime_ns"], v["k2_cm3_s"], v["k3_cm6_s"])
    return steady_density(generation, loss)
