"""The whole way of one study, in memory: from its files to its numbers.

Reads like the method section of the paper: correct the spectra, unmix them, fit the kinetics,
simulate the heating, fit the activation energies; map the fractions and the composition, fit the
halo, fit D(T). Nothing here computes; every step is a public function of plkit. A sample goes as
far as its recipe names what a step needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import xarray as xr

import plkit
from plkit import names
from plkit.errors import DataError, PlkitError, PlkitWarning
from plkit.names import (
    COMPONENT,
    INTENSITY,
    NOISE_FLOOR,
    NOISE_GAIN,
    POWER,
    SPECTRAL_DIMS,
    TIME,
    X,
    Y,
)
from plkit.study.files import StudyFiles, at_power, stack_powers
from plkit.study.recipe import Recipe
from plkit.study.recipe_tables import Sample

if TYPE_CHECKING:
    from plkit.kinetics import Verdict

__all__ = ["SampleResult", "StudyResult", "analyse_exposure", "analyse_maps", "analyse_study"]

# A biexponential with a plateau has five parameters.
_FEWEST_SPECTRA: Final = 6
# Rise of an emission fraction over a series that is no noise and no drift [1].
_CLEAR_RISE: Final = 0.05


@dataclass
class SampleResult:
    """Everything found on one sample.

    Parameters
    ----------
    groups : dict of str to xarray.Dataset
        Results by group name, as they stand in results.nc.
    verdict : Verdict, optional
        What the exposure did to the film.
    recovery_verdict : Verdict, optional
        What the dark did, where it was recorded.
    """

    groups: dict[str, xr.Dataset] = field(default_factory=dict)
    verdict: Verdict | None = None
    recovery_verdict: Verdict | None = None


@dataclass(frozen=True)
class StudyResult:
    """Results of all samples, with the warnings met on the way.

    Parameters
    ----------
    samples : dict of str to SampleResult
        Results by sample.
    warnings : list of str
        Each with the place where it arose.
    """

    samples: dict[str, SampleResult]
    warnings: list[str]


@dataclass
class _Notes:
    """Warnings with the place where they arose, each once."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PlkitWarning)
            try:
                yield
            except PlkitError as error:
                raise type(error)(
                    f"{error.action} ({place})", error.reason, error.remedy
                ) from error
        for w in caught:
            if issubclass(w.category, PlkitWarning):
                line = f"{place}: {w.message}"
                if line not in self.lines:
                    self.lines.append(line)
            else:
                warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


def analyse_study(recipe: Recipe, *, progress: bool = False) -> StudyResult:
    """Carry a study from its files to its numbers; :func:`plkit.run_study` also writes them.

    Parameters
    ----------
    recipe : Recipe
        A loaded recipe.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    StudyResult
        Results by sample, and warnings.
    """
    from tqdm import tqdm

    notes = _Notes()
    with notes.at("corrections"):
        files = StudyFiles(recipe)
    results = {}
    for name in tqdm(recipe.samples, desc="run", unit="sample", disable=not progress):
        results[name] = _analyse_sample(files, name, notes)
    return StudyResult(results, notes.lines)


def _analyse_sample(files: StudyFiles, name: str, notes: _Notes) -> SampleResult:
    sample = files.recipe.samples[name]
    result, refs = SampleResult(), None
    if sample.exposure is not None:
        with notes.at(f"{name}, exposure"):
            exposure = files.exposure(name)
            refs = files.references(name, exposure)
            result = _exposure(files, name, exposure, refs)
    elif sample.overview is not None:
        refs = files.references(name, files.load(name, sample.overview, "overview"))
    if sample.recovery is not None:
        with notes.at(f"{name}, recovery"):
            _recovery(result, files.recovery(name), refs, sample)
    if sample.maps is not None and refs is not None:
        _maps(result, files, name, refs, notes)
    if sample.overview is not None:
        with notes.at(f"{name}, overview"):
            overview = files.load(name, sample.overview, "overview")
            found = _composition(files.recipe, overview)
            if refs is not None:
                found = xr.merge(
                    [_unmix(overview, refs, sample), found], compat="override", join="exact"
                )
            result.groups["overview"] = found
    return result


def _exposure(
    files: StudyFiles, name: str, exposure: xr.Dataset, refs: xr.DataArray | None
) -> SampleResult:
    sample = files.recipe.samples[name]
    result = SampleResult({"raw": _raw_summary(exposure), "peaks": _peaks(files.recipe, exposure)})
    if refs is None:
        result.verdict = plkit.verdict(exposure)
        return result
    _refuse_hopeless(exposure, name)
    heat = None
    if sample.is_heated:
        spot, film = files.spot_and_film(name, refs)
        ambient = files.recipe.environment.ambient_k
        heat = plkit.simulate_heating(spot, film, power_uw=exposure[POWER], ambient_k=ambient)
    groups = analyse_exposure(
        exposure,
        refs,
        heat,
        falling=sample.falling,
        background=sample.background,
        rate_scatter=sample.rate_scatter,
        conversion_at_s=sample.conversion_at_s,
    )
    result.groups.update(groups)
    result.verdict = plkit.verdict(exposure, groups["unmixed"], groups["kinetics"])
    return result


def _refuse_hopeless(exposure: xr.Dataset, name: str) -> None:
    """Kinetics need more spectra in time than they have parameters, and light in some of them."""
    n = exposure.sizes[TIME]
    if n < _FEWEST_SPECTRA:
        raise DataError(
            f"run sample '{name}'",
            f"its exposure has {n} {'spectrum' if n == 1 else 'spectra'} in time, not at least {_FEWEST_SPECTRA}",
            "Measure a series, or leave out the references: peaks and a verdict are found without them.",
        )
    if not bool(np.isfinite(exposure[INTENSITY]).any()):
        raise DataError(
            f"run sample '{name}'",
            "its exposure holds no number, all values are NaN",
            "Check the file with plkit info.",
        )


def _refuse_rising(unmixed: xr.Dataset, falling: str) -> None:
    """The falling component named wrongly would leave every trace without a fit."""
    trace = unmixed["fraction"].sel({COMPONENT: falling}).transpose(..., TIME)
    edge = max(1, trace.sizes[TIME] // 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of traces without a number
        rise = np.nanmean(trace.values[..., -edge:], -1) - np.nanmean(trace.values[..., :edge], -1)
    if np.all(rise[np.isfinite(rise)] > _CLEAR_RISE) and np.isfinite(rise).any():
        others = [str(c) for c in unmixed[COMPONENT].values if c != falling]
        raise DataError(
            "fit the kinetics",
            f"the component '{falling}' rises at every power, by {100 * np.nanmean(rise):.0f} % on average, "
            "and does not fall",
            f'Name the one that falls: pristine = "{others[0]}".',
        )


def analyse_exposure(
    exposure: xr.Dataset,
    refs: xr.DataArray,
    heat: xr.Dataset | None,
    *,
    falling: str,
    background: str = "none",
    rate_scatter: float = 0.0,
    conversion_at_s: list[float] | None = None,
) -> dict[str, xr.Dataset]:
    """From corrected spectra under the laser to the activation energy.

    Parameters
    ----------
    exposure : xarray.Dataset
        ``intensity`` (power, time, wavelength) [counts], corrected.
    refs : xarray.DataArray
        References (component, wavelength).
    heat : xarray.Dataset or None
        Result of :func:`plkit.simulate_heating` for these powers.
    falling : str
        Component that falls.
    background : {"none", "constant", "linear"}, optional
        Background in the unmixing.
    rate_scatter : float, optional
        Relative spot-to-spot scatter of the rate [1].
    conversion_at_s : list of float, optional
        Times at which the conversion is given [s]; the end of the record by default.

    Returns
    -------
    dict of str to xarray.Dataset
        ``references``, ``unmixed``, ``kinetics`` and, with ``heat``, ``heating``, and from two
        powers on ``arrhenius``.

    Notes
    -----
    Fractions are unmixed without the constraint a ≥ 0, because noise cut off at zero would bias
    every later least-squares fit; ``plkit.unmix`` itself constrains by default.
    """
    unmixed = plkit.unmix(exposure, refs, background=background, nonnegative=False)
    _refuse_rising(unmixed, falling)
    kin = plkit.fit_kinetics(unmixed, falling, at_s=conversion_at_s)
    groups = {"references": refs.to_dataset(name="reference"), "unmixed": unmixed, "kinetics": kin}
    if heat is None:
        return groups
    groups["heating"] = heat
    rated = int((np.isfinite(kin["mean_rate"]) & (kin["mean_rate"] > 0)).sum())
    if rated >= 2:
        groups["arrhenius"] = plkit.fit_arrhenius(kin, heat, rate_scatter=rate_scatter)
    else:
        found = f"{rated} of {exposure.sizes[POWER]} powers gave a rate, two are needed"
        if exposure.sizes[POWER] == 1:
            found = "only one power was measured"
        warnings.warn(f"{found}: no activation energy", PlkitWarning, stacklevel=2)
    return groups


def _recovery(
    result: SampleResult, series: xr.Dataset, refs: xr.DataArray | None, sample: Sample
) -> None:
    result.groups["recovery_raw"] = _raw_summary(series)
    if refs is None:
        result.recovery_verdict = plkit.verdict(series, dark=True)
        return
    unmixed = _unmix(series, refs, sample)
    kin = plkit.fit_kinetics(unmixed)
    result.groups["recovery_unmixed"] = unmixed
    result.groups["recovery_kinetics"] = kin
    result.recovery_verdict = plkit.verdict(series, unmixed, kin, dark=True)


def _maps(
    result: SampleResult, files: StudyFiles, name: str, refs: xr.DataArray, notes: _Notes
) -> None:
    recipe = files.recipe
    sample = recipe.samples[name]
    growing = next(str(c) for c in refs[COMPONENT].values if c != sample.falling)
    fractions, compositions = [], []
    for power, file in sorted((sample.maps or {}).items()):
        with notes.at(f"{name}, {file}"):
            cube = files.load_at(name, file, power, "maps").squeeze(POWER)
            dims = [str(d) for d in cube[INTENSITY].dims if d not in SPECTRAL_DIMS]
            if set(dims) != {Y, X}:
                raise DataError(
                    f"map '{file}'",
                    f"its spectra run over {' and '.join(dims) or 'nothing'}, not over y and x",
                    "A map needs both and nothing else; use 'exposure' for a series.",
                )
            own = refs if _same_axis(cube, refs) else files.references(name, cube)
            assert own is not None
            fractions.append(at_power(_unmix(cube, own, sample), power))
            compositions.append(at_power(_composition(recipe, cube), power))
    with notes.at(f"{name}, maps"):
        maps = stack_powers(fractions)
        result.groups["maps"] = maps
        result.groups["composition"] = stack_powers(compositions)
        if "kinetics" not in result.groups:
            return
        options = sample.diffusion
        groups = analyse_maps(
            maps,
            result.groups["kinetics"],
            result.groups.get("heating"),
            growing=growing,
            geometry="map" if options is None else options.geometry,
            initial_sigma_um=files.initial_sigma_um(name),
        )
        result.groups.update(groups)


def analyse_maps(
    maps: xr.Dataset,
    kinetics: xr.Dataset,
    heat: xr.Dataset | None,
    *,
    growing: str,
    geometry: Literal["map", "radial", "cut"] = "map",
    initial_sigma_um: float = 0.0,
) -> dict[str, xr.Dataset]:
    """From unmixed maps to the diffusion coefficient and its activation energy.

    Parameters
    ----------
    maps : xarray.Dataset
        Result of :func:`plkit.unmix` (power, component, y, x).
    kinetics : xarray.Dataset
        Result of :func:`plkit.fit_kinetics` that holds these powers.
    heat : xarray.Dataset or None
        Result of :func:`plkit.simulate_heating`.
    growing : str
        Component that grows around the spot.
    geometry : {"map", "radial", "cut"}, optional
        What is fitted.
    initial_sigma_um : float, optional
        σ of the profile at time 0 [µm].

    Returns
    -------
    dict of str to xarray.Dataset
        ``profiles`` and, from two powers on, ``diffusion``.
    """
    profiles = plkit.fit_fick_profile(
        maps["fraction"].sel(component=growing, drop=True),
        stderr=maps["fraction_stderr"].sel(component=growing, drop=True),
        rate=kinetics,
        geometry=geometry,
        initial_sigma_um=initial_sigma_um,
    )
    groups = {"profiles": profiles}
    known = int((profiles["diffusion_coefficient"] > 0).sum())
    if heat is not None and known < 2 <= profiles.sizes[POWER]:
        text = (
            f"{known} of {profiles.sizes[POWER]} maps gave a diffusion coefficient, two are needed"
        )
        warnings.warn(text, PlkitWarning, stacklevel=2)
    elif known >= 2 and heat is not None:
        groups["diffusion"] = plkit.fit_diffusion_temperature(profiles, heat)
    return groups


def _same_axis(cube: xr.Dataset, refs: xr.DataArray) -> bool:
    dim = next(d for d in SPECTRAL_DIMS if d in refs.dims)
    return dim in cube.dims and cube[dim].equals(refs[dim])


def _composition(recipe: Recipe, cube: xr.Dataset) -> xr.Dataset:
    """Composition by the recipe's calibration, or the peaks alone where it says "none"."""
    calibration = recipe.composition.calibration
    if calibration == "none":
        return _peaks(recipe, cube)
    return plkit.composition_map(cube, calibration=calibration)


def _peaks(recipe: Recipe, ds: xr.Dataset) -> xr.Dataset:
    window = recipe.peaks.window_nm
    return plkit.fit_peaks(
        ds, method=recipe.peaks.method, window=None if window is None else (window[0], window[1])
    )


def _unmix(ds: xr.Dataset, refs: xr.DataArray, sample: Sample) -> xr.Dataset:
    return plkit.unmix(ds, refs, background=sample.background, nonnegative=False)


def _raw_summary(ds: xr.Dataset) -> xr.Dataset:
    """First, last and mean spectrum, light against time, cosmic rays and saturation."""
    da = ds[INTENSITY]
    spectral = next(d for d in SPECTRAL_DIMS if d in da.dims)
    unit = names.attrs(INTENSITY)
    edge = max(1, min(10, da.sizes[TIME] // 10))
    bins = np.array_split(np.arange(da.sizes[TIME]), min(da.sizes[TIME], 100))
    movie = xr.concat([da.isel(time=b).mean(TIME) for b in bins], dim=TIME)
    movie = movie.assign_coords(
        time=(TIME, [float(da[TIME].values[b].mean()) for b in bins], names.attrs(TIME))
    )
    out = xr.Dataset(
        {
            "first_spectrum": da.isel(time=slice(0, edge)).mean(TIME).assign_attrs(unit),
            "last_spectrum": da.isel(time=slice(-edge, None)).mean(TIME).assign_attrs(unit),
            "total_intensity": da.sum(spectral).assign_attrs(unit),
            "movie": movie.rename({TIME: "movie_time"}).transpose(..., spectral).assign_attrs(unit),
        },
        attrs={k: v for k, v in ds.attrs.items() if k in ("history", "origin", "instrument")},
    )
    # One frame as it was measured, with its noise model: to show what was unmixed.
    out["last_frame"] = da.isel(time=-1).assign_attrs(unit)
    for noise in (NOISE_GAIN, NOISE_FLOOR):
        if noise in ds:
            out[noise] = ds[noise]
    if "spike_mask" in ds:
        out["n_spikes"] = ds["spike_mask"].sum().astype(np.int64)
    return out
