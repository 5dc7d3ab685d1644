"""Segregation under light while a heater is switched: temperature, fractions and spectra.

The model is phenomenological: :mod:`plkit.physics.cycling` has the equations and a table that says
where each constant comes from.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.names import TIME, WAVELENGTH
from plkit.physics import cycling as physics
from plkit.physics.cycling import CyclingModel, Heater
from plkit.schema import add_history
from plkit.sim.measurement import Detector, simulate_measurement

__all__ = ["CyclingEmission", "CyclingModel", "Heater", "HeaterProtocol", "thermal_cycling"]

Array = NDArray[np.float64]
_ACTION: Final = "simulate thermal cycling"
# Two edges nearer than this are one: periods such as 0.1 s are no binary fractions.
_SAME_S: Final = 1e-7


@dataclass(frozen=True, slots=True)
class HeaterProtocol:
    """When the heater and the light are on.

    Parameters
    ----------
    on_s : float
        Length of a pulse [s]; 0 for no heating, infinity for a heater that stays on.
    period_s : float
        From the start of a pulse to that of the next [s]; infinity for a single pulse.
    duration_s : float, optional
        Length of the experiment [s].
    current_ma : float, optional
        Current of the heater [mA]; the rise of the temperature goes with its square.
    start_s : float, optional
        When the heater is switched on first [s].
    light_s : tuple of float, optional
        When the light is on, from and to [s].

    Raises
    ------
    DataError
        If a time is negative or NaN, or a pulse longer than its period.

    Examples
    --------
    >>> HeaterProtocol(0.5, 5.0).name
    '0.5/5 s'
    >>> HeaterProtocol.continuous().name
    'DC'
    """

    on_s: float
    period_s: float
    duration_s: float = 180.0
    current_ma: float = 400.0
    start_s: float = 0.0
    light_s: tuple[float, float] = (0.0, math.inf)

    def __post_init__(self) -> None:
        """Refuse what no clock can do."""
        for name in ("period_s", "duration_s"):
            if not getattr(self, name) > 0:
                raise DataError(
                    _ACTION, f"'{name}' is {getattr(self, name)}, not a positive number of seconds"
                )
        for name in ("on_s", "start_s", "current_ma"):
            if not getattr(self, name) >= 0:
                raise DataError(
                    _ACTION, f"'{name}' is {getattr(self, name)}, not 0 or a positive number"
                )
        if not (
            math.isfinite(self.duration_s)
            and math.isfinite(self.start_s)
            and math.isfinite(self.current_ma)
        ):
            raise DataError(
                _ACTION, "'duration_s', 'start_s' or 'current_ma' is infinite, not a finite number"
            )
        if self.on_s > self.period_s:
            raise DataError(
                _ACTION,
                f"'on_s' is {self.on_s:g} s, not at most the period of {self.period_s:g} s",
                "For a heater that stays on: HeaterProtocol.continuous().",
            )
        if not 0 <= self.light_s[0] <= self.light_s[1]:
            raise DataError(
                _ACTION, f"'light_s' is {self.light_s}, not a start and a later end in s"
            )

    @classmethod
    def continuous(
        cls, duration_s: float = 180.0, current_ma: float = 400.0, start_s: float = 0.0
    ) -> HeaterProtocol:
        """Heater that stays on.

        Parameters
        ----------
        duration_s : float, optional
            Length of the experiment [s].
        current_ma : float, optional
            Current of the heater [mA].
        start_s : float, optional
            When it is switched on [s].

        Returns
        -------
        HeaterProtocol
            One endless pulse.
        """
        return cls(math.inf, math.inf, duration_s, current_ma, start_s)

    @property
    def name(self) -> str:
        """What a figure calls it: on-time over period, ``"DC"`` or ``"no heating"``."""
        if self.on_s == 0 or self.current_ma == 0:
            return "no heating"
        if self.on_s == self.period_s or math.isinf(self.on_s):
            return "DC"
        if math.isinf(self.period_s):
            return f"one pulse of {self.on_s:g} s"
        return f"{self.on_s:g}/{self.period_s:g} s"

    @property
    def switch_times_s(self) -> tuple[Array, Array]:
        """Times at which the heater goes on and off within the experiment [s]."""
        if self.on_s == 0 or self.start_s >= self.duration_s:
            return np.zeros(0), np.zeros(0)
        if self.name == "DC" or math.isinf(self.period_s):
            on = np.array([self.start_s])
            off = on + self.on_s if self.name != "DC" else np.zeros(0)
        else:
            n = math.ceil((self.duration_s - self.start_s) / self.period_s - 1e-9)
            on = self.start_s + self.period_s * np.arange(n, dtype=np.float64)
            off = on + self.on_s
        return on, off[off < self.duration_s]


@dataclass(frozen=True, slots=True)
class CyclingEmission:
    """Light of both phases, and the spectrometer that sees it.

    Parameters
    ----------
    photons_per_frame : float, optional
        Photons of the mixed film per spectrum [1].
    relative_brightness : float, optional
        Light of the segregated phase per amount, relative to the mixed one [1].
    mixed_nm, mixed_fwhm_nm : tuple of float, optional
        Maximum and width (FWHM) of the mixed phase at the two ``temperatures_k`` [nm]; straight
        lines between and beyond them.
    temperatures_k : tuple of float, optional
        Where they were measured [K].
    segregated_nm, segregated_fwhm_nm : float, optional
        Maximum and width of the segregated phase [nm].
    range_nm : tuple of float, optional
        Ends of the spectrometer's axis [nm].
    channels : int, optional
        Channels between them.
    detector : Detector, optional
        The camera.

    Examples
    --------
    >>> print(f"{CyclingEmission().emission_fraction(0.02):.3f}")
    0.075
    """

    photons_per_frame: float = 1e5
    relative_brightness: float = 4.0
    mixed_nm: tuple[float, float] = (626.0, 624.8)
    mixed_fwhm_nm: tuple[float, float] = (37.4, 42.3)
    temperatures_k: tuple[float, float] = (296.65, 308.15)
    segregated_nm: float = 505.0
    segregated_fwhm_nm: float = 18.4
    range_nm: tuple[float, float] = (450.0, 750.0)
    channels: int = 512
    detector: Detector = field(default_factory=Detector)

    def __post_init__(self) -> None:
        """Refuse what no light can be."""
        for name in (
            "photons_per_frame",
            "relative_brightness",
            "segregated_nm",
            "segregated_fwhm_nm",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DataError(_ACTION, f"'{name}' is {value}, not a positive number")
        if not (0 < self.range_nm[0] < self.range_nm[1] and self.channels >= 2):
            raise DataError(
                _ACTION, f"'range_nm' is {self.range_nm} with {self.channels} channels, not an axis"
            )
        if self.temperatures_k[0] == self.temperatures_k[1]:
            raise DataError(_ACTION, "'temperatures_k' holds one temperature twice, not two")

    @property
    def wavelength(self) -> xr.DataArray:
        """Axis of the spectrometer (wavelength) [nm], in air."""
        values = np.linspace(*self.range_nm, self.channels)
        return xr.DataArray(values, dims=WAVELENGTH, attrs=names.attrs(WAVELENGTH), name=WAVELENGTH)

    def emission_fraction(self, segregated_fraction: Array | float) -> Array:
        """Share of the light that the segregated phase emits.

        Parameters
        ----------
        segregated_fraction : array_like
            Share s of the film [1].

        Returns
        -------
        numpy.ndarray
            ρ s/(ρ s + 1 − s) [1].
        """
        s = np.asarray(segregated_fraction, dtype=float)
        bright = self.relative_brightness * s
        return np.asarray(bright / (bright + 1.0 - s))

    def mixed_spectrum(self, temperature_k: Array | float) -> Array:
        """Spectrum of the mixed phase.

        Parameters
        ----------
        temperature_k : array_like
            Temperatures (…) [K].

        Returns
        -------
        numpy.ndarray
            Shape (…, channels), of unit sum.
        """
        cold, warm = self.temperatures_k
        along = (np.asarray(temperature_k, dtype=float) - cold) / (warm - cold)
        centre = self.mixed_nm[0] + along * (self.mixed_nm[1] - self.mixed_nm[0])
        width = self.mixed_fwhm_nm[0] + along * (self.mixed_fwhm_nm[1] - self.mixed_fwhm_nm[0])
        return self._line(centre, np.maximum(width, 1.0))

    def segregated_spectrum(self) -> Array:
        """Spectrum of the segregated phase.

        Returns
        -------
        numpy.ndarray
            Shape (channels,), of unit sum.
        """
        return self._line(np.asarray(self.segregated_nm), np.asarray(self.segregated_fwhm_nm))

    def _line(self, centre_nm: Array, fwhm_nm: Array) -> Array:
        # As the widths are printed in nm, the lines are Gaussian in nm.
        z = (self.wavelength.values - centre_nm[..., None]) / fwhm_nm[..., None]
        shape = np.exp(-4.0 * math.log(2.0) * z**2)
        return np.asarray(shape / shape.sum(axis=-1, keepdims=True))


def thermal_cycling(
    protocol: HeaterProtocol,
    *,
    heater: Heater | None = None,
    model: CyclingModel | None = None,
    emission: CyclingEmission | None = None,
    exposure_s: float = 0.5,
    ambient_k: float = 297.15,
    seed: int = 20250101,
) -> xr.Dataset:
    """Simulate a film under light while its heater is switched.

    Parameters
    ----------
    protocol : HeaterProtocol
        When the heater and the light are on.
    heater : Heater, optional
        How warm the heater makes the film.
    model : CyclingModel, optional
        How the film segregates and remixes.
    emission : CyclingEmission, optional
        Light and spectrometer; without it no spectra come back.
    exposure_s : float, optional
        Length of a frame [s]; frames follow one another without a gap.
    ambient_k : float, optional
        Temperature with the heater off [K].
    seed : int, optional
        Seed of the counts.

    Returns
    -------
    xarray.Dataset
        Over ``time`` (middles of the exposures) [s]: ``temperature`` [K], ``segregated_fraction``
        [1], ``sudden_change`` [K], means over the exposure; ``segregated_fraction_maximum`` [1],
        the largest value in it; ``heater_duty`` and ``light_duty`` [1]; ``heater_current`` (time)
        [mA], its mean. With ``emission`` also ``fraction`` (time) [1], the true emission fraction of
        the segregated phase, and raw counts as of a spectrometer: ``intensity`` (time, wavelength)
        [counts] with ``noise_gain``, ``noise_floor``, ``exposure_time``, ``saturation_level``.
        Dark frames are simulated as if a weak probe were used that does nothing to the film.

    Raises
    ------
    DataError
        If a length or temperature is not positive, or the exposure longer than the experiment.

    See Also
    --------
    plkit.map_thermal_cycling : the result of many protocols.
    plkit.physics.cycling.integrate_cycling : the equations.
    plkit.physics.cycling.parameter_table : the constants and their origin.

    Notes
    -----
    Phenomenological. Most constants are matched to the statements of one paper about one film,
    they are not measured: do not carry them to another film.

    References
    ----------
    Feng et al., Adv. Mater. (2023), doi:10.1002/adma.202308032.

    Examples
    --------
    >>> for protocol in (HeaterProtocol.continuous(), HeaterProtocol(0.5, 5.0)):
    ...     ds = thermal_cycling(protocol)
    ...     last = ds.segregated_fraction_maximum[-10:].max()
    ...     print(protocol.name, f"{float(last):.3f}")
    DC 0.937
    0.5/5 s 0.005
    """
    film, warm = model or CyclingModel(), heater or Heater()
    if not (math.isfinite(exposure_s) and 0 < exposure_s <= protocol.duration_s):
        raise DataError(
            _ACTION,
            f"'exposure_s' is {exposure_s} s, not above 0 and at most the {protocol.duration_s:g} s of the experiment",
        )  # fmt: skip
    if not (math.isfinite(ambient_k) and ambient_k > 0):
        raise DataError(_ACTION, f"'ambient_k' is {ambient_k}, not a positive number of kelvin")
    n = math.floor(protocol.duration_s / exposure_s + 1e-9)
    out = _states(protocol, warm, film, exposure_s * np.arange(n + 1, dtype=np.float64), ambient_k)
    time = exposure_s * (np.arange(n) + 0.5)
    out["heater_current"] = out["heater_duty"] * protocol.current_ma
    ds = xr.Dataset(
        {name: (TIME, values, names.attrs(name)) for name, values in out.items()},
        {TIME: (TIME, time, names.attrs(TIME))},
    )
    if emission is not None:
        ds = _with_spectra(ds, emission, exposure_s, seed)
    ds = ds.assign_attrs(
        origin="simulated", protocol=protocol.name, heater=json.dumps(asdict(warm)),
        model=json.dumps(asdict(film)), ambient_k=float(ambient_k),
        comment="phenomenological model, see plkit.physics.cycling.parameter_table()",
    )  # fmt: skip
    return add_history(ds, f"thermal_cycling({protocol.name}, {protocol.duration_s:g} s)")


def _states(
    protocol: HeaterProtocol, heater: Heater, model: CyclingModel, frames_s: Array, ambient_k: float
) -> dict[str, Array]:
    """Means and maxima of the model over frames."""
    on, off = protocol.switch_times_s
    light = [t for t in protocol.light_s if 0 < t < frames_s[-1]]
    edges = np.unique(np.concatenate([frames_s, on, off, light]))
    edges = edges[(edges >= 0) & (edges <= frames_s[-1] + _SAME_S)]
    edges = edges[np.concatenate([[True], np.diff(edges) > _SAME_S])]
    middle = 0.5 * (edges[1:] + edges[:-1])
    # On after as many switchings on as off is off.
    heated = (np.searchsorted(on, middle) > np.searchsorted(off, middle)).astype(float)
    lit = ((middle > protocol.light_s[0]) & (middle < protocol.light_s[1])).astype(float)
    found = physics.integrate_cycling(
        edges, heated * heater.scale(protocol.current_ma), lit, model, heater, ambient_k=ambient_k
    )
    frame = np.searchsorted(frames_s, middle) - 1
    length = np.diff(edges)
    whole = np.bincount(frame, length)

    def mean(values: Array) -> Array:
        return np.asarray(np.bincount(frame, values * length) / whole)

    starts = np.flatnonzero(np.concatenate([[True], np.diff(frame) > 0]))
    top = np.maximum.reduceat(found["segregated_fraction_maximum"], starts)
    return {
        "temperature": mean(found["temperature"]),
        "segregated_fraction": mean(found["segregated_fraction"]),
        "segregated_fraction_maximum": top,
        "sudden_change": mean(found["sudden_change"]),
        "heater_duty": mean(heated),
        "light_duty": mean(lit),
    }


def _with_spectra(
    ds: xr.Dataset, emission: CyclingEmission, exposure_s: float, seed: int
) -> xr.Dataset:
    s = ds["segregated_fraction"].values[:, None]
    expected = (1.0 - s) * emission.mixed_spectrum(ds["temperature"].values)
    expected += emission.relative_brightness * s * emission.segregated_spectrum()
    expected *= emission.photons_per_frame
    coords = {TIME: ds[TIME], WAVELENGTH: emission.wavelength}
    photons = xr.DataArray(expected, coords, (TIME, WAVELENGTH))
    counts = simulate_measurement(
        photons, exposure_s, rng=np.random.default_rng(seed), detector=emission.detector
    )
    truth = emission.emission_fraction(ds["segregated_fraction"].values)
    ds = ds.assign(fraction=(TIME, truth, names.attrs("fraction")))
    return ds.merge(counts, combine_attrs="drop_conflicts").assign_attrs(seed=seed)
