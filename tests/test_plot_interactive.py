"""HoloViews twins: the same numbers, labels, units and colours as on paper; σ under the mouse."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import xarray as xr

from plkit import names, plot
from plkit.errors import DataError
from plkit.plot.arrhenius import arrhenius_points
from plkit.plot.kinetics import fitted_curve

from . import synthetic_results as synthetic

hv = pytest.importorskip("holoviews")


@pytest.fixture(scope="module")
def one_map() -> xr.Dataset:
    maps = synthetic.map_result()
    maps["fraction_stderr"] = xr.full_like(maps.fraction, 0.02).assign_attrs(
        names.attrs("fraction_stderr")
    )
    return maps.sel(component="bromide")


def axis_labels(element) -> tuple[str, str]:
    figure = hv.render(element, backend="bokeh")
    return figure.xaxis[0].axis_label, figure.yaxis[0].axis_label


def kinds(element) -> list[str]:
    return [type(e).__name__ for e in element]


def only(element, kind):
    found = [e for e in element if isinstance(e, kind)]
    assert len(found) == 1, kinds(element)
    return found[0]


def tooltips(element) -> str:
    """Everything that hover tools of a rendered figure say."""
    from bokeh.models import HoverTool

    rendered = hv.render(element, backend="bokeh")
    return "\n".join(
        f"{name}: {text}"
        for tool in rendered.select({"type": HoverTool})
        for name, text in tool.tooltips
    )


# Every pair -----------------------------------------------------------------------------------
DRAWN_ON = {"ax", "axes"}
PAPER = sorted(n.removeprefix("plot_") for n in plot.__all__ if n.startswith("plot_"))
SCREEN = sorted(n.removeprefix("hv_") for n in plot.__all__ if n.startswith("hv_"))


def test_every_figure_is_dressed_twice() -> None:
    assert PAPER == SCREEN
    assert len(PAPER) >= 21


@pytest.mark.parametrize("name", PAPER)
def test_twins_have_the_same_parameters(name: str) -> None:
    paper, screen = (inspect.signature(getattr(plot, f"{d}_{name}")) for d in ("plot", "hv"))
    kept = [p for p in paper.parameters.values() if p.name not in DRAWN_ON]
    assert kept == list(screen.parameters.values())


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize("dress", ["plot", "hv"])
@pytest.mark.parametrize("wrong", [xr.Dataset(), "results.nc", None, xr.DataTree()])
def test_what_is_no_result_is_refused_with_a_way_out(name: str, dress: str, wrong: object) -> None:
    draw = getattr(plot, f"{dress}_{name}")
    needed = [
        p
        for p in inspect.signature(draw).parameters.values()
        if p.default is inspect.Parameter.empty
    ]
    with pytest.raises(DataError, match=r"^Cannot (plot|draw)"):
        draw(*[wrong] * len(needed))


# What is drawn --------------------------------------------------------------------------------
def test_a_map_keeps_labels_and_units(one_map):
    overlay = plot.hv_map(one_map, "fraction")
    assert axis_labels(overlay) == ("x (µm)", "y (µm)")
    assert only(overlay, hv.Image).vdims[0].pprint_label == "Emission fraction f"


def test_a_map_has_its_colour_limits_bound_and_failures_grey_and_hatched(one_map):
    from bokeh.models import LinearColorMapper

    overlay = plot.hv_map(one_map, "fraction", clim=(0.0, 0.5))
    rendered = hv.render(overlay, backend="bokeh")
    mapper = rendered.select_one({"type": LinearColorMapper})
    assert (mapper.low, mapper.high) == (0.0, 0.5)
    image = only(overlay, hv.Image)
    failed = int((one_map.fit_status >= 3).sum())
    assert int(np.isnan(image.dimension_values("fraction")).sum()) == failed
    hatched = only(overlay, hv.Rectangles)
    assert hatched.label == f"no result ({failed})"
    assert any(getattr(r.glyph, "hatch_pattern", None) for r in rendered.renderers)
    found = only(plot.hv_map(one_map, "fraction"), hv.Image).vdims[0].range
    np.testing.assert_allclose(found, np.nanpercentile(one_map.fraction, [0.5, 99.5]))


def test_a_map_says_value_and_sigma_under_the_mouse(one_map):
    overlay = plot.hv_map(one_map, "fraction")
    assert " ± " in tooltips(overlay)
    sigma = only(overlay, hv.Image).dimension_values("σ", flat=False)
    assert np.nanmax(sigma) == np.nanmin(sigma) == 0.02


def test_the_values_of_a_map_stand_where_they_belong():
    c = np.array([0.0, 1.0, 2.0])
    da = xr.DataArray(np.arange(6.0).reshape(2, 3), {"y": c[:2], "x": c}, ("y", "x"), "fraction")
    for given in (da, da.isel(y=slice(None, None, -1), x=slice(None, None, -1))):
        image = only(plot.hv_map(given), hv.Image)
        assert image[2.0, 0.0] == 2.0
        assert image[0.0, 1.0] == 3.0


def test_uneven_axes_are_drawn_where_they_are():
    t = np.array([0.0, 1.0, 10.0])
    da = xr.DataArray(
        np.arange(9.0).reshape(3, 3), {"time": t, "wavelength": [500.0, 501.0, 502.0]},
        ("time", "wavelength"), "intensity", names.attrs("intensity"),
    )  # fmt: skip
    mesh = only(plot.hv_spectral_movie(da), hv.QuadMesh)
    np.testing.assert_allclose(mesh.dimension_values("intensity", flat=False), da.values)
    assert "Time" in tooltips(plot.hv_spectral_movie(da))


def test_spectra_are_curves_with_units_first_dark_last_light():
    ds = synthetic.spectra(4)
    overlay = plot.hv_spectra(ds)
    curves = [e for e in overlay if isinstance(e, hv.Curve)]
    for curve, expected in zip(curves, ds.intensity.values, strict=True):
        np.testing.assert_array_equal(curve.dimension_values("intensity"), expected)
    assert axis_labels(overlay) == ("Wavelength λ (nm)", "Intensity I (counts)")
    colours = [hv.Store.lookup_options("bokeh", c, "style").kwargs["color"] for c in curves]
    assert colours[0] == "#440154"
    assert len(set(colours)) == 4
    paper = [line.get_color() for line in plot.plot_spectra(ds).axes[0].lines]
    assert paper == colours
    single = only(plot.hv_spectra(ds.isel(time=0)), hv.Curve)
    np.testing.assert_array_equal(single.dimension_values(1), ds.intensity.isel(time=0))


def test_few_spectra_show_their_sigma_by_the_noise_model():
    ds = synthetic.spectra(3)
    ds["noise_gain"] = ((), 2.0, names.attrs("noise_gain"))
    ds["noise_floor"] = ((), 9.0, names.attrs("noise_floor"))
    bands = [e for e in plot.hv_spectra(ds) if isinstance(e, hv.Area)]
    assert len(bands) == 3
    peak = int(ds.intensity[0].values.argmax())
    expected = np.sqrt(2.0 * float(ds.intensity[0, peak]) + 9.0)
    half = 0.5 * (bands[0].dimension_values("upper") - bands[0].dimension_values("intensity"))
    assert half[peak] == pytest.approx(expected, rel=0.02)
    assert "± " in tooltips(plot.hv_spectra(ds))
    collections = plot.plot_spectra(ds).axes[0].collections
    assert len(collections) == 3


def test_kinetics_have_points_curve_and_band_for_both_components():
    kin = synthetic.kinetics().isel(power=3)
    overlay = plot.hv_kinetics(synthetic.unmixed(synthetic.kinetics()).isel(power=3), kin)
    assert kinds(overlay) == ["ErrorBars", "Scatter", "Curve", "Area"] * 2
    curve = next(e for e in overlay if isinstance(e, hv.Curve) and e.label == "pristine")
    t = curve.dimension_values(0)
    value, sigma = fitted_curve(kin, t)
    np.testing.assert_allclose(curve.dimension_values(1), value)
    np.testing.assert_allclose(curve.dimension_values("σ"), sigma)
    assert axis_labels(overlay) == ("Time t (s)", "Emission fraction f")


def test_arrhenius_has_points_with_bars_on_both_axes_and_the_energy():
    result = synthetic.arrhenius()
    overlay = plot.hv_arrhenius({"x1.0": result})
    assert axis_labels(overlay)[0] == "1000/T (K⁻¹)"
    bars = [e for e in overlay if isinstance(e, hv.ErrorBars)]
    points = arrhenius_points(result)
    np.testing.assert_allclose(bars[0].dimension_values(2), points.ln_stderr)
    np.testing.assert_allclose(bars[1].dimension_values(2), points.inverse_stderr)
    assert any(e.label.startswith("x1.0: Eₐ = 0.2") and e.label.endswith(" eV") for e in overlay)
    assert "Temperature" in tooltips(overlay)
    assert "Laser power" in tooltips(overlay)


def test_bad_input_is_refused_as_by_the_paper_figures():
    with pytest.raises(DataError, match="Cannot plot a map because the data has the dims"):
        plot.hv_map(synthetic.map_result(), "fraction")
    with pytest.raises(DataError, match="not one series of spectra"):
        plot.hv_spectra(synthetic.spectra(3).intensity.expand_dims(power=[1.0, 2.0]))
    with pytest.raises(DataError, match=r"not 'rate'\. Give the result of plkit\.fit_arrhenius"):
        plot.hv_arrhenius(xr.Dataset())


def test_a_page_needs_no_network(one_map):
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    page = file_html(hv.render(plot.hv_map(one_map, "fraction"), backend="bokeh"), INLINE, "map")
    assert 'src="http' not in page.replace('src="https://cdn.jsdelivr.net/npm/mathjax', "")
    assert 'href="http' not in page
