"""``plkit simulate hopping``: kinetic Monte Carlo of ions, written to a netCDF file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from plkit.cli.arguments import Force, Quiet, progress, refuse_existing

__all__ = ["hopping"]

_ACTION = "simulate the hopping of ions"


def hopping(
    output: Annotated[Path, typer.Argument(metavar="OUT.nc", help="File to write.")],
    times: Annotated[
        list[float] | None,
        typer.Option(
            "--time", "-t", help="Snapshot (s, or steps for --rule published); may be repeated."
        ),
    ] = None,
    rule: Annotated[
        Literal["exact", "published"], typer.Option(help="Physical time, or the paper's steps.")
    ] = "exact",
    size: Annotated[int, typer.Option(help="Sites along each edge.")] = 20,
    iodide: Annotated[float, typer.Option(help="Share of the sites that hold iodide.")] = 0.352,
    vacancies: Annotated[float, typer.Option(help="Share of the sites that are empty.")] = 0.008,
    closed: Annotated[
        bool, typer.Option("--closed", help="Walls instead of periodic ends.")
    ] = False,
    barriers: Annotated[tuple[float, float], typer.Option(help="Of bromide and iodide (eV).")] = (
        0.21,
        0.10,
    ),
    laser_k: Annotated[
        float, typer.Option(help="Temperature rise on the axis of the laser (K); 0 is the dark.")
    ] = 0.0,
    escape: Annotated[
        tuple[float, float] | None, typer.Option(help="A and α (1/K) of the loss of iodide.")
    ] = None,
    escape_attempts: Annotated[
        float | None, typer.Option(help="How often an iodide tries, with --rule exact (1/s).")
    ] = None,
    carriers: Annotated[
        float | None, typer.Option(help="Density of carriers that lower the energy (1/cm³).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first replica.")] = 0,
    replicas: Annotated[int, typer.Option(help="Independent runs.")] = 1,
    go_on: Annotated[
        Path | None,
        typer.Option("--continue", help="Earlier OUT.nc to go on from, with its own settings."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Let ions hop through a lattice under a laser: snapshots, gap, composition against time."""
    from plkit.errors import DataError, FileFormatError

    if output.suffix != ".nc":
        raise FileFormatError(_ACTION, f"{output} does not end in .nc", "Name a netCDF file.")
    refuse_existing(_ACTION, output, force)
    if not times:
        raise DataError(_ACTION, "no time is given", "For instance: --time 0 --time 1e-7.")
    from plkit.io import write
    from plkit.sim import simulate_ion_hopping

    start: Any
    model: Any = None
    if go_on is not None:
        start = _earlier(go_on)
    else:
        start, model = _fresh(
            rule, size, iodide, vacancies, closed, barriers, laser_k, escape, escape_attempts,
            carriers,
        )  # fmt: skip
    ds = simulate_ion_hopping(
        start, model, sorted(times), seed=seed, replicas=replicas, progress=progress(quiet)
    )
    write(ds, output, overwrite=force)
    gap = ds["local_gap"].mean("replica") if "replica" in ds.dims else ds["local_gap"]
    for t, value in zip(sorted(times), gap.values, strict=True):
        unit = "steps" if '"rule": "published"' in ds.attrs["model"] else "s"
        typer.echo(f"{t:>10g} {unit}: gap of the irradiated column {value:.3f} eV")
    typer.echo(f"Wrote {output}")


def _earlier(path: Path) -> Any:
    import xarray as xr

    from plkit.errors import FileFormatError

    try:
        with xr.open_dataset(path, decode_timedelta=False) as ds:
            return ds.load()
    except (OSError, ValueError) as error:
        raise FileFormatError(
            _ACTION, f"{path} cannot be read as netCDF ({type(error).__name__})",
            "Name a file that this command wrote.",
        ) from error  # fmt: skip


def _fresh(
    rule: Literal["exact", "published"],
    size: int,
    iodide: float,
    vacancies: float,
    closed: bool,
    barriers: tuple[float, float],
    laser_k: float,
    escape: tuple[float, float] | None,
    attempts: float | None,
    carriers: float | None,
) -> tuple[Any, Any]:
    from plkit.sim import CarrierEnergy, IodideEscape, IonHopping, IonLattice, LaserRise

    lattice = IonLattice(
        (size, size, size), iodide, vacancies, boundary="closed" if closed else "periodic"
    )
    return lattice, IonHopping(
        *barriers,
        laser=LaserRise(laser_k) if laser_k > 0 else None,
        escape=IodideEscape(*escape, attempts_per_s=attempts) if escape else None,
        carriers=CarrierEnergy(carriers) if carriers else None,
        rule=rule,
    )
