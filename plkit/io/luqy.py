"""Absolute PL of the LuQY Pro: ``*.abspl.txt`` and ``*.pli.txt``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from plkit import names
from plkit.io.common import file_error, slug
from plkit.io.registry import Reader
from plkit.io.text import read_columns, split_label

__all__ = ["READER", "read_luqy"]

# Words that begin a column's label, with the variable that the column is.
_COLUMNS = (
    ("luminescence flux density", "photon_flux"),
    ("raw spectrum", names.INTENSITY),
    ("dark spectrum", "dark_intensity"),
)


def read_luqy(path: Path) -> xr.Dataset:
    """Read a LuQY Pro text file.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    xarray.Dataset
        ``photon_flux`` (wavelength) [1/(cm^2 nm s)], ``intensity`` (wavelength) [counts], where the file
        has it ``dark_intensity`` (wavelength) [counts], ``exposure_time`` [s]. The header's numbers
        are attributes named after their labels: ``bandgap_ev``, ``luqy_percent``, ``qfls_ev``, …

    Raises
    ------
    FileFormatError
        If a column is missing or a line does not hold its numbers.
    """
    path = Path(path)
    table = read_columns(path)
    if not table.labels or not table.labels[0].lower().startswith(names.WAVELENGTH):
        raise file_error(path, "no line names the columns, of which the first is 'Wavelength (nm)'")
    attrs: dict[str, Any] = {"instrument": "LuQY Pro"}
    exposure = None
    for line in table.header:
        label, *rest = line.split("\t")
        if not rest:
            if line.strip() and "acquired" not in attrs and not line.startswith("-"):
                attrs["acquired"] = line.strip()
            continue
        value = _number_or_text(rest[0])
        attrs[slug(label)] = value
        if slug(label) == "integration_time_ms" and isinstance(value, float):
            exposure = value * 1e-3
    variables: dict[str, Any] = {}
    for index, label in enumerate(table.labels[1:], start=1):
        for words, variable in _COLUMNS:
            if label.lower().startswith(words):
                variables[variable] = (
                    names.WAVELENGTH, table.values[:, index], names.attrs(variable)
                )  # fmt: skip
    if "photon_flux" not in variables:
        raise file_error(path, "it has no column 'Luminescence flux density'")
    if exposure is not None:
        variables["exposure_time"] = ((), exposure, names.attrs("exposure_time"))
    unit = split_label(table.labels[0])[1] or names.unit(names.WAVELENGTH)
    axis = (
        names.WAVELENGTH, table.values[:, 0], {**names.attrs(names.WAVELENGTH), "units": unit}
    )  # fmt: skip
    return xr.Dataset(variables, {names.WAVELENGTH: axis}, attrs)


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


READER = Reader(
    name="luqy",
    title="LuQY Pro absolute PL",
    suffixes=(".abspl.txt", ".pli.txt"),
    sniff=lambda path, head: b"LuQY (%)" in head or b"Luminescence flux density" in head,  # noqa: ARG005
    read=read_luqy,
)
