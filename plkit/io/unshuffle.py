"""Undo HDF5's byte shuffle; compiled, imported with the first shuffled chunk only."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba as nb
import numpy as np
from numpy.typing import NDArray

from plkit.physics.compiling import announce_compilation

__all__ = ["unshuffle"]

announce_compilation()

_F = TypeVar("_F", bound=Callable[..., Any])


def _njit(function: _F) -> _F:
    """Compile without the GIL, cached on disk where a folder can be written."""
    try:
        return cast(_F, nb.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba found no folder for its cache
        return cast(_F, nb.njit(nogil=True)(function))


@_njit
def _join2(raw, out):
    n = out.size
    for i in range(n):
        out[i] = np.uint16(raw[i]) | np.uint16(raw[n + i]) << 8


@_njit
def _join4(raw, out):
    n = out.size
    for i in range(n):
        low = np.uint32(raw[i]) | np.uint32(raw[n + i]) << 8
        out[i] = low | np.uint32(raw[2 * n + i]) << 16 | np.uint32(raw[3 * n + i]) << 24


@_njit
def _join8(raw, out):
    n = out.size
    for i in range(n):
        value = np.uint64(0)
        for b in range(8):
            value |= np.uint64(raw[b * n + i]) << np.uint64(8 * b)
        out[i] = value


_JOIN: Final = {2: (_join2, np.uint16), 4: (_join4, np.uint32), 8: (_join8, np.uint64)}


def unshuffle(raw: bytes | bytearray | memoryview, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values whose first bytes stand first, then all second bytes, and so on.

    Parameters
    ----------
    raw : bytes-like
        Shuffled bytes of whole values.
    dtype : dtype
        Of the values, in the byte order of the file.

    Returns
    -------
    ndarray, shape (values,)
        The values.

    Examples
    --------
    >>> unshuffle(bytes([1, 2, 0, 1]), np.dtype("<u2")).tolist()
    [1, 258]
    """
    octets = np.frombuffer(raw, dtype=np.uint8)
    if dtype.itemsize == 1:
        return octets.view(dtype)
    if dtype.itemsize not in _JOIN or sys.byteorder != "little":
        return octets.reshape(dtype.itemsize, -1).T.copy().reshape(-1).view(dtype)
    join, word = _JOIN[dtype.itemsize]
    out = np.empty(octets.size // dtype.itemsize, dtype=word)
    join(octets, out)
    return out.view(dtype)
