"""The commands. Each imports what it needs when it is called, so that help comes at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.figures import figures
from plkit.cli.files import add_files
from plkit.cli.hopping import hopping
from plkit.cli.methods import add_methods
from plkit.cli.view import add_view

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hyperspectral photoluminescence of halide perovskites: from the instrument's file to "
    "the paper's number, with its uncertainty.",
)
simulate = typer.Typer(no_args_is_help=True, help="Make measurements whose truth is known.")
app.add_typer(simulate, name="simulate")
add_files(app)
add_methods(app)
add_view(app)
app.command()(figures)
simulate.command()(hopping)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]


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


def _say(text: str) -> None:
    typer.echo(text)


def _progress(quiet: bool) -> bool:
    """Show progress only to somebody who looks: never into a file."""
    return not quiet and sys.stderr.isatty()


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "demo-results"
    ),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run the bundled study: raw spectra to activation energies and a report."""
    from plkit.samples import study

    _run(Path(study()), output, quiet, as_json)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new study.")],
) -> None:
    """Start a study: write a recipe in which every key is explained."""
    from plkit.study.recipe import write_template

    recipe = write_template(folder)
    _say(f"Wrote {recipe}. Put your files beside it, edit it, then: plkit run {recipe}")


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Recipe, or its folder.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the results instead of the recipe's."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Carry a study from its files to its numbers, figures and report."""
    _run(recipe, output, quiet, as_json)


def _run(recipe: Path, output: Path | None, quiet: bool, as_json: bool) -> None:
    from plkit.study.recipe import load_recipe
    from plkit.study.run import run_study

    folder = load_recipe(recipe).output_folder(output)
    tree = run_study(recipe, output, progress=_progress(quiet))
    summary = json.loads(tree.attrs["summary"])
    if as_json:
        _say(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    from plkit.cli.findings import findings

    _say("\n".join(findings(summary)))
    for line in summary.get("warnings", ()):
        typer.echo(f"warning: {line}", err=True)
    _say(f"\nReport: {folder / 'report.html'}\nNumbers: {folder / 'results.nc'}")


@simulate.command("study")
def simulate_whole_study(
    folder: Annotated[Path, typer.Argument(help="New folder for the files.")],
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 20250101,
    small: Annotated[bool, typer.Option("--small", help="A quick version of the same.")] = False,
    quiet: Quiet = False,
) -> None:
    """Simulate the measurements of a whole study, with its recipe and its truth."""
    from plkit.sim.study import simulate_study

    recipe = simulate_study(folder, seed=seed, small=small, progress=_progress(quiet))
    _say(f"Wrote {recipe}. Analyse it with: plkit run {recipe}")


@app.command("reproduce")
def show_reproduction(quiet: Quiet = False, as_json: Json = False) -> None:
    """Compute every published number again and set it beside the paper's."""
    from plkit.study.reproduction import reproduce

    table = reproduce(progress=_progress(quiet))
    _say(json.dumps(table.to_dict(), indent=2, ensure_ascii=False) if as_json else str(table))


@app.command()
def version() -> None:
    """Print plkit's version."""
    import plkit

    _say(f"plkit {plkit.__version__}")


# Commands in files of their own, which add themselves to the two above.
from plkit.cli import cycling_command, export_command, plan_command  # noqa: E402, F401
