"""Arrhenius' law of rates and of diffusion coefficients: points can be left out, the fit follows."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    CheckboxButtonGroup,
    Column,
    ColumnDataSource,
    Select,
    Slider,
    Span,
)  # fmt: skip

import plkit
from plkit import names, plot
from plkit.apps.view.export import figure_bytes
from plkit.apps.view.figure_buttons import figure_buttons
from plkit.apps.view.parts import div, dress, hover, new_figure, panel, table, wrapped
from plkit.apps.view.results import Results, results_of
from plkit.apps.view.theme import paint
from plkit.apps.view.viewer import Viewer
from plkit.errors import DataError
from plkit.names import COMPONENT, POWER
from plkit.plot.arrhenius import arrhenius_points
from plkit.plot.style import CATEGORICAL, value_text

__all__ = ["arrhenius_tab", "diffusion_tab"]

_SIGMAS = (
    ("photon", "counting"), ("scatter", "scatter from spot to spot"),
    ("temperature", "temperature, each point"), ("shared", "temperature scale"),
)  # fmt: skip


def arrhenius_tab(viewer: Viewer) -> Any:
    """Rates against temperature."""
    results = results_of(viewer.work, "Arrhenius' law", "kinetics", "heating", "arrhenius")
    return _Law(viewer, results, "rate").root


def diffusion_tab(viewer: Viewer) -> Any:
    """Profiles with their Fick fits, and diffusion coefficients against temperature."""
    results = results_of(viewer.work, "diffusion", "maps", "profiles")
    parts = [_Profile(viewer, results).root]
    if results.samples("profiles", "heating", "diffusion"):
        parts.append(_Law(viewer, results, "diffusion_coefficient").root)
    return Column(*parts, sizing_mode="stretch_width")


class _Law:
    """ln k against 1000/T with line, 68 % band, residuals; powers can be left out."""

    def __init__(self, viewer: Viewer, results: Results, quantity: str) -> None:
        self.viewer, self.results, self.quantity = viewer, results, quantity
        self.groups = (
            ("kinetics", "heating", "arrhenius")
            if quantity == "rate"
            else ("profiles", "heating", "diffusion")
        )
        samples = results.samples(*self.groups)
        start = viewer.state.sample if viewer.state.sample in samples else samples[0]
        tag = "arr" if quantity == "rate" else "dif"
        self.sample = Select(
            title="Sample", options=samples, value=start, width=200, name=f"{tag}_sample"
        )
        self.powers = CheckboxButtonGroup(
            labels=[], active=[], width=200, orientation="vertical", name=f"{tag}_powers"
        )
        dress(self.sample, self.powers)
        symbol = "k" if quantity == "rate" else "D"
        unit = names.unit(quantity).replace("^2", "²")
        self.figure = new_figure(
            "", "1000/T (K⁻¹)", f"ln({symbol} / ({unit}))", width=560, height=360
        )
        empty: dict[str, list[float]] = {
            "x": [],
            "y": [],
            "x0": [],
            "x1": [],
            "y0": [],
            "y1": [],
            "t": [],
        }
        self.points, self.left_out = ColumnDataSource(dict(empty)), ColumnDataSource(dict(empty))
        self.band, self.line = (
            ColumnDataSource({"x": [], "low": [], "high": []}), ColumnDataSource({"x": [], "y": []}),
        )  # fmt: skip
        colour = CATEGORICAL[0]
        self.figure.varea("x", "low", "high", source=self.band, fill_color=colour, fill_alpha=0.2)
        self.figure.line("x", "y", source=self.line, line_color=colour, line_width=2)
        for source, shade in ((self.points, colour), (self.left_out, "#999999")):
            self.figure.segment("x0", "y", "x1", "y", source=source, line_color=shade)
            self.figure.segment("x", "y0", "x", "y1", source=source, line_color=shade)
            dots = self.figure.scatter("x", "y", source=source, color=shade, size=7)
            self.figure.add_tools(hover([dots], ("T", "@t{0.0} K"), ("ln", "@y{0.000}")))
        self.residual = new_figure(
            "Residual", "1000/T (K⁻¹)", "σ", width=560, height=140, x_range=self.figure.x_range
        )
        self.misfit = ColumnDataSource({"x": [], "y": []})
        self.residual.scatter("x", "y", source=self.misfit, size=7, color=colour)
        self.residual.add_layout(Span(location=0, dimension="width", line_color="#888888"))
        self.text = div("", width=430)
        copy = viewer.button("Copy as Python", self._copy, width=130, name=f"{tag}_copy")
        save = figure_buttons(
            viewer, "", tag, lambda: f"{self.sample.value}_{self.groups[2]}".replace(" ", "_"),
            lambda: plot.plot_arrhenius(self._fit()),
        )  # fmt: skip
        self.root = wrapped(
            panel("", self.sample, div("Powers that count (µW)", width=200), self.powers, copy, save,
                  width=264),
            Column(self.figure, self.residual), panel("Fit", self.text, width=460),
        )  # fmt: skip
        self._filling = False
        self.sample.on_change("value", viewer.changes(lambda *_: self._new_sample()))
        self.powers.on_change("active", viewer.changes(lambda *_: self.draw()))
        viewer.state.param.watch(lambda *_: self._paint(), "dark")
        self._paint()
        self._new_sample()

    def _paint(self) -> None:
        for f in (self.figure, self.residual):
            paint(f, self.viewer.state.dark)

    def _new_sample(self) -> None:
        self.viewer.state.sample = self.sample.value
        powers = self.results.group(self.sample.value, self.groups[0])[POWER].values
        self._filling = True
        self.powers.labels = [f"{p:g}" for p in powers]
        self.powers.active = list(range(powers.size))
        self._filling = False
        self.draw()

    def _fit(self) -> xr.Dataset:
        sample, chosen = self.sample.value, sorted(self.powers.active)
        measured = self.results.group(sample, self.groups[0])
        heat = self.results.group(sample, "heating")
        kept = {POWER: chosen}
        heat = heat.sel({POWER: measured[POWER].values})
        if len(chosen) < 2:
            raise DataError("fit the law", f"{len(chosen)} powers count, not at least 2")
        if self.quantity == "rate":
            scatter = float(self.results.recipe_of(sample).get("rate_scatter", 0.0))
            return plkit.fit_arrhenius(measured.isel(kept), heat.isel(kept), rate_scatter=scatter)
        return plkit.fit_diffusion_temperature(measured.isel(kept), heat.isel(kept))

    def draw(self) -> None:
        """Fit the powers that count, draw all."""
        if self._filling:
            return
        result = self._fit()
        points = arrhenius_points(result)
        whole = arrhenius_points(self.results.group(self.sample.value, self.groups[2]))
        self._place(self.points, points)
        out = ~np.isin(whole["inverse"].values.round(9), points["inverse"].values.round(9))
        self._place(self.left_out, whole.isel({str(whole["inverse"].dims[0]): out}))
        x = whole["inverse"].values
        t_k = 1e3 / np.linspace(x.min(), x.max(), 200)
        line = plkit.predict_arrhenius(result, t_k)
        centre = line[f"ln_{self.quantity}"].values
        sigma = line[f"ln_{self.quantity}_stderr"].values
        self.line.data = {"x": 1e3 / t_k, "y": centre}
        self.band.data = {"x": 1e3 / t_k, "low": centre - sigma, "high": centre + sigma}
        at = plkit.predict_arrhenius(result, 1e3 / points["inverse"].values)
        left = points["ln"].values - at[f"ln_{self.quantity}"].values
        self.misfit.data = {"x": points["inverse"].values, "y": left / points["ln_stderr"].values}
        self.figure.title.text = f"{self.sample.value}: E_a = {self._energy(result)}"
        self.text.text = self._numbers(result)

    @staticmethod
    def _place(source: Any, points: xr.Dataset) -> None:
        x, y = points["inverse"].values, points["ln"].values
        sx, sy = points["inverse_stderr"].values, points["ln_stderr"].values
        source.data = {
            "x": x, "y": y, "x0": x - sx, "x1": x + sx, "y0": y - sy, "y1": y + sy, "t": 1e3 / x,
        }  # fmt: skip

    @staticmethod
    def _energy(result: xr.Dataset) -> str:
        return value_text(
            float(result["activation_energy"]), float(result["activation_energy_stderr"]), "eV"
        )

    def _numbers(self, result: xr.Dataset) -> str:
        rows = [("E_a", "Activation energy", self._energy(result))]
        rows += [
            ("", f"of it, {word}", f"{float(result[f'activation_energy_stderr_{part}']):.4f} eV")
            for part, word in _SIGMAS
        ]
        for name in ("activation_energy_kj_mol", "ln_k0", "ln_d0", "d_293k", "photo_exponent"):
            if name in result:
                text = value_text(
                    float(result[name]), float(result[f"{name}_stderr"]), names.unit(name)
                )
                rows.append((names.symbol(name), names.TABLE[name].long_name, text))
        for name in ("redchi", "rate_scatter_needed"):
            rows.append(
                (names.symbol(name), names.TABLE[name].long_name, f"{float(result[name]):.3g}")
            )
        note = str(result.attrs.get("width", ""))
        return table(rows) + (f"<p class='faint'>{html.escape(note)}</p>" if note else "")

    def _copy(self) -> None:
        sample, chosen = self.sample.value, sorted(self.powers.active)
        r = self.results
        lines = [
            "import plkit", "", f"measured = {r.code(sample, self.groups[0])}",
            f"heat = {r.code(sample, 'heating')}.sel(power=measured.power.values)",
        ]  # fmt: skip
        kept = f".isel(power={chosen})"
        if self.quantity == "rate":
            scatter = float(r.recipe_of(sample).get("rate_scatter", 0.0))
            lines.append(
                f"result = plkit.fit_arrhenius(measured{kept}, heat{kept}, rate_scatter={scatter!r})"
            )
        else:
            lines.append(f"result = plkit.fit_diffusion_temperature(measured{kept}, heat{kept})")
        lines.append("figure = plkit.plot.plot_arrhenius(result)")
        self.viewer.copy("\n".join(lines) + "\n")
        self.viewer.say("Python copied")


class _Profile:
    """A cut through a halo with its fit, drawn as for paper."""

    def __init__(self, viewer: Viewer, results: Results) -> None:
        self.viewer, self.results = viewer, results
        samples = results.samples("maps", "profiles")
        self.sample = Select(
            title="Sample", options=samples, value=samples[0], width=200, name="prof_sample"
        )
        self.power_text = div("", width=200, margin=(4, 5, 0, 5))
        self.power = Slider(
            start=0, end=1, step=1, value=0, width=200, show_value=False, name="prof_power"
        )
        dress(self.sample, self.power)
        self.picture, self.text = div("", width=520), div("", width=430)
        self.sample.on_change("value", viewer.changes(lambda *_: self._new_sample()))
        self.power.on_change("value_throttled", viewer.changes(lambda *_: self.draw()))
        save = figure_buttons(
            viewer,
            "",
            "prof",
            lambda: f"{self.sample.value}_profile".replace(" ", "_"),
            self.figure,
        )
        self.root = wrapped(
            panel("", self.sample, self.power_text, self.power, save, width=264), panel("", self.picture, width=560),
            panel("Fit", self.text, width=460),
        )  # fmt: skip
        self._new_sample()

    def _new_sample(self) -> None:
        n = self.results.group(self.sample.value, "profiles").sizes.get(POWER, 1)
        self.power.update(end=max(n - 1, 1), value=n - 1, disabled=n < 2)
        self.draw()

    def _shown(self) -> tuple[xr.Dataset, xr.Dataset, str]:
        """Maps and profile fit of the power, and the component that grows."""
        sample, i = self.sample.value, int(self.power.value)
        fit = self.results.group(sample, "profiles").isel({POWER: i})
        maps = self.results.group(sample, "maps").isel({POWER: i})
        falling = str(self.results.group(sample, "kinetics").attrs[names.COMPONENT])
        return maps, fit, next(str(c) for c in maps[COMPONENT].values if c != falling)

    def figure(self) -> Any:
        """What is shown, as a figure for paper."""
        return _profile_figure(*self._shown())

    def draw(self) -> None:
        maps, fit, growing = self._shown()
        self.power_text.text = f"{names.label(POWER)}: {float(fit[POWER]):g}"

        def compute() -> bytes:
            return figure_bytes(_profile_figure(maps, fit, growing), "png")

        def apply(content: bytes) -> None:
            data = base64.b64encode(content).decode()
            alt = f"Profile of {growing} at {float(fit[POWER]):g} µW with the fit of Fick's law"
            self.picture.text = f"<img alt='{html.escape(alt)}' style='width:500px' src='data:image/png;base64,{data}'>"

        self.viewer.ask("profile", compute, apply, here=False)
        rows = []
        for name in ("diffusion_coefficient", "profile_sigma", "profile_amplitude", "centre_x", "centre_y",
                     "diffusion_time", "offset"):  # fmt: skip
            text = value_text(float(fit[name]), float(fit[f"{name}_stderr"]), names.unit(name))
            rows.append((names.symbol(name), names.TABLE[name].long_name, text))
        rows.append(("χ²/ν", "Reduced chi-square", f"{float(fit['redchi']):.3f}"))
        rows.append(("p", "Runs test", f"{float(fit['runs_test_p']):.2g}"))
        self.text.text = table(rows)


def _profile_figure(maps: xr.Dataset, fit: xr.Dataset, growing: str) -> Any:
    one = maps.sel({COMPONENT: growing})
    return plot.plot_profile(one["fraction"], fit, stderr=one["fraction_stderr"])
