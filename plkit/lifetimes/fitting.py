"""Lifetimes of decay traces, by maximum likelihood of their photon counts."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit.errors import DataError
from plkit.fit.status import (
    AT_BOUND,
    FAILED,
    NO_SIGNAL,
    NOT_IDENTIFIABLE,
    OK,
    has_change,
)
from plkit.lifetimes.inputs import (
    ACTION,
    Photons,
    fixed_background,
    pulse_period,
    read_photons,
    response_from,
    within_window,
)
from plkit.lifetimes.results import FitInBins, labelled
from plkit.physics.decay import DecayFit, Response, fit_decays
from plkit.schema import add_history

__all__ = ["fit_lifetimes"]

Floats = NDArray[np.float64]

EXPONENTIAL: Final = "exponential"
STRETCHED: Final = "stretched"


def fit_lifetimes(
    decay: xr.Dataset | xr.DataArray,
    *,
    irf: xr.Dataset | xr.DataArray | float | str | None = None,
    n_exponentials: int = 1,
    model: str = EXPONENTIAL,
    background: str | float | xr.DataArray = "constant",
    shift: str | float = "free",
    window: tuple[float, float] | None = None,
    repetition_rate_hz: float | None = None,
    noise: str = "poisson",
) -> xr.Dataset:
    """Fit one to three lifetimes, or a stretched exponential, to photon counts.

    Parameters
    ----------
    decay : xarray.Dataset or xarray.DataArray
        ``intensity`` (…, delay) [counts], as it was counted: its background not subtracted, not
        normalised. ``delay`` [ns] is the left edge of even bins. Other dims (power, y, x) are fitted
        one by one; NaN is a gap. ``noise_gain`` says how many counts one photon makes; without it
        whole numbers are photons.
    irf : xarray.Dataset, xarray.DataArray, float or "gaussian", optional
        Response of the instrument: a histogram (delay) [counts] of scattered light in bins of the
        same width, its dark level subtracted; or the full width at half maximum of a Gaussian [ns];
        or ``"gaussian"`` to fit that width. Without it the decay is fitted from ``window`` on.
    n_exponentials : {1, 2, 3}, optional
        Number of lifetimes.
    model : {"exponential", "stretched"}, optional
        ``"stretched"`` fits exp(−(t/τ)^β), 0.15 ≤ β ≤ 1.
    background : {"constant", "none"}, float or xarray.DataArray, optional
        A constant is fitted, or there is none, or it is known [counts per bin], for each trace if
        need be (``ds.dark_intensity``).
    shift : "free" or float, optional
        By how much the response comes later than ``irf`` says [ns]; a Gaussian stands at delay 0, so
        that its shift is the time of the pulse. Without ``irf`` a number is the time of the pulse,
        which matters for the amplitudes and for a stretched exponential; by default it comes at the
        start of the window.
    window : tuple of float, optional
        Start and stop of what is fitted [ns]; the bins whose middle lies between them. By default
        all bins, or without ``irf`` those from the maximum on.
    repetition_rate_hz : float, optional
        Pulses per second: what is left of earlier pulses then belongs to the model. By default as
        the data state it; 0 for a single pulse.
    noise : {"poisson", "scaled"}, optional
        ``"scaled"`` multiplies σ by √(reduced χ²), for counts with more noise than that of photons.

    Returns
    -------
    xarray.Dataset
        With the dims of the data without delay: ``amplitude_i`` [counts] per bin at the pulse and
        ``lifetime_i`` [ns], shortest first; or ``amplitude_1``, ``lifetime_1``, ``beta`` [1];
        ``background`` [counts] per bin; ``irf_shift``, and ``irf_fwhm`` of a Gaussian [ns];
        ``mean_lifetime_amplitude`` and ``mean_lifetime_intensity`` [ns]; each with
        ``<name>_stderr``, which is 0 for what is fixed. ``covariance`` (…, param_i, param_j) of all
        parameters; ``deviance``, ``redchi`` (Pearson), ``aic``, ``bic``, ``residual_runs``,
        ``nfev`` [1]; ``fit_status``: 0 ok, 1 at_bound, 2 not_identifiable, 3 no_signal, 4 failed.
        Values are kept for 0 to 2, NaN for 3 and 4.

    Raises
    ------
    DataError
        If counts are negative, bins not even, the response has other bins, or an argument is none
        of the above.
    UnitsError
        If delay has no unit that is a time, or the intensity is not counted.

    Warns
    -----
    PlkitWarning
        If the counts are not photons and no gain is given, or if the response has a dark level.

    See Also
    --------
    plkit.expected_decay : the fitted curve.

    Notes
    -----
    The expected count of a bin is the integral over it of a I(t) ⊗ response + background, exactly,
    with I(t) = Σ aᵢ exp(−t/τᵢ); a measured response is uniform within each of its bins. What is
    minimised is the deviance 2 Σ [μ − y + y ln(y/μ)], the right measure also where bins hold few
    photons or none; nothing needs to be binned, weighted or cut off. σ follows from Fisher's
    information.

    ⟨τ⟩_amp = Σ aτ/Σ a = ∫I dt/I(0), τ Γ(1/β)/β for a stretched exponential, is the one that goes with
    quantum yields and quenching; ⟨τ⟩_int = Σ aτ²/Σ aτ = ∫tI dt/∫I dt, τ Γ(2/β)/Γ(1/β), is the mean delay
    of a photon. They differ by a factor of several where decays are broad; a paper has to say which.

    ``residual_runs`` compares the runs of equal sign of the residual with chance, in σ: below −3
    the model misses the shape. ``bic`` is the deviance + p ln(bins): compare models of one trace by
    it. not_identifiable: two lifetimes or an amplitude within σ of equality or of zero, a lifetime
    longer than the record, or one amplitude at zero. at_bound: the background at 0 (not unusual
    where there is none), β at 1. no_signal: a constant does as well.

    References
    ----------
    Bajzer et al., Eur. Biophys. J. 20, 247 (1991), doi:10.1007/BF00450560; Maus et al., Anal. Chem.
    73, 2078 (2001), doi:10.1021/ac000877g; Sillen and Engelborghs, Photochem. Photobiol. 67, 475
    (1998) (which mean is which).

    Examples
    --------
    >>> t = xr.DataArray(np.arange(300.0), dims="delay", attrs={"units": "ns"})
    >>> counts = np.random.default_rng(0).poisson(800.0 * np.exp(-t / 40.0) + 3.0)
    >>> fit = fit_lifetimes(xr.DataArray(counts, dims="delay", coords={"delay": t}))
    >>> round(float(fit.lifetime_1), 1), round(float(fit.lifetime_1_stderr), 1)
    (40.5, 0.3)
    """
    m = _number(n_exponentials, model)
    if noise not in ("poisson", "scaled"):
        raise DataError(
            ACTION, f"'noise' is '{noise}', not poisson or scaled", 'Use noise="poisson".'
        )
    whole = read_photons(decay)
    period_ns = pulse_period(decay, repetition_rate_hz)
    photons = within_window(whole, window, irf is not None, period_ns)
    response = response_from(irf, photons)
    fit = fit_decays(
        photons.traces.signal,
        m,
        response=response,
        shift=_shift_in_bins(shift, response, photons),
        background=fixed_background(background, photons),
        period=period_ns / photons.width,
        threads=os.cpu_count() or 1,
    )
    scaled = noise == "scaled" or not photons.known
    status = _status(fit, m, photons, scaled)
    out = labelled(FitInBins(fit, m, response, photons, scaled, status))
    out.attrs = {
        **(decay.attrs if isinstance(decay, xr.Dataset) else {}),
        "model": STRETCHED if m == 0 else f"{m} exponentials" if m > 1 else "1 exponential",
        "irf": response.kind,
        "bin_width_ns": photons.width,
        "window_start_ns": photons.start,
        "window_stop_ns": photons.start + photons.width * photons.n_bins,
        "pulse_period_ns": period_ns,
        "noise": "scaled" if scaled else "poisson",
    }
    return add_history(
        out,
        f"fit_lifetimes(model='{out.attrs['model']}', irf='{response.kind}', "
        f"window=({out.attrs['window_start_ns']:g}, {out.attrs['window_stop_ns']:g}) ns, "
        f"background={background if isinstance(background, str) else 'given'!r})",
    )


def _number(n_exponentials: int, model: str) -> int:
    """Number of exponentials, 0 for a stretched one."""
    if model not in (EXPONENTIAL, STRETCHED):
        raise DataError(
            ACTION,
            f"'model' is '{model}', not {EXPONENTIAL} or {STRETCHED}",
            f'Use model="{EXPONENTIAL}" with n_exponentials=2, for instance.',
        )
    if n_exponentials not in (1, 2, 3) or isinstance(n_exponentials, bool):
        raise DataError(ACTION, f"'n_exponentials' is {n_exponentials!r}, not 1, 2 or 3")
    if model == STRETCHED:
        if n_exponentials != 1:
            raise DataError(
                ACTION,
                f"'n_exponentials' is {n_exponentials} for one stretched exponential",
                "Leave it out.",
            )
        return 0
    return int(n_exponentials)


def _shift_in_bins(shift: Any, response: Response, photons: Photons) -> float | None:
    if isinstance(shift, str):
        if shift != "free":
            raise DataError(ACTION, f"'shift' is '{shift}', not free or a number of ns")
        return None
    try:
        value = float(shift)
    except (TypeError, ValueError):
        raise DataError(ACTION, f"'shift' is {shift!r}, not free or a number of ns") from None
    origin = 0.0 if response.kind == "histogram" else photons.start
    moved = (value - origin) / photons.width
    if not (np.isfinite(moved) and abs(moved) < 10 * photons.n_bins + 1e6):
        raise DataError(ACTION, f"'shift' is {value:g} ns, far from the record")
    return moved


def _status(fit: DecayFit, m: int, photons: Photons, scaled: bool) -> NDArray[np.int8]:
    """What every fit is worth."""
    amplitudes = max(m, 1)
    lifetimes = slice(amplitudes, amplitudes + amplitudes)
    values, variance = fit.values, np.diagonal(fit.covariance, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, tau = values[:, :amplitudes], values[:, lifetimes]
        # ≤ so that NaN, which stands for no σ, is not identifiable
        known = np.all(a > np.sqrt(variance[:, :amplitudes]), axis=1)
        known &= np.all(tau > np.sqrt(variance[:, lifetimes]), axis=1)
        known &= np.all(tau <= photons.n_bins, axis=1) | (m == 0)
        for k in range(amplitudes - 1):
            i, j = amplitudes + k, amplitudes + k + 1
            relative = (
                variance[:, i] / values[:, i] ** 2
                + variance[:, j] / values[:, j] ** 2
                - 2.0 * fit.covariance[:, i, j] / (values[:, i] * values[:, j])
            )
            known &= np.log(values[:, j] / values[:, i]) > np.sqrt(relative)
    held = fit.held[:, amplitudes:].any(axis=1)
    with np.errstate(invalid="ignore"):
        changed = has_change(
            fit.deviance_constant, fit.deviance, fit.n_bins, fit.n_free, not scaled
        )
    status = np.full(fit.code.size, OK, dtype=np.int8)
    status[held] = AT_BOUND
    status[~known | (fit.code == 1)] = NOT_IDENTIFIABLE
    status[~changed] = NO_SIGNAL
    status[fit.code == 2] = FAILED
    status[fit.counts == 0] = NO_SIGNAL
    status[fit.n_bins == 0] = NO_SIGNAL
    return status
