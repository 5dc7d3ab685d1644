"""Everything that is on the screen, as plain values: what the page draws, the URL keeps, a test sets.

No browser is known here. A change of a parameter is all that a click does; the page watches.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final, cast

import param

from plkit.errors import DataError

__all__ = ["COLOURS", "PALETTES", "ViewState"]

COLOURS: Final = (
    "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#666666",
)  # fmt: skip
"""Of pins and regions; Okabe and Ito's, the blue of the cursor left out."""

PALETTES: Final = ("viridis", "cividis", "magma", "greys")

FITS: Final = (
    "none", "gaussian", "two gaussians", "asymmetric", "lorentzian", "components",
)  # fmt: skip
"""What is laid over the spectrum: nothing, a model of :mod:`plkit.models`, the unmixed components."""


class ViewState(param.Parameterized):
    """State of one view.

    Parameters
    ----------
    **params
        Any of the parameters below.

    Examples
    --------
    >>> state = ViewState(row=3, col=5)
    >>> state.pin("edge")["colour"]
    '#D55E00'
    >>> ViewState.decoded(state.encoded()).pins[0]["name"]
    'edge'
    """

    layer = param.String("", doc="Name of the layer.")
    quantity = param.String("", doc="What the image shows.")
    at = param.Dict({}, doc="Index along every dim that is stepped through.")
    row = param.Integer(0, bounds=(0, None), doc="Row of the cursor.")
    col = param.Integer(0, bounds=(0, None), doc="Column of the cursor.")
    half = param.Integer(0, bounds=(0, 50), doc="The averaging box is 2·half + 1 pixels wide.")
    band = param.NumericTuple(None, length=2, allow_None=True, doc="Ends on the spectral axis.")
    slice_at = param.Number(None, allow_None=True, doc="Position on the spectral axis.")
    fixed = param.Boolean(True, doc="Whether the colour scale stays while frames change.")
    clim = param.NumericTuple(None, length=2, allow_None=True, doc="Ends of the colour scale.")
    percentile = param.Number(0.5, bounds=(0, 20), doc="Share cut off at either end, in %.")
    log = param.Boolean(False, doc="Logarithmic colours.")
    palette = param.Selector(default="viridis", objects=list(PALETTES))
    energy = param.Boolean(False, doc="Spectra over photon energy, with the Jacobian.")
    pins = param.List([], doc="Positions whose spectra stay: name, colour, row, col, half.")
    regions = param.List([], doc="Regions: name, colour, x, y (corners).")
    frames = param.Boolean(False, doc="Spectra of all frames, coloured by time.")
    compare = param.Integer(None, allow_None=True, doc="Frame of the second image.")
    compare_layer = param.String("", doc="Layer of the second image; empty for the same one.")
    difference = param.Boolean(False, doc="Whether the second image is the difference.")
    fit = param.Selector(default="none", objects=list(FITS))
    references = param.List([], doc="Names of pins and regions that are reference spectra.")
    scatter = param.List([], doc="Two quantities that are drawn against each other.")
    lasso = param.List([], doc="Polygon in the scatter: list of x, list of y.")
    done = param.List([], doc="Whole-map fits of this session: their keys.")
    chosen = param.Dict({}, doc="Settings of the whole-map fits that are not the usual ones.")
    simulation = param.String("", doc="The simulation that is open.")
    inputs = param.Dict({}, doc="Of the simulations: form → field → value.")
    sample = param.String("", doc="Sample of the tabs of results.")
    dark = param.Boolean(False, doc="Light on dark.")
    tab = param.Integer(0, doc="The tab that is open.")

    # Drawing ------------------------------------------------------------------------------------
    def next_colour(self) -> str:
        """Colour that no pin or region has, as long as there is one."""
        used = [e["colour"] for e in (*self.pins, *self.regions)]
        return min(COLOURS, key=used.count)

    def next_name(self, start: str) -> str:
        """``start`` followed by the first free number."""
        taken = {e["name"] for e in (*self.pins, *self.regions)}
        return next(f"{start}{i}" for i in range(1, 10_000) if f"{start}{i}" not in taken)

    def pin(self, name: str = "") -> dict[str, Any]:
        """Keep the spectrum under the cursor; return the new pin."""
        entry = {
            "name": name or self.next_name("P"), "colour": self.next_colour(),
            "row": self.row, "col": self.col, "half": self.half,
        }  # fmt: skip
        self.pins = [*self.pins, entry]
        return entry

    def add_region(self, x: list[float], y: list[float], name: str = "") -> dict[str, Any]:
        """Add a region by the corners of its polygon, in the units of the map; return it."""
        if len(x) < 3 or len(x) != len(y):
            raise DataError(
                "add a region", f"its polygon has {min(len(x), len(y))} corners, not at least 3"
            )
        entry = {
            "name": name or self.next_name("R"), "colour": self.next_colour(),
            "x": [_short(v) for v in x], "y": [_short(v) for v in y],
        }  # fmt: skip
        self.regions = [*self.regions, entry]
        return entry

    def rename(self, old: str, new: str) -> None:
        """Give a pin or a region another name.

        Raises
        ------
        DataError
            If the name is empty or taken.
        """
        new = new.strip()
        taken = {e["name"] for e in (*self.pins, *self.regions)}
        if new == old:
            return
        if not new or new in taken:
            found = f"'{new}' is taken" if new else "the name is empty"
            raise DataError(f"rename '{old}'", f"{found}, not a new name")
        for kind in ("pins", "regions"):
            entries = getattr(self, kind)
            if any(e["name"] == old for e in entries):
                renamed = [{**e, "name": new} if e["name"] == old else e for e in entries]
                self.param.update(
                    {kind: renamed, "references": [new if r == old else r for r in self.references]}
                )

    def remove(self, name: str) -> None:
        """Remove a pin or a region; nothing happens where there is none of that name."""
        self.param.update(
            pins=[e for e in self.pins if e["name"] != name],
            regions=[e for e in self.regions if e["name"] != name],
            references=[r for r in self.references if r != name],
        )

    # The URL ------------------------------------------------------------------------------------
    def as_dict(self) -> dict[str, Any]:
        """The state as plain values; what stands at its default is left out."""
        out = {}
        for name, value in self.param.values().items():
            if name != "name" and value != self.param[name].default:
                out[name] = list(value) if isinstance(value, tuple) else value
        return out

    def encoded(self) -> str:
        """The state as text for a URL."""
        packed = zlib.compress(json.dumps(self.as_dict(), separators=(",", ":")).encode(), 9)
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def decoded(cls, text: str) -> ViewState:
        """Return the state of a URL.

        Raises
        ------
        DataError
            If the text is not one that :meth:`encoded` made.
        """
        state = cls()
        try:
            packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            # A URL may come from anybody: what it unpacks to is bounded.
            found = json.loads(zlib.decompressobj().decompress(packed, 2**20))
            state.update_from(found)
        except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
            raise DataError(
                "restore the view", f"the address holds no state of this page ({error})",
                "Open the page without what stands behind the question mark.",
            ) from error  # fmt: skip
        return state

    def update_from(self, found: Mapping[str, Any]) -> None:
        """Set the parameters that ``found`` names, checking each."""
        values: dict[str, Any] = {}
        for name, value in found.items():
            if name not in self.param or name == "name":
                continue
            tuple_wanted = isinstance(self.param[name], param.NumericTuple)
            values[name] = tuple(value) if tuple_wanted and value is not None else value
        for kind, keys in (("pins", {"row", "col", "half"}), ("regions", {"x", "y"})):
            for entry in cast("list[dict[str, Any]]", values.get(kind, [])):
                if not {"name", "colour", *keys} <= set(entry):
                    raise DataError("restore the view", f"one of its {kind} lacks a field")
        self.param.update(values)


def _short(value: float) -> float:
    """Five digits: a hundredth of a pixel on any map, and short in a URL."""
    return float(f"{float(value):.5g}")
