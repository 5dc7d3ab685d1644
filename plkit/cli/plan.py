"""``plkit plan``: what a study will find, before it is measured."""

from __future__ import annotations

from typing import Annotated

import typer

from plkit.cli.arguments import Json, Quiet, Recipe, progress, say_json

__all__ = ["plan"]


def plan(
    recipe: Recipe,
    studies: Annotated[
        int | None, typer.Option(help="How often the study is simulated; 24 by default.")
    ] = None,
    target_mev: Annotated[
        float | None, typer.Option(help="Wanted σ of E_a in meV; a tenth of E_a by default.")
    ] = None,
    no_scan: Annotated[
        bool,
        typer.Option("--no-scan", help="Do not vary powers, photons and seconds: much quicker."),
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help="Seed of every random number; the recipe's by default.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Simulate a planned study: how surely it will give E_a and D, and what would make it surer."""
    from plkit.study.plan import plan_study

    found = plan_study(
        recipe,
        studies=studies,
        target_stderr_ev=None if target_mev is None else 1e-3 * target_mev,
        scan=not no_scan,
        seed=seed,
        progress=progress(quiet),
    )
    if as_json:
        say_json(found.to_dict())
    else:
        typer.echo(str(found))
