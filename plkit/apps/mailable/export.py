"""The door: a file, a dataset or the results of a study → one HTML file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from plkit import schema
from plkit.apps.mailable.about import about_file, about_study
from plkit.apps.mailable.binning import Bins, bins_for, sizes_of
from plkit.apps.mailable.content import content_of
from plkit.apps.mailable.document import Frame, new_frame, page_text
from plkit.apps.mailable.packing import Blocks
from plkit.apps.mailable.study_fits import fits_of, readings_per_frame
from plkit.apps.view.layers import Layer, layer_of, open_layers, results_file
from plkit.apps.view.results import Results
from plkit.errors import DataError, FileFormatError, PlkitWarning
from plkit.names import TIME

__all__ = ["export_html"]

_MEGABYTE: Final = 1e6
_SAMPLE_VALUES: Final = 2**20
_TRIES: Final = 6
_GROUPS: Final = {"spectra": "raw", "recovery": "recovery_raw"}


@dataclass(frozen=True)
class _Source:
    """What is exported, with what is said about it."""

    layers: tuple[Layer, ...]
    title: str
    name: str
    digest: str
    results: Results | None = None


def export_html(
    source: str | Path | xr.Dataset,
    path: str | Path,
    *,
    maps: Mapping[str, xr.Dataset] | None = None,
    title: str = "",
    max_mb: float = 10.0,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> Path:
    """Write a map, a series of spectra or the results of a study as one HTML file that can be mailed.

    The file needs no server and no network: it asks for nothing. A click shows the spectrum and the
    trace of a pixel, as on the page of ``plkit view``.

    Parameters
    ----------
    source : str, pathlib.Path or xarray.Dataset
        Any file that plkit reads, ``results.nc`` of a study or its folder; or a dataset with
        spectra (…, y, x, λ), with spectra over time (time, λ), or with maps of results (y, x).
    path : str or pathlib.Path
        The file to write, ``.html``.
    maps : mapping of str to xarray.Dataset, optional
        Results on the plane of the spectra, for instance of :func:`plkit.fit_peaks`, by the name
        that is shown beside theirs.
    title : str, optional
        Heading; the name of the file, or the title of the study, by default.
    max_mb : float, optional
        Largest size of the file [MB]. Spectra that do not fit are averaged over neighbouring
        pixels, channels or frames, which a warning and the page say.
    overwrite : bool, optional
        Whether a file may be replaced.
    progress : bool, optional
        Whether to show a bar on standard error.
    **options
        As for :func:`plkit.read`, where the file does not say all.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If there is neither a map nor a series of spectra, no number in it, or no way to make it
        small enough.
    FileFormatError
        If the source cannot be read, or the target exists.

    Warns
    -----
    PlkitWarning
        If spectra were averaged to fit.

    Notes
    -----
    Readings are rounded to steps of half a σ of one reading (at most σ/4 off), which adds 2 % to
    the variance, where the noise model is known; to half of the scatter from channel to channel
    elsewhere. The page says how exact its numbers are. Maps of results keep five digits.

    Examples
    --------
    >>> import tempfile, numpy as np, xarray as xr
    >>> axes = {"y": ("y", [0.0, 0.5], {"units": "um"}), "x": ("x", [0.0, 0.5], {"units": "um"}),
    ...         "wavelength": ("wavelength", np.linspace(500.0, 600.0, 64), {"units": "nm"})}
    >>> counts = np.arange(2 * 2 * 64.0).reshape(2, 2, 64)
    >>> ds = xr.Dataset({"intensity": (("y", "x", "wavelength"), counts, {"units": "counts"})}, axes)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = export_html(ds, f"{folder}/map.html", title="Four pixels")
    ...     "<h1>Four pixels</h1>" in file.read_text("utf-8"), file.stat().st_size < 700_000
    (True, True)
    """
    target = Path(path)
    _check_target(source, target, overwrite)
    found = _opened(source, options)
    if maps:
        found = replace(found, layers=_with_maps(found.layers, maps))
    with _bar(progress) as tell:
        text, binned = _made(found, dict(maps or {}), title or found.title, max_mb, tell)
    for line in binned:
        warnings.warn(line, PlkitWarning, stacklevel=2)
    _write(text, target)
    return target


# Source and target ----------------------------------------------------------------------------
def _check_target(source: Any, target: Path, overwrite: bool) -> None:
    action = f"export {target.name} as HTML"
    if target.suffix.lower() not in (".html", ".htm"):
        raise FileFormatError(action, f"'{target}' does not end in .html", "Name an HTML file.")
    if target.is_dir():
        raise FileFormatError(action, f"'{target}' is a folder, not a file")
    if not isinstance(source, xr.Dataset):
        origin = Path(source)
        if target.exists() and origin.exists() and target.samefile(origin):
            raise FileFormatError(action, f"'{target}' is the input itself", "Name another file.")
    if target.exists() and not overwrite:
        raise FileFormatError(
            action, f"'{target}' exists, not a new file",
            "Give overwrite=True (--force on the command line) to replace it.",
        )  # fmt: skip


def _opened(source: str | Path | xr.Dataset, options: dict[str, Any]) -> _Source:
    if isinstance(source, xr.Dataset):
        name = str(source.attrs.get("source_file", "")) or "data"
        layer = layer_of(name, schema.conform(source), "")
        _require_plane(layer)
        digest = str(source.attrs.get("source_sha256", "")) or "not read from a file"
        return _Source((layer,), name, name, digest)
    from plkit.study.provenance import file_sha256

    where = Path(source)
    reader = options.pop("reader", None)
    layers = open_layers(where, reader=reader, options=options)
    for layer in layers:
        _require_plane(layer)
    tree = results_file(where) if reader is None and not options else None
    if tree is None:
        return _Source(layers, where.name, where.name, file_sha256(where))
    results = Results(tree)
    title = str(results.tree.attrs.get("title", "")) or tree.name
    return _Source(layers, title, tree.name, file_sha256(tree), results)


def _require_plane(layer: Layer) -> None:
    if not layer.plane:
        raise DataError(
            f"export '{layer.name}' as HTML",
            "it holds a single spectrum or trace, not a map or a series",
            "Draw it with plkit.plot, or write it as CSV: plkit convert.",
        )


def _with_maps(layers: tuple[Layer, ...], maps: Mapping[str, xr.Dataset]) -> tuple[Layer, ...]:
    first = layers[0]
    for name, ds in maps.items():
        action = f"show the maps '{name}'"
        if not first.is_map:
            raise DataError(
                action, f"'{first.name}' holds no map, but spectra over {first.plane[0]}"
            )
        wrong = [d for d in first.plane if ds.sizes.get(d) != first.ds.sizes[d]]
        if wrong:
            sizes = {d: int(ds.sizes.get(d, 0)) for d in first.plane}
            raise DataError(
                action, f"they run over {sizes}, not over the pixels of '{first.name}'",
                "Make them from the same spectra.",
            )  # fmt: skip
    return layers


def _write(text: str, target: Path) -> None:
    """All of it or nothing: a file that was cut off would open, and not work."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.write_text(text, "utf-8")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


# Size -----------------------------------------------------------------------------------------
def _made(
    source: _Source, maps: dict[str, xr.Dataset], title: str, max_mb: float,
    tell: Callable[[float], None],
) -> tuple[str, list[str]]:  # fmt: skip
    """Page no larger than asked for, and what had to be averaged for it."""
    limit = max_mb * _MEGABYTE
    frame = new_frame()
    shares = {n: _bytes_per_value(a) for n, a in enumerate(source.layers) if a.has_spectra}
    fixed = _page_of(source, maps, title, {}, frame, lambda _: None, spectra=False)[0]
    room = limit - len(fixed.encode())
    full = sum(shares[n] * _values(source.layers[n], Bins()) for n in shares)
    share = 1.0 if full <= 0 else min(1.0, max(room, 0.0) / full)
    for _ in range(_TRIES):
        if room <= 0:
            break
        bins = {
            n: bins_for(source.layers[n], share * _values(source.layers[n], Bins())) for n in shares
        }
        text, said = _page_of(source, maps, title, bins, frame, tell)
        size = len(text.encode())
        if size <= limit:
            return text, said
        share *= 0.95 * min(1.0, max(room, 1.0) / max(size - (limit - room), 1.0))
    least = len(fixed.encode()) / _MEGABYTE
    raise DataError(
        f"export '{source.name}' as HTML",
        f"the file would be larger than {max_mb:g} MB (without spectra it takes {least:.1f} MB)",
        "Allow more: max_mb=… (--max-mb on the command line).",
    )


def _values(layer: Layer, bins: Bins) -> float:
    return float(np.prod([float(n) for n in sizes_of(layer, bins).values()]))


def _bytes_per_value(layer: Layer) -> float:
    """Size of a reading in the page, from some rows in the middle of the plane."""
    row = layer.plane[0]
    rows = layer.ds.sizes[row]
    kept = int(max(1, min(rows, _SAMPLE_VALUES * rows // max(_values(layer, Bins()), 1))))
    start = (rows - kept) // 2
    sample = replace(layer, ds=layer.ds.isel({row: slice(start, start + kept)}))
    blocks = Blocks()
    try:
        content_of(replace(sample, quantities=()), {}, Bins(), blocks, prefix="")
    except DataError:  # no number in the middle: the whole will tell
        return 1.0
    return len(blocks.texts["s"]) / _values(sample, Bins())


def _page_of(
    source: _Source, maps: dict[str, xr.Dataset], title: str, bins: Mapping[int, Bins],
    frame: Frame, tell: Callable[[float], None], *, spectra: bool = True,
) -> tuple[str, list[str]]:  # fmt: skip
    """Text of the page, and what was averaged; without spectra, to know what the rest takes."""
    blocks, headers, notes, binned = Blocks(), [], [], []
    n_layers = len(source.layers)
    for n, layer in enumerate(source.layers):
        if layer.has_spectra and not spectra:
            if not layer.is_map:
                continue
            layer = replace(layer, variable="", spectral="")
            layer = replace(
                layer, quantities=tuple(q for q in layer.quantities if q not in ("band", "slice"))
            )
            if not layer.quantities and not maps:
                continue
        content = content_of(
            layer, maps if n == 0 else {}, bins.get(n, Bins()), blocks, prefix=f"{n}-",
            averaged_before=_averaged_before(source.results, layer),
            tell=partial(_tell_part, tell, n, n_layers),
        )  # fmt: skip
        fits = _fits(source.results, layer, bins.get(n, Bins())) if layer.has_spectra else None
        if fits is not None:
            content.header["fits"] = blocks.add_bytes(f"{n}-fits", _json(fits))
        headers.append(content.header)
        notes += content.precision
        binned += [line for line in content.precision if "averaged to fit" in line]
    if source.results is not None:
        about = about_study(source.results, source.layers, source.digest, notes)
    else:
        about = about_file(source.layers[0], source.name, source.digest, notes)
    return page_text(title, about, headers, blocks, frame), binned


def _tell_part(tell: Callable[[float], None], n: int, of: int, share: float) -> None:
    tell((n + share) / of)


def _json(data: Any) -> bytes:
    import json

    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


# Studies --------------------------------------------------------------------------------------
def _place(layer: Layer) -> tuple[str, str] | None:
    """Sample and group of spectra of a study."""
    sample, _, kind = layer.name.rpartition(" ")
    return (sample, _GROUPS[kind]) if kind in _GROUPS else None


def _averaged_before(results: Results | None, layer: Layer) -> float:
    found = _place(layer) if results is not None else None
    return 1.0 if found is None or results is None else readings_per_frame(results, *found)


def _fits(results: Results | None, layer: Layer, bins: Bins) -> dict[str, Any] | None:
    """Fits of a series; none where its frames or channels are no longer those that were fitted."""
    found = _place(layer) if results is not None else None
    if found is None or results is None or layer.plane[:1] != (TIME,):
        return None
    fits = fits_of(results, *found, layer)
    if fits is not None and not bins.is_none:
        fits["components"] = []
    return fits


class _bar:  # noqa: N801
    """Progress on standard error; silent where it is not wanted."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def __enter__(self) -> Callable[[float], None]:
        from tqdm import tqdm

        self.bar = tqdm(total=100, unit="%", desc="export", disable=not self.shown, leave=False)

        def tell(share: float) -> None:
            self.bar.update(max(0, round(100 * share) - self.bar.n))

        return tell

    def __exit__(self, *_: object) -> None:
        self.bar.close()
