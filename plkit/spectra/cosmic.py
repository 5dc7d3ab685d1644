"""Cosmic rays: found against neighbours in wavelength, time and space, and masked."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.spectra._door import attach_intensity, enter, noise_terms
from plkit.spectra._spike_check import significance
from plkit.spectra._spike_noise import MEDIAN_VARIANCE, PER_MAD, Scatter, model, sigma_of

__all__ = ["despike"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Index = tuple[NDArray[np.intp], ...]
Axes = tuple[int, ...]

NEIGHBOUR_DIMS: Final = ((names.TIME,), (names.DELAY,), (names.Y, names.X))
"""Dims along which the next value is expected to be like the last; position is one of two dims."""

MASK: Final = "spike_mask"

# A spike is at most this many channels wide. Without neighbours in time or space a line of three
# channels cannot be told from a spike of three, hence only two.
_WIDTH: Final = 3
_WIDTH_ALONE: Final = 2
# A spike stands this many times higher above its own surroundings than these above theirs. A
# Gaussian line sampled with two channels per full width reaches 3.0 at worst.
_SHARPNESS: Final = 4.0
_RING: Final = 10
_SHOULDER: Final = 3.0
_BLOCK: Final = 200_000
# From so many times on, the scatter of one channel in time is known well enough to count.
_MANY_TIMES: Final = 20
# Part of the threshold at which a value is suspected and looked at again.
_SUSPECT: Final = 0.75
# A scatter seen in n times is lowered by this over √n of it, so that a chance large one hides no
# ray; the excess over noisy neighbours scatters by 1.1 times what one value does.
_SCATTER_DOUBT: Final = 0.35
_EXCESS_SCATTER: Final = 1.1
_LONE_SCATTER: Final = 1.05


def despike(
    ds: xr.Dataset,
    *,
    threshold: float = 4.2,
    dims: Sequence[str] | None = None,
    fill: Literal["nan", "neighbours"] = "nan",
) -> xr.Dataset:
    """Mask cosmic rays.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts]: one spectrum, a series, or a map. The noise scale comes
        from ``noise_gain`` and ``noise_floor`` where they are there, and from the scatter among
        values of like intensity in any case; the larger of the two counts.
    threshold : float, optional
        Height of a spike above what its neighbours let expect, in units of σ. Of noise, the default
        takes some 5 values in a million.
    dims : sequence of str, optional
        Dims whose neighbours are asked, by default all of wavelength (or energy), ``time``,
        ``delay``, ``y``, ``x`` that are there. The spectral one is always asked.
    fill : {"nan", "neighbours"}, optional
        What replaces a spike: nothing, so that no later fit takes a guess for a measurement, or
        the value that the neighbours let expect.

    Returns
    -------
    xarray.Dataset
        ``ds`` with spikes replaced and ``spike_mask`` (…, λ) int8, 1 where a spike was; its
        attribute ``count`` is their number.

    Raises
    ------
    DataError
        If ``threshold`` is not positive or a dimension of ``dims`` is not there.

    Notes
    -----
    In time, and in space, the median of the four nearest spectra is subtracted: what is left holds
    no steady line. A spike must then, against its neighbours in time as in space, (1) exceed the
    running median over 7 channels by ``threshold`` σ, also where the expectation is fitted over
    the 21 channels around, in units in which counts are normal (Anscombe), and (2) be sharp: that excess must be four
    times the height of the running median above the level ten channels around.
    A laser line that jitters, a peak that grows, an emitter at one position, the bright first
    frames of a decay are all broader than three channels and fail (2); a channel whose scatter in
    time exceeds the noise raises its σ in (1). A lone spectrum is compared with a median over 5
    channels: lines of two channels' width at half maximum and more survive. Channels next to a
    spike go with it if they exceed 3σ.
    Spikes wider than three channels are not found. On a line narrower than 8 channels that changes
    from one neighbour to the next, only a spike well above 0.2 of the line's height is. The whole
    array is loaded.

    References
    ----------
    F. J. Anscombe, Biometrika 35, 246 (1948), doi:10.1093/biomet/35.3-4.246

    Examples
    --------
    >>> wavelength = np.linspace(600.0, 700.0, 101)
    >>> y = 100.0 + 1000.0 * np.exp(-((wavelength - 650.0) / 10.0) ** 2)
    >>> y[30] += 500.0
    >>> ds = xr.Dataset({"intensity": ("wavelength", y, {"units": "counts"}),
    ...                  "noise_gain": ((), 1.0, {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", wavelength, {"units": "nm"})})
    >>> clean = despike(ds)
    >>> clean.spike_mask.attrs["count"], clean.wavelength[clean.spike_mask == 1].values.tolist()
    (1, [630.0])
    """
    action = "despike"
    ds, spectral = enter(ds, action)
    if not (isinstance(threshold, int | float | np.number) and threshold > 0):
        raise DataError(action, f"'threshold' is {threshold!r}, not a positive number of σ")
    if fill not in ("nan", "neighbours"):
        raise DataError(action, f"'fill' is {fill!r}, not 'nan' or 'neighbours'")
    da = ds[names.INTENSITY]
    if dims is None:
        asked: list[str] = [d for group in NEIGHBOUR_DIMS for d in group if d in da.dims]
    else:
        missing = [d for d in dims if d not in da.dims]
        if missing:
            found = ", ".join(map(str, da.dims))
            raise DataError(action, f"the data has dims {found}, not {', '.join(missing)}")
        asked = [d for d in dims if d != spectral]
    da = da.transpose(..., spectral)
    among = [
        tuple(da.dims.index(d) for d in together if d in asked and da.sizes[d] > 1)
        for together in NEIGHBOUR_DIMS
    ]
    among = [axes for axes in among if axes] or [()]
    steady = da.dims.index(names.TIME) if names.TIME in asked else None
    y = da.values.astype(np.float64)
    terms = noise_terms(ds)
    noise = None
    if terms is not None:
        noise = tuple(np.broadcast_to(t.values, y.shape[-1:]) for t in terms)
    mask, expected = _find(_fill_gaps(y), among, steady, threshold, noise)
    mask &= np.isfinite(y)
    return _result(ds, da, mask, expected, threshold, fill)


def _result(
    ds: xr.Dataset,
    da: xr.DataArray,
    mask: Bools,
    expected: Floats,
    threshold: float,
    fill: str,
) -> xr.Dataset:
    """Dataset with the spikes replaced and counted; a mask from before is kept."""
    new = np.where(mask, expected if fill == "neighbours" else np.nan, da.values)
    flags = xr.DataArray(mask.astype(np.int8), dims=da.dims)
    if MASK in ds:
        flags = (flags | ds[MASK].astype(np.int8)).transpose(*da.dims).astype(np.int8)
    flags.attrs = {
        **names.attrs(MASK),
        "flag_values": np.array([0, 1], dtype=np.int8),
        "flag_meanings": "kept spike",
        "count": int(flags.sum()),
    }
    step = f"despike(threshold={threshold:g}): {int(mask.sum())} values masked"
    intensity = da.copy(deep=False, data=new.astype(da.dtype))
    return attach_intensity(ds.assign({MASK: flags}), intensity, step)


def _find(
    y: Floats,
    among: Sequence[Axes],
    steady: int | None,
    threshold: float,
    noise: tuple[Floats, ...] | None,
) -> tuple[Bools, Floats]:
    """Mask of spikes and the values that the neighbours let expect; y (…, λ) without gaps."""
    least = np.full(y.shape, np.inf)  # significance against the least surprised neighbours
    excess = np.zeros_like(y)
    scatters = []
    for axes in among:
        this, scatter = _excess(y, axes)
        scatters.append(scatter)
        z = this / sigma_of(y - this, scatter, len(_neighbours(y, axes)), noise)
        nearer = z < least
        least = np.where(nearer, z, least)
        excess = np.where(nearer, this, excess)
    least = np.where(np.isinf(least), -np.inf, least)  # nothing to compare with
    where = np.nonzero(least > _SUSPECT * threshold)
    for axes, scatter in zip(among, scatters, strict=True):
        where = _keep(where, _second_look(y, y - excess, where, axes, scatter, noise) > threshold)
        sigma = excess[where] / least[where]
        where = _keep(where, _is_sharp(y, where, axes, sigma))
    if (steady,) in among and steady is not None and y.shape[steady] >= _MANY_TIMES:
        known = (1.0 - _SCATTER_DOUBT / math.sqrt(y.shape[steady])) / _EXCESS_SCATTER
        scatter_in_time = known * _scatter_in_time(excess, where, steady)
        where = _keep(where, excess[where] > threshold * scatter_in_time)
    mask = np.zeros(y.shape, dtype=bool)
    mask[where] = True
    for _ in range(2):
        beside = np.zeros_like(mask)
        beside[..., 1:] |= mask[..., :-1]
        beside[..., :-1] |= mask[..., 1:]
        mask |= beside & (least > _SHOULDER)
    return mask, y - excess


def _keep(where: Index, good: Bools) -> Index:
    return tuple(w[good] for w in where)


def _fill_gaps(y: Floats) -> Floats:
    """Bridge NaN within spectra by straight lines; spectra without any number stay NaN."""
    good = np.isfinite(y)
    if good.all():
        return y
    out = np.where(good, y, np.nan)
    channel = np.arange(y.shape[-1])
    partial = good.any(axis=-1) & ~good.all(axis=-1)
    for row in zip(*np.nonzero(partial), strict=True):
        ok = good[row]
        out[row] = np.interp(channel, channel[ok], y[row][ok])
    return out


def _neighbours(y: Floats, axes: Axes) -> list[tuple[int, NDArray[np.intp]]]:
    """Up to four nearest spectra: an axis each, and where along it to look from every index."""
    found = []
    for axis in axes:
        n = y.shape[axis]
        index = _neighbour_index(n, min(4 // len(axes), n - 1))
        found += [(axis, column) for column in index.T]
    return found


def _neighbour_index(n: int, k: int) -> NDArray[np.intp]:
    """Indices (n, k) of the k nearest others of each of n."""
    distance = np.abs(np.arange(n)[:, None] - np.arange(max(n, 1)))
    if n <= 2 * k + 1:
        return np.asarray(np.argsort(distance, axis=1, kind="stable")[:, 1 : k + 1])
    # nearest by the regular pattern, shifted inwards at both ends
    start = np.clip(np.arange(n) - k // 2, 0, n - k - 1)
    window = start[:, None] + np.arange(k + 1)
    return np.asarray(window[window != np.arange(n)[:, None]].reshape(n, k))


def _small_median(values: Floats) -> Floats:
    """Median over axis 0 of one to four values; where a spectrum is missing, of the others."""
    k = len(values)
    if np.isnan(values).any():
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return np.asarray(np.nanmedian(values, axis=0))
    if k <= 2:
        return np.asarray(values.mean(axis=0))
    middle = values.sum(axis=0) - values.max(axis=0) - values.min(axis=0)
    return np.asarray(middle / (k - 2))


def _excess(y: Floats, axes: Axes) -> tuple[Floats, Scatter]:
    """What stands above the neighbours and above the running median of what stands above them."""
    out = np.empty_like(y)
    scatter = Scatter(y.size, y.shape[-1])
    width = _WIDTH if axes else _WIDTH_ALONE
    first = axes[0] if axes else 0
    whole = y if y.ndim > 1 else y[None]
    moved = np.moveaxis(whole, first, 0)
    target = np.moveaxis(out if y.ndim > 1 else out[None], first, 0)
    step = max(1, _BLOCK // max(1, moved[0].size))
    for start in range(0, len(moved), step):
        rows = slice(start, start + step)
        d = moved[rows]
        if axes:
            # an axis before the first one has moved up by one
            others = [
                moved[column[rows]]
                if axis == first
                else np.take(d, column, axis=axis + (axis < first))
                for axis, column in _neighbours(y, axes)
            ]
            d = d - _small_median(np.stack(others))
        target[rows] = d - _running_median(d, width)
        scatter.look(moved[rows] - target[rows], d)
    return out, scatter


# Comparator networks that leave the median in the middle place.
_NETWORKS: Final = {
    2: ((0, 1), (3, 4), (0, 3), (1, 4), (1, 2), (2, 3), (1, 2)),
    3: ((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4),
        (1, 3), (3, 4)),
}  # fmt: skip


def _running_median(d: Floats, width: int) -> Floats:
    """Median over 2·width + 1 channels of the last axis; at the ends, of the outermost ones.

    Mirroring at the ends would show a spike twice.
    """
    n = d.shape[-1]
    size = 2 * width + 1
    if n <= size:
        return np.broadcast_to(np.median(d, axis=-1, keepdims=True), d.shape)
    p = [d[..., i : n - size + 1 + i] for i in range(size)]
    for a, b in _NETWORKS[width]:
        p[a], p[b] = np.minimum(p[a], p[b]), np.maximum(p[a], p[b])
    return np.pad(p[width], [(0, 0)] * (d.ndim - 1) + [(width, width)], mode="edge")


def _second_look(
    y: Floats,
    expected: Floats,
    where: Index,
    axes: Axes,
    scatter: Scatter,
    noise: tuple[Floats, ...] | None,
) -> Floats:
    """Significance of the suspected values against a quieter expectation."""
    neighbours = _neighbours(y, axes)
    ratio = MEDIAN_VARIANCE[len(neighbours)]
    out = np.empty(where[0].size)
    n = y.shape[-1]
    for start in range(0, out.size, 20_000):
        part = tuple(w[start : start + 20_000] for w in where)

        def variance(e: Floats, part: Index = part) -> Floats:
            # what scatters is the difference from the neighbours
            seen = scatter.at(e) ** 2 / (1.0 + ratio)
            if noise is None:
                return seen
            return np.maximum(model(e, noise[0][part[-1]], noise[1][part[-1]]), seen)

        channel = _window(part[-1][:, None], _RING, n)
        rows = [w[:, None] for w in part[:-1]]
        if axes:
            others = []
            for axis, column in neighbours:
                shifted = list(rows)
                shifted[axis] = column[rows[axis]]
                others.append(y[(*shifted, channel)])
            z = significance(
                y[(*rows, channel)], np.stack(others), part[-1] - channel[:, 0], variance, ratio
            )
        else:
            near = expected[(*rows, _window(part[-1][:, None], _WIDTH_ALONE, n))].mean(axis=1)
            roots = np.sqrt(variance(y[part])) + np.sqrt(variance(near))
            z = 2.0 * (y[part] - expected[part]) / np.maximum(roots, 1e-300) / _LONE_SCATTER
        out[start : start + 20_000] = z
    return out


def _is_sharp(y: Floats, where: Index, axes: Axes, sigma: Floats) -> Bools:
    """True where the excess is not the crest of something broader."""
    out = np.empty(where[0].size, dtype=bool)
    for start in range(0, out.size, 20_000):
        part = slice(start, start + 20_000)
        out[part] = _is_sharp_block(y, tuple(w[part] for w in where), axes, sigma[part])
    return out


def _is_sharp_block(y: Floats, where: Index, axes: Axes, sigma: Floats) -> Bools:
    width = _WIDTH if axes else _WIDTH_ALONE
    n = y.shape[-1]
    at = where[-1][:, None]
    channel = _window(at, _RING, n)
    rows = [w[:, None] for w in where[:-1]]
    window = y[(*rows, channel)]
    if axes:
        others = []
        for axis, column in _neighbours(y, axes):
            shifted = list(rows)
            shifted[axis] = column[rows[axis]]
            others.append(y[(*shifted, channel)])
        window = window - _small_median(np.stack(others))
    unknown = np.isnan(window).any(axis=1)  # no neighbour holds a number
    window = np.where(unknown[:, None], 0.0, window)
    beside = _window(at, width, n)
    near = (channel >= beside[:, :1]) & (channel <= beside[:, -1:])
    level = np.nanmedian(np.where(near, window, np.nan), axis=1)
    ring = np.nanmedian(np.where(near, np.nan, window), axis=1) if n > 2 * width + 1 else level
    # What noise adds to the crest is taken off, the more where steady lines are gone.
    noise = (1.0 if axes else 0.5) * sigma
    crest = np.maximum(np.abs(level - ring) - noise, 0.0)
    return np.asarray((window[channel == at] - level > _SHARPNESS * crest) | unknown)


def _window(at: NDArray[np.intp], reach: int, n: int) -> NDArray[np.intp]:
    """Channels within reach on either side, moved inwards at the ends."""
    size = min(2 * reach + 1, n)
    start = np.clip(at - reach, 0, n - size)
    return np.asarray(start + np.arange(size))


def _scatter_in_time(excess: Floats, where: Index, axis: int) -> Floats:
    """Robust scatter over time of the excess, at each candidate."""
    moved = np.moveaxis(excess, axis, -1)
    rows = tuple(w for i, w in enumerate(where) if i != axis)
    unique, inverse = np.unique(np.stack(rows), axis=1, return_inverse=True)
    scatter = np.empty(unique.shape[1])
    for start in range(0, scatter.size, 2_000):
        part = slice(start, start + 2_000)
        scatter[part] = PER_MAD * np.median(np.abs(moved[tuple(unique[:, part])]), axis=-1)
    return np.asarray(scatter[np.ravel(inverse)])
