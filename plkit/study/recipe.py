"""The recipe of a study: what was measured, with which laser, on which films, from which files.

A recipe is a TOML file, by custom ``STUDY.toml``. Its tables say which keys it has, with their
units and ranges; nothing else is accepted. File names are relative to the recipe's folder.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, PrivateAttr, model_validator

from plkit.errors import RecipeError
from plkit.study.plan_tables import Plan
from plkit.study.recipe_tables import (
    READ_ROLES,
    Composition,
    Corrections,
    Diffusion,
    Environment,
    FilmRecipe,
    Laser,
    Peaks,
    Sample,
    Study,
    Substrate,
    Table,
    fault,
)

__all__ = [
    "RECIPE_NAME",
    "Composition",
    "Corrections",
    "Diffusion",
    "Environment",
    "FilmRecipe",
    "Input",
    "Laser",
    "Recipe",
    "Sample",
    "Study",
    "Substrate",
    "load_recipe",
    "template",
    "write_template",
]

RECIPE_NAME: Final = "STUDY.toml"
"""Name of the recipe in a study's folder."""


@dataclass(frozen=True, slots=True)
class Input:
    """One file that a recipe names.

    Parameters
    ----------
    keys : tuple
        Where the recipe names it.
    name : str
        As written.
    path : pathlib.Path
        Where it is.
    """

    keys: tuple[str | int, ...]
    name: str
    path: Path


class Recipe(Table):
    """A whole recipe; made by :func:`load_recipe`."""

    study: Study
    laser: Laser | None = None
    film: FilmRecipe | None = None
    substrate: Substrate | None = None
    environment: Environment = Environment()
    corrections: Corrections = Corrections()
    samples: Annotated[dict[str, Sample], Field(min_length=1)]
    peaks: Peaks = Peaks()
    composition: Composition = Composition()
    plan: Plan = Plan()
    _path: Path = PrivateAttr(default=Path(RECIPE_NAME))
    _text: str = PrivateAttr(default="")

    @property
    def path(self) -> Path:
        """The recipe's file."""
        return self._path

    @property
    def folder(self) -> Path:
        """The folder to which all names are relative."""
        return self._path.parent

    @property
    def text(self) -> str:
        """The recipe as written."""
        return self._text

    def resolve(self, name: str) -> Path:
        """Path of a file that the recipe names.

        Parameters
        ----------
        name : str
            As written in the recipe; absolute, or relative to its folder.

        Returns
        -------
        pathlib.Path
            Absolute path.
        """
        return (self.folder / Path(name).expanduser()).resolve()

    def film_of(self, sample: str) -> FilmRecipe:
        """Film of a sample: its own table, else ``[film]``.

        Parameters
        ----------
        sample : str
            Name of the sample.

        Returns
        -------
        FilmRecipe
            Thickness and thermal constants.

        Raises
        ------
        RecipeError
            If the recipe holds neither; a sample with an absorptance always has one.
        """
        film = self.samples[sample].film or self.film
        if film is None:
            raise RecipeError(
                f"use recipe {self.path}", f"sample '{sample}' has no film", "Add [film]."
            )
        return film

    @model_validator(mode="after")
    def _plan_is_of_samples(self) -> Recipe:
        for name in self.plan.samples:
            if name not in self.samples:
                known = ", ".join(self.samples)
                raise fault(
                    f"is a plan for '{name}', not for one of the samples: {known}",
                    ("plan", "samples", name),
                )
        return self

    @model_validator(mode="after")
    def _heating_is_complete(self) -> Recipe:
        for name, sample in self.samples.items():
            if not sample.is_heated:
                continue
            given = {
                "laser": self.laser,
                "film": sample.film or self.film,
                "substrate": self.substrate,
            }
            for table, value in given.items():
                if value is None:
                    key = "absorptance" if sample.absorptance is not None else "absorptance_nk"
                    raise fault(
                        f"is stated, but the table [{table}] is missing",
                        ("samples", name, key),
                        f"Add the table [{table}], or remove the absorptance.",
                    )
        return self

    def reader_options(self, keys: tuple[str | int, ...]) -> dict[str, Any]:
        """Options for reading a file.

        Parameters
        ----------
        keys : tuple
            Where the recipe names the file, for instance ``("samples", "x1.0", "exposure", "10")``.

        Returns
        -------
        dict
            Those of the table ``read``, under those of its sub-table for files of this role.
        """
        if keys[0] == "corrections":
            read, role = self.corrections.read, keys[1]
        else:
            read, role = self.samples[str(keys[1])].read, keys[2]
        for_all = {k: v for k, v in read.items() if k not in READ_ROLES}
        return {**for_all, **read.get(str(role), {})}

    def inputs(self) -> Iterator[Input]:
        """Every file that the recipe names.

        Yields
        ------
        Input
            In the order of the recipe.
        """

        def one(keys: tuple[str | int, ...], name: str | None) -> Iterator[Input]:
            if name is not None:
                yield Input(keys, name, self.resolve(name))

        yield from one(("corrections", "dark"), self.corrections.dark)
        yield from one(("corrections", "response"), self.corrections.response)
        for sample, s in self.samples.items():
            at = ("samples", sample)
            if isinstance(s.exposure, dict):
                for power, file in s.exposure.items():
                    yield from one((*at, "exposure", f"{power:g}"), file)
            else:
                yield from one((*at, "exposure"), s.exposure)
            yield from one((*at, "recovery"), s.recovery)
            yield from one((*at, "absorptance_nk"), s.absorptance_nk)
            for name, file in (s.references or {}).items():
                yield from one((*at, "references", name), file)
            for power, file in (s.maps or {}).items():
                yield from one((*at, "maps", f"{power:g}"), file)
            yield from one((*at, "overview"), s.overview)

    def output_folder(self, output: str | Path | None = None) -> Path:
        """Folder of the results, refused where replacing it would delete the inputs.

        Parameters
        ----------
        output : str or path-like, optional
            Overrides the recipe; relative to the working directory.

        Returns
        -------
        pathlib.Path
            Absolute path.

        Raises
        ------
        RecipeError
            If the folder holds the recipe or one of its files.
        """
        folder = self.resolve(self.study.output) if output is None else Path(output).resolve()
        kept = [self.path.resolve(), *(i.path for i in self.inputs())]
        inside = [p for p in kept if p == folder or folder in p.parents]
        if inside:
            raise RecipeError(
                f"use recipe {self.path}",
                f"the output folder {folder} holds the input {inside[0].name}, not only results",
                "Name another folder: results are replaced as a whole.",
            )
        return folder

    def to_json(self) -> str:
        """Return the recipe as one JSON string, defaults included.

        Returns
        -------
        str
            Keys as in the TOML; file names as written.
        """
        return self.model_dump_json()


def load_recipe(path: str | Path, *, measured: bool = True) -> Recipe:
    """Read and check a recipe; every fault is reported at once.

    Parameters
    ----------
    path : str or path-like
        The TOML file, or a folder that holds ``STUDY.toml``.
    measured : bool, optional
        Whether the files that it names have to exist; not so for a study that is being planned.

    Returns
    -------
    Recipe
        Frozen; all files that it names exist, where ``measured``.

    Raises
    ------
    RecipeError
        For faults of syntax, keys, types, ranges and files, each with its line, the key, what was
        found and what is allowed.

    Examples
    --------
    >>> load_recipe("nowhere/STUDY.toml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    plkit.errors.RecipeError: Cannot use recipe nowhere/STUDY.toml because the file does not ...
    """
    from plkit.study.recipe_faults import parse

    return parse(Path(path), measured)


def template() -> str:
    """Text of a recipe in which every key is explained.

    Returns
    -------
    str
        TOML with comments; the file names in it are examples.

    Examples
    --------
    >>> "[laser]" in template()
    True
    """
    return (importlib.resources.files("plkit.study") / "template.toml").read_text("utf-8")


def write_template(folder: str | Path) -> Path:
    """Write :func:`template` as ``STUDY.toml`` into a folder, which is made where needed.

    Parameters
    ----------
    folder : str or path-like
        Folder of the new study.

    Returns
    -------
    pathlib.Path
        The recipe.

    Raises
    ------
    RecipeError
        If there is a recipe already.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_template(f"{folder}/new").name
    'STUDY.toml'
    """
    target = Path(folder) / RECIPE_NAME
    if target.exists():
        raise RecipeError(
            f"start a study in {folder}",
            f"{target} exists, not an empty place",
            "Choose another folder, or edit the recipe that is there.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(template(), encoding="utf-8")
    except OSError as error:
        raise RecipeError(
            f"start a study in {folder}",
            f"the folder is not writable ({error.strerror})",
            "Choose another folder.",
        ) from error
    return target
