"""The detector's share of a spectrum: dark, response, saturation."""

from __future__ import annotations

import numbers
import warnings

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.errors import DataError, PlkitWarning
from plkit.spectra._door import (
    attach_intensity,
    drop_saturation,
    enter,
    labelled,
    noise_terms,
    require_number,
    saturation_level,
)

__all__ = ["divide_response", "mask_saturation", "subtract_dark"]

_EXPOSURE = "exposure_time"
_RESPONSE = "response"
_RESPONSE_STDERR = names.stderr_name(_RESPONSE)
# Axes whose channels lie closer than this part of a channel count as the same axis.
_SAME_AXIS = 0.05


def subtract_dark(
    ds: xr.Dataset,
    dark: xr.Dataset | xr.DataArray | float,
    *,
    scale_exposure: bool = True,
    bias_counts: float = 0.0,
) -> xr.Dataset:
    """Subtract the dark spectrum, scaled to the exposure time, with its noise.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts].
    dark : xarray.Dataset, xarray.DataArray or float
        Measured without light on the same channels, counts. Every dimension but the spectral one
        is averaged over; NaN (despiked frames) is left out.
    scale_exposure : bool, optional
        Scale the dark by the ratio of the two ``exposure_time`` [s].
    bias_counts : float, optional
        Part of the dark that the electronics add at zero exposure [counts]; it is not scaled.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``intensity`` [counts] and, where the gain is known, ``noise_floor`` [counts²].

    Raises
    ------
    DataError
        If the dark's channels are not those of the data, or the dark, its exposure time or that of
        the data is not known everywhere.

    Warns
    -----
    PlkitWarning
        If the exposure times are needed but not known, or saturated values are about to be lost
        sight of.

    Notes
    -----
    With the dark d measured in N frames, s = bias + (d − bias)·t/t_d is subtracted. ``noise_floor``
    is the variance of a reading in the dark (read noise and dark current), before and after; what
    is added to it is the variance of the mean dark, var(d)/N·(t/t_d)², from the scatter of its
    frames, or from its noise model where there is one frame only. That part is common to all
    spectra. Where the data states no floor, the scatter of the dark's frames, averaged over the
    channels, becomes the floor.

    Examples
    --------
    >>> def frame(counts, exposure):
    ...     return xr.Dataset(
    ...         {"intensity": ("wavelength", np.array(counts, "uint16"), {"units": "counts"}),
    ...          "exposure_time": ((), exposure, {"units": "s"})},
    ...         {"wavelength": ("wavelength", [500.0, 501.0], {"units": "nm"})})
    >>> subtract_dark(frame([110, 90], 2.0), frame([50, 50], 1.0)).intensity.values.tolist()
    [10.0, -10.0]
    """
    action = "subtract the dark"
    ds, dim = enter(ds, action)
    bias_counts = require_number(bias_counts, "bias_counts", action)
    if isinstance(dark, numbers.Real | np.generic):
        counts = require_number(float(dark), "dark", action)
        level, own, scatter = xr.DataArray(counts), xr.DataArray(0.0), None
        ratio = xr.DataArray(1.0)
    else:
        frames = labelled(dark, "dark", action)
        level, own, scatter = _mean_dark(frames, ds[names.INTENSITY], dim, action)
        ratio = _exposure_ratio(ds, frames, action) if scale_exposure else xr.DataArray(1.0)
    subtracted = bias_counts + (level - bias_counts) * ratio
    terms = noise_terms(ds)
    gain = floor = None
    if terms is not None:
        gain, floor = terms
        if scatter is not None and names.NOISE_FLOOR not in ds:
            floor = scatter
        extra = own * ratio**2
        floor = floor + extra.mean([d for d in extra.dims if d != dim])
    saturated = saturation_level(ds)
    if saturated is not None and subtracted.ndim == 0:
        moved = xr.DataArray(saturated - float(subtracted), attrs=names.attrs("saturation_level"))
        ds = ds.assign(saturation_level=moved)
    else:
        ds = drop_saturation(ds, action)
    new = ds[names.INTENSITY] - subtracted
    step = f"subtract_dark(scale_exposure={scale_exposure}, bias_counts={bias_counts:g})"
    return attach_intensity(ds, new, step, gain=gain, floor=floor)


def _mean_dark(
    dark: xr.Dataset | xr.DataArray, data: xr.DataArray, dim: str, action: str
) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray | None]:
    """Mean dark [counts] on the data's channels, its variance, and the variance of one frame [counts²].

    The last is None where there are not two frames to tell it.
    """
    if isinstance(dark, xr.Dataset):
        dark, own_dim = enter(dark, action)
        frames = dark[names.INTENSITY]
        terms = noise_terms(dark)
    else:
        dark = schema.conform(dark.to_dataset(name=names.INTENSITY))
        frames = dark[names.INTENSITY].astype(np.float64)
        own_dim = schema.spectral_dim(frames, action) if frames.ndim else ""
        terms = None
    if own_dim:
        frames = frames.assign_coords({dim: _same_axis(frames, data, own_dim, dim, action)})
    over = [d for d in frames.dims if d != dim]
    n = frames.notnull().sum(over)
    level = frames.mean(over)
    empty = int((n == 0).sum())
    if empty:
        raise DataError(
            action,
            f"the dark holds channels without any number in any frame ({empty} of {n.size})",
            "Crop data and dark to the channels that were measured.",
        )
    if not np.all(np.isfinite(level.values)):
        raise DataError(action, "the dark holds infinite counts, not numbers")
    if bool((n >= 2).all()):
        scatter = frames.var(over, ddof=1).mean()
        return level, scatter / n, scatter
    if terms is not None:
        floor = terms[1]
        if dim in floor.dims and own_dim:
            floor = floor.assign_coords({dim: frames[dim]})
        return level, floor / n, None
    return level, xr.zeros_like(level), None


def _same_axis(
    frames: xr.DataArray, data: xr.DataArray, own_dim: str, dim: str, action: str
) -> xr.DataArray:
    """The data's axis, if the frames were taken on it."""
    remedy = "Measure the dark with the same grating position, and crop both alike."
    if own_dim != dim or frames.sizes[dim] != data.sizes[dim]:
        raise DataError(
            action,
            f"the dark has {frames.sizes[own_dim]} channels along '{own_dim}', not the"
            f" {data.sizes[dim]} channels of the data along '{dim}'",
            remedy,
        )
    if dim in frames.coords:
        unit = names.unit(dim)
        a, b = frames[dim].values, data[dim].values
        step = float(np.min(np.abs(np.diff(b)))) if b.size > 1 else 1.0
        apart = (a - b)[int(np.argmax(np.abs(a - b)))]
        if not abs(apart) <= _SAME_AXIS * step:
            raise DataError(
                action,
                f"the dark's axis runs from {a[0]:.8g} to {a[-1]:.8g} {unit}, up to {apart:+.3g} {unit}"
                f" ({abs(apart) / step:.2g} channels) away from the data's {b[0]:.8g} to {b[-1]:.8g}"
                f" {unit}",
                remedy,
            )
    return data[dim]


def _exposure_ratio(ds: xr.Dataset, dark: xr.Dataset | xr.DataArray, action: str) -> xr.DataArray:
    """Exposure time of the data over that of the dark [1]."""
    times = []
    for held in (ds, dark):
        if _EXPOSURE not in held.coords and not (
            isinstance(held, xr.Dataset) and _EXPOSURE in held
        ):
            warnings.warn(
                "the exposure time of data and dark is not known to both: the dark is subtracted"
                " unscaled. Set ds['exposure_time'], or pass scale_exposure=False.",
                PlkitWarning,
                stacklevel=3,
            )
            return xr.DataArray(1.0)
        times.append(schema.require_unit(held[_EXPOSURE], _EXPOSURE, action))
    of_data, of_dark = times
    for whose, time in (("data", of_data), ("dark", of_dark)):
        if not bool((np.isfinite(time) & (time > 0)).all()):
            raise DataError(
                action, f"the exposure time of the {whose} is not positive and known everywhere",
                "Set ds['exposure_time'] in seconds, or pass scale_exposure=False.",
            )  # fmt: skip
    if of_dark.ndim:
        if float(of_dark.max() - of_dark.min()) > 1e-6 * float(of_dark.max()):
            raise DataError(
                action, "the dark's frames have different exposure times, not one",
                "Pass the frames of one exposure time.",
            )  # fmt: skip
        of_dark = of_dark.mean()
    return (of_data / float(of_dark)).reset_coords(drop=True)


def divide_response(
    ds: xr.Dataset,
    response: xr.Dataset | xr.DataArray,
    *,
    response_stderr: xr.DataArray | float | None = None,
) -> xr.Dataset:
    """Divide by the spectral response of the instrument.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts], dark subtracted.
    response : xarray.Dataset or xarray.DataArray
        R(λ) [1], relative; a Dataset holds ``response`` and may hold ``response_stderr``.
    response_stderr : xarray.DataArray or float, optional
        σ of R [1], in the scale of R.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``intensity``/R, gain/R, floor/R², and R itself on the data's axis as
        ``response`` with ``response_stderr``. The latter is systematic, the same in every
        spectrum, and hence no part of the noise model: propagate it at the end.

    Raises
    ------
    DataError
        If R does not cover the axis, repeats a wavelength, is not positive, or the data were divided
        before.

    Examples
    --------
    >>> axis = {"wavelength": ("wavelength", [500.0, 510.0], {"units": "nm"})}
    >>> ds = xr.Dataset({"intensity": ("wavelength", [10.0, 10.0], {"units": "counts"})}, axis)
    >>> curve = xr.DataArray([0.5, 1.0], axis, "wavelength")
    >>> divide_response(ds, curve).intensity.values.tolist()
    [20.0, 10.0]
    """
    action = "divide by the response"
    ds, dim = enter(ds, action)
    if _RESPONSE in ds:
        raise DataError(action, "it was done before, the dataset holds 'response', not raw counts")
    response = labelled(response, "response", action)
    if isinstance(response, xr.Dataset):
        if _RESPONSE not in response:
            found = ", ".join(map(str, response.data_vars)) or "nothing"
            raise DataError(action, f"the response dataset holds {found}, not '{_RESPONSE}'")
        if response_stderr is None and _RESPONSE_STDERR in response:
            response_stderr = response[_RESPONSE_STDERR]
        response = response[_RESPONSE]
    curve = _on_axis(response, ds[dim], action)
    if not bool((curve > 0).all()):
        raise DataError(
            action, "the response is zero, negative or NaN on the data's axis, not positive",
            "Crop the data to where the response is known.",
        )  # fmt: skip
    new: dict[str, xr.DataArray] = {_RESPONSE: curve.assign_attrs(names.attrs(_RESPONSE))}
    if response_stderr is not None:
        error = (
            xr.full_like(curve, float(response_stderr))
            if not isinstance(response_stderr, xr.DataArray) or response_stderr.ndim == 0
            else _on_axis(response_stderr, ds[dim], action)
        )
        if not bool((np.isfinite(error) & (error >= 0)).all()):
            raise DataError(action, "the σ of the response is negative or NaN, not a number from 0")
        new[_RESPONSE_STDERR] = error.assign_attrs(
            names.attrs(_RESPONSE_STDERR), comment="systematic, common to all spectra"
        )
    terms = noise_terms(ds)
    gain = floor = None
    if terms is not None:
        gain, floor = terms[0] / curve, terms[1] / curve**2
    ds = drop_saturation(ds, action)
    intensity = ds[names.INTENSITY] / curve
    return attach_intensity(ds.assign(new), intensity, "divide_response()", gain=gain, floor=floor)


def _on_axis(curve: xr.DataArray, axis: xr.DataArray, action: str) -> xr.DataArray:
    """A curve of the instrument, linearly interpolated onto the data's axis."""
    dim = str(axis.name)
    if curve.dims != (dim,) or dim not in curve.coords:
        found = ", ".join(map(str, curve.dims)) or "none"
        raise DataError(action, f"the response has dims {found}, not '{dim}' with its values")
    x = schema.require_unit(curve[dim], dim, action).values
    order = np.argsort(x)
    x, y = x[order], curve.values.astype(np.float64)[order]
    if not np.all(np.isfinite(x)):
        raise DataError(action, f"the axis '{dim}' of the response holds NaN, not numbers")
    repeated = x[1:][np.diff(x) == 0]
    if repeated.size:
        raise DataError(
            action,
            f"the response has {repeated[0]:g} {names.unit(dim)} more than once"
            f" ({repeated.size} such values), not one value each",
            f'Average them: response.groupby("{dim}").mean().',
        )
    target = axis.values
    slack = 1e-9 * float(np.max(np.abs(target)))
    if x.size == 0 or target.min() < x[0] - slack or target.max() > x[-1] + slack:
        span = f"{x[0]:g} to {x[-1]:g}" if x.size else "no"
        raise DataError(
            action,
            f"the response covers {span} {names.unit(dim)}, not the data's"
            f" {target.min():g} to {target.max():g} {names.unit(dim)}",
            f"Crop first: plkit.spectra.crop(ds, {dim}=(…, …)).",
        )
    return xr.DataArray(np.interp(target, x, y), {dim: axis}, dim)


def mask_saturation(ds: xr.Dataset, level: float | None = None) -> xr.Dataset:
    """Replace saturated values by NaN.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` [counts] as read, before the dark is subtracted.
    level : float, optional
        Counts from which on the detector is saturated. By default ``saturation_level`` of the
        dataset, or the largest number of an unsigned integer type.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``intensity`` [counts], NaN where it reached the level.

    Raises
    ------
    DataError
        If no level is given or known.

    Examples
    --------
    >>> ds = xr.Dataset({"intensity": ("wavelength", np.array([7, 65535], "uint16"))},
    ...                 {"wavelength": ("wavelength", [500.0, 501.0], {"units": "nm"})})
    >>> mask_saturation(ds).intensity.values.tolist()
    [7.0, nan]
    """
    action = "mask saturated values"
    ds, _ = enter(ds, action)
    if level is None:
        level = saturation_level(ds)
    if level is None:
        raise DataError(
            action,
            "the saturation level is not known, neither an argument nor in ds['saturation_level']",
            "Pass level=… in counts.",
        )
    level = require_number(level, "level", action)
    da = ds[names.INTENSITY]
    hit = da >= level
    step = f"mask_saturation(level={level:g}): {int(hit.sum())} values masked"
    return attach_intensity(ds, da.where(~hit), step)
