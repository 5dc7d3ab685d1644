"""Arrays as text inside a page: bytes of like weight together, deflated, in base64."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIGMA_BITS", "VALUE_BITS", "Blocks", "rounded", "unpacked"]

VALUE_BITS: Final = 17
"""Bits of the mantissa of a result that are kept: a relative error below 4 · 10⁻⁶."""
SIGMA_BITS: Final = 7
"""Of a σ: below 0.4 %."""

_LEVEL: Final = 6


def rounded(values: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Numbers of single precision with fewer bits, so that they deflate well.

    Parameters
    ----------
    values : numpy.ndarray
        Any real numbers; NaN stays.
    bits : int
        Of the mantissa, at most 23.

    Returns
    -------
    numpy.ndarray of float32
        The nearest ones.

    Examples
    --------
    >>> float(rounded(np.array([np.pi]), 7)[0])
    3.140625
    """
    with np.errstate(over="ignore"):  # beyond single precision there is no number to draw
        single = np.asarray(values).astype(np.float32)
    good = np.isfinite(single)
    whole = np.where(good, single, np.float32(0)).view(np.uint32)
    drop = 23 - bits
    if drop > 0:
        half = np.uint32(1 << (drop - 1))
        whole = (whole + half) & np.uint32(0xFFFFFFFF ^ ((1 << drop) - 1))
    out = whole.view(np.float32)
    return np.where(good & np.isfinite(out), out, np.float32(np.nan)).astype(np.float32)


@dataclass
class Blocks:
    """What a page carries, block by block.

    Parameters
    ----------
    texts : dict of str to str
        Deflated bytes in base64, by name.
    """

    texts: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Characters of all blocks."""
        return sum(map(len, self.texts.values()))

    def add(self, name: str, array: NDArray[Any]) -> str:
        """Add an array of uint16 or float32; return its name.

        The first bytes of all numbers come first, then the second bytes: those of high weight
        hardly differ, and deflate to next to nothing.
        """
        planes = np.ascontiguousarray(array.ravel()).view(np.uint8).reshape(-1, array.itemsize)
        return self.add_bytes(name, np.ascontiguousarray(planes.T).tobytes())

    def add_bytes(self, name: str, data: bytes) -> str:
        """Add bytes as they are."""
        assert name not in self.texts
        self.texts[name] = base64.b64encode(zlib.compress(data, _LEVEL)).decode("ascii")
        return name


def unpacked(text: str, dtype: Any) -> NDArray[Any]:
    """Read a block as the page does.

    Parameters
    ----------
    text : str
        Of :class:`Blocks`.
    dtype : dtype
        Of the array that was added.

    Returns
    -------
    numpy.ndarray
        Of one dimension.

    Examples
    --------
    >>> blocks = Blocks()
    >>> name = blocks.add("a", np.array([1, 700], np.uint16))
    >>> unpacked(blocks.texts[name], np.uint16).tolist()
    [1, 700]
    """
    kind = np.dtype(dtype)
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    rows = np.ascontiguousarray(planes.reshape(kind.itemsize, -1).T)
    return np.asarray(rows.view(kind).ravel())
