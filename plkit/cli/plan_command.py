"""``plkit plan``: what a study will find, before it is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.commands import Json, Quiet, _progress, _say, app

__all__ = ["plan"]


@app.command()
def plan(
    recipe: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Recipe, or its folder.")],
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
        progress=_progress(quiet),
    )
    _say(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) if as_json else str(found))
