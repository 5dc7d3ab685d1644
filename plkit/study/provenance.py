"""Where a result comes from: inputs by sha256, the recipe, the versions, the seed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from plkit.study.recipe import Recipe

__all__ = ["LIBRARIES", "file_sha256", "provenance", "provenance_id", "provenance_json"]

LIBRARIES: Final = ("numpy", "scipy", "xarray", "lmfit", "numba", "netCDF4", "matplotlib")
"""Libraries whose version may change a number or a figure."""

_CHUNK: Final = 1 << 20


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's content, or of a folder's files in order (zarr).

    Parameters
    ----------
    path : str or path-like
        File or folder.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "a.txt"
    ...     _ = file.write_bytes(b"abc")
    ...     file_sha256(file)[:8]
    'ba7816bf'
    """
    digest = hashlib.sha256()
    path = Path(path)
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            name = file.relative_to(path).as_posix()
            digest.update(f"{name}\0{file_sha256(file)}\n".encode())
    else:
        with path.open("rb") as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _size(path: Path) -> int:
    files: Iterable[Path] = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


def provenance(recipe: Recipe, *, seed: int | None = None) -> dict[str, Any]:
    """Everything that one needs to get the same numbers again.

    Parameters
    ----------
    recipe : Recipe
        From :func:`plkit.study.recipe.load_recipe`.
    seed : int, optional
        Seed that was used, where it is not the recipe's.

    Returns
    -------
    dict
        ``plkit``, ``python``, ``platform``, ``libraries`` (versions), ``seed``, ``recipe``
        (as read, defaults included), ``recipe_text`` (as written), ``recipe_sha256`` and
        ``inputs``: per file ``role``, ``name``, ``sha256``, ``bytes``. No date and no absolute
        path, so that the same study gives the same record anywhere.

    Examples
    --------
    >>> record = provenance(load_recipe("study/STUDY.toml"))  # doctest: +SKIP
    >>> record["inputs"][0]["name"]                           # doctest: +SKIP
    'x1.0.nc'
    """
    from plkit import __version__

    hashes: dict[Path, str] = {}
    inputs = []
    for item in recipe.inputs():
        if item.path not in hashes:
            hashes[item.path] = file_sha256(item.path)
        inputs.append(
            {
                "role": ".".join(map(str, item.keys)),
                "name": item.name,
                "sha256": hashes[item.path],
                "bytes": _size(item.path),
            }
        )
    return {
        "plkit": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "seed": recipe.study.seed if seed is None else seed,
        "recipe": json.loads(recipe.to_json()),
        "recipe_text": recipe.text,
        "recipe_sha256": hashlib.sha256(recipe.text.encode()).hexdigest(),
        "inputs": inputs,
    }


def provenance_json(record: dict[str, Any]) -> str:
    """Return the record as one JSON string, for an attribute of a netCDF file.

    Parameters
    ----------
    record : dict
        From :func:`provenance`.

    Returns
    -------
    str
        Keys in a fixed order.

    Examples
    --------
    >>> provenance_json({"b": 1, "a": "µ"})
    '{"a": "µ", "b": 1}'
    """
    return json.dumps(record, ensure_ascii=False, sort_keys=True)


def provenance_id(record: dict[str, Any]) -> str:
    """Short name of a record, to be printed in figures and reports.

    Parameters
    ----------
    record : dict
        From :func:`provenance`.

    Returns
    -------
    str
        First 12 digits of the record's SHA-256; it depends on the recipe, the inputs, the seed
        and plkit's version, not on the machine.

    Examples
    --------
    >>> a = {"plkit": "1", "seed": 1, "recipe_sha256": "f", "inputs": [], "python": "3.11"}
    >>> provenance_id(a) == provenance_id({**a, "python": "3.13"})
    True
    """
    kept = {key: record[key] for key in ("plkit", "seed", "recipe_sha256", "inputs")}
    return hashlib.sha256(provenance_json(kept).encode()).hexdigest()[:12]
