"""What the hostile tests share: a real server whose data directory and log they look into."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from itertools import count
from pathlib import Path
from typing import ClassVar
from xml.parsers import expat

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.server import RunningServer
from tests.hostile.raw import Client, Fields, Reply

_numbers = count(1)
_BAD_SIGNS = ("Traceback", "critical", "Unhandled")


@frozen
class Holdings:
    """What a data directory holds, as far as a refused request must not change it.

    Attributes:
        rows: of each table that says that something exists. Blobs that are only leased are not counted.
        files: names of finished blobs.
    """

    rows: dict[str, int]
    files: frozenset[str]


_TABLES = {
    "buckets": "SELECT count(*) FROM buckets",
    "versions": "SELECT count(*) FROM versions",
    "current": "SELECT count(*) FROM current",
    "bodies": "SELECT count(*) FROM bodies",
    "uploads": "SELECT count(*) FROM uploads",
    "parts": "SELECT count(*) FROM parts",
    "blobs": "SELECT count(*) FROM blobs WHERE lease_until IS NULL",
    "references": "SELECT count(*) FROM blob_references",
}


def look_into(data_dir: Path) -> Holdings:
    """What a data directory holds now, read beside the server that works on it."""
    with closing(sqlite3.connect(f"file:{data_dir}/index.sqlite3?mode=ro", uri=True)) as index:
        rows = {name: int(index.execute(query).fetchone()[0]) for name, query in _TABLES.items()}
    files = frozenset(path.name for path in (data_dir / "blobs").rglob("*") if path.is_file())
    return Holdings(rows, files)


def unfinished(data_dir: Path) -> list[str]:
    """Names of blobs in the making."""
    return [path.name for path in (data_dir / "tmp").iterdir()]


def wait_until(condition: Callable[[], bool], patience: float = 20.0) -> bool:
    """Look until something holds; whether it does in time."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@cache
def shared_server(options: tuple[str, ...]) -> RunningServer:
    """One server for all tests of this process that want these options: each test has a bucket of its own."""
    directory = tempfile.mkdtemp(prefix="post3-hostile-")
    server = RunningServer(data_dir=Path(directory) / "data", options=options).start()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.stop)
    return server


def client_of(server: RunningServer) -> Client:
    """A client with the root user's key."""
    return Client(server.endpoint, server.access_key, server.secret_key)


def assert_well_formed(test: SynchronousTestCase, body: bytes) -> None:
    """The bytes are a document that any XML parser takes."""
    try:
        expat.ParserCreate().Parse(body, True)
    except expat.ExpatError as error:
        test.fail(f"{error} in {body!r}")


class HostileCase(SynchronousTestCase):
    """A server, a client, and a bucket that is new.

    Attributes:
        options: of the server; no sync of the disk, where no test cuts the power.
    """

    options: ClassVar[Sequence[str]] = ("--durability=relaxed", "--reserve=0")

    def setUp(self) -> None:
        """Find the server and make a bucket; in the end its log must say of no accident."""
        self.server = shared_server(tuple(self.options))
        self.client = client_of(self.server)
        self.bucket = f"hostile-{next(_numbers)}"
        self.addCleanup(self.assert_calm, len(self.server.output))
        self.assertEqual(self.client.ask("PUT", f"/{self.bucket}").status, 200)

    @property
    def data_dir(self) -> Path:
        """Where the server keeps its data."""
        assert self.server.data_dir is not None
        return self.server.data_dir

    def target(self, key: str = "key", query: str = "") -> str:
        """The target of a key in this test's bucket; the key as it is, so already quoted."""
        return f"/{self.bucket}/{key}" + (f"?{query}" if query else "")

    def put(self, key: str, body: bytes, headers: Fields = ()) -> Reply:
        """Store an object, successfully."""
        reply = self.client.ask("PUT", self.target(key), headers, body)
        self.assertEqual((reply.status, reply.code), (200, ""), key)
        return reply

    def assert_calm(self, begin: int) -> None:
        """The server has logged no accident since."""
        logged = self.server.output[begin:]
        for sign in _BAD_SIGNS:
            self.assertNotIn(sign, logged)

    def assert_error(self, reply: Reply, status: int, code: str, told: object = "") -> None:
        """A reply is this error of S3, as a well-formed document with the request's id."""
        self.assertEqual((reply.status, reply.code), (status, code), told)
        assert_well_formed(self, reply.body)
        self.assertIn(b"<RequestId>%b</RequestId>" % reply.headers["x-amz-request-id"].encode(), reply.body)

    def assert_nothing_left(self, before: Holdings) -> None:
        """The data directory holds what it held before, and nothing is in the making."""
        self.assertTrue(wait_until(lambda: not unfinished(self.data_dir)), unfinished(self.data_dir))
        self.assertEqual(look_into(self.data_dir), before)
