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

from collections.abc import Iterator
from typing import Any

import numpy as np
from lmfit import Model, Parameters
from numpy.typing import NDArray

from plkit import names
from plkit.physics import fick, lineshapes, rates
from plkit.physics.constants import FWHM_PER_SIGMA

__all__ = [
    "AsymmetricPeakModel",
    "BiexponentialDecayModel",
    "BiexponentialRiseModel",
    "FickProfileModel",
    "GaussianPeakModel",
    "MonoexponentialDecayModel",
    "StretchedDecayModel",
]

Floats = NDArray[np.float64]


# Functions: named and at module level, so that models can be pickled and sent to workers ----------


def _monoexponential(x: Floats, amplitude: float, rate: float, plateau: float) -> Floats:
    return rates.exponential_decay(x, amplitude, rate, plateau)


def _biexponential(
    x: Floats, k01: float, k1: float, k02: float, k2: float, plateau: float
) -> Floats:
    return rates.biexponential_decay(x, k01, k1, k02, k2, plateau)


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
        amplitude = max(start - end, 1e-3 * max(abs(start), abs(end), 1e-12))
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
