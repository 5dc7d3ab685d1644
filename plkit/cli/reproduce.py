"""``plkit reproduce``: every published number, computed again."""

from __future__ import annotations

import typer

from plkit.cli.arguments import Json, Quiet, progress, say_json

__all__ = ["show_reproduction"]


def show_reproduction(quiet: Quiet = False, as_json: Json = False) -> None:
    """Compute every published number again and set it beside the paper's."""
    from plkit.study.reproduction import reproduce

    table = reproduce(progress=progress(quiet))
    if as_json:
        say_json(table.to_dict())
    else:
        typer.echo(str(table))
