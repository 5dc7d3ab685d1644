"""The whole way of one study: recipe in, DataTree of all results out.

Reads like the method section of the paper: correct the spectra, unmix them, fit the kinetics,
simulate the heating, fit the activation energies; map the fractions and the composition, fit the
halo, fit D(T). Nothing here computes; every step is a public function of plkit.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

import plkit
from plkit import names, spectra
from plkit.errors import DataError, FileFormatError, PlkitWarning, RecipeError
from plkit.names import (
    INTENSITY,
    NOISE_FLOOR,
    NOISE_GAIN,
    POWER,
    SPECTRAL_DIMS,
    TIME,
    WAVELENGTH,
    X,
    Y,
)
from plkit.physics.heat import heat_fraction
from plkit.study.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from plkit.kinetics import Verdict

_OWN_NAMES = ("results.nc", "summary.json", "report.html", "figures")

__all__ = [
    "SampleResult",
    "StudyFiles",
    "StudyResult",
    "analyse_exposure",
    "analyse_study",
    "open_results",
    "run_study",
]


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


@dataclass
class _Notes:
    """Warnings with the place where they arose, each once."""

    lines: list[str] = field(default_factory=list)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PlkitWarning)
            yield
        for w in caught:
            if issubclass(w.category, PlkitWarning):
                line = f"{place}: {w.message}"
                if line not in self.lines:
                    self.lines.append(line)
            else:
                warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


def run_study(
    recipe: str | Path, output: str | Path | None = None, *, progress: bool = False
) -> xr.DataTree:
    """Carry a study from its files to its numbers.

    Parameters
    ----------
    recipe : str or pathlib.Path
        The recipe (TOML), or a folder that holds ``STUDY.toml``. ``plkit init`` writes one to start.
    output : str or pathlib.Path, optional
        Folder of the results instead of the recipe's. Results that stand there are replaced, all
        at once, when the run has succeeded; a run that fails touches nothing.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    xarray.DataTree
        One node per sample with ``raw``, ``unmixed``, ``kinetics``, ``heating``, ``arrhenius`` and,
        where recorded, ``recovery_unmixed``, ``recovery_kinetics``, ``maps``, ``composition``,
        ``overview``, ``profiles``, ``diffusion``. The same is in ``results.nc`` beside ``summary.json``,
        ``report.html`` and ``figures/``. ``tree.attrs["summary"]`` holds summary.json,
        ``tree.attrs["provenance"]`` inputs' sha256, recipe, versions and seeds.

    Raises
    ------
    RecipeError
        If the recipe is faulty.
    FileFormatError, DataError
        If a file cannot be used; the sentence names it.

    Notes
    -----
    Fractions are unmixed without the constraint a ≥ 0, because noise cut off at zero would bias
    every later least-squares fit; ``plkit.unmix`` itself constrains by default.

    Examples
    --------
    >>> tree = run_study("study/STUDY.toml")                               # doctest: +SKIP
    >>> float(tree["x1.0/arrhenius"].activation_energy)                    # doctest: +SKIP
    0.25
    """
    loaded = load_recipe(recipe)
    target = loaded.output_folder(output)
    if target.exists() and not target.is_dir():
        raise RecipeError(
            f"run {loaded.path}", f"the output '{target}' is a file, not a folder", "Name a folder."
        )
    _refuse_strangers(loaded, target)
    return _publish(loaded, target, analyse_study(loaded, progress=progress), progress)


def _refuse_strangers(recipe: Recipe, target: Path) -> None:
    """A folder that holds files but no results of ours is not a place for results."""
    if (
        target.is_dir()
        and any(target.iterdir())
        and not any((target / n).exists() for n in _OWN_NAMES)
    ):
        raise RecipeError(
            f"run {recipe.path}",
            f"the output '{target}' holds other files, not results of plkit",
            "Name a new folder.",
        )


def open_results(path: str | Path) -> xr.DataTree:
    """Open the results of a study.

    Parameters
    ----------
    path : str or pathlib.Path
        ``results.nc``, or the folder that holds it.

    Returns
    -------
    xarray.DataTree
        As returned by :func:`run_study`, loaded into memory.

    Raises
    ------
    FileFormatError
        If there are no results.

    Examples
    --------
    >>> plkit.open_results("demo-results")["x1.5/kinetics"].mean_rate      # doctest: +SKIP
    """
    file = Path(path)
    file = file / "results.nc" if file.is_dir() else file
    if not file.exists():
        raise FileFormatError(
            "open results", f"'{file}' does not exist", "Run: plkit run STUDY.toml"
        )
    try:
        with xr.open_datatree(file, decode_timedelta=False, engine="netcdf4") as tree:
            return tree.load()
    except (OSError, ValueError) as error:
        raise FileFormatError("open results", f"'{file}' is no results file ({error})") from error


# The way ----------------------------------------------------------------------------------------


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


def analyse_study(recipe: Recipe, *, progress: bool = False) -> StudyResult:
    """Carry a study from its files to its numbers, in memory; :func:`run_study` also writes them.

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
    recipe = files.recipe
    sample = recipe.samples[name]
    with notes.at(f"{name}, exposure"):
        exposure = files.exposure(name)
        refs = files.references(name, exposure)
        heat = plkit.simulate_heating(
            *files.spot_and_film(name, refs),
            power_uw=exposure[POWER],
            ambient_k=recipe.environment.ambient_k,
        )
        result = analyse_exposure(
            exposure,
            refs,
            heat,
            falling=sample.falling,
            background=sample.background,
            rate_scatter=sample.rate_scatter,
            conversion_at_s=sample.conversion_at_s,
        )
        result.verdict = plkit.verdict(
            exposure, result.groups["unmixed"], result.groups["kinetics"]
        )
    if sample.recovery is not None:
        with notes.at(f"{name}, recovery"):
            _analyse_recovery(result, files.recovery(name), refs, sample.background)
    if sample.maps is not None:
        _analyse_maps(result, files, name, refs, notes)
    if sample.overview is not None:
        with notes.at(f"{name}, overview"):
            overview = files.load(name, sample.overview)
            unmixed = _unmix(overview, refs, sample.background)
            composition = plkit.composition_map(
                overview, calibration=recipe.composition.calibration
            )
            result.groups["overview"] = xr.merge(
                [unmixed, composition], compat="override", join="exact"
            )
    return result


def analyse_exposure(
    exposure: xr.Dataset,
    refs: xr.DataArray,
    heat: xr.Dataset,
    *,
    falling: str,
    background: str = "none",
    rate_scatter: float = 0.0,
    conversion_at_s: list[float] | None = None,
) -> SampleResult:
    """From corrected spectra under the laser to the activation energy.

    Parameters
    ----------
    exposure : xarray.Dataset
        ``intensity`` (power, time, wavelength) [counts], corrected.
    refs : xarray.DataArray
        References (component, wavelength).
    heat : xarray.Dataset
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
    SampleResult
        With the groups ``raw``, ``unmixed``, ``kinetics``, ``heating`` and, from two powers on,
        ``arrhenius``.
    """
    unmixed = _unmix(exposure, refs, background)
    kin = plkit.fit_kinetics(unmixed, falling, at_s=conversion_at_s)
    groups = {
        "raw": _raw_summary(exposure),
        "references": refs.to_dataset(name="reference"),
        "unmixed": unmixed,
        "kinetics": kin,
        "heating": heat,
    }
    if exposure.sizes[POWER] >= 2:
        groups["arrhenius"] = plkit.fit_arrhenius(kin, heat, rate_scatter=rate_scatter)
    else:
        warnings.warn(
            "only one power was measured: no activation energy", PlkitWarning, stacklevel=2
        )
    return SampleResult(groups)


def _analyse_recovery(
    result: SampleResult, series: xr.Dataset, refs: xr.DataArray, background: str
) -> None:
    unmixed = _unmix(series, refs, background)
    kin = plkit.fit_kinetics(unmixed)
    result.groups["recovery_raw"] = _raw_summary(series)
    result.groups["recovery_unmixed"] = unmixed
    result.groups["recovery_kinetics"] = kin
    result.recovery_verdict = plkit.verdict(series, unmixed, kin, dark=True)


def _analyse_maps(
    result: SampleResult, files: StudyFiles, name: str, refs: xr.DataArray, notes: _Notes
) -> None:
    recipe = files.recipe
    sample = recipe.samples[name]
    growing = next(str(c) for c in refs[names.COMPONENT].values if c != sample.falling)
    fractions, compositions = [], []
    for power, file in sorted((sample.maps or {}).items()):
        with notes.at(f"{name}, {file}"):
            cube = files.load(name, file)
            if not {Y, X} <= set(cube.dims):
                raise DataError(
                    f"map '{file}'",
                    f"its dims are {', '.join(map(str, cube.sizes))}, not y and x",
                    "A map needs both; use 'exposure' for a series.",
                )
            fractions.append(_at_power(_unmix(cube, refs, sample.background), power))
            found = plkit.composition_map(cube, calibration=recipe.composition.calibration)
            compositions.append(_at_power(found, power))
    with notes.at(f"{name}, maps"):
        maps = _stack(fractions, f"{name}, maps")
        result.groups["maps"] = maps
        result.groups["composition"] = _stack(compositions, f"{name}, maps")
        options = sample.diffusion
        sigma0 = recipe.laser.spot_radius_um / 2
        if options is not None and options.initial_sigma_um is not None:
            sigma0 = options.initial_sigma_um
        profiles = plkit.fit_fick_profile(
            maps["fraction"].sel(component=growing, drop=True),
            stderr=maps["fraction_stderr"].sel(component=growing, drop=True),
            rate=result.groups["kinetics"],
            geometry="map" if options is None else options.geometry,
            initial_sigma_um=sigma0,
        )
        result.groups["profiles"] = profiles
        if profiles.sizes[POWER] >= 2:
            heat = result.groups["heating"]
            result.groups["diffusion"] = plkit.fit_diffusion_temperature(profiles, heat)


# Pieces -----------------------------------------------------------------------------------------


class StudyFiles:
    """The files of a study, read and corrected alike: dark, cosmic rays, response, baseline, crop.

    Parameters
    ----------
    recipe : Recipe
        The recipe that names them.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        c = recipe.corrections
        self._dark = None if c.dark is None else plkit.read(recipe.resolve(c.dark))
        if self._dark is not None and c.despike:
            # A cosmic ray in the dark would be a dip in every spectrum.
            self._dark = self._despike(self._dark)
        self._response = None if c.response is None else _response(recipe, c.response)

    def load(self, sample: str, file: str) -> xr.Dataset:
        """Read and correct one file of a sample."""
        ds = plkit.read(self.recipe.resolve(file), **self.recipe.samples[sample].read)
        return self._correct(ds)

    def exposure(self, sample: str) -> xr.Dataset:
        """One dataset with the dims (power, time, spectral), whatever the files were."""
        entry = self.recipe.samples[sample]
        if isinstance(entry.exposure, dict):
            parts = [_at_power(self.load(sample, f), p) for p, f in sorted(entry.exposure.items())]
            ds = _stack(parts, f"{sample}, exposure")
        else:
            ds = self.load(sample, entry.exposure)
        if POWER not in ds.dims:
            power = entry.power_uw if entry.power_uw is not None else ds.coords.get(POWER)
            if power is None:
                raise RecipeError(
                    f"run sample '{sample}'",
                    f"neither '{entry.exposure}' nor the recipe states the laser power",
                    f'Add power_uw to [samples."{sample}"].',
                )
            ds = _at_power(ds, float(power))
        if TIME not in ds.dims:
            raise DataError(
                f"run sample '{sample}'",
                f"its exposure has dims {', '.join(map(str, ds.sizes))}, not time",
                "A series of spectra under the laser is needed.",
            )
        return ds.transpose(POWER, TIME, ...)

    def recovery(self, sample: str) -> xr.Dataset:
        """Series in the dark."""
        file = self.recipe.samples[sample].recovery
        if file is None:
            raise RecipeError(f"load the recovery of '{sample}'", "the recipe names none")
        return self.load(sample, file)

    def references(self, sample: str, like: xr.Dataset) -> xr.DataArray:
        """Spectra of the pure components on the axis of ``like``."""
        files = self.recipe.samples[sample].references
        return plkit.references(like=like, **{k: self.load(sample, f) for k, f in files.items()})

    def spot_and_film(self, sample: str, refs: xr.DataArray) -> tuple[plkit.LaserSpot, plkit.Film]:
        """Laser spot and film of a sample, for the heating; what leaves as light does not heat."""
        r = self.recipe
        pristine = refs.sel(component=r.samples[sample].falling)
        emission_nm = float((pristine * refs[WAVELENGTH]).sum() / pristine.sum())
        laser, film, base, entry = r.laser, r.film_of(sample), r.substrate, r.samples[sample]
        spot = plkit.LaserSpot(
            laser.spot_radius_um, laser.wavelength_nm, laser.spot_radius_stderr_um
        )
        substrate = plkit.Layer(
            base.thickness_um,
            base.conductivity_w_mk,
            base.heat_capacity_j_m3k,
            base.conductivity_stderr_w_mk,
        )
        return spot, plkit.Film(
            film.thickness_nm,
            film.conductivity_w_mk,
            entry.absorptance,
            absorptance_stderr=entry.absorptance_stderr,
            substrate=(substrate,),
            heat_fraction=heat_fraction(film.plqy, emission_nm, laser.wavelength_nm),
            conductivity_stderr_w_mk=film.conductivity_stderr_w_mk,
            heat_capacity_j_m3k=film.heat_capacity_j_m3k,
        )

    def _despike(self, ds: xr.Dataset) -> xr.Dataset:
        threshold = self.recipe.corrections.despike_threshold
        return (
            spectra.despike(ds) if threshold is None else spectra.despike(ds, threshold=threshold)
        )

    def _correct(self, ds: xr.Dataset) -> xr.Dataset:
        c = self.recipe.corrections
        if self._dark is not None:
            ds = spectra.subtract_dark(ds, self._dark, bias_counts=c.dark_bias_counts)
        if c.despike:
            ds = self._despike(ds)
        if self._response is not None:
            ds = spectra.divide_response(ds, self._response)
        if c.baseline != "none":
            ds = spectra.subtract_baseline(ds, method=c.baseline)
        if c.crop_nm is not None:
            ds = spectra.crop(ds, wavelength=(c.crop_nm[0], c.crop_nm[1]))
        return ds


def _response(recipe: Recipe, file: str) -> xr.DataArray:
    ds = plkit.read(recipe.resolve(file))
    if "response" not in ds:
        raise DataError(
            f"use '{file}' as spectral response",
            f"it holds {', '.join(map(str, ds.data_vars))}, not 'response'",
            "Rename the variable.",
        )
    return ds["response"]


def _at_power(ds: xr.Dataset, power_uw: float) -> xr.Dataset:
    """Give what was measured the dim ``power``; constants such as the noise model stay as they are."""
    at = xr.DataArray([float(power_uw)], dims=POWER, attrs=names.attrs(POWER))
    ds = ds.drop_vars(POWER, errors="ignore")
    measured = [
        n for n, da in ds.data_vars.items() if n == INTENSITY or {TIME, Y, X} & set(da.dims)
    ]
    return ds.assign({n: ds[n].expand_dims({POWER: at}) for n in measured})


def _stack(parts: list[xr.Dataset], place: str) -> xr.Dataset:
    """Put the powers side by side; axes must agree."""
    _warn_where_noise_differs(parts, place)
    try:
        ds = xr.concat(
            parts,
            dim=POWER,
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="drop_conflicts",
        )
    except ValueError as error:
        raise DataError(
            f"put the powers of {place} side by side",
            "their axes differ",
            "Crop or resample them to the same axes first.",
        ) from error
    ds[POWER].attrs.update(names.attrs(POWER))
    return ds


def _warn_where_noise_differs(parts: list[xr.Dataset], place: str) -> None:
    for name in (NOISE_GAIN, NOISE_FLOOR):
        found = [p[name] for p in parts if name in p]
        if any(
            f.shape != found[0].shape or not np.allclose(f, found[0], rtol=0.05) for f in found
        ) or len(found) % len(parts):
            warnings.warn(
                f"'{name}' differs between the powers of {place}; that of the first is used",
                PlkitWarning,
                stacklevel=3,
            )


def _unmix(ds: xr.Dataset, refs: xr.DataArray, background: str) -> xr.Dataset:
    return plkit.unmix(ds, refs, background=background, nonnegative=False)


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


# Results ----------------------------------------------------------------------------------------


def _publish(recipe: Recipe, target: Path, result: StudyResult, progress: bool) -> xr.DataTree:
    """Write everything into a folder beside the target, then put it in the target's place."""
    from plkit.study.figures import write_figures
    from plkit.study.provenance import provenance, provenance_id, provenance_json
    from plkit.study.report import write_report
    from plkit.study.summary import summarise

    results = result.samples
    summary = summarise(recipe, results, result.warnings)
    tree = xr.DataTree.from_dict(
        {f"/{name}/{group}": ds for name, r in results.items() for group, ds in r.groups.items()}
    )
    record = provenance(recipe)
    tree.attrs.update(
        title=recipe.study.title,
        plkit_version=plkit.__version__,
        summary=json.dumps(summary, ensure_ascii=False),
        provenance=provenance_json(record),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        work.chmod(0o755)
        _write_tree(tree, work / "results.nc")
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        (work / "summary.json").write_text(text + "\n", encoding="utf-8")
        figures = write_figures(
            tree, work / "figures", identifier=provenance_id(record), progress=progress
        )
        write_report(tree, summary, figures, work / "report.html")
        _swap(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return tree


def _write_tree(tree: xr.DataTree, path: Path) -> None:
    encoding = {
        node.path: {
            str(v): {"zlib": True, "complevel": 4}
            for v, da in node.data_vars.items()
            if da.dtype.kind in "iuf" and da.ndim
        }
        for node in tree.subtree
    }
    tree.to_netcdf(path, encoding=encoding, engine="netcdf4")


def _swap(work: Path, target: Path) -> None:
    """Put ``work`` in the place of ``target``; files of the user's that stand there are kept."""
    if not target.exists():
        work.replace(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent)) / "results"
    target.replace(old)
    try:
        work.replace(target)
    except OSError:
        old.replace(target)
        raise
    for entry in old.iterdir():
        if entry.name not in _OWN_NAMES:
            entry.replace(target / entry.name)
    shutil.rmtree(old.parent, ignore_errors=True)
