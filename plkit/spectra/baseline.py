"""Baselines: the light that is not photoluminescence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.errors import DataError
from plkit.spectra._door import attach_intensity, drop_saturation, enter, noise_terms
from plkit.spectra.noise import running_mean, variance

__all__ = ["subtract_baseline"]

Floats = NDArray[np.float64]

_BASELINE: Final = "baseline"
_POLYNOMIALS: Final = {"constant": 0, "linear": 1}
# Channels of the axis over which a whittaker baseline bends, as a part of all: lam = (part n)^4.
_STIFFNESS: Final = 1.0 / 30.0
# Spectra on which the noise of a baseline is tried, and how often in all.
_SPECTRA: Final = 5
_NOISY: Final = 40


def subtract_baseline(
    ds: xr.Dataset,
    method: str = "arpls",
    *,
    windows: Sequence[tuple[float, float]] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Subtract a baseline from every spectrum.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``intensity`` (…, λ) [counts]. NaN is bridged for the baseline and stays NaN.
    method : str, optional
        ``"constant"`` or ``"linear"``: through the channels of ``windows``. Any other name is a
        method of ``pybaselines.Baseline``, such as ``"asls"``, ``"snip"`` or ``"modpoly"``.
        The default is a stiff line that lies amid the noise and leaves out what stands above it;
        ``"asls"`` holds on to a steeper tail, but lies at the lower edge of the noise.
    windows : sequence of (low, high), optional
        Ranges of the spectral axis without photoluminescence, both ends included; required by
        ``"constant"`` and ``"linear"``.
    **options
        Passed to pybaselines. ``lam`` of the Whittaker methods (``"arpls"``, ``"asls"``, …)
        is (n/30)⁴ for n channels if not given: the baseline bends over a tenth of the axis.

    Returns
    -------
    xarray.Dataset
        ``ds`` with ``intensity`` [counts], and ``baseline`` (…, λ) [counts], what was subtracted.

    Raises
    ------
    DataError
        If the method is not known, or the windows are missing or empty.

    Notes
    -----
    The laser's scattered tail is steep near the laser: crop to where the photoluminescence begins
    before subtracting. gain·baseline moves to the noise floor, averaged over the spectra, because
    the subtracted light was noisy too; so does the variance that the baseline adds because it
    follows some of the noise: of a line exactly, of the other methods from 40 spectra with simulated
    noise. Apart from that, the other methods have a systematic error of some percent of a peak that
    is a tenth as wide as the axis; vary ``lam`` to see it.

    References
    ----------
    S.-J. Baek et al., Analyst 140, 250 (2015), doi:10.1039/c4an01061b (arpls)

    Examples
    --------
    >>> wavelength = np.linspace(600.0, 700.0, 101)
    >>> y = 3.0 * (wavelength - 590.0)
    >>> y[40:60] += 50.0
    >>> ds = xr.Dataset({"intensity": ("wavelength", y, {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", wavelength, {"units": "nm"})})
    >>> flat = subtract_baseline(ds, "linear", windows=[(600, 630), (670, 700)])
    >>> print(flat.intensity.values[[0, 50, 100]].round(6) + 0.0)
    [ 0. 50.  0.]
    """
    action = "subtract the baseline"
    ds, dim = enter(ds, action)
    da = ds[names.INTENSITY].transpose(..., dim)
    x = ds[dim].values.astype(np.float64)
    y = da.values.astype(np.float64)
    flat = y.reshape(-1, x.size)
    own = None
    if method in _POLYNOMIALS:
        inside = _inside(x, windows, method, action)
        base, hat = _through_windows(x, flat, inside, _POLYNOMIALS[method])
        if names.NOISE_GAIN in ds:
            var = variance(ds).transpose(*da.dims).values.reshape(flat.shape)
            var = np.where(np.isfinite(flat), var, 0.0)
            own = (var[:, inside] @ (hat**2).T).mean(axis=0)
            # channels of the windows move with the line that they hold
            own[inside] -= 2.0 * np.diag(hat[inside]) * var[:, inside].mean(axis=0)
    else:
        base = _by_pybaselines(x, flat, method, options, action)
        if names.NOISE_GAIN in ds:
            var = variance(ds).transpose(*da.dims).values.reshape(flat.shape)
            own = _own_variance(
                x, flat, var, lambda y: _by_pybaselines(x, y, method, options, action)
            )
    baseline = xr.DataArray(base.reshape(y.shape), da.coords, da.dims)
    baseline.attrs = dict(names.attrs(_BASELINE))
    terms = noise_terms(ds)
    gain = floor = None
    if terms is not None:
        gain, floor = terms
        moved = gain * baseline.clip(min=0.0).mean([d for d in baseline.dims if d != dim])
        floor = floor + moved.fillna(0.0).reset_coords(drop=True)
        if own is not None:
            floor = (floor + xr.DataArray(own, dims=dim)).clip(min=0.0)
    ds = drop_saturation(ds, action)
    if _BASELINE in ds:
        baseline = (baseline + ds[_BASELINE]).assign_attrs(baseline.attrs)
    new = da.copy(data=y - base.reshape(y.shape))
    told = "".join(f", {k}={v!r}" for k, v in options.items())
    told += f", windows={[tuple(w) for w in windows]}" if windows is not None else ""
    step = f"subtract_baseline('{method}'{told})"
    return attach_intensity(ds.assign({_BASELINE: baseline}), new, step, gain=gain, floor=floor)


def _own_variance(
    x: Floats, y: Floats, var: Floats, baseline: Callable[[Floats], Floats]
) -> Floats:
    """What a baseline adds to the variance of the channels [counts²], from simulated noise."""
    whole = np.flatnonzero(np.isfinite(y).sum(axis=1) >= 5)
    if whole.size == 0:
        return np.zeros_like(x)
    # spectra from the darkest to the brightest
    order = whole[np.argsort(np.nansum(y[whole], axis=1), kind="stable")]
    chosen = order[np.unique(np.linspace(0, order.size - 1, _SPECTRA).round().astype(int))]
    rng = np.random.default_rng(0)  # the same data give the same result
    channel = np.arange(x.size)
    added = []
    for i in chosen:
        good = np.isfinite(y[i])
        calm = running_mean(np.interp(channel, channel[good], y[i, good]), 5)
        sigma = np.sqrt(np.interp(channel, channel[good], np.maximum(var[i, good], 0.0)))
        noise = sigma * rng.standard_normal((_NOISY // chosen.size, x.size))
        base = baseline(calm + noise)
        base = base - base.mean(axis=0)
        dof = max(len(base) - 1, 1)
        added.append(((base - noise) ** 2 - noise**2).sum(axis=0) / dof)
    return running_mean(np.mean(added, axis=0), max(int(_STIFFNESS * x.size), 1))


def _inside(
    x: Floats, windows: Sequence[tuple[float, float]] | None, method: str, action: str
) -> NDArray[np.bool_]:
    """Channels within the windows."""
    if not windows:
        raise DataError(
            action,
            f"method '{method}' was given no windows, not at least one",
            "Pass windows=[(low, high), …] without photoluminescence.",
        )
    inside = np.zeros(x.size, dtype=bool)
    for low, high in windows:
        part = (x >= min(low, high)) & (x <= max(low, high))
        if not part.any():
            raise DataError(
                action, f"window ({low:g}, {high:g}) holds no channel of {x.min():g} to {x.max():g}"
            )
        inside |= part
    needed = _POLYNOMIALS[method] + 1
    if inside.sum() < needed:
        raise DataError(action, f"the windows hold {inside.sum()} channels, not at least {needed}")
    return inside


def _through_windows(
    x: Floats, y: Floats, inside: NDArray[np.bool_], degree: int
) -> tuple[Floats, Floats]:
    """Least-squares polynomial through the windows, and the matrix that makes it from the data."""
    z = (x - x[inside].mean()) / max(float(np.ptp(x)), 1e-300)
    design = np.vander(z, degree + 1)
    hat = design @ np.linalg.pinv(design[inside])
    base = np.full_like(y, np.nan)
    good = np.isfinite(y[:, inside])
    whole = good.all(axis=1)
    base[whole] = y[whole][:, inside] @ hat.T
    for i in np.flatnonzero(~whole & (good.sum(axis=1) > degree)):
        ok = good[i]
        coefficients, *_ = np.linalg.lstsq(design[inside][ok], y[i, inside][ok], rcond=None)
        base[i] = design @ coefficients
    return base, hat


def _by_pybaselines(
    x: Floats, y: Floats, method: str, options: dict[str, Any], action: str
) -> Floats:
    """One baseline per spectrum by a method of pybaselines; spectra without numbers give NaN."""
    import inspect
    import warnings

    from pybaselines import Baseline

    function = getattr(Baseline, method, None)
    if method.startswith("_") or not callable(function):
        raise DataError(
            action,
            f"method '{method}' is neither 'constant', 'linear' nor a method of pybaselines",
            "See https://pybaselines.readthedocs.io for their names.",
        )
    if "lam" in inspect.signature(function).parameters:
        options = {"lam": (_STIFFNESS * x.size) ** 4, **options}
    fitter = Baseline(x)
    base = np.full_like(y, np.nan)
    channel = np.arange(x.size)
    for i, row in enumerate(y):
        good = np.isfinite(row)
        if good.sum() < 5:
            continue
        bridged = row if good.all() else np.interp(channel, channel[good], row[good])
        with warnings.catch_warnings():
            # iterations that stop early are no news: the result is judged by its residual
            warnings.simplefilter("ignore")
            base[i] = getattr(fitter, method)(bridged, **options)[0]
    return base
