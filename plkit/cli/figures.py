"""``plkit figures``: the published figures, drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.arguments import Quiet, progress

__all__ = ["figures"]


def figures(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the figures.")] = Path(
        "figures"
    ),
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a figure, as h_fig2; may be repeated.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="results.nc of the bundled study; it is run first where not given."),
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the names and stop.")] = False,
    quiet: Quiet = False,
) -> None:
    """Draw the published figures again, from the bundled study."""
    from plkit.study.published_figures import draw_figures, figure_scripts

    if show:
        for name, path in figure_scripts().items():
            title = path.read_text("utf-8").lstrip('"').splitlines()[0]
            typer.echo(f"{name}  {title}")
        return
    drawn = draw_figures(output, only or (), results=results, progress=progress(quiet))
    for name, path in drawn:
        typer.echo(f"{name}  {path}")
