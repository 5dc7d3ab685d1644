"""The door of the Arrhenius fits: labelled rates and temperatures become matched, clean arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.names import FIT_STATUS, POWER, TEMPERATURE
from plkit.schema import require_unit

__all__ = ["Points", "TemperatureErrors", "gather", "match_along"]

Array = NDArray[np.float64]

_NO_NUMBER: Final = 3
"""From this fit_status on a fit holds no number: 3 no_signal, 4 failed."""

_DETECTION: Final = "detection_temperature"
_AMBIENT: Final = "ambient_temperature"


@dataclass(frozen=True, slots=True)
class TemperatureErrors:
    """What a user says about the errors of temperature.

    Parameters
    ----------
    independent : DataArray, array_like or None
        σ that differs between points [K].
    shared : DataArray, array_like or None
        σ per point of the error that all points share [K].
    """

    independent: xr.DataArray | ArrayLike | None = None
    shared: xr.DataArray | ArrayLike | None = None


@dataclass(frozen=True, slots=True)
class Points:
    """Matched points of an Arrhenius plot.

    Parameters
    ----------
    quantity : str
        Name in ``names.TABLE`` of what is plotted: a rate or a diffusion coefficient.
    labels : DataArray
        The values as given, over the one dim; carries dim and coordinates.
    kept : numpy.ndarray of bool, shape (n_all,)
        Which of them entered.
    value, ln_var_photon, ln_var_scatter, temperature, temperature_var, shared : numpy.ndarray
        Of the kept points, shape (n,): value, parts of the variance of its logarithm, temperature
        [K], its independent variance [K²], its shared σ [K].
    power : numpy.ndarray or None
        Laser power of the kept points [uW].
    """

    quantity: str
    labels: xr.DataArray
    kept: NDArray[np.bool_]
    value: Array
    ln_var_photon: Array
    ln_var_scatter: Array
    temperature: Array
    temperature_var: Array
    shared: Array
    power: Array | None

    @property
    def has_sigma(self) -> bool:
        """True where the points came with a σ or a scatter."""
        return bool(np.any(self.ln_var_photon + self.ln_var_scatter > 0))


def match_along(
    data: xr.DataArray | ArrayLike, like: xr.DataArray, what: str, action: str
) -> Array:
    """Values of ``data`` at the positions of ``like`` along its one dimension.

    Parameters
    ----------
    data : DataArray or array_like
        A scalar, or values over the dim of ``like``; a DataArray is matched by coordinate values
        (relative tolerance 1e-6), whatever its order.
    like : DataArray
        One-dimensional.
    what, action : str
        Name of the argument, and the words after "Cannot", for errors.

    Returns
    -------
    numpy.ndarray
        One value per position of ``like``.

    Raises
    ------
    DataError
        If the dims, sizes or coordinate values do not fit.

    Examples
    --------
    >>> like = xr.DataArray([0.0, 0.0], coords={"power": [20.0, 10.0]}, dims="power")
    >>> data = xr.DataArray([1.0, 2.0, 4.0], coords={"power": [10.0, 20.0, 40.0]}, dims="power")
    >>> match_along(data, like, "rate", "fit").tolist()
    [2.0, 1.0]
    """
    n, dim = like.size, str(like.dims[0])
    if not isinstance(data, xr.DataArray):
        values = np.asarray(data, dtype=float)
        if values.shape not in ((), (n,)):
            raise DataError(
                action, f"'{what}' has shape {values.shape}, not ({n},)", f"Give one per {dim}."
            )
        return np.array(np.broadcast_to(values, (n,)))
    data = data.squeeze(drop=True) if data.size == 1 else data
    if data.ndim == 0:
        return np.full(n, float(data))
    if data.dims != (dim,):
        found = ", ".join(map(str, data.dims))
        raise DataError(action, f"'{what}' has dims ({found}), not ({dim})", "Select or rename.")
    values = np.asarray(data.values, dtype=float)
    numeric = dim in data.coords and dim in like.coords and like[dim].dtype.kind in "iuf"
    if not numeric or data[dim].dtype.kind not in "iuf":
        if dim in data.coords and dim in like.coords and data[dim].dtype.kind not in "iuf":
            return _by_label(data, like, dim, what, action)
        if data.size != n:
            raise DataError(
                action, f"'{what}' has {data.size} values along {dim}, not {n}", "Match the points."
            )
        return values
    wanted, found_at = like[dim].values.astype(float), data[dim].values.astype(float)
    if wanted.shape == found_at.shape and np.allclose(wanted, found_at, rtol=1e-6, atol=0.0):
        return values  # the common case, and the only one in which a value may be there twice
    hit = np.isclose(wanted[:, None], found_at[None, :], rtol=1e-6, atol=0.0)
    _require_one_each(hit.sum(axis=1), wanted, dim, what, action)
    return np.asarray(values[np.argmax(hit, axis=1)])


def _by_label(data: xr.DataArray, like: xr.DataArray, dim: str, what: str, action: str) -> Array:
    hit = like[dim].values[:, None] == data[dim].values[None, :]
    _require_one_each(hit.sum(axis=1), like[dim].values, dim, what, action)
    return np.asarray(data.values[np.argmax(hit, axis=1)], dtype=float)


def _require_one_each(
    counts: NDArray[Any], wanted: NDArray[Any], dim: str, what: str, action: str
) -> None:
    for bad, word in ((counts == 0, "has no value"), (counts > 1, "has more than one value")):
        if bad.any():
            shown = ", ".join(
                f"{v:g}" if wanted.dtype.kind in "iuf" else str(v) for v in wanted[bad]
            )
            raise DataError(
                action,
                f"'{what}' {word} at {dim} = {shown}",
                f"Give '{what}' once at every {dim} of the data.",
            )


def gather(
    data: xr.DataArray | xr.Dataset,
    temperature: xr.DataArray | xr.Dataset,
    *,
    quantity: str,
    variable: str,
    stderr: xr.DataArray | ArrayLike | None,
    temperature_errors: TemperatureErrors,
    scatter: float,
    power: xr.DataArray | ArrayLike | None,
    action: str,
) -> Points:
    """Match rates and temperatures, and drop what holds no number.

    Parameters
    ----------
    data : DataArray or Dataset
        Values over one dim, or a Dataset with ``variable`` and its σ.
    temperature : DataArray or Dataset
        [K], or the Dataset of ``simulate_heating``.
    quantity, variable : str
        Name of the quantity in ``names.TABLE``, and of its variable in a Dataset.
    stderr : DataArray, array_like or None
        σ of the values, in their unit.
    temperature_errors : TemperatureErrors
        Independent and shared σ of temperature.
    scatter : float
        Relative scatter of the values between points.
    power : DataArray, array_like or None
        Laser power [uW]; taken from a coordinate where it is None.
    action : str
        The words after "Cannot".

    Returns
    -------
    Points
        At least two, at different temperatures.

    Raises
    ------
    DataError
        If fewer than two points are left, or all at one temperature.
    """
    values, status = _values(data, variable, quantity, action)
    if stderr is None and isinstance(data, xr.Dataset):
        stderr = data.get(names.stderr_name(variable))
    n = values.size
    value = np.asarray(values.values, dtype=float)
    powers = _powers(values, power, action)
    t, t_shared = _temperatures(temperature, values, powers, action)
    errors = temperature_errors
    if errors.shared is not None:
        t_shared = _sigma(errors.shared, values, "shared_temperature_stderr", TEMPERATURE, action)
    t_sigma = _sigma(errors.independent, values, "temperature_stderr", TEMPERATURE, action)
    sigma = _sigma(stderr, values, f"{variable}_stderr", quantity, action)
    if not (np.isfinite(scatter) and scatter >= 0):
        raise DataError(action, f"the scatter is {scatter}, not zero or positive")
    kept = _keep(value, sigma, t, t_sigma, t_shared, status, quantity)
    n_kept = int(kept.sum())
    if n_kept < 2:
        raise DataError(
            action,
            f"{n_kept} of {n} points hold a positive {quantity} with a temperature, not at least 2",
            "Measure at more powers, or look at fit_status of the fits before.",
        )
    if np.ptp(t[kept]) <= 1e-9 * float(np.mean(t[kept])):
        raise DataError(
            action,
            f"all {n_kept} points are at {t[kept][0]:.6g} K, not at two temperatures or more",
            "An activation energy needs a change of temperature.",
        )
    ln_var = (sigma[kept] / value[kept]) ** 2
    ln_scatter = np.full(n_kept, scatter**2)
    if np.any(ln_var + ln_scatter > 0) and np.any(ln_var + ln_scatter == 0):
        raise DataError(
            action,
            f"the σ of some {quantity} is 0, not positive",
            "Leave σ out, or state a scatter.",
        )
    return Points(
        quantity=quantity, labels=values, kept=kept, value=value[kept], ln_var_photon=ln_var,
        ln_var_scatter=ln_scatter, temperature=t[kept], temperature_var=t_sigma[kept] ** 2,
        shared=t_shared[kept], power=None if powers is None else powers[kept],
    )  # fmt: skip


def _values(
    data: xr.DataArray | xr.Dataset, variable: str, quantity: str, action: str
) -> tuple[xr.DataArray, NDArray[Any] | None]:
    if isinstance(data, xr.Dataset):
        if variable not in data:
            found = ", ".join(map(str, data.data_vars)) or "nothing"
            raise DataError(
                action, f"'{variable}' is missing, the dataset holds {found}",
                f"Give the dataset of the fit before, or the {quantity} as a DataArray.",
            )  # fmt: skip
        status = data.get(FIT_STATUS)
        values = data[variable]
    elif isinstance(data, xr.DataArray):
        status, values = None, data
    else:
        raise DataError(
            action, f"the {quantity} is a {type(data).__name__}, not a DataArray or a Dataset",
            f'Label it: xr.DataArray(values, dims="{names.POINT}", attrs={{"units": "…"}}).',
        )  # fmt: skip
    values = require_unit(values, quantity, action)
    values = values.squeeze() if values.ndim > 1 else values
    if values.ndim != 1:
        shape = ", ".join(f"{d}: {s}" for d, s in values.sizes.items()) or "none"
        raise DataError(
            action, f"the {quantity} has dims ({shape}), not exactly one",
            "Average or select the others; two points at least are needed.",
        )  # fmt: skip
    # astype(float) at the door: integers would overflow or divide badly further in
    return values.astype(float), None if status is None else status.squeeze().values


def _powers(
    values: xr.DataArray, power: xr.DataArray | ArrayLike | None, action: str
) -> Array | None:
    if power is None:
        if POWER not in values.coords or values[POWER].dims != values.dims:
            return None
        power = values[POWER].reset_coords(drop=True)
    if isinstance(power, xr.DataArray) and "units" in power.attrs:
        power = require_unit(power, POWER, action)
    return match_along(power, values, POWER, action)


def _temperatures(
    temperature: xr.DataArray | xr.Dataset,
    values: xr.DataArray,
    powers: Array | None,
    action: str,
) -> tuple[Array, Array]:
    """Temperature and its shared σ of every point."""
    zero = np.zeros(values.size)
    if isinstance(temperature, xr.Dataset):
        return _from_heating(temperature, powers, action)
    if not isinstance(temperature, xr.DataArray):
        raise DataError(
            action,
            f"the temperature is a {type(temperature).__name__}, not a DataArray or Dataset",
            "Give the result of plkit.simulate_heating, or a DataArray in K.",
        )  # fmt: skip
    temperature = require_unit(temperature, TEMPERATURE, action)
    if temperature.ndim == 0 or temperature.size == 1 < values.size:
        raise DataError(
            action, "there is one temperature for all points, not at least two",
            "An activation energy needs a change of temperature.",
        )  # fmt: skip
    return match_along(temperature, values, TEMPERATURE, action), zero


def _from_heating(heat: xr.Dataset, powers: Array | None, action: str) -> tuple[Array, Array]:
    """Temperatures at the powers of the rates: the rise is proportional to power."""
    missing = [v for v in (_DETECTION, _AMBIENT) if v not in heat]
    if missing:
        raise DataError(
            action, f"'{missing[0]}' is missing from the heating dataset",
            "Give the result of plkit.simulate_heating, or temperatures as a DataArray in K.",
        )  # fmt: skip
    if powers is None:
        raise DataError(
            action, "the rates have no coordinate 'power', not one to find temperatures by",
            "Assign it, or pass power=…",
        )  # fmt: skip
    at = require_unit(heat[_DETECTION], _DETECTION, action)
    ambient = float(require_unit(heat[_AMBIENT], _AMBIENT, action))
    sigma = heat.get(names.stderr_name(_DETECTION), xr.zeros_like(at))
    if POWER not in heat.coords:
        raise DataError(action, "the heating dataset has no coordinate 'power'")
    grid = np.atleast_1d(np.asarray(heat[POWER].values, dtype=float))
    rise = np.atleast_1d(np.asarray(at.values, dtype=float)) - ambient
    shared = np.atleast_1d(np.asarray(sigma.values, dtype=float))
    if at.ndim > 1 or rise.shape != grid.shape or not np.any(grid > 0):
        raise DataError(action, "the heating dataset holds no series over positive powers")
    order = [i for i in np.argsort(grid) if grid[i] > 0]
    grid, rise, shared = grid[order], rise[order], shared[order]
    # The ratio to power is interpolated, and kept beyond the ends: exact for a linear material.
    per_power = np.interp(powers, grid, rise / grid)
    return ambient + per_power * powers, np.interp(powers, grid, shared / grid) * powers


def _sigma(
    given: xr.DataArray | ArrayLike | None, values: xr.DataArray, what: str, unit: str, action: str
) -> Array:
    if given is None:
        return np.zeros(values.size)
    if isinstance(given, xr.DataArray):
        given = require_unit(given, unit, action)
    sigma = match_along(given, values, what, action)
    if np.any(sigma < 0):
        raise DataError(action, f"'{what}' holds negative values, not one standard deviation each")
    return sigma


def _keep(
    value: Array,
    sigma: Array,
    t: Array,
    t_sigma: Array,
    t_shared: Array,
    status: NDArray[Any] | None,
    quantity: str,
) -> NDArray[np.bool_]:
    failed = ~np.isfinite(value)
    if status is not None:
        failed |= np.broadcast_to(np.asarray(status), value.shape) >= _NO_NUMBER
    with np.errstate(invalid="ignore"):
        not_positive = ~failed & (value <= 0)
        unknown_sigma = ~np.isfinite(sigma + t_sigma + t_shared)
        cold = ~(np.isfinite(t) & (t > 0))
    reasons = {
        "hold no number or a failed fit": failed,
        f"have a {quantity} of zero or less, which has no logarithm": not_positive,
        "have no temperature above 0 K": cold & ~failed & ~not_positive,
        "have a σ that is no number": unknown_sigma & ~failed & ~not_positive & ~cold,
    }
    said = [f"{int(mask.sum())} {text}" for text, mask in reasons.items() if mask.any()]
    if said:
        warnings.warn(
            f"Of {value.size} points {'; '.join(said)}: left out of the Arrhenius fit.",
            PlkitWarning,
            stacklevel=4,
        )
    return ~(failed | not_positive | cold | unknown_sigma)
