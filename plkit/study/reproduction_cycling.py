"""Rows of the models: carriers under light (H40–H43), and periodic heating (P1, P2, P5–P8, P10)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import xarray as xr

import plkit
from plkit.names import INTENSITY, NOISE_FLOOR, NOISE_GAIN, TIME, WAVELENGTH
from plkit.physics import carriers as physics
from plkit.physics.optics import stack_optics
from plkit.sim import (
    CyclingEmission,
    Detector,
    Film,
    HeaterProtocol,
    LaserSpot,
    Recombination,
    severity_of,
    simulate_carriers,
    thermal_cycling,
)
from plkit.study.reproduction import Row, compared, recovered

__all__ = ["carrier_rows", "cycling_rows"]

_ZERO_CELSIUS_K = 273.15
_LIFETIMES_NS = (5.0, 20.0, 50.0)
# Measured n and k of CsPbBr3 at 405 nm: Brennan et al., in refractiveindex.info.
_CSPBBR3_405NM = complex(2.204522, 0.24442)


# Carriers -----------------------------------------------------------------------------------------


def carrier_rows() -> Iterator[Row]:
    """Rows H40–H43."""
    bare = float(physics.generation_rate(50.0, 1.0, 40.0, 1.0))
    yield compared(
        "H40", "G/(1 − T405), 50 µW, w0 = 1 µm, l = 40 nm", "2 P (1 − T)/(π w0² E l)", 1.62e27, bare,
        "1/(cm^3 s)", within=0.005e27, reason="equation and constants as printed",
    )  # fmt: skip
    film = stack_optics([_CSPBBR3_405NM], [40.0], 405.0, substrate_index=1.53)
    absorbed, printed = float(film.absorptance), 1.0 - float(film.transmittance)
    yield compared(
        "H40", "absorptance of 40 nm CsPbBr3 on glass, for 1 − T405", "1 − T", printed, absorbed, "1",
        within=0.01,
        because=f"1 − T = {printed:.2f} counts the reflected {float(film.reflectance):.2f} as absorbed: G is "
        f"{printed / absorbed:.1f} times too large with it",
    )  # fmt: skip
    for tau, needed in zip(_LIFETIMES_NS, map(_absorptance_for, _LIFETIMES_NS), strict=True):
        within_range = 0.155 <= needed <= 0.355
        rise = float(_carriers(needed, tau)["rise_time"][0])
        yield Row(
            "H41", f"absorptance that gives 1.7e18 cm⁻³, τ = {tau:g} ns", "1.7e18 cm⁻³ within 20 ns",
            needed, None, "1", "agrees" if within_range and rise <= 20 else "differs",
            f"root of k1 n + k2 n² + k3 n³ = G; 95 % of it after {rise:.1f} ns; τ is not printed, and 0.16–0.35 "
            "is what films of 40 nm absorb",
        )  # fmt: skip
    for tau in _LIFETIMES_NS:
        length = float(_carriers(_absorptance_for(tau), tau)["diffusion_length"][0])
        needs = float(physics.rate_for_length(3.0, 293.15, 10.2))
        r = float(physics.rate_per_carrier(1.7e18, Recombination.from_lifetime(tau)))
        yield compared(
            "H42", f"L_D, µ = 3 cm²/(V s), r = k1 + k2 n + k3 n², τ = {tau:g} ns", "10.2 nm", 10.2, length,
            "nm", within=0.05,
            because=f"r is {r:.2g} 1/s by the printed constants; 10.2 nm would need r = {needs:.2g} 1/s, "
            f"{needs / r:.0f} times as much, a lifetime of {1e12 / needs:.0f} ps",
        )  # fmt: skip
    bands = physics.band_alignment((-5.44, -3.45), (-6.00, -3.60))
    yield Row(
        "H43", "gap across the interface, iodide-rich to bromide-rich", "staggered",
        bands.interface_gap_ev, None, "eV", "agrees" if bands.kind == "staggered" else "differs",
        f"{bands.kind} (type II): holes to the iodide-rich side by {-bands.valence_offset_ev:.2f} eV, electrons to "
        f"the bromide-rich one by {-bands.conduction_offset_ev:.2f} eV; gaps {bands.gap_ev[0]:.2f} and "
        f"{bands.gap_ev[1]:.2f} eV",
    )  # fmt: skip


def _carriers(absorptance: float, tau_ns: float) -> xr.Dataset:
    return simulate_carriers(
        LaserSpot(1.0),
        Film(40.0, 0.4, absorptance=absorptance),
        Recombination.from_lifetime(tau_ns),
        power_uw=50.0,
    )


def _absorptance_for(tau_ns: float) -> float:
    """Absorptance at which the steady density is the printed 1.7e18 cm⁻³."""
    needed = float(physics.loss(1.7e18, Recombination.from_lifetime(tau_ns)))
    return needed / float(physics.generation_rate(50.0, 1.0, 40.0, 1.0))


# Periodic heating ---------------------------------------------------------------------------------


def cycling_rows() -> Iterator[Row]:
    """Rows P1, P2, P5–P8, P10; the model is matched to P5–P8, as each row says."""
    yield from _lines()
    yield from _steps()
    yield from _heater()
    yield from _protocols()


def _lines() -> Iterator[Row]:
    """Peaks and widths found again in simulated spectra."""
    quiet = Detector(cosmic_rate_per_s=0.0)
    light = CyclingEmission(photons_per_frame=2e5, detector=quiet)
    dark = HeaterProtocol(0.0, 1.0, 20.0, light_s=(30.0, 30.0))
    found = {}
    for celsius in (23.5, 35.0):
        movie = thermal_cycling(dark, emission=light, ambient_k=_ZERO_CELSIUS_K + celsius)
        found[celsius] = _line(movie)
    for celsius, nm, fwhm in ((23.5, 626.0, 37.4), (35.0, 624.8, 42.3)):
        for what, printed, value in zip(("peak", "FWHM"), (nm, fwhm), found[celsius], strict=True):
            yield recovered(
                "P1", f"{what} of the mixed phase at {celsius:g} °C", f"{printed:g} nm", *value, printed, "nm",
                reason="Gaussian fitted to simulated spectra that hold the printed line.",
            )  # fmt: skip
    (cold, cold_stderr), (warm, warm_stderr) = found[23.5][0], found[35.0][0]
    yield recovered(
        "P1", "shift to the blue from 23.5 to 35 °C", "1.2 nm", cold - warm,
        math.hypot(cold_stderr, warm_stderr), 1.2, "nm", reason="Difference of the two fitted peaks.",
    )  # fmt: skip
    segregated = thermal_cycling(HeaterProtocol.continuous(300.0), emission=light)
    late = segregated.isel({TIME: slice(-40, None)}).sel({WAVELENGTH: slice(470.0, 550.0)})
    for what, printed, value in zip(("peak", "FWHM"), (505.0, 18.4), _line(late), strict=True):
        yield recovered(
            "P2", f"{what} of the segregated phase", f"{printed:g} nm", *value, printed, "nm",
            reason="Gaussian fitted to simulated spectra that hold the printed line, heater on for 300 s.",
        )  # fmt: skip
    step = float(segregated["exposure_time"])
    yield compared(
        "P10", "exposure of one frame", "0.5 s", 0.5, step, "s", within=1e-9,
        reason=f"{segregated.sizes[TIME]} frames in 300 s, none of them shorter than a pulse of 0.5 s",
    )  # fmt: skip


def _line(movie: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
    """Peak and width [nm] of the mean spectrum with σ, by a Gaussian on a constant."""
    from plkit.models import GaussianPeakModel

    n = movie.sizes[TIME]
    mean = movie[INTENSITY].astype(float).mean(TIME).assign_attrs(movie[INTENSITY].attrs)
    light = (mean - float(mean.quantile(0.02))).clip(min=0.0)
    variance = (float(movie[NOISE_GAIN]) * light + float(movie[NOISE_FLOOR])) / n
    sigma = (variance**0.5).assign_attrs(mean.attrs)
    fit = plkit.fit_model(mean, GaussianPeakModel(), WAVELENGTH, stderr=sigma)
    peak, width = ((float(fit[p]), float(fit[f"{p}_stderr"])) for p in ("centre", "fwhm"))
    return peak, width


def _steps() -> Iterator[Row]:
    """What sudden heating and cooling leave, and how soon."""
    warm = HeaterProtocol.continuous(620.0, start_s=600.0)
    # 177 s after the heater was switched on, the film has the printed 35 °C.
    cold = HeaterProtocol(177.0, math.inf, 200.0)
    for row_id, what, protocol, start, printed in (
        ("P5", "heating, 24 to 31 °C", warm, 600.0, 4.0),
        ("P6", "cooling, 35 to 27 °C", cold, 177.0, 8.0),
    ):
        s = thermal_cycling(protocol, exposure_s=0.02)["segregated_fraction"]
        t = s[TIME].values - start
        before = float(s.values[np.searchsorted(t, 0.0) - 1])
        after = 100 * float(s.values[np.searchsorted(t, printed)]) / before
        yield Row(
            row_id, f"left of the segregated phase {printed:g} s after sudden {what}", "remixed",
            after, None, "%", "agrees" if after < 2 else "differs",
            f"of {before:.2f} before; the reset rates are matched to this statement",
        )  # fmt: skip
        gone = float(t[(t > 0) & (s.values < 0.05 * before)][0])
        yield compared(
            row_id, f"time to remix 95 % by sudden {what}", f"about {printed:g} s", printed, gone, "s",
            within=0.25 * printed,
            because="pulses of 0.5 s every 5 s keep the film mixed (P8), so the reset has to act within the second for "
            "which a pulse counts as sudden; the printed time may be the one at which it was looked at",
        )  # fmt: skip


def _heater() -> Iterator[Row]:
    ds = thermal_cycling(HeaterProtocol.continuous(600.0), exposure_s=0.1)
    for seconds, printed in ((10.0, 32.0), (600.0, 37.0)):
        value = float(ds["temperature"].sel({TIME: seconds}, method="nearest")) - _ZERO_CELSIUS_K
        yield compared(
            "P7", f"temperature {seconds:g} s after switching on 400 mA", f"{printed:g} °C", printed, value,
            "degC", within=0.5,
            reason="two rises solved from the two readings; the time constants, 1.9 and 200 s, are not fixed by them",
        )  # fmt: skip


def _protocols() -> Iterator[Row]:
    for protocol, printed in (
        (HeaterProtocol.continuous(), "severe"),
        (HeaterProtocol(0.1, 1.0), "severe"),
        (HeaterProtocol(1.0, 10.0), "mild"),
        (HeaterProtocol(2.0, 10.0), "mild"),
        (HeaterProtocol(5.0, 10.0), "mild"),
        (HeaterProtocol(0.5, 5.0), "none"),
        (HeaterProtocol(0.5, 5.0, 3600.0), "none"),
    ):
        label, top = severity_of(thermal_cycling(protocol), protocol)
        near = " It stands near the border of 0.5." if abs(top - 0.5) < 0.1 else ""
        yield Row(
            "P8", f"segregated fraction, {protocol.name} for {protocol.duration_s:g} s", printed, top, None, "1",
            "agrees" if label == printed else "differs",
            f"{label}: largest in the last cycle; severe from 0.5, none below 0.008. The model's constants are "
            f"tuned to these statements.{near}",
        )  # fmt: skip
