"""``plkit export-html``: a map with everything that a click shows, as one file that can be mailed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.arguments import Force, Options, Quiet, Reader, progress

__all__ = ["export_html"]


def export_html(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Any file that plkit reads, or results of plkit run."),
    ],
    target: Annotated[
        Path | None,
        typer.Argument(metavar="[OUT.html]", help="By default FILE with .html, in this folder."),
    ] = None,
    maps: Annotated[
        list[Path] | None,
        typer.Option(
            "--maps", help="Results on the same pixels, as of plkit unmix; may be repeated."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    max_mb: Annotated[
        float,
        typer.Option("--max-mb", min=1.0, help="Largest size in MB; what is larger is averaged."),
    ] = 10.0,
    force: Force = False,
    reader: Reader = None,
    option: Options = None,
    quiet: Quiet = False,
) -> None:
    """Write one HTML file to mail: map, spectra, kinetics by a click, without plkit or network."""
    import xarray as xr

    import plkit
    from plkit.cli.options import reader_options, saying_how
    from plkit.errors import FileFormatError

    found = {}
    for file in maps or ():
        try:
            with xr.open_dataset(file, decode_timedelta=False) as ds:
                found[file.stem] = ds.load()
        except (OSError, ValueError) as error:
            raise FileFormatError(
                f"read the maps of {file}", f"it is no netCDF file ({type(error).__name__})",
                "Name a file that plkit wrote.",
            ) from error  # fmt: skip
    out = target or Path(f"{source.resolve().stem}.html")
    options = reader_options(option or ())
    if reader is not None:
        options["reader"] = reader
    with saying_how():
        plkit.export_html(
            source, out, maps=found, title=title, max_mb=max_mb, overwrite=force,
            progress=progress(quiet), **options,
        )  # fmt: skip
    typer.echo(f"Wrote {out} ({out.stat().st_size / 1e6:.1f} MB)")
