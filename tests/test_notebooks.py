"""Every notebook runs from top to bottom in a folder of its own, and is stored without outputs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECONDS = 300  # a cell may be the first to compile a fit, on a busy machine


def load(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = load(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


# The client's own libraries may warn; what plkit warns of is printed in the notebook, and is not an error.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = load(path)
    source = "\n".join(cell.source for cell in notebook.cells)
    if "samples.fetch(" in source:
        monkeypatch.setenv("PLKIT_TEST_DATA", str(request.getfixturevalue("test_data")))
    # Kernels draw into the page unless told otherwise.
    for name in ("MPLBACKEND", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    try:
        client.execute(env=dict(os.environ))
    except CellExecutionError as error:
        pytest.fail(f"{path.name}: {error}", pytrace=False)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    drawn = sum("image/png" in o.get("data", {}) for cell in code for o in cell.outputs)
    assert drawn, f"{path.name} draws nothing"


MEASURED = {
    "series of a sif": ("sif_parser_tests/issue33/measurement.sif", {"DARK_BIAS": 600.0}),
    "film that does not segregate": (
        "wellesley_illumination/*.csv",
        {
            "KEEP": {"wavelength": (540.0, 800.0), "time": (3.0, None)},
            "BASELINE": "arpls",
            "REFERENCES": {
                "pristine": {"kind": "gaussian", "centre_ev": 1.93, "fwhm_ev": 0.08},
                "iodide": {"kind": "gaussian", "centre_ev": 1.80, "fwhm_ev": 0.08},
            },
        },
    ),
    "map of a wdf": (
        "gpl_instrument_maps/renishaw_test_map2.wdf",
        {"KEEP": {"wavelength": (350.0, 365.0)}},
    ),
    "line over Raman shift": (
        "dtu_wdf_map/indiogo_0019_RTP_hc_1x10s_P1_x20_map_0.wdf",
        {"LASER_NM": 532.0},
    ),
    "spectrum of a photomultiplier": (
        "raft_instrument_files/resources/test_files/Edinst/F980_EmScan.txt",
        {"DESPIKE": False},
    ),
}


@pytest.mark.filterwarnings("ignore::plkit.errors.PlkitWarning")
@pytest.mark.parametrize("what", MEASURED)
def test_notebook_of_your_own_data_takes_other_files(
    what: str, test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    file, said = MEASURED[what]
    (path,) = test_data.glob(file)
    cells = [
        c.source for c in load(FOLDER / "06_your_own_data.ipynb").cells if c.cell_type == "code"
    ]
    assert len(cells) <= 15
    for name, value in {"FILE": str(path), **said}.items():
        cells[0], n = re.subn(rf"(?m)^{name} = .*$", lambda _: f"{name} = {value!r}", cells[0])  # noqa: B023
        assert n == 1, name
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    room: dict[str, Any] = {"__name__": "__main__"}
    with mpl.rc_context():
        for cell in cells:
            exec(compile(cell.replace("%matplotlib inline\n", ""), f"06, {what}", "exec"), room)
    plt.close("all")
    peaks = room["peaks"]
    assert bool((peaks.fit_status == 0).any())
    assert (tmp_path / f"{path.stem}_peaks.nc").is_file()
    assert (tmp_path / f"{path.stem}_figure.svg").is_file()
    if what == "line over Raman shift":  # the line of silicon, 520.5 1/cm from the laser
        assert float(peaks.peak_wavelength[0]) == pytest.approx(547.15, abs=0.02)
    if what == "film that does not segregate":
        assert room["verdict"].label == "none"
        assert int(room["kin"].fit_status) == 3  # no_signal
