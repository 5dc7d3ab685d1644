"""Sample data: the bundled study, and openly licensed files of real instruments.

The files are fetched from their authors' public repositories at a fixed commit and checked by SHA-256;
none of them is part of plkit. Cite their authors.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from plkit.errors import DataError, FileFormatError

__all__ = ["SAMPLES", "Sample", "fetch", "study"]

_STUDY = "study"


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of a public repository.

    Parameters
    ----------
    repository : str
        ``owner/name`` on GitHub.
    commit : str
        40 hexadecimal digits.
    path : str
        Of the file in the repository.
    local : str
        Of the file in a folder of test data.
    sha256 : str
        Of its content.
    licence : str
        As its repository states it.
    what : str
        What was measured.
    """

    repository: str
    commit: str
    path: str
    local: str
    sha256: str
    licence: str
    what: str

    @property
    def url(self) -> str:
        """Address of the file at its commit."""
        return (
            f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{quote(self.path)}"
        )


def _hysprint(file: str, sha256: str, what: str) -> Sample:
    return Sample(
        "nomad-hzb/nomad-hysprint", "b79bea413bead128bc8e4a5da3fd283121ec2142",
        f"tests/data/{file}", f"hzb_hysprint/{file}", sha256, "Apache-2.0", what,
    )  # fmt: skip


def _trpl(file: str, sha256: str, what: str) -> Sample:
    return Sample(
        "manuelkoberczerny/fitting_TRPL_data", "1960f5e40fd7738a8f3bcd18f337558d41091952",
        f"Stretched_Exponential/Example_Data/{file}", f"kober-czerny_TRPL/{file}", sha256, "MIT", what,
    )  # fmt: skip


def _power_series(file: str, sha256: str, what: str) -> Sample:
    return Sample(
        "MaxGrossmann/TRPL", "fff2c30122ec387a00f81c34b603e01f9c8c949b",
        f"Data/Real/{file}", f"grossmann_TRPL_ISE/Data/Real/{file}", sha256, "MIT", what,
    )  # fmt: skip


def _nk(file: str, sha256: str, what: str) -> Sample:
    path = f"database/data/other/perovskite/{file}"
    return Sample(
        "polyanskiy/refractiveindex.info-database", "ff11b5897ef0754b15d939d921eb6c745693cbd1",
        path, f"refractiveindex_perovskite/{path}", sha256, "CC0-1.0", what,
    )  # fmt: skip


def _sif(path: str, local: str, sha256: str, what: str) -> Sample:
    return Sample(
        "fujiisoup/sif_parser", "8362a4844d7521c8cbd889ff80694332281ed1d8",
        f"testings/{path}", f"sif_parser_tests/{local}", sha256, "BSD-3-Clause", what,
    )  # fmt: skip


def _spe(file: str, sha256: str, what: str) -> Sample:
    return Sample(
        "ashirsch/spe2py", "cf5534bb997774e5edf2fa4f7385214ea835cd8b",
        f"tests/test_files/{file}", f"spe2py_tests/{file}", sha256, "MIT", what,
    )  # fmt: skip


def _raft(file: str, sha256: str, what: str) -> Sample:
    path = f"resources/test_files/{file}"
    return Sample(
        "Emmanuelpean/raft", "a882923a49f38de825eff146e52342ab07bde7f8",
        path, f"raft_instrument_files/{path}", sha256, "MIT", what,
    )  # fmt: skip


def _wright(file: str, sha256: str, what: str) -> Sample:
    return Sample(
        "wright-group/WrightTools", "ed26904775a99fea609d70a3e6997d7cf0ecb573",
        f"WrightTools/datasets/{file}", f"wrighttools/{file}", sha256, "MIT", what,
    )  # fmt: skip


SAMPLES: Final[dict[str, Sample]] = {
    "abspl-gaas": _hysprint(
        "GaAs5_Large_Spot_center.abspl.txt",
        "cb10019b35da5c1e195e0b4458647e318e2620d8845e70c5222cae9a6dbcecf3",
        "absolute PL of GaAs, band gap 1.424 eV",
    ),
    "abspl-wide-gap": _hysprint(
        "0_1_0-ecf314iynbrwtd33zkk5auyebh.abspl.txt",
        "12ee3447c450183cc923798f6c0a96fbda9926e9651a99ded0ad961aadfae8da",
        "absolute PL of a halide perovskite, band gap 2.095 eV",
    ),
    "abspl-film": _hysprint(
        "100_40-1.abspl.txt",
        "dc03b7df73520d1c359fae2afc0ba2dfecff36bc81d073605edc95c86416df2e",
        "absolute PL of a halide perovskite, band gap 1.671 eV",
    ),
    "trpl-fapi": _hysprint(
        "M0-FAPI3Q6-Spot2_5400s_10kHz_ND1_210cps_0.0209011uW.trpl.dat",
        "da690bd1e7d1adea52ac08c3c1d3014c7c4a5bcfe24b15b99438de62de506d50",
        "time-resolved PL of FAPbI3, 32768 bins of 1 ns",
    ),
    "trpl-silicon": _hysprint(
        "07-Si6505_10kHz-ND1-0.40uW-300s.trpl.dat",
        "6ccee43fc1042288c0a900fb78e110fab29cf3afcbf19599b818046f4f2f5aea",
        "time-resolved PL, TimeHarp 260 histogram",
    ),
    "trpl-mbg-od0": _trpl(
        "TRPL_MBG_Air_OD0.dat",
        "e14a8e3e0d702a2d72e7ba285e6111298b0e2c63d7873f0a4201a0f61655f4a9",
        "time-resolved PL of a perovskite film, full power",
    ),
    "trpl-mbg-od05": _trpl(
        "TRPL_MBG_Air_OD0-5.dat",
        "1476335af8f65f70835e1195b05833c281b8c67401f4210b8129345673f5d357",
        "time-resolved PL of a perovskite film, optical density 0.5",
    ),
    "trpl-mbg-od1": _trpl(
        "TRPL_MBG_Air_OD1.dat",
        "4b56b02c8d5a7ec525fca1f337aec0b6ac06c9f781122b80acb5a3f904068d34",
        "time-resolved PL of a perovskite film, optical density 1",
    ),
    "trpl-power-series-1": _power_series(
        "sample1.csv",
        "ca39d4453e6f5b9203644ff7c7c8f65ed7f6f33dbf91edec74fb748dd3889f80",
        "time-resolved PL of a III-V sample at five powers; delay in ns, power in W",
    ),
    "trpl-power-series-2": _power_series(
        "sample2.csv",
        "f33242e3480642af2ce8199398129ffbcbedff289cb0f2f88171ef1b1114b6ec",
        "time-resolved PL of another III-V sample at five powers; delay in ns, power in W",
    ),
    "trpl-spcm": _wright(
        "spcm/test_data.asc",
        "66157b3525706f44c7432983d7fc66b902bf9b1271f3356b4c2081bbf9e31ad5",
        "decay of 1024 bins, Becker & Hickl SPCM",
    ),
    "trpl-spcm-setup": _wright(
        "spcm/test_data_full_metadata.asc",
        "b2ae8a8edfbf7dd2bd1de8c2a71ed4660b59d263c69104d6f095464a9b9ecdfa",
        "decay of 4096 bins with the counter's setup, Becker & Hickl SPCM",
    ),
    "nk-cspbbr3": _nk(
        "CsPbBr3/nk/Brennan.yml",
        "0984dc2812232c6b259a61cc0d898252412f97f693ba95984dcd213c40ce6ef6",
        "n and k of CsPbBr3, 200 to 2500 nm",
    ),
    "nk-cspbbr3-ordinary": _nk(
        "CsPbBr3/nk/Ermolaev-o.yml",
        "4905e4567782888d7c1e031b2ee98046fea31ea5ba9c263edaee613611c7f837",
        "n and k of CsPbBr3, ordinary ray, 500 to 949 nm",
    ),
    "nk-cspbi3": _nk(
        "CsPbI3/nk/Aftenieva.yml",
        "9dbec0f24c9ff01f4ce4ad79572c81d9280a621824ab84453cf9e47d378fc2c5",
        "n and k of CsPbI3, 300 to 1200 nm",
    ),
    "sif-spectrum": _sif(
        "examples_with_calibration/raman1.sif", "examples_with_calibration/raman1.sif",
        "b7899121e24b2307fd9a1bf2c4e46976823ea00313cab5f5a1c71dcb7ff22d35",
        "one Andor spectrum, 405 to 455 nm",
    ),
    "sif-spectrum-export": _sif(
        "examples_with_calibration/raman1.asc", "examples_with_calibration/raman1.asc",
        "1b4ce840aed68fad79b4210e0c10faf59fbb01eedf1b9e9a8ca78dce2de7a013",
        "the vendor's text export of sif-spectrum",
    ),
    "sif-kinetic": _sif(
        "issue33/measurement.sif", "issue33/measurement.sif",
        "306c02d2f31b6017fa95b8ce451ce2c7c2726635484b5cda364f513369938e93",
        "kinetic series of 20 Andor spectra",
    ),
    "spe-spectrum": _spe(
        "one_dimensional_spectrum.spe",
        "867e3fdbf27c9be2a79b5ea6a2d1dc2f7c1151440e0439ad08b5c2bb965da7b8",
        "one LightField spectrum, 568 to 831 nm",
    ),
    "spe-image": _spe(
        "small_roi.spe",
        "7e5a89a12a5af219a288f1346a4f71a1b2a69f4323fc5fb9b5ef396e551c6588",
        "LightField image of 638 rows",
    ),
    "wdf-spectrum": _raft(
        "WiRE/WiRE_532.wdf",
        "1453fad1b0830dc4fccfb08c94bcec49925afa6202e9898f8ab1e28978a27a18",
        "one Renishaw spectrum, 794 to 1943 1/cm",
    ),
    "wdf-line": Sample(
        "DTU-Nanolab-materials-discovery/nomad-dtu-nanolab-plugin",
        "fdef8f7a7264fa9cb41f366ea78435390adc683e",
        "tests/data/indiogo_0019_RTP_hc_1x10s_P1_x20_map_0.wdf",
        "dtu_wdf_map/indiogo_0019_RTP_hc_1x10s_P1_x20_map_0.wdf",
        "ce208ea764a3ef597892f3736ae57dbd31c5c439d13a9a0894ee62436294c52f", "MIT",
        "nine Renishaw spectra along a combinatorial film, with its image",
    ),
    "eels-srtio3": Sample(
        "pycroscopy/pyTEMlib", "b90cee6d08d004f25322d3161cccb867333fa204",
        "example_data/EELS_STO.dm3", "pytemlib_EELS_STO/EELS_STO.dm3",
        "aa24012809d4f817c3ce212af12eee5f5a987516124b376ffa618b39321335ce", "MIT",
        "electron energy loss of SrTiO3, 350 to 862 eV",
    ),
    "text-edinburgh": _raft(
        "Edinst/F980_EmScan.txt",
        "f019206582288b2132377aac5f6cc71a4b54d28a923a02100bb0cab1f2049fe2",
        "emission spectrum, Edinburgh Instruments F980",
    ),
    "text-fluoracle": _raft(
        "Edinst/Fluoracle_emission.txt",
        "36adbd28d078acde37c28de130d9b1a533a878f588075633ebdac3ba591d5193",
        "emission spectrum, Edinburgh Instruments Fluoracle",
    ),
    "text-fluoressence": _raft(
        "FluorEssence/FluorEssence.txt",
        "d95c746a79a19ccacc7e2510816e128afe79ddea5e666956db4213f28b699752",
        "emission spectrum, Horiba FluorEssence",
    ),
    "text-oceanoptics": _raft(
        "SpectraSuite/SpectraSuite_Header.txt",
        "3b9ddc03c9c1fa9623100ed3d25316f88b6e912b808f0d3677419d229d6ce99a",
        "spectrum with its header, Ocean Optics SpectraSuite",
    ),
    "text-cary": _wright(
        "Cary/CuPCtS_H2O_vis.csv",
        "b79dc439ebb52bbd5d3db55e07ad1b487d97b0609f53dbbc05060d57aefcc0fd",
        "absorption spectrum, Agilent Cary",
    ),
    "text-jasco": _wright(
        "JASCO/PbSe batch 1.txt",
        "10c05cc85c76f467d7912794734aca0b49818437a39fe37507fb40068a4bcdc1",
        "absorption spectrum of PbSe, JASCO",
    ),
    "text-solis": _wright(
        "Solis/kinetic.asc.gz",
        "e2f29401d928557346619a62e05fc5adf11e2c6d8d02d9d8c96d6b212ada536c",
        "kinetic series as text, Andor Solis, compressed",
    ),
    "band-gaps": Sample(
        "qinyu319/llm-sr-perovskite-bandgap", "9d96d0f50db3b3ae23365badaff366256536394a",
        "external_validation/external_panel_audited.csv",
        "perovskite_Eg_composition_610/external_validation/external_panel_audited.csv",
        "ddf95fe8c61bd86e249d501f0a419994c1352b8829a54ca565284ba6f86fa097", "CC-BY-4.0",
        "band gaps of halide perovskites against composition, with their papers (a table, no spectrum)",
    ),
}  # fmt: skip
"""Files that :func:`fetch` knows, by name."""


def study(name: str | None = None) -> Path:
    """Path of the bundled study, which is simulated.

    Parameters
    ----------
    name : str, optional
        A file of the study, for instance ``"study.toml"``; by default the folder.

    Returns
    -------
    pathlib.Path
        In the clone from which plkit runs.

    Raises
    ------
    FileFormatError
        If plkit was installed without it, or the study has no such file.

    Examples
    --------
    >>> study()                                                                      # doctest: +SKIP
    PosixPath('.../data-samples/study')
    """
    folder = Path(__file__).resolve().parent.parent / "data-samples" / _STUDY
    if not folder.is_dir():
        raise FileFormatError(
            "find the bundled study",
            f"'{folder}' is no folder: an installed plkit comes without it",
            f"Make it: plkit simulate study {_STUDY}",
        )
    path = folder if name is None else folder / name
    if not path.exists():
        found = ", ".join(sorted(p.name for p in folder.iterdir()))
        raise FileFormatError(f"find '{name}'", f"the bundled study holds {found or 'nothing'}")
    return path


def fetch(name: str) -> Path:
    """Path of an openly licensed file of a real instrument, downloaded when first asked for.

    Parameters
    ----------
    name : str
        A key of ``SAMPLES``.

    Returns
    -------
    pathlib.Path
        The file, in pooch's cache folder, or in the folder that the environment variable
        ``PLKIT_TEST_DATA`` names, which stands in for the download.

    Raises
    ------
    DataError
        If there is no sample of that name.
    FileFormatError
        If the file cannot be had, or its content is not the expected one.

    Examples
    --------
    >>> SAMPLES["nk-cspbbr3"].licence
    'CC0-1.0'
    >>> fetch("nk-cspbbr3")                                                          # doctest: +SKIP
    PosixPath('.../Brennan.yml')
    """
    if name not in SAMPLES:
        raise DataError(
            f"fetch '{name}'", f"the sample is '{name}', not one of {', '.join(SAMPLES)}"
        )
    sample = SAMPLES[name]
    folder = os.environ.get("PLKIT_TEST_DATA")
    return _from_folder(name, sample, Path(folder)) if folder else _download(name, sample)


def _from_folder(name: str, sample: Sample, folder: Path) -> Path:
    from plkit.io.common import sha256_of

    path = folder / sample.local
    if not path.is_file():
        raise FileFormatError(
            f"fetch '{name}'", f"PLKIT_TEST_DATA has no file '{sample.local}'",
            "Unset PLKIT_TEST_DATA to download it.",
        )  # fmt: skip
    if sha256_of(path) != sample.sha256:
        raise FileFormatError(
            f"fetch '{name}'", f"the SHA-256 of '{sample.local}' is {sha256_of(path)}, not {sample.sha256}",
            "Replace the file by the one at its address: " + sample.url,
        )  # fmt: skip
    return path


def _download(name: str, sample: Sample) -> Path:
    import pooch

    try:
        found = pooch.retrieve(
            sample.url,
            known_hash=f"sha256:{sample.sha256}",
            fname=f"{name}-{Path(sample.path).name}",
            path=pooch.os_cache("plkit"),
        )
    except Exception as exc:
        # requests, urllib3 and pooch raise many kinds; the reader of the message needs the address.
        raise FileFormatError(
            f"fetch '{name}'", f"{sample.url} could not be had ({' '.join(str(exc).split())[:150]})",
            "Check the network, or download the file by hand.",
        ) from exc  # fmt: skip
    return Path(found)
