"""Curves of the kinetics that were fitted to every pixel of a map, to be drawn over its fractions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.apps.mailable.packing import SIGMA_BITS, Blocks, rounded
from plkit.apps.view.layers import Layer
from plkit.names import COMPONENT, COVARIANCE, PARAM_I, PARAM_J, TIME
from plkit.physics.rates import (
    BIEXPONENTIAL_PARAMETERS,
    biexponential_decay,
    biexponential_gradient,
)

__all__ = ["add_pixel_fits", "fitted_curves"]

_POINTS: Final = 40
_BITS: Final = 10
"""Of a curve: it is drawn, not computed with."""

Floats = NDArray[np.float64]


def add_pixel_fits(
    entries: Iterable[dict[str, Any]], layer: Layer, maps: Mapping[str, xr.Dataset], blocks: Blocks,
    prefix: str,
) -> None:  # fmt: skip
    """Give the maps of fractions over time the kinetics that were fitted to them.

    Parameters
    ----------
    entries : iterable of dict
        Quantities of the page; those that a fit belongs to get ``"fit"``.
    layer : Layer
        A map over time.
    maps : mapping
        Results on its plane, by name.
    blocks : Blocks
        Takes the curves.
    prefix : str
        Of the names of the blocks.
    """
    if layer.outer[:1] != (TIME,):
        return
    fits = [ds for ds in (layer.ds, *maps.values()) if _is_kinetics(ds, layer)]
    if not fits:
        return
    kinetics = fits[0]
    t = layer.axis(TIME)
    # Denser at the start, where a decay bends.
    grid = t[0] + (t[-1] - t[0]) * np.linspace(0.0, 1.0, _POINTS) ** 2
    curve, spread = fitted_curves(kinetics.transpose(..., *layer.plane), grid)
    falling = str(kinetics.attrs.get(COMPONENT, ""))
    components = [q["key"].rpartition(":")[2] for q in entries if _is_fraction(q)]
    names: dict[str, Any] = {}
    for entry in entries:
        name = entry["key"].rpartition(":")[2]
        if not _is_fraction(entry) or (name != falling and len(set(components)) != 2):
            continue
        if not names:
            names = {
                "grid": [float(f"{v:.6g}") for v in grid],
                "curve": blocks.add(f"{prefix}fit", rounded(curve, _BITS)),
                "spread": blocks.add(f"{prefix}fit-sigma", rounded(spread, SIGMA_BITS)),
            }
        # Of two components, one is what the other leaves.
        entry["fit"] = {**names, "mirrored": name != falling}


def _is_fraction(entry: Mapping[str, Any]) -> bool:
    return str(entry["key"]).rpartition("/")[2].startswith("fraction:") and TIME in entry["frames"]


def _is_kinetics(ds: xr.Dataset, layer: Layer) -> bool:
    needed = BIEXPONENTIAL_PARAMETERS[:2]
    return all(n in ds and set(ds[n].dims) == set(layer.plane) for n in needed) and bool(
        ds.attrs.get(COMPONENT)
    )


def fitted_curves(kinetics: xr.Dataset, time_s: Floats) -> tuple[Floats, Floats]:
    """Fitted decays of a map and their σ.

    Parameters
    ----------
    kinetics : xarray.Dataset
        Result of :func:`plkit.fit_kinetics` over (y, x).
    time_s : numpy.ndarray
        Times [s].

    Returns
    -------
    tuple of numpy.ndarray
        Fraction of the falling component and one σ [1], (pixel, time); NaN where a fit failed, σ
        also where no covariance is known.
    """
    shape = kinetics[BIEXPONENTIAL_PARAMETERS[1]].shape
    p = {
        n: np.asarray(kinetics[n].values if n in kinetics else np.zeros(shape), float).reshape(
            -1, 1
        )
        for n in BIEXPONENTIAL_PARAMETERS
    }
    values = [p[n] for n in BIEXPONENTIAL_PARAMETERS]
    failed = ~np.isfinite(np.hstack(values)).all(1)
    values = [np.where(failed[:, None], 0.0, v) for v in values]
    curve = np.array(biexponential_decay(time_s, *values))
    curve[failed] = np.nan
    if COVARIANCE not in kinetics:
        return curve, np.full_like(curve, np.nan)
    covariance = kinetics[COVARIANCE]
    known = [str(n) for n in covariance[PARAM_I].values if n in BIEXPONENTIAL_PARAMETERS]
    c = covariance.sel({PARAM_I: known, PARAM_J: known}).transpose(..., PARAM_I, PARAM_J).values
    # A parameter at its bound has no variance of its own: NaN there counts as none.
    c = np.nan_to_num(c.reshape(-1, len(known), len(known)), nan=0.0)
    columns = [BIEXPONENTIAL_PARAMETERS.index(n) for n in known]
    gradient = np.asarray(biexponential_gradient(time_s, *values[:4]))[..., columns]
    variance = np.einsum("pti,pij,ptj->pt", gradient, c, gradient, optimize=True)
    spread = np.sqrt(np.clip(variance, 0.0, None))
    spread[failed] = np.nan
    return curve, spread
