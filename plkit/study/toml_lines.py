"""On which line of a TOML text each key stands.

``tomllib`` gives the values but not where they were written; a recipe with a fault needs both.
The scanner below walks text that ``tomllib`` has already accepted, so it need not check it again.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Final

__all__ = ["Path", "key_lines", "nearest_line", "toml_name"]

Path = tuple[str | int, ...]
"""Keys from the top of the document; an integer is an index in an array."""

_BLANK: Final = " \t\r"


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while True:
            self._skip(newlines=True)
            if self.at >= len(self.text):
                return self.lines
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._assignment(table)

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _skip(self, *, newlines: bool) -> None:
        """Go on to the next character that is neither blank nor in a comment."""
        while self.at < len(self.text):
            c = self.text[self.at]
            if c == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif c in _BLANK or (newlines and c == "\n"):
                self.at += 1
            else:
                return

    def _header(self) -> Path:
        line = self._line()
        repeated = self.text.startswith("[[", self.at)
        self.at += 2 if repeated else 1
        path: Path = tuple(self._key())
        self.at += 2 if repeated else 1
        self._record(path, line)
        if repeated:
            index = self._arrays.get(path, -1) + 1
            self._arrays[path] = index
            path = (*path, index)
            self._record(path, line)
        return path

    def _assignment(self, table: Path) -> None:
        line = self._line()
        path: Path = (*table, *self._key())
        self._record(path, line)
        self.at += 1  # the equals sign
        self._value(path)

    def _record(self, path: Path, line: int) -> None:
        for n in range(1, len(path) + 1):
            self.lines.setdefault(path[:n], line)

    def _key(self) -> list[str]:
        """Read a dotted key; stop at ``=`` or ``]``."""
        parts: list[str] = []
        while True:
            self._skip(newlines=False)
            start = self.at
            if self.text[self.at] in "\"'":
                self._string()
                quoted = self.text[start : self.at]
                parts.append(tomllib.loads(f"k = {quoted}")["k"])
            else:
                while self.text[self.at] not in "=.]\n" + _BLANK:
                    self.at += 1
                parts.append(self.text[start : self.at])
            self._skip(newlines=False)
            if self.text[self.at] != ".":
                return parts
            self.at += 1

    def _string(self) -> None:
        quote = self.text[self.at]
        mark = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.at += len(mark)
        while not self.text.startswith(mark, self.at):
            self.at += 2 if quote == '"' and self.text[self.at] == "\\" else 1
        self.at += len(mark)
        while len(mark) == 3 and self.text.startswith(quote, self.at):
            self.at += 1  # """a"""" ends with a quote of its own

    def _value(self, path: Path) -> None:
        self._skip(newlines=True)
        c = self.text[self.at]
        if c in "\"'":
            self._string()
        elif c == "[":
            self.at += 1
            index = 0
            while not self._closed("]"):
                self.lines.setdefault((*path, index), self._line())
                self._value((*path, index))
                index += 1
        elif c == "{":
            self.at += 1
            while not self._closed("}"):
                self._assignment(path)
        else:
            while self.at < len(self.text) and self.text[self.at] not in ",]}#\n":
                self.at += 1

    def _closed(self, mark: str) -> bool:
        """Go past a comma; true where the bracket closes, which is then passed too."""
        self._skip(newlines=True)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(newlines=True)
        if self.text[self.at] == mark:
            self.at += 1
            return True
        return False


def key_lines(text: str) -> dict[Path, int]:
    """Line of every table, key and array element of a TOML text.

    Parameters
    ----------
    text : str
        TOML that ``tomllib`` accepts.

    Returns
    -------
    dict
        From the path of keys to the line, counted from 1.

    Examples
    --------
    >>> key_lines('[laser]\\nspot.radius = [1,\\n 2]')[("laser", "spot", "radius", 1)]
    3
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


def nearest_line(lines: dict[Path, int], path: Path) -> int:
    """Line of ``path``, or of the closest table that holds it.

    Parameters
    ----------
    lines : dict
        From :func:`key_lines`.
    path : tuple
        Keys from the top of the document.

    Returns
    -------
    int
        The line, counted from 1; 1 where no part of the path was written.

    Examples
    --------
    >>> nearest_line({("laser",): 4}, ("laser", "missing"))
    4
    """
    for n in range(len(path), 0, -1):
        if path[:n] in lines:
            return lines[path[:n]]
    return 1


def toml_name(keys: Path) -> str:
    """Name of a key as it would be written in TOML.

    Parameters
    ----------
    keys : tuple
        Keys from the top of the document.

    Returns
    -------
    str
        With quotes where TOML wants them.

    Examples
    --------
    >>> toml_name(("samples", "x1.0", "crop_nm", 1))
    'samples."x1.0".crop_nm[1]'
    """
    text = ""
    for part in keys:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            text += ("." if text else "") + (part if bare else json.dumps(part))
    return text
