"""A whole study: ``plkit demo``, ``init``, ``run`` and ``simulate study``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.arguments import Json, Quiet, Recipe, Seed, progress, say_json

__all__ = ["demo", "init", "run", "simulate_whole_study"]


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "demo-results"
    ),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run the bundled study: raw spectra to activation energies and a report."""
    from plkit.samples import study

    run(Path(study()), output, quiet, as_json)


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new study.")],
) -> None:
    """Start a study: write a recipe in which every key is explained."""
    from plkit.study.recipe import write_template

    recipe = write_template(folder)
    typer.echo(f"Wrote {recipe}. Put your files beside it, edit it, then: plkit run {recipe}")


def run(
    recipe: Recipe,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the results instead of the recipe's."),
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Carry a study from its files to its numbers, figures and report."""
    from plkit.cli.findings import findings
    from plkit.study.recipe import load_recipe
    from plkit.study.run import run_study

    folder = load_recipe(recipe).output_folder(output)
    tree = run_study(recipe, output, progress=progress(quiet))
    summary = json.loads(tree.attrs["summary"])
    if as_json:
        say_json(summary)
        return
    typer.echo("\n".join(findings(summary)))
    for line in summary.get("warnings", ()):
        typer.echo(f"warning: {line}", err=True)
    typer.echo(f"\nReport: {folder / 'report.html'}\nNumbers: {folder / 'results.nc'}")


def simulate_whole_study(
    folder: Annotated[Path, typer.Argument(help="New folder for the files.")],
    seed: Seed = 20250101,
    small: Annotated[bool, typer.Option("--small", help="A quick version of the same.")] = False,
    quiet: Quiet = False,
) -> None:
    """Simulate the measurements of a whole study, with its recipe and its truth."""
    from plkit.sim.study import simulate_study

    recipe = simulate_study(folder, seed=seed, small=small, progress=progress(quiet))
    typer.echo(f"Wrote {recipe}. Analyse it with: plkit run {recipe}")
