"""What is laid over a spectrum: a fitted model with its parts, or the unmixed components."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

import plkit
from plkit import names
from plkit.errors import PlkitError, PlkitWarning
from plkit.names import COMPONENT, INTENSITY
from plkit.plot.style import value_text
from plkit.schema import spectral_dim

__all__ = ["MODELS", "Overlay", "overlay_of"]

Floats = NDArray[np.float64]

MODELS: Final = {
    "gaussian": ("gaussian", 1), "two gaussians": ("gaussian", 2), "asymmetric": ("asymmetric", 1),
    "lorentzian": ("lorentzian", 1),
}  # fmt: skip
"""Shape and number of peaks of :class:`plkit.models.PeaksModel`, by name on the page."""

_STATUS: Final = ("ok", "at bound", "not identifiable", "no signal", "failed")


@dataclass(frozen=True)
class Overlay:
    """A fit of one spectrum.

    Parameters
    ----------
    x : numpy.ndarray
        Spectral axis of the data.
    total : numpy.ndarray
        The fitted curve.
    parts : dict of str to numpy.ndarray
        What it is the sum of.
    residual : numpy.ndarray
        Data minus fit, in σ where that is known.
    in_sigma : bool
        Whether it is.
    lines : tuple of str
        Parameters with σ.
    """

    x: Floats
    total: Floats
    parts: dict[str, Floats]
    residual: Floats
    in_sigma: bool
    lines: tuple[str, ...]


def overlay_of(
    spectrum: xr.Dataset, fit: str, references: xr.DataArray | None = None
) -> Overlay | None:
    """Fit one spectrum.

    Parameters
    ----------
    spectrum : xarray.Dataset
        ``intensity`` (λ) [counts], with the noise model where it is known.
    fit : str
        One of :data:`MODELS`, ``"components"``, or ``"none"``.
    references : xarray.DataArray, optional
        (component, λ), of ``"components"``.

    Returns
    -------
    Overlay or None
        None where nothing was asked for, or nothing can be fitted.
    """
    if fit == "none" or INTENSITY not in spectrum:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlkitWarning)
        if fit == "components":
            return None if references is None else _components(spectrum, references)
        return _model(spectrum, fit)


def _model(spectrum: xr.Dataset, fit: str) -> Overlay | None:
    from plkit.models import PeaksModel

    dim = spectral_dim(spectrum)
    shape, n_peaks = MODELS[fit]
    model = PeaksModel(shape, n_peaks)
    kept = [n for n in (INTENSITY, names.NOISE_GAIN, names.NOISE_FLOOR) if n in spectrum]
    # One spectrum: the reference engine is as quick, and has nothing to compile at the first click.
    result = plkit.fit_model(spectrum[kept], model, dim, engine="lmfit")
    status = int(result["fit_status"])
    x = spectrum[dim].values.astype(float)
    values = {p: float(result[p]) for p in model.param_names}
    if not all(np.isfinite(v) for v in values.values()):
        return None
    total = np.asarray(model.eval(x=x, **values))
    parts = {}
    for n in range(1, n_peaks + 1):
        tail = f"_{n}" if n_peaks > 1 else ""
        alone = {
            p: (0.0 if p.startswith("height") and p != f"height{tail}" else v)
            for p, v in values.items()
        }
        name = f"peak {n}" if n_peaks > 1 else "peak"
        parts[name] = np.asarray(model.eval(x=x, **alone))
    lines = tuple(
        f"{p} = "
        + value_text(values[p], float(result[f"{p}_stderr"]), result[p].attrs.get("units", "1"))
        for p in model.param_names
    )
    return _made(spectrum, x, total, parts, (*lines, f"status: {_STATUS[status]}"))


def _components(spectrum: xr.Dataset, references: xr.DataArray) -> Overlay | None:
    dim = spectral_dim(spectrum)
    if dim not in references.dims:
        return None
    try:
        result = plkit.unmix(spectrum, references)
    except PlkitError:
        return None
    x = spectrum[dim].values.astype(float)
    shapes = references / references.sum(dim)
    parts = {
        str(c): np.asarray(shapes.sel({COMPONENT: c}) * result["amplitude"].sel({COMPONENT: c}))
        for c in references[COMPONENT].values
    }
    total = np.sum(list(parts.values()), axis=0)
    lines = tuple(
        f"f({c}) = "
        + value_text(
            float(result["fraction"].sel({COMPONENT: c})),
            float(result["fraction_stderr"].sel({COMPONENT: c})),
        )
        for c in parts
    )
    return _made(spectrum, x, total, parts, lines)


def _made(
    spectrum: xr.Dataset, x: Floats, total: Floats, parts: dict[str, Floats], lines: tuple[str, ...]
) -> Overlay:
    residual = spectrum[INTENSITY].values - total
    name = names.stderr_name(INTENSITY)
    if name in spectrum:
        return Overlay(x, total, parts, residual / spectrum[name].values, True, lines)
    return Overlay(x, total, parts, residual, False, lines)
