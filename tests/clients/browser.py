"""A real browser, without a window, and a server of the pages it is shown."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

BROWSERS = ("chromium", "chromium-headless-shell", "google-chrome")
"""Commands to look for."""

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which would need another user than root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
)
_PATIENCE = 60.0
"""Seconds until a page must have reported; a browser that starts on a busy machine takes some."""


class Pages:
    """Serves pages on an origin of its own, and hears what they report.

    A page reports by sending JSON to `/report`, or by being redirected to `/done`, whose query is the report.
    """

    def __init__(self, pages: Mapping[str, str]) -> None:
        self.reports: Queue[Any] = Queue()
        reports = self.reports

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if url.path == "/done":
                    reports.put({name: values[0] for name, values in parse_qs(url.query).items()})
                page = pages.get(url.path, "")
                self._answer(200 if page or url.path == "/done" else 404, page.encode())

            def do_POST(self) -> None:
                reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self._answer(200, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """What the browser calls this server."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def report_of(self, browser: str, page: str, directory: Path) -> Any:
        """Show a page to a browser; what it reports.

        Args:
            browser: the path of its command.
            page: the path of the page.
            directory: an empty one, for the browser's profile and log.

        Raises:
            AssertionError: it reports nothing in time; the text has the browser's log.
        """
        log = directory / "log"
        with log.open("wb") as output:
            running = subprocess.Popen(
                [browser, *_OPTIONS, f"--user-data-dir={directory / 'profile'}", self.origin + page],
                env={"HOME": str(directory), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            try:
                return self.reports.get(timeout=_PATIENCE)
            except Empty:
                raise AssertionError(f"nothing was reported\n{log.read_text(errors='replace')}") from None
            finally:
                running.terminate()
                running.wait()
