"""References that are no measurement: line shapes of energy on a spectral axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.physics.lineshapes import SHAPES, spectrum_on_wavelength
from plkit.physics.photons import Medium
from plkit.physics.resampling import channel_widths

__all__ = ["LineShape"]

# Which shape takes which parameter beside centre and width.
_EXTRA: Final = {
    "voigt": "lorentz_fraction",
    "pseudo_voigt": "lorentz_fraction",
    "asymmetric": "asymmetry",
}
# Three-point Gauss-Legendre rule: a channel's mean of the shape, not its value at the centre.
_NODES: Final = (-np.sqrt(0.6) / 2.0, 0.0, np.sqrt(0.6) / 2.0)
_WEIGHTS: Final = (5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0)


@dataclass(frozen=True, slots=True)
class LineShape:
    """Emission of one component as a line shape of photon energy.

    Parameters
    ----------
    kind : {"gaussian", "lorentzian", "voigt", "pseudo_voigt", "asymmetric"}
        See :mod:`plkit.physics.lineshapes`.
    centre_ev : float
        Energy of the maximum, in vacuum [eV].
    fwhm_ev : float
        Full width at half maximum [eV].
    lorentz_fraction : float, optional
        Of ``voigt`` and ``pseudo_voigt`` [1].
    asymmetry : float, optional
        Of ``asymmetric`` [1]; negative for a low-energy tail.
    medium : {"air", "vacuum"}, optional
        Where the wavelengths of the data were measured.

    Raises
    ------
    DataError
        For an unknown kind, or numbers that are not positive and finite.

    Examples
    --------
    >>> line = LineShape("gaussian", centre_ev=2.0, fwhm_ev=0.08)
    >>> counts = line.per_channel(np.linspace(560.0, 690.0, 521), names.WAVELENGTH)
    >>> print(f"{counts.sum():.6f}")
    1.000000
    """

    kind: Literal["gaussian", "lorentzian", "voigt", "pseudo_voigt", "asymmetric"]
    centre_ev: float
    fwhm_ev: float
    lorentz_fraction: float = 0.5
    asymmetry: float = 0.0
    medium: Medium = "air"

    def __post_init__(self) -> None:
        """Refuse what is no line."""
        action = "make a line shape"
        if self.kind not in SHAPES:
            raise DataError(action, f"kind is '{self.kind}', not one of {', '.join(SHAPES)}")
        for name in ("centre_ev", "fwhm_ev"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0.0):
                raise DataError(action, f"{name} is {value:g}, not positive", "Give it in eV.")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> LineShape:
        """Line shape from a table, as a recipe holds it.

        Parameters
        ----------
        mapping : mapping
            Parameters of ``LineShape`` by name.

        Returns
        -------
        LineShape
            The same as ``LineShape(**mapping)``, with an error that names what is wrong.
        """
        known = [f.name for f in fields(cls)]
        unknown = [str(k) for k in mapping if k not in known]
        missing = [k for k in known[:3] if k not in mapping]
        if unknown or missing:
            raise DataError(
                "make a line shape",
                f"the table has {', '.join(map(str, mapping)) or 'nothing'}, not "
                f"{', '.join(known[:3])} and optionally {', '.join(known[3:])}",
                f"Remove {', '.join(unknown)}." if unknown else f"Add {', '.join(missing)}.",
            )
        return cls(**mapping)

    def per_channel(self, axis: NDArray[np.float64], dim: str) -> NDArray[np.float64]:
        """Share of the line's light in every channel.

        Parameters
        ----------
        axis : ndarray, shape (channels,)
            Wavelength [nm] or energy [eV].
        dim : str
            Which of the two.

        Returns
        -------
        ndarray, shape (channels,)
            Share per channel [1] along wavelength, density [1/eV] along energy, as intensities are
            after ``plkit.spectra.to_energy``.
        """
        if dim not in (names.WAVELENGTH, names.ENERGY):
            raise DataError(
                "use a line shape",
                f"the axis is '{dim}', not '{names.WAVELENGTH}' or '{names.ENERGY}'",
                "Give measured references.",
            )
        shape = SHAPES[self.kind]
        extra = {_EXTRA[self.kind]: getattr(self, _EXTRA[self.kind])} if self.kind in _EXTRA else {}
        width = channel_widths(axis)
        total = np.zeros_like(axis)
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            x = axis + node * width
            if dim == names.WAVELENGTH:
                total += weight * spectrum_on_wavelength(
                    x, shape, self.centre_ev, self.fwhm_ev, medium=self.medium, **extra
                )
            else:
                total += weight * shape(x, self.centre_ev, self.fwhm_ev, **extra)
        return total * width if dim == names.WAVELENGTH else total
