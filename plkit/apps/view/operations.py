"""Whole-map fits: each is one call of a public function, done in blocks of rows so that it can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

import plkit
from plkit.apps.view.layers import Layer
from plkit.apps.view.state import ViewState
from plkit.apps.view.tasks import Task
from plkit.apps.view.values import region_mask, spectrum_of
from plkit.errors import DataError
from plkit.names import COMPONENT, DELAY, INTENSITY, NOISE_FLOOR, NOISE_GAIN, TIME

__all__ = [
    "CHOSEN",
    "OPERATIONS",
    "Job",
    "Operation",
    "key_of",
    "reference_names",
    "reference_spectra",
    "references_of",
    "settings_of",
]

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
    shown : str
        Start of the name of what is shown when it is done.
    choices : tuple of str
        Which of :data:`CHOSEN` it depends on.
    whole : callable, optional
        ``whole(joined, settings)`` goes on from the results of all blocks, where a fit takes all
        pixels at once.
    """

    title: str
    run: Callable[[xr.Dataset, Mapping[str, Any]], xr.Dataset]
    code: Callable[[Mapping[str, Any]], str]
    missing: Callable[[Layer, ViewState], str]
    shown: str
    choices: tuple[str, ...]
    whole: Callable[[xr.Dataset, Mapping[str, Any]], xr.Dataset] | None = None


CHOSEN: Final[dict[str, str]] = {
    "method": "parabola", "shape": "gaussian", "peaks": "2", "calibration": "cunha2025",
    "background": "none", "rates": "free",
}  # fmt: skip
"""The usual settings of whole-map fits."""


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


def _lines(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    from plkit.models import PeaksModel

    spectral, window = settings["spectral"], settings.get("window")
    kept = [n for n in (INTENSITY, NOISE_GAIN, NOISE_FLOOR) if n in ds]
    ds = ds[kept] if window is None else plkit.spectra.crop(ds[kept], **{spectral: window})
    model = PeaksModel(settings["shape"], int(settings["peaks"]))
    return plkit.fit_model(ds, model, spectral, noise="poisson")


def _traces(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    """What falls in every pixel: fractions with σ, or the sum over the band."""
    if "references" in settings:
        return _unmix(ds, settings)[["fraction", "fraction_stderr"]]
    window = settings.get("window")
    if window is not None:
        ds = plkit.spectra.crop(ds, **{settings["spectral"]: tuple(window)})
    total = ds[INTENSITY].sum(settings["spectral"])
    return total.assign_attrs(ds[INTENSITY].attrs).to_dataset(name=INTENSITY)


def _rates(traces: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    rates = settings["rates"]
    if "references" in settings:
        return plkit.fit_kinetics(traces, component=settings["falling"], rates=rates)
    return plkit.fit_kinetics(traces[INTENSITY], rates=rates)


def _kinetics(ds: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    # Shared rates are those of all pixels: blocks give their traces, which are fitted together.
    traces = _traces(ds, settings)
    return traces if settings["rates"] == "shared" else _rates(traces, settings)


def _all_kinetics(found: xr.Dataset, settings: Mapping[str, Any]) -> xr.Dataset:
    return _rates(found, settings) if settings["rates"] == "shared" else found


def _window(settings: Mapping[str, Any]) -> str:
    window = settings.get("window")
    return f", window={tuple(window)!r}" if window else ""


def _cropped(settings: Mapping[str, Any]) -> str:
    window = settings.get("window")
    return f"plkit.spectra.crop(ds, {settings['spectral']}={tuple(window)!r})" if window else "ds"


def _lines_code(settings: Mapping[str, Any]) -> str:
    model = f"plkit.models.PeaksModel({settings['shape']!r}, {settings['peaks']})"
    kept = f"[[n for n in ({INTENSITY!r}, {NOISE_GAIN!r}, {NOISE_FLOOR!r}) if n in ds]]"
    return (
        f"plkit.fit_model({_cropped(settings)}{kept}, {model}, {settings['spectral']!r}, "
        'noise="poisson")'
    )


def _kinetics_code(settings: Mapping[str, Any]) -> str:
    rates = ', rates="shared"' if settings["rates"] == "shared" else ""
    if "references" in settings:
        unmixed = f"plkit.unmix(ds, refs, background={settings['background']!r})"
        return f"plkit.fit_kinetics({unmixed}, component={settings['falling']!r}{rates})"
    total = f'{_cropped(settings)}.{INTENSITY}.sum("{settings["spectral"]}")'
    return f'plkit.fit_kinetics({total}.assign_attrs(units="counts"){rates})'


OPERATIONS: Final[dict[str, Operation]] = {
    "peaks": Operation(
        "Peaks", _peaks,
        lambda s: f"plkit.fit_peaks(ds, method={s['method']!r}{_window(s)})", _no_spectra,
        "peak_energy", ("method",),
    ),
    "lines": Operation(
        "Several peaks", _lines, _lines_code, _no_spectra, "centre_1", ("shape", "peaks"),
    ),
    "composition": Operation(
        "Composition", _composition,
        lambda s: f"plkit.composition_map(ds, calibration={s['calibration']!r}, method={s['method']!r})",
        _no_spectra, "x_iodine", ("method", "calibration"),
    ),
    "unmix": Operation(
        "Unmix", _unmix,
        lambda s: f"plkit.unmix(ds, refs, background={s['background']!r})", _no_references,
        "fraction", ("background",),
    ),
    "kinetics": Operation(
        "Kinetics", _kinetics, _kinetics_code, _no_time, "mean_rate", ("background", "rates"),
        _all_kinetics,
    ),
}  # fmt: skip
"""Whole-map fits by key; a new one is one more entry."""


def settings_of(
    kind: str, layer: Layer, state: ViewState, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything a fit depends on, taken from the state when it starts."""
    chosen = {**CHOSEN, **chosen}
    out: dict[str, Any] = {"kind": kind}
    unmixes = kind == "unmix" or (kind == "kinetics" and len(state.references) > 1)
    out.update({k: chosen[k] for k in OPERATIONS[kind].choices if k != "background" or unmixes})
    if kind in ("peaks", "lines", "kinetics") and state.band is not None and not unmixes:
        out["window"] = tuple(state.band)
    if unmixes:
        out["references"] = references_of(layer, state)
        out["falling"] = state.references[0]
    if kind in ("kinetics", "lines"):
        out["spectral"] = layer.spectral
    return out


def key_of(settings: Mapping[str, Any]) -> str:
    """Short name of a fit with its settings, in quantities, in the URL and on the page."""
    parts = [settings["kind"]]
    parts += [str(settings[k]) for k in CHOSEN if k in settings and settings[k] != "free"]
    if "references" in settings:
        parts.append("+".join(map(str, settings["references"][COMPONENT].values)))
    if settings.get("window"):
        parts.append("–".join(f"{v:.4g}" for v in settings["window"]))
    return " ".join(parts).replace("/", "∕")


# References -----------------------------------------------------------------------------------
def reference_names(layer: Layer, state: ViewState) -> list[str]:
    """What can be a reference: files that were stated, pins, regions."""
    return [*layer.references, *(e["name"] for e in (*state.pins, *state.regions))]


def reference_spectra(layer: Layer, state: ViewState) -> dict[str, Any]:
    """Spectra of the files, pins and regions that are references, by name."""
    found: dict[str, Any] = {}
    for name in state.references:
        if name in layer.references:
            found[name] = layer.references[name].ds
            continue
        for entry in state.pins:
            if entry["name"] == name:
                found[name] = spectrum_of(
                    layer, state.at, entry["row"], entry["col"], entry["half"]
                )
        for entry in state.regions:
            if entry["name"] == name:
                mask = region_mask(layer, entry)
                found[name] = spectrum_of(layer, state.at, 0, 0, mask=mask)
        if name in found:
            found[name] = found[name][[layer.variable]].drop_vars(["n_pixels"], errors="ignore")
    return found


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
            "Pin pure spots, draw regions, or start with --reference, and choose them as references.",
        )  # fmt: skip
    like = layer.ds if any(name in layer.references for name in found) else None
    return plkit.references(like=like, **found)


# Jobs -----------------------------------------------------------------------------------------
class Job(Task):
    """A whole-map fit, block after block of rows.

    Parameters
    ----------
    layer : Layer
        A map of spectra.
    settings : mapping
        From :func:`settings_of`.
    on_change : callable, optional
        Called from the thread after every block and at the end.
    """

    def __init__(
        self,
        layer: Layer,
        settings: Mapping[str, Any],
        on_change: Callable[[Any], None] = lambda _: None,
    ) -> None:
        super().__init__(lambda _: self._fit(), on_change)
        self.layer, self.settings = layer, settings

    def _fit(self) -> xr.Dataset:
        row, col = self.layer.plane
        ds = self.layer.ds
        n_rows = ds.sizes[row]
        per_row = ds.sizes[col] * int(np.prod([ds.sizes[d] for d in self.layer.outer] or [1]))
        step = max(1, min(n_rows, _SPECTRA_PER_BLOCK // max(per_row, 1)))
        run = OPERATIONS[self.settings["kind"]].run
        parts = []
        for first in range(0, n_rows, step):
            block = ds.isel({row: slice(first, first + step)}).load()
            with self.noting():
                parts.append(run(block, self.settings))
            self.step(min(first + step, n_rows), n_rows)
        whole = OPERATIONS[self.settings["kind"]].whole
        out = joined(parts, row)
        if whole is None:
            return out
        with self.noting():
            out = whole(out, self.settings)
        self.step(n_rows, n_rows)
        return out


def joined(parts: list[xr.Dataset], dim: str) -> xr.Dataset:
    """Blocks side by side along ``dim``; what does not run over it is that of the first block."""
    out = xr.concat(
        parts, dim=dim, data_vars="minimal", coords="minimal", compat="override", join="override",
        combine_attrs="override",
    )  # fmt: skip
    return out.assign_coords({dim: parts[0][dim]} if len(parts) == 1 and dim in parts[0] else {})
