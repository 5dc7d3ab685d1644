"""By how much the light overstates the phase of the lower gap."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.names import DIFFUSION_LENGTH, TRUE_FRACTION
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.physics.funnelling import recombination_share, two_phase_gaps
from plkit.schema import add_history

__all__ = ["TwoPhases", "funnelling_bias"]

Array = NDArray[np.float64]
_ACTION = "compute the bias of funnelling"


@dataclass(frozen=True, slots=True)
class TwoPhases:
    """A film of two phases with domains at random places.

    Parameters
    ----------
    low_gap_ev, high_gap_ev : float, optional
        Emission energies of the iodide-rich phase and of the rest [eV]; 688 nm and 543 nm.
    domain_nm : float, optional
        Size of the domains [nm].
    temperature_k : float, optional
        Of the carriers [K].
    cells_per_domain : int, optional
        Resolution [1].
    domains : int, optional
        Domains along an edge of the periodic box [1].
    seeds : tuple of int, optional
        One random arrangement each; their scatter gives the σ.

    Raises
    ------
    DataError
        If a number is impossible.

    Examples
    --------
    >>> TwoPhases(domain_nm=10.0).domains
    6
    """

    low_gap_ev: float = 1.80
    high_gap_ev: float = 2.28
    domain_nm: float = 20.0
    temperature_k: float = 293.15
    cells_per_domain: int = 4
    domains: int = 6
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        """Refuse what are no two phases."""
        object.__setattr__(self, "seeds", tuple(self.seeds))
        for name in ("low_gap_ev", "high_gap_ev", "domain_nm", "temperature_k"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DataError(_ACTION, f"'{name}' is {value}, not > 0")
        if self.low_gap_ev > self.high_gap_ev:
            raise DataError(
                _ACTION,
                f"'low_gap_ev' is {self.low_gap_ev}, not below 'high_gap_ev' ({self.high_gap_ev})",
            )
        for name in ("cells_per_domain", "domains"):
            if getattr(self, name) < 2:
                raise DataError(_ACTION, f"'{name}' is {getattr(self, name)}, not at least 2")
        if len(self.seeds) < 2:
            raise DataError(_ACTION, f"'seeds' has {len(self.seeds)}, not at least 2, for a σ")


def funnelling_bias(
    true_fraction: Sequence[float] | float | Array = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4),
    diffusion_length_nm: Sequence[float] | float | Array = (0.0, 10.0, 50.0, 200.0),
    phases: TwoPhases | None = None,
) -> xr.Dataset:
    """Emission fraction of an iodide-rich phase against its true volume fraction.

    Parameters
    ----------
    true_fraction : array_like, optional
        Volume fractions of the iodide-rich phase, ascending, above 0 and below 1 [1].
    diffusion_length_nm : array_like, optional
        Diffusion lengths of the carriers, ascending [nm].
    phases : TwoPhases, optional
        Gaps, size of the domains, temperature.

    Returns
    -------
    xarray.Dataset
        ``emission_fraction`` (diffusion_length, true_fraction) [1] and ``overstatement``, its ratio
        to the true fraction [1], each with ``_stderr``: the standard error over the arrangements.

    Raises
    ------
    DataError
        If a fraction or a length is out of range or order.

    Notes
    -----
    Carriers are generated evenly and drift and diffuse to where they recombine, see
    :func:`plkit.physics.funnelling.recombination_share`; both phases are equally bright. What the
    spectra of such a film give in :func:`plkit.unmix` is this emission fraction.

    Examples
    --------
    >>> bias = funnelling_bias([0.05], [0.0, 50.0], TwoPhases(domains=4, seeds=(0, 1)))
    >>> [round(float(v), 2) for v in bias.emission_fraction.squeeze()]
    [0.05, 0.94]
    """
    phases = TwoPhases() if phases is None else phases
    fractions = _ascending("true_fraction", true_fraction, 0.0, 1.0, False)
    lengths = _ascending("diffusion_length_nm", diffusion_length_nm, 0.0, math.inf, True)
    cells = phases.cells_per_domain * phases.domains
    least = 1.0 / cells**3
    if fractions[0] < least:
        raise DataError(
            _ACTION, f"the smallest fraction is {fractions[0]:g}, not at least {least:.2g}, one cell",
            "Raise 'domains' or 'cells_per_domain'.",
        )  # fmt: skip
    edge = phases.domain_nm / phases.cells_per_domain
    kt = BOLTZMANN_EV_K * phases.temperature_k
    found = np.empty((len(phases.seeds), lengths.size, fractions.size))
    for s, seed in enumerate(phases.seeds):
        for j, fraction in enumerate(fractions):
            # The iodide-rich phase by its place, so that equal gaps can be told apart too.
            rich = two_phase_gaps(
                fraction, phases.cells_per_domain, cells, (1.0, 0.0), seed
            ).astype(bool)
            gaps = np.where(rich, phases.low_gap_ev, phases.high_gap_ev)
            for i, length in enumerate(lengths):
                share = recombination_share(gaps, float(length), edge, kt)
                found[s, i, j] = share[rich].sum() / share.sum()
    mean = found.mean(axis=0)
    sigma = found.std(axis=0, ddof=1) / math.sqrt(len(phases.seeds))
    dims = (DIFFUSION_LENGTH, TRUE_FRACTION)
    values = {
        "emission_fraction": mean, "emission_fraction_stderr": sigma,
        "overstatement": mean / fractions, "overstatement_stderr": sigma / fractions,
    }  # fmt: skip
    ds = xr.Dataset(
        {name: (dims, v, names.attrs(name)) for name, v in values.items()},
        {
            DIFFUSION_LENGTH: (DIFFUSION_LENGTH, lengths, names.attrs(DIFFUSION_LENGTH)),
            TRUE_FRACTION: (TRUE_FRACTION, fractions, names.attrs(TRUE_FRACTION)),
        },
        {"phases": json.dumps(asdict(phases)), "origin": "simulated"},
    )
    return add_history(ds, f"funnelling_bias(domain_nm={phases.domain_nm:g})")


def _ascending(name: str, values: Any, low: float, high: float, closed: bool) -> Array:
    out = np.atleast_1d(np.asarray(values, dtype=float))
    inside = (out >= low) & (out <= high) if closed else (out > low) & (out < high)
    if out.ndim != 1 or out.size == 0 or not np.all(inside) or np.any(np.diff(out) <= 0):
        ends = f"from {low:g} upwards" if closed else f"above {low:g} and below {high:g}"
        raise DataError(_ACTION, f"'{name}' is not an ascending list of numbers {ends}")
    return out
