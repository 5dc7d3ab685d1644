"""HoloViews twins: labels and units survive, colour limits are bound, failures are not drawn."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from plkit import plot
from plkit.errors import DataError
from plkit.plot.arrhenius import arrhenius_points
from plkit.plot.kinetics import fitted_curve

from . import synthetic_results as synthetic

hv = pytest.importorskip("holoviews")


@pytest.fixture(scope="module")
def one_map() -> xr.Dataset:
    return synthetic.map_result().sel(component="bromide")


def axis_labels(element) -> tuple[str, str]:
    figure = hv.render(element, backend="bokeh")
    return figure.xaxis[0].axis_label, figure.yaxis[0].axis_label


def test_a_map_keeps_labels_and_units(one_map):
    image = plot.hv_map(one_map, "fraction")
    assert isinstance(image, hv.Image)
    assert axis_labels(image) == ("x (µm)", "y (µm)")
    assert image.vdims[0].pprint_label == "Emission fraction"


def test_a_map_has_its_colour_limits_bound_and_failures_left_out(one_map):
    from bokeh.models import LinearColorMapper

    image = plot.hv_map(one_map, "fraction", clim=(0.0, 0.5))
    mapper = hv.render(image, backend="bokeh").select_one({"type": LinearColorMapper})
    assert (mapper.low, mapper.high) == (0.0, 0.5)
    values = image.dimension_values("fraction", flat=False)
    assert int(np.isnan(values).sum()) == int((one_map.fit_status >= 3).sum())
    found = plot.hv_map(one_map, "fraction").vdims[0].range
    np.testing.assert_allclose(found, np.nanpercentile(one_map.fraction, [0.5, 99.5]))


def test_the_values_of_a_map_stand_where_they_belong():
    c = np.array([0.0, 1.0, 2.0])
    da = xr.DataArray(np.arange(6.0).reshape(2, 3), {"y": c[:2], "x": c}, ("y", "x"), "fraction")
    image = plot.hv_map(da)
    assert image[2.0, 0.0] == 2.0
    assert image[0.0, 1.0] == 3.0


def test_spectra_are_curves_with_units_first_dark_last_light():
    ds = synthetic.spectra(4)
    overlay = plot.hv_spectra(ds)
    assert list(overlay.keys()) == ds.time.values.tolist()
    assert axis_labels(overlay) == ("Wavelength (nm)", "Intensity (counts)")
    colours = [
        r.glyph.line_color for r in hv.render(overlay, backend="bokeh").renderers
    ]  # in the order of time
    assert colours[0] == "#440154"
    assert len(set(colours)) == 4
    single = plot.hv_spectra(ds.isel(time=0))
    np.testing.assert_array_equal(single.dimension_values(1), ds.intensity.isel(time=0))


def test_kinetics_have_points_curve_and_band_for_both_components():
    kin = synthetic.kinetics().isel(power=3)
    overlay = plot.hv_kinetics(synthetic.unmixed(synthetic.kinetics()).isel(power=3), kin)
    kinds = [type(e).__name__ for e in overlay]
    assert kinds == ["Area", "Curve", "Scatter"] * 2
    curve = next(e for e in overlay if e.label == "pristine, fit")
    t = curve.dimension_values(0)
    np.testing.assert_allclose(curve.dimension_values(1), fitted_curve(kin, t)[0])
    assert axis_labels(overlay) == ("Time (s)", "Emission fraction")


def test_arrhenius_has_points_with_bars_on_both_axes_and_the_energy():
    result = synthetic.arrhenius()
    overlay = plot.hv_arrhenius(result)
    assert axis_labels(overlay)[0] == "1000/T (K⁻¹)"
    bars = [e for e in overlay if isinstance(e, hv.ErrorBars)]
    points = arrhenius_points(result)
    np.testing.assert_allclose(bars[0].dimension_values(2), points.ln_stderr)
    np.testing.assert_allclose(bars[1].dimension_values(2), points.inverse_stderr)
    assert any(e.label.startswith("E_a = 0.2") and e.label.endswith(" eV") for e in overlay)


def test_bad_input_is_refused_as_by_the_paper_figures():
    with pytest.raises(DataError, match="Cannot draw a map because the data has the dims"):
        plot.hv_map(synthetic.map_result(), "fraction")
    with pytest.raises(DataError, match="not one series of spectra"):
        plot.hv_spectra(synthetic.spectra(3).intensity.expand_dims(power=[1.0, 2.0]))
    with pytest.raises(DataError, match="'rate' is missing from the result"):
        plot.hv_arrhenius(xr.Dataset())
    kin = synthetic.kinetics()
    with pytest.raises(DataError, match="Cannot draw the kinetics because"):
        plot.hv_kinetics(synthetic.unmixed(kin), kin)
