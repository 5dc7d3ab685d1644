"""The server: one address on this machine, the first page built before anybody asks for it."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plkit.errors import DataError, PlkitWarning

__all__ = ["make_server", "serve"]


def serve(
    paths: Sequence[str | Path],
    *,
    references: Sequence[str] = (),
    dark: str | Path | None = None,
    session: str | Path | None = None,
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    port: int = 0,
    announce: Callable[[str], None] = print,
    show: bool = True,
) -> None:
    """Serve the page of files until interrupted.

    Parameters
    ----------
    paths : sequence of str or pathlib.Path
        Files that plkit reads, or results of studies.
    references : sequence of str, optional
        Files of reference spectra, ``"file"`` or ``"name=file"``.
    dark : str or pathlib.Path, optional
        File without light, which is subtracted.
    session : str or pathlib.Path, optional
        File of a session that was saved on the page.
    reader : str, optional
        Name of the reader.
    options : mapping, optional
        Options of the reader.
    port : int, optional
        0 takes a free one.
    announce : callable, optional
        Gets the address.
    show : bool, optional
        Open it in the browser.
    """
    server, address = make_server(
        paths, references=references, dark=dark, session=session, reader=reader, options=options,
        port=port,
    )  # fmt: skip
    announce(address)
    if show:
        import webbrowser

        server.io_loop.call_later(0.05, webbrowser.open, address)
    server.start()
    try:
        server.io_loop.start()
    finally:
        server.stop()


def make_server(
    paths: Sequence[str | Path],
    *,
    references: Sequence[str] = (),
    dark: str | Path | None = None,
    session: str | Path | None = None,
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    port: int = 0,
) -> tuple[Any, str]:
    """Server that is bound to this machine alone, not yet started, and its address.

    Raises
    ------
    PlkitError
        If the file cannot be read, or the port is taken.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        # The file is read while the libraries of the page are imported.
        reading = pool.submit(_open, paths, references, dark, reader, options)
        from bokeh.application import Application
        from bokeh.application.handlers.function import FunctionHandler
        from bokeh.server.server import Server
        from bokeh.settings import settings

        from plkit.apps.view.page import make_page
        from plkit.apps.view.workspace import Workspace

        layers, notes = reading.result()
    work = Workspace(layers, str(paths[0]), others=tuple(map(str, paths[1:])))
    work.notes = notes
    if session is not None:
        from plkit.apps.view.session import read_session

        work.start = read_session(Path(session).read_text("utf-8"))
    # A seventh of the time of a view; a test does it instead.
    settings.perform_document_validation = False
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    logging.getLogger("bokeh").setLevel(logging.ERROR)
    port = port or _free_port()
    application = Application(FunctionHandler(lambda doc: make_page(doc, work)))
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    try:
        server = Server(
            {"/": application}, port=port, address="127.0.0.1", allow_websocket_origin=hosts,
            websocket_max_message_size=2**28, unused_session_lifetime_milliseconds=10_000,
        )  # fmt: skip
    except OSError as error:
        raise DataError(
            "serve the page", f"port {port} is taken, not free", "Leave out --port."
        ) from error
    return server, f"http://127.0.0.1:{port}/"


def _open(
    paths: Sequence[str | Path],
    references: Sequence[str],
    dark: str | Path | None,
    reader: str | None,
    options: Mapping[str, Any] | None,
) -> Any:
    from plkit.apps.view.opening import open_files

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PlkitWarning)
        layers = open_files(paths, references=references, dark=dark, reader=reader, options=options)
    notes = [str(w.message) for w in caught if issubclass(w.category, PlkitWarning)]
    return layers, list(dict.fromkeys(notes))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
