"""One recipe in; results, figures and report out, all at once or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import xarray as xr

import plkit
from plkit.errors import FileFormatError, RecipeError
from plkit.study.chain import StudyResult, analyse_study
from plkit.study.recipe import Recipe, load_recipe

_OWN_NAMES = ("results.nc", "summary.json", "report.html", "figures")

__all__ = ["open_results", "run_study"]


def run_study(
    recipe: str | Path, output: str | Path | None = None, *, progress: bool = False
) -> xr.DataTree:
    """Carry a study from its files to its numbers.

    Parameters
    ----------
    recipe : str or pathlib.Path
        The recipe (TOML), or a folder that holds ``STUDY.toml``. ``plkit init`` writes one to start.
    output : str or pathlib.Path, optional
        Folder of the results instead of the recipe's. Results that stand there are replaced, all
        at once, when the run has succeeded; a run that fails touches nothing.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    xarray.DataTree
        One node per sample with ``raw``, ``unmixed``, ``kinetics``, ``heating``, ``arrhenius`` and,
        where recorded, ``recovery_unmixed``, ``recovery_kinetics``, ``maps``, ``composition``,
        ``overview``, ``profiles``, ``diffusion``. The same is in ``results.nc`` beside ``summary.json``,
        ``report.html`` and ``figures/``. ``tree.attrs["summary"]`` holds summary.json,
        ``tree.attrs["provenance"]`` inputs' sha256, recipe, versions and seeds.

    Raises
    ------
    RecipeError
        If the recipe is faulty.
    FileFormatError, DataError
        If a file cannot be used; the sentence names it.

    Examples
    --------
    >>> tree = run_study("study/STUDY.toml")                               # doctest: +SKIP
    >>> float(tree["x1.0/arrhenius"].activation_energy)                    # doctest: +SKIP
    0.25
    """
    loaded = load_recipe(recipe)
    target = loaded.output_folder(output)
    if target.exists() and not target.is_dir():
        raise RecipeError(
            f"run {loaded.path}", f"the output '{target}' is a file, not a folder", "Name a folder."
        )
    _refuse_strangers(loaded, target)
    _refuse_unwritable(loaded, target)
    return _publish(loaded, target, analyse_study(loaded, progress=progress), progress)


def _refuse_strangers(recipe: Recipe, target: Path) -> None:
    """A folder that holds files but no results of ours is not a place for results."""
    if target.is_dir() and any(target.iterdir()) and not (target / "results.nc").exists():
        raise RecipeError(
            f"run {recipe.path}",
            f"the output '{target}' holds other files, not results of plkit",
            "Name a new folder.",
        )


def _refuse_unwritable(recipe: Recipe, target: Path) -> None:
    """Say before the work, not after it, that the results cannot be kept."""
    above = next(p for p in target.parents if p.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        found = "not writable" if above.is_dir() else "a file"
        raise RecipeError(
            f"run {recipe.path}",
            f"the output '{target}' cannot be made, '{above}' is {found}, not a folder to write in",
            "Name another folder.",
        )


def open_results(path: str | Path) -> xr.DataTree:
    """Open the results of a study.

    Parameters
    ----------
    path : str or pathlib.Path
        ``results.nc``, or the folder that holds it.

    Returns
    -------
    xarray.DataTree
        As returned by :func:`run_study`, loaded into memory.

    Raises
    ------
    FileFormatError
        If there are no results.

    Examples
    --------
    >>> plkit.open_results("demo-results")["x1.5/kinetics"].mean_rate      # doctest: +SKIP
    """
    file = Path(path)
    file = file / "results.nc" if file.is_dir() else file
    if not file.exists():
        raise FileFormatError(
            "open results", f"'{file}' does not exist", "Run: plkit run STUDY.toml"
        )
    try:
        with xr.open_datatree(file, decode_timedelta=False, engine="netcdf4") as tree:
            return tree.load()
    except (OSError, ValueError) as error:
        raise FileFormatError("open results", f"'{file}' is no results file ({error})") from error


# Results ----------------------------------------------------------------------------------------


def _publish(recipe: Recipe, target: Path, result: StudyResult, progress: bool) -> xr.DataTree:
    """Write everything into a folder beside the target, then put it in the target's place."""
    from plkit.study.figures import write_figures
    from plkit.study.provenance import provenance, provenance_id, provenance_json
    from plkit.study.report import write_report
    from plkit.study.summary import summarise

    results = result.samples
    summary = summarise(recipe, results, result.warnings)
    tree = xr.DataTree.from_dict(
        {f"/{name}/{group}": ds for name, r in results.items() for group, ds in r.groups.items()}
    )
    record = provenance(recipe)
    tree.attrs.update(
        title=recipe.study.title,
        plkit_version=plkit.__version__,
        summary=json.dumps(summary, ensure_ascii=False),
        provenance=provenance_json(record),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        work.chmod(0o755)
        _write_tree(tree, work / "results.nc")
        text = json.dumps(summary, indent=1, ensure_ascii=False)
        (work / "summary.json").write_text(text + "\n", encoding="utf-8")
        figures = write_figures(
            tree, work / "figures", identifier=provenance_id(record), progress=progress
        )
        write_report(tree, summary, figures, work / "report.html")
        _swap(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return tree


def _write_tree(tree: xr.DataTree, path: Path) -> None:
    encoding = {
        node.path: {
            str(v): {"zlib": True, "complevel": 4}
            for v, da in node.data_vars.items()
            if da.dtype.kind in "iuf" and da.ndim
        }
        for node in tree.subtree
    }
    tree.to_netcdf(path, encoding=encoding, engine="netcdf4")


def _swap(work: Path, target: Path) -> None:
    """Put ``work`` in the place of ``target``; files of the user's that stand there are kept."""
    if not target.exists():
        work.replace(target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent)) / "results"
    target.replace(old)
    try:
        work.replace(target)
    except OSError:
        old.replace(target)
        raise
    for entry in old.iterdir():
        if entry.name not in _OWN_NAMES:
            entry.replace(target / entry.name)
    shutil.rmtree(old.parent, ignore_errors=True)
