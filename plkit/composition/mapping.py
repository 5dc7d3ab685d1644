"""Iodine content from emission energies, with honest bounds where the calibration is flat."""

from __future__ import annotations

from enum import IntFlag
from typing import Any, Final, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from plkit import names
from plkit.composition.phases import (
    Axis,
    centroid_above_background,
    find_second_line,
)
from plkit.errors import DataError
from plkit.names import FIT_STATUS, INTENSITY, NOISE_GAIN, WAVELENGTH
from plkit.physics.calibration import Calibration, get_calibration
from plkit.schema import add_history, conform, require_unit, spectral_dim

__all__ = ["CompositionFlag", "composition_map"]

Array = NDArray[np.float64]
Bool = NDArray[np.bool_]

_ACTION: Final = "map the composition"
_LOW_SENSITIVITY: Final = 0.25
_BROAD: Final = 1.3
_ASYMMETRY: Final = 0.1
"""Distance of centroid and maximum that one asymmetric line may have, in its full width; one σ."""

_NO_NUMBER: Final = 3


class CompositionFlag(IntFlag):
    """Why a composition is not a number with σ; flags add up."""

    ABOVE_BROMIDE_END = 1
    BROMIDE_LIMIT = 2
    LOW_SENSITIVITY = 4
    BEYOND_IODIDE_END = 8
    MULTIPLE_PHASES = 16
    NO_PEAK = 32


def composition_map(
    ds: xr.Dataset,
    *,
    calibration: str | Calibration = "cunha2025",
    method: Literal["parabola", "centroid", "gaussian", "asymmetric"] = "parabola",
    reference_width_ev: float | None = None,
) -> xr.Dataset:
    """Map the iodine content by inverting a calibration E_PL(x), with asymmetric bounds.

    Parameters
    ----------
    ds : Dataset
        Spectra: ``intensity`` (…, wavelength) or (…, energy) [counts]; or the result of
        ``fit_peaks`` with ``peak_energy`` and ``peak_energy_stderr`` [eV].
    calibration : str or Calibration, optional
        ``"cunha2025"``, ``"cunha2025_points"``, ``"literature"``, or one of
        ``plkit.physics.calibration.Calibration.from_table``.
    method : {"parabola", "centroid", "gaussian", "asymmetric"}, optional
        How ``fit_peaks`` finds the peak of a spectrum.
    reference_width_ev : float, optional
        Full width at half maximum of one phase; wider peaks (by 1.3) are flagged [eV].

    Returns
    -------
    Dataset
        ``x_iodine``, ``x_iodine_lower``, ``x_iodine_upper`` (68 % bounds), ``x_iodine_stderr``
        (half their distance) [iodine per formula unit, 0 to 3]; ``composition_flag`` (int8,
        ``flag_masks``); the variables of ``fit_peaks``; from spectra also ``peak_centroid`` with σ
        [eV] and ``two_line_bic`` [1]. Flags, which add up:

        - 1 ``above_bromide_end``: E − 2σ lies above every energy of the calibration; all NaN.
        - 2 ``bromide_limit``: E + σ reaches the bromide end: ``x_iodine_upper`` is a limit (at
          E − σ, or at E − 2σ where E − σ is beyond the end), ``x_iodine_lower`` is the end of the
          calibration, ``x_iodine`` NaN.
        - 4 ``low_sensitivity``: half the distance of the bounds exceeds 0.25.
        - 8 ``beyond_iodide_end``: E − σ is below every energy of the calibration: a lower limit in
          the same manner; all NaN where even E + 2σ is below.
        - 16 ``multiple_phases``: two lines explain the spectrum (see Notes), the peak is wider than
          1.3 ``reference_width_ev``, or centroid and maximum differ by more than 3σ. The value is
          that of the highest peak and no mean composition.
        - 32 ``no_peak``: no peak was found; all NaN.

    Raises
    ------
    DataError
        If the calibration is not known, or there are neither spectra nor peak energies.
    UnitsError
        If the energies have no unit or another kind of unit.

    Notes
    -----
    The bounds are x(E + σ) and x(E − σ), where σ adds the error of the peak energy and that of the
    calibration (``attrs["calibration_energy_stderr_ev"]`` at mid-range, the same for all pixels) in
    quadrature. Where the calibration is flat, as the cubic at the bromide end, they are wide and
    unequal.

    Two lines: Gaussians of a common width and a linear background, against one; flagged where the
    Bayesian criterion falls by more than 10, the lines are apart by 1.25 of their width at least, and the
    weaker one has 5 % of the height of the other, so that neither asymmetry nor a wing counts (the
    wings of a Lorentzian do).
    Maximum and centroid: σ includes 0.1 of the width, which the asymmetry of one line may cause. A
    mixture of 513 and 590 nm shows why: its maximum jumps from x = 0.13 to 1.51 as shares change,
    and its centroid invents 1.0.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> peaks = xr.Dataset({"peak_energy": ("point", [2.2833, 2.4312], {"units": names.unit("energy")}),
    ...                     "peak_energy_stderr": ("point", [0.002, 0.002])})
    >>> comp = composition_map(peaks)
    >>> comp.x_iodine.values.round(3).tolist(), comp.composition_flag.values.tolist()
    ([0.915, nan], [0, 1])
    """
    curve = get_calibration(calibration)
    if "peak_energy" in ds:
        peaks, phases = ds, {}
    elif INTENSITY in ds:
        from plkit.peaks import fit_peaks

        ds = conform(ds)  # so that peaks and phases below have one order of pixels
        peaks = fit_peaks(ds, method=method)
        phases = _phases(ds)
    else:
        found = ", ".join(map(str, ds.data_vars)) or "nothing"
        raise DataError(
            _ACTION, f"neither '{INTENSITY}' nor 'peak_energy' is there, the dataset holds {found}",
            "Give spectra, or the result of plkit.fit_peaks.",
        )  # fmt: skip
    energy = require_unit(peaks["peak_energy"], "peak_energy", _ACTION)
    sigma = peaks.get("peak_energy_stderr")
    if sigma is None:
        raise DataError(
            _ACTION, "'peak_energy_stderr' is missing: no bounds follow",
            "Add it, or give the result of plkit.fit_peaks.",
        )  # fmt: skip
    e = np.asarray(energy.values, dtype=float)
    s = np.asarray(sigma.broadcast_like(energy).transpose(*energy.dims).values, dtype=float)
    seen = np.isfinite(e) & np.isfinite(s) & (s >= 0)
    if FIT_STATUS in peaks:
        status = peaks[FIT_STATUS].broadcast_like(energy).transpose(*energy.dims)
        seen &= status.values < _NO_NUMBER
    columns, flags = _invert(e, s, seen, curve)
    mixed = _several(peaks, energy, phases, reference_width_ev)
    flags = np.where(seen & mixed, flags | CompositionFlag.MULTIPLE_PHASES, flags)
    out = peaks[[v for v in peaks.data_vars if str(v).startswith(("peak_", FIT_STATUS))]]
    out = out.assign({k: (energy.dims, v, names.attrs(k)) for k, v in columns.items()})
    for name in ("peak_centroid", "peak_centroid_stderr", "two_line_bic"):
        if name in phases:
            out[name] = phases[name]
    out["composition_flag"] = (energy.dims, flags.astype(np.int8), _flag_attrs())
    middle = 0.5 * sum(curve.usable)
    out = out.assign_attrs(
        calibration=curve.name,
        calibration_source=curve.source,
        calibration_range_x=list(curve.usable),
        calibration_energy_stderr_ev=float(curve.energy_stderr(middle)),
    )
    return add_history(out, f"composition_map(calibration={curve.name})")


def _invert(e: Array, s: Array, seen: Bool, curve: Calibration) -> tuple[dict[str, Array], Any]:
    """Composition, bounds and flags from energies with σ."""
    lowest, highest = curve.energy_range
    first, last = curve.usable
    e = np.where(seen, e, 0.5 * (lowest + highest))  # a number, whose result is blanked below
    at = curve.x_iodine(np.clip(e, lowest, highest))
    sigma = np.hypot(np.where(seen, s, 0.0), curve.energy_stderr(at))
    x = curve.x_iodine(e)
    lower, upper = curve.x_iodine(e + sigma), curve.x_iodine(e - sigma)
    flags = np.zeros(e.shape, dtype=np.int64)

    above = e - 2.0 * sigma > highest
    bromide = ~above & (e + sigma >= highest)
    upper = np.where(bromide & (e - sigma > highest), curve.x_iodine(e - 2.0 * sigma), upper)
    below = e + 2.0 * sigma < lowest
    iodide = ~below & (e - sigma <= lowest)
    lower = np.where(iodide & (e + sigma < lowest), curve.x_iodine(e + 2.0 * sigma), lower)
    # an end of the calibration is the bound where the interval reaches beyond it
    lower = np.where(bromide, first, lower)
    upper = np.where(iodide, last, upper)
    nothing = above | below | ~seen
    x = np.where(nothing | bromide | iodide, np.nan, x)
    lower, upper = np.where(nothing, np.nan, lower), np.where(nothing, np.nan, upper)
    half = 0.5 * (upper - lower)
    for mask, flag in (
        (above, CompositionFlag.ABOVE_BROMIDE_END),
        (bromide, CompositionFlag.BROMIDE_LIMIT),
        (half > _LOW_SENSITIVITY, CompositionFlag.LOW_SENSITIVITY),
        (iodide | below, CompositionFlag.BEYOND_IODIDE_END),
    ):
        flags = np.where(mask & seen, flags | flag, flags)
    flags = np.where(seen, flags, CompositionFlag.NO_PEAK)
    columns = {
        "x_iodine": x,
        "x_iodine_lower": lower,
        "x_iodine_upper": upper,
        "x_iodine_stderr": np.where(np.isfinite(x), half, np.nan),
    }
    return columns, flags


def _phases(ds: xr.Dataset) -> dict[str, Any]:
    """Centroid of the whole spectrum and evidence for two lines, as labelled arrays."""
    from plkit.spectra import variance

    dim = spectral_dim(ds, _ACTION)
    da = ds[INTENSITY].transpose(..., dim)
    shape = da.shape[:-1]
    axis, order = _axis(ds[dim], dim)
    y = np.asarray(da.values, dtype=float).reshape(-1, da.shape[-1])[:, order]
    var = None
    if NOISE_GAIN in ds:
        var = np.asarray(variance(ds).broadcast_like(da).transpose(*da.dims).values, dtype=float)
        var = var.reshape(-1, da.shape[-1])[:, order]
    second = find_second_line(axis, y, var)
    centroid, sigma = centroid_above_background(axis, y, var)
    dims, coords = da.dims[:-1], {k: v for k, v in da.coords.items() if dim not in v.dims}

    def labelled(values: NDArray[Any], name: str) -> xr.DataArray:
        attrs = names.attrs(name) if name else {}
        return xr.DataArray(values.reshape(shape), coords, dims, attrs=attrs)

    return {
        "peak_centroid": labelled(centroid, "peak_centroid"),
        "peak_centroid_stderr": labelled(sigma, "peak_centroid_stderr"),
        "two_line_bic": labelled(second.bic, "two_line_bic"),
        "found": labelled(second.found, ""),
    }


def _axis(axis: xr.DataArray, dim: str) -> tuple[Axis, NDArray[np.intp]]:
    """Channels by ascending energy, and their order on the measured axis."""
    position = np.asarray(axis.values, dtype=float)
    energy, bandwidth = position, np.ones_like(position)
    if dim == WAVELENGTH:
        from plkit.physics import photons

        medium: photons.Medium = "vacuum" if axis.attrs.get("medium") == "vacuum" else "air"
        energy = photons.energy_from_wavelength(position, medium)
        bandwidth = photons.relative_bandwidth(position, medium)
    order = np.argsort(energy, kind="stable")
    return Axis(energy[order], bandwidth[order], position[order]), order


def _several(
    peaks: xr.Dataset,
    energy: xr.DataArray,
    phases: dict[str, Any],
    reference_width_ev: float | None,
) -> Bool:
    """Where the spectrum is that of more than one phase."""
    mixed = np.zeros(energy.shape, dtype=bool)

    def on(data: xr.DataArray) -> NDArray[Any]:
        return np.asarray(data.broadcast_like(energy).transpose(*energy.dims).values)

    width = on(peaks["peak_width"]) if "peak_width" in peaks else np.full(energy.shape, np.nan)
    with np.errstate(invalid="ignore"):
        if reference_width_ev is not None:
            if not reference_width_ev > 0:
                raise DataError(
                    _ACTION, f"'reference_width_ev' is {reference_width_ev}, not positive"
                )
            if "peak_width" not in peaks:
                raise DataError(
                    _ACTION, "'peak_width' is missing, which the reference is compared to"
                )
            mixed |= width > _BROAD * reference_width_ev
        if phases:
            mixed |= on(phases["found"])
            e, s = on(energy), on(peaks["peak_energy_stderr"])
            sigma2 = s**2 + on(phases["peak_centroid_stderr"]) ** 2 + (_ASYMMETRY * width) ** 2
            mixed |= np.abs(on(phases["peak_centroid"]) - e) > 3.0 * np.sqrt(sigma2)
    return mixed


def _flag_attrs() -> dict[str, Any]:
    return {
        **names.attrs("composition_flag"),
        "flag_masks": np.array([f.value for f in CompositionFlag], dtype=np.int8),
        "flag_meanings": " ".join(str(f.name).lower() for f in CompositionFlag),
    }
