"""Light, heat and two phases: a phenomenological model of segregation under periodic heating.

Nothing here is derived from a mechanism. Light segregates after a time of rest, warmth remixes
slowly, and a sudden change of temperature resets the film; the constants are matched to the
statements of one paper, see :func:`parameter_table`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plkit.physics.arrhenius import arrhenius_rate, prefactor_for

__all__ = [
    "MIXING_EXPONENT",
    "REST_EXPONENT",
    "CyclingModel",
    "Heater",
    "HeaterFit",
    "Parameter",
    "fit_heater",
    "heater_step",
    "integrate_cycling",
    "parameter_table",
    "rates_at",
    "reset_rate",
]

Array = NDArray[np.float64]

MIXING_EXPONENT: Final = 8
"""Steepness of the reset against the sudden part u of the temperature change."""

REST_EXPONENT: Final = 4
"""Steepness of segregation against the time q since the last reset."""

LONGEST_STEP_S: Final = 0.005
"""Step of the integration [s]; halving it changes the segregated fraction by less than 3e-4."""

CELSIUS: Final = 273.15
"""0 °C [K]."""


@dataclass(frozen=True, slots=True)
class Heater:
    """Resistive heater under a film: two exponentials, driven by the square of the current.

    Parameters
    ----------
    rise_k : tuple of float
        Steady rise of the fast and of the slow part at the reference current [K].
    time_constant_s : tuple of float
        Time constant of either [s].
    reference_current_ma : float
        Current for which the rises are stated [mA].

    Examples
    --------
    >>> heater = Heater()
    >>> [round(float(24 + heater_step(t, heater)), 1) for t in (10.0, 600.0)]  # °C, from 24 °C
    [32.0, 37.0]
    """

    rise_k: tuple[float, float] = (7.7718, 5.5022)
    time_constant_s: tuple[float, float] = (1.9, 200.0)
    reference_current_ma: float = 400.0

    def scale(self, current_ma: float) -> float:
        """Heating power relative to that at the reference current.

        Parameters
        ----------
        current_ma : float
            Current [mA].

        Returns
        -------
        float
            (I/I_ref)² [1].
        """
        return float((current_ma / self.reference_current_ma) ** 2)


@dataclass(frozen=True, slots=True)
class CyclingModel:
    """Constants of the model; σ of none of them is known.

    Parameters
    ----------
    heating_reset_per_s, cooling_reset_per_s : float
        Rates k_h and k_c at which sudden heating and sudden cooling remix [1/s].
    heating_threshold_k, cooling_threshold_k : float
        Sudden changes u_h and u_c at which half of that rate is reached [K].
    memory_s : float
        Time τ_u within which a change of temperature counts as sudden [s].
    rest_s : float
        Time of rest t_i after which light begins to segregate [s].
    segregation_per_s : float
        Rate k_seg of segregation under light at the reference temperature [1/s].
    segregation_energy_ev : float
        Its activation energy [eV].
    mixing_per_s : float
        Rate k_mix of thermal remixing at the reference temperature [1/s].
    mixing_energy_ev : float
        Its activation energy [eV].
    reference_k : float
        Temperature at which the two rates are stated [K].

    Examples
    --------
    >>> CyclingModel().segregation_per_s
    0.005
    """

    heating_reset_per_s: float = 6.7
    cooling_reset_per_s: float = 9.8
    heating_threshold_k: float = 0.91
    cooling_threshold_k: float = 0.28
    memory_s: float = 0.73
    rest_s: float = 1.19
    segregation_per_s: float = 0.005
    segregation_energy_ev: float = 1.30
    mixing_per_s: float = 4.2e-4
    mixing_energy_ev: float = 1.07
    reference_k: float = CELSIUS + 23.5


@dataclass(frozen=True, slots=True)
class Parameter:
    """One constant of the model, and where its value comes from.

    Parameters
    ----------
    name : str
        Field of :class:`Heater` or :class:`CyclingModel`.
    symbol : str
        Symbol in the equations.
    value : float
        Value in use.
    unit : str
        Its unit.
    kind : {"published", "derived", "tuned", "chosen"}
        Published as such; derived from published numbers by an equation; tuned so that published
        statements come out; or chosen, because nothing decides it.
    origin : str
        The sentence behind it.
    """

    name: str
    symbol: str
    value: float
    unit: str
    kind: str
    origin: str


_ORIGINS: Final[dict[str, tuple[str, str, str, str]]] = {
    "heating_reset_per_s": ("k_h", "1/s", "tuned", "remixed within 4 s of sudden heating, 24 to 31 °C"),
    "cooling_reset_per_s": ("k_c", "1/s", "tuned", "remixed within 8 s of sudden cooling, 35 to 27 °C"),
    "heating_threshold_k": ("u_h", "K", "tuned", "0.1/1 s pulses do not reset, 0.5/5 s pulses do"),
    "cooling_threshold_k": ("u_c", "K", "tuned", "the six protocols; cooling is slower than heating"),
    "memory_s": ("τ_u", "s", "tuned", "0.1/1 s and 0.5/5 s have equal |dT/dt|: the memory parts them"),
    "rest_s": ("t_i", "s", "tuned", "mild segregation under 1/10, 2/10 and 5/10 s, none under 0.5/5 s"),
    "segregation_per_s": ("k_seg", "1/s", "derived", "about 600 s to segregate at 23.5 °C, read as 3/k_seg"),
    "segregation_energy_ev": ("E_seg", "eV", "derived", "two-point energy of 600 s and 90 s at 23.5 and 35 °C"),
    "mixing_per_s": ("k_mix", "1/s", "derived", "about 120 min to recover at 23.5 °C in the dark, read as 3/k_mix"),
    "mixing_energy_ev": ("E_mix", "eV", "derived", "two-point energy of 120 and 25 min at 23.5 and 35 °C"),
    "reference_k": ("T_ref", "K", "published", "23.5 °C, where the times were measured"),
}  # fmt: skip
_CONSTANTS: Final = (
    ("tuned", "the six protocols; two readings of the heater do not fix it"),
    ("chosen", "anything between 100 and 250 s, two readings of the heater do not fix it"),
)


def parameter_table(
    model: CyclingModel | None = None, heater: Heater | None = None
) -> tuple[Parameter, ...]:
    """List every constant with its unit and where its value comes from.

    Parameters
    ----------
    model : CyclingModel, optional
        Constants of the film.
    heater : Heater, optional
        Constants of the heater.

    Returns
    -------
    tuple of Parameter
        Film first, heater, then the two exponents.

    Examples
    --------
    >>> [p.name for p in parameter_table() if p.kind == "tuned"][:2]
    ['heating_reset_per_s', 'cooling_reset_per_s']
    """
    film, warm = model or CyclingModel(), heater or Heater()
    rows = [
        Parameter(name, _ORIGINS[name][0], value, *_ORIGINS[name][1:])
        for name, value in asdict(film).items()
    ]
    said = "32 °C after 10 s and 37 °C after 600 s at 400 mA from 24 °C, for the two time constants"
    for i, part in enumerate(("fast", "slow")):
        rows += [
            Parameter(f"rise_k[{i}]", f"A_{part}", warm.rise_k[i], "K", "derived", said),
            Parameter(
                f"time_constant_s[{i}]", f"τ_{part}", warm.time_constant_s[i], "s", *_CONSTANTS[i]
            ),
        ]
    rows += [
        Parameter("MIXING_EXPONENT", "–", MIXING_EXPONENT, "1", "chosen",
            "a sharp threshold; never varied by the experiments",
        ),
        Parameter("REST_EXPONENT", "–", REST_EXPONENT, "1", "chosen",
            "a sharp onset; never varied by the experiments",
        ),
    ]  # fmt: skip
    return tuple(rows)


# The heater -------------------------------------------------------------------------------------


def heater_step(time_s: ArrayLike, heater: Heater, current_ma: float | None = None) -> Array:
    """Rise of the temperature after the heater was switched on.

    Parameters
    ----------
    time_s : array_like
        Time since then [s]; zero before.
    heater : Heater
        The heater.
    current_ma : float, optional
        Current [mA]; the reference current by default.

    Returns
    -------
    numpy.ndarray
        ΔT = (I/I_ref)² Σ A_i (1 − exp(−t/τ_i)) [K].

    Examples
    --------
    >>> print(f"{heater_step(10.0, Heater()):.2f} {heater_step(10.0, Heater(), 200.0):.2f}")
    8.00 2.00
    """
    t = np.maximum(np.asarray(time_s, dtype=float), 0.0)
    parts = zip(heater.rise_k, heater.time_constant_s, strict=True)
    rise = sum((a * -np.expm1(-t / tau) for a, tau in parts), np.zeros_like(t))
    scale = 1.0 if current_ma is None else heater.scale(current_ma)
    return np.asarray(scale * rise)


@dataclass(frozen=True, slots=True)
class HeaterFit:
    """Heater fitted to readings of its temperature.

    Parameters
    ----------
    heater : Heater
        With the fitted rises.
    residual_k : numpy.ndarray
        Reading minus model [K].
    """

    heater: Heater
    residual_k: Array


def fit_heater(
    time_s: ArrayLike,
    rise_k: ArrayLike,
    *,
    time_constant_s: tuple[float, float] = (1.9, 200.0),
    reference_current_ma: float = 400.0,
) -> HeaterFit:
    """Rises of a heater whose two time constants are given, by least squares.

    Parameters
    ----------
    time_s : array_like
        Times since the heater was switched on [s], two at least.
    rise_k : array_like
        Rise of the temperature at these times [K].
    time_constant_s : tuple of float, optional
        Time constants of the fast and of the slow part [s].
    reference_current_ma : float, optional
        Current of the readings [mA].

    Returns
    -------
    HeaterFit
        The heater and what is left.

    Examples
    --------
    >>> fit = fit_heater([10.0, 600.0], [8.0, 13.0])
    >>> [round(a, 2) for a in fit.heater.rise_k], bool(abs(fit.residual_k).max() < 1e-9)
    ([7.77, 5.5], True)
    """
    t = np.asarray(time_s, dtype=float)
    y = np.asarray(rise_k, dtype=float)
    if t.size < 2 or t.shape != y.shape:
        raise ValueError("two readings at least, and as many times as temperatures, are needed")
    columns = np.stack([-np.expm1(-t / tau) for tau in time_constant_s], axis=-1)
    found = np.linalg.lstsq(columns, y, rcond=None)[0]
    heater = Heater((float(found[0]), float(found[1])), time_constant_s, reference_current_ma)
    return HeaterFit(heater, np.asarray(y - columns @ found))


# The film ---------------------------------------------------------------------------------------


def reset_rate(sudden_k: ArrayLike, model: CyclingModel) -> Array:
    """Rate at which a sudden change of temperature remixes.

    Parameters
    ----------
    sudden_k : array_like
        Sudden part u of the temperature change [K], positive while it becomes warmer.
    model : CyclingModel
        Constants.

    Returns
    -------
    numpy.ndarray
        R = k_h h(u/u_h) for u > 0, k_c h(∣u∣/u_c) for u < 0, h(z) = z⁸/(1 + z⁸) [1/s].

    Examples
    --------
    >>> print(reset_rate([0.0, 0.91, -0.28, 3.0], CyclingModel()).round(2).tolist())
    [0.0, 3.35, 4.9, 6.7]
    """
    u = np.asarray(sudden_k, dtype=float)
    warm = u > 0
    z = np.abs(u) / np.where(warm, model.heating_threshold_k, model.cooling_threshold_k)
    k = np.where(warm, model.heating_reset_per_s, model.cooling_reset_per_s)
    power = np.minimum(z, 1e9) ** MIXING_EXPONENT
    return np.asarray(k * power / (1.0 + power))


def integrate_cycling(
    edges_s: ArrayLike,
    heating: ArrayLike,
    light: ArrayLike,
    model: CyclingModel,
    heater: Heater,
    *,
    ambient_k: float,
    start_fraction: float = 0.0,
    longest_step_s: float = LONGEST_STEP_S,
) -> dict[str, Array]:
    """Temperature and segregated fraction through a list of intervals.

    Parameters
    ----------
    edges_s : array_like, shape (n + 1,)
        Ends of the intervals, ascending [s].
    heating : array_like, shape (n,)
        Heating power in each, relative to that at the reference current [1].
    light : array_like, shape (n,)
        Light in each, relative to that of the experiment [1]; k_seg is proportional to it.
    model : CyclingModel
        Constants of the film.
    heater : Heater
        Constants of the heater.
    ambient_k : float
        Temperature with the heater off [K]; the film starts there.
    start_fraction : float, optional
        Segregated fraction at the start [1].
    longest_step_s : float, optional
        Longest step of the integration [s].

    Returns
    -------
    dict of str to numpy.ndarray
        Per interval, shape (n,): ``temperature`` [K], ``segregated_fraction`` [1] and
        ``sudden_change`` [K] are means, ``segregated_fraction_maximum`` [1] is the largest value
        in it, ``segregated_fraction_end`` [1] the last.

    Notes
    -----
    With the sudden part u of the temperature change, the time q since the last reset and the
    segregated fraction s:

    u' = T' − u/τ_u,  q' = 1 − R q,  s' = k_seg(T) y/(1 + y) (1 − s) − (k_mix(T) + R) s,

    y = (q/t_i)⁴, R from :func:`reset_rate`, k_seg and k_mix Arrhenius. T and u are exact; q and s
    go by an exponential midpoint rule of second order.

    References
    ----------
    .. [1] Feng et al., Adv. Mater. (2023), doi:10.1002/adma.202308032: the experiments.

    Examples
    --------
    >>> out = integrate_cycling([0.0, 600.0], [0.0], [1.0], CyclingModel(), Heater(), ambient_k=296.65)
    >>> print(f"{out['segregated_fraction_end'][0]:.3f}")
    0.887
    """
    from plkit.physics.cycling_kernels import march

    edges = np.ascontiguousarray(edges_s, dtype=float)
    power = np.ascontiguousarray(heating, dtype=float)
    shine = np.ascontiguousarray(light, dtype=float)
    constants = np.array([getattr(model, f.name) for f in fields(model)])
    out = march(
        edges, power, shine, constants,
        np.array([*heater.rise_k, *heater.time_constant_s]),
        float(ambient_k), float(start_fraction), float(longest_step_s),
    )  # fmt: skip
    keys = (
        "temperature", "segregated_fraction", "sudden_change", "segregated_fraction_maximum",
        "segregated_fraction_end",
    )  # fmt: skip
    return dict(zip(keys, out, strict=True))


def rates_at(temperature_k: ArrayLike, model: CyclingModel) -> dict[str, Any]:
    """Rates of segregation and of thermal remixing.

    Parameters
    ----------
    temperature_k : array_like
        Temperature [K].
    model : CyclingModel
        Constants.

    Returns
    -------
    dict of str to numpy.ndarray
        ``segregation`` and ``mixing`` [1/s].

    Examples
    --------
    >>> found = rates_at(308.15, CyclingModel())
    >>> print(f"{found['segregation']:.4f} {found['mixing']:.5f}")
    0.0334 0.00200
    """
    out = {}
    for name, rate, energy in (
        ("segregation", model.segregation_per_s, model.segregation_energy_ev),
        ("mixing", model.mixing_per_s, model.mixing_energy_ev),
    ):
        prefactor = prefactor_for(rate, model.reference_k, energy)
        out[name] = arrhenius_rate(temperature_k, prefactor, energy)
    return out
