"""From a separable model and an axis to the numbers that the kernels work with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.physics.constants import FWHM_PER_SIGMA

__all__ = [
    "FAMILIES",
    "Problem",
    "SeparableModel",
    "rate_bounds",
    "set_up",
    "without_fixed_background",
]

Floats = NDArray[np.float64]

_ACTION: Final = "fit the model"
N_RATES: Final = 24
"""Rates of the starting grid; 276 pairs."""
EXPONENTS: Final = (1.0, 0.7, 0.5, 0.35)
"""Stretching exponents of the starting grid."""
STRETCH: Final = 16
"""Rows are padded to a multiple of it."""

_SHAPE: Final[Mapping[str, tuple[str, ...]]] = {
    "exponential": ("rate",),
    "stretched": ("rate", "exponent"),
    "gaussian": ("centre", "fwhm"),
    "lorentzian": ("centre", "fwhm"),
    "pseudo_voigt": ("centre", "fwhm", "lorentz_fraction"),
    "asymmetric": ("centre", "fwhm", "asymmetry"),
    "fick": ("centre", "sigma"),
}
FAMILIES: Final = tuple(_SHAPE)
_ONE_TERM: Final = ("stretched", "fick")
_DECAYS: Final = ("exponential", "stretched")
_LOGARITHMIC: Final = ("rate", "fwhm", "sigma")


@dataclass(frozen=True)
class SeparableModel:
    """What is fitted: terms of one family on a background.

    Parameters
    ----------
    family : str
        One of :data:`FAMILIES`.
    n_terms : int, optional
        1 to 3; one for stretched and fick.
    background : {"none", "constant", "linear"}, optional
        The slope multiplies x itself, the offset is the value at x = 0.
    amplitude_sign : {1, 0, -1}, optional
        1: amplitudes ≥ 0; −1: ≤ 0; 0: free.
    background_sign : {0, 1}, optional
        1: the constant is ≥ 0; needs ``background="constant"``.
    bounds : Mapping, optional
        (lower, upper) of non-linear parameters by name; ±inf leaves the default, which is wide
        but finite (rates: 1/20 of 1/record to two per step; centres: a quarter of the axis beyond
        its ends).
    fixed : Mapping, optional
        Non-linear parameters, plateau, offset or slope that are held, by name: a number, or an
        array with one value per row.
    pixel : float, optional
        Width of a pixel, for fick; 0 takes the Gaussian at the middles.

    Examples
    --------
    >>> SeparableModel("gaussian", 2).parameter_names[:3]
    ('height_1', 'centre_1', 'fwhm_1')
    """

    family: str
    n_terms: int = 1
    background: str = "constant"
    amplitude_sign: int = 1
    background_sign: int = 0
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fixed: Mapping[str, float | Floats] = field(default_factory=dict)
    pixel: float = 0.0

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Parameters in the order of every array, as plkit.models has them."""
        terms = [name for t in range(self.n_terms) for name in self.term_names(t)]
        own: dict[str, tuple[str, ...]] = {
            "none": (),
            "constant": (self.constant,),
            "linear": (self.constant, "slope"),
        }
        return (*terms, *own[self.background])

    @property
    def constant(self) -> str:
        """Name of the constant of the background."""
        return "plateau" if self.family in _DECAYS else "offset"

    def term_names(self, term: int) -> tuple[str, ...]:
        """Amplitude and non-linear parameters of one term.

        Parameters
        ----------
        term : int
            From zero on.
        """
        if self.family == "exponential" and self.n_terms > 1:
            return f"k0{term + 1}", f"k{term + 1}"
        first = "amplitude" if self.family in (*_DECAYS, "fick") else "height"
        names = (first, *_SHAPE[self.family])
        return names if self.n_terms == 1 else tuple(f"{n}_{term + 1}" for n in names)


@dataclass(frozen=True)
class Problem:
    """What the kernels need, apart from the data; see :func:`.separable_kernels.fit_rows`.

    Parameters
    ----------
    spec, pixel, axis, points, box, held, held_values, n_held, sort, grid, grid_theta, places
        As the kernels want them.
    """

    spec: tuple[int, ...]
    pixel: float
    axis: Floats
    points: int
    box: Floats
    held: NDArray[np.bool_]
    held_values: Floats
    n_held: int
    sort: bool
    grid: Floats
    grid_theta: Floats
    places: NDArray[np.int64]

    @property
    def n_free(self) -> int:
        """Number of parameters that are varied."""
        return self.spec[3] + int(np.sum(~self.held))


def rate_bounds(time: Floats) -> tuple[float, float]:
    """Range in which rates are searched.

    Parameters
    ----------
    time : numpy.ndarray
        Ascending times of a trace, at least two different ones [s].

    Returns
    -------
    tuple of float
        From a twentieth of 1/record to two per shortest step [1/s].

    Examples
    --------
    >>> tuple(round(k, 6) for k in rate_bounds(np.arange(0.0, 501.0)))
    (0.0001, 2.0)
    """
    steps = np.diff(time)
    return 0.05 / float(time[-1] - time[0]), 2.0 / float(np.min(steps[steps > 0]))


def _refuse(reason: str) -> DataError:
    return DataError(_ACTION, reason)


def _check(model: SeparableModel) -> None:
    if model.family not in _SHAPE:
        raise _refuse(f"'family' is '{model.family}', not one of {', '.join(FAMILIES)}")
    most = 1 if model.family in _ONE_TERM else 3
    if not 1 <= model.n_terms <= most:
        raise _refuse(f"'n_terms' is {model.n_terms}, not from 1 to {most}")
    if model.background not in ("none", "constant", "linear"):
        raise _refuse(f"'background' is '{model.background}', not none, constant or linear")
    if model.amplitude_sign not in (-1, 0, 1) or model.background_sign not in (0, 1):
        raise _refuse("a sign is not one of 1, 0, -1 (background: 1, 0)")
    if model.background_sign and model.background != "constant":
        raise _refuse(f"a background that is not negative is {model.background}, not constant")
    shape = {n for t in range(model.n_terms) for n in model.term_names(t)[1:]}
    unknown = set(model.bounds) - shape
    unknown |= set(model.fixed) - shape - {model.constant, "slope"}
    if unknown:
        raise _refuse(f"'{sorted(unknown)[0]}' can be neither bounded nor fixed here")


def without_fixed_background(
    model: SeparableModel, rows: int
) -> tuple[SeparableModel, Floats | None, Floats | None]:
    """Take a held constant and a held slope out of a model.

    Parameters
    ----------
    model : SeparableModel
        Checked here.
    rows : int
        Number of rows.

    Returns
    -------
    model : SeparableModel
        Without what is held.
    constant, slope : numpy.ndarray or None
        Shape (rows,); None where it is not held.
    """
    _check(model)
    fixed = dict(model.fixed)
    constant, slope = fixed.pop(model.constant, None), fixed.pop("slope", None)
    background = model.background
    if slope is not None and background == "linear":
        background = "constant"
    if constant is not None:
        if background == "linear":
            raise _refuse(f"'{model.constant}' is held and the slope is not")
        background = "none"
    values = [
        None if v is None else np.broadcast_to(np.asarray(v, dtype=np.float64), (rows,))
        for v in (constant, slope)
    ]
    sign = model.background_sign if background == "constant" else 0
    reduced = replace(model, background=background, background_sign=sign, fixed=fixed)
    return reduced, values[0], values[1]


def set_up(model: SeparableModel, x: Floats, rows: int, *, shared: bool = False) -> Problem:
    """Make the problem of a model on an axis.

    Parameters
    ----------
    model : SeparableModel
        Without held background.
    x : numpy.ndarray
        Ascending, at least two different values.
    rows : int
        Number of rows, for values that are held per row.
    shared : bool, optional
        True where rows share all that is not an amplitude, the share of a Lorentzian included.
    """
    from plkit.physics import separable_kernels as k

    codes = {
        "exponential": k.EXPONENTIAL,
        "stretched": k.STRETCHED,
        "gaussian": k.GAUSSIAN,
        "lorentzian": k.LORENTZIAN,
        "pseudo_voigt": k.PSEUDO_VOIGT,
        "asymmetric": k.ASYMMETRIC,
        "fick": k.FICK if model.pixel > 0.0 else k.GAUSSIAN,
    }
    family, n = codes[model.family], model.n_terms
    names = [model.term_names(t)[1:] for t in range(n)]
    if family == k.PSEUDO_VOIGT and (shared or not _share_is_linear(model, names)):
        family = k.PSEUDO_VOIGT_MIX
    per = 2 if family == k.PSEUDO_VOIGT else 1
    qt = len(names[0]) - (1 if family == k.PSEUDO_VOIGT else 0)
    names = [own[:qt] for own in names]
    unit = 1.0 / FWHM_PER_SIGMA if model.family == "fick" and family == k.GAUSSIAN else 1.0
    boxes = [[_limits(model, name, x) for name in own] for own in names]
    order, sort, n_held = _order_of_terms(model, names, boxes)
    q, columns = qt * n, per * n
    box, held = np.zeros((3, q)), np.zeros(q, dtype=bool)
    given: list[Floats] = []
    for i, t in enumerate(order):
        for j, name in enumerate(names[t]):
            low, high, step = boxes[t][j]
            shift = -math.log(unit) if name == "sigma" else 0.0
            box[:, qt * i + j] = low + shift, high + shift, step
            value = np.asarray(model.fixed.get(name, np.nan), dtype=np.float64)
            held[qt * i + j] = name in model.fixed
            if _is_logarithmic(name, model):
                with np.errstate(divide="ignore", invalid="ignore"):
                    value = np.log(value) + shift
            given.append(value)
    many = any(v.ndim > 0 for v in given)
    table = np.stack([np.broadcast_to(v, (rows if many else 1,)) for v in given], axis=1)
    background = {"none": 0, "constant": 1, "linear": 2}[model.background]
    bits = (1 << columns) - 1 if model.amplitude_sign else 0
    bits |= model.background_sign << columns
    axis, uniform = _axis(x, unit)
    spec = (
        family, n, columns, columns + background, qt, q, bits, background,
        model.amplitude_sign or 1, uniform,
    )  # fmt: skip
    grid, theta = _grid(family <= k.STRETCHED, qt, box, axis, x, held, table)
    return Problem(
        spec, float(model.pixel), axis, x.size, box, held, np.ascontiguousarray(table), n_held,
        sort, grid, theta, np.array(order, dtype=np.int64),
    )  # fmt: skip


def _share_is_linear(model: SeparableModel, names: list[tuple[str, ...]]) -> bool:
    """Whether Gaussian and Lorentzian may be two columns, each ≥ 0: the share is free, 0 to 1."""
    free = all(own[2] not in model.fixed for own in names)
    whole = all(tuple(model.bounds.get(own[2], (0.0, 1.0))) == (0.0, 1.0) for own in names)
    return free and whole and model.amplitude_sign != 0


def _is_logarithmic(name: str, model: SeparableModel) -> bool:
    return name.split("_")[0] in _LOGARITHMIC or (
        model.family == "exponential" and name.startswith("k")
    )


def _limits(model: SeparableModel, name: str, x: Floats) -> tuple[float, float, float]:
    """Lower and upper limit as they are searched, and the longest step."""
    base = "rate" if model.family == "exponential" else name
    low, high, longest = _default_limits(base, x)
    own_low, own_high = model.bounds.get(name, (-np.inf, np.inf))
    if not own_low < own_high:
        raise _refuse(f"the bounds of '{name}' are {own_low:g} and {own_high:g}, not ascending")
    if _is_logarithmic(name, model):
        own_low = math.log(own_low) if own_low > 0.0 else -np.inf
        own_high = math.log(own_high) if own_high > 0.0 else -np.inf
        if np.isneginf(own_high):
            raise _refuse(f"'{name}' is bounded to 0 or less, not to positive values")
    if np.isfinite(own_low):
        low, high = own_low, max(high, own_low + longest)
    if np.isfinite(own_high):
        low, high = min(low, own_high - longest) if np.isinf(own_low) else low, own_high
    return low, high, longest


def _default_limits(base: str, x: Floats) -> tuple[float, float, float]:
    steps = np.diff(x)
    step, span = float(np.min(steps[steps > 0])), float(x[-1] - x[0])
    first, last = float(x[0]), float(x[-1])
    slow, fast = rate_bounds(x)
    known = {
        "rate": (math.log(slow), math.log(fast), 2.0),
        "exponent": (0.05, 1.0, 0.3),
        "centre": (first - 0.25 * span, last + 0.25 * span, 0.2 * span),
        "fwhm": (math.log(0.2 * step), math.log(4.0 * span), 1.0),
        "sigma": (math.log(0.1 * step), math.log(2.0 * span), 1.0),
        "asymmetry": (-3.0, 3.0, 0.5),
        "lorentz_fraction": (0.0, 1.0, 0.5),
    }
    # without the number of the term
    return known[base] if base in known else known[base.rpartition("_")[0]]


def _order_of_terms(
    model: SeparableModel,
    names: list[tuple[str, ...]],
    boxes: list[list[tuple[float, float, float]]],
) -> tuple[list[int], bool, int]:
    """Order in which terms are searched, whether they may change places, and how many are held.

    Terms with everything held come first; then by the middle of their bounds, as the grid runs.
    """
    whole = [all(name in model.fixed for name in own) for own in names]
    some = any(name in model.fixed for own in names for name in own)
    alike = all(own == boxes[0] for own in boxes)
    middle = [own[0][0] + own[0][1] for own in boxes]
    order = sorted(range(len(names)), key=lambda t: (not whole[t], middle[t], t))
    return order, model.n_terms > 1 and alike and not some, sum(whole)


def _axis(x: Floats, unit: float) -> tuple[Floats, int]:
    points = x.size
    step = float(x[-1] - x[0]) / (points - 1)
    even = x[0] + step * np.arange(points)
    uniform = int(np.all(np.abs(x - even) <= 1e-13 * (x[-1] - x[0])))
    padded = -(-points // STRETCH) * STRETCH
    axis = np.zeros((4, padded))
    axis[0] = x[-1]
    axis[0, :points] = x
    positive = axis[0] > 0.0
    axis[1] = np.where(positive, np.log(np.where(positive, axis[0], 1.0)), -1e3)
    middle, half = 0.5 * float(x[0] + x[-1]), 0.5 * float(x[-1] - x[0])
    axis[2] = (axis[0] - middle) / half
    axis[3, :5] = middle, half, unit, x[0], step
    return axis, uniform


def _grid(
    decays: bool, qt: int, box: Floats, axis: Floats, x: Floats, held: NDArray[np.bool_],
    table: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Columns on the starting grid, and their parameters; none for peaks."""
    if not decays:
        return np.zeros((0, axis.shape[1])), np.zeros((0, qt))
    low, high = float(box[0, ::qt].min()), float(box[1, ::qt].max())
    # Slower than a third of 1/record a decay looks like its neighbours.
    low = min(max(low, math.log(0.15 / float(x[-1] - x[0]))), high - 0.1 * (high - low))
    rates = np.linspace(low, high, N_RATES)
    if qt == 1:
        theta = rates[:, None]
        with np.errstate(over="ignore"):
            return np.exp(np.maximum(-np.exp(theta) * axis[0], -700.0)), theta
    exponents: tuple[float, ...] = EXPONENTS
    if held[1] and table.shape[0] == 1:
        exponents = (float(table[0, 1]),)
    theta = np.array([(r, b) for b in exponents for r in rates])
    phase = np.exp(np.minimum(theta[:, 1:] * (theta[:, :1] + axis[1]), 500.0))
    return np.exp(-np.minimum(phase, 700.0)), np.ascontiguousarray(theta)
