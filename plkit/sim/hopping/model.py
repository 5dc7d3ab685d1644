"""What is simulated: the lattice, the barriers, the light; each with the published values as defaults."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

import xarray as xr

from plkit.errors import DataError

__all__ = [
    "ACTION",
    "CarrierEnergy",
    "IodideEscape",
    "IonHopping",
    "IonLattice",
    "LaserRise",
]

ACTION: Final = "simulate the hopping of ions"
_MAX_SIDE: Final = 2**21 - 1


def _require(name: str, value: Any, good: bool, wanted: str, remedy: str = "") -> None:
    if not good:
        raise DataError(ACTION, f"'{name}' is {value!r}, not {wanted}", remedy)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True, slots=True)
class IonLattice:
    """A cubic lattice of halide sites, filled at random with exact numbers of each species.

    Parameters
    ----------
    shape : tuple of int, optional
        Sites along z, y and x; the light comes along z.
    iodide_fraction : float, optional
        Share of the sites that hold iodide [1].
    vacancy_fraction : float, optional
        Share of the sites that are empty [1]; the rest holds bromide.
    boundary : str or tuple of str, optional
        ``"periodic"`` or ``"closed"``, for all axes or for z, y and x.
    spacing_nm : float, optional
        Distance of neighbours [nm]; 0.407 nm gives as many sites per volume as CsPbBr(3-x)I(x) has
        halides (a = 0.587 nm).

    Raises
    ------
    DataError
        If a side, fraction, boundary or spacing is impossible.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234: the default numbers.

    Examples
    --------
    >>> IonLattice().counts
    (64, 5120, 2816)
    """

    shape: tuple[int, int, int] = (20, 20, 20)
    iodide_fraction: float = 0.352
    vacancy_fraction: float = 0.008
    boundary: str | tuple[str, str, str] = "periodic"
    spacing_nm: float = 0.407

    def __post_init__(self) -> None:
        """Refuse what is no lattice."""
        object.__setattr__(self, "shape", tuple(self.shape))
        _require(
            "shape",
            self.shape,
            len(self.shape) == 3
            and all(
                isinstance(n, int) and not isinstance(n, bool) and 2 <= n <= _MAX_SIDE
                for n in self.shape
            )
            and math.prod(self.shape) < 2**31,
            "three whole numbers of 2 and more with fewer than 2^31 sites",
        )
        for name in ("iodide_fraction", "vacancy_fraction"):
            value = getattr(self, name)
            _require(name, value, _number(value) and 0 <= value <= 1, "from 0 to 1")
        total = self.iodide_fraction + self.vacancy_fraction
        _require("iodide_fraction + vacancy_fraction", total, total <= 1 + 1e-12, "at most 1")
        _require(
            "spacing_nm", self.spacing_nm, _number(self.spacing_nm) and self.spacing_nm > 0, "> 0"
        )
        if not isinstance(self.boundary, str):
            object.__setattr__(self, "boundary", tuple(self.boundary))
        _require(
            "boundary",
            self.boundary,
            len(self.boundaries) == 3 and set(self.boundaries) <= {"periodic", "closed"},
            "'periodic' or 'closed', or three of these",
        )

    @property
    def boundaries(self) -> tuple[str, ...]:
        """Boundary of z, y and x."""
        return (self.boundary,) * 3 if isinstance(self.boundary, str) else self.boundary

    @property
    def sites(self) -> int:
        """Number of sites."""
        return math.prod(self.shape)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Numbers of vacancies, bromide and iodide."""
        vacancies = round(self.vacancy_fraction * self.sites)
        iodide = min(round(self.iodide_fraction * self.sites), self.sites - vacancies)
        return vacancies, self.sites - vacancies - iodide, iodide


@dataclass(frozen=True, slots=True)
class LaserRise:
    """Temperature rise under the laser in the published form A0 (1 − exp(−B t)) exp(−2 r²/w0²).

    Parameters
    ----------
    peak_k : float
        A0, the rise on the axis after a long time [K].
    waist : float, optional
        w0 in units of the lattice's width along x [1].
    rate_per_s : float, optional
        B [1/s]; infinite (default) for a field that is there from the start and stays. With the
        published rule, per step.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> LaserRise(6.0).waist
    0.1
    """

    peak_k: float
    waist: float = 0.1
    rate_per_s: float = math.inf

    def __post_init__(self) -> None:
        """Refuse what is no temperature rise."""
        _require("peak_k", self.peak_k, _number(self.peak_k) and self.peak_k >= 0, ">= 0")
        _require("waist", self.waist, _number(self.waist) and self.waist > 0, "> 0")
        _require("rate_per_s", self.rate_per_s, self.rate_per_s > 0, "> 0")


@dataclass(frozen=True, slots=True)
class IodideEscape:
    """Iodide that leaves warm places for good, its site becoming a vacancy.

    Parameters
    ----------
    amplitude : float, optional
        A of the probability P = A (1 − exp(−α (T − T0))) [1].
    alpha_per_k : float, optional
        α [1/K].
    attempts_per_s : float, optional
        With ``rule="exact"``: how often each iodide ion tries [1/s], on its own, wherever the
        vacancies are. With ``rule="published"`` an ion tries whenever it is the chosen neighbour of
        a vacancy, and this is not used.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234. The paper prints the form; A and α are those with which its
       local gap comes out.

    Examples
    --------
    >>> IodideEscape().amplitude
    0.027
    """

    amplitude: float = 0.027
    alpha_per_k: float = 0.02
    attempts_per_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no probability or rate."""
        a = self.amplitude
        _require("amplitude", a, _number(a) and 0 <= a <= 1, "from 0 to 1")
        _require(
            "alpha_per_k",
            self.alpha_per_k,
            _number(self.alpha_per_k) and self.alpha_per_k > 0,
            "> 0",
        )
        rate = self.attempts_per_s
        _require("attempts_per_s", rate, rate is None or (_number(rate) and rate > 0), "> 0")


@dataclass(frozen=True, slots=True)
class CarrierEnergy:
    """Free energy of light-induced carriers, which gather where the gap is lowest.

    Parameters
    ----------
    density_per_cm3 : float, optional
        Carriers [1/cm³].
    temperature_k : float, optional
        Temperature of the carriers [K]; ambient by default.
    renewal : float, optional
        Relative error of their number at which the chemical potential is found anew [1].

    Notes
    -----
    Mean field: one level per site, E_i the gap of the composition in the 3 × 3 × 3 sites around it,
    carriers thermalised over the whole lattice before they recombine (L_D much longer than it). A
    hop that changes their free energy by ΔF has the barrier max(0, ΔF, E + ΔF/2).

    Examples
    --------
    >>> round(CarrierEnergy().count(8000, 0.407), 2)
    0.92
    """

    density_per_cm3: float = 1.7e18
    temperature_k: float | None = None
    renewal: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what are no carriers."""
        density, kelvin = self.density_per_cm3, self.temperature_k
        _require("density_per_cm3", density, _number(density) and density > 0, "> 0")
        _require("temperature_k", kelvin, kelvin is None or (_number(kelvin) and kelvin > 0), "> 0")
        _require("renewal", self.renewal, 0 < self.renewal <= 0.1, "above 0, at most 0.1")

    def count(self, sites: int, spacing_nm: float) -> float:
        """Return the number of carriers on a lattice.

        Parameters
        ----------
        sites : int
            Number of sites.
        spacing_nm : float
            Distance of neighbours [nm].

        Returns
        -------
        float
            Density times volume.

        Examples
        --------
        >>> round(CarrierEnergy(1e18).count(1000, 1.0), 6)
        1.0
        """
        return self.density_per_cm3 * sites * (spacing_nm * 1e-7) ** 3


@dataclass(frozen=True, slots=True)
class IonHopping:
    """How ions hop; the defaults are the published barriers in the dark.

    Parameters
    ----------
    bromide_barrier_ev, iodide_barrier_ev : float, optional
        Barriers of a hop into a vacancy beside the ion [eV].
    attempt_rate_per_s : float, optional
        k0 of k0 exp(−E/k_B T) [1/s]; not published.
    ambient_k : float, optional
        Temperature T0 far from the laser [K].
    laser : LaserRise or xarray.Dataset, optional
        Heating: the published form, or what :func:`plkit.simulate_heating` gave for one power, with
        or without times. Its laser spot is mapped onto a waist of 0.1 of the lattice's width, its
        film's thickness onto the lattice's depth.
    temperature_at : {"ion", "bond"}, optional
        Where T of a hop is taken. At the ion's own site (as published), ions leave warm places
        faster than they come back, and a stationary walk is denser where it is cold. In the middle
        of the bond both ways are equally fast, and equilibrium is flat.
    escape : IodideEscape, optional
        Loss of iodide.
    carriers : CarrierEnergy, optional
        Driving force of segregation; with ``rule="exact"`` only.
    rule : {"exact", "published"}, optional
        A walk in physical time that obeys the rates, or the published rule in steps.
    selection : {"auto", "uniform", "classes"}, optional
        How the exact rule finds the next hop: by one bound for all (fast where a good part of the
        candidates are accepted), or by classes of twofold rates (for very unequal rates); both give
        the same physics. ``"auto"`` measures the acceptance.
    sweeps_per_step : int, optional
        Turns of every vacancy in one step of the published rule.
    follow_ions : bool, optional
        Keep the origin of every ion, for its mean-square displacement: 16 bytes per site, and half
        of the speed.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> IonHopping(laser=LaserRise(6.0), escape=IodideEscape(), rule="published").sweeps_per_step
    150
    """

    bromide_barrier_ev: float = 0.21
    iodide_barrier_ev: float = 0.10
    attempt_rate_per_s: float = 1e12
    ambient_k: float = 293.15
    laser: LaserRise | xr.Dataset | None = None
    temperature_at: Literal["ion", "bond"] = "ion"
    escape: IodideEscape | None = None
    carriers: CarrierEnergy | None = None
    rule: Literal["exact", "published"] = "exact"
    selection: Literal["auto", "uniform", "classes"] = "auto"
    sweeps_per_step: int = 150
    follow_ions: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot hop, and what does not go together."""
        for name in ("bromide_barrier_ev", "iodide_barrier_ev"):
            value = getattr(self, name)
            _require(name, value, _number(value) and value >= 0, ">= 0")
        for name in ("attempt_rate_per_s", "ambient_k"):
            value = getattr(self, name)
            _require(name, value, _number(value) and value > 0, "> 0")
        for name, allowed in (
            ("temperature_at", ("ion", "bond")),
            ("rule", ("exact", "published")),
            ("selection", ("auto", "uniform", "classes")),
        ):
            value = getattr(self, name)
            _require(name, value, value in allowed, " or ".join(map(repr, allowed)))
        _require(
            "laser",
            type(self.laser).__name__,
            self.laser is None or isinstance(self.laser, LaserRise | xr.Dataset),
            "a LaserRise or a Dataset of simulate_heating",
        )
        _require(
            "sweeps_per_step",
            self.sweeps_per_step,
            isinstance(self.sweeps_per_step, int) and self.sweeps_per_step >= 1,
            "a whole number >= 1",
        )
        if self.rule == "published":
            _require(
                "carriers", self.carriers, self.carriers is None, "None with rule='published'",
                "That rule knows no energy but the barriers; use rule='exact'.",
            )  # fmt: skip
            _require(
                "temperature_at", self.temperature_at, self.temperature_at == "ion",
                "'ion', as the published rule has it",
            )  # fmt: skip
        elif self.escape is not None:
            _require(
                "escape.attempts_per_s", None, self.escape.attempts_per_s is not None,
                "a rate in 1/s, which the exact rule needs",
                "IodideEscape(…, attempts_per_s=…).",
            )  # fmt: skip
        if self.carriers is not None:
            _require("escape", self.escape, self.escape is None, "None together with carriers")
            _require(
                "selection", self.selection, self.selection != "classes",
                "'uniform' or 'auto' together with carriers",
            )  # fmt: skip

    def to_json(self) -> str:
        """Return all settings as JSON; a heating dataset only by the word ``"dataset"``.

        Returns
        -------
        str
            JSON, for :meth:`from_json`.
        """
        out: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("laser", "escape", "carriers"):
            value = out[name]
            if isinstance(value, xr.Dataset):
                out[name] = "dataset"
            elif value is not None:
                out[name] = {k: "inf" if v == math.inf else v for k, v in asdict(value).items()}
        return json.dumps(out)

    @classmethod
    def from_json(cls, text: str) -> IonHopping:
        """Rebuild a model from :meth:`to_json`.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        IonHopping
            The same settings.

        Raises
        ------
        DataError
            If the model had a heating dataset, which the text does not hold.

        Examples
        --------
        >>> model = IonHopping(laser=LaserRise(6.0))
        >>> IonHopping.from_json(model.to_json()) == model
        True
        """
        values = json.loads(text)
        if values["laser"] == "dataset":
            raise DataError(
                ACTION,
                "the run to continue was heated by a dataset, which its file does not hold",
                "Give the model again, with the same heating.",
            )
        for name, kind in (
            ("laser", LaserRise), ("escape", IodideEscape), ("carriers", CarrierEnergy),
        ):  # fmt: skip
            if values[name] is not None:
                values[name] = kind(
                    **{k: math.inf if v == "inf" else v for k, v in values[name].items()}
                )
        return cls(**values)
