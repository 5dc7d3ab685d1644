"""The commands and their names. Each imports what it needs when it is called: help comes at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from plkit.cli.cycling import simulate_cycling
from plkit.cli.export import export_html
from plkit.cli.figures import figures
from plkit.cli.files import convert_files, correct_file, show_info
from plkit.cli.hopping import hopping
from plkit.cli.methods import fit, lifetimes, unmix
from plkit.cli.plan import plan
from plkit.cli.reproduce import show_reproduction
from plkit.cli.study import demo, init, run, simulate_whole_study
from plkit.cli.view import view

__all__ = ["app"]


def version() -> None:
    """Print plkit's version."""
    import plkit

    typer.echo(f"plkit {plkit.__version__}")


_COMMANDS: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "A whole study": {"demo": demo, "init": init, "plan": plan, "run": run},
    "One file": {
        "info": show_info, "convert": convert_files, "correct": correct_file,
        "unmix": unmix, "fit": fit, "lifetimes": lifetimes, "view": view,
        "export-html": export_html,
    },
    "What was published": {"reproduce": show_reproduction, "figures": figures},
    "And": {"version": version},
}  # fmt: skip
"""By heading, in the order of the help."""

_SIMULATIONS: Final[dict[str, Callable[..., Any]]] = {
    "hopping": hopping, "study": simulate_whole_study, "cycling": simulate_cycling,
}  # fmt: skip

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hyperspectral photoluminescence of halide perovskites: from the instrument's file to "
    "the paper's number, with its uncertainty.",
)
_simulate = typer.Typer(no_args_is_help=True, help="Make measurements whose truth is known.")
for _heading, _commands in _COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_heading)(_command)
for _name, _command in _SIMULATIONS.items():
    _simulate.command(_name)(_command)
app.add_typer(_simulate, name="simulate", rich_help_panel="And")


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")
    ] = False,
) -> None:
    """Options of every command."""
