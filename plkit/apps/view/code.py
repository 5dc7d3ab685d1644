"""What is on the screen, as Python and as a recipe: both run and give the same numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plkit.apps.view.layers import Layer
from plkit.apps.view.operations import OPERATIONS
from plkit.apps.view.state import ViewState
from plkit.apps.view.values import band_of, box_of, index_at
from plkit.apps.view.workspace import Workspace
from plkit.errors import DataError
from plkit.names import COMPONENT, POWER, TIME, WAVELENGTH, X, Y

__all__ = ["code_of", "python_of", "recipe_of", "references_code"]


def python_of(work: Workspace, layer: Layer, state: ViewState) -> str:
    """Python that gives ``image``, ``spectrum`` and the spectra and means of pins and regions.

    Parameters
    ----------
    work : Workspace
        Of the view.
    layer : Layer
        That is shown.
    state : ViewState
        What is on the screen.

    Returns
    -------
    str
        A script that needs the file and plkit.
    """
    at = index_at(layer, state.at)
    lines = ["import plkit", "", f"ds = {layer.code}"]
    frame = "ds" + _isel(at)
    if layer.has_spectra:
        lines += [f"frame = {frame}"]
    lines += _image(work, layer, state, at)
    lines += _second(work, layer, state)
    if layer.has_spectra:
        lines += _spectra(layer, state)
    lines += _regions(layer, state)
    if layer.is_map:
        clim = f", clim={tuple(state.clim)!r}" if state.clim else ""
        cmap = "" if state.palette == "viridis" else f", cmap={state.palette.lower()!r}"
        lines += ["", f"figure = plkit.plot.plot_map(image{clim}{cmap})"]
    return "\n".join(lines) + "\n"


def _isel(index: dict[str, Any]) -> str:
    words = ", ".join(
        f"{d}=slice({i.start}, {i.stop})" if isinstance(i, slice) else f"{d}={i}"
        for d, i in index.items()
    )
    return f".isel({words})" if words else ""


def _image(
    work: Workspace,
    layer: Layer,
    state: ViewState,
    at: dict[str, int],
    words: tuple[str, str, str] = ("ds", "frame", "image"),
) -> list[str]:
    """Lines that give the image of a frame; ``words`` are the names of dataset, frame and image."""
    if not layer.plane:
        return []
    whole, frame, image = words
    rows, cols = layer.plane
    order = f'.transpose("{rows}", "{cols}")'
    q = state.quantity
    if q == "band":
        band = band_of(layer, state.band)
        axis = layer.axis(layer.spectral)
        return [
            f"# {axis[band.start]:.6g} to {axis[band.stop - 1]:.6g}",
            f"{image} = {frame}.{layer.variable}.isel({layer.spectral}=slice({band.start}, {band.stop}))"
            f'.sum("{layer.spectral}"){order}',
        ]
    if q == "slice":
        axis = layer.axis(layer.spectral)
        n = (
            axis.size // 2
            if state.slice_at is None
            else int(np.abs(axis - state.slice_at).argmin())
        )
        return [
            f"# at {axis[n]:.6g}",
            f"{image} = {frame}.{layer.variable}.isel({layer.spectral}={n}){order}",
        ]
    if q == "spectra":
        return [f"{image} = {frame}.{layer.variable}{order}"]
    key, _, name = q.rpartition("/")
    name, _, component = name.partition(":")
    source, lines = whole, []
    if key:
        source, lines = "result", list(work.fit_code.get((layer.name, key), []))
        if whole != "ds":
            lines = [f"ds = {whole}", *lines]
    of = (work.maps(layer)[key] if key else layer.ds)[name]
    select = f'.sel({COMPONENT}="{component}")' if component else ""
    inner = {d: i for d, i in at.items() if d in of.dims}
    return [*lines, f"{image} = {source}.{name}{select}{_isel(inner)}{order}"]


def _second(work: Workspace, layer: Layer, state: ViewState) -> list[str]:
    """The image beside the first one, and their difference."""
    found = work.compared(layer, state)
    if found is None:
        return []
    other, at = found
    same = other.name == layer.name
    lines = ["", f"other = {'ds' if same else other.code}"]
    if other.has_spectra:
        lines.append(f"other_frame = other{_isel(at)}")
    key = state.quantity.rpartition("/")[0]
    words = ("other", "other_frame", "second")
    if same and key:
        # The fit stands above; its result holds every frame.
        lines.append(_image(work, other, state, at, words)[-1])
    elif key:
        lines += ["first_ds = ds", *_image(work, other, state, at, words), "ds = first_ds"]
    else:
        lines += _image(work, other, state, at, words)
    if state.difference:
        lines.append("difference = image.copy(data=second.values - image.values)")
    return [*lines, ""]


def _mean(layer: Layer, row: int, col: int, half: int) -> str:
    box = box_of(layer, row, col, half)
    over = ", ".join(f'"{d}"' for d in box)
    mean = f".mean([{over}])" if box else ""
    return f"frame.{layer.variable}{_isel(box)}{mean}"


def _spectra(layer: Layer, state: ViewState) -> list[str]:
    lines = [f"spectrum = {_mean(layer, state.row, state.col, state.half)}"]
    if state.pins:
        lines.append("pins = {")
        lines += [
            f"    {p['name']!r}: {_mean(layer, p['row'], p['col'], p['half'])}," for p in state.pins
        ]
        lines.append("}")
    if state.energy and layer.spectral == WAVELENGTH:
        lines.append(
            "spectrum_ev = plkit.spectra.to_energy("
            f'spectrum.assign_attrs(units="counts").to_dataset(name="{layer.variable}"))'
        )
    return lines


def _regions(layer: Layer, state: ViewState) -> list[str]:
    if not state.regions or not layer.is_map:
        return []
    row, col = layer.plane
    lines = ["", "import xarray as xr", "from matplotlib.path import Path", ""]
    lines += [
        f"corners_{i} = {[[float(a), float(b)] for a, b in zip(r['x'], r['y'], strict=True)]}"
        for i, r in enumerate(state.regions)
    ]
    names_ = ", ".join(f"{r['name']!r}: corners_{i}" for i, r in enumerate(state.regions))
    lines += [
        f"x, y = xr.broadcast(ds.{col}, ds.{row})",
        "points = list(zip(x.values.ravel(), y.values.ravel()))",
        "regions = {",
        "    name: image.where(x.copy(data=Path(corners).contains_points(points).reshape(x.shape)))",
        f"    for name, corners in {{{names_}}}.items()",
        "}",
        "means = {name: float(pixels.mean()) for name, pixels in regions.items()}",
    ]
    return lines


# Recipe ---------------------------------------------------------------------------------------
def recipe_of(layer: Layer, state: ViewState, chosen: dict[str, Any]) -> str:
    """Recipe (TOML) for ``plkit run`` that carries the file to the same peaks and compositions.

    Parameters
    ----------
    layer : Layer
        That is shown.
    state : ViewState
        What is on the screen; its band is the window of the peaks.
    chosen : dict
        Settings of the whole-map fits: ``method``, ``calibration``.

    Returns
    -------
    str
        The text of STUDY.toml; of results, the recipe that they were made by.

    Raises
    ------
    DataError
        If a recipe cannot say what is shown.
    """
    recipe = _recipe_of_results(layer)
    if recipe is not None:
        return recipe
    if layer.spectral != WAVELENGTH:
        raise DataError(
            "write a recipe",
            f"the spectra run over '{layer.spectral or 'nothing'}', not wavelength",
        )
    file = Path(layer.path).resolve()
    if layer.is_map:
        if layer.outer:
            raise DataError(
                "write a recipe", f"the map runs over {', '.join(layer.outer)} too, not over y and x alone",
                "A recipe takes one map per file: write one frame with plkit.write.",
            )  # fmt: skip
        role = "overview"
    elif TIME in layer.plane and set(layer.outer) <= {POWER}:
        role = "exposure"
        if POWER not in layer.ds.coords:
            raise DataError(
                "write a recipe", f"'{file.name}' does not state the laser power",
                "Add it: ds.assign_coords(power=10.0), then plkit.write.",
            )  # fmt: skip
    else:
        raise DataError(
            "write a recipe", f"the spectra run over {', '.join((*layer.plane, *layer.outer))}, "
            f"neither over {Y} and {X} nor over {TIME}",
        )  # fmt: skip
    stem = file.name.split(".")[0] if file.name else "sample"
    dark, references = "", ""
    if layer.dark:
        dark = f"dark = {_quoted(Path(layer.dark).resolve())}\n"
    chosen_files = {n: layer.references[n] for n in state.references if n in layer.references}
    if len(chosen_files) > 1:
        words = [
            f"{_quoted(n)} = {_quoted(Path(f.path).resolve())}" for n, f in chosen_files.items()
        ]
        references = f"references = {{ {', '.join(words)} }}\n"
        if chosen.get("background", "none") != "none":
            references += f"background = {_quoted(chosen['background'])}\n"
    window = ""
    if state.band is not None:
        low, high = sorted(state.band)
        window = f"window_nm = [{low:.6g}, {high:.6g}]\n"
    return (
        f'[study]\ntitle = {_quoted(stem)}\noutput = "results"\n\n'
        f"[corrections]\ndespike = false\n{dark}\n"
        f"[peaks]\nmethod = {_quoted(chosen.get('method', 'parabola'))}\n{window}\n"
        f"[composition]\ncalibration = {_quoted(chosen.get('calibration', 'cunha2025'))}\n\n"
        f"[samples.{_quoted(stem)}]\n"
        f"{role} = {_quoted(file)}\n{references}"
    )


def _quoted(text: object) -> str:
    """A basic string of TOML."""
    return json.dumps(str(text), ensure_ascii=False)


def _recipe_of_results(layer: Layer) -> str | None:
    """The recipe that stands in the results of a study."""
    from plkit.apps.view.layers import results_file

    where = results_file(Path(layer.path))
    if where is None:
        return None
    import h5py

    with h5py.File(where, "r") as file:
        record = json.loads(file.attrs["provenance"])
    return str(record["recipe_text"])


def references_code(layer: Layer, state: ViewState, chosen: list[str]) -> str:
    """Python that makes the reference spectra of pins and regions.

    Parameters
    ----------
    layer : Layer
        That is shown.
    state : ViewState
        With pins and regions.
    chosen : list of str
        Their names, in order.

    Returns
    -------
    str
        Lines that define ``refs``.
    """
    at = _isel(index_at(layer, state.at))
    lines = [f"at = ds{at}.{layer.variable}"]
    words = []
    like = ""
    for i, name in enumerate(chosen):
        if name in layer.references:
            words.append(f"{name!r}: {layer.references[name].code}")
            like = "like=ds, "
            continue
        pin = next((p for p in state.pins if p["name"] == name), None)
        if pin is not None:
            box = box_of(layer, pin["row"], pin["col"], pin["half"])
            over = ", ".join(f'"{d}"' for d in box)
            lines.append(f"reference_{i} = at{_isel(box)}.mean([{over}])")
        else:
            from plkit.apps.view.values import region_mask

            region = next(r for r in state.regions if r["name"] == name)
            rows, cols = np.nonzero(region_mask(layer, region))
            lines += [
                "import xarray as xr",
                f'reference_{i} = at.isel({layer.plane[0]}=xr.DataArray({rows.tolist()}, dims="pixel"), '
                f'{layer.plane[1]}=xr.DataArray({cols.tolist()}, dims="pixel")).mean("pixel")',
            ]
        words.append(f"{name!r}: reference_{i}")
    lines.append(f"refs = plkit.references({like}**{{{', '.join(words)}}})")
    return "\n".join(lines)


def code_of(layer: Layer, state: ViewState, settings: Mapping[str, Any]) -> list[str]:
    """Python of a whole-map fit.

    Parameters
    ----------
    layer : Layer
        That is fitted.
    state : ViewState
        With pins and regions.
    settings : mapping
        From :func:`plkit.apps.view.operations.settings_of`.

    Returns
    -------
    list of str
        Pieces that define ``result``.
    """
    out = []
    if "references" in settings:
        chosen = [str(c) for c in settings["references"][COMPONENT].values]
        out.append(references_code(layer, state, chosen))
    out.append(f"result = {OPERATIONS[settings['kind']].code(settings)}")
    return out
