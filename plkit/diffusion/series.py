"""Temperature dependence of diffusion: D0, activation energy, D at 293 K, and what they rest on."""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from plkit import names
from plkit.arrhenius.fitting import fit_points
from plkit.arrhenius.inputs import Points, TemperatureErrors, gather
from plkit.arrhenius.prediction import predict_arrhenius
from plkit.physics.arrhenius import fit_straight_line
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.schema import add_history

__all__ = ["fit_diffusion_temperature"]

Array = NDArray[np.float64]

ROOM_TEMPERATURE_K: Final = 293.0

_QUANTITY: Final = "diffusion_coefficient"
_ACTION: Final = "fit the temperature dependence of diffusion"


def fit_diffusion_temperature(
    diffusion: xr.DataArray | xr.Dataset,
    temperature: xr.DataArray | xr.Dataset,
    *,
    diffusion_stderr: xr.DataArray | ArrayLike | None = None,
    temperature_stderr: xr.DataArray | ArrayLike | None = None,
    shared_temperature_stderr: xr.DataArray | ArrayLike | None = None,
    diffusion_scatter: float = 0.0,
    power: xr.DataArray | ArrayLike | None = None,
) -> xr.Dataset:
    """Fit D = D0 exp(−E_a/(k_B T)), and say whether the halo's width knows of the temperature.

    Parameters
    ----------
    diffusion : DataArray or Dataset
        Diffusion coefficients over one dim (power, point or temperature) [m^2/s], or the Dataset of
        ``fit_fick_profile``.
    temperature : DataArray or Dataset
        Temperature over the same dim [K], or the Dataset of ``simulate_heating``.
    diffusion_stderr : DataArray or array_like, optional
        σ of each coefficient [m^2/s].
    temperature_stderr, shared_temperature_stderr : DataArray or array_like, optional
        σ of the temperatures, independent and shared, as in ``fit_arrhenius`` [K].
    diffusion_scatter : float, optional
        Relative spot-to-spot scatter of the coefficients [1].
    power : DataArray or array_like, optional
        Laser power [uW], where the coefficients do not carry it.

    Returns
    -------
    Dataset
        All of ``fit_arrhenius`` with ``diffusion_coefficient`` in place of ``rate``, and ``ln_d0``
        with σ [1, D0 in m²/s]; ``d_293k`` with σ [m^2/s] and ``ln_d_293k`` with σ [1]; from a
        Dataset of ``fit_fick_profile`` also ``width_energy`` with σ [eV] and ``width_is_constant``
        (int8). The attribute ``width`` says in words what that means.

    Raises
    ------
    DataError
        If fewer than two usable points are left, all are at one temperature, or labels do not match.
    UnitsError
        If a unit is missing or of another kind.

    Warns
    -----
    PlkitWarning
        As in ``fit_arrhenius``.

    Notes
    -----
    With t = 1/⟨k⟩ the coefficient is D = (σ² − σ0²) ⟨k⟩/2, hence E_a(D) = E_a(⟨k⟩) + E_w, where E_w
    is the activation energy of the area of the halo, σ² − σ0² ∝ exp(−E_w/(k_B T)). A halo of constant
    width gives E_w = 0 and E_a(D) = E_a(⟨k⟩) by construction: no independent measurement of a
    barrier. ``width_is_constant`` is 1 where ``|E_w|`` is within two of its σ. σ of D(293 K) is
    symmetric in the logarithm: prefer ``ln_d_293k``, or ``predict_arrhenius`` for bounds.

    References
    ----------
    .. [1] da Cunha et al., ACS Appl. Mater. Interfaces 17, 14389 (2025),
       doi:10.1021/acsami.4c19234.

    Examples
    --------
    >>> from plkit.physics.arrhenius import arrhenius_rate
    >>> t = xr.DataArray([294.0, 298.0, 302.0], dims="point", attrs=names.attrs("temperature"))
    >>> d = xr.DataArray(arrhenius_rate(t, 5.3e-11, 0.182), dims="point",
    ...                  attrs=names.attrs("diffusion_coefficient"))
    >>> fit = fit_diffusion_temperature(d, t, diffusion_scatter=0.01)
    >>> print(f"{float(fit.d_293k):.2e} m²/s, E_a = {float(fit.activation_energy):.3f} eV")
    3.92e-14 m²/s, E_a = 0.182 eV
    """
    points = gather(
        diffusion, temperature, quantity=_QUANTITY, variable=_QUANTITY, stderr=diffusion_stderr,
        temperature_errors=TemperatureErrors(temperature_stderr, shared_temperature_stderr),
        scatter=diffusion_scatter, power=power, action=_ACTION,
    )  # fmt: skip
    out = fit_points(points)
    at_room = predict_arrhenius(out, ROOM_TEMPERATURE_K)
    d = float(at_room[_QUANTITY])
    sigma = float(at_room[f"ln_{_QUANTITY}_stderr"])
    scalars = {
        "ln_d0": float(out["ln_k0"]),
        "ln_d0_stderr": float(out["ln_k0_stderr"]),
        "d_293k": d,
        "d_293k_stderr": d * sigma,
        "ln_d_293k": float(np.log(d)),
        "ln_d_293k_stderr": sigma,
    }
    out = out.drop_vars(["ln_k0", "ln_k0_stderr"])
    out = out.assign({k: ((), v, names.attrs(k)) for k, v in scalars.items()})
    if isinstance(diffusion, xr.Dataset):
        out = _with_width(out, diffusion, points)
    return add_history(out, f"fit_diffusion_temperature: n={points.value.size}")


def _with_width(out: xr.Dataset, diffusion: xr.Dataset, points: Points) -> xr.Dataset:
    """Add the activation energy of the halo's area, which is D without its time."""
    needed = ("diffusion_time", f"{_QUANTITY}_stderr_profile")
    if any(v not in diffusion for v in needed):
        return out
    time, sigma = (np.asarray(diffusion[v].squeeze().values, dtype=float) for v in needed)
    d = points.value
    ln_area = np.log(d * time[points.kept])
    stated = sigma[points.kept] / d
    n = d.size
    var = np.where(stated > 0, stated**2, 1.0) + points.ln_var_scatter
    x = 1.0 / points.temperature
    line = fit_straight_line(x, ln_area, points.temperature_var / points.temperature**4, var)
    if not np.all(stated > 0):
        var = np.full(n, line.chisqr / (n - 2) if n > 2 else np.nan)
    energy = -BOLTZMANN_EV_K * line.slope
    x_var = points.temperature_var / points.temperature**4
    stderr = BOLTZMANN_EV_K * float(
        np.sqrt(np.sum(line.slope_weights**2 * (var + line.slope**2 * x_var)))
    )
    constant = abs(energy) <= 2.0 * stderr
    total = float(out["activation_energy"])
    words = f"The halo's area changes with {1e3 * energy:.3g} ± {1e3 * stderr:.3g} meV: " + (
        "its width is constant over temperature within two σ, so that the activation energy of "
        f"D ({1e3 * total:.3g} meV) is that of the rate alone and no independent measurement."
        if constant
        else "its width changes with temperature, so that the activation energy of D "
        f"({1e3 * total:.3g} meV) is not that of the rate alone."
    )
    values = {"width_energy": energy, "width_energy_stderr": stderr}
    out = out.assign({k: ((), v, names.attrs(k)) for k, v in values.items()})
    out["width_is_constant"] = ((), np.int8(constant), names.attrs("width_is_constant"))
    return out.assign_attrs(width=words)
