"""One method on one file: unmix, fit, lifetimes. A whole study is for ``plkit run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from plkit.cli.arguments import File, Json, Options, Quiet, Reader, progress, read_file, say_json
from plkit.errors import DataError

if TYPE_CHECKING:
    import xarray as xr
    from lmfit import Model

__all__ = ["fit", "lifetimes", "unmix"]

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the maps to this .nc or .zarr; must be new."),
]
_DECAYS: Final = {
    "monoexponential": "MonoexponentialDecayModel",
    "biexponential": "BiexponentialDecayModel",
    "triexponential": "TriexponentialDecayModel",
    "stretched": "StretchedDecayModel",
    "rise": "BiexponentialRiseModel",
}
"""Class of :mod:`plkit.models` by the word on the command line."""

_PEAKS: Final = ("gaussian", "lorentzian", "pseudo_voigt", "asymmetric")


def unmix(
    file: File,
    reference: Annotated[
        list[str],
        typer.Option(
            "--reference",
            "-r",
            metavar="NAME=FILE",
            help="Spectrum of a component; at least two. In place of a file a line shape: "
            "bromide=gaussian:2.25:0.08 (kind, centre and width in eV).",
        ),
    ],
    background: Annotated[str, typer.Option(help="none, constant or linear.")] = "none",
    noise: Annotated[
        str | None, typer.Option(help="poisson (default for counts) or uniform.")
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="Allow amplitudes below zero.")] = False,
    output: Output = None,
    reader: Reader = None,
    option: Options = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Share of the light of each reference in every spectrum; netCDF and Zarr are streamed."""
    import plkit
    from plkit import names
    from plkit.io.stream import open_stream

    _check_new(output)
    streams = not (option or reader)
    if streams:
        with open_stream(file) as stream:
            streams = stream is not None
    data = file if streams else read_file(file, reader, option)
    refs = plkit.references(like=data, **_shapes(reference))
    out = plkit.unmix(
        data, refs, noise=noise, background=background, nonnegative=not free,  # type: ignore[arg-type]
        progress=progress(quiet),
    )  # fmt: skip
    rows = [
        _row(
            f"fraction of {label}", out.fraction.sel({names.COMPONENT: label}), out.fraction_stderr
        )
        for label in out[names.COMPONENT].values.tolist()
    ]
    _finish(out, rows, output, as_json)


def fit(
    file: File,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=f"{', '.join((*_DECAYS, *_PEAKS))}; several, separated by commas: the best of them for each trace.",
        ),
    ],
    dim: Annotated[
        str | None, typer.Option(help="Axis to fit along; by default time, or that of the spectra.")
    ] = None,
    peaks: Annotated[int, typer.Option(help="Number of peaks, 1 to 3.")] = 1,
    energy: Annotated[
        bool, typer.Option("--energy", help="Convert wavelength to photon energy first.")
    ] = False,
    noise: Annotated[
        str, typer.Option(help="poisson: likelihood of counts; uniform: σ from the residual.")
    ] = "poisson",
    fix: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Hold a parameter; may be repeated."),
    ] = None,
    output: Output = None,
    reader: Reader = None,
    option: Options = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Fit decays or peaks to every trace of a file, with σ."""
    import plkit
    from plkit import names, schema, spectra

    _check_new(output)
    kinds = [m.strip().replace("-", "_") for m in model.split(",")]
    if noise not in ("poisson", "uniform"):
        raise DataError("fit", f"--noise is '{noise}', not poisson or uniform")
    models = [_model(kind, peaks) for kind in kinds]
    ds = read_file(file, reader, option)
    if energy:
        ds = spectra.to_energy(ds)
    along = dim or (names.TIME if kinds[0] in _DECAYS else schema.spectral_dim(ds, "fit"))
    out = plkit.fit_model(
        ds, models if len(models) > 1 else models[0], along, fixed=_numbers(fix, "--fix") or None,
        noise="poisson" if noise == "poisson" else None, progress=progress(quiet),
    )  # fmt: skip
    _finish(out, _estimates(out), output, as_json)


def lifetimes(
    file: File,
    irf: Annotated[
        str | None,
        typer.Option(
            help="Response of the instrument: a file, a full width [ns], or gaussian to fit one."
        ),
    ] = None,
    exponentials: Annotated[int, typer.Option("--exponentials", "-n", help="1 to 3.")] = 1,
    stretched: Annotated[bool, typer.Option("--stretched", help="exp(−(t/τ)^β) instead.")] = False,
    window: Annotated[
        tuple[float, float] | None, typer.Option(help="Start and stop of what is fitted [ns].")
    ] = None,
    output: Output = None,
    reader: Reader = None,
    option: Options = None,
    as_json: Json = False,
) -> None:
    """Lifetimes of the decay traces of a file, the instrument's response convolved in."""
    import plkit

    _check_new(output)
    response: Any = irf
    if irf is not None and irf != "gaussian":
        try:
            response = float(irf)
        except ValueError:
            response = plkit.read(irf)
    out = plkit.fit_lifetimes(
        read_file(file, reader, option), irf=response, n_exponentials=exponentials,
        model="stretched" if stretched else "exponential", window=window,
    )  # fmt: skip
    _finish(out, _estimates(out), output, as_json)


# In ---------------------------------------------------------------------------------------------


def _check_new(output: Path | None) -> None:
    """Refuse before the work, not after it."""
    if output is None:
        return
    if output.suffix not in (".nc", ".zarr"):
        raise DataError("write the result", f"'{output.name}' ends in neither .nc nor .zarr")
    if output.exists():
        raise DataError("write the result", f"{output} exists, not a new file", "Name another.")


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    found = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        if not (sign and name and value):
            raise DataError("read the command line", f"{option} is '{word}', not NAME=VALUE")
        if name in found:
            raise DataError("read the command line", f"{option} names '{name}' twice")
        found[name] = value
    return found


def _numbers(words: list[str] | None, option: str) -> dict[str, float]:
    out = {}
    for name, value in _pairs(words, option).items():
        try:
            out[name] = float(value)
        except ValueError:
            raise DataError(
                "read the command line", f"{option} {name} is '{value}', not a number"
            ) from None
    return out


def _shapes(words: list[str]) -> dict[str, Any]:
    """References by name: a path, or a line shape from ``kind:centre:width``."""
    found: dict[str, Any] = dict(_pairs(words, "--reference"))
    for name, value in found.items():
        kind, *rest = value.split(":")
        if len(rest) == 2 and not Path(value).exists():
            try:
                found[name] = {
                    "kind": kind, "centre_ev": float(rest[0]), "fwhm_ev": float(rest[1])
                }  # fmt: skip
            except ValueError:
                continue  # a path after all; reading it says so
    return found


def _model(kind: str, peaks: int) -> Model:
    from plkit import models

    if kind in _DECAYS:
        model: Model = getattr(models, _DECAYS[kind])()
        return model
    if kind in _PEAKS:
        return models.PeaksModel(kind, peaks)
    known = ", ".join((*_DECAYS, *_PEAKS))
    raise DataError("fit", f"the model is '{kind}', not one of {known}")


# Out --------------------------------------------------------------------------------------------


def _row(label: str, value: xr.DataArray, stderr: xr.DataArray) -> dict[str, Any]:
    """Median over all traces, with the spread between them and the σ of one."""
    import numpy as np

    held = stderr.sel(
        {d: value[d] for d in value.coords if d in stderr.dims and value[d].ndim == 0}
    )
    good = np.isfinite(value.values)
    if not good.any():
        return {"name": label, "unit": value.attrs.get("units", ""), "n": 0}
    low, middle, high = np.quantile(value.values[good], (0.16, 0.5, 0.84))
    return {
        "name": label, "unit": value.attrs.get("units", ""), "n": int(good.sum()),
        "median": float(middle), "stderr": float(np.nanmedian(held.values)),
        "quantile_16": float(low), "quantile_84": float(high),
    }  # fmt: skip


def _estimates(out: xr.Dataset) -> list[dict[str, Any]]:
    return [
        _row(str(name), values, out[f"{name}_stderr"])
        for name, values in out.data_vars.items()
        if f"{name}_stderr" in out
    ]


def _counted(flags: xr.DataArray) -> dict[str, int]:
    """How often each meaning of a flag occurs."""
    import numpy as np

    words = str(flags.attrs["flag_meanings"]).split()
    values = np.atleast_1d(flags.attrs["flag_values"]).tolist()
    counts = {w: int(np.sum(flags.values == v)) for w, v in zip(words, values, strict=True)}
    return {w: n for w, n in counts.items() if n}


def _finish(
    out: xr.Dataset, rows: list[dict[str, Any]], output: Path | None, as_json: bool
) -> None:
    import numpy as np

    from plkit.io import write

    if output is not None:
        write(out, output)
    counts = _counted(out.fit_status)
    chosen = _counted(out.model_index) if "model_index" in out else {}
    redchi = out["redchi"].values
    chi = float(np.nanmedian(redchi)) if np.isfinite(redchi).any() else None
    if as_json:
        written = None if output is None else str(output)
        found: dict[str, Any] = {
            "estimates": rows,
            "fit_status": counts,
            "redchi": chi,
            "output": written,
        }
        if chosen:
            found["model"] = chosen
        say_json(found)
        return
    typer.echo("\n".join(_lines(rows)))
    said = ", ".join(f"{n} {w.replace('_', ' ')}" for w, n in counts.items())
    typer.echo(f"{sum(counts.values())} spectra or traces: {said}" + _chi(chi))
    if chosen:
        typer.echo("Model: " + ", ".join(f"{w} {n}" for w, n in chosen.items()))
    if output is not None:
        typer.echo(f"Maps: {output}")


def _chi(chi: float | None) -> str:
    return "" if chi is None else f"; χ²/ν = {chi:.2f}"


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    from plkit.plot.style import value_text

    width = max(len(r["name"]) for r in rows)
    lines = []
    for r in rows:
        if not r["n"]:
            lines.append(f"{r['name']:{width}}  not found")
            continue
        text = value_text(r["median"], r["stderr"], r["unit"])
        if r["n"] > 1:
            low, high = (value_text(r[k], r["stderr"]) for k in ("quantile_16", "quantile_84"))
            text += f"  (68 % of {r['n']} between {low.split(' ±')[0]} and {high.split(' ±')[0]})"
        lines.append(f"{r['name']:{width}}  {text}")
    return lines
