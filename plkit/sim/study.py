"""The bundled study: what da Cunha et al. measured, simulated from one recipe with a seed.

Three films of CsPbBr(3-x)I(x) are exposed to a focused 405 nm laser at eight powers each while
spectra are recorded; x = 2 recovers in the dark; x = 1.5 is mapped after exposure. Truth goes into
a file of its own. Everything is drawn from generators seeded by (seed, file name), so that each
file can be made again alone.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from plkit import names
from plkit.errors import DataError
from plkit.names import POWER, TIME, WAVELENGTH, X, Y
from plkit.physics import arrhenius, fick, lineshapes, photons, rates
from plkit.schema import add_history
from plkit.sim.heating import Film, LaserSpot, Layer, simulate_heating
from plkit.sim.measurement import Detector, simulate_measurement

__all__ = [
    "SampleDesign",
    "SampleTruth",
    "StudyDesign",
    "default_design",
    "draw_truth",
    "pristine_spectrum",
    "simulate_dark",
    "simulate_exposure",
    "simulate_map",
    "simulate_recovery",
    "simulate_reference",
    "simulate_study",
    "small_design",
]

# Peak wavelength in air [nm] and line width (FWHM) [eV] of a pristine film, by iodine content x.
_LINES = {
    0.0: (513.0, 0.080),
    1.0: (543.0, 0.072),
    1.5: (590.0, 0.068),
    2.0: (650.0, 0.060),
    3.0: (690.0, 0.055),
}
_ASYMMETRY = -0.15
"""Every line has a low-energy wing, see :func:`plkit.physics.lineshapes.asymmetric`."""


@dataclass(frozen=True, slots=True)
class SampleDesign:
    """What is done to one film, and its true kinetics at the mean temperature of the series.

    Parameters
    ----------
    x_iodine, product_x_iodine : float
        Iodine per formula unit of the pristine film and of the phase that grows.
    absorptance : float
        Stated absorptance of the film at the laser's wavelength [1].
    tau1_s, tau2_s : float
        Time constants at the mean temperature of the series [s].
    activation_energy_ev : float
        Of both rates [eV].
    ceiling_power_uw : float
        Ps in the ceiling of conversion 0.7 (1 − exp(−P/Ps)) [µW].
    powers_uw : tuple of float
        Laser powers at the sample [µW].
    n_frames : int
        Spectra per power.
    frame_s : float
        Exposure time of a spectrum; frames follow one another without a gap [s].
    brightness_end : float
        Brightness of the fully converted film relative to the pristine one [1].
    weight : float
        Share of the fast process [1].
    """

    x_iodine: float
    product_x_iodine: float
    absorptance: float
    tau1_s: float
    tau2_s: float
    activation_energy_ev: float
    ceiling_power_uw: float
    powers_uw: tuple[float, ...]
    n_frames: int
    frame_s: float
    brightness_end: float = 1.0
    weight: float = 0.6

    @property
    def name(self) -> str:
        """Name in files and recipes, for instance ``"x1.5"``."""
        return f"x{self.x_iodine:.1f}"

    @property
    def time_s(self) -> np.ndarray:
        """Middles of the exposures [s]."""
        return (np.arange(self.n_frames) + 0.5) * self.frame_s


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """The whole study: samples, laser, film, detector, budget of photons.

    Parameters
    ----------
    samples : tuple of SampleDesign
        The films.
    spot_radius_um : float
        Stated 1/e² radius of the laser's intensity [µm].
    relative_stderr : dict
        Stated relative standard deviations of absorptance, spot radius and substrate conductivity.
    rate_scatter : float
        Relative spot-to-spot scatter of the rates [1].
    photons_per_frame, photons_per_pixel : float
        Emitted photons per spectrum of a series and per pixel of a map.
    map_powers_uw : tuple of float
        Powers after which x = 1.5 is mapped [µW].
    map_size_um, map_step_um, overview_size_um, overview_step_um : float
        Extent and pixel of the maps [µm].
    """

    samples: tuple[SampleDesign, ...]
    spot_radius_um: float = 1.0
    film_thickness_nm: float = 40.0
    film_conductivity_w_mk: float = 0.4
    substrate_conductivity_w_mk: float = 1.05
    ambient_k: float = 293.15
    relative_stderr: dict[str, float] = field(
        default_factory=lambda: {"absorptance": 0.05, "spot_radius": 0.05, "conductivity": 0.04}
    )
    rate_scatter: float = 0.005
    photons_per_frame: float = 1e5
    photons_per_pixel: float = 2e4
    map_powers_uw: tuple[float, ...] = (20.0, 40.0, 60.0, 90.0, 120.0, 160.0)
    map_size_um: float = 40.0
    map_step_um: float = 0.5
    overview_power_uw: float = 120.0
    overview_size_um: float = 200.0
    overview_step_um: float = 2.0
    d0_m2_s: float = 5.3e-11
    diffusion_activation_energy_ev: float = 0.182
    reference_frames: int = 100
    recovery_tau_s: tuple[float, float] = (1200.0, 4000.0)
    detector: Detector = field(default_factory=Detector)

    def sample(self, name: str) -> SampleDesign:
        """Sample by name."""
        return next(s for s in self.samples if s.name == name)


def default_design() -> StudyDesign:
    """Return the design of the bundled study."""
    return StudyDesign(
        (
            SampleDesign(
                1.0, 0.0, 0.228, 25, 180, 0.248, 20, (10, 20, 30, 40, 50, 60, 70, 80), 500, 1.0
            ),
            SampleDesign(
                1.5, 0.0, 0.240, 20, 150, 0.217, 35, (10, 20, 40, 60, 90, 120, 140, 160), 500, 1.0
            ),
            SampleDesign(
                2.0,
                3.0,
                0.252,
                4,
                30,
                0.093,
                120,
                (20, 50, 100, 150, 200, 250, 300, 400),
                500,
                0.2,
                0.6,
            ),
        )
    )


def small_design() -> StudyDesign:
    """Return a quick version with the same files: three powers, short series, small maps."""
    full = default_design()
    samples = tuple(
        replace(s, powers_uw=s.powers_uw[::3], n_frames=s.n_frames // 2, frame_s=s.frame_s * 2)
        for s in full.samples
    )
    return replace(
        full,
        samples=samples,
        map_powers_uw=(60.0, 140.0),
        map_size_um=20.0,
        overview_power_uw=60.0,
        overview_size_um=60.0,
        reference_frames=20,
    )


@dataclass(frozen=True, slots=True)
class SampleTruth:
    """True values behind the measurement of one film; arrays run over the powers.

    Parameters
    ----------
    temperature_k : numpy.ndarray
        Beam-weighted temperature [K].
    k1_per_s, k2_per_s, mean_rate_per_s : numpy.ndarray
        Rates, spot-to-spot scatter included [1/s].
    ceiling : numpy.ndarray
        Conversion at infinite time [1].
    temperature_scale : float
        True over stated rise of the temperature [1].
    """

    temperature_k: np.ndarray
    k1_per_s: np.ndarray
    k2_per_s: np.ndarray
    mean_rate_per_s: np.ndarray
    ceiling: np.ndarray
    temperature_scale: float

    def conversion(self, design: SampleDesign, time_s: np.ndarray, index: int) -> np.ndarray:
        """Conversion at ``time_s``, averaged over one exposure [1]."""
        fast, slow = self.k1_per_s[index], self.k2_per_s[index]
        decay = design.weight * _mean_decay(fast, time_s, design.frame_s)
        decay = decay + (1 - design.weight) * _mean_decay(slow, time_s, design.frame_s)
        return np.asarray(self.ceiling[index] * (1 - decay))


def _mean_decay(rate: float, time_s: np.ndarray, exposure_s: float) -> np.ndarray:
    """Exponential decay averaged over an exposure centred at ``time_s``."""
    half = rate * exposure_s / 2
    return np.asarray(np.exp(-rate * time_s) * (np.sinh(half) / half if half > 0 else 1.0))


def _rise_per_power(design: StudyDesign, sample: SampleDesign) -> float:
    """Stated beam-weighted temperature rise per incident power [K/µW]."""
    heat = simulate_heating(
        LaserSpot(design.spot_radius_um),
        Film(
            design.film_thickness_nm,
            design.film_conductivity_w_mk,
            sample.absorptance,
            substrate=(Layer(1000.0, design.substrate_conductivity_w_mk, 2.1e6),),
        ),
        power_uw=(1.0,),
    )
    return float(heat["detection_rise_per_power"])


def draw_truth(
    design: StudyDesign, sample: SampleDesign, seed: int, rise_per_power: float | None = None
) -> SampleTruth:
    """Draw what nature did: the true temperature scale and the scatter of the rates.

    Parameters
    ----------
    design, sample : StudyDesign, SampleDesign
        The study and one of its films.
    seed : int
        Seed of the study. The errors of spot radius and conductivity are those of the whole study.
    rise_per_power : float, optional
        Stated beam-weighted rise [K/µW], when it is already known.

    Returns
    -------
    SampleTruth
        True temperatures, rates and ceilings over the powers.
    """
    shared = _rng(seed, "laser")
    own = _rng(seed, sample.name)
    g = design.relative_stderr
    # ΔT ∝ absorptance / (spot radius · conductivity), each off by its own stated error.
    scale = 1 + g["absorptance"] * own.standard_normal()
    scale /= (1 + g["spot_radius"] * shared.standard_normal()) * (
        1 + g["conductivity"] * shared.standard_normal()
    )
    rise = _rise_per_power(design, sample) if rise_per_power is None else rise_per_power
    powers = np.asarray(sample.powers_uw, float)
    temperature = design.ambient_k + scale * rise * powers
    middle = float(temperature.mean())
    scatter = 1 + design.rate_scatter * own.standard_normal(powers.size)
    energy = sample.activation_energy_ev
    # Relative to the middle of the series, where the time constants are stated.
    prefactor = arrhenius.prefactor_for(1.0, middle, energy)
    factor = scatter * arrhenius.arrhenius_rate(temperature, prefactor, energy)
    k1, k2 = factor / sample.tau1_s, factor / sample.tau2_s
    ceiling = 0.7 * (1 - np.exp(-powers / sample.ceiling_power_uw))
    mean = rates.mean_rate(sample.weight, k1, 1 - sample.weight, k2)
    return SampleTruth(temperature, k1, k2, np.asarray(mean), ceiling, float(scale))


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


# Light ------------------------------------------------------------------------------------------


def wavelength_axis() -> xr.DataArray:
    """Return the spectrometer's axis: 256 channels, 450–750 nm."""
    values = np.linspace(450.0, 750.0, 256)
    return xr.DataArray(values, dims=WAVELENGTH, attrs=names.attrs(WAVELENGTH), name=WAVELENGTH)


def spectral_response() -> xr.DataArray:
    """Return the spectrometer's relative response, one at its best [1]."""
    wl = wavelength_axis()
    values = 1.0 - 0.35 * ((wl.values - 600.0) / 150.0) ** 2 - 0.08 * (wl.values - 600.0) / 150.0
    return xr.DataArray(
        values / values.max(),
        {WAVELENGTH: wl},
        dims=WAVELENGTH,
        attrs=names.attrs("response"),
        name="response",
    )


def pristine_spectrum(x_iodine: float) -> np.ndarray:
    """Emission of a pristine film per channel, shape (256,), of unit sum.

    Parameters
    ----------
    x_iodine : {0.0, 1.0, 1.5, 2.0, 3.0}
        Iodine per formula unit.
    """
    peak_nm, fwhm_ev = _LINES[x_iodine]
    centre = float(photons.energy_from_wavelength(peak_nm))
    wl = wavelength_axis().values
    shape = lineshapes.spectrum_on_wavelength(
        wl, lineshapes.asymmetric, centre, fwhm_ev, _ASYMMETRY
    )
    return np.asarray(shape / shape.sum())


def _brightness(sample: SampleDesign, fraction: np.ndarray) -> np.ndarray:
    return np.asarray(1 + (sample.brightness_end - 1) * fraction)


def _mixed(sample: SampleDesign, fraction: np.ndarray, photons_each: float) -> np.ndarray:
    """Expected photons (…, 256) for an emission fraction of the product of shape (…)."""
    a, b = pristine_spectrum(sample.x_iodine), pristine_spectrum(sample.product_x_iodine)
    f = np.asarray(fraction)[..., None]
    return np.asarray(
        photons_each * _brightness(sample, fraction)[..., None] * ((1 - f) * a + f * b)
    )


def _measure(
    design: StudyDesign, expected: xr.DataArray, exposure_s: float, rng: np.random.Generator
) -> xr.Dataset:
    return simulate_measurement(
        expected, exposure_s, rng=rng, detector=design.detector, response=spectral_response()
    )


def _axis(name: str, values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=name, attrs=names.attrs(name))


def simulate_exposure(
    design: StudyDesign, sample: SampleDesign, truth: SampleTruth, rng: np.random.Generator
) -> xr.Dataset:
    """Spectra of one film under the laser, dims (power, time, wavelength) [counts].

    Parameters
    ----------
    design, sample, truth : StudyDesign, SampleDesign, SampleTruth
        The study, the film, and what nature did.
    rng : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    xarray.Dataset
        Raw counts, see :func:`plkit.sim.measurement.simulate_measurement`.
    """
    time = sample.time_s
    fraction = np.stack([truth.conversion(sample, time, i) for i in range(len(sample.powers_uw))])
    coords = {
        POWER: _axis(POWER, np.asarray(sample.powers_uw, float)),
        TIME: _axis(TIME, time),
        WAVELENGTH: wavelength_axis(),
    }
    expected = xr.DataArray(
        _mixed(sample, fraction, design.photons_per_frame), coords, tuple(coords)
    )
    return _measure(design, expected, sample.frame_s, rng)


def simulate_recovery(
    design: StudyDesign, sample: SampleDesign, truth: SampleTruth, rng: np.random.Generator
) -> xr.Dataset:
    """Segregated film in the dark, dims (time, wavelength): one spectrum per 300 s for 9000 s."""
    time = np.arange(0.0, 9000.1, 300.0)
    start = float(truth.ceiling[-1])
    tau1, tau2 = design.recovery_tau_s
    left = sample.weight * np.exp(-time / tau1) + (1 - sample.weight) * np.exp(-time / tau2)
    coords = {TIME: _axis(TIME, time), WAVELENGTH: wavelength_axis()}
    expected = xr.DataArray(
        _mixed(sample, start * left, design.photons_per_frame), coords, tuple(coords)
    )
    return _measure(design, expected, sample.frame_s, rng).assign_attrs(illumination="dark")


def simulate_reference(
    design: StudyDesign, x_iodine: float, rng: np.random.Generator
) -> xr.Dataset:
    """Repeated spectra of a pristine film, dims (time, wavelength)."""
    time = np.arange(design.reference_frames) + 0.5
    coords = {TIME: _axis(TIME, time), WAVELENGTH: wavelength_axis()}
    each = np.tile(design.photons_per_frame * pristine_spectrum(x_iodine), (time.size, 1))
    return _measure(design, xr.DataArray(each, coords, tuple(coords)), 1.0, rng)


def simulate_dark(design: StudyDesign, rng: np.random.Generator) -> xr.Dataset:
    """Spectra without light, dims (time, wavelength)."""
    time = np.arange(design.reference_frames) + 0.5
    coords = {TIME: _axis(TIME, time), WAVELENGTH: wavelength_axis()}
    nothing = xr.DataArray(np.zeros((time.size, 256)), coords, tuple(coords))
    return _measure(design, nothing, 1.0, rng)


def profile_sigma_um(design: StudyDesign, temperature_k: float, mean_rate_per_s: float) -> float:
    """Standard deviation of the halo after the time 1/⟨k⟩, initial spot w0/2 included [µm]."""
    d = arrhenius.arrhenius_rate(
        temperature_k, design.d0_m2_s, design.diffusion_activation_energy_ev
    )
    return float(fick.sigma_from_diffusion(d, 1 / mean_rate_per_s, design.spot_radius_um / 2))


def simulate_map(
    design: StudyDesign,
    sample: SampleDesign,
    truth: SampleTruth,
    power_uw: float,
    rng: np.random.Generator,
    *,
    size_um: float,
    step_um: float,
) -> xr.Dataset:
    """Map around the spot after the exposure at ``power_uw``, dims (y, x, wavelength).

    Parameters
    ----------
    design, sample, truth : StudyDesign, SampleDesign, SampleTruth
        The study, the film, and what nature did.
    power_uw : float
        One of the sample's powers [µW].
    rng : numpy.random.Generator
        Source of the noise.
    size_um, step_um : float
        Extent and pixel of the map [µm].

    Returns
    -------
    xarray.Dataset
        Raw counts. The halo is equation 1 of the paper, averaged over each pixel.
    """
    if power_uw not in sample.powers_uw:
        raise DataError(
            "simulate a map",
            f"'power_uw' is {power_uw:g}, not one of {sample.powers_uw}",
            "Choose one of these.",
        )
    i = sample.powers_uw.index(power_uw)
    sigma = profile_sigma_um(design, float(truth.temperature_k[i]), float(truth.mean_rate_per_s[i]))
    end = float(truth.conversion(sample, sample.time_s[-1:], i)[0])
    position = np.arange(round(size_um / step_um)) * step_um + step_um / 2
    centre = size_um / 2
    along = fick.pixel_gaussian(position, centre, sigma, step_um)
    fraction = end * along[:, None] * along[None, :]
    coords = {Y: _axis(Y, position), X: _axis(X, position), WAVELENGTH: wavelength_axis()}
    expected = xr.DataArray(
        _mixed(sample, fraction, design.photons_per_pixel), coords, tuple(coords)
    )
    ds = _measure(design, expected, 0.2, rng)
    return ds.assign_coords({POWER: ((), power_uw, names.attrs(POWER))})


# Files ------------------------------------------------------------------------------------------


def study_files(design: StudyDesign, seed: int) -> dict[str, Callable[[], xr.Dataset]]:
    """File name → function that simulates it; each can be called alone.

    Parameters
    ----------
    design : StudyDesign
        What is measured.
    seed : int
        Seed of everything random.
    """
    truth = {s.name: draw_truth(design, s, seed) for s in design.samples}
    files: dict[str, Callable[[], xr.Dataset]] = {}

    def add(name: str, make: Callable[[np.random.Generator], xr.Dataset]) -> None:
        files[name] = lambda: make(_rng(seed, name)).assign_attrs(seed=seed)

    for s in design.samples:
        add(f"{s.name}.nc", lambda rng, s=s: simulate_exposure(design, s, truth[s.name], rng))  # type: ignore[misc]
    for x in _LINES:
        add(f"references/x{x:.1f}.nc", lambda rng, x=x: simulate_reference(design, x, rng))  # type: ignore[misc]
    add("dark.nc", lambda rng: simulate_dark(design, rng))
    last = design.samples[-1]
    add(
        f"{last.name}_recovery.nc",
        lambda rng: simulate_recovery(design, last, truth[last.name], rng),
    )
    mapped = design.sample("x1.5")
    for p in design.map_powers_uw:
        add(
            f"maps/x1.5_{p:03.0f}uw.nc",
            lambda rng, p=p: simulate_map(  # type: ignore[misc]
                design,
                mapped,
                truth["x1.5"],
                p,
                rng,
                size_um=design.map_size_um,
                step_um=design.map_step_um,
            ),
        )
    add(
        "maps/x1.5_overview.nc",
        lambda rng: simulate_map(
            design, mapped, truth["x1.5"], design.overview_power_uw, rng,
            size_um=design.overview_size_um, step_um=design.overview_step_um,
        ),
    )  # fmt: skip
    files["response.nc"] = lambda: add_history(
        xr.Dataset({"response": spectral_response()}), "spectral_response()"
    )
    return files


def truth_record(design: StudyDesign, seed: int) -> dict[str, Any]:
    """Return everything that is true and not stated, as plain numbers."""
    samples = {}
    for s in design.samples:
        truth = draw_truth(design, s, seed)
        samples[s.name] = {
            **{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(truth).items()},
            "powers_uw": list(s.powers_uw),
            "activation_energy_ev": s.activation_energy_ev,
            "profile_sigma_um": [
                profile_sigma_um(design, float(t), float(k))
                for t, k in zip(truth.temperature_k, truth.mean_rate_per_s, strict=True)
            ],
            "conversion_at_end": [
                float(truth.conversion(s, np.array([s.n_frames * s.frame_s]), i)[0])
                for i in range(len(s.powers_uw))
            ],
        }
    d293 = arrhenius.arrhenius_rate(293.15, design.d0_m2_s, design.diffusion_activation_energy_ev)
    diffusion = {
        "ln_d0_m2_s": float(np.log(design.d0_m2_s)),
        "activation_energy_ev": design.diffusion_activation_energy_ev,
        "d_293k_m2_s": float(d293),
    }
    return {"seed": seed, "samples": samples, "diffusion": {"x1.5": diffusion}}


def simulate_study(
    folder: str | Path, *, seed: int = 20250101, small: bool = False, progress: bool = False
) -> Path:
    """Write the simulated study: raw files, recipe, and truth in a file of its own.

    Parameters
    ----------
    folder : str or pathlib.Path
        New or empty folder.
    seed : int, optional
        Seed of everything random; 20250101 gives the bundled study.
    small : bool, optional
        A quick version with the same files (three powers, short series, small maps).
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    pathlib.Path
        The recipe, ``folder/STUDY.toml``, ready for ``plkit run``.

    Raises
    ------
    DataError
        If the folder holds files already.

    References
    ----------
    da Cunha et al., ACS Appl. Mater. Interfaces 2025, 17, 14389, doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> recipe = simulate_study("study", small=True)                       # doctest: +SKIP
    >>> tree = plkit.run_study(recipe)                                     # doctest: +SKIP
    """
    from plkit.io import write

    out = Path(folder)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError("simulate a study", f"'{out}' is not an empty folder", "Give a new folder.")
    if seed < 0:
        raise DataError("simulate a study", f"the seed is {seed}, not zero or a positive number")
    design = small_design() if small else default_design()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            "simulate a study", f"'{out}' cannot be made ({error.strerror})", "Name another folder."
        ) from error
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work:
        # Beside the folder first, so that an interrupted run leaves nothing half done.
        made = Path(work) / "study"
        for name, make in _with_progress(study_files(design, seed), progress):
            target = made / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write(make(), target)
        truth = json.dumps(truth_record(design, seed), indent=1)
        (made / "truth.json").write_text(truth + "\n", encoding="utf-8")
        (made / "STUDY.toml").write_text(recipe_text(design, seed), encoding="utf-8")
        made.replace(out)
    return out / "STUDY.toml"


def _with_progress(
    files: dict[str, Callable[[], xr.Dataset]], progress: bool
) -> Iterator[tuple[str, Callable[[], xr.Dataset]]]:
    from tqdm import tqdm

    yield from tqdm(files.items(), desc="simulate", unit="file", disable=not progress)


_SOURCE: Final = "doi:10.1021/acsami.4c19234"
_PUBLISHED: Final[dict[str, dict[str, str]]] = {
    "x1.0": {"activation_energy_ev": "0.248", "activation_energy_stderr_ev": "0.030"},
    "x1.5": {
        "activation_energy_ev": "0.217", "activation_energy_stderr_ev": "0.042",
        "diffusion_activation_energy_ev": "0.182",
        "diffusion_activation_energy_stderr_ev": "0.021", "d_293k_m2_s": "6.3e-14",
    },
    "x2.0": {"activation_energy_ev": "0.093", "activation_energy_stderr_ev": "0.010"},
}  # fmt: skip
"""As printed; the D of the text does not follow from its own law, see the published numbers."""


def recipe_text(design: StudyDesign, seed: int) -> str:
    """Return the recipe (TOML) that analyses the simulated files with the *stated* values."""
    g = design.relative_stderr
    head = f"""\
# Simulated after da Cunha et al., ACS Appl. Mater. Interfaces 2025, 17, 14389 (seed {seed}).
# Nothing here was measured. The values below are what an experimenter would state; the true ones
# are in truth.json, which the analysis never reads.

[study]
title = "Laser exposure of CsPbBr(3-x)I(x) films (simulated)"
output = "results"

[laser]
wavelength_nm = 405.0
spot_radius_um = {design.spot_radius_um}             # 1/e² radius of the intensity
spot_radius_stderr_um = {design.spot_radius_um * g["spot_radius"]:.4g}

[film]
thickness_nm = {design.film_thickness_nm}
conductivity_w_mk = {design.film_conductivity_w_mk}
heat_capacity_j_m3k = 1.0e6

[substrate]                      # glass
thickness_um = 1000.0
conductivity_w_mk = {design.substrate_conductivity_w_mk}
conductivity_stderr_w_mk = {design.substrate_conductivity_w_mk * g["conductivity"]:.4g}
heat_capacity_j_m3k = 2.1e6

[environment]
ambient_k = {design.ambient_k}

[corrections]
dark = "dark.nc"
dark_bias_counts = {design.detector.offset_counts}
response = "response.nc"
despike = true

[composition]
calibration = "cunha2025"
"""
    parts = [head]
    for s in design.samples:
        other = "bromide" if s.product_x_iodine < s.x_iodine else "iodide"
        end = s.n_frames * s.frame_s
        lines = [
            f'\n[samples."{s.name}"]',
            f'exposure = "{s.name}.nc"',
            f'references = {{ pristine = "references/{s.name}.nc", '
            f'{other} = "references/x{s.product_x_iodine:.1f}.nc" }}',
            'pristine = "pristine"           # the component that falls',
            f"absorptance = {s.absorptance}",
            f"absorptance_stderr = {s.absorptance * g['absorptance']:.4g}",
            f"rate_scatter = {design.rate_scatter}            # relative, spot to spot",
            f"conversion_at_s = [{s.time_s[-1]:g}]     # the record ends at {end:g} s",
        ]
        if s is design.samples[-1]:
            lines.append(f'recovery = "{s.name}_recovery.nc"')
        if s.name == "x1.5":
            maps = ", ".join(f'"{p:g}" = "maps/x1.5_{p:03.0f}uw.nc"' for p in design.map_powers_uw)
            lines += [f"maps = {{ {maps} }}", 'overview = "maps/x1.5_overview.nc"']
            lines += ["", f'[samples."{s.name}".diffusion]', 'geometry = "map"']
            lines += [f"initial_sigma_um = {design.spot_radius_um / 2:g}       # spot radius / 2"]
        if s.name in _PUBLISHED:
            lines += ["", f'[samples."{s.name}".published]', f'source = "{_SOURCE}"']
            lines += [f"{key} = {value}" for key, value in _PUBLISHED[s.name].items()]
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)
