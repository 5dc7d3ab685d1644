"""Sums of one to three peaks of one shape, on a constant or a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from lmfit import Parameters

from plkit import names
from plkit.errors import DataError
from plkit.models.base import Floats, PlkitModel, per
from plkit.models.peaks import GaussianPeakModel
from plkit.models.shapes import (
    asymmetric_shape,
    gaussian_shape,
    lorentzian_shape,
    pseudo_voigt_shape,
)

__all__ = ["PeaksModel"]


_PEAK_SHAPES: dict[str, tuple[Callable[..., Floats], tuple[str, ...]]] = {
    "gaussian": (gaussian_shape, ("centre", "fwhm")),
    "lorentzian": (lorentzian_shape, ("centre", "fwhm")),
    "pseudo_voigt": (pseudo_voigt_shape, ("centre", "fwhm", "lorentz_fraction")),
    "asymmetric": (asymmetric_shape, ("centre", "fwhm", "asymmetry")),
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


# Models -------------------------------------------------------------------------------------------
class PeaksModel(PlkitModel):
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
            rest = rest - height * gaussian_shape(axis, float(axis[top]), width)
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
            out["slope"] = f"{unit}{per(x_unit)[1:]}" if unit and per(x_unit) else ""
        for height, centre, fwhm, *rest in self.func.peaks:
            out |= {height: unit, centre: x_unit, fwhm: x_unit, **dict.fromkeys(rest, one)}
        return out
