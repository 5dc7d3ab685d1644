"""The files of a study, read and corrected alike."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

import plkit
from plkit import names, schema, spectra
from plkit.errors import DataError, PlkitError, PlkitWarning, RecipeError
from plkit.io.common import keywords_asked
from plkit.names import ENERGY, INTENSITY, NOISE_FLOOR, NOISE_GAIN, POWER, TIME, WAVELENGTH, X, Y
from plkit.physics import photons
from plkit.physics.heat import heat_fraction
from plkit.sim import absorptance_from_nk
from plkit.study.recipe import Recipe
from plkit.study.toml_lines import toml_name

__all__ = ["StudyFiles", "at_power", "stack_powers"]


class StudyFiles:
    """The files of a study, read and corrected alike: dark, cosmic rays, response, crop, baseline.

    Parameters
    ----------
    recipe : Recipe
        The recipe that names them.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        c = recipe.corrections
        self._dark = None if c.dark is None else self._read(("corrections", "dark"), c.dark)
        if self._dark is not None and c.despike:
            # A cosmic ray in the dark would be a dip in every spectrum.
            self._dark = self._despike(self._dark)
        self._response = None if c.response is None else self._read_response(c.response)

    def load(self, sample: str, file: str, role: str = "exposure") -> xr.Dataset:
        """Read and correct one file of a sample.

        Parameters
        ----------
        sample : str
            Name of the sample.
        file : str
            As written in the recipe.
        role : str, optional
            Key under which the recipe names it: its options for the reader depend on it.

        Returns
        -------
        xarray.Dataset
            ``intensity`` (…, wavelength) [counts].
        """
        ds = self._read(("samples", sample, role), file)
        if INTENSITY not in ds or not {WAVELENGTH, ENERGY} & set(ds[INTENSITY].dims):
            found = ", ".join(
                f"{n}({', '.join(map(str, v.dims))})" for n, v in ds.data_vars.items()
            )
            raise DataError(
                f"use '{file}'",
                f"it holds {found}, not '{INTENSITY}' over {WAVELENGTH} or {ENERGY}",
                "A study takes spectra of emitted light.",
            )
        return self._correct(ds, file)

    def _read(self, keys: tuple[str, ...], file: str) -> xr.Dataset:
        path = self.recipe.resolve(file)
        try:
            return plkit.read(path, **self.recipe.reader_options(keys))
        except PlkitError as error:
            options = ", ".join(f"{k} = {v}" for k, v in keywords_asked(error.remedy))
            if not options:
                raise
            table = f"[{toml_name((*keys[:-1], 'read', keys[-1]))}]"
            remedy = f"In the recipe, under {table}: {options.replace(': ', ' = ')}."
            raise type(error)(error.action, error.reason, remedy) from error

    def exposure(self, sample: str) -> xr.Dataset:
        """One dataset with the dims (power, time, spectral), whatever the files were."""
        entry = self.recipe.samples[sample]
        if isinstance(entry.exposure, dict):
            parts = [
                self.load_at(sample, f, p, "exposure") for p, f in sorted(entry.exposure.items())
            ]
            ds = stack_powers(parts)
        elif entry.exposure is not None:
            ds = self.load(sample, entry.exposure)
        else:
            raise RecipeError(f"run sample '{sample}'", "the recipe names no exposure")
        if POWER in ds.dims and entry.power_uw is not None:
            raise RecipeError(
                f"run sample '{sample}'",
                f"power_uw is {entry.power_uw:g}, and '{entry.exposure}' holds {ds.sizes[POWER]} powers "
                "of its own, not none",
                "Remove power_uw.",
            )
        if POWER not in ds.dims:
            power = entry.power_uw if entry.power_uw is not None else ds.coords.get(POWER)
            if power is None:
                raise RecipeError(
                    f"run sample '{sample}'",
                    f"neither '{entry.exposure}' nor the recipe states the laser power",
                    f'Add power_uw to [samples."{sample}"].',
                )
            ds = at_power(ds, float(power))
        powers = ds[POWER].values
        if np.unique(powers).size < powers.size:
            raise DataError(
                f"run sample '{sample}'",
                f"its exposure was measured at {', '.join(f'{p:g}' for p in powers)} µW, not once at each power",
                "Results are told apart by the power: make repeated spots samples of their own.",
            )
        return _series(ds, sample, "exposure").sortby(POWER).transpose(POWER, TIME, ...)

    def recovery(self, sample: str) -> xr.Dataset:
        """Series in the dark."""
        file = self.recipe.samples[sample].recovery
        if file is None:
            raise RecipeError(f"load the recovery of '{sample}'", "the recipe names none")
        return _series(self.load(sample, file, "recovery"), sample, "recovery")

    def references(self, sample: str, like: xr.Dataset) -> xr.DataArray | None:
        """Spectra of the pure components on the axis of ``like``; None where the recipe has none."""
        files = self.recipe.samples[sample].references
        if files is None:
            return None
        spectra_of = {k: self.load(sample, f, "references") for k, f in files.items()}
        return plkit.references(like=like, **spectra_of)

    def initial_sigma_um(self, sample: str) -> float:
        """σ of a halo at time 0: as the recipe says, else half the spot radius, else a point [µm]."""
        options, laser = self.recipe.samples[sample].diffusion, self.recipe.laser
        if options is not None and options.initial_sigma_um is not None:
            return options.initial_sigma_um
        return 0.0 if laser is None else laser.spot_radius_um / 2

    def spot_and_film(self, sample: str, refs: xr.DataArray) -> tuple[plkit.LaserSpot, plkit.Film]:
        """Laser spot and film of a sample, for the heating; what leaves as light does not heat."""
        return spot_and_film(self.recipe, sample, refs)

    def _read_response(self, file: str) -> xr.DataArray:
        ds = self._read(("corrections", "response"), file)
        if "response" not in ds:
            raise DataError(
                f"use '{file}' as spectral response",
                f"it holds {', '.join(map(str, ds.data_vars))}, not 'response'",
                'Rename the variable, or add variable = "response" under [corrections.read.response].',
            )
        return ds["response"]

    def load_at(self, sample: str, file: str, power_uw: float, role: str) -> xr.Dataset:
        """Read and correct a file whose power the recipe states; the file must not contradict it."""
        ds = self.load(sample, file, role)
        if POWER in ds.coords:
            found = np.atleast_1d(ds[POWER].values)
            if found.size != 1 or not np.isclose(found[0], power_uw, rtol=1e-3):
                raise RecipeError(
                    f"run sample '{sample}'",
                    f"'{file}' was measured at {', '.join(f'{v:g}' for v in found)} µW, as it says itself, "
                    f"not at the {power_uw:g} µW of the recipe",
                    "Correct the power in the recipe.",
                )
            ds = ds.squeeze(POWER, drop=True) if POWER in ds.dims else ds
        return at_power(ds, power_uw)

    def _despike(self, ds: xr.Dataset) -> xr.Dataset:
        threshold = self.recipe.corrections.despike_threshold
        return (
            spectra.despike(ds) if threshold is None else spectra.despike(ds, threshold=threshold)
        )

    def _over_wavelength(self, ds: xr.Dataset, file: str) -> xr.Dataset:
        """Spectra over photon energy as spectra over wavelength; what their values are is asked for."""
        counts_per = self.recipe.corrections.energy_counts_per
        if ds[INTENSITY].attrs.get("counted_per") == ENERGY or counts_per == "eV":
            return spectra.to_wavelength(ds)
        if counts_per is None:
            raise RecipeError(
                f"use '{file}'",
                "it runs over photon energy and does not say whether its values are counts of a channel "
                "or counts per eV",
                'Add energy_counts_per = "channel" or "eV" to [corrections].',
            )
        nm = photons.wavelength_from_energy(ds[ENERGY].values, "air")
        ds = ds.assign_coords({WAVELENGTH: (ENERGY, nm, names.attrs(WAVELENGTH))})
        return schema.conform(ds.swap_dims({ENERGY: WAVELENGTH}).drop_vars(ENERGY))

    def _correct(self, ds: xr.Dataset, file: str) -> xr.Dataset:
        c = self.recipe.corrections
        ds = _without_saturation(ds, file)
        if c.noise_gain is not None and NOISE_GAIN not in ds:
            for name, value in ((NOISE_GAIN, c.noise_gain), (NOISE_FLOOR, c.noise_floor)):
                ds = ds.assign({name: ((), value, names.attrs(name))})
        if self._dark is not None:
            ds = spectra.subtract_dark(ds, self._dark, bias_counts=c.dark_bias_counts)
        if c.despike:
            ds = self._despike(ds)
        if ENERGY in ds.dims:
            ds = self._over_wavelength(ds, file)
        if self._response is not None:
            ds = spectra.divide_response(ds, self._response)
        # Before the baseline, so that a laser line outside does not bend it.
        if c.crop_nm is not None:
            ds = spectra.crop(ds, wavelength=(c.crop_nm[0], c.crop_nm[1]))
        if c.baseline != "none":
            windows = [(low, high) for low, high in c.baseline_windows_nm or []]
            ds = spectra.subtract_baseline(ds, method=c.baseline, windows=windows or None)
        return ds


def _series(ds: xr.Dataset, sample: str, role: str) -> xr.Dataset:
    """Spectra over time, counted from when the laser was switched on (or off)."""
    if TIME not in ds.dims:
        raise DataError(
            f"run sample '{sample}'",
            f"its {role} has dims {', '.join(map(str, ds.sizes))}, not time",
            "A series of spectra over time is needed.",
        )
    first = float(ds[TIME].min())
    if first < 0:
        raise DataError(
            f"run sample '{sample}'",
            f"the times of its {role} start at {first:g} s, not at 0 or later",
            "Time counts from laser on (recovery: from laser off): drop or shift what was before.",
        )
    return ds


def _without_saturation(ds: xr.Dataset, file: str) -> xr.Dataset:
    """Saturated values are no counts: they are left out of every fit."""
    saturated = [f for f in schema.validate(ds).faults if f.code == "saturated"]
    if not saturated:
        return ds
    text = f"'{file}': {saturated[0].message.rstrip('.')}; they are left out of every fit"
    warnings.warn(text, PlkitWarning, stacklevel=2)
    return spectra.mask_saturation(ds)


def at_power(ds: xr.Dataset, power_uw: float) -> xr.Dataset:
    """Give what was measured the dim ``power``; constants such as the noise model stay as they are."""
    at = xr.DataArray([float(power_uw)], dims=POWER, attrs=names.attrs(POWER))
    ds = ds.drop_vars(POWER, errors="ignore")
    measured = [
        n for n, da in ds.data_vars.items() if n == INTENSITY or {TIME, Y, X} & set(da.dims)
    ]
    ds = ds.assign({n: ds[n].expand_dims({POWER: at}) for n in measured})
    ds[POWER].attrs.update(names.attrs(POWER))  # expand_dims drops them
    return ds


def stack_powers(parts: list[xr.Dataset]) -> xr.Dataset:
    """Put the powers side by side; axes must agree."""
    _warn_where_noise_differs(parts)
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
            "put the powers side by side", _difference(parts) or "their axes differ",
            "Crop or resample them to the same axes first.",
        ) from error  # fmt: skip
    ds[POWER].attrs.update(names.attrs(POWER))
    return ds


def _difference(parts: list[xr.Dataset]) -> str:
    """In which axis the first two powers that disagree do so."""
    first = parts[0]
    for part in parts[1:]:
        for dim in (d for d in first.dims if d != POWER):
            a, b = first[dim].values, part[dim].values if dim in part.dims else np.empty(0)
            if a.shape != b.shape or not np.array_equal(a, b):
                at = [f"{float(p[POWER].values[0]):g} µW" for p in (part, first)]
                return f"the axis '{dim}' has {_span(b)} at {at[0]}, not {_span(a)} as at {at[1]}"
    return ""


def _span(axis: np.ndarray) -> str:
    if axis.size == 0:
        return "no values"
    return f"{axis.size} {'value' if axis.size == 1 else 'values'} from {axis[0]:g} to {axis[-1]:g}"


def _warn_where_noise_differs(parts: list[xr.Dataset]) -> None:
    for name in (NOISE_GAIN, NOISE_FLOOR):
        found = [p[name] for p in parts if name in p]
        if any(
            f.shape != found[0].shape or not np.allclose(f, found[0], rtol=0.05) for f in found
        ) or len(found) % len(parts):
            warnings.warn(
                f"'{name}' differs between the powers; that of the first is used",
                PlkitWarning,
                stacklevel=3,
            )


def spot_and_film(
    recipe: Recipe, sample: str, refs: xr.DataArray
) -> tuple[plkit.LaserSpot, plkit.Film]:
    """Laser spot and film of a sample as the recipe states them.

    Parameters
    ----------
    recipe : Recipe
        With laser, film, substrate and the sample's absorptance.
    sample : str
        Name of the sample.
    refs : xarray.DataArray
        References (component, wavelength): what leaves as light does not heat.

    Returns
    -------
    LaserSpot
        The beam.
    Film
        The film on its substrate.
    """
    r, entry = recipe, recipe.samples[sample]
    laser, film, base = r.laser, r.film_of(sample), r.substrate
    if laser is None or base is None or not entry.is_heated:
        raise RecipeError(
            f"simulate the heating of '{sample}'",
            "the recipe does not state laser, substrate and absorptance",
        )
    pristine = refs.sel(component=entry.falling)
    emission_nm = float((pristine * refs[WAVELENGTH]).sum() / pristine.sum())
    absorptance = entry.absorptance
    if absorptance is None:
        nk = plkit.read(r.resolve(str(entry.absorptance_nk)))
        absorptance = absorptance_from_nk(
            nk, film.thickness_nm, laser.wavelength_nm, base.refractive_index
        )
    substrate = plkit.Layer(
        base.thickness_um,
        base.conductivity_w_mk,
        base.heat_capacity_j_m3k,
        base.conductivity_stderr_w_mk,
    )
    spot = plkit.LaserSpot(laser.spot_radius_um, laser.wavelength_nm, laser.spot_radius_stderr_um)
    return spot, plkit.Film(
        film.thickness_nm,
        film.conductivity_w_mk,
        absorptance,
        absorptance_stderr=entry.absorptance_stderr,
        substrate=(substrate,),
        heat_fraction=heat_fraction(film.plqy, emission_nm, laser.wavelength_nm),
        conductivity_stderr_w_mk=film.conductivity_stderr_w_mk,
        heat_capacity_j_m3k=film.heat_capacity_j_m3k,
    )
