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

from plkit.models.decays import (
    BiexponentialDecayModel,
    BiexponentialRiseModel,
    MonoexponentialDecayModel,
    StretchedDecayModel,
    TriexponentialDecayModel,
)
from plkit.models.peak_sums import PeaksModel
from plkit.models.peaks import (
    AsymmetricPeakModel,
    FickProfileModel,
    GaussianPeakModel,
    LorentzianPeakModel,
    PseudoVoigtPeakModel,
)

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
