"""From a faulty recipe to sentences: line, key, what was found, what is allowed."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from plkit.errors import RecipeError
from plkit.study.recipe import RECIPE_NAME, Input, Recipe
from plkit.study.toml_lines import Path as KeyPath
from plkit.study.toml_lines import key_lines, nearest_line, toml_name

__all__ = ["parse"]


@dataclass(frozen=True, slots=True)
class _Fault:
    line: int
    text: str
    remedy: str = ""


def parse(path: Path, measured: bool = True) -> Recipe:
    """Read a recipe; see :func:`plkit.study.recipe.load_recipe`."""
    path = path / RECIPE_NAME if path.is_dir() else path
    action = f"use recipe {path}"
    text = _read_text(path, action)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _raise(action, [_syntax_fault(text, str(error))])
    lines = key_lines(text)
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        errors = _without_consequences(error.errors())
        _raise(action, [_model_fault(e, raw, lines, text) for e in errors])
    recipe._path = path.resolve()
    recipe._text = text
    inputs = recipe.inputs() if measured else ()
    faults = [f for i in inputs if (f := _file_fault(i, recipe, lines))]
    if faults:
        _raise(action, faults)
    recipe.output_folder()
    return recipe


def _read_text(path: Path, action: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        reason, remedy = "the file does not exist", "Write one: plkit init FOLDER."
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        reason = f"line {line}: the text is not UTF-8"
        remedy = "Save it as UTF-8 (a µ in another encoding does this)."
    except OSError as error:
        reason, remedy = f"the file cannot be read ({error.strerror})", ""
    raise RecipeError(action, reason, remedy)


def _raise(action: str, faults: list[_Fault]) -> typing.NoReturn:
    ordered = sorted(faults, key=lambda f: f.line)
    reason = "; ".join(dict.fromkeys(f"line {f.line}: {f.text}" for f in ordered))
    remedies = " ".join(dict.fromkeys(f.remedy for f in ordered if f.remedy))
    raise RecipeError(action, reason, remedies) from None


# Syntax ---------------------------------------------------------------------------------------
def _syntax_fault(text: str, message: str) -> _Fault:
    found = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
    what = message[: found.start()] if found else message
    written = text.splitlines()[line - 1].strip() if text.strip() else ""
    twice = re.match(r"Cannot (overwrite a value|declare .* twice)", what)
    reason = "a key or table is given twice" if twice else f"not TOML ({what})"
    return _Fault(
        line,
        f"{reason}, in {written!r}",
        "Remove one of the two." if twice else "Texts stand in quotes, keys are: key = value.",
    )


# Keys, types, ranges --------------------------------------------------------------------------
def _model_fault(error: Any, raw: dict[str, Any], lines: dict[KeyPath, int], text: str) -> _Fault:
    loc = _keys_only(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "recipe":
        loc = _as_written((*loc, *context["at"]), lines)
        whole = loc if context["found"].startswith("is") else loc[:-1] if context["at"] else loc
        return _Fault(
            nearest_line(lines, loc), f"'{toml_name(whole)}' {context['found']}", context["remedy"]
        )
    if kind == "missing":
        return _missing_fault(loc, lines, text)
    loc = _as_written(loc, lines)
    line = nearest_line(lines, loc)
    if kind == "extra_forbidden":
        return _unknown_key_fault(loc, line)
    return _Fault(line, f"'{toml_name(loc)}' is {_shown(raw, loc)}, not {_allowed(loc)}")


def _without_consequences(errors: list[Any]) -> list[Any]:
    """Drop "missing" where the key is there, misspelled: that is one fault, not two."""
    meant: set[KeyPath] = set()
    for error in errors:
        if error["type"] == "extra_forbidden":
            *table, key = error["loc"]
            close = difflib.get_close_matches(str(key), list(_fields(tuple(table))), n=1)
            meant.update((*table, c) for c in close)
    return [e for e in errors if e["type"] != "missing" or e["loc"] not in meant]


def _keys_only(loc: KeyPath) -> KeyPath:
    """Location without the mark ("file" or "table") that pydantic puts behind an exposure."""
    tagged = len(loc) > 3 and loc[0] == "samples" and loc[2] == "exposure"
    return (*loc[:3], *loc[4:]) if tagged else loc


def _as_written(loc: KeyPath, lines: dict[KeyPath, int]) -> KeyPath:
    """Give a power back the spelling that it has in the recipe ("010" for 10)."""
    if not loc or loc in lines:
        return loc
    for written in lines:
        if written[:-1] == loc[:-1] and _same_number(written[-1], loc[-1]):
            return written
    return loc


def _same_number(a: str | int, b: str | int) -> bool:
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def _missing_fault(loc: KeyPath, lines: dict[KeyPath, int], text: str) -> _Fault:
    table, key = loc[:-1], str(loc[-1])
    if not table:
        end = text.rstrip().count("\n") + 1
        return _Fault(end, f"the table [{key}] is missing", f"Add [{key}].")
    return _Fault(
        nearest_line(lines, loc),
        f"[{toml_name(table)}] has no '{key}', which must be {_allowed(loc)}",
        f"Add {key} = … to [{toml_name(table)}].",
    )


def _unknown_key_fault(loc: KeyPath, line: int) -> _Fault:
    table, key = loc[:-1], str(loc[-1])
    known = list(_fields(table))
    close = difflib.get_close_matches(key, known, n=1)
    where = f"[{toml_name(table)}]" if table else "a recipe"
    return _Fault(
        line,
        f"'{toml_name(loc)}' is not a key of {where}, which has {', '.join(known)}",
        f"Did you mean '{close[0]}'?" if close else "",
    )


def _shown(raw: Any, loc: KeyPath) -> str:
    """Return what the recipe has at ``loc``, briefly and as in TOML."""
    value = raw
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    if isinstance(value, dict):
        count = f"a table of {len(value)} {'entry' if len(value) == 1 else 'entries'}"
        return count if value else "an empty table"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """First model in an annotation such as ``dict[str, Sample]`` or ``Diffusion | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in typing.get_args(annotation):
        if (model := _model_of(part)) is not None:
            return model
    return None


def _fields(table: KeyPath) -> dict[str, FieldInfo]:
    """Keys that the table at ``table`` may have."""
    fields = dict(Recipe.model_fields)
    if table == ("samples",):
        return {}
    # The name of a sample is no key, though it may be spelled like one: [samples.film].
    for part in table if table[:1] != ("samples",) else ("samples", *table[2:]):
        if isinstance(part, str) and part in fields:
            model = _model_of(fields[part].annotation)
            fields = dict(model.model_fields) if model else {}
    return fields


def _allowed(loc: KeyPath) -> str:
    for n in range(len(loc), 0, -1):
        field = _fields(loc[: n - 1]).get(str(loc[n - 1]))
        if field is None:
            continue
        if isinstance(field.json_schema_extra, dict):
            # An element of a table of files is a file name, not a table.
            return str(field.json_schema_extra["allowed"]) if n == len(loc) else _element(loc[:n])
        return "a table with at least one entry" if loc[n - 1] == "samples" else "a table"
    return "a table"


def _element(loc: KeyPath) -> str:
    if loc[-1] in ("references", "exposure", "maps"):
        return "a file name"
    return _allowed(loc).replace("a list of numbers", "a number")


# Files ----------------------------------------------------------------------------------------
def _file_fault(item: Input, recipe: Recipe, lines: dict[KeyPath, int]) -> _Fault | None:
    keys, name, path = item.keys, item.name, item.path
    a_folder_will_do = path.suffix == ".zarr" or "pattern" in recipe.reader_options(keys)
    if path.is_file() or (path.is_dir() and a_folder_will_do):
        return None
    wanted = "a file" if path.is_dir() else "a file that exists"
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, [b for b in beside if b != path.name], n=1)
    return _Fault(
        nearest_line(lines, _as_written(keys, lines)),
        f"'{toml_name(keys)}' is \"{name}\", not {wanted} (looked for {path})",
        _folder_remedy(keys)
        if path.is_dir()
        else f"Did you mean '{Path(name).with_name(close[0])}'?"
        if close
        else "",
    )


def _folder_remedy(keys: tuple[str | int, ...]) -> str:
    table = (keys[0], "read", keys[1]) if keys[0] == "corrections" else (*keys[:2], "read", keys[2])
    return (
        f"A folder of spectra needs the pattern of their names: [{toml_name(table)}] "
        'pattern = "t{time}.csv", units = { time = "s" }.'
    )
