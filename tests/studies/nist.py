"""Certified nonlinear fits of NIST (Statistical Reference Datasets): correct digits of both engines.

    PLKIT_TEST_DATA=... python tests/studies/nist.py --write docs/validation-nist.md

Each of the 27 problems is fitted from both certified starts. A number is that of correct significant
digits of the worst parameter, and of the worst σ. The suite asks the same of the batched engine:
tests/test_fit_nist.py.
"""

from __future__ import annotations

import argparse
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from lmfit import Model
from numpy import cos, exp, pi, sin

from plkit.fit import fit_model
from plkit.names import TIME

ENGINES = ("batched", "lmfit")


def _lanczos(x, b1, b2, b3, b4, b5, b6):
    return b1 * exp(-b2 * x) + b3 * exp(-b4 * x) + b5 * exp(-b6 * x)


def _gauss(x, b1, b2, b3, b4, b5, b6, b7, b8):
    return (
        b1 * exp(-b2 * x) + b3 * exp(-((x - b4) ** 2) / b5**2) + b6 * exp(-((x - b7) ** 2) / b8**2)
    )


def _misra1a(x, b1, b2):
    return b1 * (1 - exp(-b2 * x))


def _chwirut(x, b1, b2, b3):
    return exp(-b1 * x) / (b2 + b3 * x)


def _cubic_ratio(x, b1, b2, b3, b4, b5, b6, b7):
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def _enso(x, b1, b2, b3, b4, b5, b6, b7, b8, b9):
    out = b1 + b2 * cos(2 * pi * x / 12) + b3 * sin(2 * pi * x / 12)
    out = out + b5 * cos(2 * pi * x / b4) + b6 * sin(2 * pi * x / b4)
    return out + b8 * cos(2 * pi * x / b7) + b9 * sin(2 * pi * x / b7)


def _nelson(x1: np.ndarray, x2: np.ndarray) -> Callable[..., np.ndarray]:
    """Two predictors: the axis counts the points."""

    def nelson(x, b1, b2, b3):
        k = np.asarray(x).astype(int)
        return b1 - b2 * x1[k] * exp(-b3 * x2[k])

    return nelson


FUNCTIONS = {
    "Misra1a": _misra1a,
    "Misra1b": lambda x, b1, b2: b1 * (1 - (1 + b2 * x / 2) ** -2),
    "Misra1c": lambda x, b1, b2: b1 * (1 - (1 + 2 * b2 * x) ** -0.5),
    "Misra1d": lambda x, b1, b2: b1 * b2 * x / (1 + b2 * x),
    "BoxBOD": _misra1a,
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda x, b1, b2: b1 * x**b2,
    "Eckerle4": lambda x, b1, b2, b3: b1 / b2 * exp(-0.5 * ((x - b3) / b2) ** 2),
    "ENSO": _enso,
    "Gauss1": _gauss,
    "Gauss2": _gauss,
    "Gauss3": _gauss,
    "Hahn1": _cubic_ratio,
    "Thurber": _cubic_ratio,
    "Kirby2": lambda x, b1, b2, b3, b4, b5: (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2),
    "Lanczos1": _lanczos,
    "Lanczos2": _lanczos,
    "Lanczos3": _lanczos,
    "MGH09": lambda x, b1, b2, b3, b4: b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4),
    "MGH10": lambda x, b1, b2, b3: b1 * exp(b2 / (x + b3)),
    "MGH17": lambda x, b1, b2, b3, b4, b5: b1 + b2 * exp(-x * b4) + b3 * exp(-x * b5),
    "Rat42": lambda x, b1, b2, b3: b1 / (1 + exp(b2 - b3 * x)),
    "Rat43": lambda x, b1, b2, b3, b4: b1 / (1 + exp(b2 - b3 * x)) ** (1 / b4),
    "Roszman1": lambda x, b1, b2, b3, b4: b1 - b2 * x - np.arctan(b3 / (x - b4)) / pi,
    "Bennett5": lambda x, b1, b2, b3: b1 * (b2 + x) ** (-1 / b3),
}  # fmt: skip


def lines(path: Path) -> tuple[str, np.ndarray]:
    """Text of a file and its table of numbers."""
    text = path.read_text()
    rows = [line.split() for line in text.splitlines()[60:] if line.strip()]
    return text, np.array(rows, dtype=float)


def read(path: Path) -> tuple[np.ndarray, ...]:
    """Return starts (2, p), certified values and σ (p), residual sum, x, y, and other predictors."""
    text, data = lines(path)
    number = r"\s+([-+\d.Ee]+)"
    rows = re.findall(r"^\s*b\d+\s*=" + number * 4, text, flags=re.MULTILINE)
    table = np.array(rows, dtype=float)
    rss = float(re.search(r"Residual Sum of Squares:\s+(\S+)", text).group(1))
    return table[:, :2].T, table[:, 2], table[:, 3], rss, data[:, 1], data[:, 0]


def digits(found: np.ndarray, certified: np.ndarray) -> np.ndarray:
    """Correct significant digits, at most the eleven that are certified."""
    with np.errstate(divide="ignore"):
        right = -np.log10(np.abs(found - certified) / np.abs(certified))
    return np.clip(np.nan_to_num(right, nan=0.0, posinf=11.0), 0, 11)


def problem(name: str, folder: Path) -> tuple[Any, ...]:
    """Model, data, starts, certified values and σ, residual sum."""
    path = folder / "nist_strd" / f"{name}.dat"
    starts, values, sigma, rss, x, y = read(path)
    if name == "Nelson":
        _, data = lines(path)
        model, x, y = Model(_nelson(data[:, 1], data[:, 2])), np.arange(float(y.size)), np.log(y)
    else:
        model = Model(FUNCTIONS[name])
    return model, xr.DataArray(y, dims=TIME, coords={TIME: x}), starts, values, sigma, rss


NAMES = sorted([*FUNCTIONS, "Nelson"])


def fit(
    name: str, start: int, folder: Path, engine: str = "batched"
) -> tuple[xr.Dataset, np.ndarray, np.ndarray, float]:
    """Result, digits of the values and of σ, certified residual sum."""
    model, data, starts, values, sigma, rss = problem(name, folder)
    params = model.make_params(**{f"b{i + 1}": v for i, v in enumerate(starts[start - 1])})
    out = fit_model(data, model, TIME, params, engine=engine)
    found = np.array([float(out[f"b{i + 1}"]) for i in range(values.size)])
    error = np.array([float(out[f"b{i + 1}_stderr"]) for i in range(values.size)])
    return out, digits(found, values), digits(error, sigma), rss


def table(folder: Path) -> str:
    """Markdown table of all problems."""
    rows = []
    for name in NAMES:
        for start in (1, 2):
            cells = [name if start == 1 else "", str(start)]
            for engine in ENGINES:
                out, value, sigma, _ = fit(name, start, folder, engine)
                lost = int(out.fit_status) in (2, 4)
                cells += ["lost", "lost"] if lost else [f"{value.min():.1f}", f"{sigma.min():.1f}"]
            rows.append("| " + " | ".join(cells) + " |")
    head = [
        "| problem | start | batched: values | σ | lmfit: values | σ |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


# Problems that are sums of exponentials: terms, background, and the parameters by term.
DECAYS = {
    "MGH17": (2, "constant", ((1, 3), (2, 4)), 0),
    "Lanczos1": (3, "none", ((0, 1), (2, 3), (4, 5)), None),
    "Lanczos2": (3, "none", ((0, 1), (2, 3), (4, 5)), None),
    "Lanczos3": (3, "none", ((0, 1), (2, 3), (4, 5)), None),
}


def fit_compiled(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Digits of the values and of σ by the compiled kernels, which need no starting values."""
    from plkit.physics.separable import SeparableModel, fit_separable

    terms, background, pairs, constant = DECAYS[name]
    _, values, sigma, _, x, y = read(folder / "nist_strd" / f"{name}.dat")
    pairs = sorted(pairs, key=lambda p: -values[p[1]])
    order = [i for p in pairs for i in p] + ([] if constant is None else [constant])
    found = fit_separable(y, x, SeparableModel("exponential", terms, background, amplitude_sign=0))
    error = np.sqrt(np.diagonal(found["covariance"][0]))
    return digits(found["params"][0], values[order]), digits(error, sigma[order])


def compiled_table(folder: Path) -> str:
    """Markdown table of the problems that the compiled kernels can fit."""
    rows = ["| problem | compiled kernels: values | σ |", "|---|---|---|"]
    for name in DECAYS:
        value, sigma = fit_compiled(name, folder)
        rows.append(f"| {name} | {value.min():.1f} | {sigma.min():.1f} |")
    return "\n".join(rows)


def main() -> None:
    """Print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PLKIT_TEST_DATA", "")))
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    text = table(args.data)
    text += "\n\nThe sums of exponentials among them, without starting values:\n\n"
    text += compiled_table(args.data)
    print(text)
    if args.write:
        head = (
            "# Certified fits\n\n"
            "Correct significant digits of the worst parameter and of the worst σ, for the 27 certified\n"
            'nonlinear problems of NIST from both starts. "lost": the search ended elsewhere, and\n'
            "`fit_status` says so. The residual of Lanczos1 is rounding, and so is its σ. Made by\n"
            "`python tests/studies/nist.py --write docs/validation-nist.md`.\n\n"
        )
        args.write.write_text(head + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
