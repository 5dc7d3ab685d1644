"""Files made to do harm: refused in one sentence, quickly, with nothing unpacked, executed or fetched."""

from __future__ import annotations

import io
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plkit
from plkit import names
from plkit.errors import FileFormatError, PlkitError
from plkit.io import guard

from . import io_samples as made

BOMB = (
    '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{"&" + chr(97 + n) + ";"}{"&" + chr(97 + n) + ";"}">' for n in range(24))
    + "]>\n"
)  # fmt: skip


class Harm:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.trace),))


# XML ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("name", "root"), [("a.xml", "<LSX_Tree>&y;</LSX_Tree>"), ("a.tvf", "<XmlMain>&y;</XmlMain>")]
)
def test_xml_entities_are_refused(tmp_path: Path, name: str, root: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes((BOMB + root).encode(encoding))
    reader = {".xml": "jobinyvon", ".tvf": "trivista"}[path.suffix]
    with pytest.raises(FileFormatError, match="declares a document type or entities"):
        plkit.read(path, reader=reader)


def test_xml_entities_in_a_lightfield_footer_are_refused(tmp_path: Path) -> None:
    header = bytearray(4100)
    struct.pack_into("<Q", header, 678, 4100)
    struct.pack_into("<f", header, 1992, 3.0)
    path = tmp_path / "a.spe"
    path.write_bytes(bytes(header) + (BOMB + "<SpeFormat>&y;</SpeFormat>").encode())
    with pytest.raises(FileFormatError, match="declares a document type or entities"):
        plkit.read(path)


def test_external_entity_is_not_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("500,1\n")
    path = tmp_path / "a.xml"
    path.write_text(
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]>\n<LSX_Tree>&x;</LSX_Tree>'
    )
    with pytest.raises(FileFormatError, match="declares a document type or entities"):
        plkit.read(path)


# HDF5 --------------------------------------------------------------------------------------------


def hdf5(path: Path, change: Callable[[Any], None]) -> Path:
    """A HyperSpy-like file with one change."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        file.attrs["file_format_version"] = "3.3"
        change(file)
    return path


def link_out(file: Any) -> None:
    import h5py

    file["Experiments/a"] = h5py.ExternalLink("/etc/passwd", "/x")


def store_out(file: Any) -> None:
    file.create_dataset("Experiments/a/data", (10,), "f8", external=[("/etc/hostname", 0, 80)])


def virtual(file: Any) -> None:
    import h5py

    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (10,))
    file.create_virtual_dataset("Experiments/a/data", layout)


def absurd(file: Any) -> None:
    file.create_dataset("Experiments/a/data", (10**6, 10**6, 1000), "f4", chunks=(1, 1, 1000))


def circle(file: Any) -> None:
    group = file.create_group("Experiments/a")
    group["again"] = file["Experiments"]


HDF5_CASES = {
    "link": (link_out, "'a' is a link to another file"),
    "external": (store_out, "the numbers of 'data' lie in other files"),
    "virtual": (virtual, "the numbers of 'data' lie in other files"),
    "absurd": (absurd, "'data' announces 1000000 × 1000000 × 1000 values, more than"),
    "circle": (circle, "its group 'again' holds itself"),
}


@pytest.mark.parametrize("case", HDF5_CASES)
@pytest.mark.parametrize(("suffix", "reader"), [(".hspy", "hspy"), (".h5", "delmic"), (".nc", "netcdf"), (".h5", "photonetc")])  # fmt: skip
def test_hostile_hdf5_is_refused(tmp_path: Path, case: str, suffix: str, reader: str) -> None:
    if reader in ("hspy", "delmic"):
        pytest.importorskip("rsciio")
    change, words = HDF5_CASES[case]
    path = hdf5(tmp_path / f"a{suffix}", change)
    with pytest.raises(FileFormatError, match=words):
        plkit.read(path, reader=reader)


def test_good_hdf5_passes(tmp_path: Path) -> None:
    guard.check_hdf5(made.photonetc(tmp_path / "a.h5"))

    def compressed(file: Any) -> None:
        file.create_dataset("zeros", (2000, 2000), "f8", data=np.zeros((2000, 2000)), compression=9)

    guard.check_hdf5(hdf5(tmp_path / "b.h5", compressed))


# Archives and pickles ----------------------------------------------------------------------------


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray, **header: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    )
    return stream.getvalue() + array.tobytes()


@pytest.mark.parametrize("name", ["../a.npy", "/a.npy", "b/../../a.npy", "..\\a.npy", "C:\\a.npy"])
def test_archive_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = npz(tmp_path / "a.npz", **{"intensity.npy": npy(np.arange(3.0)), name: b"x"})
    with pytest.raises(FileFormatError, match="leads out of the archive"):
        plkit.read(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz"]


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    objects = np.array([Harm(trace)], dtype=object)
    np.savez(
        tmp_path / "a.npz", intensity=objects, wavelength_nm=np.array([500.0]), allow_pickle=True
    )
    with pytest.raises(FileFormatError, match="'intensity' holds pickled Python objects"):
        plkit.read(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    with pytest.raises(FileFormatError, match="one array without axes"):
        plkit.read(tmp_path / "a.npy")
    (tmp_path / "a.dat").write_bytes(pickle.dumps(Harm(trace)))
    with pytest.raises(FileFormatError, match="it is a Python pickle, which could run a program"):
        plkit.read(tmp_path / "a.dat")
    assert not trace.exists()


def test_archive_bomb_and_absurd_shapes_are_refused(tmp_path: Path) -> None:
    zeros = npy(np.arange(1.0))[:-8] + bytes(8)
    for shape in ((10**12,), (10**6, 10**6, 10**6), (-1,), (0, 10**18)):
        path = npz(tmp_path / "a.npz", **{"intensity.npy": npy(np.zeros(1), shape=shape)})
        with pytest.raises(FileFormatError, match=r"announces the shape|header of its array"):
            plkit.read(path)
    # an archive whose directory announces 8 GB for 1000 bytes
    path = npz(tmp_path / "b.npz", **{"intensity.npy": zeros + bytes(10**6)})
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02")
    struct.pack_into("<I", raw, at + 24, 2**32 - 2)
    path.write_bytes(raw)
    with pytest.raises(FileFormatError, match="would unpack to 4294967294 bytes"):
        plkit.read(path)


# Text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", "\t", ";", " "])
def test_text_of_ten_million_columns_is_refused(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(("1" + mark) * 10**7)
    with pytest.raises(FileFormatError, match="line 1 has more than 100000 columns"):
        plkit.read(path)


def test_label_of_ten_million_columns_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a," * 10**7 + "\n500,1\n501,2\n")
    with pytest.raises(FileFormatError, match="unit of the spectral axis is stated neither"):
        plkit.read(path)


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "a.yml"
    path.write_text(f"DATA:\n  - type: !!python/object/apply:os.mkdir ['{trace}']\n")
    with pytest.raises(FileFormatError, match="it is not YAML"):
        plkit.read(path)
    assert not trace.exists()
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    path.write_text(bomb + "DATA:\n  - type: *j\n")
    with pytest.raises(FileFormatError, match="aliases"):
        plkit.read(path)


# Headers that promise more than the file holds -----------------------------------------------------


def test_sif_header_that_announces_too_much(test_data: Path, tmp_path: Path) -> None:
    raw = (test_data / "sif_parser_tests/issue33/measurement.sif").read_bytes()
    changed, count = re.subn(rb"(65541 [^\n]*) 20 (1 20480)", rb"\1 999999999 \2", raw, count=1)
    assert count == 1
    path = tmp_path / "a.sif"
    path.write_bytes(changed)
    with pytest.raises(FileFormatError, match=r"Cannot read 'a\.sif'"):
        plkit.read(path)


def test_winspec_header_that_announces_too_much(tmp_path: Path) -> None:
    raw = bytearray(made.winspec(made.counts(1, 1, 4).astype("<u2")))
    struct.pack_into("<i", raw, 1446, 2**31 - 1)
    path = tmp_path / "a.spe"
    path.write_bytes(raw)
    with pytest.raises(FileFormatError, match=r"announces 2147483647 frames .* more than its"):
        plkit.read(path)


def test_zarr_store_that_announces_too_much(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    ds = plkit.read(made.npz_file(tmp_path))
    store = plkit.write(ds, tmp_path / "a.zarr")
    meta = store / names.INTENSITY / "zarr.json"
    text = meta.read_text()
    assert '"shape":' in text
    import json

    content = json.loads(text)
    content["shape"] = [10**6, 10**6, 4]
    meta.write_text(json.dumps(content))
    with pytest.raises(PlkitError, match="announces 1000000 × 1000000 × 4 values"):
        plkit.read(store)


def test_no_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Wavelength (nm),Intensity (counts)\n500,1\n501,2\n")

    def full(path: Path, **options: Any) -> Any:
        raise MemoryError

    from dataclasses import replace

    from plkit.io import reading, registry

    chosen = replace(registry.get_reader("table"), read=full)
    monkeypatch.setattr(reading, "detect", lambda path: chosen)
    with pytest.raises(FileFormatError, match="need more memory than this machine has"):
        plkit.read(path)
