"""What a spectrometer would see of a lattice of ions: local gaps, funnelling, counts."""

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
from plkit.names import INTENSITY, NOISE_FLOOR, NOISE_GAIN, TIME, WAVELENGTH, X, Y, Z
from plkit.physics.calibration import Calibration, get_calibration
from plkit.physics.constants import BOLTZMANN_EV_K
from plkit.schema import add_history
from plkit.sim.measurement import Detector, simulate_measurement

__all__ = ["Emission", "simulate_emission"]

Array = NDArray[np.float64]
_ACTION = "simulate the emission"
_BIN_EV = 1e-3
_PERIODIC = (True, True, True)


@dataclass(frozen=True, slots=True)
class Emission:
    """How a mixed-halide lattice emits.

    Parameters
    ----------
    diffusion_length_nm : float, optional
        L_D of the carriers where the gap is flat [nm]: 0 lets them recombine where they are
        generated, infinity lets them thermalise over the whole lattice.
    coarse_graining_nm : float, optional
        Standard deviation of the Gaussian with which the composition is averaged before it has a
        gap [nm]: about the radius of an exciton.
    fwhm_ev : float, optional
        Homogeneous width of the line [eV]; 0.04–0.08 eV was measured.
    temperature_k : float, optional
        Temperature of the carriers [K].
    calibration : str or Calibration, optional
        Emission energy against iodine content, see :func:`plkit.composition_map`.

    Raises
    ------
    DataError
        If a length, width or temperature is impossible.

    Examples
    --------
    >>> Emission(diffusion_length_nm=0.0).fwhm_ev
    0.08
    """

    diffusion_length_nm: float = 50.0
    coarse_graining_nm: float = 1.0
    fwhm_ev: float = 0.08
    temperature_k: float = 293.15
    calibration: str | Calibration = "cunha2025_points"

    def __post_init__(self) -> None:
        """Refuse what cannot emit."""
        for name, lowest in (
            ("diffusion_length_nm", ">= 0"), ("coarse_graining_nm", ">= 0"), ("fwhm_ev", "> 0"),
            ("temperature_k", "> 0"),
        ):  # fmt: skip
            value = getattr(self, name)
            good = value >= 0 if lowest == ">= 0" else 0 < value < math.inf
            if not good:
                raise DataError(_ACTION, f"'{name}' is {value}, not {lowest}")
        get_calibration(self.calibration)


def simulate_emission(
    lattice: xr.Dataset | xr.DataArray,
    emission: Emission | None = None,
    *,
    wavelength_nm: Sequence[float] | Array | None = None,
    photons: float = 1e5,
    exposure_s: float = 1.0,
    detector: Detector | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Turn a lattice of ions, or a map of composition, into measured spectra.

    Parameters
    ----------
    lattice : xarray.Dataset or xarray.DataArray
        A result of :func:`plkit.simulate_ion_hopping`; or the iodine content x of
        CsPbBr(3-x)I(x) (…, z, y, x) [1], 0 to 3, with coordinates in µm, which are taken as
        periodic.
    emission : Emission, optional
        Diffusion length, coarse graining, line, calibration.
    wavelength_nm : array_like, optional
        Axis of the spectrometer, in air, ascending [nm]; 460 to 760 nm in steps of 0.5 nm by
        default.
    photons : float, optional
        Expected photons of one spectrum over all wavelengths [1].
    exposure_s : float, optional
        Exposure time of one spectrum [s].
    detector : Detector, optional
        Camera: raw counts with all it adds. Without one, counts with shot noise only, as after the
        corrections.
    seed : int, optional
        Of the noise.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (…, time, wavelength) [counts] with ``noise_gain``, ``noise_floor``,
        ``exposure_time``: what a file of a spectrometer holds. Beside it the truth over time:
        ``iodine_fraction``, the mean iodide fraction of the ions, and
        ``emitting_iodine_fraction``, that of the places where carriers recombine [1].

    Raises
    ------
    DataError
        If the lattice holds no ions or compositions, or an argument is impossible.

    Notes
    -----
    The iodide fraction around each site gives its gap; carriers generated evenly drift and diffuse
    until they recombine (see :func:`plkit.physics.funnelling.recombination_share`), and each place
    emits a Gaussian line at its gap. All places are taken as equally bright: what is not in here is
    a quantum yield that depends on the composition.

    Examples
    --------
    >>> from plkit.sim import IonLattice, simulate_ion_hopping
    >>> run = simulate_ion_hopping(IonLattice((8, 8, 8)), times_s=[0.0, 1e-9], seed=1)
    >>> ds = simulate_emission(run)
    >>> ds.intensity.dims, round(float(ds.iodine_fraction[0]), 3)
    (('time', 'wavelength'), 0.354)
    >>> bool((ds.emitting_iodine_fraction > ds.iodine_fraction).all())
    True
    """
    emission = Emission() if emission is None else emission
    if not (math.isfinite(photons) and photons >= 0):
        raise DataError(_ACTION, f"'photons' is {photons}, not >= 0")
    if not (math.isfinite(exposure_s) and exposure_s > 0):
        raise DataError(_ACTION, f"'exposure_s' is {exposure_s}, not > 0")
    axis = _axis(wavelength_nm)
    parts, lead, spacing, periodic = _parts(lattice)
    spectra, true, emitting = [], [], []
    for iodide, ions in parts:
        spectrum, mean, seen = _one(iodide, ions, spacing, periodic, emission, axis)
        spectra.append(spectrum)
        true.append(mean)
        emitting.append(seen)
    shape = tuple(lead.sizes[d] for d in lead.dims)
    coords = {**lead.coords, WAVELENGTH: (WAVELENGTH, axis, names.attrs(WAVELENGTH))}
    dims = (*map(str, lead.dims), WAVELENGTH)
    expected = xr.DataArray(photons * np.reshape(spectra, (*shape, axis.size)), coords, dims)
    ds = _measured(expected, exposure_s, detector, np.random.default_rng(seed))
    ds["iodine_fraction"] = (dims[:-1], np.reshape(true, shape), names.attrs("iodine_fraction"))
    ds["emitting_iodine_fraction"] = (
        dims[:-1], np.reshape(emitting, shape), names.attrs("emitting_iodine_fraction"),
    )  # fmt: skip
    settings = asdict(emission) | {"calibration": get_calibration(emission.calibration).name}
    text = json.dumps({k: "inf" if v == math.inf else v for k, v in settings.items()})
    ds = ds.assign_attrs(emission=text, origin="simulated")
    return add_history(ds, f"simulate_emission(photons={photons:g}, seed={seed})")


def _axis(wavelength_nm: Any) -> Array:
    axis = (
        np.arange(460.0, 760.01, 0.5) if wavelength_nm is None else np.asarray(wavelength_nm, float)
    )
    if axis.ndim != 1 or axis.size < 2 or not np.all(np.diff(axis) > 0) or axis[0] <= 0:
        raise DataError(_ACTION, "'wavelength_nm' is not an ascending list of wavelengths")
    return axis


def _parts(
    lattice: xr.Dataset | xr.DataArray,
) -> tuple[Any, xr.DataArray, float, tuple[bool, bool, bool]]:
    """Iodide and all ions of every snapshot, an array over the snapshots, spacing, boundaries."""
    if isinstance(lattice, xr.Dataset):
        if "species" not in lattice or "lattice" not in lattice.attrs:
            raise DataError(
                _ACTION, "the dataset holds no lattice of ions",
                "Give a result of plkit.simulate_ion_hopping, or a DataArray of compositions.",
            )  # fmt: skip
        cells = lattice["species"]
        settings = json.loads(lattice.attrs["lattice"])
        walls = settings["boundary"]
        walls = [walls] * 3 if isinstance(walls, str) else walls
        spacing = 1e3 * settings["spacing_nm"] * 1e-3
        periodic = (walls[0] == "periodic", walls[1] == "periodic", walls[2] == "periodic")
    else:
        cells, periodic = lattice, _PERIODIC
        spacing = _spacing_nm(lattice)
    missing = [d for d in (Z, Y, X) if d not in cells.dims]
    if missing:
        raise DataError(_ACTION, f"the lattice lacks the dims {', '.join(missing)}")
    cells = cells.transpose(..., Z, Y, X)
    lead = cells.isel({Z: 0, Y: 0, X: 0}, drop=True)
    lead = lead.drop_vars([c for c in lead.coords if c not in lead.dims])
    values = cells.values.reshape(-1, *cells.shape[-3:])
    if isinstance(lattice, xr.Dataset):
        pairs = (((v == 2).astype(float), (v != 0).astype(float)) for v in values)
        return pairs, lead, spacing, periodic
    x = np.asarray(values, float) / 3.0
    if not (np.all(x >= 0) and np.all(x <= 1)):
        raise DataError(
            _ACTION, "the iodine content is not everywhere from 0 to 3 per formula unit"
        )
    return ((v, np.ones_like(v)) for v in x), lead, spacing, periodic


def _spacing_nm(composition: xr.DataArray) -> float:
    for dim in (X, Y, Z):
        if dim in composition.coords and composition.sizes.get(dim, 0) > 1:
            steps = np.diff(composition[dim].values.astype(float))
            if np.ptp(steps) < 1e-3 * abs(steps[0]) and steps[0] > 0:
                return float(1e3 * steps[0])
    raise DataError(
        _ACTION, "the composition has no evenly spaced, ascending coordinate x, y or z in µm",
        'Add them: da.assign_coords(x=("x", values_um, {"units": "um"})).',
    )  # fmt: skip


def _one(
    iodide: Array,
    ions: Array,
    spacing: float,
    periodic: tuple[bool, bool, bool],
    emission: Emission,
    axis: Array,
) -> tuple[Array, float, float]:
    """Photons per channel of one unit of light; true and emitting iodide fraction."""
    from scipy.ndimage import gaussian_filter

    from plkit.physics.funnelling import recombination_share
    from plkit.physics.lineshapes import gaussian, spectrum_on_wavelength

    if ions.sum() == 0:
        raise DataError(_ACTION, "a snapshot holds no ions")
    true = float(iodide.sum() / ions.sum())
    sigma = emission.coarse_graining_nm / spacing
    mode: Any = ["wrap" if p else "reflect" for p in periodic]
    if sigma > 0:
        iodide, ions = (gaussian_filter(a, sigma, mode=mode) for a in (iodide, ions))
    fraction = np.divide(iodide, ions, out=np.full(ions.shape, true), where=ions > 1e-9)
    fraction, edge = _thinned(fraction, spacing, emission.coarse_graining_nm)
    curve = get_calibration(emission.calibration)
    energy = curve.energy(np.clip(3.0 * fraction, *curve.valid))
    share = recombination_share(
        energy, emission.diffusion_length_nm, edge, BOLTZMANN_EV_K * emission.temperature_k,
        periodic=periodic,
    )  # fmt: skip
    # Sites of nearly one gap emit one line: milli-electronvolts vanish in its width.
    low = float(energy.min())
    which = np.round((energy - low) / _BIN_EV).astype(np.int64).ravel()
    weight = np.bincount(which, weights=share.ravel()) / share.sum()
    density = np.zeros(axis.size)
    for i in np.flatnonzero(weight):
        density += weight[i] * spectrum_on_wavelength(
            axis, gaussian, low + i * _BIN_EV, emission.fwhm_ev
        )
    return density * np.gradient(axis), true, float((share * fraction).sum() / share.sum())


def _thinned(fraction: Array, spacing: float, smooth_nm: float) -> tuple[Array, float]:
    """Every n-th site where the composition is smooth over n and the lattice is large."""
    n = int(smooth_nm / spacing)
    if n < 2 or fraction.size <= 16_000 or any(size % n for size in fraction.shape):
        return fraction, spacing
    return fraction[::n, ::n, ::n], n * spacing


def _measured(
    expected: xr.DataArray, exposure_s: float, detector: Detector | None, rng: np.random.Generator
) -> xr.Dataset:
    if detector is not None:
        return simulate_measurement(expected, exposure_s, rng=rng, detector=detector)
    counts = expected.copy(data=rng.poisson(expected.values).astype(float))
    ds = counts.assign_attrs(names.attrs(INTENSITY)).to_dataset(name=INTENSITY)
    ds[NOISE_GAIN] = ((), 1.0, names.attrs(NOISE_GAIN))
    ds[NOISE_FLOOR] = ((), 0.0, names.attrs(NOISE_FLOOR))
    ds["exposure_time"] = ((), float(exposure_s), names.attrs("exposure_time"))
    if TIME in ds.coords and "units" not in ds[TIME].attrs:
        ds[TIME].attrs.update(names.attrs(TIME))
    return ds
