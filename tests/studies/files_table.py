"""Table of all measured files of a folder: what opens, with which axes and reader, and what is refused, and why.

    python tests/studies/files_table.py FOLDER --write docs/files.md

renews the table between the two marks in the page; without ``--write`` it is printed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plkit
from plkit.errors import PlkitError, PlkitWarning
from plkit.io.common import measured_variable
from plkit.io.registry import get_reader

BEGIN, END = "<!-- table of files: begin -->", "<!-- table of files: end -->"
NO_MEASUREMENTS = ("SOURCE.txt", "README.md", "LICENSE", "LICENSE-DATA", "about.yml")

# What these files do not say themselves: by a part of their path.
OPTIONS: dict[str, dict[str, Any]] = {
    "grossmann_TRPL_ISE/Data/Real": {"delay_unit": "ns", "power_unit": "W"},
    "grossmann_TRPL_ISE/Data/Syn/CSV": {"delay_unit": "ns", "power_unit": "W"},
    ".spv.txt": {"wavelength_unit": "nm", "variable": "voltage"},
    ".trspv.txt": {"wavelength_unit": "nm", "variable": "voltage"},
    "small_roi.spe": {"rows": "point"},
    "Cary/filters.csv": {"sample": "530SP"},
    "reference/cli-": {"wavelength_unit": "nm"},
    "chondro_converted.npz": {
        "axes": {"raman_shift": "wavelength"}, "units": {"raman_shift": "1/cm", "x": "um", "y": "um"},
    },
    "oxide_interface_d1000.npz": {
        "data": "cube", "dims": ["y", "x", "energy_loss"], "axes": {"energy_loss": "energy_ev"},
        "steps": {"y": 1.0, "x": 1.0}, "units": {"x": "nm", "y": "nm"},
    },
}  # fmt: skip

# Libraries that do the reading, where it is not plkit itself.
LIBRARIES = {"andor_sif": "sif_parser", "ptu": "ptufile", "sdt": "sdtfile", "witec": "witio"}


@dataclass(frozen=True)
class Row:
    """What became of one file."""

    path: str
    reader: str = ""
    variable: str = ""
    dims: str = ""
    axes: str = ""
    options: str = ""
    refusal: str = ""
    warning: str = ""


def options_of(path: str) -> dict[str, Any]:
    """Options that a file needs."""
    return next((o for part, o in OPTIONS.items() if part in path), {})


def row_of(root: Path, path: Path) -> Row:
    """Read one file."""
    name = path.relative_to(root).as_posix()
    options = options_of(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            ds = plkit.read(path, **options)
        except PlkitError as exc:
            return Row(name, refusal=exc.reason)
    variable = str(measured_variable(ds))
    da = ds[variable]
    axes = [
        f"{d} {float(ds[d].values[0]):.6g} to {float(ds[d].values[-1]):.6g}"
        + ("" if ds[d].attrs.get("units", "1") == "1" else f" {ds[d].attrs['units']}")
        for d in map(str, da.dims) if d in ds.coords
    ]  # fmt: skip
    unit = da.attrs["units"]
    said = ", ".join(f"{k}={v!r}" for k, v in options.items())
    note = next((str(w.message) for w in caught if w.category is PlkitWarning), "")
    return Row(
        name, str(ds.attrs["reader"]), variable if unit == "1" else f"{variable} ({unit})",
        " × ".join(f"{n} {d}" for d, n in da.sizes.items()), "; ".join(axes), said, warning=_short(note),
    )  # fmt: skip


def _short(note: str) -> str:
    if "gives its intensity in '" in note:
        return f"in '{note.split(chr(39))[3]}', not counts"
    return note.split(":")[0].partition("' ")[2]


def rows(root: Path) -> list[Row]:
    """Read every file below a folder."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name not in NO_MEASUREMENTS)
    return [row_of(root, p) for p in files]


def library_of(reader: str) -> str:
    """Who reads the bytes."""
    if reader in LIBRARIES:
        return LIBRARIES[reader]
    if get_reader(reader).read.__class__.__name__ == "partial":
        return "RosettaSciIO"
    return "plkit"


def table(found: list[Row]) -> str:
    """Markdown of what opens, grouped where many files are alike, and of what is refused."""
    lines = [
        f"{sum(not r.refusal for r in found)} of {len(found)} files open.", "",
        "| file | measured | dims | axes | reader | library | said by options; warned of |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in found:
        if not r.refusal:
            notes = "; ".join(filter(None, [f"`{r.options}`" if r.options else "", r.warning]))
            lines.append(
                f"| {r.path} | {r.variable} | {r.dims} | {r.axes} | {r.reader} | {library_of(r.reader)} | {notes} |"
            )
    lines += ["", "Refused, and why:", "", "| file | because |", "|---|---|"]
    refused: dict[tuple[str, str], list[str]] = {}
    for r in found:
        if r.refusal:
            refused.setdefault((r.path.rpartition("/")[0], r.refusal), []).append(r.path)
    for (folder, reason), paths in refused.items():
        name = paths[0] if len(paths) < 4 else f"{folder}/ ({len(paths)} files)"
        names_ = [name] if len(paths) >= 4 else paths
        lines += [f"| {n} | {reason.replace('|', '/')} |" for n in names_]
    return "\n".join(lines)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    text = table(rows(args.data))
    if args.write is None:
        print(text)
        return 0
    page = args.write.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    args.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
