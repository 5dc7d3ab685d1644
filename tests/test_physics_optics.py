"""Thin films: Fresnel, quarter waves, energy, and the measured n and k of CsPbBr3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import plkit
from plkit.physics.optics import absorption_coefficient, slab_optics, stack_optics
from plkit.sim import absorptance_from_nk

CSPBBR3 = "refractiveindex_perovskite/database/data/other/perovskite/CsPbBr3/nk/Brennan.yml"


def test_a_single_interface_is_fresnel() -> None:
    for n in (1.53, 2.2 + 0.24j, 0.05 + 4.0j):
        out = stack_optics([], [], 500.0, substrate_index=n)
        assert out.reflectance == pytest.approx(abs((1 - n) / (1 + n)) ** 2, rel=1e-13)
        # all that is not reflected enters the substrate
        assert out.absorptance == pytest.approx(0.0, abs=1e-14)


def test_a_film_of_no_thickness_and_a_film_of_glass_on_glass_do_nothing() -> None:
    bare = stack_optics([], [], 500.0, substrate_index=1.5)
    none = stack_optics([2.2 + 0.3j], [0.0], 500.0, substrate_index=1.5)
    same = stack_optics([1.5], [123.0], 500.0, substrate_index=1.5)
    for film in (none, same):
        assert film.reflectance == pytest.approx(float(bare.reflectance), rel=1e-12)
        assert film.transmittance == pytest.approx(float(bare.transmittance), rel=1e-12)


def test_a_quarter_wave_of_the_geometric_mean_index_does_not_reflect() -> None:
    n_s = 2.25
    out = stack_optics([np.sqrt(n_s)], [500.0 / (4 * np.sqrt(n_s))], 500.0, substrate_index=n_s)
    assert float(out.reflectance) == pytest.approx(0.0, abs=1e-28)
    assert float(out.transmittance) == pytest.approx(1.0, rel=1e-14)


def test_a_quarter_wave_reflects_as_its_admittance() -> None:
    n, n_s = 2.3, 1.52
    out = stack_optics([n], [600.0 / (4 * n)], 600.0, substrate_index=n_s)
    y = n**2 / n_s
    assert float(out.reflectance) == pytest.approx(((1 - y) / (1 + y)) ** 2, rel=1e-12)


def test_a_thick_absorber_shows_only_its_surface() -> None:
    n = 2.2 + 0.3j
    out = stack_optics([n], [1e6], 405.0, substrate_index=1.5)
    assert float(out.reflectance) == pytest.approx(abs((1 - n) / (1 + n)) ** 2, rel=1e-12)
    assert float(out.transmittance) == 0.0


def test_the_absorptance_is_the_light_lost_inside_the_film() -> None:
    # A = ∫ (2π/λ) · 2 n k |E(z)|² dz with E of unit incident amplitude
    n, d, wavelength, n_s = 2.2045 + 0.2444j, 90.0, 405.0, 1.53
    out = stack_optics([n], [d], wavelength, substrate_index=n_s)
    k0 = 2 * np.pi / wavelength
    r1, r2, t1 = (1 - n) / (1 + n), (n - n_s) / (n + n_s), 2 / (1 + n)
    turn = np.exp(2j * k0 * n * d)
    x, w = np.polynomial.legendre.leggauss(60)
    z = d * (x + 1) / 2
    field = (
        t1 * (np.exp(1j * k0 * n * z) + r2 * turn * np.exp(-1j * k0 * n * z)) / (1 + r1 * r2 * turn)
    )
    lost = np.sum(w * d / 2 * k0 * 2 * n.real * n.imag * np.abs(field) ** 2)
    assert float(out.absorptance) == pytest.approx(lost, rel=1e-12)


def test_energy_is_conserved(rng: np.random.Generator) -> None:
    wavelength = np.linspace(350.0, 900.0, 40)
    for _ in range(20):
        count = int(rng.integers(1, 5))
        lossless = [complex(n) for n in rng.uniform(1.1, 4.0, count)]
        thickness = rng.uniform(1.0, 500.0, count)
        clear = stack_optics(lossless, thickness, wavelength, substrate_index=1.5)
        np.testing.assert_allclose(clear.reflectance + clear.transmittance, 1.0, atol=1e-12)
        lossy = [n + 1j * k for n, k in zip(lossless, rng.uniform(0.0, 2.0, count), strict=True)]
        dark = stack_optics(lossy, thickness, wavelength, substrate_index=1.5)
        assert np.all(dark.absorptance > 0)
        total = dark.reflectance + dark.transmittance + dark.absorptance
        np.testing.assert_allclose(total, 1.0, rtol=1e-14)
        # what passes does not depend on the side from which it comes
        back = stack_optics(
            lossy[::-1], thickness[::-1], wavelength, substrate_index=1.0, incident_index=1.5
        )
        np.testing.assert_allclose(back.transmittance, dark.transmittance, rtol=1e-9)


def test_a_bare_slab_adds_its_echoes_by_intensity() -> None:
    r = (0.5 / 2.5) ** 2
    out = slab_optics([], [], 550.0, substrate_index=1.5)
    assert float(out.reflectance) == pytest.approx(2 * r / (1 + r), rel=1e-12)
    assert float(out.transmittance) == pytest.approx((1 - r) / (1 + r), rel=1e-12)


def test_light_from_the_back_of_the_slab_is_absorbed_too() -> None:
    film = stack_optics([2.2 + 0.24j], [40.0], 405.0, substrate_index=1.53)
    slab = slab_optics([2.2 + 0.24j], [40.0], 405.0, substrate_index=1.53)
    gain = float(slab.absorptance - film.absorptance)
    assert 0 < gain < 0.05 * float(film.absorptance) + 0.01


def test_absorption_coefficient() -> None:
    assert float(absorption_coefficient(0.1, 500.0)) == pytest.approx(4 * np.pi * 0.1 / 0.5)


def test_faulty_stacks_are_refused() -> None:
    with pytest.raises(ValueError, match="2 indices for 1"):
        stack_optics([1.5, 2.0], [10.0], 500.0, substrate_index=1.5)
    with pytest.raises(ValueError, match="not negative"):
        stack_optics([1.5], [-10.0], 500.0, substrate_index=1.5)
    with pytest.raises(ValueError, match="k not below 0"):
        stack_optics([1.5 - 0.1j], [10.0], 500.0, substrate_index=1.5)


def test_published_h40_absorptance_of_measured_cspbbr3(test_data: Path) -> None:
    nk = plkit.read(test_data / CSPBBR3)
    at = nk.interp(wavelength=405.0)
    index = complex(float(at["refractive_index"]), float(at["extinction_coefficient"]))
    out = stack_optics([index], [40.0], 405.0, substrate_index=1.53)
    found = [float(v) for v in (out.reflectance, out.transmittance, out.absorptance)]
    assert np.round(found, 3).tolist() == [0.244, 0.553, 0.203]
    assert absorptance_from_nk(nk, 40.0, 405.0, 1.53) == pytest.approx(found[2], rel=1e-12)
