"""The certified nonlinear fits of NIST (Statistical Reference Datasets) through fit_model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from plkit import models
from plkit.fit import fit_model
from plkit.names import TIME

sys.path.insert(0, str(Path(__file__).parent / "studies"))
import nist

# Here the far start leads Levenberg–Marquardt astray, lmfit's own as well.
LOST = {("BoxBOD", 1), ("MGH17", 1)}
REACHED = sorted({(name, start) for name in nist.NAMES for start in (1, 2)} - LOST)


@pytest.mark.parametrize(("name", "start"), REACHED)
def test_proof_2_nist_strd(name, start, test_data):
    out, value_digits, sigma_digits, rss = nist.fit(name, start, test_data)
    assert value_digits.min() >= 6.0
    # The residual of Lanczos1 is rounding, and so is its σ.
    assert sigma_digits.min() >= (3.0 if name == "Lanczos1" else 6.0)
    assert float(out.chisqr) == pytest.approx(rss, rel=1e-2 if name == "Lanczos1" else 1e-8)
    assert int(out.fit_status) == 0


@pytest.mark.parametrize(("name", "start"), [("Misra1a", 1), ("Hahn1", 2), ("MGH09", 1)])
def test_proof_2_nist_strd_by_the_reference_engine(name, start, test_data):
    _, value_digits, sigma_digits, _ = nist.fit(name, start, test_data, engine="lmfit")
    assert min(value_digits.min(), sigma_digits.min()) >= 6.0


@pytest.mark.parametrize(("name", "start"), sorted(LOST))
@pytest.mark.filterwarnings("ignore:no trace could be fitted:plkit.errors.PlkitWarning")
def test_proof_2_a_lost_fit_is_flagged(name, start, test_data):
    out, *_ = nist.fit(name, start, test_data)
    assert int(out.fit_status) in (2, 4)


def test_proof_2_all_27_problems_are_here(test_data):
    assert {p.stem for p in (test_data / "nist_strd").glob("*.dat")} == set(nist.NAMES)
    assert len(nist.NAMES) == 27


def test_proof_2_all_problems_of_one_axis_can_share_a_block(test_data):
    """Both starts, and the data themselves as a block of rows, end at the same numbers."""
    model, data, starts, values, _, _ = nist.problem("Thurber", test_data)
    params = model.make_params(**{f"b{i + 1}": v for i, v in enumerate(starts[1])})
    many = xr.concat([data] * 50, dim="point")
    out = fit_model(many, model, TIME, params)
    for i, value in enumerate(values):
        assert nist.digits(out[f"b{i + 1}"].values, value).min() >= 6.0


@pytest.mark.parametrize("name", sorted(nist.DECAYS))
def test_proof_2_sums_of_exponentials_by_the_compiled_kernels(name, test_data):
    """Without starting values, hence also from where the general search is lost."""
    value_digits, sigma_digits = nist.fit_compiled(name, test_data)
    assert value_digits.min() >= 6.0
    # the residual of Lanczos1 is rounding, and so is its σ
    assert name == "Lanczos1" or sigma_digits.min() >= 6.0


def test_mgh17_data_through_plkits_own_decay_model(test_data):
    """MGH17 is an offset and two exponentials; its fast one rises, so the bound k02 ≥ 0 goes."""
    starts, values, _, _, x, y = nist.read(test_data / "nist_strd" / "MGH17.dat")
    model = models.BiexponentialDecayModel()
    for n in ("k01", "k02"):
        model.set_param_hint(n, min=-np.inf)
    b1, b2, b3, b4, b5 = starts[1]
    params = model.make_params(plateau=b1, k01=b2, k02=b3, k1=b4, k2=b5)
    out = fit_model(xr.DataArray(y, dims=TIME, coords={TIME: x}), model, TIME, params)
    # k1 > k2 whatever the certified order
    c1, c2, c3, c4, c5 = values
    assert nist.digits(float(out.k1), max(c4, c5)) >= 6
    assert nist.digits(float(out.k01), c3 if c5 > c4 else c2) >= 6
    assert nist.digits(float(out.plateau), c1) >= 6
