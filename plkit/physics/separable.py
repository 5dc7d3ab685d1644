"""Fits of separable models by variable projection, compiled.

A separable model is a sum of terms, each an amplitude times a shape, on a background::

    y(x) = Σ_i a_i φ(x; θ_i) [+ offset [+ slope · x]]

For given θ the amplitudes follow from linear least squares with exact bounds, so only θ is
searched: on a coarse global grid first, which needs no starting values, then by
Levenberg–Marquardt on the projected problem.

Interface
---------
``SeparableModel(family, n_terms, background, …)`` says what is fitted;
``fit_separable(y, x, model, sigma=…, poisson=…, shared=…, labels=…, threads=…)`` fits every row of
``y`` (rows, points) over the common axis ``x`` (points,) and returns a dict of arrays:

==================  ==================  ==========================================================
``params``          (rows, p)           in the order of ``model.parameter_names``
``covariance``      (rows, p, p)        zero for fixed parameters, NaN where there is no σ; scaled
                                        by χ²/ν only where neither σ nor ``poisson`` is given
``chisqr``          (rows,)             Σ [(y − model)/σ]² with the weights of the last round
``chisqr_constant`` (rows,)             the same of the best constant, for ``fit.status.has_change``
``nfev``            (rows,) int64       evaluations of the model
``n_points``        (rows,) int64       points that counted
``status``          (rows,) int8        0 ok, 1 at_bound, 2 not_identifiable, 3 no_signal (no
                                        points, or no amplitude), 4 failed; as in plkit.fit.status.
                                        The test by chance (``has_change``) is left to the caller.
==================  ==================  ==========================================================

Parameter names (those of plkit.models, term by term, then the background):

* exponential: ``amplitude, rate, plateau`` for one term; ``k01, k1, k02, k2[, k03, k3], plateau``
  for more. Falling order of the rates.
* stretched: ``amplitude, rate, exponent, plateau``.
* gaussian, lorentzian: ``height, centre, fwhm, offset[, slope]`` for one term; for more
  ``height_1, centre_1, fwhm_1, height_2, …, offset[, slope]``. Rising order of the centres.
* pseudo_voigt: the same with ``lorentz_fraction`` (share of the area, 0 to 1) after ``fwhm``.
* asymmetric: the same with ``asymmetry`` after ``fwhm``.
* fick: ``amplitude, centre, sigma, offset[, slope]``; ``pixel`` is the width of a pixel.

NaN in ``y`` or σ that is not positive is a gap. A rise 1 − (…) is fitted as 1 − y.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAMILIES", "SeparableModel"]

Floats = NDArray[np.float64]

FAMILIES: Final = (
    "exponential",
    "stretched",
    "gaussian",
    "lorentzian",
    "pseudo_voigt",
    "asymmetric",
    "fick",
)


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
        1: amplitudes ≥ 0; −1: ≤ 0; 0: free (for pseudo_voigt 1 or −1).
    background_sign : {0, 1}, optional
        1: the constant is ≥ 0; needs ``background="constant"``.
    bounds : Mapping, optional
        (lower, upper) of non-linear parameters by name; ±inf leaves the default, which is wide
        but finite (rates: 1/20 of 1/record to two per step).
    fixed : Mapping, optional
        Non-linear parameters, plateau, offset or slope that are held, by name: a number, or an
        array with one value per row.
    pixel : float, optional
        Width of a pixel, for fick.
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
        n = self.n_terms
        names: list[str] = []
        if self.family == "exponential":
            names = ["amplitude", "rate"] if n == 1 else []
            for i in range(1, n + 1 if n > 1 else 1):
                names += [f"k0{i}", f"k{i}"]
        elif self.family == "stretched":
            names = ["amplitude", "rate", "exponent"]
        elif self.family == "fick":
            names = ["amplitude", "centre", "sigma"]
        else:
            extra = {"pseudo_voigt": ["lorentz_fraction"], "asymmetric": ["asymmetry"]}
            one = ["height", "centre", "fwhm", *extra.get(self.family, [])]
            names = one if n == 1 else [f"{p}_{i}" for i in range(1, n + 1) for p in one]
        constant = "plateau" if self.family in ("exponential", "stretched") else "offset"
        own = {"none": [], "constant": [constant], "linear": [constant, "slope"]}
        return (*names, *own[self.background])
