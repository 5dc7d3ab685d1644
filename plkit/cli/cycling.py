"""``plkit simulate cycling``: a spectral movie under periodic heating."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from plkit.cli.arguments import Force, Json, Seed, refuse_existing, say_json
from plkit.names import TIME

__all__ = ["simulate_cycling"]


def simulate_cycling(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A new .nc or .zarr file.")],
    on_s: Annotated[float, typer.Option("--on", help="Length of a heater pulse in s.")] = 0.5,
    period_s: Annotated[float, typer.Option("--period", help="From pulse to pulse in s.")] = 5.0,
    dc: Annotated[bool, typer.Option("--dc", help="The heater stays on instead.")] = False,
    duration_s: Annotated[float, typer.Option("--duration", help="Length in s.")] = 180.0,
    current_ma: Annotated[float, typer.Option("--current", help="Heater current in mA.")] = 400.0,
    exposure_s: Annotated[float, typer.Option("--exposure", help="Of one spectrum in s.")] = 0.5,
    photons: Annotated[float, typer.Option(help="Photons per spectrum of the mixed film.")] = 1e5,
    seed: Seed = 20250101,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate spectra of a film under light while its heater is switched (phenomenological)."""
    from plkit.io import write
    from plkit.sim import CyclingEmission, HeaterProtocol, severity_of, thermal_cycling

    refuse_existing("simulate thermal cycling", target, force)
    length = math.inf if dc else on_s
    protocol = HeaterProtocol(length, math.inf if dc else period_s, duration_s, current_ma)
    emission = CyclingEmission(photons_per_frame=photons)
    ds = thermal_cycling(protocol, emission=emission, exposure_s=exposure_s, seed=seed)
    label, top = severity_of(ds, protocol)
    write(ds, target, overwrite=force)
    if as_json:
        found = {
            "file": str(target),
            "protocol": protocol.name,
            "severity": label,
            "segregated_fraction_maximum": top,
            "frames": ds.sizes[TIME],
        }
        say_json(found)
        return
    typer.echo(
        f"{protocol.name}: {label} segregation, at most {100 * top:.2g} % of the film in the last cycle."
    )
    typer.echo(
        f"Wrote {target}: {ds.sizes[TIME]} spectra, with the true fraction and temperature beside them."
    )
