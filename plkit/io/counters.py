"""Binary files of photon counters: PicoQuant .ptu through ptufile, Becker & Hickl .sdt through sdtfile."""

from __future__ import annotations

import contextlib
import logging
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from plkit import names
from plkit.errors import PlkitWarning
from plkit.io.common import ask, file_error, metadata_json, users_level
from plkit.io.decays import Decays, decays_to_dataset
from plkit.io.guard import FREE_BYTES, MOST_PER_BYTE
from plkit.io.registry import Reader

__all__ = ["READERS", "read_ptu", "read_sdt"]

_NS = names.unit(names.DELAY)
# An image of lifetimes holds many empty bins: so many bytes in memory may stand for one of the
# file, and this many are free.
_SPARSE, _FREE_IMAGE = 1000, 2 * 2**30

# What the tags of an image can be: markers are bits of a record, the rest are sizes.
_MOST_IN_TAGS = {
    "ImgHdr_LineStart": 16, "ImgHdr_LineStop": 16, "ImgHdr_Frame": 16, "ImgHdr_MaxFrames": 2**31,
    "ImgHdr_PixX": 2**16, "ImgHdr_PixY": 2**16, "HW_InpChannels": 256, "MeasDesc_BinningFactor": 2**20,
}  # fmt: skip


def read_ptu(
    path: Path, *, channel: int | None = None, pixel_um: float | None = None
) -> xr.Dataset:
    """Read a PicoQuant ``.ptu`` of time-tagged photons (T3): the decay, or one per pixel of an image.

    Parameters
    ----------
    path : path
        The file.
    channel : int, optional
        Detector, where several counted.
    pixel_um : float, optional
        Size of a pixel [µm], where the file does not say it.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay), or (delay, y, x) of an image, whose frames are added [counts]; ``noise_gain``
        [counts], ``exposure_time`` [s]. Attributes ``bin_width_ns``, ``repetition_rate_hz``.

    Raises
    ------
    FileFormatError
        If the file holds T2 records (no delay), is truncated within its only frame, several detectors
        counted and none is named, or the size of a pixel is not known.
    MissingExtraError
        If ptufile is not installed.

    Warns
    -----
    PlkitWarning
        If the file breaks off: the photons of whole frames, or of the time until then, are kept.
    """
    import ptufile

    path = Path(path)
    with _quiet("ptufile"), path.open("rb") as handle, ptufile.PtuFile(handle) as file:
        if not file.is_t3:
            raise file_error(
                path, "it holds T2 records, times without a delay",
                "Measure in T3 mode, or export the histogram.",
            )  # fmt: skip
        _check_markers(path, file.tags)
        return _ptu_dataset(path, file, channel, pixel_um)


def _check_markers(path: Path, tags: dict[str, Any]) -> None:
    """Refuse absurd markers and sizes of images: ptufile would count with them for ever."""
    for name, most in _MOST_IN_TAGS.items():
        value = tags.get(name, 0)
        if not isinstance(value, int) or not 0 <= value <= most:
            raise file_error(
                path, f"its header says {name} = {str(value)[:30]}, not 0 to {most} (damaged)",
                "Copy it again from the instrument.",
            )  # fmt: skip


@contextlib.contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library's logger still: what it finds is said by plkit's errors and warnings."""
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


def _ptu_dataset(path: Path, file: Any, channel: int | None, pixel_um: float | None) -> xr.Dataset:
    announced = int(file.tags.get("TTResult_NumberOfRecords", 0))
    held = (path.stat().st_size - int(file.record_offset)) // 4
    channels = [int(c) for c in file.active_channels]
    if not channels or held == 0:
        raise file_error(path, "it holds no photon", "Copy it again from the instrument.")
    if channel is None and len(channels) > 1:
        raise ask(
            path,
            f"which of the detectors {', '.join(map(str, channels))} is wanted",
            f"channel={channels[0]}",
        )
    chosen = channels[0] if channel is None else channel
    if chosen not in channels:
        raise file_error(path, f"channel is {chosen}, not one of {', '.join(map(str, channels))}")
    n_bins = max(int(file.number_bins), int(file.number_bins_in_period))
    width_ns = float(file.tcspc_resolution) * 1e9
    if (
        not 1e-6 <= width_ns <= 1e9
        or not 0 < n_bins <= 2**24
        or not 0 < float(file.syncrate) < 1e12
    ):
        raise file_error(
            path, f"its header announces {n_bins} bins of {width_ns:g} ns at {file.syncrate} pulses/s (damaged)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    cut = held < announced
    attrs: dict[str, Any] = {
        "instrument": f"PicoQuant {file.tags.get('HW_Type', '')}".strip(),
        "acquired": str(file.tags.get("File_CreatingTime", "")),
        "bin_width_ns": float(f"{width_ns:.9g}"),
        "repetition_rate_hz": float(file.syncrate),
        "channel": chosen,
    }
    delay = np.arange(n_bins, dtype=np.float64) * width_ns
    if file.is_image and len(file.shape) == 5 and file.shape[1] * file.shape[2] > 1:
        counts, coords, exposure = _ptu_image(
            path, file, channels.index(chosen), n_bins, cut, pixel_um
        )
    else:
        counts = file.decode_histogram(dtype=np.uint32, dtime=n_bins)[channels.index(chosen)]
        coords, exposure = {}, float(file.acquisition_time)
    if cut:
        _warn_of_cut(path, held, announced, image=bool(coords))
    flat = counts.reshape(-1, counts.shape[-1]).T.astype(np.int32)
    ds = decays_to_dataset(path, Decays(delay[: len(flat)], _NS, flat, attrs, file.tags, exposure))
    if not coords:
        return ds
    image = ds[names.INTENSITY].values.reshape(-1, *counts.shape[:-1])
    attrs = ds[names.INTENSITY].attrs
    ds = ds.drop_vars([names.INTENSITY, names.POINT], errors="ignore")
    return ds.assign(
        {names.INTENSITY: ((names.DELAY, names.Y, names.X), image, attrs)}
    ).assign_coords(coords)


def _ptu_image(
    path: Path, file: Any, index: int, n_bins: int, cut: bool, pixel_um: float | None
) -> tuple[npt.NDArray[Any], dict[str, Any], float]:
    """(y, x, bins) of all frames together, the axes, and the time per pixel [s]."""
    frames, height, width = (int(n) for n in file.shape[:3])
    if cut and frames < 2:
        raise file_error(
            path, "it breaks off within its only frame, whose missing lines would read as dark (truncated)",
            "Copy it again from the instrument.",
        )  # fmt: skip
    needed = height * width * n_bins * 4
    if needed > _FREE_IMAGE + _SPARSE * path.stat().st_size:
        raise file_error(
            path,
            f"its image of {height} × {width} pixels and {n_bins} bins is larger than its photons can fill",
        )
    step = pixel_um if pixel_um is not None else float(file.tags.get("ImgHdr_PixResol", 0.0))
    if not step > 0:
        raise ask(path, "the size of a pixel", "pixel_um=0.5")
    whole = frames - 1 if cut else frames
    image = sum(
        file.decode_image(frame=n, dtype=np.uint32, dtime=n_bins, keepdims=False)[:, :, index].astype(np.int64)
        for n in range(whole)
    )  # fmt: skip
    coords = {
        names.Y: (names.Y, np.arange(height) * step, names.attrs(names.Y)),
        names.X: (names.X, np.arange(width) * step, names.attrs(names.X)),
    }
    return np.asarray(image), coords, float(file.pixel_time) * whole


def _warn_of_cut(path: Path, held: int, announced: int, *, image: bool) -> None:
    kept = "its last frame is left out" if image else "the decay is that of the photons until then"
    warnings.warn(
        f"'{path.name}' holds {held} of {announced} records: the measurement was interrupted or the copy cut; {kept}.",
        PlkitWarning,
        stacklevel=users_level(),
    )


# Becker & Hickl -----------------------------------------------------------------------------------


def read_sdt(path: Path, *, block: int | None = None, pixel_um: float | None = None) -> xr.Dataset:
    """Read a Becker & Hickl ``.sdt``: decays, or an image with a decay per pixel.

    Parameters
    ----------
    path : path
        The file.
    block : int, optional
        Which data block, counting from 0, where there are several images.
    pixel_um : float, optional
        Size of a pixel of an image [µm]: the file does not say it.

    Returns
    -------
    xarray.Dataset
        ``intensity`` (delay), (delay, point) of several curves, or (delay, y, x) [counts]; ``noise_gain``
        [counts], ``exposure_time`` [s], the collection time.

    Raises
    ------
    FileFormatError
        If the file is truncated or damaged, or an option is needed.
    MissingExtraError
        If sdtfile is not installed.
    """
    import sdtfile

    path = Path(path)
    _check_blocks(path)
    with warnings.catch_warnings(), _quiet("sdtfile"):
        warnings.simplefilter("ignore")
        with path.open("rb") as handle, sdtfile.SdtFile(handle) as file:
            blocks = [np.asarray(d) for d in file.data]
            times = [np.asarray(t, dtype=np.float64) for t in file.times]
            first = file.measure_info[0]
            exposure = float(np.ravel(first.col_t)[0])
            attrs: dict[str, Any] = {
                "instrument": f"Becker & Hickl {np.ravel(first.mod_type)[0].decode('latin-1')}".strip(),
                "acquired": f"{getattr(file.info, 'date', '')} {getattr(file.info, names.TIME, '')}".strip(),
                "title": str(getattr(file.info, "title", "")),
            }
            notes = {"info": str(file.info)}
    if not blocks:
        raise file_error(path, "it holds no data block", "Copy it again from the instrument.")
    if block is not None and not 0 <= block < len(blocks):
        raise file_error(path, f"block is {block}, not 0 to {len(blocks) - 1}")
    kept = list(range(len(blocks))) if block is None else [block]
    images = [
        n for n in kept if blocks[n].ndim == 3 and blocks[n].shape[0] * blocks[n].shape[1] > 1
    ]
    if images and len(kept) > 1:
        raise ask(path, f"which of its {len(kept)} data blocks is wanted", "block=0")
    axis = times[kept[0]] * 1e9
    if any(len(times[n]) != len(axis) or not np.allclose(times[n] * 1e9, axis) for n in kept):
        raise ask(
            path,
            f"which of its {len(kept)} data blocks, whose time axes differ, is wanted",
            "block=0",
        )
    curves = np.concatenate([blocks[n].reshape(-1, blocks[n].shape[-1]) for n in kept])
    decays = Decays(
        axis, _NS, curves.T.astype(np.int32), attrs, notes, exposure if exposure > 0 else None
    )
    ds = decays_to_dataset(path, decays)
    if metadata := notes.get("info"):
        ds.attrs["metadata"] = metadata_json({"info": metadata})
    if not images:
        return ds
    if pixel_um is None:
        raise ask(path, "the size of a pixel", "pixel_um=0.5")
    height, width = blocks[images[0]].shape[:2]
    image = ds[names.INTENSITY].values.reshape(-1, height, width)
    counts_attrs = ds[names.INTENSITY].attrs
    ds = ds.drop_vars([names.INTENSITY, names.POINT])
    return ds.assign(
        {names.INTENSITY: ((names.DELAY, names.Y, names.X), image, counts_attrs)}
    ).assign_coords(
        {
            names.Y: (names.Y, np.arange(height) * pixel_um, names.attrs(names.Y)),
            names.X: (names.X, np.arange(width) * pixel_um, names.attrs(names.X)),
        }
    )


# The file header and that of a block, as Becker & Hickl document them.
_FILE = struct.Struct("<hihiHihIihhHIHH")
_BLOCK = struct.Struct("<hIIHhII")
_COMPRESSED = 0x1000


def _check_blocks(path: Path) -> None:
    """Refuse blocks that do not lie within the file, or that would unpack to more than they hold."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(_FILE.size)
        if len(head) < _FILE.size:
            raise file_error(
                path, f"it ends after {size} bytes, inside its header (truncated)", "Copy it again."
            )
        fields = _FILE.unpack(head)
        at, count = fields[5], fields[6] if fields[6] != 0x7FFF else fields[12]
        if not 0 <= count * _BLOCK.size <= size:
            raise file_error(
                path, f"its header announces {count} data blocks, more than its {size} bytes hold"
            )
        for number in range(count):
            handle.seek(max(at, 0))
            raw = handle.read(_BLOCK.size)
            if len(raw) < _BLOCK.size or at <= 0:
                raise file_error(
                    path,
                    f"it ends before its data block {number} of {count} (truncated)",
                    "Copy it again.",
                )
            _, begin, following, kind, _, _, length = _BLOCK.unpack(raw)
            held = min(following if following > begin else size, size) - begin
            limit = (
                FREE_BYTES + MOST_PER_BYTE * max(held, 0) if kind & _COMPRESSED else size - begin
            )
            if begin > size or length > limit:
                raise file_error(
                    path, f"its data block {number} announces {length} bytes, more than the file holds (truncated)",
                    "Copy it again from the instrument.",
                )  # fmt: skip
            at = following


READERS = (
    Reader(
        name="ptu",
        title="PicoQuant .ptu",
        suffixes=(".ptu",),
        sniff=lambda path, head: head.startswith(b"PQTTTR\0\0"),  # noqa: ARG005
        read=read_ptu,
        options=("channel", "pixel_um"),
        extra="io",
    ),
    Reader(
        name="sdt",
        title="Becker & Hickl .sdt",
        suffixes=(".sdt",),
        sniff=lambda path, head: (  # noqa: ARG005
            len(head) >= _FILE.size
            and _FILE.unpack_from(head)[14] == 0x55AA
            and b"*IDENTIFICATION" in head
        ),
        read=read_sdt,
        options=("block", "pixel_um"),
        extra="io",
    ),
)
