"""What can be taken away: tables as CSV with names and units, figures as PNG, SVG and PDF."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names, plot
from plkit.apps.view.layers import Layer
from plkit.apps.view.picture import axis_label
from plkit.errors import DataError

__all__ = ["MIME", "figure_bytes", "map_csv", "spectra_csv", "table_csv"]


def table_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows as CSV in UTF-8, numbers with all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def spectra_csv(layer: Layer, spectra: dict[str, xr.Dataset]) -> bytes:
    """Spectra side by side, each with its σ where that is known."""
    if not spectra:
        raise DataError("write the spectra", "there are none")
    first = next(iter(spectra.values()))
    dim = str(first[layer.variable].dims[0])
    axis = first[dim].values if dim in first.coords else np.arange(first.sizes[dim])
    unit = str(first[layer.variable].attrs.get("units", "1"))
    head, columns = [axis_label(layer, dim) if dim == layer.spectral else names.label(dim)], [axis]
    for name, ds in spectra.items():
        head.append(f"{name} ({unit})")
        columns.append(ds[layer.variable].values)
        sigma = names.stderr_name(layer.variable)
        if sigma in ds:
            head.append(f"{name} σ ({unit})")
            columns.append(ds[sigma].values)
    return table_csv(head, list(zip(*columns, strict=True)))


def map_csv(layer: Layer, image: NDArray[np.float64], label: str) -> bytes:
    """One line per pixel: its position and the value."""
    row, col = layer.plane
    x, y = np.meshgrid(layer.axis(col), layer.axis(row))
    head = [axis_label(layer, col), axis_label(layer, row), label]
    return table_csv(head, list(zip(x.ravel(), y.ravel(), image.ravel(), strict=True)))


MIME: Final = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
"""Kinds of files of figures."""


def figure_bytes(figure: Any, suffix: str) -> bytes:
    """Return the bytes of a figure of :mod:`plkit.plot` as a PNG, SVG or PDF file."""
    if suffix == "pdf":
        import matplotlib as mpl

        stream = io.BytesIO()
        # Text stays text, and two exports are the same to the byte.
        with mpl.rc_context({"pdf.fonttype": 42}):
            figure.savefig(
                stream, format="pdf", metadata={"CreationDate": None, "Creator": "plkit"}
            )
        return stream.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        return plot.save_figure(figure, Path(folder, "figure"))[suffix].read_bytes()
