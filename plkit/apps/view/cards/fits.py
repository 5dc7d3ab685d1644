"""Fits of all pixels: which, with what, how far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bokeh.models import Select

from plkit.apps.view.code import code_of
from plkit.apps.view.operations import OPERATIONS, Job, key_of, settings_of
from plkit.apps.view.parts import dress, panel, wrapped
from plkit.apps.view.progress import Progress
from plkit.physics.calibration import CALIBRATIONS

if TYPE_CHECKING:
    from plkit.apps.view.map_tab import MapTab

__all__ = ["FitsCard"]

# name → (title, options, width in pixels)
_CHOICES: Final[dict[str, tuple[str, list[str], int]]] = {
    "method": ("Method", ["parabola", "centroid", "gaussian", "asymmetric"], 130),
    "shape": ("Shape", ["gaussian", "asymmetric", "lorentzian", "pseudo_voigt"], 130),
    "peaks": ("Peaks per spectrum", ["2", "3"], 130),
    "calibration": ("Calibration", sorted(CALIBRATIONS), 150),
    "background": ("Background", ["none", "constant", "linear"], 130),
    "rates": ("Rates k1, k2", ["free", "shared"], 130),
}


class FitsCard:
    """The card of the whole-map fits.

    Parameters
    ----------
    tab : MapTab
        Whose state it is.
    """

    def __init__(self, tab: MapTab) -> None:
        self.tab, self.viewer, self.state = tab, tab.viewer, tab.viewer.state
        self.root = self._build()

    def _build(self) -> Any:
        chosen, lists = self.viewer.chosen, {}
        for name, (title, options, width) in _CHOICES.items():
            lists[name] = Select(
                title=title, options=options, width=width, value=chosen[name], name=f"fit_{name}"
            )
        self.kind = Select(
            title="Fit", options=[(k, o.title) for k, o in OPERATIONS.items()], value="peaks",
            width=150, name="fit_kind",
        )  # fmt: skip
        dress(self.kind, *lists.values())
        self.lists = lists
        for name, widget in lists.items():
            widget.on_change(
                "value",
                self.viewer.changes(lambda _a, _o, new, name=name: self._choose(name, new)),
            )
        self.kind.on_change("value", self.viewer.changes(lambda *_: self.update()))
        self.state.param.watch(lambda *_: self.update(), ["references", "chosen"])
        self.progress = Progress(
            self.viewer, "Fit all pixels", self._start, self._finish,
            names=("fit_all", "cancel", "progress"),
        )  # fmt: skip
        return panel(
            "All pixels", wrapped(self.kind, *lists.values()), self.progress.root, width=350
        )

    def _choose(self, name: str, value: str) -> None:
        self.state.chosen = {**self.state.chosen, name: value}

    def update(self) -> None:
        """Show what this fit depends on, and say what it lacks."""
        operation = OPERATIONS[self.kind.value]
        for name, widget in self.lists.items():
            widget.visible = name in operation.choices
            widget.value = self.viewer.chosen[name]
        self.progress.lack(operation.missing(self.tab.layer, self.state))

    def _start(self) -> None:
        layer = self.tab.layer
        settings = settings_of(self.kind.value, layer, self.state, self.viewer.chosen)
        # What made the references is noted now: pins may move while the fit runs.
        self._code = code_of(layer, self.state, settings)
        self.progress.run(Job(layer, settings), key_of(settings))

    def _finish(self, job: Job) -> None:
        layer, key = job.layer, key_of(job.settings)
        self.viewer.work.keep(layer, key, job.result, self._code)
        if layer.name == self.tab.layer.name:
            first = [q for q in self.viewer.work.quantities(layer) if q.startswith(f"{key}/")]
            wanted = OPERATIONS[str(job.settings["kind"])].shown
            shown = next((q for q in first if q.partition("/")[2].startswith(wanted)), first[0])
            self.state.param.update(
                done=[*[d for d in self.state.done if d != key], key], quantity=shown
            )
        self.viewer.step("\n".join(self._code))
        self.tab.cards.scatter.update()
