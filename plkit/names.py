"""The one table of names, units and symbols.

This module is the only place where a unit string or the name of a dimension is spelled. The
nomenclature page of the documentation is made from :data:`TABLE`.

Examples
--------
>>> from plkit import names
>>> names.attrs("wavelength")
{'units': 'nm', 'long_name': 'Wavelength'}
>>> names.label("wavelength")
'Wavelength λ (nm)'
>>> names.conversion_factor("us", "s")
1e-06
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "CANONICAL_ORDER",
    "MEASURED_DIMS",
    "SPECTRAL_DIMS",
    "TABLE",
    "Quantity",
    "attrs",
    "conversion_factor",
    "label",
    "normalise_unit",
    "stderr_name",
    "symbol",
    "unit",
]

# Dimensions and coordinates ------------------------------------------------------------------
SAMPLE: Final = "sample"
POWER: Final = "power"
COMPONENT: Final = "component"
TIME: Final = "time"
DELAY: Final = "delay"
POINT: Final = "point"
Y: Final = "y"
X: Final = "x"
R: Final = "r"
Z: Final = "z"
TEMPERATURE: Final = "temperature"
WAVELENGTH: Final = "wavelength"
ENERGY: Final = "energy"
RAMAN_SHIFT: Final = "raman_shift"
ENERGY_LOSS: Final = "energy_loss"
PARAM_I: Final = "param_i"
PARAM_J: Final = "param_j"
AT_S: Final = "at_s"
INPUT: Final = "input"
LINE: Final = "line"
# thermal cycling
ON_TIME: Final = "on_time"
PERIOD: Final = "period"
EVENT: Final = "event"
CARRIER_DISTANCE: Final = "carrier_distance"
REPLICA: Final = "replica"
VACANCY: Final = "vacancy"
AXIS: Final = "axis"
DIFFUSION_LENGTH: Final = "diffusion_length"
TRUE_FRACTION: Final = "true_fraction"

SPECTRAL_DIMS: Final = (WAVELENGTH, ENERGY, RAMAN_SHIFT, ENERGY_LOSS)
"""Dims along which light is dispersed; exactly one of them is on a spectrum."""

MEASURED_DIMS: Final = (*SPECTRAL_DIMS, DELAY)
"""Dims along which one measurement runs: a spectrum has one of the former, a decay trace the last."""

CANONICAL_ORDER: Final = (
    SAMPLE, POWER, EVENT, COMPONENT, TIME, DELAY, POINT, Y, X,
    ENERGY_LOSS, RAMAN_SHIFT, ENERGY, WAVELENGTH,
)  # fmt: skip
"""Order of dims in every dataset: the spectral axis last, hence contiguous in memory."""

# The picture of the sample that some microscopes add
IMAGE_Y: Final = "image_y"
IMAGE_X: Final = "image_x"
COLOUR: Final = "colour"
WHITE_LIGHT: Final = "white_light"

# Variables that several rooms share -----------------------------------------------------------
INTENSITY: Final = "intensity"
NOISE_GAIN: Final = "noise_gain"
NOISE_FLOOR: Final = "noise_floor"
FIT_STATUS: Final = "fit_status"
COVARIANCE: Final = "covariance"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A named quantity.

    Parameters
    ----------
    name : str
        Name in code and in files.
    unit : str
        Unit string as stored in ``attrs["units"]``; ``"1"`` for a pure number.
    symbol : str
        Symbol in equations and on axes.
    long_name : str
        What an axis label says.
    meaning : str
        One sentence for the nomenclature page.
    """

    name: str
    unit: str
    symbol: str
    long_name: str
    meaning: str


def _q(name: str, unit: str, symbol: str, long_name: str, meaning: str = "") -> Quantity:
    return Quantity(name, unit, symbol, long_name, meaning)


TABLE: Final[dict[str, Quantity]] = {
    q.name: q
    for q in (
        # axes
        _q(TIME, "s", "t", "Time", "Middle of the exposure, counted from laser on."),
        _q(DELAY, "ns", "τ", "Delay", "Time after the laser pulse."),
        _q(Y, "um", "y", "y", "Position on the sample."),
        _q(X, "um", "x", "x", "Position on the sample."),
        _q(R, "um", "r", "Radius", "Distance from the axis of the laser beam."),
        _q(Z, "um", "z", "Depth", "Distance below the surface of the film."),
        _q(WAVELENGTH, "nm", "λ", "Wavelength", "In air, as spectrometers give it; ascending."),
        _q(ENERGY, "eV", "E", "Photon energy", "Ascending; a dataset of its own."),
        _q(RAMAN_SHIFT, "1/cm", "Δν", "Raman shift", "Ascending."),
        _q(ENERGY_LOSS, "eV", "ΔE", "Energy loss", "Electron energy loss."),
        _q(POWER, "uW", "P", "Laser power", "At the sample."),
        _q(TEMPERATURE, "K", "T", "Temperature", "Absolute."),
        _q(COMPONENT, "1", "", "Component", "Name of an unmixed reference."),
        _q(SAMPLE, "1", "", "Sample", "Name of a sample."),
        _q(POINT, "1", "", "Point", "Index in a list of positions."),
        _q(AT_S, "s", "t", "Exposure", "Time at which a conversion is evaluated."),
        _q(PARAM_I, "1", "", "Parameter", "Row of a covariance matrix."),
        _q(PARAM_J, "1", "", "Parameter", "Column of a covariance matrix."),
        # measured
        _q(INTENSITY, "counts", "I", "Intensity", "Measured light."),
        _q(
            NOISE_GAIN,
            "counts",
            "g",
            "Noise gain",
            "Counts per detected electron: variance = gain · expected + floor.",
        ),
        _q(NOISE_FLOOR, "counts^2", "σ²", "Noise floor", "Variance in the dark."),
        _q("exposure_time", "s", "Δt", "Exposure time", "Of one spectrum."),
        _q(
            "saturation_level",
            "counts",
            "",
            "Saturation level",
            "Counts at which the detector saturates.",
        ),
        _q("spike_mask", "1", "", "Spike mask", "1 where a cosmic ray was removed."),
        _q("response", "1", "R", "Spectral response", "Counts per unit of light, relative."),
        _q(
            "dark_intensity",
            "counts",
            "I_dark",
            "Dark intensity",
            "Detector signal without light, where a file holds it.",
        ),
        _q("absorbance", "1", "A", "Absorbance", "Decadic."),
        _q("transmittance", "1", "T", "Transmittance", ""),
        _q("reflectance", "1", "R", "Reflectance", ""),
        _q(
            "absorptance",
            "1",
            "A",
            "Absorptance",
            "Fraction of the incident power that is absorbed.",
        ),
        _q("voltage", "V", "U", "Voltage", ""),
        _q(
            "photon_flux",
            "1/(cm^2 nm s)",
            "Φ",
            "Photon flux density",
            "Absolute emission per area, wavelength and time.",
        ),
        _q("refractive_index", "1", "n", "Refractive index", ""),
        _q("extinction_coefficient", "1", "k", "Extinction coefficient", ""),
        # unmixing
        _q("reference", "1/nm", "F", "Reference spectrum", "Normalised spectrum of one component."),
        _q("amplitude", "counts", "a", "Amplitude", "Emission of one component."),
        _q(
            "fraction",
            "1",
            "f",
            "Emission fraction",
            "Share of the emitted light. Neither a phase nor a volume fraction.",
        ),
        _q(
            "brightness_corrected_fraction",
            "1",
            "f*",
            "Brightness-corrected fraction",
            "Emission fraction after division by the relative brightness of the components.",
        ),
        _q("condition_number", "1", "κ", "Condition number", "Of the normalised references."),
        _q("residual_rms", "counts", "", "Residual (rms)", "Root mean square of data minus model."),
        _q(
            "residual_structure",
            "1",
            "z",
            "Structure of the residual",
            "Lag-one autocorrelation of the residual in units of its σ; beyond ±3 a phase is missing.",
        ),
        # fits
        _q("chisqr", "1", "χ²", "Chi-square", ""),
        _q("redchi", "1", "χ²/ν", "Reduced chi-square", ""),
        _q("aic", "1", "AIC", "Akaike information criterion", ""),
        _q("bic", "1", "BIC", "Bayesian information criterion", ""),
        _q("nfev", "1", "", "Function evaluations", ""),
        _q(
            FIT_STATUS,
            "1",
            "",
            "Fit status",
            "0 ok, 1 at_bound, 2 not_identifiable, 3 no_signal, 4 failed.",
        ),
        _q(COVARIANCE, "1", "", "Covariance", "Of the parameters, each in its own unit."),
        # peaks
        _q("peak_energy", "eV", "E_PL", "Peak energy", "In vacuum."),
        _q("peak_wavelength", "nm", "λ_PL", "Peak wavelength", "In the medium of the data's axis."),
        _q("peak_width", "eV", "FWHM", "Peak width (FWHM)", ""),
        _q(
            "peak_intensity",
            "counts",
            "I_PL",
            "Peak intensity",
            "At the maximum, above background.",
        ),
        # corrections of spectra
        _q("variance", "counts^2", "σ²", "Variance", "gain · expected + floor, of one value."),
        _q("baseline", "counts", "", "Baseline", "What was subtracted from the intensity."),
        _q(
            "wavelength_shift",
            "nm",
            "δλ",
            "Shift in wavelength",
            "Of one spectrum against the mean one.",
        ),
        # calibration and noise of the detector
        _q(LINE, "nm", "λ_0", "Line", "Tabulated wavelength of a line of a lamp or laser."),
        _q("line_wavelength", "nm", "λ", "Wavelength of a line", "Where it appears on the axis."),
        _q("mean_intensity", "counts", "⟨I⟩", "Mean intensity", "Of a channel, over time."),
        _q(
            "used_in_fit",
            "1",
            "",
            "Used in the fit",
            "1 where a value counts, 0 where it is left out.",
        ),
        _q("energy_shift", "eV", "δE", "Shift in energy", "Of one spectrum against the mean one."),
        _q(
            "exciton_energy",
            "eV",
            "E_X",
            "Exciton energy",
            "Minimum of the second derivative of the absorbance.",
        ),
        # kinetics
        _q("k1", "1/s", "k₁", "Fast rate", "Faster rate of the biexponential, k1 > k2."),
        _q("k2", "1/s", "k₂", "Slow rate", "Slower rate of the biexponential."),
        _q("k01", "1", "k₀₁", "Weight of the fast rate", ""),
        _q("k02", "1", "k₀₂", "Weight of the slow rate", ""),
        _q("plateau", "1", "f∞", "Plateau", "Value at infinite time."),
        _q("mean_rate", "1/s", "⟨k⟩", "Mean rate", "(k01 k1 + k02 k2)/(k01 + k02)."),
        _q(
            "conversion",
            "1",
            "φ",
            "Conversion",
            "[f(t) − f(0)]/[1 − f(0)] of the growing component.",
        ),
        _q("conversion_limit", "1", "φ∞", "Conversion at infinite time", ""),
        # heating
        _q("temperature_rise", "K", "ΔT", "Temperature rise", "Above ambient."),
        _q("rise_per_power", "K/uW", "ΔT/P", "Rise per incident power", ""),
        _q("peak_rise_per_power", "K/uW", "ΔT(0)/P", "Peak rise per incident power", ""),
        _q(
            "detection_rise_per_power",
            "K/uW",
            "⟨ΔT⟩/P",
            "Beam-weighted rise per incident power",
            "",
        ),
        _q(
            "detection_temperature",
            "K",
            "⟨T⟩",
            "Beam-weighted temperature",
            "What the detected light sees.",
        ),
        _q("peak_temperature", "K", "T(0)", "Peak temperature", ""),
        _q("ambient_temperature", "K", "T₀", "Ambient temperature", ""),
        _q("A0", "K", "A₀", "Steady rise", "In A0 (1 − exp(−B t)) exp(−2 r²/w0²)."),
        _q("B", "1/s", "B", "Heating rate", "In A0 (1 − exp(−B t)) exp(−2 r²/w0²)."),
        # heating: scale of the temperature and the published form
        _q(INPUT, "1", "", "Input", "Name of a stated input whose uncertainty enters."),
        _q(
            "temperature_scale",
            "1",
            "g",
            "Temperature scale",
            "Relative scale of every temperature rise of a series; its σ is shared by all powers.",
        ),
        _q(
            "temperature_scale_by_input",
            "1",
            "g",
            "Temperature scale by input",
            "Relative change of the temperature rise for one σ of one input.",
        ),
        _q(
            "form_misfit_radius",
            "1",
            "",
            "Misfit of the radial form",
            "Largest difference from exp(−2 r²/w0²), in units of the peak rise.",
        ),
        _q(
            "form_misfit_time",
            "1",
            "",
            "Misfit of the temporal form",
            "Largest difference from 1 − exp(−B t), in units of the steady rise.",
        ),
        _q(
            "peak_step_per_power",
            "K/uW",
            "ΔT(0,t)/P",
            "Peak rise after switching on",
            "Per incident power.",
        ),
        _q(
            "detection_step_per_power",
            "K/uW",
            "⟨ΔT⟩(t)/P",
            "Beam-weighted rise after switching on",
            "Per incident power.",
        ),
        # arrhenius
        _q("rate", "1/s", "k", "Rate", ""),
        _q("inverse_temperature", "1/K", "1/T", "Inverse temperature", ""),
        _q("activation_energy", "eV", "E_a", "Activation energy", ""),
        _q("activation_energy_kj_mol", "kJ/mol", "E_a", "Activation energy", "Per mole."),
        _q(
            "photo_exponent",
            "1",
            "m",
            "Photo-exponent",
            "Of k ∝ P^m, which a power series alone cannot exclude.",
        ),
        # diffusion
        _q("diffusion_coefficient", "m^2/s", "D", "Diffusion coefficient", ""),
        _q("profile_sigma", "um", "σ", "Profile width", "Standard deviation of the profile."),
        _q("centre", "um", "x₀", "Centre", "Of the profile."),
        _q("offset", "1", "", "Offset", "Level far from the laser spot."),
        _q("diffusion_time", "s", "t", "Diffusion time", "1/⟨k⟩, or a lifetime."),
        # composition
        _q(
            "x_iodine",
            "1",
            "x",
            "Iodine content",
            "Iodine per formula unit in CsPbBr(3-x)I(x), 0 to 3.",
        ),
        _q(
            "composition_flag",
            "1",
            "",
            "Composition flag",
            "Why a composition is not a number with σ.",
        ),
        # arrhenius: the parts of σ, the prefactor, what else would fit
        _q(
            "activation_energy_stderr_photon",
            "eV",
            "σ_E",
            "σ of E_a from counting",
            "Part of σ(E_a) from the stated σ of each rate.",
        ),
        _q(
            "activation_energy_stderr_scatter",
            "eV",
            "σ_E",
            "σ of E_a from scatter",
            "Part of σ(E_a) from the spot-to-spot scatter, or from the residuals where no σ was given.",
        ),
        _q(
            "activation_energy_stderr_temperature",
            "eV",
            "σ_E",
            "σ of E_a from independent temperature errors",
            "Part of σ(E_a) from temperature errors that differ between points.",
        ),
        _q(
            "activation_energy_stderr_shared",
            "eV",
            "σ_E",
            "σ of E_a from the temperature scale",
            "Part of σ(E_a) from the temperature error that all points share.",
        ),
        _q(
            "activation_energy_nonlinear",
            "eV",
            "E_a",
            "Activation energy, fit of the rate itself",
            "",
        ),
        _q(
            "activation_energy_without",
            "eV",
            "E_a",
            "Activation energy without this point",
            "Leave-one-out influence.",
        ),
        _q(
            "ln_k0",
            "1",
            "ln k₀",
            "Logarithm of the prefactor",
            "Natural; of the number in the unit of the rate.",
        ),
        _q("ln_k_mid", "1", "ln k_mid", "Logarithm of the rate at the middle temperature", ""),
        _q(
            "temperature_mid",
            "K",
            "T_mid",
            "Middle temperature",
            "Where E_a and ln k are uncorrelated.",
        ),
        _q("ln_rate", "1", "ln k", "Logarithm of the rate", "Natural."),
        _q(
            "photo_exponent_chisqr",
            "1",
            "χ²",
            "Chi-square of the power law",
            "Of k ∝ P^m, to set beside chisqr.",
        ),
        _q(
            "rate_scatter_needed",
            "1",
            "s",
            "Scatter that the residuals ask for",
            "Relative spot-to-spot scatter at which the reduced chi-square is one.",
        ),
        _q("n_points", "1", "n", "Number of points", "That entered the fit."),
        # diffusion: the parts of σ, the fitted profile, what the temperature series says
        _q("diffusion_coefficient_stderr_profile", "m^2/s", "σ_D", "σ of D from the profile", ""),
        _q(
            "diffusion_coefficient_stderr_time",
            "m^2/s",
            "σ_D",
            "σ of D from the time",
            "From the σ of 1/⟨k⟩.",
        ),
        _q(
            "profile_amplitude",
            "1",
            "A",
            "Profile amplitude",
            "Height above the offset, before blurring by pixels.",
        ),
        _q(
            "profile_sigma_start",
            "um",
            "σ₀",
            "Initial profile width",
            "Standard deviation at t = 0.",
        ),
        _q("centre_x", "um", "x₀", "Centre along x", "Of the profile."),
        _q("centre_y", "um", "y₀", "Centre along y", "Of the profile."),
        _q(
            "runs_test_p",
            "1",
            "p",
            "Runs test",
            "Probability of so few runs of equal sign in the residual against radius, were the model true.",
        ),
        _q(
            "radial_p",
            "1",
            "p",
            "Radial chi-square test",
            "Probability of so large a radial residual, were the model true.",
        ),
        _q("gaussian", "1", "", "Profile is Gaussian", "1 where no test speaks against it."),
        _q(
            "ln_diffusion_coefficient",
            "1",
            "ln D",
            "Logarithm of the diffusion coefficient",
            "D in m²/s.",
        ),
        _q("ln_d0", "1", "ln D₀", "Logarithm of the diffusion prefactor", "D₀ in m²/s."),
        _q("d_293k", "m^2/s", "D(293 K)", "Diffusion coefficient at 293 K", ""),
        _q(
            "ln_d_293k",
            "1",
            "ln D(293 K)",
            "Logarithm of the diffusion coefficient at 293 K",
            "D in m²/s.",
        ),
        _q(
            "width_energy",
            "eV",
            "E_w",
            "Activation energy of the profile's width",
            "Of D t = (σ² − σ₀²)/2; zero where the halo does not grow with temperature.",
        ),
        _q(
            "width_is_constant",
            "1",
            "",
            "Width is constant",
            "1 where the width does not change with temperature: E_a of D is then that of ⟨k⟩.",
        ),
        # composition
        _q("x_iodine_lower", "1", "x", "Iodine content, lower bound", "At E + σ; 68 %."),
        _q("x_iodine_upper", "1", "x", "Iodine content, upper bound", "At E − σ; 68 %."),
        _q("bromine_fraction", "1", "x_Br", "Bromine fraction", "Of the halide sites, 0 to 1."),
        _q("bromine_count", "1", "x_Br", "Bromine content", "Bromine per formula unit, 0 to 3."),
        _q(
            "peak_centroid",
            "eV",
            "Ē",
            "Centroid energy",
            "First moment of the spectrum above background.",
        ),
        _q(
            "two_line_bic",
            "1",
            "ΔBIC",
            "Evidence for a second line",
            "BIC of one line minus BIC of two; positive where two lines explain the spectrum better.",
        ),
        # unmixing: what stands beside the components
        _q(
            "amplitude_covariance",
            "counts^2",
            "C",
            "Covariance of the amplitudes",
            "Of the components.",
        ),
        _q(
            "relative_brightness",
            "1",
            "ρ",
            "Relative brightness",
            "Light per amount, relative to another component.",
        ),
        _q(
            "background_level",
            "counts",
            "b₀",
            "Background level",
            "Per channel, at the middle of the axis.",
        ),
        _q(
            "background_tilt",
            "counts",
            "b₁",
            "Background tilt",
            "From the middle of the axis to its upper end.",
        ),
        _q(
            "background_scale",
            "1",
            "b",
            "Background scale",
            "How often the given background is in the data.",
        ),
        # fits: what stands beside the parameters
        _q(
            "model_index",
            "1",
            "",
            "Chosen model",
            "The one with the lowest BIC; -1 where there is none.",
        ),
        _q(
            "bic_margin",
            "1",
            "ΔBIC",
            "Margin of the chosen model",
            "BIC of the second best minus that of the chosen one.",
        ),
        _q(
            "free_rates_delta_bic",
            "1",
            "ΔBIC",
            "Evidence for free rates",
            "BIC with shared rates minus BIC with free ones; positive where free rates are justified.",
        ),
        _q(
            "free_rates_p",
            "1",
            "p",
            "Test of shared rates",
            "Probability of so large a gain by free rates, were the shared ones true.",
        ),
        _q(
            "delta_chisqr",
            "1",
            "Δχ²",
            "Rise of chi-square",
            "Above the minimum, all other parameters fitted anew.",
        ),
        # decay traces
        # lifetimes
        _q(
            "lifetime_1",
            "ns",
            "τ₁",
            "Lifetime 1",
            "Shortest lifetime, or that of a stretched exponential.",
        ),
        _q("lifetime_2", "ns", "τ₂", "Lifetime 2", "Second shortest lifetime."),
        _q("lifetime_3", "ns", "τ₃", "Lifetime 3", "Longest of three lifetimes."),
        _q(
            "amplitude_1",
            "counts",
            "a₁",
            "Amplitude 1",
            "Counts per bin at the pulse, of lifetime 1.",
        ),
        _q(
            "amplitude_2",
            "counts",
            "a₂",
            "Amplitude 2",
            "Counts per bin at the pulse, of lifetime 2.",
        ),
        _q(
            "amplitude_3",
            "counts",
            "a₃",
            "Amplitude 3",
            "Counts per bin at the pulse, of lifetime 3.",
        ),
        _q("beta", "1", "β", "Stretching exponent", "Of exp(−(t/τ)^β)."),
        _q("background", "counts", "b", "Background", "Counts per bin that do not decay."),
        _q(
            "irf_shift",
            "ns",
            "δ",
            "Shift of the response",
            "By how much the response comes later than stated; the time of the pulse where it has no time of its own.",
        ),
        _q(
            "irf_fwhm",
            "ns",
            "FWHM",
            "Width of the response (FWHM)",
            "Of a Gaussian response of the instrument.",
        ),
        _q(
            "mean_lifetime_amplitude",
            "ns",
            "⟨τ⟩_amp",
            "Mean lifetime, by amplitude",
            "∫I dt/I(0): Σaτ/Σa, or τ Γ(1/β)/β. Goes with the quantum yield.",
        ),
        _q(
            "mean_lifetime_intensity",
            "ns",
            "⟨τ⟩_int",
            "Mean lifetime, by intensity",
            "∫tI dt/∫I dt: Σaτ²/Σaτ, or τ Γ(2/β)/Γ(1/β). Mean delay of a photon.",
        ),
        _q(
            "deviance",
            "1",
            "D",
            "Deviance",
            "2 Σ [μ − y + y ln(y/μ)] of Poisson counts y and expected counts μ.",
        ),
        _q(
            "residual_runs",
            "1",
            "z",
            "Runs of the residual",
            "Runs of equal sign, in σ of their number; below −3 the model misses the shape of the trace.",
        ),
        _q(
            "filter_density",
            "1",
            "OD",
            "Filter density",
            "Decadic optical density of the filter before the detector.",
        ),
        # files: the picture of the sample
        _q(IMAGE_Y, "um", "y", "y", "Of the white-light picture, in the coordinates of the stage."),
        _q(IMAGE_X, "um", "x", "x", "Of the white-light picture, in the coordinates of the stage."),
        _q(COLOUR, "1", "", "Colour", "Red, green or blue of a picture."),
        _q(
            WHITE_LIGHT,
            "1",
            "",
            "White-light picture",
            "Picture of the sample by the microscope; 0 to 255.",
        ),
        # thermal cycling: heater, model, events, completion, stability
        _q(ON_TIME, "s", "t_on", "On-time", "Of one pulse of the heater."),
        _q(PERIOD, "s", "T", "Period", "From one pulse of the heater to the next."),
        _q(EVENT, "1", "", "Event", "Index of a switching of the heater."),
        _q("heater_current", "mA", "I", "Heater current", ""),
        _q("heater_duty", "1", "", "Heater duty", "Share of an exposure with the heater on."),
        _q("light_duty", "1", "", "Light duty", "Share of an exposure with the light on."),
        _q(
            "sudden_change",
            "K",
            "u",
            "Sudden temperature change",
            "Temperature change that the film has not yet forgotten.",
        ),
        _q(
            "segregated_fraction",
            "1",
            "s",
            "Segregated fraction",
            "Share of the film that light has segregated, mean over an exposure.",
        ),
        _q(
            "segregated_fraction_maximum",
            "1",
            "s_max",
            "Largest segregated fraction",
            "Within an exposure, or within the last cycle of a protocol.",
        ),
        _q("severity", "1", "", "Severity", "0 none, 1 mild, 2 severe segregation."),
        _q("event_time", "s", "t", "Time of the event", "When the heater was switched."),
        _q("event_kind", "1", "", "Kind of event", "1 heater on, -1 heater off."),
        _q(
            "temperature_step", "K", "ΔT", "Temperature step", "After the event, against before it."
        ),
        _q("alignment_offset", "s", "δt", "Alignment offset", "Of the frames of one event."),
        _q(
            "activation_energy_lower",
            "eV",
            "E_a",
            "Activation energy, lower bound",
            "68 % interval.",
        ),
        _q(
            "activation_energy_upper",
            "eV",
            "E_a",
            "Activation energy, upper bound",
            "68 % interval.",
        ),
        _q(
            "completion_time",
            "s",
            "t90",
            "Completion time",
            "At which a level of the way is reached.",
        ),
        _q("completion_level", "1", "", "Completion level", "Share of the way from start to end."),
        _q("initial_value", "1", "f₀", "Initial value", "At the event."),
        _q("final_value", "1", "f∞", "Final value", "At infinite time, fitted."),
        _q(
            "stretching_exponent",
            "1",
            "β",
            "Exponent",
            "Of exp(−(t/τ)^β); above 1 with an induction time.",
        ),
        _q("intensity_drift", "1/h", "d", "Drift of the intensity", "Relative change per hour."),
        _q("energy_drift", "eV/h", "d_E", "Drift of the mean photon energy", "Per hour."),
        _q("fraction_drift", "1/h", "d_f", "Drift of the emission fraction", "Per hour."),
        # carriers
        _q(
            "generation_rate",
            "1/(cm^3 s)",
            "G",
            "Generation rate",
            "Carrier pairs, at the centre of the spot.",
        ),
        _q("carrier_density", "1/cm^3", "n", "Carrier density", "Electron-hole pairs."),
        _q(
            "recombination_rate",
            "1/s",
            "r",
            "Recombination rate",
            "k1 + k2 n + k3 n², of one carrier.",
        ),
        _q("radiative_share", "1", "η", "Radiative share", "k2 n / (k1 + k2 n + k3 n²)."),
        _q("diffusion_length", "nm", "L_D", "Diffusion length", "√(D/r)."),
        _q("ambipolar_diffusion", "cm^2/s", "D", "Diffusion coefficient of carriers", "µ k_B T/e."),
        _q(
            "rise_time", "ns", "t95", "Rise time", "At which 95 % of the steady density is reached."
        ),
        _q(
            "carrier_transient",
            "1/cm^3",
            "n(t)",
            "Carrier density after switching on",
            "At the centre of the spot, without diffusion.",
        ),
        _q(
            "carrier_profile",
            "1/cm^3",
            "n(x)",
            "Carrier density with diffusion",
            "Along the distance from the axis, or into the film.",
        ),
        _q(
            "rate_for_length",
            "1/s",
            "r",
            "Recombination rate for a length",
            "That a stated diffusion length would need.",
        ),
        _q(
            "carrier_distance",
            "nm",
            "x",
            "Distance",
            "From the axis of the spot, or from the surface.",
        ),
        # hopping of ions
        _q(REPLICA, "1", "", "Replica", "Index of a run of the same model with another seed."),
        _q(VACANCY, "1", "", "Vacancy", "Index of a vacancy of a lattice."),
        _q(AXIS, "1", "", "Axis", "z, y or x of a lattice."),
        _q("replica_seed", "1", "", "Seed", "Of one replica; alone it makes the same run again."),
        _q("rng_state", "1", "", "Random state", "64 bits from which the random numbers go on."),
        _q(
            "by_classes",
            "1",
            "",
            "Hops found by classes",
            "1 where rates were too unequal for one bound.",
        ),
        _q("species", "1", "", "Species", "0 vacancy, 1 bromide, 2 iodide."),
        _q(
            "local_gap",
            "eV",
            "E_g",
            "Local gap",
            "Of the irradiated column, vacancies counted as iodide.",
        ),
        _q(
            "column_iodine_fraction",
            "1",
            "x",
            "Iodide and vacancies",
            "Share of the sites of the irradiated column.",
        ),
        _q("radial_bromide", "1", "", "Bromide", "Share of the sites at a distance from the axis."),
        _q("radial_iodide", "1", "", "Iodide", "Share of the sites at a distance from the axis."),
        _q(
            "radial_vacancy",
            "1",
            "",
            "Vacancies",
            "Share of the sites at a distance from the axis.",
        ),
        _q("n_vacancies", "1", "N_V", "Vacancies", "On the whole lattice."),
        _q("n_bromide", "1", "N_Br", "Bromide ions", "On the whole lattice."),
        _q("n_iodide", "1", "N_I", "Iodide ions", "On the whole lattice."),
        _q("hops_bromide", "1", "", "Bromide hops", "Since the start."),
        _q("hops_iodide", "1", "", "Iodide hops", "Since the start."),
        _q("escapes", "1", "", "Escaped iodides", "Since the start."),
        _q("candidates", "1", "", "Candidates", "Hops that were tried since the start."),
        _q(
            "bound_breaches",
            "1",
            "",
            "Breaches of the bound",
            "Candidates whose rate was above the bound; 0 in an exact walk.",
        ),
        _q(
            "msd_vacancy",
            "nm^2",
            "⟨r²⟩",
            "Mean-square displacement of vacancies",
            "Each since it came into being.",
        ),
        _q(
            "msd_bromide", "nm^2", "⟨r²⟩", "Mean-square displacement of bromide", "Since the start."
        ),
        _q("msd_iodide", "nm^2", "⟨r²⟩", "Mean-square displacement of iodide", "Since the start."),
        _q(
            "vacancy_place",
            "1",
            "",
            "Place of a vacancy",
            "Index of its site; -1 where there is none.",
        ),
        _q(
            "vacancy_birth",
            "1",
            "",
            "Birthplace of a vacancy",
            "Index of the site where it came into being.",
        ),
        _q("vacancy_images", "1", "", "Turns of a vacancy", "How often it went around each axis."),
        _q(
            "ion_origin",
            "1",
            "",
            "Origin of an ion",
            "Index of the site where it was at the start; -1 for a vacancy.",
        ),
        _q(
            "ion_images",
            "1",
            "",
            "Turns of an ion",
            "How often it went around each axis, by origin.",
        ),
        # emission of a lattice, funnelling
        _q(
            "emitting_iodine_fraction",
            "1",
            "x/3",
            "Emitting iodide fraction",
            "Of the halide ions where carriers recombine.",
        ),
        _q(
            "iodine_fraction",
            "1",
            "x/3",
            "Iodide fraction",
            "Of the halide ions around a place, 0 to 1.",
        ),
        _q(DIFFUSION_LENGTH, "nm", "L_D", "Diffusion length", "Of carriers in a film of one gap."),
        _q(TRUE_FRACTION, "1", "f_V", "Volume fraction", "True share of the iodide-rich phase."),
        _q(
            "emission_fraction",
            "1",
            "f",
            "Emission fraction",
            "Share of the light that comes from the iodide-rich phase.",
        ),
        _q(
            "overstatement",
            "1",
            "f/f_V",
            "Overstatement",
            "Emission fraction divided by volume fraction.",
        ),
    )
}
"""Every name with its unit, symbol and meaning, by name."""


def _entry(name: str) -> Quantity:
    base = name.removesuffix("_stderr")
    try:
        return TABLE[base]
    except KeyError:
        raise KeyError(f"{name!r} is not in plkit.names.TABLE") from None


def unit(name: str) -> str:
    """Unit of a named quantity; ``<name>_stderr`` has the unit of ``<name>``."""
    return _entry(name).unit


def symbol(name: str) -> str:
    """Symbol of a named quantity as used in equations."""
    return _entry(name).symbol


def attrs(name: str) -> dict[str, str]:
    """Attributes to put on an array: ``units`` and ``long_name``."""
    q = _entry(name)
    long_name = f"σ of {q.long_name.lower()}" if name.endswith("_stderr") else q.long_name
    return {"units": q.unit, "long_name": long_name}


def label(name: str) -> str:
    """Axis label: long name, symbol, unit (the unit is left out for a pure number)."""
    q = _entry(name)
    text = q.long_name if q.symbol in ("", q.long_name) else f"{q.long_name} {q.symbol}"
    return text if q.unit == "1" else f"{text} ({q.unit.replace('um', 'µm').replace('uW', 'µW')})"


def stderr_name(name: str) -> str:
    """Name of the variable that holds one standard deviation of ``name``."""
    return f"{name}_stderr"


# Units ----------------------------------------------------------------------------------------
# Spellings met in files, each with the spelling that plkit writes.
_SPELLINGS: Final[dict[str, str]] = {
    "nanometer": "nm", "nanometers": "nm", "nanometre": "nm", "nanometres": "nm",
    "micrometer": "um", "micrometers": "um", "micrometre": "um", "micron": "um", "microns": "um",
    "µm": "um", "μm": "um", "µA": "uA", "µs": "us", "μs": "us", "µW": "uW", "μW": "uW",
    "angstrom": "angstrom", "Å": "angstrom", "Angstrom": "angstrom",
    "second": "s", "seconds": "s", "sec": "s", "minute": "min", "minutes": "min", "hour": "h", "hours": "h",
    "ev": "eV", "electronvolt": "eV", "EV": "eV",
    "cm-1": "1/cm", "cm^-1": "1/cm", "cm⁻¹": "1/cm", "1/cm": "1/cm",
    "count": "counts", "Counts": "counts", "cts": "counts",
    "kelvin": "K", "Kelvin": "K", "": "1", "dimensionless": "1",
}  # fmt: skip

# Units of one kind, each with its size in the first one.
_SCALES: Final[tuple[dict[str, float], ...]] = (
    {"nm": 1.0, "angstrom": 0.1, "pm": 1e-3, "um": 1e3, "mm": 1e6, "cm": 1e7, "m": 1e9},
    {"s": 1.0, "min": 60.0, "h": 3600.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12},
    {"eV": 1.0, "meV": 1e-3, "keV": 1e3},
    {"uW": 1.0, "W": 1e6, "mW": 1e3, "nW": 1e-3},
    {"V": 1.0, "mV": 1e-3},
    {"mA": 1.0, "A": 1e3, "uA": 1e-3},
    {"1": 1.0, "%": 1e-2},
    {"m^2/s": 1.0, "cm^2/s": 1e-4, "um^2/s": 1e-12},
    {"counts": 1.0},
    {"counts^2": 1.0},
    {"nm^2": 1.0, "um^2": 1e6},
    {"K": 1.0},
    {"1/cm": 1.0},
    {"1/s": 1.0, "1/min": 1.0 / 60.0, "1/h": 1.0 / 3600.0},
)


def normalise_unit(text: str) -> str:
    """Return plkit's spelling of a unit (``"µm"`` → ``"um"``); unknown text comes back stripped."""
    stripped = text.strip().strip("[]()")
    return _SPELLINGS.get(stripped, stripped)


def conversion_factor(found: str, wanted: str) -> float | None:
    """Factor that turns numbers in ``found`` into numbers in ``wanted``.

    Parameters
    ----------
    found, wanted : str
        Unit strings; common spellings are understood.

    Returns
    -------
    float or None
        ``None`` where the two are of different kinds, or unknown. Energy and wavelength are of
        different kinds: going between them needs the Jacobian, see ``plkit.spectra.to_energy``.
    """
    a, b = normalise_unit(found), normalise_unit(wanted)
    if a == b:
        return 1.0
    for scale in _SCALES:
        if a in scale and b in scale:
            # The quotient of two sizes, rounded to 15 digits so that 1e-6/1 stays 1e-06.
            return float(f"{scale[a] / scale[b]:.15g}")
    return None
