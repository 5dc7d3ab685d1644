"""Tables of n and k in the YAML of refractiveindex.info."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.io.common import file_error
from plkit.io.registry import Reader

__all__ = ["READER", "read_refractive_index"]

_COLUMNS = {
    "tabulated nk": ("refractive_index", "extinction_coefficient"),
    "tabulated n": ("refractive_index",),
    "tabulated k": ("extinction_coefficient",),
}
_NM_PER_UM = 1e3


def read_refractive_index(path: Path) -> xr.Dataset:
    """Read a refractiveindex.info YAML file.

    Parameters
    ----------
    path : path
        With one or more tables of type ``tabulated nk``, ``tabulated n`` or ``tabulated k``.

    Returns
    -------
    xarray.Dataset
        ``refractive_index`` (wavelength) [1] and ``extinction_coefficient`` (wavelength) [1]; the
        wavelength is in vacuum [nm]. Where n and k stand in tables of their own, k is interpolated
        linearly to the wavelengths of n and NaN outside its range.

    Raises
    ------
    FileFormatError
        If the file holds no table, or a line of it is not numbers.
    """
    import yaml

    path = Path(path)

    class WithoutAliases(yaml.SafeLoader):
        """An alias repeats what it names: a few lines of them would fill the memory."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise file_error(path, "its YAML has aliases, which no table of n and k needs")
            return super().compose_node(parent, index)

    try:
        content = yaml.load(path.read_text(encoding="utf-8"), WithoutAliases)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise file_error(path, f"it is not YAML ({str(exc).splitlines()[0]})") from exc
    blocks = content.get("DATA") if isinstance(content, dict) else None
    if not isinstance(blocks, list):
        raise file_error(path, "it has no entry 'DATA' with a table of n and k")
    tables: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}
    for block in blocks:
        kind = str(block.get("type", "")) if isinstance(block, dict) else ""
        if kind not in _COLUMNS:
            raise file_error(
                path, f"its data are of type '{kind}', not one of {', '.join(_COLUMNS)}",
                "Evaluate the formula on the page of refractiveindex.info and save the table.",
            )  # fmt: skip
        values = _table(path, str(block.get("data", "")), 1 + len(_COLUMNS[kind]))
        for column, variable in enumerate(_COLUMNS[kind], start=1):
            tables[variable] = (values[:, 0] * _NM_PER_UM, values[:, column])
    first = "refractive_index" if "refractive_index" in tables else "extinction_coefficient"
    grid = tables[first][0]
    variables: dict[str, Any] = {}
    for variable, (wavelength, values_1d) in tables.items():
        on_grid = values_1d
        if not np.array_equal(wavelength, grid):
            on_grid = np.interp(grid, wavelength, values_1d, left=np.nan, right=np.nan)
        variables[variable] = (names.WAVELENGTH, on_grid, names.attrs(variable))
    attrs = {
        key.lower(): str(content[key]).strip()
        for key in ("REFERENCES", "COMMENTS", "CONDITIONS")
        if key in content
    }
    axis = (names.WAVELENGTH, grid, {**names.attrs(names.WAVELENGTH), "medium": "vacuum"})
    return xr.Dataset(
        variables, {names.WAVELENGTH: axis}, {"instrument": "refractiveindex.info", **attrs}
    )


def _table(path: Path, text: str, columns: int) -> npt.NDArray[np.float64]:
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != columns:
            raise file_error(
                path, f"row {number} of its table is '{line.strip()}', not {columns} numbers"
            )
        rows.append(row)
    if not rows:
        raise file_error(path, "its table is empty")
    return np.array(rows, dtype=np.float64)


READER = Reader(
    name="refractiveindex",
    title="refractiveindex.info YAML",
    suffixes=(".yml", ".yaml"),
    sniff=lambda path, head: b"DATA:" in head and b"type:" in head,  # noqa: ARG005
    read=read_refractive_index,
)
