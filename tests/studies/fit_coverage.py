"""How often the 68 % intervals of fits hold the truth: simulated counts, weights from the model.

python tests/studies/fit_coverage.py [--rows 10000] [--write docs/validation-coverage.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from plkit import models, names
from plkit.fit import CountNoise, fit_model
from plkit.names import POINT, TIME, X

E = np.linspace(0.0, 20.0, 128)
T = np.linspace(0.0, 600.0, 100)
U = np.linspace(-15.0, 15.0, 61)

PEAK = {"height": (0.8, 1.2), "centre": (8, 12), "fwhm": (1.5, 3.0), "offset": (0.1, 0.2)}

# Name: model, dimension and axis, truths with heights in units of the peak counts, peak counts.
CASES: dict[str, tuple[Any, str, np.ndarray, dict[str, tuple[float, float]], tuple[float, ...]]] = {
    "Gaussian": (models.GaussianPeakModel, X, E, PEAK, (30, 100, 300, 1000, 10_000)),
    "Lorentzian": (models.LorentzianPeakModel, X, E, PEAK, (30, 100, 300, 1000, 10_000)),
    "asymmetric": (models.AsymmetricPeakModel, X, E, PEAK | {"asymmetry": (-0.5, 0.5)}, (30, 100, 300, 1000, 10_000)),
    "pseudo-Voigt": (models.PseudoVoigtPeakModel, X, E, PEAK | {"lorentz_fraction": (0.3, 0.7)}, (300, 1000, 10_000, 100_000)),
    "Fick profile": (
        lambda: models.FickProfileModel(pixel_um=0.5), X, U,
        {"amplitude": (0.8, 1.2), "centre": (-4, 4), "sigma": (1.5, 3.5), "offset": (0.1, 0.2)}, (30, 100, 300, 1000),
    ),
    "monoexponential": (
        models.MonoexponentialDecayModel, TIME, T,
        {"amplitude": (0.6, 0.8), "rate": (0.01, 0.05), "plateau": (0.2, 0.4)}, (30, 100, 300, 1000),
    ),
    "biexponential": (
        models.BiexponentialDecayModel, TIME, T,
        {"k01": (0.3, 0.5), "k1": (0.04, 0.06), "k02": (0.2, 0.3), "k2": (0.005, 0.009), "plateau": (0.2, 0.4)}, (300, 1000, 5000, 20_000),
    ),
    "triexponential": (
        models.TriexponentialDecayModel, TIME, T,
        {"k01": (0.2, 0.4), "k1": (0.12, 0.2), "k02": (0.2, 0.3), "k2": (0.025, 0.035), "k03": (0.2, 0.3), "k3": (0.005, 0.008), "plateau": (0.1, 0.2)}, (10_000, 100_000, 1_000_000),
    ),
    "stretched": (
        models.StretchedDecayModel, TIME, T,
        {"amplitude": (0.6, 0.8), "rate": (0.01, 0.05), "exponent": (0.5, 0.8), "plateau": (0.2, 0.4)}, (300, 1000, 5000, 20_000),
    ),
}  # fmt: skip

_HEIGHTS = ("height", "amplitude", "k01", "k02", "k03", "plateau", "offset")


def coverage(name: str, counts: float, rows: int, seed: int = 0) -> tuple[dict[str, float], float]:
    """Share of truths inside one σ by parameter, and the share of traces that are identifiable.

    The truth tells which traces are: fitted without noise every parameter that is not negative is
    more than three times its σ. The fit has no say, so that chance selects nothing.
    """
    rng = np.random.default_rng([seed, sorted(CASES).index(name), int(counts)])
    make, dim, x, ranges, _ = CASES[name]
    model = make()
    truth = {
        n: rng.uniform(low, high, rows) * (counts if n in _HEIGHTS else 1.0)
        for n, (low, high) in ranges.items()
    }
    clean = np.stack([model.func(x, **{n: v[i] for n, v in truth.items()}) for i in range(rows)])
    coords = {dim: (dim, x, names.attrs(dim))}
    ideal = xr.DataArray(clean, dims=(POINT, dim), coords=coords)
    measured = ideal.copy(data=rng.poisson(clean).astype(float))
    expected = fit_model(ideal, model, dim, stderr=np.sqrt(ideal))
    keep = (expected.fit_status == 0).values
    for n in set(model.param_names) - {"centre", "asymmetry", "offset"}:
        keep &= (expected[n] > 3.0 * expected[f"{n}_stderr"]).values
    found = fit_model(measured, model, dim, noise=CountNoise())
    inside = {}
    for n, value in truth.items():
        close = np.abs(found[n].values - value) < found[f"{n}_stderr"].values
        inside[n] = float(close[keep].mean()) if keep.sum() > 200 else np.nan
    return inside, float(keep.mean())


def table(rows: int) -> str:
    """Markdown table of all models and counts."""
    out = ["| model | counts at the peak | identifiable | share inside one σ, by parameter |", "|---|---|---|---|"]  # fmt: skip
    for name, (*_, many) in CASES.items():
        for counts in many:
            inside, share = coverage(name, counts, rows)
            cells = ", ".join(f"{n} {100 * v:.1f}" for n, v in inside.items() if np.isfinite(v))
            out.append(f"| {name} | {counts:,} | {100 * share:.0f} % | {cells or 'too few'} |")
            print(out[-1], flush=True)
    return "\n".join(out)


def main() -> None:
    """Print the table, or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    text = table(args.rows)
    if args.write:
        head = (
            "# Coverage of the intervals of fits\n\n"
            "Share (%) of simulated traces whose interval of ± one σ holds the truth; 68.3 is right. Poisson\n"
            f"counts, {args.rows} traces per row, fitted with `noise=plkit.CountNoise()`. Counted are\n"
            "traces that are identifiable by their truth: fitted without noise, every amplitude, rate and\n"
            "width is more than three times its σ. Made by\n"
            "`python tests/studies/fit_coverage.py --write docs/validation-coverage.md`.\n\n"
        )
        args.write.write_text(head + text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
