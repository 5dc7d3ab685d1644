"""The table of published numbers: what the papers print, and what plkit computes or recovers.

The ids are those of the reference table that comes with the documentation. A row *agrees* where the
published equations and constants give the printed number again; it *differs*, with the reason, where
they do not; it is *recovered* where plkit gets it back, within 3 σ, from a simulated measurement whose
truth it is; the rest is *not covered*. Nothing is tuned to agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Reproduction", "Row", "reproduce"]

Verdict = Literal["agrees", "differs", "recovered", "not covered"]


@dataclass(frozen=True, slots=True)
class Row:
    """One published number.

    Parameters
    ----------
    id : str
        Id of the number, for instance ``"H14"``.
    quantity : str
        What it is.
    published : str
        As printed, or ``"–"`` where the paper gives none.
    value, stderr : float or None
        What plkit finds, and its σ where it is an estimate.
    unit : str
        Unit of value and stderr.
    verdict : {"agrees", "differs", "recovered", "not covered"}
        The outcome.
    reason : str
        How the value came about, and why it differs where it does.
    """

    id: str
    quantity: str
    published: str
    value: float | None
    stderr: float | None
    unit: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reproduction:
    """All rows of the table.

    Parameters
    ----------
    rows : tuple of Row
        In the order of the ids.
    """

    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"rows": [{"id", "quantity", "published", "value", "stderr", "unit", "verdict", "reason"}]}``."""
        return {"rows": [asdict(r) for r in self.rows]}

    def __str__(self) -> str:
        """Return the table as text, one line per row."""
        lines = []
        for r in self.rows:
            sigma = "" if r.stderr is None else f" ± {r.stderr:.2g}"
            value = (
                "" if r.value is None else f"{r.value:.4g}{sigma} {'' if r.unit == '1' else r.unit}"
            )
            lines.append(
                f"{r.id:<4} {r.quantity:<52.52} {r.published:<26.26} {value:<28} {r.verdict}"
            )
            if r.verdict == "differs":
                lines.append(f"     ≠ {r.reason}")
        counts = {
            v: sum(r.verdict == v for r in self.rows)
            for v in ("agrees", "recovered", "differs", "not covered")
        }
        lines.append(", ".join(f"{n} {v}" for v, n in counts.items()))
        return "\n".join(lines)


def reproduce(study: str | Path | None = None, *, progress: bool = False) -> Reproduction:
    """Compute or recover every published number.

    Parameters
    ----------
    study : str or pathlib.Path, optional
        Recipe of a simulated study with its ``truth.json`` beside it; the bundled one by default.
    progress : bool, optional
        Show a progress bar.

    Returns
    -------
    Reproduction
        ``.rows``, ``.to_dict()``, ``str()``.

    Raises
    ------
    FileFormatError, RecipeError
        If the study is not there.

    References
    ----------
    da Cunha et al., ACS Appl. Mater. Interfaces 2025, 17, 14389, doi:10.1021/acsami.4c19234;
    Feng et al., Adv. Mater. 2023, doi:10.1002/adma.202308032.

    Examples
    --------
    >>> table = reproduce()                                                # doctest: +SKIP
    >>> {r.id: r.verdict for r in table.rows}["H14"]                       # doctest: +SKIP
    'recovered'
    """
    from plkit.study.reproduction_constants import constant_rows
    from plkit.study.reproduction_cycling import carrier_rows, cycling_rows
    from plkit.study.reproduction_hopping import hopping_rows
    from plkit.study.reproduction_study import study_rows

    rows = [
        *constant_rows(),
        *hopping_rows(),
        *study_rows(study, progress),
        *carrier_rows(),
        *cycling_rows(),
        *_not_covered(),
    ]
    return Reproduction(tuple(sorted(rows, key=lambda r: _order(r.id))))


def _order(row_id: str) -> tuple[int, int, str]:
    digits = "".join(c for c in row_id[1:] if c.isdigit())
    return "HPCS".index(row_id[0]), int(digits), row_id[1 + len(digits) :]


# Verdicts ---------------------------------------------------------------------------------------


def compared(
    row_id: str,
    quantity: str,
    published: str,
    printed: float,
    value: float,
    unit: str,
    *,
    within: float,
    because: str = "",
    reason: str = "",
) -> Row:
    """Row of a number computed again from the paper's own equation.

    Parameters
    ----------
    row_id, quantity, published, unit : str
        See :class:`Row`.
    printed, value : float
        The number as printed and as computed again.
    within : float
        Half of the last printed digit, or another stated tolerance.
    because : str, optional
        Why the two differ, used where they do.
    reason : str, optional
        How the value came about.
    """
    agrees = abs(value - printed) <= within * (1 + 1e-9)
    text = reason if agrees else f"{because or 'no reason is known'}".strip()
    return Row(
        row_id,
        quantity,
        published,
        float(value),
        None,
        unit,
        "agrees" if agrees else "differs",
        text,
    )


def recovered(
    row_id: str,
    quantity: str,
    published: str,
    value: float,
    stderr: float,
    truth: float,
    unit: str,
    *,
    reason: str = "",
) -> Row:
    """Row of a number found again in a simulated measurement of known truth.

    Parameters
    ----------
    row_id, quantity, published, unit : str
        See :class:`Row`.
    value, stderr : float
        What the analysis finds.
    truth : float
        What was simulated.
    reason : str, optional
        More about the way.
    """
    pull = (value - truth) / stderr if stderr > 0 else math.inf
    ok = abs(pull) <= 3
    text = f"simulated truth {truth:.4g}, {pull:+.1f} σ away. {reason}".strip()
    return Row(
        row_id,
        quantity,
        published,
        float(value),
        float(stderr),
        unit,
        "recovered" if ok else "differs",
        text,
    )


# Rows that a later room will fill ---------------------------------------------------------------

_LATER: tuple[tuple[str, str, str], ...] = (
    ("C4", "EELS edges", "619, 726 eV"),
    ("C5", "lattice parameter", "5.87, 5.80 Å"),
    ("C6", "change of lattice spacing", "over 4 %"),
    ("C7", "grain boundary zone", "30 nm"),
    ("C8", "correlation of ADF and I/Cs", "0 → positive → 0"),
    ("S1", "dose", "48, 144 e/Å²"),
    ("S2", "ellipticity of Br columns", "1.28 ± 0.01, 1.43 ± 0.04"),
    ("S3", "ellipticity, molecular dynamics", "1.30 ± 0.03, 1.32 ± 0.04"),
    ("S4", "chain of analysis", "–"),
)


def _not_covered() -> Iterator[Row]:
    for row_id, quantity, published in _LATER:
        yield Row(
            row_id,
            quantity,
            published,
            None,
            None,
            "",
            "not covered",
            "not simulated by this version",
        )
