"""Rows that follow from the papers' own equations and constants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from plkit.physics import arrhenius, calibration, fick, heat, lattice, photons, rates, sizes
from plkit.physics.constants import HC_EV_NM
from plkit.study.reproduction import Row, compared, recovered

__all__ = ["constant_rows"]

_X = (0.0, 1.0, 1.5, 2.0, 3.0)
_PEAK_NM = (513.0, 543.0, 590.0, 646.0, 690.0)
_PEAK_EV = (2.42, 2.28, 2.10, 1.92, 1.80)
_EXCITON_NM = (504.0, 539.0, 571.0, 622.0, 690.0)
_EXCITON_EV = (2.46, 2.30, 2.17, 2.00, 1.84)


def constant_rows() -> Iterator[Row]:
    """Rows H1–H5, H7, H8, H10–H12, H20, H22, H23, P3, P4, P9, C1, C2."""
    yield from _optics()
    yield from _sizes()
    yield from _rates()
    yield from _diffusion()
    yield from _heating()
    yield from _periodic_heating()
    yield from _cryo_em()


def _optics() -> Iterator[Row]:
    for x, nm, ev in zip(_X, _PEAK_NM, _PEAK_EV, strict=True):
        yield compared(
            "H1",
            f"PL peak energy, x = {x:g}",
            f"{nm:g} nm, {ev:.2f} eV",
            ev,
            HC_EV_NM / nm,
            "eV",
            within=0.005,
            reason="hc/λ of the printed wavelength",
        )
    for x, nm, ev in zip(_X, _EXCITON_NM, _EXCITON_EV, strict=True):
        yield compared(
            "H2",
            f"first exciton, x = {x:g}",
            f"{nm:g} nm, {ev:.2f} eV",
            ev,
            HC_EV_NM / nm,
            "eV",
            within=0.0075,
            reason="hc/λ of the printed wavelength",
            because="690 nm repeats the PL peak of H1; 1.84 eV (674 nm) is the sound value, H34 gives it too",
        )
    cubic = calibration.get_calibration("cunha2025")
    for x, ev in zip(_X, _PEAK_EV, strict=True):
        yield compared(
            "H3",
            f"calibration E_PL({x:g})",
            f"{ev:.2f} eV (peak of H1)",
            ev,
            float(cubic.energy(x)),
            "eV",
            within=0.025,
            reason="2.42 − 0.2 x² + 0.04 x³, within 25 meV of the peak of H1",
            because="the cubic was fitted to other nanocrystals and misses this film's peak by more than 25 meV",
        )
    for x, nm in zip(_X, _PEAK_NM, strict=True):
        yield compared(
            "H3a",
            f"composition of the peak at {nm:g} nm",
            f"x = {x:g}",
            x,
            float(cubic.x_iodine(HC_EV_NM / nm)),
            "1",
            within=0.1,
            reason="H3 inverted on (0, 10/3), where it falls",
            because="H3 inverted: its slope vanishes at x = 0, where a few meV are a tenth of x"
            if x == 0
            else "H3 inverted: the cubic lies 0.10 eV below this peak",
        )
    for power, printed in ((10.0, 6.37e2), (160.0, 1.02e4)):
        yield compared(
            "H5",
            f"peak irradiance, {power:g} µW, w0 = 1 µm",
            f"{printed:.3g} W/cm²",
            printed,
            float(photons.peak_irradiance(power, 1.0)),
            "W/cm^2",
            within=0.005 * printed,
            reason="2 P/(π w0²)",
        )
    yield compared(
        "H8",
        "2θ of (100), a = 5.87 Å, Cu Kα 1.5418 Å",
        "–",
        15.09,
        float(lattice.bragg_two_theta(5.87, 1.5418)),
        "degree",
        within=0.005,
        reason="2 arcsin(λ/2a); the paper prints the source only",
    )


def _sizes() -> Iterator[Row]:
    mu, s = sizes.lognormal_parameters(12.4, 5.8)
    fit = sizes.fit_lognormal(np.random.default_rng(20250101).lognormal(mu, s, 300))
    how = f"maximum likelihood on {fit.n} simulated edges"
    yield recovered(
        "H7",
        "nanocrystal edge, mean, x = 2",
        "12.4 nm",
        fit.mean,
        fit.mean_stderr,
        12.4,
        "nm",
        reason=how,
    )
    yield recovered(
        "H7",
        "nanocrystal edge, width, x = 2",
        "5.8 nm",
        fit.std,
        fit.std_stderr,
        5.8,
        "nm",
        reason=how,
    )


def _rates() -> Iterator[Row]:
    value = float(rates.mean_rate(0.6, 1 / 20, 0.4, 1 / 150))
    yield compared(
        "H12",
        "⟨k⟩ for weights 0.6, 0.4 and 20, 150 s",
        "(k01 k1 + k02 k2)/(k01 + k02)",
        0.6 / 20 + 0.4 / 150,
        value,
        "1/s",
        within=1e-12,
        reason="equation as printed",
    )
    for row_id, film, kj, mev in (
        ("H14", "x = 1", 24, 248),
        ("H15", "x = 1.5", 21, 217),
        ("H16", "x = 2", 9, 93),
    ):
        yield compared(
            row_id,
            f"E_a from kJ/mol, {film}",
            f"{kj} kJ/mol, {mev} meV",
            mev,
            1e3 * float(arrhenius.ev_from_kj_mol(kj)),
            "meV",
            within=1.0,
            reason="1 eV per particle = 96.485 kJ/mol",
        )


def _diffusion() -> Iterator[Row]:
    d293 = float(arrhenius.arrhenius_rate(293.0, 5.3e-11, 0.182))
    sigma = float(fick.sigma_from_diffusion(d293, 60.0))
    there_and_back = float(fick.diffusion_from_sigma(sigma, 60.0))
    yield compared(
        "H20",
        "D from the width of eq. 1 after 60 s",
        f"σ² = 2 D t, D = {d293:.2e} m²/s",
        d293,
        there_and_back,
        "m^2/s",
        within=1e-9 * d293,
        reason=f"σ = {sigma:.2f} µm and back",
    )
    for where, printed in (("text", 6.3e-14), ("conclusions", 6.2e-14)):
        yield compared(
            "H22",
            f"D(293 K) from H21's central values ({where})",
            f"{printed:.1e} m²/s",
            printed,
            d293,
            "m^2/s",
            within=0.05e-14,
            because="D0 exp(−E_a/k_B T) with the printed central values; 170 meV, inside the printed ± 21, "
            "would give the printed D (next row)",
        )
    yield compared(
        "H22",
        "E_a that the printed D(293 K) needs",
        "182 ± 21 meV",
        182.0,
        1e3 * float(arrhenius.energy_for(6.3e-14, 293.0, 5.3e-11)),
        "meV",
        within=21.0,
        reason="k_B T ln(D0/D): inside the printed σ, so rounding of D0 and E_a explains the row above",
    )


def _heating() -> Iterator[Row]:
    yield compared(
        "H23",
        "ΔT(0) on a half space, 30 µW, k = 1 W/(m K), w0 = 1 µm",
        "12.0 K (closed form)",
        12.0,
        float(heat.half_space_peak_rise(30.0, 1.0, 1.0)),
        "K",
        within=0.05,
        reason="P/(√(2π) k w0)",
    )
    for r_um in (2.0, 10.0):
        ratio = float(
            heat.half_space_radial_rise(r_um, 1.0, 1.0, 1.0)
            / heat.half_space_peak_rise(1.0, 1.0, 1.0)
        )
        printed = float(np.exp(-2 * r_um**2))
        yield compared(
            "H23",
            f"ΔT({r_um:g} µm)/ΔT(0), w0 = 1 µm",
            f"{printed:.1e} (exp(−2 r²/w0²))",
            printed,
            ratio,
            "1",
            within=0.005,
            because=f"the printed Gaussian form has no tail, the heat equation on a half space gives {ratio:.2g}",
        )


def _periodic_heating() -> Iterator[Row]:
    minutes = 60.0
    for row_id, what, times, published, printed in (
        (
            "P3",
            "E_a of segregation, 600 s and 90 s at 23.5 and 35 °C",
            (600.0, 90.0),
            "1.30 eV (1.15–1.49)",
            1.30,
        ),
        (
            "P4",
            "E_a of dark recovery, 120 and 25 min",
            (120 * minutes, 25 * minutes),
            "1.07 eV (0.95–1.23)",
            1.07,
        ),
    ):
        energy = arrhenius.two_point_energy(
            times[0], 273.15 + 23.5, times[1], 273.15 + 35.0, temperature_stderr=(1.0, 1.0)
        )
        yield compared(
            row_id,
            what,
            published,
            printed,
            energy.energy,
            "eV",
            within=0.005,
            reason=f"two points; 68 % interval {energy.lower:.2f}–{energy.upper:.2f} eV for ±1 K on each",
        )
    for film, warm, cold, printed in (
        ("CsPbBr3", 5.807, 5.802, 0.086),
        ("CsPbI3", 6.080, 6.075, 0.082),
    ):
        yield compared(
            "P9",
            f"lattice strain of {film}, 310 → 300 K",
            f"{printed} %",
            printed,
            100 * abs(float(lattice.lattice_strain(cold, warm))),
            "%",
            within=0.0005,
            reason="(a − a0)/a0",
        )


def _cryo_em() -> Iterator[Row]:
    literature = calibration.get_calibration("literature")
    yield compared(
        "C1",
        "PL peak before illumination, from x = 0.9 of CsPb(Br0.7I0.3)3",
        "580 nm",
        580.0,
        HC_EV_NM / float(literature.energy(0.9)),
        "nm",
        within=13.0,
        reason="quadratic through 15 literature gaps of films; its scatter of 43 meV is 13 nm here",
        because="quadratic through 15 literature gaps of films, whose scatter is 43 meV (13 nm)",
    )
    yield compared(
        "C1",
        "shift back in the dark, as a share of the shift by light",
        "580 → 651 → 579 nm",
        1.0,
        (1 / 579 - 1 / 651) / (1 / 580 - 1 / 651),
        "1",
        within=0.02,
        reason="of the photon energies; the film relaxes to within 4 meV",
    )
    for where, ratio, printed in (
        ("pristine", 0.88, 0.29),
        ("grain centre after 5 min", 1.19, 0.40),
    ):
        yield compared(
            "C2",
            f"iodine fraction x/3, {where}",
            f"I/Cs {ratio:.2f}",
            printed,
            1.0 - float(calibration.bromine_fraction_from_iodine(ratio)),
            "1",
            within=0.005,
            reason="one caesium per formula unit: x = I/Cs",
        )
