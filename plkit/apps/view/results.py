"""Results of a study for the tabs that show them: opened once, when a tab asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xarray as xr

from plkit.apps.view.layers import results_file
from plkit.apps.view.workspace import Workspace
from plkit.errors import DataError

__all__ = ["Results", "results_of"]


class Results:
    """A tree of results with its recipe.

    Parameters
    ----------
    path : pathlib.Path
        results.nc.
    """

    def __init__(self, path: Path) -> None:
        from plkit.study import open_results

        self.path = path
        self.tree = open_results(path)
        self.record: dict[str, Any] = json.loads(self.tree.attrs["provenance"])
        self.summary: dict[str, Any] = json.loads(self.tree.attrs["summary"])

    def samples(self, *groups: str) -> list[str]:
        """Samples that have all the groups."""
        return [str(s) for s in self.tree.children if set(groups) <= set(self.tree[s].children)]

    def group(self, sample: str, name: str) -> xr.Dataset:
        """Results of one step for one sample."""
        return self.tree[f"{sample}/{name}"].to_dataset()

    def code(self, sample: str, name: str) -> str:
        """Python that gives the same."""
        return f'plkit.open_results({str(self.path)!r})["{sample}/{name}"].to_dataset()'

    def recipe_of(self, sample: str) -> dict[str, Any]:
        """What the recipe says about a sample."""
        found: dict[str, Any] = self.record["recipe"]["samples"][sample]
        return found


def results_of(work: Workspace, what: str, *groups: str) -> Results:
    """Results with at least one sample that has the groups.

    Raises
    ------
    DataError
        If the file holds none.
    """
    found = getattr(work, "_results", None)
    if found is None:
        held = (results_file(Path(p)) for p in (work.path, *work.others))
        where = next((w for w in held if w is not None), None)
        if where is None:
            raise DataError(
                f"show {what}", f"'{work.title}' is a measured file, not the results of a study",
                "Write a recipe (Map, Copy recipe, or plkit init), then: plkit run, plkit view results.nc.",
            )  # fmt: skip
        found = Results(where)
        work._results = found  # type: ignore[attr-defined]
    if groups and not found.samples(*groups):
        raise DataError(f"show {what}", f"no sample of '{work.title}' has {' and '.join(groups)}")
    return found
