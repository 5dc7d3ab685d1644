"""``plkit view``: the page of a file in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.arguments import Options, Reader

__all__ = ["view"]


def view(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="Any file that plkit reads, or results of plkit run; a second one "
            "can be looked at beside the first.",
        ),
    ],
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", help="Reference spectrum, FILE or NAME=FILE; may be repeated."),
    ] = None,
    dark: Annotated[
        Path | None, typer.Option("--dark", help="File without light, which is subtracted.")
    ] = None,
    session: Annotated[
        Path | None, typer.Option("--session", help="Session that was saved on the page.")
    ] = None,
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
            files, references=reference or (), dark=dark, session=session, reader=reader,
            options=reader_options(option or ()), port=port, announce=announce, show=not no_browser,
        )  # fmt: skip
