"""Kinetics: of a study, its fits; of a file, the fit of the trace under the cursor."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import Column, ColumnDataSource, Select, Slider, Span
from numpy.typing import NDArray

import plkit
from plkit import names
from plkit.apps.view import values
from plkit.apps.view.figure_buttons import figure_buttons
from plkit.apps.view.operations import references_of
from plkit.apps.view.parts import div, dress, hover, new_figure, panel, table, wrapped
from plkit.apps.view.results import results_of
from plkit.apps.view.theme import paint
from plkit.apps.view.viewer import Viewer
from plkit.errors import DataError
from plkit.names import COMPONENT, INTENSITY, POWER, TIME
from plkit.plot.kinetics import fitted_curve
from plkit.plot.style import CATEGORICAL, value_text

__all__ = ["kinetics_tab"]

_SHOWN = ("mean_rate", "k1", "k2", "k01", "k02", "plateau", "conversion_limit")
_STATUS = ("ok", "at bound", "not identifiable", "no signal", "failed")


def kinetics_tab(viewer: Viewer) -> Any:
    """Build the tab for what was opened."""
    try:
        results = results_of(viewer.work, "kinetics", "unmixed", "kinetics")
    except DataError:
        if viewer.layer.has_spectra and TIME in viewer.layer.ds[viewer.layer.variable].dims:
            return _CursorKinetics(viewer).root
        raise
    return _StudyKinetics(viewer, results).root


class _Graph:
    """Traces with fit, σ band and residual."""

    def __init__(self) -> None:
        self.figure = new_figure("", names.label(TIME), "", width=640, height=360)
        self.points = ColumnDataSource({"x": [], "y": [], "colour": []})
        dots = self.figure.scatter("x", "y", source=self.points, color="colour", size=3, alpha=0.5)
        self.bands = [ColumnDataSource({"x": [], "low": [], "high": []}) for _ in range(2)]
        self.lines = [ColumnDataSource({"x": [], "y": []}) for _ in range(2)]
        for n, (band, line) in enumerate(zip(self.bands, self.lines, strict=True)):
            self.figure.varea(
                "x", "low", "high", source=band, fill_alpha=0.25, fill_color=CATEGORICAL[n]
            )
            self.figure.line("x", "y", source=line, line_color=CATEGORICAL[n], line_width=2)
        self.figure.add_tools(hover([dots], ("", "$x{0.0} s"), ("", "@y{0.0000}")))
        self.residual = new_figure(
            "Residual", names.label(TIME), "", width=640, height=150, x_range=self.figure.x_range
        )
        self.misfit = ColumnDataSource({"x": [], "y": []})
        self.residual.scatter("x", "y", source=self.misfit, size=3, color=CATEGORICAL[0])
        self.residual.add_layout(Span(location=0, dimension="width", line_color="#888888"))
        self.root = Column(self.figure, self.residual)

    def show(
        self, t: NDArray[np.float64], traces: dict[str, NDArray[np.float64]], falling: str,
        sigma: NDArray[np.float64] | None, fit: xr.Dataset, mirrored: bool,
    ) -> None:  # fmt: skip
        """Draw points, fitted curve and residual; the growing component mirrors the falling one."""
        order = [falling, *[n for n in traces if n != falling]]
        self.points.data = {
            "x": np.tile(t, len(order)), "y": np.concatenate([traces[n] for n in order]),
            "colour": [CATEGORICAL[i % 7] for i in range(len(order)) for _ in t],
        }  # fmt: skip
        grid = np.linspace(t.min(), t.max(), 300)
        curve, spread = fitted_curve(fit, grid)
        spread = np.nan_to_num(spread)
        curves = [curve, 1.0 - curve] if mirrored and len(order) == 2 else [curve]
        for n in range(2):
            known = n < len(curves) and np.isfinite(curves[n]).all()
            y = curves[n] if known else np.empty(0)
            x, s = (grid, spread) if known else (np.empty(0), np.empty(0))
            self.lines[n].data = {"x": x, "y": y}
            self.bands[n].data = {"x": x, "low": y - s, "high": y + s}
        left = traces[falling] - fitted_curve(fit, t)[0]
        self.misfit.data = {"x": t, "y": left if sigma is None else left / sigma}
        self.residual.yaxis.axis_label = "σ" if sigma is not None else "counts"

    def paint(self, dark: bool) -> None:
        paint(self.figure, dark)
        paint(self.residual, dark)


def _numbers(fit: xr.Dataset) -> str:
    rows = []
    for name in (*_SHOWN, "conversion"):
        if name not in fit:
            continue
        one = fit[name].squeeze(drop=True)
        if one.ndim:
            continue
        unit = str(fit[name].attrs.get("units", "1"))
        text = value_text(float(one), float(fit[f"{name}_stderr"].squeeze(drop=True)), unit)
        label = names.TABLE[name]
        title = label.long_name
        if name == "conversion" and "at_s" in fit.coords:
            title += f" at {float(np.atleast_1d(fit['at_s'].values)[0]):g} s"
        rows.append((f"{label.symbol}", title, text))
    if "redchi" in fit:
        rows.append(("χ²/ν", "Reduced chi-square", f"{float(fit['redchi']):.3f}"))
    rows.append(("", "Status", _STATUS[int(fit["fit_status"])]))
    return table(rows)


class _StudyKinetics:
    """Fractions and their fits, sample by sample, power by power."""

    def __init__(self, viewer: Viewer, results: Any) -> None:
        self.viewer, self.results = viewer, results
        samples = results.samples("unmixed", "kinetics")
        start = viewer.state.sample if viewer.state.sample in samples else samples[0]
        self.sample = Select(
            title="Sample", options=samples, value=start, width=200, name="kin_sample"
        )
        self.power_text = div("", width=200, margin=(4, 5, 0, 5))
        self.power = Slider(
            start=0, end=1, step=1, value=0, width=200, show_value=False, name="kin_power"
        )
        dress(self.sample, self.power)
        self.graph, self.text = _Graph(), div("", width=420)
        self.sample.on_change("value", viewer.changes(lambda *_: self._new_sample()))
        self.power.on_change("value", viewer.changes(lambda *_: self.draw()))
        copy = viewer.button("Copy as Python", self._copy, width=130, name="kin_copy")
        save = figure_buttons(
            viewer,
            "",
            "kin",
            lambda: f"{self.sample.value}_kinetics".replace(" ", "_"),
            self.figure,
        )
        self.root = wrapped(
            panel("", self.sample, self.power_text, self.power, copy, save, width=264),
            self.graph.root,
            panel("Fit", self.text, width=450),
        )
        viewer.state.param.watch(lambda *_: self.graph.paint(viewer.state.dark), "dark")
        self.graph.paint(viewer.state.dark)
        self._new_sample()

    def _new_sample(self) -> None:
        self.viewer.state.sample = self.sample.value
        n = self.results.group(self.sample.value, "kinetics").sizes.get(POWER, 1)
        self.power.update(end=max(n - 1, 1), value=min(self.power.value, n - 1), disabled=n < 2)
        self.draw()

    def draw(self) -> None:
        sample, i = self.sample.value, int(self.power.value)
        unmixed = self.results.group(sample, "unmixed").isel({POWER: i})
        kin = self.results.group(sample, "kinetics").isel({POWER: i})
        self.power_text.text = f"{names.label(POWER)}: {float(kin[POWER]):g}"
        falling = str(kin.attrs[names.COMPONENT])
        fraction = unmixed["fraction"]
        traces = {str(c): fraction.sel({COMPONENT: c}).values for c in fraction[COMPONENT].values}
        sigma = unmixed["fraction_stderr"].sel({COMPONENT: falling}).values
        self.graph.show(fraction[TIME].values, traces, falling, sigma, kin, True)
        self.graph.figure.yaxis.axis_label = names.label("fraction")
        self.graph.figure.title.text = f"{sample}, {float(kin[POWER]):g} µW: " + ", ".join(
            [falling, *[c for c in traces if c != falling]]
        )
        said = self.results.summary["samples"].get(sample, {}).get("verdict")
        verdict = f"<p>Verdict: <b>{said}</b></p>" if said else ""
        self.text.text = _numbers(kin) + verdict

    def figure(self) -> Any:
        """What is shown, as a figure for paper."""
        sample, i = self.sample.value, int(self.power.value)
        groups = (self.results.group(sample, g).isel({POWER: i}) for g in ("unmixed", "kinetics"))
        return plkit.plot.plot_kinetics(*groups)

    def _copy(self) -> None:
        sample, i = self.sample.value, int(self.power.value)
        text = (
            "import plkit\n\n"
            f"unmixed = {self.results.code(sample, 'unmixed')}.isel(power={i})\n"
            f"kinetics = {self.results.code(sample, 'kinetics')}.isel(power={i})\n"
            "figure = plkit.plot.plot_kinetics(unmixed, kinetics)\n"
        )
        self.viewer.copy(text)
        self.viewer.say("Python copied")


class _CursorKinetics:
    """The trace under the cursor of the Map tab, fitted when asked."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.graph, self.text = _Graph(), div("", width=420)
        go = viewer.button(
            "Fit the trace", self.fit, button_type="primary", width=120, name="kin_fit"
        )
        self.what = div("", width=210)
        self.root = wrapped(
            panel("", go, self.what, width=244), self.graph.root, panel("Fit", self.text, width=450)
        )
        viewer.state.param.watch(lambda *_: self.graph.paint(viewer.state.dark), "dark")
        self.graph.paint(viewer.state.dark)
        self.fit()

    def fit(self) -> None:
        layer, state = self.viewer.layer, self.viewer.state
        self.what.text = "fitting …"

        def compute() -> Any:
            spectra = spectra_over_time(layer, state)
            if len(state.references) > 1:
                frac = plkit.unmix(spectra, references_of(layer, state))
                kin = plkit.fit_kinetics(frac, component=state.references[0])
                fraction = frac["fraction"]
                traces = {
                    str(c): fraction.sel({COMPONENT: c}).values for c in fraction[COMPONENT].values
                }
                sigma = frac["fraction_stderr"].sel({COMPONENT: state.references[0]}).values
                return spectra[TIME].values, traces, state.references[0], sigma, kin, True
            band = values.band_of(layer, state.band)
            total = spectra[INTENSITY].isel({layer.spectral: band}).sum(layer.spectral)
            total = total.assign_attrs(spectra[INTENSITY].attrs)
            kin = plkit.fit_kinetics(total)
            return spectra[TIME].values, {"band": total.values}, "band", None, kin, False

        def apply(found: Any) -> None:
            self.graph.show(*found)
            mirrored = found[-1]
            self.graph.figure.yaxis.axis_label = (
                names.label("fraction") if mirrored else "Sum over the band (counts)"
            )
            self.text.text = _numbers(found[4])
            self.what.text = (
                "Fractions of the reference spectra at the cursor."
                if mirrored
                else "The band at the cursor, which must fall. Choose two reference spectra on the Map tab "
                "to fit emission fractions."
            )

        self.viewer.ask("kinetics", compute, apply, here=False)


def spectra_over_time(layer: Any, state: Any) -> xr.Dataset:
    """Spectra (time, λ) at the cursor, the mean of the box, with the noise model of the mean."""
    index = values.index_at(layer, state.at)
    index.pop(TIME, None)
    box = values.box_of(layer, state.row, state.col, state.half) if layer.is_map else {}
    ds = layer.ds.isel(index).isel(box)
    n = int(np.prod([ds.sizes[d] for d in box] or [1]))
    mean = ds[layer.variable].astype(float).mean(list(box)).transpose(TIME, layer.spectral)
    out: xr.Dataset = mean.assign_attrs(ds[layer.variable].attrs).to_dataset(name=INTENSITY).load()
    for name in (names.NOISE_GAIN, names.NOISE_FLOOR):
        if name in ds:
            out[name] = (ds[name] / n).assign_attrs(names.attrs(name))
    return out
