"""Laser-induced temperature of a film, with its uncertainty.

The equations are in :mod:`plkit.physics.heat_layers` and :mod:`plkit.physics.heat_volumes`.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError, PlkitWarning
from plkit.names import INPUT, POWER, TEMPERATURE, TIME, R, Z
from plkit.schema import add_history, require_unit
from plkit.sim.laser_film import GLASS, Film, LaserSpot, Layer, absorptance_from_nk

__all__ = ["GLASS", "Film", "LaserSpot", "Layer", "absorptance_from_nk", "simulate_heating"]

Array = NDArray[np.float64]
_ACTION = "simulate the heating"
# Below, a temperature is more likely in degrees Celsius than meant.
_COLD_K = 77.0
# Names of the varied inputs; substrate layers follow as substrate_conductivity[_1, _2, …].
_SPOT, _ABSORPTANCE, _FILM = "spot_radius", "absorptance", "film_conductivity"


def simulate_heating(
    spot: LaserSpot,
    film: Film,
    *,
    power_uw: Sequence[float] | float | xr.DataArray | None = None,
    ambient_k: float = 293.15,
    r_um: Sequence[float] | Array | None = None,
    z_um: Sequence[float] | Array | None = None,
    times_s: Sequence[float] | Array | None = None,
    solver: Literal["hankel", "volumes"] = "hankel",
) -> xr.Dataset:
    """Temperature of a film under a focused laser.

    The problem is linear, so that one solution serves all powers. What is detected is emitted where
    the laser shines, from the whole thickness of the film: rates go with
    ``detection_temperature``, the mean over the film weighted with the intensity of the beam.

    Parameters
    ----------
    spot : LaserSpot
        Beam.
    film : Film
        Film and substrate.
    power_uw : array_like or xarray.DataArray, optional
        Incident powers (power) [µW]. Without them only what is per power comes back.
    ambient_k : float, optional
        Temperature far from the spot [K].
    r_um : array_like, optional
        Distances from the axis, ascending [µm]; 0 to 10 spot radii by default.
    z_um : array_like, optional
        Depths below the surface, ascending [µm]; through the film and 10 spot radii into the
        substrate by default.
    times_s : array_like, optional
        Times since the laser was switched on, ascending [s]. Then ``rise_per_power`` and
        ``temperature`` run over time; all else stays the steady state.
    solver : {"hankel", "volumes"}, optional
        Exact Hankel-transform solution, or finite volumes (0.1 %, seconds).

    Returns
    -------
    xarray.Dataset
        ``rise_per_power`` ([time,] r, z), ``peak_rise_per_power``, ``detection_rise_per_power``
        [K/µW of incident power], the last two means over the film's thickness, with ``_stderr``;
        ``temperature_scale_stderr`` [1], relative σ of every temperature rise, and its parts
        ``temperature_scale_by_input`` (input) [1], the relative change for one σ of each input;
        ``B`` [1/s] with ``B_stderr``, ``form_misfit_radius`` and ``form_misfit_time`` [1] of the
        form A0 (1 − exp(−B t)) exp(−2 r²/w0²); ``ambient_temperature`` [K].
        With powers: ``temperature`` (power, [time,] r, z), ``peak_temperature`` (power),
        ``detection_temperature`` (power) and ``A0`` (power) [K], the last three with ``_stderr``.
        With times: ``peak_step_per_power`` (time), ``detection_step_per_power`` (time) [K/µW].
        Every σ of a temperature carries ``attrs["shared"] = 1``: it moves all powers together.

    Raises
    ------
    DataError
        If a power, radius, depth or time is negative, NaN, out of order or outside the stack.
    UnitsError
        If the unit of a ``power_uw`` array is no power.

    Warns
    -----
    PlkitWarning
        If ``ambient_k`` is below 77 K, as 20 would be that was meant in degrees Celsius.

    Notes
    -----
    ΔT = absorptance · heat fraction · P · (rise per absorbed power). σ by the law of propagation,
    from the derivatives of the exact solution to absorptance, spot radius and conductivities,
    which are taken as independent. A0 is the steady rise on the axis, 1/B the time at which the
    rise on the axis has reached 1 − 1/e of it; σ of B leaves out that of the heat capacities. The
    misfits are the largest differences in units of A0: the true field has a tail ∝ 1/r and
    approaches its limit as 1/√t.

    Examples
    --------
    >>> film = Film(40.0, 0.4, absorptance=0.228, absorptance_stderr=0.0114)
    >>> heat = simulate_heating(LaserSpot(1.0, radius_stderr_um=0.05), film, power_uw=[10.0, 80.0])
    >>> print(heat.detection_temperature.round(1).values, heat.detection_temperature_stderr.round(2).values)
    [293.8 298.1] [0.04 0.36]
    >>> print(f"{float(heat.temperature_scale_stderr):.3f}")
    0.071
    """
    power = _powers(power_uw)
    if not (math.isfinite(ambient_k) and ambient_k > 0):
        raise DataError(_ACTION, f"'ambient_k' is {ambient_k}, not a positive number of kelvin")
    if ambient_k < _COLD_K:
        warnings.warn(
            f"'ambient_k' is {ambient_k:g} K, colder than liquid nitrogen: if degrees Celsius were "
            "meant, add 273.15. The thermal constants are taken as given, whatever the temperature.",
            PlkitWarning,
            stacklevel=2,
        )
    if solver not in ("hankel", "volumes"):
        raise DataError(_ACTION, f"'solver' is {solver!r}, not 'hankel' or 'volumes'")
    w0, thickness = spot.radius_um, film.thickness_nm * 1e-3
    r = _axis("r_um", r_um, w0 * np.linspace(0.0, 10.0, 101))
    depth = thickness + sum(layer.thickness_um for layer in film.substrate)
    below = thickness + w0 * np.array([0.25, 0.5, 1.0, 2.0, 5.0, 10.0])
    z = _axis("z_um", z_um, np.array([0.0, thickness / 2, thickness, *below[below < depth]]))
    if z[-1] > depth:
        raise DataError(_ACTION, f"'z_um' reaches {z[-1]:g} um, not at most {depth:g} um")
    times = None if times_s is None else _axis("times_s", times_s, np.zeros(0))

    heat = film.absorbed_heat
    per_absorbed = _field(spot, film, r, z, times, solver)
    ds = per_absorbed.assign(
        {
            name: (variable * heat).assign_attrs(names.attrs(str(name)))
            for name, variable in per_absorbed.data_vars.items()
        }
    )
    ds = ds.merge(_uncertainty(spot, film, ds), combine_attrs="drop_conflicts")
    ds = ds.merge(_published_form(spot, film))
    ds["ambient_temperature"] = ((), float(ambient_k), names.attrs("ambient_temperature"))
    if power is not None:
        ds = _with_powers(ds, power)
    ds = ds.assign_attrs(
        laser=json.dumps(asdict(spot)),
        film=json.dumps(asdict(film)).replace("Infinity", '"inf"'),
        solver=solver,
        comment="peak and detection: means over the thickness of the film",
    )
    return add_history(ds, f"simulate_heating(solver={solver!r})")


def _powers(power_uw: Any) -> xr.DataArray | None:
    if power_uw is None:
        return None
    if isinstance(power_uw, xr.DataArray):
        checked = require_unit(power_uw, POWER, _ACTION)
        if checked.ndim == 1 and checked.dims != (POWER,):
            raise DataError(
                _ACTION,
                f"'power_uw' has dims {checked.dims[0]}, not {POWER}",
                "Rename the dimension.",
            )
        power_uw = checked.values
    values = np.atleast_1d(np.asarray(power_uw, dtype=float))
    if values.ndim != 1 or values.size == 0:
        raise DataError(_ACTION, f"'power_uw' has the shape {values.shape}, not a list of powers")
    if not np.all(np.isfinite(values) & (values >= 0)):
        bad = values[~(np.isfinite(values) & (values >= 0))][0]
        raise DataError(_ACTION, f"'power_uw' holds {bad}, not a positive number of microwatts")
    return xr.DataArray(values, dims=POWER, attrs=names.attrs(POWER))


def _axis(name: str, values: Any, default: Array) -> Array:
    out = default if values is None else np.atleast_1d(np.asarray(values, dtype=float))
    if out.ndim != 1 or out.size == 0:
        raise DataError(_ACTION, f"'{name}' has the shape {out.shape}, not a list of numbers")
    if not np.all(np.isfinite(out)) or out[0] < 0 or np.any(np.diff(out) <= 0):
        raise DataError(_ACTION, f"'{name}' is not finite, from 0 upwards and ascending")
    return out


def _model(spot: LaserSpot, film: Film, factors: dict[str, float] | None = None) -> tuple[Any, Any]:
    """Stack and beam of the physics room, with inputs scaled by ``factors``."""
    from plkit.physics.heat_layers import Beam, PlanarStack

    scale = factors or {}
    layers = film.substrate
    stack = PlanarStack(
        (film.thickness_nm * 1e-3, *(layer.thickness_um for layer in layers)),
        (
            film.conductivity_w_mk * scale.get(_FILM, 1.0),
            *(
                layer.conductivity_w_mk * scale.get(name, 1.0)
                for layer, name in zip(layers, _substrate_names(film), strict=True)
            ),
        ),
        (film.heat_capacity_j_m3k, *(layer.heat_capacity_j_m3k for layer in layers)),
    )
    return stack, Beam(spot.radius_um * scale.get(_SPOT, 1.0), film.absorption_per_um)


def _substrate_names(film: Film) -> list[str]:
    if len(film.substrate) == 1:
        return ["substrate_conductivity"]
    return [f"substrate_conductivity_{i + 1}" for i in range(len(film.substrate))]


def _field(
    spot: LaserSpot, film: Film, r: Array, z: Array, times: Array | None, solver: str
) -> xr.Dataset:
    """Rise per absorbed power: the field, and the peak and detected values."""
    from plkit.physics.heat_layers import layered_detection_rise, layered_rise

    stack, beam = _model(spot, film)
    axis = np.zeros(1)
    steps: tuple[Array, Array] | None = None
    if solver == "hankel":
        field = layered_rise(stack, beam, r, z, times)
        peak = layered_rise(stack, beam, axis)[0]
        detection = layered_detection_rise(stack, beam)
        if times is not None:
            steps = (
                layered_rise(stack, beam, axis, None, times)[:, 0],
                layered_detection_rise(stack, beam, None, times),
            )
    else:
        from plkit.physics.heat_grid import graded_grid
        from plkit.physics.heat_volumes import steady_volumes, step_volumes

        grid = graded_grid(stack, beam)
        steady = steady_volumes(stack, beam, grid)
        field, peak = steady.at(r, z), steady.at(axis)[0]
        detection = steady.detection(spot.radius_um)
        if times is not None:
            step = step_volumes(stack, beam, grid, times)
            field = step.at(r, z)
            steps = step.at(axis)[:, 0], step.detection(spot.radius_um)
    coords: dict[str, Any] = {R: (R, r, names.attrs(R)), Z: (Z, z, names.attrs(Z))}
    dims = (R, Z) if times is None else (TIME, R, Z)
    data: dict[str, Any] = {
        "rise_per_power": (dims, field),
        "peak_rise_per_power": ((), float(peak)),
        "detection_rise_per_power": ((), float(detection)),
    }
    if times is not None and steps is not None:
        coords[TIME] = (TIME, times, names.attrs(TIME))
        data["peak_step_per_power"] = (TIME, steps[0])
        data["detection_step_per_power"] = (TIME, steps[1])
    return xr.Dataset(data, coords)


def _relative_stderr(spot: LaserSpot, film: Film) -> dict[str, float]:
    """Relative σ of every input."""
    out = {
        _ABSORPTANCE: film.absorptance_stderr / film.absorptance,
        _SPOT: spot.radius_stderr_um / spot.radius_um,
        _FILM: film.conductivity_stderr_w_mk / film.conductivity_w_mk,
    }
    for name, layer in zip(_substrate_names(film), film.substrate, strict=True):
        out[name] = layer.conductivity_stderr_w_mk / layer.conductivity_w_mk
    return out


def _uncertainty(spot: LaserSpot, film: Film, ds: xr.Dataset) -> xr.Dataset:
    """Propagate the σ of the inputs to peak and detected rise."""
    from plkit.physics.heat_layers import layered_detection_rise, layered_rise

    sigma = _relative_stderr(spot, film)
    step = 1e-3
    parts = np.zeros((2, len(sigma)))
    for i, (name, s) in enumerate(sigma.items()):
        if name == _ABSORPTANCE:
            parts[:, i] = s
        elif s > 0:
            ends = []
            for sign in (1, -1):
                stack, beam = _model(spot, film, {name: math.exp(sign * step)})
                ends.append(
                    [layered_rise(stack, beam, [0.0])[0], layered_detection_rise(stack, beam)]
                )
            parts[:, i] = s * np.diff(np.log(ends[::-1]), axis=0)[0] / (2 * step)
    peak, detection = np.sqrt((parts**2).sum(axis=1))
    shared = {"shared": 1}
    scale = names.attrs("temperature_scale_stderr") | shared
    data: dict[str, Any] = {
        "temperature_scale_stderr": ((), float(detection), scale),
        "temperature_scale_by_input": (
            INPUT, parts[1], names.attrs("temperature_scale_by_input") | shared,
        ),
    }  # fmt: skip
    for name, relative in (("peak_rise_per_power", peak), ("detection_rise_per_power", detection)):
        attrs = names.attrs(names.stderr_name(name)) | shared
        data[names.stderr_name(name)] = ((), float(relative * ds[name]), attrs)
    return xr.Dataset(data, {INPUT: (INPUT, list(sigma), names.attrs(INPUT))})


def _published_form(spot: LaserSpot, film: Film) -> xr.Dataset:
    """B, and how far A0 (1 − exp(−B t)) exp(−2 r²/w0²) is from the field."""
    from scipy.optimize import brentq

    from plkit.physics.heat_layers import layered_rise

    def reached(log_time: float, factors: dict[str, float] | None = None) -> float:
        stack, beam = _model(spot, film, factors)
        rise = layered_rise(stack, beam, [0.0], None, [math.exp(log_time)])[0, 0]
        return float(rise / layered_rise(stack, beam, [0.0])[0])

    stack, beam = _model(spot, film)
    level = 1 - math.exp(-1)
    # where a half space of the film's or of the substrate's stuff would be
    guess = [math.log(2.35 * spot.radius_um**2 / (8 * a)) for a in stack.diffusivity_um2_s]
    low, high = min(guess) - 2.0, max(guess) + 2.0
    while reached(low) > level:
        low -= 3.0
    while reached(high) < level:
        high += 3.0
    log_time = float(brentq(lambda x: reached(x) - level, low, high, xtol=1e-9))
    rate = math.exp(-log_time)

    step = 1e-3
    slope = (reached(log_time + step) - reached(log_time - step)) / (2 * step)
    variance = 0.0
    for name, s in _relative_stderr(spot, film).items():
        if s > 0 and name != _ABSORPTANCE:
            up, down = (reached(log_time, {name: math.exp(e)}) for e in (step, -step))
            variance += (s * (up - down) / (2 * step) / slope) ** 2

    r = spot.radius_um * np.linspace(0.0, 6.0, 121)
    radial = layered_rise(stack, beam, r)
    radial_misfit = np.abs(radial / radial[0] - np.exp(-2 * (r / spot.radius_um) ** 2)).max()
    bt = np.logspace(-3.0, 3.0, 37)
    temporal = layered_rise(stack, beam, [0.0], None, bt / rate)[:, 0] / radial[0]
    time_misfit = np.abs(temporal + np.expm1(-bt)).max()
    values = {
        "B": rate,
        "B_stderr": rate * math.sqrt(variance),
        "form_misfit_radius": float(radial_misfit),
        "form_misfit_time": float(time_misfit),
    }
    return xr.Dataset({n: ((), v, names.attrs(n)) for n, v in values.items()})


def _with_powers(ds: xr.Dataset, power: xr.DataArray) -> xr.Dataset:
    ambient = float(ds["ambient_temperature"])
    shared = {"shared": 1}
    new: dict[str, xr.DataArray] = {
        TEMPERATURE: (ambient + power * ds["rise_per_power"]).assign_attrs(names.attrs(TEMPERATURE))
    }
    for name, per_power, base in (
        ("peak_temperature", "peak_rise_per_power", ambient),
        ("detection_temperature", "detection_rise_per_power", ambient),
        ("A0", "peak_rise_per_power", 0.0),
    ):
        error = names.stderr_name(name)
        new[name] = (base + power * ds[per_power]).assign_attrs(names.attrs(name))
        spread = power * ds[names.stderr_name(per_power)]
        new[error] = spread.assign_attrs(names.attrs(error) | shared)
    return ds.assign(new).assign_coords({POWER: (POWER, power.values, names.attrs(POWER))})
