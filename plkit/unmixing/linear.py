"""Unmixing of labelled spectra."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning, UnitsError
from plkit.names import COMPONENT, INTENSITY, PARAM_I, PARAM_J
from plkit.unmixing.block import AMPLITUDE, Design, design_faults, unmix_block
from plkit.unmixing.reference import area_weights

__all__ = ["unmix"]

Floats = NDArray[np.float64]
Noise = Literal["poisson", "uniform"]
_ACTION: Final = "unmix"
_STATUS: Final = ("ok", "at_bound", "not_identifiable", "no_signal", "failed")


def unmix(
    ds: xr.Dataset | xr.DataArray,
    refs: xr.DataArray,
    *,
    noise: Noise | xr.DataArray | None = None,
    background: str | xr.DataArray = "none",
    normalise: Literal["area", "peak"] = "area",
    nonnegative: bool = True,
    relative_brightness: Mapping[str, float] | xr.DataArray | None = None,
) -> xr.Dataset:
    """Share of the emitted light that each reference spectrum has in every spectrum.

    The result is an **emission fraction**. It is not a phase fraction and not a volume fraction:
    carriers funnel into the phase of the lowest gap, so that a few per cent of it may give most of
    the light [1]_.

    Parameters
    ----------
    ds : xarray.Dataset or xarray.DataArray
        ``intensity`` (…, λ) [counts], with ``noise_gain`` and ``noise_floor`` where they are known; any
        real dtype, any order of dims, dask or numpy. NaN (a masked cosmic ray) is left out of its
        spectrum.
    refs : xarray.DataArray
        (component, λ) on the axis of the data, from :func:`plkit.references`. Only the shapes matter.
        A channel in which a reference is NaN is left out everywhere.
    noise : {"poisson", "uniform"} or xarray.DataArray, optional
        ``"poisson"`` (default for counts): variance = gain · expected + floor, the expected counts
        from the model. ``"uniform"`` (default otherwise): equal weights, σ from the residual. An
        array: the variance of every value [counts²], over λ or over all dims; never build it from the
        observed counts themselves, that pulls every amplitude down.
    background : {"none", "constant", "linear"} or xarray.DataArray, optional
        Terms beside the components, of either sign: a level, a level and a tilt, or a measured
        background (λ) [counts] times a factor.
    normalise : {"area", "peak"}, optional
        What an amplitude counts, and thereby what a fraction means. ``"area"``: all counts of the
        component within the axis; its fraction is its share of the emitted light. ``"peak"``: the
        counts in the component's highest channel; its fraction compares peak heights and overstates
        narrow lines (and the maximum of a noisy reference is too high).
    nonnegative : bool, optional
        Whether amplitudes are kept ≥ 0. What is averaged or fitted later (a weak component's trace)
        is unbiased without the constraint only.
    relative_brightness : mapping or xarray.DataArray (component), optional
        Light per amount of each component [1], on any common scale, taken as exact. Gives
        ``brightness_corrected_fraction`` beside ``fraction``.

    Returns
    -------
    xarray.Dataset
        ``amplitude`` (component, …) [counts], ``fraction`` (component, …) [1], where asked for
        ``brightness_corrected_fraction`` (component, …) [1], where asked for ``background_level``
        [counts], ``background_tilt`` [counts] or ``background_scale`` [1]; each with ``…_stderr``;
        ``amplitude_covariance`` (param_i, param_j, …) [counts²];
        ``residual_rms`` [counts]; ``redchi`` [1] (NaN for ``noise="uniform"``, where it says nothing);
        ``residual_structure`` [1]: lag-one autocorrelation of the residual in units of σ, of mean 0
        and standard deviation 1 where the references explain the data; beyond ±3 something is
        missing, a third phase or a moving peak; ``condition_number`` [1] of all terms;
        ``fit_status``: 0 ok, 1 at_bound (a component is zero), 2 not_identifiable (the total lies
        within its σ of zero), 3 no_signal (no light: fractions are NaN, amplitudes are kept, for
        leaving zeros out would bias every mean; or no data), 4 failed (fewer channels than terms).

    Raises
    ------
    DataError
        For axes that differ, dependent references, a background that the references span, or an
        argument out of range.
    UnitsError
        If a unit is missing or of another kind.

    Warns
    -----
    PlkitWarning
        If Poisson noise is assumed and ``noise_gain`` is not known: σ is then scaled by √(redchi) of
        its spectrum.

    Notes
    -----
    y_c = Σ_i a_i F_ic + Σ_j b_j B_jc, solved by weighted normal equations with w_c = 1/variance_c
    and exact non-negativity (all sets of non-zero components are tried up to six of them). For
    Poisson noise the weights are renewed from the model until a step is shorter than 0.02 σ.

    *σ* comes from the full covariance C = (FᵀWF)⁻¹ of the unconstrained problem; that of fractions
    from its propagation, var f_i = [C_ii − 2 f_i Σ_j C_ij + f_i² Σ_jk C_jk]/(Σa)². At an amplitude
    of zero, σ is one-sided: the truth lies within [0, σ] as often as a free estimate lies below one σ
    (84 %), and the σ of the others stays on the safe side. An expectation below one detected electron
    per component is not believed: a component without a single photon is 0 ± 1 electron.

    *Background*: with ``"none"`` every count is light of a component, also what is left of a dark
    level in channels in which nothing shines; ``redchi`` and ``residual_structure`` say so.

    *Reduced χ²*: degrees of freedom are counted in channels whose variance the model expects, less the
    terms in use, so that empty channels of faint spectra do not dilute it.

    References
    ----------
    .. [1] ACS Energy Lett. 2026, doi:10.1021/acsenergylett.6c00432

    Examples
    --------
    >>> import plkit
    >>> x = ("wavelength", np.linspace(500.0, 700.0, 401), {"units": "nm"})
    >>> axis = xr.DataArray(np.zeros(401), dims="wavelength", coords={"wavelength": x})
    >>> refs = plkit.references(
    ...     like=axis, pristine={"kind": "gaussian", "centre_ev": 1.95, "fwhm_ev": 0.09},
    ...     bromide={"kind": "gaussian", "centre_ev": 2.25, "fwhm_ev": 0.08})
    >>> share = xr.DataArray([0.8, 0.2], dims="component", coords={"component": refs.component})
    >>> intensity = (4e5 * 0.5 * (refs * share).sum("component")).assign_attrs(units="counts")
    >>> ds = xr.Dataset({"intensity": intensity, "noise_gain": ((), 1.0, {"units": "counts"})})
    >>> found = unmix(ds, refs)
    >>> print(found.fraction.values.round(6), found.fraction_stderr.values.round(5))
    [0.8 0.2] [0.00089 0.00089]
    """
    data, dim = _data(ds)
    table, labels, axis = _references(refs, data, dim)
    _check_options(normalise, background)
    model = _noise(ds, data, dim, noise)
    terms = _background(background, axis, data, dim)
    usable = np.isfinite(table).all(axis=0) & model.usable
    usable &= np.isfinite(terms.rows).all(axis=0)
    components = _scaled(table, labels, axis, dim, normalise)
    design = Design(
        components=components[:, usable],
        background=terms.rows[:, usable],
        noise=model.kind,
        gain=None if model.gain is None else model.gain[usable],
        floor=None if model.floor is None else model.floor[usable],
        row_weights=None if model.row_weights is None else model.row_weights[usable],
        nonnegative=bool(nonnegative),
        scale_by_redchi=model.scale,
        brightness=_brightness(relative_brightness, labels),
    )
    fault = design_faults(design, labels, str(background) if isinstance(background, str) else "array")
    if fault is not None:
        raise DataError(_ACTION, *fault)
    if not usable.all():
        data = data.isel({dim: usable})
    arrays = _apply(data, dim, design, model.variance, usable)
    out = _labelled(arrays, data, labels, terms.labels, relative_brightness is not None)
    # apply_ufunc drops the attributes of the axes, and their units with them.
    out = out.assign_coords({n: c for n, c in data.coords.items() if n in out.coords})
    out["condition_number"] = ((), design.condition_number, names.attrs("condition_number"))
    out.attrs = {**ds.attrs, "emission_fraction": "share of the light; not a phase or volume fraction"}
    if "sources" in refs.attrs:
        out.attrs["reference_sources"] = refs.attrs["sources"]
    said = noise if isinstance(noise, str) else model.kind
    step = (
        f"unmix({', '.join(labels)}; noise={said}, "
        f"background={background if isinstance(background, str) else 'array'}, "
        f"normalise={normalise}, nonnegative={bool(nonnegative)})"
    )
    return schema.add_history(out, step)


# The door ---------------------------------------------------------------------------------------
def _data(ds: xr.Dataset | xr.DataArray) -> tuple[xr.DataArray, str]:
    if isinstance(ds, xr.Dataset):
        if INTENSITY not in ds:
            found = ", ".join(map(str, ds.data_vars)) or "nothing"
            raise DataError(
                _ACTION, f"the dataset holds {found}, not '{INTENSITY}'",
                f'Rename the measured variable, for instance ds.rename(counts="{INTENSITY}").',
            )  # fmt: skip
        data = ds[INTENSITY]
    else:
        data = ds
    dim = schema.spectral_dim(data, _ACTION)
    if data.size == 0:
        raise DataError(_ACTION, f"the data has shape {data.shape}: no values, not at least one spectrum")
    if data.dtype.kind not in "iuf":
        raise DataError(_ACTION, f"the data has dtype {data.dtype}, not real numbers")
    taken = [d for d in (COMPONENT, PARAM_I, PARAM_J) if d in data.dims]
    if taken:
        raise DataError(
            _ACTION, f"the data has the dimension '{taken[0]}', not one of a measurement",
            "Select one entry, or rename the dimension.",
        )  # fmt: skip
    if dim not in data.coords:
        raise DataError(
            _ACTION, f"the data has no coordinate '{dim}', not values in {names.unit(dim)}",
            f'Add them: ds.assign_coords({dim}=("{dim}", values)).',
        )  # fmt: skip
    return data, dim


def _references(refs: xr.DataArray, data: xr.DataArray, dim: str) -> tuple[Floats, list[str], Floats]:
    """Table (component, channel) in the order of the data's channels, labels, axis."""
    if not isinstance(refs, xr.DataArray):
        raise DataError(
            _ACTION, f"'refs' is a {type(refs).__name__}, not a DataArray ({COMPONENT}, {dim})",
            "Make it with plkit.references(like=ds, …).",
        )  # fmt: skip
    schema.require_dims(refs, (COMPONENT, dim), _ACTION, "'refs'")
    extra = [str(d) for d in refs.dims if d not in (COMPONENT, dim)]
    if extra:
        raise DataError(
            _ACTION, f"'refs' has the dimension {', '.join(extra)} beside {COMPONENT} and {dim}, not two dims",
            "Average over it, or select one entry.",
        )  # fmt: skip
    n = refs.sizes[COMPONENT]
    if n < 2:
        raise DataError(
            _ACTION, f"'refs' has {n} component{'' if n == 1 else 's'}, not at least 2", "Add a reference."
        )
    labels = [str(v) for v in refs[COMPONENT].values]
    if len(set(labels)) < n:
        raise DataError(
            _ACTION, f"'refs' names its components {', '.join(labels)}, not each differently",
            "Rename them.",
        )  # fmt: skip
    axis = schema.require_unit(data[dim], dim, _ACTION).values.astype(np.float64)
    table = refs.transpose(COMPONENT, dim).values.astype(np.float64)
    if dim not in refs.coords:
        raise DataError(_ACTION, f"'refs' has no coordinate '{dim}'", "Make it with plkit.references.")
    own = schema.require_unit(refs[dim], dim, _ACTION).values.astype(np.float64)
    there, here = np.argsort(own, kind="stable"), np.argsort(axis, kind="stable")
    step = np.median(np.abs(np.diff(axis[here]))) if axis.size > 1 else 1.0
    same = own.size == axis.size and bool(np.all(np.abs(own[there] - axis[here]) <= 1e-3 * step))
    if not same:
        unit = names.unit(dim)
        raise DataError(
            _ACTION,
            f"the references lie on {own.size} channels from {own.min():g} to {own.max():g} {unit}, "
            f"not on the data's {axis.size} from {axis.min():g} to {axis.max():g} {unit}",
            "Put them on its axis: plkit.references(like=ds, …).",
        )
    ordered = np.empty_like(table)
    ordered[:, here] = table[:, there]
    return ordered, labels, axis


def _check_options(normalise: str, background: Any) -> None:
    if normalise not in ("area", "peak"):
        raise DataError(_ACTION, f"normalise is '{normalise}', not 'area' or 'peak'")
    if not isinstance(background, xr.DataArray) and background not in ("none", "constant", "linear"):
        raise DataError(
            _ACTION,
            f"background is '{background}', not 'none', 'constant', 'linear' or a DataArray",
        )


def _scaled(table: Floats, labels: list[str], axis: Floats, dim: str, normalise: str) -> Floats:
    weights = area_weights(axis, dim) if normalise == "area" else np.ones(axis.size)
    finite = np.nan_to_num(table)
    size = finite @ weights if normalise == "area" else finite.max(axis=1)
    for label, value in zip(labels, size, strict=True):
        if not value > 0.0:
            raise DataError(
                _ACTION,
                f"the reference '{label}' has the {normalise} {value:g}, not a positive one",
                "Check that the component emits in this range.",
            )
    return table / size[:, None]


# Noise ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Model:
    kind: Literal["poisson", "uniform", "variance"]
    usable: NDArray[np.bool_]
    gain: Floats | None = None
    floor: Floats | None = None
    row_weights: Floats | None = None
    variance: xr.DataArray | None = None
    scale: bool = False


def _noise(ds: xr.Dataset | xr.DataArray, data: xr.DataArray, dim: str, noise: Any) -> _Model:
    every = np.ones(data.sizes[dim], dtype=bool)
    if isinstance(noise, xr.DataArray):
        return _given_variance(noise, data, dim)
    known = isinstance(ds, xr.Dataset) and names.NOISE_GAIN in ds
    if noise is None:
        unit = names.normalise_unit(str(data.attrs.get("units", "")))
        counts = unit == names.unit(INTENSITY) and isinstance(ds, xr.Dataset)
        noise = "poisson" if known or counts else "uniform"
    if noise == "uniform":
        return _Model("uniform", every)
    if noise != "poisson":
        raise DataError(
            _ACTION, f"noise is '{noise}', not 'poisson', 'uniform' or a DataArray of variances"
        )
    if not known:
        warnings.warn(
            f"'{names.NOISE_GAIN}' is not known: Poisson weights are used and σ is scaled by the "
            f"reduced χ² of each spectrum. Set ds['{names.NOISE_GAIN}'] (counts per electron).",
            PlkitWarning,
            stacklevel=4,
        )
    gain = _noise_term(ds, names.NOISE_GAIN, 1.0, data, dim)
    floor = _noise_term(ds, names.NOISE_FLOOR, 0.0, data, dim)
    usable = np.isfinite(gain) & np.isfinite(floor)
    if np.any(gain[usable] < 0.0) or np.any(floor[usable] < 0.0) or np.any((gain + floor)[usable] == 0.0):
        raise DataError(
            _ACTION,
            f"'{names.NOISE_GAIN}' and '{names.NOISE_FLOOR}' give a variance that is zero or negative, "
            "not a positive one",
            "See plkit.validate(ds).",
        )
    return _Model("poisson", usable, gain=gain, floor=floor, scale=not known)


def _noise_term(
    ds: xr.Dataset | xr.DataArray, name: str, default: float, data: xr.DataArray, dim: str
) -> Floats:
    if not isinstance(ds, xr.Dataset) or name not in ds:
        return np.full(data.sizes[dim], default)
    term = ds[name]
    extra = [str(d) for d in term.dims if d != dim]
    if extra:
        raise DataError(
            _ACTION, f"'{name}' runs over {', '.join(extra)}, not over {dim} alone or nothing",
            f'Average it: ds["{name}"].mean({extra}).',
        )  # fmt: skip
    if names.normalise_unit(str(data.attrs.get("units", ""))) == names.unit(INTENSITY):
        term = schema.require_unit(term, name, _ACTION)
    return np.broadcast_to(term.values.astype(np.float64), data.sizes[dim]).copy()


def _given_variance(noise: xr.DataArray, data: xr.DataArray, dim: str) -> _Model:
    extra = [str(d) for d in noise.dims if d not in data.dims]
    if extra:
        raise DataError(
            _ACTION, f"the variance has the dimension {', '.join(extra)} that the data has not",
            "Give it over the data's dims, or over the spectral one alone.",
        )  # fmt: skip
    wrong = [str(d) for d in noise.dims if noise.sizes[d] != data.sizes[d]]
    if wrong:
        raise DataError(
            _ACTION,
            f"the variance has {noise.sizes[wrong[0]]} values along {wrong[0]}, not {data.sizes[wrong[0]]}",
            "Take it from the same dataset.",
        )
    if "units" in noise.attrs and "units" in data.attrs:
        found = names.normalise_unit(str(noise.attrs["units"]))
        wanted = f"{names.normalise_unit(str(data.attrs['units']))}^2"
        if names.conversion_factor(found, wanted) != 1.0:
            raise UnitsError(
                _ACTION, f"the variance has units '{found}', not '{wanted}'", "Give σ², not σ."
            )
    every = np.ones(data.sizes[dim], dtype=bool)
    if all(d == dim for d in noise.dims):
        row = np.broadcast_to(noise.values.astype(np.float64), data.sizes[dim])
        usable = np.isfinite(row) & (row > 0.0)
        return _Model("variance", usable, row_weights=1.0 / np.where(usable, row, 1.0))
    return _Model("variance", every, variance=noise.astype(np.float64))


# Terms ------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Terms:
    rows: Floats
    labels: tuple[str, ...]


def _background(background: str | xr.DataArray, axis: Floats, data: xr.DataArray, dim: str) -> _Terms:
    n = axis.size
    if isinstance(background, xr.DataArray):
        if background.dims != (dim,) or background.sizes[dim] != n:
            raise DataError(
                _ACTION,
                f"the background has dims {dict(background.sizes)}, not {{'{dim}': {n}}}",
                "Average it over its frames and put it on the data's axis.",
            )
        row = background.values.astype(np.float64)
        if not np.any(np.nan_to_num(row) != 0.0):
            raise DataError(_ACTION, "the background is zero everywhere", 'Use background="none".')
        return _Terms(row[None, :], ("background_scale",))
    if background == "none":
        return _Terms(np.empty((0, n)), ())
    if background == "constant":
        return _Terms(np.ones((1, n)), ("background_level",))
    middle, half = (axis.max() + axis.min()) / 2.0, (axis.max() - axis.min()) / 2.0
    return _Terms(
        np.array([np.ones(n), (axis - middle) / (half or 1.0)]), ("background_level", "background_tilt")
    )


def _brightness(given: Any, labels: list[str]) -> Floats | None:
    if given is None:
        return None
    if isinstance(given, xr.DataArray):
        schema.require_dims(given, (COMPONENT,), _ACTION, "'relative_brightness'")
        given = {str(c): float(v) for c, v in zip(given[COMPONENT].values, given.values, strict=True)}
    if not isinstance(given, Mapping) or sorted(map(str, given)) != sorted(labels):
        found = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise DataError(
            _ACTION, f"relative_brightness names {found}, not exactly {', '.join(labels)}",
            "Give one number per component.",
        )  # fmt: skip
    values = np.array([float(given[label]) for label in labels])
    if not np.all(np.isfinite(values) & (values > 0.0)):
        raise DataError(_ACTION, f"relative_brightness is {values.tolist()}, not positive throughout")
    return values


# Out --------------------------------------------------------------------------------------------
# Every array of a block, with the dims that follow those of the data.
_LAYOUT: Final[dict[str, tuple[str, ...]]] = {
    AMPLITUDE: (COMPONENT,),
    "amplitude_stderr": (COMPONENT,),
    "amplitude_covariance": (PARAM_I, PARAM_J),
    "fraction": (COMPONENT,),
    "fraction_stderr": (COMPONENT,),
    "corrected": (COMPONENT,),
    "corrected_stderr": (COMPONENT,),
    "background": ("background_term",),
    "background_stderr": ("background_term",),
    "residual_rms": (),
    "redchi": (),
    "residual_structure": (),
    names.FIT_STATUS: (),
}


def _apply(
    data: xr.DataArray,
    dim: str,
    design: Design,
    variance: xr.DataArray | None,
    usable: NDArray[np.bool_],
) -> dict[str, xr.DataArray]:
    chunked = data.chunks is not None or (variance is not None and variance.chunks is not None)
    data = data.drop_vars(dim)
    arguments = [data]
    if variance is not None:
        variance = variance.drop_vars([c for c in variance.coords])
        if not usable.all():
            variance = variance.isel({dim: usable})
        arguments.append(variance.broadcast_like(data.drop_vars([c for c in data.coords])))
    if chunked:
        arguments = [a.chunk({dim: -1}) for a in arguments]

    def block(counts: NDArray[Any], own: NDArray[Any] | None = None) -> tuple[NDArray[Any], ...]:
        found = unmix_block(counts, design, own, threads=1 if chunked else None)
        return tuple(found[name] for name in _LAYOUT)

    n = design.components.shape[0]
    sizes = {COMPONENT: n, PARAM_I: n, PARAM_J: n, "background_term": design.background.shape[0]}
    arrays = xr.apply_ufunc(
        block,
        *arguments,
        input_core_dims=[[dim]] * len(arguments),
        output_core_dims=[list(dims) for dims in _LAYOUT.values()],
        dask="parallelized",
        output_dtypes=[np.int8 if name == names.FIT_STATUS else np.float64 for name in _LAYOUT],
        dask_gufunc_kwargs={"output_sizes": sizes},
        keep_attrs=False,
    )
    return dict(zip(_LAYOUT, arrays, strict=True))


def _labelled(
    arrays: dict[str, xr.DataArray],
    data: xr.DataArray,
    labels: list[str],
    backgrounds: tuple[str, ...],
    corrected: bool,
) -> xr.Dataset:
    unit = str(data.attrs.get("units", "1"))
    unit = names.normalise_unit(unit)
    of_data = {AMPLITUDE: unit, "residual_rms": unit, "amplitude_covariance": f"{unit}^2"}
    of_data |= {"background_level": unit, "background_tilt": unit}
    if unit == "1":
        of_data["amplitude_covariance"] = unit

    def put(name: str, array: xr.DataArray) -> None:
        attrs = names.attrs(name)
        attrs["units"] = of_data.get(name.removesuffix("_stderr"), attrs["units"])
        first = [d for d in (COMPONENT, PARAM_I, PARAM_J) if d in array.dims]
        rest = [d for d in array.dims if d not in first]
        out[name] = array.transpose(*first, *rest).assign_attrs(attrs)

    out = xr.Dataset()
    for suffix in ("", "_stderr"):
        put(f"{AMPLITUDE}{suffix}", arrays[f"{AMPLITUDE}{suffix}"])
        put(f"fraction{suffix}", arrays[f"fraction{suffix}"])
        if corrected:
            put(f"brightness_corrected_fraction{suffix}", arrays[f"corrected{suffix}"])
        for i, label in enumerate(backgrounds):
            put(f"{label}{suffix}", arrays[f"background{suffix}"].isel(background_term=i))
    for name in ("amplitude_covariance", "residual_rms", "redchi", "residual_structure"):
        put(name, arrays[name])
    put(names.FIT_STATUS, arrays[names.FIT_STATUS])
    out[names.FIT_STATUS].attrs.update(
        flag_values=np.arange(len(_STATUS), dtype=np.int8), flag_meanings=" ".join(_STATUS)
    )
    return out.assign_coords({COMPONENT: labels, PARAM_I: labels, PARAM_J: labels})
