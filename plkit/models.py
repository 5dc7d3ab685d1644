"""plkit's lmfit Models: usable in plain lmfit, in composites, and in :func:`plkit.fit_model`.

Every model guesses its starting values, has bounds that make sense, states the units of its
parameters for data and axis of given units, and offers further starts where one may end in a local
minimum. The independent variable is ``x``, as in lmfit's own models, so that they can be added.

Importing this module imports lmfit.

Examples
--------
>>> import numpy as np
>>> from plkit.models import BiexponentialDecayModel
>>> t = np.arange(0.0, 500.0, 5.0)
>>> y = 0.4 * np.exp(-0.04 * t) + 0.3 * np.exp(-0.005 * t) + 0.3
>>> model = BiexponentialDecayModel()
>>> result = model.fit(y, model.guess(y, x=t), x=t)
>>> {name: round(value, 4) for name, value in result.best_values.items()}
{'k01': 0.4, 'k1': 0.04, 'k02': 0.3, 'k2': 0.005, 'plateau': 0.3}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from lmfit import Model, Parameters
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.physics import fick, lineshapes, rates
from plkit.physics.constants import FWHM_PER_SIGMA

__all__ = [
    "AsymmetricPeakModel",
    "BiexponentialDecayModel",
    "BiexponentialRiseModel",
    "FickProfileModel",
    "GaussianPeakModel",
    "LorentzianPeakModel",
    "MonoexponentialDecayModel",
    "PeaksModel",
    "PseudoVoigtPeakModel",
    "StretchedDecayModel",
    "TriexponentialDecayModel",
]

Floats = NDArray[np.float64]


# Functions: named and at module level, so that models can be pickled and sent to workers ----------


def _monoexponential(x: Floats, amplitude: float, rate: float, plateau: float) -> Floats:
    return rates.exponential_decay(x, amplitude, rate, plateau)


def _biexponential(
    x: Floats, k01: float, k1: float, k02: float, k2: float, plateau: float
) -> Floats:
    return rates.biexponential_decay(x, k01, k1, k02, k2, plateau)


def _triexponential(
    x: Floats,
    k01: float,
    k1: float,
    k02: float,
    k2: float,
    k03: float,
    k3: float,
    plateau: float,
) -> Floats:
    return np.asarray(
        rates.biexponential_decay(x, k01, k1, k02, k2)
        + rates.exponential_decay(x, k03, k3, plateau)
    )


def _rise(x: Floats, k01: float, k1: float, k02: float, k2: float, plateau: float) -> Floats:
    return rates.biexponential_rise(x, k01, k1, k02, k2, plateau)


def _stretched(x: Floats, amplitude: float, rate: float, exponent: float, plateau: float) -> Floats:
    return rates.stretched_decay(x, amplitude, rate, exponent, plateau)


def _gaussian_peak(x: Floats, height: float, centre: float, fwhm: float, offset: float) -> Floats:
    return np.asarray(height * lineshapes.gaussian_profile(x, centre, fwhm)[0] + offset)


def _asymmetric_peak(
    x: Floats, height: float, centre: float, fwhm: float, asymmetry: float, offset: float
) -> Floats:
    shape = lineshapes.asymmetric_profile(x, centre, fwhm, asymmetry)[0]
    return np.asarray(height * shape + offset)


def _lorentzian_peak(x: Floats, height: float, centre: float, fwhm: float, offset: float) -> Floats:
    return np.asarray(height * _lorentzian_shape(x, centre, fwhm) + offset)


def _pseudo_voigt_peak(
    x: Floats, height: float, centre: float, fwhm: float, lorentz_fraction: float, offset: float
) -> Floats:
    return np.asarray(height * _pseudo_voigt_shape(x, centre, fwhm, lorentz_fraction) + offset)


def _gaussian_shape(x: Floats, centre: float, fwhm: float) -> Floats:
    return lineshapes.gaussian_profile(x, centre, fwhm)[0]


def _lorentzian_shape(x: Floats, centre: float, fwhm: float) -> Floats:
    return np.asarray(0.5 * np.pi * fwhm * lineshapes.lorentzian(x, centre, fwhm))


def _pseudo_voigt_shape(x: Floats, centre: float, fwhm: float, lorentz_fraction: float) -> Floats:
    shape = lineshapes.pseudo_voigt(x, centre, fwhm, lorentz_fraction)
    return np.asarray(shape / lineshapes.pseudo_voigt(centre, centre, fwhm, lorentz_fraction))


def _asymmetric_shape(x: Floats, centre: float, fwhm: float, asymmetry: float) -> Floats:
    return lineshapes.asymmetric_profile(x, centre, fwhm, asymmetry)[0]


_PEAK_SHAPES: dict[str, tuple[Callable[..., Floats], tuple[str, ...]]] = {
    "gaussian": (_gaussian_shape, ("centre", "fwhm")),
    "lorentzian": (_lorentzian_shape, ("centre", "fwhm")),
    "pseudo_voigt": (_pseudo_voigt_shape, ("centre", "fwhm", "lorentz_fraction")),
    "asymmetric": (_asymmetric_shape, ("centre", "fwhm", "asymmetry")),
}


class _PeakSum:
    """Sum of n peaks on a background, with the names of its arguments as lmfit wants them."""

    def __init__(self, shape: str, n_peaks: int, background: str) -> None:
        self.shape, self.n_peaks, self.background = shape, n_peaks, background
        own = ("height", *_PEAK_SHAPES[shape][1])
        self.peaks = [
            tuple(n if n_peaks == 1 else f"{n}_{i}" for n in own) for i in range(1, n_peaks + 1)
        ]
        below = ["offset", "slope"] if background == "linear" else ["offset"]
        self.argnames = ["x", *[n for peak in self.peaks for n in peak], *below]
        self.kwargs: list[str] = []
        self.__name__ = f"{shape}_peaks"

    def __call__(self, x: Floats, **values: float) -> Floats:
        profile = _PEAK_SHAPES[self.shape][0]
        axis = np.asarray(x, dtype=np.float64)
        out = values["offset"] + values.get("slope", 0.0) * axis
        for height, *rest in self.peaks:
            out = out + values[height] * profile(axis, *(values[n] for n in rest))
        return np.asarray(out)


def _fick_profile(
    x: Floats,
    amplitude: float,
    centre: float,
    sigma: float,
    offset: float,
    pixel_um: float | None = None,
) -> Floats:
    return np.asarray(amplitude * fick.pixel_gaussian(x, centre, sigma, pixel_um or 0.0) + offset)


# Models -------------------------------------------------------------------------------------------


class _PlkitModel(Model):
    """What the models share: prefixes, guesses that respect fixed parameters, several starts."""

    contains_constant = True
    """A constant is a special case, so that a trace without any change can be told."""

    def __init__(self, function: Any, prefix: str, nan_policy: str, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["x"])
        super().__init__(function, prefix=prefix, nan_policy=nan_policy, **kwargs)
        self._set_paramhints_prefix()

    def _filled(self, **values: float) -> Parameters:
        """Make parameters with starting values, those that hints hold fixed excepted."""
        params = self.make_params()
        for name, value in values.items():
            parameter = params[f"{self.prefix}{name}"]
            if parameter.vary and parameter.expr is None:
                parameter.set(value=float(value))
        return params

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:  # noqa: ARG002
        """Offer further starting values, beside those of ``guess``.

        Parameters
        ----------
        data, x : numpy.ndarray
            A trace without gaps, x ascending.

        Yields
        ------
        lmfit.Parameters
            One set of starting values.
        """
        yield from ()


def _ends(data: Floats) -> tuple[float, float]:
    """Level at the start and at the end of a trace: means over a twentieth of its points."""
    n = max(1, data.size // 20)
    return float(np.mean(data[:n])), float(np.mean(data[-n:]))


def _rate_range(x: Floats) -> tuple[float, float]:
    """Rates between 1/record and 1/step; anything where there is no record."""
    steps = np.diff(x)
    steps = steps[steps > 0]
    if steps.size == 0:
        return 1.0, 1.0
    return 1.0 / float(x[-1] - x[0]), 1.0 / float(np.min(steps))


def _half_time_rate(data: Floats, x: Floats, start: float, end: float) -> float:
    """Rate of the exponential that passes half of the fall when the trace does."""
    slow, fast = _rate_range(x)
    below = np.flatnonzero(np.sign(start - end) * (data - 0.5 * (start + end)) < 0)
    gone = float(x[below[0]] - x[0]) if below.size else 0.0
    return float(np.clip(np.log(2.0) / gone, slow, fast)) if gone > 0 else fast


class MonoexponentialDecayModel(_PlkitModel):
    """Fall of one exponential: amplitude · exp(−rate x) + plateau.

    With ``set_param_hint("amplitude", min=-inf, max=0)`` it is a rise to the plateau.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.rates.exponential_decay : the equation.

    Examples
    --------
    >>> t = np.arange(0.0, 50.0)
    >>> model = MonoexponentialDecayModel()
    >>> y = 0.7 * np.exp(-0.1 * t) + 0.3
    >>> round(model.fit(y, model.guess(y, x=t), x=t).best_values["rate"], 6)
    0.1
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_monoexponential, prefix, nan_policy, **kwargs)

    def _set_paramhints_prefix(self) -> None:
        self.set_param_hint("amplitude", min=0.0)
        self.set_param_hint("rate", min=0.0)

    def guess(self, data: Floats, x: Floats, **kwargs: float) -> Parameters:
        """Guess from the level at both ends and the time of half the fall.

        Parameters
        ----------
        data, x : array_like
            A trace without gaps, x ascending.
        **kwargs
            Values that replace guessed ones.

        Returns
        -------
        lmfit.Parameters
            Values with their bounds.
        """
        y, t = np.asarray(data, float), np.asarray(x, float)
        start, end = _ends(y)
        rate = _half_time_rate(y, t, start, end)
        least = 1e-3 * max(abs(start), abs(end), 1e-12)
        amplitude = max(start - end, least)
        if float(self.param_hints["amplitude"].get("min", -np.inf)) < 0.0:
            amplitude = min(start - end, -least) if start < end else amplitude  # a rise
        return self._filled(**{"amplitude": amplitude, "rate": rate, "plateau": end, **kwargs})

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        return {"amplitude": unit, "rate": _per(x_unit), "plateau": unit}


class StretchedDecayModel(_PlkitModel):
    """Fall of a stretched exponential: amplitude · exp(−(rate x)^exponent) + plateau, x ≥ 0.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.rates.stretched_decay : the equation.

    Examples
    --------
    >>> t = np.arange(0.0, 100.0)
    >>> model = StretchedDecayModel()
    >>> y = 0.7 * np.exp(-((0.1 * t) ** 0.6)) + 0.3
    >>> round(model.fit(y, model.guess(y, x=t), x=t).best_values["exponent"], 5)
    0.6
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_stretched, prefix, nan_policy, **kwargs)

    def _set_paramhints_prefix(self) -> None:
        self.set_param_hint("amplitude", min=0.0)
        self.set_param_hint("rate", min=0.0)
        self.set_param_hint("exponent", value=0.8, min=0.05, max=1.0)

    def guess(self, data: Floats, x: Floats, **kwargs: float) -> Parameters:
        """Guess as for one exponential, with the exponent 0.8.

        Parameters
        ----------
        data, x : array_like
            A trace without gaps, x ascending.
        **kwargs
            Values that replace guessed ones.

        Returns
        -------
        lmfit.Parameters
            Values with their bounds.
        """
        y, t = np.asarray(data, float), np.asarray(x, float)
        start, end = _ends(y)
        rate = _half_time_rate(y, t, start, end)
        amplitude = max(start - end, 1e-3 * max(abs(start), abs(end), 1e-12))
        values = {"amplitude": amplitude, "rate": rate, "exponent": 0.8, "plateau": end}
        return self._filled(**{**values, **kwargs})

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:
        """Offer a strongly stretched start.

        Parameters
        ----------
        data, x : numpy.ndarray
            A trace without gaps, x ascending.

        Yields
        ------
        lmfit.Parameters
            One set of starting values.
        """
        first = self.guess(data, x)
        rate = first[f"{self.prefix}rate"].value
        yield self.guess(data, x, exponent=0.4, rate=2.0 * rate)

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        one = names.unit(names.COMPONENT)
        return {"amplitude": unit, "rate": _per(x_unit), "exponent": one, "plateau": unit}


class _Biexponential(_PlkitModel):
    """Bounds, guess, starts and order of rates that fall and rise have in common."""

    _rises = False

    def _set_paramhints_prefix(self) -> None:
        for name in rates.BIEXPONENTIAL_PARAMETERS:
            self.set_param_hint(name, min=0.0)

    def _falling(self, data: Floats) -> Floats:
        return 1.0 - data if self._rises else data

    def guess(self, data: Floats, x: Floats, **kwargs: float) -> Parameters:
        """Guess from the level at both ends and the time of half the fall.

        Parameters
        ----------
        data, x : array_like
            A trace without gaps, x ascending.
        **kwargs
            Values that replace guessed ones.

        Returns
        -------
        lmfit.Parameters
            Values with their bounds.
        """
        y, t = self._falling(np.asarray(data, float)), np.asarray(x, float)
        start, end = _ends(y)
        fall = max(start - end, 1e-3 * max(abs(start), abs(end), 1e-12))
        rate = _half_time_rate(y, t, start, end)
        slow, _ = _rate_range(t)
        values = {
            "k01": 0.6 * fall,
            "k1": 2.0 * rate,
            "k02": 0.4 * fall,
            "k2": max(0.3 * rate, 0.7 * slow),
            "plateau": max(end, 1e-3 * fall),
        }
        return self._filled(**{**values, **kwargs})

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:
        """Offer pairs of rates spread over the record: some traces have local minima.

        Parameters
        ----------
        data, x : numpy.ndarray
            A trace without gaps, x ascending.

        Yields
        ------
        lmfit.Parameters
            One set of starting values.
        """
        slow, fast = _rate_range(np.asarray(x, float))
        spread = np.geomspace(1.5 * slow, max(0.5 * fast, 6.0 * slow), 3)
        for i, k2 in enumerate(spread):
            for k1 in spread[i + 1 :]:
                yield self.guess(data, x, k1=float(k1), k2=float(k2))

    def post_fit(self, fitresult: Any) -> None:
        """Let k1 be the faster rate; called by lmfit after the fit.

        Parameters
        ----------
        fitresult : lmfit.minimizer.MinimizerResult
            Values, σ, correlations and covariance are exchanged; the curve is the same.
        """
        pairs = [
            (f"{self.prefix}{a}", f"{self.prefix}{b}") for a, b in (("k01", "k02"), ("k1", "k2"))
        ]
        p = fitresult.params
        if p[pairs[1][0]].value >= p[pairs[1][1]].value:
            return
        for a, b in pairs:
            free = all(p[n].vary and p[n].expr is None for n in (a, b))
            if not free or (p[a].min, p[a].max) != (p[b].min, p[b].max):
                return  # whoever fixes or bounds one rate has named it
        swap = dict(pairs) | {b: a for a, b in pairs}
        if getattr(fitresult, "covar", None) is not None:
            order = fitresult.var_names
            index = [order.index(swap.get(name, name)) for name in order]
            fitresult.covar = fitresult.covar[np.ix_(index, index)]
        for parameter in p.values():
            if parameter.correl:
                parameter.correl = {swap.get(n, n): v for n, v in parameter.correl.items()}
        for a, b in pairs:
            first = (p[a].value, p[a].stderr, p[a].correl)
            second = (p[b].value, p[b].stderr, p[b].correl)
            p[a].value, p[a].stderr, p[a].correl = second
            p[b].value, p[b].stderr, p[b].correl = first

    def is_identifiable(
        self, values: dict[str, float], covariance: Floats, order: list[str], x: Floats
    ) -> bool:
        """Tell whether the data determine both exponentials.

        Parameters
        ----------
        values : dict
            All parameters by name.
        covariance : numpy.ndarray
            Of all parameters, in ``order``.
        order : list of str
            Names of the rows of ``covariance``.
        x : numpy.ndarray
            Ascending times of the trace.
        """
        own = [f"{self.prefix}{n}" for n in rates.BIEXPONENTIAL_PARAMETERS]
        index = [order.index(n) for n in own]
        return bool(
            rates.biexponential_is_identifiable(
                np.array([values[n] for n in own]),
                covariance[np.ix_(index, index)],
                float(x[-1] - x[0]),
            )
        )

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        rate = _per(x_unit)
        return {"k01": unit, "k1": rate, "k02": unit, "k2": rate, "plateau": unit}


class BiexponentialDecayModel(_Biexponential):
    """Fall of two exponentials: k01 exp(−k1 x) + k02 exp(−k2 x) + plateau, k1 > k2.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.rates.biexponential_decay : the equation.
    plkit.fit_kinetics : the same model for whole maps, with the quantities that follow from it.

    Notes
    -----
    After every fit the faster rate is called k1, with its σ, correlations and covariance, unless
    one of the two pairs is fixed, tied or bounded differently.

    Examples
    --------
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> model = BiexponentialDecayModel()
    >>> y = model.eval(x=t, k01=0.3, k1=0.005, k02=0.4, k2=0.04, plateau=0.3)  # labels swapped
    >>> result = model.fit(y, model.guess(y, x=t), x=t)
    >>> round(result.params["k1"].value, 5), round(result.params["k01"].value, 5)
    (0.04, 0.4)
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_biexponential, prefix, nan_policy, **kwargs)


class TriexponentialDecayModel(_PlkitModel):
    """Fall of three exponentials: Σ k0i exp(−ki x) + plateau, i = 1, 2, 3.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    Notes
    -----
    :func:`plkit.fit_model` gives the rates in falling order; plain lmfit leaves them as it finds
    them. Three rates want a record of three decades and many counts: look at ``fit_status``.

    Examples
    --------
    >>> t = np.geomspace(0.1, 3000.0, 300)
    >>> model = TriexponentialDecayModel()
    >>> y = model.eval(x=t, k01=0.3, k1=1.0, k02=0.2, k2=0.05, k03=0.3, k3=0.003, plateau=0.2)
    >>> result = model.fit(y, model.guess(y, x=t), x=t)
    >>> round(result.best_values["k2"], 5)
    0.05
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_triexponential, prefix, nan_policy, **kwargs)

    def _set_paramhints_prefix(self) -> None:
        for name in ("k01", "k1", "k02", "k2", "k03", "k3", "plateau"):
            self.set_param_hint(name, min=0.0)

    def guess(self, data: Floats, x: Floats, **kwargs: float) -> Parameters:
        """Guess from the level at both ends and the times of three shares of the fall.

        Parameters
        ----------
        data, x : array_like
            A trace without gaps, x ascending.
        **kwargs
            Values that replace guessed ones.

        Returns
        -------
        lmfit.Parameters
            With bounds.
        """
        y, t = np.asarray(data, float), np.asarray(x, float)
        start, end = _ends(y)
        fall = max(start - end, 1e-3 * max(abs(start), abs(end), 1e-12))
        slow, fast = _rate_range(t)
        spread = []
        for gone in (0.17, 0.5, 0.83):  # each rate lives where the trace has fallen that far
            below = np.flatnonzero(y < start - gone * (start - end))
            spent = float(t[below[0]] - t[0]) if below.size else 0.0
            spread.append(min(1.0 / spent, fast) if spent > 0 else fast)
        spread = [spread[0], min(spread[1], 0.7 * spread[0]), min(spread[2], 0.4 * spread[0])]
        spread[2] = max(min(spread[2], 0.7 * spread[1]), 0.1 * slow)
        values = {"plateau": max(end, 1e-3 * fall)}
        for i, rate in enumerate(spread, start=1):
            values |= {f"k0{i}": fall / 3.0, f"k{i}": float(rate)}
        return self._filled(**{**values, **kwargs})

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:
        """Offer rates closer to each other, early and late in the record.

        Parameters
        ----------
        data, x : numpy.ndarray
            A trace without gaps, x ascending.
        """
        slow, fast = _rate_range(np.asarray(x, float))
        width = np.log(max(fast / slow, 20.0))
        for early, late in ((0.15, 0.55), (0.4, 0.9), (0.25, 0.75)):
            k3, k1 = slow * np.exp(early * width), slow * np.exp(late * width)
            yield self.guess(data, x, k1=float(k1), k2=float(np.sqrt(k1 * k3)), k3=float(k3))

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        rate = _per(x_unit)
        own = {f"k0{i}": unit for i in (1, 2, 3)} | {f"k{i}": rate for i in (1, 2, 3)}
        return {**own, "plateau": unit}


class BiexponentialRiseModel(_Biexponential):
    """Rise of a fraction: 1 − [k01 exp(−k1 x) + k02 exp(−k2 x) + plateau], k1 > k2.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.rates.biexponential_rise : the equation.

    Examples
    --------
    >>> t = np.arange(0.0, 500.0, 5.0)
    >>> model = BiexponentialRiseModel()
    >>> y = model.eval(x=t, k01=0.4, k1=0.04, k02=0.3, k2=0.005, plateau=0.3)
    >>> round(model.fit(y, model.guess(y, x=t), x=t).best_values["k2"], 6)
    0.005
    """

    _rises = True

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_rise, prefix, nan_policy, **kwargs)


class _Peak(_PlkitModel):
    """Bounds and guess that peaks have in common; the width is called as the model wants it."""

    _top, _width = "height", "fwhm"
    _width_per_fwhm = 1.0

    def _set_paramhints_prefix(self) -> None:
        self.set_param_hint(self._top, min=0.0)
        self.set_param_hint(self._width, min=0.0)

    def guess(self, data: Floats, x: Floats, **kwargs: float) -> Parameters:
        """Guess from the maximum and from where the data stay above half of it.

        Parameters
        ----------
        data, x : array_like
            Points without gaps.
        **kwargs
            Values that replace guessed ones.

        Returns
        -------
        lmfit.Parameters
            Values with their bounds.
        """
        y, axis = np.asarray(data, float), np.asarray(x, float)
        offset = float(np.quantile(y, 0.1))
        top = int(np.argmax(y))
        height = max(float(y[top]) - offset, 1e-12)
        above = axis[y > offset + 0.5 * height]
        step = float(np.ptp(axis)) / max(axis.size - 1, 1)
        width = max(float(np.ptp(above)) if above.size else 0.0, 2.0 * step, 1e-12)
        centre = float(np.mean(above)) if above.size else float(axis[top])
        values = {self._top: height, "centre": centre, "offset": offset}
        values[self._width] = width * self._width_per_fwhm
        return self._filled(**{**values, **kwargs})

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        return {self._top: unit, "centre": x_unit, self._width: x_unit, "offset": unit}


class GaussianPeakModel(_Peak):
    """Gaussian on a constant: height · exp(−4 ln 2 (x − centre)²/fwhm²) + offset.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.lineshapes.gaussian_profile : the equation.

    Examples
    --------
    >>> e = np.linspace(1.8, 2.2, 81)
    >>> model = GaussianPeakModel()
    >>> y = model.eval(x=e, height=900.0, centre=1.98, fwhm=0.08, offset=20.0)
    >>> round(model.fit(y, model.guess(y, x=e), x=e).best_values["centre"], 6)
    1.98
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_gaussian_peak, prefix, nan_policy, **kwargs)


class LorentzianPeakModel(_Peak):
    """Lorentzian on a constant: height / (1 + 4 (x − centre)²/fwhm²) + offset.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.lineshapes.lorentzian : the equation.

    Examples
    --------
    >>> e = np.linspace(1.8, 2.2, 81)
    >>> model = LorentzianPeakModel()
    >>> y = model.eval(x=e, height=900.0, centre=1.98, fwhm=0.08, offset=20.0)
    >>> round(model.fit(y, model.guess(y, x=e), x=e).best_values["fwhm"], 6)
    0.08
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_lorentzian_peak, prefix, nan_policy, **kwargs)


class PseudoVoigtPeakModel(_Peak):
    """Sum of a Gaussian and a Lorentzian of one width, on a constant.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.lineshapes.pseudo_voigt : the equation; lorentz_fraction is a share of the area.

    Examples
    --------
    >>> e = np.linspace(1.7, 2.3, 121)
    >>> model = PseudoVoigtPeakModel()
    >>> y = model.eval(x=e, height=900.0, centre=1.98, fwhm=0.08, lorentz_fraction=0.4, offset=20.0)
    >>> round(model.fit(y, model.guess(y, x=e), x=e).best_values["lorentz_fraction"], 5)
    0.4
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_pseudo_voigt_peak, prefix, nan_policy, **kwargs)

    def _set_paramhints_prefix(self) -> None:
        super()._set_paramhints_prefix()
        self.set_param_hint("lorentz_fraction", value=0.5, min=0.0, max=1.0)

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        one = names.unit(names.COMPONENT)
        return {**super().parameter_units(unit, x_unit), "lorentz_fraction": one}


class PeaksModel(_PlkitModel):
    """Sum of one to three peaks of one shape on a constant or a straight line.

    Parameters
    ----------
    shape : {"gaussian", "lorentzian", "pseudo_voigt", "asymmetric"}, optional
        Of every peak.
    n_peaks : int, optional
        From 1 to 3. The parameters of more than one end in _1, _2, _3.
    background : {"constant", "linear"}, optional
        offset, or offset + slope · x.
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.lineshapes : the equations.

    Notes
    -----
    :func:`plkit.fit_model` gives the peaks with rising centres; plain lmfit leaves them as it finds
    them.

    Examples
    --------
    >>> e = np.linspace(1.7, 2.3, 121)
    >>> model = PeaksModel("gaussian", 2)
    >>> y = model.eval(x=e, height_1=900.0, centre_1=1.93, fwhm_1=0.08, height_2=300.0,
    ...                centre_2=2.05, fwhm_2=0.1, offset=20.0)
    >>> result = model.fit(y, model.guess(y, x=e), x=e)
    >>> sorted(round(result.best_values[f"centre_{i}"], 5) for i in (1, 2))
    [1.93, 2.05]
    """

    def __init__(
        self,
        shape: str = "gaussian",
        n_peaks: int = 1,
        background: str = "constant",
        prefix: str = "",
        nan_policy: str = "raise",
        **kwargs: Any,
    ) -> None:
        action = "make the model"
        if shape not in _PEAK_SHAPES:
            raise DataError(action, f"'shape' is '{shape}', not one of {', '.join(_PEAK_SHAPES)}")
        if n_peaks not in (1, 2, 3):
            raise DataError(action, f"'n_peaks' is {n_peaks}, not 1, 2 or 3")
        if background not in ("constant", "linear"):
            raise DataError(action, f"'background' is '{background}', not constant or linear")
        super().__init__(_PeakSum(shape, n_peaks, background), prefix, nan_policy, **kwargs)

    def _set_paramhints_prefix(self) -> None:
        for height, _, fwhm, *rest in self.func.peaks:
            self.set_param_hint(height, min=0.0)
            self.set_param_hint(fwhm, min=0.0)
            for name in rest:
                if name.startswith("asymmetry"):
                    self.set_param_hint(name, value=-0.1, min=-3.0, max=3.0)
                else:
                    self.set_param_hint(name, value=0.5, min=0.0, max=1.0)

    def guess(self, data: Floats, x: Floats, **kwargs: float) -> Parameters:
        """Guess peak after peak: the maximum of what the ones before leave over.

        Parameters
        ----------
        data, x : array_like
            Points without gaps, x ascending.
        **kwargs
            Values that replace guessed ones.

        Returns
        -------
        lmfit.Parameters
            With bounds.
        """
        y, axis = np.asarray(data, float), np.asarray(x, float)
        offset = float(np.quantile(y, 0.1))
        step = float(np.ptp(axis)) / max(axis.size - 1, 1)
        rest, values = y - offset, {"offset": offset}
        if self.func.background == "linear":
            values["slope"] = 0.0
        found: list[tuple[float, float, float]] = []
        for _ in range(self.func.n_peaks):
            smooth = np.convolve(np.pad(rest, 2, mode="edge"), np.full(5, 0.2), mode="valid")
            top = int(np.argmax(smooth))
            height = max(float(smooth[top]), 1e-12)
            left = top - int(np.argmin(smooth[top::-1] > 0.5 * height))
            right = top + int(np.argmin(smooth[top:] > 0.5 * height))
            width = max(2.0 * min(axis[top] - axis[left], axis[right] - axis[top]), 2.0 * step)
            width = width if width > 2.0 * step else max(axis[right] - axis[left], 2.0 * step)
            width = max(float(width), 1e-12)
            found.append((float(axis[top]), height, width))
            rest = rest - height * _gaussian_shape(axis, float(axis[top]), width)
        for peak, (centre, height, width) in zip(self.func.peaks, sorted(found), strict=True):
            values |= dict(zip(peak, (height, centre, width), strict=False))
        return self._filled(**{**values, **kwargs})

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:
        """Offer peaks close together: those that hide in one maximum.

        Parameters
        ----------
        data, x : numpy.ndarray
            Points without gaps, x ascending.
        """
        single = GaussianPeakModel().guess(data, x)
        centre, width = single["centre"].value, single["fwhm"].value
        n = self.func.n_peaks
        for spread in (0.4, 0.8) if n > 1 else ():
            values: dict[str, float] = {}
            for i, (height, middle, fwhm, *_) in enumerate(self.func.peaks):
                values[height] = single["height"].value / n**0.5
                values[middle] = centre + spread * width * (2.0 * i / (n - 1) - 1.0)
                values[fwhm] = width / n**0.5
            yield self.guess(data, x, **values)

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        one = names.unit(names.COMPONENT)
        out = {"offset": unit}
        if self.func.background == "linear":
            out["slope"] = f"{unit}{_per(x_unit)[1:]}" if unit and _per(x_unit) else ""
        for height, centre, fwhm, *rest in self.func.peaks:
            out |= {height: unit, centre: x_unit, fwhm: x_unit, **dict.fromkeys(rest, one)}
        return out


class AsymmetricPeakModel(_Peak):
    """Log-normal line on a constant, with a tail on one side.

    Parameters
    ----------
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.lineshapes.asymmetric_profile : the equation; asymmetry = ln(h₊/h₋), negative for
        a low-energy tail.

    Examples
    --------
    >>> e = np.linspace(1.7, 2.2, 101)
    >>> model = AsymmetricPeakModel()
    >>> y = model.eval(x=e, height=900.0, centre=1.98, fwhm=0.08, asymmetry=-0.4, offset=20.0)
    >>> round(model.fit(y, model.guess(y, x=e), x=e).best_values["asymmetry"], 5)
    -0.4
    """

    def __init__(self, prefix: str = "", nan_policy: str = "raise", **kwargs: Any) -> None:
        super().__init__(_asymmetric_peak, prefix, nan_policy, **kwargs)

    def _set_paramhints_prefix(self) -> None:
        super()._set_paramhints_prefix()
        self.set_param_hint("asymmetry", value=-0.1, min=-3.0, max=3.0)

    def starts(self, data: Floats, x: Floats) -> Iterator[Parameters]:
        """Offer a tail on either side.

        Parameters
        ----------
        data, x : numpy.ndarray
            Points without gaps.

        Yields
        ------
        lmfit.Parameters
            One set of starting values.
        """
        for asymmetry in (-0.6, 0.6):
            yield self.guess(data, x, asymmetry=asymmetry)

    def parameter_units(self, unit: str, x_unit: str) -> dict[str, str]:
        """Give the units of the parameters for data and axis of the given units.

        Parameters
        ----------
        unit, x_unit : str
            Of the data and of the axis; empty where not known.

        Returns
        -------
        dict of str to str
            Unit by parameter.
        """
        one = names.unit(names.COMPONENT)
        return {**super().parameter_units(unit, x_unit), "asymmetry": one}


class FickProfileModel(_Peak):
    """Profile of what diffused from a point: a Gaussian averaged over each pixel, on a constant.

    Parameters
    ----------
    pixel_um : float, optional
        Width of a pixel, in the unit of x; 0 takes the Gaussian at the middles of the pixels.
    prefix : str, optional
        Put before the name of every parameter.
    nan_policy : str, optional
        As in lmfit.
    **kwargs
        For lmfit.Model.

    See Also
    --------
    plkit.physics.fick.pixel_gaussian : the equation; sigma² = σ0² + 2 D t.
    plkit.fit_fick_profile : from profile to diffusion coefficient.

    Examples
    --------
    >>> x = np.arange(-10.0, 10.5)
    >>> model = FickProfileModel(pixel_um=1.0)
    >>> y = model.eval(x=x, amplitude=0.6, centre=0.3, sigma=1.75, offset=0.1)
    >>> round(model.fit(y, model.guess(y, x=x), x=x).best_values["sigma"], 6)
    1.75
    """

    _top, _width = "amplitude", "sigma"
    _width_per_fwhm = 1.0 / FWHM_PER_SIGMA

    def __init__(
        self, pixel_um: float = 0.0, prefix: str = "", nan_policy: str = "raise", **kwargs: Any
    ) -> None:
        kwargs.setdefault("param_names", ["amplitude", "centre", "sigma", "offset"])
        super().__init__(_fick_profile, prefix, nan_policy, pixel_um=float(pixel_um), **kwargs)


def _per(unit: str) -> str:
    """Unit of a rate along an axis; empty where it is not known."""
    return f"1/{unit}" if unit and unit.isalpha() else ""
