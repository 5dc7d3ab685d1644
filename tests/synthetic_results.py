"""Results as the methods give them, made from equations: figures and reports are tested on these."""

from __future__ import annotations

import numpy as np
import xarray as xr

from plkit import fit_arrhenius, fit_diffusion_temperature, names
from plkit.physics.rates import (
    BIEXPONENTIAL_PARAMETERS,
    biexponential_decay,
    conversion,
    mean_rate,
)

COMPONENTS = ["pristine", "bromide"]
POWERS = np.linspace(10.0, 80.0, 8)


def variable(name: str, dims, values) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, float), dims=dims, attrs=names.attrs(name), name=name)


def axis(name: str, values) -> xr.DataArray:
    return variable(name, name, values)


def spectra(n_times: int = 50, seed: int = 1) -> xr.Dataset:
    """Two bands, one falling and one rising, with noise; (time, wavelength)."""
    rng = np.random.default_rng(seed)
    t, w = np.linspace(0.5, 499.5, n_times), np.linspace(460.0, 640.0, 256)
    f = biexponential_decay(t, 0.4, 0.04, 0.3, 0.005, 0.3)[:, None]
    bands = [np.exp(-0.5 * ((w - c) / 10.0) ** 2) for c in (545.0, 510.0)]
    expected = 4e3 * (f * bands[0] + (1 - f) * bands[1]) + 5.0
    ds = xr.Dataset({"intensity": (("time", "wavelength"), rng.poisson(expected).astype(float))})
    ds["intensity"].attrs = names.attrs("intensity")
    return ds.assign_coords(time=axis("time", t), wavelength=axis("wavelength", w))


def kinetics(n_powers: int = 8, activation_energy: float = 0.248) -> xr.Dataset:
    """As of fit_kinetics over powers."""
    power = POWERS[:n_powers]
    t_k = 293.15 + 0.25 * power
    scale = np.exp(-activation_energy / 8.617333e-5 * (1 / t_k - 1 / 303.0))
    ceiling = 0.7 * (1 - np.exp(-power / 20.0))
    p = {
        "k01": 0.6 * ceiling, "k1": 0.04 * scale, "k02": 0.4 * ceiling, "k2": 0.0055 * scale,
        "plateau": 1 - ceiling,
    }  # fmt: skip
    sigma = {"k01": 0.006, "k1": 0.0012, "k02": 0.006, "k2": 0.0002, "plateau": 0.004}
    ds = xr.Dataset({n: variable(n, "power", v) for n, v in p.items()})
    for n, s in sigma.items():
        ds[f"{n}_stderr"] = variable(f"{n}_stderr", "power", np.full(power.size, s))
    ds["mean_rate"] = variable(
        "mean_rate", "power", mean_rate(p["k01"], p["k1"], p["k02"], p["k2"])
    )
    ds["mean_rate_stderr"] = 0.01 * ds["mean_rate"]
    ds["mean_rate_stderr"].attrs = names.attrs("mean_rate_stderr")
    names_ = list(BIEXPONENTIAL_PARAMETERS)
    ds["covariance"] = (
        ("power", "param_i", "param_j"),
        np.broadcast_to(np.diag([sigma[n] ** 2 for n in names_]), (power.size, 5, 5)).copy(),
    )
    phi = conversion(499.5, *(p[n] for n in names_))
    ds["conversion"] = variable("conversion", ("power", "at_s"), phi[:, None])
    ds["conversion_stderr"] = variable(
        "conversion_stderr", ("power", "at_s"), 0 * phi[:, None] + 0.008
    )
    ds["fit_status"] = ("power", np.zeros(power.size, np.int8))
    return ds.assign_coords(
        power=axis("power", power), at_s=axis("at_s", [499.5]), param_i=names_, param_j=names_
    ).assign_attrs(component="pristine")


def unmixed(kin: xr.Dataset, n_times: int = 200, seed: int = 2) -> xr.Dataset:
    """As of unmix, (power, component, time), about the curves of ``kin``."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0.5, 499.5, n_times)
    curves = [
        biexponential_decay(t, *(float(kin[n][i]) for n in BIEXPONENTIAL_PARAMETERS))
        for i in range(kin.sizes["power"])
    ]
    falling = np.stack(curves) + rng.normal(0, 0.01, (len(curves), t.size))
    both = np.stack([falling, 1 - falling], axis=1)
    ds = xr.Dataset({"fraction": variable("fraction", ("power", "component", "time"), both)})
    ds["fraction_stderr"] = variable("fraction_stderr", ds.fraction.dims, np.full(both.shape, 0.01))
    return ds.assign_coords(power=kin.power, component=COMPONENTS, time=axis("time", t))


def arrhenius(seed: int = 3, activation_energy: float = 0.248) -> xr.Dataset:
    """A real fit to rates with scatter, over powers, the temperature scale known to 8 %."""
    rng = np.random.default_rng(seed)
    kin = kinetics(activation_energy=activation_energy)
    t = variable("temperature", "power", 293.15 + 0.25 * kin.power.values)
    k = kin["mean_rate"] * (1 + rng.normal(0, 0.01, kin.sizes["power"]))
    k.attrs = names.attrs("rate")
    return fit_arrhenius(
        k,
        t.assign_coords(power=kin.power),
        rate_stderr=kin["mean_rate_stderr"],
        shared_temperature_stderr=0.08 * (t - 293.15),
        rate_scatter=0.005,
    )


def map_result(n: int = 60, seed: int = 4) -> xr.Dataset:
    """A halo of the bromide-rich fraction with failed pixels; (component, y, x)."""
    rng = np.random.default_rng(seed)
    x = (np.arange(n) + 0.5) * 40.0 / n
    r2 = (x[:, None] - 20.0) ** 2 + (x[None, :] - 20.0) ** 2
    halo = 0.6 * np.exp(-r2 / (2 * 3.0**2)) + rng.normal(0, 0.02, (n, n))
    status = np.zeros((n, n), np.int8)
    status[5:14, 40:56] = 4
    status[rng.random((n, n)) < 0.004] = 3
    halo[status >= 3] = np.nan
    ds = xr.Dataset(
        {"fraction": variable("fraction", ("component", "y", "x"), np.stack([1 - halo, halo]))}
    )
    ds["fit_status"] = (("y", "x"), status)
    return ds.assign_coords(component=COMPONENTS, y=axis("y", x), x=axis("x", x))


def diffusion(seed: int = 6) -> xr.Dataset:
    """A real fit of D(T) over powers."""
    rng = np.random.default_rng(seed)
    power = axis("power", [10.0, 40.0, 80.0, 120.0, 160.0])
    t = variable("temperature", "power", 293.15 + 0.1 * power.values).assign_coords(power=power)
    d = 5.3e-11 * np.exp(-0.182 / 8.617333e-5 / t.values) * (1 + rng.normal(0, 0.02, 5))
    return fit_diffusion_temperature(
        variable("diffusion_coefficient", "power", d).assign_coords(power=power),
        t,
        diffusion_stderr=0.02 * d,
        shared_temperature_stderr=0.08 * (t - 293.15),
    )
