"""Figures: drawn from results, labelled with units, σ and failures visible, bytes repeatable."""

from __future__ import annotations

import re
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, plot
from plkit.errors import DataError
from plkit.plot.arrhenius import arrhenius_points
from plkit.plot.kinetics import falling_component, fitted_curve
from plkit.plot.maps import failed_pixels
from plkit.plot.style import label, label_of, pretty_unit, value_text
from plkit.plot.unmixing import component_spectra

from . import synthetic_results as synthetic


def texts(figure) -> str:
    """Everything written in a figure."""
    import matplotlib.text

    return "\n".join(t.get_text() for t in figure.findobj(matplotlib.text.Text))


@pytest.fixture(scope="module")
def heat() -> xr.Dataset:
    film = plkit.Film(40.0, 0.4, absorptance=0.228, absorptance_stderr=0.0114)
    spot = plkit.LaserSpot(1.0, radius_stderr_um=0.05)
    return plkit.simulate_heating(spot, film, power_uw=synthetic.POWERS)


@pytest.fixture(scope="module")
def halo() -> tuple[xr.DataArray, xr.Dataset]:
    rng = np.random.default_rng(8)
    x = np.arange(0.25, 20.0, 0.5)
    f = 0.05 + 0.6 * np.exp(-((x[:, None] - 9.0) ** 2 + (x[None, :] - 11.0) ** 2) / (2 * 1.75**2))
    f += rng.normal(0, 0.01, f.shape)
    fraction = synthetic.variable("fraction", ("y", "x"), f)
    fraction = fraction.assign_coords(y=synthetic.axis("y", x), x=synthetic.axis("x", x))
    rate = xr.DataArray(0.02, attrs=names.attrs("rate"))
    fit = plkit.fit_fick_profile(
        fraction, stderr=xr.full_like(fraction, 0.01), rate=rate, initial_sigma_um=0.5
    )
    return fraction, fit


@pytest.fixture(scope="module")
def unmixed_spectrum() -> tuple[xr.Dataset, xr.DataArray, xr.Dataset]:
    ds = synthetic.spectra(5)
    ds["noise_gain"] = ((), 1.0, names.attrs("noise_gain"))
    ds["noise_floor"] = ((), 0.0, names.attrs("noise_floor"))
    w = ds.wavelength
    pure = {
        name: xr.Dataset(
            {"intensity": ("wavelength", 1e6 * np.exp(-0.5 * ((w.values - c) / 10) ** 2),
                           names.attrs("intensity"))}, {"wavelength": w},
        )
        for name, c in (("pristine", 545.0), ("bromide", 510.0))
    }  # fmt: skip
    refs = plkit.references(like=ds, **pure)
    ds = ds.isel(time=2)
    return ds, refs, plkit.unmix(ds, refs, background="linear")


@pytest.fixture(scope="module")
def figures(heat, halo, unmixed_spectrum) -> dict:
    """One of each kind."""
    kin, maps = synthetic.kinetics(), synthetic.map_result()
    un, ds = synthetic.unmixed(kin), synthetic.spectra()
    composition = (1.5 * maps.fraction.sel(component="pristine", drop=True)).to_dataset(
        name="x_iodine"
    )
    composition["x_iodine"].attrs = names.attrs("x_iodine")
    return {
        "spectra": plot.plot_spectra(ds),
        "movie": plot.plot_spectral_movie(ds),
        "unmixing": plot.plot_unmixing(*unmixed_spectrum),
        "kinetics": plot.plot_kinetics(un.isel(power=3), kin.isel(power=3)),
        "kinetics_powers": plot.plot_kinetics(un, kin),
        "conversion": plot.plot_conversion({"x1.0": kin, "x1.5": kin}),
        "arrhenius": plot.plot_arrhenius({"x1.0": synthetic.arrhenius()}),
        "diffusion": plot.plot_diffusion(synthetic.diffusion()),
        "map": plot.plot_map(maps.sel(component="bromide"), "fraction"),
        "composition": plot.plot_composition(composition),
        "profile": plot.plot_profile(*halo),
        "temperature": plot.plot_temperature(heat),
    }


KINDS = (
    "spectra", "movie", "unmixing", "kinetics", "kinetics_powers", "conversion", "arrhenius",
    "diffusion", "map", "composition", "profile", "temperature",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_has_a_column_width_labels_and_readable_text(kind, figures):
    import matplotlib.text

    figure = figures[kind]
    figure.draw_without_rendering()
    width = figure.get_size_inches()[0]
    assert width in (pytest.approx(3.3), pytest.approx(6.9))
    written = [t for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]
    assert min(t.get_fontsize() for t in written) >= 6.0
    for ax in figure.axes:
        if ax.get_xticks().size and ax.get_label() != "<colorbar>" and ax.xaxis.get_visible():
            bottom = ax.get_xlabel() or kind in ("map", "composition", "unmixing")
            assert bottom, kind


@pytest.mark.parametrize(
    "kind", ["movie", "unmixing", "kinetics", "arrhenius", "map", "temperature"]
)
def test_the_same_figure_gives_the_same_bytes(kind, figures, tmp_path):
    first = plot.save_figure(figures[kind], tmp_path / "a", identifier="abc", dpi=72)
    second = plot.save_figure(figures[kind], tmp_path / "b", identifier="abc", dpi=72)
    for suffix in ("svg", "png"):
        assert first[suffix].read_bytes() == second[suffix].read_bytes()
    svg = first["svg"].read_text("utf-8")
    assert "<dc:date>" not in svg
    assert "abc" in svg
    assert b"abc" in first["png"].read_bytes()


def test_figures_are_the_same_in_another_process(tmp_path):
    code = (
        "import sys, hashlib, xarray as xr, numpy as np\n"
        "from plkit import plot\n"
        "c = np.arange(6.0)\n"
        "da = xr.DataArray(np.add.outer(c, c), {'y': c, 'x': c}, ('y', 'x'), 'fraction')\n"
        "files = plot.save_figure(plot.plot_map(da.where(da > 0)), sys.argv[1])\n"
        "print(*[hashlib.sha256(f.read_bytes()).hexdigest() for f in files.values()])\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / f"x1.0_{n}")],
            capture_output=True, text=True, check=True,
        ).stdout
        for n in "ab"
    ]  # fmt: skip
    assert runs[0] == runs[1]
    assert (tmp_path / "x1.0_a.svg").exists()


def test_drawing_leaves_matplotlib_as_it_was_and_needs_no_pyplot():
    code = (
        "import sys, matplotlib\n"
        "state = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = state()\n"
        "import xarray as xr, numpy as np\n"
        "from plkit import plot\n"
        "plot.plot_spectra(xr.DataArray(np.ones(4), {'wavelength': np.arange(4.0)}, "
        "('wavelength',), 'intensity'))\n"
        "assert state() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'holoviews' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, figures):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"Cannot save the figure a because .*not a folder"):
        plot.save_figure(figures["map"], tmp_path / "file" / "a")


# What is drawn --------------------------------------------------------------------------------
def test_spectra_are_drawn_first_and_last_and_no_more_than_asked():
    ds = synthetic.spectra(50)
    lines = plot.plot_spectra(ds, max_lines=7).axes[0].lines
    assert len(lines) == 7
    np.testing.assert_array_equal(lines[0].get_ydata(), ds.intensity.isel(time=0))
    np.testing.assert_array_equal(lines[-1].get_ydata(), ds.intensity.isel(time=-1))
    assert len({line.get_color() for line in lines}) == 7


def test_normalised_spectra_reach_one():
    lines = plot.plot_spectra(synthetic.spectra(4), normalise=True).axes[0].lines
    assert [line.get_ydata().max() for line in lines] == [1.0] * 4


def test_named_spectra_have_a_legend(unmixed_spectrum):
    figure = plot.plot_spectra(unmixed_spectrum[1])
    assert "pristine" in texts(figure)
    assert "Wavelength λ (nm)" in texts(figure)


def test_several_series_at_once_are_refused_with_a_way_out():
    ds = synthetic.spectra(4).intensity.expand_dims(power=[1.0, 2.0])
    for draw in (plot.plot_spectra, plot.plot_spectral_movie):
        with pytest.raises(DataError, match=r"not one series of spectra\. Select one"):
            draw(ds)
    assert plot.plot_spectra(ds.isel(power=[0])) is not None
    with pytest.raises(DataError, match=r"not 'light'"):
        plot.plot_spectra(synthetic.spectra(3), variable="light")
    with pytest.raises(DataError, match="one spectrum, not a series"):
        plot.plot_spectral_movie(synthetic.spectra(3).isel(time=0))


def test_what_is_not_a_number_is_grey_in_the_movie():
    ds = synthetic.spectra(6)
    ds["intensity"][2, 10] = np.nan
    image = plot.plot_spectral_movie(ds).axes[0].collections[0]
    image.update_scalarmappable()
    rgba = image.get_facecolor().reshape(6, 256, 4)
    np.testing.assert_allclose(rgba[2, 10, :3], mpl.colors.to_rgb("#BDBDBD"))


def test_the_fitted_curve_and_its_band_follow_the_fit():
    kin = synthetic.kinetics().isel(power=0)
    t = np.array([0.0, 1e6])
    curve, sigma = fitted_curve(kin, t)
    assert curve[0] == pytest.approx(float(kin.k01 + kin.k02 + kin.plateau))
    assert curve[1] == pytest.approx(float(kin.plateau))
    assert sigma[1] == pytest.approx(0.004)
    assert sigma[0] == pytest.approx(np.sqrt(2 * 0.006**2 + 0.004**2))


def test_a_parameter_at_its_bound_leaves_the_band_finite():
    kin = synthetic.kinetics().isel(power=0)
    kin["covariance"][:, 4] = np.nan
    kin["covariance"][4, :] = np.nan
    assert np.isfinite(fitted_curve(kin, np.array([0.0, 10.0]))[1]).all()


def test_the_growing_component_is_drawn_as_one_minus_the_falling_one():
    kin = synthetic.kinetics()
    ax = plot.plot_kinetics(synthetic.unmixed(kin).isel(power=2), kin.isel(power=2)).axes[0]
    fits = [line for line in ax.lines if line.get_label() in synthetic.COMPONENTS]
    assert len(fits) == 2
    np.testing.assert_allclose(fits[0].get_ydata() + fits[1].get_ydata(), 1.0)
    bands = [c for c in ax.collections if type(c).__name__ == "FillBetweenPolyCollection"]
    assert len(bands) == 2
    assert len(ax.containers) == 2  # points with σ


def test_the_falling_component_is_found_where_the_fit_does_not_say():
    kin = synthetic.kinetics()
    un = synthetic.unmixed(kin)
    swapped = un.assign_coords(component=["iodide", "bromide"])
    assert falling_component(swapped.fraction, kin.drop_attrs(), "draw") == "iodide"
    with pytest.raises(DataError, match="not component and time"):
        plot.plot_kinetics(un.isel(time=0), kin)


def test_conversion_is_drawn_with_sigma_at_the_asked_exposure():
    kin = synthetic.kinetics()
    more = xr.concat([kin.assign_coords(at_s=[100.0]), kin], dim="at_s", data_vars="minimal")
    more["conversion"] = more["conversion"] * xr.DataArray([0.5, 1.0], dims="at_s")
    ax = plot.plot_conversion(more, at_s=100.0).axes[0]
    bars = ax.containers[0]
    np.testing.assert_allclose(bars[0].get_ydata(), 0.5 * kin.conversion.isel(at_s=0))
    segment = bars[2][0].get_segments()[0]
    assert segment[1, 1] - segment[0, 1] == pytest.approx(2 * 0.008)
    assert "after 100 s" in ax.get_ylabel()
    with pytest.raises(
        DataError, match=r"'at_s' is 7, not one of the fitted exposures 100, 499.5 s"
    ):
        plot.plot_conversion(more, at_s=7.0)


def test_arrhenius_points_have_sigma_on_both_axes_and_the_energy_is_printed(figures):
    result = synthetic.arrhenius()
    points = arrhenius_points(result)
    np.testing.assert_allclose(points.inverse, 1e3 / result.temperature.values)
    np.testing.assert_allclose(
        points.inverse_stderr, 1e3 * result.temperature_stderr / result.temperature**2
    )
    np.testing.assert_allclose(points.ln_stderr, result.rate_stderr / result.rate)
    energy = value_text(
        float(result.activation_energy), float(result.activation_energy_stderr), "eV"
    )
    assert energy in texts(figures["arrhenius"])
    bars = figures["arrhenius"].axes[0].containers[0]
    assert bars.has_xerr
    assert bars.has_yerr


def test_left_out_points_are_not_drawn():
    result = synthetic.arrhenius()
    result["rate"][0] = np.nan
    assert arrhenius_points(result).sizes["power"] == 7


def test_diffusion_goes_on_to_room_temperature(figures):
    result = synthetic.diffusion()
    ax = figures["diffusion"].axes[0]
    assert min(line.get_xdata().min() for line in ax.lines) == pytest.approx(293.0)
    room = plkit.predict_arrhenius(result, 293.0)
    shown = re.search(r"293 K\) =\n\(([\d.]+) [±−].*× 10⁻¹⁴ m²/s", texts(figures["diffusion"]))
    assert float(shown[1]) * 1e-14 == pytest.approx(float(room.diffusion_coefficient), rel=0.05)
    with pytest.raises(DataError, match=r"not 'rate'\. Give the result of plkit\.fit_arrhenius"):
        plot.plot_arrhenius(xr.Dataset())


def test_failed_pixels_are_hatched_and_counted():
    maps = synthetic.map_result()
    one = maps.sel(component="bromide")
    n = int(failed_pixels(one, one.fraction).sum())
    assert n == int((maps.fit_status >= 3).sum()) > 50
    figure = plot.plot_map(one, "fraction")
    assert f"no result ({n})" in texts(figure)
    hatched = [c for c in figure.axes[0].collections if c.get_hatch()]
    area = sum(
        float(np.ptp(p.vertices[:, 0]) * np.ptp(p.vertices[:, 1])) for p in hatched[0].get_paths()
    )
    assert area == pytest.approx(n * (40.0 / 60) ** 2)


def test_compositions_that_are_none_are_told_apart():
    x = np.arange(8.0)
    flags = np.zeros((8, 8), np.int8)
    flags[0, :5], flags[1, :3], flags[2, :2], flags[3, :4] = 1, 2, 32, 16
    values = np.where((flags == 0) | (flags == 16), 1.0, np.nan)
    values[7, 7] = np.nan  # for no stated reason
    ds = xr.Dataset({"x_iodine": (("y", "x"), values, names.attrs("x_iodine"))}, {"y": x, "x": x})
    meanings = (
        "above_bromide_end bromide_limit low_sensitivity beyond_iodide_end multiple_phases no_peak"
    )
    masks = 2 ** np.arange(6, dtype=np.int8)
    ds["composition_flag"] = (("y", "x"), flags, {"flag_masks": masks, "flag_meanings": meanings})
    written = texts(plot.plot_composition(ds))
    for text in ("limit only (8)", "no peak (2)", "several phases (4)", "no result (1)"):
        assert text in written
    assert "iodide end" not in written


def test_a_sound_map_has_no_hatching_and_a_round_scale_bar():
    c = (np.arange(100) + 0.5) * 2.0
    da = xr.DataArray(np.add.outer(c, c), {"y": c, "x": c}, ("y", "x"), "fraction")
    figure = plot.plot_map(da)
    assert "no result" not in texts(figure)
    assert "50 µm" in texts(figure)
    assert "Emission fraction $f$" in texts(figure)


def test_a_map_of_nothing_and_of_one_value_can_be_drawn(tmp_path):
    c = np.arange(5.0)
    for value in (np.nan, 0.3):
        da = xr.DataArray(np.full((5, 5), value), {"y": c, "x": c}, ("y", "x"), "fraction")
        plot.save_figure(plot.plot_map(da), tmp_path / "m", dpi=72)


def test_maps_are_named_by_component_and_power():
    one = synthetic.map_result().sel(component="bromide").assign_coords(power=120.0)
    assert "bromide, 120 µW" in texts(plot.plot_map(one, "fraction"))


def test_bad_maps_are_refused_with_the_names_that_there_are():
    maps = synthetic.map_result()
    with pytest.raises(
        DataError, match=r"'peak' is not in it; it has the maps fraction, fit_status"
    ):
        plot.plot_map(maps, "peak")
    with pytest.raises(DataError, match=r"Select one, for instance \.isel\(component=0\)"):
        plot.plot_map(maps, "fraction")


def test_the_profile_runs_through_the_centre_with_its_fit(halo):
    fraction, fit = halo
    figure = plot.plot_profile(fraction, fit)
    ax = figure.axes[0]
    curve = max(ax.lines, key=lambda line: line.get_xdata().size)
    assert curve.get_xdata()[np.argmax(curve.get_ydata())] == pytest.approx(11.0, abs=0.1)
    row = fraction.sel(y=float(fit.centre_y), method="nearest")
    model = np.interp(fraction.x, curve.get_xdata(), curve.get_ydata())
    assert float(np.sqrt(np.mean((row - model) ** 2))) == pytest.approx(0.01, rel=0.3)
    width = value_text(float(fit.profile_sigma), float(fit.profile_sigma_stderr), "um")
    assert width in texts(figure)


def test_a_halo_that_could_not_be_fitted_is_drawn_without_a_fit(halo, tmp_path):
    fraction, fit = halo
    nothing = fit.map(lambda v: xr.full_like(v, np.nan) if v.dtype.kind == "f" else v)
    figure = plot.plot_profile(fraction, nothing)
    assert "no fit: " in texts(figure)
    assert len(figure.axes[0].lines) == 1
    with pytest.raises(DataError, match="the fit runs over power, not one profile"):
        plot.plot_profile(fraction, fit.expand_dims(power=[1.0, 2.0]))


def test_components_and_background_add_up_to_the_model(unmixed_spectrum):
    ds, refs, result = unmixed_spectrum
    parts = component_spectra(result, refs)
    assert parts.component.values.tolist() == ["pristine", "bromide", "background"]
    rest = ds.intensity - parts.sum("component")
    assert float(np.sqrt((rest**2).mean())) == pytest.approx(float(result.residual_rms), rel=1e-9)
    np.testing.assert_allclose(
        parts.sel(component="pristine").sum(), result.amplitude.sel(component="pristine")
    )


def test_the_residual_is_in_sigma_where_the_gain_is_known(unmixed_spectrum):
    ds, refs, result = unmixed_spectrum
    assert "/ σ" in texts(plot.plot_unmixing(ds, refs, result))
    assert "(counts)" in plot.plot_unmixing(ds.intensity, refs, result).axes[1].get_ylabel()


def test_several_spectra_or_other_references_are_refused(unmixed_spectrum):
    ds, refs, result = unmixed_spectrum
    with pytest.raises(DataError, match="several spectra along 'time', not one"):
        plot.plot_unmixing(synthetic.spectra(3), refs, result)
    with pytest.raises(DataError, match="the spectrum has 256 channels and the references 255"):
        plot.plot_unmixing(ds, refs.isel(wavelength=slice(1, None)), result)


def test_temperatures_rise_from_the_room_with_their_band(heat):
    figure = plot.plot_temperature(heat)
    right = figure.axes[1]
    assert right.lines[0].get_ydata()[0] == pytest.approx(293.15)
    assert right.lines[0].get_ydata()[-1] == pytest.approx(float(heat.detection_temperature[-1]))
    assert len(right.collections) == 2
    assert "Rise per incident power" in texts(figure)


def test_the_field_alone_and_the_powers_alone_can_be_drawn(heat):
    field = heat.drop_vars([v for v in heat.data_vars if "temperature" in str(v)])
    assert len(plot.plot_temperature(field).axes) == 2  # field and colour bar
    figure = mpl.figure.Figure()
    assert plot.plot_temperature(heat, ax=figure.add_subplot()) is figure
    assert len(figure.axes) == 1
    with pytest.raises(DataError, match="not temperatures"):
        plot.plot_temperature(xr.Dataset())


@pytest.mark.parametrize("kind", ["spectra", "kinetics", "arrhenius", "map"])
def test_a_given_axes_is_drawn_on(kind):
    kin = synthetic.kinetics()
    draw = {
        "spectra": lambda ax: plot.plot_spectra(synthetic.spectra(3), ax=ax),
        "kinetics": lambda ax: plot.plot_kinetics(synthetic.unmixed(kin), kin, ax=ax),
        "arrhenius": lambda ax: plot.plot_arrhenius(synthetic.arrhenius(), ax=ax),
        "map": lambda ax: plot.plot_map(synthetic.map_result().sel(component="bromide"), "fraction", ax=ax),
    }  # fmt: skip
    figure = mpl.figure.Figure()
    ax = figure.add_subplot()
    assert draw[kind](ax) is figure
    assert ax.has_data()


# Labels ---------------------------------------------------------------------------------------
def test_labels_come_from_the_table_with_readable_units():
    assert label("mean_rate") == "Mean rate ⟨k⟩ (s⁻¹)"
    assert label("x") == "x (µm)"
    assert label("activation_energy") == r"Activation energy $E_{\mathrm{a}}$ (eV)"
    da = xr.DataArray(0.0, name="movie", attrs=names.attrs("intensity"))
    assert label_of(da) == "Intensity (counts)"
    # An array whose unit is not the table's is labelled with its own.
    assert label_of(xr.DataArray(0.0, name="energy", attrs={"units": "keV"})) == "energy (keV)"


@pytest.mark.parametrize("name", sorted(names.TABLE))
def test_every_label_can_be_drawn(name):
    from matplotlib.mathtext import MathTextParser

    text = label(name)
    assert "^" not in pretty_unit(names.unit(name)) or names.unit(name) not in ("m^2/s", "counts^2")
    if "$" in text:
        MathTextParser("agg").parse(text)


@pytest.mark.parametrize(
    "value, stderr, unit, text",
    [
        (0.2481, 0.0302, "eV", "0.248 ± 0.030 eV"),
        (3.94e-14, 4.4e-15, "m^2/s", "(3.94 ± 0.44) × 10⁻¹⁴ m²/s"),
        (1234567.0, 2345.0, "counts", "(1.2346 ± 0.0023) × 10⁶ counts"),
        (293.15, 12.0, "K", "293 ± 12 K"),
        (0.5, 0.0, "1", "0.5"),
        (0.5, None, "s", "0.5 s"),
        (float("nan"), 1.0, "s", "not found"),
        (1e-20, None, "m^2/s", "1.00 × 10⁻²⁰ m²/s"),
        (-0.1, 0.25, "eV", "−0.10 ± 0.25 eV"),
        (0.0, 0.0, "1", "0"),
        (2.0, 0.0999, "1", "2.00 ± 0.10"),
    ],
)
def test_numbers_are_rounded_to_two_digits_of_sigma(value, stderr, unit, text):
    assert value_text(value, stderr, unit) == text
