"""An index with a page that is all zeros: whichever page it is, nothing that is there is absent, and nothing is wrong.

For each page of a small store: the page is zeroed, a server is started, and everything is asked for. A server may
refuse to start, a request may be an error; but what is answered with success is right, and no object that is there is
said not to be. What is written then and acknowledged is read again. `post3 fsck` must find that something is wrong,
whichever page it was (but for pages that hold nothing).

    python -m tests.durability.bitrot_pages [--stride N]
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from attrs import define, field

from post3tw.cli import main as post3
from post3tw.testing.server import RunningServer, ServerNotRunning
from tests.hostile.ledger import Content
from tests.hostile.raw import Client, Reply

_PAGE = 4096
_OPTIONS = "--reserve=0", "--durability=relaxed"


@define
class Pages:
    """Every page once.

    Attributes:
        place: a directory for everything.
        stride: how many pages further each run looks.
        pages: how many were zeroed.
        refused: how many servers did not start.
        errors: how many requests were answered with an error.
        unnoticed: pages that fsck found nothing about.
        violations: what should not have been.
    """

    place: Path
    stride: int = 1
    pages: int = 0
    refused: int = 0
    errors: int = 0
    unnoticed: list[int] = field(factory=list)
    violations: list[str] = field(factory=list)

    def run(self) -> None:
        """Damage one page after the other."""
        whole = self.place / "whole"
        objects = self._fill(whole)
        self._free = _free_pages(whole / "index.sqlite3")
        for page in range(0, (whole / "index.sqlite3").stat().st_size // _PAGE, self.stride):
            damaged = self.place / "damaged"
            shutil.copytree(whole, damaged)
            with open(damaged / "index.sqlite3", "r+b") as index:
                index.seek(page * _PAGE)
                index.write(bytes(_PAGE))
            self.pages += 1
            self._fsck(page, damaged)
            self._serve(page, damaged, objects)
            shutil.rmtree(damaged)

    _free: set[int] = field(factory=set, init=False)

    def _fill(self, path: Path) -> dict[str, bytes]:
        objects = {f"{number:03}": Content(number, (50, 3000, 9000, 70_000)[number % 4]).body for number in range(60)}
        with RunningServer(data_dir=path, options=_OPTIONS) as server:
            client = _client(server)
            client.ask("PUT", "/bucket")
            for key, body in objects.items():
                assert client.ask("PUT", f"/bucket/{key}", body=body).status == 200
            client.ask("DELETE", "/bucket/000")
        del objects["000"]
        return objects

    def _fsck(self, page: int, path: Path) -> None:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            status = post3(["fsck", str(path)])
        if status == 0 and page not in self._free:
            self.unnoticed.append(page)
            self.violations.append(f"page {page}: fsck found nothing")

    def _serve(self, page: int, path: Path, objects: dict[str, bytes]) -> None:
        server = RunningServer(data_dir=path, options=_OPTIONS)
        try:
            server.start()
        except ServerNotRunning:
            self.refused += 1
            return
        try:
            self._ask(page, _client(server), objects)
        finally:
            server.kill()

    def _ask(self, page: int, client: Client, objects: dict[str, bytes]) -> None:
        for key, body in objects.items():
            reply = self._reply(client, "GET", f"/bucket/{key}")
            if reply is not None and (reply.status != 200 or reply.body != body):
                self.violations.append(f"page {page}: GET of {key}: {reply.status} {reply.code}")
            reply = self._reply(client, "HEAD", f"/bucket/{key}")
            if reply is not None and reply.status != 200:
                self.violations.append(f"page {page}: HEAD of {key}: {reply.status}")
        reply = self._reply(client, "GET", "/bucket?list-type=2")
        if reply is not None and reply.body.count(b"<Key>") != len(objects):
            self.violations.append(f"page {page}: a listing of {reply.body.count(b'<Key>')} keys")
        for key in ("new", "010", "011"):
            body = f"written to {key} on page {page}".encode()
            reply = self._reply(client, "PUT", f"/bucket/{key}", body)
            if reply is not None:
                again = self._reply(client, "GET", f"/bucket/{key}")
                if reply.status != 200 or again is None or again.body != body:
                    self.violations.append(f"page {page}: PUT of {key}: {reply.status} {reply.code}, and then {again}")

    def _reply(self, client: Client, method: str, target: str, body: bytes = b"") -> Reply | None:
        """A reply that is no error of the server; None for those, and for none."""
        try:
            reply = client.ask(method, target, body=body)
        except ConnectionError:
            self.errors += 1
            return None
        if reply.status >= 500:
            self.errors += 1
            return None
        return reply


def _client(server: RunningServer) -> Client:
    return Client(server.endpoint, server.access_key, server.secret_key)


def _free_pages(index: Path) -> set[int]:
    """Pages, counted from 0, whose contents do not count: the free ones behind those that list them."""
    with closing(sqlite3.connect(f"file:{index}?mode=ro&immutable=1", uri=True)) as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if not free:
        return set()
    pages, data = set[int](), index.read_bytes()
    trunk = int.from_bytes(data[32:36], "big")
    while trunk:
        start = (trunk - 1) * _PAGE
        count = int.from_bytes(data[start + 4 : start + 8], "big")
        pages |= {int.from_bytes(data[start + 8 + 4 * n : start + 12 + 4 * n], "big") - 1 for n in range(count)}
        trunk = int.from_bytes(data[start : start + 4], "big")
    return pages


def main(stride: int = 1, place: Path | None = None) -> Pages:
    """Zero every page, in steps of `stride`."""
    with tempfile.TemporaryDirectory(dir=place) as directory:
        pages = Pages(Path(directory), stride)
        pages.run()
    return pages


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--stride", type=int, default=1)
    result = main(parser.parse_args().stride)
    sys.stdout.write("".join(f"{violation}\n" for violation in result.violations[:40]))
    sys.stdout.write(
        f"bitrot_pages: {result.pages} pages zeroed one by one, {result.refused} servers refused to start,"
        f" {result.errors} requests failed, {len(result.violations)} violations\n"
    )
    sys.exit(1 if result.violations else 0)
