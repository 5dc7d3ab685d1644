"""What is heated and by what: the laser's spot, the film, its substrate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from plkit.errors import DataError
from plkit.names import WAVELENGTH
from plkit.schema import require_unit

__all__ = ["GLASS", "Film", "LaserSpot", "Layer", "absorptance_from_nk"]


def _positive(action: str, name: str, value: float, remedy: str = "") -> None:
    if not (math.isfinite(value) and value > 0):
        raise DataError(action, f"'{name}' is {value}, not a positive number", remedy)


def _stderr(action: str, name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise DataError(
            action,
            f"'{name}' is {value}, not 0 or a positive number",
            "It is one standard deviation.",
        )


@dataclass(frozen=True, slots=True)
class LaserSpot:
    """Focused laser beam of Gaussian profile.

    Parameters
    ----------
    radius_um : float
        1/e² radius of the intensity, w0 [µm]: I(r) = 2 P/(π w0²) exp(−2 r²/w0²). A full width at
        half maximum of F is a radius of 0.849 F.
    wavelength_nm : float, optional
        Wavelength [nm].
    radius_stderr_um : float, optional
        σ of the radius [µm].

    Raises
    ------
    DataError
        If a number is not positive (σ: is negative) or not finite.

    Examples
    --------
    >>> LaserSpot(1.0, radius_stderr_um=0.05)
    LaserSpot(radius_um=1.0, wavelength_nm=405.0, radius_stderr_um=0.05)
    """

    radius_um: float
    wavelength_nm: float = 405.0
    radius_stderr_um: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no laser can be."""
        action = "describe the laser"
        remedy = "Give the 1/e² radius of the intensity in µm."
        _positive(action, "radius_um", self.radius_um, remedy)
        _positive(action, "wavelength_nm", self.wavelength_nm)
        _stderr(action, "radius_stderr_um", self.radius_stderr_um)


@dataclass(frozen=True, slots=True)
class Layer:
    """Layer of the substrate.

    Parameters
    ----------
    thickness_um : float
        Thickness [µm]; infinity for a half space. The back of the last layer is at ambient
        temperature.
    conductivity_w_mk : float
        Thermal conductivity [W/(m K)].
    heat_capacity_j_m3k : float
        Heat capacity per volume ρc [J/(m³ K)]; it sets how fast the film warms, not how far.
    conductivity_stderr_w_mk : float, optional
        σ of the conductivity [W/(m K)].

    Raises
    ------
    DataError
        If a number is not positive (σ: is negative) or not finite.

    Examples
    --------
    >>> Layer(float("inf"), 1.05, 2.1e6).conductivity_w_mk
    1.05
    """

    thickness_um: float
    conductivity_w_mk: float
    heat_capacity_j_m3k: float
    conductivity_stderr_w_mk: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no layer can be."""
        action = "describe a layer"
        if not self.thickness_um > 0:
            raise DataError(
                action,
                f"'thickness_um' is {self.thickness_um}, not a positive number",
                "Use float('inf') for a half space.",
            )
        _positive(action, "conductivity_w_mk", self.conductivity_w_mk)
        _positive(action, "heat_capacity_j_m3k", self.heat_capacity_j_m3k)
        _stderr(action, "conductivity_stderr_w_mk", self.conductivity_stderr_w_mk)


GLASS = Layer(1000.0, 1.05, 2.1e6)
"""Microscope slide of soda-lime glass, 1 mm."""


@dataclass(frozen=True, slots=True)
class Film:
    """Absorbing film on a substrate.

    Parameters
    ----------
    thickness_nm : float
        Thickness [nm].
    conductivity_w_mk : float
        Thermal conductivity [W/(m K)].
    absorptance : float
        Share of the incident power that the film absorbs [1]: 1 − R − T, not 1 − T.
    absorptance_stderr : float, optional
        σ of the absorptance [1]. Put the scale error of the power meter here, too: both act alike.
    substrate : tuple of Layer, optional
        What the film lies on, from the film downwards; a glass slide of 1 mm by default.
    heat_fraction : float, optional
        Share of the absorbed power that stays as heat [1], see
        :func:`plkit.physics.heat.heat_fraction`.
    conductivity_stderr_w_mk : float, optional
        σ of the conductivity [W/(m K)].
    heat_capacity_j_m3k : float, optional
        Heat capacity per volume [J/(m³ K)]; the default is the classical limit of 3 k_B per atom
        for CsPbBr3.
    absorption_per_um : float, optional
        How the heat is spread through the film: 0 evenly (right for films thinner than the
        absorption length), infinity at the surface, else Beer–Lambert with this coefficient 4πk/λ
        [1/µm].

    Raises
    ------
    DataError
        If a number is outside its range.

    Examples
    --------
    >>> Film(40.0, 0.4, absorptance=0.228, absorptance_stderr=0.0114).absorbed_heat
    0.228
    """

    thickness_nm: float
    conductivity_w_mk: float
    absorptance: float
    absorptance_stderr: float = 0.0
    substrate: tuple[Layer, ...] = field(default=(GLASS,))
    heat_fraction: float = 1.0
    conductivity_stderr_w_mk: float = 0.0
    heat_capacity_j_m3k: float = 1.0e6
    absorption_per_um: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no film can be."""
        action = "describe the film"
        _positive(action, "thickness_nm", self.thickness_nm)
        _positive(action, "conductivity_w_mk", self.conductivity_w_mk)
        _positive(action, "heat_capacity_j_m3k", self.heat_capacity_j_m3k)
        for name, value in (
            ("absorptance", self.absorptance),
            ("heat_fraction", self.heat_fraction),
        ):
            if not 0 < value <= 1:
                remedy = "It is a share of the power; 20 % is 0.2."
                raise DataError(action, f"'{name}' is {value}, not above 0 and up to 1", remedy)
        _stderr(action, "absorptance_stderr", self.absorptance_stderr)
        _stderr(action, "conductivity_stderr_w_mk", self.conductivity_stderr_w_mk)
        if not self.absorption_per_um >= 0:
            raise DataError(
                action, f"'absorption_per_um' is {self.absorption_per_um}, not 0 or positive"
            )
        if not self.substrate:
            raise DataError(
                action,
                "'substrate' has no layer, not at least 1",
                "Add plkit.sim.GLASS, for instance.",
            )
        if any(math.isinf(layer.thickness_um) for layer in self.substrate[:-1]):
            raise DataError(action, "an infinite layer lies above another one, not at the bottom")

    @property
    def absorbed_heat(self) -> float:
        """Share of the incident power that becomes heat in the film [1]."""
        return self.absorptance * self.heat_fraction

    @classmethod
    def from_optics(
        cls,
        nk: xr.Dataset,
        thickness_nm: float,
        conductivity_w_mk: float,
        *,
        wavelength_nm: float = 405.0,
        substrate_index: float = 1.53,
        **others: Any,
    ) -> Film:
        """Film whose absorptance follows from its measured n and k.

        Parameters
        ----------
        nk : xarray.Dataset
            ``refractive_index`` (wavelength) and ``extinction_coefficient`` (wavelength) [1].
        thickness_nm : float
            Thickness [nm].
        conductivity_w_mk : float
            Thermal conductivity [W/(m K)].
        wavelength_nm : float, optional
            Wavelength of the laser [nm].
        substrate_index : float, optional
            Refractive index of the substrate [1].
        **others
            Any further parameter of :class:`Film`.

        Returns
        -------
        Film
            With ``absorptance`` from :func:`plkit.sim.absorptance_from_nk`.

        Raises
        ------
        DataError
            As :func:`plkit.sim.absorptance_from_nk` and :class:`Film`.

        Examples
        --------
        >>> from plkit import names
        >>> axis = (WAVELENGTH, [400.0, 410.0], names.attrs(WAVELENGTH))
        >>> nk = xr.Dataset({"refractive_index": (WAVELENGTH, [2.2, 2.2]),
        ...                  "extinction_coefficient": (WAVELENGTH, [0.25, 0.25])},
        ...                 {WAVELENGTH: axis})
        >>> round(Film.from_optics(nk, 40.0, 0.4, absorptance_stderr=0.01).absorptance, 3)
        0.207
        """
        absorptance = absorptance_from_nk(nk, thickness_nm, wavelength_nm, substrate_index)
        return cls(thickness_nm, conductivity_w_mk, absorptance, **others)


def absorptance_from_nk(
    nk: xr.Dataset, thickness_nm: float, wavelength_nm: float = 405.0, substrate_index: float = 1.53
) -> float:
    """Absorptance of a film on a thick substrate, light from the side of the film.

    Parameters
    ----------
    nk : xarray.Dataset
        ``refractive_index`` (wavelength) and ``extinction_coefficient`` (wavelength) [1], for
        instance ``plkit.read`` of a file from refractiveindex.info.
    thickness_nm : float
        Thickness of the film [nm].
    wavelength_nm : float, optional
        Wavelength of the laser [nm].
    substrate_index : float, optional
        Refractive index of the substrate [1].

    Returns
    -------
    float
        A = 1 − R − T [1] of the coherent film (:func:`plkit.physics.optics.stack_optics`), n and k
        interpolated linearly.

    Raises
    ------
    DataError
        If n or k is missing, or does not reach to the wavelength.

    Examples
    --------
    >>> from plkit import names
    >>> axis = (WAVELENGTH, [400.0, 410.0], names.attrs(WAVELENGTH))
    >>> nk = xr.Dataset({"refractive_index": (WAVELENGTH, [2.2, 2.2]),
    ...                  "extinction_coefficient": (WAVELENGTH, [0.25, 0.25])}, {WAVELENGTH: axis})
    >>> round(absorptance_from_nk(nk, 40.0), 3)
    0.207
    """
    from plkit.physics.optics import stack_optics

    action = "calculate the absorptance"
    _positive(action, "thickness_nm", thickness_nm)
    _positive(action, "substrate_index", substrate_index)
    missing = [v for v in ("refractive_index", "extinction_coefficient") if v not in nk]
    if missing or WAVELENGTH not in nk.coords:
        lacks = ", ".join([*missing, *([] if WAVELENGTH in nk.coords else [WAVELENGTH])])
        raise DataError(action, f"the dataset has no {lacks}", "Read a table of n and k.")
    axis = np.asarray(require_unit(nk[WAVELENGTH], WAVELENGTH, action), dtype=float)
    order = np.argsort(axis)
    n, k = (
        np.asarray(nk[v], dtype=float)[order]
        for v in ("refractive_index", "extinction_coefficient")
    )
    known = np.isfinite(n) & np.isfinite(k) & np.isfinite(axis[order])
    axis = axis[order][known]
    if axis.size == 0 or not axis[0] <= wavelength_nm <= axis[-1]:
        span = f"{axis[0]:g} to {axis[-1]:g} nm" if axis.size else "no wavelength"
        raise DataError(
            action,
            f"n and k cover {span}, not {wavelength_nm:g} nm",
            "Choose a table that holds the laser's wavelength.",
        )
    index = complex(
        np.interp(wavelength_nm, axis, n[known]), np.interp(wavelength_nm, axis, k[known])
    )
    if index.imag < 0:
        raise DataError(action, f"the extinction coefficient is {index.imag:g}, not 0 or positive")
    out = stack_optics([index], [thickness_nm], wavelength_nm, substrate_index=substrate_index)
    return float(out.absorptance)
