"""``plkit view``: the page of a file in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.arguments import Options, Reader

__all__ = ["view"]


def view(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Any file that plkit reads, or results of plkit run."),
    ],
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, open nothing.")
    ] = False,
    reader: Reader = None,
    option: Options = None,
) -> None:
    """Look at a file in the browser: map, spectra, kinetics; results with everything found."""
    from plkit.apps.view.server import serve
    from plkit.cli.options import reader_options, saying_how

    def announce(address: str) -> None:
        typer.echo(f"{address}  (stop with Ctrl+C)")

    with saying_how():
        serve(
            file, reader=reader, options=reader_options(option or ()), port=port, announce=announce,
            show=not no_browser,
        )  # fmt: skip
