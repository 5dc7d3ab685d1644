"""Fick's second law from a point: widths, profiles, profiles averaged over pixels.

Lengths are in micrometres, times in seconds, diffusion coefficients in m²/s. The width σ is always
the standard deviation of the profile: for a point source σ² = 2 D t, so that the distance at which
the profile has fallen to 1/e is √2 σ = √(4 D t).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

__all__ = [
    "UM2_PER_M2",
    "diffusion_from_sigma",
    "fick_profile",
    "gaussian_sigma_derivative",
    "gaussian_slope",
    "pixel_gaussian",
    "pixel_gaussian_2d",
    "sigma_from_diffusion",
    "sigma_from_spot_radius",
]

UM2_PER_M2: Final = 1e12
"""Square micrometres in one square metre."""

_SQRT2: Final = float(np.sqrt(2.0))
_SQRT_2PI: Final = float(np.sqrt(2.0 * np.pi))

Array = NDArray[np.float64]


def sigma_from_diffusion(
    diffusion: ArrayLike, time_s: ArrayLike, initial_sigma_um: ArrayLike = 0.0
) -> Array:
    """Width that a Gaussian has after it diffused for a time.

    Parameters
    ----------
    diffusion : array_like
        Diffusion coefficient D [m^2/s].
    time_s : array_like
        Time t [s].
    initial_sigma_um : array_like, optional
        Standard deviation σ0 at t = 0 [um].

    Returns
    -------
    numpy.ndarray
        Standard deviation [um].

    See Also
    --------
    diffusion_from_sigma : the inverse.

    Notes
    -----
    σ² = σ0² + 2 D t.

    Examples
    --------
    >>> round(float(sigma_from_diffusion(1e-14, 50.0)), 6)
    1.0
    """
    d, t, s0 = (np.asarray(v, dtype=float) for v in (diffusion, time_s, initial_sigma_um))
    return np.asarray(np.sqrt(s0**2 + 2.0 * d * t * UM2_PER_M2))


def diffusion_from_sigma(
    sigma_um: ArrayLike, time_s: ArrayLike, initial_sigma_um: ArrayLike = 0.0
) -> Array:
    """Diffusion coefficient that gives a Gaussian its width.

    Parameters
    ----------
    sigma_um : array_like
        Standard deviation σ after the time [um].
    time_s : array_like
        Time t [s].
    initial_sigma_um : array_like, optional
        Standard deviation σ0 at t = 0 [um].

    Returns
    -------
    numpy.ndarray
        Diffusion coefficient [m^2/s]; negative where σ < σ0.

    See Also
    --------
    sigma_from_diffusion : the inverse.

    Notes
    -----
    D = (σ² − σ0²)/(2 t).

    Examples
    --------
    >>> float(diffusion_from_sigma(1.0, 50.0))
    1e-14
    """
    s, t, s0 = (np.asarray(v, dtype=float) for v in (sigma_um, time_s, initial_sigma_um))
    return np.asarray((s**2 - s0**2) / (2.0 * t) / UM2_PER_M2)


def sigma_from_spot_radius(spot_radius_um: ArrayLike) -> Array:
    """Standard deviation of the intensity of a laser spot.

    Parameters
    ----------
    spot_radius_um : array_like
        Radius w0 at which the intensity has fallen to 1/e² [um].

    Returns
    -------
    numpy.ndarray
        w0/2 [um], since exp(−2 r²/w0²) = exp(−r²/(2 σ²)).

    Examples
    --------
    >>> float(sigma_from_spot_radius(1.0))
    0.5
    """
    return np.asarray(np.asarray(spot_radius_um, dtype=float) / 2.0)


def fick_profile(
    x_um: ArrayLike,
    integral: ArrayLike,
    diffusion: ArrayLike,
    time_s: ArrayLike,
    centre_um: ArrayLike = 0.0,
) -> Array:
    """Profile of a substance that spread from a plane, line or point, along one axis.

    Parameters
    ----------
    x_um : array_like
        Position [um].
    integral : array_like
        I0, the integral of the profile over x [unit of the result times um].
    diffusion : array_like
        Diffusion coefficient D [m^2/s].
    time_s : array_like
        Time t [s].
    centre_um : array_like, optional
        x0 [um].

    Returns
    -------
    numpy.ndarray
        Profile, of broadcast shape.

    Notes
    -----
    I(x, t) = I0 (4 π D t)^(−1/2) exp(−(x − x0)²/(4 D t)), a Gaussian with σ² = 2 D t.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025), eq. 1,
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> round(float(fick_profile(0.0, 1.0, 1e-14, 50.0)), 6)  # 1/√(2π) for σ = 1 µm
    0.398942
    """
    x, i0, x0 = (np.asarray(v, dtype=float) for v in (x_um, integral, centre_um))
    four_dt = 4.0 * np.asarray(diffusion, float) * np.asarray(time_s, float) * UM2_PER_M2
    return np.asarray(i0 / np.sqrt(np.pi * four_dt) * np.exp(-((x - x0) ** 2) / four_dt))


def pixel_gaussian(
    x_um: ArrayLike, centre_um: ArrayLike, sigma_um: ArrayLike, pixel_um: float = 0.0
) -> Array:
    """Gaussian of unit height, averaged over each pixel.

    Parameters
    ----------
    x_um : array_like
        Middles of the pixels [um].
    centre_um : array_like
        Centre of the Gaussian [um].
    sigma_um : array_like
        Its standard deviation [um].
    pixel_um : float, optional
        Width of a pixel [um]; 0 evaluates the Gaussian at the middles.

    Returns
    -------
    numpy.ndarray
        Mean over the pixel of exp(−(x − x0)²/(2 σ²)), of broadcast shape.

    Notes
    -----
    With a, b the edges of the pixel measured from the centre, the mean is
    √(π/2) σ/(b − a) [erf(b/(√2 σ)) − erf(a/(√2 σ))].

    Examples
    --------
    >>> round(float(pixel_gaussian(0.0, 0.0, 1.0)), 6)
    1.0
    >>> round(float(pixel_gaussian(0.0, 0.0, 1.0, pixel_um=2.0)), 6)  # 2 µm pixels flatten it
    0.855624
    """
    d = np.asarray(x_um, dtype=float) - np.asarray(centre_um, dtype=float)
    s = np.asarray(sigma_um, dtype=float)
    if pixel_um == 0.0:
        return np.asarray(np.exp(-0.5 * (d / s) ** 2))
    upper = erf((d + 0.5 * pixel_um) / (_SQRT2 * s))
    lower = erf((d - 0.5 * pixel_um) / (_SQRT2 * s))
    return np.asarray(0.5 * _SQRT_2PI * s / pixel_um * (upper - lower))


def gaussian_slope(
    x_um: ArrayLike, centre_um: ArrayLike, sigma_um: ArrayLike, pixel_um: float = 0.0
) -> Array:
    """Derivative of :func:`pixel_gaussian` with respect to the centre.

    Parameters
    ----------
    x_um, centre_um, sigma_um, pixel_um
        As in :func:`pixel_gaussian`.

    Returns
    -------
    numpy.ndarray
        Derivative [1/um].

    Examples
    --------
    >>> round(float(gaussian_slope(1.0, 0.0, 1.0)), 6)  # exp(−1/2)
    0.606531
    """
    d = np.asarray(x_um, dtype=float) - np.asarray(centre_um, dtype=float)
    s = np.asarray(sigma_um, dtype=float)
    if pixel_um == 0.0:
        return np.asarray(d / s**2 * np.exp(-0.5 * (d / s) ** 2))
    at_lower = np.exp(-0.5 * ((d - 0.5 * pixel_um) / s) ** 2)
    at_upper = np.exp(-0.5 * ((d + 0.5 * pixel_um) / s) ** 2)
    return np.asarray((at_lower - at_upper) / pixel_um)


def gaussian_sigma_derivative(
    x_um: ArrayLike, centre_um: ArrayLike, sigma_um: ArrayLike, pixel_um: float = 0.0
) -> Array:
    """Derivative of :func:`pixel_gaussian` with respect to the standard deviation.

    Parameters
    ----------
    x_um, centre_um, sigma_um, pixel_um
        As in :func:`pixel_gaussian`.

    Returns
    -------
    numpy.ndarray
        Derivative [1/um].

    Examples
    --------
    >>> round(float(gaussian_sigma_derivative(1.0, 0.0, 1.0)), 6)  # exp(−1/2)
    0.606531
    """
    d = np.asarray(x_um, dtype=float) - np.asarray(centre_um, dtype=float)
    s = np.asarray(sigma_um, dtype=float)
    if pixel_um == 0.0:
        return np.asarray(d**2 / s**3 * np.exp(-0.5 * (d / s) ** 2))
    a, b = d - 0.5 * pixel_um, d + 0.5 * pixel_um
    ends = a * np.exp(-0.5 * (a / s) ** 2) - b * np.exp(-0.5 * (b / s) ** 2)
    return np.asarray(pixel_gaussian(x_um, centre_um, sigma_um, pixel_um) / s + ends / pixel_um / s)


def pixel_gaussian_2d(
    x_um: ArrayLike,
    y_um: ArrayLike,
    centre_um: tuple[float, float],
    sigma_um: float,
    pixel_um: tuple[float, float] = (0.0, 0.0),
) -> Array:
    """Round Gaussian of unit height on a map, averaged over each pixel.

    Parameters
    ----------
    x_um, y_um : array_like, shape (nx,) and (ny,)
        Middles of the pixels [um].
    centre_um : tuple of float
        Centre (x0, y0) [um].
    sigma_um : float
        Standard deviation along either axis [um].
    pixel_um : tuple of float, optional
        Width of a pixel along x and y [um].

    Returns
    -------
    numpy.ndarray, shape (ny, nx)
        Product of the two one-dimensional means: a round Gaussian separates.

    Examples
    --------
    >>> pixel_gaussian_2d([0.0, 1.0], [0.0], (0.0, 0.0), 1.0).round(6).tolist()
    [[1.0, 0.606531]]
    """
    along_x = pixel_gaussian(np.asarray(x_um, float), centre_um[0], sigma_um, pixel_um[0])
    along_y = pixel_gaussian(np.asarray(y_um, float), centre_um[1], sigma_um, pixel_um[1])
    return np.asarray(np.multiply.outer(along_y, along_x))
