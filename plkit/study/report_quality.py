"""How well the fits of a study went: how many, how many to distrust and why, χ² per freedom.

What went badly is seen at once, the rest is folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import xarray as xr

from plkit.names import FIT_STATUS
from plkit.study.report_pieces import cell, table

__all__ = ["quality"]

_STEPS: Final = {
    "peaks": "emission maximum", "unmixed": "unmixing", "kinetics": "kinetics",
    "arrhenius": "Arrhenius", "recovery_unmixed": "unmixing, in the dark",
    "recovery_kinetics": "kinetics, in the dark", "maps": "unmixing of the maps",
    "profiles": "Fick's law", "diffusion": "D against temperature",
    "composition": "composition", "overview": "overview map",
}  # fmt: skip
_FLAG: Final = "composition_flag"
_MISFIT: Final = 2.0
"""Reduced χ² from which the model is no good description, however good the fit."""


def quality(tree: xr.DataTree, summary: Mapping[str, Any]) -> str:
    """Return a table with one line for each sample and step that was fitted."""
    bad: list[list[str]] = []
    fine: list[list[str]] = []
    n_good = n_all = 0
    for name in summary.get("samples", {}):
        node = tree.children.get(name)
        groups = {} if node is None else node.children
        for group, step in _STEPS.items():
            if group not in groups or FIT_STATUS not in groups[group]:
                continue
            ds = groups[group].dataset
            status = ds[FIT_STATUS].values
            good = int((status == 0).sum())
            n_good, n_all = n_good + good, n_all + status.size
            troubles, (middle, misfit) = list(_troubles(ds)), _misfit(ds)
            (bad if troubles or middle > _MISFIT else fine).append(
                [
                    cell(name), cell(step), cell(f"{good} of {status.size}", "number"),
                    cell("; ".join(troubles) or "–"), cell(misfit, "number"),
                ]
            )  # fmt: skip
    if not n_all:
        return ""
    head = ("Sample", "Step", "Good", "Not good, or flagged", "Reduced χ² (16 to 84 %)")
    parts = [f"<h3>How the fits went</h3><p>{n_good} of {n_all} are good.</p>"]
    if bad:
        parts.append(
            table(head, bad, f"Steps with faults, flags or a reduced χ² above {_MISFIT:g}.")
        )
    if fine:
        parts.append(
            f"<details><summary>{len(fine)} steps without fault</summary>{table(head, fine)}</details>"
        )
    return "".join(parts)


def _troubles(ds: xr.Dataset) -> Iterator[str]:
    """How many fits have which fault, in words."""
    status = ds[FIT_STATUS]
    meanings = str(status.attrs.get("flag_meanings", "")).split()
    for code in np.unique(status.values[status.values > 0]):
        word = meanings[int(code)] if int(code) < len(meanings) else f"status {int(code)}"
        yield f"{int((status.values == code).sum())} {word.replace('_', ' ')}"
    if _FLAG in ds:
        flags = ds[_FLAG]
        masks = np.atleast_1d(flags.attrs.get("flag_masks", ())).astype(np.int64)
        for mask, word in zip(
            masks, str(flags.attrs.get("flag_meanings", "")).split(), strict=True
        ):
            n = int(((flags.values.astype(np.int64) & mask) != 0).sum())
            if n:
                yield f"{n} {word.replace('_', ' ')}"


def _misfit(ds: xr.Dataset) -> tuple[float, str]:
    """Median of the reduced χ²; of many fits in words with the range of two thirds of them."""
    if "redchi" not in ds:
        return 0.0, "–"
    values = ds["redchi"].values
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, "–"
    low, middle, high = np.quantile(values, (0.16, 0.5, 0.84))
    return float(middle), f"{middle:.3g}" + (
        f" ({low:.3g} to {high:.3g})" if values.size > 5 else ""
    )
