"""Corrections said in words: 'crop wavelength=520:900' for ``spectra.crop(ds, wavelength=(520, 900))``."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from plkit.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["parsed_step"]

STEPS: Final = (
    "mask_saturation", "set_noise", "subtract_dark", "despike", "estimate_noise", "divide_response",
    "calibrate_wavelength", "to_vacuum", "to_air", "crop", "subtract_baseline", "apply_drift",
    "bin_spectra", "to_energy", "to_wavelength",
)  # fmt: skip
"""Corrections that turn a dataset into a dataset."""

_FILES: Final = ("dark", "response", "drift")


def parsed_step(words: str) -> Callable[[xr.Dataset], xr.Dataset]:
    """Turn the words of one step into the function that does it.

    Parameters
    ----------
    words : str
        Name of a correction, then ``KEY=VALUE``. A value is JSON where it can be read as such,
        ``LOW:HIGH`` a range with either end left out at will, else text; ``dark``, ``response`` and
        ``drift`` may name a file.

    Returns
    -------
    callable
        From dataset to dataset.

    Raises
    ------
    DataError
        If the correction or one of its keys is not known.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> ds = xr.Dataset({"intensity": ("wavelength", np.ones(5), {"units": "counts"})},
    ...                 {"wavelength": ("wavelength", np.arange(500.0, 505.0), {"units": "nm"})})
    >>> parsed_step("crop wavelength=501:503")(ds).sizes["wavelength"]
    3
    """
    from plkit import spectra

    try:
        name, *rest = shlex.split(words)
    except ValueError as exc:
        raise DataError("correct", f"the step '{words}' has a quote that does not end") from exc
    if name not in STEPS:
        raise DataError(
            "correct", f"the step is '{name}', not one of {', '.join(STEPS)}",
            "For instance: -s 'crop wavelength=520:900'.",
        )  # fmt: skip
    function = getattr(spectra, name)
    known = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
    keywords: dict[str, Any] = {}
    for word in rest:
        key, sign, text = word.partition("=")
        if not sign:
            raise DataError(f"correct by {name}", f"'{word}' is not KEY=VALUE")
        if (key not in known and not open_ended) or key == "ds":
            own = [k for k in known if k != "ds"]
            raise DataError(
                f"correct by {name}", f"it has no '{key}', only {', '.join(own) or 'no keys'}"
            )
        keywords[key] = _value(key, text)
    needed = [
        k for k, p in known.items()
        if k != "ds" and p.default is p.empty and p.kind is not p.VAR_KEYWORD and k not in keywords
    ]  # fmt: skip
    if needed:
        raise DataError(f"correct by {name}", f"it lacks {', '.join(needed)}")

    def step(ds: xr.Dataset) -> xr.Dataset:
        from plkit import read

        given = {
            k: read(v) if k in _FILES and isinstance(v, Path) else v for k, v in keywords.items()
        }
        corrected: xr.Dataset = function(ds, **given)
        return corrected

    return step


def _value(key: str, text: str) -> Any:
    """A number, a list, a range, the path of a file, or text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    low, sign, high = text.partition(":")
    if sign and key not in _FILES:
        try:
            return (float(low) if low else None, float(high) if high else None)
        except ValueError:
            return text
    return Path(text) if key in _FILES else text
