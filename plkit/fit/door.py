"""Arguments of a fit, checked: the data with their noise, and values that are held."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.fit.objective import CountNoise
from plkit.fit.traces import Prepared, aligned
from plkit.schema import require_unit

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["Noise", "fixed_values", "select_data"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Gain and floor of every point, ascending along the axis.

    Parameters
    ----------
    gain, floor : numpy.ndarray
        Shape (points,).
    known : bool
        False where the gain is only supposed: σ is then scaled by √(χ²/ν).
    """

    gain: Floats
    floor: Floats
    known: bool


def select_data(
    data: xr.DataArray | xr.Dataset, noise: str | CountNoise | None, dim: str, action: str
) -> tuple[Any, Noise | None]:
    """Take the intensity of a dataset, and its noise where it is wanted.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        Anything; what is no array is refused later.
    noise : {"poisson"}, CountNoise or None
        As in fit_model.
    dim : str
        Dimension along which to fit.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    tuple
        The array, and gain and floor along the ascending axis or None.
    """
    array: Any = data
    if isinstance(data, xr.Dataset):
        if names.INTENSITY not in data:
            found = ", ".join(map(str, data.data_vars)) or "nothing"
            raise DataError(
                action,
                f"the dataset holds {found}, not the required {names.INTENSITY}",
                "Pick a variable: fit_model(ds['...'], ...).",
            )
        array = data[names.INTENSITY]
    if noise is None or not isinstance(array, xr.DataArray) or dim not in array.dims:
        return array, None
    known = True
    if isinstance(noise, CountNoise):
        terms: tuple[Any, Any] = (noise.gain, noise.floor)
    elif noise == "poisson":
        known = isinstance(data, xr.Dataset) and names.NOISE_GAIN in data
        if not known:
            warnings.warn(
                f"'{names.NOISE_GAIN}' is not known: Poisson weights are used and σ is scaled by "
                f"the reduced χ² of each trace. Set ds['{names.NOISE_GAIN}'] (counts per electron),"
                " or pass noise=plkit.CountNoise(gain=...).",
                PlkitWarning,
                stacklevel=3,
            )
        terms = (
            _term(data, names.NOISE_GAIN, 1.0, array, dim, action),
            _term(data, names.NOISE_FLOOR, 0.0, array, dim, action),
        )
    else:
        raise DataError(action, f"'noise' is '{noise}', not 'poisson', a CountNoise or None")
    n = array.sizes[dim]
    gain, floor = (np.broadcast_to(np.asarray(t, dtype=np.float64), (n,)).copy() for t in terms)
    total = gain + floor
    if not (np.all(np.isfinite(total)) and np.all(gain >= 0) and np.all(floor >= 0)) or np.any(
        total <= 0
    ):
        raise DataError(
            action,
            "gain and floor of the noise give a variance that is not positive everywhere",
            "A gain of 1 and a floor of 0 are those of photon counts.",
        )
    if dim in array.coords:
        order = np.argsort(np.asarray(array[dim].values), kind="stable")
        gain, floor = gain[order], floor[order]
    return array, Noise(gain, floor, known)


def _term(data: Any, name: str, default: float, array: xr.DataArray, dim: str, action: str) -> Any:
    if not isinstance(data, xr.Dataset) or name not in data:
        return default
    term = data[name]
    extra = [str(d) for d in term.dims if d != dim]
    if extra:
        raise DataError(
            action,
            f"'{name}' runs over {', '.join(extra)}, not over {dim} alone or nothing",
            f'Average it: ds["{name}"].mean({extra}).',
        )
    if names.normalise_unit(str(array.attrs.get("units", ""))) == names.unit(names.INTENSITY):
        term = require_unit(term, name, action)
    return term.values


def fixed_values(
    fixed: Mapping[str, xr.DataArray | float],
    params: Parameters | None,
    model: Model,
    ready: Prepared,
    action: str,
) -> tuple[dict[str, xr.DataArray], Parameters | None]:
    """Arrays of the values that parameters are held at, and parameters that have a value for them.

    Parameters
    ----------
    fixed : Mapping
        Numbers or arrays by parameter.
    params : lmfit.Parameters or None
        Of the user.
    model : lmfit.Model
        The model.
    ready : Prepared
        Data, for dims and coordinates.
    action : str
        The words after "Cannot" in errors.

    Returns
    -------
    tuple
        Arrays by parameter; the parameters, a copy where they changed.
    """
    from plkit.fit.lmfit_engine import has_guess

    if not fixed:
        return {}, params
    out: dict[str, xr.DataArray] = {}
    for name, value in fixed.items():
        if isinstance(value, xr.DataArray):
            if value.dtype.kind not in "iuf":
                raise DataError(action, f"'fixed' gives '{name}' with dtype {value.dtype}")
            out[name] = aligned(value, ready.outer, f"fixed['{name}']", action)
            continue
        if np.ndim(value) or not np.isfinite(float(value)):
            raise DataError(
                action,
                f"'fixed' gives '{name}' as {value!r}, not a number or a DataArray",
                "Name the dims: xr.DataArray(values, dims=...).",
            )
        out[name] = xr.DataArray(float(value))
    if params is None and has_guess(model):
        return out, None
    params = model.make_params() if params is None else params.copy()
    for name, array in out.items():
        if name in params and params[name].expr is None and not np.isfinite(params[name].value):
            params[name].set(value=float(array.mean()))  # only so that it has one
    return out, params
