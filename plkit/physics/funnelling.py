"""Carriers that drift and diffuse into low gaps before they recombine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["recombination_share", "two_phase_gaps"]

Array = NDArray[np.float64]

_DIRECT = 16_000
_TOLERANCE = 1e-6
_STEPS = 20_000


def _bernoulli(u: Array) -> Array:
    """u/(exp(u) − 1), without loss of digits at zero."""
    small = np.abs(u) < 1e-8
    with np.errstate(over="ignore"):
        return np.where(small, 1.0 - 0.5 * u, u / np.expm1(np.where(small, 1.0, u)))


def recombination_share(
    gap_ev: ArrayLike,
    diffusion_length: float,
    spacing: float,
    kt_ev: float,
    *,
    periodic: tuple[bool, bool, bool] = (True, True, True),
) -> Array:
    """Where carriers recombine that were generated evenly: steady drift and diffusion.

    Parameters
    ----------
    gap_ev : array_like, shape (nz, ny, nx)
        Gap E of every cell [eV], the landscape that the carriers feel.
    diffusion_length : float
        L_D = √(D τ) where the gap is flat [unit of ``spacing``]; 0: they recombine where they are
        generated; infinite: they are thermalised over the whole lattice.
    spacing : float
        Edge of a cell [any unit of length].
    kt_ev : float
        k_B T of the carriers [eV].
    periodic : tuple of bool, optional
        Whether z, y and x go on periodically; walls reflect carriers.

    Returns
    -------
    numpy.ndarray, shape (nz, ny, nx)
        Recombination in every cell, relative to the generation there [1]; its mean is 1.

    Notes
    -----
    D ∇·(∇n + n ∇E/k_B T) − n/τ + g = 0 on cells, with the currents of Scharfetter and Gummel: from
    a cell to its neighbour with the rate (D/h²) B(ΔE/k_B T), B(u) = u/(eᵘ − 1). Divided by
    exp(−E/2k_B T) the matrix is symmetric and positive, and conjugate gradients solve it
    where a direct solution would take long. Without
    recombination the solution is n ∝ exp(−E/k_B T).

    References
    ----------
    .. [1] D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969),
       doi:10.1109/T-ED.1969.16566.

    Examples
    --------
    >>> import numpy as np
    >>> gap = np.full((1, 1, 100), 2.3)
    >>> gap[0, 0, 40:60] = 1.9
    >>> for length in (0.0, 10.0, 50.0):
    ...     share = recombination_share(gap, length, 1.0, 0.0253)
    ...     print(f"{share[0, 0, 40:60].sum() / share.sum():.3f}")
    0.200
    0.409
    0.868
    """
    gap = np.asarray(gap_ev, dtype=float)
    if diffusion_length == 0:
        return np.ones_like(gap)
    e = (gap - gap.min()) / kt_ev
    if np.isinf(diffusion_length):
        boltzmann = np.exp(-e)
        return np.asarray(boltzmann / boltzmann.mean())
    matrix = _matrix(e, (diffusion_length / spacing) ** 2, periodic)
    # n = exp(−E/2kT) φ; the generation is divided by the same factor.
    half = np.exp(-0.5 * e)
    phi = _solved(matrix, (1.0 / half).ravel(), half.ravel())
    n = half * phi.reshape(e.shape)
    return np.asarray(n / n.mean())


def _matrix(e: Array, strength: float, periodic: tuple[bool, bool, bool]) -> Any:
    """Symmetric matrix of recombination and of the currents between neighbours."""
    from scipy.sparse import csc_matrix

    number: Any = np.arange(e.size).reshape(e.shape)
    diagonal = np.ones_like(e)
    rows: list[Array] = []
    columns: list[Array] = []
    values: list[Array] = []
    for axis in range(3):
        if e.shape[axis] == 1:
            continue
        u = np.roll(e, -1, axis) - e  # to the next cell
        down, up = strength * _bernoulli(u), strength * _bernoulli(-u)
        if not periodic[axis]:
            last = (slice(None),) * axis + (-1,)
            down[last] = up[last] = 0.0
        diagonal += down + np.roll(up, 1, axis)
        joint = -np.sqrt(down * up).ravel()
        ends = number.ravel(), np.roll(number, -1, axis).ravel()
        rows += ends
        columns += ends[::-1]
        values += [joint, joint]
    rows.append(number.ravel())
    columns.append(number.ravel())
    values.append(diagonal.ravel())
    entries: Any = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return csc_matrix(entries, shape=(e.size, e.size))


def _solved(matrix: Any, right: Array, thermalised: Array) -> Array:
    """Solve for φ: directly while that is quick, else by conjugate gradients."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import cg, splu

    if right.size <= _DIRECT:
        factors = splu(
            matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )  # fmt: skip
        return np.asarray(factors.solve(right))
    scale = 1.0 / np.sqrt(matrix.diagonal())
    scaled = (diags(scale) @ matrix @ diags(scale)).tocsr()
    # The thermalised solution is where long diffusion lengths end.
    start = thermalised * (right.size / (thermalised**2).sum()) / scale
    found, info = cg(scaled, scale * right, x0=start, rtol=_TOLERANCE, maxiter=_STEPS)
    if info != 0:
        raise ArithmeticError("the carriers' steady state was not found")
    return np.asarray(scale * found)


def two_phase_gaps(
    fraction: float, domain: float, cells: int, gaps_ev: tuple[float, float], seed: int
) -> Array:
    """Cube of two phases with domains of one size at random places.

    Parameters
    ----------
    fraction : float
        Share of the cells in the first phase [1].
    domain : float
        Size of the domains [cells]: wavelength of the random field's strongest component, halved.
    cells : int
        Cells along an edge; periodic.
    gaps_ev : tuple of float
        Gaps of the first and of the second phase [eV].
    seed : int
        Of the random field.

    Returns
    -------
    numpy.ndarray, shape (cells, cells, cells)
        Gap of every cell [eV].

    Notes
    -----
    Level set of a Gaussian random field with one wavelength, 2 · domain, as left by spinodal
    decomposition.

    Examples
    --------
    >>> gaps = two_phase_gaps(0.1, 5.0, 30, (1.9, 2.3), 0)
    >>> round(float((gaps == 1.9).mean()), 3)
    0.1
    """
    noise = np.fft.rfftn(np.random.default_rng(seed).normal(size=(cells,) * 3))
    k = np.fft.fftfreq(cells)
    kk = np.sqrt(
        k[:, None, None] ** 2 + k[None, :, None] ** 2 + np.fft.rfftfreq(cells)[None, None, :] ** 2
    )
    wanted = 0.5 / domain
    field = np.fft.irfftn(
        noise * np.exp(-0.5 * ((kk - wanted) / (0.25 * wanted)) ** 2),
        s=(cells,) * 3,
        axes=(0, 1, 2),
    )
    first = np.zeros(cells**3, bool)
    first[np.argsort(field.ravel())[: round(fraction * cells**3)]] = True
    return np.where(first.reshape((cells,) * 3), *gaps_ev)
