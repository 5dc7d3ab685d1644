"""The published figures, drawn again by the scripts of docs/figures from the bundled study."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import xarray as xr

import plkit
from plkit import plot
from plkit.errors import DataError
from plkit.study.provenance import file_sha256, provenance_id

__all__ = ["draw_figures", "figure_scripts"]

_ACTION = "draw the figures"


def figure_scripts() -> dict[str, Path]:
    """Scripts of the published figures, by name.

    Returns
    -------
    dict of str to pathlib.Path
        For instance ``"h_fig2"``. They come with plkit's source, not with an installed copy.

    Raises
    ------
    DataError
        Where the source is not at hand.

    Examples
    --------
    >>> "h_fig2" in figure_scripts()
    True
    """
    folder = Path(plkit.__file__).parents[1] / "docs" / "figures"
    found = {p.stem: p for p in sorted(folder.glob("*_fig*.py"))}
    if not found:
        raise DataError(
            _ACTION, f"{folder} has no scripts, not those that come with plkit's source",
            "Run the command in a checkout of plkit.",
        )  # fmt: skip
    return found


def draw_figures(
    output: str | Path,
    only: Sequence[str] = (),
    *,
    results: str | Path | None = None,
    progress: bool = False,
) -> Iterator[tuple[str, Path]]:
    """Draw published figures as SVG and PNG, each with a JSON file that says what it was made of.

    Parameters
    ----------
    output : str or path-like
        Folder of the figures; made where needed.
    only : sequence of str, optional
        Names from :func:`figure_scripts`; all by default.
    results : str or path-like, optional
        ``results.nc`` of the bundled study; by default the study is run first, into ``output``.
    progress : bool, optional
        Show a progress bar while the study runs.

    Yields
    ------
    tuple of str and pathlib.Path
        Name and PNG of each figure when it is written.

    Raises
    ------
    DataError
        For an unknown name, or a folder that cannot be written.
    """
    scripts = figure_scripts()
    unknown = [name for name in only if name not in scripts]
    if unknown:
        raise DataError(_ACTION, f"'{unknown[0]}' is not one of {', '.join(scripts)}")
    output = Path(output)
    if results is None:
        from plkit.study.run import run_study

        plkit_study = plkit.samples.study()
        run_study(plkit_study, output / "study", progress=progress)
        results = output / "study" / "results.nc"
    tree = plkit.open_results(results)
    for name in only or scripts:
        yield name, _draw(name, scripts[name], tree, output)


def _draw(name: str, path: Path, tree: xr.DataTree, output: Path) -> Path:
    script = _load(name, path)
    study = json.loads(str(tree.attrs["provenance"]))
    record = {
        "figure": name,
        "title": (script.__doc__ or "").strip().splitlines()[0],
        "script_sha256": file_sha256(path),
        "study": study,
    }
    made_of = f"{record['script_sha256']} {provenance_id(study)}"
    identifier = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    files = plot.save_figure(script.draw(tree), output / name, identifier=identifier)
    record = {"id": identifier, **record, "sha256": {k: file_sha256(p) for k, p in files.items()}}
    side = output / f"{name}.json"
    side.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return files["png"]


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"plkit_figure_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
