"""Figures of decays, carriers, hopping ions, thermal cycling, cuts and tracks: what is drawn is what was found."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, plot
from plkit.errors import DataError
from plkit.sim import HeaterProtocol, Recombination, simulate_carriers, thermal_cycling

from . import synthetic_results as synthetic

hv = pytest.importorskip("holoviews")

GREY = "#555555"


def curves(element) -> list:
    return [e for e in element if isinstance(e, hv.Curve)]


def layout(element) -> list:
    return list(element)


@pytest.fixture(scope="module")
def decay() -> tuple[xr.DataArray, xr.Dataset]:
    t = np.arange(400.0) * 0.25
    rng = np.random.default_rng(5)
    counts = rng.poisson(900.0 * np.exp(-t / 12.0) + 3.0)
    trace = xr.DataArray(
        counts, {"delay": ("delay", t, names.attrs("delay"))}, ("delay",), "intensity",
        names.attrs("intensity"),
    )  # fmt: skip
    return trace, plkit.fit_lifetimes(trace)


def test_a_decay_has_counts_with_sigma_fit_and_residual(decay):
    trace, fit = decay
    figure = plot.plot_decay(trace, fit)
    above, below = figure.axes
    line, _, bars = above.containers[0]
    np.testing.assert_array_equal(line.get_ydata(), np.where(trace > 0, trace, np.nan))
    segment = bars[0].get_segments()[0]
    assert np.ptp(segment[:, 1]) == pytest.approx(2 * np.sqrt(float(trace[0])))
    curve = above.get_legend_handles_labels()[0][0].get_ydata()
    np.testing.assert_allclose(curve, plkit.expected_decay(fit, trace))
    rest = below.lines[-1].get_ydata()
    np.testing.assert_allclose(rest, (trace - curve) / np.sqrt(curve))
    assert above.get_yscale() == "log"
    text = above.get_legend_handles_labels()[1][0]
    assert text.startswith("τ₁ = ")
    assert text.endswith(" ns")
    assert below.get_xlabel() == "Delay τ (ns)"
    screen = layout(plot.hv_decay(trace, fit))
    np.testing.assert_allclose(curves(screen[0])[0].dimension_values(1), curve)


def test_long_decays_are_averaged_for_data_fit_and_residual_alike(decay):
    trace, fit = decay
    above, below = plot.plot_decay(trace, fit, max_points=100).axes
    means = trace.values.reshape(100, 4).mean(axis=1)
    np.testing.assert_allclose(above.containers[0][0].get_ydata(), means)
    model = plkit.expected_decay(fit, trace).values.reshape(100, 4).mean(axis=1)
    rest = below.lines[-1].get_ydata()
    np.testing.assert_allclose(rest, (means - model) / np.sqrt(model / 4))


def test_a_response_is_drawn_to_the_height_of_the_decay(decay):
    trace, _ = decay
    fit = plkit.fit_lifetimes(trace, irf="gaussian")
    lines = plot.plot_decay(trace, fit).axes[0].lines
    response = next(line for line in lines if line.get_label() == "response")
    assert response.get_ydata().max() == pytest.approx(float(trace.max()))
    x = response.get_xdata()
    assert x[np.argmax(response.get_ydata())] == pytest.approx(float(fit.irf_shift))
    with pytest.raises(DataError, match="delay"):
        plot.plot_decay(trace.expand_dims(power=[1.0, 2.0]), fit)


@pytest.fixture(scope="module")
def carriers() -> xr.Dataset:
    film = plkit.Film(40.0, 0.4, absorptance=0.2, absorptance_stderr=0.01)
    rate = Recombination.from_lifetime(20.0)
    return simulate_carriers(
        plkit.LaserSpot(1.0), film, rate, power_uw=np.geomspace(1.0, 100.0, 15)
    )


def test_carriers_have_density_and_length_with_bands(carriers):
    left, right = plot.plot_carriers({"film": carriers}).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), carriers.carrier_density)
    np.testing.assert_allclose(right.lines[0].get_ydata(), carriers.diffusion_length)
    assert left.get_ylabel() == "Carrier density $n$ (cm⁻³)"
    assert len(left.collections) == len(right.collections) == 1
    area = next(e for e in layout(plot.hv_carriers(carriers))[0] if isinstance(e, hv.Area))
    half = 0.5 * (area.dimension_values("upper") - area.dimension_values("carrier_density"))
    np.testing.assert_allclose(half, carriers.carrier_density_stderr)
    figure = mpl.figure.Figure()
    with pytest.raises(DataError, match="there are 2 panels, not 3"):
        plot.plot_carriers(carriers, axes=figure.subplots(1, 3))
    one = plot.plot_carriers(carriers.isel(power=3)).axes[0]
    assert len(one.containers) == 1  # one power is a point with its bar


def test_funnelling_has_sigma_and_the_line_of_truth():
    dims = ("diffusion_length", "true_fraction")
    values = np.array([[0.05, 0.2], [0.4, 0.8]])
    bias = xr.Dataset(
        {"emission_fraction": (dims, values, names.attrs("emission_fraction")),
         "emission_fraction_stderr": (dims, 0.01 + 0 * values)},
        {"diffusion_length": [0.0, 10.0], "true_fraction": [0.05, 0.2]},
    )  # fmt: skip
    ax = plot.plot_funnelling(bias).axes[0]
    assert [c.get_label() for c in ax.containers] == [
        "diffusion length 0 nm", "diffusion length 10 nm",
    ]  # fmt: skip
    np.testing.assert_allclose(ax.containers[1][0].get_ydata(), values[1])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), ax.lines[0].get_ydata())
    labels = [e.label for e in plot.hv_funnelling(bias) if e.label]
    assert labels == ["truth", "diffusion length 0 nm", "diffusion length 10 nm"]


@pytest.fixture(scope="module")
def run() -> xr.Dataset:
    lattice = plkit.IonLattice((6, 6, 6))
    return plkit.simulate_ion_hopping(lattice, times_s=[0.0, 1e-9, 2e-9], seed=1, replicas=3)


def test_hopping_shows_the_scatter_of_the_replicas(run):
    ax = plot.plot_hopping(run).axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), run.local_gap.mean("replica"))
    band = next(e for e in layout(plot.hv_hopping(run))[0] if isinstance(e, hv.Area))
    half = 0.5 * (band.dimension_values("upper") - band.dimension_values("local_gap"))
    np.testing.assert_allclose(half, run.local_gap.std("replica", ddof=1))
    assert ax.get_ylabel() == r"Local gap $E_{\mathrm{g}}$ (eV)"
    published = run.assign_attrs(model='{"rule": "published"}')
    assert plot.plot_hopping(published).axes[0].get_xlabel() == "Step"
    several = plot.plot_hopping({"a": run, "b": run})
    assert len(several.axes) == 1
    assert several.axes[0].get_legend_handles_labels()[1] == ["a", "b"]


def test_the_lattice_is_drawn_layer_by_layer(run):
    one = run.isel(replica=0)
    figure = plot.plot_lattice(one, times_s=[0.0, 2e-9], layer=2)
    species = one.species.isel(z=2)
    for ax, i in zip(figure.axes[:2], (0, 2), strict=True):
        np.testing.assert_array_equal(ax.collections[0].get_array(), species.isel(time=i))
        assert ax.get_title(loc="left").endswith("one layer")
    now = one.species.isel(time=2)
    share = (now == 2).sum("z") / (now > 0).sum("z")
    np.testing.assert_allclose(figure.axes[3].collections[0].get_array(), share)
    mesh = next(iter(layout(plot.hv_lattice(one, times_s=[2e-9]))[0]))
    drawn = mesh.dimension_values(2, flat=False)
    np.testing.assert_array_equal(drawn, one.species.isel(time=2, z=-1))
    with pytest.raises(DataError, match=r"'times_s' has 5, not one of 0, 1e-09, 2e-09"):
        plot.plot_lattice(one, times_s=[5.0])
    with pytest.raises(DataError, match=r"Select one, for instance \.isel\(replica=0\)"):
        plot.plot_lattice(run)
    with pytest.raises(DataError, match="'layer' is 6, not one of 6 layers"):
        plot.plot_lattice(one, layer=6)


def test_thermal_cycling_has_temperature_fraction_and_the_heater():
    ds = thermal_cycling(HeaterProtocol(0.5, 5.0, 20.0))
    above, below = plot.plot_cycling(ds).axes
    np.testing.assert_allclose(above.lines[0].get_ydata(), ds.temperature)
    np.testing.assert_allclose(below.lines[0].get_ydata(), ds.segregated_fraction)
    assert len(above.patches) == 4  # pulses at 0, 5, 10 and 15 s
    assert above.child_axes[0].get_ylabel() == "Temperature (°C)"
    screen = layout(plot.hv_cycling({"0.5/5 s": ds}, log=True))
    value = curves(screen[1])[0].dimension_values(1)
    np.testing.assert_allclose(value, ds.segregated_fraction.where(ds.segregated_fraction > 0))
    measured = ds[["temperature"]].assign(fraction=ds.segregated_fraction)
    measured["fraction_stderr"] = xr.full_like(measured.fraction, 0.01)
    assert len(plot.plot_cycling(measured, variable="fraction").axes[1].collections) == 1
    with pytest.raises(DataError, match=r"not 'segregated_fraction'.*thermal_cycling"):
        plot.plot_cycling(ds[["temperature"]])


def test_the_map_of_protocols_tells_its_classes_and_what_does_not_exist():
    found = xr.Dataset(
        {"severity": (("on_time", "period"), np.array([[0, 1], [2, -1]], np.int8))},
        {"on_time": [0.1, 1.0], "period": [1.0, 5.0]},
    )
    protocols = [HeaterProtocol(0.5, 5.0), HeaterProtocol.continuous()]
    ax = plot.plot_cycling_map(found, protocols=protocols).axes[0]
    codes = ax.collections[0].get_array()
    np.testing.assert_array_equal(codes.filled(-1), found.severity)
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["none", "mild", "severe", "no such pulse (1)"]
    assert [t.get_text() for t in ax.texts] == ["0.5/5 s"]
    overlay = plot.hv_cycling_map(found, protocols=protocols)
    assert hv.render(overlay, backend="bokeh") is not None


def test_a_cut_has_the_spectra_of_its_places_in_their_colours():
    rng = np.random.default_rng(2)
    c, w = (np.arange(8) + 0.5), np.linspace(500.0, 700.0, 40)
    at = {"y": synthetic.axis("y", c), "x": synthetic.axis("x", c)}
    cube = synthetic.variable("intensity", ("y", "x", "wavelength"), rng.poisson(50, (8, 8, 40)))
    cube = cube.assign_coords(**at, wavelength=synthetic.axis("wavelength", w))
    iodine = synthetic.variable("x_iodine", ("y", "x"), rng.random((8, 8))).assign_coords(**at)
    iodine = iodine.to_dataset(name="x_iodine")
    figure = plot.plot_composition_cut(iodine, cube, y_um=3.4, x_um=(2.0, 6.0))
    lines = figure.axes[1].lines
    for line, x in zip(lines, (2.5, 3.5, 4.5, 5.5), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), cube.sel(y=3.5, x=x))
    marks = [m for m in figure.axes[0].lines if m.get_marker() == "v"]
    assert [float(m.get_xdata()[0]) for m in marks] == [2.5, 3.5, 4.5, 5.5]
    assert [m.get_color() for m in marks] == [line.get_color() for line in lines]
    screen = layout(plot.hv_composition_cut(iodine, cube.sel(y=3.5), x_um=(2.0, 6.0)))
    np.testing.assert_array_equal(curves(screen[1])[0].dimension_values(1), cube.sel(y=3.5, x=2.5))
    with pytest.raises(DataError, match=r"'y_um' is 40, not between 0\.5 and 7\.5"):
        plot.plot_composition_cut(iodine, cube, y_um=40.0)
    with pytest.raises(DataError, match="not a part of the map"):
        plot.plot_composition_cut(iodine, cube, x_um=(50.0, 60.0))


def test_a_track_runs_over_what_is_asked_and_marks_what_was_not_found():
    power = synthetic.axis("power", [10.0, 20.0, 30.0])
    ds = xr.Dataset(
        {"peak_energy": ("power", [1.9, 1.8, 1.7], names.attrs("peak_energy")),
         "peak_energy_stderr": ("power", [0.01, 0.02, 0.03], names.attrs("peak_energy")),
         "fit_status": ("power", np.array([0, 3, 0], np.int8))}, {"power": power},
    )  # fmt: skip
    for given in (ds, ds.isel(power=slice(None, None, -1))):
        ax = plot.plot_track(given, "peak_energy", over="power").axes[0]
        points = ax.containers[0]
        np.testing.assert_array_equal(points[0].get_ydata(), [1.9, np.nan, 1.7])
        assert "no result (1)" in ax.get_legend_handles_labels()[1]
    assert ax.get_xlabel() == "Laser power $P$ (µW)"
    marks = [e for e in plot.hv_track(ds, "peak_energy", over="power") if isinstance(e, hv.VLines)]
    np.testing.assert_array_equal(marks[0].dimension_values(0), [20.0])
    with pytest.raises(DataError, match="has dims power, not time and at most one more"):
        plot.plot_track(ds, "peak_energy")


# The raw group of a study ---------------------------------------------------------------------
def test_the_averaged_frames_of_a_study_are_drawn_as_they_are():
    ds = synthetic.spectra(6)
    raw = ds.intensity.rename("movie").rename(time="movie_time").to_dataset()
    raw["total_intensity"] = ("time", np.zeros(3))
    for line, expected in zip(plot.plot_spectra(raw).axes[0].lines, ds.intensity, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), expected)
    assert plot.plot_spectral_movie(raw).axes[0].get_ylabel() == "Time $t$ (s)"


# Bad input ------------------------------------------------------------------------------------
@pytest.mark.parametrize("dress", ["plot", "hv"])
def test_one_point_and_no_number_are_drawn_without_a_warning(dress):
    def draw(name, *args, **options):
        found = getattr(plot, f"{dress}_{name}")(*args, **options)
        if dress == "hv":
            hv.render(found, backend="bokeh")
        else:
            found.draw_without_rendering()

    kin = synthetic.kinetics()
    un = synthetic.unmixed(kin)
    nothing = kin.map(lambda v: v * np.nan if v.dtype.kind == "f" else v)
    draw("kinetics", un.isel(power=0, time=[3]), kin.isel(power=0))
    draw("kinetics", un.isel(power=0), nothing.isel(power=0))
    draw("kinetics", un, nothing.assign_coords(kin.coords))
    draw("kinetics", (un * np.nan).isel(power=0), kin.isel(power=0))
    draw("conversion", kin.isel(power=0))
    draw("conversion", nothing)
    ds = synthetic.spectra(4)
    draw("spectra", ds.isel(time=0) * np.nan)
    draw("spectra", ds.isel(time=slice(None, None, -1), wavelength=slice(None, None, -1)))
    draw("spectra", ds.isel(time=[1]), normalise=True)
    draw("spectral_movie", ds * np.nan)
    draw("track", ds.isel(wavelength=3) * np.nan, "intensity")
    one = synthetic.map_result().sel(component="bromide")
    draw("map", one.isel(x=[4]), "fraction")
    draw("map", one * np.nan, "fraction")
    draw("map", one.isel(x=[4], y=[2]).fraction)


def test_laws_without_a_point_are_refused_in_words():
    result = synthetic.arrhenius()
    with pytest.raises(DataError, match="no point has a number"):
        plot.plot_arrhenius(result.assign(rate=result.rate * np.nan))
    d = synthetic.diffusion()
    with pytest.raises(DataError, match="no point has a number"):
        plot.hv_diffusion(d.assign(diffusion_coefficient=d.diffusion_coefficient * np.nan))
