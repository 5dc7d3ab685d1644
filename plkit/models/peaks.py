"""Models of one peak on a constant, and of the profile of what diffused from a point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from lmfit import Parameters

from plkit import names
from plkit.models.base import Floats, PlkitModel
from plkit.models.shapes import lorentzian_shape, pseudo_voigt_shape
from plkit.physics import fick, lineshapes
from plkit.physics.constants import FWHM_PER_SIGMA

__all__ = [
    "AsymmetricPeakModel",
    "FickProfileModel",
    "GaussianPeakModel",
    "LorentzianPeakModel",
    "PseudoVoigtPeakModel",
]


# Functions: named and at module level, so that models can be pickled and sent to workers ----------
def _gaussian_peak(x: Floats, height: float, centre: float, fwhm: float, offset: float) -> Floats:
    return np.asarray(height * lineshapes.gaussian_profile(x, centre, fwhm)[0] + offset)


def _asymmetric_peak(
    x: Floats, height: float, centre: float, fwhm: float, asymmetry: float, offset: float
) -> Floats:
    shape = lineshapes.asymmetric_profile(x, centre, fwhm, asymmetry)[0]
    return np.asarray(height * shape + offset)


def _lorentzian_peak(x: Floats, height: float, centre: float, fwhm: float, offset: float) -> Floats:
    return np.asarray(height * lorentzian_shape(x, centre, fwhm) + offset)


def _pseudo_voigt_peak(
    x: Floats, height: float, centre: float, fwhm: float, lorentz_fraction: float, offset: float
) -> Floats:
    return np.asarray(height * pseudo_voigt_shape(x, centre, fwhm, lorentz_fraction) + offset)


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
class _Peak(PlkitModel):
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
