"""The tables of a recipe: which keys each has, with their meaning, unit and range."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from plkit.physics.calibration import CALIBRATIONS

__all__ = [
    "READ_ROLES",
    "Composition",
    "Corrections",
    "Diffusion",
    "Environment",
    "FilmRecipe",
    "Laser",
    "Peaks",
    "Published",
    "Sample",
    "Study",
    "Substrate",
    "Table",
]

# Roles of files whose options for the reader may differ from those of the others.
READ_ROLES = ("exposure", "recovery", "references", "maps", "overview", "dark", "response")

Background = Literal["none", "constant", "linear"]


def fault(found: str, at: tuple[str | int, ...] = (), remedy: str = "") -> PydanticCustomError:
    """Return a fault whose text and place :mod:`plkit.study.recipe_faults` understands."""
    return PydanticCustomError("recipe", "{found}", {"found": found, "at": at, "remedy": remedy})


# Kinds of values ------------------------------------------------------------------------------
def _not_blank(value: str) -> str:
    if not value.strip():
        raise fault("is empty, not a text")
    return value


def _known_calibration(value: str) -> str:
    if value not in (*CALIBRATIONS, "none"):
        raise fault(f"is '{value}', not one of {', '.join(CALIBRATIONS)}, none")
    return value


def _power_table(value: Any) -> Any:
    """Turn the keys of ``{ "10" = "file" }`` into powers, ascending."""
    if not isinstance(value, dict):
        return value
    if not value:
        raise fault("is an empty table, not power in µW → file")
    powers: dict[float, Any] = {}
    files: dict[Any, str] = {}
    for key, file in value.items():
        try:
            power = float(key)
        except ValueError:
            power = math.nan
        if not (math.isfinite(power) and power > 0):
            raise fault(f"has the key '{key}', not a power above 0 in µW", (key,))
        if power in powers:
            raise fault(f"has the power {power:g} µW twice, not once", (key,))
        if isinstance(file, str) and file in files:
            raise fault(
                f"has the file '{file}' for {files[file]} and for {key} µW, not one file per power",
                (key,),
                "Each power needs its own file.",
            )
        powers[power] = file
        files[file if isinstance(file, str) else key] = key
    return dict(sorted(powers.items()))


def _reader_options(roles: tuple[str, ...]) -> AfterValidator:
    """Options for all files of a table, and in tables of their own those for the files of one role."""

    def check(value: dict[str, Any]) -> dict[str, Any]:
        for role in roles:
            if role in value and not isinstance(value[role], dict):
                raise fault("is no table of options", (role,))
        return value

    return AfterValidator(check)


def _table_or_file(value: Any) -> str:
    return "table" if isinstance(value, dict) else "file"


Number = Annotated[float, Strict(), AllowInfNan(False)]
Text = Annotated[str, AfterValidator(_not_blank)]
FileName = Annotated[str, AfterValidator(_not_blank)]
Window = Annotated[list[Number], Field(min_length=2, max_length=2)]
PowerTable = Annotated[dict[float, FileName], BeforeValidator(_power_table)]
Exposure = Annotated[
    Annotated[FileName, Tag("file")] | Annotated[PowerTable, Tag("table")],
    Discriminator(_table_or_file),
]


def _number(meaning: str, unit: str, default: Any = ..., **bounds: float) -> Any:
    """Return a field for a number; the sentence about its range is what an error shows."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    of = " and ".join(f"{words[k]} {v:g}" for k, v in bounds.items())
    allowed = " ".join(["a number", of, f"in {unit}" if unit != "1" else ""]).replace("  ", " ")
    return Field(
        default,
        description=meaning,
        json_schema_extra={"allowed": allowed.strip(), "unit": unit},
        gt=bounds.get("gt"),
        ge=bounds.get("ge"),
        lt=bounds.get("lt"),
        le=bounds.get("le"),
    )


def _other(meaning: str, allowed: str, default: Any = ...) -> Any:
    return Field(default, description=meaning, json_schema_extra={"allowed": allowed})


def _file(meaning: str, default: Any = ...) -> Any:
    return _other(meaning, "a file name", default)


def _choice(meaning: str, *allowed: str, default: str) -> Any:
    return _other(meaning, "one of " + ", ".join(f'"{a}"' for a in allowed), default)


class Table(BaseModel):
    """A table that takes no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Tables ---------------------------------------------------------------------------------------
class Study(Table):
    """``[study]``: title, output folder, seed."""

    title: Text = _other("Title of the report.", "a text")
    output: FileName = _other("Folder of the results.", "a folder name", "results")
    seed: Annotated[int, Strict()] = _other(
        "Seed of every random number.", "a whole number", 20250101
    )


class Laser(Table):
    """``[laser]``: wavelength and 1/e² radius of the spot, with σ."""

    wavelength_nm: Number = _number("Wavelength of the laser.", "nm", gt=0)
    spot_radius_um: Number = _number("1/e² radius of the intensity.", "µm", gt=0)
    spot_radius_stderr_um: Number = _number("σ of the radius.", "µm", 0.0, ge=0)


class FilmRecipe(Table):
    """``[film]``: thickness and thermal constants; a sample may have its own."""

    thickness_nm: Number = _number("Thickness of the film.", "nm", gt=0)
    conductivity_w_mk: Number = _number("Thermal conductivity.", "W/(m K)", gt=0)
    conductivity_stderr_w_mk: Number = _number("σ of the conductivity.", "W/(m K)", 0.0, ge=0)
    heat_capacity_j_m3k: Number = _number("Heat capacity per volume.", "J/(m³ K)", gt=0)
    plqy: Number = _number("Quantum yield of photoluminescence.", "1", 0.0, ge=0, lt=1)


class Substrate(Table):
    """``[substrate]``: thickness, thermal constants, refractive index."""

    refractive_index: Number = _number(
        "Refractive index at the laser's wavelength, for absorptance_nk.", "1", 1.53, ge=1
    )
    thickness_um: Number = _number("Thickness of the substrate.", "µm", gt=0)
    conductivity_w_mk: Number = _number("Thermal conductivity.", "W/(m K)", gt=0)
    conductivity_stderr_w_mk: Number = _number("σ of the conductivity.", "W/(m K)", 0.0, ge=0)
    heat_capacity_j_m3k: Number = _number("Heat capacity per volume.", "J/(m³ K)", gt=0)


class Environment(Table):
    """``[environment]``: temperature of the room."""

    ambient_k: Number = _number("Temperature of the room.", "K", 293.15, gt=0)


class Corrections(Table):
    """``[corrections]``: what is done to the spectra before anything else."""

    dark: FileName | None = _file("Dark measurement, subtracted.", None)
    dark_bias_counts: Number = _number(
        "Part of the dark that does not grow with the exposure time.", "counts", 0.0
    )
    response: FileName | None = _file("Spectral response, divided by.", None)
    despike: Annotated[bool, Strict()] = _other("Remove cosmic rays.", "true or false", True)
    despike_threshold: Number | None = _number("Height of a spike in σ.", "σ", None, gt=0)
    baseline: Literal["none", "constant", "linear", "arpls", "asls"] = _choice(
        "Baseline, subtracted.", "none", "constant", "linear", "arpls", "asls", default="none"
    )
    baseline_windows_nm: list[Window] | None = _other(
        "Ranges without photoluminescence, for a constant or linear baseline.",
        "a list of pairs of ascending numbers in nm",
        None,
    )
    noise_gain: Number | None = _number(
        "Counts per detected electron, where the file does not state it.", "counts", None, gt=0
    )
    noise_floor: Number = _number("Variance in the dark, beside noise_gain.", "counts²", 0.0, ge=0)
    energy_counts_per: Literal["channel", "eV"] | None = _other(
        "What the values of files over photon energy are: counts of a channel, or per eV.",
        'one of "channel", "eV"',
        None,
    )
    crop_nm: Window | None = _other(
        "Range of wavelengths that is kept.", "two ascending numbers in nm", None
    )
    read: Annotated[dict[str, Any], _reader_options(READ_ROLES[5:])] = _other(
        "Options for plkit.read.", "a table of options", {}
    )

    @model_validator(mode="after")
    def _ascending(self) -> Corrections:
        if self.crop_nm is not None and not 0 < self.crop_nm[0] < self.crop_nm[1]:
            raise fault(f"is {self.crop_nm}, not two ascending numbers in nm", ("crop_nm",))
        if self.baseline in ("constant", "linear") and not self.baseline_windows_nm:
            raise fault(
                f"is '{self.baseline}' without baseline_windows_nm, not with them",
                ("baseline",),
                "Say where there is no photoluminescence: baseline_windows_nm = [[460, 480]].",
            )
        for low, high in self.baseline_windows_nm or []:
            if not 0 < low < high:
                raise fault(
                    f"holds [{low:g}, {high:g}], not two ascending numbers in nm",
                    ("baseline_windows_nm",),
                )
        return self


class Diffusion(Table):
    """``[samples.NAME.diffusion]``: how the halo of the maps is fitted."""

    geometry: Literal["map", "radial", "cut"] = _choice(
        "What is fitted.", "map", "radial", "cut", default="map"
    )
    initial_sigma_um: Number | None = _number(
        "σ of the profile at time 0; half the spot radius by default.", "µm", None, ge=0
    )


class Peaks(Table):
    """``[peaks]``: how the emission maximum is found."""

    method: Literal["parabola", "centroid", "gaussian", "asymmetric"] = _choice(
        "Method of plkit.fit_peaks.",
        "parabola",
        "centroid",
        "gaussian",
        "asymmetric",
        default="parabola",
    )
    window_nm: Window | None = _other(
        "Range in which the maximum lies.", "two ascending numbers in nm", None
    )

    @model_validator(mode="after")
    def _ascending(self) -> Peaks:
        if self.window_nm is not None and not 0 < self.window_nm[0] < self.window_nm[1]:
            raise fault(f"is {self.window_nm}, not two ascending numbers in nm", ("window_nm",))
        return self


class Composition(Table):
    """``[composition]``: calibration of the iodine content."""

    calibration: Annotated[str, AfterValidator(_known_calibration)] = _choice(
        "Calibration E_PL(x); none for peak energies alone.",
        *CALIBRATIONS,
        "none",
        default="cunha2025",
    )


class Published(Table):
    """``[samples.NAME.published]``: numbers of others, set beside those that are found."""

    source: Text = _other("Where they stand, for instance a DOI.", "a text")
    activation_energy_ev: Number | None = _number("Activation energy.", "eV", None, gt=0)
    activation_energy_stderr_ev: Number = _number("Its σ.", "eV", 0.0, ge=0)
    diffusion_activation_energy_ev: Number | None = _number(
        "Activation energy of the diffusion coefficient.", "eV", None, gt=0
    )
    diffusion_activation_energy_stderr_ev: Number = _number("Its σ.", "eV", 0.0, ge=0)
    d_293k_m2_s: Number | None = _number("Diffusion coefficient at 293 K.", "m²/s", None, gt=0)
    d_293k_stderr_m2_s: Number = _number("Its σ.", "m²/s", 0.0, ge=0)


class Sample(Table):
    """``[samples.NAME]``: files and constants of one film."""

    exposure: Exposure | None = _other(
        "Series under the laser: one file with powers, or one file per power.",
        "a file name, or a table power in µW → file name",
        None,
    )
    power_uw: Number | None = _number(
        "Power, where the exposure file does not hold it.", "µW", None, gt=0
    )
    recovery: FileName | None = _file("Series in the dark afterwards.", None)
    references: Annotated[dict[str, FileName], Field(min_length=2)] | None = _other(
        "Spectra of the pure components; without them peaks and a verdict alone are found.",
        "a table name → file name with at least 2 entries",
        None,
    )
    pristine: Text | None = _other("Component that falls.", "the name of a reference", None)
    absorptance: Number | None = _number(
        "Share of the power that is absorbed; without it no temperature.", "1", None, gt=0, le=1
    )
    absorptance_nk: FileName | None = _file(
        "Table of n and k of the film, from which the absorptance follows.", None
    )
    absorptance_stderr: Number = _number("σ of the absorptance.", "1", 0.0, ge=0, lt=1)
    rate_scatter: Number = _number("Relative scatter of the rate, spot to spot.", "1", 0.0, ge=0)
    background: Background = _choice(
        "Background in the unmixing.", "none", "constant", "linear", default="none"
    )
    conversion_at_s: list[Annotated[Number, Field(gt=0)]] | None = _other(
        "Times at which the conversion is given.", "a list of numbers above 0 in s", None
    )
    maps: PowerTable | None = _other(
        "Maps after exposure.", "a table power in µW → file name", None
    )
    overview: FileName | None = _file("Large map, for the composition.", None)
    film: FilmRecipe | None = _other("Film of this sample.", "a table like [film]", None)
    diffusion: Diffusion | None = _other("Fit of the maps.", "a table", None)
    published: Published | None = _other("Numbers of others, to compare.", "a table", None)
    read: Annotated[dict[str, Any], _reader_options(READ_ROLES[:5])] = _other(
        "Options for plkit.read.", "a table of options", {}
    )

    @model_validator(mode="after")
    def _consistent(self) -> Sample:
        if self.exposure is None and self.overview is None:
            raise fault("has neither 'exposure' nor 'overview', not at least one of them")
        if self.absorptance is not None and self.absorptance_nk is not None:
            raise fault(
                "is given beside 'absorptance', not instead of it",
                ("absorptance_nk",),
                "Keep one of the two.",
            )
        if self.maps is not None and self.references is None:
            raise fault("is given without 'references', not with them", ("maps",))
        references = self.references or {}
        known = ", ".join(references) or "none"
        if self.pristine is not None and self.pristine not in references:
            raise fault(f"is '{self.pristine}', not one of the references: {known}", ("pristine",))
        seen: dict[str, str] = {}
        for name, file in references.items():
            if file in seen:
                raise fault(
                    f"is '{file}', the same file as '{seen[file]}', not a spectrum of its own",
                    ("references", name),
                    "Two equal references cannot be told apart.",
                )
            seen[file] = name
        if self.power_uw is not None and isinstance(self.exposure, dict):
            raise fault(
                "is given beside a table of exposures, not instead of one",
                ("power_uw",),
                "Remove power_uw: the table's keys are the powers.",
            )
        if self.diffusion is not None and self.maps is None:
            raise fault(
                "is given without 'maps', not with them",
                ("diffusion",),
                'Add maps = { "10" = "map.nc" } or remove the table.',
            )
        return self

    @property
    def falling(self) -> str:
        """Name of the component that falls: ``pristine``, or the first reference."""
        return self.pristine if self.pristine is not None else next(iter(self.references or ("",)))

    @property
    def is_heated(self) -> bool:
        """True where the recipe states how much of the laser's power the film absorbs."""
        return self.absorptance is not None or self.absorptance_nk is not None
