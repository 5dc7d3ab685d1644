"""The page of files says what the readers do; axes and units of one file per reader are pinned by hand."""

from __future__ import annotations

import itertools
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plkit
from plkit.errors import PlkitWarning
from plkit.io import readers

sys.path.insert(0, str(Path(__file__).parent / "studies"))

import files_table

PAGE = Path(__file__).parents[1] / "docs" / "files.md"
RAFT = "raft_instrument_files/resources/test_files/"


def test_page_equals_what_the_readers_do(test_data: Path) -> None:
    pytest.importorskip("rsciio")
    text = PAGE.read_text(encoding="utf-8")
    stated = text.partition(files_table.BEGIN)[2].partition(files_table.END)[0].strip().splitlines()
    found = files_table.table(files_table.rows(test_data)).splitlines()
    # renew it: python tests/studies/files_table.py FOLDER --write docs/files.md
    assert found == stated


def test_page_names_every_reader() -> None:
    text = PAGE.read_text(encoding="utf-8")
    formats = text.partition("## Formats")[2].partition("Some things")[0]
    named = set(re.findall(r"`(\w+)`", formats))
    assert {r.name for r in readers()} <= named
    assert named - {r.name for r in readers()} == {"io"}
    assert "FUZZ" not in text


# Path → reader, variable, its unit, dims with first and last coordinate and unit, and two values, all read by eye
# in the file, its vendor's export, or the array of the library that reads it.
PINS: dict[str, tuple[str, str, str, dict[str, tuple[int, float, float, str]], list[float]]] = {
    RAFT + "Edinst/F980_EmScan.txt": ("edinburgh", "intensity", "counts", {"wavelength": (146, 675, 820, "nm")}, [0.0, 22.4496574]),
    RAFT + "Edinst/F980_IRF.txt": ("edinburgh", "intensity", "counts", {"delay": (512, 0, 499.02344, "ns")}, [4, 1]),
    RAFT + "Edinst/F980_IRF_comma.txt": ("edinburgh", "intensity", "counts", {"delay": (256, 0, 498.04688, "ns")}, [26, 29]),
    RAFT + "Edinst/Fluoracle.csv": ("edinburgh", "intensity", "counts", {"wavelength": (251, 600, 850, "nm")}, [134.703979, 161.46875]),
    RAFT + "Edinst/Fluoracle_absorbance.txt": ("edinburgh", "absorbance", "1", {"wavelength": (301, 450, 600, "nm")}, [0.90638423, 0.90793699]),
    RAFT + "Edinst/Fluoracle_emission_multiple.txt": (
        "edinburgh", "intensity", "counts", {"point": (5, 0, 4, "1"), "wavelength": (201, 500, 600, "nm")}, [25.375803, 27.6460876]),
    RAFT + "FluorEssence/FluorEssence.txt": ("fluoressence", "intensity", "counts", {"wavelength": (211, 490, 700, "nm")}, [2322.5469768149, 2377.29177909092]),
    RAFT + "FluorEssence/FluorEssence_multiple.txt": (
        "fluoressence", "intensity", "counts", {"time": (10, 0, 390, "s"), "wavelength": (201, 650, 850, "nm")}, [111.936017411814, 96.7689929405512]),
    RAFT + "FLWinlab/FLWinlab": ("fl_winlab", "intensity", "counts", {"wavelength": (501, 350, 600, "nm")}, [65.282, 54.64567]),
    RAFT + "LambdaSPX/LambdaSPX_absorbance.dsp": ("lambda_spx", "absorbance", "1", {"wavelength": (201, 700, 800, "nm")}, [0.504170895061313, 0.502988874197321]),
    RAFT + "LambdaSPX/LambdaSPX_reflectance.dsp": ("lambda_spx", "reflectance", "1", {"wavelength": (201, 700, 800, "nm")}, [0.312473446130753, 0.313510447740555]),
    RAFT + "SpectraSuite/SpectraSuite_Header.txt": ("ocean_optics", "intensity", "counts", {"wavelength": (2048, 340.07, 1028.94, "nm")}, [776.36, 776.36]),
    RAFT + "Pro-Data/prodata-tas_3prop.csv": ("prodata", "absorbance", "1", {"delay": (128, -989, 993, "ns"), "point": (3, 1, 3, "1")}, [-0.000142698, 5.22e-05]),
    RAFT + "Pro-Data/prodata-pll_12wl_1prop.csv": (
        "prodata", "intensity", "counts", {"delay": (500, -998, 998, "ns"), "wavelength": (2, 815, 820, "nm")}, [-3.12e-16, -3.12e-16]),
    "wrighttools/Cary/CuPCtS_H2O_vis.csv": ("cary", "absorbance", "1", {"wavelength": (141, 200.019, 899.9957886, "nm")}, []),
    "wrighttools/JASCO/PbSe batch 1.txt": ("table", "absorbance", "1", {"wavelength": (1801, 700, 2500, "nm")}, []),
    "sif_parser_tests/examples_with_calibration/raman1.asc": ("solis", "intensity", "counts", {"wavelength": (1024, 405.23318, 454.553, "nm")}, [280099, 282936]),
    "gpl_instrument_maps/InGaN_transient_map.hspy": (
        "hspy", "intensity", "counts", {"delay": (525, 2.4, 4.496, "ns"), "y": (30, -5952.43, -5951.07, "um"), "x": (30, 8221.43, 8222.79, "um")}, []),
    "hzb_hysprint/HZB_AlFl_20231009_Solarcells-Batch-2-varyHTL_1_0.pl.csv": ("edinburgh", "intensity", "counts", {"wavelength": (451, 450, 900, "nm")}, [552.895813, 557.640625]),
}  # fmt: skip


@pytest.mark.parametrize("name", PINS, ids=lambda n: Path(n).name)
def test_axes_units_and_values_are_those_of_the_file(test_data: Path, name: str) -> None:
    reader, variable, unit, axes, first = PINS[name]
    if reader == "hspy":
        pytest.importorskip("rsciio")
    options: dict[str, Any] = files_table.options_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlkitWarning)
        ds = plkit.read(test_data / name, **options)
    assert ds.attrs["reader"] == reader
    da = ds[variable]
    assert da.attrs["units"] == unit
    assert list(da.dims) == list(axes)
    for dim, (size, start, stop, axis_unit) in axes.items():
        assert ds.sizes[dim] == size
        assert ds[dim].attrs["units"] == axis_unit
        np.testing.assert_allclose(ds[dim].values[[0, -1]], [start, stop], rtol=1e-5)
    np.testing.assert_allclose(da.values.ravel()[: len(first)], first, rtol=1e-9)


def test_map_of_decays_equals_the_librarys_array(test_data: Path) -> None:
    hspy = pytest.importorskip("rsciio.hspy")
    path = test_data / "gpl_instrument_maps/InGaN_transient_map.hspy"
    raw = np.asarray(hspy.file_reader(str(path))[0]["data"])
    np.testing.assert_array_equal(plkit.read(path).intensity.transpose("y", "x", "delay"), raw)


@pytest.mark.parametrize(
    ("name", "module"),
    [("map.tvf", "trivista"), ("quantum-emitters_map.dm4", "digitalmicrograph"), ("nanoparticles.hspy", "hspy"), ("renishaw_test_map2.wdf", "renishaw"),
     ("operate_mode.img", "hamamatsu"), ("sparc-hyperspectral.h5", "delmic"), ("jobinyvon_test_map_x3-y2.xml", "jobinyvon"), ("test_spectral_map.sur", "digitalsurf")],
)  # fmt: skip
def test_proof_io_numbers_are_those_of_the_library(test_data: Path, name: str, module: str) -> None:
    pytest.importorskip("rsciio")
    import importlib

    path = test_data / "gpl_instrument_maps" / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signals = importlib.import_module(f"rsciio.{module}").file_reader(str(path))
        ds = plkit.read(path)
    # axes that descend in the file are turned, nothing else: the sorted numbers are the same
    raws = [np.asarray(s["data"]) for s in signals if np.asarray(s["data"]).dtype.kind in "iuf"]
    raw = next(r for r in raws if r.size == ds.intensity.size)
    wide = np.float32 if raw.dtype == np.float16 else raw.dtype
    assert ds.intensity.dtype == wide
    np.testing.assert_array_equal(np.sort(ds.intensity.values.ravel()), np.sort(raw.ravel()))
    kept, mine = np.squeeze(raw), ds.intensity.values
    if kept.shape == mine.shape:
        turns = itertools.product((slice(None), slice(None, None, -1)), repeat=kept.ndim)
        assert any(np.array_equal(mine, kept[turn]) for turn in turns)
