"""Small measurements and results that the pages are tested on."""

from __future__ import annotations

import numpy as np
import xarray as xr

from plkit import names


def axis(name: str, values) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, float), dims=name, attrs=names.attrs(name))


def movie(n_times: int = 8, n_y: int = 12, n_x: int = 16, seed: int = 3) -> xr.Dataset:
    """Counts (time, y, x, wavelength): a band at 590 nm turns into one at 515 nm around the middle."""
    rng = np.random.default_rng(seed)
    t, y, x = 10.0 * np.arange(n_times) + 5.0, 0.5 * np.arange(n_y), 0.5 * np.arange(n_x)
    w = np.linspace(450.0, 700.0, 126)
    halo = np.exp(-((x[None, :] - x.mean()) ** 2 + (y[:, None] - y.mean()) ** 2) / 4.0)
    turned = halo * (1.0 - np.exp(-t / 30.0))[:, None, None]
    pure, new = (np.exp(-0.5 * ((w - c) / 9.0) ** 2) for c in (590.0, 515.0))
    expected = 800.0 * ((1.0 - turned)[..., None] * pure + turned[..., None] * new) + 3.0
    ds = xr.Dataset(
        {"intensity": (("time", "y", "x", "wavelength"), rng.poisson(expected).astype(np.uint16))}
    )
    ds["intensity"].attrs = names.attrs("intensity")
    for name, value in (("noise_gain", 1.0), ("noise_floor", 0.0)):
        ds[name] = xr.DataArray(value, attrs=names.attrs(name))
    return ds.assign_coords(
        {n: axis(n, v) for n, v in (("time", t), ("y", y), ("x", x), ("wavelength", w))}
    )


def results_file(folder):
    """results.nc of one sample as a study writes it, from equations."""
    import json

    from plkit import Film, LaserSpot, fit_arrhenius, fit_fick_profile, simulate_heating
    from tests import synthetic_results as made

    kin = made.kinetics()
    unmixed = made.unmixed(kin)
    powers = kin["power"].values
    film = Film(40.0, 0.4, absorptance=0.228, absorptance_stderr=0.0114)
    heat = simulate_heating(LaserSpot(1.0, radius_stderr_um=0.05), film, power_uw=powers)
    arrhenius = fit_arrhenius(kin, heat, rate_scatter=0.02)
    maps, composition = halo_maps(powers[:3])
    profiles = fit_fick_profile(
        maps["fraction"].sel(component="bromide", drop=True),
        stderr=maps["fraction_stderr"].sel(component="bromide", drop=True),
        rate=kin.isel(power=slice(0, 3)), initial_sigma_um=0.5,
    )  # fmt: skip
    series = made.spectra()
    raw = xr.concat([series["intensity"]] * 2, dim=axis("power", powers[:2]))
    raw = raw.rename(time="movie_time").to_dataset(name="movie")
    raw["noise_gain"] = xr.DataArray(1.0, attrs=names.attrs("noise_gain"))
    tree = xr.DataTree.from_dict(
        {
            "/film/raw": raw, "/film/unmixed": unmixed, "/film/kinetics": kin, "/film/heating": heat,
            "/film/arrhenius": arrhenius, "/film/maps": maps, "/film/composition": composition,
            "/film/profiles": profiles,
        }
    )  # fmt: skip
    recipe = '[study]\ntitle = "Made for a test"\n'
    record = {
        "plkit": "0.1.0", "python": "3", "libraries": {"numpy": "2"}, "recipe_text": recipe,
        "recipe": {"samples": {"film": {"rate_scatter": 0.02}}},
        "inputs": [{"role": "samples.film.exposure", "name": "film.nc", "sha256": "0" * 64, "bytes": 1}],
    }  # fmt: skip
    summary = {
        "samples": {"film": {"verdict": "reconstruction"}},
        "warnings": ["made, not measured"],
    }
    tree.attrs.update(
        title="Made for a test", summary=json.dumps(summary), provenance=json.dumps(record)
    )
    path = folder / "results.nc"
    tree.to_netcdf(path, engine="netcdf4")
    return path


def halo_maps(powers, n: int = 24):
    """Fractions and iodine content (power, y, x) of a halo that grows with the power."""
    rng = np.random.default_rng(9)
    at = 0.5 * np.arange(n)
    r2 = (at[None, :] - at.mean()) ** 2 + (at[:, None] - at.mean()) ** 2
    height = 0.3 + 0.3 * np.arange(len(powers)) / len(powers)
    bromide = height[:, None, None] * np.exp(-r2 / (2 * 1.5**2)) + 1e-3 * rng.standard_normal(
        (len(powers), n, n)
    )
    dims = ("power", "component", "y", "x")
    axes = {
        "power": axis("power", powers),
        "component": ["pristine", "bromide"],
        "y": axis("y", at),
        "x": axis("x", at),
    }
    maps = xr.Dataset(
        {
            "fraction": (dims, np.stack([1 - bromide, bromide], 1), names.attrs("fraction")),
            "fraction_stderr": (
                dims,
                np.full((len(powers), 2, n, n), 1e-3),
                names.attrs("fraction_stderr"),
            ),
        },
        axes,
    )
    x_iodine = 1.5 * (1 - bromide)
    x_iodine[:, 0, 0] = np.nan
    composition = xr.Dataset(
        {
            "x_iodine": (("power", "y", "x"), x_iodine, names.attrs("x_iodine")),
            "x_iodine_stderr": (
                ("power", "y", "x"),
                np.full_like(x_iodine, 0.01),
                names.attrs("x_iodine_stderr"),
            ),
        },
        {k: axes[k] for k in ("power", "y", "x")},
    )
    return maps, composition


def dark_frames(counts: float = 100.0, seed: int = 5) -> xr.Dataset:
    """Frames (time, wavelength) without light, on the axis of :func:`movie`."""
    rng = np.random.default_rng(seed)
    like = movie(1, 2, 2)
    values = rng.normal(counts, 2.0, (40, like.sizes["wavelength"]))
    ds = xr.Dataset({"intensity": (("time", "wavelength"), values, names.attrs("intensity"))})
    for name, value in (("noise_gain", 1.0), ("noise_floor", 4.0), ("exposure_time", 0.5)):
        ds[name] = xr.DataArray(value, attrs=names.attrs(name))
    return ds.assign_coords(time=axis("time", np.arange(40.0) + 0.5), wavelength=like["wavelength"])


def pure_spectra(seed: int = 6) -> dict[str, xr.Dataset]:
    """The two phases of :func:`movie`, measured alone, without its constant light of 3 counts."""
    rng = np.random.default_rng(seed)
    like = movie(1, 2, 2)
    w = like["wavelength"].values
    out = {}
    for name, centre in (("pristine", 590.0), ("turned", 515.0)):
        counts = rng.poisson(20_000.0 * np.exp(-0.5 * ((w - centre) / 9.0) ** 2)).astype(float)
        ds = xr.Dataset({"intensity": ("wavelength", counts, names.attrs("intensity"))})
        for key, value in (("noise_gain", 1.0), ("exposure_time", 0.5)):
            ds[key] = xr.DataArray(value, attrs=names.attrs(key))
        out[name] = ds.assign_coords(wavelength=like["wavelength"])
    return out
