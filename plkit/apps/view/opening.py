"""Files that are opened side by side, with the dark and the reference spectra that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from plkit.apps.view.layers import Layer, ReferenceFile, open_layers, results_file
from plkit.errors import DataError
from plkit.names import INTENSITY

__all__ = ["open_files"]


def open_files(
    paths: Sequence[str | Path],
    *,
    references: Sequence[str] = (),
    dark: str | Path | None = None,
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Layer, ...]:
    """Open files side by side, with what belongs to all of them.

    Parameters
    ----------
    paths : sequence of str or pathlib.Path
        Files that plkit reads, or results of studies.
    references : sequence of str
        Files of reference spectra, ``"file"`` or ``"name=file"``.
    dark : str or pathlib.Path, optional
        File without light, which is subtracted from the spectra and from the references.
    reader, options
        As for :func:`open_layers`.

    Returns
    -------
    tuple of Layer
        Those of the first file first; names are told apart.

    Raises
    ------
    FileFormatError
        If a file cannot be read.
    DataError
        If a dark or a reference does not go with the spectra.

    Examples
    --------
    >>> before, after = open_files(["before.nc", "after.nc"], dark="dark.nc")  # doctest: +SKIP
    """
    import plkit

    night = None if dark is None else (plkit.read(dark), f"plkit.read({str(dark)!r})")
    files = dict(_reference_file(r, night) for r in references)
    if len(files) < len(references):
        raise DataError(
            "open the references", "two of them have the same name, not one each",
            "Name them: --reference pure=file.nc.",
        )  # fmt: skip
    out: list[Layer] = []
    for path in paths:
        for layer in open_layers(path, reader=reader, options=options):
            if (
                layer.variable == INTENSITY
                and layer.has_spectra
                and results_file(Path(path)) is None
            ):
                if night is not None:
                    layer = replace(_without_dark(layer, night), dark=str(dark))
                layer = replace(layer, references=files)
            taken = [a.name for a in out]
            if layer.name in taken:
                # Two files of one name: the folder tells them apart.
                layer = replace(layer, name=str(Path(path)))
            out.append(layer)
    return tuple(out)


def _reference_file(text: str, night: tuple[xr.Dataset, str] | None) -> tuple[str, ReferenceFile]:
    import plkit

    name, sign, file = text.partition("=")
    if not sign or not name.strip() or Path(text).exists():
        name, file = Path(text).name.partition(".")[0] or text, text
    ds, code = plkit.read(file), f"plkit.read({file!r})"
    if night is not None:
        ds, code = _subtracted(ds, code, night)
    return name.strip(), ReferenceFile(file, ds, code)


def _without_dark(layer: Layer, night: tuple[xr.Dataset, str]) -> Layer:
    ds, code = _subtracted(layer.ds, layer.code, night)
    return replace(layer, ds=ds, code=code)


def _subtracted(ds: xr.Dataset, code: str, night: tuple[xr.Dataset, str]) -> tuple[xr.Dataset, str]:
    import plkit

    return (
        plkit.spectra.subtract_dark(ds, night[0]),
        f"plkit.spectra.subtract_dark({code}, {night[1]})",
    )
