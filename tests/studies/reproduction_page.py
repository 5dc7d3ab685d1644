"""Page of the published numbers: ``python tests/studies/reproduction_page.py [--write PAGE]``.

Every row of ``plkit reproduce``, with the code that makes it and the figure that shows it.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import plkit

HEAD = """# Published numbers

Every number of the four papers beside what plkit computes from the papers' own equations (*agrees*), recovers from a simulated
measurement whose truth it is (*recovered*), or finds to be otherwise (**≠**, with the reason). Nothing is tuned in silence. Made by
`python tests/studies/reproduction_page.py --write docs/published-numbers.md` from `plkit reproduce`.

"""
# First id of a run of rows → the function behind them, and the figure that shows them.
CODE = {
    "H1": ("plkit.composition_map", "H Fig. 1"),
    "H5": ("plkit.LaserSpot", ""),
    "H6": ("plkit.simulate_study", "H Fig. 4"),
    "H7": ("plkit.physics.sizes", "H Fig. 1"),
    "H8": ("plkit.physics.lattice", ""),
    "H10": ("plkit.fit_kinetics", "H Fig. 2"),
    "H13": ("plkit.run_study", "H Fig. 2"),
    "H14": ("plkit.fit_arrhenius", "H Fig. 3"),
    "H17": ("plkit.fit_kinetics", "H Fig. 9"),
    "H20": ("plkit.fit_fick_profile", "H Fig. 4"),
    "H22": ("plkit.simulate_heating", ""),
    "H30": ("plkit.simulate_ion_hopping", "H Fig. 6"),
    "H40": ("plkit.simulate_carriers", ""),
    "P1": ("plkit.thermal_cycling", "P Fig. 1"),
    "P3": ("plkit.cycling", "P Fig. 2"),
    "P5": ("plkit.thermal_cycling", "P Fig. 2"),
    "P8": ("plkit.map_thermal_cycling", "P Fig. 3"),
    "P9": ("plkit.physics.lattice", ""),
    "C1": ("plkit.composition_map", ""),
    "C3": ("plkit.funnelling_bias", ""),
    "C4": ("", ""),
    "S1": ("", ""),
}


def _key(row_id: str) -> tuple[str, int]:
    found = re.match(r"([A-Z]+)(\d+)", row_id)
    assert found
    return found[1], int(found[2])


def _made_by(row_id: str) -> tuple[str, str]:
    letter, number = _key(row_id)
    before = [k for k in CODE if _key(k)[0] == letter and _key(k)[1] <= number]
    code, figure = CODE[max(before, key=_key)] if before else ("", "")
    if code.startswith("plkit.physics") or code == "plkit.cycling":
        code = f"`{code}`"
    elif code:
        code = f"{{py:obj}}`{code}`"
    anchor = figure.lower().replace(" ", "-").replace(".", "")
    return code, f"[{figure}](gallery.md#{anchor})" if figure else ""


def _value(row: dict) -> str:
    if row["value"] is None:
        return "–"
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    if row["stderr"] is None:
        return f"{row['value']:.4g}{unit}"
    return f"{row['value']:.4g} ± {row['stderr']:.2g}{unit}"


def page() -> str:
    """Return the page as Markdown."""
    rows = plkit.reproduce().to_dict()["rows"]
    verdicts = ("agrees", "recovered", "differs", "not covered")
    counts = ", ".join(f"{sum(r['verdict'] == v for r in rows)} {v}" for v in verdicts)
    lines = [f"{counts}. Not covered are rows of electron microscopy.", ""]
    lines += [
        "| id | quantity | published | plkit | | why | code | figure |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        verdict = "**≠**" if r["verdict"] == "differs" else r["verdict"]
        code, figure = _made_by(r["id"])
        cells = [
            r["id"],
            r["quantity"],
            r["published"],
            _value(r),
            verdict,
            r["reason"],
            code,
            figure,
        ]
        lines.append("| " + " | ".join(c.replace("|", "∣") for c in cells) + " |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="file to write instead of printing")
    given = parser.parse_args()
    text = page()
    if given.write is None:
        print(text)
    else:
        given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
