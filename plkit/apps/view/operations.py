"""Whole-map fits: each is one call of a public function, done in blocks of rows so that it can be stopped."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import xarray as xr

import plkit
from plkit.apps.view.layers import Layer
from plkit.apps.view.state import ViewState
from plkit.apps.view.values import region_mask, spectrum_of
from plkit.errors import DataError
from plkit.names import COMPONENT, DELAY, INTENSITY, TIME, WAVELENGTH

__all__ = ["OPERATIONS", "Job", "Operation", "key_of", "reference_spectra", "references_of"]

_SPECTRA_PER_BLOCK: Final = 2500


@dataclass(frozen=True)
class Operation:
    """A whole-map fit.

    Parameters
    ----------
    title : str
        On its button.
    run : callable
        ``run(block, settings)`` gives the results of a block of spectra.
    code : callable
        ``code(settings)`` gives the same call as Python, of a dataset ``ds``.
    missing : callable
        ``missing(layer, state)`` says what it lacks; empty where it can run.
    """

    title: str
    run: Callable[[xr.Dataset, Mapping[str, Any]], xr.Dataset]
    code: Callable[[Mapping[str, Any]], str]
    missing: Callable[[Layer, ViewState], str]


def _no_spectra(layer: Layer, state: ViewState) -> str:  # noqa: ARG001  one signature for all
    if not (layer.has_spectra and layer.is_map and layer.variable == INTENSITY):
        return "a map of spectra is needed"
    return "the spectra have no wavelength" if layer.spectral == DELAY else ""


def _no_references(layer: Layer, state: ViewState) -> str:
    missing = _no_spectra(layer, state)
    return missing or ("" if len(state.references) > 1 else "two reference spectra are needed")


def _no_time(layer: Layer, state: ViewState) -> str:
    missing = _no_spectra(layer, state)
    if missing:
        return missing
    if TIME not in layer.outer or layer.ds.sizes[TIME] < 6:
        return "at least six frames in time are needed"
    return ""


def _peaks(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    return plkit.fit_peaks(ds, method=settings["method"], window=settings.get("window"))


def _composition(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    return plkit.composition_map(ds, calibration=settings["calibration"], method=settings["method"])


def _unmix(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    return plkit.unmix(ds, settings["references"], background=settings["background"])


def _kinetics(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    if "references" in settings:
        frac = _unmix(ds, settings)
        return plkit.fit_kinetics(frac, component=settings["falling"])
    window = settings.get("window")
    if window is not None:
        spectral = plkit.schema.spectral_dim(ds)
        ds = plkit.spectra.crop(ds, **{spectral: tuple(window)})
    total = ds[INTENSITY].sum(plkit.schema.spectral_dim(ds))
    return plkit.fit_kinetics(total.assign_attrs(ds[INTENSITY].attrs))


def _window(settings: Mapping[str, Any]) -> str:
    window = settings.get("window")
    return f", window={tuple(window)!r}" if window else ""


def _kinetics_code(settings: Mapping[str, Any]) -> str:
    if "references" in settings:
        unmixed = f"plkit.unmix(ds, refs, background={settings['background']!r})"
        return f"plkit.fit_kinetics({unmixed}, component={settings['falling']!r})"
    window = settings.get("window")
    cut = f"plkit.spectra.crop(ds, {settings['spectral']}={tuple(window)!r})" if window else "ds"
    total = f'{cut}.{INTENSITY}.sum("{settings["spectral"]}")'
    return f'plkit.fit_kinetics({total}.assign_attrs(units="counts"))'


OPERATIONS: Final[dict[str, Operation]] = {
    "peaks": Operation(
        "Peaks", _peaks,
        lambda s: f"plkit.fit_peaks(ds, method={s['method']!r}{_window(s)})", _no_spectra,
    ),
    "composition": Operation(
        "Composition", _composition,
        lambda s: f"plkit.composition_map(ds, calibration={s['calibration']!r}, method={s['method']!r})",
        lambda layer, state: _no_spectra(layer, state)
        or ("" if layer.spectral == WAVELENGTH or layer.spectral else "wavelengths are needed"),
    ),
    "unmix": Operation(
        "Unmix", _unmix,
        lambda s: f"plkit.unmix(ds, refs, background={s['background']!r})", _no_references,
    ),
    "kinetics": Operation("Kinetics", _kinetics, _kinetics_code, _no_time),
}  # fmt: skip
"""Whole-map fits by key; a new one is one more entry."""


def settings_of(
    kind: str, layer: Layer, state: ViewState, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything a fit depends on, taken from the state when it starts."""
    out: dict[str, Any] = {"kind": kind}
    if kind in ("peaks", "composition"):
        out["method"] = chosen.get("method", "parabola")
    if kind in ("peaks", "kinetics") and state.band is not None:
        out["window"] = tuple(state.band)
    if kind == "composition":
        out["calibration"] = chosen.get("calibration", "cunha2025")
    if kind == "unmix" or (kind == "kinetics" and len(state.references) > 1):
        out["references"] = references_of(layer, state)
        out["background"] = chosen.get("background", "none")
        out["falling"] = state.references[0]
        out.pop("window", None)
    if kind == "kinetics":
        out["spectral"] = layer.spectral
    return out


def key_of(settings: Mapping[str, Any]) -> str:
    """Short name of a fit with its settings, in quantities, in the URL and on the page."""
    parts = [settings["kind"]]
    parts += [str(settings[k]) for k in ("method", "calibration", "background") if k in settings]
    if "references" in settings:
        parts.append("+".join(map(str, settings["references"][COMPONENT].values)))
    if settings.get("window"):
        parts.append("–".join(f"{v:.4g}" for v in settings["window"]))
    return " ".join(parts).replace("/", "∕")


# References -----------------------------------------------------------------------------------
def reference_spectra(layer: Layer, state: ViewState) -> dict[str, xr.Dataset]:
    """Mean spectra of the pins and regions that are references, by name."""
    found: dict[str, xr.Dataset] = {}
    for name in state.references:
        for entry in state.pins:
            if entry["name"] == name:
                found[name] = spectrum_of(
                    layer, state.at, entry["row"], entry["col"], entry["half"]
                )
        for entry in state.regions:
            if entry["name"] == name:
                mask = region_mask(layer, entry)
                found[name] = spectrum_of(layer, state.at, 0, 0, mask=mask)
    return {
        n: ds[[layer.variable]].drop_vars(["n_pixels"], errors="ignore") for n, ds in found.items()
    }


def references_of(layer: Layer, state: ViewState) -> xr.DataArray:
    """Reference spectra as :func:`plkit.unmix` takes them.

    Raises
    ------
    DataError
        If there are fewer than two.
    """
    found = reference_spectra(layer, state)
    if len(found) < 2:
        raise DataError(
            "unmix", f"{len(found)} reference spectra are chosen, not at least 2",
            "Pin pure spots, or draw regions, and choose them as references.",
        )  # fmt: skip
    return plkit.references(**found)


# Jobs -----------------------------------------------------------------------------------------
@dataclass
class Job:
    """A whole-map fit that runs in a thread of its own.

    Parameters
    ----------
    layer : Layer
        A map of spectra.
    settings : mapping
        From :func:`settings_of`.
    on_change : callable
        Called from the thread after every block and at the end.
    """

    layer: Layer
    settings: Mapping[str, Any]
    on_change: Callable[[Job], None] = lambda _: None
    done: int = 0
    total: int = 1
    result: xr.Dataset | None = None
    error: str = ""
    notes: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def cancelled(self) -> bool:
        """True once the job was told to stop."""
        return self._stop.is_set()

    @property
    def running(self) -> bool:
        """True while the thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Stop after the block that is being fitted; nothing of the fit is kept."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def run(self) -> None:
        """Fit block after block; errors are kept as text."""
        try:
            self.result = self._fit()
        except Exception as error:
            self.error = str(error) or type(error).__name__
        self.on_change(self)

    def _fit(self) -> xr.Dataset | None:
        row, col = self.layer.plane
        ds = self.layer.ds
        n_rows = ds.sizes[row]
        per_row = ds.sizes[col] * int(np.prod([ds.sizes[d] for d in self.layer.outer] or [1]))
        step = max(1, min(n_rows, _SPECTRA_PER_BLOCK // max(per_row, 1)))
        self.total = n_rows
        run = OPERATIONS[self.settings["kind"]].run
        parts = []
        for first in range(0, n_rows, step):
            if self.cancelled:
                return None
            block = ds.isel({row: slice(first, first + step)}).load()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", plkit.errors.PlkitWarning)
                parts.append(run(block, self.settings))
            for w in caught:
                text = str(w.message)
                if issubclass(w.category, plkit.errors.PlkitWarning) and text not in self.notes:
                    self.notes.append(text)
            self.done = min(first + step, n_rows)
            self.on_change(self)
        if self.cancelled:
            return None
        return joined(parts, row)


def joined(parts: list[xr.Dataset], dim: str) -> xr.Dataset:
    """Blocks side by side along ``dim``; what does not run over it is that of the first block."""
    out = xr.concat(
        parts, dim=dim, data_vars="minimal", coords="minimal", compat="override", join="override",
        combine_attrs="override",
    )  # fmt: skip
    return out.assign_coords({dim: parts[0][dim]} if len(parts) == 1 and dim in parts[0] else {})
