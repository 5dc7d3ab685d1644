"""Agilent Cary WinUV: tables whose samples have a wavelength axis each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from plkit import names
from plkit.io.common import ask, file_error
from plkit.io.registry import Reader
from plkit.io.scans import NM, spectrum
from plkit.io.text import known_unit, read_lines, split_label

__all__ = ["READER", "read_cary"]

_CARY = {"abs": ("absorbance", 1.0), "%t": ("transmittance", 0.01), "%r": ("reflectance", 0.01)}


def read_cary(path: Path, *, sample: str | None = None) -> xr.Dataset:
    """Read one spectrum of a Cary WinUV table whose samples have a wavelength axis each.

    Parameters
    ----------
    path : path
        CSV: names of the samples, then pairs of *Wavelength (nm)* and *Abs*, *%T* or *%R*.
    sample : str, optional
        Which one, where there are several.

    Returns
    -------
    xarray.Dataset
        ``absorbance``, ``transmittance`` or ``reflectance`` (wavelength) [1]; per cent are divided by 100.

    Raises
    ------
    FileFormatError
        If there are several samples and none is named, or there is none of that name.
    """
    path = Path(path)
    lines = read_lines(path)
    titles = [c.strip() for c in lines[0].split(",")][::2]
    labels = [c.strip() for c in lines[1].split(",")]
    pairs = [i for i in range(0, len(labels) - 1, 2) if labels[i] and labels[i + 1]]
    known = [titles[i // 2] if i // 2 < len(titles) else "" for i in pairs]
    if sample is None and len(pairs) > 1:
        raise ask(
            path,
            f"which of its {len(pairs)} spectra ({', '.join(known)}) is wanted",
            f'sample="{known[0]}"',
        )
    if sample is not None and sample not in known:
        raise file_error(path, f"sample is '{sample}', not one of {', '.join(known)}")
    if not pairs:
        raise file_error(path, "its second line does not name pairs of wavelength and value")
    at = pairs[known.index(sample)] if sample is not None else pairs[0]
    unit, mode = split_label(labels[at])[1], labels[at + 1].lower()
    if unit is None or known_unit(unit, NM) is None or mode not in _CARY:
        raise file_error(
            path,
            f"its columns are '{labels[at]}' and '{labels[at + 1]}', not a wavelength and one of Abs, %T, %R",
        )
    rows: list[list[float]] = []
    for number, line in enumerate(lines[2:], 3):
        cells = line.split(",")
        pair = [c.strip() for c in cells[at : at + 2]]
        if len(pair) < 2 or not all(pair):
            break
        try:
            rows.append([float(c) for c in pair])
        except ValueError:
            raise file_error(
                path, f"line {number} holds '{','.join(pair)[:40]}', not two numbers"
            ) from None
    if not rows:
        raise file_error(path, "it breaks off before the first point", "Copy it again.")
    variable, factor = _CARY[mode]
    values = np.array(rows)
    attrs = {"instrument": "Agilent Cary", "title": known[pairs.index(at)]}
    ds = spectrum(variable, values[:, 0], values[:, 1] * factor, attrs)
    ds[names.WAVELENGTH].attrs["units"] = known_unit(unit, NM)
    return ds


def _is_cary(path: Path, head: bytes) -> bool:  # noqa: ARG001
    lines = head.decode("latin-1").splitlines()[:2]
    if len(lines) < 2:
        return False
    labels = [c.strip().lower() for c in lines[1].split(",")]
    return (
        len(labels) >= 2
        and labels[0].startswith("wavelength (")
        and labels[1] in _CARY
        and "," in lines[0]
    )


READER = Reader(
    name="cary",
    title="Agilent Cary CSV",
    suffixes=(),
    sniff=_is_cary,
    read=read_cary,
    options=("sample",),
)
