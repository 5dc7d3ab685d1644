"""One open page: its state, its tabs, and what goes to and from the browser besides figures."""

from __future__ import annotations

import base64
import html
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

from bokeh.events import DocumentReady
from bokeh.models import Button, Column, ColumnDataSource, CustomJS, Row, TabPanel, Tabs, Toggle

from plkit.apps.view.layers import Layer
from plkit.apps.view.operations import CHOSEN
from plkit.apps.view.parts import div, dress
from plkit.apps.view.state import ViewState
from plkit.apps.view.theme import new_sheet, sheet, use
from plkit.apps.view.workspace import Workspace
from plkit.errors import PlkitError

__all__ = ["Viewer"]

_LOG = logging.getLogger(__name__)

_DOWNLOAD = """
const d = cb_obj.data; if (!d.name.length) return;
const raw = atob(d.b64[0]); const bytes = new Uint8Array(raw.length);
for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
const a = document.createElement('a');
a.href = URL.createObjectURL(new Blob([bytes], {type: d.mime[0]})); a.download = d.name[0];
document.body.appendChild(a); a.click(); a.remove(); setTimeout(() => URL.revokeObjectURL(a.href), 1000);
"""

_COPY = """
const text = cb_obj.data.text[0]; if (text === undefined) return;
const by_hand = () => { const t = document.createElement('textarea'); t.value = text;
  document.body.appendChild(t); t.select(); document.execCommand('copy'); t.remove(); };
if (navigator.clipboard) navigator.clipboard.writeText(text).catch(by_hand); else by_hand();
"""

_ADDRESS = "history.replaceState(null, '', '?s=' + cb_obj.data.text[0]);"

_GO_TO = "location.search = '?s=' + cb_obj.data.text[0];"

_DARK = "document.documentElement.classList.toggle('dark', cb_obj.active);"

# Keys work wherever the focus is not in a field; sliders keep their arrows.
_KEYS = """
const wanted = ['ArrowLeft','ArrowRight','ArrowUp','ArrowDown',',','.',' ','p','Delete'];
let n = 0;
window.addEventListener('keydown', (e) => {
  const at = e.composedPath()[0]; const tag = (at.tagName || '').toLowerCase();
  if (['input','textarea','select'].includes(tag) || at.getAttribute?.('role') === 'slider') return;
  if (e.ctrlKey || e.metaKey || e.altKey || !wanted.includes(e.key)) return;
  if (tag === 'button' && e.key === ' ') return;
  e.preventDefault(); n += 1; keys.data = {key: [e.key], n: [n]};
});
document.documentElement.classList.toggle('dark', dark.active);
window.plkit_ready = true;
"""


class Viewer:
    """One page.

    Parameters
    ----------
    document : bokeh.document.Document
        Of the session.
    work : Workspace
        Shared by all pages.
    state : ViewState
        Of this page.
    """

    def __init__(self, document: Any, work: Workspace, state: ViewState) -> None:
        self.document, self.work, self.state = document, work, state
        self.steps: list[str] = []
        self.style = new_sheet()
        use(self.style)
        self.closed = False
        self.notice = ""
        self._threads = ThreadPoolExecutor(max_workers=3)
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()
        self._address_due = False
        self.key_actions: list[Callable[[str], None]] = []
        self.on_step: list[Callable[[], None]] = []
        self.on_close: list[Callable[[], None]] = []
        self._settle()
        self._make_wires()
        document.on_session_destroyed(lambda _: self.close())

    def _settle(self) -> None:
        """Fill in what the address did not say, drop what does not exist in this file."""
        state, layer = self.state, self.layer
        if state.layer != layer.name:
            state.layer = layer.name
        known = self.work.quantities(layer)
        if state.quantity not in known:
            fit = state.quantity.rpartition("/")[0]
            if fit:
                self.notice = (
                    f"'{fit}' is not fitted here: the fits are kept as long as the command runs. "
                    "Press Fit all pixels again."
                )
            state.quantity = preferred(known)
        if layer.plane:
            rows, cols = (layer.ds.sizes[d] for d in layer.plane)
            row = min(state.row, rows - 1) if (state.row or state.col) else rows // 2
            col = min(state.col, cols - 1) if (state.row or state.col) else cols // 2
            state.param.update(row=row, col=col)

    @property
    def layer(self) -> Layer:
        """The layer that is shown."""
        return self.work.layer(self.state.layer)

    @property
    def chosen(self) -> dict[str, str]:
        """Settings of the whole-map fits."""
        return {**CHOSEN, **{k: v for k, v in self.state.chosen.items() if k in CHOSEN}}

    # The page -----------------------------------------------------------------------------------
    def _make_wires(self) -> None:
        self.outbox = ColumnDataSource({"name": [], "mime": [], "b64": []})
        self.outbox.js_on_change("data", CustomJS(code=_DOWNLOAD))
        self.clip = ColumnDataSource({"text": []})
        self.clip.js_on_change("data", CustomJS(code=_COPY))
        self.address = ColumnDataSource({"text": []})
        self.address.js_on_change("data", CustomJS(code=_ADDRESS))
        self.elsewhere = ColumnDataSource({"text": []})
        self.elsewhere.js_on_change("data", CustomJS(code=_GO_TO))
        self.keys = ColumnDataSource({"key": [], "n": []})
        self.keys.on_change("data", self.changes(lambda _a, _o, new: self._on_key(new["key"][0])))
        self.message = div("", sizing_mode="stretch_width", name="message", margin=(6, 10, 0, 10))
        self.dark = Toggle(label="Dark", active=self.state.dark, width=60, name="dark")
        self.dark.js_on_change("active", CustomJS(code=_DARK))
        self.dark.on_change("active", lambda _a, _o, new: self.state.param.update(dark=new))
        dress(self.dark)
        self.state.param.watch(lambda *_: self._note_address(), list(self.state.param))

    def build(self, tabs: list[tuple[str, Callable[[Viewer], Any]]]) -> None:
        """Lay out the page; a tab is built when it is first opened."""
        holders = [Column(sizing_mode="stretch_width") for _ in tabs]
        built: set[int] = set()

        def open_tab(index: int) -> None:
            if index in built or not 0 <= index < len(tabs):
                return
            built.add(index)
            try:
                holders[index].children = [tabs[index][1](self)]
            except PlkitError as error:
                holders[index].children = [div(f"<p>{html.escape(str(error))}</p>", margin=12)]
            except Exception as error:
                _LOG.exception("tab %s", tabs[index][0])
                holders[index].children = [div(f"<p class='warn'>{html.escape(repr(error))}</p>")]

        active = self.state.tab if 0 <= self.state.tab < len(tabs) else 0
        self.tabs = Tabs(
            tabs=[TabPanel(title=t, child=h) for (t, _), h in zip(tabs, holders, strict=True)],
            active=active, sizing_mode="stretch_width", stylesheets=[sheet()], name="tabs",
        )  # fmt: skip

        def change(_a: str, _o: int, new: int) -> None:
            open_tab(new)
            self.state.tab = new

        self.tabs.on_change("active", self.changes(change))
        open_tab(active)
        title = div(
            f"<b style='font-size:16px'>plkit view</b> &nbsp;{html.escape(self.work.title)}",
            margin=(4, 10, 0, 5),
        )  # fmt: skip
        top = Row(title, self.message, self.dark, sizing_mode="stretch_width")
        page = Column(top, self.tabs, sizing_mode="stretch_width")
        self.document.add_root(page)
        ready = CustomJS(args={"keys": self.keys, "dark": self.dark}, code=_KEYS)
        self.document.js_on_event(DocumentReady, ready)
        # Sources of no figure reach the browser because they are roots' references here.
        page.tags = [self.outbox, self.clip, self.address, self.elsewhere, self.keys]
        self.document.title = f"{self.work.title} – plkit"

    # To the browser -----------------------------------------------------------------------------
    def say(self, text: str, *, warn: bool = False) -> None:
        """Show one line at the top of the page."""
        kind = "warn" if warn else "faint"
        self.message.text = f"<span class='{kind}'>{html.escape(text)}</span>"

    def step(self, text: str) -> None:
        """Add a line to the history of this session."""
        self.steps.append(text)
        for listener in self.on_step:
            listener()

    def download(self, name: str, content: bytes, mime: str = "application/octet-stream") -> None:
        """Give the browser a file."""
        self.outbox.data = {
            "name": [name], "mime": [mime], "b64": [base64.b64encode(content).decode()],
        }  # fmt: skip
        self.say(f"Saved {name} ({len(content) / 1024:.0f} kB)")

    def copy(self, text: str) -> None:
        """Put text on the clipboard."""
        self.clip.data = {"text": [text]}

    def go_to(self, state: ViewState) -> None:
        """Open the page anew with another state."""
        self._address_due = True  # the old state is not written any more
        self.elsewhere.data = {"text": [state.encoded()]}

    def _note_address(self) -> None:
        """Write the state into the address, soon: not in every step of a drag."""
        if self._address_due or self.closed:
            return
        self._address_due = True

        def write() -> None:
            self._address_due = False
            self.address.data = {"text": [self.state.encoded()]}

        self.document.add_timeout_callback(write, 200)

    # Work ---------------------------------------------------------------------------------------
    def guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Turn errors of a callback into the line at the top of the page."""

        @wraps(function)
        def inner(*args: Any) -> Any:
            use(self.style)
            try:
                return function(*args)
            except PlkitError as error:
                self.say(str(error), warn=True)
            except Exception as error:
                _LOG.exception("callback")
                self.say(f"{type(error).__name__}: {error}", warn=True)
            return None

        return inner

    def changes(self, function: Callable[..., Any]) -> Callable[[str, Any, Any], None]:
        """Guarded callback for a change of a property; Bokeh looks at its signature."""
        inner = self.guarded(function)
        return lambda attr, old, new: inner(attr, old, new)

    def events(self, function: Callable[..., Any]) -> Callable[[Any], None]:
        """Guarded callback for an event."""
        inner = self.guarded(function)
        return lambda event: inner(event)

    def ask(
        self,
        topic: str,
        compute: Callable[[], Any],
        apply: Callable[[Any], None],
        *,
        here: bool,
        wait_s: float = 0.0,
    ) -> None:
        """Compute and draw: at once, or in a thread; of two answers to a topic the newer one counts.

        What is slow waits ``wait_s`` in the thread, so that the quick ones come first, and is not
        begun when it has been asked anew in the meantime.
        """
        with self._lock:
            turn = self._asked[topic] = self._asked.get(topic, 0) + 1
        if here:
            apply(compute())
            return

        def stale() -> bool:
            return self.closed or self._asked[topic] != turn

        def work() -> None:
            time.sleep(wait_s)
            if stale():
                return
            try:
                answer, failed = compute(), None
            except Exception as error:
                _LOG.debug("%s failed", topic, exc_info=True)
                answer, failed = None, error

            def done() -> None:
                if stale():
                    return
                if failed is not None:
                    self.say(str(failed), warn=True)
                else:
                    self.guarded(apply)(answer)

            self.later(done)

        self._threads.submit(work)

    def later(self, function: Callable[[], None]) -> None:
        """Run something under the lock of the document; from any thread."""
        if not self.closed:
            self.document.add_next_tick_callback(self.guarded(function))

    def _on_key(self, key: str) -> None:
        for action in self.key_actions:
            action(key)

    def button(self, label: str, action: Callable[[], None], **options: Any) -> Button:
        """Button of the page; its errors go to the line at the top."""
        made = Button(label=label, stylesheets=[sheet()], **options)
        made.on_click(self.events(lambda _: action()))
        return made

    def close(self) -> None:
        """Stop the threads of a page that was left."""
        self.closed = True
        for stop in self.on_close:
            stop()
        self._threads.shutdown(wait=False, cancel_futures=True)


def preferred(quantities: list[str]) -> str:
    """What is shown first: the light, else a fraction, else whatever there is."""
    for wanted in ("band", "spectra", "fraction:", "x_iodine"):
        for q in quantities:
            if q.startswith(wanted):
                return q
    return quantities[0] if quantities else ""
