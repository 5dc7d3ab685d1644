"""Files as users really have them: each refusal is one sentence that names the file and the way out."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import plkit
from plkit import names, schema
from plkit.errors import DataError, FileFormatError, PlkitError, PlkitWarning

HEAD = "Wavelength (nm),Intensity (counts)\n"


def dataset(**changes: Any) -> xr.Dataset:
    ds = xr.Dataset(
        {
            "intensity": (
                ("time", "wavelength"),
                np.arange(6.0).reshape(2, 3),
                names.attrs("intensity"),
            )
        },
        {
            "time": ("time", [0.0, 1.0], names.attrs("time")),
            "wavelength": ("wavelength", [500.0, 501.0, 502.0], names.attrs("wavelength")),
        },
    )
    return ds.assign(changes) if changes else ds


def text(content: str, name: str = "a.csv") -> Callable[[Path], Path]:
    def make(tmp: Path) -> Path:
        path = tmp / name
        path.write_text(content, encoding="utf-8")
        return path

    return make


def binary(content: bytes, name: str) -> Callable[[Path], Path]:
    def make(tmp: Path) -> Path:
        path = tmp / name
        path.write_bytes(content)
        return path

    return make


def stored(ds: xr.Dataset, name: str = "a.nc") -> Callable[[Path], Path]:
    def make(tmp: Path) -> Path:
        ds.to_netcdf(tmp / name)
        return tmp / name

    return make


def cut_netcdf(tmp: Path) -> Path:
    whole = plkit.write(dataset(), tmp / "whole.nc").read_bytes()
    return binary(whole[: len(whole) // 2], "cut.nc")(tmp)


def folder(tmp: Path, files: dict[str, str]) -> Path:
    path = tmp / "folder"
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content)
    return path


def grouped(tmp: Path) -> Path:
    xr.DataTree.from_dict({"/first": dataset(), "/second": dataset()}).to_netcdf(tmp / "tree.nc")
    return tmp / "tree.nc"


JUNK = bytes(np.random.default_rng(7).integers(0, 256, 3000, dtype=np.uint8))
SPECTRUM = HEAD + "500,1\n501,2\n"

# id → (what makes the file, options, what the one sentence says)
BAD: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str]] = {
    "missing": (lambda tmp: tmp / "no.csv", {}, "there is no such file"),
    "empty": (text(""), {}, r"the file is empty \(0 bytes\)"),
    "blank": (text("\n \n\n"), {}, "the file is empty|holds no line of two or more numbers"),
    "unknown suffix": (binary(JUNK, "a.xyz"), {}, r"content and its suffix '\.xyz' are not of a format"),
    "junk named csv": (binary(JUNK, "a.csv"), {}, "it is binary, not text"),
    "junk named nc": (binary(JUNK, "a.nc"), {}, "damaged, truncated or no netCDF file"),
    "junk named sif": (binary(JUNK, "a.sif"), {}, "damaged, truncated or no Andor Solis .sif file|inside its header"),
    "junk named spe": (binary(JUNK, "a.spe"), {}, r"inside its header of 4100 \(truncated\)"),
    "spe version 2": (binary(bytes(5000), "a.spe"), {}, "its version is 0, not 3"),
    "truncated netcdf": (cut_netcdf, {}, "damaged, truncated or no netCDF file"),
    "netcdf of groups": (grouped, {}, r"it holds groups \(first, second\).*group=\"first\""),
    "netcdf of something else": (
        stored(xr.Dataset({"chlorophyll": ("lat", [1.0, 2.0])})), {}, r"it holds chlorophyll\(lat\), not a measured variable",
    ),
    "netcdf without units": (
        stored(dataset().assign_coords(wavelength=[500.0, 501.0, 502.0])), {}, "'wavelength' has no units, not 'nm'",
    ),
    "netcdf with wrong unit": (
        stored(dataset(wavelength=("wavelength", [1.0, 2.0, 3.0], {"units": "kg"}))), {}, "'wavelength' has units 'kg'",
    ),
    "netcdf without spectral dim": (
        stored(dataset().isel(wavelength=0, drop=True)), {}, "0 spectral dims, not one",
    ),
    "netcdf units of nothing": (stored(dataset()), {"units": {"lambda": "nm"}}, "units names 'lambda', which is not one of"),
    "no unit": (text("500,1\n501,2\n"), {}, r'unit of the spectral axis.*wavelength_unit="nm"'),
    "wrong unit": (text("Wavelength (furlong),Intensity\n500,1\n501,2\n"), {}, "spectral axis is 'furlong', not nm"),
    "wrong unit by option": (text("500,1\n501,2\n"), {"wavelength_unit": "kg"}, "spectral axis is 'kg', not nm, eV or 1/cm"),
    "unit of intensity": (text("Wavelength (nm),Intensity (mW)\n500,1\n501,2\n"), {}, "in 'mW', which is no unit of intensity"),
    "unknown variable": (text(SPECTRUM), {"variable": "glow"}, r"variable is 'glow', which is not in plkit\.names\.TABLE"),
    "letters": (text(HEAD + "500,1\n501,abc\n502,3\n"), {}, "line 3 holds 'abc', not a number"),
    "letters in the axis": (text(HEAD + "500,1\nabc,2\n502,3\n"), {}, "line 3 holds 'abc.*', not (a number|2 numbers)"),
    "letters at the end": (text(HEAD + "500,1\n501,2\n502,x\n"), {}, "line 4 holds 'x', not a number"),
    "ragged rows": (text(HEAD + "500,1\n501\n502,3\n"), {}, "line 3 has fewer cells, not 2"),
    "long row": (text(HEAD + "500,1\n501,2,7\n502,3\n"), {}, "line 3 has 3 cells, not 2"),
    "header only": (text(HEAD), {}, "holds no line of two or more numbers"),
    "duplicate wavelengths": (text(HEAD + "500,1\n500,2\n501,3\n"), {}, "axis 'wavelength' repeats 1 of its 3 values"),
    "axis with nan": (text(HEAD + "500,1\nnan,2\n502,3\n"), {}, "axis 'wavelength' has 1 NaN or infinite values"),
    "two columns of counts": (
        text("Wavelength (nm),Signal,Counts\n500,1,2\n501,3,4\n"), {}, "'Signal' and 'Counts' are both 'intensity'",
    ),
    "bare matrix": (text("0,500,501\n1,5,6\n2,7,8\n"), {}, r'meaning of its 3 columns.*row_dim="time", row_unit="s"'),
    "matrix without row": (text("a,500,501\n1,5,6\n2,7,8\n"), {"wavelength_unit": "nm"}, r"what runs along its rows \('a'\)"),
    "matrix without row unit": (
        text(",500,501\n1,5,6\n2,7,8\n"), {"wavelength_unit": "nm", "row_dim": "time"}, "the unit of 'time' is stated neither",
    ),
    "matrix with wrong row unit": (
        text(",500,501\n1,5,6\n2,7,8\n"), {"wavelength_unit": "nm", "row_dim": "time", "row_unit": "um"},
        "unit of 'time' is 'um', not 's'",
    ),
    "matrix with unknown row": (
        text(",500,501\n1,5,6\n2,7,8\n"), {"wavelength_unit": "nm", "row_dim": "height", "row_unit": "um"},
        "row_dim is 'height', not one of sample, power",
    ),
    "columns without values": (
        text("Wavelength (nm),a,b\n500,1,2\n501,3,4\n"), {"column_dim": "time", "column_unit": "s"},
        r"value that each column stands for \('a' is no number\)",
    ),
    "columns of another number": (
        text("Wavelength (nm),a,b\n500,1,2\n501,3,4\n"),
        {"column_dim": "time", "column_unit": "s", "column_values": [1, 2, 3]}, "column_values has 3 values, not 2",
    ),
    "one point twice": (
        text("x (um),wavelength (nm),intensity (counts)\n0,500,1\n0,500,2\n"), {}, "it gives 2 values for x = 0, wavelength = 500",
    ),
    "time without spectrum": (text("time (s),intensity (counts)\n0,1\n1,2\n"), {}, r"axis is 'time \(s\)', not one of wavelength"),
    "lightfield with letters": (
        text("Exposure started time stamp,Exposure ended time stamp,Wavelength,Intensity\n0,5,500,1\n0,5,501,--\n"), {},
        "line 3 holds '--', not a number",
    ),
    "luqy without columns": (text("LuQY (%)\t1\n500\t1\t2\n"), {}, "no line names the columns"),
    "luqy without flux": (text("LuQY (%)\t1\nWavelength (nm)\tRaw spectrum (counts)\n500\t1\n"), {}, "no column 'Luminescence"),
    "yaml formula": (
        text("DATA:\n  - type: formula 2\n    coefficients: 0 1 2\n", "a.yml"), {}, "data are of type 'formula 2', not one of tabulated nk",
    ),
    "yaml with letters": (
        text("DATA:\n  - type: tabulated nk\n    data: |\n        0.5 2 x\n", "a.yml"), {}, "row 1 of its table is '0.5 2 x', not 3 numbers",
    ),
    "yaml empty table": (text("DATA:\n  - type: tabulated n\n    data: ''\n", "a.yml"), {}, "its table is empty"),
    "no yaml": (text("DATA: [\ntype: {\n", "a.yml"), {}, "it is not YAML"),
    "yaml of something else": (text("a: 1\n", "a.yml"), {"reader": "refractiveindex"}, "it has no entry 'DATA'"),
    "empty folder": (lambda tmp: folder(tmp, {}), {}, "the folder holds no file"),
    "folder without pattern": (lambda tmp: folder(tmp, {"a.txt": SPECTRUM}), {}, r'names of its files mean.*pattern='),
    "pattern that matches nothing": (
        lambda tmp: folder(tmp, {"a.txt": SPECTRUM}), {"pattern": "t{time}.txt", "units": {"time": "s"}},
        r"none of its 1 files matches 't\{time\}\.txt', for instance 'a\.txt'",
    ),
    "pattern without unit": (lambda tmp: folder(tmp, {"t1.txt": SPECTRUM}), {"pattern": "t{time}.txt"}, "unit of 'time' in the names"),
    "pattern with wrong unit": (
        lambda tmp: folder(tmp, {"t1.txt": SPECTRUM}), {"pattern": "t{time}.txt", "units": {"time": "um"}}, "unit of 'time' is 'um'",
    ),
    "pattern with unknown dim": (lambda tmp: folder(tmp, {"t1.txt": SPECTRUM}), {"pattern": "t{spot}.txt"}, r"the pattern holds '\{spot\}'"),
    "pattern without dim": (lambda tmp: folder(tmp, {"t1.txt": SPECTRUM}), {"pattern": "t1.txt"}, "holds no dim in braces"),
    "one place twice": (
        lambda tmp: folder(tmp, {"t1.txt": SPECTRUM, "t1.0.txt": SPECTRUM}), {"pattern": "t{time}.txt", "units": {"time": "s"}},
        r"'t1\.0\.txt' and 't1\.txt' stand for the same",
    ),
    "files of other lengths": (
        lambda tmp: folder(tmp, {"t1.txt": SPECTRUM, "t2.txt": SPECTRUM + "502,3\n"}),
        {"pattern": "t{time}.txt", "units": {"time": "s"}},
        "'t2.txt' has 3 values of wavelength from 500 to 502, not 2 values of wavelength from 500 to 501 as 't1.txt'",
    ),
    "one bad file in a folder": (
        lambda tmp: folder(tmp, {"t1.txt": SPECTRUM, "t2.txt": HEAD + "500,x\n"}),
        {"pattern": "t{time}.txt", "units": {"time": "s"}}, "Cannot read 't2.txt'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=lambda c: c.replace(" ", "_"))
def test_bad_file_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    make, options, words = BAD[case]
    with pytest.raises(FileFormatError) as caught:
        plkit.read(make(tmp_path), **options)
    message = str(caught.value)
    assert re.search(words, message), message
    assert message.startswith("Cannot read '")
    assert " because " in message
    assert "\n" not in message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = text(SPECTRUM)(tmp_path)

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FileFormatError, match="you have no permission to read it"):
        plkit.read(path)
    with pytest.raises(FileFormatError, match="you have no permission to read it"):
        plkit.info(path)


# What can be read is read, and said.


def test_descending_and_unsorted_axes_are_sorted(tmp_path: Path) -> None:
    ds = plkit.read(text(HEAD + "502,3\n500,1\n501,2\n")(tmp_path))
    assert ds.wavelength.values.tolist() == [500, 501, 502]
    assert ds.intensity.values.tolist() == [1, 2, 3]
    assert ds.intensity.dtype == np.int32


@pytest.mark.parametrize(
    "content",
    [
        "Wavelength (nm);Intensity (counts)\n500,5;1,25\n501,5;2,5\n",
        "Wavelength (nm)\tIntensity (counts)\n500.5\t1.25\n501.5\t2.5\n",
        "# Wavelength (nm) Intensity (counts)\n500.5 1.25\n501.5 2.5\n",
        "% measured today\n% Wavelength [nm], Intensity [counts]\n500.5, 1.25,\n501.5, 2.5,\n",
        "\ufeffWavelength (nm),Intensity (counts)\r\n5.005e2,1.25\r\n5.015E+02,2.5\r\n\r\nLaser,405 nm\r\n",
        "Wavelength / nm\tIntensity / counts\n500,5\t1,25\n501,5\t2,5\n",
    ],
)
def test_separators_and_decimals(tmp_path: Path, content: str) -> None:
    ds = plkit.read(text(content)(tmp_path))
    assert ds.wavelength.values.tolist() == [500.5, 501.5]
    assert ds.intensity.values.tolist() == [1.25, 2.5]


def test_utf16_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(
        "Wellenlänge (nm)\tIntensität (counts)\r\n500\t1\r\n501\t2\r\n".encode("utf-16")
    )
    assert plkit.read(path).intensity.values.tolist() == [1, 2]


def test_one_pixel_and_one_time_point(tmp_path: Path) -> None:
    one = plkit.read(text(HEAD + "500,7\n")(tmp_path))
    assert one.sizes == {"wavelength": 1}
    ds = plkit.read(text("time (s) \\ wavelength (nm),500,501\n3,5,6\n")(tmp_path))
    assert ds.intensity.shape == (1, 2)
    assert ds.time.values.tolist() == [3.0]
    assert plkit.info(tmp_path / "a.csv").sketch == "▁█"


def test_nan_column_is_kept_and_reported(tmp_path: Path) -> None:
    ds = plkit.read(text("time (s) \\ wavelength (nm),500,501\n0,5,nan\n1,6,NaN\n")(tmp_path))
    assert schema.validate(ds).codes == ("nan_channel", "noise_model")
    assert plkit.info(tmp_path / "a.csv").n_missing == 2


def test_empty_cells_and_a_cut_last_line_are_nan_with_a_warning(tmp_path: Path) -> None:
    path = text("time (s),500,501,502\n0,5,,7\n1,6,6,7\n2,7\n")(tmp_path)
    with pytest.warns(
        PlkitWarning, match=r"'a\.csv' lacks 3 of 12 numbers, line 4 is cut short; they are NaN"
    ):
        ds = plkit.read(path, wavelength_unit="nm")
    assert np.isnan(ds.intensity.values).tolist() == [
        [False, True, False],
        [False] * 3,
        [False, True, True],
    ]
    assert not bool((ds.intensity == 0).any())


def test_long_csv_with_missing_rows_is_nan_with_a_warning(tmp_path: Path) -> None:
    path = text(
        "Exposure started time stamp,Exposure ended time stamp,Wavelength,Intensity\n"
        "1000,501000,500.5,7\n1000,501000,501.5,8\n2001000,2501000,500.5,9\n"
    )(tmp_path)
    with pytest.warns(
        PlkitWarning, match=r"lacks 1 of the 4 points of its grid \(2 time × 2 wavelength\)"
    ):
        ds = plkit.read(path)
    np.testing.assert_array_equal(ds.intensity, [[7, 8], [9, np.nan]])
    np.testing.assert_allclose(ds.time, [0.25, 2.25])
    np.testing.assert_allclose(ds.exposure_time, 0.5)


def test_folder_with_missing_files_is_nan_with_a_warning(tmp_path: Path) -> None:
    path = folder(
        tmp_path,
        {f"x{x}_y{y}.txt": HEAD + f"500,{x}\n501,{y + 10}\n" for x in range(3) for y in range(2)},
    )
    (path / "notes.md").write_text("x5_y5")
    options = {"pattern": "x{x}_y{y}.txt", "units": {"x": "mm", "y": "µm"}}
    ds = plkit.read(path, **options)
    assert ds.intensity.dims == ("y", "x", "wavelength")
    assert ds.intensity.dtype == np.int32
    assert ds.x.values.tolist() == [0, 1000, 2000]
    assert ds.intensity.values[1, 2].tolist() == [2, 11]
    (path / "x1_y1.txt").unlink()
    with pytest.warns(PlkitWarning, match=r"lacks 1 of the 6 files of its grid \(3 x × 2 y\)"):
        holes = plkit.read(path, **options)
    assert np.isnan(holes.intensity.values[1, 1]).all()
    np.testing.assert_array_equal(holes.intensity.values[0], ds.intensity.values[0])
    shutil.rmtree(path)


def test_folder_of_samples_and_powers_with_a_kinetic_in_each_file(tmp_path: Path) -> None:
    series = "time (s) \\ wavelength (nm),500,501\n0,1,2\n60,3,4\n"
    path = folder(
        tmp_path,
        {
            "filmA_0.5uW.csv": series,
            "filmA_2uW.csv": series,
            "filmB_0.5uW.csv": series,
            "filmB_2uW.csv": series,
        },
    )
    ds = plkit.read(path, pattern="{sample}_{power}uW.csv", units={"power": "uW"})
    assert ds.intensity.dims == ("sample", "power", "time", "wavelength")
    assert ds.sample.values.tolist() == ["filmA", "filmB"]
    assert ds.power.values.tolist() == [0.5, 2.0]
    assert ds.intensity.values[1, 0].tolist() == [[1, 2], [3, 4]]


def test_matrix_in_all_four_ways(tmp_path: Path) -> None:
    rows = plkit.read(
        text("0,500,501\n1,5,6\n2,7,8\n")(tmp_path),
        wavelength_unit="nm",
        row_dim="time",
        row_unit="min",
    )
    assert rows.time.values.tolist() == [60, 120]
    corner = plkit.read(
        text(",500,501\n1,5,6\n2,7,8\n")(tmp_path),
        wavelength_unit="nm",
        row_dim="time",
        row_unit="min",
    )
    header = plkit.read(
        text("Time (min),500 nm,501 nm\n1,5,6\n2,7,8\n".replace(" nm", ""))(tmp_path),
        wavelength_unit="nm",
    )
    columns = plkit.read(
        text("Wavelength (nm),1,2\n500,5,7\n501,6,8\n")(tmp_path),
        column_dim="time",
        column_unit="min",
    )
    given = plkit.read(
        text("500,5,7\n501,6,8\n")(tmp_path), wavelength_unit="nm", column_dim="time", column_unit="s", column_values=[60, 120]
    )  # fmt: skip
    for other in (corner, header, columns, given):
        xr.testing.assert_equal(other, rows)
    assert rows.intensity.dtype == given.intensity.dtype == np.int32


def test_list_of_points(tmp_path: Path) -> None:
    lines = [f"{x},{y},{w},{x + 10 * y + w}" for x in (0, 2) for y in (1, 3) for w in (500, 501)]
    ds = plkit.read(
        text("x (um),y (um),wavelength (nm),intensity (counts)\n" + "\n".join(lines) + "\n")(
            tmp_path
        )
    )
    assert ds.intensity.dims == ("y", "x", "wavelength")
    assert int(ds.intensity.sel(x=2, y=3, wavelength=501)) == 2 + 30 + 501


@pytest.mark.parametrize(
    ("header", "options", "dim", "values"),
    [
        ("Energy (meV),Counts", {}, "energy", [0.5, 0.501]),
        ("", {"wavelength_unit": "um"}, "wavelength", [500e3, 501e3]),
        ("", {"wavelength_unit": "eV"}, "energy", [500, 501]),
        ("", {"wavelength_unit": "cm-1"}, "raman_shift", [500, 501]),
        ("Raman shift (cm-1),Intensity", {}, "raman_shift", [500, 501]),
        ("Wavelength (Å),Intensity", {}, "wavelength", [50, 50.1]),
    ],
)
def test_spectral_axes(
    tmp_path: Path, header: str, options: dict[str, str], dim: str, values: list[float]
) -> None:
    ds = plkit.read(text(f"{header}\n500,1\n501,2\n")(tmp_path), **options)
    np.testing.assert_allclose(ds[dim], values)
    assert ds.intensity.dims == (dim,)


@pytest.mark.parametrize("unit", ["a.u.", "cps"])
def test_numbers_that_are_no_counts_warn(tmp_path: Path, unit: str) -> None:
    with pytest.warns(
        PlkitWarning, match=f"gives its intensity in '{re.escape(unit)}'.*set noise_gain"
    ):
        ds = plkit.read(text(f"Wavelength (nm),Intensity ({unit})\n500,1\n501,2\n")(tmp_path))
    assert ds.intensity.attrs["units_in_file"] == unit
    assert ds.intensity.values.tolist() == [1, 2]


def test_other_quantities_have_their_own_names(tmp_path: Path) -> None:
    ds = plkit.read(text("Wavelength (nm),Abs,%T (%)\n500,1,50\n501,2,60\n")(tmp_path))
    assert ds.absorbance.values.tolist() == [1, 2]
    assert ds.transmittance.attrs["units"] == "1"
    assert ds.transmittance.values.tolist() == [0.5, 0.6]
    assert plkit.info(tmp_path / "a.csv").variable == "absorbance"


def test_netcdf_units_by_option(tmp_path: Path) -> None:
    path = stored(dataset().assign_coords(wavelength=[0.5, 0.501, 0.502]))(tmp_path)
    ds = plkit.read(path, units={"wavelength": "µm"})
    np.testing.assert_allclose(ds.wavelength, [500, 501, 502])


def test_netcdf_group_and_dims_in_another_order(tmp_path: Path) -> None:
    assert plkit.read(grouped(tmp_path), group="second").intensity.shape == (2, 3)
    path = stored(dataset().transpose("wavelength", "time"), "t.nc")(tmp_path)
    assert plkit.read(path).intensity.dims == ("time", "wavelength")


def test_integer_counts_survive_an_axis_in_another_unit(tmp_path: Path) -> None:
    ds = dataset(
        intensity=(
            ("time", "wavelength"),
            np.full((2, 3), 65535, np.uint16),
            names.attrs("intensity"),
        )
    )
    ds = ds.assign_coords(time=("time", [0.0, 1.0], {"units": "min"}))
    found = plkit.read(stored(ds)(tmp_path))
    assert found.intensity.dtype == np.uint16
    assert found.time.values.tolist() == [0, 60]
    assert "saturated" in schema.validate(found).codes
    assert plkit.info(tmp_path / "a.nc").n_saturated == 6


def test_errors_of_io_are_plkit_errors_and_value_errors() -> None:
    assert issubclass(FileFormatError, PlkitError)
    assert issubclass(FileFormatError, ValueError)
    assert issubclass(DataError, PlkitError)


def test_numbers_beyond_64_bits_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Wavelength (nm),Intensity (counts)\n500,1\n501,100000000000000000000\n")
    assert plkit.read(path).intensity.values.tolist() == [1.0, 1e20]
    path.write_text("Time (ns),Counts\n0,3\n0.5,100000000000000000000\n1,4\n")
    assert plkit.read(path).intensity.values.tolist() == [3.0, 1e20, 4.0]
