"""What is in a file, the same in another format, the same corrected: info, convert, correct."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from plkit.cli.arguments import (
    File,
    Force,
    Json,
    Options,
    Quiet,
    Reader,
    progress,
    read_file,
    refuse_existing,
    say_json,
)
from plkit.errors import DataError, FileFormatError, PlkitError

__all__ = ["convert_files", "correct_file", "show_info"]

Compress = Annotated[
    str, typer.Option("--compression", help="Of netCDF: zlib, zstd, bitshuffle or none.")
]

_WRITTEN: Final = (".nc", ".nc4", ".zarr", ".csv", ".txt")
_MAGIC: Final = frozenset("*?[")


def show_info(
    file: File,
    reader: Reader = None,
    option: Options = None,
    as_json: Json = False,
) -> None:
    """Say what a file holds: axes, units, range, and what is wrong with it."""
    from plkit.cli.options import reader_options, saying_how
    from plkit.io import info

    with saying_how():
        found = info(file, reader=reader, **reader_options(option or ()))
    if as_json:
        say_json(found.to_dict())
    else:
        typer.echo(str(found))


def convert_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... OUT",
            help="Files that plkit reads, or patterns in quotes ('raw/**/*.sif'); then a .nc, .zarr "
            "or .csv file, or a folder for them.",
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="Format in a folder: nc, zarr or csv.")] = "nc",
    force: Force = False,
    skip: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out what was converted before.")
    ] = False,
    compression: Compress = "zlib",
    reader: Reader = None,
    option: Options = None,
    quiet: Quiet = False,
) -> None:
    """Write data as netCDF, zarr or CSV, with axes, units and metadata: one file or many."""
    from plkit.cli.options import reader_options, saying_how
    from plkit.io import convert

    if len(files) < 2:
        raise DataError(
            f"convert {files[0]}", "there is one name, not an input and an output",
            "Name the file or folder to write last.",
        )  # fmt: skip
    *given, last = files
    target = Path(last)
    options: dict[str, Any] = {
        **reader_options(option or ()), "reader": reader, "compression": compression,
    }  # fmt: skip
    sources = _expanded(given)
    if len(sources) == 1 and not _is_folder_of_outputs(target, given):
        _refuse_target(sources[0], target, force)
        with saying_how():
            convert(sources[0], target, overwrite=force, **options)
        typer.echo(f"Wrote {target}")
        return
    _many(_planned(sources, target, to), force, skip, quiet, options)


def _expanded(given: Sequence[str]) -> list[Path]:
    """Files that names and patterns stand for."""
    found: list[Path] = []
    for word in given:
        if not _MAGIC & set(word) or Path(word).exists():
            found.append(Path(word))
            continue
        matches = sorted(glob.glob(word, recursive=True))
        if not matches:
            raise FileFormatError(f"convert {word}", "no file matches this pattern")
        found += map(Path, matches)
    return list(dict.fromkeys(found))


def _is_folder_of_outputs(target: Path, given: Sequence[str]) -> bool:
    """Whether the last word names a folder; what has a suffix that plkit writes is a file."""
    if target.suffix.lower() in _WRITTEN:
        return False
    return target.is_dir() or len(given) > 1 or bool(_MAGIC & set(given[0]))


def _refuse_target(source: Path, target: Path, force: bool) -> None:
    action = f"convert {source}"
    if target.exists() and source.exists() and target.samefile(source):
        raise FileFormatError(
            action, f"{target} is the input itself, not another file", "Name another output."
        )
    refuse_existing(action, target, force)


def _planned(sources: Sequence[Path], folder: Path, to: str) -> dict[Path, Path]:
    """Output of every input, checked before the first is written."""
    action = f"convert {len(sources)} files"
    suffix = f".{to.lower().lstrip('.')}"
    if suffix not in _WRITTEN:
        raise FileFormatError(action, f"--to is '{to}', not one of nc, zarr, csv")
    if folder.suffix.lower() in _WRITTEN:
        raise FileFormatError(
            action, f"{folder} is one file, not a folder for {len(sources)}", "Name a folder last."
        )
    if folder.exists() and not folder.is_dir():
        raise FileFormatError(action, f"{folder} is a file, not a folder")
    plan: dict[Path, Path] = {}
    for source in sources:
        output = folder / f"{source.stem}{suffix}"
        other = next((s for s, o in plan.items() if o == output), None)
        if other is not None:
            raise FileFormatError(
                action, f"{other} and {source} would both become {output}",
                "Convert them into different folders.",
            )  # fmt: skip
        if output.exists() and source.exists() and output.samefile(source):
            raise FileFormatError(
                action, f"{output} is the input itself, not another file", "Name another folder."
            )
        plan[source] = output
    return plan


def _many(
    plan: dict[Path, Path], force: bool, skip: bool, quiet: bool, options: dict[str, Any]
) -> None:
    """Convert one after the other; what fails is told, and the rest goes on."""
    from tqdm import tqdm

    from plkit.cli.options import saying_how
    from plkit.io import convert

    there = {s: o for s, o in plan.items() if o.exists()}
    if there and not (force or skip):
        raise FileFormatError(
            f"convert {len(plan)} files",
            f"{len(there)} of the outputs exist ({next(iter(there.values()))})",
            "Give --force to overwrite them, or --skip-existing to leave them.",
        )
    todo = plan if force else {s: o for s, o in plan.items() if s not in there}
    failed = 0
    folder = next(iter(plan.values())).parent
    fresh = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(todo), unit="file", disable=not progress(quiet)) as bar:
        for source, output in todo.items():
            bar.set_postfix_str(source.name)
            try:
                with saying_how():
                    convert(source, output, overwrite=force, **options)
                tqdm.write(f"Wrote {output}", file=sys.stdout)
            except PlkitError as error:
                failed += 1
                tqdm.write(" ".join(str(error).split()), file=sys.stderr)
            bar.update()
    if fresh and not any(folder.iterdir()):
        folder.rmdir()
    left = f", {len(plan) - len(todo)} left as they were" if len(todo) < len(plan) else ""
    typer.echo(f"Converted {len(todo) - failed} of {len(plan)} files{left}")
    if failed:
        raise typer.Exit(2)


def correct_file(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Any file that plkit reads.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .nc, .zarr or .csv file.")],
    step: Annotated[
        list[str],
        typer.Option(
            "--step",
            "-s",
            metavar="'NAME KEY=VALUE...'",
            help="A correction of plkit.spectra, in the order given: -s mask_saturation "
            "-s 'subtract_dark dark=dark.sif' -s despike -s 'crop wavelength=520:900'.",
        ),
    ],
    force: Force = False,
    compression: Compress = "zlib",
    reader: Reader = None,
    option: Options = None,
) -> None:
    """Correct one file: dark, cosmic rays, response, range, bins; without a recipe."""
    from plkit import write
    from plkit.cli.steps import parsed_step

    _refuse_target(source, target, force)
    steps = [parsed_step(words) for words in step]  # all of them before the first is done
    ds = read_file(source, reader, option)
    before = str(ds.attrs.get("history", "")).count("\n")
    for correct in steps:
        ds = correct(ds)
    write(ds, target, overwrite=force, compression=compression)  # type: ignore[arg-type]
    for line in str(ds.attrs["history"]).split("\n")[before + 1 :]:
        typer.echo(line.partition(" plkit.")[2])
    typer.echo(f"Wrote {target}")
