"""The form of a simulation: fields with units, kept in the state, so that a reload brings them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bokeh.models import Checkbox, NumericInput, Row, Select, Spinner

from plkit import names
from plkit.apps.view.parts import dress, panel, table
from plkit.plot.style import pretty_unit, text_label, value_text

__all__ = ["AnyField", "Choice", "Field", "Form", "Switch", "axis_text", "readable", "rows_of"]

_WIDTH: Final = 240


@dataclass(frozen=True)
class Field:
    """A number of the form.

    Parameters
    ----------
    title : str
        What it is, with its unit.
    value : float
        At the start.
    step : float, optional
        Of the arrows; 0 for a number that is typed, which may be written as 5e-11.
    low, high : float, optional
        Least and largest value.
    whole : bool, optional
        Whether it is a whole number.
    """

    title: str
    value: float
    step: float = 0.0
    low: float = 0.0
    high: float | None = None
    whole: bool = False

    def widget(self, name: str) -> Any:
        """Make the widget."""
        if not self.step:
            return NumericInput(
                title=self.title, value=self.value, mode="float", low=self.low, high=self.high,
                width=_WIDTH, name=name,
            )  # fmt: skip
        return Spinner(
            title=self.title, value=self.value, step=self.step, low=self.low, high=self.high,
            width=_WIDTH, name=name, mode="int" if self.whole else "float",
        )  # fmt: skip

    def read(self, value: Any) -> float:
        """Value of the widget, within the bounds; an empty one is the least."""
        found = self.low if value is None else float(value)
        found = max(found, self.low) if self.high is None else min(max(found, self.low), self.high)
        return round(found) if self.whole else found


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    title: str
    options: tuple[tuple[str, str], ...]

    @property
    def value(self) -> str:
        """The first one, at the start."""
        return self.options[0][0]

    def widget(self, name: str) -> Any:
        """Make the widget."""
        return Select(
            title=self.title, options=list(self.options), value=self.value, width=_WIDTH, name=name
        )

    def read(self, value: Any) -> str:
        """The word."""
        return str(value) if value in dict(self.options) else self.value


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    title: str
    value: bool = False

    def widget(self, name: str) -> Any:
        """Make the widget."""
        return Checkbox(label=self.title, active=self.value, name=name, width=_WIDTH)

    def read(self, value: Any) -> bool:
        """Whether it is on."""
        return bool(value)


AnyField = Field | Choice | Switch


class Form:
    """Fields of a simulation.

    Parameters
    ----------
    viewer : Viewer
        Of the page; its state keeps what was entered.
    key : str
        Start of the names of the widgets, and the name in the state.
    fields : mapping of str to Field, Choice or Switch
        By name.
    on_change : callable
        Called when something was entered.
    code : callable
        ``code(values)`` gives Python that does the same.
    """

    def __init__(
        self,
        viewer: Any,
        key: str,
        fields: Mapping[str, AnyField],
        on_change: Callable[[], None],
        code: Callable[[dict[str, Any]], str],
    ) -> None:
        self.viewer, self.key, self.fields, self.code = viewer, key, dict(fields), code
        self.widgets = {name: field.widget(f"{key}_{name}") for name, field in self.fields.items()}
        dress(*self.widgets.values())
        kept = viewer.state.inputs.get(key, {})
        for name, widget in self.widgets.items():
            prop = "active" if isinstance(self.fields[name], Switch) else "value"
            if name in kept:
                setattr(widget, prop, self.fields[name].read(kept[name]))
            widget.on_change(prop, viewer.changes(lambda *_: self._entered(on_change)))
        self.copy = viewer.button("Copy as Python", self._copy, width=130, name=f"{key}_copy")

    @property
    def values(self) -> dict[str, Any]:
        """What the form says."""
        return {
            name: field.read(
                getattr(self.widgets[name], "active" if isinstance(field, Switch) else "value")
            )
            for name, field in self.fields.items()
        }

    def _entered(self, on_change: Callable[[], None]) -> None:
        changed = {n: v for n, v in self.values.items() if v != self.fields[n].value}
        state = self.viewer.state
        state.inputs = {
            **{k: v for k, v in state.inputs.items() if k != self.key},
            self.key: changed,
        }
        on_change()

    def panel(self, *more: Any) -> Any:
        """The fields on paper, and what stands below them."""
        return panel("", *self.widgets.values(), *more, Row(self.copy), width=_WIDTH + 40)

    def _copy(self) -> None:
        self.viewer.copy(self.code(self.values))
        self.viewer.say("Python copied")


def axis_text(name: str) -> str:
    """Label of an axis with its unit."""
    return readable(text_label(name))


def readable(text: str) -> str:
    """Powers as raised digits: canvas text knows no mathematics."""
    for plain, raised in (("1/cm^3", "cm⁻³"), ("^2", "²"), ("^3", "³")):
        text = text.replace(plain, raised)
    return text


def rows_of(ds: Any, *wanted: str, at: Mapping[str, int] | None = None) -> str:
    """Numbers of a result as a table, with σ and unit.

    Parameters
    ----------
    ds : xarray.Dataset
        Result.
    *wanted : str
        Names of its variables.
    at : mapping, optional
        Index along its dims; the last one by default.

    Returns
    -------
    str
        HTML.
    """
    rows = []
    for name in wanted:
        index = {d: (at or {}).get(d, -1) for d in ds[name].dims}
        sigma = f"{name}_stderr"
        text = value_text(
            float(ds[name].isel(index)),
            float(ds[sigma].isel(index)) if sigma in ds else None,
            readable(pretty_unit(names.unit(name))),
        )
        rows.append((names.symbol(name), names.TABLE[name].long_name, text))
    return table(rows)
