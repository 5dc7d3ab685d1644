"""What the page carries of a layer: its axes, its spectra as codes, its maps with their σ."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.apps.mailable.binning import Bins, averaged, mean_axis, read_binned
from plkit.apps.mailable.codes import (
    decoded,
    encoded,
    even_scale,
    noise_scale,
    scatter_of,
)
from plkit.apps.mailable.packing import SIGMA_BITS, VALUE_BITS, Blocks, rounded
from plkit.apps.mailable.pixel_fits import add_pixel_fits
from plkit.apps.view.layers import Layer, maps_of
from plkit.apps.view.map_controls import title_of
from plkit.apps.view.picture import axis_label, even_index, span_of
from plkit.apps.view.values import label_of, map_array
from plkit.apps.view.viewer import preferred
from plkit.errors import DataError
from plkit.names import DELAY, FIT_STATUS, INTENSITY
from plkit.plot.style import pretty_unit

__all__ = ["Content", "content_of", "is_flag"]

_ACTION = "export this as HTML"


@dataclass
class Content:
    """A layer as the page gets it.

    Parameters
    ----------
    header : dict
        JSON: axes, labels, names of blocks.
    precision : list of str
        Sentences for people: how exact the numbers are, what was averaged.
    off_sigma, off : float
        Largest rounding of a reading, in σ of one (NaN where σ is not known) and in its unit.
    """

    header: dict[str, Any]
    precision: list[str] = field(default_factory=list)
    off_sigma: float = float("nan")
    off: float = 0.0


def content_of(
    layer: Layer,
    maps: Mapping[str, xr.Dataset],
    bins: Bins,
    blocks: Blocks,
    *,
    prefix: str,
    averaged_before: float = 1.0,
    tell: Callable[[float], None] = lambda _: None,
) -> Content:
    """Put a layer into blocks.

    Parameters
    ----------
    layer : Layer
        From :func:`plkit.apps.view.open_layers`.
    maps : mapping
        Further results on the plane of the layer, by the name in front of theirs.
    bins : Bins
        How many neighbours are averaged.
    blocks : Blocks
        Takes the arrays.
    prefix : str
        Of the names of the blocks.
    averaged_before : float, optional
        Readings of which each value of the layer is the mean already.
    tell : callable, optional
        Gets the share that was done.

    Returns
    -------
    Content
        With the names of the blocks.

    Raises
    ------
    DataError
        If there is no number in it.
    """
    factors = bins.by_dim(layer) if layer.has_spectra else {}
    header: dict[str, Any] = {
        "name": layer.name,
        "is_map": layer.is_map,
        "plane": [_axis(layer, d, factors.get(d, 1), drawn=True) for d in layer.plane],
        "outer": [_axis(layer, d, factors.get(d, 1)) for d in layer.outer],
        "quantities": [],
        "spectra": None,
    }
    content = Content(header)
    if layer.has_spectra:
        _add_spectra(content, layer, bins, blocks, prefix, averaged_before, tell)
    _add_maps(content, layer, maps, factors, blocks, prefix)
    quantities = header["quantities"]
    if not quantities:
        raise DataError(_ACTION, f"'{layer.name}' holds neither spectra nor a map with a number")
    if not layer.is_map:
        header["first"] = "spectra"
    else:
        header["first"] = preferred([q["key"].rpartition("/")[2] for q in quantities])
    return content


# Axes -----------------------------------------------------------------------------------------
def _axis(layer: Layer, dim: str, factor: int, *, drawn: bool = False) -> dict[str, Any]:
    values = mean_axis(layer.axis(dim), factor)
    known = dim in names.TABLE
    unit = str(layer.ds[dim].attrs.get("units", "1")) if dim in layer.ds.coords else "1"
    out: dict[str, Any] = {
        "dim": dim, "label": axis_label(layer, dim), "values": _short(values),
        "symbol": (names.symbol(dim) or dim) if known else dim, "unit": pretty_unit(unit),
        "metres": unit == names.unit(names.X),
    }  # fmt: skip
    if drawn:
        start, length = span_of(values)
        even = even_index(values)
        out |= {"start": start, "length": length, "even": None if even is None else even.tolist()}
    return out


def _short(values: NDArray[Any]) -> list[float]:
    """Nine digits: a stage far from its zero is read in steps of nanometres."""
    return [float(f"{v:.9g}") for v in np.asarray(values, float)]


# Spectra --------------------------------------------------------------------------------------
def _add_spectra(
    content: Content, layer: Layer, bins: Bins, blocks: Blocks, prefix: str, before: float,
    tell: Callable[[float], None],
) -> None:  # fmt: skip
    cube = read_binned(layer, bins, tell)
    good = np.isfinite(cube)
    if not good.any():
        raise DataError(
            _ACTION, f"'{layer.variable}' of '{layer.name}' holds no number, not one reading",
        )  # fmt: skip
    numbers = cube if good.all() else cube[good]
    low, high = float(numbers.min()), float(numbers.max())
    n = bins.readings(layer) * before
    noise = _noise(layer, bins, n)
    whole = cube.dtype.kind in "iu"
    if noise is not None:
        gain, floor = (float(np.min(t)) for t in noise)
        scale = noise_scale(low, high, gain, floor)
    else:
        scatter = scatter_of(cube)
        scale = even_scale(low, high, scatter, whole=whole)
    # Frame, channel, pixel: a channel deflates well beside itself, and a band is a sum of planes.
    n_frames = int(
        np.prod([layer.ds.sizes[d] // bins.by_dim(layer)[d] for d in layer.outer] or [1])
    )
    flat = cube.reshape(n_frames, -1, cube.shape[-1])
    codes = np.empty((n_frames, flat.shape[2], flat.shape[1]), np.uint16)
    for f in range(n_frames):
        values = np.asarray(flat[f].T, dtype=np.float64)
        codes[f] = encoded(values, scale)
        off = np.abs(decoded(codes[f], scale) - values)
        content.off = max(content.off, float(np.nanmax(off, initial=0.0)))
        if noise is not None:
            gains, floors = (np.broadcast_to(t, values.shape[0])[:, None] for t in noise)
            sigma = np.sqrt(gains * np.abs(values) + np.maximum(floors, gains**2))
            worst = float(np.nanmax(off / sigma, initial=0.0))
            content.off_sigma = float(np.nanmax([content.off_sigma, worst]))
    table_label = names.label(layer.variable) if layer.variable in names.TABLE else layer.variable
    unit = pretty_unit(str(layer.ds[layer.variable].attrs.get("units", "1")))
    content.header["spectra"] = {
        "axis": _axis(layer, layer.spectral, bins.channels), "label": table_label, "unit": unit,
        "block": blocks.add(f"{prefix}s", codes), "shape": list(codes.shape),
        "scale": scale.as_dict(), "per_channel": bins.channels,
        "noise": None if noise is None else [_short(np.atleast_1d(t)) for t in noise],
    }  # fmt: skip
    key = "band" if layer.is_map else "spectra"
    label = _band_label(layer) if layer.is_map else table_label
    title = title_of(key)
    if not layer.is_map and layer.plane[0] != names.TIME:
        title = f"Spectra over {names.TABLE[layer.plane[0]].long_name.lower()}"
    content.header["quantities"].append({"key": key, "title": title, "label": label})
    content.header["band_label"] = f"Sum over the band ({unit})" if unit else "Sum over the band"
    content.precision += _said(content, layer, bins, noise is not None, unit)


def _band_label(layer: Layer) -> str:
    """As the page calls it; of other quantities with their own name and unit."""
    if layer.variable == INTENSITY and layer.spectral != DELAY:
        return label_of(layer, "band", {})
    label = names.label(layer.variable) if layer.variable in names.TABLE else layer.variable
    return re.sub(r"( \(|$)", r", sum over the band\1", label, count=1)


def _noise(
    layer: Layer, bins: Bins, readings: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Gain and floor of a mean of so many readings, where the gain is known."""
    if layer.variable != INTENSITY or names.NOISE_GAIN not in layer.ds:
        return None
    out = []
    for name in (names.NOISE_GAIN, names.NOISE_FLOOR):
        term = layer.ds[name] if name in layer.ds else xr.DataArray(0.0)
        if set(map(str, term.dims)) - {layer.spectral}:
            return None  # no noise model of plkit
        values = np.asarray(term.values, dtype=np.float64)
        out.append((mean_axis(values, bins.channels) if values.ndim else values) / readings)
    if not (np.min(out[0]) > 0 and np.min(out[1]) >= 0):
        return None
    return out[0], out[1]


def _said(content: Content, layer: Layer, bins: Bins, known: bool, unit: str) -> list[str]:
    what = f"{layer.name}: "
    unit = f" {unit}" if unit else ""
    if content.off == 0:
        out = [f"{what}every reading is kept as it is."]
    elif known:
        out = [
            f"{what}spectra are rounded by at most {content.off_sigma:.2f} σ of one reading "
            f"(σ from the noise model; {content.off:.2g}{unit} at the strongest), which widens σ by 1 %."
        ]
    else:
        out = [f"{what}spectra are rounded by at most {content.off:.2g}{unit}."]
    if not bins.is_none:
        sizes = []
        for dim, n in bins.by_dim(layer).items():
            if n > 1:
                left = layer.ds.sizes[dim] % n
                tail = f", the last {left} left out" if left else ""
                sizes.append(
                    f"{dim} {layer.ds.sizes[dim]} → {layer.ds.sizes[dim] // n} (means of {n}{tail})"
                )
        out.append(
            f"{what}averaged to fit into a mail: {'; '.join(sizes)}. σ is that of the means."
        )
    return out


# Maps -----------------------------------------------------------------------------------------
def _add_maps(
    content: Content, layer: Layer, maps: Mapping[str, xr.Dataset], factors: Mapping[str, int],
    blocks: Blocks, prefix: str,
) -> None:  # fmt: skip
    if not layer.is_map:
        return
    keys = [q for q in layer.quantities if q not in ("band", "slice", "spectra")]
    for key, ds in maps.items():
        keys += [f"{key}/{q}" for q in maps_of(ds, layer.plane, layer.outer)]
    for n, key in enumerate(keys):
        da = map_array(layer, key, maps)
        dims = [d for d in (*layer.outer, *layer.plane) if d in da.dims]
        da = da.transpose(*dims)
        by = tuple(factors.get(d, 1) for d in dims)
        values = _averaged_map(da.values, by, is_flag(da))
        if not np.isfinite(values).any():
            continue
        entry: dict[str, Any] = {
            "key": key, "title": title_of(key), "label": label_of(layer, key, maps),
            "unit": pretty_unit(str(da.attrs.get("units", "1"))),
            "symbol": _symbol(key), "flag": _meanings(da), "masks": "flag_masks" in da.attrs,
            "frames": [d for d in dims if d in layer.outer],
            "block": blocks.add(f"{prefix}m{n}", rounded(values, VALUE_BITS)),
        }  # fmt: skip
        sigma = _sigma_of(layer, key, maps)
        if sigma is not None and set(sigma.dims) == set(da.dims):
            # The σ of a mean: independent pixels, as everywhere in plkit.
            square = _averaged_map(sigma.transpose(*dims).values.astype(float) ** 2, by, False)
            spread = np.sqrt(square / np.prod(by))
            entry["sigma"] = blocks.add(f"{prefix}e{n}", rounded(spread, SIGMA_BITS))
        content.header["quantities"].append(entry)
    if all(factors.get(d, 1) == 1 for d in layer.plane):  # a mean of pixels was not fitted
        add_pixel_fits(content.header["quantities"], layer, maps, blocks, prefix)
    if len(content.header["quantities"]) > int(layer.has_spectra):
        content.precision.append(f"{layer.name}: maps of results to 5 digits, their σ to 2.")


def _averaged_map(values: NDArray[Any], by: tuple[int, ...], flag: bool) -> NDArray[Any]:
    values = np.asarray(values)
    if all(n == 1 for n in by):
        return values
    if not flag:
        return averaged(values, by)
    cut = values[tuple(slice(0, s // n * n) for s, n in zip(values.shape, by, strict=True))]
    shape = [v for s, n in zip(cut.shape, by, strict=True) for v in (s // n, n)]
    worst = cut.reshape(shape).max(axis=tuple(range(1, 2 * values.ndim, 2)))
    return np.asarray(worst)


def is_flag(da: xr.DataArray) -> bool:
    """Return whether the values are codes of something, not amounts."""
    return da.name == FIT_STATUS or "flag_meanings" in da.attrs


def _meanings(da: xr.DataArray) -> dict[str, str] | None:
    if not is_flag(da) or "flag_meanings" not in da.attrs:
        return None
    words = str(da.attrs["flag_meanings"]).split()
    stated = da.attrs.get("flag_values", da.attrs.get("flag_masks", np.arange(len(words))))
    values = np.atleast_1d(stated)
    return {str(int(v)): w.replace("_", " ") for v, w in zip(values, words, strict=False)}


def _sigma_of(layer: Layer, key: str, maps: Mapping[str, xr.Dataset]) -> xr.DataArray | None:
    group, slash, name = key.rpartition("/")
    base, colon, component = name.partition(":")
    ds = maps[group] if group else layer.ds
    sigma = names.stderr_name(base)
    if sigma not in ds:
        return None
    return map_array(layer, f"{group}{slash}{sigma}{colon}{component}", maps)


def _symbol(key: str) -> str:
    name, _, component = key.rpartition("/")[2].partition(":")
    symbol = (names.symbol(name) if name in names.TABLE else "") or name
    return f"{symbol}({component})" if component else symbol
