"""The figures of a study, drawn from its results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from plkit import plot
from plkit.names import COMPONENT, INTENSITY, NOISE_FLOOR, NOISE_GAIN, POWER, TIME

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["study_figures", "write_figures"]

Drawing = tuple[str, Callable[[], "Figure"]]


def write_figures(
    tree: xr.DataTree, folder: Path, *, identifier: str = "", progress: bool = False
) -> dict[str, Path]:
    """Draw every figure of a study as SVG and PNG.

    Parameters
    ----------
    tree : xarray.DataTree
        Results of :func:`plkit.run_study`.
    folder : pathlib.Path
        Where the figures go; made where needed.
    identifier : str, optional
        Id of the results, embedded in every figure.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    dict of str to pathlib.Path
        Name → the file for the report: PNG where the figure is an image, SVG elsewhere.
    """
    from tqdm import tqdm

    files = {}
    for name, draw in tqdm(
        list(study_figures(tree)), desc="figures", unit="figure", disable=not progress
    ):
        written = plot.save_figure(draw(), folder / name, identifier=identifier)
        is_image = name.rsplit("_", 1)[-1] in ("movie", "map", "composition")
        files[name] = written["png" if is_image else "svg"]
    return files


def study_figures(tree: xr.DataTree) -> Iterator[Drawing]:
    """Names and drawings of all figures of a study.

    Parameters
    ----------
    tree : xarray.DataTree
        Results of :func:`plkit.run_study`.

    Yields
    ------
    tuple of str and callable
        Name, for instance ``"x1.0_kinetics"``, and a function that draws it.
    """
    samples = {n: _groups(node) for n, node in tree.children.items()}
    with_energy = {n: g["arrhenius"] for n, g in samples.items() if "arrhenius" in g}
    if with_energy:
        yield "all_arrhenius", lambda: plot.plot_arrhenius(with_energy)
    with_kinetics = {n: g["kinetics"] for n, g in samples.items() if "kinetics" in g}
    if with_kinetics:
        yield "all_conversion", lambda: plot.plot_conversion(with_kinetics)
    for name, groups in samples.items():
        for what, draw in _sample_figures(groups):
            yield f"{name}_{what}", draw
    with_diffusion = {n: g["diffusion"] for n, g in samples.items() if "diffusion" in g}
    if with_diffusion:
        yield "all_diffusion", lambda: plot.plot_diffusion(with_diffusion)


def _groups(node: xr.DataTree) -> dict[str, xr.Dataset]:
    return {name: child.to_dataset() for name, child in node.children.items()}


def _sample_figures(g: dict[str, xr.Dataset]) -> Iterator[Drawing]:
    strongest = {POWER: -1}
    if "raw" in g:
        raw = g["raw"].isel(strongest)
        yield "spectra", lambda: plot.plot_spectra(raw)
        yield "movie", lambda: plot.plot_spectral_movie(raw)
        yield "peak", lambda: plot.plot_track(g["peaks"], "peak_wavelength")
    if "kinetics" in g:
        unmixed, kin = g["unmixed"], g["kinetics"]
        yield "unmixing", lambda: _unmixing(g)
        yield "kinetics", lambda: plot.plot_kinetics(unmixed.isel(strongest), kin.isel(strongest))
        yield "powers_kinetics", lambda: plot.plot_kinetics(unmixed, kin)
    if "heating" in g:
        yield "temperature", lambda: plot.plot_temperature(g["heating"])
    if "recovery_raw" in g:
        yield "recovery_spectra", lambda: plot.plot_spectra(g["recovery_raw"])
    if "recovery_kinetics" in g:
        yield (
            "recovery_kinetics",
            lambda: plot.plot_kinetics(g["recovery_unmixed"], g["recovery_kinetics"]),
        )
    if "maps" in g:
        yield from _map_figures(g)
    if "overview" in g:
        yield from _overview_figures(g)


def _unmixing(g: dict[str, xr.Dataset]) -> Figure:
    """Last frame at the strongest power as the sum of its components."""
    raw = g["raw"].isel({POWER: -1})
    noise = [n for n in (NOISE_GAIN, NOISE_FLOOR) if n in raw]
    frame = raw[["last_frame", *noise]].rename({"last_frame": INTENSITY})
    return plot.plot_unmixing(
        frame, g["references"]["reference"], g["unmixed"].isel({POWER: -1, TIME: -1})
    )


def _map_figures(g: dict[str, xr.Dataset]) -> Iterator[Drawing]:
    last = {POWER: -1}
    one = g["maps"].isel(last).sel({COMPONENT: _growing(g, g["maps"])})
    yield "map", lambda: plot.plot_map(one, "fraction", clim=_from_zero(one))
    if "profiles" in g:
        yield (
            "profile",
            lambda: plot.plot_profile(
                one["fraction"], g["profiles"].isel(last), stderr=one["fraction_stderr"]
            ),
        )
    iodine = g["composition"].isel(last)
    if "x_iodine" in iodine:
        yield "composition", lambda: plot.plot_composition(iodine)


def _overview_figures(g: dict[str, xr.Dataset]) -> Iterator[Drawing]:
    overview = g["overview"]
    if "fraction" in overview:
        whole = overview.sel({COMPONENT: _growing(g, overview)})
        yield "overview_map", lambda: plot.plot_map(whole, "fraction", clim=_from_zero(whole))
    if "x_iodine" in overview:
        yield "overview_composition", lambda: plot.plot_composition(overview)
    yield "overview_peak_map", lambda: plot.plot_map(overview, "peak_energy")


def _growing(g: dict[str, xr.Dataset], ds: xr.Dataset) -> str:
    """Component that grows: not the one that the kinetics says falls."""
    falling = (
        str(g["kinetics"].attrs[COMPONENT]) if "kinetics" in g else str(ds[COMPONENT].values[0])
    )
    return next(str(c) for c in ds[COMPONENT].values if c != falling)


def _from_zero(ds: xr.Dataset) -> tuple[float, float]:
    """Colours from no emission to the brightest spot: a small halo is no outlier to be clipped."""
    return 0.0, float(ds["fraction"].max())
