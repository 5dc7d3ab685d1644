"""What is in a file, for people and for programs."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from plkit import names, schema
from plkit.io.common import measured_variable

__all__ = ["DimInfo", "FileInfo", "info"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_SKETCH_WIDTH = 60


@dataclass(frozen=True, slots=True)
class DimInfo:
    """One axis.

    Parameters
    ----------
    name : str
        Dimension.
    size : int
        Number of points.
    first, last, step : float or None
        Range and mean step in ``unit``; None without numbers.
    even : bool
        Whether all steps are equal within 1 %.
    unit : str
        Unit of the axis.
    """

    name: str
    size: int
    first: float | None
    last: float | None
    step: float | None
    even: bool
    unit: str

    def __str__(self) -> str:
        """Return one line."""
        if self.first is None or self.last is None:
            return f"{self.name}: {self.size}"
        unit = "" if self.unit == "1" else f" {self.unit}"
        text = f"{self.name}: {self.size} from {self.first:g} to {self.last:g}{unit}"
        if self.step is None:
            return text
        return f"{text}, step {self.step:.4g}{unit}" + ("" if self.even else " on average, uneven")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What :func:`info` found.

    Parameters
    ----------
    path : str
        The file.
    size_bytes : int
        Of the file, or of all files of a folder.
    sha256 : str
        Of the file.
    reader : str
        Format.
    instrument : str
        As far as the file says.
    variable : str or None
        What was measured; None for results without a spectral axis.
    variables : tuple of str
        All variables.
    dtype, unit : str
        Of the measured variable.
    dims : tuple of DimInfo
        Axes of the measured variable.
    minimum, maximum : float or None
        Of the measured variable.
    exposure_s : tuple of float or None
        Shortest and longest exposure [s].
    saturation_level : float or None
        Counts at which the detector saturates.
    n_saturated : int
        Values at or above that level.
    n_missing : int
        Values that are NaN.
    n_missing_spectra : int
        Spectra without a number.
    sketch : str
        Mean spectrum in block characters.
    faults : tuple of str
        What :func:`plkit.validate` says, one line per fault.
    """

    path: str
    size_bytes: int
    sha256: str
    reader: str
    instrument: str
    variable: str | None
    variables: tuple[str, ...]
    dtype: str
    unit: str
    dims: tuple[DimInfo, ...]
    minimum: float | None
    maximum: float | None
    exposure_s: tuple[float, float] | None
    saturation_level: float | None
    n_saturated: int
    n_missing: int
    n_missing_spectra: int
    sketch: str
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain mapping that ``json.dumps`` takes."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a summary for a terminal."""
        lines = [
            f"{Path(self.path).name}  ({_size_text(self.size_bytes)}, read by '{self.reader}')",
            f"  sha256      {self.sha256}",
        ]
        lines.append(f"  instrument  {self.instrument or 'not stated'}")
        if self.variable is None:
            return "\n".join([*lines, f"  holds       {', '.join(self.variables)}"])
        bounds = "" if self.minimum is None else f", {self.minimum:g} to {self.maximum:g}"
        unit = "" if self.unit == "1" else f" {self.unit}"
        lines.append(f"  measured    {self.variable} as {self.dtype}{bounds}{unit}")
        others = [v for v in self.variables if v != self.variable]
        if others:
            lines.append(f"  also        {', '.join(others)}")
        lines += [f"  axis        {dim}" for dim in self.dims]
        if self.exposure_s is not None:
            low, high = self.exposure_s
            lines.append(f"  exposure    {low:g} s" + ("" if low == high else f" to {high:g} s"))
        else:
            lines.append("  exposure    not stated")
        if self.saturation_level is not None:
            lines.append(
                f"  saturation  {self.n_saturated} values at {self.saturation_level:g} counts or more"
            )
        else:
            lines.append("  saturation  level not stated")
        lines.append(
            f"  missing     {self.n_missing} values, {self.n_missing_spectra} whole spectra"
        )
        spectral = self.dims[-1] if self.dims else None
        if spectral is not None and spectral.first is not None and self.sketch:
            lines.append(f"  mean        {self.sketch}")
            ends = f"{spectral.first:g}", f"{spectral.last:g} {spectral.unit}"
            gap = max(len(self.sketch) - len(ends[0]) - len(ends[1]), 1)
            lines.append(f"              {ends[0]}{' ' * gap}{ends[1]}")
        lines += [f"  {fault}" for fault in self.faults]
        return "\n".join(lines)


def info(path: str | os.PathLike[str], *, reader: str | None = None, **options: Any) -> FileInfo:
    """Say what is in a file.

    Parameters
    ----------
    path : path
        Anything that :func:`plkit.read` reads.
    reader : str, optional
        Name of the reader.
    **options
        Options of the reader.

    Returns
    -------
    FileInfo
        ``print`` it for a summary with a sketch of the mean spectrum; ``to_dict()`` for programs.

    Raises
    ------
    FileFormatError
        As :func:`plkit.read`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "film.csv")
    ...     _ = path.write_text("Wavelength (nm),Intensity (counts)\\n500,3\\n510,7\\n520,3\\n")
    ...     found = info(path)
    >>> print(found.dims[0])
    wavelength: 3 from 500 to 520 nm, step 10 nm
    >>> found.sketch
    '▁█▁'
    """
    from plkit.io.reading import read

    ds = read(path, reader=reader, **options)
    where = Path(path)
    files = [p for p in where.rglob("*") if p.is_file()] if where.is_dir() else [where]
    variable = measured_variable(ds)
    common: dict[str, Any] = {
        "path": str(where),
        "size_bytes": sum(p.stat().st_size for p in files),
        "sha256": str(ds.attrs.get("source_sha256", "")),
        "reader": str(ds.attrs["reader"]),
        "instrument": str(ds.attrs.get("instrument", "")),
        "variable": variable,
        "variables": tuple(map(str, ds.data_vars)),
    }
    return FileInfo(**common, **_measured(ds, variable))


def _measured(ds: xr.Dataset, variable: str | None) -> dict[str, Any]:
    if variable is None:
        nothing: dict[str, Any] = dict.fromkeys(
            ("minimum", "maximum", "exposure_s", "saturation_level")
        )
        zeros = dict.fromkeys(("n_saturated", "n_missing", "n_missing_spectra"), 0)
        return {**nothing, **zeros, "dtype": "", "unit": "", "dims": (), "sketch": "", "faults": ()}
    da = ds[variable]
    spectral = next(d for d in names.MEASURED_DIMS if d in da.dims)
    finite = da.notnull()
    level = _saturation_level(ds, da)
    any_finite = bool(finite.any())
    return {
        "dtype": str(da.dtype),
        "unit": str(da.attrs.get("units", "1")),
        "dims": tuple(_dim_info(da, str(d)) for d in da.dims),
        "minimum": float(da.min()) if any_finite else None,
        "maximum": float(da.max()) if any_finite else None,
        "exposure_s": _exposure(ds),
        "saturation_level": level,
        "n_saturated": 0 if level is None else int((da >= level).sum()),
        "n_missing": int((~finite).sum()),
        "n_missing_spectra": int((~finite.any(spectral)).sum()),
        "sketch": _sketch(da, finite, spectral),
        "faults": tuple(map(str, schema.validate(ds, variable).faults)),
    }


def _size_text(size: int) -> str:
    """Size with a decimal prefix."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{size / limit:.3g} {unit}"
    return f"{size} B"


def _dim_info(da: xr.DataArray, dim: str) -> DimInfo:
    size = da.sizes[dim]
    unit = str(da[dim].attrs.get("units", "1"))
    if dim not in da.coords or da[dim].dtype.kind not in "iuf":
        return DimInfo(dim, size, None, None, None, True, unit)
    values = da[dim].values.astype(np.float64)
    steps = np.diff(values)
    step = float(steps.mean()) if steps.size else None
    even = bool(steps.size == 0 or np.allclose(steps, steps.mean(), rtol=0.01))
    return DimInfo(dim, size, float(values[0]), float(values[-1]), step, even, unit)


def _exposure(ds: xr.Dataset) -> tuple[float, float] | None:
    if "exposure_time" not in ds.variables:
        return None
    return float(ds["exposure_time"].min()), float(ds["exposure_time"].max())


def _saturation_level(ds: xr.Dataset, da: xr.DataArray) -> float | None:
    """Stated level, or the top of a short unsigned type."""
    if "saturation_level" in ds.variables:
        return float(ds["saturation_level"])
    if "saturation_level" in da.attrs:
        return float(da.attrs["saturation_level"])
    return float(np.iinfo(da.dtype).max) if da.dtype in (np.uint8, np.uint16) else None


def _sketch(da: xr.DataArray, finite: xr.DataArray, spectral: str) -> str:
    """Mean spectrum in at most 60 block characters; a blank where there is no number."""
    others = [d for d in da.dims if d != spectral]
    count = finite.sum(others).values.astype(np.float64)
    total = da.where(finite, 0).sum(others, dtype=np.float64).values
    bins = np.array_split(np.arange(total.size), min(_SKETCH_WIDTH, total.size))
    means = np.array([total[b].sum() / count[b].sum() if count[b].sum() else np.nan for b in bins])
    if not np.any(np.isfinite(means)):
        return " " * len(means)
    low, high = np.nanmin(means), np.nanmax(means)
    span = high - low if high > low else 1.0
    return "".join(
        " " if np.isnan(m) else _BLOCKS[round((m - low) / span * (len(_BLOCKS) - 1))] for m in means
    )
