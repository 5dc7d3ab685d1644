"""Reference spectra of the components, from files, spectra or line shapes, on one axis."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, schema
from plkit.errors import DataError
from plkit.io.reading import read
from plkit.io.stream import open_stream
from plkit.names import COMPONENT, INTENSITY
from plkit.physics.resampling import channel_widths, resample_counts
from plkit.unmixing.line_shape import LineShape

__all__ = ["area_weights", "references"]

Floats = NDArray[np.float64]
Spectrum = xr.Dataset | xr.DataArray
_ACTION: Final = "make references"
_SAME_SHAPE: Final = 1.0 - 1e-10


def references(
    *,
    like: Spectrum | str | os.PathLike[str] | None = None,
    **named: str | os.PathLike[str] | Spectrum | LineShape | Mapping[str, Any],
) -> xr.DataArray:
    """Reference spectra of the named components on one spectral axis.

    An emission fraction made with them is a share of the *light*. It is not a phase or a volume
    fraction: carriers funnel into the phase of the lowest gap, which therefore shines more than
    its share of the film [1]_.

    Parameters
    ----------
    like : xarray.Dataset, xarray.DataArray or path, optional
        Data whose spectral axis (…, λ) the references are put on; by default the axis of the first
        measured reference. Of a netCDF file or a Zarr store nothing but the axis is read.
    **named : path, xarray.Dataset, xarray.DataArray, LineShape or mapping
        One per component, at least two. A path is read by :func:`plkit.read`; a spectrum or
        several frames (…, λ) [counts] are averaged; a ``LineShape``, or a mapping of its
        parameters, is evaluated. Subtract dark counts and baselines first: what is in a reference is
        part of its component.

    Returns
    -------
    xarray.DataArray
        ``reference`` (component, λ) [1/nm, or 1 per unit of the axis]: every spectrum divided by its
        area within the axis. NaN in channels in which ``like`` holds no number in any spectrum.
        Attributes ``sources`` (JSON: where each came from) and ``history``.

    Raises
    ------
    DataError
        For fewer than two components, two of the same shape, NaN, a reference without light, an axis
        that does not cover the wanted one, or an axis of another kind.
    UnitsError
        If an axis has no unit or one of another kind.

    Notes
    -----
    *Area*: along wavelength, Raman shift and energy loss the counts of the channels are added and
    divided by the mean width of a channel; along energy, where intensities are densities (after
    :func:`plkit.spectra.to_energy`), they are integrated.

    *Resampling* conserves counts: the cumulative counts at the edges of the channels are joined by a
    cubic spline and differenced at the edges of the new channels. Negative counts (noise) stay
    negative. Nothing is extrapolated: every new channel has to be centred inside the measured range.

    *Averaging*: frames k of brightness s_k = Σ_c y_kc share one shape p_c, estimated by
    p_c = Σ_k w_k y_kc/Σ_k w_k s_k over the frames that hold a number in channel c, with
    w_k = s_k/var_k and the noise model's var_k = gain·s̄_k + floor (s̄_k the mean counts per channel).
    Without a noise model the counts are added, which is the best for Poisson noise. The noise that
    remains in a reference is not part of the σ of :func:`plkit.unmix`.

    References
    ----------
    .. [1] ACS Energy Lett. 2026, doi:10.1021/acsenergylett.6c00432

    Examples
    --------
    >>> axis = xr.DataArray(np.zeros(521), dims="wavelength", coords={
    ...     "wavelength": ("wavelength", np.linspace(560.0, 690.0, 521), {"units": "nm"})})
    >>> refs = references(like=axis, pristine=LineShape("gaussian", 1.92, 0.07),
    ...                   bromide={"kind": "asymmetric", "centre_ev": 2.05, "fwhm_ev": 0.08})
    >>> refs.component.values.tolist(), refs.attrs["units"]
    (['pristine', 'bromide'], '1/nm')
    >>> print(np.round(refs.integrate("wavelength").values, 3))
    [1. 1.]
    """
    if len(named) < 2:
        raise DataError(
            _ACTION,
            f"there {'is 1 component' if named else 'are 0 components'}, not at least 2",
            'Name one reference per component, for instance references(pristine="a.nc", bromide="b.nc").',
        )
    found = {name: _open(name, value) for name, value in named.items()}
    if isinstance(like, str | os.PathLike):
        like = _axis_of_file(Path(like))
    grid = like if like is not None else next((v for v in found.values() if _measured(v)), None)
    if grid is None:
        raise DataError(
            _ACTION,
            "all components are line shapes and 'like' is not given, not a spectrum with an axis",
            "Pass like=ds.",
        )
    dim, axis_array = _axis(grid, "like" if like is not None else "the first spectrum")
    axis = axis_array.values.astype(np.float64)
    order = np.argsort(axis)
    rows = []
    for name, value in found.items():
        if isinstance(value, LineShape):
            row = value.per_channel(axis[order], dim)
        else:
            row = _on_axis(name, value, dim, axis[order])
        back = np.empty_like(row)
        back[order] = row
        rows.append(back)
    table = _refuse_gaps(list(found), np.array(rows), grid, dim, axis)
    table = _normalised(list(found), table, dim, axis)
    _refuse_twins(list(found), table)
    sources = {name: _source(named[name], found[name]) for name in found}
    out = xr.DataArray(
        table,
        dims=(COMPONENT, dim),
        coords={COMPONENT: list(found), dim: axis_array},
        name="reference",
        attrs={
            **names.attrs("reference"),
            "units": f"1/{names.unit(dim)}",
            "sources": json.dumps(sources, ensure_ascii=False),
        },
    )
    out[COMPONENT].attrs["long_name"] = names.attrs(COMPONENT)["long_name"]
    step = schema.add_history(xr.Dataset(), f"references({', '.join(found)})")
    return out.assign_attrs(history=step.attrs["history"])


def area_weights(axis: Floats, dim: str) -> Floats:
    """What each channel counts for in an area: 1, or its relative width where values are densities.

    Parameters
    ----------
    axis : ndarray, shape (channels,)
        Values of the axis.
    dim : str
        Its name.

    Returns
    -------
    ndarray, shape (channels,)
        Weights [1].
    """
    if dim != names.ENERGY or axis.size < 2:
        return np.ones(axis.size)
    width = channel_widths(axis)
    return np.asarray(width / width.mean())


def _axis_of_file(path: Path) -> Spectrum:
    """One spectrum of a file that may be large, for the sake of its axis."""
    with open_stream(path) as stream:
        if stream is not None:
            return stream.data.isel(dict.fromkeys(stream.data.dims[:-1], 0)).copy()
    return read(path)


def _measured(value: Any) -> TypeGuard[Spectrum]:
    return isinstance(value, xr.DataArray | xr.Dataset)


def _open(name: str, value: Any) -> Spectrum | LineShape:
    if isinstance(value, LineShape) or _measured(value):
        return value
    if isinstance(value, Mapping):
        return LineShape.from_mapping(value)
    if isinstance(value, str | os.PathLike):
        return read(Path(value))
    raise DataError(
        _ACTION,
        f"'{name}' is a {type(value).__name__}, not a path, spectrum or line shape",
        "Wrap numbers in an xarray.DataArray with a spectral coordinate.",
    )


def _source(given: Any, found: Spectrum | LineShape) -> str:
    if isinstance(found, LineShape):
        return repr(found)
    if isinstance(given, str | os.PathLike):
        sha = str(found.attrs.get("source_sha256", ""))
        return f"{Path(given).name} sha256:{sha}" if sha else Path(given).name
    label = str(found.attrs.get("source", "")) or "spectrum"
    frames = {str(d): int(n) for d, n in found.sizes.items() if d not in names.SPECTRAL_DIMS}
    return f"{label}, mean over {frames}" if frames else label


def _intensity(name: str, spectrum: Spectrum) -> xr.DataArray:
    if isinstance(spectrum, xr.DataArray):
        return spectrum
    if INTENSITY not in spectrum:
        raise DataError(
            _ACTION,
            f"'{name}' holds {', '.join(map(str, spectrum.data_vars)) or 'nothing'}, not '{INTENSITY}'",
            "Pass the DataArray that holds the spectrum.",
        )
    return spectrum[INTENSITY]


def _axis(spectrum: Spectrum, name: str) -> tuple[str, xr.DataArray]:
    """Spectral dimension and its coordinate in plkit's unit."""
    dim = schema.spectral_dim(spectrum, _ACTION)
    if dim not in spectrum.coords:
        raise DataError(
            _ACTION, f"'{name}' has no coordinate '{dim}', not values in {names.unit(dim)}",
            f'Add them: ds.assign_coords({dim}=("{dim}", values)).',
        )  # fmt: skip
    axis = schema.require_unit(spectrum[dim], dim, _ACTION)
    values = axis.values
    steps = np.diff(values)
    monotonic = bool(np.all(steps > 0) or np.all(steps < 0))
    if values.size < 2 or not np.all(np.isfinite(values)) or not monotonic:
        raise DataError(
            _ACTION,
            f"axis '{dim}' of '{name}' has {values.size} values that do not run one way, "
            "not at least 2 ordered ones",
            f'Sort them: ds.sortby("{dim}"), and drop repeated ones: ds.drop_duplicates("{dim}").',
        )
    clean = xr.DataArray(values, dims=dim, name=dim, attrs={**names.attrs(dim), **axis.attrs})
    return dim, clean


def _on_axis(name: str, spectrum: Spectrum, dim: str, axis: Floats) -> Floats:
    """Mean of the frames, as counts per channel (densities along energy) of the ascending axis."""
    own_dim, own_axis = _axis(spectrum, name)
    if own_dim != dim:
        raise DataError(
            _ACTION,
            f"'{name}' runs over {own_dim}, not over {dim}",
            "Convert it with plkit.spectra.to_energy or plkit.spectra.to_wavelength.",
        )
    x = own_axis.values.astype(np.float64)
    mean = _mean_of_frames(name, spectrum, dim)
    order = np.argsort(x)
    x, mean = x[order], mean[order]
    width = channel_widths(axis)
    if x.size == axis.size and np.all(np.abs(x - axis) <= 1e-6 * width):
        return mean
    own_width = channel_widths(x)
    low, high = x[0] - own_width[0] / 2.0, x[-1] + own_width[-1] / 2.0
    if axis[0] < low or axis[-1] > high:
        unit = names.unit(dim)
        raise DataError(
            _ACTION,
            f"'{name}' covers {x[0]:g} to {x[-1]:g} {unit}, not {axis[0]:g} to {axis[-1]:g} {unit}",
            "Nothing is extrapolated: crop the data with plkit.spectra.crop, or measure a wider reference.",
        )
    inside = (x >= axis[0] - 4 * own_width.max()) & (x <= axis[-1] + 4 * own_width.max())
    bad = inside & ~np.isfinite(mean)
    if np.any(bad):
        raise _gap(name, x[bad], dim)
    good = np.isfinite(mean)
    x, mean, own_width = x[good], mean[good], own_width[good]
    if dim == names.ENERGY:
        return resample_counts(mean * own_width, x, axis) / width
    return resample_counts(mean, x, axis)


def _gap(name: str, where: Floats, dim: str) -> DataError:
    return DataError(
        _ACTION,
        f"'{name}' is NaN in {where.size} channels between {where.min():g} and {where.max():g} "
        f"{names.unit(dim)}, not a number",
        f'Fill them with ds.interpolate_na("{dim}"), or crop the data.',
    )


def _mean_of_frames(name: str, spectrum: Spectrum, dim: str) -> Floats:
    da = _intensity(name, spectrum)
    if da.dtype.kind not in "iuf":
        raise DataError(_ACTION, f"'{name}' has dtype {da.dtype}, not real numbers")
    if da.size == 0:
        raise DataError(
            _ACTION, f"'{name}' has shape {da.shape}: no values, not at least one frame"
        )
    y = da.transpose(..., dim).values.astype(np.float64).reshape(-1, da.sizes[dim])
    y = np.where(np.isfinite(y), y, np.nan)
    if y.shape[0] == 1:
        return np.asarray(y[0])
    good = np.isfinite(y)
    whole = good.all(axis=0) if np.any(good.all(axis=0)) else good.any(axis=0)
    mean_counts = np.where(good, y, 0.0)[:, whole].mean(axis=1)
    brightness = np.maximum(mean_counts, 0.0)
    weight = np.ones(y.shape[0])
    if isinstance(spectrum, xr.Dataset) and names.NOISE_GAIN in spectrum:
        gain = float(spectrum[names.NOISE_GAIN].mean())
        floor = float(spectrum[names.NOISE_FLOOR].mean()) if names.NOISE_FLOOR in spectrum else 0.0
        variance = gain * brightness + floor
        weight = np.divide(brightness, variance, out=np.zeros_like(variance), where=variance > 0.0)
    numerator = np.where(good, weight[:, None] * y, 0.0).sum(axis=0)
    denominator = np.where(good, (weight * brightness)[:, None], 0.0).sum(axis=0)
    mean = np.full(y.shape[1], np.nan)
    seen = good.any(axis=0)
    if not np.any(denominator > 0.0):  # no frame shines: _normalised says so
        mean[seen] = 0.0
        return mean
    np.divide(numerator, denominator, out=mean, where=denominator > 0.0)
    return np.asarray(mean * brightness.mean())


def _refuse_gaps(
    labels: list[str], table: Floats, grid: Spectrum, dim: str, axis: Floats
) -> Floats:
    """NaN is allowed only where the data to be unmixed have no number either."""
    if np.all(np.isfinite(table)):
        return table
    data = _intensity("like", grid)
    finite = np.isfinite(data.transpose(..., dim).values).reshape(-1, data.sizes[dim])
    empty = ~finite.any(axis=0)
    for label, row in zip(labels, table, strict=True):
        bad = ~np.isfinite(row)
        bad &= ~empty | bool(bad.all())
        if np.any(bad):
            raise _gap(label, axis[bad], dim)
    table[:, empty] = np.nan
    return table


def _normalised(labels: list[str], table: Floats, dim: str, axis: Floats) -> Floats:
    area = np.nansum(table * area_weights(axis, dim), axis=1) * channel_widths(axis).mean()
    for label, row, a in zip(labels, table, area, strict=True):
        if not (a > 1e-9 * np.nansum(np.abs(row)) * channel_widths(axis).mean() and a > 0.0):
            raise DataError(
                _ACTION,
                f"'{label}' has the area {a:g} between {axis.min():g} and {axis.max():g} "
                f"{names.unit(dim)}, not a positive one",
                "Check that the component emits in this range and that no baseline was over-subtracted.",
            )
    return np.asarray(table / area[:, None])


def _refuse_twins(labels: list[str], table: Floats) -> None:
    rows = np.nan_to_num(table)
    rows = rows / np.linalg.norm(rows, axis=1)[:, None]
    cosine = rows @ rows.T
    for i in range(len(labels)):
        for j in range(i):
            if cosine[i, j] > _SAME_SHAPE:
                raise DataError(
                    _ACTION,
                    f"'{labels[j]}' and '{labels[i]}' have the same shape, not two different ones",
                    "Remove one: nothing can tell their light apart.",
                )
