"""Samples: pinned files of open licence, and the bundled study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import plkit
from plkit import samples
from plkit.errors import DataError, FileFormatError
from plkit.io.common import sha256_of

OPEN = {"Apache-2.0", "MIT", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0"}


def test_every_sample_is_open_and_pinned() -> None:
    for name, sample in samples.SAMPLES.items():
        assert sample.licence in OPEN, name
        assert re.fullmatch(r"[0-9a-f]{40}", sample.commit), name
        assert re.fullmatch(r"[0-9a-f]{64}", sample.sha256), name
        assert sample.url.startswith("https://raw.githubusercontent.com/")
        assert " " not in sample.url
        assert sample.commit in sample.url
    assert len({s.sha256 for s in samples.SAMPLES.values()}) == len(samples.SAMPLES)
    formats = {"abspl", "trpl", "nk", "sif", "spe", "wdf", "eels", "text", "band"}
    assert {name.split("-")[0] for name in samples.SAMPLES} == formats


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_sample_is_the_pinned_file(name: str, test_data: Path) -> None:
    path = samples.fetch(name)
    assert path.is_relative_to(test_data)
    assert sha256_of(path) == samples.SAMPLES[name].sha256


@pytest.mark.parametrize(
    "name", [n for n in samples.SAMPLES if n.split("-")[0] in ("abspl", "nk", "sif", "spe")]
)
def test_spectra_among_the_samples_are_readable(name: str, test_data: Path) -> None:
    options: dict[str, Any] = {}
    if name == "sif-spectrum-export":
        options["wavelength_unit"] = "nm"
    if name == "spe-image":
        options["rows"] = "sum"
    ds = plkit.read(samples.fetch(name), **options)
    assert ds.attrs["source_sha256"] == samples.SAMPLES[name].sha256
    assert ds.sizes["wavelength"] > 200


def test_files_of_vendors_among_the_samples_are_readable(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    for name, dim, size in (
        ("wdf-spectrum", "raman_shift", 1015),
        ("wdf-line", "raman_shift", 1015),
        ("eels-srtio3", "energy_loss", 2048),
    ):
        assert plkit.read(samples.fetch(name)).sizes[dim] == size, name


def test_unknown_sample() -> None:
    with pytest.raises(
        DataError, match=r"the sample is 'gold', not one of abspl-gaas, abspl-wide-gap"
    ):
        samples.fetch("gold")


def test_stand_in_folder_without_the_file_or_with_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLKIT_TEST_DATA", str(tmp_path))
    with pytest.raises(
        FileFormatError, match=r"PLKIT_TEST_DATA has no file 'hzb_hysprint/100_40-1.abspl.txt'"
    ):
        samples.fetch("abspl-film")
    path = tmp_path / samples.SAMPLES["abspl-film"].local
    path.parent.mkdir()
    path.write_text("another content")
    with pytest.raises(FileFormatError, match=r"the SHA-256 of .* is .*, not dc03b7df"):
        samples.fetch("abspl-film")


def test_download_asks_pooch_for_the_pinned_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pooch

    monkeypatch.delenv("PLKIT_TEST_DATA", raising=False)
    asked: dict[str, Any] = {}

    def retrieve(url: str, **options: Any) -> str:
        asked.update(url=url, **options)
        return str(tmp_path / "file")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert samples.fetch("nk-cspbbr3") == tmp_path / "file"
    assert asked["url"].endswith("/database/data/other/perovskite/CsPbBr3/nk/Brennan.yml")
    assert (
        asked["known_hash"]
        == "sha256:0984dc2812232c6b259a61cc0d898252412f97f693ba95984dcd213c40ce6ef6"
    )

    def fail(url: str, **options: Any) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(
        FileFormatError, match=r"could not be had \(no route to host\)\. Check the network"
    ):
        samples.fetch("nk-cspbbr3")


def test_study_lies_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "plkit" / "samples.py"
    monkeypatch.setattr(samples, "__file__", str(home))
    with pytest.raises(
        FileFormatError, match=r"installed plkit comes without it\. Make it: plkit simulate study"
    ):
        samples.study()
    study = tmp_path / "data-samples" / "study"
    study.mkdir(parents=True)
    (study / "study.toml").write_text("")
    assert samples.study() == study
    assert samples.study("study.toml") == study / "study.toml"
    with pytest.raises(
        FileFormatError, match=r"Cannot find 'map.nc' because the bundled study holds study.toml"
    ):
        samples.study("map.nc")
