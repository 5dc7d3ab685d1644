"""Models of decays and rises: one to three exponentials, stretched ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from lmfit import Parameters

from plkit import names
from plkit.models.base import Floats, PlkitModel, ends, half_time_rate, per, rate_range
from plkit.physics import rates

__all__ = [
    "BiexponentialDecayModel",
    "BiexponentialRiseModel",
    "MonoexponentialDecayModel",
    "StretchedDecayModel",
    "TriexponentialDecayModel",
]


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


# Models -------------------------------------------------------------------------------------------
class MonoexponentialDecayModel(PlkitModel):
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
        start, end = ends(y)
        rate = half_time_rate(y, t, start, end)
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
        return {"amplitude": unit, "rate": per(x_unit), "plateau": unit}


class StretchedDecayModel(PlkitModel):
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
        start, end = ends(y)
        rate = half_time_rate(y, t, start, end)
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
        return {"amplitude": unit, "rate": per(x_unit), "exponent": one, "plateau": unit}


class _Biexponential(PlkitModel):
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
        start, end = ends(y)
        fall = max(start - end, 1e-3 * max(abs(start), abs(end), 1e-12))
        rate = half_time_rate(y, t, start, end)
        slow, _ = rate_range(t)
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
        slow, fast = rate_range(np.asarray(x, float))
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
        rate = per(x_unit)
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


class TriexponentialDecayModel(PlkitModel):
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
        start, end = ends(y)
        fall = max(start - end, 1e-3 * max(abs(start), abs(end), 1e-12))
        slow, fast = rate_range(t)
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
        slow, fast = rate_range(np.asarray(x, float))
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
        rate = per(x_unit)
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
