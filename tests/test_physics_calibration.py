"""Calibrations: published numbers, inverses, ranges, σ, conventions of x."""

from __future__ import annotations

import re
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plkit.errors import DataError
from plkit.physics.calibration import (
    CALIBRATIONS,
    Calibration,
    bromine_count_from_iodine,
    bromine_fraction_from_iodine,
    get_calibration,
    iodine_from_bromine_count,
    iodine_from_bromine_fraction,
)
from plkit.physics.constants import HC_EV_NM

X = np.array([0.0, 1.0, 1.5, 2.0, 3.0])
PEAKS_NM = np.array([513.0, 543.0, 590.0, 646.0, 690.0])


def test_proof_h1_wavelengths_and_energies_agree():
    np.testing.assert_allclose(HC_EV_NM / PEAKS_NM, [2.417, 2.283, 2.101, 1.919, 1.797], atol=6e-4)


def test_proof_h3_cubic():
    np.testing.assert_allclose(
        get_calibration("cunha2025").energy(X), [2.42, 2.26, 2.105, 1.94, 1.70], atol=1e-12
    )


def test_proof_h3a_inversions():
    cubic = get_calibration("cunha2025")
    np.testing.assert_allclose(
        cubic.x_iodine(HC_EV_NM / PEAKS_NM), [0.127, 0.915, 1.511, 2.065, 2.493], atol=5.1e-4
    )
    assert cubic.monotonic == (0.0, pytest.approx(10.0 / 3.0))
    fine = np.linspace(0.0, 10.0 / 3.0, 2001)
    assert np.all(np.diff(cubic.energy(fine)) < 0)
    assert cubic.energy(10.0 / 3.0 + 0.01) > cubic.energy(10.0 / 3.0)
    assert float(cubic.energy(10.0 / 3.0)) == pytest.approx(1.679, abs=5e-4)
    # no composition above the bromide end: 510 nm and 505 nm
    assert np.isnan(cubic.x_iodine(HC_EV_NM / np.array([510.0, 505.0]))).all()
    # slope zero at x = 0: 1 meV below the maximum is already x = 0.07
    assert float(cubic.x_iodine(2.42 - 0.001)) == pytest.approx(np.sqrt(0.001 / 0.2), rel=0.02)


def test_points_are_met_and_monotone_where_their_cubic_is_not():
    points = get_calibration("cunha2025_points")
    printed = np.array([2.42, 2.28, 2.10, 1.92, 1.80])
    np.testing.assert_allclose(points.energy(X), printed)
    np.testing.assert_allclose(points.x_iodine(printed), X, atol=1e-9)
    fine = np.linspace(0.0, 3.0, 1001)
    assert np.all(np.diff(points.energy(fine)) < 0)
    cubic = np.polynomial.polynomial.polyfit(X, printed, 3)
    assert np.any(np.diff(np.polynomial.polynomial.polyval(fine, cubic)) > 0)


def sheet_rows(path):
    """Rows of the first sheet of a workbook, cells by column letter."""
    spaces = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        texts = [
            "".join(t.text or "" for t in si.iterfind(".//m:t", spaces))
            for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    for row in sheet.iterfind(".//m:row", spaces):
        cells = {}
        for cell in row:
            value = cell.find("m:v", spaces)
            if value is not None and value.text is not None:
                column = re.match("[A-Z]+", cell.get("r", "")).group()  # type: ignore[union-attr]
                cells[column] = texts[int(value.text)] if cell.get("t") == "s" else value.text
        yield cells


def test_literature_follows_from_the_collected_band_gaps(test_data):
    path = test_data / "perovskite_Eg_composition_610" / "data" / "dataset_610_snapshot.xlsx"
    header, *rows = list(sheet_rows(path))
    column = {name: letter for letter, name in header.items()}
    wanted = {"Cs": 1.0, "Pb": 1.0, "Cl": 0.0, "Sn": 0.0}
    kept = [r for r in rows if all(float(r[column[k]]) == v for k, v in wanted.items())]
    assert len(kept) == 15
    bromine = np.array([float(r[column["Br"]]) for r in kept])
    gap = np.array([float(r[column["Bg"]]) for r in kept])
    c = np.polynomial.polynomial.polyfit(bromine, gap, 2)
    np.testing.assert_allclose(c, [1.756, 0.319, 0.301], atol=6e-4)
    literature = get_calibration("literature")
    off = gap - literature.energy(iodine_from_bromine_fraction(bromine))
    assert np.std(off, ddof=1) == pytest.approx(literature.rms, abs=5e-4)


@pytest.mark.parametrize("name", sorted(CALIBRATIONS))
@given(st.floats(0.0, 1.0))
def test_energy_and_composition_are_inverse(name, share):
    c = CALIBRATIONS[name]
    low, high = c.usable
    x = low + share * (high - low)
    back = float(c.x_iodine(c.energy(x)))
    # where the slope vanishes a rounding error of the energy is its square root in x
    assert back == pytest.approx(x, abs=1e-7 if x > 0.01 else 1e-4)


@given(st.floats(0.0, 3.0))
def test_conventions_come_in_pairs(x):
    assert float(iodine_from_bromine_count(bromine_count_from_iodine(x))) == pytest.approx(
        x, abs=1e-12
    )
    assert float(iodine_from_bromine_fraction(bromine_fraction_from_iodine(x))) == pytest.approx(
        x, abs=1e-12
    )


def test_conventions_of_the_three_papers_name_the_same_film():
    assert float(iodine_from_bromine_count(1.2)) == pytest.approx(1.8)  # CsPbBr1.2I1.8
    assert float(iodine_from_bromine_fraction(0.4)) == pytest.approx(1.8)  # CsPb(Br0.4I0.6)3


def test_table_with_covariance_covers_the_truth():
    """σ between the knots: curves through redrawn knots scatter by it."""
    x, e, sigma = (
        [0.0, 1.0, 2.0, 3.0],
        np.array([2.4, 2.3, 2.0, 1.8]),
        np.array([0.01, 0.02, 0.01, 0.03]),
    )
    c = Calibration.from_table(x, e, sigma)
    rng = np.random.default_rng(1)
    at = np.array([0.0, 0.5, 1.3, 2.6, 3.0])
    drawn = [
        Calibration.from_table(x, np.sort(e + 0.1 * rng.normal(0, sigma))[::-1]).energy(at)
        for _ in range(800)
    ]
    np.testing.assert_allclose(np.std(drawn, axis=0) * 10, c.energy_stderr(at), rtol=0.1)
    shared = Calibration.from_table(x, e, covariance=np.full((4, 4), 0.02**2))
    np.testing.assert_allclose(shared.energy_stderr(at), 0.02, rtol=1e-6)  # moves as a whole


def test_table_is_sorted_and_knows_its_monotonic_range():
    c = Calibration.from_table([3.0, 1.0, 0.0, 2.0], [1.9, 2.3, 2.2, 2.0])
    assert c.valid == (0.0, 3.0)
    assert c.monotonic == (1.0, 3.0)
    assert np.isnan(float(c.x_iodine(2.35)))
    assert float(c.x_iodine(2.3)) == pytest.approx(1.0, abs=1e-6)
    assert float(Calibration.from_table([0, 2], [2.4, 2.0], 0.01).energy_stderr(5.0)) > 0


def test_errors_for_the_user():
    with pytest.raises(DataError, match="'cuhna' is not one of cunha2025, cunha2025_points, lit"):
        get_calibration("cuhna")
    with pytest.raises(DataError, match="do not fall with x"):
        Calibration.from_table([0.0, 1.0, 3.0], [1.8, 2.0, 2.4])
    with pytest.raises(DataError, match="an x is there twice"):
        Calibration.from_table([0.0, 0.0, 3.0], [2.4, 2.3, 1.8])
    with pytest.raises(DataError, match=r"x has shape \(3,\) and energy \(2,\)"):
        Calibration.from_table([0.0, 1.0, 3.0], [1.8, 2.0])
    with pytest.raises(DataError, match="no numbers"):
        Calibration.from_table([0.0, 1.0], [1.8, np.nan])
    with pytest.raises(DataError, match=r"covariance has shape \(3, 3\), not \(2, 2\)"):
        Calibration.from_table([0.0, 1.0], [2.0, 1.8], covariance=np.eye(3))
    with pytest.raises(DataError, match="σ of the table"):
        Calibration.from_table([0.0, 1.0], [2.0, 1.8], [0.1, np.nan])
