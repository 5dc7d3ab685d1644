"""Unmixing of labelled spectra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.names import COMPONENT, PARAM_I, PARAM_J
from plkit.unmixing._door import (
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
    data, dim = measured(ds)
    table, labels, axis = reference_table(refs, data, dim)
    check_options(normalise, background)
    model = noise_model(ds, data, dim, noise)
    terms = background_terms(background, axis, dim)
    usable = np.isfinite(table).all(axis=0) & model.usable
    usable &= np.isfinite(terms.rows).all(axis=0)
    components = scaled(table, labels, axis, dim, normalise)
    design = Design(
        components=components[:, usable],
        background=terms.rows[:, usable],
        noise=model.kind,
        gain=None if model.gain is None else model.gain[usable],
        floor=None if model.floor is None else model.floor[usable],
        row_weights=None if model.row_weights is None else model.row_weights[usable],
        nonnegative=bool(nonnegative),
        scale_by_redchi=model.scale,
        brightness=brightness_of(relative_brightness, labels),
    )
    fault = design_faults(
        design, labels, str(background) if isinstance(background, str) else "array"
    )
    if fault is not None:
        raise DataError(_ACTION, *fault)
    if not usable.all():
        data = data.isel({dim: usable})
    arrays = _apply(data, dim, design, model.variance, usable)
    out = _labelled(arrays, data, labels, terms.labels, relative_brightness is not None)
    # apply_ufunc drops the attributes of the axes, and their units with them.
    out = out.assign_coords({n: c for n, c in data.coords.items() if n in out.coords})
    out["condition_number"] = ((), design.condition_number, names.attrs("condition_number"))
    out.attrs = {
        **ds.attrs,
        "emission_fraction": "share of the light; not a phase or volume fraction",
    }
    if "sources" in refs.attrs:
        out.attrs["reference_sources"] = refs.attrs["sources"]
    said = noise if isinstance(noise, str) else model.kind
    step = (
        f"unmix({', '.join(labels)}; noise={said}, "
        f"background={background if isinstance(background, str) else 'array'}, "
        f"normalise={normalise}, nonnegative={bool(nonnegative)})"
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
        variance = variance.drop_vars(list(variance.coords))
        if not usable.all():
            variance = variance.isel({dim: usable})
        arguments.append(variance.broadcast_like(data.drop_vars(list(data.coords))))
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
