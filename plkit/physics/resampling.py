"""Channels of a spectral axis, and counts carried from one axis to another without loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["channel_widths", "resample_counts"]

Floats = NDArray[np.float64]


def channel_widths(axis: ArrayLike) -> Floats:
    """Width of every channel of an axis.

    Parameters
    ----------
    axis : array_like, shape (channels,)
        Centres of the channels, ascending or descending; at least two.

    Returns
    -------
    numpy.ndarray, shape (channels,)
        The smaller of the distances to the two neighbours, in the unit of ``axis``: where channels
        were cut out, those beside the hole keep their own width.

    Examples
    --------
    >>> channel_widths([1.0, 2.0, 3.0, 7.0, 8.0]).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    gaps = np.abs(np.diff(np.asarray(axis, dtype=np.float64)))
    return np.asarray(np.minimum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0])))


def resample_counts(counts: ArrayLike, axis: ArrayLike, onto: ArrayLike) -> Floats:
    """Counts per channel on another axis, such that sums over ranges stay what they were.

    Parameters
    ----------
    counts : array_like, shape (channels,)
        Counts in each channel of ``axis``; negative ones (noise) are kept.
    axis : array_like, shape (channels,)
        Ascending centres of the channels.
    onto : array_like, shape (new_channels,)
        Ascending centres of the new channels, each inside a channel of ``axis``.

    Returns
    -------
    numpy.ndarray, shape (new_channels,)
        Counts in each new channel.

    Notes
    -----
    The cumulative counts at the edges of the channels, C(λ) = ∫ I dλ', are joined by a cubic spline;
    a new channel holds C(upper edge) − C(lower edge). A new edge channel that hangs over the end of
    ``axis`` is scaled up from the part that was measured.

    Examples
    --------
    >>> resample_counts([1.0, 3.0, 5.0, 7.0], [0.0, 1.0, 2.0, 3.0], [0.5, 2.5]).round(6).tolist()
    [4.0, 12.0]
    """
    from scipy.interpolate import CubicSpline

    x = np.asarray(axis, dtype=np.float64)
    new = np.asarray(onto, dtype=np.float64)
    density = np.asarray(counts, dtype=np.float64) / channel_widths(x)
    middle = (x[1:] + x[:-1]) / 2.0
    edges = np.concatenate([[2.0 * x[0] - middle[0]], middle, [2.0 * x[-1] - middle[-1]]])
    cumulative = np.concatenate([[0.0], np.cumsum(density * np.diff(edges))])
    spline = CubicSpline(edges, cumulative)
    half = channel_widths(new) / 2.0
    low = np.maximum(new - half, edges[0])
    high = np.minimum(new + half, edges[-1])
    return np.asarray((spline(high) - spline(low)) * (2.0 * half / (high - low)))
