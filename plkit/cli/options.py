"""Options of readers on the command line: what :func:`plkit.read` takes as keywords."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from plkit.errors import DataError, PlkitError
from plkit.io.common import keywords_asked

__all__ = ["reader_options", "saying_how"]

_OWN_WORDS = ("reader", "path", "src", "dst", "overwrite")


def reader_options(words: Sequence[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` words into keywords of a reader.

    Parameters
    ----------
    words : sequence of str
        A value is JSON (a number, a list, a mapping) where it can be read as such, else text.

    Returns
    -------
    dict
        Value by name.

    Raises
    ------
    DataError
        If a word has no name or no ``=``, or names what the command itself takes.

    Examples
    --------
    >>> reader_options(["column_dim=time", "column_values=[0, 1.5]", 'units={"time": "min"}'])
    {'column_dim': 'time', 'column_values': [0, 1.5], 'units': {'time': 'min'}}
    """
    options: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name.isidentifier():
            raise DataError(
                "use an option of the reader", f"it is '{word}', not NAME=VALUE",
                "For instance: -O column_dim=time.",
            )  # fmt: skip
        if name in _OWN_WORDS:
            raise DataError(
                "use an option of the reader",
                f"'{name}' is no option of a reader but said on its own",
                "See plkit info --help.",
            )
        try:
            options[name] = json.loads(text)
        except ValueError:
            options[name] = text
    return options


@contextmanager
def saying_how() -> Iterator[None]:
    """Add to a refusal that asks for options how they are given on the command line."""
    try:
        yield
    except PlkitError as error:
        words = [_word(k, v) for k, v in keywords_asked(error.remedy)]
        if not words:
            raise
        remedy = f"{error.remedy} On the command line: {' '.join(words)}."
        raise type(error)(error.action, error.reason, remedy) from error


def _word(name: str, value: str) -> str:
    """One option as a shell takes it; the reader's own name has an option of its own."""
    if name == "reader":
        return f"--reader {value[1:-1]}"
    return f"-O {name}={value[1:-1]}" if value.startswith('"') else f"-O '{name}={value}'"
