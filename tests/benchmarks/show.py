"""Tables as text and as Markdown, from the numbers that were written to the file."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

_START, _END = "<!-- tables: written by tests/benchmarks/show.py -->", "<!-- end of tables -->"

# Column, heading, how a number is written. A column that no row has is left out.
_COLUMNS = (
    ("rate", "per CPU-s", "rate"),
    ("wall_rate", "per s", "rate"),
    ("spread", "±", "rounded"),
    ("ratio", "plkit is × faster", "ratio"),
    ("of_read_limit", "of read limit", "share"),
    ("at_optimum", "at optimum", "percent"),
    ("outside_bounds", "out of bounds", "percent"),
    ("coverage_range", "68 % interval holds", "text"),
    ("level_bias_percent", "bias of level, %", "signed"),
    ("two_threads", "2 threads", "times"),
    ("cold_s", "nothing compiled", "seconds"),
    ("cached_s", "compiled before", "seconds"),
    ("again_s", "second call", "seconds"),
    ("imports_s", "imports before", "seconds"),
    ("wall_s", "wall", "seconds"),
    ("wall_s_shortest", "shortest", "seconds"),
    ("cpu_s", "CPU", "seconds"),
)


def _rate(v: float) -> str:
    for unit, size in ((" M", 1e6), (" k", 1e3), ("", 1.0)):
        if v >= size:
            digits = max(0, 2 - math.floor(math.log10(v / size)))
            return f"{v / size:.{digits}f}{unit}"
    return f"{v:.2g}"


def _write(value: Any, how: str) -> str:
    if value is None:
        return ""
    if how == "text":
        return str(value)
    v = float(value)
    if how == "rate":
        return _rate(v)
    if how == "ratio":
        return f"{v:.0f}" if v >= 20 else f"{v:.2g}"
    if how == "percent":
        return f"{100 * v:.2f} %" if 0.99 <= v < 1.0 else f"{100 * v:.1f} %" if v < 1 else "100 %"
    return {
        "rounded": f"{100 * v:.0f} %",
        "share": f"{v:.2f}", "signed": f"{v:+.2f}", "times": f"{v:.2f} ×", "seconds": f"{v:.3f} s"
    }[how]  # fmt: skip


def cells(table: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of a table, as text."""
    rows = [r for r in table["rows"] if not r["absent"]]
    for r in rows:
        if "coverage_lowest" in r:
            r["coverage_range"] = (
                f"{100 * r['coverage_lowest']:.0f}–{100 * r['coverage_highest']:.0f} %"
            )
    used = [c for c in _COLUMNS if any(c[0] in r for r in rows)]
    if table["unit"].startswith("pixels") and table["conditions"].get("by_wall"):
        used = [c for c in used if c[0] != "rate"]
    elif any("rate" in r for r in rows):
        used = [c for c in used if c[0] != "wall_rate"]
    head = ["", *(h for _, h, _ in used), "remark"]
    body = []
    for r in table["rows"]:
        name = r["contender"] + (f" ({r['version']})" if r["version"] and not r["ours"] else "")
        if r["absent"]:
            body.append([name, *("" for _ in used), f"absent: {r['absent']}"])
        else:
            body.append([name, *(_write(r.get(k), how) for k, _, how in used), r["note"]])
    if not any(row[-1] for row in body):
        head, body = head[:-1], [row[:-1] for row in body]
    return head, body


def text(table: dict[str, Any]) -> str:
    """Table for a terminal."""
    head, body = cells(table)
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [f"\n{table['title']} [{table['unit']}]"]
    for row in (head, *body):
        first, *rest = (c.ljust(w) if i in (0, len(head) - 1) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def markdown(report: dict[str, Any]) -> str:
    """All tables for the page."""
    machine, load = report["machine"], report["load"]
    lines = [
        f"{report['date']}, {machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']:.0f} GiB, "
        f"Python {machine['python']}; load average {load['before']:.1f} before and {load['after']:.1f} "
        f"after the run, which took {report['seconds'] / 60:.0f} minutes. "
        + ", ".join(f"{k} {v}" for k, v in report["versions"].items() if v)
        + ".",
    ]
    for table in report["tables"]:
        head, body = cells(table)
        lines += ["", f"### {table['title']}", "", f"In {table['unit']}. {table['conditions'].get('text', '')}".strip(), ""]  # fmt: skip
        lines.append("| " + " | ".join(head) + " |")
        lines.append("|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|")
        for row, source in zip(body, table["rows"], strict=True):
            shown = [f"**{row[0]}**" if source["ours"] else row[0], *row[1:]]
            lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines)


def put_on_page(report: dict[str, Any], page: Path) -> None:
    """Replace the tables of a page."""
    before, rest = page.read_text(encoding="utf-8").split(_START)
    after = rest.split(_END)[1]
    page.write_text(f"{before}{_START}\n\n{markdown(report)}\n\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the tables of a run into a page.")
    parser.add_argument("report", type=Path, help="what run.py --json wrote")
    parser.add_argument("page", type=Path, help="Markdown page with the two marker comments")
    given = parser.parse_args()
    put_on_page(json.loads(given.report.read_text(encoding="utf-8")), given.page)
