"""Unmixing of labelled spectra."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.io.reading import read
from plkit.io.stream import SpectralStream, lazy_stream, open_stream
from plkit.names import COMPONENT, PARAM_I, PARAM_J
from plkit.physics.nnls import cores
from plkit.unmixing._door import (
    NoiseModel,
    background_terms,
    brightness_of,
    check_options,
    measured,
    noise_model,
    reference_table,
    scaled,
)
from plkit.unmixing.block import AMPLITUDE, Design, design_faults, unmix_block

__all__ = ["unmix"]

Noise = Literal["poisson", "uniform"]
_ACTION: Final = "unmix"
_TERM: Final = "background_term"
_STATUS: Final = ("ok", "at_bound", "not_identifiable", "no_signal", "failed")


def unmix(
    ds: xr.Dataset | xr.DataArray | str | os.PathLike[str],
    refs: xr.DataArray,
    *,
    noise: Noise | xr.DataArray | None = None,
    background: str | xr.DataArray = "none",
    normalise: Literal["area", "peak"] = "area",
    nonnegative: bool = True,
    relative_brightness: Mapping[str, float] | xr.DataArray | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Share of the emitted light that each reference spectrum has in every spectrum.

    The result is an **emission fraction**. It is not a phase fraction and not a volume fraction:
    carriers funnel into the phase of the lowest gap, so that a few per cent of it may give most of
    the light [1]_.

    Parameters
    ----------
    ds : xarray.Dataset, xarray.DataArray or path
        ``intensity`` (…, λ) [counts], with ``noise_gain`` and ``noise_floor`` where they are known; any
        real dtype, any order of dims, dask or numpy. NaN (a masked cosmic ray) is left out of its
        spectrum. A path of a netCDF file or a Zarr store is *streamed*: read, decompressed and
        unmixed chunk by chunk on all cores, so that a cube larger than the memory will do, and quicker
        than reading it first. The results are the same to the last bit. Files in other formats are
        read by :func:`plkit.read`. A dataset that xarray opened without reading it is streamed too.
    refs : xarray.DataArray
        (component, λ) on the axis of the data, from :func:`plkit.references`. Only the shapes matter.
        A channel in which a reference is NaN is left out everywhere.
    noise : {"poisson", "uniform"} or xarray.DataArray, optional
        ``"poisson"`` (default for a Dataset of counts): variance = gain · expected + floor, the expected counts
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
    progress : bool, optional
        Show a progress bar while streaming.

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
    FileFormatError
        If a file is missing or damaged; the error names the file and the place.

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

    *Streaming*: quickest where a chunk of the file holds whole spectra, as :func:`plkit.write` makes
    them. Where chunks hold an image per channel, each of them is decompressed once per block of
    256 MiB. An array as ``noise`` that runs over more than λ is no matter of a file: read it first.

    *Reduced χ²*: degrees of freedom are counted in channels whose variance the model expects, less the
    terms in use, so that empty channels of faint spectra do not dilute it.

    References
    ----------
    .. [1] ACS Energy Lett. 2026, doi:10.1021/acsenergylett.6c00432

    Examples
    --------
    Two lines apart, 4e5 counts: σ = √(0.8 · 0.2/4e5).

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
    [0.8 0.2] [0.00063 0.00063]
    """
    options = _Options(noise, background, normalise, nonnegative, relative_brightness)
    if isinstance(ds, str | os.PathLike):
        with open_stream(Path(ds)) as stream:
            if stream is not None:
                return _streamed(stream, refs, options, progress)
        ds = read(ds)
    stream = lazy_stream(ds)
    if stream is not None and not isinstance(noise, xr.DataArray):
        return _streamed(stream, refs, options, progress)
    plan = _plan(ds, refs, options)
    return _result(_apply(plan), ds, refs, plan, options)


@dataclass(frozen=True, slots=True)
class _Options:
    """What the user asked for beside data and references."""

    noise: Any
    background: str | xr.DataArray
    normalise: Literal["area", "peak"]
    nonnegative: bool
    relative_brightness: Any


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the arguments were found to mean."""

    data: xr.DataArray
    dim: str
    labels: list[str]
    backgrounds: tuple[str, ...]
    design: Design
    usable: NDArray[np.bool_]
    model: NoiseModel


def _plan(ds: xr.Dataset | xr.DataArray, refs: xr.DataArray, options: _Options) -> _Plan:
    """Check everything before a single spectrum is read."""
    background = options.background
    data, dim = measured(ds)
    table, labels, axis = reference_table(refs, data, dim)
    check_options(options.normalise, background)
    model = noise_model(ds, data, dim, options.noise)
    terms = background_terms(background, axis, dim)
    usable = np.isfinite(table).all(axis=0) & model.usable
    usable &= np.isfinite(terms.rows).all(axis=0)
    components = scaled(table, labels, axis, dim, options.normalise)
    design = Design(
        components=components[:, usable],
        background=terms.rows[:, usable],
        noise=model.kind,
        gain=None if model.gain is None else model.gain[usable],
        floor=None if model.floor is None else model.floor[usable],
        row_weights=None if model.row_weights is None else model.row_weights[usable],
        nonnegative=bool(options.nonnegative),
        scale_by_redchi=model.scale,
        brightness=brightness_of(options.relative_brightness, labels),
    )
    said = background if isinstance(background, str) else "array"
    fault = design_faults(design, labels, said)
    if fault is not None:
        raise DataError(_ACTION, *fault)
    return _Plan(data, dim, labels, terms.labels, design, usable, model)


def _result(
    arrays: dict[str, xr.DataArray],
    ds: xr.Dataset | xr.DataArray,
    refs: xr.DataArray,
    plan: _Plan,
    options: _Options,
) -> xr.Dataset:
    corrected = options.relative_brightness is not None
    out = _labelled(arrays, plan.data, plan.labels, plan.backgrounds, corrected)
    # apply_ufunc drops the attributes of the axes, and their units with them.
    out = out.assign_coords({n: c for n, c in plan.data.coords.items() if n in out.coords})
    out["condition_number"] = ((), plan.design.condition_number, names.attrs("condition_number"))
    out.attrs = {
        **ds.attrs,
        "emission_fraction": "share of the light; not a phase or volume fraction",
    }
    if "sources" in refs.attrs:
        out.attrs["reference_sources"] = refs.attrs["sources"]
    said = options.noise if isinstance(options.noise, str) else plan.model.kind
    background = options.background if isinstance(options.background, str) else "array"
    step = (
        f"unmix({', '.join(plan.labels)}; noise={said}, background={background}, "
        f"normalise={options.normalise}, nonnegative={bool(options.nonnegative)})"
    )
    return schema.add_history(out, step)


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
    "background": (_TERM,),
    "background_stderr": (_TERM,),
    "residual_rms": (),
    "redchi": (),
    "residual_structure": (),
    names.FIT_STATUS: (),
}


def _sizes(design: Design) -> dict[str, int]:
    """Lengths of the dims that a block adds to those of the data."""
    n = design.components.shape[0]
    return {COMPONENT: n, PARAM_I: n, PARAM_J: n, _TERM: design.background.shape[0]}


def _apply(plan: _Plan) -> dict[str, xr.DataArray]:
    """Unmix what is in memory, or in dask's hands."""
    data, dim, variance = plan.data.drop_vars(plan.dim), plan.dim, plan.model.variance
    chunked = data.chunks is not None or (variance is not None and variance.chunks is not None)
    arguments = [data]
    if variance is not None:
        variance = variance.drop_vars(list(variance.coords))
        arguments.append(variance.broadcast_like(data.drop_vars(list(data.coords))))
    if chunked:
        arguments = [a.chunk({dim: -1}) for a in arguments]
    arrays = xr.apply_ufunc(
        _block,
        *arguments,
        kwargs={"design": plan.design, "usable": plan.usable, "threads": 1 if chunked else None},
        input_core_dims=[[dim]] * len(arguments),
        output_core_dims=[list(dims) for dims in _LAYOUT.values()],
        dask="parallelized",
        output_dtypes=[_dtype(name) for name in _LAYOUT],
        dask_gufunc_kwargs={"output_sizes": _sizes(plan.design)},
        keep_attrs=False,
    )
    return dict(zip(_LAYOUT, arrays, strict=True))


def _block(
    counts: NDArray[Any],
    variance: NDArray[Any] | None = None,
    *,
    design: Design,
    usable: NDArray[np.bool_],
    threads: int | None,
) -> tuple[NDArray[Any], ...]:
    found = unmix_block(counts, design, variance, threads=threads, channels=usable)
    return tuple(found[name] for name in _LAYOUT)


def _dtype(name: str) -> type:
    return np.int8 if name == names.FIT_STATUS else np.float64


def _streamed(
    stream: SpectralStream, refs: xr.DataArray, options: _Options, progress: bool
) -> xr.Dataset:
    """Unmix block by block as the file gives them, each in a thread of its own."""
    plan = _plan(stream.template, refs, options)
    if plan.model.variance is not None:
        raise DataError(
            _ACTION, "'noise' has a variance for every spectrum, and the spectra stay in their file",
            "Read them first: plkit.unmix(plkit.read(path), …).",
        )  # fmt: skip
    lead = {str(d): n for d, n in plan.data.sizes.items() if d != plan.dim}
    sizes = _sizes(plan.design)
    shapes = {n: (*lead.values(), *(sizes[d] for d in dims)) for n, dims in _LAYOUT.items()}
    out: dict[str, NDArray[Any]] = {
        name: np.empty(shape, _dtype(name)) for name, shape in shapes.items()
    }

    def work(where: tuple[Any, ...], counts: NDArray[Any]) -> None:
        found = unmix_block(counts, plan.design, threads=1, channels=plan.usable)
        for name, values in out.items():
            values[where] = found[name]

    stream.each_block(work, threads=cores(), progress=progress)
    coords = {n: c for n, c in plan.data.coords.items() if plan.dim not in c.dims}
    arrays = {
        name: xr.DataArray(values, coords=coords, dims=(*lead, *_LAYOUT[name]))
        for name, values in out.items()
    }
    return _result(arrays, stream.template, refs, plan, options)


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
            put(f"{label}{suffix}", arrays[f"background{suffix}"].isel({_TERM: i}))
    for name in ("amplitude_covariance", "residual_rms", "redchi", "residual_structure"):
        put(name, arrays[name])
    put(names.FIT_STATUS, arrays[names.FIT_STATUS])
    out[names.FIT_STATUS].attrs.update(
        flag_values=np.arange(len(_STATUS), dtype=np.int8), flag_meanings=" ".join(_STATUS)
    )
    return out.assign_coords({COMPONENT: labels, PARAM_I: labels, PARAM_J: labels})
