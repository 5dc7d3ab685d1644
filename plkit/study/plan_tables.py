"""The tables of a recipe that only planning reads: what is expected of a study not yet measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict, model_validator

from plkit.study.recipe_tables import Number, Table, _number, _other, fault

__all__ = ["Plan", "SamplePlan"]

_COMPOSITIONS = (0.0, 1.0, 1.5, 2.0, 3.0)
Powers = Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=2)]


class SamplePlan(Table):
    """``[plan.samples.NAME]``: what is expected of one film, and how it shall be measured."""

    activation_energy_ev: Number = _number("Expected activation energy.", "eV", gt=0)
    time_constants_s: Annotated[
        list[Annotated[Number, Field(gt=0)]], Field(min_length=2, max_length=2)
    ] = _other(
        "Expected time constants at the mean temperature.", "two ascending numbers above 0 in s"
    )
    fast_weight: Number = _number("Share of the fast process.", "1", 0.6, gt=0, lt=1)
    ceiling_power_uw: Number = _number(
        "Ps in the final conversion 0.7 (1 − exp(−P/Ps)).", "µW", 35.0, gt=0
    )
    x_iodine: Number = _number("Iodine per formula unit, for the lines.", "1", 1.5, ge=0, le=3)
    product_x_iodine: Number = _number("Iodine of what grows.", "1", 0.0, ge=0, le=3)
    powers_uw: Powers | None = _other(
        "Laser powers; by default those of the table of exposures.",
        "a list of at least two numbers above 0 in µW",
        None,
    )
    frames: Annotated[int, Strict(), Field(ge=6)] = _other(
        "Spectra per power.", "a whole number, at least 6", 500
    )
    frame_s: Number = _number("Exposure time of one spectrum.", "s", 1.0, gt=0)
    photons_per_frame: Number = _number("Emitted photons per spectrum.", "1", 1e5, gt=0)
    map_powers_uw: Powers | None = _other(
        "Powers after which a map is measured, of the powers; none for no maps.",
        "a list of at least two numbers above 0 in µW",
        None,
    )
    map_size_um: Number = _number("Extent of a map.", "µm", 40.0, gt=0)
    map_step_um: Number = _number("Pixel of a map.", "µm", 0.5, gt=0)
    photons_per_pixel: Number = _number("Emitted photons per pixel.", "1", 2e4, gt=0)
    d0_m2_s: Number = _number("Expected prefactor of diffusion.", "m²/s", 5.3e-11, gt=0)
    diffusion_activation_energy_ev: Number = _number(
        "Expected activation energy of diffusion.", "eV", 0.182, gt=0
    )

    @model_validator(mode="after")
    def _consistent(self) -> SamplePlan:
        if not self.time_constants_s[0] < self.time_constants_s[1]:
            raise fault(
                f"is {self.time_constants_s}, not two ascending numbers in s", ("time_constants_s",)
            )
        for key in ("x_iodine", "product_x_iodine"):
            if getattr(self, key) not in _COMPOSITIONS:
                known = ", ".join(f"{x:g}" for x in _COMPOSITIONS)
                raise fault(
                    f"is {getattr(self, key):g}, not one of {known}", (key,), "Take the nearest."
                )
        if self.x_iodine == self.product_x_iodine:
            raise fault("is the same as 'x_iodine', not another phase", ("product_x_iodine",))
        if self.powers_uw is not None and self.map_powers_uw is not None:
            strange = [p for p in self.map_powers_uw if p not in self.powers_uw]
            if strange:
                raise fault(
                    f"holds {strange[0]:g}, not only powers of 'powers_uw'", ("map_powers_uw",)
                )
        return self


class Plan(Table):
    """``[plan]``: read by ``plkit plan`` alone."""

    studies: Annotated[int, Strict(), Field(ge=4)] = _other(
        "Simulated studies.", "a whole number, at least 4", 24
    )
    target_stderr_ev: Number | None = _number(
        "Wanted σ of the activation energy; a tenth of it by default.", "eV", None, gt=0
    )
    samples: dict[str, SamplePlan] = _other("Plans by sample.", "a table of plans", {})
