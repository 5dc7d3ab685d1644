"""Files of the instruments' formats, made from their public descriptions: small, with numbers known by construction."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

AXIS = np.array([500.0, 501.0, 502.5, 504.0])


def counts(*shape: int) -> np.ndarray:
    """Whole numbers, different everywhere."""
    return np.arange(1, int(np.prod(shape)) + 1).reshape(shape)


# Text ------------------------------------------------------------------------------------------

EDINBURGH = (
    "Labels,film,\r\nType,Emission Scan,\r\nComment,,\r\nStart,500.0,\r\nStop,503.0,\r\nStep,1.0,\r\n"
    "Fixed/Offset,405.0,\r\nXaxis,Wavelength,\r\nYaxis,Counts,\r\nRepeats,2,\r\nDwell Time,0.5,\r\n\r\n"
    "500.0,1.0E+1,\r\n501.0,2.5E+1,\r\n502.0,2.0E+1,\r\n503.0,1.0E+0,\r\n"
)
EDINBURGH_DECAYS = (
    "Sample 1\n\nLabels\tDecay1\tDecay2\t\nType\tTime Scan\tTime Scan\t\nStart\t0.0\t0.0\t\nStop\t1.5\t1.5\t\n"
    "Step\t0.5\t0.5\t\nXAxis\tTime(ns)\tTime(ns)\t\nYAxis\tCounts\tCounts\t\n\n"
    "0.0\t1.0E+0\t4.0E+0\t\n0.5\t9.0E+0\t8.0E+0\t\n1.0\t5.0E+0\t6.0E+0\t\n1.5\t2.0E+0\t3.0E+0\t\n"
)
FLUORESSENCE = (
    "A\tS1cR1c\tB\tS1\nWavelength\tS1c / R1c\tWavelength\tS1\nnm\tCPS / MicroAmps\tnm\tCPS\n"
    "490\t2322.5\t490\t67564\n491\t2377.25\t491\t68900\n492\t2484.5\t492\t71712\n"
)
FLUORESSENCE_SERIES = (
    "Short Name\tA\tB\tC\nLong Name\tWavelength\t05/12/2017 17:24:47\t05/12/2017 17:25:30\n"
    "Units\tnm\tCPS\tCPS\nSourceName\t\tS1\tS1\nCycleNumber\t\t1\t2\n"
    "TimeStamp\t\t05/12/2017 17:24:47\t05/12/2017 17:25:30\n1\t650\t111\t70\n2\t651\t96\t63\n"
)
FL_WINLAB = (
    "PE FL                   SPECTRUM    ASCII       PEDS        1.60        \n  -1\nLS55\n#HDR\n-1\n#GR\nNM\n\n"
    "0.00002\n0.0\n350.0\n0.5\n4\n8\n65.28\n4.93\n#DATA\n350.0\t65.28 \n350.5\t54.65 \n351.0\t44.87 \n351.5\t36.40 \n"
)
LAMBDA_SPX = "\n".join(
    ["sinacsa", "Scan", "1.1", "film.dsp", "nm", "700", "701", "0.5", "3", "%T", "31.4", "62.2", "0", "LAB"]
    + [""] * 20 + ["#DATA", "31.5", "40.0", "62.25", ""]
)  # fmt: skip
OCEAN = (
    "SpectraSuite Data File\n++++++++++++++++++++++++++++++++++++\nDate: Wed Nov 16 18:07:25 GMT 2016\n"
    "Spectrometers: USB2+H04851\nIntegration Time (usec): 100000 (USB2+H04851)\nSpectra Averaged: 20 (USB2+H04851)\n"
    "Number of Pixels in Processed Spectrum: 3\n>>>>>Begin Processed Spectral Data<<<<<\n"
    "340.07\t776.36\n340.45\t770.25\n340.82\t702.50\n>>>>>End Processed Spectral Data<<<<<\n"
)
CARY = "first,,second,,\r\nWavelength (nm),Abs,Wavelength (nm),%T,\r\n800.0,0.5,700.0,50.0,\r\n790.0,0.25,690.0,25.0,\r\n780.0,0.125,,,\r\n\r\nfirst\r\nCollection Time: 5/10/2018\r\n"
PRODATA = (
    "ProDataCSV\n\nTitle: \n\nAvailable Dimensions:,3,\nTime,4 time points over 4e-9s,linear\n"
    "Wavelength,Wavelength: 700nm - 705nm\nRepeat,1 repeats in set.,\n\nAvailable Properties: ,2,\n"
    "Emission,Emission,\nRaw_Abs_Volt,Raw_Abs_Volt,\n\nData:\n\n\nEmission\nRepeat:,1,\nTime,Wavelength,\n"
    ",705,700,\n-1e-9,1.5,2.5\n0,3.5,4.5\n1e-9,5.5,6.5\n\nRaw_Abs_Volt\nRepeat:,1,\nTime,Wavelength,\n"
    ",705,700,\n-1e-9,0.1,0.2\n0,0.3,0.4\n1e-9,0.5,0.6\n\n\nHistory:\n"
)
LVM = (
    "LabVIEW Measurement\t\nWriter_Version\t2\nReader_Version\t2\nSeparator\tTab\nDecimal_Separator\t.\n"
    "Multi_Headings\tNo\nX_Columns\tOne\nTime_Pref\tRelative\nDate\t2025/01/20\nTime\t15:09:45.1\n"
    "***End_of_Header***\t\n\t\nChannels\t2\t\t\nSamples\t3\t3\t\nX_Dimension\tWavelength\tWavelength\t\n"
    "X0\t5.0E+2\t5.0E+2\t\nDelta_X\t1.0\t1.0\t\n***End_of_Header***\t\t\t\nX_Value\tfilm\tglass\tComment\n"
    "500.0\t1.5\t10\n501.0\t2.5\t20\n502.0\t3.5\t30\n"
)
SOLIS = (
    "Date and Time:                Fri Sep  8 22:03:52 2017\nModel:                        DU888_BV\n"
    "Data Type:                    Counts\nAcquisition Mode:             Kinetics\n"
    "Exposure Time (secs):         0.5\nAccumulate Cycle Time (secs): 0.75\nNumber of Accumulations:      2\n"
    "Kinetic Cycle Time (secs):    3\nNumber in Kinetics Series:    3\nReadout Mode:                 Full Vertical Binning\n"
    "SR193i:\nWavelength (nm):              501\n"
)
SOLIS_ROWS = "500.0,1,11,21,\n501.0,2,12,22,\n502.5,3,13,23,\n504.0,4,14,24,\n"


def labspec(axes: list[tuple[str, str]], body: str, decimal: str = ".") -> str:
    """A LabSpec 6 text export."""
    head = ["Acq. time (s)=\t2", "Accumulations=\t3", "Laser (nm)=\t405", "Instrument=\tXploRA"]
    head += [f"AxisType[{i}]={kind}" for i, (kind, _) in enumerate(axes)]
    head += [f"AxisUnit[{i}]={unit}" for i, (_, unit) in enumerate(axes)]
    return "".join(f"#{line}\n" for line in head) + body.replace(".", decimal)


LABSPEC_AXES = [("Intens", "Cnt"), ("Spectr", "nm")]
LABSPEC_MAP_AXES = [*LABSPEC_AXES, ("X", "µm"), ("Y", "µm")]
LABSPEC_MAP = "\t\t500.5\t501.5\t502.5\n" + "".join(
    f"{y}\t{x}\t" + "\t".join(str(100 * j + 10 * i + k) for k in range(3)) + "\n"
    for j, y in enumerate((-1.0, 1.5)) for i, x in enumerate((2.0, 0.5, -1.0))
)  # fmt: skip


# Binary ----------------------------------------------------------------------------------------


def winspec(frames: np.ndarray, *, unit: int = 3, calibrated: int = 1) -> bytes:
    """A .spe of version 2; λ = 500 + 0.5 · pixel, which counts from 1."""
    n, height, width = frames.shape
    kind = {"<f4": 0, "<i4": 1, "<i2": 2, "<u2": 3}[frames.dtype.str]
    header = bytearray(4100)
    for at, form, value in (
        (10, "<f", 0.5), (36, "<f", -70.0), (42, "<H", width), (108, "<h", kind), (656, "<H", height),
        (668, "<i", 4), (1446, "<i", n), (1992, "<f", 2.5), (2996, "<I", 0x01234567), (4098, "<H", 0x5555),
    ):  # fmt: skip
        struct.pack_into(form, header, at, value)
    header[20:30] = b"20Jan2025\0"
    header[172:179] = b"150945\0"
    header[3098], header[3100], header[3101] = calibrated, unit, 1
    struct.pack_into("<6d", header, 3263, 500.0, 0.5, 0, 0, 0, 0)
    return bytes(header) + frames.tobytes()


def ptu(path: Path, *, shape: tuple[int, ...] = (1, 1, 1, 1, 40)) -> np.ndarray:
    """Write photons of a decay by ptufile's own writer: frames, y, x, detector, bin."""
    import ptufile

    data = np.random.default_rng(5).poisson(2.0, shape).astype(np.uint16)
    data[..., -1] = 1
    ptufile.imwrite(
        path, data, global_resolution=40e-9, tcspc_resolution=1e-9, pixel_time=1e-2,
        pixel_resolution=0.25, has_frames=True,
    )  # fmt: skip
    return data


def sdt(*blocks: np.ndarray, tac_range_s: float = 5e-8) -> bytes:
    """A Becker & Hickl file: blocks (bins,) or (y, x, bins) of 16 bits."""
    import sdtfile.sdtfile as layout

    info = b"*IDENTIFICATION\r\n  ID        : SPC Setup & Data File\r\n  Title     : film\r\n  Date      : 2025-01-20\r\n  Time      : 15:09:45\r\n*END\r\n"
    measure = np.zeros(1, np.dtype(layout.MEASURE_INFO))
    bins = blocks[0].shape[-1]
    measure["mod_type"], measure["tac_r"], measure["tac_g"] = b"SPC-150", tac_range_s, 1
    measure["adc_re"], measure["col_t"] = bins, 12.5
    if blocks[0].ndim == 3:
        measure["image_y"], measure["image_x"] = blocks[0].shape[:2]
    begin = 42 + len(info) + measure.itemsize
    body, at = b"", begin
    for number, block in enumerate(blocks):
        raw = block.astype("<u2").tobytes()
        following = at + 22 + len(raw)
        kind = 0x1 | (0x60 if block.ndim == 3 else 0x00)
        body += struct.pack("<hIIHhII", 0, at + 22, following, kind, 0, number, len(raw)) + raw
        at = following
    header = struct.pack(
        "<hihiHihIihhHIHH", 0x28F, 42, len(info), 0, 0, begin, len(blocks), blocks[0].nbytes,
        42 + len(info), 1, measure.itemsize, 0x5555, 0, 0, 0x55AA,
    )  # fmt: skip
    return header + info + measure.tobytes() + body


def witec(data: np.ndarray, *, valid: list[bool] | None = None, excitation_nm: float = 532.0, unit_index: int = 0) -> bytes:  # fmt: skip
    """A WITec project with one map (x, y, λ): λ = 500 + 2 · pixel, steps of 0.5 µm along x and y."""
    import witio.tag as tags

    tag = tags.WitTag
    i32 = lambda name, *v: tag(name, tags.TYPE_INT32, np.array(v, "i4"))  # noqa: E731
    f64 = lambda name, *v: tag(name, tags.TYPE_DOUBLE, np.array(v, "f8"))  # noqa: E731
    text = lambda name, v: tag(name, tags.TYPE_STRING, v)  # noqa: E731
    tree = lambda name, *children: tag(name, tags.TYPE_TREE, None, list(children))  # noqa: E731
    nx, ny, n = data.shape
    raw = np.frombuffer(np.asfortranarray(data.transpose(2, 1, 0)).tobytes("F"), "u1")
    graph = tree(
        "TDGraph", i32("SizeX", nx), i32("SizeY", ny), i32("SizeGraph", n), i32("SpaceTransformationID", 4),
        i32("XTransformationID", 2), i32("XInterpretationID", 3),
        tag("LineValid", tags.TYPE_BOOL, np.array(valid or [True] * ny, "u1")),
        tree("GraphData", i32("DataType", {"<f4": 9, "<u2": 6}[data.dtype.str]), tag("Data", tags.TYPE_UINT8, raw)),
    )  # fmt: skip
    spectral = tree(
        "TDSpectralTransformation",
        i32("SpectralTransformationType", 0),
        f64("Polynom", 500.0, 2.0, 0.0),
    )
    interpretation = tree("TDSpectralInterpretation", f64("ExcitationWaveLength", excitation_nm))
    eye = np.eye(3).ravel(order="F")
    space = tree(
        "TDSpaceTransformation",
        tree("ViewPort3D", f64("ModelOrigin", 0, 0, 0), f64("WorldOrigin", 10, 20, 0), f64("Scale", *(0.5 * eye)), f64("Rotation", *eye)),
    )  # fmt: skip
    common = tree("TDTransformation", text("StandardUnit", "nm"), i32("UnitKind", 1))
    entries = [
        ("TDGraph", 1, "Map", [graph]),
        ("TDSpectralTransformation", 2, "axis", [common, spectral]),
        ("TDSpectralInterpretation", 3, "unit", [tree("TDInterpretation", i32("UnitIndex", unit_index)), interpretation]),
        ("TDSpaceTransformation", 4, "place", [common, space]),
    ]  # fmt: skip
    children = []
    for index, (name, identity, caption, body) in enumerate(entries):
        tdata = tree("TData", i32("ID", identity), text("Caption", caption))
        children += [text(f"DataClassName {index}", name), tree(f"Data {index}", tdata, *body)]
    root = tree(
        "WITec Project",
        i32("Version", 7),
        tree("Data", i32("NumberOfData", len(entries)), *children),
    )
    return tags.write_bytes(b"WIT_PR06", root)


def photonetc(path: Path, *, written: int | None = None, calibrated: bool = True, images: np.ndarray | None = None) -> Path:  # fmt: skip
    """A PHySpec cube of 4 images of 3 × 2 pixels; of ``written`` images only the first were taken."""
    import h5py

    data = counts(4, 3, 2).astype("i2") if images is None else images
    with h5py.File(path, "w") as file:
        cube = file.create_group("Cube")
        stored = cube.create_dataset("Images", data.shape, data.dtype, chunks=(1, *data.shape[1:]))
        stored[: len(data) if written is None else written] = data[
            : len(data) if written is None else written
        ]
        cube["Wavelength"] = AXIS
        cube["TimeExposure"] = np.full(4, 2.0)
        info = cube.create_group("Info")
        for name, attrs in {
            "Cube": {"AcqMode": "Hyperspectral Acquisition", "CreationDate": "2025/01/20 15:09:45", "Name": "film"},
            "Optics": {"Objective": "100x NIR"}, "System": {"SN": "IMA-1"}, "Camera": {"PixelSizeNm": 6500.0, "Binning": [2.0, 2.0]},
        }.items():  # fmt: skip
            group = info.create_group(name)
            for key, value in attrs.items():
                kind = h5py.string_dtype() if isinstance(value, str) else None
                group.attrs.create(key, np.atleast_1d(value), dtype=kind)
        if calibrated:
            for axis, step in (("XAxis", 0.13), ("YAxis", 0.14)):
                group = info["Camera"].create_group(f"{axis}/1")
                group.attrs["Coefs"] = np.array([0.0, step])
                group.attrs.create("Unit", np.array(["µm"], dtype=h5py.string_dtype()))
    return path


def envi(path: Path, data: np.ndarray, interleave: str = "bsq", **fields: Any) -> Path:
    """A cube (y, x, λ) with its header."""
    order = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}[interleave]
    path.with_suffix(".raw").write_bytes(data.transpose(order).tobytes())
    kind = {"u1": 1, "i2": 2, "i4": 3, "f4": 4, "f8": 5, "u2": 12}[data.dtype.str[1:]]
    stated = {
        "samples": data.shape[1], "lines": data.shape[0], "bands": data.shape[2], "header offset": 0,
        "data type": kind, "interleave": interleave, "byte order": int(data.dtype.str[0] == ">"),
        "wavelength units": "Nanometers", "wavelength": "{" + ",\n ".join(map(str, AXIS[: data.shape[2]])) + "}",
        "pixel size": "{0.5, 0.25, units=micrometers}",
    } | fields  # fmt: skip
    path.write_text("ENVI\n" + "".join(f"{k} = {v}\n" for k, v in stated.items() if v is not None))
    return path


def written(name: str, content: str | bytes) -> Callable[[Path], Path]:
    """Make a function that writes a file into a folder."""

    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        return path

    return write


def ptu_file(folder: Path) -> Path:
    ptu(folder / "a.ptu")
    return folder / "a.ptu"


def npz_file(folder: Path) -> Path:
    np.savez_compressed(folder / "a.npz", intensity=counts(2, 3, 4), y_um=[0.0, 1.0], x_um=[0.0, 1.0, 2.0], wavelength_nm=AXIS)  # fmt: skip
    return folder / "a.npz"


MADE: dict[str, Callable[[Path], Path]] = {
    "winspec": written("a.spe", winspec(counts(2, 1, 4).astype("<u2"))),
    "ptu": ptu_file,
    "sdt": lambda folder: written("a.sdt", sdt(counts(64)))(folder),
    "witec": lambda folder: written("a.wip", witec(counts(3, 2, 4).astype("<u2")))(folder),
    "photonetc": lambda folder: photonetc(folder / "a.h5"),
    "npz": npz_file,
    "envi": lambda folder: envi(folder / "a.hdr", counts(2, 3, 4).astype("<u2")),
    "labspec": written("a.txt", labspec(LABSPEC_MAP_AXES, LABSPEC_MAP)),
    "edinburgh": written("a.csv", EDINBURGH),
    "fluoressence": written("a.txt", FLUORESSENCE),
    "fl_winlab": written("a.sp", FL_WINLAB),
    "lambda_spx": written("a.dsp", LAMBDA_SPX),
    "ocean_optics": written("a.txt", OCEAN),
    "cary": written("a.csv", CARY),
    "prodata": written("a.csv", PRODATA),
    "lvm": written("a.lvm", LVM),
    "solis": written("a.asc", SOLIS + "\n" + SOLIS_ROWS),
}
"""Reader → what writes an example of its format into a folder."""

OPTIONS: dict[str, dict[str, Any]] = {
    "labspec": {"first_column": "y"},
    "cary": {"sample": "first"},
    "lvm": {"unit": "nm"},
}
"""What the examples do not say."""

WARNINGS: dict[str, str] = {
    "winspec": "without time stamps",
    "fluoressence": "gives its intensity in",
    "fl_winlab": "arbitrary unit",
    "prodata": "without a unit",
    "jobinyvon": "gives its intensity in",
    "digitalsurf": "gives its intensity in",
}
"""What the examples are warned of."""
