"""The page of a sweep that is still running, served on loopback and made anew while results come in."""

import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from src.core.errors import UserError
from src.core.result import FILE
from src.report.rebuild import OVERVIEW, rebuild
from src.report.screen import PAGE

EVERY = 10  # seconds after which a browser asks again
HOST = "127.0.0.1"
HOSTS = (HOST, "localhost")


class Watched:
    """The page of a folder, made anew when it is asked for and a result is newer.

    Args:
        folder: of a sweep, a job or all experiments. make: writes its page and returns the path.
    """

    def __init__(self, folder: Path, make: Callable[[Path], Path] = rebuild) -> None:
        self.folder, self._make = folder.resolve(), make
        self._lock, self._seen, self._page = threading.Lock(), -1, Path()

    def page(self) -> Path:
        """Raises UserError as `rebuild` does."""
        with self._lock:
            results = (path for path in self.folder.rglob(FILE) if path.parent.name != Path(OVERVIEW).parent.name)
            newest = max((path.stat().st_mtime_ns for path in results), default=0)
            if newest != self._seen or not self._page.is_file():
                self._page, self._seen = self._make(self.folder), newest
            return self._page


class _Handler(SimpleHTTPRequestHandler):
    """Files below the folder; the page itself comes with the wish to be asked for again."""

    def __init__(self, watched: Watched, *args: Any) -> None:
        self.watched = watched
        super().__init__(*args, directory=str(watched.folder))

    def do_GET(self) -> None:
        if self.headers.get("Host", "").rpartition(":")[0] not in HOSTS:
            self.send_error(403)  # a page of elsewhere that leads its name here reads nothing
            return
        try:
            page = self.watched.page()
        except UserError as error:
            self.send_error(500, str(error))
            return
        if self.path == "/":
            self.send_response(302)
            self.send_header("Location", "/" + page.relative_to(self.watched.folder).as_posix())
            self.end_headers()
        else:
            super().do_GET()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        if unquote(self.path).endswith(f"/{PAGE}"):
            self.send_header("Refresh", str(EVERY))
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal belongs to the sweep."""


def server(folder: Path, make: Callable[[Path], Path] = rebuild, port: int = 0) -> ThreadingHTTPServer:
    """A server on loopback alone, bound and not yet serving; by default on any free port."""
    watched = Watched(folder, make)
    watched.page()  # what is wrong with the folder is said before there is an address
    return ThreadingHTTPServer((HOST, port), partial(_Handler, watched))


def watch(folder: Path, make: Callable[[Path], Path] = rebuild) -> None:
    """Serve until Ctrl-C."""
    with server(folder, make) as serving:
        print(f"watch http://{HOST}:{serving.server_port}/  (Ctrl-C ends it)", flush=True)
        serving.serve_forever()
