"""Unmixing of plain arrays: what every chunk of a measurement goes through."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from plkit.errors import DataError

__all__ = ["AMPLITUDE", "ENUMERATED", "Design", "design_faults", "unmix_block"]

Floats = NDArray[np.float64]

ENUMERATED: Final = 6
"""Up to this number of non-negative components all supports are tried; above, scipy solves."""

AMPLITUDE: Final = "amplitude"


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The linear model of every spectrum, and where its weights come from.

    Parameters
    ----------
    components : ndarray, shape (components, channels)
        Counts per channel of each component at amplitude 1.
    background : ndarray, shape (terms, channels)
        The same of background terms, whose sign is free; may have no rows.
    noise : {"poisson", "uniform", "variance"}
        Weights from the model, equal ones, or from a variance for every value.
    gain, floor : ndarray, shape (channels,)
        Of ``"poisson"``: variance = gain · expected + floor [counts], [counts²].
    row_weights : ndarray, shape (channels,), optional
        Fixed inverse variances that all spectra share, in place of ``noise``.
    nonnegative : bool
        Whether amplitudes of components may not be negative.
    scale_by_redchi : bool
        Whether σ is scaled by √(reduced χ²) of its spectrum.
    brightness : ndarray, shape (components,), optional
        Relative brightness.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 61)
    >>> design = Design(np.array([np.exp(-(x + 1) ** 2), np.exp(-(x - 1) ** 2)]), np.empty((0, 61)))
    >>> block = unmix_block(np.array([[30.0, 10.0]]) @ design.components, design)
    >>> block["fraction"].round(6).tolist()
    [[0.75, 0.25]]
    """

    components: Floats
    background: Floats
    noise: Literal["poisson", "uniform", "variance"] = "poisson"
    gain: Floats | None = None
    floor: Floats | None = None
    row_weights: Floats | None = None
    nonnegative: bool = True
    scale_by_redchi: bool = False
    brightness: Floats | None = None

    @property
    def basis(self) -> Floats:
        """Components, then background terms; shape (terms, channels)."""
        return np.concatenate([self.components, self.background])

    @property
    def condition_number(self) -> float:
        """Condition number of the terms, each scaled to unit length."""
        basis = self.basis
        return float(np.linalg.cond(basis / np.linalg.norm(basis, axis=1)[:, None]))


def design_faults(design: Design, labels: list[str], background: str) -> tuple[str, str] | None:
    """What makes a design unusable: reason and remedy, or None.

    Parameters
    ----------
    design : Design
        Of finite channels only.
    labels : list of str
        Names of the components.
    background : str
        What the user asked for.

    Returns
    -------
    tuple of str, or None
        Words for :class:`plkit.errors.DataError`.
    """
    terms, channels = design.basis.shape
    if channels < terms:
        return f"there are {channels} usable channels for {terms} terms", "Keep more channels."
    scaled = design.components / np.linalg.norm(design.components, axis=1)[:, None]
    span = np.linalg.svd(scaled, full_matrices=False)[2]
    if np.linalg.cond(scaled) > 1e6:
        return (
            f"the references {', '.join(labels)} depend on each other (condition number "
            f"{np.linalg.cond(scaled):.1e}), not independent",
            "Remove a component that the others can make up.",
        )
    for row in design.background:
        unit = row / np.linalg.norm(row)
        distance = float(np.linalg.norm(unit - span.T @ (span @ unit)))
        if distance < 0.01:
            return (
                f"the background '{background}' is already spanned by the references to "
                f"{distance:.1%}, not a term of its own",
                'Use background="none", or remove that reference.',
            )
    return None


def unmix_block(
    counts: NDArray[Any],
    design: Design,
    variance: NDArray[Any] | None = None,
    *,
    threads: int | None = None,
    channels: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[Any]]:
    """Unmix an array of spectra; the function that streaming and dask call per chunk.

    Parameters
    ----------
    counts : ndarray, shape (…, channels)
        ``uint16``, ``float32`` and ``float64`` in C order are read in place, others converted a
        part at a time. NaN is left out.
    design : Design
        Model and noise.
    variance : ndarray, shape (…, channels), optional
        For ``noise="variance"`` [counts²].
    threads : int, optional
        Default: all cores of the process; give 1 inside a parallel loop.
    channels : ndarray of bool, optional
        Which channels of ``counts`` and ``variance`` are those of the design; default all.

    Returns
    -------
    dict of ndarray
        ``amplitude``, ``amplitude_stderr``, ``fraction``, ``fraction_stderr``, ``corrected``,
        ``corrected_stderr`` (…, components); ``amplitude_covariance`` (…, components, components);
        ``background``, ``background_stderr`` (…, terms); ``residual_rms``, ``redchi``,
        ``residual_structure``, ``fit_status`` (…).

    Raises
    ------
    DataError
        If the number of channels is not that of the design.
    """
    from plkit.physics import nnls

    n_comp, used = design.components.shape
    given = counts.shape[-1] if channels is None else int(channels.sum())
    if given != used:
        raise DataError("unmix", f"the data has {given} channels, not {used} as the references")
    lead = counts.shape[:-1]
    problem = _problem(design)
    if design.nonnegative and n_comp > ENUMERATED:
        from plkit.physics.nnls_many import fit_spectra_many

        every = slice(None) if channels is None else channels
        own = None if variance is None else variance[..., every].reshape(-1, used)
        fit = fit_spectra_many(counts[..., every].reshape(-1, used), problem, own)
    else:
        fit = nnls.fit_spectra(counts, problem, variance, threads=threads, channels=channels)
    flat: dict[str, NDArray[Any]] = {
        AMPLITUDE: fit.amplitude[:, :n_comp],
        "amplitude_stderr": fit.stderr[:, :n_comp],
        "amplitude_covariance": fit.covariance[:, :n_comp, :n_comp],
        "fraction": fit.fraction,
        "fraction_stderr": fit.fraction_stderr,
        "corrected": fit.corrected,
        "corrected_stderr": fit.corrected_stderr,
        "background": fit.amplitude[:, n_comp:],
        "background_stderr": fit.stderr[:, n_comp:],
        "residual_rms": fit.rms,
        # With equal weights the variance is the residual's own: χ²/ν says nothing.
        "redchi": np.full_like(fit.redchi, np.nan) if design.noise == "uniform" else fit.redchi,
        "residual_structure": fit.structure,
        "fit_status": fit.status,
    }
    return {name: np.reshape(values, lead + values.shape[1:]) for name, values in flat.items()}


@functools.lru_cache(maxsize=8)  # blocks of a stream share one design
def _problem(design: Design) -> Any:
    from plkit.physics import nnls

    basis = np.ascontiguousarray(design.basis, dtype=np.float64)
    n_comp, channels = design.components.shape
    gain = np.ones(channels) if design.gain is None else design.gain
    floor = np.zeros(channels) if design.floor is None else design.floor
    mean_gain = float(gain.mean()) or 1.0
    # One detected electron in every component and background, and one spread over all channels.
    size = np.abs(basis)
    least = mean_gain * ((size / size.sum(axis=1)[:, None]).sum(axis=0) + 1.0 / channels)
    mode, weights = nnls.FIXED, np.ones(channels)
    if design.row_weights is not None:
        weights = design.row_weights
    elif design.noise == "variance":
        mode = nnls.VARIANCE
    elif design.noise == "poisson":
        mode, weights = nnls.POISSON, 1.0 / (gain * least + floor)
    return nnls.Problem(
        basis=basis,
        n_components=n_comp,
        nonnegative=design.nonnegative,
        weights=weights,
        gain=gain,
        floor=floor,
        least=least,
        brightness=np.ones(n_comp) if design.brightness is None else design.brightness,
        mode=mode,
        scale_by_redchi=design.scale_by_redchi or design.noise == "uniform",
    )
