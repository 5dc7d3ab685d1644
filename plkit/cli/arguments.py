"""Arguments that several commands take, in one wording, and what each does with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plkit.errors import FileFormatError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "File",
    "Force",
    "Json",
    "Options",
    "Quiet",
    "Reader",
    "Recipe",
    "Seed",
    "progress",
    "read_file",
    "refuse_existing",
    "say_json",
]

File = Annotated[Path, typer.Argument(metavar="FILE", help="Any file that plkit reads.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", "-O", metavar="NAME=VALUE",
        help="What the file does not say, as for plkit.read: -O column_dim=time; may be repeated.",
    ),
]  # fmt: skip
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Reader = Annotated[
    str | None, typer.Option("--reader", help="Name of the reader, where the suffix misleads.")
]
Recipe = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Recipe, or its folder.")]
Seed = Annotated[int, typer.Option(help="Seed of every random number.")]


def progress(quiet: bool) -> bool:
    """Show progress only to somebody who looks: never into a file."""
    return not quiet and sys.stderr.isatty()


def read_file(file: Path, reader: str | None, option: list[str] | None) -> xr.Dataset:
    """Read a file as its options say; a refusal tells how they are given on the command line."""
    from plkit.cli.options import reader_options, saying_how
    from plkit.io import read

    with saying_how():
        return read(file, reader=reader, **reader_options(option or ()))


def refuse_existing(action: str, target: Path, force: bool) -> None:
    """Refuse before the work, not after it, to write over a file."""
    if target.exists() and not force:
        raise FileFormatError(
            action, f"{target} exists, not a new file", "Give --force to overwrite it."
        )


def say_json(found: Any) -> None:
    """Print as JSON."""
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
